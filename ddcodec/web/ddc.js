// Decode .ddc files in a browser: see ddc.d.ts.

import { DdcError, HEADER_BYTES, codeOf, decodePixels, decodeSamples, partsOf, readCode, readHeader, unpackByBrowser } from "./core.js";

export { DdcError };

/** Where ddc.wasm is, or its bytes, and how a worker is made. A page that has all in one file sets both. */
export const settings = {
  wasm: async () => {
    const response = await fetch(new URL("./ddc.wasm", import.meta.url));
    if (!response.ok) throw new Error(`ddc.wasm cannot be loaded: ${response.status}`);
    return response.arrayBuffer();
  },
  worker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
};

const MAX_PIXELS = 100_000_000;

let compiled = null;
async function wasmModule() {
  compiled ??= Promise.resolve(settings.wasm()).then((bytes) => WebAssembly.compile(bytes));
  try {
    return await compiled;
  } catch (error) {
    compiled = null; // the next call tries once more
    throw error;
  }
}

let helper; // undefined before the first call
const waiting = new Map();
let calls = 0;

// The worker that all calls share, or null where the page may have none.
async function theWorker() {
  const module = await wasmModule();
  if (helper === undefined) helper = startWorker(module);
  return helper;
}

function startWorker(module) {
  let worker;
  try {
    worker = settings.worker();
  } catch {
    return null;
  }
  const giveUp = (event) => {
    event.preventDefault();
    worker.terminate();
    helper = null;
    for (const { fail } of waiting.values()) fail();
    waiting.clear();
  };
  worker.onmessage = ({ data }) => {
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.result) resolve(data.result);
    else reject(new DdcError(data.code));
  };
  worker.onerror = worker.onmessageerror = giveUp;
  worker.postMessage({ wasm: module });
  return worker;
}

// Let the worker answer a message, or `here` where there is none.
async function answer(message, here) {
  const byThisThread = () =>
    wasmModule()
      .then(here)
      .catch((error) => Promise.reject(new DdcError(codeOf(error))));
  const worker = await theWorker();
  if (!worker) return byThisThread();
  return new Promise((resolve, reject) => {
    const id = ++calls;
    waiting.set(id, { resolve, reject, fail: () => byThisThread().then(resolve, reject) });
    // A copy of the part that is looked at, and not of all that lies around it.
    worker.postMessage({ id, ...message, bytes: message.bytes.slice() });
  });
}

async function imageOf(bytes, options) {
  const here = (module) => decodePixels(module, bytes, options, unpackByBrowser);
  const { width, height, pixels, colorSpace, notes } = await answer({ bytes, options }, here);
  const image = new ImageData(pixels, width, height, { colorSpace });
  image.notes = notes;
  return image;
}

function octaveOf(scale) {
  const octave = Math.log2(scale);
  if (!Number.isInteger(octave) || octave < 0) throw new RangeError(`The scale must be a power of two, not ${scale}.`);
  return octave;
}

function bytesOf(data) {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw new TypeError("A .ddc file must be given as an ArrayBuffer or a typed array.");
}

export async function decode(data, { scale = 1, maxPixels = MAX_PIXELS } = {}) {
  return imageOf(bytesOf(data), { octave: octaveOf(scale), maxPixels });
}

export async function samples(data, { scale = 1, maxPixels = MAX_PIXELS } = {}) {
  const [bytes, octave, module] = [bytesOf(data), octaveOf(scale), await wasmModule()];
  try {
    return await decodeSamples(module, bytes, { octave, maxPixels });
  } catch (error) {
    throw new DdcError(codeOf(error));
  }
}

export async function code(data, { maxPixels = MAX_PIXELS } = {}) {
  const [bytes, options] = [bytesOf(data), { maxPixels }];
  return answer({ bytes, options, wantsCode: true }, (module) => readCode(module, bytes, options));
}

export async function info(data) {
  const bytes = bytesOf(data);
  const parts = partsOf(await readHeader(await wasmModule(), bytes), bytes);
  if (!parts) throw new DdcError("damaged");
  return parts;
}

/** Yields pictures of the octaves that are there while bytes still come, and at last the whole picture. */
export async function* pictures(stream, { maxPixels = MAX_PIXELS } = {}) {
  const module = await wasmModule();
  const reader = stream.getReader();
  let bytes = new Uint8Array(1 << 14);
  let length = 0;
  let header = null;
  let parts = null;
  let shown = 0;
  try {
    while (!(length >= parts?.fileBytes)) {
      const { done, value } = await reader.read();
      if (done) break;
      if (length + value.length > bytes.length) {
        const longer = new Uint8Array(2 * (length + value.length));
        longer.set(bytes.subarray(0, length));
        bytes = longer;
      }
      bytes.set(value, length);
      length += value.length;
      const here = bytes.subarray(0, length);
      if (!header && length >= HEADER_BYTES) {
        header = await readHeader(module, here);
        yield { width: header.width, height: header.height, image: null, octaves: 0, isWhole: false };
      }
      parts ??= header && partsOf(header, here);
      const octaves = parts?.ends.filter(({ end }) => end <= length).length ?? 0;
      if (octaves > shown && octaves < parts.ends.length) {
        shown = octaves;
        const image = await imageOf(here, { isBeginning: true, maxPixels });
        yield { width: header.width, height: header.height, image, octaves, isWhole: false };
      }
    }
    const image = await imageOf(bytes.subarray(0, length), { maxPixels });
    yield { width: image.width, height: image.height, image, octaves: parts?.ends.length ?? 0, isWhole: true };
  } finally {
    reader.cancel().catch(() => {});
  }
}

// Decode .ddc files in a browser: see ddc.d.ts.

import { DdcError, HEADER_BYTES, decodePixels, decodeSamples, readCode, readParts, unpackByBrowser } from "./core.js";

export { DdcError };

/** Where ddc.wasm is, or its bytes, and how a worker is made. A page that has all in one file sets both. */
export const settings = {
  wasm: () => fetch(new URL("./ddc.wasm", import.meta.url)).then((response) => response.arrayBuffer()),
  worker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
};

const MAX_PIXELS = 100_000_000;

let compiled;
function wasmModule() {
  compiled ??= Promise.resolve(settings.wasm()).then((bytes) => WebAssembly.compile(bytes));
  return compiled;
}

let helper;
const waiting = new Map();
let calls = 0;

// The worker that all calls share, or null where the page may have none.
async function theWorker() {
  const module = await wasmModule();
  helper ??= new Promise((resolve) => {
    try {
      const worker = settings.worker();
      worker.onmessage = ({ data }) => {
        const { resolve, reject } = waiting.get(data.id);
        waiting.delete(data.id);
        if (data.result) resolve(data.result);
        else reject(new DdcError(data.code));
      };
      worker.onerror = (event) => {
        event.preventDefault();
        helper = Promise.resolve(null);
        for (const { fail } of waiting.values()) fail();
        waiting.clear();
        resolve(null);
      };
      worker.postMessage({ wasm: module });
      resolve(worker);
    } catch {
      resolve(null);
    }
  });
  return helper;
}

// Let the worker answer a message, or `here` where there is none.
async function answer(message, here) {
  const worker = await theWorker();
  if (!worker) return here(await wasmModule());
  return new Promise((resolve, reject) => {
    const id = ++calls;
    waiting.set(id, { resolve, reject, fail: () => wasmModule().then(here).then(resolve, reject) });
    worker.postMessage({ id, ...message });
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
  if (!Number.isInteger(octave) || octave < 0) throw new RangeError(`The scale must be 1, 2, 4 or 8, not ${scale}.`);
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
  return decodeSamples(await wasmModule(), bytesOf(data), { octave: octaveOf(scale), maxPixels });
}

export async function code(data) {
  const bytes = bytesOf(data);
  return answer({ bytes, wantsCode: true }, (module) => readCode(module, bytes));
}

export async function info(data) {
  const bytes = bytesOf(data);
  if (bytes.length < HEADER_BYTES) throw new DdcError("damaged");
  const parts = await readParts(await wasmModule(), bytes);
  if (!parts) throw new DdcError("damaged");
  return parts;
}

/** Yields pictures of the octaves that are there while bytes still come, and at last the whole picture. */
export async function* pictures(stream, { maxPixels = MAX_PIXELS } = {}) {
  const module = await wasmModule();
  const reader = stream.getReader();
  let bytes = new Uint8Array(1 << 14);
  let length = 0;
  let parts = null;
  let isHeaderTold = false;
  let shown = 0;
  let isDone = false;
  const more = async () => {
    const { done, value } = await reader.read();
    if (done) return (isDone = true);
    if (length + value.length > bytes.length) {
      const longer = new Uint8Array(2 * (length + value.length));
      longer.set(bytes.subarray(0, length));
      bytes = longer;
    }
    bytes.set(value, length);
    length += value.length;
  };
  try {
    while (!isDone) {
      await more();
      const here = bytes.subarray(0, length);
      parts ??= await readParts(module, here);
      if (!parts) continue;
      if (!isHeaderTold) {
        isHeaderTold = true;
        yield { width: parts.width, height: parts.height, image: null, octaves: 0, isWhole: false };
      }
      const octaves = parts.ends.filter(({ end }) => end <= length).length;
      if (octaves > shown && octaves < parts.ends.length && !isDone) {
        shown = octaves;
        const image = await imageOf(here, { isBeginning: true, maxPixels });
        yield { width: parts.width, height: parts.height, image, octaves, isWhole: false };
      }
    }
    const image = await imageOf(bytes.subarray(0, length), { maxPixels });
    yield { width: image.width, height: image.height, image, octaves: parts?.ends.length ?? 0, isWhole: true };
  } finally {
    reader.cancel().catch(() => {});
  }
}

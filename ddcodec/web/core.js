// What a page's thread and its worker share: ddc.wasm, and the parts of a file that need no decoding.
// The words are those of FORMAT.md; the functions of ddc.wasm are those of ../native/ddc.h.

export const HEADER_BYTES = 30;

const FIELDS = [
  "width", "height", "planes", "depth", "headroom", "octaves", "coarsestPlanes", "finerPlanes", "finestChannels",
  "channels", "linear", "topChannels", "taps", "neighbours", "contextChannels", "base", "chunks", "detail", "bodyCrc",
  "samplesCrc",
];
const REQUEST_BYTES = 64;
const REQUEST = { octave: 0, isBeginning: 12, threads: 16, level: 28, code: 32, codeBytes: 40, costs: 52 };

const SENTENCES = {
  damaged: "This is no whole .ddc file: its header or its body is damaged.",
  stream: "The stream is damaged: it holds no possible symbol.",
  weights: "The file is damaged: a weight is out of its range.",
  code: "The file is damaged: an integer of the code is out of its range.",
  samples: "The file is damaged: the decoded picture does not have its checksum.",
  unsupported: "The file needs a newer decoder.",
  memory: "There is not enough memory for this picture.",
  argument: "The file has no picture of that size.",
  large: "The picture has more pixels than this page allows.",
  work: "The file would take far longer than a picture of its size may.",
  other: "The decoder failed.",
};
// The order of ddc_error.
const ERRORS = ["ok", "damaged", "stream", "weights", "code", "samples", "unsupported", "memory", "argument"];

const CHUNKS = { 1: "icc", 2: "exif", 3: "xmp", 4: "note", 5: "alpha", 6: "color", 7: "resolution" };
export const ALPHA = 5;
export const COLOR = 6;
const DISPLAY_P3 = [12, 13];
const DETAIL_PLANES = 2;
const FEATURES = 6;
// Products that any picture may take, and those for each pixel: four times those of the default network.
const LEAST_WORK = 4e9;
const PIXEL_WORK = 4 * 2120;

/** A file that cannot be decoded. `code` is a key of the sentences above. */
export class DdcError extends Error {
  constructor(code) {
    super(SENTENCES[code] ?? SENTENCES.other);
    this.name = "DdcError";
    this.code = code;
  }
}

/** The code of any error: a RangeError is an array that is too large. */
export function codeOf(error) {
  return error instanceof DdcError ? error.code : error instanceof RangeError ? "memory" : "other";
}

/** An instance of ddc.wasm. It serves for one call, so that its memory is given back. */
class Codec {
  static async of(module) {
    return new Codec((await WebAssembly.instantiate(module)).exports);
  }

  constructor(exports) {
    this.exports = exports;
    this.top = exports.__heap_base.value;
  }

  take(bytes) {
    const at = Math.ceil(this.top / 64) * 64;
    this.top = at + bytes;
    const missing = this.top - this.exports.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.exports.memory.grow(Math.ceil(missing / 65536));
      } catch {
        throw new DdcError("memory");
      }
    }
    return at;
  }

  put(bytes) {
    const at = this.take(bytes.length);
    new Uint8Array(this.exports.memory.buffer).set(bytes, at);
    return at;
  }

  view(at, bytes) {
    return new DataView(this.exports.memory.buffer, at, bytes);
  }

  check(error) {
    if (error) throw new DdcError(ERRORS[error]);
  }

  request(fields) {
    const at = this.take(REQUEST_BYTES);
    const view = this.view(at, REQUEST_BYTES);
    for (const [name, value] of Object.entries({ threads: 1, level: -1, ...fields }))
      view.setInt32(REQUEST[name], Number(value), true);
    return at;
  }

  decode(header, data, size, request, samples, samplesBytes) {
    const needed = Number(this.exports.ddc_memory(header, request));
    if (!needed) throw new DdcError("argument");
    const memory = this.take(needed);
    this.check(
      this.exports.ddc_decode(data, size, request, memory, BigInt(needed), samples, BigInt(samplesBytes)),
    );
  }

  header(at, size) {
    const place = this.take(4 * FIELDS.length);
    this.check(this.exports.ddc_read_header(at, size, place));
    const view = this.view(place, 4 * FIELDS.length);
    return { place, fields: Object.fromEntries(FIELDS.map((name, k) => [name, view.getUint32(4 * k, true)])) };
  }
}

// The octaves that have code, the coarsest first: {octave, planes, width, height}.
function codedOctaves(fields) {
  const coded = [];
  for (let octave = fields.octaves - 1; octave >= 0; octave--) {
    const filtered = octave === fields.octaves - 1 ? fields.coarsestPlanes : fields.finerPlanes;
    const planes = filtered + (octave ? 0 : DETAIL_PLANES * fields.detail);
    const [width, height] = [fields.width, fields.height].map((side) => Math.ceil(side / 2 ** octave));
    if (planes) coded.push({ octave, planes, width, height });
  }
  return coded;
}

// About the products of a decode: a header may ask for much more than its pixels.
function workOf(fields) {
  const { contextChannels: hidden, neighbours, planes, topChannels: top, finestChannels: finest, channels, taps } = fields;
  const inputs = neighbours + FEATURES + 1;
  let work = fields.width * fields.height * (top * finest + (finest + top + 9 * planes) * planes);
  for (let octave = 0; octave < fields.octaves; octave++) {
    const pixels = Math.ceil(fields.width / 2 ** octave) * Math.ceil(fields.height / 2 ** octave);
    const own = octave ? channels : finest;
    work += pixels * own * (channels / 4 + 3 * taps);
  }
  for (const { planes: coded, width, height } of codedOctaves(fields))
    work += coded * width * height * (hidden * (inputs + hidden) + 2 * (hidden + inputs) + 25 + finest);
  return work;
}

function checkLimits(fields, maxPixels) {
  const pixels = fields.width * fields.height;
  if (pixels > maxPixels) throw new DdcError("large");
  if (maxPixels < Infinity && workOf(fields) > LEAST_WORK + PIXEL_WORK * pixels) throw new DdcError("work");
}

/**
 * Decode to samples.
 *
 * octave: 0 for the whole picture, or that of a smaller one. isBeginning: octaves that are not there whole count as 0.
 * maxPixels: the most that the whole picture may have; Infinity lifts the limit of work, too.
 * Returns {fields, width, height, planes, depth, samples}: those of the header, and Uint8Array or Uint16Array samples, planes of a pixel together.
 */
export async function decodeSamples(module, bytes, { octave = 0, isBeginning = false, maxPixels = Infinity } = {}) {
  const codec = await Codec.of(module);
  const data = codec.put(bytes);
  const { place, fields } = codec.header(data, bytes.length);
  checkLimits(fields, maxPixels);
  const request = codec.request({ octave, isBeginning });
  const size = Number(codec.exports.ddc_samples_bytes(place, request));
  if (!size) throw new DdcError("argument");
  const samples = codec.take(size);
  codec.decode(place, data, bytes.length, request, samples, size);
  const buffer = codec.exports.memory.buffer.slice(samples, samples + size);
  return {
    fields,
    width: codec.exports.ddc_columns(place, octave),
    height: codec.exports.ddc_rows(place, octave),
    planes: fields.planes,
    depth: fields.depth ? 16 : 8,
    samples: fields.depth ? new Uint16Array(buffer) : new Uint8Array(buffer),
  };
}

/**
 * Read the code of a file.
 *
 * Returns {integers, costs}: an Int16Array, coarse to fine, plane by plane, and for each the 256ths of a bit it took.
 */
export async function readCode(module, bytes, { maxPixels = Infinity } = {}) {
  const codec = await Codec.of(module);
  const data = codec.put(bytes);
  const { place, fields } = codec.header(data, bytes.length);
  checkLimits(fields, maxPixels);
  const size = Number(codec.exports.ddc_code_bytes(place));
  const [code, costs] = [codec.take(size), codec.take(size)];
  codec.decode(place, data, bytes.length, codec.request({ code, codeBytes: size, costs }), 0, 0);
  const part = (at) => codec.exports.memory.buffer.slice(at, at + size);
  return { integers: new Int16Array(part(code)), costs: new Uint16Array(part(costs)) };
}

/** Read the header of a file, or of a beginning of at least 30 bytes: the fields of FORMAT.md, and `version`. */
export async function readHeader(module, bytes) {
  const codec = await Codec.of(module);
  const { fields } = codec.header(codec.put(bytes.subarray(0, HEADER_BYTES)), Math.min(bytes.length, HEADER_BYTES));
  return { version: codec.exports.ddc_version(), ...fields };
}

/**
 * Find what stands before the stream, in a file or a beginning of it.
 *
 * Returns the fields of the header; `parts`, a list {name, bytes}; `chunks`, id -> content; `ends`, for each coded
 * octave, the coarsest first, {octave, end, planes, width, height}, with the byte behind its last; `fileBytes`; and
 * `colorSpace`, a canvas's. Returns null for a beginning that ends too early.
 */
export function partsOf(fields, bytes) {
  let at = HEADER_BYTES;
  const take = (count) => ((at += count) <= bytes.length ? bytes.subarray(at - count, at) : null);
  const varint = () => {
    let value = 0;
    for (let k = 0; k < 4; k++) {
      const byte = take(1)?.[0];
      if (byte === undefined) return null;
      value |= (byte & 127) << (7 * k);
      if (byte < 128) return value;
    }
    throw new DdcError("damaged");
  };
  const chunks = {};
  const parts = [{ name: "header", bytes: HEADER_BYTES }];
  for (let k = 0; k < fields.chunks; k++) {
    const start = at;
    const id = take(1)?.[0];
    const length = id === undefined ? null : varint();
    const content = length === null ? null : take(length);
    if (!content) return null;
    chunks[id] ??= content;
    parts.push({ name: CHUNKS[id] ?? `chunk ${id}`, bytes: at - start });
  }
  const coded = codedOctaves(fields);
  const start = at;
  const words = [varint(), ...coded.map(varint)];
  if (words.includes(null)) return null;
  parts.push({ name: "section table", bytes: at - start });
  ["weights", ...coded.map(({ octave }) => `octave ${octave}`)].forEach((name, k) =>
    parts.push({ name, bytes: 4 * words[k] }),
  );
  let end = at + 4 * words[0];
  const ends = coded.map((octave, k) => ({ ...octave, end: (end += 4 * words[k + 1]) }));
  const isP3 = chunks[COLOR]?.length === 2 && DISPLAY_P3.every((code, k) => chunks[COLOR][k] === code);
  return { ...fields, parts, chunks, ends, fileBytes: end, colorSpace: isP3 ? "display-p3" : "srgb" };
}

/**
 * Decode to the pixels of a canvas.
 *
 * unpack: makes the content of a Zstandard frame; without one an alpha plane is left out.
 * Returns {width, height, pixels, colorSpace, notes}; `pixels` is a Uint8ClampedArray of RGBA.
 */
export async function decodePixels(module, bytes, options, unpack) {
  const { fields, width, height, planes, depth, samples } = await decodeSamples(module, bytes, options);
  const parts = partsOf(fields, bytes);
  const pixels = new Uint8ClampedArray(4 * width * height);
  const [green, blue] = planes === 3 ? [1, 2] : [0, 0];
  const unit = depth === 16 ? 257 : 1; // A clamped array rounds.
  for (let from = 0, to = 0; to < pixels.length; from += planes, to += 4) {
    pixels[to] = samples[from] / unit;
    pixels[to + 1] = samples[from + green] / unit;
    pixels[to + 2] = samples[from + blue] / unit;
    pixels[to + 3] = 255;
  }
  const notes = [];
  if (parts.chunks[ALPHA]) {
    const alpha = await alphaOf(parts, options?.octave ?? 0, unpack);
    if (alpha) for (let k = 0; k < alpha.length; k++) pixels[4 * k + 3] = alpha[k] / unit;
    else notes.push("This browser cannot unpack the transparency: the picture is shown opaque.");
  }
  if (!isKnownColor(parts)) notes.push("The picture has colours of its own; they are shown as sRGB.");
  return { width, height, pixels, colorSpace: parts.colorSpace, notes };
}

function isKnownColor({ chunks, colorSpace }) {
  const color = chunks[COLOR];
  if (color) return colorSpace === "display-p3" || (color.length === 2 && color[0] === 1 && color[1] === 13);
  return !chunks[1];
}

// The alpha plane, FORMAT.md, chapter 8; null if nothing unpacks it.
async function alphaOf({ width, height, depth, chunks }, octave, unpack) {
  const kind = chunks[ALPHA][0];
  if (!(kind <= 3)) throw new DdcError("damaged");
  const count = width * height;
  const size = depth ? 2 * count : count;
  const content = unpack && (await unpack(chunks[ALPHA].subarray(1), size));
  if (!content) return null;
  if (content.length !== size) throw new DdcError("damaged");
  const alpha = depth ? new Uint16Array(count) : new Uint8Array(count);
  for (let k = 0; k < count; k++) alpha[k] = depth ? (content[k] << 8) | content[count + k] : content[k];
  for (let y = 0, k = 0; y < height; y++)
    for (let x = 0; x < width; x++, k++) {
      if (kind & 1 && x) alpha[k] += alpha[k - 1];
      if (kind & 2 && y) alpha[k] += alpha[k - width] - (kind & 1 && x ? alpha[k - width - 1] : 0);
    }
  return octave ? means(alpha, width, height, 1 << octave) : alpha;
}

function means(plane, width, height, side) {
  const columns = Math.ceil(width / side);
  const rows = Math.ceil(height / side);
  const result = new plane.constructor(columns * rows);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      let count = 0;
      for (let v = y * side; v < Math.min(height, (y + 1) * side); v++)
        for (let u = x * side; u < Math.min(width, (x + 1) * side); u++, count++) sum += plane[v * width + u];
      result[y * columns + x] = Math.floor(sum / count + 0.5);
    }
  return result;
}

/** Unpack a Zstandard frame of at most `most` bytes by the browser; null where it cannot. */
export async function unpackByBrowser(frame, most) {
  let unpacker;
  try {
    unpacker = new DecompressionStream("zstd");
  } catch {
    return null;
  }
  const content = new Uint8Array(most);
  let length = 0;
  try {
    for await (const part of new Blob([frame]).stream().pipeThrough(unpacker)) {
      content.set(part, length); // a RangeError beyond `most`
      length += part.length;
    }
  } catch {
    throw new DdcError("damaged");
  }
  return content.subarray(0, length);
}

/** What is wrong with a file: see the sentence in `message`. */
export class DdcError extends Error {
  /** "damaged", "stream", "weights", "code" and "samples" are kinds of damage. */
  code:
    | "damaged" | "stream" | "weights" | "code" | "samples" // prettier-ignore
    | "unsupported" | "memory" | "argument" | "large" | "work" | "other";
}

export type Bytes = ArrayBuffer | ArrayBufferView;

export interface Options {
  /** 1, or a power of two for a picture of ceil(size / scale); most files have all up to 64. */
  scale?: number;
  /** A picture with more pixels is refused; 100,000,000 by default. Infinity lifts the limit of work, too. */
  maxPixels?: number;
}

export interface Picture extends ImageData {
  /** What the pixels do not show of the file, in sentences. */
  notes: string[];
}

/** Decode a file to the pixels of a canvas, in a worker. Display P3 stays Display P3. Rejects with a `DdcError`. */
export function decode(data: Bytes, options?: Options): Promise<Picture>;

/** Decode a file to its exact samples, without alpha, in this thread. Rejects with a `DdcError`. */
export function samples(
  data: Bytes,
  options?: Options,
): Promise<{ width: number; height: number; planes: 1 | 3; depth: 8 | 16; samples: Uint8Array | Uint16Array }>;

/** Read the integers of the code, coarse to fine, plane by plane, and the 256ths of a bit that each of them took. */
export function code(data: Bytes, options?: { maxPixels?: number }): Promise<{ integers: Int16Array; costs: Uint16Array }>;

export interface Info {
  width: number;
  height: number;
  planes: 1 | 3;
  octaves: number;
  /** Bytes of each part of the file, in the order of the file. */
  parts: { name: string; bytes: number }[];
  /** For each coded octave, the coarsest first, the bytes of the file up to its end. */
  ends: { octave: number; end: number; planes: number; width: number; height: number }[];
  fileBytes: number;
  colorSpace: PredefinedColorSpace;
}

/** Describe a file, or a beginning that has at least its section table. Rejects with a `DdcError`. */
export function info(data: Bytes): Promise<Info>;

export interface Preview {
  width: number;
  height: number;
  /** null once, as soon as the size is known. */
  image: Picture | null;
  /** Octaves that the picture is made of. */
  octaves: number;
  isWhole: boolean;
}

/**
 * Pictures while the bytes of a file still come: coarse, then sharper, then whole. Each is a decode at full size. What
 * stands behind the end of the file is not read. Throws a `DdcError`, or what the stream throws.
 */
export function pictures(stream: ReadableStream<Uint8Array>, options?: { maxPixels?: number }): AsyncGenerator<Preview>;

/** Where the decoder is, for a page that has it elsewhere than beside this module. */
export const settings: {
  wasm: () => BufferSource | Promise<BufferSource>;
  worker: () => Worker;
};

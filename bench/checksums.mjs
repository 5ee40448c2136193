// CRC-32 of the samples of files, by ddc.wasm in Node: node bench/checksums.mjs ddc.wasm FILES. Called by checksums.py.

import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { decodeSamples } from "../ddcodec/web/core.js";

const [wasm, ...files] = process.argv.slice(2);
const module = await WebAssembly.compile(readFileSync(wasm));
for (const file of files) {
  const { samples, depth } = await decodeSamples(module, new Uint8Array(readFileSync(file)));
  const bytes = Buffer.from(samples.buffer);
  console.log(crc32(depth === 16 ? bytes.swap16() : bytes).toString(16).padStart(8, "0"));
}

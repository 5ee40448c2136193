// Milliseconds of decodes by ddc.wasm in Node: node bench/decoders.mjs ddc.wasm RUNS FILE. Called by decoders.py.

import { readFileSync } from "node:fs";
import { decodeSamples } from "../ddcodec/web/core.js";

const [wasm, runs, file] = process.argv.slice(2);
const module = await WebAssembly.compile(readFileSync(wasm));
const bytes = new Uint8Array(readFileSync(file));
for (let k = 0; k < 3; k++) await decodeSamples(module, bytes);
const times = [];
for (let k = 0; k < Number(runs); k++) {
  const [cpu, wall] = [process.cpuUsage(), performance.now()];
  await decodeSamples(module, bytes);
  const { user, system } = process.cpuUsage(cpu);
  times.push([(user + system) / 1000, performance.now() - wall]);
}
console.log(JSON.stringify(times));

// Decodes in a thread of its own, so that the page stays alive.

import { codeOf, decodePixels, readCode, unpackByBrowser } from "./core.js";

let module;

self.onmessage = async ({ data: { id, wasm, bytes, options, wantsCode } }) => {
  if (wasm) {
    module = wasm;
    return;
  }
  try {
    if (wantsCode) {
      const result = await readCode(module, bytes, options);
      self.postMessage({ id, result }, [result.integers.buffer, result.costs.buffer]);
    } else {
      const result = await decodePixels(module, bytes, options, unpackByBrowser);
      self.postMessage({ id, result }, [result.pixels.buffer]);
    }
  } catch (error) {
    self.postMessage({ id, code: codeOf(error) });
  }
};

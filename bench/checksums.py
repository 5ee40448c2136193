"""The same file in every decoder: CRC-32 of the samples of the samples' files and of thirty vectors.

    python bench/checksums.py -o bench/results/checksums.tsv

The decoders are the witness of the tests, NumPy's, the one in C with each level of vectors, and ddc.wasm in wasmtime,
in Node, in Chromium and in Firefox, where they are there. A browser opens a page that decodes all files, and sends what
it found to this program. The table is written anew; the script fails if two decoders differ.
"""

import argparse
import functools
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from zlib import crc32

from ddcodec import web
from ddcodec.decoder import decode_file
from ddcodec.native.library import Library

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
SECONDS = 120
"""The most that a browser may take."""
BROWSERS = {
    "Chromium": ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir={profile}"),
    "Firefox": ("firefox-esr", "--headless", "--no-remote", "--profile", "{profile}"),
}
PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
import { samples } from "./ddc.js";
const table = Uint32Array.from({ length: 256 }, (_, k) => {
  for (let bit = 0; bit < 8; bit++) k = (k >>> 1) ^ (k & 1 ? 0xedb88320 : 0);
  return k;
});
function crc(bytes) {
  let value = ~0;
  for (const byte of bytes) value = (value >>> 8) ^ table[(value ^ byte) & 255];
  return (~value >>> 0).toString(16).padStart(8, "0");
}
const found = {};
for (const name of await (await fetch("names")).json()) {
  const { samples: made, depth } = await samples(await (await fetch(`files/${name}`)).arrayBuffer());
  const bytes = new Uint8Array(made.buffer);
  if (depth === 16) for (let k = 0; k < bytes.length; k += 2) [bytes[k], bytes[k + 1]] = [bytes[k + 1], bytes[k]];
  found[name] = crc(bytes);
}
await fetch("found", { method: "POST", body: JSON.stringify(found) });
</script>"""


def some_files():
    """The samples' files, and thirty vectors."""
    vectors = sorted((ROOT / "tests" / "vectors" / "valid").glob("*.ddc"))
    return [*sorted((ROOT / "samples").glob("*.ddc")), *vectors[:: len(vectors) // 30]]


def checksum(samples):
    return f"{crc32(samples.astype(samples.dtype.newbyteorder('>')).tobytes()):08x}"


def by_browser(words, files):
    """name -> checksum, as the page found them."""
    found, is_there = {}, threading.Event()

    class Desk(http.server.SimpleHTTPRequestHandler):
        extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

        def do_GET(self):
            name = self.path.rsplit("/", 1)[-1]
            made = {"page": ("text/html", PAGE.encode()), "names": ("text/plain", json.dumps([*files]).encode())}
            if name in files:
                made[name] = "application/octet-stream", files[name].read_bytes()
            if name not in made:
                return super().do_GET()
            kind, data = made[name]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self):
            found.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            is_there.set()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Desk, directory=web.FOLDER))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [word.format(profile=profile) for word in words]
        address = f"http://127.0.0.1:{server.server_port}/page"
        browser = subprocess.Popen([*command, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        is_there.wait(SECONDS)
        browser.terminate()
        browser.wait()
    server.shutdown()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    from test_web import Wasm
    from witness import decode as by_witness

    files = {path.name: path for path in some_files()}
    library = Library()
    levels = list(dict.fromkeys(library.level_name(level) for level in range(8)))
    made = {"witness": {}, "numpy": {}, **{f"native, {name}": {} for name in levels}, "wasmtime": {}}
    for name, path in files.items():
        data = path.read_bytes()
        made["witness"][name] = f"{crc32(by_witness(data).samples):08x}"
        made["numpy"][name] = checksum(decode_file(data, metadata=(), decoder="numpy").samples)
        for level, own in enumerate(levels):
            made[f"native, {own}"][name] = checksum(library.decode(data, level=level))
        made["wasmtime"][name] = checksum(Wasm().decode(data))
    if shutil.which("node"):
        words = ["node", Path(__file__).with_suffix(".mjs"), web.FOLDER / "ddc.wasm", *files.values()]
        made["Node"] = dict(zip(files, subprocess.check_output(list(map(str, words)), text=True).split()))
    for name, words in BROWSERS.items():
        if shutil.which(words[0]):
            made[name] = by_browser(words, files)
    lines = ["\t".join(["file", *made])]
    lines += ["\t".join([name, *(own.get(name, "none") for own in made.values())]) for name in files]
    options.output.write_text("\n".join(lines) + "\n", "utf-8")
    different = [name for name in files if len({own.get(name) for own in made.values()}) > 1]
    if different:
        sys.exit(f"Decoders differ: {', '.join(different)}")
    print(f"{len(made)} decoders agree on {len(files)} files.")


if __name__ == "__main__":
    main()

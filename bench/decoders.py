"""What decodes take: each decoder and level of vectors, and Pillow's AVIF at the same size, side by side in one run.

    python bench/decoders.py FILES.ddc... -o bench/results/decoders.tsv [--runs 9]

From the bytes in memory to samples in memory, medians of CPU and wall time after one run that is not counted; all
decoders of a file take their turns. Node runs ddc.wasm, and Chromium `decode` of ddc.js (wall time, the worker and its
messages included), where they are there. AVIF is one of about as many bytes, made of the decoded picture (of 8 bits).
"""

import argparse
import functools
import http.server
import json
import os
import shutil
import statistics
import subprocess
import threading
from io import BytesIO
from pathlib import Path
from time import perf_counter, process_time

# NumPy's products then keep to the thread that is counted.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from PIL import AvifImagePlugin, Image
from rows import Rows

import ddcodec
from ddcodec import web
from ddcodec.decoder import Limits, decode_file
from ddcodec.native.library import Library

COLUMNS = (
    "date", "machine", "version", "file", "width", "height", "bytes", "decoder", "threads", "runs", "cpu_ms", "wall_ms",
    "memory_mib",
)  # fmt: skip
NUMPY_PIXELS = 2_000_000
"""A larger picture takes NumPy half a minute: it decodes such a picture once."""


def avif_of(samples, size):
    """An AVIF of about `size` bytes."""
    picture, low, high = Image.fromarray(samples), 1, 100
    while low < high:
        quality = (low + high + 1) // 2
        file = BytesIO()
        picture.save(file, "AVIF", quality=quality, speed=8)
        low, high = (quality, high) if len(file.getvalue()) <= size else (low, quality - 1)
    file = BytesIO()
    picture.save(file, "AVIF", quality=low, speed=8)
    return file.getvalue()


def decoded_avif(data, threads):
    AvifImagePlugin.DEFAULT_MAX_THREADS = threads
    with Image.open(BytesIO(data)) as picture:
        picture.load()


def decoders(data, info):
    """(name, threads, bytes of memory or None, a function that decodes)."""
    library = Library()
    arch = info["arch"]
    names = list(dict.fromkeys(library.level_name(level) for level in range(8)))
    memory = library.memory(arch)
    for level, name in enumerate(names):
        # Levels below the best tell what other machines take.
        yield f"native, {name}", 1, memory, functools.partial(library.decode, data, level=level)
    numpy = functools.partial(decode_file, data, limits=Limits(0, 0), metadata=(), decoder="numpy")
    yield "numpy", 1, None, functools.partial(numpy, threads=1)
    avif = avif_of(ddcodec.decode(data), len(data))
    for threads in 1, 2:
        yield "AVIF, Pillow", threads, None, functools.partial(decoded_avif, avif, threads)


def measured(function, runs):
    """Medians of CPU and wall time of the runs after one, in ms."""
    times = []
    for _ in range(runs + 1):
        cpu, wall = process_time(), perf_counter()
        function()
        times.append((1000 * (process_time() - cpu), 1000 * (perf_counter() - wall)))
    return [statistics.median(column) for column in zip(*times[min(1, runs - 1) :])]


def by_node(path, runs):
    words = ["node", Path(__file__).with_suffix(".mjs"), web.FOLDER / "ddc.wasm", str(runs), path]
    times = json.loads(subprocess.check_output(list(map(str, words))))
    return [statistics.median(column) for column in zip(*times)]


def by_chromium(program, path, runs):
    """Median of the wall time of `decode` on a page, in ms."""
    from playwright.sync_api import sync_playwright

    class Quiet(http.server.SimpleHTTPRequestHandler):
        extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

        def do_GET(self):
            if self.path not in ("/empty", "/file"):
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if self.path == "/empty" else "application/octet-stream")
            self.end_headers()
            self.wfile.write(b"<!doctype html>" if self.path == "/empty" else Path(path).read_bytes())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=web.FOLDER))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = """async (runs) => {
      const { decode } = await import("./ddc.js");
      const bytes = await (await fetch("file")).arrayBuffer();
      const times = [];
      for (let k = 0; k < runs + 3; k++) {
        const start = performance.now();
        await decode(bytes);
        times.push(performance.now() - start);
      }
      return times.slice(3);
    }"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/empty")
        times = page.evaluate(script, runs)
        browser.close()
    server.shutdown()
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    rows = Rows(options.output, COLUMNS, ("date", "machine", "file", "decoder", "threads"))
    for path in options.files:
        data = path.read_bytes()
        info = ddcodec.read_info(data)
        about = ddcodec.__version__, path.name, info["width"], info["height"], len(data)
        is_large = info["width"] * info["height"] > NUMPY_PIXELS

        def add(decoder, threads, runs, cpu, wall, memory):
            cells = (cpu, wall, memory and memory / 2**20)
            values = ("" if value is None else f"{value:.4g}" for value in cells)
            rows.append([*about, decoder, threads, runs, *values])

        for decoder, threads, memory, function in decoders(data, info):
            runs = 1 if is_large and decoder in ("numpy", "native, plain C") else options.runs
            add(decoder, threads, runs, *measured(function, runs), memory)
        if shutil.which("node"):
            add("wasm, Node", 1, options.runs, *by_node(path, options.runs), None)
        if program := shutil.which("chromium"):
            add("wasm, Chromium", 1, options.runs, None, by_chromium(program, path, options.runs), None)


if __name__ == "__main__":
    main()

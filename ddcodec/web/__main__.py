"""Writes what is made of the sources: `python -m ddcodec.web`, with ziglang for `ddc.wasm`."""

from ..native.build import WASM, build, zig
from . import FOLDER, page

build(FOLDER, zig(), WASM)
(FOLDER / "index.html").write_text(page(), "utf-8")

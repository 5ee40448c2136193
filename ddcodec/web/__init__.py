"""The decoder of the browser: JavaScript around the codec in C as WebAssembly, and a page that has all in itself.

`python -m ddcodec.web` writes `ddc.wasm` and `index.html` anew; tests hold that they are those of their sources.
"""

import base64
import json
import re
import zlib
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ..version import __version__

FOLDER = Path(__file__).parent
"""Where the modules and the page are."""
TITLE = "Look at .ddc files"
"""The title of the page before it shows a file."""


def page(title: str = TITLE, given: dict[str, Any] | None = None) -> str:
    """Make a page that needs no other file.

    title: plain text.
    given: what the page shows, ready for JSON; None for a page on which files are dropped. It has "name"; "file", the
        bytes of a `.ddc` file in base64; "finest", the octave of whose size it is shown. It may have "original",
        {"name", "png"}; "measures", a list of texts; "alpha", a zlib stream of a byte for each pixel that is shown, in
        base64; "note", "profile", "network" and "colours", each a text or None.
    """
    template = Template((FOLDER / "page.html").read_text("utf-8"))
    return template.substitute(
        title=escape(title),
        # What was made of a file asks for nothing; the other page may load a file that a link names.
        connect="'none'" if given else "*",
        given=_for_html(json.dumps(given)),
        script=_script(),
        version=__version__,
    )


def _script():
    """All modules as one, with the decoder and the worker in it."""
    wasm = base64.b64encode(zlib.compress((FOLDER / "ddc.wasm").read_bytes(), 9)).decode()
    worker = _alone("core.js") + _alone("worker.js")
    here = f"""
const WORKER = {_for_html(json.dumps(worker))};
settings.wasm = () => inflated(fromBase64("{wasm}"));
settings.worker = () => new Worker(URL.createObjectURL(new Blob([WORKER], {{ type: "text/javascript" }})));
"""
    return _alone("core.js") + _alone("ddc.js") + here + _alone("page.js")


def _alone(name):
    """A module without its imports and exports, to stand beside the others."""
    text = (FOLDER / name).read_text("utf-8")
    text = re.sub(r"^(import .*? from|export \{.*?\}).*?;\n", "", text, flags=re.M | re.S)
    return re.sub(r"^export ", "", text, flags=re.M)


def _for_html(text):
    """JSON that no part of can end a script."""
    return text.replace("<", "\\u003c")

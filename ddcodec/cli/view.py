"""`ddcodec view`: make a page of a .ddc file and open it in the browser."""

import os
import sys
from typing import TYPE_CHECKING

import click

from ..errors import OutputError, UsageError
from . import offers
from .compare import check_alike, load
from .files import STANDARD, name_of, naming, passage, prepare_output, read_input, write_output
from .help import Command
from .options import limited, reading, talking, writing
from .talk import Talk, metadata_bytes, size_text

if TYPE_CHECKING:
    from ..viewer.view import View

NAME_MAX = 60
"""Most characters of the picture's name in that of a temporary file."""


@click.command(
    cls=Command,
    short_help="Look at a .ddc file in the browser.",
    epilog="""\b
Examples:
  ddcodec view photo.ddc
  ddcodec view photo.ddc photo.png
  ddcodec view photo.ddc photo.png -o photo.html --no-open --force""",
)
@reading("FILE", offers.is_ddc_name)
@reading("[ORIGINAL]", offers.is_either_name, "original", required=False)
@writing("Where to write the page; - is standard output.  [default: a temporary file]")
@click.option("--no-open", is_flag=True, help="Only write the page.")
@limited
@talking
def view(
    talk: Talk,
    input_: str,
    original: str | None,
    output: str | None,
    force: bool,
    no_open: bool,
    max_pixels: int,
    max_memory: int,
) -> None:
    """Make a page of FILE, a .ddc file, and open it in the browser: the picture, where its bytes and bits went, and its
    code.

    With ORIGINAL, a picture or another .ddc file, the page holds both against each other. Everything is in the page
    itself: it can be kept and sent. Without a display, and for a page on standard output, nothing is opened.
    """
    from ..decoder import Limits
    from ..format.files import ddc_bytes
    from ..viewer.page import html_of
    from ..viewer.view import against, read_view

    if input_ == original == STANDARD:
        raise UsageError("Only one of the two pictures can come from standard input.")
    if output is not None:
        for path in filter(None, (input_, original)):
            output = prepare_output(talk, path, output, force)
    limits = Limits(max_pixels, max_memory)
    data = read_input(input_, ddc_bytes)
    with naming(input_, data):
        shown = read_view(data, os.path.basename(name_of(input_)), limits=limits)
    if original is not None:
        picture, _ = load(original, limits)
        check_alike(picture, shown.picture, original, input_)
        shown = against(shown, picture, os.path.basename(name_of(original)))
    page = html_of(shown).encode()
    if output is None:
        output = _write_temporary(input_, page)
    else:
        write_output(talk, output, page, force)
    opened = _open(talk, output) if output != STANDARD and not no_open else False
    _summarise(talk, shown, opened, input_, original, output)


def _write_temporary(input_: str, page: bytes) -> str:
    """Write a page to a new temporary file, which nobody else may read, and return its path."""
    import tempfile

    from ..jobs.output import write_target

    stem = "picture" if input_ == STANDARD else os.path.splitext(os.path.basename(input_))[0][:NAME_MAX]
    try:
        descriptor, path = tempfile.mkstemp(".html", f"{stem}-")
    except OSError as error:
        raise OutputError(f"A temporary file cannot be made: {error.strerror or error}; name a file with -o.") from None
    os.close(descriptor)
    try:
        write_target(path, page, force=True)
    except BaseException:
        os.unlink(path)
        raise
    return path


def _open(talk: Talk, path: str) -> bool:
    """Let a browser show a page, and return whether one was told to.

    Without a display nothing is opened: Python would start a browser that takes the terminal.
    """
    import webbrowser
    from pathlib import Path

    seen = (
        os.name == "nt"
        or sys.platform == "darwin"
        or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    )
    opened = seen and webbrowser.open(Path(path).absolute().as_uri())
    if not opened:
        talk.note("there is no display, or no browser that can be started; the page is only written.")
    return opened


def _summarise(talk: Talk, shown: "View", opened: bool, input_: str, original: str | None, output: str) -> None:
    info, found = shown.info, shown.original.found if shown.original else None
    measured = {} if found is None else {"original": original, **found._asdict(), "identical": found.identical}
    decibels = f", PSNR {found.psnr:.2f} dB" if found else ""
    talk.say(
        f"{passage(input_, output)}: "
        f"{size_text(info['width'], info['height'], info['bytes'], metadata_bytes(info['sections']))}{decibels}"
    )
    talk.report(
        output=output,
        opened=opened,
        width=info["width"],
        height=info["height"],
        planes=info["planes"],
        scale=f"1/{1 << shown.finest}" if shown.finest else "1",
        bytes=info["bytes"],
        bpp=info["bpp"],
        sections=info["sections"],
        **measured,
    )

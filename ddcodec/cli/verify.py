"""`ddcodec verify`: check that .ddc files are whole and decode here to the samples whose checksum they hold."""

from time import monotonic
from typing import TYPE_CHECKING

import click

from . import offers
from .files import each_file, name_of, naming, read_input
from .help import Command
from .options import deciding, limited, reading, talking
from .talk import Talk, metadata_bytes, size_text

if TYPE_CHECKING:
    from ..decoder import Limits


@click.command(
    cls=Command,
    short_help="Check .ddc files.",
    epilog="""\b
Examples:
  ddcodec verify photo.ddc
  ddcodec verify a.ddc b.ddc --quiet""",
)
@reading("FILE...", offers.is_ddc_name, "paths", many=True)
@limited
@deciding
@talking
def verify(talk: Talk, paths: tuple[str, ...], max_pixels: int, max_memory: int, decoder: str | None) -> None:
    """Check all checksums of each FILE, a .ddc file, and decode it, its samples and its metadata included. Nothing is
    written.

    A file that fails does not stop the rest; the exit code then is 1, or that of the failure if there is only one file.
    """
    from ..decoder import Limits

    limits = Limits(max_pixels, max_memory)
    each_file(talk, paths, lambda path: _verify(talk, path, limits, decoder))


def _verify(talk: Talk, path: str, limits: "Limits", decoder: str | None) -> None:
    from ..decoder import decode_file
    from ..format.files import ddc_bytes, read_info

    start = monotonic()
    data = read_input(path, ddc_bytes)
    with naming(path, data):
        picture = decode_file(data, limits=limits, decoder=decoder)
        facts = read_info(data)
    seconds = monotonic() - start
    for note in picture.notes:
        talk.warn(f"{name_of(path)}: {note}")
    height, width = picture.samples.shape[:2]
    talk.say(
        f"{name_of(path)}: intact, {size_text(width, height, facts['bytes'], metadata_bytes(facts['sections']))}, "
        f"{seconds:.1f} s"
    )
    talk.report(
        width=width,
        height=height,
        planes=facts["planes"],
        bytes=facts["bytes"],
        trailing_bytes=facts["trailing_bytes"],
        samples_crc=facts["samples_crc"],
        seconds=seconds,
    )

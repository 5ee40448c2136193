"""`ddcodec verify`: is a .ddc file whole, and does this machine decode it to the samples that it promises?"""

from time import monotonic

import click

from .files import name_of, naming, read_input
from .options import limited, reading, talking
from .talk import size_text


@click.command(
    short_help="Check a .ddc file.",
    epilog="""\b
Example:
  ddcodec verify photo.ddc"""
)
@reading("FILE")
@limited
@talking
def verify(talk, input_, max_pixels, max_memory):
    """Check all checksums of FILE, a .ddc file, and decode it, its samples and its metadata included. Nothing is written."""
    from ..decoder import Limits, decode_file
    from ..syntax import read_info

    start = monotonic()
    data = read_input(input_)
    with naming(input_):
        samples = decode_file(data, limits=Limits(max_pixels, max_memory)).samples
        facts = read_info(data)
    seconds = monotonic() - start
    height, width = samples.shape[:2]
    talk.say(f"{name_of(input_)}: intact, {size_text(width, height, len(data))}, {seconds:.1f} s")
    talk.report(
        input=click.format_filename(input_),
        width=width,
        height=height,
        planes=facts["planes"],
        bytes=len(data),
        samples_crc=facts["samples_crc"],
        seconds=seconds,
    )

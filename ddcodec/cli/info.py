"""`ddcodec info`: what a .ddc file says of itself, without decoding it."""

from itertools import accumulate

import click

from .files import STANDARD, naming, read_input
from .options import reading, talking
from .talk import kind_text, section_table, size_text


@click.command(
    short_help="Show what is in a .ddc file, without decoding.",
    epilog="""\b
Examples:
  ddcodec info photo.ddc
  ddcodec info photo.ddc --json"""
)
@reading("FILE")
@talking
def info(talk, input_):
    """Show size, network and sections of FILE, a .ddc file, and where its bytes went. Nothing is decoded."""
    from ..metadata import kinds_of, read_metadata
    from ..syntax import read_info

    data = read_input(input_)
    with naming(input_):
        facts = read_info(data)
        note = read_metadata(data)["note"].decode(errors="replace") if "note" in kinds_of(data) else None
    name = STANDARD if input_ == STANDARD else click.format_filename(input_)
    if talk.json:
        return talk.report(input=name, **facts, note=note)
    lines = [
        f"{name}: {size_text(facts['width'], facts['height'], facts['bytes'])}",
        f"format version {facts['version']}, {kind_text(facts['planes'])}, {facts['depth']} bits a sample",
        f"profile {facts['profile']}, {facts['weights']} weights, {facts['macs_per_pixel']:.0f} multiplications a pixel",
        "network: " + ", ".join(f"{key} {value}" for key, value in facts["arch"].items() if key not in facts),
        f"CRC-32 of the samples: {facts['samples_crc']}",
        *_smaller(facts["sections"]),
        *([note] if note else []),
        "",
        *section_table(facts["sections"], facts["bytes"]),
    ]
    click.echo("\n".join(lines))


def _smaller(sections):
    """How much of the file is needed for a smaller picture, where that is not all: a line or none."""
    ends = dict(zip((section["name"] for section in sections), accumulate(section["bytes"] for section in sections)))
    parts = [f"1/{1 << octave} the first {ends[name]} bytes" for octave in (1, 2, 3) if (name := f"octave {octave}") in ends]
    return ["smaller pictures need less: " + ", ".join(parts)] if parts else []

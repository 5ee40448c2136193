"""`ddcodec info`: what .ddc files say of themselves, without decoding them."""

import click

from .files import each_file, naming, read_input
from .help import Command
from .options import reading, talking
from .talk import kind_text, section_table, size_text


@click.command(
    cls=Command,
    short_help="Show what is in .ddc files, without decoding.",
    epilog="""\b
Examples:
  ddcodec info photo.ddc
  ddcodec info a.ddc b.ddc --json"""
)
@reading("FILE...", "paths", many=True)
@talking
def info(talk, paths):
    """Show size, network and sections of each FILE, a .ddc file, and where its bytes went. Nothing is decoded.

    A file that fails does not stop the rest; the exit code then is 1, or that of the failure if there is only one file.
    """
    each_file(talk, paths, lambda path: _show(talk, path, several=len(paths) > 1))


def _show(talk, path, several):
    from ..metadata import kinds_of, read_metadata
    from ..syntax import read_info

    data = read_input(path)
    with naming(path):
        facts = read_info(data)
        note = read_metadata(data)["note"].decode(errors="replace") if "note" in kinds_of(data) else None
    if talk.json:
        return talk.report(**facts, note=note)
    lines = [
        f"{click.format_filename(path)}: {size_text(facts['width'], facts['height'], facts['bytes'])}",
        f"format version {facts['version']}, {kind_text(facts['planes'])}, {facts['depth']} bits a sample{', alpha' * facts['alpha']}",
        f"profile {facts['profile']}, {facts['weights']} weights, {facts['macs_per_pixel']:.0f} multiplications a pixel",
        "network: " + ", ".join(f"{key} {value}" for key, value in facts["arch"].items() if key not in facts),
        f"CRC-32 of the samples: {facts['samples_crc']}",
        *([note] if note else []),
        "",
        *section_table(facts["sections"], facts["bytes"]),
        *([""] if several else []),
    ]
    click.echo("\n".join(lines))

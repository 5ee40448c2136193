"""`ddcodec info`: show what .ddc files say of themselves, without decoding them."""

from collections.abc import Iterable

import click

from . import offers
from .files import each_file, naming, read_input
from .help import Command
from .options import reading, talking
from .talk import Talk, kind_text, metadata_bytes, section_table, size_text


@click.command(
    cls=Command,
    short_help="Show what is in .ddc files, without decoding.",
    epilog="""\b
Examples:
  ddcodec info photo.ddc
  ddcodec info a.ddc b.ddc --json""",
)
@reading("FILE...", offers.is_ddc_name, "paths", many=True)
@talking
def info(talk: Talk, paths: tuple[str, ...]) -> None:
    """Show size, network and sections of each FILE, a .ddc file, and where its bytes went. Nothing is decoded.

    A file that fails does not stop the rest; the exit code then is 1, or that of the failure if there is only one file.
    """
    each_file(talk, paths, lambda path: _show(talk, path, several=len(paths) > 1))


def _show(talk: Talk, path: str, several: bool) -> None:
    from ..decoder import TRAILING_BYTES
    from ..format.color import unpacked
    from ..format.files import ddc_bytes, read_info
    from ..format.metadata import read_metadata, unpacked_resolution
    from ..presets import tune_of_base

    data = read_input(path, ddc_bytes)
    with naming(path, data):
        facts = read_info(data)
        found = read_metadata(data, ("note", "color", "resolution"))
    note = found["note"].decode(errors="replace") if "note" in found else None
    color = unpacked(found["color"]) if "color" in found else None
    resolution = unpacked_resolution(found["resolution"]) if "resolution" in found else None
    metadata = metadata_bytes(facts["sections"])
    base_tune = tune_of_base(facts["arch"]["base"]) if facts["arch"]["base"] else None
    if talk.json:
        described = color and {**color._asdict(), "title": color.title()}
        return talk.report(
            **facts, base_tune=base_tune, metadata_bytes=metadata, color=described, resolution=resolution, note=note
        )
    lines = [
        f"{path}: {size_text(facts['width'], facts['height'], facts['bytes'], metadata)}",
        f"format version {facts['version']}, {kind_text(facts['planes'])}, {facts['depth']} bits a "
        f"sample{', alpha' * facts['alpha']}",
        f"profile {facts['profile']}, {f'base for {base_tune}, ' if base_tune else ''}{facts['weights']} weights, "
        f"{facts['macs_per_pixel']:.0f} multiplications a pixel",
        "network: " + ", ".join(f"{key} {value}" for key, value in facts["arch"].items() if key not in facts),
        f"CRC-32 of the samples: {facts['samples_crc']}",
        *([f"colours: {color.title()}"] if color else []),
        *([f"resolution: {_inches_text(resolution)} dpi"] if resolution else []),
        *([note] if note else []),
        *([TRAILING_BYTES] if facts["trailing_bytes"] else []),
        "",
        *section_table(facts["sections"], facts["bytes"]),
        *([""] if several else []),
    ]
    for line in lines:
        talk.show(line)


def _inches_text(resolution: Iterable[float]) -> str:
    """Write dots per inch: "300", or "300x150" where pixels are not square. resolution: pixels per metre."""
    from ..pictures.metadata import METRES_AN_INCH

    return "x".join(f"{round(METRES_AN_INCH * number, 1):g}" for number in dict.fromkeys(resolution))

"""`ddcodec decode`: .ddc files in, pictures out."""

import os
from dataclasses import dataclass, replace
from time import monotonic

import click

from ..errors import UsageError
from .batch import Made, carry_out
from .files import STANDARD, naming
from .options import batching, limited, reading, talking, writing

EXTENSIONS = {".png": "png", ".ppm": "ppm", ".pgm": "ppm", ".pnm": "ppm", ".npy": "npy"}
SCALES = {"1": 1, "1/2": 2, "1/4": 4, "1/8": 8}


@click.command(
    short_help="Make pictures of .ddc files.",
    epilog="""\b
Examples:
  ddcodec decode photo.ddc
  ddcodec decode photo.ddc -o thumbnail.png --scale 1/8
  ddcodec decode photo.ddc -o - --format ppm > photo.ppm
  ddcodec decode coded/ -r -o decoded/ -j 4"""
)
@reading("INPUT...", "inputs", many=True)
@writing("Where to write; - is standard output; of several inputs or a folder: a folder.  [default: INPUT with .png, or - for -]")
@click.option("--format", type=click.Choice(["png", "ppm", "npy"]), help="[default: as the name of the output says, else png]")
@click.option(
    "--scale",
    type=click.Choice(list(SCALES)),
    default="1",
    show_default=True,
    help="A smaller picture, from the first part of the file alone.",
)
@limited
@batching()
@talking
def decode(talk, batch, format, scale, max_pixels, max_memory):
    """Decode each INPUT, a .ddc file, to a PNG, PPM or NumPy file. INPUT - is standard input; a file of that name is ./-.

    Of several files, or a folder of them with -r, one that fails does not stop the others, and the exit code is 1.
    """
    from ..decoder import Limits

    format = format or ("png" if batch.is_into_folder() else _format_of(batch.output))
    carry_out(talk, Decoding(format, scale, Limits(max_pixels, max_memory)), batch)


@dataclass(frozen=True)
class Decoding:
    """What is done to a .ddc file; see `batch.carry_out`. scale: one of `SCALES`; limits: `decoder.Limits`; threads: or None for as many as are useful."""

    format: str
    scale: str
    limits: object
    threads: int | None = None

    done, sizes = "decoded", False

    @property
    def extension(self):
        return f".{self.format}"

    def wants(self, path):
        return path.lower().endswith(".ddc")

    def at_once(self):
        return 1

    def with_threads(self, count):
        return replace(self, threads=self.threads or count)

    def prepare(self, talk, name, data):
        """The `Made` of a file."""
        from ..decoder import decode_picture
        from ..metadata import kinds_of, read_metadata
        from ..pictures import encode_image_bytes

        start = monotonic()
        with naming(name):
            samples = decode_picture(data, scale=SCALES[self.scale], limits=self.limits, threads=self.threads)
            metadata = read_metadata(data) if self.format == "png" else {}
        if self.format != "png" and kinds_of(data):
            talk.say(f"Note: {name} also holds {' and '.join(kinds_of(data))}, which a {self.format.upper()} file cannot keep; a PNG can.")
        picture = encode_image_bytes(samples, self.format, metadata)
        height, width = samples.shape[:2]
        facts = {
            "format": self.format, "width": width, "height": height, "planes": 1 if samples.ndim == 2 else samples.shape[2],
            "scale": self.scale, "seconds": monotonic() - start,
        }  # fmt: skip
        return Made(picture, facts)

    def kind(self, made):
        return made.facts["width"], made.facts["height"]

    def finish(self, talk, made):
        return made

    def line(self, made):
        """ "768x512, 0.5 s" """
        return f"{made.facts['width']}x{made.facts['height']}, {made.facts['seconds']:.1f} s"

    def details(self, made):
        return ()


def _format_of(output):
    if output is None or output == STANDARD:
        return "png"
    extension = os.path.splitext(output)[1].lower()
    if extension not in EXTENSIONS:
        raise UsageError(
            f"The name {click.format_filename(output)} does not tell the format; "
            "let it end in .png, .ppm, .pgm or .npy, or add --format."
        )
    return EXTENSIONS[extension]

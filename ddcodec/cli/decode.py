"""`ddcodec decode`: .ddc files in, pictures out."""

import os
from dataclasses import dataclass, replace
from time import monotonic

import click

from ..errors import DamagedError, UsageError
from ..jobs.output import is_standard_output
from . import offers
from .batch import Made, carry_out
from .files import naming, say_lost
from .help import Command
from .options import batching, keeping, limited, reading, talking, writing

EXTENSIONS = {".png": "png", ".ppm": "ppm", ".pgm": "ppm", ".pnm": "ppm", ".npy": "npy"}
SCALES = {"1": 1, "1/2": 2, "1/4": 4, "1/8": 8}


@click.command(
    cls=Command,
    short_help="Make pictures of .ddc files.",
    epilog="""\b
Examples:
  ddcodec decode photo.ddc
  ddcodec decode photo.ddc -o thumbnail.png --scale 1/8
  ddcodec decode photo.ddc --preview --force
  ddcodec decode photo.ddc -o - --format ppm > photo.ppm
  ddcodec decode coded/ -r -o decoded/ -j 4""",
)
@reading("INPUT...", offers.is_ddc_name, "inputs", many=True)
@writing(
    "Where to write; - is standard output; of several inputs or a folder: a folder.  [default: INPUT with .png behind "
    "it, or - for -]"
)
@click.option(
    "--format", type=click.Choice(["png", "ppm", "npy"]), help="[default: as the name of the output says, else png]"
)
@click.option(
    "--scale",
    type=click.Choice(list(SCALES)),
    default="1",
    show_default=True,
    help="A smaller picture.",
)
@click.option("--preview", is_flag=True, help="Of a file that is cut off, show the octaves that are there.")
@keeping
@limited
@batching()
@talking
def decode(talk, batch, format, scale, preview, kinds, max_pixels, max_memory):
    """Decode each INPUT, a .ddc file, to a PNG, PPM or NumPy file. INPUT - is standard input; a file of that name is
    ./-.

    Without -o photo.ddc becomes photo.ddc.png, for photo.png is likely to be the original.

    Of several files, or a folder of them with -r, one that fails does not stop the others, and the exit code is 1.
    """
    from ..decoder import Limits

    format = format or ("png" if batch.is_into_folder() else _format_of(batch.output))
    carry_out(talk, Decoding(format, scale, Limits(max_pixels, max_memory), kinds, preview), batch)


@dataclass(frozen=True)
class Decoding:
    """What is done to a .ddc file; see `batch.carry_out`. scale: one of `SCALES`; limits: `decoder.Limits`; kinds: of
    metadata that are kept; preview: whether a file that is cut off shows what is there; threads: or None for as many as
    are useful.
    """

    format: str
    scale: str
    limits: object
    kinds: tuple
    preview: bool
    threads: int | None = None

    done, sizes, keeps_extension = "decoded", False, True

    @property
    def extension(self):
        return f".{self.format}"

    def wants(self, path):
        return offers.is_ddc_name(path)

    def bytes_of(self, beginning):
        from ..format.files import ddc_bytes

        return ddc_bytes(beginning)

    def at_once(self):
        return 1

    def with_threads(self, count):
        return replace(self, threads=self.threads or count)

    def prepare(self, talk, name, data):
        """The `Made` of a file."""
        from ..decoder import decode_file
        from ..format.metadata import kinds_of
        from ..partial import beginning_of
        from ..picture import bits_of
        from ..pictures.write import encode_image_bytes

        start = monotonic()
        # A file has the one or the other, whichever was named.
        kinds = {*self.kinds, "color", "icc"} if {"color", "icc"} & set(self.kinds) else self.kinds
        wanted = kinds if self.format == "png" else ()
        with naming(name, data):
            beginning = beginning_of(data)
            if beginning:
                picture, cut = self._of_beginning(talk, name, beginning, wanted)
            else:
                picture, cut = (
                    decode_file(
                        data, scale=SCALES[self.scale], limits=self.limits, threads=self.threads, metadata=wanted
                    ),
                    {},
                )
        say_lost(talk, name, self.format, [kind for kind in kinds_of(data) if kind in kinds], picture.alpha is not None)
        for note in picture.notes:
            talk.warn(f"{name}: {note}")
        samples = picture.samples
        height, width = samples.shape[:2]
        facts = {
            "format": self.format,
            "width": width,
            "height": height,
            "planes": 1 if samples.ndim == 2 else samples.shape[2],
            "depth": bits_of(samples),
            "alpha": picture.alpha is not None,
            "scale": self.scale,
            "complete": not beginning,
            **cut,
        }
        return Made(encode_image_bytes(picture, self.format), {**facts, "seconds": monotonic() - start})

    def _of_beginning(self, talk, name, beginning, wanted):
        """The `Picture` of a file that is cut off, and what JSON says of it beside."""
        from ..partial import decode_beginning

        there = f"cut off: {beginning.bytes:,} of {beginning.body.file_bytes:,} bytes are there"
        if not beginning.octaves:
            raise DamagedError(f"The file is {there}, too few for any picture.")
        if not self.preview:
            raise DamagedError(f"The file is {there}; --preview shows what they make.")
        picture, octaves = decode_beginning(
            beginning, scale=SCALES[self.scale], limits=self.limits, threads=self.threads, metadata=wanted
        )
        made_of = f"octaves {octaves[0]} to {octaves[-1]}" if len(octaves) > 1 else f"octave {octaves[0]}"
        coded = beginning.header.arch.coded_octaves
        talk.note(f"{name} is {there}; the picture is made of {made_of} of {coded[0]} to {coded[-1]}.")
        return picture, {"octaves": octaves}

    def kind(self, made):
        return made.facts["width"], made.facts["height"]

    def finish(self, talk, made):
        return made

    def line(self, made):
        """ "768x512, 0.5 s" """
        return f"{made.facts['width']}x{made.facts['height']}, {made.facts['seconds']:.1f} s"

    def note(self, job, made):
        return None

    def details(self, made):
        return ()


def _format_of(output):
    from ..pictures.kinds import is_picture_name

    if output is None or is_standard_output(output):
        return "png"
    extension = os.path.splitext(output)[1].lower()
    if extension not in EXTENSIONS:
        if is_picture_name(output):
            raise UsageError(
                f"{output} cannot be written: decode makes PNG, PPM and NumPy files. Let another program convert one, "
                f"such as: ddcodec decode in.ddc -o - | magick - out{extension}"
            )
        raise UsageError(
            f"The name {output} does not tell the format; let it end in .png, .ppm, .pgm or .npy, or add --format."
        )
    return EXTENSIONS[extension]

"""`ddcodec decode`: make pictures of .ddc files."""

import os
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from ..errors import DamagedError, UsageError
from ..jobs.output import is_standard_output
from . import offers
from .batch import Batch, Made, carry_out
from .files import naming, say_lost
from .help import Command
from .options import batching, deciding, keeping, limited, reading, talking, writing
from .talk import Talk

if TYPE_CHECKING:
    from ..decoder import Limits
    from ..jobs.files import Job
    from ..partial import Beginning
    from ..picture import Picture

EXTENSIONS = {".png": "png", ".ppm": "ppm", ".pgm": "ppm", ".pnm": "ppm", ".npy": "npy"}
"""Extension of an output -> format."""
SCALES = {"1": 1, "1/2": 2, "1/4": 4, "1/8": 8}
"""Value of --scale -> the divisor of both sides."""


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
@deciding
@batching()
@talking
def decode(
    talk: Talk,
    batch: Batch,
    format: str | None,
    scale: str,
    preview: bool,
    kinds: tuple[str, ...],
    max_pixels: int,
    max_memory: int,
    decoder: str | None,
) -> None:
    """Decode each INPUT, a .ddc file, to a PNG, PPM or NumPy file. INPUT - is standard input; a file of that name is
    ./-.

    Without -o photo.ddc becomes photo.ddc.png, for photo.png is likely to be the original.

    Of several files, or a folder of them with -r, one that fails does not stop the others, and the exit code is 1.
    """
    from ..decoder import Limits

    format = format or ("png" if batch.is_into_folder() else _format_of(batch.output))
    carry_out(talk, Decoding(format, scale, Limits(max_pixels, max_memory), kinds, preview, decoder), batch)


@dataclass(frozen=True)
class Decoding:
    """The work of `decode` on a .ddc file; its methods are those of `batch.Work`.

    format: "png", "ppm" or "npy". scale: a key of `SCALES`. kinds: of metadata to keep. preview: whether a file that is
    cut off is decoded as far as it goes. decoder: one of `DECODERS`, or None. threads: None for as many as are useful.
    """

    format: str
    scale: str
    limits: "Limits"
    kinds: tuple[str, ...]
    preview: bool
    decoder: str | None = None
    threads: int | None = None

    done, sizes, keeps_extension = "decoded", False, True

    @property
    def extension(self) -> str:
        return f".{self.format}"

    def wants(self, path: str) -> bool:
        return offers.is_ddc_name(path)

    def bytes_of(self, beginning: bytes) -> float:
        from ..format.files import ddc_bytes

        return ddc_bytes(beginning)

    def at_once(self) -> int:
        return 1

    def with_threads(self, count: int) -> "Decoding":
        return replace(self, threads=self.threads or count)

    def prepare(self, talk: Talk, name: str, data: bytes) -> Made:
        """Decode a file and write its picture as bytes."""
        from ..decoder import decode_file
        from ..format.metadata import kinds_of
        from ..partial import beginning_of
        from ..picture import bits_of
        from ..pictures.write import encode_image_bytes

        start = monotonic()
        # A file has one of these two, whichever was named.
        kinds = {*self.kinds, "color", "icc"} if {"color", "icc"} & set(self.kinds) else self.kinds
        wanted = kinds if self.format == "png" else ()
        with naming(name, data):
            beginning = beginning_of(data)
            if beginning:
                picture, cut = self._of_beginning(talk, name, beginning, wanted)
            else:
                picture, cut = (
                    decode_file(data, metadata=wanted, **self._settings()),
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

    def _settings(self) -> dict[str, Any]:
        scale = SCALES[self.scale]
        return {"scale": scale, "limits": self.limits, "threads": self.threads, "decoder": self.decoder}

    def _of_beginning(
        self, talk: Talk, name: str, beginning: "Beginning", wanted: Any
    ) -> tuple["Picture", dict[str, Any]]:
        """Decode what there is of a file that is cut off. Returns the picture, and fields for JSON."""
        from ..partial import decode_beginning

        there = f"cut off: {len(beginning.data):,} of {beginning.body.file_bytes:,} bytes are there"
        if not beginning.octaves:
            raise DamagedError(f"The file is {there}, too few for any picture.")
        if not self.preview:
            raise DamagedError(f"The file is {there}; --preview shows what they make.")
        picture, octaves = decode_beginning(beginning, metadata=wanted, **self._settings())
        made_of = f"octaves {octaves[0]} to {octaves[-1]}" if len(octaves) > 1 else f"octave {octaves[0]}"
        coded = beginning.header.arch.coded_octaves
        talk.note(f"{name} is {there}; the picture is made of {made_of} of {coded[0]} to {coded[-1]}.")
        return picture, {"octaves": octaves}

    def kind(self, made: Made) -> tuple[int, int]:
        return made.facts["width"], made.facts["height"]

    def finish(self, talk: Talk, made: list[Made]) -> list[Made]:
        return made

    def line(self, made: Made) -> str:
        """Write "768x512, 0.5 s"."""
        return f"{made.facts['width']}x{made.facts['height']}, {made.facts['seconds']:.1f} s"

    def note(self, job: "Job", made: Made) -> None:
        return None

    def details(self, made: Made) -> tuple[str, ...]:
        return ()


def _format_of(output: str | None) -> str:
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

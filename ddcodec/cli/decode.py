"""`ddcodec decode`: a .ddc file in, a picture out."""

import os
from time import monotonic

import click

from ..errors import DamagedError, UsageError
from .files import STANDARD, name_of, naming, prepare_output, read_input
from .help import Command
from .options import keeping, limited, reading, talking, writing

EXTENSIONS = {".png": "png", ".ppm": "ppm", ".pgm": "ppm", ".pnm": "ppm", ".npy": "npy"}
SCALES = {"1": 1, "1/2": 2, "1/4": 4, "1/8": 8}


@click.command(
    cls=Command,
    short_help="Make a picture of a .ddc file.",
    epilog="""\b
Examples:
  ddcodec decode photo.ddc
  ddcodec decode photo.ddc -o thumbnail.png --scale 1/8
  ddcodec decode photo.ddc --preview --force
  ddcodec decode photo.ddc -o - --format ppm > photo.ppm"""
)
@reading("INPUT")
@writing("Where to write; - is standard output.  [default: INPUT with .png, or - for -]")
@click.option("--format", type=click.Choice(["png", "ppm", "npy"]), help="[default: as the name of the output says, else png]")
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
@talking
def decode(talk, input_, output, force, format, scale, preview, kinds, max_pixels, max_memory):
    """Decode INPUT, a .ddc file, to a PNG, PPM or NumPy file. INPUT - is standard input; a file of that name is ./-."""
    from ..decoder import Limits, decode_file
    from ..metadata import kinds_of
    from ..output import write_target
    from ..partial import beginning_of
    from ..pictures import encode_image_bytes
    from ..samples import bits_of

    start = monotonic()
    format = format or _format_of(output)
    output = prepare_output(talk, input_, output, f".{format}", force)
    data = read_input(input_)
    limits = Limits(max_pixels, max_memory)
    with naming(input_):
        beginning = beginning_of(data)
        wanted = kinds if format == "png" else ()
        if beginning:
            picture, cut = _decode_beginning(talk, input_, beginning, preview, scale, limits, wanted)
        else:
            picture, cut = decode_file(data, scale=SCALES[scale], limits=limits, metadata=wanted), {}
    lost = [kind for kind in kinds_of(data) if kind in kinds and format != "png"] + ["alpha"] * (picture.alpha is not None and format == "ppm")
    if lost:
        talk.say(f"Note: {name_of(input_)} also holds {' and '.join(lost)}, which a {format.upper()} file cannot keep; a PNG can.")
    write_target(output, encode_image_bytes(picture, format), force=force)
    seconds = monotonic() - start
    samples = picture.samples
    height, width = samples.shape[:2]
    talk.say(f"{click.format_filename(input_)} -> {click.format_filename(output)}: {width}x{height}, {seconds:.1f} s")
    talk.report(
        input=click.format_filename(input_),
        output=click.format_filename(output),
        format=format,
        width=width,
        height=height,
        planes=1 if samples.ndim == 2 else samples.shape[2],
        depth=bits_of(samples),
        alpha=picture.alpha is not None,
        scale=scale,
        seconds=seconds,
        complete=not beginning,
        **cut,
    )


def _decode_beginning(talk, input_, beginning, preview, scale, limits, kinds):
    """The `Picture` of a file that is cut off, and what JSON says of them beside."""
    from ..partial import decode_beginning

    there = f"cut off: {beginning.bytes:,} of {beginning.body.file_bytes:,} bytes are there"
    if not beginning.octaves:
        raise DamagedError(f"The file is {there}, too few for any picture.")
    if not preview:
        raise DamagedError(f"The file is {there}; --preview shows what they make.")
    picture, octaves = decode_beginning(beginning, scale=SCALES[scale], limits=limits, metadata=kinds)
    made_of = f"octaves {octaves[0]} to {octaves[-1]}" if len(octaves) > 1 else f"octave {octaves[0]}"
    coded = beginning.header.arch.coded_octaves
    talk.say(f"Note: {name_of(input_)} is {there}; the picture is made of {made_of} of {coded[0]} to {coded[-1]}.")
    return picture, {"octaves": octaves}


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

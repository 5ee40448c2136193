"""`ddcodec compare`: how far a picture is from its original."""

import math

import click

from ..errors import UsageError
from .files import STANDARD, name_of, naming, read_input
from .options import limited, reading, talking
from .talk import kind_text, size_text


@click.command(
    short_help="Measure the difference between two pictures.",
    epilog="""\b
Examples:
  ddcodec compare photo.png photo.ddc
  ddcodec compare photo.png photo.jpg --json"""
)
@reading("REF", "reference")
@reading("DIST", "distorted")
@limited
@talking
def compare(talk, reference, distorted, max_pixels, max_memory):
    """Compare DIST with the original REF: PSNR and MS-SSIM. Either may be a picture or a .ddc file.

    MS-SSIM needs sides of at least 161 pixels, for its five scales; below, it is n/a (null in JSON). The PSNR of equal pictures is inf
    (null in JSON, with "identical": true).
    """
    from ..decoder import Limits
    from ..metrics import MS_SSIM_SIDE_MIN, ms_ssim, psnr

    if reference == distorted == STANDARD:
        raise UsageError("Only one of the two pictures can come from standard input.")
    limits = Limits(max_pixels, max_memory)
    original, _ = load(reference, limits)
    picture, count = load(distorted, limits)
    check_alike(original, picture, reference, distorted)
    height, width = picture.shape[:2]
    decibels, similarity = psnr(original, picture), ms_ssim(original, picture)
    if talk.json:
        coded = {"bytes": count, "bpp": 8 * count / (width * height)} if count else {}
        return talk.report(
            reference=click.format_filename(reference),
            distorted=click.format_filename(distorted),
            width=width,
            height=height,
            planes=_planes(picture),
            psnr=decibels if math.isfinite(decibels) else None,
            identical=math.isinf(decibels),
            ms_ssim=similarity,
            **coded,
        )
    if count:
        click.echo(f"{name_of(distorted)}: {size_text(width, height, count)}")
    click.echo(f"PSNR     {decibels:.2f} dB" if math.isfinite(decibels) else "PSNR     inf (the pictures are identical)")
    if similarity is None:
        click.echo(f"MS-SSIM  n/a (a side is shorter than {MS_SSIM_SIDE_MIN} pixels)")
    else:
        click.echo(f"MS-SSIM  {similarity:.5f}")


def load(path, limits):
    """Samples of a picture or of a `.ddc` file, told apart by their first bytes, and the bytes of the latter (else 0)."""
    from ..decoder import decode_picture
    from ..pictures import is_ddc, load_picture

    data = read_input(path)
    if not is_ddc(data):
        return load_picture(data, name=name_of(path)), 0
    with naming(path):
        return decode_picture(data, limits=limits), len(data)


def check_alike(original, picture, reference, distorted):
    """Refuse two arrays of samples that differ in size or kind; `reference` and `distorted` are their paths."""
    if original.shape != picture.shape:
        raise UsageError(
            f"The pictures cannot be compared: {name_of(reference)} is {_shape_text(original)}, "
            f"{name_of(distorted)} is {_shape_text(picture)}."
        )


def _shape_text(samples):
    return f"{samples.shape[1]}x{samples.shape[0]} {kind_text(_planes(samples))}"


def _planes(samples):
    return 1 if samples.ndim == 2 else samples.shape[2]

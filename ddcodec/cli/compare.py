"""`ddcodec compare`: measure how far pictures are from their original."""

import math
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from . import offers
from .files import STANDARD, each_file, name_of, naming, read_input
from .help import Command
from .options import limited, reading, talking
from .talk import Talk, kind_text, size_text

if TYPE_CHECKING:
    from ..decoder import Limits
    from ..picture import Picture


@click.command(
    cls=Command,
    short_help="Measure how far pictures are from their original.",
    epilog="""\b
Examples:
  ddcodec compare photo.png photo.ddc
  ddcodec compare photo.png photo.jpg photo.ddc --json""",
)
@reading("REF", offers.is_either_name, "reference")
@reading("DIST...", offers.is_either_name, "distorted", many=True)
@limited
@talking
def compare(talk: Talk, reference: str, distorted: tuple[str, ...], max_pixels: int, max_memory: int) -> None:
    """Compare each DIST with the original REF. Both may be pictures or .ddc files.

    PSNR, MS-SSIM, SSIMULACRA2 and PSNR-HVS-M rise with quality; Butteraugli (its 3-norm) falls to 0.

    Where the original has transparency, colours count where they can be seen, and alpha has a PSNR of its own.

    MS-SSIM needs sides of at least 161 pixels, for its five scales, the last three sides of 8; below, they are n/a
    (null in JSON). Butteraugli needs the program butteraugli_main of libjxl. The PSNR of equal pictures is inf (null in
    JSON, with "identical": true). A DIST that fails does not stop the rest; the exit code then is 1, or that of the
    failure if there is only one.
    """
    from ..decoder import Limits

    if (reference, *distorted).count(STANDARD) > 1:
        raise UsageError("Only one of the pictures can come from standard input.")
    limits = Limits(max_pixels, max_memory)
    talk.about = {"reference": reference}
    original, _ = load(reference, limits)
    each_file(
        talk,
        distorted,
        lambda path: _compare(talk, original, reference, path, limits, named=len(distorted) > 1),
        field="distorted",
    )


def _compare(talk: Talk, original: "Picture", reference: str, path: str, limits: "Limits", named: bool) -> None:
    from ..metrics import compared
    from ..metrics.ms_ssim import MS_SSIM_SIDE_MIN

    picture, count = load(path, limits)
    check_alike(original, picture, reference, path)
    height, width = picture.samples.shape[:2]
    found = compared(original, picture)
    if talk.json:
        coded = {"bytes": count, "bpp": 8 * count / (width * height)} if count else {}
        return talk.report(
            width=width,
            height=height,
            planes=_planes(picture.samples),
            psnr=found.psnr,
            alpha=found.psnr_alpha is not None,
            psnr_alpha=found.psnr_alpha,
            identical=found.identical,
            ms_ssim=found.ms_ssim,
            ssimulacra2=found.ssimulacra2,
            psnr_hvs_m=found.psnr_hvs_m,
            butteraugli=found.butteraugli,
            **coded,
        )
    if count or named:
        talk.show(f"{name_of(path)}: {size_text(width, height, count) if count else f'{width}x{height}'}")
    talk.show(
        f"PSNR         {found.psnr:.2f} dB"
        if math.isfinite(found.psnr)
        else f"PSNR         inf{' (the pictures are identical)' * found.identical}"
    )
    if found.psnr_alpha is not None:
        alpha = f"{found.psnr_alpha:.2f} dB" if math.isfinite(found.psnr_alpha) else "identical"
        talk.show(f"alpha        {alpha}")
    if found.ms_ssim is None:
        talk.show(f"MS-SSIM      n/a (a side is shorter than {MS_SSIM_SIDE_MIN} pixels)")
    else:
        talk.show(f"MS-SSIM      {found.ms_ssim:.5f}")
    if found.ssimulacra2 is not None:
        talk.show(f"SSIMULACRA2  {found.ssimulacra2:.2f}")
    if found.psnr_hvs_m is not None and math.isfinite(found.psnr_hvs_m):
        talk.show(f"PSNR-HVS-M   {found.psnr_hvs_m:.2f} dB")
    if found.butteraugli is not None:
        talk.show(f"Butteraugli  {found.butteraugli:.2f}")


def load(path: str, limits: "Limits") -> tuple["Picture", int]:
    """Read a picture file or decode a `.ddc` file, told apart by their first bytes.

    Returns the picture, and the bytes of a `.ddc` file, else 0. limits: of a `.ddc` file.

    Raises as `decoder.decode_file` and `pictures.read.read_picture` do.
    """
    from ..decoder import decode_file
    from ..format.files import read_info
    from ..pictures.kinds import either_bytes, is_ddc
    from ..pictures.read import read_picture

    data = read_input(path, either_bytes)
    if not is_ddc(data):
        return read_picture(data, name=name_of(path), metadata=()), 0
    with naming(path):
        return decode_file(data, limits=limits, metadata=()), read_info(data)["bytes"]


def check_alike(original: "Picture", picture: "Picture", reference: str, distorted: str) -> None:
    """Raise `UsageError` for two pictures that differ in size or kind. reference, distorted: their paths."""
    if original.samples.shape != picture.samples.shape:
        raise UsageError(
            f"The pictures cannot be compared: {name_of(reference)} is {_shape_text(original.samples)}, "
            f"{name_of(distorted)} is {_shape_text(picture.samples)}."
        )


def _shape_text(samples: Any) -> str:
    return f"{samples.shape[1]}x{samples.shape[0]} {kind_text(_planes(samples))}"


def _planes(samples: Any) -> int:
    return 1 if samples.ndim == 2 else samples.shape[2]

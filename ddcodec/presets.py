"""Efforts, profiles and the quality scale: the rows of `presets.toml`, and what they mean for a picture."""

import tomllib
from functools import cache
from importlib.resources import files
from math import log

from .format.arch import Arch, base_arch

EFFORTS = range(1, 10)
"""All efforts; the rows of `presets.toml` give their steps."""
DEFAULT_EFFORT = 5
"""The effort if none is given."""
DEFAULT_QUALITY = 75
"""The quality if no rate is given."""
PROFILES = ("default", "classic")
"""All profiles: the usual one, and the plain deep decoder."""
TUNES = ("eye", "psnr")
"""What a fit makes good: the picture to the eye, or its PSNR."""
DEFAULT_TUNE = "eye"
"""The tune if none is given."""
LARGE_PIXELS, FEWER = 2**21, 0.4
"""Above so many pixels the steps of an effort go with the pixels to the power of minus this, so that its time grows
less than in proportion: the weights see as many pixels in fewer steps (bench/notebook/pictures.md).
"""
FINE_PIXELS = 2**14
"""Least pixels of a picture whose code gets finer at high rates: all weights then cost some bits more."""
BASE_CHOICES = ("auto", "none")
"""Values of the option `base`: the base of the nearest lambda, or a fit from random weights."""


@cache
def _rows():
    return tomllib.loads(files("ddcodec").joinpath("presets.toml").read_text("utf-8"))


def iterations_of(effort: int, pixels: int | None = None) -> int:
    """Look up the steps of a fit at an effort, 1..9.

    pixels: of the picture; None for any up to `LARGE_PIXELS`. Larger ones take fewer steps, but never fewer than effort
    1 has for others.
    """
    steps: int = _rows()["efforts"][str(effort)]
    least = min(steps, _rows()["efforts"]["1"])
    return max(least, round(steps * max(1, (pixels or 0) / LARGE_PIXELS) ** -FEWER))


def lambda_of_quality(quality: float, pixels: int | None = None, tune: str = DEFAULT_TUNE) -> float:
    """Compute the lambda at which a fit has about the visual quality of a JPEG of this quality.

    lambda = at_50 (S / 100)^power, with the tune's numbers of `presets.toml`. S is the per cent by which libjpeg scales
    its quantisation tables. It is 5000 / quality up to 50 and 200 - 2 quality above, here at least 0.2. Visual quality
    is SSIMULACRA2, the mean over photographs (bench/notebook/eye.md).

    For fewer pixels than `least_pixels` of `presets.toml`, lambda is smaller in proportion. A bit counts then as in a
    picture of that many; otherwise a few weights would cost too much for such a picture.

    quality: 1..100. pixels: of the picture; None for many. tune: one of `TUNES`.

    Returns the distortion that one bit per pixel is worth.
    """
    row = _rows()["quality"]
    scale = 5000 / quality if quality <= 50 else max(0.2, 200 - 2 * quality)
    lambda_ = row[tune]["at_50"] * (scale / 100) ** row[tune]["power"]
    return lambda_ if pixels is None else lambda_ * min(1, pixels / row["least_pixels"])


def bases_for(tune: str) -> dict[int, float]:
    """Return the bases that were learned for a tune, each with the lambda that it was learned for, greatest first."""
    row = _rows()["profiles"]["default"]
    return dict(enumerate(row["lambdas"], row["first_base"][tune]))


def nearest_base(lambda_: float, tune: str = DEFAULT_TUNE) -> int:
    """Find the base of a tune that was learned for the lambda nearest to this one on a logarithmic scale."""
    lambdas = bases_for(tune)
    return min(lambdas, key=lambda base: abs(log(lambda_ / lambdas[base])))


def tune_of_base(base: int) -> str:
    """Return the tune that a base was learned for. base: 1..10, which is not checked."""
    return next(tune for tune in TUNES if base in bases_for(tune))


def normalises(profile: str) -> bool:
    """Whether a profile is fitted with channel normalisation, which is folded into its weights later."""
    return _rows()["profiles"][profile]["normalise"]


def arch_of(
    profile: str,
    height: int,
    width: int,
    planes: int,
    lambda_: float,
    *,
    tune: str = DEFAULT_TUNE,
    drawn: bool = False,
    warm: bool = True,
    depth: int = 0,
) -> Arch:
    """Make the `Arch` of a profile for a picture.

    drawn: whether the picture is a drawing or a screen. These start from the bases of squared error with either tune,
    since those keep letters sharper. warm: with the base of the nearest lambda, if the profile has bases. depth: 0 for
    8 bits a sample, 1 for 16.
    """
    row = _rows()["profiles"][profile]
    if "lambdas" in row:
        has_detail = planes == 3 and width * height >= FINE_PIXELS and lambda_ < row["detail_below"][tune]
        base = nearest_base(lambda_, "psnr" if drawn else tune) if warm else 0
        return base_arch(width, height, planes, base, depth, detail=int(warm and has_detail))
    shape = next(s for s in row["shapes"] if lambda_ <= s["lambda"])
    octaves = 1
    while octaves < row["most_octaves"] and max(height, width) > row["coarsest_side"] << octaves - 1:
        octaves += 1
    numbers = {name: value for name, value in shape.items() if name != "lambda"}
    return Arch(width=width, height=height, planes=planes, octaves=octaves, depth=depth, **numbers)

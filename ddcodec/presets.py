"""Efforts, profiles and the quality scale: the rows of `presets.toml` and what they mean for a picture."""

import tomllib
from functools import cache
from importlib.resources import files
from math import log

from .format.arch import Arch, base_arch

EFFORTS = range(1, 10)
DEFAULT_EFFORT = 5
DEFAULT_QUALITY = 75
PROFILES = ("default", "classic")
BASE_CHOICES = ("auto", "none")


@cache
def _rows():
    return tomllib.loads(files("ddcodec").joinpath("presets.toml").read_text("utf-8"))


def iterations_of(effort):
    """Steps of a fit at effort 1..9."""
    return _rows()["efforts"][str(effort)]


def lambda_of_quality(quality, pixels=None):
    """The lambda (MSE of samples in [0, 1] per bpp) at which a fit of a picture of so many pixels has about the PSNR of
    a JPEG of this quality (1..100). pixels: None for many.

    lambda = at_50 (S / 100)^power with the numbers of `presets.toml`, where S is the per cent by which libjpeg scales
    its quantisation tables: 5000 / quality up to 50, 200 - 2 quality above, here at least 2. The logarithms of S and of
    lambda are both nearly linear in PSNR. Of fewer pixels than `least_pixels` there lambda is as much smaller: a bit
    counts as in a picture of that many, or a few weights would be too dear for one.
    """
    row = _rows()["quality"]
    scale = 5000 / quality if quality <= 50 else max(2, 200 - 2 * quality)
    lambda_ = row["at_50"] * (scale / 100) ** row["power"]
    return lambda_ if pixels is None else lambda_ * min(1, pixels / row["least_pixels"])


def base_lambdas():
    """Those for which bases 1, 2, ... were learned."""
    return _rows()["profiles"]["default"]["lambdas"]


def nearest_base(lambda_):
    """The number of the base that was learned for the lambda nearest to this one."""
    distances = [abs(log(lambda_ / other)) for other in base_lambdas()]
    return 1 + distances.index(min(distances))


def normalises(profile):
    """Whether a profile is fitted with channel normalisation, folded into its weights later."""
    return _rows()["profiles"][profile]["normalise"]


def arch_of(profile, height, width, planes, lambda_, *, warm=True, depth=0):
    """The `Arch` of a profile for a picture. warm: with the base of the nearest lambda, if the profile has bases.
    depth: 0 for 8 bits a sample, 1 for 16.
    """
    row = _rows()["profiles"][profile]
    if "lambdas" in row:
        return base_arch(width, height, planes, nearest_base(lambda_) if warm else 0, depth)
    shape = next(s for s in row["shapes"] if lambda_ <= s["lambda"])
    octaves = 1
    while octaves < row["most_octaves"] and max(height, width) > row["coarsest_side"] << octaves - 1:
        octaves += 1
    numbers = {name: value for name, value in shape.items() if name != "lambda"}
    return Arch(width=width, height=height, planes=planes, octaves=octaves, depth=depth, **numbers)

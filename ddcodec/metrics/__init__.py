"""Measures of the distance from a picture to its original."""

import math
from typing import NamedTuple

import numpy as np

from ..picture import Picture, peak_of
from .butteraugli import butteraugli
from .ms_ssim import ms_ssim
from .psnr import psnr, psnr_hvs_m
from .ssimulacra2 import ssimulacra2


class Comparison(NamedTuple):
    """Distances of a picture from its original.

    psnr: PSNR in dB of the colours, where they can be seen.
    ms_ssim: MS-SSIM of the same, or None for a picture that is too small.
    psnr_alpha: PSNR in dB of alpha, or None if both pictures are opaque.
    ssimulacra2: SSIMULACRA2 of the colours, or None as `ssimulacra2` has it.
    psnr_hvs_m: PSNR-HVS-M in dB of the colours' luma, or None for a picture that is too small.
    butteraugli: Butteraugli's 3-norm of the colours, or None as `butteraugli` has it.
    """

    psnr: float
    ms_ssim: float | None
    psnr_alpha: float | None
    ssimulacra2: float | None
    psnr_hvs_m: float | None
    butteraugli: float | None

    @property
    def identical(self) -> bool:
        """Whether nobody can see a difference."""
        return math.isinf(self.psnr) and self.psnr_alpha in (None, math.inf)


def compared(original: Picture, picture: Picture) -> Comparison:
    """Compare two `Picture`s of one shape."""
    seen, alphas = None if original.alpha is None else original.alpha > 0, None
    a, b = original.samples, picture.samples
    if not original.alpha is picture.alpha is None:
        alphas = psnr(
            *(
                np.full_like(each.samples, peak_of(each.samples), shape=a.shape[:2])
                if each.alpha is None
                else each.alpha
                for each in (original, picture)
            )
        )
    hidden = [
        each if seen is None else np.where(seen.reshape(seen.shape + (1,) * (each.ndim - 2)), each, 0)
        for each in (a, b)
    ]
    return Comparison(
        psnr(a, b, where=seen),
        ms_ssim(*hidden),
        alphas,
        ssimulacra2(*hidden),
        psnr_hvs_m(*hidden),
        butteraugli(*hidden),
    )

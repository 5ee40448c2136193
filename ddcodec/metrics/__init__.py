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
    shown = with_hidden_of(a, b, original.alpha)
    return Comparison(
        psnr(a, b, where=seen),
        ms_ssim(a, shown),
        alphas,
        ssimulacra2(a, shown),
        psnr_hvs_m(a, shown),
        butteraugli(a, shown),
    )


def with_hidden_of(original: np.ndarray, samples: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Replace the samples that cannot be seen by those of the original, so that no measure counts them.

    original, samples: (H, W) or (H, W, 3). alpha: (H, W) of the original, 0 where nothing is seen; None if all is.
    """
    if alpha is None:
        return samples
    seen = alpha > 0
    return np.where(seen if samples.ndim == 2 else seen[:, :, None], samples, original)

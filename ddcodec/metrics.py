"""How far a picture is from its original: PSNR of all samples and of luma, and MS-SSIM, in NumPy; SSIMULACRA2 where it
is installed.
"""

import io
import math
from typing import NamedTuple

import numpy as np

from .picture import deep, peak_of

PEAK = 255
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW_TAPS, WINDOW_SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03

MS_SSIM_SIDE_MIN = (WINDOW_TAPS - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
"""161 pixels: below, the window does not fit into the coarsest of the five scales."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601, as in JPEG)."""

SSIMULACRA2_SIDE_MIN = 8

STRIP_ROWS = 256


def psnr(a, b, where=None):
    """Peak signal-to-noise ratio in dB over all samples of two arrays of one shape, uint8 or uint16; `math.inf` if they
    are equal.

    where: bool (H, W), the pixels that count.
    """
    squares, count = 0, a.size
    if a.dtype != b.dtype:
        a, b = deep(a), deep(b)
    if where is not None:
        count = a[where].size
    for start in range(0, len(a), STRIP_ROWS):
        strip = slice(start, start + STRIP_ROWS)
        difference = a[strip].astype(np.int64) - b[strip]
        if where is not None:
            difference = difference[where[strip]]
        squares += int(np.vdot(difference, difference))
    return 10 * math.log10(peak_of(a) ** 2 * count / squares) if squares else math.inf


class Comparison(NamedTuple):
    """How far a picture is from its original: `psnr` and `ms_ssim` (or None) of the colours where they can be seen,
    `psnr_alpha` of alpha, None if both are opaque.
    """

    psnr: float
    ms_ssim: float | None
    psnr_alpha: float | None

    @property
    def identical(self):
        """Whether nobody can see a difference."""
        return math.isinf(self.psnr) and self.psnr_alpha in (None, math.inf)


def compared(original, picture):
    """The `Comparison` of two `pictures.Picture`s of one shape."""
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
    return Comparison(psnr(a, b, where=seen), ms_ssim(*hidden), alphas)


def psnr_luma(a, b):
    """PSNR in dB of the luma of two uint8 arrays of one shape, (H, W, 3) or, being luma already, (H, W); luma is not
    rounded.
    """
    if a.ndim == 2:
        return psnr(a, b)
    squares = 0.0
    for start in range(0, len(a), STRIP_ROWS):
        strip = slice(start, start + STRIP_ROWS)
        difference = (a[strip].astype(np.int16) - b[strip]) @ np.array(LUMA)
        squares += float(np.vdot(difference, difference))
    return 10 * math.log10(PEAK**2 * a.shape[0] * a.shape[1] / squares) if squares else math.inf


def ssimulacra2(a, b):
    """SSIMULACRA2 (Sneyers, Cloudinary 2022; at most 100, for equal pictures) of two uint8 arrays of one shape, (H, W)
    or (H, W, 3).

    `None` without the package ssimulacra2, or if a side is shorter than `SSIMULACRA2_SIDE_MIN`.
    """
    if min(a.shape[:2]) < SSIMULACRA2_SIDE_MIN:
        return None
    try:
        from ssimulacra2 import compute_ssimulacra2
    except ImportError:
        return None
    return float(compute_ssimulacra2(_as_file(a), _as_file(b)))


def ms_ssim(a, b):
    """Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003) of two arrays of one shape, (H, W) or (H, W, C),
    uint8 or uint16.

    The mean over the channels, 1 for equal pictures. `None` if a side is shorter than `MS_SSIM_SIDE_MIN`: fewer scales
    would give a number that cannot be compared with others. Agrees with pytorch-msssim 1.0.0, also in the two places
    where the paper leaves a choice: odd sides are padded with zeros before halving, and a negative similarity counts as
    0.
    """
    if min(a.shape[:2]) < MS_SSIM_SIDE_MIN:
        return None
    if a.ndim == 2:
        a, b = a[:, :, None], b[:, :, None]
    channels = (
        _ms_ssim_of_channel(*(each[:, :, c] * (PEAK / peak_of(each)) for each in (a, b))) for c in range(a.shape[2])
    )
    return float(np.mean(list(channels)))


def ssim(a, b):
    """Structural similarity of two (H, W) arrays in 0..255, each side >= 11: the mean over all places where the window
    fits, and the mean of its contrast-structure part alone.
    """
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a = _blur(a * a) - mean_a**2
    variance_b = _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luminance * structure).mean()), float(structure.mean())


def _ms_ssim_of_channel(a, b):
    result = 1.0
    for weight in SCALE_WEIGHTS[:-1]:
        result *= max(ssim(a, b)[1], 0.0) ** weight
        a, b = _halve(a), _halve(b)
    return result * max(ssim(a, b)[0], 0.0) ** SCALE_WEIGHTS[-1]


def _as_file(samples):
    """A picture in memory in the simplest format that every reader knows, PPM or PGM."""
    kind = b"P6" if samples.ndim == 3 else b"P5"
    return io.BytesIO(
        kind + b" %d %d 255\n" % (samples.shape[1], samples.shape[0]) + np.ascontiguousarray(samples).tobytes()
    )


def _halve(plane):
    """Means of 2x2 samples; an odd side begins and ends with a zero (so the last one falls off), as in
    pytorch-msssim.
    """
    rows, columns = plane.shape
    padded = np.pad(plane, ((rows % 2, rows % 2), (columns % 2, columns % 2)))
    rows, columns = padded.shape[0] // 2, padded.shape[1] // 2
    return padded[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean((1, 3))


def _blur(plane):
    """Separable Gaussian window, only where it lies inside the plane: (H, W) -> (H - 10, W - 10)."""
    offsets = np.arange(WINDOW_TAPS) - WINDOW_TAPS // 2
    taps = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA**2))
    taps /= taps.sum()
    rows, columns = (side - WINDOW_TAPS + 1 for side in plane.shape)
    plane = sum(tap * plane[i : i + rows] for i, tap in enumerate(taps))
    return sum(tap * plane[:, i : i + columns] for i, tap in enumerate(taps))

"""Measures of the distance from a picture to its original: PSNR, PSNR of luma and MS-SSIM in NumPy.

SSIMULACRA2 is computed where its package is installed (extra `bench`).
"""

import io
import math
from typing import NamedTuple

import numpy as np

from .picture import Picture, deep, peak_of, shallow

PEAK = 255
"""White of the range in which luma and MS-SSIM are computed."""

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales of MS-SSIM, the finest first (Wang, Simoncelli, Bovik 2003)."""

WINDOW_TAPS = 11
"""Side of the Gaussian window of SSIM in pixels (Wang, Bovik, Sheikh, Simoncelli 2004)."""

WINDOW_SIGMA = 1.5
"""Standard deviation of that window in pixels."""

K1, K2 = 0.01, 0.03
"""Constants that keep quotients of SSIM stable, of the same paper: of luminance, and of contrast and structure."""

MS_SSIM_SIDE_MIN = (WINDOW_TAPS - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
"""Shortest side of a picture for MS-SSIM, 161 pixels. Below, the window does not fit into the coarsest scale."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601, as in JPEG)."""

SSIMULACRA2_SIDE_MIN = 8
"""Shortest side of a picture for SSIMULACRA2, in pixels."""

STRIP_ROWS = 256
"""Rows whose squares are summed at once, so that little memory is taken."""


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray | None = None) -> float:
    """Compute the peak signal-to-noise ratio in dB over all samples; `math.inf` for equal arrays.

    a, b: uint8 or uint16 of one shape. If one has 16 bits, the other is taken to 16 bits.
    where: bool (H, W), the pixels that count; None for all.
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
    """Distances of a picture from its original.

    psnr: PSNR in dB of the colours, where they can be seen.
    ms_ssim: MS-SSIM of the same, or None for a picture that is too small.
    psnr_alpha: PSNR in dB of alpha, or None if both pictures are opaque.
    ssimulacra2: SSIMULACRA2 of the colours, or None as `ssimulacra2` has it.
    """

    psnr: float
    ms_ssim: float | None
    psnr_alpha: float | None
    ssimulacra2: float | None

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
    return Comparison(psnr(a, b, where=seen), ms_ssim(*hidden), alphas, ssimulacra2(*hidden))


def psnr_luma(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the PSNR in dB of luma, which is not rounded; `math.inf` for equal luma.

    a, b: uint8 of one shape, (H, W, 3), or (H, W) for luma itself.
    """
    if a.ndim == 2:
        return psnr(a, b)
    squares = 0.0
    for start in range(0, len(a), STRIP_ROWS):
        strip = slice(start, start + STRIP_ROWS)
        difference = (a[strip].astype(np.int16) - b[strip]) @ np.array(LUMA)
        squares += float(np.vdot(difference, difference))
    return 10 * math.log10(PEAK**2 * a.shape[0] * a.shape[1] / squares) if squares else math.inf


def ssimulacra2(a: np.ndarray, b: np.ndarray) -> float | None:
    """Compute SSIMULACRA2 (Sneyers, Cloudinary 2022): at most 100, for equal pictures.

    a, b: uint8 or uint16 of one shape, (H, W) or (H, W, 3); 16 bits are rounded to 8.

    Returns None without the package ssimulacra2, and if a side is shorter than `SSIMULACRA2_SIDE_MIN`.
    """
    if min(a.shape[:2]) < SSIMULACRA2_SIDE_MIN:
        return None
    try:
        from ssimulacra2 import compute_ssimulacra2
    except ImportError:
        return None
    return float(compute_ssimulacra2(_as_file(a), _as_file(b)))


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float | None:
    """Compute multi-scale structural similarity (Wang, Simoncelli, Bovik 2003): 1 for equal pictures.

    It is the mean over the channels. It agrees with pytorch-msssim 1.0.0, also in two places where the paper leaves a
    choice. Odd sides are padded with zeros before halving, and a negative similarity counts as 0.

    a, b: uint8 or uint16 of one shape, (H, W) or (H, W, C).

    Returns None if a side is shorter than `MS_SSIM_SIDE_MIN`. Fewer scales would give numbers that compare with no
    others.
    """
    if min(a.shape[:2]) < MS_SSIM_SIDE_MIN:
        return None
    if a.ndim == 2:
        a, b = a[:, :, None], b[:, :, None]
    channels = (
        _ms_ssim_of_channel(*(each[:, :, c] * (PEAK / peak_of(each)) for each in (a, b))) for c in range(a.shape[2])
    )
    return float(np.mean(list(channels)))


def ssim(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Compute structural similarity, and its part of contrast and structure alone.

    Both are means over all places where the window fits.

    a, b: (H, W) in 0..255, with sides of at least 11.
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
    """Write a picture to memory as PPM or PGM of 8 bits, the simplest formats that every reader knows."""
    samples = shallow(samples)
    kind = b"P6" if samples.ndim == 3 else b"P5"
    return io.BytesIO(
        kind + b" %d %d 255\n" % (samples.shape[1], samples.shape[0]) + np.ascontiguousarray(samples).tobytes()
    )


def _halve(plane):
    """Take means of 2x2 samples.

    An odd side begins and ends with a zero, as in pytorch-msssim; so the last zero falls off.
    """
    rows, columns = plane.shape
    padded = np.pad(plane, ((rows % 2, rows % 2), (columns % 2, columns % 2)))
    rows, columns = padded.shape[0] // 2, padded.shape[1] // 2
    return padded[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean((1, 3))


def _blur(plane):
    """Apply the Gaussian window, separably, where it lies inside the plane: (H, W) -> (H - 10, W - 10)."""
    offsets = np.arange(WINDOW_TAPS) - WINDOW_TAPS // 2
    taps = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA**2))
    taps /= taps.sum()
    rows, columns = (side - WINDOW_TAPS + 1 for side in plane.shape)
    plane = sum(tap * plane[i : i + rows] for i, tap in enumerate(taps))
    return sum(tap * plane[:, i : i + columns] for i, tap in enumerate(taps))

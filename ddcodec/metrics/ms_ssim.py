"""Structural similarity, at one scale and at several."""

import numpy as np

from ..picture import peak_of
from .psnr import PEAK

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

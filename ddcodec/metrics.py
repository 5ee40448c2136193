"""How far a picture is from its original: PSNR and MS-SSIM, in NumPy."""

import math

import numpy as np

PEAK = 255
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW_TAPS, WINDOW_SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03

MS_SSIM_SIDE_MIN = (WINDOW_TAPS - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
"""161 pixels: below, the window does not fit into the coarsest of the five scales."""

STRIP_ROWS = 256


def psnr(a, b):
    """Peak signal-to-noise ratio in dB over all samples of two uint8 arrays of one shape; `math.inf` if they are equal."""
    squares = 0
    for start in range(0, len(a), STRIP_ROWS):
        difference = a[start : start + STRIP_ROWS].astype(np.int64) - b[start : start + STRIP_ROWS]
        squares += int(np.vdot(difference, difference))
    return 10 * math.log10(PEAK**2 * a.size / squares) if squares else math.inf


def ms_ssim(a, b):
    """Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003) of two uint8 arrays of one shape, (H, W) or (H, W, C).

    The mean over the channels, 1 for equal pictures. `None` if a side is shorter than `MS_SSIM_SIDE_MIN`: fewer scales would give
    a number that cannot be compared with others. Agrees with pytorch-msssim 1.0.0, also in the two places where the paper leaves
    a choice: odd sides are padded with zeros before halving, and a negative similarity counts as 0.
    """
    if min(a.shape[:2]) < MS_SSIM_SIDE_MIN:
        return None
    if a.ndim == 2:
        a, b = a[:, :, None], b[:, :, None]
    channels = (_ms_ssim_of_channel(a[:, :, c].astype(float), b[:, :, c].astype(float)) for c in range(a.shape[2]))
    return float(np.mean(list(channels)))


def ssim(a, b):
    """Structural similarity of two (H, W) arrays in 0..255, each side >= 11: the mean over all places where the window fits, and the
    mean of its contrast-structure part alone."""
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
    """Means of 2x2 samples; an odd side begins and ends with a zero (so the last one falls off), as in pytorch-msssim."""
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

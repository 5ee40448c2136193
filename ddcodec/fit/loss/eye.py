"""The form of the eye: an error costs less where the original varies, and more where it is spread over many pixels.

In a window, 1 less the contrast and structure of SSIM is var(e) / (var(x) + var(y) + C) (Wang et al. 2004, "Image
quality assessment: from error visibility to structural similarity", equation 13). Over levels of halved pictures this
is MS-SSIM (Wang et al. 2003) and the SSIM part of SSIMULACRA2. Where y is near x the weights 1 / (2 var(x) + C) need
the original alone. Added to that are squared error, without which a fit leaves out what the form does not see, and the
edges that an error makes where the original is smooth. bench/notebook/eye.md has the trials behind the constants.
"""

from math import exp

import numpy as np

from ...picture import peak_of
from .form import BAND, CHANNELS, LEVELS, Form, halved

SQUARES = 0.5
"""The share of squared error."""
EDGES = 10.0
"""The weight of edges."""
BY_CHANNEL = ((0.1, 0.02, 0.02), (0.5, 0.08, 0.08), (0.8, 0.05, 0.05))
"""Weights of Y, Cb and Cr at each level."""
SMOOTH = 0.0018
"""Twice the local variance up to which a place is smooth, for the levels: twice C of SSIM, 0.03^2."""
SMOOTH_FOR_EDGES = 0.0002
"""The same for edges."""
TYPICAL = (1e-6, 5e-4)
"""The least and the greatest variance of the errors for which both shares are made equal.

Between these it is that of the original. At a lambda of 0.001 errors have the greatest, where the original has more.
"""
WINDOW = np.array([exp(-((k / 1.5) ** 2) / 2) for k in range(-5, 6)], np.float32)
"""The Gaussian window of SSIM, of standard deviation 1.5 and 11 taps."""
WINDOW /= WINDOW.sum()


def eye_form(samples: np.ndarray, known: np.ndarray | None = None) -> Form:
    """Make the form of the eye for a picture.

    samples: uint8 or uint16 (H, W, planes). known: bool (H, W), the pixels that count, or None for all.
    """
    planes = samples.shape[2]
    counts = np.ones(samples.shape[:2], np.float32) if known is None else known.astype(np.float32)
    original = samples.transpose(2, 0, 1) / np.float32(peak_of(samples)) * counts
    channels = np.tensordot(CHANNELS[planes], original, 1)
    levels, coverage = [], counts
    expected = typical = 0.0
    for level, by_channel in enumerate(BY_CHANNEL):
        if level:
            channels, coverage = halved(channels), halved(coverage)
        variances = [_local_variance(channel, coverage) for channel in channels]
        present = np.divide(1, coverage, out=np.zeros_like(coverage), where=coverage > 0)
        own = np.stack([share * SMOOTH / (2 * variance + SMOOTH) for share, variance in zip(by_channel, variances)])
        own *= present * np.float32(4**level)
        levels.append(own)
        if not level:
            edges = SMOOTH_FOR_EDGES / (2 * variances[0] + SMOOTH_FOR_EDGES) * counts
            # What a white error leaves at each level, as variances of the channels.
            errors = np.stack([np.clip(_local_variance(plane, counts), *TYPICAL) for plane in original]) * counts
            typical, spread = float(errors.sum(dtype=float)), np.tensordot(CHANNELS[planes] ** 2, errors, 1)
        else:
            spread = halved(spread) / 4
        expected += float((own * spread).sum(dtype=float))
    if known is not None:
        edges[1:] *= counts[:-1]
        edges[:, 1:] *= counts[:, :-1]
    gain = (1 - SQUARES) * typical / expected if expected else 0.0
    return Form(SQUARES, tuple(own * np.float32(gain) for own in levels), edges * np.float32(EDGES * planes / 3))


assert LEVELS == len(BY_CHANNEL) and BAND == 2 ** (len(BY_CHANNEL) - 1)


def _local_variance(plane, counts):
    """Compute the variance around each pixel of a plane (rows, columns); counts: how much each pixel counts, 0..1.

    Pixels that count for nothing must be 0. The border, where a window reaches beyond, is like them.
    """
    count = np.maximum(_blurred(counts), 1e-6)
    mean = _blurred(plane) / count
    # Pixels of a halved plane are means over all of a cell, so that they hold their count already.
    square = np.divide(plane * plane, counts, out=np.zeros_like(plane), where=counts > 0)
    return np.maximum(_blurred(square) / count - mean * mean, 0)


def _blurred(plane):
    """Blur a plane (rows, columns) by the window, with zeros beyond the border."""
    reach = len(WINDOW) // 2
    rows, columns = plane.shape
    padded = np.pad(plane, ((reach, reach), (0, 0)))
    across = sum(tap * padded[k : k + rows] for k, tap in enumerate(WINDOW))
    padded = np.pad(across, ((0, 0), (reach, reach)))
    return sum(tap * padded[:, k : k + columns] for k, tap in enumerate(WINDOW))

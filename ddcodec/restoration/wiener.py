"""Smooth a fit's picture where it is plain: a Wiener filter of the noisy picture, of which the fit says what is signal.

A fit for the fewest bits paints a smooth place with plates, and noise moves their edges. The mean of several fits
keeps them. In a block of a smooth place the fit has little but a few low frequencies. So the filter keeps these of the
noisy picture, and neither noise nor edges. With edges and texture in a block the fit itself is better, and most of the
result is the fit.

The empirical Wiener filter by a first estimate is the second stage of BM3D (Dabov et al. 2007, section 4.2), here
without its matching of blocks.
"""

import numpy as np

from .cosines import transformed, transformed_back
from .noise import Noise

SIDE = 16
"""Side in pixels of the blocks that are transformed."""
STRIDE = 3
"""Pixels from each block to the next, down and across."""
WINDOW = 2.0
"""Beta of the Kaiser window with which blocks are added up."""
LEAST_SHARE, PLAIN = 0.35, 10.0
"""Share of the filtered picture in blocks full of detail, and the coefficients of a block that count as few.

By its luma, the block has the share LEAST_SHARE + (1 - LEAST_SHARE) exp(-n / PLAIN), where n is the sum of the squares
of its factors without the mean's (bench/notebook/restoration.md).
"""
MEDIAN_OF_SQUARE = 0.4549
"""Median of the square of a normal number of variance 1."""
SAMPLED = 4096
"""Blocks of which a spectrum is taken, at most."""
NOTHING = np.float32(1e-6)
"""Squared levels that are as good as none, so that nothing is divided by 0."""
BAND = 2**14
"""Blocks that are transformed at once, about: what bounds the memory."""


def smoothed(picture: np.ndarray, samples: np.ndarray, noise: Noise) -> np.ndarray:
    """Filter noisy samples by the picture that a fit has made of them, and join both.

    Noise that neighbours share has the spectrum of what the fit has left out, and in each block its strength.

    picture: float32 (H, W, planes) in 0..1, H and W at least `SIDE`.
    samples: uint8 (H, W, planes).
    noise: of the samples.

    Returns float32 (H, W, planes), about in 0..1.
    """
    height, width, planes = picture.shape
    colours = _colours(planes)
    noisy, fitted = (
        _padded(values @ colours.T) for values in (samples.astype(np.float32), 255 * picture.astype(np.float32))
    )
    spectra, typical = _spectra(noisy, fitted, noise)
    total, weights = np.zeros_like(fitted), np.zeros_like(fitted)
    down, across = (np.arange(0, side - SIDE + 1, STRIDE) for side in fitted.shape[:2])
    rows = max(1, BAND // len(across))
    for first in range(0, len(down), rows):
        tops = down[first : first + rows]
        band = np.s_[tops[0] : tops[-1] + SIDE]
        share = None
        for plane in range(planes):
            seen, known = _blocks(noisy[band, :, plane]), _blocks(fitted[band, :, plane])
            variance = spectra[plane]
            if noise.correlated:
                strength = np.square(seen - known).mean((-2, -1), keepdims=True)
                variance = variance * (strength / typical[plane])
            power = np.square(known)
            factors = power / (power + variance + NOTHING)
            factors[..., 0, 0] = 1
            count = np.square(factors).sum((-2, -1), keepdims=True)
            if share is None:
                share = LEAST_SHARE + (1 - LEAST_SHARE) * np.exp((1 - count) / PLAIN)
            # A block of few coefficients has the least noise left, so that it counts more (Dabov et al., equation 12).
            weight = _WINDOW / count
            blocks = transformed_back(share * factors * seen + (1 - share) * known) * weight
            _add(total[band, :, plane], blocks)
            _add(weights[band, :, plane], weight)
    inside = np.s_[SIDE - 1 : SIDE - 1 + height, SIDE - 1 : SIDE - 1 + width]
    return ((total[inside] / weights[inside]) @ colours / 255).astype(np.float32)


def _colours(planes):
    """An orthonormal matrix from samples to luma and two differences of colours, or 1 for one plane."""
    rows = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]] if planes == 3 else np.eye(planes), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _padded(picture):
    """Fill up by mirrored rows and columns, so that as many blocks cover a pixel at an edge as any other."""
    around = (SIDE - 1, SIDE - 1 + STRIDE)
    return np.pad(picture, [around, around, (0, 0)], "symmetric")


def _spectra(noisy, fitted, noise):
    """Variance of the noise in each coefficient, (planes, SIDE, SIDE), and each plane's mean square of what is left."""
    planes = fitted.shape[2]
    if not noise.correlated:
        return np.full((planes, SIDE, SIDE), noise.strength**2, np.float32), np.ones(planes, np.float32)
    left = noisy - fitted
    tall, wide = (side // SIDE for side in left.shape[:2])
    blocks = left[: tall * SIDE, : wide * SIDE].reshape(tall, SIDE, wide, SIDE, planes).transpose(4, 0, 2, 1, 3)
    blocks = blocks.reshape(planes, tall * wide, SIDE, SIDE)
    squares = np.square(transformed(blocks[:, :: -(-tall * wide // SAMPLED)]))
    spectra = np.median(squares, 1) / MEDIAN_OF_SQUARE
    typical = np.median(squares.mean((2, 3)), 1)
    return spectra * (noise.strength**2 / max(spectra.mean(), NOTHING)), np.maximum(typical, NOTHING)


_WINDOW = np.outer(np.kaiser(SIDE, WINDOW), np.kaiser(SIDE, WINDOW)).astype(np.float32)


def _blocks(plane):
    windows = np.lib.stride_tricks.sliding_window_view(plane, (SIDE, SIDE))
    return transformed(windows[::STRIDE, ::STRIDE])


def _add(plane, blocks):
    """Add each block to a plane where it lies."""
    tall, wide = STRIDE * blocks.shape[0], STRIDE * blocks.shape[1]
    for y in range(SIDE):
        for x in range(SIDE):
            plane[y : y + tall : STRIDE, x : x + wide : STRIDE] += blocks[..., y, x]

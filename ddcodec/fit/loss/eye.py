"""The form of the eye: an error costs less where the original varies, and more where it is spread over many pixels.

In a window, 1 less the contrast and structure of SSIM is var(e) / (var(x) + var(y) + C) (Wang et al. 2004, "Image
quality assessment: from error visibility to structural similarity", equation 13). Over levels of halved pictures this
is MS-SSIM (Wang et al. 2003) and the SSIM part of SSIMULACRA2. Where y is near x the weights 1 / (2 var(x) + C) need
the original alone. The form differs from this in three ways: it has e^2 and not var(e), one weight a pixel and not a
window, and the least variance near a pixel.

Two terms are added. Squared error counts, too, since otherwise a fit leaves out what the levels do not see. The edges
that an error makes count where the original is smooth. bench/notebook/eye.md has the trials behind the constants.
"""

from math import exp

import numpy as np

from ...picture import blurred, halved, peak_of
from .form import BAND, CHANNELS, LEVELS, Form

SQUARES = 0.35
"""The share of squared error."""
EDGES = 30.0
"""The weight of edges."""
BY_CHANNEL = ((0.1, 0.04, 0.04), (0.5, 0.16, 0.16), (0.8, 0.1, 0.1))
"""Weights of Y, Cb and Cr at each level. Only their ratios count."""
SMOOTH = 0.0036
"""Twice the local variance up to which a place is smooth, for the levels: four times C of SSIM, 0.03^2."""
SMOOTH_FOR_EDGES = 0.0002
"""The same for edges."""
NEAR = (4, 3, 2)
"""At each level, how far from a place, in its pixels, the least variance is looked for.

Texture has much variance all around, and hides errors. An edge or a letter has a flat place near, where errors show.
"""
TYPICAL = (1e-6, 5e-4)
"""The least and the greatest variance of the errors for which levels and squared error are made to measure the same.

Between these it is that of the original. At a lambda of 0.001 errors have the greatest, where the original has more.
"""
WINDOW = np.array([exp(-((k / 1.5) ** 2) / 2) for k in range(-5, 6)], np.float32)
"""The Gaussian window of SSIM, of standard deviation 1.5 and 11 taps."""
WINDOW /= WINDOW.sum()


BAND_PIXELS = 2**20
"""About the pixels whose weights are made at once, so that what lies between takes little memory."""
HALO = max((len(WINDOW) // 2 + near) << level for level, near in enumerate(NEAR))
"""Rows above and below on which the weights of a row depend."""
assert len(BY_CHANNEL) == LEVELS and HALO % BAND == 0


def eye_form(samples: np.ndarray, known: np.ndarray | None = None) -> Form:
    """Make the form of the eye for a picture.

    samples: uint8 or uint16 (H, W, planes). known: bool (H, W), the pixels that count, or None for all.
    """
    rows, columns, planes = samples.shape
    edges = np.empty((rows, columns), np.float32)
    levels = [
        np.empty((planes, *(_ceiling(size, level) for size in edges.shape)), np.float32) for level in range(LEVELS)
    ]
    squared = by_levels = 0.0
    step = max(BAND, BAND_PIXELS // columns // BAND * BAND)
    for start in range(0, rows, step):
        stop, first = min(rows, start + step), max(0, start - HALO)
        held = samples[first : stop + HALO]
        counts = np.ones(held.shape[:2], np.float32) if known is None else known[first : stop + HALO].astype(np.float32)
        own = [slice(start - first >> level, _ceiling(stop - first, level)) for level in range(LEVELS)]
        counted = _counted(counts)
        weights, smooth = _weights(held, counts, counted)
        weights = [each[:, part] for each, part in zip(weights, own)]
        for level, each in enumerate(weights):
            levels[level][:, start >> level : _ceiling(stop, level)] = each
        edges[start:stop] = smooth[own[0]]
        more = _errors(held, counts, counted, own[0], weights)
        squared, by_levels = squared + more[0], by_levels + more[1]
    gain = (1 - SQUARES) * squared / by_levels if by_levels else 0.0
    for each in levels:
        each *= np.float32(gain)
    if known is not None:
        edges[1:] *= known[:-1]
        edges[:, 1:] *= known[:, :-1]
    edges *= np.float32(EDGES * planes / 3)
    return Form(SQUARES, tuple(levels), edges)


def _ceiling(size, level):
    """Halve a size `level` times, and round up."""
    return -(-size >> level)


def _weights(samples, counts, counted):
    """Make the weights of a band up to a common factor, and the part of its edges that shows how smooth it is."""
    planes, coverage = samples.shape[2], [counts]
    for _ in BY_CHANNEL[1:]:
        coverage.append(halved(coverage[-1]))
    levels = [np.empty((planes, *own.shape), np.float32) for own in coverage]
    all_counted = [counted, *map(_counted, coverage[1:])]
    # One plane after the other, so that little memory is taken.
    for channel, row in enumerate(CHANNELS[planes]):
        plane = sum(factor / np.float32(peak_of(samples)) * samples[:, :, k] for k, factor in enumerate(row)) * counts
        for level, (by_channel, own, count) in enumerate(zip(BY_CHANNEL, coverage, all_counted)):
            plane = halved(plane) if level else plane
            variance = _local_variance(plane, own, count)
            if not level and not channel:
                smooth = SMOOTH_FOR_EDGES / (2 * variance + SMOOTH_FOR_EDGES) * counts
            masking = _least_near(np.where(own > 0, variance, np.float32(np.inf)), NEAR[level])
            levels[level][channel] = by_channel[channel] * SMOOTH * 4**level / (2 * masking + SMOOTH)
            np.divide(levels[level][channel], own, out=levels[level][channel], where=own > 0)
            levels[level][channel] *= own > 0
    return levels, smooth


def _errors(samples, counts, counted, rows, levels):
    """Return the squared error of white errors of the variances of `TYPICAL`, and what `levels` make of them.

    rows: those of the band that count; `levels` has these alone.
    """
    squared = by_levels = 0.0
    for k, column in enumerate(CHANNELS[samples.shape[2]].T):
        plane = samples[:, :, k] / np.float32(peak_of(samples)) * counts
        errors = (np.clip(_local_variance(plane, counts, counted), *TYPICAL) * counts)[rows]
        squared += float(errors.sum(dtype=float))
        for level, weights in enumerate(levels):
            # A mean of four errors has a quarter of their mean variance.
            errors = halved(errors) / 4 if level else errors
            by_levels += float(sum((own * errors).sum(dtype=float) * factor**2 for own, factor in zip(weights, column)))
    return squared, by_levels


def _counted(counts):
    """Return how much counts around each pixel; counts: how much each pixel counts, 0..1."""
    return np.maximum(blurred(counts, WINDOW), 1e-6)


def _local_variance(plane, counts, count):
    """Compute the variance around each pixel of a plane (rows, columns); count: `_counted` of the counts.

    Pixels that count for nothing must be 0. The border, where a window reaches beyond, is like them.
    """
    mean = blurred(plane, WINDOW) / count
    # Pixels of a halved plane are means over all of a cell, so that they hold their count already.
    square = np.divide(plane * plane, counts, out=np.zeros_like(plane), where=counts > 0)
    return np.maximum(blurred(square, WINDOW) / count - mean * mean, 0)


def _least_near(plane, reach):
    """Return the least of a plane at nine places: each pixel, and those `reach` pixels away in eight directions."""
    rows, columns = plane.shape
    padded, places = np.pad(plane, reach, mode="edge"), (0, reach, 2 * reach)
    across = np.minimum.reduce([padded[:, at : at + columns] for at in places])
    return np.minimum.reduce([across[at : at + rows] for at in places])

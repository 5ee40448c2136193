"""A guess of missing or invisible pixels from those around, coarse to fine.

The method is pull-push (Gortler et al., "The Lumigraph", SIGGRAPH 1996).
"""

import numpy as np


def filled(samples: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill unknown pixels with means of the known ones around.

    samples: (H, W) or (H, W, planes). known: bool (H, W).

    Returns an array like `samples`: zeros where nothing is known at all.
    """
    if known.all():
        return samples
    weight = known.astype(np.float32)[..., None]
    planes = samples.reshape(*known.shape, -1) * weight
    return (
        np.where(known[..., None], planes, np.rint(_pulled(planes, weight)))
        .astype(samples.dtype)
        .reshape(samples.shape)
    )


def _pulled(values, weight):
    """Fill what is missing with values of half the size.

    values: 0 where weight (H, W, 1) is 0.
    """
    height, width = weight.shape[:2]
    if weight.min() >= 1 or max(height, width) == 1:
        return values
    even = [(0, height % 2), (0, width % 2), (0, 0)]

    def halved(array):
        padded = np.pad(array, even)
        return padded.reshape(len(padded) // 2, 2, padded.shape[1] // 2, 2, -1).sum((1, 3))

    sums, counts = halved(values * weight), halved(weight)
    coarse = _pulled(np.where(counts > 0, sums / np.maximum(counts, 1e-6), 0), np.minimum(counts, 1))
    return values * weight + (1 - weight) * _doubled(coarse)[:height, :width]


def _doubled(values):
    """Double the size by bilinear interpolation; samples lie in the middle of their blocks."""
    for axis in (0, 1):
        length = values.shape[axis]
        padded = np.pad(values, [(int(a == axis),) * 2 for a in range(3)], "edge")
        before, after = padded.take(range(length), axis), padded.take(range(2, length + 2), axis)
        near = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis + 1)
        shape = list(values.shape)
        shape[axis] *= 2
        values = near.reshape(shape)
    return values

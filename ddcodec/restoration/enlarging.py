"""Enlarge a picture; and the set of larger pictures that become it again when they are made small.

Lanczos interpolation makes one picture. The nearest one of the set to another is found by the pseudo-inverse of what
makes pictures small: iterative back-projection (Irani & Peleg 1991, "Improving resolution by image registration") in a
single step. A level of the small picture stands for all values that round to it.
"""

import numpy as np

LOBES = 3
"""Lobes of the Lanczos kernel that enlarges pictures."""
SMALL_LOBES = 2
"""The same of the kernel that makes them small, as in the super-resolution of Ulyanov et al. 2018."""
ROUNDING = 0.5
"""Levels by which a value may differ from that to which it rounds."""


class Enlarging:
    """The set of pictures `factor` times as large as samples, uint8 (h, w, planes), that become these when small."""

    def __init__(self, samples: np.ndarray, factor: int) -> None:
        self._samples = samples
        # Black and white stand for all that lies beyond them, too.
        self._least = np.where(samples == 255, -np.inf, -ROUNDING)
        self._greatest = np.where(samples == 0, np.inf, ROUNDING)
        self._shrinking = [_shrinking(factor * side, factor) for side in samples.shape[:2]]
        self._inverses = [_inverse(weights) for weights in self._shrinking]

    def nearest(self, picture: np.ndarray) -> np.ndarray:
        """Find the picture of the set that is nearest to one, (H, W, planes), levels as float32."""
        lack = self._samples - _on_both_sides(picture, *self._shrinking)
        lack -= lack.clip(self._least, self._greatest)
        return picture + _on_both_sides(lack, *self._inverses)


def enlarged(picture: np.ndarray, factor: int) -> np.ndarray:
    """Enlarge a picture (h, w, planes) by Lanczos interpolation, within 0..1.

    Samples are centred in blocks. The picture's edges repeat beyond them.
    """
    places = (np.arange(factor) + 0.5) / factor - 0.5
    distance = places[:, None] - np.arange(-LOBES, LOBES + 1)
    kernel = np.where(abs(distance) < LOBES, np.sinc(distance) * np.sinc(distance / LOBES), 0).astype(np.float32)
    kernel /= kernel.sum(1, keepdims=True)
    for axis in (0, 1):
        padded = np.pad(picture, [(LOBES * (a == axis),) * 2 for a in range(3)], "edge")
        seen = np.lib.stride_tricks.sliding_window_view(padded, 2 * LOBES + 1, axis)
        finer = np.moveaxis(seen @ kernel.T, -1, axis + 1)
        shape = list(picture.shape)
        shape[axis] *= factor
        picture = finer.reshape(shape)
    return picture.clip(0, 1)


def made_small(picture: np.ndarray, factor: int) -> np.ndarray:
    """Make a picture (H, W, planes) small, (H / factor, W / factor, planes), under a Lanczos kernel.

    The kernel is `factor` times as wide as one for pictures of the same size, and is centred on each block of factor x
    factor samples. Its sum is 1. The picture's edges repeat beyond them.
    """
    return _on_both_sides(picture, *(_shrinking(side, factor) for side in picture.shape[:2]))


def _shrinking(side, factor):
    """Return what makes columns of `side` samples small: float32 (side / factor, side)."""
    reach = SMALL_LOBES * factor
    distance = (np.arange(2 * reach) - reach + 0.5) / factor
    kernel = np.sinc(distance) * np.sinc(distance / SMALL_LOBES)
    starts = np.arange(0, side, factor) - reach + factor // 2
    places = (starts[:, None] + np.arange(2 * reach)).clip(0, side - 1)
    weights = np.zeros((side // factor, side), np.float32)
    np.add.at(weights, (np.arange(side // factor)[:, None], places), np.float32(kernel / kernel.sum()))
    return weights


def _inverse(weights):
    """Return the pseudo-inverse of a matrix of full rank with fewer rows than columns."""
    return np.linalg.solve(weights @ weights.T, weights).T


def _on_both_sides(picture, down, across):
    """Apply a matrix to the columns of a picture (H, W, planes), and one to its rows."""
    planes = down @ np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32) @ across.T
    return np.ascontiguousarray(planes.transpose(1, 2, 0))

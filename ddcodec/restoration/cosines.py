"""The orthonormal discrete cosine transform of square blocks, as JPEG and filters of blocks use it."""

from functools import cache

import numpy as np


def transformed(blocks: np.ndarray) -> np.ndarray:
    """Transform blocks, (..., side, side): coefficients of the same shape, float32, the mean's first."""
    rows = _cosines(blocks.shape[-1])
    return _both(blocks, rows)


def transformed_back(coefficients: np.ndarray) -> np.ndarray:
    """Undo `transformed`."""
    return _both(coefficients, _cosines(coefficients.shape[-1]).T)


def _both(blocks, rows):
    # One large product for each axis: numpy takes a stack of small ones block by block.
    side = len(rows)
    for _ in range(2):
        blocks = (np.ascontiguousarray(blocks, np.float32).reshape(-1, side) @ rows.T).reshape(blocks.shape)
        blocks = blocks.swapaxes(-1, -2)
    return blocks


@cache
def _cosines(side):
    """The cosines of each frequency, a row each, (side, side) float32."""
    rows = np.cos(np.pi * np.arange(side)[:, None] * (2 * np.arange(side) + 1) / (2 * side))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

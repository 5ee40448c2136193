"""Integer frequency tables of the Laplace distribution, built without floating point (FORMAT.md, chapter 4)."""

from functools import cache
from typing import Any, TypeAlias

import numpy as np

Index: TypeAlias = Any
"""An integer, or an array of integers."""

PRECISION = 24
"""The frequencies of a table have the sum 2^PRECISION."""

SCALES = 64
"""Number of scale indices, `s` in FORMAT.md."""

SHIFTS = 16
"""Number of shifts, `d` in FORMAT.md: -8..7 in 16ths."""

SYMBOLS = 32
"""Symbols of a table, with the escape."""

ESCAPE = SYMBOLS - 1
"""The symbol of integers that have none of their own."""

CENTRE = 15
"""The symbol of the integer 0."""

UNIT_SCALE = 27
"""The scale index whose Laplace scale is 1."""

STEPS_PER_OCTAVE = 5
"""The Laplace scale doubles with so many steps of the scale index."""

_SLOWEST_DECAYS = (2145894892, 2146100489, 2146279488, 2146435328, 2146571004)
"""`decay` of the five greatest scale indices, in units of 2^-31 (FORMAT.md, chapter 4)."""


@cache
def frequencies() -> np.ndarray:
    """Build all tables as one int64 array (SCALES * SHIFTS, SYMBOLS).

    Row `16 s + d + 8` is the table of scale index `s` and shift `d`. Every entry is at least 1, every row sums to 2^24.
    """
    decay = np.zeros(SCALES, np.int64)
    decay[-STEPS_PER_OCTAVE:] = _SLOWEST_DECAYS
    for s in reversed(range(SCALES - STEPS_PER_OCTAVE)):
        decay[s] = (decay[s + STEPS_PER_OCTAVE] ** 2 + 2**30) >> 31
    tail = np.zeros((SCALES, 257), np.int64)
    tail[:, 0] = 2**32
    for edge in range(256):
        tail[:, edge + 1] = (tail[:, edge] * decay + 2**30) >> 31

    shift = np.arange(-8, 8)[:, None]
    edges = 16 * np.arange(-CENTRE, CENTRE + 2) - shift - 8
    below = np.where(edges <= 0, tail[:, abs(edges)], 2**33 - tail[:, abs(edges)])
    mass = np.diff(below, axis=2)
    escape = 2**33 - below[:, :, -1:] + below[:, :, :1]
    table = np.concatenate([mass, escape], axis=2) * (2**PRECISION - SYMBOLS) // 2**33 + 1
    table[:, :, CENTRE] += 2**PRECISION - table.sum(axis=2)
    return table.reshape(SCALES * SHIFTS, SYMBOLS)


def row(scale: Index, shift: Index) -> Index:
    """Number the row of `frequencies()` of a scale index (0..63) and a shift (-8..7)."""
    return SHIFTS * scale + shift + SHIFTS // 2


def golomb_order(rows: Index) -> np.ndarray:
    """Compute the order of the Exp-Golomb number that follows an escape with these rows of `frequencies()`."""
    return np.maximum(0, (rows // SHIFTS - UNIT_SCALE) // STEPS_PER_OCTAVE)

"""Integer frequency tables of the Laplace distribution (FORMAT.md, chapter 4), built without any floating point."""

from functools import cache

import numpy as np

PRECISION = 24
SCALES = 64
SHIFTS = 16
SYMBOLS = 32
ESCAPE = SYMBOLS - 1
CENTRE = 15
UNIT_SCALE = 27
"""The scale index whose Laplace scale is 1."""
STEPS_PER_OCTAVE = 5

_SLOWEST_DECAYS = (2145894892, 2146100489, 2146279488, 2146435328, 2146571004)


@cache
def frequencies():
    """All tables as one int64 array (SCALES * SHIFTS, SYMBOLS); every entry is at least 1, every row sums to 2^24.

    Row `16 s + d + 8` is the table of scale `s` and shift `d`.
    """
    decay = np.zeros(SCALES, np.int64)
    decay[-STEPS_PER_OCTAVE:] = _SLOWEST_DECAYS
    for s in reversed(range(SCALES - STEPS_PER_OCTAVE)):
        decay[s] = (decay[s + STEPS_PER_OCTAVE] ** 2 + 2**30) >> 31
    tail = np.zeros((SCALES, 257), np.int64)
    tail[:, 0] = 2**32
    for n in range(256):
        tail[:, n + 1] = (tail[:, n] * decay + 2**30) >> 31

    shift = np.arange(-8, 8)[:, None]
    edge = 16 * np.arange(-CENTRE, CENTRE + 2) - shift - 8
    below = np.where(edge <= 0, tail[:, abs(edge)], 2**33 - tail[:, abs(edge)])
    mass = np.diff(below, axis=2)
    escape = 2**33 - below[:, :, -1:] + below[:, :, :1]
    table = np.concatenate([mass, escape], axis=2) * (2**PRECISION - SYMBOLS) // 2**33 + 1
    table[:, :, CENTRE] += 2**PRECISION - table.sum(axis=2)
    return table.reshape(SCALES * SHIFTS, SYMBOLS)


def row(scale, shift):
    """The row of `frequencies()` of scale `scale` (0..63) and shift `shift` (-8..7)."""
    return SHIFTS * scale + shift + SHIFTS // 2


def golomb_order(rows):
    """The order of the Exp-Golomb code that follows an escape from these rows."""
    return np.maximum(0, (rows // SHIFTS - UNIT_SCALE) // STEPS_PER_OCTAVE)

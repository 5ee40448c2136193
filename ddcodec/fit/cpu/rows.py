"""The rows of an octave that are a thread's on the CPU, and the places of rows of code."""

from .layout import ABOVE, CODE, FLOAT, MARGIN, PITCH, PLANE, ROWS, THREADS
from .simd import compiled

LEAST_BAND = 8
"""Pairs of rows that a thread takes at least; more than any halo reaches."""


@compiled
def band(pairs, threads, thread):
    """Find the pairs of rows of an octave that are a thread's: first .. last - 1.

    A small octave has fewer bands than there are threads. The threads beyond get no pairs.
    """
    bands = max(1, min(threads, pairs // LEAST_BAND))
    if thread >= bands:
        return pairs, pairs
    return pairs * thread // bands, pairs * (thread + 1) // bands


@compiled
def own_rows(plan, here, thread):
    """Find the rows of an octave that are a thread's: start .. stop - 1."""
    first_pair, last_pair = band((here[ROWS] + 1) // 2, plan[THREADS], thread)
    return 2 * first_pair, min(2 * last_pair, here[ROWS])


@compiled
def row_place(here, plane, row):
    """Find where a row of code begins, in bytes from the start of an array in the form of code planes."""
    return here[CODE] + plane * here[PLANE] + (row + ABOVE) * here[PITCH] + MARGIN * FLOAT

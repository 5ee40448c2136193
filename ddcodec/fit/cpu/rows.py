"""Which rows of an octave are a thread's on the CPU, and where rows of code lie."""

from .layout import ABOVE, CODE, FLOAT, MARGIN, PITCH, PLANE, ROWS, THREADS
from .simd import compiled

LEAST_BAND = 8
"""Pairs of rows that a thread takes at least; more than any halo reaches."""


@compiled
def band(pairs, threads, thread):
    """The pairs of rows first .. last - 1 of an octave that are a thread's; small octaves are one thread's alone."""
    bands = max(1, min(threads, pairs // LEAST_BAND))
    if thread >= bands:
        return pairs, pairs
    return pairs * thread // bands, pairs * (thread + 1) // bands


@compiled
def own_rows(plan, here, thread):
    """The rows start .. stop - 1 of an octave that are a thread's."""
    first_pair, last_pair = band((here[ROWS] + 1) // 2, plan[THREADS], thread)
    return 2 * first_pair, min(2 * last_pair, here[ROWS])


@compiled
def row_place(here, plane, row):
    """Where the columns of a row of code begin, in bytes from the start of an array in the form of code planes."""
    return here[CODE] + plane * here[PLANE] + (row + ABOVE) * here[PITCH] + MARGIN * FLOAT

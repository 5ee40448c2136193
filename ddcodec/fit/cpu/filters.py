"""The filter of the code on the CPU, and the way back through it (FORMAT.md, chapter 7), row by row.

The filter reads rows of other threads, above and below. So threads wait before it. The way forward waits until the code
is rounded. The way back waits until all gradients by the filtered code are there.
"""

from ...format.arch import FILTER_REACH, FILTER_SIDE
from .layout import (
    BY_FILTERED,
    CODE_PLANES,
    COLUMNS,
    FILTER,
    FILTER_BACK,
    FILTERED,
    FILTERED_PLANES,
    FLOAT,
    GRADIENT,
    LONG,
    NO_FLOORS,
    ONE_TARGET,
    PITCH,
    SQUARE_LIST,
    SUMS,
    SUMS_FILTER,
    Q,
)
from .products import NONE, ONE, added, outer
from .rows import own_rows, row_place
from .simd import BYTES, LANES, compiled, load, poke_long, store


@compiled
def filtered(plan, octaves, own, o, thread, weights):
    """Filter a thread's rows of the code of octave `o`, for the synthesis. Planes of detail are copied."""
    here = octaves[o]
    vectors = (here[COLUMNS] + LANES - 1) // LANES
    start, stop = own_rows(plan, here, thread)
    for plane in range(here[CODE_PLANES]):
        for row in range(start, stop):
            place = row_place(here, plane, row)
            for v in range(vectors):
                store(plan[FILTERED] + place + v * BYTES, load(plan[Q] + place + v * BYTES))
            if plane < here[FILTERED_PLANES]:
                _around(here, own, plan[Q] + place)
                _add(plan, own, plan[FILTERED] + place, weights + here[FILTER], vectors)


@compiled
def filtered_back(plan, octaves, own, o, thread, weights, soft):
    """Go back from the gradients by the filtered code of octave `o` to a thread's rows.

    Adds to the thread's sums of gradients by the filter and, if `soft`, to the gradients by the code.
    """
    here = octaves[o]
    vectors = (here[COLUMNS] + LANES - 1) // LANES
    start, stop = own_rows(plan, here, thread)
    for plane in range(here[CODE_PLANES]):
        for row in range(start, stop):
            place = row_place(here, plane, row)
            if plane < here[FILTERED_PLANES]:
                _around(here, own, plan[Q] + place)
                poke_long(own[ONE_TARGET], plan[BY_FILTERED] + place)
                outer(
                    own[SUMS] + here[SUMS_FILTER],
                    own[ONE_TARGET],
                    NONE,
                    own[SQUARE_LIST],
                    NONE,
                    ONE,
                    FILTER_SIDE * FILTER_SIDE,
                    vectors,
                    ONE,
                    NONE,
                    NONE,
                )
            if soft:
                for v in range(vectors):
                    at = place + v * BYTES
                    store(plan[GRADIENT] + at, load(plan[GRADIENT] + at) + load(plan[BY_FILTERED] + at))
                if plane < here[FILTERED_PLANES]:
                    _around(here, own, plan[BY_FILTERED] + place)
                    _add(plan, own, plan[GRADIENT] + place, weights + here[FILTER_BACK], vectors)


@compiled
def _around(here, own, row):
    """List the rows of the square around a row at the address `row`, each from its own column on.

    Zeros surround the plane.
    """
    for dy in range(FILTER_SIDE):
        for dx in range(FILTER_SIDE):
            poke_long(
                own[SQUARE_LIST] + LONG * (FILTER_SIDE * dy + dx),
                row + (dy - FILTER_REACH) * here[PITCH] + (dx - FILTER_REACH) * FLOAT,
            )


@compiled
def _add(plan, own, target, weights, vectors):
    """Add the listed rows, times the packed weights, to the row at `target`."""
    poke_long(own[ONE_TARGET], target)
    added(
        own[ONE_TARGET],
        NONE,
        own[SQUARE_LIST],
        NONE,
        weights,
        NONE,
        NONE,
        plan[NO_FLOORS],
        ONE,
        FILTER_SIDE * FILTER_SIDE,
        vectors,
    )

"""The features of contexts on the CPU, from coarser octaves, and the way back (FORMAT.md, chapter 6, *Features*).

Planes are doubled from octave to octave and mixed to features. Each octave that a finer one sees has these arrays:

- `RAISED`: the code planes of all coarser octaves at its size; with its own plane they are what is seen
- `HANDED`: the features that these planes are mixed to
- `FEATURES`: the gradients of the loss by the features, and by the own plane's magnitudes
- `BY_SEEN`: the gradients of the loss by what is seen
"""

from numba import float32

from ...format.arch import FEATURES as COUNT
from .layout import (
    BY_SEEN,
    COLUMNS,
    FEATURES,
    FLOAT,
    HANDED,
    HANDED_LIST,
    LONG,
    MARGIN,
    NO_FLOORS,
    PARENT_ROWS,
    RAISED,
    ROWS,
    SEE,
    SEE_BACK,
    SEEN,
    SEEN_LIST,
    SEEN_PITCH,
    SEEN_PLANE,
    SUMS,
    SUMS_SEE,
    THREADS,
    ZEROS,
    Q,
)
from .products import NONE, ONE, added, affine, outer
from .rows import band, row_place
from .simd import (
    BYTES,
    LANES,
    absolute,
    clear,
    compiled,
    even,
    first,
    full,
    high,
    load,
    low,
    odd,
    peek,
    poke,
    poke_long,
    store,
)


@compiled
def seen_row(plan, here, plane, row):
    """Find the address of a row of what is seen of an octave: of its own plane (0), or of a coarser one."""
    if plane == 0:
        return plan[Q] + row_place(here, 0, row)
    return here[RAISED] + (plane - 1) * here[SEEN_PLANE] + row * here[SEEN_PITCH]


@compiled
def row_of(here, planes, plane, row):
    """Find the address of a row of `HANDED`, `FEATURES` or `BY_SEEN`."""
    return here[planes] + plane * here[SEEN_PLANE] + row * here[SEEN_PITCH]


@compiled
def other_row(here, finer_row):
    """Find the second row of an octave that a row of the next finer one is doubled from.

    The number of the first is half that of the finer row.
    """
    row = finer_row // 2
    return max(row - 1, 0) if finer_row % 2 == 0 else min(row + 1, here[ROWS] - 1)


@compiled
def double_row(near, far, magnitudes, across, along, columns):
    """Make a row of twice the columns, at `along`, from two rows, with the taps 1 and 3.

    `across` holds the sum of both rows, with margins. magnitudes: take the magnitudes of both rows.
    """
    vectors = (columns + LANES - 1) // LANES
    for v in range(vectors):
        a, b = load(near + v * BYTES), load(far + v * BYTES)
        if magnitudes:
            a, b = absolute(a), absolute(b)
        store(across + v * BYTES, (3 * a + b) * 0.0625)
    poke(across - FLOAT, peek(across))
    poke(across + columns * FLOAT, peek(across + (columns - 1) * FLOAT))
    for v in range(vectors):
        at = across + v * BYTES
        middle = load(at) * 3
        left, right = middle + load(at - FLOAT), middle + load(at + FLOAT)
        store(along + 2 * v * BYTES, low(left, right))
        store(along + (2 * v + 1) * BYTES, high(left, right))


@compiled
def see(plan, octaves, own, o, thread, weights):
    """Make a thread's rows of the coarser planes at the size of octave `o`, and of the features that it hands down.

    The next coarser octave must be done.
    """
    here = octaves[o]
    first_pair, last_pair = band((here[ROWS] + 1) // 2, plan[THREADS], thread)
    if not here[SEEN]:
        return
    across, vectors = own[PARENT_ROWS] + MARGIN * FLOAT, (here[COLUMNS] + LANES - 1) // LANES
    for y in range(2 * first_pair, min(2 * last_pair, here[ROWS])):
        for plane in range(1, here[SEEN]):
            coarser = octaves[o + 1]
            near, far = (
                seen_row(plan, coarser, plane - 1, y // 2),
                seen_row(plan, coarser, plane - 1, other_row(coarser, y)),
            )
            double_row(near, far, False, across, seen_row(plan, here, plane, y), coarser[COLUMNS])
        _list_rows(plan, here, own, HANDED, y)
        affine(
            own[HANDED_LIST],
            NONE,
            own[SEEN_LIST],
            NONE,
            weights + here[SEE],
            plan[ZEROS],
            NONE,
            plan[NO_FLOORS],
            COUNT,
            here[SEEN],
            vectors,
        )


@compiled
def _list_rows(plan, here, own, planes, y):
    """List the rows `y` of what is seen, and of the features in `planes`."""
    for plane in range(here[SEEN]):
        poke_long(own[SEEN_LIST] + LONG * plane, seen_row(plan, here, plane, y))
    for feature in range(COUNT):
        poke_long(own[HANDED_LIST] + LONG * feature, row_of(here, planes, feature, y))


@compiled
def see_back(plan, octaves, own, o, thread, weights, soft):
    """Go back from the gradients by the features that octave `o` hands down, for a thread's rows.

    Adds to the thread's sums of gradients by the weights and, if `soft`, writes the gradients by what is seen. The next
    finer octave must be done.
    """
    here = octaves[o]
    first_pair, last_pair = band((here[ROWS] + 1) // 2, plan[THREADS], thread)
    if not here[SEEN]:
        return
    columns = here[COLUMNS]
    vectors = (columns + LANES - 1) // LANES
    for y in range(2 * first_pair, min(2 * last_pair, here[ROWS])):
        _list_rows(plan, here, own, FEATURES, y)
        for feature in range(COUNT):
            end = row_of(here, FEATURES, feature, y) + (vectors - 1) * BYTES
            store(end, first(load(end), columns - (vectors - 1) * LANES))
        outer(
            own[SUMS] + here[SUMS_SEE],
            own[HANDED_LIST],
            NONE,
            own[SEEN_LIST],
            NONE,
            COUNT,
            here[SEEN],
            vectors,
            ONE,
            NONE,
            NONE,
        )
        if not soft:
            continue
        for plane in range(here[SEEN]):
            target = row_of(here, BY_SEEN, plane, y)
            poke_long(own[SEEN_LIST] + LONG * plane, target)
            if octaves[o - 1, SEEN]:
                _halve_rows(octaves[o - 1], here, own, plane, y, target)
            else:
                clear(target, vectors * BYTES)
        added(
            own[SEEN_LIST],
            NONE,
            own[HANDED_LIST],
            NONE,
            weights + here[SEE_BACK],
            NONE,
            NONE,
            plan[NO_FLOORS],
            here[SEEN],
            COUNT,
            vectors,
        )


@compiled
def _halve_rows(finer, here, own, plane, y, target):
    """Write the adjoint of `double_row` to a row at `target`, from all finer rows that row `y` went into."""
    columns = finer[COLUMNS]
    across = own[PARENT_ROWS] + MARGIN * FLOAT
    # So many are read by the last loop, which also reads the right neighbours of the last one.
    vectors = 2 * ((here[COLUMNS] + LANES - 1) // LANES)
    clear(across - FLOAT, (vectors * LANES + MARGIN) * FLOAT)
    for step in range(-1, 3):
        row = 2 * y + step
        if row < 0 or row >= finer[ROWS]:
            continue
        gain = float32(3 if 0 <= step <= 1 else 1)
        if row == 0 or row == 2 * here[ROWS] - 1:
            gain = float32(4)
        source = row_of(finer, BY_SEEN, plane + 1, row)
        for v in range((columns + LANES - 1) // LANES):
            store(
                across + v * BYTES,
                load(across + v * BYTES) + full(gain) * first(load(source + v * BYTES), columns - v * LANES),
            )
    for v in range(vectors // 2):
        at = across + 2 * v * BYTES
        a, b = load(at), load(at + BYTES)
        both = 3 * (even(a, b) + odd(a, b))
        before, after = (
            even(load(at - FLOAT), load(at + BYTES - FLOAT)),
            even(load(at + 2 * FLOAT), load(at + BYTES + 2 * FLOAT)),
        )
        store(target + v * BYTES, first((both + before + after) * 0.0625, here[COLUMNS] - v * LANES))
    poke(target, peek(target) + peek(across) * float32(0.0625))
    if columns % 2 == 0:
        last = target + (here[COLUMNS] - 1) * FLOAT
        poke(last, peek(last) + peek(across + (columns - 1) * FLOAT) * float32(0.0625))

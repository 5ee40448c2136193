"""The way back through the residual layer on the CPU (FORMAT.md, chapter 7); `distortion` has the way forward.

Both go row by row, with the columns in their order. The way forward reads outputs of other threads' rows, and the way
back reads their gradients. So threads wait before each.
"""

from ...format.arch import SQUARE
from .layout import (
    COLUMNS,
    FLOAT,
    GRADIENT_ROWS,
    LONG,
    NO_FLOORS,
    OUTPUT_ERRORS,
    OUTPUT_PITCH,
    OUTPUT_PLANE,
    OUTPUTS,
    PLANES,
    RESIDUAL_BACK,
    RESIDUAL_BACK_SIZE,
    RESIDUAL_WEIGHTS,
    ROW_LIST,
    ROWS,
    THIRD_LIST,
)
from .products import NONE, added
from .simd import (
    BYTES,
    LANES,
    compiled,
    first,
    load,
    peek,
    poke,
    poke_long,
    store,
)


@compiled
def output_row(plan, start, plane, row):
    """Find the address of a row of outputs, or of their errors, in the array at `start`."""
    return start + plane * plan[OUTPUT_PLANE] + row * plan[OUTPUT_PITCH]


@compiled
def close_row(plan, here, row):
    """Repeat the outermost outputs of a row where the residual layer looks beyond it."""
    for plane in range(plan[PLANES]):
        start = output_row(plan, plan[OUTPUTS], plane, row)
        poke(start - FLOAT, peek(start))
        poke(start + here[COLUMNS] * FLOAT, peek(start + (here[COLUMNS] - 1) * FLOAT))


@compiled
def _copy(target, source, vectors):
    """Copy a row."""
    for v in range(vectors):
        store(target + v * BYTES, load(source + v * BYTES))


@compiled
def back(plan, here, own, row, weights, stop):
    """Write the gradients by the outputs of a row, from those by the samples around it, to `GRADIENT_ROWS`.

    From the picture's last column to `stop`, in vectors, it writes zeros.
    """
    rows, columns, planes = here[ROWS], here[COLUMNS], plan[PLANES]
    vectors = (columns + LANES - 1) // LANES
    for plane in range(planes):
        target = gradient_row(plan, own, plane, row)
        poke_long(own[ROW_LIST] + LONG * plane, target)
        _copy(target, output_row(plan, plan[OUTPUT_ERRORS], plane, row), vectors)
    for near in range(max(row - 1, 0), min(row + 2, rows)):
        for dy in range(3):
            # A row at the border is also seen in place of the rows beyond it.
            if min(max(near + dy - 1, 0), rows - 1) == row:
                _back_from(plan, own, row, near, dy, weights, columns, vectors)
    for plane in range(planes):
        target = gradient_row(plan, own, plane, row)
        for v in range(columns // LANES, stop):
            store(target + v * BYTES, first(load(target + v * BYTES), columns - v * LANES))


@compiled
def gradient_row(plan, own, plane, row):
    """Find the address of a row of gradients by the outputs; two rows of each plane are kept."""
    return own[GRADIENT_ROWS] + (2 * plane + row % 2) * plan[OUTPUT_PITCH]


@compiled
def _back_from(plan, own, row, near, dy, weights, columns, vectors):
    """Add the gradients from the samples of row `near` that saw `row` as row `dy` of their square."""
    planes = plan[PLANES]
    for dx in range(3):
        for plane in range(planes):
            poke_long(
                own[THIRD_LIST] + LONG * (planes * dx + plane),
                output_row(plan, plan[OUTPUT_ERRORS], plane, near) - (dx - 1) * FLOAT,
            )
    added(
        own[ROW_LIST],
        NONE,
        own[THIRD_LIST],
        NONE,
        weights + plan[RESIDUAL_BACK] + dy * plan[RESIDUAL_BACK_SIZE],
        NONE,
        NONE,
        plan[NO_FLOORS],
        planes,
        3 * planes,
        vectors,
    )
    # The outermost columns are also seen in place of the columns beyond them.
    for seen in range(planes):
        left = gradient_row(plan, own, seen, row)
        right = left + (columns - 1) * FLOAT
        for plane in range(planes):
            errors = output_row(plan, plan[OUTPUT_ERRORS], plane, near)
            weight = weights + plan[RESIDUAL_WEIGHTS] + FLOAT * (planes * (SQUARE * plane + 3 * dy) + seen)
            poke(left, peek(left) + peek(weight) * peek(errors))
            poke(right, peek(right) + peek(weight + 2 * planes * FLOAT) * peek(errors + (columns - 1) * FLOAT))

"""The residual layer, the loss, and the way back through both on the CPU (FORMAT.md, chapter 7).

All go row by row, with the columns in their order. The way forward reads outputs of other threads' rows, and the way
back reads their errors. So threads wait before each.
"""

from numba import float32

from ...format.arch import SQUARE
from .layout import (
    COLUMNS,
    ERRORS,
    ERRORS_PITCH,
    FLOAT,
    GRADIENT_ROWS,
    KNOWN,
    LONG,
    MEANS,
    NO_FLOORS,
    OUTPUT_ERRORS,
    OUTPUT_PITCH,
    OUTPUT_PLANE,
    OUTPUTS,
    PLANES,
    RESIDUAL,
    RESIDUAL_BACK,
    RESIDUAL_BACK_SIZE,
    RESIDUAL_WEIGHTS,
    ROW_LIST,
    ROWS,
    SHORT,
    SQUARE_LIST,
    SUMS,
    SUMS_RESIDUAL,
    TARGET,
    TARGET_PITCH,
    TARGET_PLANE,
    THIRD_LIST,
)
from .products import NONE, ONE, added, outer
from .rows import own_rows
from .simd import (
    BYTES,
    LANES,
    compiled,
    first,
    full,
    load,
    load_shorts,
    maximum,
    minimum,
    peek,
    poke,
    poke_long,
    store,
    total,
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
def loss(plan, here, own, thread, weights, learn, keep):
    """Sum the squared errors of a thread's rows of samples, clamped, over the pixels that count.

    Leaves the gradients of the mean square by the samples in `OUTPUT_ERRORS`, as if nothing were clamped.

    learn: add to the sums of gradients by the weights, and the samples to `MEANS`, where they are wanted. keep: write
    each pixel's sum to `ERRORS`.
    """
    rows, columns, planes = here[ROWS], here[COLUMNS], plan[PLANES]
    start, stop = own_rows(plan, here, thread)
    vectors = (columns + LANES - 1) // LANES
    gain = float32(2.0 / (rows * columns * planes))
    squares = 0.0
    for row in range(start, stop):
        for dy in range(3):
            near = min(max(row + dy - 1, 0), rows - 1)
            for dx in range(3):
                for plane in range(planes):
                    poke_long(
                        own[SQUARE_LIST] + LONG * (planes * (3 * dy + dx) + plane),
                        output_row(plan, plan[OUTPUTS], plane, near) + (dx - 1) * FLOAT,
                    )
        for plane in range(planes):
            values = output_row(plan, plan[OUTPUT_ERRORS], plane, row)
            poke_long(own[ROW_LIST] + LONG * plane, values)
            _copy(values, output_row(plan, plan[OUTPUTS], plane, row), vectors)
        added(
            own[ROW_LIST],
            NONE,
            own[SQUARE_LIST],
            NONE,
            weights + plan[RESIDUAL],
            NONE,
            NONE,
            plan[NO_FLOORS],
            planes,
            SQUARE * planes,
            vectors,
        )
        for plane in range(planes):
            squares += _errors(plan, plane, row, columns, vectors, gain, learn)
        if keep:
            _keep_errors(plan, row, vectors)
        if learn:
            outer(
                own[SUMS] + plan[SUMS_RESIDUAL],
                own[ROW_LIST],
                NONE,
                own[SQUARE_LIST],
                NONE,
                planes,
                SQUARE * planes,
                vectors,
                ONE,
                NONE,
                NONE,
            )
    return squares


@compiled
def _copy(target, source, vectors):
    """Copy a row."""
    for v in range(vectors):
        store(target + v * BYTES, load(source + v * BYTES))


@compiled
def _errors(plan, plane, row, columns, vectors, gain, learn):
    """Sum the squared errors of a row of one plane; leave `gain` times the errors in the row's place."""
    values = output_row(plan, plan[OUTPUT_ERRORS], plane, row)
    target = plan[TARGET] + plane * plan[TARGET_PLANE] + row * plan[TARGET_PITCH]
    known = plan[KNOWN] + row * plan[ERRORS_PITCH] if plan[KNOWN] != NONE else NONE
    means = output_row(plan, plan[MEANS], plane, row) if learn and plan[MEANS] != NONE else NONE
    zero, one = full(float32(0)), full(float32(1))
    squares = zero
    for v in range(vectors):
        inside = minimum(maximum(load(values + v * BYTES), zero), one)
        if means != NONE:
            store(means + v * BYTES, load(means + v * BYTES) + inside)
        error = first(inside - load_shorts(target + v * LANES * SHORT) * float32(1 / 65535), columns - v * LANES)
        if known != NONE:
            error = error * load(known + v * BYTES)
        squares = squares + error * error
        store(values + v * BYTES, error * gain)
    return total(squares)


@compiled
def _keep_errors(plan, row, vectors):
    """Write the squared errors of a row's pixels, summed over the planes, to `ERRORS`.

    Their unit is (2 / count)^2, since `_errors` has left the errors in units of 2 / count.
    """
    for v in range(vectors):
        squares = full(float32(0))
        for plane in range(plan[PLANES]):
            error = load(output_row(plan, plan[OUTPUT_ERRORS], plane, row) + v * BYTES)
            squares = squares + error * error
        store(plan[ERRORS] + row * plan[ERRORS_PITCH] + v * BYTES, squares)


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

"""The samples, their errors, the distortion and its gradient on the CPU (`loss.form`).

A thread takes bands of rows that share no cell of the form's levels, one after the other. Only an edge reaches from one
band into the next. So the thread makes the errors of one row more at each end itself, and waits for nobody.
"""

from numba import float32

from ...format.arch import SQUARE
from ..loss.form import BAND, BEYOND, CHANNELS
from .layout import (
    BEFORE_ERRORS,
    BEFORE_GRADIENTS,
    CHANNEL_ROWS,
    COLUMNS,
    EDGES,
    ERRORS,
    ERRORS_PITCH,
    FLOAT,
    HALO_ROWS,
    KNOWN,
    LEVEL_ROWS,
    LEVEL_WEIGHTS,
    LONG,
    MEANS,
    NO_FLOORS,
    OUTPUT_ERRORS,
    OUTPUT_PITCH,
    OUTPUT_PLANE,
    OUTPUTS,
    PLANES,
    RESIDUAL,
    RING,
    ROW_LIST,
    ROWS,
    SHORT,
    SQUARE_LIST,
    SUMS,
    SUMS_RESIDUAL,
    TARGET,
    TARGET_PITCH,
    TARGET_PLANE,
    THREADS,
)
from .products import NONE, ONE, added, outer
from .residual import output_row
from .simd import (
    BYTES,
    LANES,
    compiled,
    even,
    first,
    full,
    high,
    load,
    load_shorts,
    low,
    maximum,
    minimum,
    odd,
    peek,
    poke,
    poke_long,
    store,
    total,
)

DIFFERENCES = 1
"""What a pass keeps of every pixel: its part in the change of D since a pass that kept all."""
ALL = 2
"""What a pass keeps of every pixel: its part in D. Later changes count from here."""
_Y, _CB, _CR = (tuple(float32(value) for value in row) for row in CHANNELS[3])
_QUARTER = float32(0.25)


@compiled
def distortion(plan, here, own, thread, weights, learn, keep, squares, results):
    """Measure the distortion of a thread's rows, and leave its gradient by the samples in `OUTPUT_ERRORS`.

    The samples are clamped, but the gradient is as if nothing were. The distortion is added to the first of `results`,
    the sum of squared errors to the third.

    learn: add to the sums of gradients by the weights, and the samples to `MEANS`, where they are wanted. keep:
    `DIFFERENCES` or `ALL`, to write a part for each pixel to `ERRORS`, or 0. squares: the form's weight of squared
    error.
    """
    rows, planes = here[ROWS], plan[PLANES]
    vectors = (here[COLUMNS] + LANES - 1) // LANES
    has_levels = plan[EDGES] != NONE
    bands = (rows + BAND - 1) // BAND
    start, stop = BAND * (bands * thread // plan[THREADS]), BAND * (bands * (thread + 1) // plan[THREADS])
    stop, done = min(stop, rows), start
    if has_levels and 0 < start < stop:
        _error_row(plan, here, own, weights, start - 1, False, False)
        _channel_row(plan, here, own, start - 1, False)
    for top in range(start, stop, BAND):
        below = min(top + BAND, stop)
        while done < (min(below + 1, rows) if has_levels else below):
            error = _error_row(plan, here, own, weights, done, done < stop, learn)
            if done < stop:
                results[2] += error
            if has_levels:
                _channel_row(plan, here, own, done, done < stop)
            done += 1
        if has_levels:
            _levels(plan, here, own, top, below)
        for row in range(top, below):
            results[0] += _gradient_row(plan, here, own, row, squares, keep)
            if learn:
                _square(plan, here, own, row)
                for plane in range(planes):
                    poke_long(own[ROW_LIST] + LONG * plane, output_row(plan, plan[OUTPUT_ERRORS], plane, row))
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


@compiled
def _square(plan, here, own, row):
    """List the rows of outputs that the residual layer sees from a row."""
    planes = plan[PLANES]
    for dy in range(3):
        near = min(max(row + dy - 1, 0), here[ROWS] - 1)
        for dx in range(3):
            for plane in range(planes):
                poke_long(
                    own[SQUARE_LIST] + LONG * (planes * (3 * dy + dx) + plane),
                    output_row(plan, plan[OUTPUTS], plane, near) + (dx - 1) * FLOAT,
                )


@compiled
def _own_row(plan, own, plane, row, is_own):
    """Find the address of a row of errors: that of `OUTPUT_ERRORS`, or one of the thread for another thread's row."""
    return output_row(plan, plan[OUTPUT_ERRORS], plane, row) if is_own else own[HALO_ROWS] + plane * plan[OUTPUT_PITCH]


@compiled
def _error_row(plan, here, own, weights, row, is_own, learn):
    """Make a row of samples and leave their errors; return the sum of their squares."""
    columns, planes = here[COLUMNS], plan[PLANES]
    vectors = (columns + LANES - 1) // LANES
    _square(plan, here, own, row)
    for plane in range(planes):
        target, source = _own_row(plan, own, plane, row, is_own), output_row(plan, plan[OUTPUTS], plane, row)
        poke_long(own[ROW_LIST] + LONG * plane, target)
        for v in range(vectors):
            store(target + v * BYTES, load(source + v * BYTES))
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
    squares = 0.0
    for plane in range(planes):
        values = _own_row(plan, own, plane, row, is_own)
        means = output_row(plan, plan[MEANS], plane, row) if learn and is_own and plan[MEANS] != NONE else NONE
        squares += _errors(plan, plane, row, columns, vectors, values, means)
    return squares


@compiled
def _errors(plan, plane, row, columns, vectors, values, means):
    """Sum the squared errors of a row of one plane; leave the errors in the row's place."""
    target = plan[TARGET] + plane * plan[TARGET_PLANE] + row * plan[TARGET_PITCH]
    known = plan[KNOWN] + row * plan[ERRORS_PITCH] if plan[KNOWN] != NONE else NONE
    zero, one = full(float32(0)), full(float32(1))
    lowest, highest = full(float32(-BEYOND)), full(float32(1 + BEYOND))
    squares = zero
    for v in range(vectors):
        value = load(values + v * BYTES)
        inside = minimum(maximum(value, zero), one)
        if means != NONE:
            store(means + v * BYTES, load(means + v * BYTES) + inside)
        beyond = value - minimum(maximum(value, lowest), highest)
        wanted = load_shorts(target + v * LANES * SHORT) * float32(1 / 65535)
        error = first(inside + beyond - wanted, columns - v * LANES)
        if known != NONE:
            error = error * load(known + v * BYTES)
        squares = squares + error * error
        store(values + v * BYTES, error)
    return total(squares)


@compiled
def _channel(plan, own, channel, row):
    """Find the address of a row of a channel's errors; `RING` rows of each channel are kept."""
    return own[CHANNEL_ROWS] + (channel * RING + (row + RING) % RING) * plan[OUTPUT_PITCH]


@compiled
def _channel_row(plan, here, own, row, is_own):
    """Make the channels of a row of errors."""
    vectors = (here[COLUMNS] + LANES - 1) // LANES
    red, luma = _own_row(plan, own, 0, row, is_own), _channel(plan, own, 0, row)
    if plan[PLANES] == 3:
        green, blue = _own_row(plan, own, 1, row, is_own), _own_row(plan, own, 2, row, is_own)
        bluish, reddish = _channel(plan, own, 1, row), _channel(plan, own, 2, row)
        for v in range(0, vectors * BYTES, BYTES):
            r, g, b = load(red + v), load(green + v), load(blue + v)
            store(luma + v, r * _Y[0] + g * _Y[1] + b * _Y[2])
            store(bluish + v, r * _CB[0] + g * _CB[1] + b * _CB[2])
            store(reddish + v, r * _CR[0] + g * _CR[1] + b * _CR[2])
    else:
        for v in range(0, vectors * BYTES, BYTES):
            store(luma + v, load(red + v))
    # No edge lies at the picture's border: its neighbour beyond is alike.
    poke(luma - FLOAT, peek(luma))
    if row == 0:
        beyond = _channel(plan, own, 0, -1)
        for v in range(0, vectors * BYTES, BYTES):
            store(beyond + v, load(luma + v))


@compiled
def _level_row(plan, own, channel, row):
    """Find the address of a row of a band's levels: rows 0 and 1 are of means of 2x2, row 2 is of means of 4x4."""
    return own[LEVEL_ROWS] + (3 * channel + row) * plan[OUTPUT_PITCH]


@compiled
def _weights_row(plan, level, channel, row):
    """Find the address of a row of a level's weights; each level has an address, a pitch and the bytes of a plane."""
    place = LEVEL_WEIGHTS + 3 * level
    return plan[place] + channel * plan[place + 2] + row * plan[place + 1]


@compiled
def _levels(plan, here, own, top, below):
    """Make the means of a band of rows, and from these the gradients by the means of 2x2, in their place."""
    columns = here[COLUMNS]
    twos = ((columns + 1) // 2 + LANES - 1) // LANES
    fours = ((columns + 3) // 4 + LANES - 1) // LANES
    for channel in range(plan[PLANES]):
        pairs = 0
        for row in range(top, below, 2):
            upper = _channel(plan, own, channel, row)
            lower = _channel(plan, own, channel, row + 1) if row + 1 < below else NONE
            _halve(_level_row(plan, own, channel, pairs), upper, lower, twos)
            pairs += 1
        whole = _level_row(plan, own, channel, 2)
        upper = _level_row(plan, own, channel, 0)
        lower = _level_row(plan, own, channel, 1) if pairs == 2 else NONE
        _halve(whole, upper, lower, fours)
        weights = _weights_row(plan, 2, channel, top // 4)
        for v in range(0, fours * BYTES, BYTES):
            store(whole + v, load(whole + v) * load(weights + v) * _QUARTER)
        for pair in range(pairs):
            target, weights = _level_row(plan, own, channel, pair), _weights_row(plan, 1, channel, top // 2 + pair)
            for v in range(twos):
                coarse = load(whole + v // 2 * BYTES)
                coarse = high(coarse, coarse) if v % 2 else low(coarse, coarse)
                mean = load(target + v * BYTES)
                store(target + v * BYTES, (mean * load(weights + v * BYTES) + coarse) * _QUARTER)


@compiled
def _halve(target, upper, lower, vectors):
    """Take the means of 2x2 of two rows; lower: `NONE` where it lies beyond the picture, as zeros."""
    for v in range(0, vectors * BYTES, BYTES):
        near, far = load(upper + 2 * v), load(upper + 2 * v + BYTES)
        if lower != NONE:
            near, far = near + load(lower + 2 * v), far + load(lower + 2 * v + BYTES)
        store(target + v, (even(near, far) + odd(near, far)) * _QUARTER)


@compiled
def _gradient_row(plan, here, own, row, squares, keep):
    """Turn a row of errors into the gradient of D by its samples; return the row's part in D."""
    columns, planes = here[COLUMNS], plan[PLANES]
    vectors = (columns + LANES - 1) // LANES
    gain = full(float32(squares * 2.0 / (here[ROWS] * columns * planes)))
    known = plan[KNOWN] + row * plan[ERRORS_PITCH] if plan[KNOWN] != NONE else NONE
    red = output_row(plan, plan[OUTPUT_ERRORS], 0, row)
    green, blue = red + plan[OUTPUT_PLANE], red + 2 * plan[OUTPUT_PLANE]
    zero = full(float32(0))
    parts = zero
    for v in range(vectors):
        at = v * BYTES
        e = load(red + at)
        by_red = e * gain
        if plan[EDGES] == NONE:
            part = _kept(plan, 0, row, at, e, by_red, keep, zero)
            store(red + at, by_red)
            parts = parts + e * by_red
            for plane in range(1, planes):
                other = red + plane * plan[OUTPUT_PLANE] + at
                e = load(other)
                by_other = e * gain
                part = _kept(plan, plane, row, at, e, by_other, keep, part)
                store(other, by_other)
                parts = parts + e * by_other
        else:
            by_luma = _by_channel(plan, own, 0, row, v) + _by_edges(plan, here, own, row, at)
            inside = first(full(float32(1)), columns - v * LANES)
            if known != NONE:
                inside = inside * load(known + at)
            if planes == 1:
                by_red = (by_red + by_luma) * inside
                part = _kept(plan, 0, row, at, e, by_red, keep, zero)
                store(red + at, by_red)
                parts = parts + e * by_red
            else:
                bluish, reddish = _by_channel(plan, own, 1, row, v), _by_channel(plan, own, 2, row, v)
                by_red = (by_red + by_luma * _Y[0] + bluish * _CB[0] + reddish * _CR[0]) * inside
                part = _kept(plan, 0, row, at, e, by_red, keep, zero)
                store(red + at, by_red)
                parts = parts + e * by_red
                e = load(green + at)
                by_green = (e * gain + by_luma * _Y[1] + bluish * _CB[1] + reddish * _CR[1]) * inside
                part = _kept(plan, 1, row, at, e, by_green, keep, part)
                store(green + at, by_green)
                parts = parts + e * by_green
                e = load(blue + at)
                by_blue = (e * gain + by_luma * _Y[2] + bluish * _CB[2] + reddish * _CR[2]) * inside
                part = _kept(plan, 2, row, at, e, by_blue, keep, part)
                store(blue + at, by_blue)
                parts = parts + e * by_blue
        if keep:
            store(plan[ERRORS] + row * plan[ERRORS_PITCH] + at, part)
    return 0.5 * total(parts)


@compiled
def _by_channel(plan, own, channel, row, v):
    """Compute the gradient of all levels by a channel, for a vector of a row."""
    coarse = load(_level_row(plan, own, channel, row % BAND // 2) + v // 2 * BYTES)
    coarse = high(coarse, coarse) if v % 2 else low(coarse, coarse)
    error, weight = _channel(plan, own, channel, row), _weights_row(plan, 0, channel, row)
    return load(error + v * BYTES) * load(weight + v * BYTES) + coarse


@compiled
def _by_edges(plan, here, own, row, at):
    """Compute the gradient of the edges by luma, for the vector at `at` of a row."""
    luma, above = _channel(plan, own, 0, row) + at, _channel(plan, own, 0, row - 1) + at
    weights = plan[EDGES] + row * plan[OUTPUT_PITCH] + at
    center = load(luma)
    change = load(weights) * ((center - load(luma - FLOAT)) + (center - load(above)))
    change = change + load(weights + FLOAT) * (center - load(luma + FLOAT))
    if row + 1 < here[ROWS]:
        below = _channel(plan, own, 0, row + 1) + at
        change = change + load(weights + plan[OUTPUT_PITCH]) * (center - load(below))
    return change


@compiled
def _kept(plan, plane, row, at, error, gradient, keep, part):
    """Add a plane's share to a vector of parts of pixels, as `keep` wants it."""
    if keep:
        errors = output_row(plan, plan[BEFORE_ERRORS], plane, row) + at
        gradients = output_row(plan, plan[BEFORE_GRADIENTS], plane, row) + at
        if keep == ALL:
            store(errors, error)
            store(gradients, gradient)
            part = part + error * gradient * float32(0.5)
        else:
            # Exact in sum, since D is quadratic.
            part = part + (error - load(errors)) * (gradient + load(gradients)) * float32(0.5)
    return part

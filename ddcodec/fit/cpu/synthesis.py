"""The synthesis of the deep decoder on the CPU, and its gradients (FORMAT.md, chapter 7), run by run.

Rows are taken in pairs, and columns by their parity. Then an upsampling is four products of the same few rows. The
other layers do not care about the order of pixels. A run has four phases of up to `PHASE` pixels: even row and even
column, even and odd, odd and even, both odd.

Each octave is made whole, coarse to fine, then taken back, fine to coarse. The residual layer behind them and the loss
are in `residual`.
"""

from numba import float32

from .filters import filtered
from .layout import (
    BACK_RUN,
    BIAS,
    BLOCK,
    BLOCKS,
    BY_FILTERED,
    CHANNELS,
    CODE_BACK_RUN,
    CODE_LIST,
    CODE_PLANES,
    CODE_RUN,
    COLUMNS,
    EVEN_ROW_PHASES,
    FEATURE_LIST,
    FILTERED,
    FLOAT,
    FLOORS,
    FROM_EVEN_ROW,
    FROM_ODD_ROW,
    GAPPED,
    GAPPED_STRIDES,
    HALO_MIXED,
    HALO_MIXED_OCTAVE,
    HIDDEN_LIST,
    HIDDEN_RUN,
    JOIN,
    JOIN_BACK,
    LONG,
    MARGIN,
    MIX,
    MIX_BACK,
    MIXED,
    MIXED_GRADIENT,
    MIXED_PITCH,
    MIXED_ROW,
    MIXED_RUN,
    NO_FLOORS,
    OCTAVES,
    ODD_ROW_PHASES,
    OUTPUT,
    OUTPUT_BACK,
    OUTPUT_BIAS,
    OUTPUT_PITCH,
    OUTPUTS,
    PAIR_FLOORS,
    PAIR_LIST,
    PARITIES,
    PHASE,
    PITCH,
    PLANES,
    ROWS,
    ROWS_BACK_LIST,
    ROWS_LIST,
    RUN,
    RUNS,
    SHIFTS,
    SINGLE,
    STRIDES,
    SUMS,
    SUMS_JOIN,
    SUMS_MIX,
    SUMS_OUTPUT,
    SUMS_TOP,
    SUMS_UP,
    TAPS,
    THREADS,
    TOP,
    TOP_BACK,
    TOP_BIAS,
    TOPS,
    UP,
    UP_ACROSS,
    UP_ALONG,
    UP_BACK_ROWS,
    UP_ROW,
    UP_ROWS,
    ZEROS,
)
from .products import NONE, ONE, TWO, added, affine, gated, outer
from .residual import back, close_row, gradient_row, output_row
from .rows import band, row_place
from .simd import BYTES, LANES, add_onto, clear, compiled, even, high, load, low, odd, peek, poke, poke_long, store


@compiled
def forward(plan, octaves, own, o, thread, weights):
    """Make a thread's rows of the hidden channels of octave `o` (not 0), and of what the finer one upsamples."""
    here, finer = octaves[o], octaves[o - 1]
    filtered(plan, octaves, own, o, thread, weights)
    first_pair, last_pair = band((here[ROWS] + 1) // 2, plan[THREADS], thread)
    for pair in range(first_pair, last_pair):
        _up_rows(plan, octaves, own, o, pair, weights)
        for run in range(here[RUNS]):
            x, vectors = run * PHASE, _vectors(here, run)
            block = here[BLOCKS] + (pair * here[RUNS] + run) * here[BLOCK]
            _hidden(plan, octaves, own, o, pair, x, vectors, weights, block)
            affine(
                plan[STRIDES],
                own[MIXED_RUN],
                plan[STRIDES],
                block,
                weights + finer[MIX],
                plan[ZEROS],
                NONE,
                plan[NO_FLOORS],
                finer[CHANNELS],
                here[CHANNELS],
                4 * vectors,
            )
            for channel in range(finer[CHANNELS]):
                target = finer[MIXED] + 2 * pair * finer[MIXED_ROW] + channel * finer[MIXED_PITCH] + 2 * x * FLOAT
                _join_pair(here, pair, target, finer[MIXED_ROW], own[MIXED_RUN] + channel * RUN * FLOAT, vectors)


@compiled
def outputs(plan, octaves, own, thread, weights):
    """Make a thread's rows of what the residual layer sees."""
    here = octaves[0]
    filtered(plan, octaves, own, NONE, thread, weights)
    first_pair, last_pair = band((here[ROWS] + 1) // 2, plan[THREADS], thread)
    for pair in range(first_pair, last_pair):
        _up_rows(plan, octaves, own, NONE, pair, weights)
        for run in range(here[RUNS]):
            x, vectors = run * PHASE, _vectors(here, run)
            _top(plan, octaves, own, pair, x, vectors, weights)
            affine(
                plan[STRIDES],
                own[MIXED_RUN],
                plan[STRIDES],
                own[HIDDEN_RUN],
                weights + plan[OUTPUT],
                weights + plan[OUTPUT_BIAS],
                NONE,
                plan[NO_FLOORS],
                plan[PLANES],
                here[CHANNELS] + plan[TOPS],
                4 * vectors,
            )
            for plane in range(plan[PLANES]):
                target = output_row(plan, plan[OUTPUTS], plane, 2 * pair) + 2 * x * FLOAT
                _join_pair(here, pair, target, plan[OUTPUT_PITCH], own[MIXED_RUN] + plane * RUN * FLOAT, vectors)
        for row in range(min(2, here[ROWS] - 2 * pair)):
            close_row(plan, here, 2 * pair + row)


@compiled
def finest_back(plan, octaves, own, thread, weights):
    """Compute all gradients of the finest octave for a thread's rows, from those by the samples.

    The hidden channels are made again, which is faster than to keep them.
    """
    here = octaves[0]
    first_pair, last_pair = band((here[ROWS] + 1) // 2, plan[THREADS], thread)
    _clear_back(plan, octaves, own, NONE, first_pair, last_pair)
    top, top_back = own[HIDDEN_RUN] + here[CHANNELS] * RUN * FLOAT, own[MIXED_RUN] + plan[PLANES] * RUN * FLOAT
    width = 2 * (((here[COLUMNS] + 1) // 2 + LANES - 1) // LANES)
    for pair in range(first_pair, last_pair):
        _up_rows(plan, octaves, own, NONE, pair, weights)
        _clear_row(plan, octaves, NONE, pair, last_pair)
        for row in range(2 * pair, min(2 * pair + 2, here[ROWS])):
            back(plan, here, own, row, weights, width)
        for run in range(here[RUNS]):
            x, vectors = run * PHASE, _vectors(here, run)
            _top(plan, octaves, own, pair, x, vectors, weights)
            for plane in range(plan[PLANES]):
                source = gradient_row(plan, own, plane, 2 * pair) + 2 * x * FLOAT
                _split_pair(here, pair, own[MIXED_RUN] + plane * RUN * FLOAT, source, plan[OUTPUT_PITCH], vectors)
            outer(
                own[SUMS] + plan[SUMS_OUTPUT],
                plan[STRIDES],
                own[MIXED_RUN],
                own[HIDDEN_LIST],
                NONE,
                plan[PLANES],
                here[CHANNELS] + plan[TOPS] + 1,
                4 * vectors,
                ONE,
                NONE,
                NONE,
            )
            gated(
                plan[STRIDES],
                top_back,
                plan[STRIDES],
                own[MIXED_RUN],
                weights + plan[TOP_BACK],
                plan[STRIDES],
                top,
                plan[ZEROS],
                plan[TOPS],
                plan[PLANES],
                4 * vectors,
            )
            outer(
                own[SUMS] + plan[SUMS_TOP],
                plan[STRIDES],
                top_back,
                own[FEATURE_LIST],
                NONE,
                plan[TOPS],
                here[CHANNELS] + 1,
                4 * vectors,
                ONE,
                NONE,
                NONE,
            )
            _back(
                plan,
                octaves,
                own,
                NONE,
                pair,
                x,
                vectors,
                weights,
                own[HIDDEN_RUN],
                weights + plan[OUTPUT_BACK],
                plan[PLANES] + plan[TOPS],
            )
        _back_rows(plan, octaves, own, NONE, pair, first_pair, last_pair, weights)


@compiled
def backward(plan, octaves, own, o, thread, weights):
    """Compute the gradients of octave `o` (not 0) for a thread's rows.

    They come from the gradients by what the finer octave upsampled.
    """
    here, finer = octaves[o], octaves[o - 1]
    first_pair, last_pair = band((here[ROWS] + 1) // 2, plan[THREADS], thread)
    _clear_back(plan, octaves, own, o, first_pair, last_pair)
    for pair in range(first_pair, last_pair):
        _up_rows(plan, octaves, own, o, pair, weights)
        _clear_row(plan, octaves, o, pair, last_pair)
        for run in range(here[RUNS]):
            x, vectors = run * PHASE, _vectors(here, run)
            block = here[BLOCKS] + (pair * here[RUNS] + run) * here[BLOCK]
            for channel in range(finer[CHANNELS]):
                source = (
                    finer[MIXED_GRADIENT] + 2 * pair * finer[MIXED_ROW] + channel * finer[MIXED_PITCH] + 2 * x * FLOAT
                )
                _split_pair(here, pair, own[MIXED_RUN] + channel * RUN * FLOAT, source, finer[MIXED_ROW], vectors)
            outer(
                own[SUMS] + finer[SUMS_MIX],
                plan[STRIDES],
                own[MIXED_RUN],
                plan[STRIDES],
                block,
                finer[CHANNELS],
                here[CHANNELS],
                4 * vectors,
                ONE,
                NONE,
                NONE,
            )
            _gather_code(plan, here, own, pair, x, vectors)
            _back(plan, octaves, own, o, pair, x, vectors, weights, block, weights + finer[MIX_BACK], finer[CHANNELS])
        _back_rows(plan, octaves, own, o, pair, first_pair, last_pair, weights)


@compiled
def merge_mixed(plan, octaves, own, o, thread):
    """Add the gradients in a thread's halos to the coarse rows of other threads.

    It stands between two waits, since those threads must have done with these rows.
    """
    if o == plan[OCTAVES] - 1:
        return
    here, coarse = octaves[o], octaves[o + 1, ROWS]
    first_pair, last_pair = band((here[ROWS] + 1) // 2, plan[THREADS], thread)
    if first_pair >= last_pair:
        return
    halo, size = own[HALO_MIXED] + here[HALO_MIXED_OCTAVE], plan[TAPS] * here[MIXED_ROW]
    if first_pair:
        add_onto(here[MIXED_GRADIENT] + first_pair * here[MIXED_ROW] - size, halo, size)
    if last_pair < coarse:
        add_onto(here[MIXED_GRADIENT] + last_pair * here[MIXED_ROW], halo + size, size)


@compiled
def _vectors(here, run):
    """Count the vectors of a phase in the given run of a row."""
    return (min(PHASE, (here[COLUMNS] + 1) // 2 - run * PHASE) + LANES - 1) // LANES


@compiled
def _gather_code(plan, here, own, pair, x, vectors):
    """Gather the filtered code of a run by phases."""
    for plane in range(here[CODE_PLANES]):
        source = plan[FILTERED] + row_place(here, plane, 2 * pair) + 2 * x * FLOAT
        _split_pair(here, pair, own[CODE_RUN] + plane * RUN * FLOAT, source, here[PITCH], vectors)


@compiled
def _split_pair(here, pair, target, source, pitch, vectors):
    """Sort a run of a pair's rows, `pitch` bytes apart, by phases.

    Of each row the even columns come first, then the odd ones. A row that is not there gives zeros.
    """
    for row in range(2):
        phases = target + 2 * row * vectors * BYTES
        if 2 * pair + row >= here[ROWS]:
            clear(phases, 2 * vectors * BYTES)
            continue
        for v in range(vectors):
            at = source + row * pitch + 2 * v * BYTES
            a, b = load(at), load(at + BYTES)
            store(phases + v * BYTES, even(a, b))
            store(phases + (vectors + v) * BYTES, odd(a, b))


@compiled
def _join_pair(here, pair, target, pitch, source, vectors):
    """Write the phases of a run back to those of a pair's rows that are there; the inverse of `_split_pair`."""
    for row in range(min(2, here[ROWS] - 2 * pair)):
        phases = source + 2 * row * vectors * BYTES
        for v in range(vectors):
            evens, odds = load(phases + v * BYTES), load(phases + (vectors + v) * BYTES)
            at = target + row * pitch + 2 * v * BYTES
            store(at, low(evens, odds))
            store(at + BYTES, high(evens, odds))


@compiled
def _up_rows(plan, octaves, own, o, pair, weights):
    """Upsample the coarse rows around a pair across.

    For every channel this makes an even and an odd row at the coarser octave's columns.
    """
    if o == plan[OCTAVES] - 1:
        return
    here, rows, columns = octaves[o], octaves[o + 1, ROWS], octaves[o + 1, COLUMNS]
    taps, row_bytes = plan[TAPS], plan[UP_ROW]
    for k in range(2 * taps + 1):
        row = min(max(pair - taps + k, 0), rows - 1)
        poke_long(own[ROWS_LIST] + LONG * k, here[MIXED] + row * here[MIXED_ROW])
    vectors = (columns + LANES - 1) // LANES
    for channel in range(here[CHANNELS]):
        target = own[UP_ROWS] + 2 * channel * row_bytes + MARGIN * FLOAT
        affine(
            plan[PARITIES],
            target,
            own[ROWS_LIST],
            channel * here[MIXED_PITCH],
            weights + here[UP],
            plan[ZEROS],
            NONE,
            plan[NO_FLOORS],
            TWO,
            2 * taps + 1,
            vectors,
        )
        for parity in range(2):
            row = target + parity * row_bytes
            for k in range(taps):
                poke(row - (k + 1) * FLOAT, peek(row))
                poke(row + (columns + k) * FLOAT, peek(row + (columns - 1) * FLOAT))


@compiled
def _top(plan, octaves, own, pair, x, vectors, weights):
    """Make the channels of a run of the finest octave and of the top layer, in `HIDDEN_RUN`."""
    here = octaves[0]
    _hidden(plan, octaves, own, NONE, pair, x, vectors, weights, own[HIDDEN_RUN])
    affine(
        plan[STRIDES],
        own[HIDDEN_RUN] + here[CHANNELS] * RUN * FLOAT,
        plan[STRIDES],
        own[HIDDEN_RUN],
        weights + plan[TOP],
        weights + plan[TOP_BIAS],
        NONE,
        plan[ZEROS],
        plan[TOPS],
        here[CHANNELS],
        4 * vectors,
    )


@compiled
def _hidden(plan, octaves, own, o, pair, x, vectors, weights, hidden):
    """Make the hidden channels of a run, at the address `hidden`."""
    here = octaves[o]
    coarsest = o == plan[OCTAVES] - 1
    _gather_code(plan, here, own, pair, x, vectors)
    affine(
        plan[STRIDES],
        hidden,
        own[CODE_LIST] + LONG,
        NONE,
        weights + here[JOIN],
        weights + here[BIAS],
        NONE,
        plan[FLOORS] if coarsest else plan[NO_FLOORS],
        here[CHANNELS],
        here[CODE_PLANES],
        4 * vectors,
    )
    if coarsest:
        return
    poke_long(own[PAIR_LIST] + LONG, vectors * BYTES)
    for channel in range(here[CHANNELS]):
        for parity in range(2):
            source = own[UP_ROWS] + (2 * channel + parity) * plan[UP_ROW] + (MARGIN + x) * FLOAT
            added(
                own[PAIR_LIST],
                hidden + channel * RUN * FLOAT + 2 * parity * vectors * BYTES,
                plan[SHIFTS],
                source,
                weights + here[UP],
                NONE,
                NONE,
                plan[PAIR_FLOORS] + 2 * channel * FLOAT,
                TWO,
                2 * plan[TAPS] + 1,
                vectors,
            )


@compiled
def _back(plan, octaves, own, o, pair, x, vectors, weights, hidden, back, count):
    """Go back from the gradients by a run's outputs to all below.

    These gradients are `count` rows in `MIXED_RUN`. The outputs come from `hidden` by weights whose transpose is
    `back`.
    """
    here = octaves[o]
    channels, planes, size = here[CHANNELS], here[CODE_PLANES], vectors * BYTES
    for phase in range(4):
        gapped = own[BACK_RUN] + (MARGIN + phase * (PHASE + MARGIN)) * FLOAT
        gated(
            plan[GAPPED_STRIDES],
            gapped,
            plan[STRIDES],
            own[MIXED_RUN] + phase * size,
            back,
            plan[STRIDES],
            hidden + phase * size,
            plan[FLOORS],
            channels,
            count,
            vectors,
        )
        if vectors * LANES < PHASE:
            for channel in range(channels):
                clear(gapped + channel * GAPPED * FLOAT + size, MARGIN * FLOAT)
        outer(
            own[SUMS] + here[SUMS_JOIN],
            plan[GAPPED_STRIDES],
            gapped,
            own[CODE_LIST],
            phase * size,
            channels,
            planes + 1,
            vectors,
            ONE,
            NONE,
            NONE,
        )
        if planes:
            affine(
                plan[STRIDES],
                own[CODE_BACK_RUN] + phase * size,
                plan[GAPPED_STRIDES],
                gapped,
                weights + here[JOIN_BACK],
                plan[ZEROS],
                NONE,
                plan[NO_FLOORS],
                planes,
                channels,
                vectors,
            )
    if planes:
        _scatter_code(plan, here, own, pair, x, vectors)
    if o == plan[OCTAVES] - 1:
        return
    taps = plan[TAPS]
    for parity in range(2):
        row = parity * plan[UP_ROW] + (MARGIN + x) * FLOAT
        outer(
            own[SUMS] + here[SUMS_UP],
            plan[ODD_ROW_PHASES] if parity else plan[EVEN_ROW_PHASES],
            own[BACK_RUN],
            plan[SHIFTS],
            own[UP_ROWS] + row,
            TWO,
            2 * taps + 1,
            vectors,
            channels,
            GAPPED * FLOAT,
            2 * plan[UP_ROW],
        )
        for channel in range(channels):
            added(
                plan[SINGLE],
                own[UP_BACK_ROWS] + 2 * channel * plan[UP_ROW] + row - taps * FLOAT,
                plan[FROM_ODD_ROW] if parity else plan[FROM_EVEN_ROW],
                own[BACK_RUN] + channel * GAPPED * FLOAT,
                weights + here[UP_ALONG],
                NONE,
                NONE,
                plan[NO_FLOORS],
                ONE,
                4 * taps,
                vectors + 1,
            )


@compiled
def _scatter_code(plan, here, own, pair, x, vectors):
    """Write the gradients of a run by the filtered code to their rows."""
    for plane in range(here[CODE_PLANES]):
        for row in range(min(2, here[ROWS] - 2 * pair)):
            source = own[CODE_BACK_RUN] + plane * RUN * FLOAT + 2 * row * vectors * BYTES
            target = plan[BY_FILTERED] + row_place(here, plane, 2 * pair + row) + 2 * x * FLOAT
            for v in range(vectors):
                evens, odds = load(source + v * BYTES), load(source + (vectors + v) * BYTES)
                at = target + 2 * v * BYTES
                store(at, low(evens, odds))
                store(at + BYTES, high(evens, odds))


@compiled
def _clear_back(plan, octaves, own, o, first_pair, last_pair):
    """Clear a thread's halos and the first rows that it adds gradients to."""
    if o == plan[OCTAVES] - 1 or first_pair >= last_pair:
        return
    here = octaves[o]
    # The first pair reaches so many rows down; every pair then clears one more.
    clear(
        here[MIXED_GRADIENT] + first_pair * here[MIXED_ROW], min(plan[TAPS], last_pair - first_pair) * here[MIXED_ROW]
    )
    clear(own[HALO_MIXED] + here[HALO_MIXED_OCTAVE], 2 * plan[TAPS] * here[MIXED_ROW])
    clear(own[UP_BACK_ROWS], 2 * here[CHANNELS] * plan[UP_ROW])


@compiled
def _clear_row(plan, octaves, o, pair, last_pair):
    """Clear a row of gradients just before it is first added to.

    So it comes into the cache once, not twice.
    """
    row = pair + plan[TAPS]
    if o < plan[OCTAVES] - 1 and row < last_pair:
        clear(octaves[o, MIXED_GRADIENT] + row * octaves[o, MIXED_ROW], octaves[o, MIXED_ROW])


@compiled
def _back_rows(plan, octaves, own, o, pair, first_pair, last_pair, weights):
    """Add the adjoint of `_up_rows` to the gradients by the coarse rows around a pair.

    Then the pair's own rows are zeros again.
    """
    if o == plan[OCTAVES] - 1:
        return
    here, rows, columns = octaves[o], octaves[o + 1, ROWS], octaves[o + 1, COLUMNS]
    taps, channels, row_bytes = plan[TAPS], here[CHANNELS], plan[UP_ROW]
    reach, vectors = 2 * taps + 1, (columns + LANES - 1) // LANES
    start = own[UP_BACK_ROWS] + MARGIN * FLOAT
    # The outermost columns are also seen in place of the columns beyond them.
    for line in range(2 * channels):
        row = start + line * row_bytes
        last = row + (columns - 1) * FLOAT
        for k in range(1, taps + 1):
            poke(row, peek(row) + peek(row - k * FLOAT))
            poke(last, peek(last) + peek(last + k * FLOAT))
            poke(last + k * FLOAT, float32(0))
    outer(
        own[SUMS] + here[SUMS_UP],
        plan[PARITIES],
        start,
        own[ROWS_LIST],
        NONE,
        TWO,
        reach,
        vectors,
        channels,
        2 * row_bytes,
        here[MIXED_PITCH],
    )
    halo = own[HALO_MIXED] + here[HALO_MIXED_OCTAVE]
    for k in range(reach):
        row = min(max(pair - taps + k, 0), rows - 1)
        if row < first_pair:
            target = halo + (row - first_pair + taps) * here[MIXED_ROW]
        elif row >= last_pair:
            target = halo + (row - last_pair + taps) * here[MIXED_ROW]
        else:
            target = here[MIXED_GRADIENT] + row * here[MIXED_ROW]
        poke_long(own[ROWS_BACK_LIST] + LONG * k, target)
    # Where rows are clamped some targets are the same row; a product of several rows would not add those up.
    height = reach if pair >= taps and pair + taps < rows else 1
    for channel in range(channels):
        source = start + 2 * channel * row_bytes
        for k in range(0, reach, height):
            added(
                own[ROWS_BACK_LIST] + LONG * k,
                channel * here[MIXED_PITCH],
                plan[PARITIES],
                source,
                weights + (here[UP_ACROSS] if height > 1 else here[UP] + 2 * k * FLOAT),
                NONE,
                NONE,
                plan[NO_FLOORS],
                height,
                TWO,
                vectors,
            )
    clear(own[UP_BACK_ROWS], 2 * channels * row_bytes)

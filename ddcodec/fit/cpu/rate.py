"""The rate of the code and its gradients on the CPU: context model and Laplace distribution (FORMAT.md, chapter 6).

One pass over a run of a row does all. It goes through the layers to the bits, and back to the weights, the code's
neighbours and the features. Meanwhile the run's rows lie in the processor's caches.
"""

import numpy as np
from numba import float32

from ...format.arch import FEATURES as FEATURE_COUNT
from ...format.arch import NEIGHBOURS
from ..loss.terms import GREATEST_SCALE, LEAST_SCALE, NAT
from .layout import (
    ABOVE,
    BACK_1,
    BACK_2,
    BACK_3,
    BACK_LIST,
    CODE,
    CODE_PLANES,
    COLUMNS,
    CONTEXT_1,
    CONTEXT_1_BIAS,
    CONTEXT_2,
    CONTEXT_2_BIAS,
    CONTEXT_3,
    CONTEXT_3_BIAS,
    DX_LIST,
    DX_RUN,
    FEATURE_GRADIENTS,
    FEATURE_ROW_BYTES,
    FEATURE_ROWS,
    FEATURES,
    FLOAT,
    GRADIENT,
    H1_LIST,
    H2_LIST,
    HALO_CODE,
    HALO_CODE_PLANE,
    HALO_FEATURE,
    HALO_FEATURES,
    HANDED,
    HAS_PARENT,
    HIDDEN,
    LONG,
    MARGIN,
    NEIGHBOUR_COUNT,
    NO_FLOORS,
    O_LIST,
    ONE_TARGET,
    ONES,
    ONES_LIST,
    OUT_ROWS,
    PARENT_ROW_BYTES,
    PARENT_ROWS,
    PITCH,
    PLANE,
    ROWS,
    RUN,
    SCATTER_LIST,
    SCATTER_STARTS,
    SEEN_PITCH,
    SHIFTED,
    SUMS,
    SUMS_1,
    SUMS_2,
    SUMS_3,
    SUMS_3_BIAS,
    THREADS,
    X_LIST,
    ZEROS,
    Q,
)
from .products import NONE, ONE, TWO, added, affine, gated, outer
from .rows import band, row_place
from .seen import double_row, other_row, row_of, seen_row
from .simd import (
    BYTES,
    LANES,
    absolute,
    add_onto,
    clear,
    compiled,
    even,
    exp,
    exp2,
    first,
    full,
    load,
    log,
    maximum,
    minimum,
    odd,
    peek,
    poke,
    poke_long,
    sign,
    store,
    total,
    where,
)

_DX = np.array([dx for dx, _ in NEIGHBOURS])
_DY = np.array([dy for _, dy in NEIGHBOURS])
SEEN_FEATURES = FEATURE_COUNT + 1
"""Features that a context sees: the mixed ones, and the magnitudes."""


@compiled
def octave_bits(plan, octaves, own, o, thread, weights, price, soft, learn, keep):
    """Compute the bits of a thread's rows of octave `o`.

    - price: the price of a bit in the loss
    - soft: add to the code's gradients
    - learn: add to the weights' sums and to the gradients by the features
    - keep: write the nats of each integer where its gradient would be
    """
    here = octaves[o]
    rows, columns = here[ROWS], here[COLUMNS]
    first_pair, last_pair = band((rows + 1) // 2, plan[THREADS], thread)
    if first_pair >= last_pair:
        return 0.0
    start, stop = 2 * first_pair, min(2 * last_pair, rows)
    parent = here[HAS_PARENT]
    if learn:
        _clear_halos(octaves, own, o, first_pair)
    bits = 0.0
    for plane in range(here[CODE_PLANES]):
        for y in range(start, stop):
            if learn:
                _clear_rows(plan, octaves, o, plane, y, last_pair)
            if parent:
                _double_parent(plan, octaves, own, o, y)
            for x in range(0, columns, RUN):
                bits += _run(plan, here, own, o, plane, y, x, start, weights, price, soft, learn, keep)
            if learn and parent:
                _back_to_parent(octaves, own, o, y, first_pair, last_pair)
    return bits


@compiled
def _clear_halos(octaves, own, o, first_pair):
    """Clear the thread's halos, and the first of the parent's rows of gradients.

    The first pair reaches that row and the next; every pair then clears one more.
    """
    here = octaves[o]
    for plane in range(here[CODE_PLANES]):
        clear(_halo(own, here, plane), ABOVE * here[PITCH])
    if here[HAS_PARENT]:
        parent = octaves[o + 1]
        for feature in range(SEEN_FEATURES):
            clear(row_of(parent, FEATURES, feature, first_pair), parent[SEEN_PITCH])
        clear(own[HALO_FEATURES] + parent[HALO_FEATURE], 2 * SEEN_FEATURES * parent[SEEN_PITCH])


@compiled
def _clear_rows(plan, octaves, o, plane, y, last_pair):
    """Clear rows of gradients just before they are first added to.

    So they come into the cache once, not twice. All planes add to the parent's.
    """
    here = octaves[o]
    clear(plan[GRADIENT] + here[CODE] + plane * here[PLANE] + (y + ABOVE) * here[PITCH], here[PITCH])
    row = y // 2 + 1
    if here[HAS_PARENT] and plane == 0 and y % 2 == 0 and row < last_pair:
        parent = octaves[o + 1]
        for feature in range(SEEN_FEATURES):
            clear(row_of(parent, FEATURES, feature, row), parent[SEEN_PITCH])


@compiled
def _halo(own, here, plane):
    """Find where a thread keeps the gradients of the rows above its own."""
    return own[HALO_CODE] + here[HALO_CODE_PLANE] + plane * ABOVE * here[PITCH]


@compiled
def _run(plan, here, own, o, plane, y, x, start, weights, price, soft, learn, keep):
    """Compute the bits of a run, and go back through it if `learn`."""
    columns, neighbours, hidden = here[COLUMNS], plan[NEIGHBOUR_COUNT], plan[HIDDEN]
    inputs = neighbours + SEEN_FEATURES
    vectors = (min(RUN, columns - x) + LANES - 1) // LANES
    place = row_place(here, plane, y) + x * FLOAT
    q = plan[Q] + place
    xs, h1, h2, out = own[X_LIST], own[H1_LIST], own[H2_LIST], own[O_LIST]
    for k in range(neighbours):
        poke_long(xs + LONG * k, q + _DY[k] * here[PITCH] + _DX[k] * FLOAT)
    for feature in range(SEEN_FEATURES):
        features = own[FEATURE_ROWS] + feature * own[FEATURE_ROW_BYTES] + x * FLOAT
        poke_long(xs + LONG * (neighbours + feature), features if here[HAS_PARENT] else plan[ZEROS])

    affine(
        h1,
        NONE,
        xs,
        NONE,
        weights + plan[CONTEXT_1],
        weights + plan[CONTEXT_1_BIAS],
        NONE,
        plan[ZEROS],
        hidden,
        inputs,
        vectors,
    )
    affine(
        h2,
        NONE,
        h1,
        NONE,
        weights + plan[CONTEXT_2],
        weights + plan[CONTEXT_2_BIAS],
        NONE,
        plan[ZEROS],
        hidden,
        hidden,
        vectors,
    )
    affine(
        out,
        NONE,
        h2,
        NONE,
        weights + plan[CONTEXT_3],
        weights + here[CONTEXT_3_BIAS],
        NONE,
        plan[NO_FLOORS],
        TWO,
        hidden + inputs,
        vectors,
    )
    bits = _laplace(plan, own, q, plan[GRADIENT] + place, columns - x, vectors, price, soft, learn, keep)
    if not learn:
        return bits

    outer(own[SUMS] + plan[SUMS_3], out, NONE, h2, NONE, TWO, hidden + inputs, vectors, ONE, NONE, NONE)
    outer(own[SUMS] + here[SUMS_3_BIAS], out, NONE, plan[ONES_LIST], NONE, TWO, ONE, vectors, ONE, NONE, NONE)
    gated(h2, NONE, out, NONE, weights + plan[BACK_3], h2, NONE, plan[ZEROS], hidden, TWO, vectors)
    outer(own[SUMS] + plan[SUMS_2], h2, NONE, h1, NONE, hidden, hidden + 1, vectors, ONE, NONE, NONE)
    gated(h1, NONE, h2, NONE, weights + plan[BACK_2], h1, NONE, plan[ZEROS], hidden, hidden, vectors)
    outer(own[SUMS] + plan[SUMS_1], h1, NONE, xs, NONE, hidden, inputs + 1, vectors, ONE, NONE, NONE)
    if soft or here[HAS_PARENT]:
        _back_to_inputs(plan, here, own, plane, y, x, start, vectors, weights, soft)
    return bits


@compiled
def _laplace(plan, own, q, gradient, columns, vectors, price, soft, learn, keep):
    """Compute the bits of a run as `reference.rate.laplace_bits` does.

    The distance from the mean counts up to 1/2; beyond that the logarithm is linear. If `learn`, the gradients by mean
    and scale, times the price, take the place of both. If `soft`, those by the code are added to `gradient`, too.
    """
    means, scales = own[OUT_ROWS], own[OUT_ROWS] + FLOAT * RUN
    nats, half, nothing = full(float32(0)), full(float32(0.5)), full(float32(0))
    for v in range(vectors):
        at = v * BYTES
        count = columns - v * LANES
        difference = load(q + at) - load(means + at)
        raw = load(scales + at)
        inverse = exp2(minimum(maximum(nothing - raw, full(float32(-GREATEST_SCALE))), full(float32(-LEAST_SCALE))))
        distance = absolute(difference)
        inside = minimum(distance, half)
        far, near = (half + inside) * inverse, (half - inside) * inverse
        below, above = half * exp(nothing - far), half * exp(nothing - near)
        chance = 1 - below - above
        beyond = (distance - inside) * inverse
        here = first(beyond - log(chance), count)
        nats = nats + here
        if keep:
            store(gradient + at, here)
        if learn:
            by_distance = first((above - below) * inverse / chance * sign(difference) * float32(price / NAT), count)
            by_scale = (near * above + far * below) / chance - beyond
            # Beyond the scales that have tables only a step back inside has a gradient.
            by_scale = where(raw, full(float32(GREATEST_SCALE)), maximum(by_scale, nothing), by_scale)
            by_scale = where(full(float32(LEAST_SCALE)), raw, minimum(by_scale, nothing), by_scale)
            store(means + at, nothing - by_distance)
            store(scales + at, first(by_scale * float32(price), count))
            if soft:
                store(gradient + at, load(gradient + at) + by_distance)
    return total(nats) / NAT


@compiled
def _back_to_inputs(plan, here, own, plane, y, x, start, vectors, weights, soft):
    """Write the gradients of a run by the features and, if `soft`, add those by the neighbours."""
    neighbours, hidden = plan[NEIGHBOUR_COUNT], plan[HIDDEN]
    back = own[DX_LIST]
    # Without a parent nobody reads these, but the weights are packed for so many outputs.
    for feature in range(SEEN_FEATURES):
        poke_long(
            back + LONG * (neighbours + feature), own[FEATURE_GRADIENTS] + feature * own[FEATURE_ROW_BYTES] + x * FLOAT
        )
    affine(
        back,
        NONE,
        own[BACK_LIST],
        NONE,
        weights + plan[BACK_1],
        plan[ZEROS],
        NONE,
        plan[NO_FLOORS],
        neighbours + SEEN_FEATURES,
        hidden + 2,
        vectors,
    )
    if not soft:
        return
    # What a longer run left behind must not be scattered.
    for k in range(neighbours):
        clear(own[DX_RUN] + (k * SHIFTED + MARGIN + vectors * LANES) * FLOAT, 2 * MARGIN * FLOAT)
    gradient = plan[GRADIENT] + here[CODE] + plane * here[PLANE] + x * FLOAT
    for up in range(ABOVE + 1):
        count = plan[SCATTER_STARTS + up + 1] - plan[SCATTER_STARTS + up]
        row = y - up
        if count == 0 or row < 0:
            continue
        if row >= start:
            target = gradient + (row + ABOVE) * here[PITCH]
        else:
            target = _halo(own, here, plane) + (row - start + ABOVE) * here[PITCH] + x * FLOAT
        poke_long(own[ONE_TARGET], target)
        added(
            own[ONE_TARGET],
            NONE,
            own[SCATTER_LIST] + LONG * plan[SCATTER_STARTS + up],
            NONE,
            plan[ONES],
            NONE,
            NONE,
            plan[NO_FLOORS],
            ONE,
            count,
            vectors + 2 * MARGIN // LANES,
        )


@compiled
def _double_parent(plan, octaves, own, o, y):
    """Double the features of a row: those that the next coarser octave hands down, and its magnitudes."""
    parent = octaves[o + 1]
    row, other = y // 2, other_row(parent, y)
    across = own[PARENT_ROWS] + MARGIN * FLOAT
    for feature in range(FEATURE_COUNT):
        near, far = row_of(parent, HANDED, feature, row), row_of(parent, HANDED, feature, other)
        double_row(near, far, False, across, own[FEATURE_ROWS] + feature * own[FEATURE_ROW_BYTES], parent[COLUMNS])
    near, far = seen_row(plan, parent, 0, row), seen_row(plan, parent, 0, other)
    double_row(near, far, True, across, own[FEATURE_ROWS] + FEATURE_COUNT * own[FEATURE_ROW_BYTES], parent[COLUMNS])


@compiled
def _back_to_parent(octaves, own, o, y, first_pair, last_pair):
    """Add the adjoint of `_double_parent` to the parent's gradients."""
    width, parent = octaves[o, COLUMNS], octaves[o + 1]
    columns = parent[COLUMNS]
    row, other = y // 2, other_row(parent, y)
    vectors = (columns + LANES - 1) // LANES
    lefts, rights = own[PARENT_ROWS] + MARGIN * FLOAT, own[PARENT_ROWS] + own[PARENT_ROW_BYTES] + MARGIN * FLOAT
    for feature in range(SEEN_FEATURES):
        along = own[FEATURE_GRADIENTS] + feature * own[FEATURE_ROW_BYTES]
        for v in range(vectors):
            a, b = load(along + 2 * v * BYTES), load(along + (2 * v + 1) * BYTES)
            # Beyond the row stands what a longer one left behind.
            store(lefts + v * BYTES, first(even(a, b) * 0.0625, (width + 1) // 2 - v * LANES))
            store(rights + v * BYTES, first(odd(a, b) * 0.0625, width // 2 - v * LANES))
        # Outside are zeros; the outermost columns are also seen in place of the columns there.
        poke(lefts + columns * FLOAT, float32(0))
        poke(rights - FLOAT, float32(0))
        edge_left, edge_right = peek(lefts), peek(rights + (columns - 1) * FLOAT)
        near = _feature_row(own, parent, feature, row, first_pair, last_pair)
        far = _feature_row(own, parent, feature, other, first_pair, last_pair)
        for v in range(vectors):
            at = v * BYTES
            part = 3 * (load(lefts + at) + load(rights + at)) + load(lefts + at + FLOAT) + load(rights + at - FLOAT)
            store(near + at, load(near + at) + 3 * part)
            store(far + at, load(far + at) + part)
        for target, gain in ((near, float32(3)), (far, float32(1))):
            poke(target, peek(target) + gain * edge_left)
            last = target + (columns - 1) * FLOAT
            poke(last, peek(last) + gain * edge_right)


@compiled
def _feature_row(own, parent, feature, row, first_pair, last_pair):
    """Find the row of the parent's gradients that a thread adds to: its own, or the halo before or after."""
    pitch = parent[SEEN_PITCH]
    if row < first_pair:
        return own[HALO_FEATURES] + parent[HALO_FEATURE] + feature * pitch
    if row >= last_pair:
        return own[HALO_FEATURES] + parent[HALO_FEATURE] + (SEEN_FEATURES + feature) * pitch
    return row_of(parent, FEATURES, feature, row)


@compiled
def merge_gradients(plan, octaves, own, o, thread):
    """Add the gradients in a thread's halos to the rows of other threads.

    It stands between two waits, since those threads must have done with these rows.
    """
    here = octaves[o]
    rows = here[ROWS]
    pairs = (rows + 1) // 2
    first_pair, last_pair = band(pairs, plan[THREADS], thread)
    if first_pair >= last_pair:
        return
    start = 2 * first_pair
    if start:
        for plane in range(here[CODE_PLANES]):
            target = plan[GRADIENT] + here[CODE] + plane * here[PLANE] + start * here[PITCH]
            add_onto(target, _halo(own, here, plane), ABOVE * here[PITCH])
    if here[HAS_PARENT]:
        parent = octaves[o + 1]
        pitch = parent[SEEN_PITCH]
        for feature in range(SEEN_FEATURES):
            halo = own[HALO_FEATURES] + parent[HALO_FEATURE] + feature * pitch
            if first_pair:
                add_onto(row_of(parent, FEATURES, feature, first_pair - 1), halo, pitch)
            if last_pair < pairs:
                add_onto(row_of(parent, FEATURES, feature, last_pair), halo + SEEN_FEATURES * pitch, pitch)

"""The parts of a step on the CPU that surround the objective.

Before it, the code is rounded with noise, or hard. After it, Adam moves the code, the weights' gradients are gathered,
and the weights that SOAP has moved are packed.
"""

import math
from math import sqrt

from numba import float32

from ...format.arch import CODE_MAX
from ...format.arch import FEATURES as FEATURE_COUNT
from ..descent.start import CODE_UNITS
from ..loss.terms import NAT
from .layout import (
    BY_SEEN,
    CODE_PLANES,
    COLUMNS,
    FEATURES,
    FIRST_MOMENT,
    FLOAT,
    GRADIENT,
    OCTAVES,
    POSITION,
    ROWS,
    SECOND_MOMENT,
    SEEN,
    SLOPE,
    SUMS,
    TAPS,
    THREADS,
    Q,
    Y,
)
from .products import folded, pack
from .rows import own_rows, row_place
from .seen import row_of
from .simd import (
    BYTES,
    LANES,
    compiled,
    exp,
    first,
    floor,
    full,
    load,
    maximum,
    minimum,
    normal,
    peek,
    poke,
    rint,
    root,
    sign,
    store,
)


@compiled
def soft_rounded(plan, octaves, thread, temperature, noise, key):
    """Round a thread's rows of the code softly, add noise, and round them softly again (C3, section 3.2).

    Keeps the slope of all that, too. noise: its standard deviation in code units. key: see `simd.normal`.
    """
    gain = float32(0.5 * (1 + 2 / (math.exp(1 / temperature) - 1)))
    steep = float32(1 / temperature)
    for o in range(plan[OCTAVES]):
        here = octaves[o]
        start, stop = own_rows(plan, here, thread)
        for plane in range(here[CODE_PLANES]):
            for row in range(start, stop):
                place = row_place(here, plane, row)
                index = here[POSITION] + (plane * here[ROWS] + row) * here[COLUMNS]
                for x in range(0, here[COLUMNS], LANES):
                    at = place + x * FLOAT
                    value, slope = _soft_round(CODE_UNITS * load(plan[Y] + at), steep, gain)
                    value, second = _soft_round(value + normal(key, index + x) * float32(noise), steep, gain)
                    store(plan[Q] + at, first(value, here[COLUMNS] - x))
                    store(plan[SLOPE] + at, slope * second)


@compiled
def _soft_round(value, steep, gain):
    """Compute value and slope of a differentiable rounding (Agustsson & Theis 2020, equation 16).

    It is exact at integers and halves. steep: 1 / temperature. gain: 1 / (2 tanh(1 / (2 temperature))).
    """
    middle = floor(value) + 0.5
    tanh = 1 - 2 / (exp((value - middle) * (2 * steep)) + 1)
    return middle + tanh * gain, (1 - tanh * tanh) * (gain * steep)


@compiled
def rounded(plan, octaves, thread):
    """Round a thread's rows of the code as the file will hold them."""
    limit = full(float32(CODE_MAX))
    for o in range(plan[OCTAVES]):
        here = octaves[o]
        start, stop = own_rows(plan, here, thread)
        for plane in range(here[CODE_PLANES]):
            for row in range(start, stop):
                place = row_place(here, plane, row)
                for x in range(0, here[COLUMNS], LANES):
                    at = place + x * FLOAT
                    store(plan[Q] + at, maximum(minimum(rint(CODE_UNITS * load(plan[Y] + at)), limit), 0 - limit))


@compiled
def move_code(plan, octaves, thread, rate, first_beta, second_beta, epsilon, step):
    """Move a thread's rows of the code by Adam (Kingma & Ba 2015, algorithm 1); `step` counts from 1."""
    pace = float32(rate / (1 - first_beta**step))
    correction, least = float32(1 / sqrt(1 - second_beta**step)), float32(epsilon)
    for o in range(plan[OCTAVES]):
        here = octaves[o]
        start, stop = own_rows(plan, here, thread)
        for plane in range(here[CODE_PLANES]):
            for row in range(start, stop):
                place = row_place(here, plane, row)
                for x in range(0, here[COLUMNS], LANES):
                    at = place + x * FLOAT
                    gradient = load(plan[GRADIENT] + at)
                    if here[SEEN]:
                        by_value, by_magnitude = (
                            row_of(here, BY_SEEN, 0, row) + x * FLOAT,
                            row_of(here, FEATURES, FEATURE_COUNT, row) + x * FLOAT,
                        )
                        gradient = gradient + load(by_value) + sign(load(plan[Q] + at)) * load(by_magnitude)
                    gradient = first(gradient * load(plan[SLOPE] + at) * CODE_UNITS, here[COLUMNS] - x)
                    moment = first_beta * load(plan[FIRST_MOMENT] + at) + (1 - first_beta) * gradient
                    second = second_beta * load(plan[SECOND_MOMENT] + at) + (1 - second_beta) * (gradient * gradient)
                    store(plan[FIRST_MOMENT] + at, moment)
                    store(plan[SECOND_MOMENT] + at, second)
                    store(plan[Y] + at, load(plan[Y] + at) - moment * pace / (root(second) * correction + least))


@compiled
def gather_gradients(plan, own_all, gradient, places, gains, taps):
    """Add up the sums of all threads to the weights' gradients.

    places, gains: for each weight, where its sum lies and by what it is multiplied. Taps and fixed weights have a place
    of -1. taps: rows of (first weight, place), one for each upsampling. Their sums are those of the upsampling's
    matrix, in which every tap stands once in either row.
    """
    for i in range(len(places)):
        gradient[i] = 0
        if places[i] >= 0:
            for thread in range(plan[THREADS]):
                gradient[i] += folded(own_all[thread, SUMS] + places[i]) * gains[i]
    count = 2 * plan[TAPS]
    for row in range(len(taps)):
        start, place = taps[row, 0], taps[row, 1]
        for k in range(count):
            for thread in range(plan[THREADS]):
                sums = own_all[thread, SUMS] + place
                gradient[start + k] += folded(sums + k * BYTES) + folded(sums + (count + 1 + count - k) * BYTES)


@compiled
def add_own_rate(weights, gradient, base, tensors, price, step):
    """Add the gradients of `reference.rate.own_bits`, times the price of a bit.

    tensors: rows of (first weight, first weight behind the tensor).
    """
    least = step / 2
    for row in range(len(tensors)):
        start, stop = tensors[row, 0], tensors[row, 1]
        width = 0.0
        for i in range(start, stop):
            width += sqrt((weights[i] - base[i]) ** 2 + least**2)
        gain = price / NAT / (width / (stop - start))
        for i in range(start, stop):
            difference = weights[i] - base[i]
            gradient[i] += gain * difference / sqrt(difference**2 + least**2)


@compiled
def pack_all(block, matrices, ups, taps):
    """Pack all matrices of a block of weights, forward and transposed; those of the upsamplings are written first.

    All places are in bytes from the block's start.

    - matrices: rows of (packed, matrix, outputs, inputs, by_output, by_input, divisor, first, of); see `products.pack`
    - ups: rows of (taps, matrix, along)

    The matrix of an upsampling makes an even and an odd sample of 2 taps + 1 neighbours. `along` is what its transpose
    needs for one line: the even sample's taps, then the odd one's.
    """
    for row in range(len(ups)):
        source, matrix, along = ups[row]
        for k in range(2 * taps):
            here, mirrored = peek(block + source + k * FLOAT), peek(block + source + (2 * taps - 1 - k) * FLOAT)
            poke(block + matrix + k * FLOAT, here)
            poke(block + matrix + (2 * taps + 1 + k + 1) * FLOAT, mirrored)
            poke(block + along + k * FLOAT, here)
            poke(block + along + (2 * taps + k) * FLOAT, mirrored)
    for row in range(len(matrices)):
        packed, matrix, outputs, inputs, by_output, by_input, divisor, before, of = matrices[row]
        pack(block + packed, block + matrix, outputs, inputs, before, of, by_output, by_input, float32(1 / divisor))

"""The course of a fit: what each step anneals to. Knows no engine and no network."""

from dataclasses import dataclass
from math import cos, pi

from .soap import Betas

HARD_SHARE = 0.05
"""Share of the steps in which the code is fixed to integers and only the networks move."""

CODE_RATE, COLD_CODE_RATE, MEAN_CODE_RATE, GREATEST_CODE_RATE = 2e-2, 1e-2, 1e-2, 3e-2
"""From a base, from random weights, and from a base where pictures are averaged."""
WARM_WEIGHT_RATE, WEIGHT_RATE = 1e-2, 2e-2
"""From a base, and from random weights."""
LEAST_RATE = 0.01
HARD_RATE = 1e-3
TEMPERATURE = (0.45, 0.1)
USUAL_STEPS, COOLER = 260, 0.07
"""What the temperatures are for; with other numbers of steps they go with their power of -0.07."""
NOISE = (0.24, 0.17)
LONG_STEPS, FASTER, MEAN_FASTER, QUIETER = 1300, 0.07, 0.28, 0.06
"""From so many steps on a fit is a long one.

In shorter ones the code's rate, from a base's first guess, goes with the number's power of -0.07, or -0.28 where
pictures are averaged, the noise at the beginning with that of 0.06.
"""
FORGETTING, SHORTER = Betas((0.1, 0.025), (0.055, 0.055)), 0.42
"""What the optimisers' means forget in each step of a long fit; it goes with the number's power of -0.42, each within
`FORGETS`.
"""
FORGETS = Betas(((0.1, 0.5), (0.01, 0.1)), ((0.05, 0.2), (0.05, 0.2)))
NIMBLE = 0.6
"""What the mean of the code's gradients forgets in fits that start from a base and are not averaged: at their rate a
longer one overshoots.
"""
DECAY = 0.1
"""Of the weights' differences from the base, in long fits: the noise of gradients would else carry those far away that
hardly matter, but cost bits.
"""
STEADY = 0.15
"""Share of a fit that is averaged from which on nothing is annealed any more."""
MORE_RATE = 1e-3
"""Of the code in steps after a fit: faster ones cost quality."""


@dataclass(frozen=True)
class Point:
    """One step's settings.

    hard: the code is rounded and gets no gradient. temperature: of the soft rounding (C3, section 3.2). noise: standard
    deviation of the Gaussian noise, in code units. code_rate, weight_rate: learning rates.
    """

    hard: bool
    temperature: float
    noise: float
    code_rate: float
    weight_rate: float


def betas_for(steps, nimble=False):
    """The `Betas` for a fit of so many steps: what is long past is of no use to one that has few. nimble: see
    `NIMBLE`.
    """
    factor = (LONG_STEPS / steps) ** SHORTER

    def within(shares, limits):
        return tuple(1 - min(most, max(least, factor * share)) for share, (least, most) in zip(shares, limits))

    first, second = within(FORGETTING.code, FORGETS.code)
    code = (1 - NIMBLE if nimble else first), second
    return Betas(code, within(FORGETTING.weights, FORGETS.weights), DECAY if steps >= LONG_STEPS else 0.0)


def point_after(progress):
    """The point at `progress` in 0..1 of some more steps after a fit, of the code alone, which goes on as the noisy
    part of the fit ended.
    """
    return Point(False, TEMPERATURE[1], NOISE[1], MORE_RATE * (1 - progress), 0.0)


def point_of_mean(progress, steps):
    """The point of a warm fit whose pictures are averaged, which does not settle: it stays what it is at `STEADY`."""
    return point_at(min(progress, STEADY), True, steps, (MEAN_CODE_RATE, MEAN_FASTER))


def point_at(progress, warm=False, steps=USUAL_STEPS, code_rates=(CODE_RATE, FASTER)):
    """The point of a schedule of about `steps` steps at `progress` in 0..1; steps may be skipped, so that a clock can
    drive it as well as a count.

    warm: for a fit that starts from a base, which fast weights would destroy. code_rates: the code's rate then at the
    beginning of a long fit, and the power with which shorter ones have a greater one.
    """
    if progress >= 1 - HARD_SHARE:
        left = (1 - progress) / HARD_SHARE
        return Point(True, 0.0, 0.0, 0.0, HARD_RATE * max(left, LEAST_RATE))
    share = progress / (1 - HARD_SHARE)
    decay = LEAST_RATE + (1 - LEAST_RATE) * (0.5 + 0.5 * cos(pi * share))

    def between(ends):
        return ends[0] + (ends[1] - ends[0]) * share

    short = max(1.0, LONG_STEPS / steps)
    code_rate = min(GREATEST_CODE_RATE, code_rates[0] * short ** code_rates[1]) if warm else COLD_CODE_RATE
    noise = NOISE[0] * short**-QUIETER, NOISE[1]
    weight_rate = WARM_WEIGHT_RATE if warm else WEIGHT_RATE
    temperature = between(TEMPERATURE) * (USUAL_STEPS / steps) ** COOLER
    return Point(False, temperature, between(noise), code_rate * decay, weight_rate * decay)

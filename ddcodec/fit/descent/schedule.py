"""The schedule: learning rates, noise and temperature of each step, and what the optimisers forget.

It knows no engine and no network. bench/notebook/schedule.md has the trials behind the constants. Powers of the number
of steps keep one schedule good from tens to thousands of steps.
"""

from dataclasses import dataclass
from math import cos, pi

from .soap import Betas

HARD_SHARE = 0.05
"""Share of the steps, at the end, in which the code is fixed to integers and only the weights move.

Fits of 50 and 260 steps were better with 4 or 5 % than with 10 (bench/notebook/schedule.md, short fits).
"""
CODE_RATE = 2e-2
"""Learning rate of the code at the beginning of a long fit from a base (bench/notebook/schedule.md)."""
COLD_CODE_RATE = 1e-2
"""The same in a fit from random weights, however many steps it has."""
MEAN_CODE_RATE = 1e-2
"""The same in a long fit from a base whose pictures are averaged."""
GREATEST_CODE_RATE = 3e-2
"""Upper limit of the code's learning rate in short fits from a base."""
WARM_WEIGHT_RATE = 1e-2
"""Learning rate of the weights at the beginning of a fit from a base; faster weights would destroy the base."""
WEIGHT_RATE = 2e-2
"""The same in a fit from random weights."""
LEAST_RATE = 0.01
"""Learning rates fall to this share of their beginning (bench/notebook/schedule.md, format 6)."""
HARD_RATE = 1e-3
"""Learning rate of the weights when the code has just been fixed."""
TEMPERATURE = (0.45, 0.1)
"""Temperature of the soft rounding at the beginning and the end of the noisy part, in fits of `USUAL_STEPS`."""
USUAL_STEPS = 260
"""The number of steps for which `TEMPERATURE` was chosen."""
COOLER = 0.07
"""Temperatures go with the number of steps to the power of minus this."""
NOISE = (0.24, 0.17)
"""Standard deviation of the noise, in code units, at the beginning and the end of the noisy part of a long fit."""
LONG_STEPS = 1300
"""Steps from which on a fit is long: learning rates and noise are then those above, and weights decay."""
FASTER = 0.07
"""The code's learning rate in shorter fits from a base goes with the number of steps to the power of minus this."""
MEAN_FASTER = 0.28
"""The same where pictures are averaged."""
QUIETER = 0.06
"""The first noise in shorter fits goes with the number of steps to the power of this."""
BRIEF_STEPS, CALMER = 60, 0.6
"""In a fit of fewer steps from a base, noise and the weights' learning rate go with the steps to the power of this.

Such a fit has no time to find back to what its start was worth (bench/notebook/schedule.md, brief fits).
"""
FORGETTING = Betas((0.1, 0.025), (0.055, 0.055))
"""Shares of their running means that the optimisers forget in each of `LONG_STEPS` steps, in the fields of `Betas`."""
SHORTER = 0.42
"""What is forgotten goes with the number of steps to the power of minus this, within `FORGETS`."""
FORGETS = ((0.1, 0.5), (0.01, 0.1)), ((0.05, 0.2), (0.05, 0.2))
"""The least and the greatest share to forget: of the code's first and second mean, then of those of the weights."""
NIMBLE = 0.6
"""Share that the mean of the code's gradients forgets in a fit from a base that is not averaged.

At the learning rate of such a fit a mean with a longer memory overshoots (bench/notebook/schedule.md, the memory of the
code's Adam).
"""
DECAY = 0.1
"""Decay of the weights' differences from the base at a learning rate of 1, in long fits.

The noise of gradients would else carry weights far away that hardly matter, but cost bits (bench/notebook/freezing.md,
decay).
"""
STEADY = 0.15
"""Share of an averaged fit from which on the schedule stands still (bench/notebook/restoration.md)."""
MORE_RATE = 1e-3
"""Learning rate of the code in steps after a fit; higher ones cost quality (bench/notebook/targets.md)."""


@dataclass(frozen=True)
class Point:
    """The settings of one step.

    hard:        the code is rounded and does not move.
    temperature: temperature of the soft rounding (C3, section 3.2).
    noise:       standard deviation of the Gaussian noise, in code units.
    code_rate:   learning rate of the code.
    weight_rate: learning rate of the weights.
    """

    hard: bool
    temperature: float
    noise: float
    code_rate: float
    weight_rate: float


def betas_for(steps: int, nimble: bool = False) -> Betas:
    """Return the `Betas` for a fit of so many steps: the fewer there are, the faster its optimisers forget.

    nimble: the first mean of the code forgets `NIMBLE`.
    """
    factor = (LONG_STEPS / steps) ** SHORTER
    code_limits, weight_limits = FORGETS

    def within(shares, limits):
        mean, square = (1 - min(most, max(least, factor * share)) for share, (least, most) in zip(shares, limits))
        return mean, square

    first, second = within(FORGETTING.code, code_limits)
    code = (1 - NIMBLE if nimble else first), second
    return Betas(code, within(FORGETTING.weights, weight_limits), DECAY if steps >= LONG_STEPS else 0.0)


def point_after(progress: float) -> Point:
    """Return the point at `progress` in 0..1 of further steps after a fit.

    Only the code moves, with the noise and the temperature at which the noisy part of the fit ended.
    """
    return Point(False, TEMPERATURE[1], NOISE[1], MORE_RATE * (1 - progress), 0.0)


def point_of_mean(progress: float, steps: float) -> Point:
    """Return the point at `progress` in 0..1 of a fit from a base whose pictures are averaged.

    Such a fit does not settle: from `STEADY` on its point stays the same.
    """
    return point_at(min(progress, STEADY), True, steps, (MEAN_CODE_RATE, MEAN_FASTER))


def point_at(
    progress: float,
    warm: bool = False,
    steps: float = USUAL_STEPS,
    code_rates: tuple[float, float] = (CODE_RATE, FASTER),
) -> Point:
    """Return the point at `progress` in 0..1 of a fit of about `steps` steps.

    A point depends on no other, so that a clock can drive the schedule as well as a count of steps.

    warm:       the fit starts from a base.
    code_rates: for a warm fit, the code's first learning rate in a long fit, and the power of the number of steps
                with which it rises in shorter ones.
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
    calm = min(1.0, steps / BRIEF_STEPS) ** CALMER if warm else 1.0
    noise = calm * between((NOISE[0] * short**-QUIETER, NOISE[1]))
    weight_rate = calm * WARM_WEIGHT_RATE if warm else WEIGHT_RATE
    temperature = between(TEMPERATURE) * (USUAL_STEPS / steps) ** COOLER
    return Point(False, temperature, noise, code_rate * decay, weight_rate * decay)

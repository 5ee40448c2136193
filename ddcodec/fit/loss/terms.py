"""The terms of what a fit minimises, D + lambda R, and their units."""

from typing import NamedTuple

from ...format.tables import SCALES, STEPS_PER_OCTAVE, UNIT_SCALE

NAT = 0.6931471805599453
"""Nats a bit."""
LEAST_SCALE, GREATEST_SCALE = -UNIT_SCALE / STEPS_PER_OCTAVE, (SCALES - 1 - UNIT_SCALE) / STEPS_PER_OCTAVE
"""log2 of the Laplace scales that have a table."""
USUAL_STEP, USUAL_PRICE = 2.0**-6, 1e-3 / 2**16
"""Of the weights' integers, where a bit has that price."""


class Loss(NamedTuple):
    """distortion: MSE of samples in [0, 1], clamped, where errors of pixels that do not count are 0. bits: of the
    code.
    """

    distortion: float
    bits: float


def weight_step(price):
    """About the step at which the search of `freeze` ends where a bit has this price (lambda / pixels): the error of
    rounding falls with its square, bits with its logarithm.
    """
    return USUAL_STEP * (price / USUAL_PRICE) ** 0.5


def share_of(known):
    """The share of the pixels that count; known: bool (H, W), or None for all."""
    return 1.0 if known is None else float(known.mean())

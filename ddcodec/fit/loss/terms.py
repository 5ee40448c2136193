"""The terms of what a fit minimises, D + lambda R, and their units."""

from typing import Any, NamedTuple

from ...format.tables import SCALES, STEPS_PER_OCTAVE, UNIT_SCALE

NAT = 0.6931471805599453
"""Nats in a bit: ln 2."""
LEAST_SCALE = -UNIT_SCALE / STEPS_PER_OCTAVE
"""log2 of the least Laplace scale that has a table (FORMAT.md, chapter 4)."""
GREATEST_SCALE = (SCALES - 1 - UNIT_SCALE) / STEPS_PER_OCTAVE
"""log2 of the greatest Laplace scale that has a table."""
USUAL_STEP = 2.0**-6
"""Step of the weights' integers at `USUAL_PRICE`."""
USUAL_PRICE = 1e-3 / 2**16
"""Price of a bit, lambda / pixels, to which `USUAL_STEP` belongs: lambda 1e-3 and 256x256 pixels."""


class Loss(NamedTuple):
    """The two terms of a fit's loss.

    distortion: D of the fit's `Form`, of samples in [0, 1], clamped. Pixels that do not count have no error.
    bits:       bits of the code, without those of the weights.
    mse:        the MSE of the same samples, which PSNR is made of.
    """

    distortion: float
    bits: float
    mse: float


def weight_step(price: float) -> float:
    """Estimate the step of the weights at which the search of `freeze` ends.

    price: lambda / pixels, what a bit costs. The step goes with its square root. A smaller step lowers the error of
    rounding by its square and adds bits by its logarithm.
    """
    return USUAL_STEP * (price / USUAL_PRICE) ** 0.5


def share_of(known: Any) -> float:
    """Return the share of the pixels that count, in 0..1; known: bool (H, W), or None for all."""
    return 1.0 if known is None else float(known.mean())

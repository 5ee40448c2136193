"""Bounds of a lawful file: ranges of weights and code, and sums that stay exact (FORMAT.md, chapter 5)."""

from collections.abc import Mapping

import numpy as np

from ..errors import DamagedError
from .arch import ACTIVATION_MAX, CODE_MAX, EXPONENT_MAX, WEIGHT_MAX, Arch
from .weights import Weights, resolved


def exactness_bound(arch: Arch, tensors: Mapping[str, Weights]) -> int:
    """Bound the integers that any sum of the network can reach (FORMAT.md, chapter 5, *Exactness*).

    A lawful file keeps the bound below 2^53. `shift` is the exponent that FORMAT.md calls `D`.

    tensors: name -> `Weights` as `weights.resolved` gives them.
    """

    def norm(name):
        values = abs(tensors[name].values)
        return int(values.max() if "bias" in name else values.sum(axis=-1).max())

    def affine(weight, bias, fraction_bits, gain=1):
        shift = max(tensors[weight].exponent, tensors[bias].exponent)
        total = norm(weight) * ACTIVATION_MAX << shift - tensors[weight].exponent
        total += norm(bias) << shift - tensors[bias].exponent + fraction_bits
        return gain * total, shift

    bounds = []
    for layer, fraction_bits in (("context.1", 8), ("context.2", 8), ("top", 12)):
        if layer == "top" and not arch.top_channels:
            continue
        total, shift = affine(f"{layer}.weight", f"{layer}.bias", fraction_bits)
        bounds.append(total + (1 << shift))
    total, shift = affine("context.3.weight", "context.3.bias", 8, gain=5)
    bounds.append(total + (1 << shift + 8))
    for octave in arch.coarse_to_fine:
        bias, code, taps = tensors[f"bias.{octave}"], tensors.get(f"code.{octave}"), tensors.get(f"taps.{octave}")
        shift = max(bias.exponent, code.exponent if code else 0, 2 * taps.exponent if taps else 0)
        total = (norm(f"bias.{octave}") << shift - bias.exponent + 12) + (1 << shift)
        if code:
            total += norm(f"code.{octave}") * ACTIVATION_MAX << shift - code.exponent
        if taps:
            total += norm(f"taps.{octave}") ** 2 * ACTIVATION_MAX << shift - 2 * taps.exponent
        bounds.append(total)
    total, shift = affine("output.weight", "output.bias", 12, gain=arch.peak)
    bounds.append(total + (1 << shift + 12))
    # The layer adds to what it sees, which counts as a weight of 1.
    shift = tensors["residual.weight"].exponent
    bounds.append(arch.peak * ACTIVATION_MAX * (norm("residual.weight") + (1 << shift)) + (1 << shift + 16))
    return max(bounds)


def check_weights(arch: Arch, tensors: Mapping[str, Weights]) -> dict[str, Weights]:
    """Check that weights are in their ranges, and that all sums are exact in 53 bits (FORMAT.md, chapter 5).

    tensors: name -> `Weights`, differences from the base.

    Returns the integers that they stand for, as `weights.resolved` gives them. Raises `DamagedError`.
    """
    for name, shape in arch.tensors():
        exponent, values = tensors[name]
        if values.shape != shape:
            raise DamagedError(f"The weights {name} have the shape {values.shape} instead of {shape}.")
        if not 0 <= exponent <= EXPONENT_MAX:
            raise DamagedError(f"The weights {name} have the exponent {exponent}, outside 0 to {EXPONENT_MAX}.")
        if arch.base and arch.is_fixed(name) and (exponent or values.any()):
            raise DamagedError(f"The weights {name} are not those of the base.")
    weights = resolved(arch, tensors)
    for name, (_, values) in weights.items():
        if abs(values).max() > WEIGHT_MAX:
            raise DamagedError(f"A weight of {name} is outside -{WEIGHT_MAX} to {WEIGHT_MAX}.")
    if exactness_bound(arch, weights) >= 2**53:
        raise DamagedError("The weights are too large: the network could not be computed exactly.")
    return weights


def check_code(values: np.ndarray) -> None:
    """Raise `DamagedError` if an integer of the code is out of range."""
    # `abs(values)` would make a plane more, and with it the greatest memory of a decode.
    if values.size and max(values.max(), -values.min()) > CODE_MAX:
        raise DamagedError(f"A code value is outside -{CODE_MAX} to {CODE_MAX}.")

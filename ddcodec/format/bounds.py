"""Bounds of what a lawful file holds: ranges of weights and code, and sums that stay exact (FORMAT.md, chapter 5)."""

from ..errors import DamagedError
from .arch import ACTIVATION_MAX, CODE_MAX, EXPONENT_MAX, WEIGHT_MAX
from .weights import resolved


def exactness_bound(arch, tensors):
    """The greatest integer that any accumulator can reach (FORMAT.md, chapter 5, *Exactness*); must stay below 2^53.

    `tensors` maps names to records with `exponent` and integer `values`, as `weights.resolved` gives them.
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
        bias, code, taps = (tensors.get(f"{kind}.{octave}") for kind in ("bias", "code", "taps"))
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


def check_weights(arch, tensors):
    """Raise `DamagedError` unless the weights are in their ranges and exact in 53 bits (FORMAT.md, chapter 5).

    Returns what the differences `tensors` stand for, as `weights.resolved` gives it.
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


def check_code(values):
    """Raise `DamagedError` if a code integer is out of range."""
    # A plane of magnitudes would be the most memory of a decode.
    if values.size and max(values.max(), -values.min()) > CODE_MAX:
        raise DamagedError(f"A code value is outside -{CODE_MAX} to {CODE_MAX}.")

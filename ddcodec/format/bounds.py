"""Bounds of a lawful file: ranges of weights and code (FORMAT.md, chapters 5 and 6)."""

from collections.abc import Mapping

import numpy as np

from ..errors import DamagedError
from .arch import CODE_MAX, EXPONENT_MAX, WEIGHT_MAX, Arch
from .weights import Weights, resolved


def check_weights(arch: Arch, tensors: Mapping[str, Weights]) -> dict[str, Weights]:
    """Check that weights are in their ranges (FORMAT.md, chapter 5).

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
    return weights


def check_code(values: np.ndarray) -> None:
    """Raise `DamagedError` if an integer of the code is out of range."""
    # `abs(values)` would make a plane more, and with it the greatest memory of a decode.
    if values.size and max(values.max(), -values.min()) > CODE_MAX:
        raise DamagedError(f"A code value is outside -{CODE_MAX} to {CODE_MAX}.")

"""The weights of the network: how they are coded, and which numbers they stand for (FORMAT.md, chapter 5)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..errors import DamagedError
from . import tables
from .arch import EXPONENT_MAX, Arch
from .bases import FRACTION_BITS, base_values
from .wire import Wire, integer_bits

FIRST_EXPONENT = 6
"""The exponent that the first tensor's is coded against (FORMAT.md, chapter 5, *Coding*)."""

EXPONENT_TABLE = tables.UNIT_SCALE
"""Scale index with which differences of exponents are coded."""

FIRST_SCALE = 27
"""The scale index that the first tensor's is coded against."""

SCALE_TABLE = 37
"""Scale index with which differences of scale indices are coded."""


class Weights(NamedTuple):
    """One tensor as integers, each of which stands for `value * 2**-exponent`.

    exponent: 0..15.
    values: int64 of the tensor's shape in `Arch.tensors()`; as coded they are differences from the base.
    """

    exponent: int
    values: np.ndarray


def resolved(arch: Arch, tensors: Mapping[str, Weights]) -> dict[str, Weights]:
    """Add the base to the differences `tensors`.

    Returns name -> `Weights` with the integers `w` that the network computes with (FORMAT.md, chapter 5).
    """
    result = {}
    for name, base in base_values(arch).items():
        exponent, differences = tensors[name]
        shared = max(exponent, FRACTION_BITS) if base.any() else exponent
        at_shared = base << max(0, shared - FRACTION_BITS)
        result[name] = Weights(shared, at_shared + (np.asarray(differences, np.int64) << shared - exponent))
    return result


def best_scale(differences: np.ndarray) -> tuple[int, float]:
    """Find the scale index that codes these integers in the fewest bits, and these bits."""
    rows = tables.row(np.arange(tables.SCALES), 0)
    values, counts = np.unique(np.asarray(differences), return_counts=True)
    bits = integer_bits(rows[:, None], values[None, :]) @ counts
    return int(bits.argmin()), float(bits.min())


def walk_weights(arch: Arch, wire: Wire, tensors: Mapping[str, Weights] | None = None) -> dict[str, Weights]:
    """Pass all weights through `wire` in coding order (FORMAT.md, chapter 5, *Coding*).

    tensors: name -> `Weights`, differences from the base. A `Reader` needs none.

    Returns name -> `Weights` as the wire gave them back. Raises `DamagedError`.
    """
    exponent, scale = FIRST_EXPONENT, FIRST_SCALE
    result = {name: Weights(0, np.zeros(shape, np.int64)) for name, shape in arch.tensors()}
    for name, shape in arch.coded_tensors():
        differences, chosen, wished = np.zeros(shape, np.int64), scale, exponent
        if tensors is not None:
            wished, differences = tensors[name]
            chosen, _ = best_scale(differences)
        exponent += _one_integer(wire, EXPONENT_TABLE, wished - exponent)
        if not 0 <= exponent <= EXPONENT_MAX:
            raise DamagedError(f"The exponent of the weights {name} is out of range.")
        scale += _one_integer(wire, SCALE_TABLE, chosen - scale)
        if not 0 <= scale < tables.SCALES:
            raise DamagedError(f"The table of the weights {name} is out of range.")
        rows = np.full(differences.size, tables.row(scale, 0))
        values = wire.integers(rows, np.zeros_like(rows), differences.reshape(-1)).reshape(shape)
        result[name] = Weights(exponent, values)
    return result


def _one_integer(wire, scale, value):
    rows = np.array([tables.row(scale, 0)])
    return int(wire.integers(rows, np.zeros_like(rows), np.array([value]))[0])

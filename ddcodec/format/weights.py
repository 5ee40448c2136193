"""The weights of the network: how they are coded, and what they stand for (FORMAT.md, chapter 5)."""

from typing import NamedTuple

import numpy as np

from ..errors import DamagedError
from . import tables
from .bases import FRACTION_BITS, base_values
from .wire import integer_bits

FIRST_EXPONENT, EXPONENT_TABLE = 6, tables.UNIT_SCALE
FIRST_SCALE, SCALE_TABLE = 27, 37


class Weights(NamedTuple):
    """One tensor as differences from the base: integers (int64, shape of `Arch.tensors()`), each standing for `value *
    2**-exponent`.
    """

    exponent: int
    values: np.ndarray


def resolved(arch, tensors):
    """name -> `Weights` with the integers that the network computes with: the base plus the differences `tensors`."""
    result = {}
    for name, base in base_values(arch).items():
        exponent, differences = tensors[name]
        shared = max(exponent, FRACTION_BITS) if base.any() else exponent
        at_shared = base << max(0, shared - FRACTION_BITS)
        result[name] = Weights(shared, at_shared + (np.asarray(differences, np.int64) << shared - exponent))
    return result


def best_scale(differences):
    """The table scale that codes these integers in the fewest bits, and the bits."""
    rows = tables.row(np.arange(tables.SCALES), 0)
    values, counts = np.unique(np.asarray(differences), return_counts=True)
    bits = integer_bits(rows[:, None], values[None, :]) @ counts
    return int(bits.argmin()), float(bits.min())


def walk_weights(arch, wire, tensors=None):
    """Pass all weights through `wire` as differences; a `Reader` needs no `tensors`. Returns name -> `Weights`."""
    exponent, scale = FIRST_EXPONENT, FIRST_SCALE
    result = {name: Weights(0, np.zeros(shape, np.int64)) for name, shape in arch.tensors()}
    for name, shape in arch.coded_tensors():
        differences, chosen, wished = np.zeros(shape, np.int64), scale, exponent
        if tensors is not None:
            wished, differences = tensors[name]
            chosen, _ = best_scale(differences)
        exponent += _one_integer(wire, EXPONENT_TABLE, wished - exponent)
        if not 0 <= exponent <= 15:
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

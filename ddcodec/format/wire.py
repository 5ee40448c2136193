"""The stream of entropy-coded integers: `Writer`, `Reader`, `Meter` and `Ledger` are the four hands of one walk; the
only door to constriction.

Each has `integers(rows, whole, values)`, which codes a group of integers with the tables `rows` around the whole
numbers `whole` and returns them, and `end_section()`. The `Reader` ignores `values`.
"""

from functools import cache

import numpy as np

from ..errors import DamagedError
from . import tables
from .range_coder import coders

GOLOMB_LIMIT = 16


class Writer:
    """Codes integers into words of 32 bits."""

    def __init__(self):
        self.coder = coders().encoder()
        self._ends = []

    def integers(self, rows, whole, values):
        symbols = values - whole + tables.CENTRE
        escaped = (symbols < 0) | (symbols >= tables.ESCAPE)
        symbols[escaped] = tables.ESCAPE
        self.coder.symbols(symbols, rows)
        if escaped.any():
            for difference, order in zip(
                (values - whole)[escaped].tolist(), tables.golomb_order(rows[escaped]).tolist()
            ):
                self.coder.bits(_escape_bits(difference, order))
        return values

    def end_section(self):
        self._ends.append(self.coder.taken())

    def finish(self):
        """The words (uint32) and the entries of the section table (FORMAT.md, chapter 3)."""
        words = np.trim_zeros(self.coder.words(), "b")
        ends = [min(end, len(words)) for end in self._ends[:-1]] + [len(words)]
        return words, [end - start for start, end in zip([0, *ends], ends)]


class Reader:
    """Reads back what a `Writer` wrote; whatever the words are, only `DamagedError` is raised."""

    def __init__(self, words):
        self.coder = coders().decoder(words)

    def integers(self, rows, whole, values=None):
        symbols = self.coder.symbols(rows)
        values = symbols + whole - tables.CENTRE
        if len(symbols) and symbols.max() == tables.ESCAPE:
            at = np.flatnonzero(symbols == tables.ESCAPE)
            orders = tables.golomb_order(rows[at]).tolist()
            values[at] = whole[at] + [self._escaped(order) for order in orders]
        return values

    def end_section(self):
        pass

    def _escaped(self, order):
        negative = self.coder.bit()
        count = 0
        while self.coder.bit():
            count += 1
            if order + count > GOLOMB_LIMIT:
                raise DamagedError("The stream is damaged: an escaped value is too long.")
        rest = 0
        for _ in range(order + count):
            rest = 2 * rest + self.coder.bit()
        magnitude = tables.CENTRE + 1 + ((2**count - 1) << order) + rest
        return -magnitude if negative else magnitude


class Meter:
    """Measures in bits what a `Writer` would write; `sections` lists the bits of each section."""

    def __init__(self):
        self.sections = [0.0]

    def integers(self, rows, whole, values):
        self.sections[-1] += integer_bits(rows, values - whole).sum()
        return values

    def end_section(self):
        self.sections.append(0.0)

    @property
    def bits(self):
        return sum(self.sections)


class Ledger:
    """Keeps the bits of each integer that a `Writer` would write; `sections` lists an array of them, in coding order,
    for each section.
    """

    def __init__(self):
        self._groups, self.sections = [], []

    def integers(self, rows, whole, values):
        self._groups.append(integer_bits(rows, values - whole))
        return values

    def end_section(self):
        self.sections.append(np.concatenate(self._groups))
        self._groups = []


def integer_bits(rows, differences):
    """Bits of each integer, given its table row and its difference from the whole number (broadcast)."""
    differences = np.asarray(differences)
    magnitude = abs(differences) - tables.CENTRE - 1
    symbols = np.where(magnitude >= 0, tables.ESCAPE, differences + tables.CENTRE)
    order = tables.golomb_order(rows)
    prefix = np.floor(np.log2((np.maximum(magnitude, 0) >> order) + 1))
    return _symbol_costs()[rows, symbols] + (magnitude >= 0) * (2 + 2 * prefix + order)


@cache
def _symbol_costs():
    return tables.PRECISION - np.log2(tables.frequencies())


def _escape_bits(difference, order):
    magnitude = abs(difference) - tables.CENTRE - 1
    count = ((magnitude >> order) + 1).bit_length() - 1
    rest = magnitude - ((2**count - 1) << order)
    digits = [rest >> place & 1 for place in reversed(range(order + count))]
    return [int(difference < 0), *[1] * count, 0, *digits]

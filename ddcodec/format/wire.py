"""The stream of entropy-coded integers: `Writer`, `Reader` and `Meter`, the three hands of one walk.

Each is a `Wire`. Integers become symbols, escapes and Exp-Golomb numbers here (FORMAT.md, chapter 4, *Integers*).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np

from ..errors import DamagedError
from . import tables
from .range_coder import coders

GOLOMB_LIMIT = 16
"""The greatest `order + ones` of an Exp-Golomb number (FORMAT.md, chapter 4, *Integers*)."""


class Wire(Protocol):
    """A hand of the walks over weights and code."""

    def integers(self, *arguments: Any, **options: Any) -> np.ndarray:
        """Code a group of integers, and return them.

        Arguments are int64 arrays of one length. `rows` are rows of `tables.frequencies()`. `whole` are the whole
        numbers near which the integers are expected. `values` are the integers; a `Reader` needs none.
        """

    def end_section(self) -> None:
        """Note that a section of the stream ends here."""


class Writer:
    """A hand that codes integers into words of 32 bits."""

    def __init__(self) -> None:
        self.coder = coders().encoder()
        self._ends: list[int] = []

    def integers(self, rows: np.ndarray, whole: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Code a group; see `Wire`."""
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

    def end_section(self) -> None:
        """See `Wire`."""
        self._ends.append(self.coder.taken())

    def finish(self) -> tuple[np.ndarray, list[int]]:
        """Finish the stream: its words (uint32) and the entries of the section table (FORMAT.md, chapter 3)."""
        return stream_of(self.coder.words(), self._ends)


def stream_of(words: np.ndarray, ends: Sequence[int]) -> tuple[np.ndarray, list[int]]:
    """Leave out zeros at the end of the words of a range coder.

    ends: for each section the words that a decoder takes until it has finished it.

    Returns the words of the stream and the entries of the section table (FORMAT.md, chapter 3).
    """
    words = np.trim_zeros(words, "b")
    ends = [min(end, len(words)) for end in ends[:-1]] + [len(words)]
    return words, [end - start for start, end in zip([0, *ends], ends)]


class Reader:
    """A hand that reads back what a `Writer` wrote.

    Whatever the words are, only `DamagedError` is raised.
    """

    def __init__(self, words: np.ndarray) -> None:
        self.coder = coders().decoder(words)

    def integers(self, rows: np.ndarray, whole: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """Read a group; see `Wire`. `values` are ignored."""
        symbols = self.coder.symbols(rows)
        values = symbols + whole - tables.CENTRE
        if len(symbols) and symbols.max() == tables.ESCAPE:
            at = np.flatnonzero(symbols == tables.ESCAPE)
            orders = tables.golomb_order(rows[at]).tolist()
            values[at] = whole[at] + [self._escaped(order) for order in orders]
        return values

    def end_section(self) -> None:
        """See `Wire`."""

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
    """A hand that measures in bits what a `Writer` would write.

    sections: bits of each section, the one that has just begun included.
    """

    def __init__(self) -> None:
        self.sections = [0.0]

    def integers(self, rows: np.ndarray, whole: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Measure a group; see `Wire`."""
        self.sections[-1] += integer_bits(rows, values - whole).sum()
        return values

    def end_section(self) -> None:
        """See `Wire`."""
        self.sections.append(0.0)

    @property
    def bits(self) -> float:
        """Bits of all sections."""
        return sum(self.sections)


def integer_bits(rows: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """Compute the bits that integers take.

    rows: their rows of `tables.frequencies()`. differences: the integers minus their whole numbers. Both are broadcast
    against each other.
    """
    differences = np.asarray(differences)
    magnitude = abs(differences) - tables.CENTRE - 1
    symbols = np.where(magnitude >= 0, tables.ESCAPE, differences + tables.CENTRE)
    order = tables.golomb_order(rows)
    prefix = np.floor(np.log2((np.maximum(magnitude, 0) >> order) + 1))
    return _symbol_costs()[rows, symbols] + (magnitude >= 0) * (2 + 2 * prefix + order)


@cache
def _symbol_costs():
    """Bits of each symbol in each row of `tables.frequencies()`."""
    return tables.PRECISION - np.log2(tables.frequencies())


def _escape_bits(difference, order):
    magnitude = abs(difference) - tables.CENTRE - 1
    count = ((magnitude >> order) + 1).bit_length() - 1
    rest = magnitude - ((2**count - 1) << order)
    digits = [rest >> place & 1 for place in reversed(range(order + count))]
    return [int(difference < 0), *[1] * count, 0, *digits]

"""The range coder: words to symbols and back (FORMAT.md, chapter 4). Only this file imports constriction."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from typing import Any, Protocol

import numpy as np

from ..errors import DamagedError
from . import tables

WORD_MASK = 2**32 - 1
"""The greatest word of the stream."""


class Encoder(Protocol):
    """A range encoder: symbols to words."""

    def symbols(self, symbols: np.ndarray, rows: np.ndarray) -> None:
        """Encode symbols with these rows of `tables.frequencies()`."""

    def bits(self, bits: Sequence[int]) -> None:
        """Encode bits of equal probability."""

    def taken(self) -> int:
        """Count the words that a decoder takes until it has all that is encoded so far."""

    def words(self) -> np.ndarray:
        """Finish the stream: its words, uint32."""


class Decoder(Protocol):
    """A range decoder: words to symbols. Its methods raise `DamagedError`."""

    def symbols(self, rows: np.ndarray) -> np.ndarray:
        """Decode one symbol for each of these rows of `tables.frequencies()`: int64."""

    def bit(self) -> int:
        """Decode a bit."""


class Coders(Protocol):
    """A range coder: how its encoder and its decoder are made."""

    @property
    def encoder(self) -> Callable[[], Encoder]:
        """Make an encoder."""

    @property
    def decoder(self) -> Callable[[np.ndarray], Decoder]:
        """Make a decoder of the words of a stream, uint32."""


@cache
def coders() -> Coders:
    """Choose the range coder: constriction's, or the one in Python where constriction is not installed."""
    try:
        import constriction
    except ImportError:
        return PythonCoders
    return constriction_coders(constriction)


def constriction_coders(constriction: Any) -> Coders:
    """Make the range coder of the package constriction (the module that is given)."""
    # With `perfect=False` the package's own rounding adds 1 to each entry. So weights one below the frequencies make
    # its table equal ours exactly. Without `perfect=False` it is slow and prints a warning on stdout.
    categorical = constriction.stream.model.Categorical
    family = categorical(perfect=False)
    coin = categorical(np.full(2, 2.0**23 - 1), perfect=False)
    weights = (tables.frequencies() - 1).astype(np.float32)

    class Encoder:
        def __init__(self):
            self._queue = constriction.stream.queue.RangeEncoder()

        def symbols(self, symbols, rows):
            if len(symbols):
                self._queue.encode(symbols.astype(np.int32), family, weights.take(rows, axis=0))

        def bits(self, bits):
            self._queue.encode(np.array(bits, np.int32), coin)

        def taken(self):
            return self._queue.pos()[0] + 2

        def words(self):
            return self._queue.get_compressed()

    class Decoder:
        def __init__(self, words):
            # The format has zeros behind the last word; what the package reads there is not documented.
            self._queue = constriction.stream.queue.RangeDecoder(np.append(words, np.zeros(4, np.uint32)))

        def symbols(self, rows):
            try:
                return self._queue.decode(family, weights.take(rows, axis=0)).astype(np.int64)
            except AssertionError:
                raise DamagedError("The stream is damaged: it holds no possible symbol.") from None

        def bit(self):
            try:
                return int(self._queue.decode(coin))
            except AssertionError:
                raise DamagedError("The stream is damaged: it holds no possible symbol.") from None

    class Coders:
        encoder = Encoder
        decoder = Decoder

    return Coders


_COIN = (0, 2**23, 2**24)
"""Cumulative frequencies of a bit (FORMAT.md, chapter 4, *Integers*)."""


@cache
def _cumulative(row):
    return (0, *accumulate(tables.frequencies()[row].tolist()))


class _PythonEncoder:
    """The range encoder that belongs to the decoder of FORMAT.md, chapter 4."""

    def __init__(self):
        self._words = []
        self._low = 0
        self._range = 2**64 - 1

    def symbols(self, symbols, rows):
        for symbol, row in zip(symbols.tolist(), rows.tolist()):
            self._push(_cumulative(row), symbol)

    def bits(self, bits):
        for bit in bits:
            self._push(_COIN, bit)

    def taken(self):
        return len(self._words) + 2

    def words(self):
        last = self._low + WORD_MASK
        words = self._words + [last >> 32 & WORD_MASK]
        return np.array(self._carried(words, len(words) - 2) if last >> 64 else words, np.uint32)

    def _push(self, cumulative, symbol):
        step = self._range >> tables.PRECISION
        self._low += cumulative[symbol] * step
        self._range = (cumulative[symbol + 1] - cumulative[symbol]) * step
        if self._low >> 64:
            self._low -= 2**64
            self._words = self._carried(self._words, len(self._words) - 1)
        if self._range <= WORD_MASK:
            self._words.append(self._low >> 32)
            self._low = (self._low & WORD_MASK) << 32
            self._range <<= 32

    @staticmethod
    def _carried(words, at):
        while words[at] == WORD_MASK:
            words[at] = 0
            at -= 1
        words[at] += 1
        return words


class _PythonDecoder:
    """The range decoder of FORMAT.md, chapter 4, for machines on which constriction cannot be installed."""

    def __init__(self, words):
        self._words = iter(words.tolist())
        self._offset = next(self._words, 0) << 32 | next(self._words, 0)
        self._range = 2**64 - 1

    def symbols(self, rows):
        return np.array([self._pull(_cumulative(row)) for row in rows.tolist()], np.int64)

    def bit(self):
        return self._pull(_COIN)

    def _pull(self, cumulative):
        step = self._range >> tables.PRECISION
        target = self._offset // step
        if target >= 2**tables.PRECISION:
            raise DamagedError("The stream is damaged: it holds no possible symbol.")
        symbol = bisect_right(cumulative, target) - 1
        self._offset -= cumulative[symbol] * step
        self._range = (cumulative[symbol + 1] - cumulative[symbol]) * step
        if self._range <= WORD_MASK:
            self._range <<= 32
            self._offset = self._offset << 32 | next(self._words, 0)
        return symbol


class PythonCoders:
    """The range coder in Python."""

    encoder = _PythonEncoder
    decoder = _PythonDecoder

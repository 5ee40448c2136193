"""The stream of entropy-coded integers: `Writer`, `Reader`, `Meter` and `Ledger` are the four hands of one walk; the
only door to constriction.

Each has `integers(rows, whole, values)`, which codes a group of integers with the tables `rows` around the whole
numbers `whole` and returns them, and `end_section()`. The `Reader` ignores `values`.
"""

from bisect import bisect_right
from functools import cache
from itertools import accumulate

import numpy as np

from ..errors import DamagedError
from . import tables

WORD_MASK = 2**32 - 1
GOLOMB_LIMIT = 16


class Writer:
    """Codes integers into words of 32 bits."""

    def __init__(self):
        self.coder = _coders().encoder()
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
        self.coder = _coders().decoder(words)

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


@cache
def _coders():
    try:
        import constriction
    except ImportError:
        return _PythonCoders
    return _constriction_coders(constriction)


def _constriction_coders(constriction):
    # Weights one below the frequencies, and `perfect=False`, make the package's table equal ours exactly (its own
    # rounding then adds 1 to each entry); without `perfect=False` it is slow and prints a warning on stdout.
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
            # An explicit end: what the package reads behind the last word is not documented, the format says zeros.
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


@cache
def _cumulative(row):
    return (0, *accumulate(tables.frequencies()[row].tolist()))


class _PythonEncoder:
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


class _PythonCoders:
    encoder = _PythonEncoder
    decoder = _PythonDecoder

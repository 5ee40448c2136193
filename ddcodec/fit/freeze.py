"""From real weights to integers: a search of the step of every tensor for the least D + lambda R of the file."""

from time import monotonic

import numpy as np

from ..arch import EXPONENT_MAX, WEIGHT_MAX, exactness_bound
from ..coded import Weights
from ..syntax import base, best_scale
from .loop import progress_of
from .recipe import Loss

ROUNDS = 2
START_EXPONENT = 6
SEARCH_MAX = 11
HEAD_BITS = 5
"""About what the exponent and the table of a tensor cost in the stream."""


def freeze(fit, *, seconds=None, progress=None):
    """The weights of one of an engine's fits as integers: name -> `Weights`. After `seconds` the search ends with what it has.

    Each tensor's exponent starts at 6 and moves by ones while the loss falls: distortion of the rounded code as synthesised with the quantised weights,
    plus lambda times the bits of code and weights. Both are measured with the real-valued network, which differs from the decoder's by the rounding
    of activations and of table indices alone. The engine must be folded.
    """
    start = monotonic()
    search = _Search(fit)
    names = search.names
    for step, name in enumerate(ROUNDS * names, 1):
        if seconds is not None and monotonic() - start > seconds:
            break
        search.improve(name)
        if progress:
            left = (monotonic() - start) * (ROUNDS * len(names) - step) / step
            progress(progress_of("freeze", step, ROUNDS * len(names), search.loss(), fit, left))
    tensors = {name: search.tensor(name) for name, _ in fit.arch.tensors()}
    while exactness_bound(fit.arch, tensors) >= 2**53:
        finest = max(tensors, key=lambda name: tensors[name].exponent)
        tensors[finest] = search.quantised(finest, tensors[finest].exponent - 1)
    return tensors


class _Search:
    """names: the tensors, largest first."""

    def __init__(self, fit):
        self._fit = fit
        self._real = {name: values.astype(np.float64) for name, values in fit.weights().items()}
        self.names = sorted(self._real, key=lambda name: -self._real[name].size)
        self._exponents = {name: START_EXPONENT for name in self.names}
        self._numbers = {name: self._number(name, START_EXPONENT) for name in self._real}
        self._weight_bits = {name: self._bits(name, START_EXPONENT) for name in self.names}
        self._losses = {kind: self._loss(kind) for kind in ("context", "synthesis")}

    def tensor(self, name):
        return self.quantised(name, self._exponents[name])

    def quantised(self, name, exponent):
        values = np.round(self._real[name] * 2.0**exponent).astype(np.int64)
        return Weights(exponent, values.clip(-WEIGHT_MAX, WEIGHT_MAX))

    def loss(self):
        """The `Loss` with the integers found so far."""
        return Loss(self._losses["synthesis"], self._losses["context"] * self._fit.pixels / self._fit.lambda_)

    def improve(self, name):
        """Move one tensor's exponent down, or else up, while that pays."""
        if not self._move(name, -1):
            self._move(name, 1)

    def _move(self, name, direction):
        moved = False
        while self._try(name, self._exponents[name] + direction):
            moved = True
        return moved

    def _try(self, name, exponent):
        if not 0 <= exponent <= min(SEARCH_MAX, EXPONENT_MAX):
            return False
        kind = "context" if name.startswith("context") else "synthesis"
        before = self._numbers[name]
        bits = self._bits(name, exponent)
        self._numbers[name] = self._number(name, exponent)
        loss = self._loss(kind)
        price = self._fit.lambda_ / self._fit.pixels
        if loss + price * bits < self._losses[kind] + price * self._weight_bits[name]:
            self._exponents[name], self._losses[kind], self._weight_bits[name] = exponent, loss, bits
            return True
        self._numbers[name] = before
        return False

    def _loss(self, kind):
        fit = self._fit
        if kind == "context":
            return fit.lambda_ / fit.pixels * fit.bits(self._numbers)
        return fit.distortion(self._numbers)

    def _number(self, name, exponent):
        return (self.quantised(name, exponent).values * 2.0**-exponent).astype(np.float32)

    def _bits(self, name, exponent):
        values = self.quantised(name, exponent).values
        return HEAD_BITS + best_scale(values - base(name, values.shape, self._fit.arch.taps, exponent))[1]

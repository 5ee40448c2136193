"""From real weights to integers: a search of the step of every tensor for the least D + lambda R of the file."""

from time import monotonic

import numpy as np
import torch

from ..arch import EXPONENT_MAX, WEIGHT_MAX, exactness_bound
from ..coded import Weights
from ..syntax import base, best_scale
from .engine import Loss
from .loop import progress_of

ROUNDS = 2
START_EXPONENT = 6
SEARCH_MAX = 11
HEAD_BITS = 5
"""About what the exponent and the table of a tensor cost in the stream."""


@torch.no_grad()
def freeze(engine, *, seconds=None, progress=None):
    """The engine's weights as integers: name -> `Weights`. After `seconds` the search ends with what it has.

    Each tensor's exponent starts at 6 and moves by ones while the loss falls: distortion of the rounded code as synthesised with the quantised weights,
    plus lambda times the bits of code and weights. Both are measured with the real-valued network, which differs from the decoder's by the rounding
    of activations and of table indices alone. The engine must be folded.
    """
    start = monotonic()
    search = _Search(engine)
    names = sorted(engine.weights, key=lambda name: -engine.weights[name].numel())
    for step, name in enumerate(ROUNDS * names, 1):
        if seconds is not None and monotonic() - start > seconds:
            break
        search.improve(name)
        if progress:
            left = (monotonic() - start) * (ROUNDS * len(names) - step) / step
            progress(progress_of("freeze", step, ROUNDS * len(names), search.loss(), engine, left))
    tensors = {name: search.tensor(name) for name in engine.weights}
    while exactness_bound(engine.arch, tensors) >= 2**53:
        finest = max(tensors, key=lambda name: tensors[name].exponent)
        tensors[finest] = search.quantised(finest, tensors[finest].exponent - 1)
    return tensors


class _Search:
    def __init__(self, engine):
        self._engine, self._code = engine, engine.rounded_code()
        self._real = {name: w.detach().cpu().double().numpy() for name, w in engine.weights.items()}
        self._exponents = {name: START_EXPONENT for name in engine.weights}
        self._numbers = {name: self._number(name, START_EXPONENT) for name in engine.weights}
        self._weight_bits = {name: self._bits(name, START_EXPONENT) for name in engine.weights}
        self._losses = {kind: self._loss(kind) for kind in ("context", "synthesis")}

    def tensor(self, name):
        return self.quantised(name, self._exponents[name])

    def quantised(self, name, exponent):
        values = np.round(self._real[name] * 2.0**exponent).astype(np.int64)
        return Weights(exponent, values.clip(-WEIGHT_MAX, WEIGHT_MAX))

    def loss(self):
        """The `Loss` with the integers found so far."""
        return Loss(self._losses["synthesis"], self._losses["context"] * self._engine.pixels / self._engine.lambda_)

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
        price = self._engine.lambda_ / self._engine.pixels
        if loss + price * bits < self._losses[kind] + price * self._weight_bits[name]:
            self._exponents[name], self._losses[kind], self._weight_bits[name] = exponent, loss, bits
            return True
        self._numbers[name] = before
        return False

    def _loss(self, kind):
        engine = self._engine
        if kind == "context":
            return engine.lambda_ / engine.pixels * engine.bits(self._code, self._numbers).item()
        return engine.distortion(self._code, self._numbers).item()

    def _number(self, name, exponent):
        values = self.quantised(name, exponent).values * 2.0**-exponent
        return torch.tensor(values, dtype=torch.float32, device=self._engine.device)

    def _bits(self, name, exponent):
        values = self.quantised(name, exponent).values
        return HEAD_BITS + best_scale(values - base(name, values.shape, self._engine.arch.taps, exponent))[1]

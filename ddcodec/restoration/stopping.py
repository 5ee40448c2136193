"""When a prior has learned the picture and begins to learn the noise: rules that never see the truth.

A rule gets a `Look` from time to time and answers with the reason to stop, a few words, or None. `best` is the step at
which it found the picture best.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

HELD_OUT = 0.02
"""Share of the pixels that the loss does not see."""
SAMPLE = 16_384
"""Numbers of an output whose variance is watched."""
WINDOW = 50
"""Looks over which it is taken."""
START = 0.25
"""Share of the planned steps before which no rule may find a best: false minima come early (restarts of the rate, a
first flat picture).
"""
PATIENCE = 0.3
"""A best is the best when so large a share of its own step has gone by without another."""
FITTED = 0.9
"""Share of the noise's variance below which a loss has fitted noise."""


@dataclass(frozen=True)
class Look:
    """step of total; loss: MSE of samples in 0..1 against what was observed; held_out: the same of the average on
    pixels that the loss does not see, or None; sample: some numbers of the present output.
    """

    step: int
    total: int
    loss: float
    held_out: float | None
    sample: np.ndarray


class _Least:
    """The least of a sequence of values, and whether patience with it is over."""

    def __init__(self):
        self.best, self._value = 0, float("inf")

    def is_over(self, look, value):
        if look.step >= START * look.total:
            if value < self._value:
                self.best, self._value = look.step, value
            return look.step - self.best > PATIENCE * self.best
        return False


class HeldOut:
    """The error on pixels that were left out of the loss: for independent noise that of the truth but for a
    constant.
    """

    def __init__(self):
        self._least = _Least()

    @property
    def best(self):
        return self._least.best

    def reason(self, look):
        return "the error on pixels that were left out rises" if self._least.is_over(look, look.held_out) else None


class WindowedVariance:
    """The variance of the last outputs, least where the picture is learned and the noise is not yet (Wang et al.,
    "Early Stopping for Deep Image Prior", TMLR 2023).
    """

    def __init__(self):
        self._least, self._window = _Least(), deque(maxlen=WINDOW)

    @property
    def best(self):
        return self._least.best

    def reason(self, look):
        self._window.append(look.sample)
        if len(self._window) < WINDOW:
            return None
        variance = float(np.var(np.stack(self._window), axis=0).mean())
        return "the variance of the outputs rises" if self._least.is_over(look, variance) else None


class Discrepancy:
    """A loss below the variance of the noise, which is known: what is learned from there on is noise (Morozov's
    principle). sigma: in levels of 0..255.
    """

    def __init__(self, sigma):
        self.best, self._floor, self._seen = 0, FITTED * (sigma / 255) ** 2, deque(maxlen=5)

    def reason(self, look):
        self._seen.append(look.loss)
        self.best = look.step
        return (
            "the residual is as small as the noise"
            if np.median(self._seen) < self._floor and look.step >= START * look.total
            else None
        )

"""Rules that tell when a prior has learned the picture and begins to learn the noise, and never see the truth."""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

HELD_OUT = 0.02
"""Share of the pixels that the loss does not see."""
SAMPLE = 16_384
"""Numbers of an output whose variance is watched."""
WINDOW = 50
"""Looks over which the variance is taken."""
START = 0.25
"""Share of the planned steps before which no rule may find a best.

False minima come early: restarts of the rate, a first flat picture.
"""
PATIENCE = 0.3
"""Share of a best's own step that must go by without another before it is the best."""
FITTED = 0.9
"""Share of the noise's variance below which a loss has fitted noise."""


@dataclass(frozen=True)
class Look:
    """A look at a fit.

    step: of `total`.
    loss: MSE of samples in 0..1 against what was observed.
    held_out: the MSE of the average on pixels that the loss does not see, or None.
    sample: some numbers of the present output.
    """

    step: int
    total: int
    loss: float
    held_out: float | None
    sample: np.ndarray


class Rule(Protocol):
    """A rule that may end a fit."""

    @property
    def best(self) -> int:
        """The step at which the rule found the picture best."""

    def reason(self, look: Look) -> str | None:
        """Take in a `Look`, as from time to time, and return the reason to stop in a few words, or None."""


class _Least:
    """Keeps the least of a sequence of values, and tells whether patience with it is over."""

    def __init__(self):
        self.best, self._value = 0, float("inf")

    def is_over(self, look: Look, value: float) -> bool:
        """Take in the value at a look; tell whether the least before it has stood for too long."""
        if look.step >= START * look.total:
            if value < self._value:
                self.best, self._value = look.step, value
            return look.step - self.best > PATIENCE * self.best
        return False


class HeldOut:
    """Ends a fit when the error on pixels that were left out of the loss rises.

    For independent noise this error is that of the truth but for a constant.
    """

    def __init__(self) -> None:
        self._least = _Least()

    @property
    def best(self) -> int:
        """The step at which the error was least."""
        return self._least.best

    def reason(self, look: Look) -> str | None:
        """Take in a look; return the reason to stop, or None."""
        assert look.held_out is not None
        return "the error on pixels that were left out rises" if self._least.is_over(look, look.held_out) else None


class WindowedVariance:
    """Ends a fit when the variance of the last outputs rises.

    It is least where the picture is learned and the noise is not yet (Wang et al., "Early Stopping for Deep Image
    Prior", TMLR 2023).
    """

    def __init__(self) -> None:
        self._least = _Least()
        self._window: deque[np.ndarray] = deque(maxlen=WINDOW)

    @property
    def best(self) -> int:
        """The step at which the variance was least."""
        return self._least.best

    def reason(self, look: Look) -> str | None:
        """Take in a look; return the reason to stop, or None."""
        self._window.append(look.sample)
        if len(self._window) < WINDOW:
            return None
        variance = float(np.var(np.stack(self._window), axis=0).mean())
        return "the variance of the outputs rises" if self._least.is_over(look, variance) else None


class Discrepancy:
    """Ends a fit when its loss falls below the variance of the noise, which is known.

    What is learned from there on is noise (Morozov's principle).

    sigma: standard deviation of the noise in levels of 0..255.
    """

    def __init__(self, sigma: float) -> None:
        self.best, self._floor = 0, FITTED * (sigma / 255) ** 2
        self._seen: deque[float] = deque(maxlen=5)

    def reason(self, look: Look) -> str | None:
        """Take in a look; return the reason to stop, or None."""
        self._seen.append(look.loss)
        self.best = look.step
        return (
            "the residual is as small as the noise"
            if np.median(self._seen) < self._floor and look.step >= START * look.total
            else None
        )

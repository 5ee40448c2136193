"""Progress: the record that a fit hands on after each step, and the calls that hand it on."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log10
from time import monotonic

from ..loss.terms import Loss
from .protocols import Engine, Fit

SECONDS_BETWEEN_LOSSES = 0.05
"""Age in seconds that a reported loss may have: reading a newer one makes a GPU wait."""

BITS_A_WEIGHT = 6
"""Bits assumed for each weight while a fit without a base runs. The freeze finds the real number."""
WARM_BITS_A_WEIGHT = 3
"""The same in a fit that starts from a base."""


@dataclass(frozen=True)
class Progress:
    """The present state of an encode.

    phase:        "fit", "freeze", "code" or "pack".
    step, total:  steps of the fit, or measurements of the freeze or of the moves of the code.
    bpp:          bits per pixel of the present state. During the fit it is that of the noisy code. Where several
                  pictures are fitted together, it is their mean.
    psnr:         PSNR in dB of the same state.
    seconds_left: seconds that the phase still takes, infinity if unknown. `outlook` makes them those of the whole
                  encode.
    """

    phase: str
    step: int
    total: int
    bpp: float
    psnr: float
    seconds_left: float


def progress_of(phase: str, step: int, total: int, loss: Loss, fit: Fit, seconds_left: float) -> Progress:
    """Make a `Progress`. loss: the present `Loss`. fit: a `Fit`."""
    bits = loss.bits + (WARM_BITS_A_WEIGHT if fit.arch.base else BITS_A_WEIGHT) * fit.arch.weight_count()
    return Progress(phase, step, total, bits / fit.pixels, -10 * log10(max(loss.mse / fit.share, 1e-10)), seconds_left)


class Told:
    """Calls `progress` after every step, with losses at most `SECONDS_BETWEEN_LOSSES` old.

    engine:   a `Engine`.
    by_clock: read the losses after every step, even if there is no `progress`. Else a clock would measure how fast
              steps are handed to a GPU.
    """

    def __init__(self, engine: Engine, progress: Callable[[Progress], None] | None, by_clock: bool) -> None:
        self._engine, self._progress, self._by_clock = engine, progress, by_clock
        self._next, self._loss = 0.0, Loss(0.0, 0.0, 0.0)

    def step(self, step: int, total: int, seconds_left: float) -> None:
        """Report step `step` of `total`."""
        if not self._by_clock and not self._progress:
            return
        if self._by_clock or monotonic() >= self._next or step == total:
            losses = self._engine.losses()
            self._next = monotonic() + SECONDS_BETWEEN_LOSSES
            self._loss = Loss(*(sum(values) / len(losses) for values in zip(*losses)))
        if self._progress:
            self._progress(progress_of("fit", step, total, self._loss, self._engine.fits[0], seconds_left))

"""What a fit says of itself while it runs."""

from dataclasses import dataclass
from math import log10
from time import monotonic

from ..loss.terms import Loss

SECONDS_BETWEEN_LOSSES = 0.05
"""Asking for a loss makes a GPU wait, so that a progress may tell one that is that old."""

BITS_A_WEIGHT, WARM_BITS_A_WEIGHT = 6, 3
"""Assumed while a fit runs, without and with a base; what the weights really cost is known when they are frozen."""


@dataclass(frozen=True)
class Progress:
    """What an encode says of itself.

    phase: "fit", "freeze", "code" or "pack". step of total: steps of the fit, measurements of the freeze or of moves of
    the code. bpp and psnr (dB) at the present state, during the fit of the noisy picture, or the means of several.
    seconds_left: of the phase, which `outlook` makes that of the whole encode; infinity if unknown.
    """

    phase: str
    step: int
    total: int
    bpp: float
    psnr: float
    seconds_left: float


def progress_of(phase, step, total, loss, fit, seconds_left):
    """A `Progress`; `loss` is the present `Loss`, `fit` one of an engine's."""
    bits = loss.bits + (WARM_BITS_A_WEIGHT if fit.arch.base else BITS_A_WEIGHT) * fit.arch.weight_count()
    return Progress(
        phase, step, total, bits / fit.pixels, -10 * log10(max(loss.distortion / fit.share, 1e-10)), seconds_left
    )


class Told:
    """Calls `progress` after every step, with losses that are fresh or nearly so.

    by_clock: asks for them after every step, even if nobody wants to know: a clock would else measure how fast steps
    are handed to a GPU.
    """

    def __init__(self, engine, progress, by_clock):
        self._engine, self._progress, self._by_clock = engine, progress, by_clock
        self._next, self._loss = 0.0, None

    def step(self, step, total, seconds_left):
        if not self._by_clock and not self._progress:
            return
        if self._by_clock or monotonic() >= self._next or step == total:
            losses = self._engine.losses()
            self._next = monotonic() + SECONDS_BETWEEN_LOSSES
            self._loss = Loss(*(sum(values) / len(losses) for values in zip(*losses)))
        if self._progress:
            self._progress(progress_of("fit", step, total, self._loss, self._engine.fits[0], seconds_left))

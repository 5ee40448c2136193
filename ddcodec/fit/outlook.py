"""How long the whole encode still takes, told with each phase of it."""

from dataclasses import replace
from math import inf, isfinite
from time import monotonic

from .freeze.moves import measurements_for
from .freeze.search import LEAST_TRIALS, trials_for

A_TRIAL, A_MOVE, PACKING = 0.5, 0.5, 50
"""What a trial of the freeze, a measurement of the moves, and packing with its check take, as measured on photographs,
in steps of the fit.
"""
TOGETHER = 30 * 768 * 512
"""Weights are rounded together for as long as so many steps take, divided by the pixels of the picture."""


class Outlook:
    """A `progress` whose `seconds_left` are those of the whole encode of a picture, and not of a phase alone: all is
    reckoned by how long a step of the fit takes.

    progress: a function; steps: that the fit may take; pixels: of the picture; seconds: that the encode may take, or
    None.
    """

    def __init__(self, progress, steps, pixels, seconds=None):
        trials = trials_for(steps, pixels)
        self._together = TOGETHER / pixels if trials >= LEAST_TRIALS else 0
        self._steps_of = {
            "fit": steps,
            "freeze": self._together + A_TRIAL * trials,
            "code": A_MOVE * measurements_for(steps),
            "pack": PACKING,
        }
        self._progress, self._last = progress, None
        self._start, self._a_step = monotonic(), inf
        self._end = inf if seconds is None else self._start + seconds

    def __call__(self, progress):
        self._last = progress
        if progress.phase == "fit":
            self._measure(progress.step)
        phases = list(self._steps_of)
        left = self._own(progress) + sum(
            self._seconds(self._steps_of[phase]) for phase in phases[phases.index(progress.phase) + 1 :]
        )
        self._progress(replace(progress, seconds_left=min(left, max(0.0, self._end - monotonic()))))

    def pack(self):
        """Tell that all that is left is to pack and to check."""
        if self._last:
            self(replace(self._last, phase="pack", step=0, total=1, seconds_left=inf))

    def _measure(self, step):
        if step == 1:
            # The first takes longer than the others.
            self._start = monotonic()
        else:
            self._a_step = (monotonic() - self._start) / (step - 1)

    def _own(self, progress):
        """Seconds left of the phase at hand."""
        if isfinite(progress.seconds_left):
            return progress.seconds_left
        # Weights are rounded together before the first trial.
        before = self._together if progress.phase == "freeze" and progress.step else 0
        return self._seconds((self._steps_of[progress.phase] - before) * (1 - progress.step / progress.total))

    def _seconds(self, steps):
        return steps * self._a_step if steps else 0.0

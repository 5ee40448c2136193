"""The outlook: seconds that the whole encode still takes, reported in each of its phases."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, isfinite
from time import monotonic

from .descent.progress import Progress
from .freeze.moves import measurements_for
from .freeze.search import samples_for, trials_for

A_TRIAL, A_SHORT_TRIAL = 0.3, 0.15
"""Time of a trial of the freeze, in steps of the fit, where weights are rounded together and where they are not.

These and the others were measured on photographs of 768x512 (bench/results/outlook.tsv).
"""
A_MOVE = 0.4
"""Time of a measurement of the moves, in steps of the fit."""
A_SWEEP = 56
"""Measurements of a sweep over octave 0. With fewer the moves of a photograph do not begin."""
PACKING = 2
"""Time of packing and of its check, in steps of the fit."""
TOGETHER = 20 * 768 * 512
"""Time of rounding weights together, in steps of the fit times the picture's pixels: 20 steps at 768x512."""
A_SAMPLE = 3.5e-3 * 768 * 512
"""What each pixel of the sample for the curvature adds to that time."""


class Outlook:
    """A `progress` that reports the seconds left of the whole encode of a picture, and not of one phase.

    It counts all phases in steps of the fit, and measures how long a step takes.

    progress: called with each `Progress`, its `seconds_left` replaced.
    steps:    the most steps of the fit.
    pixels:   pixels of the picture.
    seconds:  the time limit of the encode, or None.
    """

    def __init__(
        self, progress: Callable[[Progress], None], steps: int, pixels: int, seconds: float | None = None
    ) -> None:
        trials, moves = trials_for(steps, pixels), measurements_for(steps)
        samples = samples_for(trials)
        self._together = (TOGETHER + A_SAMPLE * samples) / pixels if samples else 0
        self._steps_of = {
            "fit": steps,
            "freeze": self._together + (A_TRIAL if samples else A_SHORT_TRIAL) * trials,
            "code": A_MOVE * moves if moves >= A_SWEEP else 0,
            "pack": PACKING,
        }
        self._progress = progress
        self._last: Progress | None = None
        self._start, self._a_step = monotonic(), inf
        self._end = inf if seconds is None else self._start + seconds

    def __call__(self, progress: Progress) -> None:
        self._last = progress
        if progress.phase == "fit":
            self._measure(progress.step)
        phases = list(self._steps_of)
        left = self._own(progress) + sum(
            self._seconds(self._steps_of[phase]) for phase in phases[phases.index(progress.phase) + 1 :]
        )
        self._progress(replace(progress, seconds_left=min(left, max(0.0, self._end - monotonic()))))

    def pack(self) -> None:
        """Report that only packing and its check are left."""
        if self._last:
            self(replace(self._last, phase="pack", step=0, total=1, seconds_left=inf))

    def _measure(self, step):
        if step == 1:
            # The first step takes longer than the others, so that the clock starts after it.
            self._start = monotonic()
        else:
            self._a_step = (monotonic() - self._start) / (step - 1)

    def _own(self, progress):
        """Return the seconds left of the present phase."""
        if progress.phase == "fit":
            # The time that the loop states counts its first step as one like the others. A clock may end the fit early.
            return min(progress.seconds_left, self._seconds(self._steps_of["fit"] - progress.step))
        if isfinite(progress.seconds_left):
            return progress.seconds_left
        # Rounding together comes before the first trial, and is over from then on.
        before = self._together if progress.phase == "freeze" and progress.step else 0
        return self._seconds((self._steps_of[progress.phase] - before) * (1 - progress.step / progress.total))

    def _seconds(self, steps):
        return steps * self._a_step if steps else 0.0

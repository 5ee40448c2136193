"""The loop of a fit: steps by count or by clock, copies of the best state, a guard against collapse."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import numpy as np

from ..loss.terms import Loss
from .progress import Progress, Told
from .protocols import Engine, SearchableFit
from .schedule import HARD_SHARE, point_at, point_of_mean

CHECKS = 8
"""The most checks in each of two parts of a fit. One part is the second half of the noisy steps, the other the steps
with a fixed code. A check measures the fit with its code rounded.
"""
STEPS_A_CHECK = 20
"""Steps of a fit for each check after the first: `CHECKS` are made only in fits that are long enough."""
MEAN_FROM = 0.3
"""Share of an averaged fit, from its beginning, that the mean leaves out (bench/notebook/restoration.md)."""
AIM_EVERY = 10
"""Steps of an averaged fit after which it may get another aim."""
COLLAPSE = 0.7
"""A fit has collapsed where its distortion is above this share of that of the best single colour."""
LEAST_STEPS_TO_JUDGE = 100
"""Steps before which no fit is judged to have collapsed."""


def run(
    engine: Engine,
    iterations: int,
    *,
    seconds: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    may_collapse: bool = False,
    steerings: Sequence[Any] = (),
) -> tuple[int, list[int]]:
    """Fit until `iterations` steps are done or `seconds` are over, whichever is first, but one step at least.

    Every fit ends in the best state that a check has seen. Returns the number of steps, and the indices of the fits
    that have collapsed: a check found them hardly better than one constant colour. The loop ends early once all have.

    engine:       a `Engine`.
    may_collapse: go on with collapsed fits, and name none.
    steerings:    the `fit.target.Steering` objects that move the lambdas of the fits.

    Raises `TargetError` where a steering does.
    """
    start, step, hard = monotonic(), 0, False
    watches = [_Watch(fit) for fit in engine.fits]
    count = min(CHECKS, 1 + iterations // STEPS_A_CHECK)
    checks = [(0.5 + 0.5 * k / count) * (1 - HARD_SHARE) for k in range(1, count + 1)]
    checks += [1 - HARD_SHARE * (1 - k / count) for k in range(1, count)]
    warm = bool(engine.fits[0].arch.base)
    told = Told(engine, progress, seconds is not None)
    for watch in watches:
        # In a plain picture the first guess may be the best state of all.
        watch.look(code=True)
    while True:
        elapsed = monotonic() - start
        share = _share(step, iterations, elapsed, seconds)
        if share >= 1 and step:
            break
        if checks and share >= checks[0]:
            while checks and share >= checks[0]:
                checks.pop(0)
            for watch in watches:
                watch.look(code=not hard)
                watch.judge(step, may_collapse)
            if all(watch.collapsed for watch in watches):
                return step, list(range(len(watches)))
        for steering in steerings:
            steering.look(share)
        # Where the clock ends the fit, the number of its steps is unknown: the pace so far gives it.
        point = point_at(share, warm, step / share if step else iterations)
        if point.hard and not hard:
            hard = True
            _fix_code(engine, watches, steerings)
        engine.step(point)
        step += 1
        told.step(step, iterations, elapsed * (1 - share) / share if share else float("inf"))
    if not hard:
        for watch in watches:
            watch.look(code=True)
        _fix_code(engine, watches, steerings)
    for watch in watches:
        watch.look(code=False)
        watch.restore()
    return step, [index for index, watch in enumerate(watches) if watch.collapsed]


def run_for_mean(
    engine: Engine[SearchableFit],
    iterations: int,
    *,
    seconds: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    aim: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Fit, and return the mean of the pictures of the later steps: float32 (H, W, planes) in 0..1.

    The fit ends when `iterations` steps are done or `seconds` are over, but has one step at least. The mean leaves out
    the first `MEAN_FROM` of it. engine: a `Engine` of one `SearchableFit`. aim: every `AIM_EVERY` steps it gets the
    mean of the last ones, and returns the samples, uint16 (H, W, planes), towards which the fit goes on.

    Each step has other noise in its code and other weights. Its picture is like a draw from all pictures that explain
    the samples about as well. The mean of the draws is nearer to the true picture than any of them. This is stochastic
    gradient Langevin dynamics (Cheng et al., "A Bayesian Perspective on the Deep Image Prior", CVPR 2019).
    """
    start, step, (fit,), is_settled = monotonic(), 0, engine.fits, False
    told = Told(engine, progress, False)
    fit.average()
    while True:
        elapsed = monotonic() - start
        share = _share(step, iterations, elapsed, seconds)
        if share >= 1 and step:
            mean = fit.mean()
            assert mean is not None  # There has been a step.
            return mean
        if share >= MEAN_FROM and not is_settled:
            is_settled = True
            fit.average()
        engine.step(point_of_mean(share, step / share if step else iterations))
        step += 1
        if aim and step % AIM_EVERY == 0:
            mean = fit.mean()
            assert mean is not None
            fit.retarget(aim(mean))
            if not is_settled:
                fit.average()
        told.step(step, iterations, elapsed * (1 - share) / share if share else float("inf"))


def _share(step, iterations, elapsed, seconds):
    """Return the share of a fit that is done, by its steps or by its seconds, whichever is more."""
    by_clock = 0.0 if seconds is None else elapsed / seconds if seconds > 0 else 1.0
    return max(step / iterations, by_clock)


def _fix_code(engine, watches, steerings):
    """Go back to the best state seen and end the normalisation: from here on only the weights move."""
    for steering in steerings:
        steering.keep_code()
    for watch in watches:
        watch.restore()
    engine.fold()
    for watch in watches:
        watch.forget()


class _Watch:
    """The best state of one fit so far, judged by D + lambda R of the rounded code."""

    def __init__(self, fit):
        self._fit, self._best, self._state = fit, Loss(float("inf"), 0.0, float("inf")), None
        self._last = Loss(0.0, 0.0, 0.0)
        self.collapsed = False

    def look(self, code):
        self._last = loss = self._fit.evaluate()
        # Lambda may have moved since the best state was seen, so both losses are weighed anew.
        if self._value(loss) < self._value(self._best):
            self._best, self._state = loss, self._fit.state(code)

    def _value(self, loss):
        return loss.distortion + self._fit.lambda_ * loss.bits / self._fit.pixels

    def judge(self, step, may_collapse):
        # `not ... <=`, so that a loss that is not a number counts as collapsed.
        if (
            not may_collapse
            and step >= LEAST_STEPS_TO_JUDGE
            and not self._last.distortion <= COLLAPSE * self._fit.single_colour + 1e-4
        ):
            self.collapsed = True

    def restore(self):
        if self._state is not None:
            self._fit.restore(self._state)

    def forget(self):
        """Drop the best state, which an engine without normalisation cannot take.

        The engine has its code already, so that later states hold weights alone.
        """
        self._best, self._state = Loss(float("inf"), 0.0, float("inf")), None
        self.look(code=False)

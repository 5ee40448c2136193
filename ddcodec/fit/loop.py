"""The course of one fit: steps by count or by clock, snapshots of the best state, a guard against collapse."""

from dataclasses import dataclass
from math import log10
from time import monotonic

from .schedule import HARD_SHARE, point_at

CHECKS = 8
"""How often the noisy part of a fit looks at what rounding would give, in its second half."""
COLLAPSE = 0.7
LEAST_STEPS_TO_JUDGE = 100


BITS_A_WEIGHT = 6
"""Assumed while a fit runs; what the weights really cost is known when they are frozen."""


@dataclass(frozen=True)
class Progress:
    """What an encode says of itself.

    phase: "fit" or "freeze". step of total: steps of the fit, tensors of the freeze. bpp and psnr (dB) at the present state, during the fit
    of the noisy picture. seconds_left: infinity if unknown.
    """

    phase: str
    step: int
    total: int
    bpp: float
    psnr: float
    seconds_left: float


def progress_of(phase, step, total, loss, engine, seconds_left):
    """A `Progress`; `loss` is the present `Loss`."""
    bits = loss.bits + BITS_A_WEIGHT * sum(weight.numel() for weight in engine.weights.values())
    return Progress(phase, step, total, bits / engine.pixels, -10 * log10(max(loss.distortion, 1e-10)), seconds_left)


class Collapsed(Exception):
    """The fit has lost the picture: it is hardly better than one constant colour."""


def run(engine, iterations, *, seconds=None, progress=None, may_collapse=False):
    """Fit until `iterations` steps are done or `seconds` are over, whichever is first, but one step at least; returns their number.

    The engine ends in the best state that was seen. Raises `Collapsed` half-way unless `may_collapse`.
    """
    start, step, best = monotonic(), 0, _Best(engine)
    checks = [(0.5 + 0.5 * k / CHECKS) * (1 - HARD_SHARE) for k in range(1, CHECKS + 1)]
    while True:
        elapsed = monotonic() - start
        share = step / iterations
        if seconds is not None:
            share = max(share, elapsed / seconds if seconds > 0 else 1.0)
        if share >= 1 and step:
            break
        if checks and share >= checks[0]:
            while checks and share >= checks[0]:
                checks.pop(0)
            _look(engine, best, step, may_collapse)
        point = point_at(share)
        if point.hard and not best.hard:
            best.begin_hard()
        before = engine.state() if point.hard else None
        loss = engine.step(point)
        if point.hard:
            best.saw(loss, before)
        step += 1
        if progress:
            left = elapsed * (1 - share) / share if share else float("inf")
            progress(progress_of("fit", step, iterations, loss, engine, left))
    if not best.hard:
        best.begin_hard()
    best.saw(engine.evaluate(), engine.state())
    best.restore()
    return step


class _Best:
    """The best state seen so far, judged by D + lambda R of the rounded code."""

    def __init__(self, engine):
        self._engine, self._loss, self._state = engine, float("inf"), None
        self.hard = False

    def saw(self, loss, state):
        value = loss.distortion + self._engine.lambda_ * loss.bits / self._engine.pixels
        if value < self._loss:
            self._loss, self._state = value, state
        return value

    def begin_hard(self):
        """The code will not move any more: go on from the best that was seen, without normalisation."""
        self.hard = True
        self.restore()
        self._engine.fold()
        self._state = self._engine.state()

    def restore(self):
        if self._state is not None:
            self._engine.restore(self._state)


def _look(engine, best, step, may_collapse):
    loss = engine.evaluate()
    best.saw(loss, engine.state())
    constant = (engine.target - engine.target.mean((1, 2), keepdim=True)).square().mean().item()
    # Written so that a loss that is no number counts as collapsed.
    if not loss.distortion <= COLLAPSE * constant + 1e-4 and step >= LEAST_STEPS_TO_JUDGE and not may_collapse:
        raise Collapsed

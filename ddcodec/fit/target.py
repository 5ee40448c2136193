"""Rate control: lambda moves while a fit runs, so that its file ends at a wished size or its picture at a wished
PSNR.
"""

from dataclasses import dataclass
from math import exp, log, log10
from typing import NamedTuple

import numpy as np

from ..errors import TargetError
from ..format.coded import CodedImage
from .descent.schedule import point_after
from .freeze.moves import improve
from .freeze.search import trials_for, weight_bits
from .loss.terms import Loss

LAMBDAS = (1e-7, 0.3)
LEAST_FILLED, FILLED = 0.97, 0.985
"""Of the size that a file may have: what it should have at least, and what is aimed at."""
SIZE_SLOPE, PSNR_SLOPE = 0.6, 0.7
"""About how the logarithms of the rate fall, and of the distortion rise, with that of lambda."""
FIT_GAINS, FIT_LEAVES = 5.0, 0.75
"""About the dB that a fit gains over the first guess, and the share of the bits that it leaves; measured on crops of
photographs.
"""


class Look(NamedTuple):
    """When lambda is moved, a share of the fit, and how the rounded state of a fit whose lambda rests differs then from
    that at its end: by a surplus of bits a pixel and by dB that are missing, both give or take a share, the doubt.

    The bits are those of a code that still trembles; photographs at 0.1 bits a pixel have about these, whatever they
    show.
    """

    share: float
    surplus: float
    missing: float
    doubt: float


LOOKS = (
    Look(0.2, 0.31, 1.1, 0.5), Look(0.4, 0.165, 0.6, 0.5),
    Look(0.55, 0.058, 0.3, 0.0), Look(0.67, 0.027, 0.15, 0.0),
    Look(0.78, 0.0105, 0.1, 0.0), Look(0.88, 0.003, 0.04, 0.0),
)  # fmt: skip
"""In between lambda rests: where it moves on the code trembles the more the faster it grows, and what it says of the
end is wrong; what a lambda that was too great has wiped out does not come back. So the first looks are for what is far
off beyond doubt.
"""
RATE_SURPLUS, SETTLED = 0.1, 0.95
"""A share of the bits that trembles, too, times what is left until that share of the fit."""
MOST_SURPLUS = 0.8
"""Of the bits that there are."""
GAIN, MOST_MOVE, ANSWERED = 0.9, 2.0, 35
"""Of what would reach the target; at most, in the logarithm of lambda; and the steps after which a fit has answered two
thirds of a move.
"""
HOPELESS, FAR = 0.4, 3.0
"""Share of the fit from which on a target is given up that is so far, in the logarithm of lambda, beyond the last
lambda there is.
"""
BELOW, ABOVE = 0.1, 0.2
"""How near, in the logarithm of lambda, a target must be for moves of single integers to reach it at little loss, from
too small a file and from too large a one; else more steps come before.
"""
ROUNDS, MORE_STEPS, MOVE_ROUNDS = 20, 30, 4
"""Attempts after the fit; the steps of one that needs little; and how often integers are moved in each."""
STUCK = 3
"""Attempts in a row at the last lambda there is, which would have to go farther."""
EAGER, EAGEREST, MOST_EAGER = 2.0, 6.0, 1.5
"""So few steps answer a lambda in small part, so it is moved by so much more than what would do in the long run.

Half as much once that was too much, twice as much while it is too little, up to the second; and at most by the third.
"""
EAGER_MOVES, EAGEREST_MOVES = 5.0, 20.0
"""The same for moves, which answer less."""
LEAST_MOVES = 250
"""Measurements of an attempt: two sweeps of octaves."""
LEAST_MOST = 3000
"""Steps after a fit that there may be at least, else as many as it had."""
NEAR, MOST_TIMES = 0.03, 8.0
"""A target that is so far away in the logarithm of lambda gets twice as many steps, and at most so many times as
many.
"""


@dataclass(frozen=True)
class Target:
    """bytes: of the file, never above and within 3 % below; or psnr: of the decoded picture in dB, never below and
    within 0.1 dB above. overhead: bytes of the file that no lambda changes.
    """

    bytes: int | None = None
    psnr: float | None = None
    overhead: int = 0

    def check(self):
        """Raise `TargetError` where what no lambda changes is too much already."""
        if self.bytes is not None and self.overhead >= FILLED * self.bytes:
            raise TargetError(
                f"The file cannot be made to fit into {self.bytes:,} bytes: header, metadata and alpha alone take "
                f"about {self.overhead:,}."
            )

    def met(self, measured):
        if self.bytes is not None:
            return LEAST_FILLED * self.bytes <= measured <= self.bytes
        return self.psnr <= measured <= self.psnr + 0.1

    def kept(self, measured):
        """Whether the promise is kept, be it by more than need be."""
        return measured <= self.bytes if self.bytes is not None else measured >= self.psnr

    def step(self, measured):
        """By how much the logarithm of lambda should grow."""
        if self.bytes is not None:
            return log(max(1, measured - self.overhead) / (FILLED * self.bytes - self.overhead)) / SIZE_SLOPE
        return (measured - self.psnr - 0.05) * log(10) / 10 / PSNR_SLOPE

    def of(self, size, psnr):
        return size if self.bytes is not None else psnr

    @property
    def least_lambda(self):
        """To start from: photographs have a distortion of a tenth of lambda to 0.8 of it, and a first guess says little
        of how far a smooth picture gets.
        """
        return LAMBDAS[0] if self.psnr is None else min(LAMBDAS[1], 10 ** (-self.psnr / 10))

    def distance(self, measured):
        """A sentence for a promise that is kept by more than it need be."""
        if self.bytes is not None:
            return f"the file has {measured:,} of the {self.bytes:,} bytes that it may have; nothing nearer was found."
        return (
            f"the picture has a PSNR of {measured:.2f} dB where {self.psnr:g} dB were asked for; nothing nearer was "
            "found."
        )

    def refusal(self, measured):
        if self.bytes is not None:
            return TargetError(
                f"The picture cannot be made to fit into {self.bytes:,} bytes; the nearest that was found has about "
                f"{measured:,.0f}."
            )
        return TargetError(
            f"A PSNR of {self.psnr:g} dB cannot be reached; the nearest that was found is about {measured:.2f} dB."
        )


def first_step(target, fit, steps):
    """The step from a fit that has only made its first guess, as far as can be told where it would end after so many
    steps of the fit.
    """
    loss = fit.evaluate()
    ended = Loss(loss.distortion * 10 ** (-FIT_GAINS / 10), loss.bits * FIT_LEAVES)
    return target.step(_estimated(target, fit, ended, _weight_bits(fit, steps)))


def first_lambda(target, lambdas, steps):
    """Where to start: the wished point is read off between the bases' first guesses. steps: the `first_step` at each of
    the bases' lambdas.
    """
    # A step falls as lambda grows; where it crosses zero is the start.
    order = np.argsort(lambdas)
    logs, steps = np.log(np.array(lambdas))[order], np.minimum.accumulate(np.array(steps)[order])
    if steps[0] <= 0:
        wished = logs[0] + steps[0]
    elif steps[-1] >= 0:
        wished = logs[-1] + steps[-1]
    else:
        wished = np.interp(0, -steps, logs)
    return max(target.least_lambda, _inside(exp(wished)))


class Steering:
    """Moves the lambda of one fit while the loop runs. code: the real-valued code that was there before the loop fixed
    it to integers.
    """

    def __init__(self, fit, target, steps):
        self._fit, self._target, self._steps, self.code = fit, target, steps, {}
        self._looks = list(LOOKS)
        self._unanswered, self._moved_at = 0.0, 0.0

    def look(self, share):
        """To be called before each step, with the share of the fit that is done.

        Raises `TargetError` where no lambda comes near.
        """
        if not self._looks or share < self._looks[0].share:
            return
        while self._looks and share >= self._looks[0].share:
            look = self._looks.pop(0)
        loss, weights = self._fit.evaluate(), _weight_bits(self._fit, self._steps)
        least, measured, most = (
            _estimated(self._target, self._fit, _ended(loss, look, doubt, self._fit.pixels), weights)
            for doubt in (-look.doubt, 0.0, look.doubt)
        )
        step = _surely(self._target.step(least), self._target.step(most))
        before = self._fit.lambda_
        self._unanswered *= exp(-(share - self._moved_at) * self._steps / ANSWERED)
        self._fit.lambda_ = _inside(before * exp(min(MOST_MOVE, max(-MOST_MOVE, GAIN * (step - self._unanswered)))))
        self._unanswered, self._moved_at = self._unanswered + log(self._fit.lambda_ / before), share
        stuck = before in LAMBDAS and self._fit.lambda_ == before
        if share > HOPELESS and stuck and abs(step) > FAR and not self._target.kept(measured):
            raise self._target.refusal(measured)

    def keep_code(self):
        self.code = self._fit.real_code()


def _ended(loss, look, doubt, pixels):
    """The loss at the end of a fit, from that at a `Look`, if lambda stays."""
    bits = (loss.bits - look.surplus * (1 + doubt) * pixels) / (1 + RATE_SURPLUS * max(0.0, 1 - look.share / SETTLED))
    return Loss(loss.distortion * 10 ** (-look.missing * (1 + doubt) / 10), max(bits, (1 - MOST_SURPLUS) * loss.bits))


def _surely(one, other):
    """The shorter of two steps in one direction, or none."""
    return min(one, other, key=abs) if one * other > 0 else 0.0


def _weight_bits(fit, steps):
    return weight_bits(fit, trials_for(steps, fit.pixels))


def _estimated(target, fit, loss, weights):
    size = (loss.bits + weights) / 8 + target.overhead
    return target.of(size, -10 * log10(max(loss.distortion / fit.share, 1e-12)))


def _inside(lambda_):
    return min(LAMBDAS[1], max(LAMBDAS[0], lambda_))


class Corrected(NamedTuple):
    """coded: the best that keeps the promise; measured: what it has of what the target is about."""

    coded: CodedImage
    lambda_: float
    steps: int
    measured: float


def correct(fit, code, as_coded, target, measure, moves, most, is_over, progress):
    """After the freeze: moves of single integers at lambdas that bring the fit to the target, and where it is too far
    away some more steps of the code before, from what it was before it was rounded. Returns `Corrected`.

    code: the real-valued code (octave -> (planes, rows, columns)) that `Steering` kept. as_coded() gives the fit, whose
    weights are integers, as a `CodedImage`; measure(coded) what the target is about, of the real file. moves:
    measurements of the moves in each attempt, which are told to progress. most: steps after which a promise that is
    kept need not be kept any nearer. is_over() says whether the time is. Raises `TargetError` if no attempt keeps the
    promise.
    """
    attempts = _Attempts(fit, as_coded, target, measure)
    pace, origin, moves = _Pace(EAGER, EAGEREST), log(fit.lambda_), max(moves, LEAST_MOVES)
    # Beyond the time only to keep the promise at all.
    is_enough = lambda: attempts.best is not None and (is_over() or attempts.done >= most)
    for attempt in range(ROUNDS):
        if attempt or not attempts.is_near:
            if pace.stuck > STUCK:
                break
            origin += attempts.step
            pace.move_lambda(fit, origin, attempts.step)
            fit.take({}, code)
            attempts.more_steps()
            code = fit.real_code()
        # For what settles: while more steps are awaited lambda is farther than that.
        fit.lambda_ = _inside(exp(origin))
        if attempts.is_near and not is_enough():
            _move_nearer(fit, attempts, moves, is_enough, progress)
        if target.met(attempts.measured) or is_enough():
            break
    if attempts.best is None:
        raise attempts.refusal()
    return attempts.best._replace(steps=attempts.done)


def _move_nearer(fit, attempts, moves, is_enough, progress):
    # What pays at lambda as it is makes the file smaller at the same PSNR, which a file that is too small already has
    # no use for.
    pays = attempts.step > 0 or attempts.target.psnr is not None and attempts.target.met(attempts.measured)
    pace = _Pace(EAGER_MOVES, EAGEREST_MOVES)
    for attempt in range(MOVE_ROUNDS):
        if attempt or not pays:
            if attempts.target.met(attempts.measured) or is_enough():
                return
            pace.move_lambda(fit, log(fit.lambda_), attempts.step)
        improve(fit, moves, is_over=is_enough, progress=progress)
        attempts.look()


class _Pace:
    """By how much more lambda is moved than what would do in the long run: half as much once that was too much, twice
    as much while it is too little. stuck: how often in a row it should have gone farther than it can.
    """

    def __init__(self, eager, eagerest):
        self._eager, self._eagerest, self._before, self.stuck = eager, eagerest, 0.0, 0

    def move_lambda(self, fit, origin, step):
        """From a logarithm of lambda on."""
        self._eager = min(
            self._eagerest, self._eager * (0.5 if step * self._before < 0 else 2 if step * self._before > 0 else 1)
        )
        self._before = step
        fit.lambda_ = _inside(exp(origin + max(-MOST_EAGER, min(MOST_EAGER, self._eager * step))))
        self.stuck = self.stuck + 1 if _inside(fit.lambda_ * exp(step)) == fit.lambda_ else 0


class _Attempts:
    """What was tried after a fit. best: the `Corrected` that keeps the promise, or None; measured, step: of the last
    attempt; done: steps in all.
    """

    def __init__(self, fit, as_coded, target, measure):
        self._fit, self._as_coded, self._measure, self.target = fit, as_coded, measure, target
        self.best, self.done = None, 0
        self._best_step = self._nearest_step = float("inf")
        self.look()

    @property
    def is_near(self):
        return -BELOW <= self.step <= ABOVE

    def look(self):
        """Measure the fit as it is."""
        coded = self._as_coded()
        self.measured = self._measure(coded)
        self.step = self.target.step(self.measured)
        if abs(self.step) < self._nearest_step:
            self._nearest_step, self._nearest = abs(self.step), self.measured
        # Of two that are near enough the later one has had more moves that pay.
        if self.target.met(self.measured) or self.target.kept(self.measured) and abs(self.step) < self._best_step:
            self._best_step, self.best = abs(self.step), Corrected(coded, self._fit.lambda_, self.done, self.measured)

    def more_steps(self):
        """More of them the farther the target is."""
        steps = round(MORE_STEPS * min(MOST_TIMES, 1 + abs(self.step) / NEAR))
        for k in range(steps):
            self._fit.step(point_after(k / steps))
        self.done += steps
        self.look()

    def refusal(self):
        return self.target.refusal(self._nearest)

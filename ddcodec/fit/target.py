"""Rate control: lambda moves while a fit runs, so that its file ends at a wished size or its picture at a wished PSNR."""

from dataclasses import dataclass
from math import exp, log, log10
from typing import NamedTuple

import numpy as np

from ..coded import CodedImage
from ..errors import TargetError
from .freeze import trials_for, weight_bits
from .recipe import Loss
from .schedule import point_after

LAMBDAS = (1e-7, 0.3)
LEAST_FILLED, FILLED = 0.97, 0.985
"""Of the size that a file may have: what it should have at least, and what is aimed at."""
SIZE_SLOPE, PSNR_SLOPE = 0.6, 0.7
"""About how the logarithms of the rate fall, and of the distortion rise, with that of lambda."""
FIT_GAINS, FIT_LEAVES = 5.0, 0.75
"""About the dB that a fit gains over the first guess, and the share of the bits that it leaves; measured on crops of photographs."""
SURPLUS, DEFICIT, SETTLED, SETTLING = 0.32, 1.5, 0.95, 1.8
"""How a fit's rounded state differs from that at its end: by so many bits a pixel and these dB at its start, by nothing from that share of the fit on, and in between with that power of what is left. The
bits are those of a code that still trembles, about the same at all rates: the middle of what photographs have shown at 0.08 to 1.9 bits a pixel, where after three tenths of a fit 0.15 to 0.24 were too many and 0.5 to 1.2 dB missing."""
MOST_SURPLUS = 0.8
"""Of the bits that there are."""
FIRST_LOOK, COLD_FIRST_LOOK, LAST_LOOK, LOOKS, LEAST_BETWEEN = 0.4, 0.2, 0.88, 40, 5
"""Shares of a fit between which lambda moves, the first also for fits without a base, whose start is farther off; how often, and the steps that a fit has to answer at least. Earlier, a greater lambda makes a code tremble the more,
so that its bits grow and lambda with them."""
GAIN = 0.5
"""Of what would reach the target if a fit answered at once."""
HOPELESS, FAR = 0.4, 3.0
"""Share of the fit from which on a target is given up that is so far, in the logarithm of lambda, beyond the last lambda there is."""
ROUNDS, MORE_STEPS = 20, 30
"""Attempts after the fit, and the steps of one that needs little."""
STUCK = 3
"""Attempts in a row at the last lambda there is, which would have to go farther."""
CLOSE = 0.3
"""How near, in the logarithm of lambda, a promise must be that is not kept yet to be worth as many attempts again."""
EAGER, EAGEREST, MOST_EAGER = 2.0, 6.0, 1.5
"""So few steps answer a lambda in small part, so it is moved by so much more than what would do in the long run. Half as much once that was too much, twice as much while it is too little, up to the second; and at most by the third."""
LEAST_MOST = 3000
"""Steps after a fit that there may be at least, else as many as it had."""
NEAR, MOST_TIMES = 0.03, 8.0
"""A target that is so far away in the logarithm of lambda gets twice as many steps, and at most so many times as many."""


@dataclass(frozen=True)
class Target:
    """bytes: of the file, never above and within 3 % below; or psnr: of the decoded picture in dB, never below and within 0.1 dB above. overhead: bytes of the file that no lambda changes."""

    bytes: int | None = None
    psnr: float | None = None
    overhead: int = 0

    def check(self):
        """Raise `TargetError` where what no lambda changes is too much already."""
        if self.bytes is not None and self.overhead >= FILLED * self.bytes:
            raise TargetError(f"The file cannot be made to fit into {self.bytes:,} bytes: header, metadata and alpha alone take about {self.overhead:,}.")

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

    def distance(self, measured):
        """A sentence for a promise that is kept by more than it need be."""
        if self.bytes is not None:
            return f"the file has {measured:,} of the {self.bytes:,} bytes that it may have; nothing nearer was found."
        return f"the picture has a PSNR of {measured:.2f} dB where {self.psnr:g} dB were asked for; nothing nearer was found."

    def refusal(self, measured):
        if self.bytes is not None:
            return TargetError(f"The picture cannot be made to fit into {self.bytes:,} bytes; the nearest that was found has about {measured:,.0f}.")
        return TargetError(f"A PSNR of {self.psnr:g} dB cannot be reached; the nearest that was found is about {measured:.2f} dB.")


def first_step(target, fit, steps):
    """The step from a fit that has only made its first guess, as far as can be told where it would end after so many steps of the fit."""
    loss = fit.evaluate()
    ended = Loss(loss.distortion * 10 ** (-FIT_GAINS / 10), loss.bits * FIT_LEAVES)
    return target.step(_estimated(target, fit, ended, steps))


def first_lambda(lambdas, steps):
    """Where to start: the wished point is read off between the bases' first guesses. steps: the `first_step` at each of the bases' lambdas."""
    # A step falls as lambda grows; where it crosses zero is the start.
    order = np.argsort(lambdas)
    logs, steps = np.log(np.array(lambdas))[order], np.minimum.accumulate(np.array(steps)[order])
    if steps[0] <= 0:
        wished = logs[0] + steps[0]
    elif steps[-1] >= 0:
        wished = logs[-1] + steps[-1]
    else:
        wished = np.interp(0, -steps, logs)
    return _inside(exp(wished))


class Steering:
    """Moves the lambda of one fit while the loop runs. code: the real-valued code that was there before the loop fixed it to integers."""

    def __init__(self, fit, target, steps):
        self._fit, self._target, self._steps, self.code = fit, target, steps, {}
        first = FIRST_LOOK if fit.arch.base else COLD_FIRST_LOOK
        looks = min(LOOKS, int(steps * (LAST_LOOK - first)) // LEAST_BETWEEN)
        self._looks = np.linspace(first, LAST_LOOK, looks).tolist()

    def look(self, share):
        """To be called before each step, with the share of the fit that is done. Raises `TargetError` where no lambda comes near."""
        if not self._looks or share < self._looks[0]:
            return
        while self._looks and share >= self._looks[0]:
            self._looks.pop(0)
        measured = _estimated(self._target, self._fit, _ended(self._fit.evaluate(), share, self._fit.pixels), self._steps)
        step = self._target.step(measured)
        before = self._fit.lambda_
        self._fit.lambda_ = _inside(before * exp(min(1.0, max(-1.0, GAIN * step))))
        stuck = before in LAMBDAS and self._fit.lambda_ == before
        if share > HOPELESS and stuck and abs(step) > FAR and not self._target.kept(measured):
            raise self._target.refusal(measured)

    def keep_code(self):
        self.code = self._fit.real_code()


def _ended(loss, share, pixels):
    """The loss at the end of a fit, from that at a share of it, if lambda stays."""
    left = max(0.0, 1 - share / SETTLED) ** SETTLING
    return Loss(loss.distortion * 10 ** (-DEFICIT * left / 10), loss.bits - min(SURPLUS * left * pixels, MOST_SURPLUS * loss.bits))


def _estimated(target, fit, loss, steps):
    size = (loss.bits + weight_bits(fit, trials_for(steps, fit.pixels))) / 8 + target.overhead
    return target.of(size, -10 * log10(max(loss.distortion / fit.share, 1e-12)))


def _inside(lambda_):
    return min(LAMBDAS[1], max(LAMBDAS[0], lambda_))


class Corrected(NamedTuple):
    """coded: the best that keeps the promise; measured: what it has of what the target is about."""

    coded: CodedImage
    lambda_: float
    steps: int
    measured: float


def correct(fit, code, as_coded, target, measure, most, is_over):
    """After the freeze: some more steps of the code, from what it was before it was rounded, at lambdas that bring it to the target. Returns `Corrected`.

    code: the real-valued code (octave -> (planes, rows, columns)) that `Steering` kept. as_coded() gives the fit, whose weights are integers, as a `CodedImage`; measure(coded) what the
    target is about, of the real file. most: steps after which a promise that is kept need not be kept any nearer. is_over() says whether the time is. Raises `TargetError` if no attempt keeps the promise.
    """
    best, nearest, done, settled, eager, before, stuck = None, None, 0, log(fit.lambda_), EAGER, 0.0, 0
    for attempt in range(2 * ROUNDS + 1):
        coded = as_coded()
        measured = measure(coded)
        step = target.step(measured)
        nearest = min(nearest or (abs(step), measured), (abs(step), measured))
        if target.kept(measured) and (best is None or abs(step) < best[0]):
            best = abs(step), Corrected(coded, fit.lambda_, done, measured)
        # Beyond the time only to keep the promise at all.
        is_last = attempt >= ROUNDS and (best or abs(step) > CLOSE) or attempt == 2 * ROUNDS
        stuck = stuck + 1 if _inside(fit.lambda_ * exp(step)) == fit.lambda_ else 0
        if is_last or stuck > STUCK or target.met(measured) or (is_over() or done >= most) and best:
            break
        if not attempt:
            fit.take({}, code)
        eager = min(EAGEREST, eager * (0.5 if step * before < 0 else 2 if step * before > 0 else 1))
        settled, before = settled + step, step
        fit.lambda_ = _inside(exp(settled + max(-MOST_EAGER, min(MOST_EAGER, eager * step))))
        steps = round(MORE_STEPS * min(MOST_TIMES, 1 + abs(step) / NEAR))
        for k in range(steps):
            fit.step(point_after(k / steps))
        done += steps
    if best is None:
        raise target.refusal(nearest[1])
    return best[1]._replace(steps=done)

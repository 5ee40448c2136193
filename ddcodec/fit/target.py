"""Rate control: lambda moves while a fit runs, so that the fit ends at a given size, PSNR or SSIMULACRA2.

Moves of single integers and further steps make up the rest after the freeze. bench/notebook/targets.md has the trials
behind the constants. A step of lambda is a difference of its logarithm (natural), here and in all comments.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log, log10
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..errors import TargetError
from ..format.coded import CodedImage
from .descent.progress import Progress
from .descent.protocols import Code, Fit
from .descent.schedule import point_after
from .freeze.moves import improve
from .freeze.search import trials_for, weight_bits
from .loss.terms import Loss

LAMBDAS = (1e-7, 0.3)
"""The least and the greatest lambda."""
LEAST_FILLED = 0.97
"""Share of the allowed size that a file must have at least."""
FILLED = 0.985
"""Share of the allowed size at which the steering aims."""
SIZE_SLOPE = 0.6
"""About how much the logarithm of the rate falls for a step of lambda by 1."""
PSNR_SLOPE = 0.7
"""About how much the logarithm of the distortion rises for a step of lambda by 1."""
SSIMULACRA2_SLOPE = 0.4
"""About how much the logarithm of what SSIMULACRA2 lacks of 100 rises for a step of lambda by 1."""
SSIMULACRA2_POWER = 0.53
"""About the power of the distortion with which the same rises."""
SSIMULACRA2_AT = 3e-3
"""A lambda at which that is known, in a mean over crops of photographs."""
SSIMULACRA2_LACKS = {"eye": 41.0, "psnr": 57.0}
"""Tune -> what SSIMULACRA2 lacks there of 100."""
FIT_GAINS = 5.0
"""About the dB that a fit gains over its first guess, measured on crops of photographs."""
FIT_LEAVES = 0.75
"""About the share of the first guess's bits that a fit leaves, measured on the same crops."""


class Look(NamedTuple):
    """A moment at which lambda moves, and what a fit at a constant lambda then lacks of its end.

    A look measures the fit with its code rounded. That code still trembles, and costs more bits than at the end.
    Photographs at 0.1 bits per pixel have about this surplus, whatever they show.

    share:   the share of the fit that is done.
    surplus: bits per pixel above those at the end.
    missing: dB of PSNR below that at the end.
    doubt:   the share by which `surplus` and `missing` may be wrong, up or down.
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
"""All looks of a fit, from its start at a base or not; between them lambda stays.

Where lambda grows, the code trembles the more the faster it grows, and predicts a wrong end. What too great a lambda
has wiped out does not come back. So the first two looks only correct what is far off beyond doubt.
"""
RATE_SURPLUS = 0.1
"""A further surplus of the bits of a code that still trembles, as a share of the bits at the end.

This is the share at the beginning of a fit. It falls to 0 at `SETTLED`.
"""
SETTLED = 0.95
"""Share of the fit from which on the code has settled."""
MOST_SURPLUS = 0.8
"""The greatest surplus in all, as a share of the bits measured."""
GAIN = 0.9
"""Share of the step towards the target that lambda makes at a look."""
MOST_MOVE = 2.0
"""The greatest step of lambda at a look, up or down."""
ANSWERED = 35
"""Steps of the fit after which two thirds of a step of lambda have taken effect."""
HOPELESS = 0.4
"""Share of the fit from which on a target may be given up."""
FAR = 3.0
"""Steps of lambda that a target may be beyond the end of `LAMBDAS`; a farther one is then given up."""
BELOW = 0.1
"""Greatest step of lambda, downwards, that moves of single integers make good at little loss, in too small a file.

Where the target is farther away, more steps of the fit come before the moves.
"""
ABOVE = 0.2
"""The same upwards, in too large a file."""
ROUNDS = 20
"""The most attempts after a fit."""
MORE_STEPS = 30
"""Steps of the fit in an attempt whose target is near."""
MOVE_ROUNDS = 4
"""The most times that integers are moved in an attempt."""
STUCK = 3
"""Attempts in a row that may end at one end of `LAMBDAS` while the target lies beyond it."""
EAGER = 2.0
"""Factor of a step of lambda in the first attempt: a few steps of the fit answer only a small part of it.

The factor is halved after a step that was too long, and doubled after one that was too short.
"""
EAGEREST = 6.0
"""The greatest such factor (bench/notebook/targets.md, tiny pictures)."""
MOST_EAGER = 1.5
"""The greatest step of lambda in an attempt, its factor included."""
EAGER_MOVES = 5.0
"""`EAGER` for moves of single integers, which answer less."""
EAGEREST_MOVES = 20.0
"""`EAGEREST` for moves of single integers."""
LEAST_MOVES = 250
"""The least number of measurements for the moves in an attempt: two sweeps of octaves."""
LEAST_MOST = 3000
"""Steps after a fit that are allowed in any case; a fit that had more steps may have as many again."""
NEAR = 0.03
"""Distance of the target, as a step of lambda, that adds `MORE_STEPS` to an attempt."""
MOST_TIMES = 8.0
"""The greatest number of steps in an attempt, in times `MORE_STEPS`."""


class Target(ABC):
    """What a file is to have: a size, a PSNR or an SSIMULACRA2. Never worse, and hardly better.

    Methods take what the target limits as `measured`.

    saves: whether a file that meets the target may still become smaller.
    """

    saves: ClassVar[bool] = True

    @abstractmethod
    def met(self, measured: float) -> bool:
        """Whether the target is met, neither missed nor kept by too much."""

    @abstractmethod
    def kept(self, measured: float) -> bool:
        """Whether the promise is kept: no larger file, or no less quality, than the target allows."""

    @abstractmethod
    def step(self, measured: float) -> float:
        """Return by how much the logarithm of lambda should grow to reach the target."""

    @abstractmethod
    def estimator(self, fit: Fit, now: Loss) -> Callable[[Loss, float], float]:
        """Return a function that estimates what a file will have, from its loss and the bits of its weights.

        now: the loss of the fit as it is.
        """

    @property
    @abstractmethod
    def least_lambda(self) -> float:
        """The least lambda from which a fit starts."""

    def usual_lambda(self, tune: str) -> float | None:
        """Return the lambda with which a fit starts, or None where first guesses tell more."""
        return None

    @abstractmethod
    def distance(self, measured: float) -> str:
        """Return the sentence to the user for a promise that is kept by more than it need be."""

    @abstractmethod
    def refusal(self, measured: float) -> TargetError:
        """Return the error for a target that is out of reach. measured: the nearest that was found."""


@dataclass(frozen=True)
class SizeTarget(Target):
    """A target for the size of a file.

    bytes:    size of the file in bytes. The file is never larger, and at most 3 % smaller.
    overhead: bytes of the file that no lambda changes: header, metadata and alpha.
    """

    bytes: int
    overhead: int = 0
    saves: ClassVar[bool] = False
    least_lambda: ClassVar[float] = LAMBDAS[0]

    def __post_init__(self) -> None:
        """Raise `TargetError` if the overhead alone is too much."""
        if self.overhead >= FILLED * self.bytes:
            raise TargetError(
                f"The file cannot be made to fit into {self.bytes:,} bytes: header, metadata and alpha alone take "
                f"about {self.overhead:,}."
            )

    def met(self, measured):
        return LEAST_FILLED * self.bytes <= measured <= self.bytes

    def kept(self, measured):
        return measured <= self.bytes

    def step(self, measured):
        return log(max(1, measured - self.overhead) / (FILLED * self.bytes - self.overhead)) / SIZE_SLOPE

    def estimator(self, fit, now):
        return lambda loss, weight_bits: (loss.bits + weight_bits) / 8 + self.overhead

    def distance(self, measured):
        return f"the file has {measured:,} of the {self.bytes:,} bytes that it may have; nothing nearer was found."

    def refusal(self, measured):
        return TargetError(
            f"The picture cannot be made to fit into {self.bytes:,} bytes; the nearest that was found has about "
            f"{measured:,.0f}."
        )


@dataclass(frozen=True)
class PsnrTarget(Target):
    """A target for the PSNR of the decoded picture in dB: never less, and at most 0.1 dB more."""

    psnr: float

    def met(self, measured):
        return self.psnr <= measured <= self.psnr + 0.1

    def kept(self, measured):
        return measured >= self.psnr

    def step(self, measured):
        return (measured - self.psnr - 0.05) * log(10) / 10 / PSNR_SLOPE

    def estimator(self, fit, now):
        return lambda loss, weight_bits: -10 * log10(max(loss.mse / fit.share, 1e-12))

    @property
    def least_lambda(self):
        """The distortion of that PSNR.

        Photographs end with a distortion of a tenth of lambda to 0.8 of it. The first guess tells little about how far
        a smooth picture gets.
        """
        return min(LAMBDAS[1], 10 ** (-self.psnr / 10))

    def distance(self, measured):
        return (
            f"the picture has a PSNR of {measured:.2f} dB where {self.psnr:g} dB were asked for; nothing nearer was "
            "found."
        )

    def refusal(self, measured):
        return TargetError(
            f"A PSNR of {self.psnr:g} dB cannot be reached; the nearest that was found is about {measured:.2f} dB."
        )


@dataclass(frozen=True)
class Ssimulacra2Target(Target):
    """A target for the SSIMULACRA2 of the decoded picture.

    score:    it is never less, and at most 0.5 more.
    score_of: computes it for a picture, float32 (H, W, planes) in 0..1.
    """

    score: float
    score_of: Callable[[np.ndarray], float]
    least_lambda: ClassVar[float] = LAMBDAS[0]

    def usual_lambda(self, tune: str) -> float:
        """Return the lambda at which photographs have that score in the mean."""
        return _inside(SSIMULACRA2_AT * ((100 - self.score) / SSIMULACRA2_LACKS[tune]) ** (1 / SSIMULACRA2_SLOPE))

    def met(self, measured):
        return self.score <= measured <= self.score + 0.5

    def kept(self, measured):
        return measured >= self.score

    def step(self, measured):
        aim = min(self.score + 0.25, (self.score + 100) / 2)
        return log((100 - aim) / max(100 - measured, 0.01)) / SSIMULACRA2_SLOPE

    def estimator(self, fit, now):
        # A loss alone tells little: pictures of one distortion differ by ten points and more.
        lacks = 100 - self.score_of(fit.picture())
        return lambda loss, weight_bits: 100 - lacks * (loss.distortion / now.distortion) ** SSIMULACRA2_POWER

    def distance(self, measured):
        return (
            f"the picture has an SSIMULACRA2 of {measured:.1f} where {self.score:g} was asked for; nothing nearer was "
            "found."
        )

    def refusal(self, measured):
        return TargetError(
            f"An SSIMULACRA2 of {self.score:g} cannot be reached; the nearest that was found is about {measured:.1f}."
        )


def first_step(target: Target, fit: Fit, steps: int) -> float:
    """Estimate by how much the logarithm of lambda should grow, from the first guess of a fit.

    steps: the steps that the fit will have. Their effect is `FIT_GAINS` and `FIT_LEAVES`.
    """
    loss = fit.evaluate()
    gain = 10 ** (-FIT_GAINS / 10)
    ended = Loss(loss.distortion * gain, loss.bits * FIT_LEAVES, loss.mse * gain)
    return target.step(target.estimator(fit, loss)(ended, _weight_bits(fit, steps)))


def first_lambda(target: Target, lambdas: Sequence[float], steps: Sequence[float]) -> float:
    """Return the lambda at which a fit starts, interpolated between the first guesses of the bases.

    lambdas: those of the bases. steps: the `first_step` at each of them.
    """
    # A step falls as lambda grows, and the start is where it crosses zero. Guesses may break that order a little.
    order = np.argsort(lambdas)
    logs, falling = np.log(np.array(lambdas))[order], np.minimum.accumulate(np.array(steps)[order])
    if falling[0] <= 0:
        wished = logs[0] + falling[0]
    elif falling[-1] >= 0:
        wished = logs[-1] + falling[-1]
    else:
        wished = np.interp(0, -falling, logs)
    return max(target.least_lambda, _inside(exp(wished)))


class Steering:
    """Moves the lambda of one fit while the loop runs.

    steps: the steps that the fit will have. code: octave -> float32 (planes, rows, columns) in code units, the code
    before the loop fixed it to integers; empty until then.
    """

    def __init__(self, fit: Fit, target: Target, steps: int) -> None:
        self._fit, self._target, self._steps = fit, target, steps
        self.code: Code = {}
        self._looks = list(LOOKS)
        self._unanswered, self._moved_at = 0.0, 0.0

    def look(self, share: float) -> None:
        """Move lambda if a look is due. The loop calls this before each step, with the share of the fit that is done.

        Raises `TargetError` if no lambda comes near the target.
        """
        if not self._looks or share < self._looks[0].share:
            return
        while self._looks and share >= self._looks[0].share:
            look = self._looks.pop(0)
        loss, weights = self._fit.evaluate(), _weight_bits(self._fit, self._steps)
        estimated = self._target.estimator(self._fit, loss)
        least, measured, most = (
            estimated(_ended(loss, look, doubt, self._fit.pixels), weights) for doubt in (-look.doubt, 0.0, look.doubt)
        )
        step = _surely(self._target.step(least), self._target.step(most))
        before = self._fit.lambda_
        self._unanswered *= exp(-(share - self._moved_at) * self._steps / ANSWERED)
        self._fit.lambda_ = _inside(before * exp(min(MOST_MOVE, max(-MOST_MOVE, GAIN * (step - self._unanswered)))))
        self._unanswered, self._moved_at = self._unanswered + log(self._fit.lambda_ / before), share
        stuck = before in LAMBDAS and self._fit.lambda_ == before
        if share > HOPELESS and stuck and abs(step) > FAR and not self._target.kept(measured):
            raise self._target.refusal(measured)

    def keep_code(self) -> None:
        """Keep a copy of the code before it is fixed."""
        self.code = self._fit.real_code()


def _ended(loss, look, doubt, pixels):
    """Estimate the loss at the end of a fit whose lambda stays, from the loss at a `Look`."""
    bits = (loss.bits - look.surplus * (1 + doubt) * pixels) / (1 + RATE_SURPLUS * max(0.0, 1 - look.share / SETTLED))
    gain = 10 ** (-look.missing * (1 + doubt) / 10)
    return Loss(loss.distortion * gain, max(bits, (1 - MOST_SURPLUS) * loss.bits), loss.mse * gain)


def _surely(one, other):
    """Return the shorter of two steps in one direction, or 0 if their directions differ."""
    return min(one, other, key=abs) if one * other > 0 else 0.0


def _weight_bits(fit, steps):
    return weight_bits(fit, trials_for(steps, fit.pixels))


def _inside(lambda_):
    return min(LAMBDAS[1], max(LAMBDAS[0], lambda_))


class Corrected(NamedTuple):
    """The best attempt that keeps the promise.

    coded:    its `CodedImage`.
    lambda_:  the lambda at which it was found.
    steps:    steps after the fit, of all attempts.
    measured: what the target limits: its bytes, PSNR in dB, or SSIMULACRA2.
    """

    coded: CodedImage
    lambda_: float
    steps: int
    measured: float


def correct(
    fit: Any,
    code: Code,
    as_coded: Callable[[], CodedImage],
    target: Target,
    measure: Callable[[CodedImage], float],
    moves: int,
    most: int,
    is_over: Callable[[], bool],
    progress: Callable[[Progress], None] | None,
) -> Corrected:
    """Bring a frozen fit to the target, and return the best attempt that keeps the promise.

    An attempt moves single integers of the code at lambdas that lead to the target. Where the target is too far away,
    the code first takes more steps, from what it was before it was rounded.

    fit:      a `SearchableFit` that is its own engine, since it also takes steps. Its weights are integers.
    code:     octave -> (planes, rows, columns) in code units, the code that `Steering` kept.
    as_coded: makes the `CodedImage` of the fit as it is.
    measure:  measures what the target limits of the real file of a `CodedImage`.
    moves:    measurements for the moves in each attempt.
    most:     steps after which a promise that is kept need not be kept any nearer.
    is_over:  whether the time is over.
    progress: called with a `Progress` after each measurement of the moves.

    Raises `TargetError` if no attempt keeps the promise.
    """
    attempts = _Attempts(fit, as_coded, target, measure)
    pace, origin, moves = _Pace(EAGER, EAGEREST), log(fit.lambda_), max(moves, LEAST_MOVES)
    # An attempt goes on beyond its time only until the promise is kept at all.
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
        # The moves need lambda itself: for the further steps it was set beyond that.
        fit.lambda_ = _inside(exp(origin))
        if attempts.is_near and not is_enough():
            _move_nearer(fit, attempts, moves, is_enough, progress)
        if target.met(attempts.measured) or is_enough():
            break
    if attempts.best is None:
        raise attempts.refusal()
    return attempts.best._replace(steps=attempts.done)


def _move_nearer(fit, attempts, moves, is_enough, progress):
    # Moves that pay at this lambda make the file smaller at the same PSNR. A file that is too small already has no use
    # for them.
    pays = attempts.step > 0 or attempts.target.saves and attempts.target.met(attempts.measured)
    pace = _Pace(EAGER_MOVES, EAGEREST_MOVES)
    for attempt in range(MOVE_ROUNDS):
        if attempt or not pays:
            if attempts.target.met(attempts.measured) or is_enough():
                return
            pace.move_lambda(fit, log(fit.lambda_), attempts.step)
        improve(fit, moves, is_over=is_enough, progress=progress)
        attempts.look()


class _Pace:
    """The factor of steps of lambda, halved after a step that was too long, doubled after one that was too short.

    stuck: moves in a row that ended at one end of `LAMBDAS` though the target lies beyond it.
    """

    def __init__(self, eager, eagerest):
        self._eager, self._eagerest, self._before, self.stuck = eager, eagerest, 0.0, 0

    def move_lambda(self, fit, origin, step):
        """Set lambda to a step beyond `origin`, a logarithm of lambda."""
        self._eager = min(
            self._eagerest, self._eager * (0.5 if step * self._before < 0 else 2 if step * self._before > 0 else 1)
        )
        self._before = step
        fit.lambda_ = _inside(exp(origin + max(-MOST_EAGER, min(MOST_EAGER, self._eager * step))))
        self.stuck = self.stuck + 1 if _inside(fit.lambda_ * exp(step)) == fit.lambda_ else 0


class _Attempts:
    """The attempts after a fit.

    best:     the best `Corrected` that keeps the promise, or None.
    measured: what the target limits, of the last attempt.
    step:     by how much the logarithm of lambda should still grow.
    done:     steps of all attempts.
    """

    def __init__(self, fit, as_coded, target, measure):
        self._fit, self._as_coded, self._measure, self.target = fit, as_coded, measure, target
        self.best: Corrected | None = None
        self.done = 0
        self._best_step = self._nearest_step = float("inf")
        self.look()

    @property
    def is_near(self):
        return -BELOW <= self.step <= ABOVE

    def look(self):
        """Measure the fit as it is, and keep it if it is the best."""
        coded = self._as_coded()
        self.measured = self._measure(coded)
        self.step = self.target.step(self.measured)
        if abs(self.step) < self._nearest_step:
            self._nearest_step, self._nearest = abs(self.step), self.measured
        # Of two attempts that meet the target the later one is better: it has had more moves that pay.
        if self.target.met(self.measured) or self.target.kept(self.measured) and abs(self.step) < self._best_step:
            self._best_step, self.best = abs(self.step), Corrected(coded, self._fit.lambda_, self.done, self.measured)

    def more_steps(self):
        """Take more steps of the code, the more the farther the target is, and measure the fit."""
        steps = round(MORE_STEPS * min(MOST_TIMES, 1 + abs(self.step) / NEAR))
        for k in range(steps):
            self._fit.step(point_after(k / steps))
        self.done += steps
        self.look()

    def refusal(self):
        return self.target.refusal(self._nearest)

"""From pictures to `CodedImage`: an engine with the memory that there is, the loop, a second try for a lost picture,
the freeze.
"""

import gc
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from time import monotonic
from typing import NamedTuple

from ..errors import LimitError, ShortMemoryError
from ..format.arch import base_arch
from ..format.coded import CodedImage
from ..machine import available_memory, memory_text
from ..picture import peak_of
from ..presets import base_lambdas, nearest_base
from ..surroundings import usual_torch
from .descent.loop import run, run_for_mean
from .descent.schedule import betas_for
from .descent.start import plain_output
from .engine import Kind, device_of, kind_for, make, memory_errors, memory_of, prepare, torch_for
from .freeze.moves import improve, measurements_for
from .freeze.search import freeze, real_weights, trials_for
from .target import LEAST_MOST, Steering, Target, correct, first_lambda, first_step

FIT_SHARE, FREEZE_SHARE, MOVES_SHARE = 0.75, 0.4, 0.4
"""Of the time that is left; what is then left is for packing and checking."""


def fit_pictures(
    pictures,
    arches,
    lambdas,
    *,
    iterations,
    goals=None,
    knowns=None,
    time_limit=None,
    device="auto",
    threads=None,
    max_memory=0,
    normalise=False,
    seed=0,
    progress=None,
    say=None,
):
    """Fit pictures (uint8 or uint16 (H, W, planes)), each with its `Arch` and lambda; on a GPU all at once, or as many
    as its memory holds.

    arches: alike but for their bases. goals: a `Goal` or None for each; where there is one, its lambda is only where
    the fit begins. knowns: bool (H, W), the pixels whose errors count, or None for each. time_limit: seconds for all.
    max_memory: bytes that a fit on the CPU may take; 0 for what is free. progress: called with `loop.Progress`. say:
    called with sentences to the user. Returns for every picture its `Fitted`. Raises `UsageError`, `ShortMemoryError`,
    `LimitError`, `TargetError`.
    """
    say, goals, knowns = (
        say or (lambda sentence: None),
        goals or [None] * len(pictures),
        knowns or [None] * len(pictures),
    )
    device, clock = device_of(device), _Clock(time_limit)
    results, together = [], 1 if device == "cpu" or normalise else len(pictures)
    while len(results) < len(pictures):
        group = slice(len(results), len(results) + together)
        kind = kind_for(arches[0], device, normalise=normalise, threads=threads)
        if kind.note and not results:
            say(kind.note)
        share = clock.part(1 / -(-(len(pictures) - len(results)) // together))
        failed = False
        try:
            with _own_state(kind):
                job = _Job(kind, iterations, share, normalise, threads, max_memory, progress, say)
                results += job.fit(*(list(each[group]) for each in (pictures, arches, lambdas, goals, knowns)), seed)
        except memory_errors():
            failed = True
        # Outside of the clause, where the failed engine is gone with the exception.
        if failed:
            device, together = _smaller(kind, arches[0], together, say)
    return results


def lambda_for(picture, target, *, iterations, known=None, device="auto", threads=None, max_memory=0, say=None):
    """The lambda at which a fit of a picture (uint8 or uint16 (H, W, planes)) towards a target begins. known: bool (H,
    W), the pixels whose errors count, or None. Raises `UsageError`, `ShortMemoryError`, `LimitError`.
    """
    device_of(device)
    height, width, planes = picture.shape
    kind = kind_for(base_arch(width, height, planes), "cpu", threads=threads)
    _check_memory(kind, base_arch(width, height, planes), max_memory)
    prepare(kind, base_arch(width, height, planes), say)

    def step_of(index, lambda_):
        # An engine is gone before the next is made.
        return first_step(
            target,
            make(kind, [picture], [base_arch(width, height, planes, 1 + index)], [lambda_], knowns=[known]).fits[0],
            iterations,
        )

    with _own_state(kind):
        try:
            return first_lambda(target, base_lambdas(), [step_of(*each) for each in enumerate(base_lambdas())])
        except MemoryError:
            raise _short(base_arch(width, height, planes)) from None


def fit_samples(
    picture, lambda_, *, iterations, known=None, seconds=None, threads=None, seed=0, progress=None, say=None
):
    """What a picture (uint8 (H, W, planes)) is in the mean while it is fitted at a lambda, without making a file of it:
    float32 (H, W, planes) in 0..1. On the CPU.

    known: bool (H, W), True where pixels count; what the others become is then the network's own.
    progress: called after every step with a `loop.Progress`. Raises `ShortMemoryError`.
    """
    arch = base_arch(*picture.shape[1::-1], picture.shape[2], nearest_base(lambda_))
    kind = kind_for(arch, "cpu", threads=threads)
    _check_memory(kind, arch)
    prepare(kind, arch, say)

    with _own_state(kind):
        try:
            engine = make(kind, [picture], [arch], [lambda_], betas=betas_for(iterations), seed=seed, knowns=[known])
            (fit,) = engine.fits
            _plain_start(fit, picture)
            return run_for_mean(engine, iterations, seconds=seconds, progress=progress)
        except MemoryError:
            raise _short(arch) from None


@dataclass(frozen=True)
class Goal:
    """target: what a file is to be. measure: a function from a `CodedImage` to what the target is about."""

    target: Target
    measure: Callable


class Fitted(NamedTuple):
    """coded has no checksum yet."""

    coded: CodedImage
    lambda_: float
    steps: int
    device: str


class _Clock:
    """What is left of a number of seconds, or None for no limit."""

    def __init__(self, seconds):
        self._end = None if seconds is None else monotonic() + seconds

    def left(self, share=1.0):
        """Seconds, at least 0, or None."""
        return None if self._end is None else max(0.0, share * (self._end - monotonic()))

    def part(self, share):
        """A clock for a share of what is left."""
        return _Clock(self.left(share))


@dataclass(frozen=True)
class _Job:
    """How the pictures of a group are fitted."""

    kind: Kind
    iterations: int
    clock: _Clock
    normalise: bool
    threads: int | None
    max_memory: int
    progress: Callable | None
    say: Callable

    def fit(self, pictures, arches, lambdas, goals, knowns, seed):
        """[`Fitted`] of as many pictures as the engine takes at once."""
        _check_memory(self.kind, arches[0], self.max_memory)
        prepare(self.kind, arches[0], self.say)
        engine = self._engine(self.kind, pictures, arches, lambdas, knowns, seed)
        if self.clock.left() == 0.0:
            self.say("Note: the time limit was over before the fit could begin; the file is that of one step.")
        steps, collapsed, codes = self._run(engine, goals, FIT_SHARE)
        results, todo = [None] * len(pictures), len(pictures)
        for index, fit in enumerate(engine.fits):
            if index not in collapsed:
                results[index] = self._frozen(fit, pictures[index], goals[index], codes[index], todo, steps)
                todo -= 1
        # Before another engine is made, this one's memory is needed.
        del engine, fit
        for index in collapsed:
            # Once more from another start, a base's is always the same; what comes out then is taken.
            engine = self._engine(
                self.kind,
                [pictures[index]],
                [replace(arches[index], base=0)],
                [lambdas[index]],
                [knowns[index]],
                seed + 1,
            )
            steps, _, again = self._run(engine, [goals[index]], FIT_SHARE / todo, may_collapse=True)
            results[index] = self._frozen(engine.fits[0], pictures[index], goals[index], again[0], todo, steps)
            todo -= 1
            del engine
        if self.kind.device != "cpu":
            # An engine on a GPU is part of a cycle.
            gc.collect()
        return results

    def _run(self, engine, goals, share, **options):
        """What `loop.run` gives, and for each fit with a goal its code before it was rounded."""
        steerings = [goal and Steering(fit, goal.target, self.iterations) for fit, goal in zip(engine.fits, goals)]
        done = run(
            engine,
            self.iterations,
            seconds=self.clock.left(share),
            progress=self.progress,
            steerings=[s for s in steerings if s],
            **options,
        )
        return *done, [steering and steering.code for steering in steerings]

    def _engine(self, kind, pictures, arches, lambdas, knowns, seed):
        engine = make(
            kind,
            pictures,
            arches,
            lambdas,
            betas=betas_for(self.iterations, nimble=bool(arches[0].base)),
            normalise=self.normalise,
            seed=seed,
            knowns=knowns,
        )
        engine.warm_up()
        if kind.name != "cuda graph":
            for fit in engine.fits:
                _plain_start(fit, pictures[0])
        return engine

    def _frozen(self, fit, picture, goal, real_code, todo, steps):
        """A fit as integers, which reach the goal if there is one.

        The search for them asks for one loss after the other, which keeps a GPU waiting: a CPU's engine is asked.
        """
        arch = fit.arch
        if self.kind.name == "cuda graph":
            weights, code, known, kind = (
                fit.weights(),
                fit.rounded_code(),
                fit.known,
                kind_for(arch, "cpu", threads=self.threads),
            )
            try:
                prepare(kind, arch, self.say)
                (fit,) = self._engine(kind, [picture], [arch], [fit.lambda_], [known], 0).fits
            except MemoryError:
                raise _short(arch) from None
            fit.take(weights, code)

        tensors = freeze(
            fit, trials_for(steps, fit.pixels), seconds=self.clock.left(FREEZE_SHARE / todo), progress=self.progress
        )

        def as_coded():
            return CodedImage(
                arch, tensors, {octave: planes.astype("int64") for octave, planes in fit.rounded_code().items()}
            )

        fit.take(real_weights(arch, tensors), {})
        if not goal and all(arch.code_planes(octave) == 1 for octave in range(arch.octaves)):
            limit = self.clock.part(MOVES_SHARE / todo)
            improve(fit, measurements_for(steps), is_over=lambda: limit.left() == 0.0, progress=self.progress)
        coded, lambda_ = as_coded(), fit.lambda_
        if goal:
            limits = measurements_for(steps), max(steps, LEAST_MOST), lambda: self.clock.left() == 0.0
            coded, lambda_, more, measured = correct(
                fit, real_code, as_coded, goal.target, goal.measure, *limits, self.progress
            )
            steps += more
            if not goal.target.met(measured):
                self.say(f"Note: {goal.target.distance(measured)}")
        return Fitted(coded, lambda_, steps, self.kind.device)


def _plain_start(fit, picture):
    """Begin with the picture's mean and no code where that is better than a base's first guess: in plain pictures."""
    loss = fit.evaluate()
    if fit.arch.base and fit.variance < loss.distortion + fit.lambda_ * loss.bits / fit.pixels:
        weights = fit.weights()
        counted = picture.reshape(-1, picture.shape[2]) if fit.known is None else picture[fit.known]
        bias = weights["output.bias"] + counted.mean(0) / peak_of(picture) - plain_output(fit.arch, weights)
        fit.take(
            {"output.bias": bias.astype("float32")},
            {octave: 0 * planes for octave, planes in fit.rounded_code().items()},
        )


def _short(arch):
    return ShortMemoryError(
        f"There is not enough memory to fit a picture of {arch.width}x{arch.height} pixels on the CPU."
    )


def _smaller(kind, arch, together, say):
    """Where to go on when memory was short: the device, and how many fits at once."""
    if kind.device == "cpu":
        raise _short(arch)
    gc.collect()
    sys.modules["torch"].cuda.empty_cache()
    if together > 1:
        say(
            f"Note: the memory of {kind.device} is too small for {together} fits at once; going on with "
            f"{-(-together // 2)}."
        )
        return kind.device, -(-together // 2)
    say(
        f"Warning: the memory of {kind.device} is too small for {arch.width}x{arch.height} pixels; going on on the "
        "CPU, which is slower."
    )
    return "cpu", 1


def _check_memory(kind, arch, most=0):
    if kind.device != "cpu":
        return
    free, needed = available_memory(), memory_of(kind, arch)
    if most and needed > most:
        raise LimitError(
            f"Fitting {arch.width}x{arch.height} pixels needs about {memory_text(needed)} of memory, above the limit "
            f"of {memory_text(most)} (--max-memory)."
        )
    if free is not None and needed > free:
        raise ShortMemoryError(
            f"Fitting {arch.width}x{arch.height} pixels needs about {memory_text(needed)} of memory; "
            f"{memory_text(free)} are free."
        )


def _own_state(kind):
    """In which an engine of a kind is made and works."""
    return nullcontext() if kind.name == "numba" else usual_torch(torch_for("This fit"), kind.threads)

"""From pictures to `CodedImage`: an engine with the memory that there is, the loop, a second try for a lost picture,
the freeze.
"""

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import NamedTuple

from ..errors import LimitError, ShortMemoryError
from ..format.arch import base_arch
from ..format.coded import CodedImage
from ..machine import available_memory, memory_text
from ..picture import peak_of
from ..presets import base_lambdas, nearest_base
from .descent.loop import run, run_for_mean
from .descent.schedule import betas_for
from .descent.start import plain_output
from .descent.task import FitTask
from .engine import Kind, device_of, kind_for, memory_errors, unused_gpu
from .freeze.moves import improve, measurements_for
from .freeze.search import freeze, real_weights, trials_for
from .target import LEAST_MOST, Steering, correct, first_lambda, first_step

FIT_SHARE, FREEZE_SHARE, MOVES_SHARE = 0.75, 0.4, 0.4
"""Of the time that is left; what is then left is for packing and checking."""


@dataclass(frozen=True)
class FitSettings:
    """What all pictures of a fit share.

    iterations: steps. time_limit: seconds for all pictures. device: "auto", "cpu", "cuda" or "cuda:N". threads: of the
    CPU; None for as many as are useful. max_memory: bytes that a fit on the CPU may take; 0 for what is free.
    normalise: with channel normalisation.
    """

    iterations: int
    time_limit: float | None = None
    device: str = "auto"
    threads: int | None = None
    max_memory: int = 0
    normalise: bool = False
    seed: int = 0


def fit_pictures(tasks, settings, *, progress=None, say=None):
    """Fit the pictures of some `FitTask`s; on a GPU all at once, or as many as its memory holds.

    Their architectures are alike but for their bases. progress: called with `descent.progress.Progress`. say: called
    with sentences to the user. Returns the `Fitted` of each task. Raises `UsageError`, `ShortMemoryError`,
    `LimitError`, `TargetError`.
    """
    say = say or (lambda sentence: None)
    device, clock = device_of(settings.device), _Clock(settings.time_limit)
    note = unused_gpu(settings.device)
    if note:
        _say_once(say, note)
    results, together = [], 1 if device == "cpu" or settings.normalise else len(tasks)
    while len(results) < len(tasks):
        group = tasks[len(results) : len(results) + together]
        kind = kind_for(group[0].arch, device, normalise=settings.normalise, threads=settings.threads)
        share = clock.part(1 / -(-(len(tasks) - len(results)) // together))
        failed = False
        try:
            with kind.state():
                if kind.note and not results:
                    say(kind.note)
                results += _Job(kind, settings, share, progress, say).fit(group)
        except memory_errors():
            failed = True
        # Outside of the clause, where the failed engine is gone with the exception.
        if failed:
            device, together = _smaller(kind, group[0].arch, together, say)
    return results


def lambda_for(task, settings, *, say=None):
    """The lambda at which a fit towards the goal of a task begins.

    Raises `UsageError`, `ShortMemoryError`, `LimitError`.
    """
    device_of(settings.device)
    height, width, planes = task.picture.shape
    arch = base_arch(width, height, planes)
    kind = kind_for(arch, "cpu", threads=settings.threads)
    _check_memory(kind, arch, settings.max_memory)
    kind.prepare(arch, say)

    def step_of(index, lambda_):
        # An engine is gone before the next is made.
        first = replace(task, arch=base_arch(width, height, planes, 1 + index), lambda_=lambda_)
        return first_step(task.goal.target, kind.make([first]).fits[0], settings.iterations)

    with kind.state():
        try:
            steps = [step_of(*each) for each in enumerate(base_lambdas())]
        except MemoryError:
            raise _short(arch) from None
    return first_lambda(task.goal.target, base_lambdas(), steps)


def fit_samples(picture, lambda_, settings, *, known=None, progress=None, say=None):
    """The mean of what a picture is while it is fitted at a lambda: float32 (H, W, planes) in 0..1. No file is made.

    The fit is on the CPU. picture: uint8 (H, W, planes). known: bool (H, W), the pixels whose errors count, or None;
    the others become what the network makes of them. progress: called with `descent.progress.Progress`.
    Raises `ShortMemoryError`.
    """
    arch = base_arch(*picture.shape[1::-1], picture.shape[2], nearest_base(lambda_))
    kind = kind_for(arch, "cpu", threads=settings.threads)
    _check_memory(kind, arch)
    kind.prepare(arch, say)
    task = FitTask(picture, arch, lambda_, known=known)
    with kind.state():
        try:
            engine = kind.make([task], betas=betas_for(settings.iterations), seed=settings.seed)
            (fit,) = engine.fits
            _plain_start(fit, picture)
            return run_for_mean(engine, settings.iterations, seconds=settings.time_limit, progress=progress)
        except MemoryError:
            raise _short(arch) from None


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
    settings: FitSettings
    clock: _Clock
    progress: Callable | None
    say: Callable

    def fit(self, tasks):
        """[`Fitted`] of as many pictures as the engine takes at once."""
        _check_memory(self.kind, tasks[0].arch, self.settings.max_memory)
        self.kind.prepare(tasks[0].arch, self.say)
        engine = self._engine(self.kind, tasks, self.settings.seed)
        if self.clock.left() == 0.0:
            self.say("Note: the time limit was over before the fit could begin; the file is that of one step.")
        steps, collapsed, codes = self._run(engine, tasks, FIT_SHARE)
        results, todo = [None] * len(tasks), len(tasks)
        for index, fit in enumerate(engine.fits):
            if index not in collapsed:
                results[index] = self._frozen(fit, tasks[index], codes[index], todo, steps)
                todo -= 1
        # Before another engine is made, this one's memory is needed.
        del engine, fit
        for index in collapsed:
            # Once more from another start, a base's is always the same; what comes out then is taken.
            task = replace(tasks[index], arch=replace(tasks[index].arch, base=0))
            engine = self._engine(self.kind, [task], self.settings.seed + 1)
            steps, _, codes = self._run(engine, [task], FIT_SHARE / todo, may_collapse=True)
            results[index] = self._frozen(engine.fits[0], task, codes[0], todo, steps)
            todo -= 1
            del engine
        if self.kind.device != "cpu":
            # An engine on a GPU is part of a cycle.
            gc.collect()
        return results

    def _run(self, engine, tasks, share, **options):
        """What `loop.run` gives, and for each fit with a goal its code before it was rounded."""
        steerings = [
            task.goal and Steering(fit, task.goal.target, self.settings.iterations)
            for fit, task in zip(engine.fits, tasks)
        ]
        done = run(
            engine,
            self.settings.iterations,
            seconds=self.clock.left(share),
            progress=self.progress,
            steerings=[s for s in steerings if s],
            **options,
        )
        return *done, [steering and steering.code for steering in steerings]

    def _engine(self, kind, tasks, seed):
        betas = betas_for(self.settings.iterations, nimble=bool(tasks[0].arch.base))
        engine = kind.make(tasks, betas=betas, seed=seed, say=self.say)
        engine.warm_up()
        if kind.is_searchable:
            for fit, task in zip(engine.fits, tasks):
                _plain_start(fit, task.picture)
        return engine

    def _frozen(self, fit, task, real_code, todo, steps):
        """A fit as integers, which reach the goal if there is one.

        The search for them asks for one loss after the other, which keeps a GPU waiting: a CPU's engine is asked.
        """
        arch, goal = fit.arch, task.goal
        if not self.kind.is_searchable:
            weights, code = fit.weights(), fit.rounded_code()
            task, kind = replace(task, lambda_=fit.lambda_), kind_for(arch, "cpu", threads=self.settings.threads)
            try:
                kind.prepare(arch, self.say)
                (fit,) = self._engine(kind, [task], 0).fits
            except MemoryError:
                raise _short(arch) from None
            fit.take(weights, code)

        tensors = freeze(
            fit, trials_for(steps, fit.pixels), seconds=self.clock.left(FREEZE_SHARE / todo), progress=self.progress
        )

        def as_coded():
            code = {octave: planes.astype("int64") for octave, planes in fit.rounded_code().items()}
            return CodedImage(arch, tensors, code)

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
    free, needed = available_memory(), kind.memory_of(arch)
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


_SAID = set()


def _say_once(say, sentence):
    """Say a sentence to the user of this process, but only the first time."""
    if sentence not in _SAID:
        _SAID.add(sentence)
        say(sentence)

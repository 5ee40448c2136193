"""The fit, from pictures to `CodedImage`.

It makes an engine that the free memory allows, runs the loop, tries a collapsed fit again, and freezes.
"""

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from ..errors import LimitError, ShortMemoryError
from ..format.arch import base_arch
from ..format.coded import CodedImage
from ..machine import available_memory, memory_text
from ..picture import peak_of
from ..presets import bases_for, nearest_base
from .descent.loop import run, run_for_mean
from .descent.progress import Progress
from .descent.schedule import betas_for
from .descent.start import plain_output
from .descent.task import FitTask
from .engine import Kind, device_of, kind_for, memory_errors, unused_gpu
from .freeze.headroom import with_headroom
from .freeze.moves import improve, measurements_for
from .freeze.search import freeze, real_weights, trials_for
from .target import LEAST_MOST, Steering, correct, first_lambda, first_step

FIT_SHARE = 0.75
"""Share of a time limit that the loop may take."""
FREEZE_SHARE = 0.4
"""Share of the time left after the loop that the freeze may take."""
MOVES_SHARE = 0.4
"""Share of the time left after the freeze that the moves may take. The rest is for packing and checking."""


@dataclass(frozen=True)
class FitSettings:
    """The settings that all pictures of a fit share.

    iterations: the number of steps, at least 1.
    time_limit: seconds for all pictures, or None.
    device:     "auto", "cpu", "cuda" or "cuda:N".
    threads:    threads of the CPU, or None for as many as are useful.
    max_memory: bytes that a fit on the CPU may take, or 0 for all that are free.
    normalise:  fit with channel normalisation.
    seed:       seed of the random start and of the noise.
    """

    iterations: int
    time_limit: float | None = None
    device: str = "auto"
    threads: int | None = None
    max_memory: int = 0
    normalise: bool = False
    seed: int = 0


class Fitted(NamedTuple):
    """The result of a fit.

    coded:   the picture as integers, without checksum and chunks.
    lambda_: the lambda of the end of the fit.
    steps:   steps that were taken, those after the fit included.
    device:  "cpu" or "cuda:N".
    """

    coded: CodedImage
    lambda_: float
    steps: int
    device: str


def fit_pictures(
    tasks: Sequence[FitTask],
    settings: FitSettings,
    *,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Fitted]:
    """Fit the pictures of some tasks, on a GPU all at once, or as many as its memory holds.

    Returns the `Fitted` of each task, in the order of the tasks.

    tasks:    their architectures must be alike but for their bases.
    progress: called with a `Progress` after every step.
    say:      called with sentences to the user.

    Raises `DdcError`, `UsageError`, `ShortMemoryError`, `LimitError`, `TargetError`.
    """
    say = say or (lambda sentence: None)
    device, clock = device_of(settings.device), _Clock(settings.time_limit)
    note = unused_gpu(settings.device)
    if note:
        _say_once(say, note)
    results: list[Fitted] = []
    most = len(tasks)
    while len(results) < len(tasks):
        arch = tasks[len(results)].arch
        kind = kind_for(arch, device, normalise=settings.normalise, threads=settings.threads)
        together = most if kind.takes_many else 1
        # Copies, so that the forms of a group are free when the next begins.
        group = [replace(task) for task in tasks[len(results) : len(results) + together]]
        share = clock.part(1 / -(-(len(tasks) - len(results)) // together))
        failed = False
        try:
            with kind.state():
                if kind.note and not results:
                    say(kind.note)
                results += _Job(kind, settings, share, progress, say).fit(group)
        except memory_errors():
            failed = True
        # Not in the `except` clause: there the exception still holds the failed engine and its memory.
        if failed:
            device, most = _smaller(kind, arch, together, say)
    return results


def lambda_for(task: FitTask, settings: FitSettings, *, say: Callable[[str], None] | None = None) -> float:
    """Return the lambda at which a fit towards the goal of a task begins. The task must have a goal.

    Raises `DdcError`, `UsageError`, `ShortMemoryError`, `LimitError`.
    """
    assert task.goal is not None
    target = task.goal.target
    usual = target.usual_lambda(task.tune)
    if usual is not None:
        return usual
    device_of(settings.device)
    height, width, planes = task.picture.shape
    arch = base_arch(width, height, planes)
    lambdas = bases_for(task.tune)
    kind = kind_for(arch, "cpu", threads=settings.threads)
    _check_memory(kind, arch, settings.max_memory)

    def step_of(base, lambda_):
        # In a function, so that an engine's memory is free before the next engine is made.
        first = task.at(base_arch(width, height, planes, base), lambda_)
        return first_step(target, kind.make([first]).fits[0], settings.iterations)

    with kind.state():
        try:
            steps = [step_of(*each) for each in lambdas.items()]
        except MemoryError:
            raise _short(arch) from None
    return first_lambda(target, list(lambdas.values()), steps)


def fit_samples(
    picture: np.ndarray,
    lambda_: float,
    settings: FitSettings,
    *,
    known: np.ndarray | None = None,
    progress: Callable[[Progress], None] | None = None,
    aim: Callable[[np.ndarray], np.ndarray] | None = None,
    say: Callable[[str], None] | None = None,
) -> np.ndarray:
    """Fit a picture at a lambda, and return the mean of its pictures: float32 (H, W, planes) in 0..1.

    The fit is on the CPU, from the base of the nearest lambda. No file is made.

    picture:  uint8 (H, W, planes).
    known:    bool (H, W), the pixels whose errors count, or None for all. The network fills in the others.
    progress: called with a `Progress` after every step.
    aim:      see `fit.descent.loop.run_for_mean`.

    Raises `DdcError`, `ShortMemoryError`.
    """
    height, width, planes = picture.shape
    arch = base_arch(width, height, planes, nearest_base(lambda_, "psnr"))
    kind = kind_for(arch, "cpu", threads=settings.threads)
    _check_memory(kind, arch)
    task = FitTask(picture, arch, lambda_, known=known)
    with kind.state():
        try:
            engine = kind.make([task], betas=betas_for(settings.iterations), seed=settings.seed)
            (fit,) = engine.fits
            _plain_start(fit, picture)
            return run_for_mean(engine, settings.iterations, seconds=settings.time_limit, progress=progress, aim=aim)
        except MemoryError:
            raise _short(arch) from None


class _Clock:
    """A time limit of some seconds from now on, or None for no limit."""

    def __init__(self, seconds):
        self._end = None if seconds is None else monotonic() + seconds

    def left(self, share=1.0):
        """Return a share of the seconds that are left, at least 0, or None."""
        return None if self._end is None else max(0.0, share * (self._end - monotonic()))

    def part(self, share):
        """Return a clock for a share of the seconds that are left."""
        return _Clock(self.left(share))


@dataclass(frozen=True)
class _Job:
    """Fits the pictures of one group, all with one engine."""

    kind: Kind
    settings: FitSettings
    clock: _Clock
    progress: Callable[[Progress], None] | None
    say: Callable[[str], None]

    def fit(self, tasks: Sequence[FitTask]) -> list[Fitted]:
        """Fit as many pictures as the engine takes at once."""
        _check_memory(self.kind, tasks[0].arch, self.settings.max_memory)
        engine = self._engine(self.kind, tasks, self.settings.seed)
        if self.clock.left() == 0.0:
            self.say("Note: the time limit was over before the fit could begin; the file is that of one step.")
        steps, collapsed, codes = self._run(engine, tasks, FIT_SHARE)
        results: list[Any] = [None] * len(tasks)
        todo = len(tasks)
        for index, fit in enumerate(engine.fits):
            if index not in collapsed:
                results[index] = self._frozen(fit, tasks[index], codes[index], todo, steps)
                todo -= 1
        # The next engine needs the memory of this one.
        del engine, fit
        for index in collapsed:
            # Without a base, since a start from one is always the same. The second result is taken, whatever it is.
            task = tasks[index].at(replace(tasks[index].arch, base=0), tasks[index].lambda_)
            engine = self._engine(self.kind, [task], self.settings.seed + 1)
            steps, _, codes = self._run(engine, [task], FIT_SHARE / todo, may_collapse=True)
            results[index] = self._frozen(engine.fits[0], task, codes[0], todo, steps)
            todo -= 1
            del engine
        if self.kind.device != "cpu":
            # An engine on a GPU is part of a cycle of references.
            gc.collect()
        return results

    def _run(self, engine, tasks, share, **options):
        """Return the results of `loop.run`, and for each fit its code before it was rounded, if it has a goal."""
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
        """Turn a fit into integers that reach the goal, if there is one.

        The search measures one loss after the other, for which a GPU would mostly wait. So an engine of the CPU takes
        the fit over from a GPU.
        """
        arch, goal = fit.arch, task.goal
        if not self.kind.is_searchable:
            weights, code = fit.weights(), fit.rounded_code()
            task, kind = task.at(task.arch, fit.lambda_), kind_for(arch, "cpu", threads=self.settings.threads)
            try:
                (fit,) = self._engine(kind, [task], 0).fits
            except MemoryError:
                raise _short(arch) from None
            fit.take(weights, code)

        tensors = freeze(
            fit, trials_for(steps, fit.pixels), seconds=self.clock.left(FREEZE_SHARE / todo), progress=self.progress
        )

        def as_coded():
            code = {octave: planes.astype("int64") for octave, planes in fit.rounded_code().items()}
            return CodedImage(with_headroom(arch, code), tensors, code)

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
    """Start from the picture's mean and a code of zeros where a base's first guess is worse: in plain pictures."""
    loss = fit.evaluate()
    if fit.arch.base and fit.single_colour < loss.distortion + fit.lambda_ * loss.bits / fit.pixels:
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
    """Return the device on which to go on after memory was short, and the number of fits at once."""
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


_SAID: set[str] = set()


def _say_once(say, sentence):
    """Say a sentence to the user of this process, but only the first time."""
    if sentence not in _SAID:
        _SAID.add(sentence)
        say(sentence)

"""From pictures to `CodedImage`: an engine with the memory that there is, the loop, a second try for a lost picture, the freeze."""

import gc
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from time import monotonic

from ..arch import Arch
from ..coded import CodedImage
from ..errors import ShortMemoryError
from ..memory import available_memory
from .engine import Kind, device_of, kind_for, make, memory_errors, memory_of, prepare, torch_for
from .freeze import freeze
from .loop import run

FIT_SHARE, FREEZE_SHARE = 0.75, 0.6
"""Of the time that is left; what is then left is for packing and checking."""
COMPILING = "Compiling the fit for this processor; this happens once after an installation and takes some 20 seconds."
SECONDS_UNTIL_COMPILING_IS_SAID = 1.5


def fit_pictures(pictures, arch, lambdas, *, iterations, time_limit=None, device="auto", threads=None, normalise=False, seed=0, progress=None, say=None):
    """Fit pictures (uint8 (H, W, planes)) of one `arch`, each with its lambda; on a GPU all at once, or as many as its memory holds.

    time_limit: seconds for all. progress: called with `loop.Progress`. say: called with sentences to the user. Returns for every picture its
    `CodedImage` (without checksum), the number of steps and the device. Raises `UsageError`, `ShortMemoryError`.
    """
    say = say or (lambda sentence: None)
    device, clock = device_of(device), _Clock(time_limit)
    results, together = [], 1 if device == "cpu" or normalise else len(pictures)
    while len(results) < len(pictures):
        group = slice(len(results), len(results) + together)
        kind = kind_for(arch, device, normalise=normalise, threads=threads)
        if kind.note and not results:
            say(kind.note)
        share = clock.part(1 / -(-(len(pictures) - len(results)) // together))
        failed = False
        try:
            with _threads_kept(kind):
                job = _Job(kind, arch, iterations, share, normalise, threads, progress, say)
                results += job.fit(list(pictures[group]), list(lambdas[group]), seed)
        except memory_errors():
            failed = True
        # Outside of the clause, where the failed engine is gone with the exception.
        if failed:
            device, together = _smaller(kind, arch, together, say)
    return results


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
    arch: Arch
    iterations: int
    clock: _Clock
    normalise: bool
    threads: int | None
    progress: Callable | None
    say: Callable

    def fit(self, pictures, lambdas, seed):
        """[(`CodedImage`, steps, device)] of as many pictures as the engine takes at once."""
        _check_memory(self.kind, self.arch)
        _compile(self.kind, self.arch, self.say)
        engine = self._engine(self.kind, pictures, lambdas, seed)
        if self.clock.left() == 0.0:
            self.say("Note: the time limit was over before the fit could begin; the file is that of one step.")
        steps, collapsed = run(engine, self.iterations, seconds=self.clock.left(FIT_SHARE), progress=self.progress)
        results, todo = [None] * len(pictures), len(pictures)
        for index, fit in enumerate(engine.fits):
            if index not in collapsed:
                results[index] = self._frozen(fit, pictures[index], todo), steps, self.kind.device
                todo -= 1
        # Before another engine is made, this one's memory is needed.
        del engine, fit
        for index in collapsed:
            # Once more from another start; what comes out then is taken.
            engine = self._engine(self.kind, [pictures[index]], [lambdas[index]], seed + 1)
            steps, _ = run(engine, self.iterations, seconds=self.clock.left(FIT_SHARE / todo), progress=self.progress, may_collapse=True)
            results[index] = self._frozen(engine.fits[0], pictures[index], todo), steps, self.kind.device
            todo -= 1
            del engine
        if self.kind.device != "cpu":
            # An engine on a GPU is part of a cycle.
            gc.collect()
        return results

    def _engine(self, kind, pictures, lambdas, seed):
        engine = make(kind, pictures, self.arch, lambdas, normalise=self.normalise, seed=seed)
        engine.warm_up()
        return engine

    def _frozen(self, fit, picture, todo):
        """A fit as integers. The search for them asks for one loss after the other, which keeps a GPU waiting: a CPU's engine is asked."""
        code = fit.rounded_code()
        if self.kind.name == "cuda graph":
            weights, kind = fit.weights(), kind_for(self.arch, "cpu", threads=self.threads)
            try:
                _compile(kind, self.arch, self.say)
                (fit,) = self._engine(kind, [picture], [fit.lambda_], 0).fits
            except MemoryError:
                raise _short(self.arch) from None
            fit.take(weights, code)
        tensors = freeze(fit, seconds=self.clock.left(FREEZE_SHARE / todo), progress=self.progress)
        return CodedImage(self.arch, tensors, {octave: planes.astype("int64") for octave, planes in code.items()})


def _short(arch):
    return ShortMemoryError(f"There is not enough memory to fit a picture of {arch.width}x{arch.height} pixels on the CPU.")


def _smaller(kind, arch, together, say):
    """Where to go on when memory was short: the device, and how many fits at once."""
    if kind.device == "cpu":
        raise _short(arch)
    gc.collect()
    sys.modules["torch"].cuda.empty_cache()
    if together > 1:
        say(f"Note: the memory of {kind.device} is too small for {together} fits at once; going on with {-(-together // 2)}.")
        return kind.device, -(-together // 2)
    say(f"Warning: the memory of {kind.device} is too small for {arch.width}x{arch.height} pixels; going on on the CPU, which is slower.")
    return "cpu", 1


def _check_memory(kind, arch):
    free = available_memory() if kind.device == "cpu" else None
    if free is None:
        return
    needed = memory_of(kind, arch)
    if needed > free:
        raise ShortMemoryError(
            f"Fitting {arch.width}x{arch.height} pixels needs about {needed / 2**30:.1f} GiB of memory; {free / 2**30:.1f} GiB are free."
        )


def _compile(kind, arch, say):
    """Whoever waits is told why: kernels are compiled at their first use and kept on disk."""
    timer = Timer(SECONDS_UNTIL_COMPILING_IS_SAID, say, [COMPILING])
    timer.daemon = True
    timer.start()
    try:
        prepare(kind, arch)
    finally:
        timer.cancel()


@contextmanager
def _threads_kept(kind):
    """The number of torch's threads is the whole process's: what a fit sets is taken back."""
    if kind.name == "numba":
        yield
        return
    torch = torch_for("This fit")
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""From pictures to `CodedImage`: an engine with the memory that there is, the loop, a second try for a lost picture, the freeze."""

import sys
from contextlib import contextmanager
from threading import Timer
from time import monotonic

from ..coded import CodedImage
from ..errors import ShortMemoryError
from ..memory import available_memory
from .engine import device_of, kind_for, make, memory_of
from .freeze import freeze
from .loop import run

FIT_SHARE, FREEZE_SHARE = 0.75, 0.15
"""Of a time limit; what is left is for packing and checking."""
SECONDS_UNTIL_COMPILING_IS_SAID = 1.5


def fit_pictures(pictures, arch, lambdas, *, iterations, time_limit=None, device="auto", threads=None, normalise=False, seed=0, progress=None, say=None):
    """Fit pictures (uint8 (H, W, planes)) of one `arch`, each with its lambda; on a GPU all at once, or as many as its memory holds.

    time_limit: seconds for all. progress: called with `loop.Progress`. say: called with sentences to the user. Returns for every picture its
    `CodedImage` (without checksum), the number of steps and the device. Raises `UsageError`, `ShortMemoryError`.
    """
    start = monotonic()
    say = say or (lambda sentence: None)
    device = device_of(device)
    results, together = [], 1 if device == "cpu" or normalise else len(pictures)
    while len(results) < len(pictures):
        group = slice(len(results), len(results) + together)
        left = None
        if time_limit is not None:
            groups = -(-(len(pictures) - len(results)) // together)
            left = max(0.0, time_limit - (monotonic() - start)) / groups
        kind = kind_for(arch, device, normalise=normalise, threads=threads)
        if kind.note and not results:
            say(kind.note)
        failed = False
        try:
            with _threads_kept():
                results += _fit_group(kind, list(pictures[group]), arch, list(lambdas[group]), iterations, left, normalise, seed, progress, say)
        except _memory_errors():
            failed = True
        # Outside of the clause, where the failed engine is gone with the exception.
        if failed:
            device, together = _smaller(kind, arch, together, say)
    return results


def _smaller(kind, arch, together, say):
    """Where to go on when memory was short: the device, and how many fits at once."""
    if kind.device == "cpu":
        raise ShortMemoryError(f"There is not enough memory to fit a picture of {arch.width}x{arch.height} pixels on the CPU.")
    sys.modules["torch"].cuda.empty_cache()
    if together > 1:
        say(f"Note: the memory of {kind.device} is too small for {together} fits at once; going on with {-(-together // 2)}.")
        return kind.device, -(-together // 2)
    say(f"Warning: the memory of {kind.device} is too small for {arch.width}x{arch.height} pixels; going on on the CPU, which is slower.")
    return "cpu", 1


def _fit_group(kind, pictures, arch, lambdas, iterations, seconds, normalise, seed, progress, say):
    _check_memory(kind, arch)
    start = monotonic()
    with _compiling_said(kind, say):
        engine = make(kind, pictures, arch, lambdas, normalise=normalise, seed=seed)
        engine.warm_up()
    if seconds is not None:
        seconds = max(0.0, seconds - (monotonic() - start))
    fit_seconds, freeze_seconds = (None if seconds is None else share * seconds for share in (FIT_SHARE, FREEZE_SHARE / len(pictures)))
    steps, collapsed = run(engine, iterations, seconds=fit_seconds, progress=progress)
    results = [None] * len(pictures)
    for index, fit in enumerate(engine.fits):
        if index not in collapsed:
            results[index] = _frozen(kind, fit, pictures[index], freeze_seconds, progress), steps, kind.device
    del engine
    for index in collapsed:
        # Once more from another start; what comes out then is taken.
        engine = make(kind, [pictures[index]], arch, [lambdas[index]], normalise=normalise, seed=seed + 1)
        steps, _ = run(engine, iterations, seconds=fit_seconds, progress=progress, may_collapse=True)
        results[index] = _frozen(kind, engine.fits[0], pictures[index], freeze_seconds, progress), steps, kind.device
    return results


def _frozen(kind, fit, picture, seconds, progress):
    """A fit as integers. The search for them asks for one loss after the other, which keeps a GPU waiting: a CPU's engine is asked."""
    code = fit.rounded_code()
    if kind.name == "cuda graph":
        weights, (kind, lambda_) = fit.weights(), (kind_for(fit.arch, "cpu"), fit.lambda_)
        (fit,) = make(kind, [picture], fit.arch, [lambda_]).fits
        fit.take(weights, code)
    tensors = freeze(fit, seconds=seconds, progress=progress)
    return CodedImage(fit.arch, tensors, {octave: planes.astype("int64") for octave, planes in code.items()})


def _check_memory(kind, arch):
    free = available_memory() if kind.device == "cpu" else None
    if free is None:
        return
    needed = memory_of(kind, arch)
    if needed > free:
        raise ShortMemoryError(
            f"Fitting {arch.width}x{arch.height} pixels needs about {needed / 2**30:.1f} GiB of memory; {free / 2**30:.1f} GiB are free."
        )


@contextmanager
def _compiling_said(kind, say):
    """Whoever waits is told why: the kernels are compiled at their first use and kept on disk."""
    timer = Timer(SECONDS_UNTIL_COMPILING_IS_SAID, say, ["Compiling the fit for this processor; this happens once after an installation and takes some seconds."])
    timer.daemon = True
    if kind.name == "numba":
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _threads_kept():
    """The number of torch's threads is the whole process's: what a fit sets is taken back."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)


def _memory_errors():
    torch = sys.modules.get("torch")
    return (MemoryError, torch.OutOfMemoryError) if torch else MemoryError

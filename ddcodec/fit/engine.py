"""The engines, and which of them a fit gets.

An engine holds one or more fits of the same architecture, each from its own base, which take every step together. All
engines have

    name, device        "numba" on "cpu", "torch" on "cpu", "cuda graph" on "cuda:0"
    warm_up()           capture what the first step would have to
    step(point)         one step of every fit, at a `schedule.Point`; on a GPU nothing waits for it
    losses()            the `loss.terms.Loss` of every fit before the last step
    fold()              end the channel normalisation, if there is one
    fits                what stands for each fit, with

        arch, lambda_, pixels                lambda_ may be set between steps known, share                         which
        pixels count, bool (H, W), or None for all; how large a share of all they are variance
        the distortion of the best single colour evaluate()                           the `Loss` with the code rounded
        state(code=True), restore(state)     copies of the weights and the rounded code, or of the weights alone
        take(weights, code)                  go on from weights and a code as the next three give them, or from a part
        of them; not on "cuda graph" retarget(samples)                    go on towards other samples, uint8 or uint16
        (H, W, planes); not on "cuda graph" weights(), rounded_code()            name -> float32 array, octave -> int16
        (planes, rows, columns) real_code()                          octave -> float32 (planes, rows, columns), before
        it is rounded distortion(weights), bits(weights)   of the rounded code with other weights (name -> array); not
        on "cuda graph" slopes(weights)                      the derivatives of D + lambda R by these, name -> array;
        not on "cuda graph" maps(octave), put_plane(octave, values)   what each integer and pixel costs, and other
        integers; not on "cuda graph"

The loop, the schedule, the snapshots and the freeze know no more than this. `torch_engine.TorchEngine` is the
reference.
"""

import ctypes
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec

from ..errors import DdcError, ShortMemoryError, UsageError, is_short_memory
from ..machine import available_cores, available_memory, memory_text
from .descent.soap import BETAS

LEAST_PIXELS_A_THREAD = 2**13
"""Fewer are done before another thread has woken up."""
LOADING_MEMORY = 400 * 2**20
"""Bytes of addresses that numba, LLVM and the kernels take where they lie on the disk, and the stacks of threads (364
MiB were too few, 414 enough).
"""


@dataclass(frozen=True)
class Kind:
    """Which engine a fit gets: its name, its device, its threads on the CPU; note: a sentence to the user if it is not
    the usual one, or None.
    """

    name: str
    device: str
    threads: int = 1
    note: str | None = None


def device_of(wished):
    """The device that "auto", "cpu", "cuda" or "cuda:N" means here. Raises `UsageError` if it is not there."""
    if wished == "cpu" or wished == "auto" and not _has_driver():
        return "cpu"
    index = int(wished.partition(":")[2] or 0)
    torch = torch_for("Fitting on a GPU") if wished != "auto" else _torch_or_none()
    if torch is not None and torch.cuda.is_available() and index < torch.cuda.device_count():
        if wished != "auto" or _computes(torch, index):
            return f"cuda:{index}"
    if wished == "auto":
        return "cpu"
    raise UsageError(f"The device {wished} is not available on this machine.")


def kind_for(arch, device, *, normalise=False, threads=None):
    """The `Kind` of engine for fits of `arch` on a device."""
    if device != "cpu" and not normalise:
        return Kind("cuda graph", device)
    threads = threads or max(1, min(available_cores(), arch.width * arch.height // LEAST_PIXELS_A_THREAD))
    if normalise:
        # The mean of a whole plane stands between two layers, so that nothing can be fused.
        return Kind(
            "torch",
            device,
            threads,
            "Note: a plain deep decoder is fitted by torch, some ten times slower than the default profile.",
        )
    if _is_switched_off():
        return Kind(
            "torch",
            device,
            threads,
            "Note: numba is switched off (NUMBA_DISABLE_JIT); without it the fit is some ten times slower.",
        )
    if find_spec("numba") is None:
        return Kind(
            "torch",
            device,
            threads,
            "Note: the package numba is not installed; without it the fit is some ten times slower.",
        )
    return Kind("numba", device, threads)


def make(kind, pictures, arches, lambdas, *, betas=BETAS, normalise=False, seed=0, knowns=None):
    """An engine for pictures (uint8 (H, W, planes)), each with its lambda and its `Arch`, alike but for their bases;
    all kinds but "cuda graph" take one.

    betas: `Betas`. knowns: for each bool (H, W), the pixels that count in the distortion, which is still a mean
    over all, or None. Raises `MemoryError`, or `torch.OutOfMemoryError` on a GPU.
    """
    knowns = knowns or [None] * len(pictures)
    if kind.name == "numba":
        return _cpu_engine().CpuEngine(
            pictures[0], arches[0], lambdas[0], betas=betas, seed=seed, threads=kind.threads, known=knowns[0]
        )
    torch_for("This fit")
    if kind.name == "cuda graph":
        from .cuda.engine import GraphEngine

        return GraphEngine(pictures, arches, lambdas, betas=betas, seed=seed, device=kind.device, knowns=knowns)
    from .reference.engine import TorchEngine

    return TorchEngine(
        pictures[0],
        arches[0],
        lambdas[0],
        betas=betas,
        normalise=normalise,
        seed=seed,
        device=kind.device,
        known=knowns[0],
    )


def prepare(kind, arch, say=None):
    """Compile an engine's kernels, where it has any and they are not compiled yet. say: called with sentences to the
    user then. Raises `ShortMemoryError`.
    """
    if kind.name == "numba":
        _cpu_engine().prepare(arch, say)


def memory_of(kind, arch):
    """About the bytes that one fit takes, beside the program.

    Raises `ShortMemoryError` where there is not even enough for that.
    """
    if kind.name == "numba":
        return _cpu_engine().memory_of(arch, kind.threads)
    torch_for("This fit")
    from .reference.engine import memory_of

    return memory_of(arch)


def _cpu_engine():
    """The module, after a look at the memory: LLVM ends the process where it gets none."""
    if f"{__package__}.cpu.engine" not in sys.modules:
        free = available_memory()
        if free is not None and free < LOADING_MEMORY:
            raise ShortMemoryError(
                f"Loading the fit needs {memory_text(LOADING_MEMORY)} of memory; {memory_text(free)} are free."
            )
    from .cpu import engine as cpu_engine

    return cpu_engine


def _is_switched_off():
    """Whether numba leaves functions to Python, which knows no vectors. It reads this variable when it is imported."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0").strip() not in ("", "0")


def _has_driver():
    """Whether NVIDIA's driver is here with a device: importing torch takes seconds, asking the driver does not."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int()
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def _computes(torch, index):
    """Whether this torch has kernels for that GPU: of an old one it knows no more than that it is there."""
    try:
        return torch.ones(2, device=f"cuda:{index}").sum().item() == 2
    except RuntimeError:
        return False


def memory_errors():
    """What is raised where memory is short, by NumPy or torch."""
    torch = sys.modules.get("torch")
    return (MemoryError, torch.OutOfMemoryError) if torch else MemoryError


def torch_for(what):
    """torch, or a `DdcError` that says what needs it."""
    torch = _torch_or_none()
    if torch is None:
        raise DdcError(f"{what} needs the package torch, which is not installed; decoding does not.")
    return torch


def _torch_or_none():
    try:
        import torch
    except ImportError as error:
        if is_short_memory(error):
            raise
        return None
    return torch

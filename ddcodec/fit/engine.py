"""Engines: what a fit asks of one, which kinds there are, and which of them a fit gets.

An engine holds one or more fits of the same architecture, each from its own base, which take every step together. The
loop, the schedule and the freeze know no more of it than the protocols here say. `reference.engine.TorchEngine` is the
reference that the other engines must equal.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, Protocol

import numpy as np

from ..errors import DdcError, ShortMemoryError, UsageError, is_short_memory
from ..format.arch import Arch
from ..machine import available_cores, available_memory, memory_text
from ..surroundings import usual_torch
from .descent.schedule import Point
from .descent.soap import BETAS, Betas
from .descent.task import FitTask
from .loss.terms import Loss

LEAST_PIXELS_A_THREAD = 2**13
"""Pixels for each thread: with fewer, a step is done before another thread has woken up."""
LOADING_MEMORY = 400 * 2**20
"""Bytes of addresses that numba, LLVM, the kernels on the disk and the threads' stacks take.

364 MiB were too few, 414 enough.
"""
Weights = dict[str, np.ndarray]
"""Name of a tensor -> float32 array of its shape."""
Code = dict[int, np.ndarray]
"""Octave -> array (planes, rows, columns)."""


class Fit(Protocol):
    """One fit of an engine: weights and code of a picture.

    lambda_ may be set between steps. pixels: of the picture. known: bool (H, W), the pixels whose errors count, or None
    for all; share: how large a share of all they are. variance: the distortion of the best single colour.
    """

    arch: Arch
    lambda_: float
    pixels: int
    known: np.ndarray | None
    share: float
    variance: float

    def evaluate(self) -> Loss:
        """The loss with the code rounded."""

    def state(self, code: bool = True) -> Any:
        """A copy of the weights and the rounded code, or of the weights alone, for `restore`."""

    def restore(self, state: Any) -> None:
        """Go back to a state."""

    def weights(self) -> Weights:
        """A copy of the weights."""

    def rounded_code(self) -> Code:
        """The code as the file will hold it, int16."""

    def real_code(self) -> Code:
        """The code before it is rounded, float32 in code units."""


class SearchableFit(Fit, Protocol):
    """A fit that can be asked for its loss with other weights and code, one after the other, as the freeze does."""

    def take(self, weights: Weights, code: Code) -> None:
        """Go on from weights and code, rounded or not, or from a part of them."""

    def distortion(self, weights: Weights) -> float:
        """The distortion of the rounded code with other weights."""

    def bits(self, weights: Weights) -> float:
        """The bits of the rounded code with other weights."""

    def slopes(self, weights: Weights) -> Weights:
        """The derivatives of D + lambda R by weights, at these; float64, 0 for fixed tensors."""

    def maps(self, octave: int) -> tuple[list[np.ndarray], np.ndarray]:
        """Bits of each integer of an octave and of all finer ones, and the squared error of each pixel."""

    def put_plane(self, octave: int, values: np.ndarray) -> None:
        """Put integers (rows, columns) in the place of an octave's only code plane."""

    def average(self) -> None:
        """Take the mean of the pictures of all steps from now on."""

    def mean(self) -> np.ndarray | None:
        """The mean since `average`, float32 (H, W, planes) in 0..1, or None where there has been no step."""


class Engine(Protocol):
    """Fits that take each step together."""

    @property
    def fits(self) -> Sequence[Fit]:
        """The fits, in the order of their tasks."""

    def warm_up(self) -> None:
        """Capture what the first step would have to."""

    def step(self, point: Point) -> None:
        """Take one step of every fit; on a GPU nothing waits for it."""

    def losses(self) -> list[Loss]:
        """The loss of every fit before the last step."""

    def fold(self) -> None:
        """End the channel normalisation, if there is one."""


class Kind(Protocol):
    """A kind of engine on a device, and what it can do.

    name: for benchmarks and messages. threads: of the CPU. note: a sentence to the user where the kind is not the usual
    one, or None. takes_many: whether it fits several pictures at once. is_searchable: whether its fits are
    `SearchableFit`.
    """

    name: ClassVar[str]
    takes_many: ClassVar[bool]
    is_searchable: ClassVar[bool]

    @property
    def device(self) -> str:
        """ "cpu" or "cuda:N"."""

    @property
    def threads(self) -> int:
        """At least 1."""

    @property
    def note(self) -> str | None:
        """See above."""

    def prepare(self, arch: Arch, say: Callable[[str], None] | None = None) -> None:
        """Compile kernels that are not compiled yet. say: called with sentences to the user then.

        Raises `ShortMemoryError`.
        """

    def memory_of(self, arch: Arch) -> int:
        """About the bytes that one fit takes, beside the program.

        Raises `ShortMemoryError` where there is not even enough for that.
        """

    def make(
        self,
        tasks: Sequence[FitTask],
        *,
        betas: Betas = BETAS,
        seed: int = 0,
        say: Callable[[str], None] | None = None,
    ) -> Engine:
        """An engine for pictures whose architectures are alike but for their bases; one picture if not `takes_many`.

        say: called with sentences to the user, such as that something is slower than usual.

        Raises `MemoryError`, or `torch.OutOfMemoryError` on a GPU.
        """

    def state(self) -> AbstractContextManager[None]:
        """The state of the process in which its engines are made and work."""


@dataclass(frozen=True)
class CpuKind:
    """Fused kernels on the CPU, compiled by numba."""

    threads: int = 1
    name: ClassVar[str] = "numba"
    device: ClassVar[str] = "cpu"
    note: ClassVar[None] = None
    takes_many: ClassVar[bool] = False
    is_searchable: ClassVar[bool] = True

    def prepare(self, arch, say=None):
        _cpu_engine().prepare(arch, say)

    def memory_of(self, arch):
        return _cpu_engine().memory_of(arch, self.threads)

    def make(self, tasks, *, betas=BETAS, seed=0, say=None):
        (task,) = tasks
        return _cpu_engine().CpuEngine(
            task.picture, task.arch, task.lambda_, betas=betas, seed=seed, threads=self.threads, known=task.known
        )

    def state(self):
        return nullcontext()


@dataclass(frozen=True)
class ReferenceKind:
    """The reference in torch, on any device. normalise: with channel normalisation, which no other kind knows."""

    device: str = "cpu"
    threads: int = 1
    note: str | None = None
    normalise: bool = False
    name: ClassVar[str] = "torch"
    takes_many: ClassVar[bool] = False
    is_searchable: ClassVar[bool] = True

    @property
    def _what(self):
        return "The profile classic" if self.normalise else "A fit without numba"

    def prepare(self, arch, say=None):
        """There is nothing to compile."""

    def memory_of(self, arch):
        torch_for(self._what)
        from .reference.engine import memory_of

        return memory_of(arch)

    def make(self, tasks, *, betas=BETAS, seed=0, say=None):
        torch_for(self._what)
        from .reference.engine import TorchEngine

        (task,) = tasks
        return TorchEngine(
            task.picture,
            task.arch,
            task.lambda_,
            betas=betas,
            normalise=self.normalise,
            seed=seed,
            device=self.device,
            known=task.known,
        )

    def state(self):
        return usual_torch(torch_for(self._what), self.threads)


@dataclass(frozen=True)
class GraphKind:
    """Triton kernels in a captured graph, on a GPU."""

    device: str
    threads: ClassVar[int] = 1
    note: ClassVar[None] = None
    name: ClassVar[str] = "cuda graph"
    takes_many: ClassVar[bool] = True
    is_searchable: ClassVar[bool] = False

    def prepare(self, arch, say=None):
        """Kernels are compiled while a graph is captured."""

    def memory_of(self, arch):
        return ReferenceKind(self.device).memory_of(arch)

    def make(self, tasks, *, betas=BETAS, seed=0, say=None):
        torch_for("A fit on a GPU")
        from .cuda.engine import GraphEngine

        return GraphEngine(tasks, betas=betas, seed=seed, device=self.device, say=say)

    def state(self):
        return usual_torch(torch_for("A fit on a GPU"), self.threads)


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
    """The `Kind` of engine for fits of `arch` on a device. threads: of the CPU, or None for as many as are useful."""
    if device != "cpu" and not normalise:
        return GraphKind(device)
    threads = threads or max(1, min(available_cores(), arch.width * arch.height // LEAST_PIXELS_A_THREAD))
    if normalise:
        # The mean of a whole plane stands between two layers, so that nothing can be fused.
        note = "Note: a plain deep decoder is fitted by torch, some ten times slower than the default profile."
        return ReferenceKind(device, threads, note, normalise)
    if _is_switched_off():
        note = "Note: numba is switched off (NUMBA_DISABLE_JIT); without it the fit is some ten times slower."
        return ReferenceKind(device, threads, note)
    if find_spec("numba") is None:
        note = "Note: the package numba is not installed; without it the fit is some ten times slower."
        return ReferenceKind(device, threads, note)
    return CpuKind(threads)


def unused_gpu(device):
    """A sentence where "auto" led to the CPU though an NVIDIA GPU is here, for want of torch; else None."""
    if device != "auto" or not _has_driver() or find_spec("torch") is not None:
        return None
    return "Note: an NVIDIA GPU is here, but not the package torch; pip install 'ddcodec[torch]' lets fits use it."


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
        raise DdcError(
            f"{what} needs the package torch, which is not installed: pip install 'ddcodec[torch]' brings it."
        )
    return torch


def _torch_or_none():
    try:
        import torch
    except ImportError as error:
        if is_short_memory(error):
            raise
        return None
    return torch

"""The kinds of engines, what each can do, and the choice among them; `descent.protocols` says what engines are."""

import ctypes
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar, Protocol

from ..errors import DdcError, UsageError, is_short_memory
from ..format.arch import Arch
from ..machine import available_cores
from ..native.library import own_library
from ..surroundings import usual_torch
from .descent.protocols import Engine
from .descent.soap import BETAS, Betas
from .descent.task import FitTask

LEAST_PIXELS_A_THREAD = 2**13
"""Pixels that a thread has at least: with fewer, a step is done before another thread has woken up."""


class Kind(Protocol):
    """A kind of engine on a device, and its abilities.

    name:          a name for benchmarks and messages.
    takes_many:    whether it fits several pictures at once.
    is_searchable: whether its fits are `SearchableFit`.
    """

    name: ClassVar[str]
    takes_many: ClassVar[bool]
    is_searchable: ClassVar[bool]

    @property
    def device(self) -> str:
        """The device, "cpu" or "cuda:N"."""

    @property
    def threads(self) -> int:
        """The number of threads of the CPU, at least 1."""

    @property
    def note(self) -> str | None:
        """A sentence to the user if the kind is not the usual one, else None."""

    def memory_of(self, arch: Arch) -> int:
        """Estimate the bytes that one fit takes, beside the program."""

    def make(
        self,
        tasks: Sequence[FitTask],
        *,
        betas: Betas = BETAS,
        seed: int = 0,
        say: Callable[[str], None] | None = None,
    ) -> Engine:
        """Make an engine for pictures whose architectures are alike but for their bases.

        tasks: exactly one if not `takes_many`. betas: those of the optimisers. seed: that of the random start and of
        the noise. say: called with sentences to the user, such as that something is slower than usual.

        Raises `MemoryError`, or `torch.OutOfMemoryError` on a GPU.
        """

    def state(self) -> AbstractContextManager[None]:
        """Return the state of the process in which its engines are made and work."""


@dataclass(frozen=True)
class CpuKind:
    """The kernels in C on the CPU."""

    threads: int = 1
    name: ClassVar[str] = "native"
    device: ClassVar[str] = "cpu"
    note: ClassVar[None] = None
    takes_many: ClassVar[bool] = False
    is_searchable: ClassVar[bool] = True

    def memory_of(self, arch):
        from .cpu.engine import memory_of

        return memory_of(arch, self.threads)

    def make(self, tasks, *, betas=BETAS, seed=0, say=None):
        from .cpu.engine import CpuEngine

        (task,) = tasks
        return CpuEngine(
            task.picture,
            task.arch,
            task.lambda_,
            betas=betas,
            seed=seed,
            threads=self.threads,
            known=task.known,
            form=task.form,
        )

    def state(self):
        return nullcontext()


@dataclass(frozen=True)
class ReferenceKind:
    """The reference in torch, on any device.

    normalise: fit with channel normalisation, which no other kind knows.
    """

    device: str = "cpu"
    threads: int = 1
    note: str | None = None
    normalise: bool = False
    name: ClassVar[str] = "torch"
    takes_many: ClassVar[bool] = False
    is_searchable: ClassVar[bool] = True

    @property
    def _what(self):
        return "The profile classic" if self.normalise else "A fit without the library in C"

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
            form=task.form,
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

    def memory_of(self, arch):
        return ReferenceKind(self.device).memory_of(arch)

    def make(self, tasks, *, betas=BETAS, seed=0, say=None):
        torch_for("A fit on a GPU")
        from .cuda.engine import GraphEngine

        return GraphEngine(tasks, betas=betas, seed=seed, device=self.device, say=say)

    def state(self):
        return usual_torch(torch_for("A fit on a GPU"), self.threads)


def device_of(wished):
    """Return the device, "cpu" or "cuda:N", that "auto", "cpu", "cuda" or "cuda:N" means on this machine.

    Raises `UsageError` if a GPU that was asked for is not there, and `DdcError` if torch is not.
    """
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
    """Choose the `Kind` of engine for fits of `arch` on a device.

    normalise: fit with channel normalisation. threads: threads of the CPU, or None for as many as are useful.
    """
    if device != "cpu" and not normalise:
        return GraphKind(device)
    threads = threads or max(1, min(available_cores(), arch.width * arch.height // LEAST_PIXELS_A_THREAD))
    if normalise:
        # Normalisation needs the mean of a whole plane between two layers, so that they cannot be fused.
        note = "Note: a plain deep decoder is fitted by torch, some ten times slower than the default profile."
        return ReferenceKind(device, threads, note, normalise)
    if own_library() is None:
        note = "Note: the codec in C was not built when ddcodec was installed; torch fits, some ten times slower."
        return ReferenceKind(device, threads, note)
    return CpuKind(threads)


def unused_gpu(device):
    """Return a sentence to the user if "auto" passes over an NVIDIA GPU because torch is missing, else None."""
    if device != "auto" or find_spec("torch") is not None or not _has_driver():
        return None
    return "Note: an NVIDIA GPU is here, but not the package torch; pip install 'ddcodec[torch]' lets fits use it."


def _has_driver():
    """Whether NVIDIA's driver is here with a device. Asking it takes no time, where importing torch takes seconds."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int()
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def _computes(torch, index):
    """Whether this torch has kernels for a GPU. It also lists old GPUs for which it has none."""
    try:
        return torch.ones(2, device=f"cuda:{index}").sum().item() == 2
    except RuntimeError:
        return False


def memory_errors():
    """Return the exceptions that NumPy and torch raise where memory is short, for an `except` clause."""
    torch = sys.modules.get("torch")
    return (MemoryError, torch.OutOfMemoryError) if torch else MemoryError


def torch_for(what):
    """Import torch. what: the subject of the message if it is missing.

    Raises `DdcError` if it is.
    """
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

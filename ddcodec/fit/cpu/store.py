"""Compiled kernels on the disk.

This is numba's own store with three changes. It outlives whatever has become of its files, it reads where it must not
write, and it says when something is compiled.
"""

import pickle
from collections.abc import Callable
from shutil import disk_usage
from typing import Any
from zlib import crc32

from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    InTreeCacheLocator,
    NullCache,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
)
from numba.core.serialize import dumps

from ...errors import ShortMemoryError
from ...machine import available_memory, memory_text

COMPILING_MEMORY = 224 * 2**20
"""Bytes that numba and LLVM take to compile a kernel: 139 MiB were too few, 179 MiB enough.

Where LLVM gets none it ends the process.
"""
ROOM = 2**23
"""Bytes on a disk that the kernels certainly fit into."""


class _Entry(CompileResultCacheImpl):
    """A compiled function, with a checksum and the processor that it is for.

    Machine code for another processor would crash.
    """

    def reduce(self, cres):
        content = dumps((cres.codegen.magic_tuple(), super().reduce(cres)))
        return crc32(content), content

    def rebuild(self, target_context, payload):
        checksum, content = payload
        processor, reduced = pickle.loads(content) if crc32(content) == checksum else (None, None)
        if processor != target_context.codegen().magic_tuple():
            raise ValueError("These are not the kernels that were written.")
        return super().rebuild(target_context, reduced)


class _Place(FunctionCache):
    """The place where numba would keep a function.

    Raises `RuntimeError` where it can write nowhere.
    """

    _impl_class = _Entry


def _to_read(locator: Any) -> type[FunctionCache]:
    """Make a class for the place that a locator names, whether or not it can be written."""

    class Reading(locator):
        def ensure_cache_path(self):
            pass

    class Entry(_Entry):
        _locator_classes = [Reading]

    class Place(FunctionCache):
        _impl_class = Entry

    return Place


_TO_READ = [_to_read(locator) for locator in (UserProvidedCacheLocator, InTreeCacheLocator, UserWideCacheLocator)]


class Store(NullCache):
    """The store that a dispatcher of numba asks for kernels.

    on_compile: called before a kernel is compiled, with whether it will be kept.
    """

    def __init__(self, function: Callable) -> None:
        self._own, *self._others = (_found(place, function) for place in (_Place, *_TO_READ))
        self.on_compile: Callable[[bool], None] = lambda is_kept: None
        self.is_kept = True
        """Whether the kernel that was compiled last is on the disk."""

    @property
    def cache_path(self) -> str | None:
        """The folder that kernels are written to, or None where none can be written."""
        return self._own and self._own.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load a kernel from the disk, or return None, after which numba compiles it.

        Raises `ShortMemoryError` where to compile it would end the process.
        """
        for place in (self._own, *self._others):
            found = place and _loaded(place, sig, target_context)
            if found is not None:
                return found
        free = available_memory()
        if free is not None and free < COMPILING_MEMORY:
            raise ShortMemoryError(
                f"Compiling the fit for this processor needs {memory_text(COMPILING_MEMORY)} of memory; "
                f"{memory_text(free)} are free."
            )
        self.on_compile(self._own is not None and _has_room(self._own.cache_path))
        return None

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Write a kernel that has just been compiled, and note in `is_kept` whether that went well."""
        self.is_kept = self._own is not None and (
            _is_saved(self._own, sig, cres) or _is_saved(self._own, sig, cres, anew=True)
        )


def _found(place, function):
    """Make a place for a function, or return None where that cannot be had."""
    try:
        return place(function)
    except (RuntimeError, OSError):
        return None


def _has_room(path):
    """Whether a folder's disk has room for the kernels."""
    try:
        return disk_usage(path).free >= ROOM
    except OSError:
        return False


def _loaded(place, sig, target_context):
    """Load a kernel from a place, or return None.

    A spoilt file raises anything: it may hold other pickles, the half of one, or rubbish.
    """
    try:
        return place.load_overload(sig, target_context)
    except MemoryError:
        raise
    except Exception:
        return None


def _is_saved(place, sig, cres, *, anew=False):
    """Write a kernel, and say whether that went well.

    anew: forget first whatever the index holds, since a spoilt one raises anything when it is read.
    """
    try:
        if anew:
            place.flush()
        place.save_overload(sig, cres)
        return True
    except Exception:
        return False

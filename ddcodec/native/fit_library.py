"""Calls the fit in C: the interface of `fit/ddc_fit.h` in ctypes."""

import ctypes
import weakref
from collections.abc import Mapping
from enum import IntEnum

import numpy as np

from .library import ALIGNMENT, BEST, Header, Library


class Array(IntEnum):
    """`ddc_fit_array`, without its prefix."""

    Y = 0
    FIRST_MOMENT = 1
    SECOND_MOMENT = 2
    Q = 3
    SLOPE = 4
    GRADIENT = 5
    FILTERED = 6
    BY_FILTERED = 7
    WEIGHTS = 8
    TRIAL = 9
    BY_WEIGHT = 10
    TARGET = 11
    KNOWN = 12
    PARTS = 13
    SUMS = 14
    EDGES = 15
    LEVELS = 16


AS_IT_IS, SOFT, HARD = range(3)
"""`ddc_rounding`."""
NOTHING, DIFFERENCES, ALL = range(3)
"""`ddc_keep`."""
_TYPES = {Array.BY_WEIGHT: np.float64, Array.TARGET: np.uint16}


class Options(ctypes.Structure):
    """`ddc_fit_options`."""

    _fields_ = [
        ("threads", ctypes.c_uint32),
        ("is_masked", ctypes.c_int32),
        ("has_levels", ctypes.c_int32),
        ("is_passed", ctypes.c_int32),
        ("level", ctypes.c_int32),
    ]


class Pass(ctypes.Structure):
    """`ddc_fit_pass`."""

    _fields_ = [
        *(
            (name, ctypes.c_int32)
            for name in (
                "is_trial", "rounding", "has_rate", "has_picture", "last", "keep", "learns", "moves_code",
                "sums_samples",
            )
        ),
        ("key", ctypes.c_uint32),
        *(
            (name, ctypes.c_float)
            for name in (
                "squares", "temperature", "noise", "price", "pace", "correction", "beta_1", "beta_2", "epsilon",
            )
        ),
    ]  # fmt: skip


class Results(ctypes.Structure):
    """`ddc_fit_results`."""

    _fields_ = [(name, ctypes.c_double) for name in ("distortion", "bits", "squares")]


class _View(ctypes.Structure):
    """`ddc_fit_view`."""

    _fields_ = [("at", ctypes.c_void_p), *((name, ctypes.c_int64) for name in ("rows", "columns", "pitch"))]


class Fit:
    """A fit in C: its memory and its threads.

    fields: the rows of a header by name. options: all but the level. level: a limit for the vectors that are used.

    Raises `MemoryError`, also where the system has no thread left.
    """

    def __init__(self, library: Library, fields: Mapping[str, int], *, level: int = BEST, **options: int) -> None:
        own = _declared(library)
        header, chosen = Header(**fields), Options(level=level, **options)
        size = own.ddc_fit_memory(ctypes.byref(header), ctypes.byref(chosen))
        self._block = np.zeros(size + ALIGNMENT, np.uint8)
        self._address = self._block.ctypes.data
        start = -(-self._address // ALIGNMENT) * ALIGNMENT
        self._fit = own.ddc_fit_start(ctypes.byref(header), ctypes.byref(chosen), ctypes.c_void_p(start))
        if not self._fit:
            raise MemoryError("The system has no thread left.")
        self._own = own
        self._end = weakref.finalize(self, _end, own, self._fit, self._block)
        self.lanes: int = own.ddc_fit_lanes(ctypes.c_void_p(self._fit))

    def see(self, array: Array, octave: int = 0, plane: int = 0) -> np.ndarray:
        """View an array (rows, columns), or a vector of weights (count,)."""
        view = self._own.ddc_fit_see(ctypes.c_void_p(self._fit), array, octave, plane)
        kind = np.dtype(_TYPES.get(array, np.float32))
        strides = view.pitch * kind.itemsize, kind.itemsize
        seen = np.ndarray((view.rows, view.columns), kind, self._block, view.at - self._address, strides)
        return seen[0] if array in (Array.WEIGHTS, Array.TRIAL, Array.BY_WEIGHT) else seen

    def prepare(self, is_trial: bool) -> None:
        """Derive from a block of weights what passes read."""
        self._own.ddc_fit_prepare(ctypes.c_void_p(self._fit), is_trial)

    def run(self, task: Pass) -> Results:
        """Run a pass on all threads."""
        return self._own.ddc_fit_run(ctypes.c_void_p(self._fit), ctypes.byref(task))


def memory_of(library: Library, fields: Mapping[str, int], **options: int) -> int:
    """Return the bytes of a fit's memory; see `Fit`."""
    header, chosen = Header(**fields), Options(level=BEST, **options)
    return _declared(library).ddc_fit_memory(ctypes.byref(header), ctypes.byref(chosen))


def _declared(library):
    """Return the functions of a library, after ctypes has been told what they return."""
    functions = library.functions
    functions.ddc_fit_memory.restype = ctypes.c_uint64
    functions.ddc_fit_start.restype = ctypes.c_void_p
    functions.ddc_fit_lanes.restype = ctypes.c_uint32
    functions.ddc_fit_see.restype = _View
    functions.ddc_fit_run.restype = Results
    return functions


def _end(functions, fit, block):
    """End a fit's threads; `block` is its memory, which must last until then."""
    functions.ddc_fit_end(ctypes.c_void_p(fit))

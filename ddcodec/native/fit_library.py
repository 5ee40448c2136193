"""Calls the fit in C: the interface of `fit/ddc_fit.h` in ctypes."""

import ctypes
import os
import weakref
from collections.abc import Mapping
from enum import IntEnum

import numpy as np

from .library import ALIGNMENT, BEST, Header, Library, aligned


class Array(IntEnum):
    """`ddc_fit_array`, without its prefix."""

    Y = 0
    FIRST_MOMENT = 1
    SECOND_MOMENT = 2
    Q = 3
    GRADIENT = 4
    WEIGHTS = 5
    TRIAL = 6
    BY_WEIGHT = 7
    TARGET = 8
    KNOWN = 9
    PARTS = 10
    SUMS = 11
    EDGES = 12
    LEVELS = 13


AS_IT_IS, SOFT, HARD = range(3)
"""`ddc_rounding`."""
NOTHING, DIFFERENCES, ALL = range(3)
"""`ddc_keep`."""
SLACK = 16
"""Numbers that must lie behind a row, where whole vectors are read and written."""
_TYPES = {Array.BY_WEIGHT: np.float64, Array.TARGET: np.uint16}


class Options(ctypes.Structure):
    """`ddc_fit_options`."""

    _fields_ = [
        ("threads", ctypes.c_uint32),
        ("is_masked", ctypes.c_int32),
        ("has_levels", ctypes.c_int32),
        ("is_passed", ctypes.c_int32),
        ("vectors", ctypes.c_int32),
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


class _Layer(ctypes.Structure):
    """`ddc_fit_layer`."""

    _fields_ = [
        ("planes", ctypes.c_void_p),
        ("pitch", ctypes.c_int64),
        ("plane", ctypes.c_int64),
        ("results", ctypes.c_void_p),
        ("result_pitch", ctypes.c_int64),
        ("result_plane", ctypes.c_int64),
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("columns", ctypes.c_int64),
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
    ]


def convolved(library: Library, padded: np.ndarray, columns: int, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Apply a 3x3 layer, float32.

    padded: (I, rows + 2, n), with a row above and below, a column to the left, and n - 1 at least `SLACK` more than
    columns. weight: (O, I, 3, 3), I and O at most 64. bias: (O,).

    Returns (O, rows, columns).
    """
    outputs, inputs = weight.shape[:2]
    padded, weight, bias = (np.ascontiguousarray(array, np.float32) for array in (padded, weight, bias))
    rows, pitch = padded.shape[1] - 2, padded.shape[2]
    results = np.empty((outputs, rows, columns + SLACK), np.float32)
    layer = _Layer(
        padded[:, 1:, 1:].ctypes.data,
        pitch,
        (rows + 2) * pitch,
        results.ctypes.data,
        columns + SLACK,
        rows * (columns + SLACK),
        weight.ctypes.data,
        bias.ctypes.data,
        rows,
        columns,
        inputs,
        outputs,
    )
    _declared(library).ddc_fit_convolve(ctypes.byref(layer))
    return results[:, :, :columns]


class Fit:
    """A fit in C: its memory and its threads.

    fields: the rows of a header by name. options: the fields of `Options` but for vectors, a limit for those used.

    Raises `MemoryError`, also where the system has no thread left.
    """

    def __init__(self, library: Library, fields: Mapping[str, int], *, vectors: int = BEST, **options: int) -> None:
        own = _declared(library)
        header, chosen = Header(**fields), Options(vectors=vectors, **options)
        size = own.ddc_fit_memory(ctypes.byref(header), ctypes.byref(chosen))
        self._block = np.zeros(size + ALIGNMENT, np.uint8)
        self._address = self._block.ctypes.data
        start = ctypes.c_void_p(aligned(self._block))
        self._fit = own.ddc_fit_start(ctypes.byref(header), ctypes.byref(chosen), start)
        if not self._fit:
            raise MemoryError("The system has no thread left.")
        self._own = own
        self._end = weakref.finalize(self, _end, own, self._fit, self._block, os.getpid())
        self.lanes: int = own.ddc_fit_lanes(ctypes.c_void_p(self._fit))

    def see(self, array: Array, octave: int = 0, plane: int = 0) -> np.ndarray:
        """View an array (rows, columns), or a vector of weights (count,). Raises `KeyError` if it is not there."""
        view = self._own.ddc_fit_see(ctypes.c_void_p(self._fit), array, octave, plane)
        if not view.at:
            raise KeyError(array)
        kind = np.dtype(_TYPES.get(array, np.float32))
        strides = view.pitch * kind.itemsize, kind.itemsize
        seen = np.ndarray((view.rows, view.columns), kind, self._block, view.at - self._address, strides)
        return seen[0] if array in (Array.WEIGHTS, Array.TRIAL, Array.BY_WEIGHT) else seen

    def run(self, task: Pass) -> Results:
        """Run a pass on all threads."""
        return self._own.ddc_fit_run(ctypes.c_void_p(self._fit), ctypes.byref(task))


def memory_of(library: Library, fields: Mapping[str, int], **options: int) -> int:
    """Return the bytes of a fit's memory; see `Fit`."""
    header, chosen = Header(**fields), Options(vectors=BEST, **options)
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


def _end(functions, fit, block, process):
    """End a fit's threads; `block` is its memory, which must last until then. A child after a fork has no threads."""
    if os.getpid() == process:
        functions.ddc_fit_end(ctypes.c_void_p(fit))

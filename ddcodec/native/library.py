"""Calls the decoder in C: the interface of `ddc.h` in ctypes."""

import ctypes
from pathlib import Path

import numpy as np

from .build import FOLDER, NAME

BEST = -1
"""The level that stands for the best vectors of this machine."""
ERRORS = ("ok", "damaged", "unsupported", "memory", "argument")
"""The names of `ddc_error`, in its order."""
ARGUMENT = ERRORS.index("argument")
"""The error of a request that is out of its range."""


class Header(ctypes.Structure):
    """`ddc_header`."""

    _fields_ = [
        (name, ctypes.c_uint32)
        for name in (
            "width", "height", "planes", "depth", "headroom",
            "octaves", "coarsest_planes", "finer_planes", "finest_channels", "channels", "linear", "top_channels",
            "taps", "neighbours", "context_channels", "base", "chunks", "detail",
            "body_crc", "samples_crc",
        )
    ]  # fmt: skip


RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)


class Request(ctypes.Structure):
    """`ddc_request`."""

    _fields_ = [
        ("octave", ctypes.c_uint32),
        ("first_row", ctypes.c_uint32),
        ("stop_row", ctypes.c_uint32),
        ("is_beginning", ctypes.c_int),
        ("threads", ctypes.c_uint32),
        ("run", RUN),
        ("user", ctypes.c_void_p),
        ("level", ctypes.c_int),
    ]


class NativeError(Exception):
    """The library refused a file. `name`: one of `ERRORS`."""

    def __init__(self, error: int) -> None:
        super().__init__(ERRORS[error])
        self.name = ERRORS[error]


class Library:
    """The library in the file `path`. Raises `OSError` if there is none."""

    def __init__(self, path: Path = FOLDER / NAME) -> None:
        self._own = ctypes.CDLL(str(path))
        self._own.ddc_memory.restype = ctypes.c_uint64
        self._own.ddc_samples_bytes.restype = ctypes.c_uint64
        self._own.ddc_level_name.restype = ctypes.c_char_p

    def level_name(self, level: int = BEST) -> str:
        """Name the vectors of a level, or of the best that this machine has below it."""
        return self._own.ddc_level_name(level).decode()

    def header(self, data: bytes) -> Header:
        """Read the header of a file. Raises `NativeError`."""
        header = Header()
        self._check(self._own.ddc_read_header(data, ctypes.c_size_t(len(data)), ctypes.byref(header)))
        return header

    def memory(self, header: Header, request: Request) -> int:
        """Return the bytes of memory for a request, or 0 if it is out of its range."""
        return self._own.ddc_memory(ctypes.byref(header), ctypes.byref(request))

    def decode(
        self,
        data: bytes,
        octave: int = 0,
        rows: tuple[int, int] | None = None,
        *,
        is_beginning: bool = False,
        threads: int = 1,
        level: int = BEST,
    ) -> np.ndarray:
        """Decode a file, or a smaller picture, or rows of it.

        octave: 0 for the whole picture. rows: the first and the one behind the last, or None for all. is_beginning:
        the file may be cut off. level: a limit for the vectors that are used.

        Returns uint8 or uint16 (rows, columns, planes). Raises `NativeError`.
        """
        header = self.header(data)
        start, stop = rows or (0, -(-header.height >> octave))
        # Greater numbers would lose their upper bits in the request.
        if not (0 <= start < stop < 2**32 and 0 <= octave < 2**32 and 0 < threads < 2**32):
            raise NativeError(ARGUMENT)
        request = Request(octave, start, stop, is_beginning, threads, RUN(), None, level)
        size = self.memory(header, request)
        if not size:
            raise NativeError(ARGUMENT)
        # The library wants its memory aligned to 64 bytes.
        memory = np.empty(size + 64, np.uint8)
        address = -(-memory.ctypes.data // 64) * 64
        samples = np.empty((stop - start, -(-header.width >> octave), header.planes), f"uint{8 << header.depth}")
        self._check(
            self._own.ddc_decode(
                data,
                ctypes.c_size_t(len(data)),
                ctypes.byref(request),
                ctypes.c_void_p(address),
                ctypes.c_uint64(size),
                ctypes.c_void_p(samples.ctypes.data),
                ctypes.c_uint64(samples.nbytes),
            )
        )
        return samples

    def _check(self, error):
        if error:
            raise NativeError(error)

"""Calls the codec in C: the interface of `ddc.h` in ctypes."""

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .build import FOLDER, NAME, sources_number

BEST = -1
"""The level that stands for the best vectors of this machine."""
ERRORS = ("ok", "damaged", "stream", "weights", "code", "samples", "unsupported", "memory", "argument")
"""The names of `ddc_error`, in its order."""
MOST_SECTIONS = 17
"""Sections of a stream: the weights and 16 octaves."""
ALIGNMENT = 64
"""Bytes to which memory for the library is aligned."""
FIRST_WORDS = 1 << 12
"""Words for which an encode has room at first, beside one for every four integers."""


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

    @property
    def sample(self) -> str:
        """The name of a sample's type."""
        return f"uint{8 << self.depth}"


class Request(ctypes.Structure):
    """`ddc_request`."""

    _fields_ = [
        ("octave", ctypes.c_uint32),
        ("first_row", ctypes.c_uint32),
        ("stop_row", ctypes.c_uint32),
        ("is_beginning", ctypes.c_int),
        ("threads", ctypes.c_uint32),
        ("run", ctypes.c_void_p),
        ("user", ctypes.c_void_p),
        ("level", ctypes.c_int),
        ("code", ctypes.c_void_p),
        ("code_bytes", ctypes.c_uint64),
        ("is_code_known", ctypes.c_int),
        ("costs", ctypes.c_void_p),
    ]


class NativeError(Exception):
    """The library refused a file or a request.

    name: one of `ERRORS`.
    """

    def __init__(self, error: int) -> None:
        super().__init__(ERRORS[error])
        self.name = ERRORS[error]


class Library:
    """The library in the file `path`.

    Raises `OSError` if there is none, or if it was built of other sources than those that are beside this file.
    """

    def __init__(self, path: Path = FOLDER / NAME) -> None:
        self._own = ctypes.CDLL(str(path))
        try:
            number = ctypes.c_uint32.in_dll(self._own, "ddc_sources").value
        except ValueError:
            number = None
        if number != sources_number():
            raise OSError(f"{path} was built of other sources.")
        for name in ("ddc_memory", "ddc_samples_bytes", "ddc_code_bytes"):
            getattr(self._own, name).restype = ctypes.c_uint64
        self._own.ddc_level_name.restype = ctypes.c_char_p

    @property
    def functions(self) -> ctypes.CDLL:
        """The functions of the library."""
        return self._own

    def level_name(self, level: int = BEST) -> str:
        """Name the vectors of a level, or of the best that this machine has below it."""
        return self._own.ddc_level_name(level).decode()

    def header(self, data: bytes) -> Header:
        """Read the header of a file. Raises `NativeError`."""
        header = Header()
        self._check(self._own.ddc_read_header(data, ctypes.c_size_t(len(data)), ctypes.byref(header)))
        return header

    def memory(self, fields: Mapping[str, int], octave: int = 0) -> int:
        """Return the bytes that a decode takes beside those of the samples.

        fields: the rows of a header by name.
        """
        return self._memory(Header(**fields), Request(octave=octave, threads=1, level=BEST))

    def code(self, data: bytes, *, is_beginning: bool = False, costs: np.ndarray | None = None) -> np.ndarray:
        """Read the integers of the code: int16, coarse to fine, plane by plane.

        is_beginning: the file may be cut off. The integers of octaves that are not complete are 0.
        costs: uint16, as many, for what each of them took, in 256ths of a bit.

        Raises `NativeError`.
        """
        header = self.header(data)
        code = np.empty(self._own.ddc_code_bytes(ctypes.byref(header)) // 2, np.int16)
        request = Request(is_beginning=is_beginning, threads=1, level=BEST)
        if costs is not None:
            request.costs = costs.ctypes.data
        self._decode(data, header, self._with_code(request, code), None)
        return code

    def decode(
        self,
        data: bytes,
        octave: int = 0,
        rows: tuple[int, int] | None = None,
        *,
        is_beginning: bool = False,
        parts: int = 1,
        level: int = BEST,
        code: np.ndarray | None = None,
    ) -> np.ndarray:
        """Decode a file, or a smaller picture, or rows of it.

        octave: 0 for the whole picture.
        rows: the first and the one behind the last, or None for all.
        is_beginning: the file may be cut off.
        parts: the picture is synthesised in so many, 1 to 64, one after the other. In a program of its own each could
            have a thread; here the code takes most of the time, which has one.
        level: a limit for the vectors that are used.
        code: the integers of the code as `code` returns them, if they are known. The file may then hold the weights
            alone, and the checksum of the samples is not compared.

        Returns uint8 or uint16 (rows, columns, planes). Raises `NativeError`.
        """
        header = self.header(data)
        start, stop = rows or (0, -(-header.height >> octave))
        # Greater numbers would lose their upper bits in the request.
        if not (0 <= start < stop < 2**32 and 0 <= octave < 2**32 and 0 < parts < 2**32):
            raise NativeError(ERRORS.index("argument"))
        request = Request(octave, start, stop, is_beginning, parts, level=level)
        if code is not None:
            request.is_code_known = True
            self._with_code(request, code)
        samples = np.empty((stop - start, -(-header.width >> octave), header.planes), header.sample)
        try:
            self._decode(data, header, request, samples)
        except NativeError as error:
            if code is None or error.name != "samples":
                raise
        return samples

    def encode(self, data: bytes, code: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """Encode the integers of the code.

        data: a file that holds the weights alone. code: the integers as `code` returns them.

        Returns the words of the stream of weights and code, uint32, and for each section the words that a decoder takes
        until it has finished it. Raises `NativeError`.
        """
        header = self.header(data)
        request = self._with_code(Request(threads=1, level=BEST), code)
        memory = _Memory(self._memory(header, request))
        ends, count = (ctypes.c_uint64 * MOST_SECTIONS)(), ctypes.c_uint64(0)
        room = code.size // 4 + FIRST_WORDS
        while True:
            words = np.empty(room, np.uint32)
            error = self._own.ddc_encode(
                data,
                ctypes.c_size_t(len(data)),
                ctypes.c_void_p(request.code),
                ctypes.c_uint64(request.code_bytes),
                *memory.arguments,
                ctypes.c_void_p(words.ctypes.data),
                ctypes.c_uint64(room),
                ends,
                ctypes.byref(count),
            )
            if ERRORS[error] != "memory" or count.value <= room:
                self._check(error)
                return words[: count.value], list(ends)
            room = count.value

    def _decode(self, data, header, request, samples):
        size = 0 if samples is None else samples.nbytes
        memory = _Memory(self._memory(header, request))
        self._check(
            self._own.ddc_decode(
                data,
                ctypes.c_size_t(len(data)),
                ctypes.byref(request),
                *memory.arguments,
                ctypes.c_void_p(None if samples is None else samples.ctypes.data),
                ctypes.c_uint64(size),
            )
        )

    def _memory(self, header, request):
        size = self._own.ddc_memory(ctypes.byref(header), ctypes.byref(request))
        if not size:
            raise NativeError(ERRORS.index("argument"))
        return size

    def _with_code(self, request, code):
        if code.dtype != np.int16 or not code.flags.c_contiguous:
            raise NativeError(ERRORS.index("argument"))
        request.code, request.code_bytes = code.ctypes.data, code.nbytes
        return request

    def _check(self, error):
        if error:
            raise NativeError(error)


@cache
def own_library() -> Library | None:
    """Load the library of this package. None if it was not built, or of other sources, or for another machine."""
    try:
        return Library()
    except OSError:
        return None


def aligned(block: np.ndarray) -> int:
    """Return the first address in a block that is aligned as the library wants it."""
    return -(-block.ctypes.data // ALIGNMENT) * ALIGNMENT


class _Memory:
    """Memory of at least `size` bytes, aligned as the library wants it."""

    def __init__(self, size: int) -> None:
        self._block = np.empty(size + ALIGNMENT, np.uint8)
        self.arguments: tuple[Any, Any] = (
            ctypes.c_void_p(aligned(self._block)),
            ctypes.c_uint64(size),
        )

"""The two decoders of the package, and which of them is at work: the one in C, or the one in NumPy that it must equal.

Each also writes what it reads, since a writer needs the same contexts. Whatever one of them is asked, its integers, its
bytes and its samples are those of the other.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Protocol

import numpy as np

from ..errors import DamagedError, ShortMemoryError, UnsupportedError, UsageError
from ..native.library import Library, NativeError, own_library
from ..option_types import DECODERS
from .arch import LEAST_MEMORY, SAMPLES_COPIES, Arch
from .bounds import check_code, check_weights
from .coded import CodedImage
from .container import Body, stream_bytes
from .header import Header, pack_header
from .ops_int import numbers
from .pyramid import walk_code
from .render import checksum, render
from .weights import Weights, walk_weights
from .wire import Reader, Writer, stream_of

VARIABLE = "DDCODEC_DECODER"
"""The environment variable that names the decoder."""

_chosen: ContextVar[str | None] = ContextVar("decoder", default=None)


class Decoder(Protocol):
    """A decoder of `.ddc` files.

    coded_to: the finest octave whose code the file holds whole. If it is above 0, the finer octaves' code counts as 0.
    """

    name: str

    def description(self) -> str:
        """Name the decoder, and the vectors it uses."""

    def memory(self, arch: Arch, finest: int = 0) -> int:
        """Bytes that a decode to the size of octave `finest` needs beside the program."""

    def read(
        self, data: bytes, header: Header, body: Body, coded_to: int = 0
    ) -> tuple[dict[str, Weights], dict[int, np.ndarray]]:
        """Read weights and code, down to octave `coded_to`.

        Returns the fields `tensors` and `code` of a `CodedImage`. Raises `DamagedError`.
        """

    def write(self, coded: CodedImage) -> tuple[np.ndarray, list[int]]:
        """Write weights and code, which are in their ranges.

        Returns the words of the stream, uint32, and the entries of the section table.
        """

    def render(self, coded: CodedImage, finest: int = 0, threads: int | None = None) -> np.ndarray:
        """Make the samples of a `CodedImage`, at the size of octave `finest`.

        threads: of NumPy, at most 2; None for as many as there are. The codec in C has one.

        Returns uint8 or uint16 (H, W, planes), or (H, W) for one plane.
        """

    def decode(
        self, data: bytes, header: Header, body: Body, finest: int = 0, threads: int | None = None, coded_to: int = 0
    ) -> np.ndarray:
        """Read a file and make its samples, as `render` does. Whole pictures have the checksum of the header.

        Raises `DamagedError`.
        """


def decoder_at_work() -> Decoder:
    """Return the decoder that `chosen` or the environment names; by default the one in C, if it was built.

    Raises `UsageError` if the name is none of `DECODERS`, or if the one in C is named and was not built.
    """
    own = _chosen.get()
    name, where = (own, "--decoder") if own else (os.environ.get(VARIABLE, "").strip(), f"the variable {VARIABLE}")
    if name and name not in DECODERS:
        raise UsageError(f"There is no decoder {name!r}, which {where} names; there are {' and '.join(DECODERS)}.")
    native = None if name == "numpy" else native_decoder()
    if name == "native" and not native:
        raise UsageError(f"The native decoder, which {where} names, was not built when ddcodec was installed.")
    return native or NumpyDecoder()


@contextmanager
def chosen(name: str | None) -> Iterator[None]:
    """Let a decoder be at work in this thread. None leaves the choice as it is."""
    token = _chosen.set(name or _chosen.get())
    try:
        yield
    finally:
        _chosen.reset(token)


def native_decoder() -> "NativeDecoder | None":
    """Return the decoder in C, or None if `own_library` has none."""
    library = own_library()
    return NativeDecoder(library) if library else None


def samples_of(coded: CodedImage, finest: int = 0, threads: int | None = None) -> np.ndarray:
    """Make the samples of a `CodedImage` with the decoder at work; see `Decoder.render`."""
    return decoder_at_work().render(coded, finest, threads)


class NumpyDecoder:
    """The decoder in NumPy."""

    name = "numpy"

    def description(self) -> str:
        """See `Decoder`."""
        return self.name

    def memory(self, arch: Arch, finest: int = 0) -> int:
        """See `Decoder`."""
        return arch.memory(finest)

    def read(
        self, data: bytes, header: Header, body: Body, coded_to: int = 0
    ) -> tuple[dict[str, Weights], dict[int, np.ndarray]]:
        """See `Decoder`."""
        arch, reader = header.arch, Reader(body.words)
        tensors = walk_weights(arch, reader)
        weights = numbers(arch, check_weights(arch, tensors))
        return tensors, walk_code(arch, weights, reader, finest=coded_to)

    def write(self, coded: CodedImage) -> tuple[np.ndarray, list[int]]:
        """See `Decoder`."""
        writer = Writer()
        walk_weights(coded.arch, writer, coded.tensors)
        writer.end_section()
        walk_code(coded.arch, coded.numbers(), writer, coded.code)
        return writer.finish()

    def render(self, coded: CodedImage, finest: int = 0, threads: int | None = None) -> np.ndarray:
        """See `Decoder`."""
        return render(coded.arch, coded.numbers(), coded.code, finest, threads)

    def decode(
        self, data: bytes, header: Header, body: Body, finest: int = 0, threads: int | None = None, coded_to: int = 0
    ) -> np.ndarray:
        """See `Decoder`."""
        arch = header.arch
        tensors, code = self.read(data, header, body, coded_to)
        for octave in arch.coded_octaves:
            if octave not in code:
                code[octave] = np.zeros((arch.code_planes(octave), *arch.size(octave)), np.int32)
        samples = self.render(CodedImage(arch, tensors, code), finest, threads)
        if not finest and not coded_to and checksum(samples) != header.samples_crc:
            raise DamagedError(_SENTENCES["samples"])
        return samples


_SENTENCES = {
    "damaged": "The file is damaged: the checksum of its header or of its body does not match.",
    "stream": "The stream is damaged: it holds no possible symbol.",
    "weights": "A weight is out of its range, or the exponent or the table of a tensor is.",
    "code": "An integer of the code is out of its range.",
    "samples": "The decoded picture does not have the checksum that the file promises.",
    "unsupported": "The file uses a feature that this decoder does not know; a newer ddcodec may.",
    "memory": "There is not enough memory for this picture.",
}
"""What an error of the library means, by its name."""


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors of the library into those of the package."""
    try:
        yield
    except NativeError as error:
        kinds = {"unsupported": UnsupportedError, "memory": ShortMemoryError}
        raise kinds.get(error.name, DamagedError)(_SENTENCES[error.name]) from None


class NativeDecoder:
    """The decoder in C. Headers and bodies have been read by Python already, which says best what is wrong with one."""

    name = "native"

    def __init__(self, library: Library) -> None:
        self._library = library

    def description(self) -> str:
        """See `Decoder`."""
        return f"{self.name}, {self._library.level_name()}"

    def memory(self, arch: Arch, finest: int = 0) -> int:
        """See `Decoder`."""
        rows, columns = arch.size(finest)
        samples = rows * columns * arch.planes * arch.bits // 8
        own = self._library.memory(arch.as_dict(), finest)
        return LEAST_MEMORY + max(own + samples, SAMPLES_COPIES * samples)

    def read(
        self, data: bytes, header: Header, body: Body, coded_to: int = 0
    ) -> tuple[dict[str, Weights], dict[int, np.ndarray]]:
        """See `Decoder`."""
        arch = header.arch
        tensors = walk_weights(arch, Reader(body.words))
        check_weights(arch, tensors)
        with _told():
            flat = self._library.code(data, is_beginning=coded_to > 0)
        code = {}
        for octave in arch.coded_octaves:
            shape = (arch.code_planes(octave), *arch.size(octave))
            if octave >= coded_to:
                code[octave] = flat[: np.prod(shape)].reshape(shape).astype(np.int32)
            flat = flat[np.prod(shape) :]
        return tensors, code

    def write(self, coded: CodedImage) -> tuple[np.ndarray, list[int]]:
        """See `Decoder`."""
        with _told():
            words, ends = self._library.encode(_weights_file(coded), _flat(coded))
        return stream_of(words, ends[: 1 + len(coded.arch.coded_octaves)])

    def render(self, coded: CodedImage, finest: int = 0, threads: int | None = None) -> np.ndarray:
        """See `Decoder`."""
        return self._samples(_weights_file(coded), finest, code=_flat(coded))

    def decode(
        self, data: bytes, header: Header, body: Body, finest: int = 0, threads: int | None = None, coded_to: int = 0
    ) -> np.ndarray:
        """See `Decoder`."""
        return self._samples(data, finest, is_beginning=coded_to > 0)

    def _samples(self, data, finest, **request):
        with _told():
            samples = self._library.decode(data, finest, **request)
        return samples if samples.shape[2] > 1 else samples[:, :, 0]


def _flat(coded):
    """The integers of the code as the library takes them."""
    planes = [coded.code[octave] for octave in coded.arch.coded_octaves]
    for own in planes:
        check_code(own)
    return np.concatenate([own.reshape(-1) for own in planes]).astype(np.int16)


def _weights_file(coded):
    """A file that holds the weights alone: how the library is told of them."""
    writer = Writer()
    walk_weights(coded.arch, writer, coded.tensors)
    writer.end_section()
    words, sections = writer.finish()
    body = stream_bytes(words, [*sections, *[0] * len(coded.arch.coded_octaves)])
    return pack_header(replace(coded, chunks=()), body) + body

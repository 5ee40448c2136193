"""Decoding: bytes to `CodedImage` to samples.

Limits are checked before anything is allocated.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .errors import LimitError, ShortMemoryError, UsageError
from .format.alpha import alpha_of
from .format.arch import Arch, base_arch
from .format.container import Body, has_trailing_bytes, read_body
from .format.decoders import chosen, decoder_at_work
from .format.header import read_header
from .format.metadata import KINDS, metadata_of
from .format.render import square_means
from .machine import available_addresses, available_memory, memory_text
from .option_types import settle_types, settled
from .picture import Picture
from .surroundings import with_usual_errors

LEAST_SECONDS = 2
"""Seconds by `Arch.seconds` that a decode of any picture may take, however small.

The limit is one of work: it is in seconds of NumPy whatever decoder is at work, so that a file passes it everywhere.
The decoder in C takes a twenty-fifth of that time or less.
"""

TIMES_USUAL = 1.5
"""Time that a decode may take beyond that, in multiples of what the bases' network takes for a picture of that size.

The profile `classic` needs at most 1.42.
"""

TRAILING_BYTES = "There are bytes behind the end of the file; they are no part of it."
"""The note on a file that is followed by other bytes."""

THREADS_ADDRESSES = 96 * 2**20
"""Bytes of addresses that the library of matrix products and the stacks of two threads reserve.

Most of them are never used, but they count where addresses are limited.
"""


@dataclass(frozen=True)
class Limits:
    """Limits on the cost of a decode. 0 means no limit.

    max_pixels: pixels of the picture. Without this limit there is none on time either.
    max_memory: bytes of memory.

    Raises `UsageError` for values below 0 or of other types.
    """

    max_pixels: int = 100_000_000
    max_memory: int = 4 * 2**30

    def __post_init__(self) -> None:
        settle_types(self)
        if min(self.max_pixels, self.max_memory) < 0:
            raise UsageError("Limits of a decode must be 0, for none, or more.")

    def check(self, arch: Arch, finest: int = 0) -> None:
        """Raise `LimitError` if a decode to the size of octave `finest` would cost more."""
        pixels, memory = arch.width * arch.height, decoder_at_work().memory(arch, finest)
        seconds = arch.seconds(finest)
        if self.max_pixels and pixels > self.max_pixels:
            raise LimitError(
                f"The picture has {arch.width}x{arch.height} = {pixels:,} pixels, above the limit of "
                f"{self.max_pixels:,} (--max-pixels)."
            )
        if self.max_memory and memory > self.max_memory:
            raise LimitError(
                f"Decoding would need {memory_text(memory)} of memory, above the limit of "
                f"{memory_text(self.max_memory)} (--max-memory)."
            )
        most = LEAST_SECONDS + TIMES_USUAL * base_arch(arch.width, arch.height, arch.planes, depth=arch.depth).seconds()
        if self.max_pixels and seconds > most:
            raise LimitError(
                f"Decoding would take NumPy some {seconds:,.0f} seconds, above the limit of {most:,.0f} for a picture "
                "of that size (--max-pixels 0 lifts it)."
            )

    def flags_for(self, arch: Arch) -> list[str]:
        """List the options that the command `decode` needs for a file of `arch` if these limits are its defaults.

        An example is ["--max-pixels 120000000"].
        """
        pixels, mebibytes = arch.width * arch.height, -(-decoder_at_work().memory(arch) // 2**20)
        wished = (
            (f"--max-pixels {pixels}", pixels > self.max_pixels),
            (f"--max-memory {mebibytes}M", mebibytes * 2**20 > self.max_memory),
        )
        return [flag for flag, is_needed in wished if is_needed]


def check_memory(arch: Arch, finest: int = 0) -> None:
    """Raise `ShortMemoryError` if less memory is free than a decode to the size of octave `finest` needs.

    Without this check NumPy's library would end the process where it gets no memory.
    """
    needed = decoder_at_work().memory(arch, finest)
    for free, reserved in (available_memory(), 0), (available_addresses(), THREADS_ADDRESSES):
        if free is not None and free < needed + reserved:
            raise ShortMemoryError(
                f"Decoding needs about {memory_text(needed + reserved)} of memory; {memory_text(free)} are free."
            )


@with_usual_errors
def decode_file(
    data: bytes,
    *,
    scale: int = 1,
    limits: Limits = Limits(),
    threads: int | None = None,
    metadata: Container[str] = KINDS,
    decoder: str | None = None,
) -> Picture:
    """Decode a `.ddc` file to a `Picture`, in the order of FORMAT.md's chapters.

    The picture's notes say what is odd about the file.

    scale: 1, or a power of two for a picture of ceil(size / scale). All code is read then, but less is synthesised.
    limits: what the decode may cost.
    threads: of the synthesis, at most 2; None for as many as there are.
    metadata: names of the kinds of metadata to read.
    decoder: "native" or "numpy"; None for the one that is at work, see `format.decoders`.

    Raises `DamagedError`, `UnsupportedError`, `LimitError` and `ShortMemoryError`. Raises `UsageError` for a scale that
    the file does not have, and for a decoder that is not there.
    """
    with chosen(decoder):
        header = read_header(data)
        arch, finest = header.arch, octave_of(scale, header.arch)
        limits.check(arch, finest)
        check_memory(arch, finest)
        body = read_body(data, header)
        samples = decoder_at_work().decode(data, header, body, finest, threads)
    return replace(with_chunks(samples, arch, body.chunks, finest, metadata), notes=notes_on(data, body))


def notes_on(data: bytes, body: Body) -> tuple[str, ...]:
    """Tell in sentences what is odd about a file that decodes."""
    return (TRAILING_BYTES,) if has_trailing_bytes(data, body) else ()


def with_chunks(
    samples: np.ndarray, arch: Arch, chunks: Sequence[tuple[int, bytes]], finest: int, metadata: Container[str]
) -> Picture:
    """Make the `Picture` of samples and of what stands in chunks: alpha and metadata.

    samples: of the size of octave `finest`. metadata: names of the kinds to read.

    Raises `DamagedError`.
    """
    alpha = alpha_of(chunks, arch)
    if alpha is not None and finest:
        alpha = square_means(alpha, 1 << finest).astype(alpha.dtype)
    return Picture(samples, metadata_of(chunks, metadata), alpha)


def octave_of(scale: int, arch: Arch) -> int:
    """Find the octave of the size of a picture of 1 / scale. Raises `UsageError` if there is none."""
    scale = settled("scale", int, scale)
    octave = scale.bit_length() - 1
    if scale < 1 or scale != 1 << octave:
        raise UsageError(f"The scale must be 1, 1/2, 1/4 or 1/8, not 1/{scale}.")
    if octave >= arch.octaves:
        raise UsageError(
            f"The file has {arch.octaves} octave{'s' * (arch.octaves > 1)}: its smallest scale is "
            f"1/{1 << arch.octaves - 1}, not 1/{scale}."
        )
    return octave

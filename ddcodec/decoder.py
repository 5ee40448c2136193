"""Decoding: bytes to `CodedImage` to samples, within limits that are checked before anything is allocated."""

from dataclasses import dataclass, replace

from .errors import DamagedError, LimitError, ShortMemoryError, UsageError
from .format.alpha import alpha_of
from .format.arch import base_arch
from .format.bounds import check_weights
from .format.container import has_trailing_bytes, read_body
from .format.header import read_header
from .format.metadata import KINDS, metadata_of
from .format.ops_int import numbers as numbers_of
from .format.pyramid import walk_code
from .format.render import checksum, render, square_means
from .format.weights import walk_weights
from .format.wire import Reader
from .machine import available_addresses, available_memory, memory_text
from .option_types import settle_types, settled
from .picture import Picture
from .surroundings import with_usual_errors

LEAST_SECONDS, TIMES_USUAL = 2, 1.5
"""What a decode may take by `Arch.seconds`: so many times what the bases' network takes for a picture of that size, of
which `classic` needs 1.42 at most, and the least, for small pictures.
"""


TRAILING_BYTES = "There are bytes behind the end of the file; they are no part of it."


THREADS_ADDRESSES = 96 * 2**20
"""Bytes that the library of matrix products and the stacks of two threads keep free for themselves; most of them are
never used, but they count where addresses are limited.
"""


@dataclass(frozen=True)
class Limits:
    """What a decode may cost: pixels of the picture, and with them its time; bytes of memory. 0 means no limit."""

    max_pixels: int = 100_000_000
    max_memory: int = 4 * 2**30

    def __post_init__(self):
        settle_types(self)
        if min(self.max_pixels, self.max_memory) < 0:
            raise UsageError("Limits of a decode must be 0, for none, or more.")

    def check(self, arch, finest=0):
        """Raise `LimitError` if a decode to the size of octave `finest` would cost more."""
        pixels, memory, seconds = arch.width * arch.height, arch.memory(finest), arch.seconds(finest)
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
                f"Decoding would take some {seconds:,.0f} seconds, above the limit of {most:,.0f} for a picture of "
                "that size (--max-pixels 0 lifts it)."
            )

    def flags_for(self, arch):
        """The options that the command `decode` needs for a file of `arch` where these limits are its defaults:
        ["--max-pixels 120000000"], or none.
        """
        pixels, mebibytes = arch.width * arch.height, -(-arch.memory() // 2**20)
        wished = (
            (f"--max-pixels {pixels}", pixels > self.max_pixels),
            (f"--max-memory {mebibytes}M", mebibytes * 2**20 > self.max_memory),
        )
        return [flag for flag, is_needed in wished if is_needed]


def check_memory(arch, finest=0):
    """Raise `ShortMemoryError` if less is free than a decode to the size of octave `finest` needs: NumPy's library ends
    the process where it gets none.
    """
    needed = arch.memory(finest)
    for free, reserved in (available_memory(), 0), (available_addresses(), THREADS_ADDRESSES):
        if free is not None and free < needed + reserved:
            raise ShortMemoryError(
                f"Decoding needs about {memory_text(needed + reserved)} of memory; {memory_text(free)} are free."
            )


@with_usual_errors
def decode_file(data, *, scale=1, limits=Limits(), threads=None, metadata=KINDS):
    """Decode a `.ddc` file (bytes) to a `Picture`, in the order of FORMAT.md's chapters; its notes say what is odd.

    threads: of the synthesis, at most 2. scale: 1, or a power of two: a picture of ceil(size / scale), for which all
    code is read, but less is synthesised. metadata: the kinds that are wanted. Raises `DamagedError`,
    `UnsupportedError`, `LimitError`, `ShortMemoryError`, and `UsageError` for a scale that the file does not have.
    """
    header = read_header(data)
    arch, finest = header.arch, octave_of(scale, header.arch)
    limits.check(arch, finest)
    check_memory(arch, finest)
    body = read_body(data, header)
    reader = Reader(body.words)
    numbers = numbers_of(check_weights(arch, walk_weights(arch, reader)))
    code = walk_code(arch, numbers, reader)
    samples = render(arch, numbers, code, finest, threads)
    if finest == 0 and checksum(samples) != header.samples_crc:
        raise DamagedError("The decoded picture does not have the checksum that the file promises.")
    return replace(with_chunks(samples, arch, body.chunks, finest, metadata), notes=notes_on(data, body))


def notes_on(data, body):
    """What is to be said of a file that decodes, in sentences."""
    return (TRAILING_BYTES,) if has_trailing_bytes(data, body) else ()


def with_chunks(samples, arch, chunks, finest, metadata):
    """The `Picture` of samples of the size of octave `finest`, with its alpha and the wanted kinds of metadata.

    Raises `DamagedError`.
    """
    alpha = alpha_of(chunks, arch)
    if alpha is not None and finest:
        alpha = square_means(alpha, 1 << finest).astype(alpha.dtype)
    return Picture(samples, metadata_of(chunks, metadata), alpha)


def octave_of(scale, arch):
    """The octave of the size of a picture of 1 / scale. Raises `UsageError` where there is none."""
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

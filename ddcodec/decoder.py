"""Decoding: bytes to `CodedImage` to samples, within limits that are checked before anything is allocated."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from .errors import DamagedError, LimitError, ShortMemoryError, UsageError
from .format import ops_int
from .format.alpha import alpha_of
from .format.arch import BANDS_AT_ONCE, CODE_STEP, base_arch
from .format.metadata import KINDS, metadata_of
from .format.network import synthesis
from .format.syntax import has_trailing_bytes, read_body, read_header, unpack_body
from .machine import available_addresses, available_cores, available_memory, memory_text
from .option_types import settle_types, settled
from .picture import as_bytes
from .pictures.read import Picture
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
    """The `Picture` in a `.ddc` file; its notes say what is odd about that.

    threads: of the synthesis, at most 2. scale: 1, or a power of two: a picture of ceil(size / scale), for which all
    code is read, but less is synthesised. metadata: the kinds that are wanted. Raises `DamagedError`,
    `UnsupportedError`, `LimitError`, `ShortMemoryError`, and `UsageError` for a scale that the file does not have.
    """
    header, body, finest = _opened(data, scale, limits)
    picture = with_chunks(_samples(header, body, finest, threads), header.arch, body.chunks, finest, metadata)
    return replace(picture, notes=notes_on(data, body))


def notes_on(data, body):
    """What is to be said of a file that decodes, in sentences."""
    return (TRAILING_BYTES,) if has_trailing_bytes(data, body) else ()


def with_chunks(samples, arch, chunks, finest, metadata):
    """The `Picture` of samples of the size of octave `finest`, with its alpha and the wanted kinds of metadata.

    Raises `DamagedError`.
    """
    alpha = alpha_of(chunks, arch)
    if alpha is not None and finest:
        alpha = ops_int.square_means(alpha, 1 << finest).astype(alpha.dtype)
    return Picture(samples, metadata_of(chunks, metadata), alpha)


@with_usual_errors
def decode_picture(data, *, scale=1, limits=Limits(), threads=None):
    """The samples of a `.ddc` file alone, uint8 or uint16, (H, W) or (H, W, 3); arguments and errors are those of
    `decode_file`.
    """
    return _samples(*_opened(data, scale, limits), threads)


def _opened(data, scale, limits):
    data = bytes(data)
    header = read_header(data)
    finest = octave_of(scale, header.arch)
    limits.check(header.arch, finest)
    check_memory(header.arch, finest)
    return header, read_body(data, header), finest


def _samples(header, body, finest, threads):
    samples = render(unpack_body(header, body), finest, threads)
    if finest == 0 and checksum(samples) != header.samples_crc:
        raise DamagedError("The decoded picture does not have the checksum that the file promises.")
    return samples


def checksum(samples):
    """CRC-32 of samples, as a file holds it (FORMAT.md, chapter 1)."""
    return crc32(as_bytes(samples))


def render(coded, finest=0, threads=None):
    """The synthesis in exact integers, in bands of rows: uint8 or uint16 (H, W, planes), or (H, W) for one plane.
    finest: above 0 for the smaller picture of that octave's size.
    """
    arch = coded.arch
    ops, numbers = ops_int.IntegerOps(), ops_int.numbers(arch, coded.tensors)
    rows, columns = arch.size(finest)
    samples = np.empty((rows, columns, arch.planes), f"uint{arch.bits}")

    # What is finer than the picture comes in by its means.
    means = {
        octave: ops_int.square_means(coded.code[octave], 1 << finest - octave, CODE_STEP) / CODE_STEP
        for octave in arch.coded_octaves
        if octave < finest
    }

    def code(octave, window):
        return means.get(octave, coded.code[octave])[:, window.start : window.stop].astype(float)

    def make(window):
        band = synthesis(ops, arch, numbers, code, window, finest)
        samples[window.start : window.stop] = band.transpose(1, 2, 0)

    # NumPy lets go of the interpreter while it works on arrays of such a size.
    with ThreadPoolExecutor(min(threads or available_cores(), BANDS_AT_ONCE)) as pool:
        list(pool.map(make, arch.bands(finest)))
    return samples if arch.planes > 1 else samples[:, :, 0]


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

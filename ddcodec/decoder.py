"""Decoding: bytes to `CodedImage` to samples, within limits that are checked before anything is allocated."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from . import ops_int
from .arch import BANDS_AT_ONCE
from .errors import DamagedError, LimitError, UsageError
from .memory import available_cores
from .network import synthesis
from .syntax import read_body, read_header, unpack_body

OPERATIONS_MAX = 2 * 10**12
WAVEFRONTS_MAX = 10**6


@dataclass(frozen=True)
class Limits:
    """What a decode may cost: pixels of the picture, bytes of memory. 0 means no limit. Time has limits that cannot be raised."""

    max_pixels: int = 100_000_000
    max_memory: int = 4 * 2**30

    def check(self, arch):
        pixels = arch.width * arch.height
        if self.max_pixels and pixels > self.max_pixels:
            raise LimitError(
                f"The picture has {arch.width}x{arch.height} = {pixels:,} pixels, above the limit of {self.max_pixels:,} (--max-pixels)."
            )
        memory = arch.memory()
        if self.max_memory and memory > self.max_memory:
            raise LimitError(
                f"Decoding would need {memory / 2**20:,.0f} MiB, above the limit of {self.max_memory / 2**20:,.0f} MiB (--max-memory)."
            )
        if arch.macs() > OPERATIONS_MAX:
            raise LimitError(f"Decoding would need {arch.macs():.1e} multiplications, above the fixed limit of {OPERATIONS_MAX:.0e}.")
        if arch.wavefronts() > WAVEFRONTS_MAX:
            raise LimitError(f"Decoding would need {arch.wavefronts():,} steps, above the fixed limit of {WAVEFRONTS_MAX:,}.")


def decode_picture(data, *, scale=1, limits=Limits(), threads=None):
    """Samples of a `.ddc` file: uint8, (H, W, 3) or (H, W).

    threads: of the synthesis, at most 2. scale: 1, or a power of two: a picture of ceil(size / scale), from the coarser octaves only.
    Raises `DamagedError`, `UnsupportedError`, `LimitError`, and `UsageError` for a scale that the file does not have.
    """
    data = bytes(data)
    header = read_header(data)
    limits.check(header.arch)
    finest = _octave_of(scale, header.arch)
    coded = unpack_body(header, read_body(data, header), finest)
    samples = render(coded, finest, threads)
    if finest == 0 and crc32(samples) != header.samples_crc:
        raise DamagedError("The decoded picture does not have the checksum that the file promises.")
    return samples


def render(coded, finest=0, threads=None):
    """The synthesis in exact integers, in bands of rows: uint8 (H, W, planes), or (H, W) for one plane."""
    arch = coded.arch
    ops, numbers = ops_int.IntegerOps(), ops_int.numbers(arch, coded.tensors)
    rows, columns = arch.size(finest)
    samples = np.empty((rows, columns, arch.planes), np.uint8)

    def code(octave, window):
        return coded.code[octave][:, window.start : window.stop].astype(float)

    def make(window):
        band = synthesis(ops, arch, numbers, code, arch.windows(window.start, window.stop, finest), finest)
        samples[window.start : window.stop] = band.transpose(1, 2, 0)

    # NumPy lets go of the interpreter while it works on arrays of such a size.
    with ThreadPoolExecutor(min(threads or available_cores(), BANDS_AT_ONCE)) as pool:
        list(pool.map(make, arch.bands(finest)))
    return samples if arch.planes > 1 else samples[:, :, 0]


def _octave_of(scale, arch):
    octave = int(scale).bit_length() - 1
    if scale < 1 or scale != 1 << octave:
        raise UsageError(f"The scale must be 1, 1/2, 1/4 or 1/8, not 1/{scale}.")
    if octave >= arch.octaves:
        raise UsageError(f"The file has {arch.octaves} octaves: its smallest scale is 1/{1 << arch.octaves - 1}, not 1/{scale}.")
    return octave

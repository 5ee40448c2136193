"""Rendering: the code becomes samples in exact integers, band by band (FORMAT.md, chapter 7)."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import numpy as np

from ..machine import available_cores
from ..picture import as_bytes
from .arch import BANDS_AT_ONCE, Arch
from .network import synthesis
from .ops_int import IntegerOps


def checksum(samples: np.ndarray) -> int:
    """Compute the CRC-32 of samples that a file holds (FORMAT.md, chapter 1)."""
    return crc32(as_bytes(samples))


def render(
    arch: Arch,
    numbers: Mapping[str, np.ndarray],
    code: Mapping[int, np.ndarray],
    finest: int = 0,
    threads: int | None = None,
) -> np.ndarray:
    """Make samples of the code, in bands of rows.

    numbers: name -> float64 array as `ops_int.numbers` gives them.
    code: octave -> integers (code planes, rows, columns), for all octaves.
    finest: above 0 for the smaller picture of that octave's size.
    threads: at most 2; None for as many as there are.

    Returns uint8 or uint16 (H, W, planes), or (H, W) for one plane.
    """
    ops = IntegerOps(arch.headroom)
    rows, columns = arch.size(finest)
    samples = np.empty((rows, columns, arch.planes), f"uint{arch.bits}")

    # A smaller picture sees means of the code that is finer than itself (FORMAT.md, chapter 7).
    means = {
        octave: square_means(code[octave], 1 << finest - octave, ops.synthesis_step) / ops.synthesis_step
        for octave in arch.coded_octaves
        if octave < finest
    }

    def planes(octave, window):
        return means.get(octave, code[octave])[:, window.start : window.stop].astype(float)

    def make(window):
        band = synthesis(ops, arch, numbers, planes, window, finest)
        samples[window.start : window.stop] = band.transpose(1, 2, 0)

    # NumPy lets go of the interpreter while it works on arrays of such a size.
    with ThreadPoolExecutor(min(threads or available_cores(), BANDS_AT_ONCE)) as pool:
        list(pool.map(make, arch.bands(finest)))
    return samples if arch.planes > 1 else samples[:, :, 0]


def square_means(planes: np.ndarray, side: int, unit: int = 1) -> np.ndarray:
    """Compute floor(unit mean + 1/2) over squares of side x side integers.

    At the right and lower ends a mean is that of the integers that are there.

    planes: integers (..., rows, columns). Returns int64 (..., ceil(rows / side), ceil(columns / side)).
    """
    total, counts = np.asarray(planes, np.int64), np.int64(1)
    for axis in (-2, -1):
        starts = np.arange(0, total.shape[axis], side)
        lengths = np.minimum(side, planes.shape[axis] - starts)
        total, counts = np.add.reduceat(total, starts, axis), counts * (lengths[:, None] if axis == -2 else lengths)
    return (2 * unit * total + counts) // (2 * counts)

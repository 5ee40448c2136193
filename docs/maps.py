"""Map where in a picture the bits went, and show numbers as colours and as shades of grey.

The bits are those of the code's own probabilities.
"""

from collections.abc import Mapping

import numpy as np

from ddcodec.format.header import read_header
from ddcodec.native.library import Library

COLOURS = (
    (0, 0, 4),
    (33, 12, 74),
    (87, 16, 110),
    (138, 34, 106),
    (188, 55, 84),
    (228, 90, 49),
    (249, 142, 9),
    (249, 203, 53),
    (252, 255, 164),
)
"""Equidistant points of a colour scale that gets lighter all the way: (red, green, blue) in 0..255.

It follows *inferno* of Smith, van der Walt and Firing (CC0).
"""
TOP = 8
"""Bits at the top of the colour scale, unless many places have more."""
GAP = 1
"""White pixels between the planes of an octave."""


def bit_maps(data: bytes) -> dict[int, np.ndarray]:
    """Compute the bits of a file's code at each place: octave -> (rows, columns), the sum over the octave's planes."""
    arch, result = read_header(data).arch, {}
    costs = np.empty(arch.positions(), np.uint16)
    Library().code(data, costs=costs)
    for octave in arch.coded_octaves:
        own, costs = np.split(costs, [arch.code_planes(octave) * int(np.prod(arch.size(octave)))])
        result[octave] = own.reshape(-1, *arch.size(octave)).sum(0, dtype=float) / 256
    return result


def spread(maps: Mapping[int, np.ndarray], rows: int, columns: int) -> np.ndarray:
    """Sum all `bit_maps` in bits per pixel of the picture: (rows, columns).

    The bits of a coarser octave are shared among the pixels that each place covers.
    """
    total = np.zeros((rows, columns))
    for octave, bits in maps.items():
        high, wide = (
            np.diff(np.minimum(np.arange(side + 1) << octave, whole))
            for side, whole in zip(bits.shape, (rows, columns))
        )
        total += np.repeat(np.repeat(bits / np.outer(high, wide), high, 0), wide, 1)
    return total


def top_of(maps: Mapping[int, np.ndarray]) -> int:
    """Return the bits at the top of the colour scale: `TOP`, or that doubled until it suffices.

    It suffices where no more than one place in a hundred of each map has more.
    """
    greatest = max(np.percentile(bits, 99) for bits in maps.values())
    return TOP << max(0, int(np.ceil(np.log2(max(greatest, 1) / TOP))))


def heat(bits: np.ndarray, top: float) -> np.ndarray:
    """Show bits 0..top in `COLOURS`, more than `top` as top: uint8 (rows, columns, 3).

    The scale goes by square roots, since most places have little and some have much.
    """
    steps = np.linspace(0, 1, 256)
    table = (
        np.stack([np.interp(steps, np.linspace(0, 1, len(COLOURS)), channel) for channel in zip(*COLOURS)], 1)
        .round()
        .astype(np.uint8)
    )
    return table[(np.sqrt(np.minimum(bits / top, 1)) * 255).round().astype(np.uint8)]


def grey(planes: np.ndarray) -> tuple[np.ndarray, int]:
    """Lay planes of integers (P, rows, columns) side by side in a near square, 0 as middle grey.

    The results are uint8 (H, W), and the number that is white.
    """
    count, rows, columns = planes.shape
    peak = max(1, int(abs(planes).max()))
    across = int(np.ceil(np.sqrt(count)))
    sheet = np.full((-(-count // across) * (rows + GAP) - GAP, across * (columns + GAP) - GAP), 255, np.uint8)
    for i, plane in enumerate(planes):
        top, left = i // across * (rows + GAP), i % across * (columns + GAP)
        sheet[top : top + rows, left : left + columns] = np.round(128 + plane * (127 / peak))
    return sheet, peak

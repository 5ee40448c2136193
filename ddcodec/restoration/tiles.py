"""Split a picture into overlapping tiles and fade them into one another, for when memory is short."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

OVERLAP = 64
"""Pixels by which neighbouring tiles overlap."""
LEAST_SIDE = 192
"""Pixels of a tile's longest side at which it is not made smaller."""


@dataclass(frozen=True)
class Tile:
    """Rows top..bottom - 1 and columns left..right - 1 of a picture."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, picture: np.ndarray) -> np.ndarray:
        """Return the tile's part of a picture (H, W, ...), which shares its memory."""
        return picture[self.top : self.bottom, self.left : self.right]

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, columns)."""
        return self.bottom - self.top, self.right - self.left


def tiles_for(height: int, width: int, fits: Callable[[int, int], bool]) -> list[Tile]:
    """Split a picture into the fewest equal tiles that can be worked on, or into the smallest there are.

    The tiles overlap by `OVERLAP` pixels or more.

    fits: tells of a height and a width whether a tile of that size can be worked on.
    """
    rows = columns = 1
    while True:
        tiles = [Tile(*down, *across) for down in _spans(height, rows) for across in _spans(width, columns)]
        most = max(tile.shape[0] for tile in tiles), max(tile.shape[1] for tile in tiles)
        if fits(*most) or max(most) <= LEAST_SIDE:
            return tiles
        if most[0] >= most[1]:
            rows += 1
        else:
            columns += 1


def joined(parts: Sequence[np.ndarray], tiles: Sequence[Tile], shape: tuple[int, int, int]) -> tuple[np.ndarray, float]:
    """Join the parts of a picture, and measure how far they are apart where they overlap.

    The measure is the root of their mean squared difference, or 0.

    parts: each (tile's height, tile's width, planes).
    shape: the picture's, (H, W, planes).
    """
    total, weights, squares, count = np.zeros(shape, np.float32), np.zeros(shape[:2], np.float32), 0.0, 0
    for part, tile in zip(parts, tiles):
        down, across = (
            _fade(length, first > 0, last < side)
            for length, first, last, side in (
                (tile.shape[0], tile.top, tile.bottom, shape[0]),
                (tile.shape[1], tile.left, tile.right, shape[1]),
            )
        )
        weight = down[:, None] * across
        before = tile.of(weights) > 0
        if before.any():
            present = tile.of(total)[before] / tile.of(weights)[before][:, None]
            squares, count = squares + float(np.square(present - part[before]).sum()), count + part[before].size
        tile.of(total)[:] += part * weight[..., None]
        tile.of(weights)[:] += weight
    return total / weights[..., None], np.sqrt(squares / count) if count else 0.0


def _spans(side, count):
    """Return (start, stop) of `count` equal parts that overlap."""
    length = min(side, -(-(side + (count - 1) * OVERLAP) // count))
    starts = np.linspace(0, side - length, count).round().astype(int)
    return [(int(start), int(start) + length) for start in starts]


def _fade(length, at_start, at_end):
    """Return weights that rise and fall over the tile's overlaps with its neighbours."""
    ramp = np.minimum(1, (np.arange(length) + 1) / (OVERLAP + 1)).astype(np.float32)
    fade = np.ones(length, np.float32)
    if at_start:
        fade *= ramp
    if at_end:
        fade *= ramp[::-1]
    return fade

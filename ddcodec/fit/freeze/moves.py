"""Moves: single integers of the code go up or down by one where D + lambda R falls.

They are the end of a fit, when the weights are those of the file. All that one integer changes lies near it: its own
bits, the bits of the integers that see it, and the pixels that it reaches. So integers that are far enough apart move
all at once, and everything is measured once. Each integer keeps its move if the sum over its own tile has fallen. Tiles
do not overlap, so that this is exact for squared error. A form of the eye has cells that lie in two tiles; what their
moves do to each other there is shared evenly.
"""

from collections.abc import Callable
from time import monotonic

import numpy as np

from ...format.arch import CODE_MAX, FILTER_REACH, NEIGHBOURS
from ..descent.progress import Progress, progress_of
from ..descent.protocols import SearchableFit

SEEN_LEFT = max(dx for dx, _ in NEIGHBOURS)
"""Columns to the left up to which other integers see an integer as a neighbour."""
SEEN_RIGHT = max(-dx for dx, _ in NEIGHBOURS)
"""Columns to the right up to which they do."""
SEEN_BELOW = max(-dy for _, dy in NEIGHBOURS)
"""Rows below up to which they do."""
OCTAVES = 3
"""The greatest number of octaves whose integers are moved, the finest first; three hold nearly all bits."""
LEAST_SHARE = 0.02
"""Share of the code's bits below which an octave is left as it is."""
MOVES = (0, 1, -1)
"""The moves in the order of their sweeps: by one towards zero (0), up, down."""
MOST = 1500
"""The most measurements after a fit: three rounds of sweeps.

2,700 gain next to nothing (bench/notebook/freezing.md).
"""


def measurements_for(steps: int) -> int:
    """Return how many measurements the moves may make after a fit of so many steps.

    A measurement takes about half as long as a step. In short fits, where they do not suffice for a whole sweep, the
    time is better spent on steps.
    """
    return min(MOST, steps // 3)


def improve(
    fit: SearchableFit,
    measurements: int,
    *,
    is_over: Callable[[], bool] = lambda: False,
    progress: Callable[[Progress], None] | None = None,
) -> float:
    """Move integers of the code of a fit while that pays. Return by how much D + lambda R has fallen.

    fit:          a `SearchableFit`. Its weights must be final, and each octave must have one code plane.
    measurements: the most measurements to make.
    is_over:      ends the moves once it returns true.
    """
    search = _Search(fit, measurements, is_over, progress)
    search.run()
    return search.fallen


class _Search:
    def __init__(self, fit, measurements, is_over, progress):
        self._fit, self._left, self._all, self._is_over, self._progress = (
            fit,
            measurements,
            measurements,
            is_over,
            progress,
        )
        self._started, self.fallen = monotonic(), 0.0

    def run(self):
        before, octaves = None, _worth(self._fit)
        while self.fallen != before:
            before = self.fallen
            for octave in octaves:
                for move in MOVES:
                    if not self._sweep(octave, move):
                        return

    def _sweep(self, octave, move):
        """Try a move at every place of an octave. Return False if there was no time to begin or to finish."""
        fit, size = self._fit, self._fit.arch.size(octave)
        rows, columns = (min(*pair) for pair in zip(_spacing(fit.arch, octave), size))
        if self._left < rows * columns:
            return False
        # `maps` takes the coarser octaves as they were measured last; this measures all of them.
        loss = fit.evaluate()
        values, costs = fit.rounded_code()[octave][0], self._costs(octave, anew=True)
        for start in np.ndindex(rows, columns):
            if self._is_over():
                return False
            places = tuple(slice(first, None, step) for first, step in zip(start, _spacing(fit.arch, octave)))
            before = values[places].copy()
            moved = np.clip(before + (move or -np.sign(before)), -CODE_MAX, CODE_MAX)
            values[places] = moved
            fit.put_plane(octave, values)
            tried = self._costs(octave)
            tiles = [_Tiles(fit.arch, octave, kind, start, before.shape, cost.shape) for kind, cost in enumerate(costs)]
            change = sum(own.sums(new - old) for own, new, old in zip(tiles, tried, costs))
            kept = (change < 0) & (moved != before)
            values[places] = np.where(kept, moved, before)
            for own, new, old in zip(tiles, tried, costs):
                own.take(old, new, kept)
            fit.put_plane(octave, values)
            self.fallen -= float(change[kept].sum())
            self._left -= 1
            self._tell(loss)
        return True

    def _costs(self, octave, anew=False):
        """Return the part of D + lambda R that a move can change, as arrays whose sum it is.

        The first has the cost of each pixel, the second that of each integer of the octave. The others have the costs
        of the integers of all finer octaves, the next finer first. anew: a sweep begins.
        """
        fit = self._fit
        bits, parts = fit.maps(octave, anew)
        # Costs of pixels are those since the sweep began.
        return [0 * parts if anew else parts, *(own * np.float32(fit.lambda_ / fit.pixels) for own in bits)]

    def _tell(self, loss):
        if self._progress:
            done = self._all - self._left
            self._progress(
                progress_of("code", done, self._all, loss, self._fit, (monotonic() - self._started) * self._left / done)
            )


def _worth(fit):
    """Return the octaves whose integers are moved, the finest first."""
    bits, _ = fit.maps(fit.arch.octaves - 1, anew=True)
    own = [float(octave.sum()) for octave in reversed(bits)]
    return [octave for octave, share in enumerate(own) if share >= LEAST_SHARE * sum(own)][:OCTAVES]


def _spacing(arch, octave):
    """Return the rows and columns between integers that are moved at once."""
    seen = SEEN_BELOW + 1, SEEN_LEFT + SEEN_RIGHT + 1
    # `_reach` places on either side and the integer's own, which gives room to the longer reach of an upsampling.
    painted = 2 * _reach(arch, octave) + 1
    return tuple(max(painted, each) for each in seen)


def _reach(arch, octave):
    """Return the places of an octave from an integer back to the first pixel that it changes.

    They are the reach of the filter, and that of the residual layer or of an upsampling. An upsampling by 2n taps
    reaches from 2n - 1 finer places before to 2n after.
    """
    return FILTER_REACH + (1 if octave == 0 else 2 * arch.taps - 1)


class _Tiles:
    """The tiles around the integers that are moved, in one of the arrays of `_Search._costs`.

    kind: the index of the array, 0 for pixels, 1 for the octave's integers, 2 for those of the next finer octave, ...
    """

    def __init__(self, arch, octave, kind, start, counts, shape):
        spacing, before = _spacing(arch, octave), (0, SEEN_LEFT)
        scale = 2 ** (kind - 1 if kind else octave)
        if kind == 0:
            # The residual layer's one pixel has room where an upsampling does not reach.
            before = (_reach(arch, octave),) * 2
        origins = [scale * (first - back) for first, back in zip(start, before)]
        if kind > 1:
            # Contexts of the next finer octave see an integer from one place before it to two after, and so on.
            origins = [scale * first - (scale - 1) for first in start]
        self._counts, self._size = counts, [scale * step for step in spacing]
        self._wide = [count * side for count, side in zip(counts, self._size)]
        self._here = tuple(slice(max(0, at), min(at + wide, end)) for at, wide, end in zip(origins, self._wide, shape))
        self._there = tuple(slice(own.start - at, own.stop - at) for own, at in zip(self._here, origins))

    def sums(self, values):
        """Return the sum over each tile, in an array of the shape of the integers that are moved."""
        whole = np.zeros(self._wide, values.dtype)
        whole[self._there] = values[self._here]
        (rows, columns), (high, wide) = self._counts, self._size
        return whole.reshape(rows, high, columns, wide).sum((1, 3), dtype=float)

    def take(self, values, others, chosen):
        """Set `values` to `others` in the tiles that are chosen, in place."""
        mask = chosen.repeat(self._size[0], 0).repeat(self._size[1], 1)[self._there]
        np.copyto(values[self._here], others[self._here], where=mask)

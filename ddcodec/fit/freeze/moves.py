"""Integers of the code moved by one, each where D + lambda R falls: the end of a fit, when the weights are those of the
file.

What one integer changes lies near it: its own bits and those of the integers that see it, and the pixels that it
reaches. So integers that are far enough apart are moved all at once, everything is measured once, and each keeps its
move if the sum over its own tile has fallen. Tiles do not overlap, so that this is exact.
"""

from time import monotonic

import numpy as np

from ...format.arch import CODE_MAX, FILTER_REACH, NEIGHBOURS
from ..descent.progress import progress_of

SEEN_LEFT, SEEN_RIGHT = max(dx for dx, _ in NEIGHBOURS), max(-dx for dx, _ in NEIGHBOURS)
SEEN_BELOW = max(-dy for _, dy in NEIGHBOURS)
"""So far an integer is seen as a neighbour by others."""
OCTAVES, LEAST_SHARE = 3, 0.02
"""The finest that hold at least that share of the bits: all three together nearly all."""
MOVES = (0, 1, -1)
"""0: towards zero."""
MOST = 1500
"""Measurements: three rounds, after which hardly anything is left to gain."""


def measurements_for(steps):
    """How many a search may make after a fit of so many steps; each takes about half as long as a step.

    Where no whole sweep fits in, steps are worth more.
    """
    return min(MOST, steps // 3)


def improve(fit, measurements, *, is_over=lambda: False, progress=None):
    """Move integers of the code of one of an engine's fits while that pays, at most so many times measuring and not
    once is_over(). Returns by how much D + lambda R has fallen.

    The fit's weights must be final and its octaves have one code plane each.
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
        """Try a move at every place of an octave. False if it may not be or was not finished."""
        fit, size = self._fit, self._fit.arch.size(octave)
        rows, columns = (min(*pair) for pair in zip(_spacing(fit.arch, octave), size))
        if self._left < rows * columns:
            return False
        # What is coarser must be as it was measured last.
        loss = fit.evaluate()
        values, costs = fit.rounded_code()[octave][0], self._costs(octave)
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

    def _costs(self, octave):
        """What each pixel, each integer of an octave and each of all finer ones costs: arrays whose sum is D + lambda
        R, of all that a move can change.
        """
        fit = self._fit
        bits, errors = fit.maps(octave)
        return [
            errors * np.float32(1 / (fit.pixels * fit.arch.planes)),
            *(own * np.float32(fit.lambda_ / fit.pixels) for own in bits),
        ]

    def _tell(self, loss):
        if self._progress:
            done = self._all - self._left
            self._progress(
                progress_of("code", done, self._all, loss, self._fit, (monotonic() - self._started) * self._left / done)
            )


def _worth(fit):
    """The octaves whose integers are moved, the finest first."""
    bits, _ = fit.maps(fit.arch.octaves - 1)
    own = [float(octave.sum()) for octave in reversed(bits)]
    return [octave for octave, share in enumerate(own) if share >= LEAST_SHARE * sum(own)][:OCTAVES]


def _spacing(arch, octave):
    """Rows and columns between integers that are moved at once."""
    seen = SEEN_BELOW + 1, SEEN_LEFT + SEEN_RIGHT + 1
    # From `_reach` before to one more after, for which an upsampling has room, too.
    painted = 2 * _reach(arch, octave) + 1
    return tuple(max(painted, each) for each in seen)


def _reach(arch, octave):
    """Places of an octave from an integer to the first pixel that it changes: the filter's, and those of the residual
    layer or of an upsampling by 2n taps, which reaches from 2n - 1 finer places before to 2n after.
    """
    return FILTER_REACH + (1 if octave == 0 else 2 * arch.taps - 1)


class _Tiles:
    """The tiles around the integers that are moved, in one of the arrays of `_Search._costs` (kind): of pixels, of the
    octave's integers, of the next finer ones', and so on.
    """

    def __init__(self, arch, octave, kind, start, counts, shape):
        spacing, before = _spacing(arch, octave), (0, SEEN_LEFT)
        scale = 2 ** (kind - 1 if kind else octave)
        if kind == 0:
            # The residual layer's pixel has room in what an upsampling does not reach.
            before = (_reach(arch, octave),) * 2
        origins = [scale * (first - back) for first, back in zip(start, before)]
        if kind > 1:
            # The next finer octave sees an integer from one place before to two after, and so on.
            origins = [scale * first - (scale - 1) for first in start]
        self._counts, self._size = counts, [scale * step for step in spacing]
        self._wide = [count * side for count, side in zip(counts, self._size)]
        self._here = tuple(slice(max(0, at), min(at + wide, end)) for at, wide, end in zip(origins, self._wide, shape))
        self._there = tuple(slice(own.start - at, own.stop - at) for own, at in zip(self._here, origins))

    def sums(self, values):
        """Of each tile: an array as those of the integers that are moved."""
        whole = np.zeros(self._wide, values.dtype)
        whole[self._there] = values[self._here]
        (rows, columns), (high, wide) = self._counts, self._size
        return whole.reshape(rows, high, columns, wide).sum((1, 3), dtype=float)

    def take(self, values, others, chosen):
        """Set `values` to `others` in the tiles that are chosen, in place."""
        mask = chosen.repeat(self._size[0], 0).repeat(self._size[1], 1)[self._there]
        np.copyto(values[self._here], others[self._here], where=mask)

"""Weights rounded together, to the integers with the least D + lambda R, the bits of the weights included.

Distortion and bits of the code are taken to be quadratic in the weights (`curvature`). bench/notebook/freezing.md has
the trials.
"""

from functools import cache, cached_property

import numpy as np

from ...format import tables
from ...format.weights import Weights, best_scale
from ...format.wire import integer_bits
from ..loss.terms import NAT
from .curvature import Curvature

GREATEST = 1000
"""The greatest magnitude of an integer."""
_EDGE = GREATEST + 4
FINEST = 11
"""The greatest exponent of a tensor."""
ROUNDS = 2
"""Times that all weights are rounded, each time with the tables that suit the integers of the time before."""
LEAST_SHARE = 0.1
"""The least second derivative of a weight, as a share of its tensor's mean (bench/notebook/freezing.md).

Where a channel is active in few places, the sample may have missed them all.
"""
LEAST_GAIN = 1e-13
"""The least fall of D + lambda R for which a move is made; smaller ones are errors of floating point."""


class Rounding:
    """Rounds the tensors of a `Curvature`.

    damping: the share of itself by which the diagonal is raised. What the sample did not show, or what is not
    quadratic, then does less harm.
    """

    def __init__(self, curvature: Curvature, damping: float) -> None:
        self.names = curvature.names
        ends = np.cumsum([0, *curvature.sizes])
        self._parts = [slice(*pair) for pair in zip(ends, ends[1:])]
        own = np.split(curvature.matrix.diagonal(), ends[1:-1])
        diagonal = np.concatenate(
            [np.maximum(values, LEAST_SHARE * values.mean() + np.finfo(float).tiny) for values in own]
        )
        # Weights that matter most come first: all others can then make their errors good.
        self._order = np.argsort(-diagonal)
        self._back = np.argsort(self._order)
        self._matrix = (curvature.matrix + np.diag(damping * diagonal))[np.ix_(self._order, self._order)]
        self._scale = diagonal[self._order] ** -0.5
        self._tensor = np.repeat(np.arange(len(self.names)), curvature.sizes)[self._order]

    @cached_property
    def _factor(self):
        """A triangular matrix whose rows say how later weights move for the error of one.

        It is that of GPTQ (Frantar et al. 2023, section 3.3). Second derivatives are of so different magnitudes that
        the matrix is scaled first.
        """
        return np.linalg.cholesky(np.linalg.inv(self._matrix * self._scale * self._scale[:, None])).T * self._scale

    def search(
        self, differences: dict[str, np.ndarray], price: float, tries: int
    ) -> tuple[dict[str, Weights], float, int]:
        """Search the integers with the least D + lambda R.

        Returns name -> `Weights`, the expected rise of D + lambda R without the bits of the weights, and the number of
        tries that it took.

        differences: name -> array, the real weights minus the base, where D + lambda R is taken to be least.
        price:       what a bit costs, lambda / pixels.
        tries:       the most sets of steps to try after the first one.
        """
        wished = self._joined(differences)
        finest = [self._finest(abs(wished[self._tensor == k]).max()) for k in range(len(self.names))]
        exponents, left = self._first_exponents(price, finest), tries
        best, rise, cost = self._integers(wished, exponents, price)
        for k in range(len(exponents)):
            for direction in (-1, 1):
                before = exponents[k]
                while left and 0 <= exponents[k] + direction <= finest[k]:
                    tried = [*exponents[:k], exponents[k] + direction, *exponents[k + 1 :]]
                    result = self._integers(wished, tried, price)
                    left -= 1
                    if result[-1] >= cost:
                        break
                    exponents, (best, rise, cost) = tried, result
                if exponents[k] != before:
                    break
        shapes = [differences[name].shape for name in self.names]
        return self._apart(best, exponents, shapes), rise, tries - left

    def mended(self, integers: dict[str, Weights], slopes: dict[str, np.ndarray], price: float) -> dict[str, Weights]:
        """Move integers, in the steps that they have, to a lesser D + lambda R by measured slopes.

        `search` takes the slopes to be 0 at the real weights. Here they are measured at the integers.

        integers: name -> `Weights`. slopes: name -> array, the derivatives of D + lambda R at these integers. price:
        what a bit costs, lambda / pixels.
        """
        exponents, shapes = zip(*((integers[name].exponent, integers[name].values.shape) for name in self.names))
        values = self._joined({name: integers[name].values for name in self.names})
        self._descend(values, self._joined(slopes), self._units(exponents), price * self._tables(values))
        return self._apart(values, exponents, shapes)

    def _apart(self, values, exponents, shapes):
        """Return name -> `Weights`, from integers in the order in which weights are rounded."""
        whole = values[self._back].astype(np.int64)
        return {
            name: Weights(exponent, whole[part].reshape(shape))
            for name, exponent, part, shape in zip(self.names, exponents, self._parts, shapes)
        }

    def _units(self, exponents):
        """Return the step of each weight, in the order in which weights are rounded."""
        return 2.0 ** -np.array(exponents, float)[self._tensor]

    @staticmethod
    def _finest(greatest):
        """Return the greatest exponent for a tensor whose greatest difference is this."""
        return int(np.clip(np.log2(GREATEST / max(greatest, 2.0**-FINEST)), 0, FINEST))

    def _joined(self, arrays):
        """Return the values of the tensors as one vector, in the order in which weights are rounded."""
        return np.concatenate([arrays[name].ravel() for name in self.names]).astype(float)[self._order]

    def _first_exponents(self, price, finest):
        """Return the exponents at which one bit more for each weight is just worth its price."""
        free = self._factor.diagonal() ** -2.0
        wanted = [0.5 * np.log2(NAT * free[self._tensor == k].mean() / (12 * price)) for k in range(len(self.names))]
        return [int(np.clip(np.rint(exponent), 0, most)) for exponent, most in zip(wanted, finest)]

    def _integers(self, wished, exponents, price):
        """Search the integers for steps of 2^-exponent.

        Returns the best that were found, the rise of D + lambda R, and that rise with the price of the integers' bits.
        """
        unit = self._units(exponents)
        values = np.rint(wished / unit)
        for _ in range(ROUNDS):
            costs = price * self._tables(values)
            values = self._one_after_another(wished, unit, costs)
        self._descend(values, self._matrix @ (values * unit - wished), unit, costs)
        error = values * unit - wished
        costs, rise = price * self._tables(values), 0.5 * error @ self._matrix @ error
        return values, rise, rise + costs[self._tensor, values.astype(int) + _EDGE].sum()

    def _tables(self, values):
        """Return the bits of each integer -_EDGE .. _EDGE in the best table for each tensor: (tensors, integers)."""
        scales = [best_scale(values[self._tensor == k].astype(np.int64))[0] for k in range(len(self.names))]
        return _all_bits()[scales]

    def _one_after_another(self, wished, unit, costs):
        """Round one weight after the other to the value at which its error and its bits together cost least.

        The weights that follow make its error good as well as they can.
        """
        wished, result, lists = wished.copy(), np.zeros(len(wished)), costs.tolist()
        for i, (step, tensor, own) in enumerate(
            zip(unit.tolist(), self._tensor.tolist(), self._factor.diagonal().tolist())
        ):
            wish, table = wished[i] / step, lists[tensor]
            below = min(max(np.floor(wish), -GREATEST), GREATEST)
            best = None
            for value in (below, below + 1, below + (2 if below < 0 else -1), 0.0):
                cost = 0.5 * ((wish - value) * step / own) ** 2 + table[int(value) + _EDGE]
                if best is None or cost < best:
                    best, result[i] = cost, value
            wished[i + 1 :] -= ((wish - result[i]) * step / own) * self._factor[i, i + 1 :]
        return result

    def _descend(self, values, slope, unit, costs):
        """Move single integers as long as a move pays, the best move first.

        values and slope, the derivatives of D + lambda R at the values, change in place.
        """
        curve = 0.5 * unit**2 * self._matrix.diagonal()
        while True:
            after = np.clip(np.stack([values + 1, values - 1, 0 * values]), -GREATEST, GREATEST)
            moves = after - values
            dearer = costs[self._tensor, after.astype(int) + _EDGE] - costs[self._tensor, values.astype(int) + _EDGE]
            change = moves * unit * slope + moves**2 * curve + dearer
            place = np.unravel_index(change.argmin(), change.shape)
            if change[place] >= -LEAST_GAIN:
                return
            i = place[1]
            values[i] += moves[place]
            slope += moves[place] * unit[i] * self._matrix[i]


@cache
def _all_bits():
    return integer_bits(tables.row(np.arange(tables.SCALES), 0)[:, None], np.arange(-_EDGE, _EDGE + 1))

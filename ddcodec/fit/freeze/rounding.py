"""Weights rounded together: the integers for which distortion, bits of the code and bits of the weights come out least,
where the first two are taken to be quadratic (`curvature`).
"""

from functools import cache, cached_property

import numpy as np

from ...format import tables
from ...format.weights import Weights, best_scale
from ...format.wire import integer_bits
from ..loss.terms import NAT

GREATEST = 1000
"""Of the integers."""
_EDGE = GREATEST + 4
FINEST = 11
"""Of the exponents."""
ROUNDS = 2
"""The tables of one round are those that suit the integers of the one before."""
LEAST_SHARE = 0.1
"""Of its tensor's mean, that any weight is taken to matter: of the channels that are active in few places alone a
sample may have seen none.
"""
LEAST_GAIN = 1e-13
"""Of a move; a loss that falls by less has not fallen, in floating point."""


class Rounding:
    """Of the tensors of a `Curvature`. damping: by how much of itself the diagonal is raised: what the sample did not
    show, or is no quadratic, then does less harm.
    """

    def __init__(self, curvature, damping):
        self.names = curvature.names
        ends = np.cumsum([0, *curvature.sizes])
        self._parts = [slice(*pair) for pair in zip(ends, ends[1:])]
        own = np.split(curvature.matrix.diagonal(), ends[1:-1])
        diagonal = np.concatenate(
            [np.maximum(values, LEAST_SHARE * values.mean() + np.finfo(float).tiny) for values in own]
        )
        # Those that matter most come first: what they lack can be made good by all others.
        self._order = np.argsort(-diagonal)
        self._back = np.argsort(self._order)
        self._matrix = (curvature.matrix + np.diag(damping * diagonal))[np.ix_(self._order, self._order)]
        self._scale = diagonal[self._order] ** -0.5
        self._tensor = np.repeat(np.arange(len(self.names)), curvature.sizes)[self._order]

    @cached_property
    def _factor(self):
        """The rows of the triangle: how the rest moves for what one lacks (Frantar et al. 2023, GPTQ, section 3.3).

        Weights matter so differently that all is scaled first.
        """
        return np.linalg.cholesky(np.linalg.inv(self._matrix * self._scale * self._scale[:, None])).T * self._scale

    def search(self, differences, price, tries):
        """The best integers found for real differences (name -> array) where D + lambda R is least, trying so many
        times other steps than the first; price: of a bit.

        Returns name -> `Weights`, by how much D + lambda R, the weights not counted, should rise, and how many tries it
        took.
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

    def mended(self, integers, slopes, price):
        """Integers (name -> `Weights`) moved, in their steps, to where D + lambda R is less by its slopes at them as
        they are (name -> array), which the first search took to be none at the real weights.
        """
        exponents, shapes = zip(*((integers[name].exponent, integers[name].values.shape) for name in self.names))
        values = self._joined({name: integers[name].values for name in self.names})
        self._descend(values, self._joined(slopes), self._units(exponents), price * self._tables(values))
        return self._apart(values, exponents, shapes)

    def _apart(self, values, exponents, shapes):
        """name -> `Weights`, from integers in the order in which weights are rounded."""
        whole = values[self._back].astype(np.int64)
        return {
            name: Weights(exponent, whole[part].reshape(shape))
            for name, exponent, part, shape in zip(self.names, exponents, self._parts, shapes)
        }

    def _units(self, exponents):
        """What one more in each integer is."""
        return 2.0 ** -np.array(exponents, float)[self._tensor]

    @staticmethod
    def _finest(greatest):
        """The greatest exponent for a tensor of such a difference."""
        return int(np.clip(np.log2(GREATEST / max(greatest, 2.0**-FINEST)), 0, FINEST))

    def _joined(self, arrays):
        """What a dict of arrays has for the tensors, in the order in which weights are rounded."""
        return np.concatenate([arrays[name].ravel() for name in self.names]).astype(float)[self._order]

    def _first_exponents(self, price, finest):
        """Where a bit more for each weight is worth what it costs."""
        free = self._factor.diagonal() ** -2.0
        wanted = [0.5 * np.log2(NAT * free[self._tensor == k].mean() / (12 * price)) for k in range(len(self.names))]
        return [int(np.clip(np.rint(exponent), 0, most)) for exponent, most in zip(wanted, finest)]

    def _integers(self, wished, exponents, price):
        """The best integers found for steps of 2^-exponent, by how much D + lambda R rises, and that with the price of
        the integers.
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
        """The bits of the integers -_EDGE .. _EDGE for each tensor, from the best table for its integers: (tensors,
        integers).
        """
        scales = [best_scale(values[self._tensor == k].astype(np.int64))[0] for k in range(len(self.names))]
        return _all_bits()[scales]

    def _one_after_another(self, wished, unit, costs):
        """Round one weight after the other, the cheaper way of its error and its bits together; those that follow make
        its error good as well as they can.
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
        """Move single integers, in place, the best move first, as long as one pays. slope: of D + lambda R where they
        are; it moves with them.
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

"""SOAP (Vyas et al. 2024, arXiv 2409.11321, algorithm 3): Adam on the weights, in the eigenbases of each matrix's
gradients; with decoupled decay.

Written once for NumPy and torch: the engines on the CPU move one vector of weights, a captured graph those of many fits
at once.
"""

from math import prod
from typing import NamedTuple

CLIP_NORM = 0.1


class Betas(NamedTuple):
    """What the optimisers keep in each step of their running means of gradients and of squares: Adam's of the code,
    SOAP's of the weights.

    decay: what goes of the weights' differences from the base, at a learning rate of 1.
    """

    code: tuple[float, float]
    weights: tuple[float, float]
    decay: float = 0.0


BETAS = Betas((0.9, 0.99), (0.95, 0.95))
"""Of the longest fits from random weights, but for the decay; `schedule.betas_for` has those of others."""
ADAM_EPSILON = 1e-8
CODE_EPSILON = 4e-4
"""For the code, times the number of pixels: D is a mean over them, so that the gradients of single integers get smaller
the larger the picture is.
"""


def code_epsilon(arch):
    """Adam's for the code of a picture."""
    return CODE_EPSILON / (arch.width * arch.height)


EVERY, AT_FIRST = 10, 8
"""Steps from one turn of the bases to the next; how often the first gradient turns them."""
LEAST_SHARE = 1e-3
"""Of a mean eigenvalue: below it a basis stays as it is.

It would else follow the errors of rounding, and two machines part at once.
"""


def by_qr(linalg):
    """A `next_basis` for `Soap`; linalg: `numpy.linalg` or `torch.linalg`."""
    return lambda square, basis: linalg.qr(square @ basis)[0]


class Soap:
    """Moves vectors of weights (..., count): tensors of the given shapes, each flattened, one after the other; `batch`
    is what `...` stands for.

    Matrices of more than one row and column have bases; other tensors go as with Adam. zeros: makes an array of a
    shape. next_basis: a function of a mean square and a basis (..., size, size) that gives orthonormal columns for
    their product (`by_qr`). decay: what goes of differences at a learning rate of 1 (decoupled: Loshchilov & Hutter
    2019, arXiv 1711.05101). A step is a `change`, which a graph can capture, and then an `end`, which it cannot. The
    first step moves nothing and finds the first bases.
    """

    def __init__(self, shapes, betas, zeros, next_basis, batch=(), decay=0.0):
        self._betas, self._decay, self._next_basis, self._steps = betas, decay, next_basis, 0
        self._matrices, start = [], 0
        for shape in shapes:
            if len(shape) == 2 and min(shape) > 1:
                self._matrices.append(_Matrix(start, shape, batch, zeros))
            start += prod(shape)
        self._mean, self._square = (zeros((*batch, start)) for _ in range(2))
        self._moved, self._is_open = zeros(()), zeros(())

    def change(self, gradient, differences):
        """What the weights go down by at a learning rate of 1; the gradient of each fit is first clipped to a norm of
        `CLIP_NORM`. differences: of the weights from what they decay to.
        """
        norm = (gradient**2).sum(-1)[..., None] ** 0.5
        gradient = gradient * (CLIP_NORM / (norm + 1e-6)).clip(None, 1)
        first_beta, second_beta = self._betas
        self._moved += 1
        self._mean += (1 - first_beta) * (gradient - self._mean)
        self._square += (1 - second_beta) * (self._turned(gradient) ** 2 - self._square)
        means, squares = 1 - first_beta**self._moved, 1 - second_beta**self._moved
        change = self._turned(self._mean) / means / ((self._square / squares) ** 0.5 + ADAM_EPSILON)
        for matrix in self._matrices:
            change[..., matrix.place] = matrix.flat(matrix.left.basis @ matrix.of(change) @ matrix.right.basis.mT)
            own = matrix.of(gradient)
            for side, factor in ((matrix.left, own), (matrix.right, own.mT)):
                side.mean += (1 - second_beta) * (factor @ factor.mT - side.mean)
        return (change + self._decay * differences) * self._is_open

    def end(self):
        """End a step: new bases where they are due, by steps of orthogonal iteration."""
        if self._steps % EVERY == 0:
            for matrix in self._matrices:
                for side in (matrix.left, matrix.right):
                    square = (
                        side.mean
                        + (LEAST_SHARE / len(side.one))
                        * side.mean.diagonal(0, -2, -1).sum(-1)[..., None, None]
                        * side.one
                    )
                    for _ in range(1 if self._steps else AT_FIRST):
                        side.basis[...] = self._next_basis(square, side.basis)
        if not self._steps:
            self._is_open += 1
            for state in (self._mean, self._square, self._moved):
                state *= 0
        self._steps += 1

    def state(self):
        """All that a step changes, for a graph that takes steps back."""
        sides = [side for matrix in self._matrices for side in (matrix.left, matrix.right)]
        return [
            self._mean,
            self._square,
            self._moved,
            self._is_open,
            *(array for side in sides for array in (side.mean, side.basis)),
        ]

    def _turned(self, values):
        """In the matrices' bases."""
        turned = values * 1
        for matrix in self._matrices:
            turned[..., matrix.place] = matrix.flat(matrix.left.basis.mT @ matrix.of(values) @ matrix.right.basis)
        return turned


class _Matrix:
    """One matrix's place in the vector, and its two sides."""

    def __init__(self, start, shape, batch, zeros):
        self.place, self._shape, self._batch = slice(start, start + prod(shape)), (*batch, *shape), batch
        self.left, self.right = (_Side(size, batch, zeros) for size in shape)

    def of(self, values):
        return values[..., self.place].reshape(self._shape)

    def flat(self, values):
        return values.reshape((*self._batch, -1))


class _Side:
    """The running mean of a gradient's products with itself, rows or columns, and about its eigenvectors."""

    def __init__(self, size, batch, zeros):
        self.one = zeros((size, size))
        for index in range(size):
            self.one[index, index] = 1
        self.mean, self.basis = (zeros((*batch, size, size)) for _ in range(2))
        self.basis += self.one

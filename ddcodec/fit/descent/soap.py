"""SOAP (Vyas et al. 2024, arXiv 2409.11321, algorithm 3): Adam in the eigenbases of each matrix's gradients.

It moves the weights, with decoupled decay. The code is the same for NumPy and torch. The engines on the CPU move one
vector of weights, and a captured graph moves those of many fits at once.
"""

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any, NamedTuple

from ...format.arch import Arch

CLIP_NORM = 0.1
"""Greatest norm of the gradient of all weights of a fit; a longer gradient is shortened to it."""


class Betas(NamedTuple):
    """The shares of their running means that the optimisers keep in each step.

    code:    Adam's mean of gradients, and its mean of squares.
    weights: SOAP's two means, likewise.
    decay:   share of the weights' differences from the base that a step takes away at a learning rate of 1.
    """

    code: tuple[float, float]
    weights: tuple[float, float]
    decay: float = 0.0


BETAS = Betas((0.9, 0.99), (0.95, 0.95))
"""The betas of the longest fits from random weights, without their decay. `schedule.betas_for` gives all others."""
ADAM_EPSILON = 1e-8
"""Added to the root of the mean square of the weights' gradients, as Adam does."""
CODE_EPSILON = 4e-4
"""Adam's epsilon for the code, times the number of pixels: 1e-9 at 768x512 (bench/notebook/pictures.md).

D is a mean over the pixels, so that the gradient of a single integer falls as their number grows.
"""


def code_epsilon(arch: Arch) -> float:
    """Return Adam's epsilon for the code of a picture."""
    return CODE_EPSILON / (arch.width * arch.height)


EVERY = 10
"""Steps from one update of the bases to the next."""
AT_FIRST = 8
"""Steps of orthogonal iteration that the first update takes, where every other takes one."""
LEAST_SHARE = 1e-3
"""Added to the eigenvalues of a mean square, as a share of their mean.

Vectors of a basis with smaller eigenvalues then stay as they are. They would else follow the errors of rounding, and
the fits of two machines would part at once.
"""


def by_qr(linalg: Any) -> Callable[[Any, Any], Any]:
    """Return a `next_basis` for `Soap` that takes one step by QR; linalg: `numpy.linalg` or `torch.linalg`."""
    return lambda square, basis: linalg.qr(square @ basis)[0]


class Soap:
    """SOAP for vectors of weights (*batch, count): tensors of the given shapes, flattened and joined.

    Matrices of more than one row and column have bases; all other tensors move as with Adam. A step is a `change`,
    which a graph can capture, and then an `end`, which it cannot. The first step moves nothing and finds the first
    bases.

    shapes:     shapes of the tensors of one fit, in the order of the vector.
    betas:      shares that the means of gradients and of squares keep, `Betas.weights`.
    zeros:      makes an array of zeros of a shape.
    next_basis: takes a mean square and a basis (*batch, size, size). Returns orthonormal columns for their product,
                as `by_qr` does.
    batch:      leading dimensions, one for the fits of a graph.
    decay:      share of the differences that goes at a learning rate of 1 (decoupled: Loshchilov & Hutter 2019,
                arXiv 1711.05101).
    """

    def __init__(
        self,
        shapes: Iterable[Sequence[int]],
        betas: tuple[float, float],
        zeros: Callable[[tuple[int, ...]], Any],
        next_basis: Callable[[Any, Any], Any],
        batch: tuple[int, ...] = (),
        decay: float = 0.0,
    ) -> None:
        self._betas, self._decay, self._next_basis, self._steps = betas, decay, next_basis, 0
        self._matrices, start = [], 0
        for shape in shapes:
            if len(shape) == 2 and min(shape) > 1:
                self._matrices.append(_Matrix(start, shape, batch, zeros))
            start += prod(shape)
        self._mean, self._square = (zeros((*batch, start)) for _ in range(2))
        self._moved, self._is_open = zeros(()), zeros(())

    def change(self, gradient: Any, differences: Any) -> Any:
        """Return what a step takes from the weights at a learning rate of 1, (*batch, count).

        The gradient of each fit is first clipped to a norm of `CLIP_NORM`. differences: the weights minus the values
        to which they decay.
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

    def end(self) -> None:
        """End a step: in every `EVERY`-th, update the bases by orthogonal iteration."""
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

    def state(self) -> list[Any]:
        """Return all arrays that a step changes, for a graph that takes steps back."""
        sides = [side for matrix in self._matrices for side in (matrix.left, matrix.right)]
        return [
            self._mean,
            self._square,
            self._moved,
            self._is_open,
            *(array for side in sides for array in (side.mean, side.basis)),
        ]

    def _turned(self, values):
        """Turn values of the weights into the bases of their matrices."""
        turned = values * 1
        for matrix in self._matrices:
            turned[..., matrix.place] = matrix.flat(matrix.left.basis.mT @ matrix.of(values) @ matrix.right.basis)
        return turned


class _Matrix:
    """The place of one matrix in the vector, and its two sides."""

    def __init__(self, start, shape, batch, zeros):
        self.place, self._shape, self._batch = slice(start, start + prod(shape)), (*batch, *shape), batch
        self.left, self.right = (_Side(size, batch, zeros) for size in shape)

    def of(self, values):
        return values[..., self.place].reshape(self._shape)

    def flat(self, values):
        return values.reshape((*self._batch, -1))


class _Side:
    """One side of a matrix, rows or columns: a running mean of the gradient's products, and about its eigenvectors."""

    def __init__(self, size, batch, zeros):
        self.one = zeros((size, size))
        for index in range(size):
            self.one[index, index] = 1
        self.mean, self.basis = (zeros((*batch, size, size)) for _ in range(2))
        self.basis += self.one

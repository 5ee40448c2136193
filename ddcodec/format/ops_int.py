"""Exact integer arithmetic in NumPy: the `ops` of the decoder.

Arrays are float64 that hold integers, or numbers w 2^-e. Sums of products stay below 2^53 in units of their last bit
(`bounds.exactness_bound`). Inputs of the context model, all at most 2^20, are kept in float32. So no result depends on
the order of summation, FMA, threads, BLAS or processor.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .arch import ACTIVATION_MAX, CODE_STEP, CONTEXT_UNIT, FILTER_SIDE, OUTPUT_UNIT, SYNTHESIS_UNIT

if TYPE_CHECKING:
    from .weights import Weights

_AXES = (slice(None),) * 3
"""An index of all of three axes."""


class IntegerOps:
    """The operations of `network` on arrays of NumPy that hold exact numbers."""

    context_step = CODE_STEP
    """One unit of the code in activations of the context model."""

    synthesis_step = CODE_STEP
    """One unit of the code in activations of the synthesis."""

    def zeros(self, shape: tuple[int, ...]) -> np.ndarray:
        """Make features of an octave that sees no coarser one: float32 zeros."""
        return np.zeros(shape, np.float32)

    def stack(self, planes: Sequence[np.ndarray]) -> np.ndarray:
        """Join arrays along a new first axis."""
        return np.stack(planes)

    def join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Join inputs of the context model, (..., rows, columns) each, along the first axis."""
        return np.concatenate(parts, dtype=np.float32, casting="same_kind")

    def take(self, planes: np.ndarray, indices: Sequence[int], axis: int) -> np.ndarray:
        """Take the given indices along `axis`; a view if they follow one another."""
        first, last = indices[0], indices[-1]
        if last - first + 1 == len(indices):
            return planes[(*_AXES[:axis], slice(first, last + 1))]
        return planes.take(indices, axis=axis)

    def weighted_sum(self, planes: np.ndarray, taps: Sequence[float], first: int, count: int, axis: int) -> np.ndarray:
        """Compute the sum over k of taps[k] planes[first + k : first + k + count] along `axis`."""
        parts = [planes[(*_AXES[:axis], slice(first + k, first + k + count))] for k in range(len(taps))]
        total = parts[0] * taps[0]
        product = np.empty_like(total)
        for part, tap in zip(parts[1:], taps[1:]):
            total += np.multiply(part, tap, out=product)
        return total

    def interleave(self, even: np.ndarray, odd: np.ndarray, axis: int, start: int, stop: int) -> np.ndarray:
        """Take `start .. stop - 1` of even[0], odd[0], even[1], ... along `axis`."""
        shape = list(even.shape)
        shape[axis] *= 2
        both = np.empty(shape, even.dtype)
        both[(*_AXES[:axis], slice(0, None, 2))] = even
        both[(*_AXES[:axis], slice(1, None, 2))] = odd
        return both[(*_AXES[:axis], slice(start, stop))]

    def pad(self, planes: np.ndarray, rows: tuple[int, int], columns: int) -> np.ndarray:
        """Put zeros around planes: `rows` above and below, `columns` on either side."""
        return np.pad(planes, ((0, 0), rows, (columns, columns)))

    def filter(self, weight: np.ndarray, planes: np.ndarray) -> np.ndarray:
        """Compute the sum over dy and dx of weight[dy][dx] planes[:, y + dy, x + dx].

        planes: (P, rows + side - 1, columns + side - 1). Returns (P, rows, columns).
        """
        rows, columns = (size - FILTER_SIDE + 1 for size in planes.shape[1:])
        total, product = (np.zeros((len(planes), rows, columns)) for _ in range(2))
        for (dy, dx), one in np.ndenumerate(weight):
            if one:
                total += np.multiply(planes[:, dy : dy + rows, dx : dx + columns], one, out=product)
        return total

    def mix(self, weight: np.ndarray, planes: np.ndarray) -> np.ndarray:
        """Apply a 1x1 layer: (O, I) by (I, rows, columns)."""
        return (weight @ planes.reshape(len(planes), -1)).reshape(-1, *planes.shape[1:])

    def affine(self, weight: np.ndarray, inputs: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Multiply (O, I) by (I, positions), and add the bias (O)."""
        outputs = weight @ inputs
        outputs += bias[:, None]
        return outputs

    def round(self, values: np.ndarray) -> np.ndarray:
        """Round to integers and saturate, in place (FORMAT.md, chapter 6, `round`)."""
        return self.settle(values, len(values))

    def settle(self, values: np.ndarray, linear: int, octave: int | None = None) -> np.ndarray:
        """Round to integers, saturate, and apply a ReLU to the channels from `linear` on, in place.

        This is `settle` of FORMAT.md, chapter 6.

        octave: unused here; engines that normalise channels need it.
        """
        values += 0.5
        np.floor(values, out=values)
        np.minimum(values, ACTIVATION_MAX, out=values)
        for part, least in ((values[:linear], -ACTIVATION_MAX), (values[linear:], 0)):
            if len(part):
                np.maximum(part, least, out=part)
        return values

    def output(self, values: np.ndarray) -> np.ndarray:
        """Turn outputs in units of 1 / SYNTHESIS_UNIT into integers in units of 1 / OUTPUT_UNIT."""
        return self.round(values * (OUTPUT_UNIT // SYNTHESIS_UNIT))

    def samples(self, values: np.ndarray, peak: int) -> np.ndarray:
        """Turn numbers in units of 1 / OUTPUT_UNIT into samples 0..peak."""
        return np.clip(np.floor(values * (peak / OUTPUT_UNIT) + 0.5), 0, peak).astype(np.min_scalar_type(peak))


def numbers(weights: Mapping[str, "Weights"]) -> dict[str, np.ndarray]:
    """Compute the numbers w 2^-E of all tensors as float64, biases in units of activations.

    weights: name -> `Weights` as `weights.resolved` gives them.
    """
    result = {}
    for name, (exponent, values) in weights.items():
        unit = 1
        if "bias" in name:
            unit = CONTEXT_UNIT if name.startswith("context") else SYNTHESIS_UNIT
        result[name] = values * (unit * 2.0**-exponent)
    return result

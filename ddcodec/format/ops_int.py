"""Exact integer arithmetic in NumPy: the hand of the decoder.

All arrays are float64 that hold integers, or numbers w 2^-e whose sums of products stay below 2^53 in units of their
last bit (`arch.exactness_bound`); inputs of the context model, all at most 2^20, are kept in float32. So no result
depends on the order of summation, FMA, threads, BLAS or processor.
"""

import numpy as np

from .arch import ACTIVATION_MAX, CODE_STEP, CONTEXT_UNIT, FILTER_SIDE, OUTPUT_UNIT, SYNTHESIS_UNIT

_AXES = (slice(None),) * 3


class IntegerOps:
    """The operations of `network` on float64 arrays that hold exact numbers."""

    context_step = CODE_STEP
    synthesis_step = CODE_STEP

    def zeros(self, shape):
        return np.zeros(shape, np.float32)

    def stack(self, planes):
        return np.stack(planes)

    def join(self, parts):
        """Inputs of the context model, (..., rows, columns) each, one after the other."""
        return np.concatenate(parts, dtype=np.float32, casting="same_kind")

    def take(self, planes, indices, axis):
        first, last = indices[0], indices[-1]
        if last - first + 1 == len(indices):
            return planes[(*_AXES[:axis], slice(first, last + 1))]
        return planes.take(indices, axis=axis)

    def weighted_sum(self, planes, taps, first, count, axis):
        """sum over k of taps[k] planes[first + k : first + k + count] along `axis`."""
        parts = [planes[(*_AXES[:axis], slice(first + k, first + k + count))] for k in range(len(taps))]
        total = parts[0] * taps[0]
        product = np.empty_like(total)
        for part, tap in zip(parts[1:], taps[1:]):
            total += np.multiply(part, tap, out=product)
        return total

    def interleave(self, even, odd, axis, start, stop):
        """even[0], odd[0], even[1], ... along `axis`, of which only `start .. stop - 1`."""
        shape = list(even.shape)
        shape[axis] *= 2
        both = np.empty(shape, even.dtype)
        both[(*_AXES[:axis], slice(0, None, 2))] = even
        both[(*_AXES[:axis], slice(1, None, 2))] = odd
        return both[(*_AXES[:axis], slice(start, stop))]

    def pad(self, planes, rows, columns):
        """With zeros around: `rows` before and after, `columns` on either side."""
        return np.pad(planes, ((0, 0), rows, (columns, columns)))

    def filter(self, weight, planes):
        """sum over dy and dx of weight[dy][dx] planes[:, y + dy, x + dx]: (P, rows, columns) from (P, rows + side - 1,
        columns + side - 1).
        """
        rows, columns = (size - FILTER_SIDE + 1 for size in planes.shape[1:])
        total, product = (np.zeros((len(planes), rows, columns)) for _ in range(2))
        for (dy, dx), one in np.ndenumerate(weight):
            if one:
                total += np.multiply(planes[:, dy : dy + rows, dx : dx + columns], one, out=product)
        return total

    def mix(self, weight, planes):
        """A 1x1 layer: (O, I) by (I, rows, columns)."""
        return (weight @ planes.reshape(len(planes), -1)).reshape(-1, *planes.shape[1:])

    def affine(self, weight, inputs, bias):
        """(O, I) by (I, positions), plus bias (O)."""
        outputs = weight @ inputs
        outputs += bias[:, None]
        return outputs

    def round(self, values):
        """Round to integers and saturate, in place."""
        return self.settle(values, len(values))

    def settle(self, values, linear, octave=None):
        """Round to integers, saturate, and a ReLU for the channels from `linear` on, in place."""
        values += 0.5
        np.floor(values, out=values)
        np.minimum(values, ACTIVATION_MAX, out=values)
        for part, least in ((values[:linear], -ACTIVATION_MAX), (values[linear:], 0)):
            if len(part):
                np.maximum(part, least, out=part)
        return values

    def output(self, values):
        """Integers in units of 1 / OUTPUT_UNIT from outputs in units of 1 / SYNTHESIS_UNIT."""
        return self.round(values * (OUTPUT_UNIT // SYNTHESIS_UNIT))

    def samples(self, values, peak):
        """Samples 0..peak from numbers in units of 1 / OUTPUT_UNIT."""
        return np.clip(np.floor(values * (peak / OUTPUT_UNIT) + 0.5), 0, peak).astype(np.min_scalar_type(peak))


def numbers(weights):
    """The numbers w 2^-E of all tensors as float64, biases in units of activations. weights: those that
    `weights.resolved` gives, name -> `Weights`.
    """
    result = {}
    for name, (exponent, values) in weights.items():
        unit = 1
        if "bias" in name:
            unit = CONTEXT_UNIT if name.startswith("context") else SYNTHESIS_UNIT
        result[name] = values * (unit * 2.0**-exponent)
    return result

"""Exact integer arithmetic in NumPy: the `ops` of the decoder.

Arrays are float64 that hold integers, or numbers w 2^-E. Weights and activations have 16 bits, so that sums of their
products stay far below 2^53 in units of their last bit. Inputs of the context model are kept in float32. So no result
depends on the order of summation, FMA, threads, BLAS or processor.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .arch import (
    ACTIVATION_LEAST,
    ACTIVATION_MAX,
    AROUND_UNIT,
    CODE_MAX,
    CODE_STEP,
    CONTEXT_BITS,
    FILTER_SIDE,
    OUTPUT_MAX,
    OUTPUT_UNIT,
    SEEN_MAX,
    SYNTHESIS_BITS,
    SYNTHESIS_UNIT,
    Arch,
)

if TYPE_CHECKING:
    from .weights import Weights

_AXES = (slice(None),) * 3
"""An index of all of three axes."""


class IntegerOps:
    """The operations of `network` on arrays of NumPy that hold exact numbers.

    headroom: that of the `Arch`.
    """

    def __init__(self, headroom: int = 0) -> None:
        self.synthesis_step = CODE_STEP >> headroom
        """One unit of the code in activations of the synthesis."""
        self._output_gain = OUTPUT_UNIT * 2**headroom / SYNTHESIS_UNIT

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

    def seen(self, code: np.ndarray) -> np.ndarray:
        """Turn integers of the code into inputs of contexts (FORMAT.md, chapter 6, *Inputs*)."""
        return np.clip(code, -SEEN_MAX, SEEN_MAX) * np.float32(CODE_STEP)

    def within(self, sums: np.ndarray, shift: int | None, half: float = 0.5) -> np.ndarray:
        """Bring the sums of a layer into 32 bits, in place (FORMAT.md, chapter 5, *Arithmetic*).

        sums: in units of what they are rounded to. shift: the bits that rounding takes away; None if the sums cannot
        leave 32 bits, see `wraps`. half: what the decoder adds before it takes these bits away.
        """
        if shift is not None:
            modulus = 2.0 ** (32 - shift)
            sums -= modulus * np.floor((sums + (half if shift > 0 else 0)) / modulus + 0.5)
        return sums

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
        for part, least in ((values[:linear], ACTIVATION_LEAST), (values[linear:], 0)):
            if len(part):
                np.maximum(part, least, out=part)
        return values

    def output(self, values: np.ndarray, shift: int | None) -> np.ndarray:
        """Turn outputs in units of activations into integers in units of 1 / OUTPUT_UNIT. shift: that of `within`."""
        values = self.within(values * self._output_gain, shift)
        return np.clip(np.floor(values + 0.5), -OUTPUT_MAX, OUTPUT_MAX)

    def around(self, values: np.ndarray) -> np.ndarray:
        """Turn outputs into what the residual layer sees of them, in units of 1 / AROUND_UNIT."""
        return self.round(values * (AROUND_UNIT / OUTPUT_UNIT))

    def residue(self, sums: np.ndarray, shift: int | None) -> np.ndarray:
        """Turn sums of the residual layer into integers in units of 1 / OUTPUT_UNIT. shift: that of `within`."""
        return np.floor(self.within(sums * (OUTPUT_UNIT / AROUND_UNIT), shift) + 0.5)

    def samples(self, values: np.ndarray, peak: int) -> np.ndarray:
        """Turn numbers in units of 1 / OUTPUT_UNIT into samples 0..peak."""
        return np.clip(np.floor(values * (peak / OUTPUT_UNIT) + 0.5), 0, peak).astype(np.min_scalar_type(peak))


def numbers(arch: Arch, weights: Mapping[str, "Weights"]) -> dict[str, Any]:
    """Compute the numbers that the network computes with: name of a tensor -> float64 array.

    They are w 2^-E. Those of a bias are in units of activations, rounded down to the steps of the layer's sums. For
    each layer whose sums could leave 32 bits there is also "LAYER.wraps", the `shift` of `IntegerOps.within`.

    weights: name -> `Weights` as `weights.resolved` gives them.
    """
    result: dict[str, Any] = {name: values * 2.0**-exponent for name, (exponent, values) in weights.items()}
    bits = SYNTHESIS_BITS - arch.headroom
    for layer, weight, bias, unit_bits, shift, sees in _layers(arch, bits):
        exponent, values = weights.get(weight, (0, np.zeros(1, np.int64)))
        most = int(abs(values).sum() if values.ndim == 2 and layer.startswith("filter") else abs(values).sum(-1).max())
        bound = sees * (most + (layer.startswith("filter") << exponent))
        if bias:
            own_exponent, own = weights[bias]
            own = np.floor(own * 2.0 ** (exponent + unit_bits - own_exponent))
            result[bias] = own * 2.0**-exponent
            bound += int(abs(own).max())
        if bound + (1 << exponent) >= 2**31:
            result[f"{layer}.wraps"] = exponent + shift
    return result


def _layers(arch, bits):
    """List the layers: name, weight, bias or None, bits of a bias's unit, bits of rounding beside the exponent, and the
    greatest number that a weight is multiplied with.

    bits: fractional bits of the activations of the synthesis.
    """
    seen = -ACTIVATION_LEAST
    for layer in ("context.1", "context.2", "context.3"):
        yield layer, f"{layer}.weight", f"{layer}.bias", CONTEXT_BITS, 0, seen
    for octave in arch.coarse_to_fine:
        if arch.seen(octave):
            yield f"context.features.{octave}", f"context.features.{octave}", None, 0, 0, seen
        if octave < arch.octaves - 1:
            yield f"mix.{octave}", f"mix.{octave}", None, 0, 0, seen
            yield f"taps.{octave}", f"taps.{octave}", None, 0, 0, seen
        if arch.code_planes(octave):
            yield f"filter.{octave}", f"filter.{octave}", None, 0, arch.headroom - 8, CODE_MAX
        yield f"code.{octave}", f"code.{octave}", f"bias.{octave}", bits, 0, seen
    if arch.top_channels:
        yield "top", "top.weight", "top.bias", bits, 0, seen
    yield "output", "output.weight", "output.bias", bits, bits - 16, seen
    yield "residual", "residual.weight", None, 0, -2, seen

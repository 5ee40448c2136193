"""Exact integer arithmetic in NumPy: the `ops` of the decoder.

Arrays are float64 that hold integers, or numbers w 2^-E. Weights and activations have 16 bits, so that sums of their
products stay far below 2^53 in units of their last bit. Inputs of the context model are kept in float32. So no result
depends on the order of summation, FMA, threads, BLAS or processor.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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
        leave 32 bits, see `numbers`. half: what the decoder adds before it takes these bits away.
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
    for layer in _layers(arch):
        exponent, values = weights.get(layer.weight, (0, np.zeros(1, np.int64)))
        if layer.is_filter:
            # The filter's own place counts as a weight of 1 more.
            bound = CODE_MAX * (int(abs(values).sum()) + (1 << exponent))
        else:
            bound = -ACTIVATION_LEAST * int(abs(values).sum(-1).max())
        if layer.bias:
            own_exponent, own = weights[layer.bias]
            own = np.floor(own * 2.0 ** (exponent + layer.bias_bits - own_exponent))
            result[layer.bias] = own * 2.0**-exponent
            bound += int(abs(own).max())
        if bound + (1 << exponent) >= 2**31:
            result[f"{layer.name}.wraps"] = exponent + layer.shift
    return result


class _Layer(NamedTuple):
    """A layer whose sums are rounded.

    weight, bias: names of tensors; no bias is "". shift: bits that rounding takes away, less the exponent of the
    weight. bias_bits: fractional bits of the activations that the bias is added to.
    """

    name: str
    weight: str
    shift: int = 0
    bias: str = ""
    bias_bits: int = 0

    @property
    def is_filter(self) -> bool:
        return self.name.startswith("filter.")


def _layers(arch):
    """List the layers of a network (FORMAT.md, chapter 5, *Arithmetic*)."""
    bits = SYNTHESIS_BITS - arch.headroom
    for name in ("context.1", "context.2", "context.3"):
        yield _Layer(name, f"{name}.weight", 0, f"{name}.bias", CONTEXT_BITS)
    for octave in arch.coarse_to_fine:
        plain = [f"context.features.{octave}"] if arch.seen(octave) else []
        plain += [f"mix.{octave}", f"taps.{octave}"] if octave < arch.octaves - 1 else []
        for name in plain:
            yield _Layer(name, name)
        if arch.code_planes(octave):
            yield _Layer(f"filter.{octave}", f"filter.{octave}", arch.headroom - 8)
        yield _Layer(f"code.{octave}", f"code.{octave}", 0, f"bias.{octave}", bits)
    if arch.top_channels:
        yield _Layer("top", "top.weight", 0, "top.bias", bits)
    yield _Layer("output", "output.weight", bits - 16, "output.bias", bits)
    yield _Layer("residual", "residual.weight", 14 - 16)

"""The arithmetic of `network` in torch, differentiable."""

from collections.abc import Sequence
from typing import Any

import torch

from ...format.arch import CODE_STEP, SYNTHESIS_UNIT


class TorchOps:
    """The `ops` of `format.network` in real numbers, differentiable.

    Activations have the unit 1. One unit of the code is 1 in the context model and 1/16 in the synthesis.
    """

    synthesis_step = CODE_STEP / SYNTHESIS_UNIT
    """One unit of the code in the synthesis."""

    on_host = True
    """Whether small numbers may be read from tensors.

    They may not where many fits go together under vmap, or where a GPU must not wait.
    """

    def __init__(self, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.device, self.dtype = device, dtype
        self._constants: dict[tuple[float, ...], torch.Tensor] = {}

    def zeros(self, shape: Sequence[int]) -> torch.Tensor:
        """Make an array of zeros."""
        return torch.zeros(shape, device=self.device, dtype=self.dtype)

    def stack(self, planes: list[torch.Tensor]) -> torch.Tensor:
        """Stack planes along a new first axis."""
        return torch.stack(planes)

    def join(self, parts: list[torch.Tensor]) -> torch.Tensor:
        """Join parts along their first axis."""
        return torch.cat(parts)

    def take(self, planes: torch.Tensor, indices: list[int], axis: int) -> torch.Tensor:
        # The indices are a range whose ends repeat where it was clamped. Slices and copies differentiate faster than
        # a gather.
        """Take the given indices along an axis; they are a range, clamped to the planes."""
        first, last = indices[0], indices[-1]
        before, after = indices.count(first) - 1, indices.count(last) - 1
        if first == last:
            return planes.narrow(axis, first, 1).expand([len(indices) if a == axis else -1 for a in range(3)])
        parts = [planes.narrow(axis, first, 1)] * before
        parts.append(planes.narrow(axis, first, last - first + 1))
        parts += [planes.narrow(axis, last, 1)] * after
        return torch.cat(parts, axis) if len(parts) > 1 else parts[0]

    def weighted_sum(self, planes: torch.Tensor, taps: list[Any], first: int, count: int, axis: int) -> torch.Tensor:
        """Sum taps[k] planes[first + k : first + k + count] over k, along an axis."""
        weights = torch.stack(taps) if torch.is_tensor(taps[0]) else self._constant(tuple(taps))
        return _WeightedSum.apply(planes, weights, first, count, axis, self.on_host)

    def _constant(self, numbers):
        """Make a tensor of numbers once.

        A graph that is being captured takes nothing from the host.
        """
        if numbers not in self._constants:
            self._constants[numbers] = torch.tensor(numbers, device=self.device, dtype=self.dtype)
        return self._constants[numbers]

    def interleave(self, even: torch.Tensor, odd: torch.Tensor, axis: int, start: int, stop: int) -> torch.Tensor:
        """Interleave two arrays along an axis and take start .. stop - 1 of the result."""
        both = torch.stack([even, odd], axis + 1).flatten(axis, axis + 1)
        return both.narrow(axis, start, stop - start)

    def pad(self, planes: torch.Tensor, rows: Sequence[int], columns: int) -> torch.Tensor:
        """Add rows of zeros above and below, and columns of zeros on both sides."""
        return torch.nn.functional.pad(planes, (columns, columns, *rows))

    def filter(self, weight: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        """Filter each plane (P, rows, columns) by weights (side, side), without padding."""
        return torch.nn.functional.conv2d(planes[:, None], weight[None, None])[:, 0]

    def mix(self, weight: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        """Multiply a matrix (outputs, inputs) by planes (inputs, rows, columns)."""
        return (weight @ planes.reshape(len(planes), -1)).reshape(-1, *planes.shape[1:])

    def affine(self, weight: torch.Tensor, inputs: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Multiply a matrix (outputs, inputs) by inputs (inputs, positions) and add a bias (outputs,)."""
        return torch.addmm(bias[:, None], weight, inputs)

    def seen(self, code: torch.Tensor) -> torch.Tensor:
        """Return the code: a unit of it is 1 in the context model."""
        return code

    def within(self, sums: torch.Tensor, shift: int | None, half: float = 0.5) -> torch.Tensor:
        """Return the sums: real ones do not wrap around."""
        return sums

    def round(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values: real activations are not rounded."""
        return values

    def settle(self, values: torch.Tensor, linear: int, octave: int | None = None) -> torch.Tensor:
        """Apply ReLU to the channels from `linear` on."""
        return values if linear == len(values) else _PartialReLU.apply(values, linear)

    def output(self, values: torch.Tensor, shift: int | None) -> torch.Tensor:
        """Return the values: real samples keep their unit."""
        return values

    def around(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values: the residual layer sees real samples as they are."""
        return values

    def residue(self, sums: torch.Tensor, shift: int | None) -> torch.Tensor:
        """Return the sums: real samples keep their unit."""
        return sums

    def samples(self, values: torch.Tensor, peak: int) -> torch.Tensor:
        """Return the values: real samples are neither scaled nor clamped."""
        return values


class BatchOps(TorchOps):
    """The same as `TorchOps`, for use under `torch.func.vmap` and in a captured graph."""

    on_host = False


class NormalisingOps(TorchOps):
    """`TorchOps` with the channel normalisation of the plain deep decoder after each ReLU of the synthesis.

    It brings each channel to mean 0 and variance 1, times gamma, plus beta (Heckel & Hand 2019, equation 1). `scale`
    and `shift` (octave -> (C,)) are gamma and beta. After a forward pass `gain` and `offset` hold the affine map that
    the normalisation was.
    """

    def __init__(
        self,
        scale: dict[int, torch.Tensor],
        shift: dict[int, torch.Tensor],
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(device, dtype)
        self.scale, self.shift = scale, shift
        self.gain: dict[int, torch.Tensor] = {}
        self.offset: dict[int, torch.Tensor] = {}

    def settle(self, values: torch.Tensor, linear: int, octave: int | None = None) -> torch.Tensor:
        values = super().settle(values, linear)
        if octave is None:
            return values
        variance, mean = torch.var_mean(values, dim=(1, 2), correction=0)
        self.gain[octave] = self.scale[octave] * torch.rsqrt(variance + 1e-5)
        self.offset[octave] = self.shift[octave] - mean * self.gain[octave]
        return values * self.gain[octave][:, None, None] + self.offset[octave][:, None, None]


class _PartialReLU(torch.autograd.Function):
    """ReLU on the channels from `linear` on; the others pass.

    It saves memory traffic against slicing and joining.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(values, linear):
        result = values.clone()
        result[linear:].relu_()
        return result

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.linear = inputs
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, gradient):
        (result,) = ctx.saved_tensors
        gradient = gradient.clone()
        gradient[ctx.linear :] *= result[ctx.linear :] > 0
        return gradient, None


class _WeightedSum(torch.autograd.Function):
    """The sum over k of taps[k] planes[first + k : first + k + count].

    It works in place in both directions, where autograd would pass thrice over memory. on_host: read the taps as
    numbers. That is fastest on a CPU, but makes a GPU wait and cannot be done under vmap.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(planes, taps, first, count, axis, on_host):
        weights = taps.tolist() if on_host else taps
        total = planes.narrow(axis, first, count) * weights[0]
        for k in range(1, len(weights)):
            _accumulate(total, planes.narrow(axis, first + k, count), weights[k])
        return total

    @staticmethod
    def setup_context(ctx, inputs, output):
        planes, taps, *ctx.place = inputs
        ctx.save_for_backward(planes, taps)

    @staticmethod
    def backward(ctx, gradient):
        planes, taps = ctx.saved_tensors
        first, count, axis, on_host = ctx.place
        by_planes = by_taps = None
        if ctx.needs_input_grad[0]:
            by_planes = torch.zeros_like(planes)
            weights = taps.tolist() if on_host else taps
            for k in range(len(weights)):
                _accumulate(by_planes.narrow(axis, first + k, count), gradient, weights[k])
        if ctx.needs_input_grad[1]:
            by_taps = torch.stack([(gradient * planes.narrow(axis, first + k, count)).sum() for k in range(len(taps))])
        return by_planes, by_taps, None, None, None, None


def _accumulate(total, part, weight):
    """Add a part times a weight to a total, in place."""
    if isinstance(weight, float):
        total.add_(part, alpha=weight)
    else:
        total.add_(part * weight)

"""Arithmetic for `network` in torch, differentiable."""

import torch

from ...format.arch import CODE_STEP, SYNTHESIS_UNIT


class TorchOps:
    """Real-valued, differentiable.

    Activations have the unit 1; one unit of the code is 1 in the context, 1/16 in the synthesis.
    """

    context_step = 1.0
    synthesis_step = CODE_STEP / SYNTHESIS_UNIT

    on_host = True
    """Small numbers may be read from tensors; where many fits go together under vmap, or a GPU must not wait, they may
    not.
    """

    def __init__(self, device="cpu", dtype=torch.float32):
        self.device, self.dtype = device, dtype
        self._constants = {}

    def zeros(self, shape):
        return torch.zeros(shape, device=self.device, dtype=self.dtype)

    def stack(self, planes):
        return torch.stack(planes)

    def join(self, parts):
        return torch.cat(parts)

    def take(self, planes, indices, axis):
        # The indices are a range whose ends repeat where it was clamped: slices and copies differentiate faster than a
        # gather.
        first, last = indices[0], indices[-1]
        before, after = indices.count(first) - 1, indices.count(last) - 1
        if first == last:
            return planes.narrow(axis, first, 1).expand([len(indices) if a == axis else -1 for a in range(3)])
        parts = [planes.narrow(axis, first, 1)] * before
        parts.append(planes.narrow(axis, first, last - first + 1))
        parts += [planes.narrow(axis, last, 1)] * after
        return torch.cat(parts, axis) if len(parts) > 1 else parts[0]

    def weighted_sum(self, planes, taps, first, count, axis):
        taps = torch.stack(taps) if torch.is_tensor(taps[0]) else self._constant(tuple(taps))
        return _WeightedSum.apply(planes, taps, first, count, axis, self.on_host)

    def _constant(self, numbers):
        """Numbers as a tensor, made once: a graph that is being captured takes nothing from the host."""
        if numbers not in self._constants:
            self._constants[numbers] = torch.tensor(numbers, device=self.device, dtype=self.dtype)
        return self._constants[numbers]

    def interleave(self, even, odd, axis, start, stop):
        both = torch.stack([even, odd], axis + 1).flatten(axis, axis + 1)
        return both.narrow(axis, start, stop - start)

    def pad(self, planes, rows, columns):
        return torch.nn.functional.pad(planes, (columns, columns, *rows))

    def filter(self, weight, planes):
        return torch.nn.functional.conv2d(planes[:, None], weight[None, None])[:, 0]

    def mix(self, weight, planes):
        return (weight @ planes.reshape(len(planes), -1)).reshape(-1, *planes.shape[1:])

    def affine(self, weight, inputs, bias):
        return torch.addmm(bias[:, None], weight, inputs)

    def round(self, values):
        return values

    def settle(self, values, linear, octave=None):
        return values if linear == len(values) else _PartialReLU.apply(values, linear)

    def output(self, values):
        return values

    def samples(self, values, peak):
        return values


class BatchOps(TorchOps):
    """As `TorchOps`, for use under `torch.func.vmap` and in a captured graph."""

    on_host = False


class NormalisingOps(TorchOps):
    """As `TorchOps`, with the channel normalisation of the plain deep decoder after each ReLU of the synthesis.

    Heckel & Hand 2019, equation (1): each channel to mean 0 and variance 1, times gamma, plus beta. `scale` and `shift`
    (octave -> (C,)) are gamma and beta; after a forward pass `gain` and `offset` hold the affine map that the
    normalisation was.
    """

    def __init__(self, scale, shift, device="cpu", dtype=torch.float32):
        super().__init__(device, dtype)
        self.scale, self.shift = scale, shift
        self.gain, self.offset = {}, {}

    def settle(self, values, linear, octave=None):
        values = super().settle(values, linear)
        if octave is None:
            return values
        variance, mean = torch.var_mean(values, dim=(1, 2), correction=0)
        self.gain[octave] = self.scale[octave] * torch.rsqrt(variance + 1e-5)
        self.offset[octave] = self.shift[octave] - mean * self.gain[octave]
        return values * self.gain[octave][:, None, None] + self.offset[octave][:, None, None]


class _PartialReLU(torch.autograd.Function):
    """ReLU on the channels from `linear` on, the others pass; saves memory traffic against slicing and joining."""

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
    """sum over k of taps[k] planes[first + k : first + k + count]; in place in both directions, where autograd would
    pass thrice over memory.

    on_host: the taps are read as numbers, which is fastest on a CPU but makes a GPU wait, and cannot be done under
    vmap.
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
    if isinstance(weight, float):
        total.add_(part, alpha=weight)
    else:
        total.add_(part * weight)

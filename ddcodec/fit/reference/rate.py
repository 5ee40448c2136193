"""The rate in torch: bits of the code by the context model, and of the weights (FORMAT.md, chapter 6)."""

from collections.abc import Iterator, Mapping
from functools import reduce

import torch

from ...format.arch import NEIGHBOURS, Arch
from ...format.network import Coarser, context
from ..descent.start import moving
from ..loss.terms import GREATEST_SCALE, LEAST_SCALE, NAT
from .ops import TorchOps


def bits_of(
    ops: TorchOps, arch: Arch, code: Mapping[int, torch.Tensor], numbers: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Compute the bits of a code, as a scalar.

    code: octave -> (planes, rows, columns) in code units. numbers: name -> tensor, the weights.
    """
    return reduce(
        torch.add, (octave_bits(ops, arch, numbers, *own).sum() for own in features_of(ops, arch, code, numbers))
    )


def features_of(
    ops: TorchOps, arch: Arch, code: Mapping[int, torch.Tensor], numbers: Mapping[str, torch.Tensor]
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Yield (octave, its planes, the features of its context), coarse to fine.

    code: octave -> (planes, rows, columns) in code units. The features are (FEATURES + 1, rows, columns).
    """
    coarser = Coarser(ops, arch)
    for octave in arch.coded_octaves:
        yield octave, code[octave], coarser.features(numbers, octave)
        coarser.add(octave, code[octave])


def own_bits(
    arch: Arch, numbers: Mapping[str, torch.Tensor], base: Mapping[str, torch.Tensor], step: float | torch.Tensor
) -> torch.Tensor:
    """Estimate the bits of the weights themselves, as differences from the base in steps of `step`.

    numbers, base: name -> tensor. Each tensor costs the bits of a Laplace distribution. The distribution is as wide as
    the tensor's differences are on average, and at least half a step.
    """
    least = step / 2
    widths = {name: (numbers[name] - base[name]).square().add(least**2).sqrt().mean() for name in moving(arch)}
    return reduce(torch.add, (base[name].numel() * torch.log2(width / least) for name, width in widths.items()))


def octave_bits(
    ops: TorchOps,
    arch: Arch,
    numbers: Mapping[str, torch.Tensor],
    octave: int,
    planes: torch.Tensor,
    features: torch.Tensor,
) -> torch.Tensor:
    """Compute the bits of each integer of an octave: (planes rows columns,).

    The arguments are those that `features_of` yields.
    """
    inputs = torch.cat([neighbourhood(planes, arch.neighbours), features.flatten(1).repeat(1, len(planes))])
    mean, log_scale = context(ops, arch, numbers, inputs, octave)
    return laplace_bits(planes.flatten() - mean, log_scale)


def neighbourhood(planes: torch.Tensor, count: int) -> torch.Tensor:
    """List the causal neighbours of each integer of planes (P, rows, columns): (count, P rows columns).

    Outside the planes are zeros.
    """
    return _Neighbourhood.apply(planes, count)


def laplace_bits(differences: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
    """Compute the bits of integers by a discretised Laplace distribution of scale 2^log_scale.

    differences: those of the integers from the distribution's mean.
    """
    return _LaplaceBits.apply(differences, log_scale)[0]


class _Neighbourhood(torch.autograd.Function):
    """The causal neighbours, as shifted views in both directions."""

    generate_vmap_rule = True

    @staticmethod
    def forward(planes, count):
        padded = torch.nn.functional.pad(planes, (4, 4, 3, 0))
        return torch.stack([view.reshape(-1) for view in _shifted(padded, count)])

    @staticmethod
    def setup_context(ctx, inputs, output):
        planes, ctx.count = inputs
        ctx.shape = planes.shape

    @staticmethod
    def backward(ctx, gradient):
        planes, rows, columns = ctx.shape
        padded = gradient.new_zeros(planes, rows + 3, columns + 8)
        for view, part in zip(_shifted(padded, ctx.count), gradient):
            view += part.reshape(ctx.shape)
        return padded[:, 3:, 4 : 4 + columns], None


def _shifted(padded, count):
    """View padded planes from the place of each neighbour."""
    rows, columns = padded.shape[1] - 3, padded.shape[2] - 8
    return [padded[:, 3 + dy : 3 + dy + rows, 4 + dx : 4 + dx + columns] for dx, dy in NEIGHBOURS[:count]]


class _LaplaceBits(torch.autograd.Function):
    """The bits of integers, with analytic gradients: autograd's chain would pass over memory a dozen times.

    A difference counts up to 1/2. The rest costs in proportion: beyond 1/2 the logarithm is linear. This tail is
    computed in logarithms, so that no outlier's gradient dies.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(differences, log_scale):
        """Compute the bits, and their derivatives by difference and log_scale."""
        inverse = torch.exp2(-log_scale.clamp(LEAST_SCALE, GREATEST_SCALE))
        distance = differences.abs()
        inside = distance.clamp(max=0.5)
        beyond = (distance - inside) * inverse
        near, far = (0.5 - inside) * inverse, (0.5 + inside) * inverse
        below, above = 0.5 * torch.exp(-far), 0.5 * torch.exp(-near)
        # Beyond the border, `above` is 1/2, and 1 - below - above is half of 1 - exp(-far): expm1 keeps its digits.
        chance = torch.where(distance > 0.5, -0.5 * torch.expm1(-far), 1 - below - above)
        by_distance = (above - below) * inverse / chance * torch.sign(differences)
        by_scale = (near * above + far * below) / chance - beyond
        # Beyond the scales that have tables only a step back inside has a gradient.
        by_scale = torch.where((log_scale > GREATEST_SCALE) & (by_scale < 0), 0, by_scale)
        by_scale = torch.where((log_scale < LEAST_SCALE) & (by_scale > 0), 0, by_scale)
        return (beyond - torch.log(chance)) / NAT, by_distance / NAT, by_scale

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, by_difference, by_scale = output
        ctx.mark_non_differentiable(by_difference, by_scale)
        ctx.save_for_backward(by_difference, by_scale)

    @staticmethod
    def backward(ctx, gradient, *_):
        by_difference, by_scale = ctx.saved_tensors
        return gradient * by_difference, gradient * by_scale

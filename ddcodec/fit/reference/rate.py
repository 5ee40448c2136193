"""The rate in torch: bits of the code by the context model, and of the weights (FORMAT.md, chapter 6)."""

import torch

from ...format.arch import NEIGHBOURS
from ...format.network import Coarser, context
from ..descent.start import moving
from ..loss.terms import GREATEST_SCALE, LEAST_SCALE, NAT


def bits_of(ops, arch, code, numbers):
    """Of the code."""
    return sum(octave_bits(ops, arch, numbers, *own).sum() for own in features_of(ops, arch, code, numbers))


def features_of(ops, arch, code, numbers):
    """(octave, its planes, what its context sees of coarser ones), coarse to fine. code: octave -> (planes, rows,
    columns).
    """
    coarser = Coarser(ops, arch)
    for octave in arch.coded_octaves:
        yield octave, code[octave], coarser.features(numbers, octave)
        coarser.add(octave, code[octave])


def own_bits(arch, numbers, base, step):
    """About the bits of the weights themselves, as differences from the base (name -> tensor) in steps of `step`: for
    each tensor those of a Laplace distribution as wide as its differences are on average, and at least half a step.
    """
    least = step / 2
    widths = {name: (numbers[name] - base[name]).square().add(least**2).sqrt().mean() for name in moving(arch)}
    return sum(base[name].numel() * torch.log2(width / least) for name, width in widths.items())


def octave_bits(ops, arch, numbers, octave, planes, features):
    """Of each integer of an octave, whose arguments are those of `features_of`: (planes rows columns,)."""
    inputs = torch.cat([neighbourhood(planes, arch.neighbours), features.flatten(1).repeat(1, len(planes))])
    mean, log_scale = context(ops, arch, numbers, inputs, octave)
    return laplace_bits(planes.flatten() - mean, log_scale)


def neighbourhood(planes, count):
    """The causal neighbours of every integer of `planes` (P, rows, columns): (count, P rows columns), 0 outside."""
    return _Neighbourhood.apply(planes, count)


def laplace_bits(differences, log_scale):
    """Bits of integers at `differences` from the mean of a discretised Laplace distribution of scale 2^log_scale."""
    return _LaplaceBits.apply(differences, log_scale)[0]


class _Neighbourhood(torch.autograd.Function):
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
    rows, columns = padded.shape[1] - 3, padded.shape[2] - 8
    return [padded[:, 3 + dy : 3 + dy + rows, 4 + dx : 4 + dx + columns] for dx, dy in NEIGHBOURS[:count]]


class _LaplaceBits(torch.autograd.Function):
    """Analytic, since autograd's chain would pass over memory a dozen times; the tail in logarithms, so that no
    outlier's gradient dies.

    A difference is taken up to 1/2, and what lies beyond costs in proportion: there the logarithm is linear.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(differences, log_scale):
        """Bits, and their derivatives."""
        inverse = torch.exp2(-log_scale.clamp(LEAST_SCALE, GREATEST_SCALE))
        distance = differences.abs()
        inside = distance.clamp(max=0.5)
        beyond = (distance - inside) * inverse
        near, far = (0.5 - inside) * inverse, (0.5 + inside) * inverse
        below, above = 0.5 * torch.exp(-far), 0.5 * torch.exp(-near)
        # 1 - below - above, but at the border, where that is half of 1 - exp(-far), as exact as can be.
        chance = torch.where(distance > 0.5, -0.5 * torch.expm1(-far), 1 - below - above)
        by_distance = (above - below) * inverse / chance * torch.sign(differences)
        by_scale = (near * above + far * below) / chance - beyond
        # Beyond the ladder of scales only a step back inside has a gradient.
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

"""The picture and its distortion in torch (FORMAT.md, chapter 7)."""

from collections.abc import Mapping

import torch

from ...format.arch import Arch, Window
from ...format.network import synthesis
from .ops import TorchOps


def distortion_of(
    ops: TorchOps,
    arch: Arch,
    code: Mapping[int, torch.Tensor],
    numbers: Mapping[str, torch.Tensor],
    target: torch.Tensor,
    known: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute the MSE of samples in [0, 1], clamped, as a scalar.

    code: octave -> (planes, rows, columns) in code units. target: (planes, H, W). known: (H, W), the pixels whose
    errors count, or None for all.
    """
    output = synthesise(ops, arch, code, numbers)
    # The loss is clamped but its gradient is not: with a clamped gradient, bright pictures collapse.
    errors = output + (output.clamp(0, 1) - output).detach() - target
    return (errors if known is None else errors * known).square().mean()


def variance_of(target: torch.Tensor, known: torch.Tensor | None = None) -> float:
    """Compute the distortion of the best single colour, as a number.

    Arguments are as for `distortion_of`.
    """
    counted = target.flatten(1) if known is None else target[:, known]
    return counted.var(1, correction=0).mean().item() * counted.shape[1] / target[0].numel()


def synthesise(
    ops: TorchOps, arch: Arch, code: Mapping[int, torch.Tensor], numbers: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Make the picture, (planes, H, W), not clamped.

    Arguments are as for `distortion_of`.
    """
    return synthesis(ops, arch, numbers, lambda octave, window: code[octave], Window(0, arch.height))

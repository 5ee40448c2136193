"""The picture and its errors in torch (FORMAT.md, chapter 7)."""

from collections.abc import Mapping

import torch

from ...format.arch import Arch, Window
from ...format.network import synthesis
from ..loss.form import BEYOND
from .ops import TorchOps


def errors_of(
    ops: TorchOps,
    arch: Arch,
    code: Mapping[int, torch.Tensor],
    numbers: Mapping[str, torch.Tensor],
    target: torch.Tensor,
    known: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute the errors of samples, clamped to [0, 1], (planes, H, W).

    Samples that are more than `loss.form.BEYOND` outside are not clamped all the way.

    code: octave -> (planes, rows, columns) in code units. target: (planes, H, W). known: (H, W), the pixels that count,
    or None for all. The others have no error.
    """
    output = synthesise(ops, arch, code, numbers)
    # Errors are clamped but their gradient is not: with a clamped gradient, bright pictures collapse.
    clamped = output.clamp(0, 1) + (output - output.clamp(-BEYOND, 1 + BEYOND))
    errors = output + (clamped - output).detach() - target
    return errors if known is None else errors * known


def synthesise(
    ops: TorchOps, arch: Arch, code: Mapping[int, torch.Tensor], numbers: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Make the picture, (planes, H, W), not clamped.

    Arguments are as for `errors_of`.
    """
    return synthesis(ops, arch, numbers, lambda octave, window: code[octave], Window(0, arch.height))

"""Operators: the ways in which a picture was changed before it was observed.

An operator is the A of the loss |A(net(z)) - y|^2 (Ulyanov et al. 2018, section 2).
"""

import torch
from torch.nn import functional

from .enlarging import SMALL_LOBES


class Identity:
    """The operator of a picture that was itself observed."""

    factor = 1

    def __call__(self, picture: torch.Tensor) -> torch.Tensor:
        return picture


class Downsampler:
    """The operator that takes every `factor`-th sample of a picture under a Lanczos kernel, `factor` times as wide.

    It makes (1, planes, H / factor, W / factor) of (1, planes, H, W). The kernel is centred on each block of factor x
    factor samples, and its sum is 1. The picture's edges repeat beyond them.
    """

    def __init__(self, factor: int, device: str = "cpu") -> None:
        self.factor = factor
        reach = SMALL_LOBES * factor
        distance = (torch.arange(2 * reach, dtype=torch.float64) - reach + 0.5) / factor
        kernel = torch.sinc(distance) * torch.sinc(distance / SMALL_LOBES)
        self._kernel = (kernel / kernel.sum()).float().to(device)
        self._margin = reach - factor // 2

    def __call__(self, picture: torch.Tensor) -> torch.Tensor:
        planes = picture.shape[1]
        padded = functional.pad(picture, [self._margin] * 4, mode="replicate")
        across = self._kernel.expand(planes, 1, 1, -1)
        along = across.transpose(2, 3)
        lines = functional.conv2d(padded, across, stride=(1, self.factor), groups=planes)
        return functional.conv2d(lines, along, stride=(self.factor, 1), groups=planes)


def total_variation(picture: torch.Tensor) -> torch.Tensor:
    """Sum the mean absolute differences of neighbours across and along, of a picture (..., H, W)."""
    return (picture[..., 1:] - picture[..., :-1]).abs().mean() + (
        picture[..., 1:, :] - picture[..., :-1, :]
    ).abs().mean()

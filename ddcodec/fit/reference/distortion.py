"""The distortion of errors in torch: `loss.form.Form` as tensors."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..loss.form import CHANNELS, Form


class FormTensors(NamedTuple):
    """A `Form` on a device; with one more axis in front of every tensor for several pictures.

    squares:  (), m.
    channels: the matrix of `CHANNELS`.
    levels:   w, each (planes, rows, columns).
    edges:    u, (H, W), or (1, 0) for squared error alone.
    """

    squares: torch.Tensor
    channels: torch.Tensor
    levels: tuple[torch.Tensor, ...]
    edges: torch.Tensor


def form_tensors(form: Form, planes: int, device: str, dtype: torch.dtype = torch.float32) -> FormTensors:
    """Copy a `Form` for pictures of so many planes to a device."""

    def tensor(values):
        return torch.tensor(values, device=device, dtype=dtype)

    edges = tensor([[]]) if form.edges is None else tensor(form.edges)
    return FormTensors(tensor(form.squares), tensor(CHANNELS[planes]), tuple(tensor(own) for own in form.levels), edges)


def stacked(forms: Sequence[FormTensors]) -> FormTensors:
    """Put the forms of several pictures, all with levels or all without, into the same tensors."""
    first = forms[0]
    levels = tuple(torch.stack([form.levels[level] for form in forms]) for level in range(len(first.levels)))
    squares, channels, edges = (
        torch.stack([getattr(form, name) for form in forms]) for name in ("squares", "channels", "edges")
    )
    return FormTensors(squares, channels, levels, edges)


def distortion_by(errors: torch.Tensor, form: FormTensors) -> torch.Tensor:
    """Compute D of errors (planes, H, W), 0 where pixels do not count, as a scalar."""
    total = form.squares * errors.square().sum()
    if form.levels:
        own = torch.einsum("cp,pyx->cyx", form.channels, errors)
        along, down = own[0].diff(dim=1).square(), own[0].diff(dim=0).square()
        total = total + (form.edges[:, 1:] * along).sum() + (form.edges[1:] * down).sum()
        for level, weights in enumerate(form.levels):
            own = _halved(own) if level else own
            total = total + (weights * own.square()).sum()
    return total / errors.numel()


def _halved(planes):
    """Take the means of 2x2, with zeros beyond the border."""
    return F.avg_pool2d(F.pad(planes, (0, planes.shape[-1] % 2, 0, planes.shape[-2] % 2)), 2)

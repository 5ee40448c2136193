"""The picture and its distortion in torch (FORMAT.md, chapter 7)."""

from ...format.arch import Window
from ...format.network import synthesis


def distortion_of(ops, arch, code, numbers, target, known=None):
    """MSE of samples in [0, 1], clamped. code: octave -> (planes, rows, columns) in code units; target: (planes, H, W);
    known: (H, W), the pixels whose errors count, or None for all.
    """
    output = synthesise(ops, arch, code, numbers)
    # The clamp is inside the loss but not inside the gradient's way: with it, bright pictures collapse.
    errors = output + (output.clamp(0, 1) - output).detach() - target
    return (errors if known is None else errors * known).square().mean()


def variance_of(target, known=None):
    """The distortion of the best single colour, as a number; arguments as for `distortion_of`."""
    counted = target.flatten(1) if known is None else target[:, known]
    return counted.var(1, correction=0).mean().item() * counted.shape[1] / target[0].numel()


def synthesise(ops, arch, code, numbers):
    return synthesis(ops, arch, numbers, lambda octave, window: code[octave], Window(0, arch.height))

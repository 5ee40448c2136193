"""The bases from which weights are coded as differences (FORMAT.md, chapter 5).

A base is what a fit knows before it sees the picture.
"""

from functools import cache
from importlib.resources import files
from math import prod

import numpy as np

from .arch import BASE_OCTAVES, BASE_SHAPE, BASES, Arch, base_arch

FRACTION_BITS = 12
"""Bases are integers in units of 2^-12."""

PLANES = 3
"""Planes of the pictures that the shipped bases are for. A picture with one plane takes sums over three."""


def base_values(arch: Arch) -> dict[str, np.ndarray]:
    """Give each tensor its integers in the base `arch.base`.

    Returns name -> int64 array of the tensor's shape, in units of 2^-12.
    """
    if not arch.base:
        return {name: _plain(name, shape, arch.taps) for name, shape in arch.tensors()}
    return {name: _grown(name, shape, _part(name, arch, _shipped(arch.base)[name])) for name, shape in arch.tensors()}


def _plain(name, shape, taps):
    """Make a tensor of base 0: taps of a bilinear interpolation, the identity for features, else zeros."""
    values = np.zeros(shape, np.int64)
    if name.startswith("taps."):
        values[taps - 1 : taps + 1] = [1024, 3072]
    if name.startswith("context.features."):
        np.fill_diagonal(values, 2**FRACTION_BITS)
    return values


def _part(name, arch, values):
    """Take the part of a shipped base that a picture needs: of fewer octaves, or of one plane.

    values: the tensor of the base, which is for all octaves and three planes.
    """
    if name == "context.3.bias":
        return values[BASE_OCTAVES - arch.octaves :]
    if name.startswith("context.features."):
        return values[:, : len(arch.seen(int(name.split(".")[2])))]
    if arch.planes == 1 and name == "residual.weight":
        return values.reshape(PLANES, -1, PLANES).sum(axis=(0, 2))[None] // PLANES
    if arch.planes == 1 and name.startswith("output"):
        return values.sum(axis=0, keepdims=True) // PLANES
    return values


def _grown(name, shape, values):
    """Give a tensor of octave 0 the shape that it has with detail, whose channels the base does nothing with."""
    new = [grown - own for grown, own in zip(shape, values.shape)]
    if name in ("top.weight", "output.weight"):
        return np.insert(values, new[1] * [BASE_SHAPE["finest_channels"]], 0, axis=1)
    grown = np.pad(values, [(0, count) for count in new])
    if name == "code.0":
        np.fill_diagonal(grown[len(values) :, values.shape[1] :], values.max())
    return grown


@cache
def _shipped(base):
    """Read a shipped base, 1 to 10: name -> int64 array."""
    tensors = base_arch(1, 1, PLANES, base).tensors()
    numbers = np.frombuffer(files("ddcodec.format").joinpath("bases.bin").read_bytes(), "<i2").reshape(BASES, -1)[
        base - 1
    ]
    result, start = {}, 0
    for name, shape in tensors:
        stop = start + prod(shape)
        result[name] = numbers[start:stop].reshape(shape).astype(np.int64)
        start = stop
    return result

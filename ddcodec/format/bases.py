"""The bases from which weights are coded as differences (FORMAT.md, chapter 5).

A base is what a fit knows before it sees the picture.
"""

from dataclasses import replace
from functools import cache
from importlib.resources import files
from math import prod

import numpy as np

from .arch import BASE_OCTAVES, BASE_SHAPE, BASES, DETAIL_PLANES, Arch, base_arch

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
    return {name: _part(name, shape, arch, _shipped(arch.base)[name]) for name, shape in arch.tensors()}


def _plain(name, shape, taps):
    """Make a tensor of base 0: taps of a bilinear interpolation, the identity for features, else zeros."""
    values = np.zeros(shape, np.int64)
    if name.startswith("taps."):
        values[taps - 1 : taps + 1] = [1024, 3072]
    if name.startswith("context.features."):
        np.fill_diagonal(values, 2**FRACTION_BITS)
    return values


def _part(name, shape, arch, values):
    """Take the part of a shipped base that a picture needs: of fewer octaves, or of one plane.

    values: the tensor of the base, which is for all octaves and three planes.
    """
    if arch.detail:
        return _with_detail(name, shape, _part(name, shape, replace(arch, detail=0), values))
    if name == "context.3.bias":
        return values[BASE_OCTAVES - arch.octaves :]
    if name.startswith("context.features."):
        return values[:, : len(arch.seen(int(name.split(".")[2])))]
    if arch.planes == 1 and name == "residual.weight":
        return values.reshape(PLANES, -1, PLANES).sum(axis=(0, 2))[None] // PLANES
    if arch.planes == 1 and name.startswith("output"):
        return values.sum(axis=0, keepdims=True) // PLANES
    return values


def _with_detail(name, shape, values):
    """Give octave 0 its planes of detail: each has a channel of its own, which the base does nothing with."""
    if name not in ("mix.0", "code.0", "bias.0", "top.weight", "output.weight"):
        return values
    wide, channels = np.zeros(shape, np.int64), BASE_SHAPE["finest_channels"]
    if name in ("top.weight", "output.weight"):
        wide[:, :channels], wide[:, channels + DETAIL_PLANES :] = values[:, :channels], values[:, channels:]
        return wide
    wide[(*map(slice, values.shape),)] = values
    if name == "code.0":
        for plane in range(1, 1 + DETAIL_PLANES):
            wide[channels - 1 + plane, plane] = values.max()
    return wide


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

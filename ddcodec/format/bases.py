"""The bases from which weights are coded as differences (FORMAT.md, chapter 5): what a fit has learned before it has
seen the picture.
"""

from functools import cache
from importlib.resources import files
from math import prod

import numpy as np

from .arch import BASE_OCTAVES, BASES, base_arch

FRACTION_BITS = 12
"""Bases are integers in units of 2^-12."""


PLANES = 3


def base_values(arch):
    """name -> int64 array of the shape of the tensor, in units of 2^-12: the base `arch.base`."""
    if not arch.base:
        return {name: _plain(name, shape, arch.taps) for name, shape in arch.tensors()}
    return {name: _part(name, shape, arch, _shipped(arch.base)[name]) for name, shape in arch.tensors()}


def _plain(name, shape, taps):
    values = np.zeros(shape, np.int64)
    if name.startswith("taps."):
        values[taps - 1 : taps + 1] = [1024, 3072]
    if name.startswith("context.features."):
        np.fill_diagonal(values, 2**FRACTION_BITS)
    return values


def _part(name, shape, arch, values):
    """Of a base for all octaves and three planes, what a picture with fewer takes."""
    if name == "context.3.bias":
        return values[BASE_OCTAVES - arch.octaves :]
    if name.startswith("context.features."):
        return values[:, : len(arch.seen(int(name.split(".")[2])))]
    if arch.planes == 1 and name == "residual.weight":
        return values.reshape(PLANES, -1, PLANES).sum(axis=(0, 2))[None] // PLANES
    if arch.planes == 1 and name.startswith("output"):
        return values.sum(axis=0, keepdims=True) // PLANES
    return values


@cache
def _shipped(base):
    """name -> int64 array of one of the shipped bases."""
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

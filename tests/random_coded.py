"""Random `CodedImage`s, made without any fitting: all architectures, with contexts that do predict something."""

from dataclasses import replace

import numpy as np

from ddcodec.format.arch import BASES, Arch, base_arch
from ddcodec.format.coded import CodedImage
from ddcodec.format.decoders import NumpyDecoder
from ddcodec.format.render import checksum
from ddcodec.format.weights import Weights

DEFAULT = Arch(
    width=24,
    height=16,
    planes=3,
    octaves=4,
    coarsest_planes=1,
    finer_planes=1,
    finest_channels=6,
    channels=8,
    linear=2,
    top_channels=5,
    taps=2,
    neighbours=8,
    context_channels=6,
)
TAPS = {
    1: [0.25, 0.75],
    2: [-0.03, 0.26, 0.88, -0.11],
    3: [0, -0.05, 0.3, 0.8, -0.05, 0],
    4: [0, 0, -0.03, 0.26, 0.88, -0.11, 0, 0],
}

PLAIN = {taps: [0] * (taps - 1) + [0.25, 0.75] + [0] * (taps - 1) for taps in TAPS}


def random_arch(random, most=28):
    """Any lawful architecture, for a picture of up to `most` x `most` pixels."""
    pick = lambda *ends: int(random.integers(*ends, endpoint=True))
    finest, channels, context = pick(1, 10), pick(1, 10), pick(1, 8)
    octaves = pick(1, 7)
    if random.random() < 0.1:
        return replace(
            base_arch(pick(1, most), pick(1, most), int(random.choice([1, 3])), pick(1, BASES)),
            octaves=octaves,
            depth=pick(0, 1),
            detail=pick(0, 1),
        )
    return Arch(
        width=pick(1, most),
        height=pick(1, most),
        planes=int(random.choice([1, 3])),
        octaves=octaves,
        coarsest_planes=int(random.choice([1, 1, 1, 2, 5])),
        finer_planes=pick(0, 1),
        finest_channels=finest,
        channels=channels,
        linear=pick(0, min(finest, channels) if octaves > 1 else finest),
        top_channels=pick(0, 9),
        taps=pick(1, 4),
        neighbours=pick(1, 20),
        context_channels=context,
        depth=pick(0, 1),
    )


def random_coded(random, arch, *, spread=0.3):
    """Random weights and code; `spread` is the scale of the code's finest octave; where there is a base the weights lie
    near it. The checksum of the samples is right.
    """
    tensors = {}
    for name, shape in arch.tensors():
        exponent = int(random.integers(3, 10))
        real = random.laplace(size=shape) / np.sqrt(shape[-1])
        if name.startswith("taps"):
            real = np.array(TAPS[arch.taps]) - PLAIN[arch.taps]
        if "features" in name:
            # With the base's 1 they must stay below 8, the greatest weight in units of 2^-12.
            real = real.clip(-6.9, 6.9)
        if name == "context.3.bias":
            real[:, 1] -= 2
        if arch.base:
            real = random.laplace(size=shape) / 30
        tensors[name] = Weights(exponent, np.round(real * 2.0**exponent).astype(np.int64))
        if arch.base and arch.is_fixed(name):
            tensors[name] = Weights(0, np.zeros(shape, np.int64))
    code = {}
    for octave in arch.coded_octaves:
        shape = (arch.code_planes(octave), *arch.size(octave))
        code[octave] = np.round(random.laplace(size=shape) * spread * (octave + 1)).astype(np.int64).clip(-4095, 4095)
    return sealed(CodedImage(arch, tensors, code))


def sealed(coded):
    """The same with the checksum of the samples that it renders to."""
    return replace(coded, samples_crc=checksum(NumpyDecoder().render(coded)))


def same(one, other):
    """Whether two `CodedImage`s are equal to the last integer."""
    return one.equals(other)

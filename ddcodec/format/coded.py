"""`CodedImage`: the record of integers between bytes and pixels."""

from dataclasses import dataclass

import numpy as np

from ..errors import DamagedError
from .arch import Arch
from .bounds import check_code, check_weights
from .ops_int import numbers
from .weights import Weights, resolved


@dataclass(frozen=True)
class CodedImage:
    """A picture as its file holds it.

    arch:        the size of the picture and the shape of the network.
    tensors:     name -> `Weights`, differences from the base, for all of `arch.tensors()`. With base 1 to 10 a tensor
                 that `arch.is_fixed` has differences and exponent 0.
    code:        octave -> integers (code planes, rows, columns), for all of `arch.coded_octaves`.
    samples_crc: CRC-32 of the decoded samples.
    chunks:      pairs (id, content), with the content as the file holds it.
    """

    arch: Arch
    tensors: dict[str, Weights]
    code: dict[int, np.ndarray]
    samples_crc: int = 0
    chunks: tuple[tuple[int, bytes], ...] = ()

    def numbers(self) -> dict[str, np.ndarray]:
        """The numbers that the network computes with, name -> float64 array; see `ops_int.numbers`."""
        return numbers(self.arch, resolved(self.arch, self.tensors))

    def equals(self, other: "CodedImage") -> bool:
        """Whether two pictures are the same to the last integer."""
        return (
            (self.arch, self.samples_crc, self.chunks) == (other.arch, other.samples_crc, other.chunks)
            and all(
                own.exponent == other.tensors[name].exponent and (own.values == other.tensors[name].values).all()
                for name, own in self.tensors.items()
            )
            and self.code.keys() == other.code.keys()
            and all((planes == other.code[octave]).all() for octave, planes in self.code.items())
        )

    def check(self) -> None:
        """Raise `DamagedError` unless all values are in their ranges."""
        self.arch.check()
        check_weights(self.arch, self.tensors)
        for octave in self.arch.coded_octaves:
            planes = self.code[octave]
            shape = (self.arch.code_planes(octave), *self.arch.size(octave))
            if planes.shape != shape:
                raise DamagedError(f"The code of octave {octave} has the shape {planes.shape} instead of {shape}.")
            check_code(planes)

"""CodedImage: the plain record of integers between bytes and pixels."""

from dataclasses import dataclass

from ..errors import DamagedError
from .arch import Arch
from .bounds import check_code, check_weights
from .ops_int import numbers
from .weights import resolved


@dataclass(frozen=True)
class CodedImage:
    """A picture as its file holds it.

    tensors:     name -> `Weights` (differences from the base), for all of `arch.tensors()`; with a base those that
                 `arch.is_fixed` are 0, and e = 0.
    code:        octave -> integer array (code planes, rows, columns), for all of `arch.coded_octaves`.
    samples_crc: CRC-32 of the decoded samples.
    chunks:      (id, content) pairs, content as it stands in the file.
    """

    arch: Arch
    tensors: dict
    code: dict
    samples_crc: int = 0
    chunks: tuple = ()

    def numbers(self):
        """What the network computes with, name -> float64 array; see `ops_int.numbers`."""
        return numbers(resolved(self.arch, self.tensors))

    def equals(self, other):
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

    def check(self):
        """Raise `DamagedError` unless every value is in its range and no accumulator can pass 2^53."""
        self.arch.check()
        check_weights(self.arch, self.tensors)
        for octave in self.arch.coded_octaves:
            planes = self.code[octave]
            shape = (self.arch.code_planes(octave), *self.arch.size(octave))
            if planes.shape != shape:
                raise DamagedError(f"The code of octave {octave} has the shape {planes.shape} instead of {shape}.")
            check_code(planes)

"""CodedImage: the plain record of integers between bytes and pixels."""

from dataclasses import dataclass

from ..errors import DamagedError
from .arch import CODE_MAX, EXPONENT_MAX, WEIGHT_MAX, Arch, exactness_bound
from .bases import resolved


@dataclass(frozen=True)
class CodedImage:
    """A picture as its file holds it.

    tensors: name -> `Weights` (differences from the base), for all of `arch.tensors()`; with a base those that
    `arch.is_fixed` are 0, and e = 0.
    code:    octave -> integer array (code planes, rows, columns), for all of `arch.coded_octaves`.
    chunks:  (id, content) pairs, content as it stands in the file. samples_crc: CRC-32 of the decoded samples.
    """

    arch: Arch
    tensors: dict
    code: dict
    samples_crc: int = 0
    chunks: tuple = ()

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


def check_weights(arch, tensors):
    """Raise `DamagedError` unless the weights are in their ranges and exact in 53 bits (FORMAT.md, chapter 5)."""
    for name, shape in arch.tensors():
        exponent, values = tensors[name]
        if values.shape != shape:
            raise DamagedError(f"The weights {name} have the shape {values.shape} instead of {shape}.")
        if not 0 <= exponent <= EXPONENT_MAX:
            raise DamagedError(f"The weights {name} have the exponent {exponent}, outside 0 to {EXPONENT_MAX}.")
        if arch.base and arch.is_fixed(name) and (exponent or values.any()):
            raise DamagedError(f"The weights {name} are not those of the base.")
    weights = resolved(arch, tensors)
    for name, (_, values) in weights.items():
        if abs(values).max() > WEIGHT_MAX:
            raise DamagedError(f"A weight of {name} is outside -{WEIGHT_MAX} to {WEIGHT_MAX}.")
    if exactness_bound(arch, weights) >= 2**53:
        raise DamagedError("The weights are too large: the network could not be computed exactly.")


def check_code(values):
    """Raise `DamagedError` if a code integer is out of range."""
    # A plane of magnitudes would be the most memory of a decode.
    if values.size and max(values.max(), -values.min()) > CODE_MAX:
        raise DamagedError(f"A code value is outside -{CODE_MAX} to {CODE_MAX}.")

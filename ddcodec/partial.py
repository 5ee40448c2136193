"""A file that is cut off: the picture of the octaves that are there whole (FORMAT.md, chapters 1 and 3)."""

from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from .decoder import Limits, check_memory, octave_of, with_chunks
from .errors import DamagedError
from .format.container import Body, beginning_if_any
from .format.files import unpack_body
from .format.header import Header, read_header
from .format.metadata import KINDS
from .format.render import samples_of


@dataclass(frozen=True)
class Beginning:
    """What there is of a file that is cut off behind its section table: `bytes` of `body.file_bytes`."""

    header: Header
    body: Body
    bytes: int

    @property
    def octaves(self):
        """Those whose code is there whole, coarse to fine; the section table is believed."""
        ends = [*accumulate(self.body.sections)][1:]
        return tuple(octave for octave, end in zip(self.header.arch.coded_octaves, ends) if end <= len(self.body.words))


def beginning_of(data):
    """The `Beginning` of a file that has fewer bytes than its section table announces; None for any other, and for less
    than that table.

    Raises as `read_header` does. A file of its full length is never cut off, whatever its checksums say.
    """
    header = read_header(data)
    body = beginning_if_any(data, header)
    return Beginning(header, body, len(data)) if body and len(data) < body.file_bytes else None


def decode_beginning(beginning, *, scale=1, limits=Limits(), threads=None, metadata=KINDS):
    """A `Picture` as `decoder.decode_file` gives it, and the octaves that it is made of, coarse to fine.

    The code of the octaves that are missing is taken as 0, so that the network itself makes the picture smooth. No
    checksum is there to hold the result against: damage to what is left shows, or raises `DamagedError`, as does a file
    without any whole octave.
    """
    arch = beginning.header.arch
    finest, used = octave_of(scale, arch), beginning.octaves
    limits.check(arch, finest)
    check_memory(arch, finest)
    if not used:
        raise DamagedError("Too little of the file is there for any picture.")
    coded = unpack_body(beginning.header, beginning.body, used[-1])
    missing = {
        octave: np.zeros((arch.code_planes(octave), *arch.size(octave)), np.int32)
        for octave in arch.coded_octaves
        if octave < used[-1]
    }
    samples = samples_of(replace(coded, code=coded.code | missing), finest, threads)
    return with_chunks(samples, arch, coded.chunks, finest, metadata), used

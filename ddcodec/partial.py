"""Files that are cut off: the picture of the octaves that are there whole (FORMAT.md, chapters 1 and 3)."""

from collections.abc import Container
from dataclasses import dataclass
from itertools import accumulate

from .decoder import Limits, Picture, check_memory, octave_of, with_chunks
from .errors import DamagedError
from .format.container import Body, beginning_if_any
from .format.decoders import chosen, decoder_at_work
from .format.header import Header, read_header
from .format.metadata import KINDS


@dataclass(frozen=True)
class Beginning:
    """The beginning of a file that is cut off behind its section table.

    header: the header of the file.
    body: the body as far as it is there.
    data: the bytes that are there, of `body.file_bytes`.
    """

    header: Header
    body: Body
    data: bytes

    @property
    def octaves(self) -> tuple[int, ...]:
        """The octaves whose code is there whole, the coarsest first. The section table is believed."""
        ends = [*accumulate(self.body.sections)][1:]
        return tuple(octave for octave, end in zip(self.header.arch.coded_octaves, ends) if end <= len(self.body.words))


def beginning_of(data: bytes) -> Beginning | None:
    """Read the beginning of a file that has fewer bytes than its section table announces.

    Returns None for any other file, and for a beginning that ends before the section table does. A file of its full
    length is never cut off, whatever its checksums say.

    Raises as `read_header` does.
    """
    header = read_header(data)
    body = beginning_if_any(data, header)
    return Beginning(header, body, data) if body and len(data) < body.file_bytes else None


def decode_beginning(
    beginning: Beginning,
    *,
    scale: int = 1,
    limits: Limits = Limits(),
    threads: int | None = None,
    metadata: Container[str] = KINDS,
    decoder: str | None = None,
) -> tuple[Picture, tuple[int, ...]]:
    """Decode the octaves that are there whole.

    The code of the missing octaves is taken as 0, so that the network itself makes the picture smooth. No checksum can
    be compared: damage to what is left shows, or raises `DamagedError`.

    The arguments are those of `decoder.decode_file`.

    Returns a `Picture`, and the octaves that it is made of, the coarsest first. Raises as `decode_file` does, and
    `DamagedError` if no octave is there whole.
    """
    arch = beginning.header.arch
    finest, used = octave_of(scale, arch), beginning.octaves
    with chosen(decoder):
        limits.check(arch, finest)
        check_memory(arch, finest)
        if not used:
            raise DamagedError("Too little of the file is there for any picture.")
        samples = decoder_at_work().decode(
            beginning.data, beginning.header, beginning.body, finest, threads, coded_to=used[-1]
        )
    return with_chunks(samples, arch, beginning.body.chunks, finest, metadata), used

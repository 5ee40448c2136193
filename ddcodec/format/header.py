"""The header: 30 bytes that describe the picture and the network of a file (FORMAT.md, chapter 1)."""

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from ..errors import DamagedError, UnsupportedError
from .arch import BASES, Arch

if TYPE_CHECKING:
    from .coded import CodedImage

MAGIC = 0xDD444443
"""The first four bytes of a file, most significant first."""

VERSION = 13
"""Version of the format that this code reads and writes."""


class Row(NamedTuple):
    """A header row: `bits` wide, stored as `value - least`."""

    name: str
    bits: int
    least: int


ROWS = (
    Row("magic", 32, 0),
    Row("version", 8, 0),
    Row("required", 6, 0),
    Row("headroom", 2, 0),
    Row("width", 16, 0),
    Row("height", 16, 0),
    Row("planes", 2, 1),
    Row("depth", 1, 0),
    Row("octaves", 4, 1),
    Row("coarsest_planes", 7, 1),
    Row("finer_planes", 1, 0),
    Row("finest_channels", 7, 1),
    Row("channels", 7, 1),
    Row("linear", 5, 0),
    Row("top_channels", 7, 0),
    Row("taps", 2, 1),
    Row("neighbours", 5, 0),
    Row("context_channels", 5, 1),
    Row("base", 6, 0),
    Row("chunks", 4, 0),
    Row("detail", 1, 0),
)
"""The header rows in their order (FORMAT.md, chapter 1)."""
ROWS_BYTES = sum(row.bits for row in ROWS) // 8
"""Bytes of the header before its checksums: 18."""

HEADER_BYTES = ROWS_BYTES + 12
"""Bytes of the header with its three CRC-32: 30."""


class Header(NamedTuple):
    """The header of a file.

    arch: the rows that describe picture and network.
    chunks: number of chunks.
    body_crc: CRC-32 of the body.
    samples_crc: CRC-32 of the decoded samples.
    """

    arch: Arch
    chunks: int
    body_crc: int
    samples_crc: int


def read_header(data: bytes) -> Header:
    """Read the header alone, with all checks in the order of FORMAT.md, chapter 1.

    data: the file, or its beginning. Bytes behind the header are not looked at.

    Raises `DamagedError` or `UnsupportedError`.
    """
    signature = MAGIC.to_bytes(4, "big")
    if not data:
        raise DamagedError("The file is empty; it holds no picture.")
    if data[:4] != signature[: len(data)]:
        raise DamagedError("This is not a .ddc file: it does not begin with the format's signature.")
    if len(data) < HEADER_BYTES:
        raise DamagedError(f"The file is cut off after {len(data)} bytes, inside its header.")
    fields = _unpack_rows(data)
    if fields["version"] != VERSION:
        raise UnsupportedError(
            f"The file has format version {fields['version']}; this decoder reads version {VERSION}."
        )
    body_crc, samples_crc, header_crc = (
        int.from_bytes(data[at : at + 4], "big") for at in range(ROWS_BYTES, HEADER_BYTES, 4)
    )
    if crc32(data[: HEADER_BYTES - 4]) != header_crc:
        raise DamagedError("The header is damaged: its checksum does not match.")
    _check_supported(fields)
    arch = Arch(**{name: fields[name] for name in Arch.__dataclass_fields__})
    arch.check()
    return Header(arch, fields["chunks"], body_crc, samples_crc)


def pack_header(coded: "CodedImage", body: bytes) -> bytes:
    """Write the header of a `CodedImage` whose body is known.

    Raises `DamagedError` if a row cannot hold its value.
    """
    fields = {**coded.arch.as_dict(), "magic": MAGIC, "version": VERSION, "chunks": len(coded.chunks)}
    number = 0
    for row in ROWS:
        stored = fields.get(row.name, row.least) - row.least
        if not 0 <= stored < 1 << row.bits:
            raise DamagedError(f"The header cannot hold {row.name} {fields[row.name]}.")
        number = number << row.bits | stored
    rows = number.to_bytes(ROWS_BYTES, "big") + crc32(body).to_bytes(4, "big") + coded.samples_crc.to_bytes(4, "big")
    return rows + crc32(rows).to_bytes(4, "big")


def _unpack_rows(data):
    number = int.from_bytes(data[:ROWS_BYTES], "big")
    fields = {}
    for row in reversed(ROWS):
        fields[row.name] = (number & ((1 << row.bits) - 1)) + row.least
        number >>= row.bits
    return fields


def _check_supported(fields):
    for name, supported, what in (
        ("required", (0,), "a feature"),
        ("planes", (1, 3), "a number of planes"),
        ("base", range(BASES + 1), "a base of the weights"),
    ):
        if fields[name] not in supported:
            raise UnsupportedError(
                f"The file uses {what} that this decoder does not know ({name} {fields[name]}); a newer ddcodec may."
            )

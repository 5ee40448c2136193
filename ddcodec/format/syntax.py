"""Container, header, chunks and weights (FORMAT.md, chapters 1-5): `pack`, `unpack`, `read_info`."""

from typing import NamedTuple
from zlib import crc32

import numpy as np

from ..errors import DamagedError, UnsupportedError
from . import ops_int, tables
from .arch import BASES, Arch
from .bases import Weights
from .coded import CodedImage, check_weights
from .pyramid import walk_code
from .wire import Reader, Writer, integer_bits

MAGIC = 0xDD444443
VERSION = 9
CHUNK_NAMES = {1: "icc", 2: "exif", 3: "xmp", 4: "note", 5: "alpha", 6: "color", 7: "resolution"}

FIRST_EXPONENT, EXPONENT_TABLE = 6, tables.UNIT_SCALE
FIRST_SCALE, SCALE_TABLE = 27, 37


class Row(NamedTuple):
    """A header row: `bits` wide, stored as `value - least`."""

    name: str
    bits: int
    least: int


ROWS = (
    Row("magic", 32, 0),
    Row("version", 8, 0),
    Row("required", 8, 0),
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
    Row("reserved", 1, 0),
)
ROWS_BYTES = sum(row.bits for row in ROWS) // 8
HEADER_BYTES = ROWS_BYTES + 12


class Header(NamedTuple):
    arch: Arch
    chunks: int
    body_crc: int
    samples_crc: int


class Body(NamedTuple):
    """What lies behind the header, not yet entropy-decoded: chunks, words of each section, and the stream's words."""

    chunks: tuple
    sections: tuple
    words: np.ndarray
    table_bytes: int

    @property
    def file_bytes(self):
        """Of the whole file, as the section table has it."""
        chunks = sum(len(_chunk(kind, content)) for kind, content in self.chunks)
        return HEADER_BYTES + chunks + self.table_bytes + 4 * sum(self.sections)


def pack(coded):
    """The bytes of a `CodedImage`."""
    return sealed(coded, pack_body(coded))


def sealed(coded, body):
    """The bytes of a `CodedImage` from those that lie behind the header; only for this is the checksum of its samples
    needed.
    """
    return _pack_header(coded, body) + body


def pack_body(coded):
    """The bytes of a `CodedImage` that lie behind the header."""
    coded.check()
    _check_chunks([kind for kind, _ in coded.chunks])
    writer = Writer()
    _walk_weights(coded.arch, writer, coded.tensors)
    writer.end_section()
    walk_code(coded.arch, ops_int.numbers(coded.arch, coded.tensors), writer, coded.code)
    words, sections = writer.finish()
    body = b"".join(_chunk(kind, content) for kind, content in coded.chunks)
    return body + b"".join(map(varint, sections)) + words.astype("<u4").tobytes()


def unpack(data, finest=0):
    """The `CodedImage` of a file. With `finest` > 0 its code holds only the octaves `finest` and coarser."""
    header = read_header(data)
    return unpack_body(header, read_body(data, header), finest)


def unpack_body(header, body, finest=0):
    """Entropy-decode a body; with `finest` > 0 only as far as the octaves `finest` and coarser go."""
    arch = header.arch
    reader = Reader(body.words)
    tensors = _walk_weights(arch, reader, None)
    check_weights(arch, tensors)
    code = walk_code(arch, ops_int.numbers(arch, tensors), reader, finest=finest)
    return CodedImage(arch, tensors, code, header.samples_crc, body.chunks)


def read_header(data):
    """Read the header alone, in the order of checks of FORMAT.md, chapter 1.

    Raises `DamagedError` or `UnsupportedError`; nothing behind the header is looked at.
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


def read_body(data, header):
    """Check the body against its checksum and take it apart; bytes behind its end are passed over.

    Raises `DamagedError`.
    """
    try:
        body = read_beginning(data, header)
    except DamagedError:
        if crc32(memoryview(data)[HEADER_BYTES:]) == header.body_crc:
            raise
        raise DamagedError(_damage(data, None)) from None
    if len(data) < body.file_bytes or crc32(memoryview(data)[HEADER_BYTES : body.file_bytes]) != header.body_crc:
        raise DamagedError(_damage(data, body))
    return body


def has_trailing_bytes(data, body):
    """Whether bytes stand behind the end of a file, as a mail or a disk adds them."""
    return len(data) > body.file_bytes


def _damage(data, body):
    """A sentence on a body that does not have its checksum; body: what there is of it, or None."""
    if body and body.file_bytes > len(data):
        return f"The file is cut off: {len(data):,} of {body.file_bytes:,} bytes are there."
    what = "damaged" if body else "damaged or cut off"
    return f"The file is {what}: the checksum of the {len(data) - HEADER_BYTES} bytes after its header does not match."


def beginning_if_any(data, header):
    """What `read_beginning` returns, or None where it raises."""
    try:
        return read_beginning(data, header)
    except DamagedError:
        return None


def read_beginning(data, header):
    """Take apart a body whose end may be missing: neither its checksum nor its length is looked at, and `words` are
    those that are there.

    Raises `DamagedError` if it ends before its section table does.
    """
    cursor = Cursor(memoryview(data)[HEADER_BYTES:])
    chunks = tuple((cursor.byte(), cursor.bytes(cursor.varint())) for _ in range(header.chunks))
    _check_chunks([kind for kind, _ in chunks])
    start = cursor.at
    sections = tuple(cursor.varint() for _ in range(1 + len(header.arch.coded_octaves)))
    there = min(sum(sections), (len(data) - HEADER_BYTES - cursor.at) // 4)
    words = np.frombuffer(data, "<u4", there, HEADER_BYTES + cursor.at).astype(np.uint32)
    return Body(chunks, sections, words, cursor.at - start)


def read_info(data):
    """What a file says of itself, as a dict ready for JSON; nothing is entropy-decoded.

    The bytes of a section are those that a decoder has taken when it has finished it, less those before: exact to a
    word or two.
    """
    header = read_header(data)
    body = read_body(data, header)
    arch = header.arch
    sections = [("header", HEADER_BYTES)]
    sections += [(f"chunk {CHUNK_NAMES.get(kind, kind)}", len(_chunk(kind, content))) for kind, content in body.chunks]
    sections += [("section table", body.table_bytes)]
    names = ["weights"] + [f"octave {octave}" for octave in arch.coded_octaves]
    sections += [(name, 4 * words) for name, words in zip(names, body.sections)]
    pixels = arch.width * arch.height
    return {
        "version": VERSION,
        "width": arch.width,
        "height": arch.height,
        "planes": arch.planes,
        "depth": arch.bits,
        "alpha": any(CHUNK_NAMES.get(kind) == "alpha" for kind, _ in body.chunks),
        "profile": arch.profile,
        "bytes": body.file_bytes,
        "trailing_bytes": has_trailing_bytes(data, body),
        "bpp": 8 * body.file_bytes / pixels,
        "arch": arch.as_dict(),
        "macs_per_pixel": arch.macs() / pixels,
        "weights": arch.weight_count(),
        "sections": [{"name": name, "bytes": count} for name, count in sections],
        "samples_crc": f"{header.samples_crc:08x}",
    }


def best_scale(differences):
    """The table scale that codes these integers in the fewest bits, and the bits."""
    rows = tables.row(np.arange(tables.SCALES), 0)
    values, counts = np.unique(np.asarray(differences), return_counts=True)
    bits = integer_bits(rows[:, None], values[None, :]) @ counts
    return int(bits.argmin()), float(bits.min())


def _walk_weights(arch, wire, tensors):
    """Pass all weights through `wire`; a `Reader` needs no `tensors`. Returns name -> `Weights`."""
    exponent, scale = FIRST_EXPONENT, FIRST_SCALE
    result = {name: Weights(0, np.zeros(shape, np.int64)) for name, shape in arch.tensors()}
    for name, shape in arch.coded_tensors():
        differences, chosen, wished = np.zeros(shape, np.int64), scale, exponent
        if tensors is not None:
            wished, differences = tensors[name]
            chosen, _ = best_scale(differences)
        exponent += _one_integer(wire, EXPONENT_TABLE, wished - exponent)
        if not 0 <= exponent <= 15:
            raise DamagedError(f"The exponent of the weights {name} is out of range.")
        scale += _one_integer(wire, SCALE_TABLE, chosen - scale)
        if not 0 <= scale < tables.SCALES:
            raise DamagedError(f"The table of the weights {name} is out of range.")
        rows = np.full(differences.size, tables.row(scale, 0))
        values = wire.integers(rows, np.zeros_like(rows), differences.reshape(-1)).reshape(shape)
        result[name] = Weights(exponent, values)
    return result


def _one_integer(wire, scale, value):
    rows = np.array([tables.row(scale, 0)])
    return int(wire.integers(rows, np.zeros_like(rows), np.array([value]))[0])


def _pack_header(coded, body):
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
        ("reserved", (0,), "a feature"),
    ):
        if fields[name] not in supported:
            raise UnsupportedError(
                f"The file uses {what} that this decoder does not know ({name} {fields[name]}); a newer ddcodec may."
            )


def _check_chunks(kinds):
    if 0 in kinds:
        raise DamagedError("A chunk has the id 0.")
    for kind in CHUNK_NAMES:
        if kinds.count(kind) > 1:
            raise DamagedError(f"The file has more than one {CHUNK_NAMES[kind]} chunk.")


def _chunk(kind, content):
    return bytes([kind]) + varint(len(content)) + content


def varint(number):
    """A number below 2^28 in groups of 7 bits (FORMAT.md, *Conventions*)."""
    groups = []
    while True:
        number, group = number >> 7, number & 127
        groups.append(group | (128 if number else 0))
        if not number:
            return bytes(groups)


class Cursor:
    """Reads a body from front to back; every length is compared with what is left before anything is taken."""

    def __init__(self, data):
        self._data = data
        self.at = 0

    def byte(self):
        return self.bytes(1)[0]

    def bytes(self, count):
        if count > len(self._data) - self.at:
            raise DamagedError(
                f"The file is damaged: {count} bytes are announced where {len(self._data) - self.at} are left."
            )
        self.at += count
        return bytes(self._data[self.at - count : self.at])

    def varint(self):
        number = 0
        for place in range(4):
            group = self.byte()
            number |= (group & 127) << 7 * place
            if group < 128:
                if group == 0 and place:
                    break
                return number
        raise DamagedError("The file is damaged: a length is not written as it should be.")

"""Chunks, section table and stream: what lies behind the header (FORMAT.md, chapters 2 and 3)."""

from typing import NamedTuple
from zlib import crc32

import numpy as np

from ..errors import DamagedError
from .header import HEADER_BYTES

CHUNK_NAMES = {1: "icc", 2: "exif", 3: "xmp", 4: "note", 5: "alpha", 6: "color", 7: "resolution"}


class Body(NamedTuple):
    """What lies behind the header, not yet entropy-decoded: chunks, words of each section, and the stream's words."""

    chunks: tuple
    sections: tuple
    words: np.ndarray
    table_bytes: int

    @property
    def file_bytes(self):
        """Of the whole file, as the section table has it."""
        chunks = sum(len(chunk_bytes(kind, content)) for kind, content in self.chunks)
        return HEADER_BYTES + chunks + self.table_bytes + 4 * sum(self.sections)


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
    check_chunks([kind for kind, _ in chunks])
    start = cursor.at
    sections = tuple(cursor.varint() for _ in range(1 + len(header.arch.coded_octaves)))
    there = min(sum(sections), (len(data) - HEADER_BYTES - cursor.at) // 4)
    words = np.frombuffer(data, "<u4", there, HEADER_BYTES + cursor.at).astype(np.uint32)
    return Body(chunks, sections, words, cursor.at - start)


def check_chunks(kinds):
    if 0 in kinds:
        raise DamagedError("A chunk has the id 0.")
    for kind in CHUNK_NAMES:
        if kinds.count(kind) > 1:
            raise DamagedError(f"The file has more than one {CHUNK_NAMES[kind]} chunk.")


def chunk_bytes(kind, content):
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

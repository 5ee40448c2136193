"""The body of a file: chunks, section table and stream (FORMAT.md, chapters 2 and 3)."""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np

from ..errors import DamagedError
from .header import HEADER_BYTES, Header

CHUNK_NAMES = {1: "icc", 2: "exif", 3: "xmp", 4: "note", 5: "alpha", 6: "color", 7: "resolution"}
"""Ids of chunks -> names (FORMAT.md, chapter 2)."""


class Body(NamedTuple):
    """The body of a file, before entropy decoding.

    chunks: pairs (id, content).
    sections: words of each section, as the section table has them.
    words: words of the stream, uint32.
    table_bytes: bytes of the section table.
    """

    chunks: tuple[tuple[int, bytes], ...]
    sections: tuple[int, ...]
    words: np.ndarray
    table_bytes: int

    @property
    def file_bytes(self) -> int:
        """Bytes of the whole file, as the section table has it."""
        chunks = sum(len(chunk_bytes(kind, content)) for kind, content in self.chunks)
        return HEADER_BYTES + chunks + self.table_bytes + 4 * sum(self.sections)


def read_body(data: bytes, header: Header) -> Body:
    """Check the body against its checksum and take it apart.

    data: the whole file. Bytes behind the end of the stream are passed over.

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


def has_trailing_bytes(data: bytes, body: Body) -> bool:
    """Whether bytes stand behind the end of a file, as a mail or a disk adds them."""
    return len(data) > body.file_bytes


def _damage(data, body):
    """Explain in a sentence that a body does not have its checksum.

    body: the part that can be read, or None.
    """
    if body and body.file_bytes > len(data):
        return f"The file is cut off: {len(data):,} of {body.file_bytes:,} bytes are there."
    what = "damaged" if body else "damaged or cut off"
    return f"The file is {what}: the checksum of the {len(data) - HEADER_BYTES} bytes after its header does not match."


def beginning_if_any(data: bytes, header: Header) -> Body | None:
    """Return what `read_beginning` returns, or None where it raises."""
    try:
        return read_beginning(data, header)
    except DamagedError:
        return None


def read_beginning(data: bytes, header: Header) -> Body:
    """Take apart a body whose end may be missing.

    Its checksum and its length are not checked. `words` are those that are there.

    Raises `DamagedError` if the body ends before its section table does.
    """
    cursor = Cursor(memoryview(data)[HEADER_BYTES:])
    chunks = tuple((cursor.byte(), cursor.bytes(cursor.varint())) for _ in range(header.chunks))
    check_chunks([kind for kind, _ in chunks])
    start = cursor.at
    sections = tuple(cursor.varint() for _ in range(1 + len(header.arch.coded_octaves)))
    there = min(sum(sections), (len(data) - HEADER_BYTES - cursor.at) // 4)
    words = np.frombuffer(data, "<u4", there, HEADER_BYTES + cursor.at).astype(np.uint32)
    return Body(chunks, sections, words, cursor.at - start)


def check_chunks(kinds: Sequence[int]) -> None:
    """Raise `DamagedError` for an id of 0, and for a known id that occurs twice (FORMAT.md, chapter 2)."""
    if 0 in kinds:
        raise DamagedError("A chunk has the id 0.")
    for kind in CHUNK_NAMES:
        if kinds.count(kind) > 1:
            raise DamagedError(f"The file has more than one {CHUNK_NAMES[kind]} chunk.")


def chunk_bytes(kind: int, content: bytes) -> bytes:
    """Write a chunk: its id, its length and its content."""
    return bytes([kind]) + varint(len(content)) + content


def stream_bytes(words: np.ndarray, sections: Sequence[int]) -> bytes:
    """Write the section table and the words of the stream (FORMAT.md, chapter 3)."""
    return b"".join(map(varint, sections)) + words.astype("<u4").tobytes()


def varint(number: int) -> bytes:
    """Write a number below 2^28 in groups of 7 bits (FORMAT.md, *Conventions*)."""
    groups = []
    while True:
        number, group = number >> 7, number & 127
        groups.append(group | (128 if number else 0))
        if not number:
            return bytes(groups)


class Cursor:
    """A place in a body that is read from front to back.

    Every length is compared with the bytes that are left before anything is taken. All methods raise `DamagedError`.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        self.at = 0

    def byte(self) -> int:
        """Take one byte."""
        return self.bytes(1)[0]

    def bytes(self, count: int) -> bytes:
        """Take `count` bytes."""
        if count > len(self._data) - self.at:
            raise DamagedError(
                f"The file is damaged: {count} bytes are announced where {len(self._data) - self.at} are left."
            )
        self.at += count
        return bytes(self._data[self.at - count : self.at])

    def varint(self) -> int:
        """Take a number in groups of 7 bits (FORMAT.md, *Conventions*)."""
        number = 0
        for place in range(4):
            group = self.byte()
            number |= (group & 127) << 7 * place
            if group < 128:
                if group == 0 and place:
                    break
                return number
        raise DamagedError("The file is damaged: a length is not written as it should be.")

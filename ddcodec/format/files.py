"""Whole files: packed from a `CodedImage`, unpacked to one, and described without decoding."""

import math
from typing import Any

from ..errors import DdcError
from .coded import CodedImage
from .container import (
    CHUNK_NAMES,
    beginning_if_any,
    check_chunks,
    chunk_bytes,
    has_trailing_bytes,
    read_body,
    stream_bytes,
)
from .decoders import decoder_at_work
from .header import HEADER_BYTES, VERSION, pack_header, read_header


def pack(coded: CodedImage) -> bytes:
    """Write a `CodedImage` as a file. Raises `DamagedError` if a value is out of range."""
    return sealed(coded, pack_body(coded))


def sealed(coded: CodedImage, body: bytes) -> bytes:
    """Put the header before the body of a `CodedImage`.

    Of both steps of `pack` only this one needs the checksum of the samples.
    """
    return pack_header(coded, body) + body


def pack_body(coded: CodedImage) -> bytes:
    """Write the body of a file: all bytes behind the header. Raises `DamagedError` if a value is out of range."""
    coded.check()
    check_chunks([kind for kind, _ in coded.chunks])
    words, sections = decoder_at_work().write(coded)
    chunks = b"".join(chunk_bytes(kind, content) for kind, content in coded.chunks)
    return chunks + stream_bytes(words, sections)


def unpack(data: bytes, finest: int = 0) -> CodedImage:
    """Read a file as a `CodedImage`.

    finest: the finest octave whose code is wanted. Finer octaves are left out.

    Raises `DamagedError` or `UnsupportedError`.
    """
    header = read_header(data)
    body = read_body(data, header)
    tensors, code = decoder_at_work().read(data, header, body, finest)
    return CodedImage(header.arch, tensors, code, header.samples_crc, body.chunks)


def read_info(data: bytes) -> dict[str, Any]:
    """Describe a file as a dict ready for JSON, without entropy decoding.

    The bytes of a section are those that a decoder takes until it has finished it, minus those before. They are exact
    to a word or two.

    Raises `DamagedError` or `UnsupportedError`.
    """
    header = read_header(data)
    body = read_body(data, header)
    arch = header.arch
    sections = [("header", HEADER_BYTES)]
    sections += [
        (f"chunk {CHUNK_NAMES.get(kind, kind)}", len(chunk_bytes(kind, content))) for kind, content in body.chunks
    ]
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


def ddc_bytes(data: bytes) -> float:
    """Count the bytes worth reading of a `.ddc` file that begins with `data`.

    They are one more than its section table announces. The result is infinity until the table is known. It is 0 if the
    header is refused.
    """
    try:
        body = beginning_if_any(data, read_header(data))
    except DdcError:
        return 0
    return body.file_bytes + 1 if body else math.inf

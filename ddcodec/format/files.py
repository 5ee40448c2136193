"""A whole file: packed from a `CodedImage`, unpacked to one, and what it says of itself."""

import math

from ..errors import DdcError
from .bounds import check_weights
from .coded import CodedImage
from .container import CHUNK_NAMES, check_chunks, chunk_bytes, has_trailing_bytes, read_body, varint
from .header import HEADER_BYTES, VERSION, pack_header, read_header
from .ops_int import numbers
from .pyramid import walk_code
from .weights import walk_weights
from .wire import Reader, Writer


def pack(coded):
    """The bytes of a `CodedImage`."""
    return sealed(coded, pack_body(coded))


def sealed(coded, body):
    """The bytes of a `CodedImage` from those that lie behind the header; only for this is the checksum of its samples
    needed.
    """
    return pack_header(coded, body) + body


def pack_body(coded):
    """The bytes of a `CodedImage` that lie behind the header."""
    coded.check()
    check_chunks([kind for kind, _ in coded.chunks])
    writer = Writer()
    walk_weights(coded.arch, writer, coded.tensors)
    writer.end_section()
    walk_code(coded.arch, coded.numbers(), writer, coded.code)
    words, sections = writer.finish()
    body = b"".join(chunk_bytes(kind, content) for kind, content in coded.chunks)
    return body + b"".join(map(varint, sections)) + words.astype("<u4").tobytes()


def unpack(data, finest=0):
    """The `CodedImage` of a file. With `finest` > 0 its code holds only the octaves `finest` and coarser."""
    header = read_header(data)
    return unpack_body(header, read_body(data, header), finest)


def unpack_body(header, body, finest=0):
    """Entropy-decode a body; with `finest` > 0 only as far as the octaves `finest` and coarser go."""
    arch = header.arch
    reader = Reader(body.words)
    tensors = walk_weights(arch, reader)
    code = walk_code(arch, numbers(check_weights(arch, tensors)), reader, finest=finest)
    return CodedImage(arch, tensors, code, header.samples_crc, body.chunks)


def read_info(data):
    """What a file says of itself, as a dict ready for JSON; nothing is entropy-decoded.

    The bytes of a section are those that a decoder has taken when it has finished it, less those before: exact to a
    word or two.
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


def ddc_bytes(data):
    """How many bytes are worth reading of a `.ddc` file that begins so: one more than its section table announces, all
    until that is known, none beyond where its header is refused.
    """
    from ..format.container import beginning_if_any
    from ..format.header import read_header

    try:
        body = beginning_if_any(data, read_header(data))
    except DdcError:
        return 0
    return body.file_bytes + 1 if body else math.inf

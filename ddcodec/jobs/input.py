"""Reading of inputs, never without end.

The beginning is read first, so that a file of the wrong kind does not fill the memory.
"""

import math
import os
import stat
from collections.abc import Callable
from typing import BinaryIO

from ..errors import LimitError
from .streams import PIECE, read_some

BEGINNING = 64
"""Bytes that suffice to tell the kind of any file. The header of a `.ddc` file is shorter."""

BYTES_MAX = 2**32
"""Greatest size of an input in bytes: that of a TIFF, a BMP or a WebP, whose offsets and lengths have 32 bits."""


def all_bytes(data: bytes) -> float:
    """Ask for all bytes of a file, whatever it is; for `read_whole`."""
    return math.inf


def read_whole(file: BinaryIO, name: str, wanted: Callable[[bytes], float]) -> bytes:
    """Read a raw binary stream to its end, or as far as it is wanted.

    wanted: a function from the bytes read so far to the number of bytes that are worth reading. If it cuts a file
        short,
    the reader of these bytes finds out why.
    name: the word for the stream in messages.

    Raises `LimitError` for more than `BYTES_MAX` bytes, before they are read if the size is known. Raises `OSError`.
    """
    size = _size(file)
    data = read_some(file, BEGINNING)
    while len(data) < (most := wanted(data)):
        if max(len(data), size if most == math.inf else most - 1) > BYTES_MAX:
            raise LimitError(f"{name} has more than {BYTES_MAX >> 30} GiB; larger files are not read.")
        # Doubled each time, so that little is copied, and `wanted` is asked only a few times.
        more = read_some(file, int(min(most - len(data), max(PIECE, len(data)))))
        if not more:
            break
        data += more
    return data


def _size(file):
    """Bytes of a regular file; 0 for a stream whose end is not known."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0

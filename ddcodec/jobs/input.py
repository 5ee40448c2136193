"""Reading inputs: the beginning first, so that what cannot be meant does not fill the memory, and never without end."""

import math
import os
import stat

from ..errors import LimitError
from .streams import PIECE, read_some

BEGINNING = 64
"""Bytes that tell of any file what it is; the header of a `.ddc` file is shorter."""

BYTES_MAX = 2**32
"""As many as a TIFF, a BMP or a WebP can have: their offsets and lengths have 32 bits."""


def all_bytes(data):
    """All bytes are worth reading, whatever the file is."""
    return math.inf


def read_whole(file, name, wanted):
    """The bytes of a raw binary stream, or only those until `wanted(those read so far)` asks for no more: whoever takes
    them finds out why.

    name: what messages call it. Raises `LimitError` for more than `BYTES_MAX`, before they are read where that is
    known, and `OSError`.
    """
    size = _size(file)
    data = read_some(file, BEGINNING)
    while len(data) < (most := wanted(data)):
        if max(len(data), size if most == math.inf else most - 1) > BYTES_MAX:
            raise LimitError(f"{name} has more than {BYTES_MAX >> 30} GiB; larger files are not read.")
        # Twice as much each time, so that little is copied, and the beginning looked at a few times.
        more = read_some(file, min(most - len(data), max(PIECE, len(data))))
        if not more:
            break
        data += more
    return data


def _size(file):
    """Bytes of a regular file; 0 for anything whose end is not known."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0

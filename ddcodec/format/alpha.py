"""The alpha plane (FORMAT.md, chapter 8): without loss, as differences from its neighbours in a Zstandard frame; and
what may be lost before.
"""

import numpy as np

from ..errors import DamagedError, SourceError
from ..picture import as_bytes, peak_of
from .metadata import compressed, decompressed

CHUNK = 5
CHUNK_MAX = 2**28 - 1
"""Bytes whose number fits into the format's varint."""


def alpha_chunk(alpha):
    """The chunk (id, content) of an alpha plane, uint8 or uint16 (H, W): that of four predictions whose differences
    need the fewest bytes. Raises `SourceError`.
    """
    contents = (bytes([kind]) + compressed(_bytes_apart(_differences(alpha, kind))) for kind in range(4))
    content = min(contents, key=len)
    if len(content) > CHUNK_MAX:
        raise SourceError(f"The alpha plane needs {len(content):,} bytes; at most {CHUNK_MAX:,} fit.")
    return CHUNK, content


def alpha_of(chunks, arch):
    """The alpha plane among a file's chunks, uint8 or uint16 (H, W), or None if it has none. Raises `DamagedError`."""
    content = dict(chunks).get(CHUNK)
    if content is None:
        return None
    if not content or content[0] > 3:
        raise DamagedError("The alpha plane is damaged: it has a prediction that does not exist.")
    count = arch.height * arch.width * arch.bits // 8
    data = decompressed(content[1:], "alpha plane", count, exactly=True)
    planes = np.frombuffer(data, np.uint8).reshape(-1, arch.height, arch.width)
    total = sum(
        plane.astype(f"uint{arch.bits}") << np.uint8(8 * (len(planes) - 1 - index))
        for index, plane in enumerate(planes)
    )
    for axis in _axes(content[0]):
        np.cumsum(total, axis, total.dtype, total)
    return total


def coarser(alpha, quality):
    """Alpha (H, W) in fewer steps, which take fewer bytes: at quality 1 (of 100) two, then more in its square; clear
    and opaque stay what they are.
    """
    peak = peak_of(alpha)
    steps = 1 + round((peak - 1) * ((quality - 1) / 99) ** 2)
    return np.rint(np.rint(alpha * (steps / peak)) * (peak / steps)).astype(alpha.dtype)


def _axes(kind):
    """Along which a prediction takes differences: of nothing, of the sample to the left, of that above, of both."""
    return [axis for axis, bit in ((1, 1), (0, 2)) if kind & bit]


def _differences(alpha, kind):
    for axis in _axes(kind):
        alpha = np.diff(alpha, axis=axis, prepend=alpha.dtype.type(0))
    return alpha


def _bytes_apart(values):
    """All more significant bytes, then all others."""
    return b"".join(as_bytes(values)[place :: values.itemsize] for place in range(values.itemsize))

"""The alpha plane in chunk 5 (FORMAT.md, chapter 8).

A file keeps it without loss, as differences between neighbours in a Zstandard frame. `coarser` takes steps away before.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DamagedError, SourceError
from ..picture import as_bytes, peak_of
from .arch import Arch
from .metadata import compressed, decompressed

CHUNK = 5
"""Id of the chunk that holds alpha (FORMAT.md, chapter 2)."""
CHUNK_MAX = 2**28 - 1
"""Greatest length of a chunk in bytes; a varint holds no more (FORMAT.md, *Conventions*)."""


def alpha_chunk(alpha: np.ndarray) -> tuple[int, bytes]:
    """Code an alpha plane as a chunk (id, content).

    All four predictions are tried. The one whose differences need the fewest bytes is kept.

    alpha: uint8 or uint16 (H, W).

    Raises `SourceError` if the content is longer than `CHUNK_MAX`.
    """
    contents = (bytes([kind]) + compressed(_bytes_apart(_differences(alpha, kind))) for kind in range(4))
    content = min(contents, key=len)
    if len(content) > CHUNK_MAX:
        raise SourceError(f"The alpha plane needs {len(content):,} bytes; at most {CHUNK_MAX:,} fit.")
    return CHUNK, content


def alpha_of(chunks: Sequence[tuple[int, bytes]], arch: Arch) -> np.ndarray | None:
    """Decode the alpha plane among a file's chunks (id, content).

    Returns uint8 or uint16 (H, W), or None if the file has no alpha. Raises `DamagedError`.
    """
    content = dict(chunks).get(CHUNK)
    if content is None:
        return None
    if not content or content[0] > 3:
        raise DamagedError("The alpha plane is damaged: it has a prediction that does not exist.")
    count = arch.height * arch.width * arch.bits // 8
    data = decompressed(content[1:], "alpha plane", count, exactly=True)
    planes = np.frombuffer(data, np.uint8).reshape(-1, arch.height, arch.width)
    total: Any = sum(
        plane.astype(f"uint{arch.bits}") << np.uint8(8 * (len(planes) - 1 - index))
        for index, plane in enumerate(planes)
    )
    for axis in _axes(content[0]):
        np.cumsum(total, axis, total.dtype, total)
    return total


def coarser(alpha: np.ndarray, quality: int) -> np.ndarray:
    """Quantise alpha to fewer values, which take fewer bytes.

    At quality 1 two values are left. Their number grows with the square of the quality, up to all at 100. Samples that
    are fully transparent or opaque stay as they are.

    alpha: uint8 or uint16 (H, W). quality: 1..100.
    """
    peak = peak_of(alpha)
    steps = 1 + round((peak - 1) * ((quality - 1) / 99) ** 2)
    return np.rint(np.rint(alpha * (steps / peak)) * (peak / steps)).astype(alpha.dtype)


def _axes(kind):
    """List the axes along which a prediction takes differences: 1 from the sample to the left, 0 from the one above."""
    return [axis for axis, bit in ((1, 1), (0, 2)) if kind & bit]


def _differences(alpha, kind):
    for axis in _axes(kind):
        alpha = np.diff(alpha, axis=axis, prepend=alpha.dtype.type(0))
    return alpha


def _bytes_apart(values):
    """Join the more significant bytes of all values, then the less significant ones."""
    return b"".join(as_bytes(values)[place :: values.itemsize] for place in range(values.itemsize))

"""The alpha plane (FORMAT.md, chapter 8): without loss, as differences from its neighbours in a Zstandard frame; and what may be lost before."""

import numpy as np

from .errors import DamagedError, SourceError
from .metadata import compressed, decompressed
from .samples import as_bytes, peak_of

CHUNK = 5
CHUNK_MAX = 2**28 - 1
"""Bytes whose number fits into the format's varint."""


def alpha_chunk(alpha):
    """The chunk (id, content) of an alpha plane, uint8 or uint16 (H, W): that of four predictions whose differences need the fewest bytes. Raises `SourceError`."""
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
    total = sum(plane.astype(f"uint{arch.bits}") << np.uint8(8 * (len(planes) - 1 - index)) for index, plane in enumerate(planes))
    for axis in _axes(content[0]):
        np.cumsum(total, axis, total.dtype, total)
    return total


def coarser(alpha, quality):
    """Alpha (H, W) in fewer steps, which take fewer bytes: at quality 1 (of 100) two, then more in its square; clear and opaque stay what they are."""
    peak = peak_of(alpha)
    steps = 1 + round((peak - 1) * ((quality - 1) / 99) ** 2)
    return np.rint(np.rint(alpha * (steps / peak)) * (peak / steps)).astype(alpha.dtype)


def filled(samples, alpha):
    """Samples (H, W) or (H, W, 3) whose colours under full transparency are the means of what is visible around: they cost next to nothing.

    From coarse to fine: what has no visible sample in its square takes the value of the square above it.
    """
    weights = (alpha > 0).astype(np.float32)
    if weights.all() or not weights.any():
        return samples if weights.any() else np.zeros_like(samples)
    planes = samples.reshape(*alpha.shape, -1) * weights[..., None]
    levels = [(planes, weights)]
    while (levels[-1][1] == 0).any():
        levels.append(tuple(_halved(each) for each in levels[-1]))
    values = None
    for planes, weights in reversed(levels):
        means = planes / np.where(weights, weights, 1)[..., None]
        if values is not None:
            above = values.repeat(2, 0).repeat(2, 1)[: means.shape[0], : means.shape[1]]
            means = np.where(weights[..., None] > 0, means, above)
        values = means
    return np.rint(values).astype(samples.dtype).reshape(samples.shape)


def _halved(values):
    """Sums over 2x2."""
    rows, columns = (range(0, size, 2) for size in values.shape[:2])
    return np.add.reduceat(np.add.reduceat(values, rows, 0), columns, 1)


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

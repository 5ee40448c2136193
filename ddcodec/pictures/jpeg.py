"""What a JPEG says of the picture it was made from: samples of its components, tables, and what coding so does."""

import io
from typing import Any, NamedTuple

import numpy as np

from ..errors import SourceError

BLOCK = 8
"""Rows and columns of a block of coefficients."""
ROUNDS = 24
"""Rounds in which the samples of a component are found; the error falls to three quarters in each."""
QUALITIES = range(1, 97)
"""Qualities that are looked for; above, a JPEG has lost almost nothing."""
SUBSAMPLINGS = (2, 0)
"""Pillow's numbers of 4:2:0 and 4:4:4, which are looked for."""
LOOKED_AT = 256
"""Rows and columns of a picture in which they are looked for."""
SAME, OTHER = 0.5, 0.7
"""A picture was a JPEG of a quality if the same coding changes it by at most `SAME` levels in the mean, and by at most
`OTHER` of what codings do that are two qualities above and below.
"""


class Component(NamedTuple):
    """One of a JPEG's planes: luma, or one of chroma.

    samples: float32 (rows, columns), levels, before they are enlarged to the picture's size.
    steps: float32 (8, 8), the quantisation steps of its coefficients (ISO/IEC 10918-1, A.3.4).
    down, across: pixels of the picture in one of its samples.
    """

    samples: np.ndarray
    steps: np.ndarray
    down: int
    across: int


def components_of(file: bytes) -> list[Component] | None:
    """Read the components of a JPEG: one of a grey one, or three.

    None for a JPEG of other colours, or of a subsampling by more than two. Chroma of fewer pixels is found from what
    libjpeg makes of it, by the inverse of its triangle filter, but for what its rounding has cost.

    Raises `SourceError` if the file is no JPEG.
    """
    image = _opened(file)
    image.draft("YCbCr" if image.mode == "RGB" else image.mode, None)
    if image.mode not in ("YCbCr", "L") or image.info.get("adobe_transform") == 0:
        return None
    most = [max(row[place] for row in image.layer) for place in (1, 2)]
    planes = np.asarray(image, np.float32).reshape(image.height, image.width, -1)
    found = []
    for plane, (_, horizontal, vertical, table) in zip(planes.transpose(2, 0, 1), image.layer):
        across, down = most[0] // horizontal, most[1] // vertical
        if max(across, down) > 2:
            return None
        steps = np.array(image.quantization[table], np.float32).reshape(BLOCK, BLOCK)
        found.append(Component(_before_enlarging(plane, down, across), steps, down, across))
    return found


def coded_again(samples: np.ndarray, file: bytes) -> np.ndarray:
    """Code samples as JPEG with the tables and the subsampling of another JPEG, and decode them.

    samples: uint8 (H, W) or (H, W, 3), like the result.
    file: the bytes of the other JPEG.

    Raises `SourceError` if the file is no JPEG.
    """
    from PIL import JpegImagePlugin

    image = _opened(file)
    subsampling = {} if samples.ndim == 2 else {"subsampling": JpegImagePlugin.get_sampling(image)}
    return decoded(coded(samples, qtables=image.quantization, **subsampling))


def jpeg_that_made(samples: np.ndarray) -> bytes | None:
    """Find the JPEG that was decoded to samples, uint8 (H, W) or (H, W, 3), if libjpeg's tables were its own.

    Coding it a second time hardly changes a picture (Farid 2009, "Exposing digital forgeries from JPEG ghosts"). None
    if no coding is known by that.
    """
    part = samples[:LOOKED_AT, :LOOKED_AT]
    if part.min() == part.max():
        # Many codings keep one level, or none, and so tell nothing.
        return None
    best, found = OTHER, None
    for subsampling in SUBSAMPLINGS if samples.ndim == 3 else SUBSAMPLINGS[:1]:
        own = {} if samples.ndim == 2 else {"subsampling": subsampling}
        changes = {
            quality: float(abs(decoded(coded(part, quality=quality, **own)).astype(np.int16) - part).mean())
            for quality in range(max(1, QUALITIES[0] - 2), QUALITIES[-1] + 3)
        }
        for quality in QUALITIES:
            others = [changes[other] for other in (quality - 2, quality + 2) if other in changes]
            share = changes[quality] / max(min(others), 1e-3)
            if changes[quality] <= SAME and share <= best:
                best, found = share, {"quality": quality, **own}
    return coded(samples, **found) if found else None


def _opened(file):
    from PIL import Image

    image = Image.open(io.BytesIO(file))
    if image.format not in ("JPEG", "MPO"):
        raise SourceError("The picture is no JPEG; how much it has lost cannot be read from it.")
    return image


def coded(samples: np.ndarray, **options: Any) -> bytes:
    """Code samples, uint8 (H, W) or (H, W, 3), as JPEG, with the options of Pillow."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def decoded(file: bytes) -> np.ndarray:
    """Decode a JPEG as it is, without a turn: uint8 (H, W) or (H, W, 3)."""
    from PIL import Image

    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image)


def _before_enlarging(plane, down, across):
    """Find the samples, (rows, columns), that libjpeg has made a plane of by factors of 1 or 2."""
    rows, columns = plane.shape
    plane = np.pad(plane, [(0, rows % down), (0, columns % across)], "edge")
    samples = averaged(plane, down, across)
    if down == across == 1:
        return samples
    for _ in range(ROUNDS):
        samples = samples + averaged(plane - _enlarged(_enlarged(samples, down, 0), across, 1), down, across)
    return samples


def averaged(plane: np.ndarray, down: int, across: int) -> np.ndarray:
    """Take the means of down x across of a plane, (rows, columns), of which both are multiples."""
    rows, columns = plane.shape
    return plane.reshape(rows // down, down, columns // across, across).mean((1, 3))


def _enlarged(samples, factor, axis):
    """Put two samples in the place of one along an axis as libjpeg does, or leave them: three quarters are the sample
    itself, one is that beside it.
    """
    if factor == 1:
        return samples
    padded = np.pad(samples, [(1, 1) if each == axis else (0, 0) for each in range(2)], "edge")
    before, after = (np.take(padded, range(start, start + samples.shape[axis]), axis) for start in (0, 2))
    pairs = np.stack([0.75 * samples + 0.25 * before, 0.75 * samples + 0.25 * after], axis + 1)
    shape = list(samples.shape)
    shape[axis] *= 2
    return pairs.reshape(shape)

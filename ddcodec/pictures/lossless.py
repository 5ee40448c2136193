"""Tell whether a lossless format takes fewer bytes for a picture than its `.ddc` file.

This is often so for graphics and screens.
"""

import io
from importlib.util import find_spec
from typing import NamedTuple

from ..picture import Picture, bits_of
from .metadata import profile_in
from .write import encode_image_bytes, pillow_image

WEBP_SIDE_MAX = 16383
"""Pixels of the longest side of a WebP (libwebp's WEBP_MAX_DIMENSION)."""
QUICK = {"method": 1, "quality": 20}
"""Options of Pillow's WebP for a first look; it takes 50 ms on a photograph of 0.26 megapixels."""
THOROUGH = {"method": 4, "quality": 75}
"""Options of Pillow's WebP for the file that counts; it takes 190 ms on the same photograph."""
MOST_QUICK = 3
"""Factor by which a quick WebP may be too large before a thorough one is not tried.

Of screens and dithered pictures, the thorough one had 0.4 and more of the bytes of the quick one.
"""


class Lossless(NamedTuple):
    """A lossless file of a picture: its format, "WebP" or "PNG", and its bytes."""

    format: str
    bytes: int


def smaller_lossless(picture: Picture, count: int) -> Lossless | None:
    """Return the `Lossless` file of a `Picture`, metadata included, if it has fewer than `count` bytes; else None.

    It is a WebP, or a PNG where WebP cannot hold the picture: 16 bits a sample, long sides.
    """
    if bits_of(picture.samples) > 8 and find_spec("imagecodecs") is None:
        return None
    if bits_of(picture.samples) > 8 or max(picture.samples.shape[:2]) > WEBP_SIDE_MAX:
        found = Lossless("PNG", len(encode_image_bytes(picture, "png")))
    elif _webp_bytes(picture, QUICK) > MOST_QUICK * count:
        return None
    else:
        found = Lossless("WebP", _webp_bytes(picture, THOROUGH))
    return found if found.bytes < count else None


def _webp_bytes(picture, how):
    file, metadata = io.BytesIO(), picture.metadata
    pillow_image(picture).save(
        file,
        "WEBP",
        lossless=True,
        icc_profile=profile_in(metadata, picture.samples.ndim == 2),
        exif=metadata.get("exif", b""),
        xmp=metadata.get("xmp", b""),
        **how,
    )
    return len(file.getvalue())

"""Whether a lossless format takes no more bytes for a picture than its `.ddc` file: graphics and screens are often
so.
"""

import io
from importlib.util import find_spec
from typing import NamedTuple

from ..picture import bits_of
from .metadata import profile_in
from .write import encode_image_bytes, pillow_image

WEBP_SIDE_MAX = 16383
QUICK, THOROUGH = {"method": 1, "quality": 20}, {"method": 4, "quality": 75}
"""Of Pillow's WebP. On a photograph of 0.26 megapixels the first takes 50 ms, the second 190."""
MOST_QUICK = 3
"""What is so many times too large when it is made quickly stays too large: of screens and dithered pictures the second
had a share of 0.4 and more of the first.
"""


class Lossless(NamedTuple):
    format: str
    bytes: int


def smaller_lossless(picture, count):
    """The `Lossless` file of a `Picture`, metadata included, that has fewer than `count` bytes, or None: a WebP, or a
    PNG where WebP cannot hold it (16 bits a sample, long sides).
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

"""What is refused of a picture, in sentences to a person."""

import struct
import zlib

from ..errors import LimitError, SourceError
from ..format.arch import SIDE_MAX

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    struct.error,
    zlib.error,
    Warning,
)
"""What Pillow's plugins and imagecodecs are known to raise on bytes that are damaged or of a variant they do not know;
warnings where somebody has made them errors.
"""

MODES = {
    "1": "L",
    "L": "L",
    "P": "RGB",
    "RGB": "RGB",
}
"""Pillow's modes that become samples without loss -> the mode whose bytes are the samples."""

DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
MODE_NAMES = {"LAB": "Lab", "YCbCr": "YCbCr", "HSV": "HSV", "F": "floating-point", "I": "32-bit integer"}


def refuse_pixels(size, name, max_pixels):
    """Refuse what a file may not hold: more than `max_pixels`, if that is not 0, or than Pillow takes."""
    from PIL import Image

    if max_pixels and size[0] * size[1] > max_pixels:
        raise LimitError(
            f"{name} has {size[0]}x{size[1]} = {size[0] * size[1]:,} pixels, above the limit of {max_pixels:,} "
            "(--max-pixels)."
        )
    if Image.MAX_IMAGE_PIXELS is not None and size[0] * size[1] > 2 * Image.MAX_IMAGE_PIXELS:
        raise too_many_pixels(name)


def refuse_size(size, name):
    if max(size) > SIDE_MAX:
        raise SourceError(
            f"{name} is {size[0]}x{size[1]}: no side of a .ddc picture can be longer than {SIDE_MAX} pixels."
        )
    if min(size) < 1:
        raise SourceError(f"{name} is {size[0]}x{size[1]}: it has no pixels.")


def refuse_mode(image, name, *others):
    if image.mode not in MODES and image.mode not in DEEP_MODES and image.mode not in others:
        kind = MODE_NAMES.get(image.mode, image.mode)
        raise SourceError(f"{name} is a {kind} picture; only grey, RGB and CMYK are supported. Convert it first.")


def damaged(name, error):
    if "truncated" in str(error).lower():
        return SourceError(f"{name} is cut off: its end is missing.")
    return SourceError(
        f"{name} is damaged or cut off"
        + (f": {' '.join(str(error).split()).rstrip(' .') or type(error).__name__}." if error else ".")
    )


def too_many_pixels(name):
    from PIL import Image

    return SourceError(
        f"{name} has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, the most that are read from a file "
        "(--max-pixels names another limit)."
    )


def imagecodecs_for(what):
    """The package, which is not there where only what decoding 8 bits needs is installed."""
    try:
        import imagecodecs
    except ImportError:
        raise SourceError(
            f"For {what} the package imagecodecs is needed, which is not installed: pip install 'ddcodec[16bit]' "
            "brings it."
        ) from None
    return imagecodecs

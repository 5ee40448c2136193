"""Refuse pictures, in sentences to a person."""

import struct
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import LimitError, SourceError
from ..format.arch import SIDE_MAX

if TYPE_CHECKING:
    from PIL import Image

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
"""Errors that Pillow's plugins and imagecodecs raise on bytes that are damaged or of a variant they do not know.

These are the errors that have been seen. `Warning` stands for warnings that somebody has made errors.
"""

MODES = {
    "1": "L",
    "L": "L",
    "P": "RGB",
    "RGB": "RGB",
}
"""Pillow's mode that becomes samples without loss -> the mode whose bytes are the samples."""

DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes for grey samples of 16 bits."""
ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
"""Pillow's modes with alpha."""
MODE_NAMES = {"LAB": "Lab", "YCbCr": "YCbCr", "HSV": "HSV", "F": "floating-point", "I": "32-bit integer"}
"""Pillow's mode that is refused -> its name in messages."""


def refuse_pixels(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Refuse a file of more than `max_pixels`, if that is not 0, or of more pixels than Pillow takes.

    size: (width, height).
    name: what error messages call the file.

    Raises `LimitError` above `max_pixels`, and `SourceError` above twice Pillow's MAX_IMAGE_PIXELS.
    """
    from PIL import Image

    if max_pixels and size[0] * size[1] > max_pixels:
        raise LimitError(
            f"{name} has {size[0]}x{size[1]} = {size[0] * size[1]:,} pixels, above the limit of {max_pixels:,} "
            "(--max-pixels)."
        )
    if Image.MAX_IMAGE_PIXELS is not None and size[0] * size[1] > 2 * Image.MAX_IMAGE_PIXELS:
        raise too_many_pixels(name)


def refuse_size(size: Sequence[int], name: str) -> None:
    """Refuse a picture without pixels, or with a side above `SIDE_MAX`.

    size: (width, height).
    name: what error messages call the picture.

    Raises `SourceError`.
    """
    if max(size) > SIDE_MAX:
        raise SourceError(
            f"{name} is {size[0]}x{size[1]}: no side of a .ddc picture can be longer than {SIDE_MAX} pixels."
        )
    if min(size) < 1:
        raise SourceError(f"{name} is {size[0]}x{size[1]}: it has no pixels.")


def refuse_mode(image: "Image.Image", name: str, *others: str) -> None:
    """Refuse an image in a mode that is not supported.

    others: modes that are supported, too.

    Raises `SourceError`.
    """
    if image.mode not in MODES and image.mode not in DEEP_MODES and image.mode not in others:
        kind = MODE_NAMES.get(image.mode, image.mode)
        raise SourceError(f"{name} is a {kind} picture; only grey, RGB and CMYK are supported. Convert it first.")


def damaged(name: str, error: BaseException | None) -> SourceError:
    """Make the `SourceError` of a file that is damaged or cut off.

    error: what a reader has raised, whose words are quoted; None quotes nothing.
    """
    if "truncated" in str(error).lower():
        return SourceError(f"{name} is cut off: its end is missing.")
    return SourceError(
        f"{name} is damaged or cut off"
        + (f": {' '.join(str(error).split()).rstrip(' .') or type(error).__name__}." if error else ".")
    )


def too_many_pixels(name: str) -> SourceError:
    """Make the `SourceError` of a file with more pixels than Pillow takes."""
    from PIL import Image

    assert Image.MAX_IMAGE_PIXELS is not None  # Only Pillow's own limit leads here.
    return SourceError(
        f"{name} has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, the most that are read from a file "
        "(--max-pixels names another limit)."
    )


def imagecodecs_for(what: str) -> Any:
    """Import the package imagecodecs, which may be missing where only decoding 8 bits was installed for.

    what: the use that needs it.

    Raises `SourceError` without the package.
    """
    try:
        import imagecodecs
    except ImportError:
        raise SourceError(
            f"For {what} the package imagecodecs is needed, which is not installed: pip install 'ddcodec[16bit]' "
            "brings it."
        ) from None
    return imagecodecs

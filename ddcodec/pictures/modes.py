"""Turn images in Pillow's modes into arrays of samples: palettes, CMYK, alpha."""

import io
from typing import TYPE_CHECKING

import numpy as np

from .deep import deep_array, with_key
from .kinds import bits_of_sample
from .refusals import ALPHA_MODES, DEEP_MODES, MODES, UNREADABLE, damaged, refuse_mode, too_many_pixels
from .tiff import bits_of_tiff

if TYPE_CHECKING:
    from PIL import Image


def whole_array(image: "Image.Image", data: bytes | None, frame: int | None, name: str) -> tuple[np.ndarray, list[str]]:
    """Return all samples of an image at its frame, as they lie in its file, and notes on them.

    The samples are (H, W) or (H, W, 2 to 4). The notes to the user follow the picture's name.

    data: the bytes of its file, or None without a file.
    frame: counted from 1; None for the first.
    name: what error messages call the image.

    Raises `SourceError` for what is damaged or not supported.
    """
    format = image.format
    bits = bits_of_tiff(image, name) if format == "TIFF" else bits_of_sample(data) if data else 8
    if data and (bits > 8 or format == "JXL"):
        return deep_array(image, data, bits, frame, name), []
    load_pixels(image, name)
    opaque, alpha, notes = image, None, []
    if image.mode == "CMYK":
        opaque, note = _without_cmyk(image)
        notes.append(note)
    elif _is_transparent(image) and image.mode not in DEEP_MODES:
        if format == "PNG" and image.mode == "L" and data and data[24] in (2, 4):
            # Pillow widens such samples to 8 bits, but not the key.
            image.info["transparency"] *= 255 // (2 ** data[24] - 1)
        opaque, alpha = _without_alpha(image)
    refuse_mode(opaque, name)
    colours = (
        np.asarray(opaque.convert(MODES[opaque.mode])) if opaque.mode in MODES else with_key(np.asarray(opaque), image)
    )
    if (image.mode in ("P", "PA") or format == "GIF") and colours.ndim == 3 and (colours == colours[:, :, :1]).all():
        colours = colours[:, :, 0]
    return colours if alpha is None else np.dstack([colours, alpha]), notes


def load_pixels(image: "Image.Image", name: str) -> None:
    """Load the pixels of an image that Pillow has opened.

    Raises `SourceError` for too many pixels and for a damaged file, which it calls `name`.
    """
    from PIL import Image

    try:
        image.load()
    except Image.DecompressionBombError:
        raise too_many_pixels(name) from None
    except UNREADABLE as error:
        raise damaged(name, error) from None


def _without_cmyk(image):
    """Convert a loaded CMYK image to RGB in sRGB, through its profile if it has a usable one; add a note."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            return converted, "its CMYK is converted to RGB through its colour profile."
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB"), "its CMYK is converted to RGB without a profile, so that its colours are a guess."


def _is_transparent(image):
    return (
        image.mode in ALPHA_MODES or "transparency" in image.info or image.mode == "P" and image.palette.mode != "RGB"
    )


def _without_alpha(image):
    """Split a loaded image into one without alpha and its alpha, uint8 (H, W)."""
    grey = image.mode in ("LA", "La", "L", "1")
    whole = image.convert("LA" if grey else "RGBA")
    return whole.convert("L" if grey else "RGB"), np.asarray(whole.getchannel("A"))

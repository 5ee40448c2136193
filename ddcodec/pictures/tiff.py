"""Read what the tags of a TIFF say of its samples, its orientation and its metadata (TIFF 6.0)."""

from typing import TYPE_CHECKING, Any

from ..errors import SourceError
from . import exif
from .refusals import ALPHA_MODES, UNREADABLE, refuse_mode

if TYPE_CHECKING:
    from PIL import Image

TIFF_BITS = 258
"""Number of the tag BitsPerSample (TIFF 6.0, section 8)."""
TIFF_PHOTOMETRIC = 262
"""Number of the tag PhotometricInterpretation (TIFF 6.0, section 8)."""
TIFF_SAMPLES_PER_PIXEL = 277
"""Number of the tag SamplesPerPixel (TIFF 6.0, section 8)."""
TIFF_PLANAR = 284
"""Number of the tag PlanarConfiguration (TIFF 6.0, section 8)."""
TIFF_EXTRA = 338
"""Number of the tag ExtraSamples (TIFF 6.0, section 8)."""
TIFF_SAMPLE_FORMAT = 339
"""Number of the tag SampleFormat (TIFF 6.0, section 19)."""
TIFF_X_RESOLUTION = 282
"""Number of the tag XResolution (TIFF 6.0, section 8)."""
TIFF_WHITE_IS_ZERO = 0
"""PhotometricInterpretation of grey in which 0 is white."""
TIFF_RGB = 2
"""PhotometricInterpretation of RGB; lower numbers are grey."""
TIFF_STRAIGHT_ALPHA = 2
"""ExtraSamples for alpha that the colours have not been multiplied with."""
TIFF_WORDS = (269, 270, 271, 272, 305, 306, 315, 316, 33432)
"""Numbers of the tags about the document, the camera, the software, the time and the people (TIFF 6.0, section 8)."""
TIFF_DIRECTORIES = (34665, 34853)
"""Numbers of the tags that lead to the directories of EXIF and GPS (Exif 2.3, 4.6.3)."""


def out_of_tiff(data: bytes, frame: int | None) -> tuple[int | None, bytes]:
    """Take the orientation out of a TIFF: that of a page, 1 to 8 or None, and the file with all pages upright.

    Readers leave upright pages as they are. Pillow would turn others itself, but only for some types of the tag. Other
    files come back unchanged, with None.

    data: the bytes of the file.
    frame: the page, counted from 1; None for the first.
    """
    if not data.startswith((b"II*\0", b"MM\0*")):
        return None, data
    return exif.orientation_of(data, (frame or 1) - 1), exif.upright(data, every=True)


def exif_of_tiff(image: "Image.Image") -> bytes:
    """Collect what the tags of a TIFF say beside how its samples lie, as EXIF; empty if nothing."""
    from PIL import Image

    try:
        source, exif = image.getexif(), Image.Exif()
        for tag in TIFF_WORDS:
            if tag in source:
                exif[tag] = source[tag]
        for tag in TIFF_DIRECTORIES:
            if source.get_ifd(tag):
                exif.get_ifd(tag).update(source.get_ifd(tag))
        return exif.tobytes() if len(exif) else b""
    except UNREADABLE:
        return b""


def bits_of_tiff(image: Any, name: str) -> int:
    """Read the bits a sample of a TIFF: 1, 2, 4, 8 or 16.

    image: the TIFF as Pillow has opened it.
    name: what error messages call it.

    Raises `SourceError` for what the tags state and readers drop: other depths, signed samples, more channels.
    """
    tags = image.tag_v2
    bits, count = max(tags.get(TIFF_BITS, (1,))), tags.get(TIFF_SAMPLES_PER_PIXEL, 1)
    refuse_mode(image, name, "CMYK", *ALPHA_MODES)
    if not set(tags.get(TIFF_SAMPLE_FORMAT, (1,))) <= {1, 4}:
        raise SourceError(f"{name} has signed samples; only unsigned ones are supported.")
    if bits not in (1, 2, 4, 8, 16):
        raise SourceError(f"{name} has {bits} bits a sample; a TIFF may have at most 8, or 16.")
    if count > 4 or count in (2, 4) and image.mode not in ("CMYK", *ALPHA_MODES):
        raise SourceError(f"{name} has {count} channels; only grey and RGB, with or without alpha, are supported.")
    if bits == 16 and (
        tags.get(TIFF_PHOTOMETRIC, 1) > TIFF_RGB
        or tags.get(TIFF_PLANAR, 1) != 1
        or count in (2, 4)
        and tags.get(TIFF_EXTRA, (0,))[0] != TIFF_STRAIGHT_ALPHA
    ):
        raise SourceError(
            f"{name} is a 16-bit TIFF of a kind that is not supported: only grey and RGB with straight alpha are, "
            "their channels together."
        )
    return bits

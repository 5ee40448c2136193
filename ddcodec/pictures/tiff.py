"""What the tags of a TIFF say of its samples, its orientation and its metadata (TIFF 6.0)."""

from ..errors import SourceError
from . import exif
from .refusals import ALPHA_MODES, UNREADABLE, refuse_mode

TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_SAMPLES_PER_PIXEL, TIFF_PLANAR, TIFF_EXTRA, TIFF_SAMPLE_FORMAT = (
    258,
    262,
    277,
    284,
    338,
    339,
)
TIFF_X_RESOLUTION = 282
TIFF_WHITE_IS_ZERO, TIFF_RGB = 0, 2
TIFF_STRAIGHT_ALPHA = 2
TIFF_WORDS, TIFF_DIRECTORIES = (269, 270, 271, 272, 305, 306, 315, 316, 33432), (34665, 34853)
"""Tags about the document, the camera, the software, the time, the people; those that lead to EXIF and GPS."""


def out_of_tiff(data, frame):
    """The orientation that the page of a TIFF states, 1 to 8, or None; and the file with pages that lie upright, which
    readers leave as they are.

    Pillow would turn a page itself, but only for some types of the tag.
    """
    if not data.startswith((b"II*\0", b"MM\0*")):
        return None, data
    return exif.orientation_of(data, (frame or 1) - 1), exif.upright(data, every=True)


def exif_of_tiff(image):
    """What the tags of a TIFF say beside how its samples lie, as EXIF; empty if nothing."""
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


def bits_of_tiff(image, name):
    """Bits a sample of a TIFF: at most 8, or 16.

    Refuses what its tags state and readers drop: other depths, signed samples, more channels.
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

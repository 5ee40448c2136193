"""Tell which format bytes or a name promise, and how deep the samples are by the first bytes."""

import math
import os
import re

from ..format.files import ddc_bytes
from ..format.header import MAGIC
from . import png
from .jpegxl import read_header

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "PPM", "BMP", "GIF")
"""Formats that are read with Pillow alone, by Pillow's names."""
PLUGINS = {
    "HEIF": ("pillow_heif", "register_heif_opener", "pillow-heif"),
    "JXL": ("pillow_jxl", None, "pillow-jxl-plugin"),
}
"""Format that Pillow reads with a plugin -> the plugin's module, its function, its name in the package index.

The function registers the plugin; it is None where importing the module does.
"""
PLUGIN_TITLES = {"HEIF": "HEIC", "JXL": "JPEG XL"}
"""Pillow's name of such a format -> its name in messages."""
PLUGIN_ENDINGS = {".heic": "HEIF", ".heif": "HEIF", ".jxl": "JXL"}
"""Ending of a file's name -> Pillow's name of such a format."""

KNOWN_BY = {b"\xff\xd8": "JPEG", png.SIGNATURE: "PNG", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"GIF8": "GIF", b"BM": "BMP"}
"""First bytes of a file -> the format that they promise."""
HEAD_BYTES = 2**16
"""Bytes of a file's beginning in which the depth of its samples is looked for."""
PPM_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
"""White space and comments between the numbers of a PPM's header (Netpbm)."""
PPM_HEAD = rb"P([2356])" + PPM_GAP + rb"(\d+)" + PPM_GAP + rb"(\d+)" + PPM_GAP + rb"(\d{1,9})"
"""Header of a PPM: kind, width, height, and the largest sample."""


def is_picture_name(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name ends as those of the formats that can be read do.

    An ending of a plugin's format counts where the plugin is installed.
    """
    from importlib.util import find_spec

    from PIL import Image

    ending = os.path.splitext(path)[1].lower()
    if ending in PLUGIN_ENDINGS:
        return find_spec(PLUGINS[PLUGIN_ENDINGS[ending]][0]) is not None
    return Image.registered_extensions().get(ending) in FORMATS


def is_ddc(data: bytes) -> bool:
    """Whether bytes begin as a `.ddc` file does."""
    return data.startswith(MAGIC.to_bytes(4, "big"))


def begins_as_picture(data: bytes) -> bool:
    """Whether bytes may begin a picture that can be read, by Pillow's own look at the first 16.

    Fewer than 64 bytes always may.

    data: the beginning of a file, of at least 64 bytes if the file has so many.
    """
    from PIL import Image

    if len(data) < 64 or plugin_format(data):
        return True
    for load in Image.preinit, Image.init:
        load()
        openers = [Image.OPEN[format] for format in FORMATS if format in Image.OPEN]
        if any(accepts is not None and accepts(data[:16]) for _, accepts in openers):
            return True
    return False


def kind_of_picture(data: bytes) -> str | None:
    """Name the picture format that bytes begin as; None if they begin as no known one."""
    plugin = plugin_format(data)
    if plugin:
        return PLUGIN_TITLES[plugin]
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    if data[:4] == b"RIFF":
        return "WebP" if data[8:12] == b"WEBP" else None
    return next((title for signature, title in KNOWN_BY.items() if data.startswith(signature)), None) or (
        "PPM" if re.match(PPM_HEAD, data) else None
    )


def is_jpeg(data: bytes) -> bool:
    """Whether bytes begin as a JPEG file does."""
    return data.startswith(b"\xff\xd8")


def bits_of_jpeg(data: bytes) -> int | None:
    """Read the bits a sample that the frame header of a JPEG states (ISO/IEC 10918-1, B.2.2).

    The result is None where no frame header is found.
    """
    at = 2 if is_jpeg(data) else len(data)
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 4]
        # Any number of 0xFF may stand before a marker.
        at += 1 if marker == 0xFF else 2 + length
    return None


def plugin_format(data: bytes) -> str | None:
    """Name the one of `PLUGINS` that bytes begin as; None if they begin as none."""
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JXL"
    # AVIF has the same container, and brands of its own.
    return (
        "HEIF"
        if data[4:8] == b"ftyp"
        and data[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
        and b"avif" not in data[8:64]
        else None
    )


def bits_of_sample(data: bytes) -> int:
    """Read the bits a sample that a PNG, AVIF, JPEG XL or PPM states; 8 for all else.

    Pillow hands out 8 bits for most files that have more. A PPM states its largest sample, of which these are the bits.

    data: the beginning of a file.

    Raises `ValueError` for a damaged header of a JPEG XL file.
    """
    if plugin_format(data) == "JXL":
        return read_header(data).bits
    if data.startswith(png.SIGNATURE) and len(data) > 24:
        return data[24]
    if data[4:8] == b"ftyp":
        # The configuration of the first AV1 picture (AV1-ISOBMFF, 2.3). Its third byte holds the flags high_bitdepth
        # and twelve_bit.
        found = re.search(rb"av1C\x81.(.)", data, re.DOTALL)
        flags = found[1][0] if found else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    found = re.match(PPM_HEAD, data[:4096])
    return int(found[4]).bit_length() if found else 8


def picture_bytes(data: bytes) -> float:
    """Tell how many bytes are worth reading of a picture file that begins so.

    The result is `math.inf`, or 0 for none beyond these where the file is no picture.
    """
    return math.inf if begins_as_picture(data) else 0


def either_bytes(data: bytes) -> float:
    """Tell the same for a `.ddc` file or a picture, as `format.files.ddc_bytes` or `picture_bytes`."""
    return ddc_bytes(data) if is_ddc(data) else picture_bytes(data)

"""Which format bytes or a name promise, and what its first bytes say of it."""

import math
import os
import re

from ..format.files import ddc_bytes
from ..format.header import MAGIC
from . import png
from .jpegxl import read_header

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "PPM", "BMP", "GIF")
PLUGINS = {
    "HEIF": ("pillow_heif", "register_heif_opener", "pillow-heif"),
    "JXL": ("pillow_jxl", None, "pillow-jxl-plugin"),
}
"""Formats that Pillow reads with a plugin's help: its module, the function in it that registers it if importing does
not, its name in the package index.
"""
PLUGIN_TITLES = {"HEIF": "HEIC", "JXL": "JPEG XL"}
PLUGIN_ENDINGS = {".heic": "HEIF", ".heif": "HEIF", ".jxl": "JXL"}

KNOWN_BY = {b"\xff\xd8": "JPEG", png.SIGNATURE: "PNG", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"GIF8": "GIF", b"BM": "BMP"}
"""First bytes -> the format that they promise."""
HEAD_BYTES = 2**16
PPM_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
PPM_HEAD = rb"P([2356])" + PPM_GAP + rb"(\d+)" + PPM_GAP + rb"(\d+)" + PPM_GAP + rb"(\d{1,9})"


def is_picture_name(path):
    """Whether a file's name ends as those of the formats that can be read do."""
    from importlib.util import find_spec

    from PIL import Image

    ending = os.path.splitext(path)[1].lower()
    if ending in PLUGIN_ENDINGS:
        return find_spec(PLUGINS[PLUGIN_ENDINGS[ending]][0]) is not None
    return Image.registered_extensions().get(ending) in FORMATS


def is_ddc(data):
    """Whether bytes begin as a `.ddc` file does."""
    return data.startswith(MAGIC.to_bytes(4, "big"))


def begins_as_picture(data):
    """Whether bytes, of which there are at least 64 if the file has so many, may begin a picture that can be read:
    Pillow's own look at the first 16.
    """
    from PIL import Image

    if len(data) < 64 or plugin_format(data):
        return True
    for load in Image.preinit, Image.init:
        load()
        if any(Image.OPEN[format][1](data[:16]) for format in FORMATS if format in Image.OPEN):
            return True
    return False


def kind_of_picture(data):
    """The name of the picture format that bytes begin as, or None."""
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


def is_jpeg(data):
    """Whether bytes begin as a JPEG file does."""
    return data.startswith(b"\xff\xd8")


def bits_of_jpeg(data):
    """Bits a sample that the frame header of a JPEG states (ISO/IEC 10918-1, B.2.2), or None where none is found."""
    at = 2 if is_jpeg(data) else len(data)
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 4]
        # Any number of 0xFF may stand before a marker.
        at += 1 if marker == 0xFF else 2 + length
    return None


def plugin_format(data):
    """The one of `PLUGINS` that bytes begin as, or None."""
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


def bits_of_sample(data):
    """Bits a sample that a PNG, AVIF, JPEG XL or PPM states, else 8: Pillow hands out 8 for most of what has more."""
    if plugin_format(data) == "JXL":
        return read_header(data).bits
    if data.startswith(png.SIGNATURE) and len(data) > 24:
        return data[24]
    if data[4:8] == b"ftyp":
        # The configuration of the first AV1 picture: marker and version, profile, then flags: high_bitdepth,
        # twelve_bit.
        found = re.search(rb"av1C\x81.(.)", data, re.DOTALL)
        flags = found[1][0] if found else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    found = re.match(PPM_HEAD, data[:4096])
    return int(found[4]).bit_length() if found else 8


def picture_bytes(data):
    """How many bytes are worth reading of a picture file that begins so: all, or none beyond where it is no picture."""

    return math.inf if begins_as_picture(data) else 0


def either_bytes(data):
    """As `format.files.ddc_bytes` or `picture_bytes`, as the file begins."""
    return ddc_bytes(data) if is_ddc(data) else picture_bytes(data)

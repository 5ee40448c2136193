"""The orientation that EXIF or XMP states: read, and set upright where the pixels have been turned.

A TIFF file has the same directories.
"""

import re
import struct
from typing import NamedTuple

SIGNATURE = b"Exif\0\0"
"""Stands before the TIFF header in a JPEG, in some files twice."""
ORIENTATION = 274
KINDS = {1: "B", 2: "", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d"}
"""Types of a tag's value -> how one is laid out (TIFF 6.0, section 2): words are none, rationals are two numbers."""
DIRECTORIES_MAX = 1000
MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte order marks; the longer ones first, which begin as others do."""
XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>)\s*)([1-8])""")
"""Both forms in which XMP states an orientation, attribute and element (XMP Part 2, 3.4)."""


class _Tag(NamedTuple):
    """An orientation: in which directory of the file, where its value lies, how it is laid out, and what it is."""

    directory: int
    at: int
    layout: str
    value: float


def without_signature(exif):
    """EXIF from its TIFF header on."""
    while exif.startswith(SIGNATURE):
        exif = exif[len(SIGNATURE) :]
    return exif


def orientation_of(exif, directory=0):
    """1 to 8, as the first tag of one of the directories says, whatever its type; 1 for other numbers, None without
    such a tag.
    """
    found = next((tag.value for tag in _tags(exif) if tag.directory == directory), None)
    return found if found is None or found in range(1, 9) else 1


def upright(exif, *, every=False):
    """EXIF whose first directory, or every one of a TIFF file, says that it lies upright if it says anything; all else
    byte for byte.
    """
    tags = [tag for tag in _tags(exif) if (every or tag.directory == 0) and tag.value != 1]
    if not tags:
        return exif
    patched = bytearray(exif)
    for tag in tags:
        struct.pack_into(tag.layout, patched, tag.at, *[1] * (len(tag.layout) - 1))
    return bytes(patched)


def orientation_of_xmp(xmp):
    """1 to 8, or None where XMP says none."""
    found = XMP_ORIENTATION.search(xmp)
    return int(found[2]) if found else None


def utf8_of_xmp(xmp):
    """XMP, which may be in UTF-16 or UTF-32 (XMP Part 1, 7.1), in UTF-8; None where it is no text."""
    encoding = next((name for mark, name in MARKS.items() if xmp.startswith(mark)), "utf-8")
    try:
        return xmp.decode(encoding).encode()
    except UnicodeDecodeError:
        return None


def upright_xmp(xmp):
    """XMP that says that the picture lies upright if it says anything."""
    return XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def _tags(exif):
    """Yield the `_Tag`s of all directories of EXIF or of a TIFF file, in their order; what cannot be read is passed
    over.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(exif[:4]))
    if order is None or len(exif) < 8:
        return
    start, seen = struct.unpack_from(order + "I", exif, 4)[0], set()
    while start and start + 2 <= len(exif) and start not in seen and len(seen) < DIRECTORIES_MAX:
        count = struct.unpack_from(order + "H", exif, start)[0]
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag = _tag_at(exif, entry, order, len(seen))
            if tag:
                yield tag
        seen.add(start)
        end = start + 2 + 12 * count
        start = struct.unpack_from(order + "I", exif, end)[0] if end + 4 <= len(exif) else 0


def _tag_at(exif, entry, order, directory):
    if entry + 12 > len(exif):
        return None
    name, kind, count = struct.unpack_from(order + "HHI", exif, entry)
    layout = order + KINDS.get(kind, "")
    size = struct.calcsize(layout)
    if name != ORIENTATION or not size or not count:
        return None
    # Four bytes stand in the entry itself, more where it points to.
    at = entry + 8 if size * count <= 4 else struct.unpack_from(order + "I", exif, entry + 8)[0]
    if at + size > len(exif):
        return None
    numbers = struct.unpack_from(layout, exif, at)
    return _Tag(directory, at, layout, numbers[0] / (numbers[1] or 1) if len(numbers) > 1 else numbers[0])

"""Read the orientation that EXIF or XMP states, and set it upright where the pixels have been turned.

A TIFF file has the same directories as EXIF.
"""

import re
import struct
from typing import NamedTuple

SIGNATURE = b"Exif\0\0"
"""Bytes before the TIFF header of EXIF in a JPEG; some files have them twice."""
ORIENTATION = 274
"""Number of the tag Orientation (TIFF 6.0, section 8)."""
KINDS = {1: "B", 2: "", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d"}
"""Type of a tag's value -> layout of one value (TIFF 6.0, section 2): text has none, a rational is two numbers."""
DIRECTORIES_MAX = 1000
"""Directories that are read of one file; a limit of ours against hostile files."""
MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte order mark -> encoding; longer marks stand first, since they begin as shorter ones do."""
XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>)\s*)([1-8])""")
"""Both forms in which XMP states an orientation: attribute and element (XMP Part 2, 3.4)."""


class _Tag(NamedTuple):
    """An orientation tag: the number of its directory in the file, then the place, layout and value of its number."""

    directory: int
    at: int
    layout: str
    value: float


def without_signature(exif: bytes) -> bytes:
    """Return EXIF from its TIFF header on."""
    while exif.startswith(SIGNATURE):
        exif = exif[len(SIGNATURE) :]
    return exif


def orientation_of(exif: bytes, directory: int = 0) -> int | None:
    """Read the orientation, 1 to 8, that the first such tag of a directory states, whatever its type.

    A number out of range reads as 1. The result is None without such a tag.

    directory: its number in the file, counted from 0.
    """
    found = next((tag.value for tag in _tags(exif) if tag.directory == directory), None)
    return found if found is None or found in range(1, 9) else 1


def upright(exif: bytes, *, every: bool = False) -> bytes:
    """Set the orientation of EXIF to 1 where it states one, and leave all else byte for byte.

    every: change all directories, as of a TIFF file, not only the first.
    """
    tags = [tag for tag in _tags(exif) if (every or tag.directory == 0) and tag.value != 1]
    if not tags:
        return exif
    patched = bytearray(exif)
    for tag in tags:
        struct.pack_into(tag.layout, patched, tag.at, *[1] * (len(tag.layout) - 1))
    return bytes(patched)


def orientation_of_xmp(xmp: bytes) -> int | None:
    """Read the orientation, 1 to 8, that XMP states; None where it states none."""
    found = XMP_ORIENTATION.search(xmp)
    return int(found[2]) if found else None


def utf8_of_xmp(xmp: bytes) -> bytes | None:
    """Convert XMP to UTF-8; None where it is no text.

    XMP may be in UTF-16 or UTF-32 (XMP Part 1, 7.1).
    """
    encoding = next((name for mark, name in MARKS.items() if xmp.startswith(mark)), "utf-8")
    try:
        return xmp.decode(encoding).encode()
    except UnicodeDecodeError:
        return None


def upright_xmp(xmp: bytes) -> bytes:
    """Set the orientation of XMP to 1 where it states one."""
    return XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def _tags(exif):
    """Yield the `_Tag`s of all directories of EXIF or of a TIFF file, in their order.

    What cannot be read is passed over.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(exif[:4]))
    if order is None or len(exif) < 8:
        return
    start = struct.unpack_from(order + "I", exif, 4)[0]
    seen: set[int] = set()
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
    # A value of up to four bytes stands in the entry itself; of a longer one the entry holds the place.
    at = entry + 8 if size * count <= 4 else struct.unpack_from(order + "I", exif, entry + 8)[0]
    if at + size > len(exif):
        return None
    numbers = struct.unpack_from(layout, exif, at)
    return _Tag(directory, at, layout, numbers[0] / (numbers[1] or 1) if len(numbers) > 1 else numbers[0])

"""Take a PNG apart into the chunks that make its pixels and what the other chunks say.

The source is Portable Network Graphics (PNG) Specification, third edition.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..format.color import (
    CHROMATICITY_UNIT,
    GIVEN,
    PRIMARIES,
    SRGB,
    SRGB_PRIMARIES,
    SRGB_TRANSFER,
    Color,
    of_code_points,
    with_exponent,
    with_points,
)
from ..format.metadata import LIMITS, RESOLUTION_MAX

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""First bytes of every PNG."""
OF_PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")
"""Chunks that make pixels, beside all critical chunks, whose names begin with a capital letter."""
MEANT = {
    b"iCCP": "colour profile",
    b"eXIf": "EXIF",
    b"cICP": "colour description (cICP)",
    b"sRGB": "sRGB chunk",
    b"gAMA": "gamma",
    b"cHRM": "primaries",
    b"pHYs": "resolution",
}
"""Chunk that is read -> its name in notes to the user."""
LOST = {b"mDCV": "the colours of its mastering display", b"cLLI": "its greatest brightness"}
"""Chunk that a `.ddc` file has no place for -> what it says, for notes to the user."""
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
"""Chunks that hold text, in the order in which they are read."""
RAW_PROFILE = "Raw profile type "
"""Beginning of the keywords of texts that hold ImageMagick's profiles."""
XMP = "XML:com.adobe.xmp"
"""Keyword of the text that holds XMP (XMP Part 3)."""
RAW_KINDS = {"exif": "exif", "APP1": "exif", "xmp": "xmp", "icc": "icc", "icm": "icc"}
"""ImageMagick's name of a profile that lies in text, in hexadecimal digits -> our name."""
XMP_IN_APP1 = b"http://ns.adobe.com/xap/1.0/\0"
"""Bytes before XMP in the segment APP1 of a JPEG (XMP Part 3)."""
GAMMA_UNIT = 100_000
"""Units of gAMA that make 1."""
GAMMA_OF_SRGB = 45455
"""Number in gAMA, in these units, that the specification lays down for sRGB."""
METRE = 1
"""Unit specifier of pHYs for pixels a metre."""
ICC_KIND = 1
"""Number of the chunk that holds an ICC profile in a `.ddc` file (FORMAT.md, chapter 2)."""
XMP_KIND = 3
"""Number of the chunk that holds XMP in a `.ddc` file (FORMAT.md, chapter 2)."""
HEX_BYTES = 3
"""Bytes of text for each byte of a profile in it: two digits, and a share of the line breaks."""
FULL_RANGE_RGB = b"\0\1"
"""Last bytes of a cICP without a matrix and with all values."""


@dataclass
class Ancillary:
    """Statements of a PNG beside its pixels.

    metadata: bytes under "icc", "exif" and "xmp".
    color: a `Color`, or None.
    resolution: (x, y) in pixels a metre, or None.
    notes: what cannot be kept, for the user, to follow the picture's name.
    """

    metadata: dict[str, bytes] = field(default_factory=dict)
    color: Color | None = None
    resolution: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)


def taken_apart(data: bytes) -> tuple[bytes, Ancillary]:
    """Split a PNG into itself without the chunks that do not make its pixels, and the `Ancillary` of these chunks.

    Readers stumble over such chunks where they are damaged or large. A PNG that is cut off or damaged elsewhere stays
    so.
    """
    kept = [SIGNATURE]
    found: dict[bytes, list[tuple[bytes, bool]]] = {}
    for kind, content, whole in chunks_of(data):
        if kind[:1].isupper() or kind in OF_PIXELS:
            kept.append(whole)
        else:
            found.setdefault(kind, []).append((content, _is_intact(whole)))
        if kind == b"IEND":
            break
    return b"".join(kept), _ancillary(found)


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield (kind, content, all its bytes) of each chunk; the last may be cut off."""
    at = len(SIGNATURE)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        whole = data[at:end]
        yield whole[4:8], whole[8:-4], whole
        at = end


def _is_intact(whole):
    return len(whole) >= 12 and zlib.crc32(whole[4:-4]) == int.from_bytes(whole[-4:], "big")


def _ancillary(found):
    ancillary = Ancillary()
    intact = {kind: contents[0][0] for kind, contents in found.items() if contents[0][1]}
    ancillary.notes += [
        f"its {title} is damaged and is left out."
        for kind, title in MEANT.items()
        if kind in found and kind not in intact
    ]
    ancillary.notes += [f"{title} cannot be kept." for kind, title in LOST.items() if kind in found]
    for kind in TEXTS:
        for content, is_intact in found.get(kind, ()):
            if is_intact:
                _take_text(ancillary.metadata, kind, content)
    if b"eXIf" in intact:
        ancillary.metadata["exif"] = intact[b"eXIf"]
    if b"iCCP" in intact:
        _take_profile(ancillary, intact[b"iCCP"])
    _take_color(ancillary, intact)
    _take_resolution(ancillary, intact.get(b"pHYs", b""))
    return ancillary


def _take_profile(ancillary, content):
    name, _, rest = content.partition(b"\0")
    profile = inflated(rest[1:], LIMITS[ICC_KIND]) if rest[:1] == b"\0" else None
    if profile:
        ancillary.metadata["icc"] = profile
    else:
        ancillary.notes.append("its colour profile is damaged and is left out.")


def _take_text(metadata, kind, content):
    """Take EXIF, XMP and profiles that lie in a text.

    Other texts may be large, and are not even unpacked.
    """
    keyword, _, rest = content.partition(b"\0")
    keyword = keyword.decode("latin-1")
    raw = RAW_KINDS.get(keyword.removeprefix(RAW_PROFILE)) if keyword.startswith(RAW_PROFILE) else None
    if raw is None and keyword != XMP:
        return
    text = _text(kind, rest, LIMITS[XMP_KIND] if keyword == XMP else HEX_BYTES * LIMITS[ICC_KIND])
    if text is None:
        return
    if raw:
        content = _unhexed(text)
        if content.startswith(XMP_IN_APP1):
            raw, content = "xmp", content.removeprefix(XMP_IN_APP1)
        text = content
    if text:
        metadata.setdefault(raw or "xmp", text)


def _text(kind, rest, limit):
    """Unpack the bytes of a text chunk behind its keyword; None where that fails."""
    is_packed = kind == b"zTXt"
    if kind == b"iTXt":
        # Two bytes say whether it is packed, and how. A language and a translated keyword stand before the text.
        is_packed, rest = rest[:1] == b"\1", b"".join(rest[2:].split(b"\0", 2)[2:])
    elif is_packed:
        rest = rest[1:]
    return inflated(rest, limit) if is_packed else rest


def _unhexed(text):
    """Read the bytes that stand in hexadecimal digits below a name and a length; empty where the text is none such."""
    match = re.fullmatch(rb"\s*\S+\s+(\d+)\s([0-9a-fA-F\s]*)", text)
    digits = re.sub(rb"\s", b"", match[2]) if match else b""
    return bytes.fromhex(digits.decode()) if len(digits) % 2 == 0 else b""


def inflated(content: bytes, limit: int) -> bytes | None:
    """Unpack a zlib stream, but no more than one byte above the limit; None if it is damaged.

    limit: bytes. A result that is longer shows that there are more.
    """
    try:
        unpacker = zlib.decompressobj()
        result = unpacker.decompress(content, limit + 1)
    except zlib.error:
        return None
    return result if unpacker.eof or len(result) > limit else None


def _take_color(ancillary, intact):
    """Take the `Color` that chunks other than a profile state.

    The specification takes cICP first, and the others only without a profile.
    """
    description = intact.get(b"cICP", b"")
    ancillary.color = of_code_points(*description[:2]) if len(description) == 4 else None
    if ancillary.color:
        if description[2:] != FULL_RANGE_RGB:
            ancillary.notes.append(
                "its samples are no RGB of the full range, which cannot be kept; its colours will look wrong."
            )
    elif "icc" not in ancillary.metadata:
        if b"sRGB" in intact:
            ancillary.color = SRGB
        elif b"gAMA" in intact or b"cHRM" in intact:
            points = [number / CHROMATICITY_UNIT for number in _words(intact.get(b"cHRM", b""))]
            ancillary.color = color_of_numbers(sum(_words(intact.get(b"gAMA", b""))) / GAMMA_UNIT, points)


def color_of_numbers(gamma: float, chromaticities: Iterable[float]) -> Color:
    """Make the `Color` of a gamma and of chromaticities; those of sRGB stand in where numbers make no sense.

    gamma: the exponent from light to samples.
    chromaticities: x and y of white, red, green and blue.
    """
    transfer = with_exponent(1 / gamma) if 0.01 <= gamma <= 100 else (SRGB_TRANSFER, 0)
    numbers = tuple(chromaticities)
    sound = len(numbers) == 8 and all(0 <= number < 50 for number in numbers) and all(numbers[1::2])
    return with_points(tuple(zip(numbers[::2], numbers[1::2])) if sound else PRIMARIES[SRGB_PRIMARIES], *transfer)


def _words(content):
    return [int.from_bytes(content[at : at + 4], "big") for at in range(0, len(content), 4)]


def _take_resolution(ancillary, content):
    if len(content) != 9:
        return
    x, y, unit = int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big"), content[8]
    if max(x, y) > RESOLUTION_MAX:
        ancillary.notes.append("its resolution is too fine to be kept.")
    elif unit == METRE and x and y:
        ancillary.resolution = x, y
    elif x != y:
        ancillary.notes.append("its pixels are not square, which cannot be kept.")


def chunks_for(description: Color) -> list[tuple[bytes, bytes]]:
    """Make the chunks, (kind, content), that say what samples mean, beside a profile."""
    chunks = []
    if GIVEN not in description[:2]:
        chunks.append((b"cICP", bytes(description[:2]) + FULL_RANGE_RGB))
    curve, points = description.curve(), description.points()
    if curve is not None and (not curve.toe or description.transfer == SRGB_TRANSFER):
        # gAMA holds a power. The only other curve that a PNG knows is sRGB's, for which the nearest power is laid down.
        chunks.append((b"gAMA", _word(GAMMA_OF_SRGB if curve.toe else round(GAMMA_UNIT / curve.exponent))))
    if points is not None and min(map(min, points)) >= 0:
        chunks.append(
            (b"cHRM", b"".join(_word(round(number * CHROMATICITY_UNIT)) for point in points for number in point))
        )
    return chunks


def _word(number):
    return number.to_bytes(4, "big")

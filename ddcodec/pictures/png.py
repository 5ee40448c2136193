"""A PNG taken apart: the chunks that make its pixels, and what the others say (Portable Network Graphics, third
edition).
"""

import re
import zlib
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
OF_PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")
"""Beside all critical chunks."""
MEANT = {
    b"iCCP": "colour profile",
    b"eXIf": "EXIF",
    b"cICP": "colour description (cICP)",
    b"sRGB": "sRGB chunk",
    b"gAMA": "gamma",
    b"cHRM": "primaries",
    b"pHYs": "resolution",
}
LOST = {b"mDCV": "the colours of its mastering display", b"cLLI": "its greatest brightness"}
"""What a `.ddc` file has no place for."""
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
RAW_PROFILE, XMP = "Raw profile type ", "XML:com.adobe.xmp"
RAW_KINDS = {"exif": "exif", "APP1": "exif", "xmp": "xmp", "icc": "icc", "icm": "icc"}
"""ImageMagick's names of profiles that lie in text, in hexadecimal digits -> ours."""
XMP_IN_APP1 = b"http://ns.adobe.com/xap/1.0/\0"
GAMMA_UNIT, GAMMA_OF_SRGB = 100_000, 45455
METRE = 1
ICC_KIND, XMP_KIND = 1, 3
"""Numbers of chunks (FORMAT.md, chapter 2)."""
HEX_BYTES = 3
"""Two digits a byte, and line breaks."""
FULL_RANGE_RGB = b"\0\1"
"""Of cICP: no matrix, and all values."""


@dataclass
class Ancillary:
    """What a PNG says beside its pixels. metadata: bytes under "icc", "exif" and "xmp"; color: a `Color` or None;
    resolution: (x, y) in pixels a metre, or None; notes: what cannot be kept.
    """

    metadata: dict = field(default_factory=dict)
    color: Color | None = None
    resolution: tuple | None = None
    notes: list = field(default_factory=list)


def taken_apart(data):
    """A PNG without the chunks that do not make its pixels, and the `Ancillary` of these; readers stumble over such
    chunks that are damaged or large.

    A PNG that is cut off or damaged elsewhere stays so.
    """
    kept, found = [SIGNATURE], {}
    for kind, content, whole in chunks_of(data):
        if kind[:1].isupper() or kind in OF_PIXELS:
            kept.append(whole)
        else:
            found.setdefault(kind, []).append((content, _is_intact(whole)))
        if kind == b"IEND":
            break
    return b"".join(kept), _ancillary(found)


def chunks_of(data):
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
    """Take EXIF, XMP and profiles that lie in a text; other texts, which may be large, are not even unpacked."""
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
    """The bytes of a text chunk behind its keyword, or None where they cannot be unpacked."""
    is_packed = kind == b"zTXt"
    if kind == b"iTXt":
        # Whether it is packed, and how; then a language and a translated keyword.
        is_packed, rest = rest[:1] == b"\1", b"".join(rest[2:].split(b"\0", 2)[2:])
    elif is_packed:
        rest = rest[1:]
    return inflated(rest, limit) if is_packed else rest


def _unhexed(text):
    """What stands in lines of hexadecimal digits below a name and a length; empty if that is no such text."""
    match = re.fullmatch(rb"\s*\S+\s+(\d+)\s([0-9a-fA-F\s]*)", text)
    digits = re.sub(rb"\s", b"", match[2]) if match else b""
    return bytes.fromhex(digits.decode()) if len(digits) % 2 == 0 else b""


def inflated(content, limit):
    """What zlib's bytes unpack to, of which no more than one byte above the limit; None if they are damaged."""
    try:
        unpacker = zlib.decompressobj()
        result = unpacker.decompress(content, limit + 1)
    except zlib.error:
        return None
    return result if unpacker.eof or len(result) > limit else None


def _take_color(ancillary, intact):
    """The `Color` by the chunks other than a profile, of which the specification takes cICP first, the others only
    without a profile.
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


def color_of_numbers(gamma, chromaticities):
    """The `Color` of gamma, the exponent from light to samples, and of x and y of white, red, green and blue; those of
    sRGB where they make no sense.
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


def chunks_for(description):
    """(kind, content) of the chunks, beside a profile, that say what samples mean. description: a `Color`."""
    chunks = []
    if GIVEN not in description[:2]:
        chunks.append((b"cICP", bytes(description[:2]) + FULL_RANGE_RGB))
    curve, points = description.curve(), description.points()
    if curve is not None and (not curve.toe or description.transfer == SRGB_TRANSFER):
        # Of a curve that is no power a PNG knows that of sRGB, whose nearest one is laid down.
        chunks.append((b"gAMA", _word(GAMMA_OF_SRGB if curve.toe else round(GAMMA_UNIT / curve.exponent))))
    if points is not None and min(map(min, points)) >= 0:
        chunks.append(
            (b"cHRM", b"".join(_word(round(number * CHROMATICITY_UNIT)) for point in points for number in point))
        )
    return chunks


def _word(number):
    return number.to_bytes(4, "big")

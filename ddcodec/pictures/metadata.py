"""Metadata: all that a picture file says beside its samples, and what of it a `.ddc` file keeps."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ..format import color
from ..format.container import CHUNK_NAMES
from ..format.metadata import LIMITS, RESOLUTION_MAX, packed_resolution
from . import exif, png
from .boxes import color_of_boxes
from .profiles import color_of, is_grey, is_profile, profile_of
from .tiff import TIFF_X_RESOLUTION, exif_of_tiff

if TYPE_CHECKING:
    from PIL import Image

METRES_AN_INCH = 0.0254
"""Metres in one inch."""


def orientation_left(image: "Image.Image", found: Mapping[str, bytes]) -> int:
    """Return the orientation, 1 to 8, that is still to be applied to an image.

    EXIF's counts, or else XMP's. The result is 1 where they are unreadable, as viewers have it.

    found: metadata by name.
    """
    if image.format == "JXL":
        # Its own orientation has been applied; what EXIF says does not count (ISO/IEC 18181-2).
        return 1
    stated = exif.orientation_of(found.get("exif", b""))
    return exif.orientation_of_xmp(found.get("xmp", b"")) or 1 if stated is None else stated


def metadata_of_image(image: "Image.Image", data: bytes | None, said: png.Ancillary) -> dict[str, bytes]:
    """Collect all metadata of an image as its file has it, bytes by name.

    data: the bytes of its file, or None without a file.
    said: what a PNG says beside its pixels.
    """
    info = image.info
    found: dict[str, Any] = {
        "icc": info.get("icc_profile"),
        "exif": info.get("exif") or b"",
        "xmp": info.get("xmp"),
    } | said.metadata
    if image.format == "TIFF":
        found["exif"] = exif_of_tiff(image)
    if found["xmp"]:
        xmp = found["xmp"].encode() if isinstance(found["xmp"], str) else found["xmp"]
        found["xmp"] = exif.utf8_of_xmp(xmp) or xmp
    found["exif"] = exif.without_signature(found["exif"])
    described = _color(image, data, said, found["icc"] or b"")
    resolution = said.resolution or (_resolution(info.get("dpi")) if states_resolution(image) else None)
    if described:
        found["color"] = color.packed(described)
    if resolution and max(resolution) <= RESOLUTION_MAX:
        found["resolution"] = packed_resolution(*resolution)
    return {name: content for name, content in found.items() if content}


def _color(image, data, said, icc):
    """Choose the `Color` of an image, or None.

    A PNG's code points count before its profile; in other formats the profile counts first. A description of PQ or HLG
    counts before every profile, which can hardly say it.
    """
    of_profile = color_of(icc) if icc else None
    if data:
        stated = said.color or (color_of_boxes(data) if data[4:8] == b"ftyp" else None)
        return stated if said.color or not icc or stated and stated.is_hdr() else of_profile
    if icc:
        return of_profile
    info = image.info
    if "srgb" in info:
        return color.SRGB
    return (
        png.color_of_numbers(info.get("gamma", 0), info.get("chromaticity", ()))
        if "gamma" in info or "chromaticity" in info
        else None
    )


def states_resolution(image: Any) -> bool:
    """Whether an image's dots per inch are those of its file.

    Where the file states none, Pillow says 1 of a TIFF. Of a JPEG that has EXIF it says 72; EXIF keeps its own
    resolution.
    """
    if image.format in ("JPEG", "MPO"):
        return image.info.get("jfif_unit") in (1, 2)
    return image.format != "TIFF" or TIFF_X_RESOLUTION in image.tag_v2


def _resolution(inches):
    """Convert dots per inch to pixels a metre, (x, y); None where they are no numbers above 0."""
    try:
        x, y = (round(float(dots) / METRES_AN_INCH) for dots in inches)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    return (x, y) if x > 0 and y > 0 else None


def kept_metadata(
    found: Mapping[str, bytes], said: png.Ancillary, wanted: Collection[str], grey: bool, was_cmyk: bool
) -> tuple[dict[str, bytes], list[str]]:
    """Choose the metadata that goes with the samples, and note what of it is lost.

    The results are bytes by name, and notes to the user that follow the picture's name.

    found: all metadata by name.
    said: what a PNG says beside its pixels.
    wanted: kinds, as for `chosen`.
    grey: whether the samples are grey.
    was_cmyk: whether the samples were in CMYK.
    """
    found, lost = dict(found), []
    if "exif" in found:
        found["exif"] = exif.upright(found["exif"])
    if "xmp" in found:
        if exif.utf8_of_xmp(found["xmp"]) is None:
            lost.append("its XMP is no text and is left out.")
            del found["xmp"]
        else:
            found["xmp"] = exif.upright_xmp(found["xmp"])
    icc = found.get("icc", b"")
    if was_cmyk:
        found = {name: content for name, content in found.items() if name not in ("icc", "color")}
    elif icc and not (is_profile(icc) and is_grey(icc) is grey):
        del found["icc"]
        # A profile for RGB describes grey samples, too.
        if not (is_profile(icc) and grey and "color" in found):
            lost.append(
                f"its colour profile is {'for another kind of picture' if is_profile(icc) else 'damaged'} and is left "
                "out."
            )
            if said.color is None:
                found.pop("color", None)
    kept = chosen(found, wanted, grey=grey)
    for kind, limit in LIMITS.items():
        name = CHUNK_NAMES[kind]
        if len(kept.get(name, b"")) > limit:
            lost.append(
                f"its {'colour profile' if name == 'icc' else name.upper()} has more than {limit:,} bytes, which a "
                ".ddc file cannot hold, and is left out (--metadata says what to keep)."
            )
            del kept[name]
    return kept, lost


USUAL = ("color", "exif", "xmp", "resolution")
"""Kinds of metadata that a file keeps of its source where nobody asks for more or less."""


def chosen(metadata: Mapping[str, bytes], kinds: Collection[str], *, grey: bool = False) -> dict[str, bytes]:
    """Choose what a file keeps of a source's metadata, bytes by name.

    "color" keeps what samples mean: a description where there is one. It keeps the bytes of the profile only where a
    description cannot give a profile again. "icc" keeps these bytes, unless "color" keeps a description that gives the
    very same.

    kinds: names that are wanted.
    grey: whether the samples are grey.
    """
    described = profile_of(color.unpacked(metadata["color"]), grey) if "color" in metadata else None
    wanted = set(kinds) | ({"icc"} if "color" in kinds and not described else set())
    if "color" in kinds and described == metadata.get("icc"):
        # The description gives these very bytes again.
        wanted -= {"icc"}
    return {name: content for name, content in metadata.items() if name in wanted}


def profile_in(metadata: Mapping[str, bytes], grey: bool) -> bytes | None:
    """Return the ICC profile that goes with samples: the source's own, or one that says what the description says.

    The result is None where there is neither.

    grey: whether the samples are grey.
    """
    return metadata.get("icc") or ("color" in metadata and profile_of(color.unpacked(metadata["color"]), grey)) or None

"""What samples mean: standard profiles become a few bytes and come back as profiles of the same meaning; what a PNG, an
AVIF or a JPEG says of colours, resolution and orientation is kept.
"""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import painted
from PIL import Image, ImageCms, PngImagePlugin
from profiles import bt709_curve, levels_apart, profile, srgb_curve

import ddcodec
import ddcodec.pillow
from ddcodec.cli import cli
from ddcodec.errors import DamagedError
from ddcodec.format import color
from ddcodec.format.color import ADOBE_RGB, PROPHOTO, Color, packed, unpacked, with_exponent, with_points
from ddcodec.format.metadata import (
    chunks_of,
    color_in,
    metadata_of,
    packed_resolution,
    resolution_in,
    unpacked_resolution,
)
from ddcodec.picture import Picture
from ddcodec.pictures import exif, png
from ddcodec.pictures.lossless import smaller_lossless
from ddcodec.pictures.profiles import color_of, profile_of
from ddcodec.pictures.read import picture_from, read_picture
from ddcodec.pictures.write import encode_image_bytes

RGB = painted(12, 17)
LCMS = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MEANT = {
    "sRGB": (profile("sRGB", srgb_curve), (1, 13)),
    "sRGB with a table of 4096": (profile("sRGB", srgb_curve, entries=4096, name=b"my monitor"), (1, 13)),
    "sRGB of Little CMS": (LCMS, (1, 13)),
    "Display P3": (profile("Display P3", srgb_curve), (12, 13)),
    "BT.2020": (profile("BT.2020", bt709_curve, entries=4096), (9, 1)),
    "linear sRGB": (profile("sRGB", 1.0), (1, 8)),
    "gamma 2.2": (profile("sRGB", lambda samples: samples**2.2, entries=4096), (1, 4)),
    "Adobe RGB": (profile("Adobe RGB", 563 / 256), with_points(ADOBE_RGB, *with_exponent(563 / 256))),
    "ProPhoto RGB": (profile("ProPhoto RGB", 1.8), with_points(PROPHOTO, *with_exponent(461 / 256))),
    "grey with the curve of sRGB": (profile(None, srgb_curve), (1, 13)),
    "grey gamma 1.8": (profile(None, 1.8), (1, 0, (), 461 * 256)),
    "linear grey": (profile(None, 1.0), (1, 8)),
}
UNKNOWN = {
    "other primaries": profile(((0.48, 0.25, 0.02), (0.33, 0.68, 0.09), (0.1542, 0.07, 0.7149)), srgb_curve),
    "another curve": profile("sRGB", lambda samples: samples**2.2 * 0.98 + 0.02 * samples),
    "the curve of sRGB on gamma's side": profile("sRGB", lambda samples: srgb_curve(samples) * 0.97 + 0.03 * samples),
    "a table beside": profile("sRGB", srgb_curve, more=((b"A2B0", b"mft1" + bytes(60)),)),
}


def saved(image, format, **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, format, **options)
    return file.getvalue()


def with_chunks(data, *chunks):
    """A PNG with further chunks (kind, content[, checksum]) behind its header."""
    made = b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content) if not crc else crc[0])
        for kind, content, *crc in chunks
    )
    return data[:33] + made + data[33:]


def words(*numbers):
    return struct.pack(f">{len(numbers)}I", *numbers)


def samples_for(icc):
    return RGB[:, :, 0] if icc[16:20] == b"GRAY" else RGB


@pytest.mark.parametrize("name", MEANT)
def test_a_standard_profile_becomes_a_description_of_the_same_meaning(name):
    icc, expected = MEANT[name]
    assert color_of(icc) == Color(*expected)
    made = profile_of(color_of(icc), icc[16:20] == b"GRAY")
    assert len(made) < 500 and levels_apart(icc, made) <= 1
    again = color_of(made)
    assert again == color_of(icc) or abs(again.exponent - color_of(icc).exponent) <= 1
    picture = read_picture(saved(samples_for(icc), "PNG", icc_profile=icc))
    assert (
        picture.notes == ()
        and picture.metadata == {"color": packed(color_of(icc))}
        and len(picture.metadata["color"]) <= 30
    )
    decoded = encode_image_bytes(picture, "png")
    assert levels_apart(icc, Image.open(io.BytesIO(decoded)).info["icc_profile"]) <= 1
    assert read_picture(decoded).metadata == picture.metadata


@pytest.mark.parametrize("name", UNKNOWN)
def test_other_profiles_stay_as_they_are(name):
    icc = UNKNOWN[name]
    assert color_of(icc) is None
    picture = read_picture(saved(RGB, "PNG", icc_profile=icc))
    assert picture.metadata == {"icc": icc}
    assert Image.open(io.BytesIO(encode_image_bytes(picture, "png"))).info["icc_profile"] == icc


def test_ruined_profiles_mean_nothing():
    random = np.random.default_rng(3)
    icc = MEANT["Display P3"][0]
    for _ in range(300):
        ruined = bytearray(icc[: random.integers(1, len(icc) + 1)])
        for _ in range(random.integers(0, 4)):
            ruined[random.integers(min(len(ruined), 250))] = random.integers(256)
        found = color_of(bytes(ruined))
        assert found is None or len(found) == 4
    for broken in (b"garbage" * 30, icc[:200], b"\0" * 128):
        picture = read_picture(saved(RGB, "JPEG", icc_profile=broken), name="photo.jpg")
        assert picture.metadata == {} and picture.notes == (
            "photo.jpg: its colour profile is damaged and is left out.",
        )


def test_a_profile_for_colours_describes_grey_samples():
    picture = read_picture(saved(RGB[:, :, 0], "PNG", icc_profile=MEANT["Display P3"][0]))
    assert picture.notes == () and color_in(picture.metadata) == Color(12, 13)
    unknown = read_picture(saved(RGB[:, :, 0], "PNG", icc_profile=UNKNOWN["other primaries"]), name="photo")
    assert unknown.metadata == {} and unknown.notes == (
        "photo: its colour profile is for another kind of picture and is left out.",
    )


def test_the_bytes_of_a_profile_can_be_kept():
    data = saved(RGB, "PNG", icc_profile=LCMS)
    assert read_picture(data, metadata=("icc",)).metadata == {"icc": LCMS}
    assert read_picture(data, metadata=("icc", "color")).metadata == {"icc": LCMS, "color": bytes([1, 13])}
    assert read_picture(data, metadata=("exif",)).metadata == {}


@pytest.mark.parametrize(
    "icc", [MEANT["Display P3"][0], LCMS, UNKNOWN["other primaries"]], ids=["Display P3", "sRGB", "unknown"]
)
def test_pillow_png_and_file_agree(icc, tmp_path):
    source, file, decoded = (tmp_path / name for name in ("a.png", "a.ddc", "b.png"))
    source.write_bytes(saved(RGB, "PNG", icc_profile=icc, dpi=(300, 300)))
    for arguments in (["encode", source, "-o", file, "--iterations", "1"], ["decode", file, "-o", decoded]):
        assert CliRunner().invoke(cli, [str(part) for part in arguments]).exit_code == 0
    seen = [Image.open(path) for path in (file, decoded)]
    assert (
        seen[0].info["icc_profile"] == seen[1].info["icc_profile"]
        and levels_apart(icc, seen[0].info["icc_profile"]) <= 1
    )
    assert seen[0].info["dpi"] == pytest.approx((300, 300), abs=0.02) == seen[1].info["dpi"]
    sections = {section["name"]: section["bytes"] for section in ddcodec.read_info(file.read_bytes())["sections"]}
    assert sections.get("chunk color") == (None if icc is UNKNOWN["other primaries"] else 4) and (
        "chunk icc" in sections
    ) == (icc is UNKNOWN["other primaries"])
    again = io.BytesIO()
    seen[0].save(again, "DDC", iterations=1)
    assert {name: content for name, content in Image.open(again).info.items() if name != "dpi"} == {
        "icc_profile": seen[0].info["icc_profile"]
    }
    seen[0].save(again := io.BytesIO(), "DDC", iterations=1, icc_profile=None, dpi=None)
    assert Image.open(again).info == {}


def test_a_lossless_file_is_reckoned_with_its_profile():
    """Whoever takes it instead would have to put the profile in."""
    plain, described = (
        smaller_lossless(Picture(RGB, metadata), 10**6).bytes for metadata in ({}, {"color": bytes([12, 13])})
    )
    assert described - plain >= len(profile_of(Color(12, 13), False))


def test_what_pillow_makes_up_is_not_kept():
    """The resolution that it says of a TIFF without one, and of a JPEG with EXIF and without a density."""
    for source in (saved(RGB, "TIFF", exif=Image.Exif()), saved(RGB, "JPEG", exif=tiff_of(1, 3))):
        file = io.BytesIO()
        Image.open(io.BytesIO(source)).save(file, "DDC", iterations=1)
        assert "dpi" not in Image.open(file).info


@pytest.mark.parametrize(
    "option",
    [{"exif": 5}, {"xmp": 5}, {"icc_profile": "sRGB"}, {"dpi": 300}, {"dpi": (72,)}, {"dpi": (0, 0)}, {"dpi": "x"}],
)
def test_metadata_of_a_wrong_type(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        Image.fromarray(RGB).save(io.BytesIO(), "DDC", iterations=1, **option)


def test_a_profile_that_can_be_made_again_is_not_kept():
    decoded = encode_image_bytes(read_picture(with_chunks(saved(RGB, "PNG"), (b"sRGB", b"\0"))), "png")
    assert read_picture(decoded, metadata=("color", "icc")).metadata == {"color": bytes([1, 13])}


def test_descriptions_are_packed_as_the_format_says():
    for icc, expected in MEANT.values():
        assert unpacked(packed(Color(*expected))) == Color(*expected)
    own = Color(0, 0, (31270, 32900, 73470, 26530, 0, 100000, 10, -7700), 117965)
    assert unpacked(packed(own)) == own and len(packed(own)) == 30
    for content in (b"", b"\1", b"\1\x0d\0", b"\0\x0d", b"\1\0", b"\1\0\0\0\0\0", bytes(2) + bytes(24) + b"\0\0\0\1"):
        with pytest.raises(DamagedError, match="colour description"):
            unpacked(content)
    assert profile_of(Color(255, 254), False) is None and "255" in Color(255, 254).title()
    for x, y in ((2835, 2835), (1, 2), (2**28 - 1, 1)):
        assert unpacked_resolution(packed_resolution(x, y)) == (x, y)
    for content in (b"", b"\0", b"\1\0", b"\1\2\3", b"\x80\0", b"\xff\xff\xff\xff\1"):
        with pytest.raises(DamagedError):
            unpacked_resolution(content)
    metadata = {"color": packed(own), "resolution": packed_resolution(2835, 2835)}
    assert metadata_of(chunks_of(metadata)) == metadata


@pytest.mark.parametrize("points", [*color.PRIMARIES.values(), ADOBE_RGB, PROPHOTO])
def test_primaries_that_are_given_make_the_profile_of_their_code_point(points):
    """Colorants have the chromaticities that the published ones have when D50 is taken back to the white (Little CMS
    reads them so).
    """
    icc = profile_of(with_points(points, 8), False)
    found = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile
    total = np.sum([found.red_colorant[0], found.green_colorant[0], found.blue_colorant[0]], 0)
    assert np.allclose(total, (0.9642, 1.0, 0.8249), atol=2e-4)


def test_published_colorants():
    for name, points in (
        ("sRGB", color.PRIMARIES[1]),
        ("Display P3", color.PRIMARIES[12]),
        ("Adobe RGB", ADOBE_RGB),
        ("ProPhoto RGB", PROPHOTO),
        ("BT.2020", color.PRIMARIES[9]),
    ):
        from profiles import COLORANTS

        found = ImageCms.ImageCmsProfile(io.BytesIO(profile_of(with_points(points, 13), False))).profile
        assert np.allclose(
            [found.red_colorant[0], found.green_colorant[0], found.blue_colorant[0]], COLORANTS[name], atol=2.5e-4
        )


SRGB_CHRM = words(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
PNG_CHUNKS = {
    "cICP, HLG": ([(b"cICP", bytes([9, 18, 0, 1]))], Color(9, 18)),
    "cICP, PQ": ([(b"cICP", bytes([9, 16, 0, 1]))], Color(9, 16)),
    "cICP before the others": (
        [(b"cICP", bytes([12, 13, 0, 1])), (b"sRGB", b"\0"), (b"gAMA", words(45455))],
        Color(12, 13),
    ),
    "unspecified": ([(b"cICP", bytes([2, 2, 0, 1])), (b"sRGB", b"\0")], Color(1, 13)),
    "sRGB": ([(b"sRGB", b"\1"), (b"gAMA", words(45455)), (b"cHRM", SRGB_CHRM)], Color(1, 13)),
    "gamma": ([(b"gAMA", words(45455))], Color(1, 4)),
    "gamma 1": ([(b"gAMA", words(100000)), (b"cHRM", SRGB_CHRM)], Color(1, 8)),
    "primaries": ([(b"cHRM", words(31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))], Color(12, 13)),
    "own": (
        [(b"gAMA", words(50000)), (b"cHRM", words(31000, 32000, 65000, 33000, 21000, 70000, 15000, 7000))],
        Color(0, 0, (31000, 32000, 65000, 33000, 21000, 70000, 15000, 7000), 2 * 65536),
    ),
    "senseless": ([(b"gAMA", words(0)), (b"cHRM", words(*[0] * 8))], Color(1, 13)),
}


@pytest.mark.parametrize("name", PNG_CHUNKS)
def test_what_a_png_says_of_its_colours(name):
    chunks, expected = PNG_CHUNKS[name]
    picture = read_picture(with_chunks(saved(RGB, "PNG"), *chunks))
    assert color_in(picture.metadata) == expected and picture.notes == () and np.array_equal(picture.samples, RGB)
    decoded = encode_image_bytes(picture, "png")
    written = {kind: content for kind, content, _ in png.chunks_of(decoded)}
    if expected.primaries and expected.transfer:
        assert written[b"cICP"] == bytes([*expected[:2], 0, 1])
    given = dict(chunk[:2] for chunk in chunks)
    if name in ("sRGB", "gamma", "gamma 1", "own"):
        assert written[b"gAMA"] == given[b"gAMA"] and written[b"cHRM"] == given.get(b"cHRM", SRGB_CHRM)
    assert color_in(read_picture(decoded).metadata) == expected or name == "own"
    assert np.array_equal(read_picture(decoded).samples, RGB)


def test_a_profile_that_no_description_replaces_stays_beside_it():
    icc = UNKNOWN["other primaries"]
    hlg = read_picture(with_chunks(saved(RGB, "PNG", icc_profile=icc), (b"cICP", bytes([9, 18, 0, 1]))))
    assert hlg.metadata == {"icc": icc, "color": bytes([9, 18])}
    written = {kind for kind, _, _ in png.chunks_of(encode_image_bytes(hlg, "png"))}
    assert {b"cICP", b"iCCP"} <= written


def test_resolution(tmp_path):
    data = with_chunks(saved(RGB, "PNG"), (b"pHYs", words(11811, 5906) + b"\1"))
    picture = read_picture(data)
    assert resolution_in(picture.metadata) == (11811, 5906)
    assert {kind: content for kind, content, _ in png.chunks_of(encode_image_bytes(picture, "png"))}[b"pHYs"] == words(
        11811, 5906
    ) + b"\1"
    for format in ("JPEG", "TIFF", "BMP"):
        assert resolution_in(read_picture(saved(RGB, format, dpi=(300, 300))).metadata) == (11811, 11811)
        assert resolution_in(
            read_picture(saved(RGB, format, **({"exif": Image.Exif()} if format != "BMP" else {}))).metadata
        ) == (None if format != "BMP" else (3780, 3780))
    assert resolution_in(picture_from(Image.open(io.BytesIO(saved(RGB, "PNG", dpi=(96, 96))))).metadata) == (3780, 3780)
    for content, notes in ((words(1, 1) + b"\0", 0), (words(2, 1) + b"\0", 1), (words(0, 0) + b"\1", 0), (b"abc", 0)):
        odd = read_picture(with_chunks(saved(RGB, "PNG"), (b"pHYs", content)), name="x.png")
        assert (
            resolution_in(odd.metadata) is None
            and odd.notes == ("x.png: its pixels are not square, which cannot be kept.",) * notes
        )


def test_what_cannot_be_kept_is_said():
    data = with_chunks(saved(RGB, "PNG"), (b"cICP", bytes([9, 16, 0, 0])), (b"mDCV", bytes(24)), (b"cLLI", bytes(8)))
    notes = read_picture(data, name="x.png").notes
    assert len(notes) == 3 and all(
        any(word in note for note in notes) for word in ("full range", "mastering display", "greatest brightness")
    )
    fine = read_picture(with_chunks(saved(RGB, "PNG"), (b"pHYs", words(2**28, 1) + b"\1")), name="x.png")
    assert resolution_in(fine.metadata) is None and fine.notes == ("x.png: its resolution is too fine to be kept.",)
    assert read_picture(data, name="x.png", metadata=()).notes == ()


def colr(data, primaries, transfer):
    """An AVIF whose nclx description has other code points."""
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def test_avif():
    deep = imagecodecs.avif_encode(RGB.astype(np.uint16) * 4, level=90, bitspersample=10)
    assert (
        color_in(read_picture(colr(deep, 9, 16)).metadata) == Color(9, 16)
        and read_picture(colr(deep, 9, 16)).samples.dtype == np.uint16
    )
    assert read_picture(colr(deep, 2, 2)).metadata == {}
    data = saved(RGB, "AVIF", icc_profile=MEANT["Display P3"][0])
    assert color_in(read_picture(data).metadata) == Color(12, 13)
    assert color_in(read_picture(saved(RGB, "AVIF")).metadata) == Color(1, 13)
    for primaries, transfer, expected in ((9, 16, Color(9, 16)), (1, 17, Color(12, 13)), (1, 1, Color(12, 13))):
        assert color_in(read_picture(colr(data, primaries, transfer)).metadata) == expected
    for length in range(0, 400, 7):
        from ddcodec.pictures.boxes import color_of_boxes

        assert color_of_boxes(deep[:length]) in (None, color_of_boxes(deep))


# Orientation.

TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 5: "II", 10: "ii", 7: "B"}


def tiff_of(orientation, kind, order="<", before=b""):
    """EXIF of one tag with an orientation of a type, and a maker behind it."""
    layout = TYPES[kind]
    value = struct.pack(order + layout, *(orientation, 1)[: len(layout)])
    maker = b"a camera\0"
    place = 8 + 2 + 24 + 4
    fields = [
        (271, 2, len(maker), struct.pack(order + "I", place)),
        (274, kind, 1, value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", place + len(maker))),
    ]
    entries = b"".join(struct.pack(order + "HHI", tag, type_, count) + content for tag, type_, count, content in fields)
    return (
        before
        + {"<": b"II*\0", ">": b"MM\0*"}[order]
        + struct.pack(order + "IH", 8, 2)
        + entries
        + bytes(4)
        + maker
        + value
    )


def hexed(name, content):
    digits = content.hex()
    return f"\n{name}\n{len(content):8d}\n" + "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72)) + "\n"


def with_text(keyword, text, packed):
    info = PngImagePlugin.PngInfo()
    info.add_text(keyword, text, zip=packed)
    return saved(RGB, "PNG", pnginfo=info)


def check_turned(data, near=0):
    """That a picture whose EXIF says 6 is turned once, keeps its maker, and says that it lies upright, in its file and
    in the decoded PNG.
    """
    picture = read_picture(data)
    assert picture.samples.shape == (17, 12, 3) and abs(picture.samples.astype(int) - np.rot90(RGB, -1)).mean() <= near
    assert b"a camera" in picture.metadata["exif"]
    for kept in (picture.metadata["exif"], Image.open(io.BytesIO(encode_image_bytes(picture, "png"))).info["exif"][6:]):
        loaded = Image.Exif()
        loaded.load(kept)
        assert loaded.get(274, 1) in (1, b"\1")
        assert exif.orientation_of(kept) in (1, None)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", TYPES)
def test_orientation_of_any_type_is_applied_once(kind, order):
    tiff = tiff_of(6, kind, order)
    check_turned(saved(RGB, "PNG", exif=tiff))
    check_turned(saved(RGB, "WEBP", lossless=True, exif=tiff))
    check_turned(saved(RGB, "JPEG", quality=100, subsampling=0, exif=b"Exif\0\0" + tiff), 2)
    check_turned(saved(RGB, "JPEG", quality=100, subsampling=0, exif=b"Exif\0\0Exif\0\0" + tiff), 2)


@pytest.mark.parametrize("keyword", ["Raw profile type exif", "Raw profile type APP1"])
@pytest.mark.parametrize("packed", [True, False])
def test_exif_in_the_text_of_a_png(keyword, packed):
    check_turned(with_text(keyword, hexed("exif", b"Exif\0\0" + tiff_of(6, 3)), packed))
    assert read_picture(with_text(keyword, hexed("exif", b"") + "zz", packed)).metadata == {}


@pytest.mark.parametrize("kind", TYPES)
def test_orientation_of_a_tiff(kind):
    """Of the page that is taken, whatever the type of the tag and the depth of the samples."""
    import tifffile

    for samples in (RGB, RGB.astype(np.uint16) * 257):
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as writer:
            for orientation in (3, 6):
                writer.write(samples, photometric="rgb", metadata=None, extratags=[(274, 3, 1, orientation, True)])
        data = bytearray(file.getvalue())
        at = 0
        while (at := data.find(struct.pack("<HHI", 274, 3, 1), at + 1)) > 0:
            value = struct.unpack_from("<H", data, at + 8)[0]
            content = struct.pack("<" + TYPES[kind], *(value, 1)[: len(TYPES[kind])])
            if len(content) > 4:
                content, data = struct.pack("<I", len(data)), data + content
            data[at + 2 : at + 12] = struct.pack("<HI", kind, 1) + content.ljust(4, b"\0")
        assert np.array_equal(read_picture(bytes(data), frame=1).samples, samples[::-1, ::-1])
        assert np.array_equal(read_picture(bytes(data), frame=2).samples, np.rot90(samples, -1))


def test_orientation_that_makes_no_sense():
    for value in (0, 9, 200):
        picture = read_picture(saved(RGB, "PNG", exif=tiff_of(value, 3)))
        assert np.array_equal(picture.samples, RGB) and exif.orientation_of(picture.metadata["exif"]) == 1
    twice = bytearray(tiff_of(6, 3))
    twice[10:22] = struct.pack("<HHIHH", 274, 3, 1, 8, 0)
    picture = read_picture(saved(RGB, "PNG", exif=bytes(twice)))
    assert (
        np.array_equal(picture.samples, np.rot90(RGB, 1))
        and exif.upright(picture.metadata["exif"]) == picture.metadata["exif"]
    )
    loop = bytearray(tiff_of(6, 3))
    loop[34:38] = struct.pack("<I", 8)
    assert exif.orientation_of(bytes(loop)) == 6
    for xmp in (
        b'<r tiff:Orientation="6"/>',
        b"<tiff:Orientation>6</tiff:Orientation>",
        b"<r tiff:Orientation = '6'/>",
    ):
        picture = read_picture(saved(RGB, "WEBP", lossless=True, xmp=xmp))
        assert np.array_equal(picture.samples, np.rot90(RGB, -1)) and picture.metadata["xmp"] == xmp.replace(b"6", b"1")
        both = read_picture(saved(RGB, "WEBP", lossless=True, xmp=xmp, exif=tiff_of(1, 3)))
        assert np.array_equal(both.samples, RGB)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_xmp_of_every_encoding(encoding):
    xmp = '<r tiff:Orientation="6" dc:title="\u00e4\u20ac"/>'
    picture = read_picture(saved(RGB, "WEBP", lossless=True, xmp=xmp.encode(encoding)))
    assert np.array_equal(picture.samples, np.rot90(RGB, -1)) and picture.notes == ()
    assert picture.metadata["xmp"].decode("utf-8-sig") == xmp.replace("6", "1", 1)
    assert read_picture(encode_image_bytes(picture, "png")).metadata == picture.metadata


def test_xmp_that_is_no_text():
    picture = read_picture(saved(RGB, "WEBP", lossless=True, xmp=b"<x>\xff\xfe</x>"), name="x.webp")
    assert picture.metadata == {} and picture.notes == ("x.webp: its XMP is no text and is left out.",)


# Metadata that is large or damaged.


def text_chunk(count):
    return b"Comment\0\0" + zlib.compress(bytes(range(256)) * (count // 256))


@pytest.mark.parametrize("deep", [False, True])
def test_a_png_whose_texts_are_large_or_damaged_is_read(deep, capfd):
    samples = RGB.astype(np.uint16) * 257 if deep else RGB
    data = encode_image_bytes(Picture(samples), "png")
    odd = with_chunks(
        data,
        (b"zTXt", text_chunk(1_300_000)),
        (b"tEXt", b"Author\0me", 7),
        (b"iCCP", b"x\0\0no zlib"),
        (b"pHYs", bytes(9), 1),
        (b"prIv", b"", 9),
    )
    picture = read_picture(odd, name="x.png")
    assert np.array_equal(picture.samples, samples)
    assert picture.notes == (
        "x.png: its resolution is damaged and is left out.",
        "x.png: its colour profile is damaged and is left out.",
    )
    assert capfd.readouterr() == ("", "")


def test_large_profiles_and_xmp():
    large = profile(
        "Display P3",
        lambda samples: samples**2.1 * (1 + 0.01 * np.sin(99 * samples)),
        more=((b"priv", np.random.default_rng(1).bytes(1_300_000)),),
    )
    assert read_picture(with_chunks(saved(RGB, "PNG"), (b"iCCP", b"icc\0\0" + zlib.compress(large)))).metadata == {
        "icc": large
    }
    for data, what in (
        (
            with_chunks(
                saved(RGB, "PNG"), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x/>" * 300_000))
            ),
            "XMP has more than 1,048,576 bytes",
        ),
        (saved(RGB, "WEBP", lossless=True, xmp=b"<x/>" * 300_000), "XMP has more than 1,048,576 bytes"),
        (saved(RGB, "PNG", exif=tiff_of(1, 3) + bytes(2**20)), "EXIF has more than 1,048,576 bytes"),
        (
            with_chunks(saved(RGB, "PNG"), (b"iCCP", b"icc\0\0" + zlib.compress(large + bytes(2**22)))),
            "colour profile has more than 4,194,304 bytes",
        ),
    ):
        picture = read_picture(data, name="photo")
        assert picture.metadata == {} and len(picture.notes) == 1 and np.array_equal(picture.samples, RGB)
        assert picture.notes[0].startswith(f"photo: its {what}") and "--metadata" in picture.notes[0]
        assert read_picture(data, metadata=()).notes == ()
    image = Image.fromarray(RGB)
    image.info["xmp"] = b"<x/>" * 300_000
    with pytest.warns(UserWarning, match="XMP has more than 1,048,576 bytes"):
        assert "chunk xmp" not in str(ddcodec.read_info(ddcodec.encode(image, iterations=1)))


def test_jpegs_that_cannot_be_read():
    from ddcodec.errors import SourceError

    twelve = imagecodecs.jpeg8_encode(RGB.astype(np.uint16) * 16, bitspersample=12)
    for data, sentence in (
        (
            twelve,
            "x.jpg is a JPEG of 12 bits a sample, of which only those of 8 are read. Convert it to a PNG of 16 bits.",
        ),
        (saved(RGB, "JPEG")[:-20], "x.jpg is cut off: its end is missing."),
        (saved(RGB, "JPEG")[:20], "x.jpg is a JPEG that is damaged, cut off, or of a kind that cannot be read."),
    ):
        with pytest.raises(SourceError) as caught:
            read_picture(data, name="x.jpg")
        assert str(caught.value) == sentence


# Bytes behind the end of a file.


def test_bytes_behind_the_end(tmp_path):
    from test_vectors import VALID

    whole = (VALID / "default_24x16.ddc").read_bytes()
    file = tmp_path / "a.ddc"
    for behind in (b"\n", bytes(512)):
        file.write_bytes(whole + behind)
        with pytest.warns(UserWarning, match="bytes behind the end of the file"):
            assert np.array_equal(ddcodec.decode(whole + behind), ddcodec.decode(whole))
        info = ddcodec.read_info(whole + behind)
        assert (info["bytes"], info["trailing_bytes"]) == (len(whole), True)
        for command in (["decode", str(file), "-o", str(tmp_path / "a.png"), "-f"], ["verify", str(file)]):
            result = CliRunner().invoke(cli, command)
            assert (
                result.exit_code == 0
                and f"Warning: {file}: There are bytes behind the end of the file; they are no part of it.\n"
                in result.stderr
            )
        assert (
            "\nThere are bytes behind the end of the file; they are no part of it.\n"
            in CliRunner().invoke(cli, ["info", str(file)]).stdout
        )
        with Image.open(file) as image:
            assert np.array_equal(np.asarray(image), ddcodec.decode(whole))
    with pytest.raises(DamagedError, match="cut off"):
        ddcodec.decode(whole[:-1])

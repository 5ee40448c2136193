"""Whatever people have: each picture of a table goes through `encode` and `decode` with its mode, size, alpha and
metadata, or is refused in a sentence.
"""

import io
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image, ImageCms
from profiles import levels_apart
from skimage import data as skimage_data
from test_pictures import UPRIGHT, png, profile_for, saved, tiff

from ddcodec import decode
from ddcodec.cli import cli

ROWS, COLUMNS = 12, 17
Y, X = np.mgrid[:ROWS, :COLUMNS]
RGB = np.stack([40 + 9 * X, 30 + 14 * Y, 200 - 6 * X], -1).astype(np.uint8)
GREY = (30 + 8 * X + 5 * Y).astype(np.uint8)
ALPHA = np.where(X < 5, 0, np.minimum(255, 40 * (X - 4) + Y)).astype(np.uint8)
DEEP, DEEP_GREY, DEEP_ALPHA = (each.astype(np.uint16) * 250 + 7 for each in (RGB, GREY, ALPHA))
NOISE = np.random.default_rng(4).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)
SRGB = profile_for(RGB)
EXIF = Image.Exif()
EXIF[271], EXIF[274] = "a camera", 6
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


def frames():
    return {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]}


def heic(image):
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(image)).save(buffer, quality=90)
    return buffer.getvalue()


def jxl(array, **options):
    return imagecodecs.jpegxl_encode(array, lossless=True, **options)


def edges():
    """RGBA of a disc with a soft edge, what lies outside of it black: the case in which halos show."""
    y, x = np.mgrid[:64, :64]
    alpha = np.clip(255 * (24 - np.hypot(x - 32, y - 32)) / 8, 0, 255).astype(np.uint8)
    colours = np.where(alpha[..., None] > 0, [230, 180, 60], 0).astype(np.uint8)
    return np.dstack([colours, alpha])


def rows_of(array):
    return b"".join(b"\0" + row.astype(array.dtype.newbyteorder(">")).tobytes() for row in array)


def as_png(array):
    """A PNG of 16 bits."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[np.atleast_3d(array).shape[2]]
    return png(array.shape[1], array.shape[0], 16, kind, rows_of(array))


def shape(*channels, deep=False, rows=ROWS, columns=COLUMNS):
    return (rows, columns, *channels), np.uint16 if deep else np.uint8


SIDES = [(1, 1), (1, 40), (40, 1), (2, 3), (1, 700), (700, 1), (63, 65), (31, 17)]

# name -> (bytes of the file, shape and type of what is decoded from its .ddc).
ACCEPTED = {
    "rgb.png": (saved(RGB, "PNG"), shape(3)),
    "grey.png": (saved(GREY, "PNG"), shape()),
    "rgba.png": (saved(np.dstack([RGB, ALPHA]), "PNG"), shape(4)),
    "grey_alpha.png": (saved(np.dstack([GREY, ALPHA]), "PNG"), shape(2)),
    "opaque.png": (saved(np.dstack([RGB, 0 * ALPHA + 255]), "PNG"), shape(3)),
    "clear.png": (saved(np.dstack([RGB, 0 * ALPHA]), "PNG"), shape(4)),
    "one_bit.png": (saved(Image.fromarray(GREY).convert("1"), "PNG"), shape()),
    "one_bit_transparent.png": (saved(Image.fromarray(GREY).convert("1"), "PNG", transparency=0), shape(2)),
    "palette.png": (saved(Image.fromarray(RGB).quantize(16), "PNG"), shape(3)),
    "palette_grey.png": (saved(Image.fromarray(GREY).quantize(16), "PNG"), shape()),
    "palette_transparent.png": (saved(Image.fromarray(RGB).quantize(16), "PNG", transparency=3), shape(4)),
    "palette_alpha.png": (saved(Image.fromarray(RGB).quantize(3), "PNG", transparency=bytes([0, 100, 255])), shape(4)),
    "colour_key.png": (saved(RGB, "PNG", transparency=tuple(map(int, RGB[3, 4]))), shape(4)),
    "grey_key.png": (saved(GREY, "PNG", transparency=int(GREY[3, 4])), shape(2)),
    "two_bits.png": (png(4, 1, 2, 0, b"\0\x1b"), shape(rows=1, columns=4)),
    "four_bits.png": (png(2, 1, 4, 0, b"\0\x3f"), shape(rows=1, columns=2)),
    "noise.png": (saved(NOISE, "PNG"), shape(3)),
    "white.png": (saved(0 * RGB + 255, "PNG"), shape(3)),
    "deep.png": (as_png(DEEP), shape(3, deep=True)),
    "deep_grey.png": (as_png(DEEP_GREY), shape(deep=True)),
    "deep_alpha.png": (as_png(np.dstack([DEEP, DEEP_ALPHA])), shape(4, deep=True)),
    "deep_grey_alpha.png": (as_png(np.dstack([DEEP_GREY, DEEP_ALPHA])), shape(2, deep=True)),
    "apng.png": (saved(RGB, "PNG", **frames()), shape(3)),
    "rgb.jpg": (saved(RGB, "JPEG"), shape(3)),
    "grey.jpg": (saved(GREY, "JPEG"), shape()),
    "progressive.jpg": (saved(RGB, "JPEG", progressive=True), shape(3)),
    "cmyk.jpg": (saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"), shape(3)),
    "camera.mpo": (saved(RGB, "MPO", **frames()), shape(3)),
    "rgb.webp": (saved(RGB, "WEBP"), shape(3)),
    "rgba.webp": (saved(np.dstack([RGB, ALPHA]), "WEBP", lossless=True), shape(4)),
    "clip.webp": (saved(RGB, "WEBP", **frames()), shape(3)),
    "rgb.avif": (saved(RGB, "AVIF"), shape(3)),
    "rgba.avif": (saved(np.dstack([RGB, ALPHA]), "AVIF"), shape(4)),
    "deep.avif": (imagecodecs.avif_encode(RGB.astype(np.uint16) * 4, level=90, bitspersample=10), shape(3, deep=True)),
    "rgb.heic": (heic(np.tile(RGB, (4, 4, 1))), shape(3, rows=4 * ROWS, columns=4 * COLUMNS)),
    "rgb.jxl": (jxl(RGB), shape(3)),
    "grey.jxl": (jxl(GREY), shape()),
    "rgba.jxl": (jxl(np.dstack([RGB, ALPHA])), shape(4)),
    "grey_alpha.jxl": (jxl(np.dstack([GREY, ALPHA])), shape(2)),
    "ten_bits.jxl": (jxl(RGB.astype(np.uint16) * 4, bitspersample=10), shape(3, deep=True)),
    "deep_alpha.jxl": (jxl(np.dstack([DEEP, DEEP_ALPHA])), shape(4, deep=True)),
    "clip.jxl": (jxl(np.stack([RGB, 255 - RGB])), shape(3)),
    "rgb.tif": (saved(RGB, "TIFF"), shape(3)),
    "rgba.tif": (tiff(np.dstack([RGB, ALPHA]), photometric="rgb", extrasamples=["unassalpha"]), shape(4)),
    "premultiplied.tif": (tiff(np.dstack([RGB, ALPHA]), photometric="rgb", extrasamples=["assocalpha"]), shape(4)),
    "planar.tif": (tiff(RGB.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate"), shape(3)),
    "one_bit.tif": (tiff(GREY > 90, photometric="minisblack"), shape()),
    "white_is_zero.tif": (tiff(GREY, photometric="miniswhite"), shape()),
    "cmyk.tif": (saved(Image.fromarray(RGB).convert("CMYK"), "TIFF"), shape(3)),
    "deep.tif": (tiff(DEEP, photometric="rgb"), shape(3, deep=True)),
    "deep_grey.tif": (tiff(DEEP_GREY, photometric="minisblack", compression="zlib"), shape(deep=True)),
    "deep_alpha.tif": (
        tiff(np.dstack([DEEP, DEEP_ALPHA]), photometric="rgb", extrasamples=["unassalpha"]),
        shape(4, deep=True),
    ),
    "pages.tif": (saved(RGB, "TIFF", **frames()), shape(3)),
    "rgb.ppm": (saved(RGB, "PPM"), shape(3)),
    "grey.pgm": (saved(GREY, "PPM"), shape()),
    "bits.pbm": (b"P1 2 2\n0 1\n1 0\n", shape(rows=2, columns=2)),
    "deep.ppm": (b"P6 17 12 65535\n" + DEEP.astype(">u2").tobytes(), shape(3, deep=True)),
    "words.pgm": (b"P2 2 1 1023\n1000 3\n", shape(rows=1, columns=2, deep=True)),
    "rgb.bmp": (saved(RGB, "BMP"), shape(3)),
    "palette.bmp": (saved(Image.fromarray(RGB).quantize(16), "BMP"), shape(3)),
    "palette.gif": (saved(Image.fromarray(RGB).quantize(16), "GIF"), shape(3)),
    "transparent.gif": (saved(Image.fromarray(RGB).quantize(16), "GIF", transparency=3), shape(4)),
    "clip.gif": (saved(RGB, "GIF", **frames()), shape(3)),
    **{
        f"{width}x{height}.png": (
            saved(np.resize(NOISE, (height, width, 3)), "PNG"),
            shape(3, rows=height, columns=width),
        )
        for width, height in SIDES
    },
    **{
        f"turned_{way}.jpg": (
            saved(
                RGB,
                "JPEG",
                exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([way, 0, 0, 0, 0, 0, 0, 0]),
                quality=95,
            ),
            ((*UPRIGHT[way](RGB).shape,), np.uint8),
        )
        for way in range(1, 9)
    },
    "chelsea.png": (saved(skimage_data.chelsea()[100:160, 100:190], "PNG"), shape(3, rows=60, columns=90)),
    "feathered.png": (saved(edges(), "PNG"), shape(4, rows=64, columns=64)),
    "text.png": (saved(skimage_data.text()[:60, :90], "PNG"), shape(rows=60, columns=90)),
}

# name -> (bytes, exit code, what the sentence says).
REFUSED = {
    "empty.png": (b"", 3, "is empty"),
    "words.png": (b"hello, world", 3, "not a picture that can be read"),
    "cut.png": (saved(NOISE, "PNG")[:200], 3, "is cut off: its end is missing"),
    "cut_deep.png": (as_png(DEEP)[:100], 3, "damaged or cut off"),
    "cut.jpg": (saved(NOISE, "JPEG")[:700], 3, "is cut off: its end is missing"),
    "lab.tif": (tiff(RGB, photometric="cielab"), 3, "Lab picture"),
    "float.tif": (tiff(GREY.astype(np.float32)), 3, "floating-point"),
    "signed.tif": (tiff(GREY.astype(np.int8)), 3, "signed samples"),
    "wide.tif": (tiff(GREY.astype(np.uint32)), 3, "32"),
    "five.tif": (tiff(np.dstack([RGB, GREY, GREY]), photometric="rgb"), 3, "five.tif"),
    "float.pfm": (b"Pf 1 1 -1.0\n" + bytes(4), 3, "floating-point"),
    "bomb.png": (png(60000, 60000, 8, 2, b""), 3, "178,956,970 pixels"),
    "long.png": (png(65536, 1, 8, 0, b"\0" + bytes(65536)), 3, "no side of a .ddc picture"),
    "deep_clip.avif": (
        imagecodecs.avif_encode(np.stack([RGB, RGB]).astype(np.uint16) * 4, level=90, bitspersample=10),
        3,
        "animation of 10 bits",
    ),
    "cut.jxl": (jxl(NOISE)[:100], 3, "damaged or cut off."),
    "nothing.jxl": (b"\xff\x0a" + bytes(40), 3, "damaged or cut off."),
    "float.jxl": (jxl(RGB.astype(np.float32) / 255), 3, "floating-point"),
    "again.png": (b"\xddDDC" + bytes(40), 3, "is a .ddc file already"),
}


def run(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="ddcodec")


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name, tmp_path):
    data, (wanted_shape, wanted_type) = ACCEPTED[name]
    (tmp_path / name).write_bytes(data)
    coded, out = tmp_path / "x.ddc", tmp_path / "x.png"
    result = run("encode", tmp_path / name, "-o", coded, "--iterations", 1, "--json")
    assert result.exit_code == 0, result.stderr
    array = decode(coded.read_bytes())
    assert array.shape == wanted_shape and array.dtype == wanted_type
    result = run("decode", coded, "-o", out)
    assert result.exit_code == 0, result.stderr
    # Pillow's word for the mode and the size, imagecodecs' for every sample.
    with Image.open(out) as image:
        assert image.size == wanted_shape[1::-1] and ("A" in image.mode) == (
            array.ndim == 3 and array.shape[2] % 2 == 0
        )
    assert np.array_equal(imagecodecs.png_decode(out.read_bytes()), array)


@pytest.mark.parametrize(
    "name", [name for name, (_, (wanted, _)) in ACCEPTED.items() if len(wanted) == 3 and wanted[2] in (2, 4)]
)
def test_alpha_is_kept_to_the_bit(name, tmp_path):
    data, (_, kind) = ACCEPTED[name]
    (tmp_path / name).write_bytes(data)
    assert run("encode", tmp_path / name, "-o", tmp_path / "x.ddc", "--iterations", 1).exit_code == 0
    if kind == np.uint16:
        alpha = DEEP_ALPHA
    else:
        alpha = ALPHA if name.endswith(".jxl") else np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))[..., 3]
    assert np.array_equal(decode((tmp_path / "x.ddc").read_bytes())[..., -1], alpha)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    data, code, said = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    result = run("encode", tmp_path / name, "-o", tmp_path / "x.ddc", "--iterations", 1)
    assert (
        result.exit_code == code
        and said in result.stderr
        and "Traceback" not in result.stderr
        and result.stderr.count("\n") == 1
    )
    assert not (tmp_path / "x.ddc").exists()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("kinds", ["all", "none", "icc", "exif,xmp"])
def test_metadata(format, kinds, tmp_path):
    """XMP byte for byte, EXIF too but for the orientation, which is in the pixels; what the profile means, and its
    bytes where these are asked for.
    """
    exif = Image.Exif()
    exif.load(EXIF.tobytes())
    if format == "TIFF":
        exif[700] = XMP
    options = {"icc_profile": SRGB, "exif": exif} | {"PNG": {"pnginfo": with_xmp()}, "TIFF": {}}.get(
        format, {"xmp": XMP}
    )
    (tmp_path / "in.pic").write_bytes(saved(RGB, format, **options))
    wanted = {"all": {"color", "exif", "xmp"}, "none": set()}.get(kinds, set(kinds.split(",")))
    for where in ("encode", "decode"):
        own = {where: ["--metadata", kinds]}
        assert (
            run(
                "encode", tmp_path / "in.pic", "-o", tmp_path / "x.ddc", "-f", "--iterations", 1, *own.get("encode", [])
            ).exit_code
            == 0
        )
        assert run("decode", tmp_path / "x.ddc", "-o", tmp_path / "x.png", "-f", *own.get("decode", [])).exit_code == 0
        with Image.open(tmp_path / "x.png") as image:
            assert image.size == (ROWS, COLUMNS)
            icc = image.info.get("icc_profile")
            assert (
                icc == SRGB
                if where == "encode" and "icc" in wanted
                else (icc is not None) == bool(wanted & {"color", "icc"})
            )
            assert icc is None or levels_apart(icc, SRGB) <= 1
            assert image.info.get("xmp") == (XMP if "xmp" in wanted else None)
            assert (
                dict(image.getexif()).get(271) == ("a camera" if "exif" in wanted else None)
                and image.getexif().get(274, 1) == 1
            )


def with_xmp():
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return info


def test_metadata_that_does_not_exist(tmp_path):
    (tmp_path / "in.png").write_bytes(saved(RGB, "PNG"))
    result = run("encode", tmp_path / "in.png", "--metadata", "gps")
    assert (
        result.exit_code == 2
        and "'gps' is no metadata; write all, none, or some of color,icc,exif,xmp,resolution" in result.stderr
    )


def test_wide_gamut_looks_the_same(tmp_path):
    """What a colour-managed viewer makes of the decoded PNG is what it makes of the source: the same profile on nearly
    the same numbers.
    """
    wide = bytearray(SRGB)
    at = wide.index(b"rXYZ") + 4
    offset = struct.unpack_from(">I", wide, at)[0]
    struct.pack_into(">i", wide, offset + 8, int(0.7 * 65536))
    y, x = np.mgrid[:64, :64]
    picture = np.stack([90 + 2 * x, 60 + 2 * y, 150 - x], -1).astype(np.uint8)
    (tmp_path / "in.png").write_bytes(saved(picture, "PNG", icc_profile=bytes(wide)))
    assert run("encode", tmp_path / "in.png", "-o", tmp_path / "x.ddc", "--iterations", 150, "-q", 95).exit_code == 0
    assert run("decode", tmp_path / "x.ddc", "-o", tmp_path / "x.png").exit_code == 0
    seen = [managed(Image.open(tmp_path / name)) for name in ("in.png", "x.png")]
    assert abs(seen[0] - picture).mean() > 3, "the profile changes nothing"
    assert abs(seen[0] - seen[1]).mean() < 3


def managed(image):
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    return np.asarray(ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"))).astype(int)


def test_frames(tmp_path):
    (tmp_path / "clip.gif").write_bytes(ACCEPTED["clip.gif"][0])
    first = run("encode", tmp_path / "clip.gif", "-o", tmp_path / "1.ddc", "--iterations", 1)
    assert first.exit_code == 0 and "of its 2 frames the first is taken (--frame N for another)" in first.stderr
    second = run("encode", tmp_path / "clip.gif", "-o", tmp_path / "2.ddc", "--iterations", 1, "--frame", 2)
    assert second.exit_code == 0 and "is taken" not in second.stderr
    assert run("encode", tmp_path / "clip.gif", "-o", tmp_path / "3.ddc", "--frame", 3).exit_code == 2
    means = [decode((tmp_path / f"{k}.ddc").read_bytes()).mean() for k in (1, 2)]
    assert abs(means[0] - RGB.mean()) < 25 and abs(means[1] - 255 + RGB.mean()) < 25


def test_alpha_options(tmp_path):
    """By squared error: the eye would see little of the noise that is hidden."""
    hidden = np.where(ALPHA[..., None] > 0, RGB, NOISE)
    uneven = np.where(ALPHA > 0, np.clip(ALPHA // 2 + NOISE[..., 0] // 3, 1, 255), 0).astype(np.uint8)
    big = np.tile(np.dstack([hidden, uneven]), (3, 3, 1))
    (tmp_path / "in.png").write_bytes(saved(big, "PNG"))

    def encoded(*options):
        result = run(
            "encode",
            tmp_path / "in.png",
            "-o",
            tmp_path / "x.ddc",
            "-f",
            "--iterations",
            40,
            "--tune",
            "psnr",
            *options,
        )
        assert result.exit_code == 0, result.stderr
        data = (tmp_path / "x.ddc").read_bytes()
        return len(data), decode(data)

    plain, exact, coarse, none = (
        encoded(),
        encoded("--exact"),
        encoded("--alpha-quality", 30),
        encoded("--ignore-alpha"),
    )
    assert np.array_equal(plain[1][..., 3], big[..., 3]) and np.array_equal(exact[1][..., 3], big[..., 3])
    assert plain[0] < 0.8 * exact[0], "hidden colours cost"
    clear = big[..., 3] == 0
    assert (
        abs(exact[1][..., :3].astype(int) - big[..., :3])[clear].mean()
        < 0.6 * abs(plain[1][..., :3].astype(int) - big[..., :3])[clear].mean()
    )
    assert coarse[0] < plain[0] and len(np.unique(coarse[1][..., 3])) < len(np.unique(big[..., 3]))
    assert abs(coarse[1][..., 3].astype(int) - big[..., 3]).max() < 12 and not coarse[1][..., 3][clear].any()
    assert none[1].shape == (*big.shape[:2], 3)
    assert run("encode", tmp_path / "in.png", "-o", tmp_path / "y.ddc", "--alpha-quality", 0).exit_code == 2


def test_no_halo(tmp_path):
    """Over black and over white the decoded picture is off by no more at the edge than inside."""
    picture = edges()
    (tmp_path / "in.png").write_bytes(saved(picture, "PNG"))
    assert run("encode", tmp_path / "in.png", "-o", tmp_path / "x.ddc", "--iterations", 150).exit_code == 0
    array = decode((tmp_path / "x.ddc").read_bytes())
    assert np.array_equal(array[..., 3], picture[..., 3])
    soft = (picture[..., 3] > 0) & (picture[..., 3] < 255)
    for ground in 0, 255:
        error = abs(composite(array, ground) - composite(picture, ground)).max(-1)
        assert (
            error[soft].max() <= max(6, error[picture[..., 3] == 255].max()) and not error[picture[..., 3] == 0].any()
        )


def composite(array, ground):
    share = array[..., 3:] / 255
    return share * array[..., :3] + (1 - share) * ground


def test_16_bits_are_worth_it(tmp_path):
    """PSNR at 16 bits grows with quality, above 50 dB, and a smooth gradient keeps more levels than 8 bits have."""
    y, x = np.mgrid[:96, :96]
    gradient = (20000 + 234 * x + 62 * y + 900 * np.sin(x / 20) * np.cos(y / 17)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", gradient, photometric="minisblack")
    scores = []
    for quality in (60, 95):
        result = run(
            "encode", tmp_path / "in.tif", "-o", tmp_path / f"{quality}.ddc", "--iterations", 250, "-q", quality
        )
        assert result.exit_code == 0, result.stderr
        error = decode((tmp_path / f"{quality}.ddc").read_bytes()).astype(float) - gradient
        scores.append(20 * np.log10(65535 / np.sqrt(np.square(error).mean())))
    assert scores == sorted(scores) and scores[-1] > 50
    levels = decode((tmp_path / "60.ddc").read_bytes())
    assert len(np.unique(levels)) > 2 * len(np.unique(levels >> 8))

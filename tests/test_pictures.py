"""Pictures in and out: every kind of file gives the right samples or one clear sentence."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from ddcodec.errors import SourceError
from ddcodec.pictures import ORIENTATION, encode_image_bytes, load_picture, picture_from, read_picture

HEIGHT, WIDTH = 20, 28


@pytest.fixture
def rgb():
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def grey():
    return np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)


def saved(image, format, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(width, height, depth, colour, rows, *chunks):
    """A PNG from the specification: `rows` are the filtered scanlines, `chunks` (type, content) stand before IDAT."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = b"".join(chunk(*pair) for pair in [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")])
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def refusal(data):
    with pytest.raises(SourceError) as caught:
        load_picture(data, name="photo")
    sentence = str(caught.value)
    assert sentence.startswith("photo ") and sentence.endswith(".") and "\n" not in sentence
    return sentence


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM", "BMP"])
def test_lossless_rgb(format, rgb):
    assert np.array_equal(load_picture(saved(rgb, format)), rgb)


def test_lossless_rgb_webp(rgb):
    assert np.array_equal(load_picture(saved(rgb, "WEBP", lossless=True)), rgb)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM", "BMP", "GIF"])
def test_lossless_grey(format, grey):
    samples = load_picture(saved(grey, format))
    assert samples.shape == (HEIGHT, WIDTH) and np.array_equal(samples, grey)


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_lossy_rgb_is_close(format):
    ramp = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)).astype(np.uint8)
    picture = np.stack([ramp * 4, 255 - ramp * 4, ramp * 2], -1)
    samples = load_picture(saved(picture, format, quality=95))
    assert samples.dtype == np.uint8 and samples.shape == picture.shape
    assert np.abs(samples.astype(int) - picture).mean() < 8


def test_from_path(tmp_path, rgb):
    path = tmp_path / "a picture.png"
    path.write_bytes(saved(rgb, "PNG"))
    assert np.array_equal(load_picture(path), rgb)
    assert np.array_equal(load_picture(str(path)), rgb)


@pytest.mark.parametrize("width, height", [(1, 1), (1, 7), (13, 1)])
def test_tiny(width, height):
    picture = np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3)
    assert np.array_equal(load_picture(saved(picture, "PNG")), picture)


def test_low_depths_spread_over_the_range():
    assert load_picture(png(4, 1, 2, 0, b"\0\x1b")).tolist() == [[0, 85, 170, 255]]
    assert load_picture(png(2, 1, 4, 0, b"\0\x3f")).tolist() == [[51, 255]]
    assert load_picture(png(8, 1, 1, 0, b"\0\xa5")).tolist() == [[255, 0, 255, 0, 0, 255, 0, 255]]
    assert load_picture(b"P1 2 2\n0 1\n1 0\n").tolist() == [[255, 0], [0, 255]]
    assert load_picture(b"P2 2 1 # fifteen is white\n15\n15 5\n").tolist() == [[255, 85]]
    assert load_picture(tiff(np.array([[True, False]]), photometric="miniswhite")).tolist() == [[0, 255]]


def test_palette_becomes_rgb_or_grey():
    colours = png(2, 1, 8, 3, b"\0\1\0", (b"PLTE", bytes([9, 8, 7, 250, 20, 30])))
    assert load_picture(colours).tolist() == [[[250, 20, 30], [9, 8, 7]]]
    greys = png(2, 1, 8, 3, b"\0\1\0", (b"PLTE", bytes([9, 9, 9, 250, 250, 250])))
    assert load_picture(greys).tolist() == [[250, 9]]


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}
"""EXIF 2.32, tag 274: what has to be done with the stored rows and columns."""


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_orientation(format, orientation):
    # Four flat quarters survive lossy coding well enough to be told apart.
    quarters = np.kron(np.array([[0, 80], [160, 250]], np.uint8), np.ones((8, 16), np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    samples = load_picture(saved(np.stack([quarters] * 3, -1), format, exif=exif, **({"quality": 90} if format != "TIFF" else {})))
    expected = UPRIGHT[orientation](quarters)
    assert samples.shape[:2] == expected.shape
    assert np.abs(samples[:, :, 0].astype(int) - expected).mean() < 10


def test_orientation_is_applied_once_to_tiff(rgb):
    """Lightroom writes it twice: as a tag and in the XMP packet (tag 700)."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    data = saved(rgb, "TIFF", tiffinfo={274: 6, 700: xmp})
    assert np.array_equal(load_picture(data), UPRIGHT[6](rgb))


def test_broken_exif_does_no_harm(rgb):
    assert np.array_equal(load_picture(saved(rgb, "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")), rgb)
    assert np.array_equal(load_picture(saved(rgb, "PNG", exif=b"garbage")), rgb)


def test_alpha_is_refused(rgb):
    rgba = np.dstack([rgb, np.full((HEIGHT, WIDTH), 200, np.uint8)])
    la = Image.fromarray(rgb).convert("LA")
    for data in [saved(rgba, "PNG"), saved(rgba, "WEBP"), saved(rgba, "AVIF"), saved(rgba, "TIFF"), saved(la, "PNG")]:
        assert "alpha channel" in refusal(data)


def test_transparency_is_refused(rgb, grey):
    palette = Image.fromarray(rgb).quantize(16)
    for data in [
        saved(palette, "PNG", transparency=3),
        saved(palette, "PNG", transparency=bytes([0, 100, 255])),
        saved(palette, "GIF", transparency=3),
        saved(rgb, "PNG", transparency=(1, 2, 3)),
        saved(grey, "PNG", transparency=7),
    ]:
        assert "transparency" in refusal(data)


def test_more_than_8_bits_is_refused():
    wide = np.arange(2 * 3 * 3, dtype=np.uint16).reshape(2, 3, 3) * 3000
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)
    grey_rows = b"".join(b"\0" + row[:, 0].astype(">u2").tobytes() for row in wide)
    for data in [
        png(3, 2, 16, 2, rows),
        png(3, 2, 16, 0, grey_rows),
        tiff(wide, photometric="rgb"),
        tiff(wide, photometric="rgb", byteorder=">"),
        tiff(wide[:, :, 0].copy(), photometric="minisblack"),
        b"P6 3 2 65535\n" + wide.astype(">u2").tobytes(),
        b"P5\n# a comment\n3 2\n65535\n" + wide[:, :, 0].astype(">u2").tobytes(),
        b"P3 1 1 65535 1 2 3\n",
    ]:
        assert refusal(data) == "photo has 16 bits a sample; only 8 are supported so far. Convert it to 8 bits first."
    assert "10 bits" in refusal(b"P5 3 2 1023\n" + bytes(12))


def test_deep_avif_is_refused(rgb):
    data = saved(rgb, "AVIF")
    flags = data.index(b"av1C") + 6
    assert not data[flags] & 0x60
    for bits, flag in (10, 0x40), (12, 0x60):
        assert f"{bits} bits" in refusal(data[:flags] + bytes([data[flags] | flag]) + data[flags + 1 :])


def test_other_colours_are_refused(rgb):
    cmyk = Image.fromarray(rgb).convert("CMYK")
    assert "CMYK" in refusal(saved(cmyk, "JPEG"))
    assert "CMYK" in refusal(saved(cmyk, "TIFF"))
    assert "Lab" in refusal(tiff(rgb, photometric="cielab"))
    assert "YCbCr" in refusal(tiff(rgb, photometric="ycbcr"))
    assert "floating-point" in refusal(b"Pf 1 1 -1.0\n" + bytes(4))
    assert "32 bits" in refusal(tiff(np.zeros((4, 5), np.float32)))


def test_what_pillow_would_drop_from_tiff_is_refused(rgb):
    assert "signed samples" in refusal(tiff(np.zeros((4, 5), np.int8)))
    extra = np.dstack([rgb, rgb[:, :, :1]])
    assert "4 channels" in refusal(tiff(extra, photometric="rgb", extrasamples=["unspecified"]))


def test_several_frames_are_refused(rgb):
    frames = {"save_all": True, "append_images": [Image.fromarray(255 - rgb)]}
    for format in "PNG", "GIF", "WEBP", "AVIF", "TIFF":
        assert "2 pictures" in refusal(saved(rgb, format, **frames))


def test_first_picture_of_a_camera_file(rgb):
    picture = read_picture(saved(rgb, "MPO", save_all=True, append_images=[Image.fromarray(255 - rgb)], quality=95))
    assert np.array_equal(picture.samples, load_picture(saved(rgb, "JPEG", quality=95)))
    assert picture.left_out == ("further pictures",)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_metadata(format, rgb):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[271], exif[ORIENTATION] = "a camera", 6
    picture = read_picture(saved(rgb, format, exif=exif, icc_profile=profile))
    assert picture.left_out == () and picture.metadata["icc"] == profile
    assert picture.samples.shape[:2] == (rgb.shape[1], rgb.shape[0])
    kept = Image.Exif()
    kept.load(picture.metadata["exif"])
    assert dict(kept) == {271: "a camera", ORIENTATION: 1}
    if format != "AVIF":  # Its orientation lies in the container: the EXIF that was given is changed on writing.
        before, after = exif.tobytes().removeprefix(b"Exif\0\0"), picture.metadata["exif"]
        assert len(before) == len(after) and sum(a != b for a, b in zip(before, after)) == 1
    again = read_picture(encode_image_bytes(picture.samples, "png", {**picture.metadata, "xmp": b"<x:xmpmeta/>"}))
    assert again.metadata == {**picture.metadata, "xmp": b"<x:xmpmeta/>"} and np.array_equal(again.samples, picture.samples)
    assert read_picture(saved(rgb, format)).metadata == {}


def test_profile_of_another_kind(rgb):
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"GRAY"
    picture = read_picture(saved(rgb, "PNG", icc_profile=bytes(profile)))
    assert picture.metadata == {} and picture.left_out == ("a colour profile of another kind of picture",)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "PPM", "BMP", "GIF"])
def test_cut_off(format, rgb):
    data = saved(rgb, format)
    for count in 3, 12, 40, len(data) // 2:
        sentence = refusal(data[:count])
        assert "damaged" in sentence


def test_no_picture():
    assert refusal(b"") == "photo is empty."
    assert "no PNG, JPEG" in refusal(b"hello, world")
    assert refusal(b"\xddDDC" + bytes(40)) == "photo is a .ddc file already."


def test_unreadable_paths(tmp_path):
    for path, what in [
        (tmp_path / "none.png", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / ("x" * 300), "cannot be read"),
        ("nul\0byte", "cannot be read"),
    ]:
        with pytest.raises(SourceError, match=what) as caught:
            load_picture(path)
        assert str(path) in str(caught.value)


def test_bombs_are_refused_quickly():
    assert "178,956,970 pixels" in refusal(png(60000, 60000, 8, 2, b""))
    assert "no side" in refusal(png(65536, 1, 8, 0, b"\0" + bytes(65536)))
    assert load_picture(png(65535, 1, 8, 0, b"\0" + bytes(65535))).shape == (1, 65535)


def test_pillow_stays_silent(rgb, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SourceError):
            load_picture(saved(rgb, "TIFF")[:60])
        load_picture(saved(rgb, "PNG", exif=b"MM\0*\0\0\0\x08\xff\xff"))
    assert capfd.readouterr() == ("", "")


def test_arrays(rgb, grey):
    assert np.array_equal(picture_from(rgb).samples, rgb)
    assert np.array_equal(picture_from(grey).samples, grey)
    assert np.array_equal(picture_from(grey[:, :, None]).samples, grey)
    turned = picture_from(rgb[::-1, ::2]).samples
    assert np.array_equal(turned, rgb[::-1, ::2]) and turned.flags.c_contiguous


@pytest.mark.parametrize(
    "array, what",
    [
        (np.zeros((4, 4), np.uint16), "holds uint16"),
        (np.zeros((4, 4, 3)), "holds float64"),
        (np.zeros((4, 4), bool), "holds bool"),
        (np.zeros((4, 4, 4), np.uint8), "Alpha is not supported"),
        (np.zeros((4, 4, 5), np.uint8), r"shape \(4, 4, 5\)"),
        (np.zeros(4, np.uint8), r"shape \(4,\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), "must be"),
        (np.zeros((0, 4), np.uint8), "4x0: it has no pixels"),
        (np.zeros((65536, 1), np.uint8), "1x65536"),
        ([[1, 2], [3, 4]], "not list"),
        ("photo.png", "not str"),
    ],
)
def test_arrays_refused(array, what):
    with pytest.raises(SourceError, match=what):
        picture_from(array)


def test_pillow_images(rgb, grey):
    assert np.array_equal(picture_from(Image.fromarray(rgb)).samples, rgb)
    assert np.array_equal(picture_from(Image.fromarray(grey)).samples, grey)
    exif = Image.Exif()
    exif[274] = 6
    assert np.array_equal(picture_from(Image.open(io.BytesIO(saved(rgb, "PNG", exif=exif)))).samples, UPRIGHT[6](rgb))
    with pytest.raises(SourceError, match="alpha"):
        picture_from(Image.fromarray(rgb).convert("RGBA"))
    with pytest.raises(SourceError, match="16 bits"):
        picture_from(Image.new("I;16", (3, 3)))
    with pytest.raises(SourceError, match="16 bits"):
        picture_from(Image.open(io.BytesIO(png(1, 1, 16, 2, bytes(7)))))


def test_output_formats(rgb, grey):
    for samples in rgb, grey:
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_image_bytes(samples, "png")))), samples)
        assert np.array_equal(np.load(io.BytesIO(encode_image_bytes(samples, "npy"))), samples)
    assert encode_image_bytes(rgb, "ppm") == b"P6\n28 20\n255\n" + rgb.tobytes()
    assert encode_image_bytes(grey, "ppm") == b"P5\n28 20\n255\n" + grey.tobytes()
    assert encode_image_bytes(rgb[::2, ::-1], "ppm") == b"P6\n28 10\n255\n" + rgb[::2, ::-1].tobytes()

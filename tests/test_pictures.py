"""Pictures in and out: every kind of file gives the right samples or one clear sentence."""

import io
import re
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageDraw, ImageFilter
from skimage.color import lab2rgb

from ddcodec.errors import DdcError, LimitError, SourceError, UsageError
from ddcodec.picture import Picture, deep, is_drawn
from ddcodec.pictures.exif import ORIENTATION
from ddcodec.pictures.read import load_picture, picture_from, read_picture
from ddcodec.pictures.write import encode_image_bytes, pillow_image

HEIGHT, WIDTH = 20, 28


@pytest.fixture
def rgb():
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def grey():
    return np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)


@pytest.fixture
def smooth():
    """Colours that a lossy format hardly changes."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([40 + 5 * x, 60 + 6 * y, 200 - 3 * x - y], -1).astype(np.uint8)


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
    body = b"".join(
        chunk(*pair) for pair in [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    )
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
    samples = load_picture(
        saved(np.stack([quarters] * 3, -1), format, exif=exif, **({"quality": 90} if format != "TIFF" else {}))
    )
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


def test_alpha_is_refused_where_it_is_of_no_use(rgb):
    rgba = np.dstack([rgb, np.full((HEIGHT, WIDTH), 200, np.uint8)])
    assert "alpha channel" in refusal(saved(rgba, "PNG"))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_alpha(rgb, format):
    rgba = np.dstack([rgb, (rgb[:, :, 0] // 3)])
    picture = read_picture(saved(rgba, format, **({"lossless": True, "exact": True} if format == "WEBP" else {})))
    assert np.array_equal(picture.samples, rgb) and np.array_equal(picture.alpha, rgba[:, :, 3])
    rgba[:, :, 3] = 255
    assert read_picture(saved(rgba, format)).alpha is None


def test_transparency(rgb, grey):
    palette = Image.fromarray(rgb).quantize(16)
    for image, format, transparency in [
        (palette, "PNG", 3),
        (palette, "PNG", bytes([0, 100, 255])),
        (palette, "GIF", 3),
        (rgb, "PNG", tuple(map(int, rgb[3, 4]))),
        (grey, "PNG", int(grey[3, 4])),
        (Image.fromarray(grey).convert("1"), "PNG", 0),
        (Image.fromarray(rgb).convert("LA"), "PNG", None),
    ]:
        data = saved(image, format, **({} if transparency is None else {"transparency": transparency}))
        seen = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
        picture = read_picture(data)
        visible = seen[..., 3] > 0
        assert np.array_equal(
            np.broadcast_to(np.atleast_3d(picture.samples), seen[..., :3].shape)[visible], seen[..., :3][visible]
        )
        assert picture.alpha is None if (seen[..., 3] == 255).all() else np.array_equal(picture.alpha, seen[..., 3])


def test_more_than_8_bits():
    wide = np.arange(2 * 3 * 3, dtype=np.uint16).reshape(2, 3, 3) * 3000
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)
    grey_rows = b"".join(b"\0" + row[:, 0].astype(">u2").tobytes() for row in wide)
    for data, expected in [
        (png(3, 2, 16, 2, rows), wide),
        (png(3, 2, 16, 0, grey_rows), wide[:, :, 0]),
        (tiff(wide, photometric="rgb"), wide),
        (tiff(wide, photometric="rgb", byteorder=">"), wide),
        (tiff(wide, photometric="rgb", compression="lzw", predictor=True), wide),
        (tiff(wide[:, :, 0].copy(), photometric="minisblack"), wide[:, :, 0]),
        (tiff(wide[:, :, 0].copy(), photometric="miniswhite"), 65535 - wide[:, :, 0]),
        (b"P6 3 2 65535\n" + wide.astype(">u2").tobytes(), wide),
        (b"P5\n# a comment\n3 2\n65535\n" + wide[:, :, 0].astype(">u2").tobytes(), wide[:, :, 0]),
        (b"P3 1 1 65535 1 2 # two\n3\n", np.array([[[1, 2, 3]]])),
        (b"P5 2 1 1023\n" + bytes([0, 0, 3, 255]), np.array([[0, 65535]])),
    ]:
        picture = read_picture(data)
        assert (
            picture.samples.dtype == np.uint16 and np.array_equal(picture.samples, expected) and picture.alpha is None
        )
        assert "16 bits a sample; only 8 are supported here" in refusal(data)
    assert "a sample is not in 0..1023" in refusal(b"P5 2 1 1023\n" + bytes([0, 0, 4, 0]))
    assert "a sample is not in 0..1023" in refusal(b"P2 2 1 1023\n-3 7")
    assert "damaged or cut off" in refusal(png(3, 2, 16, 2, rows[:20])) and "damaged or cut off" in refusal(
        b"P6 3 2 65535\n" + bytes(30)
    )


def test_alpha_of_16_bits():
    wide = np.arange(2 * 3 * 4, dtype=np.uint16).reshape(2, 3, 4) * 2500
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)
    for data in png(3, 2, 16, 6, rows), tiff(wide, photometric="rgb", extrasamples=["unassalpha"]):
        picture = read_picture(data)
        assert np.array_equal(picture.samples, wide[:, :, :3]) and np.array_equal(picture.alpha, wide[:, :, 3])
    assert "straight alpha" in refusal(tiff(wide, photometric="rgb", extrasamples=["assocalpha"]))


@pytest.mark.parametrize(
    "bits, colour, rows, key",
    [
        (2, 0, b"\0\x1b", 2),
        (4, 0, b"\0\x0f\x3f", 15),
        (1, 0, b"\0\x50", 1),
        (8, 0, b"\0\1\7\7\2", 7),
        (16, 0, b"\0\0\1\0\7\1\0\0\7", 7),
    ],
)
def test_one_grey_that_is_transparent(bits, colour, rows, key):
    """The key is in units of the file's depth (PNG, 11.3.2.1); libpng through imagecodecs says what it means, but for
    16 bits, which it forgets.
    """
    import imagecodecs

    data = png(4, 1, bits, colour, rows, (b"tRNS", struct.pack(">H", key)))
    picture = read_picture(data)
    if bits == 16:
        assert picture.samples.tolist() == [[1, 7, 256, 7]] and picture.alpha.tolist() == [[65535, 0, 65535, 0]]
        whole = picture_from(Image.open(io.BytesIO(data))).whole()
        assert np.array_equal(whole, picture.whole())
    else:
        assert np.array_equal(picture.whole(), imagecodecs.png_decode(data))


def test_deep_animations_are_refused():
    """Pillow shows them at 8 bits, and imagecodecs reads the first frame or worse."""
    import imagecodecs

    deep = np.arange(60, dtype=np.uint16).reshape(4, 5, 3) * 16
    clip = imagecodecs.avif_encode(np.stack([deep, deep]), level=100, bitspersample=10)
    assert "animation of 10 bits a sample" in refusal(clip)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    frame = struct.pack(">IIIIIHHBB", 0, 5, 4, 0, 0, 1, 10, 0, 0)
    second = struct.pack(">IIIIIHHBB", 1, 5, 4, 0, 0, 1, 10, 0, 0)
    data = png(5, 4, 16, 2, rows, (b"acTL", struct.pack(">II", 2, 0)), (b"fcTL", frame))
    end = data.index(b"IEND") - 4
    content = struct.pack(">I", 2) + zlib.compress(rows)
    more = b"".join(
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c))
        for k, c in ((b"fcTL", second), (b"fdAT", content))
    )
    assert "animation of 16 bits a sample" in refusal(data[:end] + more + data[end:])


def test_limits_hold_for_every_page():
    """A page may be of another size than the first."""
    small, large = np.zeros((3, 4), np.uint16), np.zeros((40, 50), np.uint16)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(small)
        writer.write(large)
    assert read_picture(file.getvalue(), frame=2).samples.shape == (40, 50)
    assert read_picture(file.getvalue(), frame=1, max_pixels=100).samples.shape == (3, 4)
    with pytest.raises(LimitError, match=r"50x40 = 2,000 pixels, above the limit of 100 \(--max-pixels\)"):
        read_picture(file.getvalue(), frame=2, max_pixels=100)


def test_a_limit_of_ones_own_replaces_pillows(rgb, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    data = saved(rgb, "PNG")
    with pytest.raises(
        SourceError, match="more than 20 pixels, the most that are read from a file .--max-pixels names another limit."
    ):
        read_picture(data)
    assert np.array_equal(read_picture(data, max_pixels=rgb[..., 0].size).samples, rgb) and Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(LimitError, match="--max-pixels"):
        read_picture(data, max_pixels=rgb[..., 0].size - 1)


def test_depth_is_not_lost_through_pillow(smooth):
    import imagecodecs

    deep = smooth.astype(np.uint16) * 4
    for data in (
        b"P6 3 2 65535\n" + bytes(36),
        imagecodecs.avif_encode(deep, level=90, bitspersample=10),
        png(1, 1, 16, 2, bytes(7)),
    ):
        with pytest.raises(SourceError, match="cut this 16-bit picture down"):
            picture_from(Image.open(io.BytesIO(data)))
    image = Image.open(io.BytesIO(saved(smooth, "PPM")))
    assert np.array_equal(picture_from(image).samples, smooth)


def test_what_is_in_memory_already_has_no_limit_but_its_sides(rgb, monkeypatch):
    image = Image.fromarray(rgb)
    data = saved(rgb, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert np.array_equal(picture_from(rgb).samples, rgb) and np.array_equal(picture_from(image).samples, rgb)
    assert "more than 20 pixels" in refusal(data)


def test_a_frame_that_was_chosen_stays(rgb):
    image = Image.open(io.BytesIO(saved(rgb, "PNG", save_all=True, append_images=[Image.fromarray(255 - rgb)])))
    image.seek(1)
    assert np.array_equal(picture_from(image).samples, 255 - rgb)


def test_tiffs_that_nobody_knows(rgb):
    deep = np.dstack([rgb[..., 0], rgb[..., 1]]).astype(np.uint16)
    assert "is a TIFF that is damaged, cut off, or of a kind that cannot be read" in refusal(
        tiff(deep, photometric="minisblack", extrasamples=["unassalpha"])
    )


def test_upright_at_16_bits():
    wide = np.arange(6, dtype=np.uint16).reshape(2, 3) * 9000
    for orientation, upright in UPRIGHT.items():
        data = tiff(wide, photometric="minisblack", extratags=[(ORIENTATION, "H", 1, orientation, True)])
        assert np.array_equal(read_picture(data).samples, upright(wide))


def test_deep_avif(smooth):
    import imagecodecs

    deep = smooth.astype(np.uint16) * 4
    data = imagecodecs.avif_encode(deep, level=100, bitspersample=10)
    assert abs(read_picture(data).samples / 65535 - deep / 1023).max() < 0.02


def test_cmyk(smooth):
    rgb = smooth
    cmyk = Image.fromarray(rgb).convert("CMYK")
    for format in "JPEG", "TIFF":
        picture = read_picture(saved(cmyk, format), name="photo")
        assert picture.notes == (
            "photo: its CMYK is converted to RGB without a profile, so that its colours are a guess.",
        )
        assert abs(picture.samples.astype(int) - rgb).mean() < 6


def printer_profile():
    """A CMYK profile from the specification (ICC.1:2001-04, 6.5.7): full cyan alone is a green, L* 60, a* -30, b* 20;
    whatever has black is black; all else is white.
    """
    inks = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    colours = [
        (0, 128, 128) if k else (153, 98, 148) if (c, m, y) == (1, 0, 0) else (255, 128, 128) for c, m, y, k in inks
    ]
    straight = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (k % 4 == 0) for k in range(9)))
    table = (
        b"mft1\0\0\0\0\4\3\2\0"
        + matrix
        + 4 * straight
        + bytes(value for colour in colours for value in colour)
        + 3 * straight
    )
    table += bytes(-len(table) % 4)
    tags = [
        (b"A2B0", table),
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 2) + b"p\0" + bytes(80)),
        (b"wtpt", b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)),
        (b"cprt", b"text\0\0\0\0none\0\0\0\0"),
    ]
    place, index, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags:
        index += name + struct.pack(">II", place + len(body), len(content))
        body += content
    head = (
        struct.pack(">I4xI", place + len(body), 0x02100000)
        + b"prtrCMYKLab "
        + bytes(12)
        + b"acsp"
        + bytes(28)
        + struct.pack(">3i", 63190, 65536, 54061)
    )
    return head.ljust(128, b"\0") + index + body


def test_cmyk_with_a_profile():
    cyan = Image.new("CMYK", (9, 7), (255, 0, 0, 0))
    exif = Image.Exif()
    exif[271] = "a printer"
    picture = read_picture(saved(cyan, "TIFF", icc_profile=printer_profile(), exif=exif), name="photo")
    assert picture.notes == ("photo: its CMYK is converted to RGB through its colour profile.",)
    assert abs(picture.samples[3, 4] - 255 * lab2rgb(np.array([[[60.0, -30, 20]]]))).max() < 12
    assert picture.metadata.keys() == {"exif"} and b"a printer" in picture.metadata["exif"]
    plain = read_picture(saved(cyan, "TIFF"), name="photo")
    assert "without a profile" in plain.notes[0] and plain.samples[3, 4].tolist() == [0, 255, 255]
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    odd = read_picture(saved(cyan, "TIFF", icc_profile=srgb), name="photo")
    assert "without a profile" in odd.notes[0] and odd.metadata == {} and len(odd.notes) == 1


def test_other_colours_are_refused(rgb):
    assert "Lab" in refusal(tiff(rgb, photometric="cielab"))
    assert "YCbCr" in refusal(tiff(rgb, photometric="ycbcr"))
    assert "floating-point" in refusal(b"Pf 1 1 -1.0\n" + bytes(4))
    assert "floating-point" in refusal(tiff(np.zeros((4, 5), np.float32)))


def test_what_pillow_would_drop_from_tiff_is_refused(rgb):
    assert "signed samples" in refusal(tiff(np.zeros((4, 5), np.int8)))
    extra = np.dstack([rgb, rgb[:, :, :1]])
    assert "4 channels" in refusal(tiff(extra, photometric="rgb", extrasamples=["unspecified"]))


def test_frames(smooth):
    rgb = smooth
    frames = {"save_all": True, "append_images": [Image.fromarray(255 - rgb), Image.fromarray(rgb[::-1])]}
    for format in "PNG", "GIF", "WEBP", "AVIF", "TIFF":
        data = saved(
            rgb,
            format,
            **frames,
            **({"lossless": True} if format == "WEBP" else {"quality": 100} if format == "AVIF" else {}),
        )
        first = read_picture(data, name="clip")
        assert first.notes == ("clip: of its 3 frames the first is taken (--frame N for another).",)
        for frame, expected in enumerate((rgb, 255 - rgb, rgb[::-1]), 1):
            picture = read_picture(data, frame=frame)
            assert picture.notes == () and abs(picture.samples.astype(int) - expected).mean() < 9, format
        assert np.array_equal(first.samples, read_picture(data, frame=1).samples)
        with pytest.raises(UsageError, match="has 3 frames; there is no frame 4"):
            read_picture(data, frame=4)
    with pytest.raises(UsageError, match="has 1 frame; there is no frame 0"):
        read_picture(saved(rgb, "PNG"), frame=0)


def test_heic(smooth):
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(smooth)).save(buffer, quality=100)
    assert abs(read_picture(buffer.getvalue()).samples.astype(int) - smooth).mean() < 3


JXL_SHAPES = [(12, 17, 3), (8, 8, 3), (16, 16), (513, 70, 3), (40, 1500, 3), (64, 128, 4)]


@pytest.mark.parametrize("shape", JXL_SHAPES)
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_header_of_jpeg_xl(shape, bits):
    """As libjxl writes it, for each form in which a size can be stated."""
    from ddcodec.pictures.jpegxl import read_header

    samples = np.random.default_rng(1).integers(0, 2**bits, shape).astype(np.uint8 if bits == 8 else np.uint16)
    for boxes in (False, True):
        for loss in ({"lossless": True}, {"level": 80}):
            data = imagecodecs.jpegxl_encode(samples, bitspersample=bits, usecontainer=boxes, **loss)
            assert read_header(data) == (bits, False, False)
    with pytest.raises(ValueError):
        read_header(data[:14])


def test_jpeg_xl_keeps_its_depth_frames_and_orientation(rgb):
    import pillow_jxl

    deep = rgb.astype(np.uint16) * 257
    data = imagecodecs.jpegxl_encode(deep, lossless=True)
    assert np.array_equal(read_picture(data).samples, deep)
    with pytest.raises(SourceError, match="cut this 16-bit picture down"):
        picture_from(Image.open(io.BytesIO(data)))
    clip = imagecodecs.jpegxl_encode(np.stack([rgb, 255 - rgb]), lossless=True)
    assert np.array_equal(read_picture(clip, frame=2).samples, 255 - rgb)
    with pytest.raises(UsageError, match="has 2 frames; there is no frame 3"):
        read_picture(clip, frame=3)
    # The format has an orientation of its own, which a decoder applies; EXIF's is for information.
    exif, turned = Image.Exif(), io.BytesIO()
    exif[274] = 6
    assert pillow_jxl
    Image.fromarray(rgb).save(turned, "JXL", lossless=True, exif=exif.tobytes())
    picture = read_picture(turned.getvalue())
    assert np.array_equal(picture.samples, rgb) and Image.open(io.BytesIO(turned.getvalue())).getexif()[274] == 6
    upright = Image.Exif()
    upright.load(picture.metadata["exif"])
    assert upright[274] == 1


def test_a_plugin_that_is_missing(rgb, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    assert (
        refusal(b"\xff\x0a" + bytes(30))
        == "photo is a JPEG XL picture; to read such, install the package pillow-jxl-plugin."
    )


def test_first_picture_of_a_camera_file(rgb):
    picture = read_picture(saved(rgb, "MPO", save_all=True, append_images=[Image.fromarray(255 - rgb)], quality=95))
    assert np.array_equal(picture.samples, load_picture(saved(rgb, "JPEG", quality=95)))
    assert picture.notes == ("The picture: the further pictures in it are left out.",)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_metadata(format, rgb):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[271], exif[ORIENTATION] = "a camera", 6
    picture = read_picture(saved(rgb, format, exif=exif, icc_profile=profile))
    assert picture.notes == () and picture.metadata["color"] == bytes([1, 13]) and "icc" not in picture.metadata
    assert picture.samples.shape[:2] == (rgb.shape[1], rgb.shape[0])
    kept = Image.Exif()
    kept.load(picture.metadata["exif"])
    assert dict(kept) == {271: "a camera", ORIENTATION: 1}
    if format != "AVIF":  # Its orientation lies in the container: the EXIF that was given is changed on writing.
        before, after = exif.tobytes().removeprefix(b"Exif\0\0"), picture.metadata["exif"]
        assert len(before) == len(after) and sum(a != b for a, b in zip(before, after)) == 1
    again = read_picture(
        encode_image_bytes(Picture(picture.samples, {**picture.metadata, "xmp": b"<x:xmpmeta/>"}), "png")
    )
    assert again.metadata == {**picture.metadata, "xmp": b"<x:xmpmeta/>"} and np.array_equal(
        again.samples, picture.samples
    )
    assert read_picture(saved(rgb, format)).metadata == ({"color": bytes([1, 13])} if format == "AVIF" else {})


def test_profile_of_another_kind(rgb):
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"GRAY"
    picture = read_picture(saved(rgb, "PNG", icc_profile=bytes(profile)))
    assert picture.metadata == {} and picture.notes == (
        "The picture: its colour profile is for another kind of picture and is left out.",
    )


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "PPM", "BMP", "GIF"])
def test_cut_off(format, rgb):
    data = saved(rgb, format)
    for count in 3, 12, 40, len(data) // 2:
        assert re.search("damaged|cut off: its end is missing", refusal(data[:count]))


def test_no_picture():
    assert refusal(b"") == "photo is empty."
    assert "no PNG, JPEG" in refusal(b"hello, world")
    assert refusal(b"\xddDDC" + bytes(40)) == "photo is a .ddc file already; ddcodec decode makes a picture of it."


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


def test_nothing_of_pillow_or_warnings_is_changed(rgb, monkeypatch):
    """Whatever threads read at once: `warnings.catch_warnings` is not made for threads, and Pillow's limit is every
    thread's.
    """
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    monkeypatch.setattr(warnings, "filters", list(warnings.filters))
    filters, seen = list(warnings.filters), []

    def read(limit):
        with suppress(DdcError):
            read_picture(saved(rgb, "GIF"), max_pixels=limit)
        seen.append(warnings.filters == filters)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, [0, 10**9] * 40))
    assert all(seen) and warnings.filters == filters and Image.MAX_IMAGE_PIXELS == 400
    assert read_picture(saved(rgb, "PNG"), max_pixels=10**6).samples.shape == rgb.shape


def test_arrays(rgb, grey):
    assert np.array_equal(picture_from(rgb).samples, rgb)
    assert np.array_equal(picture_from(grey).samples, grey)
    assert np.array_equal(picture_from(grey[:, :, None]).samples, grey)
    turned = picture_from(rgb[::-1, ::2]).samples
    assert np.array_equal(turned, rgb[::-1, ::2]) and turned.flags.c_contiguous


@pytest.mark.parametrize(
    "array, what",
    [
        (np.zeros((4, 4), np.int16), "holds int16"),
        (np.zeros((4, 4, 3)), "holds float64"),
        (np.zeros((4, 4), bool), "holds bool"),
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
    assert picture_from(Image.fromarray(rgb).convert("RGBA")).alpha is None
    whole = np.dstack([rgb, rgb[:, :, 1]])
    assert np.array_equal(picture_from(Image.fromarray(whole)).whole(), whole)
    assert picture_from(Image.new("I;16", (3, 3), 40000)).samples.tolist() == [[40000] * 3] * 3
    with pytest.raises(SourceError, match="cut this 16-bit picture down"):
        picture_from(Image.open(io.BytesIO(png(1, 1, 16, 2, bytes(7)))))


def test_arrays_with_alpha(rgb, grey):
    for colours in rgb, grey, rgb.astype(np.uint16) * 200:
        whole = np.dstack([colours, colours if colours.ndim == 2 else colours[:, :, 0]])
        assert np.array_equal(picture_from(whole).whole(), whole)
        assert np.array_equal(picture_from(whole.astype(whole.dtype.newbyteorder())).whole(), whole)


def test_output_formats(rgb, grey):
    for samples in rgb, grey:
        whole = np.dstack([samples, 255 - grey])
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_image_bytes(Picture(samples), "png")))), samples)
        assert np.array_equal(
            np.asarray(Image.open(io.BytesIO(encode_image_bytes(Picture(samples, alpha=255 - grey), "png")))), whole
        )
        assert np.array_equal(np.load(io.BytesIO(encode_image_bytes(Picture(samples), "npy"))), samples)
        assert np.array_equal(np.load(io.BytesIO(encode_image_bytes(Picture(samples, alpha=255 - grey), "npy"))), whole)
        assert np.array_equal(np.asarray(pillow_image(Picture(samples, alpha=255 - grey))), whole)
    assert encode_image_bytes(Picture(rgb), "ppm") == b"P6\n28 20\n255\n" + rgb.tobytes()
    assert encode_image_bytes(Picture(grey), "ppm") == b"P5\n28 20\n255\n" + grey.tobytes()
    assert encode_image_bytes(Picture(rgb[::2, ::-1]), "ppm") == b"P6\n28 10\n255\n" + rgb[::2, ::-1].tobytes()


def test_output_formats_at_16_bits(rgb, grey):
    import imagecodecs

    for samples in rgb.astype(np.uint16) * 257 + 3, grey.astype(np.uint16) * 200:
        alpha = grey.astype(np.uint16) * 99
        whole = np.dstack([samples, alpha])
        assert np.array_equal(imagecodecs.png_decode(encode_image_bytes(Picture(samples), "png")), samples)
        assert np.array_equal(imagecodecs.png_decode(encode_image_bytes(Picture(samples, alpha=alpha), "png")), whole)
        data = encode_image_bytes(Picture(samples, {"xmp": b"<x/>", "icc": profile_for(samples)}, alpha), "png")
        image = Image.open(io.BytesIO(data))
        image.load()
        assert image.info["icc_profile"] == profile_for(samples) and image.info["xmp"] == b"<x/>"
        assert read_picture(data, metadata=("icc", "xmp")).metadata == {
            "xmp": b"<x/>",
            "icc": profile_for(samples),
        } and np.array_equal(read_picture(data).whole(), whole)
        assert np.array_equal(read_picture(encode_image_bytes(Picture(samples), "ppm")).samples, samples)
        assert np.array_equal(
            np.asarray(pillow_image(Picture(samples))), samples if samples.ndim == 2 else np.rint(samples / 257)
        )


def profile_for(samples):
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"GRAY" if samples.ndim == 2 else b"RGB "
    return bytes(profile)


def page(background=(250, 250, 245)):
    """Letters on a plain page."""
    image = Image.new("RGB", (200, 120), background)
    for row in range(6):
        ImageDraw.Draw(image).text((5, 5 + 18 * row), "All letters have plain paper beside them", fill=(20, 30, 60))
    return image


def test_letters_are_drawn_and_photographs_are_not():
    for path in sorted((Path(__file__).parents[1] / "samples").glob("*.*g")):
        assert not is_drawn(np.asarray(Image.open(path).convert("RGB")))
    samples = np.asarray(page())
    assert is_drawn(samples) and is_drawn(samples[..., 1]) and is_drawn(deep(samples))
    assert is_drawn(np.tile(samples, (80, 8, 1)))
    assert not is_drawn(np.asarray(page().filter(ImageFilter.GaussianBlur(2))))
    noise = np.random.default_rng(1).normal(0, 3, samples.shape)
    assert not is_drawn(np.clip(np.rint(samples + noise), 0, 255).astype(np.uint8))


def test_an_object_on_plain_white_is_not_drawn():
    """The colour goes on beside all of its outline, which has most of the great steps."""
    y, x = np.mgrid[:200, :200]
    inside = np.hypot(x - 100, y - 100) < 70
    shades = np.stack([120 + 60 * np.sin(x / 20 + k) + 40 * np.cos(y / 15 - k) for k in range(3)], 2)
    assert not is_drawn(np.where(inside[:, :, None], shades, 255).astype(np.uint8))


@pytest.mark.parametrize("height, width", [(1, 1), (1, 2), (1, 3), (2, 1), (7, 2), (1, 9000)])
def test_thin_pictures_of_one_colour_are_not_drawn(height, width):
    assert not is_drawn(np.full((height, width, 3), 9, np.uint8))

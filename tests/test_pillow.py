"""Pillow's plugin: what `Image.open` and `Image.save` promise of any format, for `.ddc`."""

import io
import os
import pickle
import subprocess
import sys
from copy import copy
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from conftest import painted
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError
from profiles import levels_apart

import ddcodec
import ddcodec.pillow
from ddcodec import decoder, encoder
from ddcodec.errors import TargetError
from ddcodec.format.header import ROWS_BYTES

VALID = Path(__file__).parent / "vectors" / "valid"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'


def exif_of(orientation=None):
    """An EXIF block with a camera and, if wanted, an orientation."""
    exif = Image.Exif()
    exif[271] = "a camera"
    if orientation:
        exif[274] = orientation
    return exif


@pytest.fixture(scope="module")
def data():
    """A file of 28x20 pixels with all metadata, made by the plugin."""
    file = io.BytesIO()
    Image.fromarray(painted(20, 28)).save(
        file, "DDC", iterations=1, device="cpu", exif=exif_of(), icc_profile=PROFILE, xmp=XMP
    )
    return file.getvalue()


def opened(data):
    return Image.open(io.BytesIO(data))


def with_other_body(data, body):
    """A file whose header is right, checksums included, and whose body is another."""
    head = data[:ROWS_BYTES] + crc32(body).to_bytes(4, "big") + data[ROWS_BYTES + 4 : ROWS_BYTES + 8]
    return head + crc32(head).to_bytes(4, "big") + body


def test_pixels_are_those_of_the_decoder(data):
    with opened(data) as image:
        assert (image.format, image.mode, image.size, image.get_format_mimetype()) == (
            "DDC",
            "RGB",
            (28, 20),
            "image/x-ddc",
        )
        assert (np.asarray(image) == ddcodec.decode(data)).all()
    grey = (VALID / "13x29_grey.ddc").read_bytes()
    with opened(grey) as image:
        assert image.mode == "L" and image.size == (13, 29) and (np.asarray(image) == ddcodec.decode(grey)).all()


def test_a_fresh_process_knows_the_extension(data, tmp_path):
    """Nothing else has made Pillow look for its plugins before."""
    (tmp_path / "a.ddc").write_bytes(data)
    Image.new("L", (3, 2)).save(tmp_path / "b.png")
    script = (
        "import ddcodec; ddcodec.register_pillow(); from PIL import Image; print(*[Image.open(n).size for n in "
        "('a.ddc', 'b.png')])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(ddcodec.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.stdout == "(28, 20) (3, 2)\n", result.stderr


def test_nothing_is_decoded_before_pixels_are_needed(data, monkeypatch):
    def refuse(*_):
        raise RuntimeError("The stream was decoded.")

    monkeypatch.setattr(decoder, "decoder_at_work", refuse)
    image = opened(data)
    assert image.size == (28, 20) and image.mode == "RGB" and levels_apart(image.info["icc_profile"], PROFILE) <= 1
    with pytest.raises(RuntimeError, match="was decoded"):
        image.load()


def test_a_file_without_metadata_is_not_read_past_its_header():
    file = io.BytesIO((VALID / "default_24x16.ddc").read_bytes())
    assert Image.open(file).size == (24, 16) and file.tell() == 30


def test_metadata_goes_both_ways(data, tmp_path):
    image = opened(data)
    assert levels_apart(image.info["icc_profile"], PROFILE) <= 1
    assert image.info == {"icc_profile": image.info["icc_profile"], "exif": exif_of().tobytes(), "xmp": XMP}
    assert dict(image.getexif()) == {271: "a camera"}
    image.save(tmp_path / "again.ddc", iterations=1, icc_profile=None, xmp=b"<other/>")
    assert Image.open(tmp_path / "again.ddc").info == {"exif": exif_of().tobytes(), "xmp": b"<other/>"}
    image.save(tmp_path / "photo.jpg", exif=image.info["exif"])
    assert dict(Image.open(tmp_path / "photo.jpg").getexif()) == {271: "a camera"}
    assert Image.open(VALID / "note.ddc").info["note"] == b"abc"


@pytest.mark.parametrize("by_keyword", [True, False])
def test_orientation_is_applied_to_the_pixels(tmp_path, monkeypatch, by_keyword):
    seen = []
    monkeypatch.setattr(
        ddcodec.pillow,
        "encode_picture",
        lambda samples, *_, metadata, **__: (
            seen.append((samples, metadata)) or encoder.Encoded(b"-", samples, 0, 1, 0, "cpu", 0)
        ),
    )
    upright, exif = painted(20, 28), exif_of(6).tobytes()
    image = Image.fromarray(np.rot90(upright))
    if not by_keyword:
        image.info["exif"] = exif
    image.save(tmp_path / "a.ddc", **{"exif": exif} if by_keyword else {})
    assert (seen[0][0] == upright).all()
    assert seen[0][1]["exif"] == exif_of(1).tobytes()[6:]


def test_a_keyword_says_more_than_the_image(tmp_path, monkeypatch):
    """Whoever has turned the pixels hands over an EXIF that says so; what the image still knows is of no account."""
    seen = []
    monkeypatch.setattr(
        ddcodec.pillow,
        "encode_picture",
        lambda samples, *_, **__: seen.append(samples) or encoder.Encoded(b"-", samples, 0, 1, 0, "cpu", 0),
    )
    image = Image.fromarray(painted(20, 28))
    image.info["exif"] = exif_of(6).tobytes()
    image.save(tmp_path / "a.ddc", exif=exif_of(1))
    assert (seen[0] == painted(20, 28)).all() and image.info["exif"] == exif_of(6).tobytes()


def test_options_reach_the_encoder(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        ddcodec.pillow,
        "encode_picture",
        lambda samples, options, *_, **__: seen.append(options) or encoder.Encoded(b"-", samples, 0, 1, 0, "cpu", 0),
    )
    picture = Image.fromarray(painted(20, 28))
    wished = dict(
        lambda_=0.01,
        effort=3,
        iterations=7,
        time_limit=90,
        profile="classic",
        base="none",
        device="cpu",
        threads=2,
        seed=9,
    )
    picture.save(tmp_path / "a.ddc", optimize=True, subsampling=0, **wished)
    for rate in ({"quality": 50}, {"target_size": 3000}, {"target_bpp": 0.5}, {"target_psnr": 33.0}):
        picture.save(tmp_path / "a.ddc", **rate)
        assert seen[-1] == encoder.EncodeOptions(**rate)
    assert seen[0] == encoder.EncodeOptions(**wished)


@pytest.mark.parametrize(
    "wanted, scale",
    [((64, 64), 1), ((33, 32), 1), ((32, 32), 2), ((30, 9), 2), ((16, 16), 4), ((8, 8), 8), ((1, 1), 8)],
)
def test_draft(wanted, scale):
    coded = (VALID / "64x64.ddc").read_bytes()
    image = opened(coded)
    assert image.draft(None, wanted) == ("RGB", (0, 0, 64 / scale, 64 / scale))
    assert image.size == (64 // scale, 64 // scale)
    assert (np.asarray(image) == ddcodec.decode(coded, scale=scale)).all()
    assert image.draft(None, (1, 1)) is None


def test_draft_of_odd_sizes_and_few_octaves():
    odd, small = opened((VALID / "33x33.ddc").read_bytes()), opened((VALID / "2x2.ddc").read_bytes())
    assert odd.draft(None, (8, 8)) == ("RGB", (0, 0, 33 / 4, 33 / 4)) and odd.size == (9, 9)
    small.draft(None, (0.1, 0.1))
    assert small.size == (1, 1) and small.load()


def test_thumbnail_decodes_no_more_than_it_needs(monkeypatch):
    asked = []
    whole = decoder.decode_file
    monkeypatch.setattr(
        ddcodec.pillow,
        "decode_file",
        lambda data, scale, **rest: asked.append(scale) or whole(data, scale=scale, **rest),
    )
    image = opened((VALID / "64x64.ddc").read_bytes())
    image.thumbnail((16, 16))
    assert image.size == (16, 16) and asked == [2]


def test_copies_and_pickles(data):
    for again in copy(opened(data)), opened(data).copy(), pickle.loads(pickle.dumps(opened(data))):
        assert (np.asarray(again) == ddcodec.decode(data)).all() and again.info["xmp"] == XMP


def test_a_single_frame(data):
    image = opened(data)
    image.seek(0)
    assert image.tell() == 0
    with pytest.raises(EOFError):
        image.seek(1)


def test_the_incremental_parser_waits_for_the_whole_file(data):
    parser = ImageFile.Parser()
    parser.feed(data[:20])
    assert parser.image is None
    parser.feed(data[20:60])
    assert parser.image.size == (28, 20)
    parser.feed(data[60:])
    assert (np.asarray(parser.close()) == ddcodec.decode(data)).all()


def test_what_is_no_ddc_file_is_not_identified(data):
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(b"\xddDDD" + bytes(60)))
    for broken in data[:20], data[:10] + bytes([data[10] ^ 1]) + data[11:]:
        with pytest.raises(UnidentifiedImageError):
            opened(broken)


def test_a_newer_version_is_named(data):
    with pytest.raises(OSError, match="The file has format version 200; this decoder reads version"):
        opened(data[:4] + bytes([200]) + data[5:])


def test_a_damaged_body_is_told_when_pixels_are_needed(data):
    there = f"The file is cut off: {len(data) - 5:,} of {len(data):,} bytes are there"
    for broken, sentence in (
        (data[:-1] + bytes([data[-1] ^ 1]), "The file is damaged: the checksum"),
        (data[:-5], there),
    ):
        image = opened(broken)
        assert image.size == (28, 20)
        for _ in range(2):
            with pytest.raises(OSError, match=sentence):
                image.load()
        with pytest.raises(OSError, match=sentence):
            opened(broken).verify()
    opened(data).verify()


def test_a_body_that_only_its_checksum_calls_whole(data):
    with pytest.raises(OSError, match="A chunk has the id 0."):
        opened(with_other_body(data, bytes(10))).load()


def test_limits(data, monkeypatch):
    monkeypatch.setattr(ddcodec.pillow, "LIMITS", decoder.Limits(max_pixels=500))
    with pytest.raises(OSError, match="28x20 = 560 pixels, above the limit of 500"):
        opened(data).load()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    with pytest.raises(Image.DecompressionBombError):
        opened(data)


@pytest.mark.parametrize(
    "mode, said", [("LAB", "is a Lab picture"), ("F", "is a floating-point picture"), ("HSV", "is a HSV picture")]
)
def test_modes_that_are_not_taken_leave_nothing(tmp_path, mode, said):
    with pytest.raises(OSError, match=said):
        Image.new(mode, (4, 4)).save(tmp_path / "a.ddc")
    assert not list(tmp_path.iterdir())


def test_a_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise TargetError("The file cannot be so small.")

    monkeypatch.setattr(ddcodec.pillow, "encode_picture", fail)
    picture, file = Image.fromarray(painted(20, 28)), io.BytesIO()
    with pytest.raises(OSError, match="cannot be so small"):
        picture.save(tmp_path / "a.ddc", target_size=1)
    with pytest.raises(OSError, match="cannot be so small"):
        picture.save(file, "DDC", target_size=1)
    assert not list(tmp_path.iterdir()) and not file.getvalue()


def test_options_out_of_range(tmp_path):
    with pytest.raises(ValueError, match="The quality must be between 1 and 100, not 101."):
        Image.fromarray(painted(20, 28)).save(tmp_path / "a.ddc", quality=101)
    assert not list(tmp_path.iterdir())


def test_saving_over_the_file_that_is_open(data, tmp_path):
    (tmp_path / "a.ddc").write_bytes(data)
    image = Image.open(tmp_path / "a.ddc")
    image.save(tmp_path / "a.ddc", iterations=1)
    assert Image.open(tmp_path / "a.ddc").size == (28, 20)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_modes_come_back(mode, tmp_path):
    """Alpha to the bit; the mode is known before anything is decoded."""
    picture = Image.fromarray(painted(20, 28)).convert("RGBA")
    picture.putalpha(Image.fromarray(np.tile(np.arange(0, 252, 9, dtype=np.uint8), (20, 1))))
    image = (
        Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 200)
        if mode == "I;16"
        else picture.convert(mode)
    )
    image.save(tmp_path / "x.ddc", iterations=1)
    with Image.open(tmp_path / "x.ddc") as again:
        assert again.mode == mode and again.size == image.size
        decoded = np.asarray(again)
        assert (decoded == ddcodec.decode((tmp_path / "x.ddc").read_bytes())).all() and decoded.dtype == np.asarray(
            image
        ).dtype
        if "A" in mode:
            assert (decoded[..., -1] == np.asarray(image)[..., -1]).all()


def test_16_bit_colour_opens_at_8(tmp_path):
    data = (VALID / "deep.ddc").read_bytes()
    with opened(data) as image:
        assert image.mode == "RGB" and (np.asarray(image) == np.rint(ddcodec.decode(data) / 257)).all()

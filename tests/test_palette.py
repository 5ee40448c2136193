"""Pictures of one colour, and small ones of few: no size may be too small for the colours to be right."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import witness
from PIL import Image

import ddcodec
from ddcodec.encoder import encode_picture
from ddcodec.metrics import psnr
from ddcodec.options import EncodeOptions
from ddcodec.presets import lambda_of_quality

SAMPLE = Path(__file__).parent.parent / "samples" / "astronaut.png"
COLOURS = [
    (255, 255, 255),
    (0, 0, 0),
    (20, 200, 90),
    (200, 10, 250),
    (255, 0, 0),
    (1, 2, 3),
    (128, 128, 128),
    (254, 77, 13),
]
SIZES = [(1, 1), (1, 2), (2, 5), (3, 3), (8, 8), (16, 16), (1, 300), (33, 1), (256, 256)]


def flat(height, width, colour, dtype=np.uint8):
    return np.full((height, width, *np.shape(colour)), colour, dtype)


def worst(picture, **options):
    """By how many levels the decoded picture is off at most."""
    return abs(ddcodec.decode(ddcodec.encode(picture, **options)).astype(int) - picture).max()


@pytest.mark.parametrize("size", SIZES)
def test_one_colour(size):
    for colour in COLOURS if max(size) <= 16 else COLOURS[2:4]:
        for options in ({"effort": 1}, {"effort": 5}):
            assert worst(flat(*size, colour), **options) <= 1
    for grey, quality in ((0, 50), (255, 75), (77, 95)):
        assert worst(flat(*size, grey), quality=quality) <= 1


def test_one_colour_of_16_bits():
    for colour in ((65535, 65535, 65535), (12345, 1, 40000), 65535, 300):
        assert worst(flat(2, 3, colour, np.uint16)) <= 4


@pytest.mark.parametrize(
    "size, count, kind, effort",
    [((5, 3), 2, np.uint8, 1), ((16, 16), 8, np.uint8, 1), ((5, 3), 5, np.uint16, 1), ((16, 16), 3, np.uint8, 5)],
)
def test_few_colours(size, count, kind, effort):
    """A fit competes with them; whichever wins must show the colours."""
    random = np.random.default_rng(size[0])
    planes = (3,) if kind == np.uint8 else ()
    colours = random.integers(0, np.iinfo(kind).max + 1, (count, *planes), dtype=kind)
    picture = colours[random.integers(0, count, size)]
    assert psnr(picture, ddcodec.decode(ddcodec.encode(picture, effort=effort, threads=1))) >= 40


def test_colours_of_what_is_seen():
    """Those of transparent pixels are no colours, unless they are to be kept."""
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    picture[2:5, 3:] = (20, 200, 90, 128)
    picture[..., 3] *= picture[..., 3] == 128
    seen = picture[..., 3] > 0
    picture[seen] = (20, 200, 90, 128)
    again = ddcodec.decode(ddcodec.encode(picture))
    assert (again[seen] == picture[seen]).all() and (again[..., 3] == picture[..., 3]).all()
    exact = ddcodec.decode(ddcodec.encode(picture, exact=True, effort=1))
    assert len(np.unique(exact[~seen], axis=0)) > 8


def test_another_decoder_reads_them():
    random = np.random.default_rng(5)
    for picture in (
        flat(3, 2, (20, 200, 90)),
        random.integers(0, 256, (8, 3), dtype=np.uint8)[random.integers(0, 8, (6, 7))],
    ):
        data = ddcodec.encode(picture, iterations=1)
        assert np.frombuffer(witness.decode(data).samples, np.uint8).reshape(picture.shape).tolist() == picture.tolist()


def test_smaller_pictures_of_one_colour():
    data = ddcodec.encode(flat(20, 9, (20, 200, 90)))
    for scale in (2, 4, 8):
        assert (ddcodec.decode(data, scale=scale) == (20, 200, 90)).all()


def test_a_fit_that_is_better_is_taken():
    """Two colours that are next to one another, in a large part of a small picture: telling them apart takes more bits
    than it is worth.
    """
    picture = np.random.default_rng(1).integers(100, 102, (32, 32), dtype=np.uint8)
    encoded = encode_picture(picture, EncodeOptions(quality=1, iterations=20, threads=1))
    assert encoded.steps == 20 and len(encoded.data) < 32 * 32 / 8


def test_targets_of_one_colour():
    said = []
    picture = flat(40, 50, (20, 200, 90))
    assert (encode_picture(picture, EncodeOptions(target_psnr=30), say=said.append).samples == picture).all()
    assert said == ["Note: the picture has a PSNR of inf dB where 30 dB were asked for; nothing nearer was found."]
    assert len(ddcodec.encode(picture, target_size=90)) <= 90


def test_targets_of_few_colours():
    """What is exact without a fit reaches any target that it fits into."""
    for size in ((1, 2), (16, 16)):
        picture = np.array([(250, 3, 9), (20, 200, 90)], np.uint8)[np.random.default_rng(2).integers(0, 2, size)]
        picture[0, 0], picture[0, 1] = (250, 3, 9), (20, 200, 90)
        for target in ({"target_psnr": 40}, {"target_size": 200}):
            data = ddcodec.encode(picture, effort=1, **target)
            assert len(data) <= 200 and (ddcodec.decode(data) == picture).all()


def test_classic_stays_classic():
    data = ddcodec.encode(flat(40, 40, 77), profile="classic", iterations=2)
    assert ddcodec.read_info(data)["profile"] == "classic"


def test_lambda_of_small_pictures():
    assert lambda_of_quality(75, 1024) == lambda_of_quality(75, 10**6) == lambda_of_quality(75)
    assert lambda_of_quality(75, 64) == pytest.approx(lambda_of_quality(75) / 16)


@pytest.mark.parametrize("side", [6, 12])
def test_small_photographs_are_as_good_as_jpegs(side):
    """Which is what a quality promises."""
    photo = np.asarray(Image.open(SAMPLE).convert("RGB"))[100 : 100 + side, 200 : 200 + side]
    buffer = BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=75)
    jpeg = psnr(photo, np.asarray(Image.open(buffer)))
    assert psnr(photo, ddcodec.decode(ddcodec.encode(photo, effort=3, threads=1))) > jpeg - 1

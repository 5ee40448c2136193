"""Rate control: what a file is asked to be it is, and what cannot be is refused."""

import numpy as np
import pytest
from PIL import Image

import ddcodec
from conftest import painted
from ddcodec.encoder import EncodeOptions, encode_picture
from ddcodec.errors import TargetError, UsageError
from ddcodec.metrics import psnr


@pytest.fixture(scope="module")
def picture():
    """Texture that grows from left to right, so that every rate has something to say."""
    random = np.random.default_rng(3)
    texture = random.normal(0, 1, (96, 128, 1)).repeat(3, axis=2) * np.linspace(0, 24, 128)[None, :, None]
    return (painted(96, 128).astype(float) + texture).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [900, 1800, 3500])
def test_a_file_fills_the_size_it_may_have(picture, size):
    data = encode_picture(picture, EncodeOptions(target_size=size, iterations=150)).data
    assert 0.97 * size <= len(data) <= size


def test_bits_per_pixel(picture):
    data = encode_picture(picture, EncodeOptions(target_bpp=1.5, iterations=150)).data
    assert 0.97 * 1.5 <= 8 * len(data) / picture[..., 0].size <= 1.5


@pytest.mark.parametrize("wished", [28.5, 32.0])
def test_a_picture_has_the_psnr_it_should(picture, wished):
    data = ddcodec.encode(picture, target_psnr=wished, iterations=150)
    assert wished <= psnr(picture, ddcodec.decode(data)) <= wished + 0.1


def test_from_a_start_without_a_base(picture):
    data = encode_picture(picture, EncodeOptions(target_size=2500, iterations=200, base="none")).data
    assert 0.97 * 2500 <= len(data) <= 2500


def test_metadata_counts(picture):
    image = Image.fromarray(picture)
    exif = Image.Exif()
    exif[0x010E] = "A word about it. " * 20
    image.info["exif"] = exif.tobytes()
    assert 0.97 * 2200 <= len(ddcodec.encode(image, target_size=2200, iterations=150)) <= 2200


@pytest.mark.parametrize("target, said", [({"target_size": 60}, "cannot be made to fit into 60 bytes"), ({"target_psnr": 90.0}, "PSNR of 90 dB cannot be reached")])
def test_what_cannot_be_is_refused(picture, target, said):
    with pytest.raises(TargetError, match=said):
        ddcodec.encode(picture, iterations=60, **target)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"quality": 50, "target_size": 900}, "either a quality or a target size"),
        ({"target_bpp": 0.5, "target_psnr": 30.0}, "either a target bpp or a target PSNR"),
        ({"target_bpp": 0.0}, "target bpp must be above 0"),
        ({"target_psnr": float("inf")}, "target PSNR must be above 0"),
        ({"target_size": 900, "profile": "classic"}, "cannot be steered"),
        ({"base": "photo"}, "There is no base photo"),
    ],
)
def test_options_that_cannot_be_meant(picture, options, said):
    with pytest.raises(UsageError, match=said):
        ddcodec.encode(picture, iterations=2, **options)

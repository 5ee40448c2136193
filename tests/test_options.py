"""What options may be: any number where a number is wanted, and one sentence for all else."""

from decimal import Decimal
from io import BytesIO

import numpy as np
import pytest
from conftest import painted
from PIL import Image

import ddcodec
from ddcodec.errors import SourceError, UsageError
from ddcodec.options import EncodeOptions
from ddcodec.restoration.options import RestoreOptions

PICTURE = painted(17, 16)
DATA = ddcodec.encode(PICTURE, iterations=1)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"quality": "75"}, "The option quality must be a number, not '75'."),
        ({"quality": float("nan")}, "The quality must be between 1 and 100, not nan."),
        ({"quality": True}, "The option quality must be a number, not True."),
        ({"quality": np.bool_(True)}, "The option quality must be a number, not "),
        ({"quality": 10**400}, "The option quality must be a number, not 1000"),
        ({"quality": [75, 80]}, "The option quality must be a number, not [75, 80]."),
        ({"quality": 75 + 0j}, "The option quality must be a number, not (75+0j)."),
        ({"time_limit": np.float32("nan")}, "The time limit must be above 0 seconds, not nan."),
        ({"lambda_": "1e-3"}, "The option lambda_ must be a number, not '1e-3'."),
        ({"target_size": "30k"}, "The option target_size must be a whole number, not '30k'."),
        ({"target_size": 300.5}, "The option target_size must be a whole number, not 300.5."),
        ({"target_psnr": np.nan}, "The target PSNR must be above 0 and at most 1,000,000,000,000, not nan."),
        ({"target_bpp": float("inf")}, "The target bpp must be above 0 and at most"),
        ({"effort": True}, "The option effort must be a whole number, not True."),
        ({"effort": 2.5}, "The option effort must be a whole number, not 2.5."),
        ({"effort": None}, "The option effort must be a whole number, not None."),
        ({"iterations": float("inf")}, "The option iterations must be a whole number, not inf."),
        ({"time_limit": "90s"}, "The option time_limit must be a number, not '90s'."),
        ({"alpha_quality": None}, "The option alpha_quality must be a whole number, not None."),
        ({"exact": "no"}, "The option exact must be True or False, not 'no'."),
        ({"profile": None}, "The option profile must be a text, not None."),
        ({"base": 0}, "The option base must be a text, not 0."),
        ({"device": None}, "The option device must be a text, not None."),
        ({"threads": 1.5}, "The option threads must be a whole number, not 1.5."),
        ({"seed": "7"}, "The option seed must be a whole number, not '7'."),
        ({"seed": -1}, "The seed must be between 0 and"),
        ({"max_memory": "4G"}, "The option max_memory must be a whole number, not '4G'."),
        ({"max_memory": -1}, "The memory limit must be 0, for none, or more, not -1."),
    ],
)
def test_one_sentence(options, said):
    image = Image.fromarray(PICTURE)
    ddcodec.register_pillow()
    calls = [
        (UsageError, lambda: ddcodec.encode(PICTURE, **options)),
        (ValueError, lambda: image.save(BytesIO(), "DDC", **options)),
    ]
    if not isinstance(options.get("quality"), list):
        calls.append((UsageError, lambda: ddcodec.encode_many([PICTURE], **options)))
    if options.keys() & {"effort", "iterations", "time_limit", "device", "threads", "seed"}:
        calls.append((UsageError, lambda: ddcodec.restore(PICTURE, **options)))
    for kind, call in calls:
        with pytest.raises(kind) as error:
            call()
        assert said in str(error.value)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"scale": "2", "task": "superres"}, "The option scale must be a whole number, not '2'."),
        ({"sigma": "auto"}, "The option sigma must be a number, not 'auto'."),
        ({"sigma": float("nan")}, "The sigma must be between 0 and 255, not nan."),
        ({"dilate": 1.5}, "The option dilate must be a whole number, not 1.5."),
        ({"feather": None}, "The option feather must be a whole number, not None."),
        ({"variation": "0"}, "The option variation must be a number, not '0'."),
        ({"task": None}, "The option task must be a text, not None."),
        ({"prior": 1}, "The option prior must be a text, not 1."),
    ],
)
def test_one_sentence_of_restore(options, said):
    with pytest.raises(UsageError) as error:
        ddcodec.restore(PICTURE, **options)
    assert str(error.value) == said


@pytest.mark.parametrize(
    "options, said",
    [
        ({"scale": "2"}, "The option scale must be a whole number, not '2'."),
        ({"scale": None}, "The option scale must be a whole number, not None."),
        ({"scale": 1.5}, "The option scale must be a whole number, not 1.5."),
        ({"scale": 3}, "The scale must be 1, 1/2, 1/4 or 1/8, not 1/3."),
        ({"scale": 0}, "The scale must be 1, 1/2, 1/4 or 1/8, not 1/0."),
        ({"max_pixels": "many"}, "The option max_pixels must be a whole number, not 'many'."),
        ({"max_pixels": None}, "The option max_pixels must be a whole number, not None."),
        ({"max_pixels": -1}, "Limits of a decode must be 0, for none, or more."),
        ({"max_memory": float("nan")}, "The option max_memory must be a whole number, not nan."),
    ],
)
def test_one_sentence_of_decode(options, said):
    with pytest.raises(UsageError) as error:
        ddcodec.decode(DATA, **options)
    assert str(error.value) == said


def test_numbers_of_any_kind_are_numbers():
    wished = EncodeOptions(
        quality=np.float32(75),
        effort=np.int8(3),
        iterations=2.0,
        time_limit=Decimal("1.5"),
        alpha_quality=np.array(90),
        exact=np.bool_(True),
        threads=np.uint16(2),
        seed=np.int64(7),
    )
    assert wished == EncodeOptions(
        quality=75.0, effort=3, iterations=2, time_limit=1.5, alpha_quality=90, exact=True, threads=2, seed=7
    )
    assert all(type(value) in (int, float, bool, str, type(None)) for value in vars(wished).values())
    assert EncodeOptions(seed=2**60 + 1).seed == 2**60 + 1
    assert RestoreOptions(task="superres", scale=np.int64(2)).scale == 2
    first = ddcodec.encode(PICTURE, quality=75, iterations=2, seed=7, threads=1)
    assert (
        ddcodec.encode(PICTURE, quality=np.float64(75), iterations=2.0, seed=np.int64(7), threads=np.int32(1)) == first
    )
    assert ddcodec.encode_many([PICTURE], quality=np.array(75), iterations=2, seed=7, threads=1) == [first]
    assert ddcodec.encode_many([PICTURE], quality=np.array([75]), iterations=2, seed=7, threads=1) == [first]
    assert ddcodec.decode(DATA, scale=np.int64(2), max_pixels=1e9).shape == (9, 8, 3)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("how", ["closed", "verified", "loaded, then closed", "of a closed file"])
def test_pillow_images_that_are_gone(format, how):
    buffer = BytesIO()
    Image.fromarray(PICTURE).save(buffer, format)
    file = BytesIO(buffer.getvalue())
    image = Image.open(file)
    if how == "of a closed file":
        file.close()
    elif how == "verified":
        image.verify()
    else:
        if how.startswith("loaded"):
            image.load()
        image.close()
    if format == "WEBP" and how in ("verified", "of a closed file"):
        # It has been read into memory.
        assert ddcodec.encode(image, iterations=1)
        return
    for call in (ddcodec.encode, lambda image: ddcodec.encode_many([image]), ddcodec.restore):
        with pytest.raises(SourceError, match="cannot be read any more: it or its file was closed, or verify"):
            call(image)

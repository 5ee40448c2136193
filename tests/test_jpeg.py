"""What a JPEG says of its picture, against the pictures that were coded by libjpeg."""

import io

import numpy as np
import pytest
from PIL import Image
from test_restore import photograph

from ddcodec.errors import SourceError, UsageError
from ddcodec.metrics import psnr
from ddcodec.pictures.jpeg import components_of, decoded, jpeg_that_made
from ddcodec.restoration.jpeg import intervals_of
from ddcodec.restoration.options import RestoreOptions
from ddcodec.restoration.restore import restore_picture

CLEAN = photograph(rows=slice(96, 224), columns=slice(200, 328))
KINDS = {
    "4:2:0": {"quality": 10},
    "4:2:2": {"quality": 30, "subsampling": 1},
    "4:4:4": {"quality": 20, "subsampling": 0},
    "progressive": {"quality": 25, "progressive": True},
    "grey": {"quality": 15},
}


def made(clean, **options):
    buffer = io.BytesIO()
    Image.fromarray(clean).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def moved(intervals, picture):
    """How far the nearest picture is from one, in levels, root of the mean square; and that picture."""
    planes = picture.astype(np.float32).reshape(*picture.shape[:2], -1)
    nearest = intervals.nearest(planes)
    assert nearest.dtype == np.float32 and nearest.shape == planes.shape
    return np.sqrt(np.square(nearest - planes).mean()), nearest.reshape(picture.shape)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_coded_is_explained(kind):
    """The picture that was coded and that which is decoded lie in the intervals; a blurred one, and noise, do not."""
    clean = CLEAN if kind != "grey" else CLEAN[..., 1]
    file = made(clean, **KINDS[kind])
    intervals = intervals_of(file, decoded(file), 0.5)
    # Coding rounds luma and chroma, and decoding rounds and clips the three colours.
    assert moved(intervals, clean)[0] < 0.15
    assert moved(intervals, decoded(file))[0] < 0.3
    for other in (np.roll(clean, 3, 0), np.random.default_rng(1).integers(0, 256, clean.shape)):
        distance, nearest = moved(intervals, other)
        assert distance > 3
        # The nearest picture of a convex set is nearer to each picture of the set, and its own nearest one.
        assert np.square(nearest - clean).mean() < np.square(other.astype(float) - clean).mean()
        if kind in ("grey", "4:4:4"):
            assert moved(intervals, nearest)[0] < 1e-3


def test_blocks_that_an_edge_cuts_stay_as_they_are_decoded():
    clean = CLEAN[:61, :75]
    file = made(clean, quality=10, subsampling=0)
    _, nearest = moved(intervals_of(file, decoded(file), 0.5), clean)
    whole = np.s_[:56, :72]
    assert np.abs(nearest[whole] - clean[whole]).max() < 1
    cut = nearest[56:].clip(0, 255)
    assert abs(cut - decoded(file)[56:]).max() < 2 < abs(cut - clean[56:]).max()


@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
def test_a_turned_jpeg(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    file = made(CLEAN[:96], quality=10, exif=exif)
    upright = {
        3: lambda rows: rows[::-1, ::-1],
        5: lambda rows: rows.swapaxes(0, 1),
        6: lambda rows: np.rot90(rows, -1),
        8: np.rot90,
    }[orientation]
    assert moved(intervals_of(file, upright(decoded(file)), 0.5), upright(CLEAN[:96]))[0] < 0.15


def test_what_no_intervals_are_known_of():
    file = made(CLEAN, quality=10)
    assert intervals_of(file, CLEAN[..., 0]) is None and intervals_of(file, np.roll(CLEAN, 9, 0)) is None
    buffer = io.BytesIO()
    Image.fromarray(CLEAN).convert("CMYK").save(buffer, "JPEG")
    assert components_of(buffer.getvalue()) is None
    buffer = io.BytesIO()
    Image.fromarray(CLEAN).save(buffer, "PNG")
    with pytest.raises(SourceError, match="no JPEG"):
        components_of(buffer.getvalue())


@pytest.mark.parametrize("options", [{"quality": 10}, {"quality": 60}, {"quality": 85, "subsampling": 0}])
def test_the_jpeg_behind_other_files_is_found(options):
    file = made(CLEAN, **options)
    found = jpeg_that_made(decoded(file))
    assert Image.open(io.BytesIO(found)).quantization == Image.open(io.BytesIO(file)).quantization
    assert abs(decoded(found).astype(int) - decoded(file)).mean() < 0.3
    grey = made(CLEAN[..., 1], quality=options["quality"])
    assert (
        Image.open(io.BytesIO(jpeg_that_made(decoded(grey)))).quantization == Image.open(io.BytesIO(grey)).quantization
    )


def test_no_jpeg_is_found_behind_a_photograph():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for picture in (CLEAN, CLEAN[..., 0], noise, np.full((32, 32), 7, np.uint8)):
        assert jpeg_that_made(picture) is None


def test_a_jpeg_is_mended():
    """The same from the file, and from the pixels alone."""
    file = made(CLEAN, quality=10)
    given = decoded(file)
    options = RestoreOptions(task="dejpeg", effort=2)
    results = [restore_picture(given, options, file=each).samples for each in (file, None)]
    assert psnr(CLEAN, results[0]) > psnr(CLEAN, given) + 0.7
    assert abs(psnr(CLEAN, results[0]) - psnr(CLEAN, results[1])) < 0.1
    with pytest.raises(UsageError, match="give --sigma"):
        restore_picture(CLEAN, options)

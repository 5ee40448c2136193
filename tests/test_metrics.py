"""The measures against their definitions, scikit-image, pytorch-msssim, psnr-hvsm and published properties."""

import io
import math
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import pytorch_msssim
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ddcodec.metrics import butteraugli, ms_ssim, psnr, psnr_hvs_m, ssimulacra2
from ddcodec.metrics.butteraugli import BUTTERAUGLI
from ddcodec.metrics.ms_ssim import MS_SSIM_SIDE_MIN, SCALE_WEIGHTS, ssim
from ddcodec.metrics.psnr import psnr_luma
from ddcodec.metrics.ssimulacra2 import BLUR

SAMPLES = Path(__file__).parents[1] / "samples"


def textures(height, width, channels):
    """A busy picture and a distorted one, the same everywhere."""
    y, x, k = np.mgrid[:height, :width, :channels]
    a = (x * x + 3 * y * y + x * y + 40 * k * x) // 97 % 256
    b = np.clip(a + (7 * x + 5 * y * (k + 1)) % 41 - 20 + (a - 128) // 9, 0, 255)
    return a.astype(np.uint8), b.astype(np.uint8)


def test_psnr_by_hand():
    a = np.array([[0, 255], [10, 20]], np.uint8)
    b = np.array([[255, 255], [10, 20]], np.uint8)
    assert psnr(a, b) == pytest.approx(10 * math.log10(4))
    assert psnr(a, b) == psnr(b, a)
    assert psnr(a, a) == math.inf


@pytest.mark.parametrize("shape", [(600, 7), (257, 5, 3)])
def test_psnr_against_scikit_image(shape):
    a, b = np.random.default_rng(3).integers(0, 256, (2, *shape), dtype=np.uint8)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), rel=1e-12)


def test_ssim_against_scikit_image():
    a, b = (channel[:, :, 0].astype(float) for channel in textures(48, 37, 1))
    _, places = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )
    assert ssim(a, b)[0] == pytest.approx(places[5:-5, 5:-5].mean(), abs=1e-10)


def test_ms_ssim_against_the_definition():
    """The paper's formulas, one window at a time, with variances as means of squared deviations."""
    a, b = textures(161, 164, 1)
    assert ms_ssim(a, b) == pytest.approx(
        ms_ssim_by_windows(a[:, :, 0].astype(float), b[:, :, 0].astype(float)), abs=1e-10
    )


def ms_ssim_by_windows(a, b):
    gauss = np.array([[math.exp(-((y - 5) ** 2 + (x - 5) ** 2) / 4.5) for x in range(11)] for y in range(11)])
    gauss /= gauss.sum()
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        luminances, structures = [], []
        for y in range(a.shape[0] - 10):
            windows = [np.lib.stride_tricks.sliding_window_view(p[y : y + 11], (11, 11))[0] for p in (a, b)]
            means = [(w * gauss).sum((1, 2)) for w in windows]
            deviations = [w - m[:, None, None] for w, m in zip(windows, means)]
            variances = [(d * d * gauss).sum((1, 2)) for d in deviations]
            covariance = (deviations[0] * deviations[1] * gauss).sum((1, 2))
            luminances.append((2 * means[0] * means[1] + 2.55**2) / (means[0] ** 2 + means[1] ** 2 + 2.55**2))
            structures.append((2 * covariance + 7.65**2) / (variances[0] + variances[1] + 7.65**2))
        structure = np.array(structures)
        last = scale == len(SCALE_WEIGHTS) - 1
        product *= (structure * np.array(luminances) if last else structure).mean() ** weight
        a, b = halved(a), halved(b)
    return product


def halved(plane):
    """Each output is the mean of four inputs, from the one before an odd side's first; outside are zeros."""
    rows, columns = plane.shape
    at = lambda y, x: plane[y, x] if 0 <= y < rows and 0 <= x < columns else 0.0
    return np.array(
        [
            [
                sum(at(y + i, x + j) for i in (0, 1) for j in (0, 1)) / 4
                for x in range(-(columns % 2), columns - columns % 2, 2)
            ]
            for y in range(-(rows % 2), rows - rows % 2, 2)
        ]
    )


@pytest.mark.parametrize("shape", [(161, 161, 1), (176, 176, 3), (163, 201, 3), (190, 166, 1), (321, 333, 3)])
def test_ms_ssim_against_pytorch_msssim(shape):
    a, b = textures(*shape)
    assert ms_ssim(a, b) == pytest.approx(by_pytorch(a, b), abs=1e-6)


@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"])
@pytest.mark.parametrize("quality", [3, 20, 85])
def test_ms_ssim_of_photographs_against_pytorch_msssim(name, quality):
    photo = Image.open(SAMPLES / name)
    file = io.BytesIO()
    photo.save(file, "WEBP", quality=quality)
    a, b = np.asarray(photo), np.asarray(Image.open(file))
    assert ms_ssim(a, b) == pytest.approx(by_pytorch(a, b), abs=1e-4)


def by_pytorch(a, b):
    a, b = (torch.from_numpy(picture.astype(np.float64).transpose(2, 0, 1)[None]) for picture in (a, b))
    return float(pytorch_msssim.ms_ssim(a, b, data_range=255))


def test_ms_ssim_limits():
    a, b = textures(MS_SSIM_SIDE_MIN, MS_SSIM_SIDE_MIN, 1)
    assert ms_ssim(a, a) == pytest.approx(1)
    assert ms_ssim(a, 255 - a) == 0
    assert ms_ssim(a[:, :, 0], b[:, :, 0]) == ms_ssim(a, b)
    assert ms_ssim(a[1:], b[1:]) is None
    assert ms_ssim(a[:, 1:], b[:, 1:]) is None


def test_psnr_of_luma():
    """Pillow's own conversion (BT.601) differs by its rounding only."""
    a, b = np.random.default_rng(5).integers(0, 256, (2, 300, 40, 3), dtype=np.uint8)
    luma = [np.asarray(Image.fromarray(picture).convert("L")) for picture in (a, b)]
    assert psnr_luma(a, b) == pytest.approx(peak_signal_noise_ratio(*luma, data_range=255), abs=0.01)
    grey_error = a.copy()
    grey_error[7, 7] += np.uint8(1)
    assert psnr_luma(a, grey_error) == pytest.approx(10 * math.log10(255**2 * 300 * 40))
    assert psnr_luma(a, a) == math.inf
    assert psnr_luma(a[:, :, 0], b[:, :, 0]) == psnr(a[:, :, 0], b[:, :, 0])


def test_ssimulacra2():
    """100 for equal pictures; about 90 is said to be visually lossless, 30 low quality (libjxl's tools/ssimulacra2)."""
    photo = Image.open(SAMPLES / "astronaut.png").crop((100, 100, 356, 292))
    pixels = np.asarray(photo)
    scores = [ssimulacra2(pixels, coded) for coded in jpegs(photo, 5, 30, 75, 95)]
    assert scores == sorted(scores) and scores[0] < 30 < scores[1] < 90 and 80 < scores[3] < 95
    assert ssimulacra2(pixels, pixels) == 100
    grey = np.asarray(photo.convert("L"))
    assert ssimulacra2(grey, grey // 2) < 50
    assert ssimulacra2(grey[:7], grey[:7]) is None
    assert ssimulacra2(grey.astype(np.uint16) * 257, grey // 2) == ssimulacra2(grey, grey // 2)


def plain(side, level):
    return np.full((side, side, 3), level, np.uint8)


def grey(values):
    return np.repeat(np.broadcast_to(values, (64, 64)).astype(np.uint8)[..., None], 3, 2)


def noise(seed, side=64):
    """The numbers of Knuth's MMIX, by their high halves."""
    values = np.empty(side * side * 3, np.uint8)
    for place in range(values.size):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        values[place] = seed >> 33 & 255
    return values.reshape(side, side, 3)


def means(picture):
    """Means over 8x8 from four pixels before to three behind, borders repeated."""
    places = np.clip(np.arange(64)[:, None] + np.arange(-4, 4), 0, 63)
    return (picture.astype(int)[places][:, :, places].sum((1, 3)) // 64).astype(np.uint8)


RAMP, STEP = grey(np.arange(64) * 255 // 63), grey(np.arange(64) // 32 * 255)


@pytest.mark.parametrize(
    "original, distorted, expected",
    [
        (RAMP, plain(64, 128), -64.56872148),
        (noise(42), plain(64, 128), -47.33572558),
        (STEP, means(STEP), 24.27333552),
        (RAMP, means(RAMP), 94.34090315),
        (plain(64, 128), plain(64, 178), -8.75942256),
        (plain(128, 128), plain(128, 138), 77.84296299),
        (plain(128, 128), plain(128, 148), 54.27883917),
        (plain(256, 128), plain(256, 148), 59.77892918),
        (plain(256, 128), plain(256, 178), -0.39085784),
    ],
)
def test_ssimulacra2_of_the_reference_program(original, distorted, expected):
    """Scores of libjxl 0.12.0's program (imazen/fast-ssim2, cpp_parity_synthetic_2026-08-31.tsv).

    Its blur has rounding errors, which matter where scores are high. Sides of 64 have five scales, of 128 six.
    """
    assert ssimulacra2(original, distorted) == pytest.approx(expected, abs=0.4 if expected > 90 else 0.1)


def test_the_blur_of_ssimulacra2():
    """A sum of cosines over 9 pixels whose mean is 1 and whose variance is that of sigma 1.5 (Charalampidis 2016)."""
    places = np.arange(-4, 5)
    taps = np.array([BLUR[abs(place)] for place in places])
    assert taps.sum() == pytest.approx(1, abs=1e-6) and taps @ places**2 == pytest.approx(1.5**2, abs=1e-3)
    cosines = np.cos(np.outer(places, np.arange(1, 6, 2) * np.pi / 10))
    assert np.allclose(cosines @ np.linalg.lstsq(cosines, taps, rcond=None)[0], taps, atol=1e-8)


def jpegs(photo, *qualities):
    for quality in qualities:
        file = io.BytesIO()
        photo.save(file, "JPEG", quality=quality, subsampling=0)
        yield np.asarray(Image.open(file))


@pytest.mark.parametrize("size", [(256, 320), (264, 8), (301, 77), (8, 15)])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_psnr_hvs_m_against_psnr_hvsm(size):
    """Whole blocks count, in strips. The package's samples are in 0..1."""
    package = pytest.importorskip("psnr_hvsm")
    rows, columns = size
    photo = Image.open(SAMPLES / "astronaut.png").crop((100, 40, 100 + columns, 40 + rows))
    whole = (slice(rows // 8 * 8), slice(columns // 8 * 8))
    for coded in jpegs(photo, 10, 60, 95):
        luma = [(np.asarray(each, float) @ [0.299, 0.587, 0.114] / 255)[whole] for each in (photo, coded)]
        assert psnr_hvs_m(np.asarray(photo), coded) == pytest.approx(float(package.psnr_hvs_hvsm(*luma)[1]), abs=1e-4)


def test_psnr_hvs_m_by_hand():
    """Nothing hides the error of a block's mean, whose cosine is 8 times the error. In grain it counts less."""
    plain = np.full((16, 24), 100, np.uint8)
    assert psnr_hvs_m(plain, plain + np.uint8(2)) == pytest.approx(20 * math.log10(255 / (2 * 25.73509 / 16)))
    assert psnr_hvs_m(plain, plain) == math.inf and psnr_hvs_m(plain[:7], plain[:7]) is None
    chessboard = (np.indices(plain.shape).sum(0) % 2).astype(np.uint8)
    grain = plain + 20 * chessboard
    assert (
        psnr_hvs_m(grain + np.uint8(9), grain + 18 * chessboard)
        > psnr_hvs_m(plain + np.uint8(9), plain + 18 * chessboard) + 3
    )
    deep = plain.astype(np.uint16) * 257
    assert psnr_hvs_m(deep, deep + np.uint16(514)) == pytest.approx(psnr_hvs_m(plain, plain + np.uint8(2)))


@pytest.mark.skipif(shutil.which(BUTTERAUGLI) is None, reason="libjxl's program is not installed")
def test_butteraugli():
    """0 for equal pictures; about 1 is said to be hardly visible (libjxl)."""
    photo = Image.open(SAMPLES / "astronaut.png").crop((100, 100, 356, 292))
    pixels = np.asarray(photo)
    distances = [butteraugli(pixels, coded) for coded in jpegs(photo, 5, 30, 75, 97)]
    assert distances == sorted(distances, reverse=True) and distances[0] > 3 > distances[2] and distances[3] < 0.7
    assert butteraugli(pixels, pixels) == 0
    assert butteraugli(pixels[:, :, 0], pixels[:, :, 0] // 2) > 3


@pytest.mark.skipif(sys.platform == "win32", reason="a program of one line for the shell")
def test_the_program_of_butteraugli(tmp_path, monkeypatch):
    """Without it, or where it fails, there is no number."""
    a, b = textures(20, 20, 3)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert butteraugli(a, b) is None
    program = tmp_path / BUTTERAUGLI
    for lines, expected in (("echo 7.5; echo '3-norm: 2.25'", 2.25), ("exit 1", None)):
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)
        assert butteraugli(a, b) == expected and butteraugli(a[:7], b[:7]) is None
    program.write_text("#!/bin/sh\necho '3-norm: 2.25'\n")
    assert butteraugli(a, b) == 2.25
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert butteraugli(a, b) is None

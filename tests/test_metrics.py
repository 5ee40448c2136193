"""PSNR, MS-SSIM and SSIMULACRA2 against their definitions, scikit-image, pytorch-msssim and published properties."""

import io
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import pytorch_msssim
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ddcodec.metrics import MS_SSIM_SIDE_MIN, SCALE_WEIGHTS, ms_ssim, psnr, psnr_luma, ssim, ssimulacra2

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
    scores = []
    for quality in (5, 30, 75, 95):
        file = io.BytesIO()
        photo.save(file, "JPEG", quality=quality, subsampling=0)
        scores.append(ssimulacra2(np.asarray(photo), np.asarray(Image.open(file))))
    assert scores == sorted(scores) and scores[0] < 30 < scores[1] < 90 and 80 < scores[3] < 95
    assert ssimulacra2(np.asarray(photo), np.asarray(photo)) == pytest.approx(100)
    grey = np.asarray(photo.convert("L"))
    assert ssimulacra2(grey, grey // 2) < 50
    assert ssimulacra2(grey[:7], grey[:7]) is None


def test_without_ssimulacra2(monkeypatch):
    monkeypatch.setitem(sys.modules, "ssimulacra2", None)
    a, b = textures(20, 20, 3)
    assert ssimulacra2(a, b) is None

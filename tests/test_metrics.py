"""PSNR and MS-SSIM against their definitions, against scikit-image, and against numbers of pytorch-msssim."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ddcodec.metrics import MS_SSIM_SIDE_MIN, SCALE_WEIGHTS, ms_ssim, psnr, ssim


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
    assert ms_ssim(a, b) == pytest.approx(ms_ssim_by_windows(a[:, :, 0].astype(float), b[:, :, 0].astype(float)), abs=1e-10)


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
    return np.array([
        [sum(at(y + i, x + j) for i in (0, 1) for j in (0, 1)) / 4 for x in range(-(columns % 2), columns - columns % 2, 2)]
        for y in range(-(rows % 2), rows - rows % 2, 2)
    ])  # fmt: skip


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((161, 161, 1), 0.9557700597084996),
        ((176, 176, 3), 0.9684693593355885),
        ((163, 201, 3), 0.9682263225608088),
        ((190, 166, 1), 0.9619258704904948),
        ((321, 333, 3), 0.9836566956973022),
    ],
)
def test_ms_ssim_against_pytorch_msssim(shape, expected):
    """The numbers are those of pytorch_msssim 1.0.0, ms_ssim(a, b, data_range=255), with float64 inputs; its window is float32."""
    a, b = textures(*shape)
    assert ms_ssim(a, b) == pytest.approx(expected, abs=1e-6)


def test_ms_ssim_limits():
    a, b = textures(MS_SSIM_SIDE_MIN, MS_SSIM_SIDE_MIN, 1)
    assert ms_ssim(a, a) == pytest.approx(1)
    assert ms_ssim(a, 255 - a) == 0
    assert ms_ssim(a[:, :, 0], b[:, :, 0]) == ms_ssim(a, b)
    assert ms_ssim(a[1:], b[1:]) is None
    assert ms_ssim(a[:, 1:], b[:, 1:]) is None

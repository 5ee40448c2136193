"""The forms of distortions against their definitions, written out again here, and against SSIM."""

import numpy as np
import pytest
import torch
from conftest import painted
from scipy.ndimage import gaussian_filter, minimum_filter

from ddcodec.fit.loss.eye import BY_CHANNEL, EDGES, NEAR, SMOOTH, SMOOTH_FOR_EDGES, SQUARES, TYPICAL, eye_form
from ddcodec.fit.loss.form import AT_ONCE, CHANNELS, SQUARED_ERROR
from ddcodec.fit.reference.distortion import distortion_by, form_tensors
from ddcodec.metrics.ms_ssim import ssim
from ddcodec.picture import halved

SIZES = [(1, 1), (1, 9), (7, 1), (5, 6), (33, 41), (AT_ONCE + 3, 12)]


def original(rows, columns, planes=3, depth=8):
    picture = painted(rows, columns, planes).reshape(rows, columns, planes)
    return picture if depth == 8 else picture.astype(np.uint16) * 257


def mask(rows, columns):
    known = np.random.default_rng(1).random((rows, columns)) < 0.7
    known.flat[0] = True
    return known


def cells(rows, columns, level):
    """The pixels of each cell of a level: (row, column, list of places)."""
    side = 2**level
    for row in range(0, rows, side):
        for column in range(0, columns, side):
            inside = [
                (y, x) for y in range(row, min(row + side, rows)) for x in range(column, min(column + side, columns))
            ]
            yield row // side, column // side, inside


def slowly(form, errors):
    """D pixel by pixel, as `loss.form` defines it."""
    planes, rows, columns = errors.shape
    channels = np.einsum("cp,pyx->cyx", CHANNELS[planes].astype(float), errors)
    total = form.squares * (errors**2).sum()
    for level, weights in enumerate(form.levels):
        for row, column, inside in cells(rows, columns, level):
            means = sum(channels[:, y, x] for y, x in inside) / 4**level
            total += (weights[:, row, column] * means**2).sum()
    for y in range(rows):
        for x in range(columns):
            left = channels[0, y, x] - channels[0, y, x - 1] if x else 0
            up = channels[0, y, x] - channels[0, y - 1, x] if y else 0
            total += form.edges[y, x] * (left**2 + up**2)
    return total / errors.size


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("rows, columns", SIZES)
def test_the_value_is_the_definitions(rows, columns, planes):
    known = mask(rows, columns)
    form = eye_form(original(rows, columns, planes), known)
    errors = np.random.default_rng(2).standard_normal((planes, rows, columns)) * known
    assert form.value(errors) == pytest.approx(slowly(form, errors), rel=1e-6)
    assert SQUARED_ERROR.value(errors) == pytest.approx((errors**2).mean(), rel=1e-12)


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("rows, columns", SIZES)
def test_torch_has_the_same_value_and_it_is_quadratic(rows, columns, planes):
    known = mask(rows, columns)
    form = eye_form(original(rows, columns, planes), known)
    errors = torch.randn(planes, rows, columns, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    errors = (errors * torch.from_numpy(known)).requires_grad_()
    for own in (form, SQUARED_ERROR):
        value = distortion_by(errors, form_tensors(own, planes, "cpu", torch.float64))
        assert value.item() == pytest.approx(own.value(errors.detach().numpy()), rel=1e-6)
        (gradient,) = torch.autograd.grad(value, errors)
        assert (errors * gradient).sum().item() / 2 == pytest.approx(value.item(), rel=1e-12)
    if max(rows, columns) < 10:
        assert torch.autograd.gradcheck(
            lambda own: distortion_by(own, form_tensors(form, planes, "cpu", torch.float64)), errors
        )


def variance_around(plane):
    """By SciPy, which cuts the same window at the same place. Beyond the border are zeros."""

    def blurred(values):
        return gaussian_filter(values, 1.5, truncate=5 / 1.5, mode="constant")

    count = blurred(np.ones_like(plane))
    return blurred(plane**2) / count - (blurred(plane) / count) ** 2


def least_near(values, reach):
    """By SciPy: of nine places in a square. Beyond the picture are its borders."""
    places = np.zeros((2 * reach + 1, 2 * reach + 1), bool)
    places[::reach, ::reach] = True
    return minimum_filter(values, footprint=places, mode="nearest")


@pytest.mark.parametrize("is_masked", [False, True])
def test_the_weights_do_not_depend_on_the_bands(monkeypatch, is_masked):
    picture, known = original(150, 40), mask(150, 40) if is_masked else None
    whole = eye_form(picture, known)
    monkeypatch.setattr("ddcodec.fit.loss.eye.BAND_PIXELS", 12 * 40)
    banded = eye_form(picture, known)
    for one, other in zip((*whole.levels, whole.edges), (*banded.levels, banded.edges)):
        assert np.allclose(one, other, rtol=1e-6, atol=0)


def test_the_weights_are_those_of_the_local_variance():
    picture = original(48, 64)
    form, channels = eye_form(picture), np.tensordot(CHANNELS[3], picture.transpose(2, 0, 1) / 255.0, 1)
    gains = []
    for level, (weights, shares) in enumerate(zip(form.levels, BY_CHANNEL)):
        channels = halved(channels) if level else channels
        for own, share, channel in zip(weights, shares, channels):
            masking = least_near(variance_around(channel), NEAR[level])
            gains.append(own / (4**level * share * SMOOTH / (2 * masking + SMOOTH)))
        if not level:
            edges = EDGES * SMOOTH_FOR_EDGES / (2 * variance_around(channels[0]) + SMOOTH_FOR_EDGES)
            assert np.allclose(form.edges, edges, rtol=1e-2)
    assert np.allclose(np.concatenate([gain.ravel() for gain in gains]), gains[0][0, 0], rtol=1e-2)


def test_levels_and_squared_error_have_their_shares():
    """For white errors as large as a fit leaves them, in a mean over many draws."""
    picture, random = original(48, 64), np.random.default_rng(4)
    form = eye_form(picture)
    spread = np.sqrt([np.clip(variance_around(plane), *TYPICAL) for plane in picture.transpose(2, 0, 1) / 255.0])
    values, squares = [], []
    for _ in range(200):
        errors = spread * random.standard_normal(spread.shape)
        luma = np.tensordot(CHANNELS[3][0], errors, 1)
        edges = (form.edges[:, 1:] * np.diff(luma, axis=1) ** 2).sum()
        edges += (form.edges[1:] * np.diff(luma, axis=0) ** 2).sum()
        values.append(form.value(errors) - edges / errors.size - SQUARES * (errors**2).mean())
        squares.append((errors**2).mean())
    assert np.mean(values) == pytest.approx((1 - SQUARES) * np.mean(squares), rel=0.03)


def test_an_error_costs_less_where_the_original_varies_and_more_where_it_is_coarse():
    picture = np.full((64, 128, 3), 128, np.uint8)
    picture[:, 64:] += np.random.default_rng(5).integers(0, 60, (64, 64, 1), dtype=np.uint8)
    form = eye_form(picture)

    def cost(column, side):
        """Of a checkerboard with fields of a side, of the same squared error."""
        errors = np.zeros((3, 64, 128))
        board = (np.indices((32, 32)) // side).sum(0) % 2
        errors[:, 16:48, column : column + 32] = 0.02 * (2 * board - 1)
        return form.value(errors)

    assert cost(16, 4) > 2 * cost(80, 4)
    assert cost(80, 4) > 1.2 * cost(80, 1)


def test_the_form_goes_with_ssim():
    """Of two errors of the same MSE the one with the less D has the greater SSIM."""
    picture = original(96, 96, 1)
    form, random = eye_form(picture), np.random.default_rng(6)
    values, similar = [], []
    for smoothness in (0, 0.7, 1.5, 3):
        noise = random.standard_normal((96, 96))
        error = gaussian_filter(noise, smoothness) if smoothness else noise
        for weights in (np.ones((96, 96)), variance_around(picture[..., 0] / 255.0) ** 0.5):
            own = error * weights
            own *= 0.02 / own.std()
            values.append(form.value(own[None]))
            similar.append(ssim(picture[..., 0].astype(float), picture[..., 0] + 255 * own)[0])
    ranks = [np.argsort(np.argsort(own)) for own in (values, similar)]
    assert np.corrcoef(*ranks)[0, 1] < -0.7


@pytest.mark.parametrize("planes", [1, 3])
def test_what_does_not_count_changes_nothing(planes):
    picture, known = original(37, 29, planes), mask(37, 29)
    other = np.where(known[..., None], picture, 255 - picture)
    ours, theirs = eye_form(picture, known), eye_form(other, known)
    assert np.array_equal(ours.edges, theirs.edges)
    assert all(np.array_equal(own, their) for own, their in zip(ours.levels, theirs.levels))
    # In levels an error alike over all that counts costs what its pixels cost without a mask.
    flat, costs = np.full((37, 29, planes), 77, np.uint8), []
    for counts in (np.ones((37, 29), bool), known):
        form, errors = eye_form(flat, counts), np.full((planes, 37, 29), 0.1) * counts
        levels = form.value(errors) - form.squares * (errors**2).mean()
        # Edges count where a pixel and both of its neighbours do, so that there is none in errors that are alike.
        above, left = np.pad(counts, ((1, 0), (0, 0)), "edge")[:-1], np.pad(counts, ((0, 0), (1, 0)), "edge")[:, :-1]
        assert np.array_equal(form.edges > 0, counts & above & left)
        costs.append(levels / counts.mean() / form.levels[0][0, 0, 0])
    assert costs[0] == pytest.approx(costs[1], rel=1e-4)


def test_depth_and_extremes():
    eight, sixteen = eye_form(original(21, 30)), eye_form(original(21, 30, depth=16))
    assert all(np.allclose(one, other, rtol=1e-4) for one, other in zip(eight.levels, sixteen.levels))
    assert np.allclose(eight.edges, sixteen.edges, rtol=1e-3)
    for value in (0, 255):
        form = eye_form(np.full((3, 5, 3), value, np.uint8))
        assert all(np.isfinite(own).all() for own in (*form.levels, form.edges))
    form = eye_form(original(4, 4), np.zeros((4, 4), bool))
    assert all(np.isfinite(own).all() for own in (*form.levels, form.edges))


@pytest.mark.parametrize("masked", [False, True])
def test_the_mean_colour(masked):
    picture, known = original(31, 44), mask(31, 44) if masked else None
    counted = (picture / 255.0)[known] if masked else (picture / 255.0).reshape(-1, 3)
    errors = (counted.mean(0) - picture / 255.0).transpose(2, 0, 1) * (1 if known is None else known)
    form = eye_form(picture, known)
    assert form.single_colour(picture, known) == pytest.approx(slowly(form, errors), rel=1e-4)
    assert SQUARED_ERROR.single_colour(picture, known) == pytest.approx((errors**2).mean(), rel=1e-9)


def test_the_variance_of_many_samples():
    samples = np.tile(np.array([190, 200], np.uint8), 2**21).reshape(2048, 2048, 1)
    assert SQUARED_ERROR.single_colour(samples, None) == pytest.approx((5 / 255) ** 2, rel=1e-6)


def test_roots_are_what_errors_alike_over_two_pixels_cost():
    """In the middle of a plain picture, where no weight changes."""
    form = eye_form(np.full((64, 64, 3), 90, np.uint8))
    matrix = form.roots(np.array([32]), np.array([32]), 3)[0].astype(float)
    error = np.array([0.03, -0.01, 0.02])
    block = np.zeros((3, 64, 64))
    block[:, 32:34, 32:34] = error[:, None, None]
    no_edges = type(form)(form.squares, form.levels, np.zeros_like(form.edges))
    assert ((matrix @ error) ** 2).sum() * 4 / block.size == pytest.approx(no_edges.value(block), rel=1e-3)

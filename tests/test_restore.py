"""Restoration: networks, operators, masks, tiles, rules, and what comes of them."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import painted
from PIL import Image
from scipy import fft, interpolate, ndimage

import ddcodec
from ddcodec.errors import SourceError, UsageError
from ddcodec.filling import filled
from ddcodec.fit.fit import FitSettings, fit_samples
from ddcodec.metrics import psnr
from ddcodec.restoration import patches
from ddcodec.restoration.coding import _View, fit_by_coding, lambda_for_noise
from ddcodec.restoration.cosines import transformed, transformed_back
from ddcodec.restoration.enlarging import Enlarging, made_small
from ddcodec.restoration.masks import dilated, known_from, pasted
from ddcodec.restoration.networks import _Filter, network_for
from ddcodec.restoration.noise import Noise, estimate_noise, is_noise
from ddcodec.restoration.operators import Downsampler, Identity
from ddcodec.restoration.options import RestoreOptions
from ddcodec.restoration.prior import Observation, fit_prior, memory_of
from ddcodec.restoration.restore import restore_picture
from ddcodec.restoration.settings import effort_of, priors, setting_names, setting_of, tasks
from ddcodec.restoration.stopping import Discrepancy, HeldOut, Look, WindowedVariance
from ddcodec.restoration.tiles import Tile, joined, tiles_for
from ddcodec.restoration.wiener import smoothed

SAMPLES = Path(__file__).parents[1] / "samples"


def photograph(name="coffee.png", rows=slice(150, 278), columns=slice(250, 378)):
    return np.asarray(Image.open(SAMPLES / name).convert("RGB"))[rows, columns]


def noisy(samples, sigma, seed=0):
    return np.rint(samples + np.random.default_rng(seed).normal(0, sigma, samples.shape)).clip(0, 255).astype(np.uint8)


def weights_of(setting, planes=3):
    return sum(values.numel() for values in network_for(setting, planes).parameters())


DIP = setting_of("dip", "denoise")


@pytest.mark.parametrize(
    "setting, published",
    [
        (DIP, 2_217_831),
        (setting_of("dip-text", "inpaint"), 3_002_627),
        (setting_of("dip", "dejpeg"), 572_827),
        (replace(DIP, widths=(64,) * 5), 572_455),
        (replace(DIP, widths=(32, 64, 128, 128, 128)), 1_499_463),
        (replace(DIP, widths=(16, 32, 64, 128, 128), skips=(0,) * 5), 1_027_379),
        (replace(DIP, widths=(256, 256), skips=(0, 0)), 3_161_859),
        (setting_of("deep-decoder", "denoise"), 100_224),
        (setting_of("deep-decoder", "inpaint"), 397_056),
        (replace(setting_of("deep-decoder", "denoise"), channels=64), 25_536),
        (replace(setting_of("deep-decoder", "denoise"), channels=320), 619_200),
    ],
)
def test_networks_have_the_published_number_of_weights(setting, published):
    assert weights_of(setting) == published


@pytest.mark.parametrize("name", setting_names())
@pytest.mark.parametrize("task", ["denoise", "inpaint"])
def test_each_setting_runs_on_a_side_that_is_no_multiple(name, task):
    samples = np.random.default_rng(0).random((70, 50, 1), np.float32)
    known = np.random.default_rng(1).random((70, 50)) < 0.5 if task == "inpaint" else None
    fitted = fit_prior(Observation(samples, Identity(), known), setting_of(name, task), steps=2)
    assert fitted.picture.shape == (70, 50, 1) and np.isfinite(fitted.picture).all() and fitted.steps == 2


@pytest.mark.parametrize("name", ["dip", "dip-hole", "dip-text"])
def test_slopes_of_a_network_are_those_of_its_loss(name):
    """What its layers do to move less memory leaves the mathematics as they are."""
    setting = replace(
        setting_of(name, "denoise"),
        widths=(8, 9, 10),
        skips=(4, 4, 4) if name != "dip-hole" else (0, 0, 0),
        input_channels=5,
    )
    torch.manual_seed(2)
    network, x = (
        network_for(setting, 3).double(),
        torch.rand(1, 5, 32, 40, dtype=torch.float64).contiguous(memory_format=torch.channels_last),
    )
    target = torch.rand(1, 3, 32, 40)

    def loss():
        return (network(x) - target).double().square().sum()

    loss().backward()
    for weight in network.parameters():
        way, step = torch.randn_like(weight), 1e-9
        with torch.no_grad():
            weight += step * way
            ahead = loss()
            weight -= 2 * step * way
            behind = loss()
            weight += step * way
        slope = (way * weight.grad).sum().item()
        assert ((ahead - behind) / (2 * step)).item() == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_layers_reflect_at_edges_as_those_of_torch():
    torch.manual_seed(1)
    x = torch.randn(1, 6, 9, 7)
    for side, stride in (1, 1), (3, 1), (3, 2), (5, 1):
        mine, theirs = (
            _Filter(6, 4, side, stride),
            torch.nn.Conv2d(6, 4, side, stride, padding=side // 2, padding_mode="reflect"),
        )
        theirs.load_state_dict(mine.state_dict())
        assert torch.allclose(mine(x), theirs(x), atol=1e-6)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = mine(x)
        assert rounded.dtype == torch.bfloat16 and torch.allclose(rounded.float(), theirs(x), atol=0.1)


def test_the_two_orders_of_the_deep_decoder_differ_in_nothing_but_the_order():
    first, last = (network_for(setting_of(name, "denoise"), 3) for name in ("deep-decoder", "deep-decoder-paper"))
    last.load_state_dict(first.state_dict())
    given = torch.rand(1, 128, 4, 4)
    shapes, outputs = zip(*((out.shape, out) for out in (first(given), last(given))))
    assert shapes[0] == shapes[1] == (1, 3, 128, 128) and not torch.allclose(*outputs)


def test_what_a_task_changes_of_a_setting():
    assert setting_of("dip", "inpaint").rate == 0.001 and setting_of("dip-maxpool", "inpaint").rate == 0.01
    assert set(tasks()) == {"denoise", "inpaint", "superres", "dejpeg"} and priors()[:2] == ("auto", "codec")
    with pytest.raises(UsageError, match="There is no prior vgg"):
        setting_of("vgg", "denoise")


def test_efforts_grow():
    rows = [effort_of(effort) for effort in range(1, 10)]
    assert all(a.views * a.steps < b.views * b.steps and a.share * a.runs < b.share * b.runs for a, b in pairwise(rows))


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_the_downsampler_is_centred_and_keeps_what_is_plain_or_a_ramp(factor):
    side = 16 * factor
    ramp = torch.arange(side, dtype=torch.float32).expand(1, 1, side, side)
    down = Downsampler(factor)
    assert torch.allclose(down(torch.full((1, 3, side, side), 0.3)), torch.tensor(0.3))
    centres = ramp.reshape(1, 1, side, 16, factor).mean(4)[:, :, ::factor]
    assert torch.allclose(down(ramp)[..., 3:-3], centres[..., 3:-3], atol=1e-3)


@pytest.mark.parametrize("sigma", [5, 15, 25, 40])
@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png", "chelsea.png"])
def test_white_noise_is_estimated(name, sigma):
    # A photograph's own grain adds to it, most where little is added.
    found = estimate_noise(noisy(np.asarray(Image.open(SAMPLES / name).convert("RGB")), sigma))
    assert not found.correlated and found.sigma == pytest.approx(sigma, rel=0.12)


def test_a_plane_of_too_few_plain_cells_says_nothing_of_its_noise():
    plain = np.full((96, 96, 3), 128, np.uint8)
    plain[..., 0] = 255
    assert estimate_noise(noisy(plain, 20)).sigma == pytest.approx(20, rel=0.12)


def test_noise_that_neighbours_share_is_seen():
    shades = np.tile(np.linspace(60, 190, 256), (256, 1))
    grain = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, (256, 256)), 1.0)
    found = estimate_noise(np.rint(shades + 6 * grain / grain.std()).astype(np.uint8))
    assert found.correlated and not found.grows and 3 < found.sigma < 15


@pytest.mark.parametrize(
    "plain",
    [
        np.full((64, 64), 255, np.uint8),
        np.full((20, 17, 3), 99, np.uint8),
        np.tile(np.arange(256, dtype=np.uint8), (80, 1)),
    ],
)
def test_where_there_is_no_noise_none_is_found(plain):
    assert estimate_noise(plain).sigma < 1


def test_noise_is_told_from_texture_that_is_lost():
    clean = np.asarray(Image.open(SAMPLES / "astronaut.png").convert("RGB"))
    assert is_noise(noisy(clean, 12), clean)
    assert not is_noise(clean, ndimage.gaussian_filter(clean, (1, 1, 0)))


def test_strong_texture_is_not_taken_for_noise():
    # Like many photographs: more in each coarser octave.
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(192), np.fft.fftfreq(192)))
    leaves = np.fft.ifft2(
        np.fft.fft2(np.random.default_rng(0).normal(size=(192, 192))) / (frequencies + 0.01) ** 2
    ).real
    picture = np.rint(128 + 40 * leaves / leaves.std()).clip(0, 255).astype(np.uint8)
    assert estimate_noise(picture).grows
    said = []
    kept = restore_picture(picture, RestoreOptions(effort=1, iterations=2), say=said.append)
    assert not kept.changed and kept.steps == 0 and "the picture's own texture" in said[-1] and "--sigma" in said[-1]
    assert restore_picture(picture, RestoreOptions(effort=1, iterations=20, sigma=40.0)).steps == 20


@pytest.mark.parametrize("side", [8, 16])
def test_blocks_are_transformed_as_scipy_does(side):
    blocks = np.random.default_rng(0).normal(0, 50, (3, 5, side, side)).astype(np.float32)
    coefficients = transformed(blocks)
    assert np.allclose(coefficients, fft.dctn(blocks, axes=(-2, -1), norm="ortho"), atol=1e-3)
    assert np.allclose(transformed_back(coefficients), blocks, atol=1e-3)


def plates(shape=(80, 96)):
    """A smooth picture, the plates that a fit may paint of it, and the same with noise of 20 levels: all in levels."""
    smooth = np.add.outer(np.linspace(90, 120, shape[0]), np.linspace(0, 30, shape[1]))
    clean = np.dstack([smooth, 255 - smooth, smooth]).astype(np.float32)
    return clean, 6 * np.rint(clean / 6), noisy(clean, 20)


@pytest.mark.parametrize("planes", [1, 3])
def test_plates_become_smooth(planes):
    clean, painted_flat, given = (picture[..., :planes] for picture in plates())
    made = 255 * smoothed(painted_flat / np.float32(255), given, Noise(20, False))
    assert made.shape == clean.shape and made.dtype == np.float32

    def steepest(picture):
        return np.abs(np.diff(picture, axis=1)).max()

    assert steepest(painted_flat) == 6 and steepest(made) < 2
    assert np.square(made - clean).mean() < np.square(painted_flat - clean).mean()


def test_detail_stays_that_of_the_fit():
    clean = photograph().astype(np.float32)
    made = 255 * smoothed(clean / 255, noisy(clean, 20), Noise(20, False))
    assert psnr(*(np.rint(picture).clip(0, 255).astype(np.uint8) for picture in (clean, made))) > 33
    assert np.abs(made - clean).max() < 40


def test_noise_that_neighbours_share_is_filtered_by_its_spectrum():
    clean, _, _ = plates()
    grain = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, clean.shape), (1.5, 1.5, 0))
    given = np.rint(clean + 8 * grain / grain.std()).clip(0, 255).astype(np.uint8)
    fitted = (clean + given) / 2 / np.float32(255)
    errors = [
        np.square(255 * smoothed(fitted, given, Noise(sigma, shared)) - clean).mean()
        for sigma, shared in ((8, True), (8 * 1.5, False))
    ]
    assert errors[0] < 0.9 * errors[1] and errors[0] < 0.9 * np.square(255 * fitted - clean).mean()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("shape", [(16, 16, 1), (17, 30, 3)])
def test_where_a_fit_has_taken_nothing_away_nothing_changes(shape, shared):
    given = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    made = 255 * smoothed(given / np.float32(255), given, Noise(0.0, shared))
    assert np.allclose(made, given, atol=0.1)


def mask_of(shape, missing):
    mask = np.full(shape, 255, np.uint8)
    mask[missing] = 0
    return mask


def test_masks():
    picture = photograph()
    mask = mask_of(picture.shape[:2], np.s_[10:20, 30:50])
    known = known_from(mask, picture.shape)
    assert (~known).sum() == 200 and not known[15, 40]
    assert (known_from(255 - mask, picture.shape, "white") == known).all()
    assert (known_from(np.dstack([mask] * 3), picture.shape) == known).all()


KNOWN = ~np.pad(np.ones((4, 10), bool), ((5, 11), (10, 10)))
SHOWN = 255 * KNOWN[..., None].astype(np.uint8)


def palette_mask(colours, transparent=None):
    image = Image.fromarray(KNOWN.astype(np.uint8)).convert("P")
    image.putpalette(colours)
    if transparent is not None:
        image.info["transparency"] = transparent
    return image


MASKS = {
    "bool": KNOWN,
    "0 and 1": KNOWN.astype(np.uint8),
    "0 and 255": SHOWN[..., 0],
    "int64": 255 * KNOWN.astype(np.int64),
    "16 bits": 257 * SHOWN[..., 0].astype(np.uint16),
    "float": KNOWN.astype(float),
    "255.0": 255.0 * KNOWN,
    "float16": KNOWN.astype(np.float16),
    "lists": KNOWN.tolist(),
    "lists of numbers": KNOWN.astype(int).tolist(),
    "(H, W, 1)": KNOWN[..., None],
    "(H, W, 1) of uint8": SHOWN,
    "RGB": SHOWN.repeat(3, 2),
    "Fortran": np.asfortranarray(KNOWN),
    "read-only": np.broadcast_to(SHOWN, (20, 30, 3)),
    "Pillow 1": Image.fromarray(KNOWN),
    "Pillow L": Image.fromarray(SHOWN[..., 0]),
    "Pillow L of 0 and 1": Image.fromarray(KNOWN.astype(np.uint8)),
    "Pillow I;16": Image.fromarray(257 * SHOWN[..., 0].astype(np.uint16)),
    "Pillow P": palette_mask([0, 0, 0, 255, 255, 255]),
    "white with holes": np.dstack([np.full_like(SHOWN, 255)] * 3 + [SHOWN]),
    "black strokes": np.dstack([np.zeros_like(SHOWN)] * 3 + [255 - SHOWN]),
    "Pillow RGBA": Image.fromarray(np.dstack([np.full_like(SHOWN, 255)] * 3 + [SHOWN])),
    "Pillow LA": Image.fromarray(np.dstack([np.zeros_like(SHOWN), 255 - SHOWN])),
    "Pillow P with a transparent colour": palette_mask([255] * 6, 0),
    "Pillow P with strokes": palette_mask([0] * 6, 1),
    "both": np.dstack(
        [SHOWN] * 3 + [255 * (np.arange(20) != 5).astype(np.uint8)[:, None].repeat(30, 1) | SHOWN[..., 0]]
    ),
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks_of_all_kinds(kind):
    assert (known_from(MASKS[kind], (20, 30, 3)) == KNOWN).all()


@pytest.mark.parametrize(
    "mask",
    [
        "x",
        5,
        [[1, 2], [3]],
        [["a"]],
        np.full((20, 30), np.nan),
        -KNOWN.astype(int),
        10**6 * KNOWN.astype(int),
        KNOWN.astype(complex),
        np.zeros((20, 30, 5)),
        np.zeros((20, 30, 4)),
        None,
    ],
)
def test_what_is_no_mask(mask):
    with pytest.raises(UsageError, match="The mask must be bool, numbers of 0 to 1 or of 0 to 255, or a picture"):
        known_from(mask, (20, 30, 3))


def test_masks_from_python():
    picture = photograph()[:20, :30]
    results = [
        ddcodec.restore(picture, "inpaint", mask=MASKS[kind], effort=1, iterations=2, threads=1)
        for kind in ("bool", "0 and 1", "Pillow RGBA", "lists")
    ]
    assert all((result == results[0]).all() for result in results) and (results[0][KNOWN] == picture[KNOWN]).all()


@pytest.mark.parametrize(
    "mask, shape, said",
    [
        (np.zeros((20, 30), np.uint8), (30, 20, 3), "The mask has 30x20 pixels and the picture 20x30"),
        (np.full((20, 30), 255, np.uint8), (20, 30, 3), "nothing is missing"),
        (np.zeros((20, 30), np.uint8), (20, 30, 3), "everything is missing"),
        (np.tile(np.arange(0, 240, 8, np.uint8), (20, 1)), (20, 30, 3), "neither black nor white"),
    ],
)
def test_masks_that_are_none(mask, shape, said):
    with pytest.raises(SourceError, match=said):
        known_from(mask, shape)


def test_a_mask_and_a_picture_that_were_swapped():
    with pytest.raises(SourceError, match="seem to be swapped"):
        known_from(photograph(), (128, 128, 3), samples=mask_of((128, 128, 3), np.s_[3:9]))


def test_holes_grow_as_scipy_grows_them():
    known = np.random.default_rng(0).random((40, 30)) > 0.02
    assert (dilated(known, 3) == ~ndimage.binary_dilation(~known, np.ones((3, 3)), iterations=3)).all()
    assert (dilated(known, 0) == known).all()


def test_known_pixels_are_put_back():
    samples, made = photograph(), np.full((128, 128, 3), 130.4)
    known = known_from(mask_of((128, 128), np.s_[40:60, 40:60]), samples.shape)
    exact = pasted(made, samples, known)
    assert (exact[known] == samples[known]).all() and (exact[~known] == 130).all()
    soft = pasted(made, samples, known, feather=3)
    far = dilated(known, 3)
    assert (soft[far] == samples[far]).all() and (soft[~known] == 130).all() and (soft != exact).any()


def bricks(height, width):
    rows, columns = np.indices((height, width))
    mortar = (rows % 12 < 2) | ((columns + 8 * (rows // 12 % 2)) % 16 < 2)
    return np.where(mortar[..., None], [200, 190, 180], [150, 60, 40]).astype(np.uint8)


@pytest.mark.parametrize("most", [10**9, 600])
def test_a_pattern_goes_on_in_a_wide_hole(most, monkeypatch):
    # With few patches to be searched, the finest level copies what the one above has found.
    monkeypatch.setattr(patches, "MOST_SEARCHED", most)
    clean = bricks(120, 144)
    known = known_from(mask_of(clean.shape, np.s_[40:80, 50:98]), clean.shape)
    given = np.where(known[..., None], clean, 0).astype(np.uint8)
    made = patches.patched(given, known)
    assert (made[known] == clean[known]).all() and made.dtype == np.uint8
    assert psnr(clean[~known], made[~known]) > psnr(clean[~known], filled(given, known)[~known]) + (
        15 if most > 600 else 5
    )


@pytest.mark.parametrize("shape", [(16, 16, 1), (16, 40, 3), (23, 17, 3)])
def test_patches_of_small_pictures(shape):
    clean = np.random.default_rng(0).integers(100, 120, shape, np.uint8)
    known = known_from(mask_of(shape[:2], np.s_[1:14, 2:15]), shape)
    made = patches.patched(clean, known)
    assert (made[known] == clean[known]).all() and 100 <= made.min() and made.max() < 120


def test_only_wide_holes_get_patches(monkeypatch):
    filled_by = []
    monkeypatch.setattr(
        "ddcodec.restoration.coding.patched", lambda samples, *_: (filled_by.append("patches"), samples)[1]
    )
    picture = painted(64, 64)
    thin, wide = (
        known_from(mask_of((64, 64), holes), picture.shape) for holes in (np.s_[:, 20:34], np.s_[20:45, 20:45])
    )
    fit_by_coding(picture, 1e-3, known=thin, views=1, steps=1)
    assert not filled_by
    fit_by_coding(picture, 1e-3, known=wide, views=1, steps=1)
    assert filled_by


def test_the_texture_and_brightness_of_a_wide_hole():
    clean = np.rint(
        np.dstack([90 + 25 * ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 2.5, (96, 96)), 0.8)] * 3)
    ).astype(np.uint8)
    known = known_from(mask_of((96, 96), np.s_[28:68, 28:68]), clean.shape)
    made = ddcodec.restore(np.where(known[..., None], clean, 0).astype(np.uint8), "inpaint", mask=known, effort=1)
    middle = made[34:62, 34:62].astype(float)
    assert abs(middle.mean() - clean.mean()) < 6 and middle.std() > 0.6 * clean.std()


@pytest.mark.parametrize("height, width, side", [(500, 300, 256), (257, 999, 256), (192, 192, 64), (700, 700, 200)])
def test_tiles_cover_and_join_without_a_trace(height, width, side):
    tiles = tiles_for(height, width, lambda h, w: h <= side and w <= side)
    picture = np.random.default_rng(0).random((height, width, 2), np.float32)
    whole, seams = joined([tile.of(picture).copy() for tile in tiles], tiles, picture.shape)
    assert np.allclose(whole, picture, atol=1e-6) and seams < 1e-6
    assert all(max(tile.shape) <= max(side, 192) for tile in tiles)


def test_the_disagreement_of_tiles_is_measured_and_faded():
    tiles = [Tile(0, 50, 0, 160), Tile(0, 50, 96, 256)]
    whole, seams = joined(
        [np.full((50, 160, 1), 0.4, np.float32), np.full((50, 160, 1), 0.6, np.float32)], tiles, (50, 256, 1)
    )
    assert seams == pytest.approx(0.2) and np.abs(np.diff(whole[0, :, 0])).max() < 0.01
    assert whole[0, 0, 0] == pytest.approx(0.4) and whole[0, -1, 0] == pytest.approx(0.6)


def looks(values, **fixed):
    for step, value in enumerate(values, 1):
        given = {"loss": 0.01, "held_out": 0.0, "sample": np.zeros(8)} | fixed
        yield (
            Look(step, len(values), **{key: value(step) if callable(value) else value for key, value in given.items()}),
            value,
        )


def test_held_out_pixels_end_a_fit_after_their_least_error():
    errors = [abs(step - 400) / 1000 for step in range(1000)]
    rule = HeldOut()
    stopped = next(look.step for look, error in looks(errors) if rule.reason(replace(look, held_out=error)))
    assert rule.best == 401 and 400 < stopped < 600
    rising = HeldOut()
    assert next(look.step for look, _ in looks(errors) if rising.reason(replace(look, held_out=float(look.step)))) > 250


def test_the_variance_of_outputs_ends_a_fit():
    random, rule = np.random.default_rng(0), WindowedVariance()
    spread = [1 - step / 500 if step < 450 else (step - 440) / 100 for step in range(1000)]
    stopped = next(
        look.step for look, size in looks(spread) if rule.reason(replace(look, sample=size * random.normal(size=500)))
    )
    assert 400 < rule.best < 520 and stopped < 750


def test_a_residual_below_the_noise_ends_a_fit():
    rule = Discrepancy(25.5)
    stopped = next(
        look.step
        for look, loss in looks([0.02 - 0.00002 * step for step in range(1000)])
        if rule.reason(replace(look, loss=loss))
    )
    assert 0.02 - 0.00002 * stopped == pytest.approx(0.9 * 0.01, rel=0.02)


def test_a_network_denoises():
    clean = ndimage.gaussian_filter(photograph().astype(float), (2, 2, 0)).astype(np.uint8)
    given = noisy(clean, 30)
    setting = replace(setting_of("dip-narrow", "denoise"), widths=(16, 32, 32), skips=(4, 4, 4))
    fitted = fit_prior(Observation(given.astype(np.float32) / 255, Identity(), None, 30.0), setting, steps=120)
    assert psnr(clean, np.rint(255 * fitted.picture).astype(np.uint8)) > psnr(clean, given) + 4


def test_what_is_missing_has_no_influence():
    picture, known = (
        photograph(rows=slice(0, 48), columns=slice(0, 48)).astype(np.float32) / 255,
        np.random.default_rng(0).random((48, 48)) < 0.6,
    )
    setting = replace(setting_of("dip-narrow", "inpaint"), widths=(8, 8), skips=(4, 4))
    made = [
        fit_prior(
            Observation(np.where(known[..., None], picture, fill), Identity(), known), setting, steps=8, seed=3
        ).picture
        for fill in (np.float32(0), np.float32(1))
    ]
    assert (made[0] == made[1]).all()


def test_a_fit_may_end_by_the_clock_and_tells_how_it_goes():
    told = []
    fitted = fit_prior(
        Observation(np.zeros((32, 32, 1), np.float32) + 0.5, Identity()),
        replace(DIP, widths=(4, 4), skips=(0, 0)),
        steps=10**6,
        seconds=0.5,
        progress=told.append,
    )
    assert fitted.reason == "the time is over" and 0 < fitted.steps < 10**6 and told[-1].picture().shape == (32, 32, 1)


@pytest.mark.parametrize("steps, seconds, reason", [(3, None, "all fits are done"), (10**6, 0.4, "the time is over")])
def test_steps_are_those_that_were_taken(steps, seconds, reason):
    told = []
    fitted = fit_by_coding(painted(32, 32), 1e-3, views=2, steps=steps, seconds=seconds, progress=told.append)
    assert fitted.reason == reason and fitted.steps == len(told)


def test_a_spike_is_rolled_back(monkeypatch):
    import ddcodec.restoration.prior as prior

    restored, look = [], prior._Fit.look
    monkeypatch.setattr(
        prior._Fit,
        "restore",
        lambda self, kept, back=prior._Fit.restore: (
            back(self, kept),
            restored.append(self._optimiser.param_groups[0]["lr"]),
        ),
    )
    monkeypatch.setattr(
        prior._Fit, "look", lambda self, step: replace(look(self, step), loss=1.0 if step == 30 else 0.01)
    )
    fit_prior(
        Observation(np.zeros((32, 32, 1), np.float32) + 0.5, Identity()),
        replace(DIP, widths=(4, 4), skips=(0, 0)),
        steps=60,
        rules=False,
    )
    assert restored == [pytest.approx(0.01 * 0.8)]


def test_a_snapshot_brings_everything_back():
    import ddcodec.restoration.prior as prior

    fit = prior._Fit(
        Observation(photograph(rows=slice(0, 32), columns=slice(0, 32)).astype(np.float32) / 255, Identity()),
        replace(DIP, widths=(4, 4), skips=(2, 2), jitter=0.0),
        50,
        0,
        "cpu",
    )
    for step in range(4):
        fit.step(step / 500)
    kept, then = fit.snapshot(), []
    for rate in (0.01, 0.01):
        fit.restore(kept)
        fit._optimiser.param_groups[0]["lr"] = rate
        for step in range(4, 7):
            fit.step(step / 500)
        then.append(fit.averaged())
    assert (then[0] == then[1]).all()


def test_the_default_network_takes_the_memory_that_others_saw():
    assert 7e9 < memory_of(DIP, 1000, 1000) < 11e9
    assert memory_of(setting_of("dip-narrow", "denoise"), 1000, 1000) < memory_of(DIP, 1000, 1000) / 3


@pytest.mark.parametrize("turn", range(8))
def test_views_go_back(turn):
    picture = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)
    view = _View(5, 3, turn)
    assert (view.back(view.of(picture)) == picture).all() and (
        view.back(view.of(picture[..., 0])) == picture[..., 0]
    ).all()


def test_lambda_follows_the_noise():
    assert lambda_for_noise(25, 3) == pytest.approx(2 * np.log(2) * (25 / 255) ** 2 / 3)
    assert lambda_for_noise(25, 1) == pytest.approx(3 * lambda_for_noise(25, 3)) and lambda_for_noise(0, 3) == 1e-7


def test_the_codec_denoises_colour_and_grey():
    clean = photograph()[:96, :96]
    for truth in (clean, clean[..., 1]):
        given, said = noisy(truth, 25), []
        restored = restore_picture(given, RestoreOptions(effort=2), say=said.append)
        assert restored.samples.shape == truth.shape and restored.prior == "codec" and restored.changed
        assert psnr(truth, restored.samples) > psnr(truth, given) + 5 and said[0].startswith("Noise: about 2")


def test_what_the_mean_of_a_fit_is_good_for():
    """It is nearer to what is behind the noise than the picture in which a fit of the same steps ends."""
    clean = photograph()
    lambda_ = lambda_for_noise(25, 3)
    mean = fit_samples(noisy(clean, 25), lambda_, FitSettings(100))
    assert mean.shape == clean.shape and mean.dtype == np.float32
    ended = ddcodec.decode(ddcodec.encode(noisy(clean, 25), lambda_=lambda_, iterations=100))
    assert psnr(clean, np.rint(255 * mean).astype(np.uint8)) > psnr(clean, ended) + 0.7


@pytest.mark.parametrize(
    "settings", [FitSettings(1), FitSettings(10**6, time_limit=0.0), FitSettings(10**6, time_limit=0.3)]
)
def test_a_mean_of_few_steps(settings):
    mean = fit_samples(photograph()[:40, :30], 1e-3, settings)
    assert mean.shape == (40, 30, 3) and mean.min() >= 0 and mean.max() <= 1 and mean.std() > 0.01


def test_the_codec_inpaints():
    clean = photograph()
    known = np.random.default_rng(0).random(clean.shape[:2]) > 0.3
    made = ddcodec.restore(np.where(known[..., None], clean, 0).astype(np.uint8), "inpaint", mask=known, effort=2)
    cubic = interpolate.griddata(
        np.argwhere(known), clean[known].astype(float), tuple(np.indices(known.shape)), method="cubic"
    )
    inside = ~known & np.isfinite(cubic[..., 0])
    assert (made[known] == clean[known]).all()
    assert (
        psnr(clean[inside], made[inside])
        > psnr(clean[inside], np.rint(cubic[inside]).clip(0, 255).astype(np.uint8)) + 1
    )


def test_what_is_clean_stays_bit_for_bit():
    clean, said = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (90, 1)), []
    restored = restore_picture(clean, say=said.append)
    assert restored.samples is clean and not restored.changed and "too little to remove" in said[-1]


@pytest.mark.parametrize("scale, gain", [(2, 0.7), (4, 0.3)])
def test_superresolution_is_better_than_lanczos(scale, gain):
    """The pictures that are made small are Pillow's; the result becomes the given picture again."""
    clean = photograph(rows=slice(96, 224), columns=slice(180, 308))
    image = Image.fromarray(clean)
    small = image.resize([side // scale for side in image.size], Image.BICUBIC)
    restored = restore_picture(np.asarray(small), RestoreOptions(task="superres", scale=scale, effort=1))
    lanczos = np.asarray(small.resize(image.size, Image.LANCZOS))
    assert restored.prior == "codec" and restored.samples.shape == clean.shape
    assert psnr(clean, restored.samples) > psnr(clean, lanczos) + gain
    again = Downsampler(scale)(torch.from_numpy(restored.samples.astype(np.float32)).permute(2, 0, 1)[None])
    assert abs(again[0].permute(1, 2, 0).numpy() - np.asarray(small)).mean() < 0.6


def test_superresolution_by_few_steps_is_lanczos():
    restored = restore_picture(
        photograph(rows=slice(0, 24), columns=slice(0, 20)), RestoreOptions(task="superres", scale=4, iterations=3)
    )
    assert restored.samples.shape == (96, 80, 3) and restored.prior == "lanczos" and restored.steps == 12


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_picture_is_made_small_as_the_networks_do_it(factor):
    picture = photograph()[: 8 * factor, : 12 * factor].astype(np.float32)
    expected = Downsampler(factor)(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(made_small(picture, factor), expected.numpy(), atol=1e-3)


@pytest.mark.parametrize("factor", [2, 4])
def test_the_nearest_picture_that_becomes_the_same(factor):
    """It becomes the given one but for rounding, and is nearer to every picture that does than another one was."""
    clean = photograph()[: 24 * factor, : 20 * factor].astype(np.float32)
    small = np.rint(made_small(clean, factor)).clip(0, 255).astype(np.uint8)
    other = np.roll(clean, 3, 1)
    nearest = Enlarging(small, factor).nearest(other)
    assert abs(made_small(nearest, factor).clip(0, 255) - small).max() < 0.51
    assert np.square(nearest - clean).mean() < np.square(other - clean).mean()
    assert abs(Enlarging(small, factor).nearest(clean) - clean).max() < 0.01


def test_short_memory_means_tiles(monkeypatch):
    import ddcodec.restoration.restore as restoration

    clean, said = photograph("chelsea.png", slice(0, 260), slice(0, 300)), []
    monkeypatch.setattr(
        restoration, "_free_memory", lambda device: memory_of(setting_of("dip-narrow", "denoise"), 200, 200) / 0.6
    )
    restored = restore_picture(
        noisy(clean, 25), RestoreOptions(prior="dip-narrow", iterations=4, sigma=120.0), say=said.append
    )
    assert restored.samples.shape == clean.shape and restored.seams > 0 and "in 4 tiles" in said[0]


@pytest.mark.parametrize(
    "options, said",
    [
        ({"task": "colour"}, "There is no task colour"),
        ({"task": "superres"}, "needs a scale of 2, 4 or 8"),
        ({"task": "superres", "scale": 3}, "must be 2, 4 or 8, not 3"),
        ({"scale": 2}, "A scale is for super-resolution"),
        ({"sigma": -1.0}, "between 0 and 255, not -1"),
        ({"task": "inpaint", "sigma": 5.0}, "A sigma is for denoising"),
        ({"prior": "vgg"}, "There is no prior vgg"),
        ({"effort": 10}, "between 1 and 9"),
        ({"time_limit": 0}, "above 0 seconds"),
        ({"task": "inpaint"}, "a mask, a colour, or transparent pixels"),
        ({"dilate": -1}, "0 pixels or more"),
        ({"variation": 2.0}, "between 0 and 1"),
        ({"device": "tpu"}, "There is no device tpu"),
    ],
)
def test_options_that_cannot_be_meant(options, said):
    with pytest.raises(UsageError, match=said):
        restore_picture(photograph(), RestoreOptions(**options))


def test_pictures_that_are_too_small():
    with pytest.raises(SourceError, match="sides of at least 16"):
        restore_picture(np.zeros((15, 40), np.uint8))


def restored_without_torch(tmp_path, *options):
    """What `ddcodec restore` ends with where torch is not installed; and where it should have written to."""
    source, target = tmp_path / "small.png", tmp_path / "large.png"
    Image.fromarray(painted(24, 20)).save(source)
    program = "import sys; sys.modules['torch'] = None; from ddcodec.__main__ import main; main()"
    command = [sys.executable, "-c", program, "restore", str(source), "-o", str(target), "--device", "cpu", *options]
    return subprocess.run(command, capture_output=True, text=True), target


@pytest.mark.parametrize(
    "name, options",
    [
        ("dip", ["--task", "denoise", "--sigma", "20", "--prior", "dip"]),
        ("deep-decoder", ["--task", "denoise", "--sigma", "20", "--prior", "deep-decoder"]),
        ("dip-narrow", ["--task", "superres", "--scale", "2", "--prior", "dip-narrow"]),
    ],
)
def test_a_network_without_torch_says_what_to_install(tmp_path, name, options):
    result, target = restored_without_torch(tmp_path, *options)
    assert result.returncode == 1 and not target.exists()
    assert result.stderr.splitlines() == [
        f"Error: The prior {name} needs the package torch, which is not installed: "
        "pip install 'ddcodec[torch]' brings it."
    ]


def test_the_codec_denoises_without_torch(tmp_path):
    result, target = restored_without_torch(
        tmp_path, "--task", "denoise", "--sigma", "20", "--effort", "1", "--iterations", "3"
    )
    assert result.returncode == 0, result.stderr
    assert np.asarray(Image.open(target)).shape == (24, 20, 3)

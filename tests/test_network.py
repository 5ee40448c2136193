"""The one walk under its different hands: integers in NumPy, the same in torch, real numbers, bands, small pictures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from exact_ops import ExactOps
from random_coded import DEFAULT, random_arch, random_coded

from ddcodec.fit.reference.ops import TorchOps
from ddcodec.fit.reference.rate import features_of, neighbourhood
from ddcodec.format import ops_int
from ddcodec.format.arch import CONTEXT_UNIT, NEIGHBOURS, Window
from ddcodec.format.decoders import samples_of
from ddcodec.format.network import context, synthesis, up


def exact_numbers(coded):
    """The numbers of tensors in torch, with the shifts of sums that could leave 32 bits."""
    return {
        name: value if name.endswith("wraps") else torch.from_numpy(value) for name, value in coded.numbers().items()
    }


@pytest.mark.parametrize("seed", range(30))
def test_integers_equal_torch_float64_exactly(seed):
    random = np.random.default_rng(seed)
    coded = random_coded(random, random_arch(random), spread=float(random.choice([0.3, 30])))
    arch = coded.arch
    samples = synthesis(
        ExactOps(arch.headroom),
        arch,
        exact_numbers(coded),
        lambda octave, window: torch.from_numpy(coded.code[octave]).double(),
        Window(0, arch.height),
    )
    ours = samples_of(coded).reshape(arch.height, arch.width, -1).transpose(2, 0, 1)
    assert np.array_equal(samples.numpy(), ours)


@pytest.mark.parametrize("seed", range(10))
def test_context_of_wavefronts_equals_context_of_whole_planes_exactly(seed):
    """The decoder's strided gather against torch's shifted planes: the same predictions for every integer."""
    import ddcodec.format.pyramid as pyramid

    random = np.random.default_rng(seed)
    coded = random_coded(random, random_arch(random), spread=1.0)
    arch = coded.arch
    seen = []

    class Recorder:
        def integers(self, rows, whole, values):
            seen.append((rows, whole))
            return values

        def end_section(self):
            pass

    pyramid.walk_code(arch, coded.numbers(), Recorder(), coded.code)
    numbers = exact_numbers(coded)
    fronts = iter(seen)
    code = {octave: torch.from_numpy(planes).double() for octave, planes in coded.code.items()}
    for octave, planes, features in features_of(ExactOps(), arch, code, numbers):
        rows, columns = arch.size(octave)
        inputs = torch.cat(
            [neighbourhood(ExactOps().seen(planes), arch.neighbours), features.flatten(1).repeat(1, len(planes))]
        )
        table, whole = pyramid._quantised(context(ExactOps(), arch, numbers, inputs, octave).numpy())
        for p in range(len(planes)):
            at = np.arange(rows * columns).reshape(rows, columns) + p * rows * columns
            for t in range(columns + 3 * (rows - 1)):
                front = [at[y, t - 3 * y] for y in range(rows) if 0 <= t - 3 * y < columns]
                if front:
                    ours = next(fronts)
                    assert np.array_equal(ours[0], table[front]) and np.array_equal(ours[1], whole[front])


def test_neighbourhood_is_what_its_table_says():
    planes = torch.arange(1.0, 36).reshape(1, 5, 7)
    around = neighbourhood(planes, 20).reshape(20, 5, 7)
    for k, (dx, dy) in enumerate(NEIGHBOURS):
        for y in range(5):
            for x in range(7):
                inside = 0 <= x + dx < 7 and 0 <= y + dy < 5
                assert around[k, y, x] == (planes[0, y + dy, x + dx] if inside else 0)


def test_real_numbers_are_close_to_integers():
    coded = random_coded(np.random.default_rng(1), replace(DEFAULT, width=40, height=30, headroom=1), spread=0.2)
    for name in ("output.weight", "output.bias"):
        # So small that nothing is clipped.
        coded.tensors[name] = coded.tensors[name]._replace(values=coded.tensors[name].values // 8)
    arch = coded.arch
    real = {}
    for name, value in coded.numbers().items():
        unit = (CONTEXT_UNIT if name.startswith("context") else arch.synthesis_unit) if "bias" in name else 1
        real[name] = torch.from_numpy(value / unit)
    ops = TorchOps(dtype=torch.float64)
    code = {octave: torch.from_numpy(planes).double() for octave, planes in coded.code.items()}
    samples = synthesis(ops, arch, real, lambda octave, window: code[octave], Window(0, arch.height))
    assert 0.1 < samples.std() and samples.abs().max() < 2
    difference = 255 * samples.clamp(0, 1).numpy() - samples_of(coded).transpose(2, 0, 1)
    assert np.abs(difference).max() < 1.0


@pytest.mark.parametrize("finest", [0, 1, 2])
@pytest.mark.parametrize("step", [1, 3, 8])
def test_bands_join_without_a_seam(step, finest):
    coded = random_coded(np.random.default_rng(2), replace(DEFAULT, width=21, height=37, octaves=5, taps=3))
    arch = coded.arch
    ops, numbers = ops_int.IntegerOps(arch.headroom), coded.numbers()
    sizes = {octave: arch.size(max(octave, finest)) for octave in coded.code}
    planes = {
        octave: own[:, : sizes[octave][0], : sizes[octave][1]].astype(float) for octave, own in coded.code.items()
    }
    code = lambda octave, window: planes[octave][:, window.start : window.stop]
    rows = arch.size(finest)[0]
    whole = synthesis(ops, arch, numbers, code, Window(0, rows), finest)
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        band = synthesis(ops, arch, numbers, code, Window(start, stop), finest)
        assert np.array_equal(band, whole[:, start:stop])


def test_up_agrees_with_torch_interpolation():
    """Taps 1/4, 3/4 are bilinear interpolation with half-pixel centres."""
    random = np.random.default_rng(3)
    planes = torch.from_numpy(random.normal(size=(2, 5, 4)))
    numbers = {"taps.0": torch.tensor([0.25, 0.75])}
    ours = up(TorchOps(dtype=torch.float64), numbers, 0, planes, Window(0, 5), Window(0, 10), 5, 8)
    theirs = torch.nn.functional.interpolate(planes[None], scale_factor=2, mode="bilinear", align_corners=False)
    assert np.allclose(ours.numpy(), theirs[0].numpy())


@pytest.mark.parametrize("taps", [1, 2, 3, 4])
def test_up_agrees_with_a_transposed_convolution(taps):
    """Symmetric taps are a transposed convolution of stride 2 with the kernel that interleaves them, away from the
    border.
    """
    random = np.random.default_rng(4)
    planes, values = torch.from_numpy(random.normal(size=(1, 20, 20))), random.normal(size=2 * taps)
    numbers = {"taps.0": torch.from_numpy(values)}
    ours = up(TorchOps(dtype=torch.float64), numbers, 0, planes, Window(0, 20), Window(0, 40), 20, 40).numpy()
    kernel = np.empty(4 * taps)
    kernel[0::2], kernel[1::2] = values, values[::-1]
    weight = torch.from_numpy(np.outer(kernel, kernel))[None, None]
    theirs = torch.nn.functional.conv_transpose2d(planes[None], weight, stride=2)[0, 0].numpy()
    offset = 2 * taps - 1
    theirs = theirs[offset : offset + 40, offset : offset + 40]
    inner = slice(2 * taps, 40 - 2 * taps)
    assert np.allclose(ours[0][inner, inner], theirs[inner, inner])


def test_a_small_picture_of_a_smooth_code_is_the_large_one_reduced():
    """Without fine code, and where nothing varies, a smaller picture has the large one's colour."""
    coded = random_coded(np.random.default_rng(5), replace(DEFAULT, width=64, height=64))
    for octave, planes in coded.code.items():
        planes[:] = 3 if octave == coded.arch.octaves - 1 else 0
    for finest in range(coded.arch.octaves):
        assert np.abs(samples_of(coded, finest).astype(int) - samples_of(coded)[0, 0]).max() <= 1

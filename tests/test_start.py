"""What fits start from: the bases of each tune, and finer codes at the highest rates."""

import numpy as np
import pytest
import torch
from conftest import painted

from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.descent import start
from ddcodec.fit.descent.loop import run
from ddcodec.fit.descent.start import code_gain, for_finer_code, initial_code, initial_weights, real_base
from ddcodec.fit.reference.ops import TorchOps
from ddcodec.fit.reference.rate import features_of, neighbourhood
from ddcodec.fit.reference.synthesis import synthesise
from ddcodec.format.arch import BASES, base_arch
from ddcodec.format.network import context
from ddcodec.presets import arch_of, bases_for, nearest_base, tune_of_base

PICTURE = painted(40, 56).reshape(40, 56, 3)


@pytest.fixture(autouse=True)
def no_picture_is_small(monkeypatch):
    monkeypatch.setattr(start, "FINE_PIXELS", 1)


def test_the_code_gets_finer_with_the_root_of_lambda(monkeypatch):
    assert [code_gain(base_arch(9, 9, 3, base), 1e-7) for base in (0, 1, 4)] == [1, 1, 1]
    arch = base_arch(9, 9, 3, 5)
    monkeypatch.setattr(start, "FINE_PIXELS", 82)
    assert code_gain(arch, 1e-7) == 1
    monkeypatch.setattr(start, "FINE_PIXELS", 81)
    assert [code_gain(arch, lambda_) for lambda_ in (2e-4, 6.25e-5, 6.25e-5 / 4, 6.25e-5 / 16, 1e-7)] == [
        1,
        1,
        2,
        4,
        32,
    ]


def test_a_finer_code_says_the_same():
    """The picture stays, and the predictions grow as the integers do."""
    arch, gain = base_arch(56, 40, 3, 5), 8
    ops, random = TorchOps("cpu", torch.float64), np.random.default_rng(1)
    weights = {
        name: values + 0.05 * random.standard_normal(values.shape) * (not arch.is_fixed(name))
        for name, values in real_base(arch).items()
    }
    code = {o: random.integers(-3, 4, (1, *arch.size(o))).astype(float) for o in arch.coded_octaves}
    pictures, predictions = [], []
    for own, factor in ((weights, 1), (for_finer_code(arch, weights, gain), gain)):
        numbers = {name: torch.tensor(values, dtype=torch.float64) for name, values in own.items()}
        planes = {octave: torch.tensor(factor * values) for octave, values in code.items()}
        pictures.append(synthesise(ops, arch, planes, numbers))
        predictions.append(
            torch.cat(
                [
                    context(
                        ops,
                        arch,
                        numbers,
                        torch.cat([neighbourhood(plane, arch.neighbours), features.flatten(1)]),
                        octave,
                    )
                    for octave, plane, features in features_of(ops, arch, planes, numbers)
                ],
                1,
            )
        )
    assert torch.allclose(*pictures, atol=1e-6)
    (means, scales), (finer_means, finer_scales) = predictions
    assert torch.allclose(gain * means, finer_means, rtol=1e-5, atol=1e-5)
    assert torch.allclose(scales + 3, finer_scales, atol=1e-5)


def test_a_finer_code_gets_nearer_at_a_high_rate(monkeypatch):
    values = []
    for is_finer in (False, True):
        monkeypatch.setattr(start, "FINE_PIXELS", 1 if is_finer else 10**9)
        engine = CpuEngine(PICTURE, base_arch(56, 40, 3, 5), 1e-6)
        run(engine, 100)
        loss = engine.evaluate()
        values.append((loss.mse, loss.distortion + 1e-6 * loss.bits / engine.pixels))
    (mse, value), (finer_mse, finer_value) = values
    assert finer_mse < 0.7 * mse and finer_value < 0.8 * value


def test_detail_is_for_pictures_in_colour_at_high_rates():
    def detail(lambda_, tune="eye", planes=3, side=128, warm=True):
        return arch_of("default", side, side, planes, lambda_, tune=tune, warm=warm).detail

    assert [detail(lambda_) for lambda_ in (1e-3, 4.1e-5, 3.9e-5, 1e-7)] == [0, 0, 1, 1]
    assert [detail(lambda_, "psnr") for lambda_ in (3.9e-5, 1.1e-5, 9e-6)] == [0, 0, 1]
    assert (detail(1e-6, planes=1), detail(1e-6, side=127), detail(1e-6, warm=False)) == (0, 0, 0)


def test_a_fit_starts_with_the_same_picture_whether_it_has_detail():
    pictures = []
    for detail in (0, 1):
        arch, random = base_arch(56, 40, 3, 10, detail=detail), np.random.default_rng(1)
        numbers = {n: torch.tensor(v) for n, v in initial_weights(arch, PICTURE, random, 1e-6).items()}
        code = {o: torch.tensor(v) for o, v in initial_code(arch, PICTURE, random, 1e-6).items()}
        pictures.append(synthesise(TorchOps("cpu", torch.float32), arch, code, numbers))
    assert torch.equal(*pictures)


def test_steps_of_detail_are_the_best_of_high_rates():
    """D + lambda R of numbers that are spread over many steps: a tenth less or more of a step is worse."""
    lambda_, random = 1e-6, np.random.default_rng(1)
    arch = base_arch(56, 40, 3, 10, detail=1)
    output = initial_weights(arch, PICTURE, random, lambda_)["output.weight"]
    axes = 2 / 16 * output[:, 7:9].T.astype(float)
    for axis in axes:
        step = np.linalg.norm(axis)
        numbers = 0.1 * random.standard_normal(10**5)

        def loss(step):
            integers = np.round(numbers / step).astype(int)
            shares = np.unique(integers, return_counts=True)[1] / len(integers)
            # D is a mean over three samples.
            return ((numbers - step * integers) ** 2).mean() / 3 - lambda_ * (shares * np.log2(shares)).sum()

        assert loss(step) < min(loss(0.9 * step), loss(1.1 * step))


def test_detail_gets_nearer_where_each_sample_differs():
    picture, errors = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8), []
    for detail in (0, 1):
        engine = CpuEngine(picture, base_arch(64, 64, 3, 10, detail=detail), 1e-6)
        run(engine, 150)
        errors.append(engine.evaluate().mse)
    assert errors[1] < 0.3 * errors[0]


@pytest.mark.parametrize("base", range(6, 11))
def test_bases_for_the_eye_keep_brightness_out_of_the_finest_octave(base):
    """A code that is the same everywhere there makes less of a change than with the base of squared error."""
    changes = []
    for own in (base, base - 5):
        arch = base_arch(56, 40, 3, own)
        numbers = {name: torch.tensor(values) for name, values in real_base(arch).items()}
        pictures = [
            synthesise(
                TorchOps("cpu", torch.float32),
                arch,
                {o: torch.full((1, *arch.size(o)), value * (o == 0)) for o in arch.coded_octaves},
                numbers,
            )[:, 3:-3, 3:-3]
            for value in (0.0, 1.0)
        ]
        changes.append(abs(pictures[1] - pictures[0]).mean())
    assert changes[0] < 0.3 * changes[1]


def test_each_tune_has_its_bases():
    """Five each, for the same lambdas; a fit starts from the nearest of its tune."""
    for tune, first in (("psnr", 1), ("eye", 6)):
        assert list(bases_for(tune)) == list(range(first, first + 5))
        assert list(bases_for(tune).values()) == [4.0**-k / 62.5 for k in range(5)]
        assert [nearest_base(lambda_, tune) for lambda_ in (1, 1.1e-3, 1e-7)] == [first, first + 2, first + 4]
        assert {tune_of_base(base) for base in bases_for(tune)} == {tune}
    assert sorted([*bases_for("psnr"), *bases_for("eye")]) == list(range(1, BASES + 1))


def test_drawings_start_from_bases_of_squared_error():
    for tune in ("psnr", "eye"):
        arch = arch_of("default", 40, 56, 3, 1e-3, tune=tune, drawn=True)
        assert arch.base == nearest_base(1e-3, "psnr")

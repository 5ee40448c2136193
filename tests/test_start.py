"""What fits start from: finer codes at the highest rates, and a finest octave without brightness for the eye."""

import numpy as np
import pytest
import torch
from conftest import painted

from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.descent import start
from ddcodec.fit.descent.loop import run
from ddcodec.fit.descent.start import code_gain, for_finer_code, initial_weights, real_base, without_blur
from ddcodec.fit.loss.eye import eye_form
from ddcodec.fit.reference.ops import TorchOps
from ddcodec.fit.reference.rate import features_of, neighbourhood
from ddcodec.fit.reference.synthesis import synthesise
from ddcodec.format.arch import base_arch
from ddcodec.format.network import context

PICTURE = painted(40, 56).reshape(40, 56, 3)


@pytest.fixture(autouse=True)
def no_picture_is_small(monkeypatch):
    monkeypatch.setattr(start, "GAIN_PIXELS", 1)


def test_the_code_gets_finer_with_the_root_of_lambda(monkeypatch):
    assert [code_gain(base_arch(9, 9, 3, base), 1e-7) for base in (0, 1, 4)] == [1, 1, 1]
    arch = base_arch(9, 9, 3, 5)
    monkeypatch.setattr(start, "GAIN_PIXELS", 82)
    assert code_gain(arch, 1e-7) == 1
    monkeypatch.setattr(start, "GAIN_PIXELS", 81)
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
        monkeypatch.setattr(start, "GAIN_PIXELS", 1 if is_finer else 10**9)
        engine = CpuEngine(PICTURE, base_arch(56, 40, 3, 5), 1e-6)
        run(engine, 100)
        loss = engine.evaluate()
        values.append((loss.mse, loss.distortion + 1e-6 * loss.bits / engine.pixels))
    (mse, value), (finer_mse, finer_value) = values
    assert finer_mse < 0.7 * mse and finer_value < 0.8 * value


@pytest.mark.parametrize("base", [1, 5])
def test_the_finest_octave_starts_without_brightness_for_the_eye(base):
    """A code that is the same everywhere makes nothing there, but for what lies within reach of the border."""
    assert without_blur().sum() == pytest.approx(-1, abs=1e-6)
    arch = base_arch(56, 40, 3, base)
    weights = initial_weights(arch, PICTURE, np.random.default_rng(0), 1e-3, True)
    assert {name for name, values in weights.items() if not np.array_equal(values, real_base(arch)[name])} == {
        "filter.0"
    }
    engine = CpuEngine(PICTURE, arch, 1e-3, form=eye_form(PICTURE))
    assert np.array_equal(engine.weights()["filter.0"], weights["filter.0"])
    numbers = {name: torch.tensor(values) for name, values in weights.items()}
    pictures = []
    for value in (0.0, 5.0):
        code = {o: torch.zeros(1, *arch.size(o)) for o in arch.coded_octaves} | {0: torch.full((1, 40, 56), value)}
        pictures.append(synthesise(TorchOps("cpu", torch.float32), arch, code, numbers)[:, 3:-3, 3:-3])
    assert torch.allclose(*pictures, atol=1e-5)

"""Tests that `test_kernels.py` runs in a process of its own, whose Triton interprets kernels in NumPy, and again on a
GPU if there is one.
"""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import painted
from random_coded import DEFAULT

from ddcodec.fit.cuda.engine import GraphEngine
from ddcodec.fit.cuda.rate import fused_bits
from ddcodec.fit.cuda.synthesis import fused_objective
from ddcodec.fit.descent.start import moving
from ddcodec.fit.descent.task import FitTask
from ddcodec.fit.reference.ops import TorchOps
from ddcodec.fit.reference.rate import laplace_bits, neighbourhood
from ddcodec.format.arch import FEATURES
from ddcodec.format.network import context

DEVICE = "cpu" if "TRITON_INTERPRET" in os.environ else "cuda:0"
TOLERANCE = 1e-5 if DEVICE == "cpu" else 1e-2
"""Of gradients: on a GPU they come from products to 11 bits."""
ARCHS = {
    "default": replace(DEFAULT, width=23, height=19),
    "one row": replace(DEFAULT, width=150, height=1),
    "one column": replace(DEFAULT, width=1, height=70),
    "many planes": replace(DEFAULT, width=12, height=9, octaves=1, coarsest_planes=3),
    "all neighbours, a wide context": replace(DEFAULT, width=23, height=19, neighbours=20, context_channels=20),
    "a narrow context": replace(DEFAULT, width=23, height=19, neighbours=1, context_channels=3),
}


@pytest.mark.parametrize("name", ARCHS)
def test_bits_and_gradients_are_autograds(name):
    arch, fits, random = ARCHS[name], 2, torch.Generator().manual_seed(1)

    def leaf(*shape, scale=1.0):
        return (scale * torch.randn(*shape, generator=random)).to(DEVICE).requires_grad_()

    planes, features = (
        leaf(fits, arch.code_planes(0), *arch.size(0), scale=2.0),
        leaf(fits, FEATURES + 1, *arch.size(0)),
    )
    numbers = {
        name: leaf(fits, *shape, scale=0.5)
        for name, shape in arch.tensors()
        if name.startswith("context") and "features" not in name
    }
    prices = torch.rand(fits, generator=random).to(DEVICE)
    bits = fused_bits(arch, 0, planes, features, numbers)
    expected = []
    for fit in range(fits):
        own = {name: values[fit] for name, values in numbers.items()}
        inputs = torch.cat(
            [neighbourhood(planes[fit], arch.neighbours), features[fit].flatten(1).repeat(1, arch.code_planes(0))]
        )
        mean, log_scale = context(TorchOps(DEVICE), arch, own, inputs, 0)
        expected.append(laplace_bits(planes[fit].flatten() - mean, log_scale).sum())
    expected = torch.stack(expected)
    assert torch.allclose(bits, expected, rtol=1e-5)
    leaves = [planes, features, *numbers.values()]
    ours, theirs = (torch.autograd.grad((result * prices).sum(), leaves) for result in (bits, expected))
    for our, their in zip(ours, theirs):
        assert (our - their).norm() <= TOLERANCE * their.norm()


PASSING = replace(DEFAULT, octaves=3, finest_channels=4, channels=4, linear=4)
PASSING_ARCHS = {
    "colour, masked": replace(PASSING, width=13, height=11),
    "grey": replace(PASSING, width=9, height=15, planes=1),
    "one column, shortest taps": replace(PASSING, width=1, height=17, taps=1),
    "one row, masked, two octaves": replace(PASSING, width=12, height=1, octaves=2),
}
"""The first two have three blocks of positions, of which the last is not full: so have larger pictures."""


def moved_fits(arch, knowns=None, count=1, tune="eye"):
    """As many engines alike, of two fits with weights of their own."""
    picture = painted(arch.height, arch.width, arch.planes).reshape(arch.height, arch.width, -1)
    own = zip((picture, 255 - picture), (1e-2, 1e-3), knowns or (None, None))
    tasks = [FitTask(each, arch, lambda_, known=known, tune=tune) for each, lambda_, known in own]
    engines = [GraphEngine(tasks, device=DEVICE) for _ in range(count)]
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for first, *others in zip(
            *([*(engine.numbers[name] for name in moving(arch)), *engine.code.values()] for engine in engines)
        ):
            first += 0.2 * torch.randn(first.shape, generator=random).to(DEVICE)
            for other in others:
                other.copy_(first)
    return engines


@pytest.mark.parametrize("name", PASSING_ARCHS)
def test_objective_and_gradients_are_autograds(name):
    arch, random = PASSING_ARCHS[name], torch.Generator().manual_seed(1)
    assert arch.passes
    knowns = [None, np.random.default_rng(2).random((arch.height, arch.width)) < 0.5] if "masked" in name else None
    # Squared error alone in one of them, which takes a way of its own.
    (engine,) = moved_fits(arch, knowns, tune="psnr" if "taps" in name else "eye")
    code = {
        octave: (2 * torch.randn(y.shape, generator=random)).to(DEVICE).requires_grad_()
        for octave, y in engine.code.items()
    }
    leaves = [*(engine.numbers[name] for name in moving(arch)), *code.values()]
    ours = fused_objective(arch, code, engine.numbers, engine._target, engine._counts, engine._form)
    theirs = engine._objective(code, engine.numbers, engine._target, engine._counts, engine._form)
    prices, results = torch.tensor([1e-3, 1e-2], device=DEVICE), []
    for distortions, bits, _ in (ours, theirs):
        results.append(torch.autograd.grad((distortions + prices * bits).sum(), leaves))
    for our, their in zip(ours, theirs):
        assert torch.allclose(our, their, rtol=1e-5)
    for our, their in zip(*results):
        assert (our - their).norm() <= TOLERANCE * their.norm()


def test_a_step_with_the_kernels_is_the_step_without():
    plain, fused = moved_fits(replace(PASSING, width=9, height=8, octaves=2), count=2)
    for hard in (False, True):
        for engine, uses in ((plain, False), (fused, True)):
            for value, tensor in (
                (0.4, engine._temperature),
                (0.0, engine._noise),
                (1e-4, engine._code_rate),
                (1e-4, engine._weight_rate),
            ):
                tensor.fill_(value)
            engine._move(hard, uses)
        for ours, theirs in zip(fused.losses(), plain.losses()):
            assert ours == pytest.approx(theirs, rel=1e-4)
        # The running mean of the clipped gradients, of which each step adds a twentieth.
        names = moving(plain.arch)
        sizes = [plain.numbers[name][0].numel() for name in names]
        means = (engine._soap.state()[0].split(sizes, 1) for engine in (plain, fused))
        for name, theirs, ours in zip(names, *means):
            assert (theirs - ours).norm() <= 10 * TOLERANCE * theirs.norm() + 5e-9, name

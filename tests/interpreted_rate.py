"""Tests that `test_fused_rate.py` runs in a process of its own, whose Triton interprets kernels in NumPy."""

from dataclasses import replace

import pytest
import torch

from conftest import painted
from ddcodec.arch import FEATURES
from ddcodec.fit.cuda_engine import GraphEngine
from ddcodec.fit.fused_rate import fused_bits
from ddcodec.fit.objective import laplace_bits, neighbourhood
from ddcodec.fit.torch_ops import TorchOps
from ddcodec.network import context
from random_coded import DEFAULT

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
        return (scale * torch.randn(*shape, generator=random)).requires_grad_()

    planes, features = leaf(fits, arch.code_planes(0), *arch.size(0), scale=2.0), leaf(fits, FEATURES + 1, *arch.size(0))
    numbers = {name: leaf(fits, *shape, scale=0.5) for name, shape in arch.tensors() if name.startswith("context") and "features" not in name}
    prices = torch.rand(fits, generator=random)
    bits = fused_bits(arch, 0, planes, features, numbers)
    expected = []
    for fit in range(fits):
        own = {name: values[fit] for name, values in numbers.items()}
        inputs = torch.cat([neighbourhood(planes[fit], arch.neighbours), features[fit].flatten(1).repeat(1, arch.code_planes(0))])
        mean, log_scale = context(TorchOps(), arch, own, inputs, 0)
        expected.append(laplace_bits(planes[fit].flatten() - mean, log_scale).sum())
    expected = torch.stack(expected)
    assert torch.allclose(bits, expected, rtol=1e-5)
    leaves = [planes, features, *numbers.values()]
    ours, theirs = (torch.autograd.grad((result * prices).sum(), leaves) for result in (bits, expected))
    for our, their in zip(ours, theirs):
        assert (our - their).norm() <= 1e-5 * their.norm()


def test_a_step_with_the_kernel_is_the_step_without():
    arch = replace(DEFAULT, width=23, height=19)
    pictures = [painted(19, 23), 255 - painted(19, 23)]
    plain, fused = (GraphEngine(pictures, [arch] * 2, [1e-2, 1e-3]) for _ in range(2))
    with torch.no_grad():
        random = torch.Generator().manual_seed(2)
        for leaves in ("numbers", "code"):
            for name, leaf in getattr(plain, leaves).items():
                leaf += 0.2 * torch.randn(leaf.shape, generator=random)
                getattr(fused, leaves)[name].copy_(leaf)
    for hard in (False, True):
        for engine, uses in ((plain, False), (fused, True)):
            for value, tensor in ((0.4, engine._temperature), (0.0, engine._noise), (1e-4, engine._code_rate), (1e-4, engine._weight_rate)):
                tensor.fill_(value)
            engine._move(hard, uses)
        for ours, theirs in zip(fused.losses(), plain.losses()):
            assert ours == pytest.approx(theirs, rel=1e-4)
        # The running mean of the clipped gradients, of which each step adds a twentieth.
        sizes = [leaf[0].numel() for leaf in plain.numbers.values()]
        means = (engine._soap.state()[0].split(sizes, 1) for engine in (plain, fused))
        for name, theirs, ours in zip(plain.numbers, *means):
            assert (theirs - ours).norm() <= 1e-4 * theirs.norm() + 5e-9, name

"""Weights rounded together: their curvature against autograd's derivatives, their integers against exhaustive
search.
"""

from itertools import product

import numpy as np
import pytest
import torch
from conftest import painted

from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.descent.loop import run
from ddcodec.fit.freeze import search as freezing
from ddcodec.fit.freeze.curvature import OUTER, Curvature, curvature_of_bits, curvature_of_distortion, is_known
from ddcodec.fit.freeze.rounding import Rounding
from ddcodec.fit.freeze.search import freeze, plainly_rounded, real_weights
from ddcodec.fit.reference.engine import TorchEngine
from ddcodec.fit.reference.rate import features_of, laplace_bits, neighbourhood
from ddcodec.fit.reference.synthesis import synthesise
from ddcodec.format.arch import base_arch
from ddcodec.format.network import context
from ddcodec.format.weights import Weights, best_scale
from ddcodec.presets import arch_of

PRICE = 1e-6
ALL = 10**6


@pytest.fixture(scope="module", params=[1, 3], ids=["grey", "colour"])
def fitted(request):
    """A short fit: its engine, weights as integers, and its code."""
    engine = TorchEngine(painted(25, 31, request.param).reshape(25, 31, -1), base_arch(31, 25, request.param, 3), 1e-3)
    run(engine, 25)
    return (
        engine,
        plainly_rounded(engine),
        {octave: planes.astype(np.int64) for octave, planes in engine.rounded_code().items()},
    )


def jacobian(function, numbers, names):
    """The derivatives of a function of `numbers` (name -> tensor) by the tensors `names`: (outputs, weights)."""
    rows = torch.autograd.functional.jacobian(
        lambda *own: function(numbers | dict(zip(names, own))).flatten(), tuple(numbers[name] for name in names)
    )
    return torch.cat([row.flatten(1) for row in rows], 1)


def for_torch(engine, tensors, code):
    numbers = {name: torch.from_numpy(values) for name, values in real_weights(engine.arch, tensors).items()}
    return numbers, {octave: torch.from_numpy(planes).float() for octave, planes in code.items()}


def alike(matrix, expected, tolerance):
    """Up to a share of the geometric mean of the diagonal's two elements; in one of a thousand, of channels that are
    active in a few pixels alone, a pixel at their ReLU's edge may count in one and not in the other.
    """
    scale = np.sqrt(np.outer(*[expected.diagonal()] * 2)) + 1e-6 * expected.diagonal().max()
    share = abs(matrix - expected) / scale
    return (share < tolerance).mean() > 0.999 and (share < 10 * tolerance).all()


def test_the_curvature_of_the_distortion_is_that_of_gauss_and_newton(fitted):
    engine, tensors, code = fitted
    numbers, planes = for_torch(engine, tensors, code)
    slopes = jacobian(lambda own: synthesise(engine.ops, engine.arch, planes, own), numbers, OUTER).double().numpy()
    curvature = curvature_of_distortion(engine.arch, tensors, code, ALL, np.random.default_rng(0))
    assert curvature.names == OUTER and curvature.sizes == tuple(numbers[name].numel() for name in OUTER)
    assert alike(curvature.matrix, 2 / len(slopes) * slopes.T @ slopes, 0.05)
    known = np.zeros((25, 31), bool)
    known[3:20, 5:28] = True
    counted = slopes.reshape(-1, known.size, slopes.shape[1])[:, known.ravel()].reshape(-1, slopes.shape[1])
    curvature = curvature_of_distortion(engine.arch, tensors, code, ALL, np.random.default_rng(0), known)
    assert curvature.samples == known.sum() and alike(curvature.matrix, 2 / len(slopes) * counted.T @ counted, 0.05)


def test_the_curvature_of_the_bits_is_that_of_fisher(fitted):
    engine, tensors, code = fitted
    numbers, planes = for_torch(engine, tensors, code)
    names, expected = tuple(name for name in numbers if name.startswith("context")), 0.0

    def distributions(own, octave):
        _, values, features = next(
            part for part in features_of(engine.ops, engine.arch, planes, own) if part[0] == octave
        )
        return context(
            engine.ops,
            engine.arch,
            own,
            torch.cat([neighbourhood(values, engine.arch.neighbours), features.flatten(1)]),
            octave,
        ).T

    for octave in engine.arch.coded_octaves:
        slopes = (
            jacobian(lambda own: distributions(own, octave), numbers, names)
            .double()
            .numpy()
            .reshape(-1, 2, sum(numbers[name].numel() for name in names))
        )
        told = information(distributions(numbers, octave).double())
        # Of nats, as bits.
        expected = expected + PRICE / np.log(2) * np.einsum("nai,nab,nbj->ij", slopes, told, slopes, optimize=True)
    curvature = curvature_of_bits(engine.arch, tensors, code, ALL, np.random.default_rng(0), PRICE)
    assert curvature.names == names and curvature.sizes == tuple(numbers[name].numel() for name in names)
    assert alike(curvature.matrix, expected, 0.05)


def information(distributions):
    """What integers tell about mean and log2 of the scale, (n, 2), of their distributions, by autograd: (n, 2, 2),
    summed over 161 integers each.
    """
    total = 0.0
    for away in range(-80, 81):
        own = distributions.clone().requires_grad_()
        bits = laplace_bits((own[:, 0].round() + away).detach() - own[:, 0], own[:, 1])
        (slopes,) = torch.autograd.grad(bits.sum(), own)
        total = total + (torch.exp2(-bits) * np.log(2) ** 2)[:, None, None] * slopes[:, :, None] * slopes[:, None]
    return total.detach().numpy()


def test_a_sample_tells_about_the_same(fitted):
    engine, tensors, code = fitted
    random = np.random.default_rng(1)
    whole = curvature_of_distortion(engine.arch, tensors, code, ALL, random).matrix
    part = curvature_of_distortion(engine.arch, tensors, code, 500, random).matrix
    bits = [curvature_of_bits(engine.arch, tensors, code, count, random, PRICE).matrix for count in (ALL, 400)]
    for all_, some in ((whole, part), bits):
        assert 0.5 < some.trace() / all_.trace() < 2
        assert not (some == all_).all()


def test_only_planes_that_reach_the_end_as_they_are_have_a_curvature():
    assert is_known(base_arch(64, 64, 3, 0)) and not is_known(arch_of("classic", 64, 64, 3, 1e-3))


def cost_of(curvature, wished, integers, exponents, price):
    error = np.concatenate(
        [(2.0**-exponent * own - aim).ravel() for own, exponent, aim in zip(integers, exponents, wished)]
    )
    return 0.5 * error @ curvature.matrix @ error + price * sum(best_scale(own)[1] for own in integers)


@pytest.mark.parametrize("seed", range(6))
def test_integers_come_close_to_the_best_of_all(seed):
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((5, 5)) + 3 * random.standard_normal((5, 1))
    curvature = Curvature(("a", "b"), (3, 2), mixed.T @ mixed, 5)
    wished = {"a": random.standard_normal(3), "b": random.standard_normal(2)}
    price = 1e-2
    rounded, _, _ = Rounding(curvature, 0.0).search(wished, price, 0)
    exponents = [own.exponent for own in rounded.values()]
    reached = cost_of(curvature, wished.values(), [own.values for own in rounded.values()], exponents, price)
    middle = np.concatenate([np.rint(2.0**own.exponent * wished[name]) for name, own in rounded.items()]).astype(int)
    costs = {}
    for moves in product((-2, -1, 0, 1, 2), repeat=5):
        integers = np.split(middle + moves, [3])
        costs[moves] = cost_of(curvature, wished.values(), integers, exponents, price)
    assert reached <= 1.1 * min(costs.values())
    # Each rounded to the nearest is what must be beaten, or met.
    assert reached <= costs[0, 0, 0, 0, 0] + 1e-9


def test_more_tries_are_never_worse_and_are_counted():
    random = np.random.default_rng(3)
    mixed = random.standard_normal((60, 40))
    curvature = Curvature(("a", "b"), (30, 10), mixed.T @ mixed / 60, 60)
    wished = {"a": random.standard_normal((6, 5)), "b": 0.01 * random.standard_normal(10)}
    costs = []
    for tries in (0, 3, 30):
        rounded, rise, spent = Rounding(curvature, 0.0).search(wished, 1e-4, tries)
        assert spent <= tries and rounded["a"].values.shape == (6, 5)
        integers, exponents = [own.values for own in rounded.values()], [own.exponent for own in rounded.values()]
        costs.append(cost_of(curvature, wished.values(), integers, exponents, 1e-4))
        assert np.isclose(rise, cost_of(curvature, wished.values(), integers, exponents, 0))
    assert costs == sorted(costs, reverse=True)


def test_weights_that_do_not_matter_become_zeros():
    """Where damping says that the sample has shown all; else they may matter."""
    matrix = np.diag([1.0, 1.0, 0.0, 0.0])
    rounded, _, _ = Rounding(Curvature(("a",), (4,), matrix, 10**9), 1e-5).search(
        {"a": np.array([0.3, -0.2, 5.0, -0.4])}, 1e-4, 10
    )
    exponent, values = rounded["a"]
    assert not values[2:].any() and np.allclose(values[:2] * 2.0**-exponent, [0.3, -0.2], atol=0.03)
    kept, _, _ = Rounding(Curvature(("a",), (4,), matrix, 4), 1.0).search(
        {"a": np.array([0.3, -0.2, 5.0, -0.4])}, 1e-4, 10
    )
    assert abs(kept["a"].values[2] * 2.0 ** -kept["a"].exponent - 5) < 0.2
    nothing, _, _ = Rounding(Curvature(("a",), (4,), 0 * matrix, 4), 0.01).search({"a": np.ones(4)}, 1e-4, 10)
    assert not nothing["a"].values.any()


def test_slopes_mend_what_the_real_weights_did_not_show():
    """The quadratic has its least elsewhere than at the weights of the first search: slopes say so, and from where they
    lead to no move pays any more.
    """
    random = np.random.default_rng(5)
    mixed = random.standard_normal((8, 4)) + random.standard_normal((8, 1))
    curvature, price = Curvature(("a", "b"), (3, 1), mixed.T @ mixed, 8), 1e-2
    rounding = Rounding(curvature, 0.0)
    first, _, _ = rounding.search({"a": np.array([0.4, -0.3, 0.2]), "b": np.array([0.7])}, price, 0)
    real, steps = random.standard_normal(4), np.repeat([2.0 ** -first[name].exponent for name in "ab"], (3, 1))

    def error(integers):
        return np.concatenate([integers[name].values for name in "ab"]) * steps - real

    def cost(integers):
        return 0.5 * error(integers) @ curvature.matrix @ error(integers)

    def mended(integers):
        slopes = curvature.matrix @ error(integers)
        return rounding.mended(integers, {"a": slopes[:3], "b": slopes[3:]}, price)

    once, last = mended(first), mended(mended(mended(first)))
    assert all(once[name].exponent == first[name].exponent for name in "ab")
    assert cost(once) < 0.05 * cost(first)
    for name, change in product("ab", (-1, 1)):
        for place in range(last[name].values.size):
            moved = last[name].values.copy()
            moved[place] += change
            other = last | {name: Weights(last[name].exponent, moved)}
            assert (
                cost(other) + price * best_scale(moved)[1]
                > cost(last) + price * best_scale(last[name].values)[1] - 3 * price
            )


def test_rounded_together_weights_cost_less(monkeypatch, picture):
    """D + lambda R with the weights, as `freeze` finds it, against each tensor alone."""
    engine = CpuEngine(picture, base_arch(64, 48, 3, 3), 1e-3)
    run(engine, 150)

    def total():
        tensors = freeze(engine, 60)
        numbers = real_weights(engine.arch, tensors)
        bits = engine.bits(numbers) + sum(
            best_scale(tensors[name].values)[1] for name, _ in engine.arch.coded_tensors()
        )
        return engine.distortion(numbers)[0] + engine.lambda_ / engine.pixels * bits

    together = total()
    monkeypatch.setattr(freezing, "is_known", lambda arch: False)
    assert together < total()

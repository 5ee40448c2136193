"""Moves of single integers of the code: what engines say each costs, and that every move that is kept pays."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import painted

from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.descent.loop import run
from ddcodec.fit.freeze.moves import MOVES, OCTAVES, improve
from ddcodec.fit.reference.engine import TorchEngine
from ddcodec.format.arch import base_arch

LAMBDA = 2e-3
SIZES = [(37, 51), (1, 40), (23, 1), (6, 5)]


def fitted(rows, columns, *, planes=3, base=3, steps=60, threads=1, taps=2):
    picture = painted(rows, columns, planes).reshape(rows, columns, planes)
    arch = replace(base_arch(columns, rows, planes, base), taps=taps)
    engine = CpuEngine(picture, arch, LAMBDA, threads=threads)
    run(engine, steps)
    return engine, picture


def value(fit):
    loss = fit.evaluate()
    return loss.distortion + fit.lambda_ * loss.bits / fit.pixels


def reference(engine, picture):
    """The same state in the torch engine, in double precision."""
    import torch

    twin = TorchEngine(picture, engine.arch, engine.lambda_, dtype=torch.float64)
    twin.take({name: values.astype(float) for name, values in engine.weights().items()}, engine.rounded_code())
    return twin


@pytest.mark.parametrize("rows, columns", SIZES)
@pytest.mark.parametrize("threads", [1, 2])
def test_maps_are_the_references_and_add_up(rows, columns, threads):
    engine, picture = fitted(rows, columns, threads=threads)
    loss, twin = engine.evaluate(), reference(engine, picture)
    total = 0
    for octave in range(engine.arch.octaves):
        bits, errors = engine.maps(octave)
        expected, expected_errors = twin.maps(octave)
        assert len(bits) == len(expected) == octave + 1
        for ours, theirs in zip(bits, expected):
            assert ours.shape == theirs.shape and np.allclose(ours, theirs, atol=2e-4)
        assert errors.shape == (rows, columns) and np.allclose(errors, expected_errors, atol=1e-6)
        total += bits[0].sum(dtype=float)
    assert total == pytest.approx(loss.bits, rel=1e-4)
    assert errors.sum(dtype=float) / picture.size == pytest.approx(loss.distortion, rel=1e-4)


@pytest.mark.parametrize("options", [{}, {"planes": 1}, {"base": 0, "taps": 3}, {"threads": 2}], ids=str)
@pytest.mark.parametrize("rows, columns", SIZES)
def test_what_is_claimed_is_what_is_gained(rows, columns, options):
    engine, picture = fitted(rows, columns, **options)
    before = value(reference(engine, picture))
    fallen = improve(engine, 2000)
    assert fallen >= 0 and before - value(reference(engine, picture)) == pytest.approx(fallen, rel=0.02, abs=2e-7)
    if min(rows, columns) > 30:
        assert fallen > 0.002 * before


def test_no_further_move_pays():
    engine, picture = fitted(8, 9, steps=40)
    improve(engine, 10**6)
    twin = reference(engine, picture)
    least = value(twin)
    for octave in range(OCTAVES):
        plane = engine.rounded_code()[octave][0]
        for place in np.ndindex(plane.shape):
            for move in MOVES:
                tried = plane.copy()
                tried[place] += move or -np.sign(tried[place])
                twin.put_plane(octave, tried)
                assert value(twin) > least - 1e-8
        twin.put_plane(octave, plane)


def test_an_octave_without_bits_takes_no_measurements():
    """At low rates the finest is empty."""
    engine, _ = fitted(40, 56)
    engine.put_plane(0, np.zeros((40, 56), np.float32))
    engine.put_plane(1, np.random.default_rng(0).integers(-4, 5, (20, 28)).astype(np.float32))
    bits, _ = engine.maps(engine.arch.octaves - 1)
    assert bits[-1].sum() < 0.02 * sum(octave.sum() for octave in bits)
    assert improve(engine, 121) > 0 and not engine.rounded_code()[0].any()


def test_limits():
    engine, _ = fitted(40, 56)
    before, told = engine.rounded_code(), []
    assert improve(engine, 55) == 0 and improve(engine, 500, is_over=lambda: True) == 0
    assert all(np.array_equal(before[octave], planes) for octave, planes in engine.rounded_code().items())
    assert improve(engine, 56, progress=told.append) > 0
    assert [(each.phase, each.step, each.total) for each in told] == [("code", step, 56) for step in range(1, 57)]
    after = engine.rounded_code()
    assert (abs(after[0]) <= abs(before[0])).all() and all(
        np.array_equal(before[octave], after[octave]) for octave in range(1, 7)
    )

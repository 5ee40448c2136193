"""Moves of single integers of the code: what engines say each costs, and that every move that is kept pays."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import painted

from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.descent.loop import run
from ddcodec.fit.freeze.moves import MOVES, OCTAVES, improve
from ddcodec.fit.loss.eye import eye_form
from ddcodec.fit.loss.form import SQUARED_ERROR
from ddcodec.fit.reference.engine import TorchEngine
from ddcodec.format.arch import base_arch

LAMBDA = 2e-3
SIZES = [(37, 51), (1, 40), (23, 1), (6, 5)]


def fitted(rows, columns, *, planes=3, base=3, steps=60, threads=1, taps=2, eye=False):
    picture = painted(rows, columns, planes).reshape(rows, columns, planes)
    arch = replace(base_arch(columns, rows, planes, base), taps=taps)
    form = eye_form(picture) if eye else SQUARED_ERROR
    engine = CpuEngine(picture, arch, LAMBDA, threads=threads, form=form)
    run(engine, steps)
    return engine, picture


def value(fit):
    loss = fit.evaluate()
    return loss.distortion + fit.lambda_ * loss.bits / fit.pixels


def reference(engine, picture):
    """The same state in the torch engine, in double precision."""
    import torch

    twin = TorchEngine(picture, engine.arch, engine.lambda_, dtype=torch.float64, form=engine.form)
    twin.take({name: values.astype(float) for name, values in engine.weights().items()}, engine.rounded_code())
    return twin


@pytest.mark.parametrize("rows, columns", SIZES)
@pytest.mark.parametrize("eye", [False, True])
def test_maps_are_the_references_and_add_up(rows, columns, eye):
    engine, picture = fitted(rows, columns, threads=2, eye=eye)
    loss, twin = engine.evaluate(), reference(engine, picture)
    total = 0
    for octave in range(engine.arch.octaves):
        bits, parts = engine.maps(octave, anew=True)
        expected, expected_parts = twin.maps(octave, anew=True)
        assert len(bits) == len(expected) == octave + 1
        for ours, theirs in zip(bits, expected):
            assert ours.shape == theirs.shape and np.allclose(ours, theirs, atol=2e-4)
        assert parts.shape == (rows, columns) and np.allclose(parts, expected_parts, atol=1e-6 / picture.size)
        total += bits[0].sum(dtype=float)
    assert total == pytest.approx(loss.bits, rel=1e-4)
    assert parts.sum(dtype=float) == pytest.approx(loss.distortion, rel=1e-4)
    plane = engine.rounded_code()[0][0]
    plane[::5, ::3] += 1
    for fit in (engine, twin):
        fit.put_plane(0, plane)
    _, parts = engine.maps(0)
    _, expected_parts = twin.maps(0)
    assert np.allclose(parts, expected_parts, atol=1e-6 / picture.size)
    growth = engine.evaluate().distortion - loss.distortion
    assert parts.sum(dtype=float) == pytest.approx(growth, rel=1e-3)


def test_parts_of_changes_that_share_no_cell_are_their_own():
    """Each is what the change alone does to D."""
    engine, _ = fitted(64, 96, eye=True)
    before, plane = engine.evaluate().distortion, engine.rounded_code()[0][0]
    engine.maps(0, anew=True)
    alone = []
    for column in (24, 72):
        one = plane.copy()
        one[32, column] += 3
        engine.put_plane(0, one)
        alone.append(engine.evaluate().distortion - before)
    plane[32, [24, 72]] += 3
    engine.put_plane(0, plane)
    _, parts = engine.maps(0)
    halves = [half.sum(dtype=float) for half in np.split(parts, 2, axis=1)]
    assert halves == pytest.approx(alone, rel=1e-3)


@pytest.mark.parametrize("options", [{}, {"planes": 1}, {"base": 0, "taps": 3}, {"threads": 2, "eye": True}], ids=str)
@pytest.mark.parametrize("rows, columns", SIZES)
def test_what_is_claimed_is_what_is_gained(rows, columns, options):
    engine, picture = fitted(rows, columns, **options)
    before = value(reference(engine, picture))
    fallen = improve(engine, 2000)
    # With the eye's form, what moves of two tiles do to each other is shared as well as it can be.
    close = 0.1 if options.get("eye") else 0.02
    assert fallen >= 0 and before - value(reference(engine, picture)) == pytest.approx(fallen, rel=close, abs=2e-7)
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
    bits, _ = engine.maps(engine.arch.octaves - 1, anew=True)
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

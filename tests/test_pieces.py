"""The small pieces of the fit in C against NumPy in float64, for each kind of vectors."""

import ctypes
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_coded import DEFAULT
from test_cpu_engine import LEVELS, noise_of

from ddcodec.format.arch import Window
from ddcodec.format.network import double
from ddcodec.native.build import FIT_FLAGS, FIT_LEVELS, FLAGS, compilers, own_target

SIDE = 16
"""Numbers beside a row that a function may touch."""
FORMS = "affine", "gated", "added"
NO_RELU = 2**31 - 1


@pytest.fixture(scope="module", params=LEVELS)
def pieces(request, tmp_path_factory):
    """The functions of `pieces.c`."""
    folder = tmp_path_factory.mktemp("pieces")
    path, machine = folder / f"pieces{request.param}.so", own_target().machine
    own = FIT_LEVELS.get(machine, {0: ()})[request.param]
    source = Path(__file__).with_name("pieces.c")
    options = [*FLAGS, *own, *FIT_FLAGS, f"-DDDC_LEVEL={request.param}", "-shared", "-fPIC", "-lm"]
    subprocess.run([*compilers()[0], *options, str(source), "-o", str(path)], check=True)
    library = ctypes.CDLL(str(path))
    library.LANES = ctypes.c_int.in_dll(library, "lanes").value
    return library


def floats(*shape):
    """Zeros; functions may write as far as the arrays here reach, and not beyond."""
    return np.zeros(shape, np.float32)


def at(array):
    return ctypes.c_void_p(array.ctypes.data)


def close(ours, theirs, scale=1.0, tolerance=1e-5):
    """Equal but for a share of `scale`, the size of what has been added up; also no NaN."""
    return (np.abs(ours - theirs) <= tolerance * (scale + np.abs(theirs))).all()


def run_unary(pieces, x, y):
    names = (
        "exp exp2 log nearest floor sign chosen even odd low high total magnitude root maximum minimum clamped".split()
    )
    results = floats(len(names), len(x))
    pieces.unary(at(results), at(x), at(y), x.size)
    return dict(zip(names, results))


@pytest.fixture
def random():
    return np.random.default_rng(7)


def test_functions_of_vectors(pieces, random):
    count = 64 * pieces.LANES
    x = (8 * random.standard_normal(count)).astype(np.float32)
    x[:8] = 0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3
    y = np.exp(20 * random.standard_normal(count)).clip(1e-37, 1e37).astype(np.float32)
    y[::2] = random.uniform(0.3, 2, count // 2)
    y[:2] = 1, 1 + 1e-6
    found, wide, high = run_unary(pieces, x, y), x.astype(float), y.astype(float)
    # The argument of exp2 in exp has the errors of a product of x.
    assert (np.abs(found["exp"] / np.exp(wide) - 1) <= 1.5e-7 * (1 + np.abs(wide))).all()
    assert np.allclose(found["exp2"], np.exp2(wide), rtol=1.5e-7, atol=0)
    assert np.allclose(found["log"], np.log(high), rtol=4e-7, atol=4e-9)
    assert np.allclose(found["root"], np.sqrt(high), rtol=1.5e-7, atol=0)
    exact = {
        "nearest": np.rint(x),
        "floor": np.floor(x),
        "sign": np.sign(x),
        "chosen": np.where(x > y, x, y),
        "magnitude": np.abs(x),
        "maximum": np.maximum(x, y),
        "minimum": np.minimum(x, y),
        "clamped": x.clip(-1, 2),
    }
    for name, expected in exact.items():
        assert np.array_equal(found[name], expected), name
    lanes = wide.reshape(-1, pieces.LANES)
    sums, sizes = lanes.sum(1)[:, None], np.abs(lanes).sum(1)[:, None]
    assert close(found["total"].reshape(-1, pieces.LANES), sums, sizes)


def test_what_is_no_number_shows(pieces):
    """Otherwise a fit that has blown up would look healthy."""
    x, y = floats(2, pieces.LANES)
    x[:] = np.nan
    found = run_unary(pieces, x, y)
    assert all(np.isnan(found[name]).all() for name in ("exp", "exp2", "total", "maximum", "minimum", "clamped"))


def test_powers_end_where_floats_do(pieces, random):
    x = np.full(pieces.LANES, 1e4, np.float32)
    x[1::2] *= -1
    found = run_unary(pieces, x, np.ones(pieces.LANES, np.float32))
    expected = np.where(x > 0, 2.0**126, 2.0**-126).astype(np.float32)
    assert np.array_equal(found["exp"], expected) and np.array_equal(found["exp2"], expected)


def test_lanes_change_places(pieces, random):
    x, y = random.standard_normal((2, pieces.LANES)).astype(np.float32)
    both, mixed = np.concatenate([x, y]), np.stack([x, y], 1).ravel()
    found = run_unary(pieces, x, y)
    assert np.array_equal(found["even"], both[::2]) and np.array_equal(found["odd"], both[1::2])
    assert np.array_equal(found["low"], mixed[: pieces.LANES]) and np.array_equal(found["high"], mixed[pieces.LANES :])


def test_first_lanes(pieces, random):
    x = random.standard_normal(pieces.LANES).astype(np.float32)
    start, stop = -2, pieces.LANES + 3
    found = floats(stop - start, pieces.LANES)
    pieces.firsts(at(found), at(x), start, stop)
    for row, count in zip(found, range(start, stop)):
        assert np.array_equal(row, np.where(np.arange(pieces.LANES) < count, x, 0))


def test_normal_numbers(pieces):
    count, key = 2**17, 0x9ABCDEF1

    def drawn(key, index):
        found = floats(count)
        pieces.normals(at(found), key, index, count)
        return found

    found = drawn(key, 0)
    assert abs(found.mean()) < 0.015 and abs(found.var() - 1) < 0.02
    # Four uniform numbers end here.
    assert 3 < np.abs(found).max() < 2 * 3**0.5 + 1e-6
    # Neighbours, and the same places under another key, are independent, and so are their squares.
    for other in (np.roll(found, 1), np.roll(found, pieces.LANES), drawn(key + 1, 0)):
        assert abs(np.corrcoef(found, other)[0, 1]) < 0.015
        assert abs(np.corrcoef(found**2, other**2)[0, 1]) < 0.015
    # A position's number is the same in any lane and for any length of the vectors, of which NumPy knows nothing.
    assert np.allclose(found, noise_of(key, np.arange(count)), atol=1e-6)
    for index in (1, 5, 1000):
        assert np.array_equal(drawn(key, index)[:-index], found[index:])


class Rows:
    """Random rows with a list of their addresses, and so many floats before and behind what a product reads or
    writes.
    """

    def __init__(self, random, count, width):
        self.before = int(random.integers(0, 2 * SIDE))
        self.all = random.standard_normal((count, self.before + width + SIDE)).astype(np.float32)
        # In any order: rows are where the list says.
        self.order, self.width = random.permutation(count), width
        self._list = np.array([self.all[row, self.before :].ctypes.data for row in self.order], np.int64)

    @property
    def list(self):
        return at(self._list)

    def values(self):
        return self.all[self.order, self.before : self.before + self.width].astype(float)

    def outside(self):
        return np.delete(self.all, np.s_[self.before : self.before + self.width], 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(40))
def test_products(pieces, form, seed):
    random = np.random.default_rng(seed)
    outputs, count = int(random.integers(1, 15)), int(random.integers(0, 14))
    vectors = int(random.integers(1, 20))
    width = vectors * pieces.LANES
    linear = NO_RELU if seed % 3 == 0 else int(random.integers(0, outputs + 1))
    # Of any matrix in memory, also a transposed one, or one that is read backwards.
    memory = random.standard_normal((3 * outputs + 1, 2 * count + 1)).astype(np.float32)
    weights = memory[1 : 3 * outputs : 3, 1 : 2 * count : 2] if count else memory[:outputs, :0]
    if seed % 4 == 1:
        weights = weights[:, ::-1]
    if seed % 4 == 2:
        weights = np.asfortranarray(weights)
    targets, sources, gates = (Rows(random, rows, width) for rows in (outputs, count, outputs))
    bias = None if seed % 5 == 0 else random.standard_normal(outputs).astype(np.float32)
    floor = np.where(np.arange(outputs) < linear, -np.inf, 0)[:, None]
    product, before, outside = weights.astype(float) @ sources.values(), targets.values(), targets.outside()
    expected = {
        "affine": np.maximum(product + (0 if bias is None else bias[:, None]), floor),
        "gated": np.where(gates.values() > floor, product, 0),
        "added": np.maximum(before + product, floor),
    }[form]
    pieces.any_product(
        FORMS.index(form),
        targets.list,
        outputs,
        sources.list,
        count,
        at(weights),
        ctypes.c_int64(weights.strides[0] // 4),
        ctypes.c_int64(weights.strides[1] // 4),
        None if bias is None else at(bias),
        gates.list,
        linear,
        vectors,
    )
    assert close(targets.values(), expected, 1 + np.abs(weights).sum(1)[:, None])
    assert np.array_equal(targets.outside(), outside)


@pytest.mark.parametrize("seed", range(30))
def test_outer_products(pieces, seed):
    random = np.random.default_rng(seed)
    rows, columns, vectors = int(random.integers(1, 12)), int(random.integers(1, 14)), int(random.integers(1, 9))
    gradients, inputs = (Rows(random, count, vectors * pieces.LANES) for count in (rows, columns))
    # Sums go on from what is there.
    sums = random.standard_normal((rows * columns + 1, pieces.LANES)).astype(np.float32)
    expected = sums[:-1].reshape(rows, columns, pieces.LANES).astype(float)
    behind = sums[-1].copy()
    left, right = (own.values().reshape(-1, vectors, pieces.LANES) for own in (gradients, inputs))
    expected += np.einsum("rvl,cvl->rcl", left, right)
    pieces.any_outer(at(sums), gradients.list, rows, inputs.list, columns, vectors)
    assert close(sums[:-1].reshape(expected.shape), expected, vectors)
    assert np.array_equal(sums[-1], behind)


class RealOps:
    """As much of the arithmetic of `network` as doubling needs, in float64."""

    def take(self, planes, indices, axis):
        return np.take(planes, indices, axis)

    def weighted_sum(self, planes, taps, first, count, axis):
        return sum(tap * np.take(planes, range(first + k, first + k + count), axis) for k, tap in enumerate(taps))

    def interleave(self, even, odd, axis, start, stop):
        shape = list(even.shape)
        shape[axis] *= 2
        return np.take(np.stack([even, odd], axis + 1).reshape(shape), range(start, stop), axis)

    def round(self, values):
        return values


@pytest.mark.parametrize("magnitudes", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 5), (7, 33), (8, 64), (5, 31)])
def test_doubling_is_the_formats(pieces, size, magnitudes):
    rows, columns = size
    random = np.random.default_rng(rows)
    arch = replace(DEFAULT, width=columns, height=rows, octaves=2)
    coarse_rows, coarse_columns = arch.size(1)
    # Behind a row stand numbers that must not show.
    plane = random.standard_normal((coarse_rows, coarse_columns + 2 * SIDE)).astype(np.float32)
    seen = plane[None, :, :coarse_columns].astype(float)
    expected = double(RealOps(), arch, 0, np.abs(seen) if magnitudes else seen, Window(0, rows))[0]
    for row in range(rows):
        across = random.standard_normal(coarse_columns + 4 * SIDE).astype(np.float32)
        along = floats(2 * coarse_columns + 4 * SIDE)
        far = plane[pieces.other(coarse_rows, row)]
        pieces.doubled(at(plane[row // 2]), at(far), magnitudes, at(across[SIDE:]), at(along), coarse_columns)
        assert close(along[:columns], expected[row])

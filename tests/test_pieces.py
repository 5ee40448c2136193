"""The small pieces of the CPU kernels against NumPy in float64: vectors, products, packing, doubling."""

from dataclasses import replace

import numpy as np
import pytest
from numba import float32
from random_coded import DEFAULT
from test_cpu_engine import noise_of

from ddcodec.fit.cpu import products, simd
from ddcodec.fit.cpu.engine import _digest
from ddcodec.fit.cpu.layout import MARGIN, NEVER, ROWS
from ddcodec.fit.cpu.seen import double_row, other_row
from ddcodec.fit.cpu.simd import BYTES, LANES, kept
from ddcodec.format.arch import Window
from ddcodec.format.network import double


def made(digest):
    """Make the kernels that Python calls, as compiled for the sources of that digest; see `engine._made`.

    There are few, since each takes a second to compile.
    """

    @kept
    def unary(target, a, b, count):
        """Rows of results, `count` bytes apart, of a vector each of a and b."""
        digest  # noqa: B018
        for at in range(0, count, BYTES):
            x, y = simd.load(a + at), simd.load(b + at)
            row = target + at
            simd.store(row, simd.exp(x))
            simd.store(row + count, simd.exp2(x))
            simd.store(row + 2 * count, simd.log(y))
            simd.store(row + 3 * count, simd.rint(x))
            simd.store(row + 4 * count, simd.floor(x))
            simd.store(row + 5 * count, simd.sign(x))
            simd.store(row + 6 * count, simd.where(x, y, x, y))
            simd.store(row + 7 * count, simd.even(x, y))
            simd.store(row + 8 * count, simd.odd(x, y))
            simd.store(row + 9 * count, simd.low(x, y))
            simd.store(row + 10 * count, simd.high(x, y))
            simd.store(row + 11 * count, simd.full(simd.total(x)))
            simd.store(row + 12 * count, simd.absolute(x))
            simd.store(row + 13 * count, simd.root(y))
            simd.store(row + 14 * count, simd.maximum(x, y))
            simd.store(row + 15 * count, simd.minimum(x, y))

    @kept
    def firsts(target, a, start, stop):
        digest  # noqa: B018
        for count in range(start, stop):
            simd.store(target + (count - start) * BYTES, simd.first(simd.load(a), count))

    @kept
    def normals(target, key, index, count):
        digest  # noqa: B018
        for place in range(0, count, LANES):
            simd.store(target + 4 * place, simd.normal(key, index + place))

    @kept
    def product(form, targets, target, sources, source, weights, extra, gate, floor, outputs, count, vectors):
        digest  # noqa: B018
        if form == 0:
            products.affine(targets, target, sources, source, weights, extra, gate, floor, outputs, count, vectors)
        elif form == 1:
            products.gated(targets, target, sources, source, weights, extra, gate, floor, outputs, count, vectors)
        else:
            products.added(targets, target, sources, source, weights, extra, gate, floor, outputs, count, vectors)

    @kept
    def outer(sums, gradients, gradient, inputs, input_, rows, columns, vectors, repeats, gradient_step, input_step):
        digest  # noqa: B018
        products.outer(
            sums, gradients, gradient, inputs, input_, rows, columns, vectors, repeats, gradient_step, input_step
        )

    @kept
    def pack(packed, matrix, outputs, count, before, of, by_output, by_input, gain):
        digest  # noqa: B018
        products.pack(packed, matrix, outputs, count, before, of, by_output, by_input, float32(gain))

    @kept
    def folded(sums):
        digest  # noqa: B018
        return products.folded(sums)

    @kept
    def doubled(near, far, magnitudes, across, along, columns):
        digest  # noqa: B018
        double_row(near, far, magnitudes, across, along, columns)

    return unary, firsts, normals, product, outer, pack, folded, doubled


unary, firsts, normals, product, outer, pack, folded, doubled = made(_digest())


def floats(*shape):
    """Zeros; kernels may write as far as the arrays here reach, and not beyond."""
    return np.zeros(shape, np.float32)


def addresses(rows):
    """A list of the addresses of rows, as kernels take it."""
    return np.array([row.ctypes.data for row in rows], np.int64)


def close(ours, theirs, scale=1.0, tolerance=1e-5):
    """Equal but for a share of `scale`, the size of what has been added up; also no NaN."""
    return (np.abs(ours - theirs) <= tolerance * (scale + np.abs(theirs))).all()


def run_unary(x, y):
    results = floats(16, len(x))
    unary(results.ctypes.data, x.ctypes.data, y.ctypes.data, x.nbytes)
    return dict(
        zip(
            "exp exp2 log rint floor sign where even odd low high total absolute root maximum minimum".split(),
            results,
        )
    )


@pytest.fixture
def random():
    return np.random.default_rng(7)


def test_functions_of_vectors(random):
    count = 64 * LANES
    x = (8 * random.standard_normal(count)).astype(np.float32)
    x[:8] = 0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3
    y = np.exp(20 * random.standard_normal(count)).clip(1e-37, 1e37).astype(np.float32)
    y[::2] = random.uniform(0.3, 2, count // 2)
    y[:2] = 1, 1 + 1e-6
    found, wide, high = run_unary(x, y), x.astype(float), y.astype(float)
    # The argument of exp2 in exp has the errors of a product of x.
    assert (np.abs(found["exp"] / np.exp(wide) - 1) <= 1.5e-7 * (1 + np.abs(wide))).all()
    assert np.allclose(found["exp2"], np.exp2(wide), rtol=1.5e-7, atol=0)
    assert np.allclose(found["log"], np.log(high), rtol=4e-7, atol=4e-9)
    assert np.allclose(found["root"], np.sqrt(high), rtol=1.5e-7, atol=0)
    exact = {
        "rint": np.rint(x),
        "floor": np.floor(x),
        "sign": np.sign(x),
        "where": np.where(x > y, x, y),
        "absolute": np.abs(x),
        "maximum": np.maximum(x, y),
        "minimum": np.minimum(x, y),
    }
    for name, expected in exact.items():
        assert np.array_equal(found[name], expected), name
    sums = wide.reshape(-1, LANES).sum(1)
    assert close(found["total"].reshape(-1, LANES), sums[:, None], np.abs(wide).reshape(-1, LANES).sum(1)[:, None])


def test_powers_end_where_floats_do(random):
    x = np.full(LANES, 1e4, np.float32)
    x[1::2] *= -1
    found = run_unary(x, np.ones(LANES, np.float32))
    expected = np.where(x > 0, 2.0**126, 2.0**-126).astype(np.float32)
    assert np.array_equal(found["exp"], expected) and np.array_equal(found["exp2"], expected)


def test_lanes_change_places(random):
    x, y = random.standard_normal((2, LANES)).astype(np.float32)
    both, mixed = np.concatenate([x, y]), np.stack([x, y], 1).ravel()
    found = run_unary(x, y)
    assert np.array_equal(found["even"], both[::2]) and np.array_equal(found["odd"], both[1::2])
    assert np.array_equal(found["low"], mixed[:LANES]) and np.array_equal(found["high"], mixed[LANES:])


def test_first_lanes(random):
    x = random.standard_normal(LANES).astype(np.float32)
    start, stop = -2, LANES + 3
    found = floats(stop - start, LANES)
    firsts(found.ctypes.data, x.ctypes.data, start, stop)
    for row, count in zip(found, range(start, stop)):
        assert np.array_equal(row, np.where(np.arange(LANES) < count, x, 0))


def test_normal_numbers():
    count, key = 2**17, 0x9ABCDEF1

    def drawn(key, index):
        found = floats(count)
        normals(found.ctypes.data, key, index, count)
        return found

    found = drawn(key, 0)
    assert abs(found.mean()) < 0.015 and abs(found.var() - 1) < 0.02
    # Four uniform numbers end here.
    assert 3 < np.abs(found).max() < 2 * 3**0.5 + 1e-6
    # Neighbours, and the same places under another key, are independent, and so are their squares.
    for other in (np.roll(found, 1), np.roll(found, LANES), drawn(key + 1, 0)):
        assert abs(np.corrcoef(found, other)[0, 1]) < 0.015
        assert abs(np.corrcoef(found**2, other**2)[0, 1]) < 0.015
    # A position's number is the same in any lane and for any length of the vectors, of which NumPy knows nothing.
    assert np.allclose(found, noise_of(key, np.arange(count)), atol=1e-6)
    for index in (1, 5, 1000):
        assert np.array_equal(drawn(key, index)[:-index], found[index:])


def unpacked(packed, outputs, count):
    """W (outputs, count) of blocks of 4, 2 and 1 outputs, input by input."""
    blocks, row = [], 0
    while row < outputs:
        height = next(h for h in (4, 2, 1) if row + h <= outputs)
        blocks.append(packed[row * count : (row + height) * count].reshape(count, height).T)
        row += height
    return np.concatenate(blocks)


@pytest.mark.parametrize("seed", range(6))
def test_packing(seed):
    random = np.random.default_rng(seed)
    outputs, count, before, after = random.integers(1, 12, 4)
    of, weights = before + count + after, random.standard_normal((outputs, count)).astype(np.float32)
    packed = floats(outputs * of)
    packed[:] = 7
    pack(packed.ctypes.data, weights.ctypes.data, outputs, count, before, of, count, 1, 0.5)
    whole = unpacked(packed, outputs, of)
    assert np.array_equal(whole[:, before : before + count], weights / 2)
    assert (np.delete(whole, np.s_[before : before + count], 1) == 7).all()

    # The transpose, from the same place.
    packed = floats(outputs * count)
    pack(packed.ctypes.data, weights.ctypes.data, count, outputs, 0, outputs, 1, count, 1.0)
    assert np.array_equal(unpacked(packed, count, outputs), weights.T)


class Rows:
    """Random rows with a list of their addresses, and so many floats before and behind what a product reads or
    writes.
    """

    def __init__(self, random, count, width):
        self.before = int(random.integers(0, 4)) * LANES + int(random.integers(0, LANES))
        self.all = random.standard_normal((count, self.before + width + LANES)).astype(np.float32)
        # In any order: rows are where the list says.
        self.order = random.permutation(count)
        self.list = addresses([self.all[row] for row in self.order])
        self.width = width

    @property
    def offset(self):
        return 4 * self.before

    def values(self):
        return self.all[self.order, self.before : self.before + self.width].astype(float)

    def outside(self):
        return np.delete(self.all, np.s_[self.before : self.before + self.width], 1)


@pytest.mark.parametrize("form", ["affine", "gated", "added"])
@pytest.mark.parametrize("seed", range(12))
def test_products(form, seed):
    random = np.random.default_rng(seed)
    outputs, count = int(random.integers(1, 12)), int(random.integers(0, 14))
    vectors = int(random.integers(1, 12))
    # One row of one vector more than a tile has is a tile of its own, also behind another.
    if seed < 2:
        outputs, vectors = 1, (seed + 1) * products.VECTORS + 1
    width = vectors * LANES
    weights = random.standard_normal((outputs, count)).astype(np.float32)
    packed = floats(outputs * count + 1)
    pack(packed.ctypes.data, weights.ctypes.data, outputs, count, 0, count, count, 1, 1.0)
    targets, sources, gates = (Rows(random, rows, width) for rows in (outputs, count, outputs))
    floor = np.where(random.random(outputs) < 0.5, NEVER, 0.3 * random.standard_normal(outputs)).astype(np.float32)
    bias = random.standard_normal(outputs).astype(np.float32)
    extra = {"affine": bias, "gated": gates.list, "added": bias}[form]
    product_of, before, outside = weights.astype(float) @ sources.values(), targets.values(), targets.outside()
    expected = {
        "affine": np.maximum(product_of + bias[:, None], floor[:, None]),
        "gated": np.where(gates.values() > floor[:, None], product_of, 0),
        "added": np.maximum(before + product_of, floor[:, None]),
    }[form]
    product(
        ("affine", "gated", "added").index(form),
        targets.list.ctypes.data,
        targets.offset,
        sources.list.ctypes.data,
        sources.offset,
        packed.ctypes.data,
        extra.ctypes.data,
        gates.offset,
        floor.ctypes.data,
        outputs,
        count,
        vectors,
    )
    assert close(targets.values(), expected, 1 + np.abs(weights).sum(1)[:, None])
    assert np.array_equal(targets.outside(), outside)


@pytest.mark.parametrize("seed", range(12))
def test_outer_products(seed):
    random = np.random.default_rng(seed)
    rows, columns = int(random.integers(1, 12)), int(random.integers(1, 14))
    vectors, repeats = int(random.integers(1, 9)), int(random.integers(1, 4))
    steps = [LANES * (vectors + int(random.integers(0, 3))) for _ in range(2)]
    gradients, inputs = (
        Rows(random, count, repeats * step + vectors * LANES) for count, step in zip((rows, columns), steps)
    )
    # Sums go on from what is there.
    sums = random.standard_normal((rows * columns + 1, LANES)).astype(np.float32)
    expected = sums[:-1].reshape(rows, columns, LANES).astype(float)
    behind = sums[-1].copy()
    for repeat in range(repeats):
        left, right = (
            own.values()[:, repeat * step :][:, : vectors * LANES].reshape(-1, vectors, LANES)
            for own, step in zip((gradients, inputs), steps)
        )
        expected += np.einsum("rvl,cvl->rcl", left, right)
    outer(
        sums.ctypes.data,
        gradients.list.ctypes.data,
        gradients.offset,
        inputs.list.ctypes.data,
        inputs.offset,
        rows,
        columns,
        vectors,
        repeats,
        4 * steps[0],
        4 * steps[1],
    )
    assert close(sums[:-1].reshape(expected.shape), expected, vectors * repeats)
    assert np.array_equal(sums[-1], behind)
    own = expected[-1, -1].sum()
    assert folded(sums[-2].ctypes.data) == pytest.approx(own, abs=1e-4)


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
def test_doubling_is_the_formats(size, magnitudes):
    rows, columns = size
    random = np.random.default_rng(rows)
    arch = replace(DEFAULT, width=columns, height=rows, octaves=2)
    coarse_rows, coarse_columns = arch.size(1)
    # Behind a row stand numbers that must not show.
    plane = random.standard_normal((coarse_rows, coarse_columns + 2 * MARGIN)).astype(np.float32)
    seen = plane[None, :, :coarse_columns].astype(float)
    expected = double(RealOps(), arch, 0, np.abs(seen) if magnitudes else seen, Window(0, rows))[0]
    here = np.zeros(ROWS + 1, np.int64)
    here[ROWS] = coarse_rows
    for row in range(rows):
        across = random.standard_normal(coarse_columns + 4 * MARGIN).astype(np.float32)
        along = floats(2 * coarse_columns + 4 * MARGIN)
        doubled(
            plane[row // 2].ctypes.data,
            plane[other_row.py_func(here, row)].ctypes.data,
            magnitudes,
            across[MARGIN:].ctypes.data,
            along.ctypes.data,
            coarse_columns,
        )
        assert close(along[:columns], expected[row])

"""The fused kernels against autograd in float64, and their fits against the reference's."""

import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import painted
from random_coded import DEFAULT, random_arch

from ddcodec.fit.cpu.engine import CpuEngine, memory_of
from ddcodec.fit.descent.schedule import Point, point_at
from ddcodec.fit.descent.soap import BETAS, Betas, Soap, by_qr, code_epsilon
from ddcodec.fit.descent.start import moving, real_base
from ddcodec.fit.loss.eye import eye_form
from ddcodec.fit.loss.form import SQUARED_ERROR
from ddcodec.fit.reference.engine import TorchEngine
from ddcodec.fit.reference.synthesis import synthesise
from ddcodec.fit.reference.update import soft_round
from ddcodec.format.arch import BASE_SHAPE, base_arch
from ddcodec.native.build import FIT_LEVELS, PLATFORMS, build, compilers, own_target, zig
from ddcodec.native.fit_library import Array
from ddcodec.native.library import Library, own_library
from ddcodec.presets import arch_of

TEMPERATURE, NOISE, LAMBDA = 0.4, 0.2, 1e-2
BEST = ["plain C", "SSE4.1", "AVX2", "AVX-512", "AVX-512 VNNI", "NEON"].index(own_library().level_name())
LEVELS = [level for level in FIT_LEVELS.get(own_target().machine, {0: ()}) if level <= BEST]
"""The kinds of vectors of the fit that this machine has, by their numbers in `FIT_LEVELS`."""


def noise_of(key, index):
    """Pseudo-random numbers as `normal` of floats.h promises them, by another hand: uint32 hashes in NumPy."""

    def scrambled(x):
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
        return x ^ (x >> np.uint32(16))

    once = scrambled(index.astype(np.uint32) * np.uint32(0x9E3779B1) + np.uint32(key))
    twice = scrambled(once ^ np.uint32(0x85EBCA6B))
    total = sum((word & np.uint32(0xFFFF)).astype(int) + (word >> np.uint32(16)).astype(int) for word in (once, twice))
    return (total - 131070) * 3**0.5 / 65536


class SameNoise(TorchEngine):
    """The reference with the noise of a CPU engine that takes the same steps."""

    def _noisy(self, y, point):
        cpu, octave, start = self.cpu, next(o for o, code in self.code.items() if code is y), 0
        for finer in range(octave):
            start += self.arch.code_planes(finer) * int(np.prod(self.arch.size(finer)))
        noise = noise_of(cpu._key_of_step(), start + np.arange(y.numel())).reshape(y.shape)
        noise = torch.from_numpy(point.noise * noise).to(y.dtype)
        temperature = torch.tensor(point.temperature, dtype=y.dtype)
        return soft_round(soft_round(16 * y, temperature) + noise, temperature)


class Pair:
    """A CPU engine after one step from random weights and code, with learning rates of nothing, and the reference in
    float64 at the same place. Both minimise the eye's form, or squared error.
    """

    def __init__(self, arch, seed, threads, hard=False, known=None, eye=True, vectors=-1):
        random = np.random.default_rng(seed)
        picture = painted(arch.height, arch.width, arch.planes).reshape(arch.height, arch.width, -1)
        form = eye_form(picture, known) if eye else SQUARED_ERROR
        self.arch = arch
        self.cpu = CpuEngine(picture, arch, LAMBDA, seed=seed, threads=threads, known=known, form=form, vectors=vectors)
        self.reference = SameNoise(picture, arch, LAMBDA, dtype=torch.float64, known=known, form=form)
        self.reference.cpu = self.cpu
        weights = {
            name: (w + 0.2 * random.standard_normal(w.shape)).astype(np.float32)
            for name, w in self.cpu.weights().items()
        }
        self.cpu.take(weights, {})
        code = {o: 0.15 * random.standard_normal((arch.code_planes(o), *arch.size(o))) for o in arch.coded_octaves}
        with torch.no_grad():
            for name, values in weights.items():
                self.reference.numbers[name].copy_(torch.from_numpy(values))
            for octave, planes in code.items():
                for plane, values in enumerate(planes):
                    self.cpu.array(Array.Y, octave, plane)[:] = values
                self.reference.code[octave].copy_(torch.from_numpy(planes.astype(np.float32)))
        point = Point(hard, TEMPERATURE, NOISE, 0.0, 0.0)
        self.cpu.step(point)
        self.noisy = (
            self.reference._rounded()
            if hard
            else {o: self.reference._noisy(y, point) for o, y in self.reference.code.items()}
        )
        self.distortion, self.bits, self.mse = self.reference.objective(self.noisy)
        self.reference.minimised(self.distortion, self.bits).backward()

    def planes(self, field, octave):
        return np.stack([self.cpu.array(field, octave, plane) for plane in range(self.arch.code_planes(octave))])

    def errors(self):
        """name -> relative error (norm of the difference) of every gradient that moves something."""
        gradients = dict(self.cpu.gradients())
        assert not any(gradients[name].any() for name in gradients if self.arch.is_fixed(name))
        errors = {
            name: apart(gradients[name], leaf.grad.numpy())
            for name, leaf in self.reference.numbers.items()
            if not self.arch.is_fixed(name)
        }
        for octave, y in self.reference.code.items():
            if y.grad is not None:
                # After one step Adam's first moment is the gradient, but for a factor.
                errors[octave] = apart(self.planes(Array.FIRST_MOMENT, octave) / (1 - BETAS.code[0]), y.grad.numpy())
        return errors


def apart(ours, theirs):
    return np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 1e-9)


SHAPES = {
    "odd": dict(width=41, height=33),
    "wide, two threads' rows": dict(width=1601, height=70),
    "wide, all neighbours but the last": dict(width=1601, height=20, neighbours=19),
    "wide, one neighbour": dict(width=1601, height=20, neighbours=1),
    "wide, eleven neighbours": dict(width=1570, height=33, neighbours=11),
    "a coarsest octave of two threads": dict(width=96, height=80, octaves=2, neighbours=12),
    "one octave of two threads": dict(width=96, height=80, octaves=1, neighbours=12),
    "one row": dict(width=1733, height=1),
    "one column": dict(width=1, height=300),
    "one pixel": dict(width=1, height=1),
    "taps 1": dict(width=33, height=65, taps=1),
    "taps 3": dict(width=47, height=66, taps=3),
    "taps 4": dict(width=35, height=167, taps=4),
    "all neighbours": dict(width=40, height=33, neighbours=20),
    "one neighbour": dict(width=40, height=33, neighbours=1),
    "odd context": dict(width=40, height=33, context_channels=7),
    "one context channel": dict(width=40, height=33, context_channels=1),
    "many channels": dict(width=35, height=67, channels=48, finest_channels=31),
    "few channels": dict(width=35, height=67, channels=1, finest_channels=2, linear=1),
    "no top": dict(width=35, height=67, top_channels=0),
    "many top channels": dict(width=35, height=67, planes=1, top_channels=45),
    "all linear": dict(width=35, height=67, channels=5, finest_channels=5, linear=5),
    "grey": dict(width=40, height=33, planes=1),
    "one octave": dict(width=35, height=67, octaves=1, coarsest_planes=5),
    "code in the coarsest alone": dict(width=35, height=67, octaves=4, coarsest_planes=9, finer_planes=0),
    "a coarsest octave of many planes": dict(width=35, height=67, octaves=4, coarsest_planes=9),
    "detail": dict(width=35, height=67, octaves=5, base=9, detail=1, **BASE_SHAPE),
    "detail in one octave": dict(width=35, height=67, octaves=1, base=3, detail=1, **BASE_SHAPE),
    "more octaves than the picture has rows": dict(width=64, height=3, octaves=9),
}


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_autograds(shape, hard):
    # With another seed one hidden channel of 400,000 may lie so near to 0 that float32 and float64 see it on two sides
    # of the ReLU.
    pair = Pair(replace(DEFAULT, **SHAPES[shape]), seed=4, threads=2, hard=hard, eye=not hard)
    loss = pair.cpu.losses()[0]
    assert loss.mse == pytest.approx(pair.mse.item(), rel=1e-5)
    assert loss.distortion == pytest.approx(pair.distortion.item(), rel=1e-5)
    assert loss.bits == pytest.approx(pair.bits.item(), rel=1e-5)
    assert {name: error for name, error in pair.errors().items() if not error < 1e-4} == {}
    for octave in pair.arch.coded_octaves:
        assert np.allclose(pair.planes(Array.Q, octave), pair.noisy[octave].detach().numpy(), atol=2e-5)


@pytest.mark.parametrize("seed", range(12))
def test_gradients_of_any_architecture(seed):
    random = np.random.default_rng(seed)
    pair = Pair(random_arch(random), seed, threads=int(random.integers(1, 4)))
    assert {name: error for name, error in pair.errors().items() if not error < 1e-4} == {}


@pytest.mark.parametrize("shape", ["odd", "wide, two threads' rows", "grey", "no top", "code in the coarsest alone"])
def test_slopes_are_those_of_the_loss(shape):
    """Of the rounded code at other weights than the engine's, without the weights' own bits: the reference's by
    differences of what it measures, the kernels' by the reference's.
    """
    pair = Pair(replace(DEFAULT, **SHAPES[shape]), seed=4, threads=2)
    random = np.random.default_rng(8)
    others = {
        name: (values + 0.02 * random.standard_normal(values.shape)).astype(np.float32)
        for name, values in pair.cpu.weights().items()
    }
    ours, theirs = pair.cpu.slopes(others), pair.reference.slopes(others)
    moving_ones = [name for name in theirs if not pair.arch.is_fixed(name)]
    assert {name: error for name in moving_ones if not (error := apart(ours[name], theirs[name])) < 1e-4} == {}
    assert not any(own[name].any() for own in (ours, theirs) for name in own if pair.arch.is_fixed(name))

    # Roughly, since scales beyond the ladder have slopes back to it alone; and not of the other weights: samples that
    # are cut off to 0..1 have slopes, as if they were not, but do not change.
    context = {name: own for name, own in theirs.items() if name.startswith("context")}

    def bits(share):
        return pair.reference.bits(others | {name: others[name] + share * own for name, own in context.items()})

    squares = sum((own**2).sum() for own in context.values())
    share = 1e-5 / squares**0.5
    assert LAMBDA / pair.reference.pixels * (bits(share) - bits(-share)) / (2 * share) == pytest.approx(
        squares, rel=0.25
    )
    assert pair.cpu.weights().keys() == others.keys() and not any(
        (pair.cpu.weights()[name] == values).all() for name, values in others.items()
    )
    assert pair.cpu.evaluate().bits == pytest.approx(pair.reference.evaluate().bits, rel=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_only_known_pixels_count(threads):
    known = np.random.default_rng(3).random((67, 1601)) < 0.6
    # With seed 6 such a hidden channel lies at 0, see above.
    pair = Pair(replace(DEFAULT, width=1601, height=67), seed=7, threads=threads, known=known, eye=threads == 2)
    assert pair.cpu.losses()[0].distortion == pytest.approx(pair.distortion.item(), rel=1e-5)
    assert {name: error for name, error in pair.errors().items() if not error < 1e-4} == {}
    # Of which the reference knows by another way: the errors of the others are not there at all.
    output = synthesise(pair.reference.ops, pair.arch, pair.noisy, pair.reference.numbers).clamp(0, 1)
    errors = (output - pair.reference.target).detach().numpy()[:, known]
    assert pair.mse.item() == pytest.approx((errors**2).sum() / (3 * known.size), rel=1e-9)
    if threads == 2:
        return
    spread = ((painted(67, 1601)[known] / 255 - (painted(67, 1601)[known] / 255).mean(0)) ** 2).sum() / (3 * known.size)
    assert pair.cpu.single_colour == pytest.approx(spread, rel=1e-6)


@pytest.mark.parametrize("shape", [dict(width=41, height=33), dict(width=1601, height=70, planes=1)])
@pytest.mark.parametrize("is_masked", [False, True])
def test_the_mean_of_steps(shape, is_masked):
    """Also where pixels do not count, and of steps alone: not of measurements, nor of what was before."""
    arch = replace(DEFAULT, **shape)
    known = np.random.default_rng(3).random((arch.height, arch.width)) < 0.6 if is_masked else None
    pair = Pair(arch, seed=6, threads=2, known=known)
    point, wanted = Point(False, TEMPERATURE, NOISE, 0.0, 0.0), []
    for engine in (pair.cpu, pair.reference):
        engine.average()
        assert engine.mean() is None
    for _ in range(3):
        pair.cpu.step(point)
        pair.reference.step(point)
        noisy = {o: pair.reference._noisy(y, point) for o, y in pair.reference.code.items()}
        wanted.append(
            synthesise(pair.reference.ops, arch, noisy, pair.reference.numbers).detach().clamp(0, 1).permute(1, 2, 0)
        )
        pair.cpu.evaluate()
    assert not torch.allclose(wanted[0], wanted[2], atol=1e-3)
    assert np.allclose(pair.cpu.mean(), sum(wanted) / 3, atol=1e-5) and np.allclose(
        pair.reference.mean(), sum(wanted) / 3, atol=1e-5
    )
    pair.cpu.average()
    pair.cpu.step(Point(True, 0.0, 0.0, 0.0, 0.0))
    rounded = (
        synthesise(pair.reference.ops, arch, pair.reference._rounded(), pair.reference.numbers).detach().clamp(0, 1)
    )
    assert np.allclose(pair.cpu.mean(), rounded.permute(1, 2, 0), atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("octaves", [1, 2, 5])
def test_threads_change_nothing_but_digits(threads, octaves):
    """So small a share of rows that every kind of border between threads occurs, also in a coarsest octave."""
    pair = Pair(replace(DEFAULT, width=70, height=167, octaves=octaves, neighbours=20), seed=5, threads=threads)
    assert max(pair.errors().values()) < 1e-4


def test_pieces_of_memory_stay_apart(tmp_path, monkeypatch):
    """With all pieces further apart, and what lies between filled with NaN, a step comes out to the last bit the
    same.
    """
    far = Library(build(tmp_path, compilers()[0], flags=("-DDDC_GAP=256",)))
    arch, results = replace(DEFAULT, width=1570, height=83, octaves=3, neighbours=11), []
    for library in own_library(), far:
        monkeypatch.setattr("ddcodec.fit.cpu.engine.own_library", lambda library=library: library)
        picture = painted(83, 1570)
        engine = CpuEngine(picture, arch, LAMBDA, threads=3, form=eye_form(picture))
        for _ in range(2):
            engine.step(Point(False, TEMPERATURE, NOISE, 1e-2, 1e-2))
        results.append((engine.losses(), engine.gradients(), engine.rounded_code(), engine.maps(1, True)[1]))
    (losses, gradients, code, parts), (far_losses, far_gradients, far_code, far_parts) = results
    assert losses == far_losses and np.array_equal(parts, far_parts)
    for name in gradients:
        assert np.array_equal(gradients[name], far_gradients[name]), name
    for octave in code:
        assert np.array_equal(code[octave], far_code[octave])


def test_noise_is_of_mean_0_and_variance_1_and_new_at_every_step():
    arch = replace(DEFAULT, width=128, height=128)
    engine = CpuEngine(painted(128, 128), arch, LAMBDA)
    seen = []
    for _ in range(2):
        # At a high temperature soft rounding does nothing, so that of a code of zeros only the noise is left.
        engine.step(Point(False, 50.0, 0.25, 0.0, 0.0))
        seen.append(engine.array(Array.Q, 0, 0).ravel() / 0.25)
    first, second = seen
    assert abs(first.mean()) < 0.03 and abs(first.std() - 1) < 0.03
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert all(abs(np.corrcoef(first[:-k], first[k:])[0, 1]) < 0.03 for k in (1, 2, 16, 128))
    assert abs(np.mean(first**4) - 3 + 1.2 / 4) < 0.15


@pytest.mark.parametrize("betas", [BETAS, Betas((0.6, 0.9), (0.8, 0.85), 0.3)])
def test_steps_are_adams_and_soaps(betas):
    """Some steps of code and weights against torch.optim.Adam and `Soap` (see `test_soap.py`), fed with the gradients
    that the engine had.
    """
    arch = replace(DEFAULT, width=40, height=33)
    engine = CpuEngine(painted(33, 40), arch, LAMBDA, betas=betas, threads=2)

    def code_and_moment():
        return (torch.from_numpy(engine.array(field, 0, 0).astype(float)) for field in (Array.Y, Array.FIRST_MOMENT))

    def flat(tensors):
        return np.concatenate([values.ravel() for values in tensors.values()])

    weights, base = (flat(tensors).astype(float) for tensors in (engine.weights(), real_base(arch)))
    is_moving = flat({name: np.full(shape, name in moving(arch)) for name, shape in arch.tensors()})
    code, before = code_and_moment()
    soap = Soap([shape for _, shape in arch.tensors()], betas.weights, np.zeros, by_qr(np.linalg), decay=betas.decay)
    adam = torch.optim.Adam([code], betas=betas.code, eps=code_epsilon(arch))
    for step in range(1, 6):
        point = Point(False, TEMPERATURE, NOISE, 1e-2 / step, 2e-2 / step)
        engine.step(point)
        _, moment = code_and_moment()
        code.grad, before = (moment - betas.code[0] * before) / (1 - betas.code[0]), moment
        weights -= point.weight_rate * soap.change(flat(engine.gradients()), is_moving * (weights - base))
        soap.end()
        adam.param_groups[0]["lr"] = point.code_rate
        adam.step()
    assert np.allclose(flat(engine.weights()), weights, atol=2e-6)
    ours, _ = code_and_moment()
    assert torch.allclose(ours, code, atol=2e-6)


@pytest.mark.parametrize("lambda_", [3e-4, 1e-3])
def test_fits_reach_the_references_losses(lambda_):
    """From the same seed and with the same noise: within 1 %, as long as what the last digits differ by has not grown
    to that.
    """
    picture = painted(80, 96)
    arch = replace(DEFAULT, width=96, height=80)
    cpu, reference = CpuEngine(picture, arch, lambda_, threads=2), SameNoise(picture, arch, lambda_)
    reference.cpu = cpu
    for step in range(30):
        point = point_at(step / 30)
        cpu.step(point)
        reference.step(point)
    ours, theirs = (
        loss.distortion + lambda_ * loss.bits / cpu.pixels for loss in (cpu.evaluate(), reference.evaluate())
    )
    start = CpuEngine(picture, arch, lambda_).evaluate()
    assert ours == pytest.approx(theirs, rel=0.01)
    assert ours < 0.5 * (start.distortion + lambda_ * start.bits / cpu.pixels)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Only Linux tells the peak of a process's memory so.")
def test_memory_is_what_is_asked_for():
    arch = arch_of("default", 1200, 1600, 3, 1e-3)
    program = (
        "import numpy as np\n"
        "from ddcodec.presets import arch_of\n"
        "from ddcodec.fit.descent.schedule import point_at\n"
        "from ddcodec.fit.cpu.engine import CpuEngine\n"
        "from ddcodec.fit.loss.eye import eye_form\n"
        "def fit(rows, columns):\n"
        "    samples = np.zeros((rows, columns, 3), np.uint8)\n"
        "    engine = CpuEngine(samples, arch_of('default', rows, columns, 3, 1e-3), 1e-3, threads=2, "
        "form=eye_form(samples))\n"
        "    engine.step(point_at(0)); engine.state(); engine.maps(0, True); engine.picture()\n"
        "fit(64, 64)\n"
        "def peak():\n"
        "    return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "before = peak()\n"
        "fit(1200, 1600)\n"
        "print(peak() - before)\n"
    )
    taken = 1024 * int(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    )
    assert taken == pytest.approx(memory_of(arch, 2), rel=0.15)


def test_encoding_imports_no_torch(tmp_path):
    program = (
        "import sys, numpy as np, ddcodec\n"
        "sys.modules['torch'] = None\n"
        "data = ddcodec.encode(np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3), iterations=20)\n"
        "assert ddcodec.decode(data).shape == (48, 64, 3)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("vectors", LEVELS)
@pytest.mark.parametrize(
    "shape", ["odd", "wide, two threads' rows", "detail", "many channels", "taps 3", "taps 4", "no top"]
)
def test_all_vectors_compute_the_same(shape, vectors):
    pair = Pair(replace(DEFAULT, **SHAPES[shape]), seed=4, threads=3, vectors=vectors)
    assert pair.cpu.lanes == {0: 4, 2: 8, 3: 16, 5: 4}[vectors]
    assert max(pair.errors().values()) < 1e-4


@pytest.mark.skipif(len(LEVELS) < 2, reason="There is one kind of vectors.")
def test_sums_over_a_large_picture_keep_their_digits():
    """Vectors of other lengths and other threads add in other orders."""
    picture = painted(1100, 1300)
    arch, found = arch_of("default", 1100, 1300, 3, 1e-3), []
    for vectors, threads in ((LEVELS[0], 1), (LEVELS[-1], 2)):
        engine = CpuEngine(picture, arch, 1e-3, threads=threads, vectors=vectors)
        engine.step(Point(True, 0.0, 0.0, 0.0, 0.0))
        found.append(engine.gradients())
    assert all(apart(*pair) < 2e-5 for pair in zip(*(gradients.values() for gradients in found)))


def test_an_engine_that_is_gone_leaves_no_thread_and_no_memory():
    script = (
        "import numpy as np, os, threading\n"
        "from ddcodec.fit.cpu.engine import CpuEngine\n"
        "from ddcodec.fit.descent.schedule import point_at\n"
        "from ddcodec.presets import arch_of\n"
        "samples, arch = np.zeros((96, 96, 3), np.uint8), arch_of('default', 96, 96, 3, 1e-3)\n"
        "for _ in range(300):\n"
        "    CpuEngine(samples, arch, 1e-3, threads=9).step(point_at(0))\n"
        "print(len(os.listdir('/proc/self/task')), open('/proc/self/status').read().split('VmRSS:')[1].split()[0])\n"
    )
    threads, kilobytes = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(threads) < 9 and int(kilobytes) < 200_000


def told(program, *before):
    """What a build of fit_once.c says: rows of numbers."""
    lines = subprocess.run([*before, program], capture_output=True, text=True, check=True).stdout.splitlines()
    return [tuple(float(number) for number in line.split()[1:]) for line in lines]


QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
ONCE = Path(__file__).with_name("fit_once.c")


def test_other_machines_compute_the_same(tmp_path):
    """Plain C that stops at undefined behaviour, and NEON in an emulator."""
    flags = ("-O0", "-g", "-DDDC_PLAIN", "-fsanitize=undefined", "-fsanitize-trap=undefined")
    here = told(build(tmp_path / "here", zig(), own_target()._replace(machine="any"), flags, ONCE))
    assert len(here) == 12
    if not QEMU:
        pytest.skip("There is no qemu-user.")
    there = build(tmp_path / "there", zig(), PLATFORMS["musllinux_1_2_aarch64"], ("-O1", "-static"), ONCE)
    for own, other in zip(here, told(there, QEMU), strict=True):
        assert other == pytest.approx(own, rel=1e-5, abs=1e-3 * abs(own[-1]))


@pytest.mark.parametrize("bias, distortion", [(-0.5, 0), (-1, 0), (-2.5, 1.5**2)])
@pytest.mark.parametrize("is_white", [False, True])
def test_samples_far_outside_count(bias, distortion, is_white):
    picture = np.full((9, 13, 3), 255 * is_white, np.uint8)
    arch = base_arch(13, 9, 3, 3)
    for make in CpuEngine, partial(TorchEngine, dtype=torch.float64):
        engine = make(picture, arch, 1e-3)
        plain = {name: np.zeros_like(values) for name, values in engine.weights().items()}
        plain["output.bias"] += 1 - bias if is_white else bias
        engine.take(plain, {octave: 0 * planes for octave, planes in engine.rounded_code().items()})
        assert engine.evaluate().distortion == pytest.approx(distortion, rel=1e-5, abs=1e-12)

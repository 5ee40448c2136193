"""The fit: gradients against autograd and the tables, whole encodes on small pictures, and what must never happen."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import painted
from PIL import Image
from random_coded import DEFAULT
from scipy.ndimage import gaussian_filter

import ddcodec
from ddcodec import presets
from ddcodec.decoder import decode_file
from ddcodec.encoder import Source, encode_picture, encode_pictures
from ddcodec.errors import EncoderError, ShortMemoryError, UsageError
from ddcodec.fit import outlook
from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.cuda.engine import GraphEngine
from ddcodec.fit.descent.loop import run
from ddcodec.fit.descent.progress import Progress
from ddcodec.fit.descent.schedule import HARD_SHARE, Point, betas_for, point_at
from ddcodec.fit.descent.soap import Betas
from ddcodec.fit.descent.start import CODE_UNITS
from ddcodec.fit.descent.task import FitTask
from ddcodec.fit.engine import CpuKind, GraphKind
from ddcodec.fit.freeze.search import freeze, real_weights, trials_for
from ddcodec.fit.loss.eye import eye_form
from ddcodec.fit.reference.engine import TorchEngine
from ddcodec.fit.reference.rate import laplace_bits, neighbourhood
from ddcodec.fit.reference.synthesis import synthesise
from ddcodec.fit.reference.update import soft_round
from ddcodec.format import pyramid, tables, wire
from ddcodec.format.arch import base_arch
from ddcodec.format.coded import CodedImage
from ddcodec.format.decoders import samples_of
from ddcodec.format.files import read_info, unpack
from ddcodec.metrics import psnr
from ddcodec.options import EncodeOptions


@pytest.fixture(params=[CpuEngine, TorchEngine])
def engine_of(request):
    """Makes an engine, of every kind in turn."""

    def make(picture, lambda_=1e-3):
        arch = replace(DEFAULT, height=picture.shape[0], width=picture.shape[1], planes=picture.shape[2])
        return request.param(picture, arch, lambda_)

    return make


def test_hand_written_gradients():
    random = torch.Generator().manual_seed(0)
    differences = (3 * torch.randn(200, generator=random, dtype=torch.float64)).requires_grad_()
    scales = (10 * torch.rand(200, generator=random, dtype=torch.float64) - 4).requires_grad_()
    assert torch.autograd.gradcheck(laplace_bits, (differences, scales))
    planes = torch.randn(2, 4, 5, generator=random, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: neighbourhood(p, 20), (planes,))


def test_bits_of_the_fit_are_those_of_the_tables():
    """A real scale and mean on the tables' grid cost what the integer table says."""
    s, d, values = 30, 3, torch.arange(-9, 10)
    expected = 24 - np.log2(tables.frequencies()[tables.row(s, d)][values.numpy() + 15])
    bits = laplace_bits(values - d / 16, torch.full((19,), (s - 27) / 5))
    assert np.allclose(bits.numpy(), expected, rtol=1e-3)


def test_beyond_the_ladder_of_scales_only_the_way_back_has_a_gradient():
    scale = torch.tensor([9.0, 9.0, -7.0, -7.0], requires_grad=True)
    laplace_bits(torch.tensor([0.0, 4000.0, 0.0, 5.0]), scale).sum().backward()
    assert (scale.grad[0] > 0) and scale.grad[1] == 0 and abs(scale.grad[2]) < 1e-6 and scale.grad[3] < 0


def test_soft_rounding():
    values = torch.linspace(-3, 3, 61)
    grid = torch.arange(-6, 7) / 2
    assert torch.allclose(soft_round(grid, torch.tensor(0.3)), grid, atol=1e-5)
    away = (values - values.floor() - 0.5).abs() > 0.04
    assert torch.allclose(soft_round(values, torch.tensor(1e-3))[away], values[away].round(), atol=1e-3)
    assert torch.allclose(soft_round(values, torch.tensor(50.0)), values, atol=1e-3)


def test_schedule():
    points = [point_at(p / 100) for p in range(100)]
    assert sum(point.hard for point in points) == round(100 * HARD_SHARE)
    soft = [point for point in points if not point.hard]
    for name in ("temperature", "noise", "code_rate", "weight_rate"):
        values = [getattr(point, name) for point in soft]
        assert values == sorted(values, reverse=True) and values[-1] > 0
    assert point_at(1.0).weight_rate > 0
    assert betas_for(100).decay == 0 < betas_for(10000).decay < 0.5
    for steps in (50, 1000, 20000):
        kept, nimble = betas_for(steps), betas_for(steps, nimble=True)
        assert nimble.code[0] < kept.code[0] and nimble.code[1] == kept.code[1] and nimble[1:] == kept[1:]


@pytest.mark.parametrize("kind", [CpuEngine, TorchEngine])
def test_objective_is_that_of_the_file(picture, encoded, kind):
    """Distortion and bits of the real-valued engine, given the file's integers, against the decoded picture and the
    written bytes.
    """
    coded = unpack(encoded.data)
    engine = kind(picture, coded.arch, encoded.lambda_)
    engine.take(real_weights(coded.arch, coded.tensors), coded.code)
    loss = engine.evaluate()
    assert -10 * np.log10(loss.distortion) == pytest.approx(encoded.psnr, abs=0.05)
    meter = wire.Meter()
    pyramid.walk_code(coded.arch, coded.numbers(), meter, coded.code)
    assert loss.bits == pytest.approx(meter.bits, rel=0.02)


def test_encode_is_faithful_and_small(picture, encoded):
    assert np.array_equal(decode_file(encoded.data).samples, encoded.samples)
    assert encoded.psnr == pytest.approx(psnr(picture, encoded.samples))
    assert encoded.psnr > 28 and len(encoded.data) < picture.nbytes / 6
    assert encoded.steps == 150


def test_every_step_more_is_better(picture):
    few = encode_picture(picture, EncodeOptions(iterations=20, base="none"))
    many = encode_picture(picture, EncodeOptions(iterations=200, base="none"))

    def cost(encoded):
        return 10 ** (-encoded.psnr / 10) + encoded.lambda_ * 8 * len(encoded.data) / (
            picture.shape[0] * picture.shape[1]
        )

    assert cost(many) < 0.8 * cost(few)


def test_lambda_trades_size_for_quality(picture):
    small = encode_picture(picture, EncodeOptions(lambda_=2e-2, iterations=50))
    large = encode_picture(picture, EncodeOptions(lambda_=2e-4, iterations=50))
    assert len(small.data) < len(large.data) and small.psnr < large.psnr


def test_seed_repeats_and_differs():
    picture = painted(24, 16)
    first, again, other = (encode_picture(picture, EncodeOptions(iterations=15, seed=seed)).data for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (2, 3), (17, 31), (8, 64)])
@pytest.mark.parametrize("planes", [1, 3])
def test_every_size(size, planes):
    picture = painted(*size, planes)
    encoded = encode_picture(picture, EncodeOptions(iterations=4))
    assert encoded.samples.shape == picture.shape
    assert np.array_equal(ddcodec.decode(encoded.data), encoded.samples)


def test_classic_encodes():
    picture = painted(40, 56)
    encoded = encode_picture(picture, EncodeOptions(iterations=120, profile="classic", lambda_=1e-4))
    arch = unpack(encoded.data).arch
    assert arch.coded_octaves == (arch.octaves - 1,) and read_info(encoded.data)["profile"] == "classic"
    assert encoded.psnr > 24


def test_normalisation_folds_exactly():
    """The network with channel normalisation and the one with folded weights compute the same picture."""
    picture = painted(24, 32)
    arch = presets.arch_of("classic", 24, 32, 3, 1e-3)
    engine = TorchEngine(picture, arch, 1e-3, normalise=True)
    for step in range(5):
        engine.step(point_at(step / 20))
    with torch.no_grad():
        code = {octave: torch.from_numpy(planes).float() for octave, planes in engine.rounded_code().items()}
        before = synthesise(engine.ops, arch, code, engine.numbers)
        engine.fold()
        after = synthesise(engine.ops, arch, code, engine.numbers)
    assert torch.allclose(before, after, atol=1e-4)


@pytest.mark.parametrize("iterations", [1, 4, 25])
def test_a_classic_fit_ends_folded(iterations):
    """However short it is, the integers mean what the real-valued network with normalisation meant."""
    picture = painted(24, 32)
    engine = TorchEngine(picture, presets.arch_of("classic", 24, 32, 3, 1e-3), 1e-7, normalise=True)
    run(engine, iterations)
    assert engine.norm is None
    code = {octave: planes.astype(np.int64) for octave, planes in engine.rounded_code().items()}
    decoded = samples_of(CodedImage(engine.arch, freeze(engine, 300), code))
    assert np.square(decoded / 255 - picture / 255).mean() < engine.evaluate().distortion + 1e-3


@pytest.mark.parametrize("level", [0, 255])
def test_plain_pictures_stay_plain(level):
    """But for one pixel, without which there would be no fit."""
    picture = np.full((40, 40, 3), level, np.uint8)
    picture[20, 20] ^= 1
    encoded = encode_picture(picture, EncodeOptions(iterations=60))
    assert np.abs(encoded.samples.astype(int) - level).max() <= 2 and len(encoded.data) < 1500


def test_bright_pictures_do_not_collapse():
    """A white page with text-like marks: a clamp inside the gradient's way makes such a fit end as one white
    rectangle.
    """
    picture = np.full((64, 64, 3), 254, np.uint8)
    picture[10:54:6, 8:56] = 40
    encoded = encode_picture(picture, EncodeOptions(iterations=120, lambda_=3e-4))
    constant = psnr(picture, np.full_like(picture, round(float(picture.mean()))))
    assert encoded.psnr > constant + 5


def test_a_collapsed_fit_is_noticed(picture, engine_of):
    engine = engine_of(picture)
    engine.step = lambda point: None
    steps, collapsed = run(engine, 200)
    assert collapsed == [0] and steps < 150
    assert run(engine, 200, may_collapse=True) == (200, [])


def test_a_collapsed_fit_is_tried_again_once(picture, monkeypatch):
    """The first try never moves; what is returned comes from another seed, and is a picture."""
    seeds, step = [], CpuEngine.step

    class Lazy(CpuEngine):
        def __init__(self, samples, *arguments, seed=0, **options):
            super().__init__(samples, *arguments, seed=seed, **options)
            if samples.shape == picture.shape:
                seeds.append(seed)
            self.is_warm = False

        def warm_up(self):
            self.is_warm = True

        def step(self, point):
            assert self.is_warm
            if len(seeds) > 1:
                step(self, point)

    monkeypatch.setattr("ddcodec.fit.cpu.engine.CpuEngine", Lazy)
    encoded = encode_picture(picture, EncodeOptions(iterations=200, seed=4, base="none"))
    assert seeds == [4, 5] and encoded.psnr > 25


def test_the_best_state_is_kept(picture, engine_of):
    """A fit whose weights are ruined in the last step ends in a state before."""
    engine = engine_of(picture)
    step, losses = engine.step, []

    def ruining(point):
        step(point)
        losses.append(engine.losses()[0])
        if len(losses) == 40:
            weights = engine.weights()
            weights["output.weight"] *= 50
            engine.take(weights, {})

    engine.step = ruining
    run(engine, 40)
    final = engine.evaluate()
    assert len(losses) == 40 and final.distortion < 2 * losses[-1].distortion


def test_freezing_costs_little(picture, engine_of):
    engine = engine_of(picture, lambda_=1e-3)
    run(engine, 80)
    before = engine.evaluate()
    code = {octave: planes.astype(np.int64) for octave, planes in engine.rounded_code().items()}
    coded = CodedImage(engine.arch, freeze(engine, 100), code)
    coded.check()
    decoded = samples_of(coded)
    mse = np.square(decoded / 255 - picture / 255).mean()
    price = engine.lambda_ / engine.pixels
    naive = 16 * sum(values.size for _, values in coded.tensors.values())
    assert mse - before.distortion < price * naive / 3


def test_freezing_the_shortest_fits_of_small_pictures_costs_little():
    steps = presets.iterations_of(1)
    engine = CpuEngine(painted(64, 96), base_arch(96, 64, 3, 3), 1e-3, betas=betas_for(steps, nimble=True))
    run(engine, steps)
    before = engine.evaluate()
    engine.take(real_weights(engine.arch, freeze(engine, trials_for(steps, engine.pixels))), {})
    assert engine.evaluate().distortion < 1.6 * before.distortion


def test_time_limit_is_kept(picture):
    encoded = encode_picture(picture, EncodeOptions(iterations=10**6, time_limit=2))
    assert 10 < encoded.steps < 10**5 and encoded.psnr > 20


class Slow:
    """Stands for an engine whose steps are done later, as on a GPU: only who asks for losses waits for them.

    Its clock is the loop's.
    """

    def __init__(self, monkeypatch, picture):
        self._engine = CpuEngine(picture, replace(DEFAULT, height=picture.shape[0], width=picture.shape[1]), 1e-3)
        self.fits, self.now, self._ahead, self.points = self._engine.fits, 0.0, 0, []
        monkeypatch.setattr("ddcodec.fit.descent.loop.monotonic", lambda: self.now)

    def step(self, point):
        self._ahead += 1
        self.now += 0.001
        self.points.append(point)
        self._engine.step(point)

    def losses(self):
        self.now += 0.1 * self._ahead
        self._ahead = 0
        return self._engine.losses()

    def fold(self):
        pass


@pytest.mark.parametrize("progress", [None, lambda _: None])
def test_a_clock_measures_steps_not_their_launches(monkeypatch, picture, progress):
    """Of 0.1 seconds each some 100 go into 10 seconds, the last tenth of them with a fixed code."""
    engine = Slow(monkeypatch, picture)
    steps, _ = run(engine, 10**6, seconds=10, progress=progress)
    assert 85 < steps < 105 and engine.now < 11
    assert sum(point.hard for point in engine.points) == pytest.approx(steps * HARD_SHARE, abs=0.05 * steps)


def test_a_fit_by_the_clock_is_annealed_as_one_of_so_many_steps(monkeypatch, picture):
    """However many it may have: short fits are annealed from softer roundings."""
    engine = Slow(monkeypatch, picture)
    steps, _ = run(engine, 10**6, seconds=10)
    by_clock, by_count = engine.points[steps // 2], Slow(monkeypatch, picture)
    run(by_count, steps)
    assert by_clock.temperature == pytest.approx(by_count.points[steps // 2].temperature, rel=0.03)


def test_a_time_limit_that_is_over_before_the_fit_is_said(monkeypatch, picture):
    said = []
    monkeypatch.setattr(CpuKind, "memory_of", lambda kind, arch: time.sleep(0.02) or 0)
    encoded = encode_picture(picture, EncodeOptions(time_limit=0.01), say=said.append)
    assert encoded.steps == 1 and said == [
        "Note: the time limit was over before the fit could begin; the file is that of one step."
    ]


def test_no_time_at_all_is_one_step(picture, engine_of):
    assert run(engine_of(picture), 10**6, seconds=0.0) == (1, [])


def test_progress_counts(picture):
    seen = []
    encode_picture(painted(16, 16), EncodeOptions(iterations=7), seen.append)
    fitting = [p for p in seen if p.phase == "fit"]
    assert [p.step for p in fitting] == list(range(1, 8)) and {p.total for p in fitting} == {7}
    *freezing, last = seen[7:]
    assert (last.phase, last.step, last.total) == ("pack", 0, 1)
    assert freezing and all(p.phase == "freeze" for p in freezing) and freezing[-1].step == freezing[-1].total
    assert all(p.bpp >= 0 and p.psnr > 0 and p.seconds_left >= 0 for p in seen)


def test_what_is_left_is_that_of_the_whole_encode(monkeypatch):
    """Of steps of two seconds: the freeze takes 20 of them, 3.5 more for each thousand samples of 130 * 54, and 0.3 for
    each of 54 trials; 66 moves take 0.4 each, and packing two. The first step is slow and counts for nothing. It is
    never more than the time limit leaves.
    """
    together, trials, moves, packing = 2 * (20 + 3.5e-3 * 130 * 54), 2 * 0.3 * 54, 2 * 0.4 * 66, 2 * 2
    after = together + trials + moves + packing
    for seconds, most in (None, float("inf")), (500, 500):
        now, seen = [0.0], []
        monkeypatch.setattr(outlook, "monotonic", lambda: now[0])
        tell = outlook.Outlook(seen.append, 200, 768 * 512, seconds)
        for step in range(1, 201):
            tell(Progress("fit", step, 200, 0.5, 30.0, 3.0 * (200 - step)))
            now[0] += 2 * (step < 200)
        for phase, step, total, own in (
            ("freeze", 0, 54, float("inf")),
            ("freeze", 27, 54, float("inf")),
            ("code", 33, 66, 33.0),
        ):
            tell(Progress(phase, step, total, 0.5, 30.0, own))
        tell.pack()
        left = [each.seconds_left for each in seen]
        limit = max(0.0, most - 398)
        assert left[0] == most
        assert left[1:200] == pytest.approx(
            [min(2 * (200 - step) + after, most - 2 * (step - 1)) for step in range(2, 201)]
        )
        assert left[200:] == pytest.approx(
            [
                min(after, limit),
                min(trials / 2 + moves + packing, limit),
                min(33 + packing, limit),
                min(packing, limit),
            ]
        )
        assert [each.phase for each in seen[-3:]] == ["freeze", "code", "pack"]


def test_a_clock_that_ends_the_fit_early_is_believed(monkeypatch):
    """Steps of two seconds, of which ten seconds' worth may still follow; 16 trials and packing come after."""
    now, seen = [0.0], []
    monkeypatch.setattr(outlook, "monotonic", lambda: now[0])
    tell = outlook.Outlook(seen.append, 48, 768 * 512)
    for step in range(1, 4):
        tell(Progress("fit", step, 48, 0.5, 30.0, 10.0))
        now[0] += 2
    assert [each.seconds_left for each in seen[1:]] == pytest.approx([10 + 2 * (0.15 * 16 + 2)] * 2)


def test_a_file_that_decodes_otherwise_is_never_returned(monkeypatch):
    import ddcodec.encoder as module

    original = module.unpack

    def otherwise(data):
        coded = original(data)
        coded.code[0][0, 0, 0] += 1
        return coded

    monkeypatch.setattr(module, "unpack", otherwise)
    with pytest.raises(EncoderError, match="please report"):
        encode_picture(painted(12, 12), EncodeOptions(iterations=3))


def test_too_large_for_the_memory_is_said_before_it_starts(monkeypatch):
    import ddcodec.fit.fit as module

    monkeypatch.setattr(module, "available_memory", lambda: 10_000_000)
    with pytest.raises(
        ShortMemoryError, match=r"Fitting 400x300 pixels needs about \d\d\.\d+ MiB of memory; 9\.54 MiB are free"
    ):
        encode_picture(painted(300, 400), EncodeOptions(iterations=1))


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(quality=0), "between 1 and 100"),
        (dict(quality=50, lambda_=1e-3), "not both"),
        (dict(lambda_=0), "between 1e-7 and 1"),
        (dict(effort=0), "between 1 and 9"),
        (dict(iterations=0), "at least 1 iteration"),
        (dict(time_limit=0), "above 0 seconds"),
        (dict(profile="modern"), "default, classic"),
        (dict(device="tpu"), "auto, cpu, cuda"),
        (dict(device="cuda:99"), "not available"),
        (dict(threads=0), "1 to 256 threads"),
        (dict(seed=-1), "between 0 and"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(UsageError, match=words):
        ddcodec.encode(painted(4, 4), **options)


def test_quality_is_monotone():
    for tune in presets.TUNES:
        lambdas = [presets.lambda_of_quality(q, tune=tune) for q in range(1, 101)]
        assert lambdas == sorted(lambdas, reverse=True)
        assert all(1e-7 <= value <= 1 for value in lambdas)


def test_efforts_grow():
    steps = [presets.iterations_of(effort) for effort in presets.EFFORTS]
    assert steps == sorted(set(steps))


def test_large_pictures_take_fewer_steps():
    """Time, steps times pixels, grows less than in proportion, and never falls; no effort falls below the first."""
    pixels = [2**20, 2**21, 2**22, 2**23, 2**24, 2**30]
    for effort in presets.EFFORTS:
        steps = [presets.iterations_of(effort, each) for each in pixels]
        assert steps[0] == steps[1] == presets.iterations_of(effort)
        assert steps == sorted(steps, reverse=True) and min(steps) >= presets.iterations_of(1)
        times = [count * each for count, each in zip(steps, pixels)]
        assert times == sorted(times)
    assert presets.iterations_of(5, 2**24) < 0.5 * presets.iterations_of(5)


def test_several_pictures_and_rates_come_back_in_order():
    """Sizes mixed: what goes to one engine together does not change which file is whose."""
    small, large = painted(20, 30), painted(40, 30)
    datas = ddcodec.encode_many([small, large, small], lambda_=[1e-3, 1e-3, 1e-1], iterations=20)
    assert [ddcodec.decode(data).shape for data in datas] == [(20, 30, 3), (40, 30, 3), (20, 30, 3)]
    assert len(datas[2]) < len(datas[0])
    assert datas[0] == ddcodec.encode(small, lambda_=1e-3, iterations=20)
    assert ddcodec.encode_many([]) == []


def test_as_many_rates_as_images():
    with pytest.raises(UsageError, match="There are 2 images, but 3 of quality."):
        ddcodec.encode_many([painted(4, 4)] * 2, quality=[10, 20, 30])
    with pytest.raises(UsageError, match="not both"):
        ddcodec.encode_many([painted(4, 4)], quality=10, lambda_=1e-3)
    with pytest.raises(UsageError, match="between 1 and 100"):
        ddcodec.encode_many([painted(4, 4)] * 2, quality=[10, 200])


class Gpu:
    """Stands for a GPU that holds `room` fits at once: its engine is the reference's batch on the CPU."""

    def __init__(self, monkeypatch, room):
        self.asked, self.room = [], room
        make_on_cpu = CpuKind.make

        def make(kind, tasks, **options):
            self.asked.append((kind.name, len(tasks)))
            return make_on_cpu(kind, tasks, **options)

        monkeypatch.setattr("ddcodec.fit.fit.device_of", lambda wished: "cuda:0")
        monkeypatch.setattr(CpuKind, "make", make)
        monkeypatch.setattr(GraphKind, "make", self.make)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)

    def make(self, tasks, *, seed, **_):
        self.asked.append((GraphKind.name, len(tasks)))
        if len(tasks) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return GraphEngine(tasks, seed=seed)


def test_a_gpu_without_torch_is_named_once(monkeypatch):
    said = []
    monkeypatch.setattr("ddcodec.fit.engine._has_driver", lambda: True)
    monkeypatch.setattr("ddcodec.fit.engine._torch_or_none", lambda: None)
    monkeypatch.setattr("ddcodec.fit.engine.find_spec", lambda name: None if name == "torch" else name)
    monkeypatch.setattr("ddcodec.fit.fit._SAID", set())
    for _ in range(2):
        encode_picture(painted(12, 12), EncodeOptions(iterations=1), say=said.append)
    assert said == [
        "Note: an NVIDIA GPU is here, but not the package torch; pip install 'ddcodec[torch]' lets fits use it."
    ]
    encode_picture(painted(12, 12), EncodeOptions(iterations=1, device="cpu"), say=said.append)
    assert len(said) == 1


def test_a_gpu_takes_all_at_once(monkeypatch):
    gpu, said = Gpu(monkeypatch, room=9), []
    sources = [Source(painted(20, 30), lambda_) for lambda_ in (1e-3, 1e-2, 1e-1)]
    results = encode_pictures(sources, EncodeOptions(iterations=8), say=said.append)
    # What is fitted there is frozen here.
    assert gpu.asked == [("cuda graph", 3)] + 3 * [("native", 1)] and said == []
    assert [result.lambda_ for result in results] == [1e-3, 1e-2, 1e-1] and {result.device for result in results} == {
        "cuda:0"
    }


def test_a_small_gpu_takes_fewer(monkeypatch):
    gpu, said = Gpu(monkeypatch, room=2), []
    results = encode_pictures([Source(painted(20, 30))] * 5, EncodeOptions(iterations=4), say=said.append)
    assert [count for name, count in gpu.asked if name == "cuda graph"] == [5, 3, 2, 2, 1] and len(results) == 5
    assert said == [
        "Note: the memory of cuda:0 is too small for 5 fits at once; going on with 3.",
        "Note: the memory of cuda:0 is too small for 3 fits at once; going on with 2.",
    ]


def test_a_gpu_too_small_for_one_leaves_it_to_the_cpu(monkeypatch):
    gpu, said = Gpu(monkeypatch, room=0), []
    results = encode_pictures([Source(painted(20, 30))] * 2, EncodeOptions(iterations=4), say=said.append)
    assert gpu.asked == [("cuda graph", 2), ("cuda graph", 1), ("native", 1), ("native", 1)]
    assert (
        said[-1] == "Warning: the memory of cuda:0 is too small for 30x20 pixels; going on on the CPU, which is slower."
    )
    assert {result.device for result in results} == {"cpu"}


def test_no_memory_on_the_cpu_is_said(monkeypatch):
    def none(*_, **__):
        raise MemoryError

    monkeypatch.setattr(CpuKind, "make", none)
    with pytest.raises(ShortMemoryError, match="not enough memory to fit a picture of 30x20 pixels on the CPU"):
        encode_picture(painted(20, 30))


def test_what_is_slower_than_usual_is_said(monkeypatch):
    said = []
    encode_picture(painted(20, 30), EncodeOptions(iterations=2, profile="classic"), say=said.append)
    assert len(said) == 1 and "fitted by torch" in said[0]
    monkeypatch.setattr("ddcodec.fit.engine.own_library", lambda: None)
    encode_picture(painted(20, 30), EncodeOptions(iterations=2), say=said.append)
    assert len(said) == 2 and "the codec in C was not built" in said[1]


@pytest.mark.parametrize("tune", ["psnr", "eye"])
def test_a_base_saves_steps(tune):
    """At a few steps a fit from a base and a first guess costs far less than one from nothing."""
    sample = np.asarray(Image.open(Path(__file__).parents[1] / "samples" / "coffee.png").convert("RGB"))[
        100:196, 200:328
    ]

    def cost(base):
        encoded = encode_picture(sample, EncodeOptions(iterations=12, base=base, lambda_=1e-3, tune=tune))
        errors = (encoded.samples.astype(float) - sample).transpose(2, 0, 1) / 255
        distortion = eye_form(sample).value(errors) if tune == "eye" else (errors**2).mean()
        return distortion + 1e-3 * 8 * len(encoded.data) / sample[..., 0].size

    assert cost("auto") < 0.5 * cost("none")


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_samples_are_of_this_format(name):
    folder = Path(__file__).parents[1] / "samples"
    source = np.asarray(
        Image.open(next(path for path in folder.glob(f"{name}.*") if path.suffix != ".ddc")).convert("RGB")
    )
    assert psnr(source, decode_file((folder / f"{name}.ddc").read_bytes()).samples) > 32


@pytest.mark.parametrize("engine", [CpuEngine, TorchEngine])
@pytest.mark.parametrize("base", [0, 2])
def test_octaves_pass_their_planes_on(engine, base):
    """In the default network a fit leaves all that could mix planes before the top layer as it is, also one whose
    weights decay: every octave adds its own to those of the coarser.
    """
    arch = base_arch(40, 33, 3, base)
    fit = engine(painted(33, 40), arch, 1e-3, betas=Betas((0.9, 0.99), (0.95, 0.95), decay=0.3))
    before = fit.weights()
    for _ in range(3):
        fit.step(Point(False, 0.4, 0.2, 1e-2, 1e-2))
    after = fit.weights()
    for octave in range(arch.octaves):
        assert np.array_equal(after[f"code.{octave}"][:, 0], 2.0 * (np.arange(7) == octave))
        assert not after[f"bias.{octave}"].any()
        if octave < arch.octaves - 1:
            assert np.array_equal(after[f"mix.{octave}"], np.eye(7))
    assert all(
        (after[name] != before[name]).any() for name in ("top.weight", "output.weight", "taps.0", "context.2.weight")
    )


@pytest.mark.parametrize("engine", [CpuEngine, TorchEngine, lambda *own: GraphEngine([FitTask(*own)])])
def test_code_moves_as_fast_in_large_pictures(engine):
    """Of a picture in the midst of others like it each integer moves as in that picture alone, though its part of the
    loss is 64 times smaller.
    """
    tile, rate, moved = painted(32, 32), 1e-2, []
    for picture in (tile, np.tile(tile, (8, 8, 1))):
        fit = engine(picture, base_arch(*picture.shape[1::-1], 3), 1e-3)
        fit.step(Point(False, 0.4, 0.0, rate, 0.0))
        # Where no border is seen, of a tile in the midst.
        start = picture.shape[0] // 64 * 32 + 8
        moved.append(fit.fits[0].real_code()[0][0, start : start + 16, start : start + 16])
    alone, among_others = moved
    assert 0.9 * rate < np.median(np.abs(alone)) / CODE_UNITS < 1.1 * rate
    assert np.allclose(alone, among_others, rtol=0, atol=1e-3 * CODE_UNITS * rate)


@pytest.mark.parametrize("tune, is_drawn, base", [("eye", True, 3), ("eye", False, 8), ("psnr", True, 3)])
def test_a_drawing_starts_from_a_base_of_squared_error(tune, is_drawn, base):
    """Bars before a sky, sharp or not."""
    rows, columns = np.mgrid[:48, :64]
    picture = np.where(columns % 16 < 8, 20, 100 + 2 * rows)[..., None] + np.arange(3) * 7
    picture = (picture if is_drawn else gaussian_filter(picture, (0, 2, 0))).astype(np.uint8)
    encoded = encode_picture(picture, EncodeOptions(iterations=2, lambda_=1e-3, tune=tune))
    assert unpack(encoded.data).arch.base == base

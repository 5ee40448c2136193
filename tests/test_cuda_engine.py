"""The engine for GPUs, on the CPU and on a GPU if there is one: many fits at once do what each does alone; what a graph
would not forgive is not there.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import painted
from random_coded import DEFAULT

from ddcodec.fit.cuda.engine import GraphEngine, next_basis
from ddcodec.fit.descent.loop import run
from ddcodec.fit.descent.schedule import Point, point_at
from ddcodec.fit.descent.task import FitTask
from ddcodec.fit.reference.engine import TorchEngine
from ddcodec.format.arch import base_arch

ARCHS = {
    "default": replace(DEFAULT, width=40, height=33),
    "planes passed on": replace(DEFAULT, width=40, height=33, finest_channels=5, channels=5, linear=5),
    "detail": base_arch(40, 33, 3, 9, detail=1),
    "one row": replace(DEFAULT, width=40, height=1),
    "code in the coarsest alone": replace(DEFAULT, width=24, height=33, octaves=4, coarsest_planes=5, finer_planes=0),
    "one octave, grey": replace(DEFAULT, width=17, height=20, octaves=1, planes=1, coarsest_planes=3),
}
LAMBDAS = [1e-3, 1e-2, 3e-4]


@pytest.fixture(
    params=[
        "cpu",
        pytest.param("cuda:0", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no GPU.")),
    ]
)
def device(request):
    return request.param


def tasks_of(pictures, arches, lambdas, knowns=(None,) * 9, tune="eye"):
    return [FitTask(*own[:3], known=own[3], tune=tune) for own in zip(pictures, arches, lambdas, knowns)]


def engine_on(device, *arguments, knowns=(None,) * 9, tune="eye", **options):
    engine = GraphEngine(tasks_of(*arguments, knowns, tune), device=device, **options)
    engine.warm_up()
    return engine


def pictures_for(arch):
    picture = painted(arch.height, arch.width, arch.planes).reshape(arch.height, arch.width, -1)
    return [picture, picture[::-1].copy(), 255 - picture]


def moved_apart(batch, singles, seed=0):
    """Give the fits of a batch and as many single engines the same random weights and code, each fit its own.

    The weights lie near to the base. Far-off samples would make gradients so long that, clipped, most are next to
    nothing.
    """
    random = np.random.default_rng(seed)
    for fit, single in zip(batch.fits, singles):
        weights = {
            name: (w + 0.1 * random.standard_normal(w.shape)).astype(np.float32) for name, w in single.weights().items()
        }
        code = {o: random.integers(-2, 3, planes.shape).astype(np.int16) for o, planes in single.rounded_code().items()}
        single.take(weights, code)
        to = batch.device
        fit.restore(
            (
                [torch.from_numpy(w).to(to) for w in weights.values()],
                {o: torch.from_numpy(planes).to(to) for o, planes in code.items()},
            )
        )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tune", ["psnr", "eye"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", ARCHS)
def test_many_fits_at_once_do_what_each_does_alone(name, masked, tune, device):
    arch = ARCHS[name]
    pictures, knowns = pictures_for(arch), [None] * 3
    if masked:
        knowns[1:] = np.random.default_rng(2).random((2, arch.height, arch.width)) < 0.4
    batch = engine_on(device, pictures, [arch] * 3, LAMBDAS, knowns=knowns, tune=tune)
    singles = [
        TorchEngine(task.picture, arch, task.lambda_, known=task.known, form=task.form)
        for task in tasks_of(pictures, [arch] * 3, LAMBDAS, knowns, tune)
    ]
    moved_apart(batch, singles)
    for fit, single in zip(batch.fits, singles):
        assert fit.evaluate() == pytest.approx(single.evaluate(), rel=1e-5)
        assert fit.single_colour == single.single_colour
    for hard in (False, False, True):
        point = Point(hard, 0.4, 0.0, 1e-3, 1e-3)
        batch.step(point)
        for single, loss in zip(singles, batch.losses()):
            single.step(point)
            assert loss == pytest.approx(single.losses()[0], rel=1e-3)
    if tune == "eye":
        # In many tensors its gradients are next to nothing; `interpreted_kernels` compares them themselves.
        return
    for fit, single in zip(batch.fits, singles):
        theirs = single.weights()
        for name, values in fit.weights().items():
            # Where a gradient is next to nothing a step is as long as any other; a GPU adds up in another order, which
            # makes more of those.
            assert np.mean(np.abs(values - theirs[name]) < 3e-4) > (0.85 if device == "cpu" else 0.7), name
        ours = fit.rounded_code()
        for octave, planes in single.rounded_code().items():
            assert np.mean(ours[octave] == planes) > 0.98


def test_fits_do_not_see_one_another(device):
    """A picture fitted beside others ends as beside different ones, but for the noise."""
    arch = ARCHS["default"]
    first, second, third = pictures_for(arch)
    point = Point(False, 0.4, 0.0, 1e-2, 1e-2)
    weights = []
    for other in (second, third):
        engine = engine_on(device, [first, other], [arch] * 2, LAMBDAS[:2])
        for _ in range(3):
            engine.step(point)
        weights.append(engine.fits[0].weights())
    for name in weights[0]:
        assert np.array_equal(weights[0][name], weights[1][name]), name


def test_a_whole_fit_of_several(device):
    arch = ARCHS["default"]
    pictures = pictures_for(arch)
    engine = engine_on(device, pictures, [arch] * 3, [3e-4] * 3)
    before = [fit.evaluate().distortion for fit in engine.fits]
    told = []
    assert run(engine, 50, progress=told.append) == (50, [])
    assert len(told) == 50 and told[-1].psnr > told[0].psnr
    for fit, start in zip(engine.fits, before):
        assert fit.evaluate().distortion < 0.5 * start


def test_noise_differs_between_fits_and_steps():
    arch = ARCHS["default"]
    engine = GraphEngine(tasks_of([painted(33, 40)] * 2, [arch] * 2, [1e-3] * 2))
    engine._noise.fill_(0.25)
    engine._temperature.fill_(50.0)
    seen = [engine._noisy()[0].detach() / 0.25 for _ in range(2)]
    (a, b), (c, _) = seen
    for one, other in ((a, b), (a, c)):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1
    assert abs(a.std() - 1) < 0.1


def test_a_step_waits_for_nothing(monkeypatch):
    """Nothing in a step, but for the first, takes values from the host or reads them back: in a graph it could not."""
    engine = GraphEngine(tasks_of(pictures_for(ARCHS["default"]), [ARCHS["default"]] * 3, LAMBDAS))
    engine._move(False)
    for maker in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.setattr(torch, maker, lambda *_, **__: pytest.fail("A tensor was made of the host's numbers."))
    for name in ("item", "tolist", "numpy", "cpu", "nonzero", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, lambda *_: pytest.fail("A value was read back."))
    for hard in (False, True):
        engine._move(hard)


def test_a_lambda_may_move_between_steps(device):
    """Only the fit whose lambda has moved goes another way."""
    arch = ARCHS["default"]
    pictures = pictures_for(arch)

    def weights(moved):
        engine = engine_on(device, pictures, [arch] * 3, LAMBDAS)
        for _ in range(3):
            engine.step(point_at(0.2))
        if moved:
            engine.fits[0].lambda_ = 0.5
            assert engine.fits[0].lambda_ == 0.5
        for _ in range(3):
            engine.step(point_at(0.2))
        return [fit.weights()["context.3.bias"] for fit in engine.fits]

    before, after = weights(False), weights(True)
    assert not np.allclose(before[0], after[0], atol=1e-4)
    assert all(np.allclose(*pair, atol=1e-5) for pair in list(zip(before, after))[1:])


def test_the_next_basis_is_a_qr_decomposition_s(device):
    random = np.random.default_rng(5)
    factors, starts = random.standard_normal((2, 4, 20, 20))
    squares, bases = factors @ factors.transpose(0, 2, 1) + 1e-3 * np.eye(20), np.linalg.qr(starts)[0]
    # Where there never was a gradient the basis stays.
    squares[3] = 0
    found = (
        next_basis(*(torch.tensor(part, dtype=torch.float32, device=device) for part in (squares, bases)))
        .cpu()
        .double()
        .numpy()
    )
    assert np.abs(found.transpose(0, 2, 1) @ found - np.eye(20)).max() < 1e-4
    assert np.abs(found[3] - bases[3]).max() < 1e-5
    # But for signs.
    along = np.abs((np.linalg.qr(squares[:3] @ bases[:3])[0] * found[:3]).sum(1))
    assert np.abs(along - 1).max() < 1e-3


def test_an_engine_without_kernels_says_so_once(monkeypatch):
    said, arch = [], ARCHS["planes passed on"]
    engine = GraphEngine(tasks_of(pictures_for(arch), [arch] * 3, LAMBDAS), say=said.append)

    def capture(self, hard, fused):
        if fused:
            raise RuntimeError("there is no\n C compiler")
        return f"graph {hard}"

    monkeypatch.setattr(GraphEngine, "_capture", capture)
    assert [engine._captured(hard) for hard in (False, True)] == ["graph False", "graph True"]
    (sentence,) = said
    assert sentence.startswith("Warning: the kernels of the GPU cannot be used")
    assert sentence.endswith("the reason: RuntimeError: there is no C compiler")


def test_without_any_way_the_error_is_raised(monkeypatch):
    arch = ARCHS["default"]
    engine = GraphEngine(tasks_of(pictures_for(arch), [arch] * 3, LAMBDAS))

    def capture(self, hard, fused):
        raise RuntimeError("nothing works")

    monkeypatch.setattr(GraphEngine, "_capture", capture)
    with pytest.raises(RuntimeError, match="nothing works"):
        engine._captured(False)

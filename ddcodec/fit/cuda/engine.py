"""The GPU engine: many fits take each step together, in one captured CUDA graph.

Nothing on the host waits for a step. All arrays have one more axis in front, for the fits. So pictures, or rates of one
picture, share the launches of a step.

The objective comes from Triton kernels. Where those cannot be had it is the reference's under `torch.func.vmap`, which
takes several times as long. On a CPU the same steps run one by one, for the tests.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from math import prod

import numpy as np
import torch

from ...format.arch import CODE_MAX
from ...picture import peak_of
from ..descent.schedule import Point
from ..descent.soap import BETAS, Betas, Soap, code_epsilon
from ..descent.start import CODE_UNITS, initial_code, initial_weights, moving, real_base
from ..descent.task import FitTask
from ..loss.terms import Loss, share_of, weight_step
from ..reference.distortion import distortion_by, form_tensors, stacked
from ..reference.ops import BatchOps
from ..reference.rate import bits_of, own_bits
from ..reference.synthesis import errors_of, synthesise
from ..reference.update import soft_round

WARM_UP = 3
"""Steps before a graph is captured, in which libraries set themselves up.

Their effect is taken back.
"""
TINY = 1e-30
"""Added to a mean product of gradients, so that a matrix without gradients keeps its basis."""
FALLING_BACK = (
    "Warning: the kernels of the GPU cannot be used, so that each step takes several times as long; the reason: {}"
)
"""Said where the Triton kernels cannot be used, with the reason."""


class GraphEngine:
    """The engine of fits on a GPU; see `fit.descent.protocols.Engine`.

    tasks: their architectures are alike but for the bases. device: "cuda:N", or "cpu" for tests. say: called with a
    sentence where the kernels cannot be used.

    Raises `torch.OutOfMemoryError`, also in `warm_up`.
    """

    def __init__(
        self,
        tasks: Sequence[FitTask],
        *,
        betas: Betas = BETAS,
        seed: int = 0,
        device: str = "cpu",
        say: Callable[[str], None] | None = None,
    ) -> None:
        arch, pictures = tasks[0].arch, [task.picture for task in tasks]
        self.arch, self.device, self.pixels = arch, device, arch.width * arch.height
        self._ops, self._say = BatchOps(device), say or (lambda sentence: None)
        self._fused = arch.passes and not arch.detail
        self._target = torch.stack(
            [torch.tensor(p / peak_of(p), device=device, dtype=torch.float32).permute(2, 0, 1) for p in pictures]
        )
        self._counts = None
        if any(task.known is not None for task in tasks):
            all_known = np.ones((arch.height, arch.width), bool)
            counted = [all_known if task.known is None else task.known for task in tasks]
            self._counts = torch.tensor(np.stack(counted), device=device)
        self._form = stacked([form_tensors(task.form, arch.planes, device) for task in tasks])
        self._lambdas = torch.tensor([task.lambda_ for task in tasks], device=device, dtype=torch.float32)
        starts = [np.random.default_rng(seed) for _ in pictures]
        own = [(task.arch, task.picture, start, task.lambda_) for task, start in zip(tasks, starts)]
        weights, code = [initial_weights(*each) for each in own], [initial_code(*each) for each in own]
        self.numbers = {name: torch.tensor(np.stack([w[name] for w in weights]), device=device) for name in weights[0]}
        self._moved = {name: self.numbers[name].requires_grad_() for name in moving(arch)}
        bases = [real_base(task.arch) for task in tasks]
        # Weights decay towards those from which a fit with a base starts.
        rests = [start if task.arch.base else base for task, start, base in zip(tasks, weights, bases)]
        self._base, self._rest = (
            {name: torch.tensor(np.stack([each[name] for each in own]), device=device) for name in self.numbers}
            for own in (bases, rests)
        )
        # All octaves in one tensor: what is done to each integer alone is then done by one kernel.
        self._shapes = {octave: y.shape for octave, y in code[0].items()}
        self._y = torch.tensor(
            np.stack([np.concatenate([y.ravel() for y in own.values()]) for own in code]),
            device=device,
            requires_grad=True,
        )
        self.code = self._by_octave(self._y.detach())
        self._generator = torch.Generator(device).manual_seed(seed)
        # A captured graph finds the schedule's values in these tensors.
        self._temperature, self._noise, self._code_rate, self._weight_rate = torch.ones(
            4, device=device, dtype=torch.float32
        ).unbind()
        shapes = [leaf.shape[1:] for leaf in self._moved.values()]
        self._soap = Soap(
            shapes,
            betas.weights,
            lambda shape: torch.zeros(shape, device=device, dtype=torch.float32),
            next_basis,
            (len(pictures),),
            betas.decay,
        )
        self._code_optimiser = torch.optim.Adam(
            [self._y],
            lr=self._code_rate,
            betas=betas.code,
            eps=code_epsilon(arch),
            fused=True,
            capturable=self._is_cuda,
        )
        self._objective = torch.func.vmap(self._one, (0, 0, 0, None if self._counts is None else 0, 0))
        self._losses = torch.zeros(3, len(pictures), device=device, dtype=torch.float32)
        self._graphs: dict[bool, torch.cuda.CUDAGraph] = {}
        self._evaluated: list[Loss] | None = None
        self.fits = tuple(_Fit(self, index, task) for index, task in enumerate(tasks))

    def warm_up(self) -> None:
        """Capture the graphs, so that a lack of memory shows at once."""
        if self._is_cuda:
            # The graphs never run at once and leave nothing behind in their memory, so that all can share one pool.
            self._pool = torch.cuda.graph_pool_handle()
            self._graphs = {hard: self._captured(hard) for hard in (False, True)}
            self.evaluate()
            self.forget()

    def step(self, point: Point) -> None:
        """Take one step of every fit."""
        self._evaluated = None
        values = (
            (self._temperature, point.temperature),
            (self._noise, point.noise),
            (self._code_rate, point.code_rate),
            (self._weight_rate, point.weight_rate),
        )
        for tensor, value in values:
            tensor.fill_(value)
        if self._is_cuda:
            self._graphs[point.hard].replay()
        else:
            self._move(point.hard)
        self._soap.end()

    def losses(self) -> list[Loss]:
        """Return the `Loss` of every fit before the last step."""
        return [Loss(*values) for values in self._losses.T.tolist()]

    def fold(self) -> None:
        """Do nothing: this engine has no channel normalisation."""

    @torch.no_grad()
    def evaluate(self) -> list[Loss]:
        """Measure the `Loss` of every fit with the code rounded."""
        if self._evaluated is None:
            losses = torch.stack(self._objective(self._rounded(), self.numbers, self._target, self._counts, self._form))
            self._evaluated = [Loss(*values) for values in losses.T.tolist()]
        return self._evaluated

    def set_lambda(self, index: int, value: float) -> None:
        """Set the lambda of one fit for the steps to come."""
        self._lambdas[index] = value

    def forget(self) -> None:
        """Drop the result that `evaluate` has kept: it does not hold any more."""
        self._evaluated = None

    @property
    def _is_cuda(self):
        return self.device != "cpu"

    def _by_octave(self, flat):
        """View a tensor like `_y` by octaves: octave -> (B, planes, rows, columns)."""
        parts = flat.split([prod(shape) for shape in self._shapes.values()], 1)
        return {octave: part.reshape(-1, *shape) for (octave, shape), part in zip(self._shapes.items(), parts)}

    def _one(self, code, numbers, target, known, form):
        """Compute distortion, bits and MSE of one fit, as the reference does."""
        errors = errors_of(self._ops, self.arch, code, numbers, target, known)
        bits = bits_of(self._ops, self.arch, code, numbers)
        return distortion_by(errors, form), bits, errors.square().mean()

    def _rounded(self):
        return self._by_octave((CODE_UNITS * self._y.detach()).round().clamp(-CODE_MAX, CODE_MAX))

    def _noisy(self):
        noise = (
            torch.randn(self._y.shape, generator=self._generator, device=self.device, dtype=self._y.dtype) * self._noise
        )
        return self._by_octave(
            soft_round(soft_round(CODE_UNITS * self._y, self._temperature) + noise, self._temperature)
        )

    def _move(self, hard, fused=False):
        """Take the step itself; no value of it is ever looked at here.

        fused: by the Triton kernels.
        """
        moved = list(self._moved.values()) + ([] if hard else [self._y])
        code = self._rounded() if hard else self._noisy()
        if fused:
            objective = partial(_kernels().fused_objective, self.arch)
        else:
            objective = self._objective
        distortion, bits, mse = objective(code, self.numbers, self._target, self._counts, self._form)
        prices = self._lambdas / self.pixels
        own = torch.func.vmap(lambda *own: own_bits(self.arch, *own))(self.numbers, self._base, weight_step(prices))
        gradients = torch.autograd.grad((distortion + prices * (bits + own)).sum(), moved)
        with torch.no_grad():
            self._losses.copy_(torch.stack([distortion, bits, mse]))
            parts = gradients[: len(self._moved)], [leaf - self._rest[name] for name, leaf in self._moved.items()]
            change = self._weight_rate * self._soap.change(
                *(torch.cat([each.flatten(1) for each in part], 1) for part in parts)
            )
            for leaf, part in zip(
                self._moved.values(), change.split([leaf[0].numel() for leaf in self._moved.values()], 1)
            ):
                leaf -= part.reshape(leaf.shape)
            if not hard:
                self._y.grad = gradients[-1]
                self._code_optimiser.step()

    def _captured(self, hard):
        """Capture the graph of a step.

        The changes that the warm-up made are put back in place, since the graph knows these very tensors.
        """
        kept = {id(tensor): (tensor, tensor.detach().clone()) for tensor in self._everything()}
        try:
            graph = self._capture(hard, self._fused)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # At the first use of a kernel Triton needs a C compiler and more; without them it fails in many ways.
            if not self._fused:
                raise
            self._fused = False
            self._say(FALLING_BACK.format(" ".join(f"{type(error).__name__}: {error}".split())))
            graph = self._capture(hard, False)
        with torch.no_grad():
            for tensor in self._everything():
                # Moments and counts of steps that did not exist before the warm-up start at zero.
                tensor.copy_(kept[id(tensor)][1]) if id(tensor) in kept else tensor.zero_()
        return graph

    def _capture(self, hard, fused):
        with torch.cuda.device(self.device):
            # torch's own stream for captures is the same for the whole process, and of the first device.
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side), warnings.catch_warnings():
                # Adam warns that these steps are not captured.
                warnings.simplefilter("ignore", UserWarning)
                for _ in range(WARM_UP):
                    self._move(hard, fused)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(self._generator)
            with torch.cuda.graph(graph, pool=self._pool, stream=side):
                self._move(hard, fused)
        return graph

    def _everything(self):
        """List all tensors that a step changes."""
        leaves = [*self._moved.values(), self._y]
        moments = [value for state in self._code_optimiser.state.values() for value in state.values()]
        return leaves + moments + self._soap.state()


def _kernels():
    return import_module(f"{__package__}.synthesis")


def next_basis(square: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """Compute orthonormal columns for a product of two matrices, as a QR decomposition has them; for `Soap`.

    square: a mean product of gradients (..., size, size). basis: the same shape. On a GPU, libraries decompose many
    matrices one after the other. By Cholesky's decomposition, in float64, all go at once.
    """
    product = square.double() @ basis.double() + TINY * basis
    lower, _ = torch.linalg.cholesky_ex(product.mT @ product)
    return torch.linalg.solve_triangular(lower.mT, product, upper=True, left=False).float()


class _Fit:
    """One of the fits of a `GraphEngine`; see `fit.engine.Fit`."""

    def __init__(self, engine: GraphEngine, index: int, task: FitTask) -> None:
        self._engine, self._index, self.arch, self._lambda = engine, index, task.arch, task.lambda_
        self.pixels, self.known, self.share = engine.pixels, task.known, share_of(task.known)
        self.form, self.single_colour = task.form, task.form.single_colour(task.picture, task.known)

    @property
    def lambda_(self) -> float:
        """The distortion that one bit per pixel is worth; the steps to come take a new value."""
        return self._lambda

    @lambda_.setter
    def lambda_(self, value: float) -> None:
        self._lambda = value
        self._engine.set_lambda(self._index, value)

    def evaluate(self) -> Loss:
        """Measure the `Loss` with the code rounded."""
        return self._engine.evaluate()[self._index]

    @torch.no_grad()
    def picture(self) -> np.ndarray:
        """Return the picture of the rounded code, float32 (H, W, planes) in 0..1."""
        engine, index = self._engine, self._index
        code = {octave: planes[index] for octave, planes in engine._rounded().items()}
        numbers = {name: leaf[index] for name, leaf in engine.numbers.items()}
        output = synthesise(engine._ops, self.arch, code, numbers).clamp(0, 1)
        return output.permute(1, 2, 0).cpu().numpy()

    def state(self, code: bool = True) -> tuple[list[torch.Tensor], dict[int, torch.Tensor]]:
        """Copy the weights and the rounded code, or the weights alone, for `restore`.

        The copies stay on the device, so that nothing waits.
        """
        engine, index = self._engine, self._index
        weights = [leaf.detach()[index].clone() for leaf in engine.numbers.values()]
        return weights, {octave: planes[index].short() for octave, planes in engine._rounded().items()} if code else {}

    @torch.no_grad()
    def restore(self, state: tuple[list[torch.Tensor], dict[int, torch.Tensor]]) -> None:
        """Go back to a state."""
        weights, code = state
        for leaf, value in zip(self._engine.numbers.values(), weights, strict=True):
            leaf[self._index] = value
        for octave, planes in code.items():
            self._engine.code[octave][self._index] = planes / CODE_UNITS
        self._engine.forget()

    def weights(self) -> dict[str, np.ndarray]:
        """Copy the weights: name -> float32 array."""
        return {name: leaf.detach()[self._index].cpu().numpy().copy() for name, leaf in self._engine.numbers.items()}

    def rounded_code(self) -> dict[int, np.ndarray]:
        """Return the code as the file will hold it: octave -> int16 (planes, rows, columns)."""
        return {octave: planes[self._index].short().cpu().numpy() for octave, planes in self._engine._rounded().items()}

    def real_code(self) -> dict[int, np.ndarray]:
        """Return the code before it is rounded, in code units: octave -> float32 (planes, rows, columns)."""
        return {
            octave: CODE_UNITS * y.detach()[self._index].float().cpu().numpy()
            for octave, y in self._engine.code.items()
        }

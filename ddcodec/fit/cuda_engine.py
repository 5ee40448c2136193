"""The GPU engine: many fits take each step together, in one captured CUDA graph that nothing on the host waits for.

Every array has one more axis in front, for the fits. The objective is the reference's under `torch.func.vmap`, which makes batched products of
its layers; so pictures, or rates of one picture, share the launches of a step. The rate can also be had from one Triton kernel: whichever is faster
on the machine at hand is captured. On a CPU the same steps run one by one, for the tests.
"""

import warnings
from importlib import import_module

import numpy as np
import torch

from ..arch import CODE_MAX
from ..samples import peak_of
from .objective import bits_of, distortion_of, features_of, own_bits, soft_round, variance_of
from .recipe import ADAM_EPSILON, BETAS, CODE_UNITS, Loss, initial_code, initial_weights, real_base, share_of, weight_step
from .soap import Soap
from .torch_ops import BatchOps

WARM_UP = 3
"""Steps before a graph is captured, so that libraries have set themselves up; their effect is taken back."""
TIMED = 5
"""Steps by which the faster of two graphs is found."""


class GraphEngine:
    """Fits of pictures (uint8 (H, W, planes)), each with its lambda and its `Arch`, alike but for their bases; see `fit.engine`. knowns: for each bool (H, W), the pixels that count, or None.

    Raises `torch.OutOfMemoryError`, also in `warm_up`.
    """

    name = "cuda graph"

    def __init__(self, pictures, arches, lambdas, *, betas=BETAS, seed=0, device="cpu", knowns=None):
        arch = arches[0]
        self.arch, self.device, self.pixels = arch, device, arch.width * arch.height
        self._ops = BatchOps(device)
        self._target = torch.stack([torch.tensor(p / peak_of(p), device=device, dtype=torch.float32).permute(2, 0, 1) for p in pictures])
        knowns = knowns or [None] * len(pictures)
        self._counts = None
        if any(known is not None for known in knowns):
            self._counts = torch.tensor(np.stack([np.ones(p.shape[:2], bool) if known is None else known for p, known in zip(pictures, knowns)]), device=device)
        self._lambdas = torch.tensor(lambdas, device=device, dtype=torch.float32)
        starts = [np.random.default_rng(seed) for _ in pictures]
        weights = [initial_weights(*own) for own in zip(arches, pictures, starts)]
        code = [initial_code(*own) for own in zip(arches, pictures, starts)]
        self.numbers = {name: self._leaf([w[name] for w in weights]) for name in weights[0]}
        bases = [real_base(own) for own in arches]
        self._base = {name: torch.tensor(np.stack([base[name] for base in bases]), device=device) for name in self.numbers}
        self.code = {octave: self._leaf([y[octave] for y in code]) for octave in code[0]}
        self._generator = torch.Generator(device).manual_seed(seed)
        # The schedule's values, where a captured graph finds them.
        self._temperature, self._noise, self._code_rate, self._weight_rate = torch.ones(4, device=device).unbind()
        shapes = [leaf.shape[1:] for leaf in self.numbers.values()]
        self._soap = Soap(shapes, betas.weights, lambda shape: torch.zeros(shape, device=device), torch.linalg, (len(pictures),), betas.decay)
        self._code_optimiser = torch.optim.Adam(
            self.code.values(), lr=self._code_rate, betas=betas.code, eps=ADAM_EPSILON, fused=True, capturable=self._is_cuda
        )  # fmt: skip
        axes = 0, 0, 0, None if self._counts is None else 0
        self._objective, self._distortion = torch.func.vmap(self._one, axes), torch.func.vmap(self._distortion_of_one, axes)
        self._losses = torch.zeros(2, len(pictures), device=device)
        self._graphs, self._evaluated = {}, None
        self.fits = tuple(_Fit(self, index, *own) for index, own in enumerate(zip(arches, lambdas, knowns)))

    def warm_up(self):
        """Capture the graphs, so that a lack of memory shows at once."""
        if self._is_cuda:
            # The graphs never run at once and leave nothing behind in their memory, so that one is enough for all.
            self._pool = torch.cuda.graph_pool_handle()
            self._graphs = {hard: self._captured(hard) for hard in (False, True)}
            self.evaluate()
            self.forget()

    def step(self, point):
        """One step of every fit."""
        self._evaluated = None
        values = (self._temperature, point.temperature), (self._noise, point.noise), (self._code_rate, point.code_rate), (self._weight_rate, point.weight_rate)
        for tensor, value in values:
            tensor.fill_(value)
        if self._is_cuda:
            self._graphs[point.hard].replay()
        else:
            self._move(point.hard)
        self._soap.end()

    def losses(self):
        """The `Loss` of every fit before the last step."""
        return [Loss(*values) for values in self._losses.T.tolist()]

    def fold(self):
        """This engine has no channel normalisation."""

    @torch.no_grad()
    def evaluate(self):
        """The `Loss` of every fit with the code rounded."""
        if self._evaluated is None:
            losses = torch.stack(self._objective(self._rounded(), self.numbers, self._target, self._counts))
            self._evaluated = [Loss(*values) for values in losses.T.tolist()]
        return self._evaluated

    def set_lambda(self, index, value):
        self._lambdas[index] = value

    def forget(self):
        """What `evaluate` has kept does not hold any more."""
        self._evaluated = None

    @property
    def _is_cuda(self):
        return self.device != "cpu"

    def _leaf(self, arrays):
        return torch.tensor(np.stack(arrays), device=self.device, requires_grad=True)

    def _one(self, code, numbers, target, known):
        return self._distortion_of_one(code, numbers, target, known), bits_of(self._ops, self.arch, code, numbers)

    def _distortion_of_one(self, code, numbers, target, known):
        return distortion_of(self._ops, self.arch, code, numbers, target, known)

    def _fused(self, code):
        """Distortions and bits, the bits from one kernel an octave."""
        fused_rate, bits = import_module(f"{__package__}.fused_rate"), 0
        features = torch.func.vmap(lambda *own: [part for *_, part in features_of(self._ops, self.arch, *own)])(code, self.numbers)
        for octave, own in zip(self.arch.coded_octaves, features):
            bits = bits + fused_rate.fused_bits(self.arch, octave, code[octave], own, self.numbers)
        return self._distortion(code, self.numbers, self._target, self._counts), bits

    def _rounded(self):
        return {o: (CODE_UNITS * y.detach()).round().clamp(-CODE_MAX, CODE_MAX) for o, y in self.code.items()}

    def _noisy(self, y):
        noise = torch.randn(y.shape, generator=self._generator, device=self.device) * self._noise
        return soft_round(soft_round(CODE_UNITS * y, self._temperature) + noise, self._temperature)

    def _move(self, hard, fused=False):
        """The step itself: no value of it is ever looked at here."""
        moved = list(self.numbers.values()) + ([] if hard else list(self.code.values()))
        code = self._rounded() if hard else {octave: self._noisy(y) for octave, y in self.code.items()}
        distortion, bits = self._fused(code) if fused else self._objective(code, self.numbers, self._target, self._counts)
        prices = self._lambdas / self.pixels
        own = torch.func.vmap(lambda *own: own_bits(self.arch, *own))(self.numbers, self._base, weight_step(prices))
        gradients = torch.autograd.grad((distortion + prices * (bits + own)).sum(), moved)
        with torch.no_grad():
            self._losses.copy_(torch.stack([distortion, bits]))
            by_weights = [0 * g if self.arch.is_fixed(name) else g for name, g in zip(self.numbers, gradients)]
            differences = [0 * leaf if self.arch.is_fixed(name) else leaf - self._base[name] for name, leaf in self.numbers.items()]
            change = self._weight_rate * self._soap.change(*(torch.cat([part.flatten(1) for part in parts], 1) for parts in (by_weights, differences)))
            for leaf, part in zip(self.numbers.values(), change.split([g[0].numel() for g in by_weights], 1)):
                leaf -= part.reshape(leaf.shape)
            if not hard:
                for leaf, gradient in zip(self.code.values(), gradients[len(self.numbers) :]):
                    leaf.grad = gradient
                self._code_optimiser.step()

    def _captured(self, hard):
        """The faster graph of a step. What the steps before it changed is put back, in place: the graph knows these very tensors."""
        kept = {id(tensor): (tensor, tensor.detach().clone()) for tensor in self._everything()}
        graphs = []
        for fused in (False, True):
            try:
                graph = self._capture(hard, fused)
            except torch.OutOfMemoryError:
                raise
            except Exception:
                # Triton needs a C compiler and more at the first use of a kernel and fails in many ways without; then there is no such graph.
                if not fused:
                    raise
                continue
            graphs.append((self._milliseconds(graph), len(graphs), graph))
        with torch.no_grad():
            for tensor in self._everything():
                # Moments and counts of steps that did not exist before the warm-up start at nothing.
                tensor.copy_(kept[id(tensor)][1]) if id(tensor) in kept else tensor.zero_()
        return min(graphs)[2]

    def _capture(self, hard, fused):
        with torch.cuda.device(self.device):
            # torch's own stream for captures is one for the whole process, and of the first device.
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

    def _milliseconds(self, graph):
        """Of one step."""
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.device(self.device):
            graph.replay()
            start.record()
            for _ in range(TIMED):
                graph.replay()
            stop.record()
            stop.synchronize()
        return start.elapsed_time(stop) / TIMED

    def _everything(self):
        """All tensors that a step changes."""
        leaves = [*self.numbers.values(), *self.code.values()]
        moments = [value for state in self._code_optimiser.state.values() for value in state.values()]
        return leaves + moments + self._soap.state()


class _Fit:
    """One of a `GraphEngine`'s fits."""

    def __init__(self, engine, index, arch, lambda_, known):
        self._engine, self._index, self.arch, self._lambda = engine, index, arch, lambda_
        self.pixels, self.known, self.share = engine.pixels, known, share_of(known)
        self.variance = variance_of(engine._target[index], None if known is None else engine._counts[index])

    @property
    def lambda_(self):
        return self._lambda

    @lambda_.setter
    def lambda_(self, value):
        self._lambda = value
        self._engine.set_lambda(self._index, value)

    def evaluate(self):
        return self._engine.evaluate()[self._index]

    def state(self, code=True):
        """Copies on the device, so that nothing waits."""
        engine, index = self._engine, self._index
        weights = [leaf.detach()[index].clone() for leaf in engine.numbers.values()]
        return weights, {octave: planes[index].short() for octave, planes in engine._rounded().items()} if code else {}

    @torch.no_grad()
    def restore(self, state):
        weights, code = state
        for leaf, value in zip(self._engine.numbers.values(), weights, strict=True):
            leaf[self._index] = value
        for octave, planes in code.items():
            self._engine.code[octave][self._index] = planes / CODE_UNITS
        self._engine.forget()

    def weights(self):
        return {name: leaf.detach()[self._index].cpu().numpy().copy() for name, leaf in self._engine.numbers.items()}

    def rounded_code(self):
        return {octave: planes[self._index].short().cpu().numpy() for octave, planes in self._engine._rounded().items()}

    def real_code(self):
        return {octave: CODE_UNITS * y.detach()[self._index].float().cpu().numpy() for octave, y in self._engine.code.items()}

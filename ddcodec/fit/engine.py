"""The torch engine: the objective D + lambda R of one picture, by autograd, on CPU or CUDA; the reference for all others."""

from math import sqrt
from typing import NamedTuple

import torch

from ..arch import CODE_MAX, CODE_STEP, NEIGHBOURS, PARENT_FEATURES, SYNTHESIS_UNIT
from ..network import context, parent_features, synthesis
from ..tables import SCALES, STEPS_PER_OCTAVE, UNIT_SCALE
from .torch_ops import NormalisingOps, TorchOps

CODE_UNITS = SYNTHESIS_UNIT // CODE_STEP
"""The code is fitted as y with q = round(16 y), so that one learning rate serves code and weights (Cool-Chic 5)."""
CLIP_NORM = 0.1
INITIAL_LOG_SCALE = -2.0
"""log2 of the Laplace scale that an untrained context predicts: a code of zeros starts at a quarter of a bit, not above one."""
BETAS = (0.9, 0.99)


class Loss(NamedTuple):
    """distortion: MSE of samples in [0, 1], clamped. bits: of the code."""

    distortion: float
    bits: float


class TorchEngine:
    """Weights, code and optimisers of one fit.

    samples: uint8 (H, W, planes). `weights` (name -> tensor, real values) and `code` (octave -> y) are the state; `step` moves it.
    """

    def __init__(self, samples, arch, lambda_, *, normalise=False, seed=0, device="cpu"):
        self.arch, self.lambda_, self.device = arch, lambda_, device
        self.target = torch.tensor(samples, device=device).permute(2, 0, 1).float().contiguous() / 255
        self.pixels = arch.width * arch.height
        self.windows = arch.windows(0, arch.height)
        self.ops = TorchOps(device)
        random = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator(device).manual_seed(seed)
        self.weights = {n: w.to(device).requires_grad_() for n, w in initial_weights(arch, self.target, random).items()}
        self.code = {o: y.to(device).requires_grad_() for o, y in initial_code(arch, random).items()}
        self.norm = None
        if normalise:
            self.norm = {o: torch.ones(arch.channels_of(o), device=device, requires_grad=True) for o in range(arch.octaves)}
            self.norm_shift = {o: torch.zeros(arch.channels_of(o), device=device, requires_grad=True) for o in range(arch.octaves)}
            self.ops = NormalisingOps(self.norm, self.norm_shift, device)
        self._start_optimisers()

    def step(self, point):
        """One step of the optimisation; returns the `Loss` before it."""
        self.weight_optimiser.zero_grad()
        self.code_optimiser.zero_grad()
        code = self.rounded_code() if point.hard else {o: self._noisy(y, point) for o, y in self.code.items()}
        distortion, bits = self.objective(code)
        (distortion + self.lambda_ / self.pixels * bits).backward()
        torch.nn.utils.clip_grad_norm_(self._weight_leaves(), CLIP_NORM)
        for optimiser, rate in ((self.weight_optimiser, point.weight_rate), (self.code_optimiser, point.code_rate)):
            optimiser.param_groups[0]["lr"] = rate
        self.weight_optimiser.step()
        if not point.hard:
            self.code_optimiser.step()
        return Loss(distortion.item(), bits.item())

    @torch.no_grad()
    def evaluate(self):
        """The `Loss` with the code rounded."""
        distortion, bits = self.objective(self.rounded_code())
        return Loss(distortion.item(), bits.item())

    def objective(self, code):
        """Distortion and bits of a code (octave -> (planes, rows, columns) in code units), as differentiable scalars."""
        return self.distortion(code, self.weights), self.bits(code, self.weights)

    def distortion(self, code, weights):
        output = self.synthesise(code, weights)
        # The clamp is inside the loss but not inside the gradient's way: with it, bright pictures collapse.
        return (output + (output.clamp(0, 1) - output).detach() - self.target).square().mean()

    def synthesise(self, code, weights):
        return synthesis(self.ops, self.arch, weights, lambda octave, window: code[octave], self.windows)

    def bits(self, code, weights):
        return sum(self.octave_bits(code, weights, octave) for octave in self.arch.coded_octaves)

    def octave_bits(self, code, weights, octave):
        parent = self.arch.parent(octave)
        features = parent_features(self.ops, self.arch, octave, None if parent is None else code[parent][0])
        planes = code[octave]
        inputs = torch.cat([neighbourhood(planes, self.arch.neighbours), features.flatten(1).repeat(1, len(planes))])
        mean, log_scale = context(self.ops, self.arch, weights, inputs, octave)
        return laplace_bits(planes.flatten() - mean, log_scale).sum()

    def rounded_code(self):
        """octave -> integers (as floats), what the file will hold."""
        return {o: (CODE_UNITS * y.detach()).round().clamp(-CODE_MAX, CODE_MAX) for o, y in self.code.items()}

    @torch.no_grad()
    def fold(self):
        """Replace the channel normalisation, if there is one, by the affine map that it is for this picture, in the next layer's weights."""
        if not self.norm:
            return
        self.synthesise(self.rounded_code(), self.weights)
        for octave in self.arch.coarse_to_fine:
            gain, offset = self.ops.gain[octave], self.ops.offset[octave]
            finer = octave - 1
            weight, bias = (f"mix.{finer}", f"bias.{finer}") if octave else ("output.weight", "output.bias")
            reach = self.weights[f"taps.{finer}"].sum() ** 2 if octave else 1.0
            self.weights[bias] += reach * (self.weights[weight] @ offset)
            self.weights[weight] *= gain
        self.norm = None
        self.ops = TorchOps(self.device)
        self._start_optimisers()

    def state(self):
        """A copy of weights (with those of the normalisation) and code, for `restore`; of no use after a `fold`."""
        return [leaf.detach().clone() for leaf in (*self._weight_leaves(), *self.code.values())]

    @torch.no_grad()
    def restore(self, state):
        for leaf, value in zip((*self._weight_leaves(), *self.code.values()), state, strict=True):
            leaf.copy_(value)

    def _weight_leaves(self):
        leaves = list(self.weights.values())
        return leaves + [*self.norm.values(), *self.norm_shift.values()] if self.norm else leaves

    def _start_optimisers(self):
        self.weight_optimiser = torch.optim.Adam(self._weight_leaves(), betas=BETAS, fused=True)
        self.code_optimiser = torch.optim.Adam(list(self.code.values()), betas=BETAS, fused=True)

    def _noisy(self, y, point):
        noise = torch.randn(y.shape, generator=self.noise, device=self.device) * point.noise
        return soft_round(soft_round(CODE_UNITS * y, point.temperature) + noise, point.temperature)


def memory_of(arch):
    """About the bytes that a step takes, beside the program: the arrays that autograd keeps, measured to within a fifth."""
    pixels = arch.width * arch.height
    by_position = 2 * (arch.neighbours + PARENT_FEATURES) + 6 * arch.context_channels
    by_pixel = 12 * arch.finest_channels + 4 * arch.channels
    return 4 * (arch.positions() * by_position + pixels * by_pixel)


def soft_round(values, temperature):
    """A differentiable rounding, exact at integers and halves (Agustsson & Theis 2020, equation 16)."""
    middle = values.detach().floor() + 0.5
    scale = 2 * torch.tanh(torch.tensor(0.5 / temperature)).item()
    return middle + torch.tanh((values - middle) / temperature) / scale


def neighbourhood(planes, count):
    """The causal neighbours of every integer of `planes` (P, rows, columns): (count, P rows columns), 0 outside."""
    return _Neighbourhood.apply(planes, count)


def laplace_bits(differences, log_scale):
    """Bits of integers at `differences` from the mean of a discretised Laplace distribution of scale 2^log_scale."""
    return _LaplaceBits.apply(differences, log_scale)


class _Neighbourhood(torch.autograd.Function):
    @staticmethod
    def forward(ctx, planes, count):
        ctx.shape, ctx.count = planes.shape, count
        padded = torch.nn.functional.pad(planes, (4, 4, 3, 0))
        return torch.stack([view.reshape(-1) for view in _shifted(padded, count)])

    @staticmethod
    def backward(ctx, gradient):
        planes, rows, columns = ctx.shape
        padded = gradient.new_zeros(planes, rows + 3, columns + 8)
        for view, part in zip(_shifted(padded, ctx.count), gradient):
            view += part.reshape(ctx.shape)
        return padded[:, 3:, 4 : 4 + columns], None


def _shifted(padded, count):
    rows, columns = padded.shape[1] - 3, padded.shape[2] - 8
    return [padded[:, 3 + dy : 3 + dy + rows, 4 + dx : 4 + dx + columns] for dx, dy in NEIGHBOURS[:count]]


class _LaplaceBits(torch.autograd.Function):
    """Analytic, since autograd's chain would pass over memory a dozen times; the tail in logarithms, so that no outlier's gradient dies."""

    LEAST, GREATEST = -UNIT_SCALE / STEPS_PER_OCTAVE, (SCALES - 1 - UNIT_SCALE) / STEPS_PER_OCTAVE
    NAT = 0.6931471805599453

    @staticmethod
    def forward(ctx, differences, log_scale):
        inverse = torch.exp2(-log_scale.clamp(_LaplaceBits.LEAST, _LaplaceBits.GREATEST))
        distance = differences.abs()
        sign = torch.sign(differences)
        tail = distance > 0.5
        near, far = (0.5 - distance.clamp(max=0.5)) * inverse, (0.5 + distance.clamp(max=0.5)) * inverse
        below, above = 0.5 * torch.exp(-far), 0.5 * torch.exp(-near)
        chance = 1 - below - above
        beyond = (distance - 0.5) * inverse
        nats = torch.where(tail, beyond + _LaplaceBits.NAT - torch.log(-torch.expm1(-inverse)), -torch.log(chance))
        by_distance = torch.where(tail, inverse, (above - below) * inverse / chance)
        by_scale = torch.where(tail, inverse / torch.expm1(inverse) - beyond, (near * above + far * below) / chance)
        # Beyond the ladder of scales only a step back inside has a gradient.
        by_scale[(log_scale > _LaplaceBits.GREATEST) & (by_scale < 0)] = 0
        by_scale[(log_scale < _LaplaceBits.LEAST) & (by_scale > 0)] = 0
        ctx.save_for_backward(sign * by_distance / _LaplaceBits.NAT, by_scale)
        return nats / _LaplaceBits.NAT

    @staticmethod
    def backward(ctx, gradient):
        by_difference, by_scale = ctx.saved_tensors
        return gradient * by_difference, gradient * by_scale


def initial_weights(arch, target, random):
    """Weights to start from: linear channels pass from octave to octave, the output starts at the picture's mean."""

    def normal(rows, columns, fan):
        return torch.randn(rows, columns, generator=random) / sqrt(fan)

    weights = {}
    for name, shape in arch.tensors():
        kind = name.split(".")[0]
        if name in ("context.1.weight", "context.2.weight", "output.weight") or kind in ("mix", "code"):
            weights[name] = normal(*shape, shape[0] if kind == "code" else shape[1])
        elif kind == "taps":
            # Cubic interpolation (a = -3/4) at a quarter, or linear.
            weights[name] = torch.tensor({1: [0.25, 0.75], 2: [-0.03515625, 0.26171875, 0.87890625, -0.10546875]}[arch.taps])
        else:
            weights[name] = torch.zeros(shape)
        if kind == "mix" and arch.linear:
            weights[name][: arch.linear] = torch.eye(*shape)[: arch.linear]
    weights["context.3.bias"][:, 1] = INITIAL_LOG_SCALE
    weights["output.weight"] /= 2
    weights["output.bias"] = target.mean((1, 2)).cpu()
    return weights


def initial_code(arch, random):
    """The code as y: zeros; where only the coarsest octave has a code, the random input of the plain deep decoder."""
    code = {o: torch.zeros(arch.code_planes(o), *arch.size(o)) for o in arch.coded_octaves}
    if len(code) == 1:
        code = {o: torch.randn(y.shape, generator=random) / 8 for o, y in code.items()}
    return code

"""The torch engine: the objective D + lambda R of one picture, by autograd, on CPU or CUDA.

It is the reference that all other engines must equal.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ...format.arch import CODE_MAX, Arch
from ...picture import peak_of
from ..descent.schedule import Point
from ..descent.soap import BETAS, Betas, Soap, by_qr, code_epsilon
from ..descent.start import CODE_UNITS, initial_code, initial_weights, real_base
from ..loss.form import SQUARED_ERROR, Form
from ..loss.terms import Loss, share_of, weight_step
from .distortion import distortion_by, form_tensors
from .ops import NormalisingOps, TorchOps
from .rate import bits_of, features_of, octave_bits, own_bits
from .synthesis import errors_of, synthesise
from .update import soft_round


class TorchEngine:
    """The reference engine (see `fit.descent.protocols`); the only one that knows channel normalisation.

    samples: uint8 or uint16 (H, W, planes). lambda_: the distortion that one bit per pixel is worth. normalise: with
    channel normalisation. known: bool (H, W), the pixels that count, or None for all. form: what errors cost.

    The state that `step` moves is `numbers` (name -> tensor, real values) and `code` (octave -> y).
    """

    def __init__(
        self,
        samples: np.ndarray,
        arch: Arch,
        lambda_: float,
        *,
        betas: Betas = BETAS,
        normalise: bool = False,
        seed: int = 0,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        known: np.ndarray | None = None,
        form: Form = SQUARED_ERROR,
    ) -> None:
        self.arch, self.lambda_, self.device, self._betas = arch, lambda_, device, betas
        self.ops: Any = TorchOps(device, dtype)
        self.retarget(samples)
        self.known, self.share = known, share_of(known)
        self._counts = None if known is None else torch.tensor(known, device=device)
        self.form, self.single_colour = form, form.single_colour(samples, known)
        self._form = form_tensors(form, arch.planes, device, dtype)
        self.pixels = arch.width * arch.height
        random = np.random.default_rng(seed)
        self.noise = torch.Generator(device).manual_seed(seed)
        start = initial_weights(arch, samples, random, lambda_)
        self.numbers = {n: self._leaf(w) for n, w in start.items()}
        self.code = {o: self._leaf(y) for o, y in initial_code(arch, samples, random, lambda_).items()}
        self._base = self._tensors(real_base(arch))
        # Weights decay towards those from which a fit with a base starts.
        self._rest = self._tensors(start) if arch.base else self._base
        self._sum: torch.Tensor | None = None
        self._count = 0
        self.norm: dict[int, torch.Tensor] | None = None
        if normalise:
            self.norm = {
                o: torch.ones(arch.channels_of(o), device=device, dtype=dtype, requires_grad=True)
                for o in range(arch.octaves)
            }
            self.norm_shift = {
                o: torch.zeros(arch.channels_of(o), device=device, dtype=dtype, requires_grad=True)
                for o in range(arch.octaves)
            }
            self.ops = NormalisingOps(self.norm, self.norm_shift, device)
        self._start_optimisers()

    @property
    def fits(self) -> tuple["TorchEngine"]:
        """The one fit: this engine itself."""
        return (self,)

    def warm_up(self) -> None:
        """Do nothing: there is nothing to prepare."""

    def step(self, point: Point) -> None:
        """Take one step of the optimisation."""
        for leaf in self._weight_leaves():
            leaf.grad = None
        self.code_optimiser.zero_grad()
        code = self._rounded() if point.hard else {o: self._noisy(y, point) for o, y in self.code.items()}
        if self._sum is not None:
            with torch.no_grad():
                self._sum += synthesise(self.ops, self.arch, code, self.numbers).clamp(0, 1)
            self._count += 1
        distortion, bits, mse = self.objective(code)
        self.minimised(distortion, bits).backward()
        for name, values in self.numbers.items():
            if self.arch.is_fixed(name):
                values.grad.zero_()
        self._move_weights(point.weight_rate)
        if not point.hard:
            self.code_optimiser.param_groups[0]["lr"] = point.code_rate
            self.code_optimiser.step()
        self._loss = distortion.detach(), bits.detach(), mse.detach()

    def losses(self) -> list[Loss]:
        """Return the `Loss` before the last step."""
        return [Loss(*(value.item() for value in self._loss))]

    def average(self) -> None:
        """Take the mean of the pictures of all steps from now on."""
        self._sum, self._count = torch.zeros_like(self.target), 0

    def mean(self) -> np.ndarray | None:
        """Return the mean picture of the steps since `average`, float32 (H, W, planes) in 0..1.

        Returns None where there has been no step.
        """
        if self._sum is None or not self._count:
            return None
        return (self._sum / self._count).permute(1, 2, 0).cpu().float().numpy()

    @torch.no_grad()
    def evaluate(self) -> Loss:
        """Measure the `Loss` with the code rounded."""
        return Loss(*(value.item() for value in self.objective(self._rounded())))

    @torch.no_grad()
    def picture(self) -> np.ndarray:
        """Return the picture of the rounded code, float32 (H, W, planes) in 0..1."""
        output = synthesise(self.ops, self.arch, self._rounded(), self.numbers).clamp(0, 1)
        return output.permute(1, 2, 0).cpu().float().numpy()

    @torch.no_grad()
    def distortion(self, weights: dict[str, np.ndarray]) -> tuple[float, float]:
        """Measure distortion and MSE of the rounded code with other weights (name -> array)."""
        errors = self._errors(self._rounded(), self._tensors(weights))
        return distortion_by(errors, self._form).item(), errors.square().mean().item()

    @torch.no_grad()
    def bits(self, weights: dict[str, np.ndarray]) -> float:
        """Measure the bits of the rounded code with other weights (name -> array)."""
        return bits_of(self.ops, self.arch, self._rounded(), self._tensors(weights)).item()

    def slopes(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the derivatives of D + lambda R of the rounded code by weights, at other weights (name -> array).

        Returns name -> float64 array, with zeros for fixed tensors.
        """
        code, numbers = (
            self._rounded(),
            {name: values.requires_grad_() for name, values in self._tensors(weights).items()},
        )
        bits = bits_of(self.ops, self.arch, code, numbers)
        loss = distortion_by(self._errors(code, numbers), self._form) + self.lambda_ / self.pixels * bits
        slopes = torch.autograd.grad(loss, list(numbers.values()), allow_unused=True, materialize_grads=True)
        return {
            name: own.double().numpy(force=True) * (not self.arch.is_fixed(name)) for name, own in zip(numbers, slopes)
        }

    def maps(self, octave: int, anew: bool = False) -> tuple[list[np.ndarray], np.ndarray]:
        """Measure the bits of integers and the parts of pixels in D, with the code rounded.

        Returns a list of bits of each integer, (rows, columns), for the octave and all finer ones, and the parts of
        pixels, (H, W); see `SearchableFit`. For codes of one plane an octave.
        """
        code = self._rounded()
        with torch.no_grad():
            own = [
                features for features in features_of(self.ops, self.arch, code, self.numbers) if features[0] <= octave
            ]
            bits = [
                octave_bits(self.ops, self.arch, self.numbers, o, planes, part)
                .reshape(self.arch.size(o))
                .numpy(force=True)
                for o, planes, part in own
            ]
            errors = self._errors(code, self.numbers)
        errors.requires_grad_()
        (gradient,) = torch.autograd.grad(distortion_by(errors, self._form), errors)
        errors = errors.detach()
        if anew:
            self._before = errors, gradient
            parts = errors * gradient
        else:
            before, old = self._before
            # Exact in sum, since D is quadratic.
            parts = (errors - before) * (gradient + old)
        return bits, parts.sum(0).numpy(force=True) / 2

    @torch.no_grad()
    def put_plane(self, octave: int, values: np.ndarray) -> None:
        """Put integers (rows, columns) in the place of an octave's only code plane."""
        self.code[octave][0] = torch.from_numpy(values / np.float32(CODE_UNITS))

    def weights(self) -> dict[str, np.ndarray]:
        """Copy the weights: name -> float32 array."""
        return {name: values.detach().cpu().float().numpy().copy() for name, values in self.numbers.items()}

    def rounded_code(self) -> dict[int, np.ndarray]:
        """Return the code as the file will hold it: octave -> int16 (planes, rows, columns)."""
        return {o: planes.cpu().numpy().astype(np.int16) for o, planes in self._rounded().items()}

    def retarget(self, samples: np.ndarray) -> None:
        """Go on towards other samples, uint8 or uint16 (H, W, planes)."""
        self.target = (
            torch.tensor(samples / peak_of(samples), device=self.device, dtype=self.ops.dtype)
            .permute(2, 0, 1)
            .contiguous()
        )

    def real_code(self) -> dict[int, np.ndarray]:
        """Return the code before it is rounded, in code units: octave -> float32 (planes, rows, columns)."""
        return {o: (CODE_UNITS * y.detach()).cpu().float().numpy() for o, y in self.code.items()}

    @torch.no_grad()
    def fold(self) -> None:
        """Fold the channel normalisation, if there is one, into the next layer's weights.

        For this picture it is an affine map.
        """
        if not self.norm:
            return
        synthesise(self.ops, self.arch, self._rounded(), self.numbers)
        for octave in self.arch.coarse_to_fine:
            gain, offset = self.ops.gain[octave], self.ops.offset[octave]
            finer = octave - 1
            weight, bias = (f"mix.{finer}", f"bias.{finer}") if octave else ("output.weight", "output.bias")
            reach = self.numbers[f"taps.{finer}"].sum() ** 2 if octave else 1.0
            self.numbers[bias] += reach * (self.numbers[weight] @ offset)
            self.numbers[weight] *= gain
        self.norm = None
        self.ops = TorchOps(self.device, self.ops.dtype)
        self._start_optimisers()

    def state(self, code: bool = True) -> tuple[list[torch.Tensor], dict[int, np.ndarray]]:
        """Copy the weights and the rounded code, or the weights alone, for `restore`.

        The weights of the normalisation are among them. After a `fold` a state is of no use.
        """
        return [leaf.detach().clone() for leaf in self._weight_leaves()], self.rounded_code() if code else {}

    def restore(self, state: tuple[list[torch.Tensor], dict[int, np.ndarray]]) -> None:
        """Go back to a state."""
        weights, code = state
        self._take(self._weight_leaves(), weights, code)

    def take(self, weights: dict[str, np.ndarray], code: dict[int, np.ndarray]) -> None:
        """Go on from weights (name -> array) and a code (octave -> (planes, rows, columns)), rounded or not.

        Both come from another engine or from a file.
        """
        self._take(
            [self.numbers[name] for name in weights], [torch.from_numpy(values) for values in weights.values()], code
        )

    @torch.no_grad()
    def _take(self, leaves, weights, code):
        for leaf, value in zip(leaves, weights, strict=True):
            leaf.copy_(value)
        for octave, planes in code.items():
            self.code[octave].copy_(torch.from_numpy(planes) / CODE_UNITS)

    def objective(self, code: Mapping[int, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compute distortion, bits and MSE of a code, as differentiable scalars.

        code: octave -> (planes, rows, columns) in code units.
        """
        errors, bits = self._errors(code, self.numbers), bits_of(self.ops, self.arch, code, self.numbers)
        return distortion_by(errors, self._form), bits, errors.square().mean()

    def minimised(self, distortion: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
        """Compute the number that a step makes smaller: D + lambda R, the weights' own bits included."""
        price = self.lambda_ / self.pixels
        return distortion + price * (bits + own_bits(self.arch, self.numbers, self._base, weight_step(price)))

    def _errors(self, code, numbers):
        return errors_of(self.ops, self.arch, code, numbers, self.target, self._counts)

    def _rounded(self):
        return {o: (CODE_UNITS * y.detach()).round().clamp(-CODE_MAX, CODE_MAX) for o, y in self.code.items()}

    def _noisy(self, y, point):
        noise = torch.randn(y.shape, generator=self.noise, device=self.device, dtype=y.dtype) * point.noise
        temperature = torch.tensor(point.temperature, dtype=y.dtype)
        return soft_round(soft_round(CODE_UNITS * y, temperature) + noise, temperature)

    def _leaf(self, values):
        return torch.tensor(values, device=self.device, dtype=self.ops.dtype, requires_grad=True)

    def _tensors(self, weights):
        return {
            name: torch.tensor(values, device=self.device, dtype=self.ops.dtype) for name, values in weights.items()
        }

    def _weight_leaves(self):
        leaves = list(self.numbers.values())
        return leaves + [*self.norm.values(), *self.norm_shift.values()] if self.norm else leaves

    def _start_optimisers(self):
        shapes = [leaf.shape for leaf in self._weight_leaves()]
        self._soap = Soap(
            shapes,
            self._betas.weights,
            lambda shape: torch.zeros(shape, device=self.device, dtype=self.ops.dtype),
            by_qr(torch.linalg),
            decay=self._betas.decay,
        )
        self.code_optimiser = torch.optim.Adam(
            list(self.code.values()), betas=self._betas.code, eps=code_epsilon(self.arch), fused=True
        )

    @torch.no_grad()
    def _move_weights(self, rate):
        leaves = self._weight_leaves()
        differences = [
            0 * leaf if self.arch.is_fixed(name) else leaf - self._rest[name] for name, leaf in self.numbers.items()
        ]
        # The weights of the normalisation have no base.
        differences += [0 * leaf for leaf in leaves[len(differences) :]]
        change = self._soap.change(
            *(torch.cat([part.flatten() for part in parts]) for parts in ([leaf.grad for leaf in leaves], differences))
        )
        for leaf, part in zip(leaves, change.split([leaf.numel() for leaf in leaves])):
            leaf -= rate * part.reshape(leaf.shape)
        self._soap.end()


def memory_of(arch: Arch) -> int:
    """Estimate the bytes that a step takes, beside the program.

    They are the arrays that autograd keeps, measured to within a fifth.
    """
    pixels = arch.width * arch.height
    by_position = 2 * arch.context_inputs + 6 * arch.context_channels
    by_pixel = 12 * arch.channels_of(0) + 4 * arch.channels + 4 * arch.top_channels
    return 4 * (arch.positions() * by_position + pixels * by_pixel)

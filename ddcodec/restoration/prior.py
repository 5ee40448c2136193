"""Fit a network to one picture: its steps, the average of its outputs, spikes rolled back, and rules that end it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from time import monotonic
from typing import Any

import numpy as np
import torch

from .networks import input_for, least_side_for, multiple_for, network_for
from .operators import Downsampler, Identity, total_variation
from .progress import Fitted, Progress
from .settings import Setting
from .stopping import HELD_OUT, SAMPLE, Discrepancy, HeldOut, Look, Rule, WindowedVariance

LOOKS = 200
"""Looks that are taken at a fit over its planned steps."""
SNAPSHOT = 50
"""Steps between copies of the weights and of the optimiser, to which a spike is rolled back."""
SPIKE = 10**0.5
"""Factor by which a loss grows between two looks in a spike: 5 dB (Ulyanov et al. 2018, published code)."""
CLIP_NORM = 1.0
"""Largest norm of a step's gradient; a longer one is shortened to it."""
AVERAGED = 0.3
"""Share of the planned steps over which outputs are averaged."""
FRESH = (0.1, 0.3)
"""Shares of the planned steps at which the average begins anew: what the network made before is no picture."""
DECAY_STEPS = 500
"""Steps after each of which the jitter is multiplied with the setting's `jitter_decay`."""
BYTES_A_CHANNEL = 50
"""About the bytes that a step takes for every channel of a pixel at each level.

They follow from the 8 to 9 GB a megapixel that others saw with the default network.
"""
BYTES_AN_INPUT = 25
"""About the bytes that a step takes for every channel of a pixel of the input, from the same."""


@dataclass(frozen=True)
class Observation:
    """What is known of a picture.

    samples: (h, w, planes) float32 in 0..1.
    operator: what the picture went through before it was observed.
    known: bool (h, w), the pixels that count; None for all.
    sigma: standard deviation of the noise in levels of 0..255; None if noise is not what is to be removed.
    independent: whether each pixel has its own noise, so that some pixels can be held out.
    variation: weight of the total variation in the loss.
    """

    samples: np.ndarray
    operator: Identity | Downsampler
    known: np.ndarray | None = None
    sigma: float | None = None
    independent: bool = True
    variation: float = 0.0


def fit_prior(
    observation: Observation,
    setting: Setting,
    *,
    steps: int,
    seed: int = 0,
    device: str = "cpu",
    seconds: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    what: str = "",
    rules: bool = True,
) -> Fitted:
    """Fit a network of a `Setting` to an `Observation`.

    The picture is `operator.factor` times as large as what was observed. Its sides are filled up by reflection to what
    the network wants.

    steps: taken at most.
    seed: of the weights, the input and the pixels that are held out.
    device: "cpu" or "cuda:N".
    seconds: taken at most; None for no limit.
    progress: called after every look with a `Progress`.
    what: words for the `Progress`.
    rules: whether those of `stopping` may end the fit.

    Raises `MemoryError` or `torch.OutOfMemoryError`.
    """
    fit = _Fit(observation, setting, steps, seed, device)
    watch, best = fit.rules() if rules else [], None
    start, reason, step, last = monotonic(), "all steps are done", 0, fit.snapshot()
    every = max(1, steps // LOOKS)
    before = float("inf")
    while step < steps:
        elapsed = monotonic() - start
        fit.step(max(step / steps, elapsed / seconds if seconds else 0.0))
        step += 1
        if step % DECAY_STEPS == 0:
            fit.jitter *= setting.jitter_decay
        is_over = seconds is not None and monotonic() - start >= seconds
        if step % every and step < steps and not is_over:
            continue
        look = fit.look(step)
        if not look.loss < SPIKE * before and not is_over:
            fit.restore(last)
            continue
        before = look.loss
        if step % SNAPSHOT < every:
            last = fit.snapshot()
        reasons = [rule.reason(look) for rule in watch]
        if watch and watch[0].best == step:
            best = fit.averaged()
        left = elapsed / step * (steps - step)
        if progress:
            progress(
                Progress(
                    step,
                    steps,
                    what,
                    look.loss,
                    left if seconds is None else min(left, seconds - elapsed),
                    fit.averaged,
                )
            )
        if any(reasons):
            reason = next(filter(None, reasons))
            break
        if is_over:
            reason = "the time is over"
            break
    # The average runs on after the best step; it is taken from there only where pixels that nobody saw say so.
    return Fitted(best if best is not None and isinstance(watch[0], HeldOut) else fit.averaged(), step, reason)


def memory_of(setting: Setting, height: int, width: int) -> int:
    """Estimate the bytes that a fit to a picture of that size takes."""
    if setting.network == "deep decoder":
        return int(BYTES_A_CHANNEL * setting.channels * height * width * 4 / 3)
    channels = sum(width_ / 4**level for level, width_ in enumerate(setting.widths)) + sum(setting.skips) / 4
    return int(height * width * (BYTES_A_CHANNEL * channels + BYTES_AN_INPUT * setting.input_channels))


class _Fit:
    """One fit on its way: the network, its input, the optimiser, and the average of the outputs."""

    def __init__(self, observation, setting, steps, seed, device):
        self._o, self._setting, self._device, self._steps = observation, setting, device, steps
        # The start is the same on every device; what shakes the input is drawn where it is needed.
        self._shaken = torch.Generator(device).manual_seed(seed)
        samples = observation.samples
        factor = observation.operator.factor
        self._size = height, width = samples.shape[0] * factor, samples.shape[1] * factor
        # The observation is filled up so that the picture has the sides that the network wants; factors and multiples
        # are powers of two.
        grain, least = max(1, multiple_for(setting) // factor), -(-least_side_for(setting) // factor)
        spare = [max(least, side + -side % grain) - side for side in samples.shape[:2]]
        filled = np.pad(samples, [(0, spare[0]), (0, spare[1]), (0, 0)], "reflect")
        weight = (
            np.ones(samples.shape[:2], np.float32)
            if observation.known is None
            else observation.known.astype(np.float32)
        )
        self._held = None
        if observation.independent and factor == 1:
            drawn = np.random.default_rng(seed).random(weight.shape) < HELD_OUT
            self._held = self._tensor((drawn & (weight > 0)).astype(np.float32)[None, None])
            weight = weight * ~drawn
        weight = np.pad(weight, [(0, spare[0]), (0, spare[1])])
        self._target = self._tensor(filled.transpose(2, 0, 1)[None])
        self._weight = self._tensor(weight[None, None] / (weight.sum() * samples.shape[2]))
        sides = filled.shape[0] * factor, filled.shape[1] * factor
        # A deep decoder's input has few pixels; the rest may lie anywhere in memory.
        memory: dict[str, Any] = {"memory_format": torch.channels_last}
        self._network = network_for(setting, samples.shape[2], torch.Generator().manual_seed(seed)).to(device, **memory)
        self._input = input_for(setting, *sides, torch.Generator().manual_seed(seed)).to(device, **memory)
        self._base = self._input.clone()
        moved: list[torch.Tensor] = list(self._network.parameters())
        if setting.learned_input:
            self._input.requires_grad_(True)
            moved.append(self._input)
        self._moved = moved
        self._optimiser = torch.optim.Adam(moved, lr=setting.rate)
        self.jitter = setting.jitter
        self._mean, self._count = (
            torch.zeros_like(self._target)
            if factor == 1
            else torch.zeros(1, samples.shape[2], *sides, device=device, dtype=torch.float32),
            0,
        )
        self._sample = torch.from_numpy(
            np.random.default_rng(seed).integers(0, prod(self._mean.shape), min(SAMPLE, prod(self._mean.shape)))
        ).to(device)
        self._fresh, self._done = list(FRESH), 0

    def step(self, share: float) -> None:
        """Take one step, at that share of the fit.

        The input is shaken, the loss of what it becomes is taken, Adam moves the weights, and the output joins the
        average.
        """
        with torch.no_grad():
            if self.jitter and not self._setting.learned_input:
                noise = (
                    torch.randn(self._input.shape, generator=self._shaken, device=self._device, dtype=torch.float32)
                    * self.jitter
                )
                self._input.copy_((self._input if self._setting.accumulating else self._base) + noise)
        self._optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self._device.split(":")[0], torch.bfloat16, enabled=_has_bfloat16(self._device)):
            output = self._network(self._input)
        output = output.float()
        seen = self._o.operator(output)
        loss = ((seen - self._target).square() * self._weight).sum()
        (loss + self._o.variation * total_variation(output) if self._o.variation else loss).backward()
        torch.nn.utils.clip_grad_norm_(self._moved, CLIP_NORM)
        self._optimiser.step()
        self._loss, self._output = loss.detach(), output.detach()
        if self._fresh and share >= self._fresh[0]:
            self._count = 0
            del self._fresh[0]
        self._done += 1
        self._count = min(self._count + 1, max(10, round(AVERAGED * self._done / share if share else 0)))
        self._mean.lerp_(self._output, 1 / self._count)

    def look(self, step: int) -> Look:
        """Return the `Look` after a step; here a GPU is waited for."""
        held = None
        if self._held is not None:
            height, width = self._size
            error = (self._mean - self._target)[..., :height, :width].square().mean(1, keepdim=True)
            held = ((error * self._held).sum() / self._held.sum().clamp(min=1)).item()
        return Look(step, self._steps, self._loss.item(), held, self._output.flatten()[self._sample].cpu().numpy())

    def rules(self) -> list[Rule]:
        """Return the rules that suit the observation, the one to be trusted most first."""
        rules: list[Rule] = [HeldOut()] if self._held is not None else []
        if self._o.sigma:
            rules.append(Discrepancy(self._o.sigma))
        if self._o.known is None:
            rules.append(WindowedVariance())
        return rules

    def averaged(self) -> np.ndarray:
        """Return the result so far: (H, W, planes) float32 in 0..1."""
        height, width = self._size
        return self._mean[0, :, :height, :width].clamp(0, 1).permute(1, 2, 0).cpu().numpy().copy()

    def snapshot(self) -> tuple[list, list, tuple]:
        """Copy all that a step moves."""
        moments = [
            {key: value.clone() for key, value in self._optimiser.state[p].items()}
            for p in self._moved
            if p in self._optimiser.state
        ]
        return [p.detach().clone() for p in self._moved], moments, (self._mean.clone(), self._count)

    @torch.no_grad()
    def restore(self, snapshot: tuple[list, list, tuple]) -> None:
        """Go back to a snapshot, at a lower rate."""
        values, moments, (mean, self._count) = snapshot
        self._mean.copy_(mean)
        for p, value in zip(self._moved, values):
            p.copy_(value)
        for p, kept in zip(self._moved, moments):
            for key, value in kept.items():
                self._optimiser.state[p][key].copy_(value)
        for group in self._optimiser.param_groups:
            group["lr"] *= self._setting.spike_rate

    def _tensor(self, array):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self._device)


def _has_bfloat16(device):
    if device != "cpu":
        return torch.cuda.is_bf16_supported()
    # Processors that only emulate it are slower with it than without.
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return native is not None and native()

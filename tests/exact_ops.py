"""The decoder's integers by another library: for comparison with `ops_int`, to the bit."""

import torch

from ddcodec.fit.reference.ops import TorchOps
from ddcodec.format.arch import ACTIVATION_MAX, CODE_STEP, OUTPUT_UNIT, SYNTHESIS_UNIT


class ExactOps(TorchOps):
    """The decoder's integers in torch float64: what `ops_int` computes, by another library."""

    context_step = CODE_STEP
    synthesis_step = CODE_STEP

    def __init__(self):
        super().__init__("cpu", torch.float64)

    def round(self, values):
        return torch.floor(values + 0.5).clamp(-ACTIVATION_MAX, ACTIVATION_MAX)

    def settle(self, values, linear, octave=None):
        values = self.round(values)
        return torch.cat([values[:linear], values[linear:].clamp(min=0)])

    def output(self, values):
        return self.round(values * (OUTPUT_UNIT / SYNTHESIS_UNIT))

    def samples(self, values, peak):
        return torch.floor(values * (peak / OUTPUT_UNIT) + 0.5).clamp(0, peak)

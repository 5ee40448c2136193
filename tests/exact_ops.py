"""The decoder's integers by another library: for comparison with `ops_int`, to the bit."""

import torch

from ddcodec.fit.reference.ops import TorchOps


class ExactOps(TorchOps):
    """The decoder's integers in torch float64: what `ops_int` computes, by another library."""

    def __init__(self, headroom=0):
        super().__init__("cpu", torch.float64)
        self.synthesis_step = 2 ** (8 - headroom)
        self._output_step = 2 ** (4 + headroom)

    def seen(self, code):
        return code.clamp(-127, 127) * 256

    def within(self, sums, shift, half=0.5):
        if shift is None:
            return sums
        steps, half = 2.0**shift, half * 2.0**shift if shift > 0 else 0
        integers = (sums * steps + half + 2**31).remainder(2**32) - 2**31 - half
        return integers / steps

    def round(self, values):
        return torch.floor(values + 0.5).clamp(-32768, 32767)

    def settle(self, values, linear, octave=None):
        values = self.round(values)
        return torch.cat([values[:linear], values[linear:].clamp(min=0)])

    def output(self, values, shift):
        return torch.floor(self.within(values * self._output_step, shift) + 0.5).clamp(-(2**18), 2**18)

    def around(self, values):
        return self.round(values / 4)

    def residue(self, sums, shift):
        return torch.floor(self.within(sums * 4, shift) + 0.5)

    def samples(self, values, peak):
        return torch.floor(values * (peak / 2**16) + 0.5).clamp(0, peak)

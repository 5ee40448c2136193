"""Learns what fits for the eye start from: bases 6 to 10 of the weights and their analysis network.

    python bench/train_eye.py PICTURES... -o FOLDER --minutes 90       # FOLDER/bases.bin and FOLDER/analysis_eye.bin

PICTURES: folders of pictures (PNG or WebP), each of at least 256x256 pixels. A folder is drawn from in proportion to
the root of its number of pictures, so that a few charts and screens count beside many photographs. Photographs whose
names begin with a word of `ASIDE` are left out; they are kept for tests. The training goes on from what ships. The
state is written every five minutes. Called again with the same folder, the training goes on from those weights, with
new optimisers.

What counts is not the start but what a short fit makes of it: bases and network follow the gradients at the end of fits
of `COUNTS` steps. This is first-order MAML (Finn, Abbeel & Levine 2017, section 5.2).
"""

import argparse
from math import inf, prod
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from PIL import Image
from train_bases import (
    SHIPPED,
    SIDE,
    Analysis,
    _crop,
    _scaled,
    _tensor,
    as_numbers,
    backward,
    left_of_rate,
    take_step,
)

from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.descent.schedule import HARD_SHARE, Point, betas_for, point_at
from ddcodec.fit.descent.soap import BETAS, Soap, by_qr
from ddcodec.fit.loss.eye import eye_form
from ddcodec.format.arch import BASE_OCTAVES, BASES, base_arch
from ddcodec.format.bases import FRACTION_BITS
from ddcodec.native.fit_library import Array
from ddcodec.presets import bases_for

ASIDE = (
    "budgie_colosseum",
    "budgie_san_francisco_night",
    "deepin_dune_haze",
    "elem_dark_ferns",
    "elem_oak_leaf_floor",
    "ibm_toy_astronaut_book",
    "ncloud_tree_frog",
    "suite_cliff_water",
    "suite_starry_sky",
    "trident_town_night_stars",
)
"""Photographs on which nothing is learned or chosen."""
RATE = 7e-4
"""First learning rate of the analysis network."""
BASE_RATE = 1e-3
"""The same of the bases."""
COUNTS = (0, 12, 12, 28)
"""Steps of the fits, one after another. Longer ones teach less in the same time, shorter ones what longer fits undo."""
FINEST_SUM = -1
"""The sum of the finest octave's filter stays this.

A code that is the same everywhere then makes nothing there, so that fine integers cannot carry brightness.
"""
AT_FIRST, AT_LAST = Point(False, 0.25, 0.17, 0.0, 0.0), Point(False, 0.15, 0.17, 0.0, 0.0)
"""The points at which gradients are taken, after no steps and after some."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=90)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    learn([pictures_of(folder) for folder in options.pictures], options.minutes, options.output)


def pictures_of(folder):
    return [
        np.asarray(Image.open(path).convert("RGB"))
        for path in sorted(folder.iterdir())
        if path.suffix in (".png", ".webp") and not path.name.startswith(ASIDE)
    ]


class Start:
    """What is learned: weights of each base, float64 vectors, and the analysis network; with their optimisers."""

    def __init__(self, folder):
        self._folder = folder
        self.network = Analysis(len(bases_for("eye"))).to(memory_format=torch.channels_last)
        _put(self.network, np.frombuffer(self._found("fit/descent/analysis_eye.bin").read_bytes(), "<f2"))
        numbers = np.fromfile(self._found("format/bases.bin"), "<i2").reshape(BASES, -1)
        self.bases = {
            base: torch.nn.Parameter(torch.from_numpy(numbers[base - 1] * 2.0**-FRACTION_BITS))
            for base in bases_for("eye")
        }
        self._finest = places(_arch(1))["filter.0"]
        self.of_network = torch.optim.Adam(self.network.parameters(), betas=BETAS.code)
        self._of_bases = {base: torch.optim.Adam([own], betas=BETAS.code) for base, own in self.bases.items()}

    def _found(self, path):
        """The file of the training, or else what ships."""
        own = self._folder / Path(path).name
        return own if own.exists() else SHIPPED / path

    def move(self, base, gradient, share):
        """Move a base against a gradient; share: of the training that is done."""
        optimiser = self._of_bases[base]
        self.bases[base].grad = torch.from_numpy(gradient)
        optimiser.param_groups[0]["lr"] = BASE_RATE * left_of_rate(share)
        optimiser.step()
        with torch.no_grad():
            filter_ = self.bases[base][self._finest]
            filter_ += (FINEST_SUM - filter_.sum()) / len(filter_)

    def write(self):
        bases = {
            base: {name: weights.detach().numpy()[place] for name, place in places(_arch(base)).items()}
            for base, weights in self.bases.items()
        }
        (self._folder / "bases.bin").write_bytes(as_numbers(bases))
        (self._folder / "analysis_eye.bin").write_bytes(self.network.numbers().astype("<f2").tobytes())


def places(arch):
    """Where each tensor stands in the vector of all weights."""
    result, start = {}, 0
    for name, shape in arch.tensors():
        result[name] = slice(start, start + prod(shape))
        start += prod(shape)
    return result


def _arch(base):
    return base_arch(SIDE, SIDE, 3, base)


def _put(network, numbers):
    """Give a network the numbers of a file."""
    place = 0
    for module in [*network.layers, *(level for head in network.heads for level in head)]:
        for part in (module.weight, module.bias):
            values = numbers[place : place + part.numel()].astype(np.float32)
            part.data.copy_(torch.from_numpy(values).reshape(part.shape))
            place += part.numel()
    assert place == len(numbers)


class ShortFit(CpuEngine):
    """A fit that starts again and again, from any base and any guess."""

    def start(self, crop, weights, code, steps):
        """Begin with weights, a vector, and a code, a list of planes of y; steps: of the fit to come."""
        self.retarget(crop, eye_form(crop))
        self._weights[:] = self._base[:] = self._rest[:] = weights
        for octave, plane in enumerate(code):
            self.array(Array.Y, octave)[:] = plane
            self.array(Array.SECOND_MOMENT, octave)[:] = 0
        self._forget()
        self._is_rounded, self._code_steps = False, 0
        betas = betas_for(steps, nimble=True) if steps else BETAS
        self._betas = betas.code
        self._soap = Soap([shape for _, shape in self.arch.tensors()], betas.weights, np.zeros, by_qr(np.linalg))

    def _forget(self):
        for octave in range(BASE_OCTAVES):
            self.array(Array.FIRST_MOMENT, octave)[:] = 0

    def slopes_here(self, point):
        """How the loss changes with y, octave by octave, and with the weights, and the `Loss`.

        Adam's first moment after a step from zero gives the former. Weights have no bits of their own here.
        """
        self._forget()
        self._betas = BETAS.code
        loss = self._passed(point, inf)
        planes = [self.array(Array.FIRST_MOMENT, octave) / (1 - BETAS.code[0]) for octave in range(BASE_OCTAVES)]
        return planes, self._gradient, loss


def learn(kinds, minutes, folder):
    """Learn from lists of pictures, for so many minutes."""
    shares = np.sqrt([len(pictures) for pictures in kinds])
    shares /= shares.sum()
    random, lambdas, start = np.random.default_rng(), bases_for("eye"), Start(folder)
    plain = np.zeros((SIDE, SIDE, 3), np.uint8)
    fits = {base: ShortFit(plain, _arch(base), lambda_, form=eye_form(plain)) for base, lambda_ in lambdas.items()}
    begun = kept = monotonic()
    step, losses = 0, {}
    while (share := (monotonic() - begun) / 60 / minutes) < 1:
        base = list(lambdas)[step % len(lambdas)]
        steps = COUNTS[step // len(lambdas) % len(COUNTS)]
        step += 1
        fit, lambda_ = fits[base], lambdas[base]
        pictures = kinds[random.choice(len(kinds), p=shares)]
        crop = _crop(_scaled(pictures[random.integers(len(pictures))], random), random)
        start.of_network.zero_grad()
        code = start.network(_tensor(crop), list(lambdas).index(base))
        fit.start(crop, start.bases[base].detach().numpy(), [plane.detach().numpy() for plane in code], steps)
        for done in range(steps):
            fit.step(point_at((1 - HARD_SHARE) * done / steps, True, steps))
        by_code, by_weights, loss = fit.slopes_here(AT_LAST if steps else AT_FIRST)
        losses.setdefault((steps, base), []).append(backward(code, by_code, loss, lambda_))
        take_step(start.network, start.of_network, RATE, share)
        start.move(base, by_weights / max(np.linalg.norm(by_weights), 1e-9), share)
        if step % 1000 == 0:
            print(f"step {step}, {share:.2f}: log of loss / lambda", flush=True)
            for (steps, base), own in sorted(losses.items()):
                print(f"  after {steps} steps, base {base}: {np.mean(own[-100:]):.3f}", flush=True)
        if monotonic() - kept > 300:
            kept = monotonic()
            start.write()
    start.write()


if __name__ == "__main__":
    main()

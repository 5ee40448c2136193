"""Learns what fits of least squared error start from: bases 1 to 5 of the weights and their analysis network.

Takes an hour on two cores.

    python bench/train_bases.py PICTURES -o FOLDER          # FOLDER/bases.bin and FOLDER/analysis_psnr.bin

PICTURES: a folder of photographs (PNG), each of at least 256x256 pixels. First one fit of a mosaic of crops gives
weights that serve many pictures, at the middle lambda; fits that go on from it give those of the others. Then the
analysis network learns to make the code from the picture: first that of the mosaic, then whatever makes D + lambda R
small with the bases as they are. (Bases learned together with the analysis, or crop after crop, or by SOAP, or with a
residual layer of their own, were worse: see bench/notebook/bases.md.) `train_contexts.py` then learns the bases'
context model anew, for what fits make of the guess.
"""

import argparse
from math import cos, pi, sqrt
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import avg_pool2d, relu

from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.descent.analysis import CHANNELS
from ddcodec.fit.descent.schedule import Point
from ddcodec.fit.descent.soap import ADAM_EPSILON, BETAS, CLIP_NORM
from ddcodec.fit.descent.start import CODE_UNITS
from ddcodec.format.arch import BASE_OCTAVES, BASES, WEIGHT_MAX, base_arch
from ddcodec.format.bases import FRACTION_BITS
from ddcodec.native.fit_library import Array
from ddcodec.presets import bases_for

SHIPPED = Path(__file__).parents[1] / "ddcodec"
SIDE = 256
MOSAIC = (6, 6)
"""Crops down and across."""
FIRST_STEPS, NEXT_STEPS = 2500, 400
SUPERVISED = 0.25
"""Share of the analysis's time in which it learns the mosaic's codes."""
RATE = 3e-3
OCTAVES = range(BASE_OCTAVES)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30, help="for the analysis network")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    pictures = read(options.pictures)
    crops = mosaic_crops(pictures)
    fits = learn_bases(crops, options.threads)
    bases = dict(zip(bases_for("psnr"), (weights for weights, _ in fits)))
    (options.output / "bases.bin").write_bytes(as_numbers(bases))
    network = learn_analysis(pictures, crops, fits, options.minutes)
    (options.output / "analysis_psnr.bin").write_bytes(network.numbers().astype("<f2").tobytes())


def read(folder):
    """Its PNG files as uint8 (H, W, 3), by name."""
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]


def mosaic_crops(pictures):
    """SIDE x SIDE crops of pictures spread over the list."""
    random, count = np.random.default_rng(5), MOSAIC[0] * MOSAIC[1]
    chosen = [pictures[len(pictures) * k // count] for k in range(count)]
    return [_crop(picture, random) for picture in chosen]


def joined(crops):
    """The mosaic of them."""
    down, across = MOSAIC
    return np.concatenate([np.concatenate(crops[row * across : (row + 1) * across], 1) for row in range(down)])


def as_numbers(bases):
    """The bytes of bases.bin; bases: base -> name -> array in coding order. Other bases stay as they ship."""
    numbers = np.fromfile(SHIPPED / "format" / "bases.bin", "<i2").reshape(BASES, -1)
    for base, weights in bases.items():
        values = np.concatenate([each.ravel() for each in weights.values()])
        numbers[base - 1] = np.round(values * 2**FRACTION_BITS).clip(-WEIGHT_MAX, WEIGHT_MAX)
    return numbers.tobytes()


def learn_bases(crops, threads):
    """For every base's lambda: weights (name -> array) and the crops' codes (a list of octave -> (rows, columns), in
    code units).
    """
    (down, across), mosaic = MOSAIC, joined(crops)
    lambdas = list(bases_for("psnr").values())
    middle, results = len(lambdas) // 2, {}
    order = [middle, *range(middle - 1, -1, -1), *range(middle + 1, len(lambdas))]
    for index in order:
        engine = CpuEngine(mosaic, base_arch(across * SIDE, down * SIDE, 3), lambdas[index], threads=threads)
        engine._soap = Adam(engine, ["residual.weight"])
        steps = FIRST_STEPS
        if index != middle:
            weights, code = results[index + 1 if index < middle else index - 1]
            engine.take(weights, {octave: planes[None] for octave, planes in code.items()})
            steps = NEXT_STEPS
        for step in range(steps):
            engine.step(_point(step / steps, first=index == middle))
            if step % 100 == 99:
                say(f"lambda {lambdas[index]:g}, step {step + 1}", engine)
        code = {octave: CODE_UNITS * engine.array(Array.Y, octave) for octave in OCTAVES}
        results[index] = engine.weights(), code
    return [
        (weights, [_part(code, k) for k in range(len(crops))])
        for weights, code in (results[index] for index in range(len(lambdas)))
    ]


class Adam:
    """Moves the weights in the place of `ddcodec.fit.descent.soap.Soap` (Kingma & Ba 2015, algorithm 1), but those of
    the tensors `fixed`.
    """

    def __init__(self, engine, fixed):
        self._fixed, self._betas, self._steps = [engine.places[name] for name in fixed], (0.9, 0.99), 0
        self._mean, self._square = (np.zeros_like(engine._weights) for _ in range(2))

    def change(self, gradient, differences):
        """The same as that of Soap, but that nothing decays: `differences` count for nothing."""
        self._steps += 1
        gradient = gradient * min(1.0, CLIP_NORM / (np.linalg.norm(gradient) + 1e-6))
        for moment, power, beta in zip((self._mean, self._square), (1, 2), self._betas):
            moment += (1 - beta) * (gradient**power - moment)
        first, second = (
            moment / (1 - beta**self._steps) for moment, beta in zip((self._mean, self._square), self._betas)
        )
        change = first / (np.sqrt(second) + ADAM_EPSILON)
        for place in self._fixed:
            change[place] = 0
        return change

    def end(self):
        """There is nothing to turn."""


def _point(share, first):
    decay = 0.03 + 0.97 * (0.5 + 0.5 * cos(0.9 * pi * share))
    temperature = (0.45 if first else 0.4) * (1 - share) + 0.1 * share
    return Point(False, temperature, 0.22 - 0.07 * share, 1e-2 * decay, (2e-2 if first else 1e-2) * decay)


def _part(code, k):
    """Of a mosaic's code that of its crop `k`."""
    row, column = divmod(k, MOSAIC[1])
    sides = {octave: SIDE >> octave for octave in OCTAVES}
    return {
        octave: code[octave][row * s : (row + 1) * s, column * s : (column + 1) * s].copy()
        for octave, s in sides.items()
    }


def _layer(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")


class Analysis(nn.Module):
    """`ddcodec.fit.descent.analysis` in torch: layers, and heads for each base."""

    def __init__(self, bases):
        super().__init__()
        sizes = [3, *(channels + 3 for channels in CHANNELS[:3])]
        self.layers = nn.ModuleList(_layer(inputs, outputs) for inputs, outputs in zip(sizes, CHANNELS))
        self.heads = nn.ModuleList(nn.ModuleList(_layer(channels, 1) for channels in CHANNELS) for _ in range(bases))
        for head in self.heads:
            for level in head:
                nn.init.normal_(level.weight, std=0.01)
                nn.init.zeros_(level.bias)

    def forward(self, picture, base):
        picture, features, code = picture - 0.5, None, []
        for level, head in enumerate(self.heads[base]):
            if level:
                picture, features = avg_pool2d(picture, 2), avg_pool2d(features, 2)
            inputs = picture if features is None else torch.cat([features, picture], 1)
            features = relu(self.layers[min(level, 3)](inputs))
            code.append(head(features)[0, 0])
        return code

    def numbers(self):
        """All weights in the order of the file."""
        modules = [*self.layers, *(level for head in self.heads for level in head)]
        return np.concatenate(
            [part.detach().contiguous().numpy().ravel() for module in modules for part in (module.weight, module.bias)]
        )


def learn_analysis(pictures, crops, fits, minutes):
    torch.manual_seed(3)
    torch.set_num_threads(1)
    random, lambdas = np.random.default_rng(3), list(bases_for("psnr").values())
    network = Analysis(len(fits)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), betas=(0.9, 0.99))
    engines = [CpuEngine(crops[0], base_arch(SIDE, SIDE, 3), lambda_) for lambda_ in lambdas]
    for engine, (weights, _) in zip(engines, fits):
        engine.take(weights, {})
    spreads = [
        [sqrt(np.mean([np.square(code[octave]).mean() for code in codes])) / CODE_UNITS + 1e-2 for octave in OCTAVES]
        for _, codes in fits
    ]
    start, step, losses = monotonic(), 0, [[] for _ in fits]
    while (share := (monotonic() - start) / 60 / minutes) < 1:
        base = step % len(fits)
        step += 1
        optimiser.zero_grad()
        if share < SUPERVISED:
            k = random.integers(len(crops))
            errors = [
                ((guess - torch.from_numpy(fits[base][1][k][octave] / CODE_UNITS).float()) / spreads[base][octave])
                .square()
                .mean()
                for octave, guess in enumerate(network(_tensor(crops[k]), base))
            ]
            sum(errors).backward()
        else:
            crop = _crop(_scaled(pictures[random.integers(len(pictures))], random), random)
            code = network(_tensor(crop), base)
            slopes, loss = _slopes(engines[base], crop, [plane.detach().numpy() for plane in code])
            losses[base].append(backward(code, slopes, loss, lambdas[base]))
        take_step(network, optimiser, RATE, share)
        if step % 1000 == 0:
            print(
                f"analysis, step {step}: log of loss / lambda",
                *(f"{np.mean(own[-300:]):.3f}" for own in losses if own),
                flush=True,
            )
    return network


def backward(code, slopes, loss, lambda_):
    """Send the slopes of a loss back through the network that made the code. Returns log(loss / lambda)."""
    value = loss.distortion + lambda_ * loss.bits / SIDE**2
    # What counts is by how much a loss falls in proportion.
    weight = 1 / (value + 0.1 * lambda_)
    torch.autograd.backward(code, [torch.from_numpy(weight * slope) for slope in slopes])
    return np.log(value / lambda_)


def take_step(network, optimiser, rate, share):
    """Move the weights; rate: the first learning rate. share: of the training that is done."""
    nn.utils.clip_grad_norm_([p for p in network.parameters() if p.grad is not None], 1.0)
    optimiser.param_groups[0]["lr"] = rate * left_of_rate(share)
    optimiser.step()


def left_of_rate(share):
    """The factor of a learning rate when this share of the training is done."""
    return 0.02 + 0.98 * (0.5 + 0.5 * cos(pi * share))


def _slopes(engine, crop, code):
    """How the loss changes with y, octave by octave, and the loss: Adam's first moment after a step from zero."""
    engine.retarget(crop)
    for octave, plane in enumerate(code):
        engine.array(Array.Y, octave)[:] = plane
        engine.array(Array.FIRST_MOMENT, octave)[:] = 0
    engine.step(Point(False, 0.25, 0.18, 0.0, 0.0))
    return [engine.array(Array.FIRST_MOMENT, octave) / (1 - BETAS.code[0]) for octave in OCTAVES], engine.losses()[0]


def _crop(picture, random):
    row, column = (random.integers(side - SIDE + 1) for side in picture.shape[:2])
    crop = picture[row : row + SIDE, column : column + SIDE]
    crop = crop[:, ::-1] if random.random() < 0.5 else crop
    return np.ascontiguousarray(crop[::-1] if random.random() < 0.2 else crop)


def _scaled(picture, random):
    """Three pictures of ten at another scale."""
    if random.random() > 0.3:
        return picture
    factor = random.uniform(0.6, 1)
    size = [max(SIDE, int(factor * side)) for side in picture.shape[1::-1]]
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _tensor(crop):
    return (torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 255).contiguous(
        memory_format=torch.channels_last
    )


def say(what, engine):
    loss = engine.losses()[0]
    value = loss.distortion / engine.lambda_ + loss.bits / engine.pixels
    print(f"{what}: loss / lambda {value:.3f}", flush=True)


if __name__ == "__main__":
    main()

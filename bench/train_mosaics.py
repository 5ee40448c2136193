"""Make a base for the eye anew: the mean of a base and of fits of mosaics that start from it.

    python bench/train_mosaics.py PICTURES DRAWINGS -o FOLDER --base 7 --fits 2
    python bench/train_mosaics.py PICTURES DRAWINGS -o FOLDER --base 8 --source 7
    python bench/train_mosaics.py PICTURES DRAWINGS -o FOLDER --base 9

Bases 7 to 9 were made so, with other random crops, each in a few minutes. FOLDER then has bases.bin and
analysis_eye.bin; what is not made anew stays as it is there, or else as it ships. With another base as the source, its
first guess is taken, too. PICTURES and DRAWINGS: folders of pictures (PNG or WebP) of at least 256x256 pixels; of seven
crops of a mosaic one is a drawing. The mean of fits from one start is better than each (Wortsman et al. 2022, "Model
soups", section 3).
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from train_bases import MOSAIC, Adam, _crop, _point, _scaled, joined, say
from train_eye import FINEST_SUM, Start, pictures_of

from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.loss.eye import eye_form
from ddcodec.format.arch import base_arch
from ddcodec.presets import bases_for

STEPS = 400
PERIOD, PLACE = 7, 3
"""Of so many crops of a mosaic one is a drawing: that at this place."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("drawings", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--base", type=int, choices=sorted(bases_for("eye")), required=True)
    parser.add_argument("--source", type=int, choices=sorted(bases_for("eye")), help="base to start from, if another")
    parser.add_argument("--fits", type=int, default=1, help="fits, each of a mosaic of its own")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    start, source = Start(options.output), options.source or options.base
    own = start.bases[source].detach().numpy()
    kinds = pictures_of(options.pictures), pictures_of(options.drawings)
    fits = [
        fit_of(mosaic(*kinds, np.random.default_rng(seed)), own, bases_for("eye")[options.base], options.threads)
        for seed in range(options.fits)
    ]
    mean = (own + np.mean(fits, 0)) / 2
    with torch.no_grad():
        start.bases[options.base].copy_(torch.from_numpy(mean))
    heads = dict(zip(bases_for("eye"), start.network.heads))
    heads[options.base].load_state_dict(heads[source].state_dict())
    start.write()


def mosaic(pictures, drawings, random):
    """Join random crops of them, some reduced and turned over."""
    down, across = MOSAIC
    kinds = [drawings if place % PERIOD == PLACE else pictures for place in range(down * across)]
    return joined([_crop(_scaled(kind[random.integers(len(kind))], random), random) for kind in kinds])


def fit_of(picture, weights, lambda_, threads):
    """Fit a picture from weights, a vector, and give those of the end."""
    rows, columns = picture.shape[:2]
    arch = base_arch(columns, rows, 3)
    engine = CpuEngine(picture, arch, lambda_, form=eye_form(picture), threads=threads)
    engine.take(_named(weights, arch), {})
    engine._soap = Adam(engine, [])
    finest = engine._weights[engine.places["filter.0"]]
    for step in range(STEPS):
        engine.step(_point(step / STEPS, first=False))
        # As in train_eye.py, so that fine integers carry no brightness.
        finest += (FINEST_SUM - finest.sum()) / len(finest)
        if step % 100 == 99:
            say(f"lambda {lambda_:g}, step {step + 1}", engine)
    return np.concatenate([tensor.ravel() for tensor in engine.weights().values()])


def _named(weights, arch):
    """Cut a vector into tensors, as name -> array."""
    ends = np.cumsum([int(np.prod(shape)) for _, shape in arch.tensors()])[:-1]
    return {name: part.reshape(shape) for (name, shape), part in zip(arch.tensors(), np.split(weights, ends))}


if __name__ == "__main__":
    main()

"""Learns an analysis network for the eye: the first guess of the code where a fit minimises the form of the eye.

    python bench/train_analysis.py PICTURES... -o FOLDER --minutes 60       # FOLDER/analysis_eye.bin

PICTURES: folders of photographs (PNG or WebP), each of at least 256x256 pixels. Photographs whose names begin with a
word of `ASIDE` are left out; they are kept for tests. The network goes on from the one that ships, of which the first
went on from that for squared error. Bases stay as they are, but for the filter of the finest octave, with which a fit
for the eye begins. The state is written every ten minutes. Called again with the same folder, the training goes on from
there.
"""

import argparse
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from PIL import Image
from train_bases import SIDE, Analysis, _crop, _scaled, _slopes, _tensor, backward, take_step

from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.descent.start import initial_weights
from ddcodec.fit.loss.eye import eye_form
from ddcodec.format.arch import base_arch
from ddcodec.presets import base_lambdas

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
RATE = 1e-3
SHIPPED = Path(__file__).parents[1] / "ddcodec" / "fit" / "descent" / "analysis_eye.bin"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    target = options.output / "analysis_eye.bin"
    pictures = [
        np.asarray(Image.open(path).convert("RGB"))
        for folder in options.pictures
        for path in sorted(folder.iterdir())
        if path.suffix in (".png", ".webp") and not path.name.startswith(ASIDE)
    ]
    network = Analysis(len(base_lambdas())).to(memory_format=torch.channels_last)
    put(network, np.frombuffer((target if target.exists() else SHIPPED).read_bytes(), "<f2").astype(np.float32))
    learn(network, pictures, options.minutes, target)


def put(network, numbers):
    """Give a network the numbers of a file."""
    place = 0
    for module in [*network.layers, *(level for head in network.heads for level in head)]:
        for part in (module.weight, module.bias):
            part.data.copy_(torch.from_numpy(numbers[place : place + part.numel()].copy()).reshape(part.shape))
            place += part.numel()
    assert place == len(numbers)


def learn(network, pictures, minutes, target):
    torch.set_num_threads(1)
    random, lambdas = np.random.default_rng(), base_lambdas()
    optimiser = torch.optim.Adam(network.parameters(), betas=(0.9, 0.99))
    plain = np.zeros((SIDE, SIDE, 3), np.uint8)
    engines = []
    for base, lambda_ in enumerate(lambdas, 1):
        # With room for a form, and the weights with which a fit for the eye begins.
        engine = CpuEngine(plain, base_arch(SIDE, SIDE, 3), lambda_, form=eye_form(plain))
        engine.take(initial_weights(base_arch(SIDE, SIDE, 3, base), plain, random, lambda_, True), {})
        engines.append(engine)
    start = kept = monotonic()
    step, losses = 0, [[] for _ in lambdas]
    while (share := (monotonic() - start) / 60 / minutes) < 1:
        base = step % len(lambdas)
        step += 1
        optimiser.zero_grad()
        crop = _crop(_scaled(pictures[random.integers(len(pictures))], random), random)
        code = network(_tensor(crop), base)
        engines[base].retarget(crop, eye_form(crop))
        slopes, loss = _slopes(engines[base], crop, [plane.detach().numpy() for plane in code])
        losses[base].append(backward(code, slopes, loss, lambdas[base]))
        take_step(network, optimiser, RATE, share)
        if step % 1000 == 0:
            means = (f"{np.mean(own[-200:]):.3f}" for own in losses)
            print(f"step {step}, {share:.2f}: log of loss / lambda", *means, flush=True)
        if monotonic() - kept > 600:
            kept = monotonic()
            target.write_bytes(network.numbers().astype("<f2").tobytes())
    target.write_bytes(network.numbers().astype("<f2").tobytes())


if __name__ == "__main__":
    main()

"""Learns the context model of bases 1 to 5 anew, for the code that fits make of the first guess; all else of
them and the analysis network stay. Takes eight minutes on two cores.

    python bench/train_contexts.py PICTURES -o FOLDER       # FOLDER/bases.bin

PICTURES: as for `train_bases.py`. From each base and its first guess the code of the same mosaic of crops is fitted,
and the weights of the context model with it.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from train_bases import MOSAIC, SIDE, Adam, as_numbers, joined, mosaic_crops, read, say

from ddcodec.fit.cpu.engine import CpuEngine
from ddcodec.fit.descent.schedule import HARD_SHARE, WARM_WEIGHT_RATE, betas_for, point_at
from ddcodec.format.arch import base_arch
from ddcodec.presets import bases_for

STEPS = 400


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    mosaic = joined(mosaic_crops(read(options.pictures)))
    bases = {base: learn_context(mosaic, base, lambda_, options.threads) for base, lambda_ in bases_for("psnr").items()}
    (options.output / "bases.bin").write_bytes(as_numbers(bases))


def learn_context(mosaic, base, lambda_, threads):
    """name -> array: the weights of a base after the fit."""
    arch = base_arch(MOSAIC[1] * SIDE, MOSAIC[0] * SIDE, 3, base)
    engine = CpuEngine(mosaic, arch, lambda_, betas=betas_for(STEPS), threads=threads)
    engine._soap = Adam(engine, [name for name, _ in arch.tensors() if not name.startswith("context")])
    for step in range(STEPS):
        share = step / STEPS
        # Until the code is fixed; what is left of the schedule moves the weights alone.
        point = point_at((1 - HARD_SHARE) * share, warm=True, steps=STEPS)
        engine.step(replace(point, weight_rate=WARM_WEIGHT_RATE * (0.03 + 0.97 * (1 - share))))
        if step % 100 == 99:
            say(f"lambda {lambda_:g}, step {step + 1}", engine)
    return engine.weights()


if __name__ == "__main__":
    main()

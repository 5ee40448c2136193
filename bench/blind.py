"""Draw sheets for readers who are to say which of two files looks better, without knowing which is which.

    python bench/blind.py KODAK -o FOLDER [--effort 5] [--codec avif]

KODAK: the folder of Kodak's photographs. Each of `CROPS` is cut out of a photograph that was coded whole, by ddcodec at
lambda `LAMBDA`, and by the codec in a file of the same size. FOLDER gets a sheet a photograph: the original, then both
in random order, twice as large. FOLDER/key.tsv says what they are, and how many bytes the two files have; it is to be
kept from readers.
"""

import argparse
from pathlib import Path

import numpy as np
from contours import CROPS as PLAIN
from contours import SIDE, sheet_of
from PIL import Image

import ddcodec
from ddcodec.benchmark.peers import of_size, peer_of

CROPS = {name: place for name, place in PLAIN.items() if name.startswith("kodim")} | {
    "kodim04": (150, 150),
    "kodim05": (150, 30),
    "kodim13": (300, 250),
    "kodim19": (120, 250),
}
"""Photograph -> left and top of its crop: those of contours.py, hair, letters, water, and a tower."""
LAMBDA = 3e-3


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--effort", type=int, default=5)
    parser.add_argument("--codec", default="avif")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    peer, random = peer_of(options.codec), np.random.default_rng()
    with open(options.output / "key.tsv", "w", encoding="utf-8") as key:
        for name, (left, top) in CROPS.items():
            original = np.asarray(Image.open(options.pictures / f"{name}.png").convert("RGB"))
            data = ddcodec.encode(original, lambda_=LAMBDA, effort=options.effort)
            other, _ = of_size(peer, original, round(1.01 * len(data)))
            both = {"ddc": ddcodec.decode(data), peer.name: peer.decode(other, original.shape)}
            order = random.permutation(list(both))
            parts = [own[top : top + SIDE, left : left + SIDE] for own in (original, *(both[codec] for codec in order))]
            sheet_of(parts).save(options.output / f"{name}.png")
            print(name, *order, len(data), len(other), sep="\t", file=key, flush=True)


if __name__ == "__main__":
    main()

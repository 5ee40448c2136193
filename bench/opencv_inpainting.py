"""What OpenCV's two methods of inpainting make of the same holes: rows for the table of restorations.

Needs `opencv-python-headless`.

    python bench/opencv_inpainting.py KODAK/kodim13.png ... --mask MASK.png -o bench/results/restoration.tsv

Telea 2004 and the Navier-Stokes method of Bertalmio et al. 2001, each with a radius of 3 pixels.
"""

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import monotonic

import cv2
import numpy as np

from ddcodec.benchmark.machine import machine
from ddcodec.benchmark.restoration import Row, append_row, read_rows
from ddcodec.metrics import psnr
from ddcodec.pictures.read import load_picture
from ddcodec.restoration.masks import known_from

METHODS = {"opencv-telea": cv2.INPAINT_TELEA, "opencv-ns": cv2.INPAINT_NS}
RADIUS = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("truths", nargs="+", type=Path)
    parser.add_argument("--mask", required=True, type=Path, help="black is missing")
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    kept = {row.key for row in read_rows(options.output)}
    for path in options.truths:
        truth = load_picture(path)
        known = known_from(load_picture(options.mask), truth.shape)
        broken = np.where(known[..., None], truth, 0).astype(np.uint8)
        for name, method in METHODS.items():
            row = Row(
                date.today().isoformat(),
                machine(),
                f"OpenCV {cv2.__version__}",
                "inpaint",
                f"prior={name} mask={options.mask.stem}",
                "files",
                path.stem,
                psnr(truth, broken),
                0.0,
                None,
                None,
                name,
                1,
                0.0,
                "there is one step",
            )
            if row.key in kept:
                continue
            start = monotonic()
            made = cv2.inpaint(broken, np.uint8(255 * ~known), RADIUS, method)
            row = replace(
                row, seconds=monotonic() - start, after=psnr(truth, made), missing=psnr(truth[~known], made[~known])
            )
            append_row(options.output, row)
            print(f"{path.stem}, {name}: {row.missing:.2f} dB where it was missing")


if __name__ == "__main__":
    main()

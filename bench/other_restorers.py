"""What other tools make of the same inputs: rows for the table of restorations.

Needs `opencv-python-headless`.

    python bench/other_restorers.py inpaint KODAK/kodim13.png ... --mask MASK.png -o bench/results/restoration.tsv
    python bench/other_restorers.py denoise KODAK/kodim13.png ... --add-noise 25 -o bench/results/restoration.tsv
    python bench/other_restorers.py dejpeg KODAK/kodim13.png ... --as-jpeg 10 -o bench/results/restoration.tsv
    python bench/other_restorers.py superres KODAK/kodim13.png ... --scale 2 -o bench/results/restoration.tsv

- inpaint: Telea 2004 and the Navier-Stokes method of Bertalmio et al. 2001 by OpenCV, each with a radius of 3 pixels
- denoise, dejpeg: OpenCV's non-local means (Buades, Coll & Morel 2005) at the strength of `STRENGTHS` that has the
  highest PSNR over all the pictures, which no user could know
- superres: Pillow's bicubic; the Lanczos interpolation is the input of each row
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from time import monotonic

import cv2
import numpy as np
from PIL import Image, __version__

from ddcodec.benchmark.restoration import Case, append_row, case_of, jobs_of, measured, read_rows
from ddcodec.metrics import psnr
from ddcodec.restoration.options import RestoreOptions
from ddcodec.restoration.restore import Restored

RADIUS = 3
STRENGTHS = (3, 5, 7, 10, 14, 20, 28)
"""Strengths h of the non-local means, for luma and for chroma, in levels."""
TEMPLATE, SEARCH = 7, 21
"""Sides in pixels of what non-local means compare, and of where they look; OpenCV recommends these."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=["inpaint", "denoise", "dejpeg", "superres"])
    parser.add_argument("truths", nargs="+", type=Path)
    parser.add_argument("--mask", type=Path, help="black is missing")
    parser.add_argument("--add-noise", type=float)
    parser.add_argument("--inputs", type=Path)
    parser.add_argument("--ending", nargs=2, default=("", ""))
    parser.add_argument("--as-jpeg", type=int)
    parser.add_argument("--scale", type=int)
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    kept = {row.key for row in read_rows(options.output)}
    wished = RestoreOptions(task=options.task, scale=options.scale)
    jobs = jobs_of(options.truths, options.inputs, options.mask, tuple(options.ending))
    cases = [case_of(job, wished, added=options.add_noise, quality=options.as_jpeg) for job in jobs]
    version = f"Pillow {__version__}" if options.task == "superres" else f"OpenCV {cv2.__version__}"
    made_of = f" mask={options.mask.stem}" if options.mask else f" scale={options.scale}" if options.scale else ""
    for name, method in methods(options.task, cases, options.scale).items():
        setting = f"prior={name}{made_of}"
        for case in cases:
            if (options.task, setting, case.noise, case.name) in kept:
                continue
            start = monotonic()
            samples = method(case)
            restored = Restored(samples, True, None, name, 1, "there is one step", monotonic() - start)
            row = measured(case, options.task, setting, version, restored)
            append_row(options.output, row)
            print(f"{case.name}, {name}: {row.after if row.missing is None else row.missing:.2f} dB", flush=True)


def methods(task: str, cases: list[Case], scale: int | None) -> dict[str, Callable[[Case], np.ndarray]]:
    """Name -> what makes a picture of the input of a case."""
    if task == "inpaint":
        return {
            name: lambda case, method=method: cv2.inpaint(case.samples, np.uint8(255 * ~case.known), RADIUS, method)
            for name, method in (("opencv-telea", cv2.INPAINT_TELEA), ("opencv-ns", cv2.INPAINT_NS))
        }
    if task == "superres":
        return {"bicubic": lambda case: _bicubic(case.samples, scale)}
    best = max(STRENGTHS, key=lambda h: fmean(psnr(case.truth, _non_local(case.samples, h)) for case in cases))
    print(f"non-local means: of {STRENGTHS} the strength {best} is best")
    return {"opencv-nlm": lambda case: _non_local(case.samples, best)}


def _bicubic(samples, scale):
    size = scale * samples.shape[1], scale * samples.shape[0]
    return np.asarray(Image.fromarray(samples).resize(size, Image.Resampling.BICUBIC))


def _non_local(samples, strength):
    if samples.ndim == 2:
        return cv2.fastNlMeansDenoising(samples, None, strength, TEMPLATE, SEARCH)
    # OpenCV takes blue for the first plane.
    blue_first = np.ascontiguousarray(samples[..., ::-1])
    return cv2.fastNlMeansDenoisingColored(blue_first, None, strength, strength, TEMPLATE, SEARCH)[..., ::-1]


if __name__ == "__main__":
    main()

"""What a picture of 24 megapixels costs: a mosaic of photographs, encoded and decoded by whole processes; and whether
the borders of what is done in pieces can be seen.

    python bench/large.py PICTURES -o bench/results/large.tsv [--effort 3]

PICTURES: a folder of photographs (PNG). One row: wall time and peak memory of both processes, bytes, PSNR, and the mean
error in the rows at borders (of the bands in which the decoder works) over that in all other rows, which would be above
1 if there were seams.
"""

import argparse
import tempfile
from datetime import date
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image
from processes import run

import ddcodec
from ddcodec.benchmark.machine import machine
from ddcodec.format.arch import band_rows
from ddcodec.metrics import psnr

WIDTH, HEIGHT, ROW = 6000, 4000, 1024
COLUMNS = (
    "date",
    "version",
    "machine",
    "effort",
    "width",
    "height",
    "bytes",
    "psnr",
    "encode_s",
    "encode_mib",
    "decode_s",
    "decode_mib",
    "border_error",
)


def mosaic(folder):
    """Photographs side by side, each scaled to a height of ROW pixels: a Pillow image of WIDTH x HEIGHT."""
    image, paths = Image.new("RGB", (WIDTH, HEIGHT)), cycle(sorted(folder.glob("*.png")))
    for top in range(0, HEIGHT, ROW):
        left = 0
        while left < WIDTH:
            picture = Image.open(next(paths)).convert("RGB")
            picture = picture.resize((picture.width * ROW // picture.height, ROW), Image.Resampling.LANCZOS)
            image.paste(picture, (left, top))
            left += picture.width
    return image


def border_error(original, decoded):
    errors = np.array([abs(a.astype(int) - b).mean() for a, b in zip(original, decoded)])
    rows = np.arange(len(errors))
    at_border = (rows % band_rows(WIDTH) == 0) | ((rows + 1) % band_rows(WIDTH) == 0)
    return errors[at_border].mean() / errors[~at_border].mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--effort", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, coded, target = (str(Path(folder, name)) for name in ("large.png", "large.ddc", "again.png"))
        mosaic(options.pictures).save(source, compress_level=1)
        encode = run("encode", source, "-o", coded, "-e", str(options.effort), "--quiet")
        decode = run("decode", coded, "-o", target, "--quiet")
        original, decoded = (np.asarray(Image.open(path)) for path in (source, target))
        row = [
            date.today(),
            ddcodec.__version__,
            machine(),
            options.effort,
            WIDTH,
            HEIGHT,
            Path(coded).stat().st_size,
            f"{psnr(original, decoded):.2f}",
        ]
        row += [f"{value:.0f}" for value in (*encode, *decode)] + [f"{border_error(original, decoded):.3f}"]
    if not options.output.exists():
        options.output.write_text("\t".join(COLUMNS) + "\n")
    with options.output.open("a") as table:
        print(*row, sep="\t", file=table)


if __name__ == "__main__":
    main()

"""Noise taken away and the rest encoded, in one command: how large the file is, how near its picture comes to the one
without noise, and what it took.

    python bench/denoised_files.py PICTURES... -o bench/results/denoised-files.tsv [--sigma 25] [--effort 4] [--quality
    70]

White noise is added to each picture, clipped and rounded to 8 bits; `ddcodec encode --restore denoise` is not told how
much. PSNR is over RGB, against the picture without noise. The size of the clean picture's own file, a PNG, and those of
`encode` without `--restore` stand beside. One row a picture, written as it comes; those that a table has already of the
same version are not measured again.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from PIL import Image
from rows import Rows

import ddcodec
from ddcodec.benchmark.peers import peer_of
from ddcodec.benchmark.restoration import with_noise
from ddcodec.metrics import psnr
from ddcodec.pictures.read import load_picture

COLUMNS = (
    "date",
    "machine",
    "versions",
    "picture",
    "sigma",
    "effort",
    "quality",
    "png_bytes",
    "noisy_psnr",
    "plain_bytes",
    "plain_psnr",
    "bytes",
    "psnr",
    "seconds",
)


def coded(folder, options, restoring):
    """The bytes of the file, its picture, and the seconds of the whole command."""
    output = folder / "out.ddc"
    start = perf_counter()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "ddcodec",
            "encode",
            "--quiet",
            folder / "noisy.png",
            "-o",
            output,
            "-f",
            "-e",
            f"{options.effort}",
            "-q",
            f"{options.quality:g}",
            *restoring,
        ],
        check=True,
    )
    seconds, data = perf_counter() - start, output.read_bytes()
    return len(data), ddcodec.decode(data), seconds


def row_of(path, options):
    truth = load_picture(path)
    noisy = with_noise(truth, options.sigma)
    with TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(noisy).save(folder / "noisy.png")
        plain_bytes, plain, _ = coded(folder, options, [])
        count, picture, seconds = coded(folder, options, ["--restore", "denoise"])
    return [
        path.stat().st_size,
        f"{psnr(truth, noisy):.3f}",
        plain_bytes,
        f"{psnr(truth, plain):.3f}",
        count,
        f"{psnr(truth, picture):.3f}",
        f"{seconds:.1f}",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--sigma", type=float, default=25)
    parser.add_argument("--effort", type=int, default=4)
    parser.add_argument("--quality", type=float, default=70)
    options = parser.parse_args()
    versions = peer_of("ddc").versions()
    rows = Rows(options.output, COLUMNS, COLUMNS[2:7])
    for path in options.pictures:
        key = versions, path.stem, f"{options.sigma:g}", options.effort, f"{options.quality:g}"
        if key not in rows:
            rows.append([*key, *row_of(path, options)])


if __name__ == "__main__":
    main()

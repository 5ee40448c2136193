"""Pictures fitted together at several rates, as a GPU does it: files, and what all of them took.

    python bench/together.py PICTURES... -o bench/results/together.tsv [--effort 9] [--lambdas 4e-3,2e-3,1e-3,4e-4]

Those of one size are one call of `ddcodec.encode_many`. One row a picture and rate; PSNR is that of the decoded file,
over RGB; seconds are those of the whole call, divided by its files.
"""

import argparse
from itertools import groupby
from pathlib import Path
from time import perf_counter

from rows import Rows

import ddcodec
from ddcodec.benchmark.peers import peer_of
from ddcodec.metrics import psnr
from ddcodec.pictures.read import load_picture
from ddcodec.presets import iterations_of

COLUMNS = ("date", "machine", "versions", "picture", "lambda", "steps", "bytes", "bpp", "psnr", "together", "seconds")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--effort", type=int, default=9)
    parser.add_argument("--lambdas", default="4e-3,2e-3,1e-3,4e-4")
    arguments = parser.parse_args()
    lambdas = [float(value) for value in arguments.lambdas.split(",")]
    rows = Rows(arguments.output, COLUMNS, ())
    pictures = sorted(((path, load_picture(path)) for path in arguments.pictures), key=lambda pair: pair[1].shape)
    for _, group in groupby(pictures, key=lambda pair: pair[1].shape):
        tasks = [(path, samples, lambda_) for path, samples in group for lambda_ in lambdas]
        start = perf_counter()
        files = ddcodec.encode_many(
            [samples for _, samples, _ in tasks], lambda_=[lambda_ for *_, lambda_ in tasks], effort=arguments.effort
        )
        seconds = (perf_counter() - start) / len(files)
        for (path, samples, lambda_), data in zip(tasks, files):
            bpp, quality = 8 * len(data) / (samples.shape[0] * samples.shape[1]), psnr(samples, ddcodec.decode(data))
            row = [
                path.stem,
                f"{lambda_:g}",
                iterations_of(arguments.effort),
                len(data),
                f"{bpp:.5f}",
                f"{quality:.4f}",
                len(files),
                f"{seconds:.1f}",
            ]
            rows.append([peer_of("ddc").versions(), *row])


if __name__ == "__main__":
    main()

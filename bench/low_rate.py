"""At the lowest rates: a file of AVIF of at most 0.1 bpp (or the smallest that it makes), and one of ddcodec that is no
larger, picture by picture.

    python bench/low_rate.py PICTURES... -o bench/results/low-rate.tsv [--bpp 0.1] [--codec avif:psnr] [--effort 5]
    python bench/low_rate.py PICTURES... -o bench/results/low-rate.tsv --codec avif:psnr --around avif

With --around no file of ddcodec is made: those in the table's rows of that codec are compared with the two files of
--codec whose sizes are next to theirs, in two rows without seconds. One row a file, written as it comes; those that a
table has already of the same versions are not measured again. PSNR is that of the decoded files, over RGB.
"""

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from rows import Rows

from ddcodec.benchmark.peers import of_size, peer_of
from ddcodec.encoder import encode_picture
from ddcodec.machine import keep_freed_memory
from ddcodec.metrics import psnr
from ddcodec.options import EncodeOptions
from ddcodec.pictures.read import load_picture

COLUMNS = (
    "date",
    "machine",
    "versions",
    "picture",
    "codec",
    "setting",
    "bytes",
    "bpp",
    "psnr",
    "effort",
    "ddc_bytes",
    "ddc_psnr",
    "ddc_s",
)
QUALITIES = (0, 90)


def row_of(path, peer, effort, bpp):
    """What follows the versions: a file of the peer, and one of ddcodec that is made to be no larger."""
    samples = load_picture(path)
    pixels = samples.shape[0] * samples.shape[1]
    smallest = peer.settings[0]
    data, setting = of_size(peer, samples, int(bpp * pixels / 8)) or (peer.encode(samples, smallest), smallest)
    start = perf_counter()
    encoded = encode_picture(samples, EncodeOptions(target_size=len(data), effort=effort, tune="psnr"))
    seconds = perf_counter() - start
    return [
        path.stem,
        *_theirs(peer, samples, data, setting),
        effort,
        len(encoded.data),
        f"{encoded.psnr:.3f}",
        f"{seconds:.1f}",
    ]


def rows_around(path, peer, row):
    """The same for a file of ddcodec that a row has already: the peer's largest file that is smaller, if there is one,
    and the next.
    """
    samples, most = load_picture(path), int(row["ddc_bytes"])
    below = None
    for setting in range(peer.settings[0], peer.settings[-1] + 1, peer.grain):
        data = peer.encode(samples, setting)
        if len(data) >= most:
            break
        below = data, setting
    return [
        [path.stem, *_theirs(peer, samples, *file), row["effort"], most, row["ddc_psnr"], ""]
        for file in filter(None, (below, (data, setting)))
    ]


def _theirs(peer, samples, data, setting):
    pixels = samples.shape[0] * samples.shape[1]
    return [
        peer.name,
        f"{setting:g}",
        len(data),
        f"{8 * len(data) / pixels:.4f}",
        f"{psnr(samples, peer.decode(data, samples.shape)):.3f}",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--bpp", type=float, default=0.1)
    parser.add_argument("--codec", default="avif:psnr")
    parser.add_argument("--effort", type=int, default=5)
    parser.add_argument("--around", metavar="CODEC")
    arguments = parser.parse_args()
    keep_freed_memory()
    peer = replace(peer_of(arguments.codec), settings=QUALITIES)
    rows = Rows(arguments.output, COLUMNS, ("versions", "picture", "codec", "effort"))
    with open(arguments.output, newline="") as file:
        there = {
            row["picture"]: row for row in csv.DictReader(file, delimiter="\t") if row["codec"] == arguments.around
        }
    for path in arguments.pictures:
        if arguments.around and path.stem not in there:
            sys.exit(f"{arguments.output} has no row of {arguments.around} for {path.stem}.")
        ours = there[path.stem]["versions"].split("; ")[0] if arguments.around else peer_of("ddc").versions()
        versions = f"{ours}; {peer.versions()}"
        if (versions, path.stem, peer.name, arguments.effort) not in rows:
            for row in (
                rows_around(path, peer, there[path.stem])
                if arguments.around
                else [row_of(path, peer, arguments.effort, arguments.bpp)]
            ):
                rows.append([versions, *row])


if __name__ == "__main__":
    main()

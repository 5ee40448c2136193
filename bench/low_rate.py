"""At the lowest rates: a file of AVIF of at most 0.1 bpp (or the smallest that it makes), and one of ddcodec that is no larger, picture by picture.

    python bench/low_rate.py PICTURES... -o bench/results/low-rate.tsv [--bpp 0.1] [--codec avif] [--effort 5]

One row a picture, written as it comes; those that a table has already of the same versions are not measured again. PSNR is that of the decoded files, over RGB.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from ddcodec.benchmark.peers import of_size, peer_of
from ddcodec.encoder import EncodeOptions, encode_picture
from ddcodec.memory import keep_freed_memory
from ddcodec.metrics import psnr
from ddcodec.pictures import load_picture
from rows import Rows

COLUMNS = ("date", "machine", "versions", "picture", "codec", "setting", "bytes", "bpp", "psnr", "effort", "ddc_bytes", "ddc_psnr", "ddc_s")
QUALITIES = (0, 90)


def row_of(path, peer, effort, bpp):
    samples = load_picture(path)
    pixels = samples.shape[0] * samples.shape[1]
    smallest = peer.settings[0]
    data, setting = of_size(peer, samples, int(bpp * pixels / 8)) or (peer.encode(samples, smallest), smallest)
    start = perf_counter()
    encoded = encode_picture(samples, EncodeOptions(target_size=len(data), effort=effort))
    seconds = perf_counter() - start
    theirs = psnr(samples, peer.decode(data, samples.shape))
    return [path.stem, peer.name, f"{setting:g}", len(data), f"{8 * len(data) / pixels:.4f}", f"{theirs:.3f}", effort, len(encoded.data), f"{encoded.psnr:.3f}", f"{seconds:.1f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--bpp", type=float, default=0.1)
    parser.add_argument("--codec", default="avif")
    parser.add_argument("--effort", type=int, default=5)
    arguments = parser.parse_args()
    keep_freed_memory()
    peer = replace(peer_of(arguments.codec), settings=QUALITIES)
    versions = f"{peer_of('ddc').versions()}; {peer.versions()}"
    rows = Rows(arguments.output, COLUMNS, ("versions", "picture", "codec", "effort"))
    for path in arguments.pictures:
        if (versions, path.stem, peer.name, arguments.effort) not in rows:
            rows.append([versions, *row_of(path, peer, arguments.effort, arguments.bpp)])


if __name__ == "__main__":
    main()

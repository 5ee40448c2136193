"""At the lowest rates: a file of AVIF of at most 0.1 bpp (or the smallest that it makes), and one of ddcodec that is no larger, picture by picture.

    python bench/low_rate.py PICTURES... -o bench/results/low-rate.tsv [--bpp 0.1] [--codec avif] [--effort 5]

One row a picture, written as it comes; those that a table has already of the same versions are not measured again. PSNR is that of the decoded files, over RGB.
"""

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import perf_counter

from ddcodec.benchmark.machine import machine
from ddcodec.benchmark.peers import of_size, peer_of
from ddcodec.encoder import EncodeOptions, encode_picture
from ddcodec.memory import keep_freed_memory
from ddcodec.metrics import psnr
from ddcodec.pictures import load_picture

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
    if not arguments.output.exists():
        arguments.output.write_text("\t".join(COLUMNS) + "\n", "utf-8")
    lines = [line.split("\t") for line in arguments.output.read_text("utf-8").splitlines()[1:]]
    done = {(line[2], line[3], line[4], int(line[9])) for line in lines}
    for path in arguments.pictures:
        if (versions, path.stem, peer.name, arguments.effort) in done:
            continue
        row = [date.today().isoformat(), machine(), versions, *row_of(path, peer, arguments.effort, arguments.bpp)]
        with open(arguments.output, "a", encoding="utf-8") as file:
            file.write("\t".join(map(str, row)) + "\n")
        print(*row[3:], sep="\t", flush=True)


if __name__ == "__main__":
    main()

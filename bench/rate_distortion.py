"""Rate against distortion of ddcodec and JPEG, from files that are written, decoded and measured.

    python bench/rate_distortion.py PICTURES... -o bench/results/rate-distortion-NAME.tsv [--profile default] [--effort 6] [--lambdas 4e-3,2e-3,1e-3,4e-4]

Rows are appended as they come; what the file holds already is not done again. At the end the BD-rate against JPEG (Pillow, 4:2:0,
optimised) is printed for every picture: Bjontegaard (VCEG-M33) with a monotone cubic (PCHIP) through log rate over PSNR. Needs SciPy (`pip install .[test]` brings it).
"""

import argparse
import csv
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator

import ddcodec
from ddcodec.encoder import EncodeOptions, encode_picture
from ddcodec.memory import keep_freed_memory
from ddcodec.metrics import psnr
from ddcodec.pictures import load_picture
from machine import machine

COLUMNS = ("date", "version", "machine", "picture", "codec", "setting", "bytes", "bpp", "psnr", "encode_s", "decode_s")
JPEG_QUALITIES = (5, 10, 15, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
ANCHOR = "jpeg-420-optimised"


def jpeg(path, samples, quality):
    start = perf_counter()
    Image.fromarray(samples).save(path, "JPEG", quality=quality, subsampling=2, optimize=True)
    middle = perf_counter()
    decoded = np.asarray(Image.open(path))
    return decoded, middle - start, perf_counter() - middle


def ddc(path, samples, options):
    start = perf_counter()
    path.write_bytes(encode_picture(samples, options).data)
    middle = perf_counter()
    decoded = ddcodec.decode(path.read_bytes())
    return decoded, middle - start, perf_counter() - middle


def jobs(arguments):
    """(codec, setting, encode-and-decode) for every row of a picture."""
    for quality in JPEG_QUALITIES:
        yield ANCHOR, f"q{quality}", lambda path, samples, quality=quality: jpeg(path, samples, quality)
    codec = f"ddc:{arguments.profile}:" + (f"i{arguments.iterations}" if arguments.iterations else f"e{arguments.effort}")
    for value in map(float, arguments.lambdas.split(",")):
        options = EncodeOptions(
            lambda_=value, effort=arguments.effort, iterations=arguments.iterations, profile=arguments.profile, device=arguments.device
        )
        yield codec, f"lambda {value:g}", lambda path, samples, options=options: ddc(path, samples, options)


def measure(arguments):
    table = Path(arguments.output)
    done = set()
    if table.exists():
        done = {(row["picture"], row["codec"], row["setting"]) for row in csv.DictReader(table.open(), delimiter="\t")}
    else:
        table.write_text("\t".join(COLUMNS) + "\n")
    where = machine()
    with tempfile.TemporaryDirectory() as folder:
        for codec, setting, run in jobs(arguments):
            for name in arguments.pictures:
                picture = Path(name)
                if (picture.stem, codec, setting) in done:
                    continue
                samples = load_picture(picture)
                file = Path(folder) / "file"
                decoded, encode_s, decode_s = run(file, samples)
                size = file.stat().st_size
                row = (
                    date.today(), ddcodec.__version__, where, picture.stem, codec, setting, size,
                    f"{8 * size / (samples.shape[0] * samples.shape[1]):.5f}", f"{psnr(samples, decoded):.4f}", f"{encode_s:.2f}", f"{decode_s:.3f}",
                )  # fmt: skip
                with table.open("a") as out:
                    print(*row, sep="\t", file=out)
                print(*row[3:], sep="  ", flush=True)


def curve(points):
    """log rate as a function of PSNR (dB) through (bpp, psnr) points."""
    points = sorted(points, key=lambda point: point[1])
    return PchipInterpolator([psnr for _, psnr in points], np.log([bpp for bpp, _ in points]))


def bd_rate(anchor, other):
    """Per cent of rate that `other` needs more than `anchor` at equal PSNR, and the interval of PSNR (dB) that both cover.

    Curves are lists of (bpp, psnr). Returns (None, low, high) where they share less than half of the shorter one, or one is a point.
    """
    spans = [(min(p for _, p in points), max(p for _, p in points)) for points in (anchor, other)]
    low, high = max(least for least, _ in spans), min(greatest for _, greatest in spans)
    if min(len(anchor), len(other)) < 2 or high - low < 0.5 * min(greatest - least for least, greatest in spans):
        return None, low, high
    means = [curve(points).integrate(low, high) / (high - low) for points in (anchor, other)]
    return 100 * (np.exp(means[1] - means[0]) - 1), low, high


def read_rows(paths):
    return [row for path in paths for row in csv.DictReader(Path(path).open(encoding="utf-8"), delimiter="\t")]


def curves_of(rows):
    """(codec, picture) -> list of (bpp, psnr)."""
    curves = {}
    for row in rows:
        curves.setdefault((row["codec"], row["picture"]), []).append((float(row["bpp"]), float(row["psnr"])))
    return curves


def report(arguments):
    curves = curves_of(read_rows([arguments.output]))
    for codec in sorted({codec for codec, _ in curves if codec != ANCHOR}):
        rates = []
        for picture in sorted({picture for c, picture in curves if c == codec}):
            rate, low, high = bd_rate(curves[ANCHOR, picture], curves[codec, picture])
            text = "no BD-rate" if rate is None else f"BD-rate {rate:+.1f} % against {ANCHOR}"
            rates.append(rate)
            print(f"{codec}  {picture}: {text}, {low:.1f} to {high:.1f} dB")
        if None not in rates:
            print(f"{codec}  mean: {np.mean(rates):+.1f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--profile", default="default")
    parser.add_argument("--effort", type=int, default=6)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--lambdas", default="4e-3,2e-3,1e-3,4e-4")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    keep_freed_memory()
    measure(arguments)
    report(arguments)


if __name__ == "__main__":
    main()

"""What large photographs cost, encoded and decoded by whole processes; whether borders of what is done in pieces can
be seen; and how much more AVIF needs for the same quality.

    python bench/large.py PHOTOGRAPHS... -o bench/results/large.tsv [--efforts 1,3,5] [--tunes eye,psnr]
        [--megapixels 2.5]

One row a photograph, effort and tune, written as it comes; what the table has is not measured again. --megapixels makes
photographs smaller first, by Lanczos.

- encode_s, encode_mib, decode_s, decode_mib: wall time and peak memory of both processes
- border_error: the mean error in the rows at borders of the bands in which the decoder works, over that in all other
  rows; above 1 if there were seams
- quality: SSIMULACRA2 for the eye, PSNR for the other tune; avif_quality: that of AVIF (tune=iq or psnr, speed 6) in a
  file of the same size; avif_bytes: of AVIF of the same quality, in per cent of the bytes here, by files around it
"""

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image
from processes import run
from rows import Rows

import ddcodec
from ddcodec.benchmark.peers import of_size, peer_of
from ddcodec.format.arch import band_rows
from ddcodec.metrics import psnr, ssimulacra2
from ddcodec.pictures.read import load_picture

COLUMNS = (
    "date",
    "machine",
    "version",
    "photograph",
    "width",
    "height",
    "effort",
    "tune",
    "bytes",
    "psnr",
    "quality",
    "avif_quality",
    "avif_bytes",
    "encode_s",
    "encode_mib",
    "decode_s",
    "decode_mib",
    "avif_s",
    "border_error",
)
AVIF = {"eye": ("avif", ssimulacra2), "psnr": ("avif:psnr", psnr)}
"""Tune -> the AVIF that aims at the same, and by what both are measured."""
SIZES = (1.0, 1.3, 1.7)
"""Files of AVIF, in sizes of that of ddcodec: the size of the same quality lies between them, or a little beyond."""


def border_error(original, decoded):
    errors = np.array([np.abs(a.astype(int) - b).mean() for a, b in zip(original, decoded)])
    rows, band = np.arange(len(errors)), band_rows(original.shape[1])
    at_border = (rows % band == 0) | ((rows + 1) % band == 0)
    return errors[at_border].mean() / errors[~at_border].mean()


def beside(tune, original, size, quality):
    """AVIF's quality in a file of a size, its size for a quality in per cent of that, and the seconds of an encode."""
    name, measure = AVIF[tune]
    peer, points = peer_of(name), []
    for factor in SIZES:
        data, setting = of_size(peer, original, round(factor * size))
        points.append((measure(original, peer.decode(data, original.shape)), np.log(len(data))))
    start = perf_counter()
    peer.encode(original, setting)
    seconds = perf_counter() - start
    slope, level = np.polyfit(*zip(*points), 1)
    return points[0][0], 100 * np.exp(slope * quality + level) / size, seconds


def row_of(source, effort, tune, folder):
    """What follows date and machine, for a photograph in a file."""
    coded, target = folder / "large.ddc", folder / "again.png"
    options = "--effort", str(effort), "--tune", tune, "--quiet", "-f"
    # First, for Linux counts the memory of the parent at the start of a child as the child's.
    encode = run("encode", str(source), "-o", str(coded), *options)
    decode = run("decode", str(coded), "-o", str(target), "--quiet", "-f")
    original, decoded = load_picture(source), load_picture(target)
    size, quality = coded.stat().st_size, AVIF[tune][1](original, decoded)
    avif_quality, avif_bytes, avif_seconds = beside(tune, original, size, quality)
    return [
        ddcodec.__version__,
        source.stem,
        *original.shape[1::-1],
        effort,
        tune,
        size,
        f"{psnr(original, decoded):.2f}",
        f"{quality:.2f}",
        f"{avif_quality:.2f}",
        f"{avif_bytes:.1f}",
        *(f"{value:.3g}" for value in (encode[0], encode[1], decode[0], decode[1], avif_seconds)),
        f"{border_error(original, decoded):.3f}",
    ]


def smaller(source, pixels, folder):
    """The file of a photograph that was made smaller, to about so many pixels."""
    image = Image.fromarray(load_picture(source))
    factor = (pixels / (image.width * image.height)) ** 0.5
    small = folder / f"{source.stem}_{pixels / 1e6:g}.png"
    image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS).save(small)
    return small


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--efforts", default="1,3,5")
    parser.add_argument("--tunes", default="eye,psnr")
    parser.add_argument("--megapixels", type=float)
    options = parser.parse_args()
    rows = Rows(options.output, COLUMNS, ("photograph", "effort", "tune"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in options.photographs:
            picture = smaller(source, 1e6 * options.megapixels, folder) if options.megapixels else source
            for effort in map(int, options.efforts.split(",")):
                for tune in options.tunes.split(","):
                    if (picture.stem, effort, tune) not in rows:
                        rows.append(row_of(picture, effort, tune, folder))


if __name__ == "__main__":
    main()

"""Draws crops of the samples, coded to equal bytes: the README's first picture, and the manual's sheet of both tunes.

    python docs/make_comparison.py         writes comparison.webp and eye.webp in docs/figures, and
    bench/results/comparison.tsv; it takes eight minutes

AVIF is Pillow's with its default settings (tune=iq); JPEG is 4:2:0, optimised. ddcodec has its default effort. No file
holds metadata.
"""

import csv
import io
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

import ddcodec
from ddcodec.benchmark.machine import machine
from ddcodec.metrics import psnr, ssimulacra2

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"
FIGURES = ROOT / "docs" / "figures"
ROWS = ROOT / "bench" / "results" / "comparison.tsv"
COLUMNS = ("date", "machine", "versions", "figure", "picture", "codec", "setting", "bytes", "psnr", "ssimulacra2")

TOLERANCE = 0.02
"""How far, as a share, a file may be from the size of its row."""
HEADROOM = 1.015
"""A file by target_size has at most that size, and at least 97 % of it: so the target is a little above."""
ZOOM, GAP, LINE, FONT_SIZE = 2, 8, 22, 15
"""How many pixels a pixel becomes; pixels between panels, of a line of text, of its letters."""
INK = "#768390"
"""Can be read on white and on black."""


class Row(NamedTuple):
    """size: bytes of one of the JPEGs, which all files of the row must have within `TOLERANCE`. box: of the crop, as
    Pillow has it.
    """

    sample: str
    size: int
    box: tuple


class Figure(NamedTuple):
    """codecs: beside the original, from left to right."""

    codecs: tuple
    rows: tuple


SHOWN = {
    "comparison": Figure(
        ("ddcodec", "AVIF", "JPEG"),
        (Row("rocket.jpg", 5505, (0, 180, 120, 300)), Row("astronaut.png", 9753, (160, 60, 280, 180))),
    ),
    "eye": Figure(
        ("tune=psnr", "tune=eye", "AVIF"),
        (
            Row("astronaut.png", 9753, (160, 60, 280, 180)),
            Row("astronaut.png", 9753, (125, 340, 245, 460)),
            Row("chelsea.png", 5411, (130, 70, 250, 190)),
            Row("rocket.jpg", 5505, (100, 60, 220, 180)),
            Row("coffee.png", 7000, (300, 220, 420, 340)),
        ),
    ),
}
"""Name of a figure -> what it shows."""


class Coded(NamedTuple):
    """setting: the quality, or of ddcodec the wished bytes."""

    codec: str
    setting: int
    size: int
    samples: np.ndarray


def main():
    rows = []
    for name, (codecs, shown) in SHOWN.items():
        panels = []
        for sample, size, box in shown:
            original, files = coded(sample, size, codecs)
            scores = [(psnr(original, file.samples), ssimulacra2(original, file.samples)) for file in files]
            rows += [
                (name, Path(sample).stem, file.codec, file.setting, file.size, f"{dB:.3f}", f"{eye:.2f}")
                for file, (dB, eye) in zip(files, scores)
            ]
            titles = [f"{file.codec}: {file.size:,} bytes" for file in files]
            panels.append(
                [
                    ("original", "", crop(original, box)),
                    *(
                        (title, f"{dB:.1f} dB, {eye:.0f}", crop(file.samples, box))
                        for title, (dB, eye), file in zip(titles, scores, files)
                    ),
                ]
            )
        sheet(panels).save(FIGURES / f"{name}.webp", lossless=True, method=6)
    write(list(dict.fromkeys(rows)))


@cache
def coded(sample, size, codecs):
    """A sample, and its files of that size."""
    original = opened(sample)
    files = [Coded(codec, *MADE[codec](sample, size)) for codec in codecs]
    assert all(abs(file.size / size - 1) <= TOLERANCE for file in files), [
        (file.codec, file.size, size) for file in files
    ]
    return original, files


def opened(sample):
    return np.asarray(Image.open(SAMPLES / sample).convert("RGB"))


@cache
def by_ddcodec(sample, size, tune="eye"):
    """Setting, bytes and samples of a file. Both figures have some of these."""
    target = round(HEADROOM * size)
    data = ddcodec.encode(opened(sample), target_size=target, tune=tune)
    return target, len(data), ddcodec.decode(data)


def by_pillow(sample, size, codec, **settings):
    """The same of the quality whose size is nearest, by bisection: size grows with quality."""

    def coded(quality):
        file = io.BytesIO()
        Image.fromarray(opened(sample)).save(file, codec, quality=quality, **settings)
        return file.getvalue()

    low, high = 1, 95
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(coded(middle)) <= size else (low, middle)
    quality = min(low, high, key=lambda quality: abs(len(coded(quality)) - size))
    data = coded(quality)
    return quality, len(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


MADE = {
    "ddcodec": by_ddcodec,
    "tune=psnr": partial(by_ddcodec, tune="psnr"),
    "tune=eye": by_ddcodec,
    "AVIF": partial(by_pillow, codec="AVIF"),
    "JPEG": partial(by_pillow, codec="JPEG", subsampling="4:2:0", optimize=True),
}
"""Codec -> function of a sample and bytes."""


def crop(samples, box):
    part = Image.fromarray(samples).crop(box)
    return part.resize((ZOOM * part.width, ZOOM * part.height), Image.Resampling.NEAREST)


def sheet(panels):
    """Rows of (title, second line, picture), on no background of their own."""
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), FONT_SIZE)
    width, height = panels[0][0][2].size
    down = height + 2 * LINE + GAP
    image = Image.new("RGBA", (len(panels[0]) * (width + GAP) - GAP, len(panels) * down - GAP))
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(panels):
        for column, (title, second, picture) in enumerate(line):
            x, y = column * (width + GAP), row * down
            draw.text((x, y), title, INK, font)
            draw.text((x, y + LINE), second, INK, font)
            image.paste(picture, (x, y + 2 * LINE))
    return image


def write(rows):
    versions = (
        f"ddcodec {ddcodec.__version__}; Pillow {Image.__version__}, libavif {features.version('avif')}, "
        f"libjpeg-turbo {features.version('libjpeg_turbo')}"
    )
    with ROWS.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows((date.today().isoformat(), machine(), versions, *row) for row in rows)


if __name__ == "__main__":
    main()

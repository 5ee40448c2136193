"""The picture of restorations in the manual, before and after, at 200 %, on the samples.

From left to right: noise, words, a hole, a strong JPEG, and a small picture.

python bench/restoration_figure.py -o samples/restored.webp [--effort 5]
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import ddcodec
from ddcodec.benchmark.restoration import with_noise
from ddcodec.restoration.options import RestoreOptions
from ddcodec.restoration.restore import restore_picture

SAMPLES = Path(__file__).parents[1] / "samples"
SIDE, GAP = 224, 8
LEFT, TOP, SHOWN, ZOOM = 64, 64, 128, 2
"""Of what is restored, the middle is shown, twice as large."""
WORDS = "what is written over a picture hides it "


def crop(name, left, top):
    return np.asarray(Image.open(SAMPLES / name).convert("RGB").crop((left, top, left + SIDE, top + SIDE)))


def lettering():
    """bool (SIDE, SIDE), False under letters."""
    image = Image.new("L", (SIDE, SIDE), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    for line, y in enumerate(range(4, SIDE, 26)):
        draw.text((3, y), (WORDS * 2)[line:], fill=0, font=font)
    return np.asarray(image) > 127


def pairs(effort):
    """(before, after), uint8 (SIDE, SIDE, 3), for each of the tasks."""
    noisy = with_noise(crop("astronaut.png", 130, 20), 25)
    yield noisy, ddcodec.restore(noisy, "denoise", effort=effort)
    hole = np.ones((SIDE, SIDE), bool)
    hole[88:136, 88:136] = False
    for samples, known in ((crop("coffee.png", 180, 90), lettering()), (crop("coffee.png", 370, 20), hole)):
        before = np.where(known[..., None], samples, 255).astype(np.uint8)
        yield before, ddcodec.restore(before, "inpaint", mask=known, effort=effort)
    file = io.BytesIO()
    Image.fromarray(crop("chelsea.png", 110, 20)).save(file, "JPEG", quality=10)
    blocky = np.asarray(Image.open(file))
    yield blocky, restore_picture(blocky, RestoreOptions(task="dejpeg", effort=effort), file=file.getvalue()).samples
    small = Image.fromarray(crop("astronaut.png", 130, 280)).resize((SIDE // 2, SIDE // 2), Image.Resampling.LANCZOS)
    large = ddcodec.restore(np.asarray(small), "superres", scale=2, effort=effort)
    yield np.asarray(small.resize((SIDE, SIDE), Image.Resampling.LANCZOS)), large


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--effort", type=int, default=5)
    arguments = parser.parse_args()
    columns = list(pairs(arguments.effort))
    side = ZOOM * SHOWN
    sheet = Image.new("RGB", (len(columns) * (side + GAP) - GAP, 2 * side + GAP), "white")
    for column, pair in enumerate(columns):
        for row, samples in enumerate(pair):
            shown = Image.fromarray(samples[TOP : TOP + SHOWN, LEFT : LEFT + SHOWN])
            enlarged = shown.resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (column * (side + GAP), row * (side + GAP)))
    sheet.save(arguments.output, quality=88)


if __name__ == "__main__":
    main()

"""Measure ddcodec at effort 3 from -q 5 to 100, and other codecs over their own ranges, picture by picture.

    python bench/whole_range.py PICTURES... -o bench/results/whole-range.tsv
    python bench/whole_range.py PICTURES... --codecs jpeg ddc:e3 ddc:e3:psnr --crop 384 256 -o bench/results/quality.tsv

The second command is for the formula of -q: what ddcodec and JPEG have at equal qualities, in the middle of pictures.

The rows are those of `ddcodec bench`; the setting of ddcodec is the lambda of the quality. Each is written as it comes;
those that a table has already of the same versions are not measured again.
"""

import argparse
from pathlib import Path

from PIL import Image

from ddcodec.benchmark.measure import Failure, Job, measure, source_of
from ddcodec.benchmark.peers import peer_of
from ddcodec.benchmark.table import append_row, read_table
from ddcodec.presets import lambda_of_quality

QUALITIES = (5, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 93, 95, 97, 98, 99, 100)
"""Values of -q."""
SETTINGS = {
    # A table keeps six digits.
    **{
        codec: tuple(float(f"{lambda_of_quality(quality, tune=tune):g}") for quality in QUALITIES)
        for codec, tune in (("ddc:e3", "eye"), ("ddc:e3:psnr", "psnr"))
    },
    "jpeg": QUALITIES,
    "webp": (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 100),
    "avif": (5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 93, 96, 98),
    "avif:psnr": (5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 93, 96, 98),
    "jxl": (15, 10, 7, 5, 3.5, 2.5, 1.7, 1.2, 0.8, 0.5, 0.3, 0.2, 0.1, 0.05),
}
"""Codec -> its settings, from the smallest file to the largest."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--files", type=Path, default=Path("whole-range"), help="folder of the coded files")
    parser.add_argument("--codecs", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--crop", nargs=2, type=int, metavar=("WIDTH", "HEIGHT"), help="code the middle alone")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.files.mkdir(parents=True, exist_ok=True)
    there = {row.key for row in read_table(options.output)} if options.output.exists() else set()
    for path in options.pictures:
        source = source_of(str(cropped(path, options) if options.crop else path))
        for codec, settings in ((codec, SETTINGS[codec]) for codec in options.codecs):
            peer = peer_of(codec, options.threads)
            for setting in settings:
                file = options.files / f"{source.name}-{codec.replace(':', '-')}-{setting:g}{peer.suffix}"
                job = Job(source, codec, setting, options.threads, str(file), peer.versions())
                if job.key not in there:
                    row = measure(job)
                    if isinstance(row, Failure):
                        raise SystemExit(f"{path}, {codec}, {setting:g}: {row.sentence}")
                    append_row(options.output, row)
                    print(f"{source.name} {codec} {setting:g}: {row.bpp:.3f} bpp, {row.psnr:.2f} dB", flush=True)


def cropped(path, options):
    """Write the middle of a picture into the folder of files, and give its path."""
    width, height = options.crop
    with Image.open(path) as image:
        if image.width < width or image.height < height:
            raise SystemExit(f"{path} has only {image.width}x{image.height} pixels.")
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image.crop((left, top, left + width, top + height)).save(options.files / f"{path.stem}.png")
    return options.files / f"{path.stem}.png"


if __name__ == "__main__":
    main()

"""Contours in plain places: pictures coded whole with each tune, and by AVIF and JPEG in files of the same size.

    python bench/contours.py KODAK TRAIN -o bench/results/contours.tsv [--effort 3] [--sheets FOLDER]

KODAK, TRAIN: folders of Kodak's photographs and of those that bases were learned from. The file of `--tune eye` at
lambda `LAMBDA` sets the size. Measured is a crop of each:

- cambi: CAMBI (Tandon et al. 2021) of ffmpeg's libvmaf: banding as of a television, also by single levels
- false_steps: the share of plain pixels, per cent, where luma is steeper by `EXCESS` levels a pixel or more than the
  original within `REACH` pixels. Plain is where that has no slope of `STEEP`. Both are blurred a little first, so that
  grain does not count.

With --sheets a picture a crop is drawn, twice as large, the codecs in random order; key.tsv there says which is which.
One row a file, written as it comes; those that a table has already of the same versions are not measured again.
"""

import argparse
import csv
import json
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image
from rows import Rows
from scipy.ndimage import gaussian_filter, maximum_filter

import ddcodec
from ddcodec.benchmark.peers import of_size, peer_of
from ddcodec.metrics.psnr import LUMA

SAMPLES = Path(__file__).parents[1] / "samples"
LAMBDA = 2.4e-3
"""About that of `-q 60` with `--tune eye`."""
HEADROOM = 1.015
"""A file of a target size has at least 97 % of it; so the target is a little above."""
SIDE = 224
"""CAMBI refuses pictures that are much smaller."""
CROPS = {
    "kodim03": (520, 20),
    "kodim12": (80, 20),
    "kodim15": (230, 130),
    "kodim16": (300, 20),
    "kodim21": (60, 20),
    "kodim23": (500, 60),
    "astronaut": (130, 20),
    "chelsea": (110, 20),
    "clic_man_yellow_wall": (330, 60),
    "clic_girl_blue_eyes": (240, 120),
    "kodim01": (100, 100),
    "kodim08": (540, 230),
    "kodim14": (480, 280),
    "kodim18": (180, 140),
    "kodim22": (30, 40),
}
"""Picture -> left and top of its crop: ten of sky, skin and defocus; then, for the sheets, stones, letters, letters and
water, skin and cloth, leaves."""
STEEP, EXCESS, REACH, BLUR = 2.0, 0.7, 3, 1.0
"""Two slopes in levels a pixel, pixels, and the standard deviation of the blur in pixels; see above."""
ZOOM, GAP = 2, 8
COLUMNS = ("date", "machine", "versions", "picture", "codec", "effort", "bytes", "cambi", "false_steps")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--effort", type=int, default=3)
    parser.add_argument("--sheets", type=Path)
    options = parser.parse_args()
    peers = {name: peer_of(name) for name in ("avif", "jpeg")}
    versions = "; ".join([peer_of("ddc").versions(), *(f"{name}: {peer.versions()}" for name, peer in peers.items())])
    rows = Rows(options.output, COLUMNS, ("versions", "picture", "codec", "effort"))
    random = np.random.default_rng(7)
    for name, (left, top) in CROPS.items():
        # The last row of a picture: a run that was broken off may have written others.
        if (versions, name, list(peers)[-1], options.effort) in rows:
            continue
        original = np.asarray(Image.open(found(name, [SAMPLES, *options.folders])).convert("RGB"))
        data = ddcodec.encode(original, lambda_=LAMBDA, effort=options.effort)
        target = round(HEADROOM * len(data))
        before = ddcodec.encode(original, target_size=target, effort=options.effort, tune="psnr")
        files = {"original": (0, original), "ddc": (len(data), ddcodec.decode(data))}
        files["ddc:psnr"] = len(before), ddcodec.decode(before)
        for codec, peer in peers.items():
            # No larger than 1 % above: the nearest one below could be much smaller.
            coded, _ = of_size(peer, original, round(1.01 * len(data)))
            files[codec] = len(coded), peer.decode(coded, original.shape)
        place = np.s_[top : top + SIDE, left : left + SIDE]
        for codec, (size, picture) in files.items():
            share = np.nanmean(false_steps(original, picture)[place])
            figures = f"{cambi(picture[place]):.3f}", f"{100 * share:.3f}"
            rows.append([versions, name, codec, options.effort, size, *figures])
        if options.sheets:
            draw(options.sheets, name, {codec: picture[place] for codec, (_, picture) in files.items()}, random)


def found(name, folders):
    return next(path for folder in folders for path in sorted(folder.glob(f"{name}.*")) if path.suffix != ".ddc")


def cambi(picture):
    """CAMBI of a picture, in 10 bits as it wants them."""
    as_ten_bits = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p10le"
    with tempfile.TemporaryDirectory() as folder:
        Image.fromarray(picture).save(Path(folder, "picture.png"))
        graph = f"[0:v]{as_ten_bits},split[a][b];[a][b]libvmaf=feature=name=cambi:log_fmt=json:log_path=log.json"
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-i", "picture.png", "-lavfi", graph, "-f", "null", "-"],
            cwd=folder,
            capture_output=True,
            check=True,
        )
        return json.loads(Path(folder, "log.json").read_bytes())["pooled_metrics"]["cambi"]["mean"]


def false_steps(original, picture):
    """Where steps are, and the original has none: 1.0 or 0.0 a pixel, NaN where it is not plain."""
    before, after = (slopes(gaussian_filter(each @ np.array(LUMA), BLUR)) for each in (original, picture))
    near = maximum_filter(before, 2 * REACH + 1)
    return np.where(near < STEEP, (after - near >= EXCESS).astype(float), np.nan)


def slopes(luma):
    """The greater of the differences to the pixels at the right and below."""
    across, down = np.zeros_like(luma), np.zeros_like(luma)
    across[:, :-1], down[:-1] = abs(np.diff(luma, axis=1)), abs(np.diff(luma, axis=0))
    return np.maximum(across, down)


def draw(folder, name, parts, random):
    """The original at the left, then the others in random order. The key names them from left to right."""
    folder.mkdir(parents=True, exist_ok=True)
    codecs = ["original", *random.permutation([codec for codec in parts if codec != "original"])]
    sheet_of([parts[codec] for codec in codecs]).save(folder / f"{name}.png")
    with open(folder / "key.tsv", "a", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerow([name, *codecs])


def sheet_of(parts):
    """Set pictures of `SIDE` pixels a side by side, enlarged without smoothing."""
    side = ZOOM * SIDE
    sheet = Image.new("RGB", (len(parts) * (side + GAP) - GAP, side))
    for column, part in enumerate(parts):
        sheet.paste(Image.fromarray(part).resize((side, side), Image.Resampling.NEAREST), (column * (side + GAP), 0))
    return sheet


if __name__ == "__main__":
    main()

"""Pictures with transparent parts: the file of ddcodec, and the best ones of WebP and AVIF that are no larger.

    python bench/cutouts.py -o bench/results/cutouts.tsv [--effort 5] [--lambda 1e-3]

Three of the samples, each seen through a disc, a star and a chess board. PSNR is over RGB where a pixel can be seen; so
AVIF is the one that aims at it, 4:4:4, tune=psnr. WebP and ddcodec keep alpha without loss, AVIF does not. One row a
file, written as it comes; those that a table has already of the same versions are not measured again.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image
from rows import Rows

from ddcodec.benchmark.peers import peer_of
from ddcodec.encoder import encode_picture
from ddcodec.metrics import psnr
from ddcodec.options import EncodeOptions

SAMPLES = Path(__file__).parents[1] / "samples"
SIDE = 224
CROPS = {"astronaut.png": (130, 20), "coffee.png": (180, 90), "chelsea.png": (110, 20)}
QUALITIES = range(101)
"""Of the peers: all are tried."""
PEERS = tuple(map(peer_of, ("webp", "avif:psnr")))
COLUMNS = (
    "date",
    "machine",
    "versions",
    "picture",
    "shape",
    "seen",
    "effort",
    "lambda",
    "bytes",
    "psnr",
    "webp_bytes",
    "webp_psnr",
    "avif_bytes",
    "avif_psnr",
)


def shapes():
    """Name -> bool (SIDE, SIDE), where the picture can be seen."""
    y, x = np.mgrid[:SIDE, :SIDE]
    far, turn = np.hypot(x - SIDE // 2, y - SIDE // 2), np.arctan2(y - SIDE // 2, x - SIDE // 2)
    return {"disc": far < 95, "star": far < 75 + 25 * np.cos(5 * turn), "board": (x // 14 + y // 14) % 2 == 0}


def best_below(rgba, most, peer):
    """The size and the visible PSNR of the best file of at most so many bytes, or of the smallest."""
    best = None
    for quality in QUALITIES:
        data = peer.encode(rgba, quality)
        size, seen = len(data), rgba[..., 3] > 0
        if best and size > most:
            continue
        decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
        best = max(best or (0.0, 0), (psnr(rgba[..., :3], decoded[..., :3], where=seen), size))
    return [best[1], f"{best[0]:.3f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--effort", type=int, default=5)
    parser.add_argument("--lambda", dest="lambda_", type=float, default=1e-3)
    options = parser.parse_args()
    versions = "; ".join([peer_of("ddc").versions(), *(f"{peer.name}: {peer.versions()}" for peer in PEERS)])
    rows = Rows(options.output, COLUMNS, COLUMNS[2:8])
    for name, (left, top) in CROPS.items():
        samples = np.asarray(Image.open(SAMPLES / name).convert("RGB").crop((left, top, left + SIDE, top + SIDE)))
        for shape, seen in shapes().items():
            key = versions, Path(name).stem, shape, f"{seen.mean():.2f}", options.effort, f"{options.lambda_:g}"
            if key in rows:
                continue
            alpha = np.where(seen, 255, 0).astype(np.uint8)
            encoded = encode_picture(
                samples, EncodeOptions(effort=options.effort, lambda_=options.lambda_, tune="psnr"), alpha=alpha
            )
            rgba, size = np.dstack([samples * seen[..., None], alpha]), len(encoded.data)
            rows.append(
                [*key, size, f"{encoded.psnr:.3f}", *(each for peer in PEERS for each in best_below(rgba, size, peer))]
            )


if __name__ == "__main__":
    main()

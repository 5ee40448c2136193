"""Noise as a camera makes it: pairs of noisy JPEGs and truths, for `ddcodec bench-restore`.

    python bench/camera_noise.py PHOTOGRAPHS... -o FOLDER
    ddcodec bench-restore FOLDER --task denoise --inputs FOLDER --ending _noisy _truth -e 3 -o rows.tsv

The middle of each photograph becomes linear, loses the gains of its white balance, and is seen through a Bayer mosaic.
Its noise is that of photons and of the sensor: its variance grows with brightness (Foi et al. 2008, "Practical
Poissonian-Gaussian noise modeling and fitting for single-image raw-data"). Then comes what a camera does: bilinear
demosaicking, gains, the curve of sRGB, and a JPEG. The truth goes the same way, without noise and JPEG. Noise of
neighbours goes together then, and is stronger in some shades than in others.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import convolve

from ddcodec.pictures.read import load_picture

WIDTH, HEIGHT = 512, 384
GAINS = (2.0, 1.0, 1.6)
"""Of red, green and blue."""
PHOTONS = (0.0008, 0.0015, 0.003, 0.006)
"""Variance of the noise by photons, for each level of white: one photograph after the other has the next."""
SENSOR = 0.0025
"""Standard deviation of the sensor's own noise, where white is 1."""
QUALITY = 92
GREEN = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
OTHER = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
"""Kernels of bilinear demosaicking."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photographs", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for index, path in enumerate(options.photographs):
        samples = load_picture(path)[..., :3]
        top, left = ((side - wanted) // 2 for side, wanted in zip(samples.shape, (HEIGHT, WIDTH)))
        seen = mosaic(linear(samples[max(0, top) :][:HEIGHT, max(0, left) :][:, :WIDTH] / 255))
        noise = random.normal(0, np.sqrt(PHOTONS[index % len(PHOTONS)] * seen + SENSOR**2))
        Image.fromarray(developed(seen)).save(options.output / f"{path.stem}_truth.png")
        noisy = Image.fromarray(developed(seen + noise))
        noisy.save(options.output / f"{path.stem}_noisy.jpg", quality=QUALITY)


def linear(picture: np.ndarray) -> np.ndarray:
    """The light of samples of sRGB, 0..1 (IEC 61966-2-1)."""
    return np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)


def curved(light: np.ndarray) -> np.ndarray:
    """Undo `linear`."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


def filters(shape: tuple[int, ...]) -> np.ndarray:
    """The colours that the pixels of a mosaic see, (H, W, 3): red, green; green, blue."""
    rows, columns = np.indices(shape[:2]) % 2
    return np.stack([(rows + columns) == 0, (rows + columns) == 1, (rows + columns) == 2], -1)


def mosaic(light: np.ndarray) -> np.ndarray:
    """What a sensor sees of light (H, W, 3): (H, W)."""
    return (light / GAINS * filters(light.shape)).sum(-1)


def developed(seen: np.ndarray) -> np.ndarray:
    """Make uint8 samples (H, W, 3) of what a sensor has seen."""
    planes = [
        convolve(seen * mask, kernel, mode="mirror")
        for mask, kernel in zip(filters(seen.shape).transpose(2, 0, 1), (OTHER, GREEN, OTHER))
    ]
    return np.rint(255 * curved(np.clip(np.stack(planes, -1) * GAINS, 0, 1))).astype(np.uint8)


if __name__ == "__main__":
    main()

"""Estimate a picture's noise from the picture alone, and tell whether what a restoration took away looks like noise."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

SMOOTHEST = 0.05
"""Share of a picture's cells that are taken to be plain, so that all variation in them is noise."""
CELLS = {1: 8, 2: 6, 4: 4, 8: 3}
"""Stride in pixels -> side of a cell, in coefficients, of the pixels that are so far apart."""
CORRELATED = 2.0
"""Factor by which every fourth pixel must show more noise before neighbours are taken to share theirs.

Differences of neighbours hide the noise that they share.
"""
UNSEEN, MOST_UNSEEN = 1.15, 2.5
"""By how much more noise every fourth pixel hides than the growth from every second one tells, and the most growth."""
SATURATES = 1.25
"""Factor by which pixels eight apart may show more noise than pixels four apart.

Noise is shared by near pixels only, so that farther ones show no more of it. Texture has much the same form at all
scales: there every octave has more.
"""
CLIPPED = 2
"""Distance from black and from white, in levels of 0..255, below which noise is cut off."""
CLIPPED_SHARE = 0.02
"""Share of a cell's pixels that may be so near to black or white before the cell is left out."""
LEAST_CELLS = 8
"""Cells below which no noise is estimated."""
SHARED = 1.5
"""Factor by which noise that neighbours share counts as more than it is, for it is cheap to code."""
BUSIER = 4.5
"""Factor by which more may be taken away in the busiest quarter of a picture than in the plainest.

Camera pictures had up to 3.8 and all became better, for bright places have more noise (bench/notebook/restoration.md).
"""
LEAST_PLAIN = 0.25
"""Levels of 0..255 that count at least for the plainest quarter."""


@dataclass(frozen=True)
class Noise:
    """The noise of a picture.

    sigma: standard deviation in levels of 0..255, the root of its mean square over the planes.
    correlated: whether neighbouring pixels share it, as a camera's do after its own processing, and a JPEG's errors.
    grows: whether pixels that are farther apart show still more of it, as they do of texture.
    """

    sigma: float
    correlated: bool
    grows: bool = False

    @property
    def strength(self) -> float:
        """Return the standard deviation of noise of single pixels that costs as many bits, in levels."""
        return SHARED * self.sigma if self.correlated else self.sigma


def estimate_noise(samples: np.ndarray) -> Noise:
    """Estimate the `Noise` of uint8 samples (H, W) or (H, W, planes), H and W at least 1.

    The estimate is the standard deviation of the diagonal Haar coefficients (Donoho & Johnstone 1994) in the plainest
    cells. There is least texture there. The bias of choosing the least is taken out. Cells that touch black or white
    are left out, for clipping removes noise there.

    Neighbours that share their noise hide it from these differences. Where every fourth pixel shows much more, that
    counts, and as much more again as it shows more than every second one (bench/notebook/restoration.md).
    """
    planes = np.atleast_3d(samples).transpose(2, 0, 1).astype(np.float32)
    fine, half, sparse, sparser = (
        _root_mean_square([_plainest(plane, stride, cell) for plane in planes]) for stride, cell in CELLS.items()
    )
    if fine is None or sparse is None or sparse <= max(CORRELATED * fine, 0.5):
        return Noise(next((found for found in (fine, sparse) if found is not None), 0.0), False)
    growth = MOST_UNSEEN if not half else min(MOST_UNSEEN, sparse / half)
    return Noise(UNSEEN * growth * sparse, True, sparser is not None and sparser > SATURATES * sparse)


def _root_mean_square(deviations):
    """The root of the mean square of those that are known, or None."""
    known = [deviation for deviation in deviations if deviation is not None]
    return float(np.sqrt(np.mean(np.square(known)))) if known else None


def _plainest(plane, stride, cell):
    """Estimate the noise in the plainest cells of every `stride`-th pixel, or None where too few cells tell of it."""
    found = []
    for y in range(stride):
        for x in range(stride):
            part = plane[y::stride, x::stride]
            height, width = (side // (2 * cell) for side in part.shape)
            if height and width:
                part = part[: 2 * cell * height, : 2 * cell * width]
                blocks = part.reshape(height, cell, 2, width, cell, 2)
                detail = (
                    blocks[:, :, 0, :, :, 0]
                    - blocks[:, :, 1, :, :, 0]
                    - blocks[:, :, 0, :, :, 1]
                    + blocks[:, :, 1, :, :, 1]
                ) / 2
                cut = ((blocks < CLIPPED) | (blocks > 255 - CLIPPED)).mean((1, 2, 4, 5)) > CLIPPED_SHARE
                found.append(np.sqrt((detail**2).mean((1, 3)))[~cut])
    deviations = np.concatenate(found) if found else np.empty(0)
    if len(deviations) < LEAST_CELLS:
        return None
    # The deviation of n normal numbers has itself a deviation of about 1 / sqrt(2 n).
    bias = 1 + NormalDist().inv_cdf(SMOOTHEST) / np.sqrt(2 * cell * cell)
    return float(np.quantile(deviations, SMOOTHEST) / bias)


def is_noise(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether what was taken from a picture looks like noise.

    Noise is not much stronger where the picture has edges and texture than where it is plain. The residual is the
    *method noise* of Buades, Coll & Morel 2005.

    before, after: uint8 (H, W, planes).
    """
    taken, activity = (
        _deviations(picture) for picture in (before.astype(np.float32) - after, after.astype(np.float32))
    )
    order = np.argsort(activity)
    quarter = max(1, len(order) // 4)
    plain, busy = np.median(taken[order[:quarter]]), np.median(taken[order[-quarter:]])
    return busy <= BUSIER * max(plain, LEAST_PLAIN)


def _deviations(picture):
    """Compute for each cell of a picture the root of the variance, mean over the planes."""
    height, width = (max(1, side // CELLS[1]) for side in picture.shape[:2])
    cells = picture[: height * CELLS[1], : width * CELLS[1]].reshape(
        height, -1, width, min(CELLS[1], picture.shape[1]), picture.shape[2]
    )
    return np.sqrt(cells.var((1, 3)).mean(-1)).ravel()

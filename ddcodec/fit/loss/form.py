"""The form: what an error of a picture costs, as a quadratic form of all errors.

With e the errors of samples in [0, 1], c_0 the errors in the channels of `CHANNELS`, and c_s at level s the means of
2^s x 2^s of them, the distortion is

    D = (m sum e^2 + sum over s, c, p of w_sc(p) c_sc(p)^2 + sum over p of u(p) |edge(p)|^2) / count

where edge(p) is the pair of differences of luma's error to the left and to the upper neighbour of p, and count the
number of samples of the picture. All weights are fixed before the fit. So D stays quadratic, its gradient is linear in
the errors, and D = 1/2 sum of error times gradient.

Pixels that do not count have no error. At the border, and beside such pixels, a cell has less than 4^s pixels that
count. Its mean is over 4^s all the same, and its weight makes up for that.
"""

from dataclasses import dataclass

import numpy as np

from ...picture import halved, peak_of
from .terms import share_of

LEVELS = 3
"""The levels of the eye's form: single pixels, and means of 2x2 and of 4x4."""
BAND = 2 ** (LEVELS - 1)
"""Rows and columns of a cell of the coarsest level. Bands of so many rows share no cell."""
CHANNELS = {
    1: np.ones((1, 1), np.float32),
    3: np.array(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
        np.float32,
    ),
}
"""Number of planes -> matrix from samples to channels: Y, Cb and Cr of ITU-R BT.601, or Y alone."""
BEYOND = 1.0
"""How far beyond black and white a sample costs no more than black or white itself; white is 1.

Farther out it costs more. Otherwise outputs would run away at a black last row, for instance.
A decoder clips them at 16 (FORMAT.md, chapter 6), and its residual layer would see other numbers than the fit's.
"""
AT_ONCE = 64 * BAND
"""Rows of errors that `Form.value` looks at at once."""


@dataclass(frozen=True, eq=False)
class Form:
    """The weights of a distortion.

    squares: m, the weight of squared error.
    levels:  w, for each level from single pixels on float32 (planes, rows, columns); empty for squared error alone.
             Rows and columns are those of the picture, halved s times and rounded up.
    edges:   u, float32 (H, W), or None for squared error alone. It is 0 where p or one of its two neighbours does not
             count.
    """

    squares: float = 1.0
    levels: tuple[np.ndarray, ...] = ()
    edges: np.ndarray | None = None

    @property
    def is_eyes(self) -> bool:
        """Whether this is a form of the eye, and not squared error alone."""
        return bool(self.levels)

    def value(self, errors: np.ndarray) -> float:
        """Compute D of errors, float (planes, H, W), 0 where pixels do not count."""
        planes, rows, _ = errors.shape
        total = 0.0
        for start in range(0, rows, AT_ONCE):
            part = errors[:, start : start + AT_ONCE].astype(float)
            total += self.squares * np.square(part).sum()
            if self.edges is None:
                continue
            own = np.tensordot(CHANNELS[planes], part, 1)
            above = np.tensordot(CHANNELS[planes][:1], errors[:, max(start - 1, 0) : start + 1][:, :1].astype(float), 1)
            luma = np.concatenate([above, own[:1]], 1)[0]
            squares = np.square(np.diff(luma, axis=0))
            squares[:, 1:] += np.square(np.diff(luma[1:], axis=1))
            total += (self.edges[start : start + AT_ONCE] * squares).sum()
            for level, weights in enumerate(self.levels):
                own = halved(own) if level else own
                total += (weights[:, start >> level : (start + AT_ONCE) >> level] * np.square(own)).sum()
        return float(total) / errors.size

    def single_colour(self, samples: np.ndarray, known: np.ndarray | None) -> float:
        """Compute D of a picture that has its mean colour everywhere.

        samples: uint8 or uint16 (H, W, planes). known: bool (H, W), the pixels that count, or None for all.
        """
        peak = peak_of(samples)
        counted = samples.reshape(-1, samples.shape[2]) if known is None else samples[known]
        if not self.is_eyes:
            return share_of(known) * float(np.mean([_variance(plane, peak) for plane in counted.T]))
        errors = (counted.mean(0, dtype=float) - samples).transpose(2, 0, 1).astype(np.float32) / np.float32(peak)
        return self.value(errors if known is None else errors * known)

    def roots(self, rows: np.ndarray, columns: np.ndarray, planes: int) -> np.ndarray:
        """Compute matrices L (n, planes, planes) with |L e|^2 about what the error e of a pixel costs, without edges.

        That is its part of the sum in D, which is not yet divided by the number of samples. The errors are taken to be
        alike in blocks of 2x2, as changes of weights make them. So a pixel's share of a cell is 1, 1/4 and 1/64 at the
        three levels.

        rows, columns: those of the n pixels, (n,).
        """
        channels = CHANNELS[planes]
        matrices = np.broadcast_to(self.squares * np.eye(planes), (len(rows), planes, planes))
        for level, weights in enumerate(self.levels):
            own = weights[:, rows >> level, columns >> level] / np.float32(4.0 ** max(level, 2 * level - 1))
            matrices = matrices + np.einsum("cn,ci,cj->nij", own, channels, channels)
        return np.linalg.cholesky(matrices).transpose(0, 2, 1).astype(np.float32)


SQUARED_ERROR = Form()
"""The form of squared error alone."""


def _variance(samples, peak):
    """Compute the variance of samples as numbers in [0, 1]; by their counts, which is exact however many there are."""
    values = np.arange(peak + 1) / peak
    shares = np.bincount(samples, minlength=len(values)) / samples.size
    return float(shares @ (values - shares @ values) ** 2)

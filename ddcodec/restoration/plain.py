"""Answer a task plainly, without a fit, and tell whether a prior has made something better.

No restoration ends worse than it began. The truth is not there to compare with. What is there is the observed picture,
and how far the plain answer is from it:

- superres: the picture, made small again, must be as near to the observed one as Lanczos interpolation is. For the
  codec `CODEC_FARTHEST` is near enough, since its result is moved to the nearest picture that agrees.
- inpaint: the picture must be much nearer to the known pixels, which the fit has seen, than pull-push is to pixels that
  are hidden from it. Nearly the same is enough, too.
- denoise, dejpeg: the picture must not be farther from the observed one than what is to be removed explains. Where the
  file says what the JPEG leaves open, the picture must be so near to one that the JPEG explains.
"""

import numpy as np

from ..filling import filled
from .enlarging import enlarged, made_small

HIDDEN = 0.02
"""Share of the known pixels that are hidden to see what pull-push makes of them."""
CODEC_NEARER = 4.0
"""Factor, in squares, by which the codec must be nearer to known pixels than pull-push is to hidden ones.

The code has pixels of its own, which tell little of those beside them.
"""
NETWORK_NEARER = 2.0
"""The same factor for a network."""
NEARLY = 1.0
"""Levels of 0..255, root of the mean square, that are near enough in any case."""
CODEC_FARTHEST = 5.0
"""Levels of 0..255, root of the mean square, that a fit of an enlarged picture may be from the observed one when small.

After 10 steps it is 4 to 9, after 120 2 to 4. Lanczos interpolation is 1 to 5 from it.
"""
FARTHEST = {"denoise": 2**0.5, "dejpeg": 0.5**0.5}
"""Task -> how far its picture may be from the observed one, in standard deviations of the observed one's error.

Beyond twice the noise's square, a picture without noise would be nearer to the noisy one. JPEG has taken away more than
can be brought back.
"""


def plain_answer(samples: np.ndarray, factor: int = 1, known: np.ndarray | None = None) -> tuple[np.ndarray, str]:
    """Answer a task without a prior: the picture, (H, W, planes) float32 in 0..1, and the answer's name.

    samples: uint8 (h, w, planes).
    factor: H / h and W / w, of superres.
    known: bool (h, w), of inpaint.
    """
    if factor > 1:
        return enlarged(samples / np.float32(255), factor), "lanczos"
    return (samples if known is None else filled(samples, known)) / np.float32(
        255
    ), "none" if known is None else "pull-push"


def is_better(
    picture: np.ndarray,
    samples: np.ndarray,
    factor: int = 1,
    known: np.ndarray | None = None,
    farthest: float | None = None,
    nearer: float = CODEC_NEARER,
) -> bool:
    """Whether a picture is better than the plain answer, as far as can be told.

    picture: (H, W, planes) in 0..1.
    samples, factor, known: as for `plain_answer`.
    farthest: levels that the picture may be from the samples, of denoise and dejpeg, and of superres by the codec.
    nearer: of inpaint, as `CODEC_NEARER`.
    """
    observed = samples / np.float32(255)
    if factor > 1:
        plain, _ = plain_answer(samples, factor)
        limit = max(_distance(made_small(plain, factor), observed), ((farthest or 0) / 255) ** 2)
        return _distance(made_small(picture, factor), observed) <= limit
    if known is None:
        assert farthest is not None
        return _distance(picture, observed) <= (farthest / 255) ** 2
    # The places themselves are drawn. A map of random numbers may be the one that a mask was made of.
    places = np.flatnonzero(known)
    hidden = np.zeros_like(known)
    hidden.flat[np.random.default_rng(0).choice(places, max(1, round(HIDDEN * len(places))), replace=False)] = True
    guessed = filled(samples, known & ~hidden) / np.float32(255)
    error = _distance(picture[known], observed[known])
    return error <= max((NEARLY / 255) ** 2, _distance(guessed[hidden], observed[hidden]) / nearer)


def _distance(one, other):
    return float(np.square(one - other, dtype=np.float64).mean())

"""The plain answer to each task, which needs no fit, and whether what a prior has made is better: no restoration ends
worse than it began.

The truth is not there to compare with. What is there is the picture that was observed, and how far the plain answer is
from it:

- what superres makes, made small again, must be as near to the picture as Lanczos interpolation is;
- what inpaint makes must be much nearer to the known pixels, which the fit has seen, than pull-push is to such as are
hidden from it, or nearly the same;
- what denoise and dejpeg make must not be farther from the picture than what they are to take away explains.
"""

import numpy as np

from ..filling import filled
from ..surroundings import usual_torch

LOBES = 3
HIDDEN = 0.02
"""Share of the known pixels that are hidden to see what pull-push makes of them."""
CODEC_NEARER, NETWORK_NEARER, NEARLY = 4.0, 2.0, 1.0
"""How many times nearer, in squares: the code has pixels of its own, which tell little of those beside them.

And the levels that are near enough in any case.
"""
FARTHEST = {"denoise": 2**0.5, "dejpeg": 0.5**0.5}
"""By task, in standard deviations of the picture's error: from twice the noise's square on a picture without noise
would be nearer to the noisy one, and JPEG has taken away more than can be brought back.
"""


def plain_answer(samples, factor=1, known=None):
    """What a task would give without a prior, (H, W, planes) float in 0..1, of samples uint8 (h, w, planes), and its
    name. factor: of superres; known: bool (h, w), of inpaint.
    """
    if factor > 1:
        return enlarged(samples / np.float32(255), factor), "lanczos"
    return (samples if known is None else filled(samples, known)) / np.float32(
        255
    ), "none" if known is None else "pull-push"


def is_better(picture, samples, factor=1, known=None, farthest=None, nearer=CODEC_NEARER):
    """Whether a picture (H, W, planes) in 0..1 is better than the plain answer, as far as can be told; the others as
    for `plain_answer`. farthest: levels that it may be from the samples, of denoise and dejpeg; nearer: of inpaint, see
    `CODEC_NEARER`.
    """
    observed = samples / np.float32(255)
    if factor > 1:
        plain, _ = plain_answer(samples, factor)
        return _distance(_made_small(picture, factor), observed) <= _distance(_made_small(plain, factor), observed)
    if known is None:
        return _distance(picture, observed) <= (farthest / 255) ** 2
    # Of the places themselves, not of a map of random numbers, which a mask may have been made of.
    places = np.flatnonzero(known)
    hidden = np.zeros_like(known)
    hidden.flat[np.random.default_rng(0).choice(places, max(1, round(HIDDEN * len(places))), replace=False)] = True
    guessed = filled(samples, known & ~hidden) / np.float32(255)
    error = _distance(picture[known], observed[known])
    return error <= max((NEARLY / 255) ** 2, _distance(guessed[hidden], observed[hidden]) / nearer)


def enlarged(picture, factor):
    """A picture (h, w, planes) `factor` times as large by Lanczos interpolation, samples centred in blocks, within
    0..1; its edges repeat beyond them.
    """
    places = (np.arange(factor) + 0.5) / factor - 0.5
    distance = places[:, None] - np.arange(-LOBES, LOBES + 1)
    kernel = np.where(abs(distance) < LOBES, np.sinc(distance) * np.sinc(distance / LOBES), 0).astype(np.float32)
    kernel /= kernel.sum(1, keepdims=True)
    for axis in (0, 1):
        padded = np.pad(picture, [(LOBES * (a == axis),) * 2 for a in range(3)], "edge")
        seen = np.lib.stride_tricks.sliding_window_view(padded, 2 * LOBES + 1, axis)
        finer = np.moveaxis(seen @ kernel.T, -1, axis + 1)
        shape = list(picture.shape)
        shape[axis] *= factor
        picture = finer.reshape(shape)
    return picture.clip(0, 1)


def _made_small(picture, factor):
    import torch

    from .operators import Downsampler

    with usual_torch(torch):
        planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))
        return Downsampler(factor)(planes[None])[0].numpy().transpose(1, 2, 0)


def _distance(one, other):
    return float(np.square(one - other, dtype=np.float64).mean())

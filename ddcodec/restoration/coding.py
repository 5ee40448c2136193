"""The codec as prior: a picture is fitted at the rate at which noise is not worth its bits, several times, each time
shifted and turned otherwise, and the mean is taken.

What is noise cannot be coded in fewer bits than it has, so that a fit for the least D + lambda R leaves it out: ZS-NCD
(NeurIPS 2025) denoises thus with a small neural compressor. What counts is the mean of the pictures of a fit's steps,
see `fit.loop.run_for_mean`. A fit's own errors depend on where its octaves' grids lie; over several fits they cancel
(cycle spinning, Coifman & Donoho 1995).

Where something is missing, the errors there do not count (as in the Deep Image Prior, section 2): what then comes into
the holes is what costs the fewest bits, given all around them.
"""

from math import log
from time import monotonic

import numpy as np

from ..filling import filled
from ..fit.target import LAMBDAS
from .progress import Fitted, Progress

KNOWN_LAMBDA = 1.25e-4
"""Where nothing is noise and only what is missing is wanted: a fit that sees more detail around a hole knows better
what goes on in it.
"""
SHIFT_MAX = 32


def lambda_for_noise(sigma, planes):
    """The lambda at which a fit leaves out noise of standard deviation `sigma` (levels of 0..255).

    The likelihood of samples y under a picture x is exp(-|y - x|^2 / 2 sigma^2), a code's prior 2^-bits; the most
    probable x has the least |y - x|^2 + 2 ln 2 sigma^2 bits, which is D + lambda R for samples in 0..1, D their mean
    over all planes, if lambda = 2 ln 2 (sigma / 255)^2 / planes.
    """
    return min(LAMBDAS[1], max(LAMBDAS[0], 2 * log(2) * (sigma / 255) ** 2 / planes))


def fit_by_coding(
    samples, lambda_, *, known=None, views, steps, seed=0, seconds=None, threads=None, progress=None, say=None
):
    """The mean of `views` fits of samples (uint8 (H, W, planes)): a `progress.Fitted`. known: bool (H, W), where
    samples count, or None for everywhere.

    progress: called with `progress.Progress`. Raises `ShortMemoryError`.
    """
    from ..fit.fit import FitSettings, fit_samples

    start, random = monotonic(), np.random.default_rng(seed)
    total, taken, done = np.zeros(samples.shape, np.float32), [], 0
    samples = samples if known is None else filled(samples, known)

    def follow(told):
        taken[-1] = told.step
        elapsed, step = monotonic() - start, done * steps + told.step
        if progress and told.phase == "fit":
            left = elapsed / step * (views * steps - step)
            picture = (lambda: total / done) if done else None
            progress(
                Progress(
                    step,
                    views * steps,
                    f"fit {done + 1} of {views}",
                    None,
                    left if seconds is None else min(left, seconds - elapsed),
                    picture,
                )
            )

    while done < views:
        left = None if seconds is None else max(0.0, seconds - (monotonic() - start)) / (views - done)
        if left == 0.0 and done:
            break
        shift = random.integers(0, SHIFT_MAX, 2) if done else (0, 0)
        view = _View(*(int(s) for s in shift), done % 8)
        taken.append(0)
        made = fit_samples(
            view.of(samples),
            lambda_,
            FitSettings(steps, time_limit=left, threads=threads, seed=seed + done),
            known=None if known is None else view.of(known),
            progress=follow,
            say=say if not done else None,
        )
        total += view.back(made)
        done += 1
        if known is not None:
            # The next fit's first guess is of the holes as they are filled by now; nothing else there is looked at.
            samples = np.where(known[..., None], samples, np.rint(255 * total / done).astype(np.uint8))
    return Fitted(total / done, sum(taken), "all fits are done" if sum(taken) == views * steps else "the time is over")


class _View:
    """A picture shifted by rows and columns, which mirrored ones fill, and turned: bit 0 of `turn` mirrors it sideways,
    bit 1 upside down, bit 2 swaps its axes.
    """

    def __init__(self, down, right, turn):
        self._down, self._right, self._turn = down, right, turn

    def of(self, picture):
        turned = np.pad(picture, [(self._down, 0), (self._right, 0)] + [(0, 0)] * (picture.ndim - 2), "symmetric")
        turned = turned[:, ::-1] if self._turn & 1 else turned
        turned = turned[::-1] if self._turn & 2 else turned
        return np.ascontiguousarray(turned.swapaxes(0, 1) if self._turn & 4 else turned)

    def back(self, picture):
        turned = picture.swapaxes(0, 1) if self._turn & 4 else picture
        turned = turned[::-1] if self._turn & 2 else turned
        turned = turned[:, ::-1] if self._turn & 1 else turned
        return turned[self._down :, self._right :]

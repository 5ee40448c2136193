"""The codec as prior: it is fitted to a picture several times, and the mean of the fits is taken.

Each fit sees the picture shifted and turned otherwise, at the rate at which noise is not worth its bits. Noise cannot
be coded in fewer bits than it has. A fit for the least D + lambda R therefore leaves it out. ZS-NCD (NeurIPS 2025)
denoises in this way with a small neural compressor.

A fit gives the mean of the pictures of its steps (`fit.descent.loop.run_for_mean`). The errors of one fit depend on
where the grids of its octaves lie. Over several fits they cancel (cycle spinning, Coifman & Donoho 1995).

Where something is missing, errors do not count (as in the Deep Image Prior, section 2). The holes then get what costs
the fewest bits, given all around them. In the middle of a wide hole that is a grey surface. So it gets patches of the
picture first, and the fits join them to what is around.
"""

from collections.abc import Callable
from math import log
from time import monotonic

import numpy as np

from ..filling import filled
from ..fit.target import LAMBDAS
from .masks import dilated
from .patches import patched
from .progress import Fitted, Progress

KNOWN_LAMBDA = 1.25e-4
"""Lambda where nothing is noise and only what is missing is wanted.

A fit that sees more detail around a hole knows better what goes on in it.
"""
LARGE_LAMBDA = 2e-3
"""Lambda of an enlarged picture, where every step of its aim explains what was observed."""
WIDE, SEAM = 8, 3
"""Pixels from what is known to the middle of a hole that is wide, and of it what a fit fills by itself."""
SHIFT_MAX = 32
"""Rows and columns below which the random shifts of a picture stay."""


def lambda_for_noise(sigma: float, planes: int) -> float:
    """Compute the lambda at which a fit leaves out noise of standard deviation `sigma` (levels of 0..255).

    The likelihood of samples y under a picture x is exp(-|y - x|^2 / 2 sigma^2), and the prior of a code is 2^-bits.
    The most probable x has the least |y - x|^2 + 2 ln 2 sigma^2 bits. With samples in 0..1, and D the mean over
    all planes, this is D + lambda R. There lambda = 2 ln 2 (sigma / 255)^2 / planes. The result is kept within
    `fit.target.LAMBDAS`.
    """
    return min(LAMBDAS[1], max(LAMBDAS[0], 2 * log(2) * (sigma / 255) ** 2 / planes))


def fit_by_coding(
    samples: np.ndarray,
    lambda_: float,
    *,
    known: np.ndarray | None = None,
    views: int,
    steps: int,
    seed: int = 0,
    seconds: float | None = None,
    threads: int | None = None,
    nearest: Callable[[np.ndarray], np.ndarray] | None = None,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Fitted:
    """Fit the codec to samples several times, and take the mean.

    samples: uint8 (H, W, planes).
    known: bool (H, W), where samples count; None for everywhere.
    views: number of fits.
    steps: steps of each fit.
    seconds: for all fits together; None for no limit.
    threads: of the CPU; None for as many as are useful.
    nearest: finds the picture nearest to one, levels as float32 (H, W, planes), that explains the samples. Errors of
    one that explains them then cost nothing.
    progress: called with `progress.Progress`.
    say: called with sentences to the user.

    Raises `ShortMemoryError`.
    """
    from ..fit.fit import FitSettings, fit_samples

    start, random = monotonic(), np.random.default_rng(seed)
    total, done = np.zeros(samples.shape, np.float32), 0
    taken: list[int] = []
    counted = known
    if known is not None:
        middle = _middle_of_wide(known)
        samples, counted = patched(samples, known, seed) if middle.any() else filled(samples, known), known | middle

    def aim(view):
        def of(mean):
            wanted = nearest(255 * view.back(mean))
            return view.of(np.rint(257 * wanted).clip(0, 65535).astype(np.uint16))

        return of if nearest else None

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
        view = _View(int(shift[0]), int(shift[1]), done % 8)
        taken.append(0)
        made = fit_samples(
            view.of(samples),
            lambda_,
            FitSettings(steps, time_limit=left, threads=threads, seed=seed + done),
            known=None if counted is None else view.of(counted),
            progress=follow,
            aim=aim(view),
            say=say if not done else None,
        )
        total += view.back(made)
        done += 1
        if counted is not None:
            # The next fit starts from the holes as they are filled by now. Nothing else there is looked at.
            samples = np.where(counted[..., None], samples, np.rint(255 * total / done).astype(np.uint8))
    return Fitted(total / done, sum(taken), "all fits are done" if sum(taken) == views * steps else "the time is over")


def _middle_of_wide(known):
    """Where holes that are wide are missing, but for their edges: bool (H, W)."""
    deepest = dilated(~known, WIDE)
    return dilated(~known, SEAM) & ~dilated(~deepest, WIDE - SEAM)


class _View:
    """Shifts a picture down and to the right, fills with mirrored rows and columns, and turns it; `back` undoes that.

    turn: bit 0 mirrors the picture sideways, bit 1 upside down, bit 2 swaps its axes.
    """

    def __init__(self, down, right, turn):
        self._down, self._right, self._turn = down, right, turn

    def of(self, picture: np.ndarray) -> np.ndarray:
        """Shift and turn a picture (H, W, ...)."""
        turned = np.pad(picture, [(self._down, 0), (self._right, 0)] + [(0, 0)] * (picture.ndim - 2), "symmetric")
        turned = turned[:, ::-1] if self._turn & 1 else turned
        turned = turned[::-1] if self._turn & 2 else turned
        return np.ascontiguousarray(turned.swapaxes(0, 1) if self._turn & 4 else turned)

    def back(self, picture: np.ndarray) -> np.ndarray:
        """Turn a picture back and cut off what was filled in."""
        turned = picture.swapaxes(0, 1) if self._turn & 4 else picture
        turned = turned[::-1] if self._turn & 2 else turned
        turned = turned[:, ::-1] if self._turn & 1 else turned
        return turned[self._down :, self._right :]

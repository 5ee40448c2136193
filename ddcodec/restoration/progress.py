"""Records of every prior: its result, and its progress on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Fitted:
    """The result of a prior.

    picture: (H, W, planes) float32 in 0..1, the average of outputs.
    steps: steps taken.
    reason: why no more were taken, in words.
    """

    picture: np.ndarray
    steps: int
    reason: str


@dataclass(frozen=True)
class Progress:
    """The progress of a prior.

    step: of `total`.
    what: a few words on what is being done.
    loss: MSE of samples in 0..1, or None.
    seconds_left: infinity if unknown.
    picture: a function that returns the present result, (H, W, planes) in 0..1, or None.
    """

    step: int
    total: int
    what: str
    loss: float | None
    seconds_left: float
    picture: Callable[[], np.ndarray] | None = None

    phase: ClassVar[str] = "restore"

"""What every prior gives, and what it tells on the way."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fitted:
    """picture: (H, W, planes) float32 in 0..1, the average of outputs. steps taken, and why no more."""

    picture: np.ndarray
    steps: int
    reason: str


@dataclass(frozen=True)
class Progress:
    """step of total; what: a few words of what is being done; loss: MSE in 0..1 or None; seconds_left: infinity if
    unknown; picture: a function that gives the present result, (H, W, planes) in 0..1, or None.
    """

    step: int
    total: int
    what: str
    loss: float | None
    seconds_left: float
    picture: object = None

    phase = "restore"

"""What is to be fitted: one record for each picture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...format.arch import Arch


@dataclass(frozen=True)
class Goal:
    """A wish for the file or the picture.

    target: a `fit.target.Target`. measure: a function from a `CodedImage` to what the target is about, bytes or dB.
    """

    target: Any
    measure: Callable[..., float]


@dataclass(frozen=True)
class FitTask:
    """One picture to fit.

    picture: uint8 or uint16 (H, W, planes). lambda_: the MSE (samples in [0, 1]) that one bit per pixel is worth; with
    a goal that at which the fit begins. known: bool (H, W), the pixels whose errors count, or None for all.
    """

    picture: np.ndarray
    arch: Arch
    lambda_: float
    goal: Goal | None = None
    known: np.ndarray | None = None

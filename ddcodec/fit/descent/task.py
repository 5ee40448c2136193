"""The records of what is to be fitted: `FitTask` for a picture, `Goal` for a target."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...format.arch import Arch
from ..loss.form import SQUARED_ERROR, Form


@dataclass(frozen=True)
class Goal:
    """A target for a file, and the function that measures how near the file comes to it.

    target:  a `fit.target.Target`, which this room may not import.
    measure: takes a `CodedImage`. Returns bytes of the file, or the PSNR in dB, whichever the target limits.
    """

    target: Any
    measure: Callable[..., float]


@dataclass(frozen=True)
class FitTask:
    """One picture to fit.

    picture: samples, uint8 or uint16 (H, W, planes).
    arch:    the network, for a picture of that size.
    lambda_: the distortion that one bit per pixel is worth. With a goal the fit only begins there.
    goal:    the target of the file, or None.
    known:   bool (H, W), the pixels whose errors count, or None for all.
    form:    what errors cost.
    """

    picture: np.ndarray
    arch: Arch
    lambda_: float
    goal: Goal | None = None
    known: np.ndarray | None = None
    form: Form = SQUARED_ERROR

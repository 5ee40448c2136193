"""The records of what is to be fitted: `FitTask` for a picture, `Goal` for a target."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...format.arch import Arch
from ..loss.eye import eye_form
from ..loss.form import SQUARED_ERROR, Form


@dataclass(frozen=True)
class Goal:
    """A target for a file, and the function that measures how near the file comes to it.

    target:  a `fit.target.Target`, which this room may not import.
    measure: takes a `CodedImage`. Returns what the target limits: bytes of the file, PSNR in dB, or SSIMULACRA2.
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
    tune:    what errors cost: "eye" or "psnr".
    """

    picture: np.ndarray
    arch: Arch
    lambda_: float
    goal: Goal | None = None
    known: np.ndarray | None = None
    tune: str = "psnr"

    @cached_property
    def form(self) -> Form:
        """The form of the tune for the picture: for the eye about 20 bytes a pixel, made when it is first asked for."""
        return eye_form(self.picture, self.known) if self.tune == "eye" else SQUARED_ERROR

    def at(self, arch: Arch, lambda_: float) -> "FitTask":
        """Make the task of the same picture for another architecture and lambda. Both share one form."""
        other = replace(self, arch=arch, lambda_=lambda_)
        other.__dict__["form"] = self.form
        return other

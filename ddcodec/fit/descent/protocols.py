"""The protocols of engines: what the loop, the freeze and the targets ask of an engine and of its fits.

An engine holds one or more fits of the same architecture, each from its own base, which take every step together. The
loop, the schedule and the freeze rely on these protocols alone. `reference.engine.TorchEngine` is the reference that
all other engines must equal.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from ...format.arch import Arch
from ..loss.form import Form
from ..loss.terms import Loss
from .schedule import Point

Weights = dict[str, np.ndarray]
"""Name of a tensor -> float32 array of its shape."""
Code = dict[int, np.ndarray]
"""Octave -> array (planes, rows, columns)."""


class Fit(Protocol):
    """One fit of an engine: weights and code of a picture.

    lambda_:       the distortion that one bit per pixel is worth. It may be set between steps.
    pixels:        pixels of the picture, H times W.
    known:         bool (H, W), the pixels whose errors count, or None for all.
    share:         the share of the pixels that count, in 0..1.
    form:          what errors cost.
    single_colour: the distortion of the picture's mean colour.
    """

    arch: Arch
    lambda_: float
    pixels: int
    known: np.ndarray | None
    share: float
    form: Form
    single_colour: float

    def evaluate(self) -> Loss:
        """Measure the loss with the code rounded."""

    def picture(self) -> np.ndarray:
        """Return the picture of the rounded code, float32 (H, W, planes) in 0..1."""

    def state(self, code: bool = True) -> Any:
        """Copy the weights and the rounded code for `restore`, or the weights alone.

        A `fold` makes the copy useless.
        """

    def restore(self, state: Any) -> None:
        """Go back to a state."""

    def weights(self) -> Weights:
        """Copy the weights."""

    def rounded_code(self) -> Code:
        """Return the code as the file will hold it, int16."""

    def real_code(self) -> Code:
        """Copy the code before it is rounded, float32 in code units."""


class SearchableFit(Fit, Protocol):
    """A fit that measures its loss with other weights and code, one set after the other, as the freeze needs it."""

    def take(self, weights: Weights, code: Code) -> None:
        """Go on from other weights and code, rounded or not. Tensors and octaves that are missing stay as they are."""

    def distortion(self, weights: Weights) -> tuple[float, float]:
        """Measure distortion and MSE of the rounded code with other weights."""

    def bits(self, weights: Weights) -> float:
        """Measure the bits of the rounded code with other weights."""

    def slopes(self, weights: Weights) -> Weights:
        """Return the derivatives of D + lambda R by weights, at these weights; float64, 0 for fixed tensors."""

    def maps(self, octave: int, anew: bool = False) -> tuple[list[np.ndarray], np.ndarray]:
        """Measure the bits of each integer and the part of each pixel in D, with the code rounded.

        The bits are arrays (rows, columns) of the octave and of all finer ones, coarse to fine. The parts are an array
        (H, W). With `anew` their sum is D. Without, it is by how much D has grown since the last call with `anew`:
        where parts of the picture that share no cell of the form have changed, each has its own growth. An engine may
        take coarser octaves as they were when all was last measured.
        """

    def put_plane(self, octave: int, values: np.ndarray) -> None:
        """Replace an octave's only code plane by integers (rows, columns)."""

    def retarget(self, samples: np.ndarray) -> None:
        """Go on towards other samples, uint8 or uint16 (H, W, planes)."""

    def average(self) -> None:
        """Begin a new mean of the pictures of all steps from now on."""

    def mean(self) -> np.ndarray | None:
        """Return the mean since `average`, float32 (H, W, planes) in 0..1, or None if there was no step."""


FitType = TypeVar("FitType", bound=Fit, covariant=True)


class Engine(Protocol[FitType]):
    """One or more fits that take each step together."""

    @property
    def fits(self) -> Sequence[FitType]:
        """The fits, in the order of their tasks."""

    def warm_up(self) -> None:
        """Do now what the first step would else do on its own, such as capturing a graph."""

    def step(self, point: Point) -> None:
        """Take one step of every fit. On a GPU the call does not wait for the step to end."""

    def losses(self) -> list[Loss]:
        """Return the loss that every fit had before the last step."""

    def fold(self) -> None:
        """End the channel normalisation, if there is one."""

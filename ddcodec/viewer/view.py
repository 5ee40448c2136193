"""Read and measure what a page shows of a `.ddc` file."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..decoder import Limits, decode_file
from ..format.arch import Arch
from ..format.files import read_info
from ..format.render import square_means
from ..metrics import Comparison, compared
from ..picture import Picture

PIXELS_SHOWN = 16_000_000
"""Pixels of a page's picture at most; a page with more could hardly be opened."""


@dataclass(frozen=True)
class View:
    """A file to be shown.

    name: of the file.
    data: its bytes.
    info: what `read_info` tells of it.
    picture: the whole picture.
    finest: the octave whose size is shown; 0 for the whole picture.
    shown: the picture at that size.
    original: the picture that it is held against, or None.
    """

    name: str
    data: bytes
    info: dict[str, Any]
    picture: Picture
    finest: int
    shown: Picture
    original: "Original | None" = None


@dataclass(frozen=True)
class Original:
    """The picture that a file is held against.

    name: of the original.
    shown: the original at the size that is shown.
    found: comparison of the whole pictures.
    """

    name: str
    shown: Picture
    found: Comparison


def read_view(data: bytes, name: str, *, limits: Limits = Limits()) -> View:
    """Make the `View` of the bytes of a `.ddc` file.

    Raises the same errors as `decode_file`.
    """
    picture = decode_file(data, limits=limits)
    info = read_info(data)
    finest = finest_shown(Arch(**info["arch"]))
    shown = decode_file(data, scale=1 << finest, limits=limits, metadata=()) if finest else picture
    # What stands behind the end of a file is no part of it.
    return View(name, data[: info["bytes"]], info, picture, finest, shown)


def against(view: View, original: Picture, name: str) -> View:
    """Hold a `View` against an original, a `Picture` of the shape of the view's."""
    shown = replace(
        original,
        samples=reduced(original.samples, view.finest),
        alpha=None if original.alpha is None else reduced(original.alpha, view.finest),
    )
    return replace(view, original=Original(name, shown, compared(original, view.picture)))


def finest_shown(arch: Arch) -> int:
    """Return the finest octave of at most `PIXELS_SHOWN`, or the coarsest."""
    return next(
        (octave for octave in range(arch.octaves) if np.prod(arch.size(octave)) <= PIXELS_SHOWN), arch.octaves - 1
    )


def reduced(samples: np.ndarray, octave: int) -> np.ndarray:
    """Reduce samples (H, W) or (H, W, C) to the size of an octave: means over squares, rounded."""
    return (
        np.moveaxis(square_means(np.atleast_3d(samples).transpose(2, 0, 1), 1 << octave), 0, -1)
        .reshape(*(-(-side >> octave) for side in samples.shape[:2]), *samples.shape[2:])
        .astype(samples.dtype)
    )

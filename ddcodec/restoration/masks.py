"""Masks of what is missing in a picture: read them, check them, and put known pixels back."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import SourceError, UsageError
from ..picture import Picture
from ..pictures.read import picture_from

GREY_SHARE = 0.05
"""Share of a mask's pixels that may be neither nearly black nor nearly white, as where its edges were smoothed."""
BLACK = 0.25
"""Level, in 0..1, up to which a mask's pixel is nearly black."""
WHITE = 0.75
"""Level, in 0..1, from which a mask's pixel is nearly white."""
WHITES = (1, 255, 65535)
"""Numbers that may be white in a mask of numbers; white is the least that no number exceeds."""
WANTED = (
    "{} must be bool, numbers of 0 to 1 or of 0 to 255, or a picture, of (H, W) pixels; white is known, black is "
    "missing. It is {}."
)
"""Message on what is no mask; its name and what it is instead fill the gaps."""
SWAPPED_LEVELS = 4
"""Levels that a picture has at most where it is taken to be the mask, if the mask has more."""


def known_from(
    mask: Any,
    shape: Sequence[int],
    missing: str = "black",
    *,
    samples: np.ndarray | None = None,
    name: str = "The mask",
) -> np.ndarray:
    """Read from a mask where a picture is known: bool (H, W), True where it is.

    An array is bool, or numbers from 0, black, to white. White is 1 if no number is above it, else 255, or 65535. Of a
    mask with transparency, transparent pixels are missing. Where all seen pixels are black, or all are white,
    transparent pixels are the opposite of those.

    mask: a `Picture`, a Pillow image, or what NumPy makes an array (H, W) or (H, W, 1 to 4) of.
    shape: the picture's, (H, W) or (H, W, C).
    missing: "black" or "white", what marks a missing pixel.
    samples: the picture's, to see whether the two were swapped.
    name: what error messages call the mask.

    Raises `UsageError` for what is no mask at all. Raises `SourceError` for a mask of another size, with many grey
    pixels, or swapped with the picture. It is also raised where nothing is left to fill, or nothing to fill it from.
    """
    if missing not in ("black", "white"):
        raise UsageError(f"What is missing is black or white in a mask, not {missing}.")
    levels = _levels(mask, 0.0 if missing == "black" else 1.0, name)
    if samples is not None and len(np.unique(samples)) <= SWAPPED_LEVELS < len(np.unique(levels)):
        raise SourceError(f"{name} looks like a photograph and the picture like a mask; they seem to be swapped.")
    if levels.shape != tuple(shape[:2]):
        raise SourceError(
            f"{name} has {levels.shape[1]}x{levels.shape[0]} pixels and the picture {shape[1]}x{shape[0]}; they must "
            "have the same size."
        )
    if np.mean((levels > BLACK) & (levels < WHITE)) > GREY_SHARE:
        raise SourceError(
            f"{name} is no mask: more than {100 * GREY_SHARE:.0f} % of its pixels are neither black nor white."
        )
    return checked((levels > 0.5) == (missing == "black"), name)


def _levels(mask, missing, name):
    """Read the levels of a mask, (H, W) in 0..1, white 1.

    missing: the level of what is missing.
    """
    if not isinstance(mask, Picture) and not hasattr(mask, "getbands"):
        try:
            mask = np.asarray(mask)
        except ValueError:
            raise UsageError(WANTED.format(name, "rows of different lengths")) from None
        has_alpha = mask.ndim == 3 and mask.shape[2] in (2, 4) and mask.dtype in (np.uint8, np.uint16)
        if (
            mask.ndim not in (2, 3)
            or mask.dtype.kind not in "buif"
            or mask.ndim == 3
            and mask.shape[2] not in (1, 3)
            and not has_alpha
        ):
            raise UsageError(WANTED.format(name, f"an array of {mask.dtype} and the shape {mask.shape}"))
        if not has_alpha:
            return _of_numbers(mask if mask.ndim == 2 else mask.mean(2), name)
    picture = picture_from(mask)
    levels = _of_numbers(picture.samples if picture.samples.ndim == 2 else picture.samples.mean(2), name)
    if picture.alpha is None:
        return levels
    shown = _of_numbers(picture.alpha, name)
    seen = levels[shown > 0.5]
    if seen.size and (seen.max() < BLACK or seen.min() > WHITE):
        missing = 1.0 if seen.max() < BLACK else 0.0
    return shown * levels + (1 - shown) * missing


def _of_numbers(values, name):
    values = values.astype(np.float32)
    if values.size and not (values.min() >= 0 and values.max() <= WHITES[-1]):
        raise UsageError(WANTED.format(name, f"numbers from {values.min():g} to {values.max():g}"))
    return values / np.float32(next(white for white in WHITES if not values.size or values.max() <= white))


def checked(known: np.ndarray, name: str = "The mask") -> np.ndarray:
    """Return the same, bool (H, W), unless nothing or all of a picture is missing.

    Raises `SourceError`, which calls the mask `name`.
    """
    if known.all():
        raise SourceError(
            f"{name} says that nothing is missing. (Black is missing, white is kept; --mask-missing white swaps them.)"
        )
    if not known.any():
        raise SourceError(f"{name} says that everything is missing; nothing is left to restore it from.")
    return known


def dilated(known: np.ndarray, pixels: int) -> np.ndarray:
    """Return what is still known, bool (H, W), when missing parts grow by some pixels in all eight directions."""
    missing = ~known
    for _ in range(pixels):
        padded = np.pad(missing, 1)
        height, width = missing.shape
        missing = np.any([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    return ~missing


def pasted(picture: np.ndarray, samples: np.ndarray, known: np.ndarray, feather: int = 0) -> np.ndarray:
    """Put the known pixels of a picture back into the restored one: uint8 (H, W, planes).

    picture: the restored one, (H, W, planes) in levels of 0..255.
    samples: the picture as it was, uint8 (H, W, planes).
    known: bool (H, W).
    feather: pixels over which the two are mixed, from a hole's edge inwards into what is known; with 0, known pixels
        are exactly those of `samples`.
    """
    share = _distances(known, feather) / (feather + 1)
    mixed = np.rint(share[..., None] * samples + (1 - share[..., None]) * picture.astype(np.float32))
    return np.where((share >= 1)[..., None], samples, mixed.clip(0, 255)).astype(np.uint8)


def _distances(known, most):
    """Count the steps from each pixel to the nearest missing one: 0 in holes, at most `most` + 1."""
    total = known.astype(np.float32)
    for pixels in range(1, most + 1):
        total += dilated(known, pixels)
    return total

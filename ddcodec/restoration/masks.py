"""What is missing in a picture: masks read and checked, known pixels put back."""

import numpy as np

from ..errors import SourceError, UsageError

GREY_SHARE = 0.05
"""Share of a mask's pixels that may be neither nearly black nor nearly white, as where its edges were smoothed."""
BLACK, WHITE = 64, 191
SWAPPED_LEVELS = 4
"""A picture of no more levels than this is taken to be the mask, if the mask has many."""


def known_from(mask, shape, missing="black", *, samples=None, name="The mask"):
    """bool (H, W), True where a picture of `shape` is known, of the samples of a mask, uint8 (h, w) or (h, w, 3). missing: "black" or "white".

    samples: those of the picture, to see whether the two were swapped. Raises `SourceError` for a mask of another size, one with many grey pixels, one
    that leaves nothing to fill or nothing to fill it from.
    """
    if missing not in ("black", "white"):
        raise UsageError(f"What is missing is black or white in a mask, not {missing}.")
    levels = mask if mask.ndim == 2 else mask.mean(2)
    if samples is not None and len(np.unique(samples)) <= SWAPPED_LEVELS < len(np.unique(levels)):
        raise SourceError(f"{name} looks like a photograph and the picture like a mask; they seem to be swapped.")
    if levels.shape != tuple(shape[:2]):
        raise SourceError(f"{name} has {levels.shape[1]}x{levels.shape[0]} pixels and the picture {shape[1]}x{shape[0]}; they must have the same size.")
    if np.mean((levels > BLACK) & (levels < WHITE)) > GREY_SHARE:
        raise SourceError(f"{name} is no mask: more than {100 * GREY_SHARE:.0f} % of its pixels are neither black nor white.")
    known = (levels > 127) == (missing == "black")
    return checked(known, name)


def checked(known, name="The mask"):
    """The same, or a `SourceError` if nothing or all of a picture is missing."""
    if known.all():
        raise SourceError(f"{name} says that nothing is missing. (Black is missing, white is kept; --mask-missing white swaps them.)")
    if not known.any():
        raise SourceError(f"{name} says that everything is missing; nothing is left to restore it from.")
    return known


def dilated(known, pixels):
    """What is still known when the missing parts grow by some pixels in all eight directions."""
    missing = ~known
    for _ in range(pixels):
        padded = np.pad(missing, 1)
        height, width = missing.shape
        missing = np.any([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    return ~missing


def pasted(picture, samples, known, feather=0):
    """The restored picture (H, W, planes) with its known pixels put back: exactly those of `samples` where feather is 0, else mixed over that many pixels from a hole's edge inwards into what is known."""
    share = _distances(known, feather) / (feather + 1)
    mixed = np.rint(share[..., None] * samples + (1 - share[..., None]) * picture.astype(np.float32))
    return np.where((share >= 1)[..., None], samples, mixed.clip(0, 255)).astype(np.uint8)


def _distances(known, most):
    """Of each pixel from the nearest missing one, in steps, 0 in holes, at most `most` + 1."""
    total = known.astype(np.float32)
    for pixels in range(1, most + 1):
        total += dilated(known, pixels)
    return total

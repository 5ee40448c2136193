"""The set of pictures that code to the same JPEG, and the nearest of them to a picture.

A JPEG tells of each coefficient an interval: half a quantisation step to both sides. All pictures whose coefficients
lie in these intervals are explained equally well (Zakhor 1992, "Iterative procedures for reduction of blocking
effects"). The set is convex, and the picture that was coded is one of it. Fits keep to a narrower one.
"""

import numpy as np

from ..pictures.jpeg import BLOCK, Component, averaged, components_of, decoded
from ..pictures.read import TURNS
from .cosines import transformed, transformed_back

MIDDLE = 128
"""Level that a JPEG takes from samples before it transforms them."""
HALF = 0.25
"""Half the width of an interval, in quantisation steps.

The JPEG allows 0.5. But most coefficients are nearer to the middle, while those of a fit, which is smooth, crowd at the
ends (Park & Lee 1999, "A postprocessing method for reducing quantization effects", narrow quantisation constraint;
bench/notebook/restoration.md).
"""
CHROMA_MEAN = 0.35
"""The same for the means of blocks of chroma: a plain background would else keep faint squares of colour."""
NEARLY = 1.0
"""Levels in the mean by which two decoders of one JPEG may differ."""
YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
"""Luma and chroma of red, green and blue (ITU-T T.871, 7)."""
RGB = np.linalg.inv(YCBCR)
BACK = {6: 8, 8: 6}
"""Orientation -> that which undoes its turn, if it is another."""


class Intervals:
    """The intervals of a JPEG's coefficients, for pictures that are turned as `TURNS` says of an orientation.

    half: half their width, in quantisation steps.
    """

    def __init__(self, components: list[Component], orientation: int = 1, half: float = HALF) -> None:
        self._components = components
        self._upright, self._turned = _turn(orientation), _turn(BACK.get(orientation, orientation))
        self._bounds = []
        for component in components:
            there = _transformed(component.samples - MIDDLE)
            whole = np.zeros(there.shape[:2] + (1, 1), bool)
            whole[: component.samples.shape[0] // BLOCK, : component.samples.shape[1] // BLOCK] = True
            middle = np.rint(there / component.steps)
            width = np.full((BLOCK, BLOCK), half, np.float32)
            width[0, 0] = half if component is components[0] else CHROMA_MEAN * half / HALF
            # A block that the edge cuts hides what its coefficients were, so it is taken as it is.
            self._bounds.append([np.where(whole, (middle + side) * component.steps, there) for side in (-width, width)])

    def nearest(self, picture: np.ndarray) -> np.ndarray:
        """Find the picture nearest to one, (H, W, planes), levels as float32, whose coefficients lie in the intervals.

        Where chroma has fewer pixels, all that belong to one of its samples change alike.
        """
        turned = self._turned(picture)
        rows, columns = turned.shape[:2]
        planes = (turned @ YCBCR.T if len(self._components) == 3 else turned).transpose(2, 0, 1).copy()
        for chroma, (plane, component, bounds) in enumerate(zip(planes, self._components, self._bounds)):
            down, across = component.down, component.across
            even = np.pad(plane, [(0, rows % down), (0, columns % across)], "edge")
            samples = averaged(even, down, across) - (0 if chroma else MIDDLE)
            there = _back(np.clip(_transformed(samples), *bounds))[: samples.shape[0], : samples.shape[1]]
            plane += (there - samples).repeat(down, 0).repeat(across, 1)[:rows, :columns]
        result = planes.transpose(1, 2, 0)
        return np.ascontiguousarray(self._upright(result @ RGB.T if len(planes) == 3 else result), np.float32)


def intervals_of(file: bytes, samples: np.ndarray, half: float = HALF) -> Intervals | None:
    """Read the intervals of a JPEG that was decoded to samples, uint8 (H, W) or (H, W, 3), and turned upright.

    half: half the width of the intervals, in quantisation steps.

    Returns None where the samples are not what the file decodes to, or where it tells no intervals.
    """
    components, picture = components_of(file), decoded(file)
    if components is None or picture.ndim != samples.ndim:
        return None
    for orientation in (1, *TURNS):
        upright = _turn(orientation)(picture)
        if upright.shape == samples.shape and abs(upright.astype(np.int16) - samples).mean() <= NEARLY:
            return Intervals(components, orientation, half)
    return None


def _turn(orientation):
    """Return the function that sets an array of an orientation upright."""
    return TURNS.get(orientation, lambda rows: rows)


def _transformed(plane):
    """Transform a plane, whose edges are repeated, block by block: (rows, columns, `BLOCK`, `BLOCK`)."""
    rows, columns = plane.shape
    plane = np.pad(plane, [(0, -rows % BLOCK), (0, -columns % BLOCK)], "edge")
    blocks = plane.reshape(plane.shape[0] // BLOCK, BLOCK, -1, BLOCK).swapaxes(1, 2)
    return transformed(blocks)


def _back(coefficients):
    """Undo `_transformed`, but for the edges."""
    blocks = transformed_back(coefficients)
    return blocks.swapaxes(1, 2).reshape(blocks.shape[0] * BLOCK, -1)

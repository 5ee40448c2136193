"""The first guess of a code, by a small network in NumPy that was trained for the bases.

It works level by level, fine to coarse. A layer of 3x3 with ReLU sees the picture and the features of the level before,
both averaged over 2x2. A head of 3x3 makes the code of that octave from the layer's features. All bases of a
tune share the layers, and the levels from 3 on share one; each base has its own heads.

N-O Cool-chic has such an encoder and stops there (Blard et al. 2024, "Overfitted image coding at reduced complexity").
"""

from functools import cache
from importlib.resources import files
from itertools import pairwise

import numpy as np

from ...format.arch import BASE_OCTAVES
from ...native.fit_library import SLACK, convolved
from ...native.library import own_library
from ...picture import half_size, peak_of
from ...presets import bases_for, tune_of_base

CHANNELS = (8, 16, 24, 24, 24, 24, 24)
"""The number of features of each level, fine to coarse."""
BAND_PIXELS = 2**17
"""Pixels of a level that are computed at once, so that memory is bounded."""


def first_code(samples: np.ndarray, base: int, octaves: int) -> dict[int, np.ndarray]:
    """Guess the code of a picture: octave -> float32 (1, rows, columns), as y (see `start.CODE_UNITS`).

    samples: uint8 or uint16 (H, W, planes). base: 1 to `BASES`.
    """
    layers, heads = _network(base)
    picture = np.broadcast_to(samples.transpose(2, 0, 1), (3, *samples.shape[:2])) / np.float32(
        peak_of(samples)
    ) - np.float32(0.5)
    features: np.ndarray | None = None
    code = {}
    for level in range(octaves):
        if level:
            picture = half_size(picture)
        inputs = picture if features is None else np.concatenate([features, picture])
        code[level], features = _level(inputs, layers[min(level, len(layers) - 1)], heads[level])
    return code


def _level(inputs, layer, head):
    """Return the code of a level, (1, rows, columns), and its features, halved."""
    rows, columns = inputs.shape[1:]
    step = max(2, BAND_PIXELS // columns // 2 * 2)
    ends = [*range(0, rows, step), rows]
    code, halved = np.empty((1, rows, columns), np.float32), []
    for start, stop in pairwise(ends):
        above, below = min(1, start), min(1, rows - stop)
        features = np.maximum(_convolved(inputs, layer, start - above, stop + below), 0)
        code[:, start:stop] = _convolved(features, head, above, above + stop - start)
        halved.append(half_size(features[:, above : above + stop - start]))
    return code, np.concatenate(halved, axis=1)


def _convolved(planes, layer, start, stop):
    """Apply a 3x3 layer to planes (I, rows, columns) and return rows `start .. stop - 1`, (O, stop - start, columns).

    The outermost pixels are repeated beyond the edges, so that a plain picture has a plain code.
    """
    weight, bias = layer
    rows, columns = planes.shape[1:]
    first, last = max(0, start - 1), min(rows, stop + 1)
    margins = [(0, 0), (first - start + 1, stop + 1 - last), (1, 1 + SLACK)]
    padded = np.pad(planes[:, first:last], margins, mode="edge")
    library = own_library()
    if library:
        return convolved(library, padded, columns, weight, bias)
    total = np.zeros((len(weight), (stop - start) * columns), np.float32)
    for dy in range(3):
        for dx in range(3):
            shifted = padded[:, dy : dy + stop - start, dx : dx + columns]
            total += weight[:, :, dy, dx] @ shifted.reshape(len(planes), -1)
    return (total + bias[:, None]).reshape(len(weight), stop - start, columns)


@cache
def _network(base):
    """Return the layers and the heads for a base, each as (weight (O, I, 3, 3), bias (O,))."""
    tune = tune_of_base(base)
    numbers = np.frombuffer(files("ddcodec.fit.descent").joinpath(f"analysis_{tune}.bin").read_bytes(), "<f2").astype(
        np.float32
    )
    place = 0

    def taken(outputs, inputs):
        nonlocal place
        weight = numbers[place : place + 9 * outputs * inputs].reshape(outputs, inputs, 3, 3)
        place += weight.size + outputs
        return weight, numbers[place - outputs : place]

    layers = [taken(CHANNELS[0], 3)] + [taken(CHANNELS[level], CHANNELS[level - 1] + 3) for level in range(1, 4)]
    heads = {each: [taken(1, channels) for channels in CHANNELS] for each in bases_for(tune)}
    assert place == len(numbers) and len(heads[base]) == BASE_OCTAVES
    return layers, heads[base]

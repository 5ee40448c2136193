"""Pictures of few colours, which need no fit.

The code of the finest octave is the number of each pixel's colour. A network of a few weights turns numbers into
colours. A fit only approaches a picture. In the smallest pictures the weights that come near enough cost more than all
else. These files are exact, and shorter.
"""

from itertools import product

import numpy as np

from ..format.arch import EXPONENT_MAX, FEATURES, SYNTHESIS_BITS, Arch
from ..format.coded import CodedImage
from ..format.tables import SCALES, STEPS_PER_OCTAVE, UNIT_SCALE, row
from ..format.weights import FIRST_EXPONENT, Weights
from ..format.wire import integer_bits
from ..picture import peak_of

MOST_COLOURS = 8
"""The most colours of a picture that is made without a fit."""
MOST_PIXELS = 1024
"""The most pixels of such a picture, if it has more than one colour.

In larger ones a colour depends on more than the two neighbours that the network here sees, and a fit learns that.
"""
OCTAVES = 4
"""Octaves of the network: as many as `decode --scale 1/8` needs."""
CODE_GAIN = 16
"""Weight of the code in its channel, which then holds the number of the colour."""
MOST_EXPONENT = EXPONENT_MAX - 2
"""The greatest exponent of the colours' weights: a change from one slope to the next is between -2 and 2."""
NEIGHBOURS_SEEN = 2
"""Neighbours that the context model sees: the left and the upper one."""
CONTEXT_EXPONENT = 4
"""Exponent of the weights and biases of the context model's last layer."""
LEAST_LOG_SCALE = -6
"""log2 of a Laplace scale below the least that has a table, with which zeros cost next to nothing."""
PARTS = (0, 8, 16)
"""Weights of a neighbour that a prediction may have, in units of 2^-`CONTEXT_EXPONENT`."""


def colours_of(picture: np.ndarray, known: np.ndarray | None = None) -> np.ndarray | None:
    """Return the colours of a picture that can be made without a fit: (n, planes), by brightness. Else return None.

    picture: uint8 or uint16 (H, W, planes). known: bool (H, W), the pixels that count, or None for all.
    """
    counted = picture.reshape(-1, picture.shape[2]) if known is None else picture[known]
    if (counted == counted[0]).all():
        return counted[:1]
    if known is not None and known.size > MOST_PIXELS or len(counted) > MOST_PIXELS:
        return None
    colours = np.unique(counted, axis=0)
    return colours[np.argsort(colours.sum(1), kind="stable")] if len(colours) <= MOST_COLOURS else None


def made_of(picture: np.ndarray, colours: np.ndarray, known: np.ndarray | None = None) -> CodedImage:
    """Make the `CodedImage` of a picture and its `colours_of`, without checksum.

    Samples of 8 bits are exact. Those of 16 bits are up to 4 of 65,535 levels off, by the steps of the weights.

    picture: uint8 or uint16 (H, W, planes). known: bool (H, W), the pixels that count, or None for all.
    """
    height, width, planes = picture.shape
    arch = Arch(
        width=width,
        height=height,
        planes=planes,
        depth=picture.dtype.itemsize - 1,
        octaves=OCTAVES,
        coarsest_planes=1,
        finer_planes=1,
        finest_channels=1,
        channels=1,
        linear=1,
        top_channels=max(0, len(colours) - 2),
        taps=1,
        neighbours=NEIGHBOURS_SEEN,
        context_channels=1,
    )
    code = {octave: np.zeros((1, *arch.size(octave)), np.int16) for octave in arch.coded_octaves}
    code[0][0] = _numbers(picture, colours, known)
    tensors = _tensors_of_colours(colours) | _tensors_of_context(code[0][0].astype(int), len(colours))
    return CodedImage(arch, _complete(arch, tensors), code)


def _complete(arch, tensors):
    """Return all tensors of the network, in coding order.

    Given tensors get steps as large as their values allow. The others are zeros in the steps of the tensor before,
    which cost least. The bias of the output has no finer steps than sums with its weights.
    """
    result, exponent = {}, FIRST_EXPONENT
    least = {"output.weight": max(0, tensors["output.bias"].exponent - SYNTHESIS_BITS)}
    for name, shape in arch.tensors():
        if name in tensors:
            exponent, values = tensors[name]
            while exponent > least.get(name, 0) and not (values % 2).any():
                exponent, values = exponent - 1, values // 2
        else:
            exponent, values = max(exponent, least.get(name, 0)), np.zeros(shape, np.int64)
        result[name] = Weights(exponent, values)
    return result


def _numbers(picture, colours, known):
    """Return the number of each pixel's colour, int16 (H, W), 0 where the pixel does not count."""
    numbers = np.zeros(picture.shape[:2], np.int16)
    for number, colour in enumerate(colours[1:], 1):
        numbers[(picture == colour).all(2)] = number
    return numbers if known is None else np.where(known, numbers, 0)


def _tensors_of_colours(colours):
    """Return the tensors that turn numbers into colours, which are the corners of a line.

    The line's start is the bias, and its first slope is the weight of the channel. A ReLU at each further corner adds
    the change of the slope.
    """
    peak = peak_of(colours)
    for exponent in range(MOST_EXPONENT + 1):
        line = np.rint(colours * (2.0**exponent / peak)).astype(np.int64)
        if (np.floor(line * (peak / 2.0**exponent) + 0.5) == colours).all():
            break
    slopes = np.diff(line, axis=0)
    changes = np.diff(slopes, axis=0, prepend=np.zeros_like(slopes[:1]))
    tensors = {"output.bias": Weights(exponent, line[0])}
    if len(colours) > 1:
        tensors |= {
            "code.0": Weights(0, np.full((1, 1), CODE_GAIN)),
            "output.weight": Weights(exponent, np.ascontiguousarray(changes.T)),
        }
    if len(colours) > 2:
        tensors |= {
            "top.weight": Weights(0, np.ones((len(colours) - 2, 1), np.int64)),
            "top.bias": Weights(0, -np.arange(1, len(colours) - 1)),
        }
    return tensors


def _tensors_of_context(numbers, colours):
    """Return the tensors of the linear prediction of the finest octave's code with the fewest bits.

    All other octaves get predictions of zeros.
    """
    whole = 2**CONTEXT_EXPONENT
    weights, biases = (
        np.zeros((2, 1 + NEIGHBOURS_SEEN + FEATURES + 1), np.int64),
        np.full((OCTAVES, 2), (0, LEAST_LOG_SCALE * whole)),
    )
    if colours > 1:
        weights[0, 1:3], biases[-1] = _prediction(numbers, whole)
    return {"context.3.weight": Weights(CONTEXT_EXPONENT, weights), "context.3.bias": Weights(CONTEXT_EXPONENT, biases)}


def _prediction(numbers, whole):
    """Search the prediction with the fewest bits: (left, above), (bias, log2 of the scale) in units of 1 / whole.

    numbers: (H, W), those of the colours.
    """
    padded = np.pad(numbers, ((1, 0), (1, 0)))
    scales, best, least = np.arange(SCALES)[:, None], None, np.inf
    for left, above in product(PARTS, PARTS):
        if left + above > whole:
            continue
        seen = left * padded[1:, :-1] + above * padded[:-1, 1:]
        for bias in {0, round((numbers * whole - seen).mean()), round(np.median(numbers)) * whole}:
            nearest = (seen + bias + whole // 2) // whole
            pairs, counts = np.unique(
                np.stack([(seen + bias - whole * nearest).ravel(), (numbers - nearest).ravel()]),
                axis=1,
                return_counts=True,
            )
            bits = integer_bits(row(scales, pairs[0]), pairs[1]) @ counts
            if bits.min() < least:
                least, best = (
                    bits.min(),
                    ((left, above), (bias, round((int(bits.argmin()) - UNIT_SCALE) / STEPS_PER_OCTAVE * whole))),
                )
    return best

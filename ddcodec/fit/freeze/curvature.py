"""How D + lambda R bends where a fit has ended: its second derivatives by the weights, from a sample of pixels and of
integers.

Of the layers behind the upsampled planes, and of the context model, in the approximation of Gauss and Newton: products
of first derivatives. What two weights do to the picture is alike far more often than not, so that the error of one can
be made good by others; `rounding` uses that.
"""

from typing import NamedTuple

import numpy as np

from ...format.arch import CODE_STEP, CONTEXT_UNIT, FEATURES, NEIGHBOURS, SQUARE, SYNTHESIS_UNIT
from ...format.network import Coarser, double, handed_down, hidden_planes
from ...format.ops_int import IntegerOps
from ...format.ops_int import numbers as exact_numbers
from ...format.weights import resolved
from ..loss.terms import GREATEST_SCALE, LEAST_SCALE, NAT, share_of

OUTER = ("top.weight", "top.bias", "output.weight", "output.bias", "residual.weight")
CONTEXT = (
    "context.1.weight",
    "context.1.bias",
    "context.2.weight",
    "context.2.bias",
    "context.3.weight",
    "context.3.bias",
)
"""The layers; before them the model has `context.features.l` for each octave that sees coarser ones."""
MOST_BANDS = 16
"""Of a picture or plane are looked at."""
AT_ONCE = 2048
"""Pixels or integers whose slopes are in memory."""
NEAREST = 16
"""So many integers on either side of the mean are looked at, which are nearly all where the scale is at most `WIDE`;
above, the distribution is as good as continuous.
"""
WIDE = 2.0


class Curvature(NamedTuple):
    """names, sizes: of tensors, whose weights stand one tensor after the other in the rows and columns of `matrix`,
    float64: the second derivatives of D + lambda R. samples: it was told by so many.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    matrix: np.ndarray
    samples: int


def is_known(arch):
    """Whether there is a curvature for fits of this network: whose planes reach the layers at the end as they are."""
    return arch.passes and arch.top_channels > 0


def curvature_of_distortion(arch, tensors, code, pixels, random, known=None):
    """The `Curvature` by the layers behind the upsampled planes. tensors: name -> `Weights`. code: octave -> (planes,
    rows, columns), integers. pixels: so many are looked at. known: bool (H, W), those that count, or None for all.
    """
    ops, numbers = IntegerOps(), exact_numbers(resolved(arch, tensors))

    def code_of(octave, window):
        return code[octave][:, window.start : window.stop].astype(float)

    def slopes(window, rows, columns):
        windows = arch.windows(*window)
        planes = hidden_planes(ops, arch, numbers, code_of, windows) / SYNTHESIS_UNIT
        near = [np.clip(rows + dy, 0, arch.height - 1) - windows[0].start for dy in (-1, 0, 1)]
        beside = [np.clip(columns + dx, 0, arch.width - 1) for dx in (-1, 0, 1)]
        for part in _parts(len(rows)):
            around = np.stack([planes[:, y[part], x[part]].T for y in near for x in beside], 1)
            yield _output_slopes(arch, numbers, around.astype(np.float32))

    matrix, count = _gram(arch, 0, pixels, random, slopes, known)
    return Curvature(OUTER, _sizes(numbers, OUTER), share_of(known) * 2 / (count * arch.planes) * matrix, count)


def _gram(arch, octave, count, random, slopes, known=None):
    """The sum of products of `slopes(window, rows, columns)`, which yields some lines at a time, for about `count`
    places of an octave that are known, if not all are, and how many these were.
    """
    bands = [band for band in arch.bands(octave) if known is None or known[slice(*band)].any()]
    if len(bands) > MOST_BANDS:
        bands = [bands[k] for k in np.sort(random.choice(len(bands), MOST_BANDS, replace=False))]
    columns = arch.size(octave)[1]
    inside = [
        np.arange((band.stop - band.start) * columns) if known is None else np.flatnonzero(known[slice(*band)])
        for band in bands
    ]
    share, matrix, total, held = min(1.0, count / sum(map(len, inside))), 0.0, 0, []
    for band, own in zip(bands, inside):
        places = np.sort(random.choice(own, max(1, round(share * len(own))), replace=False))
        total += len(places)
        for lines in slopes(band, band.start + places // columns, places % columns):
            held.append(lines)
            # A sum of few products costs more than they do.
            if sum(map(len, held)) >= AT_ONCE:
                matrix, held = matrix + _squared(held), []
    if held:
        matrix = matrix + _squared(held)
    return matrix.astype(float), total


def _squared(parts):
    lines = np.concatenate(parts)
    return lines.T @ lines


def _sizes(numbers, names):
    return tuple(numbers[name].size for name in names)


def _parts(count):
    return [slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE)]


def _output_slopes(arch, numbers, planes):
    """The derivatives of every output of pixels by the weights `OUTER`: float32 (pixels planes, weights). planes:
    (pixels, SQUARE, channels), of the pixels around and of each itself.
    """
    weight, top_weight = (numbers[name].astype(np.float32) for name in ("output.weight", "top.weight"))
    bias, top_bias = ((numbers[name] / SYNTHESIS_UNIT).astype(np.float32) for name in ("output.bias", "top.bias"))
    # What the output of each place adds to the pixel's own, (planes of the pixel, places, planes of the place).
    mixed = numbers["residual.weight"].reshape(arch.planes, SQUARE, arch.planes).astype(np.float32)
    mixed[:, SQUARE // 2] += np.eye(arch.planes, dtype=np.float32)
    pixels, channels = len(planes), arch.finest_channels
    top = planes @ top_weight.T + top_bias
    active = (top > 0).astype(np.float32)
    one = np.ones((pixels, SQUARE, 1), np.float32)
    held = np.concatenate([planes, top * active, one], 2)
    outputs = held[:, :, :-1] @ weight.T + bias
    by_plane = []
    for plane, own in enumerate(mixed):
        gains = active * (own @ weight[:, channels:])
        by_top = gains.transpose(0, 2, 1) @ np.concatenate([planes, one], 2)
        by_output = own.T @ held
        around = np.zeros((pixels, arch.planes, SQUARE * arch.planes), np.float32)
        around[:, plane] = outputs.reshape(pixels, -1)
        parts = by_top[:, :, :-1], by_top[:, :, -1], by_output[:, :, :-1], by_output[:, :, -1], around
        by_plane.append(np.concatenate([part.reshape(pixels, -1) for part in parts], 1))
    return np.concatenate(by_plane)


def curvature_of_bits(arch, tensors, code, integers, random, price):
    """The `Curvature` by the context model; price: of a bit. integers: so many of each plane are looked at; other
    arguments as for `curvature_of_distortion`.

    It is the information of Fisher, expected of all integers that the model holds possible: of those alone that the
    code has, few tell by how much it may be mistaken about the rare ones (Kunstner et al. 2019, "Limitations of the
    empirical Fisher approximation").
    """
    exact = exact_numbers(resolved(arch, tensors))
    names = tuple(name for name, _ in arch.tensors() if name.startswith("context"))
    numbers = {name: (exact[name] / (CONTEXT_UNIT if "bias" in name else 1)).astype(np.float32) for name in names}
    total, samples, coarser = 0.0, 0, Coarser(IntegerOps(), arch)
    for octave in arch.coded_octaves:
        planes = code[octave].astype(np.float32)
        matrix, count = _gram(
            arch, octave, integers, random, _slopes_of_plane(arch, numbers, octave, planes[0], coarser.planes)
        )
        total, samples = total + matrix * (planes.size / count), samples + count
        coarser.add(octave, planes)
    return Curvature(names, _sizes(numbers, names), price / NAT * total, samples)


def _slopes_of_plane(arch, numbers, octave, plane, seen):
    ops, above, beside = IntegerOps(), -min(dy for _, dy in NEIGHBOURS), max(abs(dx) for dx, _ in NEIGHBOURS)
    field = np.pad(plane, ((above, 0), (beside, beside)))
    handed = None if seen is None else handed_down(ops, numbers, octave, seen)
    unit = np.float32(CODE_STEP / CONTEXT_UNIT)

    def slopes(window, rows, columns):
        features, raised = np.zeros((FEATURES + 1, len(rows)), np.float32), np.zeros((0, len(rows)), np.float32)
        if seen is not None:
            features, raised = (
                double(ops, arch, octave, planes, window)[:, rows - window.start, columns] / CONTEXT_UNIT
                for planes in (handed, seen)
            )
        for part in _parts(len(rows)):
            y, x = rows[part], columns[part]
            around = [field[y + above + dy, x + beside + dx] * unit for dx, dy in NEIGHBOURS[: arch.neighbours]]
            inputs = np.concatenate([np.stack(around), features[:, part]])
            yield from _bit_slopes(arch, numbers, inputs.T, raised[:, part].T, octave)

    return slopes


def _bit_slopes(arch, numbers, inputs, raised, octave):
    """Twice float32 (integers, weights), whose products of lines sum up to the information of each integer about the
    weights of the context model. raised: (integers, seen), of which the features are made.
    """
    first, first_bias, second, second_bias, last, last_bias = (numbers[name] for name in CONTEXT)
    index = arch.coded_octaves.index(octave)
    hidden = np.maximum(inputs @ first.T + first_bias, 0)
    deeper = np.maximum(hidden @ second.T + second_bias, 0)
    held = np.concatenate([deeper, inputs], 1)
    mean, log_scale = (held @ last.T + last_bias[index]).T
    for by_last in _information(mean, log_scale):
        by_second = (by_last @ last[:, : len(second)]) * (deeper > 0)
        by_first = (by_second @ second) * (hidden > 0)
        by_features = (by_first @ first + by_last @ last[:, len(second) :])[
            :, arch.neighbours : arch.neighbours + FEATURES
        ]
        biases = np.zeros((len(inputs), *last_bias.shape), np.float32)
        biases[:, index] = by_last
        parts = [
            by_first[:, :, None] * inputs[:, None],
            by_first,
            by_second[:, :, None] * hidden[:, None],
            by_second,
            by_last[:, :, None] * held[:, None],
            biases,
        ]
        for other in arch.coded_octaves:
            if other == octave:
                parts.append(by_features[:, :, None] * raised[:, None])
            else:
                parts.append(np.zeros((len(inputs), FEATURES * len(arch.seen(other))), np.float32))
        yield np.concatenate([part.reshape(len(inputs), -1) for part in parts], 1)


def _information(mean, log_scale):
    """Two arrays float32 (integers, 2), whose products of lines sum up to what integers, discretised Laplace, are
    expected to tell of mean and log2 of the scale, (2, 2) for each: its triangular factor.
    """
    log_scale = np.clip(log_scale, LEAST_SCALE, GREATEST_SCALE)
    inverse = np.exp2(-log_scale)
    chances, by_mean, by_scale = _laplace(
        np.rint(mean) - mean + np.arange(-NEAREST, NEAREST + 1, dtype=np.float32)[:, None], log_scale
    )
    is_wide = log_scale > np.log2(WIDE)
    of_mean = np.where(is_wide, inverse**2, (chances * by_mean**2).sum(0))
    of_both = np.where(is_wide, 0, (chances * by_mean * by_scale).sum(0))
    of_scale = np.where(is_wide, NAT**2, (chances * by_scale**2).sum(0))
    root = np.sqrt(np.maximum(of_mean, np.finfo(np.float32).tiny))
    mixed = of_both / root
    rest = np.sqrt(np.maximum(of_scale - mixed**2, 0))
    return np.stack([root, mixed], 1).astype(np.float32), np.stack([np.zeros_like(rest), rest], 1).astype(np.float32)


def _laplace(differences, log_scale):
    """The chances of integers, discretised Laplace, at differences from the mean, and the derivatives of -log of these
    by mean and by log2 of the scale.
    """
    inverse, distance = np.exp2(-log_scale), abs(differences)
    inside = np.minimum(distance, 0.5)
    near, far = (0.5 - inside) * inverse, (0.5 + inside) * inverse
    below, above = 0.5 * np.exp(-far), 0.5 * np.exp(-near)
    share = np.where(distance > 0.5, -0.5 * np.expm1(-far), 1 - below - above)
    by_mean = -(above - below) * inverse / share * np.sign(differences)
    by_scale = (near * above + far * below) / share - (distance - inside) * inverse
    return share * np.exp(-(distance - inside) * inverse), by_mean, by_scale * NAT

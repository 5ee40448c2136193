"""The curvature: second derivatives of D + lambda R by the weights, at the end of a fit.

They are known for the layers behind the upsampled planes and for the context model. A sample of pixels and of integers
gives them, in the approximation of Gauss and Newton: as products of first derivatives. Two weights mostly do nearly the
same to the picture. So others can make the error of one good, which `rounding` uses.
"""

from typing import Any, NamedTuple

import numpy as np

from ...format.arch import CODE_STEP, CONTEXT_UNIT, FEATURES, NEIGHBOURS, SQUARE, Arch
from ...format.network import Coarser, double, handed_down, hidden_planes
from ...format.ops_int import IntegerOps
from ...format.ops_int import numbers as exact_numbers
from ...format.weights import Weights, resolved
from ..loss.form import SQUARED_ERROR, Form
from ..loss.terms import GREATEST_SCALE, LEAST_SCALE, NAT, share_of
from .headroom import with_headroom

OUTER = ("top.weight", "top.bias", "output.weight", "output.bias", "residual.weight")
"""The tensors of the layers behind the upsampled planes."""
CONTEXT = (
    "context.1.weight",
    "context.1.bias",
    "context.2.weight",
    "context.2.bias",
    "context.3.weight",
    "context.3.bias",
)
"""The tensors of the context model's layers. `context.features.l` stands before them, for each octave l that sees
coarser ones.
"""
MOST_BANDS = 16
"""The most bands of a picture or plane from which the sample is drawn."""
AT_ONCE = 2048
"""Pixels or integers whose slopes are in memory at once."""
NEAREST = 16
"""Integers on either side of the mean over which an expectation is summed: nearly all at scales up to `WIDE`."""
WIDE = 2.0
"""The Laplace scale above which the distribution of an integer is taken to be continuous."""


class Curvature(NamedTuple):
    """The second derivatives of D + lambda R by the weights of some tensors.

    names:   the tensors.
    sizes:   the number of weights of each.
    matrix:  float64 (weights, weights), the tensors one after the other in both its rows and columns.
    samples: the number of pixels or integers from which it was computed.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    matrix: np.ndarray
    samples: int


def is_known(arch: Arch) -> bool:
    """Whether the curvature of this network can be computed.

    Its planes must reach the layers at the end as they are.
    """
    return arch.passes and arch.top_channels > 0


def curvature_of_distortion(
    arch: Arch,
    tensors: dict[str, Weights],
    code: dict[int, np.ndarray],
    pixels: int,
    random: np.random.Generator,
    known: np.ndarray | None = None,
    form: Form = SQUARED_ERROR,
) -> Curvature:
    """Compute the `Curvature` of D by the weights of `OUTER`, the layers behind the upsampled planes.

    tensors: name -> `Weights`, differences from the base.
    code:    octave -> integers (planes, rows, columns).
    pixels:  about the number of pixels in the sample.
    known:   bool (H, W), the pixels that count, or None for all.
    form:    what errors cost.
    """
    arch = with_headroom(arch, code)
    ops, numbers = IntegerOps(arch.headroom), exact_numbers(arch, resolved(arch, tensors))

    def code_of(octave, window):
        return code[octave][:, window.start : window.stop].astype(float)

    def slopes(window, rows, columns):
        windows = arch.windows(*window)
        planes = hidden_planes(ops, arch, numbers, code_of, windows) / arch.synthesis_unit
        near = [np.clip(rows + dy, 0, arch.height - 1) - windows[0].start for dy in (-1, 0, 1)]
        beside = [np.clip(columns + dx, 0, arch.width - 1) for dx in (-1, 0, 1)]
        for part in _parts(len(rows)):
            around = np.stack([planes[:, y[part], x[part]].T for y in near for x in beside], 1)
            lines = _output_slopes(arch, numbers, around.astype(np.float32))
            if form.is_eyes:
                roots = form.roots(rows[part], columns[part], arch.planes)
                lines = np.einsum("nij,jnw->inw", roots, lines.reshape(arch.planes, len(roots), -1), optimize=True)
            yield lines.reshape(-1, lines.shape[-1])

    matrix, count = _gram(arch, 0, pixels, random, slopes, known)
    return Curvature(OUTER, _sizes(numbers, OUTER), share_of(known) * 2 / (count * arch.planes) * matrix, count)


def _gram(arch, octave, count, random, slopes, known=None):
    """Return the sum of the products of slopes at a sample of an octave's places, and the number of places.

    count:  about the number of places to draw.
    slopes: called with a window and the rows and columns of places in it. Yields arrays (lines, weights).
    known:  bool (rows, columns), the places that may be drawn, or None for all.
    """
    bands = [band for band in arch.bands(octave) if known is None or known[slice(*band)].any()]
    if len(bands) > MOST_BANDS:
        bands = [bands[k] for k in np.sort(random.choice(len(bands), MOST_BANDS, replace=False))]
    columns = arch.size(octave)[1]
    inside = [
        np.arange((band.stop - band.start) * columns) if known is None else np.flatnonzero(known[slice(*band)])
        for band in bands
    ]
    share, total, held = min(1.0, count / sum(map(len, inside))), 0, []
    matrix: Any = 0.0
    for band, own in zip(bands, inside):
        places = np.sort(random.choice(own, max(1, round(share * len(own))), replace=False))
        total += len(places)
        for lines in slopes(band, band.start + places // columns, places % columns):
            held.append(lines)
            # Adding up a matrix of few products costs more than the products.
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
    """Return the derivatives of each sample of some pixels by the weights of `OUTER`, float32 (planes pixels, weights).

    planes: (pixels, SQUARE, channels), the channels at each pixel and at those around it.
    """
    weight, top_weight = (numbers[name].astype(np.float32) for name in ("output.weight", "top.weight"))
    bias, top_bias = ((numbers[name] / arch.synthesis_unit).astype(np.float32) for name in ("output.bias", "top.bias"))
    # The share of each place's output in the pixel: (planes of the pixel, places, planes of the place).
    mixed = numbers["residual.weight"].reshape(arch.planes, SQUARE, arch.planes).astype(np.float32)
    mixed[:, SQUARE // 2] += np.eye(arch.planes, dtype=np.float32)
    pixels, channels = len(planes), arch.channels_of(0)
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


def curvature_of_bits(
    arch: Arch,
    tensors: dict[str, Weights],
    code: dict[int, np.ndarray],
    integers: int,
    random: np.random.Generator,
    price: float,
) -> Curvature:
    """Compute the `Curvature` of lambda R by the weights of the context model.

    It is Fisher's information, an expectation over all integers that the model holds possible. The integers of the code
    alone would not do: few of them tell how wrong the model may be about rare ones (Kunstner et al. 2019, "Limitations
    of the empirical Fisher approximation"; bench/notebook/freezing.md).

    integers: about the number of integers of each plane in the sample.
    price:    what a bit costs, lambda / pixels.

    The other arguments are those of `curvature_of_distortion`.
    """
    exact = exact_numbers(arch, resolved(arch, tensors))
    names = tuple(name for name, _ in arch.tensors() if name.startswith("context"))
    numbers = {name: (exact[name] / (CONTEXT_UNIT if "bias" in name else 1)).astype(np.float32) for name in names}
    total: Any = 0.0
    samples, coarser = 0, Coarser(IntegerOps(), arch)
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
    """Yield two arrays float32 (integers, weights): the sum of their lines' products is the information.

    It is the information of the integers about the weights of the context model.

    inputs: (integers, inputs of the context model). raised: (integers, seen planes), of which the features are made.
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
    """Return Fisher's information of integers about their mean and log2 of their scale, as a triangular factor.

    The integers have a discretised Laplace distribution. The information of each is a matrix (2, 2), the sum of the
    products of its lines in the two arrays, float32 (integers, 2).
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
    """Return the probabilities of integers at differences from the mean, and two derivatives.

    The distribution is a discretised Laplace. The derivatives are those of -log of the probability, by the mean and by
    log2 of the scale.
    """
    inverse, distance = np.exp2(-log_scale), abs(differences)
    inside = np.minimum(distance, 0.5)
    near, far = (0.5 - inside) * inverse, (0.5 + inside) * inverse
    below, above = 0.5 * np.exp(-far), 0.5 * np.exp(-near)
    share = np.where(distance > 0.5, -0.5 * np.expm1(-far), 1 - below - above)
    by_mean = -(above - below) * inverse / share * np.sign(differences)
    by_scale = (near * above + far * below) / share - (distance - inside) * inverse
    return share * np.exp(-(distance - inside) * inverse), by_mean, by_scale * NAT

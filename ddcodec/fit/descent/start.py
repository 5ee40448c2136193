"""The start of a fit: weights and code, drawn at random or given by a base."""

from math import log, log2, sqrt

import numpy as np

from ...format.arch import CODE_STEP, DETAIL_PLANES, SQUARE, SYNTHESIS_UNIT, Arch
from ...format.bases import FRACTION_BITS, base_values
from ...picture import peak_of
from ...presets import FINE_PIXELS, bases_for, tune_of_base
from .analysis import first_code

CODE_UNITS = SYNTHESIS_UNIT // CODE_STEP
"""Code units in one unit of y. The fit moves y, and the code is round(16 y), as in Cool-Chic 5.

Learning rates of the same order then serve code and weights.
"""
PASSED_UNIT = 2.0
"""Factor of the code where octaves pass it on, so that learning rates and weights of usual sizes suit it."""
LINEAR_START = 0.15
"""First weights of the output from the passed channels, where octaves pass their code on."""
TOP_START = 0.1
"""Standard deviation of the output's first weights from the top layer, in the same networks."""
DETAIL_AXES = np.array([[0.0, 1.0], [-0.3, -0.5], [1.0, 0.0]])
"""Red, green and blue of the two planes of detail: blue and red, each against green, as the chroma of JPEG is."""
INITIAL_LOG_SCALE = -2.0
"""log2 of the Laplace scale that an untrained context model predicts.

An integer of a code of zeros then costs a quarter of a bit, where a scale of 1 costs above one.
"""


def real_base(arch: Arch) -> dict[str, np.ndarray]:
    """Return the base from which weights are coded: name -> float32 array of the tensor's shape."""
    return {name: (values * 2.0**-FRACTION_BITS).astype(np.float32) for name, values in base_values(arch).items()}


def moving(arch: Arch) -> list[str]:
    """Return the names of the tensors that a fit moves, in coding order."""
    return [name for name, _ in arch.coded_tensors() if not arch.is_fixed(name)]


def initial_weights(
    arch: Arch, samples: np.ndarray, random: np.random.Generator, lambda_: float
) -> dict[str, np.ndarray]:
    """Return the weights from which a fit starts: name -> float32 array of the tensor's shape.

    With a base they are the base, for finer codes by `code_gain`, and axes of colour for planes of detail. Else they
    are random, but for two things: linear channels pass from octave to octave, and the output's bias is the mean of
    `samples`, uint8 or uint16 (H, W, planes). lambda_: that of the fit.
    """
    if arch.base:
        weights, gain = real_base(arch), code_gain(arch, lambda_)
        if gain != 1:
            weights = for_finer_code(arch, weights, gain)
        if arch.detail and arch.planes == len(DETAIL_AXES):
            weights["output.weight"][:, arch.finest_channels : arch.channels_of(0)] = _detail_axes(lambda_)
        return weights

    def normal(shape, fan):
        return random.standard_normal(shape) / sqrt(fan)

    weights = {}
    for name, shape in arch.tensors():
        kind = name.split(".")[0]
        if name in ("context.1.weight", "context.2.weight", "top.weight", "output.weight") or kind in ("mix", "code"):
            weights[name] = normal(shape, shape[0] if kind == "code" else shape[1])
        elif kind == "taps":
            weights[name] = np.array(_INITIAL_TAPS[arch.taps])
        elif name.startswith("context.features."):
            weights[name] = np.eye(shape[0], shape[1])
        else:
            weights[name] = np.zeros(shape)
        if kind == "mix" and arch.linear:
            weights[name][: arch.linear] = np.eye(shape[0], shape[1])[: arch.linear]
        if arch.is_fixed(name):
            weights[name] = _passing(name, shape)
    weights["context.3.bias"][:, 1] = INITIAL_LOG_SCALE
    output = weights["output.weight"]
    if arch.passes:
        output[:] = TOP_START * random.standard_normal(output.shape)
        output[:, : arch.finest_channels] = LINEAR_START
    else:
        output /= 2
        # The fit begins nearly linear, and adds other functions as it needs them.
        output[:, arch.finest_channels :] /= 4
    weights["output.bias"] = samples.mean((0, 1)) / peak_of(samples)
    return {name: values.astype(np.float32) for name, values in weights.items()}


def code_gain(arch: Arch, lambda_: float) -> int:
    """Return the factor of the code where lambda is far below that of a tune's last base, a power of two; else 1.

    The best step of quantisation goes with the square root of lambda. A code of the base's steps could not tell finer
    differences, however many bits it had.
    """
    if not arch.base or arch.width * arch.height < FINE_PIXELS:
        return 1
    last, lowest = list(bases_for(tune_of_base(arch.base)).items())[-1]
    return int(2 ** max(0, round(log2(lowest / lambda_) / 2))) if arch.base == last else 1


def _detail_axes(lambda_):
    """Return the first weights of the output from the planes of detail, (3, `DETAIL_PLANES`): their axes of colour.

    Such a step is the best one at high rates for D + lambda R, if each number of a pixel has an axis of its own: D is
    step^2 / 36 for each, and a bit less makes it four times as large.
    """
    step = 6 / sqrt(2 * log(2)) * sqrt(lambda_)
    return (DETAIL_AXES / np.linalg.norm(DETAIL_AXES, axis=0) * step * CODE_UNITS / PASSED_UNIT).astype(np.float32)


def for_finer_code(arch: Arch, weights: dict[str, np.ndarray], gain: int) -> dict[str, np.ndarray]:
    """Return weights with which a code of `gain` times the integers makes the same picture.

    The context model then predicts means and scales of `gain` times the size.
    """
    linear, hidden, factor = arch.finest_channels, arch.context_channels, np.float32(gain)
    weights = {name: values.copy() for name, values in weights.items()}
    for part in weights["output.weight"][:, :linear], weights["top.weight"], weights["context.1.weight"]:
        part /= factor
    mean, log_scale = weights["context.3.weight"]
    mean[:hidden] *= factor
    log_scale[hidden:] /= factor
    weights["context.3.bias"][:, 0] *= factor
    weights["context.3.bias"][:, 1] += np.log2(factor)
    return weights


def _passing(name, shape):
    """Return a fixed tensor: with all of them octave o hands all channels on and adds its code to channel o."""
    kind, octave = name.split(".")
    if kind == "mix":
        return np.eye(shape[0], shape[1])
    values = np.zeros(shape)
    if kind == "code":
        values[int(octave)] = PASSED_UNIT
    return values


_CUBIC = (-0.03515625, 0.26171875, 0.87890625, -0.10546875)
_INITIAL_TAPS = {1: (0.25, 0.75), 2: _CUBIC, 3: (0, *_CUBIC, 0), 4: (0, 0, *_CUBIC, 0, 0)}
"""First taps of the upsampling by `Arch.taps`: linear interpolation, or cubic (a = -3/4), at a quarter."""


def initial_code(arch: Arch, samples: np.ndarray, random: np.random.Generator, lambda_: float) -> dict[int, np.ndarray]:
    """Return the code from which a fit starts, as y: octave -> float32 (planes, rows, columns).

    With a base it is a first guess, of which planes of detail are zeros, without one it is zeros. Where only the
    coarsest octave has a code, it is the random input of the plain deep decoder. samples: uint8 or uint16 (H, W,
    planes). lambda_: that of the fit.
    """
    if arch.base:
        gain = code_gain(arch, lambda_)
        code = {o: gain * y for o, y in first_code(samples, arch.base, arch.octaves).items()}
        if arch.detail:
            code[0] = np.pad(code[0], ((0, DETAIL_PLANES), (0, 0), (0, 0)))
        return code
    code = {o: np.zeros((arch.code_planes(o), *arch.size(o)), np.float32) for o in arch.coded_octaves}
    if len(code) == 1:
        code = {o: (random.standard_normal(y.shape) / 8).astype(np.float32) for o, y in code.items()}
    return code


def plain_output(arch: Arch, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Return the colour, (planes,), that weights make of a code of zeros, the same at every pixel.

    weights: name -> array. White is 1; the values are not clamped.
    """
    hidden = np.zeros(0)
    for octave in arch.coarse_to_fine:
        total = weights[f"bias.{octave}"].astype(float)
        if len(hidden):
            total += weights[f"taps.{octave}"].sum() ** 2 * (weights[f"mix.{octave}"] @ hidden)
        hidden = np.where(np.arange(len(total)) < arch.linear_of(octave), total, np.maximum(total, 0))
    if arch.top_channels:
        hidden = np.concatenate([hidden, np.maximum(weights["top.weight"] @ hidden + weights["top.bias"], 0)])
    output = weights["output.weight"] @ hidden + weights["output.bias"]
    return output + weights["residual.weight"] @ np.tile(output, SQUARE)

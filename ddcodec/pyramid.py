"""The causal walk over the code (FORMAT.md, chapter 6): coarse to fine, wavefront by wavefront, for reading and writing alike."""

import numpy as np

from .arch import CODE_MAX, CODE_STEP, CONTEXT_UNIT, NEIGHBOURS, PARENT_FEATURES, WAVEFRONT_SLOPE
from .coded import check_code
from .network import context, parent_features
from .ops_int import IntegerOps
from .tables import SCALES, STEPS_PER_OCTAVE, UNIT_SCALE, row

_MARGIN = 4
"""Zero columns between rows: as far as a context reaches to the right (and more than to the left)."""
_ABOVE = 3


def walk_code(arch, numbers, wire, code=None, finest=0):
    """Pass every code integer of the octaves `finest` and coarser through `wire`, in coding order.

    `code`: octave -> (planes, rows, columns), what a `Writer` or `Meter` codes; a `Reader` needs none.
    Returns the same as the wire gave it back.
    """
    ops = IntegerOps()
    result = {}
    for octave in arch.coded_octaves:
        if octave < finest:
            break
        parent = arch.parent(octave)
        features = parent_features(ops, arch, octave, None if parent is None else result[parent][0].astype(np.float32))
        result[octave] = np.zeros((arch.code_planes(octave), *arch.size(octave)), np.int32)
        for plane, target in zip(result[octave] if code is None else code[octave], result[octave]):
            _walk_plane(ops, arch, numbers, octave, wire, plane, target, features)
        wire.end_section()
    return result


def _walk_plane(ops, arch, numbers, octave, wire, plane, target, features):
    """One plane, passed from `plane` to `target` (both (rows, columns)). Context and features lie in one padded field, so that a wavefront's inputs are one strided gather.

    The field starts as zeros on both sides: what the wire has not passed yet cannot leak into a context.
    """
    rows, columns = plane.shape
    pitch = columns + _MARGIN
    field = np.zeros((1 + PARENT_FEATURES, rows + _ABOVE, pitch), np.float32)
    field[1:, _ABOVE:, _MARGIN:] = features
    flat, size = field.reshape(-1), (rows + _ABOVE) * pitch
    y = np.arange(rows)
    here = _ABOVE * pitch + _MARGIN + y * (pitch - WAVEFRONT_SLOPE)
    reach = [dy * pitch + dx for dx, dy in NEIGHBOURS[: arch.neighbours]]
    reach += [size * (1 + feature) for feature in range(PARENT_FEATURES)]
    around = here + np.array(reach)[:, None]
    source, target = plane.reshape(-1), target.reshape(-1)
    there = y * (columns - WAVEFRONT_SLOPE)

    for step in range(columns + WAVEFRONT_SLOPE * (rows - 1)):
        top = max(0, (step - columns) // WAVEFRONT_SLOPE + 1)
        bottom = min(rows, step // WAVEFRONT_SLOPE + 1)
        if top >= bottom:
            continue
        front = flat[step:]
        outputs = context(ops, arch, numbers, front.take(around[:, top:bottom]), octave)
        table, whole = _quantised(outputs)
        at = there[top:bottom] + step
        values = wire.integers(table, whole, source[at].astype(np.int64))
        target[at] = values
        front[here[top:bottom]] = values * float(CODE_STEP)
    check_code(target)


_GAIN = np.array([[16 / CONTEXT_UNIT], [STEPS_PER_OCTAVE / CONTEXT_UNIT]])
_OFFSET = np.array([[0.5], [UNIT_SCALE + 0.5]])
_LEAST = np.array([[-16.0 * CODE_MAX], [0]])
_GREATEST = np.array([[16.0 * CODE_MAX], [SCALES - 1]])


def _quantised(outputs):
    """Table rows and whole numbers from the context model's outputs."""
    outputs *= _GAIN
    outputs += _OFFSET
    np.floor(outputs, out=outputs)
    np.maximum(outputs, _LEAST, out=outputs)
    np.minimum(outputs, _GREATEST, out=outputs)
    mean, scale = outputs.astype(np.int64)
    whole = (mean + 8) >> 4
    return row(scale, mean - 16 * whole), whole

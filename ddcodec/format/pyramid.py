"""The causal walk over the code, for reading and writing alike (FORMAT.md, chapter 6).

It goes coarse to fine, and wavefront by wavefront in each plane.
"""

from collections.abc import Mapping
from itertools import islice

import numpy as np

from .arch import CODE_MAX, CONTEXT_UNIT, FIELD_PLANES, NEIGHBOURS, WAVEFRONT_SLOPE, Arch
from .bounds import check_code
from .network import Coarser, context, double
from .ops_int import IntegerOps
from .tables import SCALES, STEPS_PER_OCTAVE, UNIT_SCALE, row
from .wire import Wire

_MARGIN = 4
"""Zero columns between rows of a field: as far as a context reaches to the right, and more than to the left."""

_ABOVE = 3
"""Zero rows above a field: as far as a context reaches upwards."""

_AT_ONCE = 32
"""Wavefronts of a known plane whose contexts are computed together."""


def walk_code(
    arch: Arch,
    numbers: Mapping[str, np.ndarray],
    wire: Wire,
    code: Mapping[int, np.ndarray] | None = None,
    finest: int = 0,
) -> dict[int, np.ndarray]:
    """Pass all integers of the code through `wire` in coding order, down to octave `finest`.

    code: octave -> integers (planes, rows, columns) for a `Writer` or a `Meter`. A `Reader` needs none.

    Returns octave -> integers as the wire gave them back, int32. Raises `DamagedError` for integers out of range.
    """
    ops = IntegerOps()
    result, coarser = {}, Coarser(ops, arch)
    for octave in arch.coded_octaves:
        if octave < finest:
            break
        # The field of the finest octave is most of the memory of a decode. What it does not need is deleted before.
        handed = coarser.handed_down(numbers, octave)
        if octave == finest:
            del coarser
        field = _field(ops, arch, octave, handed)
        del handed
        result[octave] = np.zeros((arch.code_planes(octave), *arch.size(octave)), np.int32)
        for index, target in enumerate(result[octave]):
            _walk_plane(ops, arch, numbers, octave, wire, None if code is None else code[octave][index], target, field)
        del field
        wire.end_section()
        if octave > finest:
            coarser.add(octave, result[octave].astype(np.float32))
    return result


def _field(ops, arch, octave, handed):
    """Make the padded field of an octave: float32 (1 + FEATURES + 1, rows, columns).

    The first plane is for the code, and still 0. Features are made band by band: at once they would take the memory of
    the field twice more.

    handed: what `Coarser.handed_down` gives.
    """
    rows, columns = arch.size(octave)
    field = np.zeros((FIELD_PLANES, rows + _ABOVE, columns + _MARGIN), np.float32)
    if handed is not None:
        for band in arch.bands(octave):
            field[1:, _ABOVE + band.start : _ABOVE + band.stop, _MARGIN:] = double(ops, arch, octave, handed, band)
    return field


def _walk_plane(ops, arch, numbers, octave, wire, plane, target, field):
    """Pass one plane (rows, columns) from `plane` through the wire to `target`; `plane` is None for a `Reader`.

    Code and features lie in one padded field, so that the inputs of a context are one strided gather.

    The contexts of a known plane are computed for many wavefronts at once, which is quicker. Those of an unknown plane
    are computed for each wavefront as soon as the integers before it are there.
    """
    rows, columns = target.shape
    pitch = columns + _MARGIN
    field[0, _ABOVE:, _MARGIN:] = 0 if plane is None else ops.seen(plane)
    flat, size = field.reshape(-1), (rows + _ABOVE) * pitch
    y = np.arange(rows)
    here = _ABOVE * pitch + _MARGIN + y * (pitch - WAVEFRONT_SLOPE)
    reach = [dy * pitch + dx for dx, dy in NEIGHBOURS[: arch.neighbours]]
    reach += [size * place for place in range(1, FIELD_PLANES)]
    around = here + np.array(reach)[:, None]
    target = target.reshape(-1)
    there = y * (columns - WAVEFRONT_SLOPE)

    def wavefronts():
        for step in range(columns + WAVEFRONT_SLOPE * (rows - 1)):
            top = max(0, (step - columns) // WAVEFRONT_SLOPE + 1)
            bottom = min(rows, step // WAVEFRONT_SLOPE + 1)
            if top < bottom:
                yield step, top, bottom

    if plane is None:
        for step, top, bottom in wavefronts():
            front = flat[step:]
            table, whole = _quantised(context(ops, arch, numbers, front.take(around[:, top:bottom]), octave))
            values = wire.integers(table, whole)
            target[there[top:bottom] + step] = values
            front[here[top:bottom]] = ops.seen(values)
    else:
        source, fronts = plane.reshape(-1), wavefronts()
        while group := list(islice(fronts, _AT_ONCE)):
            inputs = np.concatenate([around[:, top:bottom] + step for step, top, bottom in group], 1)
            table, whole = _quantised(context(ops, arch, numbers, flat.take(inputs), octave))
            start = 0
            for step, top, bottom in group:
                at, now = there[top:bottom] + step, slice(start, start + bottom - top)
                target[at] = wire.integers(table[now], whole[now], source[at].astype(np.int64))
                start += bottom - top
    check_code(target)


_GAIN = np.array([[16 / CONTEXT_UNIT], [STEPS_PER_OCTAVE / CONTEXT_UNIT]])
"""Factors that bring mean and scale from units of 1 / CONTEXT_UNIT to 16ths and to steps of the scale index."""

_OFFSET = np.array([[0.5], [UNIT_SCALE + 0.5]])
"""Summands of mean and scale before `floor`: 1/2, and the scale index of scale 1."""

_LEAST = np.array([[-16.0 * CODE_MAX], [0]])
"""Least mean in 16ths, least scale index (FORMAT.md, chapter 6, *Layers*)."""

_GREATEST = np.array([[16.0 * CODE_MAX], [SCALES - 1]])
"""Greatest mean in 16ths, greatest scale index."""


def _quantised(outputs):
    """Turn outputs of the context model into rows of `tables.frequencies()` and whole numbers."""
    outputs *= _GAIN
    outputs += _OFFSET
    np.floor(outputs, out=outputs)
    np.maximum(outputs, _LEAST, out=outputs)
    np.minimum(outputs, _GREATEST, out=outputs)
    mean, scale = outputs.astype(np.int64)
    whole = (mean + 8) >> 4
    return row(scale, mean - 16 * whole), whole

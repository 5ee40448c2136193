"""The synthesis and the features of contexts in Triton kernels, for many fits on a GPU.

They are for architectures whose octaves pass their planes on (`Arch.passes`).

A GPU's libraries are slow at small matrices over many pixels, above all at the sums over pixels for the weights'
gradients. Here a block of pixels goes through layers and back while it lies in registers. Each program keeps sums over
its pixels. They are added up outside, in a fixed order.
"""

from collections.abc import Mapping
from typing import Any

import torch
import triton
import triton.language as tl

from ...format.arch import CODE_STEP, FILTER_REACH, FILTER_SIDE, SQUARE, SYNTHESIS_UNIT, Arch
from ...format.network import SEEN_TAPS
from ..descent.start import PASSED_UNIT
from ..loss.form import BEYOND
from ..reference.distortion import FormTensors, distortion_by
from .rate import BACKWARD, FORWARD, fused_bits, padded, scaled

BLOCK = 64
"""Pixels that go through the top layer at once."""
WARPS = 4
"""Warps for one block."""
PLAIN_BLOCK = 256
"""Pixels that a kernel without a matrix takes at once."""
PROGRAMS = 264
"""Programs for one fit, at most, that keep sums of their own: two on each multiprocessor of an H200."""
LIMIT = tl.constexpr(BEYOND)
"""`BEYOND`, as a kernel can read it."""
SEEN_UNIT = PASSED_UNIT * CODE_STEP / SYNTHESIS_UNIT
"""The value in the synthesis of one unit of the code."""


def fused_objective(
    arch: Arch,
    code: Mapping[int, torch.Tensor],
    numbers: Mapping[str, torch.Tensor],
    target: torch.Tensor,
    known: torch.Tensor | None,
    form: FormTensors,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute distortions, bits and MSEs of all fits, (B,) each.

    For one fit they are those of `reference.distortion.distortion_by` and `reference.rate.bits_of`. code: octave -> (B,
    1, rows, columns) in code units. numbers: name -> (B, ...). target: (B, planes, H, W). known: bool (B, H, W), or
    None for all. form: that of each fit.
    """
    (fits, *_), device = target.shape, target.device
    seen_taps = torch.zeros(fits, 2, device=device, dtype=torch.float32)
    for index, tap in enumerate(SEEN_TAPS):
        seen_taps[:, index] = tap / sum(SEEN_TAPS)
    hidden: torch.Tensor | None = None
    coarser: torch.Tensor | None = None
    bits: Any = 0
    for octave in arch.coarse_to_fine:
        own, size = code[octave], arch.size(octave)
        handed = (
            None
            if coarser is None
            else torch.cat([_Mixed.apply(numbers[f"context.features.{octave}"], coarser), coarser[:, :1].abs()], 1)
        )
        features = (
            own.new_zeros(fits, arch.context_inputs - arch.neighbours, *size)
            if handed is None
            else _Doubled.apply(handed, seen_taps, size)
        )
        bits = bits + fused_bits(arch, octave, own, features, numbers)
        if octave:
            coarser = own if coarser is None else torch.cat([own, _Doubled.apply(coarser, seen_taps, size)], 1)
        seen = _Filtered.apply(own, numbers[f"filter.{octave}"])
        hidden = (
            seen if hidden is None else torch.cat([seen, _Doubled.apply(hidden, numbers[f"taps.{octave}"], size)], 1)
        )
    layers = (numbers[name] for name in ("top.weight", "top.bias", "output.weight", "output.bias", "residual.weight"))
    distortion, mse = _Distortion.apply(hidden, *layers, target, known, form)
    return distortion, bits, mse


def _programs(positions, block):
    return min(PROGRAMS, triton.cdiv(positions, block))


class _Doubled(torch.autograd.Function):
    """Upsample whole planes (B, C, rows, columns) to `size` by taps (B, taps), as `network.up` does."""

    @staticmethod
    def forward(ctx, planes, taps, size):
        planes, taps = planes.contiguous(), taps.contiguous()
        fits, count, *coarse = planes.shape
        doubled = planes.new_empty(fits, count, *size)
        _up[triton.cdiv(size[0] * size[1], PLAIN_BLOCK), fits * count](
            planes, taps, doubled, count, *coarse, *size, TAPS=taps.shape[1], BLOCK=PLAIN_BLOCK
        )
        ctx.save_for_backward(planes, taps)
        return doubled

    @staticmethod
    def backward(ctx, gradient):
        (planes, taps), gradient = ctx.saved_tensors, gradient.contiguous()
        fits, count, *coarse = planes.shape
        size, number = gradient.shape[2:], taps.shape[1]
        by_planes = by_taps = None
        if ctx.needs_input_grad[0]:
            by_planes = torch.empty_like(planes)
            grid = triton.cdiv(coarse[0] * coarse[1], PLAIN_BLOCK), fits * count
            _up_back[grid](gradient, taps, by_planes, count, *coarse, *size, TAPS=number, BLOCK=PLAIN_BLOCK)
        if ctx.needs_input_grad[1]:
            programs = _programs(size[0] * size[1], PLAIN_BLOCK)
            sums = planes.new_empty(fits * count, programs, number)
            _tap_sums[programs, fits * count](
                gradient, planes, taps, sums, count, *coarse, *size, TAPS=number, BLOCK=PLAIN_BLOCK
            )
            by_taps = sums.reshape(fits, -1, number).sum(1)
        return by_planes, by_taps, None


class _Filtered(torch.autograd.Function):
    """Filter one plane (B, 1, rows, columns) by weights (B, side, side), as `network.seen_code` does.

    The result has the unit in which octaves pass it on.
    """

    @staticmethod
    def forward(ctx, plane, weight):
        plane, weight = plane.contiguous(), weight.contiguous()
        rows, columns = plane.shape[2:]
        seen = torch.empty_like(plane)
        grid = triton.cdiv(rows * columns, BLOCK), len(plane)
        _filter[grid](
            plane,
            weight,
            seen,
            rows,
            columns,
            SEEN_UNIT,
            REACH=FILTER_REACH,
            SIDE=FILTER_SIDE,
            WIDE=padded(FILTER_SIDE**2),
            BLOCK=BLOCK,
        )
        ctx.save_for_backward(plane, weight)
        return seen

    @staticmethod
    def backward(ctx, gradient):
        (plane, weight), gradient = ctx.saved_tensors, gradient.contiguous()
        rows, columns = plane.shape[2:]
        programs, wide = _programs(rows * columns, BLOCK), padded(FILTER_SIDE**2)
        by_plane, sums = torch.empty_like(plane), plane.new_empty(len(plane), programs, wide)
        _filter_back[programs, len(plane)](
            gradient,
            plane,
            weight,
            by_plane,
            sums,
            rows,
            columns,
            SEEN_UNIT,
            REACH=FILTER_REACH,
            SIDE=FILTER_SIDE,
            WIDE=wide,
            BLOCK=BLOCK,
        )
        return by_plane, sums.sum(1)[:, : FILTER_SIDE**2].reshape(weight.shape)


class _Mixed(torch.autograd.Function):
    """Multiply matrices (B, outputs, inputs) by planes (B, inputs, rows, columns)."""

    @staticmethod
    def forward(ctx, weight, planes):
        planes = planes.contiguous()
        ctx.save_for_backward(weight, planes)
        return (weight @ planes.flatten(2)).reshape(len(planes), -1, *planes.shape[2:])

    @staticmethod
    def backward(ctx, gradient):
        (weight, planes), gradient = ctx.saved_tensors, gradient.contiguous()
        fits, outputs, inputs = weight.shape
        positions = planes[0, 0].numel()
        tall, wide, programs = padded(outputs), padded(inputs), _programs(positions, BLOCK)
        sums = planes.new_empty(fits, programs, tall, wide)
        _outer[programs, fits](gradient, planes, sums, outputs, inputs, positions, TALL=tall, WIDE=wide, BLOCK=BLOCK)
        return sums.sum(1)[:, :outputs, :inputs], (weight.mT @ gradient.flatten(2)).reshape(planes.shape)


class _Distortion(torch.autograd.Function):
    """Compute distortions and MSEs, (B,) each, from the finest octave's planes (B, octaves, H, W).

    All gradients are made on the way forward, for a gradient of 1, and scaled on the way back.
    """

    @staticmethod
    def forward(ctx, hidden, top_weight, top_bias, output_weight, output_bias, residual_weight, target, known, form):
        parts = hidden, top_weight, top_bias, output_weight, output_bias, residual_weight, target
        hidden, top_weight, top_bias, output_weight, output_bias, residual_weight, target = (
            part.contiguous() for part in parts
        )
        fits, linear, rows, columns = hidden.shape
        planes, positions, (top, channels) = target.shape[1], rows * columns, top_weight.shape[1:]
        # The side of the planes holds one more, for the biases.
        narrow, deep, wide, few = (padded(n) for n in (channels + 1, top, SQUARE * planes, planes))
        sizes = dict(PLANES=planes, FEW=few, NARROW=narrow, DEEP=deep, BLOCK=BLOCK, num_warps=WARPS, num_stages=1)
        layers = top_weight, top_bias, output_weight
        values, errors, by_hidden = torch.empty_like(target), torch.empty_like(target), torch.empty_like(hidden)
        blocks, programs = triton.cdiv(positions, BLOCK), _programs(positions, BLOCK)
        _paint[blocks, fits](hidden, *layers, output_bias, values, linear, channels, top, positions, **sizes)
        # The kernel needs a pointer, but does not read it where all pixels count.
        counts = target if known is None else known.contiguous().view(torch.uint8)
        square = dict(PLANES=planes, FEW=few, WIDE=wide, BLOCK=BLOCK)
        _judge[blocks, fits](
            values, target, counts, residual_weight, errors, rows, columns, HAS_COUNTS=known is not None, **square
        )
        with torch.enable_grad():
            distortion = torch.func.vmap(distortion_by)(errors.requires_grad_(), form)
            (by_samples,) = torch.autograd.grad(distortion.sum(), errors)
        by_samples = (by_samples if known is None else by_samples * known[:, None]).contiguous()
        seen = hidden.new_empty(fits, programs, few * wide)
        _residual_sums[programs, fits](values, by_samples, seen, rows, columns, **square)
        lengths = deep * narrow, few * deep, few * narrow
        painted = hidden.new_empty(fits, programs, sum(lengths))
        _unpaint[programs, fits](
            by_samples,
            residual_weight,
            hidden,
            *layers,
            by_hidden,
            painted,
            linear,
            channels,
            top,
            rows,
            columns,
            WIDE=wide,
            **sizes,
        )
        by_top, by_above, by_linear = (
            part.reshape(fits, -1, side) for part, side in zip(painted.sum(1).split(lengths, 1), (narrow, deep, narrow))
        )
        ctx.save_for_backward(
            by_hidden,
            by_top[:, :top, :channels],
            by_top[:, :top, channels],
            torch.cat([by_linear[:, :planes, :channels], by_above[:, :planes, :top]], 2),
            by_linear[:, :planes, channels],
            seen.sum(1).reshape(fits, few, wide)[:, :planes, : SQUARE * planes],
        )
        mse = errors.detach().square().mean((1, 2, 3))
        ctx.mark_non_differentiable(mse)
        return distortion.detach(), mse

    @staticmethod
    def backward(ctx, gradient, _):
        return *scaled(ctx.saved_tensors, gradient), None, None, None


@triton.jit
def _seen(taps, place, last, STEP: tl.constexpr, TAPS: tl.constexpr):
    """Find the tap with which a sample sees the STEP-th of its neighbours in the coarser octave, and that neighbour.

    Odd samples take the taps mirrored.
    """
    tap = tl.where(place % 2 == 0, tl.load(taps + STEP), tl.load(taps + TAPS - 1 - STEP))
    return tap, tl.minimum(tl.maximum(place // 2 + place % 2 + STEP - TAPS // 2, 0), last)


@triton.jit
def _up(
    planes, taps, doubled, count, rows, columns, finer_rows, finer_columns, TAPS: tl.constexpr, BLOCK: tl.constexpr
):
    """Make a block of one finer plane."""
    plane = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < finer_rows * finer_columns
    y, x = i // finer_columns, i % finer_columns
    own_taps = taps + plane // count * TAPS
    total = tl.zeros((BLOCK,), tl.float32)
    for a in tl.static_range(TAPS):
        by_row, row = _seen(own_taps, y, rows - 1, a, TAPS)
        along = tl.zeros((BLOCK,), tl.float32)
        for b in tl.static_range(TAPS):
            by_column, column = _seen(own_taps, x, columns - 1, b, TAPS)
            along += by_column * tl.load(planes + (plane * rows + row) * columns + column, mask=inside, other=0.0)
        total += by_row * along
    tl.store(doubled + plane * finer_rows * finer_columns + i, total, mask=inside)


@triton.jit
def _reaching(taps, place, last, STEP: tl.constexpr, TAPS: tl.constexpr):
    """Find the weight of a coarser value in the sample that is STEP - (TAPS - 1) behind twice its place.

    The outermost values also stand for all beyond the ends.
    """
    weight = place * 0.0
    for a in tl.static_range(TAPS):
        # Even samples take the taps in their order, odd ones mirrored.
        tap = tl.load(taps + (a if STEP % 2 == 1 else TAPS - 1 - a))
        # The tap is for a place so far from this one; beyond an end, that end stands for it.
        if STEP // 2 + 1 - TAPS + a == 0:
            weight += tap
        elif STEP // 2 + 1 - TAPS + a < 0:
            weight += tl.where(place == 0, tap, 0.0)
        else:
            weight += tl.where(place == last, tap, 0.0)
    return weight


@triton.jit
def _up_back(
    gradient, taps, by_planes, count, rows, columns, finer_rows, finer_columns, TAPS: tl.constexpr, BLOCK: tl.constexpr
):
    """Add up the gradients by a block of one coarser plane, from all samples that see its values."""
    plane = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < rows * columns
    y, x = i // columns, i % columns
    own_taps = taps + plane // count * TAPS
    total = tl.zeros((BLOCK,), tl.float32)
    for a in tl.static_range(2 * TAPS):
        row = 2 * y + a - (TAPS - 1)
        along = tl.zeros((BLOCK,), tl.float32)
        for b in tl.static_range(2 * TAPS):
            column = 2 * x + b - (TAPS - 1)
            there = inside & (row >= 0) & (row < finer_rows) & (column >= 0) & (column < finer_columns)
            seen = tl.load(gradient + (plane * finer_rows + row) * finer_columns + column, mask=there, other=0.0)
            along += _reaching(own_taps, x, columns - 1, b, TAPS) * seen
        total += _reaching(own_taps, y, rows - 1, a, TAPS) * along
    tl.store(by_planes + plane * rows * columns + i, total, mask=inside)


@triton.jit
def _tap_sums(
    gradient,
    planes,
    taps,
    sums,
    count,
    rows,
    columns,
    finer_rows,
    finer_columns,
    TAPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Compute one program's share of the gradients by the taps, over the samples of one finer plane."""
    program, programs, plane = tl.program_id(0), tl.num_programs(0), tl.program_id(1).to(tl.int64)
    own_taps = taps + plane // count * TAPS
    k = tl.arange(0, TAPS)[:, None]
    total = tl.zeros((TAPS, BLOCK), tl.float32)
    for start in range(program * BLOCK, finer_rows * finer_columns, programs * BLOCK):
        i = start + tl.arange(0, BLOCK)
        inside = i < finer_rows * finer_columns
        y, x = i // finer_columns, i % finer_columns
        here = tl.load(gradient + plane * finer_rows * finer_columns + i, mask=inside, other=0.0)
        for a in tl.static_range(TAPS):
            by_row, row = _seen(own_taps, y, rows - 1, a, TAPS)
            along = tl.zeros((BLOCK,), tl.float32)
            for b in tl.static_range(TAPS):
                by_column, column = _seen(own_taps, x, columns - 1, b, TAPS)
                value = tl.load(planes + (plane * rows + row) * columns + column, mask=inside, other=0.0)
                along += by_column * value
                total += tl.where(
                    k == tl.where(x % 2 == 0, b, TAPS - 1 - b)[None, :], (here * by_row * value)[None, :], 0.0
                )
            total += tl.where(k == tl.where(y % 2 == 0, a, TAPS - 1 - a)[None, :], (here * along)[None, :], 0.0)
    tl.store(sums + (plane * programs + program) * TAPS + tl.arange(0, TAPS), tl.sum(total, 1))


@triton.jit
def _filter(
    plane,
    weight,
    seen,
    rows,
    columns,
    unit,
    REACH: tl.constexpr,
    SIDE: tl.constexpr,
    WIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Filter a block of one plane."""
    fit = tl.program_id(1).to(tl.int64)
    k = tl.arange(0, WIDE)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < rows * columns
    y, x = (i // columns)[None, :] + (k // SIDE - REACH)[:, None], (i % columns)[None, :] + (k % SIDE - REACH)[:, None]
    there = inside[None, :] & (k < SIDE * SIDE)[:, None] & (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    around = tl.load(plane + (fit * rows + y) * columns + x, mask=there, other=0.0)
    own = tl.load(weight + fit * SIDE * SIDE + k, mask=k < SIDE * SIDE, other=0.0)
    value = tl.load(plane + fit * rows * columns + i, mask=inside, other=0.0)
    tl.store(seen + fit * rows * columns + i, unit * (value + tl.sum(own[:, None] * around, 0)), mask=inside)


@triton.jit
def _filter_back(
    gradient,
    plane,
    weight,
    by_plane,
    sums,
    rows,
    columns,
    unit,
    REACH: tl.constexpr,
    SIDE: tl.constexpr,
    WIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Compute one program's share of the gradients by one plane and by its filter."""
    program, programs, fit = tl.program_id(0), tl.num_programs(0), tl.program_id(1).to(tl.int64)
    k = tl.arange(0, WIDE)
    own = tl.load(weight + fit * SIDE * SIDE + k, mask=k < SIDE * SIDE, other=0.0)
    total = tl.zeros((WIDE, BLOCK), tl.float32)
    for start in range(program * BLOCK, rows * columns, programs * BLOCK):
        i = start + tl.arange(0, BLOCK)
        inside = i < rows * columns
        dy, dx = (k // SIDE - REACH)[:, None], (k % SIDE - REACH)[:, None]
        y, x = (i // columns)[None, :], (i % columns)[None, :]
        is_seen = inside[None, :] & (k < SIDE * SIDE)[:, None]
        there = is_seen & (y + dy >= 0) & (y + dy < rows) & (x + dx >= 0) & (x + dx < columns)
        around = tl.load(plane + (fit * rows + y + dy) * columns + x + dx, mask=there, other=0.0)
        # The places that see this one lie the other way round.
        there = is_seen & (y - dy >= 0) & (y - dy < rows) & (x - dx >= 0) & (x - dx < columns)
        seeing = tl.load(gradient + (fit * rows + y - dy) * columns + x - dx, mask=there, other=0.0)
        here = tl.load(gradient + fit * rows * columns + i, mask=inside, other=0.0)
        total += around * (unit * here)[None, :]
        tl.store(by_plane + fit * rows * columns + i, unit * (here + tl.sum(own[:, None] * seeing, 0)), mask=inside)
    tl.store(sums + (fit * programs + program) * WIDE + k, tl.sum(total, 1))


@triton.jit
def _outer(left, right, sums, outputs, inputs, positions, TALL: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr):
    """Compute one program's share of a sum over positions of products of all planes with all."""
    program, programs, fit = tl.program_id(0), tl.num_programs(0), tl.program_id(1).to(tl.int64)
    m, n = tl.arange(0, TALL), tl.arange(0, WIDE)
    total = tl.zeros((TALL, WIDE), tl.float32)
    for start in range(program * BLOCK, positions, programs * BLOCK):
        i = start + tl.arange(0, BLOCK)
        inside = i < positions
        one = tl.load(
            left + (fit * outputs + m)[:, None] * positions + i[None, :],
            mask=(m < outputs)[:, None] & inside[None, :],
            other=0.0,
        )
        two = tl.load(
            right + (fit * inputs + n)[:, None] * positions + i[None, :],
            mask=(n < inputs)[:, None] & inside[None, :],
            other=0.0,
        )
        total += tl.dot(one, tl.trans(two), input_precision=BACKWARD)
    tl.store(sums + (fit * programs + program) * TALL * WIDE + m[:, None] * WIDE + n[None, :], total)


@triton.jit
def _top_of(
    hidden,
    top_weight,
    top_bias,
    fit,
    i,
    inside,
    linear,
    channels,
    top,
    positions,
    NARROW: tl.constexpr,
    DEEP: tl.constexpr,
    BLOCK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Load a block of the finest octave's planes and apply the top layer.

    Returns the planes with a row of ones behind them, the layer's weights with its bias, and its results.
    """
    j, k = tl.arange(0, NARROW), tl.arange(0, DEEP)
    below = tl.load(
        hidden + (fit * linear + j)[:, None] * positions + i[None, :],
        mask=(j < linear)[:, None] & inside[None, :],
        other=0.0,
    )
    below = tl.where((j == channels)[:, None], 1.0, below)
    weight = tl.load(
        top_weight + (fit * top + k)[:, None] * channels + j[None, :],
        mask=(k < top)[:, None] & (j < channels)[None, :],
        other=0.0,
    )
    weight += tl.load(
        top_bias + (fit * top + k)[:, None] + j[None, :] * 0,
        mask=(k < top)[:, None] & (j == channels)[None, :],
        other=0.0,
    )
    return below, weight, tl.maximum(tl.dot(weight, below, input_precision=PRECISION), 0.0)


@triton.jit
def _output_of(
    output_weight, fit, channels, top, PLANES: tl.constexpr, FEW: tl.constexpr, NARROW: tl.constexpr, DEEP: tl.constexpr
):
    """Load the output's weights of the planes, and of the top layer."""
    planes, j, k = tl.arange(0, FEW)[:, None], tl.arange(0, NARROW)[None, :], tl.arange(0, DEEP)[None, :]
    rows = output_weight + (fit * PLANES + planes) * (channels + top)
    of_below = tl.load(rows + j, mask=(planes < PLANES) & (j < channels), other=0.0)
    return of_below, tl.load(rows + channels + k, mask=(planes < PLANES) & (k < top), other=0.0)


@triton.jit
def _paint(
    hidden,
    top_weight,
    top_bias,
    output_weight,
    output_bias,
    values,
    linear,
    channels,
    top,
    positions,
    PLANES: tl.constexpr,
    FEW: tl.constexpr,
    NARROW: tl.constexpr,
    DEEP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Make a block of samples before the residual layer."""
    fit = tl.program_id(1).to(tl.int64)
    planes, j = tl.arange(0, FEW), tl.arange(0, NARROW)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < positions
    below, _, above = _top_of(
        hidden, top_weight, top_bias, fit, i, inside, linear, channels, top, positions, NARROW, DEEP, BLOCK, FORWARD
    )
    of_below, of_above = _output_of(output_weight, fit, channels, top, PLANES, FEW, NARROW, DEEP)
    is_bias = (planes < PLANES)[:, None] & (j == channels)[None, :]
    of_below += tl.load(output_bias + (fit * PLANES + planes)[:, None] + j[None, :] * 0, mask=is_bias, other=0.0)
    made = tl.dot(of_below, below, input_precision=FORWARD) + tl.dot(of_above, above, input_precision=FORWARD)
    tl.store(
        values + (fit * PLANES + planes)[:, None] * positions + i[None, :],
        made,
        mask=(planes < PLANES)[:, None] & inside[None, :],
    )


@triton.jit
def _around(values, start, fit, rows, columns, PLANES: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr):
    """Load what the residual layer sees from a block of pixels, (WIDE, BLOCK)."""
    i, k = start + tl.arange(0, BLOCK), tl.arange(0, WIDE)
    dy, dx, source = k // PLANES // 3 - 1, k // PLANES % 3 - 1, k % PLANES
    y = tl.minimum(tl.maximum((i // columns)[None, :] + dy[:, None], 0), rows - 1)
    x = tl.minimum(tl.maximum((i % columns)[None, :] + dx[:, None], 0), columns - 1)
    is_seen = (i < rows * columns)[None, :] & (k < 9 * PLANES)[:, None]
    place = (fit * PLANES + source)[:, None] * (rows * columns) + y * columns + x
    return tl.load(values + place, mask=is_seen, other=0.0)


@triton.jit
def _judge(
    values,
    target,
    counts,
    weight,
    errors,
    rows,
    columns,
    HAS_COUNTS: tl.constexpr,
    PLANES: tl.constexpr,
    FEW: tl.constexpr,
    WIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the errors of a block of samples, which are values that go through the residual layer."""
    start, fit = tl.program_id(0) * BLOCK, tl.program_id(1).to(tl.int64)
    k, planes, positions = tl.arange(0, WIDE), tl.arange(0, FEW), rows * columns
    is_weight = (planes < PLANES)[:, None] & (k < 9 * PLANES)[None, :]
    own = tl.load(weight + (fit * PLANES + planes)[:, None] * 9 * PLANES + k[None, :], mask=is_weight, other=0.0)
    around = _around(values, start, fit, rows, columns, PLANES, WIDE, BLOCK)
    i = start + tl.arange(0, BLOCK)
    place = (fit * PLANES + planes)[:, None] * positions + i[None, :]
    is_sample = (planes < PLANES)[:, None] & (i < positions)[None, :]
    value = tl.load(values + place, mask=is_sample, other=0.0) + tl.dot(own, around, input_precision=FORWARD)
    # As in `reference.synthesis.errors_of`: what is more than `BEYOND` outside counts.
    beyond = value - tl.minimum(tl.maximum(value, -LIMIT), 1.0 + LIMIT)
    error = tl.minimum(tl.maximum(value, 0.0), 1.0) + beyond - tl.load(target + place, mask=is_sample, other=0.0)
    if HAS_COUNTS:
        error *= tl.load(counts + fit * positions + i, mask=i < positions, other=0).to(tl.float32)[None, :]
    tl.store(errors + place, error, mask=is_sample)


@triton.jit
def _residual_sums(
    values,
    by_samples,
    sums,
    rows,
    columns,
    PLANES: tl.constexpr,
    FEW: tl.constexpr,
    WIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Compute one program's share of the gradients by the residual layer's weights, over the pixels."""
    program, programs, fit = tl.program_id(0), tl.num_programs(0), tl.program_id(1).to(tl.int64)
    k, planes, positions = tl.arange(0, WIDE), tl.arange(0, FEW), rows * columns
    by_weight = tl.zeros((FEW, WIDE), tl.float32)
    for start in range(program * BLOCK, positions, programs * BLOCK):
        around = _around(values, start, fit, rows, columns, PLANES, WIDE, BLOCK)
        i = start + tl.arange(0, BLOCK)
        place = (fit * PLANES + planes)[:, None] * positions + i[None, :]
        is_sample = (planes < PLANES)[:, None] & (i < positions)[None, :]
        gradient = tl.load(by_samples + place, mask=is_sample, other=0.0)
        by_weight += tl.dot(gradient, tl.trans(around), input_precision=BACKWARD)
    own = sums + (fit * programs + program) * FEW * WIDE
    tl.store(own + planes[:, None] * WIDE + k[None, :], by_weight)


@triton.jit
def _unpaint(
    errors,
    residual_weight,
    hidden,
    top_weight,
    top_bias,
    output_weight,
    by_hidden,
    sums,
    linear,
    channels,
    top,
    rows,
    columns,
    PLANES: tl.constexpr,
    FEW: tl.constexpr,
    WIDE: tl.constexpr,
    NARROW: tl.constexpr,
    DEEP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Go back from the samples to the finest octave's planes, for one program's share of the pixels."""
    program, programs, fit = tl.program_id(0), tl.num_programs(0), tl.program_id(1).to(tl.int64)
    j, k, s, planes = tl.arange(0, NARROW), tl.arange(0, DEEP), tl.arange(0, WIDE), tl.arange(0, FEW)
    positions = rows * columns
    dy, dx, source = (s // PLANES // 3 - 1)[:, None], (s // PLANES % 3 - 1)[:, None], s % PLANES
    # A sample's weight as a neighbour: the layer's weights the other way round.
    is_weight = (planes < PLANES)[:, None] & (s < 9 * PLANES)[None, :]
    own = tl.load(
        residual_weight
        + (fit * PLANES + source)[None, :] * 9 * PLANES
        + (s // PLANES * PLANES)[None, :]
        + planes[:, None],
        mask=is_weight,
        other=0.0,
    )
    of_below, of_above = _output_of(output_weight, fit, channels, top, PLANES, FEW, NARROW, DEEP)
    by_top = tl.zeros((DEEP, NARROW), tl.float32)
    by_above, by_linear = tl.zeros((FEW, DEEP), tl.float32), tl.zeros((FEW, NARROW), tl.float32)
    for start in range(program * BLOCK, positions, programs * BLOCK):
        i = start + tl.arange(0, BLOCK)
        inside = i < positions
        y, x = (i // columns)[None, :], (i % columns)[None, :]
        # A pixel is seen from the other side. At a border it also stands for pixels outside, for its own row or column.
        from_y, from_x = y - dy, x - dx
        is_y, is_x = (from_y >= 0) & (from_y < rows), (from_x >= 0) & (from_x < columns)
        edge_y = ((dy == -1) & (y == 0)) | ((dy == 1) & (y == rows - 1))
        edge_x = ((dx == -1) & (x == 0)) | ((dx == 1) & (x == columns - 1))
        is_seen = inside[None, :] & (s < 9 * PLANES)[:, None]
        one = errors + (fit * PLANES + source)[:, None] * positions
        seeing = tl.load(one + from_y * columns + from_x, mask=is_seen & is_y & is_x, other=0.0)
        seeing += tl.load(one + y * columns + from_x, mask=is_seen & edge_y & is_x, other=0.0)
        seeing += tl.load(one + from_y * columns + x, mask=is_seen & is_y & edge_x, other=0.0)
        seeing += tl.load(one + y * columns + x, mask=is_seen & edge_y & edge_x, other=0.0)
        is_sample = (planes < PLANES)[:, None] & inside[None, :]
        here = tl.load(errors + (fit * PLANES + planes)[:, None] * positions + i[None, :], mask=is_sample, other=0.0)
        here += tl.dot(own, seeing, input_precision=BACKWARD)
        below, weight, above = _top_of(
            hidden,
            top_weight,
            top_bias,
            fit,
            i,
            inside,
            linear,
            channels,
            top,
            positions,
            NARROW,
            DEEP,
            BLOCK,
            BACKWARD,
        )
        by_one = tl.where(above > 0, tl.dot(tl.trans(of_above), here, input_precision=BACKWARD), 0.0)
        by_above += tl.dot(here, tl.trans(above), input_precision=BACKWARD)
        by_linear += tl.dot(here, tl.trans(below), input_precision=BACKWARD)
        by_top += tl.dot(by_one, tl.trans(below), input_precision=BACKWARD)
        by_hid = tl.dot(tl.trans(of_below), here, input_precision=BACKWARD) + tl.dot(
            tl.trans(weight), by_one, input_precision=BACKWARD
        )
        tl.store(
            by_hidden + (fit * linear + j)[:, None] * positions + i[None, :],
            by_hid,
            mask=(j < linear)[:, None] & inside[None, :],
        )
    own = sums + (fit * programs + program) * (DEEP * NARROW + FEW * (DEEP + NARROW))
    tl.store(own + k[:, None] * NARROW + j[None, :], by_top)
    own += DEEP * NARROW
    tl.store(own + planes[:, None] * DEEP + k[None, :], by_above)
    tl.store(own + FEW * DEEP + planes[:, None] * NARROW + j[None, :], by_linear)

"""The rate of the code and all its gradients in one Triton kernel, for many fits on a GPU; `fit.cpu.rate` for the CPU.

A block of positions goes through the context model, the Laplace distribution and back while it lies in registers. Only
the gradients by neighbours are written out; a second kernel gathers them. Each program keeps sums over its positions.
They are added up outside, in a fixed order.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import torch
import triton
import triton.language as tl

from ...format.arch import NEIGHBOURS, Arch
from ..loss.terms import GREATEST_SCALE, LEAST_SCALE, NAT

BLOCK = 64
"""Positions that go through at once."""
WARPS = 4
"""Warps for one block."""
PROGRAMS = 528
"""Programs for one fit, at most: four on each multiprocessor of an H200. Each keeps sums of its own."""
LEAST_SIDE = 16
"""Rows and columns, at least, of a matrix in `tl.dot`."""
FORWARD = tl.constexpr("tf32x3")
"""Tensor cores make three products for one on the way forward, which is about as exact as float32."""
BACKWARD = tl.constexpr("tf32")
"""They multiply to 11 bits on the way back: gradients hold more noise than that."""


def fused_bits(
    arch: Arch, octave: int, planes: torch.Tensor, features: torch.Tensor, numbers: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Compute the bits of an octave's code for every fit: (B,), differentiable by all that is passed.

    planes: (B, P, rows, columns) in code units. features: (B, FEATURES + 1, rows, columns). numbers: name -> (B, ...),
    the weights of all fits.
    """
    bias = numbers["context.3.bias"][:, arch.coded_octaves.index(octave)]
    weights = [numbers[f"context.{layer}.{part}"] for layer in (1, 2) for part in ("weight", "bias")]
    return _FusedBits.apply(planes, features, *weights, numbers["context.3.weight"], bias, arch.neighbours)


def padded(count: int) -> int:
    """Find the side of a matrix in `tl.dot` that holds so many rows or columns."""
    return max(LEAST_SIDE, triton.next_power_of_2(count))


def scaled(parts: Sequence[torch.Tensor], gradient: torch.Tensor) -> list[torch.Tensor]:
    """Multiply gradients (B, ...) that were made for a gradient of 1 by that of each fit (B,)."""
    return [part * gradient.reshape(-1, *[1] * (part.ndim - 1)) for part in parts]


@cache
def _reach(count, device):
    """Make a tensor of dx, then dy, of the neighbours.

    It is made once, since a graph that is being captured takes nothing from the host.
    """
    return torch.tensor(NEIGHBOURS[:count], dtype=torch.int32, device=device).T.contiguous()


class _FusedBits(torch.autograd.Function):
    """The bits of an octave's code.

    All gradients are made on the way forward, for a gradient of 1, and scaled on the way back.
    """

    @staticmethod
    def forward(ctx, planes, features, weight_1, bias_1, weight_2, bias_2, weight_3, bias_3, neighbours):
        fits, count, rows, columns = planes.shape
        hidden, inputs = weight_1.shape[1:]
        positions = count * rows * columns
        programs = min(PROGRAMS, triton.cdiv(positions, BLOCK))
        reach = _reach(neighbours, planes.device)
        # Each side but the outputs' holds one more, for the biases.
        wide, deep, few = (padded(n + 1) for n in (inputs, hidden, 1))
        by_input = planes.new_empty(fits, inputs, positions)
        by_value = planes.new_empty(fits, positions)
        lengths = deep * wide, deep * deep, few * deep, few * wide, 1
        sums = planes.new_empty(fits, programs, sum(lengths))
        parts = [part.contiguous() for part in (planes, features, weight_1, bias_1, weight_2, bias_2, weight_3, bias_3)]
        _rate[(programs, fits)](
            *parts,
            reach,
            by_input,
            by_value,
            sums,
            rows,
            columns,
            positions,
            hidden,
            inputs,
            LEAST_SCALE,
            GREATEST_SCALE,
            NAT,
            NEIGHBOURS=neighbours,
            WIDE=wide,
            DEEP=deep,
            FEW=few,
            BLOCK=BLOCK,
            num_warps=WARPS,
            num_stages=1,
        )
        by_planes = torch.empty_like(parts[0])
        _gather[(triton.cdiv(positions, BLOCK), fits)](
            by_input, by_value, reach, by_planes, rows, columns, positions, inputs, NEIGHBOURS=neighbours, BLOCK=BLOCK
        )
        by_1, by_2, by_3, by_past, bits = sums.sum(1).split(lengths, 1)
        by_1, by_2, by_3, by_past = (
            by_1.reshape(fits, deep, wide),
            by_2.reshape(fits, deep, deep),
            by_3.reshape(fits, few, deep),
            by_past.reshape(fits, few, wide),
        )
        ctx.save_for_backward(
            by_planes,
            by_input[:, neighbours:].reshape(fits, features.shape[1], count, rows, columns).sum(2),
            by_1[:, :hidden, :inputs],
            by_1[:, :hidden, inputs],
            by_2[:, :hidden, :hidden],
            by_2[:, :hidden, hidden],
            torch.cat([by_3[:, :2, :hidden], by_past[:, :2, :inputs]], 2),
            by_3[:, :2, hidden],
        )
        return bits[:, 0].clone()

    @staticmethod
    def backward(ctx, gradient):
        return *scaled(ctx.saved_tensors, gradient), None


@triton.jit
def _rate(
    planes,
    features,
    weight_1,
    bias_1,
    weight_2,
    bias_2,
    weight_3,
    bias_3,
    reach,
    by_input,
    by_value,
    sums,
    rows,
    columns,
    positions,
    hidden,
    inputs,
    least,
    greatest,
    nat,
    NEIGHBOURS: tl.constexpr,
    WIDE: tl.constexpr,
    DEEP: tl.constexpr,
    FEW: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Compute one program's share of the positions of one fit.

    The biases are the column behind a matrix's last; a row of ones stands behind its inputs.
    """
    program, programs, fit = tl.program_id(0), tl.num_programs(0), tl.program_id(1).to(tl.int64)
    k, h, r = tl.arange(0, WIDE), tl.arange(0, DEEP), tl.arange(0, FEW)
    plane_size = rows * columns
    is_neighbour, is_feature, is_one = k < NEIGHBOURS, (k >= NEIGHBOURS) & (k < inputs), k == inputs
    dx, dy = tl.load(reach + k, mask=is_neighbour, other=0), tl.load(reach + NEIGHBOURS + k, mask=is_neighbour, other=0)
    is_row = (h < hidden)[:, None]
    first = tl.load(
        weight_1 + fit * hidden * inputs + h[:, None] * inputs + k[None, :],
        mask=is_row & (k < inputs)[None, :],
        other=0.0,
    )
    first += tl.load(bias_1 + fit * hidden + h[:, None] + k[None, :] * 0, mask=is_row & is_one[None, :], other=0.0)
    second = tl.load(
        weight_2 + fit * hidden * hidden + h[:, None] * hidden + h[None, :],
        mask=is_row & (h < hidden)[None, :],
        other=0.0,
    )
    second += tl.load(
        bias_2 + fit * hidden + h[:, None] + h[None, :] * 0, mask=is_row & (h == hidden)[None, :], other=0.0
    )
    last, is_output = weight_3 + 2 * fit * (hidden + inputs) + r[:, None] * (hidden + inputs), (r < 2)[:, None]
    third = tl.load(last + h[None, :], mask=is_output & (h < hidden)[None, :], other=0.0)
    third += tl.load(bias_3 + 2 * fit + r[:, None] + h[None, :] * 0, mask=is_output & (h == hidden)[None, :], other=0.0)
    past = tl.load(last + hidden + k[None, :], mask=is_output & (k < inputs)[None, :], other=0.0)
    by_first, by_second = tl.zeros((DEEP, WIDE), tl.float32), tl.zeros((DEEP, DEEP), tl.float32)
    by_third, by_past = tl.zeros((FEW, DEEP), tl.float32), tl.zeros((FEW, WIDE), tl.float32)
    bits = tl.zeros((BLOCK,), tl.float32)
    for start in range(program * BLOCK, positions, programs * BLOCK):
        i = start + tl.arange(0, BLOCK)
        inside = i < positions
        place = i % plane_size
        y, x = place // columns, place % columns
        to_y, to_x = y[None, :] + dy[:, None], x[None, :] + dx[:, None]
        there = inside[None, :] & is_neighbour[:, None] & (to_y >= 0) & (to_x >= 0) & (to_x < columns)
        around = (i - place)[None, :] + to_y * columns + to_x
        seen = tl.load(planes + fit * positions + around, mask=there, other=0.0)
        feature = tl.load(
            features + ((inputs - NEIGHBOURS) * fit + k - NEIGHBOURS)[:, None] * plane_size + place[None, :],
            mask=is_feature[:, None] & inside[None, :],
            other=0.0,
        )
        seen = tl.where(is_one[:, None], 1.0, seen + feature)
        one = tl.maximum(tl.dot(first, seen, input_precision=FORWARD), 0.0)
        one = tl.where((h == hidden)[:, None], 1.0, one)
        two = tl.maximum(tl.dot(second, one, input_precision=FORWARD), 0.0)
        two = tl.where((h == hidden)[:, None], 1.0, two)
        both = tl.dot(third, two, input_precision=FORWARD) + tl.dot(past, seen, input_precision=FORWARD)
        mean, log_scale = (
            tl.sum(tl.where((r == 0)[:, None], both, 0.0), 0),
            tl.sum(tl.where((r == 1)[:, None], both, 0.0), 0),
        )

        # The same as `reference.rate.laplace_bits`.
        value = tl.load(planes + fit * positions + i, mask=inside, other=0.0)
        inverse = tl.exp2(-tl.minimum(tl.maximum(log_scale, least), greatest))
        difference = value - mean
        distance = tl.abs(difference)
        within = tl.minimum(distance, 0.5)
        beyond = (distance - within) * inverse
        near, far = (0.5 - within) * inverse, (0.5 + within) * inverse
        below, above = 0.5 * tl.exp(-far), 0.5 * tl.exp(-near)
        chance = 1 - below - above
        direction = tl.where(difference > 0, 1.0, tl.where(difference < 0, -1.0, 0.0))
        by_difference = tl.where(inside, (above - below) * inverse / chance * direction / nat, 0.0)
        by_log = (near * above + far * below) / chance - beyond
        by_log = tl.where((log_scale > greatest) & (by_log < 0), 0.0, by_log)
        by_log = tl.where((log_scale < least) & (by_log > 0), 0.0, by_log)
        by_log = tl.where(inside, by_log, 0.0)
        bits += tl.where(inside, (beyond - tl.log(chance)) / nat, 0.0)

        by_both = tl.where(
            (r == 0)[:, None], -by_difference[None, :], tl.where((r == 1)[:, None], by_log[None, :], 0.0)
        )
        by_third += tl.dot(by_both, tl.trans(two), input_precision=BACKWARD)
        by_past += tl.dot(by_both, tl.trans(seen), input_precision=BACKWARD)
        by_two = tl.where(two > 0, tl.dot(tl.trans(third), by_both, input_precision=BACKWARD), 0.0)
        by_second += tl.dot(by_two, tl.trans(one), input_precision=BACKWARD)
        by_one = tl.where(one > 0, tl.dot(tl.trans(second), by_two, input_precision=BACKWARD), 0.0)
        by_first += tl.dot(by_one, tl.trans(seen), input_precision=BACKWARD)
        by_seen = tl.dot(tl.trans(first), by_one, input_precision=BACKWARD) + tl.dot(
            tl.trans(past), by_both, input_precision=BACKWARD
        )
        tl.store(
            by_input + (fit * inputs + k)[:, None] * positions + i[None, :],
            by_seen,
            mask=(k < inputs)[:, None] & inside[None, :],
        )
        tl.store(by_value + fit * positions + i, by_difference, mask=inside)

    own = sums + (fit * programs + program) * (DEEP * (WIDE + DEEP) + FEW * (DEEP + WIDE) + 1)
    tl.store(own + h[:, None] * WIDE + k[None, :], by_first)
    own += DEEP * WIDE
    tl.store(own + h[:, None] * DEEP + h[None, :], by_second)
    own += DEEP * DEEP
    tl.store(own + r[:, None] * DEEP + h[None, :], by_third)
    own += FEW * DEEP
    tl.store(own + r[:, None] * WIDE + k[None, :], by_past)
    tl.store(own + FEW * WIDE + tl.arange(0, 1), tl.sum(bits, 0))


@triton.jit
def _gather(
    by_input,
    by_value,
    reach,
    by_planes,
    rows,
    columns,
    positions,
    inputs,
    NEIGHBOURS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Add up the gradients by every integer: as a neighbour of others, and by its own difference from the mean."""
    fit = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < positions
    place = i % (rows * columns)
    y, x = place // columns, place % columns
    total = tl.load(by_value + fit * positions + i, mask=inside, other=0.0)
    for k in range(NEIGHBOURS):
        to_x, to_y = x - tl.load(reach + k), y - tl.load(reach + NEIGHBOURS + k)
        there = inside & (to_y < rows) & (to_x >= 0) & (to_x < columns)
        total += tl.load(
            by_input + (fit * inputs + k) * positions + (i - place) + to_y * columns + to_x, mask=there, other=0.0
        )
    tl.store(by_planes + fit * positions + i, total, mask=inside)

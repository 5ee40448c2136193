"""The rate of the code and all its gradients in one Triton kernel: what `rate` is on the CPU, for many fits on a GPU.

A block of positions goes through the context model, the Laplace distribution and back while it lies in registers; only what the neighbours
get is written out and gathered by a second kernel. Sums over positions are kept for each program and added up outside, in a fixed order.
"""

from functools import cache

import torch
import triton
import triton.language as tl

from ..arch import NEIGHBOURS
from .recipe import GREATEST_SCALE, LEAST_SCALE, NAT

BLOCK, WARPS = 64, 4
"""Positions that go through at once, on so many warps: for an H100 or H200 (sm_90) the most that needs no memory but registers, of which it takes 192."""
PROGRAMS = 528
"""At most, for one fit: four on each multiprocessor of an H200. Each keeps sums of its own."""
LEAST_SIDE = 16
"""Of a matrix in `tl.dot`."""


def fused_bits(arch, octave, planes, features, numbers):
    """Bits of an octave's code of every fit: (B,), differentiable by all that is passed.

    planes: (B, P, rows, columns) in code units. features: (B, FEATURES + 1, rows, columns). numbers: name -> (B, ...), the weights of all fits.
    """
    bias = numbers["context.3.bias"][:, arch.coded_octaves.index(octave)]
    weights = [numbers[f"context.{layer}.{part}"] for layer in (1, 2) for part in ("weight", "bias")]
    return _FusedBits.apply(planes, features, *weights, numbers["context.3.weight"], bias, arch.neighbours)


@cache
def _reach(count, device):
    """dx, then dy of the neighbours; made once, since a graph that is being captured takes nothing from the host."""
    return torch.tensor(NEIGHBOURS[:count], dtype=torch.int32, device=device).T.contiguous()


class _FusedBits(torch.autograd.Function):
    """All gradients are made on the way forward, for a gradient of 1, and scaled on the way back."""

    @staticmethod
    def forward(ctx, planes, features, weight_1, bias_1, weight_2, bias_2, weight_3, bias_3, neighbours):
        fits, count, rows, columns = planes.shape
        hidden, inputs = weight_1.shape[1:]
        positions = count * rows * columns
        programs = min(PROGRAMS, triton.cdiv(positions, BLOCK))
        reach = _reach(neighbours, planes.device)
        wide, deep = (max(LEAST_SIDE, triton.next_power_of_2(n)) for n in (inputs, hidden))
        by_input = planes.new_empty(fits, inputs, positions)
        by_value = planes.new_empty(fits, positions)
        sums = planes.new_empty(fits, programs, deep * (wide + deep + 4) + 2 * wide + 3)
        parts = [part.contiguous() for part in (planes, features, weight_1, bias_1, weight_2, bias_2, weight_3, bias_3)]
        _rate[(programs, fits)](
            *parts, reach, by_input, by_value, sums, rows, columns, positions, hidden, inputs, LEAST_SCALE, GREATEST_SCALE, NAT,
            NEIGHBOURS=neighbours, WIDE=wide, DEEP=deep, BLOCK=BLOCK, num_warps=WARPS,
        )  # fmt: skip
        by_planes = torch.empty_like(parts[0])
        _gather[(triton.cdiv(positions, BLOCK), fits)](
            by_input, by_value, reach, by_planes, rows, columns, positions, inputs, NEIGHBOURS=neighbours, BLOCK=BLOCK
        )
        total = sums.sum(1)
        sizes = (deep * wide, deep, deep * deep, deep, deep, deep, wide, wide, 2, 1)
        by_1, by_bias_1, by_2, by_bias_2, by_mean, by_scale, mean_by_input, scale_by_input, by_bias_3, bits = total.split(sizes, 1)
        ctx.save_for_backward(
            by_planes,
            by_input[:, neighbours:].reshape(fits, features.shape[1], count, rows, columns).sum(2),
            by_1.reshape(fits, deep, wide)[:, :hidden, :inputs], by_bias_1[:, :hidden],
            by_2.reshape(fits, deep, deep)[:, :hidden, :hidden], by_bias_2[:, :hidden],
            torch.stack([torch.cat([by_h[:, :hidden], by_x[:, :inputs]], 1) for by_h, by_x in ((by_mean, mean_by_input), (by_scale, scale_by_input))], 1), by_bias_3,
        )  # fmt: skip
        return bits[:, 0].clone()

    @staticmethod
    def backward(ctx, gradient):
        scaled = [part * gradient.reshape(-1, *[1] * (part.ndim - 1)) for part in ctx.saved_tensors]
        return *scaled, None


@triton.jit
def _rate(
    planes, features, weight_1, bias_1, weight_2, bias_2, weight_3, bias_3, reach, by_input, by_value, sums,
    rows, columns, positions, hidden, inputs, least, greatest, nat,
    NEIGHBOURS: tl.constexpr, WIDE: tl.constexpr, DEEP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One program's share of the positions of one fit."""
    program, programs, fit = tl.program_id(0), tl.num_programs(0), tl.program_id(1)
    k, h = tl.arange(0, WIDE), tl.arange(0, DEEP)
    plane_size = rows * columns
    is_neighbour, is_feature = k < NEIGHBOURS, (k >= NEIGHBOURS) & (k < inputs)
    dx, dy = tl.load(reach + k, mask=is_neighbour, other=0), tl.load(reach + NEIGHBOURS + k, mask=is_neighbour, other=0)
    first = tl.load(
        weight_1 + fit * hidden * inputs + h[:, None] * inputs + k[None, :], mask=(h < hidden)[:, None] & (k < inputs)[None, :], other=0.0
    )
    second = tl.load(
        weight_2 + fit * hidden * hidden + h[:, None] * hidden + h[None, :], mask=(h < hidden)[:, None] & (h < hidden)[None, :], other=0.0
    )
    last = weight_3 + 2 * fit * (hidden + inputs)
    to_mean = tl.load(last + h, mask=h < hidden, other=0.0)
    to_scale = tl.load(last + hidden + inputs + h, mask=h < hidden, other=0.0)
    past_mean = tl.load(last + hidden + k, mask=k < inputs, other=0.0)
    past_scale = tl.load(last + 2 * hidden + inputs + k, mask=k < inputs, other=0.0)
    shift_1 = tl.load(bias_1 + fit * hidden + h, mask=h < hidden, other=0.0)
    shift_2 = tl.load(bias_2 + fit * hidden + h, mask=h < hidden, other=0.0)
    shift_mean, shift_scale = tl.load(bias_3 + 2 * fit), tl.load(bias_3 + 2 * fit + 1)
    by_first, by_second = tl.zeros((DEEP, WIDE), tl.float32), tl.zeros((DEEP, DEEP), tl.float32)
    by_shift_1, by_shift_2 = tl.zeros((DEEP,), tl.float32), tl.zeros((DEEP,), tl.float32)
    by_to_mean, by_to_scale = tl.zeros((DEEP,), tl.float32), tl.zeros((DEEP,), tl.float32)
    by_past_mean, by_past_scale = tl.zeros((WIDE,), tl.float32), tl.zeros((WIDE,), tl.float32)
    by_mean_sum, by_scale_sum, bits = tl.zeros((1,), tl.float32), tl.zeros((1,), tl.float32), tl.zeros((1,), tl.float32)
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
            features + ((inputs - NEIGHBOURS) * fit + k - NEIGHBOURS)[:, None] * plane_size + place[None, :], mask=is_feature[:, None] & inside[None, :], other=0.0
        )
        seen += feature
        one = tl.dot(first, seen, input_precision="ieee") + shift_1[:, None]
        open_1 = one > 0
        one = tl.where(open_1, one, 0.0)
        two = tl.dot(second, one, input_precision="ieee") + shift_2[:, None]
        open_2 = two > 0
        two = tl.where(open_2, two, 0.0)
        mean = tl.sum(to_mean[:, None] * two, 0) + tl.sum(past_mean[:, None] * seen, 0) + shift_mean
        log_scale = tl.sum(to_scale[:, None] * two, 0) + tl.sum(past_scale[:, None] * seen, 0) + shift_scale

        # As `objective.laplace_bits`.
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
        bits += tl.sum(tl.where(inside, (beyond - tl.log(chance)) / nat, 0.0), 0)

        by_mean_sum -= tl.sum(by_difference, 0)
        by_scale_sum += tl.sum(by_log, 0)
        by_to_mean -= tl.sum(two * by_difference[None, :], 1)
        by_to_scale += tl.sum(two * by_log[None, :], 1)
        by_past_mean -= tl.sum(seen * by_difference[None, :], 1)
        by_past_scale += tl.sum(seen * by_log[None, :], 1)
        by_two = tl.where(open_2, to_scale[:, None] * by_log[None, :] - to_mean[:, None] * by_difference[None, :], 0.0)
        by_second += tl.dot(by_two, tl.trans(one), input_precision="ieee")
        by_shift_2 += tl.sum(by_two, 1)
        by_one = tl.where(open_1, tl.dot(tl.trans(second), by_two, input_precision="ieee"), 0.0)
        by_first += tl.dot(by_one, tl.trans(seen), input_precision="ieee")
        by_shift_1 += tl.sum(by_one, 1)
        by_seen = tl.dot(tl.trans(first), by_one, input_precision="ieee")
        by_seen += past_scale[:, None] * by_log[None, :] - past_mean[:, None] * by_difference[None, :]
        tl.store(by_input + (fit * inputs + k)[:, None] * positions + i[None, :], by_seen, mask=(k < inputs)[:, None] & inside[None, :])
        tl.store(by_value + fit * positions + i, by_difference, mask=inside)

    own = sums + (fit * programs + program) * (DEEP * (WIDE + DEEP + 4) + 2 * WIDE + 3)
    tl.store(own + h[:, None] * WIDE + k[None, :], by_first)
    own += DEEP * WIDE
    tl.store(own + h, by_shift_1)
    own += DEEP
    tl.store(own + h[:, None] * DEEP + h[None, :], by_second)
    own += DEEP * DEEP
    tl.store(own + h, by_shift_2)
    tl.store(own + DEEP + h, by_to_mean)
    tl.store(own + 2 * DEEP + h, by_to_scale)
    own += 3 * DEEP
    tl.store(own + k, by_past_mean)
    tl.store(own + WIDE + k, by_past_scale)
    end = own + 2 * WIDE + tl.arange(0, 1)
    tl.store(end, by_mean_sum)
    tl.store(end + 1, by_scale_sum)
    tl.store(end + 2, bits)


@triton.jit
def _gather(by_input, by_value, reach, by_planes, rows, columns, positions, inputs, NEIGHBOURS: tl.constexpr, BLOCK: tl.constexpr):
    """What every integer gets as a neighbour of others, and of its own difference from the mean."""
    fit = tl.program_id(1)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < positions
    place = i % (rows * columns)
    y, x = place // columns, place % columns
    total = tl.load(by_value + fit * positions + i, mask=inside, other=0.0)
    for k in range(NEIGHBOURS):
        to_x, to_y = x - tl.load(reach + k), y - tl.load(reach + NEIGHBOURS + k)
        there = inside & (to_y < rows) & (to_x >= 0) & (to_x < columns)
        total += tl.load(by_input + (fit * inputs + k) * positions + (i - place) + to_y * columns + to_x, mask=there, other=0.0)
    tl.store(by_planes + fit * positions + i, total, mask=inside)

"""A second decoder of .ddc files, written from FORMAT.md alone, so that the tests can hold the package against it."""

import sys
import zlib
from bisect import bisect_right
from functools import cache
from io import BytesIO
from itertools import accumulate, chain
from operator import mul
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

PIXEL_LIMIT = 1_000_000  # pure Python needs minutes for such a picture
A = 2**20
BASES = Path(__file__).parent.parent / "ddcodec" / "format" / "bases.bin"

Damaged = type("Damaged", (ValueError,), {})
Unsupported = type("Unsupported", (ValueError,), {})
TooLarge = type("TooLarge", (ValueError,), {})


class Picture(NamedTuple):
    width: int
    height: int
    planes: int
    samples: bytes


def demand(condition, otherwise, kind=Damaged):
    if not condition:
        raise kind(otherwise)


def decode(data: bytes, octave: int = 0) -> Picture:
    """The picture of a file, or with `octave` one of its smaller pictures (end of chapter 7)."""
    header = read_header(data)
    demand(0 <= octave < header.octaves, f"there is no octave {octave} in this file", ValueError)
    height, width = header.sizes[octave]
    integers = sum(rows * columns * planes for (rows, columns), planes in zip(header.sizes, header.P))
    demand(
        max(height * width, integers) <= PIXEL_LIMIT,
        f"{width} x {height} pixels are more than this decoder handles",
        TooLarge,
    )
    _, words = read_body(header, data[30:])
    tensors, code, _ = read_stream(header, words)
    samples = synthesise(header, tensors, code, octave)
    demand(octave or zlib.crc32(samples) == header.samples_crc, "the samples do not have their checksum")
    return Picture(width, height, header.planes, samples)


def section_table(data: bytes) -> tuple[list[int], list[int]]:
    """The section table of a file, and what chapter 3 says that it should be."""
    header = read_header(data)
    sections, words = read_body(header, data[30:])
    ends = [min(end, len(words)) for end in read_stream(header, words)[2][:-1]] + [len(words)]
    return sections, [end - start for start, end in zip([0, *ends], ends)]


ROWS = [  # name, bits, least
    ("magic", 32, 0),
    ("version", 8, 0),
    ("required", 8, 0),
    ("width", 16, 0),
    ("height", 16, 0),
    ("planes", 2, 1),
    ("depth", 1, 0),
    ("octaves", 4, 1),
    ("coarsest_planes", 7, 1),
    ("finer_planes", 1, 0),
    ("finest_channels", 7, 1),
    ("channels", 7, 1),
    ("linear", 5, 0),
    ("top_channels", 7, 0),
    ("taps", 2, 1),
    ("neighbours", 5, 0),
    ("context_channels", 5, 1),
    ("base", 6, 0),
    ("chunks", 4, 0),
    ("detail", 1, 0),
]
SUPPORTED = {"required": (0,), "planes": (1, 3), "base": range(11)}


BASE_ROWS = {
    "coarsest_planes": 1,
    "finer_planes": 1,
    "finest_channels": 7,
    "channels": 7,
    "linear": 7,
    "top_channels": 48,
    "taps": 2,
    "neighbours": 20,
    "context_channels": 20,
}


def read_header(data):
    """Chapter 1, each row looked at when the chapter says; with the sizes that chapters 5 and 6 derive from it."""
    demand(data[:4] == b"\xdd\x44\x44\x43", "this is no .ddc file")
    demand(len(data) >= 30, "the file is shorter than its header")
    header = SimpleNamespace()
    left, bits = 144, int.from_bytes(data[:18], "big")
    for name, width, least in ROWS:
        left -= width
        setattr(header, name, (bits >> left) % 2**width + least)
    header.body_crc, header.samples_crc, header_crc = (int.from_bytes(data[i : i + 4], "big") for i in (18, 22, 26))
    header.white = 65535 if header.depth else 255
    header.C = [header.finest_channels] + [header.channels] * (header.octaves - 1)
    header.P = [header.finer_planes] * (header.octaves - 1) + [header.coarsest_planes]
    header.filtered, header.linear_of = list(header.P), [header.linear] * header.octaves
    for sizes in (header.C, header.P, header.linear_of):
        sizes[0] += 2 * header.detail
    header.S = [header.P[octave + 1 :].count(1) if header.P[octave] else 0 for octave in range(header.octaves)]
    header.coded = [octave for octave in reversed(range(header.octaves)) if header.P[octave]]
    header.sizes = [(-(-header.height >> octave), -(-header.width >> octave)) for octave in range(header.octaves)]

    demand(header.version == 12, f"version {header.version} is unsupported", Unsupported)
    demand(header_crc == zlib.crc32(data[:26]), "the header does not have its checksum")
    for name, values in SUPPORTED.items():
        demand(getattr(header, name) in values, f"{name} {getattr(header, name)} is unsupported", Unsupported)
    demand(header.width and header.height, "the picture has no pixels")
    demand(
        header.linear <= min([header.finest_channels, *header.C[1:]]),
        "an octave has fewer channels than linear ones",
    )
    demand(1 <= header.neighbours <= 20, f"{header.neighbours} neighbours are impossible")
    demand(header.base or not header.detail, "detail stands with a network without a base")
    if header.base:
        lawful = header.octaves <= 7 and all(getattr(header, name) == value for name, value in BASE_ROWS.items())
        demand(lawful, "a base stands with a network that it is not for")
    return header


def take(file, count):
    """Chapter 2: `count` bytes, if there are as many."""
    data = file.read(count)
    demand(len(data) == count, "the file ends too early")
    return data


def varint(file):
    """The conventions before chapter 1."""
    value = 0
    for group in range(4):
        (byte,) = take(file, 1)
        value |= byte % 128 << 7 * group
        if byte < 128:
            demand(byte or not group, "a varint is longer than it need be")
            return value
    raise Damaged("a varint has more than 4 bytes")


def read_body(header, body):
    """Chapters 2 and 3: the section table and the words of the stream."""
    file, seen = BytesIO(body), set()
    for _ in range(header.chunks):
        (number,) = take(file, 1)
        take(file, varint(file))
        demand(number not in {0} | seen, f"a chunk {number} is impossible here")
        if number <= 7:
            seen.add(number)
    sections = [varint(file) for _ in range(1 + len(header.coded))]
    stream = take(file, 4 * sum(sections))
    demand(zlib.crc32(body[: file.tell()]) == header.body_crc, "the body does not have its checksum")
    return sections, [int.from_bytes(stream[i : i + 4], "little") for i in range(0, len(stream), 4)]


def read_stream(header, words):
    """Chapter 3: the weights, the code, and the words taken at the end of each section."""
    decoder = RangeDecoder(words)
    tensors = read_tensors(header, decoder)
    check_bounds(header, tensors)
    ends = [decoder.taken]
    code = {}
    for octave, planes in read_code(header, tensors, decoder):
        code[octave] = planes
        ends.append(decoder.taken)
    return tensors, code, ends


class RangeDecoder:
    """Chapter 4, but a table is the running sums of its frequencies, from 0 to 2^24, which are quick to search."""

    def __init__(self, words):
        self.words, self.taken = words, 0
        self.range, self.offset = 2**64 - 1, 0
        self.shift_in()
        self.shift_in()

    def shift_in(self):
        self.offset = self.offset << 32 | (self.words[self.taken] if self.taken < len(self.words) else 0)
        self.taken += 1

    def symbol(self, sums=(0, 2**23, 2**24)):
        step = self.range >> 24
        target = self.offset // step
        demand(target < 2**24, "no range coder writes such a stream")
        symbol = bisect_right(sums, target) - 1
        self.offset -= sums[symbol] * step
        self.range = (sums[symbol + 1] - sums[symbol]) * step
        if self.range < 2**32:
            self.range <<= 32
            self.shift_in()
        return symbol

    def integers(self, group):
        """Chapter 4, "Integers": one for each (s, d, m) of the group."""
        symbols = [self.symbol(laplace_sums(s, d)) for s, d, _ in group]
        return [m + (symbol - 15 if symbol < 31 else self.escaped(s)) for (s, _, m), symbol in zip(group, symbols)]

    def escaped(self, s):
        sign = -1 if self.symbol() else 1
        k, c, r = max(0, (s - 27) // 5), 0, 0
        while self.symbol():
            c += 1
            demand(k + c <= 16, "an escaped integer is too great")
        for _ in range(k + c):
            r = 2 * r + self.symbol()
        return sign * (16 + 2**k * (2**c - 1) + r)


decay = [0] * 59 + [2145894892, 2146100489, 2146279488, 2146435328, 2146571004]
for narrow in reversed(range(59)):
    decay[narrow] = decay[narrow + 5] ** 2 + 2**30 >> 31
tail = [list(accumulate([d] * 256, lambda power, d: power * d + 2**30 >> 31, initial=2**32)) for d in decay]


@cache
def laplace_sums(s, d):
    """Chapter 4, "Laplace tables": the running sums of table (s, d)."""
    edges = [16 * k - 248 - d for k in range(32)]  # in 16ths from the mean
    below = [tail[s][-edge] if edge <= 0 else 2**33 - tail[s][edge] for edge in edges]
    masses = [upper - lower for lower, upper in zip(below, below[1:])]
    table = [mass * (2**24 - 32) // 2**33 + 1 for mass in masses + [2**33 - sum(masses)]]
    table[15] += 2**24 - sum(table)
    return list(accumulate(table, initial=0))


class Tensor(NamedTuple):
    rows: tuple = ()  # integers; a vector is a column, which gives |T| one meaning, but the taps are a row
    exponent: int = 0

    def scaled(self, exponent):
        return [[value << exponent - self.exponent for value in row] for row in self.rows]


def tensor_shapes(header):
    """Chapter 5, the first table."""
    hidden, finest = header.context_channels, header.C[0]
    yield from [("context.1.weight", hidden, header.neighbours + 7), ("context.1.bias", hidden, 1)]
    yield from [("context.2.weight", hidden, hidden), ("context.2.bias", hidden, 1)]
    yield from [("context.3.weight", 2, hidden + header.neighbours + 7), ("context.3.bias", len(header.coded), 2)]
    yield from [
        (f"context.features.{octave}", 6, header.S[octave])
        for octave in reversed(range(header.octaves))
        if header.S[octave]
    ]
    for octave in reversed(range(header.octaves)):
        if octave < header.octaves - 1:
            yield f"mix.{octave}", header.C[octave], header.C[octave + 1]
            yield f"taps.{octave}", 1, 2 * header.taps
        if header.P[octave]:
            yield f"filter.{octave}", 5, 5
            yield f"code.{octave}", header.C[octave], header.P[octave]
        yield f"bias.{octave}", header.C[octave], 1
    if header.top_channels:
        yield from [("top.weight", header.top_channels, finest), ("top.bias", header.top_channels, 1)]
    yield from [("output.weight", header.planes, finest + header.top_channels), ("output.bias", header.planes, 1)]
    yield "residual.weight", header.planes, 9 * header.planes


def base_tensors(header):
    """Chapter 5: the base of every tensor, a flat list in units of 2^-12."""
    if not header.base:
        steps = [1024 * (k == header.taps - 1) + 3072 * (k == header.taps) for k in range(2 * header.taps)]
        return {
            name: steps
            if name.startswith("taps.")
            else [4096 * (i // columns == i % columns) for i in range(rows * columns)]
            if name.startswith("context.features.")
            else [0] * (rows * columns)
            for name, rows, columns in tensor_shapes(header)
        }
    whole = SimpleNamespace(
        **BASE_ROWS, planes=3, octaves=7, C=[7] * 7, P=[1] * 7, S=[6, 5, 4, 3, 2, 1, 0], coded=range(6, -1, -1)
    )
    shapes = list(tensor_shapes(whole))
    count = sum(rows * columns for _, rows, columns in shapes)
    data = BASES.read_bytes()[2 * count * (header.base - 1) :]
    numbers, start = {}, 0
    for name, rows, columns in shapes:
        part = [
            int.from_bytes(data[2 * i : 2 * i + 2], "little", signed=True) for i in range(start, start + rows * columns)
        ]
        start += rows * columns
        if name == "context.3.bias":
            part = part[2 * (7 - header.octaves) :]
        if name.startswith("context.features."):
            wanted = header.S[int(name[17:])] if int(name[17:]) < header.octaves else 0
            part = [b for i, b in enumerate(part) if i % columns < wanted]
        if header.planes == 1 and name.startswith("output"):
            part = [sum(part[i::columns]) // 3 for i in range(columns)]
        if header.planes == 1 and name == "residual.weight":
            part = [sum(part[27 * c + 3 * place + p] for c in range(3) for p in range(3)) // 3 for place in range(9)]
        numbers[name] = part
    if header.detail:
        for name, rows, columns in tensor_shapes(header):
            if name in ("mix.0", "bias.0"):
                numbers[name] += [0] * (2 * columns)
            if name == "code.0":
                numbers[name] = [value for entry in numbers[name] for value in (entry, 0, 0)] + [0, 8192, 0, 0, 0, 8192]
            if name in ("top.weight", "output.weight"):
                old, part = columns - 2, numbers[name]
                lines = [part[start : start + old] for start in range(0, rows * old, old)]
                numbers[name] = [value for line in lines for value in (*line[:7], 0, 0, *line[7:])]
    return numbers


def read_tensors(header, decoder):
    """Chapter 5: exponent, scale and elements of every tensor."""
    tensors, exponent, scale, bases = {}, 6, 27, base_tensors(header)
    for name, rows, columns in tensor_shapes(header):
        values, common = [0] * (rows * columns), 0
        if not header.base or name.split(".")[0] not in ("mix", "code", "bias"):
            exponent += decoder.integers([(27, 0, 0)])[0]
            scale += decoder.integers([(37, 0, 0)])[0]
            demand(0 <= exponent <= 15 and 0 <= scale <= 63, f"tensor {name} has an impossible exponent or scale")
            values, common = decoder.integers([(scale, 0, 0)] * (rows * columns)), exponent
        if any(bases[name]):
            own, common = common, max(common, 12)
            values = [(b << common - 12) + (d << common - own) for b, d in zip(bases[name], values)]
        demand(max(map(abs, values)) <= 32767, f"tensor {name} has an impossible weight")
        tensors[name] = Tensor([values[i : i + columns] for i in range(0, len(values), columns)], common)
    return tensors


def affine_layer(tensors, name, bias_shift):
    """Chapters 5 to 7: the S of a layer's bound, its weight and its shifted bias, both in units of 2^-S."""
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    s = max(weight.exponent, bias.exponent)
    return s, weight.scaled(s), bias.scaled(s + bias_shift)


def octave_layer(tensors, octave):
    """Chapters 5 to 7: the same of an octave, with its mix and taps as they are; empty where it has none."""
    mix, taps, code, bias = (tensors.get(f"{kind}.{octave}", Tensor()) for kind in ("mix", "taps", "code", "bias"))
    s = max(2 * taps.exponent, code.exponent, bias.exponent)
    return s, mix, taps, code.scaled(s), bias.scaled(s + 12)


def norm(rows):
    """Chapter 5: |T|."""
    return max((sum(map(abs, row)) for row in rows), default=0)


def peak(rows):
    """Chapter 5: |T| of a bias."""
    return max(max(map(abs, row)) for row in rows)


def check_bounds(header, tensors):
    """Chapter 5, "Exactness"."""
    contexts = [affine_layer(tensors, f"context.{number}", 8) for number in (1, 2, 3)]
    bounds = [A * norm(weight) + peak(bias) + 2**s for s, weight, bias in contexts[:2]]
    s, weight, bias = contexts[2]
    bounds.append(5 * (A * norm(weight) + peak(bias)) + 2 ** (s + 8))
    for octave in range(header.octaves):
        s, _, taps, code, bias = octave_layer(tensors, octave)
        bounds.append((A * norm(taps.rows) ** 2 << s - 2 * taps.exponent) + A * norm(code) + peak(bias) + 2**s)
    if header.top_channels:
        s, weight, bias = affine_layer(tensors, "top", 12)
        bounds.append(A * norm(weight) + peak(bias) + 2**s)
    s, weight, bias = affine_layer(tensors, "output", 12)
    bounds.append(header.white * (A * norm(weight) + peak(bias)) + 2 ** (s + 12))
    residual = tensors["residual.weight"]
    bounds.append(header.white * A * (norm(residual.rows) + 2**residual.exponent) + 2 ** (residual.exponent + 16))
    demand(max(bounds) < 2**53, "the weights are too great for exact doubles")


NEIGHBOURS = [
    (-1, 0),
    (0, -1),
    (-1, -1),
    (1, -1),
    (-2, 0),
    (0, -2),
    (-2, -1),
    (2, -1),
    (-1, -2),
    (1, -2),
    (-3, 0),
    (0, -3),
    (-2, -2),
    (2, -2),
    (-3, -1),
    (-1, -3),
    (1, -3),
    (3, -2),
    (-3, -2),
    (4, -2),
]
MARGIN = 4  # no neighbour is farther away


def dot(row, values):
    return sum(map(mul, row, values))


def divide(z, exponent):
    """floor(z / 2^exponent + 1/2), the rounding of chapters 6 and 7."""
    return 2 * z + 2**exponent >> exponent + 1


def settle(z, exponent, linear):
    """Chapter 6, of the number z 2^-exponent."""
    return max(-A if linear else 0, min(A, divide(z, exponent)))


def context_model(header, tensors):
    """Chapter 6, "Layers": a function from the inputs and the number of the octave's last bias to (s, d, m)."""
    *hidden, (last, last_weight, last_biases) = (affine_layer(tensors, f"context.{n}", 8) for n in (1, 2, 3))

    def predict(x, index):
        h = x
        for s, weight, bias in hidden:
            h = [settle(dot(row, h) + one, s, False) for row, (one,) in zip(weight, bias)]
        o = [dot(row, h + x) + one for row, one in zip(last_weight, last_biases[index])]
        mean = max(-65520, min(65520, divide(o[0], last + 4)))
        m = mean + 8 >> 4
        return max(0, min(63, divide(5 * o[1], last + 8) + 27)), mean - 16 * m, m

    return predict


def read_code(header, tensors, decoder):
    """Chapter 6: the number and the planes of one octave after the other."""
    predict, seen = context_model(header, tensors), []
    for index, octave in enumerate(header.coded):
        planes = read_octave(header, decoder, predict, octave_features(header, tensors, seen, octave), index, octave)
        if len(planes) == 1:
            seen = [[[256 * value for value in row] for row in planes[0]]] + [
                doubled(plane, *header.sizes[octave]) for plane in seen
            ]
        yield octave, planes


def doubled(plane, rows, columns):
    """Chapter 6: `round(double(plane) / 16)`."""
    return [[settle(value, 4, True) for value in row] for row in upsampled(plane, (1, 3), rows, columns)]


def octave_features(header, tensors, seen, octave):
    """Chapter 6, "Features": seven planes, each a list of rows; `seen` are the planes s' of the next coarser octave."""
    rows, columns = header.sizes[octave]
    if not header.S[octave]:
        return [[[0] * columns] * rows] * 7
    weights = tensors[f"context.features.{octave}"]
    mixed = [
        [[settle(dot(weight, values), weights.exponent, True) for values in zip(*lines)] for lines in zip(*seen)]
        for weight in weights.rows
    ]
    return [doubled(plane, rows, columns) for plane in mixed + [[list(map(abs, row)) for row in seen[0]]]]


def read_octave(header, decoder, predict, features, index, octave):
    """Chapter 6: the planes of one octave, each a list of rows."""
    rows, columns = header.sizes[octave]
    stride = columns + 2 * MARGIN
    offsets = [dy * stride + dx for dx, dy in NEIGHBOURS[: header.neighbours]]
    starts = [(y + MARGIN) * stride + MARGIN for y in range(rows)]
    planes = []
    for _ in range(header.P[octave]):
        q = [0] * (stride * (rows + MARGIN))
        for t in range(columns + 3 * (rows - 1)):
            places = [(t - 3 * y, y) for y in range(max(0, -(-(t - columns + 1) // 3)), min(rows, t // 3 + 1))]
            inputs = (
                [256 * q[starts[y] + x + offset] for offset in offsets] + [plane[y][x] for plane in features]
                for x, y in places
            )
            for (x, y), value in zip(places, decoder.integers([predict(numbers, index) for numbers in inputs])):
                demand(abs(value) <= 4095, "an integer of the code is too great")
                q[starts[y] + x] = value
        planes.append([q[start : start + columns] for start in starts])
    return planes


def upsampled(plane, taps, rows, columns):
    """Chapter 7: `up` with integer taps, which with (1, 3) is also chapter 6's `double`."""
    n, mirrored = len(taps) // 2, taps[::-1]
    for length in columns, rows:  # each turn doubles the rows' length and leaves the plane transposed
        wide = []
        for row in plane:
            a = [row[0]] * n + list(row) + [row[-1]] * n
            pairs = ((dot(taps, a[i : i + 2 * n]), dot(mirrored, a[i + 1 : i + 1 + 2 * n])) for i in range(len(row)))
            wide.append(list(chain.from_iterable(pairs))[:length])
        plane = list(zip(*wide))
    return plane


def synthesise(header, tensors, code, smallest):
    """Chapter 7; `pixels` are those of the octave before, each with all its channels."""
    pixels = []
    for octave in reversed(range(header.octaves)):
        s, z = octave_sums(header, tensors, code, smallest, octave, pixels)
        pixels = list(
            zip(*([settle(v, s, j < header.linear_of[octave]) for v in channel] for j, channel in enumerate(z)))
        )
    if header.top_channels:
        s, weight, bias = affine_layer(tensors, "top", 12)
        pixels = [h + tuple(settle(dot(row, h) + one, s, False) for row, (one,) in zip(weight, bias)) for h in pixels]
    s, weight, bias = affine_layer(tensors, "output", 12)
    outputs = [
        [max(-A, min(A, divide(16 * (dot(row, pixel) + one), s))) for row, (one,) in zip(weight, bias)]
        for pixel in pixels
    ]
    samples, white = residual_samples(header, tensors["residual.weight"], outputs, smallest), header.white
    return b"".join(max(0, min(white, sample)).to_bytes(1 + header.depth, "big") for sample in samples)


def residual_samples(header, residual, outputs, smallest):
    """Chapter 7, after `v`: the samples before they are clipped, pixel by pixel."""
    rows, columns = header.sizes[smallest]
    for y in range(rows):
        for x in range(columns):
            square, own = [], outputs[y * columns + x]
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    row, column = (
                        (y, x) if smallest else (max(0, min(rows - 1, y + dy)), max(0, min(columns - 1, x + dx)))
                    )
                    square += outputs[row * columns + column]
            for one, weights in zip(own, residual.rows):
                yield divide(header.white * ((one << residual.exponent) + dot(weights, square)), residual.exponent + 16)


def alpha_plane(header, prediction, differences):
    """Chapter 8: the rows of alpha from a chunk's first byte and the content of its frame, which the standard library
    cannot decompress.
    """
    demand(prediction <= 3, f"there is no prediction {prediction} of alpha")
    count = header.width * header.height
    demand(len(differences) == count * (1 + header.depth), "alpha has another size than the picture")
    planes = [differences[i : i + count] for i in range(0, len(differences), count)]
    rows = []
    for y in range(header.height):
        rows.append([])
        for x in range(header.width):
            d = int.from_bytes(bytes(plane[y * header.width + x] for plane in planes), "big")
            left = rows[y][x - 1] if x and prediction in (1, 3) else 0
            above = rows[y - 1][x] if y and prediction in (2, 3) else 0
            corner = rows[y - 1][x - 1] if x and y and prediction == 3 else 0
            rows[y].append((d + left + above - corner) % (header.white + 1))
    return rows


def octave_sums(header, tensors, code, smallest, octave, pixels):
    """Chapter 7: z 2^S of one octave, a flat list for each channel, after S; below `smallest` nothing grows."""
    s, mix, taps, matrix, bias = octave_layer(tensors, octave)
    rows, columns = header.sizes[max(octave, smallest)]
    z = [[value] * (rows * columns) for (value,) in bias]
    if octave in code:
        weights, first, finer = tensors[f"filter.{octave}"], header.filtered[octave], max(smallest - octave, 0)
        filtered = filtered_code(weights, code[octave][:first], finer)
        q = list(zip(*filtered, *filtered_code(NO_FILTER, code[octave][first:], finer)))
        for j, row in enumerate(matrix):
            z[j] = [total + dot(row, values) for total, values in zip(z[j], q)]
    for j, row in enumerate(mix.rows):
        m = [max(-A, min(A, divide(dot(row, pixel), mix.exponent))) for pixel in pixels]
        if octave >= smallest:
            width = header.sizes[octave + 1][1]
            plane = [m[i : i + width] for i in range(0, len(m), width)]
            up = chain.from_iterable(upsampled(plane, taps.rows[0], rows, columns))
        else:
            up = [sum(taps.rows[0]) ** 2 * value for value in m]
        z[j] = [total + (value << s - 2 * taps.exponent) for total, value in zip(z[j], up)]
    return s, z


NO_FILTER = Tensor([[0] * 5] * 5)


def filtered_code(weights, planes, finer):
    """Chapter 7: `f` of every plane of an octave, a flat list; `finer`: by how many octaves the picture is smaller."""
    unit = 2**weights.exponent
    for plane in planes:
        if finer:
            gain = unit + sum(map(sum, weights.rows))
            yield [settle(gain * mean, weights.exponent, True) for mean in square_means(plane, 2**finer)]
            continue
        blank = [0] * (len(plane[0]) + 4)
        wide = [blank] * 2 + [[0, 0, *(256 * value for value in row), 0, 0] for row in plane] + [blank] * 2
        yield [
            settle(
                unit * wide[y + 2][x + 2] + sum(dot(row, wide[y + k][x : x + 5]) for k, row in enumerate(weights.rows)),
                weights.exponent,
                True,
            )
            for y in range(len(plane))
            for x in range(len(plane[0]))
        ]


def square_means(plane, side):
    """Chapter 7, "Smaller pictures": 256 times the mean over each square, rounded; a flat list."""
    means = []
    for y in range(0, len(plane), side):
        for x in range(0, len(plane[0]), side):
            square = [value for row in plane[y : y + side] for value in row[x : x + side]]
            means.append((512 * sum(square) + len(square)) // (2 * len(square)))
    return means


def main(arguments):
    demand(len(arguments) == 1, "usage: witness.py FILE.ddc", SystemExit)
    try:
        with open(arguments[0], "rb") as file:
            picture = decode(file.read())
    except (OSError, ValueError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 4 if isinstance(error, Damaged) else 5 if isinstance(error, (Unsupported, TooLarge)) else 2
    print(picture.width, picture.height, picture.planes, f"{zlib.crc32(picture.samples):08x}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

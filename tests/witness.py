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
A = 2**15 - 1
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
    ("required", 6, 0),
    ("headroom", 2, 0),
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

    demand(header.version == 13, f"version {header.version} is unsupported", Unsupported)
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


def affine_layer(tensors, name, bits, weight="{}.weight", bias="{}.bias"):
    """Chapter 5, "Arithmetic": the E of a layer's weight, its rows, and the bias in units of 2^-E activations."""
    rows, exponent = tensors.get(weight.format(name), Tensor())
    bias = tensors[bias.format(name)]
    by = exponent + bits - bias.exponent
    return exponent, rows, [[value << by if by >= 0 else value >> -by for value in row] for row in bias.rows]


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


def modulo(z, half=0):
    """Chapter 5: the integer from -2^31 - half on that stands for z."""
    return (z + half + 2**31) % 2**32 - 2**31 - half


def divide(z, shift):
    """floor(z / 2^shift + 1/2), the rounding of chapters 6 and 7; `shift` may be negative."""
    return 2 * z + 2**shift >> shift + 1 if shift > 0 else z << -shift


def quotient(z, shift):
    """The same of a sum modulo 2^32."""
    return divide(modulo(z, 2**shift // 2 if shift > 0 else 0), shift)


def clip(value, least=-A - 1):
    """Chapter 6: an activation."""
    return max(least, min(A, value))


def settle(z, exponent, linear):
    """Chapter 6, of the sum z 2^-exponent."""
    return clip(quotient(z, exponent), -A - 1 if linear else 0)


def shown(value):
    """Chapter 6: an integer of the code as contexts see it."""
    return 256 * max(-127, min(127, value))


def context_model(header, tensors):
    """Chapter 6, "Layers": a function from the inputs and the number of the octave's last bias to (s, d, m)."""
    *hidden, (last, last_weight, last_biases) = (affine_layer(tensors, f"context.{n}", 8) for n in (1, 2, 3))

    def predict(x, index):
        h = x
        for s, weight, bias in hidden:
            h = [settle(dot(row, h) + one, s, False) for row, (one,) in zip(weight, bias)]
        o = [modulo(dot(row, h + x) + one) for row, one in zip(last_weight, last_biases[index])]
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
            seen = [[[shown(value) for value in row] for row in planes[0]]] + [
                doubled(plane, *header.sizes[octave]) for plane in seen
            ]
        yield octave, planes


def doubled(plane, rows, columns):
    """Chapter 6: `round(double(plane) / 16)`."""
    return [[divide(value, 4) for value in row] for row in upsampled(plane, (1, 3), rows, columns)]


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
                [shown(q[starts[y] + x + offset]) for offset in offsets] + [plane[y][x] for plane in features]
                for x, y in places
            )
            for (x, y), value in zip(places, decoder.integers([predict(numbers, index) for numbers in inputs])):
                demand(abs(value) <= 4095, "an integer of the code is too great")
                q[starts[y] + x] = value
        planes.append([q[start : start + columns] for start in starts])
    return planes


def upsampled(plane, taps, rows, columns, rounded=lambda sum: sum):
    """Chapter 7: `up` with integer taps, which with (1, 3) and without rounding is also chapter 6's `double`."""
    n, mirrored = len(taps) // 2, taps[::-1]
    plane = list(zip(*plane))
    for length in rows, columns:  # each turn doubles the rows' length and leaves the plane transposed
        wide = []
        for row in plane:
            a = [row[0]] * n + list(row) + [row[-1]] * n
            pairs = ((dot(taps, a[i : i + 2 * n]), dot(mirrored, a[i + 1 : i + 1 + 2 * n])) for i in range(len(row)))
            wide.append([rounded(sum) for sum in chain.from_iterable(pairs)][:length])
        plane = list(zip(*wide))
    return list(zip(*plane))


def synthesise(header, tensors, code, smallest):
    """Chapter 7; `pixels` are those of the octave before, each with all its channels."""
    pixels = []
    for octave in reversed(range(header.octaves)):
        z = octave_sums(header, tensors, code, smallest, octave, pixels)
        pixels = list(
            zip(*([clip(v, -A - 1 if j < header.linear_of[octave] else 0) for v in row] for j, row in enumerate(z)))
        )
    bits = 12 - header.headroom
    if header.top_channels:
        s, weight, bias = affine_layer(tensors, "top", bits)
        pixels = [h + tuple(settle(dot(row, h) + one, s, False) for row, (one,) in zip(weight, bias)) for h in pixels]
    s, weight, bias = affine_layer(tensors, "output", bits)
    outputs = [
        [
            max(-(2**18), min(2**18, quotient(dot(row, pixel) + one, s - 4 - header.headroom)))
            for row, (one,) in zip(weight, bias)
        ]
        for pixel in pixels
    ]
    samples, white = residual_samples(header, tensors["residual.weight"], outputs, smallest), header.white
    return b"".join(max(0, min(white, sample)).to_bytes(1 + header.depth, "big") for sample in samples)


def residual_samples(header, residual, outputs, smallest):
    """Chapter 7, after `v`: the samples before they are clipped, pixel by pixel."""
    rows, columns = header.sizes[smallest]
    around = [[clip(divide(value, 2)) for value in pixel] for pixel in outputs]
    for y in range(rows):
        for x in range(columns):
            square, own = [], outputs[y * columns + x]
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    row, column = (
                        (y, x) if smallest else (max(0, min(rows - 1, y + dy)), max(0, min(columns - 1, x + dx)))
                    )
                    square += around[row * columns + column]
            for one, weights in zip(own, residual.rows):
                yield divide(header.white * (one + quotient(dot(weights, square), residual.exponent - 2)), 16)


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
    """Chapter 7: what `settle` is given for one octave, rounded; below `smallest` nothing grows."""
    rows, columns = header.sizes[max(octave, smallest)]
    s, matrix, bias = affine_layer(tensors, octave, 12 - header.headroom, "code.{}", "bias.{}")
    z = [[value] * (rows * columns) for (value,) in bias]
    if octave in code:
        weights, first, finer = tensors[f"filter.{octave}"], header.filtered[octave], max(smallest - octave, 0)
        shift = 8 - header.headroom
        filtered = filtered_code(weights, code[octave][:first], finer, shift)
        q = list(zip(*filtered, *filtered_code(NO_FILTER, code[octave][first:], finer, shift)))
        z = [[value + dot(row, values) for value, values in zip(own, q)] for own, row in zip(z, matrix)]
    z = [[quotient(value, s) for value in row] for row in z]
    if octave == header.octaves - 1:
        return z
    mix, taps = tensors[f"mix.{octave}"], tensors[f"taps.{octave}"]
    rounded = lambda sum: settle(sum, taps.exponent, True)
    for j, row in enumerate(mix.rows):
        m = [settle(dot(row, pixel), mix.exponent, True) for pixel in pixels]
        if octave >= smallest:
            width = header.sizes[octave + 1][1]
            plane = [m[i : i + width] for i in range(0, len(m), width)]
            up = chain.from_iterable(upsampled(plane, taps.rows[0], rows, columns, rounded))
        else:
            gain = sum(taps.rows[0])
            up = [rounded(gain * rounded(gain * value)) for value in m]
        z[j] = [total + value for total, value in zip(z[j], up)]
    return z


NO_FILTER = Tensor([[0] * 5] * 5)


def filtered_code(weights, planes, finer, bits):
    """Chapter 7: `f` of every plane of an octave, a flat list; `finer`: by how many octaves the picture is smaller."""
    unit = 2**weights.exponent
    for plane in planes:
        if finer:
            gain = unit + sum(map(sum, weights.rows))
            yield [clip(divide(gain * clip(mean), weights.exponent)) for mean in square_means(plane, 2**finer, bits)]
            continue
        blank = [0] * (len(plane[0]) + 4)
        wide = [blank] * 2 + [[0, 0, *row, 0, 0] for row in plane] + [blank] * 2
        yield [
            settle(
                unit * wide[y + 2][x + 2] + sum(dot(row, wide[y + k][x : x + 5]) for k, row in enumerate(weights.rows)),
                weights.exponent - bits,
                True,
            )
            for y in range(len(plane))
            for x in range(len(plane[0]))
        ]


def square_means(plane, side, bits):
    """Chapter 7, "Smaller pictures": 2^bits times the mean over each square, rounded; a flat list."""
    means = []
    for y in range(0, len(plane), side):
        for x in range(0, len(plane[0]), side):
            square = [value for row in plane[y : y + side] for value in row[x : x + side]]
            means.append(((2 * sum(square) << bits) + len(square)) // (2 * len(square)))
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

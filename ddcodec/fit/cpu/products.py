"""Products of small matrices with runs of pixels, in registers.

All linear layers of the fit are made of these products, and so is the upsampling. A row is a run of float32 pixels.
Rows are given as lists of addresses (arrays of int64 in memory), plus an offset in bytes that all rows share. `pack`
puts the weights into the order in which they are read.

A tile of sums stays in registers while the inputs stream past it: 4 rows and 4 vectors at most, or one row and 5. BLIS
does the same (Van Zee & van de Geijn 2015, section 3). So products run at the speed of the processor's multipliers
while the inputs lie in its cache.
"""

import numpy as np
from numba import types

from .simd import (
    BYTES,
    LANES,
    compiled,
    counted,
    fused,
    greater,
    integer,
    intrinsic,
    peek,
    poke,
    read,
    read_long,
    read_spread,
    value_of,
    variable,
    write,
    zero,
)

NONE, ONE, TWO = np.int64(0), np.int64(1), np.int64(2)
"""Integers for arguments. numba compiles a function anew for every literal number, but not for these."""
VECTORS = 4 if LANES == 16 else 3
"""Vectors of a tile: the processor has 32 registers with AVX-512, else 16."""
COLUMNS = {4: 4, 2: 4, 1: 4} if LANES == 16 else {4: 3, 2: 4, 1: 8}
"""Columns of a tile of `outer`, by the tile's rows.

With one sum more than there are registers, that sum would go through memory at every step.
"""


def _tile(rows, vectors, form):
    """Make an intrinsic for one tile of a product, of `rows` rows and `vectors` vectors.

    Its arguments are (targets, target, sources, source, weights, extra, gate, floor, count). `targets` and `sources`
    are lists; `target`, `source` and `gate` are offsets. `count` is the number of sources. `form` says what it
    computes:

    - "affine": max(extra + W x, floor), where `extra` is a bias
    - "gated": W x where the rows of the list `extra` are above `floor`, else 0
    - "added": max(the target before + W x, floor)
    """

    @intrinsic
    def product(typingctx, targets, target, sources, source, weights, extra, gate, floor, count):
        def code(context, builder, signature, arguments):
            targets, target, sources, source, weights, extra, gate, floor, count = arguments
            where = [builder.add(read_long(builder, targets, 8 * row), target) for row in range(rows)]
            sums = [[variable(builder) for _ in range(vectors)] for _ in range(rows)]
            for row in range(rows):
                bias = read_spread(builder, extra, 4 * row) if form == "affine" else zero()
                for v in range(vectors):
                    builder.store(read(builder, where[row], BYTES * v) if form == "added" else bias, sums[row][v])
            with counted(builder, count) as index:
                here = builder.add(read_long(builder, builder.add(sources, builder.mul(index, integer(8)))), source)
                inputs = [read(builder, here, BYTES * v) for v in range(vectors)]
                column = builder.add(weights, builder.mul(index, integer(4 * rows)))
                for row in range(rows):
                    weight = read_spread(builder, column, 4 * row)
                    for v in range(vectors):
                        builder.store(fused(builder, weight, inputs[v], value_of(builder, sums[row][v])), sums[row][v])
            for row in range(rows):
                least = read_spread(builder, floor, 4 * row)
                for v in range(vectors):
                    value = value_of(builder, sums[row][v])
                    if form != "gated":
                        value = greater(builder, value, least)
                    else:
                        before = read(builder, builder.add(read_long(builder, extra, 8 * row), gate), BYTES * v)
                        value = builder.select(builder.fcmp_ordered(">", before, least), value, zero())
                    write(builder, value, where[row], BYTES * v)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 9), code

    return product


def _outer_tile(rows, columns):
    """Make an intrinsic for one tile of `outer`, of `rows` rows and `columns` columns.

    It adds the products of gradients and inputs to sums[row, column], lane by lane, over `vectors` vectors. It does so
    `repeats` times; gradients and inputs then lie a step further on each time.
    """

    @intrinsic
    def product(
        typingctx, sums, pitch, gradients, gradient, inputs, input_, vectors, repeats, gradient_step, input_step
    ):
        def code(context, builder, signature, arguments):
            sums, pitch, gradients, gradient, inputs, input_, vectors, repeats, gradient_step, input_step = arguments
            starts = [builder.add(sums, builder.mul(pitch, integer(row))) for row in range(rows)]
            held = [[variable(builder) for _ in range(columns)] for _ in range(rows)]
            for row in range(rows):
                for column in range(columns):
                    builder.store(read(builder, starts[row], BYTES * column), held[row][column])
            lefts = [builder.add(read_long(builder, gradients, 8 * row), gradient) for row in range(rows)]
            tops = [builder.add(read_long(builder, inputs, 8 * column), input_) for column in range(columns)]
            with counted(builder, repeats) as repeat:
                left, top = builder.mul(repeat, gradient_step), builder.mul(repeat, input_step)
                with counted(builder, vectors) as index:
                    place = builder.mul(index, integer(BYTES))
                    gs = [read(builder, builder.add(start, builder.add(left, place))) for start in lefts]
                    xs = [read(builder, builder.add(start, builder.add(top, place))) for start in tops]
                    for row in range(rows):
                        for column in range(columns):
                            builder.store(
                                fused(builder, gs[row], xs[column], value_of(builder, held[row][column])),
                                held[row][column],
                            )
            for row in range(rows):
                for column in range(columns):
                    write(builder, value_of(builder, held[row][column]), starts[row], BYTES * column)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), code

    return product


def _tiles(vectors, form):
    """Make the product of all outputs over one group of vectors, by tiles of 4, 2 and 1 rows."""
    four, two, one = (_tile(rows, vectors, form) for rows in (4, 2, 1))
    # Bytes from row to row of `extra`: those of a bias or of an address.
    step = 4 if form == "affine" else 8

    @compiled
    def tiles(targets, target, sources, source, weights, extra, gate, floor, outputs, count):
        row = 0
        while row < outputs:
            own, packed, more, least = targets + 8 * row, weights + 4 * row * count, extra + step * row, floor + 4 * row
            if row + 4 <= outputs:
                four(own, target, sources, source, packed, more, gate, least, count)
                row += 4
            elif row + 2 <= outputs:
                two(own, target, sources, source, packed, more, gate, least, count)
                row += 2
            else:
                one(own, target, sources, source, packed, more, gate, least, count)
                row += 1

    return tiles


def _product(form):
    """Make a whole product, over all groups of vectors.

    Its weights are `outputs` by `count` numbers in the order of `pack`.
    """
    wide, narrow, more = _tiles(VECTORS, form), _tiles(1, form), _tile(1, VECTORS + 1, form)

    @compiled
    def product(targets, target, sources, source, weights, extra, gate, floor, outputs, count, vectors):
        done = 0
        while done < vectors:
            here = done * BYTES
            if outputs == 1 and vectors - done == VECTORS + 1:
                more(targets, target + here, sources, source + here, weights, extra, gate + here, floor, count)
                return
            if vectors - done >= VECTORS:
                wide(targets, target + here, sources, source + here, weights, extra, gate + here, floor, outputs, count)
                done += VECTORS
            else:
                narrow(
                    targets, target + here, sources, source + here, weights, extra, gate + here, floor, outputs, count
                )
                done += 1

    return product


affine, gated, added = (_product(form) for form in ("affine", "gated", "added"))
"""The products, of arguments (targets, target, sources, source, weights, extra, gate, floor, outputs, count, vectors).

All targets of a call must be different rows. Sums go over all sources i.

- affine: targets[j] = max(extra[j] + sum of W[j, i] sources[i], floor[j]), where `extra` is a bias
- gated: targets[j] = sum of W[j, i] sources[i] where the row extra[j] at `gate` is above floor[j], else 0
- added: targets[j] = max(targets[j] + sum of W[j, i] sources[i], floor[j])

`gated` goes back through a layer with ReLU.
"""


def _outer_rows(rows):
    """Make `outer` for `rows` rows, by tiles of several, 2 and 1 columns."""
    most = COLUMNS[rows]
    many, two, one = (_outer_tile(rows, columns) for columns in (most, 2, 1))

    @compiled
    def product(sums, gradients, gradient, inputs, input_, columns, vectors, repeats, gradient_step, input_step):
        pitch, column = BYTES * columns, 0
        while column + most <= columns:
            many(
                sums + BYTES * column,
                pitch,
                gradients,
                gradient,
                inputs + 8 * column,
                input_,
                vectors,
                repeats,
                gradient_step,
                input_step,
            )
            column += most
        while column + 2 <= columns:
            two(
                sums + BYTES * column,
                pitch,
                gradients,
                gradient,
                inputs + 8 * column,
                input_,
                vectors,
                repeats,
                gradient_step,
                input_step,
            )
            column += 2
        if column < columns:
            one(
                sums + BYTES * column,
                pitch,
                gradients,
                gradient,
                inputs + 8 * column,
                input_,
                vectors,
                repeats,
                gradient_step,
                input_step,
            )

    return product


_rows_4, _rows_2, _rows_1 = (_outer_rows(rows) for rows in (4, 2, 1))


@compiled
def outer(sums, gradients, gradient, inputs, input_, rows, columns, vectors, repeats, gradient_step, input_step):
    """Add gradients (rows) times inputs (columns) to sums (rows, columns, LANES), lane by lane, over a run.

    It adds `repeats` such runs. From one to the next, gradients lie `gradient_step` bytes further on, inputs
    `input_step`.
    """
    row = 0
    while row + 4 <= rows:
        _rows_4(
            sums + BYTES * columns * row,
            gradients + 8 * row,
            gradient,
            inputs,
            input_,
            columns,
            vectors,
            repeats,
            gradient_step,
            input_step,
        )
        row += 4
    while row + 2 <= rows:
        _rows_2(
            sums + BYTES * columns * row,
            gradients + 8 * row,
            gradient,
            inputs,
            input_,
            columns,
            vectors,
            repeats,
            gradient_step,
            input_step,
        )
        row += 2
    if row < rows:
        _rows_1(
            sums + BYTES * columns * row,
            gradients + 8 * row,
            gradient,
            inputs,
            input_,
            columns,
            vectors,
            repeats,
            gradient_step,
            input_step,
        )


@compiled
def pack(packed, matrix, outputs, count, before, of, by_output, by_input, gain):
    """Write weights, times `gain`, in the order in which tiles read them.

    They stand in blocks of 4, 2 and 1 outputs, in a block input by input. W[j, i] is read from `matrix` + 4 (by_output
    j + by_input i). So a matrix and its transpose are packed from the same place. The `count` inputs are those from
    `before` on, of a product of `of` inputs.
    """
    row = 0
    while row < outputs:
        height = 4 if row + 4 <= outputs else 2 if row + 2 <= outputs else 1
        for i in range(count):
            for j in range(height):
                poke(
                    packed + 4 * (row * of + (before + i) * height + j),
                    peek(matrix + 4 * (by_output * (row + j) + by_input * i)) * gain,
                )
        row += height


@compiled
def folded(sums):
    """Add up the lanes of one entry of the sums, in float64."""
    result = 0.0
    for lane in range(LANES):
        result += peek(sums + 4 * lane)
    return result

"""The memory of a fit on the CPU: one block of float32, and tables of addresses in it.

The kernels read these tables. Beside weights, samples, lists and constants the block holds:

- code planes: y, its two moments, the noisy integers q, their slope and their gradient; q through its filter, and the
  gradient by that
- features: what contexts see of coarser octaves, and the gradients by it, of an octave's size; see `seen`
- mixed: the input of an upsampling, (rows, channels, columns) of the coarser octave, and its gradient
- blocks: the hidden channels of all octaves but the finest, run by run in the order in which they are made
- outputs: what the residual layer sees, the gradients by the samples, and sums of samples over steps; rows have a
  margin on both sides
- scratch: rows of one run, for each thread
- halos: gradients that a thread makes for rows of its neighbours, until these rows are done and it adds them there

All code planes have one form: three rows of zeros, then rows of MARGIN zeros and the plane's columns. So a neighbour is
a shifted row, and zeros surround the plane.

The constants below are the tables' columns. Addresses, and sizes in memory, are int64 and in bytes. Rows, columns, runs
and the like are numbers of things. An octave's POSITION is the number of its first integer.
"""

import numpy as np

from ...format.arch import CODE_STEP, FILTER_REACH, FILTER_SIDE, NEIGHBOURS, SQUARE, SYNTHESIS_UNIT, Arch
from ...format.arch import FEATURES as FEATURE_COUNT
from ..loss.form import BAND, LEVELS, Form
from .products import NONE
from .simd import BYTES

MARGIN = 16
"""Floats of zeros beside and between rows: at least a vector, and all that a context or an upsampling reaches."""
ABOVE = 3
"""Rows that a context reaches up."""
RUN = 768
"""Pixels of a run.

There are so many that what is loaded and stored once a run costs little. There are so few that a run's rows stay in the
processor's second cache.
"""
PHASE = RUN // 4
"""Pixels of a phase: those of a run of the synthesis that have the same parity of row and column."""
SHIFTED = RUN + 3 * MARGIN
"""Floats of a row that is read from up to `MARGIN` floats to its left or right, in whole margins."""
GAPPED = MARGIN + 4 * (PHASE + MARGIN)
"""Floats of a row whose four phases have zeros between them."""
NEVER = np.float32(-3e38)
"""A floor that no channel without ReLU gets below."""
LONG = 8
"""Bytes of an int64."""
FLOAT = 4
"""Bytes of a float32."""
SHORT = 2
"""Bytes of a uint16."""
RING = BAND + 2
"""Rows of each channel's errors that a thread keeps: a band of the form, and one more at each end."""

# Columns of `Layout.plan`, which is one row for the whole fit.
(
    THREADS, OCTAVES, PLANES, TAPS, NEIGHBOUR_COUNT, HIDDEN, Y, FIRST_MOMENT, SECOND_MOMENT, Q, SLOPE, GRADIENT,
    FILTERED, BY_FILTERED, TARGET, TARGET_PITCH, TARGET_PLANE, FLOORS, PAIR_FLOORS, NO_FLOORS, ZEROS, ONES,
    ONES_LIST, SINGLE, STRIDES, GAPPED_STRIDES, SHIFTS, FROM_EVEN_ROW, FROM_ODD_ROW, EVEN_ROW_PHASES,
    ODD_ROW_PHASES, PARITIES, UP_ROW, CONTEXT_1, CONTEXT_2, CONTEXT_3, BACK_1, BACK_2, BACK_3, CONTEXT_1_BIAS,
    CONTEXT_2_BIAS, OUTPUT, OUTPUT_BACK, OUTPUT_BIAS, SUMS_1, SUMS_2, SUMS_3, SUMS_OUTPUT, TOPS, TOP, TOP_BIAS,
    TOP_BACK, SUMS_TOP, ERRORS, ERRORS_PITCH, OUTPUTS, OUTPUT_ERRORS, OUTPUT_PITCH, OUTPUT_PLANE, RESIDUAL,
    RESIDUAL_BACK, RESIDUAL_BACK_SIZE, RESIDUAL_WEIGHTS, SUMS_RESIDUAL, BARRIER, KNOWN, MEANS, EDGES,
    BEFORE_ERRORS, BEFORE_GRADIENTS, LEVEL_WEIGHTS,
) = range(71)  # fmt: skip
SCATTER_STARTS = LEVEL_WEIGHTS + 3 * LEVELS
"""The next column. LEVEL_WEIGHTS is a list: address, pitch and bytes of a plane of each level."""
PLAN_SIZE = SCATTER_STARTS + ABOVE + 2
"""Columns of the plan. SCATTER_STARTS is a list, too."""
_PLAN_ADDRESSES = (
    Y, FIRST_MOMENT, SECOND_MOMENT, Q, SLOPE, GRADIENT, FILTERED, BY_FILTERED, TARGET, FLOORS, PAIR_FLOORS,
    NO_FLOORS, ZEROS, ONES, ONES_LIST, SINGLE, STRIDES, GAPPED_STRIDES, SHIFTS, FROM_EVEN_ROW, FROM_ODD_ROW,
    EVEN_ROW_PHASES, ODD_ROW_PHASES, PARITIES, ERRORS, OUTPUTS, OUTPUT_ERRORS, BARRIER, KNOWN, MEANS,
    BEFORE_ERRORS, BEFORE_GRADIENTS,
)  # fmt: skip

# Columns of `Layout.octaves`, one row for each octave, the finest first.
(
    ROWS, COLUMNS, CODE_PLANES, FILTERED_PLANES, CHANNELS, CODE, PITCH, PLANE, POSITION, HAS_PARENT, FEATURES, SEEN,
    RAISED, HANDED, BY_SEEN, SEEN_PLANE, SEEN_PITCH, SEE, SEE_BACK, SUMS_SEE, MIXED, MIXED_GRADIENT, MIXED_PITCH,
    MIXED_ROW, BLOCKS, BLOCK, RUNS, BIAS, FILTER, FILTER_BACK, JOIN, JOIN_BACK, MIX, MIX_BACK, UP, UP_ALONG,
    UP_ACROSS, CONTEXT_3_BIAS, SUMS_FILTER, SUMS_JOIN, SUMS_MIX, SUMS_UP, SUMS_3_BIAS, HALO_CODE_PLANE, HALO_FEATURE,
    HALO_MIXED_OCTAVE, OCTAVE_SIZE,
) = range(47)  # fmt: skip
_OCTAVE_ADDRESSES = (FEATURES, RAISED, HANDED, BY_SEEN, MIXED, MIXED_GRADIENT, BLOCKS)

# Columns of `Layout.threads`, one row for each thread.
(
    SUMS, X_LIST, H1_LIST, H2_LIST, O_LIST, OUT_ROWS, BACK_LIST, DX_LIST, DX_RUN, SCATTER_LIST, ONE_TARGET,
    FEATURE_ROWS, FEATURE_GRADIENTS, FEATURE_ROW_BYTES, PARENT_ROWS, PARENT_ROW_BYTES, HIDDEN_RUN, HIDDEN_LIST,
    FEATURE_LIST, BACK_RUN, MIXED_RUN, CODE_RUN, CODE_LIST, CODE_BACK_RUN, UP_ROWS, UP_BACK_ROWS, ROWS_LIST,
    ROWS_BACK_LIST, PAIR_LIST, HALO_CODE, HALO_FEATURES, HALO_MIXED, SQUARE_LIST, THIRD_LIST, ROW_LIST,
    GRADIENT_ROWS, SEEN_LIST, HANDED_LIST, CHANNEL_ROWS, LEVEL_ROWS, HALO_ROWS, THREAD_SIZE,
) = range(42)  # fmt: skip
_NO_THREAD_ADDRESSES = (FEATURE_ROW_BYTES, PARENT_ROW_BYTES)


def whole(count: int) -> int:
    """Round up to a whole number of the longest vectors, in floats."""
    return -(-count // MARGIN) * MARGIN


class Block:
    """Memory that is handed out piece by piece; each piece starts at a whole vector.

    Call `take` for all pieces, then `allocate`, then use the memory: `floats`, which start at `address`.
    """

    def __init__(self) -> None:
        self.size = 0

    def take(self, floats: int) -> int:
        """Reserve a number of floats and return their place in bytes."""
        start = self.size
        self.size += whole(floats)
        return start * FLOAT

    def allocate(self) -> int:
        """Get the memory, all zeros, and return its address, which is that of a whole vector."""
        self._memory = np.zeros(self.size + MARGIN, np.float32)
        skipped = -(self._memory.ctypes.data // FLOAT) % MARGIN
        self.floats = self._memory[skipped : skipped + self.size]
        self.address = self.floats.ctypes.data
        return self.address

    def longs(self, place: int, values: np.ndarray) -> None:
        """Write int64 at a place in bytes."""
        count = len(values)
        self.floats[place // FLOAT : place // FLOAT + 2 * count].view(np.int64)[:] = values


class Layout:
    """The tables of a fit and, after `settle`, their memory.

    - plan (PLAN_SIZE,), octaves (octaves, OCTAVE_SIZE), threads (threads, THREAD_SIZE): int64 tables for the kernels
    - names: name of a tensor -> slice of the weights in coding order
    - weights, trial: addresses of two blocks of weights, those of the fit and those on trial
    - places, gains, taps, matrices, ups: what `update` needs to gather gradients and to pack weights

    masked: there is room for which pixels count. levels: there is room for the levels and edges of a form.
    """

    def __init__(self, arch: Arch, threads: int, masked: bool = False, levels: bool = False) -> None:
        self.arch, self.count, self._masked, self._has_levels = arch, threads, masked, levels
        self.plan = np.zeros(PLAN_SIZE, np.int64)
        self.octaves = np.zeros((arch.octaves, OCTAVE_SIZE), np.int64)
        self.threads = np.zeros((threads, THREAD_SIZE), np.int64)
        self.reach = 2 * arch.taps + 1
        self.channels = max(arch.channels_of(o) for o in range(arch.octaves))
        self.widest = max(self.channels, arch.channels_of(0) + arch.top_channels, arch.planes + arch.top_channels)
        self.block = Block()
        self._lists: list[tuple[int, np.ndarray, bool]] = []
        self._shape()
        self._weights()
        self._planes()
        self._constants()
        for row in range(threads):
            self._thread(self.threads[row])
        self.weights, self.trial = self.block.take(self.packed_size), self.block.take(self.packed_size)

    def _shape(self):
        """Write the numbers of rows, columns, planes and channels."""
        arch, plan = self.arch, self.plan
        plan[[THREADS, OCTAVES, PLANES, TAPS]] = self.count, arch.octaves, arch.planes, arch.taps
        plan[[NEIGHBOUR_COUNT, HIDDEN, TOPS]] = arch.neighbours, arch.context_channels, arch.top_channels
        for o, row in enumerate(self.octaves):
            row[[ROWS, COLUMNS]] = arch.size(o)
            row[[CODE_PLANES, FILTERED_PLANES]] = arch.code_planes(o), arch.filtered_planes(o)
            row[CHANNELS] = arch.channels_of(o)
            row[HAS_PARENT] = bool(arch.seen(o))
            row[SEEN] = len(arch.seen(o - 1)) if o else 0
            row[RUNS] = -(-((row[COLUMNS] + 1) // 2) // PHASE)
            row[BLOCK] = row[CHANNELS] * RUN * FLOAT

    def _weights(self):
        """Find places in a block of weights, and places of the sums of gradients.

        A block holds all weights in coding order, then the matrices packed from them.
        """
        arch, plan = self.arch, self.plan
        self.names: dict[str, slice] = {}
        start = 0
        for name, shape in arch.tensors():
            self.names[name] = slice(start, start + int(np.prod(shape)))
            start = self.names[name].stop
        self.weight_count = start
        self.packed_size, self.sums_size = whole(start), 0
        self.places, self.gains = np.full(start, -1, np.int64), np.ones(start, np.float32)
        matrices, ups, taps = [], [], []

        def take(floats):
            self.packed_size += whole(floats)
            return (self.packed_size - whole(floats)) * FLOAT

        def sums(rows, columns):
            self.sums_size += rows * columns * BYTES
            return self.sums_size - rows * columns * BYTES

        def at(name):
            return self.names[name].start * FLOAT

        def packed(place, matrix, outputs, inputs, by_output, by_input, divisor=1, first=0, of=None):
            matrices.append((place, matrix, outputs, inputs, by_output, by_input, divisor, first, of or inputs))

        def matrix(name, outputs, inputs, divisor=1):
            """Pack a matrix forward and transposed."""
            forward, back = take(outputs * inputs), take(outputs * inputs)
            packed(forward, at(name), outputs, inputs, inputs, 1, divisor)
            packed(back, at(name), inputs, outputs, 1, inputs, divisor)
            return forward, back

        def gathered(name, bias, outputs, inputs, divisor=1, bias_first=False):
            """Find a place for sums (outputs, inputs + 1), and note which weight each sum is for.

            The last column is the bias, or the first if `bias_first`. Without a bias there is no such column.
            """
            columns = inputs + bool(bias)
            place = sums(outputs, columns)
            places = place + BYTES * np.arange(outputs * columns).reshape(outputs, columns)
            if inputs:
                self.places[self.names[name]] = places[:, bias_first : inputs + bias_first].ravel()
                self.gains[self.names[name]] = 1 / divisor
            if bias:
                self.places[self.names[bias]] = places[:, 0 if bias_first else inputs]
            return place

        hidden, inputs = arch.context_channels, arch.context_inputs
        last = hidden + inputs
        plan[[CONTEXT_2, BACK_2]] = matrix("context.2.weight", hidden, hidden)
        plan[[CONTEXT_1, CONTEXT_3, BACK_1, BACK_3]] = (
            take(hidden * inputs),
            take(2 * last),
            take(inputs * (hidden + 2)),
            take(hidden * 2),
        )
        packed(plan[CONTEXT_1], at("context.1.weight"), hidden, inputs, inputs, 1)
        packed(plan[CONTEXT_3], at("context.3.weight"), 2, last, last, 1)
        packed(plan[BACK_3], at("context.3.weight"), hidden, 2, 1, last)
        # Gradients by the inputs come from the first layer and from the last.
        packed(plan[BACK_1], at("context.1.weight"), inputs, hidden, 1, inputs, of=hidden + 2)
        packed(plan[BACK_1], at("context.3.weight") + hidden * FLOAT, inputs, 2, 1, last, first=hidden, of=hidden + 2)
        features, tops, planes = arch.channels_of(0), arch.top_channels, arch.planes
        plan[OUTPUT], plan[OUTPUT_BACK] = take(planes * (features + tops)), take(features * (planes + tops))
        packed(plan[OUTPUT], at("output.weight"), planes, features + tops, features + tops, 1)
        # Gradients by the features come from the samples and from the top channels.
        packed(plan[OUTPUT_BACK], at("output.weight"), features, planes, 1, features + tops, of=planes + tops)
        if tops:
            plan[TOP], plan[TOP_BACK] = take(tops * features), take(tops * planes)
            packed(plan[TOP], at("top.weight"), tops, features, features, 1)
            packed(plan[OUTPUT_BACK], at("top.weight"), features, tops, 1, features, first=planes, of=planes + tops)
            packed(plan[TOP_BACK], at("output.weight") + features * FLOAT, tops, planes, 1, features + tops)
            plan[TOP_BIAS], plan[SUMS_TOP] = at("top.bias"), gathered("top.weight", "top.bias", tops, features)
        plan[[CONTEXT_1_BIAS, CONTEXT_2_BIAS, OUTPUT_BIAS]] = [
            at(f"{layer}.bias") for layer in ("context.1", "context.2", "output")
        ]
        plan[SUMS_1] = gathered("context.1.weight", "context.1.bias", hidden, inputs)
        plan[SUMS_2] = gathered("context.2.weight", "context.2.bias", hidden, hidden)
        plan[SUMS_3] = gathered("context.3.weight", None, 2, last)
        plan[SUMS_OUTPUT] = gathered("output.weight", "output.bias", planes, features + tops)
        plan[RESIDUAL], plan[RESIDUAL_WEIGHTS] = take(planes * SQUARE * planes), at("residual.weight")
        packed(plan[RESIDUAL], at("residual.weight"), planes, SQUARE * planes, SQUARE * planes, 1)
        plan[SUMS_RESIDUAL] = gathered("residual.weight", None, planes, SQUARE * planes)
        # One matrix for each row of the square, from the samples back to the outputs.
        starts = [take(planes * 3 * planes) for _ in range(3)]
        plan[RESIDUAL_BACK], plan[RESIDUAL_BACK_SIZE] = starts[0], starts[1] - starts[0]
        for place in range(SQUARE):
            dy, dx = divmod(place, 3)
            packed(
                starts[dy],
                at("residual.weight") + planes * place * FLOAT,
                planes,
                planes,
                1,
                SQUARE * planes,
                first=planes * dx,
                of=3 * planes,
            )
        code_unit = SYNTHESIS_UNIT // CODE_STEP
        for o, row in enumerate(self.octaves):
            channels, planes = int(row[CHANNELS]), int(row[CODE_PLANES])
            row[BIAS] = at(f"bias.{o}")
            if planes:
                row[[JOIN, JOIN_BACK]] = matrix(f"code.{o}", channels, planes, code_unit)
                places, name = FILTER_SIDE**2, f"filter.{o}"
                row[[FILTER, FILTER_BACK]] = take(places), take(places)
                packed(row[FILTER], at(name), 1, places, places, 1)
                # The way back reads the filter from its last place to the first.
                packed(row[FILTER_BACK], at(name) + (places - 1) * FLOAT, 1, places, places, -1)
                row[SUMS_FILTER] = gathered(name, None, 1, places)
                index = arch.coded_octaves.index(o)
                row[CONTEXT_3_BIAS] = at("context.3.bias") + 2 * index * FLOAT
                row[SUMS_3_BIAS] = sums(2, 1)
                start = self.names["context.3.bias"].start + 2 * index
                self.places[start : start + 2] = row[SUMS_3_BIAS] + BYTES * np.arange(2)
            if row[SEEN]:
                name = f"context.features.{o - 1}"
                row[[SEE, SEE_BACK]] = matrix(name, FEATURE_COUNT, int(row[SEEN]))
                row[SUMS_SEE] = gathered(name, None, FEATURE_COUNT, int(row[SEEN]))
            row[SUMS_JOIN] = gathered(f"code.{o}", f"bias.{o}", channels, planes, code_unit, bias_first=True)
            if o < arch.octaves - 1:
                coarser = arch.channels_of(o + 1)
                row[[MIX, MIX_BACK]] = matrix(f"mix.{o}", channels, coarser)
                row[SUMS_MIX] = gathered(f"mix.{o}", None, channels, coarser)
                expanded, row[UP_ALONG] = take(2 * self.reach), take(4 * arch.taps)
                row[UP], row[UP_ACROSS] = take(2 * self.reach), take(2 * self.reach)
                ups.append((at(f"taps.{o}"), expanded, row[UP_ALONG]))
                packed(row[UP], expanded, 2, self.reach, self.reach, 1)
                packed(row[UP_ACROSS], expanded, self.reach, 2, 1, self.reach)
                row[SUMS_UP] = sums(2, self.reach)
                taps.append((self.names[f"taps.{o}"].start, row[SUMS_UP]))
        for name, own in self.names.items():
            if arch.is_fixed(name):
                self.places[own] = -1
        self.matrices, self.ups, self.taps = (
            np.array(rows, np.int64).reshape(-1, n) for rows, n in ((matrices, 9), (ups, 3), (taps, 2))
        )

    def _planes(self):
        """Find places for code planes, features, mixed channels, blocks and samples, and sizes of the halos."""
        take, plan, size = self.block.take, self.plan, 0
        position, self.halo_code, self.halo_features, self.halo_mixed = 0, 0, 0, 0
        for row in self.octaves:
            rows, columns, planes = row[ROWS], row[COLUMNS], row[CODE_PLANES]
            row[[CODE, POSITION]] = size * FLOAT, position
            row[PITCH] = (whole(columns) + MARGIN) * FLOAT
            row[PLANE] = (rows + ABOVE) * row[PITCH]
            # The filter reads zeros below the last plane, too; those of the next octave are fewer, in shorter rows.
            size += int(planes * row[PLANE] + FILTER_REACH * row[PITCH]) // FLOAT
            position += planes * rows * columns
            row[HALO_CODE_PLANE] = self.halo_code * FLOAT
            self.halo_code += int(planes * ABOVE * row[PITCH]) // FLOAT
            if row[SEEN]:
                # Rows are written in pairs of vectors.
                row[SEEN_PITCH] = 2 * whole(-(-columns // 2)) * FLOAT
                row[SEEN_PLANE] = rows * row[SEEN_PITCH]
                for field, count in (
                    (FEATURES, FEATURE_COUNT + 1),
                    (RAISED, row[SEEN] - 1),
                    (HANDED, FEATURE_COUNT),
                    (BY_SEEN, row[SEEN]),
                ):
                    row[field] = take(int(count * row[SEEN_PLANE]) // FLOAT)
                row[HALO_FEATURE] = self.halo_features * FLOAT
                self.halo_features += 2 * (FEATURE_COUNT + 1) * int(row[SEEN_PITCH]) // FLOAT
        # Vectors at a plane's end reach beyond it.
        for field in (Y, FIRST_MOMENT, SECOND_MOMENT, Q, SLOPE, GRADIENT, FILTERED, BY_FILTERED):
            plan[field] = take(size + 8 * MARGIN)
        for o, row in enumerate(self.octaves[1:], 1):
            finer, rows, columns = self.octaves[o - 1], int(row[ROWS]), int(row[COLUMNS])
            finer[MIXED_PITCH] = 2 * whole(-(-columns // 2)) * FLOAT
            finer[MIXED_ROW] = finer[CHANNELS] * finer[MIXED_PITCH]
            finer[[MIXED, MIXED_GRADIENT]] = [take(rows * int(finer[MIXED_ROW]) // FLOAT) for _ in range(2)]
            finer[HALO_MIXED_OCTAVE] = self.halo_mixed * FLOAT
            self.halo_mixed += 2 * self.arch.taps * int(finer[MIXED_ROW]) // FLOAT
            row[BLOCKS] = take(-(-rows // 2) * int(row[RUNS] * row[BLOCK]) // FLOAT)
        width, height = self.arch.width, self.arch.height
        plan[TARGET_PITCH] = 2 * whole(-(-width // 2)) * SHORT
        plan[TARGET_PLANE] = plan[TARGET_PITCH] * height
        plan[TARGET] = take(self.arch.planes * int(plan[TARGET_PLANE]) // FLOAT)
        plan[ERRORS_PITCH] = 2 * whole(-(-width // 2)) * FLOAT
        plan[ERRORS] = take(height * int(plan[ERRORS_PITCH]) // FLOAT)
        if self._masked:
            plan[KNOWN] = take(height * int(plan[ERRORS_PITCH]) // FLOAT)
        plan[OUTPUT_PITCH] = (2 * whole(-(-width // 2)) + 2 * MARGIN) * FLOAT
        plan[OUTPUT_PLANE] = plan[OUTPUT_PITCH] * height
        plan[[OUTPUTS, OUTPUT_ERRORS, MEANS, BEFORE_GRADIENTS]] = [
            take(self.arch.planes * int(plan[OUTPUT_PLANE]) // FLOAT) + MARGIN * FLOAT for _ in range(4)
        ]
        # No fit averages pictures while it moves integers.
        plan[BEFORE_ERRORS] = plan[MEANS]
        if self._has_levels:
            plan[EDGES] = take(int(plan[OUTPUT_PLANE]) // FLOAT) + MARGIN * FLOAT
            for level in range(LEVELS):
                rows, columns = -(-height >> level), -(-width >> level)
                pitch = whole(columns) * FLOAT
                place = take(self.arch.planes * rows * pitch // FLOAT)
                plan[LEVEL_WEIGHTS + 3 * level :][:3] = place, pitch, rows * pitch

    def _list(self, table, field, values, relative):
        """Find a place for a list of addresses.

        relative: the values are places in the block. `settle` makes addresses of them.
        """
        place = self.block.take(2 * len(values))
        table[field] = place
        self._lists.append((place, np.array(values, np.int64), relative))

    def _constants(self):
        """Find places for the rows and lists that all threads share and nothing changes."""
        arch, plan, take = self.arch, self.plan, self.block.take
        taps, most = arch.taps, max(128, self.widest)
        plan[[FLOORS, NO_FLOORS, ZEROS, ONES]] = (take(most), take(most), take(max(most, RUN)), take(max(most, RUN)))
        plan[PAIR_FLOORS] = take(2 * most)
        columns = max([0, *(int(row[COLUMNS]) for row in self.octaves[1:])])
        plan[UP_ROW] = (whole(columns) + 3 * MARGIN) * FLOAT
        phases = [(MARGIN + phase * (PHASE + MARGIN)) * FLOAT for phase in range(4)]
        self._list(plan, STRIDES, RUN * FLOAT * np.arange(most), False)
        self._list(plan, GAPPED_STRIDES, GAPPED * FLOAT * np.arange(most), False)
        self._list(plan, SHIFTS, FLOAT * (np.arange(self.reach) - taps), False)
        for field, odd_row in ((FROM_EVEN_ROW, 0), (FROM_ODD_ROW, 1)):
            # The target starts `taps` columns to the left of the run.
            evens = [phases[2 * odd_row] - FLOAT * k for k in range(2 * taps)]
            odds = [phases[2 * odd_row + 1] - FLOAT * (k + 1) for k in range(2 * taps)]
            self._list(plan, field, evens + odds, False)
        self._list(plan, EVEN_ROW_PHASES, phases[:2], False)
        self._list(plan, ODD_ROW_PHASES, phases[2:], False)
        self._list(plan, PARITIES, [0, plan[UP_ROW]], False)
        self._list(plan, SINGLE, [0], False)
        self._list(plan, ONES_LIST, [plan[ONES]], True)
        # Neighbours are sorted by how far up they are. The plan has the starts of these four groups.
        self.by_row = sorted(range(arch.neighbours), key=lambda k: -NEIGHBOURS[k][1])
        counts = [sum(NEIGHBOURS[k][1] == -up for k in range(arch.neighbours)) for up in range(ABOVE + 1)]
        plan[SCATTER_STARTS:] = np.cumsum([0, *counts])
        plan[BARRIER] = take(MARGIN)

    def _thread(self, own):
        """Find places for the sums, rows, lists and halos of one thread."""
        arch, take = self.arch, self.block.take
        hidden, neighbours, most = arch.context_channels, arch.neighbours, self.widest
        inputs, planes = arch.context_inputs, max(arch.code_planes(o) for o in range(arch.octaves))
        ones = int(self.plan[ONES])

        def rows(start, count, stride=RUN):
            return [start + k * stride * FLOAT for k in range(count)]

        own[SUMS] = take(self.sums_size // FLOAT)
        first, second, out = take(hidden * RUN), take(hidden * RUN), take(2 * RUN)
        own[OUT_ROWS] = out
        self._list(own, H1_LIST, [*rows(first, hidden), ones], True)
        # The last layer sees the inputs, too. Their addresses, at the end of its list, change from run to run.
        self._list(own, H2_LIST, [*rows(second, hidden), *[0] * inputs, ones], True)
        own[X_LIST] = own[H2_LIST] + LONG * hidden
        self._list(own, O_LIST, rows(out, 2), True)
        self._list(own, BACK_LIST, rows(first, hidden) + rows(out, 2), True)
        own[DX_RUN] = take(neighbours * SHIFTED)
        shifted = rows(own[DX_RUN] + MARGIN * FLOAT, neighbours, SHIFTED)
        self._list(own, DX_LIST, shifted + [0] * (FEATURE_COUNT + 1), True)
        # A product starts one margin before its target's run.
        self._list(own, SCATTER_LIST, [shifted[k] - (MARGIN + NEIGHBOURS[k][0]) * FLOAT for k in self.by_row], True)
        self._list(own, ONE_TARGET, [0], True)
        width = whole(arch.width) + 4 * MARGIN
        own[[FEATURE_ROW_BYTES, PARENT_ROW_BYTES]] = width * FLOAT, width * FLOAT
        own[[FEATURE_ROWS, FEATURE_GRADIENTS]] = [take((FEATURE_COUNT + 1) * width) for _ in range(2)]
        own[PARENT_ROWS] = take(2 * width)
        self._list(own, SEEN_LIST, [0] * max(1, int(self.octaves[:, SEEN].max())), False)
        self._list(own, HANDED_LIST, [0] * FEATURE_COUNT, False)
        own[HIDDEN_RUN], own[BACK_RUN] = take(most * RUN), take(most * GAPPED)
        own[MIXED_RUN], own[CODE_RUN], own[CODE_BACK_RUN] = (
            take(max(most, arch.planes) * RUN),
            take(planes * RUN),
            take(planes * RUN),
        )
        self._list(own, HIDDEN_LIST, [*rows(own[HIDDEN_RUN], arch.channels_of(0) + arch.top_channels), ones], True)
        self._list(own, FEATURE_LIST, [*rows(own[HIDDEN_RUN], arch.channels_of(0)), ones], True)
        own[UP_ROWS], own[UP_BACK_ROWS] = (take(2 * self.channels * int(self.plan[UP_ROW]) // FLOAT) for _ in range(2))
        self._list(own, ROWS_LIST, [0] * self.reach, True)
        self._list(own, ROWS_BACK_LIST, [0] * self.reach, True)
        self._list(own, PAIR_LIST, [0, 0], False)
        self._list(own, CODE_LIST, [ones, *rows(own[CODE_RUN], planes)], True)
        for field, count in (
            (SQUARE_LIST, max(SQUARE * arch.planes, FILTER_SIDE**2)),
            (THIRD_LIST, 3 * arch.planes),
            (ROW_LIST, arch.planes),
        ):
            self._list(own, field, [0] * count, False)
        own[GRADIENT_ROWS] = take(2 * arch.planes * int(self.plan[OUTPUT_PITCH]) // FLOAT)
        row = arch.planes * int(self.plan[OUTPUT_PITCH]) // FLOAT if self._has_levels else 0
        own[CHANNEL_ROWS], own[LEVEL_ROWS], own[HALO_ROWS] = take(RING * row), take(3 * row), take(row)
        own[[CHANNEL_ROWS, LEVEL_ROWS, HALO_ROWS]] += MARGIN * FLOAT
        # Vectors at the end of a row of code reach beyond it.
        own[HALO_CODE], own[HALO_FEATURES], own[HALO_MIXED] = (
            take(self.halo_code + MARGIN),
            take(self.halo_features),
            take(self.halo_mixed),
        )

    @property
    def size(self) -> int:
        """The memory in bytes."""
        return FLOAT * self.block.size

    def settle(self) -> None:
        """Get the memory, make addresses of places, and write what never changes."""
        address = self.block.allocate()
        self.weights, self.trial = self.weights + address, self.trial + address
        for place, values, relative in self._lists:
            self.block.longs(place, values + address if relative else values)
        self.plan[list(_PLAN_ADDRESSES)] += address
        if not self._masked:
            self.plan[KNOWN] = NONE
        levels = [EDGES, *range(LEVEL_WEIGHTS, SCATTER_STARTS, 3)]
        self.plan[levels] = self.plan[levels] + address if self._has_levels else NONE
        self._means, self.plan[MEANS] = int(self.plan[MEANS]), NONE
        self.octaves[:, list(_OCTAVE_ADDRESSES)] += address
        self.threads[:, [field for field in range(THREAD_SIZE) if field not in _NO_THREAD_ADDRESSES]] += address
        most = max(128, self.widest)
        self._floats(FLOORS, most)[: self.arch.linear_of(0)] = NEVER
        self._floats(PAIR_FLOORS, 2 * most)[: 2 * self.arch.linear_of(0)] = NEVER
        self._floats(NO_FLOORS, most)[:] = NEVER
        self._floats(ONES, RUN)[:] = 1

    def _floats(self, field, count):
        return self.at(int(self.plan[field]), count)

    def at(self, address: int, count: int) -> np.ndarray:
        """View `count` floats at an address."""
        start = (address - self.block.address) // FLOAT
        return self.block.floats[start : start + count]

    def plane(self, field: int, octave: int, plane: int) -> np.ndarray:
        """View one of the arrays in the form of code planes: (rows, columns), without the margins."""
        row = self.octaves[octave]
        pitch, rows = int(row[PITCH]) // FLOAT, int(row[ROWS])
        start = int(self.plan[field] + row[CODE] + plane * row[PLANE] + ABOVE * row[PITCH]) + MARGIN * FLOAT
        # The view starts after the first row's margin, so that each of its rows ends with the next one's.
        return self.at(start, rows * pitch).reshape(rows, pitch)[:, : row[COLUMNS]]

    def put_form(self, form: Form) -> None:
        """Write the levels and edges of a form, as factors of errors in the gradient of D."""
        if form.edges is None:
            return
        arch = self.arch
        factor = np.float32(2 / (arch.planes * arch.width * arch.height))
        pitch = int(self.plan[OUTPUT_PITCH]) // FLOAT
        edges = self.at(int(self.plan[EDGES]), arch.height * pitch - 2 * MARGIN)
        for row, values in enumerate(form.edges):
            edges[row * pitch :][: arch.width] = values * factor
        for level, weights in enumerate(form.levels):
            place, pitch, size = (int(number) for number in self.plan[LEVEL_WEIGHTS + 3 * level :][:3])
            planes = self.at(place, arch.planes * size // FLOAT).reshape(arch.planes, -1, pitch // FLOAT)
            planes[:, :, : weights.shape[2]] = weights * factor

    def errors(self) -> np.ndarray:
        """View what `distortion` keeps of every pixel: (rows, columns)."""
        return self._pixels(ERRORS)

    def sum_from_now(self) -> None:
        """Let every step from now on add its samples to `sums`."""
        self.plan[MEANS] = self._means

    def sum_no_more(self) -> None:
        """End what `sum_from_now` began."""
        self.plan[MEANS] = NONE

    def sums(self) -> np.ndarray:
        """View the sums of samples: (planes, rows, columns)."""
        arch, pitch = self.arch, int(self.plan[OUTPUT_PITCH]) // FLOAT
        return self.at(self._means - MARGIN * FLOAT, arch.planes * arch.height * pitch).reshape(
            arch.planes, arch.height, pitch
        )[..., MARGIN : MARGIN + arch.width]

    def known(self) -> np.ndarray:
        """View the mask: (rows, columns), 1 for each pixel that counts, else 0."""
        return self._pixels(KNOWN)

    def _pixels(self, field):
        pitch, height = int(self.plan[ERRORS_PITCH]) // FLOAT, self.arch.height
        return self.at(int(self.plan[field]), height * pitch).reshape(height, pitch)[:, : self.arch.width]

    def target(self) -> np.ndarray:
        """View the place of the picture's samples: uint16 (planes, rows, pitch).

        They have the full range of 16 bits, whatever the picture's depth.
        """
        pitch, height = int(self.plan[TARGET_PITCH]), self.arch.height
        count = self.arch.planes * height * pitch
        return (
            self.at(int(self.plan[TARGET]), count // FLOAT)
            .view(np.uint16)
            .reshape(self.arch.planes, height, pitch // SHORT)
        )

"""The architecture: a few integers, and all that follows from them.

These are sizes, tensors in coding order, windows, and the cost of a decode in memory and time.
"""

from dataclasses import asdict, dataclass
from math import prod
from typing import NamedTuple

from ..errors import DamagedError

SIDE_MAX = 65535
"""Greatest width and height in pixels, which header rows of 16 bits can hold (FORMAT.md, chapter 1)."""

CODE_MAX = 4095
"""Greatest absolute value of an integer of the code (FORMAT.md, chapter 6)."""

WEIGHT_MAX = 32767
"""Greatest absolute value of a weight `w` (FORMAT.md, chapter 5)."""

EXPONENT_MAX = 15
"""Greatest exponent of a tensor, `e` and `E` (FORMAT.md, chapter 5)."""

ACTIVATION_LEAST, ACTIVATION_MAX = -(2**15), 2**15 - 1
"""Least and greatest activation: 16 bits (FORMAT.md, chapter 5)."""

SEEN_MAX = 127
"""Greatest absolute value of an integer of the code as contexts see it (FORMAT.md, chapter 6)."""

CODE_STEP = 256
"""One unit of the code in activations: 1 in the context model (8 fractional bits), 1/16 in the synthesis (12)."""


CONTEXT_BITS, SYNTHESIS_BITS = 8, 12
"""Fractional bits of activations of the context model, and of the synthesis without headroom."""

CONTEXT_UNIT = 2**CONTEXT_BITS
"""Activations of the context model are integers in units of 1 / CONTEXT_UNIT (FORMAT.md, chapter 6)."""

SYNTHESIS_UNIT = 2**SYNTHESIS_BITS
"""Channels of the synthesis are integers in units of 2^headroom / SYNTHESIS_UNIT (FORMAT.md, chapter 7)."""

OUTPUT_UNIT = 2**16
"""Outputs before and after the residual layer are in units of 1 / OUTPUT_UNIT (FORMAT.md, chapter 7)."""

OUTPUT_MAX = 2**18
"""Greatest absolute value of an output before the residual layer, 4 times white (FORMAT.md, chapter 7)."""

AROUND_UNIT = 2**14
"""The residual layer sees outputs around in units of 1 / AROUND_UNIT (FORMAT.md, chapter 7)."""

HEADROOM_MAX = 3
"""Greatest `headroom` (FORMAT.md, chapter 1)."""


WAVEFRONT_SLOPE = 3
"""The place in column x and row y belongs to wavefront x + WAVEFRONT_SLOPE y (FORMAT.md, chapter 6)."""


NEIGHBOURS = (
    (-1, 0), (0, -1), (-1, -1), (1, -1), (-2, 0), (0, -2), (-2, -1), (2, -1), (-1, -2), (1, -2),
    (-3, 0), (0, -3), (-2, -2), (2, -2), (-3, -1), (-1, -3), (1, -3), (3, -2), (-3, -2), (4, -2),
)  # fmt: skip
"""Causal neighbours (dx, dy) in the order in which a context takes them (FORMAT.md, chapter 6)."""


FEATURES = 6
"""Linear features that a context sees, made of the planes of all coarser octaves (FORMAT.md, chapter 6).

Beside them it sees the magnitudes of the next coarser octave.
"""


FIELD_PLANES = 1 + FEATURES + 1
"""Planes in which all lies that a context sees: its own code, the features, the magnitudes."""


DETAIL_PLANES = 2
"""Code planes that detail adds to octave 0: with its own it then holds as many numbers as the picture (FORMAT.md,
chapter 5)."""


SQUARE = 9
"""Places that the residual layer sees, a square of 3x3 (FORMAT.md, chapter 7)."""


FILTER_REACH = 2
"""Places from the middle to the edge of the square that the filter of an octave's code sees (FORMAT.md, chapter 7)."""

FILTER_SIDE = 2 * FILTER_REACH + 1
"""Places along a side of that square."""


BANDS_AT_ONCE = 2
"""Bands of the picture that a decoder makes at once, each in a thread."""


SAMPLES_COPIES = 4
"""Memory that the decoded samples, their checksum and the written file take together, in multiples of the samples."""


LEAST_MEMORY = 2**23
"""Bytes that tables and threads take for any picture."""


# All seconds were measured on one core of an AMD EPYC.
WAVEFRONT_SECONDS = 35e-6
"""Seconds of the walk over the code for each wavefront."""

POSITION_SECONDS = 280e-9
"""Seconds of the walk for each integer of the code."""

PRODUCT_SECONDS = 0.1e-9
"""Seconds of the walk for each product of the context model."""

CHANNEL_SECONDS = 31e-9
"""Seconds of the synthesis for each channel of a pixel."""

TAP_SECONDS = 8e-9
"""Seconds of the synthesis for each channel of a pixel, times `taps`."""

CODE_SECONDS = 57e-9
"""Seconds of the synthesis for each code plane of a pixel."""

TOP_SECONDS = 12e-9
"""Seconds of the synthesis for each channel of the top layer of a pixel."""

SAMPLE_SECONDS = 40e-9
"""Seconds of the synthesis for each sample of a pixel."""

CALLS_SECONDS = 600e-6
"""Seconds of NumPy's calls for each octave of a band."""

BASES = 10
"""Bases of the weights that are shipped, counted from 1. Base 0 knows nothing (FORMAT.md, chapter 5)."""

BASE_OCTAVES = 7
"""Octaves of the network that the bases are for. A smaller picture may have fewer (FORMAT.md, chapter 5)."""

BASE_SHAPE = {
    "coarsest_planes": 1, "finer_planes": 1, "finest_channels": 7, "channels": 7, "linear": 7,
    "top_channels": 48, "taps": 2,
    "neighbours": 20, "context_channels": 20,
}  # fmt: skip
"""Header rows of the network that the bases are for (FORMAT.md, chapter 5)."""


class Tensor(NamedTuple):
    """Name (FORMAT.md, chapter 5) and shape of a tensor of weights."""

    name: str
    shape: tuple[int, ...]


class Window(NamedTuple):
    """Rows `start .. stop - 1` of an octave."""

    start: int
    stop: int


@dataclass(frozen=True)
class Arch:
    """The size of a picture and the shape of its network.

    The fields are header rows (FORMAT.md, chapter 1) and have their ranges. Sizes are in pixels.
    """

    width: int
    height: int
    planes: int
    octaves: int
    coarsest_planes: int
    finer_planes: int
    finest_channels: int
    channels: int
    linear: int
    top_channels: int
    taps: int
    neighbours: int
    context_channels: int
    base: int = 0
    depth: int = 0
    detail: int = 0
    headroom: int = 0

    def check(self) -> None:
        """Raise `DamagedError` where the rows contradict each other."""
        if self.width < 1 or self.height < 1:
            raise DamagedError(f"The header gives the picture a size of {self.width}x{self.height}.")
        if not 1 <= self.neighbours <= len(NEIGHBOURS):
            raise DamagedError(
                f"The header asks for {self.neighbours} neighbours; 1 to {len(NEIGHBOURS)} are possible."
            )
        if self.linear > min(self.channels_of(octave) for octave in range(self.octaves)):
            raise DamagedError(f"The header makes {self.linear} channels linear, more than an octave has.")
        if self.detail and not self.base:
            raise DamagedError("The header gives detail to a network without a base.")
        if self.base and (
            self.octaves > BASE_OCTAVES or any(getattr(self, name) != value for name, value in BASE_SHAPE.items())
        ):
            raise DamagedError(
                f"The header names base {self.base} of the weights for a network that is not the base's."
            )

    @property
    def synthesis_unit(self) -> int:
        """The number 1 in units of the activations of the synthesis."""
        return SYNTHESIS_UNIT >> self.headroom

    @property
    def bits(self) -> int:
        """Bits of a sample: 8 or 16."""
        return 8 << self.depth

    @property
    def peak(self) -> int:
        """The value of white: 255 or 65535."""
        return 2**self.bits - 1

    def size(self, octave: int) -> tuple[int, int]:
        """Rows and columns of an octave: ceil(size / 2^octave)."""
        return -(-self.height >> octave), -(-self.width >> octave)

    def channels_of(self, octave: int) -> int:
        """Channels of an octave, `C(l)` (FORMAT.md, chapter 5)."""
        return self.channels if octave else self.finest_channels + self._detail_planes(octave)

    def linear_of(self, octave: int) -> int:
        """Channels of an octave that have no ReLU, counted from the first (FORMAT.md, chapter 6)."""
        return self.linear + self._detail_planes(octave)

    def code_planes(self, octave: int) -> int:
        """Code planes of an octave, `P(l)` (FORMAT.md, chapter 5)."""
        return self.filtered_planes(octave) + self._detail_planes(octave)

    def filtered_planes(self, octave: int) -> int:
        """Code planes of an octave that its filter is for, the first ones (FORMAT.md, chapter 7)."""
        return self.coarsest_planes if octave == self.octaves - 1 else self.finer_planes

    def _detail_planes(self, octave):
        return 0 if octave else DETAIL_PLANES * self.detail

    @property
    def profile(self) -> str:
        """The profile: "classic" if only the coarsest of several octaves has code, else "default"."""
        return "classic" if self.octaves > 1 and not self.finer_planes else "default"

    @property
    def coarse_to_fine(self) -> tuple[int, ...]:
        """All octaves, the coarsest first."""
        return tuple(reversed(range(self.octaves)))

    @property
    def coded_octaves(self) -> tuple[int, ...]:
        """The octaves that have code planes, the coarsest first."""
        return tuple(octave for octave in self.coarse_to_fine if self.code_planes(octave))

    @property
    def passes(self) -> bool:
        """Whether octaves can hand the planes of the coarser ones on as they are, each beside its own.

        This takes one code plane in each octave, detail aside, and a linear channel for each. Mixing these channels
        anew adds nothing.
        """
        one_plane = self.coarsest_planes == self.finer_planes == 1
        return one_plane and self.octaves <= self.linear == self.channels == self.finest_channels

    def is_fixed(self, name: str) -> bool:
        """Whether a fit leaves a tensor as it is.

        If octaves pass planes on, this holds for all tensors that could mix planes before the top layer. In the plain
        deep decoder it holds for the residual layer and the filters, which that decoder does not have.
        """
        return (
            self.passes
            and name.split(".")[0] in ("mix", "code", "bias")
            or self.profile == "classic"
            and name.split(".")[0] in ("residual", "filter")
        )

    def seen(self, octave: int) -> tuple[int, ...]:
        """List the coarser octaves whose single planes give features to the context of `octave`, the next one first.

        Their number is `S(l)` (FORMAT.md, chapter 5).
        """
        return (
            tuple(o for o in range(octave + 1, self.octaves) if self.code_planes(o) == 1)
            if self.code_planes(octave)
            else ()
        )

    @property
    def context_inputs(self) -> int:
        """Numbers that the context model sees: neighbours, features, and a magnitude of the next coarser octave."""
        return self.neighbours + FEATURES + 1

    def tensors(self) -> tuple[Tensor, ...]:
        """List all tensors in coding order (FORMAT.md, chapter 5)."""
        hidden, inputs = self.context_channels, self.context_inputs
        rows = [
            Tensor("context.1.weight", (hidden, inputs)),
            Tensor("context.1.bias", (hidden,)),
            Tensor("context.2.weight", (hidden, hidden)),
            Tensor("context.2.bias", (hidden,)),
            Tensor("context.3.weight", (2, hidden + inputs)),
            Tensor("context.3.bias", (len(self.coded_octaves), 2)),
        ]
        rows += [
            Tensor(f"context.features.{octave}", (FEATURES, len(self.seen(octave))))
            for octave in self.coarse_to_fine
            if self.seen(octave)
        ]
        for octave in self.coarse_to_fine:
            channels = self.channels_of(octave)
            if octave < self.octaves - 1:
                rows.append(Tensor(f"mix.{octave}", (channels, self.channels_of(octave + 1))))
                rows.append(Tensor(f"taps.{octave}", (2 * self.taps,)))
            if self.code_planes(octave):
                rows.append(Tensor(f"filter.{octave}", (FILTER_SIDE, FILTER_SIDE)))
                rows.append(Tensor(f"code.{octave}", (channels, self.code_planes(octave))))
            rows.append(Tensor(f"bias.{octave}", (channels,)))
        if self.top_channels:
            rows.append(Tensor("top.weight", (self.top_channels, self.channels_of(0))))
            rows.append(Tensor("top.bias", (self.top_channels,)))
        rows.append(Tensor("output.weight", (self.planes, self.channels_of(0) + self.top_channels)))
        rows.append(Tensor("output.bias", (self.planes,)))
        rows.append(Tensor("residual.weight", (self.planes, SQUARE * self.planes)))
        return tuple(rows)

    def coded_tensors(self) -> tuple[Tensor, ...]:
        """List the tensors that a file holds, in coding order.

        With base 1 to 10 a file leaves fixed tensors out: they are those of the base.
        """
        return tuple(tensor for tensor in self.tensors() if not (self.base and self.is_fixed(tensor.name)))

    def weight_count(self) -> int:
        """Count the weights that a file holds."""
        return sum(prod(shape) for _, shape in self.coded_tensors())

    def windows(self, start: int, stop: int, finest: int = 0) -> dict[int, Window]:
        """Give each octave the rows that rows `start .. stop - 1` of octave `finest` are made of.

        Returns octave -> `Window` for the octaves `finest .. octaves - 1`.
        """
        # The residual layer of the whole picture sees a row above and below.
        margin = 0 if finest else 1
        windows = {finest: Window(max(0, start - margin), min(self.size(finest)[0], stop + margin))}
        for octave in range(finest + 1, self.octaves):
            finer = windows[octave - 1]
            rows = self.size(octave)[0]
            windows[octave] = Window(
                max(0, finer.start // 2 - self.taps), min(rows, (finer.stop - 1) // 2 + self.taps + 1)
            )
        return windows

    def bands(self, finest: int = 0) -> list[Window]:
        """Cut octave `finest` into windows of about 32,768 pixels each, from top to bottom.

        The arrays of such a window stay in the processor's cache.
        """
        rows, columns = self.size(finest)
        step = band_rows(columns)
        return [Window(start, min(rows, start + step)) for start in range(0, rows, step)]

    def as_dict(self) -> dict[str, int]:
        """The fields, name -> value."""
        return asdict(self)

    def positions(self, finest: int = 0) -> int:
        """Count the integers of the code in octave `finest` and all coarser ones."""
        return sum(self.code_planes(o) * prod(self.size(o)) for o in range(finest, self.octaves))

    def macs(self) -> int:
        """Count the multiplications of a whole decode.

        They are those of context model, features, mixing, upsampling, code, top layer, output and residual layer.
        """
        hidden, inputs = self.context_channels, self.context_inputs
        count = self.positions() * (hidden * (inputs + hidden) + 2 * (hidden + inputs))
        for octave in range(self.octaves):
            pixels = prod(self.size(octave))
            if seen := len(self.seen(octave)):
                coarse = prod(self.size(octave + 1))
                doubled = FEATURES + 1 + (seen if octave else 0)
                count += coarse * FEATURES * seen + 2 * doubled * (2 * coarse + pixels)
            channels = self.channels_of(octave)
            count += pixels * (channels * self.code_planes(octave) + FILTER_SIDE**2 * self.filtered_planes(octave))
            if octave < self.octaves - 1:
                coarse = prod(self.size(octave + 1))
                count += coarse * channels * self.channels_of(octave + 1)
                count += channels * 2 * self.taps * (2 * coarse + pixels)
        top = self.top_channels * self.channels_of(0)
        return count + prod(self.size(0)) * (
            top + (self.channels_of(0) + self.top_channels + SQUARE * self.planes) * self.planes
        )

    def wavefronts(self) -> int:
        """Count the steps of the walk over the code.

        However short a wavefront is, its step takes some microseconds.
        """
        sizes = [(self.code_planes(o), *self.size(o)) for o in range(self.octaves)]
        return sum(planes * (columns + WAVEFRONT_SLOPE * (rows - 1)) for planes, rows, columns in sizes)

    def memory(self, finest: int = 0) -> int:
        """Bytes that a decode to the size of octave `finest` needs beside the program, within some 20 %.

        The code is in memory all the time. At first the field of its finest octave stands beside it. Then bands and
        samples do, and at the end copies of the samples.
        """
        rows, columns = self.size(self.coded_octaves[-1])
        code, samples = 4 * self.positions(), prod(self.size(finest)) * self.planes * self.bits // 8
        field = 4 * FIELD_PLANES * (rows + 3) * (columns + 4) + 8 * self.context_inputs * rows
        bands, pixels = self._band_pixels(finest)
        layers = max(2 * self.top_channels, self.top_channels + 2 * SQUARE * self.planes) + 2 * self.planes
        values = [pixels[finest] * (self.channels_of(0) + layers)]
        for octave, count in enumerate(pixels):
            coarser = pixels[octave + 1] * self.channels if octave < self.octaves - 1 else 0
            values.append(count * (3 * self.channels_of(octave) + 6 * self.code_planes(octave)) + coarser)
        return LEAST_MEMORY + max(
            code + field, code + samples + min(BANDS_AT_ONCE, bands) * 8 * max(values), SAMPLES_COPIES * samples
        )

    def seconds(self, finest: int = 0) -> float:
        """Seconds that a decode to the size of octave `finest` takes, within some 30 %.

        They hold for two cores of an AMD EPYC. The walk over the code has one thread, the synthesis two. NumPy's time
        goes into passes over memory. Products take next to none.
        """
        contexts = self.context_channels * (self.context_inputs + self.context_channels)
        walk = self.wavefronts() * WAVEFRONT_SECONDS + self.positions() * (
            POSITION_SECONDS + contexts * PRODUCT_SECONDS
        )
        bands, pixels = self._band_pixels(finest)
        band = self.octaves * CALLS_SECONDS + pixels[finest] * (
            self.top_channels * TOP_SECONDS + self.planes * SAMPLE_SECONDS
        )
        for octave, count in enumerate(pixels):
            band += count * (
                self.channels_of(octave) * (CHANNEL_SECONDS + self.taps * TAP_SECONDS)
                + self.code_planes(octave) * CODE_SECONDS
            )
        return walk + bands * band / BANDS_AT_ONCE

    def _band_pixels(self, finest: int) -> tuple[int, list[int]]:
        """Count the bands of a picture of the size of octave `finest`, and the pixels that one takes from each octave.

        The pixels are those of a band in the middle. Octaves finer than `finest` count as many as `finest`.
        """
        rows, columns = self.size(finest)
        step = band_rows(columns)
        count = -(-rows // step)
        start = count // 2 * step
        windows = self.windows(start, min(rows, start + step), finest)
        pixels = {octave: (window.stop - window.start) * self.size(octave)[1] for octave, window in windows.items()}
        return count, [pixels[max(finest, octave)] for octave in range(self.octaves)]


def base_arch(width: int, height: int, planes: int, base: int = 0, depth: int = 0, detail: int = 0) -> Arch:
    """Make the architecture of the bases' network for a picture.

    width, height: pixels. planes: 1 or 3. base: the base from which the weights are coded, 0..10.
    depth: 0 for 8 bits a sample, 1 for 16. detail: 1 for more code planes in octave 0, with a base.
    """
    picture = {"width": width, "height": height, "planes": planes, "depth": depth}
    return Arch(**picture, octaves=BASE_OCTAVES, base=base, detail=detail, **BASE_SHAPE)


def band_rows(columns: int) -> int:
    """Rows of a band of a picture with so many columns.

    A band has about 32,768 pixels, so that its arrays stay in the processor's cache, and at least 8 rows.
    """
    return max(8, 2**15 // columns)

"""The architecture: a few integers, and all that follows from them: sizes, tensors in coding order, windows, bounds,
costs.
"""

from dataclasses import asdict, dataclass
from math import prod
from typing import NamedTuple

from ..errors import DamagedError

SIDE_MAX = 65535


CODE_MAX = 4095


WEIGHT_MAX = 32767


EXPONENT_MAX = 15


ACTIVATION_MAX = 2**20


CODE_STEP = 256
"""What one unit of the code is in activations: 1 in the context model (8 fractional bits), 1/16 in the synthesis
(12).
"""


CONTEXT_UNIT = 2**8


SYNTHESIS_UNIT = 2**12


OUTPUT_UNIT = 2**16
"""Of the samples before the residual layer."""


WAVEFRONT_SLOPE = 3


NEIGHBOURS = (
    (-1, 0), (0, -1), (-1, -1), (1, -1), (-2, 0), (0, -2), (-2, -1), (2, -1), (-1, -2), (1, -2),
    (-3, 0), (0, -3), (-2, -2), (2, -2), (-3, -1), (-1, -3), (1, -3), (3, -2), (-3, -2), (4, -2),
)  # fmt: skip
"""Causal neighbours (dx, dy) in the order in which a context takes them (FORMAT.md, chapter 6)."""


FEATURES = 6
"""Of the coarser octaves' planes, linear, that a context sees; and besides the magnitudes of the next coarser one."""


FIELD_PLANES = 1 + FEATURES + 1
"""What a context sees lies in so many planes: its own code, the features, the magnitudes."""


SQUARE = 9
"""Places that the residual layer sees."""


FILTER_REACH = 2


FILTER_SIDE = 2 * FILTER_REACH + 1
"""Of the square that the filter of an octave's code sees: so far from the place itself, and so many places wide."""


BANDS_AT_ONCE = 2
"""Bands of the picture that a decoder makes at once, one a thread."""


SAMPLES_COPIES = 4
"""What the decoded samples, their checksum and the file that they are written to take, in times the samples."""


LEAST_MEMORY = 2**23
"""Bytes of tables and threads, whatever the picture."""


WAVEFRONT_SECONDS, POSITION_SECONDS, PRODUCT_SECONDS = 35e-6, 280e-9, 0.1e-9
"""Of the walk: a wavefront, each integer in it, and each product of its context model.

All these are measured, on one core of an AMD EPYC.
"""


CHANNEL_SECONDS, TAP_SECONDS, CODE_SECONDS, TOP_SECONDS, SAMPLE_SECONDS, CALLS_SECONDS = (
    31e-9,
    8e-9,
    57e-9,
    12e-9,
    40e-9,
    600e-6,
)
"""Of the synthesis of a pixel: a channel, that times `taps`, a code plane, a channel of the top layer, a sample; and,
for each octave of a band, NumPy's calls.
"""


BASES = 5
"""Bases of the weights that are shipped, from 1 on; base 0 knows nothing."""


BASE_OCTAVES = 7


BASE_SHAPE = {
    "coarsest_planes": 1, "finer_planes": 1, "finest_channels": 7, "channels": 7, "linear": 7,
    "top_channels": 48, "taps": 2,
    "neighbours": 20, "context_channels": 20,
}  # fmt: skip
"""The rows of the network that the bases are for."""


class Tensor(NamedTuple):
    """A tensor of weights: its name (FORMAT.md, chapter 5) and shape."""

    name: str
    shape: tuple[int, ...]


class Window(NamedTuple):
    """Rows `start .. stop - 1` of an octave."""

    start: int
    stop: int


@dataclass(frozen=True)
class Arch:
    """Size of the picture and shape of the network.

    The fields are header rows of FORMAT.md, chapter 1, with their ranges.
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

    def check(self):
        """Raise `DamagedError` where the rows contradict each other."""
        if self.width < 1 or self.height < 1:
            raise DamagedError(f"The header gives the picture a size of {self.width}x{self.height}.")
        if not 1 <= self.neighbours <= len(NEIGHBOURS):
            raise DamagedError(
                f"The header asks for {self.neighbours} neighbours; 1 to {len(NEIGHBOURS)} are possible."
            )
        if self.linear > min(self.channels_of(octave) for octave in range(self.octaves)):
            raise DamagedError(f"The header makes {self.linear} channels linear, more than an octave has.")
        if self.base and (
            self.octaves > BASE_OCTAVES or any(getattr(self, name) != value for name, value in BASE_SHAPE.items())
        ):
            raise DamagedError(
                f"The header names base {self.base} of the weights for a network that is not the base's."
            )

    @property
    def bits(self):
        """Of a sample: 8 or 16."""
        return 8 << self.depth

    @property
    def peak(self):
        """The value of white: 255 or 65535."""
        return 2**self.bits - 1

    def size(self, octave):
        """Rows and columns of an octave: ceil(size / 2^octave)."""
        return -(-self.height >> octave), -(-self.width >> octave)

    def channels_of(self, octave):
        return self.finest_channels if octave == 0 else self.channels

    def code_planes(self, octave):
        return self.coarsest_planes if octave == self.octaves - 1 else self.finer_planes

    @property
    def profile(self):
        """ "classic" if only the coarsest of several octaves has code, else "default"."""
        return "classic" if self.octaves > 1 and not self.finer_planes else "default"

    @property
    def coarse_to_fine(self):
        return tuple(reversed(range(self.octaves)))

    @property
    def coded_octaves(self):
        """The octaves that have code planes, coarse to fine."""
        return tuple(octave for octave in self.coarse_to_fine if self.code_planes(octave))

    @property
    def passes(self):
        """Whether octaves can hand the planes of the coarser ones on as they are, each beside its own: mixing linear
        channels anew adds nothing to that.
        """
        one_plane = self.coarsest_planes == self.finer_planes == 1
        return one_plane and self.octaves <= self.linear == self.channels == self.finest_channels

    def is_fixed(self, name):
        """Whether a fit leaves a tensor as it is: where octaves pass planes on, all that could mix them before the top
        layer; the plain deep decoder has neither a residual layer nor filters.
        """
        return (
            self.passes
            and name.split(".")[0] in ("mix", "code", "bias")
            or self.profile == "classic"
            and name.split(".")[0] in ("residual", "filter")
        )

    def seen(self, octave):
        """The coarser octaves whose single planes give features to the context of `octave`, the next one first."""
        return (
            tuple(o for o in range(octave + 1, self.octaves) if self.code_planes(o) == 1)
            if self.code_planes(octave)
            else ()
        )

    @property
    def context_inputs(self):
        """Numbers that the context model sees: neighbours, features, and magnitudes of the next coarser octave."""
        return self.neighbours + FEATURES + 1

    def tensors(self):
        """All tensors in coding order (FORMAT.md, chapter 5)."""
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
            rows.append(Tensor("top.weight", (self.top_channels, self.finest_channels)))
            rows.append(Tensor("top.bias", (self.top_channels,)))
        rows.append(Tensor("output.weight", (self.planes, self.finest_channels + self.top_channels)))
        rows.append(Tensor("output.bias", (self.planes,)))
        rows.append(Tensor("residual.weight", (self.planes, SQUARE * self.planes)))
        return tuple(rows)

    def coded_tensors(self):
        """Those that a file holds: of a base's network what is fixed is the base's."""
        return tuple(tensor for tensor in self.tensors() if not (self.base and self.is_fixed(tensor.name)))

    def weight_count(self):
        """Of those that a file holds."""
        return sum(prod(shape) for _, shape in self.coded_tensors())

    def windows(self, start, stop, finest=0):
        """The rows that each octave must have so that rows `start .. stop - 1` of octave `finest` can be made.

        Returns a dict octave -> `Window` for the octaves `finest .. octaves - 1`.
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

    def bands(self, finest=0):
        """Windows of octave `finest` that together make the picture, each of about 32,768 pixels: its arrays stay in
        the processor's cache.
        """
        rows, columns = self.size(finest)
        step = band_rows(columns)
        return [Window(start, min(rows, start + step)) for start in range(0, rows, step)]

    def as_dict(self):
        return asdict(self)

    def positions(self, finest=0):
        """Number of code integers in the octaves `finest` and coarser."""
        return sum(self.code_planes(o) * prod(self.size(o)) for o in range(finest, self.octaves))

    def macs(self):
        """Multiplications of a whole decode: context model and its features, mixing, upsampling, code, output and
        residual layer.
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
            count += pixels * (channels + FILTER_SIDE**2) * self.code_planes(octave)
            if octave < self.octaves - 1:
                coarse = prod(self.size(octave + 1))
                count += coarse * channels * self.channels_of(octave + 1)
                count += channels * 2 * self.taps * (2 * coarse + pixels)
        top = self.top_channels * self.finest_channels
        return count + prod(self.size(0)) * (
            top + (self.finest_channels + self.top_channels + SQUARE * self.planes) * self.planes
        )

    def wavefronts(self):
        """Steps of the context model's walk, each of which takes some microseconds however short it is."""
        sizes = [(self.code_planes(o), *self.size(o)) for o in range(self.octaves)]
        return sum(planes * (columns + WAVEFRONT_SLOPE * (rows - 1)) for planes, rows, columns in sizes)

    def memory(self, finest=0):
        """Bytes that a decode to the size of octave `finest` needs beside the program, within some 20 %.

        The code is there all the time: with it first the field of its finest octave, then bands and samples. Copies of
        these come last.
        """
        rows, columns = self.size(self.coded_octaves[-1])
        code, samples = 4 * self.positions(), prod(self.size(finest)) * self.planes * self.bits // 8
        field = 4 * FIELD_PLANES * (rows + 3) * (columns + 4) + 8 * self.context_inputs * rows
        bands, pixels = self._band_pixels(finest)
        layers = max(2 * self.top_channels, self.top_channels + 2 * SQUARE * self.planes) + 2 * self.planes
        values = [pixels[finest] * (self.finest_channels + layers)]
        for octave, count in enumerate(pixels):
            coarser = pixels[octave + 1] * self.channels if octave < self.octaves - 1 else 0
            values.append(count * (3 * self.channels_of(octave) + 6 * self.code_planes(octave)) + coarser)
        return LEAST_MEMORY + max(
            code + field, code + samples + min(BANDS_AT_ONCE, bands) * 8 * max(values), SAMPLES_COPIES * samples
        )

    def seconds(self, finest=0):
        """About the seconds that a decode to the size of octave `finest` takes on two cores of an AMD EPYC, within some
        30 %.

        The walk over the code has one thread, the synthesis two. NumPy's time is that of passes over memory: products
        are next to nothing.
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

    def _band_pixels(self, finest):
        """How many bands a picture of the size of octave `finest` has, and the pixels that one in the middle takes from
        each octave; as many of each finer one as of `finest`.
        """
        rows, columns = self.size(finest)
        step = band_rows(columns)
        count = -(-rows // step)
        start = count // 2 * step
        windows = self.windows(start, min(rows, start + step), finest)
        pixels = {octave: (window.stop - window.start) * self.size(octave)[1] for octave, window in windows.items()}
        return count, [pixels[max(finest, octave)] for octave in range(self.octaves)]


def base_arch(width, height, planes, base=0, depth=0):
    """The architecture of the bases for a picture; base: that from which its weights are coded; depth: 0 for 8 bits a
    sample, 1 for 16.
    """
    return Arch(width=width, height=height, planes=planes, octaves=BASE_OCTAVES, base=base, depth=depth, **BASE_SHAPE)


def band_rows(columns):
    """Rows of a band of the picture: about 32,768 pixels, so that a band's arrays stay in the processor's cache."""
    return max(8, 2**15 // columns)

"""The colour description in chunk 6 (FORMAT.md, chapter 2): the meaning of samples.

It is stated in code points of ITU-T H.273 or in numbers, as in PNG, AVIF and JPEG XL.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import DamagedError

GIVEN = 0
"""The byte in place of a code point where numbers follow."""

UNSPECIFIED = 2
"""The code point of ITU-T H.273 for a property that is left open."""

CHROMATICITY_UNIT = 100_000
"""Chromaticity coordinates are integers in units of 1 / CHROMATICITY_UNIT (FORMAT.md, chapter 2)."""

EXPONENT_UNIT = 2**16
"""Exponents are integers in units of 1 / EXPONENT_UNIT (FORMAT.md, chapter 2)."""

CHROMATICITY_BYTES = 3
"""Bytes of one chromaticity coordinate."""

EXPONENT_BYTES = 4
"""Bytes of an exponent."""

SRGB_PRIMARIES, BT2020, P3 = 1, 9, 12
"""Code points of ColourPrimaries (ITU-T H.273, table 2)."""

GAMMA_22, LINEAR, SRGB_TRANSFER, PQ, HLG = 4, 8, 13, 16, 18
"""Code points of TransferCharacteristics (ITU-T H.273, table 3)."""

Point = tuple[float, float]
"""Chromaticity coordinates x and y of CIE 1931."""

_D65, _C, _P3_WHITE = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
"""White points (ITU-T H.273, table 2)."""

PRIMARIES = {
    1: (_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    4: (_C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: (_C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)),
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: (_P3_WHITE, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: (_D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
"""Code points of ColourPrimaries -> xy of white, red, green and blue (ITU-T H.273, table 2)."""

ADOBE_RGB = (_D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
"""xy of white, red, green and blue of Adobe RGB (1998), 4.3.1."""

PROPHOTO = ((0.3457, 0.3585), (0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105))
"""xy of white, red, green and blue of ROMM RGB (ISO 22028-2, table 1)."""


class Curve(NamedTuple):
    """A transfer curve, which makes light of a sample v, both in 0..1.

    Light is v / slope below `toe`, else ((v + offset) / (1 + offset)) ^ exponent.
    """

    exponent: float
    offset: float = 0.0
    slope: float = 1.0
    toe: float = 0.0

    def light(self, values: np.ndarray | float) -> np.ndarray:
        """Turn samples in 0..1 into light in 0..1."""
        values = np.asarray(values, float)
        return np.where(
            values < self.toe, values / self.slope, ((values + self.offset) / (1 + self.offset)) ** self.exponent
        )

    def samples(self, light: np.ndarray | float) -> np.ndarray:
        """Turn light in 0..1 into samples in 0..1."""
        light = np.asarray(light, float)
        return np.where(
            light < self.toe / self.slope,
            light * self.slope,
            light ** (1 / self.exponent) * (1 + self.offset) - self.offset,
        )


_BT709 = Curve(1 / 0.45, 0.099, 4.5, 0.081)
"""The curve of ITU-R BT.709."""
TRANSFERS = {
    1: _BT709,
    4: Curve(2.2),
    5: Curve(2.8),
    6: _BT709,
    8: Curve(1.0),
    13: Curve(2.4, 0.055, 12.92, 0.04045),
    14: _BT709,
    15: _BT709,
}
"""Code points of TransferCharacteristics -> their curves (ITU-T H.273, table 3; of sRGB IEC 61966-2-1).

The table has only those whose light does not depend on a screen.
"""

PRIMARIES_NAMES = {
    1: "sRGB", 4: "BT.470 M", 5: "BT.601 (625 lines)", 6: "BT.601 (525 lines)", 7: "SMPTE 240M", 8: "generic film",
    9: "BT.2020", 10: "CIE XYZ", 11: "DCI-P3", 12: "P3", 22: "EBU Tech 3213",
}  # fmt: skip
"""Code points of ColourPrimaries -> names for people."""
TRANSFER_NAMES = {
    1: "BT.709 curve",
    6: "BT.709 curve",
    8: "linear",
    13: "sRGB curve",
    14: "BT.709 curve",
    15: "BT.709 curve",
    16: "PQ",
    18: "HLG",
}
"""Code points of TransferCharacteristics -> names for people. A gamma is named by its exponent instead."""
TITLES = {
    (SRGB_PRIMARIES, SRGB_TRANSFER): "sRGB", (P3, SRGB_TRANSFER): "Display P3", (BT2020, 1): "BT.2020",
    (BT2020, 14): "BT.2020", (BT2020, 15): "BT.2020", (BT2020, PQ): "BT.2100 PQ", (BT2020, HLG): "BT.2100 HLG",
    (SRGB_PRIMARIES, LINEAR): "linear sRGB", (SRGB_PRIMARIES, 1): "BT.709",
}  # fmt: skip
"""Code points (primaries, transfer) -> names of well-known pairs."""


class Color(NamedTuple):
    """A colour description: the meaning of samples.

    primaries: a code point of ITU-T H.273, or `GIVEN`.
    transfer: a code point of ITU-T H.273, or `GIVEN`.
    chromaticities: if primaries is `GIVEN`, x and y of white, red, green and blue in units of 1e-5.
    exponent: if transfer is `GIVEN`, the exponent from samples to light in units of 2^-16.
    """

    primaries: int
    transfer: int
    chromaticities: tuple[int, ...] = ()
    exponent: int = 0

    def points(self) -> tuple[Point, ...] | None:
        """Look up xy of white, red, green and blue; None for a code point that is not in `PRIMARIES`."""
        if self.primaries != GIVEN:
            return PRIMARIES.get(self.primaries)
        numbers = [number / CHROMATICITY_UNIT for number in self.chromaticities]
        return tuple(zip(numbers[::2], numbers[1::2]))

    def curve(self) -> Curve | None:
        """Look up the transfer curve; None for a code point that is not in `TRANSFERS`."""
        return TRANSFERS.get(self.transfer) if self.transfer != GIVEN else Curve(self.exponent / EXPONENT_UNIT)

    def title(self) -> str:
        """Name the description for people: "Display P3", "BT.2020 primaries, gamma 2.2"."""
        if (self.primaries, self.transfer) in TITLES:
            return TITLES[self.primaries, self.transfer]
        given = {_in_units(points): name for points, name in ((ADOBE_RGB, "Adobe RGB"), (PROPHOTO, "ProPhoto RGB"))}
        primaries = (
            PRIMARIES_NAMES.get(self.primaries, self.primaries)
            if self.primaries != GIVEN
            else given.get(self.chromaticities, "its own")
        )
        curve = self.curve()
        transfer = TRANSFER_NAMES.get(self.transfer) or (
            f"gamma {curve.exponent:.4g}" if curve else f"transfer {self.transfer}"
        )
        return f"{primaries} primaries, {transfer}"

    def is_hdr(self) -> bool:
        """Whether light is that of a screen, as in PQ and HLG.

        A curve and a matrix cannot express this.
        """
        return self.transfer in (PQ, HLG)


SRGB = Color(SRGB_PRIMARIES, SRGB_TRANSFER)
"""The description of sRGB, which samples have without any other (FORMAT.md, chapter 2)."""


def of_code_points(primaries: int, transfer: int) -> Color | None:
    """Make the `Color` that a file states in code points.

    Returns None if a code point is `GIVEN`, `UNSPECIFIED` or above 255.
    """
    return (
        Color(primaries, transfer)
        if {primaries, transfer}.isdisjoint({GIVEN, UNSPECIFIED}) and max(primaries, transfer) < 256
        else None
    )


def with_points(points: Sequence[Point], transfer: int, exponent: int = 0) -> Color:
    """Make the `Color` of a transfer and of xy of white, red, green and blue.

    If the points are those of a code point, it replaces them.
    """
    numbers = _in_units(points)
    code = next((code for code, known in PRIMARIES.items() if _in_units(known) == numbers), GIVEN)
    return Color(code, transfer, () if code else numbers, exponent)


def with_exponent(exponent: float) -> tuple[int, int]:
    """Express a power as (transfer, exponent in units of 2^-16).

    If the power is that of a code point, the code point replaces it and the exponent is 0.
    """
    number = round(exponent * EXPONENT_UNIT)
    # A PNG states the inverse in units of 1e-5, a profile the exponent in units of 1/256 or 2^-16.
    code = next(
        (code for code in (GAMMA_22, 5, LINEAR) if abs(number - TRANSFERS[code].exponent * EXPONENT_UNIT) <= 5), GIVEN
    )
    return code, 0 if code else number


def _in_units(points):
    return tuple(round(number * CHROMATICITY_UNIT) for point in points for number in point)


def packed(color: Color) -> bytes:
    """Write the content of chunk 6."""
    content = bytes([color.primaries, color.transfer])
    if color.primaries == GIVEN:
        content += b"".join(number.to_bytes(CHROMATICITY_BYTES, "big", signed=True) for number in color.chromaticities)
    if color.transfer == GIVEN:
        content += color.exponent.to_bytes(EXPONENT_BYTES, "big")
    return content


def unpacked(content: bytes) -> Color:
    """Read the `Color` in the content of chunk 6. Raises `DamagedError`."""
    given = [content[place : place + 1] == bytes([GIVEN]) for place in (0, 1)]
    if len(content) != 2 + given[0] * 8 * CHROMATICITY_BYTES + given[1] * EXPONENT_BYTES:
        raise DamagedError(f"The colour description has {len(content)} bytes, which is not what it announces.")
    end = 2 + given[0] * 8 * CHROMATICITY_BYTES
    chromaticities = tuple(
        int.from_bytes(content[at : at + CHROMATICITY_BYTES], "big", signed=True)
        for at in range(2, end, CHROMATICITY_BYTES)
    )
    exponent = int.from_bytes(content[end:], "big")
    if given[0] and any(y == 0 for y in chromaticities[1::2]) or given[1] and not exponent:
        raise DamagedError("The colour description holds a number that must not be 0.")
    return Color(content[0], content[1], chromaticities, exponent)

"""Find the standard colours that an ICC profile means, and make the profile of a colour description (ICC.1:2022)."""

import struct
from functools import cache

import numpy as np

from ..format.color import (
    ADOBE_RGB,
    EXPONENT_UNIT,
    HLG,
    PQ,
    PRIMARIES,
    PROPHOTO,
    TRANSFERS,
    Color,
    Curve,
    with_exponent,
    with_points,
)

HEADER_BYTES = 128
"""Bytes of a profile's header (ICC.1:2022, 7.2)."""
TAG_COUNT_BYTES = 4
"""Bytes of the number of tags (ICC.1:2022, 7.3)."""
TAG_BYTES = 12
"""Bytes of one entry of the table of tags (ICC.1:2022, 7.3)."""
PCS_WHITE = (0.9642, 1.0, 0.8249)
"""XYZ of D50, to which a profile's colours are adapted (ICC.1:2022, 7.2.16)."""
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""Matrix of Bradford's chromatic adaptation (ICC.1:2022, annex E)."""
CURVES = (13, 1)
"""Code points of the transfers that are tried beside powers: of sRGB and of BT.709 (ITU-T H.273, table 3)."""
LEVELS = 0.5 / 255
"""Difference, in 0..1, that a sample may have in the two readings of a profile: half a level of 8 bits."""
LIGHT = 5e-4
"""Difference of light, in 0..1, up to which a larger difference of samples is nothing but noise near black."""
TABLES = (b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"D2B1", b"D2B2", b"D2B3")
"""Tags that say more than curves and a matrix."""
SHAPES = {0: "g", 1: "gab", 2: "gabc", 3: "gabcd", 4: "gabcdef"}
"""Kind of a parametric curve -> the names of its numbers (ICC.1:2022, 10.18)."""


def is_profile(icc: bytes) -> bool:
    """Whether bytes are laid out as a profile, whatever its tags say."""
    return (
        len(icc) >= HEADER_BYTES + TAG_COUNT_BYTES
        and icc[36:40] == b"acsp"
        and HEADER_BYTES < int.from_bytes(icc[:4], "big") <= len(icc)
    )


def is_grey(icc: bytes) -> bool | None:
    """Whether a profile is for grey samples; None if it is for neither grey nor RGB."""
    return {b"GRAY": True, b"RGB ": False}.get(icc[16:20])


def color_of(icc: bytes) -> Color | None:
    """Find the `Color` that a profile for RGB or grey means.

    The result is None where the profile means no colours that have a description, and where it cannot be read.
    """
    try:
        return _color_of(icc)
    except (struct.error, ValueError, KeyError, IndexError, ZeroDivisionError, OverflowError, np.linalg.LinAlgError):
        return None


def _color_of(icc):
    if (
        not is_profile(icc)
        or icc[12:16] not in (b"mntr", b"scnr", b"spac")
        or icc[20:24] != b"XYZ "
        or is_grey(icc) is None
    ):
        return None
    tags = _tags(icc)
    if b"cicp" in tags and tags[b"cicp"][9] in (PQ, HLG):
        return Color(tags[b"cicp"][8], tags[b"cicp"][9])
    if any(name in tags for name in TABLES):
        return None
    if is_grey(icc):
        return _with_transfer(PRIMARIES[1], (_curve(tags[b"kTRC"]),), np.eye(1), np.eye(1))
    matrix = np.array([_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]).T
    curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    for points in (*PRIMARIES.values(), ADOBE_RGB, PROPHOTO):
        color = _with_transfer(points, curves, matrix, _matrix(points))
        if color:
            return color
    return None


def _with_transfer(points, curves, matrix, wanted):
    """Find the `Color` of some primaries and of the transfer that together say what a profile says; None without one.

    The transfer is the first with which samples mean what the profile's curves and matrix make of them.

    points: xy of white and of the primaries.
    curves, matrix: the profile's, from samples to light and from light to XYZ.
    wanted: the matrix of the primaries.
    """
    middle = float(curves[0](np.array([0.5]))[0])
    own = [(0, round(np.log(middle) / np.log(0.5) * EXPONENT_UNIT))] if 0.01 < middle < 0.99 else []
    for transfer, exponent in own + [(code, 0) for code in CURVES]:
        curve = TRANSFERS[transfer] if transfer else Curve(exponent / EXPONENT_UNIT)
        samples = _colours(len(curves))
        light = np.linalg.solve(wanted, matrix @ np.array([shape(row) for shape, row in zip(curves, samples)])).clip(
            0, 1
        )
        off = abs(curve.samples(light) - samples) > LEVELS
        if not (off & (abs(curve.light(samples) - light) > LIGHT)).any():
            return with_points(points, *((transfer, 0) if transfer else with_exponent(curve.exponent)))
    return None


@cache
def _colours(channels):
    """Make samples (channels, N) to try: greys, and all points of a grid."""
    greys = np.tile(np.linspace(0, 1, 256), (channels, 1))
    grid = np.meshgrid(*[np.linspace(0, 1, 6)] * channels)
    return np.concatenate([greys, np.array([axis.ravel() for axis in grid])], 1)


def _tags(icc):
    """Read the tags of a profile: name -> content.

    Raises `ValueError` for a tag that lies outside.
    """
    count = int.from_bytes(icc[HEADER_BYTES : HEADER_BYTES + TAG_COUNT_BYTES], "big")
    if HEADER_BYTES + TAG_COUNT_BYTES + TAG_BYTES * count > len(icc):
        raise ValueError("the table of tags is cut off")
    tags = {}
    for entry in range(count):
        name, start, size = struct.unpack_from(">4sII", icc, HEADER_BYTES + TAG_COUNT_BYTES + TAG_BYTES * entry)
        if start + size > len(icc):
            raise ValueError("a tag lies outside")
        tags[name] = icc[start : start + size]
    return tags


def _xyz(content):
    return np.array(struct.unpack_from(">3i", content, 8)) / 2**16


def _curve(content):
    """Make the function from samples to light of a `curv` or `para` tag (ICC.1:2022, 10.6 and 10.18)."""
    if content[:4] == b"para":
        kind = int.from_bytes(content[8:10], "big")
        return _parametric(
            kind,
            dict(
                zip(
                    SHAPES[kind],
                    (number / 2**16 for number in struct.unpack_from(f">{len(SHAPES[kind])}i", content, 12)),
                )
            ),
        )
    if content[:4] != b"curv":
        raise ValueError("no curve")
    count = int.from_bytes(content[8:12], "big")
    if count < 2:
        exponent = struct.unpack_from(">H", content, 12)[0] / 256 if count else 1.0
        return lambda samples: samples**exponent
    table = np.array(struct.unpack_from(f">{count}H", content, 12)) / 65535
    return lambda samples: np.interp(samples, np.linspace(0, 1, count), table)


def _parametric(kind, numbers):
    g, a, b, c, d = (numbers.get(name, default) for name, default in zip("gabcd", (1.0, 1.0, 0.0, 0.0, 0.0)))
    above, below = {1: (0.0, 0.0), 2: (c, c), 4: (numbers.get("e", 0.0), numbers.get("f", 0.0))}.get(kind, (0.0, 0.0))
    slope, start = (c, d) if kind > 2 else (0.0, -b / a if kind else -np.inf)

    def light(samples):
        return np.where(samples >= start, (a * samples + b).clip(0) ** g + above, slope * samples + below)

    return light


def _matrix(points):
    """Compute the matrix (3, 3) from light of primaries to XYZ, adapted to D50."""
    white, *primaries = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in points)
    columns = np.array(primaries).T
    cones = BRADFORD @ np.array([white, PCS_WHITE]).T
    adapted = np.linalg.inv(BRADFORD) @ np.diag(cones[:, 1] / cones[:, 0]) @ BRADFORD
    return adapted @ (columns * np.linalg.solve(columns, white))


def profile_of(color: Color, grey: bool) -> bytes | None:
    """Make a small profile of version 4 that means a `Color`, for grey or for RGB samples.

    The result is None where curves and a matrix cannot say the `Color`: PQ, HLG, code points that are not known.
    """
    points, curve = color.points(), color.curve()
    if curve is None or points is None:
        return None
    try:
        matrix = _matrix(points)
        tags = {b"desc": _text(color.title()), b"cprt": _text("CC0"), b"wtpt": _xyz_tag(PCS_WHITE)}
        if grey:
            tags |= {b"kTRC": _curve_tag(curve)}
        else:
            tags |= {name: _xyz_tag(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T)}
            tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve_tag(curve))
    except (np.linalg.LinAlgError, struct.error):
        return None
    return _laid_out(tags, b"GRAY" if grey else b"RGB ")


def _laid_out(tags, space):
    """Lay out a profile for displays; tags of one content share it."""
    table, contents, places = b"", b"", {}
    start = HEADER_BYTES + TAG_COUNT_BYTES + TAG_BYTES * len(tags)
    for name, content in tags.items():
        if content not in places:
            places[content] = start + len(contents)
            contents += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    header = struct.pack(
        ">I4sI4s4s4s6H4s4sI4s4sQI3i4s16s28s",
        start + len(contents),
        b"",
        0x04400000,
        b"mntr",
        space,
        b"XYZ ",
        2026,
        1,
        1,
        0,
        0,
        0,
        b"acsp",
        b"",
        0,
        b"",
        b"",
        0,
        1,
        *_fixed(PCS_WHITE),
        b"",
        b"",
        b"",
    )
    return header + len(tags).to_bytes(4, "big") + table + contents


def _fixed(numbers):
    return [round(float(number) * 2**16) for number in numbers]


def _xyz_tag(numbers):
    return struct.pack(">4s4x3i", b"XYZ ", *_fixed(numbers))


def _curve_tag(curve):
    if not curve.toe:
        return struct.pack(">4s4xHxxi", b"para", 0, *_fixed([curve.exponent]))
    scale = 1 + curve.offset
    return struct.pack(
        ">4s4xHxx5i", b"para", 3, *_fixed([curve.exponent, 1 / scale, curve.offset / scale, 1 / curve.slope, curve.toe])
    )


def _text(words):
    content = words.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(content), 28) + content

"""Headroom: how much wider than usual the range of the synthesis is (FORMAT.md, chapter 1)."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...format.arch import ACTIVATION_MAX, CODE_STEP, HEADROOM_MAX, Arch

GAIN = 3
"""A channel may hold this many times its greatest code: a base doubles it, and a filter may add half as much."""
USUAL = 2
"""The headroom of networks that do not pass planes on. Their channels may hold anything."""


def with_headroom(arch: Arch, code: Mapping[int, np.ndarray]) -> Arch:
    """Give an architecture the least headroom in which its channels have room.

    At high rates the integers of the code are great. A channel that is clipped all the same is far beyond white.

    code: octave -> integers (planes, rows, columns).
    """
    if not arch.passes:
        return replace(arch, headroom=USUAL)
    most = GAIN * CODE_STEP * max(int(abs(planes).max()) for planes in code.values())
    least = next((bits for bits in range(HEADROOM_MAX) if most >> bits <= ACTIVATION_MAX), HEADROOM_MAX)
    return replace(arch, headroom=least)

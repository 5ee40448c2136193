"""Samples of 8 or 16 bits, as uint8 or uint16 arrays: their range, their bytes, and the way from one depth to the
other.
"""

import numpy as np

DEPTHS = (8, 16)


def peak_of(samples):
    """The value of white: 255 or 65535."""
    return np.iinfo(samples.dtype).max


def bits_of(samples):
    """8 or 16."""
    return 8 * samples.dtype.itemsize


def deep(samples):
    """At 16 bits, as uint16; nothing is lost: 65535 is 257 times 255."""
    return samples if samples.dtype == np.uint16 else samples * np.uint16(257)


def shallow(samples):
    """At 8 bits, as uint8, rounded to the nearest."""
    return samples if samples.dtype == np.uint8 else ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def as_bytes(samples):
    """Row by row, the planes of a pixel together, of 16 bits the more significant byte first: as in a PNG, a PPM, and
    below the checksum of FORMAT.md.
    """
    return np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder(">")).tobytes()

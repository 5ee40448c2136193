"""A picture as people have it, and its samples of 8 or 16 bits: their range, their bytes, from depth to depth."""

from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Picture:
    """A picture as people have it.

    samples:  uint8 or uint16, (H, W) for grey or (H, W, 3) for RGB; upright.
    metadata: bytes under "icc", "exif" (from its TIFF header on, orientation set upright), "xmp", "color" and
              "resolution" (as in their chunks), and of a `.ddc` file "note".
    alpha:    (H, W) of the same type, or None where all is opaque.
    notes:    what is not kept of the source, or odd in it, in sentences to the user.
    """

    samples: np.ndarray
    metadata: dict = field(default_factory=dict)
    alpha: np.ndarray | None = None
    notes: tuple = ()

    def whole(self):
        """Samples and alpha in one array: (H, W) or (H, W, 2 to 4)."""
        return self.samples if self.alpha is None else np.dstack([self.samples, self.alpha])

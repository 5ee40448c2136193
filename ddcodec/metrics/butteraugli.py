"""Butteraugli, where libjxl's program is installed."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ..picture import shallow

BUTTERAUGLI = "butteraugli_main"
"""The program of libjxl that measures Butteraugli; Debian has it in the package libjxl-devtools."""

BUTTERAUGLI_SIDE_MIN = 8
"""Shortest side of a picture for Butteraugli, in pixels."""


def butteraugli(a: np.ndarray, b: np.ndarray) -> float | None:
    """Compute the 3-norm of Butteraugli: 0 for equal pictures.

    Butteraugli is what the code of libjxl computes; Guetzli was its first use (Alakuijala et al., arXiv 1703.04421).
    It is measured for a display of 80 candela a square metre, as the program `BUTTERAUGLI` does by itself.

    a, b: uint8 or uint16 of one shape, (H, W) or (H, W, 3); 16 bits are rounded to 8.

    Returns None without the program, if it fails or its files cannot be written, and if a side is shorter than
    `BUTTERAUGLI_SIDE_MIN`.
    """
    program = shutil.which(BUTTERAUGLI)
    if program is None or min(a.shape[:2]) < BUTTERAUGLI_SIDE_MIN:
        return None
    try:
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, name) for name in ("a.pnm", "b.pnm")]
            for path, samples in zip(paths, (a, b)):
                path.write_bytes(_as_file(samples))
            done = subprocess.run([program, *paths], capture_output=True, check=False)
    except OSError:
        return None
    found = re.search(rb"^3-norm: ([0-9.e+-]+)", done.stdout, re.MULTILINE)
    return float(found[1]) if found else None


def _as_file(samples):
    """Write a picture as PPM or PGM of 8 bits, the simplest formats that every reader knows."""
    samples = shallow(samples)
    kind = b"P6" if samples.ndim == 3 else b"P5"
    return kind + b" %d %d 255\n" % (samples.shape[1], samples.shape[0]) + np.ascontiguousarray(samples).tobytes()

"""PSNR of all samples and of luma, and PSNR-HVS-M, which weighs errors by what the eye sees."""

import math

import numpy as np

from ..picture import deep, peak_of

PEAK = 255
"""White of the range in which luma and MS-SSIM are computed."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601, as in JPEG)."""

BLOCK = 8
"""Side of the blocks of PSNR-HVS-M in pixels, and the shortest side of a picture for it."""

BLOCK_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
"""JPEG's steps of luma (ITU-T T.81, table K.1), from which PSNR-HVS-M takes what the eye sees of each frequency."""

SENSITIVITY = 25.73509
"""PSNR-HVS weighs a frequency's error by this over its step (Egiazarian et al. 2006)."""

MASKING_STEP = 10
"""In sums of masking a frequency's energy counts by the square of this over its step (Ponomarenko et al. 2007)."""

MASKING_SHARE = 32
"""The root of a block's energy, divided by this, is what hides errors (the same paper)."""

STRIP_ROWS = 256
"""Rows whose squares are summed at once, so that little memory is taken."""

_COSINES = np.sqrt(2 / BLOCK) * np.cos(np.pi / BLOCK * np.outer(np.arange(BLOCK), np.arange(BLOCK) + 0.5))
_COSINES[0] /= math.sqrt(2)


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray | None = None) -> float:
    """Compute the peak signal-to-noise ratio in dB over all samples; `math.inf` for equal arrays.

    a, b: uint8 or uint16 of one shape. If one has 16 bits, the other is taken to 16 bits.
    where: bool (H, W), the pixels that count; None for all.
    """
    squares, count = 0, a.size
    if a.dtype != b.dtype:
        a, b = deep(a), deep(b)
    if where is not None:
        count = a[where].size
    for start in range(0, len(a), STRIP_ROWS):
        strip = slice(start, start + STRIP_ROWS)
        difference = a[strip].astype(np.int64) - b[strip]
        if where is not None:
            difference = difference[where[strip]]
        squares += int(np.vdot(difference, difference))
    return 10 * math.log10(peak_of(a) ** 2 * count / squares) if squares else math.inf


def psnr_luma(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the PSNR in dB of luma, which is not rounded; `math.inf` for equal luma.

    a, b: uint8 of one shape, (H, W, 3), or (H, W) for luma itself.
    """
    if a.ndim == 2:
        return psnr(a, b)
    squares = 0.0
    for start in range(0, len(a), STRIP_ROWS):
        strip = slice(start, start + STRIP_ROWS)
        difference = (a[strip].astype(np.int16) - b[strip]) @ np.array(LUMA)
        squares += float(np.vdot(difference, difference))
    return 10 * math.log10(PEAK**2 * a.shape[0] * a.shape[1] / squares) if squares else math.inf


def psnr_hvs_m(a: np.ndarray, b: np.ndarray) -> float | None:
    """Compute PSNR-HVS-M of luma in dB; `math.inf` where every difference is hidden.

    It is the PSNR of an error that is measured in blocks of 8x8 cosines. Each cosine's error counts as the eye sees its
    frequency (Egiazarian et al., "New full-reference quality metrics based on HVS", VPQM 2006). What the texture of the
    block hides is taken off (Ponomarenko et al., "On between-coefficient contrast masking of DCT basis functions",
    VPQM 2007).

    a, b: uint8 or uint16 of one shape, (H, W) or (H, W, 3). Rows and columns beyond the last whole block do not count.

    Returns None if a side is shorter than `BLOCK`.
    """
    if min(a.shape[:2]) < BLOCK:
        return None
    steps = np.array(BLOCK_STEPS, float)
    energies = np.square(MASKING_STEP / steps)
    energies[0, 0] = 0
    total, count = 0.0, 0
    for start in range(0, a.shape[0] - BLOCK + 1, STRIP_ROWS):
        blocks = [_blocks(each[start : start + STRIP_ROWS]) for each in (a, b)]
        cosines = [_COSINES @ each @ _COSINES.T for each in blocks]
        hidden = np.maximum(*(_hidden(*each, energies) for each in zip(blocks, cosines)))[:, None, None]
        error = abs(cosines[0] - cosines[1])
        # The mean is never hidden.
        thresholds = hidden * np.divide(1, energies, out=np.zeros_like(energies), where=energies > 0)
        seen = np.maximum(error - thresholds, 0) * (SENSITIVITY / steps)
        total, count = total + float(np.vdot(seen, seen)), count + seen.size
    return 10 * math.log10(PEAK**2 * count / total) if total else math.inf


def _blocks(samples):
    """Cut luma into whole blocks: (count, `BLOCK`, `BLOCK`) in 0..255."""
    luma = samples * (PEAK / peak_of(samples))
    luma = luma if samples.ndim == 2 else luma @ np.array(LUMA)
    rows, columns = (side // BLOCK for side in luma.shape)
    luma = luma[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return luma.swapaxes(1, 2).reshape(-1, BLOCK, BLOCK)


def _hidden(blocks, cosines, energies):
    """Measure how great an error each block hides: less where its quarters vary less than the whole, as at an edge."""
    quarters = blocks.reshape(-1, 2, BLOCK // 2, 2, BLOCK // 2)
    parts, wholes = (
        np.square(each - each.mean(over, keepdims=True)).sum(over)
        for each, over in ((quarters, (2, 4)), (blocks, (1, 2)))
    )
    # Sums of squares, as a sample's variance has them.
    parts = parts.sum((1, 2)) * (16 / 15)
    ratio = np.divide(parts, wholes * (64 / 63), out=np.zeros_like(parts), where=wholes > 0)
    return np.sqrt((np.square(cosines) * energies).sum((1, 2)) * ratio) / MASKING_SHARE

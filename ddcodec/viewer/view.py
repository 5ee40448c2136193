"""What a page shows of a `.ddc` file, read and measured."""

from dataclasses import dataclass, replace

import numpy as np

from ..coded import CodedImage
from ..decoder import Limits, decode_picture
from ..metadata import metadata_of
from ..metrics import ms_ssim, psnr
from ..syntax import read_body, read_header, read_info, unpack_body

PIXELS_SHOWN = 16_000_000
"""A page with more could hardly be opened."""


@dataclass(frozen=True)
class View:
    """A file to be shown.

    info: as of `read_info`. metadata: as of `metadata_of`. finest: the octave whose size is shown, 0 for the whole picture.
    samples: of the whole picture. shown: of the size of octave `finest`. coded: with the code of the octaves `finest` and coarser.
    """

    name: str
    info: dict
    metadata: dict
    finest: int
    samples: np.ndarray
    shown: np.ndarray
    coded: CodedImage
    original: "Original | None" = None


@dataclass(frozen=True)
class Original:
    """What a file is held against. shown: of the size that is shown. psnr, ms_ssim: of the whole pictures, as in `metrics`."""

    name: str
    shown: np.ndarray
    psnr: float
    ms_ssim: float | None


def read_view(data, name, *, limits=Limits()):
    """The `View` of the bytes of a `.ddc` file. Raises as `decode_picture` and `metadata_of` do."""
    samples = decode_picture(data, limits=limits)
    header = read_header(data)
    body = read_body(data, header)
    finest = finest_shown(header.arch)
    shown = decode_picture(data, scale=1 << finest, limits=limits) if finest else samples
    return View(name, read_info(data), metadata_of(body.chunks), finest, samples, shown, unpack_body(header, body, finest))


def against(view, samples, name):
    """A `View` held against an original; samples: of the shape of the view's."""
    return replace(view, original=Original(name, reduced(samples, 1 << view.finest), psnr(samples, view.samples), ms_ssim(samples, view.samples)))


def finest_shown(arch):
    """The finest octave of at most `PIXELS_SHOWN`, or the coarsest."""
    return next((octave for octave in range(arch.octaves) if np.prod(arch.size(octave)) <= PIXELS_SHOWN), arch.octaves - 1)


def reduced(samples, factor):
    """Means of blocks of factor x factor pixels, rounded; at the right and the lower edge of what is left there."""
    if factor == 1:
        return samples
    starts = [np.arange(0, side, factor) for side in samples.shape[:2]]
    sums = np.add.reduceat(np.add.reduceat(samples, starts[0], 0, np.uint32), starts[1], 1)
    counts = np.outer(*(np.diff(start, append=side) for start, side in zip(starts, samples.shape)))
    return np.round(sums / (counts if samples.ndim == 2 else counts[:, :, None])).astype(samples.dtype)

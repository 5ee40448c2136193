"""Crops: the same part of a picture from several codecs at one file size, for what figures cannot tell."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..metrics.psnr import LUMA, psnr
from ..pictures.read import load_picture, read_file
from .peers import Peer, of_size, peer_of
from .report import Crop, Crops
from .table import Row

if TYPE_CHECKING:
    from .measure import Source
    from .run import Run

SIDE = 256
"""Sides of a crop, in pixels."""
BPP = 0.3
"""Rate of the crops' files, in bits per pixel: codecs differ there, and pictures are still worth looking at."""
PICTURES = 3
"""Pictures that are shown at most."""
QUICK = 2.0
"""Seconds of an encode; a codec that takes more is not searched for a file of the right size."""
BESIDE = ("avif",)
"""Codecs that always stand beside: AVIF as its makers tune it for the eye, which judges here."""
OURS = "ddc"
"""The family of ddcodec's own names."""


def crops_of(run: "Run", rows: Sequence[Row], order: Sequence[str]) -> list[Crops]:
    """Make the `Crops` of up to `PICTURES` pictures: the original, the anchor, AVIF and ddcodec, if measured.

    The file of the last codec shown, at its setting nearest to `BPP`, sets the size. Each other codec makes its largest
    file that is not larger. order: names of the codecs, the anchor first, the others from the best to the worst.
    """
    measured = {(row.codec, row.picture) for row in rows if np.isfinite(row.psnr)}
    shown: dict[Source, list[str]] = {}
    for source in run.sources:
        codecs = _shown([codec for codec in order if (codec, source.name) in measured])
        if codecs:
            shown[source] = codecs
    most = max(map(len, shown.values()), default=0)
    candidates = [source for source, codecs in shown.items() if len(codecs) == most]
    places = np.linspace(0, len(candidates) - 1, min(PICTURES, len(candidates))).round().astype(int)
    chosen = [candidates[place] for place in places]
    return [crops for source in chosen if (crops := _crops(run, rows, source, shown[source]))]


def window_of(samples: np.ndarray, side: int = SIDE) -> tuple[slice, slice]:
    """Find the square whose luma varies most, as slices of rows and columns: there is something to see.

    The squares lie on a grid of half their side. samples: (H, W, 3) or (H, W).
    """
    luma = samples @ np.array(LUMA) if samples.ndim == 3 else samples.astype(float)
    height, width = (min(side, extent) for extent in luma.shape)
    places = [(y, x) for y in _grid(luma.shape[0], height) for x in _grid(luma.shape[1], width)]
    y, x = max(places, key=lambda place: luma[place[0] : place[0] + height, place[1] : place[1] + width].var())
    return slice(y, y + height), slice(x, x + width)


def _grid(extent: int, side: int) -> list[int]:
    return [*range(0, extent - side, max(1, side // 2)), extent - side]


def _shown(codecs: Sequence[str]) -> list[str]:
    """Choose the codecs to show: the anchor, AVIF, the best of ours; others take the places that stay free.

    codecs: those of one picture, the anchor first.
    """
    ours = next((codec for codec in codecs[1:] if codec.split(":")[0] == OURS), None)
    beside = [codec for codec in codecs[1:] if codec in BESIDE]
    others = [codec for codec in codecs[1:] if codec.split(":")[0] != OURS and codec not in BESIDE]
    free = 3 - 1 - len(beside) - (ours is not None)
    return [*codecs[:1], *beside, *others[:free], *([ours] if ours else [])]


def _crops(run: "Run", rows: Sequence[Row], source: "Source", codecs: Sequence[str]) -> Crops | None:
    samples = load_picture(source.path)
    rows = [row for row in rows if row.picture == source.name]
    last = min((row for row in rows if row.codec == codecs[-1]), key=lambda row: abs(row.bpp - BPP))
    window = window_of(samples)
    crops = [Crop("Original", None, None, samples[window])]
    for codec in codecs:
        own = [row for row in rows if row.codec == codec]
        peer = peer_of(codec)
        found = (
            _kept(run, source, peer, last)
            if codec == codecs[-1]
            else _nearest(run, source, peer, own, samples, last.bytes)
        )
        if found:
            crops.append(_crop(peer, *found, samples, window, last.bytes))
    return Crops(source.name, crops) if len(crops) > 1 else None


def _nearest(
    run: "Run", source: "Source", peer: Peer, rows: Sequence[Row], samples: np.ndarray, most: int
) -> tuple[bytes, float] | None:
    """Find the largest file of at most `most` bytes, as (bytes, setting).

    A slow codec is not run again: its file is one of those that were measured.
    """
    if max(row.encode_s for row in rows) <= QUICK:
        return of_size(peer, samples, most) or (peer.encode(samples, peer.settings[0]), peer.settings[0])
    by_size = sorted(rows, key=lambda row: row.bytes)
    return _kept(run, source, peer, next((row for row in reversed(by_size) if row.bytes <= most), by_size[0]))


def _kept(run: "Run", source: "Source", peer: Peer, row: Row) -> tuple[bytes, float] | None:
    """Read the file of a row, as (bytes, setting); None if it is not there any more."""
    file = run.file(source, peer, row.setting)
    if not os.path.exists(file) or os.path.getsize(file) != row.bytes:
        return None
    return read_file(file), row.setting


def _crop(peer: Peer, data: bytes, setting: float, samples: np.ndarray, window: tuple[slice, slice], most: int) -> Crop:
    decoded = peer.decode(data, samples.shape)
    smallest = ", its smallest" if len(data) > most else ""
    return Crop(f"{peer.title}, {peer.knob} {setting:g}{smallest}", len(data), psnr(samples, decoded), decoded[window])

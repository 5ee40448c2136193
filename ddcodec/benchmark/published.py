"""Curves that others published, from CSV files."""

import csv
import math
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import SourceError

COLUMNS = ("image", "bpp", "psnr_db")
"""Columns that a file must have."""
MEAN = "MEAN"
"""Name in the column `image` of points that their source gives only averaged over the corpus."""


@dataclass(frozen=True)
class Published:
    """The curve of one codec as its authors give it.

    source: where it was published. points: image -> [(bits per pixel, PSNR in dB)], by rate; `MEAN` counts as an image.
    pictures: how many `MEAN` is the mean of, None if that is not known.
    """

    codec: str
    source: str = ""
    points: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    pictures: int | None = None


def read_published(path: str | os.PathLike[str]) -> list[Published]:
    """Read the `Published` curves of a CSV file, or of all CSV files in a folder, in the order of their names.

    A file has these columns; others are ignored:

    - image: a file name without its ending, or `MEAN`.
    - bpp: bits per pixel.
    - psnr_db: dB. A point without it is left out.
    - codec, optional: its name. Without it the file's name counts.
    - source, optional: where the curve was published.
    - pictures, optional: how many `MEAN` is the mean of.

    Raises `SourceError`.
    """
    names = [os.fspath(path)]
    if os.path.isdir(path):
        names = [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.lower().endswith(".csv")]
        if not names:
            raise SourceError(f"The folder {path} holds no CSV file.")
    curves = [curve for name in names for curve in _read(name)]
    if not curves:
        raise SourceError(f"{path} holds no points.")
    twice = [codec for codec, count in Counter(curve.codec for curve in curves).items() if count > 1]
    if twice:
        raise SourceError(f"{path} holds two curves that are called {twice[0]}.")
    return curves


def mean_points(
    published: Published, pictures: Sequence[str], everything: Collection[str]
) -> list[tuple[float, float]] | None:
    """Give the points of the mean curve over `pictures`; None if the source cannot give it.

    Where all pictures have equally many points, these are averaged one by one, from the least rate up. Otherwise, and
    only over all pictures of the study, the source's own mean counts, if it is of as many pictures.

    everything: all pictures of the study.
    """
    ladders: list[Any] = [published.points.get(picture) for picture in pictures]
    if pictures and all(ladders) and len(set(map(len, ladders))) == 1:
        return [tuple(sum(values) / len(values) for values in zip(*rung)) for rung in zip(*ladders)]
    if set(pictures) == set(everything) and published.pictures in (None, len(everything)):
        return published.points.get(MEAN)
    return None


def _read(path: str) -> list[Published]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no CSV file'}."
        ) from None
    for column in COLUMNS:
        if column not in columns:
            raise SourceError(f"{path} has no column {column}; a file of curves has {', '.join(COLUMNS)}.")
    curves: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    known = {}
    for number, row in enumerate(rows, 2):
        if row["psnr_db"] == "":
            continue  # The point is of another measure.
        codec = row.get("codec") or os.path.splitext(os.path.basename(path))[0]
        try:
            point = float(row["bpp"]), float(row["psnr_db"])
            known[codec] = row.get("source") or "", int(row["pictures"]) if row.get("pictures") else None
        except (TypeError, ValueError):
            raise SourceError(f"{path}, line {number}, has words where a number should be.") from None
        if not (0 < point[0] < math.inf and math.isfinite(point[1])):
            raise SourceError(
                f"{path}, line {number}, has no finite rate above 0 and PSNR: {point[0]:g} bpp, {point[1]:g} dB."
            )
        curves[codec][row["image"]].append(point)
    return [
        Published(codec, known[codec][0], {image: sorted(points) for image, points in images.items()}, known[codec][1])
        for codec, images in curves.items()
    ]

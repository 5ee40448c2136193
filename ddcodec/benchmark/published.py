"""Curves that others published, from CSV files."""

import csv
import math
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ..errors import SourceError

COLUMNS = ("image", "bpp", "psnr_db")
MEAN = "MEAN"
"""The image of points that their source gives only averaged over the corpus."""


@dataclass(frozen=True)
class Published:
    """The curve of one codec as its authors give it.

    source: where. points: image -> [(bpp, PSNR in dB)], by rate; `MEAN` is an image, the mean of as many as `pictures`
    says, if it is known.
    """

    codec: str
    source: str = ""
    points: dict = field(default_factory=dict)
    pictures: int | None = None


def read_published(path):
    """The `Published` curves of a CSV file, or of all those in a folder, in the order of their names.

    Columns: image (a file name without ending, or `MEAN`), bpp, psnr_db, which may be empty: such points are left out;
    codec, else the file's name counts; source; pictures, the number that a `MEAN` is of. Others are ignored. Raises
    `SourceError`.
    """
    names = [path]
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


def mean_points(published, pictures, everything):
    """The points of the mean curve over `pictures`, or None if the source cannot give it.

    It is the mean of the pictures' own points, rung by rung of the ladder, if all are there and have the same number of
    them. Else, and only for `everything`, all pictures of the study, it is what the source calls the mean, if that is
    of as many pictures.
    """
    ladders = [published.points.get(picture) for picture in pictures]
    if pictures and all(ladders) and len(set(map(len, ladders))) == 1:
        return [tuple(sum(values) / len(values) for values in zip(*rung)) for rung in zip(*ladders)]
    if set(pictures) == set(everything) and published.pictures in (None, len(everything)):
        return published.points.get(MEAN)
    return None


def _read(path):
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
    curves, known = defaultdict(lambda: defaultdict(list)), {}
    for number, row in enumerate(rows, 2):
        if row["psnr_db"] == "":
            continue  # A point of another measure only.
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

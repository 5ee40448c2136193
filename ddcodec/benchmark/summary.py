"""The figures of a report, from the rows of a study."""

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .curves import Bjontegaard, bjontegaard
from .published import Published, mean_points
from .table import Row

QUALITIES: dict[str, Callable[[Row], float | None]] = {
    "psnr": lambda row: row.psnr,
    "psnr_y": lambda row: row.psnr_y,
    "ms_ssim": lambda row: None if row.ms_ssim is None else _decibels(row.ms_ssim),
    "ssimulacra2": lambda row: row.ssimulacra2,
    "psnr_hvs_m": lambda row: row.psnr_hvs_m,
    "butteraugli": lambda row: None if row.butteraugli is None else -row.butteraugli,
}
"""Quality over rate -> its value for a row.

They are PSNR of all samples and of luma (dB), -10 log10(1 - MS-SSIM) (dB), SSIMULACRA2, PSNR-HVS-M (dB), and what
Butteraugli lacks to 0.
"""

LEAST_COUNTED = 0.5
"""Least share of the pictures on which a codec needs a figure to be ranked, and over which a ranking goes."""
MOST_NAMED = 6
"""Pictures that a sentence names; of more it says only how many they are."""

Points = list[tuple[float, float]]
"""A curve: (bits per pixel, quality) of each point, by rate."""


@dataclass(frozen=True)
class Standing:
    """A codec against the anchor.

    - measured: False for published curves.
    - ranked: whether `counted` is the same as that of all other ranked codecs, so that means can be compared.
    - pictures: those of which both have curves.
    - per_picture: picture -> `Bjontegaard` of PSNR, by PCHIP.
    - counted: the pictures over which the means go.
    - rate, gain: means of the pictures' BD-rates (per cent) and BD-PSNRs (dB).
    - rate_of_mean, gain_of_mean: figures between the curves averaged over the counted pictures.
    - low, high: the PSNRs (dB) that both averaged curves reach.
    - rate_psnr_y, rate_ms_ssim, rate_ssimulacra2, rate_psnr_hvs_m, rate_butteraugli: as rate, by these qualities.
    - encode_s, decode_s: means over all rows, in seconds.

    Figures are by PCHIP, those that end in _akima by Akima. None stands for an unknown figure, and for a mean where one
    counted picture has no figure.
    """

    codec: str
    measured: bool
    ranked: bool = False
    pictures: tuple[str, ...] = ()
    per_picture: dict[str, Bjontegaard] = field(default_factory=dict)
    counted: tuple[str, ...] = ()
    rate: float | None = None
    gain: float | None = None
    rate_akima: float | None = None
    gain_akima: float | None = None
    rate_of_mean: float | None = None
    gain_of_mean: float | None = None
    rate_of_mean_akima: float | None = None
    gain_of_mean_akima: float | None = None
    low: float | None = None
    high: float | None = None
    rate_psnr_y: float | None = None
    rate_ms_ssim: float | None = None
    rate_ssimulacra2: float | None = None
    rate_psnr_hvs_m: float | None = None
    rate_butteraugli: float | None = None
    encode_s: float | None = None
    decode_s: float | None = None

    @property
    def overall(self) -> float | None:
        """The one figure to sort by and to show first: `rate`, or `rate_of_mean` where only a mean is published."""
        return self.rate if self.rate is not None else self.rate_of_mean

    @property
    def placed(self) -> bool:
        """Whether `overall` can be compared with that of others. A mean curve stands for all pictures."""
        return self.overall is not None and (self.ranked or self.rate is None)

    def lacking(self, pictures: Iterable[str]) -> dict[str, str]:
        """Find those of `pictures` without a figure, as picture -> why."""
        whys = {
            picture: self.per_picture[picture].why_none if picture in self.per_picture else "no curve"
            for picture in pictures
        }
        return {picture: why for picture, why in whys.items() if why}


def points(rows: Iterable[Row], codec: str, picture: str, quality: str = "psnr") -> Points:
    """Make the curve of one codec and picture, without points whose quality is infinite or unknown."""
    found = [(row.bpp, QUALITIES[quality](row)) for row in rows if (row.codec, row.picture) == (codec, picture)]
    return sorted((bpp, value) for bpp, value in found if value is not None and math.isfinite(value))


def mean_curve(rows: Iterable[Row], codec: str, pictures: Collection[str], quality: str = "psnr") -> Points:
    """Average rate and quality over `pictures`, at each setting that all of them have.

    PSNR is the mean of the pictures' PSNRs, as in the tables of CompressAI and most papers. It is not the PSNR of their
    mean squared error.
    """
    ladder: dict[float, dict[str, tuple[float, float]]] = {}
    for row in rows:
        value = QUALITIES[quality](row)
        if row.codec == codec and row.picture in pictures and value is not None and math.isfinite(value):
            ladder.setdefault(row.setting, {})[row.picture] = row.bpp, value
    full = [rung.values() for rung in ladder.values() if len(rung) == len(set(pictures))]
    means: Any = (tuple(statistics.fmean(values) for values in zip(*rung)) for rung in full)
    return sorted(means)


def named(pictures: Sequence[str], most: int = MOST_NAMED) -> str:
    """Say over which pictures a mean goes: their names, or how many they are if more than `most`."""
    return f"mean of {len(pictures):,} pictures" if len(pictures) > most else ", ".join(pictures)


@dataclass(frozen=True)
class Group:
    """Codecs that were measured on the same pictures, compared over these alone.

    counted: the pictures over which the means of all ranked codecs go. rows: those of these pictures and codecs.
    standings: those of the ranked codecs from the least rate up, then those of the others.
    """

    pictures: tuple[str, ...]
    counted: tuple[str, ...]
    rows: list[Row]
    standings: list[Standing]


def groups(rows: Sequence[Row], anchor: str, published: Sequence[Published] = ()) -> list[Group]:
    """Make a `Group` for every set of pictures on which some codec was measured, the largest first.

    A group has all codecs that were measured on the whole set. So a codec that was measured on few pictures is compared
    with the others over just these. Pictures that the anchor lacks are in no group. Published curves are in the groups
    for whose pictures they have points.
    """
    coverage: dict[str, set[str]] = {}
    for row in rows:
        coverage.setdefault(row.codec, set()).add(row.picture)
    everything = dict.fromkeys(row.picture for row in rows)
    compared = coverage.get(anchor, everything)
    sets = dict.fromkeys(
        tuple(picture for picture in everything if picture in found and picture in compared)
        for found in coverage.values()
    )
    return [
        _group(rows, anchor, published, pictures, coverage)
        for pictures in sorted(sets, key=len, reverse=True)
        if pictures
    ]


def _group(
    rows: Sequence[Row],
    anchor: str,
    published: Iterable[Published],
    pictures: tuple[str, ...],
    coverage: Mapping[str, set[str]],
) -> Group:
    codecs = {codec for codec, found in coverage.items() if found >= set(pictures)}
    rows_ = [row for row in rows if row.picture in pictures and row.codec in codecs]
    everything = {row.picture for row in rows}
    fitting = [curve for curve in published if mean_points(curve, pictures, everything)]
    found = standings(rows_, anchor, fitting)
    return Group(
        pictures,
        next((standing.counted for standing in found if standing.ranked and standing.counted), pictures),
        rows_,
        found,
    )


def left_out(group: Group, labels: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield sentences on the pictures and codecs that the means of a `Group` lack, and why.

    labels: codec -> title; None for the codecs' own names.
    """
    labels = labels or {standing.codec: standing.codec for standing in group.standings}
    dropped = [picture for picture in group.pictures if picture not in group.counted]
    if dropped:
        lacking = {labels[s.codec]: s.lacking(dropped) for s in group.standings if s.ranked}
        yield (
            f"Means are over {len(group.counted)} of the {len(group.pictures)} pictures, without {_listed(dropped)}: "
            f"{_whys(lacking)}."
        )
    for standing in group.standings:
        whys = standing.lacking(group.pictures)
        if whys and standing.per_picture and not standing.ranked:
            over = f"; its means are over {_listed(standing.counted)}" if standing.counted else ""
            yield (
                f"{labels[standing.codec]} is not ranked, for want of {_listed(list(whys))} "
                f"({', '.join(dict.fromkeys(whys.values()))}){over}."
            )


def _whys(lacking: Mapping[str, Mapping[str, str]]) -> str:
    """List the codecs without a figure by the reason. lacking: name -> picture -> why."""
    names: dict[str, list[str]] = {}
    for name, pictures in lacking.items():
        for why in dict.fromkeys(pictures.values()):
            names.setdefault(why, []).append(name)
    return "; ".join(f"{why} ({', '.join(found)})" for why, found in names.items())


def _listed(pictures: Sequence[str]) -> str:
    return f"{len(pictures):,} pictures" if len(pictures) > MOST_NAMED else ", ".join(pictures)


def standings(rows: Sequence[Row], anchor: str, published: Iterable[Published] = ()) -> list[Standing]:
    """Make a `Standing` for every codec of `rows` and every published curve.

    The ranked ones come first, from the least rate to the most; then the others in the same order, those without a rate
    last.

    Means of different pictures cannot be compared. So the means of ranked codecs go over the pictures on which all of
    them have a figure. A codec without a figure on more than half of the pictures is not ranked: it would take these
    from all others. If more than half would still be lost, only codecs that have all figures are ranked. The means of a
    codec that is not ranked go over all figures that it has.
    """
    by_codec: dict[str, list[Row]] = {}
    for row in rows:
        by_codec.setdefault(row.codec, []).append(row)
    anchors = by_codec.get(anchor, [])
    everything = tuple(dict.fromkeys(row.picture for row in rows))
    compared = [_measured(anchors, anchor, own, codec) for codec, own in by_codec.items()]
    compared += [_published(anchors, anchor, curve, everything) for curve in published]
    shared, ranked = _ranked(compared, everything)
    return sorted((_standing(one, shared, one in ranked) for one in compared), key=_rank)


def _ranked(compared: Sequence["_Compared"], everything: tuple[str, ...]) -> tuple[tuple[str, ...], list["_Compared"]]:
    """Choose the pictures over which codecs are ranked, and the ranked codecs."""
    least = LEAST_COUNTED * len(everything)
    candidates = [one for one in compared if one.figured and len(one.figured) >= least]
    shared = tuple(picture for picture in everything if all(picture in one.figured for one in candidates))
    if len(shared) < least:
        shared, candidates = everything, [one for one in compared if len(one.figured) == len(everything)]
    return shared, candidates


def _rank(standing: Standing) -> tuple[bool, bool, float, str]:
    """The key to sort standings by."""
    return standing.overall is None, not standing.placed, standing.overall or 0.0, standing.codec


@dataclass(frozen=True, eq=False)
class _Compared:
    """A codec against the anchor, before it is known over which pictures its means go.

    figures(picture, method, quality): a `Bjontegaard`. means(pictures): the two curves averaged over these, the
    anchor's first. qualities: those of which it has curves. more: fields of its `Standing` that are known already.
    """

    codec: str
    measured: bool
    figures: Callable[..., Bjontegaard]
    per_picture: dict[str, Bjontegaard]
    means: Callable[[tuple[str, ...]], tuple[Points, Points]]
    qualities: tuple[str, ...]
    more: dict[str, Any]

    @property
    def figured(self) -> tuple[str, ...]:
        """The pictures on which it has a figure."""
        return tuple(picture for picture, figure in self.per_picture.items() if figure.rate is not None)


def _measured(anchors: Sequence[Row], anchor: str, own: Sequence[Row], codec: str) -> _Compared:
    """Compare the rows `own` with the rows `anchors`."""
    pictures = _shared(
        anchors, anchor, dict.fromkeys(row.picture for row in own), lambda picture: points(own, codec, picture)
    )

    def figures(picture: str, method: str = "pchip", quality: str = "psnr") -> Bjontegaard:
        return bjontegaard(points(anchors, anchor, picture, quality), points(own, codec, picture, quality), method)

    times = {name: statistics.fmean(getattr(row, name) for row in own) for name in ("encode_s", "decode_s")}
    means = lambda over: (mean_curve(anchors, anchor, over), mean_curve(own, codec, over))
    return _Compared(
        codec, True, figures, {picture: figures(picture) for picture in pictures}, means, tuple(QUALITIES), times
    )


def _published(anchors: Sequence[Row], anchor: str, curve: Published, everything: tuple[str, ...]) -> _Compared:
    """Compare a published curve with the rows `anchors`."""
    pictures = _shared(anchors, anchor, everything, lambda picture: curve.points.get(picture, []))
    # A source that gives a mean alone has that of all pictures.
    means = lambda over: (
        mean_curve(anchors, anchor, over or everything),
        mean_points(curve, over or everything, everything) or [],
    )

    def figures(picture: str, method: str = "pchip", quality: str = "psnr") -> Bjontegaard:
        return bjontegaard(points(anchors, anchor, picture, quality), curve.points[picture], method)

    return _Compared(
        curve.codec, False, figures, {picture: figures(picture) for picture in pictures}, means, ("psnr",), {}
    )


def _shared(
    anchors: Sequence[Row], anchor: str, pictures: Iterable[str], points_of: Callable[[str], Sequence[Any]]
) -> tuple[str, ...]:
    """Keep the pictures of which both have points."""
    return tuple(picture for picture in pictures if points(anchors, anchor, picture) and points_of(picture))


def _standing(compared: _Compared, shared: tuple[str, ...], ranked: bool) -> Standing:
    """Make the `Standing` of a codec, with means over the pictures `shared` if it is `ranked`."""
    counted = shared if ranked else compared.figured
    pchip, akima = (
        [compared.per_picture[picture] for picture in counted],
        [compared.figures(picture, "akima") for picture in counted],
    )
    means = compared.means(counted or tuple(compared.per_picture))
    mean, mean_akima = (bjontegaard(means[0], means[1], method) for method in ("pchip", "akima"))
    qualities = {
        f"rate_{quality}": _mean([compared.figures(picture, quality=quality).rate for picture in counted])
        for quality in compared.qualities
        if quality != "psnr"
    }
    return Standing(
        compared.codec,
        compared.measured,
        ranked,
        tuple(compared.per_picture),
        compared.per_picture,
        counted,
        rate=_mean([figure.rate for figure in pchip]),
        gain=_mean([figure.gain for figure in pchip]),
        rate_akima=_mean([figure.rate for figure in akima]),
        gain_akima=_mean([figure.gain for figure in akima]),
        rate_of_mean=mean.rate,
        gain_of_mean=mean.gain,
        rate_of_mean_akima=mean_akima.rate,
        gain_of_mean_akima=mean_akima.gain,
        low=mean.low if mean.share else None,
        high=mean.high if mean.share else None,
        **qualities,
        **compared.more,
    )


def _mean(values: Sequence[Any]) -> float | None:
    """Average values; None if one of them is None or there are none.

    A mean of the rest would be of other pictures than its neighbours in the table.
    """
    return statistics.fmean(values) if values and None not in values else None


def _decibels(ms_ssim: float) -> float:
    return -10 * math.log10(1 - ms_ssim) if ms_ssim < 1 else math.inf

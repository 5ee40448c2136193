"""From the rows of a study to the figures of its report."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from .curves import bjontegaard
from .published import mean_points

QUALITIES = {
    "psnr": lambda row: row.psnr,
    "psnr_y": lambda row: row.psnr_y,
    "ms_ssim": lambda row: None if row.ms_ssim is None else _decibels(row.ms_ssim),
    "ssimulacra2": lambda row: row.ssimulacra2,
}
"""What a curve can show over rate: PSNR of all samples or of luma (dB), -10 log10(1 - MS-SSIM) (dB), SSIMULACRA2."""


LEAST_COUNTED = 0.5
"""Of the pictures, on which a codec needs a figure to be ranked, and over which a ranking goes at least."""
MOST_NAMED = 6
"""Pictures that a sentence names; of more it says how many they are."""


@dataclass(frozen=True)
class Standing:
    """A codec against the anchor.

    pictures: those that both have curves of. per_picture: their `Bjontegaard`s of PSNR, by PCHIP. counted: those of
    them that the means are over. ranked: whether these are the same as those of all other ranked codecs, so that their
    means can be compared. rate (per cent) and gain (dB): means over the counted pictures. rate_of_mean, gain_of_mean:
    between the curves averaged over these, which share the PSNRs low to high (dB). All by PCHIP; those of _akima by
    Akima. rate_psnr_y, rate_ms_ssim, rate_ssimulacra2 (per cent): as rate, for these qualities. encode_s, decode_s:
    means over all rows. None is what cannot be said, a mean where one counted picture has no figure. measured: False
    for published curves.
    """

    codec: str
    measured: bool
    ranked: bool = False
    pictures: tuple = ()
    per_picture: dict = field(default_factory=dict)
    counted: tuple = ()
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
    encode_s: float | None = None
    decode_s: float | None = None

    @property
    def overall(self):
        """The one figure to sort by and to show first: `rate`, or that of the mean curve where nothing else is
        published.
        """
        return self.rate if self.rate is not None else self.rate_of_mean

    @property
    def placed(self):
        """Whether `overall` can be compared with that of others: a mean curve stands for all pictures."""
        return self.overall is not None and (self.ranked or self.rate is None)

    def lacking(self, pictures):
        """Of these pictures those without a figure: picture -> why."""
        whys = {
            picture: self.per_picture[picture].why_none if picture in self.per_picture else "no curve"
            for picture in pictures
        }
        return {picture: why for picture, why in whys.items() if why}


def points(rows, codec, picture, quality="psnr"):
    """[(bpp, quality)] of one codec and picture, by rate; without points whose quality is infinite or unknown."""
    found = [(row.bpp, QUALITIES[quality](row)) for row in rows if (row.codec, row.picture) == (codec, picture)]
    return sorted((bpp, value) for bpp, value in found if value is not None and math.isfinite(value))


def mean_curve(rows, codec, pictures, quality="psnr"):
    """[(mean bpp, mean quality)] over `pictures` at each setting that all of them have.

    PSNR is the mean of the pictures' PSNRs, as in the tables of CompressAI and most papers, not that of their mean
    squared error.
    """
    ladder = {}
    for row in rows:
        value = QUALITIES[quality](row)
        if row.codec == codec and row.picture in pictures and value is not None and math.isfinite(value):
            ladder.setdefault(row.setting, {})[row.picture] = row.bpp, value
    full = [rung.values() for rung in ladder.values() if len(rung) == len(set(pictures))]
    return sorted(tuple(statistics.fmean(values) for values in zip(*rung)) for rung in full)


def named(pictures, most=MOST_NAMED):
    """What a mean is of, in words: the names of a few pictures, or how many they are."""
    return f"mean of {len(pictures):,} pictures" if len(pictures) > most else ", ".join(pictures)


@dataclass(frozen=True)
class Group:
    """Codecs that were measured on the same pictures, compared over these alone: their `rows` and `Standing`s.

    counted: the pictures over which all ranked codecs have their means. The standings are those of the ranked codecs
    from the least rate up, then those of the others.
    """

    pictures: tuple
    counted: tuple
    rows: list
    standings: list


def groups(rows, anchor, published=()):
    """A `Group` for every set of pictures that a codec was measured on, the largest first, with all codecs that have
    the whole of it.

    So a codec that was measured on few pictures is compared with the others over just these. Pictures that the anchor
    lacks are in no group; published curves are in those for whose pictures they have points.
    """
    coverage = {}
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


def _group(rows, anchor, published, pictures, coverage):
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


def left_out(group, labels=None):
    """Sentences on what the means of a `Group` lack, and why. labels: codec -> what it is called, if that is not its
    name.
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
        lacking = standing.lacking(group.pictures)
        if lacking and standing.per_picture and not standing.ranked:
            over = f"; its means are over {_listed(standing.counted)}" if standing.counted else ""
            yield (
                f"{labels[standing.codec]} is not ranked, for want of {_listed(list(lacking))} "
                f"({', '.join(dict.fromkeys(lacking.values()))}){over}."
            )


def _whys(lacking):
    """Which codecs have no figure there, by the reason. lacking: name -> picture -> why."""
    names = {}
    for name, pictures in lacking.items():
        for why in dict.fromkeys(pictures.values()):
            names.setdefault(why, []).append(name)
    return "; ".join(f"{why} ({', '.join(found)})" for why, found in names.items())


def _listed(pictures):
    return f"{len(pictures):,} pictures" if len(pictures) > MOST_NAMED else ", ".join(pictures)


def standings(rows, anchor, published=()):
    """A `Standing` for every codec of `rows` and every published curve: the ranked ones from the least rate to the
    most, then the others so, those without a rate last.

    Means of different pictures cannot be compared. So those of ranked codecs are over the pictures where all of them
    have a figure. A codec that lacks it on more than half of the pictures is not ranked, lest it take these from all
    others; where more than half would still be lost, only those codecs are ranked that have all figures. The means of a
    codec that is not ranked are over whatever it has.
    """
    by_codec = {}
    for row in rows:
        by_codec.setdefault(row.codec, []).append(row)
    anchors = by_codec.get(anchor, [])
    everything = tuple(dict.fromkeys(row.picture for row in rows))
    compared = [_measured(anchors, anchor, own, codec) for codec, own in by_codec.items()]
    compared += [_published(anchors, anchor, curve, everything) for curve in published]
    shared, ranked = _ranked(compared, everything)
    return sorted((_standing(one, shared, one in ranked) for one in compared), key=_rank)


def _ranked(compared, everything):
    """The pictures over which codecs are ranked, and which of the `_Compared` these are."""
    least = LEAST_COUNTED * len(everything)
    candidates = [one for one in compared if one.figured and len(one.figured) >= least]
    shared = tuple(picture for picture in everything if all(picture in one.figured for one in candidates))
    if len(shared) < least:
        shared, candidates = everything, [one for one in compared if len(one.figured) == len(everything)]
    return shared, candidates


def _rank(standing):
    return standing.overall is None, not standing.placed, standing.overall or 0.0, standing.codec


@dataclass(frozen=True, eq=False)
class _Compared:
    """A codec beside the anchor, before it is known over which pictures its means go. figures(picture, method,
    quality): their `Bjontegaard`.

    means(pictures): both curves averaged over these. more: fields of its `Standing` that stand already. qualities:
    those of which it has curves.
    """

    codec: str
    measured: bool
    figures: Callable
    per_picture: dict
    means: Callable
    qualities: tuple
    more: dict

    @property
    def figured(self):
        """The pictures where it has a figure."""
        return tuple(picture for picture, figure in self.per_picture.items() if figure.rate is not None)


def _measured(anchors, anchor, own, codec):
    """The `_Compared` of the rows `own` beside the rows `anchors`."""
    pictures = _shared(
        anchors, anchor, dict.fromkeys(row.picture for row in own), lambda picture: points(own, codec, picture)
    )

    def figures(picture, method="pchip", quality="psnr"):
        return bjontegaard(points(anchors, anchor, picture, quality), points(own, codec, picture, quality), method)

    times = {name: statistics.fmean(getattr(row, name) for row in own) for name in ("encode_s", "decode_s")}
    means = lambda over: (mean_curve(anchors, anchor, over), mean_curve(own, codec, over))
    return _Compared(
        codec, True, figures, {picture: figures(picture) for picture in pictures}, means, tuple(QUALITIES), times
    )


def _published(anchors, anchor, curve, everything):
    pictures = _shared(anchors, anchor, everything, lambda picture: curve.points.get(picture, []))
    # Of a source that gives a mean alone, that of all pictures.
    means = lambda over: (
        mean_curve(anchors, anchor, over or everything),
        mean_points(curve, over or everything, everything) or [],
    )

    def figures(picture, method="pchip", quality="psnr"):
        return bjontegaard(points(anchors, anchor, picture, quality), curve.points[picture], method)

    return _Compared(
        curve.codec, False, figures, {picture: figures(picture) for picture in pictures}, means, ("psnr",), {}
    )


def _shared(anchors, anchor, pictures, points_of):
    return tuple(picture for picture in pictures if points(anchors, anchor, picture) and points_of(picture))


def _standing(compared, shared, ranked):
    """The `Standing` of a `_Compared`, with means over the pictures `shared` if it is `ranked`."""
    counted = shared if ranked else compared.figured
    pchip, akima = (
        [compared.per_picture[picture] for picture in counted],
        [compared.figures(picture, "akima") for picture in counted],
    )
    means = compared.means(counted or tuple(compared.per_picture))
    mean, mean_akima = (bjontegaard(*means, method) for method in ("pchip", "akima"))
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


def _mean(values):
    """None if one of them is: a mean of what is left would be of other pictures than its neighbours in the table."""
    return statistics.fmean(values) if values and None not in values else None


def _decibels(ms_ssim):
    return -10 * math.log10(1 - ms_ssim) if ms_ssim < 1 else math.inf

"""From the rows of a study to the figures of its report."""

import math
import statistics
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


@dataclass(frozen=True)
class Standing:
    """A codec against the anchor.

    pictures: those that both have curves of. per_picture: their `Bjontegaard`s of PSNR, by PCHIP. rate (per cent) and gain (dB): means over
    the pictures where there is a figure; refused: the number of those where the curves hardly overlap. rate_of_mean, gain_of_mean: between
    the averaged curves, which share the PSNRs low to high (dB). All by PCHIP; those of _akima by Akima. rate_psnr_y, rate_ms_ssim,
    rate_ssimulacra2 (per cent): as rate, for these qualities. encode_s, decode_s: means over all rows. None is what cannot be said. measured: False for
    published curves.
    """

    codec: str
    measured: bool
    pictures: tuple = ()
    per_picture: dict = field(default_factory=dict)
    refused: int = 0
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
        """The one figure to sort by and to show first: `rate`, or that of the mean curve where nothing else is published."""
        return self.rate if self.rate is not None else self.rate_of_mean


def points(rows, codec, picture, quality="psnr"):
    """[(bpp, quality)] of one codec and picture, by rate; without points whose quality is infinite or unknown."""
    found = [(row.bpp, QUALITIES[quality](row)) for row in rows if (row.codec, row.picture) == (codec, picture)]
    return sorted((bpp, value) for bpp, value in found if value is not None and math.isfinite(value))


def mean_curve(rows, codec, pictures, quality="psnr"):
    """[(mean bpp, mean quality)] over `pictures` at each setting that all of them have.

    PSNR is the mean of the pictures' PSNRs, as in the tables of CompressAI and most papers, not that of their mean squared error.
    """
    ladder = {}
    for row in rows:
        value = QUALITIES[quality](row)
        if row.codec == codec and row.picture in pictures and value is not None and math.isfinite(value):
            ladder.setdefault(row.setting, {})[row.picture] = row.bpp, value
    full = [rung.values() for rung in ladder.values() if len(rung) == len(set(pictures))]
    return sorted(tuple(statistics.fmean(values) for values in zip(*rung)) for rung in full)


def named(pictures, most=6):
    """What a mean is of, in words: the names of a few pictures, or how many they are."""
    return f"mean of {len(pictures):,} pictures" if len(pictures) > most else ", ".join(pictures)


@dataclass(frozen=True)
class Group:
    """Codecs that were measured on the same pictures, compared over these alone: their `rows` and `Standing`s, from the least rate up."""

    pictures: tuple
    rows: list
    standings: list


def groups(rows, anchor, published=()):
    """A `Group` for every set of pictures that a codec was measured on, the largest first, with all codecs that have the whole of it.

    So a codec that was measured on few pictures is compared with the others over just these. Pictures that the anchor lacks are in no group;
    published curves are in those for whose pictures they have points.
    """
    coverage = {}
    for row in rows:
        coverage.setdefault(row.codec, set()).add(row.picture)
    everything = dict.fromkeys(row.picture for row in rows)
    compared = coverage.get(anchor, everything)
    sets = dict.fromkeys(tuple(picture for picture in everything if picture in found and picture in compared) for found in coverage.values())
    return [_group(rows, anchor, published, pictures, coverage) for pictures in sorted(sets, key=len, reverse=True) if pictures]


def _group(rows, anchor, published, pictures, coverage):
    codecs = {codec for codec, found in coverage.items() if found >= set(pictures)}
    rows_ = [row for row in rows if row.picture in pictures and row.codec in codecs]
    everything = {row.picture for row in rows}
    fitting = [curve for curve in published if mean_points(curve, pictures, everything)]
    return Group(pictures, rows_, standings(rows_, anchor, fitting))


def standings(rows, anchor, published=()):
    """A `Standing` for every codec of `rows` and every published curve, from the least rate to the most; those without a rate last."""
    by_codec = {}
    for row in rows:
        by_codec.setdefault(row.codec, []).append(row)
    anchors = by_codec.get(anchor, [])
    everything = tuple(dict.fromkeys(row.picture for row in rows))
    found = [_measured(anchors, anchor, own, codec) for codec, own in by_codec.items()]
    found += [_published(anchors, anchor, curve, everything) for curve in published]
    return sorted(found, key=_rank)


def _rank(standing):
    return standing.overall is None, standing.overall or 0.0, standing.codec


def _measured(anchors, anchor, own, codec):
    """The `Standing` of the rows `own` against the rows `anchors`."""
    pictures = _shared(anchors, anchor, dict.fromkeys(row.picture for row in own), lambda picture: points(own, codec, picture))

    def figures(picture, method="pchip", quality="psnr"):
        return bjontegaard(points(anchors, anchor, picture, quality), points(own, codec, picture, quality), method)

    return _standing(
        codec,
        True,
        pictures,
        figures,
        (mean_curve(anchors, anchor, pictures), mean_curve(own, codec, pictures)),
        **{f"rate_{quality}": _mean(figures(picture, quality=quality).rate for picture in pictures) for quality in QUALITIES if quality != "psnr"},
        encode_s=statistics.fmean(row.encode_s for row in own),
        decode_s=statistics.fmean(row.decode_s for row in own),
    )


def _published(anchors, anchor, curve, everything):
    pictures = _shared(anchors, anchor, everything, lambda picture: curve.points.get(picture, []))
    over = pictures or everything
    means = mean_curve(anchors, anchor, over), mean_points(curve, over, everything) or []
    figures = lambda picture, method="pchip": bjontegaard(points(anchors, anchor, picture), curve.points[picture], method)
    return _standing(curve.codec, False, pictures, figures, means)


def _shared(anchors, anchor, pictures, points_of):
    return tuple(picture for picture in pictures if points(anchors, anchor, picture) and points_of(picture))


def _standing(codec, measured, pictures, figures, means, **more):
    """figures: of a picture, by a method, the `Bjontegaard`. means: both averaged curves."""
    each, akima = ([figures(picture, method=method) for picture in pictures] for method in ("pchip", "akima"))
    mean, mean_akima = (bjontegaard(*means, method) for method in ("pchip", "akima"))
    return Standing(
        codec,
        measured,
        pictures,
        dict(zip(pictures, each)),
        refused=sum(figure.rate is None for figure in each),
        rate=_mean(figure.rate for figure in each),
        gain=_mean(figure.gain for figure in each),
        rate_akima=_mean(figure.rate for figure in akima),
        gain_akima=_mean(figure.gain for figure in akima),
        rate_of_mean=mean.rate,
        gain_of_mean=mean.gain,
        rate_of_mean_akima=mean_akima.rate,
        gain_of_mean_akima=mean_akima.gain,
        low=mean.low if mean.share else None,
        high=mean.high if mean.share else None,
        **more,
    )


def _mean(values):
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _decibels(ms_ssim):
    return -10 * math.log10(1 - ms_ssim) if ms_ssim < 1 else math.inf

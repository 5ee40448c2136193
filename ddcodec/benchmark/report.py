"""The report: one HTML page that needs no other file, with table, charts, crops and notes of a `Study`."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from importlib.resources import files
from string import Template

import numpy as np

from . import charts, summary
from .markup import bar, counted, data_uri, folded, interval, legend, number, percent, seconds, signed, with_swatch
from .published import Published
from .table import Row

MEASURES = {
    "ms_ssim": "MS-SSIM",
    "ssimulacra2": "SSIMULACRA2",
    "psnr_hvs_m": "PSNR-HVS-M",
    "butteraugli": "Butteraugli",
}
"""Field of a row -> title, of the measures that have a column where some row has them."""
MANY = 6
"""Pictures; of more, what the page has for each single one is folded away."""

SMALL = (5.4, 3.9)
"""(width, height) in inches of charts that stand two in a row."""
MULTIPLE = (4.2, 2.9)
"""(width, height) in inches of charts that stand up to four in a row."""


Looks = Mapping[str, charts.Look]
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Description:
    """The words for a codec.

    title: its name for people. fixed: settings held fixed, such as "4:4:4, speed 6". knob: name of the setting that
    varies, such as "quality". note: what a reader of its curve must know.
    """

    title: str
    fixed: str
    knob: str
    note: str = ""


@dataclass(frozen=True)
class Crop:
    """A part of one decoded file.

    bytes, psnr: of the whole file, in dB; None for the original. image: uint8, (H, W, 3) or (H, W).
    """

    title: str
    bytes: int | None
    psnr: float | None
    image: np.ndarray


@dataclass(frozen=True)
class Crops:
    """The same part of one picture from several files of about the same size."""

    picture: str
    crops: list[Crop]


@dataclass(frozen=True)
class Study:
    """All that a report is made from.

    rows: the latest of each picture, codec and setting. anchor: the codec whose BD-rate is 0. codecs: name ->
    `Description`. not_measured: a sentence for each codec or picture without rows. command: the command line that made
    the report.
    """

    rows: list[Row]
    anchor: str
    published: list[Published]
    codecs: dict[str, Description]
    crops: list[Crops]
    not_measured: list[str]
    command: str
    title: str

    @cached_property
    def groups(self) -> list[summary.Group]:
        """The `summary.Group`s of all rows, computed once for page, plots and command line."""
        return summary.groups(self.rows, self.anchor, self.published)


def html_of(study: Study) -> str:
    """Write the whole page; equal studies give equal text."""
    looks, labels = charts.looks_of(study), charts.labels_of(study)
    parts = {
        "title": escape(study.title),
        "facts": _facts(study, labels),
        "lead": _lead(study, labels),
        "groups": "".join(_group(study, group, f"g{i}", looks, labels) for i, group in enumerate(study.groups))
        or "<p>Nothing was measured.</p>",
        "crops": _crops(study),
        "pictures": _pictures(study, labels),
        "codecs": _codecs(study, looks, labels),
        "missing": _missing(study),
        "anchor": escape(labels.get(study.anchor, study.anchor)),
    }
    return Template(files(__package__).joinpath("report.html").read_text("utf-8")).substitute(parts)


def _facts(study: Study, labels: Labels) -> str:
    pictures = _pictures_of(study)
    sizes = dict.fromkeys(f"{row.width} \N{MULTIPLICATION SIGN} {row.height}" for row in study.rows)
    dates = sorted({row.date[:10] for row in study.rows})
    names = escape(", ".join(pictures))
    facts = {
        "Pictures": f"{len(pictures)}: {names}"
        if len(pictures) <= 2 * MANY
        else folded(f"{len(pictures)}, by name", f"<p>{names}</p>"),
        "Size": ", ".join(sizes) + " pixels" if len(sizes) <= 4 else f"{len(sizes)} different sizes",
        "Codecs": escape(", ".join(labels[codec] for codec in charts.codecs_of(study))),
        "Measured": " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "",
        "Machine": "<br>".join(escape(machine) for machine in dict.fromkeys(row.machine for row in study.rows)),
        "Command": f"<code>{escape(study.command)}</code>",
    }
    return "".join(f"<div><dt>{name}</dt><dd>{fact}</dd></div>" for name, fact in facts.items() if fact)


def _lead(study: Study, labels: Labels) -> str:
    """Say the result in a sentence or two.

    They name the codec of the least rate over all pictures, and the best of ddcodec over the most that it has.
    """
    best: dict[str, summary.Standing | None] = {}
    for group in study.groups:
        rated = [s for s in group.standings if s.measured and s.ranked and s.codec != study.anchor]
        own = [s for s in rated if s.codec.split(":")[0] == "ddc"]
        best.setdefault("all", next(iter(rated), None))
        if own:
            best.setdefault("own", own[0])
    shown = {standing.codec: standing for standing in best.values() if standing}
    return "".join(_result(standing, labels, study.anchor) for standing in shown.values())


def _result(standing: summary.Standing, labels: Labels, anchor: str) -> str:
    assert standing.rate is not None
    less = "less" if standing.rate < 0 else "more"
    pictures = counted(len(standing.counted), "picture")
    return (
        f"<p class='lead'><strong>{escape(labels[standing.codec])}</strong> needs "
        f"<strong>{number(abs(standing.rate), 1)} % {less}</strong> "
        f"rate than {escape(labels[anchor])} for the same PSNR, on average over {pictures}.</p>"
    )


def _group(study: Study, group: summary.Group, prefix: str, looks: Looks, labels: Labels) -> str:
    """Write the section of one set of pictures: table, curves, times."""
    drawn = {quality: curves for quality in charts.QUALITIES if (curves := charts.mean_curves(study, group, quality))}
    shown = {quality: charts.drawn_of(curves, study.anchor) for quality, curves in drawn.items()}
    parts = [
        _table(study, group, looks, labels),
        *(f"<p>{escape(sentence)}</p>" for sentence in summary.left_out(group, labels)),
    ]
    if "psnr" in drawn:
        main = _plot(charts.rate_chart(shown["psnr"]), f"{prefix}-psnr", "wide")
        parts.append(f"<h3>Quality over rate</h3>{_left_out(len(shown['psnr']), len(drawn['psnr']))}{main}")
    else:
        parts.append("<p>No codec here has a curve.</p>")
    small = [
        _plot(charts.rate_chart(shown[quality], quality, SMALL), f"{prefix}-{quality}", "half")
        for quality in shown
        if quality != "psnr"
    ]
    if small:
        parts.append(f"<div class='halves'>{''.join(small)}</div>")
    parts.append(
        folded("All Bj\N{LATIN SMALL LETTER O WITH STROKE}ntegaard figures", _all_figures(study, group, labels))
    )
    spots = charts.spots(study, group.standings)
    if len(spots) > 1:
        chart = _plot(charts.time_chart(spots, labels[study.anchor]), f"{prefix}-time", "wide")
        parts.append(f"<h3>Time</h3><p>Down is smaller files, left is faster.</p>{chart}")
    return f"<section class='group'><h2>{_heading(study, group.pictures)}</h2>{''.join(parts)}</section>"


def _left_out(shown: int, total: int) -> str:
    return f"<p>{shown} of {total} curves are drawn; the table has all.</p>" if shown < total else ""


def _heading(study: Study, pictures: Sequence[str]) -> str:
    everything = len(pictures) == len(_pictures_of(study))
    if everything and len(pictures) > MANY:
        return f"Mean of all {len(pictures):,} pictures"
    return f"{charts.mean_of(pictures)} <small>{escape(', '.join(pictures))}</small>"


# The table.


def _rate_by(name: str, standing: summary.Standing) -> tuple[str, str]:
    """Make the cell of a standing's BD-rate by a measure."""
    return signed(getattr(standing, f"rate_{name}"), 1), ""


def _table(study: Study, group: summary.Group, looks: Looks, labels: Labels) -> str:
    standings = group.standings
    ranks = {s.codec: i for i, s in enumerate((s for s in standings if s.placed), 1)}
    bars = _scale([s.rate for s in standings if s.rate is not None])
    columns: list[tuple[str, Callable[[summary.Standing], tuple[str, str]]]] = [
        ("#", lambda s: (str(ranks.get(s.codec, "")), "rank")),
        ("Codec", lambda s: (_codec_cell(study, s, looks, labels), "codec")),
        ("BD-rate", lambda s: (_rate_cell(s, bars), "rate")),
        (
            "<abbr title='Between the averaged curves, instead of the average of the pictures'>of mean curve</abbr> "
            "(%)",
            lambda s: (signed(s.rate_of_mean, 1), ""),
        ),
        ("BD-PSNR (dB)", lambda s: (signed(s.gain, 2), "")),
        ("<abbr title='The PSNRs that both averaged curves reach'>between</abbr> (dB)", lambda s: (interval(s), "")),
        ("<abbr title='BD-rate by the PSNR of luma'>by luma PSNR</abbr> (%)", lambda s: (signed(s.rate_psnr_y, 1), "")),
        *(
            (f"by <span>{title}</span> (%)", partial(_rate_by, name))
            for name, title in MEASURES.items()
            if any(getattr(row, name) is not None for row in group.rows)
        ),
        ("Encode (s)", lambda s: (seconds(s.encode_s), "")),
        ("Decode (s)", lambda s: (seconds(s.decode_s), "")),
    ]
    head = "".join(f"<th scope='col'>{title}</th>" for title, _ in columns)
    body = []
    for standing in standings:
        cells = (cell(standing) for _, cell in columns)
        kind = "anchor" if standing.codec == study.anchor else "measured" if standing.measured else "published"
        body.append(
            f"<tr class='{kind}'>" + "".join(f"<td class='{style}'>{text}</td>" for text, style in cells) + "</tr>"
        )
    return (
        "<div class='scroll'><table "
        f"class='standings'><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _all_figures(study: Study, group: summary.Group, labels: Labels) -> str:
    """Write the table of BD-rate and BD-PSNR by both interpolations and both ways to average."""
    names = ("", "_akima", "_of_mean", "_of_mean_akima")
    heads = (
        "mean of the pictures, PCHIP",
        "mean of the pictures, Akima",
        "averaged curves, PCHIP",
        "averaged curves, Akima",
    )
    head = "".join(
        f"<th scope='col'>{title}<br>BD-rate (%)</th><th scope='col'><br>BD-PSNR (dB)</th>" for title in heads
    )
    lines = "".join(
        f"<tr><th scope='row'>{escape(labels[s.codec])}</th>"
        + "".join(
            f"<td>{signed(getattr(s, 'rate' + name), 2)}</td><td>{signed(getattr(s, 'gain' + name), 3)}</td>"
            for name in names
        )
        + "</tr>"
        for s in group.standings
        if s.codec != study.anchor and s.overall is not None
    )
    return (
        "<div class='scroll'><table class='each'><thead><tr><th "
        f"scope='col'>Codec</th>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _codec_cell(study: Study, standing: summary.Standing, looks: Looks, labels: Labels) -> str:
    codec = standing.codec
    if not standing.measured:
        source = next(published.source for published in study.published if published.codec == codec)
        small = "published, not measured" + (f": {source}" if source else "")
    else:
        small = study.codecs[codec].fixed if codec in study.codecs else ""
    title = escape(study.codecs[codec].title if codec in study.codecs else labels[codec])
    anchor = " <em>anchor</em>" if codec == study.anchor else ""
    return with_swatch(looks.get(codec), f"<b>{title}</b>{anchor}<small>{escape(small)}</small>")


def _rate_cell(standing: summary.Standing, bars: tuple[float, float]) -> str:
    """Write the BD-rate with its bar, or why there is none."""
    if standing.rate is not None:
        but = "" if standing.ranked else f"<small>over {counted(len(standing.counted), 'picture')} only</small>"
        return f"<b>{percent(standing.rate)}</b>{bar(standing.rate, *bars)}{but}"
    if standing.rate_of_mean is not None and not standing.measured:
        return "<small>only of the mean curve</small>"
    lacking = ", ".join(dict.fromkeys(standing.lacking(standing.pictures).values()))
    return f"<small>{escape(lacking or 'no curve to compare')}</small>"


def _scale(rates: Iterable[float]) -> tuple[float, float]:
    """Find the lowest and highest BD-rate that the bars have room for, in per cent.

    One codec of ten times the rate must not make all others look alike.
    """
    return min([0.0, *rates]), min(100.0, max([0.0, *rates]))


# The charts.


def _plot(chart: charts.Chart, prefix: str, kind: str) -> str:
    return f"<div class='scroll'><div class='plot {kind}'>{charts.svg_of(chart, prefix)}</div></div>"


# Pictures.


def _crops(study: Study) -> str:
    if not study.crops:
        return ""
    shown = "".join(
        f"<section class='crops'><h3>{escape(row.picture)}</h3>"
        f"<div>{''.join(_crop(row.picture, crop) for crop in row.crops)}</div></section>"
        for row in study.crops
    )
    said = "The same part of each picture, pixel for pixel; bytes and PSNR are of the whole file."
    return f"<section><h2>At equal file size</h2><p>{said}</p>{shown}</section>"


def _crop(picture: str, crop: Crop) -> str:
    height, width = crop.image.shape[:2]
    bytes_ = f"{crop.bytes:,} bytes" if crop.bytes is not None else ""
    psnr = "" if crop.psnr is None else "lossless" if math.isinf(crop.psnr) else f"{number(crop.psnr, 2)} dB"
    small = " · ".join(part for part in (bytes_, psnr) if part)
    return (
        f"<figure><img src='{data_uri(crop.image)}' width='{width}' height='{height}' "
        f"alt='{escape(f'{picture}: {crop.title}')}'>"
        f"<figcaption><b>{escape(crop.title)}</b>{f'<br>{small}' if small else ''}</figcaption></figure>"
    )


def _pictures(study: Study, labels: Labels) -> str:
    pictures, standings = _pictures_of(study), summary.standings(study.rows, study.anchor, study.published)
    order = [standing.codec for standing in standings]
    drawn = {picture: charts.picture_curves(study, picture, order) for picture in pictures}
    drawn = {picture: curves for picture, curves in drawn.items() if curves}
    table = _picture_table(study, standings, labels)
    if len(pictures) < 2 or not drawn:
        return ""
    seen = {curve.codec: curve for curves in drawn.values() for curve in curves}
    kept = charts.drawn_of([seen[codec] for codec in order if codec in seen], study.anchor)
    codecs = {curve.codec for curve in kept}
    drawn = {picture: [curve for curve in curves if curve.codec in codecs] for picture, curves in drawn.items()}
    drawn = {picture: curves for picture, curves in drawn.items() if curves}
    limits = charts.limits_of([curve for curves in drawn.values() for curve in curves])
    plots = {
        picture: charts.rate_chart(curves, size=MULTIPLE, limits=limits, bare=True) for picture, curves in drawn.items()
    }
    figures = "".join(
        f"<figure><figcaption>{escape(picture)}</figcaption>{charts.svg_of(plot, f'p{i}')}</figure>"
        for i, (picture, plot) in enumerate(plots.items())
    )
    said = "PSNR (dB) over rate (bits per pixel, logarithmic), all with the same axes."
    grid = f"<p>{said}</p>{_left_out(len(kept), len(seen))}{legend(kept)}<div class='multiples'>{figures}</div>"
    if len(drawn) > MANY:
        grid = folded(f"Curves of {len(drawn)} pictures", grid)
    return f"<section><h2>Picture by picture</h2>{grid}{table}</section>"


def _picture_table(study: Study, standings: Sequence[summary.Standing], labels: Labels) -> str:
    rated = [standing for standing in standings if standing.rate is not None and standing.codec != study.anchor]
    if not rated:
        return ""
    head = "".join(f"<th scope='col'>{escape(labels[standing.codec])}</th>" for standing in rated)
    lines = [
        f"<tr><th scope='row'>{escape(picture)}</th>"
        + "".join(
            f"<td>{percent(s.per_picture[picture].rate if s.per_picture.get(picture) else None)}</td>" for s in rated
        )
        + "</tr>"
        for picture in _pictures_of(study)
    ]
    counts = {len(standing.counted) for standing in rated if standing.ranked}
    means = "".join(f"<td>{percent(standing.rate if standing.ranked else None)}</td>" for standing in rated)
    foot = (
        f"<tfoot><tr><th scope='row'>Mean of {counted(counts.pop(), 'picture')}</th>{means}</tr></tfoot>"
        if counts
        else ""
    )
    table = (
        "<div class='scroll'><table class='each'><thead><tr><th "
        f"scope='col'>Picture</th>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
        f"{foot}</table></div>"
    )
    return folded(
        "BD-rate of each picture",
        f"<p>A dash: not measured, or no figure, since the curves hardly overlap or have too few points.</p>{table}",
    )


# Words.


def _codecs(study: Study, looks: Looks, labels: Labels) -> str:
    lines = []
    for codec in charts.codecs_of(study):
        rows = [row for row in study.rows if row.codec == codec]
        described = study.codecs.get(codec, Description(labels[codec], "", "setting"))
        settings = sorted({row.setting for row in rows})
        threads = sorted({row.threads for row in rows})
        versions = dict.fromkeys(row.versions for row in rows)
        name = f"<b>{escape(described.title)}</b><small><code>{escape(codec)}</code></small>"
        lines.append(
            f"<tr><td class='codec'>{with_swatch(looks.get(codec), name)}</td>"
            f"<td>{escape(described.fixed)}{f'<small>{escape(described.note)}</small>' if described.note else ''}</td>"
            f"<td>{escape(described.knob)} "
            f"{', '.join(f'{s:g}' for s in settings)}</td><td>{', '.join(map(str, threads))}</td>"
            f"<td>{'<br>'.join(map(escape, versions))}</td></tr>"
        )
    head = "".join(f"<th scope='col'>{title}</th>" for title in ("Codec", "Fixed", "Varied", "Threads", "Versions"))
    return (
        "<div class='scroll'><table "
        f"class='codecs'><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _missing(study: Study) -> str:
    if not study.not_measured:
        return ""
    return (
        "<section><h2>Not "
        f"measured</h2><ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in study.not_measured)}</ul></section>"
    )


def _pictures_of(study: Study) -> list[str]:
    return list(dict.fromkeys(row.picture for row in study.rows))

"""The charts of a benchmark as Matplotlib figures: quality over rate, and rate over time.

Each curve and each point has its name beside it. The report takes them as SVG, `save_plots` writes files.
"""

import io
import math
import re
import xml.etree.ElementTree as xml
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from ..errors import OutputError
from ..jobs.output import write_target
from . import summary
from .published import Published, mean_points
from .table import Row

MOST_CURVES = 8
"""Curves of one chart; of so many a reader can still tell which is which."""

OWN_COLOUR = "#d55e00"
"""The vermilion of Okabe and Ito; ddcodec alone has it."""
ANCHOR_COLOUR = "#222222"
COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#882255")
"""Colours of the other codecs: Okabe and Ito's, but Paul Tol's wine red for the yellow, which is lost on white."""

PUBLISHED_COLOUR = "#777777"
MARKERS = "osD^vPX*<>"
MARKER_SIZES = {"*": 1.5, "D": 0.85, "P": 1.15, "X": 1.15}
"""Marker -> factor of its size, 1 for all others: markers of one nominal size look unequal."""
DASHES = ((), (5, 2), (1.5, 1.5), (6, 1.5, 1.5, 1.5), (10, 2.5), (4, 1.2, 1.2, 1.2, 1.2, 1.2))
"""Dash patterns of measured curves, in line widths; () is a solid line."""
PUBLISHED_DASHES = ((4, 2), (1, 1.5), (6, 2, 1, 2), (10, 3), (4, 2, 1, 2, 1, 2), (2, 2), (10, 2, 2, 2), (1, 4))
"""Dash patterns of published curves, in line widths."""

QUALITIES = {"psnr": "PSNR (dB)", "ms_ssim": "MS-SSIM (dB)", "ssimulacra2": "SSIMULACRA2"}
"""Quality of `summary.QUALITIES` -> title of the axis, for the qualities that are drawn."""
SAVED = {"psnr": "mean", "ssimulacra2": "mean-ssimulacra2"}
"""Quality -> name of the file that `save_plots` writes of its mean curves."""
RATE_TICKS = (1, 2, 5)
"""Marks of the axis of rates, in each decade."""
UNITS = {"h": 3600, "min": 60, "s": 1, "ms": 0.001}
"""Unit of time -> seconds."""
TIMES = (0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 360000)
"""Marks of the axis of times, in seconds."""
FINE_TIMES = sorted(
    {1, 2, 5} | {a * b for a in (1, 2, 5) for b in (0.0001, 0.001, 0.01, 0.1, 10, 60, 600, 3600, 36000)}
)
"""Marks of the axis of times where `TIMES` leaves too few, in seconds."""
INK, FRAME, GRID = "#222222", "#999999", "#e4e4e4"

NAME_SIZE = 9.5
"""Size of the names beside curves and points, in points."""
NAME_LINE = 0.2
"""Least distance from one curve's name to the next, in inches: a line of `NAME_SIZE` and some room."""
AXES_SHARE = 0.85
"""Height of the axes as a share of the figure's, about; titles and marks take the rest."""
NAME_GAP = 0.02
"""Distance from the axes to the curves' names, as a share of the axes' width."""
LONGEST_NAME = 40
"""Characters of a curve's name; more would leave the curves no room."""

PLOT_NAME = re.compile(rf"({'|'.join(SAVED.values())}|time)(-\d+)?\.(svg|png)")
"""Names of the files that `save_plots` writes."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ddcodec",
    # A picture may be called "$5$".
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.edgecolor": FRAME,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "figure.facecolor": "white",
}
"""Matplotlib's settings for all charts; `svg.hashsalt` makes equal charts equal files."""


class Charted(Protocol):
    """The fields of a `report.Study` that charts read. The report imports this module, so its class cannot be named."""

    @property
    def rows(self) -> list[Row]: ...

    @property
    def anchor(self) -> str: ...

    @property
    def published(self) -> list[Published]: ...

    @property
    def codecs(self) -> Mapping[str, Any]: ...

    @property
    def groups(self) -> list[summary.Group]: ...


@dataclass(frozen=True)
class Look:
    """The look of one codec on all charts.

    dash: pattern in line widths, () for a solid line. marker: one of Matplotlib's, None for published curves. width: of
    the line, in points.
    """

    colour: str
    dash: tuple[float, ...]
    marker: str | None
    width: float


@dataclass(frozen=True)
class Chart:
    """A figure, and the words for it.

    title: read aloud by a screen reader. names: id of a line or point -> text that a browser shows under the pointer.
    """

    figure: Figure
    title: str
    names: dict[str, str]


@dataclass(frozen=True)
class Curve:
    """One line of a chart. points: (bits per pixel, quality), by rate."""

    codec: str
    label: str
    look: Look
    points: list[tuple[float, float]]


def looks_of(study: Charted) -> dict[str, Look]:
    """Give each codec that has a curve, measured or published, its `Look`.

    It is the same on all charts of a study: no figure has a part in it.

    Up to six codecs have a colour each. Of more, those of one family ("avif:...") share a colour and differ in their
    dashes; those of the anchor's family share its black.
    """
    lossy = _lossy(study)
    measured = [codec for codec in codecs_of(study) if codec in lossy and codec != study.anchor]
    families = [codec.split(":")[0] for codec in measured]
    crowded = len(measured) > len(COLOURS) and max(
        Counter(f for f in families if f != "ddc").values(), default=0
    ) <= len(DASHES)
    groups = (
        families if crowded else [codec if family != "ddc" else family for codec, family in zip(measured, families)]
    )
    fixed = {"ddc": OWN_COLOUR} | ({study.anchor.split(":")[0]: ANCHOR_COLOUR} if crowded else {})
    hues = fixed | {
        group: COLOURS[i % len(COLOURS)] for i, group in enumerate(g for g in dict.fromkeys(groups) if g not in fixed)
    }
    looks = {study.anchor: Look(ANCHOR_COLOUR, (), MARKERS[0], 2.0)}
    worn = Counter([ANCHOR_COLOUR])
    for i, (codec, group) in enumerate(zip(measured, groups), 1):
        colour = hues[group]
        looks[codec] = Look(
            colour, DASHES[worn[colour] % len(DASHES)], MARKERS[i % len(MARKERS)], 2.1 if group == "ddc" else 1.6
        )
        worn[colour] += 1
    for i, published in enumerate(study.published):
        looks[published.codec] = Look(PUBLISHED_COLOUR, PUBLISHED_DASHES[i % len(PUBLISHED_DASHES)], None, 1.1)
    return looks


def _lossy(study: Charted) -> set[str]:
    """Name the codecs that lose something; the PSNR of the others is infinite, so that they have no curve."""
    return {row.codec for row in study.rows if math.isfinite(row.psnr)}


def codecs_of(study: Charted) -> list[str]:
    """Name all measured codecs, those that `study.codecs` describes first."""
    measured = dict.fromkeys(row.codec for row in study.rows)
    return [codec for codec in dict.fromkeys([*study.codecs, *measured]) if codec in measured]


def labels_of(study: Charted) -> dict[str, str]:
    """Give each codec the shortest title that tells it from the others.

    It is "AVIF", or "AVIF 4:2:0" if that is how two AVIFs differ.
    """
    labels = {published.codec: published.codec for published in study.published}
    titles = {codec: study.codecs[codec].title if codec in study.codecs else codec for codec in codecs_of(study)}
    for codec, title in titles.items():
        twins = [set(_settings(study, twin)) for twin, other in titles.items() if other == title]
        own = [part for part in _settings(study, codec) if not all(part in twin for twin in twins)]
        labels[codec] = " ".join([title, ", ".join(own)]) if own else title
    counts = Counter(labels.values())
    return {codec: label if counts[label] == 1 else f"{label} [{codec}]" for codec, label in labels.items()}


def _settings(study: Charted, codec: str) -> list[str]:
    return study.codecs[codec].fixed.split(", ") if codec in study.codecs and study.codecs[codec].fixed else []


def mean_of(pictures: Sequence[str]) -> str:
    """Say over how many pictures a curve is the mean."""
    return f"Mean of {len(pictures):,} pictures" if len(pictures) > 1 else "One picture"


def _title(pictures: Sequence[str]) -> str:
    names = ", ".join(pictures)
    # Matplotlib's own font, which the PNG is drawn with, has few scripts.
    fits = len(names) <= 60 and names.isascii() and names.isprintable()
    return f"{mean_of(pictures)}: {names}" if fits else mean_of(pictures)


def mean_curves(study: Charted, group: summary.Group, quality: str = "psnr") -> list[Curve]:
    """Average the curves of a `summary.Group` over its counted pictures; they come in the order of its standings.

    Published curves have a PSNR only.
    """
    found: dict[str, Any] = {
        codec: summary.mean_curve(group.rows, codec, group.counted, quality) for codec in _lossy(study)
    }
    if quality == "psnr":
        everything = {row.picture for row in study.rows}
        found |= {published.codec: mean_points(published, group.counted, everything) for published in study.published}
    return _curves(study, found, [standing.codec for standing in group.standings])


def picture_curves(study: Charted, picture: str, order: Iterable[str]) -> list[Curve]:
    """Give the curves of one picture, PSNR over rate. order: names of codecs."""
    found: dict[str, Any] = {codec: summary.points(study.rows, codec, picture) for codec in _lossy(study)}
    found |= {published.codec: published.points.get(picture) for published in study.published}
    return _curves(study, found, order)


def _curves(study: Charted, found: dict[str, Any], order: Iterable[str]) -> list[Curve]:
    looks, labels = looks_of(study), labels_of(study)
    finite = {codec: sorted(p for p in points or () if math.isfinite(p[1])) for codec, points in found.items()}
    return [Curve(codec, labels[codec], looks[codec], finite[codec]) for codec in order if finite.get(codec)]


def drawn_of(curves: Sequence[Curve], anchor: str, most: int = MOST_CURVES) -> list[Curve]:
    """Choose the curves that one chart draws, at most `most`, in the order given, which is from the best down.

    The anchor and the best of ddcodec are always drawn. The best of each family ("avif" of "avif:s0") comes before the
    second of any; all published curves are one family.
    """
    families = {curve.codec: curve.codec.split(":")[0] if curve.look.marker else "" for curve in curves}
    own = next((codec for codec, family in families.items() if family == "ddc"), None)
    turns: Counter[str] = Counter()
    rank = {}
    for codec in sorted(families, key=lambda codec: codec != anchor):
        rank[codec] = codec not in (anchor, own), turns[families[codec]]
        turns[families[codec]] += 1
    kept = sorted(rank, key=rank.__getitem__)[:most]
    return [curve for curve in curves if curve.codec in kept]


Limits = tuple[tuple[float, float], tuple[float, float]]
"""The edges of a chart: (lowest, highest rate) in bits per pixel, (lowest, highest quality)."""


def limits_of(curves: Sequence[Curve]) -> Limits:
    """Find the `Limits` that show all measured points, with some room; published curves may go on outside."""
    points = [p for curve in curves if curve.look.marker for p in curve.points] or [
        p for curve in curves for p in curve.points
    ]
    rates, values = zip(*points)
    room = 0.04 * (max(values) - min(values)) or 1
    return (min(rates) / 1.12, max(rates) * 1.12), (min(values) - room, max(values) + room)


def limits_between(curves: Sequence[Curve], rates: tuple[float, float], lowest: float | None = None) -> Limits:
    """Find the `Limits` that show what all curves have between two rates, with some room.

    lowest: quality at the lower edge, if not that of the lowest curve.
    """
    ends = [_values_at(curve, rates) for curve in curves]
    low = min(left for left, _ in ends) if lowest is None else lowest
    high = max(right for _, right in ends)
    room = 0.03 * (high - low)
    return rates, (low - room, high + room)


def _values_at(curve: Curve, rates: Iterable[float]) -> list[float]:
    """Interpolate the quality at each rate, straight over log rate; beyond a curve's end it is that of the end."""
    xs, ys = zip(*curve.points)
    return [float(np.interp(math.log(rate), np.log(xs), ys)) for rate in rates]


def rate_chart(
    curves: Sequence[Curve],
    quality: str = "psnr",
    size: tuple[float, float] = (8.4, 5.0),
    limits: Limits | None = None,
    bare: bool = False,
    title: str | None = None,
) -> Chart:
    """Draw quality over rate, with each curve's name at its right end.

    size: (width, height) in inches. limits: those of `limits_of` if None. bare: a small chart of a row of them, without
    names and titles, since all have the same. title: written above the axes; a page has its own heading.
    """
    with matplotlib.rc_context(STYLE | ({"font.size": 9} if bare else {})):
        figure = Figure(size, layout="constrained")
        axes = figure.add_subplot()
        for i, curve in enumerate(reversed(curves)):
            line = _draw(axes, curve, 0.7 if bare else 1)
            line.set_gid(f"curve-{i}")
            line.set_zorder(3 if curve.look.marker else 2.5)
        limits = limits or limits_of(curves)
        axes.set_xlim(limits[0])
        axes.set_ylim(limits[1])
        _log_axis(axes)
        axes.grid(True, linewidth=0.8)
        if not bare:
            axes.set_xlabel("Rate (bits per pixel, logarithmic)")
            axes.set_ylabel(QUALITIES[quality])
            _name_curves(axes, curves, limits, NAME_LINE / (AXES_SHARE * size[1]))
        if title:
            axes.set_title(title, loc="left", fontsize="large", wrap=True)
        names = {f"curve-{i}": curve.label for i, curve in enumerate(reversed(curves))}
        return Chart(figure, f"{QUALITIES[quality]} over rate", names)


def _name_curves(axes: Axes, curves: Sequence[Curve], limits: Limits, line: float) -> None:
    """Write the curves' names right of the axes, each tied by a thin line to its curve's end.

    line: least distance from name to name, as a share of the axes' height.
    """
    low, high = limits[1]
    ends = {curve.codec: end for curve in curves if (end := _visible_end(curve, limits))}
    named = [curve for curve in curves if curve.codec in ends]
    places = _spread([ends[curve.codec][1] for curve in named], (high - low) * line, high)
    for curve, place in zip(named, places):
        name = curve.label if len(curve.label) <= LONGEST_NAME else f"{curve.label[: LONGEST_NAME - 3]}..."
        axes.annotate(
            name,
            ends[curve.codec],
            (1 + NAME_GAP, place),
            textcoords=axes.get_yaxis_transform(),
            color=curve.look.colour,
            va="center",
            annotation_clip=False,
            zorder=2,
            fontsize=NAME_SIZE,
            arrowprops={
                "arrowstyle": "-",
                "color": curve.look.colour,
                "linewidth": 0.7,
                "alpha": 0.6,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )


def _visible_end(curve: Curve, limits: Limits) -> tuple[float, float] | None:
    """Find the (rate, quality) at which a curve ends or leaves a chart; None if it shows nothing there."""
    (left, right), (low, high) = limits
    before = None
    for x, y in curve.points:
        if x > right or y > high:
            if before is None:
                return None
            across = math.log(right / before[0]) / math.log(x / before[0]) if x > right else 1.0
            up = (high - before[1]) / (y - before[1]) if y > high else 1.0
            share = min(across, up)
            before = before[0] * (x / before[0]) ** share, before[1] + share * (y - before[1])
            break
        before = x, y
    return before if before and before[0] >= left and before[1] >= low else None


def _spread(values: Sequence[float], least: float, highest: float) -> list[float]:
    """Find places near `values`, in the same order, each at least `least` from the next, none above `highest`."""
    order = sorted(range(len(values)), key=values.__getitem__)
    places = [values[index] for index in order]
    # Neighbours push each other apart by halves; a few hundred rounds settle any eight.
    for _ in range(200):
        for below in range(len(places) - 1):
            lack = least - (places[below + 1] - places[below])
            if lack > 0:
                places[below] -= lack / 2
                places[below + 1] += lack / 2
    for index in reversed(range(len(places))):
        places[index] = min(places[index], highest - least * (len(places) - 1 - index))
    return [places[order.index(index)] for index in range(len(values))]


def _draw(axes: Axes, curve: Curve, scale: float) -> Line2D:
    look = curve.look
    (line,) = axes.plot(
        *zip(*curve.points),
        color=look.colour,
        linewidth=scale * look.width,
        marker=look.marker,
        markersize=scale * 5 * MARKER_SIZES.get(look.marker or "", 1),
        markeredgecolor="white",
        markeredgewidth=scale * 0.6,
        dash_capstyle="butt",
    )
    line.set_dashes(look.dash or (None, None))
    return line


def _log_axis(axes: Axes, text: Callable[[float, Any], str] = lambda x, _: f"{x:g}") -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=RATE_TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(text))
    axes.xaxis.set_minor_locator(NullLocator())


@dataclass(frozen=True)
class Spot:
    """One codec on the chart of times. seconds: to encode one picture. rate: BD-rate against the anchor in per cent."""

    label: str
    look: Look
    seconds: float
    rate: float


def spots(study: Charted, standings: Iterable[summary.Standing]) -> list[Spot]:
    """Make a `Spot` of each measured codec that has a BD-rate."""
    looks, labels = looks_of(study), labels_of(study)
    return [
        Spot(labels[s.codec], looks[s.codec], s.encode_s, s.rate)
        for s in standings
        if s.measured and s.rate is not None and s.encode_s
    ]


def time_chart(
    spots: Sequence[Spot], anchor: str, size: tuple[float, float] = (8.4, 5.0), title: str | None = None
) -> Chart:
    """Draw BD-rate over the time to encode one picture, with each codec's name beside its point.

    anchor: what people call the codec whose BD-rate is 0. size: (width, height) in inches.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(size, layout="constrained")
        axes = figure.add_subplot()
        for i, spot in enumerate(spots):
            axes.plot(
                [spot.seconds],
                [spot.rate],
                color=spot.look.colour,
                linestyle="none",
                marker=spot.look.marker,
                markersize=9 * MARKER_SIZES.get(spot.look.marker or "", 1),
                markeredgecolor="white",
                gid=f"spot-{i}",
                zorder=3,
            )
        _time_axis(axes, min(s.seconds for s in spots) / 1.8, max(s.seconds for s in spots) * 1.8)
        axes.axhline(0, color=ANCHOR_COLOUR, linewidth=1, dashes=(4, 3), zorder=2)
        axes.margins(y=0.1)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _percent(y)))
        axes.grid(True, linewidth=0.8)
        axes.set_xlabel("Time to encode a picture (logarithmic)")
        axes.set_ylabel(f"BD-rate against {anchor} (less is better)")
        if title:
            axes.set_title(title, loc="left", fontsize="large")
        _place_labels(figure, axes, spots)
        names = {
            f"spot-{i}": f"{spot.label}: {_percent(spot.rate, 1)}, {seconds_text(spot.seconds)}"
            for i, spot in enumerate(spots)
        }
        return Chart(figure, "BD-rate over time to encode", names)


def _percent(rate: float, digits: int = 0) -> str:
    return f"{rate:+.{digits}f} %".replace("-", "\N{MINUS SIGN}") if rate else "0 %"


def seconds_text(x: float) -> str:
    """Write a time of `x` seconds in the unit that suits it: "3.4 ms", "17 s", "2.5 min"."""
    unit, length = next((entry for entry in UNITS.items() if x >= 0.9999 * entry[1]), ("ms", 0.001))
    return f"{x / length:.3g} {unit}"


def _time_axis(axes: Axes, low: float, high: float) -> None:
    """Mark an axis of seconds with round times: about one for each tenfold, or more if fewer than three fit."""
    for ticks in (TIMES, FINE_TIMES):
        shown = [tick for tick in ticks if low <= tick <= high]
        if len(shown) >= 3:
            break
    _log_axis(axes, lambda x, _: seconds_text(x))
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.set_xlim(low, high)


def _place_labels(figure: Figure, axes: Axes, spots: Sequence[Spot]) -> None:
    """Write each name at the nearest place around its point where it covers no point and no other name.

    A thin line ties a name to its point if it is far.
    """
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    renderer = canvas.get_renderer()
    at = [axes.transData.transform((spot.seconds, spot.rate)) for spot in spots]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in at]
    frame = axes.get_window_extent(renderer)
    zero = axes.transData.transform((1, 0))[1]
    taken.append(Bbox.from_bounds(frame.x0, zero - 1, frame.width, 2))
    for spot, (x, y) in zip(spots, at):
        extent = axes.text(0, 0, spot.label, fontsize=NAME_SIZE).get_window_extent(renderer)
        axes.texts[-1].remove()
        places = [
            place
            for reach in (10, 20, 34, 52, 74)
            for place in _around(x, y, extent.width + 2, extent.height + 3, reach)
        ]
        box, side, reach = min(places, key=lambda place: _cost(place[0], taken, frame))
        taken.append(box)
        # Held at the end next to its point: a browser's letters may be wider or narrower than those measured.
        end = ((box.x0 + box.x1) / 2, box.x0, box.x1)[side], (box.y0 + box.y1) / 2
        axes.annotate(
            spot.label,
            (spot.seconds, spot.rate),
            tuple(axes.transData.inverted().transform(end)),
            fontsize=NAME_SIZE,
            color=INK,
            ha=("center", "left", "right")[side],
            va="center_baseline",
            arrowprops={"arrowstyle": "-", "color": FRAME, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
            if reach > 20
            else None,
        )


def _around(x: float, y: float, width: float, height: float, reach: float) -> Iterator[tuple[Bbox, int, float]]:
    """Yield boxes that touch a circle around a point, each with its side and the circle's radius.

    The side is 1 for right, -1 for left, 0 for neither.
    """
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7)):
        side = (dx > 0) - (dx < 0)
        left, low = (
            x + reach * dx - width * (0.5, 0, 1)[side],
            y + reach * dy - height / 2 + height / 2 * (dy > 0) - height / 2 * (dy < 0),
        )
        yield Bbox.from_bounds(left, low, width, height), side, reach


def _cost(box: Bbox, taken: Iterable[Bbox], frame: Bbox) -> float:
    """Count the square units of a box that are taken, and three times those outside the axes.

    Of places of one cost `min` takes the first, which is the nearest.
    """
    covered = sum(both.width * both.height for other in taken if (both := Bbox.intersection(box, other)))
    inside = Bbox.intersection(box, frame)
    return covered + 3 * (box.width * box.height - (inside.width * inside.height if inside else 0))


def svg_of(chart: Chart, prefix: str) -> str:
    """Write a chart as an element of an HTML page.

    Its ids begin with `prefix`, and the curves' names are titles. It has no prolog and no width, which the page sets.
    """
    root = xml.fromstring(saved(chart.figure, "svg"))
    used = {value.strip("url(#)") for e in root.iter() for value in e.attrib.values() if "#" in value}
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
        attributes = {name.split("}")[-1]: value for name, value in element.attrib.items()}
        identity = attributes.pop("id", None)
        for name, value in attributes.items():
            if value.startswith(("#", "url(#")):
                attributes[name] = value.replace("#", f"#{prefix}-", 1)
        if identity in used:
            attributes["id"] = f"{prefix}-{identity}"
        element.attrib.clear()
        element.attrib.update(attributes)
        if identity in chart.names:
            element.insert(0, xml.Element("title"))
            element[0].text = chart.names[identity]
    for parent in list(root.iter()):
        for child in list(parent):
            # Matplotlib's style element would hold for the whole page.
            if child.tag in ("metadata", "style"):
                parent.remove(child)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-label": chart.title}
    return xml.tostring(root, "unicode")


def saved(figure: Figure, kind: str) -> bytes:
    """Write a figure as the bytes of a file; equal figures give equal bytes. kind: "svg", or "png" at 144 dpi."""
    with matplotlib.rc_context(STYLE):
        file = io.BytesIO()
        if kind == "svg":
            FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None})
        else:
            figure.set_dpi(144)
            FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
        return file.getvalue()


def save_plots(study: Charted, folder: Path) -> None:
    """Write the plots of a study, each as `.svg` and `.png`.

    `mean` is PSNR over rate, `mean-ssimulacra2` SSIMULACRA2 over rate, `time` BD-rate over time. Each draws at most
    `MOST_CURVES` curves. `mean-2`, `time-2` and so on are of the smaller groups of pictures. A chart that would show
    nothing is left out. Plots of an earlier study in the folder are removed.

    Raises `OutputError`.
    """
    anchor = labels_of(study).get(study.anchor, study.anchor)
    made = {}
    for number, group in enumerate(study.groups, 1):
        suffix = f"-{number}" if number > 1 else ""
        for quality, name in SAVED.items():
            if curves := drawn_of(mean_curves(study, group, quality), study.anchor):
                made[name + suffix] = rate_chart(curves, quality, (9.6, 5.2), title=_title(group.counted))
        if len(points := spots(study, group.standings)) > 1:
            made["time" + suffix] = time_chart(points, anchor, title=f"{_title(group.counted)}; against {anchor}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, chart in made.items():
            for kind in ("svg", "png"):
                write_target(folder / f"{name}.{kind}", saved(chart.figure, kind), force=True)
        for path in folder.iterdir():
            if PLOT_NAME.fullmatch(path.name) and path.stem not in made:
                path.unlink()
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from None

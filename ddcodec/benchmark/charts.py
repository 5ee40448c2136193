"""The charts: rate-distortion curves and time against rate, as Matplotlib figures, for the report and for files of
their own.
"""

import io
import math
import re
import xml.etree.ElementTree as xml
from collections import Counter
from dataclasses import dataclass

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from ..errors import OutputError
from ..jobs.output import write_target
from . import summary
from .published import mean_points

OWN_COLOUR = "#d55e00"
ANCHOR_COLOUR = "#222222"
COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#882255")
"""Okabe and Ito, without the yellow that is lost on white; a wine red of Paul Tol's instead.

The vermilion is for `ddc` alone.
"""

PUBLISHED_COLOUR = "#777777"
MARKERS = "osD^vPX*<>"
MARKER_SIZES = {"*": 1.5, "D": 0.85, "P": 1.15, "X": 1.15}
"""Markers of the same size do not look it."""
DASHES = ((), (5, 2), (1.5, 1.5), (6, 1.5, 1.5, 1.5), (10, 2.5), (4, 1.2, 1.2, 1.2, 1.2, 1.2))
PUBLISHED_DASHES = ((4, 2), (1, 1.5), (6, 2, 1, 2), (10, 3), (4, 2, 1, 2, 1, 2), (2, 2), (10, 2, 2, 2), (1, 4))

QUALITIES = {"psnr": "PSNR (dB)", "ms_ssim": "MS-SSIM (dB)", "ssimulacra2": "SSIMULACRA2"}
RATE_TICKS = (1, 2, 5)
UNITS = {"h": 3600, "min": 60, "s": 1, "ms": 0.001}
TIMES = (0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 360000)
FINE_TIMES = sorted(
    {1, 2, 5} | {a * b for a in (1, 2, 5) for b in (0.0001, 0.001, 0.01, 0.1, 10, 60, 600, 3600, 36000)}
)
INK, FRAME, GRID = "#222222", "#999999", "#e4e4e4"

PLOT_NAME = re.compile(r"(mean|time)(-\d+)?\.(svg|png)")

STYLE = {
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


@dataclass(frozen=True)
class Look:
    """How one codec is drawn on all charts: a dash pattern in line widths, () for a solid line; marker None for
    published curves.
    """

    colour: str
    dash: tuple
    marker: str | None
    width: float


@dataclass(frozen=True)
class Chart:
    """A figure and what is said of it. names: id of a line or point -> what a browser shows on hovering over it."""

    figure: Figure
    title: str
    names: dict


@dataclass(frozen=True)
class Curve:
    """One line of a chart. points: (bits per pixel, quality), by rate."""

    label: str
    look: Look
    points: list


def looks_of(study):
    """Codec -> `Look`, for all that have a curve, measured or published.

    The same on all charts of a study: it depends on no figure.

    Up to six codecs have a colour each; where there are more, those of one family ("avif:...") share it and differ in
    the dashes, those of the anchor's its black.
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


def _lossy(study):
    """What loses nothing has no PSNR, and so no curve."""
    return {row.codec for row in study.rows if math.isfinite(row.psnr)}


def codecs_of(study):
    """All measured codecs, those that `study.codecs` describes first."""
    measured = dict.fromkeys(row.codec for row in study.rows)
    return [codec for codec in dict.fromkeys([*study.codecs, *measured]) if codec in measured]


def labels_of(study):
    """Codec -> the shortest title that tells it from the others: "AVIF", or "AVIF 4:2:0" if that is how two AVIFs
    differ.
    """
    labels = {published.codec: published.codec for published in study.published}
    titles = {codec: study.codecs[codec].title if codec in study.codecs else codec for codec in codecs_of(study)}
    for codec, title in titles.items():
        twins = [set(_settings(study, twin)) for twin, other in titles.items() if other == title]
        own = [part for part in _settings(study, codec) if not all(part in twin for twin in twins)]
        labels[codec] = " ".join([title, ", ".join(own)]) if own else title
    counts = Counter(labels.values())
    return {codec: label if counts[label] == 1 else f"{label} [{codec}]" for codec, label in labels.items()}


def _settings(study, codec):
    return study.codecs[codec].fixed.split(", ") if codec in study.codecs and study.codecs[codec].fixed else []


def mean_of(pictures):
    """What a curve is the mean of, in words."""
    return f"Mean of {len(pictures):,} pictures" if len(pictures) > 1 else "One picture"


def _title(pictures):
    names = ", ".join(pictures)
    # Matplotlib's own font, which the PNG is drawn with, has few scripts.
    fits = len(names) <= 60 and names.isascii() and names.isprintable()
    return f"{mean_of(pictures)}: {names}" if fits else mean_of(pictures)


def mean_curves(study, group, quality="psnr"):
    """The curves of a `summary.Group`, averaged over the pictures that count, in its order; published ones have a PSNR
    only.
    """
    found = {codec: summary.mean_curve(group.rows, codec, group.counted, quality) for codec in _lossy(study)}
    if quality == "psnr":
        everything = {row.picture for row in study.rows}
        found |= {published.codec: mean_points(published, group.counted, everything) for published in study.published}
    return _curves(study, found, [standing.codec for standing in group.standings])


def picture_curves(study, picture, order):
    """The curves of one picture, PSNR over rate."""
    found = {codec: summary.points(study.rows, codec, picture) for codec in _lossy(study)}
    found |= {published.codec: published.points.get(picture) for published in study.published}
    return _curves(study, found, order)


def _curves(study, found, order):
    looks, labels = looks_of(study), labels_of(study)
    finite = {codec: sorted(p for p in points or () if math.isfinite(p[1])) for codec, points in found.items()}
    return [Curve(labels[codec], looks[codec], finite[codec]) for codec in order if finite.get(codec)]


def limits_of(curves):
    """(lowest, highest rate), (lowest, highest quality) to show all measured points, with some room.

    Published curves may go on outside.
    """
    points = [p for curve in curves if curve.look.marker for p in curve.points] or [
        p for curve in curves for p in curve.points
    ]
    rates, values = zip(*points)
    room = 0.04 * (max(values) - min(values)) or 1
    return (min(rates) / 1.12, max(rates) * 1.12), (min(values) - room, max(values) + room)


def rate_chart(curves, quality="psnr", size=(7.2, 5.0), limits=None, bare=False, title=None):
    """Quality over rate.

    Without a title it is made for the report, whose legend stands beside it; with one it has a legend of its own.

    size: inches at 72 units each. bare: for a row of small ones, whose axes all have the same units.
    """
    with matplotlib.rc_context(STYLE | ({"font.size": 9} if bare else {})):
        figure = Figure(size, layout="constrained")
        axes = figure.add_subplot()
        scale = 0.7 if bare else 1
        for i, curve in enumerate(reversed(curves)):
            line = _draw(axes, curve, scale)
            line.set_gid(f"curve-{i}")
            line.set_zorder(3 if curve.look.marker else 2.5)
        for limit, setter in zip(limits or limits_of(curves), (axes.set_xlim, axes.set_ylim)):
            setter(limit)
        _log_axis(axes)
        axes.grid(True, linewidth=0.8)
        if not bare:
            axes.set_xlabel("Rate (bits per pixel, logarithmic)")
            axes.set_ylabel(QUALITIES[quality])
        if title:
            axes.set_title(title, loc="left", fontsize="large", wrap=True)
            handles = [_draw(axes, Curve(curve.label, curve.look, []), 1) for curve in curves]
            figure.legend(
                handles,
                [curve.label for curve in curves],
                loc="outside right upper",
                frameon=False,
                handlelength=3.2,
                fontsize=9.5,
            )
        names = {f"curve-{i}": curve.label for i, curve in enumerate(reversed(curves))}
        return Chart(figure, f"{QUALITIES[quality]} over rate", names)


def _draw(axes, curve, scale):
    look = curve.look
    (line,) = axes.plot(
        *(zip(*curve.points) if curve.points else ((), ())),
        color=look.colour,
        linewidth=scale * look.width,
        marker=look.marker,
        markersize=scale * 5 * MARKER_SIZES.get(look.marker, 1),
        markeredgecolor="white",
        markeredgewidth=scale * 0.6,
        dash_capstyle="butt",
    )
    line.set_dashes(look.dash or (None, None))
    return line


def _log_axis(axes, text=lambda x, _: f"{x:g}"):
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=RATE_TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(text))
    axes.xaxis.set_minor_locator(NullLocator())


@dataclass(frozen=True)
class Spot:
    """One codec on the chart of times: seconds for a picture, BD-rate in percent."""

    label: str
    look: Look
    seconds: float
    rate: float


def spots(study, standings):
    """The measured codecs that have a BD-rate."""
    looks, labels = looks_of(study), labels_of(study)
    found = (s for s in standings if s.measured and s.rate is not None and s.encode_s > 0)
    return [Spot(labels[s.codec], looks[s.codec], s.encode_s, s.rate) for s in found]


def time_chart(spots, anchor, size=(8.4, 5.0), title=None):
    """BD-rate over the time to encode one picture, every codec with its name beside it."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for i, spot in enumerate(spots):
            axes.plot(
                [spot.seconds],
                [spot.rate],
                color=spot.look.colour,
                linestyle="none",
                marker=spot.look.marker,
                markersize=9 * MARKER_SIZES.get(spot.look.marker, 1),
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


def _percent(rate, digits=0):
    return f"{rate:+.{digits}f} %".replace("-", "\N{MINUS SIGN}") if rate else "0 %"


def seconds_text(x):
    """A time in the unit that suits it: "3.4 ms", "17 s", "2.5 min"."""
    unit, length = next((entry for entry in UNITS.items() if x >= 0.9999 * entry[1]), ("ms", 0.001))
    return f"{x / length:.3g} {unit}"


def _time_axis(axes, low, high):
    """Round times for people, up to hours: one for about each tenfold, or more if that leaves too few."""
    for ticks in (TIMES, FINE_TIMES):
        shown = [tick for tick in ticks if low <= tick <= high]
        if len(shown) >= 3:
            break
    _log_axis(axes, lambda x, _: seconds_text(x))
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.set_xlim(low, high)


def _place_labels(figure, axes, spots):
    """Each name where it covers no point and no other name: the nearest such place around its point, tied to it by a
    line if far.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    renderer = figure.canvas.get_renderer()
    at = [axes.transData.transform((spot.seconds, spot.rate)) for spot in spots]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in at]
    frame = axes.get_window_extent(renderer)
    zero = axes.transData.transform((1, 0))[1]
    taken.append(Bbox.from_bounds(frame.x0, zero - 1, frame.width, 2))
    for spot, (x, y) in zip(spots, at):
        extent = axes.text(0, 0, spot.label, fontsize=9.5).get_window_extent(renderer)
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
            axes.transData.inverted().transform(end),
            fontsize=9.5,
            color=INK,
            ha=("center", "left", "right")[side],
            va="center_baseline",
            arrowprops={"arrowstyle": "-", "color": FRAME, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
            if reach > 20
            else None,
        )


def _around(x, y, width, height, reach):
    """The boxes that touch a circle around a point, each with its side (1 right, -1 left, 0 neither) and the circle's
    radius.
    """
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7)):
        side = (dx > 0) - (dx < 0)
        left, low = (
            x + reach * dx - width * (0.5, 0, 1)[side],
            y + reach * dy - height / 2 + height / 2 * (dy > 0) - height / 2 * (dy < 0),
        )
        yield Bbox.from_bounds(left, low, width, height), side, reach


def _cost(box, taken, frame):
    """Square units covered twice, those outside the axes dearer; of equal places `min` takes the first, which is the
    nearest.
    """
    covered = sum(both.width * both.height for other in taken if (both := Bbox.intersection(box, other)))
    inside = Bbox.intersection(box, frame)
    return covered + 3 * (box.width * box.height - (inside.width * inside.height if inside else 0))


def svg_of(chart, prefix):
    """The chart as an element for an HTML page: ids under `prefix`, the curves' names as titles, no prolog, width left
    to the page.
    """
    root = xml.fromstring(_saved(chart.figure, "svg"))
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


def _saved(figure, kind):
    """The same bytes for the same figure."""
    with matplotlib.rc_context(STYLE):
        file = io.BytesIO()
        if kind == "svg":
            FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None})
        else:
            figure.set_dpi(144)
            FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
        return file.getvalue()


def save_plots(study, folder):
    """Write `mean` and `time`, each as `.svg` and `.png`; `mean-2`, `time-2` and so on are of the smaller groups of
    pictures.

    What would show nothing is left out, and what an earlier study left there removed. Raises `OutputError`.
    """
    anchor = labels_of(study).get(study.anchor, study.anchor)
    made = {}
    for number, group in enumerate(study.groups, 1):
        suffix = f"-{number}" if number > 1 else ""
        if curves := mean_curves(study, group):
            made["mean" + suffix] = rate_chart(curves, size=(9.6, 5.2), title=_title(group.counted))
        if len(points := spots(study, group.standings)) > 1:
            made["time" + suffix] = time_chart(points, anchor, title=f"{_title(group.counted)}; against {anchor}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, chart in made.items():
            for kind in ("svg", "png"):
                write_target(folder / f"{name}.{kind}", _saved(chart.figure, kind), force=True)
        for path in folder.iterdir():
            if PLOT_NAME.fullmatch(path.name) and path.stem not in made:
                path.unlink()
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from None

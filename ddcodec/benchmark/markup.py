"""Pieces of the report's page: numbers in words, bars, swatches of curves, legends, pictures."""

import base64
import io
from html import escape

from matplotlib.markers import MarkerStyle

DASH = "\N{EN DASH}"


def with_swatch(look, text):
    """A line of a curve's `charts.Look`, and text beside it."""
    return f"<div class='named'>{swatch(look)}<div>{text}</div></div>"


def swatch(look):
    """The line and marker of a `charts.Look`, or their empty place."""
    if look is None:
        return "<span class='swatch'></span>"
    dash = f" stroke-dasharray='{' '.join(f'{d * look.width:g}' for d in look.dash)}'" if look.dash else ""
    line = f"<path d='M1 7H41' fill='none' stroke='{look.colour}' stroke-width='{look.width}'{dash}/>"
    mark = (
        f"<path d='{_outline(look.marker)}' transform='translate(21 7) scale(7.5 -7.5)' fill='{look.colour}'/>"
        if look.marker
        else ""
    )
    return f"<svg class='swatch' viewBox='0 0 42 14' aria-hidden='true'>{line}{mark}</svg>"


def _outline(marker):
    """A marker of Matplotlib's as a path of SVG, about 1 wide, y upwards."""
    style = MarkerStyle(marker)
    letters = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
    segments = style.get_path().transformed(style.get_transform()).iter_segments()
    return "".join(
        letters[code] + ("" if code == 79 else " ".join(f"{v:.3g}" for v in vertices)) for vertices, code in segments
    )


def legend(curves):
    """A list of `charts.Curve`s, as they are drawn."""
    items = "".join(f"<li>{swatch(curve.look)}<span>{escape(curve.label)}</span></li>" for curve in curves)
    return f"<ol class='legend'>{items}</ol>"


def data_uri(image):
    """uint8 samples, (h, w, 3) or (h, w), as a PNG in the page itself."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def folded(title, content):
    """What is shown on demand, without a script."""
    return f"<details><summary>{title}</summary>{content}</details>"


def counted(number, noun):
    """A number and its noun, in the plural if need be."""
    return f"{number:,} {noun}" + ("s" if number != 1 else "")


def number(value, digits):
    """With separators of thousands and a true minus."""
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def signed(value, digits):
    """With a sign, but for what rounds to 0."""
    if value is None:
        return DASH
    return f"{value:+,.{digits}f}".replace("-", "\N{MINUS SIGN}") if round(value, digits) else f"{0:.{digits}f}"


def percent(value):
    """A BD-rate with its sign, or a dash."""
    return DASH if value is None else f"{signed(value, 1)} %"


def interval(standing):
    """The PSNRs that a `summary.Standing` is about."""
    return DASH if standing.low is None else f"{standing.low:.1f}{DASH}{standing.high:.1f}"


def seconds(value):
    """Two or three digits, of seconds for every codec: what stands below each other can be compared."""
    if value is None:
        return DASH
    digits = next((digits for least, digits in ((100, 0), (10, 1), (0.1, 2), (0.01, 3)) if value >= least), 4)
    return f"{value:,.{digits}f}"


def bar(rate, low, high):
    """A BD-rate to scale, from a line at 0; there is room for low to high per cent."""
    span = high - low or 1
    zero, end = -100 * low / span, 100 * (min(rate, high) - low) / span
    kind = "less" if rate < 0 else "more"
    return (
        "<svg class='bar' viewBox='-1 0 102 10' preserveAspectRatio='none' aria-hidden='true'>"
        f"<rect class='{kind}' x='{min(zero, end):.2f}' y='2' width='{abs(end - zero):.2f}' height='6'/><path "
        f"d='M{zero:.2f} 0V10'/></svg>"
    )

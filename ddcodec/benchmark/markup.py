"""Pieces of the report's page: numbers, bars, swatches of curves, legends, pictures."""

import base64
import io
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from matplotlib.markers import MarkerStyle

if TYPE_CHECKING:
    import numpy as np

    from .charts import Curve, Look
    from .summary import Standing

DASH = "\N{EN DASH}"
"""Stands where a figure is lacking, and between the ends of an interval."""


def with_swatch(look: "Look | None", text: str) -> str:
    """Put the `swatch` of a look before text, which is HTML."""
    return f"<div class='named'>{swatch(look)}<div>{text}</div></div>"


def swatch(look: "Look | None") -> str:
    """Draw the line and marker of a look; None leaves their place empty."""
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


def _outline(marker: str) -> str:
    """Write a marker of Matplotlib's as a path of SVG, about 1 wide, with y upwards."""
    style = MarkerStyle(marker)
    letters = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
    segments = style.get_path().transformed(style.get_transform()).iter_segments()
    return "".join(
        letters[int(code)] + ("" if code == 79 else " ".join(f"{v:.3g}" for v in vertices))
        for vertices, code in segments
    )


def legend(curves: "Iterable[Curve]") -> str:
    """List curves by name, each behind its swatch."""
    items = "".join(f"<li>{swatch(curve.look)}<span>{escape(curve.label)}</span></li>" for curve in curves)
    return f"<ol class='legend'>{items}</ol>"


def data_uri(image: "np.ndarray") -> str:
    """Write samples as the address of a PNG that the page itself holds. image: uint8, (H, W, 3) or (H, W)."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def folded(title: str, content: str) -> str:
    """Hide content behind its title until a reader opens it, without a script. Both are HTML."""
    return f"<details><summary>{title}</summary>{content}</details>"


def counted(number: int, noun: str) -> str:
    """Write a number and its noun, which gets an s if the number is not 1."""
    return f"{number:,} {noun}" + ("s" if number != 1 else "")


def number(value: float, digits: int) -> str:
    """Write a number with so many decimals, separators of thousands and a true minus."""
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float | None, digits: int) -> str:
    """Write a number as `number` does, with a sign unless it rounds to 0; None is a dash."""
    if value is None:
        return DASH
    return f"{value:+,.{digits}f}".replace("-", "\N{MINUS SIGN}") if round(value, digits) else f"{0:.{digits}f}"


def percent(value: float | None) -> str:
    """Write a BD-rate with its sign; None is a dash."""
    return DASH if value is None else f"{signed(value, 1)} %"


def interval(standing: "Standing") -> str:
    """Write the interval of PSNRs that both averaged curves of a standing reach, in dB."""
    return DASH if standing.low is None else f"{standing.low:.1f}{DASH}{standing.high:.1f}"


def seconds(value: float | None) -> str:
    """Write a time with about three digits, always in seconds: figures below each other can be compared."""
    if value is None:
        return DASH
    digits = next((digits for least, digits in ((100, 0), (10, 1), (0.1, 2), (0.01, 3)) if value >= least), 4)
    return f"{value:,.{digits}f}"


def bar(rate: float, low: float, high: float) -> str:
    """Draw a BD-rate to scale, from a line at 0. low, high: per cent at the ends of the scale."""
    span = high - low or 1
    zero, end = -100 * low / span, 100 * (min(rate, high) - low) / span
    kind = "less" if rate < 0 else "more"
    return (
        "<svg class='bar' viewBox='-1 0 102 10' preserveAspectRatio='none' aria-hidden='true'>"
        f"<rect class='{kind}' x='{min(zero, end):.2f}' y='2' width='{abs(end - zero):.2f}' height='6'/><path "
        f"d='M{zero:.2f} 0V10'/></svg>"
    )

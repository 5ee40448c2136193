"""Bjontegaard's figures: how far one rate-distortion curve lies from another.

A curve is a list of points (bits per pixel, quality). Quality is in dB or in another unit that grows with it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_SHARE = 0.5
"""Least share of the shorter curve that the other must reach, too, for a figure.

A figure from less would speak of a few points at the edge.
"""
LEAST_POINTS = {"pchip": 2, "akima": 3}
"""Interpolation -> least number of points that it takes."""

Points = Sequence[tuple[float, float]]
"""A curve: (bits per pixel, quality) of each point, or (abscissa, ordinate) within this file."""


@dataclass(frozen=True)
class Bjontegaard:
    """The figures of a curve, `other`, against another, `anchor`.

    rate: BD-rate, the rate that `other` needs more at equal quality, in per cent; negative if less. gain: BD-PSNR, the
    quality that `other` has more at equal rate. Both are means over the parts of the curves that lie side by side, and
    None if those are too short. low, high: the qualities that both reach, with low > high if there are none. share: the
    part of the shorter curve's range of quality that both reach.
    """

    rate: float | None
    gain: float | None
    low: float
    high: float
    share: float

    @property
    def why_none(self) -> str:
        """Say why there is no `rate`; empty if there is one."""
        if self.rate is not None:
            return ""
        return "too few points" if math.isnan(self.low) else "curves hardly overlap"


NOTHING = Bjontegaard(None, None, math.nan, math.nan, 0.0)
"""The figures of curves with too few points."""


def bjontegaard(anchor: Points, other: Points, method: str = "pchip") -> Bjontegaard:
    """Compare two curves by Bjontegaard's method (VCEG-M33), over the logarithm of rate.

    method: the interpolation, "pchip" (monotone cubic) or "akima". A point is kept even if another one beats it in both
    rate and quality. Of points with the very same quality (for `rate`) or rate (for `gain`) the better one counts.
    Figures are None where the curves have less than `MIN_SHARE` of the shorter one side by side.
    """
    by_quality = [_by_quality(points) for points in (anchor, other)]
    if min(len(points) for points in by_quality) < LEAST_POINTS[method]:
        return NOTHING
    low, high, share = _common(*by_quality)
    rate = gain = None
    if share >= MIN_SHARE:
        rate = 100 * math.expm1(_mean(by_quality[1], low, high, method) - _mean(by_quality[0], low, high, method))
    by_rate = [_by_rate(points) for points in (anchor, other)]
    least, most, share_of_rate = _common(*by_rate)
    if share_of_rate >= MIN_SHARE and min(map(len, by_rate)) >= LEAST_POINTS[method]:
        gain = _mean(by_rate[1], least, most, method) - _mean(by_rate[0], least, most, method)
    return Bjontegaard(rate, gain, low, high, share)


def _by_quality(points: Points) -> list[tuple[float, float]]:
    """Turn points into (quality, log rate), rising in quality; of equal qualities the least rate stays."""
    best: dict[float, float] = {}
    for bpp, quality in points:
        if math.isfinite(quality):
            best[quality] = min(best.get(quality, math.inf), math.log(bpp))
    return sorted(best.items())


def _by_rate(points: Points) -> list[tuple[float, float]]:
    """Turn points into (log rate, quality), rising in rate; of equal rates the greatest quality stays."""
    best: dict[float, float] = {}
    for bpp, quality in points:
        if math.isfinite(quality):
            best[math.log(bpp)] = max(best.get(math.log(bpp), -math.inf), quality)
    return sorted(best.items())


def _common(a: Points, b: Points) -> tuple[float, float, float]:
    """Find the interval of abscissas that both curves have, and its share of the shorter curve's."""
    low, high = max(a[0][0], b[0][0]), min(a[-1][0], b[-1][0])
    shorter = min(points[-1][0] - points[0][0] for points in (a, b))
    return low, high, max(0.0, high - low) / shorter if shorter else 0.0


def _mean(points: Points, low: float, high: float, method: str) -> float:
    """Average the interpolated ordinate from low to high."""
    from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

    interpolator = {"pchip": PchipInterpolator, "akima": Akima1DInterpolator}[method]
    x, y = np.array(points).T
    return float(interpolator(x, y).integrate(low, high)) / (high - low)

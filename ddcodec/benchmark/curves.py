"""Rate-distortion curves, and how far one lies from another: Bjontegaard's figures.

A curve is a list of points (bpp, quality); quality is in dB or in another unit that grows with it.
"""

import math
from dataclasses import dataclass

import numpy as np

MIN_SHARE = 0.5
"""Of the shorter curve, which the other must reach, too: a figure from less would speak of a few points at the edge."""

LEAST_POINTS = {"pchip": 2, "akima": 3}


@dataclass(frozen=True)
class Bjontegaard:
    """How `other` compares with `anchor`.

    rate: per cent of rate that it needs more at equal quality, negative if less. gain: what it has more of quality at
    equal rate. Both are means over the parts of the curves that lie side by side, and None if those are too short. low,
    high: the qualities that both reach (low > high if there are none). share: of the shorter curve's range of quality
    that both reach.
    """

    rate: float | None
    gain: float | None
    low: float
    high: float
    share: float

    @property
    def why_none(self):
        """Why there is no `rate`, in words; empty if there is one."""
        if self.rate is not None:
            return ""
        return "too few points" if math.isnan(self.low) else "curves hardly overlap"


NOTHING = Bjontegaard(None, None, math.nan, math.nan, 0.0)


def bjontegaard(anchor, other, method="pchip"):
    """The `Bjontegaard` figures of two curves (VCEG-M33), interpolated by "pchip" (monotone cubic) or "akima" over the
    logarithm of rate.

    A point is kept even if another one beats it in both rate and quality; of points with the very same quality (for
    `rate`) or rate (for `gain`) the better one counts. Figures are None where the curves have less than `MIN_SHARE` of
    the shorter one side by side.
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


def _by_quality(points):
    """(quality, log rate), rising in quality; of equal qualities the least rate."""
    best = {}
    for bpp, quality in points:
        if math.isfinite(quality):
            best[quality] = min(best.get(quality, math.inf), math.log(bpp))
    return sorted(best.items())


def _by_rate(points):
    """(log rate, quality), rising in rate; of equal rates the greatest quality."""
    best = {}
    for bpp, quality in points:
        if math.isfinite(quality):
            best[math.log(bpp)] = max(best.get(math.log(bpp), -math.inf), quality)
    return sorted(best.items())


def _common(a, b):
    """The interval of abscissas that both have, and its share of the shorter one."""
    low, high = max(a[0][0], b[0][0]), min(a[-1][0], b[-1][0])
    shorter = min(points[-1][0] - points[0][0] for points in (a, b))
    return low, high, max(0.0, high - low) / shorter if shorter else 0.0


def _mean(points, low, high, method):
    from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

    interpolator = {"pchip": PchipInterpolator, "akima": Akima1DInterpolator}[method]
    x, y = np.array(points).T
    return float(interpolator(x, y).integrate(low, high)) / (high - low)

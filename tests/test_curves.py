"""Bjontegaard figures against cases that can be worked out by hand, and against the package bjontegaard on real
measurements.
"""

import math
import random

import bjontegaard as reference
import pytest
import record
from corpora import CORPORA

from ddcodec.benchmark.curves import MIN_SHARE, bjontegaard
from ddcodec.benchmark.summary import points
from ddcodec.benchmark.table import latest, read_table

LINE = [(0.1 * 2**i, 28 + 2 * i) for i in range(6)]
"""2 dB for each doubling of the rate."""


@pytest.mark.parametrize("method", ["pchip", "akima"])
def test_by_hand(method):
    half = [(bpp / 2, quality) for bpp, quality in LINE]
    found = bjontegaard(LINE, half, method)
    assert found.rate == pytest.approx(-50)
    assert found.gain == pytest.approx(2)
    assert (found.low, found.high, found.share) == (28, 38, 1)
    better = [(bpp, quality + 1) for bpp, quality in LINE]
    found = bjontegaard(LINE, better, method)
    assert found.gain == pytest.approx(1)
    assert found.rate == pytest.approx(100 * (2**-0.5 - 1))
    assert (found.low, found.high) == (29, 38)


def test_a_curve_against_itself():
    found = bjontegaard(LINE, LINE)
    assert found.rate == pytest.approx(0, abs=1e-12) and found.gain == pytest.approx(0, abs=1e-12)


def test_order_of_points_does_not_matter():
    shuffled = random.Random(1).sample(LINE, len(LINE))
    other = [(0.8 * bpp, quality) for bpp, quality in LINE]
    assert bjontegaard(shuffled, other) == bjontegaard(LINE, other)


@pytest.mark.parametrize("shift, refused", [(4.9, False), (5.1, True), (20, True)])
def test_curves_that_hardly_overlap_are_refused(shift, refused):
    """Ranges of 10 dB: half of one is 5."""
    other = [(bpp, quality + shift) for bpp, quality in LINE]
    assert (bjontegaard(LINE, other).rate is None) == refused


def test_a_short_curve_inside_a_long_one_is_not_refused():
    assert bjontegaard(LINE, [(0.15, 30), (0.3, 32)]).rate is not None


def test_rates_that_hardly_overlap_give_no_gain():
    other = [(bpp * 2**3, quality) for bpp, quality in LINE]
    found = bjontegaard(LINE, other)
    assert found.rate == pytest.approx(700) and found.gain is None


@pytest.mark.parametrize("curve", [[], [(0.3, 30)], [(0.3, 30), (24, math.inf)], [(0.3, 30), (0.4, 30)]])
def test_too_few_points(curve):
    found = bjontegaard(LINE, curve)
    assert found.rate is None and found.gain is None


def test_of_equal_qualities_the_least_rate_counts():
    assert bjontegaard(LINE, [*LINE, (9.0, 34)]).rate == pytest.approx(0, abs=1e-9)


def measured():
    rows = latest(read_table(record.results_of("kodak")))
    return rows, [codec for codec in dict.fromkeys(row.codec for row in rows) if codec not in ("jpeg", "none")]


@pytest.mark.parametrize("method", ["pchip", "akima"])
def test_against_another_implementation(method):
    rows, codecs = measured()
    pictures = [name.removesuffix(".png") for name in list(CORPORA["kodak"]["sha256"])[::2]]
    compared = 0
    for codec in codecs:
        for picture in pictures:
            anchor, other = points(rows, "jpeg", picture), points(rows, codec, picture)
            # The other implementation takes only curves whose quality grows with the rate, which short fits do not
            # always give.
            if not other or [quality for _, quality in other] != sorted(quality for _, quality in other):
                continue
            found = bjontegaard(anchor, other, method)
            (rates, decibels), (other_rates, other_decibels) = zip(*anchor), zip(*other)
            arguments = (list(rates), list(decibels), list(other_rates), list(other_decibels))
            how = {"method": method, "min_overlap": 0, "require_matching_points": False}
            assert found.rate is not None or found.share < MIN_SHARE
            if found.rate is not None:
                assert found.rate == pytest.approx(reference.bd_rate(*arguments, **how), abs=1e-6)
                compared += 1
            if found.gain is not None:
                assert found.gain == pytest.approx(reference.bd_psnr(*arguments, **how), abs=1e-6)
    assert compared >= 40

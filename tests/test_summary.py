"""From rows to standings: averages by hand, sets of pictures, what cannot be said."""

import math
from dataclasses import replace

import pytest
from test_table import ROW

from ddcodec.benchmark.published import Published
from ddcodec.benchmark.summary import groups, left_out, mean_curve, points, standings

PICTURES = ("a", "b", "c")


def ladder(codec, picture, factor=1.0, settings=(1, 2, 3, 4), **more):
    """Rows of a curve of 2 dB for each doubling; `factor` is of the rate, and each picture has one of its own."""
    scale = 12000 * factor * (1 + PICTURES.index(picture))
    return [
        replace(
            ROW,
            codec=codec,
            picture=picture,
            setting=float(s),
            bytes=round(scale * 2**s),
            psnr=30.0 + 2 * s,
            psnr_y=31.0 + 2 * s,
            ms_ssim=1 - 10 ** -(1 + s / 5),
            ssimulacra2=40.0 + 10 * s,
            psnr_hvs_m=30.0 + 3 * s,
            butteraugli=9.0 - 2 * s,
            encode_s=float(s),
            **more,
        )
        for s in settings
    ]


ROWS = [row for picture in PICTURES for row in ladder("jpeg", picture)]
ROWS += [row for picture in PICTURES for row in ladder("half", picture, 0.5)]
ROWS += ladder("few", "b", 0.25)


def of(codec, rows=tuple(ROWS), **more):
    return next(standing for standing in standings(list(rows), "jpeg", **more) if standing.codec == codec)


def test_rates_by_hand():
    half, few, jpeg = of("half"), of("few"), of("jpeg")
    for rate in (
        half.rate,
        half.rate_akima,
        half.rate_of_mean,
        half.rate_of_mean_akima,
        half.rate_psnr_y,
        half.rate_ms_ssim,
        half.rate_ssimulacra2,
        half.rate_psnr_hvs_m,
        half.rate_butteraugli,
    ):
        assert rate == pytest.approx(-50, abs=0.01)
    for gain in (half.gain, half.gain_akima, half.gain_of_mean, half.gain_of_mean_akima):
        assert gain == pytest.approx(2, abs=0.001)
    assert (half.low, half.high) == (32, 38)
    assert few.rate == pytest.approx(-75, abs=0.01) and few.pictures == ("b",)
    assert jpeg.rate == pytest.approx(0, abs=1e-9)
    assert half.encode_s == 2.5


def test_the_mean_is_over_pictures():
    rows = ROWS + ladder("mixed", "a", 0.5) + ladder("mixed", "b", 1.0)
    mixed = of("mixed", rows)
    assert {picture: round(figure.rate, 2) for picture, figure in mixed.per_picture.items()} == {"a": -50, "b": 0}
    assert mixed.rate == pytest.approx(-25, abs=0.01)


def test_order_is_from_best_to_worst_and_unknown_last():
    far = ladder("far", "a", settings=(60, 61))
    assert [standing.codec for standing in standings(ROWS + far, "jpeg")] == ["half", "jpeg", "few", "far"]
    assert of("far", ROWS + far).lacking(["a"]) == {"a": "curves hardly overlap"} and of("far", ROWS + far).rate is None


def said(rows):
    """Codec -> (whether it is ranked, its rate), in the order of the first group, and what the group leaves out."""
    group = groups(rows, "jpeg")[0]
    found = {s.codec: (s.ranked, s.rate if s.rate is None else round(s.rate)) for s in group.standings}
    return list(found.items()), list(left_out(group, {codec: codec.upper() for codec in found}))


def everywhere(codec, factors, **settings):
    """A codec on all pictures, at a factor of each one's rate; `settings` of a picture: other ones than usual."""
    return [
        row
        for picture, factor in zip(PICTURES, factors)
        for row in ladder(codec, picture, factor, settings.get(picture, (1, 2, 3, 4)))
    ]


BASE = everywhere("jpeg", (1, 1, 1)) + everywhere("webp", (0.9, 0.9, 0.3))


def test_a_picture_without_a_figure_counts_for_no_codec():
    """Over a and b AVIF is better than WebP on each; WebP's mean of all three is less than AVIF's of the two that it
    has.
    """
    rows = BASE + everywhere("avif", (0.8, 0.8, 0.2), c=(60, 61))
    assert said(rows) == (
        [("avif", (True, -20)), ("webp", (True, -10)), ("jpeg", (True, 0))],
        ["Means are over 2 of the 3 pictures, without c: curves hardly overlap (AVIF)."],
    )
    assert {s.codec: s.counted for s in standings(rows, "jpeg")} == dict.fromkeys(("avif", "webp", "jpeg"), ("a", "b"))
    assert of("webp", BASE).counted == PICTURES and of("webp", BASE).rate == pytest.approx(-30, abs=0.01)


def test_averaged_curves_are_of_the_pictures_that_count():
    """Lossless at most settings, c would leave two points of the averaged curves; without it AVIF's is that of a and
    b.
    """
    avif = [
        replace(row, psnr=math.inf) if row.picture == "c" and row.setting > 1 else row
        for row in everywhere("avif", (0.8, 0.8, 0.2))
    ]
    found = of("avif", BASE + avif)
    assert found.counted == ("a", "b") and (found.low, found.high) == (32, 38)
    assert found.rate_of_mean == pytest.approx(-20, abs=0.01)


def test_a_codec_that_lacks_most_pictures_is_not_ranked():
    rows = BASE + everywhere("avif", (0.8, 0.8, 0.2), a=(60, 61), c=(1,))
    assert said(rows) == (
        [("webp", (True, -30)), ("jpeg", (True, 0)), ("avif", (False, -20))],
        ["AVIF is not ranked, for want of a, c (curves hardly overlap, too few points); its means are over b."],
    )


def test_where_codecs_share_too_little_those_that_have_all_are_ranked():
    rows = BASE + everywhere("avif", (0.8, 0.8, 0.2), c=(60, 61)) + everywhere("jxl", (0.7, 0.7, 0.7), a=(60, 61))
    found, sentences = said(rows)
    assert found == [("webp", (True, -30)), ("jpeg", (True, 0)), ("jxl", (False, -30)), ("avif", (False, -20))]
    assert sentences == [
        "JXL is not ranked, for want of a (curves hardly overlap); its means are over b, c.",
        "AVIF is not ranked, for want of c (curves hardly overlap); its means are over a, b.",
    ]


def test_a_codec_without_any_figure():
    found, sentences = said(BASE + everywhere("far", (1, 1, 1), a=(60, 61), b=(60, 61), c=(60, 61)))
    assert found[-1] == ("far", (False, None)) and sentences == [
        "FAR is not ranked, for want of a, b, c (curves hardly overlap)."
    ]


def test_a_picture_of_which_nobody_loses_anything():
    rows = [replace(row, psnr=math.inf) if row.picture == "b" else row for row in BASE]
    assert said(rows)[1] == ["Means are over 2 of the 3 pictures, without b: no curve (WEBP, JPEG)."]


def test_a_mean_of_another_measure_is_of_the_same_pictures():
    """Where one picture has no figure by SSIMULACRA2 there is no mean by it, instead of one of other pictures."""
    rows = BASE + [
        replace(row, ssimulacra2=row.ssimulacra2 + 100 * (row.picture == "c"))
        for row in everywhere("avif", (0.5, 0.5, 0.5))
    ]
    avif = of("avif", rows)
    assert avif.counted == PICTURES and avif.rate == pytest.approx(-50, abs=0.01)
    assert avif.rate_ssimulacra2 is None and avif.rate_ms_ssim == pytest.approx(-50, abs=0.01)


def test_points_without_a_value_are_left_out():
    rows = [replace(ROW, psnr=math.inf, ms_ssim=None, ssimulacra2=None), replace(ROW, setting=2.0, ms_ssim=0.9)]
    assert points(rows, "ddc:e5", "kodim03") == [(ROW.bpp, ROW.psnr)]
    assert points(rows, "ddc:e5", "kodim03", "ms_ssim") == [(ROW.bpp, pytest.approx(10))]
    assert points(rows, "ddc:e5", "kodim03", "ssimulacra2") == [(ROW.bpp, ROW.ssimulacra2)]


def test_the_mean_curve_by_hand():
    curve = mean_curve(ROWS, "jpeg", ("a", "b"))
    assert [quality for _, quality in curve] == [32, 34, 36, 38]
    assert curve[0][0] == pytest.approx(8 * (24000 + 48000) / 2 / (768 * 512))


def test_a_setting_that_a_picture_lacks_is_not_averaged():
    rows = [row for row in ROWS if (row.codec, row.picture, row.setting) != ("jpeg", "b", 3)]
    assert [quality for _, quality in mean_curve(rows, "jpeg", ("a", "b"))] == [32, 34, 38]


def test_groups_compare_over_the_same_pictures():
    rows = ROWS + ladder("odd", "a", 0.5) + ladder("odd", "b", 0.8)
    found = [(group.pictures, {s.codec: round(s.rate) for s in group.standings}) for group in groups(rows, "jpeg")]
    assert found == [
        (("a", "b", "c"), {"half": -50, "jpeg": 0}),
        (("a", "b"), {"half": -50, "odd": -35, "jpeg": 0}),
        (("b",), {"few": -75, "half": -50, "odd": -20, "jpeg": 0}),
    ]
    assert {row.picture for row in groups(rows, "jpeg")[2].rows} == {"b"}


def test_a_setting_that_failed_leaves_a_codec_where_it_is():
    lacking = {("jpeg", "b", 3), ("half", "a", 1), ("half", "c", 4)}
    rows = [row for row in ROWS if (row.codec, row.picture, row.setting) not in lacking]
    first, _ = groups(rows, "jpeg")
    assert first.pictures == PICTURES
    assert {s.codec: round(s.rate) for s in first.standings} == {"half": -50, "jpeg": 0}


def test_a_picture_that_the_anchor_lacks():
    rows = [row for row in ROWS if (row.codec, row.picture) != ("jpeg", "c")]
    first = groups(rows, "jpeg")[0]
    half = next(s for s in first.standings if s.codec == "half")
    assert first.pictures == half.pictures == ("a", "b") and half.rate == pytest.approx(-50, abs=0.01)


def test_a_published_mean_is_in_the_group_of_its_pictures_alone():
    mean = Published("mean", "", {"MEAN": mean_curve(ROWS, "jpeg", PICTURES)})
    each = Published("each", "", {picture: points(ROWS, "jpeg", picture) for picture in PICTURES})
    codecs = [{s.codec for s in group.standings} for group in groups(ROWS, "jpeg", [mean, each])]
    assert codecs == [{"jpeg", "half", "mean", "each"}, {"jpeg", "half", "few", "each"}]


def test_published_curves():
    jpeg = {picture: points(ROWS, "jpeg", picture) for picture in PICTURES}
    third = {picture: [(bpp / 3, quality) for bpp, quality in curve] for picture, curve in jpeg.items()}
    mean = {"MEAN": [(bpp / 4, quality) for bpp, quality in mean_curve(ROWS, "jpeg", PICTURES)]}
    published = [Published("each", "", third), Published("mean", "", mean), Published("wrong", "", mean, 24)]
    each, only_mean, wrong = (of(name, published=published) for name in ("each", "mean", "wrong"))
    assert each.rate == pytest.approx(-66.67, abs=0.01) and each.rate_of_mean == pytest.approx(-66.67, abs=0.01)
    assert only_mean.rate is None and only_mean.rate_of_mean == pytest.approx(-75, abs=0.01)
    assert wrong.rate_of_mean is None and not wrong.measured and wrong.encode_s is None
    assert [s.codec for s in standings(ROWS, "jpeg", published)] == ["mean", "each", "half", "jpeg", "few", "wrong"]


def test_lossless_alone_has_no_figures():
    rows = ROWS + [replace(ROW, codec="none", picture=picture, psnr=math.inf, psnr_y=math.inf) for picture in PICTURES]
    none = of("none", rows)
    assert none.rate is None and none.low is None and none.pictures == () and none.encode_s == ROW.encode_s

"""The benchmark's report: a page that stands alone, says what was measured, and survives the studies that are hardly
one.
"""

import dataclasses
import math
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")

from ddcodec.benchmark import summary
from ddcodec.benchmark.charts import labels_of, looks_of, save_plots
from ddcodec.benchmark.peers import NAMES
from ddcodec.benchmark.published import Published
from ddcodec.benchmark.report import Crop, Crops, Description, Study, html_of
from ddcodec.benchmark.table import Row
from ddcodec.errors import OutputError

HOSTILE = "<b>&\"'$HOME ${x} </title>.png"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags, attributes and visible text; fails on tags that do not close each other."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts, self.cells = [], Counter(), [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


def rows_of(codec, better, pictures=("anna", "bert"), seconds=0.1, ssimulacra2=True, settings=5):
    """Rows at a rate `better` times lower than that of the codec with 1."""
    return [
        Row(
            "2026-11-21",
            "a machine",
            picture,
            "0" * 16,
            768,
            512,
            codec,
            setting,
            round(4000 * 2**setting / better),
            psnr,
            psnr + 1,
            1 - 10 ** (-psnr / 20),
            2 * psnr if ssimulacra2 else None,
            psnr + 2,
            80 / psnr,
            seconds,
            seconds / 2,
            1,
            f"lib{codec} 1.0",
        )
        for picture in pictures
        for setting in range(settings)
        for psnr in [27 + 3.5 * setting + len(picture) % 3]
    ]


@pytest.fixture(scope="module")
def study():
    rows = rows_of("jpeg", 1, seconds=0.003) + rows_of("avif", 1.6) + rows_of("ddc:e5", 2, ("anna",), 100)
    curve = [(0.04 * 2**i, 27 + 3.5 * i) for i in range(6)]
    published = Published("Cool-Chic", "Orange, results/v5", {"anna": curve, "bert": curve})
    image = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
    crops = [
        Crop("Original", None, None, image),
        Crop("AVIF, quality 34", 15702, 34.1, np.dstack([image] * 3)),
        Crop("Raw", 9, math.inf, image),
    ]
    codecs = {
        "jpeg": Description("JPEG", "4:2:0", "quality"),
        "avif": Description("AVIF", "4:4:4, speed 6", "quality", "A note on AVIF."),
        "ddc:e5": Description("ddcodec, effort 5", "profile default", "lambda"),
    }
    missing = ["heic: the package pillow-heif is missing."]
    return Study(rows, "jpeg", [published], codecs, [Crops("anna", crops)], missing, "ddcodec bench a b", "A trial")


@pytest.fixture(scope="module")
def html(study):
    return html_of(study)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_it_stands_alone(html, page):
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    loaded = [value for tag, name, value in page.attributes if name in ("src", "srcset", "href", "data") and tag != "a"]
    assert loaded and all(value.startswith(("data:image/png;base64,", "#")) for value in loaded)
    assert not re.search(r"url\((?!#)|@import", html)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_ids_are_unique_and_found(html, page):
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for _, name, value in page.attributes if name == "href" and value.startswith("#")}
    used |= set(re.findall(r"url\(#([^)]+)\)", html))
    assert used and used <= set(ids)


def test_everything_is_named(page):
    for words in (
        "A trial",
        "anna",
        "bert",
        "JPEG",
        "AVIF",
        "ddcodec, effort 5",
        "Cool-Chic",
        "Orange, results/v5",
        "published",
        "4:4:4, speed 6",
        "A note on AVIF.",
        "libavif 1.0",
        "a machine",
        "2026-11-21",
        "ddcodec bench a b",
        "heic: the package pillow-heif is missing.",
        "AVIF, quality 34",
        "15,702 bytes · 34.10 dB",
        "9 bytes · lossless",
        "quality 0, 1, 2, 3, 4",
        "Mean of 2 pictures anna, bert",
        "One picture anna",
    ):
        assert words in page.text, words


def test_the_numbers_are_those_of_the_standings(study, page):
    standings = summary.standings(study.rows, study.anchor, study.published)
    each = [
        standing for group in summary.groups(study.rows, study.anchor, study.published) for standing in group.standings
    ]
    rates = [s.rate for s in each if s.codec != "jpeg"]
    assert len(rates) == 5 and {"avif", "ddc:e5"} <= {s.codec for s in each}
    for rate in rates:
        assert f"{rate:+.1f} %".replace("-", "\N{MINUS SIGN}") in page.cells
    for standing in standings:
        for figures in standing.per_picture.values():
            assert standing.codec == "jpeg" or f"{figures.rate:+.1f} %".replace("-", "\N{MINUS SIGN}") in page.cells
    assert (
        "ddcodec, effort 5 needs 50.0 % less rate than JPEG for the same PSNR, on average over 1 picture." in page.text
    )


def test_curves_have_their_names(study, html):
    titles = re.findall(r"<title>([^<]*)</title>", html)
    assert titles[0] == "A trial" and set(labels_of(study).values()) <= set(titles)


def test_the_same_study_gives_the_same_bytes(study, html, tmp_path):
    assert html_of(study) == html
    save_plots(study, tmp_path / "a")
    save_plots(study, tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(
        f"{kind}{suffix}.{end}"
        for kind in ("mean", "mean-ssimulacra2", "time")
        for suffix in ("", "-2")
        for end in ("png", "svg")
    )
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    for name in names[::2]:
        with Image.open(tmp_path / "a" / name) as image:
            assert image.width > 1000 and image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_plots_of_an_earlier_study_go(study, tmp_path):
    save_plots(study, tmp_path)
    (tmp_path / "mine.png").write_bytes(b"")
    save_plots(dataclasses.replace(study, rows=rows_of("jpeg", 1) + rows_of("avif", 2)), tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "mean-ssimulacra2.png",
        "mean.png",
        "mine.png",
        "time.png",
    ]


def test_no_folder_for_plots(study, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file cannot be written: .*exists"):
        save_plots(study, tmp_path / "file")


def test_names_are_escaped(study):
    hostile = dataclasses.replace(
        study,
        rows=[
            dataclasses.replace(row, picture=HOSTILE, machine=HOSTILE, versions=HOSTILE)
            for row in study.rows
            if row.picture == "anna"
        ],
        codecs={"avif": Description(HOSTILE, HOSTILE, HOSTILE, HOSTILE)},
        published=[Published(HOSTILE, HOSTILE, {HOSTILE: study.published[0].points["anna"]})],
        crops=[Crops(HOSTILE, [dataclasses.replace(study.crops[0].crops[1], title=HOSTILE)])],
        not_measured=[HOSTILE],
        command=HOSTILE,
        title=HOSTILE,
    )
    page = Page(html_of(hostile))
    assert page.tags["title"] > 1 and page.text.count(" ".join(HOSTILE.split())) > 12
    assert "on average over 1 picture." in page.text


def test_one_picture_one_codec(study, tmp_path):
    alone = dataclasses.replace(study, rows=rows_of("jpeg", 1, ("anna",)), published=[], crops=[], not_measured=[])
    page = Page(html_of(alone))
    assert "One picture anna" in page.text
    assert not [
        heading for heading in ("At equal file size", "Not measured", "Picture by picture") if heading in page.text
    ]
    save_plots(alone, tmp_path)
    assert (tmp_path / "mean.svg").exists()


def test_figures_that_cannot_be_said(study):
    """Curves of one point, curves that hardly overlap, and a published curve that is given as a mean only."""
    high = [dataclasses.replace(row, codec="high", psnr=row.psnr + 12) for row in rows_of("high", 1)]
    one = rows_of("one", 2, settings=1)
    mean = Published("Mean only", "a paper", {"MEAN": study.published[0].points["anna"]})
    page = Page(html_of(dataclasses.replace(study, rows=rows_of("jpeg", 1) + high + one, published=[mean])))
    assert not page.tags["lead"] and "rate than" not in page.text
    assert "curves hardly overlap" in "".join(page.cells) and "only of the mean curve" in "".join(page.cells)


def test_what_was_left_out_is_said(study):
    """Three pictures; one codec has no figure on one of them, another on two."""
    pictures = ("anna", "bert", "carl")
    rows = rows_of("jpeg", 1, pictures) + rows_of("webp", 1.25, pictures)
    for codec, factor, high in (("avif", 1.6, ("carl",)), ("rare", 4, ("anna", "bert"))):
        rows += [
            dataclasses.replace(row, psnr=row.psnr + 12 * (row.picture in high))
            for row in rows_of(codec, factor, pictures)
        ]
    page = Page(html_of(dataclasses.replace(study, rows=rows, published=[], crops=[])))
    assert "Means are over 2 of the 3 pictures, without carl: curves hardly overlap (AVIF)." in page.text
    assert "rare is not ranked, for want of anna, bert (curves hardly overlap); its means are over carl." in page.text
    assert "AVIF needs 37.5 % less rate than JPEG for the same PSNR, on average over 2 pictures." in page.text
    ranks = {
        cells[1].split("4:")[0].split(" ")[0]: cells[0]
        for cells in zip(page.cells, page.cells[1:])
        if cells[0] in ("1", "2", "3", "")
    }
    assert (ranks["AVIF"], ranks["webp"], ranks["JPEG"], ranks["rare"]) == ("1", "2", "3", "")
    assert "over 1 picture only" in "".join(page.cells) and "Mean of 2 pictures" in page.cells


def test_the_anchor_is_missing(study):
    assert (
        "no curve to compare"
        in Page(html_of(dataclasses.replace(study, anchor="png", rows=rows_of("jpeg", 1, ("anna",))))).text
    )


def test_lossless_has_no_curve(study, tmp_path):
    lossless = [
        dataclasses.replace(row, codec="none", psnr=math.inf, ms_ssim=1.0) for row in rows_of("jpeg", 0.1, settings=1)
    ]
    beside = html_of(dataclasses.replace(study, rows=study.rows + lossless))
    assert "<title>none</title>" not in beside and "none" in Page(beside).text
    only = dataclasses.replace(study, rows=lossless, anchor="none", published=[], crops=[])
    assert "No codec here has a curve." in Page(html_of(only)).text
    save_plots(only, tmp_path / "plots")
    assert not list((tmp_path / "plots").glob("mean*"))


def test_without_ssimulacra2(study, page):
    rows = [dataclasses.replace(row, ssimulacra2=None) for row in study.rows]
    without = Page(html_of(dataclasses.replace(study, rows=rows)))
    assert without.tags["svg"] < page.tags["svg"]
    assert [cell for cell in page.cells if "SSIMULACRA2" in cell] and not [
        cell for cell in without.cells if "SSIMULACRA2" in cell
    ]


def test_many(study):
    pictures = tuple(f"a picture of a long name {i}" for i in range(7))
    names = [*(name for name in NAMES if name != "none"), *"ddc:e1 ddc:e3 ddc:e5 ddc:e7 ddc:e9 ddc:classic".split()]
    rows = [row for i, name in enumerate(names) for row in rows_of(name, 1 + i / 9, pictures, settings=4)]
    crowd = dataclasses.replace(study, rows=rows, published=[], codecs={})
    page = Page(html_of(crowd))
    assert "Curves of 7 pictures" in page.text and page.tags["details"] == 3
    assert all(name in page.text for name in names)
    looks = looks_of(crowd)
    assert len({(look.colour, look.dash, look.marker) for look in looks.values()}) == len(names)
    assert len({(look.colour, look.dash) for look in looks.values()}) >= len(names) - 1
    families = {
        name.split(":")[0]: {looks[other].colour for other in names if other.split(":")[0] == name.split(":")[0]}
        for name in names
    }
    assert all(len(colours) == 1 for colours in families.values())


def test_labels_tell_twins_apart(study):
    twins = {"avif": Description("AVIF", "4:4:4, speed 6", "q"), "avif:s0": Description("AVIF", "4:4:4, speed 0", "q")}
    rows = rows_of("jpeg", 1) + rows_of("avif", 2) + rows_of("avif:s0", 3)
    labels = labels_of(dataclasses.replace(study, rows=rows, codecs=twins, published=[]))
    assert labels == {"jpeg": "jpeg", "avif": "AVIF speed 6", "avif:s0": "AVIF speed 0"}

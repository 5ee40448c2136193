"""Curves from CSV files."""

from pathlib import Path

import pytest

from ddcodec.benchmark.curves import bjontegaard
from ddcodec.benchmark.published import Published, mean_points, read_published
from ddcodec.errors import SourceError

HEADER = "image,bpp,psnr_db\n"
SHIPPED = Path(__file__).parents[1] / "bench" / "published-kodak.csv"


def test_a_folder_has_a_curve_a_file(tmp_path):
    (tmp_path / "b.csv").write_text("quality,image,psnr_db,bpp\n1,x,32.5,0.5\n2,x,30,0.25\n1,y,31,0.4\n")
    (tmp_path / "a.csv").write_text(HEADER + "MEAN,0.1,28\nMEAN,0.2,\n")
    (tmp_path / "notes.txt").write_text("not a curve")
    assert read_published(tmp_path) == [
        Published("a", "", {"MEAN": [(0.1, 28)]}),
        Published("b", "", {"x": [(0.25, 30), (0.5, 32.5)], "y": [(0.4, 31)]}),
    ]


def test_a_file_may_name_codecs_and_sources(tmp_path):
    path = tmp_path / "all.csv"
    path.write_text("codec,image,pictures,bpp,psnr_db,source\nA,MEAN,24,0.1,28,here\nB,MEAN,,0.2,29,there\n")
    assert read_published(path) == [
        Published("A", "here", {"MEAN": [(0.1, 28)]}, 24),
        Published("B", "there", {"MEAN": [(0.2, 29)]}),
    ]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "has no column image"),
        (HEADER + "x,0.1,\n", "holds no points"),
        (HEADER + "x,0.1\n", "line 2, has words where"),
        (HEADER + "x,inf,30\n", "line 2, has no finite rate"),
        (HEADER + "x,0.1,nan\n", "line 2, has no finite rate"),
        (HEADER, "holds no points"),
        ("image,bpp\nx,1\n", "has no column psnr_db"),
        (HEADER + "x,much,30\n", "line 2, has words where a number should be"),
        (HEADER + "x,0.1,30\nx,0,30\n", "line 3, has no finite rate above 0"),
        ("\xff\xfe\0", None),
    ],
)
def test_bad_files_are_refused(tmp_path, text, words):
    path = tmp_path / "curve.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match=words or "curve.csv"):
        read_published(path)


def test_two_curves_of_one_name(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("codec," + HEADER + "Same,x,0.1,30\n")
    with pytest.raises(SourceError, match="two curves that are called Same"):
        read_published(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(SourceError, match="holds no CSV file"):
        read_published(tmp_path)
    with pytest.raises(SourceError, match="absent.csv cannot be read"):
        read_published(tmp_path / "absent.csv")


def test_the_mean_of_pictures_by_hand():
    curve = Published("a", "", {"x": [(0.1, 30), (0.2, 33)], "y": [(0.3, 32), (0.6, 34)], "z": [(0.1, 30)]})
    assert mean_points(curve, ["x", "y"], ["x", "y", "z"]) == [pytest.approx((0.2, 31)), pytest.approx((0.4, 33.5))]
    assert mean_points(curve, ["x", "z"], ["x", "y", "z"]) is None
    assert mean_points(curve, ["x", "w"], ["x", "w"]) is None


def test_a_published_mean_is_for_its_corpus_alone():
    everything = ["x", "y"]
    curve = Published("a", "", {"MEAN": [(0.1, 30)]}, 2)
    assert mean_points(curve, everything, everything) == [(0.1, 30)]
    assert mean_points(curve, ["x"], everything) is None
    assert mean_points(Published("a", "", {"MEAN": [(0.1, 30)]}, 24), everything, everything) is None


def test_the_shipped_table_says_its_sources():
    curves = read_published(SHIPPED)
    assert len(curves) >= 5
    for curve in curves:
        assert curve.source and curve.pictures == 24 and set(curve.points) == {"MEAN"}
        rates, decibels = zip(*curve.points["MEAN"])
        assert list(decibels) == sorted(decibels) and len(rates) >= 5


def test_the_shipped_table_against_a_figure_of_the_authors():
    """Jiang et al. (MLIC, ACM MM 2023, table 1) give MLIC+ a BD-rate of -11.39 % over Kodak, against an earlier VTM
    (17.0) than ours.
    """
    curves = {curve.codec: curve.points["MEAN"] for curve in read_published(SHIPPED)}
    assert bjontegaard(curves["VTM 19.1"], curves["MLIC+"]).rate == pytest.approx(-11.39, abs=2)

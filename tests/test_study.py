"""What a report is made from: which rows, which crops, in which order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import painted
from PIL import Image
from test_table import ROW

from ddcodec.benchmark.crops import window_of
from ddcodec.benchmark.peers import peer_of
from ddcodec.benchmark.published import Published
from ddcodec.benchmark.run import Run, prepare_folder, read_sources, split_missing
from ddcodec.benchmark.study import descriptions, study_of
from ddcodec.benchmark.table import append_row


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two pictures in three codecs, all measured."""
    folder = tmp_path_factory.mktemp("study")
    for name, rows, columns in (("a", 90, 120), ("b", 100, 80)):
        Image.fromarray(painted(rows, columns)).save(folder / f"{name}.png")
    sources, _ = read_sources([str(folder / "a.png"), str(folder / "b.png")])
    present, _ = split_missing([peer_of(name) for name in ("jpeg", "avif", "webp")])
    prepare_folder(str(folder / "report"))
    run = Run(str(folder / "report"), sources, present)
    assert run.measure(2) == []
    return run


def test_crops_are_of_equal_size(run):
    """None is larger than the last codec's file, unless it can be no smaller."""
    study = study_of(run, "jpeg", [], [], "command")
    assert [crops.picture for crops in study.crops] == ["a", "b"]
    for crops in study.crops:
        original, jpeg, avif, webp = crops.crops
        assert original.bytes is None and [crop.title.split(",")[0] for crop in (jpeg, avif, webp)] == [
            "JPEG",
            "AVIF",
            "WebP",
        ]
        for crop in (jpeg, avif):
            assert crop.bytes <= webp.bytes or "its smallest" in crop.title
        assert all(crop.image.shape == original.image.shape for crop in crops.crops)


def test_without_the_files_there_are_fewer_crops(run, tmp_path):
    for file in Path(run.folder).glob("files/webp/*"):
        file.rename(tmp_path / file.name)
    try:
        crops = study_of(run, "jpeg", [], [], "command").crops
        assert [len(each.crops) for each in crops] == [3, 3]
    finally:
        for file in tmp_path.iterdir():
            file.rename(Path(run.folder) / "files" / "webp" / file.name)


def test_published_curves_of_a_measured_name_are_told_apart(run):
    published = [Published("jpeg", "", {"a": [(0.5, 30), (1, 33)]}), Published("Other", "", {})]
    assert [curve.codec for curve in study_of(run, "jpeg", published, [], "").published] == ["jpeg, published", "Other"]


def test_rows_of_other_pictures_stay_out(run):
    stranger = replace(ROW, picture="a", codec="vvc")
    append_row(run.table, stranger)
    assert stranger not in study_of(run, "jpeg", [], [], "").rows


def test_codecs_are_described_in_the_order_of_the_peers():
    rows = [replace(ROW, codec=codec) for codec in ("ddc:e3", "vvc", "jpeg", "of the future", "ddc:classic:e4")]
    assert list(descriptions(rows)) == ["jpeg", "vvc", "ddc:classic:e4", "ddc:e3"]


def test_the_window_is_where_something_is():
    picture = np.full((600, 800, 3), 120, np.uint8)
    picture[300:420, 520:630] = painted(120, 110)
    rows, columns = window_of(picture)
    assert rows.start <= 300 and rows.stop >= 420 and columns.start <= 520 and columns.stop >= 630
    assert (rows.stop - rows.start, columns.stop - columns.start) == (256, 256)
    assert window_of(picture[:40, :30]) == (slice(0, 40), slice(0, 30))

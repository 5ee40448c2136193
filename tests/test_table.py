"""The benchmark's table: what is written is read again, whole lines only."""

import csv
from dataclasses import replace

import pytest

from ddcodec.benchmark.table import COLUMNS, Row, append_row, latest, read_table, text_of
from ddcodec.errors import OutputError, SourceError

ROW = Row(
    "2026-11-21",
    "A machine, 2 cores",
    "kodim03",
    "e25ca1ff2f0c0cb5",
    768,
    512,
    "ddc:e5",
    0.001,
    15795,
    34.8412,
    36.25,
    0.981234,
    61.2345,
    36.7801,
    1.6368,
    77.12,
    0.3456,
    2,
    "ddcodec 0.1.0",
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.tsv"


def test_rows_come_back(path):
    rows = [
        ROW,
        replace(ROW, ms_ssim=None, ssimulacra2=None, psnr_hvs_m=None, butteraugli=None),
        replace(ROW, psnr=float("inf")),
    ]
    for row in rows:
        append_row(path, row)
    assert read_table(path) == rows
    assert path.read_text() == text_of(rows)


def test_a_spreadsheet_reads_it(path):
    append_row(path, ROW)
    (found,) = csv.DictReader(path.open(), delimiter="\t")
    assert tuple(found) == COLUMNS
    assert float(found["bpp"]) == pytest.approx(8 * 15795 / (768 * 512), abs=1e-5)
    assert found["setting"] == "0.001"


def test_names_cannot_break_a_line(path):
    append_row(path, replace(ROW, picture="a\tb\nc"))
    assert read_table(path) == [replace(ROW, picture="a b c")]


@pytest.mark.parametrize("lost", [1, 2, 40, 141])
def test_half_a_line_is_no_row(path, lost):
    append_row(path, ROW)
    append_row(path, replace(ROW, picture="kodim04"))
    path.write_bytes(path.read_bytes()[:-lost])
    assert read_table(path) == [ROW]
    append_row(path, replace(ROW, picture="kodim05"))
    assert [row.picture for row in read_table(path)] == ["kodim03", "kodim05"]


def test_half_a_header_is_an_empty_table(path):
    path.write_bytes(text_of([]).encode()[:20])
    assert read_table(path) == []
    append_row(path, ROW)
    assert read_table(path) == [ROW]


def test_the_last_row_of_a_key_counts():
    newer = replace(ROW, versions="ddcodec 0.2.0", bytes=15000)
    other = replace(ROW, setting=0.002)
    assert latest([ROW, other, newer]) == [newer, other]


@pytest.mark.parametrize(
    "text, words",
    [
        ("hello", "first line"),
        ("a\tb\n1\t2\n", "first line"),
        (text_of([ROW]) + "1\t2\n", "line 3 has not 20 columns"),
        (text_of([ROW]).replace("15795", "many"), "line 2 has words where a number"),
    ],
)
def test_other_files_are_refused(path, text, words):
    path.write_text(text)
    with pytest.raises(SourceError, match=words):
        read_table(path)


def test_unwritable(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        append_row(tmp_path / "no" / "rows.tsv", ROW)

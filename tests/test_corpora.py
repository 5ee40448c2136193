"""The manifests of corpora: a folder is one only if every byte is."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import corpora
import pytest
import record
from test_table import ROW

from ddcodec.benchmark.measure import source_of
from ddcodec.benchmark.table import append_row, read_table

ROOT = Path(__file__).parents[1]


@pytest.fixture
def samples(tmp_path):
    folder = tmp_path / "samples"
    shutil.copytree(ROOT / "samples", folder)
    return folder


def test_the_samples_are_the_samples(samples):
    assert corpora.differences("samples", samples) == []


def test_every_difference_is_named(samples):
    (samples / "coffee.png").rename(samples / "tea.png")
    with (samples / "rocket.jpg").open("ab") as file:
        file.write(b"\0")
    assert corpora.differences("samples", samples) == [
        "coffee.png is missing",
        "tea.png does not belong to samples",
        "rocket.jpg is another file than that of samples",
    ]


def test_entries_are_whole():
    for corpus in corpora.CORPORA.values():
        assert corpus["title"] and corpus["licence"] and corpus["source"]
        assert all(len(digest) == 64 for digest in corpus["sha256"].values())
    assert len(corpora.CORPORA["kodak"]["sha256"]) == 24


def test_the_command(samples):
    run = subprocess.run(
        [sys.executable, ROOT / "bench" / "corpora.py", "samples", samples], capture_output=True, text=True
    )
    assert run.returncode == 0 and "is samples" in run.stdout
    (samples / "coffee.png").unlink()
    run = subprocess.run(
        [sys.executable, ROOT / "bench" / "corpora.py", "samples", samples], capture_output=True, text=True
    )
    assert run.returncode == 1 and "coffee.png is missing" in run.stdout


def test_only_rows_of_the_corpus_are_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    source = source_of(str(ROOT / "samples" / "coffee.png"))
    row = replace(ROW, picture=source.name, sha256=source.sha256)
    report = tmp_path / "report"
    report.mkdir()
    append_row(report / "rows.tsv", row)
    monkeypatch.setattr(sys, "argv", ["record.py", str(report), "samples"])
    record.main()
    record.main()
    table = tmp_path / "rate-distortion-samples.tsv"
    assert read_table(table) == [row]
    assert "0 of 1 rows are new" in capsys.readouterr().out
    append_row(report / "rows.tsv", replace(row, sha256="0" * 16, setting=5.0))
    with pytest.raises(SystemExit, match="Not of samples: coffee"):
        record.main()
    assert read_table(table) == [row]


def test_results_are_of_their_corpus():
    for corpus in corpora.CORPORA:
        assert record.strangers(read_table(record.results_of(corpus)), corpus) == []

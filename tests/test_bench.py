"""`ddcodec bench` as a command: complete runs, runs that were stopped, and bad input."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import painted, wait_until
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from ddcodec.benchmark import run, study
from ddcodec.benchmark.measure import Failure
from ddcodec.benchmark.peers import peer_of
from ddcodec.benchmark.run import Progress
from ddcodec.benchmark.table import read_table, text_of
from ddcodec.cli import cli
from ddcodec.cli.bench import _bar, _typed
from ddcodec.cli.talk import within

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def bench(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["bench", *map(str, arguments)], prog_name="ddcodec")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for name, rows, columns in (("first", 168, 176), ("second", 180, 164)):
        Image.fromarray(painted(rows, columns)).save(folder / f"{name}.png")
    (folder / "README.md").write_text("Two pictures.")
    return folder


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    """A report's folder, and what the command said."""
    folder = tmp_path_factory.mktemp("bench") / "report"
    result = bench(pictures, "--codecs", "jpeg,webp,none", "-o", folder)
    assert result.exit_code == 0, (result.stderr, result.exception)
    return folder, result


def test_every_row_is_of_its_file(finished, pictures):
    folder, _ = finished
    rows = read_table(folder / "rows.tsv")
    assert len(rows) == 2 * sum(len(peer_of(name).settings) for name in ("jpeg", "webp", "none"))
    for row in rows:
        if row.codec == "none":
            assert row.psnr == math.inf and row.bpp == 24
            continue
        (file,) = (folder / "files" / row.codec).glob(f"{row.picture}-{row.setting:g}.*")
        original = np.asarray(Image.open(pictures / f"{row.picture}.png"))
        assert row.bytes == file.stat().st_size
        assert row.psnr == pytest.approx(
            peak_signal_noise_ratio(original, np.asarray(Image.open(file).convert("RGB"))), abs=1e-4
        )


def test_what_it_says(finished):
    folder, result = finished
    lines = result.stdout.splitlines()
    assert lines[0] == "Against jpeg, first, second:" and lines[1].split()[:2] == ["codec", "BD-rate"]
    assert {line.split()[0] for line in lines[2:] if line} == {"jpeg", "webp", "none"}
    assert str(folder / "report.html") in result.stderr
    assert (folder / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert Image.open(folder / "plots" / "mean.png").width > 600


def test_what_was_left_out_is_said(finished, pictures, tmp_path):
    """JPEG's curve of one picture moved up in the table: WebP is compared over the other one, in words and in the
    JSON.
    """
    folder = tmp_path / "report"
    shutil.copytree(finished[0], folder)
    rows = read_table(folder / "rows.tsv")
    (folder / "rows.tsv").write_text(
        text_of([replace(row, psnr=row.psnr + 40 * ((row.codec, row.picture) == ("webp", "second"))) for row in rows])
    )
    result = bench(pictures, "--codecs", "jpeg", "-o", folder)
    sentence = "Means are over 1 of the 2 pictures, without second: curves hardly overlap (webp)."
    assert result.exit_code == 0 and sentence in result.stdout.splitlines()
    (group,) = summary(bench(pictures, "--codecs", "jpeg", "-o", folder, "--json"))["groups"]
    assert (
        group["left_out"] == [sentence] and group["counted"] == ["first"] and group["pictures"] == ["first", "second"]
    )
    assert {codec["codec"]: codec["ranked"] for codec in group["codecs"]} == {"jpeg": True, "webp": True, "none": False}


def test_a_second_run_measures_nothing(finished, pictures, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(finished[0], folder)
    before = (folder / "rows.tsv").read_bytes()
    result = bench(pictures, "--codecs", "jpeg,webp,none", "-o", folder, "--json")
    assert result.exit_code == 0
    assert (folder / "rows.tsv").read_bytes() == before
    *rows, told = map(json.loads, result.stdout.splitlines())
    assert len(rows) == before.count(b"\n") - 1 and all(
        row["ok"] and row["bpp"] == 8 * row["bytes"] / (row["width"] * row["height"]) for row in rows
    )
    assert told["ok"] and told["anchor"] == "jpeg" and told["not_measured"] == []
    (group,) = told["groups"]
    assert group["pictures"] == ["first", "second"] and {codec["codec"] for codec in group["codecs"]} == {
        "jpeg",
        "webp",
        "none",
    }


def summary(result):
    """The last of a run's JSON objects; the others are the rows."""
    return json.loads(result.stdout.splitlines()[-1])


def test_a_picture_that_changed_is_measured_again(finished, pictures, tmp_path):
    folder, source = tmp_path / "report", tmp_path / "pictures"
    shutil.copytree(finished[0], folder)
    shutil.copytree(pictures, source)
    Image.fromarray(painted(170, 170)).save(source / "second.png")
    before = len(read_table(folder / "rows.tsv"))
    assert bench(source, "--codecs", "webp", "-o", folder).exit_code == 0
    rows = read_table(folder / "rows.tsv")
    assert len(rows) == before + len(peer_of("jpeg").settings) + len(peer_of("webp").settings)
    assert {row.width for row in rows if row.picture == "second"} == {164, 170}
    found = summary(bench(source, "--codecs", "jpeg", "-o", folder, "--json"))["groups"]
    assert [(group["pictures"], len(group["codecs"])) for group in found] == [(["first", "second"], 2), (["first"], 3)]


def test_pictures_of_earlier_runs_are_not_in_the_report(finished, pictures, tmp_path):
    folder = tmp_path / "report"
    shutil.copytree(finished[0], folder)
    (group,) = summary(bench(pictures / "first.png", "--codecs", "webp", "-o", folder, "--json"))["groups"]
    assert group["pictures"] == ["first"]
    assert {row.picture for row in read_table(folder / "rows.tsv")} == {"first", "second"}


def start(*arguments):
    command = [sys.executable, "-m", "ddcodec", "bench", *map(str, arguments)]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def rows_in(folder):
    table = folder / "rows.tsv"
    return table.read_text().splitlines() if table.exists() else []


def without_times(path):
    return [line.split("\t")[:-4] + line.split("\t")[-2:] for line in path.read_text().splitlines()]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_stopped_twice_and_taken_up_again(pictures, tmp_path):
    """In the midst, by Ctrl-C as a terminal sends it and by a sudden death; then left alone."""
    arguments = (pictures, "--codecs", "jpeg,avif", "-j", 2)
    undisturbed = start(*arguments, "-o", tmp_path / "undisturbed")
    _, stderr = undisturbed.communicate(timeout=120)
    assert undisturbed.returncode == 0, stderr
    folder = tmp_path / "stopped"
    rows = 0
    for how in (signal.SIGINT, signal.SIGKILL):
        process = start(*arguments, "-o", folder)
        wait_until(lambda: len(rows_in(folder)) > rows + 2)
        os.killpg(process.pid, how)
        _, stderr = process.communicate(timeout=60)
        assert "Traceback" not in stderr and process.returncode == (130 if how == signal.SIGINT else -how), stderr
        rows = len(rows_in(folder))
    last = start(*arguments, "-o", folder)
    _, stderr = last.communicate(timeout=120)
    assert last.returncode == 0, stderr
    assert without_times(folder / "rows.tsv") == without_times(tmp_path / "undisturbed" / "rows.tsv")
    # What the killed one was writing, one file a process, is removed when it is a minute old.
    parts = list(folder.glob("files/*/.ddcodec-*.part"))
    kept, wanted = (sorted(path.name for path in own.glob("files/*/*")) for own in (folder, tmp_path / "undisturbed"))
    assert len(parts) <= 2 and sorted(wanted + [path.name for path in parts]) == kept


def refused(code, *arguments):
    """Expect this exit code; returns the lines on stderr."""
    result = bench(*arguments)
    assert result.exit_code == code, (result.exit_code, result.stderr, result.exception)
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()


def test_a_text_file_among_pictures(pictures, tmp_path):
    (tmp_path / "text.png").write_text("This is no picture.")
    lines = refused(3, pictures / "first.png", tmp_path / "text.png", "--codecs", "jpeg", "-o", tmp_path / "report")
    assert sum("text.png" in line for line in lines) == 1
    assert lines[-1].startswith("Error: The report lacks")
    assert {row.picture for row in read_table(tmp_path / "report" / "rows.tsv")} == {"first"}
    assert "text.png" in (tmp_path / "report" / "report.html").read_text("utf-8")


def test_a_picture_that_a_codec_refuses(pictures, tmp_path):
    Image.new("L", (16400, 8), 90).save(tmp_path / "long.png")
    lines = refused(3, tmp_path / "long.png", pictures / "first.png", "--codecs", "webp", "-o", tmp_path / "report")
    assert [line for line in lines if "long" in line] == [
        line for line in lines if "webp, long" in line and "16383" in line
    ]
    rows = read_table(tmp_path / "report" / "rows.tsv")
    assert {(row.codec, row.picture) for row in rows} == {("jpeg", "long"), ("jpeg", "first"), ("webp", "first")}


def test_nothing_to_measure(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("This is no picture.")
    report = tmp_path / "report"
    assert refused(3, tmp_path / "empty", "-o", report) == [f"Error: The folder {tmp_path / 'empty'} holds no picture."]
    assert "does not exist" in refused(3, tmp_path / "absent.png", "-o", report)[0]
    assert refused(3, tmp_path / "text.png", "-o", report)[-1] == "Error: None of the pictures can be read."
    assert not report.exists()


def test_reports_that_cannot_be_written(pictures, tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    for folder in (tmp_path / "file", tmp_path / "file" / "report"):
        assert "cannot be written" in refused(6, pictures, "--codecs", "jpeg", "-o", folder)[-1]
    assert "holds other files" in refused(6, pictures, "--codecs", "jpeg", "-o", tmp_path / "home")[-1]
    assert os.listdir(tmp_path / "home") == ["letter.txt"]
    if sys.platform == "linux":
        assert "cannot be written" in refused(6, pictures, "--codecs", "jpeg", "-o", "/proc/report")[-1]


def test_a_table_of_something_else(pictures, tmp_path):
    (tmp_path / "rows.tsv").write_text("my\town\ttable\n")
    assert "is no table of this benchmark" in refused(3, pictures, "--codecs", "jpeg", "-o", tmp_path)[-1]
    assert (tmp_path / "rows.tsv").read_text() == "my\town\ttable\n"


def test_names_that_do_not_exist(pictures, tmp_path):
    report = tmp_path / "report"
    assert "There is no codec gif" in refused(2, pictures, "--codecs", "jpeg,gif", "-o", report)[-1]
    assert "There is no codec gif" in refused(2, pictures, "--anchor", "gif", "-o", report)[-1]
    assert "names no codec" in refused(2, pictures, "--codecs", ",", "-o", report)[-1]
    assert (
        "absent.csv"
        in refused(3, pictures, "--codecs", "jpeg", "--published", tmp_path / "absent.csv", "-o", report)[-1]
    )
    assert not report.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text(tmp_path):
    for name in (b"x\xff.png", b"two\nlines <b>&amp;.png", b"-o.png"):
        Image.fromarray(painted(40, 50)).save(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)), "PNG")
    (tmp_path / "y\udcfe.png").write_text("no picture")
    lines = refused(3, tmp_path, "--codecs", "jpeg", "-o", tmp_path / "report")
    assert len(lines) == 2 + len([line for line in lines if line.startswith("Report")])
    assert {row.picture for row in read_table(tmp_path / "report" / "rows.tsv")} == {
        r"x\xff",
        "two lines <b>&amp;",
        "-o",
    }
    assert "&lt;b&gt;&amp;amp;" in (tmp_path / "report" / "report.html").read_text("utf-8")


def test_a_file_that_is_named_twice_counts_once(pictures, tmp_path):
    result = bench(
        pictures,
        pictures / "first.png",
        pictures / ".." / pictures.name / "first.png",
        "--codecs",
        "none",
        "--anchor",
        "none",
        "-o",
        tmp_path / "report",
    )
    assert result.exit_code == 0
    assert [row.picture for row in read_table(tmp_path / "report" / "rows.tsv")] == ["first", "second"]


def test_a_long_name(tmp_path):
    Image.fromarray(painted(20, 20)).save(tmp_path / ("n" * 250 + ".png"))
    assert bench(tmp_path, "--codecs", "none", "--anchor", "none", "-o", tmp_path / "report").exit_code == 0


def test_no_folder_is_named(pictures):
    for output in ("-", ""):
        assert "name one with -o" in refused(2, pictures, "--codecs", "jpeg", "-o", output)[-1]


def test_two_runs_on_one_folder(pictures, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    report = tmp_path / "report"
    report.mkdir()
    with open(report / "rows.tsv", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "Another run is writing" in refused(6, pictures, "--codecs", "jpeg", "-o", report)[-1]
    assert bench(pictures / "first.png", "--codecs", "jpeg", "-o", report).exit_code == 0


def test_what_a_dead_run_left_is_removed(pictures, tmp_path):
    left = tmp_path / "files" / "jpeg" / f".ddcodec-{'0' * 12}.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    (tmp_path / "rows.tsv").write_bytes(b"")
    assert bench(pictures / "first.png", "--codecs", "jpeg", "-o", tmp_path).exit_code == 0
    assert not left.exists()


def test_a_full_disk_ends_the_run(pictures, tmp_path, monkeypatch):
    full = Failure("r/files/x cannot be written: No space left on device.", fatal=True)
    monkeypatch.setattr(run, "run_jobs", lambda work, jobs, processes: ((job, full, 0.1) for job in jobs))
    lines = refused(6, pictures, "--codecs", "jpeg", "-o", tmp_path / "report")
    assert len(lines) == 1 and "No space left on device. The rows so far are kept" in lines[0]


def test_interrupted_at_the_report(finished, pictures, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "write_report", interrupt)
    shutil.copytree(finished[0], tmp_path / "report")
    assert "keeps what is measured" in refused(130, pictures, "--codecs", "jpeg", "-o", tmp_path / "report")[-1]


def test_json_also_if_something_failed(pictures, tmp_path):
    (tmp_path / "text.png").write_text("This is no picture.")
    result = bench(
        pictures / "first.png", tmp_path / "text.png", "--codecs", "jpeg", "-o", tmp_path / "report", "--json"
    )
    told = summary(result)
    assert result.exit_code == told["error"]["code"] == 3 and not told["ok"]
    assert len(told["not_measured"]) == 1 and len(told["groups"]) == 1


def test_two_pictures_of_one_name(pictures, tmp_path):
    Image.fromarray(painted(170, 170)).save(tmp_path / "first.bmp")
    lines = refused(2, pictures, tmp_path / "first.bmp", "--codecs", "jpeg", "-o", tmp_path / "report")
    assert "Two pictures are called first" in lines[-1]


def test_codecs_that_are_not_installed(pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    result = bench(pictures / "first.png", "--codecs", "jxl", "-o", tmp_path / "report")
    assert result.exit_code == 0
    (line,) = [line for line in result.stderr.splitlines() if "jxl" in line]
    assert "imagecodecs is not installed" in line
    assert "imagecodecs is not installed" in (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "jxl cannot be used here" in refused(2, pictures, "--anchor", "jxl", "-o", tmp_path / "other")[-1]


def test_the_progress_bar():
    progress = Progress(5, 20, "avif:s0", "kodim07", 90.0)
    assert within(79, _bar(progress, 83.2, 79)) == "[#####...............] 5/20, 1 min 24 s left, avif:s0 of kodim07"
    assert within(39, _bar(progress, 83.2, 39)) == "5/20, 1 min 24 s left, avif:s0 of ko..."
    assert (
        within(79, _bar(Progress(20, 20, "jpeg", "a", math.inf), math.inf, 79))
        == "[####################] 20/20, jpeg of a"
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_command_can_be_typed_again():
    """Whatever is in a name, nothing of it reaches a terminal or the page as it is, and bash makes the same bytes of
    it.
    """
    words = ["plain", "two words", "it's", 'a "b" $HOME', "\x1b[31mred\x07'\\", "ä\n", os.fsdecode(b"x\xff1")]
    typed = " ".join(map(_typed, words))
    assert typed.isprintable() and typed.startswith("plain 'two words' ")
    found = subprocess.run(["bash", "-c", f"printf '%s\\0' {typed}"], stdout=subprocess.PIPE, check=True).stdout
    assert found == b"".join(os.fsencode(word) + b"\0" for word in words)


def test_a_narrow_terminal(finished, pictures, tmp_path):
    folder = tmp_path / "report"
    shutil.copytree(finished[0], folder)
    arguments = ["bench", str(pictures), "--codecs", "jpeg,webp,none", "-o", str(folder)]
    narrow, wide = (
        CliRunner(env={"COLUMNS": columns}).invoke(cli, arguments).stdout.splitlines() for columns in ("46", "200")
    )
    columns = ["codec", "BD-rate", "BD-PSNR", "encode", "decode"]
    # Times of few digits leave room for the last one.
    assert max(map(len, narrow)) <= 46 and narrow[1].split() in (columns, columns[:-1])
    assert wide[1].split() == ["codec", "BD-rate", "BD-PSNR", "over", "encode", "decode"]
    assert [line.split()[:2] for line in narrow] == [line.split()[:2] for line in wide]

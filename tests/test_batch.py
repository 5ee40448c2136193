"""Many files: which they are, what becomes of each, and that nothing is lost, doubled or half written when a run ends
early or several share the work.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import painted, wait_until
from PIL import Image

from ddcodec import decoder, encoder
from ddcodec.cli import batch as carrying
from ddcodec.cli import cli
from ddcodec.cli.talk import within
from ddcodec.errors import SourceError, TargetError, UsageError
from ddcodec.fit import engine
from ddcodec.jobs import files as batch
from ddcodec.jobs.workers import Crashed

READY = (Path(__file__).parent / "vectors" / "valid" / "default_24x16.ddc").read_bytes()
QUICK = ("--iterations", "1", "--device", "cpu")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(encoder.__file__).parents[1]), *sys.path])}
posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")


def pictures(folder, count, side=16):
    """`count` pictures in three folders."""
    for number in range(count):
        path = Path(folder, "abc"[number % 3], f"p{number:03}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(painted(side, side), number, 1)).save(path)


def bad_pictures(folder):
    """Five files that are no pictures; returns their paths."""
    whole = next(Path(folder).glob("*/*.png")).read_bytes()
    bad = {
        "a/cut.png": whole[:90],
        "a/empty.png": b"",
        "b/text.jpg": b"This is no picture.",
        "c/coded.png": READY,
        "c/odd.webp": b"RIFF\4\0\0\0WEBP",
    }
    for name, data in bad.items():
        Path(folder, name).write_bytes(data)
    return sorted(os.path.join(folder, name) for name in bad)


def ddcodec(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="ddcodec")


def started(*args):
    return subprocess.Popen(
        [sys.executable, "-m", "ddcodec", *map(str, args)], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def errors_of(said):
    return sorted(re.findall(r"^Error: (.*?)(?:: | is | holds )", said, re.M))


def made_of(said):
    """The outputs that were written, each as often as it was."""
    return Counter(re.findall(r" -> (.*?): \d+x\d+, ", said))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stubbed(monkeypatch):
    """Fits take no time: every file is the same. The value lists the samples that were asked for."""
    seen = []

    def encode_pictures(sources, options, progress=None, say=None, warn=None):
        seen.extend(source.samples for source in sources)
        return [encoder.Encoded(READY, decoder.decode_file(READY).samples, 1e-3, 4, 0.1, "cpu", 30.0) for _ in sources]

    monkeypatch.setattr(encoder, "encode_pictures", encode_pictures)
    return seen


# Which files, and where to


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="links need rights there")
def test_a_link_to_itself_is_no_file(here, stubbed):
    pictures("in", 1)
    os.symlink("loop", "in/a/loop")
    assert ddcodec("encode", "in/a", "-r", "-o", "out").exit_code == 0 and files_of("out") == ["p000.ddc"]


def test_a_folder_keeps_its_structure_and_its_secrets(here):
    for name in (
        "x/b.png",
        "x/a.JPG",
        "x/sub/deep/c.tif",
        "x/.hidden.png",
        "x/.git/d.png",
        "x/notes.txt",
        "x/sub.png/e.gif",
        "f.bmp",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"12345")
    jobs = batch.jobs_of(
        ["x", "f.bmp", "x/b.png"], "out", ".ddc", lambda path: not path.endswith(".txt"), recursive=True
    )
    assert [(job.input, job.output) for job in jobs] == [
        ("f.bmp", "out/f.ddc"),
        ("x/a.JPG", "out/a.ddc"),
        ("x/b.png", "out/b.ddc"),
        ("x/sub.png/e.gif", "out/sub.png/e.ddc"),
        ("x/sub/deep/c.tif", "out/sub/deep/c.ddc"),
    ]
    assert {job.weight for job in jobs} == {5}
    assert [job.output for job in batch.jobs_of(["x/sub", "f.bmp"], None, ".ddc", bool, recursive=True)] == [
        "f.ddc",
        "x/sub/deep/c.ddc",
    ]


def test_shards_are_a_partition_that_does_not_depend_on_what_is_done(here):
    pictures("in", 11)
    everyone = batch.jobs_of(["in"], "out", ".ddc", bool, recursive=True)
    Path("out/a").mkdir(parents=True)
    Path("out/a/p000.ddc").write_bytes(READY)
    parts = [batch.jobs_of(["in"], "out", ".ddc", bool, recursive=True, shard=(k, 4)) for k in (1, 2, 3, 4)]
    assert (
        sorted(job.input for part in parts for job in part) == [job.input for job in everyone] and len(everyone) == 11
    )
    assert {len(part) for part in parts} == {2, 3}
    assert batch.jobs_of(["in"], "out", ".ddc", bool, recursive=True, shard=(12, 12)) == []


def test_what_cannot_be_meant(here, stubbed):
    pictures("in", 3)
    Path("empty").mkdir()
    Path("in/a/p000.jpg").write_bytes(Path("in/a/p000.png").read_bytes())
    Path("file").write_bytes(b"")
    Path("other").mkdir()
    Path("other/p001.png").write_bytes(Path("in/b/p001.png").read_bytes())
    for words, sentence in [
        (["in"], "in is a folder; with -r (--recursive) all that is in it is taken."),
        (
            ["in", "-r"],
            "in/a/p000.jpg and in/a/p000.png would both become in/a/p000.ddc; --keep-extension names them by their "
            "whole names, with .ddc behind.",
        ),
        (["in/b", "in/c", "-r", "-o", "file"], "file is a file; several results need a folder."),
        (
            ["in/b/p001.png", "other/p001.png", "-o", "out/"],
            "in/b/p001.png and other/p001.png would both become out/p001.ddc; rename one of them, or leave it out.",
        ),
        (["in/b", "-r", "-o", "-"], "Standard input and output are for one file alone."),
        (["in/b", "-", "-r"], "Standard input and output are for one file alone."),
        (["in/b", "-r", "-f", "--skip-existing"], "Give either --force or --skip-existing, not both."),
        (
            ["in/b", "-r", "--shard", "5/4"],
            "Invalid value for '--shard': '5/4' is no part of a whole; write K/N with K from 1 to N, such as 1/4.",
        ),
        (
            ["in/b", "-r", "--mask", "file", "--restore", "inpaint", "--scheduler", "tcp://a:1"],
            "The workers of a cluster cannot read the mask; leave out --scheduler.",
        ),
    ]:
        result = ddcodec("encode", *words)
        assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {sentence}")
    assert ddcodec("encode", "empty", "-r").exit_code == 3
    assert not stubbed and not list(Path().rglob("*.ddc"))
    with pytest.raises(SourceError, match="none cannot be read"):
        batch.files_in("none")
    with pytest.raises(UsageError):
        batch.jobs_of(["in/b", "in/b/p001.png", "in/c/../b/p001.png", "in"], "out", ".ddc", bool)


def test_pictures_of_one_stem_keep_their_extensions(here, stubbed):
    for name in "x.png", "x.jpg":
        Path("in").mkdir(exist_ok=True)
        Image.fromarray(painted(16, 16)).save(f"in/{name}")
    assert ddcodec("encode", "in", "-r", "-o", "out").exit_code == 2
    assert ddcodec("encode", "in", "-r", "-o", "out", "--keep-extension").exit_code == 0 and files_of("out") == [
        "x.jpg.ddc",
        "x.png.ddc",
    ]
    assert ddcodec("decode", "out", "-r", "-o", "in").exit_code == 0 and files_of("in") == [
        "x.jpg",
        "x.jpg.ddc.png",
        "x.png",
        "x.png.ddc.png",
    ]


# What becomes of each


def test_one_failure_does_not_stop_the_rest(here, stubbed):
    pictures("in", 6)
    bad = bad_pictures("in")
    result = ddcodec("encode", "in", "-r", "-o", "out")
    assert result.exit_code == 1 and result.stdout == "" and "Traceback" not in result.stderr
    assert errors_of(result.stderr) == bad
    assert files_of("out") == sorted(f"{'abc'[n % 3]}/p{n:03}.ddc" for n in range(6))
    assert re.fullmatch(
        rf"6 encoded, 5 failed, 0 skipped, {6 * len(READY) / 1000:.1f} kB, {8 * len(READY) / 384:.2f} bpp, 1 s",
        result.stderr.splitlines()[-1],
    )


def test_json_is_one_object_a_picture(here, stubbed):
    pictures("in", 3)
    Path("in/bad.png").write_bytes(b"")
    Path("out/b").mkdir(parents=True)
    Path("out/b/p001.ddc").write_bytes(b"old")
    answers = [
        json.loads(line)
        for line in ddcodec("encode", "in", "-r", "-o", "out", "--json", "--skip-existing").stdout.splitlines()
    ]
    alone = json.loads(ddcodec("encode", "in/a/p000.png", "-o", "alone.ddc", "--json").stdout)
    assert {answer["input"]: answer["ok"] for answer in answers} == {
        "in/a/p000.png": True,
        "in/b/p001.png": True,
        "in/c/p002.png": True,
        "in/bad.png": False,
    }
    first, skipped, bad = (
        {answer["input"]: answer for answer in answers}[f"in/{name}"]
        for name in ("a/p000.png", "b/p001.png", "bad.png")
    )
    assert first == alone | {
        "output": "out/a/p000.ddc",
        "notes": [note.replace("alone.ddc", "out/a/p000.ddc") for note in alone["notes"]],
    }
    assert "a lossless WebP of the picture has" in first["notes"][0] and bad["notes"] == bad["warnings"] == []
    assert skipped["skipped"] is True and bad["error"] == {"code": 3, "message": "in/bad.png is empty."}


def test_existing_outputs(here, stubbed):
    pictures("in", 3)
    Path("in/a/p000.ddc").write_bytes(b"old")
    result = ddcodec("encode", "in", "-r")
    assert (
        result.exit_code == 1
        and "Error: in/a/p000.png: in/a/p000.ddc exists already; -o names another output, --force (-f) replaces it.\n"
        in result.stderr
    )
    assert result.stderr.splitlines()[-1].startswith("2 encoded, 1 failed, 0 skipped, ")
    result = ddcodec("encode", "in", "-r", "--skip-existing")
    assert result.exit_code == 0 and re.fullmatch(r"0 encoded, 0 failed, 3 skipped, \d+ s", result.stderr.strip())
    assert Path("in/a/p000.ddc").read_bytes() == b"old" and len(stubbed) == 2
    result = ddcodec("encode", "in/a/p000.png", "--skip-existing")
    assert result.exit_code == 0 and result.stderr == "in/a/p000.png is skipped: in/a/p000.ddc exists already.\n"
    assert ddcodec("encode", "in", "-r", "--force").exit_code == 0
    assert Path("in/a/p000.ddc").read_bytes() == READY


def test_who_comes_second_to_an_output_skips_it(here, monkeypatch):
    def slow_encoder(*_, **__):
        Path("out/p000.ddc").write_bytes(b"another run was faster")
        return [encoder.Encoded(READY, decoder.decode_file(READY).samples, 1e-3, 4, 0.1, "cpu", 30.0)]

    pictures("in", 1)
    monkeypatch.setattr(encoder, "encode_pictures", slow_encoder)
    assert ddcodec("encode", "in/a", "-r", "-o", "out", "--skip-existing").exit_code == 0
    assert Path("out/p000.ddc").read_bytes() == b"another run was faster" and files_of("out") == ["p000.ddc"]


def test_timestamps(here, stubbed):
    pictures("in", 2)
    for number, path in enumerate(sorted(Path("in").rglob("*.png"))):
        os.utime(path, ns=(10**18, 10**18 + number))
    assert ddcodec("encode", "in", "-r", "-o", "out", "--keep-timestamps").exit_code == 0
    assert [path.stat().st_mtime_ns for path in sorted(Path("out").rglob("*.ddc"))] == [10**18, 10**18 + 1]
    assert ddcodec("encode", "in/a/p000.png", "--keep-timestamps").exit_code == 0
    assert Path("in/a/p000.ddc").stat().st_mtime_ns == 10**18


def test_restoration_is_part_of_the_job(here, stubbed):
    """The picture that is encoded is the restored one, and a picture that is too small to be restored fails alone."""
    pictures("in", 2, side=24)
    Image.fromarray(painted(8, 8)).save("in/small.png")
    result = ddcodec(
        "encode",
        "in",
        "-r",
        "-o",
        "out",
        "--restore",
        "denoise",
        "--sigma",
        "20",
        "-e",
        "1",
        "--iterations",
        "2",
        "--device",
        "cpu",
    )
    assert result.exit_code == 1 and errors_of(result.stderr) == ["in/small.png"]
    assert len(stubbed) == 2 and not np.array_equal(stubbed[0], painted(24, 24))


def test_decoding_many(here):
    for name in "in/x.ddc", "in/sub/y.DDC", "in/.z.ddc", "in/notes.txt":
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(READY)
    Path("in/bad.ddc").write_bytes(READY[:-1])
    result = ddcodec("decode", "in", "-r", "-o", "out/", "--format", "ppm", "-j", "2")
    assert result.exit_code == 1 and errors_of(result.stderr) == ["in/bad.ddc"]
    assert files_of("out") == ["sub/y.DDC.ppm", "x.ddc.ppm"]
    assert Path("out/x.ddc.ppm").read_bytes() == b"P6\n24 16\n255\n" + decoder.decode_file(READY).samples.tobytes()
    assert re.fullmatch(r"2 decoded, 1 failed, 0 skipped, \d+ s", result.stderr.splitlines()[-1])


# Several at once


def test_processes_make_the_same_files(here):
    pictures("in", 5)
    bad = bad_pictures("in")
    one, two = (ddcodec("encode", "in", "-r", "-o", f"out{jobs}", "-j", jobs, *QUICK) for jobs in (1, 2))
    assert one.exit_code == two.exit_code == 1 and errors_of(two.stderr) == errors_of(one.stderr) == bad
    assert files_of("out1") == files_of("out2") and len(files_of("out2")) == 5
    assert all(Path("out1", name).read_bytes() == Path("out2", name).read_bytes() for name in files_of("out1"))


def test_a_crash_costs_one_picture(here, monkeypatch):
    def run_jobs(work, jobs, processes):
        for job in jobs:
            yield job, Crashed(-9) if job[0].name.endswith("p001.png") else work(job), 0.1

    pictures("in", 3)
    monkeypatch.setattr("ddcodec.jobs.workers.run_jobs", run_jobs)
    result = ddcodec("encode", "in", "-r", "-o", "out", "-j", "2", *QUICK)
    assert (
        "Error: in/b/p001.png: Its process ended without a result (exit code -9); perhaps memory was short.\n"
        in result.stderr
    )
    assert result.exit_code == 1 and files_of("out") == ["a/p000.ddc", "c/p002.ddc"]


def test_a_gpu_gets_pictures_of_one_size_together(here, monkeypatch):
    asked = []

    def encode_pictures(sources, options, progress=None, say=None, warn=None):
        asked.append([source.samples.shape for source in sources])
        if any(source.samples.max() == 0 for source in sources):
            raise TargetError("No file of the picture has that size.")
        return [
            encoder.Encoded(READY, decoder.decode_file(READY).samples, 1e-3, 4, 0.1, "cuda:0", 30.0) for _ in sources
        ]

    monkeypatch.setattr(engine, "device_of", lambda wished: "cuda:0")
    monkeypatch.setattr(encoder, "encode_pictures", encode_pictures)
    pictures("in", 5)
    Image.fromarray(painted(20, 16)).save("in/a/tall.png")
    Image.fromarray(np.zeros((20, 16, 3), np.uint8)).save("in/z.png")
    result = ddcodec("encode", "in", "-r", "-o", "out", "--target-size", "1k")
    assert asked == [5 * [(16, 16, 3)], 2 * [(20, 16, 3)], [(20, 16, 3)], [(20, 16, 3)]]
    assert "Error: in/z.png: No file of the picture has that size.\n" in result.stderr and result.exit_code == 1
    assert len(files_of("out")) == 6
    asked.clear()
    assert ddcodec("encode", "in/a", "in/b", "-r", "-o", "more", "-j", "2", "--quiet").exit_code == 0
    assert sum(map(len, asked)) == 5 and max(map(len, asked)) == 2


@posix
def test_interrupted_twice_and_resumed(here):
    pictures("in", 12)
    bad = bad_pictures("in")
    done = []
    for number, code in (signal.SIGTERM, 143), (signal.SIGINT, 130):
        run = started(
            "encode", "in", "-r", "-o", "out", "-j", "2", "--iterations", "400", "--device", "cpu", "--skip-existing"
        )
        before = len(done)
        wait_until(lambda: len(list(Path("out").rglob("*.ddc"))) > before + 1)
        workers = children_of(run.pid)
        run.send_signal(number)
        said = run.communicate(timeout=60)[1]
        assert run.returncode in (code, -number) and "Traceback" not in said
        assert workers and not any(map(is_alive, workers))
        done = files_of("out")
        assert before + 1 < len(done) < 12 and all(name.endswith(".ddc") for name in done)
    assert said.splitlines()[-1] == (
        f"Error: Interrupted; what is encoded stays ({len(done) - before}), and the same command with "
        "--skip-existing goes on from there."
    )
    again = ddcodec("encode", "in", "-r", "-o", "out", "--skip-existing", *QUICK)
    assert again.exit_code == 1 and errors_of(again.stderr) == bad
    assert again.stderr.splitlines()[-1].startswith(f"{12 - len(done)} encoded, 5 failed, {len(done)} skipped, ")
    assert len(files_of("out")) == 12
    for name in files_of("out"):
        assert decoder.decode_file(Path("out", name).read_bytes()).samples.shape == (16, 16, 3)


def children_of(pid):
    """Processes that run a batch's files, without the one that multiprocessing keeps its books with."""
    found = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "spawn_main" in line]


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@posix
def test_runs_that_share_a_folder(here):
    """A shard and a run over everything, both at once: each file is written once."""
    pictures("in", 9)
    runs = [
        started("encode", "in", "-r", "-o", "out", "--skip-existing", *QUICK, *part)
        for part in (["--shard", "1/2"], [])
    ]
    said = [run.communicate(timeout=60)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    made = made_of("".join(said))
    assert len(files_of("out")) == len(made) == 9 and set(made.values()) == {1}


# The line on a terminal


def test_the_line_of_a_batch():
    standing = carrying._Standing(50, 200, 2, 90.0, "step 5/50 of in/a.png")
    for columns, text in [
        (111, "[#####...............] 50/200, 1 min 24 s left, 2 failed, step 5/50 of in/a.png"),
        (70, "[#####...............] 50/200, 1 min 24 s left, 2 failed, step 5/50..."),
        (59, "50/200, 1 min 24 s left, 2 failed, step 5/50 of in/a.png"),
        (39, "50/200, 1 min 24 s left, 2 failed"),
    ]:
        assert within(columns, carrying._standing_parts(standing, 83.2, columns)) == text
    assert (
        within(99, carrying._standing_parts(standing._replace(step=200, doing=""), 0.0, 99))
        == "[####################] 200/200, 2 failed"
    )


def test_time_left_follows_the_bytes(here, monkeypatch):
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(carrying, "monotonic", lambda: next(now))
    jobs = [batch.Job("a.png", "a.ddc", 100), batch.Job("b.png", "b.ddc", 300)]
    work = SimpleNamespace(sizes=True, line=lambda made: "", details=lambda made: (), note=lambda job, made: None)
    course = carrying._Course(carrying.Relayed(lambda sentence: None), work, carrying.Batch(("a.png", "b.png")), jobs)
    shown = []
    course.show = shown.append
    course.settle(carrying.Loaded(jobs[0], "a.png", b""), carrying.Made(b"", {"width": 1, "height": 1}))
    # The first took 10 seconds, the other has three times its bytes, and 10 seconds of that are over.
    assert (shown[-1].step, shown[-1].total, shown[-1].seconds_left) == (1, 2, 20)

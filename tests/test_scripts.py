"""Each script of bench/ and docs/, once, on tiny inputs: it ends, and writes what it says."""

import contextlib
import csv
import io
import itertools
import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import batch
import blind
import camera_noise
import checksums
import contours
import cutouts
import decoders
import denoised_files
import engines
import large
import low_rate
import make_comparison
import make_page
import numpy as np
import outlook
import processes
import pytest
import restoration_figure
import together
import train_bases
import train_contexts
import train_eye
import train_mosaics
import whole_range
from click.testing import CliRunner
from conftest import painted
from PIL import Image

from ddcodec import encoder
from ddcodec.benchmark.restoration import read_rows
from ddcodec.benchmark.table import read_table
from ddcodec.cli import cli
from ddcodec.fit.descent.analysis import CHANNELS
from ddcodec.format.arch import BASES
from ddcodec.restoration import restore
from ddcodec.restoration.settings import Effort

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "ddcodec"
VALID = ROOT / "tests" / "vectors" / "valid"
ELSEWHERE = {
    "corpora": "test_corpora.py",
    "record": "test_corpora.py",
    "readme_tables": "test_readme.py",
    "make_commands": "test_help.py",
    "make_figures": "test_docs.py",
    "make_reference": "test_reference.py",
}
"""Scripts that other tests run, in whole or in their parts."""
HEAD = sum(9 * channels + 1 for channels in CHANNELS)
"""Numbers of one base's heads in the analysis network."""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with two pictures of one size, in which every fit is of two steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(encoder, "iterations_of", lambda *_: 2)
    monkeypatch.setattr(restore, "effort_of", lambda effort: Effort(share=1e-3, runs=1, views=1, steps=2))
    for name, turn in (("a", 0), ("b", 5)):
        Image.fromarray(np.roll(painted(24, 36), turn, 1)).save(f"{name}.png")
    return tmp_path


def run(script, *words):
    """What a call of the script with these words returns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{script.__name__}.py", *map(str, words)])
        return script.main()


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def in_this_process(command, **_):
    """Stands for `subprocess.run` of a program that `python -c` is given."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(sys, "argv", ["-c", *command[3:]])
        patch.setattr(sys, "path", [*sys.path])
        exec(command[2], {})
    return SimpleNamespace(stdout=said.getvalue())


def test_none_is_forgotten():
    scripts = {path.stem for folder in ("bench", "docs") for path in (ROOT / folder).glob("*.py")}
    own = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    # These two are no scripts, but what scripts share.
    assert scripts - {"rows", "maps"} == (own | ELSEWHERE.keys()) & scripts
    assert all((ROOT / "tests" / name).exists() for name in ELSEWHERE.values())


class Run:
    """Stands for a process of batch.py: it has ended before anybody waits for it, and dies of no signal."""

    def __init__(self, folder, *words, module=None):
        self.returncode, self._said = 0, ""
        if module == "distributed.cli.dask_scheduler":
            (folder / "scheduler.json").write_text(json.dumps({"address": "tcp://nowhere:1"}))
        elif not module:
            own = words[: words.index("--scheduler")] if "--scheduler" in words else words
            with contextlib.chdir(folder):
                result = CliRunner().invoke(cli, [*batch.COMMAND[3:], *own, "-j", "1", "--iterations", "1"])
            self.returncode, self._said = result.exit_code, result.stderr

    def communicate(self):
        return None, self._said

    def send_signal(self, number):
        pass

    kill = communicate


def test_batch(monkeypatch, capsys):
    """Its scenes and its checks; `test_batch.py` and `test_cluster.py` have real processes, signals and workers."""
    monkeypatch.setattr(batch, "start", Run)
    with pytest.raises(SystemExit) as ended:
        run(batch, "--pictures", 5)
    said = capsys.readouterr().out
    assert ended.value.code == 0 and said.count("all is well") == 3, said
    assert all(scene.__doc__ in said for scene in (batch.interrupted, batch.sharded, batch.clustered))


def test_batch_says_what_is_wrong(tmp_path):
    batch.make_pictures(tmp_path, 5)
    line = "x.png -> out/a/000.ddc: \n"
    assert list(batch.check(tmp_path, 5, [line + line], [0])) == [
        "0 files, not those 5 that there should be",
        "written twice: ['out/a/000.ddc']",
        "the lines of failures name []",
        "exit codes [0]",
    ]


def test_blind(desk, monkeypatch):
    """The key says where each is, of two files of about one size."""
    monkeypatch.setattr(blind, "CROPS", {"a": (8, 4), "b": (0, 0)})
    monkeypatch.setattr(contours, "SIDE", 16)
    monkeypatch.setattr(blind, "SIDE", 16)
    black, original = np.zeros((24, 36, 3), np.uint8), np.asarray(Image.open("a.png"))
    monkeypatch.setattr(blind.ddcodec, "encode", lambda samples, **options: bytes(700))
    monkeypatch.setattr(blind.ddcodec, "decode", lambda data: black)
    run(blind, ".", "-o", "sheets", "--codec", "jpeg")
    keys = [line.split("\t") for line in Path("sheets", "key.tsv").read_text().splitlines()]
    assert [key[0] for key in keys] == ["a", "b"]
    for name, *order, size, other in keys:
        assert sorted(order) == ["ddc", "jpeg"] and size == "700" and 500 < int(other) <= 707
        with Image.open(f"sheets/{name}.png") as sheet:
            parts = [np.asarray(sheet)[:, left : left + 32] for left in (0, 40, 80)]
        assert [not part.any() for part in parts] == [False, order[0] == "ddc", order[1] == "ddc"]
        if name == "a":
            assert np.array_equal(parts[0][::2, ::2], original[4:20, 8:24])


def test_cutouts(desk, monkeypatch):
    monkeypatch.setattr(cutouts, "SIDE", 40)
    monkeypatch.setattr(cutouts, "QUALITIES", (0, 50, 100))
    monkeypatch.setattr(cutouts, "CROPS", {"coffee.png": (180, 90)})
    for _ in range(2):
        run(cutouts, "-o", "rows.tsv", "--effort", 1)
    rows = rows_of("rows.tsv")
    assert [row["shape"] for row in rows] == ["disc", "star", "board"] and rows[2]["seen"] == "0.55"
    assert all(int(row[f"{who}bytes"]) > 50 and float(row[f"{who}psnr"]) > 5 for row in rows for who in ("", "webp_"))


def test_denoised_files(desk):
    """Its commands are processes, which run two steps of their own."""
    Image.fromarray(painted(48, 64)).save("a.png")
    for _ in range(2):
        run(denoised_files, "a.png", "-o", "rows.tsv", "--effort", 1, "--sigma", 40)
    (row,) = rows_of("rows.tsv")
    assert row["picture"] == "a" and int(row["png_bytes"]) == Path("a.png").stat().st_size
    assert 14 < float(row["noisy_psnr"]) < float(row["psnr"]) and int(row["bytes"]) < int(row["plain_bytes"])


@pytest.fixture
def small_engines(monkeypatch):
    """One thread, no GPU, and a product of small matrices."""
    monkeypatch.setattr(engines, "available_cores", lambda: 1)
    monkeypatch.setattr(engines, "device_of", lambda wished: "cpu")
    monkeypatch.setattr(engines, "SIDE", 64)
    monkeypatch.setattr(engines, "PIXELS_A_ROUND", 1)
    monkeypatch.setattr(engines, "subprocess", SimpleNamespace(run=in_this_process))


def test_engines(desk, small_engines):
    run(engines, "-o", "rows.tsv", "--sizes", "32x24,1x5", "--rounds", 1)
    rows = rows_of("rows.tsv")
    assert [(row["width"], row["engine"], row["tune"]) for row in rows] == [
        (width, engine, tune) for width in ("32", "1") for engine in ("native", "torch") for tune in ("eye", "psnr")
    ]
    assert all(float(row["ms_per_step"]) > 0 and float(row["times_the_product"]) > 0 for row in rows)
    assert all(row["peak_mib"] == "" or int(row["peak_mib"]) > 50 for row in rows)


def test_starts_of_engines(desk, small_engines, monkeypatch):
    monkeypatch.setattr(engines, "START", engines.START.replace("512", "24").replace("768", "32"))
    run(engines, "--starts", "-o", "rows.tsv")
    assert [row["engine"] for row in rows_of("rows.tsv")] == ["native", "native", "native", "torch"]


def test_large(desk, monkeypatch):
    def command(*words):
        assert CliRunner().invoke(cli, words).exit_code == 0
        return 1.0, 2.0

    monkeypatch.setattr(large, "run", command)
    monkeypatch.setattr(large, "band_rows", lambda width: 16)
    for _ in range(2):
        run(large, "a.png", "b.png", "-o", "rows.tsv", "--efforts", "1", "--tunes", "psnr", "--megapixels", 0.003)
    rows = rows_of("rows.tsv")
    assert [(row["photograph"], row["effort"], row["tune"]) for row in rows] == [
        (f"{name}_0.003", "1", "psnr") for name in "ab"
    ]
    for row in rows:
        assert 0.8 < int(row["width"]) * int(row["height"]) / 3000 < 1.2 and row["encode_s"] == "1"
        assert int(row["bytes"]) > 100 and float(row["psnr"]) > 10 and 0.3 < float(row["border_error"]) < 3
        # Better than AVIF of the same size where AVIF needs more than 100 % for the same quality, and the reverse.
        is_better = float(row["quality"]) > float(row["avif_quality"])
        assert is_better == (float(row["avif_bytes"]) > 100) or abs(float(row["avif_bytes"]) - 100) < 10


def test_low_rate(desk):
    """A file no larger than one of JPEG, and then the two files of WebP around it."""
    arguments = ("a.png", "-o", "rows.tsv", "--bpp", 5, "--effort", 1)
    for _ in range(2):
        run(low_rate, *arguments, "--codec", "jpeg")
    (row,) = rows_of("rows.tsv")
    assert row["codec"] == "jpeg" and 0 < int(row["ddc_bytes"]) <= int(row["bytes"]) <= 5 * 24 * 36 / 8
    run(low_rate, *arguments, "--codec", "webp", "--around", "jpeg")
    _, low, high = rows_of("rows.tsv")
    assert int(low["bytes"]) < int(row["ddc_bytes"]) <= int(high["bytes"]) and high["codec"] == "webp"
    with pytest.raises(SystemExit, match="no row of jpeg for b"):
        run(low_rate, "b.png", "-o", "rows.tsv", "--around", "jpeg")


@pytest.mark.parametrize(
    "task, given, names",
    [
        ("inpaint", ("--mask", "mask.png"), ["opencv-telea", "opencv-ns"]),
        ("denoise", ("--add-noise", 10), ["opencv-nlm"]),
        ("dejpeg", ("--as-jpeg", 10), ["opencv-nlm"]),
        ("superres", ("--scale", 2), ["bicubic"]),
    ],
)
def test_other_restorers(desk, monkeypatch, task, given, names):
    """OpenCV is not among the packages of the tests: what stands for it leaves the picture as it is."""
    asked = []
    cv2 = SimpleNamespace(
        INPAINT_TELEA=1,
        INPAINT_NS=0,
        __version__="0",
        inpaint=lambda broken, *_: broken,
        fastNlMeansDenoisingColored=lambda samples, _, *numbers: (asked.append(numbers), samples)[1],
    )
    monkeypatch.setitem(sys.modules, "cv2", cv2)
    monkeypatch.delitem(sys.modules, "other_restorers", raising=False)
    import other_restorers

    mask = np.full((24, 36), 255, np.uint8)
    mask[5:9, 5:9] = 0
    Image.fromarray(mask).save("mask.png")
    for _ in range(2):
        run(other_restorers, task, "a.png", "b.png", *given, "-o", "rows.tsv")
    rows = read_rows(Path("rows.tsv"))
    assert [(row.picture, row.prior) for row in rows] == [(picture, name) for name in names for picture in "ab"]
    if task == "superres":
        assert all(row.after != row.before for row in rows)
    else:
        assert all(row.after == row.before for row in rows) and (task != "inpaint" or rows[0].missing < rows[0].before)
    assert {numbers[:2] for numbers in asked} <= {(h, h) for h in other_restorers.STRENGTHS}


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system has no wait4")
def test_processes(desk):
    run(processes, ROOT / "tests" / "vectors" / "valid" / "default_24x16.ddc", "-o", "rows.tsv", "--runs", 1)
    rows = rows_of("rows.tsv")
    assert [(row["command"], row["width"]) for row in rows] == [("--help", ""), ("info", "24"), ("decode", "24")]
    assert all(0 < float(row["wall_s"]) and float(row["peak_mib"]) > 5 for row in rows)


def test_camera_noise(desk):
    Image.fromarray(np.full((60, 80, 3), 128, np.uint8)).save("grey.png")
    run(camera_noise, "grey.png", "a.png", "-o", "pairs")
    truth, noisy = (np.asarray(Image.open(f"pairs/grey_{name}")).astype(float) for name in ("truth.png", "noisy.jpg"))
    # A plain surface stays as it is on the way through the mosaic; its noise is that of photons, by the curve's slope.
    assert np.abs(truth - 128).max() <= 1 and 1 < (noisy - truth).std() < 8
    light = camera_noise.linear(np.linspace(0, 1, 9))
    assert np.allclose(camera_noise.curved(light), np.linspace(0, 1, 9)) and light[4] == pytest.approx(0.214, abs=1e-3)
    assert Image.open("pairs/a_noisy.jpg").size == Image.open("a.png").size


def test_restoration_figure(desk):
    run(restoration_figure, "-o", "figure.webp", "--effort", 1)
    side = restoration_figure.ZOOM * restoration_figure.SHOWN
    with Image.open("figure.webp") as figure:
        assert figure.size == (5 * side + 32, 2 * side + 8)
        left, right = (np.asarray(figure.crop((x, 0, x + side, side)).convert("L")) for x in (0, 4 * (side + 8)))
    assert left.std() > 20 and right.std() > 20


def test_together(desk):
    Image.fromarray(painted(20, 20)).save("small.png")
    run(together, "a.png", "small.png", "b.png", "-o", "rows.tsv", "--effort", 1, "--lambdas", "4e-3,1e-3")
    rows = rows_of("rows.tsv")
    assert [(row["picture"], row["lambda"], row["together"]) for row in rows] == [
        (picture, rate, count)
        for picture, count in (("small", "2"), ("a", "4"), ("b", "4"))
        for rate in ("0.004", "0.001")
    ]
    assert all(float(row["bpp"]) > 0 and float(row["psnr"]) > 5 for row in rows)


@pytest.fixture
def small_training(desk, monkeypatch):
    """Mosaics of two crops of 64 pixels, the least side that the coarsest octave leaves a pixel."""
    for module in (train_bases, train_contexts):
        monkeypatch.setattr(module, "SIDE", 64)
        monkeypatch.setattr(module, "MOSAIC", (1, 2))
    monkeypatch.setattr(train_bases, "FIRST_STEPS", 2)
    monkeypatch.setattr(train_bases, "NEXT_STEPS", 1)
    monkeypatch.setattr(train_contexts, "STEPS", 2)
    Path("photographs").mkdir()
    for name in "ab":
        Image.fromarray(painted(70, 80)).save(f"photographs/{name}.png")
    return desk


def test_train_bases(small_training, monkeypatch):
    """By a clock of seven seconds to a look, of which two are supervised steps."""
    monkeypatch.setattr(train_bases, "monotonic", itertools.count(0, 7).__next__)
    run(train_bases, "photographs", "-o", "learned", "--minutes", 1, "--threads", 1)
    for name, shipped in (("bases.bin", "format/bases.bin"), ("analysis_psnr.bin", "fit/descent/analysis_psnr.bin")):
        assert Path("learned", name).stat().st_size == (SHIPPED / shipped).stat().st_size
    numbers = np.fromfile("learned/analysis_psnr.bin", "<f2")
    assert np.isfinite(numbers).all() and numbers.any()


def test_train_eye(small_training, monkeypatch):
    """What is learned is near to what it went on from; a second call goes on from the first. Bases 1 to 5 stay."""
    monkeypatch.setattr(train_eye, "monotonic", itertools.count(0, 2).__next__)
    monkeypatch.setattr(train_eye, "SIDE", 64)
    monkeypatch.setattr(train_eye, "COUNTS", (0, 2))
    ways = []
    for _ in range(2):
        run(train_eye, "photographs", "-o", "learned", "--minutes", 1)
        network, shipped = (
            np.fromfile(path / "analysis_eye.bin", "<f2").astype(float)
            for path in (Path("learned"), SHIPPED / "fit" / "descent")
        )
        bases, before = (
            np.fromfile(path / "bases.bin", "<i2").astype(float).reshape(BASES, -1)
            for path in (Path("learned"), SHIPPED / "format")
        )
        assert np.array_equal(bases[:5], before[:5])
        ways.append((abs(network - shipped).max(), abs(bases - before)[5:].max(1)))
    (first, first_bases), (second, second_bases) = ways
    assert 0 < first < second < 0.1
    assert (0 < first_bases).all() and (first_bases < second_bases).all() and (second_bases < 0.1 * 4096).all()


def test_train_mosaics(small_training, monkeypatch):
    """A base becomes the mean of itself and a fit, with a first guess; another is made from it, all else stays."""
    monkeypatch.setattr(train_mosaics, "STEPS", 2)
    monkeypatch.setattr(train_mosaics, "MOSAIC", (1, 2))
    read = lambda folder: np.fromfile(folder / "bases.bin", "<i2").astype(float).reshape(BASES, -1)
    shipped = read(SHIPPED / "format")
    words = ("photographs", "photographs", "-o", "learned", "--threads", 1)
    run(train_mosaics, *words, "--base", 7, "--fits", 2)
    first = read(Path("learned"))
    assert np.array_equal(np.flatnonzero((first != shipped).any(1)) + 1, [7])
    assert abs(first - shipped).max() < 0.02 * 4096
    run(train_mosaics, *words, "--base", 9, "--source", 7)
    second = read(Path("learned"))
    assert np.array_equal(second[:8], first[:8]) and np.array_equal(second[9], first[9])
    assert 0 < abs(second[8] - first[6]).max() < 0.02 * 4096
    heads = np.split(np.fromfile("learned/analysis_eye.bin", "<f2")[-5 * HEAD :], 5)
    assert np.array_equal(heads[3], heads[1]) and not np.array_equal(heads[4], heads[1])


def test_train_contexts(small_training):
    """What is no part of the context model stays as it ships."""
    run(train_contexts, "photographs", "-o", "learned", "--threads", 1)
    learned, shipped = (np.fromfile(path, "<i2") for path in ("learned/bases.bin", SHIPPED / "format" / "bases.bin"))
    assert learned.size == shipped.size and 0 < (learned != shipped).mean() < 0.9


def test_contours(desk, monkeypatch):
    """A ramp in levels of 8 has eight false steps of three pixels, the ramp none; the same call again adds nothing."""
    ramp = np.broadcast_to(np.linspace(60, 130, 96)[None, :, None], (240, 96, 3))
    fine, coarse = ((np.round(ramp / step) * step).astype(np.uint8) for step in (1, 8))
    texture = np.asarray(Image.open(ROOT / "samples" / "chelsea.png"))[20:260, 120:264]
    assert np.nanmean(contours.false_steps(fine, coarse)) == pytest.approx(3 * 8 / 96)
    assert np.nanmean(contours.false_steps(fine, fine)) == 0
    assert np.isnan(contours.false_steps(texture, texture)).any()
    photo = np.concatenate([texture, fine], 1)
    Image.fromarray(photo).save("photo.png")
    coded = photo.copy()
    coded[:, 144:] = coarse
    wished = []
    monkeypatch.setattr(contours.ddcodec, "encode", lambda samples, **options: wished.append(options) or bytes(3000))
    monkeypatch.setattr(contours.ddcodec, "decode", lambda data: coded)
    monkeypatch.setattr(contours, "CROPS", {"photo": (16, 8)})
    for _ in range(2):
        run(contours, ".", "-o", "contours.tsv", "--effort", 4, "--sheets", "sheets")
    assert wished == [{"lambda_": 2.4e-3, "effort": 4}, {"target_size": 3045, "effort": 4, "tune": "psnr"}]
    rows = rows_of("contours.tsv")
    assert [row["codec"] for row in rows] == ["original", "ddc", "ddc:psnr", "avif", "jpeg"]
    assert float(rows[0]["false_steps"]) < 1 < 6 < float(rows[1]["false_steps"]) == float(rows[2]["false_steps"])
    assert all(float(row["cambi"]) > 0 and 2400 < int(row["bytes"]) <= 3030 for row in rows[1:])
    (line,) = Path("sheets", "key.tsv").read_text().splitlines()
    assert sorted(line.split("\t")[1:]) == sorted(row["codec"] for row in rows)
    assert line.startswith("photo\toriginal\t")
    with Image.open("sheets/photo.png") as sheet:
        assert sheet.size == (5 * (2 * contours.SIDE + 8) - 8, 2 * contours.SIDE)


def test_make_comparison(desk, monkeypatch):
    Image.fromarray(painted(64, 72)).save("photo.png")
    row = make_comparison.Row("photo.png", 900, (0, 0, 20, 20))
    for name, value in {
        "SAMPLES": desk,
        "SHOWN": {
            "one": make_comparison.Figure(("ddcodec", "AVIF", "JPEG"), (row,)),
            "two": make_comparison.Figure(("tune=psnr", "tune=eye"), (row, row)),
        },
        "FIGURES": desk,
        "ROWS": desk / "rows.tsv",
        "TOLERANCE": 0.5,
    }.items():
        monkeypatch.setattr(make_comparison, name, value)
    run(make_comparison)
    rows = rows_of("rows.tsv")
    assert [row["codec"] for row in rows] == ["ddcodec", "AVIF", "JPEG", "tune=psnr", "tune=eye"]
    assert [row["figure"] for row in rows] == 3 * ["one"] + 2 * ["two"]
    assert {row["picture"] for row in rows} == {"photo"} and rows[0]["psnr"] == rows[4]["psnr"] != rows[3]["psnr"]
    assert all(450 <= int(row["bytes"]) <= 1350 and float(row["psnr"]) > 15 for row in rows)
    for name, size in (("one", (4 * 48 - 8, 40 + 44)), ("two", (3 * 48 - 8, 2 * (40 + 44 + 8) - 8))):
        with Image.open(f"{name}.webp") as figure:
            assert figure.size == size


def test_outlook(desk):
    """The phases follow one another and last no longer than the encode. A second call measures nothing anew."""
    for _ in range(2):
        run(outlook, "a.png", "--efforts", 1, "-o", "rows.tsv")
        head, row = (line.split("\t") for line in Path("rows.tsv").read_text().splitlines())
    row = dict(zip(head, row, strict=True))
    assert (row["picture"], row["effort"]) == ("a", "1")
    names, seconds = zip(*(phase.split() for phase in row["phases"].split(", ")))
    assert names == ("fit", "freeze", "pack") and sum(map(float, seconds)) <= float(row["seconds"]) + 0.02


def test_whole_range(desk, monkeypatch):
    """A second call measures nothing anew."""
    monkeypatch.setattr(whole_range, "SETTINGS", {"jpeg": (5, 100), "ddc:e3": whole_range.SETTINGS["ddc:e3"][8:10]})
    for _ in range(2):
        run(whole_range, "a.png", "-o", "rows.tsv", "--threads", 1)
        rows = read_table(Path("rows.tsv"))
        assert [(row.picture, row.codec) for row in rows] == [("a", "jpeg")] * 2 + [("a", "ddc:e3")] * 2
    assert {path.stat().st_size for path in Path("whole-range").iterdir()} == {row.bytes for row in rows}
    run(whole_range, "b.png", "-o", "crops.tsv", "--codecs", "jpeg", "--crop", 20, 10, "--files", "crops")
    assert [(row.codec, row.width, row.height) for row in read_table(Path("crops.tsv"))] == [("jpeg", 20, 10)] * 2
    assert rows[0].bytes < rows[1].bytes and [row.setting for row in rows[2:]] == [0.00149285, 0.00116793]


def test_decoders(tmp_path, monkeypatch):
    """Each decoder has a row, with times; the last is AVIF where there is neither Node nor Chromium."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    target = tmp_path / "decoders.tsv"
    run(decoders, VALID / "default_24x16.ddc", "-o", target, "--runs", 1)
    rows = rows_of(target)
    names = [row["decoder"] for row in rows]
    assert names[0] == "native, plain C" and "numpy" in names and names[-1] == "AVIF, Pillow"
    assert all(float(row["cpu_ms"]) > 0 and float(row["wall_ms"]) > 0 and row["width"] == "24" for row in rows)
    assert decoders.avif_of(painted(32, 48), 700) and len(decoders.avif_of(painted(32, 48), 700)) <= 700


def test_checksums(tmp_path, monkeypatch):
    files = [VALID / "default_24x16.ddc", VALID / "deep.ddc"]
    monkeypatch.setattr(checksums, "some_files", lambda: files)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    target = tmp_path / "checksums.tsv"
    run(checksums, "-o", target)
    crcs = {row["name"]: row["samples_crc"] for row in rows_of(VALID / "checksums.tsv")}
    for row in rows_of(target):
        assert {value for name, value in row.items() if name != "file"} == {crcs[row["file"].removesuffix(".ddc")]}
    monkeypatch.setattr(checksums, "checksum", lambda _: "0")
    with pytest.raises(SystemExit, match="Decoders differ: default_24x16.ddc, deep.ddc"):
        run(checksums, "-o", target)


@pytest.mark.skipif(not shutil.which("chromium"), reason="There is no Chromium.")
def test_make_page(tmp_path, monkeypatch):
    monkeypatch.setattr(make_page, "TARGET", tmp_path / "page.webp")
    run(make_page)
    with Image.open(tmp_path / "page.webp") as shot, Image.open(ROOT / "docs" / "figures" / "page.webp") as kept:
        assert shot.size == kept.size == tuple(make_page.SIZE.values())

"""`ddcodec restore`, `encode --restore` and `bench-restore`, as a person would use them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import ddcodec
from ddcodec.cli import cli
from ddcodec.metrics import psnr

SAMPLES = Path(__file__).parents[1] / "samples"


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="ddcodec")


@pytest.fixture
def clean():
    return np.asarray(Image.open(SAMPLES / "coffee.png").convert("RGB"))[150:230, 250:330]


@pytest.fixture
def folder(tmp_path, clean):
    """A noisy picture, one with an alpha channel that has a hole, a mask with a hole, and the clean one."""
    random = np.random.default_rng(0)
    noisy = np.rint(clean + random.normal(0, 20, clean.shape)).clip(0, 255).astype(np.uint8)
    hole = np.full(clean.shape[:2], 255, np.uint8)
    hole[30:40, 20:50] = 0
    for name, samples in {"clean": clean, "noisy": noisy, "hole": hole, "cut": np.dstack([clean, hole])}.items():
        Image.fromarray(samples).save(tmp_path / f"{name}.png")
    return tmp_path


def samples_of(path):
    return np.asarray(Image.open(path))


def test_denoise(folder):
    result = run("restore", "--task", "denoise", folder / "noisy.png", "-o", folder / "out.png", "-e", 1, "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["prior"] == "codec" and facts["changed"] and 14 < facts["sigma"] < 24 and facts["width"] == 80
    errors = [
        np.square(samples_of(folder / name).astype(float) - samples_of(folder / "clean.png")).mean()
        for name in ("out.png", "noisy.png")
    ]
    assert errors[0] < errors[1] / 2


def test_a_ddc_says_what_was_done(folder):
    result = run("restore", "--task", "denoise", folder / "noisy.png", "-o", folder / "out.ddc", "-e", 1, "-q", 50)
    assert result.exit_code == 0, result.stderr
    sigma = re.search(r"restored: denoise, sigma (\d+\.\d), prior", run("info", folder / "out.ddc").stdout)
    assert sigma and 14 < float(sigma[1]) < 24
    assert (
        run(
            "encode", folder / "noisy.png", "--restore", "denoise", "--sigma", 20, "-e", 1, "-o", folder / "own.ddc"
        ).exit_code
        == 0
    )
    assert json.loads(run("info", folder / "own.ddc", "--json").stdout)["note"].startswith(
        "restored: denoise, sigma 20.0, prior codec"
    )
    assert ddcodec.decode((folder / "own.ddc").read_bytes()).shape == (80, 80, 3)
    assert json.loads(run("info", SAMPLES / "coffee.ddc", "--json").stdout)["note"] is None


@pytest.mark.parametrize("kind", ["0 and 1", "RGBA", "LA", "P"])
def test_masks_of_other_kinds(folder, kind):
    """All say the same as `hole.png`."""
    hole = samples_of(folder / "hole.png")
    mask = {
        "0 and 1": Image.fromarray(hole // 255),
        "RGBA": Image.fromarray(np.dstack([np.full_like(hole, 255)] * 3 + [hole])),
        "LA": Image.fromarray(np.dstack([np.zeros_like(hole), 255 - hole])),
        "P": Image.fromarray(hole // 255).convert("P"),
    }[kind]
    if kind == "P":
        mask.putpalette([255] * 6)
    mask.save(folder / "mask.png", **({"transparency": 0} if kind == "P" else {}))
    results = []
    for name in ("hole.png", "mask.png"):
        result = run(
            "restore",
            "--task",
            "inpaint",
            folder / "noisy.png",
            "--mask",
            folder / name,
            "-o",
            folder / "out.png",
            "-f",
            "-e",
            1,
            "--iterations",
            2,
        )
        assert result.exit_code == 0, result.stderr
        results.append(samples_of(folder / "out.png"))
    assert (results[0] == results[1]).all()


@pytest.mark.parametrize("given", [["noisy.png", "--mask", "hole.png"], ["cut.png"]])
def test_inpaint_by_mask_and_by_transparency(folder, given):
    names = [folder / word if word.endswith(".png") else word for word in given]
    result = run("restore", "--task", "inpaint", *names, "-o", folder / "out.png", "-e", 1)
    assert result.exit_code == 0, result.stderr
    before, after, known = (
        samples_of(names[0])[..., :3],
        samples_of(folder / "out.png"),
        samples_of(folder / "hole.png") > 0,
    )
    assert (
        after.shape == (80, 80, 3) and (after[known] == before[known]).all() and (after[~known] != before[~known]).any()
    )


def test_inpaint_by_colour(folder, clean):
    marked = clean.copy()
    marked[50:60, 10:30] = (255, 0, 255)
    Image.fromarray(marked).save(folder / "marked.png")
    result = run(
        "restore",
        "--task",
        "inpaint",
        folder / "marked.png",
        "--mask-color",
        "#ff00ff",
        "--dilate",
        1,
        "-o",
        folder / "out.png",
        "-e",
        1,
    )
    assert result.exit_code == 0, result.stderr
    assert np.abs(samples_of(folder / "out.png")[50:60, 10:30].astype(int) - clean[50:60, 10:30]).mean() < 40


def test_alpha_is_carried_through(folder):
    noisy = np.dstack([samples_of(folder / "noisy.png"), np.tile(np.arange(0, 240, 3, np.uint8), (80, 1))])
    Image.fromarray(noisy).save(folder / "alpha.png")
    assert (
        run("restore", "--task", "denoise", folder / "alpha.png", "-o", folder / "out.png", "--iterations", 3).exit_code
        == 0
    )
    assert (samples_of(folder / "out.png")[..., 3] == noisy[..., 3]).all()
    assert (
        run("restore", "--task", "denoise", folder / "alpha.png", "-o", folder / "out.ddc", "--iterations", 3).exit_code
        == 0
    )
    assert (ddcodec.decode((folder / "out.ddc").read_bytes())[..., 3] == noisy[..., 3]).all()


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["--task", "superres", "noisy.png", "--scale", "3", "-o", "x.png"], 2, "must be 2, 4 or 8, not 3"),
        (["--task", "denoise", "noisy.png", "--sigma", "-4", "-o", "x.png"], 2, "between 0 and 255, not -4"),
        (["--task", "denoise", "noisy.png", "--sigma", "loud", "-o", "x.png"], 2, "neither a number nor auto"),
        (["--task", "denoise", "noisy.png"], 2, "Name the output with -o"),
        (["--task", "denoise", "noisy.png", "-o", "x.jpg"], 2, "does not tell the format"),
        (["--task", "denoise", "noisy.png", "-o", "noisy.png", "-f"], 2, "is the input itself"),
        (["--task", "denoise", "noisy.png", "-o", "x.png", "--mask", "hole.png"], 2, "A mask is for inpainting"),
        (["--task", "denoise", "noisy.png", "-o", "x.png", "-q", "50"], 2, "A quality is for a .ddc file"),
        (["--task", "denoise", "none.png", "-o", "x.png"], 3, "does not exist"),
        (["--task", "inpaint", "noisy.png", "-o", "x.png"], 2, "Give a --mask, a --mask-color"),
        (
            ["--task", "inpaint", "noisy.png", "-o", "x.png", "--mask", "hole.png", "--mask-color", "00ff00"],
            2,
            "either a mask or a mask colour",
        ),
        (["--task", "inpaint", "noisy.png", "-o", "x.png", "--mask-color", "green"], 2, "is no colour"),
        (
            ["--task", "inpaint", "noisy.png", "-o", "x.png", "--mask-color", "00fe01"],
            3,
            "says that nothing is missing",
        ),
        (["--task", "inpaint", "noisy.png", "-o", "x.png", "--mask", "small.png"], 3, "must have the same size"),
        (["--task", "inpaint", "noisy.png", "-o", "x.png", "--mask", "empty.png"], 3, "says that nothing is missing"),
        (["--task", "inpaint", "noisy.png", "-o", "x.png", "--mask", "all.png"], 3, "says that everything is missing"),
        (["--task", "inpaint", "hole.png", "-o", "x.png", "--mask", "clean.png"], 3, "seem to be swapped"),
        (["--task", "dejpeg", "noisy.png", "-o", "x.png"], 2, "give --sigma"),
    ],
)
def test_bad_input_gets_a_sentence_and_leaves_nothing(folder, monkeypatch, arguments, code, said):
    for name, value, side in (("small", 0, 20), ("empty", 255, 80), ("all", 0, 80)):
        Image.new("L", (side, side), value).save(folder / f"{name}.png")
    monkeypatch.chdir(folder)
    before = sorted(path.name for path in folder.iterdir())
    result = run("restore", *arguments)
    assert result.exit_code == code and said in result.stderr and "Traceback" not in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == before


def test_preview(folder):
    arguments = [
        "restore",
        "--task",
        "denoise",
        folder / "noisy.png",
        "-o",
        folder / "out.png",
        "-f",
        "--preview",
        folder / "look",
        "--reference",
        folder / "clean.png",
    ]
    for prior in (["--prior", "dip-narrow", "--iterations", 30], ["--prior", "codec", "-e", 2, "-f"]):
        result = run(*arguments, *prior)
        assert result.exit_code == 0, result.stderr
    names = sorted(path.name for path in (folder / "look").iterdir())
    assert {"course.webp", "course.png"} < set(names) and len([name for name in names if name.startswith("step-")]) > 10
    with Image.open(folder / "look" / "course.webp") as animation:
        assert animation.is_animated and animation.size == (80, 80)
    with Image.open(folder / "look" / "course.png") as chart:
        assert chart.size[0] > 500
    again = run(*[word for word in arguments if word != "-f"], "--iterations", 3)
    assert again.exit_code == 6
    assert (
        "is for the chart"
        in run(
            "restore",
            "--task",
            "denoise",
            folder / "noisy.png",
            "-o",
            folder / "x.png",
            "--reference",
            folder / "clean.png",
        ).stderr
    )


def test_a_mask_without_restore(folder):
    result = run("encode", folder / "noisy.png", "--mask", folder / "hole.png")
    assert result.exit_code == 2 and "are for --restore" in result.stderr


def test_bench_restore_goes_on_where_it_was(folder):
    (folder / "truth").mkdir()
    for name in ("a", "b"):
        (folder / "truth" / f"{name}.png").write_bytes((folder / "clean.png").read_bytes())
    arguments = [
        "bench-restore",
        folder / "truth",
        "--task",
        "denoise",
        "--add-noise",
        25,
        "-e",
        1,
        "-o",
        folder / "rows.tsv",
    ]
    first = run(*arguments, "--json", "--save", folder / "out")
    assert first.exit_code == 0, first.stderr
    *pictures, facts = map(json.loads, first.stdout.splitlines())
    assert [(told["picture"], Path(told["input"]).name) for told in pictures] == [("a", "a.png"), ("b", "b.png")]
    assert facts["before"] == pytest.approx(sum(told["before"] for told in pictures) / 2)
    assert (
        facts["pictures"] == 2
        and facts["before"] == pytest.approx(20.7, abs=0.6)
        and facts["after"] > facts["before"] + 4
    )
    rows = (folder / "rows.tsv").read_text()
    assert len(rows.splitlines()) == 3 and samples_of(folder / "out" / "b.png").shape == (80, 80, 3)
    assert run(*arguments).exit_code == 0 and (folder / "rows.tsv").read_text() == rows
    lost = run(
        "bench-restore",
        folder / "truth",
        "--task",
        "denoise",
        "--inputs",
        folder / "out",
        "--ending",
        "_x",
        "",
        "-o",
        folder / "rows.tsv",
    )
    assert lost.exit_code == 3 and "has no picture a_x" in lost.stderr


def test_bench_restore_of_missing_pixels(folder):
    result = run(
        "bench-restore",
        folder / "clean.png",
        "--task",
        "inpaint",
        "--mask",
        folder / "hole.png",
        "-e",
        1,
        "-o",
        folder / "rows.tsv",
    )
    assert result.exit_code == 0 and "missing pixels" in result.stderr


@pytest.mark.parametrize(
    "task", [["dejpeg", "--as-jpeg", "10"], ["superres", "--scale", "2"]], ids=lambda task: task[0]
)
def test_bench_restore_of_what_is_made_of_the_truth(folder, task):
    """A JPEG is compared with itself, a larger picture with Pillow's Lanczos interpolation."""
    truth = Image.open(SAMPLES / "coffee.png").convert("RGB").crop((370, 20, 498, 116))
    truth.save(folder / "cup.png")
    result = run("bench-restore", folder / "cup.png", "--task", *task, "-e", 1, "-o", folder / "rows.tsv", "--json")
    assert result.exit_code == 0, result.stderr
    row = json.loads(result.stdout.splitlines()[0])
    if task[0] == "dejpeg":
        truth.save(folder / "cup.jpg", quality=10)
        assert row["before"] == pytest.approx(psnr(np.asarray(truth), samples_of(folder / "cup.jpg")), abs=1e-3)
        assert row["noise"] == "jpeg 10"
    assert row["after"] > row["before"] + 0.3 and row["ssimulacra2_after"] > row["ssimulacra2_before"] + 2
    both = run(
        "bench-restore", folder / "cup.png", "--task", *task, "--add-noise", 5, "--as-jpeg", 9, "-o", folder / "x.tsv"
    )
    assert both.exit_code == 2 and "Give only one of" in both.stderr


@pytest.mark.parametrize("made", [["--add-noise", "5"], ["--as-jpeg", "20"]], ids=lambda own: own[0])
def test_bench_restore_of_superres_makes_its_own_inputs(folder, made):
    words = ("--task", "superres", "--scale", "2", *made, "-o", folder / "rows.tsv")
    result = run("bench-restore", folder / "clean.png", *words)
    assert result.exit_code == 2 and "neither --add-noise nor --as-jpeg" in result.stderr
    assert not (folder / "rows.tsv").exists()

"""README.md, the tables of the manual and the help texts say what is so."""

import csv
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import make_comparison
import pytest
import readme_tables

from ddcodec import presets
from ddcodec.decoder import LEAST_SECONDS, TIMES_USUAL, Limits

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
MOST_WORDS, MOST_LINES = 1300, 150
ARCHITECTURE = ROOT / "docs" / "architecture.md"


def page(name):
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def test_it_is_short():
    assert len(TEXT.split()) <= MOST_WORDS and len(TEXT.splitlines()) <= MOST_LINES


def test_the_first_sentence_has_the_figure_of_the_rows():
    saved = re.search(r"\| size against JPEG at equal SSIMULACRA2 \| -([\d.]+) % \|", TEXT)[1]
    sentence = f"{float(saved):.0f} % smaller than a JPEG that looks as good (by SSIMULACRA2)"
    assert sentence in TEXT.split("\n\n")[1].replace("\n", " ")


def test_what_is_compared_has_equal_bytes():
    with readme_tables.COMPARISON.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    sizes = {
        (name, Path(row.sample).stem, codec): row.size
        for name, figure in make_comparison.SHOWN.items()
        for row in figure.rows
        for codec in figure.codecs
    }
    assert {(row["figure"], row["picture"], row["codec"]): int(row["bytes"]) for row in rows} == pytest.approx(
        sizes, rel=make_comparison.TOLERANCE
    )
    for name, text, most in (
        ("comparison", TEXT, 200_000),
        ("eye", (ROOT / "docs" / "results.md").read_text("utf-8"), 500_000),
    ):
        assert (make_comparison.FIGURES / f"{name}.webp").stat().st_size < most and f"figures/{name}.webp)" in text


@pytest.mark.parametrize("document", readme_tables.DOCUMENTS, ids=lambda path: path.name)
def test_tables_come_from_the_files(document):
    text = document.read_text("utf-8")
    assert readme_tables.with_tables(text) == text
    marked = re.findall(r"<!-- (\w+) -->\n\|.*?<!-- /\1 -->", text, re.S)
    assert marked and set(marked) <= {table.__name__ for table in readme_tables.TABLES}


def test_plots_were_drawn_from_the_files():
    assert readme_tables.DRAWN_FROM.read_text().strip() == readme_tables.source_digest()
    shown = {(ROOT / "docs" / name).resolve() for name in re.findall(r"!\[.*?\]\((.*?)\)", page("results"))}
    shown -= {make_comparison.FIGURES / "eye.webp"}
    assert shown == set(readme_tables.PLOTS.glob("*.png")) and len(shown) >= 2
    assert {path.with_suffix(".svg") for path in shown} == set(readme_tables.PLOTS.glob("*.svg"))


def test_plots_can_be_read():
    """At most eight curves, each of a codec that has rows."""
    for codecs in (
        readme_tables.CURVES,
        readme_tables.CURVES_TO_THE_EYE,
        readme_tables.CURVES_OF_EFFORTS,
        readme_tables.SPOTS,
        readme_tables.SHORT,
    ):
        assert len(set(codecs)) == len(codecs) <= 8
        assert set(codecs) <= {standing.codec for group in readme_tables._groups() for standing in group.standings}


@pytest.mark.parametrize("table", [readme_tables.short, readme_tables.results])
def test_times_name_their_machine(table):
    """One machine a row, from the rows of which its times are."""
    head, _, *lines = [line.split(" | ") for line in table()]
    assert head[-1] == "machine |"
    for cells in lines:
        assert cells[-1].strip(" |") in {"", *readme_tables.MACHINES.values()}
        assert (cells[-1].strip(" |") == "") == ("published" in cells[0])


def test_codecs_of_the_benchmark_are_named():
    from ddcodec.benchmark.peers import NAMES

    assert set(NAMES) <= set(re.findall(r"`([a-z0-9:]+)`", page("results").split("## Your own pictures")[1]))


STUB = """#!/usr/bin/env bash
printf '%s\\0' "$0" "$@" >> calls
printf '\\n' >> calls
if [ "${2-}" = venv ]; then mkdir -p "$3/bin"; for name in pip python clang-format; do cp "$0" "$3/bin/$name"; done; fi
"""
"""Stands for python3: it notes how it was called, and makes a venv whose programs do the same."""


@pytest.mark.skipif(os.name == "nt" or shutil.which("bash") is None, reason="needs bash")
def test_ci_runs_the_readmes_command(tmp_path):
    """The last programs that `.ci/run` calls, with their words, are those of the README's line for tests.

    Before them come only linters and a type checker, in an environment of their own.
    """
    (line,) = [line for line in TEXT.splitlines() if re.match("    .*-m pytest", line)]
    (tmp_path / ".ci").mkdir()
    for name in ("README.md", ".ci/run"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / "python3").write_text(STUB)
    for name in ("chromium", "qemu-aarch64-static", "clang"):
        (tmp_path / "stubs" / name).write_text("")
    for path in (tmp_path / "stubs").iterdir():
        path.chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "stubs"), os.environ["PATH"]])
    subprocess.run(["bash", ".ci/run"], cwd=tmp_path, env=os.environ | {"PATH": path}, check=True, capture_output=True)
    calls = [call.split("\0")[:-1] for call in (tmp_path / "calls").read_text().splitlines()]
    calls = [[call[0].removeprefix(f"{tmp_path / 'stubs'}/"), *call[1:]] for call in calls]
    wanted = [shlex.split(part) for part in line.split("&&")]
    assert calls[-len(wanted) :] == wanted
    assert wanted[0][:3] == ["python3", "-m", "venv"] and ".[test]" in wanted[1]
    before = [call[2] if call[1] == "-m" else call[0].split("/")[-1] for call in calls[: -len(wanted)]]
    assert before == ["venv", "pip", "ruff", "ruff", "mypy", "clang-format"]


def test_quality_formula():
    """The formula in the manual, evaluated."""
    formula = re.search(r"`lambda = (.*?)`", page("quality-and-effort"))[1]
    for quality in (1, 10, 50, 75, 90, 99, 100):
        S = 5000 / quality if quality <= 50 else max(0.2, 200 - 2 * quality)
        assert eval(formula.replace("^", "**").replace(" (", " * ("), {"S": S}) == pytest.approx(
            presets.lambda_of_quality(quality)
        )


def test_limits():
    text = page("limits")
    assert f"| {Limits().max_pixels:,} | `--max-pixels`" in text
    assert f"| {Limits().max_memory // 2**30} GiB | `--max-memory`" in text
    assert (
        f"| {TIMES_USUAL} times what the default network takes for that size, and {LEAST_SECONDS} s | `--max-pixels "
        "0` |" in text
    )


def test_every_file_of_the_tree_exists():
    tree = re.search(r"```\nddcodec/\n(.*?)```", ARCHITECTURE.read_text("utf-8"), re.S)[1]
    for name in re.findall(r"\b(\w+\.(?:py|md|toml))\b", tree):
        assert any(ROOT.rglob(name)), name
    named = set(re.findall(r"\b(\w+)\.py\b", tree))
    assert {path.stem for path in (ROOT / "ddcodec").glob("*.py")} - {"__init__", "__main__"} <= named


def test_dependencies_are_in_the_table():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        name
        for names in (project["dependencies"], *extras.values())
        for name in names
        if not name.startswith("ddcodec[")
    ]
    table = page("dependencies")
    table = table[table.index("| dependency |") :]
    for requirement in wanted:
        assert re.search(rf"^\| .*\b{re.match(r'[a-z0-9-]+', requirement)[0]}\b.* \|", table, re.M), requirement


def test_exit_codes():
    from ddcodec import errors

    documented = {
        int(code)
        for code in re.findall(r"^\| (\d+) \| [a-z`]", page("limits").split("## Exit codes")[1].split("\n## ")[0], re.M)
    }
    raised = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.DdcError)
    }
    assert raised | {0, 130, 141} == documented


def test_commands_exist():
    """Every command line of the README parses: its options exist, its values are lawful."""
    from click.testing import CliRunner

    from ddcodec.cli import cli

    block = TEXT[TEXT.index("## Use") :].split("```")[1]
    lines = [line.split("#")[0].split() for line in block.strip().splitlines()]
    assert len(lines) >= 8
    for _, name, *arguments in (line for line in lines if line[1] in cli.commands):
        result = CliRunner().invoke(cli, [name, *arguments])
        assert result.exit_code in (1, 3, 6), (name, arguments, result.output)
    assert {line[1] for line in lines} <= set(cli.commands)


STARTS = "format/bases.bin", "fit/descent/analysis_psnr.bin", "fit/descent/analysis_eye.bin"


def test_sizes_and_memory_are_those_of_the_code():
    from ddcodec.fit.cpu.engine import memory_of

    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "".join(page.read_text("utf-8") for page in pages)
    starts = sum((ROOT / "ddcodec" / name).stat().st_size for name in STARTS)
    assert [int(kilobytes) for kilobytes in re.findall(r"(\d+) kB that come with the package", text)] == [
        round(starts / 1000)
    ] * 2
    a_pixel = memory_of(presets.arch_of("default", 2000, 3000, 3, 1e-3), 2) / (2000 * 3000)
    said = [int(number) for number in re.findall(r"(\d+) bytes of memory a pixel", text)]
    assert len(said) == 3 and said == pytest.approx([a_pixel] * 3, rel=0.1)

"""README.md, the tables of the manual and the help texts say what is so."""

import re
from pathlib import Path

import pytest
import readme_tables

from ddcodec import presets
from ddcodec.decoder import LEAST_SECONDS, TIMES_USUAL, Limits

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("document", readme_tables.DOCUMENTS, ids=lambda path: path.name)
def test_tables_come_from_the_files(document):
    text = document.read_text("utf-8")
    assert readme_tables.with_tables(text) == text
    marked = re.findall(r"<!-- (\w+) -->\n\|.*?<!-- /\1 -->", text, re.S)
    assert marked and set(marked) <= {table.__name__ for table in readme_tables.TABLES}


def test_plots_were_drawn_from_the_files():
    assert readme_tables.DRAWN_FROM.read_text().strip() == readme_tables.source_digest()
    pictures = [ROOT / name for name in re.findall(r"!\[.*?\]\((.*?)\)", TEXT)]
    assert all(path.exists() for path in pictures)
    assert sum(path.parent == readme_tables.PLOTS for path in pictures) >= 2


def test_codecs_of_the_benchmark_are_named():
    from ddcodec.benchmark.peers import NAMES

    assert set(NAMES) <= set(re.findall(r"`([a-z0-9:]+)`", TEXT[TEXT.index("### Your own pictures") :]))


def test_ci_runs_the_readmes_command():
    command = next(line.strip() for line in TEXT.splitlines() if line.startswith("    python3 -m venv .venv-test "))
    assert command.endswith("-m pytest -q")
    assert "README.md" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_quality_formula():
    """The formula in the README, evaluated."""
    formula = re.search(r"`lambda = (.*?)`", TEXT)[1]
    for quality in (1, 10, 50, 75, 90, 99, 100):
        S = 5000 / quality if quality <= 50 else max(2, 200 - 2 * quality)
        assert eval(formula.replace("^", "**").replace(" (", " * ("), {"S": S}) == pytest.approx(
            presets.lambda_of_quality(quality)
        )


def test_limits():
    assert f"| {Limits().max_pixels:,} | `--max-pixels`" in TEXT
    assert f"| {Limits().max_memory // 2**30} GiB | `--max-memory`" in TEXT
    assert (
        f"| {TIMES_USUAL} times what the default network takes for that size, and {LEAST_SECONDS} s | `--max-pixels "
        "0` |" in TEXT
    )


def test_dependencies_are_in_the_table():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = (
        project["dependencies"]
        + extras["bench"]
        + extras["cluster"]
        + [name for name in extras["test"] if not name.startswith("ddcodec[")]
    )
    table = TEXT[TEXT.index("| dependency |") :]
    for requirement in wanted:
        assert re.search(rf"^\| .*\b{re.match(r'[a-z0-9-]+', requirement)[0]}\b.* \|", table, re.M), requirement


def test_exit_codes():
    from ddcodec import errors

    documented = {
        int(code)
        for code in re.findall(
            r"^\| (\d+) \| [a-z`]", TEXT[TEXT.index("## Exit codes") : TEXT.index("## The format")], re.M
        )
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


def test_sizes_and_memory_are_those_of_the_code():
    from ddcodec.fit.cpu.engine import memory_of

    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "".join(page.read_text("utf-8") for page in pages)
    starts = sum((ROOT / "ddcodec" / name).stat().st_size for name in ("format/bases.bin", "fit/descent/analysis.bin"))
    assert [int(kilobytes) for kilobytes in re.findall(r"(\d+) kB that come with the package", text)] == [
        round(starts / 1000)
    ] * 2
    a_pixel = memory_of(presets.arch_of("default", 2000, 3000, 3, 1e-3), 2) / (2000 * 3000)
    said = [int(number) for number in re.findall(r"(\d+) bytes of memory a pixel", text)]
    assert len(said) == 4 and said == pytest.approx([a_pixel] * 4, rel=0.1)

"""The manual: its Python runs, its links lead somewhere, its command lines and options exist, and its figures show
what is there.
"""

import json
import re
import shlex
from pathlib import Path

import click
import make_figures
import pytest
from click.testing import CliRunner
from conftest import painted
from PIL import Image

from ddcodec import encoder, errors
from ddcodec.cli import cli
from ddcodec.cli.talk import Talk
from ddcodec.restoration import restore
from ddcodec.restoration.settings import Effort

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
PAGES = [*sorted(DOCS.glob("*.md")), *DECISIONS]
NAMES = ("README.md", "CHANGELOG.md", "SECURITY.md", "RELEASING.md", "samples/README.md")
FRONT = [*PAGES, *(ROOT / name for name in NAMES)]
"""Pages for readers who are in a hurry."""
WRITTEN = [
    *FRONT,
    *(ROOT / name for name in ("bench/README.md", "ddcodec/format/FORMAT.md")),
    *sorted((DOCS / "commands").glob("*.md")),
    *sorted((ROOT / "bench" / "notebook").glob("*.md")),
]
LONGEST_LINE, MOST_WORDS = 120, 25
LARGEST_FIGURE = 150_000
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))


def commands_of(text):
    """[command, words ...] of each line of indented code that calls ddcodec, without what the shell does with it."""
    lines = [line.strip().split("#")[0] for line in text.splitlines() if re.match(r"    ddcodec [a-z-]+ ", line)]
    return [shlex.split(re.split(r"[<>|&]", line)[0])[1:] for line in lines]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with a picture, in which every fit is of two steps or few."""
    Image.fromarray(painted(24, 36)).save(tmp_path / "photo.png", exif=Image.Exif())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(encoder, "iterations_of", lambda *_: 2)
    monkeypatch.setattr(restore, "effort_of", lambda effort: Effort(share=1e-3, runs=1, views=1, steps=2))
    return tmp_path


def test_python_runs(desk, capsys):
    """All blocks of a page, one after the other, as a reader would type them."""
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "python.md").read_text("utf-8"), re.M | re.S)
    assert len(blocks) >= 10
    names = {"__name__": "manual"}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    said = capsys.readouterr().out
    promised = re.search(r"# (UsageError .*)", "".join(blocks))[1]
    assert promised in said.splitlines()
    assert Image.open("photo.ddc").size == Image.open("again.png").size == (36, 24)
    assert names["large"].shape == (48, 72, 3)


def test_python_of_the_readme_runs(desk):
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    names = {"array": painted(24, 36)}
    exec(compile(block, "README.md", "exec"), names)
    assert names["array"].shape == (24, 36, 3)


def test_python_page_has_all_errors_and_options():
    text = (DOCS / "python.md").read_text("utf-8")
    documented = {name: int(code) for name, code in re.findall(r"^\| `(\w+Error)` \| (\d+) \|", text, re.M)}
    assert documented == {
        name: error.exit_code
        for name, error in vars(errors).items()
        if isinstance(error, type) and error.__mro__[1:2] == (errors.DdcError,)
    }
    options = set(
        re.findall(
            r"^\| `(\w+)` \|",
            text[text.index("The other options of `encode`") : text.index("## Several at once")],
            re.M,
        )
    )
    rates = {"quality", "lambda_", "target_size", "target_bpp", "target_psnr", "target_ssimulacra2"}
    assert options == set(encoder.EncodeOptions.__dataclass_fields__) - rates | {"progress"}
    assert all(name in text for name in rates)


def test_batch_page_has_all_fields_of_the_json(desk):
    rows = re.findall(r"^\| (`.*`) \| (.+?) \| ", (DOCS / "batch.md").read_text("utf-8"), re.M)
    fields = {where: set(re.findall(r"`(\w+)`", names)) for names, where in rows if where in ("`encode`", "`decode`")}
    common = {"schema", "ok", "input", "output", "warnings", "notes"}
    for line in "encode photo.png --json --device cpu", "decode photo.ddc -o again.png --json":
        command, *words = line.split()
        result = CliRunner().invoke(cli, [command, *words])
        assert json.loads(result.stdout).keys() == fields[f"`{command}`"] | common


@pytest.mark.parametrize("page", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+://", target):
            continue
        name, _, anchor = target.partition("#")
        aim = (page.parent / name).resolve() if name else page
        assert aim.exists(), target
        assert not anchor or anchor in anchors_of(aim), target


def anchors_of(page):
    """Those that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks_of(text):
    """Lines between blank ones, but for comments and fenced code, of which a line with its fence stays."""
    text = re.sub(r"^<!--.*?-->\n", "", re.sub(r"^```.*?^```", "```", text, flags=re.M | re.S), flags=re.M)
    return [block.split("\n") for block in re.split(r"\n\s*\n", text.strip())]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_and_paragraphs_are_whole(page):
    """No table stands inside a paragraph, all rows of one have as many cells, and no paragraph ends in the middle of
    a sentence.
    """
    for lines, follow in zip(blocks := blocks_of(page.read_text("utf-8")), [*blocks[1:], [""]]):
        if any(line.startswith("|") for line in lines):
            assert all(line.startswith("|") for line in lines), lines
            assert re.fullmatch(r"\|( :?-+:? \|)+", lines[1]), lines[:2]
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, lines
        elif lines[0][:1].isalpha():
            whole = re.search(r"([.:!?]\)?|[.:!?]?\*\*|\))$", lines[-1])
            assert whole or re.match(r"    |```|[-*|] ", follow[0]), lines[-1]
            torn = [
                line
                for before, line in zip(lines, lines[1:])
                if before.endswith(".") and re.match("[a-z]+ [a-z]", line)
            ]
            assert not torn, torn


@by_name
def test_options_exist(page):
    options = {
        name
        for command in cli.commands.values()
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", page.read_text("utf-8")))
    assert named <= options, named - options


def test_scripts_and_their_options_exist():
    """Those of bench/ and docs/, wherever a page names them; and one picture is not made by two commands."""
    text = "\n".join(page.read_text("utf-8") for page in WRITTEN)
    lines = re.findall(r"python ((?:bench|docs)/\w+\.py)([^`#\n]*)", text)
    assert len(lines) > 20
    for script, arguments in lines:
        assert set(re.findall(r"--[a-z-]+", arguments)) <= set(
            re.findall(r"--[a-z-]+", (ROOT / script).read_text("utf-8"))
        ), (script, arguments)
    assert len({arguments for script, arguments in lines if "samples/restored.webp" in arguments}) == 1


@by_name
def test_command_lines_parse(page):
    """Their options exist in that very command, and its values are lawful."""
    # A command without a parent would remember the names of the help's option otherwise than it has them.
    parent = click.Context(cli, info_name="ddcodec", obj=Talk(), **cli.context_settings)
    for command, *words in commands_of(page.read_text("utf-8")):
        cli.commands[command].make_context(command, words, parent)


def test_command_lines_are_found():
    text = (
        "    ddcodec encode a.png -q 5   # why\n    ddcodec decode a.ddc -o - > a.png\nddcodec is a codec.\n    "
        "ddcodec info a.ddc\n"
    )
    assert commands_of(text) == [["encode", "a.png", "-q", "5"], ["decode", "a.ddc", "-o", "-"], ["info", "a.ddc"]]


def test_every_page_is_in_the_index():
    for pages in (set(PAGES) - set(DECISIONS), DECISIONS):
        index = next(page for page in pages if page.name == "README.md").read_text("utf-8")
        assert all(f"({page.name})" in index for page in pages if page.name != "README.md")


def sentences_of(text):
    """Those of paragraphs and lists: links without where they lead to; no tables, code, headings or comments."""
    text = re.sub(r"^```.*?^```|^(?:\||    |#|<!--|!\[).*?$", "", text, flags=re.M | re.S)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    for paragraph in re.split(r"\n\s*\n|\n(?=[-*] |\d+\. )", text):
        yield from re.split(r"(?<=[.:;!?])\s+", " ".join(paragraph.split()))


@pytest.mark.parametrize("page", FRONT, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_and_sentences_are_short(page):
    text = page.read_text("utf-8")
    prose = [
        line
        for line in re.sub(r"^```.*?^```", "", text, flags=re.M | re.S).splitlines()
        if not line.startswith(("|", "    ", "!"))
    ]
    assert not [line for line in prose if len(line) > LONGEST_LINE]
    assert not [sentence for sentence in sentences_of(text) if len(sentence.split()) > MOST_WORDS]


def test_figures_show_the_file_that_is_there():
    assert make_figures.DRAWN_FROM.read_text().strip() == make_figures.source_digest(), (
        "Run: python docs/make_figures.py"
    )
    assert (make_figures.FOLDER / "neighbours.svg").read_text("utf-8") == make_figures.neighbours()
    pages = "".join((DOCS / name).read_text("utf-8") for name in ("how-it-works.md", "results.md", "browser.md"))
    shown = set(re.findall(r"\]\(figures/([\w.]+)\)", pages))
    shown |= set(re.findall(r"\]\(docs/figures/([\w.]+)\)", (ROOT / "README.md").read_text("utf-8")))
    there = {path.name for path in make_figures.FOLDER.iterdir()} - {make_figures.DRAWN_FROM.name}
    assert shown == there
    # Twenty crops of photographs, without loss.
    there -= {"eye.webp"}
    assert all((make_figures.FOLDER / name).stat().st_size < LARGEST_FIGURE for name in there)


def test_figures_show_the_code():
    """The panel of an octave has its size, and the last of the cut pictures is the whole one."""
    data = make_figures.FILE.read_bytes()
    coded = make_figures.unpack(data)
    *sheets, (_, picture) = make_figures.planes(coded)
    assert [pixels.shape for _, pixels in sheets] == [coded.arch.size(octave) for octave in coded.arch.coded_octaves]
    *_, (title, whole) = make_figures.cut_pictures(data, picture)
    assert title == f"all: {len(data):,} bytes, inf dB" and (whole == picture).all()

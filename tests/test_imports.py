"""Who imports whom, held by the table of docs/architecture.md; and that decoding imports nothing heavy."""

import ast
import re
import subprocess
import sys
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

import pytest

import ddcodec

PACKAGE = Path(ddcodec.__file__).parent
PAGE = PACKAGE.parent / "docs" / "architecture.md"
GROUND = {"errors", "native", "picture", "machine", "option_types", "surroundings"}
"""What the format may see of the rest: with these it can be lifted out as a decoder."""
ENGINES = {"fit/cpu", "fit/cuda", "fit/reference"}


@cache
def modules():
    """The names of all modules, as `ddcodec.fit.descent.loop`, with their files."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {
        ".".join(["ddcodec", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__"): path
        for path in paths
    }


@cache
def imports_of(name):
    """The modules of ddcodec that one imports, and the packages of others, in functions or not."""
    path = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    own, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            found = [inner if (inner := f"{origin}.{alias.name}") in modules() else origin for alias in node.names]
        else:
            continue
        own |= {module for module in found if module.split(".")[0] == "ddcodec"}
        others |= {module.split(".")[0] for module in found} - sys.stdlib_module_names - {"ddcodec"}
    return own, others


def room_of(module):
    """A file of the package's own folder, or a folder: "errors", "format", "fit/cpu"."""
    path = modules()[module].relative_to(PACKAGE)
    return path.parent.as_posix() if len(path.parts) > 1 else path.stem


@cache
def rooms():
    """Room -> (rooms that its files import, packages)."""
    found = {}
    for module in modules():
        own, others = imports_of(module)
        inner, packages = found.setdefault(room_of(module), (set(), set()))
        inner |= {room_of(other) for other in own} - {room_of(module)}
        packages |= others
    return found


@cache
def table():
    """The same as the page has it, in its order."""
    rows = re.findall(
        r"^\| `([\w/]+)` \| (.*?) \| (.*?) \|", PAGE.read_text("utf-8").partition("## Who imports whom")[2], re.M
    )
    return {room: tuple(set(re.findall(r"[\w/]+", cell)) for cell in cells) for room, *cells in rows}


def test_the_page_shows_who_imports_whom():
    assert table() == rooms()


def test_imports_go_down():
    """A room imports only rooms that stand below it on the page."""
    order = list(table())
    ups = [
        (room, other)
        for room, (inner, _) in table().items()
        for other in inner
        if order.index(other) <= order.index(room)
    ]
    assert not ups


def test_files_import_in_no_circle():
    left = {module: imports_of(module)[0] for module in modules()}
    # A package's own file hands nothing on but the root's.
    while free := [module for module, others in left.items() if not others & left.keys()]:
        for module in free:
            del left[module]
    assert not left


def test_the_format_can_be_lifted_out():
    inner, packages = rooms()["format"]
    assert inner <= GROUND and packages == {"numpy", "constriction", "zstandard"}


def test_engines_do_not_see_one_another():
    for room in ENGINES:
        allowed = {"fit/reference"} if room == "fit/cuda" else set()
        assert rooms()[room][0] & ENGINES <= allowed


def test_the_fit_sees_no_container():
    for module in modules():
        if module.startswith("ddcodec.fit"):
            assert not imports_of(module)[0] & {
                "ddcodec.format.files",
                "ddcodec.format.container",
                "ddcodec.format.header",
            }, module


@pytest.mark.parametrize("module", [m for m in modules() if m.startswith("ddcodec.cli") or m == "ddcodec.__main__"])
def test_command_line_imports_nothing_heavy(module):
    tree = ast.parse(modules()[module].read_text("utf-8"))
    found = {alias.name.split(".")[0] for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module.split(".")[0] for node in tree.body if isinstance(node, ast.ImportFrom) and not node.level}
    assert not {"numpy", "torch", "PIL", "constriction"} & found


@pytest.mark.parametrize("module", modules())
def test_each_file_says_what_it_is_for(module):
    assert ast.get_docstring(ast.parse(modules()[module].read_text("utf-8")))


def loaded_after(code, *arguments):
    program = code + "\nimport sys; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_decoding_loads_nothing_of_the_encoder():
    vector = PACKAGE.parent / "tests" / "vectors" / "valid" / "default_24x16.ddc"
    loaded = loaded_after("import sys, ddcodec; ddcodec.decode(open(sys.argv[1], 'rb').read())", str(vector))
    assert not loaded & {"torch", "scipy", "PIL", "matplotlib", "zstandard", "click"}


def test_help_loads_nothing_but_click():
    loaded = loaded_after("import ddcodec.cli")
    assert "click" in loaded and not loaded & {"numpy", "torch", "PIL", "constriction"}

"""That decoding imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ddcodec

PACKAGE = Path(ddcodec.__file__).parent


def modules():
    """The names of all modules, as `ddcodec.fit.loop`, with their files."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {
        ".".join(["ddcodec", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__"): path
        for path in paths
    }


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
    assert not loaded & {"torch", "numba", "scipy", "PIL", "matplotlib", "zstandard", "click"}


def test_help_loads_nothing_but_click():
    loaded = loaded_after("import ddcodec.cli")
    assert "click" in loaded and not loaded & {"numpy", "torch", "PIL", "constriction"}

"""Who may import whom, and that decoding imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ddcodec

PACKAGE = Path(ddcodec.__file__).parent

# module -> what it imports when it is itself imported (not inside functions). "." names are the package's own.
ALLOWED = {
    "__init__": set(),
    "errors": set(),
    "printable": set(),
    "samples": {"numpy"},
    "options": {".errors"},
    "surroundings": {"numpy"},
    "alpha": {"numpy", ".errors", ".metadata", ".samples"},
    "arch": {".errors"},
    "tables": {"numpy"},
    "wire": {"numpy", ".tables", ".errors"},
    "bases": {"numpy", ".arch"},
    "coded": {".arch", ".bases", ".errors"},
    "network": {".arch"},
    "ops_int": {"numpy", ".arch", ".bases"},
    "pyramid": {"numpy", ".arch", ".coded", ".network", ".ops_int", ".tables"},
    "syntax": {"numpy", ".arch", ".bases", ".coded", ".errors", ".ops_int", ".pyramid", ".tables", ".wire"},
    "decoder": {"numpy", ".alpha", ".arch", ".errors", ".memory", ".metadata", ".network", ".ops_int", ".options", ".pictures", ".samples", ".surroundings", ".syntax"},
    "partial": {"numpy", ".decoder", ".errors", ".metadata", ".syntax"},
    "presets": {".arch"},
    "metrics": {"numpy", ".samples"},
    "jpegxl": set(),
    "color": {"numpy", ".errors"},
    "profiles": {"numpy", ".color"},
    "exif": set(),
    "boxes": {".color"},
    "png": {".color", ".metadata"},
    "pictures": {"numpy", ".arch", ".boxes", ".color", ".errors", ".exif", ".input", ".jpegxl", ".metadata", ".png", ".profiles", ".samples", ".syntax"},
    "input": {".errors", ".streams"},
    "output": {".errors", ".streams"},
    "pillow": {"PIL", ".decoder", ".encode", ".errors", ".exif", ".metadata", ".pictures", ".syntax"},
    "streams": {".errors"},
    "lossless": {".pictures", ".samples"},
    "encoder": {
        "numpy", ".alpha", ".arch", ".decoder", ".errors", ".filling", ".metadata", ".metrics", ".options", ".presets", ".surroundings", ".syntax",
    },
    "filling": {"numpy"},
    "memory": set(),
    "workers": set(),
    "batch": {".errors"},
    "cluster": {".__version__", ".errors"},
    "metadata": {".color", ".errors", ".profiles", ".syntax"},
    "benchmark/__init__": set(),
    "benchmark/table": {"..errors"},
    "benchmark/machine": set(),
    "benchmark/peers": {"numpy", "..__version__", "..encoder", "..errors", "..memory", "..presets"},
    "benchmark/measure": {"..errors", "..input", "..metrics", "..output", "..pictures", "..printable", ".machine", ".peers", ".table"},
    "benchmark/run": {"..errors", "..output", "..batch", "..pictures", "..workers", ".measure", ".peers", ".table"},
    "benchmark/curves": {"numpy"},
    "benchmark/published": {"..errors"},
    "benchmark/summary": {".curves", ".published"},
    "benchmark/charts": {"matplotlib", "..errors", "..output", ".summary", ".published"},
    "benchmark/markup": {"matplotlib"},
    "benchmark/report": {"numpy", ".charts", ".markup", ".summary", ".published", ".table"},
    "benchmark/crops": {"numpy", "..metrics", "..pictures", ".peers", ".report"},
    "benchmark/study": {"..errors", "..output", ".charts", ".crops", ".peers", ".report", ".summary"},
    "benchmark/restoration": {"numpy", "..__version__", "..errors", "..metrics", "..pictures", "..restoration", ".machine"},
    "fit/__init__": set(),
    "fit/schedule": {".recipe"},
    "fit/analysis": {"numpy", "..arch", "..samples"},
    "fit/recipe": {"numpy", "..arch", "..bases", "..samples", "..tables", ".analysis"},
    "fit/target": {"numpy", "..coded", "..errors", ".flips", ".freeze", ".recipe", ".schedule"},
    "fit/loop": {".recipe", ".schedule"},
    "fit/outlook": {".flips", ".freeze"},
    "fit/engine": {"..errors", "..memory", ".recipe"},
    "fit/flips": {"numpy", "..arch", ".loop"},
    "fit/curvature": {"numpy", "..arch", "..network", "..ops_int", ".recipe"},
    "fit/rounding": {"numpy", "..bases", "..syntax", "..tables", "..wire", ".recipe"},
    "fit/freeze": {"numpy", "..arch", "..bases", "..syntax", ".curvature", ".loop", ".recipe", ".rounding"},
    "fit/fit": {
        "..arch", "..coded", "..decoder", "..errors", "..memory", "..presets", "..samples", "..surroundings", ".engine", ".flips", ".freeze", ".loop", ".recipe", ".schedule",
        ".target",
    },
    "fit/palette": {"numpy", "..arch", "..bases", "..coded", "..samples", "..syntax", "..tables", "..wire"},
    "fit/torch_ops": {"torch", "..arch"},
    "fit/objective": {"torch", "..arch", "..network", ".recipe"},
    "fit/torch_engine": {"numpy", "torch", "..arch", "..samples", ".objective", ".recipe", ".soap", ".torch_ops"},
    "fit/cuda_engine": {"numpy", "torch", "..arch", "..samples", ".objective", ".recipe", ".soap", ".torch_ops"},
    "fit/fused_rate": {"torch", "triton", "..arch", ".recipe"},
    "fit/fused_synthesis": {"torch", "triton", "..arch", "..network", ".fused_rate", ".recipe"},
    "fit/store": {"numba", "..errors", "..memory"},
    "fit/simd": {"llvmlite", "numba", ".store"},
    "fit/products": {"llvmlite", "numba", "numpy", ".simd"},
    "fit/layout": {"numpy", "..arch", ".products", ".simd"},
    "fit/rows": {".layout", ".simd"},
    "fit/seen": {"numba", "..arch", ".layout", ".products", ".rows", ".simd"},
    "fit/rate": {"numpy", "numba", "..arch", ".layout", ".products", ".recipe", ".rows", ".seen", ".simd"},
    "fit/residual": {"numba", "..arch", ".layout", ".products", ".rows", ".simd"},
    "fit/filters": {"..arch", ".layout", ".products", ".rows", ".simd"},
    "fit/distortion": {"numba", ".filters", ".layout", ".products", ".residual", ".rows", ".simd"},
    "fit/soap": {".recipe"},
    "fit/update": {"numba", "..arch", ".layout", ".products", ".recipe", ".rows", ".seen", ".simd"},
    "fit/cpu_engine": {"numpy", "numba", "..arch", "..samples", ".distortion", ".filters", ".layout", ".products", ".rate", ".recipe", ".residual", ".schedule", ".seen", ".simd", ".soap", ".update"},
    "viewer/__init__": set(),
    "viewer/maps": {"numpy", "..arch", "..ops_int", "..pyramid", "..wire"},
    "viewer/page": {"numpy", "..__version__", "..metrics", "..pictures", "..printable", ".maps"},
    "viewer/view": {"numpy", "..coded", "..decoder", "..metrics", "..ops_int", "..pictures", "..syntax"},
    "restoration/__init__": set(),
    "restoration/settings": {"..errors"},
    "restoration/networks": {"torch"},
    "restoration/operators": {"torch"},
    "restoration/noise": {"numpy"},
    "restoration/stopping": {"numpy"},
    "restoration/masks": {"numpy", "..errors", "..pictures"},
    "restoration/tiles": {"numpy"},
    "restoration/prior": {"numpy", "torch", ".networks", ".operators", ".progress", ".stopping"},
    "restoration/coding": {"numpy", "..filling", "..fit", ".progress"},
    "restoration/restore": {"numpy", "..encoder", "..errors", "..memory", "..options", "..surroundings", ".masks", ".noise", ".plain", ".settings", ".tiles"},
    "restoration/plain": {"numpy", "..filling", "..surroundings"},
    "restoration/progress": {"numpy"},
    "restoration/preview": {"numpy", "..errors", "..metrics", "..output", "..pictures"},
}  # fmt: skip


def imports_of(path):
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level and not node.module:
                found |= {"." * node.level + alias.name for alias in node.names}
            else:
                found.add("." * node.level + node.module.split(".")[0])
    return {name for name in found if name not in sys.stdlib_module_names}


def modules():
    return sorted(path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", [m for m in modules() if not m.startswith("cli") and m != "__main__"])
def test_import_table(module):
    assert imports_of(PACKAGE / f"{module}.py") <= ALLOWED[module]


@pytest.mark.parametrize("module", [m for m in modules() if m.startswith("cli") or m == "__main__"])
def test_command_line_imports_nothing_heavy(module):
    assert not {"numpy", "torch", "PIL", "constriction"} & imports_of(PACKAGE / f"{module}.py")


@pytest.mark.parametrize("module", modules())
def test_each_file_says_what_it_is_for(module):
    assert ast.get_docstring(ast.parse((PACKAGE / f"{module}.py").read_text("utf-8")))


def loaded_after(code, *arguments):
    program = code + "\nimport sys; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_decoding_loads_nothing_of_the_encoder():
    vector = PACKAGE.parent / "tests" / "vectors" / "valid" / "default_24x16.ddc"
    loaded = loaded_after("import sys, ddcodec; ddcodec.decode(open(sys.argv[1], 'rb').read())", str(vector))
    assert not loaded & {"torch", "numba", "scipy", "PIL", "matplotlib", "zstandard", "click"}


def test_help_loads_nothing_but_click():
    loaded = loaded_after("import ddcodec.cli")
    assert "click" in loaded and not loaded & {"numpy", "torch", "PIL", "constriction"}

"""The Triton kernels: against autograd, in Triton's interpreter and on a GPU if there is one; and that they compile for
the GPU that they are for.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(
    find_spec("triton") is None, reason="Triton is not installed; there are no wheels of it but for Linux."
)


@pytest.mark.parametrize(
    "interprets",
    [True, pytest.param(False, marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no GPU."))],
)
def test_the_kernels_in_triton_s_interpreter_and_on_a_gpu(interprets):
    """Triton must know that it interprets before it is first imported."""
    tests = Path(__file__).with_name("interpreted_kernels.py")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(tests)],
        env=os.environ | ({"TRITON_INTERPRET": "1"} if interprets else {}),
        capture_output=True,
        text=True,
        cwd=tests.parents[1],
    )
    assert result.returncode == 0, result.stdout
    assert "11 passed" in result.stdout


def test_the_kernels_compile_for_an_h200():
    """No GPU is needed to compile for one."""
    program = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from ddcodec.fit.cuda import rate as fused_rate, synthesis as fused_synthesis

KINDS = {"reach": "*i32", "counts": "*u8"} | dict.fromkeys(("least", "greatest", "nat", "unit"), "fp32")
NUMBERS = {"rows", "columns", "positions", "inputs", "outputs", "linear", "channels", "top", "count"}
NUMBERS |= {"finer_rows", "finer_columns"}
TOP = dict(PLANES=3, FEW=16, NARROW=16, DEEP=64, BLOCK=fused_synthesis.BLOCK)
FILTER = dict(REACH=2, SIDE=5, WIDE=32, BLOCK=fused_synthesis.BLOCK)
TAPS = dict(TAPS=4, BLOCK=fused_synthesis.PLAIN_BLOCK)
CONSTANTS = {
    fused_rate._rate: dict(NEIGHBOURS=20, WIDE=32, DEEP=32, FEW=16, BLOCK=fused_rate.BLOCK),
    fused_rate._gather: dict(NEIGHBOURS=20, BLOCK=fused_rate.BLOCK),
    fused_synthesis._up: TAPS, fused_synthesis._up_back: TAPS, fused_synthesis._tap_sums: TAPS,
    fused_synthesis._filter: FILTER, fused_synthesis._filter_back: FILTER,
    fused_synthesis._outer: dict(TALL=16, WIDE=16, BLOCK=fused_synthesis.BLOCK),
    fused_synthesis._paint: TOP, fused_synthesis._unpaint: TOP | dict(WIDE=32),
    fused_synthesis._judge: dict(HAS_COUNTS=True, PLANES=3, FEW=16, WIDE=32, BLOCK=fused_synthesis.BLOCK),
}
for kernel, constants in CONSTANTS.items():
    # In the rate a number of channels, in the synthesis planes.
    numbers = NUMBERS | {"hidden"} if kernel is fused_rate._rate else NUMBERS
    known = KINDS | dict.fromkeys(numbers, "i32") | dict.fromkeys(constants, "constexpr")
    kinds = {name: known.get(name, "*fp32") for name in kernel.arg_names}
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(fn=kernel, signature=kinds, constexprs=places)
    options = {"num_warps": fused_rate.WARPS, "num_stages": 1}
    compiled = compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    assert len(compiled.asm["cubin"]) > 1000
    assert compiled.metadata.shared < 100_000
"""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        check=True,
        cwd=Path(__file__).parents[1],
        env={k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"},
    )

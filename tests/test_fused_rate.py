"""The Triton kernel of the rate: against autograd, in Triton's interpreter; and that it compiles for the GPU that it is for."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed; there are no wheels of it but for Linux.")


def test_the_kernel_in_triton_s_interpreter():
    """Triton must know that it interprets before it is first imported."""
    tests = Path(__file__).with_name("interpreted_rate.py")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(tests)],
        env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True, cwd=tests.parents[1],
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert "7 passed" in result.stdout


def test_the_kernels_compile_for_an_h200():
    """No GPU is needed to compile for one."""
    program = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from ddcodec.fit import fused_rate as kernels

KINDS = dict.fromkeys(("rows", "columns", "positions", "hidden", "inputs", "linear"), "i32")
KINDS |= dict.fromkeys(("least", "greatest", "nat"), "fp32") | {"reach": "*i32"}
for kernel, constants in ((kernels._rate, dict(NEIGHBOURS=12, WIDE=16, DEEP=16, BLOCK=kernels.BLOCK)), (kernels._gather, dict(NEIGHBOURS=12, BLOCK=kernels.BLOCK))):
    signature = {name: "constexpr" if name in constants else KINDS.get(name, "*fp32") for name in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs={(kernel.arg_names.index(name),): value for name, value in constants.items()})
    compiled = compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": kernels.WARPS})
    assert len(compiled.asm["cubin"]) > 1000
    assert compiled.metadata.shared < 100_000
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, cwd=Path(__file__).parents[1], env={k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"})

"""Tests of the CPU engine that `test_cpu_engine.py` runs in a process of its own, whose processor has no AVX-512:
vectors have eight lanes.
"""

from llvmlite import binding

_features = binding.get_host_cpu_features


def without_avx512():
    features = _features()
    for name in features:
        if name.startswith("avx512"):
            features[name] = False
    return features


binding.get_host_cpu_features = without_avx512

from test_cpu_engine import (  # noqa: E402, F401
    test_fits_reach_the_references_losses,
    test_gradients_are_autograds,
    test_gradients_of_any_architecture,
    test_threads_change_nothing_but_digits,
)

from ddcodec.fit.cpu.simd import LANES  # noqa: E402


def test_there_are_eight_lanes():
    assert LANES == 8

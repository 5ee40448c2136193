"""The words for the machine in rows of measurements."""

import os

import pytest

from ddcodec.benchmark import machine as described

# As Linux writes them for a virtual processor and for an ARM one, which has neither model nor family.
X86 = (
    "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n"
    "model name\t: AMD EPYC\nstepping\t: 1\n\n"
)
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n\n"
GPU = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 30\n"


@pytest.fixture
def linux(monkeypatch, tmp_path):
    monkeypatch.setattr(described, "CPUS", tmp_path / "cpuinfo")
    monkeypatch.setattr(described, "GPUS", tmp_path / "gpus")
    monkeypatch.setattr(described.platform, "processor", lambda: "a processor")
    return tmp_path


def test_generations_of_one_brand_differ(linux):
    (linux / "cpuinfo").write_text(2 * X86)
    assert described.machine() == f"AMD EPYC (family 25, model 17), {os.cpu_count()} cores"


@pytest.mark.parametrize("cpuinfo", [ARM, None])
def test_what_nobody_tells_is_left_out(linux, cpuinfo):
    if cpuinfo:
        (linux / "cpuinfo").write_text(cpuinfo)
    assert described.machine() == f"a processor, {os.cpu_count()} cores"


def test_gpus_are_told(linux):
    (linux / "gpus" / "0000:00:1f.0").mkdir(parents=True)
    (linux / "gpus" / "0000:00:1f.0" / "information").write_text(GPU)
    assert described.machine().endswith(" cores, NVIDIA H200")

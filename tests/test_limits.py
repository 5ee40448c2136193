"""Limits of a decode: what they estimate is near the truth, what the encoder makes is within them, and what is said
where memory is short.
"""

import re
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from conftest import painted
from random_coded import random_coded

import ddcodec
from ddcodec import decoder, encoder
from ddcodec import machine as memory
from ddcodec.decoder import Limits
from ddcodec.encoder import encode_picture
from ddcodec.errors import LimitError, ShortMemoryError, explain, is_short_memory
from ddcodec.format import arch as arch_module
from ddcodec.format import decoders, files, render
from ddcodec.format.arch import LEAST_MEMORY, base_arch
from ddcodec.format.coded import CodedImage
from ddcodec.format.container import Body
from ddcodec.format.header import Header
from ddcodec.format.weights import Weights
from ddcodec.machine import memory_text
from ddcodec.options import EncodeOptions
from ddcodec.presets import arch_of

SHAPES = [
    (10000, 10000),
    (65535, 1525),
    (1525, 65535),
    (65535, 8),
    (8, 65535),
    (65535, 1),
    (1, 65535),
    (7680, 4320),
    (8256, 5504),
    (30000, 1000),
    (1000, 30000),
    (1, 1),
]


class Zeros:
    """A reader of a file whose code is 0."""

    def __init__(self, words):
        pass

    def integers(self, rows, whole, values=None):
        return np.zeros(len(rows), np.int64)

    def end_section(self):
        pass


def measured(arch, finest, monkeypatch):
    """Bytes that a decode takes, by Python's own account, with one band at once so that they do not depend on
    timing.
    """
    names = {name for name, _ in arch.coded_tensors()}
    weights = {name: Weights(6 if name in names else 0, np.zeros(shape, np.int64)) for name, shape in arch.tensors()}
    monkeypatch.setattr(decoders, "Reader", Zeros)
    monkeypatch.setattr(decoders, "walk_weights", lambda *_: weights)
    for module in (arch_module, render):
        monkeypatch.setattr(module, "BANDS_AT_ONCE", 1)
    numpy_decoder = decoders.NumpyDecoder()
    header, body = Header(arch, 0, 0, 0), Body((), (), np.zeros(0, np.uint32), 0)
    tracemalloc.start()
    try:
        numpy_decoder.render(CodedImage(arch, *numpy_decoder.read(b"", header, body)), finest)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "profile, width, height, planes, depth, finest",
    [
        ("default", 600, 500, 3, 0, 0),
        ("default", 600, 500, 1, 1, 3),
        ("default", 6000, 8, 3, 0, 0),
        ("default", 8, 1500, 3, 0, 0),
        ("classic", 900, 700, 3, 1, 0),
        ("classic", 16384, 8, 3, 0, 0),
        ("classic", 8, 16384, 1, 0, 0),
        ("classic", 900, 700, 3, 0, 3),
    ],
)
def test_memory_is_near_the_truth(profile, width, height, planes, depth, finest, monkeypatch):
    arch = arch_of(profile, height, width, planes, 1e-4, depth=depth)
    taken = measured(arch, finest, monkeypatch)
    assert taken / 1.5 - LEAST_MEMORY < arch.memory(finest) - LEAST_MEMORY < 1.5 * taken + 2**20


@pytest.mark.parametrize("width, height, planes, depth", [(600, 500, 3, 0), (4000, 3, 3, 1), (1400, 1000, 1, 0)])
@pytest.mark.parametrize("finest", [0, 3])
def test_memory_of_the_decoder_in_c_is_near_the_truth(width, height, planes, depth, finest):
    arch = arch_of("default", height, width, planes, 1e-4, depth=depth)
    data = files.pack(random_coded(np.random.default_rng(0), arch))
    native = decoders.native_decoder()
    header = decoder.read_header(data)
    body = decoder.read_body(data, header)
    native.decode(data, header, body, finest)
    tracemalloc.start()
    try:
        native.decode(data, header, body, finest)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken / 1.5 < native.memory(arch, finest) - LEAST_MEMORY < 1.5 * taken


@pytest.mark.parametrize("profile", ["default", "classic"])
@pytest.mark.parametrize("width, height", SHAPES)
def test_what_the_encoder_makes_is_within_the_limits(profile, width, height, each_decoder):
    for lambda_ in (1e-4, 1e-3, 1e-2):
        for planes, depth in ((1, 0), (3, 0), (3, 1)):
            arch = arch_of(profile, height, width, planes, lambda_, depth=depth)
            Limits().check(arch)
            Limits(max_pixels=width * height).check(arch)
            assert not Limits().flags_for(arch)


@pytest.mark.parametrize("profile", ["default", "classic"])
@pytest.mark.parametrize("width, height", [(13377, 13377), (10000, 10001), (65535, 2730), (2730, 65535)])
def test_flags_are_enough_and_needed(profile, width, height, each_decoder):
    """Up to the most pixels that the encoder takes by default."""
    arch = arch_of(profile, height, width, 3, 1e-4)
    flags = dict(flag.split() for flag in Limits().flags_for(arch))
    assert "--max-pixels" in flags
    given = {
        "max_pixels": int(flags["--max-pixels"]),
        "max_memory": 2**20 * int(flags.get("--max-memory", "4096M")[:-1]),
    }
    Limits(**given).check(arch)
    for name in flags:
        with pytest.raises(LimitError, match=name):
            Limits(**given | {name[2:].replace("-", "_"): getattr(Limits(), name[2:].replace("-", "_"))}).check(arch)


def test_a_small_file_is_little_work(each_decoder):
    greatest = replace(
        base_arch(1900, 1900, 3),
        octaves=16,
        coarsest_planes=128,
        finest_channels=128,
        channels=128,
        linear=0,
        top_channels=127,
        taps=4,
        neighbours=20,
        context_channels=32,
    )
    with pytest.raises(
        LimitError,
        match=r"some \d\d seconds, above the limit of \d\d? for a picture of that size \(--max-pixels 0 lifts it\)",
    ):
        Limits().check(greatest)
    with pytest.raises(LimitError, match=r"some 1\d seconds, above the limit of 2 "):
        Limits().check(replace(greatest, octaves=1, width=300, height=300))
    Limits(max_pixels=0, max_memory=0).check(replace(greatest, width=65535, height=65535))


def test_numbers_are_for_people(by_numpy):
    with pytest.raises(
        LimitError, match=r"Decoding would need 6\.2\d GiB of memory, above the limit of 4 GiB \(--max-memory\)"
    ):
        Limits(max_pixels=0).check(base_arch(13377, 13377, 3))
    texts = {0: "0 bytes", 1023: "1,023 bytes", 1024: "1 KiB", 1536 * 2**10: "1.5 MiB", 1234 * 2**30: "1,234 GiB"}
    assert {count: memory_text(count) for count in texts} == texts


def test_encoder_warns(monkeypatch):
    monkeypatch.setattr(encoder, "Limits", lambda: Limits(max_pixels=599))
    said, warned = [], []
    encode_picture(painted(20, 30), EncodeOptions(iterations=1), say=said.append, warn=warned.append)
    assert len(warned) == 1 and "--max-pixels 600 only" in warned[0] and not said
    with pytest.warns(UserWarning, match="--max-pixels 600"):
        ddcodec.encode(painted(20, 30), iterations=1)
    with pytest.warns(UserWarning, match="--max-pixels 600"):
        ddcodec.encode_many([painted(20, 30)], iterations=1)


def test_decoding_needs_memory(encoded, monkeypatch):
    needed = decoders.decoder_at_work().memory(decoder.read_header(encoded.data).arch)
    monkeypatch.setattr(decoder, "available_memory", lambda: needed - 1)
    with pytest.raises(ShortMemoryError, match=r"Decoding needs about \d+\.\d+ MiB of memory; \d+\.\d+ MiB are free\."):
        ddcodec.decode(encoded.data)
    monkeypatch.setattr(decoder, "available_memory", lambda: None)
    monkeypatch.setattr(decoder, "available_addresses", lambda: needed)
    with pytest.raises(ShortMemoryError, match="Decoding needs"):
        ddcodec.decode(encoded.data)
    monkeypatch.setattr(decoder, "available_addresses", lambda: needed + decoder.THREADS_ADDRESSES)
    assert ddcodec.decode(encoded.data).shape == encoded.samples.shape


# Memory that is there


@pytest.fixture
def machine(monkeypatch):
    """A machine whose files of /proc and /sys say what is given, without limits of the process."""
    texts = {"/proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n"}
    monkeypatch.setattr(memory, "_text", lambda path: texts.get(path, ""))
    monkeypatch.setattr(memory, "resource", None)
    return texts


def test_memory_of_the_system(machine):
    assert memory.available_memory() == 8000 * 1024
    machine.clear()
    assert memory.available_memory() is None


def test_nested_groups_of_version_2(machine):
    machine["/proc/self/cgroup"] = "0::/a/b\n"
    for name, limit, taken in (("a/b", "max", 500), ("a", "3000000", 1_000_000)):
        machine |= {
            f"/sys/fs/cgroup/{name}/memory.max": f"{limit}\n",
            f"/sys/fs/cgroup/{name}/memory.current": f"{taken}\n",
        }
    assert memory.available_memory() == 2_000_000
    machine["/sys/fs/cgroup/a/memory.stat"] = "anon 5\ninactive_file 400000\nactive_file 100000\n"
    assert memory.available_memory() == 2_400_000
    machine["/sys/fs/cgroup/a/b/memory.max"] = "100"
    assert memory.available_memory() == 0


def test_groups_of_version_1(machine):
    machine["/proc/self/cgroup"] = "5:cpu,cpuacct:/x\n4:memory:/docker/0123\n0::/\n"
    machine |= {
        "/sys/fs/cgroup/memory//memory.limit_in_bytes": "7000000\n",
        "/sys/fs/cgroup/memory//memory.usage_in_bytes": "1000000\n",
    }
    assert memory.available_memory() == 6_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits of this kind")
def test_limits_of_the_process(machine, monkeypatch):
    import resource

    limits = {resource.RLIMIT_AS: 5_000_000, resource.RLIMIT_DATA: resource.RLIM_INFINITY}
    monkeypatch.setattr(memory, "resource", resource)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limits[which], resource.RLIM_INFINITY))
    machine["/proc/self/status"] = "VmSize:\t 1000 kB\nVmData:\t  500 kB\n"
    assert memory.available_memory() == 5_000_000 - 1_024_000
    limits[resource.RLIMIT_DATA] = 1_000_000
    assert memory.available_memory() == 1_000_000 - 512_000


def chained(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        OSError(12, "Cannot allocate memory"),
        ImportError("libopenblas.so: failed to map segment from shared object"),
        chained(
            OSError("Could not find/load shared object file 'libtorch_cpu.so'"),
            OSError("libtorch_cpu.so: failed to map segment from shared object"),
        ),
    ],
)
def test_short_memory_has_its_code(error):
    code, sentence = explain(error)
    assert code == 8 and re.fullmatch(r"There is not enough memory .*\.", sentence)


def test_other_errors_are_not_of_memory():
    assert not is_short_memory(OSError(2, "No such file")) and explain(ImportError("no module named x"))[0] == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not keep to this limit")
@pytest.mark.parametrize("mebibytes", [100, 250])
@pytest.mark.parametrize("command", ["decode in.ddc -o out.png", "encode in.png -o out.ddc -e 1"])
def test_too_little_memory(mebibytes, command, tmp_path, encoded, picture):
    """Never a crash, and never a wait for threads that could not start."""
    from PIL import Image

    (tmp_path / "in.ddc").write_bytes(encoded.data)
    Image.fromarray(picture).save(tmp_path / "in.png")
    limited = f"ulimit -v {1024 * mebibytes}; exec '{sys.executable}' -m ddcodec {command}"
    done = subprocess.run(["bash", "-c", limited], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode in (0, 8), done.stderr
    assert "Traceback" not in done.stderr and "Internal" not in done.stderr
    if done.returncode:
        assert re.search(r"^Error: .* memory.*\.$", done.stderr, re.M)

"""pack and unpack are inverse; the coding is causal; what is measured is what is written."""

from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from random_coded import DEFAULT, random_arch, random_coded, same, sealed

import ddcodec.format.pyramid as pyramid
import ddcodec.format.wire as wire
from ddcodec.errors import DamagedError
from ddcodec.format import ops_int, render
from ddcodec.format.arch import ACTIVATION_LEAST, CODE_MAX, base_arch
from ddcodec.format.files import pack, read_info, unpack
from ddcodec.format.header import read_header
from ddcodec.format.weights import Weights


@pytest.mark.parametrize("seed", range(10))
def test_pack_and_unpack_are_inverse(seed):
    random = np.random.default_rng(seed)
    for _ in range(50):
        coded = random_coded(random, random_arch(random), spread=random.choice([0.0, 0.3, 5.0]))
        data = pack(coded)
        again = unpack(data)
        assert same(coded, again)
        assert pack(again) == data


ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "tests" / "vectors" / "valid").glob("*.ddc"), *(ROOT / "samples").glob("*.ddc")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_header_is_short(path):
    """The header of every file is 30 bytes, the last four of which are the checksum of those before them."""
    data = path.read_bytes()
    assert crc32(data[:26]) == int.from_bytes(data[26:30], "big")
    assert read_header(data[:30]) == read_header(data)
    with pytest.raises(DamagedError, match="cut off after 29 bytes, inside its header"):
        read_header(data[:29])
    assert read_info(data)["sections"][0] == {"name": "header", "bytes": 30}


def test_bytes_do_not_depend_on_what_is_not_yet_coded():
    """Change the code behind a place in coding order: all that was written before it stays the same."""
    coded = random_coded(np.random.default_rng(3), replace(DEFAULT, width=13, height=9))
    numbers = coded.numbers()

    class Recorder:
        def __init__(self):
            self.groups = []

        def integers(self, rows, whole, values):
            self.groups.append((rows.tolist(), whole.tolist(), values.tolist()))
            return values

        def end_section(self):
            self.groups.append("section")

    def record(code):
        recorder = Recorder()
        pyramid.walk_code(coded.arch, numbers, recorder, code)
        return recorder.groups

    clean = record(coded.code)
    for octave in coded.arch.coded_octaves:
        rows, columns = coded.arch.size(octave)
        for x, y in {(0, 0), (columns // 2, rows // 2), (columns - 1, rows - 1), (0, rows - 1)}:
            poisoned = {o: planes.copy() for o, planes in coded.code.items()}
            later = np.add.outer(3 * np.arange(rows), np.arange(columns)) > x + 3 * y
            poisoned[octave][0][later] = 4000
            for finer in range(octave):
                poisoned[finer][:] = -4000
            groups = record(poisoned)
            # Wavefronts up to and with the poisoned one's predecessor, and that one's own contexts, are untouched.
            before = sum(_groups(coded.arch, o) for o in coded.arch.coded_octaves if o > octave) + _fronts(
                rows, columns, x + 3 * y + 1
            )
            assert groups[:before] == clean[:before]
            assert before == len(clean) or groups[before][:2] == clean[before][:2]


def _fronts(rows, columns, end):
    return sum(any(0 <= t - 3 * y < columns for y in range(rows)) for t in range(end))


def _groups(arch, octave):
    rows, columns = arch.size(octave)
    return arch.code_planes(octave) * _fronts(rows, columns, columns + 3 * rows) + 1


def test_measured_bits_agree_with_the_file():
    random = np.random.default_rng(4)
    arch = replace(DEFAULT, width=160, height=120, octaves=6, neighbours=12)
    coded = random_coded(random, arch, spread=1.0)
    data = pack(coded)
    meter = wire.Meter()
    pyramid.walk_code(arch, coded.numbers(), meter, coded.code)
    stream = {s["name"]: s["bytes"] for s in read_info(data)["sections"]}
    written = sum(size for name, size in stream.items() if name.startswith("octave"))
    assert written > 10_000
    assert abs(meter.bits / 8 - written) < 0.001 * written + 8  # a section ends at a word, not at a bit


def test_sections_add_up_to_the_file():
    data = pack(random_coded(np.random.default_rng(5), DEFAULT))
    info = read_info(data)
    assert sum(section["bytes"] for section in info["sections"]) == info["bytes"] == len(data)


def test_chunks_are_carried():
    coded = replace(random_coded(np.random.default_rng(7), DEFAULT), chunks=((200, b"unknown"), (201, b"")))
    assert same(unpack(pack(coded)), coded)


@pytest.mark.parametrize("value", [CODE_MAX + 1, -CODE_MAX - 1])
def test_code_out_of_range_is_refused(value):
    coded = random_coded(np.random.default_rng(8), DEFAULT)
    coded.code[0][0, 0, 0] = value
    with pytest.raises(DamagedError, match="outside -4095 to 4095"):
        pack(coded)


@pytest.mark.parametrize("name", ["mix.3", "code.0", "bias.6"])
def test_weights_that_are_the_bases_alone_cannot_be_others(name):
    coded = random_coded(np.random.default_rng(11), base_arch(70, 50, 3, 2))
    coded.tensors[name] = Weights(0, 0 * coded.tensors[name].values + 1)
    with pytest.raises(DamagedError, match=name):
        pack(coded)


def test_saturation_happens_and_round_trips(monkeypatch):
    """Weights so large that activations reach their bound."""
    random = np.random.default_rng(10)
    coded = random_coded(random, DEFAULT, spread=50)
    for name in ("mix.0", "mix.1", "code.0", "code.1"):
        coded.tensors[name] = Weights(
            2, np.sign(coded.tensors[name].values) * (4000 if name.startswith("mix") else 1000)
        )
    reached = []

    class Watching(ops_int.IntegerOps):
        def settle(self, values, linear, octave=None):
            values = super().settle(values, linear, octave)
            reached.append(float(abs(values).max()))
            return values

    with monkeypatch.context() as patch:
        patch.setattr(render, "IntegerOps", Watching)
        coded = sealed(coded)
    assert max(reached) == -ACTIVATION_LEAST
    assert same(unpack(pack(coded)), coded)

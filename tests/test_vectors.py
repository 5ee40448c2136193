"""Files that must decode to the same samples for ever, and files that must be refused: here, in the witness, on other
processors.
"""

import csv
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from zlib import crc32

import invalid
import make_valid
import numpy as np
import pytest
import witness

from ddcodec.decoder import decode_file
from ddcodec.errors import DamagedError, LimitError, UnsupportedError
from ddcodec.format import range_coder, wire
from ddcodec.format.files import pack, read_info, unpack

VALID = make_valid.FOLDER
CHECKSUMS = list(csv.DictReader((VALID / "checksums.tsv").open(encoding="utf-8"), delimiter="\t"))
FAILURES = {"damaged": DamagedError, "unsupported": UnsupportedError, "limit": LimitError}
WITNESS_FAILURES = {"damaged": witness.Damaged, "unsupported": witness.Unsupported, "limit": witness.TooLarge}


def test_there_are_enough_and_none_is_forgotten():
    assert len(CHECKSUMS) >= 30 and {f"{row['name']}.ddc" for row in CHECKSUMS} == {p.name for p in VALID.glob("*.ddc")}
    assert len(list(invalid.FOLDER.glob("*.ddc"))) >= 40


def big_endian(samples):
    return samples.astype(samples.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("row", CHECKSUMS, ids=lambda row: row["name"])
def test_valid(row):
    data = (VALID / f"{row['name']}.ddc").read_bytes()
    samples = decode_file(data, metadata=()).samples
    assert samples.shape[:2] == (int(row["height"]), int(row["width"])) and samples.dtype == (
        np.uint16 if row["name"].startswith("deep") else np.uint8
    )
    assert f"{crc32(big_endian(samples)):08x}" == row["samples_crc"]
    picture = witness.decode(data)
    assert picture.samples == big_endian(samples)
    assert row["name"] == "lying_section_table" or pack(unpack(data)) == data[: read_info(data)["bytes"]]
    assert (len(pack(unpack(data))) < len(data)) == (row["name"] in ("bytes_behind", "two_files"))
    if row["half_crc"] != "-":
        half = decode_file(data, scale=2, metadata=()).samples
        assert f"{crc32(big_endian(half)):08x}" == row["half_crc"] == f"{crc32(witness.decode(data, 1).samples):08x}"


@pytest.mark.parametrize("row", CHECKSUMS, ids=lambda row: row["name"])
def test_section_table_says_what_the_witness_takes(row):
    written, taken = witness.section_table((VALID / f"{row['name']}.ddc").read_bytes())
    assert (written == taken) == (row["name"] != "lying_section_table")


@pytest.mark.parametrize("path", sorted(invalid.FOLDER.glob("*.ddc")), ids=lambda path: path.stem)
def test_invalid(path):
    failure = path.suffixes[0][1:]
    data = path.read_bytes()
    with pytest.raises(FAILURES[failure]) as caught:
        decode_file(data, metadata=())
    assert str(caught.value).endswith(".") and len(str(caught.value)) > 20
    with pytest.raises(WITNESS_FAILURES[failure]):
        witness.decode(data)


def test_invalid_files_are_those_of_the_script():
    assert {f"{name}.{failure}.ddc" for name, (_, failure) in invalid.bad_files().items()} == {
        p.name for p in invalid.FOLDER.glob("*.ddc")
    }


@pytest.mark.parametrize("path", sorted(invalid.FOLDER.glob("bomb*.ddc")), ids=lambda path: path.stem)
def test_bombs_are_refused_before_anything_is_allocated(path):
    data = path.read_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="limit"):
            decode_file(data, metadata=())
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_every_truncation_and_every_flipped_bit_is_noticed():
    data = (VALID / "1x1.ddc").read_bytes()
    for length in range(len(data)):
        with pytest.raises(DamagedError):
            decode_file(data[:length], metadata=())
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((DamagedError, UnsupportedError)):
            decode_file(bytes(flipped), metadata=())


def test_ruined_files_with_right_checksums_raise_nothing_else():
    random = np.random.default_rng(0)
    data = (VALID / "default_24x16.ddc").read_bytes()
    for _ in range(150):
        ruined = bytearray(data)
        for _ in range(random.integers(1, 5)):
            ruined[random.integers(4, len(ruined))] = random.integers(256)
        try:
            decode_file(invalid.mended(bytes(ruined)), metadata=())
        except (DamagedError, UnsupportedError, LimitError):
            pass


def test_without_constriction(monkeypatch):
    monkeypatch.setattr(wire, "coders", lambda: range_coder.PythonCoders)
    for row in CHECKSUMS:
        samples = decode_file((VALID / f"{row['name']}.ddc").read_bytes(), metadata=()).samples
        assert f"{crc32(big_endian(samples)):08x}" == row["samples_crc"]


CHILD = """
import sys
from pathlib import Path
from zlib import crc32

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {forbidden!r}:
            raise ImportError(name + " is not to be imported here")

sys.meta_path.insert(0, Refuse())
from ddcodec.decoder import decode_file
for path in sorted(Path(sys.argv[1]).glob("*.ddc")):
    samples = decode_file(path.read_bytes(), metadata=()).samples
    order = samples.dtype.newbyteorder(">")
    print(path.stem, f"{{crc32(samples.astype(order).tobytes()):08x}}")
"""


def decoded_in_child(forbidden=("torch", "numba", "scipy", "PIL"), **environment):
    command = [sys.executable, "-c", CHILD.format(forbidden=tuple(forbidden)), str(VALID)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path, **environment}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return dict(line.split() for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    "environment",
    [
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"OPENBLAS_CORETYPE": "Haswell"},
        {"OPENBLAS_CORETYPE": "SkylakeX"},
        {"OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "2"},
        {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX2 FMA3"},
        # NumPy 2.4 has groups of features in their place and only warns about the names above.
        {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3"},
    ],
    ids=lambda environment: "-".join(environment.values()).replace(" ", "-"),
)
def test_same_pixels_on_other_processors_and_without_torch(environment):
    expected = {row["name"]: row["samples_crc"] for row in CHECKSUMS}
    assert decoded_in_child(**environment) == expected


def test_same_pixels_where_constriction_is_missing():
    expected = {row["name"]: row["samples_crc"] for row in CHECKSUMS}
    assert decoded_in_child(forbidden=("torch", "numba", "scipy", "PIL", "constriction")) == expected


def test_witness_uses_the_standard_library_only():
    source = (Path(__file__).parent / "witness.py").read_text("utf-8")
    imported = {line.split()[1].split(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert imported <= sys.stdlib_module_names

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
from ddcodec.option_types import DECODERS

VALID = make_valid.FOLDER
CHECKSUMS = list(csv.DictReader((VALID / "checksums.tsv").open(encoding="utf-8"), delimiter="\t"))
FAILURES = {"damaged": DamagedError, "unsupported": UnsupportedError, "limit": LimitError}
WITNESS_FAILURES = {"damaged": witness.Damaged, "unsupported": witness.Unsupported, "limit": witness.TooLarge}

BODY = "the checksum of the {} bytes after its header does not match"
SAMPLES = "The decoded picture does not have the checksum that the file promises", "samples do not have their checksum"
NO_CHECKSUM = "the body does not have its checksum"
SHORT = "the file is shorter than its header"
END = "the file ends too early"
OTHER_NETWORK = "of the weights for a network that is not the base's", "a base stands with a network that it is not for"
TENSOR = "has an impossible exponent or scale"
SAID = {
    **{f"cut_after_{n}": (f"is cut off after {n} bytes, inside its header", "no .ddc file") for n in (1, 3)},
    **{f"cut_after_{n}": (f"is cut off after {n} bytes, inside its header", SHORT) for n in (4, 5, 10, 18, 22, 26, 29)},
    **{f"cut_after_{n}": (BODY.format(n - 30), END) for n in (30, 31)},
    **{
        f"version_{n}": (f"has format version {n}; this decoder reads version 13", f"version {n} is unsupported")
        for n in (*range(13), 14, 255)
    },
    **{f"base_{n}": (f"a base of the weights that {{}} (base {n})", f"base {n} is unsupported") for n in (11, 63)},
    **{f"planes_{n}": (f"a number of planes that {{}} (planes {n})", f"planes {n} is unsupported") for n in (2, 4)},
    **{f"neighbours_{n}": (f"asks for {n} neighbours; 1 to 20", f"{n} neighbours are impossible") for n in (0, 21)},
    **{
        f"weight_{n}": ("of mix.0 is outside -32767 to 32767", "mix.0 has an impossible weight")
        for n in (32768, -32768)
    },
    **{f"code_{n}": ("code value is outside -4095 to 4095", "of the code is too great") for n in (4096, -4096)},
    **{f"exponent_{n}": ("exponent of the weights context.1.weight is out of range", TENSOR) for n in (16, -1)},
    **{f"table_{n}": ("table of the weights context.1.weight is out of range", TENSOR) for n in (64, -1)},
    "alpha_twice": ("more than one alpha chunk", "a chunk 5 is impossible here"),
    "base_of_another_network": OTHER_NETWORK,
    "base_with_eight_octaves": OTHER_NETWORK,
    "base_with_three_taps": OTHER_NETWORK,
    "body_bit_flipped": (BODY.format(1222), NO_CHECKSUM),
    "body_crc_wrong": (BODY.format(1222), NO_CHECKSUM),
    "bomb_65535_square": ("65535x65535 = 4,294,836,225 pixels, above the limit of 100,000,000", "65535 x 65535 pixels"),
    "bomb_channels": ("GiB of memory, above the limit of 4 GiB", "9999 x 9999 pixels"),
    "bomb_code_planes": ("seconds, above the limit of 34 for a picture of that size", "100 x 65535 pixels"),
    "bomb_steps": ("seconds, above the limit of 23 for a picture of that size", "1 x 65535 pixels"),
    "bomb_wide": ("65535x2000 = 131,070,000 pixels, above the limit of 100,000,000", "65535 x 2000 pixels"),
    "chunk_announced_but_missing": (BODY.format(1222), NO_CHECKSUM),
    "chunk_id_0": ("A chunk has the id 0", "a chunk 0 is impossible here"),
    "chunk_length_of_five_bytes": ("a length is not written as it should be", "more than 4 bytes"),
    "chunk_length_with_empty_group": ("a length is not written as it should be", "longer than it need be"),
    "chunk_longer_than_file": ("268435455 bytes are announced where 1222 are left", END),
    "chunk_not_announced": ("is cut off: 988 of 1,406 bytes are there", END),
    "chunk_twice": ("more than one icc chunk", "a chunk 1 is impossible here"),
    "cut_after_0": ("The file is empty", "no .ddc file"),
    "cut_in_section_table": (BODY.format(2), END),
    "cut_in_weights": ("is cut off: 76 of 1,252 bytes are there", END),
    "cut_last_byte": ("is cut off: 1,251 of 1,252 bytes are there", END),
    "cut_last_byte_and_another_file": (BODY.format(2473), NO_CHECKSUM),
    "cut_last_word": ("is cut off: 1,248 of 1,252 bytes are there", END),
    "detail_announced_but_missing": ("it holds no possible symbol", "top.weight has an impossible weight"),
    "detail_without_base": ("gives detail to a network without a base", "detail stands with a network without a base"),
    "escape_too_long": ("an escaped value is too long", "an escaped integer is too great"),
    "fifteen_chunks": ("bytes are announced where 1070 are left", END),
    "header_bit_flipped": ("The header is damaged: its checksum", "the header does not have its checksum"),
    "header_crc_wrong": ("The header is damaged: its checksum", "the header does not have its checksum"),
    "height_0": ("a size of 24x0", "the picture has no pixels"),
    "line_ends_changed": (BODY.format(1229), NO_CHECKSUM),
    "linear_above_channels": ("5 channels linear, more than an octave has", "fewer channels than linear ones"),
    "linear_above_finest_channels": ("7 channels linear, more than an octave has", "fewer channels than linear ones"),
    "no_body": ("1 bytes are announced where 0 are left", END),
    "no_top": ("table of the weights output.bias is out of range", TENSOR),
    "not_a_ddc_file": ("does not begin with the format's signature", "no .ddc file"),
    "note_twice": ("more than one note chunk", "a chunk 4 is impossible here"),
    "one_octave_fewer": (BODY.format(1222), NO_CHECKSUM),
    "one_octave_more": ("is cut off: 1,252 of 1,505 bytes are there", END),
    "one_plane_more_in_coarsest": SAMPLES,
    "one_top_channel_more": ("table of the weights top.bias is out of range", TENSOR),
    "other_base": SAMPLES,
    "other_depth": SAMPLES,
    "other_width": ("code value is outside -4095 to 4095", "of the code is too great"),
    "required_feature": ("a feature that {} (required 1)", "required 1 is unsupported"),
    "samples_crc_wrong": SAMPLES,
    "section_longer_than_file": ("is cut off: 1,255 of 1,073,741,990 bytes are there", END),
    "section_table_all_zero": (BODY.format(1222), NO_CHECKSUM),
    "signature_without_top_bit": ("does not begin with the format's signature", "no .ddc file"),
    "stream_not_of_whole_words": (BODY.format(1224), NO_CHECKSUM),
    "stream_of_ones": ("The stream is damaged: it holds no possible symbol", "no range coder writes such a stream"),
    "stream_of_zeros": ("exponent of the weights context.1.weight is out of range", TENSOR),
    "stream_shuffled": ("exponent of the weights filter.3 is out of range", TENSOR),
    "trailing_byte_mended": (BODY.format(1223), NO_CHECKSUM),
    "unsupported_before_damaged": ("a base of the weights that {} (base 11)", "base 11 is unsupported"),
    "version_255_short": ("is cut off after 20 bytes, inside its header", SHORT),
    "width_0": ("a size of 0x16", "the picture has no pixels"),
}
"""The fault of each bad file: a part of the decoder's sentence, and a part of the witness's.

Braces stand for the words that all sentences about unknown features share.
"""


def test_there_are_enough_and_none_is_forgotten():
    assert len(CHECKSUMS) >= 30 and {f"{row['name']}.ddc" for row in CHECKSUMS} == {p.name for p in VALID.glob("*.ddc")}
    assert len(list(invalid.FOLDER.glob("*.ddc"))) >= 40


def big_endian(samples):
    return samples.astype(samples.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("row", CHECKSUMS, ids=lambda row: row["name"])
def test_valid(row, each_decoder):
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
def test_invalid(path, each_decoder):
    """All decoders refuse it for its own fault, not for another that they meet before. The one in C says less."""
    name, failure = path.stem.split(".")
    data = path.read_bytes()
    ours, theirs = (said.format("this decoder does not know") for said in SAID[name])
    with pytest.raises(FAILURES[failure]) as caught:
        decode_file(data, metadata=())
    assert str(caught.value).endswith(".")
    assert each_decoder == "native" or ours in str(caught.value)
    with pytest.raises(WITNESS_FAILURES[failure]) as caught:
        witness.decode(data)
    assert theirs in str(caught.value)


def test_invalid_files_are_those_of_the_script():
    assert {f"{name}.{failure}.ddc" for name, (_, failure) in invalid.bad_files().items()} == {
        p.name for p in invalid.FOLDER.glob("*.ddc")
    }
    assert SAID.keys() == invalid.bad_files().keys()


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


def test_every_truncation_and_every_flipped_bit_is_noticed(each_decoder):
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
    """They come to many different faults, some of them far behind the header, and to the same in both decoders."""
    random = np.random.default_rng(0)
    data = (VALID / "default_24x16.ddc").read_bytes()
    said = set()
    for _ in range(150):
        ruined = bytearray(data)
        for _ in range(random.integers(1, 5)):
            ruined[random.integers(4, len(ruined))] = random.integers(256)
        kinds = []
        for decoder in DECODERS:
            try:
                kinds.append(decode_file(invalid.mended(bytes(ruined)), metadata=(), decoder=decoder).samples.tobytes())
            except (DamagedError, UnsupportedError, LimitError) as error:
                kinds.append(type(error))
                said.add(str(error))
        assert kinds[0] == kinds[1]
    assert len(said) >= 20 and any("decoded picture does not have the checksum" in sentence for sentence in said)


def test_without_constriction(by_numpy, monkeypatch):
    asked = []
    monkeypatch.setattr(wire, "coders", lambda: asked.append(1) or range_coder.PythonCoders)
    for row in CHECKSUMS:
        samples = decode_file((VALID / f"{row['name']}.ddc").read_bytes(), metadata=()).samples
        assert f"{crc32(big_endian(samples)):08x}" == row["samples_crc"]
    assert len(asked) >= len(CHECKSUMS)


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


def decoded_in_child(forbidden=("torch", "scipy", "PIL"), **environment):
    command = [sys.executable, "-c", CHILD.format(forbidden=tuple(forbidden)), str(VALID)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path, **environment}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return dict(line.split() for line in result.stdout.splitlines())


def _has(feature):
    """Whether the processor has a feature; of other systems than Linux nothing is known."""
    path = Path("/proc/cpuinfo")
    return path.exists() and feature in path.read_text().split()


@pytest.mark.parametrize(
    "environment",
    [
        {"DDCODEC_DECODER": "native"},
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"OPENBLAS_CORETYPE": "Haswell"},
        pytest.param(
            {"OPENBLAS_CORETYPE": "SkylakeX"},
            marks=pytest.mark.skipif(not _has("avx512f"), reason="the processor has no AVX-512"),
        ),
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
    assert decoded_in_child(**{"DDCODEC_DECODER": "numpy", **environment}) == expected


def test_same_pixels_where_constriction_is_missing():
    expected = {row["name"]: row["samples_crc"] for row in CHECKSUMS}
    assert decoded_in_child(forbidden=("torch", "scipy", "PIL", "constriction"), DDCODEC_DECODER="numpy") == expected


def test_witness_uses_the_standard_library_only():
    source = (Path(__file__).parent / "witness.py").read_text("utf-8")
    imported = {line.split()[1].split(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert imported <= sys.stdlib_module_names

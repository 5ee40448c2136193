"""Files that are cut off: what the octaves that are there make, held against the witness, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import witness
from click.testing import CliRunner
from PIL import Image
from profiles import levels_apart

from ddcodec.cli import cli
from ddcodec.decoder import Limits, decode_file
from ddcodec.errors import DamagedError, DdcError, LimitError, UsageError
from ddcodec.partial import beginning_of, decode_beginning

VALID = Path(__file__).parent / "vectors" / "valid"
NAMES = [
    "default_24x16",
    "chunks",
    "base_2_grey",
    "classic_grey_17x9",
    "coarsest_planes_2",
    "code_escapes",
    "1x40",
    "3x3",
]


class Whole:
    """A whole file as the witness reads it: where its stream begins, and after how many of its words each octave is
    there, by counting them.
    """

    def __init__(self, name):
        self.data = (VALID / f"{name}.ddc").read_bytes()
        self.header = witness.read_header(self.data)
        _, self.words = witness.read_body(self.header, self.data[30:])
        self.tensors, self.code, ends = witness.read_stream(self.header, self.words)
        self.start = len(self.data) - 4 * len(self.words)
        self.weights, *ends = [min(end, len(self.words)) for end in ends]
        self.ends = dict(zip(self.header.coded, ends))

    def octaves(self, length):
        """Those whose words are all in the first `length` bytes, and that lie behind others of that kind."""
        there = (length - self.start) // 4
        return [octave for octave, end in self.ends.items() if end <= there]

    def picture(self, octaves, finest=0):
        code = {octave: planes for octave, planes in self.code.items() if octave in octaves}
        shape = (*self.header.sizes[finest], self.header.planes)
        return (
            np.frombuffer(witness.synthesise(self.header, self.tensors, code, finest), np.uint8)
            .reshape(shape)
            .squeeze(2 if shape[2] == 1 else ())
        )


@pytest.fixture(scope="module", params=NAMES)
def whole(request):
    return Whole(request.param)


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """A function that makes `cut.ddc` of so many bytes of a vector, and its `Whole`."""
    monkeypatch.chdir(tmp_path)
    whole = Whole("default_24x16")

    def make(length):
        Path("cut.ddc").write_bytes(whole.data[:length])

    return whole, make


def decode(*options):
    return CliRunner().invoke(cli, ["decode", "cut.ddc", *options])


def test_cut_at_every_octave(whole):
    """After the last word of an octave, and one byte before it; the octave before it is then the finest."""
    pictures = {}
    for end in sorted(set(whole.ends.values())):
        for length in (whole.start + 4 * end - 1, whole.start + 4 * end):
            beginning = beginning_of(whole.data[:length])
            if length == len(whole.data):
                assert beginning is None
                continue
            octaves = whole.octaves(length)
            assert list(beginning.octaves) == octaves and beginning.body.file_bytes == len(whole.data)
            if octaves:
                picture, used = decode_beginning(beginning)
                assert list(used) == octaves
                if octaves[-1] not in pictures:
                    pictures[octaves[-1]] = whole.picture(octaves)
                assert np.array_equal(picture.samples, pictures[octaves[-1]])
    assert len(pictures) == len({end for end in whole.ends.values() if end < len(whole.words)})


def test_cut_anywhere(whole):
    """No place of a cut does more harm than its octave, whatever lies behind the last whole octave."""
    random = np.random.default_rng(1)
    for length in random.integers(1, len(whole.data), 12):
        if length < 30:
            with pytest.raises(DamagedError, match="cut off"):
                beginning_of(whole.data[:length])
            continue
        beginning = beginning_of(whole.data[:length])
        assert (beginning is None) == (length < whole.start)
        octaves = whole.octaves(length)
        if beginning and octaves:
            end = whole.start + 4 * whole.ends[octaves[-1]]
            picture, _ = decode_beginning(beginning)
            replaced, _ = decode_beginning(beginning_of(whole.data[:end] + random.bytes(length - end)))
            assert np.array_equal(picture.samples, replaced.samples)
        elif beginning:
            with pytest.raises(DamagedError, match="Too little"):
                decode_beginning(beginning)


def test_smaller_pictures():
    """Of what is there, as chapter 7 makes them."""
    whole = Whole("default_24x16")
    beginning = beginning_of(whole.data[: whole.start + 4 * whole.ends[1] + 2])
    for scale, finest in ((2, 1), (8, 3)):
        picture, used = decode_beginning(beginning, scale=scale)
        assert list(used) == [3, 2, 1] and np.array_equal(picture.samples, whole.picture([3, 2, 1], finest))
    with pytest.raises(UsageError, match="smallest scale"):
        decode_beginning(beginning, scale=16)
    with pytest.raises(LimitError, match="--max-pixels"):
        decode_beginning(beginning, limits=Limits(max_pixels=100))


def test_alpha_and_metadata_are_there_too():
    whole = Whole("alpha_3")
    picture, _ = decode_beginning(beginning_of(whole.data[:-8]))
    assert np.array_equal(picture.alpha, decode_file(whole.data).alpha) and picture.alpha.any()


def test_ruined_beginnings_raise_nothing_else():
    random = np.random.default_rng(2)
    data, made = (VALID / "default_24x16.ddc").read_bytes(), 0
    for _ in range(100):
        ruined = bytearray(data[: random.integers(len(data) * 3 // 4, len(data))])
        for _ in range(random.integers(1, 4)):
            ruined[random.integers(30, len(ruined))] = random.integers(256)
        try:
            beginning = beginning_of(bytes(ruined))
            made += bool(beginning and decode_beginning(beginning))
        except DdcError as error:
            assert str(error).endswith(".")
    assert made > 5


def test_a_section_table_that_lies_is_believed_but_harmless():
    data = (VALID / "lying_section_table.ddc").read_bytes()
    for length in range(40, len(data), 7):
        try:
            beginning = beginning_of(data[:length])
            assert beginning is None or decode_beginning(beginning)
        except DamagedError:
            pass


def test_preview_says_what_is_there(cut):
    whole, make = cut
    length = whole.start + 4 * whole.ends[1] + 3
    make(length)
    result = decode("--preview")
    assert result.exit_code == 0 and result.stdout == ""
    there = f"cut off: {length:,} of {len(whole.data):,} bytes are there"
    assert result.stderr.startswith(
        f"Note: cut.ddc is {there}; the picture is made of octaves 3 to 1 of 3 to 0.\ncut.ddc -> cut.ddc.png: 24x16, "
    )
    assert np.array_equal(np.asarray(Image.open("cut.ddc.png")), whole.picture([3, 2, 1]))
    answer = json.loads(decode("--preview", "--json", "-f").stdout)
    assert (answer["complete"], answer["octaves"]) == (False, [3, 2, 1])
    refused = decode("-f")
    assert (
        refused.exit_code == 4
        and refused.stderr == f"Error: cut.ddc: The file is {there}; --preview shows what they make.\n"
    )
    make(whole.start + 4 * whole.ends[3])
    assert "; the picture is made of octave 3 of 3 to 0.\n" in decode("--preview", "-f").stderr


def test_preview_of_a_whole_file(cut):
    whole, make = cut
    make(None)
    result = decode("--preview", "--json")
    answer = json.loads(result.stdout)
    assert answer["complete"] is True and "octaves" not in answer and "Note" not in result.stderr
    assert np.array_equal(np.asarray(Image.open("cut.ddc.png")), whole.picture([3, 2, 1, 0]))


@pytest.mark.parametrize("options", [(), ("--preview",)], ids=["plain", "preview"])
def test_too_little(cut, options):
    whole, make = cut
    for length, sentence in (
        (0, "cut.ddc: The file is empty; it holds no picture."),
        (20, "cut.ddc: The file is cut off after 20 bytes, inside its header."),
        (
            whole.start - 1,
            f"cut.ddc: The file is damaged or cut off: the checksum of the {whole.start - 31} bytes after its header "
            "does not match.",
        ),
        (whole.start + 4 * whole.weights - 1, "too few for any picture."),
        (whole.start + 4 * whole.ends[3] - 1, "too few for any picture."),
    ):
        make(length)
        result = decode(*options)
        assert (
            result.exit_code == 4
            and result.stderr.startswith("Error: cut.ddc: ")
            and result.stderr.strip().endswith(sentence)
        )
        assert not Path("cut.ddc.png").exists()


def test_damaged_is_not_cut_off(cut):
    whole, make = cut
    make(None)
    for data in (
        whole.data[:-1] + bytes([whole.data[-1] ^ 1]),
        whole.data[:-1] + bytes([whole.data[-1] ^ 1]) + whole.data,
    ):
        Path("cut.ddc").write_bytes(data)
        result = decode("--preview")
        assert result.exit_code == 4 and "the checksum of the" in result.stderr and not Path("cut.ddc.png").exists()


def test_metadata_of_a_file_that_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sample = (Path(__file__).parents[1] / "samples" / "chelsea.ddc").read_bytes()
    Path("cut.ddc").write_bytes(sample[:-5000])
    assert decode("--preview", "--scale", "1/4").exit_code == 0
    with (
        Image.open("cut.ddc.png") as image,
        Image.open(Path(__file__).parents[1] / "samples" / "chelsea.png") as original,
    ):
        assert levels_apart(image.info["icc_profile"], original.info["icc_profile"]) <= 1
    assert decode("--preview", "--scale", "1/4", "-o", "cut.ppm").exit_code == 0
    assert Path("cut.ppm").read_bytes().startswith(b"P6\n113 75\n255\n")

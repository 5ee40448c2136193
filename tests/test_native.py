"""The decoder in C against NumPy and the vectors, with every kind of vectors that this machine has."""

import shutil
import subprocess
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from random_coded import random_arch, random_coded

from ddcodec.format.arch import base_arch
from ddcodec.format.container import read_body
from ddcodec.format.decoders import NativeDecoder, NumpyDecoder
from ddcodec.format.files import pack, unpack
from ddcodec.format.header import read_header
from ddcodec.native.build import PLATFORMS, bases_header, build, compilers, zig
from ddcodec.native.library import FIRST_WORDS, Library, NativeError
from ddcodec.partial import beginning_of, decode_beginning

VECTORS = Path(__file__).parent / "vectors"

pytestmark = pytest.mark.usefixtures("by_numpy")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    found = compilers()
    if not found:
        pytest.skip("There is no C compiler.")
    # Its asserts are on.
    return Library(build(tmp_path_factory.mktemp("native"), found[0], flags=("-g",)))


def levels_of(library):
    """The levels of this machine: as long as their names differ from the best one's."""
    names = [library.level_name(level) for level in range(8)]
    return range(len(dict.fromkeys(names)))


def expected(coded, octave):
    samples = NumpyDecoder().render(coded, octave)
    return samples.reshape(*samples.shape[:2], -1)


@pytest.mark.parametrize("path", sorted((VECTORS / "valid").glob("*.ddc")), ids=lambda path: path.stem)
def test_valid_vectors_in_all_sizes(library, path):
    data = path.read_bytes()
    coded = unpack(data)
    for octave in range(coded.arch.octaves):
        wanted = expected(coded, octave)
        for level in levels_of(library):
            assert np.array_equal(library.decode(data, octave, level=level), wanted), (octave, level)
        assert np.array_equal(library.decode(data, octave, parts=3), wanted)


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((VECTORS / "invalid").glob("*.ddc")) if ".limit." not in path.name],
    ids=lambda path: path.stem,
)
def test_invalid_vectors_are_refused_alike(library, path):
    with pytest.raises(NativeError) as caught:
        library.decode(path.read_bytes())
    refused = "unsupported" if caught.value.name == "unsupported" else "damaged"
    assert caught.value.name not in ("memory", "argument") and refused == path.name.split(".")[-2]


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(library, seed):
    random = np.random.default_rng(seed)
    arch = replace(random_arch(random), headroom=seed % 4)
    coded = random_coded(random, arch, spread=float(random.choice([0.3, 5, 300])))
    data = pack(coded)
    wanted = expected(coded, 0)
    level = int(random.choice(list(levels_of(library))))
    assert np.array_equal(library.decode(data, level=level), wanted)
    start, stop = sorted(random.integers(0, arch.height + 1, 2))
    if start < stop:
        assert np.array_equal(library.decode(data, rows=(int(start), int(stop)), parts=2), wanted[start:stop])


@pytest.mark.parametrize("seed", range(60))
def test_written_words_are_those_of_numpy(library, seed):
    """Escapes, carries and empty sections among them."""
    random = np.random.default_rng(seed)
    arch = replace(random_arch(random), headroom=seed % 4)
    coded = random_coded(random, arch, spread=float(random.choice([0.01, 0.3, 5, 300, 3000])))
    native = NativeDecoder(library)
    words, sections = native.write(coded)
    wanted, wanted_sections = NumpyDecoder().write(coded)
    assert np.array_equal(words, wanted) and sections == wanted_sections
    data = pack(coded)
    header = read_header(data)
    tensors, code = native.read(data, header, read_body(data, header))
    assert replace(coded, tensors=tensors, code=code).equals(coded)
    assert np.array_equal(native.render(coded), NumpyDecoder().render(coded))


def test_a_long_stream_needs_more_room(library):
    """At 24 bits an integer the words are more than the room that is tried first."""
    random = np.random.default_rng(0)
    coded = random_coded(random, replace(base_arch(200, 200, 3), context_channels=1), spread=3000)
    words, _ = NativeDecoder(library).write(coded)
    assert len(words) > 53000 // 4 + FIRST_WORDS and np.array_equal(words, NumpyDecoder().write(coded)[0])


@pytest.mark.parametrize("code", [np.zeros(10, np.int16), np.zeros(10**6, np.int32), np.zeros(10**6, np.int16)[::2]])
def test_code_of_another_shape_is_refused(library, code):
    with pytest.raises(NativeError, match="argument"):
        library.encode((VECTORS / "valid" / "default_24x16.ddc").read_bytes(), code)


@pytest.mark.parametrize(
    "request_",
    [
        {"rows": (0, 0)},
        {"rows": (5, 5)},
        {"rows": (0, 17)},
        {"rows": (2**32, 2**33)},
        {"octave": 4},
        {"octave": 64},
        {"octave": 2**32},
        {"parts": 0},
        {"parts": -1},
        {"parts": 65},
    ],
)
def test_impossible_requests(library, request_):
    """Of a picture of 24x16 pixels in four octaves."""
    with pytest.raises(NativeError, match="argument"):
        library.decode((VECTORS / "valid" / "default_24x16.ddc").read_bytes(), **request_)


def test_a_whole_file_is_checked_as_a_beginning_too(library):
    for name in ("body_bit_flipped", "samples_crc_wrong"):
        with pytest.raises(NativeError, match="damaged|samples"):
            library.decode((VECTORS / "invalid" / f"{name}.damaged.ddc").read_bytes(), is_beginning=True)


def test_the_example_decodes_a_sample(library, tmp_path):
    path = tmp_path / "ddc2ppm"
    root = Path(__file__).parents[1]
    sources = [root / "examples" / "ddc2ppm.c", *(root / "ddcodec" / "native").glob("*.c")]
    (tmp_path / "bases.h").write_text(bases_header(), "utf-8")
    options = ["-std=c11", "-O2", "-DDDC_PLAIN", "-DDDC_LEVEL=0", "-I", str(tmp_path)]
    subprocess.run([*compilers()[0], *options, *map(str, sources), "-o", str(path)], check=True)
    sample = root / "samples" / "chelsea.ddc"
    made = subprocess.run([str(path), str(sample)], capture_output=True, check=True).stdout
    with Image.open(BytesIO(made)) as image:
        assert np.array_equal(np.asarray(image), library.decode(sample.read_bytes()))
    assert subprocess.run([str(path), str(root / "README.md")], capture_output=True).returncode == 4


def test_the_corpus_of_the_fuzzer(tmp_path):
    """Inputs that once reached something new, in a build that stops at undefined behaviour."""
    source, folder = Path(__file__).parent / "fuzz" / "fuzz.c", tmp_path / "corpus"
    flags = ("-g", "-DREPLAY", "-fsanitize=undefined", "-fsanitize-trap=undefined")
    program = build(tmp_path, zig(), flags=flags, program=source)
    with zipfile.ZipFile(source.with_name("corpus.zip")) as corpus:
        corpus.extractall(folder)
    paths = sorted(folder.iterdir())
    assert len(paths) > 500
    result = subprocess.run([program, *paths], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")


@pytest.mark.skipif(not QEMU, reason="There is no qemu-user.")
def test_arm64(tmp_path):
    """NEON, in an emulator. The program compares the checksum of the samples itself."""
    source = Path(__file__).parents[1] / "examples" / "ddc2ppm.c"
    program = build(tmp_path, zig(), PLATFORMS["musllinux_1_2_aarch64"], ("-static",), source)
    for path in sorted((VECTORS / "valid").glob("*.ddc")):
        assert subprocess.run([QEMU, program, path], capture_output=True).returncode == 0, path
    bad = next((VECTORS / "invalid").glob("samples_crc_wrong*"))
    assert subprocess.run([QEMU, program, bad], capture_output=True).returncode == 4


@pytest.mark.parametrize("seed", range(20))
def test_beginnings_of_files(library, seed):
    random = np.random.default_rng(seed)
    data = pack(random_coded(random, random_arch(random)))
    part = data[: int(random.integers(len(data) // 2, len(data)))]
    beginning = beginning_of(part)
    if beginning and beginning.octaves:
        picture, _ = decode_beginning(beginning)
        ours = library.decode(part, is_beginning=True)
        assert np.array_equal(ours, picture.samples.reshape(ours.shape))
    else:
        with pytest.raises(NativeError):
            library.decode(part)

"""What is read of an input: no more than tells that it is refused, all of what is not, and never without end."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import painted
from PIL import Image

from ddcodec import decoder
from ddcodec.cli import cli
from ddcodec.errors import LimitError, SourceError
from ddcodec.format.files import ddc_bytes, read_info
from ddcodec.jobs import input
from ddcodec.jobs.input import all_bytes, read_whole
from ddcodec.pictures.kinds import FORMATS, either_bytes, picture_bytes
from ddcodec.pictures.read import read_file, read_picture

VECTORS = Path(__file__).parent / "vectors" / "valid"
CODED = (VECTORS / "default_24x16.ddc").read_bytes()
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(decoder.__file__).parents[1])}
posix = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")


class Endless(io.RawIOBase):
    """A stream that begins so, and goes on with zeros for ever; `taken` is the bytes that were read of it."""

    def __init__(self, beginning=b""):
        self._beginning, self.taken = beginning, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self._beginning[self.taken : self.taken + len(buffer)]
        buffer[:] = part.ljust(len(buffer), b"\0")
        self.taken += len(buffer)
        return len(buffer)


@pytest.fixture(scope="module")
def png():
    buffer = io.BytesIO()
    Image.fromarray(painted(20, 30)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("wanted", [ddc_bytes, picture_bytes, either_bytes])
@pytest.mark.parametrize("beginning", [b"", b"Once upon a time", b"\xddDCCx", bytes(4) + CODED])
def test_what_is_no_such_file_is_not_read(wanted, beginning):
    stream = Endless(beginning)
    assert len(read_whole(stream, "It", wanted)) == stream.taken <= 100


def test_another_kind_is_not_read_either(png):
    for beginning, wanted in (png, ddc_bytes), (CODED, picture_bytes), (CODED[:9] + b"\0" + CODED[10:], ddc_bytes):
        stream = Endless(beginning)
        read_whole(stream, "It", wanted)
        assert stream.taken <= 100


def test_a_coded_file_has_the_length_that_its_table_tells():
    """One byte more shows that there is too much."""
    for wanted in ddc_bytes, either_bytes:
        stream = Endless(CODED)
        assert read_whole(stream, "It", wanted) == CODED + b"\0" and stream.taken == len(CODED) + 1
    assert read_whole(io.BytesIO(CODED), "It", ddc_bytes) == CODED
    assert read_info(read_whole(Endless(CODED), "It", ddc_bytes))["trailing_bytes"] is True
    assert read_info(CODED)["trailing_bytes"] is False


def test_a_table_behind_a_long_chunk(picture, monkeypatch):
    """The file is read in pieces, each as long as all before, until its table is there."""
    from ddcodec.encoder import encode_picture
    from ddcodec.options import EncodeOptions

    monkeypatch.setattr(input, "PIECE", 1000)
    note = np.random.default_rng(0).bytes(9_000)
    data = encode_picture(picture, EncodeOptions(iterations=1), metadata={"icc": note}).data
    assert read_whole(io.BytesIO(data), "It", ddc_bytes) == data
    stream = Endless(data)
    assert read_whole(stream, "It", ddc_bytes).startswith(data) and len(data) < stream.taken < 2 * len(data)


def test_no_input_is_endless(png, monkeypatch):
    monkeypatch.setattr(input, "BYTES_MAX", 2**22)
    for wanted in picture_bytes, either_bytes, all_bytes:
        stream = Endless(png)
        with pytest.raises(LimitError, match="^It has more than .* GiB; larger files are not read"):
            read_whole(stream, "It", wanted)
        assert stream.taken <= 2**23


def test_a_file_that_is_too_large_is_not_read_at_all(tmp_path, png):
    """Its length is known; of this one next to nothing is on the disk."""
    path = tmp_path / "large.png"
    path.write_bytes(png)
    try:
        os.truncate(path, 2**32 + 1)
    except OSError:
        pytest.skip("needs files with holes")
    with open(path, "rb", buffering=0) as file:
        with pytest.raises(LimitError, match="^It has more than 4 GiB; larger files are not read"):
            read_whole(file, "It", picture_bytes)
        assert file.tell() <= 100
    with pytest.raises(LimitError, match="large.png has more than 4 GiB"):
        read_picture(path)


def test_a_table_that_announces_more_than_is_read(monkeypatch):
    monkeypatch.setattr(input, "BYTES_MAX", len(CODED) - 1)
    with pytest.raises(LimitError):
        read_whole(Endless(CODED), "It", ddc_bytes)
    monkeypatch.setattr(input, "BYTES_MAX", len(CODED))
    assert read_whole(io.BytesIO(CODED), "It", ddc_bytes) == CODED


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_known_by_its_beginning(tmp_path, format):
    path = tmp_path / f"picture.{format.lower()}"
    Image.fromarray(painted(40, 50)).save(path, format)
    assert read_file(path, picture_bytes) == path.read_bytes()


def test_small_files_are_read_whole(tmp_path):
    """Fewer bytes than are looked at first."""
    (tmp_path / "small.pgm").write_bytes(b"P5 2 1 255 ab")
    assert read_picture(tmp_path / "small.pgm").samples.tolist() == [[97, 98]]
    assert read_file(tmp_path / "small.pgm", picture_bytes) == b"P5 2 1 255 ab"


def ddcodec(*args):
    result = CliRunner().invoke(cli, args, prog_name="ddcodec")
    return result.exit_code, result.stderr.strip()


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
@pytest.mark.parametrize(
    "words, code, sentence",
    [
        ("info {}", 4, "it does not begin with the format's signature"),
        ("verify {}", 4, "it does not begin with the format's signature"),
        ("decode {} -o out.png", 4, "it does not begin with the format's signature"),
        ("view {} -o out.html", 4, "it does not begin with the format's signature"),
        ("compare {} {}", 3, "is not a picture that can be read"),
        ("encode {} -o out.ddc", 3, "is not a picture that can be read"),
        ("encode {png} -o out.ddc --restore inpaint --mask {}", 3, "is not a picture that can be read"),
        ("restore {} --task denoise -o out.png", 3, "is not a picture that can be read"),
        ("bench {} -o report", 3, "is not a picture that can be read"),
    ],
)
def test_commands_refuse_what_has_no_end(tmp_path, monkeypatch, png, words, code, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.png").write_bytes(png)
    got, said = ddcodec(*words.format("/dev/zero", "/dev/zero", png="in.png").split())
    assert got == code and sentence in said and "/dev/zero" in said
    assert os.listdir(tmp_path) == ["in.png"]


@posix
@pytest.mark.parametrize("name", ["-", "/dev/stdin", "fifo"])
def test_pipes_that_come_slowly(tmp_path, name):
    (tmp_path / "in.ddc").write_bytes(CODED)
    os.mkfifo(tmp_path / "fifo")
    drips = "{ head -c 3 in.ddc; sleep 0.1; tail -c +4 in.ddc | head -c 40; sleep 0.1; tail -c +44 in.ddc; }"
    line = f'{drips} > fifo & "$@" info fifo' if name == "fifo" else f'{drips} | "$@" info {name}'
    result = subprocess.run(
        ["sh", "-c", line, "sh", sys.executable, "-m", "ddcodec"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, b"") and f", {len(CODED)} bytes".encode() in result.stdout


def test_a_benchmark_goes_on_without_what_is_too_large(tmp_path, monkeypatch, png):
    from ddcodec.benchmark.run import read_sources

    for name in "large", "small":
        (tmp_path / f"{name}.png").write_bytes(png + bytes(1000 * (name == "large")))
    monkeypatch.setattr(input, "BYTES_MAX", len(png) + 10)
    sources, sentences = read_sources([str(tmp_path / "large.png"), str(tmp_path / "small.png")])
    assert (
        [source.name for source in sources] == ["small"]
        and len(sentences) == 1
        and "large.png has more than" in sentences[0]
    )


def test_missing_and_folders(tmp_path):
    for path, sentence in (tmp_path, "is a folder, not a file"), (tmp_path / "none", "does not exist"):
        with pytest.raises(SourceError, match=sentence):
            read_file(path, picture_bytes)

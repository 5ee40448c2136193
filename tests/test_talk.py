"""What a command says: to whatever stream, of whatever name, with whatever library in between."""

import io
import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import imagecodecs
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import ddcodec as package
from ddcodec import encoder
from ddcodec.cli import cli
from ddcodec.format.files import pack, unpack
from ddcodec.format.metadata import chunks_of
from ddcodec.printable import decodable, printable

ROOT = Path(package.__file__).parents[1]
READY = (ROOT / "tests" / "vectors" / "valid" / "default_24x16.ddc").read_bytes()
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"} | {
    "PYTHONPATH": str(ROOT)
}
posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX streams and names")
linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
HOSTILE = (
    "\x1b[31mred\rfake\nfile: 0 bytes\x9b2J\x7f\N{RIGHT-TO-LEFT OVERRIDE}\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
    "\N{LEFT-TO-RIGHT ISOLATE}"
)
SHOWN = r"\x1b[31mred\rfake\nfile: 0 bytes\x9b2J\x7f\u202e\u2028\u2029\u2066"


def ddcodec(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="ddcodec")


def run(*args, environment=(), **streams):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run([sys.executable, "-m", "ddcodec", *args], env=ENVIRONMENT | dict(environment), **streams)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        (tmp_path / f"{name}.ddc").write_bytes(READY)
    return tmp_path


@pytest.fixture
def stubbed(monkeypatch):
    def encode_pictures(sources, options, progress=None, say=None, warn=None):
        say("Note: this took long.")
        return [encoder.Encoded(READY, source.samples, 1e-3, 4, 0.1, "cpu", 30.0) for source in sources]

    monkeypatch.setattr(encoder, "encode_pictures", encode_pictures)


# Streams that take nothing


@posix
@pytest.mark.parametrize("how", ["full", "closed", "a pipe without a reader"])
def test_nobody_listens(here, how):
    """The work is done, and the exit code is as if somebody did."""
    if how == "closed":
        calls = [
            ["sh", "-c", f'exec "$0" -m ddcodec {words} 2>&-', sys.executable]
            for words in (
                "decode a.ddc b.ddc c.ddc -o out",
                "decode none.ddc -v",
                "--nonsense",
                "decode a.ddc -o b.ddc",
            )
        ]
        codes = [subprocess.run(call, env=ENVIRONMENT, stdout=subprocess.PIPE).returncode for call in calls]
    else:
        reader, writer = os.pipe()
        os.close(reader)
        with open("/dev/full", "wb") as full:
            nobody = full if how == "full" else writer
            codes = [
                run(*words.split(), stderr=nobody).returncode
                for words in (
                    "decode a.ddc b.ddc c.ddc -o out",
                    "decode none.ddc -v",
                    "--nonsense",
                    "decode a.ddc -o b.ddc",
                )
            ]
        os.close(writer)
    assert codes == [0, 3, 2, 2]
    assert sorted(os.listdir("out")) == ["a.ddc.png", "b.ddc.png", "c.ddc.png"]


@posix
def test_a_closed_stream_is_not_taken_for_a_file(here):
    """What a library in C says to descriptor 2 would else land in the picture that is being written."""
    script = (
        "import os, sys; from ddcodec.cli import main; from ddcodec.jobs import output; sync = os.fsync; "
        "os.fsync = lambda file: (os.write(2, b'libpng: oh'), sync(file)); main()"
    )
    words = ["decode", "a.ddc", "-o", "out.ppm"]
    result = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" 2>&- <&-', sys.executable, "-c", script, *words], env=ENVIRONMENT
    )
    assert result.returncode == 0
    assert Path("out.ppm").read_bytes() == b"P6\n24 16\n255\n" + package.decode(READY).tobytes()


# Text from outside


def test_printable():
    assert printable(HOSTILE) == SHOWN
    for plain in [
        "a b.png",
        "C:\\photos\\a.png",
        "снимок, 写真\N{IDEOGRAPHIC SPACE}, \N{FAMILY}\N{ZERO WIDTH JOINER}, 3.04\N{NARROW NO-BREAK SPACE}PM",
        "\ue000",
    ]:
        assert printable(plain) == plain
    assert (
        printable(os.fsdecode(b"q\xff\xc3\xa4") if os.name != "nt" else "q\udcff\xe4") == "q\\xff\xe4"
        and printable("\ud83d") == r"\ud83d"
    )
    assert decodable("q\udcff\ud83d\n") == "q\\xff\\ud83d\n"


def noted(text):
    return pack(replace(unpack(READY), chunks=chunks_of({"note": text.encode()})))


def test_a_note_cannot_fake_a_line(here):
    (here / "a.ddc").write_bytes(noted(HOSTILE))
    assert SHOWN in ddcodec("info", "a.ddc").stdout.splitlines()
    assert json.loads(ddcodec("info", "a.ddc", "--json").stdout)["note"] == HOSTILE
    assert ddcodec("view", "a.ddc", "-o", "a.html", "--no-open").exit_code == 0
    page = (here / "a.html").read_text("utf-8")
    assert json.dumps(SHOWN)[1:-1] in page and not set("\x1b\r\x9b\x7f\u202e\u2028") & set(page)


@posix
def test_a_name_cannot_fake_a_line(here, stubbed):
    name = HOSTILE + ".ddc"
    Path(name).write_bytes(READY)
    Image.fromarray(np.zeros((16, 24, 3), np.uint8)).save("a.png")
    for words in [
        ["info", name],
        ["verify", name],
        ["compare", "a.png", name],
        ["decode", name],
        ["decode", name],
        ["decode", name, "a.ddc", "-o", "out"],
        ["encode", name, "-o", "x.ddc"],
        ["info", "none" + name],
        ["view", name, "-o", name + ".html", "--no-open"],
        ["encode", "a.png", "-o", "n/" + name],
        ["restore", "a.png", "--task", "denoise", "-o", name],
        ["decode", name, "-o", name + ".jpg"],
        [HOSTILE],
        ["info", "a.ddc", "--" + HOSTILE],
        ["--" + HOSTILE],
        ["decode", "a.ddc", "--scale", HOSTILE],
        ["completion", "bash", HOSTILE],
        ["bench", HOSTILE, "-o", HOSTILE, "--codecs", HOSTILE],
    ]:
        result = ddcodec(*words)
        said = result.stdout + result.stderr
        assert r"\x1b[31mred" in said and not set(said) & set(HOSTILE) - set("\n" + SHOWN), words
        assert "\nfile: 0 bytes" not in said, words


@linux
@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_every_encoding_takes_every_name(here, environment):
    for name in "снимок.ddc".encode(), b"q\xff.ddc":
        Path(os.fsdecode(name)).write_bytes(READY)
        path = name.decode("utf-8", "surrogateescape")
        Image.fromarray(package.decode(READY)).save("a.png")
        for words in (
            ["info", path],
            ["verify", path],
            ["compare", "a.png", path],
            ["info", path, "--json"],
            ["decode", path, "-o", "x.png", "-f"],
        ):
            result = run(*map(os.fsencode, words), environment=environment)
            assert result.returncode == 0 and b".ddc" in result.stdout + result.stderr, (words, result.stderr)


@linux
def test_json_has_one_spelling_for_names_that_are_no_utf8(here):
    name = os.fsdecode(b"q\xff.ddc")
    Path(name).write_bytes(READY)
    Image.fromarray(package.decode(READY)).save("a.png")
    lines = []
    for words in (
        ["info", name],
        ["verify", name],
        ["compare", "a.png", name],
        ["decode", name, "-o", "x.png"],
        ["decode", name, "a.ddc", "-o", "out"],
        ["encode", name],
        ["info", "none" + name],
        ["decode", name, "a.ddc", "-o", "out", "--skip-existing"],
    ):
        lines += ddcodec(*words, "--json").stdout_bytes.splitlines()
    assert len(lines) == 10 and all(line.isascii() for line in lines)
    for answer in map(json.loads, lines):
        answer["error"] = answer.get("error", {}).get("message", "")
        json.dumps(answer, ensure_ascii=False).encode()  # No surrogate is left.
        assert answer.get("input", answer.get("distorted")) in (r"q\xff.ddc", r"noneq\xff.ddc", "a.ddc")
    assert r"noneq\xff.ddc does not exist." in [json.loads(line).get("error", {}).get("message") for line in lines]


# Warnings, and libraries


def animation(path):
    frames = [Image.fromarray(np.full((16, 24, 3), level, np.uint8)) for level in (0, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def test_quiet_says_errors_alone_and_json_has_the_rest(here, stubbed):
    animation("a.gif")
    loud, quiet = (ddcodec("encode", "a.gif", "-f", "--json", *more) for more in ([], ["--quiet"]))
    warning, note = "a.gif: of its 2 frames the first is taken (--frame N for another).", "this took long."
    assert f"Warning: {warning}\n" in loud.stderr and f"Note: {note}\n" in loud.stderr
    assert quiet.stderr == ""
    for result in loud, quiet:
        answer = json.loads(result.stdout)
        assert answer["warnings"] == [warning] and note in answer["notes"]
    assert ddcodec("decode", "none.ddc", "--quiet").stderr == "Error: none.ddc does not exist.\n"


@pytest.mark.parametrize("more", [[], ["-j", "2"]])
def test_each_object_of_a_batch_has_its_own_warnings(here, more):
    Path("in").mkdir()
    animation("in/a.gif")
    Image.fromarray(np.zeros((16, 24, 3), np.uint8)).save("in/b.png")
    Path("in/c.png").write_bytes(b"")
    result = ddcodec(
        "encode", "in", "-r", "-o", "out", "--json", "--quiet", "--iterations", "1", "--device", "cpu", *more
    )
    warnings = {answer["input"]: answer["warnings"] for answer in map(json.loads, result.stdout.splitlines())}
    assert warnings == {
        "in/a.gif": ["in/a.gif: of its 2 frames the first is taken (--frame N for another)."],
        "in/b.png": [],
        "in/c.png": [],
    }
    assert result.stderr == "Error: in/c.png is empty.\n"


def fax_with_errors():
    """A TIFF whose damage libtiff complains of at descriptor 2, and which is read all the same."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).random((64, 80)) > 0.5).save(file, "TIFF", compression="group4")
    data = bytearray(file.getvalue())
    data[200:230] = 30 * b"M"
    return bytes(data)


def png_with_a_broken_profile():
    """A PNG of 16 bits, of which imagecodecs logs what libpng says."""
    plain = imagecodecs.png_encode(np.zeros((16, 24, 3), np.uint16))
    chunk = b"iCCPx\0\0"
    return plain[:33] + (3).to_bytes(4, "big") + chunk + crc32(chunk).to_bytes(4, "big") + plain[33:]


@posix
def test_libraries_do_not_speak(here):
    Path("fax.tif").write_bytes(fax_with_errors())
    Path("icc.png").write_bytes(png_with_a_broken_profile())
    for name, complaint in ("fax.tif", b"Fax4Decode: "), ("icc.png", b"imagecodecs: PNG "):
        said, more = (run("compare", name, name, *words).stderr for words in ([], ["-v"]))
        assert complaint not in said and b"libpng" not in said
        if complaint not in more:
            pytest.skip("The library has nothing to say of it any more.")


def test_logs_are_heard_once(here):
    """However many commands one process has carried out."""
    for _ in range(3):
        ddcodec("info", "a.ddc")
    handlers = [
        handler for handler in logging.getLogger().handlers if type(handler).__module__ == "ddcodec.cli.streams"
    ]
    assert len(handlers) == 1

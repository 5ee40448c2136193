"""Standard streams that are closed, full, slow or not blocking: nothing is lost without a word, and no file gets what
is for them.
"""

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from time import sleep

import numpy as np
import pytest

from ddcodec import decoder
from ddcodec.jobs import streams

CODED = Path(__file__).parent / "vectors" / "valid" / "default_24x16.ddc"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    "PYTHONPATH": str(Path(decoder.__file__).parents[1]),
}
posix = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
UNBUFFERED = {**ENVIRONMENT, "PYTHONUNBUFFERED": "1"}


def shell(line, **options):
    """What becomes of `ddcodec` ("$@") in a line of shell. Its sizes are in blocks of 512 bytes."""
    command = ["sh", "-c", line, "sh", sys.executable, "-m", "ddcodec"]
    return subprocess.run(
        command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, "env": ENVIRONMENT} | options
    )


def said(result):
    return result.stderr.decode().splitlines()


@posix
@pytest.mark.parametrize("env", [ENVIRONMENT, UNBUFFERED], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "words", ["decode {} -o - --format npy", "view {} -o -", "info {}", "info {} --json", "encode --help-all", "--help"]
)
def test_a_file_that_takes_a_part(tmp_path, words, env):
    """The first write comes back short, the next one fails."""
    result = shell(f'ulimit -f 1; "$@" {words.format(CODED)} > cut', cwd=tmp_path, env=env)
    cut = (tmp_path / "cut").read_bytes()
    if len(cut) < 512:
        assert result.returncode == 0 and words.startswith("info"), "It was short enough."
    else:
        assert (len(cut), result.returncode, said(result)) == (
            512,
            6,
            ["Error: Standard output cannot be written: File too large."],
        )


@posix
@pytest.mark.parametrize("words", ["decode {} -o -", "info {}", "completion bash", "info --help", "--version"])
def test_what_takes_nothing(words):
    words = words.format(CODED)
    reader, writer = os.pipe()
    os.close(reader)
    for result in (shell(f'"$@" {words} >&-'), shell(f'"$@" {words} 1</dev/null')):
        assert (result.returncode, said(result)) == (6, ["Error: Standard output is closed."])
    result = shell(f'"$@" {words}', stdout=writer)
    os.close(writer)
    # Of text a reader may have enough; a picture that is not written whole is none.
    gone = (6, ["Error: Standard output was closed before everything was written."]) if "-o" in words else (141, [])
    assert (result.returncode, said(result)) == gone


@posix
def test_what_ends_a_command_costs_it_its_other_files():
    """It is no failure of one of several files."""
    result = shell(f'"$@" info {CODED} {CODED} >&-')
    assert (result.returncode, said(result)) == (6, ["Error: Standard output is closed."])


@posix
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_file_gets_no_message(tmp_path, closed):
    """The first descriptors that are free would be the streams'."""
    result = shell(f'"$@" decode {CODED} -o out.npy {closed}', cwd=tmp_path)
    assert result.returncode == 0 and os.listdir(tmp_path) == ["out.npy"]
    assert np.array_equal(np.load(tmp_path / "out.npy"), decoder.decode_file(CODED.read_bytes()).samples)


@posix
@pytest.mark.parametrize("closed, code, out", [("<&-", 3, b""), ("2>&-", 2, b""), ("<&- >&- 2>&-", 3, b"")])
def test_codes_without_streams(closed, code, out):
    """Also a mistaken call says nothing on standard output, which may be data to somebody."""
    result = shell(f'"$@" info {"-" if code == 3 else "--nothing"} {closed}')
    assert (result.returncode, result.stdout) == (code, out)
    assert b"Traceback" not in result.stderr


@posix
def test_no_descriptor_of_a_stream_is_free():
    script = """if True:
        import os, subprocess, sys
        from ddcodec.jobs.streams import prepare_streams
        prepare_streams()
        with open(sys.argv[1], "w") as file:
            file.write(str(file.fileno()))
            # Nor is it in a process that this one starts.
            subprocess.run([sys.executable, "-c", "import os; [os.fstat(number) for number in range(3)]"], check=True)
        """
    with open(os.devnull) as nowhere:
        reader, writer = os.pipe()
        command = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", sys.executable, "-c", script, f"/dev/fd/{writer}"]
        assert subprocess.run(command, pass_fds=[writer], stdin=nowhere, env=ENVIRONMENT).returncode == 0
        os.close(writer)
        with open(reader) as read:
            assert int(read.read()) > 2


@posix
def test_the_other_end_is_slow_and_does_not_block():
    data = os.urandom(300_000)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    received = []

    def receive():
        sleep(0.1)
        while part := os.read(reader, 50_000):
            received.append(part)

    thread = Thread(target=receive)
    thread.start()
    with open(writer, "wb", buffering=0) as file:
        streams.write_whole(file, data)
    thread.join(30)
    os.close(reader)
    assert b"".join(received) == data


@posix
def test_an_input_that_comes_slowly_and_does_not_block():
    """What is there is not all there will be."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    def send():
        for part in b"first ", b"second ", b"third":
            sleep(0.05)
            os.write(writer, part)
        os.close(writer)

    thread = Thread(target=send)
    thread.start()
    with open(reader, "rb", buffering=0) as file:
        assert streams.read_some(file, 8) == b"first se"
        assert streams.read_some(file, 100) == b"cond third"
    thread.join(30)


@posix
def test_standard_output_by_another_name(tmp_path):
    """The shell goes on writing to the same file, behind what was there."""
    expected = shell(f'"$@" decode {CODED} -o - --format npy').stdout
    result = shell(
        f'exec >> all; echo before; "$@" decode {CODED} --format npy -o /dev/stdout; echo after', cwd=tmp_path
    )
    assert (tmp_path / "all").read_bytes() == b"before\n" + expected + b"after\n"
    assert result.returncode == 0 and os.listdir(tmp_path) == ["all"]
    refused = shell(f'"$@" decode {CODED} --format npy --json -o /dev/stdout')
    assert refused.returncode == 2 and b"both want standard output" in refused.stdout

"""Outputs appear whole or not at all, and never without leave over something else."""

import os
import stat
import subprocess
import sys
import textwrap

import pytest

from ddcodec import output
from ddcodec.errors import ExistsError, OutputError
from ddcodec.output import check_target, write_target

ROOT = os.geteuid() == 0 if hasattr(os, "geteuid") else False


def test_writes_and_leaves_nothing_else(tmp_path):
    check_target(tmp_path / "a.ddc")
    write_target(tmp_path / "a.ddc", b"content")
    assert os.listdir(tmp_path) == ["a.ddc"]
    assert (tmp_path / "a.ddc").read_bytes() == b"content"


def test_existing_is_refused_before_and_at_the_rename(tmp_path):
    path = tmp_path / "a.ddc"
    check_target(path)
    path.write_bytes(b"someone else was faster")
    for attempt in (lambda: check_target(path), lambda: write_target(path, b"mine")):
        with pytest.raises(OutputError, match=r"a\.ddc exists already; --force \(-f\) replaces it\.$"):
            attempt()
    assert path.read_bytes() == b"someone else was faster"
    assert os.listdir(tmp_path) == ["a.ddc"]


def test_what_comes_between_the_last_look_and_the_name_stays(tmp_path, monkeypatch):
    path = tmp_path / "a.ddc"
    monkeypatch.setattr(output, "_refuse_existing", lambda *_: path.write_bytes(b"another was faster"))
    with pytest.raises(ExistsError, match="exists already"):
        write_target(path, b"mine")
    assert path.read_bytes() == b"another was faster"
    assert os.listdir(tmp_path) == ["a.ddc"]


def test_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no links on this file system")

    monkeypatch.setattr(output.os, "link", refuse)
    write_target(tmp_path / "a.ddc", b"content")
    assert (tmp_path / "a.ddc").read_bytes() == b"content" and os.listdir(tmp_path) == ["a.ddc"]


def test_force_replaces(tmp_path):
    path = tmp_path / "a.ddc"
    path.write_bytes(b"old")
    check_target(path, force=True)
    write_target(path, b"new", force=True)
    assert path.read_bytes() == b"new"


def test_permissions_are_those_of_a_plain_create(tmp_path):
    before = os.umask(0o027)
    try:
        write_target(tmp_path / "a.ddc", b"")
        (tmp_path / "plain").write_bytes(b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "a.ddc").st_mode) == stat.S_IMODE(os.stat(tmp_path / "plain").st_mode) == 0o640


def test_replacing_keeps_the_permissions(tmp_path):
    path = tmp_path / "a.ddc"
    path.write_bytes(b"private")
    path.chmod(0o600)
    write_target(path, b"new", force=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_writes_through_a_symbolic_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    write_target(tmp_path / "link", b"new", force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path / "real") == ["file"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interruption_leaves_nothing(tmp_path, monkeypatch, interruption):
    def interrupt(_):
        assert len(os.listdir(tmp_path)) == 1
        raise interruption

    monkeypatch.setattr(output.os, "fsync", interrupt)
    with pytest.raises(interruption):
        write_target(tmp_path / "a.ddc", b"content")
    assert os.listdir(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path, what in [
        (tmp_path, "is a folder; name a file"),
        (tmp_path / "none" / "a.ddc", "there is no folder"),
        (tmp_path / "file" / "a.ddc", "there is no folder"),
        (tmp_path / ("x" * 300), "cannot be written"),
        ("nul\0byte", "cannot be written"),
        ("", "'' names no file"),
        (f"{tmp_path}/new/", "names no file"),
    ]:
        with pytest.raises(OutputError, match=what) as caught:
            check_target(path)
        assert str(path) in str(caught.value)
    with pytest.raises(OutputError, match="cannot be written"):
        write_target(tmp_path / "none" / "a.ddc", b"")


@pytest.mark.skipif(ROOT, reason="the superuser may write anywhere")
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        check_target(tmp_path / "a.ddc")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a file system in which nobody can create files")
def test_unwritable_file_system():
    with pytest.raises(OutputError, match="cannot be written"):
        check_target("/proc/self/a.ddc")


def test_devices_are_written_to_and_stay(tmp_path):
    check_target("/dev/null")
    write_target("/dev/null", b"content", force=True)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_device():
    with pytest.raises(OutputError, match="/dev/full cannot be written: No space left on device"):
        write_target("/dev/full", b"content")


def run(script, **options):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, **options)


def test_no_room(tmp_path):
    result = run(
        """
        import resource
        from ddcodec.errors import OutputError
        from ddcodec.output import write_target
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_target("a.ddc", bytes(100_000))
        except OutputError as error:
            print(error)
        """,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(output.__file__))},
    )
    assert result.stdout == "a.ddc cannot be written: File too large.\n" and result.stderr == ""
    assert os.listdir(tmp_path) == []


def test_standard_output(capfdbinary):
    check_target("-")
    write_target("-", b"\0\xff\n")
    assert capfdbinary.readouterr().out == b"\0\xff\n"


def test_terminal_gets_no_binary_data(monkeypatch):
    monkeypatch.setattr(output.sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(OutputError, match="Standard output is a terminal; redirect it"):
        check_target("-")
    check_target("-", force=True)


def test_closed_standard_output(monkeypatch):
    monkeypatch.setattr(output.sys, "stdout", None)
    for attempt in (lambda: check_target("-"), lambda: write_target("-", b"content")):
        with pytest.raises(OutputError, match="Standard output is closed"):
            attempt()


def test_closed_pipe():
    """One sentence, and silence when Python flushes at exit."""
    script = """
        import sys
        from ddcodec.errors import OutputError
        from ddcodec.output import write_target
        try:
            write_target("-", bytes(1_000_000))
        except OutputError as error:
            sys.exit(str(error))
        """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(output.__file__))},
    )
    process.stdout.close()
    assert process.stderr.read() == b"Standard output cannot be written: Broken pipe.\n"
    assert process.wait(60) == 1
    process.stderr.close()

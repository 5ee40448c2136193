"""Outputs appear whole or not at all, and never without leave over something else."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ddcodec.errors import ExistsError, OutputError
from ddcodec.jobs import output
from ddcodec.jobs.output import check_target, write_target

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
        with pytest.raises(
            OutputError, match=r"a\.ddc exists already; -o names another output, --force \(-f\) replaces it\.$"
        ):
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
    assert (
        stat.S_IMODE(os.stat(tmp_path / "a.ddc").st_mode) == stat.S_IMODE(os.stat(tmp_path / "plain").st_mode) == 0o640
    )


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


def refusing(number):
    """A function of `os` that fails so, whatever it is to do."""

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.EFBIG, errno.ENOSPC])
def test_no_room(tmp_path, monkeypatch, number):
    monkeypatch.setattr(output, "write_whole", refusing(number))
    for attempt in (lambda: check_target(tmp_path / "a.ddc"), lambda: write_target(tmp_path / "a.ddc", bytes(100_000))):
        with pytest.raises(OutputError, match=rf"a\.ddc cannot be written: {os.strerror(number)}\.$"):
            attempt()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM])
def test_where_nothing_can_be_synced(tmp_path, monkeypatch, number):
    monkeypatch.setattr(output.os, "fsync", refusing(number))
    check_target(tmp_path / "a.ddc")
    assert write_target(tmp_path / "a.ddc", b"content") == ()
    assert (tmp_path / "a.ddc").read_bytes() == b"content" and os.listdir(tmp_path) == ["a.ddc"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, getattr(errno, "EDQUOT", errno.EIO)])
def test_data_that_a_sync_loses(tmp_path, monkeypatch, number):
    (tmp_path / "old").write_bytes(b"old")
    monkeypatch.setattr(output.os, "fsync", refusing(number))
    for attempt in (
        lambda: check_target(tmp_path / "old", force=True),
        lambda: write_target(tmp_path / "old", b"content", force=True),
    ):
        with pytest.raises(OutputError, match=f"old cannot be written: {os.strerror(number)}"):
            attempt()
    assert (tmp_path / "old").read_bytes() == b"old" and os.listdir(tmp_path) == ["old"]


def test_a_folder_without_renames(tmp_path, monkeypatch):
    monkeypatch.setattr(output.os, "replace", refusing(errno.EPERM))
    with pytest.raises(OutputError, match=r"a\.ddc cannot be written: Operation not permitted"):
        check_target(tmp_path / "a.ddc")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_keeps_what_is_made_in_it(tmp_path, monkeypatch):
    """As one that is only to be appended to."""
    monkeypatch.setattr(output.os, "unlink", refusing(errno.EPERM))
    with pytest.raises(OutputError, match="files can be made, but not renamed or removed; (.*) stays") as caught:
        check_target(tmp_path / "a.ddc")
    (left,) = tmp_path.iterdir()
    assert f"; {left} stays." in str(caught.value)


# What becomes of the file that is replaced


def test_a_read_only_file_is_replaced_and_stays_read_only(tmp_path):
    path = tmp_path / "a.ddc"
    path.write_bytes(b"old")
    path.chmod(0o444)
    if os.name == "nt":
        with pytest.raises(OutputError, match="is read-only; Windows does not replace such files"):
            check_target(path, force=True)
        return
    check_target(path, force=True)
    assert write_target(path, b"new", force=True) == ()
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o444


@pytest.mark.parametrize("mode, said", [(0o600, ()), (0o640, ("The permissions of the old {} could not be kept.",))])
def test_where_permissions_cannot_be_set(tmp_path, monkeypatch, mode, said):
    """As on FAT; what was for one user alone is not for all meanwhile."""
    path = tmp_path / "a.ddc"
    path.write_bytes(b"old")
    path.chmod(mode)
    monkeypatch.setattr(output.os, "chmod", refusing(errno.EPERM))
    assert write_target(path, b"new", force=True) == tuple(sentence.format(path) for sentence in said)
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(not ROOT, reason="only the superuser may give files away")
def test_the_owner_is_kept_where_that_may_be(tmp_path, monkeypatch):
    path = tmp_path / "a.ddc"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    assert write_target(path, b"new", force=True) == () and (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)
    monkeypatch.setattr(output.os, "chown", refusing(errno.EPERM))
    assert write_target(path, b"newer", force=True) == (f"The owner of the old {path} could not be kept.",)
    assert path.read_bytes() == b"newer" and path.stat().st_uid == 0


def test_hard_links_are_told(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    os.link(tmp_path / "a", tmp_path / "b")
    assert write_target(tmp_path / "a", b"new", force=True) == (
        f"{tmp_path / 'a'} is a new file now; under its other names (hard links: 1) the old content stays.",
    )
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"new", b"old")


def test_extended_attributes_are_kept(tmp_path, monkeypatch):
    path = tmp_path / "a.ddc"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.origin", b"here")
    except (AttributeError, OSError):
        pytest.skip("needs extended attributes")
    assert write_target(path, b"new", force=True) == () and os.getxattr(path, "user.origin") == b"here"
    monkeypatch.setattr(output.os, "setxattr", refusing(errno.EPERM))
    assert write_target(path, b"newer", force=True) == (
        f"The extended attributes of the old {path} could not be kept.",
    )


def test_a_file_that_is_protected_is_refused_before(tmp_path, monkeypatch):
    path = tmp_path / "a.ddc"
    path.write_bytes(b"old")
    really = os.open

    def protecting(opened, flags, *rest):
        if opened == path:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return really(opened, flags, *rest)

    monkeypatch.setattr(output.os, "open", protecting)
    monkeypatch.setattr(output.os, "geteuid", os.getuid if hasattr(os, "getuid") else int, raising=False)
    with pytest.raises(OutputError, match=r"a\.ddc is protected against changes \(immutable\)"):
        check_target(path, force=True)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.ddc"]


@pytest.mark.skipif(not ROOT, reason="needs several users")
def test_another_users_file_in_a_folder_for_all():
    """As in /tmp: whoever may make files there may not replace those of others."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o1777)
        theirs, own = os.path.join(folder, "theirs"), os.path.join(folder, "own")
        for path in theirs, own:
            Path(path).write_bytes(b"old")
        os.chmod(theirs, 0o666)
        os.chown(own, 12345, 12345)
        child = os.fork()
        if not child:
            try:
                os.setuid(12345)
                check_target(own, force=True)
                write_target(own, b"new", force=True)
                check_target(theirs, force=True)
            except OutputError as error:
                os._exit(0 if "theirs belongs to another user, and in " in str(error) else 2)
            finally:
                os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert Path(own).read_bytes() == b"new" and sorted(os.listdir(folder)) == ["own", "theirs"]


# Open descriptors


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="needs /dev/fd")
@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "/proc/thread-self/fd/{}", "link"])
def test_a_name_of_a_descriptor_is_written_through(tmp_path, name):
    """Not replaced behind the back of who has it open."""
    if not os.path.exists(os.path.dirname(name)) and name != "link":
        pytest.skip("needs /proc")
    path = tmp_path / "file"
    path.write_bytes(b"before ")
    with open(path, "ab") as file:
        name = name.format(file.fileno())
        if name == "link":
            name = tmp_path / "link"
            name.symlink_to(f"/dev/fd/{file.fileno()}")
        check_target(name)
        write_target(name, b"content")
        file.write(b" after")
    assert path.read_bytes() == b"before content after"


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="needs /dev/fd")
def test_descriptors_that_cannot_be_written(tmp_path):
    with open(os.devnull, "rb") as file:
        for number in file.fileno(), 1000:
            with pytest.raises(OutputError, match=f"/dev/fd/{number} cannot be written: Bad file descriptor"):
                check_target(f"/dev/fd/{number}")


# What killed runs leave


def test_what_a_killed_run_left_goes_when_nobody_writes_it(tmp_path):
    output.sweep.cache_clear()
    left, young, locked = (tmp_path / f".ddcodec-{letter * 12}.part" for letter in "abc")
    for part in left, young, locked:
        part.write_bytes(b"half")
    for part in left, locked:
        os.utime(part, (0, 0))
    other = tmp_path / "ddcodec-of-others.part"
    other.write_bytes(b"")
    os.utime(other, (0, 0))
    with open(locked, "rb") as file:
        output._lock(file)
        check_target(tmp_path / "a.ddc")
        assert sorted(os.listdir(tmp_path)) == sorted([young.name, locked.name, other.name])


def test_a_part_that_is_written_is_locked(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    seen = []

    def look(_):
        (part,) = tmp_path.iterdir()
        with open(part, "rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen.append(part.name)

    monkeypatch.setattr(output.os, "fsync", look)
    write_target(tmp_path / "a.ddc", b"content")
    assert len(seen) == 1 and os.listdir(tmp_path) == ["a.ddc"]


# Standard output


def test_standard_output(capfdbinary):
    check_target("-")
    write_target("-", b"\0\xff\n")
    assert capfdbinary.readouterr().out == b"\0\xff\n"


def test_terminal_gets_no_binary_data(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(OutputError, match="Standard output is a terminal; redirect it"):
        check_target("-")
    check_target("-", force=True)


# Signals


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize(
    "names, ignored, code",
    [
        (["SIGTERM"], "", 143),
        (["SIGHUP"], "", 129),
        (["SIGXCPU"], "", 152),
        (["SIGTERM", "SIGHUP"], "", 129),  # Both at once: the lower number comes first.
        (["SIGHUP"], "SIGHUP", 0),
        (["SIGTERM"], "SIGTERM", 0),
    ],
)
def test_a_signal_while_a_file_is_written(tmp_path, names, ignored, code):
    """Nothing is left behind; what was ignored at the start, as by nohup, stays so."""
    script = """if True:
        import os, signal, sys
        from ddcodec.jobs import output
        from ddcodec.cli import main
        names, ignored = (argument.split() for argument in sys.argv[1:3])
        for name in ignored:
            signal.signal(getattr(signal, name), signal.SIG_IGN)

        def sync(_):
            if not os.path.exists("seen"):
                return open("seen", "w").close()  # That was the trial before the work.
            assert any(name.endswith(".part") for name in os.listdir())
            signal.pthread_sigmask(signal.SIG_BLOCK, [getattr(signal, name) for name in names])
            for name in names:
                os.kill(os.getpid(), getattr(signal, name))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [getattr(signal, name) for name in names])

        output.os.fsync = sync
        sys.argv[1:] = ["decode", sys.argv[3], "-o", "out.png"]
        main()
        """
    coded = Path(__file__).parent / "vectors" / "valid" / "default_24x16.ddc"
    command = [sys.executable, "-c", script, " ".join(names), ignored, str(coded)]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(output.__file__).parents[2])},
        stderr=subprocess.PIPE,
    )
    assert result.returncode == code, result.stderr
    assert sorted(os.listdir(tmp_path)) == (["seen"] if code else ["out.png", "seen"])

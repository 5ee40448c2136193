"""Writing of results: a file appears under its name whole or not at all.

Devices, pipes and open descriptors are written to as they are.
"""

import errno
import os
import stat
from functools import cache
from glob import escape, glob
from os import PathLike
from time import time

from ..errors import ExistsError, OutputError
from .streams import check_standard_output, write_standard_output, write_whole

try:
    import fcntl
except ImportError:  # Windows, where nobody can remove a file that is open.
    fcntl = None  # type: ignore[assignment]

STANDARD_OUTPUT = "-"
"""The path that stands for standard output."""

TEMPORARY = ".ddcodec-*.part"
"""Pattern of the names of files that are being written."""

SECONDS_TO_LOCK = 60
"""Age in seconds below which a part may be without its lock: it was just created, or is getting its name."""

CANNOT_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.EROFS}
"""Error numbers of systems that cannot sync a file. With any other (EIO, ENOSPC, EDQUOT) data may be lost."""

LINKS_MAX = 40
"""Symbolic links in a row that are followed, as on Linux."""


def check_target(path: str | PathLike[str], *, force: bool = False) -> None:
    """Refuse a target that could not be written, before the long work starts.

    The steps at the end of that work are tried now.

    path: the place of the result; "-" (a string) is standard output. force: an existing file is replaced.

    Raises `ExistsError` if the file exists and not `force`. Raises `OutputError` if it is a folder or cannot be
    replaced, or if its folder does not exist or cannot be written to.
    """
    descriptor = _descriptor(path)
    if descriptor == 1:
        return check_standard_output(force)
    if descriptor is not None:
        return _write_open(path, descriptor, b"")
    if not os.path.basename(path):
        raise OutputError(f"'{os.fspath(path)}' names no file.")
    status = _status(path)
    if status is None or stat.S_ISREG(status.st_mode):
        _refuse_existing(path, status, force)
        folder = _check_folder(path)
        if status is not None:
            _check_replaceable(path, status, folder)
    elif stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{os.fspath(path)} is a folder; name a file.")


def is_standard_output(path: str | PathLike[str]) -> bool:
    """Whether a path stands for standard output.

    It is "-" (a string), or a name of the descriptor, such as /dev/stdout.
    """
    return _descriptor(path) == 1


def make_folder_of(path: str) -> None:
    """Make the folder of a file and those above it, where they do not exist. Raises `OutputError`."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder or ".", exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror or error}.") from None


def write_target(path: str | PathLike[str], data: bytes, *, force: bool = False) -> tuple[str, ...]:
    """Write all of `data` to a file, or to standard output.

    A file is written beside its final name, synced where the system can, and then given that name. So nobody ever sees
    half of it. An interrupt leaves no trace; what a kill leaves, `sweep` removes. Of two who write a file without
    `force` one is refused, where files can have hard links.

    The file has the permissions of a plain create. If it replaces a file, it takes over permissions, and owner and
    extended attributes where that is allowed. A read-only file is replaced if its folder allows it.

    Devices, pipes and open descriptors (/dev/stdout, /dev/fd/N) are written to directly.

    path: "-" (a string) is standard output. force: an existing file is replaced.

    Returns sentences on what was not kept of the file before. Raises `OutputError`, and `ExistsError` if the file
    exists and not `force`.
    """
    descriptor = _descriptor(path)
    if descriptor == 1:
        write_standard_output(data)
        return ()
    if descriptor is not None:
        _write_open(path, descriptor, data)
        return ()
    status = _status(path)
    try:
        if status is None or stat.S_ISREG(status.st_mode):
            return _replace(path, data, force)
        with open(path, "wb", buffering=0) as file:
            write_whole(file, data)
    except OSError as error:
        raise _unwritable(path, error) from None
    return ()


@cache
def sweep(folder: str) -> None:
    """Remove the parts that killed runs have left in a folder, once in this process.

    A part that somebody still writes is locked, and stays.
    """
    for path in glob(os.path.join(escape(folder), TEMPORARY)):
        try:
            with open(path, "rb+") as file:
                abandoned = time() - os.fstat(file.fileno()).st_mtime > SECONDS_TO_LOCK and _lock(file)
        except OSError:
            continue  # Another user's, or it has gone meanwhile.
        if abandoned:
            _remove(path)


def _descriptor(path):
    """Return N if a path names this process's open descriptor N, 1 for "-", else None.

    Such names are /dev/stdout, /dev/fd/N, and links to them. They may lead on to a file. It must not be replaced then:
    whoever opened it would keep the old one.
    """
    if path == STANDARD_OUTPUT:
        return 1
    own = {
        os.path.realpath(f"{folder}/fd") for folder in ("/dev", "/proc/self", "/proc/thread-self") if os.name == "posix"
    }
    try:
        for _ in range(LINKS_MAX):
            folder, name = os.path.split(path)
            folder = os.path.realpath(folder)
            if folder in own:
                return int(name) if name.isdecimal() else None
            path = os.path.join(folder, os.readlink(os.path.join(folder, name)))
    except (OSError, ValueError):
        pass  # The path is no link any more. If it leads nowhere, its use will raise.
    return None


def _write_open(path, descriptor, data):
    """Write to an open descriptor at its position; b"" only tries whether it can be written to."""
    try:
        with open(descriptor, "wb", buffering=0, closefd=False) as file:
            write_whole(file, data)
    except OSError as error:
        raise _unwritable(path, error) from None


def _replace(path, data, force):
    # A plain write would follow a symbolic link to the file it names, too.
    target = os.path.realpath(path)
    old = _status(target) if force else None
    temporary = _temporary_in(os.path.dirname(target))
    notes = ()
    try:
        with open(_create(temporary, private=old is not None), "wb", buffering=0) as file:
            _lock(file)
            write_whole(file, data)
            _sync(file)
        if old is not None:
            notes = _handed_down(old, target, temporary, os.fspath(path))
        _refuse_existing(path, _status(target), force)
        if not force and _linked(temporary, target):
            _remove(temporary)
        else:
            os.replace(temporary, target)
    except FileExistsError as error:
        _remove(temporary)
        raise _exists(path) from error
    except BaseException:
        _remove(temporary)
        raise
    return notes


def _sync(file):
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise


def _handed_down(old, target, temporary, name):
    """Give a new file the owner, extended attributes and permissions of the one it replaces, where that is allowed.

    old: status of the old file. Returns sentences on what is not kept.
    """
    lost = []
    status = os.stat(temporary)
    if (old.st_uid, old.st_gid) != (status.st_uid, status.st_gid) and not _owned(temporary, old.st_uid, old.st_gid):
        # The user may still give the file to a group of their own.
        _owned(temporary, -1, old.st_gid)
        lost.append("owner")
    if hasattr(os, "listxattr") and not _attributes_copied(target, temporary):
        lost.append("extended attributes")
    try:
        os.chmod(temporary, stat.S_IMODE(old.st_mode) & 0o777)
    except OSError:
        pass  # FAT, for one, has no permissions. The result is compared below.
    if (os.stat(temporary).st_mode ^ old.st_mode) & 0o777:
        lost.append("permissions")
    notes = [f"The {' and '.join(lost)} of the old {name} could not be kept."] if lost else []
    if old.st_nlink > 1:
        notes.append(
            f"{name} is a new file now; under its other names (hard links: {old.st_nlink - 1}) the old content stays."
        )
    return tuple(notes)


def _owned(path, user, group):
    try:
        os.chown(path, user, group)
        return True
    except (OSError, AttributeError):
        return False


def _attributes_copied(old, new):
    """Copy the extended attributes of users and the access control list. Returns whether all are copied."""
    try:
        names = [name for name in os.listxattr(old) if name.startswith("user.") or name == "system.posix_acl_access"]
    except OSError:
        return True  # There are none here.
    try:
        for name in names:
            os.setxattr(new, name, os.getxattr(old, name))
        return True
    except OSError:
        return False


def _linked(temporary, target):
    """Give a finished file its name with a hard link. Returns False where files cannot have two names.

    Unlike a rename, a link never replaces a file that has just come there. It raises `FileExistsError`.
    """
    try:
        os.link(temporary, target)
        return True
    except FileExistsError:
        raise
    except (OSError, AttributeError):
        return False


def _temporary_in(folder):
    return os.path.join(folder, TEMPORARY.replace("*", os.urandom(6).hex()))


def _create(path, private=False):
    """Create a file that did not exist, and return its descriptor.

    It has the permissions of a plain `open`, or is for this user alone if `private`.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600 if private else 0o666)


def _lock(file):
    """Lock a file for this process until it is closed. Returns whether that succeeded.

    On Windows, which has no such locks, it always succeeds. There `sweep` cannot remove a file that is open.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False


def _remove(path):
    try:
        os.unlink(path)
    except OSError:
        pass  # The file was never created, or its folder has gone.


def _status(path):
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def _refuse_existing(path, status, force):
    if status is not None and not force:
        raise _exists(path)


def _exists(path):
    return ExistsError(f"{os.fspath(path)} exists already; -o names another output, --force (-f) replaces it.")


def _unwritable(path, error):
    return OutputError(f"{os.fspath(path)} cannot be written: {getattr(error, 'strerror', None) or error}.")


def _check_folder(path):
    """Check that files can be made, renamed and removed in the folder of `path`, and return that folder.

    This is tried rather than asked. Permission bits say nothing about read-only mounts, quotas or the superuser.
    """
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise OutputError(f"{os.fspath(path)} cannot be written: there is no folder {folder}.")
    sweep(folder)
    trial, renamed = _temporary_in(folder), _temporary_in(folder)
    try:
        with open(_create(trial), "wb", buffering=0) as file:
            write_whole(file, b"trial")
            _sync(file)
        os.replace(trial, renamed)
        os.unlink(renamed)
    except OSError as error:
        _remove(trial)
        for name in filter(os.path.exists, (trial, renamed)):
            raise OutputError(
                f"{os.fspath(path)} cannot be written: in {folder} files can be made, but not renamed or removed; "
                f"{name} stays."
            ) from None
        raise _unwritable(path, error) from None
    except BaseException:
        _remove(trial)
        _remove(renamed)
        raise
    return folder


def _check_replaceable(path, status, folder):
    """Refuse a file whose protection only the rename at the end would meet.

    Nothing is tried on the file itself that could change it.
    """
    if not hasattr(os, "geteuid"):
        if not os.access(path, os.W_OK):
            raise OutputError(f"{os.fspath(path)} is read-only; Windows does not replace such files.")
        return
    if os.stat(folder).st_mode & stat.S_ISVTX and os.geteuid() not in (0, status.st_uid, os.stat(folder).st_uid):
        raise OutputError(f"{os.fspath(path)} belongs to another user, and in {folder} only that one may replace it.")
    try:
        os.close(os.open(path, os.O_WRONLY))
    except PermissionError as error:
        # EPERM is a file that is immutable or append-only. EACCES is a read-only file, which can be replaced.
        if error.errno == errno.EPERM:
            raise OutputError(
                f"{os.fspath(path)} is protected against changes (immutable): {error.strerror}."
            ) from None
    except OSError:
        pass  # For one, a program that is running; a rename leaves it alone.

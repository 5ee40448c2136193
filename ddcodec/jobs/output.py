"""Writing results: a file appears under its name whole or not at all; devices, pipes and open descriptors are written
to as they are.
"""

import errno
import os
import stat
from functools import cache
from glob import escape, glob
from time import time

from ..errors import ExistsError, OutputError
from .streams import check_standard_output, write_standard_output, write_whole

try:
    import fcntl
except ImportError:  # Windows, where nobody can remove a file that is open.
    fcntl = None

STANDARD_OUTPUT = "-"
TEMPORARY = ".ddcodec-*.part"
"""Names of files that are being written."""
SECONDS_TO_LOCK = 60
"""A part that is younger may be without its lock: it was created just now, or is getting its name."""

CANNOT_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.EROFS}
"""What systems answer that do not sync such files; of all else (EIO, ENOSPC, EDQUOT) data may be lost."""

LINKS_MAX = 40
"""Symbolic links behind one another that are followed, as Linux does."""


def check_target(path, *, force=False):
    """Refuse a target that could not be written, before the long work starts: what its end will do is tried.

    path: where the result shall go; "-" (a string) is standard output. Raises `ExistsError` if the file exists and not
    `force`, `OutputError` if it is a folder, if its folder does not exist or cannot be written to, or if what is there
    cannot be replaced.
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


def is_standard_output(path):
    """Whether a path stands for standard output: "-" (a string), or a name of its descriptor, such as /dev/stdout."""
    return _descriptor(path) == 1


def make_folder_of(path):
    """Make the folder that a file is to go to, and those above it, where they are not there. Raises `OutputError`."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder or ".", exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror or error}.") from None


def write_target(path, data, *, force=False):
    """Write all of `data` (bytes) to `path`, or to standard output if it is "-" (a string).

    Raises `OutputError`, `ExistsError` if it exists and not `force`.

    A file is written beside its final name, synced where the system can, and given that name, so that nobody ever sees
    half of it; whatever interrupts this leaves no trace (what a kill leaves `sweep` removes), and of two who write it
    without `force` one is refused (where files can have hard links). Its permissions are those of a plain create, or
    those of the file it replaces, as are owner and extended attributes where that is allowed. Of a read-only file only
    the folder is asked. Devices, pipes and open descriptors (/dev/stdout, /dev/fd/N) are written to directly. Returns
    sentences on what was not kept of the file before.
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
def sweep(folder):
    """Remove what killed runs have left in a folder, once in this process: parts that nobody writes any more."""
    for path in glob(os.path.join(escape(folder), TEMPORARY)):
        try:
            with open(path, "rb+") as file:
                abandoned = time() - os.fstat(file.fileno()).st_mtime > SECONDS_TO_LOCK and _lock(file)
        except OSError:
            continue  # Another user's, or it has gone meanwhile.
        if abandoned:
            _remove(path)


def _descriptor(path):
    """The number N if a path is a name of this process's open descriptor N (/dev/stdout, /dev/fd/N, a link to one), 1
    for "-", else None.

    Such a name may lead on to a file, which must not be replaced then: whoever opened it would keep the old one.
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
        pass  # It is no link any more; where it leads nowhere, its use will tell.
    return None


def _write_open(path, descriptor, data):
    """Write to an open descriptor, where it stands; b"" only tries whether it can be written to."""
    try:
        with open(descriptor, "wb", buffering=0, closefd=False) as file:
            write_whole(file, data)
    except OSError as error:
        raise _unwritable(path, error) from None


def _replace(path, data, force):
    # Through a symbolic link to the file it names, as a plain write would go.
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
    """Give a new file the owner, extended attributes and permissions of the one it replaces, where that may be;
    sentences on what is not kept. old: that one's status.
    """
    lost = []
    status = os.stat(temporary)
    if (old.st_uid, old.st_gid) != (status.st_uid, status.st_gid) and not _owned(temporary, old.st_uid, old.st_gid):
        # A group that one is in oneself can be kept all the same.
        _owned(temporary, -1, old.st_gid)
        lost.append("owner")
    if hasattr(os, "listxattr") and not _attributes_copied(target, temporary):
        lost.append("extended attributes")
    try:
        os.chmod(temporary, stat.S_IMODE(old.st_mode) & 0o777)
    except OSError:
        pass  # On FAT, say, there are none; what came of it counts.
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
    """Whether the extended attributes of users, and the access control list, are those of another file now."""
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
    """Give a finished file its name, which, unlike a rename, never replaces what has just come there
    (`FileExistsError`); False where files cannot have two names.
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
    """A descriptor of a file that did not exist, with the permissions that a plain `open` would give it, or for oneself
    alone.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600 if private else 0o666)


def _lock(file):
    """Whether this process has a file for itself now, until it closes it.

    Where there are no locks, `sweep` takes no file.
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
        pass  # It was never created, or its folder has gone: there is nothing to clean up.


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
    """The folder that a file will be in.

    Try rather than ask: permission bits say nothing about read-only mounts, quotas or the superuser.
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
    """Refuse a file that only a rename at the end would find protected.

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
        # Immutable or only to be appended to; EACCES is a read-only file, which can be replaced.
        if error.errno == errno.EPERM:
            raise OutputError(
                f"{os.fspath(path)} is protected against changes (immutable): {error.strerror}."
            ) from None
    except OSError:
        pass  # A program that runs just now, say, which a rename leaves alone.

"""Writing results: a file appears under its name whole or not at all; standard output gets bytes and nothing else."""

import os
import stat
import sys

from .errors import ExistsError, OutputError

STANDARD_OUTPUT = "-"
TEMPORARY = ".ddcodec-*.part"
"""Names of files that are being written."""


def check_target(path, *, force=False):
    """Refuse a target that could not be written, before the long work starts.

    path: where the result shall go; "-" (a string) is standard output. Raises `ExistsError` if the file exists and not `force`,
    `OutputError` if it is a folder, or if its folder does not exist or cannot be written to.
    """
    if path == STANDARD_OUTPUT:
        return _check_standard_output(force)
    if not os.path.basename(path):
        raise OutputError(f"'{os.fspath(path)}' names no file.")
    status = _status(path)
    if status is None or stat.S_ISREG(status.st_mode):
        _refuse_existing(path, status, force)
        _check_folder(path)
    elif stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{os.fspath(path)} is a folder; name a file.")


def make_folder_of(path):
    """Make the folder that a file is to go to, and those above it, where they are not there. Raises `OutputError`."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder or ".", exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror or error}.") from None


def write_target(path, data, *, force=False):
    """Write all of `data` (bytes) to `path`, or to standard output if it is "-" (a string). Raises `OutputError`, `ExistsError` if it exists and not `force`.

    A file is written beside its final name, synced and given that name, so that nobody ever sees half of it; whatever interrupts this
    leaves no trace, and of two who write it without `force` one is refused (where files can have hard links). Its permissions are those of a plain create, or those of the file it replaces. Devices and pipes are
    written to directly.
    """
    if path == STANDARD_OUTPUT:
        return write_standard_output(data)
    status = _status(path)
    try:
        if status is None or stat.S_ISREG(status.st_mode):
            _replace(path, data, force)
        else:
            with open(path, "wb") as file:
                file.write(data)
    except OSError as error:
        raise OutputError(f"{os.fspath(path)} cannot be written: {error.strerror or error}.") from None


def write_standard_output(data):
    """Write bytes to standard output and flush. Raises `OutputError`, a closed pipe included."""
    if sys.stdout is None:
        raise OutputError("Standard output is closed.")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except OSError as error:
        silence_standard_output()
        raise OutputError(f"Standard output cannot be written: {error.strerror or error}.") from None


def silence_standard_output():
    """Send what is still buffered for a closed pipe to nowhere, or Python would complain about it once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _replace(path, data, force):
    # Through a symbolic link to the file it names, as a plain write would go.
    target = os.path.realpath(path)
    temporary = _temporary_in(os.path.dirname(target))
    try:
        with open(_create(temporary), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        status = _status(target)
        _refuse_existing(path, status, force)
        if status is not None:
            os.chmod(temporary, stat.S_IMODE(status.st_mode))
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


def _linked(temporary, target):
    """Give a finished file its name, which, unlike a rename, never replaces what has just come there (`FileExistsError`); False where files cannot have two names."""
    try:
        os.link(temporary, target)
        return True
    except FileExistsError:
        raise
    except (OSError, AttributeError):
        return False


def _temporary_in(folder):
    return os.path.join(folder, TEMPORARY.replace("*", os.urandom(6).hex()))


def _create(path):
    """A descriptor of a file that did not exist, with the permissions that a plain `open` would give it."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)


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
        raise OutputError(f"{os.fspath(path)} cannot be written: {getattr(error, 'strerror', None) or error}.") from None


def _refuse_existing(path, status, force):
    if status is not None and not force:
        raise _exists(path)


def _exists(path):
    return ExistsError(f"{os.fspath(path)} exists already; --force (-f) replaces it.")


def _check_folder(path):
    """Try rather than ask: permission bits say nothing about read-only mounts, quotas or the superuser."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise OutputError(f"{os.fspath(path)} cannot be written: there is no folder {folder}.")
    trial = _temporary_in(folder)
    try:
        os.close(_create(trial))
    except OSError as error:
        raise OutputError(f"{os.fspath(path)} cannot be written: {error.strerror or error}.") from None
    finally:
        _remove(trial)


def _check_standard_output(force):
    if sys.stdout is None:
        raise OutputError("Standard output is closed.")
    if sys.stdout.isatty() and not force:
        raise OutputError("Standard output is a terminal; redirect it to a file or a pipe, or add --force (-f).")

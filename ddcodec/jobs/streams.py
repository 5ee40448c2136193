"""The standard streams: a closed one belongs to no file, and standard output takes all that it is given or raises."""

import errno
import io
import os
import select
import sys

from ..errors import OutputError

BACKSLASHES = "backslashreplace"
"""What an encoding lacks becomes an escape."""
PIECE = 2**20
"""Bytes that are read at once, at most."""

NOWHERE = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}
"""How the null device stands in for each closed stream: input and output in the wrong direction, so that their use
fails.
"""

SENTENCES = {
    errno.EBADF: "Standard output is closed.",
    errno.EPIPE: "Standard output was closed before everything was written.",
    errno.ENOSPC: "Standard output cannot be written: no space is left.",
}


class StandardOutputError(Exception):
    """Standard output is closed, or has not taken all: the end of a command, whatever file it is at.

    Its text is a sentence, made of an `OSError`; unread: whether a reader has gone.
    """

    def __init__(self, error):
        self.unread = error.errno == errno.EPIPE
        super().__init__(SENTENCES.get(error.errno, f"Standard output cannot be written: {error.strerror}."))


def prepare_streams():
    """Make the standard streams of this process fit for a command; to be called once, before it opens any file.

    Where descriptor 0, 1 or 2 is closed, the next file would get it, and what is meant for the stream: they lead
    nowhere now. `sys.stdout` may be missing, or take only a part of a write where Python is unbuffered or the other end
    does not block: now it takes all, or raises `StandardOutputError`.
    """
    for descriptor, way in NOWHERE.items():
        try:
            os.fstat(descriptor)
        except OSError:
            # A file gets the lowest descriptor that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, way), True)
    # Without it click says on standard output what is for standard error.
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", errors=BACKSLASHES, closefd=False)
    before = sys.stdout
    if before is None:
        sys.stdout = io.TextIOWrapper(_Whole(io.FileIO(1, "w", closefd=False)), "utf-8", BACKSLASHES)
    else:
        raw = getattr(before.buffer, "raw", before.buffer)
        sys.stdout = io.TextIOWrapper(_Whole(raw), before.encoding, BACKSLASHES, line_buffering=before.line_buffering)


class Writer(io.RawIOBase):
    """A raw stream that writes to another, in a way that its heirs say."""

    def __init__(self, raw):
        self._raw = raw

    def writable(self):
        return True

    def fileno(self):
        return self._raw.fileno()

    def isatty(self):
        return self._raw.isatty()


class _Whole(Writer):
    """Takes all bytes of a write."""

    def write(self, data):
        try:
            write_whole(self._raw, data)
        except OSError as error:
            raise StandardOutputError(error) from error
        return len(data)


def write_whole(raw, data):
    """Write all bytes of `data` to a raw stream, waiting where its other end does not block; `write` itself may take a
    part, or nothing. Raises `OSError`.
    """
    left = memoryview(data)
    while True:
        count = raw.write(left)
        if count is None:
            select.select([], [raw], [])
            continue
        left = left[count:]
        if not left:
            return


def read_some(raw, count):
    """Up to `count` bytes of a raw stream, less only at its end. Raises `OSError`."""
    parts, left = [], count
    while left:
        part = raw.read(min(left, PIECE))
        if part is None:
            select.select([raw], [], [])
            continue
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def check_standard_output(force):
    """Raise `OutputError` if standard output takes nothing, or is a terminal and not `force`."""
    write_standard_output(b"")
    if sys.stdout.isatty() and not force:
        raise OutputError("Standard output is a terminal; redirect it to a file or a pipe, or add --force (-f).")


def write_standard_output(data):
    """Write all of `data` (bytes) to standard output; b"" only tries whether it takes any. Raises `OutputError`."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except StandardOutputError as error:
        raise OutputError(str(error)) from None

"""The standard streams of a command.

A closed stream never becomes a file's descriptor. Standard output takes all that it is given, or raises.
"""

import errno
import io
import os
import select
import sys
from typing import Any

from ..errors import OutputError

BACKSLASHES = "backslashreplace"
"""Python's way with characters that an encoding lacks: they become escapes."""

PIECE = 2**20
"""Most bytes that are read at once."""

NOWHERE = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}
"""Closed stream -> how the null device is opened in its place.

Input is opened for writing and output for reading, so that any use of them fails.
"""

SENTENCES: dict[int | None, str] = {
    errno.EBADF: "Standard output is closed.",
    errno.EPIPE: "Standard output was closed before everything was written.",
    errno.ENOSPC: "Standard output cannot be written: no space is left.",
}
"""Error number -> what is said when standard output fails with it."""


class StandardOutputError(Exception):
    """Standard output is closed, or has not taken all bytes.

    It ends a command, whatever file that is working on. Its text is a sentence.

    unread: the reader of a pipe has gone.
    """

    def __init__(self, error: OSError) -> None:
        """Make the sentence of an `OSError`."""
        self.unread = error.errno == errno.EPIPE
        super().__init__(SENTENCES.get(error.errno, f"Standard output cannot be written: {error.strerror}."))


def prepare_streams() -> None:
    """Make the standard streams of this process fit for a command.

    This is called once, before the process opens any file. If descriptor 0, 1 or 2 is closed, the next file would get
    it, and with it the bytes for that stream. They lead nowhere now.

    `sys.stdout` may be missing. It may also take only a part of a write, if Python is unbuffered or the other end does
    not block. Now it takes all, or raises `StandardOutputError`.
    """
    for descriptor, way in NOWHERE.items():
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free descriptor is this one, so that `open` takes it.
            os.set_inheritable(os.open(os.devnull, way), True)
    # Without a standard error click writes its messages to standard output.
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", errors=BACKSLASHES, closefd=False)
    before = sys.stdout
    if before is None:
        sys.stdout = io.TextIOWrapper(_Whole(io.FileIO(1, "w", closefd=False)), "utf-8", BACKSLASHES)
    else:
        raw = getattr(before.buffer, "raw", before.buffer)
        sys.stdout = io.TextIOWrapper(
            _Whole(raw), before.encoding, BACKSLASHES, line_buffering=bool(before.line_buffering)
        )


class Writer(io.RawIOBase):
    """A raw stream that writes to another one. Subclasses define `write`."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def writable(self) -> bool:
        """Whether bytes can be written: always."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the other stream. Raises `OSError` if it has none."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether the other stream is a terminal."""
        return self._raw.isatty()


class _Whole(Writer):
    """A raw stream that takes all bytes of a write."""

    def write(self, data):
        try:
            write_whole(self._raw, data)
        except OSError as error:
            raise StandardOutputError(error) from error
        return len(data)


def write_whole(raw: Any, data: bytes | memoryview) -> None:
    """Write all bytes of `data` to a raw stream. Raises `OSError`.

    `write` itself may take a part, or nothing if the other end does not block. Then this waits.
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


def read_some(raw: Any, count: int) -> bytes:
    """Read `count` bytes of a raw stream; fewer only at its end. Raises `OSError`."""
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


def check_standard_output(force: bool) -> None:
    """Raise `OutputError` if standard output takes nothing, or if it is a terminal and not `force`."""
    write_standard_output(b"")
    if sys.stdout.isatty() and not force:
        raise OutputError("Standard output is a terminal; redirect it to a file or a pipe, or add --force (-f).")


def write_standard_output(data: bytes) -> None:
    """Write all of `data` to standard output; b"" only tries whether it takes any. Raises `OutputError`."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except StandardOutputError as error:
        raise OutputError(str(error)) from None

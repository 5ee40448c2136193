"""Standard error of a command: a sentence on it never stops the work, and libraries do not write to it."""

import io
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from ..jobs.streams import BACKSLASHES, Writer


def prepare_talk() -> None:
    """Make standard error take every character, and go on without an error when it is full.

    The user gets one sentence of ours on a picture, and none of a library's. So descriptor 2, to which libraries in C
    write, leads nowhere, and so do logs. `let_libraries_speak` takes that back.
    """
    logging.getLogger().addHandler(_LIBRARIES)
    _LIBRARIES.say = None
    if sys.stderr is sys.__stderr__:
        sys.stderr = _Said(sys.stderr)


def let_libraries_speak(say: Callable[[str], None]) -> None:
    """Lead descriptor 2 to standard error again, and call `say` with each line of a log."""
    _LIBRARIES.say = say
    if isinstance(sys.stderr, _Said):
        os.dup2(sys.stderr.fileno(), 2)


def _lead_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


class _Libraries(logging.Handler):
    """A handler of logs: what libraries log goes to the function `say`, or nowhere."""

    say: Callable[[str], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.say:
            self.say(f"{record.name}: {record.getMessage()}")


_LIBRARIES = _Libraries(logging.WARNING)


class _Said(io.TextIOWrapper):
    """Standard error behind a descriptor of its own; its writers never hear that it takes no more."""

    def __init__(self, stream: Any) -> None:
        raw = open(os.dup(stream.fileno()), "wb", buffering=0)
        super().__init__(io.BufferedWriter(_Deaf(raw)), stream.encoding, BACKSLASHES, line_buffering=True)
        stream.flush()
        _lead_nowhere(stream.fileno())


class _Deaf(Writer):
    """A raw stream that hands on what is written, and drops what cannot be."""

    def write(self, data: Any) -> int:
        try:
            return self._raw.write(data)
        except OSError:
            return len(data)

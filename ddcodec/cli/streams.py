"""Standard error of a command: what it says can always be said, and is never what stops the work; libraries beside it
say nothing.
"""

import io
import logging
import os
import sys

from ..jobs.streams import BACKSLASHES, Writer


def prepare_talk():
    """Make standard error fit for whatever is to be said: it takes every character, and everything, even if it is full.

    What libraries say of a picture is not for the user, who gets one sentence of ours: descriptor 2, to which those in
    C write, leads nowhere, and so do logs. `let_libraries_speak` takes that back.
    """
    logging.getLogger().addHandler(_LIBRARIES)
    _LIBRARIES.say = None
    if sys.stderr is sys.__stderr__:
        sys.stderr = _Said(sys.stderr)


def let_libraries_speak(say):
    """Lead descriptor 2 to standard error again, and call `say` with each line of a log."""
    _LIBRARIES.say = say
    if isinstance(sys.stderr, _Said):
        os.dup2(sys.stderr.fileno(), 2)


def _lead_nowhere(number):
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


class _Libraries(logging.Handler):
    """What libraries log goes to the function `say`, or nowhere."""

    say = None

    def emit(self, record):
        if self.say:
            self.say(f"{record.name}: {record.getMessage()}")


_LIBRARIES = _Libraries(logging.WARNING)


class _Said(io.TextIOWrapper):
    """Standard error behind a descriptor of its own, whose writers never hear that it takes no more."""

    def __init__(self, stream):
        raw = open(os.dup(stream.fileno()), "wb", buffering=0)
        super().__init__(io.BufferedWriter(_Deaf(raw)), stream.encoding, BACKSLASHES, line_buffering=True)
        stream.flush()
        _lead_nowhere(stream.fileno())


class _Deaf(Writer):
    """Hands on what is written; what cannot be is gone."""

    def write(self, data):
        try:
            return self._raw.write(data)
        except OSError:
            return len(data)

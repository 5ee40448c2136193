"""Files that a command line names: `-` for the standard streams, and the names that are left out.

Paths stay strings here: `pathlib` would turn `./-`, a file, into `-`, a stream.
"""

import os
import sys
from contextlib import contextmanager

import click

from ..errors import DdcError, SourceError, UsageError
from ..output import check_target

STANDARD = "-"


def name_of(path):
    """What messages call an input."""
    return "standard input" if path == STANDARD else click.format_filename(path)


def read_input(path):
    """All bytes of a file or of standard input. Raises `SourceError`."""
    if path != STANDARD:
        from ..pictures import read_file

        return read_file(path)
    if sys.stdin is None:
        raise SourceError("Standard input is closed.")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise SourceError(f"Standard input cannot be read: {error.strerror or error}.") from None


def prepare_output(talk, input_, output, extension, force):
    """The path to write to, checked: `output`, or the input's name with `extension`, or standard output for standard input."""
    if output is None:
        output = STANDARD if input_ == STANDARD else os.path.splitext(input_)[0] + extension
    if output == STANDARD and talk.json:
        raise UsageError("The data and --json both want standard output; name a file with -o.")
    if STANDARD not in (input_, output) and os.path.exists(input_) and os.path.exists(output) and os.path.samefile(input_, output):
        raise UsageError(f"{name_of(output)} is the input itself; name another output with -o.")
    check_target(output, force=force)
    return output


@contextmanager
def naming(path):
    """Put the name of the file before the sentence of an error that does not know it."""
    try:
        yield
    except DdcError as error:
        raise type(error)(f"{name_of(path)}: {error}") from error

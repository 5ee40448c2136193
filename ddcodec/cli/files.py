"""Files that a command line names: `-` for the standard streams, and the names that are left out.

Paths stay strings here: `pathlib` would turn `./-`, a file, into `-`, a stream.
"""

import os
import sys
from contextlib import contextmanager

import click

from ..errors import DamagedError, DdcError, SourceError, UsageError
from ..jobs.files import named_after
from ..jobs.input import read_whole
from ..jobs.output import check_target, is_standard_output, write_target

STANDARD = "-"
SOME_FAILED = 1


def name_of(path):
    """What messages call an input."""
    return "standard input" if path == STANDARD else path


def passage(input_, output):
    """What messages call the way from an input to an output."""
    return f"{name_of(input_)} -> {'standard output' if output == STANDARD else output}"


def read_input(path, wanted):
    """The bytes of a file or of standard input, as `input.read_whole` reads them. Raises `SourceError`,
    `LimitError`.
    """
    if path != STANDARD:
        from ..pictures.read import read_file

        return read_file(path, wanted)
    if sys.stdin is None:
        raise SourceError("Standard input is closed.")
    try:
        return read_whole(getattr(sys.stdin.buffer, "raw", sys.stdin.buffer), "Standard input", wanted)
    except OSError as error:
        raise SourceError(f"Standard input cannot be read: {error.strerror or error}.") from None


def prepare_output(talk, input_, output, force, extension=None, *, keep=False):
    """The path to write to, checked: `output`, or that `named_after` the input, or standard output for standard
    input.
    """
    if output is None:
        output = STANDARD if input_ == STANDARD else named_after(input_, extension, keep=keep)
    if is_standard_output(output):
        output = STANDARD
    if output == STANDARD and talk.json:
        raise UsageError("The data and --json both want standard output; name a file with -o.")
    if (
        STANDARD not in (input_, output)
        and os.path.exists(input_)
        and os.path.exists(output)
        and os.path.samefile(input_, output)
    ):
        if extension == ".ddc" == os.path.splitext(input_)[1].lower():
            raise SourceError(f"{name_of(input_)} is a .ddc file already; ddcodec decode makes a picture of it.")
        raise UsageError(f"{name_of(output)} is the input itself; name another output with -o.")
    check_target(output, force=force)
    return output


def write_output(talk, path, data, force):
    """Write the bytes of a result, and warn of what is not kept of the file that it replaces. Raises `OutputError`."""
    for note in write_target(path, data, force=force):
        talk.warn(note)


def each_file(talk, paths, work, *, field="input"):
    """Call `work` with each of some paths. One that fails is told and does not stop the rest; the command ends with its
    exit code if it is the only one, else with `SOME_FAILED`.

    field: what a path is called in JSON.
    """
    codes = []
    for path in paths:
        talk.about = {**talk.about, field: path}
        try:
            work(path)
        except DdcError as error:
            codes.append(talk.fail(error.exit_code, str(error)))
    if codes:
        click.get_current_context().exit(codes[0] if len(paths) == 1 else SOME_FAILED)


def say_lost(talk, name, format, kinds, alpha):
    """Say which metadata, and whether alpha, a picture file of a format will not hold. kinds: names of the metadata;
    alpha: whether there is one.
    """
    lost = [kind for kind in kinds if format != "png"] + ["alpha"] * (alpha and format == "ppm")
    if lost:
        talk.note(f"{name} also holds {' and '.join(lost)}, which a {format.upper()} file cannot keep; a PNG can.")


@contextmanager
def naming(path, data=b""):
    """Put the name of the file before the sentence of an error that does not know it. data: its bytes, which may be
    those of a picture where a .ddc file should be.
    """
    from ..pictures.kinds import is_ddc, kind_of_picture

    try:
        yield
    except DdcError as error:
        kind = kind_of_picture(data) if isinstance(error, DamagedError) and data and not is_ddc(data) else None
        sentence = f"This is no .ddc file but a {kind} picture; ddcodec encode makes one of it." if kind else error
        raise type(error)(f"{name_of(path)}: {sentence}") from error

"""Files of a command line: reading, writing, default names, and `-` for the standard streams.

Paths stay strings here: `pathlib` would turn `./-`, a file, into `-`, a stream.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import click

from ..errors import DamagedError, DdcError, SourceError, UsageError
from ..jobs.files import named_after
from ..jobs.input import read_whole
from ..jobs.output import check_target, is_standard_output, write_target
from .talk import Talk

STANDARD = "-"
"""The path that stands for standard input or output."""
SOME_FAILED = 1
"""Exit code where some of several inputs failed."""


def name_of(path: str) -> str:
    """Give the name by which messages call an input."""
    return "standard input" if path == STANDARD else path


def passage(input_: str, output: str) -> str:
    """Write "input -> output" for messages."""
    return f"{name_of(input_)} -> {'standard output' if output == STANDARD else output}"


def read_input(path: str, wanted: Callable[[bytes], float]) -> bytes:
    """Read the bytes of a file or of standard input. wanted: see `jobs.input.read_whole`.

    Raises `SourceError`, `LimitError`.
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


def prepare_output(
    talk: Talk, input_: str, output: str | None, force: bool, extension: str = "", *, keep: bool = False
) -> str:
    """Check and return the path to write to.

    It is `output`; without one it is `named_after` the input, or standard output for standard input. extension, keep:
    of `named_after`.

    Raises `UsageError`, `SourceError`, `ExistsError` and `OutputError`.
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


def write_output(talk: Talk, path: str, data: bytes, force: bool) -> None:
    """Write the bytes of a result, and warn of properties of a replaced file that the new one lacks.

    Raises `OutputError`.
    """
    for note in write_target(path, data, force=force):
        talk.warn(note)


def each_file(talk: Talk, paths: Sequence[str], work: Callable[[str], object], *, field: str = "input") -> None:
    """Call `work` with each path; one that fails does not stop the rest.

    If one fails, the command ends with `SOME_FAILED`, or with the failure's own exit code if there is only one path.
    field: name of a path in JSON.
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


def say_lost(talk: Talk, name: str, format: str, kinds: Iterable[str], alpha: bool) -> None:
    """Say which metadata, and whether alpha, a picture file of a format cannot keep.

    kinds: of the metadata that there are. alpha: whether there is alpha.
    """
    lost = [kind for kind in kinds if format != "png"] + ["alpha"] * (alpha and format == "ppm")
    if lost:
        talk.note(f"{name} also holds {' and '.join(lost)}, which a {format.upper()} file cannot keep; a PNG can.")


@contextmanager
def naming(path: str, data: bytes = b"") -> Iterator[None]:
    """Put a file's name before the sentence of any `DdcError` that is raised inside.

    data: bytes of the file. If they are those of a picture in place of a .ddc file, the sentence says so.
    """
    from ..pictures.kinds import is_ddc, kind_of_picture

    try:
        yield
    except DdcError as error:
        kind = kind_of_picture(data) if isinstance(error, DamagedError) and data and not is_ddc(data) else None
        sentence = f"This is no .ddc file but a {kind} picture; ddcodec encode makes one of it." if kind else error
        raise type(error)(f"{name_of(path)}: {sentence}") from error

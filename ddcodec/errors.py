"""Every error that a user can meet: one class for each exit code, each raised with one sentence to a person."""

from errno import ENOMEM


class DdcError(Exception):
    """The root of all errors raised on purpose. Its text is a whole sentence; `exit_code` is the command's."""

    exit_code = 1


class UsageError(DdcError):
    """The call asks for something that cannot be meant: an option out of range, options that exclude each other."""

    exit_code = 2


class SourceError(DdcError):
    """The source picture is missing, unreadable, or of a kind that is not supported (Lab, floating point)."""

    exit_code = 3


class DamagedError(DdcError):
    """The bytes are no `.ddc` file, or are truncated or altered (FORMAT.md: *damaged*)."""

    exit_code = 4


class UnsupportedError(DdcError):
    """The file needs a newer decoder (FORMAT.md: *unsupported*)."""

    exit_code = 5


class LimitError(DdcError):
    """The file or picture is lawful but larger than the limits of this call; the sentence names the limit."""

    exit_code = 5


class OutputError(DdcError):
    """The output exists already, or cannot be written."""

    exit_code = 6


class ExistsError(OutputError):
    """The output exists already."""


class TargetError(DdcError):
    """No file of this picture has the wished size or quality. No file is written."""

    exit_code = 7


class ShortMemoryError(DdcError):
    """The machine or the GPU has not enough memory for the job."""

    exit_code = 8


class EncoderError(DdcError):
    """The encoder's own check failed: its file does not decode to the integers it should. No file is written."""


INTERNAL, NO_MEMORY = 1, 8
_SHORT_MEMORY = (
    "can't start new thread",
    "failed to map segment",
    "cannot allocate memory",
    "cannot allocate write+execute memory",
    "unable to allocate",
    "out of memory",
    "error return without exception set",
    "returned null without setting an exception",
)
"""What the loader of a library, NumPy, LLVM, zlib and Python's threads say where the system gives them no memory; the
last two, C code that forgets to say so.
"""


def is_short_memory(error):
    """Whether an exception, or one that it came from, says that memory was short: not all who need some raise
    `MemoryError`.
    """
    while error is not None:
        if (
            isinstance(error, MemoryError)
            or getattr(error, "errno", None) == ENOMEM
            or any(text in str(error).lower() for text in _SHORT_MEMORY)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def explain(error):
    """The exit code and the sentence of whatever an encode or a decode raised."""
    if isinstance(error, DdcError):
        return error.exit_code, str(error)
    if isinstance(error, MemoryError):
        return NO_MEMORY, "There is not enough memory for this picture."
    if is_short_memory(error):
        return NO_MEMORY, "There is not enough memory for the program and its threads."
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return INTERNAL, f"Internal error: {what} (please report; -v shows the traceback)"

"""The errors that a user can meet: a class for each exit code, raised with one sentence to a person."""

from errno import ENOMEM


class DdcError(Exception):
    """The root of all errors that are raised on purpose. Its text is a whole sentence."""

    exit_code = 1
    """Exit code of the command."""


class UsageError(DdcError):
    """The call asks for something that makes no sense: an option out of range, or options that exclude each other."""

    exit_code = 2


class SourceError(DdcError):
    """The source picture is missing, unreadable, or of a kind that is not supported (Lab, floating point)."""

    exit_code = 3


class DamagedError(DdcError):
    """The bytes are no `.ddc` file, or they are cut off or altered (FORMAT.md: *damaged*)."""

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
    """The encoder's own check failed: its file does not decode to the integers it was made from. No file is written."""


INTERNAL = 1
"""Exit code of an error that is not raised on purpose."""

NO_MEMORY = 8
"""Exit code of an error that comes of too little memory."""

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
"""Words of errors where the system gives no memory: of the loader of libraries, NumPy, LLVM, zlib and Python's threads.

The last two come of C code that sets no exception.
"""


def is_short_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one that it came from, says that memory was short.

    Not all code that gets no memory raises `MemoryError`.
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


def explain(error: BaseException) -> tuple[int, str]:
    """Give the exit code and the sentence of any error of an encode or a decode."""
    if isinstance(error, DdcError):
        return error.exit_code, str(error)
    if isinstance(error, MemoryError):
        return NO_MEMORY, "There is not enough memory for this picture."
    if is_short_memory(error):
        return NO_MEMORY, "There is not enough memory for the program and its threads."
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return INTERNAL, f"Internal error: {what} (please report; -v shows the traceback)"

"""The command `ddcodec`, which `python -m ddcodec` runs, too."""

import os
import sys

from .errors import NO_MEMORY, explain

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 plus SIGINT, as shells have it."""


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    # The work has its own threads. NumPy's library starts others when it is loaded, and waits for ever where memory is
    # too short for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from .cli import main as command
    except KeyboardInterrupt:
        # No work has begun, and the code that reports interrupts is not loaded yet.
        sys.exit(INTERRUPTED)
    except (ImportError, MemoryError, OSError) as error:
        code, sentence = explain(error)
        print(f"Error: {sentence}", file=sys.stderr)
        _leave(code)
    try:
        command()
    except SystemExit as end:
        _leave(end.code)


def _leave(code):
    """End this process with an exit code.

    Where memory is too short, Python's own end may fail or crash, after all has been said and cleared away.
    """
    if code == NO_MEMORY:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    try:
        main()
    finally:
        # An interrupt may come while Python executes a string, as it does to load some modules. Python then ends this
        # process by the signal, whatever its exit code, unless another string is executed after the interrupt.
        exec("")

"""The command `ddcodec`, also as `python -m ddcodec`."""

import os
import sys

from .errors import explain

INTERRUPTED = 130


def main():
    """Run the command line of this process and exit with its code."""
    # The work has threads of its own. NumPy's library starts others when it is loaded, and waits for ever where memory
    # is too short for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from .cli import main as command
    except KeyboardInterrupt:
        # Nothing is begun yet, nor is what would say so.
        sys.exit(INTERRUPTED)
    except (ImportError, MemoryError, OSError) as error:
        code, sentence = explain(error)
        print(f"Error: {sentence}", file=sys.stderr)
        sys.exit(code)
    command()


if __name__ == "__main__":
    try:
        main()
    finally:
        # An interrupt that came while a string was executed, as modules do that are being loaded, makes Python end this
        # process by the signal, whatever exit code it was given; unless a string is executed after it.
        exec("")

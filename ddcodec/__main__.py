"""The command `ddcodec`, also as `python -m ddcodec`."""

import sys

INTERRUPTED = 130


def main():
    """Run the command line of this process and exit with its code."""
    try:
        from .cli import main as command
    except KeyboardInterrupt:
        # Nothing is begun yet, nor is what would say so.
        sys.exit(INTERRUPTED)
    command()


if __name__ == "__main__":
    try:
        main()
    finally:
        # An interrupt that came while a string was executed, as modules do that are being loaded, makes Python end this process by the signal,
        # whatever exit code it was given; unless a string is executed after it.
        exec("")

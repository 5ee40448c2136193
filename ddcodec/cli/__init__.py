"""The command line: one file a command.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

import math
import signal
import sys
import warnings
from time import monotonic
from typing import Any

import click

from ..errors import UsageError
from ..jobs.streams import StandardOutputError, prepare_streams
from ..version import __version__
from .bench import bench
from .bench_restore import bench_restore
from .compare import compare
from .completion import completion
from .decode import decode
from .encode import encode
from .guard import EXIT_CODES, Guarded, not_written
from .info import info
from .restore import restore
from .talk import Talk
from .verify import verify
from .view import view

ENDING = ("SIGTERM", "SIGHUP", "SIGXCPU", "SIGBREAK")
"""Signals that ask for an end in order; SIGQUIT stays the one that ends a process at once."""
SECONDS_TO_TIDY_UP = 2
"""Seconds after a signal in which others are ignored."""


def _say_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    """Say which program this is, and which decoder is at work."""
    if not is_asked:
        return
    from ..format.decoders import decoder_at_work
    from ..format.header import VERSION

    try:
        decoder = decoder_at_work().description()
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"ddcodec {__version__}, format {VERSION}, decoder {decoder}")
    context.exit()


@click.group(
    cls=Guarded,
    context_settings={
        "help_option_names": ["-h", "--help"],
        # Whoever types --time_limit means --time-limit.
        "token_normalize_func": lambda token: token.replace("_", "-"),
    },
    epilog="""\b
Examples:
  ddcodec encode photo.png
  ddcodec decode photo.ddc -o again.png
  ddcodec compare photo.png photo.ddc
  ddcodec restore --task denoise night.png -o clean.png

\b
Exit codes:
"""
    + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items()),
)
@click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_say_version, help="Show the version."
)
def cli() -> None:
    """A learned image codec: each .ddc file is a small neural network, fitted to one picture."""


for command in (encode, decode, info, verify, compare, view, restore, bench, bench_restore, completion):
    cli.add_command(command)


def main() -> None:
    """Run the command line of this process and exit with its code."""
    prepare_streams()
    _end_in_order()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        cli(prog_name="ddcodec")
    except StandardOutputError as error:
        # There is no command yet: these are the help of the program itself, its version, or a shell's completions.
        sys.exit(not_written(Talk(), error))


def _end_in_order() -> None:
    """Turn the signals that end a process into exceptions, so that temporary files are removed on the way out.

    Signals that were ignored, as nohup does, stay ignored.
    """
    last = -math.inf

    def end(number: int, _: Any) -> None:
        nonlocal last
        # Terminals and service managers send several at once; the second must not hit the tidying up after the first.
        if monotonic() - last > SECONDS_TO_TIDY_UP:
            last = monotonic()
            sys.exit(128 + number)

    for number in (getattr(signal, name) for name in ENDING if hasattr(signal, name)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)

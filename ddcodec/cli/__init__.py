"""The command line: one file a command. Nothing heavy is imported before a command runs, so that `--help` answers at once."""

import signal
import sys
import warnings

import click

from .. import __version__
from .bench import bench
from .bench_restore import bench_restore
from .compare import compare
from .decode import decode
from .encode import encode
from .guard import Guarded
from .info import info
from .restore import restore
from .verify import verify

TERMINATED = 128 + 15


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
Exit codes: 0 fine, 1 some of many files failed, or internal error, 2 usage, 3 source picture missing or unsupported,
4 damaged .ddc, 5 newer version or over a limit, 6 cannot write, 7 target out of reach, 8 out of memory, 130 interrupted.""",
)
@click.version_option(__version__, "-V", "--version", message="ddcodec %(version)s")
def cli():
    """A learned image codec: each .ddc file is a small neural network, fitted to one picture."""


for command in (encode, decode, info, verify, compare, restore, bench, bench_restore):
    cli.add_command(command)


def main():
    """Run the command line of this process and exit with its code."""
    # Turned into an exception, so that temporary files are removed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    cli(prog_name="ddcodec")

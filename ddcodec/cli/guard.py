"""The way from exceptions to exit codes: every failure of a command ends here, as one sentence on stderr.

A traceback is shown with --verbose only.
"""

import traceback
from typing import Any

import click

from ..errors import DdcError, explain
from ..jobs.streams import StandardOutputError
from ..printable import printable
from .streams import prepare_talk
from .talk import Talk

EXIT_CODES = {
    0: "fine",
    1: "some of several inputs failed, an internal error, or a package is not installed",
    2: "usage",
    3: "source picture missing or unsupported",
    4: "damaged .ddc",
    5: "newer version or over a limit",
    6: "cannot write",
    7: "target out of reach",
    8: "out of memory",
    130: "interrupted (143: terminated, 129: hung up)",
    141: "whoever read the text has gone, as head does",
}
"""Exit code -> its meaning, for the help."""
CANNOT_WRITE, INTERRUPTED, UNREAD = 6, 130, 141
"""Exit codes for which there is no `DdcError`."""


class Guarded(click.Group):
    """A group that gives its commands a `Talk` and turns whatever they raise into an exit code."""

    def main(self, *args: Any, **extra: Any) -> Any:
        prepare_talk()
        return super().main(*args, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # A command line that does not even parse is answered in JSON, too, if it asks for it.
        ctx.obj = Talk(json="--json" in args)
        return super().parse_args(ctx, args)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)
        except click.ClickException as error:
            raise _cleaned(error) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, SystemExit):
            raise
        except click.ClickException as error:
            _cleaned(error).show()
            code = ctx.obj.report_failure(error.exit_code, error.format_message())
        except StandardOutputError as error:
            code = not_written(ctx.obj, error)
        except (KeyboardInterrupt, click.Abort) as error:
            code = ctx.obj.fail(INTERRUPTED, str(error) or "Interrupted; nothing was written.")
        except Exception as error:
            if not isinstance(error, (DdcError, MemoryError)):
                ctx.obj.detail_lines("".join(traceback.format_exception(error)))
            code = ctx.obj.fail(*explain(error))
        ctx.exit(code)


def _cleaned(error: Any) -> click.ClickException:
    """Make the sentence of a click exception printable: it quotes the command line."""
    error.message = printable(error.message)
    return error


def not_written(talk: Talk, error: StandardOutputError) -> int:
    """Say that standard output takes no more, and return the exit code.

    Nothing is said if the reader has enough, as `head` has: programs that end by SIGPIPE say nothing, either.
    """
    return UNREAD if error.unread else talk.fail(CANNOT_WRITE, str(error))

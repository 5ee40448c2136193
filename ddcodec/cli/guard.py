"""From exceptions to exit codes: every failure of a command ends here, as one sentence on stderr and never as a traceback."""

import traceback

import click

from ..errors import DdcError, explain
from ..streams import StandardOutputError
from .talk import Talk

EXIT_CODES = {
    0: "fine",
    1: "some of several inputs failed, or internal error",
    2: "usage",
    3: "source picture missing or unsupported",
    4: "damaged .ddc",
    5: "newer version or over a limit",
    6: "cannot write",
    7: "target out of reach",
    8: "out of memory",
    130: "interrupted",
}
CANNOT_WRITE, INTERRUPTED = 6, 130


class Guarded(click.Group):
    """A group that gives its commands a `Talk` and turns whatever they raise into an exit code."""

    def parse_args(self, ctx, args):
        # A command line that does not even parse shall be answered in JSON, too, if it asks for it.
        ctx.obj = Talk(json="--json" in args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx):
        return list(self.commands)

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, SystemExit):
            raise
        except click.ClickException as error:
            error.show()
            code = ctx.obj.report_failure(error.exit_code, error.format_message())
        except StandardOutputError as error:
            code = ctx.obj.fail(CANNOT_WRITE, str(error))
        except (KeyboardInterrupt, click.Abort) as error:
            code = ctx.obj.fail(INTERRUPTED, str(error) or "Interrupted; nothing was written.")
        except Exception as error:
            if ctx.obj.verbose and not isinstance(error, (DdcError, MemoryError)):
                traceback.print_exception(error)
            code = ctx.obj.fail(*explain(error))
        ctx.exit(code)

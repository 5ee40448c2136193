"""Help in two lengths: `--help` shows the basic options, `--help-all` those for experts, too."""

from typing import Any

import click

ALL = "ddcodec.help_all"
"""Key of click's `Context.meta`: whether all options are asked for."""


class Expert(click.Option):
    """An option that only `--help-all` shows."""


class Command(click.Command):
    """A command with `--help-all`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), HELP_ALL]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        basic, expert = self.option_records(ctx)
        with formatter.section("Options"):
            formatter.write_dl(basic)
        if ctx.meta.get(ALL):
            with formatter.section("More options"):
                formatter.write_dl(expert)
        elif len(expert) > 1:  # One is --help-all itself.
            formatter.write_paragraph()
            formatter.write_text("More options: --help-all.")

    def option_records(self, ctx: click.Context) -> tuple[list[Any], ...]:
        """List the help's pairs (names, text) of the basic options, and those of the options for experts."""
        options = [option for option in self.get_params(ctx) if isinstance(option, click.Option) and not option.hidden]
        return tuple(
            [option.get_help_record(ctx) for option in options if isinstance(option, Expert) is wanted]
            for wanted in (False, True)
        )


def _show_all(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        ctx.meta[ALL] = True
        click.echo(ctx.get_help())
        ctx.exit()


HELP_ALL = Expert(
    ["--help-all"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_all,
    help="Show all options and exit.",
)

"""Help in two lengths: `--help` shows the basic options, `--help-all` those for experts, too."""

import click

ALL = "ddcodec.help_all"


class Expert(click.Option):
    """An option that only `--help-all` shows."""


class Command(click.Command):
    """A command with `--help-all`."""

    def get_params(self, ctx):
        return [*super().get_params(ctx), HELP_ALL]

    def format_options(self, ctx, formatter):
        basic, expert = self.option_records(ctx)
        with formatter.section("Options"):
            formatter.write_dl(basic)
        if ctx.meta.get(ALL):
            with formatter.section("More options"):
                formatter.write_dl(expert)
        elif len(expert) > 1:  # than --help-all itself
            formatter.write_paragraph()
            formatter.write_text("More options: --help-all.")

    def option_records(self, ctx):
        """What help says of the options, pairs of names and text: those of the basic ones, and those for experts."""
        options = [option for option in self.get_params(ctx) if isinstance(option, click.Option) and not option.hidden]
        return tuple(
            [option.get_help_record(ctx) for option in options if isinstance(option, Expert) is wanted]
            for wanted in (False, True)
        )


def _show_all(ctx, option, wanted):
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

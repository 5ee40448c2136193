"""A page for each command, from the definitions of the command line itself.

python docs/make_commands.py           writes docs/commands/; a test holds that nothing has changed since
"""

from inspect import cleandoc
from pathlib import Path
from textwrap import dedent

import click

from ddcodec.cli import cli
from ddcodec.cli.guard import EXIT_CODES

FOLDER = Path(__file__).parent / "commands"
ORIGIN = "<!-- Written by docs/make_commands.py. -->"


def pages():
    """What every page says, by the name of its file."""
    ctx = click.Context(cli, info_name="ddcodec", **cli.context_settings)
    commands = [(name, cli.get_command(ctx, name)) for name in cli.list_commands(ctx)]
    found = {f"{name}.md": page(command, click.Context(command, ctx, name)) for name, command in commands}
    return found | {"README.md": index(ctx, commands)}


def page(command, ctx):
    """Usage, description, options, epilog and exit codes of a command."""
    basic, expert = command.option_records(ctx)
    blocks = [ORIGIN, f"# {ctx.command_path}", code([usage(ctx)]), *description(command.help)]
    for title, records in ("Options", basic), ("More options", expert[:-1]):  # without --help-all itself
        if records:
            blocks += [f"## {title}", table("option", "meaning", ((f"`{names}`", text) for names, text in records))]
    return joined([*blocks, *epilog(command.epilog), *exit_codes()])


def index(ctx, commands):
    """The list of the commands, and what the help of `ddcodec` itself says."""
    rows = ((f"[`{name}`]({name}.md)", command.get_short_help_str(limit=200)) for name, command in commands)
    without_codes = cli.epilog[: cli.epilog.index("\b\nExit codes")]
    return joined(
        [
            ORIGIN,
            "# ddcodec",
            code([usage(ctx)]),
            *description(cli.help),
            table("command", "what it does", rows),
            *epilog(without_codes),
            *exit_codes(),
        ]
    )


def usage(ctx):
    return " ".join([ctx.command_path, *ctx.command.collect_usage_pieces(ctx)])


def description(text):
    """The paragraphs of a help text, each on one line."""
    return [" ".join(paragraph.split()) for paragraph in cleandoc(text).split("\n\n")]


def epilog(text):
    """The blocks behind the options: what has a title of its own line as a section, all else as paragraphs."""
    for block in text.replace("\b", "").strip().split("\n\n"):
        title, *lines = block.strip("\n").splitlines()
        if title.endswith(":"):
            yield from (f"## {title[:-1]}", code(dedent("\n".join(lines)).splitlines()))
        else:
            yield " ".join([title, *lines])


def exit_codes():
    return ["## Exit codes", table("code", "meaning", EXIT_CODES.items())]


def table(first, second, rows):
    lines = [f"| {first} | {second} |", "| --- | --- |"]
    for row in rows:
        lines.append("| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |")
    return "\n".join(lines)


def code(lines):
    return "\n".join(f"    {line}" for line in lines)


def joined(blocks):
    return "\n\n".join(blocks) + "\n"


def main():
    wanted = pages()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()

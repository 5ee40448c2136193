"""The reference of the Python interface, from its docstrings.

python docs/make_reference.py          writes docs/reference.md; a test holds that nothing has changed since
"""

import inspect
import re
from pathlib import Path
from textwrap import fill

import ddcodec
import ddcodec.pillow
from ddcodec import errors

PAGE = Path(__file__).parent / "reference.md"
ORIGIN = "<!-- Written by docs/make_reference.py. -->"
WIDTH = 120
SECTIONS = {"Args": "Parameters", "Returns": "Returns", "Warns": "Warnings", "Raises": "Errors"}
"""Sections of a docstring -> their titles here."""


def page():
    """What the page says."""
    functions = [name for name in ddcodec.__all__ if not name.startswith("_")]
    blocks = [ORIGIN, "# Reference", "This page has every function and error of the Python interface."]
    blocks.append("[From Python](python.md) shows how to use them.")
    for name in functions:
        blocks += [f"## ddcodec.{name}", signature(name), *paragraphs(getattr(ddcodec, name).__doc__)]
    blocks += ["## ddcodec.pillow", *paragraphs(ddcodec.pillow.__doc__)]
    blocks += ["## ddcodec.errors", table()]
    return "\n\n".join(blocks) + "\n"


def signature(name):
    """The call of a function as code, one parameter a line if it is long; without annotations, which prose explains."""
    found = inspect.signature(getattr(ddcodec, name))
    bare = found.replace(
        parameters=[own.replace(annotation=own.empty) for own in found.parameters.values()],
        return_annotation=found.empty,
    )
    call = f"ddcodec.{name}{bare}"
    if len(call) > WIDTH:
        inner = re.sub(r", (?=\*?\w+)", ",\n    ", str(bare)[1:-1])
        call = f"ddcodec.{name}(\n    {inner},\n)"
    return f"```\n{call}\n```"


def paragraphs(docstring):
    """The paragraphs of a docstring; its sections (Args, Returns, ...) are lists, and other indented lines are code."""
    for paragraph in inspect.cleandoc(docstring).split("\n\n"):
        title, _, body = paragraph.partition(":\n")
        if title in SECTIONS:
            yield f"**{SECTIONS[title]}**"
            yield "\n".join(items(body))
        elif paragraph.startswith("    "):
            yield paragraph
        else:
            yield filled(paragraph)


def items(body):
    """The items of a section, whose first lines are indented by four; a name before a colon is set as code."""
    for item in re.split(r"\n(?=    \S)", body):
        yield filled(re.sub(r"^\s*(\*{0,2}\w+):\s+", r"- `\1`: ", item) if ":" in item else f"- {item.strip()}", "  ")


def filled(text, indent=""):
    return fill(" ".join(text.split()), WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def table():
    """The errors with their exit codes and what they mean."""
    found = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, errors.DdcError)]
    rows = [f"| `{own.__name__}` | {own.exit_code} | {' '.join(own.__doc__.split())} |" for own in found]
    return "\n".join(["| error | exit code | meaning |", "| --- | --- | --- |", *rows])


def main():
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()

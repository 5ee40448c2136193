"""Options that several commands share, and the types of their values."""

import re
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

import click

from ..option_types import DECODERS
from . import offers
from .help import Expert
from .streams import let_libraries_speak
from .talk import Talk

Function = Callable[..., Any]
"""A function that becomes a command of click's."""
Decorator = Callable[[Function], Function]


class Duration(click.ParamType):
    """A time, as a number of seconds: 90, 90s, 1.5m, 1h."""

    name = "time"
    UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read seconds. Raises click's usage error."""
        if isinstance(value, (int, float)):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", value.strip())
        if not match:
            self.fail(f"{value!r} is no time; write 90, 90s, 2m or 1h.", param, ctx)
        return float(match[1]) * self.UNITS[match[2]]


class Shard(click.ParamType):
    """A part of a whole, as (k, n): 2/4 is the second of four."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Read (k, n). Raises click's usage error."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)/(\d+)", value.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{value!r} is no part of a whole; write K/N with K from 1 to N, such as 1/4.", param, ctx)
        return int(match[1]), int(match[2])


class ByteCount(click.ParamType):
    """A number of bytes, at least `least`: 4000000, 500M, 4G; the letters are powers of 1024."""

    name = "bytes"
    UNITS = {letter: 1024**power for power, letter in enumerate(("", "K", "M", "G", "T"))}

    def __init__(self, least: int = 0) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number of bytes. Raises click's usage error."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:iB|B)?", value.strip(), re.IGNORECASE)
        if not match:
            zero = "" if self.least else ", or 0 for no limit"
            self.fail(f"{value!r} is no number of bytes; write 30000, 30k or 1.5M{zero}.", param, ctx)
        count = int(float(match[1]) * self.UNITS[match[2].upper()])
        if count < self.least:
            self.fail(f"{value!r} is less than {self.least}.", param, ctx)
        return count


class MetadataKinds(click.ParamType):
    """Kinds of metadata to keep, as a tuple: all, none, or some of `KINDS`."""

    name = "kinds"
    USUAL = ("color", "exif", "xmp", "resolution")
    KINDS = ("color", "icc", *USUAL[1:])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Read kinds of metadata. Raises click's usage error."""
        if isinstance(value, tuple):
            return value
        kinds = {"all": self.USUAL, "none": ()}.get(value.strip(), tuple(part.strip() for part in value.split(",")))
        if not set(kinds) <= set(self.KINDS):
            self.fail(f"{value!r} is no metadata; write all, none, or some of {','.join(self.KINDS)}.", param, ctx)
        return kinds


def keeping(command: Function) -> Function:
    """Give a command --metadata, as parameter `kinds`: a tuple."""
    return click.option(
        "--metadata",
        "kinds",
        type=MetadataKinds(),
        default="all",
        show_default=True,
        metavar="KINDS",
        shell_complete=offers.lists(lambda: ("all", "none", *MetadataKinds.KINDS)),
        help="What to keep: all, none, or some of color,exif,xmp,resolution; icc for the bytes of the colour profile.",
    )(command)


def talking(command: Function) -> Function:
    """Give a command -v, --quiet and --json; its first argument is the `Talk` that they describe."""

    @click.option(
        "-v", "--verbose", is_flag=True, help="Say more, also about internal errors; libraries may speak, too."
    )
    @click.option("--quiet", is_flag=True, help="Say nothing but errors; warnings stand in the JSON.")
    @click.option("--json", is_flag=True, help="Print each result or error as one line of JSON.")
    @click.pass_obj
    @wraps(command)
    def run(talk: Talk, *, verbose: bool, quiet: bool, json: bool, **options: Any) -> Any:
        talk.verbose, talk.quiet, talk.json = verbose, quiet, json
        if verbose:
            let_libraries_speak(talk.detail)
        if "input_" in options:
            talk.about = {"input": options["input_"]}
        return command(talk, **options)

    return run


def fitting(effort: str, seed: str | None = None) -> Decorator:
    """Give a command the options that steer a fit.

    They are parameters `effort`, `time_limit`, `iterations`, `device` and `threads`, and `seed` if its help is given.
    effort, seed: the help of these two.
    """
    options = [
        click.option("-e", "--effort", type=int, default=5, show_default=True, metavar="1..9", help=effort),
        click.option(
            "--time-limit",
            type=Duration(),
            help="Stop early with the best so far, each picture for itself: 90, 90s, 2m, 1h.",
        ),
        click.option(
            "--iterations",
            cls=Expert,
            type=int,
            metavar="N",
            help="Instead of an effort: the number of steps of a fit.",
        ),
        click.option(
            "--device",
            cls=Expert,
            default="auto",
            show_default=True,
            metavar="NAME",
            shell_complete=offers.names(offers.devices),
            help="auto, cpu, cuda or cuda:N.",
        ),
        click.option(
            "--threads", cls=Expert, type=int, metavar="N", help="Of the CPU.  [default: as many as are useful]"
        ),
    ]
    if seed:
        options.append(
            click.option("--seed", cls=Expert, type=int, default=0, show_default=True, metavar="N", help=seed)
        )

    def decorate(command: Function) -> Function:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def limited(command: Function) -> Function:
    """Give a command --max-pixels and --max-memory, as parameters `max_pixels` and `max_memory`."""
    command = click.option(
        "--max-memory",
        cls=Expert,
        type=ByteCount(),
        default="4G",
        show_default=True,
        help="Refuse files whose decoding needs more memory (0: no limit).",
    )(command)
    return click.option(
        "--max-pixels",
        cls=Expert,
        type=click.IntRange(min=0),
        default=100_000_000,
        show_default=True,
        metavar="N",
        help="Refuse larger pictures (0: no limit, of time neither).",
    )(command)


def deciding(command: Function) -> Function:
    """Give a command --decoder, as parameter `decoder`."""
    return click.option(
        "--decoder",
        cls=Expert,
        type=click.Choice(DECODERS),
        help="[default: DDCODEC_DECODER in the environment, or else native if it is there]",
    )(command)


def writing(what: str) -> Decorator:
    """Give a command -o/--output and -f/--force, as parameters `output` and `force`. what: the help of -o."""

    def decorate(command: Function) -> Function:
        command = click.option("-f", "--force", is_flag=True, help="Replace an existing output.")(command)
        return click.option("-o", "--output", type=click.Path(allow_dash=True), metavar="FILE", help=what)(command)

    return decorate


def batching(*, cluster: bool = False) -> Decorator:
    """Give a command the options of many inputs.

    They, the inputs, --output and --force become one parameter `batch`, a `batch.Batch`. cluster: whether there is
    --scheduler, too.
    """
    options = [
        click.option(
            "-r", "--recursive", is_flag=True, help="Of a folder take all that is in it, folders in it included."
        ),
        click.option(
            "--skip-existing", is_flag=True, help="Leave an existing output as it is and count that as success."
        ),
        click.option("--keep-timestamps", cls=Expert, is_flag=True, help="Give each output the time of its input."),
        click.option(
            "-j",
            "--jobs",
            type=click.IntRange(min=1),
            metavar="N",
            help=f"Files at once, which share the threads.  [default: 1{', on a GPU 16' if cluster else ''}]",
        ),
        click.option(
            "--shard",
            cls=Expert,
            type=Shard(),
            default="1/1",
            metavar="K/N",
            help="Take the K-th of N parts only, so that N machines can share the work.",
        ),
    ]
    if cluster:
        options.append(
            click.option(
                "--scheduler",
                cls=Expert,
                metavar="URL",
                help="Let a Dask cluster do it: tcp://HOST:PORT, or dask://local for one of -j processes here.",
            )
        )

    def decorate(command: Function) -> Function:
        @wraps(command)
        def run(*args: Any, **given: Any) -> Any:
            from .batch import Batch

            gathered = Batch(**{field.name: given.pop(field.name) for field in fields(Batch) if field.name in given})
            return command(*args, batch=gathered, **given)

        for option in reversed(options):
            run = option(run)
        return run

    return decorate


def reading(
    metavar: str, wants: Callable[[str], bool], name: str = "input_", *, many: bool = False, **extra: Any
) -> Decorator:
    """Give a command a file to read, as parameter `name`; "-" stands for standard input.

    wants: whether a shell is offered a file of this name. many: one or more files, as a tuple.
    """
    if many:
        extra |= {"nargs": -1, "required": True}
    return click.argument(
        name,
        metavar=metavar,
        type=click.Path(allow_dash=True, readable=False),
        shell_complete=offers.files(wants),
        **extra,
    )

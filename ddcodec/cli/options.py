"""Options that several commands share, and the types of their values."""

import re
from dataclasses import fields
from functools import wraps

import click

from . import offers
from .help import Expert
from .streams import let_libraries_speak


class Duration(click.ParamType):
    """A time in seconds: 90, 90s, 1.5m, 1h."""

    name = "time"
    UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}

    def convert(self, value, param, ctx):
        if isinstance(value, (int, float)):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", value.strip())
        if not match:
            self.fail(f"{value!r} is no time; write 90, 90s, 2m or 1h.", param, ctx)
        return float(match[1]) * self.UNITS[match[2]]


class Shard(click.ParamType):
    """A part of a whole: 2/4, the second of four."""

    name = "shard"

    def convert(self, value, param, ctx):
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

    def __init__(self, least=0):
        self.least = least

    def convert(self, value, param, ctx):
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
    """Which metadata is kept, as a tuple: all, none, or some of `KINDS`."""

    name = "kinds"
    USUAL = ("color", "exif", "xmp", "resolution")
    KINDS = ("color", "icc", *USUAL[1:])

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        kinds = {"all": self.USUAL, "none": ()}.get(value.strip(), tuple(part.strip() for part in value.split(",")))
        if not set(kinds) <= set(self.KINDS):
            self.fail(f"{value!r} is no metadata; write all, none, or some of {','.join(self.KINDS)}.", param, ctx)
        return kinds


def keeping(command):
    """Give a command --metadata: a tuple of kinds as parameter `kinds`."""
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


def talking(command):
    """Give a command -v, --quiet and --json, and hand it the `Talk` that they describe as first argument."""

    @click.option(
        "-v", "--verbose", is_flag=True, help="Say more, also about internal errors; libraries may speak, too."
    )
    @click.option("--quiet", is_flag=True, help="Say nothing but errors; warnings stand in the JSON.")
    @click.option("--json", is_flag=True, help="Print each result or error as one line of JSON.")
    @click.pass_obj
    @wraps(command)
    def run(talk, *, verbose, quiet, json, **options):
        talk.verbose, talk.quiet, talk.json = verbose, quiet, json
        if verbose:
            let_libraries_speak(talk.detail)
        if "input_" in options:
            talk.about = {"input": options["input_"]}
        return command(talk, **options)

    return run


def fitting(effort, seed=None):
    """Give a command what steers a fit: parameters `effort`, `time_limit`, `iterations`, `device` and `threads`, and
    where its help is given `seed`. effort, seed: the help of these two.
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

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def limited(command):
    """Give a command --max-pixels and --max-memory: parameters `max_pixels` and `max_memory`."""
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


def writing(what):
    """Give a command -o/--output and -f/--force: parameters `output` and `force`."""

    def decorate(command):
        command = click.option("-f", "--force", is_flag=True, help="Replace an existing output.")(command)
        return click.option("-o", "--output", type=click.Path(allow_dash=True), metavar="FILE", help=what)(command)

    return decorate


def batching(*, cluster=False):
    """Give a command the options of many inputs, and it gets these, the inputs, --output and --force as one parameter:
    `batch`, a `batch.Batch`. cluster: --scheduler, too.
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

    def decorate(command):
        @wraps(command)
        def run(*args, **given):
            from .batch import Batch

            gathered = Batch(**{field.name: given.pop(field.name) for field in fields(Batch) if field.name in given})
            return command(*args, batch=gathered, **given)

        for option in reversed(options):
            run = option(run)
        return run

    return decorate


def reading(metavar, wants, name="input_", *, many=False, **extra):
    """Give a command a file to read, "-" for standard input, as parameter `name`; wants: which names a shell is
    offered; many: or several, as a tuple.
    """
    return click.argument(
        name,
        metavar=metavar,
        type=click.Path(allow_dash=True, readable=False),
        shell_complete=offers.files(wants),
        **extra,
        **({"nargs": -1, "required": True} if many else {}),
    )

"""`ddcodec bench`: compare codecs by files that are written, decoded and measured."""

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import click

from ..errors import DdcError, SourceError, UsageError
from . import offers
from .files import STANDARD
from .help import Command
from .options import talking
from .talk import Talk, bar_parts

if TYPE_CHECKING:
    from ..benchmark.peers import Peer
    from ..benchmark.published import Published
    from ..benchmark.run import Progress, Run
    from ..benchmark.summary import Group, Standing

UNWRAPPED = 1_000_000
"""Characters of a line where standard output is no terminal: lines are not broken."""
COLUMNS = ("codec", "BD-rate", "BD-PSNR", "over", "encode", "decode", "")
"""Heads of the table."""
FIRST_TO_GO = ("over", "decode", "BD-PSNR")
"""Columns that a narrow terminal does without, the first to go first; the report has all."""


@click.command(
    cls=Command,
    short_help="Compare codecs: rate, distortion and time.",
    epilog="""Codecs: jpeg, jpeg:444, webp, avif, avif:s0, avif:psnr, avif:psnr:s0, avif:ssimulacra2,
avif:ssimulacra2:s0, jxl, jpeg2000, heic, heic:psnr, vvc, none (raw samples), and ddc, ddc:e1 to ddc:e9,
ddc:e1:psnr to ddc:e9:psnr, ddc:classic, ddc:classic:e1 to ddc:classic:e9; all stands for all of these
but ddc and none. avif, heic and ddc aim at the eye, as they do by default; names with psnr aim at PSNR,
by which the codecs are ranked; s0 is AVIF's slowest speed.

\b
Examples:
  ddcodec bench photos/ -o report
  ddcodec bench photos/ --codecs all,ddc:e7 -j 4 -o report
  ddcodec bench a.png b.png --codecs avif,ddc --published curves/ -o report""",
)
@click.argument(
    "pictures",
    nargs=-1,
    required=True,
    metavar="PICTURES...",
    type=click.Path(),
    shell_complete=offers.files(offers.is_picture_name),
)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FOLDER",
    type=click.Path(),
    help="Where the report goes; a run that was stopped is taken up again.",
)
@click.option(
    "--codecs",
    default="jpeg,webp,avif,avif:psnr,ddc",
    show_default=True,
    metavar="NAMES",
    shell_complete=offers.lists(offers.codecs),
    help="With commas between; see below.",
)
@click.option(
    "--anchor",
    default="jpeg",
    show_default=True,
    metavar="NAME",
    shell_complete=offers.names(offers.codecs),
    help="The codec that the others are compared with.",
)
@click.option(
    "--published",
    metavar="PATH",
    type=click.Path(),
    help=(
        "Curves to show beside: a CSV file (image,bpp,psnr_db) or a folder of them. Points of the image MEAN are "
        "taken to be of all PICTURES."
    ),
)
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Rows measured at once."
)
@talking
def bench(
    talk: Talk,
    pictures: tuple[str, ...],
    output: str,
    codecs: str,
    anchor: str,
    published: str | None,
    jobs: int,
) -> None:
    """Code every one of PICTURES (files, or folders of them) with several codecs at a ladder of settings, and report.

    Every file is written, decoded and measured. FOLDER gets rows.tsv (one line a measurement, written as it comes),
    report.html, plots/ and files/ with all coded files. The same command again measures what is missing; with other
    codecs, the report shows all that FOLDER has of these pictures. Codecs use one thread, those of ddcodec the
    machine's cores divided by --jobs.
    """
    if output in ("", STANDARD):
        raise UsageError("The report is a folder; name one with -o.")
    _check_installed()
    from ..benchmark import run as benchmark
    from ..benchmark.published import read_published

    peers = _peers(codecs, anchor, threads=max(1, (os.cpu_count() or 1) // jobs))
    anchor = peers[0].name
    curves = [] if published is None else read_published(published)
    paths, skipped = benchmark.find_pictures(pictures)
    for path in skipped:
        talk.detail(f"{path} does not look like a picture and is left out.")
    sources, unreadable = benchmark.read_sources(paths)
    for sentence in unreadable:
        talk.warn(sentence)
    if not sources:
        raise SourceError("None of the pictures can be read.")
    present, absent = benchmark.split_missing(peers)
    missing = [f"{peer.name}: {reason}" for peer, reason in absent]
    for sentence in missing:
        talk.warn(f"Not measured: {sentence}.")
    if anchor not in (peer.name for peer in present):
        raise UsageError(f"The anchor {anchor} cannot be used here; --anchor names another.")

    benchmark.prepare_folder(output)
    run = benchmark.Run(output, sources, present)
    try:
        with talk.progress(_bar) as progress:
            failed = run.measure(jobs, progress)
        for sentence in failed:
            talk.warn(f"Not measured: {sentence}.")
        _report(talk, run, anchor, curves, missing, unreadable + failed)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted; {output} keeps what is measured, and the same command goes on from there."
        ) from None


def _check_installed() -> None:
    from importlib.util import find_spec

    absent = [package for package in ("scipy", "matplotlib") if find_spec(package) is None]
    if absent:
        raise DdcError(
            f"The benchmark needs {' and '.join(absent)}, not installed here: pip install 'ddcodec[bench]' brings "
            "what is missing."
        )


def _peers(codecs: str, anchor: str, threads: int) -> "list[Peer]":
    """Find the peers of a list with commas, each once, after the anchor."""
    from ..benchmark.peers import NAMES, peer_of

    names = [name.strip() for name in codecs.split(",") if name.strip()]
    if not names:
        raise UsageError("--codecs names no codec.")
    everyone = [name for name in NAMES if name != "none"]
    wanted = [part for name in names for part in (everyone if name == "all" else [name])]
    return list({peer.name: peer for peer in (peer_of(name, threads) for name in [anchor, *wanted])}.values())


def _bar(progress: "Progress", seconds_left: float, columns: int) -> list[str]:
    """Write the parts of the line of progress.

    They are "[#####...............] 312/2088", "23 min 4 s left", "avif of kodim07".
    """
    return [*bar_parts(progress, seconds_left, columns), f"{progress.codec} of {progress.picture}"]


def _report(
    talk: Talk,
    run: "Run",
    anchor: str,
    published: "Sequence[Published]",
    missing: list[str],
    failed: list[str],
) -> None:
    """Write the report, say its tables, and end with the exit code of a failure if there are any.

    missing, failed: sentences on codecs that are not there, and on pictures and rows that failed.
    """
    from ..benchmark.study import study_of, write_report
    from ..benchmark.summary import left_out, named

    width = get_terminal_size((UNWRAPPED, 0)).columns
    study = study_of(run, anchor, published, missing + failed, _command())
    path = write_report(study, run.folder)
    # The warnings are of the whole run, not of its first row.
    warnings, notes, talk.warnings, talk.notes = talk.warnings, talk.notes, [], []
    for row in study.rows:
        talk.report(**asdict(row), bpp=row.bpp)
    talk.warnings, talk.notes = warnings, notes
    for group in [] if talk.json else study.groups:
        said = [f"Against {anchor}, {named(group.pictures)}:", *_table(group.standings, width), *left_out(group)]
        for line in said:
            # Each part is shown for itself: the escape of a line's end in a name must not become one.
            for part in (
                click.wrap_text(line, width, subsequent_indent="  ") if len(line) > width else line
            ).splitlines():
                talk.show(part)
        talk.show()
    talk.say(f"Report: {path}")
    fields = {
        "report": path,
        "table": str(run.table),
        "anchor": anchor,
        "not_measured": missing + failed,
        "groups": [_fields(group) for group in study.groups],
    }
    if failed:
        lacking = SourceError(
            f"The report lacks what could not be measured ({len(failed)} {'entry' if len(failed) == 1 else 'entries'})."
        )
        click.get_current_context().exit(talk.fail(lacking.exit_code, str(lacking), **fields))
    talk.report(**fields)


def _table(standings: "Sequence[Standing]", width: int) -> Iterator[str]:
    """Yield the lines of the table, the best codec first, no wider than `width` characters where that can be."""
    rows = [dict(zip(COLUMNS, COLUMNS)), *map(_cells, standings)]
    for gone in (None, *FIRST_TO_GO):
        columns = {name: max(len(row[name]) for row in rows) for name in rows[0] if name != gone}
        rows = [{name: row[name] for name in columns} for row in rows]
        if sum(columns.values()) + 2 * (len(columns) - 1) <= width:
            break
    for row in rows:
        yield "  ".join(
            f"{cell:{'<' if name in ('codec', '') else '>'}{columns[name]}}" for name, cell in row.items()
        ).rstrip()


def _cells(standing: "Standing") -> dict[str, str]:
    rate = standing.overall
    partly = standing.rate is not None and not standing.ranked
    return dict(
        zip(
            COLUMNS,
            (
                standing.codec,
                "-" if rate is None else f"{rate:+.1f} %",
                "-" if standing.gain is None else f"{standing.gain:+.2f} dB",
                "-" if standing.low is None or rate is None else f"{standing.low:.1f}-{standing.high:.1f} dB",
                _seconds(standing.encode_s),
                _seconds(standing.decode_s),
                "published" if not standing.measured else f"over {len(standing.counted)} only" if partly else "",
            ),
        )
    )


def _seconds(seconds: float | None) -> str:
    from ..benchmark.charts import seconds_text

    return "-" if seconds is None else seconds_text(seconds)


def _fields(group: "Group") -> dict[str, Any]:
    """Make the JSON of a group."""
    from ..benchmark.summary import left_out

    return {
        "pictures": list(group.pictures),
        "counted": list(group.counted),
        "left_out": list(left_out(group)),
        "codecs": [_standing_fields(standing) for standing in group.standings],
    }


def _standing_fields(standing: "Standing") -> dict[str, Any]:
    names = (
        "codec",
        "measured",
        "ranked",
        "rate",
        "gain",
        "rate_akima",
        "gain_akima",
        "rate_of_mean",
        "gain_of_mean",
        "rate_of_mean_akima",
        "gain_of_mean_akima",
        "low",
        "high",
        "rate_psnr_y",
        "rate_ms_ssim",
        "rate_ssimulacra2",
        "encode_s",
        "decode_s",
    )
    return {name: getattr(standing, name) for name in names}


def _command() -> str:
    """Write this process's command line as it could be typed again."""
    return " ".join(map(_typed, ["ddcodec", *sys.argv[1:]]))


def _typed(word: str) -> str:
    """Quote a word for a shell, by bash's $'...' if a character in it cannot be shown."""
    if word.isprintable():
        return shlex.quote(word)
    shown = (
        letter
        if letter.isprintable() and letter not in "\\'"
        else "".join(f"\\x{byte:02x}" for byte in os.fsencode(letter))
        for letter in word
    )
    return f"$'{''.join(shown)}'"

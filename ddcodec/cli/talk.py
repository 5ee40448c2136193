"""The output of a command: sentences and progress on stderr, results and JSON on stdout."""

import json
import math
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from time import monotonic
from typing import Any, Protocol

import click

from ..jobs.streams import StandardOutputError
from ..printable import decodable, printable

SCHEMA = 1
"""Version of the JSON objects."""
WARNING, NOTE = "Warning: ", "Note: "
"""Beginnings of sentences that JSON lists, too."""
BAR = 20
"""Characters of the bar of progress."""
LEAST_FOR_A_BAR = 60
"""Columns of a terminal that is wide enough for the bar."""
LEAST_CUT = 12
"""Columns that must be left for a part of the line to be shown in part."""
SECONDS_BETWEEN_UPDATES = 0.1
"""Least seconds between two steps that are shown."""
SECONDS_BETWEEN_TICKS = 1.0
"""Seconds without a step after which the line runs down by itself."""


class Progress(Protocol):
    """A record of progress, in this process or told by another. seconds_left: infinity while unknown."""

    @property
    def step(self) -> int: ...

    @property
    def total(self) -> int: ...

    @property
    def seconds_left(self) -> float: ...


PartsOf = Callable[[Any, float, int], Sequence[str]]
"""parts_of(record, seconds left by now, columns of the terminal): the parts of a line, the most wanted first."""


@dataclass
class Talk:
    """The output of a command, and how much of it is wanted.

    quiet: whether only errors are said. verbose: whether details are said. json: whether results are printed as JSON.
    about: fields of every JSON object, such as the input at hand. warnings, notes: said since the last JSON object.
    """

    quiet: bool = False
    verbose: bool = False
    json: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _line: "ProgressLine | None" = None

    def say(self, sentence: str) -> None:
        """Say one line on stderr. A sentence that begins as a warning or a note is in JSON, too, even if `quiet`."""
        for kind, beginning in (self.warnings, WARNING), (self.notes, NOTE):
            if sentence.startswith(beginning):
                kind.append(printable(sentence.removeprefix(beginning)))
        if not self.quiet:
            self._echo(sentence)

    def warn(self, sentence: str) -> None:
        """Say that something went wrong while the whole goes on."""
        self.say(WARNING + sentence)

    def note(self, sentence: str) -> None:
        """Say something worth knowing of a result that is as it was asked for."""
        self.say(NOTE + sentence)

    def detail(self, sentence: str) -> None:
        """Say a sentence if `verbose`."""
        if self.verbose:
            self.say(sentence)

    def detail_lines(self, text: str) -> None:
        """Say each line of a text, such as a traceback, if `verbose`."""
        for line in text.splitlines():
            self.detail(line)

    def show(self, line: str = "") -> None:
        """Print one line of a result on stdout."""
        click.echo(printable(line))

    def report(self, **fields: Any) -> None:
        """Print one JSON object on one line of stdout, if JSON is wanted."""
        if self.json:
            # JSON knows no infinity, which the PSNR of equal pictures is.
            known = {
                name: None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in fields.items()
            }
            click.echo(_json_of({"ok": True, **self.about, **known, **self._heard()}))

    def report_failure(self, code: int, sentence: str, **fields: Any) -> int:
        """Print the JSON of a failure, if JSON is wanted, and return its exit code."""
        if self.json:
            failure = {
                "ok": False,
                "error": {"code": code, "message": printable(sentence)},
                **self.about,
                **fields,
                **self._heard(),
            }
            try:
                click.echo(_json_of(failure))
            except StandardOutputError:
                pass  # The sentence on stderr and the exit code must do.
        return code

    def fail(self, code: int, sentence: str, **fields: Any) -> int:
        """Say why a command fails, and return its exit code. fields: of the JSON, for what there is all the same."""
        self._echo(f"Error: {sentence}")
        return self.report_failure(code, sentence, **fields)

    def progress(self, parts_of: PartsOf | None = None) -> AbstractContextManager[Callable[[Any], None] | None]:
        """Open a line of progress: a context manager whose value is a callback, or None if nobody watches.

        The callback takes a record with the fields of `Progress`. parts_of: writes it; without one, the record is that
        of a fit.
        """
        self._line = ProgressLine(parts_of or fit_parts, not self.quiet and sys.stderr.isatty())
        return self._line

    def _heard(self) -> dict[str, list[str]]:
        """Take the warnings and notes on the result at hand; the next one begins without any."""
        heard = {"warnings": self.warnings, "notes": self.notes}
        self.warnings, self.notes = [], []
        return heard

    def _echo(self, sentence: str) -> None:
        with self._line.aside() if self._line else nullcontext():
            click.echo(printable(sentence), err=True)


class Relayed(Talk):
    """The `Talk` of one file among many: it hands sentences and progress to two functions."""

    def __init__(self, say: Callable[[str], None], follow: Callable[[Any], None] | None = None) -> None:
        super().__init__()
        self._say, self._follow = say, follow

    def say(self, sentence: str) -> None:
        """Hand the sentence to the function."""
        self._say(sentence)

    def progress(self, parts_of: PartsOf | None = None) -> AbstractContextManager[Callable[[Any], None] | None]:
        """Open nothing: the value is the function that follows."""
        return nullcontext(self._follow)


def _json_of(fields: Mapping[str, Any]) -> str:
    return json.dumps({"schema": SCHEMA, **_decodable(fields)})


def _decodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _decodable(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_decodable(inner) for inner in value]
    return decodable(value) if isinstance(value, str) else value


class ProgressLine:
    """One line on a terminal, rewritten in place and wiped away at the end.

    The seconds that are left run down between two calls, too, so that nothing seems to stand still. shown: whether
    there is a terminal and the user wants the line.
    """

    def __init__(self, parts_of: PartsOf, shown: bool) -> None:
        self._parts_of, self._shown = parts_of, shown
        self._width, self._next = 0, 0.0
        self._told: tuple[Progress, float] | None = None
        self._lock, self._ended = RLock(), Event()

    def __enter__(self) -> Callable[[Progress], None] | None:
        if not self._shown:
            return None
        Thread(target=self._run_down, daemon=True).start()
        return self._update

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self._write("")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Wipe the line away while something else is said."""
        with self._lock:
            self._write("")
            yield

    def _update(self, progress: Progress) -> None:
        self._told = progress, monotonic()
        # The next step after the first or the last of a phase may take long.
        if monotonic() >= self._next or progress.step in (0, progress.total):
            self._show()

    def _run_down(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_TICKS):
            if self._told and monotonic() > self._next + SECONDS_BETWEEN_TICKS:
                self._show()

    def _show(self) -> None:
        with self._lock:
            if self._ended.is_set() or self._told is None:
                return
            (progress, at), columns = self._told, shutil.get_terminal_size().columns - 1
            self._next = monotonic() + SECONDS_BETWEEN_UPDATES
            self._write(within(columns, self._parts_of(progress, progress.seconds_left - (monotonic() - at), columns)))

    def _write(self, text: str) -> None:
        with self._lock:
            # The width is noted before the line is seen: an interrupt may come right after.
            before, self._width = self._width, columns_of(text)
            if before or text:
                sys.stderr.write("\r" + text + " " * (before - self._width) + ("" if text else "\r"))
                sys.stderr.flush()


def within(columns: int, parts: Sequence[str]) -> str:
    """Join the parts of a line, the most wanted first, as far as they fit into so many columns of a terminal.

    The last part is cut if enough of it fits.
    """
    line = ""
    for part in map(_as_shown, parts):
        added = f", {part}" if line else part
        if columns_of(line + added) <= columns:
            line += added
        elif part == _as_shown(parts[-1]) and columns - columns_of(line) > LEAST_CUT:
            return line + _cut(added, columns - columns_of(line))
    return line


def columns_of(text: str) -> int:
    """Count the columns of a terminal that a text takes.

    A wide character of East Asia takes two, and one that is combined with the character before takes none.
    """
    return sum(
        0
        if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf")
        else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def _as_shown(text: str) -> str:
    """Write a text as the stream does, with escapes for characters that its encoding lacks."""
    return printable(text).encode(sys.stderr.encoding, "backslashreplace").decode(sys.stderr.encoding)


def _cut(text: str, columns: int) -> str:
    """Cut a text to so many columns, three dots included."""
    while columns_of(text) > columns - 3:
        text = text[:-1]
    return f"{text}..."


def fit_parts(progress: Any, seconds_left: float, columns: int) -> list[str]:
    """Write the parts of a fit's line of progress. progress: of `fit/descent/loop.py`, or as told by a worker."""
    return [phase_text(progress), *left_parts(seconds_left), f"{progress.bpp:.3f} bpp", f"PSNR {progress.psnr:.2f} dB"]


def phase_text(progress: Any) -> str:
    """Write the phase of a fit: "step 12/600", "packing and checking"."""
    what = {
        "restore": "step",
        "fit": "step",
        "freeze": "rounding weights",
        "code": "rounding code",
        "pack": "packing and checking",
    }[progress.phase]
    return what if progress.phase == "pack" else f"{what} {progress.step}/{progress.total}"


def left_parts(seconds: float) -> list[str]:
    """Write ["1 min 24 s left"], or nothing if the time is not known."""
    return [f"{duration_text(max(1, seconds))} left"] if math.isfinite(seconds) else []


def bar_parts(progress: Progress, seconds_left: float, columns: int) -> list[str]:
    """Write ["[#####...............] 5/20", "1 min 24 s left"], without the bar on a narrow terminal."""
    filled = BAR * progress.step // progress.total
    bar = f"[{'#' * filled:.<{BAR}}] " if columns >= LEAST_FOR_A_BAR else ""
    return [
        f"{bar}{progress.step}/{progress.total}",
        *(left_parts(seconds_left) if progress.step < progress.total else []),
    ]


def bytes_text(count: int) -> str:
    """Write a number of bytes: "812 bytes", "12.3 kB", "1.2 MB"."""
    for power, unit in (3, "GB"), (2, "MB"), (1, "kB"):
        if count >= 1000**power:
            return f"{count / 1000**power:.1f} {unit}"
    return f"{count} bytes"


def duration_text(seconds: float) -> str:
    """Write a time in at most two units: "42 s", "3 min 20 s", "1 h 5 min"."""
    seconds = math.ceil(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def kind_text(planes: int) -> str:
    """Write "grey" for 1 plane, else "RGB"."""
    return "grey" if planes == 1 else "RGB"


def size_text(width: int, height: int, count: int, metadata: int = 0) -> str:
    """Write "768x512, 12345 bytes (0.251 bpp; 570 of them metadata)"."""
    of_them = f"; {metadata} of them metadata" if metadata else ""
    return f"{width}x{height}, {count} bytes ({8 * count / (width * height):.3f} bpp{of_them})"


def metadata_bytes(sections: Iterable[Mapping[str, Any]]) -> int:
    """Count the bytes of all chunks but alpha, which is a part of the picture. sections: of `read_info`."""
    return sum(
        section["bytes"]
        for section in sections
        if section["name"].startswith("chunk ") and section["name"] != "chunk alpha"
    )


def section_table(sections: Iterable[Mapping[str, Any]], total: int) -> list[str]:
    """Write the lines of a table: the bytes of each section of a file and their share. total: bytes of the file."""
    rows = [(section["name"], section["bytes"]) for section in sections]
    code = sum(count for name, count in rows if name.startswith("octave "))
    rows += [("all octaves", code), ("file", total)]
    width = max(len(name) for name, _ in rows)
    return [f"{'section':{width}}  {'bytes':>9}  {'share':>7}"] + [
        f"{name:{width}}  {count:9d}  {100 * count / total:5.1f} %" for name, count in rows
    ]

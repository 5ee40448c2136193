"""What a command says: sentences and progress on stderr, JSON on stdout."""

import json
import math
import shutil
import sys
import unicodedata
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from time import monotonic

import click

from ..jobs.streams import StandardOutputError
from ..printable import decodable, printable

SCHEMA = 1
WARNING, NOTE = "Warning: ", "Note: "
BAR = 20
LEAST_FOR_A_BAR, LEAST_CUT = 60, 12
"""Columns of the terminal; and those that a part must have at least to be shown in part."""
SECONDS_BETWEEN_UPDATES, SECONDS_BETWEEN_TICKS = 0.1, 1.0


@dataclass
class Talk:
    """How much a command says, and where. Errors are said even if `quiet`. about: what stands in every JSON object,
    such as the input at hand; warnings, notes: what was said since the last.
    """

    quiet: bool = False
    verbose: bool = False
    json: bool = False
    about: dict = field(default_factory=dict)
    warnings: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    _line: "ProgressLine | None" = None

    def say(self, sentence):
        """Say one line on stderr. What begins as a warning or a note is told in JSON, too, even if `quiet`."""
        for kind, beginning in (self.warnings, WARNING), (self.notes, NOTE):
            if sentence.startswith(beginning):
                kind.append(printable(sentence.removeprefix(beginning)))
        if not self.quiet:
            self._echo(sentence)

    def warn(self, sentence):
        """Say what went wrong with a part while the whole goes on."""
        self.say(WARNING + sentence)

    def note(self, sentence):
        """Say what is worth to know of a result that is what was asked for."""
        self.say(NOTE + sentence)

    def detail(self, sentence):
        if self.verbose:
            self.say(sentence)

    def detail_lines(self, text):
        """The lines of a traceback, say."""
        for line in text.splitlines():
            self.detail(line)

    def show(self, line=""):
        """One line of a result on stdout."""
        click.echo(printable(line))

    def report(self, **fields):
        """One JSON object on one line, if JSON is wanted."""
        if self.json:
            # JSON knows no infinity, which the PSNR of equal pictures is.
            known = {
                name: None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in fields.items()
            }
            click.echo(_json_of({"ok": True, **self.about, **known, **self._heard()}))

    def report_failure(self, code, sentence, **fields):
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

    def fail(self, code, sentence, **fields):
        """Say why a command fails, and in JSON what there is all the same; returns its exit code."""
        self._echo(f"Error: {sentence}")
        return self.report_failure(code, sentence, **fields)

    def progress(self, parts_of=None):
        """A context manager whose value is a callback, or `None` if nobody watches.

        What the callback gets is a record with step, total and seconds_left; without `parts_of` it is that of a fit.
        parts_of(record, seconds left by now, columns of the terminal) makes a list of the line's parts, the most wanted
        first.
        """
        self._line = ProgressLine(parts_of or fit_parts, not self.quiet and sys.stderr.isatty())
        return self._line

    def _heard(self):
        """What was said of the result at hand; the next one begins anew."""
        heard = {"warnings": self.warnings, "notes": self.notes}
        self.warnings, self.notes = [], []
        return heard

    def _echo(self, sentence):
        with self._line.aside() if self._line else nullcontext():
            click.echo(printable(sentence), err=True)


class Relayed(Talk):
    """The talk of one file among many: sentences go to a function, and so does progress."""

    def __init__(self, say, follow=None):
        super().__init__()
        self._say, self._follow = say, follow

    def say(self, sentence):
        self._say(sentence)

    def progress(self, parts_of=None):
        return nullcontext(self._follow)


def _json_of(fields):
    return json.dumps({"schema": SCHEMA, **_decodable(fields)})


def _decodable(value):
    if isinstance(value, dict):
        return {name: _decodable(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_decodable(inner) for inner in value]
    return decodable(value) if isinstance(value, str) else value


class ProgressLine:
    """One line on a terminal, rewritten in place and wiped away at the end. The seconds that are left run down between
    two calls, too, so that nothing seems to stand still.

    parts_of: see `Talk.progress`.
    """

    def __init__(self, parts_of, shown):
        self._parts_of, self._shown = parts_of, shown
        self._width, self._next = 0, 0.0
        self._told = None
        self._lock, self._ended = RLock(), Event()

    def __enter__(self):
        if not self._shown:
            return None
        Thread(target=self._run_down, daemon=True).start()
        return self._update

    def __exit__(self, *_):
        self._ended.set()
        self._write("")

    @contextmanager
    def aside(self):
        """Without the line, for something else to be said."""
        with self._lock:
            self._write("")
            yield

    def _update(self, progress):
        self._told = progress, monotonic()
        # The next step after the first or the last of a phase may take long.
        if monotonic() >= self._next or progress.step in (0, progress.total):
            self._show()

    def _run_down(self):
        while not self._ended.wait(SECONDS_BETWEEN_TICKS):
            if self._told and monotonic() > self._next + SECONDS_BETWEEN_TICKS:
                self._show()

    def _show(self):
        with self._lock:
            if self._ended.is_set():
                return
            (progress, at), columns = self._told, shutil.get_terminal_size().columns - 1
            self._next = monotonic() + SECONDS_BETWEEN_UPDATES
            self._write(within(columns, self._parts_of(progress, progress.seconds_left - (monotonic() - at), columns)))

    def _write(self, text):
        with self._lock:
            # The width is noted before the line is seen: an interrupt may come right after.
            before, self._width = self._width, columns_of(text)
            if before or text:
                sys.stderr.write("\r" + text + " " * (before - self._width) + ("" if text else "\r"))
                sys.stderr.flush()


def within(columns, parts):
    """Parts of a line, the most wanted first, as far as they fit into so many columns of a terminal; the last one is
    cut if some of it does.
    """
    line = ""
    for part in map(_as_shown, parts):
        added = f", {part}" if line else part
        if columns_of(line + added) <= columns:
            line += added
        elif part == _as_shown(parts[-1]) and columns - columns_of(line) > LEAST_CUT:
            return line + _cut(added, columns - columns_of(line))
    return line


def columns_of(text):
    """How many columns of a terminal text takes: two for each wide character of East Asia, none for what is combined
    with the one before.
    """
    return sum(
        0
        if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf")
        else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def _as_shown(text):
    """Text as the stream writes it, which has escapes for what its encoding lacks."""
    return printable(text).encode(sys.stderr.encoding, "backslashreplace").decode(sys.stderr.encoding)


def _cut(text, columns):
    """The beginning of a text, and three dots, in so many columns."""
    while columns_of(text) > columns - 3:
        text = text[:-1]
    return f"{text}..."


def fit_parts(progress, seconds_left, columns):
    """What is shown of a `fit.loop.Progress`; see `Talk.progress`."""
    return [phase_text(progress), *left_parts(seconds_left), f"{progress.bpp:.3f} bpp", f"PSNR {progress.psnr:.2f} dB"]


def phase_text(progress):
    """ "step 12/600", "packing and checking" """
    what = {
        "restore": "step",
        "fit": "step",
        "freeze": "rounding weights",
        "code": "rounding code",
        "pack": "packing and checking",
    }[progress.phase]
    return what if progress.phase == "pack" else f"{what} {progress.step}/{progress.total}"


def left_parts(seconds):
    """["1 min 24 s left"], or nothing if that is not known."""
    return [f"{duration_text(max(1, seconds))} left"] if math.isfinite(seconds) else []


def bar_parts(progress, seconds_left, columns):
    """["[#####...............] 5/20", "1 min 24 s left"], without the bar on a narrow terminal."""
    filled = BAR * progress.step // progress.total
    bar = f"[{'#' * filled:.<{BAR}}] " if columns >= LEAST_FOR_A_BAR else ""
    return [
        f"{bar}{progress.step}/{progress.total}",
        *(left_parts(seconds_left) if progress.step < progress.total else []),
    ]


def bytes_text(count):
    """A number of bytes: "812 bytes", "12.3 kB", "1.2 MB"."""
    for power, unit in (3, "GB"), (2, "MB"), (1, "kB"):
        if count >= 1000**power:
            return f"{count / 1000**power:.1f} {unit}"
    return f"{count} bytes"


def duration_text(seconds):
    """A time in at most two units: "42 s", "3 min 20 s", "1 h 5 min"."""
    seconds = math.ceil(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def kind_text(planes):
    return "grey" if planes == 1 else "RGB"


def size_text(width, height, count, metadata=0):
    """ "768x512, 12345 bytes (0.251 bpp; 570 of them metadata)" """
    of_them = f"; {metadata} of them metadata" if metadata else ""
    return f"{width}x{height}, {count} bytes ({8 * count / (width * height):.3f} bpp{of_them})"


def metadata_bytes(sections):
    """The bytes of all chunks but alpha, which is a part of the picture."""
    return sum(
        section["bytes"]
        for section in sections
        if section["name"].startswith("chunk ") and section["name"] != "chunk alpha"
    )


def section_table(sections, total):
    """Lines of a table: the bytes of each section of a file and their share."""
    rows = [(section["name"], section["bytes"]) for section in sections]
    code = sum(count for name, count in rows if name.startswith("octave "))
    rows += [("all octaves", code), ("file", total)]
    width = max(len(name) for name, _ in rows)
    return [f"{'section':{width}}  {'bytes':>9}  {'share':>7}"] + [
        f"{name:{width}}  {count:9d}  {100 * count / total:5.1f} %" for name, count in rows
    ]

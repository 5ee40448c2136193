"""What a command says: sentences and progress on stderr, JSON on stdout."""

import json
import math
import shutil
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from time import monotonic

import click

from ..printable import decodable, printable
from ..streams import StandardOutputError

SCHEMA = 1
WARNING, NOTE = "Warning: ", "Note: "
BAR = 20
SECONDS_BETWEEN_UPDATES = 0.1


@dataclass
class Talk:
    """How much a command says, and where. Errors are said even if `quiet`. about: what stands in every JSON object, such as the input at hand; warnings, notes: what was said since the last."""

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
            known = {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in fields.items()}
            click.echo(_json_of({"ok": True, **self.about, **known, **self._heard()}))

    def report_failure(self, code, sentence, **fields):
        if self.json:
            failure = {"ok": False, "error": {"code": code, "message": printable(sentence)}, **self.about, **fields, **self._heard()}
            try:
                click.echo(_json_of(failure))
            except StandardOutputError:
                pass  # The sentence on stderr and the exit code must do.
        return code

    def fail(self, code, sentence, **fields):
        """Say why a command fails, and in JSON what there is all the same; returns its exit code."""
        self._echo(f"Error: {sentence}")
        return self.report_failure(code, sentence, **fields)

    def progress(self, text_of=None):
        """A context manager whose value is a callback, or `None` if nobody watches; `text_of` makes a line of what the callback gets.

        That is a record with step, total and seconds_left; without `text_of` it is that of a fit.
        """
        self._line = ProgressLine(text_of or fit_text, not self.quiet and sys.stderr.isatty())
        return self._line

    def _heard(self):
        """What was said of the result at hand; the next one begins anew."""
        heard = {"warnings": self.warnings, "notes": self.notes}
        self.warnings, self.notes = [], []
        return heard

    def _echo(self, sentence):
        if self._line:
            self._line.wipe()
        click.echo(printable(sentence), err=True)


class Relayed(Talk):
    """The talk of one file among many: sentences go to a function, and so does progress."""

    def __init__(self, say, follow=None):
        super().__init__()
        self._say, self._follow = say, follow

    def say(self, sentence):
        self._say(sentence)

    def progress(self, text_of=None):
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
    """One line on a terminal, rewritten in place and wiped away at the end."""

    def __init__(self, text_of, shown):
        self._text_of = text_of
        self._shown = shown
        self._length = 0
        self._next = 0.0

    def __enter__(self):
        return self._update if self._shown else None

    def __exit__(self, *_):
        self.wipe()

    def wipe(self):
        self._write("")

    def _update(self, progress):
        if monotonic() < self._next and progress.step < progress.total:
            return
        self._next = monotonic() + SECONDS_BETWEEN_UPDATES
        self._write(self._text_of(progress)[: shutil.get_terminal_size().columns - 1])

    def _write(self, text):
        # The length is noted before the line is seen: an interrupt may come right after.
        before, self._length = self._length, len(text)
        if before or text:
            sys.stderr.write("\r" + text.ljust(before) + ("" if text else "\r"))
            sys.stderr.flush()


def fit_text(progress):
    what = {"fit": "step", "freeze": "rounding weights", "code": "rounding code"}[progress.phase]
    parts = [f"{what} {progress.step}/{progress.total}", f"{progress.bpp:.3f} bpp", f"PSNR {progress.psnr:.2f} dB"]
    if progress.step >= progress.total:
        parts += ["finishing"] * (progress.phase != "fit")
    elif math.isfinite(progress.seconds_left):
        parts.append(f"{duration_text(progress.seconds_left)} left")
    return ", ".join(parts)


def bar_text(progress):
    """ "[#####...............] 5/20, 1 min 24 s left" """
    filled = BAR * progress.step // progress.total
    left = f", {duration_text(progress.seconds_left)} left" if math.isfinite(progress.seconds_left) else ""
    return f"[{'#' * filled:.<{BAR}}] {progress.step}/{progress.total}{left}"


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
    return sum(section["bytes"] for section in sections if section["name"].startswith("chunk ") and section["name"] != "chunk alpha")


def section_table(sections, total):
    """Lines of a table: the bytes of each section of a file and their share."""
    rows = [(section["name"], section["bytes"]) for section in sections]
    code = sum(count for name, count in rows if name.startswith("octave "))
    rows += [("all octaves", code), ("file", total)]
    width = max(len(name) for name, _ in rows)
    return [f"{'section':{width}}  {'bytes':>9}  {'share':>7}"] + [
        f"{name:{width}}  {count:9d}  {100 * count / total:5.1f} %" for name, count in rows
    ]

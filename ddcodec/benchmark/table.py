"""The table of measurements: one line of tab-separated text a row, appended as it comes, whole or not at all."""

import os
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import OutputError, SourceError


class Key(NamedTuple):
    """What is measured once only."""

    picture: str
    sha256: str
    codec: str
    setting: float
    versions: str


@dataclass(frozen=True)
class Row:
    """One picture, coded to a file by one codec at one setting, and decoded from that file.

    date: ISO. machine: processor and cores, in words. picture: file name without its ending. sha256: the first 16
    digits of the source file's. codec: its name in `peers`, such as "jpeg:444" or "ddc:e5". setting: a number in the
    codec's own scale. bytes: of the whole file. psnr: dB over RGB (or grey) samples, inf if nothing is lost; psnr_y: dB
    of BT.601 luma. ms_ssim and ssimulacra2: None where they are not defined (a small picture) or not installed; all
    three where nobody measured them. encode_s, decode_s: seconds of wall clock with `threads` threads, between samples
    and bytes. versions: of all libraries that made the file.
    """

    date: str
    machine: str
    picture: str
    sha256: str
    width: int
    height: int
    codec: str
    setting: float
    bytes: int
    psnr: float
    psnr_y: float | None
    ms_ssim: float | None
    ssimulacra2: float | None
    encode_s: float
    decode_s: float
    threads: int
    versions: str

    @property
    def bpp(self):
        """Bits per pixel of the whole file."""
        return 8 * self.bytes / (self.width * self.height)

    @property
    def key(self):
        """The `Key` of this row."""
        return Key(self.picture, self.sha256, self.codec, self.setting, self.versions)


COLUMNS = (
    "date",
    "machine",
    "picture",
    "sha256",
    "width",
    "height",
    "codec",
    "setting",
    "bytes",
    "bpp",
    "psnr",
    "psnr_y",
    "ms_ssim",
    "ssimulacra2",
    "encode_s",
    "decode_s",
    "threads",
    "versions",
)
"""`bpp` is written for people; it follows from the others and is not read back."""
HEADER = "\t".join(COLUMNS)

FORMATS = {
    "setting": "g",
    "bpp": ".5f",
    "psnr": ".4f",
    "psnr_y": ".4f",
    "ms_ssim": ".6f",
    "ssimulacra2": ".4f",
    "encode_s": ".4g",
    "decode_s": ".4g",
}
NUMBERS = {"width": int, "height": int, "bytes": int, "threads": int} | dict.fromkeys(FORMATS, float)
OPTIONAL = ("psnr_y", "ms_ssim", "ssimulacra2")


def read_table(path):
    """All rows of a table, in its order; none if there is no such file.

    A last line without an end, left by a crash, is not a row.

    Raises `SourceError` for a file that is not such a table.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.") from None
    header, *lines = text.split("\n")
    if not lines and HEADER.startswith(header):
        return []
    if header != HEADER:
        raise SourceError(f"{path} is no table of this benchmark: its first line does not name the columns.")
    return [_row(line, f"{path}, line {number}") for number, line in enumerate(lines[:-1], 2)]


def latest(rows):
    """The last row of each picture, codec and setting, in the order of their first."""
    return list({(row.picture, row.codec, row.setting): row for row in rows}.values())


def text_of(rows):
    """A whole table."""
    return "".join(line + "\n" for line in (HEADER, *map(_line, rows)))


def append_row(path, row):
    """Add one row, in one write, to a table that is made if it does not exist; what a crash left of a line is cut off
    first.

    Raises `OutputError`.
    """
    try:
        with open(path, "a+b") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - LONGEST_LINE))
            tail = file.read()
            if tail and not tail.endswith(b"\n"):
                end -= len(tail) - tail.rfind(b"\n") - 1
                file.truncate(end)
            file.write((text_of([row]) if end == 0 else _line(row) + "\n").encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from None


LONGEST_LINE = 1 << 16


def _line(row):
    values = {name: getattr(row, name) for name in COLUMNS}
    return "\t".join(
        "" if value is None else " ".join(format(value, FORMATS.get(name, "")).split())
        for name, value in values.items()
    )


def _row(line, where):
    cells = dict(zip(COLUMNS, line.split("\t")))
    if len(line.split("\t")) != len(COLUMNS):
        raise SourceError(f"{where} has not {len(COLUMNS)} columns.")
    try:
        values = {
            name: None if name in OPTIONAL and not cell else NUMBERS.get(name, str)(cell)
            for name, cell in cells.items()
        }
    except ValueError:
        raise SourceError(f"{where} has words where a number should be.") from None
    del values["bpp"]
    return Row(**values)

"""The table of measurements: tab-separated text, a line a row. A row is appended whole or not at all."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import OutputError, SourceError


class Key(NamedTuple):
    """The fields that tell one measurement from another; a second one of the same key is not made."""

    picture: str
    sha256: str
    codec: str
    setting: float
    versions: str


@dataclass(frozen=True)
class Row:
    """One picture, coded to a file by one codec at one setting, and decoded from that file.

    - date: ISO 8601.
    - machine: processor and cores, in words.
    - picture: file name without its ending.
    - sha256: first 16 digits of the picture file's SHA-256.
    - width, height: pixels.
    - codec: its name in `peers`, such as "jpeg:444" or "ddc:e5".
    - setting: a number in the codec's own scale.
    - bytes: of the whole file.
    - psnr: dB over RGB (or grey) samples; infinity if nothing is lost.
    - psnr_y: dB over BT.601 luma.
    - ms_ssim, ssimulacra2, psnr_hvs_m, butteraugli: as `metrics` has them. None for a picture that is too small, or
      where a program is not installed.
    - encode_s, decode_s: seconds of wall clock with `threads` threads, between samples and bytes.
    - versions: of all libraries that made the file.

    psnr_y and the measures of the line above are None in rows of versions that did not measure them.
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
    psnr_hvs_m: float | None
    butteraugli: float | None
    encode_s: float
    decode_s: float
    threads: int
    versions: str

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file."""
        return 8 * self.bytes / (self.width * self.height)

    @property
    def key(self) -> Key:
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
    "psnr_hvs_m",
    "butteraugli",
    "encode_s",
    "decode_s",
    "threads",
    "versions",
)
"""Columns of the table. `bpp` is for people: it follows from the others and is not read back."""
HEADER = "\t".join(COLUMNS)

FORMATS = {
    "setting": "g",
    "bpp": ".5f",
    "psnr": ".4f",
    "psnr_y": ".4f",
    "ms_ssim": ".6f",
    "ssimulacra2": ".4f",
    "psnr_hvs_m": ".4f",
    "butteraugli": ".4f",
    "encode_s": ".4g",
    "decode_s": ".4g",
}
"""Column -> format of its numbers."""
NUMBERS: dict[str, Callable[[str], Any]] = {"width": int, "height": int, "bytes": int, "threads": int} | dict.fromkeys(
    FORMATS, float
)
"""Column -> the type of its cells; all others are text."""
OPTIONAL = ("psnr_y", "ms_ssim", "ssimulacra2", "psnr_hvs_m", "butteraugli")
"""Columns whose cells may be empty, which stands for None."""
LONGEST_LINE = 1 << 16
"""Bytes that are read from a table's end to find what a crash left of a line."""


def read_table(path: Path) -> list[Row]:
    """Read all rows of a table, in its order; there are none if there is no such file.

    A last line without an end is what a crash left, and no row.

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


def latest(rows: Iterable[Row]) -> list[Row]:
    """Keep the last row of each picture, codec and setting, at the place of the first."""
    return list({(row.picture, row.codec, row.setting): row for row in rows}.values())


def text_of(rows: Iterable[Row]) -> str:
    """Write a whole table as text."""
    return "".join(line + "\n" for line in (HEADER, *map(_line, rows)))


def append_row(path: Path, row: Row) -> None:
    """Add one row to a table, in one write; the table is made if it does not exist.

    An unfinished last line, left by a crash, is cut off first. Raises `OutputError`.
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


def _line(row: Row) -> str:
    values = {name: getattr(row, name) for name in COLUMNS}
    return "\t".join(
        "" if value is None else " ".join(format(value, FORMATS.get(name, "")).split())
        for name, value in values.items()
    )


def _row(line: str, where: str) -> Row:
    cells = dict(zip(COLUMNS, line.split("\t")))
    if len(line.split("\t")) != len(COLUMNS):
        raise SourceError(f"{where} has not {len(COLUMNS)} columns.")
    try:
        values: dict[str, Any] = {
            name: None if name in OPTIONAL and not cell else NUMBERS.get(name, str)(cell)
            for name, cell in cells.items()
        }
    except ValueError:
        raise SourceError(f"{where} has words where a number should be.") from None
    del values["bpp"]
    return Row(**values)

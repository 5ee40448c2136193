"""Restorations measured against the truth, picture by picture; the method never sees the truth."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OutputError, SourceError, UsageError
from ..metrics import psnr, ssimulacra2
from ..pictures.jpeg import coded, decoded
from ..pictures.kinds import is_picture_name
from ..pictures.read import load_picture, read_file
from ..restoration.enlarging import made_small
from ..restoration.masks import known_from
from ..restoration.plain import plain_answer
from ..restoration.restore import Restored, restore_picture
from ..version import __version__
from .machine import machine

if TYPE_CHECKING:
    from ..restoration.options import RestoreOptions


@dataclass(frozen=True)
class Row:
    """One picture.

    setting: the options that differ from the default, in words. noise: "files", or the standard deviation of the noise
    that was added, in levels, or "jpeg" and the quality of the JPEG that was made. before, after: PSNR over all pixels
    in dB, of the input (of superres its Lanczos interpolation) and of the result. missing: PSNR over the missing pixels
    in dB, or None. sigma: standard deviation that the method took the noise to have, or None. seconds: of wall clock.
    reason: why the fit ended. ssimulacra2_before, ssimulacra2_after: as before and after, or None where they were not
    measured.
    """

    date: str
    machine: str
    version: str
    task: str
    setting: str
    noise: str
    picture: str
    before: float
    after: float
    missing: float | None
    sigma: float | None
    prior: str
    steps: int
    seconds: float
    reason: str
    ssimulacra2_before: float | None = None
    ssimulacra2_after: float | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The fields that tell one measurement from another."""
        return self.task, self.setting, self.noise, self.picture


COLUMNS = tuple(field.name for field in fields(Row))
NUMBERS: dict[str, Callable[[str], Any]] = {
    "before": float,
    "after": float,
    "missing": float,
    "sigma": float,
    "steps": int,
    "seconds": float,
    "ssimulacra2_before": float,
    "ssimulacra2_after": float,
}
"""Column -> the type of its cells; all others are text."""


@dataclass(frozen=True)
class Job:
    """The file of a truth, with the file of its input or None, and the file of its mask or None."""

    truth: Path
    input: Path | None
    mask: Path | None


def jobs_of(
    truths: Iterable[str | Path],
    inputs: str | Path | None = None,
    masks: str | Path | None = None,
    ending: tuple[str, str] = ("", ""),
) -> list[Job]:
    """Make the `Job`s of truths.

    truths: files, or folders of them. inputs, masks: folders with files of the same names; or one file for all. ending:
    how the names of inputs and of truths end, where they differ.

    Raises `SourceError` if there is no truth, or if a file is missing.
    """
    paths = [
        path for given in truths for path in (sorted(Path(given).iterdir()) if Path(given).is_dir() else [Path(given)])
    ]
    paths = [path for path in paths if is_picture_name(path) and path.stem.endswith(ending[1])]
    if not paths:
        raise SourceError("There are no pictures of the truth.")

    def beside(folder: Any, path: Path) -> Any:
        if folder is None or not Path(folder).is_dir():
            return folder and Path(folder)
        stem = path.stem[: len(path.stem) - len(ending[1])] + ending[0]
        found = [other for other in sorted(Path(folder).iterdir()) if other.stem == stem and other != path]
        if not found:
            raise SourceError(f"{folder} has no picture {stem}.")
        return found[0]

    return [Job(path, beside(inputs, path), beside(masks, path)) for path in paths]


def with_noise(samples: np.ndarray, sigma: float) -> np.ndarray:
    """Add white noise to uint8 samples, the same in every run, and round and clip the sum to 8 bits.

    samples: (H, W, C) or (H, W). sigma: standard deviation in levels.
    """
    return np.rint(samples + np.random.default_rng(0).normal(0, sigma, samples.shape)).clip(0, 255).astype(np.uint8)


def made_by(added: float | None, quality: int | None) -> str:
    """Say how the inputs were made, as `Row.noise`; the arguments are those of `case_of`."""
    return f"{added:g}" if added is not None else "files" if quality is None else f"jpeg {quality}"


@dataclass(frozen=True)
class Case:
    """What a method gets, and the truth that scores it.

    name: of the picture.
    truth: uint8 (H, W) or (H, W, 3).
    samples: the input, uint8, of the same shape; of superres so many times smaller.
    noise: as in `Row`.
    known: bool (H, W), False where something is missing; None for all tasks but inpaint.
    file: the bytes of the input's file, or None.
    """

    name: str
    truth: np.ndarray
    samples: np.ndarray
    noise: str
    known: np.ndarray | None = None
    file: bytes | None = None


def case_of(job: Job, options: "RestoreOptions", *, added: float | None = None, quality: int | None = None) -> Case:
    """Read a job's files, and make its input where none is named.

    options: of which the task and the scale count. added: standard deviation, in levels, of the noise that makes the
    input of the truth; see `with_noise`. quality: of the JPEG that is made of the truth as its input.

    Raises `UsageError` if the task lacks a mask or an input.
    """
    truth, noise = load_picture(job.truth), made_by(added, quality)
    known, file = None, None
    if options.task == "inpaint":
        if job.mask is None:
            raise UsageError("Inpainting is measured with a mask; name one with --mask.")
        levels = load_picture(job.mask)
        known = known_from(
            levels if levels.shape[:2] == truth.shape[:2] else levels.swapaxes(0, 1), truth.shape, name=str(job.mask)
        )
        samples = np.where(known if truth.ndim == 2 else known[..., None], truth, 0).astype(np.uint8)
    elif added is not None:
        samples = with_noise(truth, added)
    elif quality is not None:
        file = coded(truth, quality=quality)
        samples = decoded(file)
    elif options.task == "superres":
        truth, samples = _smaller(truth, options.scale)
    elif job.input is None:
        raise UsageError("What is to be restored? Name a folder with --inputs, or --add-noise or --as-jpeg.")
    else:
        samples, file = load_picture(job.input), read_file(job.input)
    return Case(job.truth.stem, truth, samples, noise, known, file)


def measured(case: Case, task: str, setting: str, version: str, restored: Restored) -> Row:
    """Make the `Row` of what a method has made of a case. setting, version: see `Row`."""
    missing = None
    if case.known is not None and not case.known.all():
        missing = psnr(case.truth[~case.known], restored.samples[~case.known])
    planes = case.samples.reshape(*case.samples.shape[:2], -1)
    factor = case.truth.shape[0] // planes.shape[0]
    before = np.rint(255 * plain_answer(planes, factor)[0]).astype(np.uint8).reshape(case.truth.shape)
    return Row(
        date.today().isoformat(),
        machine(),
        version,
        task,
        setting,
        case.noise,
        case.name,
        psnr(case.truth, before),
        psnr(case.truth, restored.samples),
        missing,
        restored.sigma,
        restored.prior,
        restored.steps,
        restored.seconds,
        restored.reason,
        ssimulacra2(case.truth, before),
        ssimulacra2(case.truth, restored.samples),
    )


def measure(
    case: Case,
    options: "RestoreOptions",
    *,
    setting: str = "",
    progress: Callable[[Any], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> tuple[np.ndarray, Row]:
    """Restore a case's input and measure the result, as (restored samples, `Row`).

    setting: see `Row`. progress, say: as `restore_picture` takes them.
    """
    restored = restore_picture(case.samples, options, known=case.known, file=case.file, progress=progress, say=say)
    return restored.samples, measured(case, options.task, setting, __version__, restored)


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a table; there are none if there is no such file. Raises `SourceError`."""
    if not path.exists():
        return []
    header, *lines = path.read_text("utf-8").splitlines()
    if header.split("\t") != list(COLUMNS):
        raise SourceError(f"{path} is no table of restorations: its first line does not name the columns.")
    rows = []
    for line in lines:
        cells = dict(zip(COLUMNS, line.split("\t")))
        values: dict[str, Any] = {
            name: (None if cell == "" else NUMBERS.get(name, str)(cell)) for name, cell in cells.items()
        }
        rows.append(Row(**values))
    return [replace(row, setting=row.setting or "") for row in rows]


def append_row(path: Path, row: Row) -> None:
    """Add a row to a table, which is made if there is none. Raises `OutputError`."""
    cells = [
        "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
        for value in asdict(row).values()
    ]
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(("" if file.tell() else "\t".join(COLUMNS) + "\n") + "\t".join(cells) + "\n")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from None


def _smaller(truth: np.ndarray, scale: Any) -> tuple[np.ndarray, np.ndarray]:
    """Cut the truth to a multiple of the scale, and make it small."""
    height, width = (side // scale * scale for side in truth.shape[:2])
    truth = truth[:height, :width]
    small = made_small(truth.reshape(height, width, -1).astype(np.float32), scale)
    return truth, np.rint(small).clip(0, 255).astype(np.uint8).reshape(
        height // scale, width // scale, *truth.shape[2:]
    )

"""A run of the benchmark: find pictures, measure the rows that are missing, go on where an earlier run stopped."""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import LimitError, OutputError, SourceError, UsageError
from ..jobs.files import files_in
from ..jobs.output import sweep, write_target
from ..jobs.workers import Crashed, run_jobs
from ..pictures.kinds import is_picture_name
from .measure import Failure, Job, Source, measure, source_of
from .peers import Peer, PeerError
from .table import Key, Row, append_row, latest, read_table, text_of

TABLE, FILES = "rows.tsv", "files"
"""Names in a report's folder: the table, and the folder of coded files."""
LONGEST_NAME = 200
"""Bytes of a picture's name in that of a coded file; file systems take 255, and the setting needs some."""


@dataclass(frozen=True)
class Progress:
    """The state of a run.

    step, total: rows that are done, and all. codec, picture: of the row that was measured last. seconds_left: infinity
    while unknown.
    """

    step: int
    total: int
    codec: str
    picture: str
    seconds_left: float


def find_pictures(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """Find picture files, as (paths of pictures, paths of other visible files in the folders).

    A folder stands for its pictures, in the order of their names; its own folders are not entered. paths: files and
    folders.

    Raises `SourceError` for a folder without pictures or a path that does not exist.
    """
    found: list[str] = []
    skipped: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            found.append(path)
            continue
        files = files_in(path)
        pictures = [file for file in files if is_picture_name(file)]
        if not pictures:
            raise SourceError(f"The folder {path} holds no picture.")
        found += pictures
        skipped += [file for file in files if not is_picture_name(file)]
    return list({os.path.realpath(path): path for path in found}.values()), skipped


def read_sources(paths: Iterable[str]) -> tuple[list[Source], list[str]]:
    """Make the `Source`s of picture files, with a sentence for each file that cannot be read.

    Raises `UsageError` for two pictures of one name.
    """
    sources: dict[str, Source] = {}
    failures = []
    for path in paths:
        try:
            source = source_of(path)
        except (SourceError, LimitError) as error:
            failures.append(str(error))
            continue
        if source.name in sources:
            raise UsageError(
                f"Two pictures are called {source.name}: {sources[source.name].path} and {path}; rename one."
            )
        sources[source.name] = source
    return list(sources.values()), failures


def split_missing(peers: Iterable[Peer]) -> tuple[dict[Peer, str], list[tuple[Peer, str]]]:
    """Split peers into those that can be used here, with their versions, and the others, each with a sentence why."""
    present, missing = {}, []
    for peer in peers:
        try:
            present[peer] = peer.versions()
        except PeerError as error:
            missing.append((peer, str(error)))
    return present, missing


def prepare_folder(folder: str) -> None:
    """Make a report's folder, or take up the one that is there.

    Raises `OutputError` if it holds anything but such a report.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        used = os.listdir(folder)
        if used and TABLE not in used:
            raise OutputError(f"{folder} holds other files and no {TABLE} of an earlier run; name a new folder.")
        # The table comes first, since a folder that has it is taken up again. Whether rows can be written is known now,
        # not after an hour.
        with open(os.path.join(folder, TABLE), "ab"):
            pass
        os.makedirs(os.path.join(folder, FILES), exist_ok=True)
        for inner in Path(folder, FILES).iterdir():
            sweep(str(inner))
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from None


@dataclass(frozen=True)
class Run:
    """All rows to be measured: `sources` in all `peers`, into `folder`. peers: `Peer` -> its versions."""

    folder: str
    sources: list[Source]
    peers: dict[Peer, str]

    @property
    def table(self) -> Path:
        """The path of the table."""
        return Path(self.folder) / TABLE

    def jobs(self) -> list[Job]:
        """Make a `Job` for every wanted row, picture by picture: so a part of the whole is worth something, too."""
        jobs = []
        for source in self.sources:
            for peer, versions in self.peers.items():
                for setting in peer.settings:
                    jobs.append(
                        Job(source, peer.name, setting, peer.threads, str(self.file(source, peer, setting)), versions)
                    )
        return jobs

    def rows(self) -> list[Row]:
        """Read the rows of these very pictures, the last of each codec and setting.

        Codecs that only earlier runs measured are among them.
        """
        known = {(source.name, source.sha256) for source in self.sources}
        return latest([row for row in read_table(self.table) if (row.picture, row.sha256) in known])

    def measure(self, processes: int, progress: Callable[[Progress], None] | None = None) -> list[str]:
        """Measure the rows that are missing, and write each as it comes.

        Returns a sentence for each codec and picture that failed, with the reason. The finished table has the order of
        `jobs`, in whatever order they end and however often the run is taken up again.

        Raises `OutputError` if a row cannot be written or another run writes to the table.
        """
        with _alone(self.table):
            return self._measure(processes, progress)

    def _measure(self, processes: int, progress: Callable[[Progress], None] | None) -> list[str]:
        wanted = self.jobs()
        done = {row.key: row for row in self.rows()}
        missing = [job for job in wanted if job.key not in done]
        for folder in {os.path.dirname(job.file) for job in missing}:
            os.makedirs(folder, exist_ok=True)
        clock = _Clock(missing, processes)
        failed: Counter[tuple[str, str, str]] = Counter()
        if progress and missing:
            progress(
                Progress(len(wanted) - len(missing), len(wanted), missing[0].codec, missing[0].source.name, math.inf)
            )
        for job, result, seconds in run_jobs(measure, missing, processes):
            clock.finished(job, seconds)
            if isinstance(result, Failure) and result.fatal:
                raise OutputError(
                    f"{result.sentence.rstrip('.')}. The rows so far are kept, and the same command goes on from there."
                )
            if isinstance(result, (Failure, Crashed)):
                failed[job.codec, job.source.name, _reason(result)] += 1
            else:
                append_row(self.table, result)
            if progress:
                progress(
                    Progress(
                        len(wanted) - len(clock.left), len(wanted), job.codec, job.source.name, clock.seconds_left()
                    )
                )
        self._sort(wanted)
        return [
            f"{codec}, {picture}: {reason} ({_settings(count)})" for (codec, picture, reason), count in failed.items()
        ]

    def file(self, source: Source, peer: Peer, setting: float) -> Path:
        """Give the path of a row's coded file."""
        # The escapes of a name have backslashes, which lead to another folder on Windows.
        name = (
            source.name if len(os.fsencode(source.name)) <= LONGEST_NAME and "\\" not in source.name else source.sha256
        )
        return Path(self.folder) / FILES / peer.name.replace(":", "-") / f"{name}-{setting:g}{peer.suffix}"

    def _sort(self, wanted: Sequence[Job]) -> None:
        place = {job.key._replace(versions=""): number for number, job in enumerate(wanted)}
        rows = read_table(self.table)
        ordered = sorted(rows, key=lambda row: place.get(row.key._replace(versions=""), -1))
        if ordered != rows:
            write_target(self.table, text_of(ordered).encode(), force=True)


@contextmanager
def _alone(table: Path) -> Iterator[None]:
    """Lock a table: only one run at a time may write to it.

    The system lets go of the lock whatever ends the process. Raises `OutputError` if another run has it.
    """
    try:
        import fcntl
    except ImportError:
        yield  # Windows has no such locks.
        return
    with open(table, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OutputError(f"Another run is writing to {table}; wait for its end, or name another folder.") from None
        yield


class _Clock:
    """An estimate of the time that is left, from the seconds a pixel of each codec so far, measuring included."""

    def __init__(self, jobs: Iterable[Job], processes: int) -> None:
        self.left: dict[Key, Job] = {job.key: job for job in jobs}
        self._processes = processes
        self._seconds: dict[str, float] = defaultdict(float)
        self._pixels: dict[str, int] = defaultdict(int)

    def finished(self, job: Job, seconds: float) -> None:
        """Count a job that took so many seconds."""
        del self.left[job.key]
        self._seconds[job.codec] += seconds
        self._pixels[job.codec] += _pixels(job)

    def seconds_left(self) -> float:
        """Estimate the seconds that are left; infinity until every codec that has work left has done some."""
        if any(not self._pixels[job.codec] for job in self.left.values()):
            return math.inf
        return (
            sum(_pixels(job) * self._seconds[job.codec] / self._pixels[job.codec] for job in self.left.values())
            / self._processes
        )


def _pixels(job: Job) -> int:
    return job.source.width * job.source.height


def _reason(result: Failure | Crashed) -> str:
    if isinstance(result, Crashed):
        return f"it took its process down, exit code {result.code}"
    return result.sentence.rstrip(".")


def _settings(count: int) -> str:
    return "1 setting" if count == 1 else f"{count} settings"

"""A run of the benchmark: which pictures, which rows are missing, measuring them, and what is left over when it
stops.
"""

import math
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import LimitError, OutputError, SourceError, UsageError
from ..jobs.files import files_in
from ..jobs.output import sweep, write_target
from ..jobs.workers import Crashed, run_jobs
from ..pictures.kinds import is_picture_name
from .measure import Failure, Job, measure, source_of
from .peers import PeerError
from .table import append_row, latest, read_table, text_of

TABLE, FILES = "rows.tsv", "files"
LONGEST_NAME = 200


@dataclass(frozen=True)
class Progress:
    """How far a run is. step of total: rows. codec and picture: what was measured last. seconds_left: infinity while
    unknown.
    """

    step: int
    total: int
    codec: str
    picture: str
    seconds_left: float


def find_pictures(paths):
    """The picture files that `paths` (files and folders) name, and the visible files of the folders that do not look
    like pictures.

    A folder stands for its pictures, in the order of their names; its own folders are not entered. Raises `SourceError`
    for a folder without pictures or a path that is not there.
    """
    found, skipped = [], []
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


def read_sources(paths):
    """The `Source`s of picture files and, for those that cannot be read, sentences.

    Raises `UsageError` for two of one name.
    """
    sources, failures = {}, []
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


def split_missing(peers):
    """The peers that can be used here, each with its versions, and why the others cannot: (peer, sentence)."""
    present, missing = {}, []
    for peer in peers:
        try:
            present[peer] = peer.versions()
        except PeerError as error:
            missing.append((peer, str(error)))
    return present, missing


def prepare_folder(folder):
    """Make a report's folder, or take up the one that is there.

    Raises `OutputError` if it holds anything but such a report.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        used = os.listdir(folder)
        if used and TABLE not in used:
            raise OutputError(f"{folder} holds other files and no {TABLE} of an earlier run; name a new folder.")
        # First, since a folder with the table is taken up again; and to know now, not after an hour, whether rows can
        # be written.
        with open(os.path.join(folder, TABLE), "ab"):
            pass
        os.makedirs(os.path.join(folder, FILES), exist_ok=True)
        for inner in Path(folder, FILES).iterdir():
            sweep(str(inner))
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from None


@dataclass(frozen=True)
class Run:
    """All that shall be measured: `sources` in all `peers` (with their versions), into `folder`."""

    folder: str
    sources: list
    peers: dict

    @property
    def table(self):
        """The path of the table."""
        return Path(self.folder) / TABLE

    def jobs(self):
        """Every row that is wanted, picture by picture, so that a part of the whole is worth something, too."""
        jobs = []
        for source in self.sources:
            for peer, versions in self.peers.items():
                for setting in peer.settings:
                    jobs.append(
                        Job(source, peer.name, setting, peer.threads, str(self.file(source, peer, setting)), versions)
                    )
        return jobs

    def rows(self):
        """The rows of these very pictures, the last of each codec and setting; also those of codecs that only earlier
        runs measured.
        """
        known = {(source.name, source.sha256) for source in self.sources}
        return latest([row for row in read_table(self.table) if (row.picture, row.sha256) in known])

    def measure(self, processes, progress=None):
        """Measure what is missing, writing each row as it comes; returns a sentence for each codec and picture that
        failed, and why.

        The finished table has the order of `jobs`, whatever the order of their ends and however often the run was taken
        up again.
        """
        with _alone(self.table):
            return self._measure(processes, progress)

    def _measure(self, processes, progress):
        wanted = self.jobs()
        done = {row.key: row for row in self.rows()}
        missing = [job for job in wanted if job.key not in done]
        for folder in {os.path.dirname(job.file) for job in missing}:
            os.makedirs(folder, exist_ok=True)
        clock, failed = _Clock(missing, processes), Counter()
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

    def file(self, source, peer, setting):
        """Where the coded file of a row is kept."""
        # The escapes of a name have backslashes, which lead to another folder on Windows.
        name = (
            source.name if len(os.fsencode(source.name)) <= LONGEST_NAME and "\\" not in source.name else source.sha256
        )
        return Path(self.folder) / FILES / peer.name.replace(":", "-") / f"{name}-{setting:g}{peer.suffix}"

    def _sort(self, wanted):
        place = {job.key._replace(versions=""): number for number, job in enumerate(wanted)}
        rows = read_table(self.table)
        ordered = sorted(rows, key=lambda row: place.get(row.key._replace(versions=""), -1))
        if ordered != rows:
            write_target(self.table, text_of(ordered).encode(), force=True)


@contextmanager
def _alone(table):
    """Only one run at a time may write to a table.

    Raises `OutputError`. The system lets go of the lock whatever ends the process.
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
    """The time that is left, from what each codec took for a pixel so far, measuring included."""

    def __init__(self, jobs, processes):
        self.left = {job.key: job for job in jobs}
        self._processes = processes
        self._seconds, self._pixels = Counter(), Counter()

    def finished(self, job, seconds):
        del self.left[job.key]
        self._seconds[job.codec] += seconds
        self._pixels[job.codec] += _pixels(job)

    def seconds_left(self):
        """Infinity until every codec that has work left has done some."""
        if any(not self._pixels[job.codec] for job in self.left.values()):
            return math.inf
        return (
            sum(_pixels(job) * self._seconds[job.codec] / self._pixels[job.codec] for job in self.left.values())
            / self._processes
        )


def _pixels(job):
    return job.source.width * job.source.height


def _reason(result):
    if isinstance(result, Crashed):
        return f"it took its process down, exit code {result.code}"
    return result.sentence.rstrip(".")


def _settings(count):
    return "1 setting" if count == 1 else f"{count} settings"

"""The work of `encode` and `decode` on one file or many, in this process, in others, or on a cluster."""

import math
import os
import traceback
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Any, NamedTuple, Protocol

import click

from ..errors import DdcError, ExistsError, UsageError, explain
from ..jobs.files import Job, in_bundles, jobs_of
from ..jobs.output import make_folder_of
from ..machine import available_cores
from .files import SOME_FAILED, STANDARD, name_of, passage, prepare_output, read_input, write_output
from .talk import Relayed, Talk, bar_parts, bytes_text, duration_text, phase_text


@dataclass(frozen=True)
class Batch:
    """The files of a command line and the options for them; see `options.batching`.

    output: a file, a folder, or None for the place beside each input. jobs: files at once, None for the default. shard:
    (k, n) for the k-th of n parts. scheduler: address of a Dask cluster, or None.
    """

    inputs: tuple[str, ...] = ()
    output: str | None = None
    force: bool = False
    skip_existing: bool = False
    keep_timestamps: bool = False
    recursive: bool = False
    jobs: int | None = None
    shard: tuple[int, int] = (1, 1)
    scheduler: str | None = None

    def is_into_folder(self) -> bool:
        """Whether results go to a folder: there are several inputs, or a folder is named."""
        named = self.output is not None and self.output.endswith((os.sep, os.altsep or os.sep))
        return len(self.inputs) > 1 or os.path.isdir(self.inputs[0]) or named

    def is_many(self) -> bool:
        """Whether the files are counted, and each may fail for itself."""
        return self.is_into_folder() or self.shard != (1, 1) or self.scheduler is not None


class Loaded(NamedTuple):
    """A `jobs.files.Job` with the bytes of its input. name: what messages call the input."""

    job: Job
    name: str
    data: bytes


@dataclass(frozen=True)
class Made:
    """The bytes of a result. facts: name -> value, for messages and JSON."""

    data: bytes
    facts: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """A job without a result. code: the exit code. sentence: why. trace: the traceback of a bug."""

    code: int
    sentence: str
    trace: str = ""


Results = Generator[tuple[Loaded, Made | Failed], None, None]
"""Files with their results."""


class Work(Protocol):
    """The work on each file of a batch; it can be pickled.

    done: the word for it, such as "encoded". sizes: whether the bytes of the results are worth telling. extension: of a
    result, such as ".ddc". keeps_extension: whether it comes behind the input's extension and not in its place.
    """

    @property
    def done(self) -> str: ...

    @property
    def sizes(self) -> bool: ...

    @property
    def extension(self) -> str: ...

    @property
    def keeps_extension(self) -> bool: ...

    def wants(self, path: str) -> bool:
        """Whether the work takes this file of a folder."""

    def bytes_of(self, beginning: bytes) -> float:
        """Count the bytes worth reading of a file with this beginning; see `jobs.input.read_whole`."""

    def prepare(self, talk: Talk, name: str, data: bytes) -> Any:
        """Make of a file's bytes whatever `finish` takes."""

    def kind(self, prepared: Any) -> Any:
        """Make a key: what has equal keys can be finished together."""

    def finish(self, talk: Talk, prepared: list[Any]) -> list[Made]:
        """Make the results of what has been prepared, all of one kind."""

    def at_once(self) -> int:
        """Count the files to finish together on this machine; 1 where processes side by side are better."""

    def with_threads(self, count: int) -> "Work":
        """Make the same work on so many threads, unless the user has set their number."""

    def line(self, made: Made) -> str:
        """Write the line that says what a result is."""

    def details(self, made: Made) -> Iterable[str]:
        """Write further lines on a result, for --verbose."""

    def note(self, job: Job, made: Made) -> str | None:
        """Write a sentence on a result that might surprise; None if there is nothing to say."""


def carry_out(talk: Talk, work: Work, batch: Batch) -> None:
    """Do `work` to the files of a `Batch`, and tell what comes of it.

    If there are many files, one that fails does not stop the others, and the exit code is 1 in the end.

    Raises `DdcError`: any error of a single file; of many files only an error that concerns them all.
    """
    if batch.skip_existing and batch.force:
        raise UsageError("Give either --force or --skip-existing, not both.")
    if batch.output == "":
        raise UsageError("The output after -o has no name.")
    if not batch.is_many():
        return _carry_out_one(talk, work, batch)
    jobs = _jobs(work, batch)
    course = _Course(talk, work, batch, jobs)
    try:
        with talk.progress(_standing_parts) as course.show, closing(_results(talk, work, batch, course)) as results:
            for loaded, result in results:
                course.settle(loaded, result)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted; what is {work.done} stays ({course.made}), and the same command with --skip-existing goes "
            "on from there."
        ) from None
    course.sum_up()
    if course.failed:
        click.get_current_context().exit(SOME_FAILED)


def attempted(work: Work, loadeds: Sequence[Loaded], threads: int) -> list[tuple[Made | Failed, list[str]]]:
    """Do the work on some files in another process, on so many threads.

    Returns for each file its `Made` or `Failed`, and the sentences that were said.
    """
    said: list[list[str]] = [[] for _ in loadeds]
    talks = [Relayed(sentences.append) for sentences in said]
    results = dict(_attempts(work.with_threads(threads), loadeds, talks))
    return [(results[index], said[index]) for index in range(len(loadeds))]


def _attempts(work: Work, loadeds: Sequence[Loaded], talks: Sequence[Talk]) -> Iterator[tuple[int, Made | Failed]]:
    """Do the work on some files, and yield (index, its `Made` or `Failed`). talks: one for each file."""
    alike: dict[Any, list[tuple[int, Talk, Any]]] = {}
    for index, (loaded, talk) in enumerate(zip(loadeds, talks)):
        try:
            prepared = work.prepare(talk, loaded.name, loaded.data)
        except Exception as error:
            yield index, _failed(error)
        else:
            alike.setdefault(work.kind(prepared), []).append((index, talk, prepared))
    for group in alike.values():
        yield from _finished(work, group)


def _finished(work: Work, group: Sequence[tuple[int, Talk, Any]]) -> Iterator[tuple[int, Made | Failed]]:
    indices, talks, prepared = zip(*group)
    results: list[Made | Failed]
    try:
        results = [*work.finish(talks[0], list(prepared))]
    except Exception as error:
        if len(group) == 1:
            results = [_failed(error)]
        else:
            # One that cannot reach its target, say, must not cost the others.
            results = [result for one in group for _, result in _finished(work, [one])]
    yield from zip(indices, results)


def _failed(error: Exception) -> Failed:
    code, sentence = explain(error)
    is_bug = not isinstance(error, (DdcError, MemoryError))
    return Failed(code, sentence, "".join(traceback.format_exception(error)) if is_bug else "")


def _carry_out_one(talk: Talk, work: Work, batch: Batch) -> None:
    (input_,) = batch.inputs
    talk.about = {"input": input_}
    try:
        output = prepare_output(talk, input_, batch.output, batch.force, work.extension, keep=work.keeps_extension)
        data = read_input(input_, work.bytes_of)
        job = Job(input_, output, 0 if STANDARD in (input_, output) else len(data))
        (made,) = work.finish(talk, [work.prepare(talk, name_of(input_), data)])
        _write(talk, batch, job, made)
    except ExistsError as error:
        if not batch.skip_existing:
            raise
        talk.say(f"{name_of(input_)} is skipped: {str(error).partition(';')[0]}.")
        talk.report(skipped=True)
    else:
        _tell(talk, work, job, made)


def _jobs(work: Work, batch: Batch) -> list[Job]:
    if STANDARD in (*batch.inputs, batch.output):
        raise UsageError("Standard input and output are for one file alone.")
    wanted: dict[str, Any] = {"keep": work.keeps_extension, "recursive": batch.recursive, "shard": batch.shard}
    if not batch.is_into_folder():
        jobs = jobs_of(batch.inputs, None, work.extension, work.wants, **wanted)
        return [replace(job, output=batch.output or job.output) for job in jobs]
    if batch.output is not None and os.path.exists(batch.output) and not os.path.isdir(batch.output):
        raise UsageError(f"{name_of(batch.output)} is a file; several results need a folder.")
    return jobs_of(batch.inputs, batch.output, work.extension, work.wants, **wanted)


def _results(talk: Talk, work: Work, batch: Batch, course: "_Course") -> Results:
    """Yield the results of all jobs in the order in which they end."""
    if batch.scheduler is not None:
        return _results_of_cluster(talk, work, batch, course)
    processes = min(batch.jobs or 1, len(course.jobs))
    at_once = work.at_once()
    if at_once == 1 and processes > 1:
        return _results_of_processes(work, processes, course)
    return _results_here(talk, work, 1 if at_once == 1 else batch.jobs or at_once, course)


def _results_here(talk: Talk, work: Work, at_once: int, course: "_Course") -> Results:
    for bundle in in_bundles(course.loaded(), at_once):
        talks = [Relayed(partial(course.say, loaded.name), partial(course.follow, loaded.name)) for loaded in bundle]
        for index, result in _attempts(work, bundle, talks):
            yield bundle[index], result


def _results_of_processes(work: Work, processes: int, course: "_Course") -> Results:
    from ..jobs.workers import Crashed, run_jobs

    share = max(1, available_cores() // processes)
    for (loaded,), answer, _ in run_jobs(
        partial(attempted, work, threads=share), in_bundles(course.loaded(), 1), processes
    ):
        if isinstance(answer, Crashed):
            yield (
                loaded,
                Failed(
                    SOME_FAILED,
                    f"Its process ended without a result (exit code {answer.code}); perhaps memory was short.",
                ),
            )
        else:
            yield from course.heard([loaded], answer)


def _results_of_cluster(talk: Talk, work: Work, batch: Batch, course: "_Course") -> Results:
    from ..jobs.cluster import LOCAL, Lost, connected, run_jobs_on

    address = batch.scheduler or LOCAL
    if batch.jobs is not None and address != LOCAL:
        raise UsageError("-j is for this machine; a cluster does as much at once as it has workers.")
    processes = batch.jobs or available_cores()
    with connected(address, processes=processes, threads=max(1, available_cores() // processes)) as client:
        for bundle, answer in run_jobs_on(client, partial(attempted, work), course.loaded(), work.at_once, talk.say):
            if isinstance(answer, Lost):
                for loaded in bundle:
                    yield loaded, Failed(SOME_FAILED, f"{answer.reason}.")
            else:
                yield from course.heard(bundle, answer)


def _write(talk: Talk, batch: Batch, job: Job, made: Made) -> None:
    write_output(talk, job.output, made.data, batch.force)
    if batch.keep_timestamps and STANDARD not in (job.input, job.output):
        try:
            status = os.stat(job.input)
            os.utime(job.output, ns=(status.st_atime_ns, status.st_mtime_ns))
        except OSError:
            pass  # The input has gone meanwhile; the result stays.


def _tell(talk: Talk, work: Work, job: Job, made: Made) -> None:
    talk.say(f"{passage(job.input, job.output)}: {work.line(made)}")
    note = work.note(job, made)
    if note:
        talk.note(note)
    for line in work.details(made) if talk.verbose else ():
        talk.detail(line)
    talk.report(input=job.input, output=job.output, **made.facts)


class _Standing(NamedTuple):
    """The state of a batch. step, total, failed: files. doing: what is being done, in words."""

    step: int
    total: int
    failed: int
    seconds_left: float
    doing: str


def _standing_parts(standing: _Standing, seconds_left: float, columns: int) -> list[str]:
    failed = [f"{standing.failed} failed"] if standing.failed else []
    return [*bar_parts(standing, seconds_left, columns), *failed, *([standing.doing] if standing.doing else [])]


class _Course:
    """The jobs of a batch and their results so far, counted, said, and shown with the time that is left."""

    def __init__(self, talk: Talk, work: Work, batch: Batch, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.show: Callable[[_Standing], None] | None = None
        self.made = self.failed = self.skipped = 0
        self._talk, self._work, self._batch = talk, work, batch
        self._start, self._bytes, self._metadata, self._pixels = monotonic(), 0, 0, 0
        self._seconds_at_end = 0.0
        self._weight_done, self._weight_left = 0, sum(job.weight for job in jobs)
        self._warnings: dict[str, list[str]] = defaultdict(list)
        self._notes: dict[str, list[str]] = defaultdict(list)

    def loaded(self) -> Iterator[Loaded]:
        """Read inputs one by one, and yield the `Loaded` of each job whose input and output are fit.

        Each is checked only when its turn comes.
        """
        self._show()
        for job in self.jobs:
            try:
                if self._batch.is_into_folder() and self._batch.output is not None:
                    make_folder_of(job.output)
                prepare_output(self._talk, job.input, job.output, self._batch.force)
                loaded = Loaded(job, name_of(job.input), read_input(job.input, self._work.bytes_of))
            except DdcError as error:
                self._give_up(job, error)
            else:
                yield loaded

    def heard(
        self, loadeds: Sequence[Loaded], answers: Iterable[tuple[Made | Failed, list[str]]]
    ) -> Iterator[tuple[Loaded, Made | Failed]]:
        """Say what was said in another process, and yield the results. answers: of `attempted`."""
        for loaded, (result, sentences) in zip(loadeds, answers):
            for sentence in sentences:
                self.say(loaded.name, sentence)
            yield loaded, result

    def say(self, name: str, sentence: str) -> None:
        """Say a sentence on an input, and keep it for the JSON of its result if it is a warning or a note.

        Sentences on several inputs may come mixed.
        """
        talk = self._talk
        talk.warnings, talk.notes = self._warnings[name], self._notes[name]
        talk.say(sentence if name in sentence else f"{name}: {sentence}")
        talk.warnings, talk.notes = [], []

    def follow(self, name: str, progress: Any) -> None:
        """Show the progress of the fit of one of the inputs."""
        self._show(f"{phase_text(progress)} of {name}")

    def settle(self, loaded: Loaded, result: Made | Failed) -> None:
        """Write the result of an input, or say why there is none."""
        if isinstance(result, Failed):
            return self._fail(loaded.job, result)
        try:
            _write(self._talk, self._batch, loaded.job, result)
        except DdcError as error:
            return self._give_up(loaded.job, error)
        self.made += 1
        self._bytes += len(result.data)
        self._metadata += result.facts.get("metadata_bytes", 0)
        self._pixels += result.facts["width"] * result.facts["height"]
        self._recall(loaded.job)
        _tell(self._talk, self._work, loaded.job, result)
        self._weight_done += loaded.job.weight
        self._end(loaded.job)

    def sum_up(self) -> None:
        """Say how many files were done, failed or skipped, with their bytes and the time."""
        of_them = f" ({bytes_text(self._metadata)} of them metadata)" if self._metadata else ""
        size = (
            self._work.sizes
            and self.made
            and f"{bytes_text(self._bytes)}{of_them}, {8 * self._bytes / self._pixels:.2f} bpp, "
        )
        counts = f"{self.made} {self._work.done}, {self.failed} failed, {self.skipped} skipped, "
        self._talk.say(counts + (size or "") + duration_text(monotonic() - self._start))

    def _give_up(self, job: Job, error: DdcError) -> None:
        if not isinstance(error, ExistsError) or not self._batch.skip_existing:
            return self._fail(job, _failed(error))
        self.skipped += 1
        self._talk.detail(f"{name_of(job.input)} is skipped: {name_of(job.output)} exists already.")
        self._recall(job)
        self._talk.report(input=job.input, output=job.output, skipped=True)
        self._end(job)

    def _fail(self, job: Job, failed: Failed) -> None:
        name = name_of(job.input)
        self.failed += 1
        self._recall(job)
        self._talk.fail(
            failed.code,
            failed.sentence if failed.sentence.startswith(name) else f"{name}: {failed.sentence}",
            input=name,
        )
        self._talk.detail_lines(failed.trace)
        self._end(job)

    def _recall(self, job: Job) -> None:
        """Hand the warnings and notes on an input to the talk, which puts them into its next JSON."""
        self._talk.warnings, self._talk.notes = self._warnings.pop(job.input, []), self._notes.pop(job.input, [])

    def _end(self, job: Job) -> None:
        self._weight_left -= job.weight
        self._seconds_at_end = monotonic() - self._start
        self._show()

    def _show(self, doing: str = "") -> None:
        if self.show:
            ended, since = self.made + self.failed + self.skipped, monotonic() - self._start - self._seconds_at_end
            # The work since the last file ended has no weight yet.
            left = (
                self._seconds_at_end * self._weight_left / self._weight_done - since if self._weight_done else math.inf
            )
            self.show(_Standing(ended, len(self.jobs), self.failed, left, doing))

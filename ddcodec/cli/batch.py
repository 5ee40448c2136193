"""One file or many: what `encode` and `decode` do to each is carried out here, in this process, in others, or on a
cluster.
"""

import math
import os
import traceback
from collections import defaultdict
from collections.abc import Iterable
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
    """What a command line says of its files; see `options.batching`."""

    inputs: tuple = ()
    output: str | None = None
    force: bool = False
    skip_existing: bool = False
    keep_timestamps: bool = False
    recursive: bool = False
    jobs: int | None = None
    shard: tuple = (1, 1)
    scheduler: str | None = None

    def is_into_folder(self):
        """Whether `output` is a folder, and not a file."""
        named = self.output is not None and self.output.endswith((os.sep, os.altsep or os.sep))
        return len(self.inputs) > 1 or os.path.isdir(self.inputs[0]) or named

    def is_many(self):
        """Whether the files are counted, and fail each for itself."""
        return self.is_into_folder() or self.shard != (1, 1) or self.scheduler is not None


class Loaded(NamedTuple):
    """A `batch.Job`, what messages call its input, and the bytes of that."""

    job: Job
    name: str
    data: bytes


@dataclass(frozen=True)
class Made:
    """The bytes of a result, and the facts that are told about it."""

    data: bytes
    facts: dict


@dataclass(frozen=True)
class Failed:
    """Why there is no result: an exit code and a sentence; trace: a bug's traceback."""

    code: int
    sentence: str
    trace: str = ""


class Work(Protocol):
    """What is done to each file of a batch; it can be pickled.

    done: the word for it, such as "encoded". sizes: whether the bytes that are made are worth telling. extension: of a
    result, such as ".ddc". keeps_extension: whether it comes behind that of the input and not instead.
    """

    done: str
    sizes: bool

    @property
    def extension(self) -> str: ...

    @property
    def keeps_extension(self) -> bool: ...

    def wants(self, path: str) -> bool:
        """Whether it takes that file of a folder."""

    def bytes_of(self, beginning: bytes) -> float:
        """How many bytes of a file that begins so are worth reading; see `jobs.input`."""

    def prepare(self, talk: Talk, name: str, data: bytes) -> Any:
        """Make of the bytes of a file whatever `finish` takes."""

    def kind(self, prepared: Any) -> Any:
        """What those have in common that can be finished together."""

    def finish(self, talk: Talk, prepared: list) -> list[Made]:
        """Finish what has been prepared, all of one kind."""

    def at_once(self) -> int:
        """How many to finish together on this machine; 1 where processes side by side are better."""

    def with_threads(self, count: int) -> "Work":
        """The same work on so many threads, where nobody has asked for another number."""

    def line(self, made: Made) -> str:
        """What is said of a result."""

    def details(self, made: Made) -> Iterable[str]:
        """Further lines on a result."""

    def note(self, job: Job, made: Made) -> str | None:
        """A sentence on a result that might surprise, or None."""


def carry_out(talk, work: Work, batch):
    """Do `work` to the files of a `Batch`, and tell what comes of it.

    Of many files one that fails costs no other one, and the exit code is 1 in the end.

    Raises `DdcError`s: for one file whatever there is, for many what concerns them all.
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


def attempted(work, loadeds, threads):
    """What becomes of some `Loaded`s in another process, on so many threads: for each its `Made` or `Failed`, and the
    sentences that were said.
    """
    said = [[] for _ in loadeds]
    talks = [Relayed(sentences.append) for sentences in said]
    results = dict(_attempts(work.with_threads(threads), loadeds, talks))
    return [(results[index], said[index]) for index in range(len(loadeds))]


def _attempts(work, loadeds, talks):
    """Yield (index, its `Made` or `Failed`) of some `Loaded`s, each with its `Talk`."""
    alike = {}
    for index, (loaded, talk) in enumerate(zip(loadeds, talks)):
        try:
            prepared = work.prepare(talk, loaded.name, loaded.data)
        except Exception as error:
            yield index, _failed(error)
        else:
            alike.setdefault(work.kind(prepared), []).append((index, talk, prepared))
    for group in alike.values():
        yield from _finished(work, group)


def _finished(work, group):
    indices, talks, prepared = zip(*group)
    try:
        results = work.finish(talks[0], list(prepared))
    except Exception as error:
        if len(group) == 1:
            results = [_failed(error)]
        else:
            # One that cannot reach its target, say, must not cost the others.
            results = [result for one in group for _, result in _finished(work, [one])]
    yield from zip(indices, results)


def _failed(error):
    return Failed(
        *explain(error),
        "" if isinstance(error, (DdcError, MemoryError)) else "".join(traceback.format_exception(error)),
    )


def _carry_out_one(talk, work, batch):
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


def _jobs(work, batch):
    if STANDARD in (*batch.inputs, batch.output):
        raise UsageError("Standard input and output are for one file alone.")
    wanted = {"keep": work.keeps_extension, "recursive": batch.recursive, "shard": batch.shard}
    if not batch.is_into_folder():
        jobs = jobs_of(batch.inputs, None, work.extension, work.wants, **wanted)
        return [replace(job, output=batch.output or job.output) for job in jobs]
    if batch.output is not None and os.path.exists(batch.output) and not os.path.isdir(batch.output):
        raise UsageError(f"{name_of(batch.output)} is a file; several results need a folder.")
    return jobs_of(batch.inputs, batch.output, work.extension, work.wants, **wanted)


def _results(talk, work, batch, course):
    """Yield (`Loaded`, its `Made` or `Failed`) of all jobs in the order in which they end."""
    if batch.scheduler is not None:
        return _results_of_cluster(talk, work, batch, course)
    processes = min(batch.jobs or 1, len(course.jobs))
    at_once = work.at_once()
    if at_once == 1 and processes > 1:
        return _results_of_processes(work, processes, course)
    return _results_here(talk, work, 1 if at_once == 1 else batch.jobs or at_once, course)


def _results_here(talk, work, at_once, course):
    for bundle in in_bundles(course.loaded(), at_once):
        talks = [Relayed(partial(course.say, loaded.name), partial(course.follow, loaded.name)) for loaded in bundle]
        for index, result in _attempts(work, bundle, talks):
            yield bundle[index], result


def _results_of_processes(work, processes, course):
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


def _results_of_cluster(talk, work, batch, course):
    from ..jobs.cluster import LOCAL, Lost, connected, run_jobs_on

    if batch.jobs is not None and batch.scheduler != LOCAL:
        raise UsageError("-j is for this machine; a cluster does as much at once as it has workers.")
    processes = batch.jobs or available_cores()
    with connected(batch.scheduler, processes=processes, threads=max(1, available_cores() // processes)) as client:
        for bundle, answer in run_jobs_on(client, partial(attempted, work), course.loaded(), work.at_once, talk.say):
            if isinstance(answer, Lost):
                for loaded in bundle:
                    yield loaded, Failed(SOME_FAILED, f"{answer.reason}.")
            else:
                yield from course.heard(bundle, answer)


def _write(talk, batch, job, made):
    write_output(talk, job.output, made.data, batch.force)
    if batch.keep_timestamps and STANDARD not in (job.input, job.output):
        try:
            status = os.stat(job.input)
            os.utime(job.output, ns=(status.st_atime_ns, status.st_mtime_ns))
        except OSError:
            pass  # The input has gone meanwhile; the result has not.


def _tell(talk, work, job, made):
    talk.say(f"{passage(job.input, job.output)}: {work.line(made)}")
    note = work.note(job, made)
    if note:
        talk.note(note)
    for line in work.details(made) if talk.verbose else ():
        talk.detail(line)
    talk.report(input=job.input, output=job.output, **made.facts)


class _Standing(NamedTuple):
    """Where a batch stands; doing: in words what is done just now."""

    step: int
    total: int
    failed: int
    seconds_left: float
    doing: str


def _standing_parts(standing, seconds_left, columns):
    failed = [f"{standing.failed} failed"] if standing.failed else []
    return [*bar_parts(standing, seconds_left, columns), *failed, *([standing.doing] if standing.doing else [])]


class _Course:
    """The jobs of a batch and what has become of them so far: counted, said, and shown with the time that is left."""

    def __init__(self, talk, work, batch, jobs):
        self.jobs, self.show = jobs, None
        self.made = self.failed = self.skipped = 0
        self._talk, self._work, self._batch = talk, work, batch
        self._start, self._bytes, self._metadata, self._pixels = monotonic(), 0, 0, 0
        self._seconds_at_end = 0.0
        self._weight_done, self._weight_left = 0, sum(job.weight for job in jobs)
        self._warnings, self._notes = defaultdict(list), defaultdict(list)

    def loaded(self):
        """Yield the `Loaded` of each job whose input can be read and whose output can be written, checked when it is
        wanted.
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

    def heard(self, loadeds, answers):
        """Say what was said elsewhere, and yield (`Loaded`, `Made` or `Failed`)."""
        for loaded, (result, sentences) in zip(loadeds, answers):
            for sentence in sentences:
                self.say(loaded.name, sentence)
            yield loaded, result

    def say(self, name, sentence):
        """Say something of an input, and keep it for its result's JSON if it is a warning or a note: those of several
        inputs come in between.
        """
        talk = self._talk
        talk.warnings, talk.notes = self._warnings[name], self._notes[name]
        talk.say(sentence if name in sentence else f"{name}: {sentence}")
        talk.warnings, talk.notes = [], []

    def follow(self, name, progress):
        """Show how far the fit of one of the inputs is."""
        self._show(f"{phase_text(progress)} of {name}")

    def settle(self, loaded, result):
        """Write what was made of an input, or say why there is nothing."""
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

    def sum_up(self):
        """Say what has become of all."""
        of_them = f" ({bytes_text(self._metadata)} of them metadata)" if self._metadata else ""
        size = (
            self._work.sizes
            and self.made
            and f"{bytes_text(self._bytes)}{of_them}, {8 * self._bytes / self._pixels:.2f} bpp, "
        )
        counts = f"{self.made} {self._work.done}, {self.failed} failed, {self.skipped} skipped, "
        self._talk.say(counts + (size or "") + duration_text(monotonic() - self._start))

    def _give_up(self, job, error):
        if not isinstance(error, ExistsError) or not self._batch.skip_existing:
            return self._fail(job, _failed(error))
        self.skipped += 1
        self._talk.detail(f"{name_of(job.input)} is skipped: {name_of(job.output)} exists already.")
        self._recall(job)
        self._talk.report(input=job.input, output=job.output, skipped=True)
        self._end(job)

    def _fail(self, job, failed):
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

    def _recall(self, job):
        self._talk.warnings, self._talk.notes = self._warnings.pop(job.input, []), self._notes.pop(job.input, [])

    def _end(self, job):
        self._weight_left -= job.weight
        self._seconds_at_end = monotonic() - self._start
        self._show()

    def _show(self, doing=""):
        if self.show:
            ended, since = self.made + self.failed + self.skipped, monotonic() - self._start - self._seconds_at_end
            # What has been done since the last one ended is no weight yet.
            left = (
                self._seconds_at_end * self._weight_left / self._weight_done - since if self._weight_done else math.inf
            )
            self.show(_Standing(ended, len(self.jobs), self.failed, left, doing))

"""Jobs on the workers of a Dask cluster.

Files travel to the workers and results come back as bytes. So no file system need be shared, and only the caller
writes.
"""

import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

from ..errors import DdcError, UsageError
from ..version import __version__

LOCAL = "dask://local"
"""The address that stands for a new cluster on this machine."""

SECONDS_TO_CONNECT = 5
"""Seconds that a scheduler has to answer, and a client or a cluster to close."""

SECONDS_BETWEEN_LOOKS = 1
"""Seconds after which the scheduler is asked again which workers there are."""

SECONDS_FOR_A_RESULT = 60
"""Seconds that the result of a finished task has to arrive."""

TRIES = 4
"""Times that a job is tried whose worker is lost or whose task fails otherwise."""

_alone = Lock()
"""A lock for the one task at a time that a worker process has."""


@dataclass(frozen=True)
class Lost:
    """A job without a result, for which another try makes no sense.

    reason: why, in words.
    """

    reason: str


@contextmanager
def connected(address: str, *, processes: int, threads: int) -> Iterator[Any]:
    """Connect a Dask client to a scheduler, or to a new cluster on this machine.

    address: "tcp://host:port", "tls://host:port", or "dask://local" for the new cluster.
    processes: worker processes of the new cluster. threads: threads of each of them.

    Raises `UsageError` if there is no such scheduler, `DdcError` if Dask is not installed.
    """
    if address != LOCAL and not re.fullmatch(r"(tcp|tls)://.+:\d+", address):
        raise UsageError(
            f"There is no scheduler {address}; write tcp://HOST:PORT, or {LOCAL} for one on this machine alone."
        )
    try:
        import dask
        import distributed
    except ImportError:
        raise DdcError(
            "A cluster needs the package distributed, which is not installed: pip install 'ddcodec[cluster]' brings it."
        ) from None
    _silence()
    with dask.config.set({"distributed.comm.timeouts.connect": SECONDS_TO_CONNECT, "distributed.comm.retry.count": 0}):
        cluster = None
        if address == LOCAL:
            cluster = distributed.LocalCluster(
                n_workers=processes,
                threads_per_worker=threads,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        try:
            client = _client(distributed, cluster or address, address)
            try:
                yield client
            finally:
                client.close(timeout=SECONDS_TO_CONNECT)
        finally:
            if cluster:
                cluster.close(timeout=SECONDS_TO_CONNECT)


def run_jobs_on(
    client: Any,
    work: Callable[[list, int], Any],
    jobs: Iterable,
    at_once: Callable[[], int],
    say: Callable[[str], None],
) -> Iterator[tuple[list, Any]]:
    """Run jobs on the workers of a cluster, and yield them with their results in the order in which they end.

    A result is `work(some jobs, threads of the worker)`, yielded as (some jobs, result), or (jobs, `Lost`). Each worker
    process has one task at a time. Workers may come and go. The jobs of a lost worker go to another.

    at_once: a function that each worker is asked: how many jobs a task has there.
    say: called with sentences to the user.

    `work`, `at_once`, jobs and results can be pickled, and ddcodec is installed on the workers.

    Raises `DdcError` if no worker can do such work, or if the scheduler has gone.
    """
    queue, crew = _Queue(jobs), _Crew(client, at_once, say)
    ended: SimpleQueue[Any] = SimpleQueue()
    running: dict[Any, _Task] = {}
    try:
        while not queue.is_empty() or running:
            most = crew.look(idle=not running)
            for future in [future for future, task in running.items() if task.worker not in most]:
                future.cancel()
                yield from queue.give_back(running.pop(future), "its worker was lost")
            for worker in most.keys() - {task.worker for task in running.values()}:
                if not queue.is_empty():
                    task = queue.take(worker, most[worker])
                    # Dask would wait until a lost worker returns. So each task is bound to one worker, and the jobs of
                    # a lost one are given to others here.
                    future = client.submit(_serve, work, task.jobs, pure=False, workers=[worker])
                    running[future] = task
                    future.add_done_callback(ended.put)
            try:
                future = ended.get(timeout=SECONDS_BETWEEN_LOOKS)
            except Empty:
                continue
            if future in running:
                result, trouble = _result_of(future)
                task = running.pop(future)
                yield from [(task.jobs, result)] if trouble is None else queue.give_back(task, trouble)
    finally:
        for future in running:
            future.cancel()


@dataclass(frozen=True)
class _Task:
    """Jobs that a worker has, and the tries that they have had before."""

    jobs: list
    worker: str
    tries: int = 0


class _Queue:
    """Jobs that are still to be sent.

    Jobs of a failed task are sent again one by one, since one of them may be to blame.
    """

    def __init__(self, jobs):
        self._jobs, self._next = iter(jobs), []
        self._again: deque[tuple[Any, int]] = deque()

    def is_empty(self):
        self._next = self._next or list(islice(self._jobs, 1))
        return not self._again and not self._next

    def take(self, worker, most):
        if self._again:
            job, tries = self._again.popleft()
            return _Task([job], worker, tries)
        taken, self._next = self._next, []
        return _Task(taken + list(islice(self._jobs, most - len(taken))), worker)

    def give_back(self, task, trouble):
        """Take back the jobs of a failed task, to be sent again. Yields them as `Lost` after the last try."""
        if task.tries + 1 == TRIES:
            yield task.jobs, Lost(f"{TRIES} tries on the cluster failed, the last because {trouble}")
        else:
            self._again.extend((job, task.tries + 1) for job in task.jobs)


class _Crew:
    """The workers that are there, with the number of jobs that each takes at once."""

    def __init__(self, client, at_once, say):
        self._client, self._at_once, self._say = client, at_once, say
        self._most, self._useless, self._has_waited = {}, {}, False

    def look(self, *, idle):
        """Ask the scheduler for workers: those that can be used now -> how many jobs each gets at once.

        idle: no task is running.
        """
        try:
            present = self._client.nthreads()
            self._meet([worker for worker in present if worker not in self._most and worker not in self._useless])
        except (OSError, RuntimeError) as error:
            raise DdcError(
                "The cluster's scheduler does not answer any more. What is written is kept, and --skip-existing goes "
                "on from there."
            ) from error
        usable = {worker: self._most[worker] for worker in present if worker in self._most}
        useless = [self._useless[worker] for worker in present if worker in self._useless]
        if idle and useless and not usable:
            raise DdcError(f"No worker of the cluster can be used: {useless[0]}")
        if not present and not self._has_waited:
            self._has_waited = True
            self._say("Note: the cluster has no worker; waiting for one.")
        return usable

    def _meet(self, workers):
        answers = self._client.run(_introduce, self._at_once, workers=workers, on_error="return") if workers else {}
        for worker, answer in answers.items():
            if isinstance(answer, tuple) and answer[0] == __version__:
                self._most[worker] = answer[1]
            elif not isinstance(answer, OSError):  # An `OSError` means that the worker has gone already.
                self._useless[worker] = _complaint(answer)
                self._say(f"Warning: the worker {worker} is not used: {self._useless[worker]}")


def _result_of(future):
    """Fetch the result of a task that has ended: (result, None), or (None, why there is none, in words)."""
    error = None
    if future.status == "finished":
        try:
            return future.result(timeout=SECONDS_FOR_A_RESULT), None
        except Exception as lost:
            error = lost
    elif future.status == "error":
        error = future.exception()
    return None, "it was cancelled" if error is None else f"of {type(error).__name__}: {error}"


def _complaint(answer):
    if isinstance(answer, ImportError):
        return f"it has no ddcodec {__version__} ({answer})."
    return f"it has ddcodec {answer[0]}, not {__version__}." if isinstance(answer, tuple) else str(answer)


def _introduce(at_once):
    """Tell about the worker that runs this: its version of ddcodec, and how many jobs a task has."""
    return __version__, at_once()


def _serve(work, jobs):
    from distributed import get_worker

    threads = get_worker().state.nthreads
    # A worker that seemed lost may still have a task. A GPU, and a worker's threads, are for one task at a time.
    with _alone:
        return work(jobs, threads)


def _silence():
    """Silence Dask's log of workers that come and go: it holds no sentences to a user."""
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _client(distributed, where, address):
    try:
        return distributed.Client(where, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The scheduler {address} cannot be reached: {str(error).splitlines()[0] or type(error).__name__}"
        ) from None

"""Jobs on the workers of a Dask cluster.

Files go there and results come back as bytes, so that no file system need be shared, and only the caller writes.
"""

import logging
import re
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Lock

from ..errors import DdcError, UsageError
from ..version import __version__

LOCAL = "dask://local"
SECONDS_TO_CONNECT = 5
SECONDS_BETWEEN_LOOKS = 1
"""How often it is asked which workers there are."""
SECONDS_FOR_A_RESULT = 60
TRIES = 4
"""Of a job whose worker was lost, or whose task came to grief otherwise."""

_alone = Lock()


@dataclass(frozen=True)
class Lost:
    """There is no result, and no sense in another try; reason: in words."""

    reason: str


@contextmanager
def connected(address, *, processes, threads):
    """A Dask client of the scheduler at "tcp://host:port" (or tls), or of a new cluster of `processes` with so many
    threads each on this machine ("dask://local").

    Raises `UsageError` if there is no such scheduler, `DdcError` if there is no Dask.
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


def run_jobs_on(client, work, jobs, at_once, say):
    """Yield (some jobs, work(some jobs, threads of the worker)) in the order in which they end, or (jobs, `Lost`); each
    worker process has one task at a time.

    `at_once()` is asked of each worker: how many jobs one task has there. `work`, `at_once`, jobs and results can be
    pickled, and ddcodec is there on the workers. A lost worker's jobs go to another; workers may come and go. `say` is
    called with sentences to the user. Raises `DdcError` if no worker can do such work, or the scheduler has gone.
    """
    queue, crew, ended, running = _Queue(jobs), _Crew(client, at_once, say), SimpleQueue(), {}
    try:
        while not queue.is_empty() or running:
            most = crew.look(idle=not running)
            for future in [future for future, task in running.items() if task.worker not in most]:
                future.cancel()
                yield from queue.give_back(running.pop(future), "its worker was lost")
            for worker in most.keys() - {task.worker for task in running.values()}:
                if not queue.is_empty():
                    task = queue.take(worker, most[worker])
                    # By this worker alone: for a lost one's return Dask would wait, so that it is decided here what
                    # becomes of its jobs.
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
    """Jobs that a worker has, and how many tries they have had before."""

    jobs: list
    worker: str
    tries: int = 0


class _Queue:
    """What is still to be sent.

    Jobs whose task came to grief are sent again one by one, for one of them may be to blame.
    """

    def __init__(self, jobs):
        self._jobs, self._next, self._again = iter(jobs), [], deque()

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
        """Take a task's jobs back, to be sent again; yields them where there is no sense in that any more."""
        if task.tries + 1 == TRIES:
            yield task.jobs, Lost(f"{TRIES} tries on the cluster failed, the last because {trouble}")
        else:
            self._again.extend((job, task.tries + 1) for job in task.jobs)


class _Crew:
    """The workers that are there and what each can do."""

    def __init__(self, client, at_once, say):
        self._client, self._at_once, self._say = client, at_once, say
        self._most, self._useless, self._has_waited = {}, {}, False

    def look(self, *, idle):
        """The workers that can be used now, each with how many jobs it gets at once. idle: whether there is no task."""
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
            elif not isinstance(answer, OSError):  # With that one, the worker has gone already.
                self._useless[worker] = _complaint(answer)
                self._say(f"Warning: the worker {worker} is not used: {self._useless[worker]}")


def _result_of(future):
    """The result of a task that has ended, or why there is none, in words."""
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
    """Of the worker that runs this: its version of ddcodec, and how many jobs a task has."""
    return __version__, at_once()


def _serve(work, jobs):
    from distributed import get_worker

    threads = get_worker().state.nthreads
    # A worker that seemed lost may still be at it; a GPU, and a worker's threads, are for one at a time.
    with _alone:
        return work(jobs, threads)


def _silence():
    """What Dask logs of workers that come and go is no sentence to a user."""
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

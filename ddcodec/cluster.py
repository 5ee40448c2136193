"""Jobs on the workers of a Dask cluster. Files go there and results come back as bytes, so that no file system need be shared, and only the caller writes."""

import logging
import re
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Lock

from . import __version__
from .errors import DdcError, UsageError

LOCAL = "dask://local"
SECONDS_TO_CONNECT = 5
SECONDS_BETWEEN_LOOKS = 1
"""How often it is asked which workers there are."""
TRIES = 3
"""Of a job whose task came to grief; the scheduler's own, after the end of a worker, not counted."""

_alone = Lock()


@dataclass(frozen=True)
class Lost:
    """There is no result, and no sense in another try; `reason` in words."""

    reason: str


@contextmanager
def connected(address, *, processes, threads):
    """A Dask client of the scheduler at "tcp://host:port" (or tls), or of a new cluster of `processes` with so many threads each on this machine ("dask://local").

    Raises `UsageError` if there is no such scheduler, or no Dask.
    """
    if address != LOCAL and not re.fullmatch(r"(tcp|tls)://.+:\d+", address):
        raise UsageError(f"There is no scheduler {address}; write tcp://HOST:PORT, or {LOCAL} for one on this machine alone.")
    try:
        import dask
        import distributed
    except ImportError:
        raise UsageError("A cluster needs the package distributed, which is not installed: pip install 'ddcodec[cluster]' brings it.") from None
    _silence()
    with dask.config.set({"distributed.comm.timeouts.connect": SECONDS_TO_CONNECT, "distributed.comm.retry.count": 0}):
        cluster = None
        if address == LOCAL:
            cluster = distributed.LocalCluster(
                n_workers=processes, threads_per_worker=threads, processes=True, dashboard_address=None, silence_logs=logging.CRITICAL
            )  # fmt: skip
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
    """Yield (some jobs, work(some jobs, threads of the worker)) in the order in which they end, or (jobs, `Lost`); each worker process has one task at a time.

    `at_once()` is asked of each worker: how many jobs one task has there. `work`, `at_once`, jobs and results can be pickled, and ddcodec is there on the workers. A lost worker's
    jobs go to another; workers may come and go. `say` is called with sentences to the user. Raises `DdcError` if no worker can do such work, or the scheduler has gone.
    """
    queue, crew, ended, running = _Queue(jobs), _Crew(client, at_once, say), SimpleQueue(), {}
    try:
        while not queue.is_empty() or running:
            for worker in crew.idle({worker for *_, worker in running.values()}, len(running)):
                if queue.is_empty():
                    break
                some, tries = queue.take(crew.most(worker))
                # Only a wish: else a lost worker's task would wait for its return.
                future = client.submit(_serve, work, some, pure=False, workers=[worker], allow_other_workers=True)
                running[future] = some, tries, worker
                future.add_done_callback(ended.put)
            try:
                future = ended.get(timeout=SECONDS_BETWEEN_LOOKS)
            except Empty:
                continue
            some, tries, _ = running.pop(future)
            if future.status == "finished":
                yield some, future.result()
            elif reason := _hopeless(some, tries, future):
                yield some, Lost(reason)
            else:
                queue.give_back(some, tries)
    finally:
        for future in running:
            future.cancel(force=True)


class _Queue:
    """What is still to be sent. Jobs whose task came to grief are sent again one by one, for one of them may be to blame."""

    def __init__(self, jobs):
        self._jobs, self._again, self._next = iter(jobs), deque(), []

    def is_empty(self):
        self._next = self._next or list(islice(self._jobs, 1))
        return not self._again and not self._next

    def take(self, most):
        """Up to `most` jobs, and which try of theirs this is."""
        if self._again:
            job, tries = self._again.popleft()
            return [job], tries
        taken, self._next = self._next, []
        return taken + list(islice(self._jobs, most - len(taken))), 1

    def give_back(self, jobs, tries):
        self._again.extend((job, tries + 1) for job in jobs)


class _Crew:
    """The workers that are there and what each can do."""

    def __init__(self, client, at_once, say):
        self._client, self._at_once, self._say = client, at_once, say
        self._most, self._useless, self._has_waited = {}, {}, False

    def most(self, worker):
        return self._most[worker]

    def idle(self, busy, tasks):
        """Addresses of workers for which there is a new task; tasks: how many there are, also those of workers that have gone."""
        try:
            present = self._client.nthreads()
            self._meet([worker for worker in present if worker not in self._most and worker not in self._useless])
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, UsageError):
                raise
            raise DdcError("The cluster's scheduler does not answer any more. What is written is kept, and --skip-existing goes on from there.") from error
        usable = [worker for worker in present if worker in self._most]
        if present and not usable and not tasks:
            raise DdcError(f"No worker of the cluster can be used: {next(iter(self._useless.values()))}")
        if not present and not self._has_waited:
            self._has_waited = True
            self._say("Note: the cluster has no worker; waiting for one.")
        return [worker for worker in usable if worker not in busy][: max(0, len(usable) - tasks)]

    def _meet(self, workers):
        if not workers:
            return
        answers = self._client.run(_introduce, self._at_once, workers=workers, on_error="return")
        for worker, answer in answers.items():
            if isinstance(answer, tuple) and answer[0] == __version__:
                self._most[worker] = answer[1]
            elif not isinstance(answer, OSError):  # With that one, the worker has gone already.
                self._useless[worker] = _complaint(answer)
                self._say(f"Warning: the worker {worker} is not used: {self._useless[worker]}")


def _hopeless(jobs, tries, future):
    """Why there is no sense in sending jobs again whose task came to grief, or None."""
    error = future.exception() if future.status == "error" else None
    if len(jobs) == 1 and type(error).__name__ == "KilledWorker":
        return "it took every worker down that tried"
    if tries == TRIES:
        return f"the cluster failed {TRIES} times, at last by {type(error).__name__}: {error}" if error else "the cluster gave it up"
    return None


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
    # The scheduler may send a lost worker's task to one that has a task; a GPU, and a worker's threads, are for one at a time.
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
        raise UsageError(f"The scheduler {address} cannot be reached: {str(error).splitlines()[0] or type(error).__name__}") from None

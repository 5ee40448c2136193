"""Jobs in processes of their own.

A job that crashes takes nothing else with it, and an interrupt stops even the longest encode.
"""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from time import monotonic
from typing import Any, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Crashed:
    """The result of a job whose process ended without an answer.

    code: the exit code of the process, negative for a signal.
    """

    code: int | None


def run_jobs(work: Callable[[Item], Any], jobs: Iterable[Item], processes: int) -> Iterator[tuple[Item, Any, float]]:
    """Run jobs in up to `processes` processes, and yield (job, work(job), seconds) in the order in which they end.

    The result of a process that dies is `Crashed`. Jobs are taken one by one, when a process has time for one. Leaving
    the generator stops all processes at once.

    `work` is a function of a module. Jobs and results can be pickled.
    """
    context = get_context("spawn")
    waiting = iter(jobs)
    idle: list[tuple[Any, Any]] = []
    busy: dict[Any, tuple[Any, Item, float]] = {}
    try:
        while True:
            for job in islice(waiting, processes - len(busy)):
                worker, pipe = _handed(context, work, job, idle)
                busy[pipe] = worker, job, monotonic()
            if not busy:
                return
            ready: list[Any] = wait(list(busy))
            for pipe in ready:
                worker, job, start = busy.pop(pipe)
                try:
                    result = pipe.recv()
                except (EOFError, OSError):
                    worker.join()
                    result = Crashed(worker.exitcode)
                else:
                    idle.append((worker, pipe))
                yield job, result, monotonic() - start
    finally:
        for worker, pipe in [*idle, *((worker, pipe) for pipe, (worker, *_) in busy.items())]:
            worker.terminate()
            worker.join()
            pipe.close()


def _handed(context, work, job, idle):
    """Hand a job to a worker: to an idle one that is still alive, or to a new one. Returns it and the pipe to it."""
    while idle:
        worker, pipe = idle.pop()
        try:
            pipe.send(job)
            return worker, pipe
        except OSError:
            worker.join()
            pipe.close()
    worker, pipe = _start(context, work)
    # If the worker dies at once, `recv` raises later.
    with suppress(OSError):
        pipe.send(job)
    return worker, pipe


def _start(context, work):
    ours, theirs = context.Pipe()
    worker = context.Process(target=_serve, args=(work, theirs), daemon=True)
    with _interrupts_held():
        worker.start()
    # An end that is open here would keep the pipe open when the worker dies, and `recv` would wait.
    theirs.close()
    return worker, ours


@contextmanager
def _interrupts_held():
    """Block interrupts while a child process starts, which inherits the block.

    Ctrl-C and the end of a terminal reach all its processes, also one that has not got as far as `_serve`.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(work, pipe):
    # The parent decides what an interrupt does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    # The command line ignores warnings, too: trouble with a file is reported in sentences.
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    while True:
        try:
            pipe.send(work(pipe.recv()))
        except (EOFError, BrokenPipeError):
            return


def _end_with_parent():
    """End this process, in the middle of its job, when its parent has been killed: nobody would take the result."""
    wait([parent_process().sentinel])
    os._exit(1)

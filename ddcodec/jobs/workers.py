"""Jobs in processes of their own, so that one that crashes takes nothing with it, and an interrupt stops the longest
encode.
"""

import os
import signal
import sys
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from time import monotonic


@dataclass(frozen=True)
class Crashed:
    """The process of a job ended without an answer; `code` is its exit code, negative for a signal."""

    code: int | None


def run_jobs(work, jobs, processes):
    """Yield (job, work(job), seconds) in the order in which they end, with up to `processes` at a time; a dead worker's
    result is `Crashed`.

    `work` is a function of a module, job and result can be pickled; `jobs` are taken one by one, when a process has
    time for one. Leaving the generator stops all processes at once.
    """
    context = get_context("spawn")
    waiting, idle, busy = iter(jobs), [], {}
    try:
        while True:
            for job in islice(waiting, processes - len(busy)):
                worker, pipe = _handed(context, work, job, idle)
                busy[pipe] = worker, job, monotonic()
            if not busy:
                return
            for pipe in wait(list(busy)):
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
    """A worker that has got the job, and the pipe to it: an idle one that is still alive, or a new one."""
    while idle:
        worker, pipe = idle.pop()
        try:
            pipe.send(job)
            return worker, pipe
        except OSError:
            worker.join()
            pipe.close()
    worker, pipe = _start(context, work)
    # Should it die at once, `recv` will tell.
    with suppress(OSError):
        pipe.send(job)
    return worker, pipe


def _start(context, work):
    ours, theirs = context.Pipe()
    worker = context.Process(target=_serve, args=(work, theirs), daemon=True)
    with _interrupts_held():
        worker.start()
    # Without this the pipe would stay open, and `recv` would wait, when the worker dies.
    theirs.close()
    return worker, ours


@contextmanager
def _interrupts_held():
    """Ctrl-C and the end of a terminal reach all its processes, also one that has not got as far as `_serve`: a child
    inherits what is blocked here.
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
    # What to do about an interrupt is the parent's affair.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    # As the command line does, whose process this is, too: what is wrong with a file is told otherwise.
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

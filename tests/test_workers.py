"""Jobs in other processes: results, crashes, and leaving early."""

import os
import signal
import time
from itertools import islice

from ddcodec.workers import Crashed, run_jobs


def square_or_die(job):
    if job == "exit":
        os._exit(7)
    if job == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "pid":
        return os.getpid()
    return job * job


def sleep_and_name(job):
    time.sleep(job)
    return os.getpid()


def test_results_of_all_jobs():
    outcome = {job: result for job, result, _ in run_jobs(square_or_die, [1, 2, 3, 4, 5], 2)}
    assert outcome == {1: 1, 2: 4, 3: 9, 4: 16, 5: 25}


def test_a_crash_costs_one_job():
    outcome = {job: result for job, result, _ in run_jobs(square_or_die, [1, "exit", 2, "kill", 3], 2)}
    assert outcome == {1: 1, "exit": Crashed(7), 2: 4, "kill": Crashed(-signal.SIGKILL), 3: 9}


def name_or_die_later(job):
    """Its process dies after the answer, while it is idle, if the job says so."""
    if job[0] == "die":
        import threading

        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return job[0]


def test_a_worker_that_died_while_idle_costs_nothing():
    """Also with jobs that are larger than what a pipe holds."""

    def jobs():
        yield "die", b""
        time.sleep(1)
        yield "large", bytes(5_000_000)
        yield "small", b""

    results = []
    for job, result, _ in run_jobs(name_or_die_later, jobs(), 1):
        results.append(result)
        time.sleep(0.5)
    assert results == ["die", "large", "small"]


def die_at_once(job):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_with_a_job_half_sent():
    """Its end of the pipe is reset, not closed in order."""
    outcome = [result for _, result, _ in run_jobs(die_at_once, [bytes(5_000_000), b"", bytes(100)], 1)]
    assert outcome == [Crashed(-signal.SIGKILL)] * 3


def test_no_jobs():
    assert list(run_jobs(square_or_die, [], 3)) == []


def test_leaving_stops_what_runs():
    start = time.monotonic()
    jobs = run_jobs(sleep_and_name, [0, 60, 60], 2)
    (_, pid, _), = islice(jobs, 1)
    jobs.close()
    assert time.monotonic() - start < 30
    for _ in range(100):
        if not alive(pid):
            break
        time.sleep(0.05)
    assert not alive(pid)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

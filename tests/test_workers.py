"""Jobs in other processes: results, crashes, and leaving early."""

import os
import signal
import subprocess
import sys
import time
import warnings
from itertools import islice
from pathlib import Path

import pytest
from conftest import wait_until

from ddcodec.jobs.workers import Crashed, run_jobs


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
    ((_, pid, _),) = islice(jobs, 1)
    jobs.close()
    assert time.monotonic() - start < 30
    wait_until(lambda: not alive(pid))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        # What has ended stays in the table where nobody asks for its exit code, as in some containers.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return sys.platform != "linux"


def fit_for_ever(path):
    """Work that never waits for anything."""
    with open(path, "w") as file:
        file.write(f"{os.getpid()}\n")
    while True:
        pass


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_workers_end_with_their_parent(tmp_path):
    """Also one that is in the middle of a job when the parent is killed."""
    script = (
        "import sys; from test_workers import fit_for_ever, run_jobs; list(run_jobs(fit_for_ever, sys.argv[1:], 2))"
    )
    files = [tmp_path / "a", tmp_path / "b"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    parent = subprocess.Popen([sys.executable, "-c", script, *map(str, files)], env=environment)
    try:
        wait_until(lambda: all(file.exists() and file.read_text().endswith("\n") for file in files))
        pids = [int(file.read_text()) for file in files]
        assert all(map(alive, pids))
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not any(map(alive, pids)))


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, getattr(signal, "SIGHUP", None)])
def test_what_reaches_all_processes_of_a_terminal_is_the_parents_affair(number):
    assert [result for _, result, _ in run_jobs(send_and_name, [number, number], 1)] == [number, number]


def send_and_name(number):
    os.kill(os.getpid(), number)
    return number


def warned(_):
    with warnings.catch_warnings(record=True) as caught:
        warnings.warn("a reader's remark on a file", stacklevel=1)
    return len(caught)


def test_libraries_do_not_warn_from_workers():
    assert [result for _, result, _ in run_jobs(warned, [0], 1)] == [0]

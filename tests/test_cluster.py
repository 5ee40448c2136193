"""A batch on a Dask cluster: with workers that come and go, and without a cluster."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest
from test_batch import (
    ENVIRONMENT,
    QUICK,
    bad_pictures,
    ddcodec,
    errors_of,
    files_of,
    made_of,
    pictures,
    started,
    wait_until,
)

from ddcodec import decoder
from ddcodec.errors import DdcError
from ddcodec.jobs import cluster

needs_dask = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")


def refused(*words, code=2):
    result = ddcodec("encode", *words, *QUICK)
    assert result.exit_code == code and not list(Path().rglob("*.ddc")), result.stderr
    return result.stderr.splitlines()[-1].removeprefix("Error: ")


def process(*words):
    return subprocess.Popen(
        [sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )


@contextmanager
def scheduler(folder, workers):
    """The address of a scheduler, its process and those of its workers."""
    pytest.importorskip("distributed")
    file = folder / "scheduler.json"
    processes = [
        process(
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(file),
        )
    ]
    try:
        wait_until(lambda: file.exists() and file.read_text().endswith("}"))
        address = json.loads(file.read_text())["address"]
        processes += [
            process(
                "distributed.cli.dask_worker",
                address,
                "--no-nanny",
                "--nthreads",
                "2",
                "--no-dashboard",
                "--local-directory",
                str(folder),
            )
            for _ in range(workers)
        ]
        yield address, processes
    finally:
        for each in processes:
            each.kill()
            each.wait()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_dask(here, monkeypatch):
    pictures("in", 1)
    monkeypatch.setitem(sys.modules, "distributed", None)
    sentence = refused("in", "-r", "--scheduler", "dask://local", code=1)
    assert (
        sentence
        == "A cluster needs the package distributed, which is not installed: pip install 'ddcodec[cluster]' brings it."
    )


def test_what_is_no_scheduler(here, monkeypatch):
    pictures("in", 1)
    assert (
        refused("in", "-r", "--scheduler", "somewhere")
        == "There is no scheduler somewhere; write tcp://HOST:PORT, or dask://local for one on this machine alone."
    )
    assert refused("in", "-r", "-j", "2", "--scheduler", "tcp://127.0.0.1:9").startswith("-j is for this machine")
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 1)
    assert refused("in", "-r", "--scheduler", "tcp://127.0.0.1:9").startswith(
        "The scheduler tcp://127.0.0.1:9 cannot be reached: "
    )


@needs_dask
def test_a_worker_is_lost(here):
    pictures("in", 24)
    bad = bad_pictures("in")
    with scheduler(here, 2) as (address, processes):
        run = started(
            "encode", "in", "-r", "-o", "out", "--iterations", "10", "--device", "cpu", "--scheduler", address
        )
        wait_until(lambda: len(files_of("out")) > 2)
        before = len(files_of("out"))
        processes[1].kill()
        said = run.communicate(timeout=120)[1]
        assert before < 24 and run.returncode == 1 and errors_of(said) == bad, said
        assert files_of("out") == [
            f"{letter}/p{number:03}.ddc" for letter in "abc" for number in range("abc".index(letter), 24, 3)
        ]
        made = made_of(said)
        assert len(made) == 24 and set(made.values()) == {1}
        assert said.splitlines()[-1].startswith("24 encoded, 5 failed, 0 skipped, ")
        assert {decoder.decode_file(Path("out", name).read_bytes()).samples.shape for name in files_of("out")} == {
            (16, 16, 3)
        }


@needs_dask
def test_an_interrupt_and_the_end_of_the_scheduler(here, monkeypatch):
    pictures("in", 1)
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 1)
    with scheduler(here, 0) as (address, processes):
        for befalls, code, last in [
            (lambda: os.kill(os.getpid(), signal.SIGINT), 130, "Error: Interrupted; what is encoded stays (0), "),
            (processes[0].kill, 1, "Error: The cluster's scheduler does not answer any more. "),
        ]:
            monkeypatch.setattr(cluster._Crew, "_meet", lambda self, workers: Timer(0.5, befalls).start())
            result = ddcodec("encode", "in", "-r", "-o", "out", "--scheduler", address, *QUICK)
            waiting, said = result.stderr.splitlines()
            assert (
                result.exit_code == code
                and waiting == "Note: the cluster has no worker; waiting for one."
                and said.startswith(last)
            )
    assert files_of("out") == []


# What the client does about workers, without any


class Client:
    """A client of workers that do at once what they are told; `fail` names those whose tasks come to grief."""

    def __init__(self, answers, fail=()):
        self.answers, self.fail, self.sent = answers, list(fail), []

    def nthreads(self):
        return dict.fromkeys(self.answers, 1)

    def run(self, introduce, at_once, workers, on_error):
        return {worker: self.answers[worker] for worker in workers}

    def submit(self, serve, work, jobs, workers, **_):
        self.sent.append((workers[0], list(jobs)))
        failed = workers[0] in self.fail or any(job in self.fail for job in jobs)
        return Ended(work, jobs, RuntimeError("gone") if failed else None)


class Ended:
    """The future of a task that is done, or has come to grief."""

    def __init__(self, work, jobs, error):
        self.status, self._work, self._jobs, self._error = "error" if error else "finished", work, jobs, error

    def result(self, timeout):
        return self._work(self._jobs, 1)

    def exception(self):
        return self._error

    def add_done_callback(self, put):
        put(self)


def run_on(client, jobs, said=None):
    return list(
        cluster.run_jobs_on(
            client,
            lambda jobs, threads: [job.upper() for job in jobs],
            jobs,
            None,
            (said if said is not None else []).append,
        )
    )


def test_a_gpu_worker_gets_many_a_cpu_worker_one():
    from ddcodec import __version__

    client = Client({"gpu": (__version__, 3), "cpu": (__version__, 1)})
    results = run_on(client, "abcdefgh")
    assert sorted(made for _, some in results for made in some) == list("ABCDEFGH")
    assert {len(jobs) for worker, jobs in client.sent if worker == "cpu"} == {1} and max(
        len(jobs) for worker, jobs in client.sent if worker == "gpu"
    ) == 3


def test_jobs_that_come_to_grief_are_sent_again_one_by_one_and_given_up_in_the_end():
    from ddcodec import __version__

    client = Client({"gpu": (__version__, 4)}, fail="c")
    results = run_on(client, "abcd")
    assert [made for some, made in results if not isinstance(made, cluster.Lost)] == [["A"], ["B"], ["D"]]
    assert [(some, made.reason) for some, made in results if isinstance(made, cluster.Lost)] == [
        (["c"], "4 tries on the cluster failed, the last because of RuntimeError: gone")
    ]
    assert [jobs for _, jobs in client.sent] == [list("abcd"), ["a"], ["b"], ["c"], ["d"], ["c"], ["c"]]


def test_workers_that_cannot_be_used():
    said = []
    client = Client({"old": ("0.0.1", 1), "bare": ModuleNotFoundError("No module named 'ddcodec'")})
    with pytest.raises(DdcError, match="No worker of the cluster can be used: it has ddcodec 0.0.1, not "):
        run_on(client, "a", said)
    assert len(said) == 2 and "the worker bare is not used: it has no ddcodec" in said[1] and client.sent == []


def test_a_lost_workers_job_goes_to_another():
    from ddcodec import __version__

    client = Client({"mortal": (__version__, 1)})
    submit = client.submit

    class Unending:
        """Of a task that never ends, for its worker does."""

        def add_done_callback(self, put):
            client.answers = {"heir": (__version__, 1)}
            client.submit = submit

        def cancel(self):
            client.cancelled = True

    client.submit = lambda *args, **kwargs: Unending()
    assert list(cluster.run_jobs_on(client, lambda jobs, threads: jobs[0].upper(), "a", None, print)) == [(["a"], "A")]
    assert client.cancelled and client.sent == [("heir", ["a"])]


def test_no_jobs_need_no_worker():
    assert run_on(Client({}), "") == []

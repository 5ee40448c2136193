"""The hard case of many pictures: 195 small ones, five that are bad, and runs that are interrupted, share the work, or
lose a machine.

    python bench/batch.py [--pictures 195]

Each of three runs begins anew: interrupted and resumed on two processes; four shards at once; a Dask cluster of two
workers, one of which is killed. Each must end with all files whole, none written twice, five clear lines, and nothing
else in its folder.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

import ddcodec

BAD = {"a/cut.png": 60, "a/empty.png": 0, "b/half.png": 120, "c/head.png": 12, "c/tail.png": 90}
"""Bad pictures: how many bytes of a good one they hold."""
COMMAND = [
    sys.executable,
    "-m",
    "ddcodec",
    "encode",
    "in",
    "-r",
    "-o",
    "out",
    "--device",
    "cpu",
    "--iterations",
    "20",
    "--skip-existing",
]


def make_pictures(folder, count):
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / "in" / "abc"[number % 3] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    whole = path.read_bytes()
    for name, length in BAD.items():
        (folder / "in" / name).write_bytes(whole[:length])


def start(folder, *words, module=None):
    command = [sys.executable, "-m", module] if module else COMMAND
    silence = (
        {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if module
        else {"stderr": subprocess.PIPE, "text": True}
    )
    return subprocess.Popen([*command, *words], cwd=folder, **silence)


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("It takes too long.")
        time.sleep(0.02)


def written(folder):
    return sorted(path for path in (folder / "out").rglob("*") if path.is_file())


def interrupted(folder, count):
    """Stopped by Ctrl-C and by SIGTERM, and taken up again."""
    said = []
    for share, number in (0.2, signal.SIGINT), (0.6, signal.SIGTERM):
        run = start(folder, "-j", "2")
        wait_for(lambda: len(written(folder)) > share * count)
        run.send_signal(number)
        said.append(run.communicate()[1])
        print(f"  after {number.name}: exit code {run.returncode}, {len(written(folder))} files")
    run = start(folder, "-j", "2")
    # The bad ones are named by each run that comes to them; the last one comes to all.
    last = run.communicate()[1]
    return [re.sub(r"^Error: .*\n", "", text, flags=re.M) for text in said] + [last], [run.returncode]


def sharded(folder, count):
    """Four shards at once."""
    runs = [start(folder, "--shard", f"{k}/4") for k in (1, 2, 3, 4)]
    said = [run.communicate()[1] for run in runs]
    return said, [max(run.returncode for run in runs)]


def clustered(folder, count):
    """A scheduler and two workers, one of which is killed half-way."""
    file = folder / "scheduler.json"
    helpers = [
        start(
            folder,
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(file),
            module="distributed.cli.dask_scheduler",
        )
    ]
    try:
        wait_for(lambda: file.exists() and file.read_text().endswith("}"))
        address = json.loads(file.read_text())["address"]
        for _ in range(2):
            helpers.append(
                start(
                    folder,
                    address,
                    "--no-nanny",
                    "--nthreads",
                    "1",
                    "--no-dashboard",
                    module="distributed.cli.dask_worker",
                )
            )
        run = start(folder, "--scheduler", address)
        wait_for(lambda: len(written(folder)) > 0.4 * count)
        helpers[1].kill()
        print(f"  a worker killed after {len(written(folder))} files")
        return [run.communicate()[1]], [run.returncode]
    finally:
        for helper in helpers:
            helper.kill()


def check(folder, count, said, codes):
    """What is wrong, in sentences."""
    files, text = written(folder), "".join(said)
    wanted = [folder / "out" / "abc"[number % 3] / f"{number:03}.ddc" for number in range(count)]
    if files != sorted(wanted):
        yield f"{len(files)} files, not those {count} that there should be"
    for file in files:
        if ddcodec.decode(file.read_bytes()).shape != (16, 16, 3):
            yield f"{file.name} is no such picture"
    twice = [name for name, times in Counter(re.findall(r" -> (\S+\.ddc): ", text)).items() if times > 1]
    if twice:
        yield f"written twice: {twice}"
    lines = re.findall(r"^Error: in/(\S+?):? ", text, re.M)
    if sorted(lines) != sorted(BAD) or "Traceback" in text:
        yield f"the lines of failures name {sorted(lines)}"
    if codes != [1]:
        yield f"exit codes {codes}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=195, help="how many good ones there are, beside five bad ones")
    count = parser.parse_args().pictures
    wrong = 0
    for scene in interrupted, sharded, clustered:
        with tempfile.TemporaryDirectory() as name:
            folder, began = Path(name), time.monotonic()
            make_pictures(folder, count)
            print(scene.__doc__)
            said, codes = scene(folder, count)
            faults = list(check(folder, count, said, codes))
            for last in [text.splitlines()[-1] for text in said if text]:
                print(f"  {last}")
            print(f"  {'; '.join(faults) or 'all is well'}, {time.monotonic() - began:.0f} s")
            wrong += bool(faults)
    sys.exit(wrong)


if __name__ == "__main__":
    main()

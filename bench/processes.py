"""What commands cost as whole processes, start of Python included: wall time and peak memory of `--help`, `info` and
`decode`.

    python bench/processes.py FILES.ddc... -o bench/results/processes.tsv [--runs 9]

One row a command and file, with the median of the runs after one that is not counted. torch is never imported there: a
test holds that. Nothing heavy is imported here either: Linux counts the memory of the parent at the start of a child as
the child's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter

import ddcodec
from ddcodec.benchmark.machine import machine

COLUMNS = ("date", "version", "machine", "command", "file", "width", "height", "runs", "wall_s", "peak_mib")


def run(*words):
    """Seconds and MiB of one process."""
    start = perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "ddcodec", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"ddcodec {' '.join(words)} failed.")
    return perf_counter() - start, usage.ru_maxrss / 1024


def jobs(files, target):
    """(command, file, width, height, words) of every row."""
    yield "--help", "", "", "", ["--help"]
    for file in files:
        info = json.loads(subprocess.check_output([sys.executable, "-m", "ddcodec", "info", "--json", file]))
        for command, options in ("info", []), ("decode", ["-o", target, "-f", "--quiet"]):
            yield command, Path(file).name, info["width"], info["height"], [command, file, *options]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    table = Path(arguments.output)
    if not table.exists():
        table.write_text("\t".join(COLUMNS) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        for *what, words in jobs(arguments.files, str(Path(folder) / "out.png")):
            runs = [run(*words) for _ in range(arguments.runs + 1)][1:]
            seconds, memory = (statistics.median(values) for values in zip(*runs))
            row = [
                date.today(),
                ddcodec.__version__,
                machine(),
                *what,
                arguments.runs,
                f"{seconds:.3f}",
                f"{memory:.0f}",
            ]
            with table.open("a") as out:
                print(*row, sep="\t", file=out)
            print(*row[3:], sep="  ")


if __name__ == "__main__":
    main()

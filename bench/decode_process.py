"""What a decode costs as a whole process, start of Python included: wall time and peak memory of `python -m ddcodec decode`.

    python bench/decode_process.py FILES.ddc... -o bench/results/decode-process-NAME.tsv [--runs 7]

One row a file, with the median of the runs after one that is not counted. torch is never imported there: a test holds that.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter

import ddcodec
from rate_distortion import machine

COLUMNS = ("date", "version", "machine", "file", "width", "height", "runs", "wall_s", "peak_mib")


def decode_once(file, target):
    """Seconds and MiB of one process."""
    start = perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "ddcodec", "decode", file, "-o", target, "-f", "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"Decoding {file} failed.")
    return perf_counter() - start, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    table = Path(arguments.output)
    if not table.exists():
        table.write_text("\t".join(COLUMNS) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        for file in arguments.files:
            runs = [decode_once(file, str(Path(folder) / "out.png")) for _ in range(arguments.runs + 1)][1:]
            info = ddcodec.read_info(Path(file).read_bytes())
            seconds, memory = (statistics.median(values) for values in zip(*runs))
            row = (
                date.today(), ddcodec.__version__, machine(), Path(file).name, info["width"], info["height"], arguments.runs,
                f"{seconds:.3f}", f"{memory:.0f}",
            )  # fmt: skip
            with table.open("a") as out:
                print(*row, sep="\t", file=out)
            print(*row[3:], sep="  ")


if __name__ == "__main__":
    main()

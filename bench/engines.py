"""What a step of the fit costs: engine by engine and tune by tune in one run, over sizes, beside a plain matrix product
on the same machine.

    python bench/engines.py -o bench/results/engines.tsv [--sizes 256x256,...] [--rounds 5]
    python bench/engines.py --starts -o bench/results/starts.tsv

One row an engine, tune and size has:

- milliseconds a step, the median of the rounds, in which all take turns
- the multiplications of a forward pass a pixel
- the time of a step over that of its arithmetic at the speed of the matrix product: 6 operations a multiplication,
  forward, back to the inputs and back to the weights.

An engine that needs more memory than there is, is left out. With a GPU there are rows for 1, 4, 16 and 24 pictures at
once. --starts: seconds from the start of a process to the end of its first step.
"""

import argparse
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path
from time import perf_counter

import numpy as np

import ddcodec
from ddcodec.benchmark.machine import machine
from ddcodec.fit.descent.schedule import point_at
from ddcodec.fit.descent.task import FitTask
from ddcodec.fit.engine import CpuKind, GraphKind, ReferenceKind, device_of
from ddcodec.machine import available_cores, available_memory, keep_freed_memory
from ddcodec.presets import TUNES, arch_of

COLUMNS = (
    "date",
    "version",
    "machine",
    "engine",
    "tune",
    "threads",
    "fits",
    "width",
    "height",
    "macs_per_pixel",
    "ms_per_step",
    "ms_per_megapixel",
    "product_gflops",
    "times_the_product",
    "peak_mib",
)
START_COLUMNS = ("date", "version", "machine", "engine", "seconds")
SIZES = "256x256,512x512,768x512,1024x1024,2048x2048,4096x4096,6000x4000"
LAMBDA = 1e-3
PIXELS_A_ROUND = 3_000_000
"""What an engine does before it is the next one's turn, and at least one step."""
SIDE = 2048
"""Of the matrices of the yardstick."""
OPERATIONS_A_MAC = 6


def picture_of(width, height):
    """Smooth shades and noise: what the arithmetic costs does not depend on the picture."""
    y, x = np.mgrid[:height, :width]
    shades = np.stack([128 + 90 * np.sin(x / (30 + 7 * k)) * np.cos(y / (50 - 9 * k)) for k in range(3)], 2)
    return (shades + np.random.default_rng(0).normal(0, 8, shades.shape)).clip(0, 255).astype(np.uint8)


def kinds_for(arch):
    """(kind, fits) of all engines that this machine has room for."""
    cores, device = available_cores(), device_of("auto")
    found = [(CpuKind(threads), 1) for threads in sorted({1, cores})]
    found += [(ReferenceKind("cpu", threads), 1) for threads in sorted({1, cores})]
    found = [(kind, fits) for kind, fits in found if (available_memory() or float("inf")) > kind.memory_of(arch)]
    if device != "cpu":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        kind = GraphKind(device)
        found += [(kind, fits) for fits in (1, 4, 16, 24) if fits * kind.memory_of(arch) < free]
    return found


def product_gflops(kind):
    """Of a product of float32 matrices, by the same number of threads or on the GPU."""
    import torch

    torch.set_num_threads(kind.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    a = torch.randn(SIDE, SIDE, device=kind.device)
    best = float("inf")
    for _ in range(4):
        start = perf_counter()
        (a @ a)[0, 0].item()
        best = min(best, perf_counter() - start)
    return 2 * SIDE**3 / best / 1e9


class Runner:
    """One engine of a size, that takes its turn."""

    def __init__(self, kind, fits, picture, arch, tune):
        self.kind, self.fits, self.arch, self.tune, self.times = kind, fits, arch, tune, []
        self._point = point_at(0.3)
        self._picture = picture
        self._steps = max(1, PIXELS_A_ROUND // (arch.width * arch.height))

    def turn(self):
        """Milliseconds per step of one turn are added to `times`.

        The engine is made anew: not all have room at once.
        """
        engine = self.kind.make([FitTask(self._picture, self.arch, LAMBDA, tune=self.tune)] * self.fits)
        engine.warm_up()
        engine.step(self._point)
        engine.losses()
        start = perf_counter()
        for _ in range(self._steps):
            engine.step(self._point)
        engine.losses()
        self.times.append(1e3 * (perf_counter() - start) / self._steps)


PEAK = r"""
import re, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from engines import LAMBDA, picture_of
from ddcodec.fit.descent.task import FitTask
from ddcodec.fit.engine import CpuKind, ReferenceKind
from ddcodec.fit.descent.schedule import point_at
from ddcodec.presets import arch_of
name, tune, threads, width, height = *sys.argv[2:4], *map(int, sys.argv[4:])
arch = arch_of("default", height, width, 3, LAMBDA)
kind = {"native": CpuKind(threads), "torch": ReferenceKind("cpu", threads)}[name]
engine = kind.make([FitTask(picture_of(width, height), arch, LAMBDA, tune=tune)])
engine.step(point_at(0.3))
print(round(int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))[1]) / 1024))
"""


def peak_mib(kind, arch, tune):
    """Of a process of its own that takes one step, the program and its libraries included; nothing where Linux does not
    tell, or on a GPU.
    """
    if kind.device != "cpu" or not Path("/proc/self/status").exists():
        return ""
    words = [str(Path(__file__).parent), kind.name, tune, str(kind.threads), str(arch.width), str(arch.height)]
    return int(subprocess.run([sys.executable, "-c", PEAK, *words], check=True, capture_output=True, text=True).stdout)


def measure(sizes, rounds):
    """Rows of the table of engines."""
    keep_freed_memory()
    for size in sizes:
        width, height = map(int, size.split("x"))
        picture, arch = picture_of(width, height), arch_of("default", height, width, 3, LAMBDA)
        runners = [Runner(kind, fits, picture, arch, tune) for kind, fits in kinds_for(arch) for tune in TUNES]
        for _ in range(rounds):
            for runner in runners:
                runner.turn()
        for runner in runners:
            kind, megapixels = runner.kind, width * height * runner.fits / 1e6
            milliseconds, gflops = statistics.median(runner.times), product_gflops(kind)
            macs = arch.macs() / (width * height)
            floor = 1e3 * OPERATIONS_A_MAC * macs * megapixels * 1e6 / (gflops * 1e9)
            yield (
                kind.name,
                runner.tune,
                kind.threads,
                runner.fits,
                width,
                height,
                f"{macs:.0f}",
                f"{milliseconds:.2f}",
                f"{milliseconds / megapixels:.2f}",
                f"{gflops:.0f}",
                f"{milliseconds / floor:.2f}",
                peak_mib(kind, arch, runner.tune),
            )


START = """
import sys, numpy as np
from ddcodec.fit.descent.task import FitTask
from ddcodec.fit.engine import CpuKind, ReferenceKind
from ddcodec.fit.descent.schedule import point_at
from ddcodec.presets import arch_of
arch = arch_of("default", 512, 768, 3, 1e-3)
kind = {"native": CpuKind(2), "torch": ReferenceKind("cpu", 2)}[sys.argv[1]]
engine = kind.make([FitTask(np.zeros((512, 768, 3), np.uint8), arch, 1e-3)])
engine.warm_up()
engine.step(point_at(0.0))
"""


def starts():
    """Rows of the table of starts."""
    for engine in ("native", "native", "native", "torch"):
        start = perf_counter()
        subprocess.run([sys.executable, "-c", START, engine], check=True)
        yield engine, f"{perf_counter() - start:.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", action="store_true")
    arguments = parser.parse_args()
    table = Path(arguments.output)
    if not table.exists():
        table.write_text("\t".join(START_COLUMNS if arguments.starts else COLUMNS) + "\n")
    for row in starts() if arguments.starts else measure(arguments.sizes.split(","), arguments.rounds):
        with table.open("a") as out:
            print(date.today(), ddcodec.__version__, machine(), *row, sep="\t", file=out)
        print(*row, sep="  ", flush=True)


if __name__ == "__main__":
    main()

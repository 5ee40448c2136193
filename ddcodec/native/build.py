"""Builds the decoder in C as a shared library: `python -m ddcodec.native.build`.

Each kind of vectors is a build of its own of the two files that use them; the library chooses among them when it runs.
This file needs nothing but Python, so that the package can be built with it before it is there.
"""

import platform
import shutil
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
"""Where the sources are, and the library once it is built."""
NAME = {"darwin": "libddc.dylib", "win32": "ddc.dll"}.get(sys.platform, "libddc.so")
"""The library's file."""
FLAGS = ("-O3", "-std=c11", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing", "-Wall", "-Wextra")
PLAIN = ("header", "ranges", "weights", "decode")
"""Files without vectors."""
VECTORS = ("code", "synthesis")
"""Files that are built for each kind of vectors."""
AVX512 = ("-mavx2", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq")
LEVELS: dict[str, dict[int, tuple[str, ...]]] = {
    "x86_64": {0: (), 1: ("-msse4.1",), 2: ("-mavx2",), 3: AVX512, 4: (*AVX512, "-mavx512vnni")},
    "aarch64": {0: (), 5: ()},
}
"""Machine -> level of simd.h -> its flags."""
MACHINES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
"""Other names of these machines."""


def compilers() -> list[list[str]]:
    """List the commands that may compile C here, the best first."""
    found = [[path] for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
    zig = [sys.executable, "-m", "ziglang", "cc"]
    if subprocess.run([*zig[:3], "version"], capture_output=True).returncode == 0:
        found.append(zig)
    return found


def build(target: Path, compiler: Sequence[str], machine: str | None = None, flags: Sequence[str] = ()) -> None:
    """Compile the library to the file `target`.

    machine: the processor it is for, by default this one's. Others than those of `LEVELS` get plain C alone.
    flags: more flags, for instance of a sanitizer.

    Raises `subprocess.CalledProcessError` if the compiler fails.
    """
    machine = (machine or platform.machine()).lower()
    levels = LEVELS.get(MACHINES.get(machine, machine), {0: ()})
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "bases.h").write_text(bases_header(), "utf-8")
        objects = []

        def compiled(name, own_flags, level=None):
            objects.append(work / f"{name}{'' if level is None else level}.o")
            command = [*compiler, *FLAGS, *flags, *own_flags, "-I", str(work), "-c", str(FOLDER / f"{name}.c")]
            subprocess.run([*command, "-o", str(objects[-1])], check=True)

        for name in PLAIN:
            compiled(name, ())
        for level, own_flags in levels.items():
            for name in VECTORS:
                compiled(name, (*own_flags, f"-DDDC_LEVEL={level}"), level)
        subprocess.run([*compiler, "-shared", *flags, *map(str, objects), "-o", str(target)], check=True)


def bases_header() -> str:
    """Write the file of bases as an array in C."""
    numbers = array("h", (FOLDER.parent / "format" / "bases.bin").read_bytes())
    if sys.byteorder == "big":
        numbers.byteswap()
    return f"static const int16_t BASES_FILE[] = {{{','.join(map(str, numbers))}}};\n"


def main() -> None:
    """Build the library beside its sources, with the first compiler that there is."""
    found = compilers()
    if not found:
        sys.exit("No C compiler was found; `pip install ziglang` brings one.")
    build(FOLDER / NAME, found[0])


if __name__ == "__main__":
    main()

"""Builds the codec in C as a shared library: `python -m ddcodec.native.build`.

Each kind of vectors is a build of its own of the two files that use them; the library chooses among them when it runs.
This file needs nothing but Python, so that setup.py can run it before the package is there.
"""

import os
import platform
import sys
from array import array
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

FOLDER = Path(__file__).parent
"""Where the sources are, and the library once it is built."""
FLAGS = ("-O3", "-std=c11", "-fvisibility=hidden", "-fno-strict-aliasing", "-Wall", "-Wextra")
RELEASE = ("-DNDEBUG", "-g0", "-s")
"""Flags of a library that is not for tests."""
PLAIN = ("header", "ranges", "weights", "decode")
"""Files without vectors."""
VECTORS = ("code", "synthesis")
"""Files that are built for each kind of vectors."""
FIT = ("fit/fit", "fit/crew")
"""Files of the fit without vectors."""
FIT_VECTORS = (
    "fit/pass", "fit/products", "fit/update", "fit/seen", "fit/rate", "fit/filters", "fit/synthesis", "fit/distortion",
    "fit/guess",
)  # fmt: skip
"""Files of the fit that are built for each kind of vectors."""
FIT_FLAGS = ("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
"""Flags of these: their results may differ in the last digits from machine to machine."""
AVX512 = ("-mavx2", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq")
LEVELS: dict[str, dict[int, tuple[str, ...]]] = {
    "x86_64": {0: (), 1: ("-msse4.1",), 2: ("-mavx2",), 3: AVX512, 4: (*AVX512, "-mavx512vnni")},
    "aarch64": {0: (), 5: ()},
    "wasm32": {6: ("-msimd128", "-mbulk-memory")},
}
"""Machine -> level of simd.h -> its flags."""
FIT_LEVELS: dict[str, dict[int, tuple[str, ...]]] = {
    "x86_64": {0: (), 2: ("-mavx2", "-mfma"), 3: AVX512},
    "aarch64": {5: ()},
    "wasm32": {},
}
"""Machine -> level of fit/floats.h -> its flags."""
MACHINES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
"""Other names of these machines."""
EXPORTS = (
    "ddc_read_header", "ddc_memory", "ddc_samples_bytes", "ddc_code_bytes", "ddc_decode", "ddc_columns", "ddc_rows",
    "ddc_version", "__heap_base",
)  # fmt: skip
"""What a page calls, and where its own memory begins."""


class Target(NamedTuple):
    """What a library is built for.

    machine: a key of `LEVELS`, or another machine, which gets plain C. zig: the name of the target for zig.
    """

    machine: str
    zig: str

    @property
    def name(self) -> str:
        """The name of the library's file."""
        if "windows" in self.zig:
            return "ddc.dll"
        return "libddc.dylib" if "macos" in self.zig else "ddc.wasm" if "wasm" in self.zig else "libddc.so"


PLATFORMS = {
    "manylinux_2_17_x86_64": Target("x86_64", "x86_64-linux-gnu.2.17"),
    "manylinux_2_17_aarch64": Target("aarch64", "aarch64-linux-gnu.2.17"),
    "musllinux_1_2_x86_64": Target("x86_64", "x86_64-linux-musl"),
    "musllinux_1_2_aarch64": Target("aarch64", "aarch64-linux-musl"),
    "macosx_11_0_x86_64": Target("x86_64", "x86_64-macos.11.0"),
    "macosx_11_0_arm64": Target("aarch64", "aarch64-macos.11.0"),
    "win_amd64": Target("x86_64", "x86_64-windows-gnu"),
    "win_arm64": Target("aarch64", "aarch64-windows-gnu"),
}
"""The platforms of released wheels, by their tags."""
WASM = Target("wasm32", "wasm32-wasi")
"""WebAssembly."""


def own_target() -> Target:
    """Return the target that is this machine."""
    machine = platform.machine().lower()
    machine = MACHINES.get(machine, machine)
    system = {"darwin": "macos.11.0", "win32": "windows-gnu"}.get(
        sys.platform, "linux-gnu.2.17" if platform.libc_ver()[0] == "glibc" else "linux-musl"
    )
    return Target(machine, f"{machine}-{system}")


NAME = own_target().name
"""The library's file on this machine."""


def zig() -> list[str]:
    """Return the command of zig's compiler."""
    return [sys.executable, "-m", "ziglang", "cc"]


def compilers() -> list[list[str]]:
    """List the commands that may compile C here: zig, then the machine's own."""
    import shutil

    found = [zig()] if find_spec("ziglang") else []
    return found + [[path] for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]


def build(
    folder: Path,
    compiler: Sequence[str],
    target: Target | None = None,
    flags: Sequence[str] = RELEASE,
    program: Path | None = None,
) -> Path:
    """Compile the library into `folder`, and return its file.

    compiler: a command; only zig's can build for another machine than this one.
    target: by default this machine.
    flags: beside those that all builds have.
    program: a source in C with `main`; the file is then a program that has the library in it.

    Raises `subprocess.CalledProcessError` if the compiler fails.
    """
    # Here, since every decode and every fit begins with an import of this file.
    import shutil
    import subprocess
    import tempfile
    from concurrent.futures import ThreadPoolExecutor

    target = target or own_target()
    levels = LEVELS.get(target.machine, {0: ()})
    command = [*compiler, *FLAGS, *flags, *([] if target.name == "ddc.dll" else ["-fPIC"])]
    linking = ["-shared"]
    if "ziglang" in command:
        # Without a target zig builds for the very processor that it runs on. Sanitizers are on unless they are off.
        command += ["-target", target.zig]
        if "-fsanitize=undefined" not in flags:
            command += ["-fno-sanitize=undefined"]
    if target.name.endswith(".dylib"):
        # Otherwise the library holds the path at which it was linked.
        linking += [f"-Wl,-install_name,@rpath/{target.name}"]
    if target is WASM:
        linking = ["-mexec-model=reactor", *(f"-Wl,--export={name}" for name in EXPORTS)]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        # zig keeps what it compiles; in a folder of its own it cannot take anything from another build.
        environment = {**os.environ, "ZIG_LOCAL_CACHE_DIR": str(work / "local")}
        (work / "bases.h").write_text(bases_header(), "utf-8")

        # A page compares nothing, and its library need not change with the fit.
        numbered = [] if target is WASM else [f"-DDDC_SOURCES={sources_number()}u"]

        def run(*options):
            subprocess.run([*command, *map(str, options)], check=True, env=environment)

        parts: list[tuple[str, int | None, tuple[str, ...]]] = [(name, None, ()) for name in PLAIN]
        parts += [(name, level, own) for level, own in levels.items() for name in VECTORS]
        if target is not WASM:
            fit_levels = FIT_LEVELS.get(target.machine, {0: ()})
            parts += [(name, None, ()) for name in FIT]
            parts += [(name, level, (*own, *FIT_FLAGS)) for level, own in fit_levels.items() for name in FIT_VECTORS]
            linking += ["-lm", *(["-pthread"] if "linux" in target.zig else [])]
        objects = [work / f"{name.replace('/', '-')}{'' if level is None else level}.o" for name, level, _ in parts]

        def compiled(part, result):
            name, level, own = part
            number = () if level is None else (f"-DDDC_LEVEL={level}",)
            run(*own, *number, *numbered, "-I", work, "-c", FOLDER / f"{name}.c", "-o", result)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compiled, parts, objects))
        made = work / (program.stem if program else target.name)
        if program:
            run(program, *objects, "-o", made)
        else:
            run(*linking, *objects, "-o", made)
        # A library that is loaded elsewhere stays as it is: the file gets another one's name.
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            copied = Path(shutil.copyfile(made, Path(beside, made.name)))
            if program:
                shutil.copymode(made, copied)
            return copied.replace(folder / made.name)


def sources_number() -> int:
    """Compute a number of 32 bits from the sources and the bases, which tells whether a library was built of these."""
    paths = sorted([*FOLDER.rglob("*.c"), *FOLDER.rglob("*.h")])
    number = 0
    for path in [*paths, FOLDER.parent / "format" / "bases.bin"]:
        number = crc32(path.read_bytes(), number)
    return number


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
    build(FOLDER, found[0])


if __name__ == "__main__":
    main()

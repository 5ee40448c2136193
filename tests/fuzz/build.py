"""Builds the fuzz target, all levels of vectors in it, with clang: `python tests/fuzz/build.py FOLDER`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "ddcodec" / "native"))
import build  # noqa: E402

SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def main(folder):
    """What the library is, but with its main program in it."""
    fuzzer = Path(__file__).parent / "fuzz.c"
    library = build.build(folder, ["clang"], flags=(*SANITIZERS, "-fsanitize=fuzzer-no-link"))
    command = ["clang", *SANITIZERS, "-fsanitize=fuzzer", str(fuzzer), str(library), "-o", str(folder / "fuzz")]
    subprocess.run([*command, f"-Wl,-rpath,{folder}"], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

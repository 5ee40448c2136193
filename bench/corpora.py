"""Whether a folder is the corpus that it is said to be, by the SHA-256 of every file.

python bench/corpora.py kodak FOLDER
"""

import sys
import tomllib
from hashlib import sha256
from pathlib import Path

CORPORA = tomllib.loads((Path(__file__).parent / "corpora.toml").read_text("utf-8"))


def differences(corpus, folder):
    """Sentences: files that are missing, other than they should be, or pictures that do not belong to it; none for the
    very corpus.
    """
    wanted = CORPORA[corpus]["sha256"]
    folder = Path(folder)
    found = {path.name: path for path in folder.iterdir() if path.suffix in {Path(name).suffix for name in wanted}}
    missing = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    strange = [f"{name} does not belong to {corpus}" for name in sorted(found.keys() - wanted.keys())]
    other = [
        f"{name} is another file than that of {corpus}"
        for name in sorted(wanted.keys() & found.keys())
        if sha256(found[name].read_bytes()).hexdigest() != wanted[name]
    ]
    return missing + strange + other


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in CORPORA or not Path(sys.argv[2]).is_dir():
        sys.exit(f"usage: python bench/corpora.py {{{','.join(CORPORA)}}} FOLDER")
    _, corpus, folder = sys.argv
    found = differences(corpus, folder)
    print(*found or [f"{folder} is {corpus}: {len(CORPORA[corpus]['sha256'])} files, all as they should be"], sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()

"""Tables of benchmarks, separated by tabs, to which rows are appended as they come."""

from datetime import date

from ddcodec.benchmark.machine import machine


class Rows:
    """The table in a file, which is made if it is not there. columns: names, of which the first are date and machine.
    key: the names of those by which a row is known.
    """

    def __init__(self, path, columns, key):
        self._path = path
        if not path.exists():
            path.write_text("\t".join(columns) + "\n", "utf-8")
        places = [columns.index(name) for name in key]
        lines = [line.split("\t") for line in path.read_text("utf-8").splitlines()[1:]]
        self._keys = {tuple(line[place] for place in places) for line in lines}

    def __contains__(self, key):
        return tuple(map(str, key)) in self._keys

    def append(self, values):
        """What follows date and machine; said, too, without the versions."""
        row = [date.today().isoformat(), machine(), *map(str, values)]
        with open(self._path, "a", encoding="utf-8") as file:
            file.write("\t".join(row) + "\n")
        print(*row[3:], sep="\t", flush=True)

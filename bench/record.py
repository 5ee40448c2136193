"""Keep the rows of a report: append those that are new to bench/results/rate-distortion-CORPUS.tsv.

    python bench/record.py REPORT kodak

Every row must be of a picture of the corpus, by the SHA-256 of its file; otherwise nothing is written.
"""

import sys
from pathlib import Path

from corpora import CORPORA

from ddcodec.benchmark.measure import SHA_DIGITS
from ddcodec.benchmark.run import TABLE
from ddcodec.benchmark.table import append_row, read_table

RESULTS = Path(__file__).parent / "results"


def results_of(corpus):
    """The table of a corpus."""
    return RESULTS / f"rate-distortion-{corpus}.tsv"


def strangers(rows, corpus):
    """Names of pictures in `rows` that are not those of the corpus."""
    known = {(Path(name).stem, digest[:SHA_DIGITS]) for name, digest in CORPORA[corpus]["sha256"].items()}
    return sorted({row.picture for row in rows if (row.picture, row.sha256) not in known})


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in CORPORA:
        sys.exit(f"usage: python bench/record.py REPORT {{{','.join(CORPORA)}}}")
    report, corpus = sys.argv[1:]
    if not (Path(report) / TABLE).exists():
        sys.exit(f"There is no report in {report}: {TABLE} is missing.")
    rows = read_table(Path(report) / TABLE)
    if strange := strangers(rows, corpus):
        sys.exit(f"Not of {corpus}: {', '.join(strange)}. Nothing was written.")
    table = results_of(corpus)
    kept = set(read_table(table))
    new = [row for row in rows if row not in kept]
    for row in new:
        append_row(table, row)
    print(f"{len(new)} of {len(rows)} rows are new in {table.name}")


if __name__ == "__main__":
    main()

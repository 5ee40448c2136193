"""The way from a run's folder to a report."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import UsageError
from ..jobs.output import write_target
from .charts import save_plots
from .crops import crops_of
from .peers import NAMES, peer_of
from .published import Published
from .report import Description, Study, html_of
from .run import Run
from .summary import standings
from .table import Row


def study_of(run: Run, anchor: str, published: Iterable[Published], not_measured: list[str], command: str) -> Study:
    """Make the `Study` of all rows in a run's folder, those of earlier runs with other codecs included.

    anchor: name of the codec whose BD-rate is 0. not_measured: a sentence for each codec or picture without rows.
    command: the command line that made the report.
    """
    rows = run.rows()
    measured = {row.codec for row in rows}
    order = [standing.codec for standing in standings(rows, anchor)]
    crops = crops_of(run, rows, [anchor, *(codec for codec in order if codec != anchor)])
    return Study(
        rows=rows,
        anchor=anchor,
        published=[
            replace(curve, codec=f"{curve.codec}, published") if curve.codec in measured else curve
            for curve in published
        ],
        codecs=descriptions(rows),
        crops=crops,
        not_measured=not_measured,
        command=command,
        title=f"{os.path.basename(os.path.abspath(run.folder))}: rate and distortion",
    )


def write_report(study: Study, folder: str) -> str:
    """Write report.html and plots/ into a folder, and return the path of the page. Raises `OutputError`."""
    page = os.path.join(folder, "report.html")
    write_target(page, html_of(study).encode("utf-8", "replace"), force=True)
    save_plots(study, Path(folder) / "plots")
    return page


def descriptions(rows: Sequence[Row]) -> dict[str, Description]:
    """Describe all codecs of `rows`, as name -> `Description`: in the order of `NAMES`, then those of ddcodec."""
    found, measured = {}, {row.codec for row in rows}
    for codec in [*(name for name in NAMES if name in measured), *sorted(measured - set(NAMES))]:
        try:
            peer = peer_of(codec)
        except UsageError:
            continue  # An earlier version, which knew more codecs, measured it.
        found[codec] = Description(peer.title, peer.pinned, peer.knob, peer.note)
    return found

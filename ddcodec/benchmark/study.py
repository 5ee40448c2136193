"""From a run's folder to a report."""

import os
from dataclasses import replace
from pathlib import Path

from ..errors import UsageError
from ..jobs.output import write_target
from .charts import save_plots
from .crops import crops_of
from .peers import NAMES, peer_of
from .report import Description, Study, html_of
from .summary import standings


def study_of(run, anchor, published, not_measured, command):
    """The `Study` of all rows in the folder of a `Run`, those of earlier runs with other codecs included.

    not_measured: what to say of codecs and pictures that have no rows. command: the line that made the report.
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


def write_report(study, folder):
    """Write report.html and plots/ into a folder; returns the path of the page. Raises `OutputError`."""
    page = os.path.join(folder, "report.html")
    write_target(page, html_of(study).encode("utf-8", "replace"), force=True)
    save_plots(study, Path(folder) / "plots")
    return page


def descriptions(rows):
    """Codec -> `Description`, for all codecs of `rows`: in the order of the table of peers, then those of ddcodec."""
    found, measured = {}, {row.codec for row in rows}
    for codec in [*(name for name in NAMES if name in measured), *sorted(measured - set(NAMES))]:
        try:
            peer = peer_of(codec)
        except UsageError:
            continue  # Measured with an earlier version that knew more codecs.
        found[codec] = Description(peer.title, peer.pinned, peer.knob, peer.note)
    return found

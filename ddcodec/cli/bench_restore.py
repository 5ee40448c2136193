"""`ddcodec bench-restore`: measure restorations against the truth."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from . import offers
from .help import Command, Expert
from .options import fitting, talking
from .restore import progress_parts, restore_options
from .talk import Talk

if TYPE_CHECKING:
    from ..benchmark.restoration import Row


@click.command(
    "bench-restore",
    cls=Command,
    short_help="Measure restorations against the truth.",
    epilog="""\b
Examples:
  ddcodec bench-restore clean/ --task denoise --inputs noisy/ -o rows.tsv
  ddcodec bench-restore clean/ --task denoise --add-noise 25 -o rows.tsv
  ddcodec bench-restore pairs/ --task denoise --inputs pairs/ --ending _real _mean -o rows.tsv
  ddcodec bench-restore clean/ --task dejpeg --as-jpeg 10 -o rows.tsv
  ddcodec bench-restore clean/ --task inpaint --mask masks/ -e 3 -o rows.tsv""",
)
@click.argument("truths", nargs=-1, required=True, metavar="TRUTHS...", type=click.Path(exists=True))
@click.option(
    "--task",
    required=True,
    metavar="NAME",
    shell_complete=offers.names(offers.tasks),
    help="denoise, inpaint, superres or dejpeg.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="The table: one line a picture, written as it comes. What it has is not measured again.",
)
@click.option(
    "--inputs",
    metavar="FOLDER",
    type=click.Path(exists=True),
    help="What is to be restored: files of the same names as the truths.",
)
@click.option(
    "--ending",
    cls=Expert,
    nargs=2,
    default=("", ""),
    metavar="IN TRUTH",
    help="How names of inputs and of truths end, where they differ.",
)
@click.option(
    "--add-noise",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SIGMA",
    help="Instead of inputs: the truths with white noise, clipped to 8 bits.",
)
@click.option(
    "--as-jpeg",
    type=click.IntRange(1, 100),
    metavar="QUALITY",
    help="dejpeg: instead of inputs: the truths as JPEGs of this quality, by Pillow.",
)
@click.option(
    "--mask",
    metavar="PATH",
    type=click.Path(exists=True),
    help="inpaint: a mask for all, turned where a picture is upright, or a folder of them; black is missing.",
)
@click.option(
    "--save", cls=Expert, metavar="FOLDER", type=click.Path(file_okay=False), help="Keep the restored pictures as PNG."
)
@click.option("--scale", type=int, metavar="2|4|8", help="superres: the inputs are the truths, so many times smaller.")
@click.option("--sigma", metavar="S|auto", default="auto", show_default=True, help="As in restore.")
@click.option(
    "--prior",
    default="auto",
    show_default=True,
    metavar="NAME",
    shell_complete=offers.names(offers.priors),
    help="As in restore.",
)
@fitting(effort="Higher is slower and better.")
@talking
def bench_restore(
    talk: Talk,
    truths: tuple[str, ...],
    output: str,
    inputs: str | None,
    ending: tuple[str, str],
    add_noise: float | None,
    as_jpeg: int | None,
    mask: str | None,
    save: str | None,
    sigma: str,
    **options: Any,
) -> None:
    """Restore pictures whose TRUTHS (files, or folders of them) are known, and measure by how much that has helped.

    The truth makes the input where none is given, and the score; the method never sees it. A time limit is for each
    picture.
    """
    from ..benchmark.restoration import append_row, case_of, jobs_of, made_by, measure, read_rows
    from ..jobs.output import write_target
    from ..machine import keep_freed_memory
    from ..picture import Picture
    from ..pictures.write import encode_image_bytes

    wished = restore_options(sigma, options)
    wished.validate()
    if sum(given is not None for given in (add_noise, as_jpeg, inputs)) > 1:
        raise UsageError("Give only one of --inputs, --add-noise and --as-jpeg.")
    if wished.task == "superres" and (add_noise is not None or as_jpeg is not None):
        raise UsageError(
            "The inputs of superres are the truths made small; it takes neither --add-noise nor --as-jpeg."
        )
    jobs = jobs_of(truths, inputs, mask, ending)
    setting = " ".join(
        f"{name}={value}"
        for name, value in sorted(options.items())
        if value is not None and name not in ("task", "device", "threads")
    )
    setting += f" sigma={sigma}" if sigma != "auto" else ""
    if mask:
        setting += f" mask={Path(mask).stem}"
    path, rows = Path(output), []
    noise = made_by(add_noise, as_jpeg)
    kept = {row.key: row for row in read_rows(path)}
    if save:
        Path(save).mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    for job in jobs:
        talk.about = {"input": str(job.truth)}
        key = wished.task, setting, noise, job.truth.stem
        if key not in kept:
            with talk.progress(lambda *told: [*progress_parts(*told), job.truth.stem]) as progress:
                case = case_of(job, wished, added=add_noise, quality=as_jpeg)
                samples, row = measure(case, wished, setting=setting, progress=progress)
            append_row(path, row)
            kept[key] = row
            if save:
                write_target(
                    str(Path(save, f"{job.truth.stem}.png")), encode_image_bytes(Picture(samples), "png"), force=True
                )
        rows.append(kept[key])
        talk.say(_line(rows[-1]))
        talk.report(**asdict(rows[-1]))
    talk.about = {}
    means = [sum(values) / len(rows) for values in zip(*((row.before, row.after, row.seconds) for row in rows))]
    lost = sum(row.after < row.before - 0.05 for row in rows)
    talk.say(
        f"mean of {len(rows)}: {means[0]:.2f} -> {means[1]:.2f} dB, {means[2]:.1f} s; {lost} worse than their input "
        "by more than 0.05 dB"
    )
    talk.report(
        task=wished.task,
        pictures=len(rows),
        before=means[0],
        after=means[1],
        seconds=means[2],
        worse=lost,
        table=str(path),
    )


def _line(row: "Row") -> str:
    missing = f", missing pixels {row.missing:.2f} dB" if row.missing is not None else ""
    sigma = f", sigma {row.sigma:.1f}" if row.sigma is not None else ""
    return (
        f"{row.picture}: {row.before:.2f} -> {row.after:.2f} dB{missing}{sigma}, {row.prior}, {row.steps} steps, "
        f"{row.seconds:.1f} s: {row.reason}"
    )

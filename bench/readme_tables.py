"""The tables of README.md and the manual that come from files, and the plots: efforts from presets.toml, results and
engines from bench/results, sections from a sample.

python bench/readme_tables.py          writes them; a test holds that nothing has changed since
"""

import csv
import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from math import log
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

from record import RESULTS, results_of

from ddcodec import presets
from ddcodec.benchmark.charts import save_plots, seconds_text
from ddcodec.benchmark.peers import peer_of
from ddcodec.benchmark.published import read_published
from ddcodec.benchmark.report import Study
from ddcodec.benchmark.restoration import read_rows
from ddcodec.benchmark.study import descriptions
from ddcodec.benchmark.summary import groups, left_out, mean_curve
from ddcodec.benchmark.table import latest, read_table
from ddcodec.format.files import read_info
from ddcodec.restoration.settings import CODEC

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "docs" / "quality-and-effort.md",
    ROOT / "docs" / "how-it-works.md",
    ROOT / "bench" / "notebook" / "restoration.md",
)
SAMPLE = ROOT / "samples" / "chelsea.ddc"
PUBLISHED = ROOT / "bench" / "published-kodak.csv"
INPAINTED = ROOT / "bench" / "published-inpainting.csv"
ANCHOR = "jpeg"
EFFORT = "ddc:e"
SINCE = "5f2b1c2"
"""The earliest version of ddcodec, by its digest, whose photographs have the rates of the present one's, but for what
another seed would change.
"""
LEAST_LAMBDAS = 3
"""That an effort must have been measured at, on all of its pictures: of fewer its figures would be those of another
range of rates than the others'.
"""
MOST_NAMED = 6
PLOTS = ROOT / "bench" / "plots"
RESTORATION = RESULTS / "restoration.tsv"


class RestorationSet(NamedTuple):
    """Rows of restorations whose mean is shown. wanted(row): which they are, of whatever prior. effort: of the codec as
    prior. measure: "after" or "missing". others: what others have published for the same pictures, or None where
    OpenCV's rows say what to compare with.
    """

    title: str
    wanted: Callable
    effort: int
    measure: str
    others: str | None


def _has_mask(name):
    return lambda row: row.task == "inpaint" and f" mask={name}" in row.setting


RESTORATION_SETS = (
    RestorationSet(
        "noise of sigma 25: {} colour pictures of the DIP authors' page",
        lambda row: row.task == "denoise" and row.noise == "files" and not row.picture.endswith("_mean"),
        5,
        "after",
        "DIP 31.29, CBM3D 31.42, NLM 30.23 dB",
    ),
    RestorationSet(
        "noise of sigma 25: {} photographs of Kodak",
        lambda row: row.task == "denoise" and row.noise == "25",
        5,
        "after",
        "ZS-N2N 29.00, DIP 28.31, ZS-NCD 30.19 dB",
    ),
    RestorationSet(
        "noise of real cameras: {} pairs of the PolyU set, `-e 3`",
        lambda row: row.task == "denoise" and row.picture.endswith("_mean"),
        3,
        "after",
        "of all 100 pairs: input 35.97, CBM3D 36.98, DIP 36.95 dB",
    ),
    RestorationSet(
        "half of all pixels missing: {} grey pictures of the DIP authors' page",
        _has_mask("mask50"),
        5,
        "after",
        "DIP 33.48, or 33.71 with known pixels put back; Self2Self 35.14 dB",
    ),
    RestorationSet("text over {} photographs of Kodak, missing pixels", _has_mask("text"), 5, "missing", None),
    RestorationSet(
        "scratches over {} photographs of Kodak, missing pixels", _has_mask("scratches"), 5, "missing", None
    ),
)
OPENCV = {"opencv-telea": "Telea", "opencv-ns": "Navier-Stokes"}
DRAWN_FROM = PLOTS / "drawn-from.sha256"


def efforts():
    """The steps of each effort, and what they took for the pictures that most efforts have."""
    rows = _group_of_efforts().rows
    return [
        "| effort | " + " | ".join(map(str, presets.EFFORTS)) + " |",
        "| --- |" + " --- |" * len(presets.EFFORTS),
        "| steps | " + " | ".join(f"{presets.iterations_of(effort):,}" for effort in presets.EFFORTS) + " |",
        "| 768x512 | " + " | ".join(_time(rows, effort) for effort in presets.EFFORTS) + " |",
    ]


def engines():
    """Steps of the fit in the latest runs of bench/engines.py with the network of the newest: milliseconds, and how
    much of that is arithmetic.
    """
    with (RESULTS / "engines.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    rows = [row for row in rows if row["macs_per_pixel"] == rows[-1]["macs_per_pixel"]]
    latest = {(row["engine"], row["fits"], row["threads"], int(row["width"]), int(row["height"])): row for row in rows}
    kinds = sorted({key[:3] for key in latest}, key=lambda kind: (kind[0], int(kind[1]), int(kind[2])))
    lines = [f"| picture | {' | '.join(_kind(*kind) for kind in kinds)} |", "| --- |" + " --- |" * len(kinds)]
    for width, height in sorted({key[3:] for key in latest}, key=lambda size: size[0] * size[1]):
        found = [latest.get((*kind, width, height)) for kind in kinds]
        lines.append(f"| {width}x{height} | {' | '.join(_step(row) if row else '' for row in found)} |")
    return lines


def _kind(engine, fits, threads):
    where = f"{threads} thread{'s' * (threads != '1')}" if engine in ("numba", "torch") else f"{fits} at once"
    return f"{engine}, {where}"


def _step(row):
    return f"{float(row['ms_per_step']):.1f} ms ({float(row['times_the_product']):.1f})"


def results():
    """BD-rates against JPEG over each set of pictures, and what an encode and a decode take."""
    found = _groups()
    columns = [{standing.codec: standing for standing in group.standings} for group in found]
    titles = descriptions(kodak())
    lines = [
        f"| codec | {' | '.join(_name(group.pictures) for group in found)} | encode | decode |",
        "| --- |" + " --- |" * (len(found) + 2),
    ]
    # Codecs in the order of each group, those of the largest first.
    for codec in dict.fromkeys(codec for column in columns for codec in column):
        own = [column.get(codec) for column in columns]
        first = next(filter(None, own))
        title = f"{titles[codec].title} (`{codec}`)" if first.measured else f"*{codec}, published*"
        times = f"{seconds_text(first.encode_s)} | {seconds_text(first.decode_s)}" if first.measured else "|"
        lines.append(f"| {title} | {' | '.join(map(_rate, own))} | {times} |")
    lacking = [sentence for group in found for sentence in left_out(group)]
    return [*lines, "", *lacking] if lacking else lines


def restoration():
    """What restorations score, in the mean over each set of rows, beside what others have published for it."""
    rows = list({row.key: row for row in read_rows(RESTORATION)}.values())
    lines = ["| pictures | input | restored | published | time |", "| --- | --- | --- | --- | --- |"]
    for title, wanted, effort, measure, others in RESTORATION_SETS:
        found = [row for row in rows if wanted(row)]
        own = [row for row in found if row.prior == CODEC and row.setting.startswith(f"effort={effort} ")]
        if own:
            given = f"{_mean(own, 'before')} dB" if measure == "after" else ""
            others = (
                others
                or "OpenCV: "
                + ", ".join(
                    f"{method} {_mean([row for row in found if row.prior == prior], measure)}"
                    for prior, method in OPENCV.items()
                )
                + " dB"
            )
            lines.append(
                f"| {title.format(len(own))} | {given} | {_mean(own, measure)} dB | {others} | "
                f"{seconds_text(fmean(row.seconds for row in own))} |"
            )
    return lines


def grey():
    """PSNR over the whole picture, in dB, of the grey pictures with half of their pixels missing: our rows, and what
    others have published.
    """
    columns = {}
    for row in filter(_has_mask("mask50"), read_rows(RESTORATION)):
        columns.setdefault(f"{row.prior}, {row.setting.split()[0].replace('=', ' ')}", {})[row.picture] = row.after
    with INPAINTED.open(newline="") as file:
        for row in csv.DictReader(file):
            columns.setdefault(f"*{row['method']}*", {})[row["picture"]] = float(row["psnr_db"])
    pictures = list(columns[next(reversed(columns))])
    lines = [f"| {' | '.join(['picture', *columns])} |", "| --- |" + " --- |" * len(columns)]
    lines += [
        f"| {picture} | {' | '.join(f'{own[picture]:.2f}' if picture in own else '' for own in columns.values())} |"
        for picture in pictures
    ]
    means = [f"{fmean(own.values()):.2f}" if own.keys() == set(pictures) else "" for own in columns.values()]
    return [*lines, f"| mean | {' | '.join(means)} |"]


def _mean(rows, field):
    return f"{fmean(getattr(row, field) for row in rows):.2f}"


def costs():
    """What each effort takes and gives: steps, time, and BD-rates against JPEG, over all pictures, over those that most
    efforts have and, where they are few, over each.
    """
    whole, group = _groups()[0], _group_of_efforts()
    everywhere, standings = ({standing.codec: standing for standing in found.standings} for found in (whole, group))
    named = group.pictures if len(group.pictures) <= MOST_NAMED else ()
    lines = [
        f"| {' | '.join(['effort', 'steps', 'time', _name(whole.pictures), _name(group.pictures), *named])} |",
        "| --- |" + " --- |" * (4 + len(named)),
    ]
    for effort in presets.EFFORTS:
        codec = f"{EFFORT}{effort}"
        own = standings.get(codec)
        cells = [
            str(effort),
            f"{presets.iterations_of(effort):,}",
            _time(group.rows, effort),
            _rate(everywhere.get(codec)),
            _rate(own),
        ]
        lines.append(
            f"| {' | '.join(cells + [_percent(own and own.per_picture[picture].rate) for picture in named])} |"
        )
    return lines


def points():
    """Mean rate and PSNR at each lambda, effort by effort, beside JPEG at the quality nearest to that which stands for
    the lambda.
    """
    rows = _group_of_efforts().rows
    efforts = [effort for effort in presets.EFFORTS if any(row.codec == f"{EFFORT}{effort}" for row in rows)]
    lines = [
        f"| `--lambda` | about `-q` | {' | '.join(f'effort {effort}' for effort in efforts)} | JPEG |",
        "| --- | --- |" + " --- |" * (len(efforts) + 1),
    ]
    for lambda_ in sorted({row.setting for row in rows if row.codec.startswith(EFFORT)}, reverse=True):
        quality = min(range(1, 101), key=lambda q: abs(log(presets.lambda_of_quality(q) / lambda_)))
        nearest = min({row.setting for row in rows if row.codec == ANCHOR}, key=lambda q: abs(q - quality))
        cells = [_point(rows, f"{EFFORT}{effort}", lambda_) for effort in efforts] + [
            f"quality {nearest:.0f}: {_point(rows, ANCHOR, nearest)}"
        ]
        lines.append(f"| {lambda_:g} | {quality} | {' | '.join(cells)} |")
    return lines


def _point(rows, codec, setting):
    own = [row for row in rows if (row.codec, row.setting) == (codec, setting)]
    return f"{fmean(row.bpp for row in own):.3f} bpp, {fmean(row.psnr for row in own):.2f} dB" if own else ""


def measures():
    """BD-rates against JPEG by four measures of quality, over the pictures that most efforts have."""
    group = _group_of_efforts()
    titles = descriptions(group.rows)
    lines = ["| codec | PSNR | PSNR of luma | MS-SSIM | SSIMULACRA2 |", "| --- |" + " --- |" * 4]
    for standing in group.standings:
        if standing.measured and standing.codec != ANCHOR:
            rates = (standing.rate, standing.rate_psnr_y, standing.rate_ms_ssim, standing.rate_ssimulacra2)
            lines.append(f"| {titles[standing.codec].title} | {' | '.join(map(_percent, rates))} |")
    return lines


def low():
    """What stands in low-rate.tsv, codec by codec: its files, and those of ddcodec that are no larger, or its files on
    both sides of one of ddcodec.
    """
    with (RESULTS / "low-rate.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    lines = [
        "| codec | its files | ddcodec, effort 5 | gain: least, mean, most | pictures with a gain | encode |",
        "| --- |" + " --- |" * 5,
    ]
    for codec in dict.fromkeys(row["codec"] for row in rows):
        pictures = {}
        for row in rows:
            if row["codec"] == codec:
                pictures.setdefault(row["picture"], []).append(row)
        theirs, ours = (
            [_at_the_size(own) for own in pictures.values()],
            [(float(own[0]["ddc_bytes"]), float(own[0]["ddc_psnr"])) for own in pictures.values()],
        )
        gains = [our - their for (_, their), (_, our) in zip(theirs, ours)]
        seconds = [float(own[0]["ddc_s"]) for own in pictures.values() if own[0]["ddc_s"]]
        cells = [
            f"{peer_of(codec).title} (`{codec}`)",
            *(
                f"{fmean(size for size, _ in files):,.0f} bytes, {fmean(dB for _, dB in files):.2f} dB"
                for files in (theirs, ours)
            ),
            f"{min(gains):.2f}, {fmean(gains):.2f}, {max(gains):.2f} dB",
            f"{sum(gain > 0 for gain in gains)} of {len(gains)}",
            seconds_text(fmean(seconds)) if seconds else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _at_the_size(rows):
    """(bytes, dB) of the one file, or of two at the size of ddcodec's between them: on a straight line over the
    logarithm of bytes.
    """
    points = sorted((float(row["bytes"]), float(row["psnr"])) for row in rows)
    if len(points) == 1:
        return points[0]
    (less, low), (more, high), size = *points, float(rows[0]["ddc_bytes"])
    return size, low + (high - low) * log(size / less) / log(more / less)


def sections():
    """Where the bytes of a sample are."""
    info = read_info(SAMPLE.read_bytes())
    rows = [(section["name"], section["bytes"]) for section in info["sections"]] + [("file", info["bytes"])]
    return ["| section | bytes | share |", "| --- | --- | --- |"] + [
        f"| {name} | {count:,} | {100 * count / info['bytes']:.1f} % |" for name, count in rows
    ]


def _time(rows, effort):
    """What an encode takes: the median of an effort's rows, or nothing."""
    seconds = [row.encode_s for row in rows if row.codec == f"{EFFORT}{effort}"]
    return seconds_text(median(seconds)) if seconds else ""


@cache
def _groups():
    """Of Kodak's rows, with published curves; the first is of all pictures."""
    return groups(kodak(), ANCHOR, read_published(PUBLISHED))


def _group_of_efforts():
    """That of the pictures, as many as there are, on which most efforts were measured."""
    return max(
        _groups(),
        key=lambda group: (sum(standing.codec.startswith(EFFORT) for standing in group.standings), len(group.pictures)),
    )


@cache
def kodak():
    """The latest rows over Kodak, without those of the harness itself.

    Of ddcodec's efforts those of `SINCE` and later versions, where there are `LEAST_LAMBDAS`.
    """
    table = [row for row in read_table(results_of("kodak")) if row.codec != "none"]
    first = next(place for place, row in enumerate(table) if f"({SINCE})" in row.versions)
    rows = latest(row for place, row in enumerate(table) if place >= first or not row.codec.startswith(EFFORT))
    own = {row.codec for row in rows if row.codec.startswith(EFFORT)}
    short = {
        codec
        for codec in own
        if len(mean_curve(rows, codec, {row.picture for row in rows if row.codec == codec})) < LEAST_LAMBDAS
    }
    return [row for row in rows if row.codec not in short]


def _rate(standing):
    """The mean of the pictures' BD-rates; of a published mean, that of its curve."""
    return _percent(standing and standing.overall) + (
        f" (of {len(standing.counted)})" if standing and standing.overall is not None and not standing.placed else ""
    )


def _percent(rate):
    return "" if rate is None else f"{rate:+.1f} %"


def _name(pictures):
    return (
        f"{len(pictures)} pictures"
        if len(pictures) > MOST_NAMED
        else "kodim " + ", ".join(name.removeprefix("kodim") for name in pictures)
    )


def draw():
    """The plots of the README, from the same rows, and beside them what they were drawn from."""
    rows = kodak()
    save_plots(Study(rows, ANCHOR, read_published(PUBLISHED), descriptions(rows), [], [], "", ""), PLOTS)
    DRAWN_FROM.write_text(source_digest() + "\n")


def source_digest():
    """SHA-256 of the files that the plots show."""
    return sha256(results_of("kodak").read_bytes() + PUBLISHED.read_bytes()).hexdigest()


TABLES = (results, efforts, engines, restoration, grey, costs, points, measures, low, sections)
"""Each stands where a document names it."""


def with_tables(text):
    """A document with its tables as the files say."""
    for table in TABLES:
        name = table.__name__
        text = re.sub(
            f"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            lambda m: m[1] + "\n".join(table()) + "\n" + m[2],
            text,
            flags=re.S,
        )
    return text


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(with_tables(document.read_text("utf-8")), "utf-8")
    draw()

"""Writes the tables of README.md and the manual that come from files, and draws the plots.

    python bench/readme_tables.py          writes them; a test holds that nothing has changed since

Efforts come from presets.toml, results and engines from bench/results, sections from a sample.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from math import log
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

from record import RESULTS, results_of

from ddcodec import presets
from ddcodec.benchmark.charts import (
    Chart,
    Spot,
    labels_of,
    limits_between,
    looks_of,
    mean_curves,
    mean_of,
    rate_chart,
    saved,
    seconds_text,
    time_chart,
)
from ddcodec.benchmark.peers import peer_of
from ddcodec.benchmark.published import read_published
from ddcodec.benchmark.report import Study
from ddcodec.benchmark.restoration import read_rows
from ddcodec.benchmark.study import descriptions
from ddcodec.benchmark.summary import Group, groups, left_out, mean_curve
from ddcodec.benchmark.table import latest, read_table
from ddcodec.format.files import read_info
from ddcodec.restoration.settings import CODEC

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    ROOT / "README.md",
    *(ROOT / "docs" / f"{page}.md" for page in ("results", "quality-and-effort", "how-it-works", "restoration")),
    ROOT / "bench" / "notebook" / "restoration.md",
)
SAMPLE = ROOT / "samples" / "chelsea.ddc"
PUBLISHED = ROOT / "bench" / "published-kodak.csv"
INPAINTED = ROOT / "bench" / "published-inpainting.csv"
ANCHOR = "jpeg"
EFFORT = "ddc:e"
SINCE = "5f2b1c2"
"""The earliest version of ddcodec, by its digest, whose photographs have the rates of the present one's, but for
what another seed would change.
"""
LEAST_LAMBDAS = 3
"""That an effort must have been measured at, on all of its pictures: of fewer its figures would be those of another
range of rates than the others'.
"""
MOST_NAMED = 6
PLOTS = ROOT / "bench" / "plots"
MACHINES = {
    "AMD EPYC, 2 cores": "AMD EPYC",
    "AMD EPYC (family 25, model 17), 2 cores": "AMD EPYC, Zen 4",
    "Intel(R) Xeon(R) Processor, 2 cores": "Intel Xeon",
}
"""A row's machine -> its name in a table. All have two cores. Early rows do not tell an EPYC's family."""
SHORT = ("ddc:e5", "vvc", "ddc:e3", "avif:psnr:s0", "avif:s0", "avif", "webp", "jxl")
"""The rows of the README's table."""
OWN, OTHER = "ddc:e5", "avif"
"""The two codecs of the README's three figures: each as it is by default."""
CURVES = ("Cool-Chic 5.0.1", "ddc:e5", "vvc", "ddc:e3", "avif:psnr", "avif", "webp", "jpeg")
CURVES_OF_EFFORTS = ("ddc:e9", "ddc:e5", "vvc", "ddc:e3", "avif:psnr", "avif", "ddc:e1", "jpeg")
SPOTS = ("ddc:e5", "ddc:e3", "ddc:e1", "vvc", "avif:psnr:s0", "avif", "webp", "jxl")
"""What the plots show: of eight lines a reader can still tell which is which."""
RATES = (0.2, 0.8)
RATE_MARKS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
"""Bits per pixel from edge to edge of a plot. All curves of ddcodec reach the right edge, where their names stand."""
EYE = "ssimulacra2"
COMPARISON = RESULTS / "comparison.tsv"
RESTORATION = RESULTS / "restoration.tsv"


class RestorationSet(NamedTuple):
    """Rows of restorations whose mean is shown. wanted(row): which they are, of whatever prior. effort: of the codec
    as prior. measure: "after" or "missing". others: what others have published for the same pictures, or None where
    OpenCV's rows say what to compare with.
    """

    title: str
    wanted: Callable
    effort: int
    measure: str
    others: str | None


def _has_mask(name):
    return lambda row: row.task == "inpaint" and f" mask={name}" in row.setting


def _is_from_files(row):
    return row.task == "denoise" and row.noise == "files" and not row.picture.endswith("_mean")


RESTORATION_SETS = (
    RestorationSet(
        "noise of sigma 25: {} colour pictures of the DIP authors' page",
        _is_from_files,
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
    """Writes the steps of each effort, and machine by machine the median time of an encode."""
    lines = [
        "| effort | " + " | ".join(map(str, presets.EFFORTS)) + " |",
        "| --- |" + " --- |" * len(presets.EFFORTS),
        "| steps | " + " | ".join(f"{presets.iterations_of(effort):,}" for effort in presets.EFFORTS) + " |",
    ]
    for machine, name in reversed(MACHINES.items()):
        rows = [row for row in kodak() if row.machine == machine]
        lines.append(f"| {name} | {' | '.join(_time(rows, effort) for effort in presets.EFFORTS)} |")
    return lines


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
    """Writes BD-rates against JPEG over each set of pictures, and the times of one machine."""
    found = _groups()
    columns = [{standing.codec: standing for standing in group.standings} for group in found]
    lines = [
        f"| codec | {' | '.join(_name(group.pictures) for group in found)} | encode | decode | machine |",
        "| --- |" + " --- |" * (len(found) + 3),
    ]
    # Codecs in the order of each group, those of the largest first.
    for codec in dict.fromkeys(codec for column in columns for codec in column):
        own = [column.get(codec) for column in columns]
        group, first = next((group, standing) for group, standing in zip(found, own) if standing)
        title = _title(codec) if first.measured else f"*{codec}, published*"
        times = _times(group.rows, codec) if first.measured else ("", "", "")
        lines.append(f"| {title} | {' | '.join(map(_rate, own))} | {' | '.join(times)} |")
    lacking = [sentence for group in found for sentence in left_out(group)]
    return [*lines, "", *lacking] if lacking else lines


def short():
    """Writes the README's rows: BD-rates against JPEG by two measures over all pictures, and the times of one
    machine.
    """
    group = _groups()[0]
    standings = {standing.codec: standing for standing in group.standings}
    lines = ["| codec | PSNR | SSIMULACRA2 | encode | decode | machine |", "| --- |" + " --- |" * 5]
    for codec in SHORT:
        own = standings[codec]
        lines.append(
            f"| {_title(codec)} | {_percent(own.rate)} | {_percent(own.rate_ssimulacra2)} | "
            f"{' | '.join(_times(group.rows, codec))} |"
        )
    return lines


def figures():
    """Writes the README's three figures: rate at equal quality by two measures, and the time of an encode."""
    group = _groups()[0]
    standings = {standing.codec: standing for standing in group.standings}
    own, other = standings[OWN], standings[OTHER]
    times = [f"{encode} ({machine})" for encode, _, machine in (_times(group.rows, codec) for codec in (OWN, OTHER))]
    return [
        f"| {len(group.pictures)} photographs of Kodak | {peer_of(OWN).title} | {peer_of(OTHER).title} |",
        "| --- | --- | --- |",
        f"| size against JPEG at equal PSNR | {_percent(own.rate)} | {_percent(other.rate)} |",
        f"| size against JPEG at equal SSIMULACRA2 | {_percent(own.rate_ssimulacra2)} | "
        f"{_percent(other.rate_ssimulacra2)} |",
        f"| time of an encode | {times[0]} | {times[1]} |",
    ]


def comparison():
    """Writes what docs/make_comparison.py measured: whole pictures at equal bytes."""
    with COMPARISON.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    codecs = list(dict.fromkeys(row["codec"] for row in rows))
    lines = [f"| whole picture | {' | '.join(codecs)} |", "| --- |" + " --- |" * len(codecs)]
    for picture in dict.fromkeys(row["picture"] for row in rows):
        own = {row["codec"]: row for row in rows if row["picture"] == picture}
        cells = [
            f"{int(own[codec]['bytes']):,} bytes, {float(own[codec]['psnr']):.1f} dB, "
            f"{float(own[codec]['ssimulacra2']):.0f}"
            for codec in codecs
        ]
        lines.append(f"| {picture} | {' | '.join(cells)} |")
    return lines


def _title(codec):
    return f"{peer_of(codec).title} (`{codec}`)"


def _times(rows, codec):
    """(encode, decode, machine): means over the rows of the one machine that measured most of them."""
    own = [row for row in rows if row.codec == codec]
    (machine, _), *_ = Counter(row.machine for row in own).most_common()
    own = [row for row in own if row.machine == machine]
    return (
        seconds_text(fmean(row.encode_s for row in own)),
        seconds_text(fmean(row.decode_s for row in own)),
        MACHINES[machine],
    )


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
    """Writes what each effort gives: BD-rates against JPEG over all pictures, over those that most efforts have and,
    where they are few, over each.
    """
    whole, group = _groups()[0], _group_of_efforts()
    everywhere, standings = ({standing.codec: standing for standing in found.standings} for found in (whole, group))
    named = group.pictures if len(group.pictures) <= MOST_NAMED else ()
    lines = [
        f"| {' | '.join(['effort', _name(whole.pictures), f'{len(group.pictures)} pictures', *named])} |",
        "| --- |" + " --- |" * (2 + len(named)),
    ]
    for effort in presets.EFFORTS:
        codec = f"{EFFORT}{effort}"
        own = standings.get(codec)
        if own:
            cells = [str(effort), _rate(everywhere.get(codec)), _rate(own)]
            lines.append(f"| {' | '.join(cells + [_percent(own.per_picture[picture].rate) for picture in named])} |")
    return lines


def points():
    """Mean rate and PSNR at each lambda, effort by effort, beside JPEG at the quality nearest to that which stands
    for the lambda.
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
    """Writes BD-rates against JPEG by four measures of quality, over all pictures."""
    return _by_measures(_groups()[0])


def measures_of_efforts():
    """Writes the same over the pictures that most efforts have."""
    return _by_measures(_group_of_efforts())


def _by_measures(group):
    titles = descriptions(group.rows)
    lines = ["| codec | PSNR | PSNR of luma | MS-SSIM | SSIMULACRA2 |", "| --- |" + " --- |" * 4]
    for standing in group.standings:
        if standing.measured and standing.codec != ANCHOR:
            rates = (standing.rate, standing.rate_psnr_y, standing.rate_ms_ssim, standing.rate_ssimulacra2)
            lines.append(f"| {titles[standing.codec].title} | {' | '.join(map(_percent, rates))} |")
    return lines


def low():
    """What stands in low-rate.tsv, codec by codec: its files, and those of ddcodec that are no larger, or its files
    on both sides of one of ddcodec.
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
            *map(_mean_file, (theirs, ours)),
            f"{min(gains):.2f}, {fmean(gains):.2f}, {max(gains):.2f} dB",
            f"{sum(gain > 0 for gain in gains)} of {len(gains)}",
            seconds_text(fmean(seconds)) if seconds else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _mean_file(files):
    """files: (bytes, dB) of each."""
    return f"{fmean(size for size, _ in files):,.0f} bytes, {fmean(dB for _, dB in files):.2f} dB"


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
    """Draws the plots of docs/results.md from the same rows, and writes beside them what they were drawn from."""
    whole, of_efforts = _groups()[0], _group_of_efforts()
    _save("mean", _rates(whole, CURVES, "psnr"))
    _save("mean-eye", _rates(whole, CURVES[1:], EYE, lowest=0))
    _save("mean-efforts", _rates(of_efforts, CURVES_OF_EFFORTS, "psnr"))
    study = _study(whole, SPOTS)
    standings, labels, looks = (
        {standing.codec: standing for standing in whole.standings},
        labels_of(study),
        looks_of(study),
    )
    _save(
        "time",
        time_chart(
            [Spot(labels[codec], looks[codec], _seconds(whole.rows, codec), standings[codec].rate) for codec in SPOTS],
            labels[ANCHOR],
        ),
    )
    DRAWN_FROM.write_text(source_digest() + "\n")


def _study(group, codecs):
    rows = [row for row in group.rows if row.codec in codecs or row.codec == ANCHOR]
    return Study(
        rows,
        ANCHOR,
        [curve for curve in read_published(PUBLISHED) if curve.codec in codecs],
        descriptions(rows),
        [],
        [],
        "",
        "",
    )


def _seconds(rows, codec):
    own = [row for row in rows if row.codec == codec]
    machine = Counter(row.machine for row in own).most_common(1)[0][0]
    return fmean(row.encode_s for row in own if row.machine == machine)


def _rates(group: Group, codecs: Sequence[str], quality: str, lowest: float | None = None) -> Chart:
    """Draw the mean curves of some codecs over `RATES`.

    lowest: quality at the lower edge, if not that of the lowest curve.
    """
    study = _study(group, codecs)
    curves = mean_curves(study, study.groups[0], quality)
    limits = limits_between(curves, RATES, lowest)
    chart = rate_chart(curves, quality, (8.4, 5.2), limits, title=mean_of(group.pictures))
    chart.figure.axes[0].set_xticks(RATE_MARKS)
    return chart


def _save(name: str, chart: Chart) -> None:
    for kind in ("svg", "png"):
        (PLOTS / f"{name}.{kind}").write_bytes(saved(chart.figure, kind))


def source_digest():
    """SHA-256 of the files that the plots show."""
    return sha256(results_of("kodak").read_bytes() + PUBLISHED.read_bytes()).hexdigest()


TABLES = (
    figures,
    comparison,
    short,
    results,
    efforts,
    engines,
    restoration,
    grey,
    costs,
    points,
    measures,
    measures_of_efforts,
    low,
    sections,
)
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

"""Write the tables of README.md and the manual that come from files, and draw the plots.

    python bench/readme_tables.py

A test holds the tables to the files, and the plots to the digest of theirs.

Efforts come from presets.toml, results and engines from bench/results, sections from a sample.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from math import inf, log
from pathlib import Path
from statistics import fmean, median, stdev
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
from ddcodec.benchmark.curves import bjontegaard
from ddcodec.benchmark.peers import peer_of
from ddcodec.benchmark.published import read_published
from ddcodec.benchmark.report import Study
from ddcodec.benchmark.restoration import Row as RestorationRow
from ddcodec.benchmark.restoration import read_rows
from ddcodec.benchmark.study import descriptions
from ddcodec.benchmark.summary import Group, Standing, groups, left_out, mean_curve, points
from ddcodec.benchmark.table import Row, latest, read_table
from ddcodec.fit.engine import CpuKind, GraphKind, ReferenceKind
from ddcodec.format.files import read_info
from ddcodec.restoration.settings import CODEC

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    ROOT / "README.md",
    *(ROOT / "docs" / f"{page}.md" for page in ("results", "quality-and-effort", "how-it-works", "restoration")),
    *(ROOT / "bench" / "notebook" / f"{page}.md" for page in ("eye", "restoration")),
)
"""Files with tables."""
SAMPLE = ROOT / "samples" / "chelsea.ddc"
"""The file whose sections are shown."""
PUBLISHED = ROOT / "bench" / "published-kodak.csv"
INPAINTED = ROOT / "bench" / "published-inpainting.csv"
ANCHOR = "jpeg"
"""The codec whose BD-rate is 0."""
OURS = "ddc:e"
"""Beginning of the names of ddcodec's efforts."""
EFFORTS = {"eye": "ddc:e{}", "psnr": "ddc:e{}:psnr"}
"""Tune -> the name of an effort."""
SINCE = "5f2b1c2"
"""The earliest version of ddcodec, by its digest, that gives photographs the rates of the present one.

Differences that another seed would make do not count.
"""
LEAST_LAMBDAS = 3
"""Least number of lambdas at which an effort must have been measured, on all of its pictures.

Figures of fewer would be of another range of rates than the others'.
"""
MOST_NAMED = 6
"""Pictures that a table's head names; of more it says only how many they are."""
PLOTS = ROOT / "bench" / "plots"
MACHINES = {
    "AMD EPYC, 2 cores": "AMD EPYC",
    "AMD EPYC (family 25, model 17), 2 cores": "AMD EPYC, Zen 4",
    "AMD EPYC (family 26, model 2), 2 cores": "AMD EPYC, Zen 5",
    "Intel(R) Xeon(R) Processor, 2 cores": "Intel Xeon",
}
"""A row's machine -> its name in a table. All have two cores. Early rows do not tell an EPYC's family."""
SHORT = ("ddc:e5", "ddc:e3", "ddc:e1", "ddc:e5:psnr", "avif:s0", "avif", "webp", "jxl")
"""Codecs of the README's table."""
OWN = "ddc:e5"
"""The first codec of the README's figures."""
OTHER = "avif"
"""The second one: AVIF as it is by default. The figures of `against` are against it, too."""
CURVES = ("Cool-Chic 5.0.1", "ddc:e5:psnr", "vvc", "ddc:e3:psnr", "avif:psnr", "avif", "webp", "jpeg")
"""Curves of PSNR over all pictures; a plot has at most `charts.MOST_CURVES`."""
CURVES_TO_THE_EYE = ("ddc:e5", "ddc:e3", "ddc:e5:psnr", "avif", "avif:psnr", "jxl", "webp", "jpeg")
"""Curves of `EYE` over all pictures."""
CURVES_OF_EFFORTS = ("ddc:e9:psnr", "ddc:e5:psnr", "vvc", "ddc:e3:psnr", "avif:psnr", "avif", "ddc:e1:psnr", "jpeg")
"""Curves of the plot of efforts."""
SPOTS = ("ddc:e5", "ddc:e3", "ddc:e1", "avif:s0", "avif", "vvc", "webp", "jxl")
"""Points of the plot of times, by rate at equal `EYE`."""
RATES = (0.2, 0.8)
"""Bits per pixel at the edges of a plot. All curves of ddcodec reach the right one, where their names stand."""
RATE_MARKS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
"""Bits per pixel with a mark."""
EYE = "ssimulacra2"
"""The measure that is nearest to the eye."""
MEASURES = {
    "ssimulacra2": "SSIMULACRA2",
    "ms_ssim": "MS-SSIM",
    "psnr_hvs_m": "PSNR-HVS-M",
    "butteraugli": "Butteraugli",
    "psnr": "PSNR",
}
"""Quality of `summary.QUALITIES` -> column of a table."""
COMPARISON = RESULTS / "comparison.tsv"
RESTORATION = RESULTS / "restoration.tsv"
QUALITY, WHOLE_RANGE = RESULTS / "quality.tsv", RESULTS / "whole-range.tsv"
BANDS = ((0.05, 0.25), (0.25, 1), (1, 4))
"""Least and most bits per pixel of the files of ddcodec that a line of `whole_range` compares."""
COMPARED = {"eye": (EYE, ("avif", "jxl", "webp")), "psnr": ("psnr", ("avif:psnr", "jxl", "webp"))}
"""Tune -> the quality by which `whole_range` compares it, and with what."""


class RestorationSet(NamedTuple):
    """Rows of restorations whose mean is shown.

    wanted(row): whether a row, of any prior, is one of them. effort: of the codec as prior. measure: "after" or
    "missing", the field of `benchmark.restoration.Row` that is shown. published: figures of others for the same
    pictures.
    """

    title: str
    wanted: Callable[[RestorationRow], bool]
    effort: int
    measure: str
    published: str = ""


def _has_mask(name: str) -> Callable[[RestorationRow], bool]:
    return lambda row: row.task == "inpaint" and f" mask={name}" in row.setting


def _is_enlarged(scale: int) -> Callable[[RestorationRow], bool]:
    return lambda row: row.task == "superres" and f" scale={scale}" in row.setting


def _was_jpeg(quality: int) -> Callable[[RestorationRow], bool]:
    return lambda row: row.task == "dejpeg" and row.noise == f"jpeg {quality}"


def _is_from_files(ending: str) -> Callable[[RestorationRow], bool]:
    """Of the noisy files of others or of `camera_noise.py`, by how the names of the truths end; "" for no `_`."""
    return lambda row: (
        row.task == "denoise" and row.noise == "files" and row.picture.rpartition("_")[2] == (ending or row.picture)
    )


RESTORATION_SETS = (
    RestorationSet(
        "noise of sigma 25: {} colour pictures of the DIP authors' page",
        _is_from_files(""),
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
        _is_from_files("mean"),
        3,
        "after",
        "of all 100 pairs: input 35.97, CBM3D 36.98, DIP 36.95 dB",
    ),
    RestorationSet(
        "noise as cameras make it, and their JPEG: {} photographs, `-e 3`", _is_from_files("truth"), 3, "after"
    ),
    RestorationSet(
        "half of all pixels missing: {} grey pictures of the DIP authors' page",
        _has_mask("mask50"),
        5,
        "after",
        "DIP 33.48, or 33.71 with known pixels put back; Self2Self 35.14 dB",
    ),
    RestorationSet("text over {} photographs of Kodak, missing pixels", _has_mask("text"), 5, "missing"),
    RestorationSet("scratches over {} photographs of Kodak, missing pixels", _has_mask("scratches"), 5, "missing"),
    *(
        RestorationSet(f"JPEG of quality {quality}: {{}} photographs of Kodak, `-e 3`", _was_jpeg(quality), 3, "after")
        for quality in (10, 20, 30, 40)
    ),
    *(
        RestorationSet(
            f"{scale} times as large, the input by Lanczos: {{}} photographs of Kodak, `-e 3`",
            _is_enlarged(scale),
            3,
            "after",
        )
        for scale in (2, 4)
    ),
)
OTHER_RESTORERS = {
    "opencv-telea": "OpenCV's Telea",
    "opencv-ns": "OpenCV's Navier-Stokes",
    "opencv-nlm": "OpenCV's non-local means",
    "bicubic": "bicubic",
}
"""Prior of a row of `other_restorers.py` -> its name in the table."""
PLAIN_CROPS = 10
"""Crops of `contours.py` that show plain places; the rest of its crops are for the eye."""
CONTOURED = {
    "original": "original",
    "ddc": "effort {}",
    "ddc:psnr": "effort {}, `--tune psnr`",
    "avif": "AVIF",
    "jpeg": "JPEG",
}
"""Codec of `contours.py` -> its name in the table."""
DRAWN_FROM = PLOTS / "drawn-from.sha256"
"""The file with the digest of the files that the plots show."""


def efforts() -> list[str]:
    """Write the steps of each effort, and the median time of an encode, with either tune, on each machine."""
    lines = [
        "| effort | " + " | ".join(map(str, presets.EFFORTS)) + " |",
        "| --- |" + " --- |" * len(presets.EFFORTS),
        "| steps | " + " | ".join(f"{presets.iterations_of(effort):,}" for effort in presets.EFFORTS) + " |",
    ]
    for machine, name in reversed(MACHINES.items()):
        rows = [row for row in kodak() if row.machine == machine]
        lines.append(f"| {name} | {' | '.join(_time(rows, effort) for effort in presets.EFFORTS)} |")
    return lines


def engines() -> list[str]:
    """Write the milliseconds of a step of the fit, and how many times the bare product of matrices that is.

    The rows are the latest of bench/engines.py, those of the engines that there are and the network of the newest row.
    """
    names = {kind.name for kind in (CpuKind, ReferenceKind, GraphKind)}
    with (RESULTS / "engines.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    rows = [row for row in rows if row["macs_per_pixel"] == rows[-1]["macs_per_pixel"] and row["engine"] in names]
    latest = {
        (row["engine"], row["fits"], row["threads"], row["tune"], int(row["width"]), int(row["height"])): row
        for row in rows
    }
    kinds = sorted({key[:4] for key in latest}, key=lambda kind: (kind[0], int(kind[1]), int(kind[2]), kind[3]))
    sizes = sorted({key[4:] for key in latest}, key=lambda size: size[0] * size[1])
    heads = " | ".join(f"{width}x{height}" for width, height in sizes)
    lines = [f"| engine | {heads} |", "| --- |" + " --- |" * len(sizes)]
    for kind in kinds:
        found = [latest.get((*kind, *size)) for size in sizes]
        lines.append(f"| {_kind(*kind)} | {' | '.join(_step(row) if row else '' for row in found)} |")
    return lines


def _kind(engine: str, fits: str, threads: str, tune: str) -> str:
    where = f"{threads} thread{'s' * (threads != '1')}" if engine != GraphKind.name else f"{fits} at once"
    return f"{engine}, {where}, tune={tune}"


def _step(row: Mapping[str, str]) -> str:
    return f"{float(row['ms_per_step']):.1f} ms ({float(row['times_the_product']):.1f})"


def decoders() -> list[str]:
    """Write what decodes of each file take, and how many times Pillow's AVIF that is."""
    rows = _decoders()
    files = dict.fromkeys((row["file"], row["width"], row["height"]) for row in rows)
    found = {(row["decoder"], row["threads"], row["file"]): row for row in rows}
    heads = " | ".join(f"{width}x{height} | wall | of AVIF" for _, width, height in files)
    lines = [f"| decoder | threads | {heads} |", "| --- | --- |" + " --- |" * (3 * len(files))]
    for decoder, threads in dict.fromkeys(key[:2] for key in found):
        cells = []
        for file, _, _ in files:
            row, avif = found.get((decoder, threads, file)), found["AVIF, Pillow", "1", file]
            cells += _decode(row, avif) if row else ["", "", ""]
        lines.append(f"| {decoder} | {threads} | {' | '.join(cells)} |")
    return lines


def _decoders() -> list[dict[str, str]]:
    """The rows of bench/decoders.py of the newest date."""
    with (RESULTS / "decoders.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [row for row in rows if row["date"] == rows[-1]["date"]]


def _decode(row: Mapping[str, str], avif: Mapping[str, str]) -> list[str]:
    """CPU time, wall time, and the former in multiples of an AVIF's; a browser's CPU time is not known."""
    cpu, wall = (row[name] and float(row[name]) / 1000 for name in ("cpu_ms", "wall_ms"))
    ratio = f"{1000 * cpu / float(avif['cpu_ms']):.1f}" if cpu else ""
    return [seconds_text(cpu) if cpu else "", seconds_text(wall), ratio]


def results() -> list[str]:
    """Write BD-rates against JPEG over each set of pictures, and the times of one machine."""
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


def short() -> list[str]:
    """Write the README's rows: BD-rates against JPEG by two measures over all pictures, and times of one machine."""
    group = _groups()[0]
    lines = ["| codec | SSIMULACRA2 | PSNR | encode | decode | machine |", "| --- |" + " --- |" * 5]
    for own in _by_eye(group):
        if own.codec in SHORT:
            lines.append(
                f"| {_title(own.codec)} | {_percent(_rate_by(own, EYE))} | {_percent(own.rate)} | "
                f"{' | '.join(_times(group.rows, own.codec))} |"
            )
    return lines


def figures() -> list[str]:
    """Write the README's figures: rate at equal quality by three measures, and the time of an encode."""
    group = _groups()[0]
    standings = {standing.codec: standing for standing in group.standings}
    both = standings[OWN], standings[OTHER]
    times = [f"{encode} ({machine})" for encode, _, machine in (_times(group.rows, own.codec) for own in both)]
    return [
        f"| {len(group.pictures)} photographs of Kodak | {' | '.join(peer_of(own.codec).title for own in both)} |",
        "| --- | --- | --- |",
        *(
            f"| size against JPEG at equal {MEASURES[measure]} | "
            f"{' | '.join(_percent(_rate_by(own, measure)) for own in both)} |"
            for measure in ("ssimulacra2", "ms_ssim", "psnr")
        ),
        f"| time of an encode | {' | '.join(times)} |",
    ]


def _rate_by(standing: Standing, measure: str) -> float | None:
    """Find the mean BD-rate by a measure of `MEASURES`."""
    found: float | None = standing.rate if measure == "psnr" else getattr(standing, f"rate_{measure}")
    return found


def _by_eye(group: Group) -> list[Standing]:
    """Sort the measured codecs by rate at equal `EYE`, those without a figure last."""
    return sorted(
        (own for own in group.standings if own.measured),
        key=lambda own: inf if (rate := _rate_by(own, EYE)) is None else rate,
    )


def comparison() -> list[str]:
    """Write the rows of the README's figure by docs/make_comparison.py: whole pictures at equal bytes."""
    return _compared("comparison")


def eye() -> list[str]:
    """Write the same of the manual's figure."""
    return _compared("eye")


def _compared(figure: str) -> list[str]:
    with COMPARISON.open(newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["figure"] == figure]
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


def _title(codec: str) -> str:
    return f"{peer_of(codec).title} (`{codec}`)"


def _times(rows: Iterable[Row], codec: str) -> tuple[str, str, str]:
    """Write (encode, decode, machine): median times over the rows of one machine.

    A decode by ddcodec takes what bench/decoders.py found for a photograph of that size: older rows have NumPy's times.
    """
    own = _of_one_machine(rows, codec)
    decode = median(row.decode_s for row in own)
    if codec.startswith("ddc"):
        photograph = [row for row in _decoders() if row["width"] == "768" and row["threads"] == "1"]
        decode = min(float(row["wall_ms"]) for row in photograph if row["decoder"].startswith("native")) / 1000
    return seconds_text(median(row.encode_s for row in own)), seconds_text(decode), MACHINES[own[0].machine]


def _of_one_machine(rows: Iterable[Row], codec: str) -> list[Row]:
    """Keep a codec's rows of the machine that measured most of them."""
    own = [row for row in rows if row.codec == codec]
    machine = Counter(row.machine for row in own).most_common(1)[0][0]
    return [row for row in own if row.machine == machine]


def restoration() -> list[str]:
    """Write PSNR and, where measured, SSIMULACRA2 of each set of restorations, beside those of others."""
    rows = list({row.key: row for row in read_rows(RESTORATION)}.values())
    lines = ["| pictures | input | restored | others | time |", "| --- | --- | --- | --- | --- |"]
    for title, wanted, effort, measure, published in RESTORATION_SETS:
        found = [row for row in rows if wanted(row)]
        own = [row for row in found if row.prior == CODEC and row.setting.startswith(f"effort={effort} ")]
        if own:
            pictures = {row.picture for row in own}
            others = [published] if published else []
            for prior, name in OTHER_RESTORERS.items():
                theirs = [row for row in found if row.prior == prior and row.picture in pictures]
                if theirs:
                    others.append(f"{name} {_restored(theirs, measure)}")
            given = _restored(own, "before") if measure == "after" else ""
            lines.append(
                f"| {title.format(len(own))} | {given} | {_restored(own, measure)} | {'; '.join(others)} | "
                f"{seconds_text(fmean(row.seconds for row in own))} |"
            )
    return lines


def _restored(rows: Sequence[RestorationRow], measure: str) -> str:
    """Write the mean PSNR of rows of restorations by a field, and their SSIMULACRA2 if all have one."""
    text = f"{fmean(getattr(row, measure) for row in rows):.2f} dB"
    scores = [getattr(row, f"ssimulacra2_{measure}", None) for row in rows]
    return text if None in scores else f"{text}, {fmean(scores):.1f}"


def grey() -> list[str]:
    """Write PSNR over the whole picture, in dB, of the grey pictures with half of their pixels missing.

    The columns are our rows and figures that others have published.
    """
    columns: dict[str, dict[str, float]] = {}
    for row in filter(_has_mask("mask50"), read_rows(RESTORATION)):
        columns.setdefault(f"{row.prior}, {row.setting.split()[0].replace('=', ' ')}", {})[row.picture] = row.after
    with INPAINTED.open(newline="") as file:
        for published in csv.DictReader(file):
            columns.setdefault(f"*{published['method']}*", {})[published["picture"]] = float(published["psnr_db"])
    pictures = list(columns[next(reversed(columns))])
    lines = [f"| {' | '.join(['picture', *columns])} |", "| --- |" + " --- |" * len(columns)]
    lines += [
        f"| {picture} | {' | '.join(f'{own[picture]:.2f}' if picture in own else '' for own in columns.values())} |"
        for picture in pictures
    ]
    means = [f"{fmean(own.values()):.2f}" if own.keys() == set(pictures) else "" for own in columns.values()]
    return [*lines, f"| mean | {' | '.join(means)} |"]


def costs() -> list[str]:
    """Write each effort's BD-rates against JPEG by the measure of each tune, over all pictures and those of efforts."""
    whole, group = _groups()[0], _group_of_efforts()
    measures = {tune: measure for tune, (measure, _) in COMPARED.items()}
    heads = [
        f"`--tune {tune}`, by {MEASURES[measure]}: {_name(own.pictures)}"
        for tune, measure in measures.items()
        for own in (whole, group)
    ]
    lines = [f"| {' | '.join(['effort', *heads])} |", "| --- |" + " --- |" * len(heads)]
    standings = [{own.codec: own for own in found.standings} for found in (whole, group)]
    for effort in presets.EFFORTS:
        cells = [
            _percent(_rate_by(found[codec], measure) if (codec := EFFORTS[tune].format(effort)) in found else None)
            for tune, measure in measures.items()
            for found in standings
        ]
        if any(cells):
            lines.append(f"| {' | '.join([str(effort), *cells])} |")
    return lines


def lambdas() -> list[str]:
    """Write mean rate and `EYE` over all pictures at each lambda, effort by effort, beside JPEG.

    JPEG has the quality nearest to the `-q` that stands for the lambda.
    """
    name = EFFORTS[presets.DEFAULT_TUNE]
    rows = _groups()[0].rows
    efforts = [effort for effort in presets.EFFORTS if any(row.codec == name.format(effort) for row in rows)]
    lines = [
        f"| `--lambda` | about `-q` | {' | '.join(f'effort {effort}' for effort in efforts)} | JPEG |",
        "| --- | --- |" + " --- |" * (len(efforts) + 1),
    ]
    for lambda_ in sorted({row.setting for row in rows if row.codec == name.format(efforts[0])}, reverse=True):
        quality = min(
            range(1, 101), key=lambda q: abs(log(presets.lambda_of_quality(q, tune=presets.DEFAULT_TUNE) / lambda_))
        )
        nearest = min({row.setting for row in rows if row.codec == ANCHOR}, key=lambda q: abs(q - quality))
        cells = [_point(rows, name.format(effort), lambda_) for effort in efforts] + [
            f"quality {nearest:.0f}: {_point(rows, ANCHOR, nearest)}"
        ]
        lines.append(f"| {lambda_:g} | {quality} | {' | '.join(cells)} |")
    return lines


def _point(rows: Iterable[Row], codec: str, setting: float) -> str:
    own = [row for row in rows if (row.codec, row.setting) == (codec, setting)]
    scores = [row.ssimulacra2 for row in own if row.ssimulacra2 is not None]
    return f"{fmean(row.bpp for row in own):.3f} bpp, {fmean(scores):.1f}" if scores else ""


def measures() -> list[str]:
    """Write BD-rates against JPEG by five measures of quality, over all pictures."""
    return _by_measures(_groups()[0])


def measures_of_efforts() -> list[str]:
    """Write the same over the pictures that most efforts have."""
    return _by_measures(_group_of_efforts())


def against() -> list[str]:
    """Write the same against `OTHER` in the place of JPEG, for the README's codecs and AVIF's third tune."""
    group = groups([row for row in kodak() if row.codec in {*SHORT, "avif:ssimulacra2"}], OTHER)[0]
    return _by_measures(group, anchor=OTHER)


def _by_measures(group: Group, anchor: str = ANCHOR) -> list[str]:
    titles = descriptions(group.rows)
    lines = [f"| codec | {' | '.join(MEASURES.values())} |", "| --- |" + " --- |" * len(MEASURES)]
    for own in _by_eye(group):
        if own.codec != anchor:
            cells = [_percent(_rate_by(own, measure)) for measure in MEASURES]
            lines.append(f"| {titles[own.codec].title} | {' | '.join(cells)} |")
    return lines


def qualities() -> list[str]:
    """Write what JPEG and both tunes at effort 3 have by `EYE` at equal `-q`: mean and standard deviation."""
    rows = latest(read_table(QUALITY))
    lines = ["| `-q` | JPEG | lambda | `--tune eye` | lambda | `--tune psnr` |", "| --- |" + " --- |" * 5]
    for quality in sorted({row.setting for row in rows if row.codec == ANCHOR}):
        cells = [_spread(rows, ANCHOR, quality)]
        for tune, name in EFFORTS.items():
            lambda_ = float(f"{presets.lambda_of_quality(quality, tune=tune):g}")
            cells += [f"{lambda_:.3g}", _spread(rows, name.format(3), lambda_)]
        lines.append(f"| {quality:g} | {' | '.join(cells)} |")
    return lines


def _spread(rows: Iterable[Row], codec: str, setting: float) -> str:
    own = [row.ssimulacra2 for row in rows if (row.codec, row.setting) == (codec, setting)]
    scores = [score for score in own if score is not None]
    return f"{fmean(scores):.1f} ± {stdev(scores):.1f}" if scores else ""


def whole_range() -> list[str]:
    """Write by how much files at effort 3 are smaller than others of equal quality, in three bands of rate."""
    rows = latest(read_table(WHOLE_RANGE))
    pictures = dict.fromkeys(row.picture for row in rows)
    heads = [
        f"`--tune {tune}` against {peer_of(other).title}, by {MEASURES[measure]}"
        for tune, (measure, others) in COMPARED.items()
        for other in others
    ]
    lines = [f"| {' | '.join(['bits per pixel', *heads])} |", "| --- |" + " --- |" * len(heads)]
    for least, most in BANDS:
        cells = []
        for tune, (measure, others) in COMPARED.items():
            for other in others:
                rates = []
                for picture in pictures:
                    theirs, own = (points(rows, name, picture, measure) for name in (other, EFFORTS[tune].format(3)))
                    rates.append(bjontegaard(theirs, [point for point in own if least <= point[0] <= most]).rate)
                known = [rate for rate in rates if rate is not None]
                of = f" (of {len(known)})" if len(known) < len(rates) else ""
                cells.append(f"{fmean(known):+.1f} %{of}" if known else "")
        lines.append(f"| {least:g} to {most:g} | {' | '.join(cells)} |")
    return lines


def contours() -> list[str]:
    """Write the contours in the ten crops of plain places: the mean over them of each measure, and AVIF's beside."""
    with (RESULTS / "contours.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    plain = list(dict.fromkeys(row["picture"] for row in rows))[:PLAIN_CROPS]
    effort = max(row["effort"] for row in rows)
    lines = ["| | CAMBI | false steps | bytes |", "| --- | --- | --- | --- |"]
    for codec, name in CONTOURED.items():
        own = [row for row in rows if row["codec"] == codec and row["effort"] == effort and row["picture"] in plain]
        cambi, false, size = (fmean(float(row[key]) for row in own) for key in ("cambi", "false_steps", "bytes"))
        lines.append(f"| {name.format(effort)} | {cambi:.2f} | {false:.2f} % | {f'{size:,.0f}' if size else ''} |")
    return lines


def low() -> list[str]:
    """Write the rows of low-rate.tsv, codec by codec, beside files of ddcodec.

    Either these are no larger than the codec's own, or the codec has files on both sides of each.
    """
    with (RESULTS / "low-rate.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    lines = [
        "| codec | its files | ddcodec, effort 5 | gain: least, mean, most | pictures with a gain | encode |",
        "| --- |" + " --- |" * 5,
    ]
    for codec in dict.fromkeys(row["codec"] for row in rows):
        pictures: dict[str, list[dict[str, str]]] = {}
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


def _mean_file(files: Sequence[tuple[float, float]]) -> str:
    """Write the mean of some files. files: (bytes, dB) of each."""
    return f"{fmean(size for size, _ in files):,.0f} bytes, {fmean(dB for _, dB in files):.2f} dB"


def _at_the_size(rows: Sequence[Mapping[str, str]]) -> tuple[float, float]:
    """Give (bytes, dB) of a codec: of its one file, or interpolated between two at the size of ddcodec's.

    The interpolation is straight over the logarithm of bytes.
    """
    points = sorted((float(row["bytes"]), float(row["psnr"])) for row in rows)
    if len(points) == 1:
        return points[0]
    (less, low), (more, high), size = *points, float(rows[0]["ddc_bytes"])
    return size, low + (high - low) * log(size / less) / log(more / less)


def sections() -> list[str]:
    """Write how many bytes each section of the sample has."""
    info = read_info(SAMPLE.read_bytes())
    rows = [(section["name"], section["bytes"]) for section in info["sections"]] + [("file", info["bytes"])]
    return ["| section | bytes | share |", "| --- | --- | --- |"] + [
        f"| {name} | {count:,} | {100 * count / info['bytes']:.1f} % |" for name, count in rows
    ]


def _time(rows: Iterable[Row], effort: int) -> str:
    """Write the median time of an effort's encodes, or nothing without rows."""
    names = {name.format(effort) for name in EFFORTS.values()}
    seconds = [row.encode_s for row in rows if row.codec in names]
    return seconds_text(median(seconds)) if seconds else ""


@cache
def _groups() -> list[Group]:
    """Group Kodak's rows, with published curves; the first group is of all pictures."""
    return groups(kodak(), ANCHOR, read_published(PUBLISHED))


def _group_of_efforts() -> Group:
    """Choose the group with the most efforts, and of these the one with the most pictures."""
    return max(
        _groups(),
        key=lambda group: (sum(standing.codec.startswith(OURS) for standing in group.standings), len(group.pictures)),
    )


@cache
def kodak() -> list[Row]:
    """Read the latest rows over Kodak, without those of the harness itself.

    Rows of ddcodec's efforts count from version `SINCE` on, and only where there are `LEAST_LAMBDAS`.
    """
    table = [row for row in read_table(results_of("kodak")) if row.codec != "none"]
    first = next(place for place, row in enumerate(table) if f"({SINCE})" in row.versions)
    rows = latest(row for place, row in enumerate(table) if place >= first or not row.codec.startswith(OURS))
    own = {row.codec for row in rows if row.codec.startswith(OURS)}
    short = {
        codec
        for codec in own
        if len(mean_curve(rows, codec, {row.picture for row in rows if row.codec == codec})) < LEAST_LAMBDAS
    }
    return [row for row in rows if row.codec not in short]


def _rate(standing: Standing | None) -> str:
    """Write the mean of the pictures' BD-rates, or the BD-rate of a published mean curve."""
    return _percent(standing.overall if standing else None) + (
        f" (of {len(standing.counted)})" if standing and standing.overall is not None and not standing.placed else ""
    )


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{rate:+.1f} %"


def _name(pictures: Sequence[str]) -> str:
    return (
        f"{len(pictures)} pictures"
        if len(pictures) > MOST_NAMED
        else "kodim " + ", ".join(name.removeprefix("kodim") for name in pictures)
    )


def draw() -> None:
    """Draw the plots of docs/results.md from the same rows, and write the digest of these beside them."""
    whole, of_efforts = _groups()[0], _group_of_efforts()
    _save("mean", _rates(whole, CURVES, "psnr"))
    _save("mean-eye", _rates(whole, CURVES_TO_THE_EYE, EYE))
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
            [
                Spot(labels[codec], looks[codec], median(row.encode_s for row in own), rate)
                for codec in SPOTS
                for own in [_of_one_machine(whole.rows, codec)]
                if (rate := _rate_by(standings[codec], EYE)) is not None
            ],
            labels[ANCHOR],
        ),
    )
    DRAWN_FROM.write_text(source_digest() + "\n")


def _study(group: Group, codecs: Sequence[str]) -> Study:
    """Make a study of some codecs of a group, and the anchor."""
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


def source_digest() -> str:
    """Compute the SHA-256 of the files that the plots show."""
    return sha256(results_of("kodak").read_bytes() + PUBLISHED.read_bytes()).hexdigest()


TABLES = (
    figures,
    comparison,
    eye,
    short,
    results,
    efforts,
    engines,
    decoders,
    restoration,
    grey,
    costs,
    lambdas,
    measures,
    against,
    measures_of_efforts,
    qualities,
    whole_range,
    contours,
    low,
    sections,
)
"""Functions that write a table; it stands where a document has the function's name as a mark."""


def with_tables(text: str) -> str:
    """Replace the tables of a document by those that the files give."""
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

"""The tables of README.md that come from files: efforts from presets.toml, results from bench/results.

    python bench/readme_tables.py          writes them between their markers; a test holds that nothing has changed since
"""

import re
import statistics
from math import exp
from pathlib import Path

from ddcodec import presets
from rate_distortion import ANCHOR, bd_rate, curve, curves_of, read_rows

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"


def efforts():
    """The steps of each effort."""
    lines = ["| effort | " + " | ".join(map(str, presets.EFFORTS)) + " |", "| --- |" + " --- |" * len(presets.EFFORTS)]
    return lines + ["| steps | " + " | ".join(f"{presets.iterations_of(effort):,}" for effort in presets.EFFORTS) + " |"]


def results():
    """BD-rate of each codec, then every point beside the rate of a JPEG of its PSNR."""
    rows = read_rows(sorted(RESULTS.glob("rate-distortion-*.tsv")))
    curves = curves_of(rows)
    codecs = sorted({row["codec"] for row in rows} - {ANCHOR}, reverse=True)
    lines = ["| codec | picture | BD-rate against JPEG | over | encode | decode |", "| --- | --- | --- | --- | --- | --- |"]
    for codec in codecs:
        rates = []
        for picture in sorted({row["picture"] for row in rows if row["codec"] == codec}):
            here = [row for row in rows if (row["codec"], row["picture"]) == (codec, picture)]
            if len(here) < 2:
                continue
            rate, low, high = bd_rate(curves[ANCHOR, picture], curves[codec, picture])
            rates.append(rate)
            text = "curves hardly overlap" if rate is None else f"{rate:+.1f} %"
            encode, decode = (statistics.mean(float(row[key]) for row in here) for key in ("encode_s", "decode_s"))
            lines.append(f"| {codec} | {picture} | {text} | {low:.1f} to {high:.1f} dB | {encode:.0f} s | {decode:.2f} s |")
        if rates and None not in rates:
            lines.append(f"| {codec} | **mean** | **{statistics.mean(rates):+.1f} %** | | | |")
    lines += ["", "| codec | picture | setting | bytes | bpp | PSNR | JPEG of this PSNR |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for codec in codecs:
        for row in sorted((r for r in rows if r["codec"] == codec), key=lambda r: (r["picture"], float(r["bpp"]))):
            lines.append(
                f"| {codec} | {row['picture']} | {row['setting']} | {int(row['bytes']):,} | {float(row['bpp']):.3f} | "
                f"{float(row['psnr']):.2f} dB | {_jpeg_rate(curves[ANCHOR, row['picture']], float(row['psnr']))} |"
            )
    return lines


def _jpeg_rate(points, psnr):
    if psnr < min(p for _, p in points):
        return f"below JPEG's range, which ends at {min(b for b, _ in points):.3f} bpp"
    return f"{exp(float(curve(points)(psnr))):.3f} bpp"


def with_tables(text):
    """The README with both tables as the files say."""
    for name, lines in (("results", results()), ("efforts", efforts())):
        text = re.sub(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda m: m[1] + "\n".join(lines) + "\n" + m[2], text, flags=re.S)
    return text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text("utf-8")), "utf-8")

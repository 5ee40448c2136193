"""Measures how well an encode foretells its own end.

    python bench/outlook.py PICTURES... --efforts 1,3,5 -o TABLE.tsv

Of each encode it notes what is said to be left, and what was left in truth, when 20, 40, 60, 80 and 90 % of its time
are over. A row has the foretold seconds divided by the true ones for each of these; "inf" where nothing is said yet.
"""

import argparse
from pathlib import Path
from time import monotonic

from PIL import Image
from rows import Rows

import ddcodec

SHARES = (0.2, 0.4, 0.6, 0.8, 0.9)
RATIOS = [f"foretold/true at {share:.0%}" for share in SHARES]
COLUMNS = ["date", "machine", "picture", "effort", "seconds", *RATIOS, "phases"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--efforts", default="1,3,5")
    parser.add_argument("-q", "--quality", type=float, default=75)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    rows = Rows(options.output, COLUMNS, ("picture", "effort"))
    for picture in options.pictures:
        for effort in map(int, options.efforts.split(",")):
            if (picture.stem, effort) not in rows:
                seconds, ratios, phases = watched(picture, effort, options.quality)
                rows.append([picture.stem, effort, f"{seconds:.2f}", *(f"{ratio:.2f}" for ratio in ratios), phases])


def watched(picture, effort, quality):
    """Encode a picture, and give the seconds, the ratio at each of `SHARES`, and the seconds of each phase in words."""
    told, image = [], Image.open(picture).convert("RGB")
    start = monotonic()
    ddcodec.encode(
        image,
        effort=effort,
        quality=quality,
        progress=lambda now: told.append((monotonic() - start, now.seconds_left, now.phase)),
    )
    whole = monotonic() - start
    ratios = []
    for share in SHARES:
        at, left, _ = [each for each in told if each[0] <= max(share * whole, told[0][0])][-1]
        # As the command shows it: what was said last runs down by itself.
        ratios.append((left - (share * whole - at)) / ((1 - share) * whole))
    begun = {}
    for at, _, phase in told:
        begun.setdefault(phase, at)
    ends = [*list(begun.values())[1:], whole]
    return whole, ratios, ", ".join(f"{name} {end - at:.2f}" for (name, at), end in zip(begun.items(), ends))


if __name__ == "__main__":
    main()

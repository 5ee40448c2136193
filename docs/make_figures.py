"""The figures of how-it-works.md that are made of a file, samples/chelsea.ddc, and of the format's numbers.

The diagrams beside them are drawn by hand.

    python docs/make_figures.py            writes them to docs/figures/; a test holds that the file is the same
"""

import io
from hashlib import sha256
from pathlib import Path

import matplotlib.pyplot as plt
from maps import bit_maps, grey, heat, spread, top_of
from PIL import Image

from ddcodec.decoder import decode_file
from ddcodec.format.arch import NEIGHBOURS, WAVEFRONT_SLOPE
from ddcodec.format.container import read_body
from ddcodec.format.decoders import samples_of
from ddcodec.format.files import unpack
from ddcodec.format.header import read_header
from ddcodec.metrics import psnr
from ddcodec.partial import beginning_of, decode_beginning
from ddcodec.pictures.read import load_picture

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "figures"
FILE, ORIGINAL = ROOT / "samples" / "chelsea.ddc", ROOT / "samples" / "chelsea.png"
DRAWN_FROM = FOLDER / "drawn-from.sha256"
INK = "#768390"
"""Can be read on white and on black."""
CELL = 34
WIDTH, GAP, TITLE, DPI = 12, 0.06, 0.32, 110
"""Of a sheet of panels, between them, above each, in inches."""
WEBP_QUALITY = 82


def main():
    data = FILE.read_bytes()
    coded = unpack(data)
    FOLDER.mkdir(exist_ok=True)
    save("planes.webp", planes(coded), 4)
    save("bits.webp", bits(data, decode_file(data).samples), 3)
    save("octaves.webp", cut_pictures(data, load_picture(ORIGINAL)), 4)
    (FOLDER / "neighbours.svg").write_text(neighbours(), "utf-8")
    DRAWN_FROM.write_text(source_digest() + "\n")


def source_digest():
    """SHA-256 of the file that the figures show."""
    return sha256(FILE.read_bytes()).hexdigest()


def planes(coded):
    """(title, pixels) of the code of each octave, coarse to fine, and of its picture."""
    for octave in coded.arch.coded_octaves:
        sheet, peak = grey(coded.code[octave])
        rows, columns = coded.arch.size(octave)
        yield f"octave {octave}: {columns}x{rows}, up to ±{peak}", sheet
    yield "the picture", samples_of(coded)


def bits(data, samples):
    """The picture, and where its bits went: those of the finest octave, and those of the others."""
    maps = bit_maps(data)
    size = samples.shape[:2]
    parts = {"octave 0": {0: maps[0]}, "octaves 1 to 6": {octave: own for octave, own in maps.items() if octave}}
    totals = {name: spread(part, *size) for name, part in parts.items()}
    top = top_of(totals)
    yield "the picture", samples
    for name, total in totals.items():
        yield f"{name}: {total.mean():.2f} bits per pixel (brightest: {top} or more)", heat(total, top)


def cut_pictures(data, original):
    """What the beginning of the file shows, octave by octave."""
    header = read_header(data)
    body = read_body(data, header)
    start, words = len(data) - 4 * len(body.words), 0
    for count, section in enumerate(body.sections[:-1]):
        words += section
        if count:
            beginning = beginning_of(data[: start + 4 * words])
            picture, used = decode_beginning(beginning)
            name = f"octaves {used[0]} to {used[-1]}" if len(used) > 1 else f"octave {used[0]}"
            yield f"{name}: {start + 4 * words:,} bytes, {psnr(original, picture.samples):.1f} dB", picture.samples
    whole = decode_file(data).samples
    yield f"all: {len(data):,} bytes, {psnr(original, whole):.1f} dB", whole


def save(name, panels, across):
    """Panels (title, pixels) in rows of `across`, without a background of their own."""
    panels = list(panels)
    down = -(-len(panels) // across)
    height, width = panels[-1][1].shape[:2]
    wide = (WIDTH - GAP * (across - 1)) / across
    high = wide * height / width
    figure = plt.figure(figsize=(WIDTH, down * (high + TITLE)))
    for index, (title, pixels) in enumerate(panels):
        left, top = index % across * (wide + GAP), index // across * (high + TITLE)
        axis = figure.add_axes(
            (
                left / WIDTH,
                1 - (top + TITLE + high) / (down * (high + TITLE)),
                wide / WIDTH,
                high / (down * (high + TITLE)),
            )
        )
        axis.axis("off")
        axis.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
        axis.set_title(title, fontsize=10, color=INK)
    file = io.BytesIO()
    figure.savefig(file, dpi=DPI, transparent=True)
    plt.close(figure)
    Image.open(file).save(FOLDER / name, quality=WEBP_QUALITY, method=6)


def neighbours():
    """The causal neighbours of an integer, numbered in the order in which a context takes them, and the wavefronts, as
    SVG.
    """
    left, above, right = 4, 3, 5
    columns, rows = left + 1 + right, above + 2
    cells = []
    order = {place: number for number, place in enumerate(NEIGHBOURS, 1)}
    for y in range(-above, rows - above):
        for x in range(-left, right + 1):
            place, wavefront = (x, y), x + WAVEFRONT_SLOPE * y
            kind = (
                "here"
                if place == (0, 0)
                else "seen"
                if place in order
                else "same"
                if wavefront == 0
                else "known"
                if wavefront < 0
                else "later"
            )
            label = "q" if kind == "here" else str(order.get(place, ""))
            at_x, at_y = 8 + CELL * (x + left), 8 + CELL * (y + above)
            cells.append(f'<rect class="{kind}" x="{at_x}" y="{at_y}" width="{CELL - 3}" height="{CELL - 3}" rx="3"/>')
            if label:
                cells.append(
                    f'<text class="number" x="{at_x + (CELL - 3) / 2}" y="{at_y + CELL / 2 + 3}">{label}</text>'
                )
    words = [
        ("here", "the integer that is coded"),
        ("seen", "its 20 neighbours, in the order of the model's inputs"),
        ("same", "places of its own wavefront, x + 3y"),
        ("known", "earlier wavefronts: known, not looked at"),
        ("later", "later wavefronts"),
    ]
    for line, (kind, word) in enumerate(words):
        at_y = 18 + 32 * line
        cells.append(f'<rect class="{kind}" x="{30 + CELL * columns}" y="{at_y - 3}" width="20" height="20" rx="3"/>')
        cells.append(f'<text x="{60 + CELL * columns}" y="{at_y + 12}">{word}</text>')
    size = f"{CELL * columns + 430} {CELL * rows + 14}"
    same = "fill: none; stroke: #f0b429; stroke-width: 2"
    later = f"fill: none; stroke: {INK}; stroke-opacity: .5"
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="14">
<title>The neighbours of an integer of the code</title>
<style>
text {{ fill: {INK} }}
.number {{ fill: #10243a; text-anchor: middle; font-size: 13px }}
.here {{ fill: #f0b429 }} .seen {{ fill: #9cc4e8 }} .same {{ {same} }}
.known {{ fill: {INK}; fill-opacity: .35 }} .later {{ {later} }}
</style>
{chr(10).join(cells)}
</svg>
"""


if __name__ == "__main__":
    main()

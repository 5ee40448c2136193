"""Make one HTML page of a `View`, with everything inside it."""

import base64
import math
from dataclasses import replace
from html import escape
from importlib.resources import files
from string import Template

import numpy as np

from ..format.arch import DETAIL_PLANES
from ..format.metadata import color_in
from ..metrics.ms_ssim import MS_SSIM_SIDE_MIN
from ..picture import Picture
from ..pictures.write import encode_image_bytes
from ..presets import tune_of_base
from ..printable import printable
from ..version import __version__
from . import maps
from .view import View

GAINS = (1, 4, 8, 16, 32)
"""Factors by which the page can amplify the difference."""
TIMES = "\N{MULTIPLICATION SIGN}"
"""Sign between a width and a height, and behind a factor."""
MINUS = "\N{MINUS SIGN}"
"""Sign of a negative number."""


def html_of(view: View) -> str:
    """Make the whole page; the same view gives the same text."""
    bits = maps.bit_maps(view.coded, view.finest)
    top = maps.top_of(bits)
    apart = difference(view.shown.samples, view.original.shown.samples) if view.original else None
    parts = {
        "title": escape(printable(view.name)),
        "lead": _lead(view),
        "notes": _notes(view),
        "controls": _controls(view),
        "layers": _layers(view, apart, bits, top),
        "gain": "" if apart is None else _gain(apart),
        "bar": _bar(view),
        "table": _table(view),
        "legend": _legend(top),
        "octaves": "".join(_octave(view, octave, bits[octave], top) for octave in bits),
        "facts": _facts(view),
        "version": __version__,
    }
    return Template(files(__package__).joinpath("page.html").read_text("utf-8")).substitute(parts)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the absolute differences of two pictures of one shape and type, unsigned."""
    return np.maximum(a, b) - np.minimum(a, b)


# Words.


def _lead(view):
    info, found = view.info, view.original and view.original.found
    parts = [
        f"{info['width']} {TIMES} {info['height']} pixels",
        f"{info['bytes']:,} bytes",
        f"{info['bpp']:.3f} bits per pixel",
    ]
    if found:
        similarity = (
            f"n/a (a side is shorter than {MS_SSIM_SIDE_MIN} pixels)"
            if found.ms_ssim is None
            else f"{found.ms_ssim:.5f}"
        )
        parts += [
            "PSNR " + (f"{found.psnr:.2f} dB" if math.isfinite(found.psnr) else "inf (the pictures are identical)"),
            f"MS-SSIM {similarity}",
            *([] if found.ssimulacra2 is None else [f"SSIMULACRA2 {found.ssimulacra2:.2f}"]),
            *(
                []
                if found.psnr_hvs_m is None or math.isinf(found.psnr_hvs_m)
                else [f"PSNR-HVS-M {found.psnr_hvs_m:.2f} dB"]
            ),
            *([] if found.butteraugli is None else [f"Butteraugli {found.butteraugli:.2f}"]),
        ]
    if found and found.psnr_alpha is not None:
        parts.append(f"alpha {found.psnr_alpha:.2f} dB" if math.isfinite(found.psnr_alpha) else "alpha identical")
    return "".join(f"<li>{part}</li>" for part in parts)


def _notes(view):
    notes = []
    if view.original:
        notes.append(f"Compared with {escape(printable(view.original.name))}.")
    if view.finest:
        height, width = view.shown.samples.shape[:2]
        scale = 1 << view.finest
        held = " All measures are of the whole pictures." if view.original else ""
        notes.append(
            f"The picture is too large for a page. It is shown at 1/{scale}, {width} {TIMES} {height}, without the "
            f"octaves below {view.finest}.{held}"
        )
    if "note" in view.picture.metadata:
        notes.append(f"Note in the file: {escape(printable(view.picture.metadata['note'].decode(errors='replace')))}")
    return "".join(f"<p>{note}</p>" for note in notes)


def _facts(view):
    info, arch, color = view.info, view.coded.arch, color_in(view.picture.metadata)
    octaves = f"{arch.octaves}, with code in " + ", ".join(map(str, arch.coded_octaves))
    if arch.detail:
        octaves += f"; {DETAIL_PLANES} planes of detail in 0"
    kind = "grey" if info["planes"] == 1 else "RGB"
    context = f"{arch.neighbours} neighbours, {arch.context_channels} channels in two layers"
    facts = {
        "Format": f"version {info['version']}, {kind}, {info['depth']} bits a sample",
        "Profile": info["profile"]
        + (
            f", weights as differences from base {arch.base}, learned for {tune_of_base(arch.base)}"
            if arch.base
            else ", weights without a base"
        ),
        "Network": f"{info['weights']:,} weights in the file, {info['macs_per_pixel']:,.0f} multiplications a pixel",
        "Octaves": octaves,
        "Context model": context,
        "Synthesis": f"{arch.channels} channels, {arch.channels_of(0)} at full size, "
        f"top layer of {arch.top_channels}, {2 * arch.taps} taps",
        "Colours": color.title() if color else "",
        "Metadata": ", ".join(
            f"{name.upper()} ({len(content):,} bytes)"
            for name, content in view.picture.metadata.items()
            if name in ("icc", "exif", "xmp")
        ),
        "CRC-32 of the samples": info["samples_crc"],
    }
    return "".join(f"<div><dt>{name}</dt><dd>{fact}</dd></div>" for name, fact in facts.items() if fact)


# The picture and what lies over it.


def _controls(view):
    shown = {"decoded": "Decoded", "bits": "Bits"}
    if view.original:
        shown = {
            "slider": "Slider",
            "decoded": "Decoded",
            "original": "Original",
            "difference": "Difference",
            "bits": "Bits",
        }
    zooms = {"0": "Fit", "1": f"1{TIMES}", "2": f"2{TIMES}", "4": f"4{TIMES}"}
    return _choice("show", "Show", shown, next(iter(shown))) + _choice("zoom", "Zoom", zooms, "0")


def _choice(name, title, labels, chosen):
    buttons = "".join(
        f"<label><input type='radio' name='{name}' "
        f"value='{value}'{' checked' if value == chosen else ''}><span>{label}</span></label>"
        for value, label in labels.items()
    )
    return f"<fieldset class='choice' id='{name}'><legend>{title}</legend><div>{buttons}</div></fieldset>"


def _layers(view, apart, bits, top):
    """Make the pictures that lie over each other.

    The original is shown as if it had the profile of the file, so that equal samples look alike.
    """
    height, width = view.shown.samples.shape[:2]
    profile = {name: content for name, content in view.picture.metadata.items() if name in ("icc", "color")}
    layers = [("decoded", "The decoded picture", replace(view.shown, metadata=profile))]
    if view.original:
        layers.append(("original", "The original", replace(view.original.shown, metadata=profile)))
        layers.append(("difference", "The difference, amplified", Picture(apart)))
    layers.append(
        (
            "bits",
            "Bits per pixel of all octaves",
            Picture(maps.heat(maps.spread(bits, view.finest, height, width), top)),
        )
    )
    return "".join(_picture(picture, alt, name) for name, alt, picture in layers)


def _gain(apart):
    """Make the choice of the factor by which the difference is amplified.

    At first it is so large that only one sample in a hundred is brighter than the middle.
    """
    middle, bright = np.iinfo(apart.dtype).max / 2, np.percentile(apart, 99)
    chosen = max((gain for gain in GAINS if gain * bright <= middle), default=1)
    return _choice("gain", "Amplified", {str(gain): f"{gain}{TIMES}" for gain in GAINS}, str(chosen))


def _picture(picture, alt, kind):
    height, width = picture.samples.shape[:2]
    png = base64.b64encode(encode_image_bytes(picture, "png")).decode()
    return f"<img class='{kind}' width='{width}' height='{height}' alt='{alt}' src='data:image/png;base64,{png}'>"


# The bytes.


def _bar(view):
    return "".join(
        f"<i {_colour(section)} title='{section['name']}: {section['bytes']:,} bytes'></i>"
        for section in view.info["sections"]
    )


def _colour(section):
    name, _, octave = section["name"].partition(" ")
    if name == "octave":
        return f"class='octave' style='--octave:{octave};--bytes:{section['bytes']}'"
    kind = "alpha" if section["name"] == "chunk alpha" else name if name in ("chunk", "weights") else "head"
    return f"class='{kind}' style='--bytes:{section['bytes']}'"


def _table(view):
    """Make the table of the sections: bytes, shares, and bits per pixel of the picture."""
    info = view.info
    rows = [(f"<i {_colour(section)}></i>{section['name']}", section["bytes"]) for section in info["sections"]]
    octaves = sum(section["bytes"] for section in info["sections"] if section["name"].startswith("octave "))
    body, foot = (
        "".join(_row(title, count, info) for title, count in some)
        for some in (rows, [("all octaves", octaves), ("file", info["bytes"])])
    )
    head = "".join(f"<th scope='col'>{title}</th>" for title in ("section", "bytes", "share", "bits per pixel"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody><tfoot>{foot}</tfoot></table>"


def _row(title, count, info):
    share, rate = f"{100 * count / info['bytes']:.1f} %", f"{8 * count / (info['width'] * info['height']):.4f}"
    return f"<tr><th scope='row'>{title}</th><td>{count:,}</td><td>{share}</td><td>{rate}</td></tr>"


# The octaves.


def _legend(top):
    colours = ", ".join(f"rgb{colour}" for colour in maps.COLOURS)
    marks = "".join(f"<span>{top * quarter**2 / 16:g}</span>" for quarter in range(5))
    return f"<div class='legend'><div style='background: linear-gradient(90deg, {colours})'></div><p>{marks}</p></div>"


def _octave(view, octave, bits, top):
    rows, columns = bits.shape
    count = next(section["bytes"] for section in view.info["sections"] if section["name"] == f"octave {octave}")
    planes, peak = maps.grey(view.coded.code[octave])
    many = f"{len(view.coded.code[octave])} planes; " if len(view.coded.code[octave]) > 1 else ""
    heat = _picture(Picture(maps.heat(bits, top)), f"Bits of octave {octave}", "map")
    maximum = f"Bits: {bits.mean():.2f} per pixel, at most {bits.max():.1f}"
    return (
        f"<section class='octave'><h3>Octave {octave} <small>{columns} {TIMES} {rows}, {count:,} "
        "bytes</small></h3><div>"
        f"<figure>{heat}<figcaption>{maximum}</figcaption></figure>"
        f"<figure>{_picture(Picture(planes), f'Code of octave {octave}', 'code')}<figcaption>Code: {many}black "
        f"{MINUS}{peak}, grey 0, white {peak}</figcaption></figure>"
        "</div></section>"
    )

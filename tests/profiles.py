"""ICC profiles of version 2, from published numbers and as cameras and editors write them, and what two profiles make
of the same colours.
"""

import io
import struct

import numpy as np
from PIL import Image, ImageCms

D50 = (0.9642, 1.0, 0.8249)
COLORANTS = {
    "sRGB": ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
    "Display P3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "Adobe RGB": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
    "ProPhoto RGB": ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491)),
    "BT.2020": ((0.67348, 0.27904, -0.00194), (0.16566, 0.67534, 0.02998), (0.12505, 0.04561, 0.79686)),
}
"""XYZ of red, green and blue in the profiles of HP and Microsoft, Apple, Adobe, Kodak and the ICC."""


def srgb_curve(samples):
    """IEC 61966-2-1, 5.2."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def bt709_curve(samples):
    """ITU-R BT.709, 1.2, the other way round."""
    return np.where(samples < 0.081, samples / 4.5, ((samples + 0.099) / 1.099) ** (1 / 0.45))


def profile(colorants, curve, *, entries=1024, name=b"a profile", more=()):
    """A profile for RGB of a name in `COLORANTS` or of three XYZ, or for grey without any. curve: a function, of which
    a table is made, or an exponent. more: further tags (name, content).
    """
    if callable(curve):
        table = np.rint(65535 * curve(np.linspace(0, 1, entries))).astype(int)
        shape = struct.pack(f">4s4xI{entries}H", b"curv", entries, *table)
    else:
        shape = struct.pack(">4s4xIH", b"curv", 1, round(256 * curve))
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + bytes(79)),
        (b"wtpt", _xyz(D50)),
        (b"cprt", b"text\0\0\0\0none\0\0\0\0"),
        *more,
    ]
    if colorants is None:
        tags.append((b"kTRC", shape))
    else:
        tags += [
            (tag, _xyz(numbers))
            for tag, numbers in zip((b"rXYZ", b"gXYZ", b"bXYZ"), COLORANTS.get(colorants, colorants))
        ]
        tags += [(tag, shape) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    place, index, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, content in tags:
        index += tag + struct.pack(">II", place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    space = b"GRAY" if colorants is None else b"RGB "
    head = (
        struct.pack(">I4xI", place + len(body), 0x02100000)
        + b"mntr"
        + space
        + b"XYZ "
        + bytes(12)
        + b"acsp"
        + bytes(28)
        + struct.pack(">3i", *_fixed(D50))
    )
    return head.ljust(128, b"\0") + index + body


def _fixed(numbers):
    return [round(number * 65536) for number in numbers]


def _xyz(numbers):
    return struct.pack(">4s4x3i", b"XYZ ", *_fixed(numbers))


def levels_apart(first, second):
    """By how many levels the same 1,000 samples, and all greys, differ in sRGB when they are read through two profiles,
    at most (Little CMS).
    """
    random = np.random.default_rng(5)
    samples = np.concatenate([random.integers(0, 256, (1000, 3)), np.repeat(np.arange(256)[:, None], 3, 1)]).astype(
        np.uint8
    )[None]
    grey = first[16:20] == b"GRAY"
    image = Image.fromarray(samples[:, :, 0] if grey else samples)
    seen = [_seen(image, icc) for icc in (first, second)]
    return abs(seen[0] - seen[1]).max()


def _seen(image, icc):
    return np.asarray(
        ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    ).astype(int)

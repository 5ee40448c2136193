"""Make one HTML page of a `View`: the file, the decoder that the browser runs, and what is known of the original."""

import base64
import math
import zlib

import numpy as np

from .. import web
from ..format.metadata import color_in
from ..metrics.ms_ssim import MS_SSIM_SIDE_MIN
from ..picture import Picture, bits_of
from ..pictures.write import encode_image_bytes
from ..presets import tune_of_base
from ..printable import printable
from .view import View


def html_of(view: View) -> str:
    """Make the whole page; the same view gives the same text."""
    info, metadata, base = view.info, view.picture.metadata, view.info["arch"]["base"]
    start = f"as differences from base {base}, learned for {tune_of_base(base)}" if base else "without a base"
    color, alpha = color_in(metadata), view.shown.alpha
    given = {
        "name": printable(view.name),
        "file": _base64(view.data),
        "finest": view.finest,
        "profile": f"{info['profile']}, weights {start}",
        "network": f"{info['weights']:,} weights in the file, {info['macs_per_pixel']:,.0f} multiplications a pixel",
        "colours": color.title() if color else None,
        "note": printable(metadata["note"].decode(errors="replace")) if "note" in metadata else None,
        "alpha": None if alpha is None else _base64(zlib.compress(_bytes_of(alpha).tobytes(), 9)),
    }
    if view.original:
        # Without its profile: the page shows it as if it had that of the file, so that equal samples look alike.
        png = encode_image_bytes(Picture(_bytes_of(view.original.shown.samples)), "png")
        given["original"] = {"name": printable(view.original.name), "png": _base64(png)}
        given["measures"] = _measures(view.original.found)
    return web.page(given["name"], given)


def _bytes_of(samples):
    """Samples of 8 bits, as a canvas has them."""
    return np.rint(samples / 257).astype(np.uint8) if bits_of(samples) == 16 else samples


def _base64(data):
    return base64.b64encode(data).decode()


def _measures(found):
    similarity = (
        f"n/a (a side is shorter than {MS_SSIM_SIDE_MIN} pixels)" if found.ms_ssim is None else f"{found.ms_ssim:.5f}"
    )
    parts = [
        "PSNR " + (f"{found.psnr:.2f} dB" if math.isfinite(found.psnr) else "inf (the pictures are identical)"),
        f"MS-SSIM {similarity}",
    ]
    if found.ssimulacra2 is not None:
        parts.append(f"SSIMULACRA2 {found.ssimulacra2:.2f}")
    if found.psnr_hvs_m is not None and math.isfinite(found.psnr_hvs_m):
        parts.append(f"PSNR-HVS-M {found.psnr_hvs_m:.2f} dB")
    if found.butteraugli is not None:
        parts.append(f"Butteraugli {found.butteraugli:.2f}")
    if found.psnr_alpha is not None:
        parts.append(f"alpha {found.psnr_alpha:.2f} dB" if math.isfinite(found.psnr_alpha) else "alpha identical")
    return parts

"""Write pictures as PNG, PPM and NumPy files, and make Pillow images of them."""

import io
from typing import TYPE_CHECKING

import numpy as np

from ..format.metadata import color_in, resolution_in
from ..picture import Picture, as_bytes, bits_of, peak_of, shallow
from . import exif, png
from .metadata import METRES_AN_INCH, profile_in
from .refusals import imagecodecs_for

if TYPE_CHECKING:
    from PIL import Image

PNG_COMPRESSION = 3
"""Level of zlib: on photographs within 4 % of the size of level 6, in a third of its time."""


def pillow_image(picture: Picture) -> "Image.Image":
    """Make a Pillow image of a `Picture`: L, LA, RGB or RGBA, or I;16 for 16-bit grey.

    Other 16-bit pictures are rounded to 8 bits, since Pillow knows no such mode.
    """
    from PIL import Image

    whole = picture.whole()
    return Image.fromarray(whole if whole.ndim == 2 else shallow(whole))


def encode_image_bytes(picture: Picture, format: str) -> bytes:
    """Make the bytes of a picture file.

    Only a PNG holds metadata, and a PPM holds no alpha.

    format: "png", "ppm" (P5 for grey, P6 for RGB) or "npy".
    """
    return {"png": _png, "ppm": _ppm, "npy": _npy}[format](picture)


def _png(picture):
    from PIL import Image, PngImagePlugin

    whole, metadata, file = picture.whole(), picture.metadata, io.BytesIO()
    chunks = PngImagePlugin.PngInfo()
    described, resolution = color_in(metadata), resolution_in(metadata)
    for kind, content in png.chunks_for(described) if described else ():
        chunks.add(kind, content)
    if "xmp" in metadata:
        chunks.add_itxt(png.XMP, metadata["xmp"].decode("utf-8", "replace"))
    # Pillow knows no 16 bits with several channels. It writes one row, for all the chunks that are not pixels;
    # imagecodecs writes the pixels.
    deep_colours = whole.ndim == 3 and bits_of(whole) > 8
    image = Image.fromarray(shallow(whole[:1]) if deep_colours else whole)
    inches = {"dpi": tuple(METRES_AN_INCH * number for number in resolution)} if resolution else {}
    image.save(
        file,
        "PNG",
        compress_level=PNG_COMPRESSION,
        **inches,
        icc_profile=profile_in(metadata, picture.samples.ndim == 2),
        exif=exif.upright(metadata.get("exif", b"")),
        pnginfo=chunks,
    )
    if not deep_colours:
        return file.getvalue()
    imagecodecs = imagecodecs_for("writing 16 bits a sample to a PNG")
    pixels = list(png.chunks_of(imagecodecs.png_encode(np.ascontiguousarray(whole), level=PNG_COMPRESSION)))
    rest = [chunk for kind, _, chunk in png.chunks_of(file.getvalue()) if kind not in (b"IHDR", b"IDAT", b"IEND")]
    start = [chunk for kind, _, chunk in pixels if kind == b"IHDR"] + rest
    return png.SIGNATURE + b"".join(start + [chunk for kind, _, chunk in pixels if kind in (b"IDAT", b"IEND")])


def _ppm(picture):
    samples = picture.samples
    kind = "P5" if samples.ndim == 2 else "P6"
    return f"{kind}\n{samples.shape[1]} {samples.shape[0]}\n{peak_of(samples)}\n".encode() + as_bytes(samples)


def _npy(picture):
    file = io.BytesIO()
    np.save(file, picture.whole(), allow_pickle=False)
    return file.getvalue()

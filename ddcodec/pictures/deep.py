"""Read samples of more than 8 bits with imagecodecs, since Pillow would cut them down."""

import re
from typing import Any

import numpy as np

from ..errors import SourceError
from .jpegxl import read_header
from .kinds import HEAD_BYTES, PPM_HEAD, bits_of_sample
from .refusals import UNREADABLE, damaged, imagecodecs_for
from .tiff import TIFF_PHOTOMETRIC, TIFF_WHITE_IS_ZERO


def bits_before_loading(image: Any) -> int:
    """Read the bits a sample of the file of an image that Pillow has opened and not loaded.

    The first bytes of the file tell it. The result is 8 where they do not, and where nothing is left to load. Once an
    image is loaded, nobody knows any more.
    """
    # The plugin for JPEG XL names no tiles.
    if getattr(image, "fp", None) is None or not getattr(image, "tile", ()) and image.format != "JXL":
        return 8
    if any(";16" in str(tile[3]) for tile in image.tile):
        return 16
    place = image.fp.tell()
    image.fp.seek(0)
    try:
        return bits_of_sample(image.fp.read(HEAD_BYTES))
    finally:
        image.fp.seek(place)


def deep_array(image: Any, data: bytes, bits: int, frame: int | None, name: str) -> np.ndarray:
    """Decode all samples of a file of more than 8 bits a sample, or of a JPEG XL file of any depth.

    The result is (H, W) or (H, W, 2 to 4), as the samples lie in the file. It is of full range: uint16, or uint8 for 8
    bits.

    image: the file as Pillow has opened it.
    data: the bytes of the file.
    bits: bits a sample, as the file states.
    frame: counted from 1; None for the first.
    name: what error messages call the file.

    Raises `SourceError` for an animated PNG or AVIF, for a damaged file, for other formats, and without imagecodecs.
    """
    if image.format in ("PNG", "AVIF") and getattr(image, "n_frames", 1) > 1:
        raise SourceError(f"{name} is an animation of {bits} bits a sample; of such only single pictures can be read.")
    try:
        if image.format == "PPM":
            return _deep_ppm(data)
        imagecodecs = imagecodecs_for(f"reading {name}")
        if image.format == "PNG":
            return with_key(imagecodecs.png_decode(data), image)
        if image.format == "AVIF":
            return _scaled(imagecodecs.avif_decode(data), 2**bits - 1)
        if image.format == "JXL":
            values = imagecodecs.jpegxl_decode(data, index=(frame or 1) - 1 if read_header(data).animated else None)
            return _scaled(values, 2**bits - 1) if bits > 8 else values
        if image.format == "TIFF":
            values = imagecodecs.tiff_decode(data, index=(frame or 1) - 1)
            return 65535 - values if image.tag_v2.get(TIFF_PHOTOMETRIC) == TIFF_WHITE_IS_ZERO else values
    except UNREADABLE as error:
        raise damaged(name, error) from None
    raise SourceError(f"{name} has {bits} bits a sample, which are read from PNG, TIFF, PPM, AVIF and JPEG XL only.")


def with_key(values: np.ndarray, image: Any) -> np.ndarray:
    """Add alpha to grey samples of 16 bits if their image names one value as transparent."""
    key = image.info.get("transparency") if values.ndim == 2 else None
    return values if key is None else np.dstack([values, np.where(values == key, 0, 65535).astype(np.uint16)])


def _deep_ppm(data):
    """Decode a PGM or PPM of two bytes a sample, or one whose numbers are digits."""
    head = re.match(PPM_HEAD, data[:4096])
    if head is None:
        raise ValueError("its header cannot be read")
    width, height, most = (int(head[k]) for k in (2, 3, 4))
    shape = (height, width) if head[1] in b"25" else (height, width, 3)
    count = int(np.prod(shape))
    if head[1] in b"56":
        values = np.frombuffer(data, ">u2", count, head.end() + 1)
    else:
        values = np.array(re.sub(rb"#[^\n\r]*", b"", data[head.end() :]).split()[:count], int)
    if values.min() < 0 or values.max() > most:
        raise ValueError(f"a sample is not in 0..{most}")
    return _scaled(values.reshape(shape), most)


def _scaled(values, most):
    """Scale numbers 0..most to uint16 of full range."""
    return values.astype(np.uint16) if most == 65535 else np.rint(values * (65535 / most)).astype(np.uint16)

"""Pictures in and out: the only door to Pillow. What cannot be kept whole is refused in one sentence, never cut down silently."""

import io
import os
import re
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np

from .arch import SIDE_MAX
from .errors import SourceError

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "PPM", "BMP", "GIF")

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, NotImplementedError, RuntimeError,
              OverflowError, struct.error, zlib.error)  # fmt: skip
"""What Pillow's plugins are known to raise on bytes that are damaged or of a variant they do not know."""

MODES = {
    "1": "L",
    "L": "L",
    "P": "RGB",
    "RGB": "RGB",
}
"""Pillow's modes that become samples without loss -> the mode whose bytes are the samples."""

ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
MODE_NAMES = {"CMYK": "CMYK", "LAB": "Lab", "YCbCr": "YCbCr", "HSV": "HSV", "F": "floating-point", "I": "32-bit integer"}

TIFF_BITS, TIFF_SAMPLES_PER_PIXEL, TIFF_SAMPLE_FORMAT = 258, 277, 339
TIFF_SHORT, TIFF_LONG = 3, 4
ORIENTATION = 274
XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>))[2-8]""")
"""Both forms in which XMP states an orientation, attribute and element (XMP Part 2, 3.4)."""

TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF orientation -> the transposition that sets the pixels upright (Pillow's angles are anticlockwise)."""

PNG_COMPRESSION = 3
"""zlib level: on photographs within 4 % of the size of level 6, in a third of its time."""


@dataclass(frozen=True)
class Picture:
    """A source picture.

    samples:  uint8, (H, W) for grey or (H, W, 3) for RGB; upright.
    metadata: what a `.ddc` file keeps of the rest, bytes under "icc", "exif" (from its TIFF header on, orientation set upright), "xmp".
    left_out: what it does not keep, in words ("further pictures").
    alpha:    uint8 (H, W), or None where all is opaque or nobody asked for it.
    """

    samples: np.ndarray
    metadata: dict
    left_out: tuple = ()
    alpha: np.ndarray | None = None


def load_picture(source, *, name=None):
    """Samples of a picture file: uint8, (H, W) for grey or (H, W, 3) for RGB, with the EXIF orientation applied.

    source: a path, or the bytes of a file. name: what error messages call it.
    Raises `SourceError` for what cannot be read or cannot be kept whole: see `read_picture`.
    """
    return read_picture(source, name=name).samples


def read_picture(source, *, name=None, with_alpha=False):
    """The `Picture` in a file (a path, or its bytes) of one of `FORMATS`; `name` is what error messages call it. with_alpha: alpha and transparency are read, too.

    1-bit pictures become grey, palettes RGB (grey if all their colours are). Raises `SourceError` for what is missing or
    damaged, and for alpha or transparency (unless `with_alpha`), more than 8 bits a sample, CMYK, Lab, float, several frames, sides above 65535.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data, name = bytes(source), name or "The picture"
    else:
        data, name = read_file(source), name or os.fspath(source)
    if not data:
        raise SourceError(f"{name} is empty.")
    if is_ddc(data):
        raise SourceError(f"{name} is a .ddc file already.")
    _refuse_bits(_bits_of_sample(data), name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _open(data, name)
        _refuse_frames(image, name)
        _refuse_tiff_kind(image, name)
        alpha = None
        if with_alpha and _is_transparent(image):
            image, alpha = _without_alpha(image, name)
        samples = _samples(image, name)
        return Picture(samples, _metadata(image, samples), _left_out(image, samples), alpha)


def picture_from(image):
    """The `Picture` of a Pillow image or of an array: uint8 (H, W), (H, W, 1) or (H, W, 3).

    A Pillow image that still knows an EXIF orientation is set upright, as a file would be. Raises `SourceError` for all else.
    """
    if isinstance(image, np.ndarray):
        return Picture(_samples_of_array(image), {})
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise SourceError(f"A picture must be a Pillow image or a NumPy array, not {type(image).__name__}.")
    # A Pillow image keeps the depth of its file only as long as it is not loaded, and only here.
    if any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        _refuse_bits(16, "The picture")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _refuse_frames(image, "The picture")
        _refuse_tiff_kind(image, "The picture")
        samples = _samples(image, "The picture")
        return Picture(samples, _metadata(image, samples), _left_out(image, samples))


def encode_image_bytes(samples, format, metadata=None, *, alpha=None):
    """The bytes of a picture file. samples: uint8 (H, W) or (H, W, 3); format: "png", "ppm" (P5 for grey, P6 for RGB) or "npy".

    metadata, alpha: as in `Picture`; only a PNG can hold them.
    """
    samples = np.ascontiguousarray(samples if alpha is None or format != "png" else np.dstack([samples, alpha]))
    if format == "png":
        return _png(samples, metadata or {})
    return {"ppm": _ppm, "npy": _npy}[format](samples)


def coded_again(samples, file):
    """Samples, uint8 (H, W) or (H, W, 3), coded as JPEG with the tables and the subsampling of another, and decoded. file: its bytes. Raises `SourceError` if they are no JPEG."""
    from PIL import Image, JpegImagePlugin

    image = _open(file, "The picture")
    if image.format not in ("JPEG", "MPO"):
        raise SourceError("The picture is no JPEG; how much it has lost cannot be read from it.")
    buffer = io.BytesIO()
    subsampling = {} if samples.ndim == 2 else {"subsampling": JpegImagePlugin.get_sampling(image)}
    Image.fromarray(samples).save(buffer, "JPEG", qtables=image.quantization, **subsampling)
    with Image.open(buffer) as again:
        return np.asarray(again)


def is_picture_name(path):
    """Whether a file's name ends as those of `FORMATS` do."""
    from PIL import Image

    return Image.registered_extensions().get(os.path.splitext(path)[1].lower()) in FORMATS


def is_ddc(data):
    """Whether bytes begin as a `.ddc` file does."""
    from .syntax import MAGIC

    return data.startswith(MAGIC.to_bytes(4, "big"))


def is_jpeg(data):
    """Whether bytes begin as a JPEG file does."""
    return data.startswith(b"\xff\xd8")


def read_file(path):
    """All bytes of a file. Raises `SourceError`, with the path, if it is missing, a folder or unreadable."""
    name = os.fspath(path) or "''"
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise SourceError(f"{name} does not exist.") from None
    except IsADirectoryError:
        raise SourceError(f"{name} is a folder, not a file.") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def _open(data, name):
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_many_pixels(name) from None
    except UnidentifiedImageError:
        raise SourceError(
            f"{name} is not a picture that can be read: it is damaged, or no PNG, JPEG, WebP, AVIF, TIFF, PPM, BMP or GIF."
        ) from None
    except UNREADABLE as error:
        raise _damaged(name, error) from None
    _refuse_size(image.size, name)
    return image


def _samples(image, name):
    """The upright samples of an opened image of an accepted mode."""
    from PIL import Image

    _refuse_size(image.size, name)
    _refuse_mode(image, name)
    _load(image, name)
    # Loading can reveal transparency, and Pillow's decoders may settle on another mode.
    _refuse_mode(image, name)
    turn = TURNS.get(_orientation(image))
    plain = image.convert(MODES[image.mode])
    samples = np.asarray(plain.transpose(Image.Transpose[turn]) if turn else plain)
    if image.mode == "P" and (samples == samples[:, :, :1]).all():
        samples = samples[:, :, 0]
    return np.ascontiguousarray(samples)


def _load(image, name):
    from PIL import Image

    try:
        image.load()
    except Image.DecompressionBombError:
        raise _too_many_pixels(name) from None
    except UNREADABLE as error:
        raise _damaged(name, error) from None


def _orientation(image):
    """The EXIF orientation that is still to be applied, 1..8; 1 where the block is unreadable, as viewers have it."""
    if image.format == "TIFF":
        return 1  # Pillow turns a TIFF by its tag when it loads it; a second hint in its XMP must not turn it again.
    try:
        return image.getexif().get(ORIENTATION, 1)
    except UNREADABLE:
        return 1


def _metadata(image, samples):
    metadata = {}
    profile = image.info.get("icc_profile")
    if profile and _fits(profile, samples):
        metadata["icc"] = profile
    exif = image.info.get("exif")
    if exif:
        metadata["exif"] = _set_upright(exif.removeprefix(b"Exif\0\0"))
    xmp = image.info.get("xmp")
    if xmp:
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        metadata["xmp"] = XMP_ORIENTATION.sub(rb"\g<1>1", xmp)
    return metadata


def _left_out(image, samples):
    left_out = []
    if image.info.get("icc_profile") and not _fits(image.info["icc_profile"], samples):
        left_out.append("a colour profile of another kind of picture")
    if image.format == "MPO":
        left_out.append("further pictures")
    return tuple(left_out)


def _fits(profile, samples):
    """Whether an ICC profile is for as many planes as there are (its colour space stands at byte 16; ICC.1:2022, 7.2)."""
    return profile[16:20] == (b"GRAY" if samples.ndim == 2 else b"RGB ")


def _set_upright(exif):
    """EXIF with its orientation, if it has one, set to 1 in place; all else byte for byte (TIFF 6.0, section 2)."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return exif
    start = struct.unpack_from(order + "I", exif, 4)[0]
    if start + 2 > len(exif):
        return exif
    patched = bytearray(exif)
    for entry in range(struct.unpack_from(order + "H", exif, start)[0]):
        at = start + 2 + 12 * entry
        if at + 12 > len(exif):
            break
        tag, kind, count = struct.unpack_from(order + "HHI", exif, at)
        if tag == ORIENTATION and count == 1 and kind in (TIFF_SHORT, TIFF_LONG):
            struct.pack_into(order + ("H" if kind == TIFF_SHORT else "I"), patched, at + 8, 1)
    return bytes(patched)


def _bits_of_sample(data):
    """Bits a sample that a PNG, AVIF or PPM states, else 8: Pillow hands out 8 for most of what has more."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 24:
        return data[24]
    if data[4:8] == b"ftyp":
        # The configuration of the first AV1 picture: marker and version, profile, then flags: high_bitdepth, twelve_bit.
        found = re.search(rb"av1C\x81.(.)", data, re.DOTALL)
        flags = found[1][0] if found else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    gap = rb"(?:\s|#[^\n\r]*[\n\r])+"
    found = re.match(rb"P[2356]" + gap + rb"\d+" + gap + rb"\d+" + gap + rb"(\d{1,9})", data[:4096])
    return int(found[1]).bit_length() if found else 8


def _refuse_bits(bits, name):
    if bits > 8:
        raise SourceError(f"{name} has {bits} bits a sample; only 8 are supported so far. Convert it to 8 bits first.")


def _refuse_size(size, name):
    if max(size) > SIDE_MAX:
        raise SourceError(f"{name} is {size[0]}x{size[1]}: no side of a .ddc picture can be longer than {SIDE_MAX} pixels.")
    if min(size) < 1:
        raise SourceError(f"{name} is {size[0]}x{size[1]}: it has no pixels.")


def _refuse_frames(image, name):
    if image.format == "MPO":
        return  # A camera's JPEG with previews or a second eye's view behind it: the first picture is the photo.
    try:
        frames = getattr(image, "n_frames", 1)
    except UNREADABLE as error:
        raise _damaged(name, error) from None
    if frames > 1:
        raise SourceError(f"{name} holds {frames} pictures (an animation or pages); only single ones are supported so far.")


def _refuse_tiff_kind(image, name):
    """Refuse what the tags of a TIFF state and Pillow drops: more than 8 bits, signed samples, extra channels."""
    if image.format != "TIFF":
        return
    tags = image.tag_v2
    _refuse_bits(max(tags.get(TIFF_BITS, (1,))), name)
    _refuse_mode(image, name)
    if not set(tags.get(TIFF_SAMPLE_FORMAT, (1,))) <= {1, 4}:
        raise SourceError(f"{name} has signed samples; only 8-bit unsigned ones are supported.")
    if tags.get(TIFF_SAMPLES_PER_PIXEL, 1) not in (1, 3):
        raise SourceError(f"{name} has {tags[TIFF_SAMPLES_PER_PIXEL]} channels; only grey and RGB are supported so far.")


def _is_transparent(image):
    return image.mode in ALPHA_MODES or "transparency" in image.info or image.mode == "P" and image.palette.mode != "RGB"


def _without_alpha(image, name):
    """An opened image without its alpha, and that as upright samples, or None where all is opaque."""
    from PIL import Image

    _load(image, name)
    grey = image.mode in ("LA", "La", "L", "1")
    whole = image.convert("LA" if grey else "RGBA")
    opaque = whole.convert("L" if grey else "RGB")
    opaque.info = {key: value for key, value in image.info.items() if key != "transparency"}
    alpha, turn = whole.getchannel("A"), TURNS.get(_orientation(image))
    samples = np.array(alpha.transpose(Image.Transpose[turn]) if turn else alpha)
    return opaque, None if (samples == 255).all() else samples


def _refuse_mode(image, name):
    if _is_transparent(image):
        raise SourceError(f"{name} has an alpha channel or transparency, which is not supported so far. Flatten it first.")
    if image.mode.startswith("I;"):
        _refuse_bits(16, name)
    if image.mode not in MODES:
        kind = MODE_NAMES.get(image.mode, image.mode)
        raise SourceError(f"{name} is a {kind} picture; only grey and RGB are supported so far. Convert it first.")


def _samples_of_array(array):
    if array.dtype != np.uint8:
        raise SourceError(f"The array holds {array.dtype}; only uint8 samples (8 bits) are supported so far.")
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3):
        why = " Alpha is not supported so far." if array.ndim == 3 and channels in (2, 4) else ""
        raise SourceError(f"The array has the shape {array.shape}; it must be (H, W), (H, W, 1) or (H, W, 3).{why}")
    _refuse_size(array.shape[1::-1], "The array")
    return np.ascontiguousarray(array[:, :, 0] if array.ndim == 3 and channels == 1 else array)


def _damaged(name, error):
    return SourceError(f"{name} is damaged or cut off: {str(error).rstrip('.') or type(error).__name__}.")


def _too_many_pixels(name):
    from PIL import Image

    return SourceError(f"{name} has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, the most that are read from a file.")


def _png(samples, metadata):
    from PIL import Image, PngImagePlugin

    file = io.BytesIO()
    texts = PngImagePlugin.PngInfo()
    if "xmp" in metadata:
        texts.add_itxt("XML:com.adobe.xmp", metadata["xmp"].decode("utf-8", "replace"))
    Image.fromarray(samples).save(
        file, "PNG", compress_level=PNG_COMPRESSION, icc_profile=metadata.get("icc"), exif=_set_upright(metadata.get("exif", b"")), pnginfo=texts
    )
    return file.getvalue()


def _ppm(samples):
    kind = "P5" if samples.ndim == 2 else "P6"
    return f"{kind}\n{samples.shape[1]} {samples.shape[0]}\n255\n".encode() + samples.tobytes()


def _npy(samples):
    file = io.BytesIO()
    np.save(file, samples, allow_pickle=False)
    return file.getvalue()

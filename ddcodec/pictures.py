"""Pictures in and out: the only door to Pillow and imagecodecs. What cannot be kept whole is refused in one sentence, or said; it is never cut down silently."""

import io
import os
import re
import struct
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from .arch import SIDE_MAX
from .errors import LimitError, SourceError, UsageError
from .jpegxl import read_header
from .samples import as_bytes, bits_of, peak_of, shallow

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "PPM", "BMP", "GIF")
PLUGINS = {"HEIF": ("pillow_heif", "register_heif_opener", "pillow-heif"), "JXL": ("pillow_jxl", None, "pillow-jxl-plugin")}
"""Formats that Pillow reads with a plugin's help: its module, the function in it that registers it if importing does not, its name in the package index."""
PLUGIN_ENDINGS = {".heic": "HEIF", ".heif": "HEIF", ".jxl": "JXL"}

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, NotImplementedError, RuntimeError,
              OverflowError, struct.error, zlib.error)  # fmt: skip
"""What Pillow's plugins and imagecodecs are known to raise on bytes that are damaged or of a variant they do not know."""

MODES = {
    "1": "L",
    "L": "L",
    "P": "RGB",
    "RGB": "RGB",
}
"""Pillow's modes that become samples without loss -> the mode whose bytes are the samples."""

DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
MODE_NAMES = {"LAB": "Lab", "YCbCr": "YCbCr", "HSV": "HSV", "F": "floating-point", "I": "32-bit integer"}

TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_SAMPLES_PER_PIXEL, TIFF_PLANAR, TIFF_EXTRA, TIFF_SAMPLE_FORMAT = 258, 262, 277, 284, 338, 339
TIFF_WHITE_IS_ZERO, TIFF_RGB = 0, 2
TIFF_STRAIGHT_ALPHA = 2
TIFF_SHORT, TIFF_LONG = 3, 4
TIFF_WORDS, TIFF_DIRECTORIES = (269, 270, 271, 272, 305, 306, 315, 316, 33432), (34665, 34853)
"""Tags about the document, the camera, the software, the time, the people; those that lead to EXIF and GPS."""
ORIENTATION = 274
XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>))[2-8]""")
"""Both forms in which XMP states an orientation, attribute and element (XMP Part 2, 3.4)."""

TURNS = {
    2: lambda rows: rows[:, ::-1],
    3: lambda rows: rows[::-1, ::-1],
    4: lambda rows: rows[::-1],
    5: lambda rows: rows.swapaxes(0, 1),
    6: lambda rows: rows[::-1].swapaxes(0, 1),
    7: lambda rows: rows[::-1, ::-1].swapaxes(0, 1),
    8: lambda rows: rows[:, ::-1].swapaxes(0, 1),
}
"""EXIF orientation -> what sets (H, W, ...) upright."""

HEAD_BYTES = 2**16
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PPM_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
PPM_HEAD = rb"P([2356])" + PPM_GAP + rb"(\d+)" + PPM_GAP + rb"(\d+)" + PPM_GAP + rb"(\d{1,9})"
PNG_COMPRESSION = 3
"""zlib level: on photographs within 4 % of the size of level 6, in a third of its time."""


@dataclass(frozen=True)
class Picture:
    """A picture as people have it.

    samples:  uint8 or uint16, (H, W) for grey or (H, W, 3) for RGB; upright.
    metadata: bytes under "icc", "exif" (from its TIFF header on, orientation set upright), "xmp", and of a `.ddc` file "note".
    alpha:    (H, W) of the same type, or None where all is opaque.
    notes:    what a `.ddc` file does not keep of the source, in sentences to the user.
    """

    samples: np.ndarray
    metadata: dict = field(default_factory=dict)
    alpha: np.ndarray | None = None
    notes: tuple = ()

    def whole(self):
        """Samples and alpha in one array: (H, W) or (H, W, 2 to 4)."""
        return self.samples if self.alpha is None else np.dstack([self.samples, self.alpha])


def load_picture(source, *, name=None):
    """Samples of a picture file, uint8 (H, W) or (H, W, 3), with the EXIF orientation applied: for uses that know nothing else.

    source: a path, or the bytes of a file. name: what error messages call it.
    Raises `SourceError` for what cannot be read, for alpha and for 16 bits a sample.
    """
    return plain_samples(read_picture(source, name=name), _called(source, name))


def plain_samples(picture, name):
    """The samples of a `Picture` where there can be nothing else: no alpha, 8 bits a sample. Raises `SourceError`."""
    if picture.alpha is not None:
        raise SourceError(f"{name} has an alpha channel or transparency, which is not supported here. Flatten it first.")
    if bits_of(picture.samples) > 8:
        raise SourceError(f"{name} has 16 bits a sample; only 8 are supported here. Convert it to 8 bits first.")
    return picture.samples


def read_picture(source, *, name=None, frame=None, max_pixels=0):
    """The `Picture` in a file (a path, or its bytes) of one of `FORMATS` and `PLUGINS`; `name` is what error messages call it.

    1-bit pictures become grey, palettes RGB (grey if all their colours are), CMYK RGB; what has more than 8 bits a sample has 16 then. frame: of an animation or of
    several pages, from 1 on; the first if it is None. max_pixels: refuse larger ones before they are decoded; 0: those that Pillow does not take. Raises `SourceError` for what is missing, damaged or of another kind (Lab, float, sides above 65535), `UsageError` for a frame that there is not, `LimitError`.
    """
    data, name = bytes(source) if _is_bytes(source) else read_file(source), _called(source, name)
    if not data:
        raise SourceError(f"{name} is empty.")
    if is_ddc(data):
        raise SourceError(f"{name} is a .ddc file already; ddcodec decode makes a picture of it.")
    with warnings.catch_warnings(), _own_limit(max_pixels):
        warnings.simplefilter("ignore")
        return _picture(_open(data, name), name, data, frame, max_pixels)


@contextmanager
def _own_limit(max_pixels):
    """Pillow's limit counts only where nobody has named another."""
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    if max_pixels:
        Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _is_bytes(source):
    return isinstance(source, (bytes, bytearray, memoryview))


def _called(source, name):
    """What error messages call a source: its name, or else its path."""
    return name or ("The picture" if _is_bytes(source) else os.fspath(source))


def picture_from(image):
    """The `Picture` of a Pillow image or of an array: uint8 or uint16, (H, W) or (H, W, 1 to 4), of which the second or fourth channel is alpha.

    A Pillow image that still knows an EXIF orientation is set upright, as a file would be. Raises `SourceError` for all else.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, np.ndarray):
        return _picture_of_array(image)
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise SourceError(f"A picture must be a Pillow image or a NumPy array, not {type(image).__name__}.")
    if image.mode != "I;16" and _bits_before_loading(image) > 8:
        raise SourceError("Pillow would cut this 16-bit picture down to 8 bits; give its file, or an array of uint16.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _picture(image, "The picture")


def pillow_image(picture):
    """A Pillow image of a `Picture`: L, LA, RGB or RGBA, or I;16 for 16-bit grey; other 16-bit pictures are rounded to 8, since Pillow knows none."""
    from PIL import Image

    whole = picture.whole()
    return Image.fromarray(whole if whole.ndim == 2 else shallow(whole))


def encode_image_bytes(picture, format):
    """The bytes of a picture file. format: "png", "ppm" (P5 for grey, P6 for RGB) or "npy". Only a PNG holds metadata, and a PPM no alpha."""
    return {"png": _png, "ppm": _ppm, "npy": _npy}[format](picture)


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
    """Whether a file's name ends as those of the formats that can be read do."""
    from importlib.util import find_spec

    from PIL import Image

    ending = os.path.splitext(path)[1].lower()
    if ending in PLUGIN_ENDINGS:
        return find_spec(PLUGINS[PLUGIN_ENDINGS[ending]][0]) is not None
    return Image.registered_extensions().get(ending) in FORMATS


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

    format = _plugin_format(data)
    if format:
        _register(format, name)
    try:
        image = Image.open(io.BytesIO(data), formats=[format] if format else FORMATS)
    except Image.DecompressionBombError:
        raise _too_many_pixels(name) from None
    except UnidentifiedImageError:
        if data.startswith((b"II*\0", b"MM\0*")):
            raise SourceError(f"{name} is damaged, or a TIFF of a kind that cannot be read.") from None
        raise SourceError(
            f"{name} is not a picture that can be read: it is damaged, or no PNG, JPEG, WebP, AVIF, TIFF, PPM, BMP, GIF, HEIC or JPEG XL."
        ) from None
    except UNREADABLE as error:
        # What the plugin for JPEG XL says is for those who build it.
        raise _damaged(name, None if format == "JXL" else error) from None
    _refuse_size(image.size, name)
    return image


def _plugin_format(data):
    """The one of `PLUGINS` that bytes begin as, or None."""
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JXL"
    # AVIF has the same container, and brands of its own.
    return "HEIF" if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1") and b"avif" not in data[8:64] else None


def _register(format, name):
    from importlib import import_module

    module, function, package = PLUGINS[format]
    try:
        plugin = import_module(module)
    except ImportError:
        kind = {"HEIF": "HEIC", "JXL": "JPEG XL"}[format]
        raise SourceError(f"{name} is a {kind} picture; to read such, install the package {package}.") from None
    if function:
        getattr(plugin, function)()


def _picture(image, name, data=None, frame=None, max_pixels=0):
    """The `Picture` of an opened image. data: the bytes of its file; without them the image is at its frame already."""
    _refuse_size(image.size, name)
    notes, format = [], image.format
    if data:
        _refuse_pixels(image.size, name, max_pixels)
        notes = _go_to(image, data, frame, name)
        # Pages can be of other sizes than the first.
        _refuse_size(image.size, name)
        _refuse_pixels(image.size, name, max_pixels)
    bits = _bits_of_tiff(image, name) if image.format == "TIFF" else _bits_of_sample(data) if data else 8
    if data and (bits > 8 or format == "JXL"):
        whole = _upright(_deep_array(image, data, bits, frame, name), _orientation(image))
    else:
        _load(image, name)
        # Pillow turns a TIFF when it loads it; a second hint in its XMP must not turn it again.
        orientation = 1 if format == "TIFF" else _orientation(image)
        opaque, alpha = image, None
        if image.mode == "CMYK":
            opaque, note = _without_cmyk(image)
            notes.append(note)
        elif _is_transparent(image) and image.mode not in DEEP_MODES:
            if format == "PNG" and image.mode == "L" and data and data[24] in (2, 4):
                # Pillow widens such samples to 8 bits, but not the key.
                image.info["transparency"] *= 255 // (2 ** data[24] - 1)
            opaque, alpha = _without_alpha(image)
        _refuse_mode(opaque, name)
        colours = np.asarray(opaque.convert(MODES[opaque.mode])) if opaque.mode in MODES else _with_key(np.asarray(opaque), image)
        if (image.mode in ("P", "PA") or format == "GIF") and colours.ndim == 3 and (colours == colours[:, :, :1]).all():
            colours = colours[:, :, 0]
        whole = _upright(colours if alpha is None else np.dstack([colours, alpha]), orientation)
    if image.info.get("bit_depth", 8) > 8:
        notes.append(f"of its {image.info['bit_depth']} bits a sample 8 are kept.")
    picture = _picture_of_array(whole)
    profile = image.info.get("icc_profile")
    if profile and image.mode != "CMYK" and not _fits(image, picture.samples):
        notes.append("its colour profile is for another kind of picture and is left out.")
    return replace(picture, metadata=_metadata(image, picture.samples), notes=tuple(f"{name}: {note}" for note in notes))


def _go_to(image, data, frame, name):
    """Turn an image to its frame; a list of what is to be said of that. data: the bytes of its file."""
    if image.format == "MPO" and frame is None:
        # A camera's JPEG with previews or a second eye's view behind it: the first picture is the photo.
        return ["the further pictures in it are left out."]
    try:
        count = _frames_of_jxl(data, name) if image.format == "JXL" else getattr(image, "n_frames", 1)
        if frame is not None and not 1 <= frame <= count:
            raise UsageError(f"{name} has {count} frame{'s' * (count > 1)}; there is no frame {frame}.")
        if count > 1 and image.format != "JXL":
            image.seek((frame or 1) - 1)
    except UNREADABLE as error:
        raise _damaged(name, error) from None
    return [f"of its {count} frames the first is taken (--frame N for another)."] if count > 1 and frame is None else []


def _frames_of_jxl(data, name):
    """How many frames a JPEG XL file has. Raises `SourceError` for samples that are no whole numbers, and `UNREADABLE` ones."""
    header = read_header(data)
    if header.floating:
        raise SourceError(f"{name} is a floating-point picture; only grey, RGB and CMYK are supported. Convert it first.")
    return len(_imagecodecs(f"reading {name}").jpegxl_decode(data)) if header.animated else 1


def _bits_before_loading(image):
    """Bits a sample of the file of an image that Pillow has opened and not loaded, as far as its first bytes tell, else 8: afterwards nobody knows."""
    # The plugin for JPEG XL names no tiles.
    if getattr(image, "fp", None) is None or not getattr(image, "tile", ()) and image.format != "JXL":
        return 8
    if any(";16" in str(tile[3]) for tile in image.tile):
        return 16
    place = image.fp.tell()
    image.fp.seek(0)
    try:
        return _bits_of_sample(image.fp.read(HEAD_BYTES))
    finally:
        image.fp.seek(place)


def _load(image, name):
    from PIL import Image

    try:
        image.load()
    except Image.DecompressionBombError:
        raise _too_many_pixels(name) from None
    except UNREADABLE as error:
        raise _damaged(name, error) from None


def _upright(rows, orientation):
    return TURNS[orientation](rows) if orientation in TURNS else rows


def _orientation(image):
    """The EXIF orientation that is still to be applied, 1..8; 1 where the block is unreadable, as viewers have it."""
    if image.format == "JXL":
        # Its own orientation has been applied; what EXIF says does not count (ISO/IEC 18181-2).
        return 1
    try:
        return image.tag_v2.get(ORIENTATION, 1) if image.format == "TIFF" else image.getexif().get(ORIENTATION, 1)
    except UNREADABLE:
        return 1


def _deep_array(image, data, bits, frame, name):
    """All samples of a file of more than 8 bits a sample, or of a JPEG XL file of any: (H, W) or (H, W, 2 to 4), as they lie in it, of full range; uint16, or uint8 for 8 bits."""
    imagecodecs = _imagecodecs(f"reading {name}")
    if image.format in ("PNG", "AVIF") and getattr(image, "n_frames", 1) > 1:
        raise SourceError(f"{name} is an animation of {bits} bits a sample; of such only single pictures can be read.")
    try:
        if image.format == "PNG":
            return _with_key(imagecodecs.png_decode(data), image)
        if image.format == "PPM":
            return _deep_ppm(data)
        if image.format == "AVIF":
            return _scaled(imagecodecs.avif_decode(data), 2**bits - 1)
        if image.format == "JXL":
            values = imagecodecs.jpegxl_decode(data, index=(frame or 1) - 1 if read_header(data).animated else None)
            return _scaled(values, 2**bits - 1) if bits > 8 else values
        if image.format == "TIFF":
            values = imagecodecs.tiff_decode(data, index=(frame or 1) - 1)
            return 65535 - values if image.tag_v2.get(TIFF_PHOTOMETRIC) == TIFF_WHITE_IS_ZERO else values
    except UNREADABLE as error:
        raise _damaged(name, error) from None
    raise SourceError(f"{name} has {bits} bits a sample, which are read from PNG, TIFF, PPM, AVIF and JPEG XL only.")


def _with_key(values, image):
    """Grey samples of 16 bits, with alpha if an image names one value as transparent."""
    key = image.info.get("transparency") if values.ndim == 2 else None
    return values if key is None else np.dstack([values, np.where(values == key, 0, 65535).astype(np.uint16)])


def _deep_ppm(data):
    """A PGM or PPM of two bytes a sample, or its numbers in words."""
    head = re.match(PPM_HEAD, data[:4096])
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
    """Numbers 0..most as uint16 of full range."""
    return values.astype(np.uint16) if most == 65535 else np.rint(values * (65535 / most)).astype(np.uint16)


def _without_cmyk(image):
    """A loaded CMYK image as RGB (in sRGB), through its profile if it has a usable one; and what is to be said of that."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB")
            return converted, "its CMYK is converted to RGB through its colour profile."
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB"), "its CMYK is converted to RGB without a profile, so that its colours are a guess."


def _metadata(image, samples):
    metadata = {}
    if _fits(image, samples):
        metadata["icc"] = image.info["icc_profile"]
    exif = (_exif_of_tiff(image) if image.format == "TIFF" else image.info.get("exif") or b"").removeprefix(b"Exif\0\0")
    if exif:
        metadata["exif"] = _set_upright(exif)
    xmp = image.info.get("xmp")
    if xmp:
        xmp = xmp.encode() if isinstance(xmp, str) else xmp
        metadata["xmp"] = XMP_ORIENTATION.sub(rb"\g<1>1", xmp)
    return metadata


def _exif_of_tiff(image):
    """What the tags of a TIFF say beside how its samples lie, as EXIF; empty if nothing."""
    from PIL import Image

    try:
        source, exif = image.getexif(), Image.Exif()
        for tag in TIFF_WORDS:
            if tag in source:
                exif[tag] = source[tag]
        for tag in TIFF_DIRECTORIES:
            if source.get_ifd(tag):
                exif.get_ifd(tag).update(source.get_ifd(tag))
        return exif.tobytes() if len(exif) else b""
    except UNREADABLE:
        return b""


def _fits(image, samples):
    """Whether an image has an ICC profile that is for the samples made of it (its colour space stands at byte 16; ICC.1:2022, 7.2)."""
    return image.mode != "CMYK" and (image.info.get("icc_profile") or b"")[16:20] == (b"GRAY" if samples.ndim == 2 else b"RGB ")


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
    """Bits a sample that a PNG, AVIF, JPEG XL or PPM states, else 8: Pillow hands out 8 for most of what has more."""
    if _plugin_format(data) == "JXL":
        return read_header(data).bits
    if data.startswith(PNG_SIGNATURE) and len(data) > 24:
        return data[24]
    if data[4:8] == b"ftyp":
        # The configuration of the first AV1 picture: marker and version, profile, then flags: high_bitdepth, twelve_bit.
        found = re.search(rb"av1C\x81.(.)", data, re.DOTALL)
        flags = found[1][0] if found else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    found = re.match(PPM_HEAD, data[:4096])
    return int(found[4]).bit_length() if found else 8


def _bits_of_tiff(image, name):
    """Bits a sample of a TIFF: at most 8, or 16. Refuses what its tags state and readers drop: other depths, signed samples, more channels."""
    tags = image.tag_v2
    bits, count = max(tags.get(TIFF_BITS, (1,))), tags.get(TIFF_SAMPLES_PER_PIXEL, 1)
    _refuse_mode(image, name, "CMYK", *ALPHA_MODES)
    if not set(tags.get(TIFF_SAMPLE_FORMAT, (1,))) <= {1, 4}:
        raise SourceError(f"{name} has signed samples; only unsigned ones are supported.")
    if bits not in (1, 2, 4, 8, 16):
        raise SourceError(f"{name} has {bits} bits a sample; a TIFF may have at most 8, or 16.")
    if count > 4 or count in (2, 4) and image.mode not in ("CMYK", *ALPHA_MODES):
        raise SourceError(f"{name} has {count} channels; only grey and RGB, with or without alpha, are supported.")
    if bits == 16 and (
        tags.get(TIFF_PHOTOMETRIC, 1) > TIFF_RGB or tags.get(TIFF_PLANAR, 1) != 1 or count in (2, 4) and tags.get(TIFF_EXTRA, (0,))[0] != TIFF_STRAIGHT_ALPHA
    ):
        raise SourceError(f"{name} is a 16-bit TIFF of a kind that is not supported: only grey and RGB with straight alpha are, their channels together.")
    return bits


def _refuse_pixels(size, name, max_pixels):
    """Refuse what a file may not hold: more than `max_pixels`, if that is not 0, or than Pillow takes."""
    from PIL import Image

    if max_pixels and size[0] * size[1] > max_pixels:
        raise LimitError(f"{name} has {size[0]}x{size[1]} = {size[0] * size[1]:,} pixels, above the limit of {max_pixels:,} (--max-pixels).")
    if Image.MAX_IMAGE_PIXELS is not None and size[0] * size[1] > 2 * Image.MAX_IMAGE_PIXELS:
        raise _too_many_pixels(name)


def _refuse_size(size, name):
    if max(size) > SIDE_MAX:
        raise SourceError(f"{name} is {size[0]}x{size[1]}: no side of a .ddc picture can be longer than {SIDE_MAX} pixels.")
    if min(size) < 1:
        raise SourceError(f"{name} is {size[0]}x{size[1]}: it has no pixels.")


def _is_transparent(image):
    return image.mode in ALPHA_MODES or "transparency" in image.info or image.mode == "P" and image.palette.mode != "RGB"


def _without_alpha(image):
    """A loaded image without its alpha, and that, uint8 (H, W)."""
    grey = image.mode in ("LA", "La", "L", "1")
    whole = image.convert("LA" if grey else "RGBA")
    return whole.convert("L" if grey else "RGB"), np.asarray(whole.getchannel("A"))


def _refuse_mode(image, name, *others):
    if image.mode not in MODES and image.mode not in DEEP_MODES and image.mode not in others:
        kind = MODE_NAMES.get(image.mode, image.mode)
        raise SourceError(f"{name} is a {kind} picture; only grey, RGB and CMYK are supported. Convert it first.")


def _picture_of_array(array):
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise SourceError(f"The array holds {array.dtype}; samples must be uint8 (8 bits) or uint16 (16 bits).")
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or not 1 <= channels <= 4:
        raise SourceError(f"The array has the shape {array.shape}; it must be (H, W) or (H, W, 1 to 4), where the second or fourth channel is alpha.")
    _refuse_size(array.shape[1::-1], "The array")
    array = array.astype(array.dtype.newbyteorder("="), copy=False).reshape(*array.shape[:2], channels)
    colours = array[:, :, 0] if channels < 3 else array[:, :, :3]
    alpha = array[:, :, -1] if channels in (2, 4) else None
    if alpha is not None and (alpha == peak_of(alpha)).all():
        alpha = None
    return Picture(np.ascontiguousarray(colours), alpha=alpha if alpha is None else np.ascontiguousarray(alpha))


def _damaged(name, error):
    return SourceError(f"{name} is damaged or cut off" + (f": {str(error).rstrip('.') or type(error).__name__}." if error else "."))


def _too_many_pixels(name):
    from PIL import Image

    return SourceError(f"{name} has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, the most that are read from a file (--max-pixels names another limit).")


def _imagecodecs(what):
    """The package, which is not there where only what decoding 8 bits needs is installed."""
    try:
        import imagecodecs
    except ImportError:
        raise SourceError(f"For {what} the package imagecodecs is needed.") from None
    return imagecodecs


def _png(picture):
    from PIL import Image, PngImagePlugin

    whole, metadata, file = picture.whole(), picture.metadata, io.BytesIO()
    texts = PngImagePlugin.PngInfo()
    if "xmp" in metadata:
        texts.add_itxt("XML:com.adobe.xmp", metadata["xmp"].decode("utf-8", "replace"))
    # Pillow knows no 16 bits with several channels: it writes all that is not pixels round one row of them, imagecodecs the pixels.
    deep_colours = whole.ndim == 3 and bits_of(whole) > 8
    image = Image.fromarray(shallow(whole[:1]) if deep_colours else whole)
    image.save(file, "PNG", compress_level=PNG_COMPRESSION, icc_profile=metadata.get("icc"), exif=_set_upright(metadata.get("exif", b"")), pnginfo=texts)
    if not deep_colours:
        return file.getvalue()
    imagecodecs = _imagecodecs("writing 16 bits a sample to a PNG")
    pixels = _png_chunks(imagecodecs.png_encode(np.ascontiguousarray(whole), level=PNG_COMPRESSION))
    rest = [(kind, chunk) for kind, chunk in _png_chunks(file.getvalue()) if kind not in (b"IHDR", b"IDAT", b"IEND")]
    start = [chunk for kind, chunk in pixels if kind == b"IHDR"] + [chunk for _, chunk in rest]
    return PNG_SIGNATURE + b"".join(start + [chunk for kind, chunk in pixels if kind in (b"IDAT", b"IEND")])


def _png_chunks(data):
    """(kind, all its bytes) of each chunk of a PNG."""
    chunks, at = [], len(PNG_SIGNATURE)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at:end]))
        at = end
    return chunks


def _ppm(picture):
    samples = picture.samples
    kind = "P5" if samples.ndim == 2 else "P6"
    return f"{kind}\n{samples.shape[1]} {samples.shape[0]}\n{peak_of(samples)}\n".encode() + as_bytes(samples)


def _npy(picture):
    file = io.BytesIO()
    np.save(file, picture.whole(), allow_pickle=False)
    return file.getvalue()

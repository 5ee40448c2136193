"""Pictures in and out: the only door to Pillow and imagecodecs.

What cannot be kept whole is refused in one sentence, or said; it is never cut down silently.
"""

import io
import os
import re
import struct
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from ..errors import LimitError, SourceError, UsageError
from ..format import color
from ..format.arch import SIDE_MAX
from ..format.container import CHUNK_NAMES
from ..format.header import MAGIC
from ..format.metadata import LIMITS, RESOLUTION_MAX, USUAL, chosen, packed_resolution, profile_in, unpacked_resolution
from ..jobs.input import all_bytes, picture_bytes, read_whole
from ..picture import as_bytes, bits_of, peak_of, shallow
from . import exif, png
from .boxes import color_of_boxes
from .jpegxl import read_header
from .profiles import color_of, is_grey, is_profile

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "PPM", "BMP", "GIF")
PLUGINS = {
    "HEIF": ("pillow_heif", "register_heif_opener", "pillow-heif"),
    "JXL": ("pillow_jxl", None, "pillow-jxl-plugin"),
}
"""Formats that Pillow reads with a plugin's help: its module, the function in it that registers it if importing does
not, its name in the package index.
"""
PLUGIN_TITLES = {"HEIF": "HEIC", "JXL": "JPEG XL"}
PLUGIN_ENDINGS = {".heic": "HEIF", ".heif": "HEIF", ".jxl": "JXL"}

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    struct.error,
    zlib.error,
    Warning,
)
"""What Pillow's plugins and imagecodecs are known to raise on bytes that are damaged or of a variant they do not know;
warnings where somebody has made them errors.
"""

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

TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_SAMPLES_PER_PIXEL, TIFF_PLANAR, TIFF_EXTRA, TIFF_SAMPLE_FORMAT = (
    258,
    262,
    277,
    284,
    338,
    339,
)
TIFF_X_RESOLUTION = 282
TIFF_WHITE_IS_ZERO, TIFF_RGB = 0, 2
TIFF_STRAIGHT_ALPHA = 2
TIFF_WORDS, TIFF_DIRECTORIES = (269, 270, 271, 272, 305, 306, 315, 316, 33432), (34665, 34853)
"""Tags about the document, the camera, the software, the time, the people; those that lead to EXIF and GPS."""
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

KNOWN_BY = {b"\xff\xd8": "JPEG", png.SIGNATURE: "PNG", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"GIF8": "GIF", b"BM": "BMP"}
"""First bytes -> the format that they promise."""
HEAD_BYTES = 2**16
PPM_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
PPM_HEAD = rb"P([2356])" + PPM_GAP + rb"(\d+)" + PPM_GAP + rb"(\d+)" + PPM_GAP + rb"(\d{1,9})"
PNG_COMPRESSION = 3
"""zlib level: on photographs within 4 % of the size of level 6, in a third of its time."""
METRES_AN_INCH = 0.0254
_PILLOWS_LIMIT = Lock()


@dataclass(frozen=True)
class Picture:
    """A picture as people have it.

    samples:  uint8 or uint16, (H, W) for grey or (H, W, 3) for RGB; upright. metadata: bytes under "icc", "exif" (from
    its TIFF header on, orientation set upright), "xmp", "color" and "resolution" (as in their chunks), and of a `.ddc`
    file "note".
    alpha:    (H, W) of the same type, or None where all is opaque.
    notes:    what is not kept of the source, or odd in it, in sentences to the user.
    """

    samples: np.ndarray
    metadata: dict = field(default_factory=dict)
    alpha: np.ndarray | None = None
    notes: tuple = ()

    def whole(self):
        """Samples and alpha in one array: (H, W) or (H, W, 2 to 4)."""
        return self.samples if self.alpha is None else np.dstack([self.samples, self.alpha])

    def color(self):
        """The `color.Color` that describes the samples, or None."""
        return color.unpacked(self.metadata["color"]) if "color" in self.metadata else None

    def profile(self):
        """The bytes of an ICC profile: the source's own, or one that says what the description says; None where there
        is neither.
        """
        return profile_in(self.metadata, self.samples.ndim == 2)

    def resolution(self):
        """(x, y) in pixels a metre, or None."""
        return unpacked_resolution(self.metadata["resolution"]) if "resolution" in self.metadata else None


def load_picture(source, *, name=None):
    """Samples of a picture file, uint8 (H, W) or (H, W, 3), with the EXIF orientation applied: for uses that know
    nothing else.

    source: a path, or the bytes of a file. name: what error messages call it.
    Raises `SourceError` for what cannot be read, for alpha and for 16 bits a sample.
    """
    return plain_samples(read_picture(source, name=name, metadata=()), _called(source, name))


def plain_samples(picture, name):
    """The samples of a `Picture` where there can be nothing else: no alpha, 8 bits a sample. Raises `SourceError`."""
    if picture.alpha is not None:
        raise SourceError(
            f"{name} has an alpha channel or transparency, which is not supported here. Flatten it first."
        )
    if bits_of(picture.samples) > 8:
        raise SourceError(f"{name} has 16 bits a sample; only 8 are supported here. Convert it to 8 bits first.")
    return picture.samples


def read_picture(source, *, name=None, frame=None, max_pixels=0, metadata=USUAL):
    """The `Picture` in a file (a path, or its bytes) of one of `FORMATS` and `PLUGINS`; `name` is what error messages
    call it.

    1-bit pictures become grey, palettes RGB (grey if all their colours are), CMYK RGB; what has more than 8 bits a
    sample has 16 then. frame: of an animation or of several pages, from 1 on; the first if it is None. max_pixels:
    refuse larger ones before they are decoded; 0: those that Pillow does not take. metadata: the kinds that are wanted
    (`metadata.chosen`). Raises `SourceError` for what is missing, damaged or of another kind (Lab, float, sides above
    65535), `UsageError` for a frame that there is not, `LimitError`.
    """
    data, name = bytes(source) if _is_bytes(source) else read_file(source, picture_bytes), _called(source, name)
    if not data:
        raise SourceError(f"{name} is empty.")
    if is_ddc(data):
        raise SourceError(f"{name} is a .ddc file already; ddcodec decode makes a picture of it.")
    said = png.Ancillary()
    if data.startswith(png.SIGNATURE):
        data, said = png.taken_apart(data)
    orientation, data = _out_of_tiff(data, frame)
    with _own_limit(max_pixels):
        return _picture(
            _open(data, name), name, data, said, orientation, frame=frame, max_pixels=max_pixels, wanted=metadata
        )


@contextmanager
def _own_limit(max_pixels):
    """Where somebody names a limit above Pillow's, Pillow's does not count.

    It is the whole process's: others wait, and find it as it was.
    """
    from PIL import Image

    if not max_pixels or Image.MAX_IMAGE_PIXELS is None or max_pixels <= Image.MAX_IMAGE_PIXELS:
        yield
        return
    with _PILLOWS_LIMIT:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _out_of_tiff(data, frame):
    """The orientation that the page of a TIFF states, 1 to 8, or None; and the file with pages that lie upright, which
    readers leave as they are.

    Pillow would turn a page itself, but only for some types of the tag.
    """
    if not data.startswith((b"II*\0", b"MM\0*")):
        return None, data
    return exif.orientation_of(data, (frame or 1) - 1), exif.upright(data, every=True)


def _is_bytes(source):
    return isinstance(source, (bytes, bytearray, memoryview))


def _called(source, name):
    """What error messages call a source: its name, or else its path."""
    return name or ("The picture" if _is_bytes(source) else os.fspath(source))


def picture_from(image):
    """The `Picture` of a Pillow image or of an array: uint8 or uint16, (H, W) or (H, W, 1 to 4), of which the second or
    fourth channel is alpha.

    A Pillow image that still knows an EXIF orientation is set upright, as a file would be, and what it knows of its
    colours is described. Raises `SourceError` for all else.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, np.ndarray):
        return _picture_of_array(image)
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise SourceError(f"A picture must be a Pillow image or a NumPy array, not {type(image).__name__}.")
    if _is_gone(image):
        raise SourceError(
            "The pixels of this Pillow image cannot be read any more: it or its file was closed, or verify() has used "
            "it up. Open it again."
        )
    if image.mode != "I;16" and _bits_before_loading(image) > 8:
        raise SourceError("Pillow would cut this 16-bit picture down to 8 bits; give its file, or an array of uint16.")
    return _picture(image, "The picture")


def _is_gone(image):
    """Whether the pixels of a Pillow image are neither here nor can be loaded."""
    try:
        return image.im is None
    except ValueError:
        return True
    except AssertionError:
        # Not loaded yet.
        if getattr(image, "fp", None) is not None:
            return image.fp.closed and bool(image.tile)
    try:
        # Some formats need no file for that.
        image.load()
    except AssertionError:
        return True
    return False


def pillow_image(picture):
    """A Pillow image of a `Picture`: L, LA, RGB or RGBA, or I;16 for 16-bit grey; other 16-bit pictures are rounded to
    8, since Pillow knows none.
    """
    from PIL import Image

    whole = picture.whole()
    return Image.fromarray(whole if whole.ndim == 2 else shallow(whole))


def encode_image_bytes(picture, format):
    """The bytes of a picture file. format: "png", "ppm" (P5 for grey, P6 for RGB) or "npy".

    Only a PNG holds metadata, and a PPM no alpha.
    """
    return {"png": _png, "ppm": _ppm, "npy": _npy}[format](picture)


def coded_again(samples, file):
    """Samples, uint8 (H, W) or (H, W, 3), coded as JPEG with the tables and the subsampling of another, and decoded.
    file: its bytes. Raises `SourceError` if they are no JPEG.
    """
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
    return data.startswith(MAGIC.to_bytes(4, "big"))


def begins_as_picture(data):
    """Whether bytes, of which there are at least 64 if the file has so many, may begin a picture that can be read:
    Pillow's own look at the first 16.
    """
    from PIL import Image

    if len(data) < 64 or _plugin_format(data):
        return True
    for load in Image.preinit, Image.init:
        load()
        if any(Image.OPEN[format][1](data[:16]) for format in FORMATS if format in Image.OPEN):
            return True
    return False


def kind_of_picture(data):
    """The name of the picture format that bytes begin as, or None."""
    plugin = _plugin_format(data)
    if plugin:
        return PLUGIN_TITLES[plugin]
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    if data[:4] == b"RIFF":
        return "WebP" if data[8:12] == b"WEBP" else None
    return next((title for signature, title in KNOWN_BY.items() if data.startswith(signature)), None) or (
        "PPM" if re.match(PPM_HEAD, data) else None
    )


def is_jpeg(data):
    """Whether bytes begin as a JPEG file does."""
    return data.startswith(b"\xff\xd8")


def read_file(path, wanted=all_bytes):
    """The bytes of a file, as `input.read_whole` reads them.

    Raises `SourceError`, with the path, if it is missing, a folder or unreadable, and `LimitError`.
    """
    name = os.fspath(path) or "''"
    try:
        with open(path, "rb", buffering=0) as file:
            return read_whole(file, name, wanted)
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
        raise _unidentified(data, name) from None
    except UNREADABLE as error:
        # What the plugin for JPEG XL says is for those who build it.
        raise _damaged(name, None if format == "JXL" else error) from None
    _refuse_size(image.size, name)
    return image


def _unidentified(data, name):
    """The `SourceError` of a file that Pillow knows no reader for, as far as its first bytes tell."""
    bits = _bits_of_jpeg(data)
    if bits not in (None, 8):
        return SourceError(
            f"{name} is a JPEG of {bits} bits a sample, of which only those of 8 are read. Convert it to a PNG of 16 "
            "bits."
        )
    kind = kind_of_picture(data)
    if kind:
        return SourceError(f"{name} is a {kind} that is damaged, cut off, or of a kind that cannot be read.")
    return SourceError(
        f"{name} is not a picture that can be read: it is damaged, or no PNG, JPEG, WebP, AVIF, TIFF, PPM, BMP, GIF, "
        "HEIC or JPEG XL."
    )


def _bits_of_jpeg(data):
    """Bits a sample that the frame header of a JPEG states (ISO/IEC 10918-1, B.2.2), or None where none is found."""
    at = 2 if is_jpeg(data) else len(data)
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 4]
        # Any number of 0xFF may stand before a marker.
        at += 1 if marker == 0xFF else 2 + length
    return None


def _plugin_format(data):
    """The one of `PLUGINS` that bytes begin as, or None."""
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JXL"
    # AVIF has the same container, and brands of its own.
    return (
        "HEIF"
        if data[4:8] == b"ftyp"
        and data[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
        and b"avif" not in data[8:64]
        else None
    )


def _register(format, name):
    from importlib import import_module

    module, function, package = PLUGINS[format]
    try:
        plugin = import_module(module)
    except ImportError:
        raise SourceError(
            f"{name} is a {PLUGIN_TITLES[format]} picture; to read such, install the package {package}."
        ) from None
    if function:
        getattr(plugin, function)()


def _picture(image, name, data=None, said=png.Ancillary(), orientation=None, *, frame=None, max_pixels=0, wanted=USUAL):
    """The `Picture` of an opened image. data: the bytes of its file; without them the image is at its frame already.
    said: what a PNG says beside; orientation: of a TIFF's page; wanted: kinds of metadata.
    """
    _refuse_size(image.size, name)
    notes = []
    if data:
        _refuse_pixels(image.size, name, max_pixels)
        notes = _go_to(image, data, frame, name)
        # Pages can be of other sizes than the first.
        _refuse_size(image.size, name)
        _refuse_pixels(image.size, name, max_pixels)
    found = _metadata_of(image, data, said)
    if orientation is None:
        orientation = _orientation(image, found)
    whole, said_of_samples = _whole(image, data, frame, name)
    picture = _picture_of_array(TURNS[orientation](whole) if orientation in TURNS else whole)
    if image.info.get("bit_depth", 8) > 8:
        notes.append(f"of its {image.info['bit_depth']} bits a sample 8 are kept.")
    metadata, lost = _kept(found, said, wanted, picture.samples.ndim == 2, image.mode == "CMYK")
    notes = notes + said_of_samples + (said.notes + lost if wanted else [])
    return replace(picture, metadata=metadata, notes=tuple(f"{name}: {note}" for note in notes))


def _whole(image, data, frame, name):
    """All samples of an image at its frame, (H, W) or (H, W, 2 to 4), as they lie in its file; and what is to be said
    of that.
    """
    format = image.format
    bits = _bits_of_tiff(image, name) if format == "TIFF" else _bits_of_sample(data) if data else 8
    if data and (bits > 8 or format == "JXL"):
        return _deep_array(image, data, bits, frame, name), []
    _load(image, name)
    opaque, alpha, notes = image, None, []
    if image.mode == "CMYK":
        opaque, note = _without_cmyk(image)
        notes.append(note)
    elif _is_transparent(image) and image.mode not in DEEP_MODES:
        if format == "PNG" and image.mode == "L" and data and data[24] in (2, 4):
            # Pillow widens such samples to 8 bits, but not the key.
            image.info["transparency"] *= 255 // (2 ** data[24] - 1)
        opaque, alpha = _without_alpha(image)
    _refuse_mode(opaque, name)
    colours = (
        np.asarray(opaque.convert(MODES[opaque.mode])) if opaque.mode in MODES else _with_key(np.asarray(opaque), image)
    )
    if (image.mode in ("P", "PA") or format == "GIF") and colours.ndim == 3 and (colours == colours[:, :, :1]).all():
        colours = colours[:, :, 0]
    return colours if alpha is None else np.dstack([colours, alpha]), notes


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
    """How many frames a JPEG XL file has.

    Raises `SourceError` for samples that are no whole numbers, and `UNREADABLE` ones.
    """
    header = read_header(data)
    if header.floating:
        raise SourceError(
            f"{name} is a floating-point picture; only grey, RGB and CMYK are supported. Convert it first."
        )
    return len(_imagecodecs(f"reading {name}").jpegxl_decode(data)) if header.animated else 1


def _bits_before_loading(image):
    """Bits a sample of the file of an image that Pillow has opened and not loaded, as far as its first bytes tell, else
    8: afterwards nobody knows.
    """
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


def _orientation(image, found):
    """The orientation that is still to be applied, 1 to 8: that of EXIF, or else of XMP; 1 where they are unreadable,
    as viewers have it. found: metadata by name.
    """
    if image.format == "JXL":
        # Its own orientation has been applied; what EXIF says does not count (ISO/IEC 18181-2).
        return 1
    stated = exif.orientation_of(found.get("exif", b""))
    return exif.orientation_of_xmp(found.get("xmp", b"")) or 1 if stated is None else stated


def _deep_array(image, data, bits, frame, name):
    """All samples of a file of more than 8 bits a sample, or of a JPEG XL file of any: (H, W) or (H, W, 2 to 4), as
    they lie in it, of full range; uint16, or uint8 for 8 bits.
    """
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
    """A loaded CMYK image as RGB (in sRGB), through its profile if it has a usable one; and what is to be said of
    that.
    """
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            return converted, "its CMYK is converted to RGB through its colour profile."
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB"), "its CMYK is converted to RGB without a profile, so that its colours are a guess."


def _metadata_of(image, data, said):
    """All metadata of an image as its file has it, bytes by name. data: of its file, or None; said: what a PNG says
    beside.
    """
    info = image.info
    found = {"icc": info.get("icc_profile"), "exif": info.get("exif") or b"", "xmp": info.get("xmp")} | said.metadata
    if image.format == "TIFF":
        found["exif"] = _exif_of_tiff(image)
    if found["xmp"]:
        xmp = found["xmp"].encode() if isinstance(found["xmp"], str) else found["xmp"]
        found["xmp"] = exif.utf8_of_xmp(xmp) or xmp
    found["exif"] = exif.without_signature(found["exif"])
    described = _color(image, data, said, found["icc"] or b"")
    resolution = said.resolution or (_resolution(info.get("dpi")) if states_resolution(image) else None)
    if described:
        found["color"] = color.packed(described)
    if resolution and max(resolution) <= RESOLUTION_MAX:
        found["resolution"] = packed_resolution(*resolution)
    return {name: content for name, content in found.items() if content}


def _color(image, data, said, icc):
    """The `Color` of an image, or None.

    A PNG's code points count before its profile, in other formats the profile does; light of a screen, which a profile
    can hardly say, counts first.
    """
    of_profile = color_of(icc) if icc else None
    if data:
        stated = said.color or (color_of_boxes(data) if data[4:8] == b"ftyp" else None)
        return stated if said.color or not icc or stated and stated.is_hdr() else of_profile
    if icc:
        return of_profile
    info = image.info
    if "srgb" in info:
        return color.SRGB
    return (
        png.color_of_numbers(info.get("gamma", 0), info.get("chromaticity", ()))
        if "gamma" in info or "chromaticity" in info
        else None
    )


def states_resolution(image):
    """Whether an image's dots per inch are those of its file: without any Pillow says 1 of a TIFF, and 72 of a JPEG
    that has EXIF, which keeps its own.
    """
    if image.format in ("JPEG", "MPO"):
        return image.info.get("jfif_unit") in (1, 2)
    return image.format != "TIFF" or TIFF_X_RESOLUTION in image.tag_v2


def _resolution(inches):
    """Pixels a metre, (x, y), of dots per inch; None where they are none."""
    try:
        x, y = (round(float(dots) / METRES_AN_INCH) for dots in inches)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    return (x, y) if x > 0 and y > 0 else None


def _kept(found, said, wanted, grey, was_cmyk):
    """The metadata that goes with the samples, and what is to be said of the rest. found: all by name; said: what a PNG
    says beside; grey: whether the samples are; was_cmyk: whether they were in CMYK.
    """
    found, lost = dict(found), []
    if "exif" in found:
        found["exif"] = exif.upright(found["exif"])
    if "xmp" in found:
        if exif.utf8_of_xmp(found["xmp"]) is None:
            lost.append("its XMP is no text and is left out.")
            del found["xmp"]
        else:
            found["xmp"] = exif.upright_xmp(found["xmp"])
    icc = found.get("icc", b"")
    if was_cmyk:
        found = {name: content for name, content in found.items() if name not in ("icc", "color")}
    elif icc and not (is_profile(icc) and is_grey(icc) is grey):
        del found["icc"]
        # A profile for RGB describes grey samples, too.
        if not (is_profile(icc) and grey and "color" in found):
            lost.append(
                f"its colour profile is {'for another kind of picture' if is_profile(icc) else 'damaged'} and is left "
                "out."
            )
            if said.color is None:
                found.pop("color", None)
    kept = chosen(found, wanted, grey=grey)
    for kind, limit in LIMITS.items():
        name = CHUNK_NAMES[kind]
        if len(kept.get(name, b"")) > limit:
            lost.append(
                f"its {'colour profile' if name == 'icc' else name.upper()} has more than {limit:,} bytes, which a "
                ".ddc file cannot hold, and is left out (--metadata says what to keep)."
            )
            del kept[name]
    return kept, lost


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


def _bits_of_sample(data):
    """Bits a sample that a PNG, AVIF, JPEG XL or PPM states, else 8: Pillow hands out 8 for most of what has more."""
    if _plugin_format(data) == "JXL":
        return read_header(data).bits
    if data.startswith(png.SIGNATURE) and len(data) > 24:
        return data[24]
    if data[4:8] == b"ftyp":
        # The configuration of the first AV1 picture: marker and version, profile, then flags: high_bitdepth,
        # twelve_bit.
        found = re.search(rb"av1C\x81.(.)", data, re.DOTALL)
        flags = found[1][0] if found else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    found = re.match(PPM_HEAD, data[:4096])
    return int(found[4]).bit_length() if found else 8


def _bits_of_tiff(image, name):
    """Bits a sample of a TIFF: at most 8, or 16.

    Refuses what its tags state and readers drop: other depths, signed samples, more channels.
    """
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
        tags.get(TIFF_PHOTOMETRIC, 1) > TIFF_RGB
        or tags.get(TIFF_PLANAR, 1) != 1
        or count in (2, 4)
        and tags.get(TIFF_EXTRA, (0,))[0] != TIFF_STRAIGHT_ALPHA
    ):
        raise SourceError(
            f"{name} is a 16-bit TIFF of a kind that is not supported: only grey and RGB with straight alpha are, "
            "their channels together."
        )
    return bits


def _refuse_pixels(size, name, max_pixels):
    """Refuse what a file may not hold: more than `max_pixels`, if that is not 0, or than Pillow takes."""
    from PIL import Image

    if max_pixels and size[0] * size[1] > max_pixels:
        raise LimitError(
            f"{name} has {size[0]}x{size[1]} = {size[0] * size[1]:,} pixels, above the limit of {max_pixels:,} "
            "(--max-pixels)."
        )
    if Image.MAX_IMAGE_PIXELS is not None and size[0] * size[1] > 2 * Image.MAX_IMAGE_PIXELS:
        raise _too_many_pixels(name)


def _refuse_size(size, name):
    if max(size) > SIDE_MAX:
        raise SourceError(
            f"{name} is {size[0]}x{size[1]}: no side of a .ddc picture can be longer than {SIDE_MAX} pixels."
        )
    if min(size) < 1:
        raise SourceError(f"{name} is {size[0]}x{size[1]}: it has no pixels.")


def _is_transparent(image):
    return (
        image.mode in ALPHA_MODES or "transparency" in image.info or image.mode == "P" and image.palette.mode != "RGB"
    )


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
        raise SourceError(
            f"The array has the shape {array.shape}; it must be (H, W) or (H, W, 1 to 4), where the second or fourth "
            "channel is alpha."
        )
    _refuse_size(array.shape[1::-1], "The array")
    array = array.astype(array.dtype.newbyteorder("="), copy=False).reshape(*array.shape[:2], channels)
    colours = array[:, :, 0] if channels < 3 else array[:, :, :3]
    alpha = array[:, :, -1] if channels in (2, 4) else None
    if alpha is not None and (alpha == peak_of(alpha)).all():
        alpha = None
    return Picture(np.ascontiguousarray(colours), alpha=alpha if alpha is None else np.ascontiguousarray(alpha))


def _damaged(name, error):
    if "truncated" in str(error).lower():
        return SourceError(f"{name} is cut off: its end is missing.")
    return SourceError(
        f"{name} is damaged or cut off"
        + (f": {' '.join(str(error).split()).rstrip(' .') or type(error).__name__}." if error else ".")
    )


def _too_many_pixels(name):
    from PIL import Image

    return SourceError(
        f"{name} has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, the most that are read from a file "
        "(--max-pixels names another limit)."
    )


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
    chunks = PngImagePlugin.PngInfo()
    described, resolution = picture.color(), picture.resolution()
    for kind, content in png.chunks_for(described) if described else ():
        chunks.add(kind, content)
    if "xmp" in metadata:
        chunks.add_itxt(png.XMP, metadata["xmp"].decode("utf-8", "replace"))
    # Pillow knows no 16 bits with several channels: it writes all that is not pixels round one row of them, imagecodecs
    # the pixels.
    deep_colours = whole.ndim == 3 and bits_of(whole) > 8
    image = Image.fromarray(shallow(whole[:1]) if deep_colours else whole)
    inches = {"dpi": tuple(METRES_AN_INCH * number for number in resolution)} if resolution else {}
    image.save(
        file,
        "PNG",
        compress_level=PNG_COMPRESSION,
        **inches,
        icc_profile=picture.profile(),
        exif=exif.upright(metadata.get("exif", b"")),
        pnginfo=chunks,
    )
    if not deep_colours:
        return file.getvalue()
    imagecodecs = _imagecodecs("writing 16 bits a sample to a PNG")
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

"""Pictures in and out: the only door to Pillow and imagecodecs.

What cannot be kept whole is refused in one sentence, or said; it is never cut down silently.
"""

import io
import os
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock

import numpy as np

from ..errors import SourceError, UsageError
from ..jobs.input import all_bytes, read_whole
from ..picture import Picture, bits_of, peak_of
from . import png
from .deep import bits_before_loading
from .jpegxl import read_header
from .kinds import FORMATS, PLUGIN_TITLES, PLUGINS, bits_of_jpeg, is_ddc, kind_of_picture, picture_bytes, plugin_format
from .metadata import USUAL, kept_metadata, metadata_of_image, orientation_left
from .modes import whole_array
from .refusals import UNREADABLE, damaged, imagecodecs_for, refuse_pixels, refuse_size, too_many_pixels
from .tiff import out_of_tiff

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
_PILLOWS_LIMIT = Lock()


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
    orientation, data = out_of_tiff(data, frame)
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
    if image.mode != "I;16" and bits_before_loading(image) > 8:
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

    format = plugin_format(data)
    if format:
        _register(format, name)
    try:
        image = Image.open(io.BytesIO(data), formats=[format] if format else FORMATS)
    except Image.DecompressionBombError:
        raise too_many_pixels(name) from None
    except UnidentifiedImageError:
        raise _unidentified(data, name) from None
    except UNREADABLE as error:
        # What the plugin for JPEG XL says is for those who build it.
        raise damaged(name, None if format == "JXL" else error) from None
    refuse_size(image.size, name)
    return image


def _unidentified(data, name):
    """The `SourceError` of a file that Pillow knows no reader for, as far as its first bytes tell."""
    bits = bits_of_jpeg(data)
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
    refuse_size(image.size, name)
    notes = []
    if data:
        refuse_pixels(image.size, name, max_pixels)
        notes = _go_to(image, data, frame, name)
        # Pages can be of other sizes than the first.
        refuse_size(image.size, name)
        refuse_pixels(image.size, name, max_pixels)
    found = metadata_of_image(image, data, said)
    if orientation is None:
        orientation = orientation_left(image, found)
    whole, said_of_samples = whole_array(image, data, frame, name)
    picture = _picture_of_array(TURNS[orientation](whole) if orientation in TURNS else whole)
    if image.info.get("bit_depth", 8) > 8:
        notes.append(f"of its {image.info['bit_depth']} bits a sample 8 are kept.")
    metadata, lost = kept_metadata(found, said, wanted, picture.samples.ndim == 2, image.mode == "CMYK")
    notes = notes + said_of_samples + (said.notes + lost if wanted else [])
    return replace(picture, metadata=metadata, notes=tuple(f"{name}: {note}" for note in notes))


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
        raise damaged(name, error) from None
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
    return len(imagecodecs_for(f"reading {name}").jpegxl_decode(data)) if header.animated else 1


def _picture_of_array(array):
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise SourceError(f"The array holds {array.dtype}; samples must be uint8 (8 bits) or uint16 (16 bits).")
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or not 1 <= channels <= 4:
        raise SourceError(
            f"The array has the shape {array.shape}; it must be (H, W) or (H, W, 1 to 4), where the second or fourth "
            "channel is alpha."
        )
    refuse_size(array.shape[1::-1], "The array")
    array = array.astype(array.dtype.newbyteorder("="), copy=False).reshape(*array.shape[:2], channels)
    colours = array[:, :, 0] if channels < 3 else array[:, :, :3]
    alpha = array[:, :, -1] if channels in (2, 4) else None
    if alpha is not None and (alpha == peak_of(alpha)).all():
        alpha = None
    return Picture(np.ascontiguousarray(colours), alpha=alpha if alpha is None else np.ascontiguousarray(alpha))

"""Read pictures from files, from Pillow images and from arrays.

What cannot be kept whole is refused in one sentence, or noted. Nothing is cut down silently.
"""

import io
import os
from collections.abc import Callable, Collection
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from PIL import Image

Source = str | os.PathLike[str] | bytes | bytearray | memoryview
"""Path of a picture file, or its bytes."""
_BYTES = (bytes, bytearray, memoryview)
"""Types of the bytes of a file, as in `Source`."""

TURNS = {
    2: lambda rows: rows[:, ::-1],
    3: lambda rows: rows[::-1, ::-1],
    4: lambda rows: rows[::-1],
    5: lambda rows: rows.swapaxes(0, 1),
    6: lambda rows: rows[::-1].swapaxes(0, 1),
    7: lambda rows: rows[::-1, ::-1].swapaxes(0, 1),
    8: lambda rows: rows[:, ::-1].swapaxes(0, 1),
}
"""EXIF orientation -> function that sets an array (H, W, ...) upright."""
_PILLOWS_LIMIT = Lock()
"""Held while Pillow's own limit of pixels, one for the whole process, is off."""


def load_picture(source: Source, *, name: str | None = None) -> np.ndarray:
    """Read the samples of a picture file with the EXIF orientation applied: uint8 (H, W) or (H, W, 3).

    This is for uses that know nothing but samples.

    source: a path, or the bytes of a file.
    name: what error messages call it; None for its path.

    Raises `SourceError` for what cannot be read, for alpha and for 16 bits a sample; `LimitError` for too many bytes.
    """
    return plain_samples(read_picture(source, name=name, metadata=()), _called(source, name))


def plain_samples(picture: Picture, name: str) -> np.ndarray:
    """Return the samples of a `Picture` where nothing else is supported: no alpha, 8 bits a sample.

    name: what error messages call it.

    Raises `SourceError` for alpha and for 16 bits a sample.
    """
    if picture.alpha is not None:
        raise SourceError(
            f"{name} has an alpha channel or transparency, which is not supported here. Flatten it first."
        )
    if bits_of(picture.samples) > 8:
        raise SourceError(f"{name} has 16 bits a sample; only 8 are supported here. Convert it to 8 bits first.")
    return picture.samples


def read_picture(
    source: Source,
    *,
    name: str | None = None,
    frame: int | None = None,
    max_pixels: int = 0,
    metadata: Collection[str] = USUAL,
) -> Picture:
    """Read the `Picture` in a file of one of `FORMATS` and `PLUGINS`.

    1-bit pictures become grey, palettes RGB (grey if all their colours are), CMYK RGB. A depth of more than 8 bits a
    sample becomes 16.

    source: a path, or the bytes of a file.
    name: what error messages call it; None for its path.
    frame: of an animation or of several pages, counted from 1; None for the first.
    max_pixels: larger pictures are refused before they are decoded; 0 refuses those that Pillow does not take.
    metadata: the kinds that are wanted, as for `metadata.chosen`.

    Raises `SourceError` for what is missing, damaged or of another kind (Lab, floating-point, sides above 65535).
    Raises `UsageError` for a frame that there is not, and `LimitError` for more than `max_pixels` or too many bytes.
    """
    data = bytes(source) if isinstance(source, _BYTES) else read_file(source, picture_bytes)
    name = _called(source, name)
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
    """Switch Pillow's limit of pixels off while somebody names a limit above it.

    Pillow's limit is the whole process's. Others who name one wait, and find Pillow's as it was.
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


def _called(source, name):
    """Return what error messages call a source: its name, or else its path."""
    return name or ("The picture" if isinstance(source, _BYTES) else os.fspath(source))


def picture_from(image: "Picture | np.ndarray | Image.Image") -> Picture:
    """Make a `Picture` of a Pillow image or of an array; a `Picture` is returned as it is.

    An array is uint8 or uint16, (H, W) or (H, W, 1 to 4), of which the second or fourth channel is alpha. A Pillow
    image that still knows an EXIF orientation is set upright, as a file would be. Its colours are described as far as
    it knows them.

    Raises `SourceError` for all else.
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
    """Whether the pixels of a Pillow image are not here and cannot be loaded."""
    try:
        return image.im is None
    except ValueError:
        return True
    except AssertionError:
        # Not loaded yet.
        if getattr(image, "fp", None) is not None:
            return image.fp.closed and bool(image.tile)
    try:
        # Some formats need no file to be loaded.
        image.load()
    except AssertionError:
        return True
    return False


def read_file(path: str | os.PathLike[str], wanted: Callable[[bytes], float] = all_bytes) -> bytes:
    """Read the bytes of a file, as `jobs.input.read_whole` does.

    wanted: tells of the first bytes how many bytes are worth reading.

    Raises `SourceError`, with the path, if the file is missing, a folder or unreadable; `LimitError` if it is too
    large.
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
        # The messages of the plugin for JPEG XL are for those who build it.
        raise damaged(name, None if format == "JXL" else error) from None
    refuse_size(image.size, name)
    return image


def _unidentified(data, name):
    """Make the `SourceError` of a file that Pillow knows no reader for, as far as its first bytes tell."""
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
    """Make the `Picture` of an opened image.

    data: the bytes of its file; without them the image is at its frame already.
    said: what a PNG says beside its pixels.
    orientation: of a TIFF's page; None for that of EXIF or XMP.
    wanted: kinds of metadata.
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
    """Turn an image to its frame, and return notes on that.

    data: the bytes of its file.
    """
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
    """Count the frames of a JPEG XL file.

    Raises `SourceError` for floating-point samples, and one of `UNREADABLE` for a damaged file.
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

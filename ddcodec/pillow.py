"""Pillow's plugin: after an import of this module `Image.open` reads `.ddc` files, and `Image.save` writes them.

`LIMITS` holds what a decode may cost. It may be replaced, as Pillow's own `Image.MAX_IMAGE_PIXELS` may; both hold.

`save` takes the options of `ddcodec.encode` but `progress`. It also takes `exif` (bytes or an `Image.Exif`),
`icc_profile`, `xmp` and `dpi`. By default these are those in the image's info; None leaves one out.

A standard profile becomes a colour description. When the file is opened, another profile of the same meaning is made of
it. Orientation is applied to the pixels. Errors of options are `ValueError`, all others `OSError`.
"""

import warnings
from contextlib import contextmanager
from dataclasses import fields
from numbers import Number
from typing import Any

from PIL import Image, ImageFile

from .decoder import Limits, decode_file
from .encoder import encode_picture
from .errors import DamagedError, DdcError, UsageError
from .format.container import CHUNK_NAMES, read_body
from .format.header import HEADER_BYTES, read_header
from .format.metadata import metadata_of, read_metadata, unpacked_resolution
from .options import EncodeOptions
from .pictures.exif import SIGNATURE
from .pictures.kinds import is_ddc
from .pictures.metadata import METRES_AN_INCH, profile_in, states_resolution
from .pictures.read import picture_from
from .pictures.write import pillow_image

LIMITS = Limits()
"""Limits on the cost of a decode; a program may set others."""

COLOURS_OF_PNG = ("srgb", "gamma", "chromaticity")
"""Names in the info of a PNG that describe its colours if it has no profile."""


class DdcImageFile(ImageFile.ImageFile):
    """An opened file.

    Size, mode and info are known at once. Pixels are decoded when they are needed.
    """

    format = "DDC"
    format_description = "ddcodec"
    fp: Any  # Pillow declares that there may be none.

    def _open(self):
        head = self.fp.read(HEADER_BYTES)
        with _errors_of_pillow():
            try:
                header = read_header(head)
            except DamagedError as error:
                raise SyntaxError(str(error)) from error  # Image.open makes an UnidentifiedImageError of it.
        kinds = self._read_info(head + self.fp.read(), header.arch.planes == 1) if header.chunks else ()
        self._size, self._mode = (header.arch.width, header.arch.height), _mode_of(header.arch, "alpha" in kinds)
        self._scale_max = 1 << header.arch.octaves - 1
        self.tile = [ImageFile._Tile("ddc", (0, 0, *self.size), 0, (1,))]

    def _read_info(self, data, grey):
        """Fill `info` from the chunks, and return their names. grey: the samples are grey."""
        try:
            chunks = read_body(data, read_header(data)).chunks
            metadata = metadata_of(chunks)
        except DamagedError:
            return ()  # The size is known all the same. Loading the pixels will raise.
        profile = profile_in(metadata, grey)
        if profile:
            self.info["icc_profile"] = profile
        if "exif" in metadata:
            self.info["exif"] = SIGNATURE + metadata["exif"]
        if "resolution" in metadata:
            self.info["dpi"] = tuple(METRES_AN_INCH * number for number in unpacked_resolution(metadata["resolution"]))
        self.info |= {kind: metadata[kind] for kind in ("xmp", "note") if kind in metadata}
        return [CHUNK_NAMES.get(kind) for kind, _ in chunks]

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Choose to decode 1/2, 1/4 or 1/8 of the picture, if that is still at least `size` (width, height).

        This is quicker. The mode stays as it is.

        Returns (mode, box of the whole picture within the new size), or None if there is nothing left to choose.
        """
        if not self.tile or self.tile[0].args != (1,) or not size:
            return None
        width, height = self.size
        scale = next(
            (s for s in (8, 4, 2) if s <= self._scale_max and s * size[0] <= width and s * size[1] <= height), 1
        )
        self._size = (-(-width // scale), -(-height // scale))
        self.tile = [ImageFile._Tile("ddc", (0, 0, *self.size), 0, (scale,))]
        return self.mode, (0, 0, width / scale, height / scale)

    def load_seek(self, position: int) -> None:
        """Go to a position of the file."""
        # Pillow's incremental parser waits for the whole file if this method exists.
        self.fp.seek(position)

    def verify(self) -> None:
        """Check all checksums but that of the pixels. Raises `OSError`."""
        self.fp.seek(0)
        with _errors_of_pillow():
            read_metadata(self.fp.read())
        super().verify()


class DdcDecoder(ImageFile.PyDecoder):
    """A decoder from the bytes of a file to the pixels of a `DdcImageFile`. Its argument is the scale."""

    _pulls_fd = True
    fd: Any  # Pillow declares that there may be none.

    def decode(self, buffer: Any) -> tuple[int, int]:
        """Decode the whole file at once."""
        with _errors_of_pillow():
            image = _decoded(self.fd.read(), *self.args)
        self.set_as_raw(image.tobytes(), image.mode)
        return -1, 0


def _mode_of(arch, alpha):
    """Return the mode that `_decoded` will have."""
    if arch.planes == 1:
        return "LA" if alpha else "I;16" if arch.depth else "L"
    return "RGBA" if alpha else "RGB"


def _decoded(data, scale):
    return pillow_image(decode_file(data, scale=scale, limits=LIMITS))


def _save(image, file, filename):
    wished = image.encoderinfo
    options = {field.name: wished[field.name] for field in fields(EncodeOptions) if field.name in wished}
    plain = image.copy()
    _check_metadata(wished)
    for name in ("icc_profile", "exif", "xmp"):
        content = wished.get(name, image.info.get(name))
        plain.info[name] = content.tobytes() if isinstance(content, Image.Exif) else content or b""
    plain.info["dpi"] = wished.get("dpi", image.info.get("dpi") if states_resolution(image) else None)
    if "icc_profile" in wished:
        for name in COLOURS_OF_PNG:
            plain.info.pop(name, None)
    with _errors_of_pillow():
        asked = EncodeOptions(**options)
        picture = picture_from(plain)
        for note in picture.notes:
            warnings.warn(note, stacklevel=3)
        encoded = encode_picture(
            picture.samples, asked, metadata=picture.metadata, alpha=picture.alpha, warn=warnings.warn
        )
    file.write(encoded.data)


def _check_metadata(wished):
    """Raise `ValueError` for metadata of a wrong type."""
    for name, kinds in (("icc_profile", bytes), ("exif", (bytes, Image.Exif)), ("xmp", (bytes, str))):
        if not isinstance(wished.get(name) or b"", kinds):
            raise ValueError(f"{name} must be bytes, not {type(wished[name]).__name__}.")
    dpi = wished.get("dpi")
    if dpi is not None and not (
        isinstance(dpi, (tuple, list))
        and len(dpi) == 2
        and all(isinstance(number, Number) and number > 0 for number in dpi)
    ):
        raise ValueError(f"dpi must be two numbers above 0, not {dpi!r}.")


@contextmanager
def _errors_of_pillow():
    try:
        yield
    except UsageError as error:
        raise ValueError(str(error)) from error
    except DdcError as error:
        raise OSError(str(error)) from error


Image.register_decoder("ddc", DdcDecoder)
Image.register_open(DdcImageFile.format, DdcImageFile, is_ddc)
Image.register_save(DdcImageFile.format, _save)
Image.register_extension(DdcImageFile.format, ".ddc")
Image.register_mime(DdcImageFile.format, "image/x-ddc")

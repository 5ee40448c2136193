"""Metadata chunks (FORMAT.md, chapter 2).

ICC profile, EXIF, XMP and a note are Zstandard frames of a limited size. Colour description and resolution are a few
bytes.
"""

from collections.abc import Container, Iterable, Mapping

from ..errors import DamagedError, SourceError
from . import color
from .container import CHUNK_NAMES, Cursor, read_beginning, read_body, varint
from .header import read_header

LEVEL = 19
"""Zstandard's level of compression. The levels above, 20 to 22, take more memory."""

LIMITS = {1: 4 * 2**20, 2: 2**20, 3: 2**20, 4: 2**20}
"""Ids of chunks -> bytes that their content may have when decompressed (FORMAT.md, chapter 2)."""

COLOR, RESOLUTION = 6, 7
"""Ids of the chunks of colour description and resolution (FORMAT.md, chapter 2)."""

RESOLUTION_MAX = 2**28 - 1
"""Greatest resolution in pixels a metre; a varint holds no more (FORMAT.md, *Conventions*)."""

KINDS = tuple(CHUNK_NAMES[kind] for kind in (*LIMITS, COLOR, RESOLUTION))
"""Names of all kinds of metadata: "icc", "exif", "xmp", "note", "color", "resolution"."""


def chunks_of(metadata: Mapping[str, bytes]) -> tuple[tuple[int, bytes], ...]:
    """Make chunks (id, content) of metadata.

    metadata: name -> bytes, with names from `KINDS`. Other names are passed over.

    Raises `SourceError` for metadata above the format's limits.
    """
    chunks = []
    for kind, name in CHUNK_NAMES.items():
        if kind in LIMITS and name in metadata:
            if len(metadata[name]) > LIMITS[kind]:
                raise SourceError(
                    f"The {name.upper()} metadata has {len(metadata[name]):,} bytes; at most {LIMITS[kind]:,} fit."
                )
            chunks.append((kind, compressed(metadata[name])))
        elif kind in (COLOR, RESOLUTION) and name in metadata:
            chunks.append((kind, metadata[name]))
    return tuple(chunks)


def metadata_of(chunks: Iterable[tuple[int, bytes]], wanted: Container[str] = KINDS) -> dict[str, bytes]:
    """Read the metadata in chunks: the dict that `chunks_of` was given.

    wanted: names of the kinds to read. All other chunks are passed over.

    Raises `DamagedError`.
    """
    named = [(kind, CHUNK_NAMES.get(kind), content) for kind, content in chunks]
    return {name: _read(kind, name, content) for kind, name, content in named if name in KINDS and name in wanted}


def _read(kind, name, content):
    if kind in LIMITS:
        return decompressed(content, f"{name.upper()} metadata", LIMITS[kind])
    (color.unpacked if kind == COLOR else unpacked_resolution)(content)
    return content


def color_in(metadata: Mapping[str, bytes]) -> color.Color | None:
    """Read the `Color` in metadata (name -> bytes), or None if there is none. Raises `DamagedError`."""
    return color.unpacked(metadata["color"]) if "color" in metadata else None


def resolution_in(metadata: Mapping[str, bytes]) -> tuple[int, int] | None:
    """Read (x, y) in pixels a metre in metadata (name -> bytes), or None if there are none. Raises `DamagedError`."""
    return unpacked_resolution(metadata["resolution"]) if "resolution" in metadata else None


def packed_resolution(x: int, y: int) -> bytes:
    """Write the content of chunk 7.

    x, y: pixels a metre, 1 to `RESOLUTION_MAX`.
    """
    return varint(x) + (varint(y) if y != x else b"")


def unpacked_resolution(content: bytes) -> tuple[int, int]:
    """Read (x, y) in pixels a metre in the content of chunk 7. Raises `DamagedError`."""
    cursor = Cursor(content)
    x = cursor.varint()
    y = cursor.varint() if cursor.at < len(content) else x
    if cursor.at < len(content) or not x or not y:
        raise DamagedError("The resolution is not written as it should be.")
    return x, y


def read_metadata(data: bytes, wanted: Container[str] = KINDS) -> dict[str, bytes]:
    """Read the metadata of a file, name -> bytes.

    wanted: names of the kinds to read.

    Raises `DamagedError` or `UnsupportedError`.
    """
    return metadata_of(read_body(data, read_header(data)).chunks, wanted)


def kinds_of(data: bytes) -> list[str]:
    """List the kinds of metadata in a file or its beginning, without a look inside.

    The names are those of `KINDS`. Raises `DamagedError` or `UnsupportedError`.
    """
    names = [CHUNK_NAMES.get(kind) for kind, _ in read_beginning(data, read_header(data)).chunks]
    return [name for name in names if name in KINDS]


def compressed(content: bytes) -> bytes:
    """Compress bytes to one Zstandard frame that states its content size."""
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL, write_content_size=True).compress(content)


def decompressed(frame: bytes, name: str, limit: int, *, exactly: bool = False) -> bytes:
    """Decompress a Zstandard frame.

    name: the word for it in messages. limit: the most bytes that the content may have.
    exactly: the content must have `limit` bytes.

    Raises `DamagedError`.
    """
    import zstandard

    try:
        # The package allocates whatever size a frame states, with `max_output_size`, too. So the size is looked at
        # first. Only this call, which decompresses all at once, then keeps to it.
        size = zstandard.get_frame_parameters(frame).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN or size > limit or exactly and size != limit:
            raise DamagedError(f"The {name} does not state a size of {'' if exactly else 'at most '}{limit:,} bytes.")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError:
        raise DamagedError(f"The {name} is not one whole Zstandard frame.") from None

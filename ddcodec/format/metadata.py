"""Metadata chunks (FORMAT.md, chapter 2): ICC profile, EXIF, XMP and a note as Zstandard frames with bounds that hold;
colour description and resolution as a few bytes.
"""

from ..errors import DamagedError, SourceError
from . import color
from .container import CHUNK_NAMES, Cursor, read_beginning, read_body, varint
from .header import read_header

LEVEL = 19
LIMITS = {1: 4 * 2**20, 2: 2**20, 3: 2**20, 4: 2**20}
"""Kind of metadata -> bytes that it may have when decompressed."""
COLOR, RESOLUTION = 6, 7
RESOLUTION_MAX = 2**28 - 1
KINDS = tuple(CHUNK_NAMES[kind] for kind in (*LIMITS, COLOR, RESOLUTION))


def chunks_of(metadata):
    """Chunks (id, content) of a dict with any of the names in `KINDS` and bytes as values.

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


def metadata_of(chunks, wanted=KINDS):
    """The dict that `chunks_of` was given, of the kinds that are wanted; all other chunks are passed over.

    Raises `DamagedError`.
    """
    named = [(kind, CHUNK_NAMES.get(kind), content) for kind, content in chunks]
    return {name: _read(kind, name, content) for kind, name, content in named if name in KINDS and name in wanted}


def _read(kind, name, content):
    if kind in LIMITS:
        return decompressed(content, f"{name.upper()} metadata", LIMITS[kind])
    (color.unpacked if kind == COLOR else unpacked_resolution)(content)
    return content


def color_in(metadata):
    """The `Color` that describes samples with this metadata (name -> bytes), or None. Raises `DamagedError`."""
    return color.unpacked(metadata["color"]) if "color" in metadata else None


def resolution_in(metadata):
    """(x, y) in pixels a metre, of metadata (name -> bytes), or None. Raises `DamagedError`."""
    return unpacked_resolution(metadata["resolution"]) if "resolution" in metadata else None


def packed_resolution(x, y):
    """The content of chunk 7. x, y: pixels a metre, 1 to `RESOLUTION_MAX`."""
    return varint(x) + (varint(y) if y != x else b"")


def unpacked_resolution(content):
    """(x, y) in pixels a metre of the content of chunk 7. Raises `DamagedError`."""
    cursor = Cursor(content)
    x = cursor.varint()
    y = cursor.varint() if cursor.at < len(content) else x
    if cursor.at < len(content) or not x or not y:
        raise DamagedError("The resolution is not written as it should be.")
    return x, y


def read_metadata(data, wanted=KINDS):
    """The metadata in the bytes of a file, of the kinds that are wanted.

    Raises `DamagedError` or `UnsupportedError`.
    """
    return metadata_of(read_body(data, read_header(data)).chunks, wanted)


def kinds_of(data):
    """The names of the metadata in the bytes of a file, or of its beginning (those in `KINDS`), without looking
    inside.
    """
    names = [CHUNK_NAMES.get(kind) for kind, _ in read_beginning(data, read_header(data)).chunks]
    return [name for name in names if name in KINDS]


def compressed(content):
    """Bytes as one Zstandard frame that states its size."""
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL, write_content_size=True).compress(content)


def decompressed(frame, name, limit, *, exactly=False):
    """The content of a Zstandard frame, of at most `limit` bytes, or of exactly so many.

    Raises `DamagedError`, in which it is called `name`.
    """
    import zstandard

    try:
        # The package allocates whatever size a frame states, `max_output_size` or not: look first. Only all at once it
        # also keeps to that size.
        size = zstandard.get_frame_parameters(frame).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN or size > limit or exactly and size != limit:
            raise DamagedError(f"The {name} does not state a size of {'' if exactly else 'at most '}{limit:,} bytes.")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError:
        raise DamagedError(f"The {name} is not one whole Zstandard frame.") from None

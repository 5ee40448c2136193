"""Metadata chunks (FORMAT.md, chapter 2): ICC profile, EXIF, XMP and a note as Zstandard frames, with bounds that hold."""

from .errors import DamagedError, SourceError
from .syntax import CHUNK_NAMES, read_beginning, read_body, read_header

LEVEL = 19
LIMITS = {1: 4 * 2**20, 2: 2**20, 3: 2**20, 4: 2**20}
"""Kind of metadata -> bytes that it may have when decompressed."""
KINDS = tuple(CHUNK_NAMES[kind] for kind in LIMITS)


def chunks_of(metadata):
    """Chunks (id, content) of a dict with any of the keys "icc", "exif", "xmp", "note" and bytes as values.

    Raises `SourceError` for metadata above the format's limits.
    """
    chunks = []
    for kind, limit in LIMITS.items():
        name = CHUNK_NAMES[kind]
        if name in metadata:
            if len(metadata[name]) > limit:
                raise SourceError(f"The {name.upper()} metadata has {len(metadata[name]):,} bytes; at most {limit:,} fit.")
            chunks.append((kind, compressed(metadata[name])))
    return tuple(chunks)


def metadata_of(chunks, wanted=KINDS):
    """The dict that `chunks_of` was given, of the kinds that are wanted; all other chunks are passed over. Raises `DamagedError`."""
    named = [(kind, CHUNK_NAMES.get(kind), content) for kind, content in chunks]
    return {name: decompressed(content, f"{name.upper()} metadata", LIMITS[kind]) for kind, name, content in named if name in wanted}


def read_metadata(data):
    """The metadata in the bytes of a file. Raises `DamagedError` or `UnsupportedError`."""
    return metadata_of(read_body(data, read_header(data)).chunks)


def kinds_of(data):
    """The names of the metadata in the bytes of a file, or of its beginning ("icc", "exif", "xmp", "note"), without looking inside."""
    return [CHUNK_NAMES[kind] for kind, _ in read_beginning(data, read_header(data)).chunks if kind in LIMITS]


def compressed(content):
    """Bytes as one Zstandard frame that states its size."""
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL, write_content_size=True).compress(content)


def decompressed(frame, name, limit, *, exactly=False):
    """The content of a Zstandard frame, of at most `limit` bytes, or of exactly so many. Raises `DamagedError`, in which it is called `name`."""
    import zstandard

    try:
        # The package allocates whatever size a frame states, `max_output_size` or not: look first. Only all at once it also keeps to that size.
        size = zstandard.get_frame_parameters(frame).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN or size > limit or exactly and size != limit:
            raise DamagedError(f"The {name} does not state a size of {'' if exactly else 'at most '}{limit:,} bytes.")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError:
        raise DamagedError(f"The {name} is not one whole Zstandard frame.") from None

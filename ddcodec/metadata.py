"""Metadata chunks (FORMAT.md, chapter 2): ICC profile, EXIF, XMP and a note as Zstandard frames, with bounds that hold."""

from .errors import DamagedError, SourceError
from .syntax import CHUNK_LIMITS, CHUNK_NAMES, read_body, read_header

LEVEL = 19


def chunks_of(metadata):
    """Chunks (id, content) of a dict with any of the keys "icc", "exif", "xmp", "note" and bytes as values.

    Raises `SourceError` for metadata above the format's limits.
    """
    import zstandard

    chunks = []
    for kind, name in CHUNK_NAMES.items():
        if name in metadata:
            if len(metadata[name]) > CHUNK_LIMITS[kind]:
                raise SourceError(f"The {name.upper()} metadata has {len(metadata[name]):,} bytes; at most {CHUNK_LIMITS[kind]:,} fit.")
            chunks.append((kind, zstandard.ZstdCompressor(level=LEVEL, write_content_size=True).compress(metadata[name])))
    return tuple(chunks)


def metadata_of(chunks):
    """The dict that `chunks_of` was given; chunks of other kinds are passed over. Raises `DamagedError`."""
    return {CHUNK_NAMES[kind]: _decompressed(kind, content) for kind, content in chunks if kind in CHUNK_NAMES}


def read_metadata(data):
    """The metadata in the bytes of a file. Raises `DamagedError` or `UnsupportedError`."""
    return metadata_of(read_body(data, read_header(data)).chunks)


def kinds_of(data):
    """The names of the metadata in the bytes of a file ("icc", "exif", "xmp"), without looking inside."""
    return [CHUNK_NAMES[kind] for kind, _ in read_body(data, read_header(data)).chunks if kind in CHUNK_NAMES]


def _decompressed(kind, content):
    import zstandard

    name = CHUNK_NAMES[kind].upper()
    try:
        # The package allocates whatever size a frame states, `max_output_size` or not: look first.
        size = zstandard.get_frame_parameters(content).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN or size > CHUNK_LIMITS[kind]:
            raise DamagedError(f"The {name} metadata does not state a size of at most {CHUNK_LIMITS[kind]:,} bytes.")
        decompressor = zstandard.ZstdDecompressor().decompressobj()
        data = decompressor.decompress(content)
        if len(data) != size or decompressor.unused_data or not decompressor.eof:
            raise DamagedError(f"The {name} metadata is not one whole Zstandard frame.")
    except zstandard.ZstdError:
        raise DamagedError(f"The {name} metadata is damaged.") from None
    return data

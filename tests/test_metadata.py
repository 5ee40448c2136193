"""Metadata chunks: what is put in comes out, and what is damaged or too large is refused without being unpacked."""

import tracemalloc

import numpy as np
import pytest
import zstandard

from ddcodec.errors import DamagedError, SourceError
from ddcodec.format.metadata import LIMITS, chunks_of, metadata_of


def test_round_trip():
    random = np.random.default_rng(0)
    metadata = {
        "icc": random.bytes(3000),
        "exif": b"II*\0" + bytes(500),
        "xmp": "<x>\u00e4</x>".encode(),
        "note": b"restored",
    }
    chunks = chunks_of(metadata)
    assert [kind for kind, _ in chunks] == [1, 2, 3, 4]
    assert metadata_of(chunks) == metadata
    assert metadata_of(chunks + ((77, b"unknown"),)) == metadata
    assert {kind: zstandard.ZstdDecompressor().decompress(content) for kind, content in chunks}[1] == metadata["icc"]
    assert metadata_of(chunks_of({"xmp": b""})) == {"xmp": b""}


def test_limits_of_the_encoder():
    with pytest.raises(SourceError, match="EXIF metadata has 1,048,577 bytes; at most 1,048,576 fit"):
        chunks_of({"exif": bytes(LIMITS[2] + 1)})


def bad_contents():
    whole = chunks_of({"icc": bytes(range(200))})[0][1]
    yield "empty", b""
    yield "no frame", b"ICC profile"
    yield "cut off", whole[:-1]
    yield "something behind", whole + b"x"
    yield "two frames", whole + whole
    yield "no size", zstandard.ZstdCompressor(write_content_size=False).compress(b"abc")
    yield "skippable", b"\x50\x2a\x4d\x18\x01\x00\x00\x00x"
    yield "wrong size", zstandard.ZstdCompressor().compress(b"abc").replace(b"\x03", b"\x09", 1)


@pytest.mark.parametrize(
    "content", [content for _, content in bad_contents()], ids=[name for name, _ in bad_contents()]
)
def test_bad_content(content):
    with pytest.raises(DamagedError, match="ICC metadata"):
        metadata_of([(1, content)])


def test_a_bomb_is_not_unpacked():
    bomb = zstandard.ZstdCompressor().compress(bytes(200_000_000))
    assert len(bomb) < 10_000
    tracemalloc.start()
    try:
        with pytest.raises(DamagedError, match="at most 4,194,304 bytes"):
            metadata_of([(1, bomb)])
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()

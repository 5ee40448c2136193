"""The alpha chunk: held against the witness and Pillow, damaged, bombed, in smaller pictures; what its options do."""

import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import invalid
import numpy as np
import pytest
import witness
import zstandard
from conftest import painted
from PIL import Image
from random_coded import DEFAULT, random_coded

from ddcodec.decoder import decode_file
from ddcodec.encoder import Source, encode_picture
from ddcodec.errors import DamagedError, SourceError
from ddcodec.format.alpha import alpha_chunk, alpha_of, coarser
from ddcodec.format.container import read_body
from ddcodec.format.files import pack
from ddcodec.format.header import HEADER_BYTES, read_header
from ddcodec.metrics import compared, psnr
from ddcodec.options import EncodeOptions
from ddcodec.picture import Picture

VALID = Path(__file__).parent / "vectors" / "valid"
NAMES = ["alpha_0", "alpha_1", "alpha_2", "alpha_3", "deep_alpha"]


def by_witness(data):
    """Alpha of a file as chapter 8 reads: the frame by the package of its format, all else by the witness."""
    header = witness.read_header(data)
    content = dict(read_body(data, read_header(data)).chunks)[5]
    return witness.alpha_plane(header, content[0], zstandard.ZstdDecompressor().decompress(content[1:]))


@pytest.mark.parametrize("name", NAMES)
def test_vectors(name):
    data = (VALID / f"{name}.ddc").read_bytes()
    expected = np.array(by_witness(data))
    assert len(np.unique(expected)) > 50 and np.array_equal(decode_file(data).alpha, expected)
    small = decode_file(data, scale=2).alpha
    squares = [
        [expected[y : y + 2, x : x + 2] for x in range(0, expected.shape[1], 2)] for y in range(0, expected.shape[0], 2)
    ]
    assert small.tolist() == [[int(np.floor(square.mean() + 0.5)) for square in row] for row in squares]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_whatever_is_written_the_witness_reads(kind):
    random = np.random.default_rng(3)
    y, x = np.mgrid[:33, :47]
    shapes = [x // 9 * 20, 3 * y, 2 * x + 3 * y, np.where(x > 20, 255, 0), random.integers(0, 256, x.shape), 0 * x]
    for shape in shapes:
        alpha = (shape * (np.iinfo(kind).max // 255)).astype(kind)
        coded = random_coded(random, replace(DEFAULT, width=47, height=33, depth=int(kind == np.uint16)))
        data = pack(replace(coded, chunks=(alpha_chunk(alpha),)))
        assert by_witness(data) == alpha.tolist() and np.array_equal(decode_file(data).alpha, alpha)


def test_plain_masks_take_few_bytes():
    """Less than Pillow's PNG of the same."""
    import io

    y, x = np.mgrid[:256, :256]
    alpha = np.clip(8 * (90 - np.hypot(x - 128, y - 128)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(alpha).save(file, "PNG", optimize=True)
    assert len(alpha_chunk(alpha)[1]) < len(file.getvalue())


def bombed(stated, blocks):
    """A frame that states a size and unpacks to so many blocks of 128 KiB (RFC 8878, 3.1.1), each of four bytes."""
    block = lambda last: ((128 * 1024 << 3) | 2 | last).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", stated) + b"".join(block(k == blocks - 1) for k in range(blocks))


def contents():
    """Damaged contents of chunk 5 for a picture of 24x16."""
    frame = zstandard.ZstdCompressor().compress(bytes(384))
    return {
        "empty": b"",
        "no frame": b"\3",
        "prediction 4": b"\4" + frame,
        "prediction 255": b"\xff" + frame,
        "too small": b"\0" + zstandard.ZstdCompressor().compress(bytes(383)),
        "too large": b"\0" + zstandard.ZstdCompressor().compress(bytes(385)),
        "of 16 bits": b"\0" + zstandard.ZstdCompressor().compress(bytes(768)),
        "cut off": b"\0" + frame[:-1],
        "something behind": b"\0" + frame + b"\0",
        "two frames": b"\0" + frame + frame,
        "no size": b"\0" + zstandard.ZstdCompressor(write_content_size=False).compress(bytes(384)),
        "bomb": b"\0" + bombed(384, 5000),
    }


@pytest.mark.parametrize("name", contents())
def test_damaged(name):
    data = pack(replace(random_coded(np.random.default_rng(1), DEFAULT), chunks=((5, contents()[name]),)))
    with pytest.raises(DamagedError, match="alpha plane"):
        decode_file(data)


def test_ruined_alpha_raises_nothing_else():
    random = np.random.default_rng(2)
    data = (VALID / "alpha_3.ddc").read_bytes()
    for _ in range(150):
        ruined = bytearray(data)
        ruined[random.integers(HEADER_BYTES, 80)] = random.integers(256)
        try:
            decode_file(invalid.mended(bytes(ruined)))
        except DamagedError:
            pass


@pytest.mark.parametrize("kind, stated", [(1, 4 * 2**20), (2, 2**20), (5, 2048 * 2048)])
def test_a_bomb_that_states_a_lawful_size_is_not_unpacked(kind, stated):
    """zstd looks at the size that a frame states at its end only, unless it is told to unpack into a buffer of just
    that size.
    """
    content = bombed(stated, 4000)
    arch = replace(DEFAULT, width=2048, height=2048)
    tracemalloc.start()
    try:
        with pytest.raises(DamagedError):
            if kind == 5:
                alpha_of(((5, b"\0" + content),), arch)
            else:
                from ddcodec.format.metadata import metadata_of

                metadata_of(((kind, content),))
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_fewer_steps():
    alpha = np.arange(256, dtype=np.uint8).reshape(16, 16)
    counts = [len(np.unique(coarser(alpha, quality))) for quality in (1, 10, 30, 60, 99)]
    assert counts[0] == 2 and counts == sorted(counts) and len(set(counts)) == 5
    for quality in (1, 30, 99):
        changed = coarser(alpha, quality)
        assert changed.flat[0] == 0 and changed.flat[255] == 255 and (np.diff(changed.ravel().astype(int)) >= 0).all()


def half_hidden():
    y, x = np.mgrid[:72, :96]
    return painted(72, 96), np.uint8(255) * ((x // 11 + y // 13) % 2 == 0)


def psnr_seen(samples, alpha, data):
    seen = alpha > 0
    return psnr(samples[seen], decode_file(data).whole()[..., :3][seen])


@pytest.mark.parametrize("profile", ["default", "classic"])
def test_what_is_hidden_does_not_count(monkeypatch, profile):
    """A file is smaller and better where it can be seen than one that has to show the means of what is around under
    transparency, too.

    In the mean of three seeds: one fit differs from the next by some 3 %.
    """
    samples, alpha = half_hidden()
    settings = [
        EncodeOptions(lambda_=2e-3, profile=profile, iterations=60, tune="psnr", seed=seed) for seed in range(3)
    ]

    def loss():
        made = [encode_picture(samples, options, alpha=alpha).data for options in settings]
        return sum(
            10 ** (-psnr_seen(samples, alpha, data) / 10) / 2 + 2e-3 * 8 * len(data) / alpha.size for data in made
        )

    freed = loss()
    monkeypatch.setattr(Source, "known", lambda source, options: None)
    assert freed < 0.97 * loss()


def test_a_target_is_for_what_is_seen():
    samples, alpha = half_hidden()
    encoded = encode_picture(samples, EncodeOptions(target_psnr=31.0, iterations=40), alpha=alpha)
    assert 31 <= encoded.psnr <= 31.1 and encoded.psnr == pytest.approx(
        psnr_seen(samples, alpha, encoded.data), abs=1e-9
    )


@pytest.mark.parametrize("hidden", [0, 255])
def test_no_measure_counts_what_is_hidden(hidden):
    """Whatever the decoded picture has there; `compare` and a target agree."""
    samples, alpha = half_hidden()
    noisy = np.clip(samples + np.random.default_rng(1).normal(0, 9, samples.shape), 0, 255).astype(np.uint8)
    decoded, other = (np.where(alpha[:, :, None] > 0, noisy, colour).astype(np.uint8) for colour in (hidden, 77))
    found, again = (compared(Picture(samples, alpha=alpha), Picture(own, alpha=alpha)) for own in (decoded, other))
    assert found == again and found.ssimulacra2 < 95
    assert found.ssimulacra2 == Source(samples, alpha=alpha).ssimulacra2(decoded)


@pytest.mark.parametrize("exact", [False, True])
def test_which_pixels_count(exact):
    alpha = np.array([[0, 1, 255]], np.uint8)
    options = EncodeOptions(exact=exact)
    known = Source(np.zeros((1, 3), np.uint8), alpha=alpha).known(options)
    assert known is None if exact else known.tolist() == [[False, True, True]]
    for all_alike in (0 * alpha, 0 * alpha + 9, None):
        assert Source(np.zeros((1, 3), np.uint8), alpha=all_alike).known(options) is None


def test_more_than_fits_is_refused(monkeypatch):
    import ddcodec.format.alpha

    monkeypatch.setattr(ddcodec.format.alpha, "CHUNK_MAX", 100)
    with pytest.raises(SourceError, match="alpha plane needs"):
        alpha_chunk(np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8))

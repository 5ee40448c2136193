"""Bad files, each with a name and the failure it must meet; `python tests/invalid.py` writes them to
tests/vectors/invalid.
"""

from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
from random_coded import DEFAULT, random_coded, sealed

from ddcodec.format.arch import base_arch
from ddcodec.format.container import read_body
from ddcodec.format.decoders import chosen
from ddcodec.format.files import pack
from ddcodec.format.header import HEADER_BYTES, ROWS, ROWS_BYTES, VERSION, read_header
from ddcodec.format.tables import ESCAPE, row
from ddcodec.format.wire import Writer

FOLDER = Path(__file__).parent / "vectors" / "invalid"


def mended(data, body=True):
    """The bytes with right checksums of the header, and of the body too."""
    rows = data[:ROWS_BYTES]
    body_crc = crc32(data[HEADER_BYTES:]).to_bytes(4, "big") if body else data[ROWS_BYTES : ROWS_BYTES + 4]
    rows += body_crc + data[ROWS_BYTES + 4 : ROWS_BYTES + 8]
    return rows + crc32(rows).to_bytes(4, "big") + data[HEADER_BYTES:]


def with_row(data, name, stored):
    """The file with another stored value in one header row."""
    number = int.from_bytes(data[:ROWS_BYTES], "big")
    place = 8 * ROWS_BYTES
    for field in ROWS:
        place -= field.bits
        if field.name == name:
            mask = (1 << field.bits) - 1
            number = number & ~(mask << place) | stored << place
    return mended(number.to_bytes(ROWS_BYTES, "big") + data[ROWS_BYTES:])


def with_body(data, body):
    return mended(data[:HEADER_BYTES] + body)


def bad_files():
    """name -> (bytes, "damaged", "unsupported" or "limit")."""
    random = np.random.default_rng(11)
    good = pack(random_coded(random, DEFAULT))
    chunked = pack(
        replace(random_coded(random, DEFAULT), chunks=((1, b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"), (9, b"any")))
    )
    header, body = read_header(good), good[HEADER_BYTES:]
    parts = read_body(good, header)
    table = body[: parts.table_bytes]
    stream = body[parts.table_bytes :]
    files = {}

    def damaged(name, data):
        files[name] = (data, "damaged")

    def unsupported(name, data):
        files[name] = (data, "unsupported")

    def limit(name, data):
        files[name] = (data, "limit")

    # Truncation, of each part of the file.
    for length in (0, 1, 3, 4, 5, 10, 18, 22, 26, 29, 30, 31):
        damaged(f"cut_after_{length}", good[:length])
    damaged("cut_in_section_table", good[: HEADER_BYTES + 2])
    damaged("cut_in_weights", good[: HEADER_BYTES + parts.table_bytes + 40])
    damaged("cut_last_byte", good[:-1])
    damaged("cut_last_word", good[:-4])
    # Something behind, before, or in the middle.
    damaged("trailing_byte_mended", mended(good + b"\0"))
    damaged("cut_last_byte_and_another_file", good[:-1] + good)
    damaged("line_ends_changed", good.replace(b"\x0a", b"\x0d\x0a"))
    damaged("not_a_ddc_file", b"\x89PNG\r\n\x1a\n" + good[8:])
    damaged("signature_without_top_bit", bytes([good[0] & 127]) + good[1:])
    # Checksums.
    damaged("header_bit_flipped", good[:8] + bytes([good[8] ^ 1]) + good[9:])
    damaged("header_crc_wrong", good[: HEADER_BYTES - 1] + bytes([good[HEADER_BYTES - 1] ^ 1]) + good[HEADER_BYTES:])
    damaged("body_bit_flipped", good[:-9] + bytes([good[-9] ^ 4]) + good[-8:])
    damaged("body_crc_wrong", mended(good[:ROWS_BYTES] + b"\0\0\0\0" + good[ROWS_BYTES + 4 :], body=False))
    wrong = bytes(byte ^ 255 for byte in good[ROWS_BYTES + 4 : ROWS_BYTES + 8])
    damaged("samples_crc_wrong", mended(good[: ROWS_BYTES + 4] + wrong + good[ROWS_BYTES + 8 :]))
    # Each header row one past its range, or saying what the body does not hold.
    for version in (*range(VERSION), VERSION + 1, 255):
        unsupported(f"version_{version}", with_row(good, "version", version))
    damaged("version_255_short", with_row(good, "version", 255)[:20])
    unsupported("required_feature", with_row(good, "required", 1))
    unsupported("planes_2", with_row(good, "planes", 1))
    unsupported("planes_4", with_row(good, "planes", 3))
    unsupported("base_11", with_row(good, "base", 11))
    unsupported("base_63", with_row(good, "base", 63))
    unsupported("unsupported_before_damaged", with_row(with_row(good, "base", 11), "width", 0))
    damaged("other_depth", with_row(good, "depth", 1))
    damaged("width_0", with_row(good, "width", 0))
    damaged("height_0", with_row(good, "height", 0))
    damaged("neighbours_0", with_row(good, "neighbours", 0))
    damaged("neighbours_21", with_row(good, "neighbours", 21))
    damaged("linear_above_finest_channels", with_row(good, "linear", DEFAULT.finest_channels + 1))
    damaged("linear_above_channels", with_row(with_row(good, "linear", 5), "channels", 3))
    damaged("base_of_another_network", with_row(good, "base", 1))
    warm = pack(random_coded(random, base_arch(24, 16, 3, 2)))
    damaged("base_with_eight_octaves", with_row(warm, "octaves", 7))
    damaged("base_with_three_taps", with_row(warm, "taps", 2))
    damaged("detail_without_base", with_row(good, "detail", 1))
    damaged("detail_announced_but_missing", with_row(warm, "detail", 1))
    damaged("other_base", with_row(warm, "base", 1))
    damaged("one_top_channel_more", with_row(good, "top_channels", DEFAULT.top_channels + 1))
    damaged("no_top", with_row(good, "top_channels", 0))
    damaged("one_octave_more", with_row(good, "octaves", DEFAULT.octaves))
    damaged("one_octave_fewer", with_row(good, "octaves", DEFAULT.octaves - 2))
    damaged("one_plane_more_in_coarsest", with_row(good, "coarsest_planes", 1))
    damaged("other_width", with_row(good, "width", DEFAULT.width + 1))
    damaged("chunk_announced_but_missing", with_row(good, "chunks", 1))
    damaged("chunk_not_announced", with_row(chunked, "chunks", 1))
    damaged("fifteen_chunks", with_row(good, "chunks", 15))
    # Chunks and lengths.
    one = with_row(good, "chunks", 1)
    two = with_row(good, "chunks", 2)
    damaged("chunk_id_0", with_body(one, b"\x00\x00" + body))
    damaged("chunk_twice", with_body(two, b"\x01\x00\x01\x00" + body))
    damaged("alpha_twice", with_body(two, b"\x05\x00\x05\x00" + body))
    damaged("note_twice", with_body(two, b"\x04\x00\x04\x00" + body))
    damaged("chunk_longer_than_file", with_body(one, b"\x09\xff\xff\xff\x7f" + body))
    damaged("chunk_length_of_five_bytes", with_body(one, b"\x09\x80\x80\x80\x80\x01" + body))
    damaged("chunk_length_with_empty_group", with_body(one, b"\x09\x80\x00" + body))
    damaged("section_longer_than_file", with_body(good, b"\xff\xff\xff\x7f" + table[1:] + stream))
    damaged("section_table_all_zero", with_body(good, bytes(len(table)) + stream))
    damaged("stream_not_of_whole_words", with_body(good, table + stream + b"\1\2"))
    damaged("no_body", with_body(good, b""))
    # The stream itself.
    damaged("stream_of_ones", with_body(good, table + b"\xff" * len(stream)))
    damaged("stream_of_zeros", with_body(good, table + bytes(len(stream))))
    damaged("stream_shuffled", with_body(good, table + stream[::-1]))
    # Weights and code that no encoder may write; `pack` refuses them, so its checks are passed over. All else is right,
    # the checksums too.
    for value in (32768, -32768):
        beyond = random_coded(random, DEFAULT)
        beyond.tensors["mix.0"].values[0, 0] = value
        damaged(f"weight_{value}", unchecked(sealed(beyond)))
    for value in (4096, -4096):
        far = random_coded(random, DEFAULT)
        far.code[0][0, 3, 3] = value
        damaged(f"code_{value}", unchecked(sealed(far)))
    for name, exponent, scale in (
        ("exponent_16", 10, 0),
        ("exponent_-1", -7, 0),
        ("table_64", 0, 37),
        ("table_-1", 0, -28),
    ):
        damaged(name, with_first_tensor(good, exponent, scale))
    damaged("escape_too_long", with_endless_escape(good))
    # Bombs: small files that ask for much.
    limit("bomb_65535_square", with_row(with_row(good, "width", 65535), "height", 65535))
    limit("bomb_wide", with_row(with_row(good, "width", 65535), "height", 2000))
    huge = with_row(with_row(good, "width", 9999), "height", 9999)
    for name in ("coarsest_planes", "finest_channels", "channels"):
        huge = with_row(huge, name, 127)
    limit("bomb_channels", with_row(huge, "octaves", 0))
    tall = with_row(with_row(with_row(good, "width", 1), "height", 65535), "octaves", 0)
    limit("bomb_steps", with_row(tall, "coarsest_planes", 127))
    limit("bomb_code_planes", with_row(with_row(tall, "width", 100), "coarsest_planes", 127))
    return files


def with_first_tensor(data, exponent, scale):
    """The file with a stream that begins with these differences of exponent and table."""
    writer = Writer()
    for table, value in ((27, exponent), (37, scale)):
        writer.integers(np.array([row(table, 0)]), np.array([0]), np.array([value]))
    return with_stream(data, writer)


def with_endless_escape(data):
    """The file with a stream whose first integer is an escape of 17 bits."""
    writer = Writer()
    writer.coder.symbols(np.array([ESCAPE]), np.array([row(27, 0)]))
    writer.coder.bits([0] + 17 * [1] + [0] + 17 * [1])
    return with_stream(data, writer)


def with_stream(data, writer):
    writer.end_section()
    words = writer.finish()[0]
    sections = len(read_header(data).arch.coded_octaves) * b"\0"
    return with_body(data, bytes([len(words)]) + sections + words.astype("<u4").tobytes())


def unchecked(coded):
    """The bytes of a `CodedImage` that breaks the rules."""
    import ddcodec.format.coded as module
    import ddcodec.format.pyramid as pyramid

    checks = module.CodedImage.check, pyramid.check_code
    module.CodedImage.check, pyramid.check_code = (lambda self: None), (lambda values: None)
    try:
        # The decoder in C would refuse to write them.
        with chosen("numpy"):
            return pack(coded)
    finally:
        module.CodedImage.check, pyramid.check_code = checks


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (data, failure) in bad_files().items():
        (FOLDER / f"{name}.{failure}.ddc").write_bytes(data)

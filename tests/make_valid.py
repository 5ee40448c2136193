"""Writes tests/vectors/valid: one file for each edge of the format, and the checksums that the witness decoder finds in
them.

    python tests/make_valid.py

Run it after a change of bytes, together with a line in FORMAT.md's revisions.
"""

from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import witness
from invalid import mended
from random_coded import DEFAULT, random_coded, sealed

from ddcodec.format.arch import BASES, base_arch
from ddcodec.format.files import pack
from ddcodec.format.header import HEADER_BYTES
from ddcodec.format.weights import Weights

FOLDER = Path(__file__).parent / "vectors" / "valid"


def vectors():
    """name -> (why, CodedImage)."""
    random = np.random.default_rng(2026)
    rows = {}

    def add(name, why, spread=0.3, chunks=(), change=None, **arch):
        coded = random_coded(random, replace(DEFAULT, **arch), spread=spread)
        if change:
            change(coded)
        rows[name] = (why, replace(sealed(coded), chunks=chunks))

    def based(name, why, width, height, planes, base, spread=0.3, depth=0, **arch):
        coded = random_coded(random, replace(base_arch(width, height, planes, base, depth), **arch), spread=spread)
        if not spread:
            coded_names = {name for name, _ in coded.arch.coded_tensors()}
            coded = sealed(
                replace(
                    coded,
                    tensors={
                        name: Weights(6 if name in coded_names else 0, np.zeros_like(values))
                        for name, (_, values) in coded.tensors.items()
                    },
                )
            )
        rows[name] = (why, coded)

    add("default_24x16", "the architecture of all others here")
    add("1x1", "the smallest picture: every octave is one integer", width=1, height=1)
    add("1x1_one_octave", "no upsampling at all", width=1, height=1, octaves=1)
    add("2x2", "two octaves that differ", width=2, height=2, octaves=2)
    add("1x40", "one column: wavefronts three apart, empty ones between", width=1, height=40)
    add("40x1", "one row: each wavefront is one integer", width=40, height=1)
    add("3x5", "narrower than the context reaches", width=3, height=5)
    for side in (3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65):
        add(
            f"{side}x{side}",
            f"ceil(size / 2^l) at {side}, beside a power of two",
            width=side,
            height=side,
            octaves=min(5, side.bit_length()),
        )
    add("13x29_grey", "grey, prime sides", width=13, height=29, planes=1)
    add(
        "grey_one_channel",
        "the narrowest network",
        planes=1,
        finest_channels=1,
        channels=1,
        linear=0,
        context_channels=1,
    )
    add(
        "sixteen_octaves",
        "the most octaves: most are 1x1",
        octaves=16,
        finest_channels=2,
        channels=2,
        linear=1,
        width=9,
        height=6,
    )
    add("all_linear", "no ReLU in the synthesis but at the top", linear=6)
    add("none_linear", "ReLU everywhere", linear=0)
    add(
        "wide",
        "the most channels",
        width=4,
        height=3,
        octaves=2,
        finest_channels=128,
        channels=128,
        linear=31,
        context_channels=32,
    )
    add("one_neighbour", "the least context", neighbours=1)
    add("twenty_neighbours", "the greatest context", neighbours=20, width=20, height=20)
    add("taps_1", "linear upsampling", taps=1)
    add("taps_3", "six taps", taps=3)
    add("taps_4", "eight taps: they reach beyond small octaves on both sides", taps=4, octaves=6)
    add(
        "classic",
        "code only in the coarsest octave, in many planes",
        coarsest_planes=12,
        finer_planes=0,
        linear=0,
        taps=1,
        neighbours=4,
    )
    add(
        "classic_grey_17x9",
        "the same, grey, odd sizes",
        coarsest_planes=3,
        finer_planes=0,
        linear=0,
        taps=1,
        planes=1,
        width=17,
        height=9,
    )
    add("coarsest_planes_128", "the most code planes", coarsest_planes=128, octaves=3, width=8, height=8)
    add("coarsest_planes_2", "several planes in the coarsest octave: the next has no parent", coarsest_planes=2)
    add("code_zero", "an all-zero code", spread=0.0)
    add("code_escapes", "integers far outside the tables", spread=300.0)

    def extremes(coded):
        for octave, planes in coded.code.items():
            planes[:] = np.where(np.indices(planes.shape).sum(0) % 2, 4095, -4095)

    add("code_extremes", "4095 and -4095 in turn", change=extremes, width=6, height=6)

    def features(coded):
        extremes(coded)
        for name, (_, values) in coded.tensors.items():
            if "features" in name:
                coded.tensors[name] = Weights(12, 28000 * np.sign(values))

    add(
        "features_saturate",
        "sums of coarser planes beyond 16 bits, before they are doubled",
        change=features,
        width=9,
        height=7,
    )

    def zeros(coded):
        for name, (_, values) in coded.tensors.items():
            coded.tensors[name] = Weights(0, np.zeros_like(values))
            if "taps" in name:
                coded.tensors[name] = Weights(12, np.array([0, -1024, -3072, 0]))
            if "features" in name:
                coded.tensors[name] = Weights(12, -4096 * np.eye(*values.shape, dtype=int))

    add(
        "weights_zero",
        "no weights, not even taps and features: the base is coded away",
        change=zeros,
        width=9,
        height=9,
    )

    def saturating(coded):
        for name, (_, values) in coded.tensors.items():
            if name.startswith(("mix", "code", "context")):
                greatest = 400 if name.startswith("code") else 30000
                coded.tensors[name] = Weights(0, greatest * np.sign(values) if "bias" not in name else values)
            if "features" in name:
                coded.tensors[name] = Weights(12, 28000 * np.sign(values))

    add("activations_saturate", "every layer reaches 2^15", change=saturating, spread=20.0, width=12, height=12)

    def wrapping(names):
        def change(coded):
            for name, (_, values) in coded.tensors.items():
                if name.startswith(names):
                    exponent = int(random.integers(12, 15))
                    coded.tensors[name] = Weights(exponent, random.integers(-32000, 32001, values.shape))

        return change

    def wrapping_filters(coded):
        for name, (_, values) in coded.tensors.items():
            if name.startswith("filter"):
                coded.tensors[name] = Weights(12, np.full(values.shape, 32000))
            if name.startswith("taps"):
                # The base adds to the two in the middle.
                coded.tensors[name] = Weights(12, np.array([32000, 25000, 25000, 32000]))
        for planes in coded.code.values():
            planes[:] = random.integers(3500, 4096, planes.shape)

    add("sums_wrap_filter", "sums leave 32 bits", change=wrapping_filters, width=14, height=11)
    for names in (("context.1", "context.2"), ("context.3",), ("mix", "code", "bias")):
        add(f"sums_wrap_{names[0]}", "sums leave 32 bits", change=wrapping(names), spread=80.0, width=14, height=11)
    add(
        "sums_wrap_top",
        "sums leave 32 bits",
        change=wrapping(("top", "output", "residual")),
        spread=80.0,
        width=14,
        height=11,
        top_channels=60,
    )
    for headroom in (1, 2, 3):
        add(f"headroom_{headroom}", "a wider range of the synthesis", spread=8.0, headroom=headroom)
    based("deep_headroom", "the same with a base and detail", 20, 13, 3, 8, depth=1, detail=1, headroom=2, spread=9.0)
    add("no_top", "no top layer", top_channels=0)
    add("wide_top", "the widest top layer", top_channels=127, width=5, height=4, octaves=2)
    for base in range(1, 6):
        based(f"base_{base}", "weights near a base", 20, 13, 3, base)
    based("base_2_grey", "one plane: means of the base's three", 13, 20, 1, 2)
    based("base_3_three_octaves", "a base for fewer octaves", 16, 9, 3, 3, octaves=3)
    based("base_4_alone", "no difference from a base at all", 24, 16, 3, 4, spread=0.0)
    zstd_frame = bytes.fromhex("28b52ffd2003190000616263")
    add(
        "rubbish_profile",
        "a decoder that only wants the picture does not look inside a chunk",
        chunks=((1, b"no frame"),),
    )
    add(
        "chunks",
        "metadata and an unknown chunk",
        chunks=((1, zstd_frame), (3, zstd_frame), (250, b""), (250, b"again")),
    )
    add("note", "a note of what was done to the picture", chunks=((4, zstd_frame),))
    add("deep", "16 bits a sample", depth=1)
    add("deep_grey", "the same, grey, odd sizes", depth=1, planes=1, width=17, height=9)
    based("deep_base", "16 bits from a base", 20, 13, 3, 4, depth=1)
    for prediction in range(4):
        add(
            f"alpha_{prediction}",
            f"alpha by prediction {prediction}",
            chunks=(alpha_chunk(random, 24, 16, prediction),),
            width=24,
            height=16,
        )
    add(
        "deep_alpha",
        "alpha of 16 bits, odd sizes",
        chunks=(alpha_chunk(random, 17, 9, 3, 2),),
        width=17,
        height=9,
        depth=1,
        planes=1,
    )
    chromaticities = b"".join(
        number.to_bytes(3, "big", signed=True) for number in (31270, 32900, 73470, 26530, 0, 100000, 10, -7700)
    )
    add(
        "colours",
        "a colour description of two bytes, square pixels",
        chunks=((6, bytes([12, 13])), (7, bytes([0x93, 0x16]))),
    )
    add(
        "own_colours",
        "the longest colour description, pixels that are not square",
        chunks=((6, bytes(2) + chromaticities + (117965).to_bytes(4, "big")), (7, bytes([0x93, 0x16, 1]))),
    )
    add("unknown_colours", "code points that nobody knows", chunks=((6, bytes([255, 254])),))
    add(
        "rubbish_colours",
        "a decoder that only wants the picture does not look inside",
        chunks=((6, b"\0"), (7, b"\0\0\0")),
    )
    for base in range(6, BASES + 1):
        based(f"base_{base}", "weights near a base", 20, 13, 3, base)
    based("base_8_grey", "one plane of a base for the eye", 13, 20, 1, 8)
    based("detail", "three code planes in octave 0", 20, 13, 3, 10, detail=1)
    based("detail_grey", "the same, one plane, three octaves", 13, 20, 1, 5, octaves=3, detail=1)
    based("deep_detail_one_octave", "the same, 16 bits, no upsampling", 16, 9, 3, 9, octaves=1, depth=1, detail=1)
    based("detail_alone", "no difference from a base: detail does nothing", 24, 16, 3, 7, spread=0.0, detail=1)
    return rows


def alpha_chunk(random, width, height, prediction, size=1):
    """Chunk 5 with any differences, in a frame of one raw block (RFC 8878, 3.1.1), as no compressor would write it."""
    count = width * height * size
    block = (count << 3 | 1).to_bytes(3, "little")
    return 5, bytes([prediction]) + bytes.fromhex("28b52ffd60") + (count - 256).to_bytes(
        2, "little"
    ) + block + random.bytes(count)


def moved(data):
    """The file with one word moved from the last section to the first."""
    first, last = HEADER_BYTES, HEADER_BYTES + DEFAULT.octaves
    table = bytearray(data)
    table[first], table[last] = table[first] + 1, table[last] - 1
    return mended(bytes(table))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = ["name\twidth\theight\tplanes\tsamples_crc\thalf_crc\twhy"]
    files = {name: (why, pack(coded), coded) for name, (why, coded) in vectors().items()}
    why, data, coded = files["default_24x16"]
    files["bytes_behind"] = ("a newline and zeros behind the end", data + b"\n" + bytes(9), coded)
    files["two_files"] = ("another file behind the end", data + data, coded)
    files["lying_section_table"] = ("entries that are wrong, but have the right sum", moved(data), coded)
    for name, (why, data, coded) in files.items():
        (FOLDER / f"{name}.ddc").write_bytes(data)
        picture = witness.decode(data)
        half = f"{crc32(witness.decode(data, 1).samples):08x}" if coded.arch.octaves > 1 else "-"
        crc = f"{crc32(picture.samples):08x}"
        lines.append("\t".join(map(str, [name, picture.width, picture.height, picture.planes, crc, half, why])))
    (FOLDER / "checksums.tsv").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()

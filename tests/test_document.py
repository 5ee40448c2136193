"""FORMAT.md and the code say the same."""

import re
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files

from random_coded import DEFAULT
from test_wire import document

from ddcodec.format import arch, container, header, metadata, tables
from ddcodec.format.alpha import alpha_of
from ddcodec.format.arch import Arch
from ddcodec.format.files import pack

TEXT = files("ddcodec.format").joinpath("FORMAT.md").read_text("utf-8")


def rows_of_table(first_cell):
    lines = TEXT.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_cell} |"))
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_header_rows():
    documented = [(name.strip("`"), int(bits), int(least)) for name, bits, least, *_ in rows_of_table("row")]
    assert documented == [tuple(row) for row in header.ROWS]
    assert f"The header is {header.HEADER_BYTES} bytes: a bit string of {8 * header.ROWS_BYTES} bits" in TEXT


def test_greatest_values_fit_their_bits():
    for _, bits, least, greatest, _ in rows_of_table("row"):
        assert greatest == "2^32 - 1" or int(greatest) == int(least) + 2 ** int(bits) - 1


def test_tables_and_neighbours():
    names = document()
    frequencies = tables.frequencies()
    for s in range(64):
        for d in range(-8, 8):
            assert names["laplace_table"](s, d) == frequencies[tables.row(s, d)].tolist()
    assert tuple(names["NEIGHBOURS"]) == arch.NEIGHBOURS


def test_tensors_are_those_of_the_document():
    """Evaluate the shapes of the document's table for an architecture, in its order."""
    a = DEFAULT
    names = dict(
        context_channels=a.context_channels,
        neighbours=a.neighbours,
        planes=a.planes,
        G=len(a.coded_octaves),
        n=a.taps,
        C=a.channels_of,
        P=a.code_planes,
        H=a.top_channels,
        S=lambda octave: sum(a.code_planes(o) == 1 for o in range(octave + 1, a.octaves)),
    )
    table = [(name.strip("`"), shape) for name, shape, _ in rows_of_table("tensor")]
    expected = []

    def shape_of(text, octave=None):
        parts = [re.sub(r"\b(\d) ?(n|planes)\b", r"\1*\2", part.replace("`", "")) for part in text.split(", ")]
        return tuple(int(eval(part, dict(names, l=octave))) for part in parts)

    expected += [
        (name, shape_of(shape)) for name, shape in table if name.startswith("context") and not name.endswith(".l")
    ]
    ((features, shape),) = [row for row in table if row[0].startswith("context") and row[0].endswith(".l")]
    expected += [(f"{features[:-1]}{octave}", shape_of(shape, octave)) for octave in reversed(range(a.octaves - 1))]
    for octave in reversed(range(a.octaves)):
        for name, shape in table:
            kind, _, suffix = name.partition(".")
            if suffix == "l" and not (kind in ("mix", "taps") and octave == a.octaves - 1):
                expected.append((f"{kind}.{octave}", shape_of(shape, octave)))
    expected += [(name, shape_of(shape)) for name, shape in table if name.startswith(("top", "output", "residual"))]
    assert expected == [tuple(tensor) for tensor in a.tensors()]


def test_chunk_ids_and_limits():
    kinds = {int(kind): (what, limit) for kind, what, limit in rows_of_table("id")}
    assert {
        kind: int(limit.split()[0]) * 2**20 for kind, (_, limit) in kinds.items() if "MiB" in limit
    } == metadata.LIMITS
    assert kinds.keys() == container.CHUNK_NAMES.keys()
    assert all(
        what.lower().replace("colour", "color").startswith(container.CHUNK_NAMES[kind])
        for kind, (what, _) in kinds.items()
    )


def test_constants():
    assert f"integers in -{arch.CODE_MAX}..{arch.CODE_MAX}" in TEXT
    assert f"outside -{arch.WEIGHT_MAX}..{arch.WEIGHT_MAX}" in TEXT
    assert f"`e` outside 0..{arch.EXPONENT_MAX}" in TEXT
    assert arch.ACTIVATION_MAX == 2**15 - 1 == -arch.ACTIVATION_LEAST - 1 and "`A = 2^15 - 1`" in TEXT
    assert arch.SEEN_MAX == 127 and "-127, 127)" in TEXT


def test_revisions_end_with_this_version():
    *_, (version, date, _) = rows_of_table("version")
    assert int(version) == header.VERSION
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", date)


def test_alpha_of_the_example():
    """The document decodes the frame by hand; here the package does."""
    made = document()
    plane = alpha_of(((5, made["content"]),), replace(DEFAULT, width=made["width"], height=made["height"]))
    assert plane.ravel().tolist() == list(made["alpha"].values())


def test_header_of_the_example():
    """The document's asserts ran with `document()`; the bytes are those of a vector."""
    from make_valid import FOLDER

    assert document()["header"] == (FOLDER / "default_24x16.ddc").read_bytes()[: header.HEADER_BYTES]


def test_header_is_read_as_written():
    from dataclasses import fields

    import numpy as np
    from random_coded import random_arch, random_coded

    random = np.random.default_rng(0)
    for _ in range(20):
        coded = random_coded(random, random_arch(random, most=5))
        read = header.read_header(pack(coded))
        assert read.arch == coded.arch and read.samples_crc == coded.samples_crc
    assert {field.name for field in fields(Arch)} <= {row.name for row in header.ROWS}


def test_bases_are_those_of_the_document():
    digest = re.search(r"SHA-256\s+`([0-9a-f]{64})`", TEXT)[1]
    assert sha256(files("ddcodec.format").joinpath("bases.bin").read_bytes()).hexdigest() == digest
    rows = {}
    for first, one, second, other in rows_of_table("row | value"):
        rows |= {first.strip("`"): one, second.strip("`"): other}
    assert rows.pop("octaves") == f"at most {arch.BASE_OCTAVES}"
    assert {name: int(value) for name, value in rows.items()} == arch.BASE_SHAPE
    assert f"Bases 1 to {arch.BASES} are" in TEXT

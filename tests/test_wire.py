"""The range coder: constriction, our own in Python, and the decoder printed in FORMAT.md read each other's streams."""

import re
from importlib.resources import files

import numpy as np
import pytest

import ddcodec.format.wire as wire
from ddcodec.errors import DamagedError
from ddcodec.format import range_coder, tables


@pytest.fixture(params=["constriction", "python"])
def coders(request, monkeypatch):
    chosen = range_coder.PythonCoders
    if request.param == "constriction":
        chosen = range_coder.constriction_coders(pytest.importorskip("constriction"))
    monkeypatch.setattr(wire, "coders", lambda: chosen)
    return chosen


def random_groups(random, count):
    for _ in range(count):
        size = int(random.integers(0, 60))
        rows = random.integers(0, tables.SCALES * tables.SHIFTS, size)
        whole = random.integers(-60, 60, size)
        spread = 2.0 ** ((rows // 16 - 27) / 5) * random.choice([1, 1, 20])
        yield rows, whole, (whole + np.round(random.laplace(size=size) * spread)).astype(np.int64).clip(-4095, 4095)


def document():
    blocks = re.findall(r"```python\n(.*?)```", files("ddcodec.format").joinpath("FORMAT.md").read_text("utf-8"), re.S)
    names = {}
    for block in blocks:
        exec(block, names)
    return names


def test_streams_are_the_same_whoever_writes(monkeypatch):
    pytest.importorskip("constriction")
    import constriction

    random = np.random.default_rng(0)
    for _ in range(60):
        groups = list(random_groups(random, 5))
        streams = []
        for coders in (range_coder.constriction_coders(constriction), range_coder.PythonCoders):
            monkeypatch.setattr(wire, "coders", lambda coders=coders: coders)
            writer = wire.Writer()
            for group in groups:
                writer.integers(*group)
                writer.end_section()
            words, sections = writer.finish()
            streams.append((words.tolist(), sections))
        assert streams[0] == streams[1]


def test_what_is_written_is_read(coders):
    random = np.random.default_rng(1)
    for _ in range(40):
        groups = list(random_groups(random, 6))
        writer = wire.Writer()
        for group in groups:
            writer.integers(*group)
        writer.end_section()
        reader = wire.Reader(writer.finish()[0])
        for rows, whole, values in groups:
            assert np.array_equal(reader.integers(rows, whole), values)


def test_every_symbol_and_every_carry(coders):
    """The rarest and the commonest symbols of all tables, in runs that make the coder carry."""
    rows = np.repeat(np.arange(1024), 8)
    whole = np.zeros(len(rows), np.int64)
    for values in (
        np.full(len(rows), 15),
        np.full(len(rows), -15),
        np.tile(np.arange(-15, 16), 265)[: len(rows)],
        whole,
    ):
        writer = wire.Writer()
        writer.integers(rows, whole, values)
        writer.end_section()
        assert np.array_equal(wire.Reader(writer.finish()[0]).integers(rows, whole), values)


def test_the_documents_decoder_reads_our_stream(coders):
    names = document()
    random = np.random.default_rng(2)
    rows = random.integers(0, 1024, 3000)
    values = random.integers(-15, 16, 3000)
    writer = wire.Writer()
    writer.integers(rows, np.zeros(3000, np.int64), values)
    writer.end_section()
    decoder = names["RangeDecoder"](writer.finish()[0].tolist())
    assert [decoder.symbol(names["laplace_table"](r // 16, r % 16 - 8)) - 15 for r in rows.tolist()] == values.tolist()


def test_impossible_streams_are_damaged(coders):
    rows = np.full(50, tables.row(40, 0))
    with pytest.raises(DamagedError, match="stream is damaged"):
        reader = wire.Reader(np.full(40, 2**32 - 1, np.uint32))
        for _ in range(40):
            reader.integers(rows, np.zeros(50, np.int64))


def test_endless_escape_is_damaged(coders):
    writer = wire.Writer()
    row = np.array([tables.row(27, 0)])
    writer.coder.symbols(np.array([tables.ESCAPE]), row)
    writer.coder.bits([1] * 30)
    writer.end_section()
    with pytest.raises(DamagedError, match="too long"):
        wire.Reader(writer.finish()[0]).integers(row, np.array([0]))


def test_meter_agrees_with_the_entropy_of_the_tables():
    frequencies = tables.frequencies()
    rows = np.arange(1024)
    for difference in (-15, -3, 0, 7, 15):
        expected = 24 - np.log2(frequencies[rows, difference + 15])
        assert np.allclose(wire.integer_bits(rows, np.full(1024, difference)), expected)


def test_meter_agrees_with_the_writer_on_escapes(coders):
    random = np.random.default_rng(3)
    rows = random.integers(0, 1024, 4000)
    values = random.integers(-4000, 4000, 4000)
    whole = np.zeros(4000, np.int64)
    writer, meter = wire.Writer(), wire.Meter()
    for hand in (writer, meter):
        hand.integers(rows, whole, values)
        hand.end_section()
    assert abs(meter.bits - 32 * len(writer.finish()[0])) < 64


def test_tables_follow_the_laplace_distribution():
    """Against the closed form in floating point: within 2^-19, most of it the remainder that the centre takes."""
    r = np.arange(-15, 16)
    for s in range(0, 64, 7):
        for d in (-8, -1, 0, 5):
            scale = 2.0 ** ((s - 27) / 5)
            below = lambda x: np.where(
                x < 0, 0.5 * np.exp(np.minimum(x, 0) / scale), 1 - 0.5 * np.exp(-np.maximum(x, 0) / scale)
            )
            chance = below(r + 0.5 - d / 16) - below(r - 0.5 - d / 16)
            table = tables.frequencies()[tables.row(s, d)]
            assert table.sum() == 2**24 and table.min() >= 1
            assert np.abs(table[:31] / 2**24 - chance).max() < 2**-18

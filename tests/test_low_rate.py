"""Files of AVIF beside one of ddcodec at the lowest rates: which are taken, and what lies between two of them."""

import csv
from dataclasses import replace

import low_rate
import numpy as np
import pytest
import readme_tables
from conftest import painted
from PIL import Image

from ddcodec.benchmark.peers import peer_of

PEER = replace(
    peer_of("none"),
    name="tens",
    settings=(0, 9),
    encode=lambda samples, setting: bytes(10 * setting + 5),
    decode=lambda data, shape: np.full(shape, len(data), np.uint8),
)
"""Files of 5, 15, ... 95 bytes."""


@pytest.mark.parametrize("size, taken", [(40, [35, 45]), (45, [35, 45]), (46, [45, 55]), (3, [5])])
def test_the_two_files_next_to_a_size(size, taken, tmp_path):
    Image.fromarray(painted(16, 24)).save(tmp_path / "a.png")
    rows = low_rate.rows_around(tmp_path / "a.png", PEER, {"ddc_bytes": str(size), "ddc_psnr": "20.5", "effort": "5"})
    found = [dict(zip(low_rate.COLUMNS[3:], map(str, row))) for row in rows]
    assert [int(row["bytes"]) for row in found] == taken
    assert all(
        (row["picture"], row["codec"], row["ddc_bytes"], row["ddc_psnr"], row["ddc_s"])
        == ("a", "tens", str(size), "20.5", "")
        for row in found
    )
    assert all(float(row["bpp"]) == pytest.approx(8 * int(row["bytes"]) / 384, abs=1e-4) for row in found)


def test_what_lies_between_two_files():
    """Twice and half of 200 bytes: the middle of 20 and 22 dB; one file is as it is."""
    rows = [{"bytes": size, "psnr": dB, "ddc_bytes": "200"} for size, dB in (("400", "22"), ("100", "20"))]
    assert readme_tables._at_the_size(rows) == pytest.approx((200, 21))
    assert readme_tables._at_the_size(rows[:1]) == (400, 22)


def test_every_picture_has_a_file_of_each_codec():
    with (readme_tables.RESULTS / "low-rate.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    pictures = {codec: [row["picture"] for row in rows if row["codec"] == codec] for codec in ("avif", "avif:psnr")}
    assert sorted(pictures["avif"]) == sorted(set(pictures["avif:psnr"])) and len(pictures["avif"]) == 24
    around = {}
    for row in rows:
        if row["codec"] == "avif:psnr":
            around.setdefault(row["picture"], []).append(row)
    assert all(
        sorted([int(low["bytes"]), int(high["bytes"]), int(low["ddc_bytes"])])[1] == int(low["ddc_bytes"])
        for low, high in around.values()
    )

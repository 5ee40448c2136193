"""The page of `ddcodec view`: it stands alone, and holds the file; the bits of the code are the witness's."""

import base64
import io
import json
import math
import os
import re
import stat
import zlib
from dataclasses import replace
from pathlib import Path

import maps
import numpy as np
import pytest
import witness
from click.testing import CliRunner
from PIL import Image
from random_coded import DEFAULT, random_coded
from skimage.metrics import peak_signal_noise_ratio
from test_report import Page

import ddcodec
from ddcodec.cli import cli
from ddcodec.format.files import pack, read_info
from ddcodec.format.metadata import chunks_of
from ddcodec.viewer import view as viewing

VALID = Path(__file__).parent / "vectors" / "valid"
SAMPLES = Path(__file__).parents[1] / "samples"
SMALL = (VALID / "default_24x16.ddc").read_bytes()
HOSTILE = "<b>&\"'$HOME ${x}"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with `a.ddc` and an original `a.png` of the same size; the value lists what a browser was told
    to show.
    """
    monkeypatch.chdir(tmp_path)
    Path("a.ddc").write_bytes(SMALL)
    Image.fromarray(original()).save("a.png")
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("DISPLAY", ":0")
    os.mkdir("temporary")
    return opened


def original():
    """The decoded picture with noise: uint8 (16, 24, 3)."""
    return (ddcodec.decode(SMALL) + np.random.default_rng(3).integers(-6, 7, (16, 24, 3))).clip(0, 255).astype(np.uint8)


def view(*args):
    return CliRunner().invoke(cli, ["view", *map(str, args)])


def refused(code, *args):
    result = view(*args)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    return result.stderr.strip().splitlines()[-1].removeprefix("Error: ")


def page_of(*args):
    """The text of the page that is made with `--no-open`, and what is in it."""
    result = view(*args, "-o", "page.html", "--no-open", "-f")
    assert result.exit_code == 0, result.stderr
    html = Path("page.html").read_text("utf-8")
    return html, Page(html)


def given(html):
    """What a page was made of."""
    return json.loads(re.search(r'<script type="application/json" id="given">(.*?)</script>', html, re.S)[1])


def original_of(html):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(given(html)["original"]["png"]))))


def test_it_stands_alone(here):
    """It holds the file, and asks nobody for anything."""
    html, page = page_of("a.ddc", "a.png")
    assert not {"link", "iframe", "object", "embed", "img"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name in ("src", "srcset", "href", "data")]
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', html)[1]
    assert policy.startswith("default-src 'none';") and policy.endswith("connect-src 'none'")
    assert not re.search(r"https?:|@import|\$\w+ ", html.replace("$(", ""))
    assert all(words in html for words in ("(prefers-color-scheme: dark)", "width=device-width", "<noscript>"))
    assert base64.b64decode(given(html)["file"]) == SMALL


def test_it_holds_the_file_without_what_is_behind_it(here):
    Path("a.ddc").write_bytes(SMALL + b"behind")
    assert base64.b64decode(given(page_of("a.ddc")[0])["file"]) == SMALL


def test_it_holds_the_original(here):
    html, _ = page_of("a.ddc", "a.png")
    assert np.array_equal(original_of(html), original()) and given(html)["original"]["name"] == "a.png"


def test_sixteen_bits_become_eight(here):
    data = (VALID / "deep.ddc").read_bytes()
    Path("b.ddc").write_bytes(data)
    html, _ = page_of("b.ddc", "b.ddc")
    assert np.array_equal(original_of(html), np.rint(ddcodec.decode(data) / 257))


def test_its_numbers_are_those(here):
    html, _ = page_of("a.ddc", "a.png")
    decibels = peak_signal_noise_ratio(original(), ddcodec.decode(SMALL))
    first, second, *_ = given(html)["measures"]
    assert first == f"PSNR {decibels:.2f} dB" and second.startswith("MS-SSIM n/a")
    answer = json.loads(view("a.ddc", "a.png", "-o", "page.html", "--no-open", "-f", "--json").stdout)
    assert answer["psnr"] == pytest.approx(decibels) and answer["ms_ssim"] is None and answer["identical"] is False
    assert (answer["output"], answer["opened"], answer["scale"]) == ("page.html", False, "1")
    assert sum(section["bytes"] for section in answer["sections"]) == answer["bytes"] == len(SMALL)


def test_without_an_original(here):
    html, _ = page_of("a.ddc")
    assert not {"original", "measures"} & given(html).keys()


def test_an_original_that_is_a_file_of_its_own(here):
    Path("b.ddc").write_bytes(SMALL)
    html, _ = page_of("a.ddc", "b.ddc")
    assert given(html)["measures"][0] == "PSNR inf (the pictures are identical)"
    assert given(html)["original"]["name"] == "b.ddc"


def test_a_sample(here):
    html, _ = page_of(SAMPLES / "chelsea.ddc", SAMPLES / "chelsea.png")
    with Image.open(SAMPLES / "chelsea.png") as source:
        assert np.array_equal(original_of(html), np.asarray(source))
    assert re.match(r"PSNR.*MS-SSIM 0\.9\d{4}SSIMULACRA2 \d\d\.\d\dPSNR-HVS-M", "".join(given(html)["measures"]))
    assert given(html)["colours"] == "sRGB" and "learned for" in given(html)["profile"]
    alone, _ = page_of(SAMPLES / "chelsea.ddc")
    assert len(alone) < 240_000 + 4 / 3 * (SAMPLES / "chelsea.ddc").stat().st_size


def test_a_note_is_shown_and_escaped(here):
    coded = replace(
        random_coded(np.random.default_rng(0), DEFAULT), chunks=chunks_of({"note": f"denoised {HOSTILE}".encode()})
    )
    Path("noted.ddc").write_bytes(pack(coded))
    html, page = page_of("noted.ddc")
    assert given(html)["note"] == f"denoised {HOSTILE}" and not page.tags["b"]


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")
def test_names_are_escaped(here):
    Path(f"{HOSTILE}.ddc").write_bytes(SMALL)
    Path(f"{HOSTILE}.png").write_bytes(Path("a.png").read_bytes())
    html, page = page_of(f"{HOSTILE}.ddc", f"{HOSTILE}.png")
    assert not page.tags["b"] and page.text.count(f"{HOSTILE}.ddc") == 2
    assert (given(html)["name"], given(html)["original"]["name"]) == (f"{HOSTILE}.ddc", f"{HOSTILE}.png")


# The maps


class Costing(witness.RangeDecoder):
    """Notes the bits of every symbol."""

    costs = ()

    def symbol(self, sums=(0, 2**23, 2**24)):
        symbol = super().symbol(sums)
        self.costs = [*self.costs, 24 - math.log2(sums[symbol + 1] - sums[symbol])]
        return symbol


class Counting:
    """A decoder to which every integer is the number of those before it."""

    count = 0

    def integers(self, group):
        self.count += len(group)
        return range(self.count - len(group), self.count)


def test_bits_are_those_of_the_witness():
    """Of a file whose code has no escapes: a symbol is an integer."""
    header = witness.read_header(SMALL)
    decoder = Costing(witness.read_body(header, SMALL[30:])[1])
    tensors = witness.read_tensors(header, decoder)
    bits = maps.bit_maps(SMALL)
    assert list(bits) == header.coded == [3, 2, 1, 0]
    decoder.costs = []
    for index, (octave, _) in enumerate(witness.read_code(header, tensors, decoder)):
        costs, decoder.costs = np.array(decoder.costs), []
        assert costs.size == bits[octave].size
        nothing = [np.zeros(header.sizes[octave], int)] * 7
        (order,) = witness.read_octave(header, Counting(), lambda *_: None, nothing, index, octave)
        # Rounded up to 256ths of a bit.
        apart = bits[octave] - costs[np.array(order)]
        assert -1e-9 <= apart.min() and apart.max() < 1 / 256


SUMMED = [
    SAMPLES / "chelsea.ddc",
    *(VALID / f"{name}.ddc" for name in ("code_escapes", "coarsest_planes_128", "base_2_grey", "sixteen_octaves")),
]


@pytest.mark.parametrize("path", SUMMED, ids=lambda path: path.stem)
def test_bits_add_up_to_the_sections(path):
    data = path.read_bytes()
    bits = maps.bit_maps(data)
    counts = {section["name"]: section["bytes"] for section in read_info(data)["sections"]}
    assert {f"octave {octave}" for octave in bits} == {name for name in counts if name.startswith("octave")}
    for octave, plane in bits.items():
        assert abs(plane.sum() - 8 * counts[f"octave {octave}"]) <= 3 * 32 + plane.size / 256
    total = maps.spread(bits, *ddcodec.decode(data).shape[:2])
    assert total.sum() == pytest.approx(sum(plane.sum() for plane in bits.values()))


def test_spread_shares_evenly():
    shared = maps.spread({1: np.array([[8.0, 2.0]]), 0: np.array([[1.0, 0, 0], [0, 0, 0]])}, 2, 3)
    assert shared.tolist() == [[3, 2, 1], [2, 2, 1]]


def test_the_colours_get_lighter():
    ramp = maps.heat(np.linspace(0, 9, 500)[None], 8)
    luma = ramp[0] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luma) >= 0).all() and luma[0] < 2 < 230 < luma[-1]
    assert [maps.top_of({0: np.full((3, 3), bits)}) for bits in (0.0, 8.0, 8.5, 100.0)] == [8, 8, 16, 128]


def test_a_large_picture_is_shown_smaller(here, monkeypatch):
    monkeypatch.setattr(viewing, "PIXELS_SHOWN", 100)
    html, _ = page_of("a.ddc", "a.png")
    assert given(html)["finest"] == 1
    assert given(html)["measures"][0] == f"PSNR {peak_signal_noise_ratio(original(), ddcodec.decode(SMALL)):.2f} dB"
    assert np.allclose(original_of(html), original().reshape(8, 2, 12, 2, 3).mean((1, 3)), atol=0.5)
    assert json.loads(view("a.ddc", "-o", "b.html", "--no-open", "--json").stdout)["scale"] == "1/2"


@pytest.mark.parametrize("shape", [(7, 10), (7, 10, 3)])
def test_means_of_blocks(shape):
    samples = np.random.default_rng(4).integers(0, 256, shape, np.uint8)
    means = viewing.reduced(samples, 2)
    assert means.shape == (2, 3, *shape[2:]) and np.allclose(
        means, np.asarray(Image.fromarray(samples).reduce(4)), atol=1
    )


# Where it goes


def test_a_temporary_file_is_opened(here):
    result = view("a.ddc", "--json")
    answer = json.loads(result.stdout)
    path = Path(answer["output"])
    assert path.parent == Path("temporary").absolute() and re.fullmatch(r"a-\w+\.html", path.name)
    assert here == [path.as_uri()] and answer["opened"] is True and f"a.ddc -> {path}: 24x16, " in result.stderr
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not Page(path.read_text("utf-8")).tags["iframe"]
    result = CliRunner().invoke(cli, ["view", "-", "--no-open", "--json"], input=SMALL)
    assert Path(json.loads(result.stdout)["output"]).name.startswith("picture-") and len(here) == 1


def test_what_is_opened(here, monkeypatch):
    assert view("a.ddc", "-o", "b.html").exit_code == 0 and here == [Path("b.html").absolute().as_uri()]
    assert view("a.ddc", "-o", "c.html", "--no-open").exit_code == 0 and len(here) == 1
    result = view("a.ddc", "-o", "-")
    assert result.stdout.startswith("<!doctype html>") and len(here) == 1
    for name in "DISPLAY", "WAYLAND_DISPLAY", "BROWSER":
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    if os.name != "nt":
        assert "Note: there is no display" in view("a.ddc").stderr and len(here) == 1


def test_refusals(here):
    Image.fromarray(original()[:, 1:]).save("narrow.png")
    Image.fromarray(original()[:, :, 0]).save("grey.png")
    Path("cut.ddc").write_bytes(SMALL[:-3])
    Path("old.html").write_text("old")
    out = ("-o", "new.html", "--no-open")
    assert (
        refused(2, "a.ddc", "narrow.png", *out)
        == "The pictures cannot be compared: narrow.png is 23x16 RGB, a.ddc is 24x16 RGB."
    )
    assert "grey.png is 24x16 grey" in refused(2, "a.ddc", "grey.png", *out)
    assert refused(2, "-", "-", *out) == "Only one of the two pictures can come from standard input."
    assert (
        refused(2, "a.ddc", "a.png", "-o", "a.png", "-f") == "a.png is the input itself; name another output with -o."
    )
    assert "both want standard output" in view("a.ddc", "-o", "-", "--json").stderr
    assert refused(3, "none.ddc", *out) == "none.ddc does not exist."
    assert refused(3, "a.ddc", "none.png", *out) == "none.png does not exist."
    assert refused(4, "cut.ddc", *out).startswith("cut.ddc: The file is cut off: ")
    assert "--max-pixels" in refused(5, "a.ddc", *out, "--max-pixels", "100")
    assert (
        refused(6, "a.ddc", "-o", "old.html")
        == "old.html exists already; -o names another output, --force (-f) replaces it."
    )
    assert (
        not Path("new.html").exists()
        and Path("old.html").read_text() == "old"
        and not os.listdir("temporary")
        and not here
    )


def test_no_temporary_file_can_be_made(here, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "none")
    assert refused(6, "a.ddc").startswith(
        "A temporary file cannot be made: No such file or directory; name a file with -o."
    )


def test_alpha(here):
    """The picture on the page is as transparent as the file's, and alpha has a figure of its own."""
    data = (VALID / "alpha_3.ddc").read_bytes()
    Path("a.ddc").write_bytes(data)
    whole = ddcodec.decode(data)
    Image.fromarray(np.dstack([whole[..., :3], 255 - whole[..., 3]])).save("other.png")
    html, _ = page_of("a.ddc", "other.png")
    assert zlib.decompress(base64.b64decode(given(html)["alpha"])) == whole[..., 3].tobytes()
    assert given(html)["measures"][-1] == f"alpha {peak_signal_noise_ratio(255 - whole[..., 3], whole[..., 3]):.2f} dB"

"""The command line: what it writes, what it says and where, and every exit code with its sentence."""

import errno
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import imagecodecs
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageCms
from profiles import levels_apart
from skimage.metrics import peak_signal_noise_ratio

from ddcodec import __version__, decoder, encoder
from ddcodec.benchmark import restoration as bench_restoration
from ddcodec.benchmark import run as benchmark
from ddcodec.cli import cli
from ddcodec.cli.talk import ProgressLine, Talk, columns_of, duration_text, fit_parts, within
from ddcodec.errors import EncoderError, ShortMemoryError
from ddcodec.format.files import pack, unpack
from ddcodec.format.header import VERSION
from ddcodec.jobs.streams import StandardOutputError
from ddcodec.metrics import psnr_hvs_m, ssimulacra2
from ddcodec.restoration import restore
from ddcodec.restoration.restore import Restored

WIDTH, HEIGHT = 24, 16
READY = (Path(__file__).parent / "vectors" / "valid" / "default_24x16.ddc").read_bytes()
QUICK = ("--iterations", "4", "--device", "cpu")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(encoder.__file__).parents[1])}


def gradient():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([8 * x, 255 - 8 * y, 5 * (x + y)], -1).astype(np.uint8)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with `in.png` and `in.ddc`, made by the command itself; and what it said."""
    folder = tmp_path_factory.mktemp("made")
    Image.fromarray(gradient()).save(folder / "in.png")
    result = CliRunner().invoke(cli, ["encode", str(folder / "in.png"), *QUICK])
    assert result.exit_code == 0, result.stderr
    return SimpleNamespace(folder=folder, data=(folder / "in.ddc").read_bytes(), result=result)


@pytest.fixture
def here(tmp_path, monkeypatch, made):
    """A working folder that holds `in.png` and `in.ddc`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.png").write_bytes((made.folder / "in.png").read_bytes())
    (tmp_path / "in.ddc").write_bytes(made.data)
    return tmp_path


def ddcodec(*args, input=None):
    return CliRunner().invoke(cli, [str(arg) for arg in args], input=input, prog_name="ddcodec")


def refused(code, *args, input=None):
    """Run, expect this exit code and silence on stdout; returns the sentence."""
    result = ddcodec(*args, input=input)
    assert result.exit_code == code, (result.exit_code, result.stderr, result.exception)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    sentence = result.stderr.strip().splitlines()[-1]
    assert sentence.startswith("Error: ")
    return sentence.removeprefix("Error: ")


def stub_encoder(data, seen=None):
    """An `encode_pictures` that takes no time: it has always made `data`."""

    def encode_pictures(sources, options, progress=None, say=None, warn=None):
        if seen is not None:
            seen.extend((source.samples, options) for source in sources)
        return [encoder.Encoded(data, decoder.decode_file(data).samples, 1e-3, 4, 0.1, "cpu", 30.0) for _ in sources]

    return encode_pictures


@pytest.fixture
def stubbed(monkeypatch, made):
    """Fits take no time; the value lists what the encoder was asked for, as (samples, options)."""
    seen = []
    monkeypatch.setattr(encoder, "encode_pictures", stub_encoder(made.data, seen))
    return seen


class OnTerminal:
    """A `ddcodec` process whose stderr is a terminal."""

    def __init__(self, *args):
        import pty

        self._terminal, other_end = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ddcodec", *args], stdout=subprocess.PIPE, stderr=other_end, env=ENVIRONMENT
        )
        os.close(other_end)
        self.said = b""

    def listen(self, until=None):
        """Collect what it says, to the end or until the words `until` come; returns all."""
        while until is None or until not in self.said:
            try:
                chunk = os.read(self._terminal, 4096)
            except OSError:  # Linux says so when the other end has gone.
                break
            if not chunk:
                break
            self.said += chunk
        return self.said

    def wait(self):
        """Exit code, as a shell sees it, and stdout; the terminal is gone afterwards."""
        out, _ = self.process.communicate(timeout=60)
        os.close(self._terminal)
        code = self.process.returncode
        # Python may die of the signal itself after all is tidied up; a shell sees the same code.
        return (code if code >= 0 else 128 - code), out


posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and terminals")


# What the commands do


def test_encode_says_one_line_on_stderr(made):
    assert made.result.stdout == ""
    form = (
        r"(.*)in\.png -> \1in\.ddc: 24x16, (\d+) bytes \((\d+\.\d{3}) bpp\), PSNR (\d+\.\d\d) dB, \d+\.\d s \(cpu\)\n"
    )
    match = re.match(form, made.result.stderr)
    assert match
    assert int(match[2]) == len(made.data)
    assert match[3] == f"{8 * len(made.data) / (WIDTH * HEIGHT):.3f}"
    assert match[4] == f"{peak_signal_noise_ratio(gradient(), decoder.decode_file(made.data).samples):.2f}"
    assert sorted(os.listdir(made.folder)) == ["in.ddc", "in.png"]


def encoded_as(monkeypatch, size):
    """Let every fit end in a file of so many bytes, by the length of its EXIF."""
    coded = unpack(READY)
    data = pack(replace(coded, chunks=((2, bytes(size - len(READY) - 3)),)))
    assert len(data) == size
    encode_pictures = lambda sources, options, progress, **_: [
        encoder.Encoded(data, source.samples, 1e-3, 4, 0.1, "cpu", 30.0) for source in sources
    ]
    monkeypatch.setattr(encoder, "encode_pictures", encode_pictures)


@pytest.mark.parametrize(
    "more, said",
    [
        (0, ""),
        (1, "Note: out.ddc is larger than noise.jpg, which has {size} bytes; a lower quality makes it smaller.\n"),
    ],
)
def test_a_file_that_is_larger_than_its_source_is_said_to_be(here, monkeypatch, more, said):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save("noise.jpg", quality=60)
    size = Path("noise.jpg").stat().st_size
    encoded_as(monkeypatch, size + more)
    assert "".join(ddcodec("encode", "noise.jpg", "-o", "out.ddc").stderr.splitlines(keepends=True)[1:]) == said.format(
        size=size
    )


@pytest.mark.parametrize("depth, format, limit", [(8, "WebP", 2000), (16, "PNG", 4000)])
def test_a_lossless_format_that_does_better_is_named(here, monkeypatch, depth, format, limit):
    """A chart of few colours: the size that is said is about that of a file which anybody can make, and smaller than
    ours.
    """
    chart = np.full((80, 120, 3), 230, np.uint8)
    chart[20:60, 30:90:7] = 0, 60, 200
    Path("chart.png").write_bytes(imagecodecs.png_encode(chart if depth == 8 else chart * np.uint16(257)))
    encoded_as(monkeypatch, limit)
    result = ddcodec("encode", "chart.png", "-o", "out.ddc", "--json")
    answer = json.loads(result.stdout)["lossless"]
    file = io.BytesIO()
    if depth == 8:
        Image.fromarray(chart).save(file, "WEBP", lossless=True)
    else:
        file.write(imagecodecs.png_encode(chart * np.uint16(257), level=3))
    assert answer["format"] == format and 0.5 < answer["bytes"] / len(file.getvalue()) < 2 and answer["bytes"] < limit
    assert (
        f"Note: a lossless {format} of the picture has {answer['bytes']} bytes, fewer than out.ddc: it is the better "
        "format for such pictures.\n" in result.stderr
    )
    encoded_as(monkeypatch, 1300)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)).save("noise.png")
    assert json.loads(ddcodec("encode", "noise.png", "-o", "noise.ddc", "--json").stdout)["lossless"] is None


def test_metadata_is_a_part_of_the_bytes_that_is_told(here, monkeypatch):
    encoded_as(monkeypatch, 2000)
    count = 2000 - len(READY)
    assert (
        f", 2000 bytes (41.667 bpp; {count} of them metadata), PSNR "
        in ddcodec("encode", "in.png", "-o", "out.ddc").stderr
    )
    assert json.loads(ddcodec("encode", "in.png", "-o", "out.ddc", "-f", "--json").stdout)["metadata_bytes"] == count
    assert ddcodec("info", "out.ddc").stdout.startswith(
        f"out.ddc: 24x16, 2000 bytes (41.667 bpp; {count} of them metadata)\n"
    )
    assert json.loads(ddcodec("info", "out.ddc", "--json").stdout)["metadata_bytes"] == count
    assert f"2.0 kB ({count} bytes of them metadata), " in ddcodec("encode", "in.png", "-o", "folder/").stderr
    Path("in.ddc").write_bytes((Path(__file__).parent / "vectors" / "valid" / "alpha_3.ddc").read_bytes())
    assert json.loads(ddcodec("info", "in.ddc", "--json").stdout)["metadata_bytes"] == 0


def test_decode_writes_the_decoded_picture(here, made):
    result = ddcodec("decode", "in.ddc")
    assert result.exit_code == 0 and result.stdout == ""
    assert re.fullmatch(r"in\.ddc -> in\.ddc\.png: 24x16, \d+\.\d s\n", result.stderr)
    assert np.array_equal(np.asarray(Image.open("in.ddc.png")), decoder.decode_file(made.data).samples)


def test_encode_and_decode_leave_the_original(here, stubbed):
    """The natural pair of commands, forced or not; nor does a second encode replace the first file."""
    original, coded = Path("in.png").read_bytes(), Path("in.ddc").read_bytes()
    for words in (
        ["encode", "in.png", "-f"],
        ["decode", "in.ddc", "-f"],
        ["decode", ".", "-r", "-f"],
        ["encode", "in.ddc.png"],
        ["encode", "in.png", "--keep-extension"],
    ):
        assert ddcodec(*words).exit_code == 0
    assert Path("in.png").read_bytes() == original and Path("in.ddc").read_bytes() == coded
    assert sorted(os.listdir()) == ["in.ddc", "in.ddc.ddc", "in.ddc.png", "in.png", "in.png.ddc"]


def test_decode_formats(here, made):
    expected = decoder.decode_file(made.data).samples
    assert ddcodec("decode", "in.ddc", "-o", "out.npy").exit_code == 0
    assert np.array_equal(np.load("out.npy"), expected)
    assert ddcodec("decode", "in.ddc", "-o", "OUT.PPM").exit_code == 0
    assert Path("OUT.PPM").read_bytes() == b"P6\n24 16\n255\n" + expected.tobytes()
    assert ddcodec("decode", "in.ddc", "--format", "ppm").exit_code == 0
    assert Path("in.ddc.ppm").read_bytes() == Path("OUT.PPM").read_bytes()
    assert ddcodec("decode", "in.ddc", "-o", "anything", "--format", "npy").exit_code == 0
    assert Path("anything").read_bytes() == Path("out.npy").read_bytes()


def test_decode_at_half_size(here):
    assert ddcodec("decode", "in.ddc", "-o", "half.png", "--scale", "1/2").exit_code == 0
    assert Image.open("half.png").size == (12, 8)


def test_grey_stays_grey(here):
    Image.fromarray(gradient()[:, :, 0]).save("grey.png")
    assert ddcodec("encode", "grey.png", *QUICK).exit_code == 0
    assert ddcodec("decode", "grey.ddc", "-o", "again.png").exit_code == 0
    assert Image.open("again.png").mode == "L"


def test_pipes(here, made, stubbed):
    result = ddcodec("decode", "-", input=made.data)
    assert result.exit_code == 0
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(result.stdout_bytes))), decoder.decode_file(made.data).samples
    )
    assert result.stderr.startswith("standard input -> standard output: 24x16, ")
    result = ddcodec("decode", "in.ddc", "-o", "-", "--format", "ppm")
    assert result.stdout_bytes.startswith(b"P6\n24 16\n255\n")
    result = ddcodec("encode", "-", input=Path("in.png").read_bytes())
    assert result.exit_code == 0 and result.stdout_bytes == made.data
    assert np.array_equal(stubbed[0][0], gradient())
    assert ddcodec("info", "-", input=made.data).stdout.startswith("-: 24x16, ")
    assert ddcodec("verify", "-", input=made.data).stderr.startswith("standard input: intact")
    assert ddcodec("compare", "in.png", "-", input=made.data).exit_code == 0


def test_a_file_whose_name_is_a_dash(here, made):
    Path("-").write_bytes(made.data)
    assert ddcodec("decode", "./-").exit_code == 0
    assert Image.open("-.png").size == (WIDTH, HEIGHT)
    assert ddcodec("decode", "in.ddc", "-o", "./-", "--format", "ppm", "--force").stdout == ""
    assert Path("-").read_bytes().startswith(b"P6")


def test_info(here, made):
    result = ddcodec("info", "in.ddc")
    assert result.exit_code == 0 and result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == f"in.ddc: 24x16, {len(made.data)} bytes ({8 * len(made.data) / 384:.3f} bpp)"
    assert lines[1] == "format version 13, RGB, 8 bits a sample"
    assert lines[2].startswith("profile default, base for eye, ")
    table = {name: int(count) for name, count in re.findall(r"^(.+?) +(\d+) +\d+\.\d %$", result.stdout, re.MULTILINE)}
    parts = [count for name, count in table.items() if name not in ("all octaves", "file")]
    assert sum(parts) == table["file"] == len(made.data)
    assert table["header"] == 30
    assert table["all octaves"] == sum(count for name, count in table.items() if name.startswith("octave "))


@pytest.mark.parametrize("words, tune", [("--tune psnr", "psnr"), ("", "eye"), ("--base none", None)])
def test_info_says_what_a_base_is_for(here, words, tune):
    assert ddcodec("encode", "in.png", "-o", "tuned.ddc", "--iterations", "2", *words.split()).exit_code == 0
    assert json.loads(ddcodec("info", "tuned.ddc", "--json").stdout)["base_tune"] == tune
    assert (f"base for {tune}" in ddcodec("info", "tuned.ddc").stdout) == (tune is not None)


def test_info_does_not_decode(here, made):
    """A file with the checksum of other samples: only decoding can find that out."""
    header = made.data[:22] + bytes(value ^ 1 for value in made.data[22:26])
    Path("odd.ddc").write_bytes(header + crc32(header).to_bytes(4, "big") + made.data[30:])
    assert ddcodec("info", "odd.ddc").exit_code == 0
    assert (
        refused(4, "verify", "odd.ddc")
        == "odd.ddc: The decoded picture does not have the checksum that the file promises."
    )


def test_verify(here):
    result = ddcodec("verify", "in.ddc")
    assert result.exit_code == 0 and result.stdout == ""
    assert re.fullmatch(r"in\.ddc: intact, 24x16, \d+ bytes \(\d\.\d{3} bpp\), \d+\.\d s\n", result.stderr)
    assert sorted(os.listdir()) == ["in.ddc", "in.png"]


def test_compare(here, made):
    result = ddcodec("compare", "in.png", "in.ddc")
    decoded = decoder.decode_file(made.data).samples
    decibels = peak_signal_noise_ratio(gradient(), decoded)
    assert result.exit_code == 0 and result.stderr == ""
    assert [line for line in result.stdout.splitlines() if "Butteraugli" not in line] == [
        f"in.ddc: 24x16, {len(made.data)} bytes ({8 * len(made.data) / 384:.3f} bpp)",
        f"PSNR         {decibels:.2f} dB",
        "MS-SSIM      n/a (a side is shorter than 161 pixels)",
        f"SSIMULACRA2  {ssimulacra2(gradient(), decoded):.2f}",
        f"PSNR-HVS-M   {psnr_hvs_m(gradient(), decoded):.2f} dB",
    ]
    assert ddcodec("compare", "in.png", "in.png").stdout.startswith("PSNR         inf (the pictures are identical)\n")


def test_compare_large_enough_for_ms_ssim(here):
    ramp = np.add.outer(np.arange(161), np.arange(170)).astype(np.uint8)
    Image.fromarray(ramp).save("a.png")
    Image.fromarray(ramp ^ 4).save("b.png")
    lines = r"PSNR         36\.09 dB\nMS-SSIM      0\.\d{5}\nSSIMULACRA2  \d\d\.\d\d\nPSNR-HVS-M   \d\d\.\d\d dB\n"
    lines += r"(Butteraugli  \d\.\d\d\n)?"
    assert re.fullmatch(lines, ddcodec("compare", "a.png", "b.png").stdout)


def test_version_and_help(monkeypatch):
    vectors = "plain C|SSE4.1|AVX2|AVX-512|AVX-512 VNNI|NEON"
    version = re.escape(f"ddcodec {__version__}, format {VERSION}, decoder ")
    assert re.fullmatch(rf"{version}(numpy|native, ({vectors}))\n", ddcodec("--version").stdout)
    monkeypatch.setenv("DDCODEC_DECODER", "numpy")
    assert ddcodec("--version").stdout.endswith("decoder numpy\n")
    monkeypatch.setenv("DDCODEC_DECODER", "none")
    assert "There is no decoder 'none', which the variable DDCODEC_DECODER" in refused(2, "--version")
    monkeypatch.delenv("DDCODEC_DECODER")
    for command in ("", *cli.commands):
        result = ddcodec(*command.split(), "--help")
        assert result.exit_code == 0 and result.stderr == ""
        assert re.search(r"Examples?:\n +ddcodec ", result.stdout)


def jpeg_in_process(work, jobs, _):
    return ((job, work(job), 0.1) for job in jobs if job.codec == "jpeg")


def restored_at_once(samples, options, **_):
    options.validate()
    larger = samples.repeat(options.scale or 1, 0).repeat(options.scale or 1, 1)
    return Restored(larger, True, 5.0, "codec", 1, "all fits are done", 0.1)


def test_examples_of_the_help_run(here, stubbed, monkeypatch):
    monkeypatch.setattr(benchmark, "run_jobs", jpeg_in_process)
    monkeypatch.setattr(restore, "restore_picture", restored_at_once)
    monkeypatch.setattr(bench_restoration, "restore_picture", restored_at_once)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    monkeypatch.setattr("tempfile.tempdir", str(here))
    for folder in "clean", "noisy", "pairs", "masks":
        Path(folder).mkdir()
    mask = Image.fromarray((np.indices(gradient().shape[:2]).sum(0) > 5).astype(np.uint8) * 255)
    for name in "clean/a", "noisy/a", "pairs/a_real", "pairs/a_mean", "night", "old", "small":
        Image.fromarray(gradient()).save(f"{name}.png")
    for name in "masks/a", "scratches":
        mask.save(f"{name}.png")
    Image.fromarray(gradient()).save("web.jpg")
    Path("photos").mkdir()
    Path("curves").mkdir()
    Path("curves/a.csv").write_text("image,bpp,psnr_db\nphoto,0.5,30\n")
    for name in "photo.png", "photo.jpg", "a.png", "b.png", "photos/photo.png":
        Image.fromarray(gradient()).save(name)
    for name in "photo.ddc", "a.ddc", "b.ddc":
        Path(name).write_bytes(Path("in.ddc").read_bytes())
    help_texts = [ddcodec(*command.split(), "--help").stdout for command in ("", *cli.commands)]
    examples = [example for text in help_texts for example in re.findall(r"^ +ddcodec (.*)$", text, re.M)]
    assert len(examples) > 10
    for example in examples:
        words = shlex.split(re.sub(r"[<>] *\S+", "", example))
        if words[0] in ("encode", "decode", "restore") and not {"--force", "--skip-existing"} & set(words):
            words.append("--force")
        if words[0] == "decode":
            words += ["--scale", "1/2"] if "1/8" in words else []  # The stub's picture has too few octaves for 1/8.
        result = ddcodec(*words, input=Path("photo.png").read_bytes())
        assert result.exit_code == 0, (example, result.stderr)


def test_options_reach_the_encoder(here, stubbed):
    options = (
        "--lambda 0.01 -e 3 --iterations 7 --time_limit=1.5m --profile classic --base none --device cpu --threads 2 "
        "--seed 9"
    )
    assert ddcodec("encode", "in.png", "-f", *options.split()).exit_code == 0
    for rate in ("-q 50.5", "--target-size 30k", "--target-bpp 0.25", "--target-psnr 34.5"):
        assert ddcodec("encode", "in.png", "-f", *rate.split()).exit_code == 0
    assert stubbed[0][1] == encoder.EncodeOptions(
        lambda_=0.01,
        effort=3,
        iterations=7,
        time_limit=90.0,
        profile="classic",
        base="none",
        device="cpu",
        threads=2,
        seed=9,
    )
    rates = [{"quality": 50.5}, {"target_size": 30 * 1024}, {"target_bpp": 0.25}, {"target_psnr": 34.5}]
    assert [options for _, options in stubbed[1:]] == [encoder.EncodeOptions(**rate) for rate in rates]
    assert np.array_equal(stubbed[0][0], gradient())


@pytest.mark.parametrize("text, seconds", [("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600), ("0.5s", 0.5)])
def test_time_limits(here, stubbed, text, seconds):
    assert ddcodec("encode", "in.png", "-f", "--time-limit", text).exit_code == 0
    assert stubbed[0][1].time_limit == seconds


def test_quiet_and_verbose(here, stubbed):
    assert ddcodec("encode", "in.png", "-f", "--quiet").stderr == ""
    assert ddcodec("decode", "in.ddc", "-f", "--quiet").stderr == ""
    said = ddcodec("encode", "in.png", "-f", "-v").stderr
    assert "lambda 0.001, 4 steps\n" in said and re.search(r"^weights +\d+ ", said, re.M)


def test_metadata_goes_with_the_picture(here):
    exif = Image.Exif()
    exif[271] = "a camera"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(gradient()).save("photo.jpg", exif=exif, icc_profile=profile)
    assert ddcodec("encode", "photo.jpg", *QUICK).exit_code == 0
    assert re.search(r"^chunk color +4 ", ddcodec("info", "photo.ddc").stdout, re.M)
    assert ddcodec("decode", "photo.ddc").exit_code == 0
    with Image.open("photo.ddc.png") as image:
        assert levels_apart(image.info["icc_profile"], profile) <= 1 and dict(image.getexif()) == {271: "a camera"}
    said = ddcodec("decode", "photo.ddc", "-o", "photo.ppm").stderr
    assert said.startswith("Note: photo.ddc also holds exif and color, which a PPM file cannot keep; a PNG can.\n")


# JSON


def test_json_of_encode(here, stubbed):
    result = ddcodec("encode", "in.png", "-o", "out.ddc", "--json")
    answer = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert answer["schema"] == 1 and answer["ok"] is True
    assert answer["bytes"] == os.path.getsize("out.ddc")
    assert answer["bpp"] == pytest.approx(8 * answer["bytes"] / 384)
    assert (answer["input"], answer["output"]) == ("in.png", "out.ddc")
    assert (answer["width"], answer["height"], answer["planes"], answer["steps"]) == (24, 16, 3, 4)
    assert {"psnr", "lambda", "seconds", "device"} <= answer.keys()


def test_json_of_the_others(here, made):
    commands = "decode in.ddc -o out.png", "info in.ddc", "verify in.ddc", "compare in.png in.ddc"
    answers = {words.split()[0]: json.loads(ddcodec(*words.split(), "--json").stdout) for words in commands}
    assert all(answer["schema"] == 1 and answer["ok"] is True and answer["width"] == 24 for answer in answers.values())
    assert answers["decode"]["format"] == "png"
    assert (
        sum(section["bytes"] for section in answers["info"]["sections"]) == answers["info"]["bytes"] == len(made.data)
    )
    assert answers["verify"]["samples_crc"] == answers["info"]["samples_crc"]
    assert answers["compare"]["ms_ssim"] is None and answers["compare"]["bytes"] == len(made.data)
    same = json.loads(ddcodec("compare", "in.png", "in.png", "--json").stdout)
    assert same["psnr"] is None and same["identical"] is True


def test_json_of_errors(here):
    for code, args in (
        (3, ["encode", "none.png"]),
        (6, ["encode", "in.png"]),
        (4, ["info", "in.png"]),
        (2, ["encode", "--nonsense"]),
    ):
        result = ddcodec(*args, "--json")
        answer = json.loads(result.stdout)
        assert result.exit_code == code
        assert answer["schema"] == 1 and answer["ok"] is False
        assert answer["error"]["code"] == code
        assert f"Error: {answer['error']['message']}\n" in result.stderr


def lines_of(*args, input=None):
    """The exit code of a command with --json, and the objects that it says."""
    result = ddcodec(*args, "--json", input=input)
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("command", ["info", "verify", "compare in.png"])
def test_several_files_one_object_each_and_a_failure_stops_nothing(here, made, command):
    field = "distorted" if command.startswith("compare") else "input"
    Path("cut.ddc").write_bytes(made.data[:50])
    code, told = lines_of(*command.split(), "in.ddc", "cut.ddc", "none.ddc", "in.ddc")
    assert code == 1
    assert [(answer["ok"], answer[field]) for answer in told] == [
        (True, "in.ddc"),
        (False, "cut.ddc"),
        (False, "none.ddc"),
        (True, "in.ddc"),
    ]
    assert [answer["error"]["code"] for answer in told if not answer["ok"]] == [4, 3]
    assert told[3]["bytes"] == len(made.data)
    assert lines_of(*command.split(), "in.ddc", "in.ddc")[0] == 0
    said = ddcodec(*command.split(), "cut.ddc", "in.ddc")
    assert said.exit_code == 1 and "Error: cut.ddc: " in said.stderr and "in.ddc: " in said.stdout + said.stderr


def test_several_files_in_words(here, made):
    told = ddcodec("info", "in.ddc", "in.ddc").stdout
    assert told == 2 * (ddcodec("info", "in.ddc").stdout + "\n")
    assert [line[:16] for line in ddcodec("verify", "in.ddc", "in.ddc").stderr.splitlines()] == 2 * ["in.ddc: intact, "]
    told = ddcodec("compare", "in.png", "in.png", "in.ddc").stdout.splitlines()
    told = [line for line in told if "Butteraugli" not in line]
    assert told[0] == "in.png: 24x16" and told[4].startswith("in.ddc: 24x16, ") and len(told) == 9


def test_errors_name_their_input_in_json(here, made):
    """Each command once; a target that cannot be written, a picture that is none."""
    for words, field in [
        ("encode in.png", "input"),
        ("decode none.ddc -o out.png", "input"),
        ("info in.png", "input"),
        ("verify in.png", "input"),
        ("compare in.png none.png", "distorted"),
        ("compare none.png in.png", "reference"),
        ("restore --task denoise none.png -o out.png", "input"),
        ("bench-restore in.png --task dejpeg -o rows.tsv", "input"),
    ]:
        name = next(
            word for word in words.split() if word.startswith("none") or word == "in.png" and "none" not in words
        )
        code, (answer,) = lines_of(*words.split())
        assert code == answer["error"]["code"] > 1 and answer[field] == name, words


# Exit 2: usage


@pytest.mark.parametrize(
    "options, sentence",
    [
        ("-q 0", "The quality must be between 1 and 100, not 0."),
        ("-q nan", "The quality must be between 1 and 100, not nan."),
        ("--frame 0", "Invalid value for '--frame': 0 is not in the range x>=1."),
        ("-q 75 --lambda 0.01", "Give either a quality or a lambda, not both."),
        ("--lambda 0", "The lambda must be between 1e-7 and 1, not 0."),
        ("-e 10", "The effort must be between 1 and 9, not 10."),
        ("--iterations 0", "There must be at least 1 iteration, not 0."),
        ("--time-limit 0s", "The time limit must be above 0 seconds, not 0."),
        ("--time-limit soon", "Invalid value for '--time-limit': 'soon' is no time; write 90, 90s, 2m or 1h."),
        ("--profile none", "There is no profile none; choose one of: default, classic."),
        ("--device tpu", "There is no device tpu; choose auto, cpu, cuda or cuda:N."),
        ("--threads 0", "There must be 1 to 256 threads, not 0."),
        ("--threads 1000", "There must be 1 to 256 threads, not 1000."),
        ("--seed -1", "The seed must be between 0 and 2^63 - 1, not -1."),
        ("-e fast", "Invalid value for '-e' / '--effort': 'fast' is not a valid integer."),
        ("-o - --json", "The data and --json both want standard output; name a file with -o."),
        ("-o in.png -f", "in.png is the input itself; name another output with -o."),
    ],
)
def test_usage_of_encode(here, options, sentence):
    result = ddcodec("encode", "in.png", *options.split())
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {sentence}"
    assert sorted(os.listdir()) == ["in.ddc", "in.png"]


def test_usage_of_the_others(here):
    assert "does not tell the format" in refused(2, "decode", "in.ddc", "-o", "out.doc")
    for ending in ".jpg", ".WebP", ".avif", ".tiff":
        sentence = refused(2, "decode", "in.ddc", "-o", f"out{ending}")
        assert sentence.startswith(
            f"out{ending} cannot be written: decode makes PNG, PPM and NumPy files."
        ) and sentence.endswith(f"ddcodec decode in.ddc -o - | magick - out{ending.lower()}")
    assert "'1/3' is not one of '1', '1/2', '1/4', '1/8'" in refused(2, "decode", "in.ddc", "--scale", "1/3")
    assert "'lots' is no number of bytes; write 30000, 30k or 1.5M, or 0 for no limit." in refused(
        2, "decode", "in.ddc", "--max-memory", "lots"
    )
    assert "-1 is not in the range x>=0" in refused(2, "decode", "in.ddc", "--max-pixels", "-1")
    Path("two.ddc").write_bytes((Path(__file__).parent / "vectors" / "valid" / "2x2.ddc").read_bytes())
    assert "smallest scale is 1/2, not 1/8" in refused(2, "decode", "two.ddc", "-o", "eighth.png", "--scale", "1/8")
    assert "Missing argument 'INPUT...'" in refused(2, "encode")
    assert "No such command 'transmogrify'" in refused(2, "transmogrify")
    assert refused(2, "compare", "-", "-") == "Only one of the pictures can come from standard input."


def test_compare_of_different_kinds(here):
    Image.fromarray(gradient()[:, 1:]).save("narrow.png")
    Image.fromarray(gradient()[:, :, 0]).save("grey.png")
    for pair, what in [
        (("in.png", "narrow.png"), "in.png is 24x16 RGB, narrow.png is 23x16 RGB"),
        (("in.ddc", "grey.png"), "in.ddc is 24x16 RGB, grey.png is 24x16 grey"),
    ]:
        assert refused(2, "compare", *pair) == f"The pictures cannot be compared: {what}."


# Exit 3: the source picture


def test_a_name_of_another_format_is_refused(here):
    assert (
        refused(2, "encode", "in.png", "-o", "x.jpg")
        == "x.jpg has the name of another kind of picture; let it end in .ddc."
    )
    assert refused(2, "encode", "in.png", "-o", "") == "The output after -o has no name."
    assert not Path("x.jpg").exists()


def test_sources(here):
    Path("empty.png").write_bytes(b"")
    Path("cut.png").write_bytes(Path("in.png").read_bytes()[:60])
    Image.fromarray(gradient()).convert("LAB").save("lab.tif")
    os.mkdir("folder.png")
    assert refused(3, "encode", "none.png") == "none.png does not exist."
    assert (
        refused(2, "encode", "folder.png")
        == "folder.png is a folder; with -r (--recursive) all that is in it is taken."
    )
    assert refused(3, "encode", "empty.png") == "empty.png is empty."
    assert refused(3, "encode", "cut.png") == "cut.png is cut off: its end is missing."
    assert refused(3, "encode", "lab.tif").startswith("lab.tif is a Lab picture")
    assert (
        refused(3, "encode", "in.ddc", "-o", "out.ddc")
        == "in.ddc is a .ddc file already; ddcodec decode makes a picture of it."
    )
    assert refused(3, "encode", "-", input=b"") == "standard input is empty."
    assert refused(3, "decode", "none.ddc") == "none.ddc does not exist."
    assert refused(3, "info", "folder.png") == "folder.png is a folder, not a file."
    assert refused(3, "compare", "none.png", "in.png") == "none.png does not exist."
    assert not [name for name in os.listdir() if name.endswith(".part")]


def test_options_are_looked_at_before_the_picture(here):
    assert (
        refused(7, "encode", "none.png", "--target-size", "12") == "No file has only 12 bytes: the header alone has 30."
    )
    assert refused(2, "encode", "none.png", "-q", "0").startswith("The quality must be")
    assert refused(2, "decode", "none.ddc", "-o", "out.jpg").startswith("out.jpg cannot be written")
    assert refused(2, "restore", "none.png", "--task", "denoise", "-o", "out.png", "--sigma", "x").startswith(
        "The sigma"
    )


# Exits 4 and 5: the .ddc file


@pytest.mark.parametrize("command", ["decode", "info", "verify", "view"])
def test_a_picture_is_no_ddc_file(here, command):
    Image.fromarray(gradient()).save("a.webp")
    Image.fromarray(gradient()).save("a.jpg")
    for name, kind in ("in.png", "PNG"), ("a.webp", "WebP"), ("a.jpg", "JPEG"):
        assert (
            refused(4, command, name)
            == f"{name}: This is no .ddc file but a {kind} picture; ddcodec encode makes one of it."
        )


@pytest.mark.parametrize("command", ["decode", "info", "verify"])
def test_damaged_files(here, made, command):
    flipped = made.data[:-1] + bytes([made.data[-1] ^ 1])
    for name, data in [("cut", made.data[:50]), ("flipped", flipped), ("empty", b""), ("other", b"GIF89a")]:
        Path(f"{name}.ddc").write_bytes(data)
        assert refused(4, command, f"{name}.ddc").startswith(f"{name}.ddc: ")
        assert not Path(f"{name}.png").exists()


def test_newer_version(here, made):
    Path("newer.ddc").write_bytes(made.data[:4] + bytes([VERSION + 1]) + made.data[5:])
    for command in "decode", "info", "verify":
        assert (
            refused(5, command, "newer.ddc")
            == f"newer.ddc: The file has format version {VERSION + 1}; this decoder reads version {VERSION}."
        )


def test_limits_name_their_options(here):
    out = ("-o", "out.png")
    assert "(--max-pixels)" in refused(5, "decode", "in.ddc", *out, "--max-pixels", "383")
    assert "(--max-memory)" in refused(5, "decode", "in.ddc", *out, "--max_memory", "1K")
    assert "(--max-pixels)" in refused(5, "verify", "in.ddc", "--max-pixels", "383")
    assert "(--max-pixels)" in refused(5, "compare", "in.png", "in.ddc", "--max-pixels", "383")
    assert ddcodec("decode", "in.ddc", *out, "--max-pixels", "0", "--max-memory", "0").exit_code == 0
    assert "(--max-pixels)" in refused(5, "encode", "in.png", "-o", "o.ddc", "--max-pixels", "383")
    assert "(--max-memory)" in refused(5, "encode", "in.png", "-o", "o.ddc", "--max-memory", "10k")


# Exit 6: the output


def test_existing_output_is_refused_before_the_fit(here, monkeypatch):
    monkeypatch.setattr(encoder, "encode_pictures", lambda *_, **__: pytest.fail("The fit was started."))
    assert refused(6, "encode", "in.png") == "in.ddc exists already; -o names another output, --force (-f) replaces it."
    Path("in.ddc.png").write_bytes(b"")
    assert (
        refused(6, "decode", "in.ddc")
        == "in.ddc.png exists already; -o names another output, --force (-f) replaces it."
    )
    assert refused(6, "encode", "in.png", "-o", "none/out.ddc").startswith(
        "none/out.ddc cannot be written: there is no folder "
    )
    os.mkdir("folder")
    assert refused(6, "encode", "in.png", "-o", "folder") == "folder is a folder; name a file."


def test_existing_output_is_refused_at_the_rename(here, made, monkeypatch):
    def slow_encoder(*_, **__):
        Path("out.ddc").write_bytes(b"another process was faster")
        return stub_encoder(made.data)([None], None)

    monkeypatch.setattr(encoder, "encode_pictures", slow_encoder)
    assert (
        refused(6, "encode", "in.png", "-o", "out.ddc")
        == "out.ddc exists already; -o names another output, --force (-f) replaces it."
    )
    assert Path("out.ddc").read_bytes() == b"another process was faster"


def test_force(here, made, stubbed):
    Path("in.ddc").write_bytes(b"old")
    assert ddcodec("encode", "in.png", "--force").exit_code == 0
    assert Path("in.ddc").read_bytes() == made.data


# Exits 1, 8 and 130: what befalls a run


@pytest.mark.parametrize(
    "words", ["decode in.ddc -o old", "decode in.ddc in.ddc -o .", "view in.ddc -o old", "encode in.png -o old"]
)
def test_what_is_not_kept_of_a_replaced_file_is_told(here, stubbed, words):
    old = "in.ddc.png" if words.endswith(".") else "old"
    Path("in.ddc.png").write_bytes(b"old")
    if old == "old":
        words += " --format png" * words.startswith("decode")
        Path(old).write_bytes(b"old")
    os.link(old, "other")
    before = Path("other").read_bytes()
    result = ddcodec(*words.split(), "--force")
    assert (
        result.exit_code == 0
        and result.stderr.count("Warning: ") == 1
        and "(hard links: 1) the old content stays" in result.stderr
    )
    assert Path("other").read_bytes() == before != Path(old).read_bytes()


@pytest.mark.parametrize(
    "error, code, sentence",
    [
        (MemoryError(), 8, "There is not enough memory for this picture."),
        (ShortMemoryError("There is not enough memory on cuda."), 8, "There is not enough memory on cuda."),
        (KeyboardInterrupt(), 130, "Interrupted; nothing was written."),
        (EncoderError("The file does not decode."), 1, "The file does not decode."),
        (ValueError("a bug"), 1, "Internal error: ValueError: a bug (please report; -v shows the traceback)"),
        (AssertionError(), 1, "Internal error: AssertionError (please report; -v shows the traceback)"),
        (StandardOutputError(OSError(errno.ENOSPC, "")), 6, "Standard output cannot be written: no space is left."),
    ],
)
def test_failures_of_the_fit(here, monkeypatch, error, code, sentence):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(encoder, "encode_pictures", fail)
    assert refused(code, "encode", "in.png", "-o", "out.ddc") == sentence
    assert sorted(os.listdir()) == ["in.ddc", "in.png"]


def test_verbose_shows_the_traceback(here, monkeypatch):
    monkeypatch.setattr(encoder, "encode_pictures", lambda *_, **__: 1 // 0)
    result = ddcodec("encode", "in.png", "-f", "-v")
    assert result.exit_code == 1 and "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: Internal error: ZeroDivisionError")


@posix
@pytest.mark.parametrize(
    "name, code, said",
    [
        ("SIGINT", 130, b"Error: Interrupted; nothing was written."),
        ("SIGTERM", 143, b""),
        ("SIGHUP", 129, b""),
        ("SIGXCPU", 152, b""),
    ],
)
def test_a_signal_leaves_nothing_behind(here, name, code, said):
    if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
        pytest.skip("The suite runs where this signal is ignored, as under nohup; so its commands ignore it, too.")
    Image.fromarray(np.arange(64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)).save("large.png")
    command = OnTerminal("encode", "large.png", "--iterations", "1000000", "--device", "cpu")
    command.listen(until=b"step ")
    command.process.send_signal(getattr(signal, name))
    last_line = command.listen().replace(b"\r\n", b"\n").rpartition(b"\r")[2]
    assert command.wait() == (code, b"")
    assert last_line.strip() == said
    assert sorted(os.listdir(here)) == ["in.ddc", "in.png", "large.png"]


def test_closed_pipe(here):
    """Whoever reads text may have enough, as `head` has; a picture that is not written whole is none."""
    texts = (
        ["info", "in.ddc"],
        ["info", "in.ddc", "in.ddc", "--json"],
        ["compare", "in.png", "in.ddc"],
        ["--help"],
        ["info", "--help"],
        ["completion", "bash"],
    )
    for args, code, said in (
        *((text, 141, b"") for text in texts),
        (["decode", "in.ddc", "-o", "-"], 6, b"Error: Standard output was closed before everything was written.\n"),
    ):
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "ddcodec", *args]
        result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=ENVIRONMENT)
        os.close(writer)
        assert (result.returncode, result.stderr.replace(b"\r\n", b"\n")) == (code, said), args


# The process itself


def test_module_and_start_up():
    """Whoever only asks for help, or looks into a file, waits for no heavy import."""
    script = """if True:
        import sys
        from ddcodec.cli import main
        try:
            main()
        except SystemExit:
            print(*sys.modules, file=sys.stderr)
        """

    def modules(*args):
        result = subprocess.run(
            [sys.executable, "-c", script, *args], capture_output=True, text=True, env=ENVIRONMENT, check=True
        )
        return set(result.stderr.split())

    assert not modules("--help") & {"numpy", "PIL", "torch", "constriction", "zstandard"}
    assert not modules("encode", "--help") & {"numpy", "PIL", "torch", "constriction", "zstandard"}
    result = subprocess.run([sys.executable, "-m", "ddcodec", "--version"], capture_output=True, env=ENVIRONMENT)
    assert result.stdout.decode().startswith(f"ddcodec {__version__}, ")


def test_info_and_decode_import_no_torch(here):
    script = "import sys; sys.modules['torch'] = None; from ddcodec.cli import main; main()"
    for args in ["info", "in.ddc"], ["decode", "in.ddc", "-f"], ["verify", "in.ddc"], ["compare", "in.png", "in.ddc"]:
        result = subprocess.run(
            [sys.executable, "-c", script, *args], capture_output=True, text=True, env=ENVIRONMENT, cwd=here
        )
        assert result.returncode == 0, result.stderr


# The progress line


def test_the_line_of_a_fit():
    """What matters most stays on a narrow terminal."""
    progress = SimpleNamespace(phase="fit", step=12, total=600, bpp=0.3125, psnr=30.987)
    for columns, text in [
        (79, "step 12/600, 1 min 24 s left, 0.312 bpp, PSNR 30.99 dB"),
        (45, "step 12/600, 1 min 24 s left, 0.312 bpp"),
        (39, "step 12/600, 1 min 24 s left, 0.312 bpp"),
        (38, "step 12/600, 1 min 24 s left"),
    ]:
        assert within(columns, fit_parts(progress, 83.2, columns)) == text
    assert fit_parts(progress, float("inf"), 79)[:2] == ["step 12/600", "0.312 bpp"]
    assert fit_parts(SimpleNamespace(phase="pack", step=0, total=1, bpp=0.25, psnr=31.5), -3.0, 79) == [
        "packing and checking",
        "1 s left",
        "0.250 bpp",
        "PSNR 31.50 dB",
    ]
    assert [duration_text(s) for s in (0.2, 59.1, 61, 3700)] == ["1 s", "1 min 0 s", "1 min 1 s", "1 h 1 min"]


def test_wide_letters_take_two_columns():
    """Widths as in Unicode's annex 11; a combining accent and a joiner take none."""
    for text, columns in [
        ("photo", 5),
        ("写真", 4),
        ("caf\u0065\u0301", 4),
        ("한글", 4),
        ("\u200d", 0),
        ("ｱ", 1),
        ("Ａ", 2),
    ]:
        assert columns_of(text) == columns, text
    assert (
        within(16, ["1/2", "step 写真の名前"]) == "1/2, step 写..." and within(15, ["1/2", "step 写真の名前"]) == "1/2"
    )
    assert within(30, ["1/2", "a\x1b[2Jb"]) == r"1/2, a\x1b[2Jb"


@posix
def test_progress_is_shown_on_a_terminal(here):
    command = OnTerminal("encode", "in.png", "-o", "out.ddc", *QUICK)
    said = command.listen()
    assert command.wait() == (0, b"")
    assert re.search(rb"\rstep \d/4, (?:\d+ s left, )?\d+\.\d{3} bpp, PSNR \d+\.\d\d dB", said)
    assert b"\rpacking and checking, " in said
    assert re.search(rb"\r +\rin\.png -> out\.ddc: 24x16, ", said)


def test_the_line_runs_down_while_nothing_is_told(monkeypatch):
    """And it does not come back once it is gone."""
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    monkeypatch.setattr("ddcodec.cli.talk.SECONDS_BETWEEN_TICKS", 0.01)
    monkeypatch.setattr("ddcodec.cli.talk.monotonic", iter(range(10**6)).__next__)
    monkeypatch.setattr(sys, "stderr", stream)
    said = lambda: stream.buffer.getvalue().decode()
    line = ProgressLine(
        lambda progress, seconds_left, columns: [f"{progress.step}/{progress.total}", f"{seconds_left:.0f} left"], True
    )
    with line as tell:
        tell(SimpleNamespace(step=0, total=9, seconds_left=10**5))
        for _ in range(1000):
            if said().count("left") > 2:
                break
            time.sleep(0.01)
        with line.aside():
            assert said().endswith("\r")
    left = [int(number) for number in re.findall(r"0/9, (\d+) left", said())]
    assert len(left) > 2 and left == sorted(left, reverse=True) and left[0] > left[-1]
    assert said().endswith("\r")


# One truth in three places


def test_defaults_agree():
    """The function, the record and the command have the same defaults; the numbers stand thrice so that `--help`
    imports nothing.
    """
    import inspect

    import ddcodec as package
    from ddcodec.options import EncodeOptions

    options = EncodeOptions()
    function = inspect.signature(package.encode).parameters
    command = cli.commands["encode"].make_context("encode", ["in.png"], obj=Talk()).params
    for field in vars(options):
        assert function[field].default == getattr(options, field) == command[field], field
    function = inspect.signature(package.decode).parameters
    for field, value in vars(decoder.Limits()).items():
        assert function[field].default == value

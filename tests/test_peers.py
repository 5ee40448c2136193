"""The codecs that are compared: each keeps its contract, and what it pins is what its files say."""

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import painted
from PIL import Image, JpegImagePlugin

import ddcodec
from ddcodec.benchmark import peers
from ddcodec.benchmark.curves import bjontegaard
from ddcodec.benchmark.measure import Failure, Job, measure, source_of
from ddcodec.benchmark.peers import NAMES, PeerError, of_size, peer_of, warm_up
from ddcodec.encoder import encode_picture
from ddcodec.errors import UsageError
from ddcodec.metrics import psnr
from ddcodec.options import EncodeOptions

SAMPLES = Path(__file__).parents[1] / "samples"
LOSSY = [name for name in NAMES if name != "none"]
SIGNATURES = {
    "jpeg": b"^\xff\xd8\xff",
    "webp": b"^RIFF....WEBPVP8 ",
    "avif": b"^....ftypavif",
    "jxl": b"^(\xff\x0a|\0\0\0\x0cJXL )",
    "jpeg2000": b"^\xff\x4f\xff\x51",
    "heic": b"^....ftyphei[cx]",
    "vvc": b"^\0\0(\0)?\x01",
}


@pytest.fixture(scope="module")
def photo():
    return painted(72, 96)


@pytest.mark.parametrize("name", LOSSY)
def test_a_codec_warms_up(name):
    """A run begins so, with a picture of 16x16 pixels at the first setting."""
    warm_up(peer_of(name))


def test_what_warms_up_is_fitted():
    """Otherwise the first row would have the time in which kernels are loaded or compiled."""
    assert encode_picture(peers.TINY, EncodeOptions(iterations=2)).steps == 2


def test_the_deep_decoder_has_squared_error_whatever_the_tune():
    options = EncodeOptions(profile="classic", quality=50)
    assert options.chosen_tune == "psnr" and EncodeOptions().chosen_tune == "eye"
    assert options.chosen_lambda(512, 768) == EncodeOptions(quality=50, tune="psnr").chosen_lambda(512, 768)
    assert "tune=psnr" in peer_of("ddc:classic").pinned and peer_of("ddc:classic").settings == peers.LADDERS["psnr"]


@pytest.mark.parametrize("name", LOSSY)
def test_the_ladder_goes_up(name, photo):
    peer = peer_of(name)
    files = [peer.encode(photo, setting) for setting in (peer.settings[0], peer.settings[-1])]
    decoded = [peer.decode(data, photo.shape) for data in files]
    assert all(picture.shape == photo.shape and picture.dtype == np.uint8 for picture in decoded)
    assert len(files[0]) < len(files[1]) < photo.size
    assert 15 < psnr(photo, decoded[0]) < psnr(photo, decoded[1])
    assert psnr(photo, decoded[1]) > 33
    assert re.match(SIGNATURES[name.split(":")[0]], files[0], re.S)
    assert peer.versions()


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("shape", [(64, 80, 1), (43, 57, 3), (43, 57, 1)])
def test_grey_and_odd_sizes(name, shape):
    picture = painted(*shape)
    peer = peer_of(name)
    decoded = peer.decode(peer.encode(picture, peer.settings[-2]), picture.shape)
    assert decoded.shape == picture.shape
    assert psnr(picture, decoded) > 30


def test_nothing_is_lost_by_no_codec(photo):
    peer = peer_of("none")
    data = peer.encode(photo, peer.settings[0])
    assert len(data) == photo.size
    assert np.array_equal(peer.decode(data, photo.shape), photo)


@pytest.mark.parametrize("name, sampling", [("jpeg", 2), ("jpeg:444", 0)])
def test_subsampling_of_jpeg(name, sampling, photo):
    peer = peer_of(name)
    assert JpegImagePlugin.get_sampling(Image.open(io.BytesIO(peer.encode(photo, 80)))) == sampling


AVIFS = [name for name in NAMES if name.split(":")[0] == "avif"]


def test_names_of_avif():
    assert AVIFS == ["avif", "avif:s0", "avif:psnr", "avif:psnr:s0", "avif:ssimulacra2", "avif:ssimulacra2:s0"]


@pytest.mark.parametrize("name", ["avif", "avif:s0"])
@pytest.mark.parametrize("shape", [(72, 96, 3), (72, 96, 1)])
def test_avif_is_what_pillow_makes_where_nothing_is_said_of_a_tune(name, shape):
    """From libavif 1.4 on."""
    from PIL import features

    if tuple(map(int, features.version("avif").split(".")[:2])) < (1, 4):
        pytest.skip("an older libavif has another tune where nothing is said")
    picture, file = painted(*shape), io.BytesIO()
    options = {"speed": 0 if name.endswith("s0") else 6, "subsampling": "4:4:4" if picture.ndim == 3 else "4:0:0"}
    Image.fromarray(picture).save(file, "AVIF", quality=50, codec="aom", max_threads=1, **options)
    assert peer_of(name).encode(picture, 50) == file.getvalue()


def test_heic_is_what_libheif_makes_where_nothing_is_said_of_a_tune(photo):
    import pillow_heif

    file = io.BytesIO()
    picture = pillow_heif.from_bytes("RGB", (photo.shape[1], photo.shape[0]), photo.tobytes())
    picture.save(file, quality=50, chroma="444", enc_params={"x265:pools": "none"})
    assert peer_of("heic").encode(photo, 50) == file.getvalue()


@pytest.mark.parametrize("names", [AVIFS[::2], AVIFS[1::2], ["heic", "heic:psnr"]], ids=" ".join)
def test_tunes_make_other_files(names):
    """And none of them beats that for PSNR by PSNR, on a part of a real photograph."""
    photo = np.asarray(Image.open(SAMPLES / "chelsea.png").convert("RGB").crop((120, 60, 248, 156)))
    found = [peer_of(name) for name in names]
    assert len({peer.encode(photo, 50) for peer in found}) == len(names)
    curves = {
        peer.name: [
            (len(data), psnr(photo, peer.decode(data, photo.shape)))
            for data in (peer.encode(photo, s) for s in peer.settings[::5])
        ]
        for peer in found
    }
    aimed = next(name for name in names if "psnr" in name)
    assert all(bjontegaard(curves[aimed], curves[name]).rate > 0 for name in names if name != aimed)
    assert len({re.search(r"tune=(\w+)", peer.pinned)[1] for peer in found}) == len(names)
    assert all(re.search(r"tune=\w+", peer.pinned)[0] in peer.title for peer in found)
    assert all((f"{aimed} is the one to compare by PSNR" in peer.note) == (peer.name != aimed) for peer in found)


def test_a_tune_that_this_libavif_does_not_know():
    with pytest.raises(PeerError, match=r"^this Pillow [\d.]+, libavif [\d.]+ has no aom with tune=loudness$"):
        peers._avif("loudness", 6).versions()


@pytest.mark.parametrize("name", AVIFS)
def test_subsampling_of_avif(name, photo):
    """The configuration record (AV1-ISOBMFF 2.3.3): the third byte's bits 3 and 2 are chroma_subsampling_x and _y, 6
    and 5 more than 8 bits.
    """
    found = re.search(rb"av1C\x81.(.)", peer_of(name).encode(photo, 50), re.S)
    assert found[1][0] & 0b01101100 == 0


def test_subsampling_of_heic(photo):
    """chroma_format_idc, 3 for 4:4:4, is in the low bits of byte 16 of the configuration record (ISO 14496-15,
    8.3.3.1).
    """
    data = peer_of("heic").encode(photo, 50)
    assert data[data.index(b"hvcC") + 4 + 16] & 3 == 3


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "heic"])
def test_no_metadata(name, photo):
    import pillow_heif

    pillow_heif.register_heif_opener()
    image = Image.open(io.BytesIO(peer_of(name).encode(photo, 60)))
    assert not image.getexif() and not {"icc_profile", "exif", "xmp"} & {
        key for key, value in image.info.items() if value
    }


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "jxl", "heic"])
def test_a_file_of_a_size(name, photo):
    peer = peer_of(name)
    most = sum(len(peer.encode(photo, setting)) for setting in peer.settings[2:4]) // 2
    data, setting = of_size(peer, photo, most)
    assert len(data) <= most
    first, last = peer.settings[0], peer.settings[-1]
    larger = setting + peer.grain * (1 if last > first else -1)
    assert len(peer.encode(photo, larger)) > most
    assert of_size(peer, photo, 20) is None


def test_colours_of_vvc_survive_the_conversion():
    """Without any coding, 8 bits to 10 and back must lose nothing of a grey picture, and be right on average for
    colours.
    """
    grey = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    for picture in (grey, np.dstack([grey] * 3).copy()):
        assert np.array_equal(there_and_back(picture), picture)
    colours = painted(128, 128)
    error = there_and_back(colours).astype(int) - colours
    assert abs(error.mean()) < 0.02 and np.sqrt((error**2).mean()) < 2


def there_and_back(picture):
    height, width = picture.shape[:2]
    raw = ("-f", "rawvideo", "-s", f"{width}x{height}", "-pix_fmt")
    pixels = "rgb24" if picture.ndim == 3 else "gray"
    yuv = peers._ffmpeg(
        *raw,
        pixels,
        "-i",
        "pipe:0",
        "-vf",
        peers.TO_YUV,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuv420p10le",
        "pipe:1",
        data=picture.tobytes(),
    )
    back = peers._ffmpeg(
        *raw,
        "yuv420p10le",
        "-i",
        "pipe:0",
        "-vf",
        peers.TO_RGB.format(pixels),
        "-f",
        "rawvideo",
        "-pix_fmt",
        pixels,
        "pipe:1",
        data=yuv,
    )
    return np.frombuffer(back, np.uint8).reshape(picture.shape)


def test_a_picture_that_changes_during_a_run_has_no_row(tmp_path, photo):
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    job = Job(source_of(str(path)), "jpeg", 60, 1, str(tmp_path / "photo.jpg"), "Pillow")
    Image.fromarray(photo[:50]).save(path)
    assert "changed while the run went on" in measure(job).sentence


def test_names():
    assert {name: peer_of(name).name for name in ("ddc", "ddc:e3", "ddc:classic", "ddc:classic:e4")} == {
        "ddc": "ddc:e5",
        "ddc:e3": "ddc:e3",
        "ddc:classic": "ddc:classic:e5",
        "ddc:classic:e4": "ddc:classic:e4",
    }
    assert "effort 3" in peer_of("ddc:e3").pinned
    assert "classic" in peer_of("ddc:classic:e4").pinned and "effort 4" in peer_of("ddc:classic:e4").pinned
    assert peer_of("ddc", threads=3).threads == 3
    for name in ("gif", "ddc:e0", "ddc:e3:e4", "ddc:fast", "jpeg:422", "ddc:"):
        with pytest.raises(UsageError, match="There is no codec"):
            peer_of(name)


@pytest.mark.parametrize(
    "name, module, package",
    [
        ("jxl", "imagecodecs", "imagecodecs"),
        ("heic", "pillow_heif", "pillow-heif"),
        ("vvc", "imageio_ffmpeg", "imageio-ffmpeg"),
    ],
)
def test_what_is_not_installed_is_named(name, module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PeerError, match=f"{package} is not installed.*ddcodec\\[bench\\]"):
        peer_of(name).versions()


def test_a_measurement(tmp_path, photo):
    """The row against the file that is left behind."""
    Image.fromarray(photo).save(tmp_path / "photo.png")
    source = source_of(str(tmp_path / "photo.png"))
    job = Job(source, "jpeg", 60, 1, str(tmp_path / "photo.jpg"), "Pillow")
    row = measure(job)
    decoded = np.asarray(Image.open(tmp_path / "photo.jpg"))
    assert row.bytes == (tmp_path / "photo.jpg").stat().st_size
    assert row.bpp == 8 * row.bytes / (72 * 96)
    assert row.psnr == pytest.approx(psnr(photo, decoded))
    assert (row.picture, row.width, row.height, row.codec, row.setting) == ("photo", 96, 72, "jpeg", 60)
    assert row.ms_ssim is None and row.ssimulacra2 < 100
    assert row.key == job.key


def test_what_a_codec_refuses_is_one_sentence(tmp_path):
    Image.new("L", (16400, 4)).save(tmp_path / "long.png")
    job = Job(source_of(str(tmp_path / "long.png")), "webp", 50, 1, str(tmp_path / "long.webp"), "Pillow")
    result = measure(job)
    assert isinstance(result, Failure)
    assert "16383" in result.sentence and "\n" not in result.sentence
    assert not (tmp_path / "long.webp").exists()


def test_a_decoder_that_returns_another_picture_is_a_failure(tmp_path, monkeypatch, photo):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    wrong = peers.Peer("wrong", "Wrong", "", "", (1,), 1, ".x", lambda *_: b"x", lambda *_: photo[:-1], lambda: "")
    monkeypatch.setitem(peers.PEERS, "wrong", wrong)
    result = measure(Job(source_of(str(tmp_path / "photo.png")), "wrong", 1, 1, str(tmp_path / "x"), ""))
    assert isinstance(result, Failure) and "(71, 96, 3)" in result.sentence


def test_ddc_is_a_codec_as_the_others(tmp_path):
    """Its files are those of the package, and its rows tell the code that made them."""
    picture = painted(32, 40)
    peer = peer_of("ddc:e1")
    data = peer.encode(picture, 4e-3)
    assert np.array_equal(peer.decode(data, picture.shape), ddcodec.decode(data))
    assert re.fullmatch(r"ddcodec [\d.]+ \([0-9a-f]{7}\), (AVX-512.*|AVX2|SSE4.1|NEON|plain C)", peer.versions())

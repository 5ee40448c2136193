"""The codecs that are compared, as rows of one table: how each is called, what is pinned, its ladder of settings,
encode and decode.

Every function works on samples, uint8 (H, W) or (H, W, 3), and the bytes of a whole file; none writes metadata. What a
file may lose is the codec's own affair: subsampling, speed and threads are pinned here and printed in the report.
"""

import io
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..encoder import encode_picture
from ..errors import DdcError, UsageError
from ..machine import keep_freed_memory
from ..options import EncodeOptions
from ..presets import DEFAULT_EFFORT, normalises
from ..version import __version__

PACKAGE = Path(__file__).parents[1]
TINY = np.zeros((16, 16, 3), np.uint8)


class PeerError(DdcError):
    """A codec is not installed, or refuses a picture; the sentence says which and why."""

    exit_code = 3


@dataclass(frozen=True)
class Peer:
    """A codec with everything but one number pinned.

    title: for people. pinned: what is held fixed, in words. knob: what the number is. settings: its ladder, from the
    smallest file to the largest; between two of them files can be made in steps of `grain`. suffix: of its files.
    encode(samples, setting) -> bytes; decode(data, shape) -> samples of that shape. versions() -> str names the
    libraries and raises `PeerError` if one is missing. warm_up() loads what the first encode would load, so that it is
    not timed. note: what a reader of its curve must know. threads: that it may use.
    """

    name: str
    title: str
    pinned: str
    knob: str
    settings: tuple
    grain: float
    suffix: str
    encode: Callable
    decode: Callable
    versions: Callable
    warm_up: Callable | None = None
    note: str = ""
    threads: int = 1


def peer_of(name, threads=1):
    """The `Peer` of a name of `NAMES`, or "ddc", "ddc:e3", "ddc:classic", "ddc:classic:e4"; `threads` is for those of
    ddcodec.

    Its own name is whole: that of "ddc" is "ddc:e5".

    Raises `UsageError` for a name that is none.
    """
    if name.split(":")[0] == "ddc":
        return _ddc(name, threads)
    try:
        return PEERS[name]
    except KeyError:
        raise UsageError(
            f"There is no codec {name}; there are {', '.join(NAMES)}, and ddc, ddc:eN (N is 1 to 9), ddc:classic, "
            "ddc:classic:eN."
        ) from None


def of_size(peer, samples, most):
    """The bytes and setting of the largest file of at most `most` bytes that a peer makes between the ends of its
    ladder.

    None if even its smallest is larger. A search by halves: it takes files to grow with the ladder.
    """
    first, last = peer.settings[0], peer.settings[-1]
    steps = round(abs(last - first) / peer.grain)
    setting_of = lambda step: first + (last - first) * step / steps
    best, low, high = None, 0, steps
    while low <= high:
        middle = (low + high) // 2
        data = peer.encode(samples, setting_of(middle))
        if len(data) <= most:
            best, low = (data, setting_of(middle)), middle + 1
        else:
            high = middle - 1
    return best


def warm_up(peer):
    """Load a codec's libraries and let it work once, on a picture of a few pixels."""
    if peer.warm_up:
        peer.warm_up()
    else:
        peer.decode(peer.encode(TINY, peer.settings[0]), TINY.shape)


# Pillow: JPEG, WebP, AVIF.


def _pillow(format_, grey=None, **options):
    """An encoder of Pillow's; `grey` are its options for grey pictures, if they are others."""

    def encode(samples, setting):
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(samples).save(
            file, format_, quality=round(setting), **options | (grey or {} if samples.ndim == 2 else {})
        )
        return file.getvalue()

    return encode


AVIF_TUNES = ("iq", "psnr", "ssimulacra2")
"""What aom aims at (its option `tune`).

The first is for the eye, and what libavif takes from 1.4 on where nothing is said.
"""
AVIF_SPEEDS = (6, 0)
AVIF_QUALITIES = (10, 20, 30, 40, 50, 60, 70, 80, 90)


def _avif(tune, speed):
    encode = _pillow(
        "AVIF",
        grey={"subsampling": "4:0:0"},
        subsampling="4:4:4",
        speed=speed,
        codec="aom",
        max_threads=1,
        advanced={"tune": tune},
    )
    return Peer(
        _avif_name(tune, speed),
        f"AVIF{'' if speed else ' slow'}, tune={tune}",
        f"4:4:4, 8 bits, aom, speed {speed}, tune={tune}, 1 thread",
        "quality",
        AVIF_QUALITIES,
        1,
        ".avif",
        encode,
        _pillow_decode,
        _avif_versions(encode, tune),
        note=_note_of_tune(tune, _avif_name("psnr", speed)),
    )


def _avif_name(tune, speed):
    """ "avif" and "avif:s0" are of the first tune; all others name theirs."""
    return ":".join(
        ["avif", *([] if tune == AVIF_TUNES[0] else [tune]), *([] if speed == AVIF_SPEEDS[0] else [f"s{speed}"])]
    )


def _avif_versions(encode, tune):
    def versions():
        libraries = _pillow_versions("libavif", "avif")()
        try:
            encode(TINY, AVIF_QUALITIES[0])
        # What Pillow raises for an option that libavif refuses, and for a build without aom.
        except ValueError:
            raise PeerError(f"this {libraries} has no aom with tune={tune}") from None
        return libraries

    return versions


def _note_of_tune(tune, name):
    """What a reader of a curve over PSNR must know where the codec aims at something else; `name` is the same codec
    that does not.
    """
    return "" if tune == "psnr" else f"It aims at the eye, not at PSNR; {name} is the one to compare by PSNR."


def _pillow_decode(data, shape):
    from PIL import AvifImagePlugin, Image

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB" if len(shape) == 3 else "L"))


def _pillow_versions(title, feature):
    def versions():
        from PIL import features

        if not features.check(feature):
            raise PeerError(f"this Pillow is built without {title}")
        return f"Pillow {metadata.version('pillow')}, {title} {features.version(feature)}"

    return versions


# imagecodecs: JPEG XL, JPEG 2000.


def _imported(module, package):
    try:
        return import_module(module)
    except ImportError:
        raise PeerError(f"the package {package} is not installed; pip install 'ddcodec[bench]' brings it") from None


def _jxl(samples, setting):
    return bytes(_imagecodecs().jpegxl_encode(samples, distance=setting, effort=7, numthreads=1))


def _jxl_decode(data, shape):
    return _imagecodecs().jpegxl_decode(data, numthreads=1).reshape(shape)


def _jpeg2000(samples, setting):
    rgb = samples.ndim == 3
    return bytes(
        _imagecodecs().jpeg2k_encode(samples, level=setting, codecformat="J2K", reversible=False, mct=rgb, numthreads=1)
    )


def _jpeg2000_decode(data, shape):
    return _imagecodecs().jpeg2k_decode(data, numthreads=1).reshape(shape)


def _imagecodecs():
    return _imported("imagecodecs", "imagecodecs")


def _imagecodecs_versions(library):
    def versions():
        return f"imagecodecs {metadata.version('imagecodecs')}, {getattr(_imagecodecs(), library + '_version')()}"

    # imagecodecs without the codec imports well and has no such function.
    def checked():
        if not getattr(getattr(_imagecodecs(), library.upper(), None), "available", False):
            raise PeerError(f"this imagecodecs is built without {library}")
        return versions()

    return checked


# pillow-heif: HEIC.


HEIC_TUNES = ("ssim", "psnr")
"""What x265 aims at. The first is what libheif takes where nothing is said."""


def _heic(tune):
    """The `Peer` of a tune: "heic" is that of the first."""

    def encode(samples, setting):
        heif = _heif()
        height, width = samples.shape[:2]
        picture = heif.from_bytes(
            "RGB" if samples.ndim == 3 else "L", (width, height), np.ascontiguousarray(samples).tobytes()
        )
        file = io.BytesIO()
        picture.save(file, quality=round(setting), chroma="444", enc_params={"x265:pools": "none", "tune": tune})
        return file.getvalue()

    return Peer(
        "heic" if tune == HEIC_TUNES[0] else f"heic:{tune}",
        f"HEIC, tune={tune}",
        f"4:4:4, 8 bits, x265, its default preset, tune={tune}, 1 thread",
        "quality",
        (10, 18, 26, 34, 42, 50, 58, 66),
        1,
        ".heic",
        encode,
        _heic_decode,
        _heic_versions,
        note=_note_of_tune(tune, "heic:psnr"),
    )


def _heic_decode(data, shape):
    samples = np.asarray(_heif().open_heif(data))
    return samples if samples.shape == shape else samples[:, :, 0]


def _heif():
    return _imported("pillow_heif", "pillow-heif")


def _heic_versions():
    info = _heif().libheif_info()
    if not info["HEIF"] or "x265" not in " ".join(info["encoders"]):
        raise PeerError("this pillow-heif has no x265")
    return f"pillow-heif {metadata.version('pillow-heif')}, libheif {info['libheif']}"


# ffmpeg: VVC.

# Not ffmpeg's own scaler: from 8 to 10 bits and back that one is off by half a level in the mean.
TO_YUV = "format=gbrp,zscale=matrixin=gbr:rangein=full:matrix=709:range=full:filter=lanczos,format=yuv420p10le"
TO_RGB = "zscale=matrixin=709:rangein=full:matrix=gbr:range=full:filter=lanczos:dither=none,format=gbrp,format={}"
VVC_SIDE_MIN = 16


def _vvc(samples, setting):
    if min(samples.shape[:2]) < VVC_SIDE_MIN:
        raise PeerError(f"libvvenc is not given sides below {VVC_SIDE_MIN} pixels, of which it fails on some")
    # Half-sized chroma needs even sides.
    samples = np.pad(samples, [(0, side % 2) for side in samples.shape[:2]] + [(0, 0)] * (samples.ndim - 2), "edge")
    height, width = samples.shape[:2]
    source = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        _pixels(samples.shape),
        "-s",
        f"{width}x{height}",
        "-r",
        "1",
        "-i",
        "pipe:0",
        "-vf",
        TO_YUV,
    ]
    coded = ["-c:v", "libvvenc", "-qp", str(round(setting)), "-preset", "medium", "-qpa", "0", "-threads", "1"]
    return _ffmpeg(
        *source, "-frames:v", "1", *coded, "-f", "vvc", "pipe:1", data=np.ascontiguousarray(samples).tobytes()
    )


def _vvc_decode(data, shape):
    pixels = _pixels(shape)
    raw = _ffmpeg(
        "-threads",
        "1",
        "-f",
        "vvc",
        "-i",
        "pipe:0",
        "-vf",
        TO_RGB.format(pixels),
        "-frames:v",
        "1",
        "-f",
        "rawvideo",
        "-pix_fmt",
        pixels,
        "pipe:1",
        data=data,
    )
    height, width = (side + side % 2 for side in shape[:2])
    return np.frombuffer(raw, np.uint8).reshape(height, width, *shape[2:])[: shape[0], : shape[1]]


def _pixels(shape):
    return "rgb24" if len(shape) == 3 else "gray"


def _ffmpeg(*arguments, data=b""):
    program = _imported("imageio_ffmpeg", "imageio-ffmpeg").get_ffmpeg_exe()
    run = subprocess.run([program, "-hide_banner", "-loglevel", "error", *arguments], input=data, capture_output=True)
    if run.returncode:
        words = run.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {run.returncode}"]
        raise PeerError("ffmpeg: " + re.sub(r"\[[^]]*\] *", "", words[0]))
    return run.stdout


def _vvc_versions():
    if b"libvvenc" not in _ffmpeg("-encoders"):
        raise PeerError("the ffmpeg of this imageio-ffmpeg has no libvvenc")
    return (
        f"imageio-ffmpeg {metadata.version('imageio-ffmpeg')}, ffmpeg "
        f"{_imported('imageio_ffmpeg', 'imageio-ffmpeg').get_ffmpeg_version()}, zimg"
    )


# ddcodec.


def _ddc(name, threads):
    found = re.fullmatch(r"ddc(?::(classic))?(?::e([1-9]))?", name)
    if not found:
        raise UsageError(
            f"There is no codec {name}; ddc takes a profile and an effort, as in ddc:e3, ddc:classic or ddc:classic:e4."
        )
    profile, effort = found[1] or "default", int(found[2] or DEFAULT_EFFORT)
    parts = ["ddc", found[1], f"e{effort}"]

    def encode(samples, setting):
        keep_freed_memory()
        return encode_picture(
            samples, EncodeOptions(lambda_=setting, effort=effort, profile=profile, threads=threads)
        ).data

    def decode(data, _):
        from ..decoder import Limits, decode_file

        return decode_file(data, limits=Limits(0, 0), threads=threads, metadata=()).samples

    return Peer(
        ":".join(filter(None, parts)),
        ", ".join(filter(None, ["ddcodec", found[1], f"effort {effort}"])),
        f"profile {profile}, effort {effort}",
        "lambda",
        (4e-3, 2e-3, 1e-3, 4e-4),
        1e-4,
        ".ddc",
        encode,
        decode,
        lambda: f"{_own_version()}, {_fitted_by(profile)}",
        warm_up=lambda: decode(
            encode_picture(TINY, EncodeOptions(iterations=2, profile=profile, threads=1)).data, None
        ),
        threads=threads,
    )


def _fitted_by(profile):
    package = "torch" if normalises(profile) or find_spec("numba") is None else "numba"
    return f"{package} {metadata.version(package)}"


NOT_CODING = (
    "batch.py",
    "benchmark",
    "cli",
    "cluster.py",
    "partial.py",
    "pictures.py",
    "pillow.py",
    "restoration",
    "viewer",
    "workers.py",
)
"""What makes or reads no files of the codec."""


@cache
def _own_version():
    """The version, and a digest of the code that makes and reads files: rows of an encoder that somebody works on must
    not mix.
    """
    digest = sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".toml", ".bin") and path.relative_to(PACKAGE).parts[0] not in NOT_CODING:
            digest.update(path.read_bytes())
    return f"ddcodec {__version__} ({digest.hexdigest()[:7]})"


# The harness itself.


def _raw(samples, _):
    return np.ascontiguousarray(samples).tobytes()


def _raw_decode(data, shape):
    return np.frombuffer(data, np.uint8).reshape(shape)


JPEG_QUALITIES = (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95)
VVC_NOTE = (
    "Its chroma is subsampled and, with libvvenc, cannot be otherwise: its RGB PSNR carries that loss, which grows "
    "with the rate. Its times include two starts of ffmpeg."
)

_ROWS = (
    Peer(
        "jpeg",
        "JPEG",
        "4:2:0, optimised Huffman tables",
        "quality",
        JPEG_QUALITIES,
        1,
        ".jpg",
        _pillow("JPEG", subsampling="4:2:0", optimize=True),
        _pillow_decode,
        _pillow_versions("libjpeg-turbo", "libjpeg_turbo"),
    ),
    Peer(
        "jpeg:444",
        "JPEG 4:4:4",
        "4:4:4, optimised Huffman tables",
        "quality",
        JPEG_QUALITIES,
        1,
        ".jpg",
        _pillow("JPEG", subsampling="4:4:4", optimize=True),
        _pillow_decode,
        _pillow_versions("libjpeg-turbo", "libjpeg_turbo"),
    ),
    Peer(
        "webp",
        "WebP",
        "4:2:0 (it has no other), method 6",
        "quality",
        (1, 10, 25, 40, 55, 70, 80, 90, 95),
        1,
        ".webp",
        _pillow("WEBP", method=6),
        _pillow_decode,
        _pillow_versions("libwebp", "webp"),
    ),
    *(_avif(tune, speed) for tune in AVIF_TUNES for speed in AVIF_SPEEDS),
    Peer(
        "jxl",
        "JPEG XL",
        "XYB without subsampling, effort 7, 1 thread",
        "distance",
        (20, 14, 9, 6, 4, 3, 2, 1.5, 1, 0.5),
        0.05,
        ".jxl",
        _jxl,
        _jxl_decode,
        _imagecodecs_versions("jpegxl"),
    ),
    Peer(
        "jpeg2000",
        "JPEG 2000",
        "4:4:4, irreversible (9/7), codestream, 1 thread",
        "PSNR aimed at",
        tuple(range(26, 47, 2)),
        0.05,
        ".j2k",
        _jpeg2000,
        _jpeg2000_decode,
        _imagecodecs_versions("jpeg2k"),
    ),
    *(_heic(tune) for tune in HEIC_TUNES),
    Peer(
        "vvc",
        "VVC",
        "4:2:0, 10 bits, libvvenc, preset medium, QPA off, BT.709 full range by zimg, 1 thread",
        "QP",
        (47, 42, 37, 32, 27, 22, 17),
        1,
        ".266",
        _vvc,
        _vvc_decode,
        _vvc_versions,
        note=VVC_NOTE,
    ),
    Peer(
        "none",
        "No codec",
        "raw samples: the time of the harness itself",
        "setting",
        (0,),
        1,
        ".raw",
        _raw,
        _raw_decode,
        lambda: f"ddcodec {__version__}",
    ),
)
PEERS = {peer.name: peer for peer in _ROWS}
NAMES = tuple(PEERS)

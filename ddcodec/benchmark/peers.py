"""The codecs that are compared, as rows of one table: name, pinned settings, ladder, encode and decode.

Every function works on samples, uint8 (H, W) or (H, W, 3), and the bytes of a whole file; none writes metadata.
Subsampling, speed and threads are pinned here and printed in the report.
"""

import io
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..encoder import encode_picture
from ..errors import DdcError, UsageError
from ..machine import keep_freed_memory
from ..native.library import own_library
from ..options import EncodeOptions
from ..presets import DEFAULT_EFFORT, DEFAULT_TUNE, normalises
from ..version import __version__

PACKAGE = Path(__file__).parents[1]
"""The folder of the package."""
TINY = np.arange(768, dtype=np.uint8).reshape(16, 16, 3)
"""The picture on which a codec warms up. It has many colours, since ddcodec needs no fit for few."""

Encoder = Callable[[np.ndarray, float], bytes]
"""encode(samples, setting) -> the bytes of a file."""
Decoder = Callable[[bytes, tuple[int, ...]], np.ndarray]
"""decode(data, shape) -> samples of that shape."""


class PeerError(DdcError):
    """A codec is not installed or refuses a picture; the sentence says which codec and why."""

    exit_code = 3


@dataclass(frozen=True)
class Peer:
    """A codec with everything but one number pinned.

    title: its name for people. pinned: the fixed settings, in words. knob: the name of the number that varies.
    settings: the ladder of that number, from the smallest file to the largest. grain: the least step between settings.
    suffix: of its files, such as ".jpg". encode, decode: see `Encoder` and `Decoder`. versions() names the libraries,
    and raises `PeerError` if one is missing. warm_up() loads what the first encode would load, so that no row times it.
    note: what a reader of its curve must know. threads: how many it may use.
    """

    name: str
    title: str
    pinned: str
    knob: str
    settings: tuple[float, ...]
    grain: float
    suffix: str
    encode: Encoder
    decode: Decoder
    versions: Callable[[], str]
    warm_up: Callable[[], object] | None = None
    note: str = ""
    threads: int = 1


def peer_of(name: str, threads: int = 1) -> Peer:
    """Find or make the `Peer` of a name.

    name: one of `NAMES`, or "ddc", "ddc:e3", "ddc:e3:psnr", "ddc:classic", "ddc:classic:e4" and the like. The peer's
    own name is complete: "ddc" becomes "ddc:e5". threads: how many ddcodec may use; all others use one.

    Raises `UsageError` for an unknown name.
    """
    if name.split(":")[0] == "ddc":
        return _ddc(name, threads)
    try:
        return PEERS[name]
    except KeyError:
        raise UsageError(
            f"There is no codec {name}; there are {', '.join(NAMES)}, and ddc, ddc:eN (N is 1 to 9), ddc:eN:psnr, "
            "ddc:classic, ddc:classic:eN."
        ) from None


def of_size(peer: Peer, samples: np.ndarray, most: int) -> tuple[bytes, float] | None:
    """Make the largest file of at most `most` bytes between the ends of a peer's ladder, as (bytes, setting).

    None if even the smallest file is larger. The search by halves takes for granted that files grow along the ladder.
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


def warm_up(peer: Peer) -> None:
    """Load a codec's libraries and let it work once, on a picture of a few pixels."""
    if peer.warm_up:
        peer.warm_up()
    else:
        peer.decode(peer.encode(TINY, peer.settings[0]), TINY.shape)


# Pillow: JPEG, WebP, AVIF.


def _pillow(format_: str, grey: dict[str, Any] | None = None, **options: Any) -> Encoder:
    """Make an encoder of Pillow's. options: for `Image.save`. grey: options that grey pictures have besides."""

    def encode(samples: np.ndarray, setting: float) -> bytes:
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(samples).save(
            file, format_, quality=round(setting), **options | (grey or {} if samples.ndim == 2 else {})
        )
        return file.getvalue()

    return encode


AVIF_TUNES = ("iq", "psnr", "ssimulacra2")
"""Values of aom's option `tune`, its aim. The first is for the eye; it is libavif's default from 1.4 on."""
AVIF_SPEEDS = (6, 0)
"""Values of libavif's option `speed`: its default, and the slowest."""
AVIF_QUALITIES = (10, 20, 30, 40, 50, 60, 70, 80, 90)


def _avif(tune: str, speed: int) -> Peer:
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


def _avif_name(tune: str, speed: int) -> str:
    """Name a peer: "avif" and "avif:s0" have the first tune; all others name theirs, as "avif:psnr" does."""
    return ":".join(
        ["avif", *([] if tune == AVIF_TUNES[0] else [tune]), *([] if speed == AVIF_SPEEDS[0] else [f"s{speed}"])]
    )


def _avif_versions(encode: Encoder, tune: str) -> Callable[[], str]:
    def versions() -> str:
        libraries = _pillow_versions("libavif", "avif")()
        try:
            encode(TINY, AVIF_QUALITIES[0])
        # Pillow raises it for an option that libavif refuses, and for a build without aom.
        except ValueError:
            raise PeerError(f"this {libraries} has no aom with tune={tune}") from None
        return libraries

    return versions


def _note_of_tune(tune: str, name: str) -> str:
    """Tell a reader of PSNR that a codec aims at something else. name: the same codec with PSNR as its aim."""
    return "" if tune == "psnr" else f"It aims at the eye, not at PSNR; {name} is the one to compare by PSNR."


def _pillow_decode(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    from PIL import AvifImagePlugin, Image

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB" if len(shape) == 3 else "L"))


def _pillow_versions(title: str, feature: str) -> Callable[[], str]:
    def versions() -> str:
        from PIL import features

        if not features.check(feature):
            raise PeerError(f"this Pillow is built without {title}")
        return f"Pillow {metadata.version('pillow')}, {title} {features.version(feature)}"

    return versions


# imagecodecs: JPEG XL, JPEG 2000.


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise PeerError(f"the package {package} is not installed; pip install 'ddcodec[bench]' brings it") from None


def _jxl(samples: np.ndarray, setting: float) -> bytes:
    return bytes(_imagecodecs().jpegxl_encode(samples, distance=setting, effort=7, numthreads=1))


def _jxl_decode(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    return _imagecodecs().jpegxl_decode(data, numthreads=1).reshape(shape)


def _jpeg2000(samples: np.ndarray, setting: float) -> bytes:
    rgb = samples.ndim == 3
    return bytes(
        _imagecodecs().jpeg2k_encode(samples, level=setting, codecformat="J2K", reversible=False, mct=rgb, numthreads=1)
    )


def _jpeg2000_decode(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    return _imagecodecs().jpeg2k_decode(data, numthreads=1).reshape(shape)


def _imagecodecs() -> Any:
    return _imported("imagecodecs", "imagecodecs")


def _imagecodecs_versions(library: str) -> Callable[[], str]:
    def versions() -> str:
        return f"imagecodecs {metadata.version('imagecodecs')}, {getattr(_imagecodecs(), library + '_version')()}"

    # imagecodecs without the codec imports well and has no such function.
    def checked() -> str:
        if not getattr(getattr(_imagecodecs(), library.upper(), None), "available", False):
            raise PeerError(f"this imagecodecs is built without {library}")
        return versions()

    return checked


# pillow-heif: HEIC.


HEIC_TUNES = ("ssim", "psnr")
"""Values of x265's option `tune`, its aim. The first is libheif's default."""


def _heic(tune: str) -> Peer:
    """Make the `Peer` of a tune; that of the first is called "heic"."""

    def encode(samples: np.ndarray, setting: float) -> bytes:
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


def _heic_decode(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    samples = np.asarray(_heif().open_heif(data))
    return samples if samples.shape == shape else samples[:, :, 0]


def _heif() -> Any:
    return _imported("pillow_heif", "pillow-heif")


def _heic_versions() -> str:
    info = _heif().libheif_info()
    if not info["HEIF"] or "x265" not in " ".join(info["encoders"]):
        raise PeerError("this pillow-heif has no x265")
    return f"pillow-heif {metadata.version('pillow-heif')}, libheif {info['libheif']}"


# ffmpeg: VVC.

TO_YUV = "format=gbrp,zscale=matrixin=gbr:rangein=full:matrix=709:range=full:filter=lanczos,format=yuv420p10le"
"""ffmpeg's filters before the encoder. Its own scaler would lose half a level in the mean, from 8 to 10 bits and back.
"""
TO_RGB = "zscale=matrixin=709:rangein=full:matrix=gbr:range=full:filter=lanczos:dither=none,format=gbrp,format={}"
"""ffmpeg's filters behind the decoder, with a place for the format of pixels."""
VVC_SIDE_MIN = 16
"""Least side of a picture for libvvenc, in pixels."""


def _vvc(samples: np.ndarray, setting: float) -> bytes:
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


def _vvc_decode(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
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


def _pixels(shape: Sequence[int]) -> str:
    return "rgb24" if len(shape) == 3 else "gray"


def _ffmpeg(*arguments: str, data: bytes = b"") -> bytes:
    program = _imported("imageio_ffmpeg", "imageio-ffmpeg").get_ffmpeg_exe()
    run = subprocess.run([program, "-hide_banner", "-loglevel", "error", *arguments], input=data, capture_output=True)
    if run.returncode:
        words = run.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {run.returncode}"]
        raise PeerError("ffmpeg: " + re.sub(r"\[[^]]*\] *", "", words[0]))
    return run.stdout


def _vvc_versions() -> str:
    if b"libvvenc" not in _ffmpeg("-encoders"):
        raise PeerError("the ffmpeg of this imageio-ffmpeg has no libvvenc")
    return (
        f"imageio-ffmpeg {metadata.version('imageio-ffmpeg')}, ffmpeg "
        f"{_imported('imageio_ffmpeg', 'imageio-ffmpeg').get_ffmpeg_version()}, zimg"
    )


# ddcodec.


LADDERS = {"eye": (1.2e-2, 6e-3, 3e-3, 1.5e-3, 8e-4), "psnr": (8e-3, 4e-3, 2e-3, 1e-3, 4e-4)}
"""Tune -> lambdas, which make files of about the same sizes with either."""


def _ddc(name: str, threads: int) -> Peer:
    found = re.fullmatch(r"ddc(?::(classic))?(?::e([1-9]))?(?::(psnr))?", name)
    if not found or found[1] and found[3]:
        raise UsageError(
            f"There is no codec {name}; ddc takes an effort and a tune, as in ddc:e3 or ddc:e3:psnr, or the profile "
            "classic, as in ddc:classic or ddc:classic:e4."
        )
    profile, effort = found[1] or "default", int(found[2] or DEFAULT_EFFORT)
    options = EncodeOptions(effort=effort, profile=profile, tune=found[3] or DEFAULT_TUNE, threads=threads)
    tune = options.chosen_tune
    parts = ["ddc", found[1], f"e{effort}", found[3]]

    def encode(samples: np.ndarray, setting: float) -> bytes:
        keep_freed_memory()
        return encode_picture(samples, replace(options, lambda_=setting)).data

    def decode(data: bytes, _: Any) -> np.ndarray:
        from ..decoder import Limits, decode_file

        return decode_file(data, limits=Limits(0, 0), threads=threads, metadata=()).samples

    return Peer(
        ":".join(filter(None, parts)),
        ", ".join(filter(None, ["ddcodec", found[1], f"effort {effort}", found[3] and f"tune={tune}"])),
        f"profile {profile}, effort {effort}, tune={tune}",
        "lambda",
        LADDERS[tune],
        1e-4,
        ".ddc",
        encode,
        decode,
        lambda: f"{_own_version()}, {_fitted_by(profile)}",
        warm_up=lambda: decode(encode_picture(TINY, replace(options, iterations=2)).data, None),
        note=_note_of_tune(tune, f"ddc:e{effort}:psnr"),
        threads=threads,
    )


def _fitted_by(profile: str) -> str:
    library = None if normalises(profile) else own_library()
    return library.level_name() if library else f"torch {metadata.version('torch')}"


NOT_CODING = (
    "benchmark",
    "cli",
    "jobs",
    "partial.py",
    "pictures",
    "pillow.py",
    "printable.py",
    "restoration",
    "version.py",
    "viewer",
)
"""Files and folders of the package that neither make nor read files of the codec."""


@cache
def _own_version() -> str:
    """Name ddcodec's version with a digest of the code that makes and reads files.

    Rows from before and after a change of the encoder must not mix.
    """
    digest = sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".toml", ".bin") and path.relative_to(PACKAGE).parts[0] not in NOT_CODING:
            digest.update(path.read_bytes())
    return f"ddcodec {__version__} ({digest.hexdigest()[:7]})"


# The harness itself.


def _raw(samples: np.ndarray, _: float) -> bytes:
    return np.ascontiguousarray(samples).tobytes()


def _raw_decode(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
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
"""Names of all codecs but those of ddcodec."""

"""Encoding: fit, freeze, pack, then decode the bytes with the real decoder and compare every sample."""

import re
from dataclasses import dataclass, replace
from time import monotonic
from zlib import crc32

import numpy as np

from . import ops_int
from .arch import SIDE_MAX
from .coded import CodedImage
from .decoder import Limits, decode_picture
from .errors import DamagedError, DdcError, EncoderError, ShortMemoryError, SourceError, UsageError
from .memory import available_memory
from .metadata import chunks_of
from .metrics import psnr
from .network import synthesis
from .presets import DEFAULT_EFFORT, DEFAULT_QUALITY, EFFORTS, PROFILES, arch_of, iterations_of, lambda_of_quality, normalises
from .syntax import pack

PIXELS_FOR_THREADS = 2**15
"""Below this threads cost more than they bring."""
FIT_SHARE, FREEZE_SHARE = 0.75, 0.15
"""Of a time limit; what is left is for packing and checking."""


@dataclass(frozen=True)
class EncodeOptions:
    """What the encoder is asked for.

    quality: 1..100, or lambda_: MSE (samples in [0, 1]) that one bpp is worth; not both. effort: 1..9, or iterations. time_limit:
    seconds. profile: "default" or "classic". device: "auto", "cpu", "cuda", "cuda:1". threads: of the CPU; None for torch's default.
    """

    quality: float | None = None
    lambda_: float | None = None
    effort: int = DEFAULT_EFFORT
    iterations: int | None = None
    time_limit: float | None = None
    profile: str = "default"
    device: str = "auto"
    threads: int | None = None
    seed: int = 0

    def validate(self):
        """Raise `UsageError` for values out of range or options that exclude each other."""
        if self.quality is not None and self.lambda_ is not None:
            raise UsageError("Give either a quality or a lambda, not both.")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"The quality must be between 1 and 100, not {self.quality:g}.")
        if self.lambda_ is not None and not 1e-7 <= self.lambda_ <= 1:
            raise UsageError(f"The lambda must be between 1e-7 and 1, not {self.lambda_:g}.")
        if self.effort not in EFFORTS:
            raise UsageError(f"The effort must be between {EFFORTS[0]} and {EFFORTS[-1]}, not {self.effort}.")
        if self.iterations is not None and self.iterations < 1:
            raise UsageError(f"There must be at least 1 iteration, not {self.iterations}.")
        if self.time_limit is not None and not self.time_limit > 0:
            raise UsageError(f"The time limit must be above 0 seconds, not {self.time_limit:g}.")
        if self.profile not in PROFILES:
            raise UsageError(f"There is no profile {self.profile}; choose one of: {', '.join(PROFILES)}.")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"There is no device {self.device}; choose auto, cpu, cuda or cuda:N.")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"There must be at least 1 thread, not {self.threads}.")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"The seed must be between 0 and 2^63 - 1, not {self.seed}.")

    def chosen_lambda(self):
        if self.lambda_ is not None:
            return self.lambda_
        return lambda_of_quality(DEFAULT_QUALITY if self.quality is None else self.quality)


@dataclass(frozen=True)
class Encoded:
    """A file and what it proves: `samples` are decoded from `data`, `psnr` (dB) is theirs; `seconds` of the whole encode."""

    data: bytes
    samples: np.ndarray
    lambda_: float
    steps: int
    seconds: float
    device: str
    psnr: float


def encode_picture(samples, options=EncodeOptions(), progress=None, *, metadata=None):
    """Encode uint8 samples (H, W) or (H, W, 3), with metadata (bytes under "icc", "exif", "xmp").

    `progress` is called after every step with a `fit.loop.Progress`. Raises `UsageError`, `SourceError`, `ShortMemoryError`, `EncoderError`.
    """
    start = monotonic()
    options.validate()
    if max(samples.shape[:2]) > SIDE_MAX:
        raise SourceError(f"The picture has {samples.shape[1]}x{samples.shape[0]} pixels; no side may be above {SIDE_MAX:,}.")
    lambda_ = options.chosen_lambda()
    picture = np.array(samples.reshape(*samples.shape[:2], -1))
    arch = arch_of(options.profile, *picture.shape, lambda_)
    chunks = chunks_of(metadata or {})
    torch = _torch()
    device = _device(torch, options.device)
    threads = torch.get_num_threads()
    try:
        if options.threads or picture.shape[0] * picture.shape[1] < PIXELS_FOR_THREADS:
            torch.set_num_threads(options.threads or 1)
        coded, steps = _fit(picture, arch, lambda_, device, options, progress, start)
        data, decoded = _packed(replace(coded, chunks=chunks), samples.shape)
    except (MemoryError, torch.OutOfMemoryError):
        raise ShortMemoryError(_SHORT.format(picture.shape[1], picture.shape[0], device)) from None
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise ShortMemoryError(_SHORT.format(picture.shape[1], picture.shape[0], device)) from None
    finally:
        torch.set_num_threads(threads)
    return Encoded(data, decoded, lambda_, steps, monotonic() - start, device, psnr(samples, decoded))


_SHORT = "There is not enough memory to fit a picture of {}x{} pixels on {}."


def _fit(picture, arch, lambda_, device, options, progress, start):
    """Pixels to `CodedImage` (without checksum), and the number of steps taken; `start` is when the encode began."""
    from .fit.engine import TorchEngine, memory_of
    from .fit.freeze import freeze
    from .fit.loop import Collapsed, run

    needed, free = memory_of(arch), available_memory() if device == "cpu" else None
    if free is not None and needed > free:
        raise ShortMemoryError(
            f"Fitting {arch.width}x{arch.height} pixels needs about {needed / 2**30:.1f} GiB of memory; {free / 2**30:.1f} GiB are free."
        )
    iterations = options.iterations or iterations_of(options.effort)
    for attempt in range(2):
        engine = TorchEngine(
            picture, arch, lambda_, normalise=normalises(options.profile), seed=options.seed + attempt, device=device
        )
        left = None if options.time_limit is None else max(0.0, options.time_limit - (monotonic() - start))
        try:
            steps = run(engine, iterations, seconds=None if left is None else FIT_SHARE * left, progress=progress, may_collapse=attempt > 0)
            break
        except Collapsed:
            continue
    code = {o: planes.cpu().numpy().astype(np.int64) for o, planes in engine.rounded_code().items()}
    tensors = freeze(engine, seconds=None if left is None else FREEZE_SHARE * left, progress=progress)
    return CodedImage(arch, tensors, code), steps


def _packed(coded, shape):
    """The bytes of a fitted picture and its samples as the real decoder reads them; an `EncoderError` if anything differs."""
    expected = _expected(coded).reshape(shape)
    coded = replace(coded, samples_crc=crc32(expected))
    try:
        data = pack(coded)
        decoded = decode_picture(data, limits=Limits(0, 0))
    except DamagedError as error:
        raise EncoderError(f"The encoder made a file that cannot be decoded ({error}); please report this picture.") from error
    if not np.array_equal(decoded, expected):
        raise EncoderError("The file does not decode to the samples it was made from; please report this picture.")
    return data, decoded


def _expected(coded):
    """The picture by torch instead of NumPy, with the decoder's arithmetic: (H, W, planes) uint8."""
    import torch

    from .fit.torch_ops import ExactOps

    arch = coded.arch
    numbers = {name: torch.from_numpy(value) for name, value in ops_int.numbers(arch, coded.tensors).items()}

    def code(octave, window):
        return torch.from_numpy(coded.code[octave][:, window.start : window.stop]).double()

    bands = [synthesis(ExactOps(), arch, numbers, code, arch.windows(*band)) for band in arch.bands()]
    return torch.cat(bands, 1).permute(1, 2, 0).contiguous().numpy().astype(np.uint8)


def _torch():
    try:
        import torch
    except ImportError:
        raise DdcError("Encoding needs the package torch, which is not installed; decoding does not.") from None
    return torch


def _device(torch, wished):
    if wished == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wished == "cpu":
        return "cpu"
    index = int(wished.partition(":")[2] or 0)
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        raise UsageError(f"The device {wished} is not available on this machine.")
    return f"cuda:{index}"

"""Encoding: fit, freeze, pack, then decode the bytes with the real decoder and compare every sample."""

import re
from dataclasses import dataclass, replace
from time import monotonic
from zlib import crc32

import numpy as np

from .arch import SIDE_MAX
from .decoder import Limits, decode_picture, render
from .errors import DamagedError, EncoderError, SourceError, UsageError
from .metadata import chunks_of
from .metrics import psnr
from .presets import DEFAULT_EFFORT, DEFAULT_QUALITY, EFFORTS, PROFILES, arch_of, iterations_of, lambda_of_quality, normalises
from .syntax import pack


@dataclass(frozen=True)
class EncodeOptions:
    """What the encoder is asked for.

    quality: 1..100, or lambda_: MSE (samples in [0, 1]) that one bpp is worth; not both. effort: 1..9, or iterations. time_limit:
    seconds. profile: "default" or "classic". device: "auto", "cpu", "cuda", "cuda:1". threads: of the CPU; None for as many as are useful.
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
    """A file and what it proves: `samples` are decoded from `data`, `psnr` (dB) is theirs; `seconds` of the encode, with all that were fitted at once."""

    data: bytes
    samples: np.ndarray
    lambda_: float
    steps: int
    seconds: float
    device: str
    psnr: float


@dataclass(frozen=True)
class Source:
    """What to encode: uint8 samples (H, W) or (H, W, 3); a lambda of its own, or None for the options'; metadata (bytes under "icc", "exif", "xmp")."""

    samples: np.ndarray
    lambda_: float | None = None
    metadata: dict | None = None


def encode_picture(samples, options=EncodeOptions(), progress=None, *, metadata=None, say=None):
    """Encode one picture; see `encode_pictures`."""
    return encode_pictures([Source(samples, metadata=metadata)], options, progress, say=say)[0]


def encode_pictures(sources, options=EncodeOptions(), progress=None, *, say=None):
    """Encode pictures, or one picture at several rates: a list of `Encoded` in the order of `sources`.

    On a GPU all of one size and architecture are fitted at once, on a CPU one after the other. `progress` is called after every step with a
    `fit.loop.Progress`, `say` with sentences to the user: that something is slower than usual, and why. A time limit is for all together.
    Raises `UsageError`, `SourceError`, `ShortMemoryError`, `EncoderError`.
    """
    from .fit.fit import fit_pictures

    start = monotonic()
    options.validate()
    groups = {}
    for index, source in enumerate(sources):
        height, width = source.samples.shape[:2]
        if max(height, width) > SIDE_MAX:
            raise SourceError(f"The picture has {width}x{height} pixels; no side may be above {SIDE_MAX:,}.")
        lambda_ = options.chosen_lambda() if source.lambda_ is None else source.lambda_
        picture = np.ascontiguousarray(source.samples).reshape(height, width, -1)
        arch = arch_of(options.profile, *picture.shape, lambda_)
        groups.setdefault(arch, []).append((index, picture, lambda_, chunks_of(source.metadata or {})))
    results, left = [None] * len(sources), len(sources)
    for arch, members in groups.items():
        indices, pictures, lambdas, chunks = zip(*members)
        began, share = monotonic(), len(members) / left
        fitted = fit_pictures(
            pictures, arch, lambdas, iterations=options.iterations or iterations_of(options.effort),
            time_limit=None if options.time_limit is None else max(0.0, options.time_limit - (began - start)) * share,
            device=options.device, threads=options.threads, normalise=normalises(options.profile), seed=options.seed, progress=progress, say=say,
        )  # fmt: skip
        left -= len(members)
        for index, lambda_, own_chunks, (coded, steps, device) in zip(indices, lambdas, chunks, fitted):
            samples = sources[index].samples
            data, decoded = _packed(replace(coded, chunks=own_chunks), samples.shape)
            results[index] = Encoded(data, decoded, lambda_, steps, monotonic() - began, device, psnr(samples, decoded))
    return results


def _packed(coded, shape):
    """The bytes of a fitted picture and its samples as the real decoder reads them; an `EncoderError` if anything differs."""
    expected = render(coded).reshape(shape)
    coded = replace(coded, samples_crc=crc32(expected))
    try:
        data = pack(coded)
        decoded = decode_picture(data, limits=Limits(0, 0))
    except DamagedError as error:
        raise EncoderError(f"The encoder made a file that cannot be decoded ({error}); please report this picture.") from error
    if not np.array_equal(decoded, expected):
        raise EncoderError("The file does not decode to the samples it was made from; please report this picture.")
    return data, decoded

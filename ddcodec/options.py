"""The options of an encode, and those that it shares with a restoration: settings, ranges, and what excludes what."""

import re
from dataclasses import dataclass
from typing import Any

from .errors import TargetError, UsageError
from .format.header import HEADER_BYTES
from .option_types import settle_types
from .presets import (
    BASE_CHOICES,
    DEFAULT_EFFORT,
    DEFAULT_QUALITY,
    DEFAULT_TUNE,
    EFFORTS,
    PROFILES,
    TUNES,
    lambda_of_quality,
)

GREATEST_TARGET = 10**12
"""Greatest target, in bytes, bits per pixel or dB."""
MOST_THREADS = 256
"""Greatest number of threads."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The settings of a run that encode and restore share.

    effort: 1..9; a greater effort takes more steps.
    iterations: the number of steps of a fit, instead of an effort.
    time_limit: seconds, or None.
    device: "auto", "cpu", "cuda" or "cuda:N".
    threads: of the CPU, 1..256; None for as many as are useful.
    seed: 0 .. 2^63 - 1.

    Raises `UsageError` for values of other types.
    """

    effort: int = DEFAULT_EFFORT
    iterations: int | None = None
    time_limit: float | None = None
    device: str = "auto"
    threads: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        settle_types(self)

    def validate(self) -> None:
        """Raise `UsageError` for values out of range."""
        if self.effort not in EFFORTS:
            raise UsageError(f"The effort must be between {EFFORTS[0]} and {EFFORTS[-1]}, not {self.effort}.")
        if self.iterations is not None and self.iterations < 1:
            raise UsageError(f"There must be at least 1 iteration, not {self.iterations}.")
        if self.time_limit is not None and not self.time_limit > 0:
            raise UsageError(f"The time limit must be above 0 seconds, not {self.time_limit:g}.")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"There is no device {self.device}; choose auto, cpu, cuda or cuda:N.")
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise UsageError(f"There must be 1 to {MOST_THREADS} threads, not {self.threads}.")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"The seed must be between 0 and 2^63 - 1, not {self.seed}.")


@dataclass(frozen=True)
class EncodeOptions(RunOptions):
    """The options of an encode, beside the settings of a run.

    At most one of these sets the rate:

    quality:     1..100, about the visual quality of a JPEG of that quality; 75 if nothing is given.
    lambda_:     the distortion that one bit per pixel is worth, 1e-7..1; with `tune` "psnr" the MSE of samples in
                 [0, 1].
    target_size: bytes of the file, never more and at most 3 % less.
    target_bpp:  the same in bits per pixel.
    target_psnr: dB of the decoded picture, never less and at most 0.1 more.
    target_ssimulacra2: SSIMULACRA2 of the decoded picture, never less and at most 0.5 more.

    The others:

    tune:          "eye" for the best picture to the eye, "psnr" for the least squared error.
    alpha_quality: 1..100; below 100 alpha loses steps.
    exact:         the colours of fully transparent pixels are kept, too.
    profile:       "default" or "classic".
    base:          "auto", or "none" for a fit from random weights.
    max_memory:    bytes that a fit may take; 0 for what is free.

    Raises `UsageError` for values of other types.
    """

    quality: float | None = None
    lambda_: float | None = None
    target_size: int | None = None
    target_bpp: float | None = None
    target_psnr: float | None = None
    target_ssimulacra2: float | None = None
    tune: str = DEFAULT_TUNE
    alpha_quality: int = 100
    exact: bool = False
    profile: str = "default"
    base: str = "auto"
    max_memory: int = 0

    def validate(self) -> None:
        """Check ranges, and that options do not exclude each other.

        Raises `UsageError`, and `TargetError` for a size that no file has.
        """
        rates: dict[str, Any] = {
            "quality": self.quality,
            "lambda": self.lambda_,
            "target size": self.target_size,
            "target bpp": self.target_bpp,
            "target PSNR": self.target_psnr,
            "target SSIMULACRA2": self.target_ssimulacra2,
        }
        given = [name for name, value in rates.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"Give either a {given[0]} or a {given[1]}, not both.")
        for name in given[:1]:
            if name.startswith("target") and not 0 < rates[name] <= GREATEST_TARGET:
                raise UsageError(f"The {name} must be above 0 and at most {GREATEST_TARGET:,}, not {rates[name]:g}.")
        if self.target_size is not None and self.target_size <= HEADER_BYTES:
            raise TargetError(f"No file has only {self.target_size} bytes: the header alone has {HEADER_BYTES}.")
        if self.target_ssimulacra2 is not None and self.target_ssimulacra2 >= 100:
            raise TargetError("No SSIMULACRA2 is above 100, and only equal pictures have that.")
        if self.has_target() and self.profile == "classic":
            raise UsageError("A plain deep decoder cannot be steered to a target; its rate is set by its width.")
        if self.base not in BASE_CHOICES:
            raise UsageError(f"There is no base {self.base}; choose one of: {', '.join(BASE_CHOICES)}.")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"The quality must be between 1 and 100, not {self.quality:g}.")
        if self.lambda_ is not None and not 1e-7 <= self.lambda_ <= 1:
            raise UsageError(f"The lambda must be between 1e-7 and 1, not {self.lambda_:g}.")
        if not 1 <= self.alpha_quality <= 100:
            raise UsageError(f"The quality of alpha must be between 1 and 100, not {self.alpha_quality:g}.")
        if self.tune not in TUNES:
            raise UsageError(f"There is no tune {self.tune}; choose one of: {', '.join(TUNES)}.")
        if self.profile not in PROFILES:
            raise UsageError(f"There is no profile {self.profile}; choose one of: {', '.join(PROFILES)}.")
        if self.max_memory < 0:
            raise UsageError(f"The memory limit must be 0, for none, or more, not {self.max_memory}.")
        super().validate()

    @property
    def chosen_tune(self) -> str:
        """The tune of the fit: with the profile "classic" always "psnr", as its authors have it."""
        return "psnr" if self.profile == "classic" else self.tune

    def has_target(self) -> bool:
        """Whether a size, bits per pixel, a PSNR or an SSIMULACRA2 is the target."""
        targets = self.target_size, self.target_bpp, self.target_psnr, self.target_ssimulacra2
        return any(target is not None for target in targets)

    def most_bytes(self, height: int, width: int) -> int | None:
        """Give the bytes that the file of a picture of that size may have, or None if its size is no target."""
        if self.target_bpp is None:
            return self.target_size
        # A file of no bytes is as much out of reach as one of a single byte.
        return max(1, int(self.target_bpp * height * width / 8))

    def chosen_lambda(self, height: int, width: int) -> float:
        """Give the lambda for a picture of that size, from `lambda_` or the quality."""
        if self.lambda_ is not None:
            return self.lambda_
        return lambda_of_quality(
            DEFAULT_QUALITY if self.quality is None else self.quality, height * width, self.chosen_tune
        )

"""Options of a restoration, and which of them exclude one another."""

from dataclasses import dataclass

from ..errors import UsageError
from ..options import RunOptions
from .settings import AUTO, priors, tasks

SCALES = (2, 4, 8)
"""Factors by which superres can enlarge a picture."""
SIGMA_MAX = 255.0
"""Largest standard deviation of noise, in levels of 0..255."""


@dataclass(frozen=True)
class RestoreOptions(RunOptions):
    """Options of a restoration, beside the settings of a run.

    task: one of `tasks()`.
    scale: of superres, one of `SCALES`; None for other tasks.
    sigma: standard deviation of the noise in levels of 0..255; None to estimate it.
    prior: one of `priors()`.
    dilate: pixels by which holes grow, of inpaint.
    feather: pixels over which a hole fades into what is known, of inpaint.
    variation: weight of the total variation in a network's loss, 0..1.

    Raises `UsageError` for values of other types.
    """

    task: str = "denoise"
    scale: int | None = None
    sigma: float | None = None
    prior: str = AUTO
    dilate: int = 0
    feather: int = 0
    variation: float = 0.0

    def validate(self) -> None:
        """Raise `UsageError` for values out of range or options that do not go together."""
        if self.task not in tasks():
            raise UsageError(f"There is no task {self.task}; choose one of: {', '.join(tasks())}.")
        if self.prior not in priors():
            raise UsageError(f"There is no prior {self.prior}; choose one of: {', '.join(priors())}.")
        if (self.scale is not None) != (self.task == "superres"):
            raise UsageError(
                "Super-resolution needs a scale of 2, 4 or 8."
                if self.task == "superres"
                else f"A scale is for super-resolution, not for {self.task}."
            )
        if self.scale is not None and self.scale not in SCALES:
            raise UsageError(f"The scale must be 2, 4 or 8, not {self.scale}.")
        if self.sigma is not None and not 0 <= self.sigma <= SIGMA_MAX:
            raise UsageError(f"The sigma must be between 0 and {SIGMA_MAX:g}, not {self.sigma:g}.")
        if self.sigma is not None and self.task not in ("denoise", "dejpeg"):
            raise UsageError(f"A sigma is for denoising, not for {self.task}.")
        if self.dilate < 0 or self.feather < 0:
            raise UsageError("A mask grows and fades by 0 pixels or more.")
        if not 0 <= self.variation <= 1:
            raise UsageError(f"The weight of the total variation must be between 0 and 1, not {self.variation:g}.")
        super().validate()

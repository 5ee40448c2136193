"""Restore a picture: find out what a task needs, let a prior do it, and check the picture before and after."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

import numpy as np

from ..errors import ShortMemoryError, SourceError, UsageError
from ..machine import available_memory
from ..surroundings import usual_torch, with_usual_errors
from .enlarging import Enlarging, enlarged
from .masks import checked, dilated, pasted
from .noise import Noise, estimate_noise, is_noise
from .options import RestoreOptions
from .plain import CODEC_FARTHEST, CODEC_NEARER, FARTHEST, NETWORK_NEARER, is_better, plain_answer
from .progress import Progress
from .settings import AUTO, CODEC, effort_of, prior_for, setting_of
from .tiles import joined, tiles_for

LEAST_NOISE = 1.0
"""Levels of 0..255 of noise below which nothing is denoised."""
CERTAIN_NOISE = 6.0
"""Levels of 0..255 from which independent noise cannot be mistaken for a photograph's texture."""
LEAST_SIDE = 16
"""Pixels of the shortest side that a picture may have."""
MEMORY_SHARE = 0.6
"""Share of the free memory that a network may take; for more, a picture is restored in tiles."""
SIGMA_SAYS = " (--sigma says that it is noise.)"
"""What helps where noise is doubted."""
MOST_DOUBTFUL = 8.5
"""Levels above which noise that grows with the distance of pixels is taken for texture.

Below, little is lost if it is texture. Of twenty camera pictures the noisiest has 8.0.
"""


@dataclass(frozen=True)
class Restored:
    """The result of a restoration.

    samples: uint8, of the shape that was given; of superres, larger.
    changed: whether the samples are others than those given.
    sigma: standard deviation of the noise in levels of 0..255, or None.
    prior: the prior that did it, or "lanczos" or "pull-push" where a fit was no better.
    steps: steps taken.
    reason: why the fit ended, or why nothing was changed, in words.
    seconds: time taken.
    seams: how far tiles were apart where they overlapped, in levels; 0 for one tile.
    """

    samples: np.ndarray
    changed: bool
    sigma: float | None
    prior: str
    steps: int
    reason: str
    seconds: float
    seams: float = 0.0

    def note(self, task: str) -> str:
        """Make a line for the file that is made of the picture."""
        of = f", sigma {self.sigma:.1f}" if self.sigma else ""
        return (
            f"restored: {task}{of}, prior {self.prior}, {self.steps} steps"
            if self.changed
            else f"restored: {task}, nothing to do"
        )


@with_usual_errors
def restore_picture(
    samples: np.ndarray,
    options: RestoreOptions = RestoreOptions(),
    *,
    known: np.ndarray | None = None,
    file: bytes | None = None,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Restored:
    """Restore a picture by the task and the prior of its options.

    samples: uint8 (H, W) or (H, W, 3).
    known: bool (H, W), False where a picture is to be inpainted; None for other tasks.
    file: the bytes that the samples came from, of which dejpeg reads those of a JPEG.
    progress: called with `progress.Progress`.
    say: called with sentences to the user.

    Raises `UsageError`, `SourceError` or `ShortMemoryError`, and `DdcError` for a network without torch.
    """
    from ..fit.engine import device_of

    start, say = monotonic(), say or (lambda sentence: None)
    options.validate()
    if min(samples.shape[:2]) < LEAST_SIDE:
        raise SourceError(
            f"The picture has {samples.shape[1]}x{samples.shape[0]} pixels; restoration needs sides of at least "
            f"{LEAST_SIDE}."
        )
    known = _known(samples, options, known)
    device = device_of(options.device)
    name = prior_for(options.task) if options.prior == AUTO else options.prior
    file = _jpeg_of(samples, file) if options.task == "dejpeg" else None
    noise = _noise(samples, options, file, say)
    is_guess = options.task == "denoise" and options.sigma is None

    def unchanged(reason, advice, steps=0):
        say(f"Note: {reason}; the picture stays as it is.{advice}")
        return Restored(samples, False, noise.sigma, name, steps, reason, monotonic() - start)

    if noise is not None and noise.sigma < LEAST_NOISE:
        return unchanged(f"the noise, about {noise.sigma:.1f} levels, is too little to remove", "")
    if is_guess and noise.grows and noise.sigma > MOST_DOUBTFUL:
        return unchanged("what looks like noise may be the picture's own texture", SIGMA_SAYS)
    planes = samples.reshape(*samples.shape[:2], -1)
    nearest = _nearest_of(samples, planes, options, file)
    by = partial(_by_coding, nearest=nearest) if name == CODEC else _by_network
    picture, steps, reason, seams = by(planes, options, name, device, known, noise, progress, say)
    explained = nearest(255 * picture) if nearest else 255 * picture
    if not is_better(
        picture,
        explained if nearest and not options.scale else planes,
        options.scale or 1,
        known,
        CODEC_FARTHEST if options.scale and name == CODEC else noise and FARTHEST[options.task] * noise.sigma,
        CODEC_NEARER if name == CODEC else NETWORK_NEARER,
    ):
        return _plain(samples, planes, options, name, known, noise, steps, monotonic() - start, say)
    result = _as_samples(explained, samples, planes, known, options.feather)
    is_doubtful = is_guess and (noise.correlated or noise.sigma < CERTAIN_NOISE)
    if is_doubtful and not is_noise(planes, result.reshape(planes.shape)):
        reason = "what would be taken away follows the picture's own structure and is no noise"
        return unchanged(reason, SIGMA_SAYS, steps)
    return Restored(result, True, noise and noise.sigma, name, steps, reason, monotonic() - start, 255 * seams)


def _plain(samples, planes, options, name, known, noise, steps, seconds, say):
    """Make the `Restored` where a fit was too short, or the picture not its kind."""
    if noise is not None:
        reason = "the fit is farther from the picture than what is to be removed"
        say(f"Note: {reason}; the picture stays as it is. (More time or steps may help.)")
        return Restored(samples, False, noise.sigma, name, steps, reason, seconds)
    plain, plain_name = plain_answer(planes, options.scale or 1, known)
    reason = f"the fit does not explain the picture better than {plain_name} does"
    say(f"Note: {reason}; the result is that of {plain_name}. (More time or steps may help.)")
    return Restored(
        _as_samples(255 * plain, samples, planes, known, options.feather),
        True,
        None,
        plain_name,
        steps,
        reason,
        seconds,
    )


def _as_samples(picture, samples, planes, known, feather):
    """A picture (H, W, planes) in levels as uint8 of the shape of the samples; known pixels are put back."""
    result = (
        np.rint(picture).clip(0, 255).astype(np.uint8) if known is None else pasted(picture, planes, known, feather)
    )
    return result.reshape(result.shape[:2]) if samples.ndim == 2 else result


def _known(samples, options, known):
    if (known is not None) != (options.task == "inpaint"):
        raise UsageError(
            "Inpainting needs to know what is missing: a mask, a colour, or transparent pixels."
            if options.task == "inpaint"
            else f"A mask is for inpainting, not for {options.task}."
        )
    if known is None:
        return None
    if known.shape != samples.shape[:2]:
        raise SourceError(
            f"The mask has the shape {known.shape} and the picture {samples.shape[:2]}; they must be the same."
        )
    return checked(dilated(checked(known), options.dilate))


def _noise(samples, options, file, say):
    """What is to be removed, or None where that is not noise."""
    if options.task not in ("denoise", "dejpeg"):
        return None
    if options.sigma is not None:
        return Noise(options.sigma, False)
    if options.task == "dejpeg":
        return Noise(_sigma_of_jpeg(samples, file), True)
    noise = estimate_noise(samples)
    say(f"Noise: about {noise.sigma:.1f} levels{', shared by neighbouring pixels' if noise.correlated else ''}.")
    return noise


def _jpeg_of(samples, file):
    """Return the bytes of the JPEG that samples come from, as far as that can be found, or None."""
    from ..pictures.jpeg import jpeg_that_made
    from ..pictures.kinds import is_jpeg

    return file if file and is_jpeg(file) else jpeg_that_made(samples)


def _nearest_of(samples, planes, options, file):
    """Return what finds, of the pictures that explain what was observed, the nearest to one; None for some tasks.

    planes: the samples, (H, W, planes). file: of a JPEG, or None.
    """
    from .jpeg import intervals_of

    found = Enlarging(planes, options.scale) if options.scale else file and intervals_of(file, samples)
    return found.nearest if found else None


def _sigma_of_jpeg(samples, file):
    """Estimate the standard deviation of a JPEG's own error in levels.

    It is how much the same coding changes the picture again when its blocks lie elsewhere (Nosratinia 2001).
    """
    from ..pictures.jpeg import coded_again

    if file is None:
        raise UsageError(
            "How much a JPEG has lost is read from its tables, and no table is known that would make this picture; "
            "give --sigma, the standard deviation of what is to be removed."
        )
    shift = 4
    again = coded_again(np.pad(samples, [(shift, 0), (shift, 0)] + [(0, 0)] * (samples.ndim - 2), "edge"), file)[
        shift:, shift:
    ]
    return float(np.sqrt(np.square(again.astype(np.float32) - samples).mean()))


def _by_coding(samples, options, name, device, known, noise, progress, say, nearest=None):
    from .coding import KNOWN_LAMBDA, LARGE_LAMBDA, fit_by_coding, lambda_for_noise
    from .wiener import smoothed

    effort = effort_of(options.effort)
    if options.scale:
        large, lambda_ = enlarged(samples / np.float32(255), options.scale), LARGE_LAMBDA
        samples = np.rint(255 * large).astype(np.uint8)
    else:
        lambda_ = KNOWN_LAMBDA if noise is None else lambda_for_noise(noise.strength, samples.shape[2])
    fitted = fit_by_coding(
        samples,
        lambda_,
        known=known,
        views=effort.views,
        steps=options.iterations or effort.steps,
        seed=options.seed,
        seconds=options.time_limit,
        threads=options.threads,
        nearest=nearest,
        progress=progress,
        say=say,
    )
    picture = smoothed(fitted.picture, samples, noise) if options.task == "denoise" else fitted.picture
    return picture, fitted.steps, fitted.reason, 0.0


def _by_network(samples, options, name, device, known, noise, progress, say):
    from ..fit.engine import memory_errors, torch_for

    try:
        with usual_torch(torch_for(f"The prior {name}"), options.threads):
            return _fitted_in_tiles(samples, options, name, device, known, noise, progress, say)
    except memory_errors():
        raise ShortMemoryError(
            f"There is not enough memory for the prior {name} on a picture of {samples.shape[1]}x{samples.shape[0]} "
            "pixels."
        ) from None


def _fitted_in_tiles(samples, options, name, device, known, noise, progress, say):
    """Fit a network to each tile; return the picture in 0..1, steps, reason, and how far tiles were apart in 0..1."""
    from .operators import Downsampler, Identity
    from .prior import Observation, fit_prior, memory_of

    setting, effort = setting_of(name, options.task), effort_of(options.effort)
    steps = options.iterations or max(1, round(effort.share * setting.steps))
    factor, free = options.scale or 1, _free_memory(device)
    tiles = tiles_for(
        samples.shape[0],
        samples.shape[1],
        lambda height, width: free is None or memory_of(setting, factor * height, factor * width) < MEMORY_SHARE * free,
    )
    if len(tiles) > 1:
        say(f"Note: memory is short for the whole picture; it is restored in {len(tiles)} tiles.")
    operator = Downsampler(factor, device) if factor > 1 else Identity()
    parts: list[np.ndarray] = []
    reason, taken = "", steps
    jobs = len(tiles) * effort.runs
    for index, tile in enumerate(tiles):
        total: Any = 0
        observation = Observation(
            tile.of(samples).astype(np.float32) / 255,
            operator,
            None if known is None else tile.of(known),
            noise and noise.sigma,
            known is not None if noise is None else not noise.correlated,
            options.variation,
        )
        for run in range(effort.runs):
            what = "" if jobs == 1 else f"fit {index * effort.runs + run + 1} of {jobs}"
            # Every tile has the same start, and as many steps as the first one needed, so that all are alike.
            fitted = fit_prior(
                observation,
                setting,
                steps=taken,
                seed=options.seed + run,
                device=device,
                progress=progress,
                what=what,
                seconds=None if options.time_limit is None else options.time_limit / jobs,
                rules=index == 0 and run == 0,
            )
            total = total + fitted.picture / effort.runs
            if index == run == 0:
                taken, reason = fitted.steps, fitted.reason
        parts.append(total)
    shape = (factor * samples.shape[0], factor * samples.shape[1], samples.shape[2])
    if len(tiles) == 1:
        return parts[0], taken, reason, 0.0
    large = [type(tile)(*(factor * side for side in (tile.top, tile.bottom, tile.left, tile.right))) for tile in tiles]
    picture, seams = joined(parts, large, shape)
    say(f"Tiles differ by {255 * seams:.2f} levels where they overlap.")
    return picture, taken, reason, seams


def _free_memory(device):
    if device == "cpu":
        return available_memory()
    import torch

    return torch.cuda.mem_get_info(device)[0]

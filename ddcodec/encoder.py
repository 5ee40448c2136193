"""Encoding: fit, freeze and pack, then read the bytes with the decoder and compare every integer."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from .decoder import Limits
from .errors import DamagedError, EncoderError, SourceError, TargetError
from .filling import filled
from .format.alpha import alpha_chunk, coarser
from .format.arch import SIDE_MAX, Arch
from .format.decoders import samples_of
from .format.files import pack, pack_body, sealed, unpack
from .format.header import HEADER_BYTES
from .format.metadata import chunks_of
from .format.render import checksum
from .metrics import psnr, ssimulacra2, with_hidden_of
from .metrics.ssimulacra2 import SSIMULACRA2_SIDE_MIN
from .options import EncodeOptions
from .picture import is_drawn, peak_of
from .presets import arch_of, iterations_of, normalises
from .surroundings import with_usual_errors

if TYPE_CHECKING:
    from .fit.descent.progress import Progress
    from .fit.descent.task import FitTask


@dataclass(frozen=True)
class Encoded:
    """A file, and what it has been found to decode to.

    data: the bytes of the file.
    samples: the samples that it decodes to, uint8 or uint16 (H, W) or (H, W, 3).
    lambda_: the lambda at which the fit ended.
    steps: steps of the fit; 0 if there was none.
    seconds: time of the encode, with all pictures that were fitted at once.
    device: where the fit was made.
    psnr: PSNR in dB of `samples`, where they can be seen.
    """

    data: bytes
    samples: np.ndarray
    lambda_: float
    steps: int
    seconds: float
    device: str
    psnr: float

    def cost(self, task: "FitTask") -> float:
        """Compute D + lambda R of the file, with the distortion and the lambda of a task."""
        height, width, _ = task.picture.shape
        errors = (self.samples.reshape(task.picture.shape).astype(np.float32) - task.picture) / peak_of(task.picture)
        known = 1 if task.known is None else task.known
        distortion = task.form.value(errors.transpose(2, 0, 1) * known)
        return distortion + task.lambda_ * 8 * len(self.data) / (height * width)


@dataclass(frozen=True)
class Source:
    """A picture to encode.

    samples: uint8 or uint16 (H, W) or (H, W, 3).
    lambda_: the picture's own lambda, or None for that of the options.
    metadata: name -> bytes, with names of `format.metadata.KINDS`.
    alpha: (H, W) of the same type, or None if all is opaque.
    """

    samples: np.ndarray
    lambda_: float | None = None
    metadata: dict[str, bytes] | None = None
    alpha: np.ndarray | None = None

    def shown(self, options: EncodeOptions) -> np.ndarray:
        """Return the samples to code.

        Colours of fully transparent pixels are replaced by a guess from those around, unless `options.exact`.
        """
        return self.samples if self.alpha is None or options.exact else filled(self.samples, self.alpha > 0)

    def known(self, options: EncodeOptions) -> np.ndarray | None:
        """Mark the pixels whose colours count: bool (H, W).

        Returns None if all count, or none.
        """
        seen = None if self.alpha is None or options.exact else self.alpha > 0
        return None if seen is None or seen.all() or not seen.any() else seen

    def chunks(self, options: EncodeOptions) -> tuple[tuple[int, bytes], ...]:
        """Code metadata and alpha as the file's chunks (id, content). Raises `SourceError`."""
        chunks = chunks_of(self.metadata or {})
        if self.alpha is None:
            return chunks
        return (
            *chunks,
            alpha_chunk(self.alpha if options.alpha_quality == 100 else coarser(self.alpha, options.alpha_quality)),
        )

    def ssimulacra2(self, decoded: np.ndarray) -> float:
        """Compute the SSIMULACRA2 of decoded samples, with those of the picture where nothing can be seen."""
        decoded = decoded.reshape(self.samples.shape)
        score = ssimulacra2(self.samples, with_hidden_of(self.samples, decoded, self.alpha))
        assert score is not None  # `_check_measure` has seen to it.
        return score

    def psnr(self, decoded: np.ndarray) -> float:
        """Compute the PSNR in dB of decoded samples, where they can be seen."""
        return psnr(
            self.samples, decoded.reshape(self.samples.shape), where=None if self.alpha is None else self.alpha > 0
        )


def encode_picture(
    samples: np.ndarray,
    options: EncodeOptions = EncodeOptions(),
    progress: Callable[["Progress"], None] | None = None,
    *,
    metadata: dict[str, bytes] | None = None,
    alpha: np.ndarray | None = None,
    say: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Encoded:
    """Encode one picture.

    samples, metadata, alpha: those of a `Source`. The other arguments are those of `encode_pictures`.
    """
    return encode_pictures([Source(samples, metadata=metadata, alpha=alpha)], options, progress, say=say, warn=warn)[0]


@with_usual_errors
def encode_pictures(
    sources: Sequence[Source],
    options: EncodeOptions = EncodeOptions(),
    progress: Callable[["Progress"], None] | None = None,
    *,
    say: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> list[Encoded]:
    """Encode pictures, or one picture at several rates.

    On a GPU all pictures of one size and architecture are fitted at once, on a CPU one after the other. A time limit is
    for all together.

    progress: called after every step with a `Progress`.
    say: called with sentences to the user, such as that something is slower than usual.
    warn: called with a sentence on each file that a decoder refuses by default.

    Returns the `Encoded` of each source, in order. Raises `UsageError`, `SourceError`, `ShortMemoryError`,
    `LimitError`, `TargetError` and `EncoderError`.
    """
    from .fit.fit import fit_pictures, lambda_for
    from .fit.outlook import Outlook

    start = monotonic()
    options.validate()
    groups: dict[Arch, list[Any]] = {}
    results: list[Any] = [None] * len(sources)
    made = {}
    for index, source in enumerate(sources):
        chunks = source.chunks(options)
        task = _task(source, options, chunks, warn)
        made[index], is_best = _without_fit(source, task, chunks, options, say)
        if is_best:
            results[index] = made[index]
            continue
        if task.goal:
            lambda_ = lambda_for(task, _settings(options, task.arch), say=say)
            task = replace(task, lambda_=lambda_, arch=_arch(options, task.picture, lambda_))
        groups.setdefault(replace(task.arch, base=0), []).append((index, task, chunks))
    left = results.count(None)
    for arch, members in groups.items():
        began, share = monotonic(), len(members) / left
        limit = None if options.time_limit is None else max(0.0, options.time_limit - (began - start)) * share
        settings = _settings(options, arch, limit)
        outlook = Outlook(progress, settings.iterations, arch.width * arch.height, limit) if progress else None
        tasks = [task for _, task, _ in members]
        fitted = fit_pictures(tasks, settings, progress=outlook, say=say)
        left -= len(members)
        for (index, task, chunks), (coded, lambda_, steps, device) in zip(members, fitted):
            source = sources[index]
            if outlook:
                outlook.pack()
            data, decoded = _packed(replace(coded, chunks=chunks), source.samples.shape, options.threads)
            result = Encoded(data, decoded, lambda_, steps, monotonic() - began, device, source.psnr(decoded))
            without = made[index]
            results[index] = without if without and without.cost(task) < result.cost(task) else result
    return results


def _settings(options, arch, time_limit=None):
    """Make the `FitSettings` of pictures of an `Arch`; time_limit: seconds, or None."""
    from .fit.fit import FitSettings

    return FitSettings(
        iterations=options.iterations or iterations_of(options.effort, arch.width * arch.height),
        time_limit=time_limit,
        device=options.device,
        threads=options.threads,
        max_memory=options.max_memory,
        normalise=normalises(options.profile),
        seed=options.seed,
    )


def _task(source, options, chunks, warn):
    """Make the `FitTask` of a source.

    warn: called with a sentence if a decoder would refuse the file by default.
    """
    from .fit.descent.task import FitTask

    height, width = source.samples.shape[:2]
    if max(height, width) > SIDE_MAX:
        raise SourceError(f"The picture has {width}x{height} pixels; no side may be above {SIDE_MAX:,}.")
    picture = np.ascontiguousarray(source.shown(options)).reshape(height, width, -1)
    lambda_ = options.chosen_lambda(height, width) if source.lambda_ is None else source.lambda_
    arch = _arch(options, picture, lambda_)
    if warn and (flags := Limits().flags_for(arch)):
        warn(
            f"The file can be decoded with {' and '.join(flags)} only: it will be above the limits that a decoder "
            "has by default."
        )
    has_goal = source.lambda_ is None and options.has_target()
    goal = _goal(options, source, chunks) if has_goal else None
    return FitTask(picture, arch, lambda_, goal, source.known(options), options.chosen_tune)


def _arch(options, picture, lambda_):
    height, width, planes = picture.shape
    return arch_of(
        options.profile,
        height,
        width,
        planes,
        lambda_,
        tune=options.chosen_tune,
        # With the other tune drawings have the same bases as photographs.
        drawn=options.chosen_tune == "eye" and is_drawn(picture),
        warm=options.base == "auto",
        depth=picture.dtype.itemsize - 1,
    )


def _without_fit(source, task, chunks, options, say):
    """Encode a picture of few colours without a fit.

    Returns an `Encoded`, or None if the picture has too many colours or the file does not keep to the target. The
    second result is True if no fit is needed: for one colour, and for a target that is kept.
    """
    from .fit.palette import colours_of, made_of

    start, goal = monotonic(), task.goal
    colours = colours_of(task.picture, task.known) if options.profile == "default" else None
    if colours is None:
        return None, False
    coded = replace(made_of(task.picture, colours, task.known), chunks=chunks)
    data, decoded = _packed(coded, source.samples.shape, options.threads)
    made = Encoded(data, decoded, task.lambda_, 0, monotonic() - start, "cpu", source.psnr(decoded))
    if not goal:
        return made, len(colours) == 1
    measured = goal.measure(coded)
    if not goal.target.kept(measured):
        return None, False
    if say and not goal.target.met(measured):
        say(f"Note: {goal.target.distance(measured)}")
    return made, True


def _goal(options, source, chunks):
    """Make the `Goal` of a fit with a target: the target, and how a `CodedImage` is measured.

    A target's overhead is about the bytes that no lambda changes: header, chunks and section table.
    """
    from .fit.descent.task import Goal
    from .fit.target import PsnrTarget, SizeTarget, Ssimulacra2Target, Target

    target: Target
    size = options.most_bytes(*source.samples.shape[:2])
    if size is not None:
        target = SizeTarget(size, HEADER_BYTES + sum(len(content) + 4 for _, content in chunks) + 16)
    elif options.target_psnr is not None:
        target = PsnrTarget(options.target_psnr)
    else:
        if min(source.samples.shape[:2]) < SSIMULACRA2_SIDE_MIN:
            raise TargetError(f"A side of the picture is below {SSIMULACRA2_SIDE_MIN} pixels: it has no SSIMULACRA2.")
        peak = peak_of(source.samples)
        target = Ssimulacra2Target(
            options.target_ssimulacra2,
            lambda picture: source.ssimulacra2(np.rint(peak * picture).astype(source.samples.dtype)),
        )

    def measure(coded):
        if size is not None:
            return len(pack(replace(coded, chunks=chunks)))
        samples = samples_of(coded, threads=options.threads)
        return source.psnr(samples) if options.target_psnr is not None else source.ssimulacra2(samples)

    return Goal(target, measure)


def _packed(coded, shape, threads):
    """Pack a fitted picture, and read it back with the real decoder.

    Returns its bytes and its samples. Raises `EncoderError` if the decoder finds other integers.
    """
    try:
        # Both decoders let go of the interpreter while they render.
        with ThreadPoolExecutor(1) as pool:
            rendering = pool.submit(samples_of, coded, threads=threads)
            body = pack_body(coded)
            samples = rendering.result().reshape(shape)
        coded = replace(coded, samples_crc=checksum(samples))
        data = sealed(coded, body)
        read = unpack(data)
    except DamagedError as error:
        raise EncoderError(
            f"The encoder made a file that cannot be decoded ({error}); please report this picture."
        ) from error
    if not read.equals(coded):
        raise EncoderError("The file does not decode to the integers it was made from; please report this picture.")
    return data, samples

"""ddcodec: an image codec whose file is a small neural network.

`encode`, `encode_many`, `decode`, `read_info`, `restore` and `register_pillow` are the whole interface.
Errors are classes of `ddcodec.errors`, all of them a `DdcError`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    # An import of this package loads neither.
    import numpy as np
    from PIL import Image

__all__ = ["__version__", "decode", "encode", "encode_many", "read_info", "register_pillow", "restore"]


def encode(
    image: "Image.Image | np.ndarray",
    *,
    quality: float | None = None,
    lambda_: float | None = None,
    target_size: int | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    target_ssimulacra2: float | None = None,
    effort: int = 5,
    iterations: int | None = None,
    time_limit: float | None = None,
    tune: str = "eye",
    alpha_quality: int = 100,
    exact: bool = False,
    profile: str = "default",
    base: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    max_memory: int = 0,
    seed: int = 0,
    progress: Callable[[Any], None] | None = None,
) -> bytes:
    """Encode a picture to the bytes of a `.ddc` file.

    At most one of `quality`, `lambda_`, `target_size`, `target_bpp`, `target_psnr` and `target_ssimulacra2` sets the
    rate.

    Args:
        image: A Pillow image or an array. Of an image, colours, EXIF, XMP and resolution are kept. An array is uint8
            or uint16, (H, W) or (H, W, C) with C from 1 to 4. With 2 or 4 channels the last one is alpha.
        quality: 1..100, about as good to the eye as a JPEG of that quality. The default is 75.
        lambda_: The distortion that one bit per pixel is worth, 1e-7..1; with tune "psnr" the MSE of samples in [0, 1].
        target_size: Bytes of the file, never more and at most 3 % less.
        target_bpp: The same in bits per pixel.
        target_psnr: PSNR of the decoded picture in dB, never less and at most 0.1 more.
        target_ssimulacra2: SSIMULACRA2 of the decoded picture, never less and at most 0.5 more.
        effort: 1..9. A greater effort takes more steps, and more time.
        iterations: The number of steps, instead of an effort.
        time_limit: Seconds. The best state so far is taken.
        tune: "eye" for the best picture to the eye, "psnr" for the least squared error.
        alpha_quality: 1..100. At 100 alpha is kept without loss.
        exact: Keep the colours of fully transparent pixels, too.
        profile: "default", or "classic" for a plain deep decoder.
        base: "auto", or "none" for a fit that starts from random weights.
        device: "auto", "cpu", "cuda" or "cuda:N". The first takes a GPU that is there.
        threads: Threads of the CPU, 1..256. The default is as many as are useful.
        max_memory: Bytes that a fit on the CPU may take. 0 is what is free.
        seed: 0 .. 2^63 - 1. The same seed gives the same file on one machine's CPU.
        progress: Called after every step with an object that has `phase`, `step`, `total`, `bpp`, `psnr` and
            `seconds_left`.

    Returns:
        The bytes of the file.

    Warns:
        UserWarning: A part of the image is not kept, or the file is above the default limits of `decode`. The latter
            is so above 100 megapixels.

    Raises:
        UsageError: An option is out of range, or two exclude each other.
        SourceError: The picture is of a kind that is not supported.
        ShortMemoryError: Memory is short.
        LimitError: The picture is above a limit of this call.
        TargetError: No file of the picture has the wished size or PSNR.
        EncoderError: The encoder's own check failed.
    """
    import warnings

    from .encoder import encode_picture
    from .options import EncodeOptions
    from .pictures.read import picture_from

    options = EncodeOptions(
        quality=quality,
        lambda_=lambda_,
        target_size=target_size,
        target_bpp=target_bpp,
        target_psnr=target_psnr,
        target_ssimulacra2=target_ssimulacra2,
        effort=effort,
        iterations=iterations,
        time_limit=time_limit,
        tune=tune,
        alpha_quality=alpha_quality,
        exact=exact,
        profile=profile,
        base=base,
        device=device,
        threads=threads,
        max_memory=max_memory,
        seed=seed,
    )
    picture = _told(picture_from(image))
    return encode_picture(
        picture.samples, options, progress, metadata=picture.metadata, alpha=picture.alpha, warn=warnings.warn
    ).data


def encode_many(
    images: "Iterable[Image.Image | np.ndarray]",
    *,
    quality: float | Sequence[float | None] | None = None,
    lambda_: float | Sequence[float | None] | None = None,
    **options: Any,
) -> list[bytes]:
    """Encode several pictures, each as `encode` does.

    A GPU fits all pictures of one size at once, for little more than the time of one.

    Args:
        images: Pictures as for `encode`. One picture may stand there several times.
        quality: One quality for all pictures, or a sequence with one for each.
        lambda_: One lambda for all pictures, or a sequence with one for each.
        **options: The other options of `encode`, for all pictures. A `time_limit` is for all together.

    Returns:
        The bytes of each file, in the order of the images.

    Raises:
        DdcError: As `encode` does. An error in one picture is an error of the call.
    """
    import warnings

    from .encoder import Source, encode_pictures
    from .errors import UsageError
    from .options import EncodeOptions
    from .pictures.read import picture_from

    progress = options.pop("progress", None)
    images = list(images)

    def each(name, wished):
        is_one = isinstance(wished, str) or not hasattr(wished, "__iter__") or getattr(wished, "ndim", 1) == 0
        values = [wished] * len(images) if is_one else list(wished)
        if len(values) != len(images):
            raise UsageError(f"There are {len(images)} images, but {len(values)} of {name}.")
        return values

    rates = zip(each("quality", quality), each("lambda_", lambda_))
    own = [EncodeOptions(quality=own, lambda_=price, **options) for own, price in rates]
    sources = []
    for image, its in zip(images, own):
        its.validate()
        picture = _told(picture_from(image))
        sources.append(
            Source(
                picture.samples,
                None if its.has_target() else its.chosen_lambda(*picture.samples.shape[:2]),
                picture.metadata,
                picture.alpha,
            )
        )
    return (
        [encoded.data for encoded in encode_pictures(sources, own[0], progress, warn=warnings.warn)] if sources else []
    )


def decode(
    data: bytes | bytearray | memoryview, *, scale: int = 1, max_pixels: int = 100_000_000, max_memory: int = 4 * 2**30
) -> "np.ndarray":
    """Decode the bytes of a `.ddc` file to an array of samples.

    Args:
        data: The bytes of the file.
        scale: 1, or 2, 4 or 8 for a picture of ceil(size / scale).
        max_pixels: Greatest number of pixels of the picture. 0 lifts this limit, and that of time, too.
        max_memory: Most bytes of memory that the decode may take. 0 lifts this limit.

    Returns:
        Samples (H, W, 3), or (H, W) for grey. With alpha they are (H, W, 4) or (H, W, 2). They are uint8 or uint16, as
            the picture was.

    Warns:
        UserWarning: There are bytes behind the end of the file.

    Raises:
        DamagedError: The bytes are no `.ddc` file, or they are cut off or altered.
        UnsupportedError: The file needs a newer decoder.
        LimitError: The file is above a limit of this call.
        ShortMemoryError: Memory is short.
        UsageError: An argument is out of range, or the file has no such scale.
    """
    from .decoder import Limits, decode_file

    return _told(decode_file(_checked(data), scale=scale, limits=Limits(max_pixels, max_memory), metadata=())).whole()


def read_info(data: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Describe a `.ddc` file without decoding it.

    Args:
        data: The bytes of the file.

    Returns:
        A dict ready for JSON: "version", "width", "height", "planes", "depth", "alpha", "profile", "bytes",
            "trailing_bytes", "bpp", "arch", "macs_per_pixel", "weights", "sections" and "samples_crc".

    Raises:
        DamagedError: The bytes are no `.ddc` file, or they are cut off or altered.
        UnsupportedError: The file needs a newer decoder.
        UsageError: `data` is not bytes.
    """
    from .format.files import read_info as read

    return read(_checked(data))


def _told(picture):
    """Issue the notes of a `Picture` as Python warnings of the caller of our caller, and return it."""
    import warnings

    for note in picture.notes:
        warnings.warn(note, stacklevel=3)
    return picture


def _checked(data):
    """Return the bytes of an object that holds some. Raises `UsageError`."""
    from .errors import UsageError

    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise UsageError(f"A file must be given as its bytes, not as {type(data).__name__}.")
    return bytes(data)


def register_pillow() -> None:
    """Let Pillow's `Image.open` and `Image.save` take `.ddc` files.

    An import of `ddcodec.pillow` does the same; its docstring says more.
    """
    from . import pillow  # noqa: F401


def restore(
    image: "Image.Image | np.ndarray",
    task: str = "denoise",
    *,
    mask: "Image.Image | np.ndarray | None" = None,
    progress: Callable[[Any], None] | None = None,
    **options: Any,
) -> "np.ndarray":
    """Restore a picture before it is encoded.

    Args:
        image: A Pillow image or an array of uint8, (H, W) or (H, W, 3).
        task: "denoise", "inpaint", "superres" or "dejpeg".
        mask: For inpaint, where the picture is known. An array (H, W) holds bool, or numbers: 0 is missing, 1 or 255
            is known. A Pillow image is white where the picture is known.
        progress: Called with an object that has `step`, `total`, `loss` and `seconds_left`.
        **options: The keyword arguments below.

    Keyword Args:
        scale: For superres: 2, 4 or 8.
        sigma: For denoise and dejpeg: the noise in levels of 0..255. It is estimated by default, which dejpeg cannot
            do where the tables of the JPEG were not libjpeg's own.
        prior: "auto", "codec", "dip", "deep-decoder", or a named setting.
        effort: 1..9. A greater effort takes more steps, and more time.
        iterations: The number of steps, instead of an effort.
        time_limit: Seconds.
        dilate: For inpaint: pixels by which the missing part grows.
        feather: For inpaint: pixels over which the restored part fades into the known one.
        variation: Weight of the total variation in the loss, 0..1.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Threads of the CPU, 1..256. The default is as many as are useful.
        seed: 0 .. 2^63 - 1.

    Returns:
        Samples uint8, (H, W, 3) or (H, W). They are the input where there is nothing to do.

    Raises:
        UsageError: An option is out of range, or two exclude each other.
        SourceError: The picture is of a kind that is not supported.
        ShortMemoryError: Memory is short.
    """
    from .pictures.read import picture_from, plain_samples
    from .restoration.masks import known_from
    from .restoration.options import RestoreOptions
    from .restoration.restore import restore_picture

    samples = plain_samples(picture_from(image), "The picture")
    known = None if mask is None else known_from(mask, samples.shape, samples=samples)
    return restore_picture(samples, RestoreOptions(task=task, **options), known=known, progress=progress).samples

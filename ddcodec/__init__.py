"""ddcodec: an image codec whose file is a small neural network.

`encode`, `encode_many`, `decode`, `read_info`, `restore` and `register_pillow` are the whole interface.
"""

from .version import __version__

__all__ = ["__version__", "decode", "encode", "encode_many", "read_info", "register_pillow", "restore"]


def encode(
    image,
    *,
    quality=None,
    lambda_=None,
    target_size=None,
    target_bpp=None,
    target_psnr=None,
    effort=5,
    iterations=None,
    time_limit=None,
    alpha_quality=100,
    exact=False,
    profile="default",
    base="auto",
    device="auto",
    threads=None,
    max_memory=0,
    seed=0,
    progress=None,
):
    """Encode a picture to the bytes of a `.ddc` file.

    image: a Pillow image, whose colours, EXIF, XMP and resolution are kept, or an array (H, W) or (H, W, 1 to 4) of
    uint8 or uint16, of which the second or fourth channel is alpha. quality: 1..100, default 75: about the PSNR of a
    JPEG of that quality; or lambda_: the MSE of samples in [0, 1] that one bpp is worth; or target_size: bytes of the
    file, never more and at most 3 % less; target_bpp: the same in bits per pixel; target_psnr: dB of the decoded
    picture, never less and at most 0.1 more. effort: 1..9, higher is slower; iterations sets its steps by hand.
    time_limit: seconds. alpha_quality: 1..100, 100 is without loss; exact: keep the colours of what is fully
    transparent, too. base: auto, or none for a fit that starts from nothing. device: auto, cpu, cuda or cuda:N;
    threads: of the CPU, by default as many as are useful. max_memory: bytes that a fit on the CPU may take, by default
    what is free. progress: called after every step with an object that has step, total, bpp, psnr and seconds_left.
    Python warnings (`UserWarning`) say what is not kept of the image, and above 100 megapixels which limits `decode`
    must be given for the file. Raises `ddcodec.errors.DdcError`: `UsageError`, `SourceError`, `ShortMemoryError`,
    `LimitError`, `TargetError`.
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
        effort=effort,
        iterations=iterations,
        time_limit=time_limit,
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


def encode_many(images, *, quality=None, lambda_=None, **options):
    """Encode several pictures as `encode` does each: a list of bytes.

    A GPU fits all of one size at once, for little more than the time of one.

    images: as for `encode`; one picture may stand there several times. quality, lambda_: one for all, or a sequence
    with one for each image. options: the others of `encode`; a time_limit is for all together.
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


def decode(data, *, scale=1, max_pixels=100_000_000, max_memory=4 * 2**30):
    """Decode the bytes of a `.ddc` file to samples (H, W, 3) or (H, W), uint8 or uint16 as the picture was; with alpha
    (H, W, 4) or (H, W, 2).

    A Python warning (`UserWarning`) tells of bytes behind the end of the file. scale: 2, 4 or 8 for a picture of
    ceil(size / scale). max_pixels: of the picture; 0 lifts the limit of time, too. max_memory: bytes. Limits of 0 are
    no limits. Raises `ddcodec.errors.DdcError`: `DamagedError`, `UnsupportedError`, `LimitError`, `ShortMemoryError`,
    `UsageError`.
    """
    from .decoder import Limits, decode_file

    return _told(decode_file(_checked(data), scale=scale, limits=Limits(max_pixels, max_memory), metadata=())).whole()


def read_info(data):
    """What the bytes of a `.ddc` file say of themselves, without decoding: a dict (size, architecture, bytes of each
    section).
    """
    from .format.files import read_info as read

    return read(_checked(data))


def _told(picture):
    """A `Picture` whose notes are told as Python warnings of the caller of our caller."""
    import warnings

    for note in picture.notes:
        warnings.warn(note, stacklevel=3)
    return picture


def _checked(data):
    """Bytes, from whatever holds some."""
    from .errors import UsageError

    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise UsageError(f"A file must be given as its bytes, not as {type(data).__name__}.")
    return bytes(data)


def register_pillow():
    """Let Pillow's `Image.open` and `Image.save` take `.ddc` files, as `import ddcodec.pillow` does; see there."""
    from . import pillow  # noqa: F401


def restore(image, task="denoise", *, mask=None, progress=None, **options):
    """Restore a picture before it is encoded: uint8 samples (H, W, 3) or (H, W), the same where there is nothing to do.

    image: a Pillow image or a uint8 array. task: denoise, inpaint, superres or dejpeg. mask: for inpaint, where the
    picture is known: an array (H, W) of bool, or of numbers of which 0 is missing and 1 or 255 known, or a Pillow
    image, white where it is known. options: scale (2, 4, 8), sigma (levels of 0..255; estimated if not given), prior
    (auto, codec, dip, deep-decoder, or a named setting), effort (1..9), iterations, time_limit (seconds), dilate,
    feather (pixels), variation, device, threads, seed. progress: called with an object that has step, total, loss and
    seconds_left. Raises `ddcodec.errors.DdcError`: `UsageError`, `SourceError`, `ShortMemoryError`.
    """
    from .pictures.read import picture_from, plain_samples
    from .restoration.masks import known_from
    from .restoration.options import RestoreOptions
    from .restoration.restore import restore_picture

    samples = plain_samples(picture_from(image), "The picture")
    known = None if mask is None else known_from(mask, samples.shape, samples=samples)
    return restore_picture(samples, RestoreOptions(task=task, **options), known=known, progress=progress).samples

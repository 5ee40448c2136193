"""`ddcodec encode`: a picture in, a .ddc file out."""

import click

from ..errors import UsageError
from .files import STANDARD, name_of, prepare_output, read_input
from .help import Command, Expert
from .options import ByteCount, fitting, keeping, reading, talking, writing
from .restore import restore_options, restore_read
from .talk import section_table, size_text


@click.command(
    cls=Command,
    short_help="Make a .ddc file of a picture.",
    epilog="""\b
Examples:
  ddcodec encode photo.jpg
  ddcodec encode photo.png -o small.ddc -q 50 -e 3
  ddcodec encode photo.png --target-size 30k
  ddcodec encode photo.png --time-limit 90s --force
  ddcodec encode night.png --restore denoise -q 60
  ddcodec encode - -o - < photo.png > photo.ddc"""
)
@reading("INPUT")
@writing("Where to write; - is standard output.  [default: INPUT with .ddc, or - for -]")
@click.option(
    "-q",
    "--quality",
    type=float,
    metavar="1..100",
    help="About the PSNR of a JPEG of this quality; 100 is not lossless.  [default: 75]",
)
@click.option(
    "--lambda",
    "lambda_",
    cls=Expert,
    type=float,
    metavar="X",
    help="Instead of a quality: the squared error (samples in 0..1) that one bpp is worth.",
)
@click.option("--target-size", type=ByteCount(1), metavar="BYTES", help="Instead: the file has at most so many bytes and hardly less: 30000, 30k (30 KiB), 1.5M.")
@click.option("--target-bpp", type=float, metavar="X", help="Instead: the same in bits per pixel.")
@click.option("--target-psnr", type=float, metavar="DB", help="Instead: the decoded picture has this PSNR and hardly more.")
@fitting(effort="Higher is slower and smaller.", seed="The same seed gives the same file on one machine's CPU.")
@click.option(
    "--profile",
    cls=Expert,
    default="default",
    show_default=True,
    metavar="NAME",
    help="The kind of network: default, or classic for a plain deep decoder.",
)
@click.option(
    "--base",
    cls=Expert,
    default="auto",
    show_default=True,
    metavar="NAME",
    help="What the fit starts from: auto, or none to start from nothing.",
)
@keeping
@click.option("--frame", cls=Expert, type=int, metavar="N", help="Of an animation or of several pages, from 1 on.  [default: the first, with a warning]")
@click.option("--ignore-alpha", cls=Expert, is_flag=True, help="Leave transparency out: all becomes opaque.")
@click.option("--alpha-quality", cls=Expert, type=int, default=100, show_default=True, metavar="1..100", help="100 keeps alpha without loss; less, in fewer steps.")
@click.option("--exact", cls=Expert, is_flag=True, help="Keep the colours of what is fully transparent, too.")
@click.option("--restore", "task", metavar="TASK", help="First denoise, inpaint or dejpeg, as the command restore does by default.")
@click.option("--sigma", cls=Expert, metavar="S|auto", default="auto", show_default=True, help="Of --restore: the noise's standard deviation in levels of 0..255.")
@click.option("--mask", cls=Expert, metavar="FILE", type=click.Path(), help="Of --restore inpaint: a black and white picture; white is kept.")
@talking
def encode(talk, input_, output, force, kinds, frame, ignore_alpha, task, sigma, mask, **fit):
    """Encode INPUT, a picture of 8 or 16 bits a sample, grey or colour, with or without alpha, to a .ddc file.

    PNG, JPEG, WebP, AVIF, TIFF, PPM, BMP and GIF are read; HEIC and JPEG XL where pillow-heif and pillow-jxl-plugin are installed.

    The network is fitted to the picture, which takes from seconds to minutes. INPUT - is standard input; a file of that name
    is ./-.
    """
    from ..encoder import EncodeOptions, encode_picture
    from ..memory import keep_freed_memory
    from ..output import write_target
    from ..pictures import read_picture

    # The options are named as the fields, in one place above and in one place there.
    options = EncodeOptions(**fit)
    options.validate()
    wished = _wished(task, sigma, mask, options)
    output = prepare_output(talk, input_, output, ".ddc", force)
    data = read_input(input_)
    picture = read_picture(data, name=name_of(input_), frame=frame)
    for note in picture.notes:
        talk.warn(note)
    keep_freed_memory()
    samples, alpha = picture.samples, None if ignore_alpha else picture.alpha
    metadata = {kind: content for kind, content in picture.metadata.items() if kind in kinds}
    if wished:
        restored = restore_read(talk, picture, data, wished, mask, "black", None)
        samples, metadata = restored.samples, metadata | {"note": restored.note(task).encode()}
        alpha = None if task == "inpaint" else alpha
    with talk.progress() as progress:
        encoded = encode_picture(samples, options, progress, metadata=metadata, alpha=alpha, say=talk.say)
    write_target(output, encoded.data, force=force)
    _summarise(talk, input_, output, encoded)


def _wished(task, sigma, mask, options):
    """The `RestoreOptions` of what is to be done before the encode, or None."""
    if task is None:
        if mask is not None or sigma != "auto":
            raise UsageError("A mask and a sigma are for --restore, which says what to do with them.")
        return None
    wished = restore_options(sigma, {"task": task, "effort": options.effort, "device": options.device, "threads": options.threads, "seed": options.seed, "time_limit": options.time_limit})
    wished.validate()
    return wished


def _summarise(talk, input_, output, encoded):
    from ..samples import bits_of
    from ..syntax import read_info

    height, width = encoded.samples.shape[:2]
    count = len(encoded.data)
    device = encoded.device.removesuffix(":0")
    talk.say(
        f"{_shown(input_)} -> {_shown(output)}: {size_text(width, height, count)}, "
        f"PSNR {encoded.psnr:.2f} dB, {encoded.seconds:.1f} s ({device})"
    )
    talk.detail(f"lambda {encoded.lambda_:.3g}, {encoded.steps} steps")
    for line in section_table(read_info(encoded.data)["sections"], count):
        talk.detail(line)
    talk.report(
        input=_shown(input_),
        output=_shown(output),
        width=width,
        height=height,
        planes=1 if encoded.samples.ndim == 2 else encoded.samples.shape[2],
        depth=bits_of(encoded.samples),
        bytes=count,
        bpp=8 * count / (width * height),
        psnr=encoded.psnr if encoded.psnr < float("inf") else None,
        steps=encoded.steps,
        seconds=encoded.seconds,
        device=device,
        **{"lambda": encoded.lambda_},
    )


def _shown(path):
    return STANDARD if path == STANDARD else click.format_filename(path)

"""`ddcodec restore`: denoise, inpaint or enlarge a picture, or mend a JPEG."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..jobs.output import is_standard_output
from . import offers
from .files import STANDARD, name_of, passage, prepare_output, read_input, say_lost, write_output
from .help import Command, Expert
from .options import Function, fitting, reading, talking, writing
from .talk import Talk, left_parts, metadata_bytes, size_text

if TYPE_CHECKING:
    from ..picture import Picture
    from ..restoration.options import RestoreOptions
    from ..restoration.preview import Preview
    from ..restoration.progress import Progress
    from ..restoration.restore import Restored

FORMATS = {".png": "png", ".ppm": "ppm", ".pgm": "ppm", ".npy": "npy", ".ddc": "ddc"}
"""Extension of an output -> format."""


def restoring(command: Function) -> Function:
    """Give a command the options of a restoration but the task.

    They are those of `RestoreOptions`, named as its fields, and those of a mask.
    """
    for option in reversed(
        (
            click.option(
                "--scale", type=int, metavar="2|4|8", help="superres: how many times as large the picture shall be."
            ),
            click.option(
                "--sigma",
                metavar="S|auto",
                default="auto",
                show_default=True,
                help="denoise, dejpeg: the noise's standard deviation in levels of 0..255; 0 is none.",
            ),
            click.option(
                "--mask",
                metavar="FILE",
                type=click.Path(),
                help="inpaint: a black and white picture; white is kept.  [default: transparent pixels are missing]",
            ),
            click.option(
                "--mask-missing",
                cls=Expert,
                type=click.Choice(["black", "white"]),
                default="black",
                show_default=True,
                help="inpaint: which colour of the mask is missing.",
            ),
            click.option(
                "--mask-color",
                cls=Expert,
                metavar="RRGGBB",
                help="inpaint: instead, all pixels of this colour are missing.",
            ),
            click.option(
                "--dilate",
                cls=Expert,
                type=int,
                default=0,
                show_default=True,
                metavar="N",
                help="inpaint: let what is missing grow by N pixels.",
            ),
            click.option(
                "--feather",
                cls=Expert,
                type=int,
                default=0,
                show_default=True,
                metavar="N",
                help="inpaint: fade over N pixels into what is known; 0 leaves it bit for bit.",
            ),
            click.option(
                "--prior",
                default="auto",
                show_default=True,
                metavar="NAME",
                shell_complete=offers.names(offers.priors),
                help="What restores: auto, codec, dip, deep-decoder, or a named setting; see below.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command(
    cls=Command,
    short_help="Denoise, inpaint, enlarge, or mend a JPEG.",
    epilog="""Priors: codec fits the codec itself; dip is the Deep Image Prior as published, dip-narrow the same with
narrow top levels for a CPU, dip-text, dip-hole, dip-bicubic, dip-learned-input and dip-maxpool are published variants;
deep-decoder and deep-decoder-paper are the decoder in both published orders.

\b
Examples:
  ddcodec restore --task denoise night.png -o clean.png
  ddcodec restore --task denoise night.png --sigma 15 -o clean.ddc
  ddcodec restore --task inpaint old.png --mask scratches.png -o mended.png
  ddcodec restore --task superres small.png --scale 2 -o large.png
  ddcodec restore --task dejpeg web.jpg -o soft.png""",
)
@reading("INPUT", offers.is_picture_name)
@click.option(
    "--task",
    required=True,
    metavar="NAME",
    shell_complete=offers.names(offers.tasks),
    help="denoise, inpaint, superres or dejpeg.",
)
@writing("Where to write: a .png, .ppm, .npy or .ddc file; - is standard output, as PNG.")
@restoring
@fitting(effort="Higher is slower and better.", seed="Another seed, another start.")
@click.option(
    "--variation",
    cls=Expert,
    type=float,
    default=0.0,
    metavar="X",
    help="Weight of the total variation in a network's loss.",
)
@click.option(
    "--preview",
    cls=Expert,
    metavar="FOLDER",
    type=click.Path(file_okay=False),
    help="Snapshots, an animation and a chart of the course go there.",
)
@click.option(
    "--reference", cls=Expert, metavar="FILE", type=click.Path(), help="With --preview: the truth, for the chart alone."
)
@click.option("-q", "--quality", type=float, metavar="1..100", help="Of a .ddc file: as in encode.")
@talking
def restore(
    talk: Talk,
    input_: str,
    output: str | None,
    force: bool,
    preview: str | None,
    reference: str | None,
    quality: float | None,
    sigma: str,
    mask: str | None,
    mask_missing: str,
    mask_color: str | None,
    **options: Any,
) -> None:
    """Restore INPUT, a picture of 8-bit grey or RGB, with or without transparency, and write what it should have been.

    A network, or the codec itself from the bases of every encode, is fitted to this one picture, which takes from
    seconds to hours. What is no noise is left alone, and known pixels of an inpainted picture stay bit for bit.
    """
    from ..encoder import encode_picture
    from ..format.files import read_info
    from ..machine import keep_freed_memory
    from ..options import EncodeOptions
    from ..pictures.kinds import picture_bytes
    from ..pictures.read import read_picture
    from ..pictures.write import encode_image_bytes

    wished = restore_options(sigma, options)
    wished.validate()
    format = _format_of(output, input_)
    coding = EncodeOptions(
        quality=quality,
        effort=options["effort"],
        device=options["device"],
        threads=options["threads"],
        seed=options["seed"],
    )
    if quality is not None and format != "ddc":
        raise UsageError("A quality is for a .ddc file; let the output's name end in .ddc.")
    coding.validate()
    output = prepare_output(talk, input_, output, force)
    data = read_input(input_, picture_bytes)
    picture = read_picture(data, name=name_of(input_))
    for note in picture.notes:
        talk.warn(note)
    keep_freed_memory()
    watcher = _preview(preview, reference, force)
    restored = restore_read(talk, picture, data, wished, mask, mask_missing, mask_color, watcher)
    if watcher:
        watcher.finish(restored.steps, restored.samples)
    result = replace(
        picture,
        samples=restored.samples,
        alpha=_enlarged(picture.alpha, wished.scale) if wished.task != "inpaint" else None,
    )
    if format == "ddc":
        with talk.progress() as progress:
            encoded = encode_picture(
                result.samples,
                coding,
                progress,
                metadata=result.metadata | {"note": restored.note(wished.task).encode()},
                alpha=result.alpha,
                say=talk.say,
            )
        written = encoded.data
    else:
        say_lost(talk, name_of(input_), format, result.metadata, result.alpha is not None)
        written = encode_image_bytes(result, format)
    write_output(talk, output, written, force)
    height, width = restored.samples.shape[:2]
    by = f"prior {restored.prior}, {restored.steps} steps, {restored.reason}" if restored.changed else "unchanged"
    size = (
        size_text(width, height, len(written), metadata_bytes(read_info(written)["sections"]))
        if format == "ddc"
        else f"{width}x{height}"
    )
    talk.say(f"{passage(input_, output)}: {size}, {by}, {restored.seconds:.1f} s")
    talk.report(
        input=input_,
        output=output,
        task=wished.task,
        width=width,
        height=height,
        changed=restored.changed,
        prior=restored.prior,
        sigma=restored.sigma,
        steps=restored.steps,
        reason=restored.reason,
        seams=restored.seams,
        seconds=restored.seconds,
        bytes=len(written),
    )


def restore_options(sigma: str, options: Mapping[str, Any]) -> "RestoreOptions":
    """Make the `RestoreOptions` of a command line. Raises `UsageError` for a sigma that is no number.

    sigma: "auto" or a number, in levels of 0..255. options: the other fields.
    """
    from ..restoration.options import RestoreOptions

    try:
        return RestoreOptions(sigma=None if sigma == "auto" else float(sigma), **options)
    except ValueError:
        raise UsageError(f"The sigma {sigma!r} is neither a number nor auto.") from None


def restore_read(
    talk: Talk,
    picture: "Picture",
    data: bytes,
    options: "RestoreOptions",
    mask: str | None,
    mask_missing: str,
    mask_color: str | None,
    watcher: "Preview | None" = None,
) -> "Restored":
    """Restore a picture that was read from `data`.

    mask: path of a picture. mask_missing: "black" or "white", the colour of missing pixels. mask_color: RRGGBB of
    missing pixels, in place of a mask. watcher: follows the fit.

    Raises as `restoration.restore.restore_picture` does.
    """
    from ..pictures.read import plain_samples
    from ..restoration.restore import restore_picture

    plain_samples(replace(picture, alpha=None), "The picture")
    known = _known(picture, options, mask, mask_missing, mask_color)
    with talk.progress(progress_parts) as shown:
        followers: list[Callable[[Any], None]] = [follow for follow in (shown, watcher and watcher.follow) if follow]

        def progress(told: "Progress") -> None:
            for follow in followers:
                follow(told)

        return restore_picture(picture.samples, options, known=known, file=data, progress=progress, say=talk.say)


def _preview(folder: str | None, reference: str | None, force: bool) -> "Preview | None":
    """Make the preview of a fit; None if no folder is named."""
    from ..pictures.kinds import picture_bytes

    if folder is None:
        if reference is not None:
            raise UsageError("A reference is for the chart of a --preview.")
        return None
    from ..pictures.read import load_picture
    from ..restoration.preview import Preview

    truth = None if reference is None else load_picture(read_input(reference, picture_bytes), name=name_of(reference))
    return Preview(folder, reference=truth, force=force)


def _known(picture: "Picture", options: "RestoreOptions", mask: str | None, missing: str, color: str | None) -> Any:
    """Find the known pixels of a picture to be inpainted, bool (H, W); None for other tasks."""
    from ..pictures.kinds import picture_bytes
    from ..pictures.read import read_picture
    from ..restoration.masks import checked, known_from

    if options.task != "inpaint":
        if mask or color:
            raise UsageError(f"A mask is for inpainting, not for {options.task}.")
        return None
    if mask and color:
        raise UsageError("Give either a mask or a mask colour, not both.")
    if mask:
        return known_from(
            read_picture(read_input(mask, picture_bytes), name=name_of(mask), metadata=()),
            picture.samples.shape,
            missing,
            samples=picture.samples,
            name=name_of(mask),
        )
    if color:
        try:
            wanted = bytes.fromhex(color.removeprefix("#"))
        except ValueError:
            wanted = b""
        if len(wanted) != 3:
            raise UsageError(f"{color!r} is no colour; write RRGGBB, such as ff00ff.")
        samples = picture.samples if picture.samples.ndim == 3 else picture.samples[..., None]
        return checked((samples != list(wanted)).any(2), "The mask colour")
    if picture.alpha is None:
        raise UsageError("What is missing? Give a --mask, a --mask-color, or a picture with transparent pixels.")
    return checked(picture.alpha > 0, "The transparency")


def _enlarged(alpha: Any, scale: int | None) -> Any:
    return alpha if alpha is None or not scale else alpha.repeat(scale, 0).repeat(scale, 1)


def _format_of(output: str | None, input_: str) -> str:
    if output is None:
        if input_ != STANDARD:
            raise UsageError("Name the output with -o: the input is never replaced.")
        return "png"
    if is_standard_output(output):
        return "png"
    extension = os.path.splitext(output)[1].lower()
    if extension not in FORMATS:
        raise UsageError(f"The name {output} does not tell the format; let it end in .png, .ppm, .pgm, .npy or .ddc.")
    return FORMATS[extension]


def progress_parts(progress: "Progress", seconds_left: float, columns: int) -> list[str]:
    """Write the parts of a restoration's line of progress; see `Talk.progress`."""
    loss = [] if progress.loss is None else [f"PSNR to the input {-10 * math.log10(max(progress.loss, 1e-10)):.2f} dB"]
    return [f"step {progress.step}/{progress.total}", *left_parts(seconds_left), *filter(None, [progress.what]), *loss]

"""`ddcodec encode`: make .ddc files of pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from . import offers
from .batch import Batch, Made, carry_out
from .help import Command, Expert
from .options import ByteCount, batching, fitting, keeping, reading, talking, writing
from .restore import restore_options, restore_read
from .talk import Talk, metadata_bytes, section_table, size_text

if TYPE_CHECKING:
    from ..encoder import Encoded, Source
    from ..jobs.files import Job
    from ..options import EncodeOptions
    from ..restoration.options import RestoreOptions

AT_ONCE_ON_A_GPU = 16
"""Pictures that a GPU fits at once, where -j says nothing."""


@click.command(
    cls=Command,
    short_help="Make .ddc files of pictures.",
    epilog="""\b
Examples:
  ddcodec encode photo.jpg
  ddcodec encode photo.png -o small.ddc -q 50 -e 3
  ddcodec encode photo.png --target-size 30k
  ddcodec encode photo.png --time-limit 90s --force
  ddcodec encode night.png --restore denoise -q 60
  ddcodec encode - -o - < photo.png > photo.ddc

\b
Many pictures:
  ddcodec encode photo.png a.png b.png --force
  ddcodec encode photos/ -r -o coded/ -j 4 --skip-existing
  ddcodec encode photos/ -r -o coded/ --shard 1/4 --skip-existing""",
)
@reading("INPUT...", offers.is_picture_name, "inputs", many=True)
@writing(
    "Where to write; - is standard output; of several inputs or a folder: a folder.  [default: INPUT with .ddc, or - "
    "for -]"
)
@click.option(
    "--keep-extension", cls=Expert, is_flag=True, help="Put .ddc behind the whole name of INPUT: photo.png.ddc."
)
@click.option(
    "-q",
    "--quality",
    type=float,
    metavar="1..100",
    help="About as good to the eye as a JPEG of this quality; 100 is not lossless.  [default: 75]",
)
@click.option(
    "--lambda",
    "lambda_",
    cls=Expert,
    type=float,
    metavar="X",
    help="Instead of a quality: the distortion that one bpp is worth; with --tune psnr the MSE of samples in 0..1.",
)
@click.option(
    "--target-size",
    type=ByteCount(1),
    metavar="BYTES",
    help="Instead: the file has at most so many bytes and hardly less: 30000, 30k (30 KiB), 1.5M.",
)
@click.option("--target-bpp", type=float, metavar="X", help="Instead: the same in bits per pixel.")
@click.option(
    "--target-psnr", type=float, metavar="DB", help="Instead: the decoded picture has this PSNR and hardly more."
)
@click.option(
    "--target-ssimulacra2",
    type=float,
    metavar="SCORE",
    help="Instead: the same by SSIMULACRA2; 70 is good, 90 hardly to be told from the original.",
)
@click.option(
    "--tune",
    default="eye",
    show_default=True,
    metavar="eye|psnr",
    shell_complete=offers.names(offers.tunes),
    help="Make the best picture to the eye, or that of the least squared error.",
)
@fitting(
    effort="Higher is slower and smaller.",
    seed="The same seed gives the same file on one machine's CPU, with as many threads.",
)
@click.option(
    "--profile",
    cls=Expert,
    default="default",
    show_default=True,
    metavar="NAME",
    shell_complete=offers.names(offers.profiles),
    help="The kind of network: default, or classic for a plain deep decoder.",
)
@click.option(
    "--base",
    cls=Expert,
    default="auto",
    show_default=True,
    metavar="NAME",
    shell_complete=offers.names(offers.bases),
    help="What the fit starts from: auto, or none to start from nothing.",
)
@keeping
@click.option(
    "--frame",
    cls=Expert,
    type=click.IntRange(min=1),
    metavar="N",
    help="Of an animation or of several pages, from 1 on.  [default: the first, with a warning]",
)
@click.option("--ignore-alpha", cls=Expert, is_flag=True, help="Leave transparency out: all becomes opaque.")
@click.option(
    "--alpha-quality",
    cls=Expert,
    type=int,
    default=100,
    show_default=True,
    metavar="1..100",
    help="100 keeps alpha without loss; less, in fewer steps.",
)
@click.option("--exact", cls=Expert, is_flag=True, help="Keep the colours of what is fully transparent, too.")
@click.option(
    "--max-pixels",
    cls=Expert,
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Refuse larger pictures.  [default: what Pillow takes, 178,956,970]",
)
@click.option(
    "--max-memory",
    cls=Expert,
    type=ByteCount(),
    default=0,
    help="Refuse pictures whose fit needs more memory.  [default: what is free]",
)
@click.option(
    "--restore",
    "task",
    metavar="TASK",
    shell_complete=offers.names(offers.tasks_before_encode),
    help="First denoise, inpaint or dejpeg, as the command restore does by default.",
)
@click.option(
    "--sigma",
    cls=Expert,
    metavar="S|auto",
    default="auto",
    show_default=True,
    help="Of --restore: the noise's standard deviation in levels of 0..255.",
)
@click.option(
    "--mask",
    cls=Expert,
    metavar="FILE",
    type=click.Path(),
    help="Of --restore inpaint: a black and white picture; white is kept.",
)
@batching(cluster=True)
@talking
def encode(
    talk: Talk,
    batch: Batch,
    kinds: tuple[str, ...],
    frame: int | None,
    ignore_alpha: bool,
    max_pixels: int,
    task: str | None,
    sigma: str,
    mask: str | None,
    keep_extension: bool,
    **fit: Any,
) -> None:
    """Encode each INPUT, a picture of 8 or 16 bits a sample, grey or colour, with or without alpha, to a .ddc file.

    PNG, JPEG, WebP, AVIF, TIFF, PPM, BMP and GIF are read; HEIC and JPEG XL where pillow-heif and pillow-jxl-plugin are
    installed.

    A network is fitted to the picture, which takes from seconds to minutes. INPUT - is standard input; a file of that
    name is ./-. Of several pictures, or a folder of them with -r, one that fails does not stop the others, and the exit
    code is 1.
    """
    from ..options import EncodeOptions
    from ..pictures.kinds import is_picture_name

    # The options of a fit have the names of the fields of `EncodeOptions`.
    options = EncodeOptions(**fit)
    options.validate()
    wished = _wished(task, sigma, mask, options)
    if (
        batch.output is not None
        and batch.output not in batch.inputs
        and not batch.is_into_folder()
        and is_picture_name(batch.output)
    ):
        raise UsageError(f"{batch.output} has the name of another kind of picture; let it end in .ddc.")
    if mask is not None and batch.scheduler is not None:
        raise UsageError("The workers of a cluster cannot read the mask; leave out --scheduler.")
    carry_out(talk, Encoding(options, wished, mask, kinds, frame, ignore_alpha, max_pixels, keep_extension), batch)


@dataclass(frozen=True)
class Encoding:
    """The work of `encode` on a picture; its methods are those of `batch.Work`.

    wished: options of a restoration before the encode, or None. mask: path of its mask, or None. kinds: of metadata to
    keep. frame: number of the frame from 1 on, None for the first. ignore_alpha: whether all becomes opaque.
    max_pixels: of a picture, 0 for Pillow's limit. keeps_extension: whether .ddc comes behind the input's extension.
    """

    options: "EncodeOptions"
    wished: "RestoreOptions | None"
    mask: str | None
    kinds: tuple[str, ...]
    frame: int | None
    ignore_alpha: bool
    max_pixels: int
    keeps_extension: bool

    done, extension, sizes = "encoded", ".ddc", True

    def wants(self, path: str) -> bool:
        from ..pictures.kinds import is_picture_name

        return is_picture_name(path)

    def bytes_of(self, beginning: bytes) -> float:
        from ..pictures.kinds import picture_bytes

        return picture_bytes(beginning)

    def at_once(self) -> int:
        from ..fit.engine import device_of

        return 1 if device_of(self.options.device) == "cpu" else AT_ONCE_ON_A_GPU

    def with_threads(self, count: int) -> "Encoding":
        set_: dict[str, Any] = {"threads": self.options.threads or count}
        return replace(self, options=replace(self.options, **set_), wished=self.wished and replace(self.wished, **set_))

    def prepare(self, talk: Talk, name: str, data: bytes) -> "Source":
        """Read the picture of a file, and restore it if that is wished."""
        from ..encoder import Source
        from ..machine import keep_freed_memory
        from ..pictures.read import read_picture

        picture = read_picture(data, name=name, frame=self.frame, max_pixels=self.max_pixels, metadata=self.kinds)
        for note in picture.notes:
            talk.warn(note)
        keep_freed_memory()
        samples, alpha = picture.samples, None if self.ignore_alpha else picture.alpha
        metadata = picture.metadata
        if self.wished:
            restored = restore_read(talk, picture, data, self.wished, self.mask, "black", None)
            samples, metadata = restored.samples, metadata | {"note": restored.note(self.wished.task).encode()}
            alpha = None if self.wished.task == "inpaint" else alpha
        return Source(samples, metadata=metadata, alpha=alpha)

    def kind(self, source: "Source") -> tuple[int, ...]:
        return source.samples.shape

    def finish(self, talk: Talk, sources: "list[Source]") -> list[Made]:
        from ..encoder import encode_pictures

        with talk.progress() as progress:
            return [
                _made(encoded, source, self.options.chosen_tune)
                for encoded, source in zip(
                    encode_pictures(sources, self.options, progress, say=talk.say, warn=talk.warn), sources
                )
            ]

    def line(self, made: Made) -> str:
        """Write "768x512, 12345 bytes (0.251 bpp; 570 of them metadata), PSNR 31.24 dB, 42.1 s (cpu)"."""
        facts = made.facts
        psnr = "inf" if facts["psnr"] is None else f"{facts['psnr']:.2f}"
        size = size_text(facts["width"], facts["height"], facts["bytes"], facts["metadata_bytes"])
        return (
            f"{size}, PSNR {psnr} dB{' to the restored picture' if self.wished else ''}, {facts['seconds']:.1f} s "
            f"({facts['device']})"
        )

    def note(self, job: "Job", made: Made) -> str | None:
        """Write that a lossless file or the input itself is smaller, if one is."""
        lossless = made.facts["lossless"]
        if lossless:
            return (
                f"a lossless {lossless['format']} of the picture has {lossless['bytes']} bytes, fewer than "
                f"{job.output}: it is the better format for such pictures."
            )
        if len(made.data) > job.weight > 0:
            return (
                f"{job.output} is larger than {job.input}, which has {job.weight} bytes; a lower quality makes it "
                "smaller."
            )
        return None

    def details(self, made: Made) -> Iterator[str]:
        from ..format.files import read_info

        yield f"tune {made.facts['tune']}, lambda {made.facts['lambda']:.3g}, {made.facts['steps']} steps"
        yield from section_table(read_info(made.data)["sections"], len(made.data))


def _made(encoded: "Encoded", source: "Source", tune: str) -> Made:
    from ..format.files import read_info
    from ..picture import Picture, bits_of
    from ..pictures.lossless import smaller_lossless

    lossless = smaller_lossless(Picture(source.samples, source.metadata or {}, source.alpha), len(encoded.data))
    height, width = encoded.samples.shape[:2]
    count = len(encoded.data)
    facts = {
        "width": width,
        "height": height,
        "planes": 1 if encoded.samples.ndim == 2 else encoded.samples.shape[2],
        "depth": bits_of(encoded.samples),
        "bytes": count,
        "bpp": 8 * count / (width * height),
        "metadata_bytes": metadata_bytes(read_info(encoded.data)["sections"]),
        "lossless": lossless and lossless._asdict(),
        "psnr": encoded.psnr if encoded.psnr < float("inf") else None,
        "steps": encoded.steps,
        "seconds": encoded.seconds,
        "device": encoded.device.removesuffix(":0"),
        "lambda": encoded.lambda_,
        "tune": tune,
    }
    return Made(encoded.data, facts)


def _wished(task: str | None, sigma: str, mask: str | None, options: "EncodeOptions") -> "RestoreOptions | None":
    """Make the options of the restoration before the encode; None if there is none."""
    if task is None:
        if mask is not None or sigma != "auto":
            raise UsageError("A mask and a sigma are for --restore, which says what to do with them.")
        return None
    if task == "superres":
        raise UsageError(
            "A picture is enlarged by the command restore alone; --restore takes denoise, inpaint or dejpeg."
        )
    wished = restore_options(
        sigma,
        {
            "task": task,
            "effort": options.effort,
            "device": options.device,
            "threads": options.threads,
            "seed": options.seed,
            "time_limit": options.time_limit,
        },
    )
    wished.validate()
    return wished

"""One measurement: code a picture to a file, read and decode the file, compare the result with the original."""

import os
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from time import perf_counter

from ..errors import DdcError, OutputError, SourceError
from ..jobs.output import write_target
from ..metrics import butteraugli, ms_ssim, psnr, psnr_hvs_m, ssimulacra2
from ..metrics.psnr import psnr_luma
from ..pictures.kinds import picture_bytes
from ..pictures.read import load_picture, read_file
from ..printable import printable
from .machine import machine
from .peers import Peer, PeerError, peer_of, warm_up
from .table import Key, Row

SHA_DIGITS = 16
"""Hexadecimal digits of a picture file's SHA-256 that a row keeps."""


@dataclass(frozen=True)
class Source:
    """A picture to be coded.

    name: of the file, without its ending. sha256: the first `SHA_DIGITS` digits of the file's. width, height: pixels.
    """

    path: str
    name: str
    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class Job:
    """A row to be measured.

    setting: in the codec's own scale. file: path at which the coded file is kept. versions: of the codec's libraries as
    they are here and now.
    """

    source: Source
    codec: str
    setting: float
    threads: int
    file: str
    versions: str

    @property
    def key(self) -> Key:
        """The `Key` of the row that this job makes."""
        return Key(self.source.name, self.source.sha256, self.codec, self.setting, self.versions)


@dataclass(frozen=True)
class Failure:
    """A job without a row. sentence: why. fatal: whether no other row could be written either."""

    sentence: str
    fatal: bool = False


def source_of(path: str) -> Source:
    """Make the `Source` of a picture file. Raises as `pictures.read.read_picture` does."""
    data = read_file(path, picture_bytes)
    height, width = load_picture(data, name=path).shape[:2]
    return Source(path, _name(path), _digest(data), width, height)


def _name(path: str) -> str:
    """Write a file's name without its ending as one line of text, whatever bytes it has."""
    return printable(" ".join(os.path.splitext(os.path.basename(path))[0].split()))


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:SHA_DIGITS]


def measure(job: Job) -> Row | Failure:
    """Measure a job's `Row`; whatever goes wrong becomes a `Failure`."""
    try:
        return _measured(job)
    except OutputError as error:
        return Failure(_one_line(error), fatal=True)
    except DdcError as error:
        return Failure(_one_line(error))
    # Whatever a foreign codec raises is a finding about that codec, and no reason to lose the other rows.
    except Exception as error:
        return Failure(f"{type(error).__name__}: {_one_line(error)}")


def _measured(job: Job) -> Row:
    original = read_file(job.source.path)
    if _digest(original) != job.source.sha256:
        raise SourceError("the picture changed while the run went on")
    samples = load_picture(original)
    peer = _warm(job.codec, job.threads)
    start = perf_counter()
    data = peer.encode(samples, job.setting)
    encode_s = perf_counter() - start
    write_target(job.file, data, force=True)
    data = read_file(job.file)
    start = perf_counter()
    decoded = peer.decode(data, samples.shape)
    decode_s = perf_counter() - start
    if decoded.shape != samples.shape or decoded.dtype != samples.dtype:
        raise PeerError(f"its file decodes to {decoded.shape} {decoded.dtype} instead of {samples.shape} uint8")
    return Row(
        date=date.today().isoformat(),
        machine=machine(),
        picture=job.source.name,
        sha256=job.source.sha256,
        width=job.source.width,
        height=job.source.height,
        codec=job.codec,
        setting=job.setting,
        bytes=len(data),
        psnr=psnr(samples, decoded),
        psnr_y=psnr_luma(samples, decoded),
        ms_ssim=ms_ssim(samples, decoded),
        ssimulacra2=ssimulacra2(samples, decoded),
        psnr_hvs_m=psnr_hvs_m(samples, decoded),
        butteraugli=butteraugli(samples, decoded),
        encode_s=encode_s,
        decode_s=decode_s,
        threads=peer.threads,
        versions=job.versions,
    )


@cache
def _warm(codec: str, threads: int) -> Peer:
    """Make a `Peer` that has worked once already: no process times the loading of its libraries."""
    peer = peer_of(codec, threads)
    warm_up(peer)
    return peer


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

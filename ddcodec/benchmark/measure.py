"""One measurement: a picture coded to a file, the file read and decoded, the result compared with the original."""

import os
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from time import perf_counter

from ..errors import DdcError
from ..metrics import ms_ssim, psnr, psnr_luma, ssimulacra2
from ..output import write_target
from ..pictures import load_picture, read_file
from .machine import machine
from .peers import PeerError, peer_of, warm_up
from .table import Row

SHA_DIGITS = 16


@dataclass(frozen=True)
class Source:
    """A picture to be coded: its path, the name without ending, the first digits of its file's SHA-256, its size and planes."""

    path: str
    name: str
    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class Job:
    """A row to be measured; `file` is where the coded file is kept, `versions` those of the codec here and now."""

    source: Source
    codec: str
    setting: float
    threads: int
    file: str
    versions: str

    @property
    def key(self):
        """As `Row.key`."""
        return self.source.name, self.source.sha256, self.codec, self.setting, self.versions


@dataclass(frozen=True)
class Failure:
    """Why there is no row: one sentence."""

    sentence: str


def source_of(path):
    """The `Source` of a picture file. Raises `SourceError` as `pictures.read_picture` does."""
    data = read_file(path)
    height, width = load_picture(data, name=path).shape[:2]
    # A name that is no text on this system shall still be one in the table and the report.
    name = os.fsencode(os.path.splitext(os.path.basename(path))[0]).decode("utf-8", "replace")
    return Source(path, " ".join(name.split()), sha256(data).hexdigest()[:SHA_DIGITS], width, height)


def measure(job):
    """The `Row` of a job, or a `Failure`."""
    try:
        return _measured(job)
    except DdcError as error:
        return Failure(_one_line(error))
    # Whatever a foreign codec raises is a finding about that codec, and no reason to lose the other rows.
    except Exception as error:
        return Failure(f"{type(error).__name__}: {_one_line(error)}")


def _measured(job):
    samples = load_picture(job.source.path)
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
        encode_s=encode_s,
        decode_s=decode_s,
        threads=peer.threads,
        versions=job.versions,
    )


@cache
def _warm(codec, threads):
    peer = peer_of(codec, threads)
    warm_up(peer)
    return peer


def _one_line(error):
    return " ".join(str(error).split()) or type(error).__name__

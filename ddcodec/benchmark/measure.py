"""One measurement: a picture coded to a file, the file read and decoded, the result compared with the original."""

import os
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from time import perf_counter

from ..errors import DdcError, OutputError, SourceError
from ..jobs.output import write_target
from ..metrics import ms_ssim, psnr, psnr_luma, ssimulacra2
from ..pictures.kinds import picture_bytes
from ..pictures.read import load_picture, read_file
from ..printable import printable
from .machine import machine
from .peers import PeerError, peer_of, warm_up
from .table import Key, Row

SHA_DIGITS = 16


@dataclass(frozen=True)
class Source:
    """A picture to be coded: its path, the name without ending, the first digits of its file's SHA-256, its size."""

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
        """The `Key` of the row that will come of it."""
        return Key(self.source.name, self.source.sha256, self.codec, self.setting, self.versions)


@dataclass(frozen=True)
class Failure:
    """Why there is no row: one sentence. fatal: if no other row could be written either."""

    sentence: str
    fatal: bool = False


def source_of(path):
    """The `Source` of a picture file. Raises as `pictures.read_picture` does."""
    data = read_file(path, picture_bytes)
    height, width = load_picture(data, name=path).shape[:2]
    return Source(path, _name(path), _digest(data), width, height)


def _name(path):
    """A file's name without ending, fit for a table and a page: text in one line, whatever bytes the name has."""
    return printable(" ".join(os.path.splitext(os.path.basename(path))[0].split()))


def _digest(data):
    return sha256(data).hexdigest()[:SHA_DIGITS]


def measure(job):
    """The `Row` of a job, or a `Failure`."""
    try:
        return _measured(job)
    except OutputError as error:
        return Failure(_one_line(error), fatal=True)
    except DdcError as error:
        return Failure(_one_line(error))
    # Whatever a foreign codec raises is a finding about that codec, and no reason to lose the other rows.
    except Exception as error:
        return Failure(f"{type(error).__name__}: {_one_line(error)}")


def _measured(job):
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

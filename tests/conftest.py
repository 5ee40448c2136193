"""What several tests share: a small picture with structure, and files fitted to it once."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ddcodec.format.decoders import VARIABLE
from ddcodec.option_types import DECODERS

sys.path[:0] = [str(Path(__file__).parent), *(str(Path(__file__).parents[1] / folder) for folder in ("bench", "docs"))]


def pytest_configure(config):
    """Each of several processes that share the tests keeps to a core of its own, where the system can tell it to: their
    threads would else wait for one another's.

    Commands that tests interrupt must not ignore it, as they would if the suite runs in the background of a script.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput") and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(config.workerinput["workerid"].removeprefix("gw")) % len(cores)]})


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """On pictures as small as these a second thread only waits for the first."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(params=DECODERS)
def each_decoder(request, monkeypatch):
    """Both decoders, one after the other; the name of the one that is at work."""
    monkeypatch.setenv(VARIABLE, request.param)
    return request.param


@pytest.fixture
def by_numpy(monkeypatch):
    """The decoder in NumPy is at work."""
    monkeypatch.setenv(VARIABLE, "numpy")


def wait_until(condition):
    """Half a minute at most."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("It did not come to pass.")


def painted(rows, columns, planes=3):
    """A picture of smooth shades, an edge and some texture: uint8 (rows, columns, planes) or (rows, columns)."""
    y, x = np.mgrid[0:rows, 0:columns] / max(rows, columns)
    shade = [120 + 90 * np.sin(3 * x + k) * np.cos(4 * y - k) for k in range(planes)]
    picture = np.stack(shade, 2) + 60 * ((x - 0.4) ** 2 + (y - 0.3) ** 2 < 0.05)[:, :, None]
    picture += 8 * np.sin(40 * x)[:, :, None]
    picture = picture.clip(0, 255).round().astype(np.uint8)
    return picture if planes > 1 else picture[:, :, 0]


@pytest.fixture(scope="session")
def picture():
    return painted(48, 64)


@pytest.fixture(scope="session")
def encoded(picture):
    from ddcodec.encoder import encode_picture
    from ddcodec.options import EncodeOptions

    return encode_picture(picture, EncodeOptions(iterations=150))

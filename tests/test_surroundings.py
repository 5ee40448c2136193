"""What a caller has set for all of NumPy or torch neither disturbs our work nor is changed by it."""

import contextlib
import io
import random

import numpy as np
import pytest
import torch
from conftest import painted
from PIL import Image

import ddcodec
from ddcodec.errors import UsageError
from ddcodec.surroundings import usual_torch, with_usual_errors

PICTURE = painted(24, 20)
CUT_OUT = np.dstack([PICTURE, np.uint8(255) * (PICTURE[..., :1] > 90)])
KNOWN = np.ones((24, 20), bool)
KNOWN[5:9, 6:12] = False
DATA = ddcodec.encode(CUT_OUT, iterations=2)


def saved():
    import ddcodec.pillow  # noqa: F401

    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "DDC", iterations=2)
    return np.asarray(Image.open(buffer))


CALLS = {
    "encode": lambda: ddcodec.encode(PICTURE, effort=1, threads=1),
    "alpha": lambda: ddcodec.encode(CUT_OUT, iterations=20, alpha_quality=50, threads=1),
    "16 bits": lambda: ddcodec.encode(PICTURE[..., 0] * np.uint16(257), iterations=5, threads=1),
    "few colours": lambda: ddcodec.encode(255 * (PICTURE[..., 0] > 90).astype(np.uint8), iterations=5, threads=1),
    "target": lambda: ddcodec.encode(PICTURE, target_size=900, iterations=20, threads=1),
    "classic": lambda: ddcodec.encode(PICTURE, profile="classic", iterations=3, threads=1),
    "encode_many": lambda: ddcodec.encode_many([PICTURE] * 2, quality=[30, 80], iterations=3, threads=1),
    "decode": lambda: [ddcodec.decode(DATA, scale=scale) for scale in (1, 2, 8)],
    "read_info": lambda: ddcodec.read_info(DATA),
    "Pillow": saved,
    "denoise": lambda: ddcodec.restore(PICTURE, "denoise", sigma=20, effort=1, iterations=3, threads=1),
    "noise": lambda: ddcodec.restore(PICTURE, "denoise", effort=1, iterations=3, threads=1),
    "inpaint": lambda: ddcodec.restore(PICTURE, "inpaint", mask=KNOWN, effort=1, iterations=3, threads=1),
    "dejpeg": lambda: ddcodec.restore(PICTURE, "dejpeg", sigma=9, prior="codec", effort=1, iterations=3, threads=1),
    "superres": lambda: ddcodec.restore(
        PICTURE, "superres", scale=2, prior="deep-decoder", effort=1, iterations=2, threads=2
    ),
    "dip": lambda: ddcodec.restore(PICTURE, "denoise", sigma=20, prior="dip-narrow", effort=1, iterations=2),
}
OF_TORCH = ("classic", "superres", "dip")


@contextlib.contextmanager
def default_type():
    torch.set_default_dtype(torch.float64)
    try:
        yield
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


STATES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": default_type,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("call", CALLS)
def test_floating_point_errors(call):
    with np.errstate(all="raise"):
        CALLS[call]()
        assert set(np.geterr().values()) == {"raise"}


@pytest.mark.parametrize("call", OF_TORCH)
@pytest.mark.parametrize("state", STATES)
def test_states_of_torch(call, state):
    """The result is what it is without the state."""
    result = CALLS[call]()
    with STATES[state]():
        again = CALLS[call]()
    assert again == result if isinstance(result, bytes) else (again == result).all()


@pytest.mark.parametrize("call", ["encode", *OF_TORCH])
def test_nothing_global_is_changed(call):
    def states():
        return (
            torch.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),
            random.getstate(),
            torch.get_num_threads(),
            np.geterr(),
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_default_device(),
            Image.MAX_IMAGE_PIXELS,
        )

    before = states()
    CALLS[call]()
    assert states() == before


def test_states_are_as_they_were_after_an_exception():
    with torch.no_grad(), np.errstate(all="raise"):
        before = torch.get_num_threads(), np.geterr()
        with pytest.raises(KeyError), usual_torch(torch, before[0] + 1):
            assert torch.is_grad_enabled() and torch.get_num_threads() == before[0] + 1
            raise KeyError
        with pytest.raises(UsageError):
            with_usual_errors(ddcodec.encode)(PICTURE, effort=99)
        assert (torch.get_num_threads(), np.geterr()) == before and not torch.is_grad_enabled()

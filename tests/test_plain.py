"""No restoration ends worse than the plain answer."""

import io

import numpy as np
import pytest
from PIL import Image
from test_restore import noisy, photograph

from ddcodec.filling import filled
from ddcodec.metrics import psnr
from ddcodec.restoration import restore
from ddcodec.restoration.enlarging import enlarged, made_small
from ddcodec.restoration.options import RestoreOptions
from ddcodec.restoration.restore import restore_picture

TRUTH = photograph()[:64, :64]
NOISY = noisy(TRUTH, 25)
KNOWN = np.random.default_rng(2).random((64, 64)) < 0.6
SMALL = np.rint(255 * made_small(TRUTH / np.float32(255), 2)).clip(0, 255).astype(np.uint8)


def jpeg():
    buffer = io.BytesIO()
    Image.fromarray(TRUTH).save(buffer, "JPEG", quality=10)
    return buffer.getvalue()


JPEG = jpeg()
BLOCKY = np.asarray(Image.open(io.BytesIO(JPEG)))
CASES = {
    "denoise": (NOISY, {"sigma": 25.0}, {}, NOISY),
    "dejpeg": (BLOCKY, {}, {"file": JPEG}, BLOCKY),
    "inpaint": (TRUTH, {}, {"known": KNOWN}, filled(TRUTH, KNOWN)),
    "superres": (SMALL, {"scale": 2}, {}, np.asarray(Image.fromarray(SMALL).resize((64, 64), Image.LANCZOS))),
}


@pytest.mark.parametrize("limit", [{"iterations": 1}, {"iterations": 2}, {"iterations": 5}, {"time_limit": 0.1}])
@pytest.mark.parametrize("prior", ["codec", "dip-narrow", "deep-decoder"])
@pytest.mark.parametrize("task", CASES)
def test_no_restoration_is_worse_than_the_plain_answer(task, prior, limit):
    samples, wished, given, plain = CASES[task]
    said = []
    restored = restore_picture(
        samples,
        RestoreOptions(task=task, prior=prior, effort=1, threads=1, **wished, **limit),
        **given,
        say=said.append,
    )
    assert psnr(TRUTH, restored.samples) > psnr(TRUTH, plain) - 0.1
    if not restored.changed or restored.prior != prior:
        assert restored.prior == {"inpaint": "pull-push", "superres": "lanczos"}.get(task, prior)
        assert "the fit" in restored.reason and any(restored.reason in sentence for sentence in said)
        assert restored.changed == (task in ("inpaint", "superres"))


@pytest.mark.parametrize("task", CASES)
def test_what_is_better_is_taken(monkeypatch, task):
    """The truth is believed, and a grey picture is not. Of a JPEG's truth the nearest in narrow intervals is taken."""
    samples, wished, given, plain = CASES[task]
    better = TRUTH / np.float32(255)
    for picture, believed in ((better, True), (np.full_like(better, 0.5), False)):
        for name in ("_by_coding", "_by_network"):
            monkeypatch.setattr(restore, name, lambda *_, **__: (picture, 7, "all steps are done", 0.0))
        restored = restore_picture(samples, RestoreOptions(task=task, **wished), **given)
        assert (
            psnr(TRUTH, restored.samples) > (40 if task != "dejpeg" else psnr(TRUTH, plain) + 2)
            if believed
            else abs(psnr(TRUTH, restored.samples) - psnr(TRUTH, plain)) < 0.1
        )


def test_grey_pictures_stay_grey():
    for task, (samples, wished, given, _) in CASES.items():
        if task != "dejpeg":
            restored = restore_picture(
                samples[..., 1], RestoreOptions(task=task, prior="deep-decoder", iterations=1, **wished), **given
            )
            assert restored.samples.shape == TRUTH.shape[:2]


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_enlarged_is_pillows_lanczos(factor):
    large = np.rint(255 * enlarged(SMALL / np.float32(255), factor))
    pillows = np.asarray(Image.fromarray(SMALL).resize((32 * factor, 32 * factor), Image.LANCZOS)).astype(float)
    inside = np.s_[4 * factor : -4 * factor, 4 * factor : -4 * factor]
    assert abs(large - pillows)[inside].max() <= 1

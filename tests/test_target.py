"""Rate control: what a file is asked to be it is, and what cannot be is refused."""

from math import exp, log
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import painted
from PIL import Image

import ddcodec
from ddcodec.cli import cli
from ddcodec.encoder import encode_picture
from ddcodec.errors import TargetError, UsageError
from ddcodec.fit import target as target_module
from ddcodec.fit.loss.terms import Loss
from ddcodec.fit.target import SizeTarget, Steering
from ddcodec.metrics import psnr, ssimulacra2
from ddcodec.options import EncodeOptions


@pytest.fixture(scope="module")
def picture():
    """A part of a photograph, which has something to say at every rate."""
    return np.asarray(Image.open(Path(__file__).parents[1] / "samples" / "coffee.png").convert("RGB"))[150:262, 250:378]


def test_a_file_fills_the_size_it_may_have(picture):
    data = encode_picture(picture, EncodeOptions(target_size=2500, iterations=100)).data
    assert 0.97 * 2500 <= len(data) <= 2500


def test_bits_per_pixel_are_a_size():
    assert EncodeOptions(target_bpp=1.0).most_bytes(112, 128) == 112 * 128 // 8
    assert EncodeOptions(target_bpp=1e-6).most_bytes(10, 10) == 1


def test_a_picture_has_the_psnr_it_should(picture):
    data = ddcodec.encode(picture, target_psnr=33.0, iterations=100)
    assert 33.0 <= psnr(picture, ddcodec.decode(data)) <= 33.1


@pytest.mark.parametrize("tune", ["eye", "psnr"])
def test_a_picture_has_the_ssimulacra2_it_should(picture, tune):
    data = ddcodec.encode(picture, target_ssimulacra2=60, tune=tune, iterations=100)
    assert 60 <= ssimulacra2(picture, ddcodec.decode(data)) <= 60.5


def test_a_cut_out_has_the_ssimulacra2_it_should(picture):
    """Where nothing can be seen nothing counts."""
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    alpha[:, :60] = 0
    # With 55, two seeds of seven end at the greatest lambda.
    encoded = encode_picture(picture, EncodeOptions(target_ssimulacra2=65, iterations=60), alpha=alpha)
    seen = np.where(alpha[..., None] > 0, encoded.samples, picture)
    assert 65 <= ssimulacra2(picture, seen) <= 65.5


def test_no_ssimulacra2_for_the_smallest_and_none_above_100(picture):
    with pytest.raises(TargetError, match="below 8 pixels: it has no SSIMULACRA2"):
        ddcodec.encode(picture[:7], target_ssimulacra2=60, iterations=2)
    with pytest.raises(TargetError, match="No SSIMULACRA2 is above 100"):
        ddcodec.encode(picture, target_ssimulacra2=100)


def test_a_wished_psnr_takes_not_many_more_bytes_than_a_given_lambda():
    """Of a smooth picture, whose first guess says little of what it reaches."""
    smooth = np.asarray(Image.open(Path(__file__).parents[1] / "samples" / "coffee.png").convert("RGB"))[
        100:220, 250:410
    ]
    given = encode_picture(smooth, EncodeOptions(lambda_=4e-3, iterations=70))
    wished = encode_picture(smooth, EncodeOptions(target_psnr=given.psnr - 0.1, iterations=70))
    assert len(wished.data) <= 1.4 * len(given.data)
    assert -0.1 <= wished.psnr - given.psnr <= 0


def test_from_a_start_without_a_base(picture):
    data = encode_picture(picture, EncodeOptions(target_size=1800, iterations=90, base="none")).data
    assert 0.97 * 1800 <= len(data) <= 1800


def test_metadata_counts(picture):
    image = Image.fromarray(picture)
    exif = Image.Exif()
    exif[0x010E] = "A word about it. " * 20
    image.info["exif"] = exif.tobytes()
    assert 0.97 * 1600 <= len(ddcodec.encode(image, target_size=1600, iterations=60)) <= 1600


def test_metadata_may_be_most_of_a_file(picture):
    """What cannot be moved must not make what can be moved seem sluggish."""
    metadata = {"icc": np.random.default_rng(0).bytes(2500)}
    assert (
        0.97 * 3600
        <= len(encode_picture(picture, EncodeOptions(target_size=3600, iterations=60), metadata=metadata).data)
        <= 3600
    )
    with pytest.raises(TargetError, match="2,400 bytes: header, metadata and alpha alone take about 2,5"):
        encode_picture(picture, EncodeOptions(target_size=2400, iterations=10**6), metadata=metadata)


@pytest.mark.parametrize(
    "target, said",
    [
        ({"target_size": 60}, "cannot be made to fit into 60 bytes"),
        ({"target_psnr": 90.0}, "PSNR of 90 dB cannot be reached"),
        ({"target_ssimulacra2": 99.9}, "An SSIMULACRA2 of 99.9 cannot be reached"),
    ],
)
def test_what_cannot_be_is_refused(picture, target, said):
    with pytest.raises(TargetError, match=said):
        ddcodec.encode(picture, iterations=60, **target)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"quality": 50, "target_size": 900}, "either a quality or a target size"),
        ({"target_bpp": 0.5, "target_psnr": 30.0}, "either a target bpp or a target PSNR"),
        ({"target_bpp": 0.0}, "target bpp must be above 0"),
        ({"target_psnr": float("inf")}, "target PSNR must be above 0"),
        ({"target_size": 900, "profile": "classic"}, "cannot be steered"),
        ({"base": "photo"}, "There is no base photo"),
    ],
)
def test_options_that_cannot_be_meant(picture, options, said):
    with pytest.raises(UsageError, match=said):
        ddcodec.encode(picture, iterations=2, **options)


@pytest.mark.parametrize("target", [{"target_size": 30_000}, {"target_psnr": 20.0}])
def test_more_than_enough_is_no_failure(target):
    """A plain picture needs less than it may have, and is better than it must be."""
    plain = np.full((40, 56, 3), 90, np.uint8)
    said = []
    encoded = encode_picture(plain, EncodeOptions(iterations=60, **target), say=said.append)
    assert len(encoded.data) <= 30_000 and encoded.psnr >= 20
    assert len(said) == 1 and said[0].startswith("Note: the ") and said[0].endswith("nothing nearer was found.")


def test_no_size_is_too_small_to_be_refused_with_a_sentence():
    with pytest.raises(TargetError, match="cannot be made to fit into 1 bytes"):
        ddcodec.encode(painted(1, 1), target_bpp=0.01, iterations=5)
    with pytest.raises(UsageError, match="at most"):
        ddcodec.encode(painted(1, 1), target_bpp=1e300, iterations=5)


def test_several_pictures_each_reach_the_target(picture):
    small = picture[:80, :96]
    datas = ddcodec.encode_many([small, small[::-1]], target_size=900, iterations=60)
    assert all(0.97 * 900 <= len(data) <= 900 for data in datas)


def test_a_time_limit_ends_the_search(picture):
    encoded = encode_picture(picture, EncodeOptions(target_size=2500, iterations=10**6, time_limit=0.3))
    assert len(encoded.data) <= 2500 and encoded.steps < 10**5


def test_what_is_told_is_of_the_file(picture):
    encoded = encode_picture(picture, EncodeOptions(target_psnr=30.0, iterations=60))
    assert encoded.steps >= 60 and encoded.psnr == pytest.approx(psnr(picture, ddcodec.decode(encoded.data)))
    assert 30.0 <= encoded.psnr <= 30.1


def test_the_command_writes_nothing_where_the_target_is_out_of_reach(picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "in.png")
    result = CliRunner().invoke(
        cli, ["encode", str(tmp_path / "in.png"), "--target-size", "50", "--iterations", "30"], prog_name="ddcodec"
    )
    assert result.exit_code == 7 and "cannot be made to fit into 50 bytes" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


class AnsweringFit:
    """A fit of a photograph at 0.1 bits a pixel, as such were seen to go: it answers lambda late, and its code
    trembles, by less and less bits, but the more while lambda grows.
    """

    SHARES, TREMBLING = (
        (0.1, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
        (0.35, 0.185, 0.138, 0.089, 0.059, 0.043, 0.031, 0.022, 0.0145, 0.009, 0.0045, 0.002, 0),
    )
    arch, pixels, share = SimpleNamespace(base=1), 768 * 512, 1.0

    def __init__(self, lambda_, steps, bits_of):
        self.lambda_, self._steps, self._bits_of = lambda_, steps, bits_of
        self._log_bits, self.lambdas = log(bits_of(lambda_)), []

    def step(self):
        self.lambdas.append(self.lambda_)
        self._log_bits += (log(self._bits_of(self.lambda_)) - self._log_bits) / 35

    def evaluate(self):
        trembling = np.interp(len(self.lambdas) / self._steps, self.SHARES, self.TREMBLING)
        growth = max(1, self.lambda_ / self.lambdas[-30:][0])
        return Loss(1e-3, exp(self._log_bits) + growth * trembling * self.pixels, 1e-3)


@pytest.mark.parametrize("steps", [210, 1000, 5600])
@pytest.mark.parametrize("start", [0.5, 1, 2])
def test_lambda_does_not_run_away(steps, start, monkeypatch):
    monkeypatch.setattr(target_module, "weight_bits", lambda *fit: 0)
    right, wished = 1e-2, 5000
    fit = AnsweringFit(start * right, steps, lambda lambda_: 8 * 0.985 * wished * (lambda_ / right) ** -0.6)
    steering = Steering(fit, SizeTarget(wished), steps)
    for step in range(steps):
        steering.look(step / steps)
        fit.step()
    assert min(1, start) / 1.3 <= min(fit.lambdas) / right and max(fit.lambdas) / right <= 1.3 * max(1, start)
    assert fit.evaluate().bits / 8 == pytest.approx(0.985 * wished, rel=0.05)

"""What is missing, filled from what is around."""

import numpy as np

from ddcodec.filling import filled


def test_what_is_known_stays_and_the_rest_lies_between():
    """What is seen stays; what is hidden is no farther from it than its neighbours are from each other, and nothing
    where nothing is seen.
    """
    random = np.random.default_rng(5)
    samples = random.integers(100, 140, (40, 50, 3), np.uint8)
    alpha = np.where(random.random((40, 50)) < 0.2, 200, 0).astype(np.uint8)
    samples[alpha == 0] = random.integers(0, 256, ((alpha == 0).sum(), 3))
    result = filled(samples, alpha > 0)
    assert np.array_equal(result[alpha > 0], samples[alpha > 0])
    assert result.min() >= 100 and result.max() < 140
    assert not filled(samples, alpha > 255).any() and np.array_equal(filled(samples, alpha >= 0), samples)
    grey = filled(samples[..., 0].astype(np.uint16) * 250, alpha > 0)
    assert grey.shape == (40, 50) and grey.dtype == np.uint16 and grey.min() >= 25000


def test_ramps_and_plain_pictures_come_back():
    known = np.random.default_rng(0).random((37, 53)) < 0.4
    ramp = np.rint(np.add.outer(np.linspace(20, 120, 37), np.linspace(0, 100, 53)))[..., None].astype(np.uint8)
    full = filled(np.where(known[..., None], ramp, 0).astype(np.uint8), known)
    assert (full[known] == ramp[known]).all() and np.abs(full.astype(int) - ramp).mean() < 4
    plain = np.full((5, 1, 3), 77, np.uint8)
    assert (filled(plain, np.array([[True], [False], [True], [False], [False]])) == 77).all()

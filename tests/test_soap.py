"""SOAP, against that of the package pytorch-optimizer."""

import numpy as np
import torch
from pytorch_optimizer import SOAP

from ddcodec.fit.descent.soap import CLIP_NORM, Soap, by_qr

SHAPES = [(4, 4), (5,), (3, 3)]
DECAY = 0.1


def gradients(seed, steps):
    """Of the tensors, with singular values that lie far apart and some noise, small enough not to be clipped."""
    random = np.random.default_rng(seed)
    means = [random.standard_normal(shape) for shape in SHAPES]
    for k, mean in enumerate(means):
        if mean.ndim == 2:
            left, _, right = np.linalg.svd(mean, full_matrices=False)
            means[k] = left * 3.0 ** -np.arange(len(right)) @ right
    for _ in range(steps):
        yield [3e-3 * (mean + 0.002 * random.standard_normal(mean.shape)) for mean in means]


def test_as_in_another_package():
    """Through several turns of the bases.

    Ours does not sort them, and keeps directions without a gradient as they are: here there are none, and nothing to
    sort. What decays are differences from a base.
    """
    random = np.random.default_rng(5)
    start, base = [5 * random.standard_normal(shape) for shape in SHAPES], 3.0
    weights = [torch.tensor(own - base) for own in start]
    theirs = SOAP(weights, betas=(0.9, 0.95), weight_decay=DECAY)
    plain = [weight.clone() for weight in weights]
    adam = torch.optim.AdamW(plain, betas=(0.9, 0.95), weight_decay=DECAY)
    before = np.concatenate([own.ravel() for own in start])
    ours, moved = Soap(SHAPES, (0.9, 0.95), np.zeros, by_qr(np.linalg), decay=DECAY), before
    for step, own in enumerate(gradients(1, 24)):
        for weight, gradient in zip(weights, own):
            weight.grad = torch.from_numpy(gradient)
        for weight, gradient in zip(plain, own):
            weight.grad = torch.from_numpy(gradient)
        theirs.param_groups[0]["lr"] = rate = 0.01 / (1 + step)
        theirs.step()
        moved = moved - rate * ours.change(np.concatenate([g.ravel() for g in own]), moved - base)
        ours.end()
        adam.param_groups[0]["lr"] = rate
        adam.step()
    theirs, adams = (torch.cat([w.flatten() for w in own]).numpy() + base - before for own in (weights, plain))
    moved = moved - before
    assert np.linalg.norm(moved - theirs) < 0.02 * np.linalg.norm(theirs) < 0.1 * np.linalg.norm(adams - theirs)


def test_many_fits_at_once_are_those_one_by_one():
    def zeros(shape):
        return torch.zeros(shape, dtype=torch.float64)

    both = Soap(SHAPES, (0.8, 0.9), zeros, by_qr(torch.linalg), (2,), DECAY)
    alone = [Soap(SHAPES, (0.8, 0.9), np.zeros, by_qr(np.linalg), decay=DECAY) for _ in range(2)]
    for pair in zip(gradients(2, 13), gradients(3, 13)):
        flat = [np.concatenate([g.ravel() for g in own]) for own in pair]
        differences = [1.0 * np.arange(own.size) - k for k, own in enumerate(flat)]
        together = both.change(*(torch.from_numpy(np.stack(part)) for part in (flat, differences))).numpy()
        apart = np.stack([soap.change(*own) for soap, *own in zip(alone, flat, differences)])
        for soap in (both, *alone):
            soap.end()
        assert np.allclose(together, apart, atol=1e-9)


def test_the_gradients_norm_is_clipped():
    first, second, third = (np.concatenate([g.ravel() for g in own]) for own in gradients(4, 3))
    direction = second / np.linalg.norm(second)
    results = []
    for size in (1.0, CLIP_NORM, CLIP_NORM / 2):
        soap = Soap(SHAPES, (0.9, 0.95), np.zeros, by_qr(np.linalg))
        for gradient in (first, size * direction, third):
            change = soap.change(gradient, 0 * gradient)
            soap.end()
        results.append(change)
    assert np.linalg.norm(results[0] - results[1]) < 1e-3
    assert np.linalg.norm(results[1] - results[2]) > 0.1

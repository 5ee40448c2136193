"""The first guess of a code against the same network in torch."""

import numpy as np
import pytest
import torch
from conftest import painted
from torch.nn.functional import avg_pool2d, conv2d, pad, relu

from ddcodec.fit.descent import analysis


def in_torch(samples, base, octaves):
    layers, heads = analysis._network(base)
    tensors = lambda layer: tuple(torch.from_numpy(part.copy()) for part in layer)
    picture = torch.from_numpy(samples.copy()).permute(2, 0, 1)[None].float() / 255 - 0.5
    picture = picture.expand(1, 3, -1, -1)
    features, code = None, {}
    for level in range(octaves):
        if level:
            picture, features = (avg_pool2d(planes, 2, ceil_mode=True) for planes in (picture, features))
        inputs = picture if features is None else torch.cat([features, picture], 1)
        features = relu(conv2d(pad(inputs, [1] * 4, "replicate"), *tensors(layers[min(level, 3)])))
        code[level] = conv2d(pad(features, [1] * 4, "replicate"), *tensors(heads[level]))[0]
    return code


@pytest.mark.parametrize(
    "height, width, planes, octaves", [(64, 96, 3, 7), (33, 47, 3, 7), (1, 1, 3, 7), (5, 130, 1, 3), (130, 3, 3, 1)]
)
@pytest.mark.parametrize("band", [2**17, 64])
@pytest.mark.parametrize("is_native", [True, False])
def test_the_same_network(height, width, planes, octaves, band, is_native, monkeypatch):
    if not is_native:
        monkeypatch.setattr(analysis, "own_library", lambda: None)
    monkeypatch.setattr(analysis, "BAND_PIXELS", band)
    samples = painted(height, width, planes).reshape(height, width, planes)
    for base in (1, 9):
        code, expected = analysis.first_code(samples, base, octaves), in_torch(samples, base, octaves)
        assert code.keys() == expected.keys()
        for octave, plane in code.items():
            assert plane.shape == expected[octave].shape and plane.dtype == np.float32
            np.testing.assert_allclose(plane, expected[octave].numpy(), atol=2e-5, rtol=1e-4)

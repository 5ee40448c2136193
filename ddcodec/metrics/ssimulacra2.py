"""SSIMULACRA2, version 2.1 (Sneyers, Cloudinary 2022-2023), in NumPy.

The reference is the program `ssimulacra2` of libjxl. It compares in XYB, a space of the eye's responses, at six scales.
Each scale and plane has three maps: of structure that is lost, of edges that are new, and of edges that are gone.
The score is a weighted sum of their means and of their 4-norms.
"""

from collections.abc import Iterator

import numpy as np

from ..picture import blurred, half_size, shallow

SSIMULACRA2_SIDE_MIN = 8
"""Shortest side, in pixels, of a picture for SSIMULACRA2, and of a scale that is halved further."""
SCALES = 6
"""The most scales; each has half the sides of the one before."""
PLANES = 3
"""X, Y and B."""
ABSORBED = ((0.30, 0.622, 0.078), (0.23, 0.692, 0.078), (0.24342268924547819, 0.20476744424496821, 0.55180986650955360))
"""What the eye's three kinds of cones take in of linear red, green and blue (libjxl, opsin_params.h)."""
DARK_RESPONSE = 0.0037930732552754493
"""Added to what cones take in, so that the dark has finite slopes (the same file)."""
STRETCH, LIFT = (14.0, 1.0, 1.0), (0.42, 0.01, 0.55)
"""By plane: factor and summand that give X, Y and B - Y values above 0 of one order."""
BLUR = (0.2646211055, 0.2129285920, 0.1093353728, 0.0360111147, 0.0094143678)
"""Taps of the blur from its centre outwards: a Gaussian of sigma 1.5 in the approximation of the reference.

It is a sum of truncated cosines (Charalampidis 2016, doi 10.1109/TCSI.2016.2563322), here with their 9 taps.
"""
STABILISER = 0.0009
"""The constant of structure in SSIM, C2."""
TERM_WEIGHTS = {
    1: 0.0007376606707406586, 4: 0.0007793481682867309, 7: 0.0004371155730107379, 9: 1.1041726426657346,
    10: 0.00066284834129271, 11: 0.00015231632783718752, 13: 0.0016406437456599754, 15: 1.8422455520539298,
    16: 11.441172603757666, 18: 0.0007989109436015163, 19: 0.000176816438078653, 21: 1.8787594979546387,
    22: 10.94906990605142, 24: 0.0007289346991508072, 25: 0.9677937080626833, 27: 0.00014003424285435884,
    28: 0.9981766977854967, 29: 0.00031949755934435053, 30: 0.0004550992113792063, 33: 0.0013648766163243398,
    39: 7.466890328078848, 41: 17.445833984131262, 42: 0.0006235601634041466, 45: 6.683678146179332,
    46: 0.00037724407979611296, 47: 1.027889937768264, 48: 225.20515300849274, 51: 19.213238186143016,
    52: 0.0011401524586618361, 53: 0.001237755635509985, 54: 176.39317598450694, 57: 24.43300999870476,
    58: 0.28520802612117757, 59: 0.0004485436923833408, 63: 34.77906344483772, 64: 44.835625328877896,
    73: 0.0008680556573291698, 79: 0.0005313191874358747, 81: 0.00016533814161379112, 87: 0.0004179171803251336,
    88: 0.0017290828234722833, 90: 0.0020827005846636437, 93: 8.826982764996862, 94: 23.19243343998926,
    96: 95.1080498811086, 97: 0.9863978034400682, 98: 0.9834382792465353, 99: 0.0012286405048278493,
    100: 171.2667255897307, 101: 0.9807858872435379, 105: 0.0005130064588990679, 107: 0.00010854057858411537,
}  # fmt: skip
"""Weights of the terms by plane, scale, mean or 4-norm, and map; all others are 0."""
TO_SCORE = (0.9562382616834844, (0.0, 2.326765642916932, -0.020884521182843837, 6.248496625763138e-05))
"""The weighted sum times the first number goes into the polynomial with these coefficients, the constant first."""
SCORE_FACTOR, SCORE_POWER = 10.0, 0.6276336467831387
"""The polynomial's value to this power, times this factor, is what the score lacks to 100."""

_TAPS = np.array([*BLUR[:0:-1], *BLUR])
_WEIGHTS = np.zeros(PLANES * SCALES * 2 * 3)
_WEIGHTS[list(TERM_WEIGHTS)] = list(TERM_WEIGHTS.values())


def ssimulacra2(a: np.ndarray, b: np.ndarray) -> float | None:
    """Compute SSIMULACRA2: at most 100, for equal pictures; 90 is hardly to be told apart, 70 good, 50 fair.

    The reference's blur adds up rounding errors, which make its scores up to 0.4 lower for the best pictures; elsewhere
    both agree. Pictures with a side below 113 pixels have fewer scales, so their scores do not compare with others.

    a, b: uint8 or uint16 of one shape, (H, W) or (H, W, 3), the original first; 16 bits are rounded to 8.

    Returns None if a side is shorter than `SSIMULACRA2_SIDE_MIN`.
    """
    if min(a.shape[:2]) < SSIMULACRA2_SIDE_MIN:
        return None
    # By plane, scale, norm and map. The reference has the weights in one row, so that a missing scale moves the others.
    terms = np.stack(list(_terms(_linear(a), _linear(b))), 1).ravel()
    total = TO_SCORE[0] * float(terms @ _WEIGHTS[: len(terms)])
    lack = max(0.0, float(np.polynomial.polynomial.polyval(total, TO_SCORE[1])))
    return 100 - SCORE_FACTOR * lack**SCORE_POWER


def _terms(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Make the terms of each scale, (`PLANES`, 2, 3), from linear samples (3, H, W)."""
    for scale in range(SCALES):
        if min(a.shape[1:]) < SSIMULACRA2_SIDE_MIN:
            return
        if scale:
            a, b = half_size(a), half_size(b)
        yield np.stack([_terms_of_plane(*planes) for planes in zip(_xyb(a), _xyb(b))])


def _terms_of_plane(a, b):
    """Make the means and the 4-norms of the three maps: (2, 3)."""
    mean_a, mean_b = blurred(a, _TAPS), blurred(b, _TAPS)
    luminance = 1 - np.square(mean_a - mean_b)
    covariance = blurred(a * b, _TAPS) - mean_a * mean_b
    variances = (blurred(a * a, _TAPS) - np.square(mean_a)) + (blurred(b * b, _TAPS) - np.square(mean_b))
    structure = np.maximum(1 - luminance * (2 * covariance + STABILISER) / (variances + STABILISER), 0)
    edges = (1 + abs(b - mean_b)) / (1 + abs(a - mean_a)) - 1
    maps = [structure, np.maximum(edges, 0), np.maximum(-edges, 0)]
    return np.array([[each.mean() for each in maps], [np.square(np.square(each)).mean() ** 0.25 for each in maps]])


def _linear(samples):
    """Return light by sRGB's curve: float64 (3, H, W) in 0..1."""
    levels = np.arange(256) / 255
    light = np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)
    planes = shallow(samples)
    planes = np.broadcast_to(planes, (3, *planes.shape)) if planes.ndim == 2 else planes.transpose(2, 0, 1)
    return light[planes]


def _xyb(linear):
    """Return X, Y and B - Y, stretched: three planes (H, W)."""
    cones = np.tensordot(np.array(ABSORBED), linear, 1) + DARK_RESPONSE
    long, middle, short = np.cbrt(cones) - np.cbrt(DARK_RESPONSE)
    y = (long + middle) / 2
    planes = (long - middle) / 2, y, short - y
    return [factor * plane + lift for plane, factor, lift in zip(planes, STRETCH, LIFT)]

"""The search for the weights as integers, towards the least D + lambda R of the file.

Weights whose curvature is known are rounded together. For every other tensor the step is searched.
bench/notebook/freezing.md has the trials behind the constants.
"""

from collections.abc import Callable
from math import inf, log2
from time import monotonic
from typing import NamedTuple

import numpy as np

from ...format.arch import EXPONENT_MAX, WEIGHT_MAX, Arch
from ...format.bases import FRACTION_BITS
from ...format.weights import Weights, best_scale, resolved
from ..descent.progress import Progress, progress_of
from ..descent.protocols import Fit, SearchableFit
from ..descent.start import moving, real_base
from ..loss.terms import Loss, weight_step
from .curvature import curvature_of_bits, curvature_of_distortion, is_known
from .rounding import Rounding

ROUNDS = 2
"""Times that the search goes through the tensors whose steps it searches."""
AROUND = (-2, -1, 0, 1)
"""Exponents with which the search begins, counted from that of `weight_step`.

The best of them is taken for all tensors of a kind at once.
"""
SEARCH_MAX = 11
"""The greatest exponent that the search tries; a step is 2^-exponent."""
PLAIN_EXPONENT = 9
"""The exponent of all weights in `plainly_rounded`."""
DEAD_ZONES = (0.5, 0.6, 0.7, 0.85)
"""Dead zones that the search tries, in steps.

A weight nearer to zero than this becomes 0. One that is beyond n steps by less than this becomes n.
"""
MOST_SAMPLES = 40000
"""The most pixels, and the most integers of a plane, in the sample for the curvature."""
SAMPLES_A_TRIAL = 130
"""Pixels and integers in that sample for each trial that the search may make."""
BY_SAMPLES = 100
"""Damping of the curvature, times the number of samples: a small sample says less."""
BY_PIXELS = 5
"""Damping of the curvature, times the root of the picture's pixels: small pictures' weights are rounded more coarsely.

The greater of the two dampings is taken.
"""
TRUST = 3
"""Factor by which a loss may rise more than the curvature says before the damping grows."""
LEAST_TRIALS = 50
"""Trials from which on weights are rounded together.

That takes as long as some thirty steps of a photograph of 768x512 pixels, which shorter fits use better.
"""
SMALL = 2**16
"""Pixels up to which a picture is small: the weights are a large part of its file, and a measurement takes little time.
"""
THOROUGH = 200
"""Trials in a small picture: one for each step of the fit, up to this number."""
MOST_MENDS = 3
"""The most times that weights rounded together are moved by the slopes measured at them."""
TRIALS_A_MEND = 60
"""Trials for each of these times: a search of fewer trials has none."""
MEND_DAMPINGS = (0.1, 0.4, 1.6)
"""Dampings of such a move; each is tried if the loss does not fall with the one before."""
TOGETHER = 0.65
"""About the share of the weights' bits that is left where weights are rounded together."""
TRIES = 5
"""Of the trials that are left, one in this many is for the steps of tensors that are rounded together."""
HEAD_BITS = 5
"""About the bits of a tensor's exponent and table in the stream."""


def trials_for(steps: int, pixels: int) -> int:
    """Return how many sets of weights a search may measure after a fit of so many steps and pixels.

    The search then takes some twentieth of the time of the fit, in small pictures more.
    """
    return 4 + max(steps // 4, min(steps, THOROUGH) if pixels <= SMALL else 0)


def samples_for(trials: int) -> int:
    """Return the size of the sample for the curvature, in a search of so many trials; 0 if none is needed."""
    return min(MOST_SAMPLES, SAMPLES_A_TRIAL * trials) if trials >= LEAST_TRIALS else 0


def freeze(
    fit: SearchableFit,
    trials: int,
    *,
    seconds: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> dict[str, Weights]:
    """Turn the weights of a fit into integers: name -> `Weights`, differences from the base.

    The search ends after `trials` measurements or `seconds`, with what it has. fit: a `SearchableFit` of an
    engine that is folded.

    The layers behind the planes and the context model are rounded together (`rounding`) from `LEAST_TRIALS` on. For
    each other tensor the exponent moves by ones, and its dead zone grows, while the loss falls. Then single weights
    move towards the base. Cool-Chic 5.0.1 orders its search likewise.

    The loss is D + lambda R. D is the distortion of the rounded code, synthesised with the quantised weights. R holds
    the bits of code and weights. Both are measured with the real-valued network. It differs from the decoder's only by
    the rounding of activations and of table indices.
    """
    search = _Search(fit, trials, None if seconds is None else monotonic() + seconds, progress)
    search.run()
    return {name: search.tensor(name) for name, _ in fit.arch.tensors()}


def plainly_rounded(fit: Fit) -> dict[str, Weights]:
    """Round the weights of a fit to integers, all in the same small steps: name -> `Weights`.

    They are for callers that want the picture at once and no file. fit: a `Fit`.
    """
    base = real_base(fit.arch)
    tensors = {}
    for name, values in fit.weights().items():
        difference = (values - base[name]) * 2.0**PLAIN_EXPONENT
        tensors[name] = Weights(
            0 if fit.arch.base and fit.arch.is_fixed(name) else PLAIN_EXPONENT,
            np.rint(difference).clip(-WEIGHT_MAX, WEIGHT_MAX).astype(np.int64),
        )
    return tensors


def real_weights(arch: Arch, tensors: dict[str, Weights]) -> dict[str, np.ndarray]:
    """Return the weights for which integers stand, with the base: name -> float32 array.

    tensors: name -> `Weights`, differences from the base.
    """
    return {
        name: (values * 2.0**-exponent).astype(np.float32)
        for name, (exponent, values) in resolved(arch, tensors).items()
    }


def weight_bits(fit: Fit, trials: int) -> float:
    """Estimate the bits that the weights of a fit will have in its file, after a search of so many trials.

    fit: a `Fit`.
    """
    step = weight_step(fit.lambda_ / fit.pixels)
    bits, weights = 0.0, fit.weights()
    base = real_base(fit.arch)
    for name, _ in fit.arch.coded_tensors():
        bits += HEAD_BITS + best_scale(np.round((weights[name] - base[name]) / step).astype(np.int64))[1]
    return bits * (TOGETHER if _are_rounded_together(fit.arch, trials) else 1)


def _are_rounded_together(arch, trials):
    return is_known(arch) and samples_for(trials) > 0


class _Step(NamedTuple):
    exponent: int
    dead_zone: float


class _Spent(Exception):
    """Ends a search that has measured as often or taken as long as it may."""


class _Search:
    """The state of a search: the best integers so far of every tensor, `_integers`, and their steps."""

    def __init__(self, fit, trials, end, progress):
        self._fit, self._left, self._trials, self._end, self._progress = fit, trials, trials, end, progress
        self._price = fit.lambda_ / fit.pixels
        self._base = {name: values.astype(float) for name, values in real_base(fit.arch).items()}
        self._differences = {name: values - self._base[name] for name, values in fit.weights().items()}
        self._names = sorted(moving(fit.arch), key=lambda name: (-self._base[name].size, name))
        usual = round(-log2(weight_step(self._price)))
        self._exponents = [min(SEARCH_MAX, max(0, usual + more)) for more in AROUND]
        self._steps = dict.fromkeys(self._names, _Step(self._exponents[-1], DEAD_ZONES[0]))
        # Fixed tensors hold whole numbers.
        self._steps.update(dict.fromkeys(self._base.keys() - self._names, _Step(0, DEAD_ZONES[0])))
        self._integers = {name: self.quantised(name, step) for name, step in self._steps.items()}
        self._numbers = {name: self._number(name, own) for name, own in self._integers.items()}
        self._bits = {name: _bits(self._integers[name]) for name in self._names}
        self._losses = {kind: self._loss(kind, self._numbers) for kind in ("context", "synthesis")}

    def tensor(self, name):
        return self._integers[name]

    def quantised(self, name, step):
        """Return the differences of a tensor as integers of a step."""
        wished = self._differences[name] * 2.0**step.exponent
        values = np.sign(wished) * np.floor(abs(wished) + 1 - step.dead_zone)
        return Weights(step.exponent, self._in_range(name, step.exponent, values))

    def _in_range(self, name, exponent, values):
        """Clip differences of a tensor so that the base plus these stays in the range of weights: int64."""
        base, unit = self._base[name], 2.0**-exponent
        most = WEIGHT_MAX * 2.0 ** -max(exponent, FRACTION_BITS if base.any() else 0)
        return np.clip(values, np.ceil((-most - base) / unit), np.floor((most - base) / unit)).astype(np.int64)

    def _all_in_range(self, integers):
        return [Weights(own.exponent, self._in_range(name, *own)) for name, own in integers.items()]

    def run(self):
        # Rounding together takes long before its first measurement, so progress is told now.
        self._tell()
        try:
            self._check_time()
            together = self._round_together() if _are_rounded_together(self._fit.arch, self._trials) else ()
            alone = [name for name in self._names if name not in together]
            for kind in self._losses:
                names = [name for name in alone if _kind(name) == kind]
                for exponent in reversed(self._exponents[:-1]) if names else ():
                    if not self._try(names, [_Step(exponent, DEAD_ZONES[0])] * len(names)):
                        break
            for _ in range(ROUNDS):
                for name in alone:
                    self._search_step(name)
            for name in self._names:
                self._search_elements(name)
        except _Spent:
            pass
        self._left = 0
        self._tell()

    def _round_together(self):
        """Round all weights whose curvature is known. Return the names of their tensors."""
        arch, tensors, random = self._fit.arch, plainly_rounded(self._fit), np.random.default_rng(0)
        code = {octave: planes.astype(np.int64) for octave, planes in self._fit.rounded_code().items()}
        samples = samples_for(self._trials)
        curvatures = (
            curvature_of_distortion(arch, tensors, code, samples, random, self._fit.known, self._fit.form),
            curvature_of_bits(arch, tensors, code, samples, random, self._price),
        )
        for curvature in curvatures:
            self._round(curvature)
        for _ in range(min(MOST_MENDS, self._trials // TRIALS_A_MEND)):
            # D depends on no weight of the context model, and R on no other: moves by one curvature leave the slopes
            # of the other as they are.
            slopes = self._fit.slopes(self._numbers)
            moved = [self._mend(curvature, slopes) for curvature in curvatures]
            if not any(moved):
                break
        return {name for curvature in curvatures for name in curvature.names}

    def _round(self, curvature):
        """Round the weights of a curvature, with more damping as long as the loss rises much more than it should.

        The loss is not quadratic there.
        """
        kind, weights = _kind(curvature.names[0]), self._fit.weights()
        real = self._loss(kind, self._numbers | {name: weights[name] for name in curvature.names})
        damping = max(BY_SAMPLES / curvature.samples, BY_PIXELS / self._fit.pixels**0.5)
        while True:
            rounded, rise, spent = Rounding(curvature, damping).search(
                self._differences, self._price, self._left // TRIES
            )
            self._left -= spent
            kept = self._keep_if_better(curvature.names, self._all_in_range(rounded))
            if damping > 1 or kept and self._losses[kind] - real < TRUST * rise:
                return
            damping *= 4

    def _mend(self, curvature, slopes):
        """Move integers by the slopes at them. Return whether the loss has fallen."""
        own = {name: self._integers[name] for name in curvature.names}
        for damping in MEND_DAMPINGS:
            mended = Rounding(curvature, damping).mended(own, slopes, self._price)
            if all((mended[name].values == own[name].values).all() for name in own):
                return False
            if self._keep_if_better(curvature.names, self._all_in_range(mended)):
                return True
        return False

    def _search_step(self, name):
        """Move one tensor's exponent down, or else up, while that pays; then widen its dead zone likewise."""
        for direction in (-1, 1):
            before = self._steps[name]
            while self._try([name], [self._steps[name]._replace(exponent=self._steps[name].exponent + direction)]):
                pass
            if self._steps[name] != before:
                break
        for dead_zone in DEAD_ZONES:
            if dead_zone > self._steps[name].dead_zone and not self._try(
                [name], [self._steps[name]._replace(dead_zone=dead_zone)]
            ):
                break

    def _search_elements(self, name):
        """Move single integers by one towards zero, those first that rounding has brought farthest away from it."""
        exponent, values = self._integers[name]
        away = (values - self._differences[name] * 2.0**exponent) * np.sign(values)
        for place in np.argsort(-away, axis=None):
            place = np.unravel_index(place, values.shape)
            if values[place]:
                tried = self._integers[name].values.copy()
                tried[place] -= np.sign(tried[place])
                self._keep_if_better([name], [Weights(exponent, tried)])

    def _try(self, names, steps):
        if not all(0 <= step.exponent <= min(SEARCH_MAX, EXPONENT_MAX) for step in steps):
            return False
        if not self._keep_if_better(names, [self.quantised(name, step) for name, step in zip(names, steps)]):
            return False
        self._steps.update(zip(names, steps))
        return True

    def _keep_if_better(self, names, integers):
        """Take integers of some tensors, all of one kind, if the loss falls. Return whether it has."""
        self._check_time()
        if self._left == 0:
            raise _Spent
        self._left -= 1
        kind, before = _kind(names[0]), {name: self._numbers[name] for name in names}
        bits = {name: _bits(own) for name, own in zip(names, integers)}
        self._numbers.update((name, self._number(name, own)) for name, own in zip(names, integers))
        loss = self._loss(kind, self._numbers)
        better = loss + self._price * sum(bits.values()) < self._losses[kind] + self._price * sum(
            self._bits[name] for name in names
        )
        if better:
            self._integers.update(zip(names, integers))
            self._bits.update(bits)
            self._losses[kind] = loss
        else:
            self._numbers.update(before)
        self._tell()
        return better

    def _check_time(self):
        if self._end is not None and monotonic() > self._end:
            raise _Spent

    def _tell(self):
        if self._progress:
            loss = Loss(self._losses["synthesis"], self._losses["context"] / self._price, self._mse)
            self._progress(progress_of("freeze", self._trials - self._left, self._trials, loss, self._fit, inf))

    def _loss(self, kind, numbers):
        if kind == "context":
            return self._price * self._fit.bits(numbers)
        distortion, self._mse = self._fit.distortion(numbers)
        return distortion

    def _number(self, name, integers):
        return (self._base[name] + integers.values * 2.0**-integers.exponent).astype(np.float32)


def _kind(name):
    return "context" if name.startswith("context") else "synthesis"


def _bits(integers):
    return HEAD_BITS + best_scale(integers.values)[1]

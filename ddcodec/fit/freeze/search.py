"""From real weights to integers, for the least D + lambda R of the file: those whose curvature is known all together,
others by a search of the step of every tensor.
"""

from math import inf, log2
from time import monotonic
from typing import NamedTuple

import numpy as np

from ...format.arch import EXPONENT_MAX, WEIGHT_MAX
from ...format.bases import FRACTION_BITS
from ...format.bounds import exactness_bound
from ...format.weights import Weights, best_scale, resolved
from ..descent.progress import progress_of
from ..descent.start import moving, real_base
from ..loss.terms import Loss, weight_step
from .curvature import curvature_of_bits, curvature_of_distortion, is_known
from .rounding import Rounding

ROUNDS = 2
AROUND = (-2, -1, 0, 1)
"""Where the search begins: the best of these exponents, counted from the one of `weight_step`, for all tensors
of a kind at once.
"""
SEARCH_MAX = 11
PLAIN_EXPONENT = 9
DEAD_ZONES = (0.5, 0.6, 0.7, 0.85)
"""What is nearer to zero than this share of a step becomes zero, what is above one step by less than it becomes one,
and so on.
"""
MOST_SAMPLES, SAMPLES_A_TRIAL = 40000, 130
"""Of pixels and of integers that tell the curvature, the more the longer a search may take."""
BY_SAMPLES, BY_PIXELS, TRUST = 100, 5, 3
"""What the curvature is damped by: the fewer samples have told it and, since small pictures' weights are rounded more
coarsely, the smaller the picture is; and by how much more than it should a loss may rise.
"""
LEAST_TRIALS = 50
"""For rounding together, which takes as long as some thirty steps of a photograph of 768x512: shorter fits gain more by
these.
"""
SMALL, THOROUGH = 2**16, 200
"""Of pictures of so few pixels weights are a large part of the file, and a measurement takes little time: there is one
for each step, up to so many.
"""
MOST_MENDS, TRIALS_A_MEND, MEND_DAMPINGS = 3, 60, (0.1, 0.4, 1.6)
"""So often what is rounded together is moved by the slopes at it, in longer searches; with that damping, the next as
long as the loss does not fall.
"""
TOGETHER = 0.65
"""About what is left of the bits of the weights where they are rounded together."""
TRIES = 5
"""One in so many trials that are left is for the steps of tensors that are rounded together."""
HEAD_BITS = 5
"""About what the exponent and the table of a tensor cost in the stream."""


def trials_for(steps, pixels):
    """How many sets of weights a search may measure after a fit of so many steps of so many pixels: it takes some
    twentieth of the time, but in small pictures.
    """
    return 4 + max(steps // 4, min(steps, THOROUGH) if pixels <= SMALL else 0)


def freeze(fit, trials, *, seconds=None, progress=None):
    """The weights of one of an engine's fits as integers: name -> `Weights`.

    The search ends after `trials` measurements or `seconds`, with what it has.

    Weights are differences from the base. Those of the layers behind the planes and of the context model are rounded
    together (`rounding`) where there are `LEAST_TRIALS`. For each other tensor the exponent moves by ones and its dead
    zone grows while the loss falls. Then single weights move towards the base (Cool-Chic 5.0.1 orders its search
    likewise). The loss is the distortion of the rounded code as synthesised with the quantised weights, plus lambda
    times the bits of code and weights. Both are measured with the real-valued network, which differs from the decoder's
    by the rounding of activations and of table indices alone. The engine must be folded.
    """
    search = _Search(fit, trials, None if seconds is None else monotonic() + seconds, progress)
    search.run()
    tensors = {name: search.tensor(name) for name, _ in fit.arch.tensors()}
    while exactness_bound(fit.arch, resolved(fit.arch, tensors)) >= 2**53:
        finest = max(tensors, key=lambda name: tensors[name].exponent)
        tensors[finest] = search.quantised(finest, _Step(tensors[finest].exponent - 1, 0.5))
    return tensors


def plainly_rounded(fit):
    """The weights of a fit as integers, all in the same small steps: for who wants the picture at once and no file."""
    base = real_base(fit.arch)
    tensors = {}
    for name, values in fit.weights().items():
        difference = (values - base[name]) * 2.0**PLAIN_EXPONENT
        tensors[name] = Weights(
            0 if fit.arch.base and fit.arch.is_fixed(name) else PLAIN_EXPONENT,
            np.rint(difference).clip(-WEIGHT_MAX, WEIGHT_MAX).astype(np.int64),
        )
    return tensors


def real_weights(arch, tensors):
    """name -> float32 array: what integers (name -> `Weights`) stand for."""
    return {
        name: (values * 2.0**-exponent).astype(np.float32)
        for name, (exponent, values) in resolved(arch, tensors).items()
    }


def weight_bits(fit, trials):
    """About the bits of a fit's weights in a file, before their steps have been searched with so many trials."""
    step = weight_step(fit.lambda_ / fit.pixels)
    bits, weights = 0, fit.weights()
    base = real_base(fit.arch)
    for name, _ in fit.arch.coded_tensors():
        bits += HEAD_BITS + best_scale(np.round((weights[name] - base[name]) / step).astype(np.int64))[1]
    return bits * (TOGETHER if _are_rounded_together(fit.arch, trials) else 1)


def _are_rounded_together(arch, trials):
    return is_known(arch) and trials >= LEAST_TRIALS


class _Step(NamedTuple):
    exponent: int
    dead_zone: float


class _Spent(Exception):
    """The search has measured as often or taken as long as it may."""


class _Search:
    """What is found so far: for every tensor its integers, `_integers`, and the step that they came from."""

    def __init__(self, fit, trials, end, progress):
        self._fit, self._left, self._trials, self._end, self._progress = fit, trials, trials, end, progress
        self._price = fit.lambda_ / fit.pixels
        self._base = {name: values.astype(float) for name, values in real_base(fit.arch).items()}
        self._differences = {name: values - self._base[name] for name, values in fit.weights().items()}
        self._names = sorted(moving(fit.arch), key=lambda name: (-self._base[name].size, name))
        usual = round(-log2(weight_step(self._price)))
        self._exponents = [min(SEARCH_MAX, max(0, usual + more)) for more in AROUND]
        self._steps = dict.fromkeys(self._names, _Step(self._exponents[-1], DEAD_ZONES[0]))
        # What is fixed is whole numbers.
        self._steps.update(dict.fromkeys(self._base.keys() - self._names, _Step(0, DEAD_ZONES[0])))
        self._integers = {name: self.quantised(name, step) for name, step in self._steps.items()}
        self._numbers = {name: self._number(name, own) for name, own in self._integers.items()}
        self._bits = {name: _bits(self._integers[name]) for name in self._names}
        self._losses = {kind: self._loss(kind, self._numbers) for kind in ("context", "synthesis")}

    def tensor(self, name):
        return self._integers[name]

    def quantised(self, name, step):
        """The differences of a tensor as integers."""
        wished = self._differences[name] * 2.0**step.exponent
        values = np.sign(wished) * np.floor(abs(wished) + 1 - step.dead_zone)
        return Weights(step.exponent, self._in_range(name, step.exponent, values))

    def _in_range(self, name, exponent, values):
        """Differences of a tensor, which the base and they together stay in the range of weights with: int64."""
        base, unit = self._base[name], 2.0**-exponent
        most = WEIGHT_MAX * 2.0 ** -max(exponent, FRACTION_BITS if base.any() else 0)
        return np.clip(values, np.ceil((-most - base) / unit), np.floor((most - base) / unit)).astype(np.int64)

    def _all_in_range(self, integers):
        return [Weights(own.exponent, self._in_range(name, *own)) for name, own in integers.items()]

    def run(self):
        # What is rounded together takes its time before it is measured.
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
        """The integers of all weights whose curvature is known. Returns the names of the tensors."""
        arch, tensors, random = self._fit.arch, plainly_rounded(self._fit), np.random.default_rng(0)
        code = {octave: planes.astype(np.int64) for octave, planes in self._fit.rounded_code().items()}
        samples = min(MOST_SAMPLES, SAMPLES_A_TRIAL * self._trials)
        curvatures = (
            curvature_of_distortion(arch, tensors, code, samples, random, self._fit.known),
            curvature_of_bits(arch, tensors, code, samples, random, self._price),
        )
        for curvature in curvatures:
            self._round(curvature)
        for _ in range(min(MOST_MENDS, self._trials // TRIALS_A_MEND)):
            # D knows nothing of the context model and R of nothing else: the moves by one curvature leave the other's
            # slopes as they are.
            slopes = self._fit.slopes(self._numbers)
            moved = [self._mend(curvature, slopes) for curvature in curvatures]
            if not any(moved):
                break
        return {name for curvature in curvatures for name in curvature.names}

    def _round(self, curvature):
        """Again with more damping where a loss rises much more than it should: it is no quadratic there."""
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
        """Whether moves by the slopes at the integers have made the loss fall."""
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
        """Put integers, all of one kind of tensors, in the place of what is there if the loss falls."""
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
            loss = Loss(self._losses["synthesis"], self._losses["context"] / self._price)
            self._progress(progress_of("freeze", self._trials - self._left, self._trials, loss, self._fit, inf))

    def _loss(self, kind, numbers):
        if kind == "context":
            return self._price * self._fit.bits(numbers)
        return self._fit.distortion(numbers)

    def _number(self, name, integers):
        return (self._base[name] + integers.values * 2.0**-integers.exponent).astype(np.float32)


def _kind(name):
    return "context" if name.startswith("context") else "synthesis"


def _bits(integers):
    return HEAD_BITS + best_scale(integers.values)[1]

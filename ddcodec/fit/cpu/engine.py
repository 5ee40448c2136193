"""The CPU engine: the whole step in fused kernels (numba), on as many threads as wanted; no torch."""

import os
import re
import sys
import threading
import weakref
from dataclasses import replace
from importlib.util import resolve_name
from math import inf, log
from pathlib import Path
from queue import SimpleQueue
from zlib import crc32

import numpy as np
from numba import types

from ...format.arch import CODE_MAX
from ...picture import deep, peak_of
from ..descent.schedule import Point
from ..descent.soap import BETAS, Soap, by_qr, code_epsilon
from ..descent.start import CODE_UNITS, initial_code, initial_weights, moving, real_base
from ..loss.terms import Loss, share_of, weight_step
from .filters import filtered_back
from .layout import BARRIER, GRADIENT, OCTAVES, SUMS, THREADS, Layout, Q, Y
from .products import NONE
from .rate import merge_gradients, octave_bits
from .residual import loss
from .seen import see, see_back
from .simd import atomic_add, atomic_load, clear, compiled, kept
from .synthesis import backward, finest_back, forward, merge_mixed, outputs
from .update import add_own_rate, gather_gradients, move_code, pack_all, rounded, soft_rounded

SOFTLY, HARD = 1, 2
"""How a pass rounds the code first; 0: it is rounded already."""
_SPINS = 200


class CpuEngine:
    """The engine of one fit on the CPU; see `fit.engine` for what engines have in common. known: bool (H, W), the
    pixels that count, or None for all. threads: at least 1.

    Raises `MemoryError`. Results do not depend on timing, but in the last digits on the number of threads.
    """

    def __init__(self, samples, arch, lambda_, *, betas=BETAS, seed=0, threads=1, known=None):
        self.arch, self.lambda_, self.pixels = arch, lambda_, arch.width * arch.height
        self.known, self.share = known, share_of(known)
        counted = samples.reshape(-1, arch.planes) if known is None else samples[known]
        self.variance = self.share * float(np.mean([_variance(plane) for plane in counted.T]))
        self._layout = layout = Layout(arch, threads, known is not None)
        layout.settle()
        self.retarget(samples)
        if known is not None:
            layout.known()[:] = known
        random = np.random.default_rng(seed)
        self._key = crc32(seed.to_bytes(8, "little"))
        count = layout.weight_count
        self._weights = layout.at(layout.weights, count)
        self._gradient = np.zeros(count)
        self._soap = Soap(
            [shape for _, shape in arch.tensors()], betas.weights, np.zeros, by_qr(np.linalg), decay=betas.decay
        )
        base = real_base(arch)
        self._base = np.concatenate([base[name].ravel() for name, _ in arch.tensors()])
        self._moving = np.array([(layout.names[name].start, layout.names[name].stop) for name in moving(arch)])
        self._is_moving = np.zeros(count)
        for start, stop in self._moving:
            self._is_moving[start:stop] = 1
        self._results = np.zeros((threads, 2))
        self._crew = _Crew(threads, layout.at(int(layout.plan[BARRIER]), 6).view(np.int64))
        self._put(layout.weights, initial_weights(arch, samples, random))
        for octave, planes in initial_code(arch, samples, random).items():
            for plane, values in enumerate(planes):
                layout.plane(Y, octave, plane)[:] = values
        self._betas, self._steps, self._code_steps, self._averaged_from = betas.code, 0, 0, 0
        self._is_rounded = False

    @property
    def fits(self):
        return (self,)

    def warm_up(self):
        """There is nothing to prepare, after `prepare`."""

    def step(self, point):
        """One step of the optimisation."""
        self._steps += 1
        self._code_steps += not point.hard
        rounding = SOFTLY if not point.hard else 0 if self._is_rounded else HARD
        self._is_rounded = point.hard
        self._loss = self._run(self._layout.weights, rounding, True, True, True, point)
        self._weights -= point.weight_rate * self._soap.change(
            self._gradient, self._is_moving * (self._weights - self._base)
        )
        self._soap.end()
        self._pack(self._layout.weights)

    def losses(self):
        """The `Loss` before the last step."""
        return [self._loss]

    def average(self):
        """Take the mean of the pictures of all steps from now on."""
        self._layout.sums()[:] = 0
        self._layout.sum_from_now()
        self._averaged_from = self._steps

    def mean(self):
        """That of the pictures since `average`, float32 (H, W, planes) in 0..1, or None where there has been no
        step.
        """
        count = self._steps - self._averaged_from
        return self._layout.sums().transpose(1, 2, 0) / np.float32(count) if count else None

    def evaluate(self):
        """The `Loss` with the code rounded."""
        return self._measure(self._layout.weights, True, True)

    def distortion(self, weights):
        """That of the rounded code with other weights (name -> array)."""
        self._put(self._layout.trial, weights)
        return self._measure(self._layout.trial, False, True).distortion

    def bits(self, weights):
        """Those of the rounded code with other weights (name -> array)."""
        self._put(self._layout.trial, weights)
        return self._measure(self._layout.trial, True, False).bits

    def slopes(self, weights):
        """name -> float64 array: the derivatives of D + lambda R of the rounded code by other weights (name -> array),
        at these. They are zero for what is fixed.
        """
        self._put(self._layout.trial, weights)
        # In infinite steps weights have no bits of their own.
        self._measure(self._layout.trial, True, True, True, step=inf)
        return self.gradients()

    def maps(self, octave):
        """With the code rounded: bits of each integer of an octave and of all finer ones, [(rows, columns)], and the
        squared error of each pixel, (H, W), summed over its planes.

        For codes of one plane an octave. Coarser octaves are taken to be as they were when all was measured last.
        """
        layout = self._layout
        self._measure(layout.weights, True, True, last=octave, keep=True)
        bits = [layout.plane(GRADIENT, o, 0) / np.float32(log(2)) for o in range(octave, -1, -1)]
        return bits, layout.errors() * np.float32((self.pixels * self.arch.planes / 2) ** 2)

    def put_plane(self, octave, values):
        """Integers (rows, columns) in the place of an octave's only code plane."""
        self._layout.plane(Y, octave, 0)[:] = values / np.float32(CODE_UNITS)
        self._layout.plane(Q, octave, 0)[:] = values

    def weights(self):
        """name -> float32 array, a copy."""
        return {
            name: self._weights[self._layout.names[name]].reshape(shape).copy() for name, shape in self.arch.tensors()
        }

    def rounded_code(self):
        """octave -> int16 (planes, rows, columns), what the file will hold."""
        return {
            o: np.stack([self._rounded(o, plane) for plane in range(self.arch.code_planes(o))])
            for o in self.arch.coded_octaves
        }

    def retarget(self, samples):
        """Go on towards other samples, uint8 or uint16 (H, W, planes)."""
        self._layout.target()[:, :, : self.arch.width] = deep(samples).transpose(2, 0, 1)

    def real_code(self):
        """octave -> float32 (planes, rows, columns), in code units, before it is rounded."""
        return {
            o: CODE_UNITS * np.stack([self._layout.plane(Y, o, plane) for plane in range(self.arch.code_planes(o))])
            for o in self.arch.coded_octaves
        }

    def fold(self):
        """This engine has no channel normalisation."""

    def state(self, code=True):
        """A copy of the weights and of the rounded code, or of the weights alone, for `restore`."""
        return self.weights(), self.rounded_code() if code else {}

    def restore(self, state):
        self.take(*state)

    def take(self, weights, code):
        """Go on from weights (name -> array) and a code (octave -> (planes, rows, columns)), rounded or not, of another
        engine or from a file.
        """
        self._put(self._layout.weights, weights)
        for octave, planes in code.items():
            for plane, values in enumerate(planes):
                self._layout.plane(Y, octave, plane)[:] = values / np.float32(CODE_UNITS)
            self._is_rounded = False

    def _rounded(self, octave, plane):
        values = np.rint(CODE_UNITS * self._layout.plane(Y, octave, plane))
        return values.clip(-CODE_MAX, CODE_MAX).astype(np.int16)

    def _put(self, address, weights):
        """Write weights (name -> array) to one of the two blocks, and pack it."""
        layout = self._layout
        block = layout.at(address, layout.packed_size)
        for name, values in weights.items():
            block[layout.names[name]] = values.ravel()
        self._pack(address)

    def _pack(self, address):
        _pack(address, self._layout.matrices, self._layout.ups, self.arch.taps)

    def _measure(self, weights, rate, picture, learn=False, **options):
        """With the code rounded; see `_arguments`."""
        rounding, self._is_rounded = 0 if self._is_rounded else HARD, True
        return self._run(weights, rounding, rate, picture, learn, _STILL, **options)

    def gradients(self):
        """name -> float64 array: those of the last step, before they were clipped."""
        return {
            name: self._gradient[self._layout.names[name]].reshape(shape).copy() for name, shape in self.arch.tensors()
        }

    def _run(self, *task, **options):
        """One pass; see `_arguments`."""
        self._crew.run(_pass, *self._arguments(*task, **options))
        squares, bits = self._results.sum(0).tolist()
        return Loss(squares / (self.pixels * self.arch.planes), bits)

    def _arguments(self, weights, rounding, rate, picture, learn, point, last=None, keep=False, step=None):
        """last: the coarsest octave whose bits are wanted; what is coarser is neither seen nor synthesised anew. keep:
        what each integer and each pixel costs. step: of the weights, whose bits count in the gradients.
        """
        layout, price = self._layout, self.lambda_ / self.pixels
        last = self.arch.octaves - 1 if last is None else last
        return (
            layout.plan,
            layout.octaves,
            layout.threads,
            weights,
            rounding,
            rate,
            picture,
            last,
            keep,
            learn,
            learn and not point.hard,
            float(point.temperature),
            float(point.noise),
            self._key_of_step(),
            price,
            layout.sums_size,
            self._weights,
            self._gradient,
            layout.places,
            layout.gains,
            layout.taps,
            self._base,
            self._moving,
            step or weight_step(price),
            float(point.code_rate),
            *self._betas,
            code_epsilon(self.arch),
            self._code_steps,
            self._results,
        )

    def _key_of_step(self):
        return (self._key + 0x9E3779B1 * self._steps) & 0xFFFFFFFF


COMPILING = "Compiling the fit for this processor, which takes some 20 seconds"
ONCE = f"{COMPILING}; this happens once."
ALWAYS = f"{COMPILING}, at every start: no folder can be written that would keep it. NUMBA_CACHE_DIR names another one."
NOT_KEPT = (
    "Note: the compiled fit could not be kept, so that it is compiled at every start; NUMBA_CACHE_DIR names another "
    "folder for it."
)


def prepare(arch, say=None):
    """Compile what is not compiled yet, or take it from the disk: it is the same for all architectures. say: called
    with sentences to the user where something is compiled.
    """
    stores, promises = [kernel._cache for kernel in (_pack, _pass)], []

    def on_compile(is_kept):
        if say and not promises:
            say(ONCE if is_kept else ALWAYS)
        promises.append(is_kept)

    for store in stores:
        store.on_compile = on_compile
    CpuEngine(np.zeros((1, 1, arch.planes), np.uint8), replace(arch, width=1, height=1), 1.0).evaluate()
    if say and any(promises) and not all(store.is_kept for store in stores):
        say(NOT_KEPT)


def _variance(samples):
    """Of uint8 or uint16 samples as numbers in [0, 1]; by counting, which is exact however many there are."""
    values = np.arange(peak_of(samples) + 1) / peak_of(samples)
    shares = np.bincount(samples, minlength=len(values)) / samples.size
    return shares @ (values - shares @ values) ** 2


_STILL = Point(True, 1.0, 0.0, 0.0, 0.0)
"""For measurements, which move nothing."""


def memory_of(arch, threads=1):
    """Bytes that a fit takes, beside the program: the engine's arrays, the picture, two rounded copies of the code."""
    return Layout(arch, threads).size + 2 * 2 * arch.positions() + 5 * arch.width * arch.height * arch.planes


if hasattr(os, "sched_yield"):
    _yield = types.ExternalFunction("sched_yield", types.int32())
else:
    _yield = compiled(lambda: 0)


@compiled
def _wait(plan):
    """Until all threads are here; False if one never will be."""
    at, count = plan[BARRIER], plan[THREADS]
    if count == 1:
        return True
    generation = atomic_load(at + 8)
    if atomic_add(at, 1) == count - 1:
        atomic_add(at, -count)
        atomic_add(at + 8, 1)
        return True
    spins = 0
    while atomic_load(at + 8) == generation:
        spins += 1
        if spins > _SPINS:
            # Another process may need this core so that the others get here.
            if atomic_load(at + 16):
                return False
            _yield()
    return True


class _Crew:
    """Threads that wait for work; the caller's is the first of them. `barrier`: the three int64 of `_wait`."""

    def __init__(self, count, barrier):
        self._barrier = barrier
        self._calls = [SimpleQueue() for _ in range(count - 1)]
        for calls in self._calls:
            threading.Thread(target=_work, args=(calls,), daemon=True).start()
        weakref.finalize(self, _dismiss, self._calls)

    def run(self, function, plan, octaves, threads, *arguments):
        """function(plan, octaves, threads, thread, *arguments) on all threads."""
        done, started = SimpleQueue(), 0
        try:
            for index, calls in enumerate(self._calls, 1):
                calls.put((done, function, (plan, octaves, threads, index, *arguments)))
                started += 1
            function(plan, octaves, threads, 0, *arguments)
        except BaseException:
            self._barrier[2] = 1
            raise
        finally:
            for _ in range(started):
                done.get()
            self._barrier[[0, 2]] = 0


def _work(calls):
    while call := calls.get():
        done, function, arguments = call
        try:
            function(*arguments)
        finally:
            done.put(None)


def _dismiss(queues):
    for calls in queues:
        calls.put(None)


def _made(digest):
    """What Python calls, as compiled for the sources of that digest: numba's store looks at one file alone."""

    @kept
    def _pack(block, matrices, ups, taps):
        digest  # noqa: B018
        pack_all(block, matrices, ups, taps)

    @kept
    def _pass(
        plan,
        octaves,
        threads,
        thread,
        weights,
        rounding,
        rate,
        picture,
        last_octave,
        keep,
        learn,
        soft,
        temperature,
        noise,
        key,
        price,
        sums_size,
        values,
        gradient,
        places,
        gains,
        taps,
        base,
        moving_tensors,
        step,
        code_rate,
        first_beta,
        second_beta,
        epsilon,
        code_steps,
        results,
    ):
        """One thread's part of a step or a measurement; all threads run it at once and wait for one another."""
        digest  # noqa: B018
        own, count = threads[thread], plan[OCTAVES]
        results[thread] = 0
        if learn:
            clear(own[SUMS], sums_size)
        if rounding == SOFTLY:
            soft_rounded(plan, octaves, thread, temperature, noise, key)
        elif rounding == HARD:
            rounded(plan, octaves, thread)
        if rounding and not _wait(plan):
            return
        if rate:
            for o in range(last_octave, 0, -1):
                see(plan, octaves, own, o, thread, weights)
                if not _wait(plan):
                    return
            for o in range(last_octave + 1):
                results[thread, 1] += octave_bits(plan, octaves, own, o, thread, weights, price, soft, learn, keep)
        if picture:
            for o in range(last_octave, 0, -1):
                forward(plan, octaves, own, o, thread, weights)
                if not _wait(plan):
                    return
            outputs(plan, octaves, own, thread, weights)
            if not _wait(plan):
                return
            results[thread, 0] = loss(plan, octaves[0], own, thread, weights, learn, keep)
        if not learn or not _wait(plan):
            return
        finest_back(plan, octaves, own, thread, weights)
        if not _wait(plan):
            return
        for o in range(count):
            merge_gradients(plan, octaves, own, o, thread)
        merge_mixed(plan, octaves, own, NONE, thread)
        for o in range(1, count):
            if not _wait(plan):
                return
            backward(plan, octaves, own, o, thread, weights)
            see_back(plan, octaves, own, o, thread, weights, soft)
            if not _wait(plan):
                return
            merge_mixed(plan, octaves, own, o, thread)
        if not _wait(plan):
            return
        for o in range(count):
            filtered_back(plan, octaves, own, o, thread, weights, soft)
        if not _wait(plan):
            return
        if soft:
            move_code(plan, octaves, thread, code_rate, first_beta, second_beta, epsilon, code_steps)
        if thread == 0:
            gather_gradients(plan, threads, gradient, places, gains, taps)
            add_own_rate(values, gradient, base, moving_tensors, price, step)

    return _pass, _pack


def _sources(module):
    """The files of a module and of all modules of this package that it imports from, and these from others."""
    found, left = {}, [module]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = Path(sys.modules[name].__file__)
            near = re.findall(r"^from (\.[.\w]*) import", found[name].read_text("utf-8"), re.M)
            left += [resolve_name(other, sys.modules[name].__package__) for other in near]
    return [found[name] for name in sorted(found)]


def _digest():
    """Of the sources that are compiled, and of those whose constants are."""
    return crc32(b"".join(path.read_bytes() for path in _sources(__name__)))


_pass, _pack = _made(_digest())

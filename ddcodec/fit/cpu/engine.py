"""The CPU engine: the whole step in fused kernels (numba), on as many threads as wanted; no torch."""

import os
import re
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from importlib.util import resolve_name
from math import inf, log
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from zlib import crc32

import numpy as np
from numba import types

from ...format.arch import CODE_MAX, Arch
from ...picture import deep
from ..descent.schedule import Point
from ..descent.soap import BETAS, Betas, Soap, by_qr, code_epsilon
from ..descent.start import CODE_UNITS, initial_code, initial_weights, moving, real_base
from ..loss.form import LEVELS, SQUARED_ERROR, Form
from ..loss.terms import Loss, share_of, weight_step
from .distortion import ALL, DIFFERENCES, distortion
from .filters import filtered_back
from .layout import BARRIER, GRADIENT, OCTAVES, SUMS, THREADS, Layout, Q, Y
from .products import NONE
from .rate import merge_gradients, octave_bits
from .seen import see, see_back
from .simd import atomic_add, atomic_load, clear, compiled, kept
from .synthesis import backward, finest_back, forward, merge_mixed, outputs
from .update import add_own_rate, gather_gradients, move_code, pack_all, rounded, soft_rounded

SOFTLY = 1
"""A pass first rounds the code softly, with noise."""
HARD = 2
"""A pass first rounds the code to integers. With 0 it is rounded already."""
_SPINS = 200
"""Looks at the barrier before a waiting thread offers its core to others."""


class CpuEngine:
    """The engine of one fit on the CPU; `fit.engine` says what engines have in common.

    samples: uint8 or uint16 (H, W, planes). lambda_: the distortion that one bit per pixel is worth. threads: at least
    1. known: bool (H, W), the pixels that count, or None for all. form: what errors cost.

    Results do not depend on timing. Their last digits depend on the number of threads. Raises `MemoryError`.
    """

    def __init__(
        self,
        samples: np.ndarray,
        arch: Arch,
        lambda_: float,
        *,
        betas: Betas = BETAS,
        seed: int = 0,
        threads: int = 1,
        known: np.ndarray | None = None,
        form: Form = SQUARED_ERROR,
    ) -> None:
        self.arch, self.lambda_, self.pixels = arch, lambda_, arch.width * arch.height
        self.known, self.share = known, share_of(known)
        self.form, self.single_colour = form, form.single_colour(samples, known)
        self._layout = layout = Layout(arch, threads, known is not None, form.is_eyes)
        layout.settle()
        self.retarget(samples, form)
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
        first = initial_weights(arch, samples, random, lambda_)
        base = real_base(arch)
        # Weights decay towards those from which a fit with a base starts.
        self._base, self._rest = (
            np.concatenate([own[name].ravel() for name, _ in arch.tensors()])
            for own in (base, first if arch.base else base)
        )
        self._moving = np.array([(layout.names[name].start, layout.names[name].stop) for name in moving(arch)])
        self._is_moving = np.zeros(count)
        for start, stop in self._moving:
            self._is_moving[start:stop] = 1
        self._results = np.zeros((threads, 3))
        self._crew = _Crew(threads, layout.at(int(layout.plan[BARRIER]), 6).view(np.int64))
        self._put(layout.weights, first)
        for octave, planes in initial_code(arch, samples, random, lambda_).items():
            for plane, values in enumerate(planes):
                layout.plane(Y, octave, plane)[:] = values
        self._betas, self._steps, self._code_steps, self._averaged_from = betas.code, 0, 0, 0
        self._is_rounded = False

    @property
    def fits(self) -> tuple["CpuEngine"]:
        """The one fit: this engine itself."""
        return (self,)

    def warm_up(self) -> None:
        """Do nothing: `prepare` has compiled the kernels."""

    def step(self, point: Point) -> None:
        """Take one step of the optimisation."""
        self._steps += 1
        self._code_steps += not point.hard
        rounding = SOFTLY if not point.hard else 0 if self._is_rounded else HARD
        self._is_rounded = point.hard
        self._loss = self._run(self._layout.weights, rounding, True, True, True, point)
        self._weights -= point.weight_rate * self._soap.change(
            self._gradient, self._is_moving * (self._weights - self._rest)
        )
        self._soap.end()
        self._pack(self._layout.weights)

    def losses(self) -> list[Loss]:
        """Return the `Loss` before the last step."""
        return [self._loss]

    def average(self) -> None:
        """Take the mean of the pictures of all steps from now on."""
        self._layout.sums()[:] = 0
        self._layout.sum_from_now()
        self._averaged_from = self._steps

    def mean(self) -> np.ndarray | None:
        """Return the mean picture of the steps since `average`, float32 (H, W, planes) in 0..1.

        Returns None where there has been no step.
        """
        count = self._steps - self._averaged_from
        return self._layout.sums().transpose(1, 2, 0) / np.float32(count) if count else None

    def evaluate(self) -> Loss:
        """Measure the `Loss` with the code rounded."""
        return self._measure(self._layout.weights, True, True)

    def picture(self) -> np.ndarray:
        """Return the picture of the rounded code, float32 (H, W, planes) in 0..1. It ends a mean or a sweep."""
        layout = self._layout
        layout.sums()[:] = 0
        layout.sum_from_now()
        self._measure(layout.weights, False, True, True)
        layout.sum_no_more()
        return layout.sums().transpose(1, 2, 0).copy()

    def distortion(self, weights: dict[str, np.ndarray]) -> tuple[float, float]:
        """Measure distortion and MSE of the rounded code with other weights (name -> array)."""
        self._put(self._layout.trial, weights)
        loss = self._measure(self._layout.trial, False, True)
        return loss.distortion, loss.mse

    def bits(self, weights: dict[str, np.ndarray]) -> float:
        """Measure the bits of the rounded code with other weights (name -> array)."""
        self._put(self._layout.trial, weights)
        return self._measure(self._layout.trial, True, False).bits

    def slopes(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the derivatives of D + lambda R of the rounded code by weights, at other weights (name -> array).

        Returns name -> float64 array, with zeros for fixed tensors.
        """
        self._put(self._layout.trial, weights)
        # In steps of infinite size weights have no bits of their own.
        self._measure(self._layout.trial, True, True, True, step=inf)
        return self.gradients()

    def maps(self, octave: int, anew: bool = False) -> tuple[list[np.ndarray], np.ndarray]:
        """Measure the bits of integers and the parts of pixels in D, with the code rounded.

        Returns a list of bits of each integer, (rows, columns), for the octave and all finer ones, and the parts of
        pixels, (H, W); see `SearchableFit`. For codes of one plane an octave. Coarser octaves are taken as they were
        when all was measured last.
        """
        layout = self._layout
        self._measure(layout.weights, True, True, last=octave, keep=ALL if anew else DIFFERENCES)
        bits = [layout.plane(GRADIENT, o, 0) / np.float32(log(2)) for o in range(octave, -1, -1)]
        return bits, layout.errors().copy()

    def put_plane(self, octave: int, values: np.ndarray) -> None:
        """Put integers (rows, columns) in the place of an octave's only code plane."""
        self._layout.plane(Y, octave, 0)[:] = values / np.float32(CODE_UNITS)
        self._layout.plane(Q, octave, 0)[:] = values

    def weights(self) -> dict[str, np.ndarray]:
        """Copy the weights: name -> float32 array."""
        return {
            name: self._weights[self._layout.names[name]].reshape(shape).copy() for name, shape in self.arch.tensors()
        }

    def rounded_code(self) -> dict[int, np.ndarray]:
        """Return the code as the file will hold it: octave -> int16 (planes, rows, columns)."""
        return {
            o: np.stack([self._rounded(o, plane) for plane in range(self.arch.code_planes(o))])
            for o in self.arch.coded_octaves
        }

    def retarget(self, samples: np.ndarray, form: Form | None = None) -> None:
        """Go on towards other samples, uint8 or uint16 (H, W, planes), and another form of the same kind."""
        if form:
            self.form = form
            self._layout.put_form(form)
        self._layout.target()[:, :, : self.arch.width] = deep(samples).transpose(2, 0, 1)

    def real_code(self) -> dict[int, np.ndarray]:
        """Return the code before it is rounded, in code units: octave -> float32 (planes, rows, columns)."""
        return {
            o: CODE_UNITS * np.stack([self._layout.plane(Y, o, plane) for plane in range(self.arch.code_planes(o))])
            for o in self.arch.coded_octaves
        }

    def fold(self) -> None:
        """Do nothing: this engine has no channel normalisation."""

    def state(self, code: bool = True) -> tuple[dict[str, np.ndarray], dict[int, np.ndarray]]:
        """Copy the weights and the rounded code, or the weights alone, for `restore`."""
        return self.weights(), self.rounded_code() if code else {}

    def restore(self, state: tuple[dict[str, np.ndarray], dict[int, np.ndarray]]) -> None:
        """Go back to a state."""
        self.take(*state)

    def take(self, weights: dict[str, np.ndarray], code: dict[int, np.ndarray]) -> None:
        """Go on from weights (name -> array) and a code (octave -> (planes, rows, columns)), rounded or not.

        Both come from another engine or from a file.
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
        """Run a pass that moves nothing, with the code rounded; see `_arguments`."""
        rounding, self._is_rounded = 0 if self._is_rounded else HARD, True
        return self._run(weights, rounding, rate, picture, learn, _STILL, **options)

    def gradients(self) -> dict[str, np.ndarray]:
        """Copy the gradients of the last step, before they were clipped: name -> float64 array."""
        return {
            name: self._gradient[self._layout.names[name]].reshape(shape).copy() for name, shape in self.arch.tensors()
        }

    def _run(self, *task, **options):
        """Run one pass on all threads and return the `Loss`; see `_arguments`."""
        self._crew.run(_pass, *self._arguments(*task, **options))
        distortion, bits, squares = self._results.sum(0).tolist()
        return Loss(distortion, bits, squares / (self.pixels * self.arch.planes))

    def _arguments(self, weights, rounding, rate, picture, learn, point, last=None, keep=0, step=None):
        """List the arguments of a pass.

        - last: the coarsest octave whose bits are wanted; coarser ones are neither seen nor synthesised anew
        - keep: keep what each integer costs, and each pixel's part in D: `DIFFERENCES` or `ALL`
        - step: the step of the weights' integers, for their own bits in the gradients; None for that of the price
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
            self.form.squares,
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
"""The beginning of what a user reads while kernels are compiled."""
ONCE = f"{COMPILING}; this happens once."
"""Said where the kernels will be kept."""
ALWAYS = f"{COMPILING}, at every start: no folder can be written that would keep it. NUMBA_CACHE_DIR names another one."
"""Said where the kernels cannot be kept."""
NOT_KEPT = (
    "Note: the compiled fit could not be kept, so that it is compiled at every start; NUMBA_CACHE_DIR names another "
    "folder for it."
)
"""Said afterwards where the kernels were to be kept but were not."""


def prepare(arch: Arch, say: Callable[[str], None] | None = None) -> None:
    """Compile the kernels that are not compiled yet, or load them from the disk.

    The kernels are the same for all architectures. say: called with sentences to the user where something is compiled.
    Raises `ShortMemoryError`.
    """
    stores = [kernel._cache for kernel in (_pack, _pass)]
    promises: list[bool] = []

    def on_compile(is_kept):
        if say and not promises:
            say(ONCE if is_kept else ALWAYS)
        promises.append(is_kept)

    for store in stores:
        store.on_compile = on_compile
    CpuEngine(np.zeros((1, 1, arch.planes), np.uint8), replace(arch, width=1, height=1), 1.0).evaluate()
    if say and any(promises) and not all(store.is_kept for store in stores):
        say(NOT_KEPT)


_STILL = Point(True, 1.0, 0.0, 0.0, 0.0)
"""The point of measurements, which move nothing."""


def memory_of(arch: Arch, threads: int = 1) -> int:
    """Estimate the bytes that a fit takes, beside the program.

    They are the engine's arrays, the form of the eye, the picture, and two rounded copies of the code.
    """
    weights_a_pixel = 1 + arch.planes * sum(4.0**-level for level in range(LEVELS))
    return (
        Layout(arch, threads, levels=True).size
        + 2 * 2 * arch.positions()
        + int((4 * weights_a_pixel + 5 * arch.planes) * arch.width * arch.height)
    )


if hasattr(os, "sched_yield"):
    _yield = types.ExternalFunction("sched_yield", types.int32())
else:
    _yield = compiled(lambda: 0)


@compiled
def _wait(plan):
    """Wait until all threads are here; return False if one never will be."""
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
            # Perhaps the threads that are awaited have no core but this one.
            if atomic_load(at + 16):
                return False
            _yield()
    return True


class _Crew:
    """Threads that wait for work; the caller's is the first of them.

    barrier: the three int64 of `_wait`: threads that are here, rounds of waiting so far, and 1 if a thread never comes.
    """

    def __init__(self, count: int, barrier: np.ndarray) -> None:
        self._barrier = barrier
        self._calls: list[SimpleQueue] = [SimpleQueue() for _ in range(count - 1)]
        for calls in self._calls:
            threading.Thread(target=_work, args=(calls,), daemon=True).start()
        weakref.finalize(self, _dismiss, self._calls)

    def run(
        self, function: Callable, plan: np.ndarray, octaves: np.ndarray, threads: np.ndarray, *arguments: Any
    ) -> None:
        """Call function(plan, octaves, threads, thread, *arguments) on all threads."""
        done: SimpleQueue = SimpleQueue()
        started = 0
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
    """Make the functions that Python calls, `_pass` and `_pack`, for sources of that digest.

    The digest stands in both functions, since numba's store looks at the changes of one file alone.
    """

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
        squares,
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
        """Do one thread's part of a step or a measurement; all threads do so at once and wait for one another."""
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
                results[thread, 1] += octave_bits(plan, octaves, own, o, thread, weights, price, soft, learn, keep > 0)
        if picture:
            for o in range(last_octave, 0, -1):
                forward(plan, octaves, own, o, thread, weights)
                if not _wait(plan):
                    return
            outputs(plan, octaves, own, thread, weights)
            if not _wait(plan):
                return
            distortion(plan, octaves[0], own, thread, weights, learn, keep, squares, results[thread])
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


def _sources(module: str) -> list[Path]:
    """Find the files of a module and of all modules of this package that it imports from, and so on."""
    found: dict[str, Path] = {}
    left = [module]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = Path(str(sys.modules[name].__file__))
            near = re.findall(r"^from (\.[.\w]*) import", found[name].read_text("utf-8"), re.M)
            left += [resolve_name(other, sys.modules[name].__package__) for other in near]
    return [found[name] for name in sorted(found)]


def _digest() -> int:
    """Compute a digest of the sources that are compiled, and of those whose constants are."""
    return crc32(b"".join(path.read_bytes() for path in _sources(__name__)))


_pass, _pack = _made(_digest())

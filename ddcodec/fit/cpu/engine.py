"""The CPU engine: the whole step in C, on as many threads as wanted; no torch."""

from math import inf, log
from zlib import crc32

import numpy as np

from ...format.arch import CODE_MAX, Arch
from ...native.fit_library import ALL, AS_IT_IS, DIFFERENCES, HARD, SOFT, Array, Fit, Pass
from ...native.fit_library import memory_of as memory_of_fit
from ...native.library import BEST, own_library
from ...picture import deep
from ..descent.schedule import Point
from ..descent.soap import BETAS, Betas, Soap, by_qr, code_epsilon
from ..descent.start import CODE_UNITS, initial_code, initial_weights, moving, real_base
from ..loss.form import LEVELS, SQUARED_ERROR, Form
from ..loss.terms import NAT, Loss, share_of, weight_step


class CpuEngine:
    """The engine of one fit on the CPU; `fit.engine` says what engines have in common.

    samples: uint8 or uint16 (H, W, planes). lambda_: the distortion that one bit per pixel is worth. threads: at least
    1. known: bool (H, W), the pixels that count, or None for all. form: what errors cost. vectors: a limit
    for the kind that is used.

    Results do not depend on timing. Their last digits depend on the number of threads and on the vectors. Raises
    `MemoryError`, and `OSError` if the library in C is not there.
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
        vectors: int = BEST,
    ) -> None:
        self.arch, self.lambda_, self.pixels = arch, lambda_, arch.width * arch.height
        self.known, self.share = known, share_of(known)
        self.form, self.single_colour = form, form.single_colour(samples, known)
        self._fit = Fit(
            _library(),
            arch.as_dict(),
            vectors=vectors,
            threads=threads,
            is_masked=known is not None,
            has_levels=form.is_eyes,
            is_passed=arch.passes,
        )
        self.retarget(samples, form)
        if known is not None:
            self.array(Array.KNOWN)[:] = known
        self.places: dict[str, slice] = {}
        """Name of a tensor -> its place in the vectors of weights."""
        count = 0
        for name, shape in arch.tensors():
            self.places[name] = slice(count, count + int(np.prod(shape)))
            count = self.places[name].stop
        random = np.random.default_rng(seed)
        self._key = crc32(seed.to_bytes(8, "little"))
        self._weights = self.array(Array.WEIGHTS)
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
        places = [self.places[name] for name in moving(arch)]
        self._is_moving = np.zeros(count)
        for place in places:
            self._is_moving[place] = 1
        self._moving = np.concatenate([np.arange(place.start, place.stop) for place in places])
        self._moving_counts = np.array([place.stop - place.start for place in places])
        self._moving_starts = np.cumsum([0, *self._moving_counts[:-1]])
        self._put(Array.WEIGHTS, first)
        for octave, planes in initial_code(arch, samples, random, lambda_).items():
            for plane, values in enumerate(planes):
                self.array(Array.Y, octave, plane)[:] = values
        self._betas, self._steps, self._code_steps, self._averaged_from = betas.code, 0, 0, 0
        self._is_rounded, self._is_summing = False, False

    @property
    def fits(self) -> tuple["CpuEngine"]:
        """The one fit: this engine itself."""
        return (self,)

    @property
    def lanes(self) -> int:
        """Numbers of the vectors that are used."""
        return self._fit.lanes

    def array(self, array: Array, octave: int = 0, plane: int = 0) -> np.ndarray:
        """View an array of the fit; see `native.fit_library.Array`."""
        return self._fit.see(array, octave, plane)

    def warm_up(self) -> None:
        """Do nothing: there is nothing to compile."""

    def step(self, point: Point) -> None:
        """Take one step of the optimisation."""
        self._loss = self._passed(point, weight_step(self.lambda_ / self.pixels))
        self._weights -= point.weight_rate * self._soap.change(
            self._gradient, self._is_moving * (self._weights - self._rest)
        )
        self._soap.end()

    def _passed(self, point, step):
        """Round the code, compute all gradients, and move the code. step: see `_gather`."""
        self._steps += 1
        self._code_steps += not point.hard
        rounding = SOFT if not point.hard else AS_IT_IS if self._is_rounded else HARD
        self._is_rounded = point.hard
        first, second = self._betas
        task = self._task(rounding=rounding, learns=True, moves_code=not point.hard, key=self._key_of_step())
        task.temperature, task.noise = point.temperature, point.noise
        task.beta_1, task.beta_2, task.epsilon = first, second, code_epsilon(self.arch)
        if not point.hard:
            task.pace = point.code_rate / (1 - first**self._code_steps)
            task.correction = (1 - second**self._code_steps) ** -0.5
        loss = self._run(task)
        self._gather(step)
        return loss

    def losses(self) -> list[Loss]:
        """Return the `Loss` before the last step."""
        return [self._loss]

    def average(self) -> None:
        """Take the mean of the pictures of all steps from now on."""
        self._clear_sums()
        self._is_summing = True
        self._averaged_from = self._steps

    def mean(self) -> np.ndarray | None:
        """Return the mean picture of the steps since `average`, float32 (H, W, planes) in 0..1.

        Returns None where there has been no step.
        """
        count = self._steps - self._averaged_from
        return self._sums() / np.float32(count) if count else None

    def evaluate(self) -> Loss:
        """Measure the `Loss` with the code rounded."""
        return self._measure()

    def picture(self) -> np.ndarray:
        """Return the picture of the rounded code, float32 (H, W, planes) in 0..1. It ends a mean or a sweep."""
        self._clear_sums()
        self._is_summing = False
        self._measure(has_rate=False, sums_samples=True)
        return self._sums()

    def distortion(self, weights: dict[str, np.ndarray]) -> tuple[float, float]:
        """Measure distortion and MSE of the rounded code with other weights (name -> array)."""
        self._put(Array.TRIAL, weights)
        loss = self._measure(is_trial=True, has_rate=False)
        return loss.distortion, loss.mse

    def bits(self, weights: dict[str, np.ndarray]) -> float:
        """Measure the bits of the rounded code with other weights (name -> array)."""
        self._put(Array.TRIAL, weights)
        return self._measure(is_trial=True, has_picture=False).bits

    def slopes(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the derivatives of D + lambda R of the rounded code by weights, at other weights (name -> array).

        Returns name -> float64 array, with zeros for fixed tensors.
        """
        self._put(Array.TRIAL, weights)
        self._measure(is_trial=True, learns=True)
        # In steps of infinite size weights have no bits of their own.
        self._gather(inf)
        return self.gradients()

    def maps(self, octave: int, anew: bool = False) -> tuple[list[np.ndarray], np.ndarray]:
        """Measure the bits of integers and the parts of pixels in D, with the code rounded.

        Returns a list of bits of each integer, (rows, columns), for the octave and all finer ones, and the parts of
        pixels, (H, W); see `SearchableFit`. For codes of one plane an octave. Coarser octaves are taken as they were
        when all was measured last.
        """
        self._measure(last=octave, keep=ALL if anew else DIFFERENCES)
        bits = [self.array(Array.GRADIENT, o) / np.float32(log(2)) for o in range(octave, -1, -1)]
        return bits, self.array(Array.PARTS).copy()

    def put_plane(self, octave: int, values: np.ndarray) -> None:
        """Put integers (rows, columns) in the place of an octave's only code plane."""
        self.array(Array.Y, octave)[:] = values / np.float32(CODE_UNITS)
        self.array(Array.Q, octave)[:] = values

    def weights(self) -> dict[str, np.ndarray]:
        """Copy the weights: name -> float32 array."""
        return self._named(self._weights)

    def rounded_code(self) -> dict[int, np.ndarray]:
        """Return the code as the file will hold it: octave -> int16 (planes, rows, columns)."""
        return {
            octave: np.rint(planes).clip(-CODE_MAX, CODE_MAX).astype(np.int16)
            for octave, planes in self.real_code().items()
        }

    def retarget(self, samples: np.ndarray, form: Form | None = None) -> None:
        """Go on towards other samples, uint8 or uint16 (H, W, planes), and another form of the same kind."""
        if form:
            self.form = form
            self._put_form(form)
        for plane, values in enumerate(deep(samples).transpose(2, 0, 1)):
            self.array(Array.TARGET, 0, plane)[:] = values

    def real_code(self) -> dict[int, np.ndarray]:
        """Return the code before it is rounded, in code units: octave -> float32 (planes, rows, columns)."""
        return {
            o: CODE_UNITS * np.stack([self.array(Array.Y, o, plane) for plane in range(self.arch.code_planes(o))])
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
        self._put(Array.WEIGHTS, weights)
        for octave, planes in code.items():
            for plane, values in enumerate(planes):
                self.array(Array.Y, octave, plane)[:] = values / np.float32(CODE_UNITS)
            self._is_rounded = False

    def gradients(self) -> dict[str, np.ndarray]:
        """Copy the gradients of the last step, before they were clipped: name -> float64 array."""
        return self._named(self._gradient)

    def _named(self, values):
        return {name: values[self.places[name]].reshape(shape).copy() for name, shape in self.arch.tensors()}

    def _put(self, array, weights):
        """Write weights (name -> array) to one of the two blocks."""
        block = self.array(array)
        for name, values in weights.items():
            block[self.places[name]] = values.ravel()

    def _put_form(self, form):
        """Write the levels and edges of a form, as factors of errors in the gradient of D."""
        if form.edges is None:
            return
        factor = np.float32(2 / (self.arch.planes * self.pixels))
        self.array(Array.EDGES)[:] = form.edges * factor
        for level, weights in enumerate(form.levels):
            for plane, values in enumerate(weights):
                self.array(Array.LEVELS, level, plane)[:] = values * factor

    def _clear_sums(self):
        for plane in range(self.arch.planes):
            self.array(Array.SUMS, 0, plane)[:] = 0

    def _sums(self):
        return np.stack([self.array(Array.SUMS, 0, plane) for plane in range(self.arch.planes)], 2)

    def _measure(self, **options):
        """Run a pass that moves nothing, with the code rounded; options: fields of `Pass`."""
        rounding, self._is_rounded = AS_IT_IS if self._is_rounded else HARD, True
        return self._run(self._task(**{"rounding": rounding, "sums_samples": False, **options}))

    def _task(self, **options):
        """Describe a pass over everything; options: fields of `Pass`."""
        usual = dict(has_rate=True, has_picture=True, last=self.arch.octaves - 1, sums_samples=self._is_summing)
        return Pass(squares=self.form.squares, price=self.lambda_ / self.pixels, **{**usual, **options})

    def _run(self, task):
        """Run a pass, and return its `Loss`."""
        results = self._fit.run(task)
        return Loss(results.distortion, results.bits, results.squares / (self.pixels * self.arch.planes))

    def _gather(self, step):
        """Take the gradients of a pass, and add those of `reference.rate.own_bits`, for integers of size `step`."""
        self._gradient[:] = self.array(Array.BY_WEIGHT)
        self._gradient *= self._is_moving
        moved = self._moving
        difference = self._weights[moved] - self._base[moved]
        root = np.hypot(difference, step / 2)
        width = np.add.reduceat(root, self._moving_starts) / self._moving_counts
        gain = self.lambda_ / self.pixels / NAT / np.repeat(width, self._moving_counts)
        self._gradient[moved] += gain * difference / root

    def _key_of_step(self):
        return (self._key + 0x9E3779B1 * self._steps) & 0xFFFFFFFF


def memory_of(arch: Arch, threads: int = 1) -> int:
    """Estimate the bytes that a fit takes, beside the program.

    They are the engine's arrays, the form of the eye, the picture, and two rounded copies of the code.
    """
    weights_a_pixel = 1 + arch.planes * sum(4.0**-level for level in range(LEVELS))
    own = memory_of_fit(_library(), arch.as_dict(), threads=threads, is_masked=False, has_levels=True, is_passed=False)
    return own + 2 * 2 * arch.positions() + int((4 * weights_a_pixel + 5 * arch.planes) * arch.width * arch.height)


def _library():
    library = own_library()
    if library is None:
        raise OSError("The library in C was not built when ddcodec was installed.")
    return library

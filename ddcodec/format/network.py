"""The two forward walks, context model and synthesis, written once for all engines.

The caller passes the `ops` that do the arithmetic: `ops_int.IntegerOps` for the decoder, `fit.reference.ops.TorchOps`
or its heirs for the encoder. Arrays are (C, rows, columns) or (C, positions). `numbers` maps the names of
`Arch.tensors()` to what `ops` computes with.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .arch import FEATURES, FILTER_REACH, Arch, Window

Array: TypeAlias = Any
"""An array of NumPy or a tensor of torch, whichever `ops` computes with."""

Code: TypeAlias = Callable[[int, Window], Array]
"""A function from an octave and a window to the code of these rows, (code planes, rows, columns)."""

SEEN_TAPS = (1, 3)
"""Taps of `double`, in units of 1/4 (FORMAT.md, chapter 6, *Features*)."""


def context(ops: Any, arch: Arch, numbers: Mapping[str, Array], inputs: Array, octave: int) -> Array:
    """Predict integers of the code from their causal surroundings (FORMAT.md, chapter 6, *Layers*).

    inputs: (context_inputs, positions).

    Returns (2, positions): mean and scale, in the units of the inputs.
    """
    hidden = inputs
    for layer in ("context.1", "context.2"):
        sums = ops.affine(numbers[f"{layer}.weight"], hidden, numbers[f"{layer}.bias"])
        hidden = ops.settle(ops.within(sums, numbers.get(f"{layer}.wraps")), 0)
    bias = numbers["context.3.bias"][arch.coded_octaves.index(octave)]
    weight = numbers["context.3.weight"]
    sums = ops.affine(weight[:, : arch.context_channels], hidden, bias) + weight[:, arch.context_channels :] @ inputs
    return ops.within(sums, numbers.get("context.3.wraps"), 0)


class Coarser:
    """The planes that contexts see of the octaves coarser than their own (FORMAT.md, chapter 6, *Features*).

    The features are linear, as in Cool-Chic 5. Octaves come coarse to fine: first `features` of an octave, then `add`
    its code.

    planes: the planes of all coarser octaves at the size of the next coarser one, (planes, rows, columns) in
        activations. The next coarser octave's own plane comes first. None if there are none.
    """

    def __init__(self, ops: Any, arch: Arch) -> None:
        self._ops, self._arch = ops, arch
        self.planes: Array | None = None

    def features(self, numbers: Mapping[str, Array], octave: int) -> Array:
        """Make the features for the context of `octave`: (FEATURES + 1, rows, columns) in activations."""
        handed = self.handed_down(numbers, octave)
        if handed is None:
            return self._ops.zeros((FEATURES + 1, *self._arch.size(octave)))
        return double(self._ops, self._arch, octave, handed)

    def handed_down(self, numbers: Mapping[str, Array], octave: int) -> Array | None:
        """Make the planes that are doubled to the features of `octave`; None if there are no coarser planes."""
        return None if self.planes is None else handed_down(self._ops, numbers, octave, self.planes)

    def add(self, octave: int, code: Array) -> None:
        """Add the code of an octave: (planes, rows, columns) in code units.

        Finer octaves see it only if it is one plane.
        """
        if octave and len(code) == 1:
            own = self._ops.seen(code)
            self.planes = (
                own
                if self.planes is None
                else self._ops.join([own, double(self._ops, self._arch, octave, self.planes)])
            )


def handed_down(ops: Any, numbers: Mapping[str, Array], octave: int, coarser: Array) -> Array:
    """Make the planes that are doubled to the features of `octave`, of the size of `coarser`.

    Mixing at this size costs a quarter.
    """
    layer = f"context.features.{octave}"
    mixed = ops.round(ops.within(ops.mix(numbers[layer], coarser), numbers.get(f"{layer}.wraps")))
    return ops.join([mixed, abs(coarser[:1])])


def double(ops: Any, arch: Arch, octave: int, planes: Array, window: Window | None = None) -> Array:
    """Double planes of the next coarser octave to the size of `octave` (FORMAT.md, chapter 6, *Features*).

    planes: (C, rows, columns) in activations. window: the rows of `octave` to make; None for all.
    """
    rows, columns = arch.size(octave)
    window = window or Window(0, rows)
    reach = len(SEEN_TAPS) // 2
    held = Window(max(0, window.start // 2 - reach), min(planes.shape[1], (window.stop - 1) // 2 + 1 + reach))
    doubled = _up_along(ops, planes[:, held.start : held.stop], SEEN_TAPS, 1, window, held.start, planes.shape[1])
    doubled = _up_along(ops, doubled, SEEN_TAPS, 2, Window(0, columns), 0, planes.shape[2])
    return ops.round(doubled * (1 / 16))


def synthesis(ops: Any, arch: Arch, numbers: Mapping[str, Array], code: Code, window: Window, finest: int = 0) -> Array:
    """Make samples of the code with the deep decoder (FORMAT.md, chapter 7; Heckel & Hand 2019, section 2).

    code: a function of an octave and a window that gives the code of these rows, (P, rows, columns) in code units.
    window: the rows of octave `finest` to make.
    finest: above 0 for a picture of that octave's size. The code of finer octaves is then that of means over squares,
        and its windows are those of octave `finest`.

    Returns samples (planes, rows, columns).
    """
    windows = arch.windows(*window, finest)
    hidden = hidden_planes(ops, arch, numbers, code, windows, finest)
    weight = numbers["output.weight"]
    output = ops.mix(weight[:, : arch.channels_of(0)], hidden) + numbers["output.bias"][:, None, None]
    if arch.top_channels:
        top = ops.mix(numbers["top.weight"], hidden) + numbers["top.bias"][:, None, None]
        top = ops.settle(ops.within(top, numbers.get("top.wraps")), 0)
        output = output + ops.mix(weight[:, arch.channels_of(0) :], top)
    output = ops.output(output, numbers.get("output.wraps"))
    return ops.samples(residual(ops, numbers, output, windows[finest], window, arch.size(finest), finest), arch.peak)


def hidden_planes(
    ops: Any, arch: Arch, numbers: Mapping[str, Array], code: Code, windows: Mapping[int, Window], finest: int = 0
) -> Array:
    """Make the channels of the finest octave: (channels, rows, columns) of `windows[finest]`.

    Mixing comes before upsampling, as in the paper. Both are linear and commute, and at the coarse size mixing costs a
    quarter.

    windows: those of `Arch.windows`. The other arguments are those of `synthesis`.
    """
    hidden = None
    for octave in arch.coarse_to_fine:
        window = windows[max(octave, finest)]
        total = numbers[f"bias.{octave}"][:, None, None]
        if arch.code_planes(octave):
            own = seen_code(ops, arch, numbers, octave, code, window, means=octave < finest)
            total = ops.within(ops.mix(numbers[f"code.{octave}"], own) + total, numbers.get(f"code.{octave}.wraps"))
        if hidden is not None:
            mixed = ops.mix(numbers[f"mix.{octave}"], hidden)
            mixed = ops.round(ops.within(mixed, numbers.get(f"mix.{octave}.wraps")))
            if octave < finest:
                total = total + unchanged(ops, numbers, octave, mixed)
            else:
                rows, columns = arch.size(octave + 1)[0], arch.size(octave)[1]
                total = total + up(ops, numbers, octave, mixed, windows[octave + 1], window, rows, columns)
        hidden = ops.settle(total, arch.linear_of(octave), octave)
    return hidden


def seen_code(
    ops: Any, arch: Arch, numbers: Mapping[str, Array], octave: int, code: Code, window: Window, means: bool = False
) -> Array:
    """Pass the code of the rows `window` of an octave through the octave's filter (FORMAT.md, chapter 7).

    Planes of detail pass as they are. The filter adds to each place what it makes of the square around, with 0 outside
    the plane. In Cool-Chic 5 it is separable, symmetric and of 7 taps.

    means: the code is that of means over the pixels of a smaller picture. All places of the square are then the pixel.

    Returns (planes, window, columns) in activations.
    """
    weight, first = numbers[f"filter.{octave}"], arch.filtered_planes(octave)
    if means:
        planes = ops.round(code(octave, window) * ops.synthesis_step)
        return ops.round(_joined(ops, planes[:first] * (1 + weight.sum()), planes[first:]))
    rows, reach = arch.size(octave)[0], FILTER_REACH
    held = Window(max(0, window.start - reach), min(rows, window.stop + reach))
    planes = code(octave, held) * ops.synthesis_step
    beyond = held.start - (window.start - reach), window.stop + reach - held.stop
    own = planes[:, window.start - held.start : window.stop - held.start]
    filtered = own[:first] + ops.filter(weight, ops.pad(planes[:first], beyond, reach))
    filtered = ops.within(filtered, numbers.get(f"filter.{octave}.wraps"))
    return ops.round(_joined(ops, filtered, own[first:]))


def _joined(ops, filtered, detail):
    return ops.stack([*filtered, *detail]) if len(detail) else filtered


def residual(
    ops: Any,
    numbers: Mapping[str, Array],
    values: Array,
    held: Window,
    window: Window,
    size: tuple[int, int],
    finest: int = 0,
) -> Array:
    """Add to `values` what the residual layer of 3x3 makes of them, without a ReLU.

    The layer is that of FORMAT.md, chapter 7 (Leguay et al. 2023, arXiv 2307.12706). Indices outside the picture are
    replaced by the nearest inside. In a smaller picture, `finest` > 0, all nine places are the pixel itself.

    values: (planes, held, columns), the rows `held` of a picture of `size`.

    Returns (planes, window, columns), the rows `window`.
    """
    rows, columns = size

    def shifted(planes, axis, start, stop, count, before, step):
        return ops.take(planes, [min(max(i + step, 0), count - 1) - before for i in range(start, stop)], axis)

    own, places, seen = shifted(values, 1, *window, rows, held.start, 0), [], ops.around(values)
    for dy in (-1, 0, 1):
        row = shifted(seen, 1, *window, rows, held.start, 0 if finest else dy)
        places += [row if finest else shifted(row, 2, 0, columns, columns, 0, dx) for dx in (-1, 0, 1)]
    around = ops.stack(places)
    sums = ops.mix(numbers["residual.weight"], around.reshape(-1, *around.shape[2:]))
    return own + ops.residue(sums, numbers.get("residual.wraps"))


def up(
    ops: Any,
    numbers: Mapping[str, Array],
    octave: int,
    planes: Array,
    window: Window,
    finer_window: Window,
    rows: int,
    finer_columns: int,
) -> Array:
    """Upsample by 2 with symmetric separable taps to the size of `octave` (FORMAT.md, chapter 7, `up`).

    It rounds along columns and along rows. Indices outside the octave are replaced by the nearest inside.

    planes: (C, window, columns), the rows `window` of an octave of `rows` rows.

    Returns (C, finer_window, finer_columns), the rows `finer_window` of the finer octave.
    """
    taps, wraps = numbers[f"taps.{octave}"], numbers.get(f"taps.{octave}.wraps")
    doubled = ops.round(ops.within(_up_along(ops, planes, taps, 1, finer_window, window.start, rows), wraps))
    doubled = _up_along(ops, doubled, taps, 2, Window(0, finer_columns), 0, planes.shape[2])
    return ops.round(ops.within(doubled, wraps))


def unchanged(ops: Any, numbers: Mapping[str, Array], octave: int, planes: Array) -> Array:
    """Do to planes of one number each what `up` does, at the size that they have."""
    gain, wraps = numbers[f"taps.{octave}"].sum(), numbers.get(f"taps.{octave}.wraps")
    for _ in range(2):
        planes = ops.round(ops.within(planes * gain, wraps))
    return planes


def _up_along(ops, planes, taps, axis, finer, start, size):
    reach = len(taps) // 2
    first, count = finer.start // 2, (finer.stop - 1) // 2 - finer.start // 2 + 1
    inside = [min(max(i, 0), size - 1) - start for i in range(first - reach, first + count + reach)]
    padded = ops.take(planes, inside, axis)
    even = ops.weighted_sum(padded, list(taps), 0, count, axis)
    odd = ops.weighted_sum(padded, list(taps)[::-1], 1, count, axis)
    return ops.interleave(even, odd, axis, finer.start - 2 * first, finer.stop - 2 * first)

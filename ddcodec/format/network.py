"""The two forward walks, context model and synthesis, written once; the caller passes the `ops` that do the arithmetic.

`ops` is `ops_int.IntegerOps` (the decoder) or one of `fit.torch_ops` (the encoder, and the check that both agree).
Arrays are (C, rows, columns) or (C, positions). `numbers` maps the names of `Arch.tensors()` to what `ops` computes
with.
"""

from .arch import FEATURES, FILTER_REACH, Window

SEEN_TAPS = (1, 3)


def context(ops, arch, numbers, inputs, octave):
    """Predict code integers from their causal surroundings (FORMAT.md, chapter 6, *Layers*).

    `inputs`: (context_inputs, positions). Returns (2, positions): mean and scale, in the units of the inputs.
    """
    hidden = ops.affine(numbers["context.1.weight"], inputs, numbers["context.1.bias"])
    hidden = ops.settle(hidden, 0)
    hidden = ops.affine(numbers["context.2.weight"], hidden, numbers["context.2.bias"])
    hidden = ops.settle(hidden, 0)
    bias = numbers["context.3.bias"][arch.coded_octaves.index(octave)]
    weight = numbers["context.3.weight"]
    return ops.affine(weight[:, : arch.context_channels], hidden, bias) + weight[:, arch.context_channels :] @ inputs


class Coarser:
    """What contexts see of the octaves coarser than their own (FORMAT.md, chapter 6, *Features*; linear ones as in
    Cool-Chic 5). Coarse to fine: `features` of an octave, then `add` its code.

    planes: of all coarser octaves, the next coarser one's own first, at its size: (planes, rows, columns) in
    activations; None where there are none.
    """

    def __init__(self, ops, arch):
        self._ops, self._arch, self.planes = ops, arch, None

    def features(self, numbers, octave):
        """For the context of `octave`: (FEATURES + 1, rows, columns) in activations."""
        handed = self.handed_down(numbers, octave)
        if handed is None:
            return self._ops.zeros((FEATURES + 1, *self._arch.size(octave)))
        return double(self._ops, self._arch, octave, handed)

    def handed_down(self, numbers, octave):
        """What is doubled to the features of `octave`, or None where there are no coarser planes."""
        return None if self.planes is None else handed_down(self._ops, numbers, octave, self.planes)

    def add(self, octave, code):
        """code: (planes, rows, columns) of `octave` in code units; finer ones see it if it is one plane."""
        if octave and len(code) == 1:
            own = code * self._ops.context_step
            self.planes = (
                own
                if self.planes is None
                else self._ops.join([own, double(self._ops, self._arch, octave, self.planes)])
            )


def handed_down(ops, numbers, octave, coarser):
    """What is doubled to the features of `octave`, of the size of `coarser`: mixing there costs a quarter."""
    mixed = ops.round(ops.mix(numbers[f"context.features.{octave}"], coarser))
    return ops.join([mixed, abs(coarser[:1])])


def double(ops, arch, octave, planes, window=None):
    """Planes of the next coarser octave, in activations, doubled to the size of `octave`: the rows `window` of it, or
    all.
    """
    rows, columns = arch.size(octave)
    window = window or Window(0, rows)
    reach = len(SEEN_TAPS) // 2
    held = Window(max(0, window.start // 2 - reach), min(planes.shape[1], (window.stop - 1) // 2 + 1 + reach))
    doubled = up(ops, planes[:, held.start : held.stop], SEEN_TAPS, held, window, planes.shape[1], columns)
    return ops.round(doubled * (1 / 16))


def synthesis(ops, arch, numbers, code, window, finest=0):
    """The deep decoder: from the code to samples (FORMAT.md, chapter 7; Heckel & Hand 2019, section 2).

    `code(octave, window)` gives the planes (P, rows, columns) of a window in code units. Returns samples (planes, rows,
    columns) of the rows `window` of octave `finest`; for `finest` > 0 of a picture that is that much smaller, where the
    code of finer octaves is that of means over squares, of the same window.
    """
    windows = arch.windows(*window, finest)
    hidden = hidden_planes(ops, arch, numbers, code, windows, finest)
    weight = numbers["output.weight"]
    output = ops.mix(weight[:, : arch.finest_channels], hidden) + numbers["output.bias"][:, None, None]
    if arch.top_channels:
        top = ops.settle(ops.mix(numbers["top.weight"], hidden) + numbers["top.bias"][:, None, None], 0)
        output = output + ops.mix(weight[:, arch.finest_channels :], top)
    return ops.samples(
        residual(
            ops, numbers["residual.weight"], ops.output(output), windows[finest], window, arch.size(finest), finest
        ),
        arch.peak,
    )


def hidden_planes(ops, arch, numbers, code, windows, finest=0):
    """The channels of the finest octave, (channels, rows, columns) of `windows[finest]`; arguments as for `synthesis`,
    windows as of `Arch.windows`.

    Mixing is done before upsampling, as in the paper: both are linear, so that they commute, and at the coarse size it
    costs a quarter.
    """
    hidden = None
    for octave in arch.coarse_to_fine[: arch.octaves - finest]:
        total = None
        if hidden is not None:
            mixed = ops.round(ops.mix(numbers[f"mix.{octave}"], hidden))
            rows, columns = arch.size(octave + 1)[0], arch.size(octave)[1]
            taps = numbers[f"taps.{octave}"]
            total = up(ops, mixed, taps, windows[octave + 1], windows[octave], rows, columns)
        if arch.code_planes(octave):
            joined = ops.mix(numbers[f"code.{octave}"], seen_code(ops, arch, numbers, octave, code, windows[octave]))
            total = joined if total is None else total + joined
        hidden = ops.settle(total + numbers[f"bias.{octave}"][:, None, None], arch.linear, octave)
    for octave in reversed(range(finest)):
        mixed = ops.round(ops.mix(numbers[f"mix.{octave}"], hidden))
        total = mixed * numbers[f"taps.{octave}"].sum() ** 2
        if arch.code_planes(octave):
            total = total + ops.mix(
                numbers[f"code.{octave}"], seen_code(ops, arch, numbers, octave, code, windows[finest], True)
            )
        hidden = ops.settle(total + numbers[f"bias.{octave}"][:, None, None], arch.linear, octave)
    return hidden


def seen_code(ops, arch, numbers, octave, code, window, means=False):
    """The code of the rows `window` of an octave as the synthesis sees it, through the octave's filter: (planes,
    window, columns) in activations.

    The filter (FORMAT.md, chapter 7; separable, symmetric and of 7 taps in Cool-Chic 5) adds to each place what it
    makes of the square around, 0 outside the plane. means: the code is that of means over the pixels of a smaller
    picture, which are then all places of the square.
    """
    weight = numbers[f"filter.{octave}"]
    if means:
        return ops.round(code(octave, window) * ops.synthesis_step * (1 + weight.sum()))
    rows, reach = arch.size(octave)[0], FILTER_REACH
    held = Window(max(0, window.start - reach), min(rows, window.stop + reach))
    planes = code(octave, held) * ops.synthesis_step
    beyond = held.start - (window.start - reach), window.stop + reach - held.stop
    own = planes[:, window.start - held.start : window.stop - held.start]
    return ops.round(own + ops.filter(weight, ops.pad(planes, beyond, reach)))


def residual(ops, weight, values, held, window, size, finest=0):
    """The 3x3 residual layer, without ReLU (FORMAT.md, chapter 7; Leguay et al. 2023, arXiv 2307.12706): `values` plus
    what the layer makes of them.

    `values` (planes, held, columns) are the rows `held` of a picture of `size`; the result (planes, window, columns)
    holds the rows `window`. Indices outside are replaced by the nearest inside; in a smaller picture, `finest` > 0, all
    nine places are the pixel itself.
    """
    rows, columns = size

    def shifted(planes, axis, start, stop, count, before, step):
        return ops.take(planes, [min(max(i + step, 0), count - 1) - before for i in range(start, stop)], axis)

    own, places = shifted(values, 1, *window, rows, held.start, 0), []
    for dy in (-1, 0, 1):
        row = own if finest else shifted(values, 1, *window, rows, held.start, dy)
        places += [row if finest else shifted(row, 2, 0, columns, columns, 0, dx) for dx in (-1, 0, 1)]
    around = ops.stack(places)
    return own + ops.mix(weight, around.reshape(-1, *around.shape[2:]))


def up(ops, planes, taps, window, finer_window, rows, finer_columns):
    """Upsample by 2 with symmetric separable taps (FORMAT.md, chapter 7, `up`).

    `planes` (C, window, columns) holds the rows `window` of an octave of `rows` rows; the result (C, finer_window,
    finer_columns) holds the rows `finer_window` of the finer octave. Indices outside are replaced by the nearest
    inside. Nothing is rounded.
    """
    doubled = _up_along(ops, planes, taps, 1, finer_window, window.start, rows)
    return _up_along(ops, doubled, taps, 2, Window(0, finer_columns), 0, planes.shape[2])


def _up_along(ops, planes, taps, axis, finer, start, size):
    reach = len(taps) // 2
    first, count = finer.start // 2, (finer.stop - 1) // 2 - finer.start // 2 + 1
    inside = [min(max(i, 0), size - 1) - start for i in range(first - reach, first + count + reach)]
    padded = ops.take(planes, inside, axis)
    even = ops.weighted_sum(padded, list(taps), 0, count, axis)
    odd = ops.weighted_sum(padded, list(taps)[::-1], 1, count, axis)
    return ops.interleave(even, odd, axis, finer.start - 2 * first, finer.stop - 2 * first)

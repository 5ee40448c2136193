/* The features of contexts, from coarser octaves, and the way back: FORMAT.md, chapter 6, *Features*.

   Planes are doubled from octave to octave and mixed to features. */
#include "level.h"

/* A row of what is seen of an octave: of its own plane (0), or of a coarser one. */
float *seen_row(const octave *here, int plane, int row) {
    return plane ? row_of(here->raised, plane - 1, row) : row_of(here->code[DDC_Q], 0, row);
}

/* The second row of an octave that a row of the next finer one is doubled from; the first is half that row. */
int other_row(const octave *here, int finer_row) {
    return within(finer_row / 2 + (finer_row % 2 ? 1 : -1), 0, here->rows - 1);
}

/* Make a row of twice the columns, at `along`, from two rows or their magnitudes, with the taps 1 and 3. `across` holds
   the sum of both rows, with margins. */
void double_row(const float *near, const float *far, int is_magnitude, float *across, float *along, int columns) {
    int count = vectors_of(columns) * LANES;
    for (int x = 0; x < count; x += LANES) {
        floats a = load(near + x), b = load(far + x);
        if (is_magnitude) a = magnitude(a), b = magnitude(b);
        store(across + x, (3 * a + b) * 0.0625f);
    }
    across[-1] = across[0];
    across[columns] = across[columns - 1];
    for (int x = 0; x < count; x += LANES) {
        floats middle = 3 * load(across + x);
        floats left = middle + load(across + x - 1), right = middle + load(across + x + 1);
        store(along + 2 * x, low(left, right));
        store(along + 2 * x + LANES, high(left, right));
    }
}

/* Make a thread's rows of the coarser planes at the size of octave `o`, and of the features that it hands down. The
   next coarser octave must be done. */
void see(worker *self, int o) {
    const octave *here = &self->fit->octaves[o], *coarser = here + 1;
    if (!here->seen) return;
    matrix mix = matrix_of(weights_of(self), &self->fit->tensors.features[o - 1]);
    pairs rows = rows_of(here, self);
    float *seen[MOST_ROWS], *handed[MOST_ROWS];
    for (int y = rows.first; y < rows.stop; y++) {
        for (int plane = 1; plane < here->seen; plane++)
            double_row(
                seen_row(coarser, plane - 1, y / 2), seen_row(coarser, plane - 1, other_row(coarser, y)), 0,
                self->across + SIDE, seen_row(here, plane, y), coarser->columns);
        for (int plane = 0; plane < here->seen; plane++) seen[plane] = seen_row(here, plane, y);
        list_rows(handed, FEATURES, row_of(here->handed, 0, y), here->handed.plane);
        affine(handed, FEATURES, seen, here->seen, mix, NULL, NO_RELU, vectors_of(here->columns));
    }
}

/* Write the adjoint of `double_row` to a row at `target`, from all finer rows that row `y` went into. */
static void halve_rows(const worker *self, const octave *finer, const octave *here, int plane, int y, float *target) {
    float *across = self->across + SIDE;
    int count = vectors_of(here->columns) * LANES;
    /* So much is read by the last loop, which also reads the right neighbours of the last numbers. */
    clear(across - 1, 2 * count + SIDE);
    for (int step = -1; step < 3; step++) {
        int row = 2 * y + step;
        if (row < 0 || row >= finer->rows) continue;
        float gain = row == 0 || row == 2 * here->rows - 1 ? 4 : step == 0 || step == 1 ? 3 : 1;
        const float *source = row_of(finer->by_seen, plane + 1, row);
        for (int x = 0; x < finer->columns; x += LANES)
            store(across + x, load(across + x) + gain * first(load(source + x), finer->columns - x));
    }
    for (int x = 0; x < count; x += LANES) {
        const float *at = across + 2 * x;
        floats a = load(at), b = load(at + LANES);
        floats sum = 3 * (even(a, b) + odd(a, b)) + even(load(at - 1), load(at + LANES - 1)) +
                     even(load(at + 2), load(at + LANES + 2));
        store(target + x, first(sum * 0.0625f, here->columns - x));
    }
    target[0] += across[0] * 0.0625f;
    if (finer->columns % 2 == 0) target[here->columns - 1] += across[finer->columns - 1] * 0.0625f;
}

/* Go back from the gradients by the features that octave `o` hands down, for a thread's rows: add to the sums of
   gradients by the weights, and write those by what is seen, if the code moves. The next finer octave must be done. */
void see_back(worker *self, int o) {
    const ddc_fit *fit = self->fit;
    const octave *here = &fit->octaves[o], *finer = here - 1;
    if (!here->seen) return;
    matrix back = transposed(matrix_of(weights_of(self), &fit->tensors.features[o - 1]));
    pairs rows = rows_of(here, self);
    int vectors = vectors_of(here->columns), last = (vectors - 1) * LANES;
    float *seen[MOST_ROWS], *handed[MOST_ROWS];
    for (int y = rows.first; y < rows.stop; y++) {
        list_rows(handed, FEATURES, row_of(here->by_handed, 0, y), here->by_handed.plane);
        for (int k = 0; k < FEATURES; k++) store(handed[k] + last, first(load(handed[k] + last), here->columns - last));
        for (int plane = 0; plane < here->seen; plane++) seen[plane] = seen_row(here, plane, y);
        outer(self->sums + fit->sums.features[o - 1], handed, FEATURES, seen, here->seen, vectors);
        if (y % FOLDED_ROWS == FOLDED_ROWS - 1) fold_sums(self);
        if (!fit->pass->moves_code) continue;
        list_rows(seen, here->seen, row_of(here->by_seen, 0, y), here->by_seen.plane);
        for (int plane = 0; plane < here->seen; plane++)
            if (finer->seen)
                halve_rows(self, finer, here, plane, y, seen[plane]);
            else
                clear(seen[plane], vectors * LANES);
        added(seen, here->seen, handed, FEATURES, back, NO_RELU, vectors);
    }
}

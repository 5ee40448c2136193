/* The rate of the code and its gradients: context model and Laplace distribution, FORMAT.md, chapter 6.

   One pass over a run of a row does all. It goes through the layers to the bits, and back to the weights, the code's
   neighbours and the features. Meanwhile the run's rows lie in the processor's caches. */
#include "level.h"

#define LEAST_SCALE -5.4f /* log2 of the scales that have tables: FORMAT.md, chapter 4 */
#define GREATEST_SCALE 7.2f

/* Columns and rows from an integer to the neighbours that its context sees. */
static const int RIGHT[NEIGHBOURS] = {-1, 0, -1, 1, -2, 0, -2, 2, -1, 1, -3, 0, -2, 2, -3, -1, 1, 3, -3, 4};
static const int UP[NEIGHBOURS] = {0, 1, 1, 1, 0, 2, 1, 1, 2, 2, 0, 3, 2, 2, 1, 3, 3, 2, 2, 2};

typedef struct {
    const octave *here;
    int plane, y, x, vectors;
    int start; /* the thread's first row */
} run;

/* Where a thread keeps the gradients of a row above its own: -ABOVE .. -1, counted from its first. */
static float *halo_row(const worker *self, const octave *here, int plane, int row) {
    return self->halo_code + here->halo_code + (plane * ABOVE + row + ABOVE) * here->code[DDC_Q].pitch + SIDE;
}

/* Clear the thread's halos, and the first of the parent's rows of gradients. The first pair of rows reaches that row
   and the next; every pair then clears one more. */
static void clear_halos(const worker *self, const octave *here, int first_pair) {
    const octave *parent = here + 1;
    clear(halo_row(self, here, 0, -ABOVE) - SIDE, here->planes * ABOVE * here->code[DDC_Q].pitch);
    if (!here->has_parent) return;
    for (int k = 0; k < SEEN_FEATURES; k++) clear(row_of(parent->by_handed, k, first_pair), parent->by_handed.pitch);
    clear(self->halo_handed + parent->halo_handed, 2 * SEEN_FEATURES * parent->by_handed.pitch);
}

/* Clear rows of gradients just before they are first added to: so they come into the cache once, not twice. All planes
   add to the parent's. */
static void clear_rows(const octave *here, int plane, int y, int stop_pair) {
    const octave *parent = here + 1;
    grid gradient = here->code[DDC_GRADIENT];
    clear(row_of(gradient, plane, y) - SIDE, gradient.pitch);
    int row = y / 2 + 1;
    if (here->has_parent && plane == 0 && y % 2 == 0 && row < stop_pair)
        for (int k = 0; k < SEEN_FEATURES; k++) clear(row_of(parent->by_handed, k, row), parent->by_handed.pitch);
}

/* The bits of a run as `reference.rate.laplace_bits` counts them: the distance from the mean counts up to 1/2; beyond
   that the logarithm is linear. If the fit learns, the gradients by mean and scale, times the price, take the place of
   both. If the code moves, those by the code are added to `gradient`, too. */
static double laplace(const worker *self, const float *q, float *gradient, int columns, int vectors) {
    const ddc_fit_pass *pass = self->fit->pass;
    float *means = self->laplace, *scales = self->laplace + ROW;
    float price = pass->price, by_nat = (float)(pass->price / NAT);
    floats nats = all(0);
    for (int x = 0; x < vectors * LANES; x += LANES) {
        floats difference = load(q + x) - load(means + x), raw = load(scales + x);
        floats inverse = exp2_of(clamped(-raw, -GREATEST_SCALE, -LEAST_SCALE));
        floats distance = magnitude(difference), inside = minimum(distance, all(0.5f));
        floats far = (0.5f + inside) * inverse, near = (0.5f - inside) * inverse;
        floats below = 0.5f * exp_of(-far), above = 0.5f * exp_of(-near);
        floats chance = 1 - below - above, beyond = (distance - inside) * inverse;
        floats here = first(beyond - log_of(chance), columns - x);
        nats += here;
        if (pass->keep) store(gradient + x, here);
        if (!pass->learns) continue;
        floats by_distance = first((above - below) * inverse / chance * sign_of(difference) * by_nat, columns - x);
        floats by_scale = (near * above + far * below) / chance - beyond;
        /* Beyond the scales that have tables only a step back inside has a gradient. */
        by_scale = chosen(raw > GREATEST_SCALE, maximum(by_scale, all(0)), by_scale);
        by_scale = chosen(raw < LEAST_SCALE, minimum(by_scale, all(0)), by_scale);
        store(means + x, -by_distance);
        store(scales + x, first(by_scale * price, columns - x));
        if (pass->moves_code) store(gradient + x, load(gradient + x) + by_distance);
    }
    return total(nats) / NAT;
}

/* Write the gradients of a run by the features and, if the code moves, add those by the neighbours. */
static void back_to_inputs(worker *self, const run *run) {
    const ddc_fit *fit = self->fit;
    const octave *here = run->here;
    int hidden = (int)fit->shape.header.context_channels, neighbours = (int)fit->shape.header.neighbours;
    float *inputs[MOST_ROWS], *outputs[MOST_ROWS];
    matrix back = {weights_of(self) + fit->derived.context_back, hidden + 2, 1};
    list_rows(inputs, neighbours, self->by_inputs + SIDE, SHIFTED);
    list_rows(inputs + neighbours, SEEN_FEATURES, self->by_features + run->x, fit->feature_pitch);
    list_rows(outputs, hidden, self->hidden_1, ROW);
    list_rows(outputs + hidden, 2, self->laplace, ROW);
    affine(
        inputs, neighbours + (here->has_parent ? SEEN_FEATURES : 0), outputs, hidden + 2, back, NULL, NO_RELU,
        run->vectors);
    if (!fit->pass->moves_code) return;
    grid gradient = here->code[DDC_GRADIENT];
    for (int up = 0; up <= least(ABOVE, run->y); up++) {
        int row = run->y - up, count = 0;
        float *target =
            row >= run->start ? row_of(gradient, run->plane, row) : halo_row(self, here, run->plane, row - run->start);
        for (int k = 0; k < neighbours; k++) {
            if (UP[k] != up) continue;
            float *by_input = self->by_inputs + k * SHIFTED + SIDE;
            /* What a longer run left behind must not be added. */
            clear(by_input + run->vectors * LANES, 2 * SIDE);
            /* The product starts one margin before the run. */
            inputs[count++] = by_input - SIDE - RIGHT[k];
        }
        target += run->x - SIDE;
        /* In the row itself neighbours lie only to the left; the numbers to its right may be another thread's. */
        if (count)
            added(
                &target, 1, inputs, count, (matrix){fit->ones, 0, 0}, NO_RELU,
                run->vectors + (up ? 2 : 1) * SIDE / LANES);
    }
}

/* Compute the bits of a run, and go back through it if the fit learns. */
static double run_bits(worker *self, const run *run) {
    const ddc_fit *fit = self->fit;
    const octave *here = run->here;
    const float *w = weights_of(self);
    const weights *at = &fit->tensors;
    int hidden = (int)fit->shape.header.context_channels, neighbours = (int)fit->shape.header.neighbours;
    int inputs = neighbours + SEEN_FEATURES, vectors = run->vectors, pitch = (int)here->code[DDC_Q].pitch;
    float *q = row_of(here->code[DDC_Q], run->plane, run->y) + run->x;
    float *gradient = row_of(here->code[DDC_GRADIENT], run->plane, run->y) + run->x;
    /* The last layer sees the inputs, too. */
    float *first_rows[MOST_ROWS], *last_rows[MOST_ROWS], **input_rows = last_rows + hidden;
    float *outputs[MOST_ROWS];
    list_rows(first_rows, hidden, self->hidden_1, ROW);
    list_rows(last_rows, hidden, self->hidden_2, ROW);
    for (int k = 0; k < neighbours; k++) input_rows[k] = q - UP[k] * pitch + RIGHT[k];
    for (int k = 0; k < SEEN_FEATURES; k++)
        input_rows[neighbours + k] = here->has_parent ? self->features + k * fit->feature_pitch + run->x : fit->zeros;
    list_rows(outputs, 2, self->laplace, ROW);
    first_rows[hidden] = input_rows[inputs] = fit->ones;

    matrix weights_1 = matrix_of(w, &at->context_weight[0]), weights_2 = matrix_of(w, &at->context_weight[1]);
    matrix weights_3 = matrix_of(w, &at->context_weight[2]);
    affine(first_rows, hidden, input_rows, inputs, weights_1, w + at->context_bias[0].at, 0, vectors);
    affine(last_rows, hidden, first_rows, hidden, weights_2, w + at->context_bias[1].at, 0, vectors);
    affine(
        outputs, 2, last_rows, hidden + inputs, weights_3, w + at->context_bias[2].at + 2 * here->place, NO_RELU,
        vectors);
    double bits = laplace(self, q, gradient, here->columns - run->x, vectors);
    if (!fit->pass->learns) return bits;

    outer(self->sums + fit->sums.context[2], outputs, 2, last_rows, hidden + inputs, vectors);
    outer(self->sums + fit->sums.context_bias[here->place], outputs, 2, input_rows + inputs, 1, vectors);
    gated(last_rows, hidden, outputs, 2, transposed(weights_3), last_rows, 0, vectors);
    outer(self->sums + fit->sums.context[1], last_rows, hidden, first_rows, hidden + 1, vectors);
    gated(first_rows, hidden, last_rows, hidden, transposed(weights_2), first_rows, 0, vectors);
    outer(self->sums + fit->sums.context[0], first_rows, hidden, input_rows, inputs + 1, vectors);
    if (fit->pass->moves_code || here->has_parent) back_to_inputs(self, run);
    return bits;
}

/* Double the features of a row: those that the next coarser octave hands down, and its magnitudes. */
static void double_parent(const worker *self, const octave *parent, int y) {
    int row = y / 2, other = other_row(parent, y);
    for (int k = 0; k < SEEN_FEATURES; k++) {
        int is_magnitude = k == FEATURES;
        const float *near = is_magnitude ? seen_row(parent, 0, row) : row_of(parent->handed, k, row);
        const float *far = is_magnitude ? seen_row(parent, 0, other) : row_of(parent->handed, k, other);
        double_row(
            near, far, is_magnitude, self->across + SIDE, self->features + k * self->fit->feature_pitch,
            parent->columns);
    }
}

/* The row of the parent's gradients that a thread adds to: its own, or the halo before or after. */
static float *by_parent_row(const worker *self, const octave *parent, int k, int row, pairs own_pairs) {
    int64_t pitch = parent->by_handed.pitch;
    if (row < own_pairs.first) return self->halo_handed + parent->halo_handed + k * pitch;
    if (row >= own_pairs.stop) return self->halo_handed + parent->halo_handed + (SEEN_FEATURES + k) * pitch;
    return row_of(parent->by_handed, k, row);
}

/* Add the adjoint of `double_parent` to the parent's gradients. */
static void back_to_parent(const worker *self, const octave *parent, int width, int y, pairs own_pairs) {
    int columns = parent->columns, count = vectors_of(columns) * LANES;
    float *lefts = self->across + SIDE, *rights = lefts + self->fit->feature_pitch;
    for (int k = 0; k < SEEN_FEATURES; k++) {
        const float *along = self->by_features + k * self->fit->feature_pitch;
        for (int x = 0; x < count; x += LANES) {
            floats a = load(along + 2 * x), b = load(along + 2 * x + LANES);
            /* Beyond the row stands what a longer one left behind. */
            store(lefts + x, first(even(a, b) * 0.0625f, (width + 1) / 2 - x));
            store(rights + x, first(odd(a, b) * 0.0625f, width / 2 - x));
        }
        /* Outside are zeros; the outermost columns are also seen in place of the columns there. */
        lefts[columns] = rights[-1] = 0;
        float edge_left = lefts[0], edge_right = rights[columns - 1];
        float *near = by_parent_row(self, parent, k, y / 2, own_pairs);
        float *far = by_parent_row(self, parent, k, other_row(parent, y), own_pairs);
        for (int x = 0; x < count; x += LANES) {
            floats part = 3 * (load(lefts + x) + load(rights + x)) + load(lefts + x + 1) + load(rights + x - 1);
            store(near + x, load(near + x) + 3 * part);
            store(far + x, load(far + x) + part);
        }
        near[0] += 3 * edge_left;
        near[columns - 1] += 3 * edge_right;
        far[0] += edge_left;
        far[columns - 1] += edge_right;
    }
}

/* Compute the bits of a thread's rows of octave `o` and, if the fit learns, the gradients by weights, features and
   code. */
double octave_bits(worker *self, int o) {
    const ddc_fit *fit = self->fit;
    const octave *here = &fit->octaves[o];
    pairs own_pairs = pairs_of(here, self), rows = rows_of(here, self);
    double bits = 0;
    if (rows.first == rows.stop) return 0;
    if (fit->pass->learns) clear_halos(self, here, own_pairs.first);
    for (int plane = 0; plane < here->planes; plane++)
        for (int y = rows.first; y < rows.stop; y++) {
            if (fit->pass->learns) clear_rows(here, plane, y, own_pairs.stop);
            if (here->has_parent) double_parent(self, here + 1, y);
            for (int x = 0; x < here->columns; x += RUN) {
                run run = {here, plane, y, x, vectors_of(least(RUN, here->columns - x)), rows.first};
                bits += run_bits(self, &run);
            }
            if (!fit->pass->learns) continue;
            if (here->has_parent) back_to_parent(self, here + 1, here->columns, y, own_pairs);
            if (y % FOLDED_ROWS == FOLDED_ROWS - 1) fold_sums(self);
        }
    return bits;
}

/* Add the gradients in a thread's halos to the rows of other threads. It stands between two waits, since those threads
   must have done with these rows. */
void merge_gradients(worker *self, int o) {
    const octave *here = &self->fit->octaves[o], *parent = here + 1;
    pairs own_pairs = pairs_of(here, self);
    grid gradient = here->code[DDC_GRADIENT];
    if (own_pairs.first >= own_pairs.stop) return;
    if (own_pairs.first)
        for (int plane = 0; plane < here->planes; plane++)
            add_onto(
                row_of(gradient, plane, 2 * own_pairs.first - ABOVE) - SIDE, halo_row(self, here, plane, -ABOVE) - SIDE,
                ABOVE * gradient.pitch);
    if (!here->has_parent) return;
    int64_t pitch = parent->by_handed.pitch;
    for (int k = 0; k < SEEN_FEATURES; k++) {
        const float *halo = self->halo_handed + parent->halo_handed + k * pitch;
        if (own_pairs.first) add_onto(row_of(parent->by_handed, k, own_pairs.first - 1), halo, pitch);
        if (own_pairs.stop < (here->rows + 1) / 2)
            add_onto(row_of(parent->by_handed, k, own_pairs.stop), halo + SEEN_FEATURES * pitch, pitch);
    }
}

/* The residual layer, FORMAT.md, chapter 7, the distortion, and the way back from it, row by row.

   The way forward reads outputs of other threads' rows, and the way back reads their gradients. So threads wait before
   each. What errors cost is a form: see fit/loss/form.py. */
#include "level.h"

#define BEYOND 1 /* samples that are further outside are not clamped all the way */

/* The form's channels of errors of red, green and blue: luma, bluish, reddish. */
static const float CHANNELS[3][3] = {
    {0.299f, 0.587f, 0.114f}, {-0.168736f, -0.331264f, 0.5f}, {0.5f, -0.418688f, -0.081312f}};

/* A row of errors: that of all threads, or one of the thread for another thread's row. */
static float *error_row(const worker *self, int plane, int row, int is_own) {
    return is_own ? row_of(self->fit->errors, plane, row) : row_of(self->halo_rows, plane, 0);
}

static float *channel_row(const worker *self, int channel, int row) {
    return row_of(self->ring, channel, (row + RING) % RING);
}

/* List the rows of outputs that the residual layer sees from a row. */
static void list_square(const worker *self, float **list, int row) {
    const ddc_fit *fit = self->fit;
    int planes = fit->shape.planes;
    for (int place = 0; place < SQUARE; place++)
        for (int plane = 0; plane < planes; plane++)
            list[planes * place + plane] =
                row_of(fit->outputs, plane, within(row + place / 3 - 1, 0, fit->octaves[0].rows - 1)) + place % 3 - 1;
}

/* Sum the squared errors of a row of samples of one plane; leave the errors in the row's place. */
static double make_errors(const worker *self, int plane, int row, float *values, float *means) {
    const ddc_fit *fit = self->fit;
    int columns = fit->octaves[0].columns;
    const uint16_t *target = fit->target + ((int64_t)plane * fit->octaves[0].rows + row) * fit->target_pitch;
    const float *known = fit->is_masked ? row_of(fit->known, 0, row) : NULL;
    floats squares = all(0);
    for (int x = 0; x < columns; x += LANES) {
        floats value = load(values + x), inside = clamped(value, 0, 1);
        if (means) store(means + x, load(means + x) + inside);
        floats beyond = value - clamped(value, -BEYOND, 1 + BEYOND);
        floats error = first(inside + beyond - load_shorts(target + x) * (1 / 65535.f), columns - x);
        if (known) error *= load(known + x);
        squares += error * error;
        store(values + x, error);
    }
    return total(squares);
}

/* Make a row of samples and leave their errors; return the sum of their squares. */
static double make_error_row(worker *self, int row, int is_own) {
    const ddc_fit *fit = self->fit;
    int columns = fit->octaves[0].columns, planes = fit->shape.planes, vectors = vectors_of(columns);
    float *targets[MOST_ROWS], *sources[MOST_ROWS];
    list_square(self, sources, row);
    for (int plane = 0; plane < planes; plane++) targets[plane] = error_row(self, plane, row, is_own);
    matrix residual = {weights_of(self) + fit->derived.square, SQUARE * planes, 1};
    affine(targets, planes, sources, SQUARE * planes, residual, NULL, NO_RELU, vectors);
    double squares = 0;
    int is_summed = fit->pass->sums_samples && is_own;
    for (int plane = 0; plane < planes; plane++)
        squares += make_errors(self, plane, row, targets[plane], is_summed ? row_of(fit->means, plane, row) : NULL);
    return squares;
}

/* Make the channels of a row of errors. */
static void make_channel_row(const worker *self, int row, int is_own) {
    const ddc_fit *fit = self->fit;
    int count = vectors_of(fit->octaves[0].columns) * LANES;
    for (int channel = 0; channel < fit->shape.planes; channel++) {
        float *target = channel_row(self, channel, row);
        const float *red = error_row(self, 0, row, is_own);
        if (fit->shape.planes == 1) {
            memcpy(target, red, sizeof *red * (size_t)count);
            continue;
        }
        const float *green = error_row(self, 1, row, is_own), *blue = error_row(self, 2, row, is_own);
        const float *parts = CHANNELS[channel];
        for (int x = 0; x < count; x += LANES)
            store(target + x, parts[0] * load(red + x) + parts[1] * load(green + x) + parts[2] * load(blue + x));
    }
    /* No edge lies at the picture's border. To the left and above the neighbour beyond is alike; to the right the
       weights of edges are 0, and nobody may write there; below there is a condition in `by_edges`. */
    float *luma = channel_row(self, 0, row);
    luma[-1] = luma[0];
    if (row == 0) memcpy(channel_row(self, 0, -1), luma, sizeof *luma * (size_t)count);
}

/* A row of a band's levels: rows 0 and 1 are of means of 2x2, row 2 is of means of 4x4. */
static float *level_row(const worker *self, int channel, int row) { return row_of(self->level_rows, channel, row); }

/* Take the means of 2x2 of two rows; lower: NULL where it lies beyond the picture, as zeros. */
static void halve(float *target, const float *upper, const float *lower, int vectors) {
    for (int x = 0; x < vectors * LANES; x += LANES) {
        floats near = load(upper + 2 * x), far = load(upper + 2 * x + LANES);
        if (lower) near += load(lower + 2 * x), far += load(lower + 2 * x + LANES);
        store(target + x, (even(near, far) + odd(near, far)) * 0.25f);
    }
}

/* Each number of a row twice, at the vector from `x` on. */
INLINE floats doubled(const float *row, int x) {
    floats coarse = load(row + x / (2 * LANES) * LANES);
    return x / LANES % 2 ? high(coarse, coarse) : low(coarse, coarse);
}

/* Make the means of a band of rows, and from these the gradients by the means of 2x2, in their place. */
static void make_levels(const worker *self, int top, int below) {
    const ddc_fit *fit = self->fit;
    int columns = fit->octaves[0].columns, pair_count = (below - top + 1) / 2;
    int twos = vectors_of((columns + 1) / 2), fours = vectors_of((columns + 3) / 4);
    for (int channel = 0; channel < fit->shape.planes; channel++) {
        for (int pair = 0; pair < pair_count; pair++) {
            int row = top + 2 * pair;
            halve(
                level_row(self, channel, pair), channel_row(self, channel, row),
                row + 1 < below ? channel_row(self, channel, row + 1) : NULL, twos);
        }
        float *whole = level_row(self, channel, 2);
        halve(whole, level_row(self, channel, 0), pair_count == 2 ? level_row(self, channel, 1) : NULL, fours);
        const float *by_four = row_of(fit->levels[2], channel, top / 4);
        for (int x = 0; x < fours * LANES; x += LANES) store(whole + x, load(whole + x) * load(by_four + x) * 0.25f);
        for (int pair = 0; pair < pair_count; pair++) {
            float *target = level_row(self, channel, pair);
            const float *by_two = row_of(fit->levels[1], channel, top / 2 + pair);
            for (int x = 0; x < twos * LANES; x += LANES)
                store(target + x, (load(target + x) * load(by_two + x) + doubled(whole, x)) * 0.25f);
        }
    }
}

/* The gradient of all levels by a channel, for the vector at `x` of a row. */
INLINE floats by_channel(const worker *self, int channel, int row, int x) {
    floats error = load(channel_row(self, channel, row) + x);
    floats weight = load(row_of(self->fit->levels[0], channel, row) + x);
    return error * weight + doubled(level_row(self, channel, row % BAND / 2), x);
}

/* The gradient of the edges by luma. */
INLINE floats by_edges(const worker *self, int row, int x) {
    const float *luma = channel_row(self, 0, row) + x, *above = channel_row(self, 0, row - 1) + x;
    const float *weights = row_of(self->fit->edges, 0, row) + x;
    floats center = load(luma);
    floats change = load(weights) * ((center - load(luma - 1)) + (center - load(above)));
    change += load(weights + 1) * (center - load(luma + 1));
    if (row + 1 < self->fit->octaves[0].rows) {
        const float *below = channel_row(self, 0, row + 1) + x;
        change += load(weights + self->fit->edges.pitch) * (center - load(below));
    }
    return change;
}

/* A plane's share in a vector of parts of pixels, as `keep` wants it. */
INLINE floats part_of(const worker *self, int plane, int row, int x, floats error, floats gradient) {
    float *error_before = row_of(self->fit->errors_before, plane, row) + x;
    float *gradient_before = row_of(self->fit->gradients_before, plane, row) + x;
    if (self->fit->pass->keep == DDC_DIFFERENCES) /* Exact in sum, since D is quadratic. */
        return (error - load(error_before)) * (gradient + load(gradient_before)) * 0.5f;
    store(error_before, error);
    store(gradient_before, gradient);
    return error * gradient * 0.5f;
}

/* Turn a row of errors into the gradient of D by its samples; return the row's part in D. */
static double make_gradient_row(const worker *self, int row) {
    const ddc_fit *fit = self->fit;
    int columns = fit->octaves[0].columns, planes = fit->shape.planes;
    float gain = (float)(fit->pass->squares * 2.0 / ((double)fit->octaves[0].rows * columns * planes));
    const float *known = fit->is_masked ? row_of(fit->known, 0, row) : NULL;
    floats parts = all(0);
    for (int x = 0; x < columns; x += LANES) {
        floats part = all(0), inside = all(1), channels[3];
        if (fit->has_levels) {
            for (int channel = 0; channel < planes; channel++) channels[channel] = by_channel(self, channel, row, x);
            channels[0] += by_edges(self, row, x);
            inside = first(inside, columns - x);
            if (known) inside *= load(known + x);
        }
        for (int plane = 0; plane < planes; plane++) {
            float *at = row_of(fit->errors, plane, row) + x;
            floats error = load(at), gradient = error * gain;
            if (fit->has_levels && planes == 1) gradient = (gradient + channels[0]) * inside;
            if (fit->has_levels && planes == 3)
                gradient = (gradient + CHANNELS[0][plane] * channels[0] + CHANNELS[1][plane] * channels[1] +
                            CHANNELS[2][plane] * channels[2]) *
                           inside;
            if (fit->pass->keep) part += part_of(self, plane, row, x, error, gradient);
            store(at, gradient);
            parts += error * gradient;
        }
        if (fit->pass->keep) store(row_of(fit->parts, 0, row) + x, part);
    }
    return 0.5 * total(parts);
}

/* Measure the distortion of a thread's rows, and leave its gradient by the samples in `errors`. The samples are
   clamped, but the gradient is as if nothing were. If the fit learns, add to the sums of gradients by the weights. */
void measure_distortion(worker *self) {
    const ddc_fit *fit = self->fit;
    int rows = fit->octaves[0].rows, planes = fit->shape.planes, bands = (rows + BAND - 1) / BAND;
    int start = BAND * (int)((int64_t)bands * self->number / fit->threads);
    int stop = least(BAND * (int)((int64_t)bands * (self->number + 1) / fit->threads), rows);
    int done = start;
    float *gradients[MOST_ROWS], *square[MOST_ROWS];
    if (fit->has_levels && 0 < start && start < stop) {
        make_error_row(self, start - 1, 0);
        make_channel_row(self, start - 1, 0);
    }
    for (int top = start; top < stop; top += BAND) {
        int below = least(top + BAND, stop);
        for (; done < (fit->has_levels ? least(below + 1, rows) : below); done++) {
            double squares = make_error_row(self, done, done < stop);
            if (done < stop) self->results.squares += squares;
            if (fit->has_levels) make_channel_row(self, done, done < stop);
        }
        if (fit->has_levels) make_levels(self, top, below);
        if (fit->pass->learns && top % FOLDED_ROWS == FOLDED_ROWS - BAND) fold_sums(self);
        for (int row = top; row < below; row++) {
            self->results.distortion += make_gradient_row(self, row);
            if (!fit->pass->learns) continue;
            list_rows(gradients, planes, row_of(fit->errors, 0, row), fit->errors.plane);
            list_square(self, square, row);
            outer(
                self->sums + fit->sums.residual, gradients, planes, square, SQUARE * planes,
                vectors_of(fit->octaves[0].columns));
        }
    }
}

/* A row of gradients by the outputs; two rows of each plane are kept. */
float *gradient_row(const worker *self, int plane, int row) { return row_of(self->gradients, plane, row % 2); }

/* Add the gradients from the samples of row `near` that saw `row` as row `dy` of their square; those of the row itself,
   which come first, take the place of what was there. */
static void back_from(worker *self, int row, int near, int dy) {
    const ddc_fit *fit = self->fit;
    int planes = fit->shape.planes, last = fit->octaves[0].columns - 1;
    const float *weights = weights_of(self) + fit->tensors.residual_weight.at;
    float *targets[MOST_ROWS], *sources[MOST_ROWS];
    matrix back = {weights_of(self) + fit->derived.square_back + 3 * planes * planes * dy, 3 * planes, 1};
    list_rows(targets, planes, gradient_row(self, 0, row), self->gradients.plane);
    for (int dx = 0; dx < 3; dx++)
        for (int plane = 0; plane < planes; plane++)
            sources[planes * dx + plane] = row_of(fit->errors, plane, near) - (dx - 1);
    if (near == row && dy == 1)
        affine(targets, planes, sources, 3 * planes, back, NULL, NO_RELU, vectors_of(last + 1));
    else
        added(targets, planes, sources, 3 * planes, back, NO_RELU, vectors_of(last + 1));
    /* The outermost columns are also seen in place of the columns beyond them. */
    for (int seen = 0; seen < planes; seen++)
        for (int plane = 0; plane < planes; plane++) {
            const float *errors = row_of(fit->errors, plane, near);
            const float *weight = weights + planes * (SQUARE * plane + 3 * dy) + seen;
            targets[seen][0] += weight[0] * errors[0];
            targets[seen][last] += weight[2 * planes] * errors[last];
        }
}

/* Write the gradients by the outputs of a row, from those by the samples around it; from the picture's last column to
   the vector `stop` zeros. */
void residual_back(worker *self, int row, int stop) {
    const ddc_fit *fit = self->fit;
    int rows = fit->octaves[0].rows, columns = fit->octaves[0].columns, planes = fit->shape.planes;
    back_from(self, row, row, 1);
    for (int near = most(row - 1, 0); near < least(row + 2, rows); near++)
        for (int dy = 0; dy < 3; dy++) /* A row at the border is also seen in place of the rows beyond it. */
            if (within(near + dy - 1, 0, rows - 1) == row && !(near == row && dy == 1)) back_from(self, row, near, dy);
    for (int plane = 0; plane < planes; plane++) {
        float *target = gradient_row(self, plane, row);
        for (int x = columns / LANES * LANES; x < stop * LANES; x += LANES)
            store(target + x, first(load(target + x), columns - x));
    }
}

/* The synthesis and its gradients, run by run: FORMAT.md, chapter 7.

   Rows are taken in pairs, and columns by their parity. Then an upsampling is four products of the same few rows; the
   other layers do not care about the order of pixels. A run has four phases of up to PHASE pixels: even row and even
   column, even and odd, odd and even, both odd.

   Each octave is made whole, coarse to fine, then taken back, fine to coarse. The residual layer behind them and the
   loss are in distortion.c. */
#include "level.h"

#define PART 12 /* vectors of a part of a run, whose top channels stay in the first cache */

/* A run of a pair of rows. */
typedef struct {
    int o, pair;
    const octave *here;
    int x;       /* its first column, halved: the first of its phases */
    int vectors; /* of a phase */
} run;

#define PHASE_OF(rows, run, number) ((rows) + (number) * (run)->vectors * LANES)

static run run_of(const worker *self, int o, int pair, int number) {
    const octave *here = &self->fit->octaves[o];
    int x = number * PHASE;
    return (run){o, pair, here, x, vectors_of(least(PHASE, (here->columns + 1) / 2 - x))};
}

static float *block_of(const run *run) {
    int64_t number = (int64_t)run->pair * run->here->runs + run->x / PHASE;
    return run->here->blocks + number * run->here->channels * ROW;
}

static float *up_row(const worker *self, float *rows, int channel, int parity) {
    return rows + (2 * channel + parity) * self->fit->up_pitch + SIDE;
}

static matrix up_matrix(const worker *self, int o) {
    int reach = 2 * (int)self->fit->shape.header.taps + 1;
    return (matrix){weights_of(self) + self->fit->derived.up[o], reach, 1};
}

/* Sort a run of a pair's rows by phases, multiplied by `gain`: of each row first the even columns, then the odd ones. A
   row that is not there gives zeros. */
INLINE void split_pair(const run *run, float *target, const float *source, int64_t pitch, float gain) {
    for (int row = 0; row < 2; row++) {
        float *evens = PHASE_OF(target, run, 2 * row), *odds = PHASE_OF(target, run, 2 * row + 1);
        if (2 * run->pair + row >= run->here->rows) {
            clear(evens, 2 * run->vectors * LANES);
            continue;
        }
        const float *from = source + row * pitch;
        for (int x = 0; x < run->vectors * LANES; x += LANES) {
            floats a = load(from + 2 * x), b = load(from + 2 * x + LANES);
            store(evens + x, gain * even(a, b));
            store(odds + x, gain * odd(a, b));
        }
    }
}

/* The inverse of `split_pair`, for the rows that are there. */
INLINE void join_pair(const run *run, float *target, int64_t pitch, const float *source, float gain) {
    for (int row = 0; row < least(2, run->here->rows - 2 * run->pair); row++) {
        const float *evens = PHASE_OF(source, run, 2 * row), *odds = PHASE_OF(source, run, 2 * row + 1);
        float *to = target + row * pitch;
        for (int x = 0; x < run->vectors * LANES; x += LANES) {
            floats a = gain * load(evens + x), b = gain * load(odds + x);
            store(to + 2 * x, low(a, b));
            store(to + 2 * x + LANES, high(a, b));
        }
    }
}

/* Upsample the coarse rows around a pair across: for every channel an even and an odd row at the coarser octave's
   columns. */
static void make_up_rows(worker *self, int o, int pair) {
    const octave *here = &self->fit->octaves[o], *coarser = here + 1;
    if (here->is_coarsest) return;
    int taps = (int)self->fit->shape.header.taps, columns = coarser->columns;
    float *sources[MOST_ROWS], *targets[MOST_ROWS];
    for (int channel = 0; channel < here->channels; channel++) {
        for (int k = 0; k <= 2 * taps; k++)
            sources[k] = row_of(here->mixed, channel, within(pair - taps + k, 0, coarser->rows - 1));
        for (int parity = 0; parity < 2; parity++) targets[parity] = up_row(self, self->up_rows, channel, parity);
        affine(targets, 2, sources, 2 * taps + 1, up_matrix(self, o), NULL, NO_RELU, vectors_of(columns));
        for (int parity = 0; parity < 2; parity++)
            for (int k = 0; k < taps; k++) {
                targets[parity][-1 - k] = targets[parity][0];
                targets[parity][columns + k] = targets[parity][columns - 1];
            }
    }
}

/* Gather the filtered code of a run by phases. */
static void gather_code(worker *self, const run *run) {
    grid filtered = run->here->code[FILTERED];
    for (int plane = 0; plane < run->here->planes; plane++)
        split_pair(
            run, self->code_run + plane * ROW, row_of(filtered, plane, 2 * run->pair) + 2 * run->x, filtered.pitch,
            1.f / SYNTHESIS_UNIT);
}

/* Make the hidden channels of a run, in rows of ROW numbers from `hidden` on. */
static void make_hidden(worker *self, const run *run, float *hidden) {
    const octave *here = run->here;
    const weights *at = &self->fit->tensors;
    int taps = (int)self->fit->shape.header.taps, size = run->vectors * LANES;
    float *targets[MOST_ROWS], *sources[MOST_ROWS];
    gather_code(self, run);
    list_rows(targets, here->channels, hidden, ROW);
    list_rows(sources, here->planes, self->code_run, ROW);
    affine(
        targets, here->channels, sources, here->planes, matrix_of(weights_of(self), &at->code[run->o]),
        weights_of(self) + at->bias[run->o].at, here->is_coarsest ? here->linear : NO_RELU, 4 * run->vectors);
    if (here->is_coarsest) return;
    for (int channel = 0; channel < here->channels; channel++)
        for (int parity = 0; parity < 2; parity++) {
            list_rows(targets, 2, hidden + channel * ROW + 2 * parity * size, size);
            list_rows(sources, 2 * taps + 1, up_row(self, self->up_rows, channel, parity) + run->x - taps, 1);
            added(
                targets, 2, sources, 2 * taps + 1, up_matrix(self, run->o), channel < here->linear ? NO_RELU : 0,
                run->vectors);
        }
}

/* Make a thread's rows of the hidden channels of octave `o` (not 0), and of what the finer one upsamples. */
void forward(worker *self, int o) {
    const octave *here = &self->fit->octaves[o], *finer = here - 1;
    pairs own_pairs = pairs_of(here, self);
    matrix mix = matrix_of(weights_of(self), &self->fit->tensors.mix[o - 1]);
    float *targets[MOST_ROWS], *sources[MOST_ROWS];
    filter_code(self, o);
    for (int pair = own_pairs.first; pair < own_pairs.stop; pair++) {
        make_up_rows(self, o, pair);
        for (int number = 0; number < here->runs; number++) {
            run run = run_of(self, o, pair, number);
            make_hidden(self, &run, block_of(&run));
            list_rows(targets, finer->channels, self->outputs, ROW);
            list_rows(sources, here->channels, block_of(&run), ROW);
            affine(targets, finer->channels, sources, here->channels, mix, NULL, NO_RELU, 4 * run.vectors);
            for (int channel = 0; channel < finer->channels; channel++)
                join_pair(
                    &run, row_of(finer->mixed, channel, 2 * pair) + 2 * run.x, finer->mixed.pitch, targets[channel], 1);
        }
    }
}

/* Make the channels of the top layer for a part of a run, behind those of the finest octave. */
static void make_top(worker *self, int x, int vectors) {
    const weights *at = &self->fit->tensors;
    int channels = self->fit->octaves[0].channels, tops = (int)self->fit->shape.header.top_channels;
    float *targets[MOST_ROWS], *sources[MOST_ROWS];
    list_rows(targets, tops, self->hidden + channels * ROW + x, ROW);
    list_rows(sources, channels, self->hidden + x, ROW);
    affine(
        targets, tops, sources, channels, matrix_of(weights_of(self), &at->top_weight),
        weights_of(self) + at->top_bias.at, 0, vectors);
}

/* Make a thread's rows of what the residual layer sees. */
void make_outputs(worker *self) {
    const ddc_fit *fit = self->fit;
    const octave *here = &fit->octaves[0];
    pairs own_pairs = pairs_of(here, self);
    int count = here->channels + (int)fit->shape.header.top_channels;
    const float *w = weights_of(self);
    float *targets[MOST_ROWS], *sources[MOST_ROWS];
    filter_code(self, 0);
    for (int pair = own_pairs.first; pair < own_pairs.stop; pair++) {
        make_up_rows(self, 0, pair);
        for (int number = 0; number < here->runs; number++) {
            run run = run_of(self, 0, pair, number);
            make_hidden(self, &run, self->hidden);
            for (int part = 0; part < 4 * run.vectors; part += PART) {
                int x = part * LANES, vectors = least(PART, 4 * run.vectors - part);
                make_top(self, x, vectors);
                list_rows(targets, fit->shape.planes, self->outputs + x, ROW);
                list_rows(sources, count, self->hidden + x, ROW);
                affine(
                    targets, fit->shape.planes, sources, count, matrix_of(w, &fit->tensors.output_weight),
                    w + fit->tensors.output_bias.at, NO_RELU, vectors);
            }
            for (int plane = 0; plane < fit->shape.planes; plane++)
                join_pair(
                    &run, row_of(fit->outputs, plane, 2 * pair) + 2 * run.x, fit->outputs.pitch,
                    self->outputs + plane * ROW, 1);
        }
        /* The outermost outputs are also seen in place of the columns beyond them. */
        for (int row = 2 * pair; row < least(2 * pair + 2, here->rows); row++)
            for (int plane = 0; plane < fit->shape.planes; plane++) {
                float *outputs = row_of(fit->outputs, plane, row);
                outputs[-1] = outputs[0];
                outputs[here->columns] = outputs[here->columns - 1];
            }
    }
}

/* ---- the way back ---- */

/* Clear a thread's halos and the first rows that it adds gradients to. */
static void clear_back(worker *self, int o, pairs own_pairs) {
    const octave *here = &self->fit->octaves[o];
    if (here->is_coarsest || own_pairs.first >= own_pairs.stop) return;
    int taps = (int)self->fit->shape.header.taps;
    /* The first pair reaches so many rows down; every pair then clears one more. */
    clear(
        row_of(here->by_mixed, 0, own_pairs.first),
        least(taps, own_pairs.stop - own_pairs.first) * here->by_mixed.pitch);
    clear(self->halo_mixed + here->halo_mixed, 2 * taps * here->by_mixed.pitch);
    clear(self->by_up_rows, 2 * here->channels * self->fit->up_pitch);
}

/* Clear a row of gradients just before it is first added to: so it comes into the cache once, not twice. */
static void clear_next_row(const worker *self, const octave *here, int pair, pairs own_pairs) {
    int row = pair + (int)self->fit->shape.header.taps;
    if (!here->is_coarsest && row < own_pairs.stop) clear(row_of(here->by_mixed, 0, row), here->by_mixed.pitch);
}

/* Go back from the gradients by a run's outputs to all below. These gradients are `count` rows in `outputs`. The
   outputs come from `hidden` by weights whose transpose is `back`. */
static void back_through_run(worker *self, const run *run, float *hidden, matrix back, int count) {
    const ddc_fit *fit = self->fit;
    const octave *here = run->here;
    int channels = here->channels, size = run->vectors * LANES, taps = (int)fit->shape.header.taps;
    float *targets[MOST_ROWS], *sources[MOST_ROWS], *gates[MOST_ROWS];
    for (int phase = 0; phase < 4; phase++) {
        float *gapped = self->by_hidden + SIDE + phase * (PHASE + SIDE);
        list_rows(targets, channels, gapped, GAPPED);
        list_rows(sources, count, PHASE_OF(self->outputs, run, phase), ROW);
        list_rows(gates, channels, PHASE_OF(hidden, run, phase), ROW);
        gated(targets, channels, sources, count, back, gates, here->linear, run->vectors);
        if (size < PHASE)
            for (int channel = 0; channel < channels; channel++) clear(targets[channel] + size, SIDE);
        if (!fit->is_passed) {
            list_rows(sources, here->planes, PHASE_OF(self->code_run, run, phase), ROW);
            sources[here->planes] = fit->ones;
            outer(self->sums + fit->sums.join[run->o], targets, channels, sources, here->planes + 1, run->vectors);
        }
        list_rows(sources, here->planes, PHASE_OF(self->by_code_run, run, phase), ROW);
        affine(
            sources, here->planes, targets, channels,
            transposed(matrix_of(weights_of(self), &fit->tensors.code[run->o])), NULL, NO_RELU, run->vectors);
    }
    grid by_filtered = here->code[BY_FILTERED];
    for (int plane = 0; plane < here->planes; plane++)
        join_pair(
            run, row_of(by_filtered, plane, 2 * run->pair) + 2 * run->x, by_filtered.pitch,
            self->by_code_run + plane * ROW, 1.f / SYNTHESIS_UNIT);
    if (here->is_coarsest) return;
    const float *along = weights_of(self) + fit->derived.along[run->o];
    for (int channel = 0; channel < channels; channel++)
        for (int parity = 0; parity < 2; parity++) {
            float *evens = self->by_hidden + channel * GAPPED + SIDE + 2 * parity * (PHASE + SIDE);
            float *odds = evens + PHASE + SIDE;
            list_rows(targets, 2, evens, PHASE + SIDE);
            list_rows(sources, 2 * taps + 1, up_row(self, self->up_rows, channel, parity) + run->x - taps, 1);
            outer(self->sums + fit->sums.up[run->o], targets, 2, sources, 2 * taps + 1, run->vectors);
            /* The target starts `taps` columns to the left of the run. */
            list_rows(sources, 2 * taps, evens, -1);
            list_rows(sources + 2 * taps, 2 * taps, odds - 1, -1);
            float *target = up_row(self, self->by_up_rows, channel, parity) + run->x - taps;
            added(
                &target, 1, sources, 4 * taps, (matrix){along, 4 * taps, 1}, NO_RELU,
                run->vectors + vectors_of(2 * taps));
        }
}

/* Add the adjoint of `make_up_rows` to the gradients by the coarse rows around a pair. Then the pair's own rows are
   zeros again. */
static void back_to_rows(worker *self, int o, int pair, pairs own_pairs) {
    const ddc_fit *fit = self->fit;
    const octave *here = &fit->octaves[o], *coarser = here + 1;
    if (here->is_coarsest) return;
    int taps = (int)fit->shape.header.taps, reach = 2 * taps + 1, columns = coarser->columns;
    int vectors = vectors_of(columns);
    matrix up = up_matrix(self, o);
    float *targets[MOST_ROWS], *sources[MOST_ROWS], *lines[MOST_ROWS];
    /* Where rows are clamped some targets are the same row; a product of several rows would not add those up. */
    int is_clamped = pair < taps || pair + taps >= coarser->rows;
    for (int channel = 0; channel < here->channels; channel++) {
        for (int parity = 0; parity < 2; parity++) {
            float *line = lines[parity] = up_row(self, self->by_up_rows, channel, parity);
            /* The outermost columns are also seen in place of the columns beyond them. */
            for (int k = 1; k <= taps; k++) {
                line[0] += line[-k];
                line[columns - 1] += line[columns - 1 + k];
                line[columns - 1 + k] = 0;
            }
        }
        for (int k = 0; k < reach; k++) {
            int row = within(pair - taps + k, 0, coarser->rows - 1);
            sources[k] = row_of(here->mixed, channel, row);
            float *halo = self->halo_mixed + here->halo_mixed + channel * here->by_mixed.plane;
            if (row < own_pairs.first)
                targets[k] = halo + (row - own_pairs.first + taps) * here->by_mixed.pitch;
            else if (row >= own_pairs.stop)
                targets[k] = halo + (row - own_pairs.stop + taps) * here->by_mixed.pitch;
            else
                targets[k] = row_of(here->by_mixed, channel, row);
        }
        outer(self->sums + fit->sums.up[o], lines, 2, sources, reach, vectors);
        int height = is_clamped ? 1 : reach;
        for (int k = 0; k < reach; k += height)
            added(targets + k, height, lines, 2, (matrix){up.at + k, up.by_input, up.by_output}, NO_RELU, vectors);
    }
    clear(self->by_up_rows, 2 * here->channels * fit->up_pitch);
}

/* Compute all gradients of the finest octave for a thread's rows, from those by the samples. The hidden channels are
   made again, which is faster than to keep them. */
void finest_back(worker *self) {
    const ddc_fit *fit = self->fit;
    const octave *here = &fit->octaves[0];
    const weights *at = &fit->tensors;
    pairs own_pairs = pairs_of(here, self);
    int outputs = fit->shape.planes, tops = (int)fit->shape.header.top_channels, channels = here->channels;
    float *top = self->hidden + channels * ROW, *by_top = self->outputs + outputs * ROW;
    const float *w = weights_of(self);
    matrix output = matrix_of(w, &at->output_weight);
    matrix top_back = {output.at + channels, output.by_input, output.by_output};
    matrix back = {w + fit->derived.output_back, outputs + tops, 1};
    float *by_outputs[MOST_ROWS], *sources[MOST_ROWS], *by_tops[MOST_ROWS], *gates[MOST_ROWS];
    clear_back(self, 0, own_pairs);
    for (int pair = own_pairs.first; pair < own_pairs.stop; pair++) {
        make_up_rows(self, 0, pair);
        clear_next_row(self, here, pair, own_pairs);
        for (int row = 2 * pair; row < least(2 * pair + 2, here->rows); row++)
            residual_back(self, row, 2 * vectors_of((here->columns + 1) / 2));
        for (int number = 0; number < here->runs; number++) {
            run run = run_of(self, 0, pair, number);
            make_hidden(self, &run, self->hidden);
            for (int plane = 0; plane < outputs; plane++)
                split_pair(
                    &run, self->outputs + plane * ROW, gradient_row(self, plane, 2 * pair) + 2 * run.x,
                    self->gradients.pitch, 1);
            for (int part = 0; part < 4 * run.vectors; part += PART) {
                int x = part * LANES, vectors = least(PART, 4 * run.vectors - part);
                make_top(self, x, vectors);
                list_rows(by_outputs, outputs, self->outputs + x, ROW);
                list_rows(sources, channels + tops, self->hidden + x, ROW);
                sources[channels + tops] = fit->ones;
                outer(self->sums + fit->sums.output, by_outputs, outputs, sources, channels + tops + 1, vectors);
                list_rows(by_tops, tops, by_top + x, ROW);
                list_rows(gates, tops, top + x, ROW);
                gated(by_tops, tops, by_outputs, outputs, top_back, gates, 0, vectors);
                sources[channels] = fit->ones;
                outer(self->sums + fit->sums.top, by_tops, tops, sources, channels + 1, vectors);
            }
            back_through_run(self, &run, self->hidden, back, outputs + tops);
        }
        back_to_rows(self, 0, pair, own_pairs);
        if (pair % FOLDED_ROWS == FOLDED_ROWS - 1) fold_sums(self);
    }
}

/* Compute the gradients of octave `o` (not 0) for a thread's rows, from those by what the finer octave upsampled. */
void backward(worker *self, int o) {
    const ddc_fit *fit = self->fit;
    const octave *here = &fit->octaves[o], *finer = here - 1;
    pairs own_pairs = pairs_of(here, self);
    matrix back = transposed(matrix_of(weights_of(self), &fit->tensors.mix[o - 1]));
    float *by_mixed[MOST_ROWS], *sources[MOST_ROWS];
    clear_back(self, o, own_pairs);
    for (int pair = own_pairs.first; pair < own_pairs.stop; pair++) {
        make_up_rows(self, o, pair);
        clear_next_row(self, here, pair, own_pairs);
        for (int number = 0; number < here->runs; number++) {
            run run = run_of(self, o, pair, number);
            list_rows(by_mixed, finer->channels, self->outputs, ROW);
            for (int channel = 0; channel < finer->channels; channel++)
                split_pair(
                    &run, by_mixed[channel], row_of(finer->by_mixed, channel, 2 * pair) + 2 * run.x,
                    finer->by_mixed.pitch, 1);
            if (!fit->is_passed) {
                list_rows(sources, here->channels, block_of(&run), ROW);
                outer(
                    self->sums + fit->sums.mix[o - 1], by_mixed, finer->channels, sources, here->channels,
                    4 * run.vectors);
                gather_code(self, &run);
            }
            back_through_run(self, &run, block_of(&run), back, finer->channels);
        }
        back_to_rows(self, o, pair, own_pairs);
        if (pair % FOLDED_ROWS == FOLDED_ROWS - 1) fold_sums(self);
    }
}

/* Add the gradients in a thread's halos to the coarse rows of other threads. It stands between two waits, since those
   threads must have done with these rows. */
void merge_mixed(worker *self, int o) {
    const octave *here = &self->fit->octaves[o], *coarser = here + 1;
    pairs own_pairs = pairs_of(here, self);
    if (here->is_coarsest || own_pairs.first >= own_pairs.stop) return;
    int taps = (int)self->fit->shape.header.taps;
    int64_t size = taps * here->by_mixed.pitch;
    const float *halo = self->halo_mixed + here->halo_mixed;
    if (own_pairs.first) add_onto(row_of(here->by_mixed, 0, own_pairs.first - taps), halo, size);
    if (own_pairs.stop < coarser->rows) add_onto(row_of(here->by_mixed, 0, own_pairs.stop), halo + size, size);
}

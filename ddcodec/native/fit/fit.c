/* A fit's memory, and what is done between passes. */
#include "plan.h"

#include <string.h>

#define TAKE(count) take(memory, sizeof(float) * (uint64_t)(count))

/* Planes of rows with `beside` zeros on both sides, and at least as many behind the last. */
static grid take_grid(arena *memory, int count, int rows, int64_t columns, int beside) {
    grid result = {.pitch = whole(columns) + 2 * beside};
    result.plane = rows * result.pitch;
    float *at = TAKE(count * result.plane + beside);
    result.at = at ? at + beside : NULL;
    return result;
}

/* So many numbers hold rows that are written in pairs of vectors. */
static int64_t in_pairs(int64_t columns) { return 2 * whole((columns + 1) / 2); }

static void shape_octave(const ddc_fit *fit, int o, octave *own) {
    const shape *shape = &fit->shape;
    own->rows = shape->rows[o];
    own->columns = shape->columns[o];
    own->planes = shape->code_planes[o];
    own->filtered = shape->filtered[o];
    own->channels = shape->channels[o];
    own->linear = shape->linear[o];
    own->seen = o ? shape->seen[o - 1] : 0;
    own->has_parent = shape->seen[o] > 0;
    own->runs = ((own->columns + 1) / 2 + PHASE - 1) / PHASE;
    own->is_coarsest = o == shape->octaves - 1;
}

/* The arrays of the code have three rows of zeros above each plane, and SIDE zeros beside each row. So a neighbour is a
   shifted row. Each octave ends with two more, which its filter sees below the last plane. */
static void take_code(ddc_fit *fit, arena *memory) {
    int64_t size = 0, position = 0, places[MOST_OCTAVES];
    int place = 0;
    for (int o = 0; o < fit->shape.octaves; o++) {
        octave *own = &fit->octaves[o];
        grid code = {.pitch = whole(own->columns) + SIDE};
        code.plane = (own->rows + ABOVE) * code.pitch;
        places[o] = size + ABOVE * code.pitch + SIDE;
        size += own->planes * code.plane + FILTER_SIDE / 2 * code.pitch;
        own->position = position;
        position += (int64_t)own->planes * own->rows * own->columns;
        for (int array = 0; array < CODE_ARRAYS; array++) own->code[array] = code;
    }
    for (int o = fit->shape.octaves - 1; o >= 0; o--) {
        fit->octaves[o].place = place;
        place += fit->octaves[o].planes > 0;
    }
    for (int array = 0; array < CODE_ARRAYS; array++) {
        /* Vectors at a plane's end reach beyond it. */
        float *at = TAKE(size + 8 * SIDE);
        for (int o = 0; o < fit->shape.octaves; o++) fit->octaves[o].code[array].at = at ? at + places[o] : NULL;
    }
}

static void take_octave(int o, arena *memory, octave *own) {
    const octave *coarser = own + 1;
    int64_t columns = in_pairs(own->columns);
    if (own->seen) {
        own->raised = take_grid(memory, own->seen - 1, own->rows, columns, 0);
        own->handed = take_grid(memory, FEATURES, own->rows, columns, 0);
        own->by_handed = take_grid(memory, SEEN_FEATURES, own->rows, columns, 0);
        own->by_seen = take_grid(memory, own->seen, own->rows, columns, 0);
    }
    if (o) own->blocks = TAKE((own->rows + 1) / 2 * (int64_t)own->runs * own->channels * ROW);
    if (own->is_coarsest) return;
    /* A row of all channels follows another. */
    grid mixed = {.plane = in_pairs(coarser->columns)};
    mixed.pitch = own->channels * mixed.plane;
    own->mixed = own->by_mixed = mixed;
    own->mixed.at = TAKE(coarser->rows * mixed.pitch);
    own->by_mixed.at = TAKE(coarser->rows * mixed.pitch);
}

static void take_weights_of_fit(ddc_fit *fit, arena *memory) {
    const ddc_header *header = &fit->shape.header;
    int64_t hidden = header->context_channels, inputs = header->neighbours + SEEN_FEATURES, taps = header->taps;
    derived *derived = &fit->derived;
    fit->weight_count = place_tensors(&fit->shape, &fit->tensors);
    int64_t size = whole(fit->weight_count);
    derived->context_back = size;
    size += inputs * (hidden + 2);
    derived->output_back = size;
    size += fit->octaves[0].channels * ((int64_t)fit->shape.planes + header->top_channels);
    derived->square = size;
    derived->square_back = size + SQUARE * fit->shape.planes * fit->shape.planes;
    size += 2 * SQUARE * fit->shape.planes * fit->shape.planes;
    for (int o = 0; o < fit->shape.octaves; o++, size += FILTER_PLACES) derived->filter[o] = size;
    for (int o = 0; o < fit->shape.octaves - 1; o++) {
        derived->up[o] = size;
        derived->along[o] = size + 2 * (2 * taps + 1);
        size += 2 * (2 * taps + 1) + 4 * taps;
    }
    for (int i = 0; i < 2; i++) fit->weights[i] = TAKE(size);
    fit->by_weight = take(memory, sizeof(double) * (uint64_t)fit->weight_count);
}

static void place_sums(ddc_fit *fit) {
    const ddc_header *header = &fit->shape.header;
    int64_t hidden = header->context_channels, inputs = header->neighbours + SEEN_FEATURES, size = 0;
    int64_t planes = fit->shape.planes, channels = fit->octaves[0].channels, top = header->top_channels;
    sums *sums = &fit->sums;
#define PLACE(name, rows, columns) sums->name = size, size += (rows) * (int64_t)(columns) * fit->lanes
    PLACE(context[0], hidden, inputs + 1);
    PLACE(context[1], hidden, hidden + 1);
    PLACE(context[2], 2, hidden + inputs);
    for (int i = 0; i < fit->shape.coded_octaves; i++) PLACE(context_bias[i], 2, 1);
    for (int o = 0; o < fit->shape.octaves; o++) {
        const octave *own = &fit->octaves[o];
        if (own->seen) PLACE(features[o - 1], FEATURES, own->seen);
        PLACE(filter[o], 1, FILTER_PLACES);
        PLACE(join[o], own->channels, own->planes + 1);
        if (own->is_coarsest) continue;
        PLACE(mix[o], own->channels, own[1].channels);
        PLACE(up[o], 2, 2 * header->taps + 1);
    }
    PLACE(top, top, channels + 1);
    PLACE(output, planes, channels + top + 1);
    PLACE(residual, planes, SQUARE * planes);
    sums->size = size;
}

/* Samples and all that has their size. */
static void take_picture(ddc_fit *fit, arena *memory) {
    int planes = fit->shape.planes, rows = fit->octaves[0].rows;
    int64_t columns = in_pairs(fit->octaves[0].columns);
    fit->target_pitch = columns;
    fit->target = take(memory, sizeof(uint16_t) * (uint64_t)(planes * rows * columns));
    fit->parts = take_grid(memory, 1, rows, columns, 0);
    if (fit->is_masked) fit->known = take_grid(memory, 1, rows, columns, 0);
    fit->outputs = take_grid(memory, planes, rows, columns, SIDE);
    fit->errors = take_grid(memory, planes, rows, columns, SIDE);
    fit->means = take_grid(memory, planes, rows, columns, SIDE);
    fit->gradients_before = take_grid(memory, planes, rows, columns, SIDE);
    /* No pass keeps parts of pixels and sums samples. */
    fit->errors_before = fit->means;
    if (!fit->has_levels) return;
    fit->edges = take_grid(memory, 1, rows, columns, SIDE);
    for (int level = 0; level < LEVELS; level++)
        fit->levels[level] = take_grid(
            memory, planes, (int)ddc_rows(&fit->shape.header, (uint32_t)level),
            ddc_columns(&fit->shape.header, (uint32_t)level), 0);
}

/* What the threads read and none writes, and sizes that they share. */
static void take_shared(ddc_fit *fit, arena *memory) {
    int columns = 0;
    fit->zeros = TAKE(RUN);
    fit->ones = TAKE(RUN);
    if (fit->ones)
        for (int i = 0; i < RUN; i++) fit->ones[i] = 1;
    for (int o = 1; o < fit->shape.octaves; o++) columns = most(columns, fit->octaves[o].columns);
    fit->up_pitch = whole(columns) + 3 * SIDE;
    fit->feature_pitch = whole(fit->octaves[0].columns) + 4 * SIDE;
    int64_t code = 0, handed = 0, mixed = 0;
    for (int o = 0; o < fit->shape.octaves; o++) {
        octave *own = &fit->octaves[o];
        own->halo_code = code;
        code += own->planes * ABOVE * own->code[DDC_Q].pitch;
        own->halo_handed = handed;
        if (own->seen) handed += 2 * SEEN_FEATURES * own->by_handed.pitch;
        own->halo_mixed = mixed;
        if (!own->is_coarsest) mixed += 2 * (int64_t)fit->shape.header.taps * own->by_mixed.pitch;
    }
    fit->halo_sizes[0] = code;
    fit->halo_sizes[1] = handed;
    fit->halo_sizes[2] = mixed;
}

static void take_worker(ddc_fit *fit, arena *memory, worker *own) {
    const ddc_header *header = &fit->shape.header;
    int hidden = (int)header->context_channels, top = (int)header->top_channels, samples = fit->shape.planes;
    int channels = 0, planes = 0;
    for (int o = 0; o < fit->shape.octaves; o++) {
        channels = most(channels, fit->octaves[o].channels);
        planes = most(planes, fit->octaves[o].planes);
    }
    int widest = most(channels, most(fit->octaves[0].channels, samples) + top);
    assert(hidden + NEIGHBOURS + SEEN_FEATURES < MOST_ROWS && widest + planes + 2 < MOST_ROWS);
    own->fit = fit;
    own->sums = TAKE(fit->sums.size);
    own->totals = take(memory, sizeof(double) * (uint64_t)(fit->sums.size / fit->lanes));
    own->hidden_1 = TAKE(hidden * ROW);
    own->hidden_2 = TAKE(hidden * ROW);
    own->laplace = TAKE(2 * ROW);
    own->by_inputs = TAKE(header->neighbours * SHIFTED + SIDE);
    own->features = TAKE(SEEN_FEATURES * fit->feature_pitch);
    own->by_features = TAKE(SEEN_FEATURES * fit->feature_pitch);
    own->across = TAKE(2 * fit->feature_pitch);
    own->hidden = TAKE((fit->octaves[0].channels + top) * (int64_t)ROW);
    own->by_hidden = TAKE(channels * (int64_t)GAPPED);
    own->outputs = TAKE(widest * (int64_t)ROW);
    own->code_run = TAKE(planes * ROW);
    own->by_code_run = TAKE(planes * ROW);
    own->up_rows = TAKE(2 * channels * fit->up_pitch);
    own->by_up_rows = TAKE(2 * channels * fit->up_pitch);
    own->gradients = take_grid(memory, samples, 2, in_pairs(fit->octaves[0].columns), SIDE);
    if (fit->has_levels) {
        own->ring = take_grid(memory, samples, RING, in_pairs(fit->octaves[0].columns), SIDE);
        own->level_rows = take_grid(memory, samples, 3, in_pairs(fit->octaves[0].columns), SIDE);
        own->halo_rows = take_grid(memory, samples, 1, in_pairs(fit->octaves[0].columns), SIDE);
    }
    /* Vectors at the end of a row of code reach beyond it. */
    own->halo_code = TAKE(fit->halo_sizes[0] + SIDE);
    own->halo_handed = TAKE(fit->halo_sizes[1]);
    own->halo_mixed = TAKE(fit->halo_sizes[2]);
}

/* ---- levels ---- */

typedef struct {
    int level, lanes;
    void (*run_pass)(worker *self);
    void (*convolve)(const ddc_fit_layer *layer);
} fit_level;

#define DECLARE(number)                                                                                                \
    void run_pass_##number(worker *self);                                                                              \
    void convolve_##number(const ddc_fit_layer *layer);
#define LEVEL(number, lanes) {number, lanes, run_pass_##number, convolve_##number}

#if defined(__x86_64__) && !defined(DDC_PLAIN)
DECLARE(0)
DECLARE(2)
DECLARE(3)
static const fit_level LEVELS_OF_FIT[] = {LEVEL(0, 4), LEVEL(2, 8), LEVEL(3, 16)};
#elif defined(__aarch64__) && !defined(DDC_PLAIN)
DECLARE(5)
static const fit_level LEVELS_OF_FIT[] = {LEVEL(5, 4)};
#else
DECLARE(0)
static const fit_level LEVELS_OF_FIT[] = {LEVEL(0, 4)};
#endif

/* The last of a list that ascends, up to the best of this machine and to a limit, or the first. */
static const fit_level *level_for(int limit) {
    int best = best_level(), chosen = 0;
    if (limit >= 0 && limit < best) best = limit;
    for (int i = 1; i < (int)(sizeof LEVELS_OF_FIT / sizeof *LEVELS_OF_FIT); i++)
        if (LEVELS_OF_FIT[i].level <= best) chosen = i;
    return &LEVELS_OF_FIT[chosen];
}

void ddc_fit_convolve(const ddc_fit_layer *layer) { level_for(-1)->convolve(layer); }

/* Lay a fit out in memory, or with no memory only count. */
static void lay_out(const ddc_header *header, const ddc_fit_options *options, arena *memory, ddc_fit *fit) {
    shape_of(header, &fit->shape);
    fit->threads = (int)options->threads;
    fit->is_masked = options->is_masked;
    fit->has_levels = options->has_levels;
    fit->is_passed = options->is_passed;
    const fit_level *level = level_for(options->vectors);
    fit->lanes = level->lanes;
    fit->run_pass = level->run_pass;
    for (int o = 0; o < fit->shape.octaves; o++) shape_octave(fit, o, &fit->octaves[o]);
    take_code(fit, memory);
    for (int o = 0; o < fit->shape.octaves; o++) take_octave(o, memory, &fit->octaves[o]);
    take_weights_of_fit(fit, memory);
    place_sums(fit);
    take_picture(fit, memory);
    take_shared(fit, memory);
    fit->workers = take(memory, sizeof(worker) * (uint64_t)fit->threads);
    for (int i = 0; i < fit->threads; i++) {
        worker spare = {0}, *own = fit->workers ? &fit->workers[i] : &spare;
        own->number = i;
        take_worker(fit, memory, own);
    }
}

static int is_possible(const ddc_header *header, const ddc_fit_options *options) {
    return header->width && header->height && (header->planes == 1 || header->planes == 3) && header->octaves >= 1 &&
           header->octaves <= MOST_OCTAVES && header->taps >= 1 && header->taps <= 4 &&
           header->neighbours <= NEIGHBOURS && options->threads >= 1 && options->threads <= DDC_FIT_MOST_THREADS;
}

uint64_t ddc_fit_memory(const ddc_header *header, const ddc_fit_options *options) {
    arena memory = {0};
    ddc_fit fit = {0};
    if (!is_possible(header, options)) return 0;
    take(&memory, sizeof fit);
    take(&memory, crew_bytes((int)options->threads));
    lay_out(header, options, &memory, &fit);
    return memory.used;
}

ddc_fit *ddc_fit_start(const ddc_header *header, const ddc_fit_options *options, void *memory) {
    arena arena = {.start = memory, .size = ddc_fit_memory(header, options)};
    FORBID(memory, arena.size);
    ddc_fit *fit = take(&arena, sizeof *fit);
    fit->crew = take(&arena, crew_bytes((int)options->threads));
    lay_out(header, options, &arena, fit);
    return start_crew(fit) ? fit : NULL;
}

void ddc_fit_end(ddc_fit *fit) { end_crew(fit->crew); }

uint32_t ddc_fit_lanes(const ddc_fit *fit) { return (uint32_t)fit->lanes; }

static ddc_fit_view view_of(grid grid, int plane, int64_t rows, int64_t columns) {
    return (ddc_fit_view){grid.at ? row_of(grid, plane, 0) : NULL, rows, columns, grid.pitch};
}

ddc_fit_view ddc_fit_see(const ddc_fit *fit, int array, int octave, int plane) {
    int rows = fit->octaves[0].rows, columns = fit->octaves[0].columns;
    switch (array) {
    case DDC_WEIGHTS:
        return (ddc_fit_view){fit->weights[0], 1, fit->weight_count, fit->weight_count};
    case DDC_TRIAL:
        return (ddc_fit_view){fit->weights[1], 1, fit->weight_count, fit->weight_count};
    case DDC_BY_WEIGHT:
        return (ddc_fit_view){fit->by_weight, 1, fit->weight_count, fit->weight_count};
    case DDC_TARGET:
        return (ddc_fit_view){fit->target + plane * rows * fit->target_pitch, rows, columns, fit->target_pitch};
    case DDC_KNOWN:
        return view_of(fit->known, 0, rows, columns);
    case DDC_PARTS:
        return view_of(fit->parts, 0, rows, columns);
    case DDC_SUMS:
        return view_of(fit->means, plane, rows, columns);
    case DDC_EDGES:
        return view_of(fit->edges, 0, rows, columns);
    case DDC_LEVELS:
        return view_of(
            fit->levels[octave], plane, ddc_rows(&fit->shape.header, (uint32_t)octave),
            ddc_columns(&fit->shape.header, (uint32_t)octave));
    default:
        return view_of(
            fit->octaves[octave].code[array], plane, fit->octaves[octave].rows, fit->octaves[octave].columns);
    }
}

/* ---- weights and their gradients ---- */

/* Derive from a block of weights what passes read. */
static void derive(ddc_fit *fit, int is_trial) {
    const weights *at = &fit->tensors;
    float *w = fit->weights[is_trial];
    int hidden = at->context_weight[1].rows, inputs = at->context_weight[0].columns;
    int planes = fit->shape.planes, channels = fit->octaves[0].channels, tops = (int)fit->shape.header.top_channels;
    const float *first = w + at->context_weight[0].at, *last = w + at->context_weight[2].at;
    float *back = w + fit->derived.context_back;
    for (int i = 0; i < inputs; i++, back += hidden + 2) {
        for (int j = 0; j < hidden; j++) back[j] = first[j * inputs + i];
        for (int j = 0; j < 2; j++) back[hidden + j] = last[j * (hidden + inputs) + hidden + i];
    }
    const float *output = w + at->output_weight.at, *top = w + at->top_weight.at;
    back = w + fit->derived.output_back;
    for (int i = 0; i < channels; i++, back += planes + tops) {
        for (int j = 0; j < planes; j++) back[j] = output[j * (channels + tops) + i];
        for (int j = 0; j < tops; j++) back[planes + j] = top[j * channels + i];
    }
    const float *residual = w + at->residual_weight.at;
    float *forward = w + fit->derived.square;
    back = w + fit->derived.square_back;
    for (int plane = 0; plane < planes; plane++)
        for (int place = 0; place < SQUARE; place++)
            for (int seen = 0; seen < planes; seen++) {
                int from = (SQUARE * plane + place) * planes + seen, dy = place / 3, dx = place % 3;
                float weight = residual[from] + (place == SQUARE / 2 && seen == plane);
                forward[from] = back[((planes * dy + seen) * 3 + dx) * planes + plane] = weight;
            }
    for (int o = 0; o < fit->shape.octaves; o++)
        for (int place = 0; place < FILTER_PLACES && fit->octaves[o].planes; place++)
            w[fit->derived.filter[o] + place] = w[at->filter[o].at + place] + (place == FILTER_PLACES / 2);
    int count = 2 * (int)fit->shape.header.taps;
    for (int o = 0; o < fit->shape.octaves - 1; o++) {
        const float *taps = w + at->taps[o].at;
        /* The even sample sees the first neighbours, the odd one the last, with the taps turned round. */
        float *up = w + fit->derived.up[o], *along = w + fit->derived.along[o];
        up[count] = up[count + 1] = 0;
        for (int k = 0; k < count; k++) {
            up[k] = along[k] = taps[k];
            up[count + 1 + k + 1] = along[count + k] = taps[count - 1 - k];
        }
    }
}

/* Of one entry of the sums, over all threads. */
static double summed(const ddc_fit *fit, int64_t at) {
    double result = 0;
    for (int thread = 0; thread < fit->threads; thread++) result += fit->workers[thread].totals[at / fit->lanes];
    return result;
}

/* Write the gradients by a tensor from the sums at `at`, which have rows of `columns` entries. */
static void gather(const ddc_fit *fit, const tensor *tensor, int64_t at, int columns) {
    for (int j = 0; j < tensor->rows; j++)
        for (int i = 0; i < tensor->columns; i++)
            fit->by_weight[tensor->at + j * tensor->columns + i] =
                summed(fit, at + ((int64_t)j * columns + i) * fit->lanes);
}

/* Those by a bias are in the last column. */
static void gather_with_bias(const ddc_fit *fit, const tensor *weight, const tensor *bias, int64_t at) {
    gather(fit, weight, at, weight->columns + 1);
    gather(fit, bias, at + weight->columns * fit->lanes, weight->columns + 1);
}

static void gather_all(const ddc_fit *fit) {
    const weights *at = &fit->tensors;
    const sums *sums = &fit->sums;
    gather_with_bias(fit, &at->context_weight[0], &at->context_bias[0], sums->context[0]);
    gather_with_bias(fit, &at->context_weight[1], &at->context_bias[1], sums->context[1]);
    gather(fit, &at->context_weight[2], sums->context[2], at->context_weight[2].columns);
    gather(fit, &at->context_bias[2], sums->context_bias[0], 2);
    for (int o = 0; o < fit->shape.octaves; o++) {
        const octave *own = &fit->octaves[o];
        if (own->seen) gather(fit, &at->features[o - 1], sums->features[o - 1], own->seen);
        if (own->planes) gather(fit, &at->filter[o], sums->filter[o], FILTER_SIDE);
        if (!fit->is_passed) {
            if (own->planes) gather(fit, &at->code[o], sums->join[o], own->planes + 1);
            gather(fit, &at->bias[o], sums->join[o] + own->planes * fit->lanes, own->planes + 1);
            if (!own->is_coarsest) gather(fit, &at->mix[o], sums->mix[o], at->mix[o].columns);
        }
        if (own->is_coarsest) continue;
        /* Every tap stands once in either row of an upsampling's matrix. */
        int count = at->taps[o].columns;
        for (int k = 0; k < count; k++)
            fit->by_weight[at->taps[o].at + k] =
                summed(fit, sums->up[o] + k * fit->lanes) + summed(fit, sums->up[o] + (2 * count + 1 - k) * fit->lanes);
    }
    if (fit->shape.header.top_channels) gather_with_bias(fit, &at->top_weight, &at->top_bias, sums->top);
    gather_with_bias(fit, &at->output_weight, &at->output_bias, sums->output);
    gather(fit, &at->residual_weight, sums->residual, at->residual_weight.columns);
}

ddc_fit_results ddc_fit_run(ddc_fit *fit, const ddc_fit_pass *pass) {
    ddc_fit_results results = {0};
    assert(!pass->learns || (pass->has_rate && pass->has_picture && pass->last == fit->shape.octaves - 1));
    assert(!pass->moves_code || (pass->learns && pass->rounding == DDC_SOFT && !pass->keep));
    assert(!pass->keep || !pass->sums_samples);
    fit->pass = pass;
    derive(fit, pass->is_trial);
    run_crew(fit);
    for (int i = 0; i < fit->threads; i++) {
        results.distortion += fit->workers[i].results.distortion;
        results.bits += fit->workers[i].results.bits;
        results.squares += fit->workers[i].results.squares;
    }
    if (pass->learns) gather_all(fit);
    return results;
}

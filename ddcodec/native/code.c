/* Chapter 6 of FORMAT.md: the code. Built once for each kind of vectors. */
#include "parts.h"
#include "simd.h"

#define ROUND_UP(count, step) (((count) + (step) - 1) / (step) * (step))
#define FRONTS 16 /* wavefronts that are kept; a neighbour lies at most 10 behind */
#define MOST_NEIGHBOUR_PAIRS (NEIGHBOURS / 2)
#define FEATURE_PAIRS 4 /* six features, the magnitude, and a zero */
#define MOST_HIDDEN 32

static const int8_t NEIGHBOUR_X[NEIGHBOURS] = {-1, 0, -1, 1, -2, 0, -2, 2, -1, 1, -3, 0, -2, 2, -3, -1, 1, 3, -3, 4};
static const int8_t NEIGHBOUR_Y[NEIGHBOURS] = {0, -1, -1, -1, 0,  -2, -1, -1, -2, -2,
                                               0, -3, -2, -2, -1, -3, -3, -2, -2, -2};

/* The context model. Hidden channels are padded to fours with zeros. */
typedef struct {
    layer first, second, last; /* `last`: of the hidden layer, then of the neighbours and features */
    int32_t *octave_bias;      /* [coded octaves][2] */
} context;

/* What the octave that is read needs. */
typedef struct {
    int32_t rows, columns, coarse_rows, coarse_columns;
    int16_t *fields;   /* [coarse_rows + 2][coarse_columns + 2][8]: what is doubled to features; ends are repeated */
    int16_t *fronts;   /* [FRONTS][pitch]: the last wavefronts, 256 times the code as contexts see it, by row */
    int16_t *features; /* of the places of a wavefront, 8 numbers each, in the order of `slot` */
    int16_t *rows_of_tables, *wholes; /* of the places: row of the tables, and `m` */
    int16_t *lines;                   /* room for rows while fields are made */
    int64_t pitch;
} octave;

static void take_octave(const shape *shape, int32_t l, arena *memory, octave *result) {
    int32_t rows = shape->rows[l], columns = shape->columns[l];
    int has_seen = shape->seen[l] > 0;
    result->rows = rows;
    result->columns = columns;
    result->coarse_rows = has_seen ? shape->rows[l + 1] : 0;
    result->coarse_columns = has_seen ? shape->columns[l + 1] : 0;
    uint64_t places = ROUND_UP((uint64_t)rows, PLACES) + 2 * PLACES;
    result->pitch = (int64_t)(places + 2 * MARGIN);
    result->fields = NULL;
    if (has_seen)
        result->fields =
            take(memory, 16 * (uint64_t)(result->coarse_rows + 2) * (uint64_t)(result->coarse_columns + 2));
    result->fronts = take(memory, 2 * FRONTS * (uint64_t)result->pitch);
    result->features = take(memory, 16 * places);
    result->rows_of_tables = take(memory, 2 * places);
    result->wholes = take(memory, 2 * places);
    result->lines = take(memory, 2 * 8 * (uint64_t)(columns + 2 * PLACES + 2 * MARGIN));
}

/* Planes that finer octaves see: those of octave l, in one of two places by turns. */
static uint64_t seen_bytes(const shape *shape, int32_t l) {
    return 2 * (uint64_t)(shape->seen[l] + 1) * (uint64_t)shape->rows[l] * (uint64_t)shape->columns[l];
}

static void take_seen(const shape *shape, arena *memory, int16_t *seen[2]) {
    for (int parity = 0; parity < 2; parity++) {
        uint64_t most = 0;
        for (int32_t l = 1; l < shape->octaves; l++)
            if (shape->code_planes[l] == 1 && l % 2 == parity && seen_bytes(shape, l) > most)
                most = seen_bytes(shape, l);
        seen[parity] = take(memory, most + 64);
    }
}

static void take_context(const shape *shape, arena *memory, context *result) {
    int32_t inputs = ((int32_t)shape->header.neighbours + 1) / 2 + FEATURE_PAIRS;
    int32_t hidden = ROUND_UP((int32_t)shape->header.context_channels, 4);
    take_layer(memory, &result->first, hidden, inputs);
    take_layer(memory, &result->second, hidden, hidden / 2);
    take_layer(memory, &result->last, 2, hidden / 2 + inputs);
    result->octave_bias = take(memory, 8 * (uint64_t)shape->coded_octaves);
}

/* Put the weights of what a context sees into pairs. `at`: the first in a row of the tensor. */
static void pack_inputs(const tensor *weight, int32_t row, int32_t at, int32_t neighbours, int32_t *pairs) {
    const int32_t *w = weight->values + row * weight->columns + at;
    int32_t i = 0;
    for (; i < neighbours; i += 2) *pairs++ = pair_of(w[i], i + 1 < neighbours ? w[i + 1] : 0);
    for (i = 0; i < FEATURE_PAIRS; i++)
        *pairs++ = pair_of(w[neighbours + 2 * i], i + 1 < FEATURE_PAIRS ? w[neighbours + 2 * i + 1] : 0);
}

static void pack_context(const decoder *decoder, context *result) {
    const weights *w = &decoder->weights;
    int32_t neighbours = (int32_t)decoder->shape.header.neighbours;
    int32_t hidden = (int32_t)decoder->shape.header.context_channels;
    layer *layers[3] = {&result->first, &result->second, &result->last};
    for (int n = 0; n < 3; n++) {
        const tensor *weight = &w->context_weight[n];
        layer *own = layers[n];
        own->shift = weight->exponent;
        memset(own->pair_weights, 0, 4 * (size_t)own->outputs * (size_t)own->pairs);
        memset(own->added, 0, 4 * (size_t)own->outputs);
        for (int32_t j = 0; j < weight->rows; j++) {
            int32_t *pairs = own->pair_weights + j * own->pairs;
            if (n) {
                for (int32_t i = 0; i < hidden; i += 2)
                    pairs[i / 2] = pair_of(
                        weight->values[j * weight->columns + i],
                        i + 1 < hidden ? weight->values[j * weight->columns + i + 1] : 0);
            }
            if (n == 0) pack_inputs(weight, j, 0, neighbours, pairs);
            if (n == 2) pack_inputs(weight, j, hidden, neighbours, pairs + result->second.pairs);
            if (n < 2) {
                int32_t bias = bias_of(&w->context_bias[n], j, weight->exponent, 8);
                own->added[j] = wrapped((int64_t)bias + half_of(own->shift));
            }
        }
    }
    for (int32_t k = 0; k < 2 * decoder->shape.coded_octaves; k++)
        result->octave_bias[k] = bias_of(&w->context_bias[2], k, w->context_weight[2].exponent, 8);
}

/* ---- what contexts see of the code ---- */

/* An integer of the code as contexts see it. */
static inline int16_t shown(int32_t value) {
    return (int16_t)(256 * (value < -SEEN_MAX ? -SEEN_MAX : value > SEEN_MAX ? SEEN_MAX : value));
}

/* round(double(a) / 16), row y. `line`: room for the columns of `a` and two more. */
static void double_row(
    const int16_t *a, int32_t rows, int32_t columns, int32_t y, int32_t wide, int32_t *line, int16_t *out) {
    int32_t own = y >> 1, beside = y & 1 ? (own + 1 < rows ? own + 1 : own) : (own ? own - 1 : 0);
    const int16_t *near = a + (int64_t)own * columns, *far = a + (int64_t)beside * columns;
    for (int32_t x = 0; x < columns; x++) line[x + 1] = 3 * near[x] + far[x];
    line[0] = line[1];
    line[columns + 1] = line[columns];
    for (int32_t x = 0; x < wide / 2; x++) {
        out[2 * x] = (int16_t)((line[x] + 3 * line[x + 1] + 8) >> 4);
        out[2 * x + 1] = (int16_t)((3 * line[x + 1] + line[x + 2] + 8) >> 4);
    }
    if (wide & 1) out[wide - 1] = (int16_t)((line[wide / 2] + 3 * line[wide / 2 + 1] + 8) >> 4);
}

/* Make the planes that finer octaves than l see, of the code of l and the planes that l saw. */
static void hand_on(const decoder *decoder, int32_t l, const int16_t *coarser, int16_t *seen, int16_t *lines) {
    const shape *shape = &decoder->shape;
    int64_t count = (int64_t)shape->rows[l] * shape->columns[l];
    const int16_t *code = decoder->code[l];
    for (int64_t i = 0; i < count; i++) seen[i] = shown(code[i]);
    for (int32_t i = 0; i < shape->seen[l]; i++) {
        const int16_t *plane = coarser + (int64_t)i * shape->rows[l + 1] * shape->columns[l + 1];
        for (int32_t y = 0; y < shape->rows[l]; y++)
            double_row(
                plane, shape->rows[l + 1], shape->columns[l + 1], y, shape->columns[l], (int32_t *)lines,
                seen + (i + 1) * count + (int64_t)y * shape->columns[l]);
    }
}

/* Make the fields of octave l of the planes that it sees. */
static void make_fields(const decoder *decoder, int32_t l, const int16_t *seen, octave *own) {
    const tensor *mix = &decoder->weights.features[l];
    int32_t rows = own->coarse_rows, columns = own->coarse_columns, count = mix->columns;
    int64_t plane = (int64_t)rows * columns, pitch = 8 * (int64_t)(columns + 2);
    int32_t half = half_of(mix->exponent);
    for (int32_t y = 0; y < rows; y++) {
        int16_t *field = own->fields + (y + 1) * pitch + 8;
        for (int32_t j = 0; j < FEATURES; j++) {
            int32_t sums[512];
            for (int32_t start = 0; start < columns; start += 512) {
                int32_t stop = columns - start < 512 ? columns - start : 512;
                for (int32_t x = 0; x < stop; x++) sums[x] = half;
                for (int32_t i = 0; i < count; i++) {
                    int32_t w = mix->values[j * count + i];
                    const int16_t *line = seen + i * plane + (int64_t)y * columns + start;
                    for (int32_t x = 0; x < stop; x++) sums[x] = (int32_t)((uint32_t)sums[x] + (uint32_t)(w * line[x]));
                }
                for (int32_t x = 0; x < stop; x++) field[8 * (start + x) + j] = clipped(sums[x] >> mix->exponent);
            }
        }
        for (int32_t x = 0; x < columns; x++) {
            int16_t value = seen[(int64_t)y * columns + x];
            field[8 * x + 6] = value < 0 ? (int16_t)-value : value;
            field[8 * x + 7] = 0;
        }
        memcpy(field - 8, field, 16);
        memcpy(field + 8 * columns, field + 8 * (columns - 1), 16);
    }
    memcpy(own->fields, own->fields + pitch, 2 * (size_t)pitch);
    memcpy(own->fields + (rows + 1) * pitch, own->fields + rows * pitch, 2 * (size_t)pitch);
}

/* Make the features of the places of wavefront t in rows top .. bottom - 1. */
static void make_features(const octave *own, int32_t t, int32_t top, int32_t bottom) {
    static const int32_t TAPS_OF[2][2] = {{1, 3}, {3, 1}}; /* of an even and of an odd place */
    int64_t pitch = 8 * (int64_t)(own->coarse_columns + 2);
    block upper[2], lower[2], half = block_set32(8);
    for (int odd = 0; odd < 2; odd++) {
        const int32_t *down = TAPS_OF[odd], *across = TAPS_OF[(t ^ odd) & 1];
        upper[odd] = block_set32(pair_of(down[0] * across[0], down[0] * across[1]));
        lower[odd] = block_set32(pair_of(down[1] * across[0], down[1] * across[1]));
    }
    for (int32_t y = top; y < bottom; y++) {
        int32_t x = t - 3 * y, place = y - top;
        /* Vectors are interleaved within blocks: see `context_step`. */
        int32_t slot = (place & ~(PLACES - 1)) + (place & 7) * BLOCKS + (place % PLACES >> 3);
        const int16_t *at = own->fields + ((y + 1) >> 1) * pitch + 8 * (int64_t)((x + 1) >> 1);
        block a = block_load(at), b = block_load(at + 8), c = block_load(at + pitch), d = block_load(at + pitch + 8);
        block low = block_add(
            block_add(block_dot(block_low(a, b), upper[y & 1]), block_dot(block_low(c, d), lower[y & 1])), half);
        block high = block_add(
            block_add(block_dot(block_high(a, b), upper[y & 1]), block_dot(block_high(c, d), lower[y & 1])), half);
        block_store(own->features + 8 * slot, block_pack(block_shift_right(low, 4), block_shift_right(high, 4)));
    }
}

/* ---- the context model ---- */

/* A hidden layer: of `pairs` pairs of inputs, `quads` times four outputs. */
INLINE void hidden_layer(const layer *layer, const vec (*inputs)[2], int32_t pairs, int32_t quads, vec (*outputs)[2]) {
    const int32_t *w = layer->pair_weights;
    vec zero = vec_set32(0);
    for (int32_t j = 0; j < quads; j++, w += 4 * pairs) {
        vec sums[4][2];
        for (int k = 0; k < 4; k++) sums[k][0] = sums[k][1] = vec_set32(layer->added[4 * j + k]);
        for (int32_t i = 0; i < pairs; i++)
            for (int k = 0; k < 4; k++) {
                vec weight = vec_set32(w[k * pairs + i]);
                sums[k][0] = vec_add_dot(sums[k][0], inputs[i][0], weight);
                sums[k][1] = vec_add_dot(sums[k][1], inputs[i][1], weight);
            }
        vec settled[4];
        for (int k = 0; k < 4; k++) {
            vec low = vec_shift_right(sums[k][0], layer->shift), high = vec_shift_right(sums[k][1], layer->shift);
            settled[k] = vec_max16(vec_pack(low, high), zero);
        }
        for (int k = 0; k < 4; k += 2) {
            outputs[2 * j + k / 2][0] = vec_low(settled[k], settled[k + 1]);
            outputs[2 * j + k / 2][1] = vec_high(settled[k], settled[k + 1]);
        }
    }
}

/* The contexts of PLACES places: rows of the tables and whole numbers. `near[i]` is the i-th neighbour of the first. */
INLINE void context_step(
    const context *context, const int32_t *bias, const int16_t *const *near, int64_t at, const int16_t *features,
    int32_t neighbour_pairs, int32_t quads, int16_t *rows, int16_t *wholes) {
    vec inputs[MOST_NEIGHBOUR_PAIRS + FEATURE_PAIRS][2], first[MOST_HIDDEN / 2][2], second[MOST_HIDDEN / 2][2];
    int32_t pairs = neighbour_pairs + FEATURE_PAIRS;
    for (int32_t i = 0; i < neighbour_pairs; i++) {
        vec a = vec_load(near[2 * i] + at), b = vec_load(near[2 * i + 1] + at);
        inputs[i][0] = vec_low(a, b);
        inputs[i][1] = vec_high(a, b);
    }
    for (int half = 0; half < 2; half++) {
        const int16_t *p = features + 8 * 4 * half * BLOCKS;
        vec a = vec_load(p), b = vec_load(p + PLACES), c = vec_load(p + 2 * PLACES), d = vec_load(p + 3 * PLACES);
        vec ab = vec_low32(a, b), cd = vec_low32(c, d), ab2 = vec_high32(a, b), cd2 = vec_high32(c, d);
        inputs[neighbour_pairs][half] = vec_low64(ab, cd);
        inputs[neighbour_pairs + 1][half] = vec_high64(ab, cd);
        inputs[neighbour_pairs + 2][half] = vec_low64(ab2, cd2);
        inputs[neighbour_pairs + 3][half] = vec_high64(ab2, cd2);
    }
    hidden_layer(&context->first, (const vec(*)[2])inputs, pairs, quads, first);
    hidden_layer(&context->second, (const vec(*)[2])first, 2 * quads, quads, second);
    const layer *last = &context->last;
    vec mean[2], scale[2], zero = vec_set32(0);
    int32_t shift = last->shift;
    for (int half = 0; half < 2; half++) {
        vec sums[2] = {vec_set32(bias[0]), vec_set32(bias[1])};
        for (int k = 0; k < 2; k++) {
            const int32_t *w = last->pair_weights + k * last->pairs;
            for (int32_t i = 0; i < 2 * quads; i++) sums[k] = vec_add_dot(sums[k], second[i][half], vec_set32(w[i]));
            for (int32_t i = 0; i < pairs; i++)
                sums[k] = vec_add_dot(sums[k], inputs[i][half], vec_set32(w[2 * quads + i]));
        }
        /* In two steps, so that adding a half cannot overflow. */
        vec m = vec_shift_right(vec_add(vec_shift_right(sums[0], shift + 3), vec_set32(1)), 1);
        mean[half] = vec_max(vec_min(m, vec_set32(65520)), vec_set32(-65520));
        /* Beyond 8 the scale index is at its end. Five times that fits. */
        vec limit = vec_set32(8 << (shift + 8)), s = vec_max(vec_min(sums[1], limit), vec_sub(zero, limit));
        s = vec_add(vec_add(s, vec_shift_left(s, 2)), vec_set32(1 << (shift + 7)));
        s = vec_add(vec_shift_right(s, shift + 8), vec_set32(27));
        scale[half] = vec_max(vec_min(s, vec_set32(63)), zero);
    }
    vec whole[2], row[2];
    for (int half = 0; half < 2; half++) {
        whole[half] = vec_shift_right(vec_add(mean[half], vec_set32(8)), 4);
        vec beyond = vec_sub(mean[half], vec_shift_left(whole[half], 4));
        row[half] = vec_add(vec_add(vec_shift_left(scale[half], 4), beyond), vec_set32(8));
    }
    vec_store(rows, vec_pack(row[0], row[1]));
    vec_store(wholes, vec_pack(whole[0], whole[1]));
}

/* The contexts of `count` places of wavefront t from row `top` on. */
static void contexts_of_front(
    const decoder *decoder, const context *context, const octave *own, const int32_t *bias, int32_t t, int32_t top,
    int32_t count) {
    int32_t neighbours = (int32_t)decoder->shape.header.neighbours, pairs = (neighbours + 1) / 2;
    int32_t quads = context->first.outputs / 4;
    const int16_t *near[NEIGHBOURS + 1];
    for (int i = 0; i < neighbours; i++) {
        int32_t front = (t + NEIGHBOUR_X[i] + 3 * NEIGHBOUR_Y[i]) & (FRONTS - 1);
        near[i] = own->fronts + front * own->pitch + MARGIN + NEIGHBOUR_Y[i] + top;
    }
    near[neighbours] = near[0]; /* its weight is 0 */
    if (pairs == 10 && quads == 5) {
        for (int32_t i = 0; i < count; i += PLACES)
            context_step(
                context, bias, near, i, own->features + 8 * i, 10, 5, own->rows_of_tables + i, own->wholes + i);
    } else {
        for (int32_t i = 0; i < count; i += PLACES)
            context_step(
                context, bias, near, i, own->features + 8 * i, pairs, quads, own->rows_of_tables + i, own->wholes + i);
    }
}

/* ---- planes and octaves ---- */

/* A wavefront of a plane: `count` places, of which each is `step` numbers behind the one before. `front` is what
   contexts see of it. */
typedef struct {
    int16_t *at, *front;
    int32_t count;
    int64_t step;
} wavefront;

INLINE ddc_error read_wavefront(range_decoder *ranges, const table *tables, const octave *own, wavefront here) {
    uint32_t is_wrong = 0;
    int is_escaped = 0;
    int16_t *at = here.at;
    for (int32_t i = 0; i < here.count; i++, at += here.step) {
        int32_t symbol = read_symbol(ranges, &tables[own->rows_of_tables[i]]), value = own->wholes[i] + symbol - 15;
        is_escaped |= symbol == SYMBOLS - 1;
        is_wrong |= (uint32_t)(value + CODE_MAX) > 2 * CODE_MAX;
        *at = (int16_t)value;
        here.front[i] = shown(value);
    }
    if (is_escaped) {
        is_wrong = 0;
        at = here.at;
        for (int32_t i = 0; i < here.count; i++, at += here.step) {
            int32_t value = *at;
            if (value - own->wholes[i] == 16) value = own->wholes[i] + read_escape(ranges, own->rows_of_tables[i] >> 4);
            if (ranges->is_damaged) return DDC_DAMAGED_STREAM;
            if (value < -CODE_MAX || value > CODE_MAX) return DDC_DAMAGED_CODE;
            *at = (int16_t)value;
            here.front[i] = shown(value);
        }
    }
    return ranges->is_damaged ? DDC_DAMAGED_STREAM : is_wrong ? DDC_DAMAGED_CODE : DDC_OK;
}

static ddc_error write_wavefront(range_encoder *encoder, const table *tables, const octave *own, wavefront here) {
    int is_escaped = 0;
    const int16_t *at = here.at;
    for (int32_t i = 0; i < here.count; i++, at += here.step) {
        int32_t value = *at, symbol = symbol_of(value - own->wholes[i]);
        if (value < -CODE_MAX || value > CODE_MAX) return DDC_DAMAGED_CODE;
        is_escaped |= symbol == SYMBOLS - 1;
        write_symbol(encoder, &tables[own->rows_of_tables[i]], symbol);
        here.front[i] = shown(value);
    }
    at = here.at;
    for (int32_t i = 0; is_escaped && i < here.count; i++, at += here.step) {
        int32_t beyond = *at - own->wholes[i];
        if (symbol_of(beyond) == SYMBOLS - 1) write_escape(encoder, own->rows_of_tables[i] >> 4, beyond);
    }
    return DDC_OK;
}

/* log2 in 256ths, rounded down. */
static uint32_t log2_of(uint32_t number) {
    uint32_t whole = 0, part = 0;
    while (number >> whole > 1) whole++;
    /* The number between 1 and 2 that is left, with 31 bits behind the point. Each squaring brings a bit of its log. */
    uint64_t left = (uint64_t)number << (31 - whole);
    for (int bit = 0; bit < 8; bit++) {
        left = left * left >> 31;
        part = 2 * part + (uint32_t)(left >> 32);
        left >>= left >> 32;
    }
    return 256 * whole + part;
}

/* Note what the integers of a wavefront took. `costs` lie as the integers do. */
static void note_costs(const table *tables, const octave *own, wavefront here, uint16_t *costs) {
    for (int32_t i = 0; i < here.count; i++, here.at += here.step, costs += here.step) {
        int32_t row = own->rows_of_tables[i], beyond = *here.at - own->wholes[i];
        int32_t symbol = symbol_of(beyond);
        uint32_t cost = 24 * 256 - log2_of(tables[row].below[symbol + 1] - tables[row].below[symbol]);
        *costs = (uint16_t)(cost + (symbol == SYMBOLS - 1 ? 256 * escape_bits(row >> 4, beyond) : 0));
    }
}

static ddc_error walk_plane(
    decoder *decoder, const context *context, octave *own, const int32_t *bias, int16_t *plane, uint16_t *costs,
    range_encoder *encoder) {
    int32_t rows = own->rows, columns = own->columns;
    range_decoder ranges = decoder->ranges;
    const table *tables = decoder->tables;
    memset(own->fronts, 0, 2 * FRONTS * (size_t)own->pitch);
    for (int32_t t = 0; t < columns + 3 * (rows - 1); t++) {
        int32_t top = t >= columns ? (t - columns) / 3 + 1 : 0, bottom = t / 3 + 1 < rows ? t / 3 + 1 : rows;
        int16_t *front = own->fronts + (t & (FRONTS - 1)) * own->pitch + MARGIN + top;
        /* Rows above are those of an older wavefront: nothing stands there now. */
        memset(front - 8, 0, 16);
        if (top >= bottom) continue;
        if (own->fields) make_features(own, t, top, bottom);
        contexts_of_front(decoder, context, own, bias, t, top, bottom - top);
        int64_t first = (int64_t)top * columns + (t - 3 * top);
        wavefront here = {plane + first, front, bottom - top, columns - 3};
        ddc_error error =
            encoder ? write_wavefront(encoder, tables, own, here) : read_wavefront(&ranges, tables, own, here);
        if (error) return error;
        if (costs) note_costs(tables, own, here, costs + first);
    }
    decoder->ranges = ranges;
    return DDC_OK;
}

void AT_LEVEL(take_code)(const shape *shape, arena *memory) {
    context context;
    int16_t *seen[2];
    octave own;
    take_context(shape, memory, &context);
    take_seen(shape, memory, seen);
    uint64_t mark = memory->used;
    for (int32_t l = 0; l < shape->octaves; l++) {
        memory->used = mark;
        if (shape->code_planes[l]) take_octave(shape, l, memory, &own);
    }
}

ddc_error AT_LEVEL(walk_code)(decoder *decoder, arena *memory, const stream *stream, range_encoder *encoder) {
    const shape *shape = &decoder->shape;
    context context;
    int16_t *seen[2];
    octave own;
    take_context(shape, memory, &context);
    take_seen(shape, memory, seen);
    pack_context(decoder, &context);
    uint64_t mark = memory->used;
    int32_t coarser = 0; /* coded octaves that are coarser */
    for (int32_t l = shape->octaves - 1; l >= 0; l--) {
        int64_t size = (int64_t)shape->rows[l] * shape->columns[l];
        if (!shape->code_planes[l]) continue;
        if (!encoder) {
            memset(decoder->code[l], 0, 2 * (size_t)shape->code_planes[l] * (size_t)size);
            if (decoder->costs[l]) memset(decoder->costs[l], 0, 2 * (size_t)shape->code_planes[l] * (size_t)size);
            /* Of a cut file only whole octaves count. */
            if (!stream->sections[coarser + 1]) continue;
        }
        memory->used = mark;
        take_octave(shape, l, memory, &own);
        memset(own.features, 0, 16 * (size_t)(ROUND_UP(own.rows, PLACES) + 2 * PLACES));
        if (own.fields) make_fields(decoder, l, seen[(l + 1) % 2], &own);
        for (int32_t p = 0; p < shape->code_planes[l]; p++) {
            const int32_t *bias = context.octave_bias + 2 * coarser;
            uint16_t *costs = decoder->costs[l] ? decoder->costs[l] + p * size : NULL;
            ddc_error error = walk_plane(decoder, &context, &own, bias, decoder->code[l] + p * size, costs, encoder);
            if (error) return error;
        }
        if (l && shape->code_planes[l] == 1) hand_on(decoder, l, seen[(l + 1) % 2], seen[l % 2], own.lines);
        coarser++;
        if (encoder) encoder->sections[coarser] = words_taken(encoder);
    }
    return DDC_OK;
}

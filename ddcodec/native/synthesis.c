/* Chapter 7 of FORMAT.md: the synthesis, row by row from the coarsest octave to samples. Built once for each kind of
   vectors. */
#include "parts.h"
#include "simd.h"

#define RING 16 /* rows of an octave that are kept; `up` sees at most 8 */
#define LINES 8 /* rows of the code that are kept; a filter sees 5 */
#define MOST_CHANNELS 132
#define MOST_TAPS 8

/* What an octave needs while its rows are made, from top to bottom. */
typedef struct {
    int32_t rows, columns, channels, planes, filtered;
    int32_t next;            /* the row to be made next */
    int32_t next_line;       /* the row of the code to be fetched next */
    int64_t pitch;           /* numbers from one row to the next, margins included */
    int16_t *ring;           /* [RING][channels of the finer octave]: mixed rows, which the finer octave doubles */
    int16_t *hidden;         /* [channels]: a row of h, where it is not mixed in place */
    int16_t *lines;          /* [LINES][planes]: rows of the code between zeros */
    int16_t *filtered_lines; /* [planes]: a row of f */
    int16_t *doubled, *tall; /* a row of `up`, and of its first half */
    layer code, mix;
    int32_t filter_pairs[5][3], filter_exponent;
    int32_t taps[MOST_TAPS], taps_exponent;
    int is_passed;                   /* mix is the identity */
    uint8_t is_zero[MOST_CHANNELS];  /* channels that are 0 in every picture with these weights */
    uint8_t is_coded[MOST_CHANNELS]; /* channels that code or bias add to */
    uint8_t is_risen[MOST_CHANNELS]; /* channels of the coarser octave's mix that are not 0 */
    int32_t linear;
} stage;

typedef struct {
    stage stages[MOST_OCTAVES];
    layer top, output, residual; /* `output`: pairs of channels, then pairs of the top layer's */
    int32_t has_residual;
    int16_t *around;  /* [3][planes]: the last rows of `around` */
    int32_t *outputs; /* [2][planes]: the last rows of v, in the order of the vectors' halves */
    int64_t pitch;
} maker;

#define AT(base, pitch, index) ((base) + (int64_t)(index) * (pitch) + MARGIN)

static int64_t pitch_of(int32_t columns) { return (columns + 2 * MARGIN + 2 * PLACES + 31) & ~31; }

static void take_stage(const shape *shape, int32_t l, arena *memory, stage *own) {
    memset(own, 0, sizeof *own);
    own->rows = shape->rows[l];
    own->columns = shape->columns[l];
    own->channels = shape->channels[l];
    own->planes = shape->code_planes[l];
    own->filtered = shape->filtered[l];
    own->linear = shape->linear[l];
    own->pitch = pitch_of(own->columns);
    uint64_t row = 2 * (uint64_t)own->pitch;
    own->hidden = take(memory, row * (uint64_t)own->channels);
    if (l) own->ring = take(memory, row * RING * (uint64_t)shape->channels[l - 1]);
    own->lines = take(memory, row * LINES * (uint64_t)own->planes);
    own->filtered_lines = take(memory, row * (uint64_t)(own->planes + 1));
    own->doubled = take(memory, row + 8 * PLACES);
    own->tall = take(memory, row);
    take_layer(memory, &own->code, own->channels, (own->planes + 1) / 2);
    if (l) take_layer(memory, &own->mix, shape->channels[l - 1], (own->channels + 1) / 2);
}

static void take_maker(const shape *shape, arena *memory, maker *own) {
    int32_t planes = shape->planes, top = (int32_t)shape->header.top_channels, channels = shape->channels[0];
    for (int32_t l = 0; l < shape->octaves; l++) take_stage(shape, l, memory, &own->stages[l]);
    own->pitch = pitch_of(shape->columns[0]);
    take_layer(memory, &own->top, (top + 1) / 2 * 2, (channels + 1) / 2);
    take_layer(memory, &own->output, planes, (channels + 1) / 2 + (top + 1) / 2);
    take_layer(memory, &own->residual, planes, (9 * planes + 1) / 2);
    own->around = take(memory, 2 * 3 * (uint64_t)planes * (uint64_t)own->pitch);
    own->outputs = take(memory, 4 * 2 * (uint64_t)planes * (uint64_t)own->pitch);
}

void AT_LEVEL(take_synthesis)(const shape *shape, uint32_t threads, arena *memory) {
    maker own;
    take(memory, sizeof(maker) * (uint64_t)threads);
    for (uint32_t i = 0; i < threads; i++) take_maker(shape, memory, &own);
}

/* ---- weights ---- */

/* Pack a matrix: rows of `columns` weights, of which those from `at` on are taken. */
static void pack_rows(const tensor *weight, int32_t at, int32_t columns, int32_t to, layer *layer) {
    for (int32_t j = 0; j < weight->rows; j++)
        for (int32_t i = 0; i < columns; i += 2) {
            const int32_t *w = weight->values + j * weight->columns + at + i;
            layer->pair_weights[j * layer->pairs + to + i / 2] = pair_of(w[0], i + 1 < columns ? w[1] : 0);
        }
}

static void clear(layer *layer, int32_t shift) {
    layer->shift = shift;
    memset(layer->pair_weights, 0, 4 * (size_t)layer->outputs * (size_t)layer->pairs);
    for (int32_t j = 0; j < layer->outputs; j++) layer->added[j] = half_of(shift);
}

static void add_bias(const tensor *bias, int32_t exponent, int32_t bits, layer *layer) {
    for (int32_t j = 0; j < bias->rows; j++)
        layer->added[j] = wrapped((int64_t)layer->added[j] + bias_of(bias, j, exponent, bits));
}

static int is_identity(const tensor *weight) {
    if (weight->rows != weight->columns) return 0;
    for (int32_t j = 0; j < weight->rows; j++)
        for (int32_t i = 0; i < weight->columns; i++)
            if (weight->values[j * weight->columns + i] != (i == j ? 1 << weight->exponent : 0)) return 0;
    return 1;
}

static void pack_stage(const decoder *decoder, int32_t l, const stage *coarser, stage *own) {
    const weights *w = &decoder->weights;
    int32_t bits = 12 - (int32_t)decoder->shape.header.headroom;
    int32_t exponent = own->planes ? w->code[l].exponent : 0;
    clear(&own->code, exponent);
    if (own->planes) {
        pack_rows(&w->code[l], 0, own->planes, 0, &own->code);
        const int32_t *filter = w->filter[l].values;
        for (int y = 0; y < 5; y++)
            for (int k = 0; k < 3; k++)
                own->filter_pairs[y][k] = pair_of(filter[5 * y + 2 * k], k < 2 ? filter[5 * y + 2 * k + 1] : 0);
        own->filter_exponent = w->filter[l].exponent;
    }
    add_bias(&w->bias[l], exponent, bits, &own->code);
    if (coarser) {
        for (int k = 0; k < w->taps[l].columns; k++) own->taps[k] = w->taps[l].values[k];
        own->taps_exponent = w->taps[l].exponent;
    }
    for (int32_t j = 0; j < own->channels; j++) {
        own->is_coded[j] = w->bias[l].values[j] != 0;
        for (int32_t p = 0; p < own->planes; p++) own->is_coded[j] |= w->code[l].values[j * own->planes + p] != 0;
        own->is_risen[j] = 0;
        for (int32_t i = 0; coarser && i < coarser->channels; i++)
            own->is_risen[j] |= !coarser->is_zero[i] && w->mix[l].values[j * coarser->channels + i] != 0;
        own->is_zero[j] = !own->is_coded[j] && !own->is_risen[j];
    }
    if (l) {
        const tensor *mix = &w->mix[l - 1];
        clear(&own->mix, mix->exponent);
        pack_rows(mix, 0, own->channels, 0, &own->mix);
        own->is_passed = is_identity(mix);
    }
}

static void pack_maker(const decoder *decoder, maker *own) {
    const weights *w = &decoder->weights;
    const shape *shape = &decoder->shape;
    int32_t bits = 12 - (int32_t)shape->header.headroom, channels = shape->channels[0];
    int32_t top = (int32_t)shape->header.top_channels, pairs = (channels + 1) / 2;
    for (int32_t l = shape->octaves - 1; l >= 0; l--)
        pack_stage(decoder, l, l < shape->octaves - 1 ? &own->stages[l + 1] : NULL, &own->stages[l]);
    if (top) {
        clear(&own->top, w->top_weight.exponent);
        pack_rows(&w->top_weight, 0, channels, 0, &own->top);
        add_bias(&w->top_bias, w->top_weight.exponent, bits, &own->top);
        if (top % 2) own->top.added[top] = 0;
    }
    clear(&own->output, w->output_weight.exponent + bits - 16);
    pack_rows(&w->output_weight, 0, channels, 0, &own->output);
    pack_rows(&w->output_weight, channels, top, pairs, &own->output);
    add_bias(&w->output_bias, w->output_weight.exponent, bits, &own->output);
    clear(&own->residual, w->residual_weight.exponent - 2);
    pack_rows(&w->residual_weight, 0, 9 * shape->planes, 0, &own->residual);
    own->has_residual = 0;
    for (int32_t i = 0; i < w->residual_weight.rows * w->residual_weight.columns; i++)
        own->has_residual |= w->residual_weight.values[i] != 0;
}

/* ---- rows ---- */

/* Take bits away after a half was added; or, with a shift below 0, add bits. The result is clipped to +-limit or to
   what is beyond it anyway. */
INLINE vec shifted(vec sum, int32_t shift, int32_t limit) {
    if (shift > 0) sum = vec_shift_right(sum, shift);
    sum = vec_max(vec_min(sum, vec_set32(limit)), vec_set32(-limit));
    return shift < 0 ? vec_shift_left(sum, -shift) : sum;
}

/* Repeat the outermost numbers of a row in its margins. */
static void close_row(int16_t *row, int32_t columns, int32_t reach) {
    for (int32_t i = 1; i <= reach; i++) {
        row[-i] = row[0];
        row[columns - 1 + i] = row[columns - 1];
    }
}

/* Store even[0], odd[0], even[1], ... */
INLINE void store_interleaved(int16_t *out, vec even, vec odd) {
    vec low = vec_low(even, odd), high = vec_high(even, odd);
    int16_t parts[2][PLACES];
    vec_store(parts[0], low);
    vec_store(parts[1], high);
    for (int k = 0; k < BLOCKS; k++) {
        memcpy(out + 16 * k, parts[0] + 8 * k, 16);
        memcpy(out + 16 * k + 8, parts[1] + 8 * k, 16);
    }
}

/* One row of `up`: of the 2n rows `from` of the coarser octave, to `out`. */
INLINE void up_row(
    const stage *own, const int16_t *const *from, int32_t is_odd, int32_t columns, int32_t n, int16_t *out) {
    int32_t shift = own->taps_exponent, last = 2 * n - 1;
    vec half = vec_set32(half_of(shift)), down[4], even[4], odd[4];
    int16_t *tall = own->tall + MARGIN;
    for (int k = 0; k < n; k++) {
        const int32_t *t = own->taps;
        int32_t forth = pair_of(t[2 * k], t[2 * k + 1]), back = pair_of(t[last - 2 * k], t[last - 2 * k - 1]);
        down[k] = vec_set32(is_odd ? back : forth);
        even[k] = vec_set32(forth);
        odd[k] = vec_set32(back);
    }
    for (int32_t x = 0; x < columns; x += PLACES) {
        vec low = half, high = half;
        for (int k = 0; k < n; k++) {
            vec a = vec_load(from[2 * k] + x), b = vec_load(from[2 * k + 1] + x);
            low = vec_add_dot(low, vec_low(a, b), down[k]);
            high = vec_add_dot(high, vec_high(a, b), down[k]);
        }
        vec_store(tall + x, vec_pack(vec_shift_right(low, shift), vec_shift_right(high, shift)));
    }
    close_row(tall, columns, n);
    for (int32_t x = 0; x < columns; x += PLACES) {
        vec sums[4] = {half, half, half, half};
        for (int k = 0; k < n; k++) {
            const int16_t *at = tall + x - n + 2 * k;
            vec a = vec_load(at), b = vec_load(at + 1), c = vec_load(at + 2);
            sums[0] = vec_add_dot(sums[0], vec_low(a, b), even[k]);
            sums[1] = vec_add_dot(sums[1], vec_high(a, b), even[k]);
            sums[2] = vec_add_dot(sums[2], vec_low(b, c), odd[k]);
            sums[3] = vec_add_dot(sums[3], vec_high(b, c), odd[k]);
        }
        for (int k = 0; k < 4; k++) sums[k] = vec_shift_right(sums[k], shift);
        store_interleaved(out + 2 * x, vec_pack(sums[0], sums[1]), vec_pack(sums[2], sums[3]));
    }
}

/* f of a plane: what its octave's filter makes of five rows. */
static void filter_row(
    const stage *own, const int16_t *const lines[5], int is_filtered, int32_t headroom, int16_t *out) {
    int32_t exponent = is_filtered ? own->filter_exponent : 0, shift = exponent - 8 + headroom;
    vec half = vec_set32(half_of(shift)), one = vec_set32(1), zero = vec_set32(0), weights[5][3];
    for (int y = 0; y < 5; y++)
        for (int k = 0; k < 3; k++) weights[y][k] = vec_set32(is_filtered ? own->filter_pairs[y][k] : 0);
    for (int32_t x = 0; x < own->columns; x += PLACES) {
        vec here = vec_load(lines[2] + x);
        vec low = vec_add(half, vec_shift_left(vec_dot(vec_low(here, zero), one), exponent));
        vec high = vec_add(half, vec_shift_left(vec_dot(vec_high(here, zero), one), exponent));
        for (int y = 0; is_filtered && y < 5; y++) {
            const int16_t *at = lines[y] + x;
            vec a = vec_load(at - 2), b = vec_load(at - 1), c = vec_load(at), d = vec_load(at + 1),
                e = vec_load(at + 2);
            low = vec_add_dot(low, vec_low(a, b), weights[y][0]);
            high = vec_add_dot(high, vec_high(a, b), weights[y][0]);
            low = vec_add_dot(low, vec_low(c, d), weights[y][1]);
            high = vec_add_dot(high, vec_high(c, d), weights[y][1]);
            low = vec_add_dot(low, vec_low(e, zero), weights[y][2]);
            high = vec_add_dot(high, vec_high(e, zero), weights[y][2]);
        }
        vec_store(out + x, vec_pack(shifted(low, shift, 32768), shifted(high, shift, 32768)));
    }
}

/* Fetch rows of the code up to `row` into the ring of lines. */
static void fetch_lines(const decoder *decoder, int32_t l, stage *own, int32_t row) {
    int64_t size = (int64_t)own->rows * own->columns;
    for (; own->next_line <= row; own->next_line++) {
        int32_t y = own->next_line;
        for (int32_t p = 0; p < own->planes; p++) {
            int16_t *line = AT(own->lines, own->pitch, (y & (LINES - 1)) * own->planes + p);
            if (y < 0 || y >= own->rows)
                memset(line, 0, 2 * (size_t)own->columns);
            else
                memcpy(line, decoder->code[l] + p * size + (int64_t)y * own->columns, 2 * (size_t)own->columns);
        }
    }
}

/* A channel of a row of h: what code and bias add, and the doubled row of the coarser octave. */
static void settle_row(const stage *own, int32_t j, const int16_t *doubled, int16_t *out) {
    const int32_t *w = own->code.pair_weights + j * own->code.pairs;
    int32_t shift = own->code.shift;
    vec zero = vec_set32(0), one = vec_set32(1), least = vec_set16(j < own->linear ? -32768 : 0);
    for (int32_t x = 0; x < own->columns; x += PLACES) {
        vec low = vec_set32(own->code.added[j]), high = low;
        for (int32_t i = 0; i < own->code.pairs; i++) {
            vec a = vec_load(AT(own->filtered_lines, own->pitch, 2 * i) + x);
            vec b = 2 * i + 1 < own->planes ? vec_load(AT(own->filtered_lines, own->pitch, 2 * i + 1) + x) : zero;
            low = vec_add_dot(low, vec_low(a, b), vec_set32(w[i]));
            high = vec_add_dot(high, vec_high(a, b), vec_set32(w[i]));
        }
        low = vec_shift_right(low, shift);
        high = vec_shift_right(high, shift);
        if (doubled) {
            vec above = vec_load(doubled + x);
            low = vec_add(shifted(low, 0, 1 << 24), vec_dot(vec_low(above, zero), one));
            high = vec_add(shifted(high, 0, 1 << 24), vec_dot(vec_high(above, zero), one));
        }
        vec_store(out + x, vec_max16(vec_pack(low, high), least));
    }
}

/* A row of mixed channels for the finer octave. */
static void mix_row(const stage *own, const int16_t *hidden, int16_t *mixed) {
    vec zero = vec_set32(0);
    for (int32_t j = 0; j < own->mix.outputs; j++) {
        const int32_t *w = own->mix.pair_weights + j * own->mix.pairs;
        int16_t *out = AT(mixed, own->pitch, j);
        for (int32_t x = 0; x < own->columns; x += PLACES) {
            vec low = vec_set32(own->mix.added[j]), high = low;
            for (int32_t i = 0; i < own->mix.pairs; i++) {
                vec a = vec_load(AT(hidden, own->pitch, 2 * i) + x);
                vec b = 2 * i + 1 < own->channels ? vec_load(AT(hidden, own->pitch, 2 * i + 1) + x) : zero;
                low = vec_add_dot(low, vec_low(a, b), vec_set32(w[i]));
                high = vec_add_dot(high, vec_high(a, b), vec_set32(w[i]));
            }
            vec_store(out + x, vec_pack(vec_shift_right(low, own->mix.shift), vec_shift_right(high, own->mix.shift)));
        }
    }
}

/* Make row y of octave l, and of the coarser ones what it needs. Returns the row of h. */
static const int16_t *make_row(const decoder *decoder, maker *maker, int32_t l, int32_t y) {
    stage *own = &maker->stages[l], *coarser = l < decoder->shape.octaves - 1 ? own + 1 : NULL;
    int32_t n = (int32_t)decoder->shape.header.taps, headroom = (int32_t)decoder->shape.header.headroom;
    int32_t from[MOST_TAPS] = {0};
    /* Where mixing is the identity, h and the mixed row are one. */
    int16_t *slot = own->ring ? own->ring + (int64_t)(y & (RING - 1)) * own->mix.outputs * own->pitch : NULL;
    int16_t *hidden = slot && own->is_passed ? slot : own->hidden;
    if (coarser) {
        for (int k = 0; k < 2 * n; k++) {
            int32_t row = (y >> 1) - n + (y & 1) + k;
            from[k] = row < 0 ? 0 : row >= coarser->rows ? coarser->rows - 1 : row;
        }
        while (coarser->next <= from[2 * n - 1]) {
            make_row(decoder, maker, l + 1, coarser->next);
            coarser->next++;
        }
    }
    if (own->planes) {
        fetch_lines(decoder, l, own, y + 2);
        for (int32_t p = 0; p < own->planes; p++) {
            const int16_t *lines[5];
            for (int k = 0; k < 5; k++)
                lines[k] = AT(own->lines, own->pitch, ((y - 2 + k) & (LINES - 1)) * own->planes + p);
            filter_row(own, lines, p < own->filtered, headroom, AT(own->filtered_lines, own->pitch, p));
        }
    }
    for (int32_t j = 0; j < own->channels; j++) {
        int16_t *out = AT(hidden, own->pitch, j), *doubled = NULL;
        if (own->is_zero[j]) {
            memset(out, 0, 2 * (size_t)own->columns);
            continue;
        }
        if (own->is_risen[j]) {
            const int16_t *lines[MOST_TAPS];
            for (int k = 0; k < 2 * n; k++)
                lines[k] = AT(coarser->ring, coarser->pitch, (from[k] & (RING - 1)) * coarser->mix.outputs + j);
            /* Without a part of its own, a channel without a ReLU is the doubled row. */
            doubled = own->is_coded[j] || j >= own->linear ? own->doubled + MARGIN : out;
            if (n == 2)
                up_row(own, lines, y & 1, coarser->columns, 2, doubled);
            else
                up_row(own, lines, y & 1, coarser->columns, n, doubled);
        }
        if (doubled != out) settle_row(own, j, doubled, out);
    }
    if (slot && !own->is_passed) mix_row(own, hidden, slot);
    return hidden;
}

/* ---- smaller pictures: the octaves finer than R, pixel by pixel ---- */

static int16_t settled(int64_t sum, int32_t shift) { return clipped((int64_t)wrapped(sum + half_of(shift)) >> shift); }

/* round(2^(8 - headroom) average) of a plane over the pixel of octave R in column x and row y. */
static int16_t mean_of(const decoder *decoder, int32_t l, int32_t p, int32_t finest, int32_t x, int32_t y) {
    int32_t rows = decoder->shape.rows[l], columns = decoder->shape.columns[l], shift = finest - l;
    int32_t bits = 8 - (int32_t)decoder->shape.header.headroom;
    int64_t x0 = (int64_t)x << shift, y0 = (int64_t)y << shift, side = (int64_t)1 << shift;
    int64_t x1 = x0 + side < columns ? x0 + side : columns, y1 = y0 + side < rows ? y0 + side : rows;
    int64_t sum = 0, count = (x1 - x0) * (y1 - y0);
    const int16_t *plane = decoder->code[l] + (int64_t)p * rows * columns;
    for (int64_t row = y0; row < y1; row++)
        for (int64_t column = x0; column < x1; column++) sum += plane[row * columns + column];
    int64_t doubled = 2 * sum * ((int64_t)1 << bits) + count, divisor = 2 * count;
    return clipped(doubled / divisor - (doubled % divisor < 0));
}

static void make_finer(
    const decoder *decoder, int32_t finest, int32_t y, int64_t pitch, const int16_t *hidden, int16_t *out) {
    const shape *shape = &decoder->shape;
    const weights *w = &decoder->weights;
    int32_t bits = 12 - (int32_t)shape->header.headroom;
    for (int32_t x = 0; x < shape->columns[finest]; x++) {
        int16_t h[2][MOST_CHANNELS];
        for (int32_t j = 0; j < shape->channels[finest]; j++) h[finest % 2][j] = AT(hidden, pitch, j)[x];
        for (int32_t l = finest - 1; l >= 0; l--) {
            const tensor *mix = &w->mix[l], *taps = &w->taps[l], *code = &w->code[l], *filter = &w->filter[l];
            const int16_t *above = h[(l + 1) % 2];
            int16_t f[MOST_CHANNELS];
            int32_t exponent = shape->code_planes[l] ? code->exponent : 0;
            int64_t gain = 0, of_filter = 0;
            for (int k = 0; k < taps->columns; k++) gain += taps->values[k];
            for (int k = 0; shape->code_planes[l] && k < 25; k++) of_filter += filter->values[k];
            for (int32_t p = 0; p < shape->code_planes[l]; p++) {
                f[p] = mean_of(decoder, l, p, finest, x, y);
                if (p >= shape->filtered[l]) continue;
                int64_t product = (((int64_t)1 << filter->exponent) + of_filter) * f[p];
                f[p] = clipped((product + half_of(filter->exponent)) >> filter->exponent);
            }
            for (int32_t j = 0; j < shape->channels[l]; j++) {
                int64_t mixed = 0, sum = bias_of(&w->bias[l], j, exponent, bits);
                for (int32_t i = 0; i < mix->columns; i++)
                    mixed += (int64_t)mix->values[j * mix->columns + i] * above[i];
                mixed = settled(mixed, mix->exponent);
                for (int k = 0; k < 2; k++) mixed = settled(gain * mixed, taps->exponent);
                for (int32_t p = 0; p < shape->code_planes[l]; p++)
                    sum += (int64_t)code->values[j * code->columns + p] * f[p];
                sum = (int64_t)wrapped(sum + half_of(exponent)) >> exponent;
                int16_t value = clipped(sum + mixed);
                h[l % 2][j] = j < shape->linear[l] || value > 0 ? value : 0;
            }
        }
        for (int32_t j = 0; j < shape->channels[0]; j++) AT(out, pitch, j)[x] = h[0][j];
    }
}

/* ---- top layer, output, residual layer ---- */

/* v and `around` of a row, of its channels. */
INLINE void output_row(
    const maker *maker, const int16_t *hidden, int64_t pitch, int32_t columns, int32_t channels, int32_t planes,
    int32_t top, int32_t *const v[3], int16_t *const around[3]) {
    vec zero = vec_set32(0), two = vec_set32(2);
    int32_t pairs = (channels + 1) / 2, shift = maker->output.shift;
    for (int32_t x = 0; x < columns; x += PLACES) {
        vec inputs[MOST_CHANNELS / 2][2], sums[3][2];
        for (int32_t i = 0; i < pairs; i++) {
            vec a = vec_load(AT(hidden, pitch, 2 * i) + x);
            vec b = 2 * i + 1 < channels ? vec_load(AT(hidden, pitch, 2 * i + 1) + x) : zero;
            inputs[i][0] = vec_low(a, b);
            inputs[i][1] = vec_high(a, b);
        }
        for (int32_t c = 0; c < planes; c++) {
            const int32_t *w = maker->output.pair_weights + c * maker->output.pairs;
            sums[c][0] = sums[c][1] = vec_set32(maker->output.added[c]);
            for (int32_t i = 0; i < pairs; i++) {
                sums[c][0] = vec_add_dot(sums[c][0], inputs[i][0], vec_set32(w[i]));
                sums[c][1] = vec_add_dot(sums[c][1], inputs[i][1], vec_set32(w[i]));
            }
        }
        for (int32_t j = 0; j < top; j += 2) {
            vec t[2];
            for (int k = 0; k < 2; k++) {
                const int32_t *w = maker->top.pair_weights + (j + k) * pairs;
                vec low = vec_set32(maker->top.added[j + k]), high = low;
                for (int32_t i = 0; i < pairs; i++) {
                    low = vec_add_dot(low, inputs[i][0], vec_set32(w[i]));
                    high = vec_add_dot(high, inputs[i][1], vec_set32(w[i]));
                }
                low = vec_shift_right(low, maker->top.shift);
                high = vec_shift_right(high, maker->top.shift);
                t[k] = vec_max16(vec_pack(low, high), zero);
            }
            vec low = vec_low(t[0], t[1]), high = vec_high(t[0], t[1]);
            for (int32_t c = 0; c < planes; c++) {
                vec weight = vec_set32(maker->output.pair_weights[c * maker->output.pairs + pairs + j / 2]);
                sums[c][0] = vec_add_dot(sums[c][0], low, weight);
                sums[c][1] = vec_add_dot(sums[c][1], high, weight);
            }
        }
        for (int32_t c = 0; c < planes; c++) {
            vec seen[2];
            for (int half = 0; half < 2; half++) {
                vec value = shifted(sums[c][half], shift, 1 << 18);
                if (shift < 0) value = shifted(value, 0, 1 << 18);
                vec_store(v[c] + x + half * LANES, value);
                seen[half] = vec_shift_right(vec_add(value, two), 2);
            }
            vec_store(around[c] + x, vec_pack(seen[0], seen[1]));
        }
    }
}

/* Samples of a row. `near`: for each of the nine places and each plane, the row of `around`, moved by the place. */
INLINE void sample_row(
    const maker *maker, const int16_t *const *near, int32_t *const v[3], int32_t columns, int32_t planes, int depth,
    void *samples) {
    int32_t shift = maker->residual.shift, count = 9 * planes;
    vec zero = vec_set32(0);
    for (int32_t x = 0; x < columns; x += PLACES) {
        int32_t made[3][PLACES];
        vec sums[3][2];
        for (int32_t c = 0; c < planes; c++) sums[c][0] = sums[c][1] = vec_set32(maker->residual.added[c]);
        for (int32_t i = 0; maker->has_residual && i < count; i += 2) {
            vec a = vec_load(near[i] + x), b = i + 1 < count ? vec_load(near[i + 1] + x) : zero;
            vec low = vec_low(a, b), high = vec_high(a, b);
            for (int32_t c = 0; c < planes; c++) {
                vec weight = vec_set32(maker->residual.pair_weights[c * maker->residual.pairs + i / 2]);
                sums[c][0] = vec_add_dot(sums[c][0], low, weight);
                sums[c][1] = vec_add_dot(sums[c][1], high, weight);
            }
        }
        for (int32_t c = 0; c < planes; c++) {
            int16_t row[PLACES];
            vec values[2];
            for (int half = 0; half < 2; half++) {
                vec own = vec_load(v[c] + x + half * LANES);
                vec r = vec_add(own, shifted(sums[c][half], shift, 1 << 22));
                /* Beyond these a sample is black or white. */
                r = vec_max(vec_min(r, vec_set32(1 << 18)), vec_set32(-(1 << 17)));
                if (depth) {
                    r = vec_add(r, vec_shift_right(vec_sub(vec_set32(1 << 15), r), 16));
                    r = vec_max(vec_min(r, vec_set32(65535)), zero);
                    /* So that it can be packed. */
                    values[half] = vec_sub(r, vec_set32(32768));
                } else {
                    r = vec_shift_right(vec_add(vec_sub(vec_shift_left(r, 8), r), vec_set32(1 << 15)), 16);
                    values[half] = vec_max(vec_min(r, vec_set32(255)), zero);
                }
            }
            vec_store(row, vec_pack(values[0], values[1]));
            for (int i = 0; i < PLACES; i++) made[c][i] = depth ? row[i] + 32768 : row[i];
        }
        int32_t wanted = columns - x < PLACES ? columns - x : PLACES;
        if (depth) {
            uint16_t *out = (uint16_t *)samples + (int64_t)x * planes;
            for (int32_t i = 0; i < wanted; i++)
                for (int32_t c = 0; c < planes; c++) *out++ = (uint16_t)made[c][i];
        } else {
            uint8_t *out = (uint8_t *)samples + (int64_t)x * planes;
            for (int32_t i = 0; i < wanted; i++)
                for (int32_t c = 0; c < planes; c++) *out++ = (uint8_t)made[c][i];
        }
    }
}

/* ---- parts of a picture ---- */

typedef struct {
    const decoder *decoder;
    maker *makers;
    void *samples;
    int32_t first, stop, parts;
} work;

static void start_at(const decoder *decoder, maker *maker, int32_t finest, int32_t row) {
    int32_t n = (int32_t)decoder->shape.header.taps;
    for (int32_t l = finest; l < decoder->shape.octaves; l++) {
        stage *own = &maker->stages[l];
        own->next = row;
        own->next_line = row - 2;
        row = (row >> 1) - n < 0 ? 0 : (row >> 1) - n;
    }
}

static void make_part(void *context, uint32_t number) {
    const work *work = context;
    const decoder *decoder = work->decoder;
    const shape *shape = &decoder->shape;
    maker *maker = &work->makers[number];
    int32_t finest = (int32_t)decoder->request->octave, planes = shape->planes, channels = shape->channels[0];
    int32_t rows = shape->rows[finest], columns = shape->columns[finest], depth = (int32_t)shape->header.depth;
    int32_t top = (int32_t)shape->header.top_channels, count = work->stop - work->first;
    int32_t first = work->first + (int32_t)((int64_t)count * number / work->parts);
    int32_t stop = work->first + (int32_t)((int64_t)count * (number + 1) / work->parts);
    if (first >= stop) return;
    int32_t start = first && !finest ? first - 1 : first, end = stop < rows && !finest ? stop + 1 : stop;
    int64_t pitch = maker->stages[finest].pitch, size = (int64_t)columns * planes * (1 + depth);
    start_at(decoder, maker, finest, start);
    for (int32_t y = start; y <= end; y++) {
        int32_t *v[2][3];
        int16_t *around[3][3];
        for (int32_t c = 0; c < planes; c++) {
            for (int k = 0; k < 2; k++) v[k][c] = maker->outputs + (((y + k) & 1) * planes + c) * maker->pitch;
            for (int k = 0; k < 3; k++) around[k][c] = AT(maker->around, maker->pitch, (y + k) % 3 * planes + c);
        }
        if (y < end) {
            const int16_t *hidden = make_row(decoder, maker, finest, y);
            int16_t *finer = (int16_t *)maker->stages[0].hidden;
            if (finest) {
                make_finer(decoder, finest, y, pitch, hidden, finer);
                hidden = finer;
            }
            if (planes == 3 && channels == 7 && top == 48)
                output_row(maker, hidden, pitch, columns, 7, 3, 48, v[0], around[0]);
            else
                output_row(maker, hidden, pitch, columns, channels, planes, top, v[0], around[0]);
            for (int32_t c = 0; c < planes; c++) close_row(around[0][c], columns, 1);
        }
        /* The row above, whose rows around are there now; around[2] is that row, around[1] the one above it. */
        int32_t done = finest ? y : y - 1;
        if (done < first || done >= stop) continue;
        const int16_t *near[27];
        for (int k = 0; k < 9; k++)
            for (int32_t c = 0; c < planes; c++) {
                int dy = k / 3 - 1, dx = k % 3 - 1;
                if (finest)
                    near[planes * k + c] = around[0][c];
                else if ((dy < 0 && done == 0) || (dy > 0 && done == rows - 1))
                    near[planes * k + c] = around[2][c] + dx;
                else
                    near[planes * k + c] = around[dy < 0 ? 1 : dy > 0 ? 0 : 2][c] + dx;
            }
        uint8_t *out = (uint8_t *)work->samples + (int64_t)(done - work->first) * size;
        int32_t *const *own = finest ? v[0] : v[1];
        if (planes == 3 && !depth)
            sample_row(maker, near, own, columns, 3, 0, out);
        else
            sample_row(maker, near, own, columns, planes, depth, out);
    }
}

void AT_LEVEL(synthesise)(const decoder *decoder, uint32_t first, uint32_t stop, arena *memory, void *samples) {
    const ddc_request *request = decoder->request;
    maker *makers = take(memory, sizeof(maker) * (uint64_t)request->threads);
    work work = {decoder, makers, samples, (int32_t)first, (int32_t)stop, (int32_t)request->threads};
    memory->is_cleared = 1;
    for (uint32_t i = 0; i < request->threads; i++) {
        take_maker(&decoder->shape, memory, &makers[i]);
        pack_maker(decoder, &makers[i]);
    }
    if (request->run && request->threads > 1)
        request->run(request->user, make_part, &work, request->threads);
    else
        for (uint32_t i = 0; i < request->threads; i++) make_part(&work, i);
}

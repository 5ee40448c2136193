/* Chapter 4 of FORMAT.md: the range coder and its tables. */
#include "parts.h"

void make_tables(table tables[TABLES]) {
    uint64_t decay[SCALES] = {[59] = 2145894892, 2146100489, 2146279488, 2146435328, 2146571004};
    for (int s = 58; s >= 0; s--) decay[s] = (decay[s + 5] * decay[s + 5] + (1u << 30)) >> 31;
    for (int s = 0; s < SCALES; s++) {
        uint64_t tail[257] = {(uint64_t)1 << 32};
        for (int edge = 0; edge < 256; edge++) tail[edge + 1] = (tail[edge] * decay[s] + (1u << 30)) >> 31;
        for (int d = -8; d < 8; d++) {
            uint32_t frequencies[SYMBOLS], sum = 0, *below = tables[16 * s + d + 8].below;
            uint64_t first = 0, before = 0;
            for (int k = 0; k < SYMBOLS; k++) {
                /* `now` is `below` of FORMAT.md at the lower edge of symbol k. */
                int edge = 16 * (k - 15) - d - 8;
                uint64_t now = edge <= 0 ? tail[-edge] : ((uint64_t)1 << 33) - tail[edge];
                if (k)
                    frequencies[k - 1] = (uint32_t)((now - before) * ((1 << 24) - SYMBOLS) >> 33) + 1;
                else
                    first = now;
                before = now;
            }
            uint64_t escaped = ((uint64_t)1 << 33) - before + first;
            frequencies[SYMBOLS - 1] = (uint32_t)(escaped * ((1 << 24) - SYMBOLS) >> 33) + 1;
            for (int k = 0; k < SYMBOLS; k++) sum += frequencies[k];
            frequencies[15] += (1 << 24) - sum;
            below[0] = 0;
            for (int k = 0; k < SYMBOLS; k++) below[k + 1] = below[k] + frequencies[k];
        }
    }
}

void start_ranges(range_decoder *decoder, const uint8_t *words, const uint8_t *end) {
    *decoder = (range_decoder){.range = ~(uint64_t)0, .at = words, .end = end};
    decoder->offset = (uint64_t)next_word(decoder) << 32;
    decoder->offset |= next_word(decoder);
}

static int32_t read_bit(range_decoder *decoder) {
    uint64_t half = (decoder->range >> 24) << 23;
    int32_t bit = decoder->offset >= half;
    if (bit && decoder->offset - half >= half) decoder->is_damaged = 1;
    narrow(decoder, bit ? half : 0, half);
    return bit;
}

/* The order of the Exp-Golomb numbers of escapes: chapter 4, *Integers*. */
static int32_t golomb_order(int32_t scale) { return scale > 27 ? (scale - 27) / 5 : 0; }

int32_t read_escape(range_decoder *decoder, int32_t scale) {
    int32_t is_negative = read_bit(decoder), order = golomb_order(scale), ones = 0, rest = 0;
    while (!decoder->is_damaged && read_bit(decoder)) {
        if (order + ++ones > 16) decoder->is_damaged = 1;
    }
    if (decoder->is_damaged) return 0;
    for (int i = 0; i < order + ones; i++) rest = 2 * rest + read_bit(decoder);
    int32_t excess = ((1 << ones) - 1) * (1 << order) + rest;
    return is_negative ? -16 - excess : 16 + excess;
}

void read_group(range_decoder *decoder, const table *tables, int32_t scale, int32_t *values, int32_t count) {
    for (int32_t i = 0; i < count && !decoder->is_damaged; i++)
        values[i] = read_symbol(decoder, &tables[16 * scale + 8]) - 15;
    for (int32_t i = 0; i < count && !decoder->is_damaged; i++)
        if (values[i] == 16) values[i] = read_escape(decoder, scale);
}

/* ---- the encoder ---- */

void start_words(range_encoder *encoder, uint32_t *words, uint64_t most, uint64_t *sections) {
    *encoder = (range_encoder){.range = ~(uint64_t)0, .words = words, .most = most, .sections = sections};
}

/* Without room words are only counted. */
static void add_word(range_encoder *encoder, uint32_t word) {
    if (encoder->count < encoder->most) encoder->words[encoder->count] = word;
    encoder->count++;
}

static void carry(range_encoder *encoder) {
    uint64_t at = encoder->count < encoder->most ? encoder->count : encoder->most;
    while (at-- && !++encoder->words[at]) continue;
}

static void write_range(range_encoder *encoder, uint64_t below, uint64_t range) {
    encoder->low += below;
    encoder->range = range;
    if (encoder->low < below) carry(encoder);
    if (range >> 32) return;
    add_word(encoder, (uint32_t)(encoder->low >> 32));
    encoder->low <<= 32;
    encoder->range <<= 32;
}

void end_words(range_encoder *encoder) {
    uint64_t last = encoder->low + 0xffffffffu;
    if (last < encoder->low) carry(encoder);
    add_word(encoder, (uint32_t)(last >> 32));
}

void write_symbol(range_encoder *encoder, const table *table, int32_t symbol) {
    uint64_t step = encoder->range >> 24, low = table->below[symbol] * step;
    write_range(encoder, low, table->below[symbol + 1] * step - low);
}

static void write_bit(range_encoder *encoder, int32_t bit) {
    uint64_t half = (encoder->range >> 24) << 23;
    write_range(encoder, bit ? half : 0, half);
}

/* The parts of an escape: chapter 4, *Integers*. */
typedef struct {
    int32_t order, ones, excess;
} escape;

static escape escape_of(int32_t scale, int32_t value) {
    escape result = {golomb_order(scale), 0, (value < 0 ? -value : value) - 16};
    while (result.excess >= ((2 << result.ones) - 1) * (1 << result.order)) result.ones++;
    result.excess -= ((1 << result.ones) - 1) * (1 << result.order);
    return result;
}

int32_t escape_bits(int32_t scale, int32_t value) {
    escape parts = escape_of(scale, value);
    return 2 + 2 * parts.ones + parts.order;
}

void write_escape(range_encoder *encoder, int32_t scale, int32_t value) {
    escape parts = escape_of(scale, value);
    write_bit(encoder, value < 0);
    for (int i = 0; i < parts.ones; i++) write_bit(encoder, 1);
    write_bit(encoder, 0);
    for (int i = parts.order + parts.ones - 1; i >= 0; i--) write_bit(encoder, parts.excess >> i & 1);
}

void write_group(range_encoder *encoder, const table *tables, int32_t scale, const int32_t *values, int32_t count) {
    for (int32_t i = 0; i < count; i++) write_symbol(encoder, &tables[16 * scale + 8], symbol_of(values[i]));
    for (int32_t i = 0; i < count; i++)
        if (symbol_of(values[i]) == SYMBOLS - 1) write_escape(encoder, scale, values[i]);
}

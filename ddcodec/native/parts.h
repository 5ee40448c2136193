/* What the parts of the codec share. Names are those of FORMAT.md. */
#ifndef DDC_PARTS_H
#define DDC_PARTS_H

#include "ddc.h"

#include <assert.h>

#define VERSION 13
#define MOST_OCTAVES 16
#define BASES 10
#define BASE_OCTAVES 7
#define NEIGHBOURS 20
#define FEATURES 6
#define CODE_MAX 4095
#define SEEN_MAX 127
#define SYMBOLS 32
#define SCALES 64
#define TABLES (16 * SCALES)
#define MARGIN 32 /* numbers of 16 bits that a vector may read beyond a row, on either side */

/* The names of what is built once for each kind of vectors. */
#define JOINED(name, level) name##_##level
#define JOINED_AFTER_EXPANSION(name, level) JOINED(name, level)
#define AT_LEVEL(name) JOINED_AFTER_EXPANSION(name, DDC_LEVEL)

/* ---- memory: one block, handed out from its start; with no block, only counted ---- */

typedef struct {
    uint8_t *start;
    uint64_t used, most, size; /* `most`: that were ever used at once */
    int is_cleared;            /* whether what is handed out is set to 0 */
} arena;

void *take(arena *memory, uint64_t bytes);

/* AddressSanitizer then sees a step beyond any part of the memory: gaps lie between them, and may not be touched. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define GAP 64
#define FORBID(at, bytes) ASAN_POISON_MEMORY_REGION(at, bytes)
#define ALLOW(at, bytes) ASAN_UNPOISON_MEMORY_REGION(at, bytes)
#endif
#endif
/* Without it, a build may leave gaps that hold no number: what is read there shows in a result. */
#if !defined(GAP) && defined(DDC_GAP)
#include <string.h>
#define GAP DDC_GAP
#define FORBID(at, bytes) memset(at, 0xff, (size_t)(bytes))
#define ALLOW(at, bytes) memset(at, 0, (size_t)(bytes))
#endif
#ifndef GAP
#define GAP 0
#define FORBID(at, bytes) ((void)0)
#define ALLOW(at, bytes) ((void)0)
#endif

/* ---- chapters 1 to 3 ---- */

uint32_t crc32_of(const uint8_t *data, size_t size);
uint32_t crc32_of_16(const uint16_t *samples, size_t count); /* of each the more significant byte first */

typedef struct {
    const uint8_t *words, *end;                /* of the stream, as far as the bytes go */
    const uint8_t *sections[MOST_OCTAVES + 1]; /* where the first, second, ... section ends; NULL if behind the end */
    int is_cut;
} stream;

ddc_error read_body(const ddc_header *header, const uint8_t *data, size_t size, int is_beginning, stream *found);

/* What follows from the header: chapter 5. */
typedef struct {
    ddc_header header;
    int32_t octaves, planes;
    int32_t rows[MOST_OCTAVES], columns[MOST_OCTAVES];
    int32_t channels[MOST_OCTAVES], code_planes[MOST_OCTAVES], filtered[MOST_OCTAVES], seen[MOST_OCTAVES];
    int32_t linear[MOST_OCTAVES];
    int32_t coded_octaves;
} shape;

void shape_of(const ddc_header *header, shape *result);

/* ---- chapter 4 ---- */

typedef struct {
    uint32_t below[SYMBOLS + 1]; /* sums of the frequencies before each symbol */
} table;

typedef struct {
    uint64_t offset, range;
    const uint8_t *at, *end;
    int is_damaged;
} range_decoder;

void make_tables(table tables[TABLES]);
void start_ranges(range_decoder *decoder, const uint8_t *words, const uint8_t *end);
int32_t read_escape(range_decoder *decoder, int32_t scale);
void read_group(range_decoder *decoder, const table *tables, int32_t scale, int32_t *values, int32_t count);

static inline uint32_t next_word(range_decoder *decoder) {
    const uint8_t *at = decoder->at;
    if (at == decoder->end) return 0;
    decoder->at += 4;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline void narrow(range_decoder *decoder, uint64_t low, uint64_t range) {
    decoder->offset -= low;
    decoder->range = range;
    if (decoder->range >> 32) return;
    decoder->range <<= 32;
    decoder->offset = decoder->offset << 32 | next_word(decoder);
}

/* Take a symbol. The search goes from the most likely one outwards, by products: no division, and its branches are well
   predicted, which keeps it out of the chain of steps that wait for each other. */
static inline int32_t read_symbol(range_decoder *decoder, const table *table) {
    uint64_t step = decoder->range >> 24, low = table->below[15] * step, high;
    int32_t symbol = 15;
    if (decoder->offset >= low) {
        high = table->below[16] * step;
        while (decoder->offset >= high) {
            if (symbol == SYMBOLS - 1) {
                decoder->is_damaged = 1;
                break;
            }
            low = high;
            high = table->below[++symbol + 1] * step;
        }
    } else {
        do {
            high = low;
            low = table->below[--symbol] * step;
        } while (decoder->offset < low);
    }
    narrow(decoder, low, high - low);
    return symbol;
}

/* The symbol of an integer that is so much more than expected, chapter 4, *Integers*. The last one stands for an
 * escape.
 */
static inline int32_t symbol_of(int32_t beyond) { return beyond < -15 || beyond > 15 ? SYMBOLS - 1 : beyond + 15; }

/* The opposite of the range decoder. */
typedef struct {
    uint64_t low, range, count, most;
    uint32_t *words;
    uint64_t *sections;
} range_encoder;

void start_words(range_encoder *encoder, uint32_t *words, uint64_t most, uint64_t *sections);
void end_words(range_encoder *encoder);
void write_symbol(range_encoder *encoder, const table *table, int32_t symbol);
int32_t escape_bits(int32_t scale, int32_t value);
void write_escape(range_encoder *encoder, int32_t scale, int32_t value);
void write_group(range_encoder *encoder, const table *tables, int32_t scale, const int32_t *values, int32_t count);

/* The words that a decoder takes until it has all that is written so far. */
static inline uint64_t words_taken(const range_encoder *encoder) { return encoder->count + 2; }

/* ---- chapter 5 ---- */

typedef struct {
    int32_t rows, columns, exponent;
    int32_t at;      /* the numbers before it, in coding order */
    int32_t *values; /* w, row by row */
} tensor;

typedef struct {
    tensor context_weight[3], context_bias[3], features[MOST_OCTAVES];
    tensor mix[MOST_OCTAVES], taps[MOST_OCTAVES], filter[MOST_OCTAVES], code[MOST_OCTAVES], bias[MOST_OCTAVES];
    tensor top_weight, top_bias, output_weight, output_bias, residual_weight;
} weights;

/* Find sizes and places of all tensors; return the number of weights. */
int32_t place_tensors(const shape *shape, weights *result);
void take_weights(arena *memory, const shape *shape, weights *result);
/* `copy`: NULL, or where all that is read is written again. */
ddc_error read_weights(
    const shape *shape, range_decoder *decoder, const table *tables, range_encoder *copy, weights *result);

/* Sums modulo 2^32. */
static inline int32_t wrapped(int64_t z) { return (int32_t)(uint32_t)(uint64_t)z; }

/* A layer as vectors take it: weights in pairs, two numbers of 16 bits in one of 32; and what is added before the
   shift, the bias and half of what the shift takes away. */
typedef struct {
    int32_t outputs, pairs, shift;
    int32_t *pair_weights; /* [outputs][pairs] */
    int32_t *added;        /* [outputs] */
} layer;

void take_layer(arena *memory, layer *layer, int32_t outputs, int32_t pairs);

/* The number that a bias stands for in the sums of a layer, chapter 5, *Arithmetic*. */
static inline int32_t bias_of(const tensor *bias, int32_t at, int32_t weight_exponent, int32_t bits) {
    int32_t shift = weight_exponent + bits - bias->exponent;
    int64_t value = bias->values[at];
    return wrapped(shift >= 0 ? value * ((int64_t)1 << shift) : value >> -shift);
}

/* The nearest number of 16 bits. */
static inline int16_t clipped(int64_t value) {
    return (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}

static inline int32_t half_of(int32_t shift) { return shift > 0 ? 1 << (shift - 1) : 0; }

/* ---- chapters 6 and 7 ---- */

typedef struct {
    shape shape;
    weights weights;
    range_decoder ranges;
    table *tables;
    int16_t *code[MOST_OCTAVES];   /* [planes][rows][columns] */
    uint16_t *costs[MOST_OCTAVES]; /* the same, or NULL */
    const ddc_request *request;
} decoder;

/* The parts that are built once for each kind of vectors, with these names and the number of simd.h. `take_code` and
   `take_synthesis` take the memory that the other two take. `walk_code` reads the code, or with an encoder writes it.
 */
typedef struct {
    const char *name;
    void (*take_code)(const shape *shape, arena *memory);
    ddc_error (*walk_code)(decoder *decoder, arena *memory, const stream *stream, range_encoder *encoder);
    void (*take_synthesis)(const shape *shape, uint32_t threads, arena *memory);
    void (*synthesise)(const decoder *decoder, uint32_t first, uint32_t stop, arena *memory, void *samples);
} level;

/* The number of the best kind of vectors that this machine has, among those of the library. */
int best_level(void);

#endif

/* Chapter 5 of FORMAT.md: the weights. */
#include "parts.h"

#include "bases.h"

#include <string.h>

enum kind { WEIGHT, OCTAVE_BIAS, FEATURE, PASSED, TAPS, OUTPUT, RESIDUAL, CODE, TOP_LIKE };

typedef struct {
    tensor *tensor;
    enum kind kind;
    int32_t octave; /* -1 for tensors that belong to none */
} row;

/* Walk over the tensors in coding order: call `take_row` for each. */
typedef struct {
    row rows[16 + 6 * MOST_OCTAVES];
    int count;
    int32_t numbers;
} list;

static void add(list *list, tensor *tensor, enum kind kind, int32_t octave, int32_t rows, int32_t columns) {
    tensor->rows = rows;
    tensor->columns = columns;
    tensor->at = list->numbers;
    list->numbers += rows * columns;
    list->rows[list->count++] = (row){tensor, kind, octave};
}

static void list_tensors(const shape *shape, weights *w, list *list) {
    const ddc_header *header = &shape->header;
    int32_t hidden = (int32_t)header->context_channels, inputs = (int32_t)header->neighbours + FEATURES + 1;
    int32_t top = (int32_t)header->top_channels, last = shape->octaves - 1;
    list->count = list->numbers = 0;
    add(list, &w->context_weight[0], WEIGHT, -1, hidden, inputs);
    add(list, &w->context_bias[0], WEIGHT, -1, hidden, 1);
    add(list, &w->context_weight[1], WEIGHT, -1, hidden, hidden);
    add(list, &w->context_bias[1], WEIGHT, -1, hidden, 1);
    add(list, &w->context_weight[2], WEIGHT, -1, 2, hidden + inputs);
    add(list, &w->context_bias[2], OCTAVE_BIAS, -1, shape->coded_octaves, 2);
    for (int32_t l = last; l >= 0; l--)
        if (shape->seen[l]) add(list, &w->features[l], FEATURE, l, FEATURES, shape->seen[l]);
    for (int32_t l = last; l >= 0; l--) {
        if (l < last) {
            add(list, &w->mix[l], PASSED, l, shape->channels[l], shape->channels[l + 1]);
            add(list, &w->taps[l], TAPS, l, 1, 2 * (int32_t)header->taps);
        }
        if (shape->code_planes[l]) {
            add(list, &w->filter[l], WEIGHT, l, 5, 5);
            add(list, &w->code[l], CODE, l, shape->channels[l], shape->code_planes[l]);
        }
        add(list, &w->bias[l], PASSED, l, shape->channels[l], 1);
    }
    if (top) {
        add(list, &w->top_weight, TOP_LIKE, -1, top, shape->channels[0]);
        add(list, &w->top_bias, WEIGHT, -1, top, 1);
    }
    add(list, &w->output_weight, OUTPUT, -1, shape->planes, shape->channels[0] + top);
    add(list, &w->output_bias, OUTPUT, -1, shape->planes, 1);
    add(list, &w->residual_weight, RESIDUAL, -1, shape->planes, 9 * shape->planes);
}

int32_t place_tensors(const shape *shape, weights *result) {
    list list;
    list_tensors(shape, result, &list);
    return list.numbers;
}

void take_weights(arena *memory, const shape *shape, weights *result) {
    list list;
    list_tensors(shape, result, &list);
    for (int i = 0; i < list.count; i++) {
        tensor *tensor = list.rows[i].tensor;
        tensor->values = take(memory, 4 * (uint64_t)tensor->rows * (uint64_t)tensor->columns);
    }
}

static int32_t floor_of(int32_t a, int32_t b) { return a / b - (a % b < 0); }

/* The network that the bases are for: three planes and seven octaves. */
static void shape_of_bases(const ddc_header *header, shape *result) {
    ddc_header whole = *header;
    whole.octaves = BASE_OCTAVES;
    whole.planes = 3;
    whole.detail = 0;
    shape_of(&whole, result);
}

/* The element of a base in a row and a column of a tensor. `whole`: the tensor in the file of bases; `old`: its columns
   there. */
static int32_t element(const shape *shape, const row *row, const int16_t *whole, int32_t old, int32_t r, int32_t c) {
    int32_t finest = (int32_t)shape->header.finest_channels, detail = 2 * (int32_t)shape->header.detail;
    if (row->kind == OCTAVE_BIAS) return whole[old * (BASE_OCTAVES - shape->octaves + r) + c];
    if (detail && row->octave == 0 && (row->kind == PASSED || row->kind == CODE) && r >= finest)
        return row->kind == CODE && c == r - finest + 1 ? 2 << 12 : 0;
    if (detail && row->octave == 0 && row->kind == CODE && c) return 0;
    if (detail && (row->kind == TOP_LIKE || (row->kind == OUTPUT && old > 1))) {
        if (c >= finest && c < finest + detail) return 0;
        if (c >= finest) c -= detail;
    }
    if (shape->planes == 1 && row->kind == OUTPUT) return floor_of(whole[c] + whole[old + c] + whole[2 * old + c], 3);
    if (shape->planes == 1 && row->kind == RESIDUAL) {
        int32_t sum = 0;
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++) sum += whole[old * a + 3 * c + b];
        return floor_of(sum, 3);
    }
    return whole[old * r + c];
}

/* An element of base 0. */
static int32_t plain_element(const shape *shape, const row *row, int32_t r, int32_t c) {
    int32_t n = (int32_t)shape->header.taps;
    if (row->kind == TAPS) return c == n - 1 ? 1024 : c == n ? 3072 : 0;
    return row->kind == FEATURE && r == c ? 4096 : 0;
}

/* Whether a tensor of the bases' network has a counterpart in a network of fewer octaves. */
static int is_kept(const shape *shape, const row *row) {
    int is_between = row->kind == FEATURE || row->kind == TAPS || (row->kind == PASSED && row->tensor->columns > 1);
    return row->octave < shape->octaves - is_between;
}

ddc_error read_weights(
    const shape *own, range_decoder *decoder, const table *tables, range_encoder *copy, weights *result) {
    int32_t exponent = 6, scale = 27, changes[2];
    uint32_t base = own->header.base;
    shape bases;
    weights of_bases;
    list list, whole;
    const int16_t *places[16 + 6 * MOST_OCTAVES] = {NULL};
    int32_t old_columns[16 + 6 * MOST_OCTAVES] = {0};
    list_tensors(own, result, &list);
    if (base) {
        const int16_t *at = BASES_FILE + (base - 1) * (sizeof BASES_FILE / sizeof *BASES_FILE / BASES);
        int count = 0;
        shape_of_bases(&own->header, &bases);
        list_tensors(&bases, &of_bases, &whole);
        for (int i = 0; i < whole.count; i++) {
            const tensor *there = whole.rows[i].tensor;
            if (is_kept(own, &whole.rows[i])) {
                places[count] = at;
                old_columns[count++] = there->columns;
            }
            at += there->rows * there->columns;
        }
        assert(count == list.count);
    }
    for (int i = 0; i < list.count; i++) {
        const row *row = &list.rows[i];
        tensor *tensor = row->tensor;
        int32_t count = tensor->rows * tensor->columns, coded = 0;
        int32_t *values = tensor->values, any = 0;
        memset(values, 0, 4 * (size_t)count);
        if (!base || (row->kind != PASSED && row->kind != CODE)) {
            read_group(decoder, tables, 27, &changes[0], 1);
            read_group(decoder, tables, 37, &changes[1], 1);
            if (decoder->is_damaged) return DDC_DAMAGED_STREAM;
            exponent += changes[0];
            scale += changes[1];
            if (exponent < 0 || exponent > 15 || scale < 0 || scale >= SCALES) return DDC_DAMAGED_WEIGHTS;
            read_group(decoder, tables, scale, values, count);
            if (decoder->is_damaged) return DDC_DAMAGED_STREAM;
            if (copy) {
                write_group(copy, tables, 27, &changes[0], 1);
                write_group(copy, tables, 37, &changes[1], 1);
                write_group(copy, tables, scale, values, count);
            }
            coded = exponent;
        }
#define BASE_ELEMENT(k)                                                                                                \
    (base ? element(own, row, places[i], old_columns[i], (k) / tensor->columns, (k) % tensor->columns)                 \
          : plain_element(own, row, (k) / tensor->columns, (k) % tensor->columns))
        for (int32_t k = 0; k < count; k++) any |= BASE_ELEMENT(k);
        tensor->exponent = any && coded < 12 ? 12 : coded;
        for (int32_t k = 0; k < count; k++) {
            int64_t value = (int64_t)values[k] * ((int64_t)1 << (tensor->exponent - coded));
            if (any) value += (int64_t)BASE_ELEMENT(k) * ((int64_t)1 << (tensor->exponent - 12));
            if (value < -32767 || value > 32767) return DDC_DAMAGED_WEIGHTS;
            values[k] = (int32_t)value;
        }
    }
    return DDC_OK;
}

void take_layer(arena *memory, layer *layer, int32_t outputs, int32_t pairs) {
    layer->outputs = outputs;
    layer->pairs = pairs;
    layer->pair_weights = take(memory, 4 * (uint64_t)outputs * (uint64_t)pairs);
    layer->added = take(memory, 4 * (uint64_t)outputs);
}

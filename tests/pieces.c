/* The small pieces of the fit in C, so that Python can call them: built once for each kind of vectors. */
#include "../ddcodec/native/fit/products.c"

#include "../ddcodec/native/fit/seen.c"
#include "../ddcodec/native/fit/update.c"

/* Rows of results, `count` numbers apart, of a vector each of a and b. */
DDC_PUBLIC void unary(float *target, const float *a, const float *b, int count) {
    for (int at = 0; at < count; at += LANES) {
        floats x = load(a + at), y = load(b + at);
        floats results[] = {exp_of(x),     exp2_of(x),          log_of(y),    nearest(x), floor_of(x),
                            sign_of(x),    chosen(x > y, x, y), even(x, y),   odd(x, y),  low(x, y),
                            high(x, y),    all(total(x)),       magnitude(x), root_of(y), maximum(x, y),
                            minimum(x, y), clamped(x, -1, 2)};
        for (int i = 0; i < (int)(sizeof results / sizeof *results); i++) store(target + i * count + at, results[i]);
    }
}

DDC_PUBLIC void firsts(float *target, const float *a, int start, int stop) {
    for (int count = start; count < stop; count++) store(target + (count - start) * LANES, first(load(a), count));
}

DDC_PUBLIC void normals(float *target, uint32_t key, uint32_t index, int count) {
    for (int place = 0; place < count; place += LANES) store(target + place, normal(key, index + (uint32_t)place));
}

DDC_PUBLIC void any_product(
    int form, float *const *targets, int outputs, float *const *sources, int inputs, const float *weights,
    int64_t by_output, int64_t by_input, const float *bias, float *const *gates, int linear, int vectors) {
    matrix own = {weights, by_output, by_input};
    if (form == AFFINE) affine(targets, outputs, sources, inputs, own, bias, linear, vectors);
    if (form == GATED) gated(targets, outputs, sources, inputs, own, gates, linear, vectors);
    if (form == ADDED) added(targets, outputs, sources, inputs, own, linear, vectors);
}

DDC_PUBLIC void any_outer(
    float *sums, float *const *gradients, int rows, float *const *inputs, int columns, int vectors) {
    outer(sums, gradients, rows, inputs, columns, vectors);
}

DDC_PUBLIC void doubled(
    const float *near, const float *far, int is_magnitude, float *across, float *along, int columns) {
    double_row(near, far, is_magnitude, across, along, columns);
}

DDC_PUBLIC int other(int rows, int finer_row) {
    octave here = {.rows = rows};
    return other_row(&here, finer_row);
}

DDC_PUBLIC const int lanes = LANES;

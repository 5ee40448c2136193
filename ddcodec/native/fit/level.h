/* The functions that are built once for each kind of vectors, under names of their own. */
#ifndef DDC_LEVEL_H
#define DDC_LEVEL_H

#include "plan.h"

#include "floats.h"

#define run_pass AT_LEVEL(run_pass)
#define affine AT_LEVEL(affine)
#define gated AT_LEVEL(gated)
#define added AT_LEVEL(added)
#define outer AT_LEVEL(outer)
#define fold_sums AT_LEVEL(fold_sums)
#define round_softly AT_LEVEL(round_softly)
#define round_hard AT_LEVEL(round_hard)
#define move_code AT_LEVEL(move_code)
#define see AT_LEVEL(see)
#define see_back AT_LEVEL(see_back)
#define seen_row AT_LEVEL(seen_row)
#define other_row AT_LEVEL(other_row)
#define double_row AT_LEVEL(double_row)
#define octave_bits AT_LEVEL(octave_bits)
#define merge_gradients AT_LEVEL(merge_gradients)
#define filter_code AT_LEVEL(filter_code)
#define filter_back AT_LEVEL(filter_back)
#define forward AT_LEVEL(forward)
#define make_outputs AT_LEVEL(make_outputs)
#define finest_back AT_LEVEL(finest_back)
#define backward AT_LEVEL(backward)
#define merge_mixed AT_LEVEL(merge_mixed)
#define measure_distortion AT_LEVEL(measure_distortion)
#define residual_back AT_LEVEL(residual_back)
#define gradient_row AT_LEVEL(gradient_row)
#define convolve AT_LEVEL(convolve)

/* Products, see products.c. All rows are of `vectors` vectors. */
void affine(
    float *const *targets, int outputs, float *const *sources, int inputs, matrix weights, const float *bias,
    int linear, int vectors);
void gated(
    float *const *targets, int outputs, float *const *sources, int inputs, matrix weights, float *const *gates,
    int linear, int vectors);
void added(
    float *const *targets, int outputs, float *const *sources, int inputs, matrix weights, int linear, int vectors);
void outer(float *sums, float *const *gradients, int rows, float *const *inputs, int columns, int vectors);
#define NO_RELU INT32_MAX

/* List `count` rows. */
INLINE void list_rows(float **list, int count, float *first_row, int64_t pitch) {
    for (int i = 0; i < count; i++) list[i] = first_row + i * pitch;
}

INLINE matrix matrix_of(const float *weights, const tensor *tensor) {
    return (matrix){weights + tensor->at, tensor->columns, 1};
}
INLINE matrix transposed(matrix a) { return (matrix){a.at, a.by_input, a.by_output}; }

/* update.c */
void fold_sums(worker *self);
void round_softly(worker *self);
void round_hard(worker *self);
void move_code(worker *self);

/* seen.c */
void see(worker *self, int o);
void see_back(worker *self, int o);
float *seen_row(const octave *here, int plane, int row);
int other_row(const octave *here, int finer_row);
void double_row(const float *near, const float *far, int is_magnitude, float *across, float *along, int columns);

/* rate.c */
double octave_bits(worker *self, int o);
void merge_gradients(worker *self, int o);

/* filters.c */
void filter_code(worker *self, int o);
void filter_back(worker *self, int o);

/* synthesis.c */
void forward(worker *self, int o);
void make_outputs(worker *self);
void finest_back(worker *self);
void backward(worker *self, int o);
void merge_mixed(worker *self, int o);

/* distortion.c */
void measure_distortion(worker *self);
void residual_back(worker *self, int row, int stop);
float *gradient_row(const worker *self, int plane, int row);

void run_pass(worker *self);

/* guess.c */
void convolve(const ddc_fit_layer *layer);

INLINE const float *weights_of(const worker *self) { return self->fit->weights[self->fit->pass->is_trial]; }

#endif

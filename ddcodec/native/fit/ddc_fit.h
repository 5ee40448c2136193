/* Fits a picture on the CPU: the steps of ddcodec's encoder that take its time.

   A fit lives in one block of memory. A pass rounds the code, measures bits and distortion, goes back to all gradients
   and moves the code, as far as it is asked to. The caller moves the weights between passes. All numbers are float32
   unless something else is said. Samples are from 0 to 1.

   A fit is for one caller at a time, and not for a child after a fork. The same passes with as many threads and the
   same vectors give the same numbers. */
#ifndef DDC_FIT_H
#define DDC_FIT_H

#include "../ddc.h"

#define DDC_FIT_MOST_THREADS 256

typedef struct ddc_fit ddc_fit;

/* What a fit is for, beside its header.
   - threads: 1 to DDC_FIT_MOST_THREADS
   - is_masked: there are pixels that do not count
   - has_levels: errors cost what levels and edges say, beside their squares
   - is_passed: the weights that mix planes before the top layer stay as they are; no gradients by them are computed
   - vectors: a limit for the kind that is used, as `ddc_request.level`; -1 for the best */
typedef struct {
    uint32_t threads;
    int32_t is_masked, has_levels, is_passed, vectors;
} ddc_fit_options;

/* The bytes that `ddc_fit_start` wants; 0 if a number is out of its range. */
DDC_PUBLIC uint64_t ddc_fit_memory(const ddc_header *header, const ddc_fit_options *options);

/* Lay a fit out in memory, aligned to 64 and of zeros, and start its threads; NULL where the system has none left. */
DDC_PUBLIC ddc_fit *ddc_fit_start(const ddc_header *header, const ddc_fit_options *options, void *memory);

/* End the threads. The memory is the caller's again. */
DDC_PUBLIC void ddc_fit_end(ddc_fit *fit);

/* The numbers of a vector. */
DDC_PUBLIC uint32_t ddc_fit_lanes(const ddc_fit *fit);

/* What a caller may see. The first five have an octave and a plane; a level has its number in the place of an octave,
   and a plane. Between passes a caller may write all of it, and does write what is not said to be written by a pass. */
enum ddc_fit_array {
    DDC_Y,            /* the code over 16, before it is rounded; a pass may move it */
    DDC_FIRST_MOMENT, /* Adam's means of gradients and of their squares, which start at 0 and move with Y */
    DDC_SECOND_MOMENT,
    DDC_Q,         /* the code as the last pass rounded it */
    DDC_GRADIENT,  /* written by a pass: the gradient by Q or, if it keeps, the nats of each integer */
    DDC_WEIGHTS,   /* all weights, in coding order */
    DDC_TRIAL,     /* other weights, to be measured */
    DDC_BY_WEIGHT, /* float64, written by a pass that learns: the gradients by the weights it used */
    DDC_TARGET,    /* uint16: the picture, whatever its depth, a plane at a time */
    DDC_KNOWN,     /* 1 for pixels that count, else 0; not there unless `is_masked` */
    DDC_PARTS,     /* written by a pass that keeps: each pixel's part in D */
    DDC_SUMS,      /* clamped samples, a plane at a time, to which passes add; the caller clears them */
    DDC_EDGES,     /* weights of edges, times 2 / samples; not there unless `has_levels` */
    DDC_LEVELS     /* weights of levels 0 to 2, likewise */
};

/* Rows of numbers: `pitch` from one to the next. `at` is NULL for what is not there. */
typedef struct {
    void *at;
    int64_t rows, columns, pitch;
} ddc_fit_view;

DDC_PUBLIC ddc_fit_view ddc_fit_see(const ddc_fit *fit, int array, int octave, int plane);

enum ddc_rounding { DDC_AS_IT_IS, DDC_SOFT, DDC_HARD };
enum ddc_keep { DDC_NOTHING, DDC_DIFFERENCES, DDC_ALL };

/* What a pass does.
   - is_trial: it takes the weights of DDC_TRIAL
   - rounding: first, softly with noise or hard, or not at all
   - has_rate, has_picture: measure the bits; measure the distortion
   - last: the coarsest octave that is measured; the coarser ones stay as they were in the last pass over all
   - keep: the nats of integers, and the parts of pixels in D, or in its change since the last pass with DDC_ALL. Such a
     pass must not sum samples, which lie in the same memory.
   - learns: compute gradients, which takes bits, distortion and all octaves
   - moves_code: move the code by Adam, which takes gradients, rounding softly, and nothing to keep
   - sums_samples: add to DDC_SUMS
   - key, temperature, noise: of the soft rounding; the noise's standard deviation is in units of the code
   - squares: weight of the squared error in D; price: that of a bit
   - pace, correction, beta_1, beta_2, epsilon: of Adam; the learning rate over 1 - beta_1^t, and 1 / sqrt(1 - beta_2^t)
*/
typedef struct {
    int32_t is_trial, rounding, has_rate, has_picture, last, keep, learns, moves_code, sums_samples;
    uint32_t key;
    float squares, temperature, noise, price, pace, correction, beta_1, beta_2, epsilon;
} ddc_fit_pass;

typedef struct {
    double distortion, bits, squares; /* the last is the sum of squared errors */
} ddc_fit_results;

DDC_PUBLIC ddc_fit_results ddc_fit_run(ddc_fit *fit, const ddc_fit_pass *pass);

/* A 3x3 layer of the network that guesses a code: of up to 64 planes to up to 64.
   - planes: its input, from the first pixel of the first plane; `pitch` numbers lie from row to row, `plane` from plane
     to plane. A row above, a row below, a column to the left and 17 to the right can be read, too.
   - results: likewise; rows are written in whole vectors, up to 15 numbers beyond the last column
   - weights: [outputs][inputs][3][3] */
typedef struct {
    float *planes;
    int64_t pitch, plane;
    float *results;
    int64_t result_pitch, result_plane;
    const float *weights, *bias;
    int64_t rows, columns;
    int32_t inputs, outputs;
} ddc_fit_layer;

DDC_PUBLIC void ddc_fit_convolve(const ddc_fit_layer *layer);

#endif

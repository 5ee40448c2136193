/* Fits a picture on the CPU: the steps of ddcodec's encoder that take its time.

   A fit lives in one block of memory. A pass rounds the code, measures bits and distortion, goes back to all gradients
   and moves the code, as far as it is asked to. The caller moves the weights between passes. All numbers are float32
   unless something else is said. Units are those of the package: the code in code units, samples from 0 to 1. */
#ifndef DDC_FIT_H
#define DDC_FIT_H

#include "../ddc.h"

typedef struct ddc_fit ddc_fit;

/* What a fit is for, beside its header.
   - threads: 1 to 64
   - is_masked: there are pixels that do not count
   - has_levels: errors cost what the levels and edges of a form say
   - is_passed: the weights that mix planes before the top layer stay as they are; no gradients by them are computed
   - level: a limit for the vectors that are used, or -1; see `ddc_fit_level` */
typedef struct {
    uint32_t threads;
    int32_t is_masked, has_levels, is_passed, level;
} ddc_fit_options;

/* The bytes that `ddc_fit_start` wants. */
DDC_PUBLIC uint64_t ddc_fit_memory(const ddc_header *header, const ddc_fit_options *options);

/* Lay a fit out in memory, aligned to 64 and of zeros, and start its threads; NULL where the system has none left. */
DDC_PUBLIC ddc_fit *ddc_fit_start(const ddc_header *header, const ddc_fit_options *options, void *memory);

/* End the threads. The memory is the caller's again. */
DDC_PUBLIC void ddc_fit_end(ddc_fit *fit);

/* The numbers in a vector of the level that is used. */
DDC_PUBLIC uint32_t ddc_fit_lanes(const ddc_fit *fit);

/* What a caller may see. Code planes have an octave and a plane; weights are vectors in coding order; levels have the
   number of the level for an octave. */
enum ddc_fit_array {
    DDC_Y, /* the code, divided by the integers that one code unit is */
    DDC_FIRST_MOMENT,
    DDC_SECOND_MOMENT,
    DDC_Q, /* the code as it was rounded last */
    DDC_SLOPE,
    DDC_GRADIENT, /* the gradient by the code, or nats of each integer */
    DDC_FILTERED,
    DDC_BY_FILTERED,
    DDC_WEIGHTS,
    DDC_TRIAL,     /* other weights, to be measured */
    DDC_BY_WEIGHT, /* float64: the gradients by the weights, without those of their own bits */
    DDC_TARGET,    /* uint16: the picture */
    DDC_KNOWN,     /* 1 for pixels that count, else 0 */
    DDC_PARTS,     /* each pixel's part in D, see `keep` */
    DDC_SUMS,      /* samples, summed over passes */
    DDC_EDGES,     /* weights of edges, and of levels, as factors of errors in the gradient of D */
    DDC_LEVELS
};

/* Rows of numbers: `pitch` from one to the next. */
typedef struct {
    void *at;
    int64_t rows, columns, pitch;
} ddc_fit_view;

DDC_PUBLIC ddc_fit_view ddc_fit_see(const ddc_fit *fit, int array, int octave, int plane);

/* Derive from a block of weights what passes read: to be called when it has changed. */
DDC_PUBLIC void ddc_fit_prepare(ddc_fit *fit, int is_trial);

enum ddc_rounding { DDC_AS_IT_IS, DDC_SOFT, DDC_HARD };
enum ddc_keep { DDC_NOTHING, DDC_DIFFERENCES, DDC_ALL };

typedef struct {
    int32_t is_trial; /* which weights */
    int32_t rounding;
    int32_t has_rate, has_picture; /* measure bits; measure the distortion */
    int32_t last;                  /* the coarsest octave that is measured; coarser ones stay as they are */
    int32_t keep;       /* keep nats of integers, and parts of pixels in D: all of it, or in its change since */
    int32_t learns;     /* compute gradients */
    int32_t moves_code; /* and move the code by Adam */
    int32_t sums_samples;
    uint32_t key;  /* of the noise */
    float squares; /* weight of the squared error in D */
    float temperature, noise;
    float price;      /* of a bit */
    float pace;       /* Adam: the learning rate over 1 - beta_1^t, */
    float correction; /* 1 / sqrt(1 - beta_2^t), */
    float beta_1, beta_2, epsilon;
} ddc_fit_pass;

typedef struct {
    double distortion, bits, squares; /* the last is the sum of squared errors */
} ddc_fit_results;

DDC_PUBLIC ddc_fit_results ddc_fit_run(ddc_fit *fit, const ddc_fit_pass *pass);

#endif

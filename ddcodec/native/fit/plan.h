/* What the files of a fit share. Start reading at `run_pass` in pass.c: it is one thread's part of a pass, from top to
   bottom. Then read filters.c, the shortest way forward and back.

   - A run is up to RUN pixels of a row, or of a pair of rows in the synthesis: its rows stay in the processor's cache
     on the way forward and back.
   - A phase is a quarter of a run of the synthesis: the pixels with the same parities of row and column.
   - A margin is SIDE numbers of zeros beside and between rows, so that a neighbour is a shifted row.
   - A halo holds what a thread adds to rows of its neighbours. After a wait the thread adds it there.

   Sizes and distances are in numbers. An octave's rows are shared among threads by pairs. */
#ifndef DDC_PLAN_H
#define DDC_PLAN_H

#include "../parts.h"
#include "ddc_fit.h"

#define SIDE 16 /* at least a vector, and all that a context or an upsampling reaches */
#define ABOVE 3 /* rows that a context reaches up */
/* Pixels of a run: so many that what is loaded once a run costs little, so few that its rows stay in a cache. */
#define RUN 768
#define ROW (RUN + SIDE) /* from row to row of a run: an odd number of cache lines, so that rows share no sets */
#define PHASE (RUN / 4)
#define SHIFTED (RUN + 3 * SIDE)           /* a row that is read from up to SIDE numbers to its left or right */
#define GAPPED (SIDE + 4 * (PHASE + SIDE)) /* a row whose four phases have zeros between them */
/* Pairs of rows that a thread takes at least: twice what a halo reaches, so that those from above and below never meet.
 */
#define LEAST_BAND 8
#define SEEN_FEATURES (FEATURES + 1)
#define FILTER_SIDE 5
#define FILTER_PLACES (FILTER_SIDE * FILTER_SIDE)
#define SQUARE 9
#define LEVELS 3
#define BAND 4            /* rows of the blocks of a form: those of its coarsest level */
#define RING (BAND + 2)   /* rows of errors that a thread keeps: a band, and one more at each end */
#define SYNTHESIS_UNIT 16 /* units of the code that are 1 in the synthesis */
#define Y_UNIT 16         /* units of the code that are 1 in Y */
#define MOST_ROWS 512     /* of a product */
/* Rows, or pairs of rows, after which a thread folds its sums: float32 would lose digits over a large picture. */
#define FOLDED_ROWS 128
#define NAT 0.6931471805599453

/* Planes of rows: `pitch` numbers from one row to the next. */
typedef struct {
    float *at;
    int64_t pitch, plane;
} grid;

static inline float *row_of(grid grid, int plane, int row) { return grid.at + plane * grid.plane + row * grid.pitch; }

/* A matrix of weights: that of output j and input i is at[j by_output + i by_input]. */
typedef struct {
    const float *at;
    int64_t by_output, by_input;
} matrix;

/* More arrays in the form of the code, behind those that a caller sees. */
enum { SLOPE = DDC_GRADIENT + 1, FILTERED, BY_FILTERED, CODE_ARRAYS };

typedef struct {
    int rows, columns, planes, filtered, channels, linear, seen, runs;
    int is_coarsest, has_parent; /* has_parent: contexts see features of the next coarser octave */
    int place;                   /* its number among the octaves that have code, from the coarsest */
    int64_t position;            /* the number of its first integer */
    grid code[CODE_ARRAYS];      /* Y to Q, GRADIENT, and those above; with zeros around */
    grid raised;                 /* the code planes of all coarser octaves at its size */
    grid handed;                 /* the features that these and its own plane are mixed to, for the next finer octave */
    grid by_handed;              /* the gradients by these, and by its own plane's magnitudes */
    grid by_seen;                /* the gradients by its own plane and by `raised` */
    grid mixed, by_mixed;        /* what is upsampled: the rows of the next coarser octave; and the gradient by it */
    float *blocks;               /* the hidden channels, run by run in the order in which they are made */
    int64_t halo_code, halo_handed, halo_mixed; /* places in the halos */
} octave;

/* Places in a block of weights of what is derived from them. */
typedef struct {
    int64_t context_back;         /* (inputs, hidden + 2): from the first layer and from the last */
    int64_t output_back;          /* (channels, planes + top): from the samples and the top layer */
    int64_t filter[MOST_OCTAVES]; /* with what passes by the filter */
    int64_t square;               /* (planes, 9 planes): with what passes by the layer */
    int64_t square_back;          /* (planes, 3 planes), for each row of the square */
    int64_t up[MOST_OCTAVES];     /* (2, 2 taps + 1): of an upsampling */
    int64_t along[MOST_OCTAVES];  /* (1, 4 taps): what its transpose needs for a line */
} derived;

/* Places in a thread's sums of gradients: of (outputs, inputs) vectors each, with a column for the bias behind. */
typedef struct {
    int64_t context[3], context_bias[MOST_OCTAVES], features[MOST_OCTAVES];
    int64_t filter[MOST_OCTAVES], join[MOST_OCTAVES], mix[MOST_OCTAVES], up[MOST_OCTAVES];
    int64_t top, output, residual, size;
} sums;

/* What a thread has for itself. */
typedef struct {
    struct ddc_fit *fit;
    int number;
    ddc_fit_results results;
    float *sums;    /* of gradients by weights, by lanes, since they were folded last */
    double *totals; /* what was folded: a number for each vector of sums */
    float *hidden_1, *hidden_2, *laplace;
    float *by_inputs;                 /* [neighbours][SHIFTED] */
    float *features, *by_features;    /* [SEEN_FEATURES]: rows of what contexts see of coarser octaves */
    float *across;                    /* two rows between a row and one of twice or half its columns */
    float *hidden, *by_hidden;        /* channels of a run; their gradients, gapped */
    float *outputs;                   /* what a run's channels are mixed to, or the gradients by that */
    float *code_run, *by_code_run;    /* code planes of a run by phases */
    float *up_rows, *by_up_rows;      /* [channels][2]: rows upsampled across */
    grid gradients;                   /* two rows of each plane of gradients by outputs */
    grid ring, level_rows, halo_rows; /* rows of errors as the form's channels, of its levels, of another thread */
    float *halo_code, *halo_handed, *halo_mixed;
} worker;

typedef struct crew crew;

struct ddc_fit {
    shape shape;
    weights tensors; /* without values: their places and sizes */
    derived derived;
    sums sums;
    int threads, is_masked, has_levels, is_passed, lanes;
    octave octaves[MOST_OCTAVES];
    int64_t weight_count;
    float *weights[2]; /* those of the fit, and those on trial */
    double *by_weight;
    float *zeros, *ones; /* RUN numbers each */
    int64_t up_pitch, feature_pitch, halo_sizes[3];
    uint16_t *target;
    int64_t target_pitch;
    grid known, parts;
    grid outputs, errors; /* what the residual layer sees, and the gradients by samples; with zeros beside */
    grid means, errors_before, gradients_before;
    grid edges, levels[LEVELS];
    worker *workers;
    crew *crew;
    const ddc_fit_pass *pass;
    void (*run_pass)(worker *self);
};

static inline int64_t whole(int64_t numbers) { return (numbers + SIDE - 1) / SIDE * SIDE; }

/* The pairs of rows of an octave that are a thread's: first .. stop - 1. A small octave has fewer bands than there are
   threads; the threads beyond get no pairs. */
typedef struct {
    int first, stop;
} pairs;

static inline pairs pairs_of(const octave *octave, const worker *self) {
    int count = (octave->rows + 1) / 2, bands = count / LEAST_BAND;
    if (bands > self->fit->threads) bands = self->fit->threads;
    if (bands < 1) bands = 1;
    if (self->number >= bands) return (pairs){count, count};
    return (pairs){(int)((int64_t)count * self->number / bands), (int)((int64_t)count * (self->number + 1) / bands)};
}

static inline int least(int a, int b) { return a < b ? a : b; }
static inline int most(int a, int b) { return a > b ? a : b; }
static inline int within(int a, int low, int high) { return most(low, least(a, high)); }

/* The rows of an octave that are a thread's: first .. stop - 1. */
static inline pairs rows_of(const octave *octave, const worker *self) {
    pairs own_pairs = pairs_of(octave, self);
    return (pairs){least(2 * own_pairs.first, octave->rows), least(2 * own_pairs.stop, octave->rows)};
}

/* Wait until all threads are here. */
void wait_for_all(worker *self);
/* Start the threads; 0 where the system has none left. */
int start_crew(struct ddc_fit *fit);
uint64_t crew_bytes(int threads);
void run_crew(struct ddc_fit *fit);
void end_crew(crew *crew);

#endif

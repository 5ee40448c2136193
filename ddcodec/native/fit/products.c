/* Products of small matrices with runs of pixels, in registers.

   All linear layers of the fit are made of these, and so is the upsampling. A tile of sums stays in registers while the
   inputs stream past it. BLIS does the same (Van Zee & van de Geijn 2015, section 3). So products run at the speed of
   the processor's multipliers while the inputs lie in its cache. */
#include "level.h"

/* Vectors of a tile by its rows, in registers beside inputs and a weight: the fewer rows, the more vectors. A product
   takes the width for all its rows, so that none of its tiles is too wide. */
#if REGISTERS == 32
#define WIDTH_OF(rows) ((rows) == 1 ? 8 : (rows) == 2 ? 6 : 4)
#define OUTER_WIDTH_OF(rows) ((rows) == 1 ? 9 : 5) /* columns of a tile of `outer` */
#else
#define WIDTH_OF(rows) ((rows) == 1 ? 6 : (rows) == 2 ? 4 : (rows) == 3 ? 3 : 2)
#define OUTER_WIDTH_OF(rows) ((rows) == 1 ? 7 : (rows) == 2 ? 4 : 3)
#endif
#define HEIGHT 6
#define LONGEST 9 /* vectors or columns of any tile */
#define OUTER_HEIGHT 4

enum kind { AFFINE, GATED, ADDED };

typedef struct {
    float *const *targets, *const *sources, *const *gates;
    matrix weights;
    const float *bias;
    int inputs, linear;
} product;

/* A tile of `height` rows from `row` on, and `width` vectors from the number `x` on. */
INLINE void tile(const product *own, enum kind kind, int row, int height, int64_t x, int width) {
    floats sums[HEIGHT][LONGEST];
    const float *weights[HEIGHT];
#pragma GCC unroll 9
    for (int j = 0; j < height; j++) {
        weights[j] = own->weights.at + (row + j) * own->weights.by_output;
#pragma GCC unroll 9
        for (int v = 0; v < width; v++)
            sums[j][v] = kind == ADDED                 ? load(own->targets[row + j] + x + v * LANES)
                         : kind == AFFINE && own->bias ? all(own->bias[row + j])
                                                       : all(0);
    }
    int64_t step = own->weights.by_input;
    float *const *sources = own->sources, *const *end = sources + own->inputs;
    for (; sources < end; sources++) {
        floats inputs[LONGEST];
#pragma GCC unroll 9
        for (int v = 0; v < width; v++) inputs[v] = load(*sources + x + v * LANES);
#pragma GCC unroll 9
        for (int j = 0; j < height; j++) {
            floats weight = all(*weights[j]);
            weights[j] += step;
#pragma GCC unroll 9
            for (int v = 0; v < width; v++) sums[j][v] += weight * inputs[v];
        }
    }
#pragma GCC unroll 9
    for (int j = 0; j < height; j++) {
        floats floor = all(row + j < own->linear ? -INFINITY : 0);
        float *target = own->targets[row + j] + x;
        const float *gate = kind == GATED ? own->gates[row + j] + x : NULL;
#pragma GCC unroll 9
        for (int v = 0; v < width; v++) {
            floats value = sums[j][v];
            if (kind == GATED)
                value = (floats)((ints)value & (load(gate + v * LANES) > floor));
            else
                value = maximum(value, floor);
            store(target + v * LANES, value);
        }
    }
}

INLINE void tile_of(const product *own, enum kind kind, int row, int height, int64_t x, int width) {
    assert(height <= HEIGHT && width <= WIDTH_OF(height));
#define OF_SIZE(h, w)                                                                                                  \
    if (height == h && w <= WIDTH_OF(h)) tile(own, kind, row, h, x, w)
#define OF_WIDTH(w)                                                                                                    \
    case w:                                                                                                            \
        OF_SIZE(1, w);                                                                                                 \
        OF_SIZE(2, w);                                                                                                 \
        OF_SIZE(3, w);                                                                                                 \
        OF_SIZE(4, w);                                                                                                 \
        OF_SIZE(5, w);                                                                                                 \
        OF_SIZE(6, w);                                                                                                 \
        break
    switch (width) {
        OF_WIDTH(1);
        OF_WIDTH(2);
        OF_WIDTH(3);
        OF_WIDTH(4);
        OF_WIDTH(5);
        OF_WIDTH(6);
        OF_WIDTH(7);
        OF_WIDTH(8);
    }
#undef OF_SIZE
#undef OF_WIDTH
}

/* The next piece of what is left, in pieces that differ by one at most and of which none is greater than `greatest`. */
INLINE int piece_of(int left, int greatest) {
    int pieces = (left + greatest - 1) / greatest;
    return (left + pieces - 1) / pieces;
}

INLINE void product_of(const product *own, enum kind kind, int outputs, int vectors) {
    for (int done = 0, width; done < vectors; done += width) {
        width = piece_of(vectors - done, WIDTH_OF(outputs));
        for (int row = 0, height; row < outputs; row += height) {
            height = piece_of(outputs - row, HEIGHT);
            tile_of(own, kind, row, height, done * LANES, width);
        }
    }
}

/* targets[j] = max(bias[j] + sum of W[j, i] sources[i], 0), without the maximum in the first `linear` rows, and without
   a bias that is NULL. */
void affine(
    float *const *targets, int outputs, float *const *sources, int inputs, matrix weights, const float *bias,
    int linear, int vectors) {
    product own = {targets, sources, NULL, weights, bias, inputs, linear};
    product_of(&own, AFFINE, outputs, vectors);
}

/* targets[j] = sum of W[j, i] sources[i] where gates[j] is above 0, else 0; in the first `linear` rows everywhere. So
   one goes back through a layer with ReLU. */
void gated(
    float *const *targets, int outputs, float *const *sources, int inputs, matrix weights, float *const *gates,
    int linear, int vectors) {
    product own = {targets, sources, gates, weights, NULL, inputs, linear};
    product_of(&own, GATED, outputs, vectors);
}

/* targets[j] = max(targets[j] + sum of W[j, i] sources[i], 0), as `affine`. */
void added(
    float *const *targets, int outputs, float *const *sources, int inputs, matrix weights, int linear, int vectors) {
    product own = {targets, sources, NULL, weights, NULL, inputs, linear};
    product_of(&own, ADDED, outputs, vectors);
}

INLINE void outer_tile(
    float *sums, int pitch, float *const *gradients, int height, float *const *inputs, int width, int vectors) {
    floats held[OUTER_HEIGHT][LONGEST];
    const float *lefts[OUTER_HEIGHT], *tops[LONGEST];
#pragma GCC unroll 9
    for (int j = 0; j < height; j++) lefts[j] = gradients[j];
#pragma GCC unroll 9
    for (int i = 0; i < width; i++) tops[i] = inputs[i];
#pragma GCC unroll 9
    for (int j = 0; j < height; j++)
#pragma GCC unroll 9
        for (int i = 0; i < width; i++) held[j][i] = load(sums + (j * pitch + i) * LANES);
    for (int64_t x = 0, end = vectors * LANES; x < end; x += LANES) {
        floats own[LONGEST];
#pragma GCC unroll 9
        for (int i = 0; i < width; i++) own[i] = load(tops[i] + x);
#pragma GCC unroll 9
        for (int j = 0; j < height; j++) {
            floats gradient = load(lefts[j] + x);
#pragma GCC unroll 9
            for (int i = 0; i < width; i++) held[j][i] += gradient * own[i];
        }
    }
#pragma GCC unroll 9
    for (int j = 0; j < height; j++)
#pragma GCC unroll 9
        for (int i = 0; i < width; i++) store(sums + (j * pitch + i) * LANES, held[j][i]);
}

/* Add gradients (rows) times inputs (columns) to sums (rows, columns, LANES), lane by lane, over a run. */
void outer(float *sums, float *const *gradients, int rows, float *const *inputs, int columns, int vectors) {
    for (int row = 0, height; row < rows; row += height) {
        height = piece_of(rows - row, OUTER_HEIGHT);
        for (int column = 0, width; column < columns; column += width) {
            width = piece_of(columns - column, OUTER_WIDTH_OF(least(rows, OUTER_HEIGHT)));
            float *own = sums + ((int64_t)row * columns + column) * LANES;
            assert(height <= OUTER_HEIGHT && width <= OUTER_WIDTH_OF(height));
#define OF_SIZE(h, w)                                                                                                  \
    if (height == h && w <= OUTER_WIDTH_OF(h)) outer_tile(own, columns, gradients + row, h, inputs + column, w, vectors)
#define OF_WIDTH(w)                                                                                                    \
    case w:                                                                                                            \
        OF_SIZE(1, w);                                                                                                 \
        OF_SIZE(2, w);                                                                                                 \
        OF_SIZE(3, w);                                                                                                 \
        OF_SIZE(4, w);                                                                                                 \
        break
            switch (width) {
                OF_WIDTH(1);
                OF_WIDTH(2);
                OF_WIDTH(3);
                OF_WIDTH(4);
                OF_WIDTH(5);
                OF_WIDTH(6);
                OF_WIDTH(7);
                OF_WIDTH(8);
                OF_WIDTH(9);
            }
        }
    }
}

/* The filter of the code, and the way back through it, row by row: FORMAT.md, chapter 7.

   It reads rows of other threads, above and below. So threads wait before it: on the way forward until the code is
   rounded, on the way back until all gradients by the filtered code are there. */
#include "level.h"

/* List the rows of the square around a row, each from its own column on. Zeros surround the plane. */
static void list_square(float **list, grid grid, int plane, int row) {
    for (int place = 0; place < FILTER_PLACES; place++)
        list[place] = row_of(grid, plane, row + place / FILTER_SIDE - 2) + place % FILTER_SIDE - 2;
}

static matrix filter_of(const worker *self, int o) {
    return (matrix){weights_of(self) + self->fit->derived.filter[o], FILTER_PLACES, 1};
}

/* Filter a thread's rows of the code of octave `o`, for the synthesis. Planes of detail are copied. */
void filter_code(worker *self, int o) {
    const octave *here = &self->fit->octaves[o];
    grid q = here->code[DDC_Q], filtered = here->code[FILTERED];
    pairs rows = rows_of(here, self);
    int vectors = vectors_of(here->columns);
    float *square[MOST_ROWS];
    for (int plane = 0; plane < here->planes; plane++)
        for (int y = rows.first; y < rows.stop; y++) {
            float *target = row_of(filtered, plane, y);
            if (plane < here->filtered) {
                list_square(square, q, plane, y);
                affine(&target, 1, square, FILTER_PLACES, filter_of(self, o), NULL, NO_RELU, vectors);
            } else
                memcpy(target, row_of(q, plane, y), sizeof(floats) * (size_t)vectors);
        }
}

/* Go back from the gradients by the filtered code of octave `o` to a thread's rows: add to the sums of gradients by the
   filter and, if the code moves, to those by the code. */
void filter_back(worker *self, int o) {
    const octave *here = &self->fit->octaves[o];
    /* The way back reads the filter from its last place to the first. */
    matrix back = {filter_of(self, o).at + FILTER_PLACES - 1, FILTER_PLACES, -1};
    grid by_filtered = here->code[BY_FILTERED];
    pairs rows = rows_of(here, self);
    int vectors = vectors_of(here->columns);
    float *square[MOST_ROWS];
    for (int plane = 0; plane < here->planes; plane++)
        for (int y = rows.first; y < rows.stop; y++) {
            float *source = row_of(by_filtered, plane, y), *target = row_of(here->code[DDC_GRADIENT], plane, y);
            int is_filtered = plane < here->filtered;
            if (is_filtered) {
                list_square(square, here->code[DDC_Q], plane, y);
                outer(self->sums + self->fit->sums.filter[o], &source, 1, square, FILTER_PLACES, vectors);
            }
            if (y % FOLDED_ROWS == FOLDED_ROWS - 1) fold_sums(self);
            if (!self->fit->pass->moves_code) continue;
            if (is_filtered) {
                list_square(square, by_filtered, plane, y);
                added(&target, 1, square, FILTER_PLACES, back, NO_RELU, vectors);
            } else
                add_onto(target, source, vectors * LANES);
        }
}

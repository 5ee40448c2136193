/* The layers of the analysis network, which guesses the code of a picture: fit/descent/analysis.py. */
#include "level.h"

#define MOST_PLANES 64

/* Apply a 3x3 layer. Both arrays have a margin beside each row, see `ddc_fit_convolve`. */
void convolve(const ddc_fit_layer *layer) {
    float *sources[SQUARE * MOST_PLANES], *targets[MOST_PLANES];
    matrix weights = {layer->weights, SQUARE * layer->inputs, 1};
    for (int64_t row = 0; row < layer->rows; row++) {
        for (int i = 0; i < layer->inputs; i++)
            for (int place = 0; place < SQUARE; place++)
                sources[SQUARE * i + place] =
                    layer->planes + i * layer->plane + (row + place / 3 - 1) * layer->pitch + place % 3 - 1;
        list_rows(targets, layer->outputs, layer->results + row * layer->result_pitch, layer->result_plane);
        affine(
            targets, layer->outputs, sources, SQUARE * layer->inputs, weights, layer->bias, NO_RELU,
            vectors_of((int)layer->columns));
    }
}

/* One pass of a fit over invented numbers, and what comes of it, as text: so machines can be compared that Python does
   not run on. */
#include "../ddcodec/native/fit/ddc_fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t state = 1;

/* A number between -1 and 1. */
static float invented(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / (1 << 23) - 1;
}

static void fill(ddc_fit_view view, float scale, float offset) {
    for (int64_t row = 0; row < view.rows; row++)
        for (int64_t column = 0; column < view.columns; column++)
            ((float *)view.at)[row * view.pitch + column] = scale * invented() + offset;
}

static void tell(const char *name, ddc_fit_view view, int is_double) {
    double sum = 0, size = 0;
    for (int64_t row = 0; row < view.rows; row++)
        for (int64_t column = 0; column < view.columns; column++) {
            int64_t at = row * view.pitch + column;
            double value = is_double ? ((double *)view.at)[at] : ((float *)view.at)[at];
            sum += value * (1 + (double)((row + 3 * column) % 7));
            size += fabs(value);
        }
    printf("%s %.9g %.9g\n", name, sum, size);
}

int main(void) {
    ddc_header header = {
        .width = 157,
        .height = 93,
        .planes = 3,
        .octaves = 5,
        .coarsest_planes = 1,
        .finer_planes = 1,
        .finest_channels = 7,
        .channels = 7,
        .linear = 4,
        .top_channels = 21,
        .taps = 2,
        .neighbours = 20,
        .context_channels = 13,
    };
    ddc_fit_options options = {.threads = 3, .has_levels = 1, .vectors = -1};
    uint64_t size = ddc_fit_memory(&header, &options);
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    memset(memory, 0, size);
    ddc_fit *fit = ddc_fit_start(&header, &options, memory);
    if (!fit) return 1;
    fill(ddc_fit_see(fit, DDC_WEIGHTS, 0, 0), 0.3f, 0);
    for (int octave = 0; octave < 5; octave++) fill(ddc_fit_see(fit, DDC_Y, octave, 0), 0.3f, 0);
    fill(ddc_fit_see(fit, DDC_EDGES, 0, 0), 1e-5f, 1e-5f);
    for (int plane = 0; plane < 3; plane++) {
        ddc_fit_view target = ddc_fit_see(fit, DDC_TARGET, 0, plane);
        for (int64_t at = 0; at < target.rows * target.pitch; at++)
            ((uint16_t *)target.at)[at] = (uint16_t)(32768 + 20000 * invented());
        for (int level = 0; level < 3; level++) fill(ddc_fit_see(fit, DDC_LEVELS, level, plane), 1e-5f, 1e-5f);
    }
    ddc_fit_pass pass = {
        .rounding = DDC_SOFT,
        .has_rate = 1,
        .has_picture = 1,
        .last = 4,
        .learns = 1,
        .moves_code = 1,
        .key = 12345,
        .squares = 0.35f,
        .temperature = 0.3f,
        .noise = 0.2f,
        .price = 1e-7f,
        .pace = 1e-3f,
        .correction = 10,
        .beta_1 = 0.9f,
        .beta_2 = 0.99f,
        .epsilon = 1e-8f,
    };
    ddc_fit_results results = ddc_fit_run(fit, &pass);
    printf("results %.9g %.9g %.9g\n", results.distortion, results.bits, results.squares);
    tell("weights", ddc_fit_see(fit, DDC_BY_WEIGHT, 0, 0), 1);
    for (int octave = 0; octave < 5; octave++) {
        tell("q", ddc_fit_see(fit, DDC_Q, octave, 0), 0);
        tell("moment", ddc_fit_see(fit, DDC_FIRST_MOMENT, octave, 0), 0);
    }
    ddc_fit_end(fit);
    free(memory);
    return 0;
}

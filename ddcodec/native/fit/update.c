/* What surrounds the objective: before it the code is rounded, with noise or hard; after it sums are folded, and Adam
   moves the code. */
#include "level.h"

/* Call `body` for each vector of the thread's code. */
#define EACH_VECTOR(body)                                                                                              \
    for (int o = 0; o < self->fit->shape.octaves; o++) {                                                               \
        const octave *here = &self->fit->octaves[o];                                                                   \
        pairs rows = rows_of(here, self);                                                                              \
        for (int plane = 0; plane < here->planes; plane++)                                                             \
            for (int y = rows.first; y < rows.stop; y++)                                                               \
                for (int x = 0; x < here->columns; x += LANES) body;                                                   \
    }

#define CODE(array) (row_of(here->code[array], plane, y) + x)

typedef struct {
    floats value, slope;
} rounded;

/* A differentiable rounding (Agustsson & Theis 2020, equation 16), exact at integers and halves. steep: 1 /
   temperature. gain: 1 / (2 tanh(1 / (2 temperature))). */
INLINE rounded soft_round(floats value, float steep, float gain) {
    floats middle = floor_of(value) + 0.5f;
    floats tanh = 1 - 2 / (exp_of((value - middle) * (2 * steep)) + 1);
    return (rounded){middle + tanh * gain, (1 - tanh * tanh) * (gain * steep)};
}

/* Round softly, add noise, and round softly again (C3, section 3.2). */
void round_softly(worker *self) {
    const ddc_fit_pass *pass = self->fit->pass;
    float steep = 1 / pass->temperature;
    float gain = (float)(0.5 * (1 + 2 / (exp(1 / (double)pass->temperature) - 1)));
    EACH_VECTOR({
        int64_t index = here->position + ((int64_t)plane * here->rows + y) * here->columns + x;
        rounded once = soft_round(Y_UNIT * load(CODE(DDC_Y)), steep, gain);
        floats noisy = once.value + normal(pass->key, (uint32_t)index) * pass->noise;
        rounded twice = soft_round(noisy, steep, gain);
        store(CODE(DDC_Q), first(twice.value, here->columns - x));
        store(CODE(SLOPE), once.slope * twice.slope);
    })
}

/* Round as the file will hold it. */
void round_hard(worker *self) {
    EACH_VECTOR(store(CODE(DDC_Q), clamped(nearest(Y_UNIT * load(CODE(DDC_Y))), -CODE_MAX, CODE_MAX)))
}

/* Add a thread's sums of gradients to its totals, and clear them. */
void fold_sums(worker *self) {
    int64_t size = self->fit->sums.size;
    for (int64_t at = 0; at < size; at += LANES) self->totals[at / LANES] += total(load(self->sums + at));
    clear(self->sums, size);
}

/* Move a thread's code by Adam (Kingma & Ba 2015, algorithm 1). */
void move_code(worker *self) {
    const ddc_fit_pass *pass = self->fit->pass;
    float beta_1 = pass->beta_1, beta_2 = pass->beta_2;
    EACH_VECTOR({
        floats gradient = load(CODE(DDC_GRADIENT));
        if (here->seen) {
            floats by_magnitude = load(row_of(here->by_handed, FEATURES, y) + x);
            gradient += load(row_of(here->by_seen, 0, y) + x) + sign_of(load(CODE(DDC_Q))) * by_magnitude;
        }
        gradient = first(gradient * load(CODE(SLOPE)) * Y_UNIT, here->columns - x);
        floats moment = beta_1 * load(CODE(DDC_FIRST_MOMENT)) + (1 - beta_1) * gradient;
        floats square = beta_2 * load(CODE(DDC_SECOND_MOMENT)) + (1 - beta_2) * (gradient * gradient);
        store(CODE(DDC_FIRST_MOMENT), moment);
        store(CODE(DDC_SECOND_MOMENT), square);
        floats change = moment * pass->pace / (root_of(square) * pass->correction + pass->epsilon);
        store(CODE(DDC_Y), load(CODE(DDC_Y)) - change);
    })
}

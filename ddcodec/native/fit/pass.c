/* One thread's part of a pass. All threads do theirs at once, and wait for one another. */
#include "level.h"

void run_pass(worker *self) {
    const ddc_fit *fit = self->fit;
    const ddc_fit_pass *pass = fit->pass;
    int octaves = fit->shape.octaves;
    self->results = (ddc_fit_results){0};
    if (pass->learns) {
        clear(self->sums, fit->sums.size);
        memset(self->totals, 0, sizeof(double) * (size_t)(fit->sums.size / LANES));
    }
    if (pass->rounding == DDC_SOFT) round_softly(self);
    if (pass->rounding == DDC_HARD) round_hard(self);
    /* Contexts and filters see the code of neighbours' rows. */
    wait_for_all(self);
    if (pass->has_rate) {
        for (int o = pass->last; o > 0; o--) {
            see(self, o);
            /* The finer octave doubles rows of neighbours. */
            wait_for_all(self);
        }
        for (int o = 0; o <= pass->last; o++) self->results.bits += octave_bits(self, o);
    }
    if (pass->has_picture) {
        for (int o = pass->last; o > 0; o--) {
            forward(self, o);
            /* The finer octave upsamples rows of neighbours. */
            wait_for_all(self);
        }
        make_outputs(self);
        /* The residual layer sees outputs of neighbours' rows. */
        wait_for_all(self);
        measure_distortion(self);
    }
    if (!pass->learns) return;
    /* The way back through the residual layer sees gradients of neighbours' rows. */
    wait_for_all(self);
    finest_back(self);
    /* Halos are added to rows of neighbours, which must have done with them. The two kinds of halos do not meet. */
    wait_for_all(self);
    for (int o = 0; o < octaves; o++) merge_gradients(self, o);
    merge_mixed(self, 0);
    for (int o = 1; o < octaves; o++) {
        /* The octave's own rows have all that neighbours add to them. */
        wait_for_all(self);
        backward(self, o);
        see_back(self, o);
        wait_for_all(self);
        merge_mixed(self, o);
    }
    /* Filters see gradients of neighbours' rows. */
    wait_for_all(self);
    for (int o = 0; o < octaves; o++) filter_back(self, o);
    fold_sums(self);
    if (pass->moves_code) move_code(self);
}

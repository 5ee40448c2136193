/* One thread's part of a pass. All threads do theirs at once, and wait for one another. */
#include "level.h"

void run_pass(worker *own) {
    const ddc_fit *fit = own->fit;
    const ddc_fit_pass *pass = fit->pass;
    int octaves = fit->shape.octaves;
    own->results = (ddc_fit_results){0};
    if (pass->learns) clear(own->sums, fit->sums.size);
    if (pass->rounding == DDC_SOFT) round_softly(own);
    if (pass->rounding == DDC_HARD) round_hard(own);
    /* Contexts and filters see the code of neighbours' rows. */
    wait_for_all(own);
    if (pass->has_rate) {
        for (int o = pass->last; o > 0; o--) {
            see(own, o);
            /* The finer octave doubles rows of neighbours. */
            wait_for_all(own);
        }
        for (int o = 0; o <= pass->last; o++) own->results.bits += octave_bits(own, o);
    }
    if (pass->has_picture) {
        for (int o = pass->last; o > 0; o--) {
            forward(own, o);
            /* The finer octave upsamples rows of neighbours. */
            wait_for_all(own);
        }
        make_outputs(own);
        /* The residual layer sees outputs of neighbours' rows. */
        wait_for_all(own);
        measure_distortion(own);
    }
    if (!pass->learns) return;
    /* The way back through the residual layer sees gradients of neighbours' rows. */
    wait_for_all(own);
    finest_back(own);
    /* Halos are added to rows of neighbours, which must have done with them. The two kinds of halos do not meet. */
    wait_for_all(own);
    for (int o = 0; o < octaves; o++) merge_gradients(own, o);
    merge_mixed(own, 0);
    for (int o = 1; o < octaves; o++) {
        /* The octave's own rows have all that neighbours add to them. */
        wait_for_all(own);
        backward(own, o);
        see_back(own, o);
        wait_for_all(own);
        merge_mixed(own, o);
    }
    /* Filters see gradients of neighbours' rows. */
    wait_for_all(own);
    for (int o = 0; o < octaves; o++) filter_back(own, o);
    if (pass->moves_code) move_code(own);
}

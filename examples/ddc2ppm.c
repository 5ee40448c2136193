/* ddc2ppm FILE.ddc > FILE.ppm: how to embed the decoder of ../ddcodec/native. */
#include "../ddcodec/native/ddc.h"

#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments) {
    static const char *const ERRORS[] = {"",        "damaged",     "damaged",       "damaged",   "damaged",
                                         "damaged", "unsupported", "out of memory", "impossible"};
    FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    if (!file) return fprintf(stderr, "usage: ddc2ppm FILE.ddc > FILE.ppm\n"), 2;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    uint8_t *data = malloc(size + 1);
    rewind(file);
    if (!data || fread(data, 1, size, file) != size) return fprintf(stderr, "%s cannot be read\n", arguments[1]), 3;

    ddc_header header;
    ddc_request request = {.threads = 1, .level = -1};
    ddc_error error = ddc_read_header(data, size, &header);
    if (error) return fprintf(stderr, "%s is %s\n", arguments[1], ERRORS[error]), 4;

    /* Here a program says how large a picture it takes from strangers. */
    uint64_t needed = ddc_memory(&header, &request);
    uint64_t bytes = ddc_samples_bytes(&header, &request);
    if (needed > 1u << 30 || bytes > 1u << 30) return fprintf(stderr, "%s is too large\n", arguments[1]), 5;
    void *memory = aligned_alloc(64, (size_t)needed);
    uint8_t *samples = malloc((size_t)bytes);
    if (!memory || !samples) return fprintf(stderr, "%s\n", ERRORS[DDC_MEMORY]), 5;
    if ((error = ddc_decode(data, size, &request, memory, needed, samples, bytes)))
        return fprintf(stderr, "%s is %s\n", arguments[1], ERRORS[error]), 4;

    /* PPM has the more significant byte of 16 bits first. */
    for (size_t i = 0; header.depth && i < bytes; i += 2) {
        uint16_t sample = *(uint16_t *)(samples + i);
        samples[i] = (uint8_t)(sample >> 8);
        samples[i + 1] = (uint8_t)sample;
    }
    printf("P%d %u %u %u\n", header.planes == 3 ? 6 : 5, header.width, header.height, header.depth ? 65535u : 255u);
    return fwrite(samples, 1, (size_t)bytes, stdout) == bytes ? 0 : 3;
}

/* Fuzzing of ddcodec/native with libFuzzer: `tests/fuzz/run SECONDS`.

   The first two bytes of an input choose the request, the others are a file. Its checksums are mended first, so that
   what is behind them is reached. Three things must hold, beside that no sanitizer has anything to say: every level of
   vectors comes to the same result; what was decoded can be encoded to a file of the same code; and a smaller room is
   refused. */
#include "../../ddcodec/native/ddc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_PIXELS 20000
#define MOST_WORK 40000000.0 /* of pixels times products: some tenths of a second here */

#define NEED(what)                                                                                                     \
    if (!(what)) {                                                                                                     \
        fprintf(stderr, "%s does not hold\n", #what);                                                                  \
        abort();                                                                                                       \
    }

static uint32_t crc_of(const uint8_t *data, size_t size) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void put(uint8_t *at, uint32_t number) {
    for (int k = 0; k < 4; k++) at[k] = (uint8_t)(number >> (24 - 8 * k));
}

/* Where the stream ends by the section table, or `size`. */
static size_t end_of(const uint8_t *data, size_t size, uint32_t chunks, uint32_t sections) {
    size_t at = DDC_HEADER_BYTES, words = 0;
    for (uint32_t i = 0; i < chunks + sections; i++) {
        size_t number = 0;
        at += i < chunks;
        for (int k = 0; k < 4; k++) {
            if (at >= size) return size;
            number |= (size_t)(data[at] & 127) << 7 * k;
            if (data[at++] < 128) break;
        }
        if (i < chunks)
            at += number;
        else
            words += number;
    }
    return at + 4 * words < size ? at + 4 * words : size;
}

static uint32_t sections_of(const ddc_header *header) {
    uint32_t count = 2;
    for (uint32_t l = 0; l + 1 < header->octaves; l++) count += header->finer_planes || (!l && header->detail);
    return count;
}

static void mend(uint8_t *data, size_t size, int with_version) {
    ddc_header header;
    if (size < DDC_HEADER_BYTES) return;
    memcpy(
        data,
        "\xdd"
        "DDC",
        4);
    if (with_version) data[4] = (uint8_t)ddc_version();
    put(data + 26, crc_of(data, 26));
    if (ddc_read_header(data, size, &header)) return;
    size_t end = end_of(data, size, header.chunks, sections_of(&header));
    put(data + 18, crc_of(data + DDC_HEADER_BYTES, end - DDC_HEADER_BYTES));
    put(data + 26, crc_of(data, 26));
}

/* Runs the parts in the opposite order. */
static void backwards(void *user, void (*job)(void *, uint32_t), void *context, uint32_t count) {
    (void)user;
    while (count--) job(context, count);
}

/* Encode the code that was decoded, and decode that again. */
static void encoded_again(const uint8_t *data, size_t size, const ddc_header *header, const ddc_request *decoded) {
    ddc_request request = {.threads = 1, .level = -1, .code = decoded->code};
    uint64_t memory_bytes = ddc_memory(header, &request), sections[17], count, most = 2 * size + 1000;
    void *memory = aligned_alloc(64, memory_bytes);
    uint32_t *words = malloc(4 * most), octaves = sections_of(header) - 1;
    ddc_error error =
        ddc_encode(data, size, request.code, decoded->code_bytes, memory, memory_bytes, words, most, sections, &count);
    NEED(!error || (error == DDC_MEMORY && count > most));
    if (!error) {
        size_t table = end_of(data, size, header->chunks, 0), at = table;
        uint8_t *again = malloc(table + 4 * 17 + 4 * count);
        memcpy(again, data, table);
        uint64_t before = 0;
        for (uint32_t i = 0; i <= octaves; i++) {
            uint64_t end = i == octaves || sections[i] > count ? count : sections[i], number = end - before;
            before = end;
            for (; number > 127; number >>= 7) again[at++] = (uint8_t)(number | 128);
            again[at++] = (uint8_t)number;
        }
        for (uint64_t i = 0; i < count; i++)
            for (int k = 0; k < 4; k++) again[at++] = (uint8_t)(words[i] >> 8 * k);
        mend(again, at, 0);
        request.code = malloc(decoded->code_bytes);
        request.code_bytes = decoded->code_bytes;
        error = ddc_decode(again, at, &request, memory, memory_bytes, NULL, 0);
        NEED(!error && !memcmp(request.code, decoded->code, decoded->code_bytes));
        free(request.code);
        free(again);
    }
    free(words);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_size) {
    if (input_size < 2) return 0;
    size_t size = input_size - 2;
    uint8_t choice = input[0], *data = malloc(size + 1);
    memcpy(data, input + 2, size);
    mend(data, size, choice & 1);
    ddc_header header;
    ddc_error error = ddc_read_header(data, size, &header);
    double work = (double)header.width * header.height * (header.channels + header.finest_channels + 20) *
                  (header.channels + header.finest_channels + header.coarsest_planes + header.top_channels);
    if (error || (uint64_t)header.width * header.height > MOST_PIXELS || work > MOST_WORK) {
        free(data);
        return 0;
    }
    ddc_request request = {
        .octave = choice >> 1 & 3, .is_beginning = choice >> 3 & 1, .threads = 1 + (choice >> 4 & 3)};
    if (choice >> 6 & 1) request.run = backwards;
    if (choice >> 7) {
        request.first_row = input[1] & 15;
        request.stop_row = request.first_row + 1 + (input[1] >> 4);
    }
    request.code_bytes = ddc_code_bytes(&header);
    uint8_t *first = NULL;
    ddc_error wanted = DDC_OK;
    for (request.level = 0; request.level < 5; request.level++) {
        request.code = malloc(request.code_bytes);
        request.costs = input[1] & 1 ? malloc(request.code_bytes) : NULL;
        uint64_t memory_bytes = ddc_memory(&header, &request), bytes = ddc_samples_bytes(&header, &request);
        if (memory_bytes) {
            void *memory = aligned_alloc(64, memory_bytes);
            uint8_t *samples = malloc(bytes);
            error = ddc_decode(data, size, &request, memory, memory_bytes, samples, bytes);
            NEED(ddc_decode(data, size, &request, memory, memory_bytes - 64, samples, bytes) == DDC_MEMORY);
            if (!request.level) wanted = error;
            NEED(error == wanted);
            if (error == DDC_OK || error == DDC_DAMAGED_SAMPLES) {
                if (first) NEED(!memcmp(first, samples, bytes));
                if (!request.level && !request.is_beginning) encoded_again(data, size, &header, &request);
            }
            if (!first) {
                first = samples;
                samples = NULL;
            }
            free(samples);
            free(memory);
        }
        free(request.code);
        free(request.costs);
    }
    free(first);
    free(data);
    return 0;
}

#ifdef REPLAY
/* Runs the files that are named, without libFuzzer. */
int main(int count, char **names) {
    static uint8_t data[1 << 16];
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "rb");
        NEED(file);
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
#endif

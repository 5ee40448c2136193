/* The interface of ddc.h: what is read, made and written in which order, with which vectors. */
#include "parts.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define DECLARE(number)                                                                                                \
    void take_code_##number(const shape *shape, arena *memory);                                                        \
    ddc_error walk_code_##number(decoder *decoder, arena *memory, const stream *stream, range_encoder *encoder);       \
    void take_synthesis_##number(const shape *shape, uint32_t threads, arena *memory);                                 \
    void synthesise_##number(const decoder *decoder, uint32_t first, uint32_t stop, arena *memory, void *samples);
#define LEVEL(name, number) {name, take_code_##number, walk_code_##number, take_synthesis_##number, synthesise_##number}

#if defined(__wasm__)
DECLARE(6)
static const level LEVELS[] = {LEVEL("SIMD128", 6)};
#elif defined(__x86_64__) && !defined(DDC_PLAIN)
DECLARE(0)
DECLARE(1)
DECLARE(2)
DECLARE(3)
DECLARE(4)
static const level LEVELS[] = {
    LEVEL("plain C", 0), LEVEL("SSE4.1", 1), LEVEL("AVX2", 2), LEVEL("AVX-512", 3), LEVEL("AVX-512 VNNI", 4)};
#elif defined(__aarch64__) && !defined(DDC_PLAIN)
DECLARE(0)
DECLARE(5)
static const level LEVELS[] = {LEVEL("plain C", 0), LEVEL("NEON", 5)};
#else
DECLARE(0)
static const level LEVELS[] = {LEVEL("plain C", 0)};
#endif

#ifdef DDC_SOURCES
/* Of which sources the library was built: see build.py. */
DDC_PUBLIC const uint32_t ddc_sources = DDC_SOURCES;
#endif

#define LEVELS_COUNT ((int)(sizeof LEVELS / sizeof *LEVELS))

/* The place in LEVELS of the best that this machine has. */
int best_level(void) {
#if defined(__x86_64__) && !defined(DDC_PLAIN)
    /* Bits of CPUID, and of XCR0 for the registers that the system saves (Intel SDM, volume 1, chapters 14 and 15). */
    unsigned eax, ebx = 0, ecx = 0, edx, more_ebx = 0, more_ecx = 0, saved = 0, unused;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_SSE4_1)) return 0;
    __get_cpuid_count(7, 0, &eax, &more_ebx, &more_ecx, &edx);
    if (ecx & bit_OSXSAVE) __asm__("xgetbv" : "=a"(saved), "=d"(unused) : "c"(0));
    if ((saved & 6) != 6 || !(more_ebx & bit_AVX2) || !(ecx & bit_FMA)) return 1;
    unsigned wanted = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    if ((saved & 0xe6) != 0xe6 || (more_ebx & wanted) != wanted) return 2;
    return more_ecx & bit_AVX512VNNI ? 4 : 3;
#else
    return LEVELS_COUNT - 1;
#endif
}

static const level *level_for(const ddc_request *request) {
    int best = best_level();
    return &LEVELS[request->level >= 0 && request->level < best ? request->level : best];
}

const char *ddc_level_name(int level) {
    int best = best_level();
    return LEVELS[level >= 0 && level < best ? level : best].name;
}

static uint32_t stop_of(const ddc_header *header, const ddc_request *request) {
    return request->stop_row ? request->stop_row : ddc_rows(header, request->octave);
}

static int is_possible(const ddc_header *header, const ddc_request *request) {
    return request->octave < header->octaves && request->threads >= 1 && request->threads <= DDC_MOST_THREADS &&
           request->first_row < stop_of(header, request) && request->stop_row <= ddc_rows(header, request->octave);
}

uint64_t ddc_samples_bytes(const ddc_header *header, const ddc_request *request) {
    if (!is_possible(header, request)) return 0;
    uint64_t rows = stop_of(header, request) - request->first_row;
    return rows * ddc_columns(header, request->octave) * header->planes << header->depth;
}

static uint64_t plane_bytes(const shape *shape, int32_t l) {
    return 2 * (uint64_t)shape->code_planes[l] * (uint64_t)shape->rows[l] * (uint64_t)shape->columns[l];
}

uint64_t ddc_code_bytes(const ddc_header *header) {
    uint64_t bytes = 0;
    shape shape;
    shape_of(header, &shape);
    for (int32_t l = 0; l < shape.octaves; l++) bytes += plane_bytes(&shape, l);
    return bytes;
}

/* Take the memory of a decode up to the code, which stands where the request says. */
static void take_decoder(const ddc_header *header, arena *memory, const ddc_request *request, decoder *result) {
    int16_t *code = request->code;
    uint16_t *costs = request->costs;
    result->request = request;
    shape_of(header, &result->shape);
    result->tables = take(memory, sizeof(table) * TABLES);
    take_weights(memory, &result->shape, &result->weights);
    for (int32_t l = result->shape.octaves - 1; l >= 0; l--) {
        uint64_t bytes = plane_bytes(&result->shape, l);
        result->code[l] = code ? code : take(memory, bytes);
        if (code) code += bytes / 2;
        result->costs[l] = costs;
        if (costs) costs += bytes / 2;
    }
}

uint64_t ddc_memory(const ddc_header *header, const ddc_request *request) {
    arena memory = {0};
    decoder decoder = {0};
    if (!is_possible(header, request)) return 0;
    const level *level = level_for(request);
    take_decoder(header, &memory, request, &decoder);
    uint64_t mark = memory.used;
    level->take_code(&decoder.shape, &memory);
    memory.used = mark;
    level->take_synthesis(&decoder.shape, request->threads, &memory);
    return memory.most;
}

/* Read the weights, and the code unless it is known. With an encoder, write both. */
static ddc_error walk(
    decoder *decoder, arena *memory, const level *level, const stream *stream, range_encoder *encoder) {
    make_tables(decoder->tables);
    start_ranges(&decoder->ranges, stream->words, stream->end);
    ddc_error error = read_weights(&decoder->shape, &decoder->ranges, decoder->tables, encoder, &decoder->weights);
    if (error) return error;
    if (encoder) encoder->sections[0] = words_taken(encoder);
    if (decoder->request->is_code_known && !encoder) return DDC_OK;
    uint64_t mark = memory->used;
    error = level->walk_code(decoder, memory, stream, encoder);
    memory->used = mark;
    return error;
}

ddc_error ddc_decode(
    const uint8_t *data, size_t size, const ddc_request *request, void *memory, uint64_t memory_bytes, void *samples,
    uint64_t samples_bytes) {
    ddc_header header;
    decoder decoder;
    stream stream;
    ddc_error error = ddc_read_header(data, size, &header);
    if (error) return error;
    if (!is_possible(&header, request)) return DDC_ARGUMENT;
    if (memory_bytes < ddc_memory(&header, request)) return DDC_MEMORY;
    if (samples && samples_bytes < ddc_samples_bytes(&header, request)) return DDC_MEMORY;
    /* The costs have the room of the code. */
    int needs_code = request->is_code_known || request->costs;
    if (request->code ? request->code_bytes < ddc_code_bytes(&header) : needs_code) return DDC_ARGUMENT;
    if ((error = read_body(&header, data, size, request->is_beginning, &stream))) return error;
    if (!stream.sections[0]) return DDC_DAMAGED;

    arena arena = {.start = memory, .size = memory_bytes};
    const level *level = level_for(request);
    uint32_t rows = ddc_rows(&header, request->octave), first = request->first_row, stop = stop_of(&header, request);
    FORBID(memory, memory_bytes);
    take_decoder(&header, &arena, request, &decoder);
    error = walk(&decoder, &arena, level, &stream, NULL);
    if (!error && samples) level->synthesise(&decoder, first, stop, &arena, samples);
    ALLOW(memory, memory_bytes);
    if (error || !samples) return error;
    if (request->octave || stream.is_cut || first || stop < rows) return DDC_OK;

    uint64_t count = (uint64_t)header.width * header.height * header.planes;
    uint32_t crc = header.depth ? crc32_of_16(samples, (size_t)count) : crc32_of(samples, (size_t)count);
    return crc == header.samples_crc ? DDC_OK : DDC_DAMAGED_SAMPLES;
}

ddc_error ddc_encode(
    const uint8_t *data, size_t size, const int16_t *code, uint64_t code_bytes, void *memory, uint64_t memory_bytes,
    uint32_t *words, uint64_t most_words, uint64_t sections[17], uint64_t *count) {
    *count = 0;
    ddc_header header;
    /* Nothing is written there: the walk of an encoder only reads the code. */
    ddc_request request = {.threads = 1, .level = -1, .code = (int16_t *)code};
    decoder decoder;
    stream stream;
    range_encoder encoder;
    ddc_error error = ddc_read_header(data, size, &header);
    if (error) return error;
    if (!code || code_bytes < ddc_code_bytes(&header)) return DDC_ARGUMENT;
    if (memory_bytes < ddc_memory(&header, &request)) return DDC_MEMORY;
    if ((error = read_body(&header, data, size, 0, &stream))) return error;

    arena arena = {.start = memory, .size = memory_bytes};
    FORBID(memory, memory_bytes);
    take_decoder(&header, &arena, &request, &decoder);
    start_words(&encoder, words, most_words, sections);
    error = walk(&decoder, &arena, level_for(&request), &stream, &encoder);
    ALLOW(memory, memory_bytes);
    if (error) return error;
    end_words(&encoder);
    *count = encoder.count;
    return encoder.count > most_words ? DDC_MEMORY : DDC_OK;
}

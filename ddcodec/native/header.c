/* Chapters 1 to 3 of FORMAT.md: header, chunks, section table. */
#include "parts.h"

#include <string.h>

void *take(arena *memory, uint64_t bytes) {
    uint64_t at = memory->used;
    memory->used += ((bytes + 63) & ~(uint64_t)63) + GAP;
    if (memory->used > memory->most) memory->most = memory->used;
    if (!memory->start) return NULL;
    assert(memory->used <= memory->size);
    FORBID(memory->start + at, memory->used - at);
    ALLOW(memory->start + at, bytes);
    if (memory->is_cleared) memset(memory->start + at, 0, (size_t)bytes);
    return memory->start + at;
}

/* The CRC-32 of zlib and PNG, eight bytes at a time. The tables take less time than a thousand pixels. */
typedef uint32_t crc_tables[8][256];

static void make_crc_tables(crc_tables table) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int k = 0; k < 8; k++) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
        table[0][i] = value;
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < 256; i++) table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
}

static uint32_t crc_after(uint32_t crc, crc_tables table, const uint8_t *data, size_t size) {
    for (; size >= 8; size -= 8, data += 8) {
        uint32_t low = crc ^ (data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24);
        crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^ table[4][low >> 24] ^
              table[3][data[4]] ^ table[2][data[5]] ^ table[1][data[6]] ^ table[0][data[7]];
    }
    for (; size; size--, data++) crc = crc >> 8 ^ table[0][(crc ^ *data) & 255];
    return crc;
}

uint32_t crc32_of(const uint8_t *data, size_t size) {
    crc_tables table;
    make_crc_tables(table);
    return ~crc_after(~0u, table, data, size);
}

uint32_t crc32_of_16(const uint16_t *samples, size_t count) {
    crc_tables table;
    uint8_t bytes[1024];
    uint32_t crc = ~0u;
    make_crc_tables(table);
    while (count) {
        size_t part = count < 512 ? count : 512;
        for (size_t i = 0; i < part; i++) {
            bytes[2 * i] = (uint8_t)(samples[i] >> 8);
            bytes[2 * i + 1] = (uint8_t)samples[i];
        }
        crc = crc_after(crc, table, bytes, 2 * part);
        samples += part;
        count -= part;
    }
    return ~crc;
}

static uint32_t big_endian(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t bits(const uint8_t *data, uint32_t *at, uint32_t count) {
    uint32_t value = 0;
    for (; count; count--, ++*at) value = value << 1 | (data[*at >> 3] >> (7 - (*at & 7)) & 1);
    return value;
}

ddc_error ddc_read_header(const uint8_t *data, size_t size, ddc_header *header) {
    uint32_t at = 40;
    if (size < 4 || big_endian(data) != 0xdd444443u || size < DDC_HEADER_BYTES) return DDC_DAMAGED;
    if (data[4] != VERSION) return DDC_UNSUPPORTED;
    if (crc32_of(data, 26) != big_endian(data + 26)) return DDC_DAMAGED;
    uint32_t required = bits(data, &at, 6);
    header->headroom = bits(data, &at, 2);
    header->width = bits(data, &at, 16);
    header->height = bits(data, &at, 16);
    header->planes = bits(data, &at, 2) + 1;
    header->depth = bits(data, &at, 1);
    header->octaves = bits(data, &at, 4) + 1;
    header->coarsest_planes = bits(data, &at, 7) + 1;
    header->finer_planes = bits(data, &at, 1);
    header->finest_channels = bits(data, &at, 7) + 1;
    header->channels = bits(data, &at, 7) + 1;
    header->linear = bits(data, &at, 5);
    header->top_channels = bits(data, &at, 7);
    header->taps = bits(data, &at, 2) + 1;
    header->neighbours = bits(data, &at, 5);
    header->context_channels = bits(data, &at, 5) + 1;
    header->base = bits(data, &at, 6);
    header->chunks = bits(data, &at, 4);
    header->detail = bits(data, &at, 1);
    header->body_crc = big_endian(data + 18);
    header->samples_crc = big_endian(data + 22);

    if (required || (header->planes != 1 && header->planes != 3) || header->base > BASES) return DDC_UNSUPPORTED;
    if (!header->width || !header->height || !header->neighbours || header->neighbours > NEIGHBOURS) return DDC_DAMAGED;
    if (header->linear > header->finest_channels) return DDC_DAMAGED;
    if (header->octaves > 1 && header->linear > header->channels) return DDC_DAMAGED;
    if (header->detail && !header->base) return DDC_DAMAGED;
    if (header->base &&
        (header->octaves > BASE_OCTAVES || header->coarsest_planes != 1 || header->finer_planes != 1 ||
         header->finest_channels != 7 || header->channels != 7 || header->linear != 7 || header->top_channels != 48 ||
         header->taps != 2 || header->neighbours != 20 || header->context_channels != 20))
        return DDC_DAMAGED;
    return DDC_OK;
}

uint32_t ddc_columns(const ddc_header *header, uint32_t octave) {
    return (uint32_t)(((uint64_t)header->width + ((uint64_t)1 << (octave & 15)) - 1) >> (octave & 15));
}

uint32_t ddc_rows(const ddc_header *header, uint32_t octave) {
    return (uint32_t)(((uint64_t)header->height + ((uint64_t)1 << (octave & 15)) - 1) >> (octave & 15));
}

int ddc_version(void) { return VERSION; }

void shape_of(const ddc_header *header, shape *result) {
    memset(result, 0, sizeof *result);
    result->header = *header;
    result->octaves = (int32_t)header->octaves;
    result->planes = (int32_t)header->planes;
    for (int l = 0; l < result->octaves; l++) {
        int is_coarsest = l == result->octaves - 1, detail = l ? 0 : 2 * (int)header->detail;
        result->rows[l] = (int32_t)ddc_rows(header, (uint32_t)l);
        result->columns[l] = (int32_t)ddc_columns(header, (uint32_t)l);
        result->channels[l] = (int32_t)(l ? header->channels : header->finest_channels) + detail;
        result->filtered[l] = (int32_t)(is_coarsest ? header->coarsest_planes : header->finer_planes);
        result->code_planes[l] = result->filtered[l] + detail;
        result->linear[l] = (int32_t)header->linear + detail;
        result->coded_octaves += result->code_planes[l] > 0;
    }
    for (int l = 0; l < result->octaves; l++)
        for (int o = l + 1; result->code_planes[l] && o < result->octaves; o++)
            result->seen[l] += result->code_planes[o] == 1;
}

/* Read a varint; -1 if there is none. */
static int32_t varint(const uint8_t **at, const uint8_t *end) {
    int32_t value = 0;
    for (int group = 0; group < 4; group++) {
        if (*at == end) return -1;
        int32_t byte = *(*at)++;
        value |= (byte & 127) << 7 * group;
        if (byte < 128) return byte || !group ? value : -1;
    }
    return -1;
}

ddc_error read_body(const ddc_header *header, const uint8_t *data, size_t size, int is_beginning, stream *found) {
    const uint8_t *at = data + DDC_HEADER_BYTES, *end = data + size;
    uint32_t known = 0;
    shape shape;
    shape_of(header, &shape);
    for (uint32_t i = 0; i < header->chunks; i++) {
        if (at == end) return DDC_DAMAGED;
        int id = *at++;
        int32_t length = varint(&at, end);
        if (!id || length < 0 || length > end - at || (id <= 7 && known >> id & 1)) return DDC_DAMAGED;
        if (id <= 7) known |= 1u << id;
        at += length;
    }
    int32_t counts[MOST_OCTAVES + 1];
    uint64_t words = 0;
    for (int i = 0; i <= shape.coded_octaves; i++) {
        counts[i] = varint(&at, end);
        if (counts[i] < 0) return DDC_DAMAGED;
        words += (uint32_t)counts[i];
    }
    uint64_t there = (uint64_t)(end - at) / 4;
    if (there < words && !is_beginning) return DDC_DAMAGED;
    found->words = at;
    found->end = at + 4 * (there < words ? there : words);
    for (int i = 0; i <= shape.coded_octaves; i++) {
        uint64_t left = (uint64_t)(found->end - at) / 4;
        /* A section of which words are missing ends nowhere. */
        at = left < (uint32_t)counts[i] ? NULL : at + 4 * (uint64_t)(uint32_t)counts[i];
        found->sections[i] = at;
        if (!at) {
            for (; i <= shape.coded_octaves; i++) found->sections[i] = NULL;
        }
    }
    found->is_cut = there < words;
    if (found->is_cut) return DDC_OK;
    return crc32_of(data + DDC_HEADER_BYTES, (size_t)(found->end - data) - DDC_HEADER_BYTES) == header->body_crc
               ? DDC_OK
               : DDC_DAMAGED;
}

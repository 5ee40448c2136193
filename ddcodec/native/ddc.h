/* ddc.h: an exact decoder of .ddc files, in plain C11.

   The decoder allocates nothing and keeps nothing between calls: all its memory is one block that the caller gives, whose
   size `ddc_memory` computes from the header. The words are those of FORMAT.md. Metadata and alpha are left alone: see
   chapters 2 and 8 there, which need Zstandard. */
#ifndef DDC_H
#define DDC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__wasm__)
#define DDC_PUBLIC __attribute__((visibility("default")))
#elif defined(_WIN32)
#define DDC_PUBLIC __declspec(dllexport)
#else
#define DDC_PUBLIC __attribute__((visibility("default")))
#endif

#define DDC_HEADER_BYTES 30
#define DDC_MOST_THREADS 64

typedef enum {
    DDC_OK,
    DDC_DAMAGED,     /* the bytes are no valid file */
    DDC_UNSUPPORTED, /* the file needs a newer decoder */
    DDC_MEMORY,      /* the memory, or the room for samples, is less than the request needs */
    DDC_ARGUMENT     /* a number in the request is out of its range */
} ddc_error;

/* The header rows of FORMAT.md, chapter 1. */
typedef struct {
    uint32_t width, height, planes, depth, headroom;
    uint32_t octaves, coarsest_planes, finer_planes, finest_channels, channels, linear, top_channels, taps;
    uint32_t neighbours, context_channels, base, chunks, detail;
    uint32_t body_crc, samples_crc;
} ddc_header;

/* Calls `job` with each of the numbers 0 .. count - 1, in any order or at the same time, and returns when all are done. */
typedef void ddc_run(void *user, void (*job)(void *context, uint32_t number), void *context, uint32_t count);

typedef struct {
    uint32_t octave;              /* 0 for the whole picture, or R for the smaller one of that octave's size */
    uint32_t first_row, stop_row; /* the rows wanted, up to the one before stop_row; stop_row 0: to the end */
    int is_beginning;             /* the end of the file may be missing: octaves that are not complete count as 0 */
    uint32_t threads;             /* parts that are made at the same time, 1 to DDC_MOST_THREADS */
    ddc_run *run;                 /* NULL: one part after the other */
    void *user;
    int level; /* a limit for the vectors used: 0 for the plainest of the machine; -1 for the best */
} ddc_request;

/* Read the header. `size`: of the file, or of a beginning of at least 30 bytes. */
DDC_PUBLIC ddc_error ddc_read_header(const uint8_t *data, size_t size, ddc_header *header);

/* Bytes of memory for a request, and bytes of its samples; 0 if it is out of its range. Time grows with the pixels times
   the channels: a program that takes files from strangers should limit both, and the memory. */
DDC_PUBLIC uint64_t ddc_memory(const ddc_header *header, const ddc_request *request);
DDC_PUBLIC uint64_t ddc_samples_bytes(const ddc_header *header, const ddc_request *request);

/* Decode a file to samples, row by row, the planes of a pixel together: uint8_t, or with depth 1 uint16_t.

   memory: aligned to 64 bytes. Whole pictures of whole files are checked against `samples_crc`. */
DDC_PUBLIC ddc_error ddc_decode(
    const uint8_t *data, size_t size, const ddc_request *request, void *memory, uint64_t memory_bytes, void *samples,
    uint64_t samples_bytes);

/* Columns and rows of octave `octave`, below 16. */
DDC_PUBLIC uint32_t ddc_columns(const ddc_header *header, uint32_t octave);
DDC_PUBLIC uint32_t ddc_rows(const ddc_header *header, uint32_t octave);

/* The version of the format, and the name of the best vectors that this machine has. */
DDC_PUBLIC int ddc_version(void);
DDC_PUBLIC const char *ddc_level_name(int level);

#ifdef __cplusplus
}
#endif
#endif

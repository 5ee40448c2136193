/* ddc.h: an exact codec of .ddc files, in plain C11: it decodes them, and encodes their integers.

   It allocates nothing and keeps nothing between calls: all its memory is one block that the caller gives,
   whose size `ddc_memory` computes from the header. The words are those of FORMAT.md. Metadata and alpha are left
   alone: see chapters 2 and 8 there, which need Zstandard. */
#ifndef DDC_H
#define DDC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define DDC_PUBLIC __declspec(dllexport)
#else
#define DDC_PUBLIC __attribute__((visibility("default")))
#endif

#define DDC_HEADER_BYTES 30
#define DDC_MOST_THREADS 64

typedef enum {
    DDC_OK,
    DDC_DAMAGED,         /* header or body are not what their checksums say, or break off */
    DDC_DAMAGED_STREAM,  /* the stream holds no possible symbol */
    DDC_DAMAGED_WEIGHTS, /* a weight is out of its range, or its exponent or table is */
    DDC_DAMAGED_CODE,    /* an integer of the code is out of its range */
    DDC_DAMAGED_SAMPLES, /* the samples, which are there, do not have the checksum of the header */
    DDC_UNSUPPORTED,     /* the file needs a newer decoder */
    DDC_MEMORY,          /* the memory, or the room for what is made, is less than the request needs */
    DDC_ARGUMENT         /* a number in the request is out of its range */
} ddc_error;

/* The header rows of FORMAT.md, chapter 1. */
typedef struct {
    uint32_t width, height, planes, depth, headroom;
    uint32_t octaves, coarsest_planes, finer_planes, finest_channels, channels, linear, top_channels, taps;
    uint32_t neighbours, context_channels, base, chunks, detail;
    uint32_t body_crc, samples_crc;
} ddc_header;

/* Calls `job` with each of the numbers 0 .. count - 1, in any order or at the same time, and returns when all are done.
 */
typedef void ddc_run(void *user, void (*job)(void *context, uint32_t number), void *context, uint32_t count);

typedef struct {
    uint32_t octave;              /* 0 for the whole picture, or R for the smaller one of that octave's size */
    uint32_t first_row, stop_row; /* the rows wanted, up to the one before stop_row; stop_row 0: to the end */
    int is_beginning;             /* the end of the file may be missing: octaves that are not complete count as 0 */
    uint32_t threads;             /* parts that are made at the same time, 1 to DDC_MOST_THREADS */
    ddc_run *run;                 /* NULL: one part after the other */
    void *user;
    int level;           /* a limit for the vectors used: 0 for the plainest of the machine; -1 for the best */
    int16_t *code;       /* where the integers of the code go, coarse to fine, plane by plane; NULL: nowhere */
    uint64_t code_bytes; /* the room there */
    int is_code_known;   /* `code` has the integers already: those of the file are not read, and may be missing */
    uint16_t *costs; /* where the 256ths of a bit go that each integer took, in the order of `code`; NULL: nowhere */
} ddc_request;

/* Read the header. `size`: of the file, or of a beginning of at least 30 bytes. */
DDC_PUBLIC ddc_error ddc_read_header(const uint8_t *data, size_t size, ddc_header *header);

/* Bytes of memory for a request, and bytes of its samples; 0 if it is out of its range. Time grows with the pixels
   times the channels: a program that takes files from strangers should limit both, and the memory. */
DDC_PUBLIC uint64_t ddc_memory(const ddc_header *header, const ddc_request *request);
DDC_PUBLIC uint64_t ddc_samples_bytes(const ddc_header *header, const ddc_request *request);

/* Bytes of the integers of the code. */
DDC_PUBLIC uint64_t ddc_code_bytes(const ddc_header *header);

/* Decode a file to samples, row by row, the planes of a pixel together: uint8_t, or with depth 1 uint16_t.

   memory: aligned to 64 bytes. samples: NULL if only the code is wanted. Whole pictures of whole files are checked
   against `samples_crc`. */
DDC_PUBLIC ddc_error ddc_decode(
    const uint8_t *data, size_t size, const ddc_request *request, void *memory, uint64_t memory_bytes, void *samples,
    uint64_t samples_bytes);

/* Encode the code of a picture: the opposite of reading it.

   data: a file whose stream may hold the weights alone. code: its integers, as `ddc_request.code` gives them. memory:
   as for `ddc_decode` of the whole picture in one part. words: the stream of weights and code, with `most_words` of
   room. sections: for each section the words that a decoder takes until it has finished it, those before included.
   count: the words. */
DDC_PUBLIC ddc_error ddc_encode(
    const uint8_t *data, size_t size, const int16_t *code, uint64_t code_bytes, void *memory, uint64_t memory_bytes,
    uint32_t *words, uint64_t most_words, uint64_t sections[17], uint64_t *count);

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

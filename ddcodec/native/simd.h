/* One vector of integers, as wide as the target has.

   A `vec` holds LANES numbers of 32 bits, or PLACES = 2 LANES numbers of 16 bits. All arithmetic wraps around, but for
   `vec_pack`, which saturates. `vec_low` and `vec_high` interleave the numbers of two vectors within blocks of 128
   bits, and `vec_pack` undoes that: of the low and the high part it makes one vector in the order of memory.

   DDC_LEVEL, which the build defines, names the target: 0 plain C, 1 SSE4.1, 2 AVX2, 3 AVX-512, 4 AVX-512 with VNNI,
   5 NEON, 6 SIMD128 of WebAssembly. */
#ifndef DDC_SIMD_H
#define DDC_SIMD_H

#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Two numbers of 16 bits in one of 32, for `vec_dot`. */
INLINE int32_t pair_of(int32_t first, int32_t second) {
    return (int32_t)(((uint32_t)first & 0xffff) | (uint32_t)second << 16);
}

#if DDC_LEVEL >= 1 && DDC_LEVEL <= 4
#include <immintrin.h>
#elif DDC_LEVEL == 5
#include <arm_neon.h>
#elif DDC_LEVEL == 6
#include <wasm_simd128.h>
#endif

#if DDC_LEVEL == 0

#define LANES 4
typedef struct {
    int16_t at[8];
} vec;

INLINE int32_t lane(vec a, int i) { return pair_of(a.at[2 * i], a.at[2 * i + 1]); }
INLINE vec with_lane(vec a, int i, uint32_t value) {
    a.at[2 * i] = (int16_t)(value & 0xffff);
    a.at[2 * i + 1] = (int16_t)(value >> 16);
    return a;
}
#define EACH_LANE(value)                                                                                               \
    vec result = {{0}};                                                                                                \
    for (int i = 0; i < LANES; i++) result = with_lane(result, i, (uint32_t)(value));                                  \
    return result
#define EACH_PLACE(value)                                                                                              \
    vec result = {{0}};                                                                                                \
    for (int i = 0; i < 8; i++) result.at[i] = (int16_t)(value);                                                       \
    return result
INLINE vec vec_load(const void *p) {
    vec a;
    memcpy(&a, p, sizeof a);
    return a;
}
INLINE void vec_store(void *p, vec a) { memcpy(p, &a, sizeof a); }
INLINE vec vec_set32(int32_t x) { EACH_LANE(x); }
INLINE vec vec_set16(int16_t x) { EACH_PLACE(x); }
INLINE vec vec_add(vec a, vec b) { EACH_LANE((uint32_t)lane(a, i) + (uint32_t)lane(b, i)); }
INLINE vec vec_sub(vec a, vec b) { EACH_LANE((uint32_t)lane(a, i) - (uint32_t)lane(b, i)); }
INLINE vec vec_dot(vec a, vec b) {
    EACH_LANE((uint32_t)(a.at[2 * i] * b.at[2 * i]) + (uint32_t)(a.at[2 * i + 1] * b.at[2 * i + 1]));
}
INLINE vec vec_shift_right(vec a, int n) { EACH_LANE(lane(a, i) >> n); }
INLINE vec vec_shift_left(vec a, int n) { EACH_LANE((uint32_t)lane(a, i) << n); }
INLINE vec vec_max(vec a, vec b) { EACH_LANE(lane(a, i) > lane(b, i) ? lane(a, i) : lane(b, i)); }
INLINE vec vec_min(vec a, vec b) { EACH_LANE(lane(a, i) < lane(b, i) ? lane(a, i) : lane(b, i)); }
INLINE vec vec_max16(vec a, vec b) { EACH_PLACE(a.at[i] > b.at[i] ? a.at[i] : b.at[i]); }
INLINE vec vec_pack(vec a, vec b) { EACH_PLACE(clipped(i < 4 ? lane(a, i) : lane(b, i - 4))); }
INLINE vec vec_low(vec a, vec b) { EACH_PLACE(i % 2 ? b.at[i / 2] : a.at[i / 2]); }
INLINE vec vec_high(vec a, vec b) { EACH_PLACE(i % 2 ? b.at[4 + i / 2] : a.at[4 + i / 2]); }
INLINE vec vec_low32(vec a, vec b) { EACH_LANE(i % 2 ? lane(b, i / 2) : lane(a, i / 2)); }
INLINE vec vec_high32(vec a, vec b) { EACH_LANE(i % 2 ? lane(b, 2 + i / 2) : lane(a, 2 + i / 2)); }
INLINE vec vec_low64(vec a, vec b) { EACH_LANE(i < 2 ? lane(a, i) : lane(b, i - 2)); }
INLINE vec vec_high64(vec a, vec b) { EACH_LANE(i < 2 ? lane(a, 2 + i) : lane(b, i)); }
#undef EACH_LANE
#undef EACH_PLACE

#elif DDC_LEVEL <= 4

#if DDC_LEVEL == 1
#define LANES 4
#define OF_X86(name) _mm_##name
#define WHOLE_OF_X86(name) _mm_##name##_si128
typedef __m128i vec;
#elif DDC_LEVEL == 2
#define LANES 8
#define OF_X86(name) _mm256_##name
#define WHOLE_OF_X86(name) _mm256_##name##_si256
typedef __m256i vec;
#else
#define LANES 16
#define OF_X86(name) _mm512_##name
#define WHOLE_OF_X86(name) _mm512_##name##_si512
typedef __m512i vec;
#endif
INLINE vec vec_load(const void *p) { return WHOLE_OF_X86(loadu)((const vec *)p); }
INLINE void vec_store(void *p, vec a) { WHOLE_OF_X86(storeu)((vec *)p, a); }
INLINE vec vec_set32(int32_t x) { return OF_X86(set1_epi32)(x); }
INLINE vec vec_set16(int16_t x) { return OF_X86(set1_epi16)(x); }
INLINE vec vec_add(vec a, vec b) { return OF_X86(add_epi32)(a, b); }
INLINE vec vec_sub(vec a, vec b) { return OF_X86(sub_epi32)(a, b); }
INLINE vec vec_dot(vec a, vec b) { return OF_X86(madd_epi16)(a, b); }
INLINE vec vec_shift_right(vec a, int n) { return OF_X86(sra_epi32)(a, _mm_cvtsi32_si128(n)); }
INLINE vec vec_shift_left(vec a, int n) { return OF_X86(sll_epi32)(a, _mm_cvtsi32_si128(n)); }
INLINE vec vec_max(vec a, vec b) { return OF_X86(max_epi32)(a, b); }
INLINE vec vec_min(vec a, vec b) { return OF_X86(min_epi32)(a, b); }
INLINE vec vec_max16(vec a, vec b) { return OF_X86(max_epi16)(a, b); }
INLINE vec vec_pack(vec a, vec b) { return OF_X86(packs_epi32)(a, b); }
INLINE vec vec_low(vec a, vec b) { return OF_X86(unpacklo_epi16)(a, b); }
INLINE vec vec_high(vec a, vec b) { return OF_X86(unpackhi_epi16)(a, b); }
INLINE vec vec_low32(vec a, vec b) { return OF_X86(unpacklo_epi32)(a, b); }
INLINE vec vec_high32(vec a, vec b) { return OF_X86(unpackhi_epi32)(a, b); }
INLINE vec vec_low64(vec a, vec b) { return OF_X86(unpacklo_epi64)(a, b); }
INLINE vec vec_high64(vec a, vec b) { return OF_X86(unpackhi_epi64)(a, b); }

#elif DDC_LEVEL == 5

#define LANES 4
typedef int32x4_t vec;
#define AS16(a) vreinterpretq_s16_s32(a)
#define AS32(a) vreinterpretq_s32_s16(a)
INLINE vec vec_load(const void *p) { return AS32(vld1q_s16((const int16_t *)p)); }
INLINE void vec_store(void *p, vec a) { vst1q_s16((int16_t *)p, AS16(a)); }
INLINE vec vec_set32(int32_t x) { return vdupq_n_s32(x); }
INLINE vec vec_set16(int16_t x) { return AS32(vdupq_n_s16(x)); }
INLINE vec vec_add(vec a, vec b) { return vaddq_s32(a, b); }
INLINE vec vec_sub(vec a, vec b) { return vsubq_s32(a, b); }
INLINE vec vec_dot(vec a, vec b) {
    int32x4_t low = vmull_s16(vget_low_s16(AS16(a)), vget_low_s16(AS16(b)));
    return vpaddq_s32(low, vmull_high_s16(AS16(a), AS16(b)));
}
INLINE vec vec_shift_right(vec a, int n) { return vshlq_s32(a, vdupq_n_s32(-n)); }
INLINE vec vec_shift_left(vec a, int n) { return vshlq_s32(a, vdupq_n_s32(n)); }
INLINE vec vec_max(vec a, vec b) { return vmaxq_s32(a, b); }
INLINE vec vec_min(vec a, vec b) { return vminq_s32(a, b); }
INLINE vec vec_max16(vec a, vec b) { return AS32(vmaxq_s16(AS16(a), AS16(b))); }
INLINE vec vec_pack(vec a, vec b) { return AS32(vqmovn_high_s32(vqmovn_s32(a), b)); }
INLINE vec vec_low(vec a, vec b) { return AS32(vzip1q_s16(AS16(a), AS16(b))); }
INLINE vec vec_high(vec a, vec b) { return AS32(vzip2q_s16(AS16(a), AS16(b))); }
INLINE vec vec_low32(vec a, vec b) { return vzip1q_s32(a, b); }
INLINE vec vec_high32(vec a, vec b) { return vzip2q_s32(a, b); }
INLINE vec vec_low64(vec a, vec b) { return vcombine_s32(vget_low_s32(a), vget_low_s32(b)); }
INLINE vec vec_high64(vec a, vec b) { return vcombine_s32(vget_high_s32(a), vget_high_s32(b)); }
#undef AS16
#undef AS32

#elif DDC_LEVEL == 6

#define LANES 4
typedef v128_t vec;
INLINE vec vec_load(const void *p) { return wasm_v128_load(p); }
INLINE void vec_store(void *p, vec a) { wasm_v128_store(p, a); }
INLINE vec vec_set32(int32_t x) { return wasm_i32x4_splat(x); }
INLINE vec vec_set16(int16_t x) { return wasm_i16x8_splat(x); }
INLINE vec vec_add(vec a, vec b) { return wasm_i32x4_add(a, b); }
INLINE vec vec_sub(vec a, vec b) { return wasm_i32x4_sub(a, b); }
INLINE vec vec_dot(vec a, vec b) { return wasm_i32x4_dot_i16x8(a, b); }
INLINE vec vec_shift_right(vec a, int n) { return wasm_i32x4_shr(a, (uint32_t)n); }
INLINE vec vec_shift_left(vec a, int n) { return wasm_i32x4_shl(a, (uint32_t)n); }
INLINE vec vec_max(vec a, vec b) { return wasm_i32x4_max(a, b); }
INLINE vec vec_min(vec a, vec b) { return wasm_i32x4_min(a, b); }
INLINE vec vec_max16(vec a, vec b) { return wasm_i16x8_max(a, b); }
INLINE vec vec_pack(vec a, vec b) { return wasm_i16x8_narrow_i32x4(a, b); }
INLINE vec vec_low(vec a, vec b) { return wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
INLINE vec vec_high(vec a, vec b) { return wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
INLINE vec vec_low32(vec a, vec b) { return wasm_i32x4_shuffle(a, b, 0, 4, 1, 5); }
INLINE vec vec_high32(vec a, vec b) { return wasm_i32x4_shuffle(a, b, 2, 6, 3, 7); }
INLINE vec vec_low64(vec a, vec b) { return wasm_i64x2_shuffle(a, b, 0, 2); }
INLINE vec vec_high64(vec a, vec b) { return wasm_i64x2_shuffle(a, b, 1, 3); }

#endif

#define PLACES (2 * LANES)
#define BLOCKS (LANES / 4) /* blocks of 128 bits in a `vec` */

/* One block, for what is too irregular for a `vec`. */
#if DDC_LEVEL >= 2 && DDC_LEVEL <= 4
typedef __m128i block;
INLINE block block_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE void block_store(void *p, block a) { _mm_storeu_si128((__m128i *)p, a); }
INLINE block block_set32(int32_t x) { return _mm_set1_epi32(x); }
INLINE block block_add(block a, block b) { return _mm_add_epi32(a, b); }
INLINE block block_dot(block a, block b) { return _mm_madd_epi16(a, b); }
INLINE block block_shift_right(block a, int n) { return _mm_sra_epi32(a, _mm_cvtsi32_si128(n)); }
INLINE block block_pack(block a, block b) { return _mm_packs_epi32(a, b); }
INLINE block block_low(block a, block b) { return _mm_unpacklo_epi16(a, b); }
INLINE block block_high(block a, block b) { return _mm_unpackhi_epi16(a, b); }
#else
typedef vec block;
#define block_load vec_load
#define block_store vec_store
#define block_set32 vec_set32
#define block_add vec_add
#define block_dot vec_dot
#define block_shift_right vec_shift_right
#define block_pack vec_pack
#define block_low vec_low
#define block_high vec_high
#endif

/* Add the products of pairs of numbers of 16 bits to a sum. */
INLINE vec vec_add_dot(vec sum, vec a, vec b) {
#if DDC_LEVEL == 4
    return _mm512_dpwssd_epi32(sum, a, b);
#else
    return vec_add(sum, vec_dot(a, b));
#endif
}

#endif

/* Vectors of float32, as wide as the target has. A `floats` holds LANES numbers.

   They are the vectors of GCC and clang: + - * / and comparisons go lane by lane, and a number on one side stands for
   all lanes. A comparison gives `ints`, all ones where it holds. */
#ifndef DDC_FLOATS_H
#define DDC_FLOATS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

#if DDC_LEVEL == 3
#define LANES 16
#elif DDC_LEVEL == 2
#define LANES 8
#else
#define LANES 4
#endif
#if DDC_LEVEL == 3 || DDC_LEVEL == 5
#define REGISTERS 32
#else
#define REGISTERS 16
#endif

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef float floats_in_memory __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t shorts __attribute__((vector_size(2 * LANES)));

INLINE floats load(const float *p) { return *(const floats_in_memory *)p; }
INLINE void store(float *p, floats a) { *(floats_in_memory *)p = a; }
INLINE floats all(float x) { return x - (floats){0}; }

/* LANES numbers of 16 bits. */
INLINE floats load_shorts(const uint16_t *p) {
    shorts a;
    memcpy(&a, p, sizeof a);
    return __builtin_convertvector(__builtin_convertvector(a, ints), floats);
}

INLINE floats chosen(ints where, floats a, floats b) { return (floats)((where & (ints)a) | (~where & (ints)b)); }
/* Where `a` is no number these are none, so that a fit that has blown up shows. */
INLINE floats maximum(floats a, floats b) { return chosen(b > a, b, a); }
INLINE floats minimum(floats a, floats b) { return chosen(b < a, b, a); }
INLINE floats clamped(floats a, float low, float high) { return minimum(maximum(a, all(low)), all(high)); }
INLINE floats magnitude(floats a) { return (floats)((ints)a & 0x7fffffff); }
INLINE floats sign_of(floats a) { return chosen(a > 0, all(1), chosen(a < 0, all(-1), all(0))); }

/* The nearest integers, of two the even one, below 2^22. */
INLINE floats nearest(floats a) {
    floats magic = all(0x1.8p23f);
    return a + magic - magic;
}
INLINE floats floor_of(floats a) {
    floats near = nearest(a);
    return near - chosen(near > a, all(1), all(0));
}

INLINE floats root_of(floats a) {
    for (int i = 0; i < LANES; i++) a[i] = sqrtf(a[i]);
    return a;
}

/* 2^x, with x between -126 and 126: Taylor's series, of which the next term is below 6e-9 at 1/2. */
INLINE floats exp2_of(floats x) {
    x = clamped(x, -126, 126);
    floats whole = nearest(x), part = x - whole;
    floats power = all(1.5252734e-05f);
    power = power * part + 1.5403530e-04f;
    power = power * part + 1.3333558e-03f;
    power = power * part + 9.6181291e-03f;
    power = power * part + 5.5504109e-02f;
    power = power * part + 2.4022651e-01f;
    power = power * part + 6.9314718e-01f;
    power = power * part + 1.0f;
    return power * (floats)((__builtin_convertvector(whole, ints) + 127) << 23);
}
INLINE floats exp_of(floats x) { return exp2_of(x * 1.44269504f); }

/* The natural logarithm of positive normal numbers. Each is 2^e m with m between the roots of 1/2 and 2; that of m is
   a series of artanh((m - 1) / (m + 1)). */
INLINE floats log_of(floats x) {
    const int32_t root_half = 0x3f3504f3;
    ints offset = (ints)x - root_half, exponent = offset >> 23;
    floats m = (floats)((offset & 0x7fffff) + root_half);
    floats s = (m - 1) / (m + 1), square = s * s;
    floats series = all(2 / 9.f);
    series = series * square + 2 / 7.f;
    series = series * square + 2 / 5.f;
    series = series * square + 2 / 3.f;
    series = series * square + 2;
    return __builtin_convertvector(exponent, floats) * 0.69314718f + series * s;
}

#if LANES == 16
#define EACH_LANE 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define EACH_LANE 0, 1, 2, 3, 4, 5, 6, 7
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define EACH_LANE 0, 1, 2, 3
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#endif

/* The numbers in even and odd places of two vectors on end; the first and the second half of two interleaved. */
INLINE floats even(floats a, floats b) { return __builtin_shufflevector(a, b, EVEN); }
INLINE floats odd(floats a, floats b) { return __builtin_shufflevector(a, b, ODD); }
INLINE floats low(floats a, floats b) { return __builtin_shufflevector(a, b, LOW); }
INLINE floats high(floats a, floats b) { return __builtin_shufflevector(a, b, HIGH); }

/* Keep the first `count` lanes, none to all, and set the others to 0. */
INLINE floats first(floats a, int count) { return (floats)((ints)a & ((ints){EACH_LANE} < count)); }

INLINE float total(floats a) {
    float sum = 0;
    for (int i = 0; i < LANES; i++) sum += a[i];
    return sum;
}

INLINE words scrambled(words x) {
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* Pseudo-random numbers of mean 0 and variance 1 for the places from `index` on: sums of four uniform numbers of 16
   bits, hashed (Wellons' "lowbias32") from key and place alone. */
INLINE floats normal(uint32_t key, uint32_t index) {
    words place = index + (words){EACH_LANE};
    words once = scrambled(place * 0x9e3779b1u + key), twice = scrambled(once ^ 0x85ebca6bu);
    ints sum = (ints)((once & 0xffff) + (once >> 16) + (twice & 0xffff) + (twice >> 16));
    return (__builtin_convertvector(sum, floats) - 131070) * (1.73205081f / 65536);
}

INLINE int vectors_of(int numbers) { return (numbers + LANES - 1) / LANES; }

INLINE void clear(float *at, int64_t numbers) { memset(at, 0, 4 * (size_t)numbers); }

/* Add whole vectors of numbers to others. */
INLINE void add_onto(float *target, const float *source, int64_t numbers) {
    for (int64_t i = 0; i < numbers; i += LANES) store(target + i, load(target + i) + load(source + i));
}

#endif

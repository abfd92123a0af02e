/*
 * A product with a constant is linear: that of a byte is that of its lower half plus that of its
 * upper half, and each half has 16 values. So two small tables a factor do it, and where a
 * processor can look up 16 or 32 bytes in such a table at once, that is all there is to do: J.
 * Plank, K. Greenan, E. Miller, "Screaming fast Galois field arithmetic using Intel SIMD
 * instructions" (FAST 2013).
 *
 * Tables and version are set by a constructor, as in dsp/version.c, so that no thread can meet
 * them half made, and are constant afterwards.
 */
#include "wire/field.h"

#include "base/assert.h"

#if defined __x86_64__
#include <immintrin.h>
#endif

enum { ELEMENTS = 256, MODULUS = 0x11d };

static struct takt_field_row rows[ELEMENTS];
static uint8_t inverses[ELEMENTS]; /* of 0: 0 */

uint8_t takt_field_multiply(uint8_t a, uint8_t b)
{
    unsigned product = 0;
    for (unsigned x = a; b; b >>= 1) {
        product ^= b & 1 ? x : 0;
        x = x << 1 ^ (x & 0x80 ? MODULUS : 0);
    }
    return (uint8_t)product;
}

uint8_t takt_field_divide(uint8_t a, uint8_t b)
{
    return takt_field_multiply(a, inverses[b]);
}

const struct takt_field_row *takt_field_row(uint8_t factor)
{
    return &rows[factor];
}

/* ---- Versions -------------------------------------------------------------------------------- */

static void add_plain(uint8_t *sum, const uint8_t *x, const struct takt_field_row *row,
                      size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        sum[i] ^= row->low[x[i] & 15] ^ row->high[x[i] >> 4];
}

static const struct takt_field_version plain = {"plain", add_plain};

#if defined __x86_64__
__attribute__((target("avx2"))) static void add_avx2(uint8_t *sum, const uint8_t *x,
                                                     const struct takt_field_row *row, size_t bytes)
{
    const __m256i half = _mm256_set1_epi8(15);
    const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)row->low));
    const __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)row->high));
    for (size_t i = 0; i < bytes; i += TAKT_FIELD_STEP) {
        __m256i in = _mm256_loadu_si256((const void *)(x + i));
        __m256i to = _mm256_loadu_si256((const void *)(sum + i));
        __m256i a = _mm256_shuffle_epi8(low, _mm256_and_si256(in, half));
        __m256i b = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(in, 4), half));
        to = _mm256_xor_si256(to, _mm256_xor_si256(a, b));
        _mm256_storeu_si256((void *)(sum + i), to);
    }
}

static const struct takt_field_version avx2 = {"avx2", add_avx2};
#endif

static const struct takt_field_version *chosen = &plain;

const struct takt_field_version *takt_field_version(int i)
{
#if defined __x86_64__
    __builtin_cpu_init();
    if (i == 1 && __builtin_cpu_supports("avx2"))
        return &avx2;
#endif
    return i == 0 ? &plain : NULL;
}

void takt_field_add(uint8_t *sum, const uint8_t *x, uint8_t factor, size_t bytes)
{
    TAKT_ASSERT(bytes % TAKT_FIELD_STEP == 0);
    chosen->add(sum, x, &rows[factor], bytes);
}

static __attribute__((constructor)) void prepare(void)
{
    uint8_t powers[ELEMENTS - 1] = {1}; /* of 2, which are all elements but 0 */
    for (unsigned i = 1; i < ELEMENTS - 1; i++)
        powers[i] = takt_field_multiply(powers[i - 1], 2);
    for (unsigned i = 0; i < ELEMENTS - 1; i++)
        inverses[powers[i]] = powers[i ? ELEMENTS - 1 - i : 0];
    for (unsigned a = 0; a < ELEMENTS; a++)
        for (unsigned half = 0; half < 16; half++) {
            rows[a].low[half] = takt_field_multiply((uint8_t)half, (uint8_t)a);
            rows[a].high[half] = takt_field_multiply((uint8_t)(half << 4), (uint8_t)a);
        }
    const struct takt_field_version *v;
    for (int i = 0; (v = takt_field_version(i)); i++)
        chosen = v;
}

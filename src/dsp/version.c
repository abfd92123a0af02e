#include "dsp/version.h"

extern const struct takt_kernels takt_kernels_plain;
extern const struct takt_converters takt_converters_plain;
extern const struct takt_transforms takt_transforms_plain;
static const struct takt_dsp_version plain = {"plain", &takt_kernels_plain, &takt_converters_plain,
                                              &takt_transforms_plain};

#if defined __x86_64__
extern const struct takt_kernels takt_kernels_avx2;
extern const struct takt_converters takt_converters_avx2;
extern const struct takt_transforms takt_transforms_avx2;
static const struct takt_dsp_version avx2 = {"avx2", &takt_kernels_avx2, &takt_converters_avx2,
                                             &takt_transforms_avx2};
#endif

/* Right from the first instruction: whoever runs before choose() gets the same bits, later. */
const struct takt_dsp_version *takt_dsp = &plain;

const struct takt_dsp_version *takt_dsp_version(int i)
{
#if defined __x86_64__
    __builtin_cpu_init();
    if (i == 1 && __builtin_cpu_supports("avx2"))
        return &avx2;
#endif
    return i == 0 ? &plain : NULL;
}

/* A constructor, so that no audio thread can meet the choice half made, and no call asks for it. */
static __attribute__((constructor)) void choose(void)
{
    const struct takt_dsp_version *v;
    for (int i = 0; (v = takt_dsp_version(i)); i++)
        takt_dsp = v;
}

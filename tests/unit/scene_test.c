/* The scenes: the same sound however it is cut, at any rate, within sensible levels. */
#include "base/random.h"
#include "sim/scene.h"
#include "tap.h"

#include <math.h>

enum { FRAMES = 96000 };

static float whole[FRAMES], cut[FRAMES];
static const char *const specs[] = {"voice", "guitar", "tone",   "tone=440", "sweep",   "sweep=0.5",
                                    "noise", "pink",   "clicks", "clicks=7", "impulse", "silence"};
enum { SPECS = sizeof specs / sizeof *specs };

static struct takt_scene *open_scene(const char *spec, uint32_t rate_hz, uint64_t seed)
{
    struct takt_scene *s;
    struct takt_error e;
    struct takt_scene_cfg cfg = {.spec = spec, .rate_hz = rate_hz, .seed = seed, .gain = 1};
    return takt_scene_open(&cfg, &s, &e) < 0 ? NULL : s;
}

static void scene_is_the_same_however_it_is_cut(void)
{
    struct takt_random r = takt_random_seed(3);
    for (int k = 0; k < SPECS; k++) {
        struct takt_scene *a = open_scene(specs[k], 48000, 5), *b = open_scene(specs[k], 48000, 5);
        CHECK(a && b);
        a->ops->render(a, whole, FRAMES);
        for (uint32_t at = 0; at < FRAMES;) {
            uint32_t n = (uint32_t)takt_random_below(&r, 700);
            n = n > FRAMES - at ? FRAMES - at : n;
            b->ops->render(b, cut + at, n);
            at += n;
        }
        CHECK(!memcmp(whole, cut, sizeof whole));
        a->ops->close(a);
        b->ops->close(b);
    }
}

static void scene_that_can_skip_skips_as_if_it_had_rendered(void)
{
    for (int k = 0; k < SPECS; k++) {
        struct takt_scene *a = open_scene(specs[k], 48000, 5), *b = open_scene(specs[k], 48000, 5);
        CHECK(a && b);
        if (a->ops->skip) {
            a->ops->render(a, whole, 20000);
            b->ops->skip(b, 12345);
            b->ops->render(b, cut, 20000 - 12345);
            CHECK(!memcmp(whole + 12345, cut, (20000 - 12345) * sizeof(float)));
        }
        a->ops->close(a);
        b->ops->close(b);
    }
}

static void scene_is_finite_and_in_range_at_any_rate(void)
{
    const uint32_t rates[] = {8000, 11025, 44100, 48000, 96000, 384000};
    for (int k = 0; k < SPECS; k++)
        for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
            struct takt_scene *s = open_scene(specs[k], rates[i], i + 1);
            CHECK(s);
            double sum = 0, peak = 0;
            s->ops->render(s, whole, FRAMES);
            for (int n = 0; n < FRAMES; n++) {
                CHECK(isfinite(whole[n]));
                sum += (double)whole[n];
                peak = fmax(peak, fabs((double)whole[n]));
            }
            CHECK(peak <= 1);
            if (k < 2) /* the others have none by their formula, over whole periods */
                CHECK(fabs(sum / FRAMES) < 0.01);
            if (strcmp(specs[k], "silence") != 0)
                CHECK(peak > 0.05);
            s->ops->close(s);
        }
}

static void voice_and_guitar_are_at_the_level_of_a_good_microphone(void)
{
    for (int k = 0; k < 2; k++) {
        struct takt_scene *s = open_scene(specs[k], 48000, 1);
        CHECK(s);
        double squares = 0;
        for (int second = 0; second < 20; second++) {
            s->ops->render(s, whole, 48000);
            for (int n = 0; n < 48000; n++)
                squares += (double)whole[n] * (double)whole[n];
        }
        double rms_dbfs = 10 * log10(squares / (20 * 48000.0));
        printf("# %s: %.1f dBFS\n", specs[k], rms_dbfs);
        CHECK_NEAR(rms_dbfs, -20, 4);
        s->ops->close(s);
    }
}

static void noise_levels_are_as_described(void)
{
    for (int k = 6; k < 8; k++) {
        struct takt_scene *s = open_scene(specs[k], 48000, 1);
        CHECK(s);
        double squares = 0;
        s->ops->render(s, whole, FRAMES);
        for (int n = 0; n < FRAMES; n++)
            squares += (double)whole[n] * (double)whole[n];
        CHECK_NEAR(10 * log10(squares / FRAMES), -20, 1.5);
        s->ops->close(s);
    }
}

/* After a day the tone's phase is still that of its frame number. */
static void tone_keeps_its_phase_for_a_day(void)
{
    const double two_pi = 6.28318530717958647692;
    struct takt_scene *s = open_scene("tone=440.1", 44100, 1);
    CHECK(s);
    uint64_t at = 86400ull * 44100;
    s->ops->skip(s, at);
    s->ops->render(s, whole, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        long double turns = 440.1L * (long double)(at + i) / 44100.0L;
        double want = 0.5 * sin(two_pi * (double)(turns - floorl(turns)));
        CHECK_NEAR(whole[i], want, 1e-5);
    }
    s->ops->close(s);
}

static void clicks_stand_at_exact_frames(void)
{
    struct takt_scene *s = open_scene("clicks=4", 48000, 1);
    CHECK(s);
    s->ops->render(s, whole, FRAMES);
    for (int n = 0; n < FRAMES; n++)
        CHECK((whole[n] != 0) == (n % 12000 == 0));
    s->ops->close(s);
}

static void seeds_make_different_sounds(void)
{
    for (int k = 0; k < 2; k++) {
        struct takt_scene *a = open_scene(specs[k], 48000, 1), *b = open_scene(specs[k], 48000, 2);
        CHECK(a && b);
        a->ops->render(a, whole, FRAMES);
        b->ops->render(b, cut, FRAMES);
        CHECK(memcmp(whole, cut, sizeof whole) != 0);
        a->ops->close(a);
        b->ops->close(b);
    }
}

static void specs_that_make_no_sense_are_refused(void)
{
    const char *const bad[] = {
        "",         "nosuch",      "tone=",   "tone=x",     "tone=-1",    "tone=1e9", "tone=0x10z",
        "tone=nan", "sweep=0",     "voice=3", "guitar=",    "clicks=0",   "noise=1",  "rec",
        "rec=",     "rec=/nosuch", "rec=/",   "tone=24001", "tone=440 Hz"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_scene *s = (struct takt_scene *)&whole;
        struct takt_error e = {0};
        struct takt_scene_cfg cfg = {.spec = bad[i], .rate_hz = 48000, .seed = 1, .gain = 1};
        CHECK(takt_scene_open(&cfg, &s, &e) < 0);
        CHECK(!s && strlen(e.text) > 10);
    }
}

int main(void)
{
    RUN(scene_is_the_same_however_it_is_cut);
    RUN(scene_that_can_skip_skips_as_if_it_had_rendered);
    RUN(scene_is_finite_and_in_range_at_any_rate);
    RUN(voice_and_guitar_are_at_the_level_of_a_good_microphone);
    RUN(noise_levels_are_as_described);
    RUN(tone_keeps_its_phase_for_a_day);
    RUN(clicks_stand_at_exact_frames);
    RUN(seeds_make_different_sounds);
    RUN(specs_that_make_no_sense_are_refused);
    return tap_done();
}

/* Strums of known tuning: stiff strings with two polarisations each, partials that are not quite
 * where the model has them, pitches that sink after the pluck, and noise. */

#include "takt/strum.h"

#include "base/random.h"
#include "fault.h"
#include "tap.h"

#include <math.h>
#include <string.h>

enum { RATE = 48000, FRAMES = RATE * 9 / 5, BEFORE = RATE / 6 };
static const double pi = 3.14159265358979323846;

static struct takt_random chance = {1};
static double mix[2 * FRAMES];
static float sound[2 * FRAMES];
static struct takt_strum_reading reading;

static double between(double low, double high)
{
    return low + (high - low) * takt_random_unit(&chance);
}

static double noise(void)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += takt_random_unit(&chance);
    return sum - 6;
}

struct strum {
    const char *tuning;
    double off_cents; /* each string is off by at most that */
    double stretch;   /* of B, as a share of what is usual */
    int muted;        /* a string that does not sound, from 1; 0: none */
    int only;         /* one that sounds alone, from 1; 0: all */
    double hz[TAKT_STRINGS_MAX];
};

/* One partial of both polarisations, from `at` on; it begins glide_cents high. */
static void add_partial(double hz, double loud, double fall_s, double glide_cents, int at, int rate)
{
    enum { BLOCK = 480 };
    for (int side = -1; side <= 1; side += 2) {
        double own_hz = hz * exp2(side * between(0, 0.08) / 1200),
               own_s = side > 0 ? fall_s : fall_s / 2;
        double phase = between(0, 2 * pi), level = loud * (side > 0 ? 0.6 : 0.4);
        double re = level * cos(phase), im = level * sin(phase), turn_re = 0, turn_im = 0;
        for (int i = 0; at + i < FRAMES; i++) {
            if (i % BLOCK == 0) {
                double now_hz = own_hz * exp2(glide_cents * exp(-(double)i / rate / 0.12) / 1200);
                double fall = exp(-1 / (own_s * rate));
                turn_re = fall * cos(2 * pi * now_hz / rate);
                turn_im = fall * sin(2 * pi * now_hz / rate);
            }
            mix[at + i] += im;
            double next = re * turn_re - im * turn_im;
            im = re * turn_im + im * turn_re;
            re = next;
        }
    }
}

static void add_string(double hz, double stretch, int at)
{
    double fall_s = between(1.2, 2.5) * pow(110 / hz, 0.3), level = between(0.5, 1.2);
    double plucked = between(0.1, 0.3), heard = between(0.06, 0.2), glide_cents = between(0, 4);
    for (int k = 1; k * hz < 3000; k++) {
        double own_hz =
            k * hz * sqrt((1 + stretch * k * k) / (1 + stretch)) * exp2(0.15 * noise() / 1200);
        double loud = level * fabs(sin(pi * k * plucked)) / k / k *
                      (fabs(sin(pi * k * heard)) * k * 0.7 + 0.1);
        add_partial(own_hz, loud, fall_s / (1 + 0.05 * k + 0.004 * k * k), glide_cents, at, RATE);
    }
}

static void play(struct strum *s)
{
    const struct takt_tuning *t = takt_tuning_find(s->tuning);
    double power = 0;
    memset(mix, 0, sizeof mix);
    for (int i = 0; i < t->count; i++) {
        double usual = t->note[i] < 52 ? 9e-5 : 6e-5;
        s->hz[i] = takt_note_hz(t->note[i] + between(-1, 1) * s->off_cents / 100, 440);
        if (s->muted == i + 1 || (s->only && s->only != i + 1))
            continue;
        add_string(s->hz[i], usual * s->stretch * between(0.7, 1.3),
                   BEFORE + (int)(i * between(0.008, 0.015) * RATE));
    }
    for (int i = 0; i < FRAMES; i++)
        power += mix[i] * mix[i] / FRAMES;
    for (int i = 0; i < FRAMES; i++)
        sound[i] = (float)(0.1 * (mix[i] + sqrt(power) * 3e-3 * noise()));
}

/* Whether a strum was told. */
static bool hear(const char *tuning, const struct takt_strum_cfg *more, size_t block)
{
    struct takt_strum_cfg cfg = more ? *more : (struct takt_strum_cfg){.rate_hz = RATE};
    struct takt_strum *s = NULL;
    int told = 0;
    cfg.tuning = takt_tuning_find(tuning);
    memset(&reading, 0, sizeof reading);
    if (takt_strum_create(&cfg, &s, NULL) < 0)
        return false;
    for (size_t at = 0; at < FRAMES; at += block) {
        size_t n = block < FRAMES - at ? block : FRAMES - at;
        told += takt_strum_process(s, sound + at, n, at, &reading);
    }
    takt_strum_destroy(s);
    return told == 1;
}

static double off_by(const struct strum *s, int i)
{
    return fabs(1200 * log2(reading.string[i].f0_hz / s->hz[i]));
}

/* ---- What is told ---------------------------------------------------------------------------- */

static void every_string_of_a_strum_is_told_within_a_cent(void)
{
    static const char *const names[] = {"guitar", "bass", "violin", "ukulele", "half-step-down"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        for (int i = 0; i < ROUNDS(3); i++) {
            struct strum s = {.tuning = names[n], .off_cents = i == 0 ? 1 : 30, .stretch = 1};
            play(&s);
            CHECK(hear(s.tuning, NULL, 512));
            CHECK_INT(reading.count, takt_tuning_find(s.tuning)->count);
            int known = 0;
            for (int k = 0; k < reading.count; k++) {
                const struct takt_strum_string *r = &reading.string[k];
                known += r->known;
                if (!r->known)
                    continue;
                CHECK(off_by(&s, k) <= 1);
                double target_hz = takt_note_hz(takt_tuning_find(s.tuning)->note[k], 440);
                CHECK_NEAR(r->cents, 1200 * log2(r->f0_hz / target_hz), 1e-6);
            }
            CHECK(known >= reading.count - 1);
        }
}

/* Octaves hide strings in one another. Then they are not told, rather than told wrong. */
static void what_is_told_of_strings_in_octaves_is_true(void)
{
    static const char *const names[] = {"dadgad", "open-g", "open-e", "drop-d", "double-drop-d"};
    int known = 0, all = 0, within = 0;
    for (int i = 0; i < ROUNDS(10); i++) {
        struct strum s = {.tuning = names[i % 5], .off_cents = 15, .stretch = i % 2 ? 1 : 0.5};
        play(&s);
        CHECK(hear(s.tuning, NULL, 480));
        for (int k = 0; k < reading.count; k++) {
            all++;
            if (!reading.string[k].known)
                continue;
            known++;
            CHECK(off_by(&s, k) <= 4);
            within += off_by(&s, k) <= 3 * reading.string[k].sigma_cents + 0.1;
        }
    }
    CHECK(known >= all * 6 / 10);
    CHECK(within >= known * 95 / 100);
}

/* As in Karplus and Strong's string, whose partials are not stretched at all. */
static void what_is_told_of_strings_without_stretch_is_true(void)
{
    int known = 0;
    for (int i = 0; i < ROUNDS(5); i++) {
        struct strum s = {.tuning = "guitar", .off_cents = 20, .stretch = 0};
        play(&s);
        CHECK(hear(s.tuning, NULL, 512));
        for (int k = 0; k < reading.count; k++) {
            known += reading.string[k].known;
            if (reading.string[k].known)
                CHECK(off_by(&s, k) <= 3);
        }
    }
    CHECK(known >= ROUNDS(5) * 4);
}

static void a_string_that_is_silent_is_not_told(void)
{
    for (int muted = 1; muted <= 6; muted++) {
        struct strum s = {.tuning = "guitar", .off_cents = 10, .stretch = 1, .muted = muted};
        play(&s);
        CHECK(hear(s.tuning, NULL, 512));
        CHECK(!reading.string[muted - 1].known);
        int known = 0;
        for (int k = 0; k < 6; k++)
            known += reading.string[k].known;
        CHECK(known >= 4);
    }
}

static void a_string_by_itself_is_told_and_no_other(void)
{
    for (int only = 1; only <= 6; only++) {
        struct strum s = {.tuning = "guitar", .off_cents = 10, .stretch = 1, .only = only};
        play(&s);
        CHECK(hear(s.tuning, NULL, 512));
        for (int k = 0; k < 6; k++)
            CHECK(reading.string[k].known == (k == only - 1));
        CHECK(off_by(&s, only - 1) <= 1);
    }
}

static void silence_and_hiss_are_no_strings(void)
{
    memset(sound, 0, sizeof sound);
    CHECK(!hear("guitar", NULL, 512));
    for (int i = BEFORE; i < FRAMES; i++)
        sound[i] = (float)(0.1 * noise());
    CHECK(hear("guitar", NULL, 512)); /* something was struck */
    for (int k = 0; k < reading.count; k++)
        CHECK(!reading.string[k].known);
}

static void reference_and_clock_are_heeded(void)
{
    struct strum s = {.tuning = "bass", .off_cents = 10, .stretch = 1};
    play(&s);
    CHECK(hear(s.tuning, NULL, 512));
    struct takt_strum_reading plain = reading;
    struct takt_strum_cfg cfg = {.rate_hz = RATE, .a4_hz = 442, .clock_ppm = 500};
    CHECK(hear(s.tuning, &cfg, 512));
    for (int k = 0; k < reading.count; k++) {
        CHECK(plain.string[k].known && reading.string[k].known);
        CHECK_NEAR(reading.string[k].f0_hz / plain.string[k].f0_hz, 1.0005, 2e-5);
        CHECK_NEAR(reading.string[k].cents - plain.string[k].cents, 1200 * log2(1.0005 * 440 / 442),
                   0.05);
    }
}

/* ---- Frames ------------------------------------------------------------------------------------
 */

static void blocks_of_any_size_tell_the_same(void)
{
    struct strum s = {.tuning = "ukulele", .off_cents = 10, .stretch = 1};
    play(&s);
    CHECK(hear(s.tuning, NULL, 512));
    struct takt_strum_reading first = reading;
    static const size_t blocks[] = {1, 37, 4096, FRAMES};
    for (int i = 0; i < 4; i++) {
        CHECK(hear(s.tuning, NULL, blocks[i]));
        CHECK(!memcmp(&first, &reading, sizeof reading));
    }
}

static void a_new_strum_takes_the_place_of_the_last(void)
{
    struct strum s = {.tuning = "ukulele", .off_cents = 10, .stretch = 1};
    struct takt_strum *strum;
    play(&s);
    takt_strum_create(&(struct takt_strum_cfg){.tuning = takt_tuning_find("ukulele")}, &strum,
                      NULL);
    CHECK(!takt_strum_process(strum, sound, RATE, 0, &reading));
    CHECK(takt_strum_process(strum, sound, FRAMES, RATE, &reading)); /* follows on */
    CHECK(reading.position > RATE && reading.position < RATE + 3 * BEFORE);
    CHECK(!takt_strum_process(strum, sound, RATE, 0, &reading));
    CHECK(!takt_strum_process(strum, sound + RATE, FRAMES - RATE, 5 * RATE, &reading)); /* a gap */
    takt_strum_destroy(strum);
}

static void settings_out_of_range_are_refused(void)
{
    static const struct takt_tuning none = {.count = 0}, many = {.count = TAKT_STRINGS_MAX + 1};
    const struct takt_tuning *guitar = takt_tuning_find("guitar");
    const struct takt_strum_cfg wrong[] = {{.rate_hz = 48000},
                                           {.tuning = &none},
                                           {.tuning = &many},
                                           {.tuning = guitar, .rate_hz = 7999},
                                           {.tuning = guitar, .rate_hz = 192001},
                                           {.tuning = guitar, .a4_hz = 379},
                                           {.tuning = guitar, .a4_hz = (double)NAN},
                                           {.tuning = guitar, .clock_ppm = 1001},
                                           {.tuning = guitar, .clock_ppm = (double)NAN}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_strum *s = (struct takt_strum *)sound;
        struct takt_error e = {.code = TAKT_OK};
        CHECK_INT(takt_strum_create(&wrong[i], &s, &e), TAKT_ERR_ARG);
        CHECK(!s && *e.text);
    }
    takt_strum_destroy(NULL);
}

static void no_failing_create_leaks(void)
{
    struct takt_strum_cfg cfg = {.tuning = takt_tuning_find("guitar")};
    long before = fault_held();
    for (int n = 1;; n++) {
        struct takt_strum *s;
        fault_at(n);
        int err = takt_strum_create(&cfg, &s, NULL);
        bool happened = fault_happened();
        fault_at(0);
        if (!happened) {
            CHECK_INT(err, 0);
            takt_strum_destroy(s);
            break;
        }
        CHECK_INT(err, TAKT_ERR_NOMEM);
        CHECK(!s);
        CHECK_INT(fault_held(), before);
    }
    CHECK_INT(fault_held(), before);
}

int main(void)
{
    RUN(every_string_of_a_strum_is_told_within_a_cent);
    RUN(what_is_told_of_strings_in_octaves_is_true);
    RUN(what_is_told_of_strings_without_stretch_is_true);
    RUN(a_string_that_is_silent_is_not_told);
    RUN(a_string_by_itself_is_told_and_no_other);
    RUN(silence_and_hiss_are_no_strings);
    RUN(reference_and_clock_are_heeded);
    RUN(blocks_of_any_size_tell_the_same);
    RUN(a_new_strum_takes_the_place_of_the_last);
    RUN(settings_out_of_range_are_refused);
    RUN(no_failing_create_leaks);
    return tap_done();
}

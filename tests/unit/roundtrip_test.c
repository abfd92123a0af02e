/* What takt_roundtrip hears through paths that are made here, of any delay, gain and noise. */

#include "takt/roundtrip.h"

#include "base/random.h"
#include "fault.h"
#include "tap.h"

#include <math.h>

enum { ORDER_LEAST = 10, ORDER_MOST = 17, BLOCK_MAX = 1000, LENGTH_MAX = 5 << ORDER_MOST };

static struct takt_random chance = {1};

static double between(double low, double high)
{
    return low + (high - low) * takt_random_unit(&chance);
}

/* Of an RMS of 1: the sum of 12 uniform numbers is near enough to a Gaussian one. */
static double noise(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += takt_random_unit(&chance);
    return sum;
}

/* The way from the output to the input. */
struct path {
    uint32_t delay;
    double gain;
    uint32_t second_delay;
    double second_gain;
    double noise, late_noise; /* RMS; late_noise only after a period, with the sequence */
    double dc;
    double full_scale;   /* 0: none */
    uint32_t block;      /* 0: of any size */
    uint32_t lost_every; /* frames between two gaps; 0: none is lost */
};

static float played[LENGTH_MAX], heard[LENGTH_MAX];

static struct takt_roundtrip *open_roundtrip(uint32_t order)
{
    struct takt_roundtrip *r = NULL;
    takt_roundtrip_create(&(struct takt_roundtrip_cfg){.order = order}, &r, NULL);
    return r;
}

static double played_at(uint64_t at, uint32_t delay)
{
    return at >= delay ? (double)played[at - delay] : 0;
}

/* The output does not depend on the input, so it is known before: so even a delay of 0 is possible.
 * Returns false when the output is another than before. */
static bool go_through(struct takt_roundtrip *r, const struct path *p)
{
    static float nothing[BLOCK_MAX], out[BLOCK_MAX];
    uint64_t length = takt_roundtrip_length(r), begin = 12345;
    for (uint64_t at = 0; at < length; at += BLOCK_MAX) {
        size_t n = length - at < BLOCK_MAX ? (size_t)(length - at) : BLOCK_MAX;
        takt_roundtrip_process(r, at, nothing, played + at, n);
    }
    takt_roundtrip_restart(r);
    for (uint64_t at = 0; at < length; at++) {
        double x = p->gain * played_at(at, p->delay) + p->dc;
        if (p->second_gain != 0)
            x += p->second_gain * played_at(at, p->second_delay);
        if (p->noise > 0)
            x += p->noise * noise();
        if (p->late_noise > 0 && at >= takt_roundtrip_period(r))
            x += p->late_noise * noise();
        if (p->full_scale > 0)
            x = fmin(fmax(x, -p->full_scale), p->full_scale);
        heard[at] = (float)x;
    }
    uint64_t gap_at = p->lost_every;
    for (uint64_t at = 0; at < length;) {
        if (p->lost_every && at >= gap_at) {
            at += 64;
            gap_at += p->lost_every;
        }
        if (at >= length)
            at = length - 1;
        uint64_t n = p->block ? p->block : 1 + takt_random_below(&chance, BLOCK_MAX);
        n = n < length - at ? n : length - at;
        takt_roundtrip_process(r, begin + at, heard + at, out, n);
        if (memcmp(out, played + at, n * sizeof *out) != 0)
            return false;
        at += n;
    }
    return takt_roundtrip_done(r);
}

static struct takt_roundtrip_result measure(struct takt_roundtrip *r, const struct path *p)
{
    struct takt_roundtrip_result found = {.verdict = (enum takt_roundtrip_verdict) - 1};
    if (!takt_roundtrip_done(r) || takt_roundtrip_restart(r) == 0)
        if (go_through(r, p))
            takt_roundtrip_read(r, &found, NULL);
    return found;
}

/* ---- What is found --------------------------------------------------------------------------- */

static void every_delay_of_a_period_is_found(void)
{
    struct takt_roundtrip *r = open_roundtrip(ORDER_LEAST);
    CHECK(r);
    CHECK_INT(takt_roundtrip_period(r), 1023);
    for (uint32_t delay = 0; delay < 1023; delay++) {
        struct path p = {.delay = delay, .gain = delay % 2 ? -0.3 : 1};
        struct takt_roundtrip_result found = measure(r, &p);
        CHECK_INT(found.verdict, TAKT_ROUNDTRIP_MEASURED);
        CHECK_INT(found.frames, delay);
        CHECK_NEAR(found.fraction, 0, 1e-6);
        CHECK_NEAR(found.gain, p.gain, 1e-6);
        CHECK_NEAR(found.level_dbfs, -20 + 20 * log10(fabs(p.gain)), 1e-4);
        CHECK(found.snr_db > 120);
    }
    takt_roundtrip_destroy(r);
}

static void every_order_has_its_whole_period(void)
{
    for (uint32_t order = ORDER_LEAST; order <= ORDER_MOST; order++) {
        struct takt_roundtrip *r = open_roundtrip(order);
        CHECK(r);
        uint32_t period = takt_roundtrip_period(r);
        CHECK_INT(period, (1u << order) - 1);
        uint32_t delays[] = {0, 1, period / 3, (uint32_t)takt_random_below(&chance, period),
                             period - 1};
        for (int i = 0; i < 5; i++) {
            struct takt_roundtrip_result found =
                measure(r, &(struct path){.delay = delays[i], .gain = 0.5});
            CHECK_INT(found.verdict, TAKT_ROUNDTRIP_MEASURED);
            CHECK_INT(found.frames, delays[i]);
            /* A shorter period, or a wrong order of the bits, would leave much beside the peak. */
            CHECK(found.snr_db > 120 && found.second_db < -100);
        }
        double sum = 0;
        for (uint32_t i = 0; i < period; i++)
            sum += (double)played[period + i] / 0.1;
        CHECK_NEAR(sum, -1, 1e-3);
        takt_roundtrip_destroy(r);
    }
}

static void noise_of_any_path_moves_no_frame(void)
{
    struct takt_roundtrip *r = open_roundtrip(15);
    CHECK(r);
    for (int i = 0; i < 40; i++) {
        /* The noise is 20 dB below what comes back, up to 10 dB above it. */
        double gain = between(0.05, 2) * (i % 2 ? -1 : 1), noise_db = i < 20 ? -20 : 10;
        double rms = 0.1 * fabs(gain) * pow(10, noise_db / 20);
        struct path p = {.delay = (uint32_t)takt_random_below(&chance, 32767),
                         .gain = gain,
                         .noise = rms,
                         .dc = between(-0.2, 0.2),
                         .block = i % 3 ? 0 : 1 + (uint32_t)i * 7};
        struct takt_roundtrip_result found = measure(r, &p);
        CHECK_INT(found.verdict, TAKT_ROUNDTRIP_MEASURED);
        CHECK_INT(found.frames, p.delay);
        CHECK_NEAR(found.gain / gain, 1, noise_db < 0 ? 0.01 : 0.1);
        CHECK_NEAR(found.noise_dbfs, 20 * log10(rms), 0.2);
        /* 2^15 frames, three times over. */
        CHECK_NEAR(found.snr_db, -noise_db + 10 * log10(3 * 32767), 0.5);
        CHECK(fabs(found.fraction) < 0.1);
    }
    takt_roundtrip_destroy(r);
}

static void a_delay_between_two_frames_shows_in_the_fraction(void)
{
    struct takt_roundtrip *r = open_roundtrip(12);
    CHECK(r);
    struct takt_roundtrip_result found = measure(
        r, &(struct path){.delay = 100, .gain = 0.75, .second_delay = 101, .second_gain = 0.25});
    CHECK_INT(found.frames, 100);
    CHECK_NEAR(found.fraction, 0.1, 1e-4); /* of the parabola through 0, 0.75 and 0.25 */
    found = measure(
        r, &(struct path){.delay = 0, .gain = -0.75, .second_delay = 4094, .second_gain = -0.25});
    CHECK_INT(found.frames, 0);
    CHECK_NEAR(found.fraction, -0.1, 1e-4);
    takt_roundtrip_destroy(r);
}

static void a_second_way_back_is_told_of(void)
{
    struct takt_roundtrip *r = open_roundtrip(12);
    CHECK(r);
    struct takt_roundtrip_result found = measure(
        r, &(struct path){.delay = 700, .gain = 0.5, .second_delay = 300, .second_gain = -0.45});
    CHECK_INT(found.frames, 700);
    CHECK_INT(found.second_frames, 300);
    CHECK_NEAR(found.second_db, 20 * log10(0.9), 0.01);
    takt_roundtrip_destroy(r);
}

static void what_is_lost_on_both_ways_moves_no_frame(void)
{
    struct takt_roundtrip *r = open_roundtrip(13);
    CHECK(r);
    struct takt_roundtrip_result found =
        measure(r, &(struct path){.delay = 5000, .gain = 1, .lost_every = 4000, .block = 64});
    CHECK_INT(found.verdict, TAKT_ROUNDTRIP_MEASURED);
    CHECK_INT(found.frames, 5000);
    CHECK(found.lost_frames >= 640 && found.lost_frames <= 704);
    takt_roundtrip_destroy(r);
}

/* ---- What is not ----------------------------------------------------------------------------- */

static void silence_and_noise_are_no_measurement(void)
{
    static const struct path paths[] = {{.gain = 0},
                                        {.dc = 0.3},
                                        {.noise = 0.3},
                                        {.noise = 1e-6},
                                        {.gain = 1e-6, .delay = 9},
                                        {.late_noise = 0.3},
                                        {.late_noise = 1, .gain = 0.1, .delay = 9}};
    for (uint32_t order = ORDER_LEAST; order <= 13; order++) {
        struct takt_roundtrip *r = open_roundtrip(order);
        CHECK(r);
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
            for (int times = 0; times < 20; times++) {
                struct takt_roundtrip_result found = measure(r, &paths[i]);
                CHECK_INT(found.verdict, i < 5 ? TAKT_ROUNDTRIP_SILENCE : TAKT_ROUNDTRIP_NOISE);
                CHECK_INT(found.frames, 0);
                CHECK(found.second_db <= 0);
            }
        takt_roundtrip_destroy(r);
    }
}

static void longer_than_a_period_is_late_and_not_short(void)
{
    for (uint32_t order = ORDER_LEAST; order <= 15; order += 5) {
        struct takt_roundtrip *r = open_roundtrip(order);
        CHECK(r);
        uint32_t period = takt_roundtrip_period(r);
        uint32_t delays[] = {period, period + 1, period + 500, 2 * period - 1, 2 * period};
        for (int i = 0; i < 5; i++) {
            struct takt_roundtrip_result found =
                measure(r, &(struct path){.delay = delays[i], .gain = 1, .noise = 0.001});
            CHECK_INT(found.verdict, TAKT_ROUNDTRIP_LATE);
            CHECK_INT(found.frames, 0);
        }
        takt_roundtrip_destroy(r);
    }
}

static void clipping_is_counted_and_no_number_does_no_harm(void)
{
    struct takt_roundtrip *r = open_roundtrip(11);
    CHECK(r);
    struct takt_roundtrip_result found =
        measure(r, &(struct path){.delay = 40, .gain = 20, .full_scale = 1});
    CHECK_INT(found.frames, 40);
    CHECK_INT(found.clips, takt_roundtrip_length(r) - takt_roundtrip_period(r) - 40);
    takt_roundtrip_restart(r);
    float bad[] = {NAN, INFINITY, -INFINITY, 0.5f}, out[4];
    for (uint64_t at = 0; !takt_roundtrip_done(r); at += 4)
        takt_roundtrip_process(r, at, bad, out, 4);
    CHECK_INT(takt_roundtrip_read(r, &found, NULL), 0);
    CHECK(isfinite(found.gain) && isfinite(found.snr_db) && isfinite(found.fraction));
    takt_roundtrip_destroy(r);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void it_is_silent_before_and_after_and_can_be_read_twice(void)
{
    struct takt_roundtrip *r = open_roundtrip(10);
    struct takt_roundtrip_result one, other;
    struct takt_error e;
    float out[64];
    CHECK(r);
    CHECK_INT(takt_roundtrip_read(r, &one, &e), TAKT_ERR_STATE);
    CHECK(*e.text);
    CHECK_INT(takt_roundtrip_restart(r), TAKT_ERR_STATE);
    CHECK(go_through(r, &(struct path){.delay = 77, .gain = 1, .noise = 0.1}));
    for (uint64_t i = 0; i < takt_roundtrip_period(r); i++)
        CHECK(played[i] == 0.0f);
    memset(out, 1, sizeof out);
    takt_roundtrip_process(r, 1 << 20, heard, out, 64);
    for (int i = 0; i < 64; i++)
        CHECK(out[i] == 0.0f);
    CHECK_INT(takt_roundtrip_read(r, &one, NULL), 0);
    CHECK_INT(takt_roundtrip_read(r, &other, NULL), 0);
    CHECK(!memcmp(&one, &other, sizeof one));
    CHECK_INT(one.frames, 77);
    takt_roundtrip_destroy(r);
    takt_roundtrip_destroy(NULL);
}

static void verdicts_have_names(void)
{
    CHECK(!strcmp(takt_roundtrip_verdict_name(TAKT_ROUNDTRIP_MEASURED), "measured"));
    CHECK(!strcmp(takt_roundtrip_verdict_name(TAKT_ROUNDTRIP_LATE), "late"));
    CHECK(takt_roundtrip_verdict_name((enum takt_roundtrip_verdict)99));
}

static void create_refuses_what_cannot_be(void)
{
    static const struct takt_roundtrip_cfg wrong[] = {
        {.order = 9},        {.order = 18},        {.periods = 65},
        {.level_dbfs = 0.1}, {.level_dbfs = -101}, {.level_dbfs = (double)NAN}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_roundtrip *r = (struct takt_roundtrip *)1;
        struct takt_error e;
        CHECK_INT(takt_roundtrip_create(&wrong[i], &r, &e), TAKT_ERR_ARG);
        CHECK(!r && *e.text);
    }
}

static void create_survives_any_failing_request(void)
{
    for (int n = 1;; n++) {
        struct takt_roundtrip *r;
        struct takt_error e;
        long before = fault_held();
        fault_at(n);
        int err = takt_roundtrip_create(&(struct takt_roundtrip_cfg){0}, &r, &e);
        bool happened = fault_happened();
        fault_at(0);
        CHECK_INT(err, happened ? TAKT_ERR_NOMEM : 0);
        CHECK(happened == !r);
        takt_roundtrip_destroy(r);
        CHECK_INT(fault_held(), before);
        if (!happened) {
            CHECK_INT(n, 7); /* itself and five arrays before */
            return;
        }
    }
}

int main(void)
{
    RUN(every_delay_of_a_period_is_found);
    RUN(every_order_has_its_whole_period);
    RUN(noise_of_any_path_moves_no_frame);
    RUN(a_delay_between_two_frames_shows_in_the_fraction);
    RUN(a_second_way_back_is_told_of);
    RUN(what_is_lost_on_both_ways_moves_no_frame);
    RUN(silence_and_noise_are_no_measurement);
    RUN(longer_than_a_period_is_late_and_not_short);
    RUN(clipping_is_counted_and_no_number_does_no_harm);
    RUN(it_is_silent_before_and_after_and_can_be_read_twice);
    RUN(verdicts_have_names);
    RUN(create_refuses_what_cannot_be);
    RUN(create_survives_any_failing_request);
    return tap_done();
}

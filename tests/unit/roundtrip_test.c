#include "base/random.h"
#include "fault.h"
#include "takt/roundtrip.h"
#include "tap.h"

#include <math.h>
#include <string.h>

enum { PATH_MAX_FRAMES = 1 << 12, BLOCK_MAX = 700 };

/* A way from the output back into the input. */
struct path {
    uint32_t delay; /* at least one block: a loop within a block would not be one */
    float gain;
    uint32_t echo_delay;
    float echo_gain;
    float noise;
    float line[PATH_MAX_FRAMES];
    uint64_t at;
    struct takt_random random;
};

static float come_back(struct path *p, uint32_t after)
{
    return p->at >= after ? p->line[(p->at - after) % PATH_MAX_FRAMES] : 0;
}

/* One block: what was sent before comes in, and what goes out is kept. */
static void block(struct takt_roundtrip *r, struct path *p, uint32_t frames, uint64_t lost)
{
    static float in[BLOCK_MAX], out[BLOCK_MAX];
    for (uint32_t i = 0; i < frames; i++, p->at++) {
        double noise = takt_random_unit(&p->random) * 2 - 1;
        in[i] = p->gain * come_back(p, p->delay) + p->noise * (float)noise;
        if (p->echo_delay)
            in[i] += p->echo_gain * come_back(p, p->echo_delay);
    }
    p->at -= frames;
    takt_roundtrip_process(r, in, out, frames, lost);
    for (uint32_t i = 0; i < frames; i++, p->at++)
        p->line[p->at % PATH_MAX_FRAMES] = out[i];
}

static int measure(const struct takt_roundtrip_cfg *cfg, struct path *p,
                   struct takt_roundtrip_found *found, uint64_t *took)
{
    struct takt_roundtrip *r;
    uint64_t frames = 0;
    memset(p->line, 0, sizeof p->line);
    p->at = 0;
    p->random = takt_random_seed(p->delay + 1);
    if (takt_roundtrip_create(cfg, &r, NULL) < 0)
        return -100;
    for (uint64_t most = 2 * takt_roundtrip_length_frames(r);
         !takt_roundtrip_done(r) && frames < most;) {
        uint32_t n = 1 + (uint32_t)takt_random_below(&p->random,
                                                     p->delay < BLOCK_MAX ? p->delay : BLOCK_MAX);
        block(r, p, n, 0);
        frames += n;
    }
    int err = takt_roundtrip_analyse(r, found, NULL);
    if (took)
        *took = frames - takt_roundtrip_length_frames(r);
    takt_roundtrip_destroy(r);
    return err;
}

static void every_order_hears_every_shift_once(void)
{
    for (int order = 10; order <= 20; order++) {
        struct takt_roundtrip_found found;
        struct path p = {.delay = 977, .gain = 0.5f};
        uint64_t over;
        CHECK_INT(
            measure(&(struct takt_roundtrip_cfg){.order = order, .periods = 1}, &p, &found, &over),
            0);
        CHECK_INT(found.delay_frames, 977);
        CHECK_NEAR(found.gain_db, 20 * log10(0.5), 0.01);
        /* A sequence of any shorter period would be found at more than one shift. */
        CHECK(found.echo_db < -50);
        CHECK(over < BLOCK_MAX);
    }
}

static void any_delay_gain_sign_and_split_is_found_to_the_frame(void)
{
    struct takt_random random = takt_random_seed(11);
    for (int turn = 0; turn < 300; turn++) {
        struct takt_roundtrip_found found;
        struct path p = {.delay = 1 + (uint32_t)takt_random_below(&random, 1022)};
        p.gain = (float)pow(10, -3 * takt_random_unit(&random)) * (turn % 2 ? -1.0f : 1.0f);
        CHECK_INT(measure(&(struct takt_roundtrip_cfg){.order = 10}, &p, &found, NULL), 0);
        CHECK_INT(found.delay_frames, p.delay);
        CHECK_INT(found.is_inverted, turn % 2);
        CHECK_NEAR(found.gain_db, 20 * log10(fabs((double)p.gain)), 0.05);
        CHECK_NEAR(found.fraction, 0, 0.01);
        CHECK_INT((int)found.clips, 0);
    }
}

/* The noise is 20 dB above what came back. */
static void it_is_found_below_the_noise(void)
{
    for (uint32_t delay = 100; delay < 4000; delay += 371) {
        struct takt_roundtrip_found found;
        struct path p = {.delay = delay, .gain = 0.04f, .noise = 0.1732f};
        CHECK_INT(
            measure(&(struct takt_roundtrip_cfg){.order = 16, .periods = 2}, &p, &found, NULL), 0);
        CHECK_INT(found.delay_frames, delay);
        CHECK(found.clarity_db > 20 && found.clarity_db < 60);
    }
}

static void noise_and_silence_are_nothing_that_came_back(void)
{
    static const float noises[] = {0, 1e-6f, 0.1f, 1.0f};
    for (int k = 0; k < 4; k++)
        for (uint32_t seed = 1; seed <= 40; seed++) {
            struct takt_roundtrip_found found;
            struct path p = {.delay = seed * 7, .noise = noises[k]};
            CHECK_INT(measure(&(struct takt_roundtrip_cfg){.order = 12}, &p, &found, NULL),
                      TAKT_ERR_NOT_FOUND);
        }
}

static void an_echo_is_told_and_the_stronger_way_counts(void)
{
    struct takt_roundtrip_found found;
    struct path p = {.delay = 300, .gain = 0.3f, .echo_delay = 1200, .echo_gain = 0.15f};
    CHECK_INT(measure(&(struct takt_roundtrip_cfg){.order = 14}, &p, &found, NULL), 0);
    CHECK_INT(found.delay_frames, 300);
    CHECK_INT(found.echo_frames, 1200);
    CHECK_NEAR(found.echo_db, -6.02, 0.05);
}

static void frames_that_were_lost_begin_it_anew(void)
{
    struct takt_roundtrip *r;
    struct takt_roundtrip_found found;
    struct path p = {.delay = 500, .gain = 1, .random = {3}};
    CHECK_INT(takt_roundtrip_create(&(struct takt_roundtrip_cfg){.order = 12}, &r, NULL), 0);
    for (int i = 0; i < 50; i++)
        block(r, &p, 200, 0);
    p.at += 333; /* the way back goes on meanwhile */
    block(r, &p, 200, 333);
    CHECK(!takt_roundtrip_done(r));
    CHECK_INT(takt_roundtrip_analyse(r, &found, NULL), TAKT_ERR_STATE);
    while (!takt_roundtrip_done(r))
        block(r, &p, 200, 0);
    CHECK_INT(takt_roundtrip_analyse(r, &found, NULL), 0);
    CHECK_INT(found.delay_frames, 500);
    CHECK_INT(found.restarts, 1);
    CHECK(found.clarity_db > 60);
    takt_roundtrip_destroy(r);
}

static void full_scale_and_what_is_no_number_are_counted_or_silence(void)
{
    struct takt_roundtrip *r;
    struct takt_roundtrip_found found;
    static float in[BLOCK_MAX], out[BLOCK_MAX];
    CHECK_INT(takt_roundtrip_create(&(struct takt_roundtrip_cfg){.order = 10}, &r, NULL), 0);
    for (int i = 0; i < BLOCK_MAX; i++)
        in[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : 1;
    while (!takt_roundtrip_done(r))
        takt_roundtrip_process(r, in, out, BLOCK_MAX, 0);
    CHECK_INT(takt_roundtrip_analyse(r, &found, NULL), TAKT_ERR_NOT_FOUND);
    CHECK(isfinite(found.clarity_db) && isfinite(found.gain_db) && found.clips > 1000);
    takt_roundtrip_destroy(r);
}

static void settings_out_of_range_are_refused(void)
{
    static const struct takt_roundtrip_cfg bad[] = {
        {.order = 9},     {.order = 21},    {.periods = -1},       {.periods = 1001},
        {.level = 1.001}, {.level = -0.01}, {.level = (double)NAN}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_roundtrip *r;
        struct takt_error e = {0};
        CHECK_INT(takt_roundtrip_create(&bad[i], &r, &e), TAKT_ERR_ARG);
        CHECK(!r && *e.text);
    }
}

static void every_failing_request_is_survived(void)
{
    for (int n = 1;; n++) {
        struct takt_roundtrip *r;
        struct takt_error e = {0};
        long before = fault_held();
        fault_at(n);
        int err = takt_roundtrip_create(&(struct takt_roundtrip_cfg){.order = 10}, &r, &e);
        bool happened = fault_happened();
        fault_at(0);
        CHECK_INT(err, happened ? TAKT_ERR_NOMEM : 0);
        takt_roundtrip_destroy(r);
        CHECK_INT(fault_held(), before);
        if (!happened) {
            CHECK(n == 4);
            return;
        }
    }
}

int main(void)
{
    RUN(every_order_hears_every_shift_once);
    RUN(any_delay_gain_sign_and_split_is_found_to_the_frame);
    RUN(it_is_found_below_the_noise);
    RUN(noise_and_silence_are_nothing_that_came_back);
    RUN(an_echo_is_told_and_the_stronger_way_counts);
    RUN(frames_that_were_lost_begin_it_anew);
    RUN(full_scale_and_what_is_no_number_are_counted_or_silence);
    RUN(settings_out_of_range_are_refused);
    RUN(every_failing_request_is_survived);
    return tap_done();
}

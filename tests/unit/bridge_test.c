/* An input with a clock of its own, on the simulated device and in virtual time. */
#include "base/random.h"
#include "takt/contract.h"
#include "takt/guard.h"
#include "takt/stream.h"
#include "takt/time.h"
#include "tap.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static int run(const struct takt_stream_cfg *cfg, struct takt_stream_actual *actual,
               int *lost_and_back)
{
    struct takt_stream *s;
    struct takt_error e;
    int err = takt_stream_create(cfg, &s, &e);
    if (err < 0) {
        printf("# %s\n", e.text);
        return err;
    }
    if ((err = takt_stream_start(s)) >= 0)
        err = takt_stream_wait(s, 100000);
    takt_stream_actual(s, actual);
    if (lost_and_back) {
        lost_and_back[0] = (int)takt_stream_event_count(s, TAKT_EVENT_DEVICE_LOST);
        lost_and_back[1] = (int)takt_stream_event_count(s, TAKT_EVENT_DEVICE_BACK);
    }
    takt_stream_destroy(s);
    return err;
}

/* ---- No glitch --------------------------------------------------------------------------------
 */

/* Three frames of a sine in a row say what the next has to be, whatever its phase: a frame too few
 * or too many, a fade or a silence leave more than this. */
static const double glitch = 1e-4;

struct ear {
    double twice_cos, before[2], worst;
    uint64_t from, heard;
};

static enum takt_next listen(const struct takt_block *b, void *arg)
{
    struct ear *ear = arg;
    for (uint32_t i = 0; i < b->frames; i++) {
        double x = (double)b->in[0][i];
        double off = fabs(x - ear->twice_cos * ear->before[0] + ear->before[1]);
        if (b->position + i >= ear->from) {
            ear->worst = off > ear->worst ? off : ear->worst;
            ear->heard++;
        }
        ear->before[1] = ear->before[0];
        ear->before[0] = x;
    }
    return TAKT_CONTINUE;
}

/* hz by a device that is `ppm` fast, in frames of a stream that is `own_ppm` fast. */
static struct ear ear_for(double hz, double ppm, double own_ppm)
{
    double w = 2 * pi * hz / 48000 * (1 + ppm * 1e-6) / (1 + own_ppm * 1e-6);
    return (struct ear){.twice_cos = 2 * cos(w), .from = 48000 / 2};
}

static void tone_through_two_clocks(double ppm, double own_ppm, const char *more,
                                    const char *own_more, uint32_t block, uint64_t seconds)
{
    char in[64], out[64];
    struct takt_stream_actual a;
    struct ear ear = ear_for(1000, ppm, own_ppm);
    snprintf(in, sizeof in, "sim:tone,ppm=%g%s", ppm, more);
    snprintf(out, sizeof out, "sim:,ppm=%g%s", own_ppm, own_more);
    CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = in, .channels = 1},
                                            .out = {.device = out, .channels = 1},
                                            .block_frames = block,
                                            .length_frames = seconds * 48000,
                                            .clock = TAKT_CLOCK_VIRTUAL,
                                            .process = listen,
                                            .arg = &ear},
                  &a, NULL),
              0);
    if (a.bridge_gaps || ear.worst >= glitch)
        printf("# %s -> %s, blocks of %u: %g, %d gaps\n", in, out, block, ear.worst,
               (int)a.bridge_gaps);
    CHECK_INT(a.bridge_gaps, 0);
    CHECK(ear.heard >= seconds * 48000 - ear.from); /* and what is left of the last block */
    CHECK(ear.worst < glitch);
    CHECK_NEAR(a.bridge_drift_ppm, ((1 + ppm * 1e-6) / (1 + own_ppm * 1e-6) - 1) * 1e6,
               seconds < 60 ? 100 : 3); /* the loop is slow */
}

static void an_hour_500_ppm_apart_has_no_glitch(void)
{
    tone_through_two_clocks(500, 0, "", "", 256, 3600);
    tone_through_two_clocks(-500, 0, "", "", 256, 3600);
}

static void any_drift_block_and_host_block_has_no_glitch(void)
{
    static const char *const more[] = {"", ",host=32", ",host=1000", ",host=64,vary"};
    static const uint32_t blocks[] = {0, 1, 64, 100, 1024};
    static const double ppms[] = {-500, -300, -10, 40, 300, 500};
    struct takt_random r = takt_random_seed(3);
    for (int i = 0; i < ROUNDS(30); i++)
        tone_through_two_clocks(ppms[takt_random_below(&r, 6)], ppms[takt_random_below(&r, 6)],
                                more[takt_random_below(&r, 4)], more[takt_random_below(&r, 4)],
                                blocks[takt_random_below(&r, 5)], 15);
}

static void late_wakes_on_both_sides_are_no_glitch(void)
{
    tone_through_two_clocks(500, -500, ",jitter=30us", ",jitter=30us", 256, 60);
    tone_through_two_clocks(-200, 100, ",jitter=30us", "", 512, 60);
}

/* ---- Where a sound is -------------------------------------------------------------------------
 */

enum { CLICKS_HZ = 4, CLICKS_MAX = 64 };

struct clicks {
    double at_ns[CLICKS_MAX]; /* when they were at the converter, by the stream's word */
    int count;
    double before, peak, after;
    double peak_ns;
};

/* A click is a frame long where it is made; resampled, its middle is between frames. */
static enum takt_next find_clicks(const struct takt_block *b, void *arg)
{
    struct clicks *k = arg;
    for (uint32_t i = 0; i < b->frames; i++) {
        double x = (double)b->in[0][i];
        if (x > 0.25 && x > k->before) {
            k->peak = x;
            k->peak_ns = (double)b->in_first_ns + i * 1e9 / 48000;
        } else if (k->peak > 0 && k->count < CLICKS_MAX) {
            k->at_ns[k->count++] = k->peak_ns;
            k->peak = 0;
        }
        k->before = x;
    }
    return TAKT_CONTINUE;
}

static void time_of_capture_is_true_to_a_frame(void)
{
    static const double ppms[] = {-500, 0.001, 300};
    static const uint32_t blocks[] = {0, 64, 100, 1024};
    for (int p = 0; p < 3; p++)
        for (int n = 0; n < ROUNDS(4); n++) {
            char in[64];
            struct takt_stream_actual a;
            struct clicks k = {.count = 0};
            snprintf(in, sizeof in, "sim:clicks=%d,ppm=%g", CLICKS_HZ, ppms[p]);
            CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = in, .channels = 1},
                                                    .out = {.device = "sim:,ppm=0", .channels = 1},
                                                    .block_frames = blocks[n],
                                                    .length_frames = 12 * 48000,
                                                    .clock = TAKT_CLOCK_VIRTUAL,
                                                    .process = find_clicks,
                                                    .arg = &k},
                          &a, NULL),
                      0);
            CHECK(a.bridge_frames > 0 && k.count > 40);
            /* The device's first frame is at the converter when its clock begins. */
            struct clicks direct = {.count = 0};
            struct takt_stream_actual alone;
            CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = in, .channels = 1},
                                                    .length_frames = 13 * 48000,
                                                    .clock = TAKT_CLOCK_VIRTUAL,
                                                    .process = find_clicks,
                                                    .arg = &direct},
                          &alone, NULL),
                      0);
            CHECK(alone.bridge_frames == 0 && direct.count >= k.count);
            for (int i = 8; i < k.count; i++) { /* the drift is known by then */
                double off = (double)INFINITY;
                for (int j = 0; j < direct.count; j++)
                    off = fmin(off, fabs(k.at_ns[i] - direct.at_ns[j]));
                CHECK_NEAR(off, 0, 1.5e9 / 48000);
            }
        }
}

/* ---- Loss and return --------------------------------------------------------------------------
 */

struct level {
    double sum[16]; /* of squares, each second */
};

static enum takt_next measure(const struct takt_block *b, void *arg)
{
    struct level *l = arg;
    for (uint32_t i = 0; i < b->frames; i++)
        l->sum[(b->position + i) / 48000] += (double)b->in[0][i] * (double)b->in[0][i] / 48000;
    return TAKT_CONTINUE;
}

static void device_away_is_silence_and_the_stream_goes_on(void)
{
    struct takt_stream_actual a;
    struct level l = {{0}};
    int events[2];
    CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = "sim:tone,ppm=200,vanish=3s+2s"},
                                            .out = {.device = "sim:,ppm=0"},
                                            .length_frames = 10 * 48000,
                                            .clock = TAKT_CLOCK_VIRTUAL,
                                            .process = measure,
                                            .arg = &l},
                  &a, events),
              0);
    CHECK(a.bridge_frames > 0);
    CHECK_INT(events[0], 1);
    CHECK_INT(events[1], 1);
    for (int second = 1; second < 10; second++)
        if (second != 3 && second != 5) /* the edges */
            CHECK_NEAR(l.sum[second], second == 4 ? 0 : 0.125, 1e-3);
}

/* Seconds of full tone in what was measured. */
static int seconds_of_tone(const struct level *l, int from, int to)
{
    int n = 0;
    for (int second = from; second < to; second++)
        n += fabs(l->sum[second] - 0.125) < 1e-3;
    return n;
}

static void output_away_for_any_time_gets_its_sound_back(void)
{
    static const double away_s[] = {0.05, 0.3, 0.5, 0.7, 1, 2.5};
    static const char *const drifts[] = {"ppm=-500", "ppm=300", "ppm=500,host=1000"};
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < ROUNDS(3); k++) {
            struct takt_stream_actual a;
            struct level l = {{0}};
            int events[2];
            char in[64], out[64];
            snprintf(in, sizeof in, "sim:tone,%s", drifts[k]);
            snprintf(out, sizeof out, "sim:,ppm=0,vanish=3s+%gs", away_s[i]);
            CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = in},
                                                    .out = {.device = out},
                                                    .length_frames = 10 * 48000,
                                                    .clock = TAKT_CLOCK_VIRTUAL,
                                                    .process = measure,
                                                    .arg = &l},
                          &a, events),
                      0);
            CHECK(a.bridge_frames > 0);
            CHECK_INT(events[0], 1);
            CHECK_INT(events[1], 1);
            CHECK_INT(seconds_of_tone(&l, 7, 10), 3);
        }
}

struct sleeper {
    struct level level;
    bool has_slept;
};

static enum takt_next sleep_once(const struct takt_block *b, void *arg)
{
    struct sleeper *s = arg;
    if (b->position > 48000 && !s->has_slept) {
        s->has_slept = true;
        takt_guard_allow();
        takt_sleep_ms(1500);
        takt_guard_forbid();
    }
    return measure(b, &s->level);
}

/* The queue overflows before anybody can be told that time was lost. */
static void stall_longer_than_the_queue_is_one_gap(void)
{
    struct takt_stream_actual a;
    struct sleeper s = {.has_slept = false};
    CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = "sim:tone,ppm=200"},
                                            .out = {.device = "sim:,ppm=0"},
                                            .length_frames = 5 * 48000,
                                            .process = sleep_once,
                                            .arg = &s},
                  &a, NULL),
              0);
    CHECK(s.has_slept && a.bridge_frames > 0);
    CHECK(s.level.sum[4] > 0.1); /* the machine's own stalls may cost some of it */
}

int main(void)
{
    RUN(any_drift_block_and_host_block_has_no_glitch);
    RUN(late_wakes_on_both_sides_are_no_glitch);
    RUN_UNLESS_SANITIZED(an_hour_500_ppm_apart_has_no_glitch);
    RUN(time_of_capture_is_true_to_a_frame);
    RUN(device_away_is_silence_and_the_stream_goes_on);
    RUN(output_away_for_any_time_gets_its_sound_back);
    RUN(stall_longer_than_the_queue_is_one_gap);
    return tap_done();
}

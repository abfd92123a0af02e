/* How a stream bears what goes wrong: gaps that fade, and a callback that is bypassed. */
#include "base/random.h"
#include "fake_device.h"
#include "fault.h"
#include "stream/bypass.h"
#include "stream/soften.h"
#include "takt/chain.h"
#include "takt/contract.h"
#include "tap.h"

#include <math.h>

enum { RATE = 48000 };
static const double pi = 3.14159265358979323846, amplitude = 0.5, tone_hz = 100;
static uint32_t tone_rate_hz = RATE;

static float tone(uint64_t frame, uint32_t channel)
{
    double phase = 2 * pi * tone_hz * (double)frame / tone_rate_hz;
    return (float)(amplitude * sin(phase)) * (channel ? -1 : 1); /* begins at 0: no step there */
}

/* The most that the tone itself changes by from one frame to the next. */
static double tone_step(void)
{
    return 2 * amplitude * sin(pi * tone_hz / tone_rate_hz);
}

/* What a fade adds to that: a seam changes by at most twice the amplitude, times the ramp's
 * steepest step; at an xrun those of the input and of the output coincide. */
static double steepest(double fade_ms)
{
    uint32_t n = (uint32_t)(fade_ms * tone_rate_hz / 1000);
    return tone_step() + 3 * amplitude * pi / 2 / ((n ? n : 1) + 1) + 1e-6;
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fault_now(ENOMEM) ? NULL : fault_block(__real_strdup(text));
}

static enum takt_next copy(const struct takt_block *b, void *arg)
{
    for (uint32_t c = 0; c < b->out_channels; c++)
        memcpy(b->out[c], b->in[c % b->in_channels], b->frames * sizeof(float));
    return TAKT_CONTINUE;
}

static struct takt_stream *stream;

/* Runs it to its end and leaves it there. */
static int run(const struct takt_stream_cfg *cfg)
{
    struct takt_error e;
    takt_stream_destroy(stream);
    fake_out_frames = 0;
    int err = takt_stream_create(cfg, &stream, &e);
    if (err >= 0)
        err = takt_stream_start(stream);
    else
        printf("# %s\n", e.text);
    return err < 0 ? err : takt_stream_wait(stream, 20000);
}

static struct takt_health health(void)
{
    struct takt_health h;
    takt_stream_health(stream, &h);
    return h;
}

/* The largest step in what is heard, up to the silence after the end; `recorded`: by a file, that
 * knows nothing of the device. */
static double largest_step(bool recorded, uint64_t *where)
{
    double most = 0;
    for (uint32_t c = 0; c < 2; c++)
        for (uint64_t i = 1; i < fake_out_frames; i++) {
            int fate = recorded ? FAKE_HEARD : fake_fate[i];
            double before = fate == FAKE_AFTER_SILENCE ? 0 : (double)fake_out[c][i - 1];
            double step = fate == FAKE_UNHEARD ? 0 : fabs((double)fake_out[c][i] - before);
            if (step > most)
                *where = i;
            most = step > most ? step : most;
        }
    for (uint32_t c = 0; c < 2 && !recorded && fake_fate[fake_out_frames - 1] == FAKE_HEARD; c++) {
        double step = fabs((double)fake_out[c][fake_out_frames - 1]);
        *where = step > most ? fake_out_frames : *where;
        most = step > most ? step : most;
    }
    return most;
}

/* ---- The seam ------------------------------------------------------------------------------- */

static void ramp_rises_by_no_more_than_it_says(void)
{
    static float ramp[19200];
    for (uint32_t n = 1; n <= 19200; n = n * 3 / 2 + 1) {
        takt_soften_ramp(ramp, n);
        for (uint32_t i = 0; i < n; i++) {
            float before = i ? ramp[i - 1] : 0;
            CHECK(ramp[i] > 0 && ramp[i] <= 1 && ramp[i] >= before);
            CHECK((double)(ramp[i] - before) <= pi / 2 / (n + 1) + 1e-7);
        }
    }
}

static void seam_is_the_same_however_the_sound_is_cut_up(void)
{
    struct takt_random r = takt_random_seed(3);
    enum { FRAMES = 400 };
    static float ramp[100], whole[FRAMES], cut[FRAMES];
    for (int turn = 0; turn < 300; turn++) {
        uint32_t n = 1 + (uint32_t)takt_random_below(&r, 100);
        uint32_t seam_at = (uint32_t)takt_random_below(&r, FRAMES);
        bool rises = takt_random_below(&r, 2);
        takt_soften_ramp(ramp, n);
        for (int i = 0; i < FRAMES; i++)
            whole[i] = cut[i] = (float)takt_random_unit(&r) - 0.5f;
        float held = rises || !seam_at ? 0 : whole[seam_at - 1];
        for (uint32_t i = seam_at; i < FRAMES && i < seam_at + n; i++)
            whole[i] = ramp[i - seam_at] * whole[i] + (1 - ramp[i - seam_at]) * held;
        struct takt_soften s;
        takt_soften_init(&s, ramp, n, 1);
        for (uint32_t at = 0; at < FRAMES;) {
            uint32_t end = at < seam_at ? seam_at : FRAMES;
            uint32_t frames = 1 + (uint32_t)takt_random_below(&r, end - at);
            if (at == seam_at)
                (rises ? takt_soften_rise : takt_soften_join)(&s);
            takt_soften_run(&s, &(float *){cut}, at, frames);
            at += frames;
        }
        CHECK(!memcmp(whole, cut, sizeof cut));
    }
}

static void nan_of_a_callback_does_not_outlive_it(void)
{
    float ramp[4], x[8] = {0, 0, 0, NAN, 1, 1, 1, 1};
    struct takt_soften s;
    takt_soften_ramp(ramp, 4);
    takt_soften_init(&s, ramp, 4, 1);
    takt_soften_run(&s, &(float *){x}, 0, 4);
    takt_soften_join(&s);
    takt_soften_run(&s, &(float *){x}, 4, 4);
    for (int i = 4; i < 8; i++)
        CHECK(x[i] > 0 && x[i] < 1);
}

/* ---- Gaps ----------------------------------------------------------------------------------- */

static uint64_t next_position, lost_said;
static bool jumped;

static enum takt_next copy_and_check(const struct takt_block *b, void *arg)
{
    jumped |= b->position != next_position + b->lost_frames;
    next_position = b->position + b->frames;
    lost_said += b->lost_frames;
    return copy(b, arg);
}

static enum takt_next copy_and_abort(const struct takt_block *b, void *arg)
{
    copy(b, arg);
    return b->position > 3000 ? TAKT_ABORT : TAKT_CONTINUE;
}

static void no_pattern_of_trouble_makes_a_step(void)
{
    struct takt_random r = takt_random_seed(11);
    const uint32_t rates[] = {8000, 44100, 48000, 96000};
    const double fades[] = {0, 0.5, 1, 10, 50};
    uint64_t fades_seen = 0;
    for (int turn = 0; turn < 400; turn++) {
        double fade_ms = fades[takt_random_below(&r, 5)];
        bool from_port = takt_random_below(&r, 2), to_port = takt_random_below(&r, 3) == 0;
        tone_rate_hz = rates[takt_random_below(&r, 4)];
        script = (struct fake_script){.host_frames = 1 + (uint32_t)takt_random_below(&r, 128),
                                      .varies = takt_random_below(&r, 2),
                                      .host_changes = takt_random_below(&r, 2),
                                      .ports_keep_time = takt_random_below(&r, 2),
                                      .latency_out = (uint32_t)takt_random_below(&r, 100),
                                      .trouble = 5 + (uint32_t)takt_random_below(&r, 60),
                                      .sample = tone};
        fake_chance = (unsigned)turn;
        next_position = 0;
        jumped = false;
        bool aborts = takt_random_below(&r, 3) == 0;
        struct takt_stream_cfg cfg = {
            .in = {.device = from_port ? "port:100000" : "fake:", .channels = 2},
            .out = {.device = to_port ? "port:0" : "fake:", .channels = 2},
            .rate_hz = tone_rate_hz,
            .block_frames = (uint32_t)takt_random_below(&r, 200),
            .length_frames = 12000,
            .fade_ms = fade_ms,
            .process = aborts ? copy_and_abort : copy_and_check,
        };
        CHECK_INT(run(&cfg), 0);
        CHECK(!jumped);
        uint64_t where = 0;
        double most = largest_step(to_port, &where), limit = steepest(fade_ms > 0 ? fade_ms : 2);
        /* A recording has its end where the stream has it, and what a device lost is not in it. */
        if (most > limit)
            printf("# turn %d: %g, not %g, at %llu of %llu; fade %g ms, host %u, block %u%s%s\n",
                   turn, most, limit, (unsigned long long)where,
                   (unsigned long long)fake_out_frames, fade_ms, script.host_frames,
                   cfg.block_frames, from_port ? ", from port" : "", to_port ? ", to port" : "");
        CHECK(most <= limit);
        fades_seen += health().fades;
    }
    CHECK(fades_seen > 1000);
    tone_rate_hz = RATE;
}

static enum takt_next fill_with_patterns(const struct takt_block *b, void *arg)
{
    for (uint32_t i = 0; i < b->frames; i++) {
        uint32_t bits = (uint32_t)(b->position + i) * 2654435761u; /* NaN, infinity and all */
        memcpy(&b->out[0][i], &bits, sizeof bits);
    }
    return TAKT_CONTINUE;
}

static void without_a_glitch_every_bit_is_as_it_was(void)
{
    for (uint32_t n = 0; n < 90; n += 15)
        for (int bypass = 0; bypass < 2; bypass++) {
            script = (struct fake_script){.host_frames = 30, .varies = n & 1};
            CHECK_INT(run(&(struct takt_stream_cfg){.out = {.device = "fake:", .channels = 1},
                                                    .block_frames = n,
                                                    .length_frames = 5000,
                                                    .bypass.mode = bypass ? TAKT_BYPASS_SILENCE
                                                                          : TAKT_BYPASS_OFF,
                                                    .process = fill_with_patterns}),
                      0);
            for (uint32_t i = 0; i < 5000; i++) {
                uint32_t bits = i * 2654435761u;
                CHECK(!memcmp(&fake_out[0][i], &bits, sizeof bits));
            }
            CHECK_INT(health().fades, 0);
            CHECK_INT(health().bypasses, 0);
        }
}

static void gap_is_silence_behind_the_fade_and_sound_again_after_it(void)
{
    enum { FADE = 48, H = 64 };
    script = (struct fake_script){.host_frames = H, .away_from = 10, .away_to = 20, .sample = tone};
    CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 1},
                                            .out = {.device = "fake:"},
                                            .rate_hz = RATE,
                                            .fade_ms = 1,
                                            .length_frames = 40 * H,
                                            .process = copy}),
              0);
    for (int i = 0; i < 10 * H; i++)
        CHECK(fake_out[0][i] == tone((uint64_t)i, 0));
    CHECK(fake_out[0][10 * H] != 0);
    for (int i = 10 * H + FADE; i < 20 * H; i++)
        CHECK(fake_out[0][i] == 0);
    for (int i = 20 * H + FADE; i < 40 * H; i++)
        CHECK(fake_out[0][i] == tone((uint64_t)i, 0));
    CHECK(fake_out_frames > 40 * H + FADE);
    for (uint64_t i = 40 * H + FADE; i < fake_out_frames; i++)
        CHECK(fake_out[0][i] == 0);
    CHECK_INT(health().fades, 2);
}

static enum takt_next hold_one(const struct takt_block *b, void *arg)
{
    for (uint32_t i = 0; i < b->frames; i++)
        b->out[0][i] = 1;
    return TAKT_CONTINUE;
}

static void output_that_does_not_hang_on_its_input_is_not_touched_by_starvation(void)
{
    script = (struct fake_script){.host_frames = 32, .short_at = 5, .sample = tone};
    CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = "port:3200", .channels = 1},
                                            .out = {.device = "fake:", .channels = 1},
                                            .process = hold_one}),
              0);
    for (int i = 0; i < 3200; i++)
        CHECK(fake_out[0][i] == 1);
    CHECK_INT(health().fades, 1);
}

static void input_can_be_left_as_it_is(void)
{
    script = (struct fake_script){.host_frames = 32, .short_at = 5};
    CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = "port:3200", .channels = 1},
                                            .out = {.device = "port:0"},
                                            .fade_input_off = true,
                                            .process = copy}),
              0);
    CHECK_INT(fake_out_frames, 3232);
    for (uint64_t i = 0; i < 3232; i++)
        CHECK(fake_out[0][i] == (i < 128   ? fake_sample(i, 0)
                                 : i < 160 ? 0
                                           : fake_sample(i - 32, 0)));
}

/* A writer that is too late again and again. */
static void blocking_write_that_comes_late_makes_no_step(void)
{
    struct takt_error e;
    struct takt_random r = takt_random_seed(6);
    static float planes[2][3000];
    script = (struct fake_script){.host_frames = 32, .pause_us = 100};
    takt_stream_destroy(stream);
    CHECK_INT(
        takt_stream_create(&(struct takt_stream_cfg){.out = {.device = "fake:", .channels = 2},
                                                     .rate_hz = RATE,
                                                     .block_frames = 48,
                                                     .buffer_frames = 3000},
                           &stream, &e),
        0);
    CHECK_INT(takt_stream_start(stream), 0);
    uint64_t at = 0;
    for (int turn = 0; turn < 30; turn++) {
        uint32_t frames = 1 + (uint32_t)takt_random_below(&r, 1000);
        for (uint32_t i = 0; i < frames; i++)
            for (uint32_t c = 0; c < 2; c++)
                planes[c][i] = tone(at + i, c);
        at += frames;
        CHECK_INT(takt_stream_write(stream, (float *[]){planes[0], planes[1]}, frames, 5000, NULL),
                  frames);
        /* Until about half of the times all of it was heard, and more was wanted. */
        uint64_t until = takt_stream_position(stream) + takt_random_below(&r, 2 * frames + 500);
        for (int ms = 0; ms < 5000 && takt_stream_position(stream) < until; ms++)
            takt_sleep_ms(1);
    }
    CHECK_INT(takt_stream_stop(stream), 0);
    uint64_t where;
    CHECK(largest_step(false, &where) <= steepest(2));
    CHECK(health().fades > 0);
}

/* ---- The bypass's own rules ------------------------------------------------------------------ */

/* Random costs, and beside the machine its rules in other words. */
static void bypass_keeps_its_rules_under_any_pattern(void)
{
    struct takt_random r = takt_random_seed(5);
    for (int turn = 0; turn < 200; turn++) {
        uint32_t of = 1 + (uint32_t)takt_random_below(&r, 64);
        struct takt_bypass_cfg cfg = {.mode = TAKT_BYPASS_SILENCE,
                                      .of_blocks = of,
                                      .misses = 1 + (uint32_t)takt_random_below(&r, of),
                                      .overrun_periods = 1 + (uint32_t)takt_random_below(&r, 5),
                                      .retry_ms = 10,
                                      .retry_ms_max = 150,
                                      .trial_blocks = 1 + (uint32_t)takt_random_below(&r, 9)};
        struct takt_bypass b;
        takt_bypass_init(&b, &cfg, RATE);
        enum { FRAMES = 64, LOW = 480, HIGH = 7200 };
        bool history[64] = {false};
        uint64_t bypassed_at = 0, heard_from = 0, position = 0, wait = LOW;
        uint32_t kept = 0, since = 0;
        bool heard = true;
        for (int block = 0; block < 4000; block++, position += FRAMES) {
            bool calls = takt_bypass_calls(&b, position);
            CHECK(calls == (heard || position >= bypassed_at + wait));
            if (!calls)
                continue;
            uint32_t odds = block / 500 % 2 ? 3 : 200; /* bad times and good ones */
            bool misses = takt_random_below(&r, odds) == 0, excused = takt_random_below(&r, 4) == 0;
            uint32_t periods = misses ? 1 + (uint32_t)takt_random_below(&r, 6) : 0;
            enum takt_bypass_turn turn_is =
                takt_bypass_end(&b, &(struct takt_bypass_cycle){.position = position + FRAMES,
                                                                .own_ns = 1000 * periods + 500,
                                                                .budget_ns = 1000,
                                                                .excused = excused});
            misses &= !excused;
            if (!heard) {
                kept = misses ? 0 : kept + 1;
                CHECK(turn_is == (misses                     ? TAKT_TURN_FAILED
                                  : kept == cfg.trial_blocks ? TAKT_TURN_BACK
                                                             : TAKT_TURN_NONE));
                if (misses) {
                    bypassed_at = position + FRAMES;
                    wait = 2 * wait < HIGH ? 2 * wait : HIGH;
                }
                heard = kept == cfg.trial_blocks;
                heard_from = position + FRAMES;
                memset(history, 0, sizeof history);
                since = 0;
                continue;
            }
            history[since++ % of] = misses;
            uint32_t count = 0;
            for (uint32_t i = 0; i < of; i++)
                count += history[i];
            bool bypass = misses && (count >= cfg.misses || periods >= cfg.overrun_periods);
            CHECK(turn_is == (bypass ? TAKT_TURN_BYPASSED : TAKT_TURN_NONE));
            if (!bypass)
                continue;
            /* Never shorter than asked for, never longer than twice the last one. */
            uint64_t was = wait, good = position - heard_from;
            wait = b.retry_at - position - FRAMES;
            CHECK(wait >= LOW && wait <= HIGH && (wait <= 2 * was || !bypassed_at));
            CHECK(good >= LOW || !bypassed_at || wait == (2 * was < HIGH ? 2 * was : HIGH));
            bypassed_at = position + FRAMES;
            heard = false;
            kept = 0;
        }
    }
}

static void good_behaviour_halves_the_wait_again(void)
{
    struct takt_bypass b;
    takt_bypass_init(&b, &(struct takt_bypass_cfg){.mode = TAKT_BYPASS_SILENCE}, RATE);
    uint64_t position = 0;
    const struct takt_bypass_cycle bad = {.own_ns = 9, .budget_ns = 2}, good = {.budget_ns = 2};
    struct takt_bypass_cycle c;
    for (uint64_t wait = RATE / 4; wait <= 4 * RATE; wait *= 2) {
        CHECK(takt_bypass_calls(&b, position));
        c = bad;
        c.position = position;
        takt_bypass_end(&b, &c);
        CHECK_INT(b.retry_at - position, wait);
        position = b.retry_at;
    }
    for (int i = 0; i < 8; i++) {
        CHECK(takt_bypass_calls(&b, position));
        c = good;
        c.position = position += 64;
        CHECK(takt_bypass_end(&b, &c) == (i < 7 ? TAKT_TURN_NONE : TAKT_TURN_BACK));
    }
    /* A miss every three seconds is not enough for a bypass, but no good behaviour either. */
    CHECK_INT(b.backoff_frames, 4 * RATE);
    for (int block = 0; block < 20 * RATE / 64; block++, position += 64) {
        c = good;
        c.position = position;
        c.own_ns = block % (3 * RATE / 64) == 0 ? 3 : 1;
        CHECK(takt_bypass_end(&b, &c) == TAKT_TURN_NONE);
    }
    CHECK_INT(b.backoff_frames, 4 * RATE);
    for (uint64_t end = position + 8 * RATE; position < end; position += 64) {
        c = good;
        c.position = position;
        takt_bypass_end(&b, &c);
    }
    c = bad;
    c.position = position;
    CHECK(takt_bypass_end(&b, &c) == TAKT_TURN_BYPASSED);
    CHECK_INT(b.retry_at - position, RATE / 4);
}

/* ---- The bypass in a stream -------------------------------------------------------------------
 */

static struct {
    uint64_t bad_from, bad_to; /* positions between which it takes too long */
    double periods;
    uint64_t calls_while_bad, trials, told;
    uint64_t last_unheard_end;
    uint64_t overflow_at, overflow_said;
} hog;

/* Twice the input, so that wet and dry can be told apart. */
static enum takt_next hogging(const struct takt_block *b, void *arg)
{
    copy_and_check(b, arg);
    for (uint32_t c = 0; c < b->out_channels; c++)
        for (uint32_t i = 0; i < b->frames; i++)
            b->out[c][i] *= 2;
    hog.told += (b->flags & TAKT_BYPASSED) != 0;
    if (b->flags & TAKT_INPUT_OVERFLOW) {
        hog.overflow_at = b->position;
        hog.overflow_said++;
    }
    if (b->flags & TAKT_ON_TRIAL) {
        hog.trials++;
        hog.last_unheard_end = b->position + b->frames;
    }
    if (b->position >= hog.bad_from && b->position < hog.bad_to) {
        hog.calls_while_bad++;
        uint32_t least = b->frames < script.host_frames ? b->frames : script.host_frames;
        fake_cost_ns += (int64_t)(hog.periods * least * 1e9 / RATE);
    }
    return TAKT_CONTINUE;
}

static void callback_that_overruns_is_bypassed_retried_and_restored(void)
{
    const struct {
        uint32_t host, block;
    } sizes[] = {{64, 0}, {64, 64}, {48, 64}, {64, 48}, {128, 32}, {32, 128}};
    for (int mode = TAKT_BYPASS_SILENCE; mode <= TAKT_BYPASS_DRY; mode++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            script = (struct fake_script){.host_frames = sizes[k].host, .sample = tone};
            memset(&hog, 0, sizeof hog);
            hog.bad_from = 6000;
            hog.bad_to = 30000;
            hog.periods = 5; /* in blocks of a part of the host's, more than one period */
            next_position = lost_said = 0;
            jumped = false;
            struct takt_stream_cfg cfg = {
                .in = {.device = "fake:", .channels = 2},
                .out = {.device = "fake:", .channels = 2},
                .rate_hz = RATE,
                .block_frames = sizes[k].block,
                .length_frames = 60000,
                .bypass = {.mode = (enum takt_bypass_mode)mode, .retry_ms = 50},
                .process = hogging};
            CHECK_INT(run(&cfg), 0);
            struct takt_health h = health();
            struct takt_stream_actual a;
            takt_stream_actual(stream, &a);
            CHECK(!jumped);
            CHECK_INT(h.bypasses, 1);
            CHECK(!h.is_bypassed);
            CHECK(h.retries >= 3 && h.retries <= 5); /* after 50, 100, 200 and 400 ms */
            CHECK(hog.calls_while_bad <= 3 * 4 + 4 * 4);
            CHECK_INT(takt_stream_event_count(stream, TAKT_EVENT_BYPASSED), 1);
            CHECK_INT(takt_stream_event_count(stream, TAKT_EVENT_RESTORED), 1);
            CHECK_INT(hog.told, h.retries);
            CHECK(lost_said <= h.bypassed_frames);
            uint64_t where;
            CHECK(largest_step(false, &where) <= 2 * steepest(2));
            uint64_t back = hog.last_unheard_end + a.adapter_frames;
            for (uint64_t i = back + 96; i < 60000; i++)
                CHECK(fake_out[1][i] == 2 * tone(i - a.adapter_frames, 1));
            for (uint64_t i = hog.bad_from + 2048; i < back; i++)
                CHECK(fake_out[1][i] ==
                      (mode == TAKT_BYPASS_DRY ? tone(i - a.adapter_frames, 1) : 0));
        }
}

static void what_happens_during_a_bypass_is_said_after_it(void)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        script = (struct fake_script){.host_frames = 64, .sample = tone, .trouble = 50};
        fake_chance = (unsigned)seed;
        memset(&hog, 0, sizeof hog);
        hog.bad_from = 6000;
        hog.bad_to = 30000;
        hog.periods = 5;
        next_position = 0;
        jumped = false;
        CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                                .out = {.device = "fake:", .channels = 2},
                                                .rate_hz = RATE,
                                                .length_frames = 60000,
                                                .bypass.mode = TAKT_BYPASS_SILENCE,
                                                .process = hogging}),
                  0);
        CHECK(!jumped);
        CHECK(health().bypasses > 0);
    }
    /* One xrun, while nobody is called. */
    script = (struct fake_script){.host_frames = 64, .xrun_at = 110, .xrun_frames = 9};
    memset(&hog, 0, sizeof hog);
    hog.bad_from = 6000;
    hog.bad_to = 6100;
    hog.periods = 5;
    next_position = lost_said = 0;
    CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                            .out = {.device = "fake:", .channels = 2},
                                            .rate_hz = RATE,
                                            .length_frames = 60000,
                                            .bypass.mode = TAKT_BYPASS_SILENCE,
                                            .process = hogging}),
              0);
    CHECK(!jumped);
    CHECK(hog.overflow_at > 7000 && hog.overflow_said == 1);
    /* What was not heard, less the trial, and the xrun. */
    CHECK_INT(lost_said, health().bypassed_frames - 8 * 64 + 9);
}

static void callback_that_is_only_woken_late_is_not_bypassed(void)
{
    script =
        (struct fake_script){.host_frames = 64, .sample = tone, .trouble = 3, .late_periods = 5.5};
    memset(&hog, 0, sizeof hog);
    hog.bad_to = UINT64_MAX;
    hog.periods = 0.97;
    CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                            .out = {.device = "fake:", .channels = 2},
                                            .rate_hz = RATE,
                                            .length_frames = 60000,
                                            .bypass.mode = TAKT_BYPASS_SILENCE,
                                            .process = hogging}),
              0);
    CHECK_INT(health().bypasses, 0);
}

static void bypass_off_calls_whatever_happens(void)
{
    script = (struct fake_script){.host_frames = 64, .sample = tone};
    memset(&hog, 0, sizeof hog);
    hog.bad_to = UINT64_MAX;
    hog.periods = 9;
    CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                            .out = {.device = "fake:", .channels = 2},
                                            .rate_hz = RATE,
                                            .length_frames = 6400,
                                            .process = hogging}),
              0);
    CHECK_INT(hog.calls_while_bad, 100);
    CHECK_INT(health().bypasses, 0);
}

static void settings_that_make_no_sense_are_refused(void)
{
    struct takt_side_cfg two = {.device = "fake:", .channels = 2},
                         one = {.device = "fake:", .channels = 1};
    const struct takt_stream_cfg bad[] = {
        {.in = two, .process = copy, .fade_ms = 50.1},
        {.in = two, .process = copy, .fade_ms = -2},
        {.in = two, .process = copy, .fade_ms = (double)NAN},
        {.in = two, .out = one, .process = copy, .bypass.mode = TAKT_BYPASS_DRY},
        {.out = two, .process = copy, .bypass.mode = TAKT_BYPASS_DRY},
        {.in = two, .process = copy, .bypass.mode = (enum takt_bypass_mode)3},
        {.in = two, .process = copy, .bypass = {.misses = 9, .of_blocks = 8}},
        {.in = two, .process = copy, .bypass.of_blocks = 65},
        {.in = two, .process = copy, .bypass = {.retry_ms = 100, .retry_ms_max = 99}},
    };
    script = (struct fake_script){.host_frames = 32};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_error e = {0};
        CHECK_INT(takt_stream_check(&bad[i], &e), TAKT_ERR_ARG);
        CHECK(strlen(e.text) > 10 && !strchr(e.text, '\n'));
    }
}

/* ---- Memory -----------------------------------------------------------------------------------
 */

static int requests_seen;

static enum takt_next count_requests(const struct takt_block *b, void *arg)
{
    if (!requests_seen && b->position >= 6400)
        requests_seen = fault_seen;
    return hogging(b, arg);
}

static void running_stream_takes_no_memory(void)
{
    script = (struct fake_script){.host_frames = 64, .sample = tone, .trouble = 20};
    memset(&hog, 0, sizeof hog);
    hog.bad_from = 20000;
    hog.bad_to = 21000;
    hog.periods = 9;
    CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                            .out = {.device = "fake:", .channels = 2},
                                            .rate_hz = RATE,
                                            .length_frames = 60000,
                                            .bypass.mode = TAKT_BYPASS_DRY,
                                            .process = count_requests}),
              0);
    CHECK(health().bypasses > 0 && health().fades > 0);
    CHECK(requests_seen > 0);
    CHECK_INT(fault_seen, requests_seen);
}

static void create_that_runs_out_of_memory_gives_all_of_it_back(void)
{
    script = (struct fake_script){.host_frames = 64};
    takt_stream_destroy(stream);
    stream = NULL;
    for (int n = 1;; n++) {
        struct takt_stream *s;
        struct takt_error e;
        long before = fault_held();
        fault_at(n);
        int err =
            takt_stream_create(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                                         .out = {.device = "fake:", .channels = 2},
                                                         .fade_ms = 50,
                                                         .bypass.mode = TAKT_BYPASS_DRY,
                                                         .process = copy},
                               &s, &e);
        bool failed = fault_happened();
        fault_at(0);
        CHECK((err < 0) == failed || err == 0);
        takt_stream_destroy(s);
        CHECK_INT(fault_held(), before);
        if (!failed)
            break;
    }
}

int main(void)
{
    RUN(ramp_rises_by_no_more_than_it_says);
    RUN(seam_is_the_same_however_the_sound_is_cut_up);
    RUN(nan_of_a_callback_does_not_outlive_it);
    RUN(no_pattern_of_trouble_makes_a_step);
    RUN(without_a_glitch_every_bit_is_as_it_was);
    RUN(gap_is_silence_behind_the_fade_and_sound_again_after_it);
    RUN(output_that_does_not_hang_on_its_input_is_not_touched_by_starvation);
    RUN(input_can_be_left_as_it_is);
    RUN(blocking_write_that_comes_late_makes_no_step);
    RUN(bypass_keeps_its_rules_under_any_pattern);
    RUN(good_behaviour_halves_the_wait_again);
    RUN(callback_that_overruns_is_bypassed_retried_and_restored);
    RUN(what_happens_during_a_bypass_is_said_after_it);
    RUN(callback_that_is_only_woken_late_is_not_bypassed);
    RUN(bypass_off_calls_whatever_happens);
    RUN(settings_that_make_no_sense_are_refused);
    RUN(running_stream_takes_no_memory);
    RUN(create_that_runs_out_of_memory_gives_all_of_it_back);
    takt_stream_destroy(stream);
    return tap_done();
}

/* The engine against a scripted device: what it promises for any block, host block and order of
 * calls. */
#include "base/random.h"
#include "fake_device.h"
#include "stream/state.h"
#include "stream/stream.h"
#include "takt/contract.h"
#include "takt/guard.h"
#include "tap.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static enum takt_next copy(const struct takt_block *b, void *arg)
{
    for (uint32_t c = 0; c < b->out_channels; c++)
        memcpy(b->out[c], b->in[c % b->in_channels], b->frames * sizeof(float));
    return TAKT_CONTINUE;
}

static char in_device[64];

/* Runs a stream to its end. Returns 0 or the error. */
static int run_to_end(const struct takt_stream_cfg *cfg, struct takt_stream_actual *actual)
{
    struct takt_stream *s;
    struct takt_error e;
    fake_out_frames = 0;
    int err = takt_stream_create(cfg, &s, &e);
    if (err < 0) {
        printf("# %s\n", e.text);
        return err;
    }
    if (actual)
        takt_stream_actual(s, actual);
    err = takt_stream_start(s);
    if (err >= 0)
        err = takt_stream_wait(s, 20000);
    if (actual) {
        snprintf(in_device, sizeof in_device, "%s", actual->in_device);
        actual->in_device = in_device;
    }
    takt_stream_destroy(s);
    return err;
}

static bool out_is_input_delayed(uint32_t channels, uint64_t delay, uint64_t frames)
{
    for (uint32_t c = 0; c < channels; c++)
        for (uint64_t i = 0; i < frames; i++) {
            float want = i < delay ? 0 : fake_sample(i - delay, c);
            if (fake_out[c][i] != want) {
                printf("# channel %u frame %llu: %g, not %g\n", c, (unsigned long long)i,
                       (double)fake_out[c][i], (double)want);
                return false;
            }
        }
    return true;
}

/* ---- The adapter ---------------------------------------------------------------------------- */

static void block_of_any_size_in_any_host_block_adds_what_is_reported(void)
{
    for (uint32_t n = 1; n <= 33; n++)
        for (uint32_t h = 1; h <= 33; h++) {
            script = (struct fake_script){.host_frames = h, .cycles_max = 0};
            struct takt_stream_actual a;
            CHECK_INT(run_to_end(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                                           .out = {.device = "fake:"},
                                                           .block_frames = n,
                                                           .fade_ms = TAKT_FADE_OFF,
                                                           .length_frames = 300,
                                                           .process = copy},
                                 &a),
                      0);
            uint32_t x = n, y = h;
            while (y) {
                uint32_t r = x % y;
                x = y;
                y = r;
            }
            CHECK_INT(a.adapter_frames, n - x);
            CHECK(h % n || a.adapter_frames == 0);
            CHECK(fake_out_frames >= 300 + a.adapter_frames);
            CHECK(out_is_input_delayed(2, a.adapter_frames, 300 + a.adapter_frames));
            for (uint64_t i = 300 + a.adapter_frames; i < fake_out_frames; i++)
                CHECK(fake_out[0][i] == 0);
        }
}

static void block_in_varying_host_blocks_keeps_its_size_and_order(void)
{
    for (uint32_t n = 1; n <= 48; n++) {
        script = (struct fake_script){.host_frames = 32, .varies = true};
        struct takt_stream_actual a;
        CHECK_INT(run_to_end(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 1},
                                                       .out = {.device = "fake:"},
                                                       .block_frames = n,
                                                       .length_frames = 500,
                                                       .process = copy},
                             &a),
                  0);
        CHECK_INT(a.block_frames, n);
        CHECK_INT(a.adapter_frames, n - 1);
        CHECK(out_is_input_delayed(1, n - 1, 500 + n - 1));
    }
}

static uint32_t seen_frames[4096];
static uint64_t seen_blocks, seen_next, seen_lost;
static bool seen_gap;

static enum takt_next note_blocks(const struct takt_block *b, void *arg)
{
    if (seen_blocks < 4096)
        seen_frames[seen_blocks] = b->frames;
    seen_gap |= b->position != seen_next + b->lost_frames;
    seen_lost += b->lost_frames;
    seen_next = b->position + b->frames;
    seen_blocks++;
    return TAKT_CONTINUE;
}

static void block_size_is_kept_and_position_never_jumps_unsaid(void)
{
    const uint32_t blocks[] = {1, 7, 64, 100, 0};
    for (int k = 0; k < 5; k++)
        for (int side = 1; side <= 3; side++) {
            script = (struct fake_script){
                .host_frames = 48, .varies = k & 1, .xrun_at = 5, .xrun_frames = 1000};
            seen_blocks = seen_next = seen_lost = 0;
            seen_gap = false;
            struct takt_stream_cfg cfg = {
                .block_frames = blocks[k], .length_frames = 5000, .process = note_blocks};
            if (side & 1)
                cfg.in = (struct takt_side_cfg){.device = "fake:", .channels = 1};
            if (side & 2)
                cfg.out = (struct takt_side_cfg){.device = "fake:", .channels = 1};
            CHECK_INT(run_to_end(&cfg, NULL), 0);
            CHECK(!seen_gap);
            CHECK_INT(seen_lost, 1000);
            CHECK(seen_next >= 5000);
            for (uint64_t i = 0; i < seen_blocks && blocks[k]; i++)
                CHECK_INT(seen_frames[i], blocks[k]);
        }
}

/* ---- Ends ----------------------------------------------------------------------------------- */

static void source_end_reaches_the_sink_to_the_frame(void)
{
    for (uint32_t length = 1; length < 200; length += 1)
        for (uint32_t tail = 0; tail < 120; tail += 40) {
            char in[32];
            snprintf(in, sizeof in, "port:%u", length);
            script = (struct fake_script){.host_frames = 32};
            CHECK_INT(run_to_end(&(struct takt_stream_cfg){.in = {.device = in, .channels = 2},
                                                           .out = {.device = "port:0"},
                                                           .block_frames = 32,
                                                           .tail_frames = tail,
                                                           .process = copy},
                                 NULL),
                      0);
            CHECK_INT(fake_out_frames, length + tail);
            CHECK(out_is_input_delayed(2, 0, length));
            for (uint32_t i = length; i < length + tail; i++)
                CHECK(fake_out[1][i] == 0);
        }
}

static void source_end_through_the_adapter_keeps_every_frame(void)
{
    for (uint32_t n = 1; n < 80; n += 3)
        for (uint32_t length = 1; length < 150; length += 7) {
            char in[32];
            snprintf(in, sizeof in, "port:%u", length);
            script = (struct fake_script){.host_frames = 20, .varies = length & 1};
            struct takt_stream_actual a;
            CHECK_INT(run_to_end(&(struct takt_stream_cfg){.in = {.device = in, .channels = 1},
                                                           .out = {.device = "port:0"},
                                                           .block_frames = n,
                                                           .tail_frames = n,
                                                           .process = copy},
                                 &a),
                      0);
            CHECK_INT(fake_out_frames, a.adapter_frames + length + n);
            CHECK(out_is_input_delayed(1, a.adapter_frames, a.adapter_frames + length));
        }
}

static uint64_t finished_at;
static int finished_calls;

static void note_finished(uint64_t last_frame, void *arg)
{
    finished_at = last_frame;
    finished_calls++;
}

static void length_ends_the_stream_to_the_frame(void)
{
    for (uint32_t length = 1; length < 300; length += 11)
        for (uint32_t n = 0; n < 100; n += 33) {
            script = (struct fake_script){.host_frames = 40, .latency_out = 80};
            finished_calls = 0;
            CHECK_INT(
                run_to_end(&(struct takt_stream_cfg){.out = {.device = "fake:", .channels = 1},
                                                     .in = {.device = "fake:", .channels = 1},
                                                     .block_frames = n,
                                                     .length_frames = length,
                                                     .finished = note_finished,
                                                     .process = copy},
                           NULL),
                0);
            CHECK_INT(finished_calls, 1);
            CHECK_INT(finished_at, length);
        }
}

/* What `after` was given of the stream. */
static struct {
    uint64_t blocks, next, delivered; /* delivered: when it was called, the sink had the block */
    bool is_wrong;
    int64_t cost_ns; /* of the second call */
} after;

static void note_after(const struct takt_block *b, void *arg)
{
    after.is_wrong |= b->position != after.next || arg != &after;
    for (uint32_t i = 0; i < b->in_frames; i++)
        after.is_wrong |= b->in[0][i] != fake_sample(b->position + i, 0) ||
                          b->out[0][i] != fake_sample(b->position + i, 0);
    after.delivered += fake_out_frames >= b->position + b->in_frames;
    after.next += b->frames;
    if (++after.blocks == 2)
        fake_cost_ns += after.cost_ns;
}

static void after_comes_for_each_block_when_its_output_is_delivered(void)
{
    for (uint32_t n = 0; n < 100; n += 9)
        for (uint32_t h = 1; h < 100; h += 7) {
            script = (struct fake_script){.host_frames = h};
            memset(&after, 0, sizeof after);
            seen_blocks = 0;
            CHECK_INT(
                run_to_end(&(struct takt_stream_cfg){.in = {.device = "port:1000", .channels = 1},
                                                     .out = {.device = "port:0", .channels = 1},
                                                     .block_frames = n,
                                                     .fade_ms = TAKT_FADE_OFF,
                                                     .process = copy,
                                                     .after = note_after,
                                                     .arg = &after},
                           NULL),
                0);
            CHECK(!after.is_wrong && after.next >= 1000);
            CHECK(after.blocks > 0);
            if (!n || n == script.host_frames)
                CHECK_INT(after.delivered, after.blocks);
        }
}

static enum takt_next copy_two_and_abort(const struct takt_block *b, void *arg)
{
    copy(b, NULL);
    return b->position >= 2 * b->frames ? TAKT_ABORT : TAKT_CONTINUE;
}

static void after_does_not_come_for_a_block_that_is_aborted(void)
{
    for (uint32_t n = 0; n <= 32; n += 16) {
        script = (struct fake_script){.host_frames = 16};
        memset(&after, 0, sizeof after);
        CHECK_INT(run_to_end(&(struct takt_stream_cfg){.in = {.device = "port:1000", .channels = 1},
                                                       .out = {.device = "port:0", .channels = 1},
                                                       .block_frames = n,
                                                       .fade_ms = TAKT_FADE_OFF,
                                                       .process = copy_two_and_abort,
                                                       .after = note_after,
                                                       .arg = &after},
                             NULL),
                  0);
        CHECK(!after.is_wrong);
        CHECK_INT(after.blocks, 2);
    }
}

/* Its own block was in time; the next one is late, and no wake-up was. */
static void after_that_takes_too_long_is_no_late_wake(void)
{
    struct takt_stream *s;
    struct takt_error e;
    for (double periods = 0.5; periods < 4; periods += 0.5) {
        script = (struct fake_script){.host_frames = 48, .cycles_max = 20};
        memset(&after, 0, sizeof after);
        after.cost_ns = (int64_t)(periods * 1e6);
        fake_out_frames = 0;
        struct takt_stream_cfg cfg = {.in = {.device = "fake:", .channels = 1},
                                      .out = {.device = "fake:", .channels = 1},
                                      .rate_hz = 48000,
                                      .process = copy,
                                      .after = note_after,
                                      .arg = &after,
                                      .length_frames = 480};
        CHECK_INT(takt_stream_create(&cfg, &s, &e), 0);
        CHECK_INT(takt_stream_start(s), 0);
        CHECK_INT(takt_stream_wait(s, 5000), 0);
        struct takt_contract_snapshot k;
        takt_contract_read(takt_stream_contract(s), &k);
        CHECK_INT(k.misses[TAKT_MISS_LATE_WAKE], 0);
        CHECK_INT(k.misses[TAKT_MISS_OVERRAN], k.misses_total);
        CHECK(periods < 2 ? !k.misses_total : periods == 2 || k.misses_total > 0);
        takt_stream_destroy(s);
    }
}

static void loss_beyond_the_length_does_not_count(void)
{
    for (uint64_t at = 1; at < 13; at++)
        for (uint32_t n = 0; n < 100; n += 33)
            for (uint64_t lost = 100; lost < 2000; lost += 300) {
                script = (struct fake_script){
                    .host_frames = 40, .xrun_at = at, .xrun_frames = lost, .latency_out = 80};
                CHECK_INT(
                    run_to_end(&(struct takt_stream_cfg){.out = {.device = "fake:", .channels = 1},
                                                         .in = {.device = "fake:", .channels = 1},
                                                         .block_frames = n,
                                                         .length_frames = 500,
                                                         .finished = note_finished,
                                                         .process = copy},
                               NULL),
                    0);
                CHECK_INT(finished_at, 500);
            }
}

static void drain_lasts_until_the_last_frame_was_heard(void)
{
    for (uint32_t latency = 0; latency < 400; latency += 50) {
        script = (struct fake_script){.host_frames = 50, .latency_out = latency};
        CHECK_INT(run_to_end(&(struct takt_stream_cfg){.out = {.device = "fake:", .channels = 1},
                                                       .block_frames = 50,
                                                       .length_frames = 500,
                                                       .process = note_blocks},
                             NULL),
                  0);
        /* Ten cycles carry sound; the last is handed over at the start of cycle 9 and is out
         * latency + 50 frames later. */
        CHECK_INT(fake_cycles, 9 + 1 + (latency + 50) / 50);
    }
}

static enum takt_next abort_at_third(const struct takt_block *b, void *arg)
{
    b->out[0][0] = 1;
    return b->position >= 2 * b->frames ? TAKT_ABORT : TAKT_CONTINUE;
}

static enum takt_next drain_at_third(const struct takt_block *b, void *arg)
{
    b->out[0][0] = 1;
    return b->position >= 2 * b->frames ? TAKT_DRAIN : TAKT_CONTINUE;
}

static void abort_drops_the_block_and_drain_plays_it(void)
{
    for (int drain = 0; drain < 2; drain++) {
        script = (struct fake_script){.host_frames = 16, .latency_out = 32};
        finished_calls = 0;
        CHECK_INT(run_to_end(
                      &(struct takt_stream_cfg){.out = {.device = "fake:", .channels = 1},
                                                .block_frames = 16,
                                                .finished = note_finished,
                                                .process = drain ? drain_at_third : abort_at_third},
                      NULL),
                  0);
        CHECK_INT(finished_calls, 1);
        CHECK_INT(finished_at, drain ? 48 : 32);
        CHECK(fake_out[0][32] == (drain ? 1.0f : 0.0f));
        CHECK_INT(fake_cycles, drain ? 6 : 3);
    }
}

/* ---- Shapes and formats --------------------------------------------------------------------- */

static enum takt_next copy_data(const struct takt_block *b, void *arg)
{
    const struct takt_stream_cfg *cfg = arg;
    size_t bytes = takt_sample_bytes(cfg->format ? cfg->format : TAKT_F32) * b->frames;
    bool interleaved = cfg->layout == TAKT_INTERLEAVED;
    if ((cfg->format == TAKT_F32 || !cfg->format) != (b->in != NULL))
        return TAKT_ABORT;
    for (uint32_t c = 0; c < (interleaved ? 1 : b->in_channels); c++)
        memcpy(b->out_data[c], b->in_data[c], interleaved ? bytes * b->in_channels : bytes);
    return TAKT_CONTINUE;
}

static void every_format_and_layout_passes_through_exactly(void)
{
    for (int format = 0; format <= TAKT_U8; format++)
        for (int layout = 0; layout < 2; layout++)
            for (uint32_t n = 0; n < 50; n += 24) {
                script = (struct fake_script){.host_frames = 24};
                struct takt_stream_cfg cfg = {
                    .in = {.device = "fake:", .channels = 3},
                    .out = {.device = "fake:", .channels = 3},
                    .block_frames = n,
                    .length_frames = 2000,
                    .format = (enum takt_sample)format,
                    .layout = (enum takt_layout)layout,
                    .process = copy_data,
                };
                cfg.arg = &cfg;
                struct takt_stream_actual a;
                CHECK_INT(run_to_end(&cfg, &a), 0);
                CHECK(fake_out_frames >= 2000);
                if (format != TAKT_U8) {
                    CHECK(out_is_input_delayed(3, a.adapter_frames, 2000));
                    continue;
                }
                for (uint32_t i = a.adapter_frames; i < 2000; i++)
                    CHECK_NEAR(fake_out[2][i], fake_sample(i - a.adapter_frames, 2), 1.0 / 256);
            }
}

static void map_chooses_device_channels_on_both_sides(void)
{
    script = (struct fake_script){.host_frames = 16};
    CHECK_INT(run_to_end(
                  &(struct takt_stream_cfg){
                      .in = {.device = "fake:", .channels = 2, .map = (const uint16_t[]){3, 1}},
                      .out = {.device = "fake:", .channels = 2, .map = (const uint16_t[]){0, 2}},
                      .block_frames = 16,
                      .length_frames = 160,
                      .process = copy},
                  NULL),
              0);
    for (uint32_t i = 0; i < 160; i++) {
        CHECK(fake_out[0][i] == fake_sample(i, 3));
        CHECK(fake_out[1][i] == 0); /* not mapped: silence, never what was there before */
        CHECK(fake_out[2][i] == fake_sample(i, 1));
    }
}

/* ---- Trouble -------------------------------------------------------------------------------- */

static uint32_t seen_flags;

static enum takt_next note_flags(const struct takt_block *b, void *arg)
{
    seen_flags |= b->flags;
    return copy(b, arg);
}

static void starved_input_is_silence_flagged_and_counted(void)
{
    struct takt_stream *s;
    struct takt_error e;
    script = (struct fake_script){.host_frames = 16, .short_at = 3};
    seen_flags = 0;
    fake_out_frames = 0;
    CHECK_INT(
        takt_stream_create(&(struct takt_stream_cfg){.in = {.device = "port:160", .channels = 1},
                                                     .out = {.device = "port:0"},
                                                     .block_frames = 16,
                                                     .fade_ms = TAKT_FADE_OFF,
                                                     .process = note_flags},
                           &s, &e),
        0);
    CHECK_INT(takt_stream_start(s), 0);
    CHECK_INT(takt_stream_wait(s, 5000), 0);
    struct takt_contract_snapshot snap;
    takt_contract_read(takt_stream_contract(s), &snap);
    CHECK_INT(snap.misses[TAKT_MISS_STARVED], 1);
    CHECK_INT(snap.misses_total, 1);
    takt_stream_destroy(s);
    CHECK(seen_flags & TAKT_INPUT_UNDERFLOW);
    CHECK_INT(fake_out_frames, 176); /* nothing of the source is dropped */
    CHECK(fake_out[0][31] == fake_sample(31, 0));
    CHECK(fake_out[0][32] == 0 && fake_out[0][47] == 0);
    CHECK(fake_out[0][48] == fake_sample(32, 0));
}

static void device_away_is_silence_and_two_events(void)
{
    struct takt_stream *s;
    struct takt_error e;
    script = (struct fake_script){.host_frames = 16, .away_from = 5, .away_to = 9};
    seen_flags = 0;
    CHECK_INT(takt_stream_create(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 1},
                                                           .out = {.device = "fake:"},
                                                           .block_frames = 16,
                                                           .length_frames = 320,
                                                           .fade_ms = TAKT_FADE_OFF,
                                                           .process = note_flags},
                                 &s, &e),
              0);
    CHECK_INT(takt_stream_start(s), 0);
    CHECK_INT(takt_stream_wait(s, 5000), 0);
    const enum takt_event_type want[] = {TAKT_EVENT_STARTED, TAKT_EVENT_DEVICE_LOST,
                                         TAKT_EVENT_DEVICE_BACK, TAKT_EVENT_FINISHED};
    struct pollfd fd = {.fd = takt_stream_event_fd(s), .events = POLLIN};
    for (int i = 0; i < 4; i++) {
        struct takt_event ev;
        CHECK_INT(poll(&fd, 1, 0), 1);
        CHECK_INT(takt_stream_next_event(s, &ev), 1);
        CHECK(ev.type == want[i]);
        if (ev.type == TAKT_EVENT_DEVICE_BACK)
            CHECK_INT(ev.value, 64);
    }
    struct takt_event none;
    CHECK_INT(takt_stream_next_event(s, &none), 0);
    CHECK_INT(poll(&fd, 1, 0), 0);
    takt_stream_destroy(s);
    CHECK(seen_flags & TAKT_DEVICE_AWAY);
    CHECK(fake_out[0][79] == fake_sample(79, 0));
    for (int i = 80; i < 144; i++)
        CHECK(fake_out[0][i] == 0);
    CHECK(fake_out[0][144] == fake_sample(144, 0));
}

/* ---- Life ----------------------------------------------------------------------------------- */

static void table_leaves_no_state_that_cannot_end(void)
{
    int reaches[7] = {0};
    for (int from = 0; from <= TAKT_STATE_STUCK; from++)
        for (int move = 0; move < TAKT_MOVES; move++) {
            int to = takt_state_after((enum takt_state)from, (enum takt_move)move);
            CHECK(to >= -1 && to <= TAKT_STATE_STUCK);
            if (to >= 0)
                reaches[from] |= 1 << to;
        }
    /* From every state but STUCK, STOPPED is reachable. */
    for (int from = 0; from < TAKT_STATE_STUCK; from++) {
        int seen = 1 << from;
        for (int round = 0; round < 8; round++)
            for (int k = 0; k < 7; k++)
                if (seen & 1 << k)
                    seen |= reaches[k];
        CHECK(seen & 1 << TAKT_STATE_STOPPED);
    }
    CHECK_INT(reaches[TAKT_STATE_STUCK], 0);
}

static _Atomic int wished_next;

static enum takt_next as_wished(const struct takt_block *b, void *arg)
{
    return (enum takt_next)atomic_exchange(&wished_next, TAKT_CONTINUE);
}

static void random_calls_never_hang_and_never_leave_the_table(void)
{
    struct takt_random r = takt_random_seed(7);
    for (int round = 0; round < 40; round++) {
        script = (struct fake_script){
            .host_frames = 32, .latency_out = 64, .pause_us = 20, .away_from = 10, .away_to = 20};
        struct takt_stream *s;
        struct takt_error e;
        bool blocking = takt_random_below(&r, 2);
        CHECK_INT(takt_stream_create(
                      &(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 1},
                                                .out = {.device = "fake:"},
                                                .block_frames = (uint32_t)takt_random_below(&r, 80),
                                                .process = blocking ? NULL : as_wished},
                      &s, &e),
                  0);
        for (int call = 0; call < 60; call++) {
            enum takt_state before = takt_stream_state(s);
            float data[64];
            int64_t err = 0;
            switch (takt_random_below(&r, 9)) {
            case 0:
            case 1:
                err = takt_stream_start(s);
                CHECK(err == 0 || (err == TAKT_ERR_STATE && before != TAKT_STATE_STOPPED));
                break;
            case 2:
                CHECK_INT(takt_stream_stop(s), 0);
                CHECK_INT(takt_stream_state(s), TAKT_STATE_STOPPED);
                break;
            case 3:
                CHECK_INT(takt_stream_abort(s), 0);
                CHECK_INT(takt_stream_state(s), TAKT_STATE_STOPPED);
                break;
            case 4:
                err = takt_stream_wait(s, (int64_t)takt_random_below(&r, 3));
                CHECK(err == 0 || err == TAKT_ERR_TIMEOUT);
                break;
            case 5:
                atomic_store(&wished_next, TAKT_DRAIN);
                break;
            case 6:
                atomic_store(&wished_next, TAKT_ABORT);
                break;
            case 7:
                err = takt_stream_read(s, &(float *){data}, 32, 2, NULL);
                CHECK(blocking ? err >= 0 || err == TAKT_ERR_END || err == TAKT_ERR_TIMEOUT
                               : err == TAKT_ERR_STATE);
                break;
            default:
                err = takt_stream_write(s, &(float *){data}, 32, 2, NULL);
                CHECK(blocking ? err >= 0 || err == TAKT_ERR_END || err == TAKT_ERR_TIMEOUT
                               : err == TAKT_ERR_STATE);
            }
            CHECK((unsigned)takt_stream_state(s) < TAKT_STATE_STUCK);
        }
        takt_stream_destroy(s);
    }
    CHECK_INT(fake_opened, fake_closed);
}

static struct takt_stream *own_stream;
static int own_result[4];

static enum takt_next call_own_controls(const struct takt_block *b, void *arg)
{
    takt_guard_allow(); /* a refusal is told under a lock */
    own_result[0] = takt_stream_stop(own_stream);
    own_result[1] = takt_stream_abort(own_stream);
    own_result[2] = takt_stream_start(own_stream);
    own_result[3] = takt_stream_wait(own_stream, 10);
    takt_guard_forbid();
    return TAKT_ABORT;
}

static void control_calls_in_the_callback_are_refused(void)
{
    struct takt_error e;
    script = (struct fake_script){.host_frames = 32, .pause_us = 100};
    CHECK_INT(takt_stream_create(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 1},
                                                           .process = call_own_controls},
                                 &own_stream, &e),
              0);
    CHECK_INT(takt_stream_start(own_stream), 0);
    CHECK_INT(takt_stream_wait(own_stream, 5000), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(own_result[i], TAKT_ERR_STATE);
    takt_stream_error(own_stream, &e);
    CHECK(strstr(e.text, "TAKT_DRAIN"));
    takt_stream_destroy(own_stream);
}

static _Atomic bool hang, hangs;

static enum takt_next hanging(const struct takt_block *b, void *arg)
{
    atomic_store(&hangs, true);
    takt_guard_allow();
    while (atomic_load(&hang))
        takt_sleep_ms(1);
    takt_guard_forbid();
    return TAKT_CONTINUE;
}

static void stop_of_a_hanging_callback_returns_in_time(void)
{
    struct takt_stream *s;
    struct takt_error e;
    script = (struct fake_script){.host_frames = 32};
    atomic_store(&hang, true);
    CHECK_INT(takt_stream_create(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 1},
                                                           .timeout_ms = 50,
                                                           .process = hanging},
                                 &s, &e),
              0);
    CHECK_INT(takt_stream_start(s), 0);
    while (!atomic_load(&hangs))
        takt_sleep_ms(1);
    int64_t before = takt_now_ns();
    CHECK_INT(takt_stream_stop(s), TAKT_ERR_TIMEOUT);
    CHECK_INT(takt_stream_state(s), TAKT_STATE_STUCK);
    takt_stream_error(s, &e);
    CHECK(strstr(e.text, "50 ms"));
    CHECK_INT(takt_stream_start(s), TAKT_ERR_STATE);
    CHECK_INT(takt_stream_stop(s), TAKT_ERR_STATE);
    CHECK(takt_now_ns() - before < 2000000000);
    takt_stream_destroy(s); /* returns; the stream is freed once the callback does */
    CHECK(takt_now_ns() - before < 2000000000);
    CHECK(fake_opened > fake_closed);
    atomic_store(&hang, false);
    for (int ms = 0; ms < 5000 && fake_opened != fake_closed; ms++)
        takt_sleep_ms(1);
    CHECK_INT(fake_opened, fake_closed);
}

static void device_that_gives_no_block_is_a_timeout_not_a_hang(void)
{
    struct takt_stream *s;
    struct takt_error e;
    script = (struct fake_script){.host_frames = 32, .no_first_cycle = true};
    CHECK_INT(takt_stream_create(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 1},
                                                           .timeout_ms = 30,
                                                           .process = copy},
                                 &s, &e),
              0);
    CHECK_INT(takt_stream_start(s), TAKT_ERR_TIMEOUT);
    CHECK_INT(takt_stream_state(s), TAKT_STATE_STOPPED);
    script.no_first_cycle = false;
    CHECK_INT(takt_stream_start(s), 0); /* and it can be tried again */
    CHECK_INT(takt_stream_abort(s), 0);
    takt_stream_destroy(s);
}

/* ---- No system call in a running stream ----------------------------------------------------- */

enum { QUIET_BLOCKS = 20000, WARM_BLOCKS = 100 };

/* From block 100 on, the kernel kills this process at any system call but read, write and exit. */
static enum takt_next under_seccomp(const struct takt_block *b, void *arg)
{
    copy(b, NULL);
    uint64_t block = b->position / b->frames;
    if (block == WARM_BLOCKS && prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
        _exit(2);
    if (block == WARM_BLOCKS + QUIET_BLOCKS) {
        *(volatile int *)arg = 1;
        syscall(SYS_exit, 0);
    }
    return TAKT_CONTINUE;
}

static void running_engine_makes_no_system_call(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        static volatile int quiet;
        struct takt_stream *s;
        struct takt_error e;
        script = (struct fake_script){.host_frames = 64};
        if (takt_stream_create(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                                         .out = {.device = "fake:"},
                                                         .block_frames = 48,
                                                         .arg = (void *)(uintptr_t)&quiet,
                                                         .guard = TAKT_GUARD_OFF,
                                                         .process = under_seccomp},
                               &s, &e) < 0 ||
            takt_stream_start(s) < 0)
            _exit(3);
        for (int ms = 0; ms < 20000 && !quiet; ms++)
            takt_sleep_ms(1);
        _exit(quiet ? 0 : 4);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

/* ---- Blocking calls and whole sounds -------------------------------------------------------- */

static void blocking_write_and_read_move_every_frame_in_order(void)
{
    for (int planar = 0; planar < 2; planar++) {
        struct takt_stream *s;
        struct takt_error e;
        script = (struct fake_script){.host_frames = 32, .pause_us = 300};
        CHECK_INT(takt_stream_create(
                      &(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                                .out = {.device = "fake:"},
                                                .block_frames = 32,
                                                .fade_ms = TAKT_FADE_OFF,
                                                .buffer_frames = 20000,
                                                .layout = planar ? TAKT_PLANAR : TAKT_INTERLEAVED},
                      &s, &e),
                  0);
        static float flat[2][3000];
        float *planes[2] = {flat[0], flat[1]};
        void *data = planar ? (void *)planes : (void *)flat;
        CHECK_INT(takt_stream_start(s), 0);
        uint64_t at = 0;
        for (int turn = 0; turn < 8; turn++) {
            uint32_t frames = 100 + 150 * (uint32_t)turn;
            bool over = true;
            CHECK_INT(takt_stream_read(s, data, frames, 5000, &over), frames);
            CHECK(!over);
            for (uint32_t i = 0; i < frames; i++)
                for (uint32_t c = 0; c < 2; c++) {
                    float got = planar ? flat[c][i] : ((float *)flat)[i * 2 + c];
                    CHECK(got == fake_sample(at + i, c));
                }
            at += frames;
            CHECK_INT(takt_stream_write(s, data, frames, 5000, NULL), frames);
        }
        CHECK_INT(takt_stream_stop(s), 0);
        CHECK_INT(takt_stream_write(s, data, 1, 10, NULL), TAKT_ERR_END);
        /* What was written comes out whole and in order, with silence only where we were late. */
        uint64_t next = 0;
        for (uint64_t i = 0; i < fake_out_frames && next < at; i++)
            if (fake_out[1][i] != 0) {
                CHECK(fake_out[1][i] == fake_sample(next, 1));
                next++;
            }
        CHECK_INT(next, at);
        takt_stream_destroy(s);
    }
}

static void blocking_write_without_room_times_out_with_what_fitted(void)
{
    struct takt_stream *s;
    struct takt_error e;
    script = (struct fake_script){.host_frames = 32};
    CHECK_INT(
        takt_stream_create(&(struct takt_stream_cfg){.out = {.device = "fake:", .channels = 1},
                                                     .block_frames = 32,
                                                     .buffer_frames = 128},
                           &s, &e),
        0);
    static float data[4096];
    uint32_t room = takt_stream_write_available(s);
    CHECK(room >= 128 && room < 4096);
    CHECK_INT(takt_stream_write(s, &(float *){data}, 4096, 1, NULL), TAKT_ERR_END);
    takt_stream_destroy(s);
}

static void playrec_gives_back_what_the_device_looped(void)
{
    struct takt_stream *s;
    struct takt_error e;
    enum { FRAMES = 5000 };
    static float play[FRAMES * 2], rec[FRAMES * 2];
    for (int i = 0; i < FRAMES * 2; i++)
        play[i] = (float)i / (FRAMES * 2);
    script = (struct fake_script){.host_frames = 64};
    CHECK_INT(takt_playrec(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                                     .out = {.device = "fake:"}},
                           play, rec, FRAMES, &s, &e),
              0);
    CHECK_INT(takt_stream_wait(s, 5000), 0);
    CHECK_INT(takt_stream_position(s), FRAMES);
    takt_stream_destroy(s);
    for (int i = 0; i < FRAMES; i++) {
        CHECK(fake_out[0][i] == play[i * 2] && fake_out[1][i] == play[i * 2 + 1]);
        CHECK(rec[i * 2] == fake_sample((uint64_t)i, 0));
    }
    CHECK_INT(takt_play(NULL, play, 0, &s, &e), TAKT_ERR_ARG);
}

/* ---- Settings ------------------------------------------------------------------------------- */

static void settings_out_of_range_are_refused_with_a_reason(void)
{
    struct takt_side_cfg fake = {.device = "fake:", .channels = 1};
    const struct takt_stream_cfg bad[] = {
        {.process = copy},
        {.in = fake, .block_frames = 16385, .process = copy},
        {.in = fake, .rate_hz = 7999, .process = copy},
        {.in = fake, .rate_hz = 384001, .process = copy},
        {.in = fake, .format = (enum takt_sample)99, .process = copy},
        {.in = fake, .layout = (enum takt_layout)2, .process = copy},
        {.in = fake, .priority = 99, .process = copy},
        {.in = fake, .priority = -2, .process = copy},
        {.in = {.device = "fake:", .channels = 5}, .process = copy},
        {.in = {.device = "fake:", .channels = 1, .map = (const uint16_t[]){4}}, .process = copy},
        {.out = {.device = "fake:", .channels = 2, .map = (const uint16_t[]){1, 1}},
         .process = copy},
        {.in = {.device = "fake:", .latency = TAKT_LATENCY_SECONDS}, .process = copy},
        {.in = {.device = "jack:system"}, .process = copy},
        {.in = {.device = "nosuch.wav"}, .process = copy},
        {.in = {.device = ""}, .process = copy},
        {.in = fake, .clock = TAKT_CLOCK_VIRTUAL},
    };
    script = (struct fake_script){.host_frames = 32};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_error e = {0};
        struct takt_stream *s = own_stream; /* anything but NULL */
        CHECK(takt_stream_check(&bad[i], &e) < 0);
        CHECK(strlen(e.text) > 10 && !strchr(e.text, '\n'));
        CHECK(takt_stream_create(&bad[i], &s, NULL) < 0);
        CHECK(!s);
    }
    CHECK_INT(fake_opened, fake_closed);
}

static void defaults_decide_where_settings_are_silent(void)
{
    struct takt_defaults d = {.in_device = "fake:", .rate_hz = 32000, .block_frames = 24}, got;
    struct takt_error e;
    CHECK_INT(takt_defaults_set(&d, &e), 0);
    takt_defaults_get(&got);
    CHECK(!strcmp(got.out_device, "fake:")); /* the first live one */
    struct takt_stream_actual a;
    script = (struct fake_script){.host_frames = 24};
    CHECK_INT(run_to_end(&(struct takt_stream_cfg){.in = {.channels = 1},
                                                   .length_frames = 48,
                                                   .process = note_blocks},
                         &a),
              0);
    CHECK_INT(a.rate_hz, 32000);
    CHECK_INT(a.block_frames, 24);
    CHECK(!strcmp(a.in_device, "fake:"));
    strcpy(d.in_device, "jack:x");
    CHECK_INT(takt_defaults_set(&d, &e), TAKT_ERR_NOT_FOUND);
    CHECK_INT(takt_defaults_set(&(struct takt_defaults){0}, &e), 0);
}

/* A sound system that hangs, or takes its time, is none of the business of a stream on others. */
static void create_with_named_devices_asks_for_no_list(void)
{
    struct takt_stream *s;
    struct takt_error e;
    fake_listed = 0;
    script = (struct fake_script){.host_frames = 64};
    CHECK_INT(takt_stream_create(
                  &(struct takt_stream_cfg){.in = {.device = "fake:"}, .out = {.device = "port:"}},
                  &s, &e),
              0);
    CHECK_INT(fake_listed, 0);
    takt_stream_destroy(s);
    CHECK_INT(takt_stream_create(&(struct takt_stream_cfg){.in = {.channels = 1}}, &s, &e), 0);
    CHECK(fake_listed > 0);
    takt_stream_destroy(s);
}

static void create_without_settings_is_refused(void)
{
    struct takt_stream *s = (struct takt_stream *)1;
    struct takt_error e;
    CHECK_INT(takt_stream_create(NULL, &s, &e), TAKT_ERR_ARG);
    CHECK(!s && e.code == TAKT_ERR_ARG && *e.text);
    CHECK_INT(takt_stream_check(NULL, &e), TAKT_ERR_ARG);
}

int main(void)
{
    RUN(create_with_named_devices_asks_for_no_list);
    RUN(create_without_settings_is_refused);
    RUN(block_of_any_size_in_any_host_block_adds_what_is_reported);
    RUN(block_in_varying_host_blocks_keeps_its_size_and_order);
    RUN(block_size_is_kept_and_position_never_jumps_unsaid);
    RUN(source_end_reaches_the_sink_to_the_frame);
    RUN(source_end_through_the_adapter_keeps_every_frame);
    RUN(length_ends_the_stream_to_the_frame);
    RUN(after_comes_for_each_block_when_its_output_is_delivered);
    RUN(after_does_not_come_for_a_block_that_is_aborted);
    RUN(after_that_takes_too_long_is_no_late_wake);
    RUN(loss_beyond_the_length_does_not_count);
    RUN(drain_lasts_until_the_last_frame_was_heard);
    RUN(abort_drops_the_block_and_drain_plays_it);
    RUN(every_format_and_layout_passes_through_exactly);
    RUN(map_chooses_device_channels_on_both_sides);
    RUN(starved_input_is_silence_flagged_and_counted);
    RUN(device_away_is_silence_and_two_events);
    RUN(table_leaves_no_state_that_cannot_end);
    RUN(random_calls_never_hang_and_never_leave_the_table);
    RUN(control_calls_in_the_callback_are_refused);
    RUN(stop_of_a_hanging_callback_returns_in_time);
    RUN(device_that_gives_no_block_is_a_timeout_not_a_hang);
    RUN_UNLESS_SANITIZED(running_engine_makes_no_system_call);
    RUN(blocking_write_and_read_move_every_frame_in_order);
    RUN(blocking_write_without_room_times_out_with_what_fitted);
    RUN(playrec_gives_back_what_the_device_looped);
    RUN(settings_out_of_range_are_refused_with_a_reason);
    RUN(defaults_decide_where_settings_are_silent);
    return tap_done();
}

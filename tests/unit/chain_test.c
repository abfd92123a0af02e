/* A chain on a clock of the test's: what is shed, when, and how it sounds. */
#include "base/random.h"
#include "fake_device.h"
#include "fault.h"
#include "stream/chain.h"
#include "tap.h"

#include <math.h>

enum { RATE = 48000, BLOCK = 64, STAGES = 6 };
static const double block_ns = BLOCK * 1e9 / RATE;
static int64_t clock_ns;

static int64_t test_clock(void *arg)
{
    return clock_ns;
}

/* A stage that takes a share of the block's time, and halves what it gets. */
struct work {
    double share;
    uint64_t calls, resets;
};
static struct work works[STAGES];

static void halve(float *const *io, uint32_t channels, uint32_t frames, void *arg)
{
    struct work *w = arg;
    w->calls++;
    clock_ns += (int64_t)(w->share * block_ns);
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t i = 0; i < frames; i++)
            io[c][i] *= 0.5f;
}

static void forget(void *arg)
{
    ((struct work *)arg)->resets++;
}

static struct takt_stage stages[STAGES];
static struct takt_chain *chain;
static uint64_t position;
static float out[2][BLOCK], before[2];
static double largest_step, largest_load;

/* Stage 0 has to run; the others may go, in the order of their importance. */
static int make(struct takt_chain_cfg cfg, const uint32_t *importance, double share)
{
    for (int i = 0; i < STAGES; i++) {
        works[i] = (struct work){.share = share};
        stages[i] = (struct takt_stage){.name = "halve",
                                        .run = halve,
                                        .arg = &works[i],
                                        .reset = forget,
                                        .optional = i > 0,
                                        .importance = importance ? importance[i] : 0};
    }
    cfg.stages = stages;
    cfg.count = STAGES;
    cfg.rate_hz = RATE;
    cfg.now = test_clock;
    takt_chain_destroy(chain);
    position = 0;
    clock_ns = 0;
    before[0] = before[1] = -1;
    largest_step = 0;
    return takt_chain_create(&cfg, &chain, NULL);
}

/* One block of ones in time; returns what is shed after it. */
static uint64_t step(int64_t late_ns)
{
    float ones[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        ones[i] = 1;
    int64_t due = (int64_t)((double)position * 1e9 / RATE);
    clock_ns = due + late_ns;
    struct takt_block b = {.in = (const float *const[]){ones, ones},
                           .out = (float *const[]){out[0], out[1]},
                           .in_channels = 2,
                           .out_channels = 2,
                           .frames = BLOCK,
                           .position = position,
                           .now_ns = clock_ns,
                           .deadline_ns = due + (int64_t)block_ns,
                           .times_valid = TAKT_TIME_NOW | TAKT_TIME_DEADLINE};
    if (takt_chain_process(&b, chain) != TAKT_CONTINUE)
        return UINT64_MAX;
    largest_load = (double)(clock_ns - due - late_ns) / block_ns;
    position += BLOCK;
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < BLOCK; i++) {
            double d = before[c] < 0 ? 0 : fabs((double)(out[c][i] - before[c]));
            largest_step = d > largest_step ? d : largest_step;
            before[c] = out[c][i];
        }
    return takt_chain_shed(chain);
}

static void set_shares(double share)
{
    for (int i = 0; i < STAGES; i++)
        works[i].share = share;
}

/* ---- What is shed --------------------------------------------------------------------------- */

static void nothing_is_shed_without_need_and_no_bit_is_changed(void)
{
    struct takt_random r = takt_random_seed(2);
    CHECK_INT(make((struct takt_chain_cfg){0}, NULL, 0), 0);
    for (int block = 0; block < 20000; block++) {
        /* On the whole below the mark, now and then near the deadline, often woken late. */
        bool near = takt_random_below(&r, 20) == 0;
        for (int i = 0; i < STAGES; i++)
            works[i].share = (near ? 0.16 : 0.12) * takt_random_unit(&r) + 0.005;
        int64_t late = takt_random_below(&r, 9) ? 0 : (int64_t)(0.2 * block_ns);
        CHECK_INT(step(late), 0);
        for (int i = 0; i < BLOCK; i++)
            CHECK(out[0][i] == 1.0f / 64 && out[1][i] == 1.0f / 64);
    }
    for (int i = 0; i < STAGES; i++)
        CHECK_INT(works[i].calls, 20000);
}

/* Is the set of shed stages what is least important, and of equals the last? */
static bool is_in_order(uint64_t shed, const uint32_t *importance)
{
    for (int i = 1; i < STAGES; i++)
        for (int k = 1; k < STAGES; k++) {
            bool i_first =
                importance[i] < importance[k] || (importance[i] == importance[k] && i > k);
            if (i_first && shed >> k & 1 && !(shed >> i & 1))
                return false;
        }
    return !(shed & 1);
}

static void stages_go_and_come_back_in_the_order_of_their_importance(void)
{
    struct takt_random r = takt_random_seed(9);
    for (int turn = 0; turn < 60; turn++) {
        uint32_t importance[STAGES];
        for (int i = 0; i < STAGES; i++)
            importance[i] = (uint32_t)takt_random_below(&r, 4);
        CHECK_INT(make((struct takt_chain_cfg){.hold_ms = 20, .hold_ms_max = 40}, importance, 0.05),
                  0);
        uint64_t seen = 0, shed = 0;
        for (int block = 0; block < 3000; block++) {
            if (block % 300 == 0)
                set_shares(takt_random_unit(&r) * 0.5);
            uint64_t now = step(0);
            CHECK(is_in_order(now, importance));
            CHECK(__builtin_popcountll(now ^ shed) <= 1); /* one at a time */
            seen |= shed = now;
        }
        CHECK(seen);
        CHECK(!(seen & 1));
    }
}

static void load_that_is_too_high_is_brought_below_the_mark_and_no_further(void)
{
    for (double share = 0.14; share < 0.5; share += 0.03) {
        CHECK_INT(make((struct takt_chain_cfg){.hold_ms = 60000}, NULL, 0.1), 0);
        for (int block = 0; block < 500; block++)
            CHECK_INT(step(0), 0);
        set_shares(share);
        int misses = 0;
        for (int block = 0; block < 2000; block++) {
            step(0);
            misses += largest_load > 1;
        }
        int left = STAGES - __builtin_popcountll(takt_chain_shed(chain));
        CHECK(left * share <= 0.8 || left == 1);
        CHECK(left == STAGES || (left + 1) * share > 0.8);
        /* Two blocks of fading a stage, and one to see, at most. */
        CHECK(misses <= 4 * (STAGES - left));
    }
}

static void stage_that_has_to_run_is_never_shed(void)
{
    CHECK_INT(make((struct takt_chain_cfg){0}, NULL, 2), 0);
    for (int block = 0; block < 5000; block++)
        CHECK(!(step(0) & 1));
    CHECK_INT(takt_chain_shed(chain), 62);
    CHECK_INT(works[0].calls, 5000);
}

static void one_stalled_block_sheds_one_stage_which_comes_back(void)
{
    CHECK_INT(make((struct takt_chain_cfg){0}, NULL, 0.08), 0);
    for (int block = 0; block < 500; block++)
        CHECK_INT(step(0), 0);
    works[2].share = 12;
    CHECK_INT(step(0), 32);
    works[2].share = 0.08;
    for (int block = 0; block < RATE / 2 / BLOCK - 1; block++)
        CHECK_INT(step(0), 32);
    for (int block = 0; block < 10; block++)
        step(0);
    CHECK_INT(takt_chain_shed(chain), 0);
    CHECK_INT(works[5].resets, 1);
    struct takt_stage_state s;
    CHECK_INT(takt_chain_read(chain, 5, &s), 0);
    CHECK_INT(s.sheds, 1);
    CHECK(s.shed_frames >= RATE / 2 && s.shed_frames < RATE / 2 + 4 * BLOCK);
}

static void load_that_comes_and_goes_does_not_make_it_flap(void)
{
    CHECK_INT(make((struct takt_chain_cfg){0}, NULL, 0.1), 0);
    /* Too much as soon as everything runs, and cheap as soon as one is gone: the worst there is. */
    int sheds = 0;
    uint64_t shed = 0, gone_at = 0, least = UINT64_MAX;
    for (int block = 0; block < 120 * RATE / BLOCK; block++) {
        set_shares(shed ? 0.02 : 0.19);
        uint64_t now = step(0);
        if (now & ~shed) {
            sheds++;
            gone_at = position;
        }
        if (shed & ~now)
            least = position - gone_at < least ? position - gone_at : least;
        shed = now;
    }
    CHECK(least >= RATE / 2 - BLOCK);
    CHECK(sheds >= 2 && sheds <= 14); /* 0.5 s, 1 s, 2 s … 32 s, and a few of two at once */
}

static void steady_load_that_does_not_fit_sheds_once(void)
{
    for (double share = 0.14; share < 0.4; share += 0.02) {
        CHECK_INT(make((struct takt_chain_cfg){0}, NULL, share), 0);
        uint64_t sheds = 0;
        for (int block = 0; block < 30 * RATE / BLOCK; block++) {
            step(0);
            if (block == RATE / BLOCK)
                sheds = takt_chain_sheds(chain);
        }
        CHECK_INT(takt_chain_sheds(chain), sheds);
    }
}

/* All at once, from the first block on: it is a miss that sheds, long before the followed load has
 * risen. What a stage took is known all the same. */
static void load_that_misses_at_once_sheds_once(void)
{
    for (double share = 0.35; share < 1.5; share += 0.05) {
        CHECK_INT(make((struct takt_chain_cfg){0}, NULL, share), 0);
        works[0].share = 0.08;
        uint64_t sheds = 0;
        for (int block = 0; block < 8 * RATE / BLOCK; block++) {
            step(0);
            if (block == RATE / BLOCK)
                sheds = takt_chain_sheds(chain);
        }
        CHECK(sheds >= 2);
        struct takt_stage_state last;
        CHECK_INT(takt_chain_read(chain, STAGES - 1, &last), 0);
        uint64_t back = takt_chain_sheds(chain) - sheds;
        CHECK(share < 0.51 || back == 0); /* less than what is left below the low mark may return */
        CHECK(!last.is_shed || last.load > 0.6 * fmin(share, 2));
    }
}

/* ---- How it sounds ----------------------------------------------------------------------------
 */

static void shedding_and_taking_back_make_no_step(void)
{
    struct takt_random r = takt_random_seed(8);
    for (int turn = 0; turn < 30; turn++) {
        double fade_ms = 0.5 + 10 * takt_random_unit(&r);
        CHECK_INT(make((struct takt_chain_cfg){.fade_ms = fade_ms, .hold_ms = 1, .hold_ms_max = 5},
                       NULL, 0.05),
                  0);
        for (int block = 0; block < 4000; block++) {
            if (block % 40 == 0)
                set_shares(takt_random_unit(&r) * 0.4);
            CHECK(step(0) != UINT64_MAX);
        }
        /* A stage halves: it changes the sound by half at most, and five fade at once at most. */
        double n = floor(fade_ms * RATE / 1000);
        CHECK(takt_chain_sheds(chain) > 3);
        CHECK(largest_step <= STAGES * 0.5 * 3.1416 / 2 / (n + 1) + 1e-6);
        CHECK(largest_step > 0);
    }
}

static void shed_stage_is_not_called_and_its_sound_is_dry(void)
{
    CHECK_INT(make((struct takt_chain_cfg){.hold_ms = 60000}, NULL, 0.3), 0);
    for (int block = 0; block < 1000; block++)
        step(0);
    CHECK_INT(takt_chain_shed(chain), 60); /* two of 0.3 fit */
    uint64_t calls[STAGES];
    for (int i = 0; i < STAGES; i++)
        calls[i] = works[i].calls;
    for (int block = 0; block < 100; block++)
        step(0);
    for (int i = 0; i < STAGES; i++)
        CHECK_INT(works[i].calls - calls[i], i < 2 ? 100 : 0);
    for (int i = 0; i < BLOCK; i++)
        CHECK(out[0][i] == 0.25f && out[1][i] == 0.25f);
}

/* ---- In a stream --------------------------------------------------------------------------- */

static struct takt_stream *stream;

static void stream_shows_what_its_chain_sheds(void)
{
    struct takt_error e;
    CHECK_INT(make((struct takt_chain_cfg){.hold_ms = 60000}, NULL, 0.3), 0);
    script = (struct fake_script){.host_frames = BLOCK};
    CHECK_INT(takt_stream_create(&(struct takt_stream_cfg){.in = {.device = "fake:", .channels = 2},
                                                           .out = {.device = "fake:"},
                                                           .rate_hz = RATE,
                                                           .length_frames = 60000,
                                                           .chain = chain},
                                 &stream, &e),
              0);
    for (int turn = 0; turn < 2; turn++) { /* a new start begins with all stages */
        CHECK_INT(takt_stream_start(stream), 0);
        struct takt_health h;
        struct takt_stage_state seen;
        while (takt_stream_state(stream) != TAKT_STATE_STOPPED) { /* beside the device thread */
            takt_stream_health(stream, &h);
            CHECK(h.sheds <= 4 && (h.shed & ~60u) == 0);
            CHECK_INT(takt_chain_read(chain, 5, &seen), 0);
            CHECK(seen.load >= 0 && seen.load <= 2 && seen.sheds <= 1);
        }
        CHECK_INT(takt_stream_wait(stream, 10000), 0);
        takt_stream_health(stream, &h);
        CHECK_INT(h.shed, 60);
        CHECK_INT(h.sheds, 4);
        CHECK_INT(takt_stream_event_count(stream, TAKT_EVENT_SHED), 4);
    }
    uint64_t last = 0;
    for (struct takt_event ev; takt_stream_next_event(stream, &ev);)
        last = ev.type == TAKT_EVENT_SHED ? ev.value : last;
    CHECK_INT(last, 60);
    CHECK_NEAR(fake_out[0][50000], fake_sample(50000, 0) / 4, 1e-7);
    takt_stream_destroy(stream);
}

static void chain_that_does_not_fit_the_stream_is_refused(void)
{
    CHECK_INT(make((struct takt_chain_cfg){.block_frames_max = 128}, NULL, 0), 0);
    script = (struct fake_script){.host_frames = BLOCK};
    struct takt_side_cfg two = {.device = "fake:", .channels = 2};
    struct takt_side_cfg three = {.device = "fake:", .channels = 3};
    const struct takt_stream_cfg bad[] = {
        {.out = three, .rate_hz = RATE, .chain = chain},
        {.out = two, .rate_hz = RATE, .block_frames = 256, .chain = chain},
        {.out = two, .rate_hz = 44100, .chain = chain},
        {.out = two, .rate_hz = RATE, .layout = TAKT_INTERLEAVED, .chain = chain},
        {.out = two, .rate_hz = RATE, .format = TAKT_S16, .chain = chain},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_error e = {0};
        CHECK_INT(takt_stream_check(&bad[i], &e), TAKT_ERR_ARG);
        CHECK(strlen(e.text) > 10);
    }
    float *const planes[3] = {out[0], out[1], out[0]};
    struct takt_block b = {.out = planes, .out_channels = 3, .frames = BLOCK};
    CHECK(takt_chain_process(&b, chain) == TAKT_ABORT);
    b = (struct takt_block){.out = planes, .out_channels = 2, .frames = 129};
    CHECK(takt_chain_process(&b, chain) == TAKT_ABORT);
    b = (struct takt_block){.out_channels = 2, .frames = BLOCK};
    CHECK(takt_chain_process(&b, chain) == TAKT_ABORT);
}

static void virtual_stream_without_a_clock_for_the_chain_sheds_nothing(void)
{
    struct takt_error e;
    struct takt_chain *blind;
    works[0].share = 5;
    stages[0].optional = true;
    CHECK_INT(
        takt_chain_create(&(struct takt_chain_cfg){.stages = stages, .count = STAGES}, &blind, &e),
        0);
    CHECK_INT(takt_chain_bind(blind,
                              &(struct takt_chain_use){.rate_hz = RATE,
                                                       .channels = 2,
                                                       .block_frames_max = BLOCK,
                                                       .host_frames = BLOCK,
                                                       .virtual_clock = true},
                              &e),
              0);
    float *const planes[2] = {out[0], out[1]};
    struct takt_block b = {.out = planes, .out_channels = 2, .frames = BLOCK};
    for (int i = 0; i < 1000; i++)
        CHECK(takt_chain_process(&b, blind) == TAKT_CONTINUE);
    CHECK_INT(takt_chain_sheds(blind), 0);
    struct takt_stage_state s;
    CHECK_INT(takt_chain_read(blind, 0, &s), 0);
    CHECK(s.load == 0);
    CHECK_INT(takt_chain_read(blind, STAGES, &s), TAKT_ERR_ARG);
    takt_chain_destroy(blind);
}

/* ---- Memory and settings ----------------------------------------------------------------------
 */

static void settings_that_make_no_sense_are_refused(void)
{
    const struct takt_stage whole[65] = {{.run = halve}, {.run = halve}}, none[1] = {{.name = "x"}};
    const struct takt_chain_cfg bad[] = {
        {.count = 1},
        {.stages = whole},
        {.stages = whole, .count = 65},
        {.stages = none, .count = 1},
        {.stages = whole, .count = 1, .channels = 65},
        {.stages = whole, .count = 1, .block_frames_max = 16385},
        {.stages = whole, .count = 1, .rate_hz = 7999},
        {.stages = whole, .count = 1, .high = 0.5},
        {.stages = whole, .count = 1, .high = 1.1},
        {.stages = whole, .count = 1, .low = -0.1},
        {.stages = whole, .count = 1, .low = (double)NAN},
        {.stages = whole, .count = 1, .fade_ms = 51},
        {.stages = whole, .count = 1, .fade_ms = -1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_error e = {0};
        struct takt_chain *c = chain;
        CHECK_INT(takt_chain_create(&bad[i], &c, &e), TAKT_ERR_ARG);
        CHECK(!c && strlen(e.text) > 10);
    }
    takt_chain_destroy(NULL);
}

static void chain_takes_its_memory_at_create_or_not_at_all(void)
{
    struct takt_chain_cfg cfg = {.stages = stages, .count = STAGES, .now = test_clock};
    for (int n = 1;; n++) {
        struct takt_chain *c;
        struct takt_error e;
        long held = fault_held();
        fault_at(n);
        int err = takt_chain_create(&cfg, &c, &e);
        bool failed = fault_happened();
        fault_at(0);
        CHECK_INT(err, failed ? TAKT_ERR_NOMEM : 0);
        takt_chain_destroy(c);
        CHECK_INT(fault_held(), held);
        if (!failed)
            break;
    }
    CHECK_INT(make((struct takt_chain_cfg){.hold_ms = 10}, NULL, 0.1), 0);
    int requests = fault_seen;
    for (int block = 0; block < 2000; block++) {
        set_shares(block / 200 % 2 ? 0.3 : 0.05);
        step(0);
    }
    CHECK(takt_chain_sheds(chain) > 4);
    CHECK_INT(fault_seen, requests);
}

int main(void)
{
    RUN(nothing_is_shed_without_need_and_no_bit_is_changed);
    RUN(stages_go_and_come_back_in_the_order_of_their_importance);
    RUN(load_that_is_too_high_is_brought_below_the_mark_and_no_further);
    RUN(stage_that_has_to_run_is_never_shed);
    RUN(one_stalled_block_sheds_one_stage_which_comes_back);
    RUN(load_that_comes_and_goes_does_not_make_it_flap);
    RUN(steady_load_that_does_not_fit_sheds_once);
    RUN(load_that_misses_at_once_sheds_once);
    RUN(shedding_and_taking_back_make_no_step);
    RUN(shed_stage_is_not_called_and_its_sound_is_dry);
    RUN(stream_shows_what_its_chain_sheds);
    RUN(chain_that_does_not_fit_the_stream_is_refused);
    RUN(virtual_stream_without_a_clock_for_the_chain_sheds_nothing);
    RUN(settings_that_make_no_sense_are_refused);
    RUN(chain_takes_its_memory_at_create_or_not_at_all);
    takt_chain_destroy(chain);
    return tap_done();
}

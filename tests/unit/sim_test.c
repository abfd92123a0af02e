/* Whole streams on the simulated device, in virtual time: latency to the frame, faults that
 * replay, ids that make no sense, and every failing request of create. */
#include "base/random.h"
#include "fault.h"
#include "takt/contract.h"
#include "takt/device.h"
#include "takt/stream.h"
#include "tap.h"

#include <math.h>
#include <unistd.h>

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);

char *__wrap_strdup(const char *s)
{
    return fault_now(ENOMEM) ? NULL : fault_block(__real_strdup(s));
}

/* ---- The loop ------------------------------------------------------------------------------- */

enum { HEARD_MAX = 1 << 16 };
static float heard[HEARD_MAX];

/* Sends one impulse in the first frame and keeps what comes back. */
static enum takt_next probe(const struct takt_block *b, void *arg)
{
    if (b->position == 0)
        b->out[0][0] = 1;
    for (uint32_t i = 0; i < b->frames && b->position + i < HEARD_MAX; i++)
        heard[b->position + i] = b->in[0][i];
    return TAKT_CONTINUE;
}

static int run(const struct takt_stream_cfg *cfg, struct takt_stream_actual *actual,
               struct takt_contract_snapshot *contract)
{
    struct takt_stream *s;
    struct takt_error e;
    int err = takt_stream_create(cfg, &s, &e);
    if (err < 0) {
        printf("# %s\n", e.text);
        return err;
    }
    if ((err = takt_stream_start(s)) >= 0)
        err = takt_stream_wait(s, 20000);
    if (actual)
        takt_stream_actual(s, actual);
    if (contract)
        takt_contract_read(takt_stream_contract(s), contract);
    takt_stream_destroy(s);
    return err;
}

static void impulse_comes_back_after_exactly_the_reported_latency(void)
{
    const uint32_t blocks[] = {0, 1, 16, 64, 100, 128, 250, 1000};
    const char *const hosts[] = {"sim:loop", "sim:loop,host=64", "sim:loop,host=96",
                                 "sim:loop,host=64,vary", "sim:loop,host=1"};
    for (size_t n = 0; n < sizeof blocks / sizeof *blocks; n++)
        for (size_t h = 0; h < sizeof hosts / sizeof *hosts; h++) {
            struct takt_stream_actual a;
            memset(heard, 0, sizeof heard);
            CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = hosts[h], .channels = 1},
                                                    .out = {.device = hosts[h], .channels = 1},
                                                    .block_frames = blocks[n],
                                                    .length_frames = 8000,
                                                    .clock = TAKT_CLOCK_VIRTUAL,
                                                    .process = probe},
                          &a, NULL),
                      0);
            uint32_t back = a.latency_in_frames + a.latency_out_frames + a.adapter_frames;
            for (uint32_t i = 0; i < 8000; i++)
                CHECK(heard[i] == (i == back ? 1.0f : 0.0f));
        }
}

/* The delay is the path's, so it is not in what is reported; the gain is that of db=. */
static void loop_comes_back_after_its_own_delay_too(void)
{
    const uint32_t delays[] = {0, 1, 7, 127, 128, 480, 5000}, blocks[] = {0, 1, 77, 250};
    for (size_t d = 0; d < sizeof delays / sizeof *delays; d++)
        for (size_t n = 0; n < sizeof blocks / sizeof *blocks; n++) {
            char in[64];
            struct takt_stream_actual a;
            snprintf(in, sizeof in, "sim:loop,host=64,delay=%u,db=20", delays[d]);
            memset(heard, 0, sizeof heard);
            CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = in, .channels = 1},
                                                    .out = {.device = "sim:", .channels = 1},
                                                    .block_frames = blocks[n],
                                                    .length_frames = 8000,
                                                    .clock = TAKT_CLOCK_VIRTUAL,
                                                    .process = probe},
                          &a, NULL),
                      0);
            uint32_t reported = a.latency_in_frames + a.latency_out_frames + a.adapter_frames;
            CHECK_INT(a.host_block_frames, 64);
            for (uint32_t i = 0; i < 8000; i++)
                CHECK_NEAR(heard[i], i == reported + delays[d] ? 10 : 0, 1e-5);
        }
}

static void loop_adds_noise_of_the_level_that_is_asked_for(void)
{
    double squares = 0;
    memset(heard, 0, sizeof heard);
    CHECK_INT(
        run(&(struct takt_stream_cfg){.in = {.device = "sim:loop,noise=-20,db=-100", .channels = 1},
                                      .out = {.device = "sim:", .channels = 1},
                                      .length_frames = HEARD_MAX,
                                      .clock = TAKT_CLOCK_VIRTUAL,
                                      .process = probe},
            NULL, NULL),
        0);
    for (uint32_t i = 0; i < HEARD_MAX; i++)
        squares += (double)heard[i] * (double)heard[i];
    CHECK_NEAR(10 * log10(squares / HEARD_MAX), -20, 0.1);
}

/* ---- Replay ---------------------------------------------------------------------------------- */

struct digest {
    uint64_t sound, blocks;
    char report[2048];
};

static enum takt_next take_digest(const struct takt_block *b, void *arg)
{
    struct digest *d = arg;
    for (uint32_t c = 0; c < b->in_channels; c++)
        for (uint32_t i = 0; i < b->frames; i++) {
            uint32_t bits;
            memcpy(&bits, &b->in[c][i], sizeof bits);
            d->sound = (d->sound ^ bits) * 0x100000001b3u;
        }
    d->sound = (d->sound ^ b->flags ^ b->position ^ (uint64_t)b->now_ns) * 0x100000001b3u;
    d->blocks++;
    return TAKT_CONTINUE;
}

static int digest(const char *id, uint64_t seed, struct digest *d)
{
    struct takt_contract_snapshot k;
    *d = (struct digest){.sound = 0xcbf29ce484222325u};
    int err = run(&(struct takt_stream_cfg){.in = {.device = id, .channels = 2},
                                            .block_frames = 80,
                                            .length_frames = 4 * 48000,
                                            .seed = seed,
                                            .clock = TAKT_CLOCK_VIRTUAL,
                                            .process = take_digest,
                                            .arg = d},
                  NULL, &k);
    takt_contract_json(&k, d->report, sizeof d->report);
    return err;
}

static void virtual_clock_replays_bit_for_bit_from_its_seed(void)
{
    static const char *const id = "sim:voice+guitar,jitter=200us,work=600us~500us,xrun=1s,xrun=2s,"
                                  "vanish=2.5s+0.5s,host=96,vary,ppm=250";
    static struct digest a, b, c;
    CHECK_INT(digest(id, 7, &a), 0);
    CHECK_INT(digest(id, 7, &b), 0);
    CHECK_INT(digest(id, 8, &c), 0);
    CHECK(a.blocks > 1000);
    CHECK(a.sound == b.sound && a.blocks == b.blocks);
    CHECK(!strcmp(a.report, b.report));
    CHECK(a.sound != c.sound);
    CHECK(strcmp(a.report, c.report) != 0);
}

static void injected_faults_are_counted_by_their_cause(void)
{
    struct takt_contract_snapshot k;
    static struct digest d;
    struct takt_stream_cfg cfg = {.in = {.device = "sim:noise,xrun=0.2s,xrun=0.4s,xrun=0.6s"},
                                  .block_frames = 64,
                                  .length_frames = 48000,
                                  .clock = TAKT_CLOCK_VIRTUAL,
                                  .process = take_digest,
                                  .arg = &d};
    CHECK_INT(run(&cfg, NULL, &k), 0);
    CHECK_INT(k.misses[TAKT_MISS_HOST_XRUN], 3);
    CHECK_INT(k.misses_total, 3);
    CHECK_INT(k.lost_frames, 3 * 64);

    cfg.in.device = "sim:noise,work=2ms"; /* each block of 1.33 ms overruns */
    CHECK_INT(run(&cfg, NULL, &k), 0);
    CHECK(k.misses[TAKT_MISS_OVERRAN] > 100);
    CHECK_INT(k.misses[TAKT_MISS_OVERRAN], k.misses_total);
    CHECK(k.slack_ns_min < 0);

    cfg.in.device = "sim:noise,jitter=300us"; /* a spike is ten times that */
    cfg.length_frames = 480000;
    CHECK_INT(run(&cfg, NULL, &k), 0);
    CHECK(k.misses[TAKT_MISS_LATE_WAKE] > 0);
    CHECK_INT(k.misses[TAKT_MISS_LATE_WAKE], k.misses_total);

    cfg.in.device = "sim:noise,work=100us";
    CHECK_INT(run(&cfg, NULL, &k), 0);
    CHECK_INT(k.misses_total, 0);
    CHECK_NEAR(k.duration_ns_p50, 100000, 100000 / 32.0);
    CHECK_NEAR(k.cpu_load, 100e-6 * 48000 / 64, 0.001);
}

/* Nobody takes events while there are thousands of xruns. */
static void a_flood_of_xruns_hides_neither_loss_nor_end(void)
{
    struct takt_stream *s;
    struct takt_error e;
    static struct digest d;
    int seen[TAKT_EVENT_TYPES] = {0};
    struct takt_stream_cfg cfg = {.in = {.device = "sim:tone,jitter=1ms,vanish=2s+1s"},
                                  .out = {.device = "null:"},
                                  .block_frames = 16,
                                  .length_frames = 5 * 48000,
                                  .clock = TAKT_CLOCK_VIRTUAL,
                                  .process = take_digest,
                                  .arg = &d};
    CHECK_INT(takt_stream_create(&cfg, &s, &e), 0);
    CHECK_INT(takt_stream_start(s), 0);
    CHECK_INT(takt_stream_wait(s, 60000), 0);
    for (struct takt_event ev; takt_stream_next_event(s, &ev);)
        seen[ev.type]++;
    CHECK_INT(seen[TAKT_EVENT_STARTED], 1);
    CHECK_INT(seen[TAKT_EVENT_DEVICE_LOST], 1);
    CHECK_INT(seen[TAKT_EVENT_DEVICE_BACK], 1);
    CHECK_INT(seen[TAKT_EVENT_FINISHED], 1);
    CHECK((int)takt_stream_event_count(s, TAKT_EVENT_XRUN) > 1000);
    CHECK(seen[TAKT_EVENT_XRUN] < 256);
    CHECK_INT((int)takt_stream_event_count(s, TAKT_EVENT_DEVICE_LOST), 1);
    takt_stream_destroy(s);
}

/* A wake-up that is late by many periods is recorded against the deadline that it missed. */
static void late_wakes_have_the_slack_that_they_left(void)
{
    enum { FRAMES = 64, RATE_HZ = 48000 };
    struct takt_stream *s;
    struct takt_error e;
    static struct digest d;
    struct takt_miss misses[TAKT_MISSES_KEPT];
    struct takt_contract_snapshot k;
    struct takt_stream_cfg cfg = {.in = {.device = "sim:tone,jitter=5ms,work=100us"},
                                  .rate_hz = RATE_HZ,
                                  .block_frames = FRAMES,
                                  .length_frames = 5 * RATE_HZ,
                                  .clock = TAKT_CLOCK_VIRTUAL,
                                  .process = take_digest,
                                  .arg = &d};
    CHECK_INT(takt_stream_create(&cfg, &s, &e), 0);
    CHECK_INT(takt_stream_start(s), 0);
    CHECK_INT(takt_stream_wait(s, 60000), 0);
    int n = takt_contract_last_misses(takt_stream_contract(s), misses, TAKT_MISSES_KEPT);
    CHECK(n > 10);
    for (int i = 0; i < n; i++) {
        CHECK_INT(misses[i].cause, TAKT_MISS_LATE_WAKE);
        CHECK_NEAR(misses[i].lateness_ns + misses[i].duration_ns + misses[i].slack_ns,
                   FRAMES * 1e9 / RATE_HZ, 2);
        CHECK(misses[i].slack_ns < 0);
    }
    takt_contract_read(takt_stream_contract(s), &k);
    CHECK_NEAR(-k.slack_ns_min, k.lateness_ns_max + 100000 - FRAMES * 1e9 / RATE_HZ,
               k.lateness_ns_max / 16.0);
    takt_stream_destroy(s);
}

static void measured_rate_follows_the_device(void)
{
    struct takt_contract_snapshot k;
    static struct digest d;
    const double ppms[] = {-500, -20, 0, 300, 500};
    for (int i = 0; i < 5; i++) {
        char id[64];
        snprintf(id, sizeof id, "sim:silence,ppm=%g", ppms[i]);
        CHECK_INT(run(&(struct takt_stream_cfg){.in = {.device = id},
                                                .block_frames = 128,
                                                .length_frames = 20 * 48000,
                                                .clock = TAKT_CLOCK_VIRTUAL,
                                                .process = take_digest,
                                                .arg = &d},
                      NULL, &k),
                  0);
        CHECK_NEAR(k.rate_measured_hz, 48000 * (1 + ppms[i] * 1e-6), 0.05); /* 1 ppm */
    }
}

/* ---- Ids ------------------------------------------------------------------------------------- */

static void ids_that_make_no_sense_are_refused_in_one_line(void)
{
    const char *const bad[] = {
        "sim:nosuch",
        "sim:voice,",
        "sim:voice,x",
        "sim:voice,ppm",
        "sim:voice,ppm=",
        "sim:voice,ppm=1e9",
        "sim:voice,ppm=nan",
        "sim:voice,jitter=-1us",
        "sim:voice,xrun=x",
        "sim:voice,vanish=1s",
        "sim:voice,vanish=1s+",
        "sim:voice,vanish=+1s",
        "sim:voice,host=0",
        "sim:voice,host=1.5",
        "sim:voice,host=9999",
        "sim:voice,vary=1",
        "sim:voice,seed=0",
        "sim:voice,db=99",
        "sim:loop+voice",
        "sim:voice,delay=1",
        "sim:voice,noise=-20",
        "sim:loop,delay=1.5",
        "sim:loop,delay=1048577",
        "sim:loop,noise=21",
        "sim:voice,work=1~",
        "sim:voice,xrun=2s,xrun=1s",
        "sim:tone=0",
        "null:x",
        "file:",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct takt_error e = {0};
        int err = takt_stream_check(
            &(struct takt_stream_cfg){.in = {.device = bad[i]}, .process = probe}, &e);
        if (!strcmp(bad[i], "sim:voice,"))
            continue; /* an empty option is no option */
        if (err >= 0)
            printf("# %s was taken\n", bad[i]);
        CHECK(err < 0);
        CHECK(strlen(e.text) > 10 && !strchr(e.text, '\n'));
    }
}

static void mutated_ids_never_crash(void)
{
    static const char *const seeds[] = {"sim:voice+guitar,ppm=300,jitter=50us,xrun=2.5s",
                                        "sim:tone=440,vanish=3s+1s,host=96,vary,work=200us~50us",
                                        "sim:sweep=3,db=-12,seed=5", "sim:clicks=4+loop"};
    static const char letters[] = "abcdeghijklmnoprstuvwxyz0123456789=,+-~.:/ \xff%";
    struct takt_random r = takt_random_seed(5);
    int taken = 0;
    for (int i = 0; i < ROUNDS(3000); i++) {
        char id[128];
        snprintf(id, sizeof id, "%s", seeds[takt_random_below(&r, 4)]);
        for (uint64_t k = takt_random_below(&r, 4) + 1; k; k--)
            id[4 + takt_random_below(&r, strlen(id) - 4)] =
                letters[takt_random_below(&r, sizeof letters - 1)];
        struct takt_device_info info;
        struct takt_error e = {0};
        int err = takt_device_query(id, &info, &e);
        CHECK(err == 0 || e.text[0]);
        taken += err == 0;
        if (i % 10 == 0)
            takt_stream_check(&(struct takt_stream_cfg){.in = {.device = id}, .process = probe},
                              &e);
    }
    CHECK(taken > ROUNDS(3000) / 300 && taken < ROUNDS(3000) * 29 / 30);
}

static void list_offers_only_what_can_be_opened(void)
{
    struct takt_device_info *list;
    struct takt_error e;
    int n = takt_devices(&list, &e), ins = 0, outs = 0;
    CHECK(n > 5);
    for (int i = 0; i < n; i++) {
        ins += list[i].is_default_in;
        outs += list[i].is_default_out;
        if (!strcmp(list[i].id, "file:"))
            continue; /* wants a path behind it */
        struct takt_stream_cfg cfg = {.process = probe};
        if (list[i].in_channels_max)
            cfg.in.device = list[i].id;
        else
            cfg.out.device = list[i].id;
        CHECK_INT(takt_stream_check(&cfg, &e), 0);
    }
    takt_devices_free(list);
    CHECK_INT(ins, 1);
    CHECK_INT(outs, 1);
}

/* ---- Failing requests ------------------------------------------------------------------------ */

static bool create_gives_back_everything(const struct takt_stream_cfg *cfg, const char *what)
{
    struct takt_stream *s;
    struct takt_error e;
    if (takt_stream_create(cfg, &s, &e) < 0) { /* once, for what is made only once */
        printf("# %s: %s\n", what, e.text);
        return false;
    }
    takt_stream_destroy(s);
    long before = fault_held();
    for (int n = 1; n < 1000; n++) {
        fault_at(n);
        int err = takt_stream_create(cfg, &s, &e);
        bool happened = fault_happened();
        fault_at(0);
        if (!happened) {
            takt_stream_destroy(s);
            printf("# %s: %d requests\n", what, n - 1);
            return err == 0 && n > 3 && fault_held() == before;
        }
        if (err >= 0) /* it found another way */
            takt_stream_destroy(s);
        if (fault_held() != before || (err < 0 && (s || !e.text[0]))) {
            printf("# %s: request %d leaves %ld\n", what, n, fault_held() - before);
            return false;
        }
    }
    return false;
}

static void every_failing_request_of_create_is_survived(void)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/takt-sim-test-%d.wav", (int)getpid());
    CHECK(create_gives_back_everything(
        &(struct takt_stream_cfg){.in = {.device = "sim:voice+guitar", .channels = 2},
                                  .out = {.device = "sim:loop"},
                                  .block_frames = 100,
                                  .layout = TAKT_INTERLEAVED,
                                  .format = TAKT_S16,
                                  .process = probe},
        "duplex"));
    CHECK(create_gives_back_everything(
        &(struct takt_stream_cfg){.in = {.device = "sim:loop", .channels = 2},
                                  .out = {.device = "sim:loop"}},
        "blocking loop"));
    CHECK(create_gives_back_everything(&(struct takt_stream_cfg){.in = {.device = "sim:noise"},
                                                                 .out = {.device = path},
                                                                 .process = probe},
                                       "recording"));
    CHECK(create_gives_back_everything(
        &(struct takt_stream_cfg){.in = {.device = "sim:tone,ppm=200", .channels = 2},
                                  .out = {.device = "sim:,ppm=0"},
                                  .process = probe},
        "two clocks"));
    CHECK(access(path, F_OK) != 0); /* create makes no file */
}

int main(void)
{
    RUN(impulse_comes_back_after_exactly_the_reported_latency);
    RUN(loop_comes_back_after_its_own_delay_too);
    RUN(loop_adds_noise_of_the_level_that_is_asked_for);
    RUN(virtual_clock_replays_bit_for_bit_from_its_seed);
    RUN(injected_faults_are_counted_by_their_cause);
    RUN(a_flood_of_xruns_hides_neither_loss_nor_end);
    RUN(late_wakes_have_the_slack_that_they_left);
    RUN(measured_rate_follows_the_device);
    RUN(ids_that_make_no_sense_are_refused_in_one_line);
    RUN(mutated_ids_never_crash);
    RUN(list_offers_only_what_can_be_opened);
    RUN(every_failing_request_of_create_is_survived);
    return tap_done();
}

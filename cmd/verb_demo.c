/*
 * The demo: what takt is, in fifteen seconds, on any machine. Real threads, real deadlines, real
 * meters; only the sound card is simulated.
 */
#include "session.h"
#include "terminal.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RATE_HZ = 48000 };

static void heading(const struct options *o, const struct terminal *t, const char *text)
{
    if (!o->quiet) {
        printf("\n%s%s%s\n", terminal_bold(t), text, terminal_plain(t));
        fflush(stdout);
    }
}

/* A voice on the left and a guitar on the right, through gain, sway and a limiter. */
static int play_scene(struct options *o, const struct terminal *t,
                      struct takt_contract_snapshot *contract)
{
    struct chain chain = {.count = 0};
    chain_add_gain(&chain, 3);
    chain_add_sway(&chain, 5);
    chain_add_limiter(&chain, -1);
    struct session s = {.options = o, .chain = &chain, .mixes = true, .no_summary = true};
    s.stream = options_stream(o);
    s.stream.rate_hz = RATE_HZ;
    s.stream.block_frames = 64;
    s.stream.in = (struct takt_side_cfg){.device = "sim:voice+guitar", .channels = 2};
    s.stream.out = (struct takt_side_cfg){.device = o->out ? o->out : "sim:", .channels = 2};
    s.stream.length_frames = 7 * RATE_HZ;
    s.title = "voice and guitar -> gain, sway, limiter, in blocks of 64 frames";
    heading(o, t,
            "1. A voice and a guitar, live, 1.33 ms at a time: each block has to be ready in time");
    int status = session_run(&s);
    *contract = s.contract;
    if (s.stopped_by_user)
        return -1;
    return status;
}

/* The trade that everyone asks about, measured here and now. */
static int compare_blocks(struct options *o, const struct terminal *t)
{
    static const uint32_t blocks[] = {64, 256, 1024};
    heading(o, t, "2. The block-size trade on this machine, a second each");
    if (!o->quiet)
        printf("  block  round trip   load   woken late p99    worst slack  misses\n");
    for (int i = 0; i < 3; i++) {
        struct options quiet = *o;
        quiet.quiet = true;
        struct session s = {.options = &quiet, .mixes = true, .no_summary = true};
        s.stream = options_stream(o);
        s.stream.rate_hz = RATE_HZ;
        s.stream.block_frames = blocks[i];
        s.stream.in = (struct takt_side_cfg){.device = "sim:voice+guitar", .channels = 2};
        s.stream.out = (struct takt_side_cfg){.device = "sim:", .channels = 2};
        s.stream.length_frames = RATE_HZ;
        int status = session_run(&s);
        if (status || s.stopped_by_user)
            return status ? status : -1;
        uint32_t frames =
            s.actual.latency_in_frames + s.actual.latency_out_frames + s.actual.adapter_frames;
        if (!o->quiet)
            printf("  %5u  %7.1f ms  %4.1f %%  %11.3f ms  %10.2f ms  %6llu\n", blocks[i],
                   1e3 * frames / RATE_HZ, 100 * s.contract.cpu_load,
                   (double)s.contract.lateness_ns_p99 / 1e6, (double)s.contract.slack_ns_min / 1e6,
                   (unsigned long long)s.contract.misses_total);
        fflush(stdout);
    }
    return 0;
}

/* A device that goes away and comes back: the stream goes on, and says so. */
static int lose_device(struct options *o, const struct terminal *t)
{
    heading(o, t, "3. The device is pulled out for a second: the stream goes on in silence");
    struct session s = {.options = o, .mixes = true, .no_summary = true};
    s.stream = options_stream(o);
    s.stream.rate_hz = RATE_HZ;
    s.stream.block_frames = 256;
    s.stream.in =
        (struct takt_side_cfg){.device = "sim:voice+guitar,vanish=1.2s+1s", .channels = 2};
    s.stream.out = (struct takt_side_cfg){.device = "sim:", .channels = 2};
    s.stream.length_frames = 7 * RATE_HZ / 2;
    s.title = "voice and guitar -> sim:";
    int status = session_run(&s);
    return s.stopped_by_user ? -1 : status;
}

static void say_next(const struct options *o, const struct terminal *t)
{
    static const char *const recording = "/usr/share/sounds/alsa/Front_Center.wav";
    bool have = access(recording, R_OK) == 0;
    heading(o, t, "Try next");
    printf("  build/takt meter %s\n", have ? recording : "YOUR.wav");
    printf("  build/takt run %s gain=-2dB quieter.wav --fast\n", have ? recording : "YOUR.wav");
    printf("  build/takt record take.flac -i sim:guitar -t 10\n");
    printf("\nYour own recording goes in the same place: WAV, FLAC, Ogg, MP3.\n");
}

int verb_demo(struct options *o)
{
    int status = verb_words(o, 0, 0, "");
    if (status)
        return status;
    if (o->json || o->fast || o->in || o->seconds)
        return complain(o, EXIT_USAGE, "the demo takes -o FILE and -q only; see takt run");
    struct terminal t;
    struct takt_contract_snapshot contract;
    terminal_init(&t);
    if (!o->quiet)
        printf("takt %s: sound keeps its deadline, and takt shows that it did.\n", takt_version());
    status = play_scene(o, &t, &contract);
    if (!status)
        status = compare_blocks(o, &t);
    if (!status)
        status = lose_device(o, &t);
    if (status > 0)
        return status;
    if (status == 0 && !o->quiet) {
        char text[2048];
        heading(o, &t, "What part 1 kept");
        takt_contract_text(&contract, text, sizeof text);
        fputs(text, stdout);
        say_next(o, &t);
    }
    return o->strict && contract.misses_total ? EXIT_BROKEN : EXIT_OK;
}

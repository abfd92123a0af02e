/*
 * The demo: what takt is, in fifteen seconds, on any machine. Real threads, real deadlines, real
 * meters; only the sound card is simulated.
 */
#include "output.h"
#include "terminal.h"
#include "verbs.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { RATE_HZ = 48000 };

/* A part's status when the user has ended it: the demo ends, and well. */
enum { LEFT = -1 };

struct demo {
    struct options *options;
    struct terminal terminal; /* for its colours */
    struct takt_contract_snapshot contract;
    bool sink_failed;
};

static void heading(const struct demo *d, const char *text)
{
    if (d->options->quiet)
        return;
    printf("\n%s%s%s\n", terminal_bold(&d->terminal), text, terminal_plain(&d->terminal));
    output_flush();
}

static struct session make_session(const struct options *o, const char *in, const char *out,
                                   uint32_t block_frames, double seconds)
{
    struct session s = {.options = o, .mixes = true, .no_summary = true};
    s.stream = options_stream(o);
    s.stream.rate_hz = RATE_HZ;
    s.stream.block_frames = block_frames;
    s.stream.in = (struct takt_side_cfg){.device = in, .channels = 2};
    s.stream.out = (struct takt_side_cfg){.device = out, .channels = 2};
    s.stream.length_frames = (uint64_t)(seconds * RATE_HZ);
    return s;
}

static int run_part(struct session *s)
{
    int status = session_run(s);
    return s->stopped_by_user || (!status && output_flush()) ? LEFT : status;
}

static int play_scene(struct demo *d)
{
    struct options o = *d->options;
    struct chain chain = {.count = 0};
    chain_add_gain(&chain, 3);
    chain_add_sway(&chain, 5);
    chain_add_limiter(&chain, -1);
    o.strict = false; /* that is for the end */
    struct session s = make_session(&o, "sim:voice+guitar", o.out ? o.out : "sim:", 64, 7);
    s.chain = &chain;
    s.title = "voice and guitar -> gain, sway, limiter";
    heading(d, "1. A voice and a guitar, live: each 1.33 ms a block has to be ready");
    s.outlives_sink = true;
    int status = run_part(&s);
    d->contract = s.contract;
    d->sink_failed = s.sink_failed;
    return s.sink_failed && status == EXIT_FAILED ? 0 : status;
}

/* The trade that everyone asks about, measured here and now. */
static int compare_blocks(struct demo *d)
{
    static const uint32_t blocks[] = {64, 256, 1024};
    struct options o = *d->options;
    o.quiet = true;
    o.strict = false;
    heading(d, "2. The block-size trade on this machine, a second each");
    if (!d->options->quiet)
        printf("  block  round trip   load   woken late p99    worst slack  misses\n");
    for (int i = 0; i < 3; i++) {
        struct session s = make_session(&o, "sim:voice+guitar", "sim:", blocks[i], 1);
        int status = run_part(&s);
        if (status)
            return status;
        uint32_t frames =
            s.actual.latency_in_frames + s.actual.latency_out_frames + s.actual.adapter_frames;
        if (!d->options->quiet)
            printf("  %5u  %7.1f ms  %4.1f %%  %11.3f ms  %10.2f ms  %6llu\n", blocks[i],
                   1e3 * frames / RATE_HZ, 100 * s.contract.cpu_load,
                   (double)s.contract.lateness_ns_p99 / 1e6, (double)s.contract.slack_ns_min / 1e6,
                   (unsigned long long)s.contract.misses_total);
        output_flush();
    }
    return 0;
}

/* A device that goes away and comes back: the stream goes on, and says so. */
static int lose_device(struct demo *d)
{
    struct options o = *d->options;
    o.strict = false;
    heading(d, "3. The device is pulled out for a second: the stream goes on in silence");
    struct session s = make_session(&o, "sim:voice+guitar,vanish=1.2s+1s", "sim:", 256, 3.5);
    s.title = "voice and guitar -> sim:";
    return run_part(&s);
}

static void say_next(const struct demo *d)
{
    static const char *const example = "/usr/share/sounds/alsa/Front_Center.wav";
    const char *takt = program_invocation_name;
    const char *recording = access(example, R_OK) == 0 ? example : "YOUR.wav";
    heading(d, "Try next, with a recording of your own (WAV, FLAC, Ogg, MP3) in its place");
    printf("%s meter %s\n", takt, recording);
    printf("%s run %s gain=-2dB out.wav --fast\n", takt, recording);
    if (d->options->out)
        printf("%s play %s\n", takt, d->options->out);
    else
        printf("%s demo -o demo.wav\n", takt);
}

static void say_contract(const struct demo *d)
{
    char text[2048];
    heading(d, "What part 1 kept");
    takt_contract_text(&d->contract, text, sizeof text);
    fputs(text, stdout);
}

int verb_demo(struct options *o)
{
    int status = verb_words(o, 0, 0, "");
    if (status)
        return status;
    struct demo d = {.options = o};
    terminal_init(&d.terminal);
    if (!o->quiet)
        printf("takt %s: sound keeps its deadline, and takt shows that it did.\n", takt_version());
    if (!(status = play_scene(&d)) && !(status = compare_blocks(&d)))
        status = lose_device(&d);
    if (status > 0)
        return status;
    if (!o->quiet) {
        say_contract(&d);
        if (status != LEFT)
            say_next(&d);
    }
    return d.sink_failed ? EXIT_FAILED : session_verdict(o, &d.contract);
}

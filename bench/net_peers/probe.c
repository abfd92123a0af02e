/*
 * bench-net_peers_probe - the two ends of the bench net_peers, and their comparison.
 *
 *     probe play SECONDS SEED FILE PORT...   plays noise into these ports of a JACK server
 *     probe hear SECONDS FILE PORT           keeps what comes out of this port of a JACK server
 *     probe judge PLAYED HEARD LAST_S        says how the one came out as the other, as JSON
 *
 * JACK_DEFAULT_SERVER says which server; a process can be a client of one only. The ports belong to
 * the tools that are measured, and are connected as soon as they are there: then a line `connected`
 * is printed. It ends, and writes FILE, when stdin does, after SECONDS at the latest.
 */
#include "judge.h"

#include <errno.h>
#include <jack/jack.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHANNELS_MAX = 2, LOOK_MS = 50 };

/* FILE: this, then block[blocks], then samples[blocks * block_frames] of the first channel. */
struct head {
    uint32_t block_frames, xruns;
    uint64_t blocks;
};

static jack_client_t *client;
static jack_port_t *port[CHANNELS_MAX];
static int channels;
static bool plays;
static float *noise[CHANNELS_MAX], *samples;
static struct judge_block *block;
static uint32_t block_frames;
static size_t blocks_max;
static _Atomic size_t blocks;
static _Atomic uint32_t xruns;
static bool is_counting;
static int64_t unwrapped, first_frame; /* the server's count, which has 32 bits */

/* The server's count is read when the callback runs. After a stall two calls may find the same:
 * then nobody knows which of two blocks the first was of. What was played is the same in both; what
 * was heard is left out. */
static int process(jack_nframes_t frames, void *arg)
{
    size_t n = atomic_load_explicit(&blocks, memory_order_relaxed);
    int64_t ns = (int64_t)jack_get_time() * 1000 -
                 (int64_t)jack_frames_since_cycle_start(client) * 1000000000 / JUDGE_RATE;
    uint32_t count = jack_last_frame_time(client);
    int64_t step = is_counting ? (int32_t)(count - (uint32_t)unwrapped) : 0;
    bool is_twice = is_counting && step == 0;
    unwrapped = is_counting ? unwrapped + step : (int64_t)count;
    first_frame = is_counting ? first_frame : unwrapped;
    is_counting = true;
    size_t at = (size_t)(unwrapped - first_frame), all = blocks_max * block_frames;
    bool fits = n < blocks_max && at + frames <= all && frames == block_frames;
    for (int c = 0; c < channels; c++) {
        float *x = jack_port_get_buffer(port[c], frames);
        if (plays && fits)
            memcpy(x, noise[c] + at, frames * sizeof *x);
        else if (plays)
            memset(x, 0, frames * sizeof *x);
        if (fits && c == 0)
            memcpy(samples + n * block_frames, x, frames * sizeof *x);
    }
    if (is_twice && !plays && n > 0 && block[n - 1].frame == unwrapped)
        atomic_store_explicit(&blocks, n - 1, memory_order_release);
    if (!fits || is_twice)
        return 0;
    block[n] = (struct judge_block){unwrapped, ns};
    atomic_store_explicit(&blocks, n + 1, memory_order_release);
    return 0;
}

static int xrun(void *arg)
{
    atomic_fetch_add(&xruns, 1);
    return 0;
}

static int open_client(void)
{
    client = jack_client_open(plays ? "bench-play" : "bench-hear", JackNoStartServer, NULL);
    if (!client) {
        fprintf(stderr, "probe: no JACK server; see JACK_DEFAULT_SERVER\n");
        return -1;
    }
    if (jack_get_sample_rate(client) != JUDGE_RATE) {
        fprintf(stderr, "probe: the server is not at %d Hz\n", JUDGE_RATE);
        return -1;
    }
    block_frames = jack_get_buffer_size(client);
    return 0;
}

static int take_memory(double seconds, uint64_t seed)
{
    blocks_max = (size_t)(seconds * JUDGE_RATE / block_frames) + 1;
    size_t frames = blocks_max * block_frames;
    block = malloc(blocks_max * sizeof *block);
    samples = malloc(frames * sizeof *samples);
    if (!block || !samples)
        return -1;
    memset(block, 0, blocks_max * sizeof *block);
    memset(samples, 0, frames * sizeof *samples);
    for (int c = 0; plays && c < channels; c++) {
        noise[c] = malloc(frames * sizeof *noise[c]);
        if (!noise[c])
            return -1;
        judge_noise(noise[c], frames, seed, c);
    }
    mlockall(MCL_CURRENT); /* where it may: what lies unused for long is taken away else */
    return 0;
}

static bool connect_to(int c, const char *other)
{
    const char *own = jack_port_name(port[c]);
    int err = plays ? jack_connect(client, own, other) : jack_connect(client, other, own);
    return err == 0 || err == EEXIST;
}

/* Connects what is there, and again what came back, until stdin ends. */
static void serve(double seconds, char **others)
{
    bool said = false;
    for (int looks = (int)(seconds * 1000 / LOOK_MS); looks > 0; looks--) {
        bool all = true;
        for (int c = 0; c < channels; c++)
            if (!jack_port_connected_to(port[c], others[c]))
                all = jack_port_by_name(client, others[c]) && connect_to(c, others[c]) && all;
        if (all && !said) {
            printf("connected\n");
            fflush(stdout);
            said = true;
        }
        char byte;
        struct pollfd end = {.fd = 0, .events = POLLIN};
        if (poll(&end, 1, LOOK_MS) > 0 && read(0, &byte, 1) <= 0)
            return;
    }
}

static int keep(const char *path)
{
    size_t count = atomic_load(&blocks);
    struct head h = {block_frames, atomic_load(&xruns), count};
    FILE *f = fopen(path, "wb");
    bool is_kept = f && fwrite(&h, sizeof h, 1, f) == 1 &&
                   fwrite(block, sizeof *block, count, f) == count &&
                   fwrite(samples, sizeof *samples * block_frames, count, f) == count;
    is_kept = f && fclose(f) == 0 && is_kept;
    if (!is_kept)
        fprintf(stderr, "probe: %s: %s\n", path, strerror(errno));
    return is_kept ? 0 : 1;
}

static int run(double seconds, uint64_t seed, const char *path, char **others)
{
    if (open_client() < 0 || take_memory(seconds, seed) < 0)
        return 1;
    for (int c = 0; c < channels; c++) {
        char name[16];
        snprintf(name, sizeof name, "%s_%d", plays ? "out" : "in", c + 1);
        port[c] = jack_port_register(client, name, JACK_DEFAULT_AUDIO_TYPE,
                                     plays ? JackPortIsOutput : JackPortIsInput, 0);
        if (!port[c])
            return 1;
    }
    jack_set_process_callback(client, process, NULL);
    jack_set_xrun_callback(client, xrun, NULL);
    if (jack_activate(client))
        return 1;
    serve(seconds, others);
    jack_deactivate(client);
    jack_client_close(client);
    return keep(path);
}

/* ---- Judgement ------------------------------------------------------------------------------- */

static bool load(const char *path, struct judge_side *s, struct head *h)
{
    FILE *f = fopen(path, "rb");
    bool is_read = f && fread(h, sizeof *h, 1, f) == 1 && h->blocks > 0;
    if (is_read) {
        size_t bytes = sizeof(float) * h->block_frames;
        struct judge_block *b = malloc(h->blocks * sizeof *b);
        float *x = malloc(h->blocks * bytes);
        is_read = b && x && fread(b, sizeof *b, h->blocks, f) == h->blocks &&
                  fread(x, bytes, h->blocks, f) == h->blocks;
        *s = (struct judge_side){x, b, h->blocks, h->block_frames};
    }
    if (f)
        fclose(f);
    if (!is_read)
        fprintf(stderr, "probe: %s: no recording\n", path);
    return is_read;
}

static double percent(size_t part, size_t all)
{
    return all ? 100.0 * (double)part / (double)all : 100;
}

static int compare(const char *played, const char *heard, double last_s)
{
    struct judge_side s, h;
    struct head sent, got;
    struct judge_verdict v = {0}, strict = {0};
    if (!load(played, &s, &sent) || !load(heard, &h, &got) ||
        !judge(&s, &h, &(struct judge_cfg){.threshold = 0.9, .last_s = last_s}, &v) ||
        !judge(&s, &h, &(struct judge_cfg){.threshold = 0.99, .last_s = last_s}, &strict))
        return 1;
    printf("{\"frames\":%zu,\"wrong_percent\":%.4f,\"wrong_strict_percent\":%.4f,"
           "\"calm_percent\":%.2f,\"calm_wrong_percent\":%.4f,\"silent_percent\":%.4f,\"p50_ms\":%."
           "2f,\"p95_ms\":%.2f,\"max_ms\":%.2f,"
           "\"floor_ms\":%.2f,\"unheard\":%zu,\"stalls\":%zu,\"xruns\":%u}\n",
           v.frames, percent(v.wrong, v.frames), percent(strict.wrong, strict.frames),
           percent(v.calm, v.frames), v.calm ? percent(v.calm_wrong, v.calm) : 0,
           percent(v.silent, v.frames), v.p50_ms, v.p95_ms, v.max_ms, v.floor_ms, v.unheard,
           v.stalls, sent.xruns + got.xruns);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "judge") == 0)
        return compare(argv[2], argv[3], strtod(argv[4], NULL));
    plays = argc > 5 && strcmp(argv[1], "play") == 0;
    channels = plays ? argc - 5 : 1;
    if (channels <= CHANNELS_MAX && plays)
        return run(strtod(argv[2], NULL), strtoull(argv[3], NULL, 10), argv[4], argv + 5);
    if (argc == 5 && strcmp(argv[1], "hear") == 0)
        return run(strtod(argv[2], NULL), 0, argv[3], argv + 4);
    fprintf(stderr, "usage: probe play SECONDS SEED FILE PORT [PORT] | hear SECONDS FILE PORT | "
                    "judge PLAYED HEARD LAST_S\n");
    return 2;
}

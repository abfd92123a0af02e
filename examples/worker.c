/*
 * Heavy work beside the sound: windows of a quarter second are handed to something slow, such as a
 * recogniser or a neural net, on a thread of its own. The stream pays for a copy, once its
 * output is out. While the work is slower than the sound, whole windows are left out and counted;
 * no deadline is missed.
 */
#include <takt/takt.h>

#include <stdio.h>

struct finding {
    double loudest_dbfs, at_s;
};

/* Stands for the net. It may wait, allocate, or call what it likes. */
static bool think(struct takt_work *work, void *event, void *arg)
{
    struct finding *f = event;
    const uint32_t *rate_hz = arg;
    enum { STEP = 480 };
    float most = -1; /* silence has a loudest piece, too */
    for (size_t i = 0; i + STEP <= work->frames; i += STEP) {
        float power = (float)takt_sum_squares(work->x + i, STEP) / STEP;
        if (power > most) {
            most = power;
            f->at_s = (double)(work->position + i) / *rate_hz;
        }
    }
    f->loudest_dbfs = takt_dbfs((double)most) / 2; /* of a power */
    takt_sleep_ms(100); /* slow, but fast enough for eight windows a second */
    return true;
}

/* An effect would stand here. */
static enum takt_next play(const struct takt_block *b, void *arg)
{
    return TAKT_CONTINUE;
}

/* Behind the output, so that the copy delays no sound. */
static void listen(const struct takt_block *b, void *arg)
{
    takt_worker_write(arg, b->in, b->frames, b->position);
}

static void print_findings(struct takt_worker *w, double rate_hz)
{
    struct finding f;
    uint64_t time; /* of the window's centre */
    while (takt_worker_next(w, &time, &f))
        printf("%5.2f s: loudest at %.2f s, %.1f dBFS\n", (double)time / rate_hz, f.at_s,
               f.loudest_dbfs);
}

int main(void)
{
    uint32_t rate_hz = 48000;
    struct takt_worker *w;
    struct takt_stream *s;
    struct takt_error e;
    struct takt_worker_cfg work = {.work = think,
                                   .arg = &rate_hz,
                                   .size_frames = rate_hz / 4,
                                   .hop_frames = rate_hz / 8,
                                   .rate_hz = rate_hz,
                                   .event_bytes = sizeof(struct finding)};
    if (takt_worker_create(&work, &w, &e) < 0)
        return takt_die(&e);
    struct takt_stream_cfg cfg = {.in = {.device = "sim:voice", .channels = 1},
                                  .rate_hz = rate_hz,
                                  .length_frames = 4 * (uint64_t)rate_hz,
                                  .process = play,
                                  .after = listen,
                                  .arg = w};
    if (takt_stream_create(&cfg, &s, &e) < 0)
        return takt_die(&e);
    takt_stream_start(s);
    while (takt_stream_wait(s, 100) == TAKT_ERR_TIMEOUT)
        print_findings(w, rate_hz);
    takt_worker_stop(w, 2000); /* what waits is still worked on */
    print_findings(w, rate_hz);
    struct takt_worker_counts n;
    takt_worker_counts(w, &n);
    printf("%llu windows, %llu left out\n", (unsigned long long)n.windows,
           (unsigned long long)n.lost_windows);
    takt_stream_destroy(s); /* the writer first */
    takt_worker_destroy(w);
    return 0;
}

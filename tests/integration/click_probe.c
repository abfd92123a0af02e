/*
 * One stream plays a click, another one hears it: is it when both say that it was?
 *
 *     click-probe OUT RATE_HZ IN RATE_HZ      prints "off MICROSECONDS", heard minus played
 *
 * The two have the clock in common and nothing else.
 */
#include "takt/stream.h"
#include "takt/time.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static _Atomic int64_t played_ns, heard_ns;
static double in_frame_ns;

/* Half a second of silence, and a click as long as slow converters need to show it. */
static enum takt_next play(const struct takt_block *b, void *arg)
{
    uint32_t rate_hz = *(const uint32_t *)arg;
    if (b->position < rate_hz / 2 || atomic_load(&played_ns))
        return TAKT_CONTINUE;
    for (uint32_t i = 0; i < b->frames && i < rate_hz / 2000; i++)
        b->out[0][i] = 0.8f;
    atomic_store(&played_ns, b->out_first_ns);
    return TAKT_CONTINUE;
}

static enum takt_next hear(const struct takt_block *b, void *arg)
{
    for (uint32_t i = 0; i < b->frames && !atomic_load(&heard_ns); i++)
        if (fabsf(b->in[0][i]) > 0.4f)
            atomic_store(&heard_ns, b->in_first_ns + (int64_t)(i * in_frame_ns));
    return TAKT_CONTINUE;
}

static struct takt_stream *started(const struct takt_stream_cfg *cfg)
{
    struct takt_stream *s;
    struct takt_error e;
    if (takt_stream_create(cfg, &s, &e) < 0 || takt_stream_start(s) < 0) {
        fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    return s;
}

int main(int count, char **arguments)
{
    if (count != 5)
        return 2;
    uint32_t out_hz = (uint32_t)atoi(arguments[2]), in_hz = (uint32_t)atoi(arguments[4]);
    in_frame_ns = 1e9 / in_hz;
    struct takt_stream *in = started(&(struct takt_stream_cfg){
        .rate_hz = in_hz, .in = {.device = arguments[3], .channels = 1}, .process = hear});
    struct takt_stream *out =
        started(&(struct takt_stream_cfg){.rate_hz = out_hz,
                                          .out = {.device = arguments[1], .channels = 1},
                                          .process = play,
                                          .arg = &out_hz});
    for (int i = 0; i < 500 && !atomic_load(&heard_ns); i++)
        takt_sleep_ms(10);
    takt_stream_destroy(in);
    takt_stream_destroy(out);
    if (!heard_ns)
        return 1;
    printf("off %.0f\n", (double)(heard_ns - played_ns) / 1e3);
    return 0;
}

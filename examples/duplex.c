#include <takt/takt.h>
/* Ten seconds of the default input, quieter, to the default output. Zero means default. */
static enum takt_next quieter(const struct takt_block *b, void *arg)
{
    for (uint32_t c = 0; c < b->out_channels; c++)
        takt_scale(b->out[c], b->in[c], 0.8f, b->frames);
    return TAKT_CONTINUE; /* or TAKT_DRAIN, TAKT_ABORT */
}
int main(void)
{
    struct takt_stream *s;
    struct takt_error e;
    struct takt_stream_cfg cfg = {.rate_hz = 44100, .block_frames = 256, .process = quieter};
    cfg.in.channels = cfg.out.channels = 1;
    if (takt_stream_create(&cfg, &s, &e) < 0)
        return takt_die(&e);
    takt_stream_start(s);
    takt_sleep_ms(10000);
    takt_stream_destroy(s);
}

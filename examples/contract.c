/*
 * Runs the default input for a second with a callback that now and then takes too long on
 * purpose, and lets the contract tell what happened.
 */
#include <stdio.h>
#include <takt/takt.h>

static enum takt_next sometimes_slow(const struct takt_block *b, void *arg)
{
    if (b->position % 24000 < b->frames && b->position)
        for (int64_t until = takt_now_ns() + 5000000; takt_now_ns() < until;)
            ; /* 5 ms of work in a block of 2.7 ms */
    return TAKT_CONTINUE;
}

int main(void)
{
    struct takt_stream *s;
    struct takt_error e;
    struct takt_stream_cfg cfg = {.rate_hz = 48000,
                                  .block_frames = 128,
                                  .length_frames = 60000,
                                  .in.channels = 1,
                                  .process = sometimes_slow};
    if (takt_stream_create(&cfg, &s, &e) < 0)
        return takt_die(&e);
    takt_stream_start(s);
    takt_stream_wait(s, -1);

    char text[2048];
    struct takt_contract_snapshot kept;
    takt_contract_read(takt_stream_contract(s), &kept);
    takt_contract_text(&kept, text, sizeof text);
    fputs(text, stdout);
    struct takt_miss misses[TAKT_MISSES_KEPT];
    int n = takt_contract_last_misses(takt_stream_contract(s), misses, TAKT_MISSES_KEPT);
    for (int i = 0; i < n; i++) {
        takt_miss_text(&misses[i], text, sizeof text);
        puts(text);
    }
    takt_stream_destroy(s);
    return 0;
}

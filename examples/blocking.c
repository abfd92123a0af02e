/*
 * Reads a second of the default input a quarter at a time, and writes it back half as loud,
 * without a callback.
 */
#include <stdio.h>
#include <takt/takt.h>

int main(void)
{
    enum { RATE_HZ = 48000, PIECE = RATE_HZ / 4 };
    static float sound[PIECE]; /* one channel, interleaved is the same as planar */
    struct takt_stream *s;
    struct takt_error e;
    struct takt_stream_cfg cfg = {.rate_hz = RATE_HZ,
                                  .layout = TAKT_INTERLEAVED,
                                  .buffer_frames = 2 * PIECE, /* what may wait on each side */
                                  .in.channels = 1,
                                  .out.channels = 1};
    if (takt_stream_create(&cfg, &s, &e) < 0)
        return takt_die(&e);
    takt_stream_start(s);
    for (int piece = 0; piece < 4; piece++) {
        int64_t frames = takt_stream_read(s, sound, PIECE, 1000, NULL);
        if (frames < 0)
            break;
        printf("%.1f dBFS peak\n", takt_dbfs((double)takt_peak(sound, (size_t)frames)));
        takt_scale(sound, sound, 0.5f, (size_t)frames);
        takt_stream_write(s, sound, (uint32_t)frames, 1000, NULL);
    }
    int err = takt_stream_stop(s); /* plays what was written */
    takt_stream_destroy(s);
    return err < 0;
}

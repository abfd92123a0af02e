/*
 * From a microphone to loudspeakers of another make, for ten seconds: two devices, two clocks. The
 * input is resampled to the output's clock; nothing has to be asked for. Without sound cards, two
 * simulated ones are 300 ppm apart.
 */
#include <stdio.h>
#include <string.h>
#include <takt/takt.h>

static enum takt_next through(const struct takt_block *b, void *arg)
{
    memcpy(b->out[0], b->in[0], b->frames * sizeof(float));
    return TAKT_CONTINUE;
}

int main(int count, char **arguments)
{
    struct takt_stream *s;
    struct takt_stream_actual now;
    struct takt_error e;
    struct takt_stream_cfg cfg = {.process = through, .length_frames = 480000, .rate_hz = 48000};
    cfg.in.device = count > 2 ? arguments[1] : "sim:voice,ppm=300";
    cfg.out.device = count > 2 ? arguments[2] : "sim:,ppm=0";
    cfg.in.channels = cfg.out.channels = 1;
    if (takt_stream_create(&cfg, &s, &e) < 0 || takt_stream_start(s) < 0)
        return takt_die(&e);
    while (takt_stream_wait(s, 1000) == TAKT_ERR_TIMEOUT) {
        takt_stream_actual(s, &now);
        printf("the input is %+.1f ppm off; %u frames are added, %llu gaps\n", now.bridge_drift_ppm,
               now.bridge_frames, (unsigned long long)now.bridge_gaps);
    }
    takt_stream_destroy(s);
    return 0;
}

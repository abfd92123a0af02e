/*
 * Writes what the voice detector hears in 16 kHz mono floats from stdin: 26 floats each 10 ms. For
 * tools/train-vad.
 */
#include "analysis/vad_front.h"

#include <stdio.h>

int main(void)
{
    enum { RATE_HZ = 16000, FLOOR_DBFS = -65, PIECE = 4096 };
    struct takt_vad_front *f;
    struct takt_error e;
    float x[PIECE];
    size_t n;
    if (takt_vad_front_create(RATE_HZ, FLOOR_DBFS, &f, &e) < 0)
        return takt_die(&e);
    while ((n = fread(x, sizeof *x, PIECE, stdin)) > 0)
        for (size_t at = 0; at < n;) {
            struct takt_vad_heard heard;
            bool is_ready;
            at += takt_vad_front_take(f, x + at, n - at, &heard, &is_ready);
            if (is_ready)
                fwrite(heard.feature, sizeof *heard.feature, VAD_INPUTS, stdout);
        }
    takt_vad_front_destroy(f);
    return 0;
}

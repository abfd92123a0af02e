/* The default input, quieter, to the default output; for as long as -t says.
 *
 *     quieter [-t SECONDS] [-i DEVICE] [-o DEVICE]
 */
#include <stdio.h>
#include <stdlib.h>
#include <takt/takt.h>
#include <unistd.h>

static enum takt_next quieter(const struct takt_block *b, void *arg)
{
    for (uint32_t c = 0; c < b->out_channels; c++)
        takt_scale(b->out[c], b->in[c], 0.5f, b->frames);
    return TAKT_CONTINUE;
}

int main(int argc, char **argv)
{
    struct takt_stream *s;
    struct takt_stream_cfg cfg = {.rate_hz = 48000, .block_frames = 64, .process = quieter};
    cfg.in.channels = cfg.out.channels = 1;
    double seconds = 10;
    char *end = NULL;
    for (int option; (option = getopt(argc, argv, "t:i:o:")) != -1;) {
        if (option == 't')
            seconds = strtod(optarg, &end);
        else if (option == 'i')
            cfg.in.device = optarg;
        else if (option == 'o')
            cfg.out.device = optarg;
        if (option == '?' || (end && *end) || !(seconds > 0 && seconds < 1e6))
            return fprintf(stderr, "use: quieter [-t SECONDS] [-i DEVICE] [-o DEVICE]\n"), 2;
    }
    cfg.length_frames = (uint64_t)(seconds * cfg.rate_hz);
    struct takt_error e;
    if (takt_stream_create(&cfg, &s, &e) < 0 || takt_stream_start(s) < 0)
        return takt_die(&e);
    takt_stream_wait(s, -1);
    struct takt_contract_snapshot contract;
    takt_contract_read(takt_stream_contract(s), &contract);
    char text[4096];
    takt_contract_text(&contract, text, sizeof text);
    printf("%s", text);
    takt_stream_destroy(s);
    return 0;
}

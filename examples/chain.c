/*
 * Ten seconds of three stages on a simulated guitar. From the third second to the sixth the filter
 * takes 70 % of each block's time. Then the reverb, which may go first, and the chorus are shed,
 * and no deadline is missed for long; afterwards they come back one by one.
 */
#include <stdio.h>
#include <takt/takt.h>

struct work {
    _Atomic double share; /* of the block's time */
    float gain;
};

static void run(float *const *io, uint32_t channels, uint32_t frames, void *arg)
{
    const struct work *w = arg;
    for (uint32_t c = 0; c < channels; c++)
        takt_scale(io[c], io[c], w->gain, frames);
    for (int64_t end = takt_now_ns() + (int64_t)(w->share * frames * 1e9 / 48000);
         takt_now_ns() < end;)
        ; /* a real stage computes something here */
}

int main(void)
{
    struct work filter = {0.1, 0.9f}, chorus = {0.15, 0.9f}, reverb = {0.2, 0.9f};
    const struct takt_stage stages[] = {
        {.name = "filter", .run = run, .arg = &filter},
        {.name = "chorus", .run = run, .arg = &chorus, .optional = true, .importance = 2},
        {.name = "reverb", .run = run, .arg = &reverb, .optional = true, .importance = 1},
    };
    struct takt_chain *chain;
    struct takt_stream *s;
    struct takt_error e;
    if (takt_chain_create(&(struct takt_chain_cfg){.stages = stages, .count = 3}, &chain, &e) < 0)
        return takt_die(&e);
    struct takt_stream_cfg cfg = {.rate_hz = 48000,
                                  .block_frames = 512,
                                  .in.device = "sim:guitar",
                                  .out.device = "sim:",
                                  .chain = chain};
    if (takt_stream_create(&cfg, &s, &e) < 0 || takt_stream_start(s) < 0)
        return takt_die(&e);
    for (int second = 1; second <= 10; second++) {
        takt_sleep_ms(1000);
        filter.share = second >= 3 && second < 6 ? 0.7 : 0.1;
        for (uint32_t i = 0; i < 3; i++) {
            struct takt_stage_state state;
            takt_chain_read(chain, i, &state);
            printf("%s%s %2.0f %%%s", i ? ", " : "", state.name, state.load * 100,
                   state.is_shed ? " (shed)" : "");
        }
        printf("\n");
    }
    takt_stream_destroy(s);
    takt_chain_destroy(chain);
    return 0;
}

/*
 * A callback that says what it sees: lines come on stderr while the sound goes on, and a worker
 * makes and writes them, so that no block waits for the terminal.
 */
#include <takt/takt.h>

struct program {
    struct takt_log *log;
    uint64_t blocks;
};

static enum takt_next talkative(const struct takt_block *b, void *arg)
{
    struct program *p = arg;
    if (b->lost_frames)
        takt_log_at(p->log, b->now_ns, TAKT_LOG_WARNING, "%llu frames lost before %llu",
                    (unsigned long long)b->lost_frames, (unsigned long long)b->position);
    if (p->blocks++ % 100 == 0)
        takt_log(p->log, TAKT_LOG_INFO, "block %llu: first sample %+.4f",
                 (unsigned long long)p->blocks, (double)b->in[0][0]);
    return TAKT_CONTINUE;
}

int main(void)
{
    struct program p = {0};
    struct takt_stream *s;
    struct takt_error e;
    if (takt_log_create(&(struct takt_log_cfg){.file = stderr}, &p.log, &e) < 0)
        return takt_die(&e);
    struct takt_stream_cfg cfg = {.in = {.device = "sim:voice,xrun=0.4s", .channels = 1},
                                  .length_frames = 48000,
                                  .process = talkative,
                                  .arg = &p};
    if (takt_stream_create(&cfg, &s, &e) < 0)
        return takt_die(&e);
    takt_stream_start(s);
    takt_stream_wait(s, -1);
    takt_stream_destroy(s);
    takt_log_destroy(p.log); /* after the last callback */
    return 0;
}

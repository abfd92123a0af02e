/*
 * The sound goes on when its file can not. A simulated microphone is recorded until the file may
 * grow no further (RLIMIT_FSIZE), or into FILE on a disk that fills up.
 *
 *     test-live [FILE]
 */
#include "tap.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <takt/takt.h>
#include <unistd.h>

enum { BLOCKS_AFTER = 200, FILE_BYTES_MAX = 100000 };

static const char *file;
static bool limits;

struct heard {
    _Atomic uint64_t blocks, jumps;
    uint64_t next; /* the position that the next block has if nothing is lost */
};

static enum takt_next process(const struct takt_block *b, void *arg)
{
    struct heard *h = arg;
    h->jumps += b->position != h->next + b->lost_frames;
    h->next = b->position + b->frames;
    for (uint32_t c = 0; c < b->out_channels; c++)
        memcpy(b->out[c], b->in[0], b->frames * sizeof(float));
    h->blocks++;
    return TAKT_CONTINUE;
}

/* Looks at the events for up to 20 s, or until the sink has failed. */
static int count_failures(struct takt_stream *s, struct takt_event *failure)
{
    struct takt_event event;
    int failures = 0;
    for (int i = 0; i < 2000 && !failures; i++) {
        while (takt_stream_next_event(s, &event) == 1)
            if (event.type == TAKT_EVENT_SINK_FAILED) {
                *failure = event;
                failures++;
            }
        takt_sleep_ms(10);
    }
    return failures;
}

static void the_sound_goes_on_when_the_disk_is_full(void)
{
    struct heard heard = {0};
    struct takt_event failure = {0};
    struct takt_stream *s;
    struct takt_error e;
    struct takt_stream_cfg cfg = {.rate_hz = 48000,
                                  .block_frames = 256,
                                  .in = {.device = "sim:tone=1000", .channels = 1},
                                  .out = {.device = file, .channels = 8},
                                  .process = process,
                                  .arg = &heard};
    CHECK_INT(takt_stream_create(&cfg, &s, &e), 0);
    if (limits) /* now, for the rings are files, too, in the system's eyes */
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){FILE_BYTES_MAX, RLIM_INFINITY});
    CHECK_INT(takt_stream_start(s), 0);
    int failures = count_failures(s, &failure);
    uint64_t blocks = heard.blocks;
    for (int i = 0; i < 2000 && heard.blocks < blocks + BLOCKS_AFTER; i++)
        takt_sleep_ms(10);
    enum takt_state state = takt_stream_state(s);
    uint64_t after = heard.blocks - blocks;
    struct takt_event event;
    while (takt_stream_next_event(s, &event) == 1)
        failures += event.type == TAKT_EVENT_SINK_FAILED;
    takt_stream_stop(s);
    uint64_t jumps = heard.jumps;
    while (takt_stream_next_event(s, &event) == 1)
        failures += event.type == TAKT_EVENT_SINK_FAILED;
    takt_stream_error(s, &e);
    takt_stream_destroy(s);
    printf("# %s; stop says: %s\n", failure.text, e.text);
    CHECK_INT(failures, 1);
    CHECK_INT(failure.code, TAKT_ERR_FULL);
    CHECK(failure.value > 0);
    CHECK_INT(state, TAKT_STATE_RUNNING);
    CHECK(after >= BLOCKS_AFTER);
    CHECK_INT(jumps, 0);
    CHECK_INT(e.code, TAKT_ERR_FULL);
}

int main(int argc, char **argv)
{
    char own[] = "/tmp/takt-live-XXXXXX.wav";
    bool borrowed = argc > 1;
    if (!borrowed) {
        int fd = mkstemps(own, 4);
        if (fd < 0)
            return 2;
        close(fd);
    }
    limits = !borrowed;
    signal(SIGXFSZ, SIG_DFL); /* the library must not need more of the program than this */
    file = borrowed ? argv[1] : own;
    RUN(the_sound_goes_on_when_the_disk_is_full);
    if (!borrowed)
        unlink(own);
    return tap_done();
}

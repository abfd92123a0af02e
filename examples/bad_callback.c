/* Breaks the rules of a real-time callback: takes memory, locks, prints and sleeps.
 *
 *     takt check -- ./bad_callback       tells of the four, with their lines; exit 3
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <takt/stream.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static float *volatile scratch;

static enum takt_next process(const struct takt_block *b, void *arg)
{
    if (b->position % 4800 >= b->frames) /* ten times a second */
        return TAKT_CONTINUE;
    scratch = malloc(b->frames * sizeof *scratch);
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    printf("frame %llu\n", (unsigned long long)b->position);
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    return TAKT_CONTINUE;
}

int main(void)
{
    struct takt_stream *s;
    struct takt_error e;
    struct takt_stream_cfg cfg = {.in = {.device = "sim:voice"},
                                  .rate_hz = 48000,
                                  .block_frames = 64,
                                  .length_frames = 48000,
                                  .process = process};
    if (takt_stream_create(&cfg, &s, &e) || takt_stream_start(s))
        return fprintf(stderr, "%s\n", e.text), 1;
    takt_stream_wait(s, -1);
    takt_stream_destroy(s);
    return 0;
}

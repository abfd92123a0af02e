/*
 * return_probe DEVICE - a stream through a device whose server is to end and come back. For every
 * line on stdin it says how it stands; it ends with stdin.
 *
 *     {"heap": bytes in use, "lost": times, "back": times, "state": "running"}
 */
#include <malloc.h>
#include <stdio.h>
#include <takt/takt.h>

static enum takt_next pass_on(const struct takt_block *b, void *arg)
{
    return TAKT_CONTINUE;
}

int main(int count, char **arguments)
{
    struct takt_stream *s;
    struct takt_error e;
    struct takt_stream_cfg cfg = {
        .in.device = arguments[1], .out.device = arguments[1], .process = pass_on};
    if (takt_stream_create(&cfg, &s, &e) < 0 || takt_stream_start(s) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        struct mallinfo2 heap = mallinfo2();
        printf("{\"heap\": %zu, \"lost\": %llu, \"back\": %llu, \"running\": %s}\n",
               heap.uordblks + heap.hblkhd,
               (unsigned long long)takt_stream_event_count(s, TAKT_EVENT_DEVICE_LOST),
               (unsigned long long)takt_stream_event_count(s, TAKT_EVENT_DEVICE_BACK),
               takt_stream_state(s) == TAKT_STATE_RUNNING ? "true" : "false");
        fflush(stdout);
    }
    takt_stream_destroy(s);
    return 0;
}

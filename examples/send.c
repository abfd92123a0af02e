#include <takt/takt.h>
/* The default input to takt recv, for a minute: ./send HOST KEYFILE, or alone to this machine. */
static struct takt_send *net;
static uint32_t rate_hz;
static enum takt_next send(const struct takt_block *b, void *arg)
{
    if (b->lost_frames)
        takt_send_write(net, NULL, (uint32_t)b->lost_frames,
                        b->in_first_ns - (int64_t)(b->lost_frames * 1000000000 / rate_hz));
    takt_send_write(net, b->in, b->frames, b->in_first_ns);
    return TAKT_CONTINUE;
}
int main(int count, char **arguments)
{
    struct takt_stream *s;
    struct takt_stream_actual actual;
    struct takt_error e;
    struct takt_key key;
    struct takt_stream_cfg stream = {.in.channels = 2, .process = send};
    if (count > 2 && takt_key_read(arguments[2], &key, &e) < 0)
        return takt_die(&e);
    if (takt_stream_create(&stream, &s, &e) < 0)
        return takt_die(&e);
    takt_stream_actual(s, &actual);
    rate_hz = actual.rate_hz;
    struct takt_send_cfg cfg = {.to = (const char *[]){count > 1 ? arguments[1] : "127.0.0.1"},
                                .to_count = 1,
                                .rate_hz = rate_hz,
                                .channels = actual.in_channels,
                                .key = count > 2 ? &key : NULL};
    if (takt_send_create(&cfg, &net, &e) < 0)
        return takt_die(&e);
    takt_stream_start(s);
    takt_sleep_ms(60000);
    takt_stream_destroy(s);
    takt_send_destroy(net); /* after the callback's last block */
    takt_key_wipe(&key);
}

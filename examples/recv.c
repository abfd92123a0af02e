#include <stdio.h>
#include <takt/takt.h>
/* What takt send sends here, to the default output for a minute: ./recv [KEYFILE] */
static struct takt_recv *net;
static enum takt_next recv(const struct takt_block *b, void *arg)
{
    takt_recv_read(net, b->now_ns, b->out_first_ns, b->out, b->frames);
    return TAKT_CONTINUE;
}
int main(int count, char **arguments)
{
    struct takt_stream *s;
    struct takt_stream_actual actual;
    struct takt_error e;
    struct takt_key key;
    struct takt_recv_event event;
    struct takt_stream_cfg stream = {.out.channels = 2, .process = recv};
    if (count > 1 && takt_key_read(arguments[1], &key, &e) < 0)
        return takt_die(&e);
    if (takt_stream_create(&stream, &s, &e) < 0)
        return takt_die(&e);
    takt_stream_actual(s, &actual);
    struct takt_recv_cfg cfg = {
        .rate_hz = actual.rate_hz, .channels = actual.out_channels, .key = count > 1 ? &key : NULL};
    if (takt_recv_create(&cfg, &net, &e) < 0)
        return takt_die(&e);
    takt_stream_start(s);
    for (int i = 0; i < 600; i++, takt_sleep_ms(100))
        while (takt_recv_next(net, &event))
            printf("%s\n", event.text);
    takt_stream_destroy(s);
    takt_recv_destroy(net); /* after the callback's last block */
    takt_key_wipe(&key);
}

/*
 * Tells of every sound device that comes and goes, for ten seconds: plug something in.
 */
#include <poll.h>
#include <stdio.h>
#include <takt/takt.h>

int main(void)
{
    struct takt_device_watch *w;
    struct takt_device_change c;
    struct takt_error e;
    if (takt_device_watch_create(&w, &e) < 0)
        return takt_die(&e);
    int64_t end_ns = takt_now_ns() + 10 * INT64_C(1000000000);
    struct pollfd news = {.fd = takt_device_watch_fd(w), .events = POLLIN};
    while (takt_now_ns() < end_ns && poll(&news, 1, 1000) >= 0)
        while (takt_device_watch_next(w, &c))
            printf("%-8s %s: %s\n", takt_device_change_name(c.type), c.device.id,
                   c.device.description);
    takt_device_watch_destroy(w);
    return 0;
}

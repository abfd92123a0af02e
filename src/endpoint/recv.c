#include "takt/recv.h"

#include "base/fail.h"

int takt_recv_create(const struct takt_recv_cfg *cfg, struct takt_recv **out, struct takt_error *e)
{
    (void)cfg;
    *out = NULL;
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "not built yet");
}

void takt_recv_destroy(struct takt_recv *r)
{
    (void)r;
}

void takt_recv_read(struct takt_recv *r, int64_t now_ns, int64_t play_ns, float *const *out,
                    uint32_t frames)
{
    (void)r, (void)now_ns, (void)play_ns, (void)out, (void)frames;
}

void takt_recv_read_stats(struct takt_recv *r, struct takt_recv_stats *out)
{
    (void)r;
    *out = (struct takt_recv_stats){0};
}

bool takt_recv_next(struct takt_recv *r, struct takt_recv_event *out)
{
    (void)r, (void)out;
    return false;
}

const char *takt_recv_at(const struct takt_recv *r)
{
    (void)r;
    return "";
}

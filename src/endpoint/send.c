#include "takt/send.h"

#include "base/fail.h"

int takt_send_create(const struct takt_send_cfg *cfg, struct takt_send **out, struct takt_error *e)
{
    (void)cfg;
    *out = NULL;
    return takt_fail(e, TAKT_ERR_UNSUPPORTED, 0, "not built yet");
}

void takt_send_destroy(struct takt_send *s)
{
    (void)s;
}

bool takt_send_write(struct takt_send *s, const float *const *planes, uint32_t frames,
                     int64_t capture_ns)
{
    (void)s, (void)planes, (void)frames, (void)capture_ns;
    return false;
}

void takt_send_read_stats(struct takt_send *s, struct takt_send_stats *out)
{
    (void)s;
    *out = (struct takt_send_stats){0};
}

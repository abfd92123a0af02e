#include "net_json.h"

void net_json_counts(struct json *j, const struct takt_recv_counts *c)
{
    json_open(j, "counts", '{');
    json_int(j, "played", (int64_t)c->played);
    json_int(j, "late", (int64_t)c->late);
    json_int(j, "lost", (int64_t)c->lost);
    json_int(j, "repaired", (int64_t)c->repaired);
    json_int(j, "skipped", (int64_t)c->skipped);
    json_int(j, "duplicated", (int64_t)c->duplicated);
    json_int(j, "broken", (int64_t)c->broken);
    json_int(j, "resets", (int64_t)c->resets);
    json_int(j, "heard_frames", (int64_t)c->heard_frames);
    json_int(j, "concealed_frames", (int64_t)c->concealed_frames);
    json_close(j, '}');
}

void net_json_quantiles(struct json *j, const char *name, const struct takt_recv_quantiles *q)
{
    bool is_known = q->max > 0;
    json_open(j, name, '{');
    json_number(j, "p50", is_known ? q->p50 : UNKNOWN, 3);
    json_number(j, "p95", is_known ? q->p95 : UNKNOWN, 3);
    json_number(j, "p99", is_known ? q->p99 : UNKNOWN, 3);
    json_number(j, "max", is_known ? q->max : UNKNOWN, 3);
    json_close(j, '}');
}

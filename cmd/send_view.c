/*
 * What is seen of a sender: packets, the bits they take, who listens and how well they hear.
 */
#include "send.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef unsigned long long ull;

/* ---- What has to be told at once ---------------------------------------------------------------
 */

void send_take(struct analysis *a, const void *event, double time_s)
{
    struct sending *s = a->state;
    char text[256];
    s->now = *(const struct takt_send_stats *)event;
    if (s->now.unsent && !s->told_unsent) {
        snprintf(text, sizeof text, "%.2f s: the system does not take all packets%s%s", time_s,
                 *s->now.unsent_why ? ": " : "", s->now.unsent_why);
        session_tell(s->session, text);
        s->told_unsent = true;
    }
}

/* The last packet counts as well. The sending thread waits for nobody, so this is soon. */
void send_finish(void *of)
{
    enum { PATIENCE_MS = 1000 };
    struct sending *s = of;
    takt_send_end(s->send); /* a stream that hangs has not said so */
    takt_send_read_stats(s->send, &s->now);
    for (int i = 0; i < PATIENCE_MS && !s->now.ended; i++) {
        takt_sleep_ms(1);
        takt_send_read_stats(s->send, &s->now);
    }
    s->session->no_summary |= s->raw && raw_in_is_empty(s->raw); /* of silence that nobody sent */
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

static double known(double ms)
{
    return ms < 0 ? UNKNOWN : ms;
}

static void json_listeners(struct json *j, const struct takt_send_stats *n)
{
    json_open(j, "listeners", '[');
    for (uint32_t i = 0; i < n->listeners_count && i < TAKT_SEND_LISTENERS_MAX; i++) {
        const struct takt_send_listener *l = &n->listeners[i];
        json_open(j, NULL, '{');
        json_int(j, "ssrc", l->ssrc);
        json_number(j, "loss_ratio", l->loss, 6);
        json_number(j, "jitter_ms", l->jitter_ms, 3);
        json_number(j, "round_trip_ms", known(l->round_trip_ms), 3);
        json_number(j, "heard_s", l->heard_s, 1);
        json_close(j, '}');
    }
    json_close(j, ']');
}

/* The longest of those that are known. */
static double round_trip(const struct takt_send_stats *n)
{
    double ms = UNKNOWN;
    for (uint32_t i = 0; i < n->listeners_count && i < TAKT_SEND_LISTENERS_MAX; i++)
        ms = fmax(ms, known(n->listeners[i].round_trip_ms)); /* fmax takes a number over NaN */
    return ms;
}

static double worst_loss(const struct takt_send_stats *n)
{
    double loss = UNKNOWN;
    for (uint32_t i = 0; i < n->listeners_count && i < TAKT_SEND_LISTENERS_MAX; i++)
        loss = fmax(loss, n->listeners[i].loss);
    return loss;
}

static void json_fields(struct json *j, const struct takt_send_stats *n)
{
    json_int(j, "packets", (int64_t)n->packets);
    json_int(j, "bytes", (int64_t)n->bytes);
    json_number(j, "kbit_s", n->kbit_s, 1);
    json_number(j, "lost_ratio", worst_loss(n), 6);
    json_number(j, "round_trip_ms", round_trip(n), 3);
    json_open(j, "repair", '{');
    json_int(j, "copies", (int64_t)n->copies);
    json_int(j, "copies_now", n->copies_now);
    json_int(j, "packets", (int64_t)n->repair_packets);
    json_int(j, "bytes", (int64_t)n->repair_bytes);
    json_int(j, "per_block", n->repair_now);
    json_int(j, "block_packets", n->repair_data);
    json_int(j, "expected_loss_percent", n->loss_percent);
    json_close(j, '}');
    json_listeners(j, n);
}

void send_json(struct analysis *a, struct json *j, const void *event)
{
    (void)a;
    json_fields(j, event);
}

/* What only a receiver can know is null. */
void send_summary_json(struct analysis *a, struct json *j)
{
    struct sending *s = a->state;
    const struct takt_send_stats *n = &s->now;
    json_open(j, "net", '{');
    json_open(j, "latency_ms", '{');
    json_number(j, "p50", UNKNOWN, 0);
    json_number(j, "p95", UNKNOWN, 0);
    json_close(j, '}');
    static const char *const unknown[] = {"target_ms", "late_ratio", "repaired_ratio",
                                          "concealed_ratio", "drift_ppm"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        json_number(j, unknown[i], UNKNOWN, 0);
    json_fields(j, n);
    json_string(j, "codec", n->codec ? n->codec : "");
    json_number(j, "packet_ms", s->rate_hz ? 1e3 * n->packet_frames / s->rate_hz : UNKNOWN, 4);
    json_int(j, "ssrc", n->ssrc);
    json_bool(j, "encrypted", n->encrypted);
    json_int(j, "key_epoch", n->epoch);
    json_int(j, "frames", (int64_t)n->frames);
    json_int(j, "frames_dropped", (int64_t)n->frames_dropped);
    json_int(j, "unsent", (int64_t)n->unsent);
    json_open(j, "reports", '{');
    json_int(j, "sent", (int64_t)n->reports_sent);
    json_int(j, "heard", (int64_t)n->reports_heard);
    json_int(j, "refused", (int64_t)n->reports_refused);
    json_close(j, '}');
    json_open(j, "wake_us", '{');
    json_number(j, "p50", n->wake_us[0], 1);
    json_number(j, "p99", n->wake_us[1], 1);
    json_close(j, '}');
    json_number(j, "cpu_s", n->cpu_s, 3);
    json_close(j, '}');
    if (s->raw)
        raw_in_json(s->raw, j);
}

/* ---- Words -------------------------------------------------------------------------------------
 */

static void put_repair(char *to, size_t size, const struct takt_send_stats *n)
{
    int used = 0;
    if (n->copies_now)
        used =
            snprintf(to, size, "%u cop%s in each", n->copies_now, n->copies_now == 1 ? "y" : "ies");
    if (n->repair_now)
        used += snprintf(to + used, size - (size_t)used, "%s%u more for each %u", used ? ", " : "",
                         n->repair_now, n->repair_data);
    if (!used)
        snprintf(to, size, "none");
}

static void put_listeners(char *to, size_t size, const struct takt_send_stats *n)
{
    if (!n->listeners_count) {
        snprintf(to, size, "no listener has reported");
        return;
    }
    double trip = round_trip(n);
    int used = snprintf(to, size, "%u listener%s, worst loss %.2f %%", n->listeners_count,
                        n->listeners_count == 1 ? "" : "s", 100 * worst_loss(n));
    if (!isnan(trip))
        snprintf(to + used, size - (size_t)used, ", round trip %.1f ms", trip);
}

void send_text(struct analysis *a, const void *event, double time_s)
{
    const struct takt_send_stats *n = event;
    char repair[96], listeners[128];
    (void)a;
    put_repair(repair, sizeof repair, n);
    put_listeners(listeners, sizeof listeners, n);
    printf("%8.1f s  %llu packets, %.0f kbit/s, repair %s, %s\n", time_s, (ull)n->packets,
           n->kbit_s, repair, listeners);
}

void send_draw(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    const struct sending *s = a->state;
    const struct takt_send_stats *n = event ? event : &s->now;
    char sent[128], repair[96], listeners[128];
    snprintf(sent, sizeof sent, "%llu packets of %s, %.0f kbit/s, %s", (ull)n->packets,
             n->codec ? n->codec : "?", n->kbit_s, n->encrypted ? "encrypted" : "not encrypted");
    put_repair(repair, sizeof repair, n);
    put_listeners(listeners, sizeof listeners, n);
    const struct terminal_fact facts[] = {
        {"sent", sent, ""}, {"heard by", listeners, ""}, {"repair", repair, ""}};
    terminal_facts(t, facts, sizeof facts / sizeof *facts, rows);
}

void send_summary_text(struct analysis *a)
{
    struct sending *s = a->state;
    char repair[96], listeners[128];
    const struct takt_send_stats *n = &s->now;
    put_repair(repair, sizeof repair, n);
    put_listeners(listeners, sizeof listeners, n);
    printf("network: %llu packets of %s, %.3g ms each, %s, repair %s; %s\n", (ull)n->packets,
           n->codec ? n->codec : "?", s->rate_hz ? 1e3 * n->packet_frames / s->rate_hz : 0,
           n->encrypted ? "encrypted" : "not encrypted", repair, listeners);
    if (n->frames_dropped)
        printf("network: %llu frames were not sent in time and are lost\n", (ull)n->frames_dropped);
    if (n->unsent)
        printf("network: the system did not take %llu packets%s%s\n", (ull)n->unsent,
               *n->unsent_why ? ": " : "", n->unsent_why);
}

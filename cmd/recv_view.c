/*
 * What is seen of a receiver: how long sound takes and where that goes, what was late, lost,
 * repaired and concealed, and who comes, goes and is not heard.
 */
#include "recv.h"

#include "net_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef unsigned long long ull;

static double known(double ms)
{
    return ms < 0 ? UNKNOWN : ms;
}

static double positive(double ms)
{
    return ms > 0 ? ms : UNKNOWN;
}

/* The first that plays, or else the first that has fallen silent, or NULL. */
static const struct takt_recv_source *first_of(const struct takt_recv_stats *n)
{
    const struct takt_recv_source *silent = NULL;
    for (uint32_t i = TAKT_RECV_SOURCES_MAX; i--;)
        silent = n->source[i].live ? &n->source[i] : silent;
    for (uint32_t i = 0; i < TAKT_RECV_SOURCES_MAX; i++)
        if (n->source[i].live && !n->source[i].silent)
            return &n->source[i];
    return silent;
}

/* The first that plays, or NULL: of one that is silent nothing is true just now. */
static const struct takt_recv_source *first_playing(const struct takt_recv_stats *n)
{
    const struct takt_recv_source *s = first_of(n);
    return s && !s->silent ? s : NULL;
}

struct recv_parts recv_parts_of(const struct takt_recv_source *s)
{
    double here = s->latency_known ? s->latency_ms - s->delay_ms - s->output_ms : UNKNOWN;
    return (struct recv_parts){.here_ms = isnan(here) ? here : fmax(here, 0),
                               .delay_ms = s->delay_ms,
                               .output_ms = s->output_ms};
}

/* ---- Each look ---------------------------------------------------------------------------------
 */

static const char *kind_name(enum takt_recv_event_kind kind)
{
    return kind == TAKT_RECV_BEGAN ? "began" : "ended";
}

static void json_event(const struct takt_recv_event *ev, double time_s)
{
    struct json j = {.to = stdout};
    bool is_source = ev->kind == TAKT_RECV_BEGAN || ev->kind == TAKT_RECV_ENDED;
    bool is_warning = ev->kind == TAKT_RECV_WARNED;
    json_open(&j, NULL, '{');
    json_string(&j, "type", is_source ? "source" : is_warning ? "warning" : "refused");
    json_number(&j, "time_s", time_s, 6);
    if (is_source) {
        json_string(&j, "event", kind_name(ev->kind));
        json_int(&j, "place", ev->place);
    }
    if (!is_warning)
        json_int(&j, "ssrc", ev->ssrc);
    json_string(&j, "text", ev->text);
    json_close(&j, '}');
    json_end_line(&j);
}

static void take_events(struct receiving *r, double time_s)
{
    const struct options *o = r->options;
    struct takt_recv_event ev;
    while (takt_recv_next(r->recv, &ev)) {
        bool is_refused = ev.kind == TAKT_RECV_REFUSED, is_warning = ev.kind == TAKT_RECV_WARNED;
        r->began += ev.kind == TAKT_RECV_BEGAN;
        r->ended += ev.kind == TAKT_RECV_ENDED;
        r->refused += is_refused;
        /* Where the frames have stdout the lines of JSON are on stderr, and say the same. */
        bool is_in_json = o->json && !o->quiet && r->raw_fd >= 0;
        if ((!o->quiet || is_refused || is_warning) && !is_in_json)
            session_tell(r->session, ev.text);
        if (o->json && !o->quiet)
            json_event(&ev, time_s);
    }
}

static uint64_t due_of(const struct takt_recv_counts *c)
{
    return c->played + c->late + c->lost + c->skipped;
}

static void keep_sample(struct recv_curve *c, const struct recv_sample *s)
{
    if (!c->sample || ++c->skipped < c->every)
        return;
    c->skipped = 0;
    if (c->count == RECV_SAMPLES_MAX) {
        for (uint32_t i = 0; i < RECV_SAMPLES_MAX / 2; i++)
            c->sample[i] = c->sample[2 * i + 1];
        c->count = RECV_SAMPLES_MAX / 2;
        c->every *= 2;
    }
    c->sample[c->count++] = *s;
}

/* What was concealed before it was known that the sender had ended is taken back. */
static void take_back(struct recv_curve *c, uint64_t concealed_frames)
{
    for (uint32_t i = c->count; i && c->sample[i - 1].concealed_frames > concealed_frames; i--)
        c->sample[i - 1].concealed_frames = concealed_frames;
}

static void keep(struct receiving *r, double time_s)
{
    const struct takt_recv_source *any = first_of(&r->now), *s = first_playing(&r->now);
    const struct takt_recv_counts *c = &r->now.counts;
    struct recv_sample sample = {.time_s = time_s,
                                 .target_ms = s ? s->target_ms : UNKNOWN,
                                 .delay_ms = s ? s->delay_ms : UNKNOWN,
                                 .latency_ms = s && s->latency_known ? s->latency_ms : UNKNOWN,
                                 .due = due_of(c),
                                 .late = c->late,
                                 .lost = c->lost,
                                 .repaired = c->repaired,
                                 .concealed_frames = c->concealed_frames,
                                 .heard_frames = c->heard_frames};
    if (any) {
        r->source = *any;
        r->has_source = true;
    }
    take_back(&r->curve, c->concealed_frames);
    keep_sample(&r->curve, &sample);
}

void recv_take(struct analysis *a, const void *event, double time_s)
{
    struct receiving *r = a->state;
    r->now = *(const struct takt_recv_stats *)event;
    keep(r, time_s);
    take_events(r, time_s);
}

/* The figures of one that has ended are those of when it was last seen; not so its counts. */
static void count_to_the_end(struct receiving *r)
{
    for (uint32_t i = 0; i < TAKT_RECV_SOURCES_MAX; i++)
        if (r->now.source[i].ssrc == r->source.ssrc)
            r->source.counts = r->now.source[i].counts;
}

void recv_finish(void *of)
{
    struct receiving *r = of;
    if (r->raw)
        raw_out_finish(r->raw);
    takt_recv_read_stats(r->recv, &r->now);
    takt_recv_read_lateness(r->recv, &r->lateness_ns);
    const struct takt_recv_source *s = first_of(&r->now);
    if (s) {
        r->source = *s;
        r->has_source = true;
    } else if (r->has_source) {
        count_to_the_end(r);
    }
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

/* Of a source that is or was there, or of none: then all is null. */
static void json_timing(struct json *j, const struct takt_recv_source *s, bool is_summary)
{
    struct recv_parts parts = s ? recv_parts_of(s) : (struct recv_parts){UNKNOWN, UNKNOWN, UNKNOWN};
    static const struct takt_recv_quantiles none = {0};
    if (is_summary)
        net_json_quantiles(j, "latency_ms", s ? &s->latency : &none);
    else
        json_number(j, "latency_ms", s && s->latency_known ? s->latency_ms : UNKNOWN, 3);
    json_open(j, "parts_ms", '{');
    json_number(j, "here", parts.here_ms, 3);
    json_number(j, "delay", parts.delay_ms, 3);
    json_number(j, "output", parts.output_ms, 3);
    json_close(j, '}');
    json_number(j, "target_ms", s ? s->target_ms : UNKNOWN, 3);
    json_number(j, "delay_ms", s ? s->delay_ms : UNKNOWN, 3);
    json_number(j, "drift_ppm", s ? s->drift_ppm : UNKNOWN, 2);
    json_number(j, "speed_ppm", s ? s->speed_ppm : UNKNOWN, 2);
    json_number(j, "jitter_ms", s ? s->jitter_ms : UNKNOWN, 3);
    net_json_quantiles(j, "lateness_ms", s ? &s->lateness_ms : &none);
    json_number(j, "round_trip_ms", s ? known(s->round_trip_ms) : UNKNOWN, 3);
}

static void json_ratios(struct json *j, const struct takt_recv_stats *n, double kbit_s)
{
    bool any = due_of(&n->counts), heard = n->counts.heard_frames + n->counts.concealed_frames;
    json_number(j, "late_ratio", any ? n->late_ratio : UNKNOWN, 6);
    json_number(j, "lost_ratio", any ? n->lost_ratio : UNKNOWN, 6);
    json_number(j, "repaired_ratio", any ? n->repaired_ratio : UNKNOWN, 6);
    json_number(j, "concealed_ratio", heard ? n->concealed_ratio : UNKNOWN, 6);
    json_int(j, "packets", (int64_t)n->counts.packets);
    json_number(j, "kbit_s", kbit_s, 1);
}

static void json_source(struct json *j, const struct takt_recv_source *s)
{
    json_open(j, NULL, '{');
    json_bool(j, "live", s->live);
    json_bool(j, "silent", s->silent);
    json_int(j, "ssrc", s->ssrc);
    json_string(j, "from", s->from);
    json_string(j, "cname", s->cname);
    json_string(j, "codec", s->codec ? s->codec : "");
    json_int(j, "rate_hz", s->rate_hz);
    json_int(j, "channels", s->channels);
    json_number(j, "packet_ms", positive(s->packet_ms), 4);
    json_bool(j, "encrypted", s->encrypted);
    json_bool(j, "exact", s->exact);
    json_timing(j, s, true);
    json_int(j, "packets", (int64_t)s->counts.packets);
    json_number(j, "kbit_s", s->kbit_s, 1);
    net_json_counts(j, &s->counts);
    json_close(j, '}');
}

void recv_json(struct analysis *a, struct json *j, const void *event)
{
    const struct takt_recv_stats *n = event;
    (void)a;
    json_int(j, "sources", n->sources_count);
    json_timing(j, first_playing(n), false);
    json_ratios(j, n, n->kbit_s);
}

static void json_refused(struct json *j, const struct receiving *r)
{
    const struct takt_recv_refused *f = &r->now.refused;
    json_open(j, "refused", '{');
    json_int(j, "malformed", (int64_t)f->malformed);
    json_int(j, "foreign", (int64_t)f->foreign);
    json_int(j, "undescribed", (int64_t)f->undescribed);
    json_int(j, "forged", (int64_t)f->forged);
    json_int(j, "plain", (int64_t)f->plain);
    json_int(j, "encrypted", (int64_t)f->encrypted);
    json_int(j, "replayed", (int64_t)f->replayed);
    json_int(j, "untried", (int64_t)f->untried);
    if (*r->now.stranger)
        json_string(j, "last_from", r->now.stranger);
    json_close(j, '}');
}

void recv_summary_json(struct analysis *a, struct json *j)
{
    struct receiving *r = a->state;
    const struct takt_recv_stats *n = &r->now;
    json_open(j, "net", '{');
    json_string(j, "at", r->at);
    json_timing(j, r->has_source ? &r->source : NULL, true);
    json_ratios(j, n, n->kbit_s_mean);
    net_json_counts(j, &n->counts);
    json_int(j, "datagrams", (int64_t)n->datagrams);
    json_int(j, "kernel_dropped", (int64_t)n->kernel_dropped);
    json_int(j, "ring_dropped", (int64_t)n->ring_dropped);
    json_open(j, "sources", '[');
    bool any = false;
    for (uint32_t i = 0; i < TAKT_RECV_SOURCES_MAX; i++)
        if (n->source[i].live) {
            json_source(j, &n->source[i]);
            any = true;
        }
    if (!any && r->has_source) {
        struct takt_recv_source last = r->source;
        last.live = false;
        json_source(j, &last);
    }
    json_close(j, ']');
    json_refused(j, r);
    json_open(j, "events", '{');
    json_int(j, "began", (int64_t)r->began);
    json_int(j, "ended", (int64_t)r->ended);
    json_int(j, "refused", (int64_t)r->refused);
    json_close(j, '}');
    json_number(j, "cpu_s", n->cpu_s, 3);
    json_close(j, '}');
    if (r->raw)
        raw_out_json(r->raw, j);
}

/* ---- Words -------------------------------------------------------------------------------------
 */

static void put_latency(char *to, size_t size, const struct takt_recv_source *s)
{
    struct recv_parts p = recv_parts_of(s);
    if (s->latency_known)
        snprintf(to, size, "%.1f ms = %.1f to here + %.1f delay + %.1f output, target %.1f",
                 s->latency_ms, p.here_ms, p.delay_ms, p.output_ms, s->target_ms);
    else
        snprintf(to, size, "%.1f delay + %.1f output ms from here on, target %.1f", p.delay_ms,
                 p.output_ms, s->target_ms);
}

static void put_ratios(char *to, size_t size, const struct takt_recv_stats *n)
{
    snprintf(to, size, "late %.2f %%, lost %.2f %%, repaired %.2f %%, concealed %.3f %%",
             100 * n->late_ratio, 100 * n->lost_ratio, 100 * n->repaired_ratio,
             100 * n->concealed_ratio);
}

static void put_line(char *to, size_t size, const struct takt_recv_stats *n,
                     const struct takt_recv_source *s)
{
    int used = snprintf(to, size, "%.0f kbit/s, drift %+.1f ppm, jitter %.2f ms", n->kbit_s,
                        s->drift_ppm, s->jitter_ms);
    if (s->round_trip_ms >= 0)
        snprintf(to + used, size - (size_t)used, ", round trip %.1f ms", s->round_trip_ms);
}

static void put_source(char *to, size_t size, const struct takt_recv_stats *n,
                       const struct takt_recv_source *s)
{
    char others[32] = "";
    if (n->sources_count > 1)
        snprintf(others, sizeof others, ", and %u more", n->sources_count - 1);
    snprintf(to, size, "%s, %s, %s%s, %u Hz, %u channel%s", s->from, s->codec ? s->codec : "?",
             s->encrypted ? "encrypted" : "not encrypted", others, s->rate_hz, s->channels,
             s->channels == 1 ? "" : "s");
}

void recv_text(struct analysis *a, const void *event, double time_s)
{
    const struct takt_recv_stats *n = event;
    const struct takt_recv_source *s = first_of(n);
    char latency[128], ratios[160], line[160];
    (void)a;
    if (!s) {
        printf("%8.1f s  nobody is heard\n", time_s);
        return;
    }
    put_ratios(ratios, sizeof ratios, n);
    if (s->silent) {
        printf("%8.1f s  %s is silent; %s\n", time_s, s->from, ratios);
        return;
    }
    put_latency(latency, sizeof latency, s);
    put_line(line, sizeof line, n, s);
    printf("%8.1f s  latency %s; %s; %s\n", time_s, latency, ratios, line);
}

void recv_draw(struct analysis *a, struct terminal *t, int rows, const void *event)
{
    struct receiving *r = a->state;
    const struct takt_recv_stats *n = event ? event : &r->now;
    const struct takt_recv_source *s = first_of(n);
    char latency[128], ratios[160], line[160], from[160], cname[TAKT_RECV_NAME_MAX];
    if (!s) {
        snprintf(line, sizeof line, "nobody is heard at %s", r->at);
        terminal_facts(t, &(struct terminal_fact){"network", line, ""}, 1, rows);
        return;
    }
    put_latency(latency, sizeof latency, s);
    put_ratios(ratios, sizeof ratios, n);
    put_line(line, sizeof line, n, s);
    if (s->silent) {
        snprintf(latency, sizeof latency, "none, as the sender is silent");
        snprintf(line, sizeof line, "%.0f kbit/s", n->kbit_s);
    }
    put_source(from, sizeof from, n, s);
    snprintf(cname, sizeof cname, "%s", s->cname);
    make_printable(cname);
    const struct terminal_fact facts[] = {{"latency", latency, ""},
                                          {"packets", ratios, ""},
                                          {"network", line, ""},
                                          {"from", from, cname}};
    terminal_facts(t, facts, sizeof facts / sizeof *facts, rows);
}

static uint64_t refused_packets(const struct takt_recv_refused *f)
{
    return f->malformed + f->foreign + f->undescribed + f->forged + f->plain + f->encrypted +
           f->replayed + f->untried;
}

void recv_summary_text(struct analysis *a)
{
    struct receiving *r = a->state;
    char text[320], cname[TAKT_RECV_NAME_MAX];
    const struct takt_recv_stats *n = &r->now;
    const struct takt_recv_source *s = r->has_source ? &r->source : NULL;
    if (!s) {
        printf("network: nobody was heard at %s\n", r->at);
    } else {
        put_source(text, sizeof text, n, s);
        snprintf(cname, sizeof cname, "%s", s->cname);
        make_printable(cname);
        printf("network: %llu packets from %s%s%s\n", (ull)n->counts.packets, text,
               *cname ? ", " : "", cname);
        put_ratios(text, sizeof text, n);
        printf("network: %s\n", text);
        if (s->latency.max > 0)
            printf("network: latency p50 %.2f ms, p95 %.2f ms, max %.2f ms\n", s->latency.p50,
                   s->latency.p95, s->latency.max);
        put_line(text, sizeof text, n, s);
        printf("network: target %.1f ms, delay %.1f ms, %s\n", s->target_ms, s->delay_ms, text);
    }
    uint64_t refused = refused_packets(&n->refused);
    if (refused)
        printf("network: %llu packet%s refused%s%s\n", (ull)refused, refused == 1 ? "" : "s",
               *n->stranger ? ", the last from " : "", n->stranger);
    if (n->kernel_dropped + n->ring_dropped)
        printf("network: %llu packets came faster than they were taken, and are lost\n",
               (ull)(n->kernel_dropped + n->ring_dropped));
    if (r->raw && raw_out_dropped(r->raw))
        printf("stdout: %llu frames dropped, as its reader was too slow\n",
               (ull)raw_out_dropped(r->raw));
}

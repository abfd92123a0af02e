/*
 * What goes back to a source, and what its own reports say of its clock.
 *
 * An SR tells the sender's wall clock when it left. Arrival less that is the one-way delay less
 * the difference of the clocks, so the least of the last minute is of a report that hardly waited;
 * since clocks drift, an older one counts for more than it was. The delay itself cannot be told
 * from the difference of the clocks, but by asking: the sender answers our clock's reading, and
 * half of the least round trip is taken as the delay. A wall clock that is set shows in a report
 * whose time and timestamp do not go on as those of the one before, and what was before is
 * forgotten.
 *
 * A report goes where the source's own came from, and only as many bytes as came from there: so
 * nobody can have us send more to a third than he sends himself.
 */
#include "net/inlet_parts.h"

#include "base/assert.h"
#include "net/listeners.h"
#include "wire/bytes.h"

#include <math.h>
#include <string.h>

enum {
    OPUS_HZ = 48000,
    DRIFT_IN = 20000, /* 50 ppm */
    FIRST_REPORTS = 8,
    REPORT_BYTES_MAX = 512,
    TOLD_BYTES_MAX = 32,
    AROUND_BYTES = 28 /* IPv4 and UDP */
};
static const int64_t ns_per_s = 1000000000, window_ns = 60000000000;
static const int64_t soon_ns = 20000000, soon_more_ns = 60000000, again_ns = 100000000;
static const int64_t soonest_ns = 500000000, latest_ns = 5000000000;
static const int64_t near_ns = 1900000000000000000; /* 2030, which no NTP time is far from */
static const int64_t early_most_ns = ns_per_s, late_most_ns = 60 * ns_per_s; /* of a capture */
/* By which wall clock and timestamps may disagree, besides what their rates differ by. */
static const double pair_off_ns = 5e6, stamp_off_ns = 20e6, rates_off = 1e-3;

/* ---- Clock ----------------------------------------------------------------------------------- */

/* Those that a newer one is less than will never be the least again. So the list stays a short one,
 * from the least to the newest; were it full all the same, the one before the newest would go. */
static void add_sample(struct takt_inlet_least *l, struct takt_inlet_sample now)
{
    while (l->count > 0 && l->list[l->count - 1].ns >= now.ns)
        l->count--;
    l->count -= l->count == TAKT_INLET_SAMPLES;
    l->list[l->count++] = now;
}

static const struct takt_inlet_sample *newest(const struct takt_inlet_least *l)
{
    return &l->list[l->count - 1];
}

/* The least sample of the last minute; the newest, where all are older. */
static int64_t least_of(const struct takt_inlet_least *l, int64_t now_ns)
{
    for (uint32_t i = 0; i < l->count; i++) {
        int64_t age_ns = now_ns - l->list[i].at_ns;
        if (age_ns >= 0 && age_ns <= window_ns)
            return l->list[i].ns;
    }
    return newest(l)->ns;
}

/* What clocks drift apart by, at most. A sample of two clocks is kept less that of its own time, so
 * that it counts for more the older it is; a round trip is of one clock. */
static int64_t drift_ns(int64_t now_ns)
{
    return now_ns / DRIFT_IN;
}

static void find_clock(struct takt_inlet_clock *c, int64_t now_ns)
{
    c->is_known = c->sr.count > 0 && c->trip.count > 0;
    if (c->is_known)
        c->unix_less_monotonic_ns =
            least_of(&c->trip, now_ns) / 2 - least_of(&c->sr, now_ns) - drift_ns(now_ns);
}

/* Whether the wall clock's time is, but for off_ns, what the newest SR says it is at the timestamp.
 */
static bool fits_pair(const struct takt_inlet_clock *c, int64_t unix_ns, uint32_t timestamp,
                      uint32_t clock_hz, double off_ns)
{
    if (!clock_hz)
        return true;
    double passed_ns = (double)(int32_t)(timestamp - c->pair_timestamp) * 1e9 / clock_hz;
    double by_wall_ns = (double)unix_ns - (double)c->pair_ns;
    return fabs(by_wall_ns - passed_ns) < off_ns + rates_off * fabs(passed_ns);
}

void takt_inlet_clock_sr(struct takt_inlet_clock *c, int64_t arrival_ns, uint64_t ntp,
                         uint32_t timestamp, uint32_t clock_hz)
{
    int64_t unix_ns = takt_ntp_to_ns(ntp, near_ns);
    /* One that was heard before the format was known could be compared with nothing. */
    bool is_first = !c->has_pair || c->pair_hz != clock_hz;
    if (is_first || !fits_pair(c, unix_ns, timestamp, clock_hz, pair_off_ns))
        c->sr.count = 0;
    c->has_pair = true;
    c->pair_hz = clock_hz;
    c->pair_ns = unix_ns;
    c->pair_timestamp = timestamp;
    add_sample(&c->sr,
               (struct takt_inlet_sample){arrival_ns, arrival_ns - unix_ns - drift_ns(arrival_ns)});
    find_clock(c, arrival_ns);
}

static bool was_asked(const struct takt_inlet_clock *c, uint32_t middle)
{
    for (uint32_t i = 0; i < c->asked_count && i < TAKT_INLET_ASKED; i++)
        if (c->asked[i] == middle)
            return true;
    return false;
}

void takt_inlet_clock_answer(struct takt_inlet_clock *c, int64_t arrival_ns,
                             const struct takt_rtcp_dlrr *answer)
{
    if (!was_asked(c, answer->last_rr))
        return;
    int64_t trip_ns =
        takt_rtcp_round_trip_ns(takt_ntp_from_ns(arrival_ns), answer->last_rr, answer->delay);
    if (trip_ns < 0)
        return;
    add_sample(&c->trip, (struct takt_inlet_sample){arrival_ns, trip_ns});
    find_clock(c, arrival_ns);
}

int64_t takt_inlet_clock_trip_ns(const struct takt_inlet_clock *c)
{
    return c->trip.count ? newest(&c->trip)->ns : -1;
}

bool takt_inlet_captured(const struct takt_inlet_clock *c, const struct takt_rtp *p, uint8_t id,
                         uint32_t clock_hz, int64_t arrival_ns, int64_t *out)
{
    struct takt_rtp_ext ext;
    struct takt_capture_time t;
    if (!c->is_known || !id || !takt_rtp_ext_find(p, id, &ext) ||
        takt_capture_time_parse(&ext, &t) < 0)
        return false;
    uint64_t ntp = t.has_offset ? t.ntp - (uint64_t)t.offset : t.ntp;
    int64_t unix_ns = takt_ntp_to_ns(ntp, near_ns);
    if (!fits_pair(c, unix_ns, p->timestamp, clock_hz, stamp_off_ns))
        return false;
    *out = unix_ns - c->unix_less_monotonic_ns;
    return *out<arrival_ns + early_most_ns && * out> arrival_ns - late_most_ns;
}

uint32_t takt_inlet_clock_hz(const struct takt_session_packets *p)
{
    return p->format.codec == TAKT_CODEC_OPUS ? OPUS_HZ : p->format.rate_hz;
}

/* ---- Reports --------------------------------------------------------------------------------- */

static bool may_report(const struct takt_inlet *in, const struct takt_inlet_place *p)
{
    const struct takt_inlet_sender *s = &p->sender;
    if (!p->is_live || !s->has_back || s->ssrc == in->cfg.ssrc)
        return false;
    return in->trust != TAKT_INLET_PLAIN ||
           (in->cfg.reports_plain &&
            memcmp(s->back.bytes, s->from.bytes, TAKT_INLET_HOST_BYTES) == 0);
}

void takt_inlet_report_soon(struct takt_inlet *in, struct takt_inlet_place *p, int64_t now_ns)
{
    if (p->is_due || !may_report(in, p))
        return;
    double chance = takt_random_unit(&in->chance);
    p->is_due = true;
    p->due_ns = now_ns + soon_ns + (int64_t)(chance * (double)soon_more_ns);
}

/* As a sender's own: half a second to 5 s, and less often where the stream is a thin one. */
static int64_t interval_ns(struct takt_inlet *in, const struct takt_inlet_place *p, int64_t now_ns)
{
    const double share = 0.05, reduced = 360e3 / 8; /* RFC 3550, 6.2: 360 s over kb/s */
    double passed_s = (double)(now_ns - p->begun_ns) * 1e-9;
    double bytes_per_s = (double)p->bytes / (passed_s < 0.1 ? 0.1 : passed_s);
    double least = bytes_per_s > 1 ? reduced / bytes_per_s * (double)ns_per_s : (double)latest_ns;
    int64_t least_ns = least > (double)latest_ns ? latest_ns : (int64_t)least;
    least_ns = least_ns < soonest_ns || p->reports < FIRST_REPORTS ? soonest_ns : least_ns;
    struct takt_rtcp_load load = {.members = 2,
                                  .senders = 1,
                                  .is_initial = p->reports < FIRST_REPORTS / 2,
                                  .bytes_per_s = share * bytes_per_s,
                                  .compound_bytes = p->report_bytes,
                                  .interval_ns_min = least_ns};
    return takt_rtcp_interval_ns(&load, takt_random_unit(&in->chance));
}

/* What is added behind what is there; once something has failed, used is that error. */
static void add(int *used, int bytes)
{
    if (*used >= 0)
        *used = bytes < 0 ? bytes : *used + bytes;
}

static int write_report(const struct takt_inlet *in, const struct takt_inlet_place *p,
                        int64_t now_ns, uint64_t ntp, const struct takt_rtp_reception *reception,
                        uint8_t out[REPORT_BYTES_MAX])
{
    const struct takt_inlet_sender *s = &p->sender;
    struct takt_rtcp_reports r = {.ssrc = in->cfg.ssrc, .count = 1};
    char text[TOLD_BYTES_MAX];
    int told = takt_listeners_tell(p->came ? (double)p->overtaken / p->came : 0, text, sizeof text);
    struct takt_rtcp_item items[] = {{.ssrc = in->cfg.ssrc,
                                      .type = TAKT_RTCP_CNAME,
                                      .bytes = (uint8_t)strlen(in->cname),
                                      .text = in->cname},
                                     {.ssrc = in->cfg.ssrc,
                                      .type = TAKT_RTCP_PRIV,
                                      .prefix_bytes = sizeof TAKT_SESSION_PREFIX - 1,
                                      .bytes = (uint8_t)(told > 0 ? told : 0),
                                      .prefix = TAKT_SESSION_PREFIX,
                                      .text = text}};
    size_t items_count = s->has_line && told > 0 ? 2 : 1; /* of interest to takt alone */
    struct takt_rtcp_xr_block time = {.type = TAKT_RTCP_XR_TIME, .ntp = ntp};
    r.blocks[0] = (struct takt_rtcp_block){.ssrc = s->ssrc, .reception = *reception};
    if (s->last_sr) {
        r.blocks[0].last_sr = s->last_sr;
        r.blocks[0].delay = takt_ntp_delay(now_ns - s->last_sr_ns);
    }
    int used = takt_rtcp_write_reports(&r, out, REPORT_BYTES_MAX);
    if (used >= 0)
        add(&used,
            takt_rtcp_write_sdes(items, items_count, out + used, REPORT_BYTES_MAX - (size_t)used));
    if (used >= 0)
        add(&used, takt_rtcp_write_xr(in->cfg.ssrc, &time, 1, out + used,
                                      REPORT_BYTES_MAX - (size_t)used));
    return used;
}

static int seal(struct takt_inlet *in, struct takt_inlet_place *p, uint8_t *report, int bytes,
                size_t room)
{
    if (in->trust == TAKT_INLET_KEYED)
        return takt_inlet_seal(&in->keys, p->sender.context, report, (size_t)bytes, room);
    if (in->trust == TAKT_INLET_SDES)
        return takt_srtcp_protect(in->sdes_out, report, (size_t)bytes, room);
    return bytes;
}

static size_t added(const struct takt_inlet *in, const struct takt_inlet_place *p)
{
    return in->trust == TAKT_INLET_KEYED  ? takt_srtcp_added(p->sender.context->back)
           : in->trust == TAKT_INLET_SDES ? takt_srtcp_added(in->sdes_out)
                                          : 0;
}

void takt_inlet_report(struct takt_inlet *in, struct takt_inlet_place *p, int64_t now_ns,
                       takt_inlet_send *send, void *arg)
{
    uint8_t report[REPORT_BYTES_MAX + TAKT_SRTP_TRAILER_BYTES_MAX];
    if (!p->is_due || now_ns < p->due_ns)
        return;
    if (!may_report(in, p)) {
        p->is_due = false;
        return;
    }
    struct takt_rtp_source after = p->reception;
    struct takt_rtp_reception reception = takt_rtp_source_report(&after);
    uint64_t ntp = takt_ntp_from_ns(now_ns);
    int bytes = write_report(in, p, now_ns, ntp, &reception, report);
    p->due_ns = now_ns + again_ns;
    if (bytes < 0 || (size_t)bytes + added(in, p) > p->sender.budget)
        return;
    bytes = seal(in, p, report, bytes, sizeof report);
    if (bytes < 0)
        return;
    TAKT_ASSERT((uint64_t)bytes <= p->sender.budget);
    p->sender.budget -= (uint64_t)bytes;
    p->reception = after;
    p->came = p->overtaken = 0;
    p->sender.clock.asked[p->sender.clock.asked_count++ % TAKT_INLET_ASKED] = takt_ntp_middle(ntp);
    p->report_bytes += (bytes + AROUND_BYTES - p->report_bytes) / (p->reports ? 16 : 1);
    p->reports++;
    p->due_ns = now_ns + interval_ns(in, p, now_ns);
    send(arg, &p->sender.back, report, (size_t)bytes);
}

/*
 * Loss is counted over the packets between two reports of a listener, which is finer than the 1/256
 * that a report has for it. As much of the worst listener's loss as is sure counts at once, and the
 * rest comes, and goes, half the way with each report.
 *
 * Of n copies beside each packet, n + 1 in a row must be lost before anything is missing. With loss
 * at random that is loss^(n + 1), and n is the least that brings it below 0.03 %.
 */
#include "net/listeners.h"

#include "base/assert.h"
#include "net/session_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COPIES_MAX = 3, PLAUSIBLE_PACKETS = 1 << 22, FIRST_PACKETS = 32 };

static const int64_t silence_ns_max = INT64_C(30000000000), hold_ns = INT64_C(20000000000);
static const double missing_most = 3e-4, fall = 0.5;
static const double overtaken_least = 0.1; /* a packet held up now and then is not worth it */
#define OVERTAKEN "1 overtaken="
/* The spread: smoothed over so many reports, of which one counts no more than this, and only with
 * so many packets lost that their number is not all chance. */
static const double spread_smooth = 1.0 / 8, spread_most = 8, spread_lost_least = 4;

void takt_listeners_init(struct takt_listeners *l, const struct takt_listeners_cfg *cfg)
{
    TAKT_ASSERT(cfg->copies <= cfg->copies_max && cfg->copies_max <= COPIES_MAX);
    TAKT_ASSERT(cfg->percent <= cfg->percent_max);
    *l = (struct takt_listeners){
        .cfg = *cfg, .copies.level = cfg->copies, .percent.level = cfg->percent};
}

int takt_listeners_tell(double overtaken, char *out, size_t room)
{
    int bytes = snprintf(out, room, OVERTAKEN "%.0f", 100 * fmax(0, fmin(1, overtaken)));
    return bytes < 0 || (size_t)bytes >= room ? TAKT_ERR_FULL : bytes;
}

void takt_listeners_asked(struct takt_listeners *l, uint32_t middle, int64_t now_ns)
{
    l->srs[l->sr_next++ % TAKT_LISTENERS_SRS] = (struct takt_listeners_sr){middle, now_ns};
}

/* ---- What comes --------------------------------------------------------------------------------
 */

static struct takt_listener *find(struct takt_listeners *l, uint32_t ssrc)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->list[i].ssrc == ssrc)
            return &l->list[i];
    return NULL;
}

static void drop(struct takt_listeners *l, struct takt_listener *gone)
{
    *gone = l->list[--l->count];
}

/* From the report that is answered to its answer, less the time it lay at the listener's. */
static int64_t round_trip_ns(const struct takt_listeners *l, const struct takt_rtcp_block *b,
                             int64_t now_ns)
{
    for (uint32_t i = 0; b->last_sr && i < TAKT_LISTENERS_SRS; i++) {
        if (l->srs[i].middle != b->last_sr)
            continue;
        int64_t lay_ns = (int64_t)((uint64_t)b->delay * 1000000000 >> 16);
        int64_t trip_ns = now_ns - l->srs[i].sent_ns - lay_ns;
        const int64_t rounding_ns = 1000000;
        return trip_ns >= 0 ? trip_ns : trip_ns >= -rounding_ns ? 0 : -1;
    }
    return -1;
}

/* Since the last report; of the first, or of one that cannot be true, what it says itself. */
static double loss_since(const struct takt_rtp_reception *before,
                         const struct takt_rtp_reception *now, bool has_before)
{
    int64_t expected = (int32_t)(now->seq_highest - before->seq_highest);
    int64_t lost = (int64_t)now->lost - before->lost;
    if (!has_before || expected <= 0 || expected > PLAUSIBLE_PACKETS || lost > expected ||
        lost < -expected)
        return now->fraction_lost / 256.0;
    return lost > 0 ? (double)lost / (double)expected : 0;
}

/* From one report to the next, so that loss which changes slowly is no burst. */
static void spread(struct takt_listener *x, double before, uint32_t packets)
{
    double mean = (before + x->loss) / 2, step = x->loss - before;
    if (packets > PLAUSIBLE_PACKETS || mean * packets < spread_lost_least || mean >= 1)
        return;
    double now = fmin(spread_most, step * step / 2 * packets / (mean * (1 - mean)));
    x->spread = x->spread > 0 ? x->spread : 1;
    x->spread += spread_smooth * (now - x->spread);
}

/* What is lost at least, as of few packets more are lost by chance than of many. */
static double surely(double loss, uint32_t packets)
{
    if (packets == 0 || packets > PLAUSIBLE_PACKETS)
        return 0;
    return fmax(0, loss - sqrt(loss * (1 - loss) / packets));
}

static void take_block(struct takt_listeners *l, uint32_t ssrc, const struct takt_rtcp_block *b,
                       int64_t now_ns)
{
    struct takt_listener *x = find(l, ssrc);
    bool is_known = x;
    if (!x && l->count == TAKT_LISTENERS_MAX) {
        takt_listeners_update(l, now_ns);
        if (l->count == TAKT_LISTENERS_MAX) {
            l->crowded++;
            return;
        }
    }
    if (!x) {
        x = &l->list[l->count++];
        *x = (struct takt_listener){.ssrc = ssrc, .round_trip_ns = -1};
    }
    double before = x->loss;
    uint32_t packets = b->reception.seq_highest - x->reception.seq_highest;
    x->loss = loss_since(&x->reception, &b->reception, is_known);
    if (is_known)
        spread(x, before, packets);
    x->loss_held = fmax(surely(x->loss, is_known ? packets : FIRST_PACKETS),
                        x->loss_held + fall * (x->loss - x->loss_held) * is_known);
    x->reception = b->reception;
    x->heard_ns = now_ns;
    int64_t trip_ns = round_trip_ns(l, b, now_ns);
    if (trip_ns >= 0)
        x->round_trip_ns = trip_ns;
}

static int take_reports(struct takt_listeners *l, const struct takt_rtcp_packet *p, int64_t now_ns)
{
    struct takt_rtcp_reports r;
    int err = takt_rtcp_parse_reports(p, &r);
    if (err < 0)
        return err;
    if (r.ssrc == l->cfg.ssrc) {
        l->collided++;
        return 0;
    }
    for (uint8_t i = 0; i < r.count; i++)
        if (r.blocks[i].ssrc == l->cfg.ssrc) {
            take_block(l, r.ssrc, &r.blocks[i], now_ns);
            break;
        }
    return 0;
}

static void take_summary(struct takt_listener *x, const struct takt_rtcp_summary *s)
{
    uint16_t packets = (uint16_t)(s->seq_end - s->seq_begin);
    if (packets == 0 || s->lost > packets)
        return;
    x->loss = (double)s->lost / packets;
    x->loss_held = fmax(surely(x->loss, packets), x->loss_held);
}

/* Only of listeners that have reported on the stream. */
static int take_extended(struct takt_listeners *l, const struct takt_rtcp_packet *p, int64_t now_ns)
{
    const uint8_t has_lost = 0x80;
    struct takt_rtcp_xr_block b;
    uint32_t ssrc;
    int more = takt_rtcp_xr_ssrc(p, &ssrc);
    struct takt_listener *x = more < 0 ? NULL : find(l, ssrc);
    for (size_t at = 0; more >= 0 && (more = takt_rtcp_xr_next(p, &at, &b)) > 0;) {
        if (x && b.type == TAKT_RTCP_XR_TIME) {
            x->wants_answer = true;
            x->clock = takt_ntp_middle(b.ntp);
            x->clock_ns = now_ns;
        } else if (x && b.type == TAKT_RTCP_XR_SUMMARY && b.flags & has_lost &&
                   b.summary.ssrc == l->cfg.ssrc) {
            take_summary(x, &b.summary);
        }
    }
    return more;
}

/* Only of listeners that have reported on the stream. */
static int take_text(struct takt_listeners *l, const struct takt_rtcp_packet *p)
{
    const size_t words = sizeof OVERTAKEN - 1, prefix = sizeof TAKT_SESSION_PREFIX - 1;
    struct takt_rtcp_sdes where = {0};
    struct takt_rtcp_item item;
    int more;
    while ((more = takt_rtcp_sdes_next(p, &where, &item)) > 0) {
        struct takt_listener *x = find(l, item.ssrc);
        if (!x || item.type != TAKT_RTCP_PRIV || item.prefix_bytes != prefix ||
            memcmp(item.prefix, TAKT_SESSION_PREFIX, prefix) || item.bytes <= words ||
            memcmp(item.text, OVERTAKEN, words))
            continue;
        uint32_t percent = 0;
        for (size_t i = words; i < item.bytes && item.text[i] >= '0' && item.text[i] <= '9'; i++)
            percent = percent < 100 ? 10 * percent + (uint32_t)(item.text[i] - '0') : 100;
        x->overtaken = fmin(1, percent / 100.0);
    }
    return more;
}

static int take_bye(struct takt_listeners *l, const struct takt_rtcp_packet *p)
{
    struct takt_rtcp_bye bye;
    int err = takt_rtcp_parse_bye(p, &bye);
    for (uint8_t i = 0; err == 0 && i < bye.count; i++) {
        struct takt_listener *x = find(l, bye.ssrc[i]);
        if (x)
            drop(l, x);
    }
    return err;
}

int takt_listeners_take(struct takt_listeners *l, const uint8_t *in, size_t bytes, int64_t now_ns)
{
    struct takt_rtcp_packet p;
    int err = takt_rtcp_check(in, bytes);
    for (size_t at = 0; err == 0 && takt_rtcp_next(in, bytes, &at, &p) > 0;) {
        if (p.type == TAKT_RTCP_SR || p.type == TAKT_RTCP_RR)
            err = take_reports(l, &p, now_ns);
        else if (p.type == TAKT_RTCP_XR)
            err = take_extended(l, &p, now_ns);
        else if (p.type == TAKT_RTCP_SDES)
            err = take_text(l, &p);
        else if (p.type == TAKT_RTCP_BYE)
            err = take_bye(l, &p);
    }
    return err;
}

/* ---- What to do about it -----------------------------------------------------------------------
 */

static uint32_t copies_for(double loss)
{
    uint32_t copies = 0;
    for (double missing = loss; missing > missing_most && copies < COPIES_MAX; copies++)
        missing *= loss;
    return copies;
}

static uint32_t percent_for(double loss)
{
    const double rounding = 1e-2;
    return (uint32_t)fmax(0, ceil(100 * loss - rounding));
}

static uint32_t bounded(uint32_t x, uint32_t low, uint32_t high)
{
    return x < low ? low : x > high ? high : x;
}

void takt_held_take(struct takt_held *h, uint32_t least, uint32_t safe, int64_t now_ns)
{
    if (least > h->level)
        h->level = least;
    if (safe >= h->level) {
        h->since_ns = now_ns;
        h->highest = 0;
        return;
    }
    h->highest = h->highest > safe ? h->highest : safe;
    if (now_ns - h->since_ns >= hold_ns) {
        h->level = h->highest;
        h->since_ns = now_ns;
        h->highest = 0;
    }
}

void takt_listeners_update(struct takt_listeners *l, int64_t now_ns)
{
    const struct takt_listeners_cfg *c = &l->cfg;
    l->loss = l->loss_spread = 0;
    l->overtakes = false;
    for (uint32_t i = l->count; i-- > 0;) {
        if (now_ns - l->list[i].heard_ns > silence_ns_max)
            drop(l, &l->list[i]);
        else if (l->list[i].loss_held > l->loss) {
            l->loss = l->list[i].loss_held;
            l->loss_spread = l->list[i].spread;
        }
    }
    for (uint32_t i = 0; i < l->count; i++)
        l->overtakes = l->overtakes || l->list[i].overtaken >= overtaken_least;
    bool overtakes = l->overtakes && !c->is_repaired;
    double loss = c->is_repaired ? 0 : l->loss;
    uint32_t least = overtakes ? COPIES_MAX : copies_for(loss);
    uint32_t safe = overtakes ? COPIES_MAX : copies_for(TAKT_HELD_HEADROOM * loss);
    takt_held_take(&l->copies, bounded(least, c->copies, c->copies_max),
                   bounded(safe, c->copies, c->copies_max), now_ns);
    takt_held_take(&l->percent, bounded(percent_for(l->loss), c->percent, c->percent_max),
                   bounded(percent_for(TAKT_HELD_HEADROOM * l->loss), c->percent, c->percent_max),
                   now_ns);
}

size_t takt_listeners_answer(struct takt_listeners *l, int64_t now_ns,
                             struct takt_rtcp_xr_block *out)
{
    *out = (struct takt_rtcp_xr_block){.type = TAKT_RTCP_XR_DLRR};
    for (uint32_t i = 0; i < l->count && out->count < TAKT_RTCP_COUNT_MAX; i++) {
        struct takt_listener *x = &l->list[i];
        if (!x->wants_answer)
            continue;
        x->wants_answer = false;
        out->dlrr[out->count++] = (struct takt_rtcp_dlrr){
            .ssrc = x->ssrc, .last_rr = x->clock, .delay = takt_ntp_delay(now_ns - x->clock_ns)};
    }
    return out->count;
}

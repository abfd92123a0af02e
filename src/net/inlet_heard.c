/*
 * What a source's RTCP says: of its clock, of ours, of itself, and that it ends.
 */
#include "net/inlet_parts.h"

#include <string.h>

static void hear_reports(struct takt_inlet_sender *s, const struct takt_rtcp_packet *p,
                         uint32_t clock_hz, int64_t arrival_ns)
{
    struct takt_rtcp_reports r;
    if (takt_rtcp_parse_reports(p, &r) < 0 || r.ssrc != s->ssrc || !r.is_sender)
        return;
    s->last_sr = takt_ntp_middle(r.sender.ntp);
    s->last_sr_ns = arrival_ns;
    takt_inlet_clock_sr(&s->clock, arrival_ns, r.sender.ntp, r.sender.timestamp, clock_hz);
}

static void hear_name(struct takt_inlet_sender *s, const struct takt_rtcp_packet *p)
{
    struct takt_rtcp_sdes where = {0};
    struct takt_rtcp_item item;
    while (takt_rtcp_sdes_next(p, &where, &item) > 0) {
        if (item.ssrc != s->ssrc || item.type != TAKT_RTCP_CNAME)
            continue;
        size_t n = item.bytes < sizeof s->cname - 1 ? item.bytes : sizeof s->cname - 1;
        for (size_t i = 0; i < n; i++)
            s->cname[i] = item.text[i] > ' ' && item.text[i] <= '~' ? item.text[i] : '?';
        s->cname[n] = '\0';
        return;
    }
}

static void hear_answers(const struct takt_inlet *in, struct takt_inlet_sender *s,
                         const struct takt_rtcp_packet *p, int64_t arrival_ns)
{
    struct takt_rtcp_xr_block b;
    uint32_t ssrc;
    if (takt_rtcp_xr_ssrc(p, &ssrc) < 0 || ssrc != s->ssrc)
        return;
    for (size_t at = 0; takt_rtcp_xr_next(p, &at, &b) > 0;)
        for (uint8_t i = 0; b.type == TAKT_RTCP_XR_DLRR && i < b.count; i++)
            if (b.dlrr[i].ssrc == in->cfg.ssrc)
                takt_inlet_clock_answer(&s->clock, arrival_ns, &b.dlrr[i]);
}

static bool says_bye(const struct takt_rtcp_packet *p, uint32_t ssrc)
{
    struct takt_rtcp_bye bye;
    if (takt_rtcp_parse_bye(p, &bye) < 0)
        return false;
    for (uint8_t i = 0; i < bye.count; i++)
        if (bye.ssrc[i] == ssrc)
            return true;
    return false;
}

bool takt_inlet_hear(const struct takt_inlet *in, struct takt_inlet_sender *s, uint32_t clock_hz,
                     const struct takt_inlet_datagram *d, size_t bytes)
{
    struct takt_rtcp_packet p;
    bool ends = false;
    for (size_t at = 0; takt_rtcp_next(d->data, bytes, &at, &p) > 0;) {
        if (p.type == TAKT_RTCP_SR)
            hear_reports(s, &p, clock_hz, d->arrival_ns);
        else if (p.type == TAKT_RTCP_SDES)
            hear_name(s, &p);
        else if (p.type == TAKT_RTCP_XR)
            hear_answers(in, s, &p, d->arrival_ns);
        else if (p.type == TAKT_RTCP_BYE)
            ends |= says_bye(&p, s->ssrc);
    }
    if (!s->has_back || memcmp(&s->back, &d->from, sizeof s->back) != 0)
        s->budget = 0;
    s->has_back = true;
    s->back = d->from;
    s->budget += d->bytes;
    return ends;
}

bool takt_inlet_hear_line(const struct takt_inlet *in, const uint8_t *data, size_t bytes,
                          uint32_t ssrc, struct takt_session_packets *out)
{
    return !in->cfg.is_deaf_to_lines && takt_session_heard(data, bytes, ssrc, out) == 1 &&
           takt_inlet_is_playable(out);
}

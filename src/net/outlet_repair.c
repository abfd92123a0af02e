/*
 * A packet of a block of k + m is missing in the end when it is lost and so are m or more of the
 * other k + m - 1. With loss at random that is loss times a tail of the binomial distribution, and
 * m is the least that brings it below 0.006 %: of 3 packets at 5 % that is 3. A block has to be
 * over before it mends anything, so it is short: 3 ms.
 *
 * Loss in bursts is longer than that. Reports do not tell of bursts, but then the loss they tell of
 * varies more than chance would have it, by as much as bursts are long; then a block lasts 8 ms,
 * and gets a few packets more.
 *
 * And where packets overtake each other, each is late by itself: of k + m, any k that have come are
 * enough, and the k-th of many comes much sooner than all of k. So blocks are one to three packets
 * then, and four times as many leave together when one is over, or six for one; that is a fifth of
 * the delay that a packet alone needs (docs/decisions/0026).
 */
#include "net/outlet_repair.h"

#include "base/assert.h"
#include "wire/bytes.h"

#include <math.h>

enum { SENT_LEAST = 6, SENT_TIMES = 4 }; /* where packets overtake: of all kinds, for each */
static const double missing_most = 6e-5, loss_most = 0.9;
static const double spread_of_bursts = 2.5, spread_of_long_bursts = 4.5;

uint32_t takt_outlet_repair_depth(double loss, uint32_t data, uint32_t most)
{
    double p = loss < loss_most ? loss : loss_most;
    uint32_t m = 0;
    for (; m < most; m++) {
        uint32_t others = data + m - 1;
        double term = pow(1 - p, others), fewer = 0; /* of exactly i, and of fewer than m lost */
        for (uint32_t i = 0; i < m; i++) {
            fewer += term;
            term *= p / (1 - p) * (others - i) / (i + 1);
        }
        if (p * (1 - fewer) <= missing_most)
            break;
    }
    return m;
}

/* How many packets a block has against that. */
static uint32_t data_against(const struct takt_outlet_repair *r, uint32_t harm)
{
    static const struct {
        double ns;
        double least, most;
    } blocks[] = {[TAKT_HARM_LOSS] = {3e6, 2, 6},
                  [TAKT_HARM_BURSTS] = {8e6, 3, 16},
                  [TAKT_HARM_OVERTAKING] = {2.7e6, 1, 3}};
    if (r->cfg.data)
        return r->cfg.data;
    double packets = ceil(blocks[harm].ns / (double)r->cfg.packet_ns - 0.1);
    return (uint32_t)fmax(blocks[harm].least, fmin(blocks[harm].most, packets));
}

uint32_t takt_outlet_repair_data_most(const struct takt_outlet_repair *r)
{
    uint32_t most = 0;
    for (uint32_t harm = TAKT_HARM_LOSS; harm <= TAKT_HARM_OVERTAKING; harm++) {
        uint32_t data = data_against(r, harm);
        most = data > most ? data : most;
    }
    return most;
}

int takt_outlet_repair_init(struct takt_outlet_repair *r, const struct takt_outlet_repair_cfg *cfg)
{
    *r = (struct takt_outlet_repair){.cfg = *cfg, .held.level = cfg->least, .seq = cfg->seq};
    r->data = data_against(r, TAKT_HARM_LOSS);
    return takt_repair_encoder_create(cfg->packet_bytes_max, &r->encoder);
}

void takt_outlet_repair_fini(struct takt_outlet_repair *r)
{
    takt_repair_encoder_destroy(r->encoder);
    r->encoder = NULL;
}

static uint32_t wish(const struct takt_outlet_repair *r, double loss, double loss_spread)
{
    const struct takt_outlet_repair_cfg *c = &r->cfg;
    uint32_t depth = takt_outlet_repair_depth(loss, r->data, c->most);
    if (depth > 0)
        depth += 2 * ((loss_spread > spread_of_bursts) + (loss_spread > spread_of_long_bursts));
    if (r->harm.level == TAKT_HARM_OVERTAKING) {
        uint32_t all = SENT_TIMES * r->data > SENT_LEAST ? SENT_TIMES * r->data : SENT_LEAST;
        depth = depth > all - r->data ? depth : all - r->data;
    }
    depth = depth < c->most ? depth : c->most;
    return depth > c->least ? depth : c->least;
}

void takt_outlet_repair_follow(struct takt_outlet_repair *r, double loss, double loss_spread,
                               bool overtakes, int64_t now_ns)
{
    uint32_t harm = overtakes                        ? TAKT_HARM_OVERTAKING
                    : loss_spread > spread_of_bursts ? TAKT_HARM_BURSTS
                                                     : TAKT_HARM_LOSS;
    uint32_t before = r->harm.level;
    takt_held_take(&r->harm, harm, harm, now_ns);
    if (r->harm.level != before) { /* so many are too few or too many of other blocks */
        r->data = data_against(r, r->harm.level);
        r->held = (struct takt_held){.since_ns = now_ns};
    }
    takt_held_take(&r->held, wish(r, loss, loss_spread),
                   wish(r, TAKT_HELD_HEADROOM * loss, loss_spread), now_ns);
}

bool takt_outlet_repair_has_begun(const struct takt_outlet_repair *r)
{
    return takt_repair_added(r->encoder) > 0;
}

bool takt_outlet_repair_add(struct takt_outlet_repair *r, const uint8_t *packet, size_t bytes,
                            int64_t now_ns)
{
    if (!takt_outlet_repair_has_begun(r)) {
        if (r->held.level == 0)
            return false;
        int err = takt_repair_begin(r->encoder, r->held.level);
        TAKT_ASSERT(err == 0);
        r->block_repair = r->held.level;
        r->block_data = r->data;
        r->block_ns = now_ns;
    }
    int added = takt_repair_add(r->encoder, packet, bytes);
    TAKT_ASSERT(added > 0);
    r->timestamp = takt_be32(packet + 4);
    return (uint32_t)added >= r->block_data;
}

size_t takt_outlet_repair_write(struct takt_outlet_repair *r, uint32_t i,
                                const struct takt_srtp_note *note, uint8_t *out, size_t room)
{
    uint8_t noted[TAKT_SRTP_NOTE_BYTES], ext[32];
    struct takt_rtp p = {.payload_type = r->cfg.type,
                         .seq = r->seq++,
                         .timestamp = r->timestamp,
                         .ssrc = r->cfg.ssrc};
    if (note) {
        struct takt_rtp_ext list = {r->cfg.note_id, sizeof noted, noted};
        takt_srtp_note_put(note, noted);
        int ext_bytes = takt_rtp_ext_write(&list, 1, &p.ext_profile, ext, sizeof ext);
        TAKT_ASSERT(ext_bytes > 0);
        p.has_ext = true;
        p.ext = ext;
        p.ext_bytes = (size_t)ext_bytes;
    }
    int head = takt_rtp_write_header(&p, out, room);
    TAKT_ASSERT(head > 0);
    int bytes = takt_repair_write(r->encoder, i, out + head, room - (size_t)head);
    TAKT_ASSERT(bytes > 0);
    return (size_t)head + (size_t)bytes;
}

void takt_outlet_repair_end(struct takt_outlet_repair *r)
{
    int err = takt_repair_begin(r->encoder, 0);
    TAKT_ASSERT(err == 0);
}

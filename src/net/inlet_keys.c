/*
 * A packet names its source's start, in the note, and its epoch, in the MKI. What is known of a
 * start is a context: the keys of up to three epochs, and the numbers that were heard.
 *
 * A key that nobody has been heard with is tried in a context of its own, so that a forged packet
 * takes nothing from those that are there; when its tag fits, the two change places. The key of the
 * epoch after the newest one is derived with it, ahead of time: so a right packet of a known source
 * never waits for a derivation, which forged ones might have used up. Epochs further on wait for
 * their turn, as newcomers do; epochs before the newest of which there is no key any more are old.
 *
 * What has been heard must not be heard again. Within a context its windows see to that. A context
 * that is given up leaves its (ssrc, start) behind; when there are too many of these, the one with
 * the least start is dropped and that start becomes the floor: what began then or before, and has
 * no context, is refused. So nothing that was heard is ever accepted once more, at the price of
 * refusing, after TAKT_INLET_ENDED_MAX sources that ended, one that is older than all but the last
 * of them. Where there is one place, the floor is the newest start that had it.
 *
 * Invariants: no start of a source has two contexts; a context in use has had a tag that did fit;
 * one with a place is never given up. The key of the way back is set once a context, and the
 * numbers of its packets never begin anew.
 */
#include "net/inlet_parts.h"

#include "base/assert.h"
#include "base/fail.h"
#include "wire/bytes.h"
#include "wire/srtp_key.h"

#include <stdlib.h>
#include <string.h>

enum { MKI_BYTES = 4, CONTEXTS_SPARE = 8 };
static const double burst_s = 0.02; /* of trials, after a pause */

static double burst(const struct takt_inlet_keys *k)
{
    double most = k->trials_per_s * burst_s;
    return most < 1 ? 1 : most;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int make_contexts(struct takt_inlet_keys *k, struct takt_error *e)
{
    struct takt_srtp_cfg in = {.suite = k->suite, .mki_bytes = MKI_BYTES, .sources = 1};
    struct takt_srtp_cfg back = in;
    back.sends = true;
    int err = takt_srtp_create(&in, &k->trial, e);
    for (uint32_t i = 0; err >= 0 && i < k->count; i++) {
        struct takt_inlet_context *c = &k->contexts[i];
        err = takt_srtp_create(&in, &c->in, e);
        if (err >= 0)
            err = takt_srtp_create(&in, &c->repair, e);
        if (err >= 0)
            err = takt_srtp_create(&back, &c->back, e);
    }
    return err;
}

int takt_inlet_keys_init(struct takt_inlet_keys *k, const struct takt_inlet_keys_cfg *cfg,
                         struct takt_error *e)
{
    *k = (struct takt_inlet_keys){
        .key = *cfg->key,
        .suite = cfg->suite,
        .is_single = cfg->sources_max == 1,
        .ssrc = cfg->ssrc,
        .epoch = cfg->epoch,
        .count = 2 * cfg->sources_max + CONTEXTS_SPARE,
        .trials_per_s = cfg->trials_per_s,
    };
    k->trials = burst(k);
    k->contexts = calloc(k->count, sizeof *k->contexts);
    k->copy = calloc(1, cfg->packet_bytes_max);
    if (!k->contexts || !k->copy)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for the keys of a receiver");
    return make_contexts(k, e);
}

void takt_inlet_keys_clear(struct takt_inlet_keys *k)
{
    for (uint32_t i = 0; k->contexts && i < k->count; i++) {
        takt_srtp_destroy(k->contexts[i].in);
        takt_srtp_destroy(k->contexts[i].repair);
        takt_srtp_destroy(k->contexts[i].back);
    }
    takt_srtp_destroy(k->trial);
    free(k->contexts);
    free(k->copy);
    explicit_bzero(k, sizeof *k);
}

/* ---- What is old ----------------------------------------------------------------------------- */

static void raise_floor(struct takt_inlet_keys *k, uint64_t start)
{
    if (!k->has_floor || start > k->floor)
        k->floor = start;
    k->has_floor = true;
}

static bool is_old(const struct takt_inlet_keys *k, uint32_t ssrc, uint64_t start)
{
    bool is = k->has_floor && start <= k->floor;
    for (uint32_t i = 0; i < k->ended_count && !is; i++)
        is = k->ended[i].ssrc == ssrc && k->ended[i].start == start;
    return is;
}

static void remember(struct takt_inlet_keys *k, uint32_t ssrc, uint64_t start)
{
    struct takt_inlet_ended *to = &k->ended[k->ended_count], *least = k->ended;
    if (k->has_floor && start <= k->floor)
        return;
    if (k->ended_count == TAKT_INLET_ENDED_MAX) {
        for (uint32_t i = 1; i < TAKT_INLET_ENDED_MAX; i++)
            least = k->ended[i].start < least->start ? &k->ended[i] : least;
        raise_floor(k, start < least->start ? start : least->start);
        if (start <= least->start)
            return;
        to = least;
    } else {
        k->ended_count++;
    }
    *to = (struct takt_inlet_ended){ssrc, start};
}

void takt_inlet_keys_begun(struct takt_inlet_keys *k, struct takt_inlet_context *c)
{
    c->has_place = true;
    if (k->is_single)
        raise_floor(k, c->start);
}

/* ---- Contexts -------------------------------------------------------------------------------- */

static struct takt_inlet_context *find(struct takt_inlet_keys *k, uint32_t ssrc, uint64_t start)
{
    for (uint32_t i = 0; i < k->count; i++) {
        struct takt_inlet_context *c = &k->contexts[i];
        if (c->is_used && c->ssrc == ssrc && c->start == start)
            return c;
    }
    return NULL;
}

/* A free one, or the one that was idle for longest. */
static struct takt_inlet_context *claim(struct takt_inlet_keys *k, uint32_t ssrc, uint64_t start)
{
    struct takt_inlet_context *best = NULL;
    for (uint32_t i = 0; i < k->count; i++) {
        struct takt_inlet_context *c = &k->contexts[i];
        if (!c->is_used) {
            best = c;
            break;
        }
        if (!c->has_place && (!best || c->heard_ns < best->heard_ns))
            best = c;
    }
    TAKT_ASSERT(best); /* there are more of them than places */
    if (best->is_used)
        remember(k, best->ssrc, best->start);
    *best = (struct takt_inlet_context){.is_used = true,
                                        .ssrc = ssrc,
                                        .start = start,
                                        .in = best->in,
                                        .repair = best->repair,
                                        .back = best->back};
    return best;
}

/* ---- Trials ---------------------------------------------------------------------------------- */

static bool spend_trial(struct takt_inlet_keys *k, int64_t now_ns)
{
    double most = burst(k), passed_s = (double)(now_ns - k->trials_ns) * 1e-9;
    k->trials += passed_s > 0 ? passed_s * k->trials_per_s : 0;
    k->trials = k->trials > most ? most : k->trials;
    if (passed_s > 0 || passed_s < -1)
        k->trials_ns = now_ns;
    if (k->trials < 1)
        return false;
    k->trials--;
    return true;
}

/* Sets the key of an epoch. */
static bool set_epoch(const struct takt_inlet_keys *k, struct takt_srtp *to, uint32_t ssrc,
                      uint64_t start, uint32_t epoch)
{
    struct takt_srtp_key_use use = {
        .suite = k->suite, .way = TAKT_SRTP_FORTH, .ssrc = ssrc, .epoch = epoch, .start = start};
    struct takt_srtp_key made;
    bool is_set = takt_srtp_key_derive(&k->key, &use, &made, NULL) >= 0 &&
                  takt_srtp_set_key(to, &made, NULL) >= 0;
    explicit_bzero(&made, sizeof made);
    return is_set;
}

static uint32_t mki_of(const struct takt_inlet_keys *k, const struct takt_inlet_datagram *d)
{
    bool is_last = k->suite == TAKT_SRTP_AES_256_GCM || k->suite == TAKT_SRTP_AES_128_GCM;
    size_t behind = is_last ? MKI_BYTES : takt_srtp_added(k->trial);
    return takt_be32(d->data + d->bytes - behind);
}

/* A packet of this epoch has been believed. */
static void saw_epoch(struct takt_inlet_keys *k, struct takt_inlet_context *c, uint32_t epoch)
{
    if ((int32_t)(epoch - c->epoch) <= 0)
        return;
    c->epoch = epoch;
    set_epoch(k, c->in, c->ssrc, c->start, epoch + 1);
    if (c->has_repair)
        set_epoch(k, c->repair, c->ssrc + 1, c->start, epoch + 1);
}

/* The epoch's key was never set here. */
static enum takt_inlet_opened try_epoch(struct takt_inlet_keys *k,
                                        const struct takt_inlet_datagram *d, uint32_t ssrc,
                                        const struct takt_srtp_note *note, uint32_t epoch,
                                        size_t *bytes)
{
    if (!spend_trial(k, d->arrival_ns))
        return TAKT_INLET_UNTRIED;
    takt_srtp_restart(k->trial);
    if (!set_epoch(k, k->trial, ssrc, note->start, epoch))
        return TAKT_INLET_UNTRIED;
    memcpy(k->copy, d->data, d->bytes);
    int n = takt_srtp_unprotect(k->trial, k->copy, d->bytes, &note->roc);
    *bytes = n < 0 ? 0 : (size_t)n;
    return n < 0 ? TAKT_INLET_FORGED : TAKT_INLET_OPENED;
}

static enum takt_inlet_opened open_new(struct takt_inlet_keys *k,
                                       const struct takt_inlet_datagram *d, uint32_t ssrc,
                                       const struct takt_srtp_note *note, size_t *bytes,
                                       struct takt_inlet_context **from)
{
    uint32_t epoch = mki_of(k, d);
    if (is_old(k, ssrc, note->start))
        return TAKT_INLET_REPLAYED;
    enum takt_inlet_opened opened = try_epoch(k, d, ssrc, note, epoch, bytes);
    if (opened != TAKT_INLET_OPENED)
        return opened;
    struct takt_inlet_context *c = claim(k, ssrc, note->start);
    struct takt_srtp *tried = k->trial;
    k->trial = c->in;
    c->in = tried;
    c->epoch = epoch;
    c->heard_ns = d->arrival_ns;
    set_epoch(k, c->in, ssrc, note->start, epoch + 1);
    memcpy(d->data, k->copy, *bytes);
    *from = c;
    return TAKT_INLET_OPENED;
}

/* Of a known source, in an epoch without a key. */
static enum takt_inlet_opened open_later(struct takt_inlet_keys *k, struct takt_inlet_context *c,
                                         const struct takt_inlet_datagram *d,
                                         const struct takt_srtp_note *note, uint32_t epoch)
{
    size_t bytes;
    if ((int32_t)(epoch - c->epoch) <= 0)
        return TAKT_INLET_REPLAYED;
    enum takt_inlet_opened opened = try_epoch(k, d, c->ssrc, note, epoch, &bytes);
    if (opened == TAKT_INLET_OPENED && !set_epoch(k, c->in, c->ssrc, c->start, epoch))
        return TAKT_INLET_UNTRIED;
    return opened;
}

/* It has ended, or another one that began later had the only place. */
static bool is_past(const struct takt_inlet_keys *k, const struct takt_inlet_context *c)
{
    return c->is_over || (k->is_single && k->has_floor && c->start < k->floor);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static enum takt_inlet_opened judge(int code)
{
    return code >= 0                 ? TAKT_INLET_OPENED
           : code == TAKT_ERR_STATE  ? TAKT_INLET_REPLAYED
           : code == TAKT_ERR_FORMAT ? TAKT_INLET_FORGED
                                     : TAKT_INLET_UNTRIED;
}

enum takt_inlet_opened takt_inlet_open_rtp(struct takt_inlet_keys *k,
                                           const struct takt_inlet_datagram *d, uint32_t ssrc,
                                           const struct takt_srtp_note *note, size_t *bytes,
                                           struct takt_inlet_context **from)
{
    struct takt_inlet_context *c = find(k, ssrc, note->start);
    if (d->bytes < TAKT_RTP_HEADER_BYTES + takt_srtp_added(k->trial))
        return TAKT_INLET_FORGED;
    if (!c)
        return open_new(k, d, ssrc, note, bytes, from);
    if (is_past(k, c))
        return TAKT_INLET_REPLAYED;
    uint32_t epoch = mki_of(k, d);
    int n = takt_srtp_unprotect(c->in, d->data, d->bytes, &note->roc);
    if (n == TAKT_ERR_NOT_FOUND) { /* the packet is as it was */
        enum takt_inlet_opened opened = open_later(k, c, d, note, epoch);
        if (opened != TAKT_INLET_OPENED)
            return opened;
        n = takt_srtp_unprotect(c->in, d->data, d->bytes, &note->roc);
    }
    if (n < 0)
        return judge(n);
    saw_epoch(k, c, epoch);
    c->heard_ns = d->arrival_ns;
    *bytes = (size_t)n;
    *from = c;
    return TAKT_INLET_OPENED;
}

/* A source's repair packets have keys of their own, which follow the epochs of its own packets. */
enum takt_inlet_opened takt_inlet_open_repair(struct takt_inlet_keys *k,
                                              const struct takt_inlet_datagram *d, uint32_t ssrc,
                                              const struct takt_srtp_note *note, size_t *bytes,
                                              struct takt_inlet_context **from)
{
    struct takt_inlet_context *c = find(k, ssrc, note->start);
    if (!c)
        return is_old(k, ssrc, note->start) ? TAKT_INLET_REPLAYED : TAKT_INLET_UNTRIED;
    if (is_past(k, c))
        return TAKT_INLET_REPLAYED;
    if (!c->has_repair) {
        takt_srtp_restart(c->repair);
        c->has_repair = set_epoch(k, c->repair, ssrc + 1, c->start, c->epoch) &&
                        set_epoch(k, c->repair, ssrc + 1, c->start, c->epoch + 1);
    }
    int n = takt_srtp_unprotect(c->repair, d->data, d->bytes, &note->roc);
    if (n < 0)
        return judge(n);
    *bytes = (size_t)n;
    *from = c;
    return TAKT_INLET_OPENED;
}

/* The newest start of a source. */
static struct takt_inlet_context *find_newest(struct takt_inlet_keys *k, uint32_t ssrc)
{
    struct takt_inlet_context *newest = NULL;
    for (uint32_t i = 0; i < k->count; i++) {
        struct takt_inlet_context *c = &k->contexts[i];
        if (c->is_used && c->ssrc == ssrc && (!newest || c->start > newest->start))
            newest = c;
    }
    return newest;
}

enum takt_inlet_opened takt_inlet_open_rtcp(struct takt_inlet_keys *k,
                                            const struct takt_inlet_datagram *d, size_t *bytes,
                                            struct takt_inlet_context **from)
{
    struct takt_inlet_context *c = find_newest(k, takt_be32(d->data + 4));
    if (!c)
        return TAKT_INLET_UNTRIED;
    if (is_past(k, c))
        return TAKT_INLET_REPLAYED;
    int n = takt_srtcp_unprotect(c->in, d->data, d->bytes);
    if (n < 0)
        return judge(n);
    *bytes = (size_t)n;
    *from = c;
    return TAKT_INLET_OPENED;
}

/* ---- The way back ---------------------------------------------------------------------------- */

int takt_inlet_seal(struct takt_inlet_keys *k, struct takt_inlet_context *c, uint8_t *report,
                    size_t bytes, size_t room)
{
    if (!c->has_back) {
        struct takt_srtp_key_use use = {.suite = k->suite,
                                        .way = TAKT_SRTP_BACK,
                                        .ssrc = k->ssrc,
                                        .epoch = k->epoch,
                                        .start = c->start};
        struct takt_srtp_key made;
        int err = takt_srtp_key_derive(&k->key, &use, &made, NULL);
        if (err >= 0)
            err = takt_srtp_set_key(c->back, &made, NULL);
        explicit_bzero(&made, sizeof made);
        if (err < 0)
            return err;
        c->has_back = true;
    }
    return takt_srtcp_protect(c->back, report, bytes, room);
}

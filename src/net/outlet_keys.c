/*
 * Who reports is known by SSRC and epoch, which name its key. A stranger's key is derived and tried
 * in a context that is spare, and only when the tag fits does that context take a place among the
 * reporters; the one that had the place becomes the spare one. So a forged packet costs a trial, of
 * which there are 200 a second, and changes nothing.
 *
 * Whoever has been silent for 30 s may lose its place. The index of its last report is remembered
 * for a while, or else all it ever said could be played again.
 *
 * With SDES all have one key, so one context does for all reporters.
 */
#include "net/outlet_keys.h"

#include "base/fail.h"
#include "base/touched.h"
#include "wire/rtcp.h"
#include "wire/srtp_key.h"

#include <string.h>

enum {
    REPORTERS = 32,
    GONE = 64,
    SDES_REPORTERS = 256,
    TRIALS_PER_S = 200,
    FORTH = 2, /* sources: the stream and its repair packets */
    MKI_BYTES = 4
};

static const int64_t ns_per_s = 1000000000, silence_ns = INT64_C(30000000000);

struct reporter {
    struct takt_srtp *srtp;
    uint32_t ssrc, epoch;
    uint32_t newest; /* index */
    int64_t heard_ns;
};

struct takt_outlet_keys {
    struct takt_key key;       /* of takt, */
    struct takt_srtp_key sdes; /* or this */
    bool is_sdes;
    enum takt_srtp_suite suite;
    uint32_t ssrc;
    uint64_t start;

    struct takt_srtp *forth[FORTH];
    bool has_begun;
    uint32_t epoch;
    int64_t epoch_ns, rotate_ns;

    struct takt_srtp *spare; /* of SDES: the only one */
    uint32_t reporter_count, gone_next;
    struct reporter reporters[REPORTERS];
    struct takt_srtcp_label gone[GONE];
    double trials; /* that are free, as of */
    int64_t trials_ns;
};

/* ---- Keys forth --------------------------------------------------------------------------------
 */

static int derive(const struct takt_outlet_keys *k, enum takt_srtp_way way, uint32_t ssrc,
                  uint32_t epoch, struct takt_srtp *to, struct takt_error *e)
{
    struct takt_srtp_key made;
    struct takt_srtp_key_use use = {
        .suite = k->suite, .way = way, .ssrc = ssrc, .epoch = epoch, .start = k->start};
    int err = takt_srtp_key_derive(&k->key, &use, &made, e);
    if (err == 0)
        err = takt_srtp_set_key(to, &made, e);
    explicit_bzero(&made, sizeof made);
    return err;
}

/* Both sources, or neither. */
static int begin_epoch(struct takt_outlet_keys *k, uint32_t epoch, struct takt_error *e)
{
    int err = 0;
    for (uint32_t i = 0; i < FORTH && err == 0; i++)
        err = derive(k, TAKT_SRTP_FORTH, k->ssrc + i, epoch, k->forth[i], e);
    for (uint32_t i = 0; i < FORTH && err == 0; i++)
        err = takt_srtp_use(k->forth[i], epoch);
    if (err == 0)
        k->epoch = epoch;
    return err;
}

static int set_sdes(const struct takt_outlet_keys *k, struct takt_srtp *to, struct takt_error *e)
{
    return takt_srtp_set_key(to, &k->sdes, e);
}

static int begin(struct takt_outlet_keys *k, struct takt_error *e)
{
    if (!k->is_sdes)
        return begin_epoch(k, 0, e);
    int err = set_sdes(k, k->spare, e);
    for (int i = 0; i < FORTH && err == 0; i++)
        err = set_sdes(k, k->forth[i], e);
    return err;
}

/* ---- Life --------------------------------------------------------------------------------------
 */

static int make_contexts(struct takt_outlet_keys *k, uint32_t mki_bytes, struct takt_error *e)
{
    struct takt_srtp_cfg forth = {
        .suite = k->suite, .sends = true, .mki_bytes = mki_bytes, .sources = 1};
    struct takt_srtp_cfg back = {
        .suite = k->suite, .mki_bytes = mki_bytes, .sources = k->is_sdes ? SDES_REPORTERS : 1};
    int err = takt_srtp_create(&back, &k->spare, e);
    for (int i = 0; i < FORTH && err == 0; i++)
        err = takt_srtp_create(&forth, &k->forth[i], e);
    for (int i = 0; i < REPORTERS && err == 0 && !k->is_sdes; i++)
        err = takt_srtp_create(&back, &k->reporters[i].srtp, e);
    return err;
}

int takt_outlet_keys_create(const struct takt_outlet_cfg *cfg, struct takt_outlet_keys **out,
                            struct takt_error *e)
{
    *out = NULL;
    struct takt_outlet_keys *k = takt_calloc_touched(1, sizeof *k);
    if (!k)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "no memory for the keys of a sender");
    k->is_sdes = cfg->srtp_key;
    if (k->is_sdes)
        k->sdes = *cfg->srtp_key;
    else
        k->key = *cfg->key;
    k->suite = cfg->suite;
    k->ssrc = cfg->ssrc;
    k->start = cfg->start;
    k->rotate_ns = (int64_t)(cfg->rotate_s * 1e9);
    k->trials = TRIALS_PER_S;
    int err = make_contexts(k, k->is_sdes ? cfg->mki_bytes : MKI_BYTES, e);
    if (err == 0)
        err = begin(k, e);
    if (err < 0) {
        takt_outlet_keys_destroy(k);
        return err;
    }
    *out = k;
    return TAKT_OK;
}

void takt_outlet_keys_destroy(struct takt_outlet_keys *k)
{
    if (!k)
        return;
    for (int i = 0; i < FORTH; i++)
        takt_srtp_destroy(k->forth[i]);
    for (int i = 0; i < REPORTERS; i++)
        takt_srtp_destroy(k->reporters[i].srtp);
    takt_srtp_destroy(k->spare);
    explicit_bzero(k, sizeof *k);
    free(k);
}

/* ---- Packets -----------------------------------------------------------------------------------
 */

size_t takt_outlet_keys_added(const struct takt_outlet_keys *k)
{
    return takt_srtp_added(k->forth[0]);
}

bool takt_outlet_keys_has_note(const struct takt_outlet_keys *k)
{
    return !k->is_sdes;
}

static uint32_t source_of(enum takt_outlet_kind kind)
{
    return kind == TAKT_OUTLET_REPAIR;
}

void takt_outlet_keys_note(const struct takt_outlet_keys *k, enum takt_outlet_kind kind,
                           uint16_t seq, struct takt_srtp_note *out)
{
    uint32_t i = source_of(kind);
    *out = (struct takt_srtp_note){.roc = takt_srtp_roc(k->forth[i], k->ssrc + i, seq),
                                   .start = k->start};
}

void takt_outlet_keys_turn(struct takt_outlet_keys *k, int64_t now_ns)
{
    if (k->is_sdes || (k->has_begun && now_ns - k->epoch_ns < k->rotate_ns))
        return;
    bool is_first = !k->has_begun;
    k->has_begun = true;
    k->epoch_ns = now_ns;
    if (!is_first && begin_epoch(k, k->epoch + 1, NULL) < 0)
        k->epoch_ns -= k->rotate_ns - ns_per_s;
}

uint32_t takt_outlet_keys_epoch(const struct takt_outlet_keys *k)
{
    return k->epoch;
}

int takt_outlet_keys_protect(struct takt_outlet_keys *k, enum takt_outlet_kind kind,
                             uint8_t *packet, size_t bytes, size_t room)
{
    struct takt_srtp *s = k->forth[source_of(kind)];
    return kind == TAKT_OUTLET_RTCP ? takt_srtcp_protect(s, packet, bytes, room)
                                    : takt_srtp_protect(s, packet, bytes, room);
}

/* ---- The way back ------------------------------------------------------------------------------
 */

static struct reporter *find(struct takt_outlet_keys *k, uint32_t ssrc)
{
    for (uint32_t i = 0; i < k->reporter_count; i++)
        if (k->reporters[i].ssrc == ssrc)
            return &k->reporters[i];
    return NULL;
}

/* A place for one that is not known yet, or NULL. */
static struct reporter *find_place(struct takt_outlet_keys *k, int64_t now_ns)
{
    struct reporter *oldest = &k->reporters[0];
    if (k->reporter_count < REPORTERS)
        return &k->reporters[k->reporter_count];
    for (uint32_t i = 1; i < REPORTERS; i++)
        if (k->reporters[i].heard_ns < oldest->heard_ns)
            oldest = &k->reporters[i];
    return now_ns - oldest->heard_ns > silence_ns ? oldest : NULL;
}

/* Said before its place was lost. */
static bool was_heard(const struct takt_outlet_keys *k, const struct takt_srtcp_label *l)
{
    for (int i = 0; i < GONE; i++) {
        const struct takt_srtcp_label *g = &k->gone[i];
        if (g->ssrc == l->ssrc && g->mki == l->mki && g->index >= l->index)
            return true;
    }
    return false;
}

static bool may_try(struct takt_outlet_keys *k, int64_t now_ns)
{
    double since_s = (double)(now_ns - k->trials_ns) / (double)ns_per_s;
    if (since_s > 0) {
        k->trials += since_s * TRIALS_PER_S;
        k->trials_ns = now_ns;
    }
    k->trials = k->trials < TRIALS_PER_S ? k->trials : TRIALS_PER_S;
    if (k->trials < 1)
        return false;
    k->trials--;
    return true;
}

/* One whose key fits takes the place; who had it is gone. */
static void settle(struct takt_outlet_keys *k, struct reporter *place,
                   const struct takt_srtcp_label *l)
{
    struct takt_srtp *fits = k->spare;
    if (place == &k->reporters[k->reporter_count])
        k->reporter_count++;
    else
        k->gone[k->gone_next++ % GONE] =
            (struct takt_srtcp_label){place->ssrc, place->epoch, place->newest};
    k->spare = place->srtp;
    *place = (struct reporter){.srtp = fits, .ssrc = l->ssrc, .epoch = l->mki};
}

static int open_known(struct reporter *r, const struct takt_srtcp_label *l, uint8_t *packet,
                      size_t bytes, int64_t now_ns)
{
    int opened = takt_srtcp_unprotect(r->srtp, packet, bytes);
    if (opened < 0)
        return opened;
    r->newest = l->index > r->newest ? l->index : r->newest;
    r->heard_ns = now_ns;
    return opened;
}

/* known: its SSRC is, but its epoch is another one. */
static int open_strange(struct takt_outlet_keys *k, struct reporter *known,
                        const struct takt_srtcp_label *l, uint8_t *packet, size_t bytes,
                        int64_t now_ns)
{
    struct reporter *place = known ? known : find_place(k, now_ns);
    if (!place || (known && now_ns - known->heard_ns <= silence_ns))
        return TAKT_ERR_FULL;
    if (was_heard(k, l))
        return TAKT_ERR_STATE;
    if (!may_try(k, now_ns))
        return TAKT_ERR_FULL;
    takt_srtp_restart(k->spare);
    int err = derive(k, TAKT_SRTP_BACK, l->ssrc, l->mki, k->spare, NULL);
    int opened = err < 0 ? err : takt_srtcp_unprotect(k->spare, packet, bytes);
    if (opened < 0)
        return opened;
    settle(k, place, l);
    place->newest = l->index;
    place->heard_ns = now_ns;
    return opened;
}

/* When there have been too many reporters, all of them are forgotten. */
static int open_sdes(struct takt_outlet_keys *k, uint8_t *packet, size_t bytes)
{
    int opened = takt_srtcp_unprotect(k->spare, packet, bytes);
    if (opened != TAKT_ERR_FULL)
        return opened;
    takt_srtp_restart(k->spare);
    int err = set_sdes(k, k->spare, NULL);
    return err < 0 ? err : takt_srtcp_unprotect(k->spare, packet, bytes);
}

int takt_outlet_keys_open(struct takt_outlet_keys *k, uint8_t *packet, size_t bytes, int64_t now_ns)
{
    struct takt_srtcp_label l;
    int err = takt_srtcp_read_label(k->spare, packet, bytes, &l);
    if (err < 0)
        return err;
    bool is_report = packet[1] == TAKT_RTCP_SR || packet[1] == TAKT_RTCP_RR;
    if (!is_report || l.ssrc - k->ssrc < FORTH)
        return TAKT_ERR_FORMAT;
    if (k->is_sdes)
        return open_sdes(k, packet, bytes);
    struct reporter *r = find(k, l.ssrc);
    if (r && r->epoch == l.mki)
        return open_known(r, &l, packet, bytes, now_ns);
    return open_strange(k, r, &l, packet, bytes, now_ns);
}

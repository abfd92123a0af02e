/*
 * A packet is cut into what its tag covers in the clear, what is secret, and its trailer
 * (struct cut); from there on SRTP and SRTCP, GCM and HMAC differ only in which of these come in
 * what order, and `seal` and `open_cut` serve all of them.
 *
 * Whether a packet is taken is decided in the order of cost: its form, its key, its index, its tag.
 * State changes only behind the tag.
 *
 * Invariants: in a window, bit i % TAKT_SRTP_WINDOW says whether index i was taken, for the
 * TAKT_SRTP_WINDOW indices up to `newest`. Sources [0, known) are in use, each since its first
 * packet whose tag did fit.
 */
#include "wire/srtp.h"

#include "base/assert.h"
#include "base/fail.h"
#include "wire/crypto.h"

#include <stdlib.h>
#include <string.h>

enum {
    KEYS = 3,
    SOURCES_MAX = 1024,
    PACKET_BYTES_MAX = 1 << 20, /* 2^16 blocks, which is what one IV is good for in AES-CM */
    INDEX_BYTES = 4,            /* of SRTCP: the flag E and 31 bits */
    RTP_HEADER_BYTES = 12,
    RTCP_HEADER_BYTES = 8,
    SEARCH_AFTER = 32,
    SEARCH_EVERY = 16,
    SEARCH_STEPS = 256
};
static const uint64_t rtp_indices = 1ull << 48;
static const uint32_t rtcp_indices = 1u << 31, encrypted_flag = 1u << 31;

enum half_of { RTP, RTCP };

/* SRTCP's tag is never the short one: its packets are few, and worth forging. */
struct suite {
    const char *name;
    uint8_t key_bytes, salt_bytes;
    uint8_t tag_bytes[2];
    bool is_gcm;
};

static const struct suite suites[TAKT_SRTP_SUITES] = {
    [TAKT_SRTP_AES_256_GCM] = {"AEAD_AES_256_GCM", 32, 12, {16, 16}, true},
    [TAKT_SRTP_AES_128_GCM] = {"AEAD_AES_128_GCM", 16, 12, {16, 16}, true},
    [TAKT_SRTP_AES_128_SHA1_80] = {"AES_CM_128_HMAC_SHA1_80", 16, 14, {10, 10}, false},
    [TAKT_SRTP_AES_128_SHA1_32] = {"AES_CM_128_HMAC_SHA1_32", 16, 14, {4, 10}, false},
};

/* What protects one kind of packet under one key. */
struct half {
    struct takt_cipher *cipher;
    struct takt_mac *mac; /* NULL for GCM */
    uint8_t salt[TAKT_SRTP_SALT_BYTES_MAX];
};

struct keys {
    uint64_t age; /* the number of its setting, from 1; 0: none is set */
    uint32_t mki;
    struct half half[2];
};

struct window {
    bool any;
    uint64_t newest;
    uint64_t taken[TAKT_SRTP_WINDOW / 64];
};

/* How the rollover counter is looked for that refused packets may have. */
struct search {
    uint32_t refused; /* in a row */
    uint32_t step;    /* of the last trial */
};

struct source {
    uint32_t ssrc;
    struct window window[2];
    struct search search;
};

struct takt_srtp {
    struct takt_srtp_cfg cfg;
    const struct suite *suite;
    struct keys keys[KEYS];
    struct keys *used; /* by a sender */
    uint64_t ages;
    uint32_t rtcp_next;
    uint32_t known;
    struct search strangers; /* of sources that are not known yet */
    struct takt_srtp_counts counts;
    struct source sources[];
};

/* ---- Bytes ----------------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The lower `bytes` bytes of x, highest first. */
static void put(uint8_t *at, uint64_t x, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; x >>= 8)
        at[i] = (uint8_t)x;
}

static uint32_t get_mki(const uint8_t *at, size_t bytes)
{
    uint32_t mki = 0;
    for (size_t i = 0; i < bytes; i++)
        mki = mki << 8 | at[i];
    return mki;
}

/* Size of an RTP header with its contributors and its extension; 0 if it is none. */
static size_t rtp_header_bytes(const uint8_t *packet, size_t bytes)
{
    if (bytes < RTP_HEADER_BYTES || packet[0] >> 6 != 2)
        return 0;
    size_t header = RTP_HEADER_BYTES + 4 * (size_t)(packet[0] & 15);
    if (packet[0] & 16) {
        if (bytes < header + 4)
            return 0;
        header += 4 + 4 * (size_t)(packet[header + 2] << 8 | packet[header + 3]);
    }
    return header <= bytes ? header : 0;
}

static uint16_t seq_of(const uint8_t *packet)
{
    return (uint16_t)(packet[2] << 8 | packet[3]);
}

/* ---- Windows --------------------------------------------------------------------------------- */

static uint64_t *word_of(struct window *w, uint64_t index)
{
    return &w->taken[index % TAKT_SRTP_WINDOW / 64];
}

static uint64_t bit_of(uint64_t index)
{
    return 1ull << index % 64;
}

static bool is_fresh(const struct window *w, uint64_t index)
{
    if (!w->any || index > w->newest)
        return true;
    return w->newest - index < TAKT_SRTP_WINDOW &&
           !(w->taken[index % TAKT_SRTP_WINDOW / 64] & bit_of(index));
}

static void take(struct window *w, uint64_t index)
{
    if (!w->any || (index > w->newest && index - w->newest >= TAKT_SRTP_WINDOW)) {
        memset(w->taken, 0, sizeof w->taken);
        w->newest = index;
        w->any = true;
    }
    while (w->newest < index) {
        w->newest++;
        *word_of(w, w->newest) &= ~bit_of(w->newest);
    }
    *word_of(w, index) |= bit_of(index);
}

/* RFC 3711, 3.3.1: the index with this number that is nearest to the newest. */
static uint64_t guess(const struct window *w, uint16_t seq)
{
    if (!w->any)
        return seq;
    int64_t ahead = (int16_t)(seq - (uint16_t)w->newest);
    return ahead < 0 && w->newest < (uint64_t)-ahead ? seq : w->newest + (uint64_t)ahead;
}

/* Tells of one more refused packet; returns how many wraps ahead it is worth trying, mostly 0. */
static uint32_t search_on(struct search *s)
{
    if (++s->refused <= SEARCH_AFTER || s->refused % SEARCH_EVERY)
        return 0;
    s->step = s->step % SEARCH_STEPS + 1;
    return s->step;
}

/* ---- One packet and one key ------------------------------------------------------------------ */

/* A packet as the cipher sees it. */
struct cut {
    struct takt_sealed sealed;
    uint8_t *tag;
    uint8_t tail[4]; /* what sealed.tail points to where the packet itself has none */
    uint32_t ssrc;
    uint64_t index; /* 48 bits */
};

/* Both kinds of IV are the salt with SSRC and index added: AES-CM's with the index at bytes 8..13
 * and a block counter behind, GCM's (RFC 7714, 8.1 and 9.1) at the end of its 12 bytes. */
static void make_iv(const struct suite *suite, const struct half *h, const struct cut *c,
                    uint8_t iv[TAKT_CTR_IV_BYTES])
{
    size_t at = suite->is_gcm ? 2 : 4;
    uint8_t place[10];
    put(place, c->ssrc, 4);
    put(place + 4, c->index, 6);
    memset(iv, 0, TAKT_CTR_IV_BYTES);
    memcpy(iv, h->salt, suite->salt_bytes);
    for (size_t i = 0; i < sizeof place; i++)
        iv[at + i] ^= place[i];
}

static bool seal(const struct suite *suite, const struct half *h, const struct cut *c,
                 size_t tag_bytes)
{
    uint8_t iv[TAKT_CTR_IV_BYTES], sum[TAKT_SHA1_BYTES];
    make_iv(suite, h, c, iv);
    if (suite->is_gcm)
        return takt_cipher_seal(h->cipher, iv, &c->sealed, c->tag);
    if (!takt_cipher_ctr(h->cipher, iv, c->sealed.data, c->sealed.data_bytes) ||
        !takt_mac_of(h->mac, &c->sealed, sum))
        return false;
    memcpy(c->tag, sum, tag_bytes);
    return true;
}

/* After false, a GCM packet has the key stream in it; opened once more in vain, it is as it was. */
static bool open_cut(const struct suite *suite, const struct half *h, const struct cut *c,
                     size_t tag_bytes)
{
    uint8_t iv[TAKT_CTR_IV_BYTES], sum[TAKT_SHA1_BYTES];
    make_iv(suite, h, c, iv);
    if (suite->is_gcm)
        return takt_cipher_open(h->cipher, iv, &c->sealed, c->tag);
    return takt_mac_of(h->mac, &c->sealed, sum) && takt_same(sum, c->tag, tag_bytes) &&
           takt_cipher_ctr(h->cipher, iv, c->sealed.data, c->sealed.data_bytes);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

const char *takt_srtp_suite_name(enum takt_srtp_suite suite)
{
    return suites[suite].name;
}

size_t takt_srtp_key_bytes(enum takt_srtp_suite suite)
{
    return suites[suite].key_bytes;
}

size_t takt_srtp_salt_bytes(enum takt_srtp_suite suite)
{
    return suites[suite].salt_bytes;
}

/* The pseudo-random function of RFC 3711, 4.3.3: the key stream from a counter that the label is
 * added to. A salt of 12 bytes has zeros behind (RFC 7714, 11). */
static bool expand(struct takt_cipher *prf, const uint8_t *salt, size_t salt_bytes, uint8_t label,
                   uint8_t *out, size_t bytes)
{
    uint8_t counter[TAKT_CTR_IV_BYTES] = {0};
    memcpy(counter, salt, salt_bytes);
    counter[7] ^= label;
    memset(out, 0, bytes);
    return takt_cipher_ctr(prf, counter, out, bytes);
}

int takt_srtp_derive(enum takt_srtp_suite suite, const struct takt_srtp_key *key,
                     struct takt_srtp_session *out, struct takt_error *e)
{
    enum { KEY, AUTH, SALT, LABELS };
    const struct suite *with = &suites[suite];
    struct takt_cipher *prf;
    memset(out, 0, sizeof *out);
    int err = takt_cipher_create(TAKT_AES_CTR, with->key_bytes, true, &prf, e);
    if (err < 0)
        return err;
    bool made = takt_cipher_key(prf, key->key);
    for (int i = RTP; made && i <= RTCP; i++) {
        uint8_t label = (uint8_t)(i * LABELS);
        made =
            expand(prf, key->salt, with->salt_bytes, label + KEY, out->key[i], with->key_bytes) &&
            expand(prf, key->salt, with->salt_bytes, label + SALT, out->salt[i],
                   with->salt_bytes) &&
            (with->is_gcm || expand(prf, key->salt, with->salt_bytes, label + AUTH, out->auth[i],
                                    sizeof out->auth[i]));
    }
    takt_cipher_destroy(prf);
    if (made)
        return 0;
    explicit_bzero(out, sizeof *out);
    return takt_fail(e, TAKT_ERR_SYSTEM, 0, "SRTP: OpenSSL could not derive a key");
}

/* The key of this MKI, or NULL. Without an MKI, the only one. */
static struct keys *find_keys(struct takt_srtp *s, uint32_t mki)
{
    for (int i = 0; i < KEYS; i++)
        if (s->keys[i].age && (s->keys[i].mki == mki || !s->cfg.mki_bytes))
            return &s->keys[i];
    return NULL;
}

/* Where a new key goes: a place that is free, or that of the oldest which is not being sent with.
 */
static struct keys *find_place(struct takt_srtp *s)
{
    struct keys *oldest = NULL;
    for (int i = 0; i < KEYS; i++) {
        struct keys *k = &s->keys[i];
        if ((k != s->used || !s->cfg.sends) && (!oldest || k->age < oldest->age))
            oldest = k;
    }
    return oldest;
}

static uint32_t fold_mki(const struct takt_srtp *s, uint32_t mki)
{
    return s->cfg.mki_bytes < 4 ? mki & ((1u << 8 * s->cfg.mki_bytes) - 1) : mki;
}

int takt_srtp_set_session(struct takt_srtp *s, uint32_t mki, const struct takt_srtp_session *keys,
                          struct takt_error *e)
{
    mki = fold_mki(s, mki);
    struct keys *to = find_keys(s, mki);
    to = to ? to : find_place(s);
    to->age = 0;
    for (int i = RTP; i <= RTCP; i++) {
        struct half *h = &to->half[i];
        memcpy(h->salt, keys->salt[i], sizeof h->salt);
        if (!takt_cipher_key(h->cipher, keys->key[i]) ||
            (h->mac && !takt_mac_key(h->mac, keys->auth[i], sizeof keys->auth[i])))
            return takt_fail(e, TAKT_ERR_SYSTEM, 0, "SRTP: OpenSSL could not set a key");
    }
    to->age = ++s->ages;
    to->mki = mki;
    s->used = s->used ? s->used : to;
    return 0;
}

int takt_srtp_set_key(struct takt_srtp *s, const struct takt_srtp_key *key, struct takt_error *e)
{
    struct takt_srtp_session session;
    int err = takt_srtp_derive(s->cfg.suite, key, &session, e);
    if (err < 0)
        return err;
    err = takt_srtp_set_session(s, key->mki, &session, e);
    explicit_bzero(&session, sizeof session);
    return err;
}

int takt_srtp_use(struct takt_srtp *s, uint32_t mki)
{
    struct keys *k = find_keys(s, fold_mki(s, mki));
    if (!k)
        return TAKT_ERR_NOT_FOUND;
    s->used = k;
    return 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int make_half(struct half *h, const struct takt_srtp *s, struct takt_error *e)
{
    enum takt_cipher_kind kind = s->suite->is_gcm ? TAKT_AES_GCM : TAKT_AES_CTR;
    int err = takt_cipher_create(kind, s->suite->key_bytes, s->cfg.sends, &h->cipher, e);
    return err < 0 || s->suite->is_gcm ? err : takt_mac_create(&h->mac, e);
}

int takt_srtp_create(const struct takt_srtp_cfg *cfg, struct takt_srtp **out, struct takt_error *e)
{
    *out = NULL;
    uint32_t sources = cfg->sources ? cfg->sources : 16;
    if ((unsigned)cfg->suite >= TAKT_SRTP_SUITES || cfg->mki_bytes > 4 || sources > SOURCES_MAX ||
        cfg->rtcp_index >= rtcp_indices)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "SRTP: suite %d, %u bytes of MKI, %u sources: give 0 to 4 bytes, 1 to %d",
                         (int)cfg->suite, cfg->mki_bytes, sources, SOURCES_MAX);
    struct takt_srtp *s = calloc(1, sizeof *s + sources * sizeof *s->sources);
    if (!s)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for SRTP");
    s->cfg = *cfg;
    s->cfg.sources = sources;
    s->suite = &suites[cfg->suite];
    s->rtcp_next = cfg->rtcp_index;
    for (int i = 0; i < KEYS * 2; i++) {
        int err = make_half(&s->keys[i / 2].half[i % 2], s, e);
        if (err < 0) {
            takt_srtp_destroy(s);
            return err;
        }
    }
    *out = s;
    return 0;
}

void takt_srtp_destroy(struct takt_srtp *s)
{
    if (!s)
        return;
    for (int i = 0; i < KEYS * 2; i++) {
        takt_cipher_destroy(s->keys[i / 2].half[i % 2].cipher);
        takt_mac_destroy(s->keys[i / 2].half[i % 2].mac);
    }
    explicit_bzero(s, sizeof *s);
    free(s);
}

void takt_srtp_restart(struct takt_srtp *s)
{
    TAKT_ASSERT(!s->cfg.sends);
    for (int i = 0; i < KEYS; i++)
        s->keys[i].age = 0;
    s->used = NULL;
    s->known = 0;
    s->strangers = (struct search){0};
    memset(s->sources, 0, s->cfg.sources * sizeof *s->sources);
}

void takt_srtp_read_counts(const struct takt_srtp *s, struct takt_srtp_counts *out)
{
    *out = s->counts;
}

/* ---- Sources --------------------------------------------------------------------------------- */

static struct source *find_source(struct takt_srtp *s, uint32_t ssrc)
{
    for (uint32_t i = 0; i < s->known; i++)
        if (s->sources[i].ssrc == ssrc)
            return &s->sources[i];
    return NULL;
}

/* NULL: there is no room. */
static struct source *add_source(struct takt_srtp *s, uint32_t ssrc)
{
    if (s->known == s->cfg.sources)
        return NULL;
    struct source *src = &s->sources[s->known++];
    src->ssrc = ssrc;
    return src;
}

static const struct window no_window;

static uint64_t next_index(const struct source *src, uint16_t seq)
{
    return guess(src ? &src->window[RTP] : &no_window, seq);
}

uint32_t takt_srtp_roc(const struct takt_srtp *s, uint32_t ssrc, uint16_t seq)
{
    const struct window *w = &no_window;
    for (uint32_t i = 0; i < s->known; i++)
        if (s->sources[i].ssrc == ssrc)
            w = &s->sources[i].window[RTP];
    return (uint32_t)(guess(w, seq) >> 16);
}

/* ---- SRTP ------------------------------------------------------------------------------------ */

size_t takt_srtp_added(const struct takt_srtp *s)
{
    return s->suite->tag_bytes[RTP] + s->cfg.mki_bytes;
}

size_t takt_srtcp_added(const struct takt_srtp *s)
{
    return s->suite->tag_bytes[RTCP] + s->cfg.mki_bytes + INDEX_BYTES;
}

/* Trailers: tag and MKI with GCM, MKI and tag with HMAC, which also covers the rollover counter. */
static void cut_rtp(const struct takt_srtp *s, uint8_t *packet, size_t header_bytes, size_t bytes,
                    struct cut *c, uint8_t **mki)
{
    uint8_t *trailer = packet + bytes;
    *c = (struct cut){.sealed = {.clear = packet,
                                 .clear_bytes = header_bytes,
                                 .data = packet + header_bytes,
                                 .data_bytes = bytes - header_bytes,
                                 .tail = c->tail,
                                 .tail_bytes = s->suite->is_gcm ? 0 : sizeof c->tail},
                      .tag = s->suite->is_gcm ? trailer : trailer + s->cfg.mki_bytes,
                      .ssrc = get32(packet + 8)};
    *mki = s->suite->is_gcm ? trailer + s->suite->tag_bytes[RTP] : trailer;
}

static void place_rtp(struct cut *c, uint64_t index)
{
    c->index = index;
    put(c->tail, index >> 16, sizeof c->tail);
}

int takt_srtp_protect(struct takt_srtp *s, uint8_t *packet, size_t bytes, size_t room)
{
    TAKT_ASSERT(s->cfg.sends);
    size_t header_bytes = rtp_header_bytes(packet, bytes), added = takt_srtp_added(s);
    if (!header_bytes || bytes > PACKET_BYTES_MAX)
        return TAKT_ERR_FORMAT;
    if (room < bytes + added)
        return TAKT_ERR_FULL;
    if (!s->used || !s->used->age)
        return TAKT_ERR_STATE;
    uint8_t *mki;
    struct cut c;
    cut_rtp(s, packet, header_bytes, bytes, &c, &mki);
    struct source *src = find_source(s, c.ssrc);
    uint64_t index = next_index(src, seq_of(packet));
    if (index >= rtp_indices)
        return TAKT_ERR_END;
    if (src && !is_fresh(&src->window[RTP], index))
        return TAKT_ERR_STATE;
    src = src ? src : add_source(s, c.ssrc);
    if (!src)
        return TAKT_ERR_FULL;
    take(&src->window[RTP], index); /* even if the library fails: it may have used the key stream */
    place_rtp(&c, index);
    put(mki, s->used->mki, s->cfg.mki_bytes);
    if (!seal(s->suite, &s->used->half[RTP], &c, s->suite->tag_bytes[RTP]))
        return TAKT_ERR_SYSTEM;
    s->counts.passed++;
    return (int)(bytes + added);
}

/* Whether the tag fits at this index. */
static bool try_rtp(struct takt_srtp *s, const struct keys *k, struct cut *c, uint64_t index)
{
    if (index >= rtp_indices)
        return false;
    place_rtp(c, index);
    return open_cut(s->suite, &k->half[RTP], c, s->suite->tag_bytes[RTP]);
}

/* The same at a later rollover counter, when it is time to try one. A failing GCM has left its key
 * stream in the packet, so it is taken out before (see takt_cipher_open). */
static bool try_later(struct takt_srtp *s, const struct keys *k, struct cut *c,
                      struct search *search, uint64_t index, bool was_tried)
{
    uint32_t wraps = search_on(search);
    if (!wraps)
        return false;
    s->counts.searched++;
    if (was_tried && s->suite->is_gcm)
        try_rtp(s, k, c, index);
    return try_rtp(s, k, c, index + ((uint64_t)wraps << 16));
}

/* The keys that a packet names, and its source where it is known. Refuses one without keys, and a
 * new source for which there is no room. */
static int admit(struct takt_srtp *s, const uint8_t *mki, uint32_t ssrc, const struct keys **k,
                 struct source **src)
{
    *k = find_keys(s, get_mki(mki, s->cfg.mki_bytes));
    if (!*k) {
        s->counts.keyless++;
        return TAKT_ERR_NOT_FOUND;
    }
    *src = find_source(s, ssrc);
    if (!*src && s->known == s->cfg.sources) {
        s->counts.crowded++;
        return TAKT_ERR_FULL;
    }
    return TAKT_OK;
}

int takt_srtp_unprotect(struct takt_srtp *s, uint8_t *packet, size_t bytes, const uint32_t *roc)
{
    TAKT_ASSERT(!s->cfg.sends);
    size_t added = takt_srtp_added(s);
    size_t header_bytes = bytes > added ? rtp_header_bytes(packet, bytes - added) : 0;
    if (!header_bytes || bytes > PACKET_BYTES_MAX) {
        s->counts.malformed++;
        return TAKT_ERR_FORMAT;
    }
    uint8_t *mki;
    struct cut c;
    cut_rtp(s, packet, header_bytes, bytes - added, &c, &mki);
    const struct keys *k;
    struct source *src;
    int err = admit(s, mki, c.ssrc, &k, &src);
    if (err < 0)
        return err;
    struct search *search = src ? &src->search : &s->strangers;
    uint16_t seq = seq_of(packet);
    uint64_t index = roc ? (uint64_t)*roc << 16 | seq : next_index(src, seq);
    bool is_new = !src || is_fresh(&src->window[RTP], index);
    bool fits = is_new && try_rtp(s, k, &c, index);
    if (!fits && !roc)
        fits = try_later(s, k, &c, search, index, is_new);
    if (!fits) {
        *(is_new ? &s->counts.forged : &s->counts.replayed) += 1;
        return is_new ? TAKT_ERR_FORMAT : TAKT_ERR_STATE;
    }
    src = src ? src : add_source(s, c.ssrc);
    take(&src->window[RTP], c.index);
    *search = (struct search){0};
    s->counts.passed++;
    return (int)(bytes - added);
}

/* ---- SRTCP ----------------------------------------------------------------------------------- */

/* Trailers: tag, index and MKI with GCM; index, MKI and tag with HMAC. The index is covered. */
static void cut_rtcp(const struct takt_srtp *s, uint8_t *packet, size_t bytes, struct cut *c,
                     uint8_t **index, uint8_t **mki)
{
    uint8_t *trailer = packet + bytes;
    *index = s->suite->is_gcm ? trailer + s->suite->tag_bytes[RTCP] : trailer;
    *mki = *index + INDEX_BYTES;
    *c = (struct cut){.sealed = {.clear = packet,
                                 .clear_bytes = RTCP_HEADER_BYTES,
                                 .data = packet + RTCP_HEADER_BYTES,
                                 .data_bytes = bytes - RTCP_HEADER_BYTES,
                                 .tail = *index,
                                 .tail_bytes = INDEX_BYTES},
                      .tag = s->suite->is_gcm ? trailer : *mki + s->cfg.mki_bytes,
                      .ssrc = get32(packet + 4)};
}

static bool is_rtcp(const uint8_t *packet, size_t bytes)
{
    return bytes >= RTCP_HEADER_BYTES && bytes <= PACKET_BYTES_MAX && packet[0] >> 6 == 2;
}

int takt_srtcp_protect(struct takt_srtp *s, uint8_t *packet, size_t bytes, size_t room)
{
    TAKT_ASSERT(s->cfg.sends);
    size_t added = takt_srtcp_added(s);
    if (!is_rtcp(packet, bytes))
        return TAKT_ERR_FORMAT;
    if (room < bytes + added)
        return TAKT_ERR_FULL;
    if (!s->used || !s->used->age)
        return TAKT_ERR_STATE;
    if (s->rtcp_next == rtcp_indices)
        return TAKT_ERR_END;
    uint8_t *index, *mki;
    struct cut c;
    cut_rtcp(s, packet, bytes, &c, &index, &mki);
    c.index = s->rtcp_next++;
    put(index, encrypted_flag | c.index, INDEX_BYTES);
    put(mki, s->used->mki, s->cfg.mki_bytes);
    if (!seal(s->suite, &s->used->half[RTCP], &c, s->suite->tag_bytes[RTCP]))
        return TAKT_ERR_SYSTEM;
    s->counts.passed++;
    return (int)(bytes + added);
}

int takt_srtcp_read_label(const struct takt_srtp *s, uint8_t *packet, size_t bytes,
                          struct takt_srtcp_label *out)
{
    size_t added = takt_srtcp_added(s);
    if (bytes < added || !is_rtcp(packet, bytes - added))
        return TAKT_ERR_FORMAT;
    uint8_t *word, *mki;
    struct cut c;
    cut_rtcp(s, packet, bytes - added, &c, &word, &mki);
    *out = (struct takt_srtcp_label){c.ssrc, get_mki(mki, s->cfg.mki_bytes),
                                     get32(word) & ~encrypted_flag};
    return 0;
}

int takt_srtcp_unprotect(struct takt_srtp *s, uint8_t *packet, size_t bytes)
{
    TAKT_ASSERT(!s->cfg.sends);
    size_t added = takt_srtcp_added(s);
    if (bytes < added || !is_rtcp(packet, bytes - added)) {
        s->counts.malformed++;
        return TAKT_ERR_FORMAT;
    }
    uint8_t *word, *mki;
    struct cut c;
    cut_rtcp(s, packet, bytes - added, &c, &word, &mki);
    const struct keys *k;
    struct source *src;
    int err = admit(s, mki, c.ssrc, &k, &src);
    if (err < 0)
        return err;
    c.index = get32(word) & ~encrypted_flag;
    if (src && !is_fresh(&src->window[RTCP], c.index)) {
        s->counts.replayed++;
        return TAKT_ERR_STATE;
    }
    if (!(get32(word) & encrypted_flag)) { /* all of it is in the clear */
        c.sealed.clear_bytes += c.sealed.data_bytes;
        c.sealed.data_bytes = 0;
    }
    if (!open_cut(s->suite, &k->half[RTCP], &c, s->suite->tag_bytes[RTCP])) {
        s->counts.forged++;
        return TAKT_ERR_FORMAT;
    }
    src = src ? src : add_source(s, c.ssrc);
    take(&src->window[RTCP], c.index);
    s->counts.passed++;
    return (int)(bytes - added);
}

/* ---- The note -------------------------------------------------------------------------------- */

void takt_srtp_note_put(const struct takt_srtp_note *note, uint8_t out[TAKT_SRTP_NOTE_BYTES])
{
    put(out, note->roc, 4);
    put(out + 4, note->start, 8);
}

bool takt_srtp_note_get(const uint8_t *in, size_t bytes, struct takt_srtp_note *out)
{
    if (bytes != TAKT_SRTP_NOTE_BYTES)
        return false;
    *out = (struct takt_srtp_note){get32(in), (uint64_t)get32(in + 4) << 32 | get32(in + 8)};
    return true;
}

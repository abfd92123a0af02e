/*
 * Places for sources, and a few candidates that are counted until they are believed. A source that
 * has fallen silent keeps its place, and with it all that is known of its network, until another
 * one wants it.
 *
 * Invariants: no two places have the same live source; a candidate is in no place.
 */
#include "net/receiver.h"

#include "base/assert.h"
#include "base/fail.h"
#include "net/source.h"
#include "takt/kernel.h"
#include "takt/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum {
    CANDIDATES = 8,
    RUN_FIRST = 2,
    RUN_OTHER = 8,
    COUNTS = sizeof(struct takt_receiver_counts) / 8
};
/* How long one has to be silent until another one may take its place, and one that is trusted. */
static const int64_t silent_ns = 2000000000, silent_trusted_ns = 80000000;
/* And until what is known of it is of the past. The longest packets are of 100 ms. */
static const int64_t still_ns = 500000000;
static const int64_t window_ns = 5000000000, ahead_most_ns = 1000000000;
static const int64_t ahead_less_ns = 100000;

struct candidate {
    bool is_used;
    uint32_t ssrc;
    uint16_t seq_next;
    uint32_t run;
};

struct place {
    struct takt_source *source;
    bool was_used;
    struct takt_receiver_counts before; /* of the sources before this one */
};

struct takt_receiver {
    struct takt_receiver_cfg cfg;
    struct takt_receiver_format formats[TAKT_RECEIVER_FORMATS_MAX];
    struct place place[TAKT_RECEIVER_SOURCES_MAX];
    struct candidate candidate[CANDIDATES];
    uint32_t candidate_next; /* the one to be forgotten next */
    uint64_t foreign;
    /* The longest time from a pull to when its last frame is heard, lately. */
    int64_t ahead_ns, window_most_ns, window_from_ns;
    bool is_pulled;
    struct takt_receiver_stats stats;
    struct takt_snapshot *shown;
};

/* ---- Life ------------------------------------------------------------------------------------ */

static bool is_within(uint32_t x, uint32_t low, uint32_t high)
{
    return x >= low && x <= high;
}

static uint32_t or_default(uint32_t x, uint32_t otherwise)
{
    return x ? x : otherwise;
}

static int check_format(const struct takt_receiver_format *f, struct takt_error *e)
{
    if (f->payload_type > 127)
        return takt_fail(e, TAKT_ERR_ARG, 0, "payload type %u: give 0 to 127", f->payload_type);
    if ((unsigned)f->codec.codec >= TAKT_CODECS || !is_within(f->codec.rate_hz, 8000, 384000) ||
        !is_within(f->codec.channels, 1, TAKT_CODEC_CHANNELS_MAX))
        return takt_fail(e, TAKT_ERR_ARG, 0, "payload type %u: there is no such format",
                         f->payload_type);
    if (f->codec.codec == TAKT_CODEC_OPUS && f->codec.rate_hz != 48000)
        return takt_fail(e, TAKT_ERR_ARG, 0, "Opus is received at 48000 Hz, not %u",
                         f->codec.rate_hz);
    return 0;
}

static int check(struct takt_receiver *r, struct takt_error *e)
{
    struct takt_receiver_cfg *c = &r->cfg;
    c->rate_hz = or_default(c->rate_hz, 48000);
    c->channels = or_default(c->channels, 2);
    c->sources_max = or_default(c->sources_max, 1);
    c->frames_max = or_default(c->frames_max, 8192);
    c->packets_max = or_default(c->packets_max, 1024);
    if (!is_within(c->rate_hz, 8000, 384000) ||
        !is_within(c->channels, 1, TAKT_CODEC_CHANNELS_MAX) ||
        !is_within(c->sources_max, 1, TAKT_RECEIVER_SOURCES_MAX) ||
        !is_within(c->frames_max, 1, TAKT_RECEIVER_PULL_FRAMES_MAX) ||
        !is_within(c->packets_max, 16, 65536) || (c->packets_max & (c->packets_max - 1)) ||
        !is_within(c->formats_count, 1, TAKT_RECEIVER_FORMATS_MAX))
        return takt_fail(e, TAKT_ERR_ARG, 0, "receiver: a setting is out of range");
    for (uint32_t i = 0; i < c->formats_count; i++) {
        int err = check_format(&c->formats[i], e);
        if (err < 0)
            return err;
        r->formats[i] = c->formats[i];
    }
    c->formats = r->formats;
    return 0;
}

static int make(struct takt_receiver *r, struct takt_error *e)
{
    int err =
        takt_snapshot_create(&(struct takt_snapshot_cfg){.bytes = sizeof r->stats}, &r->shown, e);
    for (uint32_t i = 0; !err && i < r->cfg.sources_max; i++)
        err = takt_source_create(&r->cfg, &r->place[i].source, e);
    return err;
}

int takt_receiver_create(const struct takt_receiver_cfg *cfg, struct takt_receiver **out,
                         struct takt_error *e)
{
    *out = NULL;
    struct takt_receiver *r = calloc(1, sizeof *r);
    if (!r)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory for a receiver");
    r->cfg = *cfg;
    int err = check(r, e);
    if (err >= 0)
        err = make(r, e);
    if (err < 0) {
        takt_receiver_destroy(r);
        return err == TAKT_ERR_NOMEM ? takt_fail(e, err, 0, "out of memory for a receiver") : err;
    }
    *out = r;
    return TAKT_OK;
}

void takt_receiver_destroy(struct takt_receiver *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < TAKT_RECEIVER_SOURCES_MAX; i++)
        takt_source_destroy(r->place[i].source);
    takt_snapshot_destroy(r->shown);
    free(r);
}

/* ---- Whom to believe ------------------------------------------------------------------------- */

static struct place *place_of(struct takt_receiver *r, uint32_t ssrc)
{
    for (uint32_t i = 0; i < r->cfg.sources_max; i++) {
        const struct takt_source *s = r->place[i].source;
        if (takt_source_is_live(s) && takt_source_ssrc(s) == ssrc)
            return &r->place[i];
    }
    return NULL;
}

/* One that nobody has, or whose source has been silent. */
static struct place *free_place(struct takt_receiver *r, int64_t now_ns)
{
    for (uint32_t i = 0; i < r->cfg.sources_max; i++)
        if (!takt_source_is_live(r->place[i].source))
            return &r->place[i];
    for (uint32_t i = 0; i < r->cfg.sources_max; i++)
        if (takt_source_silent_ns(r->place[i].source, now_ns) >
            (r->cfg.trusts ? silent_trusted_ns : silent_ns))
            return &r->place[i];
    return NULL;
}

static struct candidate *candidate_of(struct takt_receiver *r, const struct takt_net_packet *p)
{
    for (uint32_t i = 0; i < CANDIDATES; i++)
        if (r->candidate[i].is_used && r->candidate[i].ssrc == p->ssrc)
            return &r->candidate[i];
    struct candidate *c = &r->candidate[r->candidate_next++ % CANDIDATES];
    *c = (struct candidate){.is_used = true, .ssrc = p->ssrc, .seq_next = p->seq};
    return c;
}

static void read_counts(const struct takt_source *s, struct takt_receiver_counts *out)
{
    struct takt_receiver_source shown;
    takt_source_read(s, &shown);
    *out = shown.counts;
}

/* A packet of nobody who is heard. Returns the place that it earns its source. */
static struct place *audition(struct takt_receiver *r, const struct takt_net_packet *p)
{
    if (p->is_repaired)
        return NULL;
    struct candidate *c = candidate_of(r, p);
    c->run = p->seq == c->seq_next ? c->run + 1 : 1;
    c->seq_next = (uint16_t)(p->seq + 1);
    struct place *place = free_place(r, p->arrival_ns);
    bool is_change = place && place->was_used && r->cfg.sources_max == 1;
    uint32_t run = r->cfg.trusts ? 1 : is_change ? RUN_OTHER : RUN_FIRST;
    if (!place || c->run < run)
        return NULL;
    c->is_used = false;
    place->was_used = true;
    takt_source_begin(place->source, p);
    read_counts(place->source, &place->before);
    place->before.resets--; /* its beginning is its own */
    return place;
}

void takt_receiver_packet(struct takt_receiver *r, const struct takt_net_packet *p)
{
    struct place *place = place_of(r, p->ssrc);
    if (!place)
        place = audition(r, p);
    if (place)
        takt_source_packet(place->source, p);
    else
        r->foreign++;
}

/* ---- Sound ----------------------------------------------------------------------------------- */

/* How long before it is heard a pull's last frame has to be there: the longest of the last seconds,
 * so that it changes seldom. */
static void find_ahead(struct takt_receiver *r, int64_t now_ns, int64_t play_ns, uint32_t frames)
{
    int64_t ahead_ns = play_ns - now_ns;
    ahead_ns = ahead_ns < 0 ? 0 : ahead_ns < ahead_most_ns ? ahead_ns : ahead_most_ns;
    ahead_ns += (int64_t)frames * 1000000000 / r->cfg.rate_hz;
    if (!r->is_pulled || play_ns - r->window_from_ns > window_ns || play_ns < r->window_from_ns) {
        if (!r->is_pulled || r->window_most_ns < r->ahead_ns - ahead_less_ns)
            r->ahead_ns = r->window_most_ns;
        r->window_from_ns = play_ns;
        r->window_most_ns = 0;
        r->is_pulled = true;
    }
    r->window_most_ns = ahead_ns > r->window_most_ns ? ahead_ns : r->window_most_ns;
    r->ahead_ns = ahead_ns > r->ahead_ns ? ahead_ns : r->ahead_ns;
}

/* to += by, or to -= by, of each count. */
static void add(struct takt_receiver_counts *to, const struct takt_receiver_counts *by, bool less)
{
    uint64_t a[COUNTS], b[COUNTS];
    memcpy(a, to, sizeof a);
    memcpy(b, by, sizeof b);
    for (int i = 0; i < COUNTS; i++)
        a[i] += less ? -b[i] : b[i];
    memcpy(to, a, sizeof a);
}

static void show(struct takt_receiver *r, int64_t now_ns)
{
    struct takt_receiver_stats *st = &r->stats;
    uint64_t concealed = st->counts.concealed_frames;
    st->counts = (struct takt_receiver_counts){0};
    st->foreign = r->foreign;
    st->sources = 0;
    bool is_copied = true;
    for (uint32_t i = 0; i < r->cfg.sources_max; i++) {
        const struct place *place = &r->place[i];
        struct takt_receiver_source *out = &st->source[i];
        takt_source_read(place->source, out);
        add(&st->counts, &out->counts, false);
        add(&out->counts, &place->before, true);
        int64_t since_ns = takt_source_silent_ns(place->source, now_ns);
        out->is_kept = out->is_live;
        out->is_silent = out->is_live && since_ns > still_ns;
        out->is_live = out->is_live && since_ns <= silent_ns;
        st->sources += out->is_live;
        is_copied &= !out->is_live || out->is_exact;
    }
    st->is_exact = st->sources == 1 && is_copied && st->counts.concealed_frames == concealed;
    uint64_t all = st->counts.heard_frames + st->counts.concealed_frames;
    st->concealed_ratio = all ? (double)st->counts.concealed_frames / (double)all : 0;
    takt_snapshot_write(r->shown, st);
}

void takt_receiver_pull(struct takt_receiver *r, int64_t now_ns, int64_t play_ns, float *const *out,
                        uint32_t frames)
{
    TAKT_ASSERT(frames <= r->cfg.frames_max);
    for (uint32_t c = 0; c < r->cfg.channels; c++)
        takt_silence(out[c], frames);
    if (!frames)
        return;
    find_ahead(r, now_ns, play_ns, frames);
    for (uint32_t i = 0; i < r->cfg.sources_max; i++)
        takt_source_pull(r->place[i].source, play_ns, r->ahead_ns, out, frames);
    show(r, now_ns);
}

void takt_receiver_end(struct takt_receiver *r)
{
    for (uint32_t i = 0; i < r->cfg.sources_max; i++)
        takt_source_end(r->place[i].source);
}

bool takt_receiver_help(struct takt_receiver *r)
{
    bool has_more = false;
    for (uint32_t i = 0; i < r->cfg.sources_max; i++)
        has_more |= takt_source_help(r->place[i].source);
    return has_more;
}

const struct takt_hist *takt_receiver_hist(const struct takt_receiver *r, uint32_t place,
                                           enum takt_receiver_hist which)
{
    if (place >= r->cfg.sources_max || (unsigned)which >= TAKT_RECEIVER_HISTS)
        return NULL;
    return takt_source_hist(r->place[place].source, which);
}

bool takt_receiver_read_stats(const struct takt_receiver *r, struct takt_receiver_stats *out)
{
    return takt_snapshot_read(r->shown, out);
}

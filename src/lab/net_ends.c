/*
 * An outlet on the one side; an inlet, and a receiver for each source that it believes, on the
 * other. What a receiver has counted stays counted when it is gone.
 */
#include "lab/net_ends.h"

#include "base/fail.h"
#include "base/random.h"
#include "net/ensemble.h"
#include "net/inlet.h"
#include "net/outlet.h"
#include "wire/srtp_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_TYPE = 96, RED_TYPE = 97, AROUND_BYTES = 28, PORT_BYTE = TAKT_INLET_HOST_BYTES };
static const int64_t second_ns = 1000000000;

struct takt_lab_ends {
    struct takt_lab_ends_cfg cfg;
    const struct takt_lab_net_plan *plan;
    struct takt_key key;
    struct takt_outlet *outlet;
    struct takt_inlet *inlet;
    struct takt_ensemble ensemble;
    struct takt_receiver *receiver; /* at place 0; NULL: none */
    takt_lab_ends_heard *heard;
    uint32_t ssrc, number; /* of the sender; how many there were */
    uint64_t start_newest; /* of all that there were */
    bool is_old;
    int64_t sender_wall_ns, receiver_wall_ns;
    uint64_t moves; /* of memory */
    int error;      /* of what happened in a callback */

    uint64_t handed;                    /* packets that came, to receivers */
    struct takt_receiver_counts before; /* of receivers that are gone */
    uint64_t foreign_before;
    struct takt_receiver_stats stats;
    uint64_t bytes; /* in this second, and in the last one */
    int64_t second_from_ns;
    double kbit_s;
};

/* ---- The receiver ---------------------------------------------------------------------------- */

/* to += by of each count. */
static void add(struct takt_receiver_counts *to, const struct takt_receiver_counts *by)
{
    enum { COUNTS = sizeof *to / sizeof(uint64_t) };
    uint64_t a[COUNTS], b[COUNTS];
    memcpy(a, to, sizeof a);
    memcpy(b, by, sizeof b);
    for (int i = 0; i < COUNTS; i++)
        a[i] += b[i];
    memcpy(to, a, sizeof a);
}

/* What had been taken in and was not heard is passed over. */
static void end_receiver(struct takt_lab_ends *x, struct takt_receiver *r)
{
    struct takt_receiver_stats st;
    if (takt_receiver_read_stats(r, &st)) {
        st.counts.skipped += st.counts.waiting;
        st.counts.waiting = 0;
        add(&x->before, &st.counts);
        x->foreign_before += st.foreign;
    }
    takt_receiver_destroy(r);
    x->moves++;
}

static void begin(void *arg, uint32_t place, const struct takt_inlet_source *source)
{
    struct takt_lab_ends *x = arg;
    const struct takt_lab_net_plan *p = x->plan;
    const struct takt_session_packets *packets = &source->packets;
    struct takt_receiver_format format = {.payload_type = packets->payload_type,
                                          .codec = packets->format};
    struct takt_error e;
    int err =
        takt_receiver_create(&(struct takt_receiver_cfg){.rate_hz = p->out_hz,
                                                         .channels = p->format.channels,
                                                         .formats = &format,
                                                         .formats_count = 1,
                                                         .has_red = packets->red_type != 0,
                                                         .red_payload_type = packets->red_type,
                                                         .frames_max = p->out_block,
                                                         .is_helped = p->is_helped,
                                                         .lambda_ms = p->lambda_ms,
                                                         .late_ratio = p->late_ratio,
                                                         .latency_ms = p->latency_ms,
                                                         .latency_ms_max = p->latency_ms_max},
                             &x->receiver, &e);
    x->moves++;
    if (err < 0)
        x->error = err;
    else
        takt_ensemble_attach(&x->ensemble, place, x->receiver);
}

static void end(void *arg, uint32_t place, enum takt_inlet_ending why)
{
    struct takt_lab_ends *x = arg;
    takt_ensemble_detach(&x->ensemble, place);
    x->receiver = NULL;
}

static void packet(void *arg, uint32_t place, const struct takt_net_packet *p)
{
    struct takt_lab_ends *x = arg;
    takt_ensemble_packet(&x->ensemble, place, p);
    x->handed += !p->is_repaired;
    if (x->heard)
        x->heard(x->cfg.arg, p);
}

static void send_report(void *arg, const struct takt_inlet_peer *to, const uint8_t *datagram,
                        size_t bytes)
{
    struct takt_lab_ends *x = arg;
    if (to->bytes[PORT_BYTE] == (uint8_t)x->number) /* else whoever listened there is gone */
        x->cfg.back(x->cfg.arg, datagram, bytes);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int make(struct takt_lab_ends *x, struct takt_error *e)
{
    const struct takt_lab_net_plan *p = x->plan;
    struct takt_random r = takt_random_seed(p->seed ^ 0x6b657973u);
    for (int i = 0; i < TAKT_KEY_BYTES; i++)
        x->key.bytes[i] = (uint8_t)takt_random_u64(&r);
    struct takt_session_packets told = {
        .format = p->format, .payload_type = PAYLOAD_TYPE, .red_type = p->copies ? RED_TYPE : 0};
    told.capture_id = TAKT_CAPTURE_ID;
    told.note_id = p->is_encrypted ? TAKT_NOTE_ID : 0;
    told.repair_type = TAKT_REPAIR_TYPE;
    int err = takt_ensemble_init(&x->ensemble, p->out_hz, p->format.channels, p->out_block, e);
    if (err < 0)
        return err;
    return takt_inlet_create(&(struct takt_inlet_cfg){.key = p->is_encrypted ? &x->key : NULL,
                                                      .formats = &told,
                                                      .formats_count = p->is_told,
                                                      .reports_plain = true,
                                                      .ssrc = (uint32_t)takt_random_u64(&r) | 1,
                                                      .epoch = (uint32_t)takt_random_u64(&r) >> 1,
                                                      .seed = takt_random_u64(&r),
                                                      .cname = "receiver",
                                                      .begin = begin,
                                                      .packet = packet,
                                                      .end = end,
                                                      .arg = x},
                             &x->inlet, e);
}

int takt_lab_ends_create(const struct takt_lab_ends_cfg *cfg, struct takt_lab_ends **out,
                         struct takt_error *e)
{
    struct takt_lab_ends *x = calloc(1, sizeof *x);
    *out = NULL;
    if (!x)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "out of memory");
    x->cfg = *cfg;
    x->plan = cfg->plan;
    int err = make(x, e);
    if (err < 0) {
        takt_lab_ends_destroy(x);
        return err;
    }
    *out = x;
    return TAKT_OK;
}

static void release_all(struct takt_lab_ends *x)
{
    struct takt_receiver *old;
    while ((old = takt_ensemble_released(&x->ensemble)))
        end_receiver(x, old);
}

void takt_lab_ends_destroy(struct takt_lab_ends *x)
{
    if (!x)
        return;
    release_all(x);
    for (uint32_t i = 0; i < TAKT_RECEIVER_SOURCES_MAX; i++)
        takt_receiver_destroy(x->ensemble.place[i].receiver);
    for (uint32_t i = 0; i < TAKT_ENSEMBLE_FADING_MAX; i++)
        takt_receiver_destroy(x->ensemble.fading[i].receiver);
    takt_ensemble_clear(&x->ensemble);
    takt_inlet_destroy(x->inlet);
    takt_outlet_destroy(x->outlet);
    takt_key_wipe(&x->key);
    free(x);
}

int takt_lab_ends_begin(struct takt_lab_ends *x, uint64_t seed, int64_t now_ns,
                        struct takt_error *e)
{
    struct takt_random r = takt_random_seed(seed);
    const struct takt_lab_net_plan *p = x->plan;
    char cname[32];
    takt_outlet_destroy(x->outlet);
    x->outlet = NULL;
    x->number++;
    x->moves++;
    x->ssrc = (uint32_t)takt_random_u64(&r) | 1;
    snprintf(cname, sizeof cname, "%08x", x->ssrc);
    uint64_t unix_s = (uint64_t)(now_ns + x->sender_wall_ns) / (uint64_t)second_ns;
    uint32_t timestamp = (uint32_t)takt_random_u64(&r);
    uint16_t seq = (uint16_t)takt_random_u64(&r);
    uint64_t start = takt_srtp_start(unix_s, (uint32_t)takt_random_u64(&r));
    x->is_old = p->is_encrypted && start <= x->start_newest;
    x->start_newest = start > x->start_newest ? start : x->start_newest;
    int err = takt_outlet_create(
        &(struct takt_outlet_cfg){.packets = {.format = p->format,
                                              .payload_type = PAYLOAD_TYPE,
                                              .red_type = p->copies ? RED_TYPE : 0},
                                  .ssrc = x->ssrc,
                                  .timestamp = timestamp,
                                  .seq = seq,
                                  .start = start,
                                  .seed = takt_random_u64(&r),
                                  .cname = cname,
                                  .key = p->is_encrypted ? &x->key : NULL,
                                  .copies = p->copies,
                                  .repair_least = p->repair,
                                  .repair_max = p->repair},
        &x->outlet, e);
    if (err < 0)
        return err;
    takt_outlet_set_clock(x->outlet, x->sender_wall_ns);
    return TAKT_OK;
}

uint32_t takt_lab_ends_ssrc(const struct takt_lab_ends *x)
{
    return x->ssrc;
}

uint64_t takt_lab_ends_moves(const struct takt_lab_ends *x)
{
    return x->moves;
}

int takt_lab_ends_error(const struct takt_lab_ends *x)
{
    return x->error;
}

void takt_lab_ends_set_clocks(struct takt_lab_ends *x, int64_t sender_ns, int64_t receiver_ns)
{
    x->sender_wall_ns = sender_ns;
    x->receiver_wall_ns = receiver_ns; /* which nothing of a receiver goes by */
    if (x->outlet)
        takt_outlet_set_clock(x->outlet, sender_ns);
}

/* ---- There and back -------------------------------------------------------------------------- */

static void emit(void *arg, enum takt_outlet_kind kind, const uint8_t *datagram, size_t bytes)
{
    struct takt_lab_ends *x = arg;
    x->cfg.there(x->cfg.arg, kind == TAKT_OUTLET_RTP, datagram, bytes);
}

void takt_lab_ends_push(struct takt_lab_ends *x, const float *const *planes, uint32_t frames,
                        int64_t capture_ns, int64_t now_ns)
{
    takt_outlet_push(x->outlet, planes, frames, capture_ns, now_ns, emit, x);
}

void takt_lab_ends_bye(struct takt_lab_ends *x, int64_t now_ns)
{
    takt_outlet_bye(x->outlet, now_ns, NULL, emit, x);
}

static void count_bytes(struct takt_lab_ends *x, size_t bytes, int64_t now_ns)
{
    if (now_ns - x->second_from_ns >= second_ns) {
        double s = (double)(now_ns - x->second_from_ns) * 1e-9;
        x->kbit_s = x->second_from_ns ? 8e-3 * (double)x->bytes / s : 0;
        x->bytes = 0;
        x->second_from_ns = now_ns;
    }
    x->bytes += bytes + AROUND_BYTES;
}

void takt_lab_ends_take(struct takt_lab_ends *x, uint8_t *datagram, size_t bytes,
                        int64_t arrival_ns)
{
    struct takt_inlet_datagram d = {.arrival_ns = arrival_ns, .data = datagram, .bytes = bytes};
    d.from.bytes[0] = 1;
    d.from.bytes[PORT_BYTE] = (uint8_t)x->number;
    count_bytes(x, bytes, arrival_ns);
    takt_inlet_take(x->inlet, &d);
}

void takt_lab_ends_take_back(struct takt_lab_ends *x, uint8_t *datagram, size_t bytes,
                             int64_t arrival_ns)
{
    if (x->outlet)
        takt_outlet_take(x->outlet, datagram, bytes, arrival_ns);
}

/* Those of a receiver that has lost its place and is still heard; NULL: none. */
static void add_stats(const struct takt_receiver *r, struct takt_receiver_counts *counts,
                      uint64_t *foreign)
{
    struct takt_receiver_stats st;
    if (!r || !takt_receiver_read_stats(r, &st))
        return;
    add(counts, &st.counts);
    *foreign += st.foreign;
}

void takt_lab_ends_pull(struct takt_lab_ends *x, int64_t now_ns, int64_t play_ns, float *const *out)
{
    if (takt_inlet_due_ns(x->inlet) <= now_ns)
        takt_inlet_tick(x->inlet, now_ns, send_report, x);
    takt_ensemble_pull(&x->ensemble, now_ns, play_ns, out, x->plan->out_block);
    release_all(x);
    struct takt_receiver_counts others = x->before;
    uint64_t foreign = x->foreign_before;
    for (uint32_t i = 0; i < TAKT_ENSEMBLE_FADING_MAX; i++)
        add_stats(x->ensemble.fading[i].receiver, &others, &foreign);
    if (!x->receiver) {
        x->stats.source[0] = (struct takt_receiver_source){0};
        x->stats.counts = others;
        x->stats.foreign = foreign;
        return;
    }
    if (x->plan->is_helped)
        takt_receiver_help(x->receiver);
    takt_receiver_read_stats(x->receiver, &x->stats);
    add(&x->stats.counts, &others);
    x->stats.foreign += foreign;
}

/* ---- What is known --------------------------------------------------------------------------- */

const struct takt_receiver_stats *takt_lab_ends_stats(const struct takt_lab_ends *x)
{
    return &x->stats;
}

bool takt_lab_ends_is_old(const struct takt_lab_ends *x)
{
    return x->is_old;
}

bool takt_lab_ends_fades(const struct takt_lab_ends *x)
{
    return x->ensemble.fading[0].receiver != NULL;
}

uint64_t takt_lab_ends_handed(const struct takt_lab_ends *x)
{
    return x->handed;
}

void takt_lab_ends_read_inlet(const struct takt_lab_ends *x, struct takt_inlet_counts *out)
{
    takt_inlet_read_counts(x->inlet, out);
}

int64_t takt_lab_ends_round_trip_ns(const struct takt_lab_ends *x)
{
    struct takt_inlet_state state;
    takt_inlet_read(x->inlet, 0, &state);
    return state.is_live ? state.round_trip_ns : -1;
}

static void show_counts(const struct takt_receiver_counts *c, struct takt_recv_counts *out)
{
    *out = (struct takt_recv_counts){.packets = c->packets,
                                     .played = c->played,
                                     .late = c->late,
                                     .lost = c->lost,
                                     .repaired = c->repaired,
                                     .skipped = c->skipped,
                                     .duplicated = c->duplicated,
                                     .broken = c->broken,
                                     .resets = c->resets,
                                     .heard_frames = c->heard_frames,
                                     .concealed_frames = c->concealed_frames};
}

static void show_source(const struct takt_lab_ends *x, struct takt_recv_source *to)
{
    const struct takt_receiver_source *s = &x->stats.source[0];
    const struct takt_codec_format *f = &x->plan->format;
    int64_t round_trip_ns = takt_lab_ends_round_trip_ns(x);
    *to = (struct takt_recv_source){.live = s->is_live,
                                    .ssrc = s->ssrc,
                                    .codec = takt_codec_name(f->codec),
                                    .rate_hz = f->rate_hz,
                                    .channels = f->channels,
                                    .packet_ms = 1e3 * f->frames / f->rate_hz,
                                    .encrypted = x->plan->is_encrypted,
                                    .exact = s->is_exact,
                                    .target_ms = s->target_ms,
                                    .delay_ms = s->delay_ms,
                                    .output_ms = s->output_ms,
                                    .drift_ppm = s->drift_ppm,
                                    .speed_ppm = s->speed_ppm,
                                    .jitter_ms = s->jitter_ms,
                                    .latency_known = s->has_latency,
                                    .latency_ms = s->latency_ms,
                                    .round_trip_ms =
                                        round_trip_ns < 0 ? -1 : (double)round_trip_ns * 1e-6,
                                    .kbit_s = x->kbit_s};
    show_counts(&s->counts, &to->counts);
}

void takt_lab_ends_show(const struct takt_lab_ends *x, struct takt_recv_stats *out)
{
    struct takt_inlet_counts c;
    takt_inlet_read_counts(x->inlet, &c);
    *out = (struct takt_recv_stats){
        .sources_count = x->stats.source[0].is_live,
        .kbit_s = x->kbit_s,
        .datagrams = c.packets + c.repair + c.reports + c.waiting + c.malformed + c.foreign +
                     c.undescribed + c.forged + c.plain + c.encrypted + c.replayed + c.untried,
        .refused = {.malformed = c.malformed,
                    .foreign = c.foreign,
                    .undescribed = c.undescribed,
                    .forged = c.forged,
                    .plain = c.plain,
                    .encrypted = c.encrypted,
                    .replayed = c.replayed,
                    .untried = c.untried}};
    show_counts(&x->stats.counts, &out->counts);
    show_source(x, &out->source[0]);
}

void takt_lab_ends_listen(struct takt_lab_ends *x, takt_lab_ends_heard *heard)
{
    x->heard = heard;
}

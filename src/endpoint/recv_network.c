/*
 * The thread that hears the network: datagrams through the inlet to the callback's ring, reports
 * back, and what there is to say about it.
 */
#include "endpoint/recv_parts.h"

#include "takt/time.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    BATCH = 64,
    AROUND_BYTES = 28, /* IPv4 and UDP */
    PACKETS_MIN = 64,
    PACKETS_MAX = 4096,
    PACKETS_DEFAULT = 1024
};
static const int64_t second_ns = 1000000000, show_ns = 50000000, word_ns = 10000000000;
/* Before it is said that somebody is not understood: descriptions may come later. */
static const int64_t patience_ns = 1000000000;
/* One that takes the place of another has to wait for 2 s. */
static const int64_t foreign_patience_ns = 4000000000;

/* ---- What is said ---------------------------------------------------------------------------- */

__attribute__((format(printf, 5, 6))) static void say(struct takt_recv *r,
                                                      enum takt_recv_event_kind kind,
                                                      uint32_t place, uint32_t ssrc,
                                                      const char *format, ...)
{
    struct takt_recv_event event = {
        .kind = kind, .time_ns = takt_now_ns(), .place = place, .ssrc = ssrc};
    va_list list;
    va_start(list, format);
    vsnprintf(event.text, sizeof event.text, format, list);
    va_end(list);
    takt_message_ring_write(r->events, &event, sizeof event);
}

static const char *name_of(const struct takt_inlet_peer *peer, char out[TAKT_ADDRESS_TEXT_MAX])
{
    struct takt_address a;
    takt_peer_to_address(peer, &a);
    return takt_address_print(&a, out);
}

/* ---- Sources --------------------------------------------------------------------------------- */

/* How many packets there are in a second and a half. */
static uint32_t packets_for(const struct takt_codec_format *f)
{
    uint32_t wanted = f->frames ? f->rate_hz / f->frames * 3 / 2 : PACKETS_DEFAULT;
    uint32_t n = PACKETS_MIN;
    while (n < wanted && n < PACKETS_MAX)
        n *= 2;
    return n;
}

static struct takt_receiver *
make_receiver(struct takt_recv *r, const struct takt_session_packets *p, struct takt_error *e)
{
    struct takt_receiver_format format = {.payload_type = p->payload_type, .codec = p->format};
    struct takt_receiver *made = NULL;
    if (format.codec.codec == TAKT_CODEC_OPUS)
        format.codec.rate_hz = 48000;
    takt_receiver_create(&(struct takt_receiver_cfg){.rate_hz = r->rate_hz,
                                                     .channels = r->channels,
                                                     .formats = &format,
                                                     .formats_count = 1,
                                                     .has_red = p->red_type != 0,
                                                     .red_payload_type = p->red_type,
                                                     .frames_max = r->frames_max,
                                                     .trusts = true, /* the inlet has judged */
                                                     .is_helped = true,
                                                     .packets_max = packets_for(&p->format),
                                                     .lambda_ms = r->lambda_ms,
                                                     .late_ratio = r->late_ratio,
                                                     .latency_ms = r->latency_ms,
                                                     .latency_ms_max = r->latency_ms_max},
                         &made, e);
    return made;
}

static bool give(struct takt_recv *r, const struct takt_recv_message *m, size_t bytes, size_t spare)
{
    uint64_t waiting = r->given - atomic_load_explicit(&r->taken, memory_order_acquire);
    size_t room = (bytes + 7) / 8 * 8 + 8;
    if (waiting + room + spare > TAKT_RECV_RING_BYTES ||
        !takt_message_ring_write(r->packets, m, bytes))
        return false;
    r->given += room;
    return true;
}

void takt_recv_on_begin(void *arg, uint32_t place, const struct takt_inlet_source *source)
{
    struct takt_recv *r = arg;
    struct takt_error e = {0};
    char from[TAKT_ADDRESS_TEXT_MAX];
    const struct takt_codec_format *f = &source->packets.format;
    name_of(&source->from, from);
    r->begun[place] = *source;
    bool has_room = atomic_load(&r->kept_count) < TAKT_RECV_KEPT_MAX;
    struct takt_recv_made made = {.place = place};
    if (has_room)
        made.receiver = make_receiver(r, &source->packets, &e);
    if (!made.receiver) {
        say(r, TAKT_RECV_REFUSED, place, source->ssrc, "%s cannot be played: %.120s", from,
            has_room ? e.text : "too many senders came and went");
        return;
    }
    struct takt_recv_message m = {
        .kind = TAKT_RECV_ATTACH, .place = place, .receiver = made.receiver};
    if (!give(r, &m, sizeof m, 0)) {
        takt_receiver_destroy(made.receiver);
        return;
    }
    atomic_fetch_add(&r->kept_count, 1);
    takt_ring_write(r->made, &made, 1);
    char packets[32] = "";
    if (f->frames)
        snprintf(packets, sizeof packets, ", packets of %.4g ms", 1e3 * f->frames / f->rate_hz);
    say(r, TAKT_RECV_BEGAN, place, source->ssrc, "%s sends %s, %u Hz, %u channel%s%s%s", from,
        takt_codec_name(f->codec), f->rate_hz, f->channels, f->channels == 1 ? "" : "s", packets,
        source->is_encrypted ? ", encrypted" : "");
}

void takt_recv_on_packet(void *arg, uint32_t place, const struct takt_net_packet *p)
{
    struct takt_recv *r = arg;
    struct takt_recv_message *m = r->message;
    if (p->bytes > TAKT_RECEIVER_PAYLOAD_BYTES_MAX)
        return;
    *m = (struct takt_recv_message){.kind = TAKT_RECV_PACKET, .place = place, .packet = *p};
    memcpy(m + 1, p->payload, p->bytes);
    if (!give(r, m, sizeof *m + p->bytes, TAKT_RECV_RING_SPARE))
        r->now.ring_dropped++;
}

void takt_recv_on_end(void *arg, uint32_t place, enum takt_inlet_ending why)
{
    struct takt_recv *r = arg;
    static const char *const reasons[] = {[TAKT_INLET_BYE] = "has ended",
                                          [TAKT_INLET_SILENT] = "is silent",
                                          [TAKT_INLET_REPLACED] = "begins anew, or another does"};
    struct takt_recv_message m = {.kind = TAKT_RECV_DETACH, .place = place};
    char from[TAKT_ADDRESS_TEXT_MAX];
    const struct takt_inlet_source *source = &r->begun[place];
    give(r, &m, sizeof m, 0);
    say(r, TAKT_RECV_ENDED, place, source->ssrc, "%s %s", name_of(&source->from, from),
        reasons[why]);
}

/* ---- Those who are not heard ------------------------------------------------------------------
 */

/* Why somebody is not heard, by order of what to say first. */
enum reason { FORGED, PLAIN, ENCRYPTED, REPLAYED, UNDESCRIBED, FOREIGN, REASONS };

struct refusals {
    uint64_t before[REASONS]; /* as it was when something was last said of it */
    uint64_t heard_before;
    int64_t since_ns[REASONS]; /* it has gone on; 0: not */
    int64_t said_ns[REASONS];
    bool was_said[REASONS];
};

static uint64_t count_of(const struct takt_inlet_counts *c, enum reason why)
{
    const uint64_t counts[REASONS] = {[FORGED] = c->forged + c->untried, [PLAIN] = c->plain,
                                      [ENCRYPTED] = c->encrypted,        [REPLAYED] = c->replayed,
                                      [UNDESCRIBED] = c->undescribed,    [FOREIGN] = c->foreign};
    return counts[why];
}

static void say_refused(struct takt_recv *r, enum reason why)
{
    static const char *const texts[REASONS] = {
        [FORGED] = "what %s sends does not fit the key; give both sides the same one",
        [PLAIN] = "what %s sends is not encrypted; give it the key, or leave the key out here",
        [ENCRYPTED] = "what %s sends is encrypted; give its key here",
        [REPLAYED] = "%s sends what was heard before; it is refused",
        [UNDESCRIBED] = "%s does not say what its packets are; give its SDP or a format",
        [FOREIGN] = "%s is not heard, since another sender is; several can be mixed"};
    char from[TAKT_ADDRESS_TEXT_MAX], text[200];
    struct takt_inlet_peer stranger;
    takt_inlet_read_stranger(r->inlet, &stranger);
    /* The texts are the constants above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, texts[why], name_of(&stranger, from));
#pragma GCC diagnostic pop
    say(r, TAKT_RECV_REFUSED, 0, 0, "%s", text);
}

/* A packet or two that do not fit are no news; what goes on for a second is. */
static void look_for_refused(struct takt_recv *r, struct refusals *f, int64_t now_ns)
{
    struct takt_inlet_counts c;
    takt_inlet_read_counts(r->inlet, &c);
    bool heard = c.packets != f->heard_before;
    f->heard_before = c.packets;
    for (enum reason why = 0; why < REASONS; why++) {
        uint64_t count = count_of(&c, why);
        if (count == f->before[why]) {
            f->since_ns[why] = 0;
            continue;
        }
        f->before[why] = count;
        /* While somebody is heard, what is forged or played again is noise; see the counts. */
        bool is_noise = heard && (why == FORGED || why == REPLAYED || why == PLAIN);
        if (heard && f->was_said[why] && now_ns - f->said_ns[why] > word_ns)
            f->was_said[why] = false;
        if (!f->since_ns[why])
            f->since_ns[why] = now_ns;
        if (is_noise || f->was_said[why] ||
            now_ns - f->since_ns[why] < (why == FOREIGN ? foreign_patience_ns : patience_ns))
            continue;
        f->was_said[why] = true;
        f->said_ns[why] = now_ns;
        say_refused(r, why);
    }
}

/* ---- The thread ------------------------------------------------------------------------------ */

/* Whether the last datagram was believed shows in the counts. */
static void note_heard(struct takt_recv *r, const struct takt_udp_packet *p)
{
    struct takt_inlet_counts c;
    takt_inlet_read_counts(r->inlet, &c);
    uint64_t heard = c.packets + c.repair + c.reports;
    if (heard == r->heard)
        return;
    r->heard = heard;
    r->now.heard_bytes += p->bytes + AROUND_BYTES;
    r->now.first_ns = r->now.first_ns ? r->now.first_ns : p->arrival_ns;
    r->now.last_ns = p->arrival_ns;
}

static void take(struct takt_recv *r, struct takt_udp *udp)
{
    struct takt_udp_packet in[BATCH];
    int count = takt_udp_receive(udp, in, BATCH, 0);
    for (int i = 0; i < count; i++) {
        struct takt_inlet_datagram d = {
            .arrival_ns = in[i].arrival_ns, .data = in[i].data, .bytes = in[i].bytes};
        r->bytes += in[i].bytes + AROUND_BYTES;
        r->now.datagrams++;
        takt_peer_from_address(&in[i].from, &d.from);
        takt_inlet_take(r->inlet, &d);
        note_heard(r, &in[i]);
    }
}

static void send_report(void *arg, const struct takt_inlet_peer *to, const uint8_t *datagram,
                        size_t bytes)
{
    struct takt_recv *r = arg;
    struct takt_udp *udp = r->udp[1] ? r->udp[1] : r->udp[0];
    struct takt_address address;
    takt_peer_to_address(to, &address);
    struct takt_udp_datagram d = {.data = datagram, .bytes = (uint32_t)bytes};
    if (!r->is_silent && takt_udp_set_to(udp, 0, &address) == 0)
        takt_udp_send(udp, &d, 1);
}

struct window {
    int64_t since_ns;
    uint64_t bytes, source_bytes[TAKT_RECV_SOURCES_MAX];
};

static void show(struct takt_recv *r, struct window *w, int64_t now_ns)
{
    for (uint32_t i = 0; i < r->sources_max; i++)
        takt_inlet_read(r->inlet, i, &r->now.source[i]);
    takt_inlet_read_counts(r->inlet, &r->now.counts);
    takt_inlet_read_stranger(r->inlet, &r->now.stranger);
    r->now.kernel_dropped = 0;
    for (uint32_t i = 0; i < TAKT_ENDPOINT_PORTS; i++) {
        struct takt_udp_stats stats = {0};
        if (r->udp[i])
            takt_udp_read_stats(r->udp[i], &stats);
        r->now.kernel_dropped += stats.dropped;
    }
    double seconds = (double)(now_ns - w->since_ns) * 1e-9;
    if (seconds >= 1) {
        r->now.kbit_s = 8e-3 * (double)(r->bytes - w->bytes) / seconds;
        for (uint32_t i = 0; i < r->sources_max; i++) {
            const struct takt_inlet_state *s = &r->now.source[i];
            uint64_t all = s->bytes + AROUND_BYTES * (s->packets + s->repair_packets);
            bool is_same = all >= w->source_bytes[i];
            r->now.source_kbit_s[i] =
                is_same ? 8e-3 * (double)(all - w->source_bytes[i]) / seconds : 0;
            w->source_bytes[i] = all;
        }
        w->bytes = r->bytes;
        w->since_ns = now_ns;
    }
    takt_snapshot_write(r->shown, &r->now);
    atomic_store(&r->cpu_ns[0], takt_endpoint_cpu_ns());
}

/* Returns which ports have something to read, a bit for each. */
static uint32_t wait_until(struct takt_recv *r, int64_t until_ns)
{
    struct pollfd fds[TAKT_ENDPOINT_PORTS + 1];
    for (uint32_t i = 0; i < TAKT_ENDPOINT_PORTS; i++) /* below 0: passed over */
        fds[i] = (struct pollfd){.fd = r->udp[i] ? takt_udp_fd(r->udp[i]) : -1, .events = POLLIN};
    fds[TAKT_ENDPOINT_PORTS] = (struct pollfd){.fd = r->wake_fd, .events = POLLIN};
    int64_t left_ns = until_ns - takt_now_ns();
    left_ns = left_ns > 0 ? left_ns : 0;
    struct timespec timeout = {left_ns / second_ns, left_ns % second_ns};
    uint32_t ready = 0;
    if (ppoll(fds, TAKT_ENDPOINT_PORTS + 1, &timeout, NULL) > 0)
        for (uint32_t i = 0; i < TAKT_ENDPOINT_PORTS; i++)
            ready |= (uint32_t)(fds[i].revents != 0) << i;
    return ready;
}

static void say_missed_ports(struct takt_recv *r)
{
    static const char *const what[] = {[1] = "reports and descriptions", [2] = "repair packets"};
    for (uint32_t i = 1; i < TAKT_ENDPOINT_PORTS; i++)
        if (r->has_missed_port[i])
            say(r, TAKT_RECV_REFUSED, 0, 0,
                "the port %u above %s is taken by another program: %s that go there are missed; "
                "choose another port, or let the sender use one for all",
                i, r->at, what[i]);
}

void takt_recv_run_network(void *arg)
{
    struct takt_recv *r = arg;
    struct window window = {.since_ns = takt_now_ns()};
    struct refusals refusals = {.heard_before = 0};
    int64_t show_due_ns = 0;
    uint32_t ready = 0;
    say_missed_ports(r);
    while (!atomic_load(&r->quits)) {
        /* Descriptions before what they describe. */
        static const uint32_t order[TAKT_ENDPOINT_PORTS] = {1, 0, 2};
        for (uint32_t i = 0; i < TAKT_ENDPOINT_PORTS; i++)
            if (ready >> order[i] & 1)
                take(r, r->udp[order[i]]);
        int64_t now_ns = takt_now_ns(), due_ns = takt_inlet_due_ns(r->inlet);
        if (now_ns >= due_ns)
            takt_inlet_tick(r->inlet, now_ns, send_report, r);
        if (now_ns >= show_due_ns) {
            show(r, &window, now_ns);
            look_for_refused(r, &refusals, now_ns);
            show_due_ns = now_ns + show_ns;
        }
        due_ns = takt_inlet_due_ns(r->inlet);
        ready = wait_until(r, due_ns < show_due_ns ? due_ns : show_due_ns);
    }
    show(r, &window, takt_now_ns());
}

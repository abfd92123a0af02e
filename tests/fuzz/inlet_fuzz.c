/*
 * Any bytes as the story of an inlet: its kind, and then datagrams, pauses and packets that have
 * the right key whatever else is in them. Each datagram is counted once, packets come only at
 * places where a source has begun, what is due is done by a tick, and no more bytes go back than
 * came.
 *
 *     byte 0: kind: plain, plain with formats and several places, keyed, keyed with several places
 *     then records: op, two bytes of length, and so many bytes
 *     op & 3: a datagram as it is; RTP that is sealed; RTCP that is sealed; a pause of so many ms
 */
#include "fuzz.h"
#include "net/inlet.h"
#include "net/outlet.h"
#include "wire/bytes.h"
#include "wire/rtp.h"
#include "wire/srtp_key.h"

#include <stdlib.h>
#include <string.h>

enum { SSRC = 7, ROOM = 4096, PLACES = 4, RECORDS_MAX = 200, START = 99, MS = 1000000 };

static struct {
    bool is_live[TAKT_RECEIVER_SOURCES_MAX];
    uint64_t came, went, sum;
} seen;

static const struct takt_key key = {{1, 2, 3}};

static void on_begin(void *arg, uint32_t place, const struct takt_inlet_source *source)
{
    (void)arg;
    TAKT_ASSERT(place < PLACES && !seen.is_live[place]);
    TAKT_ASSERT(source->packets.format.rate_hz >= 8000 && source->packets.format.channels > 0);
    seen.is_live[place] = true;
}

static void on_packet(void *arg, uint32_t place, const struct takt_net_packet *p)
{
    (void)arg;
    TAKT_ASSERT(place < PLACES && seen.is_live[place]);
    for (uint16_t i = 0; i < p->bytes; i++)
        seen.sum += p->payload[i];
}

static void on_end(void *arg, uint32_t place, enum takt_inlet_ending why)
{
    (void)arg, (void)why;
    TAKT_ASSERT(place < PLACES && seen.is_live[place]);
    seen.is_live[place] = false;
}

static void on_send(void *arg, const struct takt_inlet_peer *to, const uint8_t *datagram,
                    size_t bytes)
{
    (void)arg, (void)to, (void)datagram;
    seen.went += bytes;
}

static struct takt_inlet *make(bool is_keyed, bool is_many)
{
    static const struct takt_session_packets l16 = {
        .format = {.codec = TAKT_CODEC_L16, .rate_hz = 48000, .channels = 1},
        .payload_type = 96,
        .red_type = 97,
        .repair_type = TAKT_REPAIR_TYPE,
        .capture_id = TAKT_CAPTURE_ID,
        .note_id = TAKT_NOTE_ID};
    struct takt_inlet *in;
    struct takt_error e;
    struct takt_inlet_cfg cfg = {.key = is_keyed ? &key : NULL,
                                 .formats = &l16,
                                 .formats_count = is_many,
                                 .sources_max = is_many ? PLACES : 1,
                                 .reports_plain = true,
                                 .ssrc = 5,
                                 .epoch = 6,
                                 .begin = on_begin,
                                 .packet = on_packet,
                                 .end = on_end};
    TAKT_ASSERT(takt_inlet_create(&cfg, &in, &e) == 0);
    return in;
}

/* The sender's keys: of the source, and of its repair packets. */
static struct takt_srtp *make_srtp(uint32_t ssrc)
{
    struct takt_srtp *s;
    struct takt_srtp_key made;
    struct takt_error e;
    struct takt_srtp_cfg cfg = {.sends = true, .mki_bytes = 4, .sources = 1};
    struct takt_srtp_key_use use = {.ssrc = ssrc, .start = START};
    TAKT_ASSERT(takt_srtp_create(&cfg, &s, &e) == 0);
    TAKT_ASSERT(takt_srtp_key_derive(&key, &use, &made, &e) == 0);
    TAKT_ASSERT(takt_srtp_set_key(s, &made, &e) == 0);
    return s;
}

/* The bytes as a packet of the source: its header but for the SSRC, and all that follows. */
static int seal_rtp(struct takt_srtp *const srtp[2], const uint8_t *bytes, size_t n, uint8_t *out)
{
    uint8_t note_bytes[TAKT_SRTP_NOTE_BYTES], ext[32];
    struct takt_rtp p;
    if (takt_rtp_parse_header(bytes, n, &p) < 0)
        return -1;
    bool is_repair = p.payload_type == TAKT_REPAIR_TYPE;
    p.ssrc = SSRC + is_repair;
    struct takt_srtp_note note = {takt_srtp_roc(srtp[is_repair], p.ssrc, p.seq), START};
    takt_srtp_note_put(&note, note_bytes);
    struct takt_rtp_ext element = {TAKT_NOTE_ID, sizeof note_bytes, note_bytes};
    p.ext_bytes = (size_t)takt_rtp_ext_write(&element, 1, &p.ext_profile, ext, sizeof ext);
    p.has_ext = true;
    p.ext = ext;
    int size = takt_rtp_write(&p, out, ROOM);
    if (size < 0)
        return size;
    out[0] |= p.has_padding ? 0x20 : 0;
    return takt_srtp_protect(srtp[is_repair], out, (size_t)size, ROOM);
}

static int seal_rtcp(struct takt_srtp *srtp, const uint8_t *bytes, size_t n, uint8_t *out)
{
    if (n < 8)
        return -1;
    memcpy(out, bytes, n);
    memcpy(out + 4, (const uint8_t[]){0, 0, 0, SSRC}, 4);
    return takt_srtcp_protect(srtp, out, n, ROOM);
}

static void take(struct takt_inlet *in, const uint8_t *bytes, size_t n, uint8_t peer,
                 int64_t now_ns)
{
    uint8_t *copy = malloc(n ? n : 1); /* so that reading further is noticed */
    TAKT_ASSERT(copy);
    if (n)
        memcpy(copy, bytes, n);
    takt_inlet_take(in, &(struct takt_inlet_datagram){
                            .arrival_ns = now_ns, .data = copy, .bytes = n, .from = {{peer}}});
    seen.came += n;
    free(copy);
}

static void check(const struct takt_inlet *in, uint64_t datagrams)
{
    struct takt_inlet_counts c;
    struct takt_inlet_state state;
    takt_inlet_read_counts(in, &c);
    TAKT_ASSERT(datagrams == c.packets + c.repair + c.reports + c.waiting + c.malformed +
                                 c.foreign + c.undescribed + c.forged + c.plain + c.encrypted +
                                 c.replayed + c.untried);
    TAKT_ASSERT(seen.went <= seen.came);
    takt_inlet_read(in, 0, &state);
    TAKT_ASSERT(state.is_live == seen.is_live[0]);
    for (size_t i = 0; i < strlen(state.cname); i++)
        TAKT_ASSERT(state.cname[i] > ' ' && state.cname[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t bytes)
{
    enum { RAW, RTP, RTCP, PAUSE, OPS };
    static uint8_t out[ROOM];
    if (bytes == 0)
        return 0;
    memset(&seen, 0, sizeof seen);
    struct takt_inlet *inlet = make(in[0] & 2, in[0] & 1);
    struct takt_srtp *srtp[2] = {make_srtp(SSRC), make_srtp(SSRC + 1)};
    uint64_t datagrams = 0;
    int64_t now_ns = 1000000000;
    size_t at = 1;
    for (int i = 0; i < RECORDS_MAX && bytes - at >= 3; i++) {
        uint8_t op = in[at];
        size_t n = takt_be16(in + at + 1);
        const uint8_t *data = in + at + 3;
        if (op % OPS == PAUSE) {
            at += 3;
            now_ns += (int64_t)n * MS;
            takt_inlet_tick(inlet, now_ns, on_send, NULL);
            TAKT_ASSERT(takt_inlet_due_ns(inlet) > now_ns);
            continue;
        }
        n = n < bytes - at - 3 ? n : bytes - at - 3;
        n = n < ROOM / 2 ? n : ROOM / 2;
        at += 3 + n;
        int size = op % OPS == RTP    ? seal_rtp(srtp, data, n, out)
                   : op % OPS == RTCP ? seal_rtcp(srtp[0], data, n, out)
                                      : (int)n;
        if (size < 0)
            continue;
        take(inlet, op % OPS == RAW ? data : out, (size_t)size, op >> 6, now_ns);
        datagrams++;
        now_ns += MS;
    }
    check(inlet, datagrams);
    takt_inlet_destroy(inlet);
    takt_srtp_destroy(srtp[0]);
    takt_srtp_destroy(srtp[1]);
    return 0;
}

/*
 * What a datagram costs that nobody asked for, beside a stream that plays: 100 000 of them a second
 * by the clock that the inlet is given, each kind alone, with a right packet after each hundred,
 * all of which have to come out. In time of this thread; medians over the turns. Fails where a kind
 * costs more than 3 us each.
 */
#include "bench.h"
#include "net/inlet.h"
#include "station.h"

enum { BYTES = 360, EACH = 20000, TURNS = 9, FLOOD = 100, NS_MAX = 3000, GAP_NS = 10000 };

enum kind { GARBAGE, PLAIN, UNKNOWN, KNOWN, EPOCH_NEXT, EPOCH_FAR, REPORT, REPLAYED, RIGHT, KINDS };
static const char *const names[KINDS] = {"garbage",
                                         "plain",
                                         "forged unknown SSRC",
                                         "forged known SSRC",
                                         "forged next epoch",
                                         "forged far epoch",
                                         "forged RTCP",
                                         "replayed",
                                         "right"};

static struct takt_key key = {{1, 2, 3}};
static struct station sender;
static uint8_t right[STATION_ROOM], bad[STATION_ROOM], report[STATION_ROOM];
static size_t right_bytes, report_bytes;
static uint64_t delivered;
static struct takt_random chance;

static int64_t used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void on_begin(void *arg, uint32_t place, const struct takt_inlet_source *source)
{
    (void)arg, (void)place, (void)source;
}

static void on_packet(void *arg, uint32_t place, const struct takt_net_packet *p)
{
    (void)arg, (void)place, (void)p;
    delivered++;
}

static void on_end(void *arg, uint32_t place, enum takt_inlet_ending why)
{
    (void)arg, (void)place, (void)why;
}

static void noise(uint8_t *to, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)takt_random_u64(&chance);
}

/* A packet of this kind into `bad`. Those that are forged have the header of a right one. */
static size_t make(enum kind kind)
{
    enum { HEAD = 12 + 4 + 24, START_AT = 12 + 4 + 9 + 1 + 4 };
    if (kind == GARBAGE) {
        noise(bad, BYTES);
        return BYTES;
    }
    if (kind == REPORT) {
        memcpy(bad, report, report_bytes);
        bad[20] ^= (uint8_t)(1 + takt_random_below(&chance, 255));
        return report_bytes;
    }
    memcpy(bad, right, right_bytes);
    if (kind == REPLAYED)
        return right_bytes;
    noise(bad + HEAD, BYTES - HEAD);
    memset(bad + BYTES - 4, 0, 4);
    bad[3] = (uint8_t)(right[3] + 1 + takt_random_below(&chance, 100));
    if (kind == UNKNOWN) {
        noise(bad + 8, 4);
        bad[START_AT] = 0xff; /* of a later start, which is no old one */
    }
    if (kind == PLAIN)
        bad[0] = 0x80;
    if (kind == EPOCH_NEXT || kind == EPOCH_FAR)
        bad[BYTES - 1] = kind == EPOCH_NEXT ? 1 : 5;
    return BYTES;
}

static void take(struct takt_inlet *in, uint8_t *data, size_t bytes, int64_t now_ns)
{
    struct takt_inlet_datagram d = {.arrival_ns = now_ns, .data = data, .bytes = bytes};
    takt_inlet_take(in, &d);
}

/* Returns ns a packet, of a stream that has begun. */
static double run(struct takt_inlet *in, enum kind kind, int64_t *now_ns)
{
    static uint8_t made[FLOOD][STATION_ROOM];
    size_t bytes[FLOOD];
    int64_t spent_ns = 0;
    uint64_t before = delivered, sent = 0;
    for (int i = 0; i < EACH; i += FLOOD) {
        for (int k = 0; k < FLOOD; k++) {
            if (kind == RIGHT)
                bytes[k] = station_rtp(&sender, made[k]);
            else
                memcpy(made[k], bad, bytes[k] = make(kind));
            sent += kind == RIGHT;
        }
        int64_t from_ns = used_ns();
        for (int k = 0; k < FLOOD; k++, *now_ns += GAP_NS)
            take(in, made[k], bytes[k], *now_ns);
        spent_ns += used_ns() - from_ns;
        right_bytes = station_rtp(&sender, right);
        memcpy(bad, right, right_bytes);
        take(in, bad, right_bytes, *now_ns);
        sent++;
    }
    if (delivered - before != sent) {
        fprintf(stderr, "%s: %d of %d right packets came out\n", names[kind],
                (int)(delivered - before), (int)sent);
        exit(1);
    }
    return (double)spent_ns / EACH;
}

int main(void)
{
    static double all[KINDS][TURNS];
    struct takt_inlet *in;
    struct takt_error e;
    struct takt_inlet_cfg cfg = {
        .key = &key, .seed = 1, .begin = on_begin, .packet = on_packet, .end = on_end};
    int64_t now_ns = 1000000000;
    int failed = 0;
    chance = takt_random_seed(4);
    if (takt_inlet_create(&cfg, &in, &e) < 0)
        return takt_die(&e);
    if (!station_open(&sender, STATION_KEYED, &key, 7, takt_srtp_start(100, 5)))
        return 1;
    right_bytes = station_rtp(&sender, right);
    memcpy(bad, right, right_bytes);
    take(in, bad, right_bytes, now_ns);
    report_bytes = station_line(&sender, report);
    memcpy(bad, report, report_bytes);
    take(in, bad, report_bytes, now_ns);
    report_bytes = station_line(&sender, report); /* this one is not sent */
    for (int turn = 0; turn < TURNS; turn++)
        for (int kind = 0; kind < KINDS; kind++)
            all[kind][turn] = run(in, (enum kind)kind, &now_ns);
    for (int kind = 0; kind < KINDS; kind++) {
        double ns = bench_median(all[kind], TURNS);
        printf("{\"bench\":\"flood\",\"kind\":\"%s\",\"ns\":%.0f,\"ns_max\":%d}\n", names[kind], ns,
               NS_MAX);
        failed |= ns > NS_MAX;
    }
    takt_inlet_destroy(in);
    station_close(&sender);
    return failed;
}

/*
 * What it costs to protect and to unprotect a packet: 1 ms of stereo L24, 288 bytes of payload, in
 * each suite; and what a forged packet costs before it is refused, searches included. All cases
 * take turns, so what the machine does meanwhile hits all alike; figures are medians over the
 * turns, in time of this thread.
 */
#include "wire/srtp.h"
#include "bench.h"

#include <string.h>

enum { PAYLOAD = 288, HEADER = 12, PACKETS = 4000, TURNS = 21, ROOM = 352 };

static uint8_t packets[PACKETS][ROOM];

static int64_t used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

struct ends {
    struct takt_srtp *to, *from;
    uint64_t at;
};

static struct takt_srtp *make(enum takt_srtp_suite suite, bool sends)
{
    struct takt_srtp *s;
    struct takt_error e;
    struct takt_srtp_key k = {.mki = 1, .key = {1, 2, 3}};
    struct takt_srtp_cfg cfg = {.suite = suite, .sends = sends, .mki_bytes = 4};
    if (takt_srtp_create(&cfg, &s, &e) < 0 || takt_srtp_set_key(s, &k, &e) < 0)
        exit(takt_die(&e));
    return s;
}

static void must_be(int bytes, int want)
{
    if (bytes != want)
        abort();
}

/* ns a packet: [0] protected, [1] refused as forged, [2] unprotected. */
static void run(struct ends *ends, double ns[3])
{
    int size = HEADER + PAYLOAD + (int)takt_srtp_added(ends->to);
    memset(packets, 0, sizeof packets);
    for (int i = 0; i < PACKETS; i++, ends->at++) {
        packets[i][0] = 0x80;
        packets[i][2] = (uint8_t)(ends->at >> 8);
        packets[i][3] = (uint8_t)ends->at;
    }
    int64_t start_ns = used_ns();
    for (int i = 0; i < PACKETS; i++)
        must_be(takt_srtp_protect(ends->to, packets[i], HEADER + PAYLOAD, ROOM), size);
    int64_t protected_ns = used_ns();
    static uint8_t forged[ROOM];
    for (int i = 0; i < PACKETS; i++) {
        memcpy(forged, packets[i], ROOM);
        forged[20] ^= 1;
        must_be(takt_srtp_unprotect(ends->from, forged, (size_t)size, NULL), TAKT_ERR_FORMAT);
    }
    int64_t refused_ns = used_ns();
    for (int i = 0; i < PACKETS; i++)
        must_be(takt_srtp_unprotect(ends->from, packets[i], (size_t)size, NULL), HEADER + PAYLOAD);
    int64_t unprotected_ns = used_ns();
    ns[0] = (double)(protected_ns - start_ns) / PACKETS;
    ns[1] = (double)(refused_ns - protected_ns) / PACKETS;
    ns[2] = (double)(unprotected_ns - refused_ns) / PACKETS;
}

int main(void)
{
    static double all[TAKT_SRTP_SUITES][3][TURNS];
    struct ends ends[TAKT_SRTP_SUITES];
    for (int s = 0; s < TAKT_SRTP_SUITES; s++)
        ends[s] = (struct ends){make((enum takt_srtp_suite)s, true),
                                make((enum takt_srtp_suite)s, false), 0};
    for (int turn = 0; turn < TURNS; turn++)
        for (int s = 0; s < TAKT_SRTP_SUITES; s++) {
            double ns[3];
            run(&ends[s], ns);
            for (int i = 0; i < 3; i++)
                all[s][i][turn] = ns[i];
        }
    for (int s = 0; s < TAKT_SRTP_SUITES; s++) {
        printf("{\"bench\":\"srtp\",\"suite\":\"%s\",\"payload_bytes\":%d,\"protect_ns\":%.0f,"
               "\"unprotect_ns\":%.0f,\"refuse_ns\":%.0f}\n",
               takt_srtp_suite_name((enum takt_srtp_suite)s), PAYLOAD,
               bench_median(all[s][0], TURNS), bench_median(all[s][2], TURNS),
               bench_median(all[s][1], TURNS));
        takt_srtp_destroy(ends[s].to);
        takt_srtp_destroy(ends[s].from);
    }
    return 0;
}

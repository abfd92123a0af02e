/*
 * What repair packets cost: blocks of 8 packets of 1 ms stereo L24, 288 bytes of payload each, and
 * 2 repair packets. MB/s are of the 8 packets. `encode` adds them and writes the repair packets;
 * `decode` takes what arrives when two packets of each block are lost, and gives these; `arrive`
 * when none is. `field` is the kernel alone, in each version that this processor runs. All cases
 * take turns, so what the machine does meanwhile hits all alike; figures are medians over the
 * turns, in time of this thread.
 */
#include "wire/repair.h"
#include "bench.h"
#include "takt/error.h"
#include "wire/field.h"

#include <string.h>

enum {
    K = 8,
    M = 2,
    HEADER = 12,
    BYTES = HEADER + 288,
    BLOCKS = 500,
    TURNS = 21,
    ROOM = BYTES + TAKT_REPAIR_HEADER_BYTES,
    VERSIONS = 2,
    FIELD_BYTES = 320 /* a packet's symbol, in whole steps */
};

enum { ENCODE, DECODE, ARRIVE, CASES };
static const char *const names[CASES] = {"encode", "decode", "arrive"};

static uint8_t packets[BLOCKS][K][BYTES], repairs[BLOCKS][M][ROOM];

static int64_t used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void must_be(int found, int want)
{
    if (found != want)
        abort();
}

static void make_packets(void)
{
    for (int b = 0; b < BLOCKS; b++)
        for (int i = 0; i < K; i++) {
            int seq = b * K + i;
            uint8_t *p = packets[b][i];
            for (int n = 0; n < BYTES; n++)
                p[n] = (uint8_t)(n * 7 + seq * 13 + n * seq / 3);
            memset(p, 0, HEADER);
            p[0] = 0x80;
            p[2] = (uint8_t)(seq >> 8);
            p[3] = (uint8_t)seq;
        }
}

static double encode(struct takt_repair_encoder *e)
{
    int64_t start_ns = used_ns();
    for (int b = 0; b < BLOCKS; b++) {
        takt_repair_begin(e, M);
        for (int i = 0; i < K; i++)
            must_be(takt_repair_add(e, packets[b][i], BYTES), i + 1);
        for (uint32_t i = 0; i < M; i++)
            must_be(takt_repair_write(e, i, repairs[b][i], ROOM), ROOM);
    }
    return (double)(used_ns() - start_ns);
}

static double decode(struct takt_repair_decoder *d, int lost)
{
    uint8_t out[BYTES];
    takt_repair_restart(d, 0);
    int64_t start_ns = used_ns();
    for (int b = 0; b < BLOCKS; b++) {
        for (int i = lost; i < K; i++)
            must_be(takt_repair_take(d, packets[b][i], BYTES), 0);
        for (int i = 0; i < M; i++)
            must_be(takt_repair_take_repair(d, repairs[b][i], ROOM), i == M - 1 ? lost : 0);
        for (int i = 0; i < lost; i++) {
            must_be(takt_repair_found(d, (uint32_t)i, out, BYTES), BYTES);
            must_be(memcmp(out, packets[b][i], BYTES), 0);
        }
    }
    return (double)(used_ns() - start_ns);
}

static double field(const struct takt_field_version *v)
{
    static uint8_t sum[FIELD_BYTES], x[FIELD_BYTES];
    int64_t start_ns = used_ns();
    for (int i = 0; i < BLOCKS * K; i++) {
        v->add(sum, x, takt_field_row((uint8_t)(i | 2)), FIELD_BYTES);
        bench_barrier();
    }
    return (double)(used_ns() - start_ns);
}

int main(void)
{
    static double ns[CASES][TURNS], field_ns[VERSIONS][TURNS];
    struct takt_repair_encoder *e;
    struct takt_repair_decoder *d;
    if (takt_repair_encoder_create(BYTES, &e) < 0 || takt_repair_decoder_create(BYTES, &d) < 0)
        return 2;
    make_packets();
    for (int turn = 0; turn < TURNS; turn++) {
        ns[ENCODE][turn] = encode(e);
        ns[DECODE][turn] = decode(d, M);
        ns[ARRIVE][turn] = decode(d, 0);
        for (int i = 0; i < VERSIONS; i++)
            field_ns[i][turn] = takt_field_version(i) ? field(takt_field_version(i)) : 0;
    }
    for (int c = 0; c < CASES; c++) {
        double median = bench_median(ns[c], TURNS);
        printf("{\"bench\":\"repair\",\"case\":\"%s\",\"k\":%d,\"m\":%d,\"payload_bytes\":%d,"
               "\"mb_s\":%.0f,\"packet_ns\":%.0f}\n",
               names[c], K, M, BYTES - HEADER, 1e3 * BLOCKS * K * BYTES / median,
               median / (BLOCKS * K));
    }
    for (int i = 0; i < VERSIONS && takt_field_version(i); i++)
        printf("{\"bench\":\"repair\",\"case\":\"field\",\"version\":\"%s\",\"mb_s\":%.0f}\n",
               takt_field_version(i)->name,
               1e3 * BLOCKS * K * FIELD_BYTES / bench_median(field_ns[i], TURNS));
    takt_repair_encoder_destroy(e);
    takt_repair_decoder_destroy(d);
    return 0;
}

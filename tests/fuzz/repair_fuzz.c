/*
 * Any bytes as a repair packet and as a packet; and the same bytes as the story of a block: of what
 * packets, which of them arrive and in what order, and what is damaged on the way. What was not
 * damaged comes back as it was; what was, comes back as a packet of this source or not at all.
 */
#include "fuzz.h"
#include "repair_seal.h"
#include "takt/error.h"
#include "wire/bytes.h"
#include "wire/repair.h"
#include "wire/rtp.h"

enum { MOST = 96, SSRC = 0x74616b74, ARRIVALS = 64 };

/* The story's bytes, which go on with zeros. */
struct story {
    const uint8_t *at;
    size_t left;
};

static uint8_t next(struct story *s)
{
    if (!s->left)
        return 0;
    s->left--;
    return *s->at++;
}

static struct {
    uint32_t k, m;
    bool is_damaged;
    uint8_t bytes[TAKT_REPAIR_DATA_MAX + TAKT_REPAIR_MAX][MOST + TAKT_REPAIR_HEADER_BYTES];
    size_t size[TAKT_REPAIR_DATA_MAX + TAKT_REPAIR_MAX];
} block;

static void make_block(struct takt_repair_encoder *e, struct story *s)
{
    block.k = 1 + next(s) % TAKT_REPAIR_DATA_MAX;
    block.m = 1 + next(s) % TAKT_REPAIR_MAX;
    block.is_damaged = false;
    uint16_t seq = (uint16_t)(next(s) << 8 | next(s));
    TAKT_ASSERT(takt_repair_begin(e, block.m) == 0);
    for (uint32_t i = 0; i < block.k; i++) {
        uint8_t payload[MOST];
        size_t bytes = next(s) % (MOST - TAKT_RTP_HEADER_BYTES + 1);
        for (size_t n = 0; n < bytes; n++)
            payload[n] = n < 4 ? next(s) : (uint8_t)(n * i);
        struct takt_rtp p = {.marker = bytes & 1,
                             .payload_type = bytes & 127,
                             .seq = (uint16_t)(seq + i),
                             .timestamp = 48 * i,
                             .ssrc = SSRC,
                             .payload = payload,
                             .payload_bytes = bytes};
        block.size[i] = (size_t)takt_rtp_write(&p, block.bytes[i], MOST);
        TAKT_ASSERT(takt_repair_add(e, block.bytes[i], block.size[i]) == (int)i + 1);
    }
    for (uint32_t i = 0; i < block.m; i++) {
        uint32_t at = block.k + i;
        block.size[at] = (size_t)takt_repair_write(e, i, block.bytes[at], sizeof block.bytes[at]);
    }
}

static void check_found(const struct takt_repair_decoder *d, int found)
{
    TAKT_ASSERT(found <= TAKT_REPAIR_MAX);
    for (int i = 0; i < found; i++) {
        uint8_t out[MOST];
        int bytes = takt_repair_found(d, (uint32_t)i, out, sizeof out);
        TAKT_ASSERT(bytes >= TAKT_RTP_HEADER_BYTES && out[0] >> 6 == 2);
        TAKT_ASSERT(takt_be32(out + 8) == SSRC);
        uint16_t at = (uint16_t)(takt_be16(out + 2) - takt_be16(block.bytes[0] + 2));
        if (block.is_damaged)
            continue;
        TAKT_ASSERT(at < block.k && (size_t)bytes == block.size[at]);
        TAKT_ASSERT(!memcmp(out, block.bytes[at], (size_t)bytes));
    }
}

static void deliver(struct takt_repair_decoder *d, struct story *s)
{
    uint32_t at = next(s) % (block.k + block.m);
    uint8_t bytes[sizeof block.bytes[0]], how = next(s);
    size_t size = block.size[at];
    memcpy(bytes, block.bytes[at], size);
    if (how & 1) {
        bytes[next(s) % size] ^= next(s);
        block.is_damaged = true;
    }
    if (how & 2) {
        size = next(s) % (size + 1);
        block.is_damaged = true;
    }
    bool is_data = at < block.k;
    if (how & 4 && !is_data)
        repair_seal(bytes, size);
    check_found(d, is_data ? takt_repair_take(d, bytes, size)
                           : takt_repair_take_repair(d, bytes, size));
}

static void try_repair(struct takt_repair_decoder *d, const uint8_t *in, size_t bytes)
{
    struct takt_repair r;
    if (takt_repair_parse(in, bytes, &r) == 0) {
        TAKT_ASSERT(r.data >= 1 && r.data <= TAKT_REPAIR_DATA_MAX);
        TAKT_ASSERT(r.index < r.repair && r.repair <= TAKT_REPAIR_MAX);
        TAKT_ASSERT(r.symbol + r.symbol_bytes == in + bytes);
    }
    takt_repair_take_repair(d, in, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t bytes)
{
    static uint8_t sealed[TAKT_REPAIR_PACKET_BYTES_MAX + TAKT_REPAIR_HEADER_BYTES];
    static struct takt_repair_encoder *e;
    static struct takt_repair_decoder *d;
    if (!e &&
        (takt_repair_encoder_create(MOST, &e) < 0 || takt_repair_decoder_create(MOST, &d) < 0))
        return 0;
    takt_repair_restart(d, SSRC);
    takt_repair_take(d, in, bytes);
    try_repair(d, in, bytes);
    if (bytes <= sizeof sealed) {
        if (bytes)
            memcpy(sealed, in, bytes);
        repair_seal(sealed, bytes);
        try_repair(d, sealed, bytes);
    }
    struct story s = {in, bytes};
    make_block(e, &s);
    takt_repair_restart(d, SSRC);
    for (int i = 0; i < ARRIVALS && s.left; i++)
        deliver(d, &s);
    return 0;
}

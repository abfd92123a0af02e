/* Repair packets: the field, every pattern of loss, what is damaged, foreign or cut. */
#include "fault.h"
#include "hostile.h"
#include "repair_seal.h"
#include "takt/error.h"
#include "wire/bytes.h"
#include "wire/field.h"
#include "wire/repair.h"
#include "wire/rtp.h"

enum {
    SSRC = 0x40ffee01,
    ROOM = TAKT_REPAIR_PACKET_BYTES_MAX + TAKT_REPAIR_HEADER_BYTES,
    PARTS = TAKT_REPAIR_DATA_MAX + TAKT_REPAIR_MAX
};

/* ---- The field ------------------------------------------------------------------------------- */

static uint8_t product(unsigned a, unsigned b)
{
    return takt_field_multiply((uint8_t)a, (uint8_t)b);
}

static void field_has_a_one_and_inverses_and_no_order(void)
{
    for (unsigned a = 0; a < 256; a++) {
        CHECK_INT(product(a, 1), a);
        CHECK_INT(product(a, 0), 0);
        for (unsigned b = 0; b < 256; b++)
            CHECK_INT(product(a, b), product(b, a));
        for (unsigned b = 1; b < 256; b++)
            CHECK_INT(product(takt_field_divide((uint8_t)a, (uint8_t)b), b), a);
    }
    CHECK_INT(product(0x80, 2), 0x1d);
}

static void field_multiplies_in_any_grouping(void)
{
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            for (unsigned c = 1; c < 256; c = c * 3 + 1) {
                CHECK_INT(product(product(a, b), c), product(a, product(b, c)));
                CHECK_INT(product(a ^ b, c), product(a, c) ^ product(b, c));
            }
}

/* Each version, each factor, any alignment; and not a byte beyond. */
static void field_add_is_what_multiply_says(void)
{
    struct takt_random r = takt_random_seed(1);
    uint8_t x[256], sum[256], want[256];
    const struct takt_field_version *v;
    for (int i = 0; (v = takt_field_version(i)); i++)
        for (unsigned factor = 0; factor < 256; factor++) {
            size_t at = takt_random_below(&r, 40), n = TAKT_FIELD_STEP * takt_random_below(&r, 6);
            for (size_t k = 0; k < sizeof x; k++) {
                x[k] = (uint8_t)(k < 256 && factor % 2 ? k : takt_random_u64(&r));
                sum[k] = (uint8_t)takt_random_u64(&r);
            }
            memcpy(want, sum, sizeof sum);
            for (size_t k = 0; k < n; k++)
                want[at + k] ^= product(x[k + 7], factor);
            v->add(sum + at, x + 7, takt_field_row((uint8_t)factor), n);
            CHECK(!memcmp(sum, want, sizeof sum));
        }
    memset(sum, 0, sizeof sum);
    for (unsigned k = 0; k < 256; k++)
        x[k] = (uint8_t)k;
    takt_field_add(sum, x, 0x53, sizeof sum);
    for (unsigned k = 0; k < 256; k++)
        CHECK_INT(sum[k], product(k, 0x53));
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* Parts 0..k-1 are packets, the m after them repair packets. */
static struct {
    uint32_t k, m;
    uint16_t seq;
    uint8_t bytes[PARTS][ROOM];
    size_t size[PARTS];
} block;
static struct takt_repair_encoder *encoder;
static struct takt_repair_decoder *decoder;

static bool open_both(size_t packet_bytes_max)
{
    return takt_repair_encoder_create(packet_bytes_max, &encoder) == TAKT_OK &&
           takt_repair_decoder_create(packet_bytes_max, &decoder) == TAKT_OK;
}

static void close_both(void)
{
    takt_repair_encoder_destroy(encoder);
    takt_repair_decoder_destroy(decoder);
}

/* All that a header can have, at random. */
static size_t make_packet(struct takt_random *r, uint16_t seq, size_t payload_max, uint8_t *out)
{
    static uint8_t noise[ROOM], ext[12];
    for (size_t i = 0; i < payload_max; i++)
        noise[i] = (uint8_t)takt_random_u64(r);
    struct takt_rtp p = {.marker = takt_random_below(r, 2),
                         .payload_type = (uint8_t)takt_random_below(r, 128),
                         .padding_bytes = (uint8_t)(takt_random_below(r, 4) ? 0 : 4),
                         .csrc_count = (uint8_t)(takt_random_below(r, 4) ? 0 : 2),
                         .has_ext = takt_random_below(r, 2),
                         .seq = seq,
                         .timestamp = (uint32_t)takt_random_u64(r),
                         .ssrc = SSRC,
                         .ext_profile = TAKT_RTP_EXT_ONE_BYTE,
                         .ext = ext,
                         .ext_bytes = sizeof ext,
                         .payload = noise,
                         .payload_bytes = takt_random_below(r, payload_max + 1)};
    int bytes = takt_rtp_write(&p, out, ROOM);
    return bytes > 0 ? (size_t)bytes : 0;
}

static bool make_block(struct takt_random *r, uint32_t k, uint32_t m, uint16_t seq,
                       size_t payload_max)
{
    block.k = k;
    block.m = m;
    block.seq = seq;
    bool is_made = takt_repair_begin(encoder, m) == TAKT_OK;
    for (uint32_t i = 0; i < k; i++) {
        block.size[i] = make_packet(r, (uint16_t)(seq + i), payload_max, block.bytes[i]);
        is_made &= takt_repair_add(encoder, block.bytes[i], block.size[i]) == (int)i + 1;
    }
    for (uint32_t i = 0; i < m; i++) {
        int bytes = takt_repair_write(encoder, i, block.bytes[k + i], ROOM);
        block.size[k + i] = bytes > 0 ? (size_t)bytes : 0;
        is_made &= bytes > 0;
    }
    return is_made;
}

static int take(uint32_t part)
{
    const uint8_t *at = edge_put(block.bytes[part], block.size[part]);
    return part < block.k ? takt_repair_take(decoder, at, block.size[part])
                          : takt_repair_take_repair(decoder, at, block.size[part]);
}

/* Marks what was found among `here`; false where it is not the packet that was sent, or not new. */
static bool note_found(int found, uint64_t *here)
{
    for (int i = 0; i < found; i++) {
        uint8_t out[ROOM];
        int bytes = takt_repair_found(decoder, (uint32_t)i, out, sizeof out);
        if (bytes < TAKT_RTP_HEADER_BYTES)
            return false;
        uint32_t at = (uint16_t)(takt_be16(out + 2) - block.seq);
        if (at >= block.k || *here >> at & 1 || (size_t)bytes != block.size[at] ||
            memcmp(out, block.bytes[at], (size_t)bytes) != 0)
            return false;
        *here |= 1ull << at;
    }
    return true;
}

/* The parts whose bits are set arrive, in any order. What has to be true then, of each. */
static bool arrives(struct takt_random *r, uint64_t parts)
{
    uint32_t order[PARTS], count = 0;
    for (uint32_t i = 0; i < block.k + block.m; i++)
        if (parts >> i & 1)
            order[count++] = i;
    uint64_t all = (1ull << block.k) - 1, here = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t other = i + (uint32_t)takt_random_below(r, count - i), part = order[other];
        order[other] = order[i];
        int found = take(part);
        if (part < block.k)
            here |= 1ull << part;
        if (found < 0 || !note_found(found, &here))
            return false;
        bool is_whole = (here & all) == all;
        if (i + 1 < block.k && found > 0)
            return false;
        if (i + 1 >= block.k && !is_whole)
            return false;
    }
    return true;
}

static void any_k_of_a_small_block_bring_back_all(void)
{
    struct takt_random r = takt_random_seed(2);
    CHECK(open_both(200));
    for (uint32_t k = 1; k <= 6; k++)
        for (uint32_t m = 1; m <= 4; m++)
            for (uint64_t parts = 0; parts < 1ull << (k + m); parts++) {
                CHECK(make_block(&r, k, m, (uint16_t)takt_random_u64(&r), 100));
                takt_repair_restart(decoder, SSRC);
                CHECK(arrives(&r, parts));
            }
    close_both();
}

static void any_k_of_a_large_block_bring_back_all(void)
{
    struct takt_random r = takt_random_seed(3);
    CHECK(open_both(TAKT_REPAIR_PACKET_BYTES_MAX));
    for (int i = 0; i < ROUNDS(1500); i++) {
        uint32_t k = i % 3 ? 1 + (uint32_t)takt_random_below(&r, TAKT_REPAIR_DATA_MAX)
                           : TAKT_REPAIR_DATA_MAX;
        uint32_t m = i % 5 ? 1 + (uint32_t)takt_random_below(&r, TAKT_REPAIR_MAX) : TAKT_REPAIR_MAX;
        CHECK(make_block(&r, k, m, (uint16_t)takt_random_u64(&r), i % 8 ? 300 : 1400));
        uint64_t parts = (1ull << (k + m)) - 1;
        for (uint64_t lost = takt_random_below(&r, m + 2); lost > 0; lost--)
            parts &= ~(1ull << takt_random_below(&r, k + m));
        takt_repair_restart(decoder, SSRC);
        CHECK(arrives(&r, parts));
    }
    close_both();
}

/* Each byte of each repair packet, reckoned by the words of wire/repair.h. */
static void repair_packet_is_the_sum_that_is_described(void)
{
    struct takt_random r = takt_random_seed(19);
    CHECK(open_both(200));
    CHECK_INT(TAKT_REPAIR_MAX, 12);
    CHECK(make_block(&r, TAKT_REPAIR_DATA_MAX, TAKT_REPAIR_MAX, 9, 100));
    for (uint32_t index = 0; index < block.m; index++) {
        uint32_t part = block.k + index;
        const uint8_t *symbol = block.bytes[part] + TAKT_REPAIR_HEADER_BYTES;
        for (size_t at = 12; at < block.size[part] - TAKT_REPAIR_HEADER_BYTES; at++) {
            unsigned sum = 0;
            for (uint32_t i = 0; i < block.k; i++) {
                uint8_t y = (uint8_t)(i + 12), c = takt_field_divide(y, (uint8_t)(index ^ y));
                sum ^= at < block.size[i] ? product(block.bytes[i][at], c) : 0;
            }
            CHECK_INT(symbol[at], sum);
        }
    }
    close_both();
}

/* All of a block is lost, and any k of its twelve repair packets arrive. */
static void repair_packets_alone_are_enough(void)
{
    struct takt_random r = takt_random_seed(4);
    CHECK(open_both(400));
    for (uint32_t i = 0; i < 400; i++) {
        uint32_t k = 1 + i % TAKT_REPAIR_MAX;
        CHECK(make_block(&r, k, TAKT_REPAIR_MAX, 65530, 300));
        takt_repair_restart(decoder, SSRC);
        uint64_t repairs = 0;
        while ((uint32_t)__builtin_popcountll(repairs) < k)
            repairs |= 1ull << (k + takt_random_below(&r, TAKT_REPAIR_MAX));
        CHECK(arrives(&r, repairs));
    }
    close_both();
}

/* A block of a stream is whole whenever no more than m of its parts are lost, whatever became of
 * the others. What is only late is brought back, too, when enough came before it. */
static void stream_comes_back_across_blocks_and_the_wrap(void)
{
    enum { K = 8, M = 2 };
    struct takt_random r = takt_random_seed(5);
    CHECK(open_both(200));
    takt_repair_restart(decoder, SSRC);
    uint64_t found_before = 0;
    uint16_t seq = 60000;
    for (int i = 0; i < ROUNDS(2000); i++, seq = (uint16_t)(seq + K)) {
        CHECK(make_block(&r, K, M, seq, 80));
        uint64_t lost = 0;
        for (uint32_t part = 0; part < K + M; part++)
            lost |= takt_random_below(&r, 100) < 10 ? 1ull << part : 0;
        uint64_t lost_data = lost & ((1 << K) - 1);
        bool can_be_done = __builtin_popcountll(lost) <= M;
        CHECK(can_be_done ? arrives(&r, ~lost) : true);
        for (uint32_t part = 0; part < K + M && !can_be_done; part++)
            if (!(lost >> part & 1))
                CHECK_INT(take(part), 0);
        uint64_t found = takt_repair_counts(decoder).found;
        uint64_t least = can_be_done ? (uint64_t)__builtin_popcountll(lost_data) : 0;
        CHECK(found - found_before >= least && found - found_before <= (can_be_done ? M : 0));
        found_before = found;
    }
    CHECK(found_before > 0);
    CHECK_INT(takt_repair_counts(decoder).wrong, 0);
    CHECK_INT(takt_repair_counts(decoder).refused, 0);
    close_both();
}

/* A second one of anything changes nothing, nor does what comes when all is whole. */
static void copies_bring_back_nothing_more(void)
{
    struct takt_random r = takt_random_seed(6);
    CHECK(open_both(200));
    takt_repair_restart(decoder, SSRC);
    CHECK(make_block(&r, 4, 2, 9, 80));
    CHECK_INT(take(0), 0);
    CHECK_INT(take(0), 0);
    uint8_t other[ROOM];
    memcpy(other, block.bytes[0], block.size[0]);
    other[5] ^= 1; /* under the same number: the first one counts */
    CHECK_INT(takt_repair_take(decoder, other, block.size[0]), 0);
    CHECK_INT(take(2), 0);
    CHECK_INT(take(4), 0);
    CHECK_INT(take(4), 0);
    CHECK_INT(take(5), 2);
    uint64_t here = 1 | 4;
    CHECK(note_found(2, &here));
    CHECK_INT(take(1), 0);
    CHECK_INT(take(3), 0);
    CHECK_INT(take(4), 0);
    CHECK_INT(take(5), 0);
    CHECK_INT(takt_repair_found(decoder, 0, block.bytes[0], ROOM), TAKT_ERR_ARG);
    CHECK_INT(takt_repair_counts(decoder).found, 2);
    close_both();
}

static void found_packet_needs_its_room(void)
{
    struct takt_random r = takt_random_seed(7);
    CHECK(open_both(200));
    takt_repair_restart(decoder, SSRC);
    CHECK(make_block(&r, 1, 1, 9, 80));
    CHECK_INT(take(1), 1);
    uint8_t out[ROOM];
    CHECK_INT(takt_repair_found(decoder, 0, out, block.size[0] - 1), TAKT_ERR_FULL);
    CHECK_INT(takt_repair_found(decoder, 0, out, block.size[0]), block.size[0]);
    CHECK_INT(takt_repair_found(decoder, 1, out, sizeof out), TAKT_ERR_ARG);
    close_both();
}

/* ---- What is wrong --------------------------------------------------------------------------- */

static void damaged_or_cut_repair_packet_is_refused(void)
{
    struct takt_random r = takt_random_seed(8);
    struct takt_repair parsed;
    CHECK(open_both(200));
    CHECK(make_block(&r, 3, 2, 9, 60));
    uint8_t *whole = block.bytes[3];
    size_t bytes = block.size[3];
    CHECK_INT(takt_repair_parse(edge_put(whole, bytes), bytes, &parsed), 0);
    CHECK(parsed.data == 3 && parsed.repair == 2 && parsed.index == 0 && parsed.first_seq == 9);
    CHECK(parsed.ssrc == SSRC && parsed.symbol_bytes == bytes - TAKT_REPAIR_HEADER_BYTES);
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        uint8_t *in = edge_put(whole, bytes);
        in[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK_INT(takt_repair_parse(in, bytes, &parsed), TAKT_ERR_FORMAT);
    }
    for (size_t cut = 0; cut < bytes; cut++)
        CHECK_INT(takt_repair_parse(edge_put(whole, cut), cut, &parsed), TAKT_ERR_FORMAT);
    whole[bytes] = 0;
    CHECK_INT(takt_repair_parse(edge_put(whole, bytes + 1), bytes + 1, &parsed), TAKT_ERR_FORMAT);
    close_both();
}

/* The same with a check that fits: what the form has no room for is refused. */
static void sealed_repair_packet_keeps_to_the_limits(void)
{
    static const struct {
        int at, value;
    } wrong[] = {{0, 0},  {0, 2}, {1, 0},  {1, 33}, {2, 0},
                 {2, 13}, {3, 2}, {3, 12}, {12, 1}, {13, 0}};
    struct takt_random r = takt_random_seed(16);
    struct takt_repair parsed;
    CHECK(open_both(TAKT_REPAIR_PACKET_BYTES_MAX));
    CHECK(make_block(&r, 3, 2, 9, 60));
    size_t bytes = block.size[3];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t *in = edge_put(block.bytes[3], bytes);
        repair_seal(in, bytes);
        CHECK_INT(takt_repair_parse(in, bytes, &parsed), 0);
        in[wrong[i].at] = (uint8_t)wrong[i].value;
        repair_seal(in, bytes);
        CHECK_INT(takt_repair_parse(in, bytes, &parsed), TAKT_ERR_FORMAT);
    }
    static uint8_t large[ROOM + 1];
    memcpy(large, block.bytes[3], TAKT_REPAIR_HEADER_BYTES);
    for (size_t symbol = 10; symbol <= TAKT_REPAIR_PACKET_BYTES_MAX + 1; symbol++) {
        large[12] = (uint8_t)(symbol >> 8);
        large[13] = (uint8_t)symbol;
        size_t all = symbol + TAKT_REPAIR_HEADER_BYTES;
        repair_seal(large, all);
        bool is_right = symbol >= 12 && symbol <= TAKT_REPAIR_PACKET_BYTES_MAX;
        CHECK_INT(takt_repair_parse(edge_put(large, all), all, &parsed),
                  is_right ? 0 : TAKT_ERR_FORMAT);
    }
    close_both();
}

/* When any bit of it is wrong, or it is longer or shorter than it was, nothing comes of it. */
static void sealed_repair_packet_brings_back_nothing_wrong(void)
{
    struct takt_random r = takt_random_seed(17);
    CHECK(open_both(200));
    for (int i = 0; i < ROUNDS(400); i++) {
        CHECK(make_block(&r, 4, 2, 9, 60));
        uint8_t *repair = block.bytes[5];
        size_t bytes = block.size[5], longest = bytes;
        uint8_t keep[ROOM];
        memcpy(keep, repair, bytes);
        for (size_t bit = 0; bit < 8 * bytes + 30; bit++) {
            memcpy(repair, keep, bytes);
            block.size[5] = bytes;
            if (bit < 8 * bytes)
                repair[bit / 8] ^= (uint8_t)(1u << bit % 8);
            else {
                block.size[5] = bytes + 10 - (bit - 8 * bytes);
                repair[12] = (uint8_t)((block.size[5] - TAKT_REPAIR_HEADER_BYTES) >> 8);
                repair[13] = (uint8_t)(block.size[5] - TAKT_REPAIR_HEADER_BYTES);
                memset(repair + longest, 0, 10);
            }
            repair_seal(repair, block.size[5]);
            takt_repair_restart(decoder, SSRC);
            bool is_as_sent = block.size[5] == bytes && !memcmp(repair, keep, bytes);
            CHECK_INT(take(0) + take(2), 0);
            int found = take(5);
            CHECK(found <= 0);
            found = take(4);
            CHECK(is_as_sent ? found == 2 : found <= 0);
        }
    }
    close_both();
}

/* A packet with a wrong bit, as it may come where nothing checks it, spoils its block and no more;
 * the same with another packet in its place, longer or shorter. */
static void wrong_packet_brings_back_nothing_wrong(void)
{
    struct takt_random r = takt_random_seed(9);
    CHECK(open_both(400));
    for (int i = 0; i < ROUNDS(3000); i++) {
        CHECK(make_block(&r, 6, 3, 9, i % 2 ? 60 : 300));
        takt_repair_restart(decoder, SSRC);
        uint64_t wrong_before = takt_repair_counts(decoder).wrong;
        uint8_t other[ROOM];
        size_t bytes = block.size[0];
        memcpy(other, block.bytes[0], bytes);
        if (i % 3)
            other[i % 3 == 1 ? 4 + takt_random_below(&r, 4)
                             : 12 + takt_random_below(&r, bytes - 12 + !(bytes - 12))] ^= 1;
        else
            bytes = make_packet(&r, 9, 350, other);
        if (bytes == block.size[0] && !memcmp(other, block.bytes[0], bytes))
            continue;
        CHECK_INT(takt_repair_take(decoder, other, bytes), 0);
        CHECK_INT(take(1) + take(2) + take(3) + take(6), 0);
        CHECK_INT(take(7), 0);
        CHECK_INT(takt_repair_counts(decoder).wrong - wrong_before, 1);
        CHECK(make_block(&r, 4, 1, 15, 60));
        CHECK_INT(take(0) + take(1) + take(3), 0);
        CHECK_INT(take(4), 1);
    }
    close_both();
}

/* Two blocks under one number, as after a sender's restart: the second is refused while the first
 * is held, whatever differs. */
static void repair_packet_unlike_others_of_its_block_is_refused(void)
{
    struct takt_random r = takt_random_seed(10);
    CHECK(open_both(400));
    takt_repair_restart(decoder, SSRC);
    CHECK(make_block(&r, 6, 3, 9, 60));
    uint8_t first[ROOM];
    size_t first_bytes = block.size[6];
    memcpy(first, block.bytes[6], first_bytes);
    CHECK_INT(take(6), 0);
    takt_repair_encoder_destroy(encoder);
    CHECK_INT(takt_repair_encoder_create(400, &encoder), TAKT_OK);
    CHECK(make_block(&r, 5, 3, 9, 60));
    CHECK_INT(take(6), TAKT_ERR_FORMAT);
    CHECK_INT(takt_repair_counts(decoder).refused, 1);
    CHECK_INT(takt_repair_take_repair(decoder, first, first_bytes), 0);
    close_both();
}

static void what_is_not_of_the_source_is_not_taken(void)
{
    struct takt_random r = takt_random_seed(11);
    CHECK(open_both(400));
    takt_repair_restart(decoder, SSRC + 1);
    CHECK(make_block(&r, 3, 1, 9, 60));
    CHECK_INT(take(0), TAKT_ERR_STATE);
    CHECK_INT(take(3), TAKT_ERR_STATE);
    takt_repair_restart(decoder, SSRC);
    CHECK_INT(takt_repair_take(decoder, block.bytes[0], 11), TAKT_ERR_FORMAT);
    CHECK_INT(takt_repair_take(decoder, block.bytes[0], 401), TAKT_ERR_FORMAT);
    block.bytes[0][0] &= 0x7f;
    CHECK_INT(take(0), TAKT_ERR_FORMAT);
    takt_repair_decoder_destroy(decoder);
    CHECK_INT(takt_repair_decoder_create(40, &decoder), TAKT_OK);
    takt_repair_restart(decoder, SSRC);
    for (int i = 0; i < 20; i++) {
        CHECK(make_block(&r, 8, 1, 9, 300));
        CHECK(block.size[8] <= 56 || take(8) == TAKT_ERR_FORMAT);
    }
    close_both();
}

static void sender_refuses_what_is_no_next_packet(void)
{
    struct takt_random r = takt_random_seed(12);
    uint8_t p[ROOM], out[ROOM];
    CHECK(open_both(400));
    CHECK_INT(takt_repair_begin(encoder, TAKT_REPAIR_MAX + 1), TAKT_ERR_ARG);
    CHECK_INT(takt_repair_begin(encoder, 2), TAKT_OK);
    CHECK_INT(takt_repair_write(encoder, 0, out, sizeof out), TAKT_ERR_STATE);
    CHECK_INT(takt_repair_write(encoder, 2, out, sizeof out), TAKT_ERR_ARG);
    size_t bytes = make_packet(&r, 65535, 60, p);
    CHECK_INT(takt_repair_add(encoder, p, 11), TAKT_ERR_FORMAT);
    CHECK_INT(takt_repair_add(encoder, p, 401), TAKT_ERR_FORMAT);
    CHECK_INT(takt_repair_add(encoder, p, bytes), 1);
    CHECK_INT(takt_repair_add(encoder, p, bytes), TAKT_ERR_STATE);
    for (int i = 1; i < TAKT_REPAIR_DATA_MAX; i++) {
        bytes = make_packet(&r, (uint16_t)(i - 1), 60, p);
        p[8] ^= 1;
        CHECK_INT(takt_repair_add(encoder, p, bytes), TAKT_ERR_STATE);
        p[8] ^= 1;
        CHECK_INT(takt_repair_add(encoder, p, bytes), i + 1);
    }
    bytes = make_packet(&r, TAKT_REPAIR_DATA_MAX - 1, 60, p);
    CHECK_INT(takt_repair_add(encoder, p, bytes), TAKT_ERR_FULL);
    CHECK_INT(takt_repair_added(encoder), TAKT_REPAIR_DATA_MAX);
    int whole = takt_repair_write(encoder, 0, out, sizeof out);
    CHECK(whole > TAKT_REPAIR_HEADER_BYTES);
    CHECK_INT(takt_repair_write(encoder, 0, out, (size_t)whole - 1), TAKT_ERR_FULL);
    close_both();
}

/* ---- Time ------------------------------------------------------------------------------------ */

/* After a gap of any length, those included that look like going back, blocks are whole again. What
 * is numbered as the packets just before stays with those. */
static void stream_goes_on_after_any_jump(void)
{
    struct takt_random r = takt_random_seed(13);
    CHECK(open_both(100));
    for (int i = 0; i < ROUNDS(300); i++) {
        takt_repair_restart(decoder, SSRC);
        CHECK(make_block(&r, 32, 1, 1000, 20));
        for (uint32_t part = 0; part < 33; part++)
            take(part);
        uint16_t seq = (uint16_t)(1032 + takt_random_below(&r, 65536 - 400));
        for (int k = 0; k < 3; k++, seq = (uint16_t)(seq + 32)) {
            CHECK(make_block(&r, 32, 1, seq, 20));
            int found = 0;
            for (uint32_t part = 0; part < 33; part++)
                found += part == 7 ? 0 : take(part);
            CHECK(k < 2 || found == 1);
        }
    }
    close_both();
}

/* Blocks that never become whole are given up for newer ones; nothing grows. */
static void hopeless_blocks_make_room(void)
{
    struct takt_random r = takt_random_seed(14);
    CHECK(open_both(100));
    takt_repair_restart(decoder, SSRC);
    uint16_t seq = 0;
    for (int i = 0; i < 300; i++, seq = (uint16_t)(seq + 8)) {
        CHECK(make_block(&r, 8, 2, seq, 20));
        bool is_hopeless = i % 10 != 9;
        int found = 0;
        for (uint32_t part = is_hopeless ? 3 : 1; part < 10; part++)
            found += take(part);
        CHECK_INT(found, is_hopeless ? 0 : 1);
    }
    CHECK_INT(takt_repair_counts(decoder).found, 30);
    close_both();
}

/* Of more blocks than there is room for the oldest are given up, and are not taken up again in
 * place of newer ones. */
static void newest_blocks_are_kept(void)
{
    enum { ALL = 19, KEPT = 16 };
    static uint8_t last[ALL][ROOM];
    size_t bytes[ALL];
    struct takt_random r = takt_random_seed(18);
    CHECK(open_both(100));
    takt_repair_restart(decoder, SSRC);
    for (uint16_t i = 0; i < ALL; i++) {
        CHECK(make_block(&r, 4, 2, (uint16_t)(4 * i), 20));
        CHECK_INT(take(2) + take(3) + take(4), 0);
        bytes[i] = block.size[5];
        memcpy(last[i], block.bytes[5], bytes[i]);
    }
    for (int i = 0; i < ALL; i++)
        CHECK_INT(takt_repair_take_repair(decoder, last[i], bytes[i]), i < ALL - KEPT ? 0 : 2);
    close_both();
}

/* ---- The rest -------------------------------------------------------------------------------- */

static void create_gives_all_back_when_memory_fails(void)
{
    struct takt_repair_encoder *e;
    struct takt_repair_decoder *d;
    long held = fault_held();
    fault_at(1);
    CHECK_INT(takt_repair_encoder_create(1000, &e), TAKT_ERR_NOMEM);
    CHECK(!e);
    fault_at(1);
    CHECK_INT(takt_repair_decoder_create(1000, &d), TAKT_ERR_NOMEM);
    CHECK(!d);
    fault_at(0);
    CHECK_INT(fault_held(), held);
    static const size_t wrong[] = {0, 11, TAKT_REPAIR_PACKET_BYTES_MAX + 1};
    for (int i = 0; i < 3; i++) {
        CHECK_INT(takt_repair_encoder_create(wrong[i], &e), TAKT_ERR_ARG);
        CHECK_INT(takt_repair_decoder_create(wrong[i], &d), TAKT_ERR_ARG);
        CHECK(!e && !d);
    }
    takt_repair_encoder_destroy(NULL);
    takt_repair_decoder_destroy(NULL);
}

static void hostile_bytes_do_no_harm(void)
{
    struct takt_random r = takt_random_seed(15);
    CHECK(open_both(96));
    CHECK(make_block(&r, 3, 1, 9, 20));
    uint8_t story[256];
    for (size_t i = 0; i < sizeof story; i++)
        story[i] = (uint8_t)(i < 2 ? i + 3 : takt_random_below(&r, 4) ? i : takt_random_u64(&r));
    const struct hostile_seed seeds[] = {{block.bytes[3], block.size[3]}, {story, sizeof story}};
    hostile_cuts(block.bytes[3], block.size[3]);
    hostile_cuts(story, sizeof story);
    hostile_rounds(seeds, 2, 50000);
    close_both();
}

int main(void)
{
    RUN(field_has_a_one_and_inverses_and_no_order);
    RUN(field_multiplies_in_any_grouping);
    RUN(field_add_is_what_multiply_says);
    RUN(any_k_of_a_small_block_bring_back_all);
    RUN(any_k_of_a_large_block_bring_back_all);
    RUN(repair_packet_is_the_sum_that_is_described);
    RUN(repair_packets_alone_are_enough);
    RUN(stream_comes_back_across_blocks_and_the_wrap);
    RUN(copies_bring_back_nothing_more);
    RUN(found_packet_needs_its_room);
    RUN(damaged_or_cut_repair_packet_is_refused);
    RUN(sealed_repair_packet_keeps_to_the_limits);
    RUN(sealed_repair_packet_brings_back_nothing_wrong);
    RUN(wrong_packet_brings_back_nothing_wrong);
    RUN(repair_packet_unlike_others_of_its_block_is_refused);
    RUN(what_is_not_of_the_source_is_not_taken);
    RUN(sender_refuses_what_is_no_next_packet);
    RUN(stream_goes_on_after_any_jump);
    RUN(hopeless_blocks_make_room);
    RUN(newest_blocks_are_kept);
    RUN(create_gives_all_back_when_memory_fails);
    RUN(hostile_bytes_do_no_harm);
    return tap_done();
}

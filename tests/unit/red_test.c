/* Redundant audio: the RFC's example, limits, anything there and back. */
#include "hostile.h"
#include "takt/error.h"
#include "wire/red.h"

/* RFC 2198, section 7: an LPC copy (type 7, 14 bytes) before a DVI4 block (type 5), 20 ms apart. */
static const uint8_t example[] = {0x87, 0x02, 0x80, 0x0e, 0x05, 'l', 'p', 'c', 'l', 'p', 'c', 'l',
                                  'p',  'c',  'l',  'p',  'c',  'l', 'p', 'd', 'v', 'i', '4'};

static void example_of_the_rfc_reads_and_writes(void)
{
    struct takt_red_block b[2];
    uint8_t out[sizeof example];
    CHECK_INT(takt_red_parse(example, sizeof example, b, 2), 2);
    CHECK(b[0].payload_type == 7 && b[0].offset == 160 && b[0].bytes == 14);
    CHECK(b[1].payload_type == 5 && b[1].offset == 0 && b[1].bytes == 4);
    CHECK(!memcmp(b[1].data, "dvi4", 4) && !memcmp(b[0].data, "lpclpc", 6));
    CHECK_INT(takt_red_write(b, 2, out, sizeof out), sizeof example);
    CHECK(!memcmp(out, example, sizeof example));
}

static void blocks_come_back_as_they_were(void)
{
    struct takt_random r = takt_random_seed(1);
    static uint8_t bytes[4096], out[1 << 16];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)takt_random_u64(&r);
    for (int i = 0; i < 10000; i++) {
        struct takt_red_block in[TAKT_RED_BLOCKS_MAX], back[TAKT_RED_BLOCKS_MAX];
        size_t count = 1 + takt_random_below(&r, i % 100 ? 4 : TAKT_RED_BLOCKS_MAX);
        for (size_t k = 0; k < count; k++) {
            bool is_own = k == count - 1;
            in[k].payload_type = (uint8_t)takt_random_below(&r, 128);
            in[k].offset = (uint16_t)(is_own ? 0 : takt_random_below(&r, TAKT_RED_OFFSET_MAX + 1));
            in[k].bytes = takt_random_below(&r, is_own ? 2000 : TAKT_RED_BYTES_MAX + 1);
            in[k].data = bytes + takt_random_below(&r, 1000);
        }
        int n = takt_red_write(in, count, out, sizeof out);
        CHECK(n > 0);
        CHECK_INT(takt_red_parse(edge_put(out, (size_t)n), (size_t)n, back, count), count);
        for (size_t k = 0; k < count; k++) {
            CHECK(in[k].payload_type == back[k].payload_type && in[k].offset == back[k].offset);
            CHECK_INT(in[k].bytes, back[k].bytes);
            CHECK(!memcmp(in[k].data, back[k].data, in[k].bytes));
        }
    }
}

static void write_refuses_what_the_bits_cannot_say(void)
{
    uint8_t data[2048] = {0}, out[4096];
    struct takt_red_block b[2] = {{.data = data}, {.data = data, .bytes = 2048}};
    CHECK_INT(takt_red_write(b, 2, out, sizeof out), 4 + 1 + 2048);
    CHECK_INT(takt_red_write(b, 0, out, sizeof out), TAKT_ERR_ARG);
    CHECK_INT(takt_red_write(b, TAKT_RED_BLOCKS_MAX + 1, out, sizeof out), TAKT_ERR_ARG);
    b[0].offset = TAKT_RED_OFFSET_MAX + 1;
    CHECK_INT(takt_red_write(b, 2, out, sizeof out), TAKT_ERR_ARG);
    b[0].offset = TAKT_RED_OFFSET_MAX;
    b[0].bytes = TAKT_RED_BYTES_MAX + 1;
    CHECK_INT(takt_red_write(b, 2, out, sizeof out), TAKT_ERR_ARG);
    b[0].bytes = TAKT_RED_BYTES_MAX;
    CHECK_INT(takt_red_write(b, 2, out, sizeof out), 4 + 1 + 2048 + TAKT_RED_BYTES_MAX);
    b[1].payload_type = 128;
    CHECK_INT(takt_red_write(b, 2, out, sizeof out), TAKT_ERR_ARG);
    b[1].payload_type = 0;
    b[1].offset = 1;
    CHECK_INT(takt_red_write(b, 2, out, sizeof out), TAKT_ERR_ARG);
}

/* The copy is whole from byte 19 on; before, nothing of the packet is believed. */
static void parse_refuses_what_is_cut_off(void)
{
    struct takt_red_block b[2];
    for (size_t n = 0; n < 19; n++)
        CHECK_INT(takt_red_parse(edge_put(example, n), n, b, 2), TAKT_ERR_FORMAT);
    CHECK_INT(takt_red_parse(edge_put(example, 19), 19, b, 2), 2);
    CHECK_INT(b[1].bytes, 0);
    CHECK_INT(takt_red_parse(example, sizeof example, b, 1), TAKT_ERR_FULL);
}

static void hostile_bytes_do_no_harm(void)
{
    uint8_t many[33 * 4 + 1];
    memset(many, 0x80, sizeof many);
    many[33 * 4] = 5;
    for (size_t i = 0; i < 33; i++)
        memset(many + 4 * i + 1, 0, 3);
    const struct hostile_seed seeds[] = {{example, sizeof example}, {many, sizeof many}};
    hostile_cuts(example, sizeof example);
    hostile_cuts(many, sizeof many);
    hostile_rounds(seeds, 2, 200000);
}

int main(void)
{
    RUN(example_of_the_rfc_reads_and_writes);
    RUN(blocks_come_back_as_they_were);
    RUN(write_refuses_what_the_bits_cannot_say);
    RUN(parse_refuses_what_is_cut_off);
    RUN(hostile_bytes_do_no_harm);
    return tap_done();
}

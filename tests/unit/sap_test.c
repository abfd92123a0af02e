/* Announcements: there and back, with and without a type, and those that are not for us. */
#include "hostile.h"
#include "takt/error.h"
#include "wire/sap.h"

static const uint8_t announcement[] = "\x20\x00\x12\x34\xc0\x00\x02\x01"
                                      "application/sdp\0"
                                      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n";
static const uint8_t signed_one[] = "\x34\x02\x12\x34"
                                    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                    "SIGNSIGN"
                                    "v=0\r\n";
enum { ANNOUNCEMENT = sizeof announcement - 1, SIGNED = sizeof signed_one - 1 };

static void parse_takes_an_announcement_apart(void)
{
    struct takt_sap a;
    CHECK_INT(takt_sap_parse(announcement, ANNOUNCEMENT, &a), 0);
    CHECK(!a.is_delete && !a.is_ipv6 && a.hash == 0x1234 && a.auth_bytes == 0);
    CHECK(a.origin[0] == 192 && a.origin[3] == 1 && a.origin[4] == 0);
    CHECK(takt_sap_is_sdp(&a) && a.type_bytes == 15);
    CHECK(!memcmp(a.payload, "v=0\r\n", 5));
    CHECK_INT(a.payload_bytes, ANNOUNCEMENT - 24);
}

/* The type may be missing, and then it is SDP; the origin may be IPv6; signatures are skipped. */
static void parse_takes_a_signed_deletion_without_type(void)
{
    struct takt_sap a;
    CHECK_INT(takt_sap_parse(signed_one, SIGNED, &a), 0);
    CHECK(a.is_delete && a.is_ipv6 && a.origin[15] == 1);
    CHECK_INT(a.auth_bytes, 8);
    CHECK(!memcmp(a.auth, "SIGNSIGN", 8));
    CHECK(a.type == NULL && takt_sap_is_sdp(&a));
    CHECK_INT(a.payload_bytes, 5);
}

static void parse_says_what_it_cannot_do(void)
{
    uint8_t bytes[ANNOUNCEMENT];
    struct takt_sap a;
    for (unsigned flags = 1; flags < 4; flags++) {
        memcpy(bytes, announcement, sizeof bytes);
        bytes[0] |= (uint8_t)flags;
        CHECK_INT(takt_sap_parse(bytes, sizeof bytes, &a), TAKT_ERR_UNSUPPORTED);
    }
    bytes[0] = 0x40;
    CHECK_INT(takt_sap_parse(bytes, sizeof bytes, &a), TAKT_ERR_FORMAT);
    for (size_t n = 0; n < 24; n++)
        CHECK_INT(takt_sap_parse(edge_put(announcement, n), n, &a), TAKT_ERR_FORMAT);
    for (size_t n = 0; n < SIGNED - 2; n++)
        CHECK_INT(takt_sap_parse(edge_put(signed_one, n), n, &a), TAKT_ERR_FORMAT);
}

static void announcements_come_back_as_they_were(void)
{
    struct takt_random r = takt_random_seed(1);
    uint8_t bytes[1024], out[4096];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)takt_random_u64(&r);
    for (int i = 0; i < 20000; i++) {
        struct takt_sap a = {.is_delete = takt_random_below(&r, 2),
                             .is_ipv6 = takt_random_below(&r, 2),
                             .hash = (uint16_t)takt_random_u64(&r),
                             .auth = bytes,
                             .auth_bytes = 4 * takt_random_below(&r, 256),
                             .type = takt_random_below(&r, 2) ? "text/plain" : NULL,
                             .payload = bytes,
                             .payload_bytes = takt_random_below(&r, sizeof bytes)},
                        b;
        a.type_bytes = a.type ? 10 : 0;
        memcpy(a.origin, bytes + 7, a.is_ipv6 ? 16 : 4);
        int n = takt_sap_write(&a, out, sizeof out);
        CHECK(n > 0);
        CHECK_INT(takt_sap_parse(edge_put(out, (size_t)n), (size_t)n, &b), 0);
        CHECK(a.is_delete == b.is_delete && a.is_ipv6 == b.is_ipv6 && a.hash == b.hash);
        CHECK(!memcmp(a.origin, b.origin, sizeof a.origin));
        CHECK(a.auth_bytes == b.auth_bytes && !memcmp(a.auth, b.auth, a.auth_bytes));
        CHECK(takt_sap_is_sdp(&a) == takt_sap_is_sdp(&b));
        CHECK(a.payload_bytes == b.payload_bytes);
        CHECK(!memcmp(a.payload, b.payload, a.payload_bytes));
    }
}

static void write_refuses_what_would_read_otherwise(void)
{
    uint8_t out[2048], bytes[2048] = {0};
    struct takt_sap a = {.type = "v=0", .type_bytes = 3};
    CHECK_INT(takt_sap_write(&a, out, sizeof out), TAKT_ERR_ARG);
    a = (struct takt_sap){.type = "a\0b", .type_bytes = 3};
    CHECK_INT(takt_sap_write(&a, out, sizeof out), TAKT_ERR_ARG);
    a = (struct takt_sap){.auth = bytes, .auth_bytes = 1024};
    CHECK_INT(takt_sap_write(&a, out, sizeof out), TAKT_ERR_ARG);
    a.auth_bytes = 3;
    CHECK_INT(takt_sap_write(&a, out, sizeof out), TAKT_ERR_ARG);
    a.auth_bytes = 0;
    CHECK_INT(takt_sap_write(&a, out, 24), 24);
    CHECK_INT(takt_sap_write(&a, out, 23), TAKT_ERR_FULL);
}

static void hash_is_never_none(void)
{
    for (uint32_t i = 0; i < 300000; i++)
        CHECK(takt_sap_hash(&i, sizeof i) != 0);
    CHECK(takt_sap_hash("v=0\r\ns=a", 8) != takt_sap_hash("v=0\r\ns=b", 8));
}

static void hostile_bytes_do_no_harm(void)
{
    const struct hostile_seed seeds[] = {{announcement, ANNOUNCEMENT}, {signed_one, SIGNED}};
    hostile_cuts(announcement, ANNOUNCEMENT);
    hostile_cuts(signed_one, SIGNED);
    hostile_rounds(seeds, 2, 200000);
}

int main(void)
{
    RUN(parse_takes_an_announcement_apart);
    RUN(parse_takes_a_signed_deletion_without_type);
    RUN(parse_says_what_it_cannot_do);
    RUN(announcements_come_back_as_they_were);
    RUN(write_refuses_what_would_read_otherwise);
    RUN(hash_is_never_none);
    RUN(hostile_bytes_do_no_harm);
    return tap_done();
}

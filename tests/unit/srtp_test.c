/*
 * SRTP against the published vectors, and against everything that a network or a forger does.
 *
 * Packets: RFC 7714, 16 and 17 (GCM); RFC 3711, B.2 and B.3 (key stream, derivation); RFC 6188, 7.2
 * (the derivation with 256 bits); for AES-CM with HMAC, where the RFC has none, the packets that
 * libsrtp tests itself with.
 */
#include "base/random.h"
#include "fault.h"
#include "tap.h"
#include "wire/crypto.h"
#include "wire/srtp.h"

#ifdef TAKT_HAVE_OPENSSL

enum { ROOM = 2048, HEADER = 12, PAYLOAD = 288 };
static const enum takt_srtp_suite suites[] = {TAKT_SRTP_AES_256_GCM, TAKT_SRTP_AES_128_GCM,
                                              TAKT_SRTP_AES_128_SHA1_80, TAKT_SRTP_AES_128_SHA1_32};
#define EACH_SUITE(i) (size_t i = 0; i < sizeof suites / sizeof *suites; i++)

/* ---- Hands ----------------------------------------------------------------------------------- */

/* Returns the number of bytes. */
static size_t unhex(uint8_t *out, const char *text)
{
    size_t n = 0;
    unsigned byte;
    for (; sscanf(text, "%2x", &byte) == 1; text += 2)
        out[n++] = (uint8_t)byte;
    return n;
}

static bool is_hex(const uint8_t *bytes, size_t n, const char *text)
{
    static uint8_t want[ROOM];
    return unhex(want, text) == n && !memcmp(bytes, want, n);
}

static struct takt_srtp_key key_of(uint32_t mki)
{
    struct takt_srtp_key k = {.mki = mki};
    struct takt_random chance = takt_random_seed(mki + 1);
    for (size_t i = 0; i < sizeof k.key; i++)
        k.key[i] = (uint8_t)takt_random_u64(&chance);
    for (size_t i = 0; i < sizeof k.salt; i++)
        k.salt[i] = (uint8_t)takt_random_u64(&chance);
    return k;
}

static struct takt_srtp *make(struct takt_srtp_cfg cfg)
{
    struct takt_srtp *s;
    struct takt_error e;
    if (takt_srtp_create(&cfg, &s, &e) < 0)
        printf("# %s\n", e.text);
    return s;
}

static struct takt_srtp *make_keyed(enum takt_srtp_suite suite, bool sends, uint32_t mki_bytes)
{
    struct takt_srtp *s = make((struct takt_srtp_cfg){suite, sends, mki_bytes, 0, 0});
    struct takt_srtp_key k = key_of(1);
    takt_srtp_set_key(s, &k, NULL);
    return s;
}

/* A packet of a running sound, and what became of it. */
struct packet {
    uint8_t bytes[ROOM];
    int size;
    uint32_t roc;
};

/* A plain RTP packet whose payload tells its number. */
static size_t plain(uint8_t *out, uint32_t ssrc, uint64_t index, size_t payload)
{
    memset(out, 0, HEADER);
    out[0] = 0x80;
    out[1] = 96;
    for (int i = 0; i < 4; i++)
        out[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
    out[2] = (uint8_t)(index >> 8);
    out[3] = (uint8_t)index;
    for (size_t i = 0; i < payload; i++)
        out[HEADER + i] = (uint8_t)(index * 7 + i);
    return HEADER + payload;
}

static struct packet sent(struct takt_srtp *s, uint32_t ssrc, uint64_t index, size_t payload)
{
    struct packet p = {.roc = takt_srtp_roc(s, ssrc, (uint16_t)index)};
    size_t bytes = plain(p.bytes, ssrc, index, payload);
    p.size = takt_srtp_protect(s, p.bytes, bytes, sizeof p.bytes);
    return p;
}

/* The outcome; a packet that passed must be the very one that was sent. */
static int received(struct takt_srtp *s, struct packet p, const uint32_t *roc)
{
    static uint8_t want[ROOM];
    int bytes = takt_srtp_unprotect(s, p.bytes, (size_t)p.size, roc);
    if (bytes < 0)
        return bytes;
    uint32_t ssrc = (uint32_t)p.bytes[8] << 24 | (uint32_t)p.bytes[9] << 16 |
                    (uint32_t)p.bytes[10] << 8 | p.bytes[11];
    uint64_t seq = (uint64_t)p.bytes[2] << 8 | p.bytes[3];
    size_t plain_bytes = plain(want, ssrc, seq, (size_t)bytes - HEADER);
    for (size_t i = HEADER; i < plain_bytes; i++) /* the payload knows only the index's low byte */
        if (want[i] != p.bytes[i])
            return -100;
    return bytes;
}

/* ---- Vectors --------------------------------------------------------------------------------- */

static const char quid_pro_quo[] = "517569642070726f2071756f";
static const char key_128[] = "000102030405060708090a0b0c0d0e0f";
static const char key_256[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/* Both ends of the session keys that RFC 7714 gives, without a derivation. */
static struct takt_srtp *make_session(enum takt_srtp_suite suite, bool sends, uint32_t rtcp_index)
{
    struct takt_srtp *s = make((struct takt_srtp_cfg){suite, sends, 0, 0, rtcp_index});
    struct takt_srtp_session keys = {0};
    for (int i = 0; i < 2; i++) {
        unhex(keys.key[i], suite == TAKT_SRTP_AES_256_GCM ? key_256 : key_128);
        unhex(keys.salt[i], quid_pro_quo);
    }
    takt_srtp_set_session(s, 0, &keys, NULL);
    return s;
}

static void rfc7714_rtp_packets_are_made_and_read(void)
{
    static const char rtp[] = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e6973206469766973"
                              "6120696e207061727465732074726573";
    static const struct {
        enum takt_srtp_suite suite;
        const char *want;
    } cases[] = {
        {TAKT_SRTP_AES_128_GCM,
         "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d"
         "294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce"},
        {TAKT_SRTP_AES_256_GCM,
         "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a"
         "58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13"},
    };
    for (size_t i = 0; i < 2; i++) {
        uint8_t p[ROOM];
        struct takt_srtp *to = make_session(cases[i].suite, true, 0);
        struct takt_srtp *from = make_session(cases[i].suite, false, 0);
        int bytes = takt_srtp_protect(to, p, unhex(p, rtp), sizeof p);
        CHECK(bytes > 0 && is_hex(p, (size_t)bytes, cases[i].want));
        bytes = takt_srtp_unprotect(from, p, (size_t)bytes, NULL);
        CHECK(bytes > 0 && is_hex(p, (size_t)bytes, rtp));
        takt_srtp_destroy(to);
        takt_srtp_destroy(from);
    }
}

static void rfc7714_rtcp_packets_are_made_and_read(void)
{
    static const char rtcp[] = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"
                               "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    static const struct {
        enum takt_srtp_suite suite;
        const char *sealed, *signed_tag;
    } cases[] = {
        {TAKT_SRTP_AES_128_GCM,
         "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b468"
         "6"
         "303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
         "841dd9683dd78ec92ae58790125f62b3000005d4"},
        {TAKT_SRTP_AES_256_GCM,
         "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c"
         "6"
         "1de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
         "91db4afbfeee5a978fab4393ed2615fe000005d4"},
    };
    for (size_t i = 0; i < 2; i++) {
        uint8_t p[ROOM];
        struct takt_srtp *to = make_session(cases[i].suite, true, 0x5d4);
        struct takt_srtp *from = make_session(cases[i].suite, false, 0);
        int bytes = takt_srtcp_protect(to, p, unhex(p, rtcp), sizeof p);
        CHECK(bytes > 0 && is_hex(p, (size_t)bytes, cases[i].sealed));
        bytes = takt_srtcp_unprotect(from, p, (size_t)bytes);
        CHECK(bytes > 0 && is_hex(p, (size_t)bytes, rtcp));
        takt_srtp_destroy(from);

        /* Signed and not encrypted: section 17.3 and 17.4. */
        from = make_session(cases[i].suite, false, 0);
        size_t n = unhex(p, rtcp);
        n += unhex(p + n, cases[i].signed_tag);
        bytes = takt_srtcp_unprotect(from, p, n);
        CHECK(bytes > 0 && is_hex(p, (size_t)bytes, rtcp));
        takt_srtp_destroy(to);
        takt_srtp_destroy(from);
    }
}

static void rfc3711_b2_the_key_stream_is_aes_cm(void)
{
    enum { BYTES = 1044512 };
    struct takt_srtp *s = make((struct takt_srtp_cfg){TAKT_SRTP_AES_128_SHA1_80, true, 0, 0, 0});
    struct takt_srtp_session keys = {0};
    unhex(keys.key[0], "2B7E151628AED2A6ABF7158809CF4F3C");
    unhex(keys.salt[0], "F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
    takt_srtp_set_session(s, 0, &keys, NULL);
    uint8_t *p = calloc(1, HEADER + BYTES + 10);
    p[0] = 0x80; /* number, SSRC and payload are 0 */
    CHECK_INT(takt_srtp_protect(s, p, HEADER + BYTES, HEADER + BYTES + 10), HEADER + BYTES + 10);
    CHECK(is_hex(p + HEADER, 48,
                 "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB"
                 "41E95B3BB0A2E8DD477901E4FCA894C0"));
    CHECK(is_hex(p + HEADER + BYTES - 48, 48,
                 "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE"
                 "6A2CC3787889374FBEB4C81B17BA6C44"));
    free(p);
    takt_srtp_destroy(s);
}

static void rfc3711_b3_keys_are_derived(void)
{
    struct takt_srtp_key k = {0};
    struct takt_srtp_session got;
    unhex(k.key, "E1F97A0D3E018BE0D64FA32C06DE4139");
    unhex(k.salt, "0EC675AD498AFEEBB6960B3AABE6");
    CHECK_INT(takt_srtp_derive(TAKT_SRTP_AES_128_SHA1_80, &k, &got, NULL), 0);
    CHECK(is_hex(got.key[0], 16, "C61E7A93744F39EE10734AFE3FF7A087"));
    CHECK(is_hex(got.salt[0], 14, "30CBBC08863D8C85D49DB34A9AE1"));
    CHECK(is_hex(got.auth[0], 20, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

/* No suite here has 256 bits and a salt of 14 bytes, so the RFC's case goes to the counter itself.
 */
static void rfc6188_the_derivation_takes_256_bits(void)
{
    struct takt_cipher *prf;
    uint8_t key[32], counter[16] = {0}, out[32] = {0};
    CHECK_INT(takt_cipher_create(TAKT_AES_CTR, 32, true, &prf, NULL), 0);
    unhex(key, "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6");
    unhex(counter, "3b04803de51ee7c96423ab5b78d2");
    CHECK(takt_cipher_key(prf, key) && takt_cipher_ctr(prf, counter, out, sizeof out));
    CHECK(is_hex(out, 32, "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"));
    takt_cipher_destroy(prf);
}

static void libsrtp_packets_are_made_and_read(void)
{
    static const char rtp[] = "800f1234decafbadcafebabeabababababababababababababababab";
    static const char rtcp[] = "81c8000bcafebabeabababababababababababababababab";
    static const struct {
        enum takt_srtp_suite suite;
        const char *key, *salt, *rtp, *rtcp;
    } cases[] = {
        {TAKT_SRTP_AES_128_SHA1_80, "e1f97a0d3e018be0d64fa32c06de4139",
         "0ec675ad498afeebb6960b3aabe6",
         "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
         "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798"},
        {TAKT_SRTP_AES_128_SHA1_32, "e1f97a0d3e018be0d64fa32c06de4139",
         "0ec675ad498afeebb6960b3aabe6",
         "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc",
         "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798"},
        {TAKT_SRTP_AES_128_GCM, key_128, "a0a1a2a3a4a5a6a7a8a9aaab",
         "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392",
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t p[ROOM];
        struct takt_srtp_key k = {0};
        unhex(k.key, cases[i].key);
        unhex(k.salt, cases[i].salt);
        struct takt_srtp *to = make((struct takt_srtp_cfg){cases[i].suite, true, 0, 0, 1});
        struct takt_srtp *from = make((struct takt_srtp_cfg){cases[i].suite, false, 0, 0, 0});
        CHECK(!takt_srtp_set_key(to, &k, NULL) && !takt_srtp_set_key(from, &k, NULL));
        int bytes = takt_srtp_protect(to, p, unhex(p, rtp), sizeof p);
        CHECK(bytes > 0 && is_hex(p, (size_t)bytes, cases[i].rtp));
        bytes = takt_srtp_unprotect(from, p, (size_t)bytes, NULL);
        CHECK(bytes > 0 && is_hex(p, (size_t)bytes, rtp));
        if (cases[i].rtcp) {
            bytes = takt_srtcp_protect(to, p, unhex(p, rtcp), sizeof p);
            CHECK(bytes > 0 && is_hex(p, (size_t)bytes, cases[i].rtcp));
            bytes = takt_srtcp_unprotect(from, p, (size_t)bytes);
            CHECK(bytes > 0 && is_hex(p, (size_t)bytes, rtcp));
        }
        takt_srtp_destroy(to);
        takt_srtp_destroy(from);
    }
}

/* ---- Any packet ------------------------------------------------------------------------------ */

static void packets_of_any_size_come_back(void)
{
    for
        EACH_SUITE(i)
    for (uint32_t mki_bytes = 0; mki_bytes <= 4; mki_bytes++) {
        struct takt_srtp *to = make_keyed(suites[i], true, mki_bytes);
        struct takt_srtp *from = make_keyed(suites[i], false, mki_bytes);
        for (size_t payload = 0; payload < 1500; payload += payload < 70 ? 1 : 37) {
            struct packet p = sent(to, 5, payload, payload);
            CHECK_INT(p.size, HEADER + payload + takt_srtp_added(to));
            CHECK_INT(received(from, p, NULL), HEADER + payload);
        }
        takt_srtp_destroy(to);
        takt_srtp_destroy(from);
    }
}

/* Contributors and an extension stay in the clear, and nothing else does. */
static void headers_of_any_form_stay_in_the_clear(void)
{
    for
        EACH_SUITE(i)
    for (int form = 0; form < 32; form++) {
        struct takt_srtp *to = make_keyed(suites[i], true, 4);
        struct takt_srtp *from = make_keyed(suites[i], false, 4);
        uint8_t p[ROOM], was[ROOM];
        size_t header = plain(p, 9, 3, 400) - 400 + 4 * (size_t)(form & 15);
        p[0] |= (uint8_t)form;
        if (form & 16) {
            p[header + 2] = 0;
            p[header + 3] = 4;
            header += 4 + 16;
        }
        memcpy(was, p, sizeof was);
        int bytes = takt_srtp_protect(to, p, 412, sizeof p);
        CHECK_INT(bytes, 412 + takt_srtp_added(to));
        CHECK(!memcmp(p, was, header));
        CHECK(memcmp(p + header, was + header, 16) != 0);
        CHECK_INT(takt_srtp_unprotect(from, p, (size_t)bytes, NULL), 412);
        CHECK(!memcmp(p, was, 412));
        takt_srtp_destroy(to);
        takt_srtp_destroy(from);
    }
}

/* Whichever bit falls over, the packet is refused, and the next good one passes all the same. */
static void every_flipped_bit_is_refused(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 4);
            struct takt_srtp *from = make_keyed(suites[i], false, 4);
            struct packet p = sent(to, 5, 1, 40);
            for (int bit = 0; bit < p.size * 8; bit++) {
                struct packet bad = p;
                bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                CHECK(received(from, bad, bit % 2 ? &p.roc : NULL) < 0);
            }
            CHECK_INT(received(from, p, NULL), HEADER + 40);
            takt_srtp_destroy(to);
            takt_srtp_destroy(from);
        }
}

static void every_flipped_bit_of_rtcp_is_refused(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 4);
            struct takt_srtp *from = make_keyed(suites[i], false, 4);
            uint8_t p[ROOM] = {0x80, 200, 0, 6, 1, 2, 3, 4}, bad[ROOM];
            int size = takt_srtcp_protect(to, p, 28, sizeof p);
            CHECK_INT(size, 28 + takt_srtcp_added(to));
            for (int bit = 0; bit < size * 8; bit++) {
                memcpy(bad, p, sizeof bad);
                bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
                CHECK(takt_srtcp_unprotect(from, bad, (size_t)size) < 0);
            }
            for (int n = 0; n < size; n++) {
                memcpy(bad, p, sizeof bad);
                CHECK(takt_srtcp_unprotect(from, bad, (size_t)n) < 0);
            }
            CHECK_INT(takt_srtcp_unprotect(from, memcpy(bad, p, sizeof bad), (size_t)size), 28);
            CHECK_INT(takt_srtcp_unprotect(from, memcpy(bad, p, sizeof bad), (size_t)size),
                      TAKT_ERR_STATE);
            takt_srtp_destroy(to);
            takt_srtp_destroy(from);
        }
}

/* Each in a block of its own size, so that a sanitizer sees a read beyond it. */
static void packets_cut_off_anywhere_are_refused(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 2);
            struct takt_srtp *from = make_keyed(suites[i], false, 2);
            struct packet p = sent(to, 5, 1, 40);
            for (int n = 0; n < p.size; n++) {
                uint8_t *cut = malloc((size_t)n + 1);
                memcpy(cut, p.bytes, (size_t)n);
                CHECK(takt_srtp_unprotect(from, cut, (size_t)n, NULL) < 0);
                free(cut);
            }
            CHECK_INT(received(from, p, NULL), HEADER + 40);
            takt_srtp_destroy(to);
            takt_srtp_destroy(from);
        }
}

static void random_bytes_are_refused(void)
{
    struct takt_random chance = takt_random_seed(1);
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *from = make_keyed(suites[i], false, 0);
            struct takt_srtp_counts counts;
            int rounds = ROUNDS(20000);
            for (int n = 0; n < rounds; n++) {
                size_t bytes = takt_random_below(&chance, 120);
                uint8_t *p = malloc(bytes + 1);
                for (size_t at = 0; at < bytes; at++)
                    p[at] = (uint8_t)takt_random_u64(&chance);
                if (n % 2 && bytes)
                    p[0] = (uint8_t)(0x80 | (p[0] & 0x11));
                uint32_t roc = (uint32_t)takt_random_u64(&chance);
                CHECK(takt_srtp_unprotect(from, p, bytes, n % 3 ? &roc : NULL) < 0);
                CHECK(takt_srtcp_unprotect(from, p, bytes) < 0);
                free(p);
            }
            takt_srtp_read_counts(from, &counts);
            CHECK(counts.malformed > 0 && counts.forged > 0 && !counts.passed);
            CHECK_INT(counts.malformed + counts.forged, 2 * rounds);
            takt_srtp_destroy(from);
        }
}

static void a_packet_without_room_or_form_is_not_protected(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 4);
            uint8_t p[ROOM];
            size_t bytes = plain(p, 1, 1, 20), most = bytes + takt_srtp_added(to);
            CHECK_INT(takt_srtp_protect(to, p, bytes, most - 1), TAKT_ERR_FULL);
            CHECK_INT(takt_srtp_protect(to, p, 11, sizeof p), TAKT_ERR_FORMAT);
            p[0] = 0x40;
            CHECK_INT(takt_srtp_protect(to, p, bytes, sizeof p), TAKT_ERR_FORMAT);
            p[0] = 0x80;
            CHECK_INT(takt_srtp_protect(to, p, bytes, most), most);
            CHECK_INT(takt_srtcp_protect(to, p, 7, sizeof p), TAKT_ERR_FORMAT);
            CHECK_INT(takt_srtcp_protect(to, p, 8, 8 + takt_srtcp_added(to) - 1), TAKT_ERR_FULL);
            takt_srtp_destroy(to);
        }
}

/* ---- The window ------------------------------------------------------------------------------ */

enum { NEWEST = 3000 };

static struct packet *send_run(struct takt_srtp *to, int count)
{
    struct packet *all = malloc((size_t)count * sizeof *all);
    for (int i = 0; i < count; i++)
        all[i] = sent(to, 5, (uint64_t)i, 4);
    return all;
}

/* One that was taken is refused at each place of the window, and before it all are. */
static void replays_are_refused_at_every_place(void)
{
    struct takt_srtp *to = make_keyed(TAKT_SRTP_AES_128_GCM, true, 0);
    struct takt_srtp *from = make_keyed(TAKT_SRTP_AES_128_GCM, false, 0);
    struct packet *all = send_run(to, NEWEST + 1);
    for (int i = 0; i <= NEWEST; i++)
        CHECK(received(from, all[i], NULL) > 0);
    for (int i = NEWEST; i >= 0; i--)
        CHECK_INT(received(from, all[i], i % 2 ? &all[i].roc : NULL), TAKT_ERR_STATE);
    CHECK(received(from, sent(to, 5, NEWEST + 1, 4), NULL) > 0);
    free(all);
    takt_srtp_destroy(to);
    takt_srtp_destroy(from);
}

/* Within the window any that was not taken passes, once; the one just before it does not. */
static void reordering_within_the_window_passes(void)
{
    struct takt_srtp *to = make_keyed(TAKT_SRTP_AES_128_GCM, true, 0);
    struct packet *all = send_run(to, NEWEST + 1);
    for (int back = TAKT_SRTP_WINDOW - 2; back <= TAKT_SRTP_WINDOW + 1; back++) {
        struct takt_srtp *from = make_keyed(TAKT_SRTP_AES_128_GCM, false, 0);
        CHECK(received(from, all[NEWEST], NULL) > 0);
        int got = received(from, all[NEWEST - back], NULL);
        CHECK_INT(got, back < TAKT_SRTP_WINDOW ? HEADER + 4 : TAKT_ERR_STATE);
        takt_srtp_destroy(from);
    }
    struct takt_srtp *from = make_keyed(TAKT_SRTP_AES_128_GCM, false, 0);
    struct takt_random chance = takt_random_seed(2);
    static bool taken[NEWEST + 1];
    int newest = -1;
    for (int n = 0; n < ROUNDS(40000); n++) {
        int at = n / 16 + (int)takt_random_below(&chance, 600);
        at = at < NEWEST ? at : NEWEST;
        bool fresh = !taken[at] && newest - at < TAKT_SRTP_WINDOW;
        CHECK_INT(received(from, all[at], NULL), fresh ? HEADER + 4 : TAKT_ERR_STATE);
        taken[at] = true;
        newest = at > newest ? at : newest;
    }
    free(all);
    takt_srtp_destroy(to);
    takt_srtp_destroy(from);
}

/* One index, one packet: else two would share a key stream. */
static void a_sender_uses_no_index_twice(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 0);
            for (uint64_t at = 0; at < 2000; at++)
                CHECK(sent(to, 5, at, 4).size > 0);
            for (uint64_t at = 0; at < 2000; at++)
                CHECK_INT(sent(to, 5, at, 4).size, TAKT_ERR_STATE);
            CHECK(sent(to, 6, 3, 4).size > 0); /* another source has indices of its own */
            takt_srtp_destroy(to);
        }
}

static void sources_are_known_one_by_one_up_to_their_number(void)
{
    struct takt_srtp *to = make((struct takt_srtp_cfg){.sends = true, .sources = 3});
    struct takt_srtp *from = make((struct takt_srtp_cfg){.sources = 2});
    struct takt_srtp_key k = key_of(1);
    struct takt_srtp_counts counts;
    takt_srtp_set_key(to, &k, NULL);
    takt_srtp_set_key(from, &k, NULL);
    struct packet forged = sent(to, 1, 0, 4), a = sent(to, 2, 0, 4), b = sent(to, 3, 0, 4);
    CHECK_INT(sent(to, 4, 0, 4).size, TAKT_ERR_FULL);
    forged.bytes[20] ^= 1;
    CHECK_INT(received(from, forged, NULL), TAKT_ERR_FORMAT); /* takes no place */
    CHECK(received(from, a, NULL) > 0 && received(from, b, NULL) > 0);
    forged.bytes[20] ^= 1;
    CHECK_INT(received(from, forged, NULL), TAKT_ERR_FULL);
    takt_srtp_read_counts(from, &counts);
    CHECK(counts.crowded == 1 && counts.forged == 1 && counts.passed == 2);
    takt_srtp_destroy(to);
    takt_srtp_destroy(from);
}

/* ---- The rollover counter -------------------------------------------------------------------- */

static void numbers_wrap_without_a_gap(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 0);
            struct takt_srtp *from = make_keyed(suites[i], false, 0);
            struct packet late = {0};
            for (uint64_t at = 65000; at < 3 * 65536 + 100; at += 1 + at % 3) {
                struct packet p = sent(to, 5, at, 4);
                CHECK_INT(p.roc, at >> 16);
                if (late.size)
                    CHECK(received(from, late, NULL) > 0); /* overtaken, be it over the wrap */
                late = (struct packet){0};
                if (at % 5 == 0)
                    late = p;
                else
                    CHECK(received(from, p, at % 2 ? &p.roc : NULL) > 0);
            }
            takt_srtp_destroy(to);
            takt_srtp_destroy(from);
        }
}

/* Packets [from, to) of a sender are made and lost. */
static void skip(struct takt_srtp *s, uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at += 16384)
        sent(s, 5, at, 0);
    sent(s, 5, to - 1, 0);
}

static void a_late_joiner_plays_at_once_with_the_note(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 4);
            struct takt_srtp *from = make_keyed(suites[i], false, 4);
            skip(to, 0, 9 * 65536 + 5000);
            for (uint64_t at = 9 * 65536 + 5000; at < 9 * 65536 + 5100; at++) {
                struct packet p = sent(to, 5, at, 40);
                CHECK_INT(p.roc, 9);
                CHECK(received(from, p, &p.roc) > 0);
            }
            takt_srtp_destroy(to);
            takt_srtp_destroy(from);
        }
}

static void one_cut_off_for_100000_packets_plays_at_once_with_the_note(void)
{
    static const uint64_t gaps[] = {32767, 32768, 40000, 65535, 65536, 65537, 100000, 1000000};
    for
        EACH_SUITE(i)
    for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) {
        struct takt_srtp *to = make_keyed(suites[i], true, 4);
        struct takt_srtp *from = make_keyed(suites[i], false, 4);
        uint64_t at = 200;
        CHECK(received(from, sent(to, 5, 199, 40), NULL) > 0);
        skip(to, at, at + gaps[g]);
        at += gaps[g];
        struct packet p = sent(to, 5, at, 40);
        CHECK(received(from, p, &p.roc) > 0);
        CHECK(received(from, sent(to, 5, at + 1, 40), NULL) > 0);
        takt_srtp_destroy(to);
        takt_srtp_destroy(from);
    }
}

/* How many packets are refused before one passes; -1: more than most. */
static int refused_before(struct takt_srtp *to, struct takt_srtp *from, uint64_t at, int most)
{
    for (int n = 0; n <= most; n++)
        if (received(from, sent(to, 5, at + (uint64_t)n, 4), NULL) > 0)
            return n;
    return -1;
}

static void without_the_note_the_counter_is_found(void)
{
    for
        EACH_SUITE(i)
        {
            for (uint64_t wraps = 1; wraps <= 256; wraps = wraps * 3 + 1) { /* joined late */
                struct takt_srtp *to = make_keyed(suites[i], true, 0);
                struct takt_srtp *from = make_keyed(suites[i], false, 0);
                skip(to, 0, wraps * 65536 + 500);
                int refused = refused_before(to, from, wraps * 65536 + 500, 5000);
                CHECK(refused > 0 && refused <= 32 + 16 * (int)wraps);
                CHECK_INT(refused_before(to, from, wraps * 65536 + 6000, 10), 0);
                takt_srtp_destroy(to);
                takt_srtp_destroy(from);
            }
            static const uint64_t gaps[] = {33000, 40000, 65000, 66000, 100000, 150000};
            for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) { /* cut off */
                struct takt_srtp *to = make_keyed(suites[i], true, 0);
                struct takt_srtp *from = make_keyed(suites[i], false, 0);
                CHECK(received(from, sent(to, 5, 199, 4), NULL) > 0);
                skip(to, 200, 200 + gaps[g]);
                int refused = refused_before(to, from, 200 + gaps[g], 5000);
                CHECK(refused >= 0 && refused <= 32 + 16 * 3);
                takt_srtp_destroy(to);
                takt_srtp_destroy(from);
            }
        }
}

/* The state is what it was: what passed before is still refused, what comes next still passes. */
static void a_forged_note_disturbs_nothing(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 4);
            struct takt_srtp *from = make_keyed(suites[i], false, 4);
            struct takt_random chance = takt_random_seed(3);
            for (uint64_t at = 0; at < 500; at++) {
                struct packet p = sent(to, 5, at, 20);
                for (int n = 0; n < 4; n++) {
                    uint32_t roc = n ? (uint32_t)takt_random_u64(&chance) | 1 : UINT32_MAX;
                    CHECK(received(from, p, &roc) < 0);
                }
                CHECK(received(from, p, NULL) > 0);
                CHECK_INT(received(from, p, &p.roc), TAKT_ERR_STATE);
            }
            takt_srtp_destroy(to);
            takt_srtp_destroy(from);
        }
}

static void a_flood_of_forgeries_brings_one_trial_in_sixteen(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 0);
            struct takt_srtp *from = make_keyed(suites[i], false, 0);
            struct takt_srtp_counts counts;
            struct packet bad = sent(to, 5, 1000, 20);
            bad.bytes[30] ^= 1;
            CHECK(received(from, sent(to, 5, 1001, 20), NULL) > 0);
            enum { FORGED = 32000 };
            for (int n = 0; n < FORGED; n++) {
                bad.bytes[3] = (uint8_t)n;
                CHECK(received(from, bad, NULL) < 0);
            }
            takt_srtp_read_counts(from, &counts);
            CHECK(counts.searched > 0 && counts.searched <= FORGED / 16);
            CHECK(received(from, sent(to, 5, 1002, 20), NULL) > 0);

            /* While packets pass in between there is no search at all. */
            uint64_t before = counts.searched;
            for (uint64_t n = 0; n < 3000; n++)
                if (n % 30)
                    CHECK(received(from, bad, NULL) < 0);
                else
                    CHECK(received(from, sent(to, 5, 1003 + n, 20), NULL) > 0);
            takt_srtp_read_counts(from, &counts);
            CHECK_INT(counts.searched, before);
            takt_srtp_destroy(to);
            takt_srtp_destroy(from);
        }
}

static void a_note_comes_back(void)
{
    uint8_t bytes[TAKT_SRTP_NOTE_BYTES];
    struct takt_srtp_note n = {0x01020304, 0xf1f2f3f4f5f6f7f8u}, got;
    takt_srtp_note_put(&n, bytes);
    CHECK(is_hex(bytes, sizeof bytes, "01020304f1f2f3f4f5f6f7f8"));
    CHECK(takt_srtp_note_get(bytes, sizeof bytes, &got) && got.roc == n.roc &&
          got.start == n.start);
    CHECK(!takt_srtp_note_get(bytes, sizeof bytes - 1, &got));
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* Epochs change every 50 packets, and some arrive an epoch late: all pass. */
static void keys_rotate_without_a_gap(void)
{
    for
        EACH_SUITE(i)
    for (uint32_t mki_bytes = 1; mki_bytes <= 4; mki_bytes++) {
        struct takt_srtp *to = make_keyed(suites[i], true, mki_bytes);
        struct takt_srtp *from = make_keyed(suites[i], false, mki_bytes);
        struct packet late = {0};
        uint64_t at = 0;
        for (uint32_t epoch = 1; epoch < 600; epoch++) {
            struct takt_srtp_key next = key_of(epoch + 1);
            CHECK(!takt_srtp_set_key(to, &next, NULL) && !takt_srtp_set_key(from, &next, NULL));
            for (int n = 0; n < 20; n++, at++)
                CHECK(received(from, sent(to, 5, at, 20), NULL) > 0);
            if (late.size)
                CHECK(received(from, late, NULL) > 0);
            late = sent(to, 5, at++, 20);
            CHECK_INT(takt_srtp_use(to, epoch + 1), 0);
        }
        takt_srtp_destroy(to);
        takt_srtp_destroy(from);
    }
}

static void a_key_that_is_gone_or_not_there_yet_is_told(void)
{
    struct takt_srtp *to = make((struct takt_srtp_cfg){.sends = true, .mki_bytes = 4});
    struct takt_srtp *from = make_keyed(TAKT_SRTP_AES_256_GCM, false, 4);
    struct takt_srtp_key k = key_of(2);
    CHECK_INT(sent(to, 5, 0, 20).size, TAKT_ERR_STATE);
    CHECK_INT(takt_srtp_use(to, 2), TAKT_ERR_NOT_FOUND);
    takt_srtp_set_key(to, &k, NULL);
    struct packet p = sent(to, 5, 0, 20);
    CHECK_INT(received(from, p, NULL), TAKT_ERR_NOT_FOUND);
    takt_srtp_set_key(from, &k, NULL);
    CHECK(received(from, p, NULL) > 0);
    for (uint32_t epoch = 3; epoch < 6; epoch++) { /* three more: the second one goes */
        k = key_of(epoch);
        takt_srtp_set_key(from, &k, NULL);
    }
    CHECK_INT(received(from, sent(to, 5, 1, 20), NULL), TAKT_ERR_NOT_FOUND);
    takt_srtp_destroy(to);
    takt_srtp_destroy(from);
}

/* However many come after it, the key that is being sent with stays. */
static void the_key_in_use_is_never_replaced(void)
{
    struct takt_srtp *to = make_keyed(TAKT_SRTP_AES_256_GCM, true, 4);
    struct takt_srtp *from = make_keyed(TAKT_SRTP_AES_256_GCM, false, 4);
    for (uint32_t epoch = 2; epoch < 9; epoch++) {
        struct takt_srtp_key k = key_of(epoch);
        takt_srtp_set_key(to, &k, NULL);
        CHECK(received(from, sent(to, 5, epoch, 20), NULL) > 0);
    }
    takt_srtp_destroy(to);
    takt_srtp_destroy(from);
}

static void another_key_reads_nothing(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 0);
            struct takt_srtp *from = make((struct takt_srtp_cfg){.suite = suites[i]});
            struct takt_srtp_key k = key_of(1);
            k.key[15] ^= 1;
            takt_srtp_set_key(from, &k, NULL);
            for (uint64_t at = 0; at < 2000; at++)
                CHECK_INT(received(from, sent(to, 5, at, 20), NULL), TAKT_ERR_FORMAT);
            takt_srtp_destroy(to);
            takt_srtp_destroy(from);
        }
}

static void rtcp_indices_end_before_they_repeat(void)
{
    uint8_t p[64] = {0x80, 200, 0, 1, 0, 0, 0, 1};
    struct takt_srtp *to = make((struct takt_srtp_cfg){.sends = true, .rtcp_index = 0x7fffffff});
    struct takt_srtp_key k = key_of(1);
    takt_srtp_set_key(to, &k, NULL);
    CHECK(takt_srtcp_protect(to, p, 8, sizeof p) > 0);
    CHECK_INT(takt_srtcp_protect(to, p, 8, sizeof p), TAKT_ERR_END);
    takt_srtp_destroy(to);
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* Emptied, it knows neither key nor source; then it takes other ones, as many as at first. */
static void a_context_that_was_restarted_is_as_new(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp_cfg c = {.suite = suites[i], .mki_bytes = 4, .sources = 1};
            struct takt_srtp *from;
            CHECK_INT(takt_srtp_create(&c, &from, NULL), 0);
            for (uint32_t ssrc = 1; ssrc < 40; ssrc++) {
                struct takt_srtp *to = make_keyed(suites[i], true, 4);
                struct takt_srtp_key key = {.mki = ssrc, .key = {(uint8_t)ssrc}};
                CHECK(takt_srtp_set_key(to, &key, NULL) == 0 && takt_srtp_use(to, ssrc) == 0);
                struct packet p = sent(to, ssrc, 1000, 20);
                CHECK_INT(received(from, p, NULL), TAKT_ERR_NOT_FOUND);
                CHECK_INT(takt_srtp_set_key(from, &key, NULL), 0);
                CHECK(received(from, p, NULL) > 0);
                CHECK_INT(received(from, p, NULL), TAKT_ERR_STATE);
                takt_srtp_restart(from);
                takt_srtp_destroy(to);
            }
            takt_srtp_destroy(from);
        }
}

/* SSRC, MKI and index, in the clear; as they were set, and in order. */
static void a_label_can_be_read_without_a_key(void)
{
    for
        EACH_SUITE(i)
        {
            for (uint32_t mki_bytes = 0; mki_bytes <= 4; mki_bytes += 2) {
                struct takt_srtp *to = make_keyed(suites[i], true, mki_bytes);
                struct takt_srtp_cfg c = {.suite = suites[i], .mki_bytes = mki_bytes};
                struct takt_srtp_key key = {.mki = 0x12345678};
                struct takt_srtp *from;
                struct takt_srtcp_label l;
                CHECK_INT(takt_srtp_create(&c, &from, NULL), 0);
                CHECK_INT(takt_srtp_set_key(to, &key, NULL), 0);
                CHECK_INT(takt_srtp_use(to, key.mki), 0);
                for (uint32_t index = 0; index < 300; index++) {
                    uint8_t report[64] = {0x80, 201, 0, 1, 1, 2, 3, 4};
                    int n = takt_srtcp_protect(to, report, 8, sizeof report);
                    CHECK(n > 8);
                    CHECK_INT(takt_srtcp_read_label(from, report, (size_t)n, &l), 0);
                    uint32_t shown = mki_bytes == 4 ? key.mki : mki_bytes ? key.mki & 0xffff : 0;
                    CHECK(l.ssrc == 0x01020304 && l.mki == shown && l.index == index);
                    for (size_t cut = 0; cut < 8 + takt_srtcp_added(from); cut++)
                        CHECK_INT(takt_srtcp_read_label(from, report, cut, &l), TAKT_ERR_FORMAT);
                }
                takt_srtp_destroy(to);
                takt_srtp_destroy(from);
            }
        }
}

static void settings_out_of_range_are_refused(void)
{
    static const struct takt_srtp_cfg wrong[] = {{.suite = (enum takt_srtp_suite)9},
                                                 {.mki_bytes = 5},
                                                 {.sources = 1025},
                                                 {.rtcp_index = 0x80000000u}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct takt_srtp *s = (void *)&s;
        struct takt_error e;
        CHECK_INT(takt_srtp_create(&wrong[i], &s, &e), TAKT_ERR_ARG);
        CHECK(!s && e.text[0]);
    }
    takt_srtp_destroy(NULL);
}

static void a_failing_create_leaves_nothing(void)
{
    bool failed = true;
    for (int n = 1; failed; n++) {
        long before = fault_held();
        struct takt_srtp *s;
        fault_at(n);
        int err =
            takt_srtp_create(&(struct takt_srtp_cfg){.suite = TAKT_SRTP_AES_128_SHA1_80}, &s, NULL);
        failed = fault_happened();
        fault_at(0);
        CHECK_INT(err, failed ? TAKT_ERR_NOMEM : 0);
        CHECK(!s == failed);
        takt_srtp_destroy(s);
        CHECK_INT(fault_held(), before);
    }
}

static void packets_take_no_memory(void)
{
    for
        EACH_SUITE(i)
        {
            struct takt_srtp *to = make_keyed(suites[i], true, 4);
            struct takt_srtp *from = make_keyed(suites[i], false, 4);
            fault_at(1 << 20);
            int before = fault_seen;
            for (uint64_t at = 0; at < 1000; at++)
                CHECK(received(from, sent(to, 5, at, PAYLOAD), NULL) > 0);
            CHECK_INT(fault_seen, before);
            fault_at(0);
            takt_srtp_destroy(to);
            takt_srtp_destroy(from);
        }
}

int main(void)
{
    RUN(rfc7714_rtp_packets_are_made_and_read);
    RUN(rfc7714_rtcp_packets_are_made_and_read);
    RUN(rfc3711_b2_the_key_stream_is_aes_cm);
    RUN(rfc3711_b3_keys_are_derived);
    RUN(rfc6188_the_derivation_takes_256_bits);
    RUN(libsrtp_packets_are_made_and_read);
    RUN(packets_of_any_size_come_back);
    RUN(headers_of_any_form_stay_in_the_clear);
    RUN(every_flipped_bit_is_refused);
    RUN(every_flipped_bit_of_rtcp_is_refused);
    RUN(packets_cut_off_anywhere_are_refused);
    RUN(random_bytes_are_refused);
    RUN(a_packet_without_room_or_form_is_not_protected);
    RUN(replays_are_refused_at_every_place);
    RUN(reordering_within_the_window_passes);
    RUN(a_sender_uses_no_index_twice);
    RUN(sources_are_known_one_by_one_up_to_their_number);
    RUN(numbers_wrap_without_a_gap);
    RUN(a_late_joiner_plays_at_once_with_the_note);
    RUN(one_cut_off_for_100000_packets_plays_at_once_with_the_note);
    RUN(without_the_note_the_counter_is_found);
    RUN(a_forged_note_disturbs_nothing);
    RUN(a_flood_of_forgeries_brings_one_trial_in_sixteen);
    RUN(a_note_comes_back);
    RUN(keys_rotate_without_a_gap);
    RUN(a_key_that_is_gone_or_not_there_yet_is_told);
    RUN(the_key_in_use_is_never_replaced);
    RUN(another_key_reads_nothing);
    RUN(rtcp_indices_end_before_they_repeat);
    RUN(a_context_that_was_restarted_is_as_new);
    RUN(a_label_can_be_read_without_a_key);
    RUN(settings_out_of_range_are_refused);
    RUN(a_failing_create_leaves_nothing);
    RUN(packets_take_no_memory);
    return tap_done();
}

#else

static void without_openssl_a_create_says_so(void)
{
    struct takt_srtp *s = (void *)&s;
    struct takt_error e;
    CHECK_INT(takt_srtp_create(&(struct takt_srtp_cfg){0}, &s, &e), TAKT_ERR_UNSUPPORTED);
    CHECK(!s && strstr(e.text, "libssl-dev"));
}

int main(void)
{
    RUN(without_openssl_a_create_says_so);
    return tap_done();
}

#endif

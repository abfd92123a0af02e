/*
 * Keys: the files that hold them, the forms they have, and that no two streams share one.
 */
#include "base/random.h"
#include "fault.h"
#include "takt/key.h"
#include "tap.h"
#include "wire/crypto.h"
#include "wire/key.h"
#include "wire/srtp_key.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/takt-key-XXXXXX";

/* A path in the test's folder; valid until the next but three. */
static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static int at;
    at = (at + 1) % 4;
    snprintf(paths[at], sizeof paths[at], "%s/%s", folder, name);
    return paths[at];
}

static void write_file(const char *path, const void *bytes, size_t n, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || fchmod(fd, mode) < 0)
        printf("# cannot write %s\n", path);
    close(fd);
}

static bool is_wiped(const struct takt_key *k)
{
    static const struct takt_key zeros;
    return !memcmp(k, &zeros, sizeof zeros);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void key_new_makes_a_file_for_its_owner_alone(void)
{
    struct takt_key a, b;
    struct takt_error e;
    struct stat st;
    char text[128];
    mode_t umask_before = umask(0);
    CHECK_INT(takt_key_new(in_folder("a"), &e), 0);
    umask(umask_before);
    CHECK_INT(takt_key_new(in_folder("b"), &e), 0);
    CHECK_INT(stat(in_folder("a"), &st), 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    CHECK_INT(st.st_size, TAKT_KEY_TEXT_BYTES);
    int fd = open(in_folder("a"), O_RDONLY);
    CHECK_INT(read(fd, text, sizeof text), TAKT_KEY_TEXT_BYTES);
    close(fd);
    CHECK(!memcmp(text, "takt-key-1 ", 11) && text[TAKT_KEY_TEXT_BYTES - 1] == '\n');
    CHECK(!takt_key_read(in_folder("a"), &a, &e) && !takt_key_read(in_folder("b"), &b, &e));
    CHECK(memcmp(&a, &b, sizeof a) != 0 && !is_wiped(&a));
    takt_key_wipe(&a);
    CHECK(is_wiped(&a));
}

static void key_new_never_writes_over_a_file(void)
{
    struct takt_key before, after;
    struct takt_error e;
    CHECK_INT(takt_key_new(in_folder("once"), &e), 0);
    takt_key_read(in_folder("once"), &before, &e);
    CHECK_INT(takt_key_new(in_folder("once"), &e), TAKT_ERR_IO);
    CHECK(e.os_errno == EEXIST && strstr(e.text, "never written over"));
    CHECK_INT(takt_key_read(in_folder("once"), &after, &e), 0);
    CHECK(!memcmp(&before, &after, sizeof after));
    CHECK_INT(symlink("/nowhere/at/all", in_folder("link")), 0);
    CHECK_INT(takt_key_new(in_folder("link"), &e), TAKT_ERR_IO);
    CHECK_INT(takt_key_new("/nowhere/at/all", &e), TAKT_ERR_IO);
    CHECK_INT(e.os_errno, ENOENT);
}

/* Only the owner's rights may be there, whichever they are. */
static void key_read_refuses_what_others_may_touch(void)
{
    struct takt_key k;
    struct takt_error e;
    char text[TAKT_KEY_TEXT_BYTES];
    takt_key_print(&(struct takt_key){{1, 2, 3}}, text);
    for (mode_t mode = 0; mode < 0100; mode++) {
        write_file(in_folder("open"), text, sizeof text, mode | 0600);
        CHECK_INT(takt_key_read(in_folder("open"), &k, &e), mode ? TAKT_ERR_IO : 0);
        CHECK(is_wiped(&k) == (mode != 0));
        CHECK(!mode || strstr(e.text, "chmod 600"));
    }
    CHECK_INT(takt_key_read(in_folder("none"), &k, &e), TAKT_ERR_NOT_FOUND);
    CHECK(is_wiped(&k));
    CHECK_INT(mkdir(in_folder("dir"), 0700), 0);
    CHECK_INT(takt_key_read(in_folder("dir"), &k, &e), TAKT_ERR_IO);
}

/* Each size but the right ones, and each byte of the text turned into another. */
static void key_read_refuses_every_other_form(void)
{
    struct takt_key k, want = {{0x12, 0x34, 0xab, 0xcd, 0xef}};
    struct takt_error e;
    char text[2 * TAKT_KEY_TEXT_BYTES];
    memset(text, '0', sizeof text);
    takt_key_print(&want, text);
    for (size_t n = 0; n <= sizeof text; n++) {
        bool right = n == TAKT_KEY_TEXT_BYTES || n == TAKT_KEY_TEXT_BYTES - 1;
        write_file(in_folder("form"), text, n, 0600);
        CHECK_INT(takt_key_read(in_folder("form"), &k, &e), right ? 0 : TAKT_ERR_FORMAT);
        CHECK(right ? !memcmp(&k, &want, sizeof k) : is_wiped(&k));
    }
    for (size_t at = 0; at < TAKT_KEY_TEXT_BYTES; at++)
        for (int c = 0; c < 256; c++) {
            char bad[TAKT_KEY_TEXT_BYTES];
            memcpy(bad, text, sizeof bad);
            bad[at] = (char)c;
            bool is_digit = c && strchr("0123456789abcdefABCDEF", c);
            bool right = (char)c == text[at] || (at >= 11 && at < sizeof bad - 1 && is_digit);
            CHECK_INT(takt_key_parse(bad, sizeof bad, &k), right);
            CHECK(right || is_wiped(&k));
        }
}

static void a_key_comes_back_from_its_text(void)
{
    struct takt_random chance = takt_random_seed(1);
    for (int n = 0; n < 1000; n++) {
        struct takt_key k, got;
        char text[TAKT_KEY_TEXT_BYTES];
        for (size_t i = 0; i < sizeof k.bytes; i++)
            k.bytes[i] = (uint8_t)takt_random_u64(&chance);
        takt_key_print(&k, text);
        CHECK(takt_key_parse(text, sizeof text, &got) && !memcmp(&k, &got, sizeof k));
    }
}

#ifdef TAKT_HAVE_OPENSSL

static bool is_hex(const uint8_t *bytes, size_t n, const char *text)
{
    unsigned byte;
    for (size_t i = 0; i < n; i++, text += 2)
        if (sscanf(text, "%2x", &byte) != 1 || byte != bytes[i])
            return false;
    return !*text;
}

/* ---- Passphrases ----------------------------------------------------------------------------- */

static void rfc7914_scrypt_is_scrypt(void)
{
    uint8_t out[64];
    CHECK_INT(takt_scrypt("password", 8, "NaCl", 4, 1024, 8, 16, out, sizeof out, NULL), 0);
    CHECK(is_hex(out, sizeof out,
                 "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                 "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"));
    CHECK_INT(
        takt_scrypt("pleaseletmein", 13, "SodiumChloride", 14, 16384, 8, 1, out, sizeof out, NULL),
        0);
    CHECK(is_hex(out, sizeof out,
                 "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
                 "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"));
}

/* File, environment and text mean the same key, whatever ends the line. */
static void a_passphrase_is_a_key_wherever_it_comes_from(void)
{
    static const char phrase[] = "six words are safer than one";
    static const char *const ends[] = {"", "\n", "\r\n", "\nand more\n"};
    struct takt_key want, k;
    struct takt_error e;
    CHECK_INT(takt_key_from_passphrase(phrase, &want, &e), 0);
    CHECK(!is_wiped(&want));
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s%s", phrase, ends[i]);
        write_file(in_folder("phrase"), text, strlen(text), 0600);
        CHECK_INT(takt_key_read_passphrase(in_folder("phrase"), &k, &e), 0);
        CHECK(!memcmp(&k, &want, sizeof k));
    }
    setenv("TAKT_PASSPHRASE", phrase, 1);
    CHECK_INT(takt_key_read_passphrase(NULL, &k, &e), 0);
    CHECK(!memcmp(&k, &want, sizeof k));
    CHECK_INT(takt_key_from_passphrase("six words are safer than one ", &k, &e), 0);
    CHECK(memcmp(&k, &want, sizeof k) != 0);
}

static void a_passphrase_out_of_bounds_is_refused(void)
{
    char text[TAKT_PASSPHRASE_BYTES_MAX + 2] = "elevenbytes";
    struct takt_key k;
    struct takt_error e;
    CHECK_INT(takt_key_from_passphrase(text, &k, &e), TAKT_ERR_ARG);
    CHECK(is_wiped(&k));
    memset(text, 'x', TAKT_PASSPHRASE_BYTES_MAX);
    write_file(in_folder("long"), text, TAKT_PASSPHRASE_BYTES_MAX, 0600);
    CHECK_INT(takt_key_read_passphrase(in_folder("long"), &k, &e), 0);
    text[TAKT_PASSPHRASE_BYTES_MAX] = 'x';
    write_file(in_folder("long"), text, TAKT_PASSPHRASE_BYTES_MAX + 1, 0600);
    CHECK_INT(takt_key_read_passphrase(in_folder("long"), &k, &e), TAKT_ERR_ARG);
    CHECK(is_wiped(&k));
    write_file(in_folder("nul"), "twelve bytes\0and more", 21, 0600);
    CHECK_INT(takt_key_read_passphrase(in_folder("nul"), &k, &e), TAKT_ERR_FORMAT);
    write_file(in_folder("open"), "a phrase for everybody", 22, 0644);
    CHECK_INT(takt_key_read_passphrase(in_folder("open"), &k, &e), TAKT_ERR_IO);
    unsetenv("TAKT_PASSPHRASE");
    CHECK_INT(takt_key_read_passphrase(NULL, &k, &e), TAKT_ERR_NOT_FOUND);
    CHECK(is_wiped(&k));
}

/* ---- Keys from keys -------------------------------------------------------------------------- */

static void rfc5869_hkdf_is_hkdf(void)
{
    uint8_t secret[80], salt[80], info[80], out[82];
    memset(secret, 0x0b, 22);
    for (uint8_t i = 0; i < 80; i++) {
        salt[i] = i;
        info[i] = (uint8_t)(0xf0 + i);
    }
    CHECK_INT(takt_hkdf(secret, 22, salt, 13, info, 10, out, 42, NULL), 0);
    CHECK(is_hex(out, 42,
                 "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                 "34007208d5b887185865"));
    CHECK_INT(takt_hkdf(secret, 22, salt, 0, info, 0, out, 42, NULL), 0);
    CHECK(is_hex(out, 42,
                 "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                 "9d201395faa4b61a96c8"));
    for (uint8_t i = 0; i < 80; i++) {
        secret[i] = i;
        salt[i] = (uint8_t)(0x60 + i);
        info[i] = (uint8_t)(0xb0 + i);
    }
    CHECK_INT(takt_hkdf(secret, 80, salt, 80, info, 80, out, 82, NULL), 0);
    CHECK(is_hex(out, 82,
                 "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
                 "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
                 "cc30c58179ec3e87c14c01d5c1f3434f1d87"));
}

/* One thing different, and key and salt are. The same again, and they are the same. */
static void no_two_uses_have_the_same_key(void)
{
    static const struct takt_srtp_key_use uses[] = {
        {0},
        {.suite = TAKT_SRTP_AES_128_GCM},
        {.suite = TAKT_SRTP_AES_128_SHA1_80},
        {.suite = TAKT_SRTP_AES_128_SHA1_32},
        {.way = TAKT_SRTP_BACK},
        {.ssrc = 1},
        {.ssrc = 0x01000000},
        {.epoch = 1},
        {.epoch = 0x01000000},
        {.start = 1},
        {.start = 1ull << 32},
        {.start = 1ull << 63},
    };
    enum { USES = sizeof uses / sizeof *uses };
    struct takt_key key = {{7}};
    struct takt_srtp_key made[USES], again;
    for (int i = 0; i < USES; i++) {
        CHECK_INT(takt_srtp_key_derive(&key, &uses[i], &made[i], NULL), 0);
        CHECK_INT(takt_srtp_key_derive(&key, &uses[i], &again, NULL), 0);
        CHECK(!memcmp(&made[i], &again, sizeof again));
        CHECK_INT(made[i].mki, uses[i].epoch);
        for (int j = 0; j < i; j++) {
            CHECK(memcmp(made[i].key, made[j].key, 16) != 0);
            CHECK(memcmp(made[i].salt, made[j].salt, 12) != 0);
        }
    }
    key.bytes[31] = 1;
    CHECK_INT(takt_srtp_key_derive(&key, &uses[0], &again, NULL), 0);
    CHECK(memcmp(made[0].key, again.key, 16) != 0);
}

/* Many starts within one second, of one source even: the packets of no two are alike. */
static void no_two_starts_share_a_key_stream(void)
{
    enum { STARTS = 1000 };
    static uint8_t first[STARTS][16];
    struct takt_key key = {{7}};
    struct takt_random chance = takt_random_seed(1);
    for (int i = 0; i < STARTS; i++) {
        uint64_t start = takt_srtp_start(1700000000, (uint32_t)takt_random_u64(&chance));
        struct takt_srtp_key_use use = {.ssrc = 5, .start = start};
        struct takt_srtp_key k;
        CHECK_INT(takt_srtp_key_derive(&key, &use, &k, NULL), 0);
        memcpy(first[i], k.key, sizeof first[i]);
        for (int j = 0; j < i; j++)
            CHECK(memcmp(first[i], first[j], sizeof first[i]) != 0);
    }
    CHECK(takt_srtp_start(2, 0) > takt_srtp_start(1, UINT32_MAX));
}

#endif

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    RUN(key_new_makes_a_file_for_its_owner_alone);
    RUN(key_new_never_writes_over_a_file);
    RUN(key_read_refuses_what_others_may_touch);
    RUN(key_read_refuses_every_other_form);
    RUN(a_key_comes_back_from_its_text);
#ifdef TAKT_HAVE_OPENSSL
    RUN(rfc7914_scrypt_is_scrypt);
    RUN(a_passphrase_is_a_key_wherever_it_comes_from);
    RUN(a_passphrase_out_of_bounds_is_refused);
    RUN(rfc5869_hkdf_is_hkdf);
    RUN(no_two_uses_have_the_same_key);
    RUN(no_two_starts_share_a_key_stream);
#endif
    char clean[64];
    snprintf(clean, sizeof clean, "rm -rf %s", folder);
    return system(clean) | tap_done();
}

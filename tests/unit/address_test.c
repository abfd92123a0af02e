/*
 * Addresses: every form is read, what is wrong is named, and no text gets further than that. The
 * name server is this file.
 */
#include "base/random.h"
#include "io/address.h"
#include "tap.h"

#include <net/if.h>
#include <netdb.h>

/* ---- A name server --------------------------------------------------------------------------- */

static int asked;
static bool is_mute;
static struct sockaddr_in6 known6 = {.sin6_family = AF_INET6};
static struct sockaddr_in known4 = {.sin_family = AF_INET};

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);
void __wrap_freeaddrinfo(struct addrinfo *a);

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    static struct addrinfo both[2];
    asked++;
    both[0] = (struct addrinfo){
        .ai_family = AF_INET6, .ai_addr = (struct sockaddr *)&known6, .ai_next = &both[1]};
    both[1] = (struct addrinfo){.ai_family = AF_INET, .ai_addr = (struct sockaddr *)&known4};
    *out = !strcmp(host, "four.local") ? &both[1] : both;
    known4.sin_addr.s_addr = htonl(0xc0000201);
    known6.sin6_addr.s6_addr[15] = 1;
    if (is_mute)
        return EAI_AGAIN;
    return !strcmp(host, "six.local") || *out == &both[1] ? 0 : EAI_NONAME;
}

void __wrap_freeaddrinfo(struct addrinfo *a)
{
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void address_parse_reads_every_form(void)
{
    static const struct {
        const char *text;
        uint16_t port_default;
        const char *printed;
    } forms[] = {
        {"192.0.2.1:5004", 0, "192.0.2.1:5004"},
        {"192.0.2.1:5004", 9, "192.0.2.1:5004"},
        {"192.0.2.1", 9, "192.0.2.1:9"},
        {"192.0.2.1:1", 0, "192.0.2.1:1"},
        {"192.0.2.1:65535", 0, "192.0.2.1:65535"},
        {"0.0.0.0:7", 0, "0.0.0.0:7"},
        {"[2001:db8::1]:5004", 0, "[2001:db8::1]:5004"},
        {"[2001:DB8:0::1]", 9, "[2001:db8::1]:9"},
        {"[::]:5004", 0, "[::]:5004"},
        {":5004", 0, "[::]:5004"},
        {"%lo", 9, "[::%lo]:9"},
        {"[::ffff:192.0.2.1]:5004", 0, "192.0.2.1:5004"},
        {"239.1.2.3%lo:5004", 0, "239.1.2.3%lo:5004"},
        {"239.1.2.3:5004%lo", 0, "239.1.2.3%lo:5004"},
        {"239.1.2.3%lo", 9, "239.1.2.3%lo:9"},
        {"[ff02::1%lo]:5004", 0, "[ff02::1%lo]:5004"},
        {"[ff02::1]%lo:5004", 0, "[ff02::1%lo]:5004"},
        {"[ff02::1]:5004%lo", 0, "[ff02::1%lo]:5004"},
        {"[ff05::1]:5004", 0, "[ff05::1]:5004"},
        {"[fe80::1%lo]", 9, "[fe80::1%lo]:9"},
        {"six.local:5004", 0, "[::1]:5004"},
        {"four.local", 9, "192.0.2.1:9"},
        {"four.local:5004%lo", 0, "192.0.2.1%lo:5004"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct takt_address a;
        struct takt_error e = {.text = ""};
        char text[TAKT_ADDRESS_TEXT_MAX];
        int err = takt_address_parse(forms[i].text, forms[i].port_default, &a, &e);
        if (err < 0 || strcmp(takt_address_print(&a, text), forms[i].printed) != 0)
            printf("# %s: %s%s\n", forms[i].text, err < 0 ? "" : text, e.text);
        CHECK_INT(err, 0);
        CHECK(!strcmp(text, forms[i].printed));
    }
}

static void address_parse_takes_an_interface_by_its_number(void)
{
    struct takt_address a;
    char text[64];
    unsigned lo = if_nametoindex("lo");
    snprintf(text, sizeof text, "[fe80::1%%%u]:5004", lo);
    CHECK_INT(takt_address_parse(text, 0, &a, NULL), 0);
    CHECK_INT(a.interface, lo);
    CHECK_INT(a.sock.ipv6.sin6_scope_id, lo);
    snprintf(text, sizeof text, "239.1.2.3:5004%%%u", lo);
    CHECK_INT(takt_address_parse(text, 0, &a, NULL), 0);
    CHECK_INT(a.interface, lo);
}

/* Whatever is printed is read as the same address. */
static void address_print_reads_back(void)
{
    struct takt_random r = takt_random_seed(5);
    for (int i = 0; i < 20000; i++) {
        struct takt_address a = {0}, b;
        char text[TAKT_ADDRESS_TEXT_MAX];
        uint16_t port = (uint16_t)(1 + takt_random_u64(&r) % 65535);
        if (i % 2) {
            a.sock.ipv4.sin_family = AF_INET;
            a.sock.ipv4.sin_addr.s_addr = (uint32_t)takt_random_u64(&r);
        } else {
            a.sock.ipv6.sin6_family = AF_INET6;
            for (int k = 0; k < 16; k++) /* with runs of zeros */
                a.sock.ipv6.sin6_addr.s6_addr[k] =
                    takt_random_u64(&r) % 3 ? 0 : (uint8_t)takt_random_u64(&r);
            a.sock.ipv6.sin6_addr.s6_addr[0] = 0x20;
        }
        a.interface = i % 3 ? 0 : if_nametoindex("lo");
        takt_address_set_port(&a, port);
        takt_address_print(&a, text);
        CHECK_INT(takt_address_parse(text, 0, &b, NULL), 0);
        CHECK(takt_address_equal(&a, &b));
        CHECK_INT(b.interface, a.interface);
        CHECK_INT(takt_address_port(&b), port);
        takt_address_set_port(&b, port ^ 1);
        CHECK(!takt_address_equal(&a, &b));
    }
}

/* ---- Refusing -------------------------------------------------------------------------------- */

static bool is_one_clean_line(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return n > 0;
}

/* Every complaint names the word that is wrong, and says what to write. */
static void address_parse_says_which_word_is_wrong(void)
{
    static const struct {
        const char *text;
        uint16_t port_default;
        int err;
        const char *says;
    } wrong[] = {
        {"", 9, TAKT_ERR_ARG, "empty; write HOST:PORT"},
        {"192.0.2.1", 0, TAKT_ERR_ARG, "no port; write HOST:5004"},
        {"192.0.2.1:", 9, TAKT_ERR_ARG, "no port behind the :"},
        {":", 9, TAKT_ERR_ARG, "no port behind the :"},
        {"192.0.2.1:0", 9, TAKT_ERR_ARG, ": 0 is no port; write 1 to 65535"},
        {"192.0.2.1:65536", 9, TAKT_ERR_ARG, ": 65536 is no port"},
        {"192.0.2.1:99999999999999999999999999999", 9, TAKT_ERR_ARG, "is no port"},
        {"192.0.2.1:-1", 9, TAKT_ERR_ARG, ": -1 is no port"},
        {"192.0.2.1:+5", 9, TAKT_ERR_ARG, ": +5 is no port"},
        {"192.0.2.1: 5", 9, TAKT_ERR_ARG, "is no port"},
        {"192.0.2.1:5x", 9, TAKT_ERR_ARG, ": 5x is no port"},
        {"192.0.2.1:0x50", 9, TAKT_ERR_ARG, ": 0x50 is no port"},
        {"192.0.2.1:\xd9\xa3", 9, TAKT_ERR_ARG, ": ?? is no port"},
        {"::1", 9, TAKT_ERR_ARG, "write it as [::1]:5004"},
        {"::1:5004", 9, TAKT_ERR_ARG, "write it as [::1]:5004"},
        {"2001:db8::1", 9, TAKT_ERR_ARG, "write it as [::1]:5004"},
        {"host:1:2", 9, TAKT_ERR_ARG, "more than one port"},
        {"[::1", 9, TAKT_ERR_ARG, "the [ is never closed"},
        {"[", 9, TAKT_ERR_ARG, "the [ is never closed"},
        {"[]:5", 9, TAKT_ERR_ARG, "\"\" is no IPv6 address"},
        {"[192.0.2.1]:5", 9, TAKT_ERR_ARG, "\"192.0.2.1\" is no IPv6 address"},
        {"[six.local]:5", 9, TAKT_ERR_ARG, "\"six.local\" is no IPv6 address"},
        {"[::1]5004", 9, TAKT_ERR_ARG, "from \"5004\" on"},
        {"[::1]]:5004", 9, TAKT_ERR_ARG, "from \"]:5004\" on"},
        {"a[::1]:5004", 9, TAKT_ERR_ARG, "from \"[::1]:5004\" on"},
        {"[1:2:3:4:5:6:7:8:9]:5", 9, TAKT_ERR_ARG, "is no IPv6 address"},
        {"[fe80::1]:5", 9, TAKT_ERR_ARG, "name the interface, as in [fe80::1%eth0]:5004"},
        {"[ff02::1]:5", 9, TAKT_ERR_ARG, "name the interface"},
        {"239.1.2.3%nowhere0:5", 9, TAKT_ERR_NOT_FOUND, "no interface \"nowhere0\""},
        {"239.1.2.3%0:5", 9, TAKT_ERR_NOT_FOUND, "no interface \"0\""},
        {"239.1.2.3%99999999:5", 9, TAKT_ERR_NOT_FOUND, "no interface \"99999999\""},
        {"239.1.2.3%4294967297:5", 9, TAKT_ERR_NOT_FOUND, "no interface"},
        {"239.1.2.3%a-name-longer-than-any:5", 9, TAKT_ERR_NOT_FOUND, "no interface"},
        {"239.1.2.3%:5", 9, TAKT_ERR_NOT_FOUND, "no interface \"\""},
        {"239.1.2.3:5%", 9, TAKT_ERR_ARG, "no interface behind the %; write HOST%eth0:5004"},
        {"239.1.2.3%lo%lo:5", 9, TAKT_ERR_ARG, "more than one interface"},
        {"[ff02::1%lo]:5%lo", 9, TAKT_ERR_ARG, "more than one interface"},
        {"256.1.1.1:5", 9, TAKT_ERR_ARG, "\"256.1.1.1\" is no host"},
        {"1.2.3:5", 9, TAKT_ERR_ARG, "\"1.2.3\" is no host"},
        {"1:5", 9, TAKT_ERR_ARG, "\"1\" is no host"},
        {"010.0.0.1:5", 9, TAKT_ERR_ARG, "is no host"},
        {"0x7f000001:5", 9, TAKT_ERR_ARG, "is no host"},
        {"1.2.3.4.:5", 9, TAKT_ERR_ARG, "is no host"},
        {".:5", 9, TAKT_ERR_ARG, "is no host"},
        {"-x:5", 9, TAKT_ERR_ARG, "is no host"},
        {"a b:5", 9, TAKT_ERR_ARG, "\"a b\" is no host"},
        {"a/b:5", 9, TAKT_ERR_ARG, "is no host"},
        {"\x1b[31mred:5", 9, TAKT_ERR_ARG, "?[31mred:5"},
        {"two\nlines:5", 9, TAKT_ERR_ARG, "\"two?lines\" is no host"},
        {"nobody.local:5", 9, TAKT_ERR_NOT_FOUND, "no host is called nobody.local; check"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        static const struct takt_address none;
        struct takt_address a;
        struct takt_error e = {.text = ""};
        memset(&a, 0x55, sizeof a);
        int err = takt_address_parse(wrong[i].text, wrong[i].port_default, &a, &e);
        if (!strstr(e.text, wrong[i].says) || err != wrong[i].err)
            printf("# %d, not %d: %s\n", err, wrong[i].err, e.text);
        CHECK_INT(err, wrong[i].err);
        CHECK_INT(e.code, err);
        CHECK(strstr(e.text, wrong[i].says) && is_one_clean_line(e.text));
        CHECK(!memcmp(&a, &none, sizeof a));
        CHECK_INT(takt_address_parse(wrong[i].text, wrong[i].port_default, &a, NULL), err);
    }
}

static void address_parse_without_a_name_server_says_so(void)
{
    struct takt_address a;
    struct takt_error e;
    is_mute = true;
    CHECK_INT(takt_address_parse("six.local:5", 0, &a, &e), TAKT_ERR_IO);
    is_mute = false;
    CHECK(strstr(e.text, "cannot look six.local up") && strstr(e.text, "write its address"));
}

/* No number and no mistyped one is ever taken for a name. */
static void address_parse_asks_for_names_alone(void)
{
    static const char *const texts[] = {
        "192.0.2.1:5", "[::1]:5",      "256.0.0.1:5",          "1:5",
        ":5",          "four.local:0", "four.local%nowhere0:5"};
    struct takt_address a;
    asked = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        takt_address_parse(texts[i], 9, &a, NULL);
    CHECK_INT(asked, 0);
    takt_address_parse("four.local:5", 9, &a, NULL);
    CHECK_INT(asked, 1);
}

/* Any text is read or refused with one printable line, and what is read prints and reads back. */
static void address_parse_takes_any_text(void)
{
    static const char letters[] = "[]:%.0123456789abcdefxlo-_ \x1b\n\xff";
    struct takt_random r = takt_random_seed(6);
    int good = 0;
    for (int i = 0; i < ROUNDS(200000); i++) {
        char text[600], printed[TAKT_ADDRESS_TEXT_MAX];
        size_t n = takt_random_u64(&r) % (i % 50 ? 24 : 599);
        for (size_t k = 0; k < n; k++)
            text[k] = letters[takt_random_u64(&r) % (sizeof letters - 1)];
        text[n] = '\0';
        if (i % 3 == 0 && n > 12) /* something that begins well */
            memcpy(text, i % 2 ? "127.0.0.1:50" : "[::1%lo]:500", 12);
        struct takt_address a, b;
        struct takt_error e = {.text = ""};
        if (takt_address_parse(text, 9, &a, &e) < 0) {
            CHECK(is_one_clean_line(e.text));
            continue;
        }
        good++;
        CHECK(takt_address_port(&a) != 0);
        CHECK_INT(takt_address_parse(takt_address_print(&a, printed), 0, &b, &e), 0);
        CHECK(takt_address_equal(&a, &b));
    }
    CHECK(good > 100);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static void address_knows_its_kind(void)
{
    static const struct {
        const char *text;
        bool is_any, is_loopback, is_multicast;
    } kinds[] = {
        {"0.0.0.0:5", true, false, false},
        {"[::]:5", true, false, false},
        {"127.0.0.0:5", false, true, false},
        {"127.255.255.255:5", false, true, false},
        {"126.255.255.255:5", false, false, false},
        {"128.0.0.0:5", false, false, false},
        {"[::1]:5", false, true, false},
        {"[::2]:5", false, false, false},
        {"[::ffff:127.0.0.1]:5", false, true, false},
        {"223.255.255.255:5", false, false, false},
        {"224.0.0.0:5", false, false, true},
        {"239.255.255.255:5", false, false, true},
        {"240.0.0.0:5", false, false, false},
        {"[ff0e::1]:5", false, false, true},
        {"[ff02::1%lo]:5", false, false, true},
        {"[fe80::1%lo]:5", false, false, false},
        {"[::ffff:239.0.0.1]:5", false, false, true},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct takt_address a;
        CHECK_INT(takt_address_parse(kinds[i].text, 0, &a, NULL), 0);
        CHECK_INT(takt_address_is_any(&a), kinds[i].is_any);
        CHECK_INT(takt_address_is_loopback(&a), kinds[i].is_loopback);
        CHECK_INT(takt_address_is_multicast(&a), kinds[i].is_multicast);
    }
}

static void address_that_is_none_is_nothing(void)
{
    struct takt_address none = {0}, some;
    char text[TAKT_ADDRESS_TEXT_MAX];
    CHECK(!takt_address_is_any(&none) && !takt_address_is_loopback(&none));
    CHECK(!takt_address_is_multicast(&none));
    CHECK_INT(takt_address_port(&none), 0);
    takt_address_set_port(&none, 5);
    CHECK_INT(takt_address_port(&none), 0);
    CHECK(!strcmp(takt_address_print(&none, text), "none"));
    CHECK_INT(takt_address_parse("127.0.0.1:5", 0, &some, NULL), 0);
    CHECK(takt_address_equal(&none, &none) && !takt_address_equal(&none, &some));
    takt_address_from(&(struct sockaddr){.sa_family = AF_UNIX}, &some);
    CHECK(takt_address_equal(&none, &some));
}

int main(void)
{
    RUN(address_parse_reads_every_form);
    RUN(address_parse_takes_an_interface_by_its_number);
    RUN(address_print_reads_back);
    RUN(address_parse_says_which_word_is_wrong);
    RUN(address_parse_without_a_name_server_says_so);
    RUN(address_parse_asks_for_names_alone);
    RUN(address_parse_takes_any_text);
    RUN(address_knows_its_kind);
    RUN(address_that_is_none_is_nothing);
    return tap_done();
}

/*
 * The text is first cut up into host, interface and port without a look at what they mean, then
 * each word is read on its own, so that a complaint can name the word.
 *
 * Numbers are read more strictly than inet_aton does, and getaddrinfo with it: there "1" is 0.0.0.1
 * and "010.0.0.1" is 8.0.0.1, which nobody means who writes them.
 */
#include "io/address.h"

#include "base/fail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

enum { HOST_MAX = 253, TEXT_MAX = 320, SHOWN_MAX = 64 };

/* Words of the text; `at` is NULL where there is none. */
struct word {
    const char *at;
    size_t bytes;
};

struct words {
    struct word host, interface, port;
    bool is_bracketed;
};

/* What is said about a text goes to a terminal: one line of it, and nothing that moves a cursor. */
struct shown {
    char text[SHOWN_MAX];
};

static struct shown show_word(struct word w)
{
    struct shown s;
    size_t n = w.bytes < sizeof s.text ? w.bytes : sizeof s.text - 1;
    for (size_t i = 0; i < n; i++)
        s.text[i] = w.at[i] >= ' ' && w.at[i] <= '~' ? w.at[i] : '?';
    s.text[n] = '\0';
    if (n < w.bytes)
        memcpy(s.text + n - 3, "...", 3);
    return s;
}

static struct shown show(const char *text)
{
    return show_word((struct word){text, strlen(text)});
}

/* ---- Cutting up ------------------------------------------------------------------------------ */

static int no_brackets(const char *text, struct takt_error *e)
{
    return takt_fail(e, TAKT_ERR_ARG, 0,
                     "%s: more than one port, or an IPv6 address without brackets; write it as "
                     "[::1]:5004",
                     show(text).text);
}

/* Takes the word behind a ':' or '%' up to the next one. A word may be given once. */
static int cut_word(const char *text, const char **at, struct words *w, struct takt_error *e)
{
    struct word *to = **at == ':' ? &w->port : &w->interface;
    const char *name = **at == ':' ? "port" : "interface";
    if (to == &w->port && to->at)
        return no_brackets(text, e);
    if (to->at)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s: more than one interface; leave one %%",
                         show(text).text);
    *to = (struct word){*at + 1, strcspn(*at + 1, ":%[]")};
    *at += 1 + to->bytes;
    if (to->bytes == 0 && **at != ':')
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s: there is no %s behind the %c; write %s",
                         show(text).text, name, to == &w->port ? ':' : '%',
                         to == &w->port ? "HOST:5004" : "HOST%eth0:5004");
    return 0;
}

static int cut_brackets(const char *text, const char **at, struct words *w, struct takt_error *e)
{
    const char *end = strchr(text, ']');
    if (!end)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s: the [ is never closed; write [::1]:5004",
                         show(text).text);
    w->is_bracketed = true;
    w->host = (struct word){text + 1, (size_t)(end - text) - 1};
    const char *percent = memchr(w->host.at, '%', w->host.bytes);
    if (percent) {
        w->interface = (struct word){percent + 1, (size_t)(end - percent) - 1};
        w->host.bytes = (size_t)(percent - w->host.at);
    }
    *at = end + 1;
    return 0;
}

static int cut(const char *text, struct words *w, struct takt_error *e)
{
    *w = (struct words){.host = {text, 0}};
    const char *at = text;
    if (*text == '[') {
        int err = cut_brackets(text, &at, w, e);
        if (err < 0)
            return err;
    } else {
        w->host = (struct word){text, strcspn(text, ":%[]")};
        at += w->host.bytes;
    }
    while (*at) {
        if (*at != ':' && *at != '%')
            return takt_fail(e, TAKT_ERR_ARG, 0,
                             "%s: cannot read it from \"%s\" on; write HOST:PORT or [::1]:5004",
                             show(text).text, show(at).text);
        int err = cut_word(text, &at, w, e);
        if (err < 0)
            return err;
    }
    return 0;
}

/* ---- Reading the words ----------------------------------------------------------------------- */

/* The number, or -1 for what is none, or more than most. */
static int64_t read_number(struct word w, int64_t most)
{
    int64_t number = 0;
    for (size_t i = 0; i < w.bytes; i++) {
        if (w.at[i] < '0' || w.at[i] > '9')
            return -1;
        number = number * 10 + w.at[i] - '0';
        if (number > most)
            return -1;
    }
    return w.bytes > 0 ? number : -1;
}

static int read_port(const char *text, struct word w, uint16_t port_default, uint16_t *out,
                     struct takt_error *e)
{
    *out = port_default;
    if (!w.at && port_default)
        return 0;
    if (!w.at)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s: there is no port; write HOST:5004",
                         show(text).text);
    int64_t port = read_number(w, 65535);
    if (port < 1)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s: %s is no port; write 1 to 65535", show(text).text,
                         show_word(w).text);
    *out = (uint16_t)port;
    return 0;
}

static int read_interface(const char *text, struct word w, uint32_t *out, struct takt_error *e)
{
    char name[IF_NAMESIZE] = "";
    *out = 0;
    if (!w.at)
        return 0;
    int64_t number = read_number(w, INT32_MAX);
    if (number > 0 && if_indextoname((unsigned)number, name))
        *out = (uint32_t)number;
    else if (number < 0 && w.bytes > 0 && w.bytes < sizeof name) {
        memcpy(name, w.at, w.bytes);
        name[w.bytes] = '\0';
        *out = if_nametoindex(name);
    }
    if (*out)
        return 0;
    return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                     "%s: there is no interface \"%s\"; `ip link` lists them", show(text).text,
                     show_word(w).text);
}

/* Names have letters, digits, '-', '.' and '_'. One whose last part is a number would be an IPv4
 * address in one of its old spellings. */
static bool is_name(const char *host)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._";
    size_t bytes = strlen(host);
    if (bytes == 0 || strspn(host, letters) != bytes || *host == '.' || *host == '-')
        return false;
    if (host[bytes - 1] == '.')
        bytes--;
    size_t last = bytes;
    while (last > 0 && host[last - 1] != '.')
        last--;
    return last < bytes && (host[last] < '0' || host[last] > '9');
}

static int look_up(const char *text, const char *host, struct takt_address *out,
                   struct takt_error *e)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *found = NULL;
    int err = getaddrinfo(host, NULL, &hints, &found);
    int why = err == EAI_SYSTEM ? errno : 0;
    for (struct addrinfo *a = found; !err && a && !out->sock.any.sa_family; a = a->ai_next)
        if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
            takt_address_from(a->ai_addr, out);
    if (!err)
        freeaddrinfo(found);
    if (out->sock.any.sa_family)
        return 0;
    if (!err || err == EAI_NONAME || err == EAI_NODATA)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, 0,
                         "%s: no host is called %s; check the name, or write its address",
                         show(text).text, show(host).text);
    return takt_fail(e, TAKT_ERR_IO, why, "%s: cannot look %s up (%s); write its address",
                     show(text).text, show(host).text, gai_strerror(err));
}

static int read_host(const char *text, const struct words *w, struct takt_address *out,
                     struct takt_error *e)
{
    char host[HOST_MAX + 1];
    if (w->host.bytes > HOST_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s: the host is too long; %d letters are most",
                         show(text).text, HOST_MAX);
    memcpy(host, w->host.at, w->host.bytes);
    host[w->host.bytes] = '\0';
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (!w->is_bracketed && w->host.bytes == 0)
        takt_address_from((struct sockaddr *)&v6, out);
    else if (w->is_bracketed && inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        takt_address_from((struct sockaddr *)&v6, out);
    else if (w->is_bracketed)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "%s: \"%s\" is no IPv6 address; only those stand in brackets",
                         show(text).text, show(host).text);
    else if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        takt_address_from((struct sockaddr *)&v4, out);
    else if (is_name(host))
        return look_up(text, host, out, e);
    else
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "%s: \"%s\" is no host; write a name, 192.0.2.1 or [2001:db8::1]",
                         show(text).text, show(host).text);
    return 0;
}

/* Whether the address means something only on one link, which the interface then names. */
static bool is_of_a_link(const struct takt_address *a)
{
    const struct in6_addr *v6 = &a->sock.ipv6.sin6_addr;
    return a->sock.any.sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LINKLOCAL(v6) || IN6_IS_ADDR_MC_LINKLOCAL(v6) ||
            IN6_IS_ADDR_MC_NODELOCAL(v6));
}

static int put_on_interface(const char *text, uint32_t interface, struct takt_address *a,
                            struct takt_error *e)
{
    if (interface)
        a->interface = interface;
    if (!is_of_a_link(a))
        return 0;
    if (!a->interface)
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "%s: this address is one of many links; name the interface, as in "
                         "[fe80::1%%eth0]:5004",
                         show(text).text);
    a->sock.ipv6.sin6_scope_id = a->interface;
    return 0;
}

static int read_words(const char *text, uint16_t port_default, struct takt_address *out,
                      struct takt_error *e)
{
    struct words w;
    uint16_t port;
    uint32_t interface;
    int err = cut(text, &w, e);
    if (!err)
        err = read_port(text, w.port, port_default, &port, e);
    if (!err)
        err = read_interface(text, w.interface, &interface, e);
    if (!err)
        err = read_host(text, &w, out, e);
    if (!err)
        err = put_on_interface(text, interface, out, e);
    if (!err)
        takt_address_set_port(out, port);
    return err;
}

int takt_address_parse(const char *text, uint16_t port_default, struct takt_address *out,
                       struct takt_error *e)
{
    memset(out, 0, sizeof *out);
    if (!*text)
        return takt_fail(e, TAKT_ERR_ARG, 0, "the address is empty; write HOST:PORT");
    if (strnlen(text, TEXT_MAX + 1) > TEXT_MAX)
        return takt_fail(e, TAKT_ERR_ARG, 0, "%s: the address is too long; write HOST:PORT",
                         show(text).text);
    int err = read_words(text, port_default, out, e);
    if (err < 0)
        memset(out, 0, sizeof *out);
    return err;
}

/* ---- The rest -------------------------------------------------------------------------------- */

void takt_address_from(const struct sockaddr *s, struct takt_address *out)
{
    memset(out, 0, sizeof *out);
    if (s->sa_family == AF_INET)
        memcpy(&out->sock.ipv4, s, sizeof out->sock.ipv4);
    if (s->sa_family != AF_INET6)
        return;
    struct sockaddr_in6 v6;
    memcpy(&v6, s, sizeof v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        out->sock.ipv4.sin_family = AF_INET;
        out->sock.ipv4.sin_port = v6.sin6_port;
        memcpy(&out->sock.ipv4.sin_addr, v6.sin6_addr.s6_addr + 12, 4);
    } else {
        out->sock.ipv6 = v6;
        out->interface = v6.sin6_scope_id;
    }
}

uint16_t takt_address_port(const struct takt_address *a)
{
    switch (a->sock.any.sa_family) {
    case AF_INET:
        return ntohs(a->sock.ipv4.sin_port);
    case AF_INET6:
        return ntohs(a->sock.ipv6.sin6_port);
    default:
        return 0;
    }
}

void takt_address_set_port(struct takt_address *a, uint16_t port)
{
    if (a->sock.any.sa_family == AF_INET)
        a->sock.ipv4.sin_port = htons(port);
    if (a->sock.any.sa_family == AF_INET6)
        a->sock.ipv6.sin6_port = htons(port);
}

bool takt_address_is_any(const struct takt_address *a)
{
    if (a->sock.any.sa_family == AF_INET)
        return a->sock.ipv4.sin_addr.s_addr == htonl(INADDR_ANY);
    return a->sock.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->sock.ipv6.sin6_addr);
}

bool takt_address_is_loopback(const struct takt_address *a)
{
    if (a->sock.any.sa_family == AF_INET)
        return ntohl(a->sock.ipv4.sin_addr.s_addr) >> 24 == 127;
    return a->sock.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->sock.ipv6.sin6_addr);
}

bool takt_address_is_multicast(const struct takt_address *a)
{
    if (a->sock.any.sa_family == AF_INET)
        return ntohl(a->sock.ipv4.sin_addr.s_addr) >> 28 == 14;
    return a->sock.any.sa_family == AF_INET6 && IN6_IS_ADDR_MULTICAST(&a->sock.ipv6.sin6_addr);
}

bool takt_address_equal(const struct takt_address *a, const struct takt_address *b)
{
    if (a->sock.any.sa_family != b->sock.any.sa_family ||
        takt_address_port(a) != takt_address_port(b))
        return false;
    if (a->sock.any.sa_family == AF_INET)
        return a->sock.ipv4.sin_addr.s_addr == b->sock.ipv4.sin_addr.s_addr;
    return !a->sock.any.sa_family ||
           (IN6_ARE_ADDR_EQUAL(&a->sock.ipv6.sin6_addr, &b->sock.ipv6.sin6_addr) &&
            a->sock.ipv6.sin6_scope_id == b->sock.ipv6.sin6_scope_id);
}

/* The name of an interface that is gone is its number. */
static void print_interface(uint32_t interface, char out[IF_NAMESIZE + 1])
{
    out[0] = '\0';
    if (!interface)
        return;
    out[0] = '%';
    if (!if_indextoname(interface, out + 1))
        snprintf(out + 1, IF_NAMESIZE, "%u", (unsigned)interface);
}

const char *takt_address_print(const struct takt_address *a, char out[TAKT_ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "", interface[IF_NAMESIZE + 1];
    print_interface(a->interface, interface);
    unsigned port = takt_address_port(a);
    if (a->sock.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->sock.ipv4.sin_addr, host, sizeof host);
        snprintf(out, TAKT_ADDRESS_TEXT_MAX, "%s%s:%u", host, interface, port);
    } else if (a->sock.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->sock.ipv6.sin6_addr, host, sizeof host);
        snprintf(out, TAKT_ADDRESS_TEXT_MAX, "[%s%s]:%u", host, interface, port);
    } else
        snprintf(out, TAKT_ADDRESS_TEXT_MAX, "none");
    return out;
}

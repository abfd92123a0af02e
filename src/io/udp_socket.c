/*
 * One socket serves both families where it is bound to "::", or sends to both; then it is an IPv6
 * one, and what is set for IPv4 is set on it as well.
 *
 * A group's socket is bound to the group, so that the port's other traffic does not come in, and
 * hears what it has joined itself, not what another program on the machine has.
 */
#include "io/udp_socket.h"

#include "base/fail.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int family_of(const struct takt_address *a)
{
    return a->sock.any.sa_family;
}

/* ---- Options --------------------------------------------------------------------------------- */

struct option {
    bool is_wanted;
    int level, name, value;
    const char *what;
};

static bool set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

static int set_all(int fd, const struct option *o, size_t count, struct takt_error *e)
{
    for (size_t i = 0; i < count; i++)
        if (o[i].is_wanted && !set(fd, o[i].level, o[i].name, o[i].value))
            return takt_fail(e, TAKT_ERR_SYSTEM, errno, "UDP socket: cannot set %s", o[i].what);
    return 0;
}

/* Beyond the system's limit where there is the right to, else up to it. */
static void set_buffer(int fd, int forced, int plain, uint32_t bytes)
{
    if (bytes && !set(fd, SOL_SOCKET, forced, (int)bytes))
        set(fd, SOL_SOCKET, plain, (int)bytes);
}

static uint32_t read_buffer(int fd, int name)
{
    int value = 0;
    socklen_t bytes = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &bytes) == 0 ? (uint32_t)value : 0;
}

static int set_options(const struct takt_udp_cfg *cfg, struct takt_udp_socket *s,
                       struct takt_error *e)
{
    bool ipv6 = s->is_ipv6, ipv4 = !s->is_ipv6 || s->is_both;
    bool hops = cfg->hops > 0, dscp = cfg->dscp != TAKT_UDP_DSCP_OFF;
    bool unheard = cfg->is_unheard_here, group = takt_address_is_multicast(&s->local);
    bool bound = !group && s->local.interface > 0;
    int ttl = (int)cfg->hops, tos = dscp ? cfg->dscp << 2 : 0, on = (int)s->local.interface;
    const struct option options[] = {
        {ipv6, IPPROTO_IPV6, IPV6_V6ONLY, !s->is_both, "IPV6_V6ONLY"},
        {ipv4, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO, "IP_MTU_DISCOVER"},
        {ipv6, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO, "IPV6_MTU_DISCOVER"},
        {ipv4 && dscp, IPPROTO_IP, IP_TOS, tos, "IP_TOS"},
        {ipv6 && dscp, IPPROTO_IPV6, IPV6_TCLASS, tos, "IPV6_TCLASS"},
        {ipv4 && hops, IPPROTO_IP, IP_TTL, ttl, "IP_TTL"},
        {ipv4 && hops, IPPROTO_IP, IP_MULTICAST_TTL, ttl, "IP_MULTICAST_TTL"},
        {ipv6 && hops, IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl, "IPV6_UNICAST_HOPS"},
        {ipv6 && hops, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl, "IPV6_MULTICAST_HOPS"},
        {ipv4 && unheard, IPPROTO_IP, IP_MULTICAST_LOOP, 0, "IP_MULTICAST_LOOP"},
        {ipv6 && unheard, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, "IPV6_MULTICAST_LOOP"},
        {group, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"},
        {bound, SOL_SOCKET, SO_BINDTOIFINDEX, on, "the interface"},
    };
    int err = set_all(s->fd, options, sizeof options / sizeof *options, e);
    if (err < 0)
        return err;
    /* There is something to hear without these as well. */
    if (ipv4)
        set(s->fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
    if (ipv6)
        set(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
    set(s->fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    set(s->fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    set_buffer(s->fd, SO_RCVBUFFORCE, SO_RCVBUF, cfg->receive_bytes);
    set_buffer(s->fd, SO_SNDBUFFORCE, SO_SNDBUF, cfg->send_bytes);
    s->receive_bytes = read_buffer(s->fd, SO_RCVBUF);
    s->send_bytes = read_buffer(s->fd, SO_SNDBUF);
    return 0;
}

/* ---- Binding and joining --------------------------------------------------------------------- */

static int bind_local(const struct takt_udp_socket *s, struct takt_error *e)
{
    char text[TAKT_ADDRESS_TEXT_MAX];
    socklen_t bytes = s->is_ipv6 ? sizeof s->local.sock.ipv6 : sizeof s->local.sock.ipv4;
    if (bind(s->fd, &s->local.sock.any, bytes) == 0)
        return 0;
    int why = errno;
    takt_address_print(&s->local, text);
    if (why == EADDRINUSE)
        return takt_fail(e, TAKT_ERR_IO, why,
                         "%s is taken; give another port, or end the program that has it "
                         "(`ss -ulpn` names it)",
                         text);
    if (why == EADDRNOTAVAIL)
        return takt_fail(e, TAKT_ERR_NOT_FOUND, why,
                         "%s is no address of this machine (`ip address` lists them)", text);
    return takt_fail(e, TAKT_ERR_IO, why, "cannot listen at %s", text);
}

/* An address without its port, as the calls to join take it. */
static void store(const struct takt_address *a, struct sockaddr_storage *to)
{
    struct takt_address bare = *a;
    takt_address_set_port(&bare, 0);
    memset(to, 0, sizeof *to);
    memcpy(to, &bare.sock, sizeof bare.sock);
}

static int join(const struct takt_udp_cfg *cfg, const struct takt_udp_socket *s,
                struct takt_error *e)
{
    struct group_req all = {.gr_interface = s->local.interface};
    struct group_source_req one = {.gsr_interface = s->local.interface};
    int level = s->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, err;
    store(&s->local, &all.gr_group);
    store(&s->local, &one.gsr_group);
    store(&cfg->source, &one.gsr_source);
    if (family_of(&cfg->source))
        err = setsockopt(s->fd, level, MCAST_JOIN_SOURCE_GROUP, &one, sizeof one);
    else
        err = setsockopt(s->fd, level, MCAST_JOIN_GROUP, &all, sizeof all);
    if (err == 0)
        return 0;
    char text[TAKT_ADDRESS_TEXT_MAX];
    int why = errno;
    takt_address_print(&s->local, text);
    return takt_fail(e, why == ENODEV ? TAKT_ERR_NOT_FOUND : TAKT_ERR_IO, why, "cannot join %s%s",
                     text,
                     s->local.interface ? "" : "; name an interface, as in 239.1.2.3%eth0:5004");
}

/* ---- Opening --------------------------------------------------------------------------------- */

static bool sends_to_ipv6(const struct takt_udp_cfg *cfg)
{
    for (uint32_t i = 0; i < cfg->to_count; i++)
        if (family_of(&cfg->to[i]) == AF_INET6)
            return true;
    return false;
}

static int choose_family(const struct takt_udp_cfg *cfg)
{
    if (family_of(&cfg->local))
        return family_of(&cfg->local);
    return sends_to_ipv6(cfg) || cfg->to_count == 0 ? AF_INET6 : AF_INET;
}

static void use_family(const struct takt_udp_cfg *cfg, int family, struct takt_udp_socket *s)
{
    s->is_ipv6 = family == AF_INET6;
    s->local = cfg->local;
    if (family_of(&cfg->local) != family) {
        memset(&s->local, 0, sizeof s->local);
        s->local.sock.any.sa_family = (sa_family_t)family;
        s->local.interface = cfg->local.interface;
        takt_address_set_port(&s->local, takt_address_port(&cfg->local));
    }
    s->is_both = s->is_ipv6 && takt_address_is_any(&s->local);
}

static int open_fd(const struct takt_udp_cfg *cfg, struct takt_udp_socket *s, struct takt_error *e)
{
    int family = choose_family(cfg), type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    use_family(cfg, family, s);
    s->fd = socket(family, type, 0);
    if (s->fd < 0 && errno == EAFNOSUPPORT && s->is_both && !sends_to_ipv6(cfg)) {
        use_family(cfg, AF_INET, s);
        s->fd = socket(AF_INET, type, 0);
    }
    if (s->fd >= 0)
        return 0;
    int why = errno;
    if (why == EAFNOSUPPORT)
        return takt_fail(e, TAKT_ERR_UNSUPPORTED, why, "this machine has no %s",
                         s->is_ipv6 ? "IPv6" : "IPv4");
    return takt_fail(e, TAKT_ERR_SYSTEM, why, "no UDP socket");
}

int takt_udp_socket_open(const struct takt_udp_cfg *cfg, struct takt_udp_socket *out,
                         struct takt_error *e)
{
    memset(out, 0, sizeof *out);
    int err = open_fd(cfg, out, e);
    if (err < 0)
        return err;
    err = set_options(cfg, out, e);
    if (!err)
        err = bind_local(out, e);
    if (!err && takt_address_is_multicast(&out->local))
        err = join(cfg, out, e);
    if (err < 0) {
        close(out->fd);
        out->fd = -1;
        return err;
    }
    takt_udp_socket_locate(out);
    return 0;
}

void takt_udp_socket_locate(struct takt_udp_socket *s)
{
    struct sockaddr_in6 at; /* the larger of the two */
    socklen_t bytes = sizeof at;
    uint32_t interface = s->local.interface;
    if (getsockname(s->fd, (struct sockaddr *)&at, &bytes) < 0)
        return;
    takt_address_from((struct sockaddr *)&at, &s->local);
    s->local.interface = interface;
}

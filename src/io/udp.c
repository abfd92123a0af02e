/*
 * Batches of datagrams through one socket that never blocks.
 *
 * What recvmmsg and sendmmsg are given is laid out once: for each place of a batch the packet's
 * memory, its sender and the kernel's remarks; for each destination its name as the socket takes
 * it, and the interface to leave by.
 *
 * A connected socket also gets the network's answers, each as the error of the next call, whatever
 * that call is about. So an error of sending counts only when it comes twice.
 *
 * Invariants: what the receiving thread writes the sending one does not touch; both count in
 * atomics. is_drained: the last batch left nothing behind, so the next call begins by waiting.
 */
#include "io/udp.h"

#include "base/assert.h"
#include "base/fail.h"
#include "base/touched.h"
#include "io/stamp.h"
#include "io/udp_socket.h"
#include "takt/time.h"

#include <errno.h>
#include <poll.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PACKETS_DEFAULT = 64,
    BYTES_DEFAULT = 2048,
    DSCP_DEFAULT = 46,
    RECEIVE_BYTES_DEFAULT = 1 << 20,
    BUFFER_BYTES_MAX = 1 << 28,
    ANSWERS_MAX = 64, /* taken in a row before the packets' turn comes again */
    MEASUREMENTS = 3,
    CLOSE_NS = 2000 /* two readings of a clock that nothing came between */
};

enum counter {
    RECEIVED,
    TRUNCATED,
    DROPPED,
    UNSTAMPED,
    SENT,
    TOO_LARGE,
    UNSENT,
    FAILED,
    REFUSED,
    UNREACHABLE,
    CLOCK_STEPS,
    COUNTERS
};

/* A place of the batch that is received. */
struct slot {
    struct sockaddr_in6 from; /* or a sockaddr_in, which is smaller */
    struct iovec piece;
    alignas(
        size_t) char remarks[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t))];
};

struct destination {
    struct sockaddr_in6 name; /* likewise */
    socklen_t name_bytes;     /* 0: none */
    size_t remarks_bytes;
    alignas(size_t) char remarks[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct takt_udp {
    struct takt_udp_socket s;
    int wake_fd;
    bool is_connected;
    uint32_t packets_max, bytes_max, to_max;

    /* The receiving thread's. */
    struct mmsghdr *in;
    struct slot *slots;
    uint8_t *bytes;
    bool is_drained;
    uint32_t drops_seen; /* as the kernel counts, modulo 2^32 */
    struct takt_stamp_clock clock;

    /* The sending thread's. */
    struct mmsghdr *out;
    struct iovec *pieces;
    struct destination *to;

    _Atomic uint64_t count[COUNTERS];
};

static void add(struct takt_udp *u, enum counter which, uint64_t n)
{
    if (n > 0)
        atomic_fetch_add_explicit(&u->count[which], n, memory_order_relaxed);
}

/* Counts what the network has to say about earlier packets; false when this is a mistake in the
 * call, which would be made again and again. */
static bool note_answer(struct takt_udp *u, int why)
{
    if (why == EBADF || why == EFAULT || why == EINVAL || why == ENOTSOCK)
        return false;
    add(u, why == ECONNREFUSED ? REFUSED : UNREACHABLE, 1);
    return true;
}

/* ---- Destinations ---------------------------------------------------------------------------- */

/* The kernel's way to say by which interface a packet leaves. For IPv4 that also says from which
 * address, even where the socket is bound to one. */
static void leave_by(const struct takt_udp *u, struct destination *d, bool is_ipv6,
                     uint32_t interface)
{
    const struct takt_address *local = &u->s.local;
    struct in_pktinfo by4 = {.ipi_ifindex = (int)interface};
    struct in6_pktinfo by6 = {.ipi6_ifindex = interface};
    struct cmsghdr *c = (struct cmsghdr *)(void *)d->remarks;
    size_t bytes = is_ipv6 ? sizeof by6 : sizeof by4;
    if (local->sock.any.sa_family == AF_INET && !takt_address_is_multicast(local))
        by4.ipi_spec_dst = local->sock.ipv4.sin_addr;
    c->cmsg_level = is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
    c->cmsg_type = is_ipv6 ? IPV6_PKTINFO : IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(c), is_ipv6 ? (void *)&by6 : (void *)&by4, bytes);
    d->remarks_bytes = CMSG_SPACE(bytes);
}

/* False when the socket cannot send there. */
static bool aim(const struct takt_udp *u, const struct takt_address *a, struct destination *d)
{
    memset(d, 0, sizeof *d);
    int family = a->sock.any.sa_family;
    if (family == 0)
        return true;
    if (family == AF_INET6 ? !u->s.is_ipv6 : u->s.is_ipv6 && !u->s.is_both)
        return false;
    if (family == AF_INET6) {
        d->name = a->sock.ipv6;
        d->name_bytes = sizeof a->sock.ipv6;
    } else if (!u->s.is_ipv6) {
        memcpy(&d->name, &a->sock.ipv4, sizeof a->sock.ipv4);
        d->name_bytes = sizeof a->sock.ipv4;
    } else {
        d->name.sin6_family = AF_INET6;
        d->name.sin6_port = a->sock.ipv4.sin_port;
        memset(d->name.sin6_addr.s6_addr + 10, 0xff, 2);
        memcpy(d->name.sin6_addr.s6_addr + 12, &a->sock.ipv4.sin_addr, 4);
        d->name_bytes = sizeof d->name;
    }
    if (a->interface)
        leave_by(u, d, family == AF_INET6, a->interface);
    return true;
}

int takt_udp_set_to(struct takt_udp *u, uint32_t index, const struct takt_address *a)
{
    struct destination d;
    if (index >= u->to_max)
        return TAKT_ERR_ARG;
    if (u->is_connected)
        return TAKT_ERR_STATE;
    if (!aim(u, a, &d))
        return TAKT_ERR_UNSUPPORTED;
    u->to[index] = d;
    return 0;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void fill_in(struct takt_udp_cfg *c)
{
    uint32_t least = c->to_count > 1 ? c->to_count : 1;
    c->packets_max = c->packets_max ? c->packets_max : PACKETS_DEFAULT;
    c->bytes_max = c->bytes_max ? c->bytes_max : BYTES_DEFAULT;
    c->to_max = c->to_max ? c->to_max : least;
    c->dscp = c->dscp ? c->dscp : DSCP_DEFAULT;
    c->receive_bytes = c->receive_bytes ? c->receive_bytes : RECEIVE_BYTES_DEFAULT;
}

static int check_number(const char *name, int64_t value, int64_t least, int64_t most,
                        struct takt_error *e)
{
    if (value >= least && value <= most)
        return 0;
    return takt_fail(e, TAKT_ERR_ARG, 0, "UDP socket: %s of %lld; give %lld to %lld", name,
                     (long long)value, (long long)least, (long long)most);
}

static int check_numbers(const struct takt_udp_cfg *c, struct takt_error *e)
{
    const struct {
        const char *name;
        int64_t value, least, most;
    } numbers[] = {
        {"packets_max", c->packets_max, 1, TAKT_UDP_PACKETS_MAX},
        {"bytes_max", c->bytes_max, 1, TAKT_UDP_BYTES_MAX},
        {"to_count", c->to_count, 0, TAKT_UDP_TO_MAX},
        {"to_max", c->to_max, c->to_count, TAKT_UDP_TO_MAX},
        {"hops", c->hops, 0, 255},
        {"dscp", c->dscp, TAKT_UDP_DSCP_OFF, 63},
        {"receive_bytes", c->receive_bytes, 0, BUFFER_BYTES_MAX},
        {"send_bytes", c->send_bytes, 0, BUFFER_BYTES_MAX},
    };
    int err = 0;
    for (size_t i = 0; !err && i < sizeof numbers / sizeof *numbers; i++)
        err = check_number(numbers[i].name, numbers[i].value, numbers[i].least, numbers[i].most, e);
    return err;
}

static int check_addresses(const struct takt_udp_cfg *c, struct takt_error *e)
{
    char text[TAKT_ADDRESS_TEXT_MAX];
    for (uint32_t i = 0; i < c->to_count; i++)
        if (takt_address_port(&c->to[i]) == 0 || takt_address_is_any(&c->to[i]))
            return takt_fail(e, TAKT_ERR_ARG, 0,
                             "%s is nowhere to send to; write the receiver's HOST:PORT",
                             takt_address_print(&c->to[i], text));
    if (c->is_connected && (c->to_count != 1 || takt_address_is_multicast(&c->to[0])))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "UDP socket: connected takes one destination that is no group");
    if (c->source.sock.any.sa_family &&
        (!takt_address_is_multicast(&c->local) ||
         c->source.sock.any.sa_family != c->local.sock.any.sa_family))
        return takt_fail(e, TAKT_ERR_ARG, 0,
                         "a source is for listening to a group of the same family, which %s is not",
                         takt_address_print(&c->local, text));
    return 0;
}

/* All of it at once, so that nothing has to be undone by halves: takt_udp_close takes any part. */
static bool take_memory(struct takt_udp *u)
{
    u->in = takt_calloc_touched(u->packets_max, sizeof *u->in);
    u->slots = takt_calloc_touched(u->packets_max, sizeof *u->slots);
    u->bytes = takt_calloc_touched(u->packets_max, u->bytes_max);
    u->out = takt_calloc_touched(u->packets_max, sizeof *u->out);
    u->pieces = takt_calloc_touched(u->packets_max, sizeof *u->pieces);
    u->to = takt_calloc_touched(u->to_max, sizeof *u->to);
    return u->in && u->slots && u->bytes && u->out && u->pieces && u->to;
}

/* Makes a place ready for the next packet: the kernel has written over the lengths. */
static void ready(struct takt_udp *u, uint32_t i)
{
    struct slot *s = &u->slots[i];
    s->piece = (struct iovec){u->bytes + (size_t)i * u->bytes_max, u->bytes_max};
    u->in[i].msg_hdr = (struct msghdr){.msg_name = &s->from,
                                       .msg_namelen = sizeof s->from,
                                       .msg_iov = &s->piece,
                                       .msg_iovlen = 1,
                                       .msg_control = s->remarks,
                                       .msg_controllen = sizeof s->remarks};
}

static int aim_all(struct takt_udp *u, const struct takt_udp_cfg *cfg, struct takt_error *e)
{
    char text[TAKT_ADDRESS_TEXT_MAX], from[TAKT_ADDRESS_TEXT_MAX];
    for (uint32_t i = 0; i < cfg->to_count; i++)
        if (!aim(u, &cfg->to[i], &u->to[i]))
            return takt_fail(
                e, TAKT_ERR_ARG, 0, "there is no way from %s to %s, which is of the other family",
                takt_address_print(&u->s.local, from), takt_address_print(&cfg->to[i], text));
    if (!cfg->is_connected)
        return 0;
    if (connect(u->s.fd, (struct sockaddr *)&u->to[0].name, u->to[0].name_bytes) < 0)
        return takt_fail(e, TAKT_ERR_IO, errno, "no way to %s",
                         takt_address_print(&cfg->to[0], text));
    u->is_connected = true;
    takt_udp_socket_locate(&u->s);
    return 0;
}

static int set_up(struct takt_udp *u, const struct takt_udp_cfg *cfg, struct takt_error *e)
{
    u->s.fd = -1;
    u->wake_fd = -1;
    u->is_drained = true;
    u->packets_max = cfg->packets_max;
    u->bytes_max = cfg->bytes_max;
    u->to_max = cfg->to_max;
    if (!take_memory(u))
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "UDP socket: no memory");
    for (uint32_t i = 0; i < u->packets_max; i++)
        ready(u, i);
    u->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (u->wake_fd < 0)
        return takt_fail(e, TAKT_ERR_SYSTEM, errno,
                         "UDP socket: no eventfd; raise the limit of open files");
    int err = takt_udp_socket_open(cfg, &u->s, e);
    return err < 0 ? err : aim_all(u, cfg, e);
}

int takt_udp_open(const struct takt_udp_cfg *given, struct takt_udp **out, struct takt_error *e)
{
    struct takt_udp_cfg cfg = *given;
    *out = NULL;
    fill_in(&cfg);
    int err = check_numbers(&cfg, e);
    if (!err)
        err = check_addresses(&cfg, e);
    if (err < 0)
        return err;
    struct takt_udp *u = takt_calloc_touched(1, sizeof *u);
    if (!u)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "UDP socket: no memory");
    err = set_up(u, &cfg, e);
    if (err < 0) {
        takt_udp_close(u);
        return err;
    }
    *out = u;
    return 0;
}

void takt_udp_close(struct takt_udp *u)
{
    if (!u)
        return;
    if (u->s.fd >= 0)
        close(u->s.fd);
    if (u->wake_fd >= 0)
        close(u->wake_fd);
    free(u->in);
    free(u->slots);
    free(u->bytes);
    free(u->out);
    free(u->pieces);
    free(u->to);
    free(u);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

/* Looks at both clocks; returns the time. A pair that something came between is taken again. */
static int64_t look_at_clocks(struct takt_udp *u)
{
    uint64_t steps = u->clock.steps;
    int64_t before_ns, after_ns;
    int tries = 0;
    do {
        struct timespec real;
        before_ns = takt_now_ns();
        clock_gettime(CLOCK_REALTIME, &real);
        after_ns = takt_now_ns();
        takt_stamp_measure(&u->clock, before_ns, real.tv_sec * 1000000000ll + real.tv_nsec,
                           after_ns);
    } while (after_ns - before_ns > CLOSE_NS && ++tries < MEASUREMENTS);
    add(u, CLOCK_STEPS, u->clock.steps - steps);
    return after_ns;
}

/* What the kernel noted on a packet: its stamp, and how many it has dropped so far. */
static void read_remarks(struct takt_udp *u, struct msghdr *h, int64_t now_ns,
                         struct takt_udp_packet *p)
{
    bool is_stamped = false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec real;
            memcpy(&real, CMSG_DATA(c), sizeof real);
            int64_t real_ns = real.tv_sec * 1000000000ll + real.tv_nsec;
            p->arrival_ns = takt_stamp_convert(&u->clock, real_ns, now_ns);
            is_stamped = true;
        } else if (c->cmsg_type == SO_RXQ_OVFL) {
            uint32_t drops;
            memcpy(&drops, CMSG_DATA(c), sizeof drops);
            add(u, DROPPED, (uint32_t)(drops - u->drops_seen));
            u->drops_seen = drops;
        }
    }
    if (!is_stamped)
        p->arrival_ns = now_ns;
    add(u, UNSTAMPED, !is_stamped);
}

static void hand_out(struct takt_udp *u, struct takt_udp_packet *out, uint32_t count)
{
    int64_t now_ns = look_at_clocks(u);
    for (uint32_t i = 0; i < count; i++) {
        struct mmsghdr *m = &u->in[i];
        struct takt_udp_packet *p = &out[i];
        p->data = u->slots[i].piece.iov_base;
        p->bytes = m->msg_len;
        p->is_truncated = m->msg_hdr.msg_flags & MSG_TRUNC;
        takt_address_from((struct sockaddr *)&u->slots[i].from, &p->from);
        read_remarks(u, &m->msg_hdr, now_ns, p);
        add(u, TRUNCATED, p->is_truncated);
        ready(u, i);
    }
    add(u, RECEIVED, count);
}

/* Waits for a packet; false when the time ran out, or something else ended the wait. */
static bool wait_for_packet(struct takt_udp *u, int64_t until_ns)
{
    struct pollfd p[] = {{.fd = u->s.fd, .events = POLLIN}, {.fd = u->wake_fd, .events = POLLIN}};
    int64_t left_ns = until_ns - takt_now_ns();
    left_ns = left_ns > 0 ? left_ns : 0;
    struct timespec t = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    int n = ppoll(p, 2, until_ns == INT64_MAX ? NULL : &t, NULL);
    if (n > 0 && p[1].revents) {
        eventfd_t wakes;
        eventfd_read(u->wake_fd, &wakes);
        return false;
    }
    return n > 0;
}

/* Takes what is there; returns how many, or the error. */
static int take(struct takt_udp *u, uint32_t max)
{
    for (int i = 0; i < ANSWERS_MAX; i++) {
        int n = recvmmsg(u->s.fd, u->in, max, MSG_DONTWAIT, NULL);
        if (n >= 0 || errno == EAGAIN)
            return n >= 0 ? n : 0;
        if (errno != EINTR && !note_answer(u, errno))
            return TAKT_ERR_IO;
    }
    return 0;
}

static int64_t end_of_wait(int64_t timeout_ns)
{
    int64_t now_ns = takt_now_ns();
    return timeout_ns < 0 || timeout_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + timeout_ns;
}

int takt_udp_receive(struct takt_udp *u, struct takt_udp_packet *out, uint32_t max,
                     int64_t timeout_ns)
{
    bool may_wait = timeout_ns != 0;
    int64_t until_ns = may_wait ? end_of_wait(timeout_ns) : 0;
    max = max < u->packets_max ? max : u->packets_max;
    if (max == 0)
        return 0;
    for (;;) {
        if (may_wait && u->is_drained)
            may_wait = wait_for_packet(u, until_ns);
        int n = take(u, max);
        if (n < 0)
            return n;
        u->is_drained = (uint32_t)n < max;
        if (n > 0)
            hand_out(u, out, (uint32_t)n);
        if (u->is_drained)
            takt_stamp_drained(&u->clock);
        if (n > 0 || !may_wait)
            return n;
    }
}

void takt_udp_wake(struct takt_udp *u)
{
    eventfd_write(u->wake_fd, 1);
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* Lays out as much of the list as goes into one call; returns how many. */
static uint32_t lay_out(struct takt_udp *u, const struct takt_udp_datagram *list, uint32_t count)
{
    uint32_t i = 0;
    for (; i < count && i < u->packets_max; i++) {
        TAKT_ASSERT(list[i].to < u->to_max);
        struct destination *d = &u->to[list[i].to];
        if (d->name_bytes == 0)
            break;
        u->pieces[i] = (struct iovec){(void *)list[i].data, list[i].bytes};
        u->out[i].msg_hdr = (struct msghdr){.msg_name = u->is_connected ? NULL : &d->name,
                                            .msg_namelen = u->is_connected ? 0 : d->name_bytes,
                                            .msg_iov = &u->pieces[i],
                                            .msg_iovlen = 1,
                                            .msg_control = d->remarks_bytes ? d->remarks : NULL,
                                            .msg_controllen = d->remarks_bytes};
    }
    return i;
}

/* How many went, at least 1, or -errno of the first. */
static int give(struct takt_udp *u, uint32_t count)
{
    int n;
    do
        n = sendmmsg(u->s.fd, u->out, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* The same, where an error may be the answer to an earlier packet: such a one comes once. */
static int give_past_answers(struct takt_udp *u, uint32_t count)
{
    int first = give(u, count);
    if (first >= 0 || !u->is_connected || first == -EAGAIN || first == -ENOBUFS)
        return first;
    int second = give(u, count);
    if (second >= 0 || first == -ECONNREFUSED)
        note_answer(u, -first);
    return second;
}

/* Gives up the first of the list, or all of it when there is no room for any; returns how many. */
static uint32_t give_up(struct takt_udp *u, struct takt_udp_datagram *list, uint32_t count, int why)
{
    count = why == EAGAIN ? count : 1;
    for (uint32_t i = 0; i < count; i++)
        list[i].error = why;
    if (why == EAGAIN || why == ENOBUFS)
        add(u, UNSENT, count);
    else
        add(u, why == EMSGSIZE ? TOO_LARGE : FAILED, count);
    return count;
}

uint32_t takt_udp_send(struct takt_udp *u, struct takt_udp_datagram *list, uint32_t count)
{
    uint32_t sent = 0;
    for (uint32_t at = 0; at < count;) {
        uint32_t laid = lay_out(u, list + at, count - at);
        int n = laid > 0 ? give_past_answers(u, laid) : -EDESTADDRREQ;
        for (int i = 0; i < n; i++)
            list[at + (uint32_t)i].error = 0;
        sent += n > 0 ? (uint32_t)n : 0;
        at += n > 0 ? (uint32_t)n : give_up(u, list + at, count - at, -n);
    }
    add(u, SENT, sent);
    return sent;
}

/* ---- Being asked ----------------------------------------------------------------------------- */

int takt_udp_fd(const struct takt_udp *u)
{
    return u->s.fd;
}

void takt_udp_local(const struct takt_udp *u, struct takt_address *out)
{
    *out = u->s.local;
}

static uint64_t read_count(const struct takt_udp *u, enum counter which)
{
    return atomic_load_explicit(&u->count[which], memory_order_relaxed);
}

void takt_udp_read_stats(const struct takt_udp *u, struct takt_udp_stats *out)
{
    *out = (struct takt_udp_stats){.received = read_count(u, RECEIVED),
                                   .truncated = read_count(u, TRUNCATED),
                                   .dropped = read_count(u, DROPPED),
                                   .unstamped = read_count(u, UNSTAMPED),
                                   .sent = read_count(u, SENT),
                                   .too_large = read_count(u, TOO_LARGE),
                                   .unsent = read_count(u, UNSENT),
                                   .failed = read_count(u, FAILED),
                                   .refused = read_count(u, REFUSED),
                                   .unreachable = read_count(u, UNREACHABLE),
                                   .clock_steps = read_count(u, CLOCK_STEPS),
                                   .receive_bytes = u->s.receive_bytes,
                                   .send_bytes = u->s.send_bytes};
}

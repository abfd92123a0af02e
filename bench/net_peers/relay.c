/*
 * bench-net_peers_relay - a network between two programs on one machine, with the faults of
 * sim/network.h in both directions.
 *
 *     relay SEED LISTEN DEST COUNT [NAME VALUE]...     relay 7 5000 6000 3 loss 0.05
 *
 * What comes to 127.0.0.1:LISTEN+i goes to DEST+i, and the answers go back, as a router with one
 * address does it: each sender keeps one port of the relay's, whichever of the ports it sends to,
 * and an answer from DEST+i comes to it from LISTEN+i. All ports share one path. For each line on
 * stdin it prints what has passed so far, as JSON; it ends when stdin does.
 */
#include "sim/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORTS_MAX = 8, PEERS_MAX = 8, TAG = 2, ROOM = 9000, HEADERS = 28, AT_ONCE = 16 };

/* Who sends to the relay, and the socket that stands for it on the other side. */
struct peer {
    struct sockaddr_in address;
    int fd;
};

struct path {
    struct takt_network *network;
    uint64_t packets, bytes; /* that were sent into it, with the headers of IP and UDP */
};

static int port_count, peer_count;
static int listener[PORTS_MAX];
static struct sockaddr_in dest[PORTS_MAX];
static struct peer peers[PEERS_MAX];
static struct path forth, back;
static uint64_t foreign; /* that came from somewhere else, or of more senders than there is room */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct sockaddr_in local(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static bool is_same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static int bound_socket(int port)
{
    struct sockaddr_in a = local(port);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), bytes = 1 << 20;
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        fprintf(stderr, "relay: port %d: %s\n", port, strerror(errno));
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return fd;
}

static int peer_of(const struct sockaddr_in *address)
{
    for (int i = 0; i < peer_count; i++)
        if (is_same(&peers[i].address, address))
            return i;
    int fd = peer_count < PEERS_MAX ? bound_socket(0) : -1;
    if (fd < 0)
        return -1;
    peers[peer_count] = (struct peer){*address, fd};
    return peer_count++;
}

static int port_of(const struct sockaddr_in *from)
{
    for (int i = 0; i < port_count; i++)
        if (is_same(&dest[i], from))
            return i;
    return -1;
}

/* A packet travels with two bytes before it: whose it is, and which port. */
static void enter(struct path *p, int64_t now, uint8_t *packet, size_t bytes, int peer, int port)
{
    if (peer < 0 || port < 0) {
        foreign++;
        return;
    }
    packet[0] = (uint8_t)peer;
    packet[1] = (uint8_t)port;
    p->packets++;
    p->bytes += bytes + HEADERS;
    takt_network_send(p->network, now, packet, bytes + TAG);
}

/* Everything that waits at a socket; port is -1 where it is a peer's, and peer where it is not. */
static void read_all(int fd, int peer, int port)
{
    static uint8_t packet[AT_ONCE][ROOM];
    static struct sockaddr_in from[AT_ONCE];
    struct iovec part[AT_ONCE];
    struct mmsghdr m[AT_ONCE] = {0};
    for (int i = 0; i < AT_ONCE; i++) {
        part[i] = (struct iovec){packet[i] + TAG, ROOM - TAG};
        m[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                       .msg_namelen = sizeof from[i],
                                       .msg_iov = &part[i],
                                       .msg_iovlen = 1};
    }
    int count = recvmmsg(fd, m, AT_ONCE, MSG_DONTWAIT, NULL);
    int64_t now = now_ns();
    for (int i = 0; i < count; i++) {
        if (port >= 0)
            enter(&forth, now, packet[i], m[i].msg_len, peer_of(&from[i]), port);
        else
            enter(&back, now, packet[i], m[i].msg_len, peer, port_of(&from[i]));
    }
}

static void leave(struct path *p)
{
    uint8_t packet[ROOM];
    int64_t arrival, now = now_ns();
    for (int bytes; (bytes = takt_network_next(p->network, now, &arrival, packet, ROOM)) > 0;) {
        const struct peer *peer = &peers[packet[0]];
        int fd = p == &forth ? peer->fd : listener[packet[1]];
        const struct sockaddr_in *to = p == &forth ? &dest[packet[1]] : &peer->address;
        sendto(fd, packet + TAG, (size_t)(bytes - TAG), MSG_DONTWAIT, (const struct sockaddr *)to,
               sizeof *to);
    }
}

static void tell(void)
{
    struct takt_network_stats f = takt_network_stats(forth.network),
                              b = takt_network_stats(back.network);
    printf("{\"ns\":%lld,\"packets\":%llu,\"bytes\":%llu,\"lost\":%llu,\"back_packets\":%llu,"
           "\"back_bytes\":%llu,\"back_lost\":%llu,\"foreign\":%llu}\n",
           (long long)now_ns(), (unsigned long long)forth.packets, (unsigned long long)forth.bytes,
           (unsigned long long)(f.lost + f.queue_drops), (unsigned long long)back.packets,
           (unsigned long long)back.bytes, (unsigned long long)(b.lost + b.queue_drops),
           (unsigned long long)foreign);
    fflush(stdout);
}

/* Returns false when stdin ended. */
static bool answer(void)
{
    char text[64];
    ssize_t bytes = read(0, text, sizeof text);
    for (ssize_t i = 0; i < bytes; i++)
        if (text[i] == '\n')
            tell();
    return bytes > 0;
}

static void serve(void)
{
    for (;;) {
        struct pollfd p[1 + PORTS_MAX + PEERS_MAX] = {{.fd = 0, .events = POLLIN}};
        int ports = port_count, count = peer_count;
        for (int i = 0; i < ports; i++)
            p[1 + i] = (struct pollfd){.fd = listener[i], .events = POLLIN};
        for (int i = 0; i < count; i++)
            p[1 + ports + i] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
        int64_t next = takt_network_next_ns(forth.network),
                other = takt_network_next_ns(back.network);
        next = other < next ? other : next;
        int64_t wait = next == INT64_MAX ? 0 : next - now_ns();
        wait = wait < 0 ? 0 : wait;
        struct timespec timeout = {wait / 1000000000, wait % 1000000000};
        if (ppoll(p, (nfds_t)(1 + ports + count), next == INT64_MAX ? NULL : &timeout, NULL) < 0 &&
            errno != EINTR)
            return;
        for (int i = 0; i < ports; i++)
            if (p[1 + i].revents)
                read_all(listener[i], -1, i);
        for (int i = 0; i < count; i++)
            if (p[1 + ports + i].revents)
                read_all(peers[i].fd, i, -1);
        leave(&forth);
        leave(&back);
        if (p[0].revents && !answer())
            return;
    }
}

static int make_paths(uint64_t seed, char **options, int count)
{
    struct takt_network_cfg cfg = {.bytes_max = ROOM};
    struct takt_error e;
    for (int i = 0; i + 1 < count; i += 2)
        if (takt_network_parse(options[i], options[i + 1], &cfg, &e) < 0) {
            fprintf(stderr, "relay: %s\n", e.text);
            return -1;
        }
    if (takt_network_create(&cfg, seed, &forth.network, &e) < 0 ||
        takt_network_create(&cfg, seed + 1, &back.network, &e) < 0) {
        fprintf(stderr, "relay: %s\n", e.text);
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    port_count = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 0;
    if (port_count < 1 || port_count > PORTS_MAX || argc % 2 == 0) {
        fprintf(stderr, "usage: relay SEED LISTEN DEST COUNT [NAME VALUE]...\n");
        return 2;
    }
    if (make_paths(strtoull(argv[1], NULL, 10), argv + 5, argc - 5) < 0)
        return 1;
    for (int i = 0; i < port_count; i++) {
        listener[i] = bound_socket((int)strtol(argv[2], NULL, 10) + i);
        dest[i] = local((int)strtol(argv[3], NULL, 10) + i);
        if (listener[i] < 0)
            return 1;
    }
    /* It stands for a wire, so it should come first; but it goes on where it may not. */
    mlockall(MCL_CURRENT);
    prctl(PR_SET_TIMERSLACK, 1);
    if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 75}) < 0)
        fprintf(stderr, "relay: not real-time: %s\n", strerror(errno));
    serve();
    takt_network_destroy(forth.network);
    takt_network_destroy(back.network);
    return 0;
}

/*
 * io/udp.h - datagrams in batches: received with the kernel's arrival stamps, sent to many.
 *
 *     struct takt_udp_packet p[32];
 *     takt_udp_open(&(struct takt_udp_cfg){.local = here}, &u, &e);
 *     while (!stop) {                                     // takt_udp_wake(u) from elsewhere
 *         int n = takt_udp_receive(u, p, 32, -1);
 *         for (int i = 0; i < n; i++)
 *             hear(p[i].data, p[i].bytes, p[i].arrival_ns);
 *     }
 *
 *     takt_udp_open(&(struct takt_udp_cfg){.to = addresses, .to_count = 2}, &u, &e);
 *     takt_udp_send(u, (struct takt_udp_datagram[]){{x, n, .to = 0}, {x, n, .to = 1}}, 2);
 *
 * All memory is taken by takt_udp_open. Nothing is ever fragmented: what is larger than the path
 * takes is refused with EMSGSIZE and counted.
 *
 * Arrival stamps are taken by the kernel when it takes the packet from the network card (or from
 * loopback), and brought to CLOCK_MONOTONIC within 1 us, usually 0.1 us. Setting the wall clock
 * does not disturb them: see io/stamp.h. Between the wire and the stamp lie the card and its
 * interrupt, some 10 us to 100 us. Where no other program has asked for stamps, the kernel needs a
 * moment to begin: until then, some ms at most, a packet is stamped as it is read.
 *
 * Threads: one that receives, one that sends; takt_udp_wake, _fd, _local and _read_stats from any.
 */
#ifndef TAKT_IO_UDP_H
#define TAKT_IO_UDP_H

#include "io/address.h"

#include <stddef.h>

struct takt_udp;

enum {
    TAKT_UDP_DSCP_OFF = -1,
    TAKT_UDP_PACKETS_MAX = 1024, /* in one system call */
    TAKT_UDP_BYTES_MAX = 65535,
    TAKT_UDP_TO_MAX = 1024
};

/* A zero field takes its default. */
struct takt_udp_cfg {
    /* Where to listen: an address of this machine, a multicast group (which is joined, on its
     * interface where it names one), or "::", all addresses, IPv4 and IPv6. Port 0, and none at
     * all: a port of the system's choice. */
    struct takt_address local;
    struct takt_address source; /* of a group, hear this sender alone; default: all. No port */

    const struct takt_address *to; /* destinations, by whose index is sent */
    uint32_t to_count;             /* 0..1024 */
    uint32_t to_max;               /* room for takt_udp_set_to; default to_count, and at least 1 */
    /* Send to and hear only to[0], and be told when nobody listens there. to_count is 1 then. */
    bool is_connected;

    uint32_t packets_max;   /* in one batch, 1..1024, default 64 */
    uint32_t bytes_max;     /* of a received packet, up to 65535, default 2048 */
    uint32_t hops;          /* TTL, 1..255; default 1 for multicast, the system's for the rest */
    int dscp;               /* 1..63; default 46 (EF); TAKT_UDP_DSCP_OFF: as any packet */
    bool is_unheard_here;   /* multicast that is sent is not heard on this machine */
    uint32_t receive_bytes; /* the kernel's buffer, up to 2^28; default 1 MiB */
    uint32_t send_bytes;    /* likewise; default: the system's */
};

/* As received. An IPv4 sender is one also where both families are heard. */
struct takt_udp_packet {
    uint8_t *data; /* may be written to; valid until the next takt_udp_receive */
    uint32_t bytes;
    bool is_truncated;  /* there were more than bytes_max */
    int64_t arrival_ns; /* CLOCK_MONOTONIC */
    struct takt_address from;
};

struct takt_udp_datagram {
    const void *data;
    uint32_t bytes;
    uint32_t to; /* index of the destination */
    int error;   /* out: 0 when the kernel took it, else errno, such as EMSGSIZE */
};

/* Since takt_udp_open. */
struct takt_udp_stats {
    uint64_t received, truncated;
    uint64_t dropped;   /* by the kernel, its buffer being full; as of the last packet received */
    uint64_t unstamped; /* without the kernel's stamp: arrival_ns is when they were read */
    uint64_t sent;      /* taken by the kernel */
    uint64_t too_large; /* EMSGSIZE: more than the path takes at once */
    uint64_t unsent;    /* the kernel's buffer was full (EAGAIN, ENOBUFS) */
    uint64_t failed;    /* not sent for another reason: no route, a rule against it */
    uint64_t refused;   /* answers, while connected, that nobody listens there; not all are seen */
    uint64_t unreachable;               /* other such answers of the network */
    uint64_t clock_steps;               /* how often the wall clock was seen to be set */
    uint32_t receive_bytes, send_bytes; /* the kernel's buffers, as it counts them */
};

/* Opens, binds and joins.
 * Errors: TAKT_ERR_ARG; _NOMEM; _UNSUPPORTED (no IPv6 here); _NOT_FOUND (the address or the
 * interface is not one of this machine); _IO (the port is taken, no right to it); _SYSTEM. *out is
 * NULL then. Thread: any. RT: no. */
int takt_udp_open(const struct takt_udp_cfg *cfg, struct takt_udp **out, struct takt_error *e);

/* Takes NULL. All threads must have ended with it. Thread: any. RT: no. */
void takt_udp_close(struct takt_udp *u);

/* Waits for up to timeout_ns (0: not at all, < 0: without end) until there are packets, and takes
 * up to max of them, oldest first. Returns how many: 0 when the time ran out, or at once after
 * takt_udp_wake or a signal. Answers of the network are counted and do not end the wait.
 * Errors: TAKT_ERR_IO with errno, from which there is no way back. Thread: the receiving one.
 * RT: no (system calls, no memory). */
int takt_udp_receive(struct takt_udp *u, struct takt_udp_packet *out, uint32_t max,
                     int64_t timeout_ns);

/* Ends the receiving thread's wait, or its next one. Thread: any. RT: no (a system call). */
void takt_udp_wake(struct takt_udp *u);

/* Sends each of list[count], in this order, without waiting. Returns how many the kernel took; the
 * others say why in `error`. Thread: the sending one. RT: no (system calls, no memory). */
uint32_t takt_udp_send(struct takt_udp *u, struct takt_udp_datagram *list, uint32_t count);

/* Sets or changes destination `index`, below to_max; none: nothing is sent there.
 * Errors: TAKT_ERR_ARG: no such index; TAKT_ERR_UNSUPPORTED: not of the socket's family;
 * TAKT_ERR_STATE: it is connected. Thread: the sending one. RT: no. */
int takt_udp_set_to(struct takt_udp *u, uint32_t index, const struct takt_address *a);

/* To poll for POLLIN; takt_udp_wake does not show on it. Thread: any. RT: yes (wait-free). */
int takt_udp_fd(const struct takt_udp *u);

/* Where it listens, with the port that the system chose. Thread: any. RT: yes (wait-free). */
void takt_udp_local(const struct takt_udp *u, struct takt_address *out);

/* Thread: any. RT: yes (wait-free). Each number is right, all together not of one instant. */
void takt_udp_read_stats(const struct takt_udp *u, struct takt_udp_stats *out);

#endif

/*
 * io/udp_socket.h - the socket behind takt_udp: which family it is of, and all that is set before
 * the first packet.
 */
#ifndef TAKT_IO_UDP_SOCKET_H
#define TAKT_IO_UDP_SOCKET_H

#include "io/udp.h"

struct takt_udp_socket {
    int fd;       /* does not block */
    bool is_ipv6; /* its addresses are struct sockaddr_in6 */
    bool is_both; /* and IPv4 ones are mapped into them */
    struct takt_address local;
    uint32_t receive_bytes, send_bytes;
};

/* Opens, sets, binds and joins, but does not connect. The settings are in range already.
 * Errors: as of takt_udp_open; no descriptor is left open then. Thread: any. RT: no. */
int takt_udp_socket_open(const struct takt_udp_cfg *cfg, struct takt_udp_socket *out,
                         struct takt_error *e);

/* Where the socket is, as the kernel says. Thread: any. RT: no. */
void takt_udp_socket_locate(struct takt_udp_socket *s);

#endif

/*
 * io/address.h - where a datagram comes from or goes to: an address, a port and, where it matters,
 * the network interface.
 *
 *     struct takt_address a;
 *     struct takt_error e;
 *     if (takt_address_parse("239.1.2.3:70000", 5004, &a, &e) < 0)
 *         return takt_die(&e); // "239.1.2.3:70000: 70000 is no port; write 1 to 65535"
 *
 *     192.0.2.1:5004    [2001:db8::1]:5004    studio.local:5004    a host and a port
 *     192.0.2.1         [2001:db8::1]         studio.local         the default port
 *     :5004                                                        all addresses of this machine
 *     239.1.2.3%eth0:5004    239.1.2.3:5004%eth0    [ff02::1%eth0]:5004    on that interface, by
 *                                                                  its name or its number
 */
#ifndef TAKT_IO_ADDRESS_H
#define TAKT_IO_ADDRESS_H

#include "takt/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { TAKT_ADDRESS_TEXT_MAX = 80 }; /* of an address in words, with its NUL */

/* All zeros: none. An IPv4 address is never held as an IPv6 one. */
struct takt_address {
    union {
        struct sockaddr any; /* any.sa_family: AF_INET, AF_INET6, or 0 for none */
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } sock;
    uint32_t interface; /* its number; 0: the system chooses */
};

/* Reads one of the forms above. port_default: 1..65535, or 0 where a port has to be given. A name
 * is looked up, which may take seconds, and its first address taken. ":5004" is the IPv6 address
 * "::". An address that means something on one link only (fe80::, ff02::) needs its interface.
 * Errors: TAKT_ERR_ARG, TAKT_ERR_NOT_FOUND (host or interface), TAKT_ERR_IO (no name server
 * answers); *out is none then. Thread: any. RT: no. */
int takt_address_parse(const char *text, uint16_t port_default, struct takt_address *out,
                       struct takt_error *e);

/* "192.0.2.1:5004", "[ff02::1%eth0]:5004"; takt_address_parse reads it back. "none" for none.
 * Returns out. Thread: any. RT: no (it asks for the interface's name). */
const char *takt_address_print(const struct takt_address *a, char out[TAKT_ADDRESS_TEXT_MAX]);

/* From what the kernel says; an IPv4 address in IPv6's clothes (::ffff:192.0.2.1) becomes one.
 * Thread: any. RT: yes (wait-free). */
void takt_address_from(const struct sockaddr *s, struct takt_address *out);

/* 0 for none. Thread: any. RT: yes (wait-free), both calls. */
uint16_t takt_address_port(const struct takt_address *a);
void takt_address_set_port(struct takt_address *a, uint16_t port);

/* All are false for none: 0.0.0.0 or ::; 127.0.0.0/8 or ::1; 224.0.0.0/4 or ff00::/8.
 * Thread: any. RT: yes (wait-free), all calls. */
bool takt_address_is_any(const struct takt_address *a);
bool takt_address_is_loopback(const struct takt_address *a);
bool takt_address_is_multicast(const struct takt_address *a);

/* Whether both are the same address and port, on the same link where that is part of the address.
 * Thread: any. RT: yes (wait-free). */
bool takt_address_equal(const struct takt_address *a, const struct takt_address *b);

#endif

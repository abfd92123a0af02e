#include "endpoint/common.h"

#include "base/fail.h"
#include "takt/time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* ---- Addresses --------------------------------------------------------------------------------
 * Byte 0 is the family, 4 or 6; 1..16 the host, 17..18 of its scope; from 20 on the port. */

enum { HOST = 1, SCOPE = 17, PORT = TAKT_INLET_HOST_BYTES };

void takt_peer_from_address(const struct takt_address *a, struct takt_inlet_peer *out)
{
    memset(out, 0, sizeof *out);
    if (a->sock.any.sa_family == AF_INET) {
        out->bytes[0] = 4;
        memcpy(out->bytes + HOST, &a->sock.ipv4.sin_addr, 4);
    } else if (a->sock.any.sa_family == AF_INET6) {
        uint16_t scope = (uint16_t)a->sock.ipv6.sin6_scope_id;
        out->bytes[0] = 6;
        memcpy(out->bytes + HOST, &a->sock.ipv6.sin6_addr, 16);
        memcpy(out->bytes + SCOPE, &scope, sizeof scope);
    }
    uint16_t port = takt_address_port(a);
    memcpy(out->bytes + PORT, &port, sizeof port);
}

void takt_peer_to_address(const struct takt_inlet_peer *p, struct takt_address *out)
{
    memset(out, 0, sizeof *out);
    uint16_t port, scope;
    memcpy(&port, p->bytes + PORT, sizeof port);
    memcpy(&scope, p->bytes + SCOPE, sizeof scope);
    if (p->bytes[0] == 4) {
        out->sock.ipv4.sin_family = AF_INET;
        memcpy(&out->sock.ipv4.sin_addr, p->bytes + HOST, 4);
    } else if (p->bytes[0] == 6) {
        out->sock.ipv6.sin6_family = AF_INET6;
        out->sock.ipv6.sin6_scope_id = scope;
        out->interface = scope;
        memcpy(&out->sock.ipv6.sin6_addr, p->bytes + HOST, 16);
    }
    if (p->bytes[0])
        takt_address_set_port(out, port);
}

bool takt_endpoint_shift_port(struct takt_address *a, uint32_t by)
{
    uint32_t port = takt_address_port(a) + by;
    if (port > 65535)
        return false;
    takt_address_set_port(a, (uint16_t)port);
    return true;
}

/* ---- Chance and clocks ------------------------------------------------------------------------
 */

int takt_endpoint_draw(void *out, size_t bytes, struct takt_error *e)
{
    ssize_t got;
    do
        got = getrandom(out, bytes, 0); /* of up to 256 bytes: in full or not at all */
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)bytes)
        return 0;
    return takt_fail(e, TAKT_ERR_SYSTEM, errno, "the system has no random numbers");
}

int takt_endpoint_cname(char out[TAKT_ENDPOINT_CNAME_BYTES], struct takt_error *e)
{
    uint64_t chance;
    int err = takt_endpoint_draw(&chance, sizeof chance, e);
    snprintf(out, TAKT_ENDPOINT_CNAME_BYTES, "%016llx", err < 0 ? 0 : (unsigned long long)chance);
    return err;
}

/* Of some pairs of looks the one that nothing came between. */
int64_t takt_endpoint_wall_ns(void)
{
    int64_t best_ns = INT64_MAX, difference_ns = 0;
    for (int i = 0; i < 4; i++) {
        struct timespec wall;
        int64_t before_ns = takt_now_ns();
        clock_gettime(CLOCK_REALTIME, &wall);
        int64_t took_ns = takt_now_ns() - before_ns;
        if (took_ns < best_ns) {
            best_ns = took_ns;
            difference_ns = wall.tv_sec * 1000000000ll + wall.tv_nsec - (before_ns + took_ns / 2);
        }
    }
    return difference_ns;
}

int64_t takt_endpoint_cpu_ns(void)
{
    struct timespec used = {0, 0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * 1000000000ll + used.tv_nsec;
}

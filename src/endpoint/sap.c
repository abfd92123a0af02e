#include "endpoint/sap.h"

#include "base/fail.h"
#include "io/udp.h"
#include "wire/sap.h"

#include <stdlib.h>
#include <string.h>

#define GROUP "239.255.255.255:9875"
enum { PACKET_BYTES_MAX = 1400 };
static const int64_t interval_ns = 30000000000;

struct takt_announcer {
    struct takt_udp *udp;
    struct takt_sap sap;
    int64_t due_ns;
    bool has_begun;
    uint8_t packet[PACKET_BYTES_MAX];
    char sdp[];
};

static void send_packet(struct takt_announcer *a)
{
    int bytes = takt_sap_write(&a->sap, a->packet, sizeof a->packet);
    struct takt_udp_datagram d = {.data = a->packet, .bytes = (uint32_t)bytes};
    if (bytes > 0)
        takt_udp_send(a->udp, &d, 1);
}

int takt_announcer_create(const struct takt_address *from, const char *sdp, size_t sdp_bytes,
                          uint32_t hops, struct takt_announcer **out, struct takt_error *e)
{
    *out = NULL;
    struct takt_address group;
    int err = takt_address_parse(GROUP, 0, &group, e);
    if (err < 0)
        return err;
    struct takt_announcer *a = calloc(1, sizeof *a + sdp_bytes);
    if (!a)
        return takt_fail(e, TAKT_ERR_NOMEM, 0, "no memory for announcements");
    memcpy(a->sdp, sdp, sdp_bytes);
    a->sap = (struct takt_sap){.is_ipv6 = from->sock.any.sa_family == AF_INET6,
                               .hash = takt_sap_hash(sdp, sdp_bytes),
                               .payload = (const uint8_t *)a->sdp,
                               .payload_bytes = sdp_bytes};
    if (a->sap.is_ipv6)
        memcpy(a->sap.origin, &from->sock.ipv6.sin6_addr, 16);
    else
        memcpy(a->sap.origin, &from->sock.ipv4.sin_addr, 4);
    err = takt_udp_open(
        &(struct takt_udp_cfg){
            .to = &group, .to_count = 1, .hops = hops, .dscp = TAKT_UDP_DSCP_OFF},
        &a->udp, e);
    if (err < 0) {
        free(a);
        return err;
    }
    *out = a;
    return 0;
}

void takt_announcer_destroy(struct takt_announcer *a)
{
    if (!a)
        return;
    a->sap.is_delete = true;
    if (a->has_begun)
        send_packet(a);
    takt_udp_close(a->udp);
    free(a);
}

void takt_announcer_tick(struct takt_announcer *a, int64_t now_ns)
{
    if (a->has_begun && now_ns < a->due_ns)
        return;
    a->has_begun = true;
    a->due_ns = now_ns + interval_ns;
    send_packet(a);
}

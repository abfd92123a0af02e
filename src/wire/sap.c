#include "wire/sap.h"

#include "wire/bytes.h"

enum {
    VERSION = 1,
    IPV6 = 0x10,
    DELETE = 0x04,
    ENCRYPTED = 0x02,
    COMPRESSED = 0x01,
    HEAD_BYTES = 4
};

int takt_sap_parse(const uint8_t *in, size_t bytes, struct takt_sap *out)
{
    if (bytes < HEAD_BYTES || in[0] >> 5 != VERSION)
        return TAKT_ERR_FORMAT;
    if (in[0] & (ENCRYPTED | COMPRESSED))
        return TAKT_ERR_UNSUPPORTED;
    *out = (struct takt_sap){
        .is_delete = in[0] & DELETE,
        .is_ipv6 = in[0] & IPV6,
        .hash = takt_be16(in + 2),
        .auth_bytes = 4 * (size_t)in[1],
    };
    size_t origin = out->is_ipv6 ? 16 : 4, at = HEAD_BYTES + origin;
    if (bytes < at + out->auth_bytes)
        return TAKT_ERR_FORMAT;
    memcpy(out->origin, in + HEAD_BYTES, origin);
    out->auth = in + at;
    at += out->auth_bytes;
    /* The type may be left out before SDP, which is then known by its first line. */
    if (bytes - at < 3 || memcmp(in + at, "v=0", 3) != 0) {
        const uint8_t *nul = bytes > at ? memchr(in + at, 0, bytes - at) : NULL;
        if (!nul)
            return TAKT_ERR_FORMAT;
        out->type = (const char *)in + at;
        out->type_bytes = (size_t)(nul - (in + at));
        at += out->type_bytes + 1;
    }
    out->payload = in + at;
    out->payload_bytes = bytes - at;
    return 0;
}

int takt_sap_write(const struct takt_sap *a, uint8_t *out, size_t room)
{
    const char *type = a->type ? a->type : TAKT_SAP_TYPE_SDP;
    size_t type_bytes = a->type ? a->type_bytes : sizeof TAKT_SAP_TYPE_SDP - 1;
    bool looks_like_sdp = type_bytes >= 3 && memcmp(type, "v=0", 3) == 0;
    if (a->auth_bytes % 4 != 0 || a->auth_bytes / 4 > UINT8_MAX || looks_like_sdp ||
        (type_bytes && memchr(type, 0, type_bytes)))
        return TAKT_ERR_ARG;
    struct takt_pen pen = takt_pen_at(out, room);
    takt_pen_u8(&pen,
                (unsigned)(VERSION << 5 | (a->is_ipv6 ? IPV6 : 0) | (a->is_delete ? DELETE : 0)));
    takt_pen_u8(&pen, (unsigned)(a->auth_bytes / 4));
    takt_pen_u16(&pen, a->hash);
    takt_pen_bytes(&pen, a->origin, a->is_ipv6 ? 16 : 4);
    takt_pen_bytes(&pen, a->auth, a->auth_bytes);
    takt_pen_bytes(&pen, type, type_bytes);
    takt_pen_u8(&pen, 0);
    takt_pen_bytes(&pen, a->payload, a->payload_bytes);
    return takt_pen_done(&pen);
}

bool takt_sap_is_sdp(const struct takt_sap *a)
{
    size_t want = sizeof TAKT_SAP_TYPE_SDP - 1;
    return !a->type || (a->type_bytes == want && memcmp(a->type, TAKT_SAP_TYPE_SDP, want) == 0);
}

uint16_t takt_sap_hash(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint32_t hash = 0x811c9dc5;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * 0x01000193;
    uint16_t folded = (uint16_t)(hash >> 16 ^ hash);
    return folded ? folded : 1;
}

/* An announcement that parses can be written, and says the same again. */
#include "fuzz.h"
#include "takt/error.h"
#include "wire/bytes.h"
#include "wire/sap.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t bytes)
{
    static uint8_t out[1 << 17];
    struct takt_sap a, b;
    if (takt_sap_parse(in, bytes, &a) < 0 || bytes > sizeof out / 2)
        return 0;
    TAKT_ASSERT(a.payload + a.payload_bytes == in + bytes);
    int n = takt_sap_write(&a, out, sizeof out);
    TAKT_ASSERT(n > 0 && takt_sap_parse(out, (size_t)n, &b) == 0);
    TAKT_ASSERT(a.is_delete == b.is_delete && a.is_ipv6 == b.is_ipv6 && a.hash == b.hash);
    TAKT_ASSERT(memcmp(a.origin, b.origin, sizeof a.origin) == 0);
    TAKT_ASSERT(a.auth_bytes == b.auth_bytes && memcmp(a.auth, b.auth, a.auth_bytes) == 0);
    TAKT_ASSERT(takt_sap_is_sdp(&a) == takt_sap_is_sdp(&b));
    TAKT_ASSERT(a.payload_bytes == b.payload_bytes);
    TAKT_ASSERT(memcmp(a.payload, b.payload, a.payload_bytes) == 0);
    TAKT_ASSERT(takt_sap_write(&a, out, (size_t)n - 1) == TAKT_ERR_FULL);
    return 0;
}

/* A description that parses can be written, in one way only; and an error says what it is. */
#include "fuzz.h"
#include "takt/error.h"
#include "wire/sdp.h"

#include <string.h>

enum { TEXT_MAX = 1 << 17 };

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t bytes)
{
    static struct takt_sdp sdp;
    static char text[TEXT_MAX], again[TEXT_MAX];
    struct takt_error e = {0};
    if (takt_sdp_parse((const char *)in, bytes, &sdp, &e) < 0) {
        TAKT_ASSERT(e.code != TAKT_OK && strncmp(e.text, "SDP", 3) == 0);
        return 0;
    }
    int n = takt_sdp_write(&sdp, text, sizeof text, &e);
    TAKT_ASSERT(n > 0 && text[n] == 0 && strlen(text) == (size_t)n);
    TAKT_ASSERT(takt_sdp_parse(text, (size_t)n, &sdp, &e) == 0);
    TAKT_ASSERT(takt_sdp_write(&sdp, again, sizeof again, &e) == n);
    TAKT_ASSERT(memcmp(text, again, (size_t)n + 1) == 0);
    TAKT_ASSERT(takt_sdp_write(&sdp, again, (size_t)n, &e) == TAKT_ERR_FULL);
    return 0;
}

/* What parses as redundant audio is written as the same bytes. */
#include "fuzz.h"
#include "takt/error.h"
#include "wire/bytes.h"
#include "wire/red.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t bytes)
{
    static uint8_t out[1 << 16];
    struct takt_red_block blocks[TAKT_RED_BLOCKS_MAX];
    int count = takt_red_parse(in, bytes, blocks, TAKT_RED_BLOCKS_MAX);
    if (count < 0 || bytes > sizeof out)
        return 0;
    TAKT_ASSERT(count >= 1 && count <= TAKT_RED_BLOCKS_MAX);
    TAKT_ASSERT(takt_red_write(blocks, (size_t)count, out, bytes) == (int)bytes);
    TAKT_ASSERT(memcmp(in, out, bytes) == 0);
    TAKT_ASSERT(takt_red_write(blocks, (size_t)count, out, bytes - 1) == TAKT_ERR_FULL);
    TAKT_ASSERT(takt_red_parse(in, bytes, blocks, (size_t)count - 1) == TAKT_ERR_FULL);
    return 0;
}

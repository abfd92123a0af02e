#include "stream/fifo.h"

uint32_t takt_adapter_frames(uint32_t block, uint32_t host, bool host_varies)
{
    if (host_varies)
        return block - 1;
    uint32_t a = block, b = host;
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return block - a;
}

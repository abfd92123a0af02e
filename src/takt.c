#include "takt/takt.h"

const char *takt_version(void)
{
    return TAKT_VERSION;
}

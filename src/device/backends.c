#include "stream/device.h"

/* Best default first. */
const struct takt_backend *const takt_backends[] = {NULL};
